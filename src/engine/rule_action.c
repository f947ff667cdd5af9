/* SPDX-License-Identifier: MIT */
/*
 * What a rule does, and how often at most: "hold, restart" and "4 per 10m".
 *
 * One row of the table an action: its word and what may stand behind it. The order of the list is the order in which
 * things are done, and nothing is done after a stop or restart, so a list that says otherwise is refused here.
 */
#include "rule_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"
#include "weir/base/units.h"

#define WORD_MAX 24 /* chosen: longer than every action */

/* Chosen: a rule is judged at most a few times a second, and a month is longer than most runs. */
static const struct rule_times limit_times = {"per", 1 * USEC_PER_SEC, 30 * 86400 * USEC_PER_SEC};

enum argument { ARGUMENT_NONE, ARGUMENT_REQUESTS, ARGUMENT_AMOUNT };

static const struct {
    const char *name;
    enum argument argument;
} rows[] = {
    [RULE_ACTION_NOTE] = {"note", ARGUMENT_NONE},
    [RULE_ACTION_NOTIFY] = {"notify", ARGUMENT_NONE},
    [RULE_ACTION_PACE] = {"pace", ARGUMENT_REQUESTS},
    [RULE_ACTION_HOLD] = {"hold", ARGUMENT_NONE},
    [RULE_ACTION_RECLAIM] = {"reclaim", ARGUMENT_AMOUNT},
    [RULE_ACTION_THROTTLE] = {"throttle", ARGUMENT_NONE},
    [RULE_ACTION_RESTART] = {"restart", ARGUMENT_NONE},
    [RULE_ACTION_STOP] = {"stop", ARGUMENT_NONE},
};
_Static_assert(ARRAY_SIZE(rows) == RULE_ACTION_KIND_COUNT, "one row an action");

const char *rule_action_name(enum rule_action_kind kind)
{
    return rows[kind].name;
}

static bool ends_the_life(enum rule_action_kind kind)
{
    return kind == RULE_ACTION_RESTART || kind == RULE_ACTION_STOP;
}

/* --- actions ------------------------------------------------------------------------------------- */

static int fail_unknown(const struct rule_reader *r)
{
    const char *names[RULE_ACTION_KIND_COUNT];
    char word[WORD_MAX] = "";
    const struct rule_token *t = &r->token;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        names[i] = rows[i].name;
    if (t->length < sizeof(word))
        memcpy(word, t->start, t->length); /* the rest is 0 */
    const char *near = nearest_word(word, names, ARRAY_SIZE(names));
    return near
               ? rule_fail(r, t, "unknown action %s\ndid you mean '%s'?", rule_show(t).text, near)
               : rule_fail(r, t, "unknown action %s\nwrite note, notify, pace N, hold, reclaim, throttle, %s",
                           rule_show(t).text, "restart or stop");
}

static int fail_missing(const struct rule_reader *r)
{
    if (r->before.kind != RULE_TOKEN_END)
        return rule_fail(r, &r->token, "an action is missing after %s", rule_show(&r->before).text);
    if (r->token.kind == RULE_TOKEN_END)
        return rule_fail(r, &r->token, "no action\nwrite one or more, as in throttle, or hold, restart");
    return rule_fail(r, &r->token, "an action is missing before %s", rule_show(&r->token).text);
}

static int read_kind(struct rule_reader *r, enum rule_action_kind *ret)
{
    if (r->token.kind != RULE_TOKEN_WORD)
        return fail_missing(r);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (rule_token_is(&r->token, rows[i].name)) {
            *ret = (enum rule_action_kind)i;
            rule_reader_step(r);
            return 0;
        }
    return fail_unknown(r);
}

