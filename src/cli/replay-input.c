/* SPDX-License-Identifier: MIT */
/*
 * What a policy is tried on; see the header. A trace is small and kept whole. Of a run only what is asked for without its
 * samples is read here: who started whom, and how long starts, stops and the like took.
 */
#include "replay-input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"

#define TRACE_LINE_MAX 256     /* chosen: the longest line of such a log has some 60 bytes */
#define TRACE_ROWS_MAX 4000000 /* chosen: 46 days at one a second, 128 MB */

/* --- traces --------------------------------------------------------------------------------------- */

void trace_log_deinit(struct trace_log *t)
{
    free(t->rows);
    *t = (struct trace_log){0};
}

static int add_row(struct trace_log *t, const struct trace_row *row)
{
    if ((t->count & (t->count - 1)) == 0) { /* full at every power of two */
        struct trace_row *rows = realloc(t->rows, (t->count ? 2 * t->count : 1) * sizeof(*rows));
        if (!rows)
            return -ENOMEM;
        t->rows = rows;
    }
    t->rows[t->count++] = *row;
    return 0;
}

static bool begins_with(const char *line, const char *bytes)
{
    return strncmp(line, bytes, strlen(bytes)) == 0;
}

/* What is wrong with a line that is none of such a log, where it can be told: the first column that is not a number, or
 * not there. */
static void say_wrong(const char *line, char *buf, size_t size)
{
    static const char *const columns[] = {"Time(s)", "RSS(MB)", "VSZ(MB)", "Threads"};
    bool is_row = line[strspn(line, "-")] >= '0' && line[strspn(line, "-")] <= '9';
    buf[0] = '\0';
    if (begins_with(line, "\xef\xbb\xbf"))
        (void)snprintf(buf, size, " (it begins with a byte order mark; save the log without one)");
    else if (begins_with(line, "\xff\xfe") || begins_with(line, "\xfe\xff"))
        (void)snprintf(buf, size, " (it is UTF-16; save the log as plain text)");
    for (size_t i = 0; is_row && !*buf && i < ARRAY_SIZE(columns); i++) {
        line += strspn(line, " \t");
        size_t length = strcspn(line, ",\r\n");
        if (length == 0)
            (void)snprintf(buf, size, " (it has no %s)", columns[i]);
        else if (line[0] == '-')
            (void)snprintf(buf, size, " (%s is negative: %.*s)", columns[i], (int)length, line);
        else if (strspn(line, "0123456789. \t") < length)
            (void)snprintf(buf, size, " (%s is not a number: %.*s)", columns[i], (int)length, line);
        line += length + (line[length] == ',');
    }
}

static int read_line(struct trace_log *t, const char *line, const char *where, struct err *reterr)
{
    struct trace_row row;
    int kind = trace_parse_line(line, &row);
    char wrong[TRACE_LINE_MAX + 64];
    if (kind < 0)
        say_wrong(line, wrong, sizeof(wrong));
    if (kind < 0)
        return err_set(
            reterr, -EINVAL,
            "%s is no line of a monitor log%s; wanted are rows such as '21, 2542.44, 411751.00, 63' under "
            "'Time(s), RSS(MB), VSZ(MB), Threads'",
            where, wrong);
    if (kind == TRACE_LINE_TERMINATED)
        t->terminated = true;
    if (kind != TRACE_LINE_ROW)
        return 0;
    if (t->count && row.t_us <= t->rows[t->count - 1].t_us)
        return err_set(reterr, -EINVAL, "%s: the time does not rise; one log has one recording", where);
    if (t->count == TRACE_ROWS_MAX)
        return err_set(reterr, -E2BIG, "%s: a trace has at most %d readings; cut it into pieces", where,
                       TRACE_ROWS_MAX);
    return add_row(t, &row) < 0 ? err_errno(reterr, -ENOMEM, "%s", where) : 0;
}

static int read_lines(FILE *f, const char *path, struct trace_log *t, struct err *reterr)
{
    char line[TRACE_LINE_MAX], where[ERR_TEXT_MAX / 2];
    for (unsigned long number = 1; fgets(line, sizeof(line), f); number++) {
        (void)snprintf(where, sizeof(where), "%s:%lu", path, number);
        /* a line that is too long, or has a NUL in it, has lost its end */
        if (!strchr(line, '\n') && !feof(f) && !begins_with(line, "\xff\xfe") &&
            !begins_with(line, "\xfe\xff"))
            line[0] = '?';
        int r = read_line(t, line, where, reterr);
        if (r < 0)
            return r;
    }
    return ferror(f) ? err_errno(reterr, -EIO, "%s", path) : 0;
}

static void look_at_spacing(struct trace_log *t)
{
    for (size_t i = 1; i < t->count; i++)
        if (!t->spacing_us || t->rows[i].t_us - t->rows[i - 1].t_us < t->spacing_us)
            t->spacing_us = t->rows[i].t_us - t->rows[i - 1].t_us;
    for (size_t i = 1; i < t->count; i++) {
        uint64_t apart = (t->rows[i].t_us - t->rows[i - 1].t_us + t->spacing_us / 2) / t->spacing_us;
        t->holes += apart > 1;
        t->missing += apart - 1;
    }
}

