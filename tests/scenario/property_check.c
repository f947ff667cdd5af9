/* SPDX-License-Identifier: MIT */
/* What must hold of every decision, whatever comes; the list is in property.c. */
#include "property.h"

#include <string.h>

uint16_t unit_of(const struct side *s, uint16_t place)
{
    for (uint16_t i = 0; i < UNITS; i++)
        if (s->place[i] == place)
            return i;
    return UNIT_NONE;
}

bool runs(const struct known *k)
{
    return k->state == UNIT_STATE_STARTING || k->state == UNIT_STATE_READY ||
           k->state == UNIT_STATE_DRAINING || k->state == UNIT_STATE_ADOPTED;
}

static bool is_of_rule(const char *name)
{
    return strncmp(name, "rule.", 5) == 0;
}

/* The ladder's pace and hold have names of their own. */
static bool is_same_owner(const char *a, const char *b)
{
    return is_of_rule(a) ? strcmp(a, b) == 0 : !is_of_rule(b);
}

/* --- what must hold -------------------------------------------------------------------------------- */

static void check_state(struct world *w, struct known *k, const struct decision *d)
{
    HOLDS(w, d->amount[0] == k->state);
    HOLDS(w, lifecycle_may_move((enum unit_state)d->amount[0], (enum unit_state)d->amount[1]));
    k->state = (enum unit_state)d->amount[1];
    k->drain_us = d->t_us;
    HOLDS(w, runs(k) || (k->throttled_us == USEC_INFINITY && k->pulsed_us == USEC_INFINITY));
    HOLDS(w, runs(k) || k->held_us == USEC_INFINITY);
    if (!runs(k) || k->state == UNIT_STATE_DRAINING)
        k->reclaim_id = 0; /* what comes of it is nobody's any more */
    if (k->state == UNIT_STATE_ADOPTED)
        k->rule_stopped = false; /* it was found running after all */
    if (k->state == UNIT_STATE_STARTING)
        k->reclaim_count = 0, k->hold_pause_us = 0, k->limit_most = 0;
}

static void check_failure(struct world *w, const struct unit_policy *p, struct known *k, uint64_t t_us)
{
    uint32_t recent = 0;
    HOLDS(w, k->failure_count < 64);
    k->failures[k->failure_count++] = t_us;
    for (uint32_t i = 0; i < k->failure_count;)
        if (t_us - k->failures[i] >= p->failure_window_us) {
            k->failures[i] = k->failures[--k->failure_count];
        } else {
            recent++;
            i++;
        }
    HOLDS(w, recent < (p->failure_budget < FAILURES_MAX ? p->failure_budget : FAILURES_MAX));
}

static bool is_of_operator(const char *rule)
{
    return strcmp(rule, "operator") == 0;
}

static void check_throttle_begin(struct world *w, struct known *k, const struct decision *d)
{
    bool by_level = d->reason == REASON_MEMORY_LEVEL;
    HOLDS(w, runs(k) && k->throttled_us == USEC_INFINITY);
    HOLDS(w, d->generation != k->cooldown_generation || d->t_us >= k->cooldown_until_us ||
                 (k->let_go_early && by_level));
    k->throttled_us = k->steered_us = d->t_us;
    k->undos = 0;
    memcpy(k->throttle_rule, d->rule, sizeof(d->rule));
    k->throttle_reason = d->reason;
}

static void check_throttle_end(struct world *w, const struct unit_policy *p, struct known *k,
                               const struct decision *d)
{
    bool fell = d->reason == REASON_RELEASED || d->reason == REASON_FELL_BACK;
    if (k->throttled_us == USEC_INFINITY) {
        HOLDS(w,
              runs(k) && d->cause_id != 0 && d->amount[0] == 0 && ++k->undos <= 10); /* an end that failed */
        return;
    }
    HOLDS(w, d->amount[0] == d->t_us - k->throttled_us);
    HOLDS(w, !fell || d->observed < d->threshold);
    HOLDS(w, d->reason != REASON_TIME_BOUND || d->observed >= d->threshold);
    HOLDS(w, d->reason != REASON_RULE_OVER || strcmp(d->rule, k->throttle_rule) == 0);
    HOLDS(w, !fell || !is_of_rule(k->throttle_rule));
    HOLDS(w, d->reason != REASON_STOPPED_GROWING || k->throttle_reason == REASON_MEMORY_ETA ||
                 k->throttle_reason == REASON_MEMORY_JUMP);
    k->let_go_early = (fell || d->reason == REASON_STOPPED_GROWING || d->reason == REASON_RULE_OVER) &&
                      k->throttle_reason != REASON_MEMORY_LEVEL;
    k->cooldown_until_us = d->t_us + p->ladder.throttle_max_us;
    k->cooldown_generation = d->generation;
    k->throttled_us = k->pulsed_us = USEC_INFINITY;
}

