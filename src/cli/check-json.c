/* SPDX-License-Identifier: MIT */
/* weir check --json: the errors, or what --explain tells, as one object. See check-explain.h. */
#include "check-explain.h"
#include "json.h"

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text && *text)
        json_object_set_new(object, key, json_string(text));
}

json_t *check_problems_json(const char *path, const struct config_report *report)
{
    json_t *root = json_pack("{s:s, s:b, s:[]}", "config", path, "ok", report->count == 0, "problems");
    for (size_t i = 0; i < report->count; i++) {
        const struct config_problem *p = &report->problems[i];
        json_t *problem = json_object();
        if (p->line)
            json_object_set_new(problem, "line", json_integer(p->line));
        if (p->column)
            json_object_set_new(problem, "column", json_integer(p->column));
        set_text(problem, "text", p->text);
        set_text(problem, "hint", p->hint);
        set_text(problem, "excerpt", p->excerpt);
        if (p->excerpt) {
            json_object_set_new(problem, "caret", json_integer((json_int_t)p->caret));
            json_object_set_new(problem, "length", json_integer((json_int_t)p->length));
        }
        json_array_append_new(json_object_get(root, "problems"), problem);
    }
    return root;
}

static json_t *step_json(const struct check_step *step)
{
    json_t *o = json_pack("{s:s, s:s}", "step", step->name, "text", step->text);
    if (step->permyriad) {
        json_object_set_new(o, "permyriad", json_integer(step->permyriad));
        json_object_set_new(o, "bytes", cli_json_u64(step->bytes));
    }
    set_text(o, "off", step->off);
    return o;
}

static json_t *unit_json(const struct check_subject *s, uint32_t unit)
{
    const struct unit_policy *p = &s->policy->units[unit];
    const char *idle = check_ladder_is_idle(p);
    struct check_step steps[CHECK_STEPS_MAX];
    json_t *o = json_pack("{s:s, s:s, s:o, s:[], s:[]}", "name", p->name, "mode",
                          p->mode == UNIT_MODE_OBSERVE ? "observe" : "act", "memory_max",
                          cli_json_u64(p->memory_max_bytes), "ladder", "rules");
    set_text(o, "ladder_off", idle);
    size_t count = idle ? 0 : check_ladder(&s->config->units[unit], p, steps);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(json_object_get(o, "ladder"), step_json(&steps[i]));
    for (uint32_t i = 0; i < s->policy->rule_count; i++)
        if (p->rules >> i & 1)
            json_array_append_new(json_object_get(o, "rules"), json_string(s->policy->rules[i].name));
    return o;
}

static json_t *rule_json(const struct check_subject *s, uint32_t rule)
{
    const struct rule *r = &s->policy->rules[rule];
    char words[RULE_WORDS_MAX] = "", text[RULE_TEXT_MAX] = "";
    json_t *o = json_pack("{s:s, s:b, s:[]}", "name", r->name, "observe", r->observe, "units");
    for (uint32_t i = 0; i < s->policy->unit_count; i++)
        if (s->policy->units[i].rules >> rule & 1)
            json_array_append_new(json_object_get(o, "units"), json_string(s->policy->units[i].name));
    (void)rule_condition_format(&r->when, text, sizeof(text));
    set_text(o, "when", text);
    (void)rule_condition_format(&r->until, text, sizeof(text));
    set_text(o, "until", r->until.count ? text : "");
    (void)rule_actions_format(r, text, sizeof(text));
    set_text(o, "do", text);
    (void)rule_limit_format(r, text, sizeof(text));
    set_text(o, "limit", r->limit_count ? text : "");
    (void)rule_describe(r, words, sizeof(words));
    set_text(o, "words", words);
    return o;
}

json_t *check_json(const struct check_subject *s)
{
    json_t *root =
        json_pack("{s:s, s:b, s:[], s:s, s:{s:s, s:o, s:i}, s:[], s:[], s:[]}", "config", s->path, "ok", 1,
                  "problems", "name", s->config->name, "host", "layout", host_layout_name(s->info->layout),
                  "memory_total", cli_json_u64(s->info->memory_total_bytes), "cpus", (int)s->info->cpus,
                  "units", "rules", "precedence");
    for (uint32_t i = 0; i < s->config->unit_count; i++)
        json_array_append_new(json_object_get(root, "units"), unit_json(s, i));
    for (uint32_t i = 0; i < s->policy->rule_count; i++)
        json_array_append_new(json_object_get(root, "rules"), rule_json(s, i));
    for (size_t i = 0; i < sizeof(check_precedence) / sizeof(check_precedence[0]); i++)
        json_array_append_new(json_object_get(root, "precedence"), json_string(check_precedence[i]));
    return root;
}
