/* SPDX-License-Identifier: MIT */
/*
 * `weir replay --sweep KEY=A,B,...`: the same input under one policy after the other, one row each. Values are set as
 * `weir set` sets them, so a bad one gets the same answer. Every combination is set before the first is tried.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay-print.h"
#include "replay-whatif.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/engine/policy_text.h"

#define KEYS_MAX 6  /* chosen: 2 values each are the rows that there may be */
#define ROWS_MAX 64 /* chosen: more than a person compares */

struct sweep_key {
    char *text; /* "worker.restart_at", cut up in place */
    const char *title;
    const char *key;
    struct config_unit *unit;
    const char *values[ROWS_MAX];
    size_t value_count;
};

struct sweep {
    struct trial *trial;
    struct sweep_key keys[KEYS_MAX];
    size_t key_count, rows;
    uint16_t shown; /* the unit of the input whose figures the rows have */
    struct table *table;
    uint64_t first_policy; /* a fingerprint of it */
    bool policies_differ;
    /* of the row at hand */
    bool has_first;
    struct decision first;
};

static void sweep_deinit(struct sweep *s)
{
    for (size_t i = 0; i < s->key_count; i++)
        free(s->keys[i].text);
}

static struct config_unit *find_unit(struct config *c, const char *name)
{
    for (uint32_t i = 0; name && i < c->unit_count; i++)
        if (strcmp(c->units[i].name, name) == 0)
            return &c->units[i];
    return NULL;
}

/* The unit of a key without one: -u, else the only wrapped unit, else the only one. */
static struct config_unit *default_unit(struct trial *t)
{
    struct config *c = &t->config;
    struct config_unit *wrapped = NULL;
    if (t->unit_name || t->args->unit)
        return find_unit(c, t->unit_name ? t->unit_name : t->args->unit);
    for (uint32_t i = 0; i < c->unit_count; i++)
        if (c->units[i].wrap)
            wrapped = wrapped ? &c->units[c->unit_count] : &c->units[i];
    if (wrapped && wrapped < c->units + c->unit_count)
        return wrapped;
    return c->unit_count == 1 ? c->units : NULL;
}

static int add_value(struct sweep_key *k, const char *value)
{
    if (k->value_count == ROWS_MAX) {
        fprintf(stderr, "weir replay: --sweep %s has more than %d values\n", k->title, ROWS_MAX);
        return CLI_EXIT_USAGE;
    }
    for (size_t i = 0; i < k->value_count; i++)
        if (strcmp(k->values[i], value) == 0) {
            fprintf(stderr, "weir replay: --sweep %s: the value %s is given twice\n", k->title, value);
            return CLI_EXIT_USAGE;
        }
    k->values[k->value_count++] = value;
    return 0;
}

static int split_values(struct sweep_key *k, char *values)
{
    if (!*values) {
        fprintf(stderr, "weir replay: --sweep %s has no values; write %s=A,B\n", k->title, k->title);
        return CLI_EXIT_USAGE;
    }
    int r = 0;
    for (char *v; r == 0 && (v = strsep(&values, ","));) {
        if (!*v) {
            fprintf(stderr, "weir replay: --sweep %s has an empty value; write %s=A,B\n", k->title, k->title);
            return CLI_EXIT_USAGE;
        }
        r = add_value(k, v);
    }
    return r;
}

static int check_key(const struct sweep *s, const struct sweep_key *k, bool has_unit)
{
    const struct trial *t = s->trial;
    if (!k->unit && has_unit)
        fprintf(stderr, "weir replay: --sweep %s: %s has no unit '%.*s'\n", k->title, t->args->config,
                (int)(k->key - 1 - k->title), k->title);
    else if (!k->unit)
        fprintf(stderr, "weir replay: --sweep %s: which unit of %s? Say it with -u UNIT, or UNIT.KEY=...\n",
                k->title, t->args->config);
    else if (t->in.path && strcmp(t->unit_name, k->unit->name) != 0)
        fprintf(stderr, "weir replay: --sweep %s: the trace is judged as unit %s; say -u %s\n", k->title,
                t->unit_name, k->unit->name);
    else {
        for (const struct sweep_key *o = s->keys; o < k; o++)
            if (o->unit == k->unit && strcmp(o->key, k->key) == 0) {
                fprintf(stderr, "weir replay: --sweep %s: given twice; write all values behind one %s=\n",
                        k->title, k->title);
                return CLI_EXIT_USAGE;
            }
        return 0;
    }
    return CLI_EXIT_USAGE;
}

