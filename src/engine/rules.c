/* SPDX-License-Identifier: MIT */
/*
 * Rules at work: when one begins on a unit, what it does, when it is over.
 *
 *                  `when` is true                    `until` is true; without one: `when` is false for REST
 *   at rest ----------------------------> active ------------------------------------------------------> at rest
 *      ^         its actions, in order               what it began and still lasts is let go     |
 *      +---------------- REST after its end, at the earliest, it may begin again ----------------+
 *
 *   - Judged at each sample while the unit is ready or draining; not while it starts, stops, or is frozen by an
 *     operator. A unit needs no memory limit for it. A new life of the unit begins with every rule at rest.
 *   - Actions are done once, when it begins. What cannot be done is a NOTE with the reason why.
 *   - `limit = N per T`: the beginnings of the last T are counted, over all lives of the unit. One too many does
 *     nothing but a NOTE, once until there is room again.
 *   - `for` in an `until` counts from the beginning of what it ends.
 *
 * Precedence, at one sample of one unit:
 *   1. the ladder's restart at the critical level: the kernel is at the door
 *   2. the rules, in the order of the config: those that are over, then those that begin. After a stop or restart
 *      nothing more is done; of a stop and a restart the stop wins, whichever stands first.
 *   3. the ladder's other steps
 * A throttle, pace or hold that is on stays its beginner's: nobody else begins it again or ends it before its time.
 *
 * A rule's restart is the ladder's restart with another reason: a planned recycle or a failure by recycle_min_life,
 * counted by recycle.c, and refused while restarting is given up. A rule's stop keeps the unit down until an operator
 * starts it.
 *
 * mode = observe of the unit: everything is decided as if, and after a restart or stop that was not done nothing more
 * begins until the rule is over. mode = observe of the rule, whatever the unit's: its actions are told when it begins;
 * the unit is judged by the ladder and the other rules as if it were not there.
 */
#include "rules.h"

#include <stdio.h>
#include <string.h>

/* One action of a rule that begins. */
struct doing {
    struct turn *t;
    struct engine_unit *u;
    struct rule_life *life;
    const struct rule_action *action;
    struct why why;
    bool told_only; /* mode = observe of the rule alone */
    bool stop_wins; /* another rule stops the unit at this sample */
};

/* The decision of a rule, with what the unit's memory looks like where the rule is about that. */
static struct decision *emit(struct turn *t, struct engine_unit *u, enum decision_kind kind,
                             const struct why *why)
{
    struct decision *d = engine_emit(t, u, kind, why);
    ladder_tell_shape(t, u, d);
    return d;
}

static void refuse(const struct doing *d, uint32_t rejected)
{
    static const enum decision_kind kinds[RULE_ACTION_KIND_COUNT] = {
        [RULE_ACTION_NOTE] = DECISION_NOTE,       [RULE_ACTION_NOTIFY] = DECISION_NOTIFY,
        [RULE_ACTION_PACE] = DECISION_PACE,       [RULE_ACTION_HOLD] = DECISION_HOLD,
        [RULE_ACTION_RECLAIM] = DECISION_RECLAIM, [RULE_ACTION_THROTTLE] = DECISION_THROTTLE,
        [RULE_ACTION_RESTART] = DECISION_RESTART, [RULE_ACTION_STOP] = DECISION_STOP,
    };
    if (!rejected)
        return;
    struct decision *note = emit(d->t, d->u, DECISION_NOTE, &d->why);
    note->rejected = rejected;
    note->amount[0] = 1 + (uint64_t)kinds[d->action->kind];
}

static bool unit_observes(const struct doing *d)
{
    return unit_policy(d->t, d->u)->mode == UNIT_MODE_OBSERVE;
}

static struct decision *tell(const struct doing *d, enum decision_kind kind)
{
    struct decision *told = emit(d->t, d->u, kind, &d->why);
    told->observe = true;
    return told;
}

/* What would keep a rule that only tells from it is told instead. */
static bool is_possible(const struct doing *d, uint32_t rejected)
{
    refuse(d, rejected);
    return rejected == 0;
}

/* Each returns whether it ends what is to be done at this sample. */

static bool do_note(struct doing *d)
{
    emit(d->t, d->u, DECISION_NOTE, &d->why);
    return false;
}

static bool do_notify(struct doing *d)
{
    if (!d->told_only)
        refuse(d, ladder_notify(d->t, d->u, &d->why));
    else if (is_possible(d, ladder_notify_rejects(d->t, d->u)))
        tell(d, DECISION_NOTIFY);
    return false;
}

