/* SPDX-License-Identifier: MIT */
/* Prints where in the link's messages everything stands, so that a supervisor in Python speaks what link.h says. */
#include <stddef.h>
#include <stdio.h>

#include "weir/gate/link.h"

#define FIELD(message, type, field)                                                                          \
    printf("%s.%s %zu %zu\n", message, #field, offsetof(type, field), sizeof(((type *)0)->field))
#define SAYS(field)     FIELD("says", struct gate_says_message, field)
#define TOLD(field)     FIELD("told", struct gate_told_message, field)
#define STATE(field)    FIELD("state", struct gate_state, field)
#define METHOD(field)   FIELD("method", struct gate_method, field)
#define SETTINGS(field) FIELD("settings", struct gate_settings, field)

static void print_says(void)
{
    SAYS(version);
    SAYS(kind);
    SAYS(generation);
    SAYS(pid);
    SAYS(status);
    SAYS(ready);
    SAYS(beside);
    SAYS(order_id);
    SAYS(note);
    SAYS(amount);
    SAYS(bytes);
    SAYS(unit);
    SAYS(method);
    SAYS(id);
    SAYS(state);
    SAYS(method_figures);
    STATE(inflight);
    STATE(waiting);
    STATE(queued);
    STATE(order);
    STATE(order_id);
    STATE(queued_us);
    STATE(calls);
    STATE(answers);
    STATE(errors);
    STATE(notes);
    STATE(latency_p99_us);
    STATE(resident_bytes);
    METHOD(name);
    METHOD(calls);
    METHOD(answers);
    METHOD(errors);
    METHOD(notifications);
    METHOD(replays);
    METHOD(bytes_to_worker);
    METHOD(bytes_to_server);
    METHOD(latency_sum_us);
    METHOD(latency_max_us);
    METHOD(latency);
    METHOD(growth_calls);
    METHOD(growth_bytes);
}

static void print_told(void)
{
    TOLD(version);
    TOLD(kind);
    TOLD(generation);
    TOLD(order);
    TOLD(order_id);
    TOLD(inflight);
    TOLD(beside);
    TOLD(interval_us);
    TOLD(follows);
    TOLD(text);
    TOLD(settings);
    SETTINGS(format);
    SETTINGS(replay_max);
    SETTINGS(respawn_clean);
    SETTINGS(handshake_count);
    SETTINGS(replay_count);
    SETTINGS(patience_us);
    SETTINGS(memory_bytes);
    SETTINGS(spool_dir);
    SETTINGS(handshake);
    SETTINGS(replay);
}

#define ENUM_SAYS(id, name)       printf("SAYS_%s %d 0\n", #id, (int)GATE_SAYS_##id);
#define ENUM_NOTE(id, name, text) printf("NOTE_%s %d 0\n", #id, (int)GATE_NOTE_##id);
#define CONSTANT(name)            printf("%s %d 0\n", #name, (int)name)

static void print_constants(void)
{
    GATE_SAYS(ENUM_SAYS)
    GATE_NOTES(ENUM_NOTE)
    CONSTANT(GATE_TOLD_WELCOME);
    CONSTANT(GATE_TOLD_GO);
    CONSTANT(GATE_TOLD_REFUSE);
    CONSTANT(GATE_TOLD_ORDER);
    CONSTANT(GATE_TOLD_ENDING);
    CONSTANT(GATE_TOLD_CAUSE);
    CONSTANT(GATE_TOLD_ASK_AGAIN);
    CONSTANT(GATE_TOLD_PREPARE);
    CONSTANT(GATE_ORDER_RELEASE);
    CONSTANT(GATE_ORDER_PACE);
    CONSTANT(GATE_ORDER_HOLD);
    CONSTANT(GATE_ORDER_DRAIN);
    CONSTANT(GATE_FORMAT_JSONL);
    CONSTANT(GATE_FORMAT_LINES);
    CONSTANT(GATE_LINK_VERSION);
    CONSTANT(GATE_NAME_MAX);
    CONSTANT(GATE_NOTE_COUNT);
    CONSTANT(GATE_LATENCY_BUCKETS);
    printf("says %zu 0\ntold %zu 0\n", sizeof(struct gate_says_message), sizeof(struct gate_told_message));
}

int main(void)
{
    print_says();
    print_told();
    print_constants();
    return 0;
}
