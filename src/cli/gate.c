/* SPDX-License-Identifier: MIT */
/*
 * `weir history gate`: what passed the gates in a stretch of time, for each unit and method.
 *
 * What a gate tells counts from its own beginning, so a stretch is the difference between the last row in it and the
 * last one before it, of each gate and method; the latter may stand in an earlier run (store_read_method_before). A pid
 * may be used again: figures that fall are those of another gate. The latencies cannot be subtracted: they are those of
 * the newest row that has any, since that gate began.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "table.h"
#include "weir/base/cleanup.h"

/* The first rows of a gate come 10 s after it. */
#define EMPTY                                                                                                \
    "no gate told of a request in this run and time; they tell every 10 s (--run all looks at every run)"

struct figures {
    uint64_t calls, answers, errors, notifications, replays, bytes_to_worker, bytes_to_server, growth_calls;
    int64_t growth_bytes;
};

/* One gate's rows of one method in one run. */
struct series {
    char unit[UNIT_NAME_MAX];
    struct store_method first, last, answered; /* answered: the newest row with latencies */
    bool is_answered;
    struct figures sum; /* from `first` on */
};

/* What is printed. */
struct method_row {
    char unit[UNIT_NAME_MAX];
    struct store_method last, answered; /* the newest; with latencies */
    bool is_answered;
    struct figures sum;
};

struct gate_history {
    struct series *series;
    size_t count;
    size_t run_begin; /* series of the run that is being read */
    uint64_t run;
    struct method_row *row;
    size_t row_count;
};

/* from NULL: from the gate's beginning. */
static void add_between(struct figures *sum, const struct store_method *from, const struct store_method *to)
{
    static const struct store_method beginning;
    const struct store_method *a = from ? from : &beginning;
    sum->calls += to->calls - a->calls;
    sum->answers += to->answers - a->answers;
    sum->errors += to->errors - a->errors;
    sum->notifications += to->notifications - a->notifications;
    sum->replays += to->replays - a->replays;
    sum->bytes_to_worker += to->bytes_to_worker - a->bytes_to_worker;
    sum->bytes_to_server += to->bytes_to_server - a->bytes_to_server;
    sum->growth_calls += to->growth_calls - a->growth_calls;
    sum->growth_bytes += to->growth_bytes - a->growth_bytes;
}

static void add(struct figures *sum, const struct figures *more)
{
    sum->calls += more->calls;
    sum->answers += more->answers;
    sum->errors += more->errors;
    sum->notifications += more->notifications;
    sum->replays += more->replays;
    sum->bytes_to_worker += more->bytes_to_worker;
    sum->bytes_to_server += more->bytes_to_server;
    sum->growth_calls += more->growth_calls;
    sum->growth_bytes += more->growth_bytes;
}

static bool goes_on(const struct store_method *from, const struct store_method *to)
{
    return to->calls >= from->calls && to->answers >= from->answers && to->errors >= from->errors &&
           to->notifications >= from->notifications && to->replays >= from->replays &&
           to->bytes_to_worker >= from->bytes_to_worker && to->bytes_to_server >= from->bytes_to_server &&
           to->growth_calls >= from->growth_calls;
}

/* ------------------------------------------------- reading -------------------------------------------------- */

/* A gate that lives now stands near the end. */
static struct series *find_series(struct gate_history *h, const struct store_method *m)
{
    for (size_t i = h->count; i-- > h->run_begin;) {
        struct series *s = &h->series[i];
        if (s->last.gate == m->gate && strcmp(s->last.method, m->method) == 0 &&
            strcmp(s->unit, m->unit_name) == 0)
            return s;
    }
    return NULL;
}

static struct series *add_series(struct gate_history *h, const struct store_method *m)
{
    struct series *more = realloc(h->series, (h->count + 1) * sizeof(*more));
    if (!more)
        return NULL;
    h->series = more;
    struct series *s = &more[h->count++];
    *s = (struct series){.first = *m};
    (void)snprintf(s->unit, sizeof(s->unit), "%s", m->unit_name);
    return s;
}

static int on_method(void *user, const struct store_method *m)
{
    struct gate_history *h = user;
    if (m->run != h->run)
        h->run_begin = h->count;
    h->run = m->run;
    struct series *s = find_series(h, m);
    if (s)
        add_between(&s->sum, goes_on(&s->last, m) ? &s->last : NULL, m);
    else if (!(s = add_series(h, m)))
        return -ENOMEM;
    s->last = *m;
    if (m->latency_p50_us != UINT64_MAX) {
        s->answered = *m;
        s->is_answered = true;
    }
    return 0;
}

/* What the first row counts beyond what was told before it. */
static int add_first(struct cli_query *q, struct series *s)
{
    struct store_method before;
    s->first.unit_name = s->unit; /* the reader's own is gone */
    int e = store_read_method_before(q->reader, &s->first, &before);
    if (e < 0 && e != -ENOENT)
        return e;
    add_between(&s->sum, e == 0 && goes_on(&before, &s->first) ? &before : NULL, &s->first);
    return 0;
}

/* ------------------------------------------------- summing up ------------------------------------------------- */

static bool is_later(const struct store_method *a, const struct store_method *b)
{
    return a->run != b->run ? a->run > b->run : a->seq > b->seq;
}

