/* SPDX-License-Identifier: MIT */
/*
 * `weir replay`: feeds a recorded run to the engine again, with the policies recorded with it, and compares
 * each decision with the recorded one, byte for byte of its canonical text.
 *
 * After the first difference the replay is open-loop: the events that follow are answers to what was decided
 * then, not to what is decided now. It says so and stops there, unless --all is given.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "query.h"
#include "weir/base/cleanup.h"
#include "weir/engine/engine.h"
#include "weir/engine/policy_text.h"

struct policy_change {
    uint64_t event_seq;
    uint16_t unit;
    char *text;
};

struct text_line {
    uint64_t event_seq;
    char *text;
};

struct replay {
    struct policy policy;
    struct policy_change *changes;
    size_t change_count, change_next;
    struct text_line *recorded; /* canonical texts, by id */
    size_t recorded_count, compared;
    struct engine *engine;
    struct decision *decided;
    const char *const *names; /* of the run */
    uint64_t events, samples, first_difference_seq, differences, refused;
    uint64_t samples_lost;
    char then[DECISION_TEXT_MAX], now[DECISION_TEXT_MAX]; /* of the first difference */
    bool go_on;
};

static void replay_deinit(struct replay *r)
{
    for (size_t i = 0; i < r->change_count; i++)
        free(r->changes[i].text);
    for (size_t i = 0; i < r->recorded_count; i++)
        free(r->recorded[i].text);
    free(r->changes);
    free(r->recorded);
    free(r->policy.units);
    free(r->decided);
    engine_free(r->engine);
}