/* N of "pace N", N/s, N/min */
static int read_requests(struct rule_reader *r, struct rule_action *a)
{
    if (r->token.kind != RULE_TOKEN_NUMBER)
        return rule_fail(r, &r->token, "pace needs a number\nwrite pace 2: at most two requests in flight");
    struct rule_token at = r->token;
    char text[FORMAT_PACE_MAX] = "";
    uint32_t count = 0;
    if (at.length < sizeof(text))
        memcpy(text, at.start, at.length); /* the rest is 0 */
    int error = *text ? parse_pace(text, &count, &a->per_us) : -ERANGE;
    if (error == -ERANGE && strtoull(at.start, NULL, 10) == 0)
        return rule_fail(r, &at, "pace 0 lets nothing through\nwrite hold");
    if (error == -ERANGE)
        return rule_fail(r, &at, "%s is too large\nfrom 1 to %d", rule_show(&at).text, PACE_MAX);
    if (error < 0)
        return rule_fail(r, &at, "%s is no pace\nwrite pace 2 (in flight), pace 5/s or pace 30/min",
                         rule_show(&at).text);
    a->amount = count;
    rule_reader_step(r);
    return 0;
}

/* "of memory.max" behind a share: what it is a share of anyway. */
static int read_of_limit(struct rule_reader *r)
{
    if (!rule_token_is(&r->token, "of"))
        return 0;
    rule_reader_step(r);
    if (!rule_token_is(&r->token, "memory.max"))
        return rule_fail(r, &r->token, "reclaim takes a share of memory.max\nwrite 10%% of memory.max");
    rule_reader_step(r);
    return 0;
}

/* [SIZE|SHARE] of reclaim */
static int read_amount(struct rule_reader *r, struct rule_action *a)
{
    if (r->token.kind != RULE_TOKEN_NUMBER)
        return 0;
    struct rule_token at = r->token;
    a->is_share = at.start[at.length - 1] == '%';
    int error = rule_read_number(r, a->is_share ? METRIC_TYPE_PERMYRIAD : METRIC_TYPE_BYTES, &a->amount);
    if (error == 0 && a->is_share)
        error = read_of_limit(r);
    if (error < 0)
        return error;
    if (a->amount == 0)
        return rule_fail(r, &at, "reclaim of nothing\nwrite reclaim alone for the ladder's amount");
    if (a->is_share && a->amount > PERMYRIAD_ONE)
        return rule_fail(r, &at, "%s is too large\nno more than 100%% can be taken back",
                         rule_show(&at).text);
    return 0;
}

static int read_argument(struct rule_reader *r, struct rule_action *a)
{
    switch (rows[a->kind].argument) {
    case ARGUMENT_NONE:
        if (r->token.kind == RULE_TOKEN_NUMBER)
            return rule_fail(r, &r->token, "'%s' stands alone, it takes no value", rows[a->kind].name);
        return 0;
    case ARGUMENT_REQUESTS:
        return read_requests(r, a);
    case ARGUMENT_AMOUNT:
        return read_amount(r, a);
    }
    return 0;
}

/* May `a`, which stands at `at`, follow those before it? */
static int check_order(const struct rule_reader *r, const struct rule_token *at, const struct rule *so_far,
                       const struct rule_action *a)
{
    if (so_far->action_count >= RULE_ACTIONS_MAX)
        return rule_fail(r, at, "too many actions: %d at most", RULE_ACTIONS_MAX);
    for (uint32_t i = 0; i < so_far->action_count; i++) {
        enum rule_action_kind before = so_far->actions[i].kind;
        if (before == a->kind)
            return rule_fail(r, at, "'%s' is in the list already", rows[before].name);
        if (ends_the_life(before) && ends_the_life(a->kind))
            return rule_fail(r, at, "stop or restart, not both");
        if (ends_the_life(before))
            return rule_fail(r, at, "nothing is done after '%s'\nput '%s' before it", rows[before].name,
                             rows[a->kind].name);
    }
    return 0;
}

