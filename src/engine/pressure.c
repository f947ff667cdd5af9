/* SPDX-License-Identifier: MIT */
/*
 * Whose pressure it is.
 *
 * memory.pressure tells that the tasks of a unit wait for memory, not why. They wait because the unit presses against
 * its own limit, or because the whole machine is short of memory and the kernel reclaims from everybody: then the unit
 * is the one that suffers, and to hold it back would punish it for its neighbour.
 *
 *   the unit's own, when any of these is so
 *     used is at the notify level or above it
 *     it grows: the limit is less than GROWS_ETA_US away
 *     memory.events high or max rose within the pressure window: its own limits held it
 *     these cannot be read, and memory.current is above the notify level: it may be its page cache that is squeezed
 *   from outside: otherwise. Nothing is done; it is told once in OUTSIDE_COOLDOWN_US, with the figures.
 *
 * What a throttle stalls its unit for is nobody's pressure, for as long as the window holds it.
 */
#include "state.h"

#define GROWS_ETA_US        (60 * USEC_PER_SEC) /* chosen: six times throttle_eta */
#define OUTSIDE_COOLDOWN_US (60 * USEC_PER_SEC) /* chosen: a machine may be short of memory for hours */

static const char pressure_rule[] = "ladder.throttle";

static bool is_own(const struct engine_unit *u, const struct ladder_policy *l)
{
    const struct memory_view *m = &u->memory;
    uint64_t floor = ladder_level(m->limit, ladder_floor(l)), pressed;
    if (m->used >= floor || m->eta_us < GROWS_ETA_US)
        return true;
    if (window_pressed(&u->window, l->pressure_window_us, &pressed))
        return pressed > 0;
    return m->current > floor;
}

enum pressure pressure_of(const struct turn *t, const struct engine_unit *u, struct why *why)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    bool by_throttle =
        u->throttle.on ||
        (u->throttle.end_id && t->event->t_us < engine_later(u->throttle.ended_us, l->pressure_window_us));
    uint64_t pressure;
    if (l->pressure_permyriad == 0 || by_throttle ||
        !window_pressure(&u->window, l->pressure_window_us, &pressure) || pressure < l->pressure_permyriad)
        return PRESSURE_NONE;
    bool own = is_own(u, l);
    *why = why_of(pressure_rule, own ? REASON_PRESSURE : REASON_OUTSIDE);
    why_measure(why, METRIC_MEMORY_PRESSURE_FULL, pressure, l->pressure_permyriad);
    why->held_us = l->pressure_window_us;
    return own ? PRESSURE_OWN : PRESSURE_OUTSIDE;
}

void pressure_note(struct turn *t, struct engine_unit *u)
{
    uint64_t now = t->event->t_us;
    struct why why;
    if (u->state == UNIT_STATE_STARTING || pressure_of(t, u, &why) != PRESSURE_OUTSIDE ||
        (u->outside_noted_us != USEC_INFINITY && now - u->outside_noted_us < OUTSIDE_COOLDOWN_US))
        return;
    struct decision *d = engine_emit(t, u, DECISION_NOTE, &why);
    d->amount[0] = u->memory.used;
    d->shape = SHAPE_OUTSIDE;
    u->outside_noted_us = now;
}
