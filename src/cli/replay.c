/* SPDX-License-Identifier: MIT */
/*
 * `weir replay`: feeds a recorded run to the engine again, with the policies recorded with it, and compares
 * each decision with the recorded one, byte for byte of its canonical text. Record and engine go on side by side, one
 * row at a time.
 *
 * With -c CONFIG it is another command: src/cli/replay-whatif.c.
 *
 * A run that weir did not end itself (kill -9, power) may be cut off between the decisions of its last event: those that
 * did not get on record are told, and are no difference.
 *
 * After the first difference the replay is open-loop: the events that follow are answers to what was decided
 * then, not to what is decided now. It says so and stops there, unless --all is given.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "query.h"
#include "replay-record.h"
#include "replay-whatif.h"
#include "weir/base/cleanup.h"

struct replay {
    struct record record;
    const char *const *names; /* of the run */
    uint64_t seq;             /* of the event that was fed last */
    size_t next;              /* of its decisions: the first that no recorded one was held against */
    uint64_t recorded, compared;
    uint64_t events, samples, first_difference_seq, differences;
    uint64_t samples_lost;
    uint64_t cut_off; /* decisions of the last event that the end of the record lacks */
    char then[DECISION_TEXT_MAX], now[DECISION_TEXT_MAX]; /* of the first difference */
    bool go_on;
};

static bool is_over(const struct replay *r)
{
    return r->differences && !r->go_on;
}

static void differs(struct replay *r, uint64_t seq, const char *then, const char *now)
{
    if (r->differences++)
        return;
    r->first_difference_seq = seq;
    (void)snprintf(r->then, sizeof(r->then), "%s", then);
    (void)snprintf(r->now, sizeof(r->now), "%s", now);
}

/* The next decision of the event at hand, as text; "(nothing)" when there is none left. */
static int next_decided(struct replay *r, char buf[static DECISION_TEXT_MAX])
{
    if (r->next == r->record.decided_count)
        (void)snprintf(buf, DECISION_TEXT_MAX, "(nothing)");
    else if (decision_format(&r->record.decided[r->next++], r->names, buf, DECISION_TEXT_MAX) < 0)
        return -EINVAL;
    return 0;
}

/* What was decided now, and no recorded decision stands for. */
static int finish_event(struct replay *r)
{
    char now[DECISION_TEXT_MAX];
    while (r->next < r->record.decided_count && !is_over(r)) {
        int e = next_decided(r, now);
        if (e < 0)
            return e;
        differs(r, r->seq, "(nothing)", now);
    }
    return 0;
}

/* The record ends here. has_end: because weir ended. */
static int finish_run(struct replay *r, bool has_end)
{
    if (!has_end && !is_over(r)) {
        r->cut_off = r->record.decided_count - r->next;
        r->next = r->record.decided_count;
    }
    return finish_event(r);
}

static int on_event(struct replay *r, const struct event *event)
{
    r->events++;
    r->samples += event->kind == EVENT_SAMPLE;
    r->seq = event->seq;
    r->next = 0;
    return record_step(&r->record, event);
}

static int on_decision(struct replay *r, const struct store_row *row)
{
    char then[DECISION_TEXT_MAX], now[DECISION_TEXT_MAX] = "(nothing)";
    if (decision_format(&row->decision, row->unit_names, then, sizeof(then)) < 0)
        return -EINVAL;
    /* the event of a decision may be lost, the decision not */
    int e = row->decision.event_seq == r->seq ? next_decided(r, now) : 0;
    r->compared++;
    if (e == 0 && strcmp(then, now) != 0)
        differs(r, row->decision.event_seq, then, now);
    return e;
}

static int on_row(void *user, const struct store_row *row)
{
    struct replay *r = user;
    r->names = row->unit_names;
    r->recorded += row->type == STORE_ROW_DECISION;
    int e = row->type == STORE_ROW_EVENT ? finish_event(r) : 0;
    if (e < 0 || is_over(r))
        return e;
    return row->type == STORE_ROW_EVENT ? on_event(r, &row->event) : on_decision(r, row);
}

struct found_run {
    uint64_t run, samples_lost;
    bool has_end;
};