static void check_throttle(struct world *w, const struct unit_policy *p, struct known *k,
                           const struct decision *d)
{
    if (d->kind == DECISION_THROTTLE) {
        check_throttle_begin(w, k, d);
    } else if (d->kind == DECISION_UNTHROTTLE) {
        check_throttle_end(w, p, k, d);
    } else if (d->kind == DECISION_PULSE_FREEZE) {
        HOLDS(w, k->throttled_us != USEC_INFINITY && k->pulsed_us == USEC_INFINITY && !d->observe);
        k->pulsed_us = d->t_us;
    } else if (d->kind == DECISION_PULSE_THAW) {
        HOLDS(w, k->pulsed_us != USEC_INFINITY);
        k->pulsed_us = USEC_INFINITY;
    }
}

static void check_steer(struct world *w, const struct unit_policy *p, struct known *k,
                        const struct decision *d)
{
    HOLDS(w, k->throttled_us != USEC_INFINITY && !d->observe);
    HOLDS(w, d->t_us - k->steered_us >= p->ladder.throttle_steer_us);
    HOLDS(w, d->amount[1] >= d->observed || d->amount[1] == p->memory_high_bytes);
    HOLDS(w, d->amount[1] != d->threshold && d->amount[1] <= p->memory_high_bytes);
    k->steered_us = d->t_us;
}

static void check_hold(struct world *w, const struct unit_policy *p, struct known *k,
                       const struct decision *d)
{
    bool on = k->held_us != USEC_INFINITY;
    if (d->kind == DECISION_RELEASE) {
        HOLDS(w, on && d->amount[0] == d->t_us - k->held_us);
        HOLDS(w, d->reason != REASON_RELEASED || (d->observed < d->threshold && !is_of_rule(k->hold_rule)));
        HOLDS(w, d->reason != REASON_RULE_OVER || strcmp(d->rule, k->hold_rule) == 0);
        k->hold_pause_us = d->reason == REASON_TIME_BOUND ? d->t_us + d->amount[0] : 0;
        k->held_us = USEC_INFINITY;
        return;
    }
    HOLDS(w, runs(k) && k->state != UNIT_STATE_STARTING && (p->abilities & ABILITY_GATE));
    HOLDS(w, !on || (d->kind == DECISION_HOLD && k->held == DECISION_PACE));
    HOLDS(w, on || d->t_us >= k->hold_pause_us || is_of_operator(d->rule));
    HOLDS(w, !on || is_same_owner(d->rule, k->hold_rule));
    memcpy(k->hold_rule, d->rule, sizeof(d->rule));
    if (!on) {
        k->held_us = d->t_us;
        k->held_bound_us = p->ladder.hold_max_us;
    }
    k->held = d->kind;
    HOLDS(w, d->kind == DECISION_PACE || d->amount[0] == k->held_us + k->held_bound_us - d->t_us);
}

static void check_ladder_reclaim(struct world *w, const struct unit_policy *p, struct known *k,
                                 const struct decision *d)
{
    uint64_t release = ladder_level(k->limit, p->ladder.release_permyriad), sum = d->amount[0];
    HOLDS(w, d->amount[0] >= 1 << 20 && d->amount[0] <= d->observed - release);
    for (uint32_t i = 0; i < RECLAIMS && i < k->reclaim_count; i++)
        if (d->t_us - k->reclaimed_us[i] < p->ladder.reclaim_cooldown_us)
            sum += k->reclaimed[i];
    /* two budgets touch any one span as long as a cool-down */
    HOLDS(w, sum / 2 <= k->limit_most - ladder_level(k->limit_most, p->ladder.release_permyriad));
    k->reclaimed[k->reclaim_count % RECLAIMS] = d->amount[0];
    k->reclaimed_us[k->reclaim_count++ % RECLAIMS] = d->t_us;
}

static void check_reclaim(struct world *w, const struct unit_policy *p, struct known *k,
                          const struct decision *d)
{
    HOLDS(w, runs(k) && k->state != UNIT_STATE_STARTING && (p->abilities & ABILITY_RECLAIM));
    HOLDS(w, d->amount[0] > 0 && d->amount[0] % 4096 == 0);
    if (!is_of_rule(d->rule))
        check_ladder_reclaim(w, p, k, d);
    if (d->observe)
        return;
    HOLDS(w, k->reclaim_id == 0);
    k->reclaim_id = d->id;
    k->reclaim_us = d->t_us;
}