static bool do_gate(struct doing *d, enum decision_kind kind)
{
    const struct rule_action *a = d->action;
    struct hold_order order = {.kind = kind,
                               .inflight = a->per_us ? 0 : a->amount,
                               .interval_us = a->per_us ? a->per_us / a->amount : 0,
                               .observe = unit_observes(d)};
    if (!d->told_only)
        refuse(d, hold_begin_rule(d->t, d->u, &d->why, &order));
    else if (is_possible(d, hold_rejects(d->t, d->u, &d->why, kind))) {
        struct decision *told = tell(d, kind);
        told->amount[0] =
            kind == DECISION_PACE ? order.inflight : unit_policy(d->t, d->u)->ladder.hold_max_us;
        told->amount[1] = order.interval_us;
    }
    return false;
}

static bool do_pace(struct doing *d)
{
    return do_gate(d, DECISION_PACE);
}

static bool do_hold(struct doing *d)
{
    return do_gate(d, DECISION_HOLD);
}

static bool do_reclaim(struct doing *d)
{
    uint64_t limit = ladder_memory_limit(unit_policy(d->t, d->u), &d->t->event->sample);
    uint64_t bytes = d->action->amount;
    if (d->action->is_share && limit == UINT64_MAX) {
        refuse(d, 1U << REJECTED_NO_LIMIT);
        return false;
    }
    if (d->action->is_share)
        bytes = mul_div_u64(limit, bytes, PERMYRIAD_ONE);
    if (!d->told_only)
        refuse(d, reclaim_begin_rule(d->t, d->u, &d->why, unit_observes(d), bytes));
    else if (is_possible(d, reclaim_rejects(d->t, d->u)))
        tell(d, DECISION_RECLAIM)->amount[0] = bytes;
    return false;
}

static bool do_throttle(struct doing *d)
{
    if (!d->told_only)
        refuse(d, throttle_begin_rule(d->t, d->u, &d->why, unit_observes(d)));
    else if (is_possible(d, throttle_rejects(d->t, d->u)))
        throttle_means(d->t, d->u, tell(d, DECISION_THROTTLE)->amount);
    return false;
}

/* What is said of the stop goes on when the turn, or even the rule, is gone. */
static const struct why *lasting_why(struct doing *d)
{
    snprintf(d->u->stop_rule, sizeof(d->u->stop_rule), "%s", d->why.rule);
    d->why.rule = d->u->stop_rule;
    return &d->why;
}

static bool do_restart(struct doing *d)
{
    if (recycle_is_off(d->u)) {
        if (!d->life->refusal_told)
            refuse(d, recycle_rejected(d->u));
        d->life->refusal_told = true;
        return false;
    }
    if (d->told_only) {
        tell(d, DECISION_RESTART)->amount[0] = ladder_is_planned(d->t, d->u);
        return true;
    }
    if (d->stop_wins)
        return false;
    d->life->would_have = d->u->recycle.would_have_by_rule = unit_observes(d);
    ladder_restart(d->t, d->u, lasting_why(d), false);
    return true;
}

static bool do_stop(struct doing *d)
{
    struct stop_order order = {.kind = DECISION_STOP, .then = THEN_STOPPED};
    if (d->told_only || unit_observes(d)) {
        tell(d, DECISION_STOP);
        if (!d->told_only) {
            ladder_let_go(d->t, d->u, &d->why);
            d->u->recycle.would_have_by_rule = d->life->would_have = true;
        }
        return true;
    }
    order.why = *lasting_why(d);
    d->u->held_down = d->u->held_by_rule = true;
    unit_stop(d->t, d->u, &order);
    return true;
}

static bool (*const actions[RULE_ACTION_KIND_COUNT])(struct doing *) = {
    [RULE_ACTION_NOTE] = do_note,       [RULE_ACTION_NOTIFY] = do_notify,
    [RULE_ACTION_PACE] = do_pace,       [RULE_ACTION_HOLD] = do_hold,
    [RULE_ACTION_RECLAIM] = do_reclaim, [RULE_ACTION_THROTTLE] = do_throttle,
    [RULE_ACTION_RESTART] = do_restart, [RULE_ACTION_STOP] = do_stop,
};

/* --- a rule's life --------------------------------------------------------------------------------- */

/* One rule on the unit of one sample. */
struct judging {
    struct turn *t;
    struct engine_unit *u;
    const struct rule *rule;
    struct rule_slot *slot;
    struct rule_fact fact; /* of its `when` */
};

static struct judging judging_of(struct turn *t, struct engine_unit *u, struct rule_slot *slot)
{
    return (struct judging){.t = t, .u = u, .rule = &slot->rule->rule, .slot = slot};
}

