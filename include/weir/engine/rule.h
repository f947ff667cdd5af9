/* SPDX-License-Identifier: MIT */
/*
 * Rules: what a person wrote over and above the ladder. The language, compiled to plain numbers, and back.
 *
 *     when   = memory.current > 85% of memory.max for 3s or memory.eta < 20s
 *     until  = memory.current < 60% of memory.max
 *     do     = hold, restart
 *     limit  = 4 per 10m
 *
 *     condition  = all { "or" all }
 *     all        = one { "and" one }
 *     one        = "not" one | ( "(" condition ")" | comparison ) [ "for" TIME ]
 *     comparison = METRIC ( ">" | ">=" | "<" | "<=" | "=" | "!=" ) value [ "over" TIME ]
 *     value      = NUMBER with the metric's unit | SHARE "of" METRIC | METRIC
 *     do         = action { "," action }
 *     action     = "note" | "notify" | "pace" N | "hold" | "reclaim" [SIZE|SHARE] | "throttle" | "restart" | "stop"
 *     limit      = N "per" TIME
 *
 * Words in any case. "over" is the window of a metric that is a rate (pressure, growth, counters of events, cpu.usage,
 * reclaim.efficiency); "for" is how long the condition must hold. A comparison with a reading that is missing is
 * neither true nor false, and neither is what depends on it (three-valued logic); it neither confirms nor denies
 * what has held so far.
 *
 * Bounds: "over" 100 ms to 1 h, "for" 1 ms to 24 h, "per" 1 s to 30 days, pace 1 to 65535. A metric is compared with one
 * of its own type, never with itself; a share is one of such a metric. In a list of actions none stands twice, and
 * nothing stands behind stop or restart.
 *
 * Pure: nothing here allocates; everything fits into the structs.
 */
#ifndef WEIR_ENGINE_RULE_H
#define WEIR_ENGINE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/base/units.h"
#include "weir/model/decision.h"

#define RULES_MAX        64 /* one bit each in unit_policy.rules */
#define RULE_NODES_MAX   32 /* of a condition; chosen: fifteen comparisons and what joins them */
#define RULE_DEPTH_MAX   16 /* of nesting */
#define RULE_ACTIONS_MAX 4
#define RULE_REST_US     (5 * USEC_PER_SEC) /* chosen: five base intervals; what flaps faster is one beginning */
#define RULE_LIMIT_MAX   32                 /* greatest N of "N per TIME" */
#define RULE_TEXT_MAX    1536               /* rule_format's */
/* rule_condition_format's; two of them and the rest of the longest rule fit into RULE_TEXT_MAX (tests/unit/test_rule_text.c) */
#define RULE_CONDITION_TEXT_MAX 640
#define RULE_WORDS_MAX          6144 /* rule_describe's; the same test holds the longest against it */

enum rule_op { RULE_OP_AND, RULE_OP_OR, RULE_OP_NOT, RULE_OP_COMPARE, RULE_OP_HELD };

enum rule_compare { RULE_GT, RULE_GE, RULE_LT, RULE_LE, RULE_EQ, RULE_NE };

/* A condition is its nodes in postfix order: operands first, the last node is the whole. Members that an op does not
 * name are 0. */
struct rule_node {
    enum rule_op op;
    /* COMPARE */
    enum rule_compare compare;
    enum decision_metric metric;
    enum decision_metric
        of; /* METRIC_NONE: `number` in the metric's unit; else number = permyriad of this one */
    uint64_t number;
    /* The window of every metric of the comparison that has one (`metric`, `of`, both); 0: none of them has. */
    uint64_t over_us;
    /* HELD: the operand has held for */
    uint64_t for_us;
};

struct rule_condition {
    uint32_t count; /* 0 = none */
    struct rule_node nodes[RULE_NODES_MAX];
};