int trace_log_read(const char *path, struct trace_log *ret, struct err *reterr)
{
    struct stat st;
    *ret = (struct trace_log){0};
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is not waited for */
    _cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    if (!f)
        return err_errno(reterr, -errno, "%s", path);
    (void)steal_fd(&fd); /* f's now */
    if (fstat(fileno(f), &st) < 0)
        return err_errno(reterr, -errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(reterr, -EINVAL, "%s is %s, not a monitor log", path,
                       S_ISDIR(st.st_mode) ? "a folder" : "a pipe, socket or device");
    int r = read_lines(f, path, ret, reterr);
    if (r == 0 && !ret->count)
        r = err_set(reterr, -ENODATA,
                    "%s has no readings; wanted are rows such as '21, 2542.44, 411751.00, 63'", path);
    if (r == 0)
        look_at_spacing(ret);
    else
        trace_log_deinit(ret);
    return r;
}

/* --- runs ----------------------------------------------------------------------------------------- */

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

uint64_t usual_time(const struct usual *u, enum whatif_habit habit)
{
    uint64_t sorted[USUAL_MAX];
    size_t n = u->count[habit] < USUAL_MAX ? u->count[habit] : USUAL_MAX;
    if (n == 0)
        return whatif_habit_default(habit);
    memcpy(sorted, u->us[habit], n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare_u64);
    return sorted[n / 2];
}

/* When the unit's last step of each kind was; 0 = not yet, or answered. */
struct step {
    uint64_t start, spawned, drain, term, kill, gone;
    uint64_t drain_id;
};

struct look {
    struct replay_input *in;
    struct step *steps;
};

static void took(struct usual *u, enum whatif_habit habit, uint64_t *since, uint64_t now)
{
    if (*since)
        u->us[habit][u->count[habit]++ % USUAL_MAX] = now - *since;
    *since = 0;
}

static void look_at_decision(const struct decision *d, struct step *s)
{
    if (d->kind == DECISION_START || (d->kind == DECISION_ADMIT && !d->amount[1]))
        *s = (struct step){.start = d->t_us, .gone = s->gone};
    else if (d->kind == DECISION_DRAIN) {
        s->drain = d->t_us;
        s->drain_id = d->id;
    } else if (d->kind == DECISION_TERM && !s->term)
        s->term = d->t_us;
    else if (d->kind == DECISION_KILL && !s->kill)
        s->kill = d->t_us;
}

static void look_at_event(const struct event *e, struct usual *u, struct step *s)
{
    if (e->kind == EVENT_SPAWNED) {
        took(u, WHATIF_HABIT_START, &s->start, e->t_us);
        s->spawned = e->t_us;
        s->gone = 0;
    } else if (e->kind == EVENT_READY) {
        took(u, WHATIF_HABIT_READY, &s->spawned, e->t_us);
    } else if (e->kind == EVENT_OUTCOME && e->outcome.decision_id == s->drain_id) {
        took(u, WHATIF_HABIT_DRAIN, &s->drain, e->t_us);
    } else if (e->kind == EVENT_EXITED && !s->kill) {
        took(u, WHATIF_HABIT_STOP, &s->term, e->t_us);
    } else if (e->kind == EVENT_EMPTY) {
        took(u, WHATIF_HABIT_KILL, &s->kill, e->t_us);
        s->gone = e->t_us;
    } else if (e->kind == EVENT_ARRIVED) {
        took(u, WHATIF_HABIT_RESPAWN, &s->gone, e->t_us);
        u->server = e->arrived.via;
    }
}

static int look_at_row(void *user, const struct store_row *row)
{
    struct look *l = user;
    bool is_event = row->type == STORE_ROW_EVENT;
    uint16_t unit = is_event ? row->event.unit : row->decision.unit;
    if (!l->in->start_us)
        l->in->start_us = row->t_us;
    if (unit < l->in->unit_count && is_event)
        look_at_event(&row->event, &l->in->usual[unit], &l->steps[unit]);
    else if (unit < l->in->unit_count)
        look_at_decision(&row->decision, &l->steps[unit]);
    return 0;
}

static int keep_names(struct replay_input *in)
{
    const char *const *names;
    int n = store_read_units(in->query.reader, in->run, &names);
    if (n <= 0)
        return n < 0 ? n : -ENODATA;
    in->names = calloc((size_t)n, sizeof(*in->names));
    in->name_list = calloc((size_t)n, sizeof(*in->name_list));
    if (!in->names || !in->name_list)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        (void)snprintf(in->names[i], sizeof(in->names[i]), "%s", names[i]);
        in->name_list[i] = in->names[i];
    }
    in->name_count = (size_t)n;
    return 0;
}

static int note_run(void *user, const struct store_run_row *row)
{
    struct replay_input *in = user;
    if (row->run == in->run) {
        in->samples = row->samples;
        in->events = row->events;
        in->samples_lost = row->samples_dropped;
    }
    return 0;
}

int replay_input_run(struct replay_input *in)
{
    struct look look = {.in = in};
    int e = store_read_runs(in->query.reader, note_run, in);
    if (e == 0)
        e = keep_names(in);
    if (e < 0)
        return e == -ENODATA ? e : cli_read_failed(&in->query, e);
    in->usual = calloc(in->name_count, sizeof(*in->usual));
    _cleanup_free_ struct step *steps = calloc(in->name_count, sizeof(*steps));
    for (size_t i = 0; in->usual && i < in->name_count; i++)
        in->usual[i].server = UNIT_NONE;
    look.steps = steps;
    in->unit_count = in->name_count;
    e = in->usual && steps ? store_read_course(in->query.reader, in->run, look_at_row, &look) : -ENOMEM;
    return e < 0 ? cli_read_failed(&in->query, e) : 0;
}

void replay_input_deinit(struct replay_input *in)
{
    trace_log_deinit(&in->trace);
    cli_query_close(&in->query);
    free(in->usual);
    free(in->names);
    free(in->name_list);
    *in = (struct replay_input){0};
}