static struct why why_of_fact(const struct judging *j, enum decision_reason reason,
                              const struct rule_fact *fact)
{
    struct why why = why_of(j->slot->rule->name, reason);
    why_measure(&why, fact->metric, fact->observed, fact->threshold);
    why.held_us = fact->held_us;
    return why;
}

static void let_go(struct judging *j, const struct rule_fact *fact)
{
    struct rule_life *life = &j->slot->life;
    struct why why = why_of_fact(j, REASON_RULE_OVER, fact);
    throttle_end_of(j->t, j->u, &why);
    hold_end_of(j->t, j->u, &why);
    reclaim_end_of(j->u, j->slot->rule->name);
    if (life->would_have)
        j->u->recycle.would_have = j->u->recycle.would_have_by_rule = false;
    life->active = life->would_have = false;
    life->rest_until_us = engine_later(j->t->event->t_us, RULE_REST_US);
}

/* Without an `until`: `when` is known not to hold for a while. */
static enum truth is_over_by_itself(struct judging *j, enum truth when, struct rule_fact *fact,
                                    uint64_t *ret_due_us)
{
    struct rule_hold *off = &j->slot->life.off;
    uint64_t held = rule_hold_observe(off, truth_not(when), j->t);
    if (held == NOT_HELD)
        return TRUTH_FALSE;
    fact->held_us = held;
    if (held < RULE_REST_US)
        *ret_due_us = engine_later(off->since_us, RULE_REST_US);
    return held < RULE_REST_US ? TRUTH_FALSE : TRUTH_TRUE;
}

/* What is about to happen wants a sample at that very moment: a `for` that ends, of what matters now. */
static void look_closely(struct engine_unit *u, const struct turn *t, uint64_t due_us)
{
    uint64_t until = engine_later(due_us, t->policy->fast_interval_us);
    if (due_us - t->event->t_us < t->policy->interval_us && until > u->fast_until_us)
        u->fast_until_us = until;
}

/* Ends it when it is over. Returns whether it may begin. */
static bool judge(struct judging *j)
{
    struct rule_life *life = &j->slot->life;
    struct rule_eval x = {j->t, j->u, j->slot->holds, j->slot->rings, USEC_INFINITY};
    struct rule_fact over = {0};
    enum truth when = rule_eval(&x, &j->rule->when, &j->fact), until;
    uint64_t begin_us = x.due_us;
    x.due_us = USEC_INFINITY;
    if (j->rule->until.count) {
        until = rule_eval(&x, &j->rule->until, &over);
    } else {
        over = j->fact;
        until = is_over_by_itself(j, when, &over, &x.due_us);
    }
    look_closely(j->u, j->t, life->active ? x.due_us : begin_us);
    if (life->active && until == TRUTH_TRUE)
        let_go(j, &over);
    return when == TRUTH_TRUE && !life->active && j->t->event->t_us >= life->rest_until_us;
}

static bool is_limited(const struct judging *j)
{
    const struct rule_life *life = &j->slot->life;
    uint32_t n = 0;
    for (uint32_t i = 0; i < life->begun_count; i++)
        n += j->t->event->t_us - j->slot->begun_us[i] < j->rule->limit_window_us;
    return j->rule->limit_count != 0 && n >= j->rule->limit_count;
}

static void note_limit(struct judging *j)
{
    struct why why = why_of_fact(j, REASON_RULE_LIMIT, &j->fact);
    if (!j->slot->life.limit_told)
        emit(j->t, j->u, DECISION_NOTE, &why)->rejected = 1U << REJECTED_RULE_LIMIT;
    j->slot->life.limit_told = true;
}

static void count_beginning(struct judging *j)
{
    struct rule_life *life = &j->slot->life;
    j->slot->begun_us[life->begun_next] = j->t->event->t_us;
    life->begun_next = (life->begun_next + 1) % j->rule->limit_count;
    if (life->begun_count < j->rule->limit_count)
        life->begun_count++;
}

static void begin(struct judging *j)
{
    struct rule_life *life = &j->slot->life;
    life->active = true;
    life->limit_told = false;
    life->off = (struct rule_hold){0};
    if (j->rule->limit_count)
        count_beginning(j);
    struct rule_slot *slot = j->slot;
    for (size_t i = slot->hold_count - slot->until_holds; i < slot->hold_count; i++)
        slot->holds[i].on = false;
}

/* Returns whether nothing more is to be done about the unit at this sample. */
static bool act(struct judging *j, bool stop_wins)
{
    bool told_only = j->rule->observe;
    bool last = false;
    begin(j);
    for (uint32_t i = 0; i < j->rule->action_count && !last; i++) {
        struct doing d = {
            .t = j->t,
            .u = j->u,
            .life = &j->slot->life,
            .action = &j->rule->actions[i],
            .why = why_of_fact(j, REASON_RULE, &j->fact),
            .told_only = told_only,
            .stop_wins = stop_wins,
        };
        last = actions[d.action->kind](&d);
    }
    return last && !told_only;
}

