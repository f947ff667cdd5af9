/* SPDX-License-Identifier: MIT */
/*
 * A recorded run fed to the engine again; see the header. The policies' texts are kept, for they are few; events are
 * taken one at a time, so that memory does not grow with the run.
 */
#include "replay-record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/engine/policy_text.h"

void record_deinit(struct record *r)
{
    for (size_t i = 0; i < r->change_count; i++)
        free(r->changes[i].text);
    free(r->changes);
    free(r->policy.units);
    free(r->policy.rules);
    free(r->decided);
    engine_free(r->engine);
    *r = (struct record){0};
}

static int keep_policy(void *user, uint64_t event_seq, uint16_t unit, const char *text)
{
    struct record *r = user;
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

static int apply_until(struct record *r, uint64_t seq)
{
    size_t before = r->change_next;
    for (; r->change_next < r->change_count && r->changes[r->change_next].event_seq <= seq;
         r->change_next++) {
        const struct policy_change *c = &r->changes[r->change_next];
        int e = policy_text_apply_row(&r->policy, c->unit, c->text);
        if (e < 0)
            return e;
    }
    return r->change_next > before ? engine_prepare(r->engine, &r->policy) : 0;
}

int record_init(struct record *r, struct store_reader *reader, uint64_t run)
{
    *r = (struct record){0};
    policy_defaults(&r->policy);
    r->policy.units = calloc(POLICY_UNITS_MAX, sizeof(*r->policy.units));
    r->policy.rules = calloc(RULES_MAX, sizeof(*r->policy.rules));
    r->decided = calloc(engine_decisions_max(POLICY_UNITS_MAX), sizeof(*r->decided));
    r->engine = engine_new(POLICY_UNITS_MAX);
    if (!r->policy.units || !r->policy.rules || !r->decided || !r->engine)
        return -ENOMEM;
    int e = store_read_policies(reader, run, keep_policy, r);
    if (e == 0 && !r->change_count)
        e = -ENODATA;
    return e < 0 ? e : apply_until(r, r->changes[0].event_seq);
}

int record_step(struct record *r, const struct event *e)
{
    int n = apply_until(r, e->seq);
    if (n < 0)
        return n;
    if (e->kind == EVENT_KIND_COUNT)
        return -ENOTSUP;
    n = engine_step(r->engine, &r->policy, e, r->decided);
    r->refused += n < 0;
    r->decided_count = n < 0 ? 0 : (size_t)n;
    return 0;
}