static int parse_key(struct sweep *s, const char *text)
{
    if (s->key_count == KEYS_MAX) {
        fprintf(stderr, "weir replay: at most %d keys can be swept at once\n", KEYS_MAX);
        return CLI_EXIT_USAGE;
    }
    struct sweep_key *k = &s->keys[s->key_count];
    k->text = strdup(text);
    if (!k->text)
        return CLI_EXIT_FAILED;
    s->key_count++;
    char *equals = strchr(k->text, '=');
    if (!equals) {
        fprintf(stderr,
                "weir replay: --sweep '%s' is not KEY=A,B,...; e.g. --sweep restart_at=80%%,85%%,90%%\n",
                text);
        return CLI_EXIT_USAGE;
    }
    *equals = '\0';
    k->title = k->text;
    char *dot = strrchr(k->text, '.');
    char *unit = dot ? strndup(k->text, (size_t)(dot - k->text)) : NULL;
    k->key = dot ? dot + 1 : k->text;
    k->unit = dot ? find_unit(&s->trial->config, unit) : default_unit(s->trial);
    free(unit);
    int r = check_key(s, k, dot != NULL);
    return r ? r : split_values(k, equals + 1);
}

/* Every key's value once; tells, if it may, of each that is refused. Returns how many are. */
static size_t set_values(struct sweep *s, const char *const *values, bool tells)
{
    size_t refused = 0;
    for (size_t i = 0; i < s->key_count; i++) {
        struct err err = ERR_NULL;
        if (config_unit_set(s->keys[i].unit, s->keys[i].key, values[i], &err) == 0)
            continue;
        refused++;
        if (tells)
            fprintf(stderr, "weir replay: --sweep: %s\n", err.text);
    }
    return refused;
}

/* Sets the values of a row, the first key's changing slowest. 0 or a cli_exit after telling. A value may wait for
 * another key's, as a higher throttle_at for a higher restart_at: each round sets one more at least, if any can be. */
static int set_row(struct sweep *s, size_t row, const char **ret_values)
{
    size_t refused = s->key_count;
    for (size_t i = s->key_count; i-- > 0;) {
        struct sweep_key *k = &s->keys[i];
        ret_values[i] = k->values[row % k->value_count];
        row /= k->value_count;
    }
    for (size_t round = 1; refused && round <= s->key_count; round++)
        refused = set_values(s, ret_values, round == s->key_count);
    return refused ? CLI_EXIT_USAGE : 0;
}

static int note_first(void *user, const struct decision *d, bool model)
{
    struct sweep *s = user;
    (void)model;
    bool is_lifecycle = strcmp(d->rule, "lifecycle") == 0 || strcmp(d->rule, "operator") == 0;
    if (s->has_first || d->unit != s->shown || is_lifecycle ||
        decision_kind_class(d->kind) != DECISION_CLASS_INTERVENTION)
        return 0;
    s->has_first = true;
    s->first = *d;
    return 0;
}

static uint64_t total(const struct whatif *w, uint16_t unit, uint64_t (*figure)(const struct whatif_sum *))
{
    return figure(whatif_sum(w, unit, false)) + figure(whatif_sum(w, unit, true));
}

static uint64_t recycles(const struct whatif_sum *s)
{
    return s->recycles;
}

static uint64_t failures(const struct whatif_sum *s)
{
    return s->failures;
}

static uint64_t throttles(const struct whatif_sum *s)
{
    return s->count[DECISION_THROTTLE];
}

static uint64_t above_restart(const struct whatif_sum *s)
{
    return s->above_us[WHATIF_LEVEL_RESTART];
}

static uint64_t throttled(const struct whatif_sum *s)
{
    return s->throttled_us;
}

static uint64_t down(const struct whatif_sum *s)
{
    return s->down_us;
}

static void put_row(struct sweep *s, const struct attempt *a, const char *const *values)
{
    const struct whatif *w = a->model;
    const struct whatif_sum *fact = whatif_sum(w, s->shown, false), *model = whatif_sum(w, s->shown, true);
    char text[64], time[REPLAY_TIME_MAX];
    for (size_t i = 0; i < s->key_count; i++)
        table_text(s->table, values[i]);
    table_count(s->table, total(w, s->shown, recycles));
    table_count(s->table, total(w, s->shown, failures));
    table_count(s->table, total(w, s->shown, throttles));
    table_size(s->table, fact->peak_bytes > model->peak_bytes ? fact->peak_bytes : model->peak_bytes);
    table_duration(s->table, total(w, s->shown, above_restart));
    table_duration(s->table, total(w, s->shown, throttled));
    table_duration(s->table, total(w, s->shown, down));
    (void)snprintf(text, sizeof(text), "%s at %s", decision_kind_name(s->first.kind),
                   replay_time(s->first.t_us - a->in->start_us, time));
    table_text(s->table, s->has_first ? text : NULL);
    const struct whatif_difference *d = whatif_difference(w, s->shown);
    table_text(s->table, d->is_there ? replay_time(d->t_us - a->in->start_us, time) : NULL);
    table_row(s->table);
}