enum rule_action_kind {
    RULE_ACTION_NOTE, /* tell and record only */
    RULE_ACTION_NOTIFY,
    RULE_ACTION_PACE, /* amount = requests in flight, at least 1 */
    RULE_ACTION_HOLD,
    RULE_ACTION_RECLAIM, /* amount = bytes; is_share: permyriad of the unit's limit; 0 = the ladder's chunk */
    RULE_ACTION_THROTTLE,
    RULE_ACTION_RESTART,
    RULE_ACTION_STOP,
    RULE_ACTION_KIND_COUNT,
};

struct rule_action {
    enum rule_action_kind kind;
    bool is_share;
    uint64_t amount;
    uint64_t per_us; /* PACE: so many in this time; 0 = in flight */
};

struct rule {
    char name[UNIT_NAME_MAX];
    bool observe; /* mode = observe: "would have", whatever the unit's own mode is */
    struct rule_condition when;
    struct rule_condition until; /* count 0: when `when` no longer holds */
    uint32_t action_count;
    struct rule_action actions[RULE_ACTIONS_MAX]; /* in the order they are done */
    uint32_t limit_count;                         /* at most so many times ... 0 = no limit */
    uint64_t limit_window_us;                     /* ... per this */
};

/* What is wrong with a text, and where. */
struct rule_error {
    unsigned column; /* from 1, of the first byte of what is wrong */
    unsigned length; /* of it in bytes, at least 1; the end of the text: 1, one past it */
    char text[160];  /* "unknown metric 'memory.curent'" */
    char hint[160];  /* "did you mean 'memory.current'?"; may be "" */
};

/* Parse one value of a [rule]. 0; -EINVAL with *reterr (may be NULL). Outputs are untouched on failure; of *ret only
 * what the value says is set. */
int rule_parse_condition(const char *text, struct rule_condition *ret, struct rule_error *reterr);
int rule_parse_actions(const char *text, struct rule *ret, struct rule_error *reterr);
int rule_parse_limit(const char *text, struct rule *ret, struct rule_error *reterr);

/* The canonical text: parsing it gives the same; "" for an empty condition, no actions, no limit. Windows are always
 * written, their default included, so that a record means the same for ever. Length or -EMSGSIZE. */
int rule_condition_format(const struct rule_condition *c, char *buf, size_t size);
int rule_actions_format(const struct rule *r, char *buf, size_t size);
int rule_limit_format(const struct rule *r, char *buf, size_t size);

/* The whole rule, lossless, as the record keeps it: "name = N\nwhen = ...\ndo = ...\n", keys at their default left
 * out. Length or -EMSGSIZE. rule_parse reads it back: 0 or -EINVAL. */
int rule_format(const struct rule *r, char *buf, size_t size);
int rule_parse(const char *text, struct rule *ret);

/* In plain words, for weir check --explain: "when its memory (memory.current) has been above 85% of its memory limit
 * (memory.max) for 3s: hold its requests, then restart it; over when ...; at most 4 times in 10min". The name is not in
 * it. Length or -EMSGSIZE. */
int rule_describe(const struct rule *r, char *buf, size_t size);

const char *rule_action_name(enum rule_action_kind kind);

/* Does the rule ask for a gate: by an action (pace, hold) or by a metric (gate.*)? The word that does, or NULL. */
const char *rule_needs_gate(const struct rule *r);

/* A row of the metrics that a condition may name. */
struct rule_metric_info {
    const char *name;
    const char *alias; /* a second spelling, or NULL */
    enum decision_metric metric;
    uint64_t window_us; /* default of "over"; 0: no window */
    const char *words;  /* for rule_describe and the man page: "its memory", "the time left ..." */
};
extern const struct rule_metric_info rule_metrics[];
extern const size_t rule_metric_count;

/* By name or alias in any case, the first `length` bytes of name; by metric. NULL: no such row. */
const struct rule_metric_info *rule_metric_by_name(const char *name, size_t length);
const struct rule_metric_info *rule_metric_row(enum decision_metric metric);

#endif
