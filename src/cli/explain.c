/* SPDX-License-Identifier: MIT */
/* `weir explain`: which intervention is meant; see explain.h. */
#include "explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"
#include "weir/base/units.h"

/* The newest of one kind (DECISION_KIND_COUNT: that is no step of another and undoes nothing), and the newest at all. */
struct newest {
    enum decision_kind kind;
    uint64_t run, id;
    uint64_t any_run, any_id;
};

static int keep_newest(void *user, const struct store_row *row)
{
    struct newest *n = user;
    const struct decision *d = &row->decision;
    bool is_own = (d->cause_id == 0 || d->kind == DECISION_HOLD) && !explain_undoes(d->kind) &&
                  d->kind != DECISION_NOTE;
    n->any_run = row->run;
    n->any_id = d->id;
    if (n->kind == DECISION_KIND_COUNT ? is_own : d->kind == n->kind) {
        n->run = row->run;
        n->id = d->id;
    }
    return 0;
}

static int last_intervention(struct cli_query *q, enum decision_kind kind, uint64_t *ret_run,
                             uint64_t *ret_id)
{
    struct store_filter f = {.interventions_only = true};
    struct newest n = {.kind = kind};
    int e = store_read_decisions(q->reader, &f, keep_newest, &n);
    bool any = !n.id && kind == DECISION_KIND_COUNT;
    *ret_run = any ? n.any_run : n.run;
    *ret_id = any ? n.any_id : n.id;
    return e < 0 ? e : *ret_id ? 0 : -ENOENT;
}

/* "restart", as after "last". DECISION_KIND_COUNT after telling: no such action. */
static enum decision_kind find_action(const char *word)
{
    const char *names[DECISION_KIND_COUNT];
    size_t count = 0;
    for (int k = 0; k < DECISION_KIND_COUNT; k++)
        if (decision_kind_class(k) == DECISION_CLASS_INTERVENTION)
            names[count++] = decision_kind_name(k);
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], word) == 0)
            return decision_kind_by_name(word);
    const char *near = nearest_word(word, names, count);
    fprintf(stderr, "weir: there is no action '%s'%s%s%s; actions are", word, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "%s %s", i ? "," : "", names[i]);
    (void)fputc('\n', stderr);
    return DECISION_KIND_COUNT;
}

/* "17", "#17", "3:17". -EINVAL: none of these. */
static int parse_id(const struct cli_query *q, const char *word, uint64_t *ret_run, uint64_t *ret_id)
{
    _cleanup_free_ char *copy = strdup(word);
    if (!copy)
        return -ENOMEM;
    char *colon = strchr(copy, ':');
    const char *id = colon ? colon + 1 : copy;
    if (colon)
        *colon = '\0';
    if (cli_parse_run(colon ? copy : NULL, q->last_run, ret_run) < 0 || !*ret_run)
        return -EINVAL;
    return parse_u64(id[0] == '#' ? id + 1 : id, ret_id) < 0 ? -EINVAL : 0;
}

static int not_found(const char *word, const char *action, int e, const struct cli_query *q)
{
    if (e == -EINVAL)
        fprintf(stderr, "weir: '%s' is no intervention; say ID, RUN:ID or last [ACTION]\n", word);
    else if (e == -ENOENT && strcmp(word, "last") == 0)
        fprintf(stderr, "weir: no %s is on record\n", action ? action : "intervention");
    else if (e == -ENOENT)
        fprintf(stderr, "weir: no decision %s on record ('weir history --all' lists them)\n", word);
    else
        return cli_read_failed(q, e);
    return e == -EINVAL ? CLI_EXIT_USAGE : CLI_EXIT_FAILED;
}

static int print(struct cli_query *q, const struct cli_args *args, uint64_t run, uint64_t id,
                 const char *word, const char *action)
{
    _cleanup_(explain_deinit) struct explain x = {0};
    int e = store_read_decision(q->reader, run, id, &x.row);
    if (e < 0)
        return not_found(word, action, e, q);
    e = explain_collect(q, &x);
    if (e == 0) /* names live until the next read: these are for the narration */
        e = store_read_units(q->reader, run, &x.row.unit_names);
    if (e < 0)
        return cli_read_failed(q, e);
    x.row.unit_count = (size_t)e;
    if (args->format == CLI_FORMAT_JSON)
        explain_print_json(&x, stdout);
    else
        explain_print_text(&x, stdout);
    return CLI_EXIT_OK;
}

static int explain(struct cli_query *q, const struct cli_args *args)
{
    const char *word = args->word_count ? args->words[0] : "last";
    const char *action = args->word_count > 1 ? args->words[1] : NULL;
    bool is_last = strcmp(word, "last") == 0;
    enum decision_kind kind = DECISION_KIND_COUNT;
    uint64_t run = 0, id = 0;
    if (action && !is_last) {
        fprintf(stderr, "weir: '%s' stands after last only: weir explain last %s\n", action, action);
        return CLI_EXIT_USAGE;
    }
    if (action && (kind = find_action(action)) == DECISION_KIND_COUNT)
        return CLI_EXIT_USAGE;
    int e = is_last ? last_intervention(q, kind, &run, &id) : parse_id(q, word, &run, &id);
    return e < 0 ? not_found(word, action, e, q) : print(q, args, run, id, word, action);
}

int cmd_explain(const struct cli_args *args)
{
    struct cli_query q;
    int r = cli_query_open(args, &q);
    if (r != CLI_EXIT_OK)
        return r;
    r = explain(&q, args);
    cli_query_close(&q);
    return r;
}