static bool is_reclaim(const struct decision *d)
{
    return d->kind == DECISION_RECLAIM || d->kind == DECISION_RECLAIM_MORE;
}

static void check_not_off(struct world *w, const struct ladder_policy *l, const struct decision *d)
{
    if (is_of_rule(d->rule) || is_of_operator(d->rule))
        return;
    HOLDS(w, d->kind != DECISION_NOTIFY || l->notify_permyriad);
    HOLDS(w, d->kind != DECISION_PACE || l->pace_permyriad);
    HOLDS(w, d->kind != DECISION_HOLD || l->hold_permyriad);
    HOLDS(w, !is_reclaim(d) || l->reclaim_permyriad);
    HOLDS(w, d->kind != DECISION_THROTTLE || l->throttle_permyriad);
    HOLDS(w, d->kind != DECISION_RESTART || strncmp(d->rule, "ladder.", 7) != 0 || l->restart_permyriad ||
                 (d->reason == REASON_MEMORY_CRITICAL && l->critical_permyriad));
}

static void check_held_back(struct world *w, const struct unit_policy *p, struct known *k,
                            const struct decision *d)
{
    bool gate = d->kind == DECISION_PACE || d->kind == DECISION_HOLD || d->kind == DECISION_RELEASE;
    bool begins = d->kind == DECISION_PACE || d->kind == DECISION_HOLD || is_reclaim(d) ||
                  d->kind == DECISION_THROTTLE || d->kind == DECISION_STEER || d->kind == DECISION_NOTIFY;
    HOLDS(w, !begins || !k->frozen);
    if (d->kind == DECISION_STEER)
        check_steer(w, p, k, d);
    else if (is_reclaim(d))
        check_reclaim(w, p, k, d);
    else if (gate)
        check_hold(w, p, k, d);
    else if (d->kind == DECISION_NOTE && d->reason == REASON_LOW_YIELD && d->metric == METRIC_ELAPSED)
        k->reclaim_id = 0;
}

static void check_step(struct world *w, struct known *k, const struct decision *d)
{
    bool there = runs(k) || k->state == UNIT_STATE_STOPPING;
    if (d->kind == DECISION_TERM || d->kind == DECISION_KILL || d->kind == DECISION_CLEAN)
        HOLDS(w, k->state == UNIT_STATE_STOPPING);
    if (d->kind == DECISION_NOTIFY || d->kind == DECISION_FREEZE || d->kind == DECISION_THAW)
        HOLDS(w, runs(k));
    if (d->kind == DECISION_RESTART)
        HOLDS(w, there);
    HOLDS(w, !k->rule_stopped || (d->kind != DECISION_START && d->kind != DECISION_ADMIT));
    if (d->kind == DECISION_START)
        HOLDS(w, !runs(k) && d->generation == k->generation + 1);
    if (d->kind == DECISION_ADMIT && !d->amount[1])
        HOLDS(w, !runs(k) && d->generation == k->generation + 1);
    if (d->kind == DECISION_ADMIT && d->amount[1])
        HOLDS(w, runs(k));
}

/* --- rules ------------------------------------------------------------------------------------------- */

/* What a rule does at its beginning; what follows from that has the same reason. */
static bool begins_rule(const struct decision *d)
{
    static const uint64_t kinds = 1 << DECISION_NOTE | 1 << DECISION_NOTIFY | 1 << DECISION_PACE |
                                  1 << DECISION_HOLD | 1 << DECISION_RECLAIM | 1 << DECISION_THROTTLE |
                                  1 << DECISION_RESTART | 1 << DECISION_STOP;
    return d->reason == REASON_RULE && is_of_rule(d->rule) && (kinds >> d->kind & 1);
}

static uint32_t rule_index(const struct decision *d)
{
    return (uint32_t)(d->rule[strlen("rule.r")] - '0');
}

/* mode = observe of the rule, whatever the unit's: said, and nothing follows from it. */
static bool is_told_only(const struct side *s, const struct decision *d)
{
    return begins_rule(d) && d->observe && s->rules[rule_index(d)].observe;
}