static struct method_row *row_of(struct gate_history *h, const struct series *s)
{
    for (size_t i = 0; i < h->row_count; i++)
        if (strcmp(h->row[i].unit, s->unit) == 0 && strcmp(h->row[i].last.method, s->last.method) == 0)
            return &h->row[i];
    struct method_row *row = &h->row[h->row_count++];
    *row = (struct method_row){.last = s->last};
    memcpy(row->unit, s->unit, sizeof(row->unit));
    return row;
}

static bool is_nothing(const struct figures *f)
{
    static const struct figures nothing;
    return memcmp(f, &nothing, sizeof(nothing)) == 0;
}

static int by_calls(const void *a, const void *b)
{
    const struct method_row *x = a, *y = b;
    if (x->sum.calls != y->sum.calls)
        return x->sum.calls > y->sum.calls ? -1 : 1;
    int unit = strcmp(x->unit, y->unit);
    return unit ? unit : strcmp(x->last.method, y->last.method);
}

/* A gate tells all it knows to each new supervisor: where that was known already, nothing happened. */
static int sum_up(struct gate_history *h)
{
    h->row = calloc(h->count ? h->count : 1, sizeof(*h->row));
    if (!h->row)
        return -ENOMEM;
    for (size_t i = 0; i < h->count; i++) {
        const struct series *s = &h->series[i];
        if (is_nothing(&s->sum))
            continue;
        struct method_row *row = row_of(h, s);
        add(&row->sum, &s->sum);
        if (is_later(&s->last, &row->last))
            row->last = s->last;
        if (s->is_answered && (!row->is_answered || is_later(&s->answered, &row->answered)))
            row->answered = s->answered;
        row->is_answered |= s->is_answered;
    }
    qsort(h->row, h->row_count, sizeof(*h->row), by_calls);
    return 0;
}

/* ------------------------------------------------- printing ------------------------------------------------- */

static const struct table_column columns[] = {
    {"unit", "UNIT", false, false},
    {"method", "METHOD", false, false},
    {"calls", "CALLS", true, false},
    {"answers", "ANSWERS", true, false},
    {"errors", "ERRORS", true, false},
    {"notifications", NULL, true, false},
    {"replays", "REPLAYS", true, false},
    {"bytes_to_worker", "IN", true, false},
    {"bytes_to_server", "OUT", true, false},
    {"latency_p50_us", "P50", true, false},
    {"latency_p90_us", "P90", true, false},
    {"latency_p99_us", "P99", true, false},
    {"latency_max_us", "MAX", true, false},
    {"growth_bytes_per_call", "GROWTH/CALL", true, false},
    {"growth_calls", "ALONE", true, false},
    {"growth_bytes", NULL, true, false},
    {"time", NULL, false, true},
};

static void put_figures(struct table *t, const struct figures *f)
{
    table_count(t, f->calls);
    table_count(t, f->answers);
    table_count(t, f->errors);
    table_count(t, f->notifications);
    table_count(t, f->replays);
    table_size(t, f->bytes_to_worker);
    table_size(t, f->bytes_to_server);
}

/* m NULL: none. */
static void put_latencies(struct table *t, const struct store_method *m)
{
    const uint64_t us[] = {m ? m->latency_p50_us : UINT64_MAX, m ? m->latency_p90_us : UINT64_MAX,
                           m ? m->latency_p99_us : UINT64_MAX, m ? m->latency_max_us : UINT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(us); i++)
        if (us[i] == UINT64_MAX)
            table_none(t);
        else
            table_duration(t, us[i]);
}

static void put_growth(struct table *t, const struct figures *f)
{
    if (f->growth_calls)
        table_signed_size(t, f->growth_bytes / (int64_t)f->growth_calls);
    else
        table_none(t);
    table_count(t, f->growth_calls);
    table_signed_size(t, f->growth_bytes);
}

static void put_method(struct table *t, const struct method_row *row)
{
    table_text(t, row->unit);
    table_text(t, row->last.method);
    put_figures(t, &row->sum);
    put_latencies(t, row->is_answered ? &row->answered : NULL);
    put_growth(t, &row->sum);
    table_time(t, row->last.wall_us);
    table_row(t);
}

/* Of all methods, also of those that a limit leaves out. Latencies of different methods make no sum. */
static void put_total(struct table *t, const struct gate_history *h)
{
    struct figures sum = {0};
    for (size_t i = 0; i < h->row_count; i++)
        add(&sum, &h->row[i].sum);
    table_text(t, "total");
    table_none(t);
    put_figures(t, &sum);
    put_latencies(t, NULL);
    put_growth(t, &sum);
    table_none(t);
    table_row(t);
}

static int print(const struct gate_history *h, const struct cli_args *args)
{
    struct table *t = table_new(args->format, stdout, columns, ARRAY_SIZE(columns), 0);
    if (!t)
        return -ENOMEM;
    for (size_t i = 0; i < h->row_count && (!args->limit || i < args->limit); i++)
        put_method(t, &h->row[i]);
    if (h->row_count && args->format == CLI_FORMAT_TABLE)
        put_total(t, h);
    table_end(t, EMPTY);
    return 0;
}

int history_gate(struct cli_query *q, const struct cli_args *args)
{
    struct gate_history h = {0};
    q->filter.limit = 0; /* the limit counts methods */
    int e = store_read_methods(q->reader, &q->filter, on_method, &h);
    for (size_t i = 0; e == 0 && i < h.count; i++)
        e = add_first(q, &h.series[i]);
    if (e == 0)
        e = sum_up(&h);
    if (e == 0)
        e = print(&h, args);
    free(h.series);
    free(h.row);
    return e < 0 ? cli_read_failed(q, e) : CLI_EXIT_OK;
}
