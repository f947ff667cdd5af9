/* SPDX-License-Identifier: MIT */
/*
 * The simulated host; see the header. Answers wait in an unordered queue; the earliest (then the first put
 * in) goes next. Deadlines come when nothing else is due at that instant.
 */
#include "simhost.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STEP_US 1000ULL /* an answer that takes no time takes this long */

void sim_init(struct sim *s, FILE *out)
{
    *s = (struct sim){.out = out, .obedient = true, .next_ticket = 1, .next_pid = 100};
    policy_defaults(&s->policy);
    s->policy.units = s->units;
    s->policy.rules = s->rules;
    s->engine = engine_new(SIM_UNITS_MAX);
    if (!s->engine)
        abort();
}

void sim_deinit(struct sim *s)
{
    s->engine = engine_free(s->engine);
}

int sim_add_unit(struct sim *s, const char *name)
{
    uint32_t i = s->policy.unit_count;
    if (i == SIM_UNITS_MAX || strlen(name) >= UNIT_NAME_MAX)
        return -1;
    struct unit_policy *p = &s->units[i];
    memset(p, 0, sizeof(*p));
    policy_unit_defaults(p);
    strcpy(p->name, name);
    p->memory_max_bytes = p->memory_high_bytes = UINT64_MAX;
    p->abilities = ABILITY_MEMORY_MAX | ABILITY_MEMORY_HIGH | ABILITY_CPU_MAX | ABILITY_FREEZE |
                   ABILITY_KILL | ABILITY_PRESSURE | ABILITY_NOTIFY;
    s->names[i] = p->name;
    s->hosts[i].high = UINT64_MAX;
    s->hosts[i].manner = (struct sim_manner){
        .ready_us = 500 * USEC_PER_MSEC,
        .drain_us = 50 * USEC_PER_MSEC,
        .term_us = 100 * USEC_PER_MSEC,
        .kill_us = 5 * USEC_PER_MSEC,
        .exit_us = SIM_NEVER,
        .child_of = UNIT_NONE,
        .held_permyriad = PERMYRIAD_ONE,
        .yield_permyriad = PERMYRIAD_ONE,
        .reclaim_us = 10 * USEC_PER_MSEC,
    };
    s->policy.unit_count++;
    return (int)i;
}

static uint32_t rule_index(const struct sim *s, const char *name)
{
    uint32_t i = 0;
    while (i < s->policy.rule_count && strcmp(s->rules[i].name, name) != 0)
        i++;
    return i;
}

static void prepare(struct sim *s)
{
    if (engine_prepare(s->engine, &s->policy) < 0)
        abort();
}

bool sim_put_rule(struct sim *s, const struct rule *rule, uint64_t units)
{
    uint32_t i = rule_index(s, rule->name);
    if (i == RULES_MAX)
        return false;
    s->rules[i] = *rule;
    if (i == s->policy.rule_count)
        s->policy.rule_count++;
    for (uint32_t u = 0; u < s->policy.unit_count; u++) {
        s->units[u].rules &= ~(UINT64_C(1) << i);
        s->units[u].rules |= ((units >> u) & 1U) << i;
    }
    prepare(s);
    return true;
}

/* Those behind it move up, in the masks too. */
bool sim_drop_rule(struct sim *s, const char *name)
{
    uint32_t i = rule_index(s, name);
    if (i == s->policy.rule_count)
        return false;
    uint32_t behind = --s->policy.rule_count - i;
    uint64_t before = (UINT64_C(1) << i) - 1;
    memmove(&s->rules[i], &s->rules[i + 1], behind * sizeof(s->rules[0]));
    for (uint32_t u = 0; u < s->policy.unit_count; u++) {
        uint64_t mask = s->units[u].rules;
        s->units[u].rules = (mask & before) | ((mask >> 1) & ~before);
    }
    prepare(s);
    return true;
}

static void put(struct sim *s, uint64_t after_us, struct event event)
{
    if (after_us == SIM_NEVER)
        return;
    if (s->queued == SIM_EVENTS_MAX)
        abort();
    event.t_us = s->now_us + after_us;
    s->queue[s->queued++] = (struct sim_event){event, s->order++};
}

static struct event of_unit(const struct sim *s, uint16_t unit, enum event_kind kind)
{
    return (struct event){.kind = kind, .unit = unit, .generation = s->hosts[unit].generation};
}