static int note_run(void *user, const struct store_run_row *row)
{
    struct found_run *found = user;
    if (row->run == found->run) {
        found->samples_lost = row->samples_dropped;
        found->has_end = row->end_wall_us != 0;
    }
    return 0;
}

static void print_text(const struct replay *r, uint64_t run)
{
    printf("run %" PRIu64 ": %" PRIu64 " events (%" PRIu64 " samples), %" PRIu64 " of %" PRIu64
           " recorded decisions compared\n",
           run, r->events, r->samples, r->compared, r->recorded);
    if (r->samples_lost)
        printf("%" PRIu64 " samples of this run were lost: the engine saw more than is fed to it here\n",
               r->samples_lost);
    if (r->record.refused)
        printf("%" PRIu64 " events were refused by the engine: they name a unit without a policy\n",
               r->record.refused);
    if (r->cut_off)
        printf("the record ends in the middle of its last event: %" PRIu64
               " decision%s of it %s not on record\n",
               r->cut_off, r->cut_off == 1 ? "" : "s", r->cut_off == 1 ? "is" : "are");
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
    json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "run", cli_json_u64(run), "events",
                          cli_json_u64(r->events), "samples", cli_json_u64(r->samples), "samples_lost",
                          cli_json_u64(r->samples_lost), "decisions_recorded", cli_json_u64(r->recorded),
                          "decisions_compared", cli_json_u64(r->compared), "decisions_cut_off",
                          cli_json_u64(r->cut_off), "differences", cli_json_u64(r->differences), "identical",
                          !r->differences);
    if (r->differences)
        json_object_set_new(o, "first_difference",
                            json_pack("{s:o, s:s, s:s}", "seq", cli_json_u64(r->first_difference_seq),
                                      "recorded", r->then, "now", r->now));
    json_dumpf(o, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
    json_decref(o);
}

static void replay_deinit(struct replay *r)
{
    record_deinit(&r->record);
}

static int not_understood(uint64_t run, uint64_t seq)
{
    fprintf(stderr,
            "weir: run %" PRIu64 " was recorded by a weir of another version: event seq %" PRIu64
            " or its policy is not understood\n",
            run, seq);
    return CLI_EXIT_FAILED;
}

static int replay_run(struct cli_query *q, const struct cli_args *args, uint64_t run)
{
    _cleanup_(replay_deinit) struct replay r = {.go_on = args->all};
    struct found_run found = {.run = run};
    int e = store_read_runs(q->reader, note_run, &found);
    r.samples_lost = found.samples_lost;
    if (e == 0)
        e = record_init(&r.record, q->reader, run);
    if (e == 0)
        e = store_read_replay(q->reader, run, on_row, &r);
    if (e == 0)
        e = finish_run(&r, found.has_end);
    if (e == -ENODATA) {
        fprintf(stderr,
                "weir replay: run %" PRIu64
                ": nothing to replay, it was cut off before its policy was on record\n",
                run);
        return CLI_EXIT_FAILED;
    }
    if (e == -ENOTSUP || e == -EINVAL)
        return not_understood(run, r.events ? r.seq : 1);
    if (e < 0)
        return cli_read_failed(q, e);
    if (args->format == CLI_FORMAT_JSON)
        print_json(&r, run);
    else
        print_text(&r, run);
    return r.differences ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}

static int check_run(const struct cli_args *args)
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

int cmd_replay(const struct cli_args *args)
{
    if (args->config && !args->recorded)
        return replay_whatif(args);
    if (args->sweep_count || args->unit || args->format == CLI_FORMAT_CSV) {
        fputs("weir replay: --sweep, --unit and --csv are for another policy than the recorded one: -c "
              "CONFIG\n",
              stderr);
        return CLI_EXIT_USAGE;
    }
    uint64_t run;
    const char *word = args->word_count ? args->words[0] : NULL;
    if (word && cli_parse_run(word, 1, &run) < 0 && access(word, F_OK) == 0) {
        fprintf(stderr,
                "weir replay: a trace has no policy on record; say with -c CONFIG what is to judge %s\n",
                word);
        return CLI_EXIT_USAGE;
    }
    return check_run(args);
}