static void check_rule(struct world *w, const struct side *s, struct known *k, const struct decision *d)
{
    uint32_t i = rule_index(d), recent = 0;
    const struct rule *r = &s->rules[i];
    HOLDS(w, runs(k) && k->state != UNIT_STATE_STARTING && !k->frozen);
    HOLDS(w, s->units[d->unit].rules >> i & 1);
    if (d->kind == DECISION_STOP && !d->observe)
        k->rule_stopped = true;
    if (k->begun_seq[i] == d->event_seq)
        return;
    for (uint32_t n = 0; n < k->begun_count[i] && n < RULE_LIMIT_MAX; n++)
        recent += d->t_us - k->begun_us[i][n] < r->limit_window_us;
    HOLDS(w, r->limit_count == 0 || recent < r->limit_count);
    k->begun_us[i][k->begun_count[i]++ % RULE_LIMIT_MAX] = d->t_us;
    k->begun_seq[i] = d->event_seq;
}

void forget_rule(struct side *s, uint32_t i, uint16_t unit)
{
    for (uint16_t u = 0; u < UNITS; u++)
        s->known[u].begun_count[i] = 0;
    memset(s->known[unit].begun_count, 0, sizeof(s->known[unit].begun_count));
}

void check_decision(struct world *w, struct side *s, const struct decision *d)
{
    HOLDS(w, d->id == s->last_id + 1 && !s->over);
    s->last_id = d->id;
    if (d->unit == UNIT_NONE) {
        HOLDS(w, d->kind == DECISION_EXIT);
        s->over = true;
        return;
    }
    struct known *k = &s->known[unit_of(s, d->unit)];
    k->recent[k->recent_count++ % RECENT] = d->id;
    if (begins_rule(d))
        check_rule(w, s, k, d);
    if (is_told_only(s, d))
        return;
    check_step(w, k, d);
    check_throttle(w, &s->units[d->unit], k, d);
    check_held_back(w, &s->units[d->unit], k, d);
    check_not_off(w, &s->units[d->unit].ladder, d);
    if (d->kind == DECISION_STATE)
        check_state(w, k, d);
    if (d->kind == DECISION_BACKOFF)
        check_failure(w, &s->units[d->unit], k, d->t_us);
    k->generation = d->generation;
}

/* As engine_unit_view should tell it; IDLE: nothing that a decision began and none has ended. */
static enum ladder_step step_of(const struct known *k)
{
    if (k->throttled_us != USEC_INFINITY)
        return LADDER_THROTTLE;
    if (k->held_us != USEC_INFINITY)
        return k->held == DECISION_HOLD ? LADDER_HOLD : LADDER_PACE;
    return LADDER_IDLE;
}

void check_bounds(struct world *w, const struct side *s)
{
    for (uint16_t i = 0; i < UNITS; i++) {
        const struct known *k = &s->known[i];
        const struct ladder_policy *l = &s->units[s->place[i]].ladder;
        HOLDS(w, k->throttled_us == USEC_INFINITY || w->now_us - k->throttled_us <= l->throttle_max_us);
        HOLDS(w, k->pulsed_us == USEC_INFINITY || w->now_us - k->pulsed_us <= l->pulse_freeze_us);
        HOLDS(w, (engine_sample_interval(s->engine, &s->policy, s->place[i]) != 0) <=
                     (runs(k) || k->state == UNIT_STATE_STOPPING));
        HOLDS(w, k->held_us == USEC_INFINITY || w->now_us - k->held_us <= k->held_bound_us);
        HOLDS(w, k->reclaim_id == 0 || w->now_us - k->reclaim_us <= RECLAIM_WAIT_US);
        struct unit_view v;
        engine_unit_view(s->engine, s->place[i], &v);
        HOLDS(w, v.state == k->state && v.generation == k->generation);
        HOLDS(w, !v.frozen || (k->throttled_us == USEC_INFINITY && k->held_us == USEC_INFINITY));
        HOLDS(w, !runs(k) || v.step == step_of(k) || (v.step <= LADDER_RECLAIM && step_of(k) == LADDER_IDLE));
        HOLDS(w, k->throttled_us == USEC_INFINITY || l->throttle_permyriad || is_of_rule(k->throttle_rule));
        HOLDS(w, k->state != UNIT_STATE_DRAINING ||
                     w->now_us - k->drain_us <=
                         s->units[s->place[i]].drain_us +
                             (s->units[s->place[i]].overlap ? s->units[s->place[i]].ready_timeout_us : 0));
        HOLDS(w, k->held_us == USEC_INFINITY || is_of_rule(k->hold_rule) || is_of_operator(k->hold_rule) ||
                     (k->held == DECISION_PACE ? l->pace_permyriad : l->hold_permyriad));
    }
}