static void put_arrival(struct sim *s, uint16_t unit, uint64_t after_us)
{
    struct event arrived = of_unit(s, unit, EVENT_ARRIVED);
    arrived.arrived.pid = s->next_pid++;
    arrived.arrived.via = s->hosts[unit].manner.child_of;
    arrived.arrived.ticket = s->next_ticket++;
    put(s, after_us, arrived);
}

static void spawn(struct sim *s, const struct decision *d, enum event_how how)
{
    struct sim_unit *h = &s->hosts[d->unit];
    const struct sim_manner *m = &h->manner;
    if (how == EVENT_HOW_WRAPPED && d->amount[1])
        return; /* joins a cgroup; nothing to tell */
    h->generation = d->generation;
    struct event event = of_unit(s, d->unit, m->spawn_error ? EVENT_SPAWN_FAILED : EVENT_SPAWNED);
    if (m->spawn_error) {
        event.error = m->spawn_error;
        put(s, STEP_US, event);
        return;
    }
    event.spawned.pid = s->next_pid++;
    event.spawned.how = how;
    put(s, STEP_US, event);
    h->alive = h->populated = true;
    h->spawned_us = h->lived_at_us = s->now_us + STEP_US;
    h->lived_us = 0;
    h->throttled = h->pulsed = false;
    h->high = UINT64_MAX;
    h->taken_bytes = h->cpu_us = h->high_events = 0;
    if (s->units[d->unit].has_ready && m->ready_us != SIM_NEVER)
        put(s, STEP_US + m->ready_us, of_unit(s, d->unit, EVENT_READY));
    if (m->exit_us != SIM_NEVER) {
        struct event exited = of_unit(s, d->unit, EVENT_EXITED);
        exited.exit = m->exit;
        put(s, STEP_US + m->exit_us, exited);
    }
}

static void end_main(struct sim *s, uint16_t unit, uint64_t after_us, int32_t signal)
{
    struct event exited = of_unit(s, unit, EVENT_EXITED);
    exited.exit = (struct event_exit){.status_known = true, .signal = signal};
    if (s->hosts[unit].alive)
        put(s, after_us, exited);
}

static void kill_all(struct sim *s, uint16_t unit)
{
    uint64_t after_us = s->hosts[unit].manner.kill_us;
    if (after_us == SIM_NEVER || !s->hosts[unit].populated)
        return;
    end_main(s, unit, after_us, SIGKILL);
    put(s, after_us, of_unit(s, unit, EVENT_EMPTY));
    s->hosts[unit].populated = false;
}

/* Tells when it went wrong; what went well is told for RECLAIM only. */
static void answer_outcome(struct sim *s, const struct decision *d)
{
    int32_t error = s->hosts[d->unit].manner.outcome_error;
    if (!error)
        return;
    struct event outcome = of_unit(s, d->unit, EVENT_OUTCOME);
    outcome.outcome.decision_id = d->id;
    outcome.outcome.result = error == EOPNOTSUPP ? EVENT_RESULT_UNSUPPORTED : EVENT_RESULT_FAILED;
    outcome.outcome.error = error;
    put(s, STEP_US, outcome);
}

static void answer_later(struct sim *s, const struct decision *d, uint64_t after_us)
{
    struct event outcome = of_unit(s, d->unit, EVENT_OUTCOME);
    outcome.outcome.decision_id = d->id;
    if (s->hosts[d->unit].manner.outcome_error)
        answer_outcome(s, d);
    else
        put(s, after_us, outcome);
}

static uint64_t memory_of(const struct sim_unit *h)
{
    const struct sim_manner *m = &h->manner;
    uint64_t grown = m->base_bytes + mul_div_u64(m->rate_bytes, h->lived_us, USEC_PER_SEC);
    return grown > h->taken_bytes ? grown - h->taken_bytes : 0;
}

/* Lets a unit live up to now, at the pace that it had since the last time. What memory.high stops moves nothing but
 * its counter. */
static void live(struct sim *s, struct sim_unit *h)
{
    const struct sim_manner *m = &h->manner;
    if (s->now_us <= h->lived_at_us)
        return;
    uint64_t passed = s->now_us - h->lived_at_us;
    bool parked = m->parks && memory_of(h) >= h->high;
    uint32_t share = h->pulsed || parked ? 0 : h->throttled ? m->held_permyriad : PERMYRIAD_ONE;
    uint32_t cpu = h->pulsed      ? 0
                   : parked       ? m->parked_cpu_permyriad
                   : h->throttled ? m->held_cpu_permyriad
                                  : m->cpu_permyriad;
    h->lived_us += mul_div_u64(passed, share, PERMYRIAD_ONE);
    h->cpu_us += mul_div_u64(passed, cpu, PERMYRIAD_ONE);
    h->high_events += parked;
    h->lived_at_us = s->now_us;
}