static int keep_policy(void *user, uint64_t event_seq, uint16_t unit, const char *text)
{
    struct replay *r = user;
    struct policy_change *more = realloc(r->changes, (r->change_count + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    r->changes = more;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    r->changes[r->change_count++] = (struct policy_change){event_seq, unit, copy};
    return 0;
}

static int keep_decision(void *user, const struct store_row *row)
{
    struct replay *r = user;
    char text[DECISION_TEXT_MAX];
    struct text_line *more = realloc(r->recorded, (r->recorded_count + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    r->recorded = more;
    if (decision_format(&row->decision, row->unit_names, text, sizeof(text)) < 0)
        return -EINVAL;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    r->recorded[r->recorded_count++] = (struct text_line){row->decision.event_seq, copy};
    return 0;
}

static int apply(struct replay *r, const struct policy_change *c)
{
    if (c->unit == UNIT_NONE)
        return policy_text_apply(&r->policy, c->text);
    if (c->unit >= POLICY_UNITS_MAX)
        return -EINVAL;
    for (; r->policy.unit_count <= c->unit; r->policy.unit_count++)
        policy_unit_defaults(&r->policy.units[r->policy.unit_count]);
    return policy_text_apply_unit(&r->policy.units[c->unit], c->text);
}

static int apply_until(struct replay *r, uint64_t seq)
{
    for (; r->change_next < r->change_count && r->changes[r->change_next].event_seq <= seq;
         r->change_next++) {
        int e = apply(r, &r->changes[r->change_next]);
        if (e < 0)
            return e;
    }
    return 0;
}

static void differs(struct replay *r, uint64_t seq, const char *then, const char *now)
{
    if (r->differences++)
        return;
    r->first_difference_seq = seq;
    (void)snprintf(r->then, sizeof(r->then), "%s", then);
    (void)snprintf(r->now, sizeof(r->now), "%s", now);
}

static int compare(struct replay *r, const struct event *e, size_t count)
{
    char now[DECISION_TEXT_MAX];
    for (size_t i = 0; i < count; i++) {
        bool recorded = r->compared < r->recorded_count && r->recorded[r->compared].event_seq == e->seq;
        if (decision_format(&r->decided[i], r->names, now, sizeof(now)) < 0)
            return -EINVAL;
        if (!recorded || strcmp(r->recorded[r->compared].text, now) != 0)
            differs(r, e->seq, recorded ? r->recorded[r->compared].text : "(nothing)", now);
        r->compared += recorded;
    }
    while (r->compared < r->recorded_count && r->recorded[r->compared].event_seq <= e->seq)
        differs(r, e->seq, r->recorded[r->compared++].text, "(nothing)");
    return 0;
}

/* Decisions of an event that the record no longer has cannot be compared. */
static int on_event(void *user, const struct store_row *row)
{
    struct replay *r = user;
    if (r->differences && !r->go_on)
        return 0;
    int e = apply_until(r, row->event.seq);
    if (e < 0)
        return e;
    if (row->event.kind == EVENT_KIND_COUNT)
        return -ENOTSUP;
    r->names = row->unit_names;
    r->events++;
    r->samples += row->event.kind == EVENT_SAMPLE;
    int n = engine_step(r->engine, &r->policy, &row->event, r->decided);
    r->refused += n < 0;
    return compare(r, &row->event, n < 0 ? 0 : (size_t)n);
}

struct found_run {
    uint64_t run, samples_lost;
};

static int note_run(void *user, const struct store_run_row *row)
{
    struct found_run *found = user;
    if (row->run == found->run)
        found->samples_lost = row->samples_dropped;
    return 0;
}

static int prepare(struct replay *r, struct cli_query *q, uint64_t run)
{
    struct store_filter f = {.run = run};
    policy_defaults(&r->policy);
    r->policy.units = calloc(POLICY_UNITS_MAX, sizeof(*r->policy.units));
    r->decided = calloc(engine_decisions_max(POLICY_UNITS_MAX), sizeof(*r->decided));
    r->engine = engine_new(POLICY_UNITS_MAX);
    if (!r->policy.units || !r->decided || !r->engine)
        return -ENOMEM;
    int e = store_read_policies(q->reader, run, keep_policy, r);
    if (e == 0)
        e = store_read_decisions(q->reader, &f, keep_decision, r);
    return e;
}

static void print_text(const struct replay *r, uint64_t run)
{
    printf("run %" PRIu64 ": %" PRIu64 " events (%" PRIu64
           " samples), %zu of %zu recorded decisions compared\n",
           run, r->events, r->samples, r->compared, r->recorded_count);
    if (r->samples_lost)
        printf("%" PRIu64 " samples of this run were lost: the engine saw more than is fed to it here\n",
               r->samples_lost);
    if (r->refused)
        printf("%" PRIu64 " events were refused by the engine: they name a unit without a policy\n",
               r->refused);
    if (!r->differences) {
        puts("the same decisions, byte for byte");
        return;
    }
    printf("first difference at event seq %" PRIu64 "\n  recorded  %s\n  now       %s\n",
           r->first_difference_seq, r->then, r->now);
    if (r->go_on)
        printf(
            "%" PRIu64
            " differences; from the first on the replay is open-loop: events answer what was decided then\n",
            r->differences);
    else
        puts("stopped there: from here on the events answer what was decided then (--all goes on)");
}

static void print_json(const struct replay *r, uint64_t run)
{
    json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "run", cli_json_u64(run), "events",
                          cli_json_u64(r->events), "samples", cli_json_u64(r->samples), "samples_lost",
                          cli_json_u64(r->samples_lost), "decisions_recorded",
                          cli_json_u64(r->recorded_count), "decisions_compared", cli_json_u64(r->compared),
                          "differences", cli_json_u64(r->differences), "identical", !r->differences);
    if (r->differences)
        json_object_set_new(o, "first_difference",
                            json_pack("{s:o, s:s, s:s}", "seq", cli_json_u64(r->first_difference_seq),
                                      "recorded", r->then, "now", r->now));
    json_dumpf(o, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
    json_decref(o);
}

static int replay_run(struct cli_query *q, const struct cli_args *args, uint64_t run)
{
    _cleanup_(replay_deinit) struct replay r = {.go_on = args->all};
    struct found_run found = {.run = run};
    int e = store_read_runs(q->reader, note_run, &found);
    if (e == 0)
        e = prepare(&r, q, run);
    r.samples_lost = found.samples_lost;
    if (e == 0 && !r.change_count) {
        fprintf(stderr,
                "weir replay: run %" PRIu64
                ": nothing to replay, it was cut off before its policy was on record\n",
                run);
        return CLI_EXIT_FAILED;
    }
    if (e == 0)
        e = store_read_replay(q->reader, run, on_event, &r);
    if (e == -ENOTSUP || e == -EINVAL) {
        fprintf(stderr,
                "weir: run %" PRIu64 " was recorded by a weir of another version: event seq %" PRIu64
                " or its policy is not understood\n",
                run, r.events + 1);
        return CLI_EXIT_FAILED;
    }
    if (e < 0)
        return cli_read_failed(q, e);
    if (args->format == CLI_FORMAT_JSON)
        print_json(&r, run);
    else
        print_text(&r, run);
    return r.differences ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}

int cmd_replay(const struct cli_args *args)
{
    struct cli_query q;
    struct cli_args with_run = *args;
    if (args->word_count)
        with_run.run = args->words[0];
    int r = cli_query_open(&with_run, &q);
    if (r != CLI_EXIT_OK)
        return r;
    if (!q.filter.run) {
        fputs("weir: replay takes one run: a number, or none for the last ('weir history runs' lists them)\n",
              stderr);
        r = CLI_EXIT_USAGE;
    } else {
        r = replay_run(&q, args, q.filter.run);
    }
    cli_query_close(&q);
    return r;
}
