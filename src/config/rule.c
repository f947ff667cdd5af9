/* SPDX-License-Identifier: MIT */
/*
 * The types of [rule NAME]'s keys: the engine's rule language (weir/engine/rule.h) between the file and the
 * policy. What a value is in the file's words is the engine's to say; here it gets its place in the line.
 */
#include <errno.h>

#include "key.h"

/* A refusal of the language's parser, at its place in the value. */
static int refuse(struct why *why, const struct rule_error *error)
{
    why->at = error->column - 1;
    why->length = error->length;
    return why_set(why, "%s\n%s", error->text, error->hint);
}

static int condition_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    struct rule_error error;
    int r = rule_parse_condition(text, KEY_FIELD(struct rule_condition, owner, key->offset), &error);
    return r < 0 ? refuse(why, &error) : 0;
}

static int actions_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    struct rule_error error;
    int r = rule_parse_actions(text, KEY_FIELD(struct rule, owner, key->offset), &error);
    return r < 0 ? refuse(why, &error) : 0;
}

static int limit_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    struct rule_error error;
    int r = rule_parse_limit(text, KEY_FIELD(struct rule, owner, key->offset), &error);
    return r < 0 ? refuse(why, &error) : 0;
}

/* What was parsed fits: its canonical text is bounded by RULE_TEXT_MAX. */
static void condition_format(const struct key *key, const void *owner, struct text *out)
{
    char buf[RULE_TEXT_MAX] = "";
    (void)rule_condition_format(KEY_CONST_FIELD(struct rule_condition, owner, key->offset), buf, sizeof(buf));
    text_add(out, "%s", buf);
}

static void actions_format(const struct key *key, const void *owner, struct text *out)
{
    char buf[RULE_TEXT_MAX] = "";
    (void)rule_actions_format(KEY_CONST_FIELD(struct rule, owner, key->offset), buf, sizeof(buf));
    text_add(out, "%s", buf);
}

static void limit_format(const struct key *key, const void *owner, struct text *out)
{
    char buf[RULE_TEXT_MAX] = "";
    (void)rule_limit_format(KEY_CONST_FIELD(struct rule, owner, key->offset), buf, sizeof(buf));
    text_add(out, "%s", buf);
}

const struct value_type type_condition = {
    .name = "condition", .parse = condition_parse, .format = condition_format};
const struct value_type type_actions = {
    .name = "list of actions", .parse = actions_parse, .format = actions_format};
const struct value_type type_limit = {.name = "N per TIME", .parse = limit_parse, .format = limit_format};