static void lower(struct sample *sample, enum sample_field field, uint64_t by)
{
    uint64_t before = sample->value[field];
    if (sample_has(sample, field))
        sample->value[field] = before > by ? before - by : 0;
}

static void take_back(struct sim *s, const struct decision *d)
{
    struct sim_unit *h = &s->hosts[d->unit];
    uint64_t amount = mul_div_u64(d->amount[0], h->manner.yield_permyriad, PERMYRIAD_ONE);
    if (h->manner.outcome_error) {
        answer_outcome(s, d);
        return;
    }
    struct event outcome = of_unit(s, d->unit, EVENT_OUTCOME);
    outcome.outcome.decision_id = d->id;
    outcome.outcome.result =
        h->manner.yield_permyriad >= PERMYRIAD_ONE ? EVENT_RESULT_DONE : EVENT_RESULT_PARTIAL;
    outcome.outcome.amount = amount;
    put(s, h->manner.reclaim_us, outcome);
    if (h->manner.reclaim_us == SIM_NEVER)
        return;
    h->taken_bytes += amount;
    lower(&h->sample, SAMPLE_MEMORY_CURRENT, amount);
    lower(&h->sample, SAMPLE_MEMORY_FILE, amount);
}

static void hold_back(struct sim *s, const struct decision *d)
{
    struct sim_unit *h = &s->hosts[d->unit];
    live(s, h);
    if (d->kind == DECISION_THROTTLE || d->kind == DECISION_UNTHROTTLE)
        h->throttled = d->kind == DECISION_THROTTLE;
    if (d->kind == DECISION_UNTHROTTLE)
        h->high = UINT64_MAX;
    else if ((d->kind == DECISION_THROTTLE || d->kind == DECISION_STEER) && d->amount[1])
        h->high = d->amount[1];
    h->pulsed = d->kind == DECISION_PULSE_FREEZE;
    if (d->kind == DECISION_THROTTLE || d->kind == DECISION_PULSE_FREEZE || d->kind == DECISION_STEER)
        answer_outcome(s, d);
}

static void obey(struct sim *s, const struct decision *d)
{
    switch (d->kind) {
    case DECISION_START:
        spawn(s, d, EVENT_HOW_SPAWNED);
        break;
    case DECISION_ADMIT:
        spawn(s, d, EVENT_HOW_WRAPPED);
        break;
    case DECISION_TERM:
        end_main(s, d->unit, s->hosts[d->unit].manner.term_us, SIGTERM);
        break;
    case DECISION_KILL:
        kill_all(s, d->unit);
        break;
    case DECISION_CLEAN:
        put(s, STEP_US, of_unit(s, d->unit, EVENT_CLEANED));
        break;
    case DECISION_STATE:
        if (d->amount[1] == UNIT_STATE_READY)
            for (uint16_t i = 0; i < s->policy.unit_count; i++)
                if (s->hosts[i].manner.child_of == d->unit)
                    put_arrival(s, i, STEP_US);
        if (d->amount[0] == UNIT_STATE_STOPPING && s->hosts[d->unit].manner.respawns)
            put_arrival(s, d->unit, STEP_US);
        break;
    case DECISION_THROTTLE:
    case DECISION_STEER:
    case DECISION_UNTHROTTLE:
    case DECISION_PULSE_FREEZE:
    case DECISION_PULSE_THAW:
        hold_back(s, d);
        break;
    case DECISION_PREPARE:
        answer_later(s, d, s->hosts[d->unit].manner.ready_us);
        break;
    case DECISION_DRAIN:
        answer_later(s, d, s->hosts[d->unit].manner.drain_us);
        break;
    case DECISION_RECLAIM:
    case DECISION_RECLAIM_MORE:
        take_back(s, d);
        break;
    case DECISION_PACE:
    case DECISION_HOLD:
    case DECISION_RELEASE:
        answer_outcome(s, d);
        break;
    case DECISION_REFUSE:
    case DECISION_NOTIFY:
    case DECISION_FREEZE:
    case DECISION_THAW:
    case DECISION_RESTART:
    case DECISION_STOP:
    case DECISION_FAIL:
    case DECISION_BACKOFF:
    case DECISION_NOTE:
    case DECISION_EXIT:
    case DECISION_KIND_COUNT:
        break;
    }
}