static int read_action(struct rule_reader *r, struct rule *out)
{
    struct rule_token at = r->token;
    struct rule_action a = {0};
    int error = read_kind(r, &a.kind);
    if (error == 0)
        error = read_argument(r, &a);
    if (error == 0)
        error = check_order(r, &at, out, &a);
    if (error == 0)
        out->actions[out->action_count++] = a;
    return error;
}

int rule_parse_actions(const char *text, struct rule *ret, struct rule_error *reterr)
{
    struct rule_reader r = rule_reader_begin(text, reterr);
    struct rule out = {0};
    int error = read_action(&r, &out);
    while (error == 0 && r.token.kind == RULE_TOKEN_COMMA) {
        rule_reader_step(&r);
        error = read_action(&r, &out);
    }
    if (error < 0)
        return error;
    if (r.token.kind != RULE_TOKEN_END)
        return rule_fail(&r, &r.token, "',' is missing before %s\nas in hold, restart",
                         rule_show(&r.token).text);
    memcpy(ret->actions, out.actions, sizeof(out.actions));
    ret->action_count = out.action_count;
    return 0;
}

int rule_actions_format(const struct rule *r, char *buf, size_t size)
{
    struct text_out o = text_begin(buf, size);
    for (uint32_t i = 0; i < r->action_count; i++) {
        const struct rule_action *a = &r->actions[i];
        text_put(&o, "%s%s", i ? ", " : "", rows[a->kind].name);
        if (a->amount == 0)
            continue;
        text_put(&o, " ");
        if (a->kind == RULE_ACTION_PACE) {
            char pace[FORMAT_PACE_MAX];
            text_put(&o, "%s", format_pace((uint32_t)a->amount, a->per_us, pace));
            continue;
        }
        rule_put_number(&o, a->is_share ? METRIC_TYPE_PERMYRIAD : METRIC_TYPE_BYTES, a->amount);
    }
    return text_end(&o);
}

/* --- the limit ----------------------------------------------------------------------------------- */

static int read_times(struct rule_reader *r, uint64_t *ret)
{
    struct rule_token at = r->token;
    if (rule_fail_lookalike(r, &at))
        return -EINVAL;
    if (at.kind != RULE_TOKEN_NUMBER)
        return rule_fail(r, &at, "a number of times is missing\nwrite 4 per 10m");
    if (memchr(at.start, '/', at.length))
        return rule_fail(r, &at, "%s is not a number of times\nwrite 4 per 10m", rule_show(&at).text);
    int error = rule_read_number(r, METRIC_TYPE_COUNT, ret);
    if (error == 0 && (*ret < 1 || *ret > RULE_LIMIT_MAX))
        return rule_fail(r, &at, "%s is out of range\nfrom 1 to %d", rule_show(&at).text, RULE_LIMIT_MAX);
    return error;
}

int rule_parse_limit(const char *text, struct rule *ret, struct rule_error *reterr)
{
    struct rule_reader r = rule_reader_begin(text, reterr);
    uint64_t count = 0, window_us = 0;
    int error = read_times(&r, &count);
    if (error < 0)
        return error;
    if (!rule_token_is(&r.token, "per"))
        return rule_fail(&r, &r.token, "'per' is missing after %s\nwrite 4 per 10m",
                         rule_show(&r.before).text);
    rule_reader_step(&r);
    error = rule_read_time(&r, &limit_times, &window_us);
    if (error < 0)
        return error;
    if (r.token.kind != RULE_TOKEN_END)
        return rule_fail(&r, &r.token, "nothing may follow the limit, but here is %s",
                         rule_show(&r.token).text);
    ret->limit_count = (uint32_t)count;
    ret->limit_window_us = window_us;
    return 0;
}

int rule_limit_format(const struct rule *r, char *buf, size_t size)
{
    struct text_out o = text_begin(buf, size);
    if (r->limit_count > 0) {
        text_put(&o, "%" PRIu32 " per ", r->limit_count);
        rule_put_number(&o, METRIC_TYPE_USEC, r->limit_window_us);
    }
    return text_end(&o);
}
