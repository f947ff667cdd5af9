/* SPDX-License-Identifier: MIT */
/*
 * What the files of the rule language share: words and signs, a reader that knows where it is, and the printing of
 * values. Private to this layer.
 *
 *     rule_lex.c     text -> tokens; errors with their place      rule_print.c   condition, actions, limit -> text
 *     rule_value.c   numbers, shares and times of a metric        rule_record.c  a whole rule <-> its record
 *     rule_parse.c   condition -> nodes                           rule_words.c   a rule -> plain words
 *     rule_action.c  actions and limit                            rule_metric.c  the table of metrics
 *
 * What must not go in here: how a condition is judged.
 */
#ifndef WEIR_ENGINE_RULE_TEXT_H
#define WEIR_ENGINE_RULE_TEXT_H

#include "weir/engine/rule.h"
#include "weir/model/text_out.h"

enum rule_token_kind {
    RULE_TOKEN_END,
    RULE_TOKEN_WORD,   /* letters, digits, "_.-/"; begins with a letter */
    RULE_TOKEN_NUMBER, /* digits and the unit that touches them: "512M", "2h30m", "40M/s", "12.5 %" */
    RULE_TOKEN_SIGN,   /* a run of "<>=!&|" */
    RULE_TOKEN_OPEN,
    RULE_TOKEN_CLOSE,
    RULE_TOKEN_COMMA,
    RULE_TOKEN_ODD, /* one character that has no meaning here */
};

/* A piece of the text, borrowed. */
struct rule_token {
    enum rule_token_kind kind;
    const char *start;
    size_t length;
};

struct rule_reader {
    const char *text;
    struct rule_token before; /* the token that was read last; kind END: none */
    struct rule_token token;  /* the one to be read next */
    struct rule_error *error; /* may be NULL */
};

struct rule_reader rule_reader_begin(const char *text, struct rule_error *reterr);
/* Moves on to the next token. */
void rule_reader_step(struct rule_reader *r);
/* The token after r->token. */
struct rule_token rule_reader_peek(const struct rule_reader *r);

/* Any case. */
bool rule_token_is(const struct rule_token *t, const char *word);
/* One of the words that join: and, or, not, for, over, of, per. */
bool rule_token_is_keyword(const struct rule_token *t);
/* From the first byte of `from` to the last of `to`. */
struct rule_token rule_token_span(const struct rule_token *from, const struct rule_token *to);

/* The token as an error shows it: in quotes, cut to a sane length, bytes that are no text as "byte 0x01". Not of
 * `before` when nothing was read. */
struct rule_shown {
    char text[56];
};
struct rule_shown rule_show(const struct rule_token *t);

/* Fills the error: the place is `at`, fmt is "text" or "text\nhint". Returns -EINVAL. */
int rule_fail(const struct rule_reader *r, const struct rule_token *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Is the token something that people write for a word or a sign of the language ("&&", "==")? Then 1 with the error
 * filled, else 0. */
int rule_fail_lookalike(const struct rule_reader *r, const struct rule_token *at);

/* How a value of a type is called and written: "a size", "write a size, as in 512M, ...". */
const char *rule_type_name(enum metric_type type);
const char *rule_type_hint(enum metric_type type);

/* Each reads at r->token and moves past it. 0, or -EINVAL with the error filled and the output untouched. */
/* The right side of a comparison: sets number and of. node->metric is set. */
int rule_read_value(struct rule_reader *r, struct rule_node *node);
/* A metric; NULL instead of -EINVAL. */
const struct rule_metric_info *rule_read_metric(struct rule_reader *r);
/* A time from least_us to most_us; `word` (for, over, per) is the one before it. */
struct rule_times {
    const char *word;
    uint64_t least_us, most_us;
};
int rule_read_time(struct rule_reader *r, const struct rule_times *times, uint64_t *ret_us);
/* A size, a whole number or a share, by the type. */
int rule_read_number(struct rule_reader *r, enum metric_type type, uint64_t *ret);

/* Exact, as short as it can be: "85%", "512M", "90s". */
void rule_put_number(struct text_out *o, enum metric_type type, uint64_t value);

/* ">" ... */
const char *rule_compare_sign(enum rule_compare compare);

/* sizes[i] = number of nodes of the operand that ends with node i, so that node i's left operand is
 * i - 1 - sizes[i - 1]. */
void rule_sizes(const struct rule_condition *c, uint32_t sizes[static RULE_NODES_MAX]);

#endif