static bool stops(const struct rule *r)
{
    for (uint32_t i = 0; i < r->action_count; i++)
        if (r->actions[i].kind == RULE_ACTION_STOP)
            return !r->observe;
    return false;
}

/* --- the rules of a unit --------------------------------------------------------------------------- */

static struct unit_rules *rules_of(const struct turn *t, const struct engine_unit *u)
{
    struct rule_book *book = t->e->rules;
    return book && u->index < book->unit_count ? &book->units[u->index] : NULL;
}

/* The beginnings that its limit counts outlive the life of a unit. */
static void forget_life(struct unit_rules *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        struct rule_slot *slot = &all->slots[i];
        struct rule_life *life = &slot->life;
        life->active = life->would_have = life->refusal_told = false;
        life->rest_until_us = 0;
        life->off = (struct rule_hold){0};
        memset(slot->holds, 0, slot->hold_count * sizeof(*slot->holds));
        memset(slot->rings, 0, slot->ring_count * sizeof(*slot->rings));
    }
}

/* Judges every rule; returns those that begin (bit = slot), and whether one of them stops the unit. */
static uint64_t judge_all(struct turn *t, struct engine_unit *u, struct rule_fact facts[static RULES_MAX],
                          bool *ret_stop)
{
    struct unit_rules *all = rules_of(t, u);
    uint64_t begins = 0;
    *ret_stop = false;
    /* measured (bench_engine): a tenth of a step among 1000 units, whose rules fit into no cache */
    for (uint32_t i = 0; i < all->count; i++)
        __builtin_prefetch(all->slots[i].rings);
    for (uint32_t i = 0; i < all->count; i++) {
        struct judging j = judging_of(t, u, &all->slots[i]);
        if (!judge(&j))
            continue;
        begins |= UINT64_C(1) << i;
        facts[i] = j.fact;
        *ret_stop = *ret_stop || (stops(j.rule) && !is_limited(&j));
    }
    return begins;
}

bool rules_sample(struct turn *t, struct engine_unit *u)
{
    struct unit_rules *all = rules_of(t, u);
    struct rule_fact facts[RULES_MAX];
    bool stop, last = false;
    if (!all || all->count == 0 || u->ready_us == USEC_INFINITY)
        return false;
    if (all->generation != u->generation)
        forget_life(all);
    all->generation = u->generation;
    uint64_t begins = judge_all(t, u, facts, &stop);
    for (uint32_t i = 0; i < all->count && !last && !recycle_would_have(u); i++) {
        if (!((begins >> i) & 1U))
            continue;
        struct judging j = judging_of(t, u, &all->slots[i]);
        j.fact = facts[i];
        if (is_limited(&j))
            note_limit(&j);
        else
            last = act(&j, stop);
    }
    return last;
}

static bool is_active(const struct turn *t, const struct engine_unit *u, const struct owner *owner)
{
    const struct unit_rules *all = rules_of(t, u);
    for (uint32_t i = 0; all && i < all->count; i++)
        if (owner_is(owner, all->slots[i].rule->name))
            return all->slots[i].life.active;
    return false;
}

/* A rule that is gone or changed is no longer active: what it had begun ends with it. */
void rules_policy(struct turn *t, struct engine_unit *u)
{
    if (u->throttle.on && u->throttle.owner.is_rule && !is_active(t, u, &u->throttle.owner)) {
        struct why why = why_of(u->throttle.owner.name, REASON_CONFIGURED);
        throttle_end(t, u, &why);
    }
    if (u->hold.on && u->hold.owner.is_rule && !is_active(t, u, &u->hold.owner)) {
        struct why why = why_of(u->hold.owner.name, REASON_CONFIGURED);
        hold_end(t, u, &why);
    }
    if (u->reclaim.on && u->reclaim.owner.is_rule && !is_active(t, u, &u->reclaim.owner))
        reclaim_end(u);
}

uint64_t rules_active(const struct engine *e, uint16_t unit)
{
    uint64_t mask = 0;
    const struct engine_unit *u = &e->units[unit];
    if (!e->rules || unit >= e->rules->unit_count || !unit_is_running(u))
        return 0;
    const struct unit_rules *all = &e->rules->units[unit];
    for (uint32_t i = 0; i < all->count && all->generation == u->generation; i++)
        if (all->slots[i].life.active)
            mask |= UINT64_C(1) << (all->slots[i].rule - e->rules->rules);
    return mask;
}