/* FNV-1a over the units' policies as text. */
static uint64_t fingerprint(const struct policy *p)
{
    char text[POLICY_TEXT_MAX];
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < p->unit_count; i++)
        for (const char *c = policy_text_format_unit(&p->units[i], text, sizeof(text)) < 0 ? "" : text; *c;
             c++)
            h = (h ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    return h;
}

static void look_at_policy(struct sweep *s, const struct policy *p, size_t row)
{
    if (row == 0)
        s->first_policy = fingerprint(p);
    else
        s->policies_differ = s->policies_differ || fingerprint(p) != s->first_policy;
}

static int try_row(struct sweep *s, size_t row)
{
    const char *values[KEYS_MAX] = {NULL};
    struct attempt a = {0};
    s->has_first = false;
    int r = set_row(s, row, values);
    if (r == 0)
        r = attempt_init(&a, &s->trial->in, &s->trial->config, s->trial->unit_name);
    if (r == 0) {
        look_at_policy(s, &a.policy, row);
        r = attempt_run(&a, note_first, s);
    }
    if (r == 0)
        put_row(s, &a, values);
    attempt_deinit(&a);
    return r;
}

/* The unit of the input whose figures the rows have: that of the first key. */
static int choose_shown(struct sweep *s)
{
    const struct replay_input *in = &s->trial->in;
    s->shown = 0;
    if (in->path || !s->keys[0].unit) /* a trace is of one unit */
        return 0;
    while (s->shown < in->name_count && strcmp(in->name_list[s->shown], s->keys[0].unit->name) != 0)
        s->shown++;
    if (s->shown < in->name_count)
        return 0;
    fprintf(stderr, "weir replay: run %llu has no unit '%s'\n", (unsigned long long)in->run,
            s->keys[0].unit->name);
    return CLI_EXIT_USAGE;
}

static int prepare(struct sweep *s)
{
    const char *values[KEYS_MAX] = {NULL};
    const struct cli_args *args = s->trial->args;
    int r = 0;
    for (size_t i = 0; r == 0 && i < args->sweep_count; i++)
        r = parse_key(s, args->sweep[i]);
    s->rows = 1;
    for (size_t i = 0; r == 0 && i < s->key_count; i++)
        s->rows *= s->keys[i].value_count;
    if (r == 0 && s->rows > ROWS_MAX) {
        fprintf(stderr, "weir replay: these are %zu combinations; at most %d are tried\n", s->rows, ROWS_MAX);
        return CLI_EXIT_USAGE;
    }
    for (size_t row = 0; r == 0 && row < s->rows; row++)
        r = set_row(s, row, values);
    return r == 0 ? choose_shown(s) : r;
}

static const struct table_column figures[] = {
    {.key = "recycles", .title = "RECYCLES", .right = true},
    {.key = "memory_failures", .title = "FAILURES", .right = true},
    {.key = "throttles", .title = "THROTTLES", .right = true},
    {.key = "peak", .title = "PEAK", .right = true},
    {.key = "above_restart_us", .title = "ABOVE RESTART", .right = true},
    {.key = "throttled_us", .title = "THROTTLED", .right = true},
    {.key = "not_ready_us", .title = "NOT READY", .right = true},
    {.key = "first", .title = "FIRST"},
    {.key = "counterfactual_from", .title = "MODEL FROM"},
};

int replay_sweep(struct trial *t)
{
    _cleanup_(sweep_deinit) struct sweep s = {.trial = t};
    struct table_column columns[KEYS_MAX + ARRAY_SIZE(figures)];
    int r = prepare(&s);
    if (r)
        return r;
    for (size_t i = 0; i < s.key_count; i++)
        columns[i] = (struct table_column){.key = s.keys[i].title, .title = s.keys[i].title};
    memcpy(columns + s.key_count, figures, sizeof(figures));
    s.table = table_new(t->args->format, stdout, columns, s.key_count + ARRAY_SIZE(figures), 0);
    if (!s.table) {
        fputs("weir replay: out of memory\n", stderr);
        return CLI_EXIT_FAILED;
    }
    for (size_t row = 0; r == 0 && row < s.rows; row++)
        r = try_row(&s, row);
    table_end(s.table, "");
    if (r == 0 && s.rows > 1 && !s.policies_differ)
        fprintf(stderr, "weir replay: every row is the same: %s is nothing that weir judges by\n",
                s.keys[0].key);
    return r;
}