static void narrate(const struct sim *s, const struct decision *d)
{
    char text[DECISION_TEXT_MAX], cause[32] = "";
    if (d->cause_id)
        snprintf(cause, sizeof(cause), " of %" PRIu64, d->cause_id);
    decision_narrate(d, s->names, text, sizeof(text));
    fprintf(s->out, "%3llu.%06llu  %3" PRIu64 "%-7s %s\n", d->t_us / USEC_PER_SEC, d->t_us % USEC_PER_SEC,
            d->id, cause, text);
}

void sim_deliver(struct sim *s, struct event *event)
{
    struct decision decisions[SIM_UNITS_MAX * 64];
    if (engine_decisions_max(s->policy.unit_count) > SIM_UNITS_MAX * 64)
        abort();
    event->seq = ++s->seq;
    event->t_us = s->now_us;
    if (event->kind == EVENT_EXITED && event->generation == s->hosts[event->unit].generation) {
        if (!s->hosts[event->unit].alive)
            return; /* a process ends once */
        s->hosts[event->unit].alive = false;
    }
    int n = engine_step(s->engine, &s->policy, event, decisions);
    if (n < 0) {
        fprintf(s->out, "engine_step: error %d\n", n);
        return;
    }
    for (int i = 0; i < n; i++)
        narrate(s, &decisions[i]);
    for (int i = 0; i < n && s->obedient; i++)
        if (!decisions[i].observe)
            obey(s, &decisions[i]);
}

static int earliest(const struct sim *s)
{
    int best = -1;
    for (size_t i = 0; i < s->queued; i++) {
        const struct sim_event *a = &s->queue[i];
        if (best < 0 || a->event.t_us < s->queue[best].event.t_us ||
            (a->event.t_us == s->queue[best].event.t_us && a->order < s->queue[best].order))
            best = (int)i;
    }
    return best;
}

void sim_advance(struct sim *s, uint64_t t_us)
{
    for (;;) {
        int i = earliest(s);
        uint64_t answer = i >= 0 ? s->queue[i].event.t_us : UINT64_MAX;
        uint64_t deadline = engine_next_deadline(s->engine);
        if (deadline < s->now_us)
            deadline = s->now_us;
        if (answer <= t_us && answer <= deadline) {
            struct event event = s->queue[i].event;
            s->queue[i] = s->queue[--s->queued];
            s->now_us = event.t_us;
            sim_deliver(s, &event);
        } else if (deadline < t_us) {
            struct event event = {.kind = EVENT_DEADLINE, .unit = UNIT_NONE};
            s->now_us = deadline;
            sim_deliver(s, &event);
        } else {
            break;
        }
    }
    s->now_us = t_us;
}

static void sample(struct sim *s, uint16_t unit)
{
    struct sim_unit *h = &s->hosts[unit];
    const struct sim_manner *m = &h->manner;
    live(s, h);
    if (m->has_life && s->now_us >= h->spawned_us)
        sample_set(&h->sample, SAMPLE_MEMORY_CURRENT, memory_of(h));
    if (m->has_cpu)
        sample_set(&h->sample, SAMPLE_CPU_USAGE, h->cpu_us);
    if (m->parks)
        sample_set(&h->sample, SAMPLE_EVENTS_HIGH, h->high_events);
    struct event event = of_unit(s, unit, EVENT_SAMPLE);
    event.sample = h->sample;
    event.sample.t_us = s->now_us;
    sim_deliver(s, &event);
}

void sim_ramp(struct sim *s, const struct sim_ramp *r)
{
    struct sim_unit *h = &s->hosts[r->unit];
    uint64_t begin = s->now_us, t = begin;
    uint32_t generation = h->generation;
    bool lives = h->manner.has_life;
    while (t <= begin + r->duration_us) {
        sim_advance(s, t);
        uint64_t interval = engine_sample_interval(s->engine, &s->policy, r->unit);
        if (interval != 0 && (lives || h->generation == generation)) {
            if (r->field != SAMPLE_FIELD_COUNT) {
                uint64_t part = r->to >= r->from ? r->to - r->from : r->from - r->to;
                part = r->duration_us ? mul_div_u64(part, t - begin, r->duration_us) : 0;
                sample_set(&h->sample, r->field, r->to >= r->from ? r->from + part : r->from - part);
            }
            sample(s, r->unit);
        }
        interval = engine_sample_interval(s->engine, &s->policy, r->unit);
        t += r->step_us ? r->step_us : interval ? interval : 10 * USEC_PER_MSEC;
    }
    sim_advance(s, begin + r->duration_us);
}
