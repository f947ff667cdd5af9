/* SPDX-License-Identifier: MIT */
/*
 * Runs one story: NAME.trace through the engine, its narration compared with NAME.expected.
 *
 *     scenario NAME.trace [NAME.expected]     without the second: prints the narration
 *
 * A trace has one directive or event a line; '#' begins a comment line. Directives:
 *     unit NAME [key=value ...]          policy of a unit: the fields of struct unit_policy and ladder_policy
 *                                        without their unit suffix: memory_max=256M ready_timeout=2s
 *                                        notify=60% kind=wrapped mode=observe restart=always has_ready=yes
 *                                        after=a,b abilities=high,cpu,freeze,kill,notify,pressure,max,gate,reclaim
 *                                        or none
 *     policy NAME key=value ...          the same for a unit that exists; follow it with a policy event
 *     supervisor key=value ...           interval, fast_interval, seed
 *     rule NAME: when CONDITION; ...     a rule, or the rule of that name anew; the parts as in a config, in any order:
 *                                        until CONDITION; do ACTION, ...; limit N per TIME; mode observe;
 *                                        unit a, b (without it: every unit so far)
 *     norule NAME                        the rule is gone; follow a change of rules with a policy event for each unit
 *     manual                             the trace answers decisions itself
 *     host NAME key=value ...            manners: ready=, drain=, term=, kill=, exit_after= (times or "never"), code=,
 *                                        signal=, oom=, spawn_error=, outcome_error=, life=BASE+RATE,
 *                                        held=SHARE (of the growth that a throttle leaves), of=SERVER, respawns=yes,
 *                                        yield=SHARE (of what a RECLAIM asks for), reclaim=TIME (until its outcome),
 *                                        cpu=SHARE, held_cpu=SHARE, parked_cpu=SHARE (of a cpu: free, throttled, held
 *                                        by memory.high), parks=yes (memory.high stops its growth)
 *     set NAME field=value ...           what the next samples say ("field=-": reading missing)
 *     ramp NAME field FROM..TO TIME [every STEP]
 *     hold NAME TIME [every STEP]        samples; without STEP as often as the engine asks
 *     at TIME | wait TIME                lets time pass to, or by
 *     view NAME                          prints engine_unit_view
 * Anything else is an event in the language of event_parse(); "." as its time is the present.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "weir/engine/policy_text.h"
#include "weir/base/cleanup.h"
#include "simhost.h"

struct story {
    struct sim sim;
    const char *path;
    unsigned line;
};

__attribute__((noreturn, format(printf, 2, 3))) static void broken(const struct story *s, const char *fmt,
                                                                   ...)
{
    va_list ap;
    fprintf(stderr, "%s:%u: ", s->path, s->line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(2);
}

static char *word(char **rest)
{
    char *w = strtok_r(NULL, " \t\n", rest);
    return w;
}

static uint16_t unit_named(const struct story *s, const char *name)
{
    for (uint16_t i = 0; name && i < s->sim.policy.unit_count; i++)
        if (strcmp(s->sim.names[i], name) == 0)
            return i;
    broken(s, "no unit named %s", name ? name : "(nothing)");
}

static uint64_t duration(const struct story *s, const char *text)
{
    uint64_t us;
    if (!text || parse_duration(text, &us) < 0)
        broken(s, "not a time: %s", text ? text : "(nothing)");
    return us;
}

static uint64_t time_or_never(const struct story *s, const char *text)
{
    return strcmp(text, "never") == 0 ? SIM_NEVER : duration(s, text);
}

static uint64_t size(const struct story *s, const char *text)
{
    uint64_t bytes;
    if (!text || parse_size(text, &bytes) < 0)
        broken(s, "not a size: %s", text ? text : "(nothing)");
    return bytes;
}

static uint32_t share(const struct story *s, const char *text)
{
    uint32_t permyriad;
    if (parse_percent(text, &permyriad) < 0)
        broken(s, "not a share: %s", text);
    return permyriad;
}

struct choice {
    const char *key;
    const char *word;
    const char *field;
    uint32_t value;
};

static const struct choice choices[] = {
    {"kind", "service", "kind", UNIT_KIND_SERVICE},
    {"kind", "wrapped", "kind", UNIT_KIND_WRAPPED},
    {"mode", "act", "mode", UNIT_MODE_ACT},
    {"mode", "observe", "mode", UNIT_MODE_OBSERVE},
    {"restart", "no", "restart", UNIT_RESTART_NO},
    {"restart", "on-failure", "restart", UNIT_RESTART_ON_FAILURE},
    {"restart", "always", "restart", UNIT_RESTART_ALWAYS},
    {"has_ready", "yes", "has_ready", 1},
    {"has_ready", "no", "has_ready", 0},
    {"overlap", "yes", "overlap", 1},
    {"overlap", "no", "overlap", 0},
    {"enabled", "yes", "enabled", 1},
    {"enabled", "no", "enabled", 0},
    {"abilities", "none", NULL, 0},
    {"abilities", "max", NULL, ABILITY_MEMORY_MAX},
    {"abilities", "high", NULL, ABILITY_MEMORY_HIGH},
    {"abilities", "cpu", NULL, ABILITY_CPU_MAX},
    {"abilities", "freeze", NULL, ABILITY_FREEZE},
    {"abilities", "kill", NULL, ABILITY_KILL},
    {"abilities", "pressure", NULL, ABILITY_PRESSURE},
    {"abilities", "notify", NULL, ABILITY_NOTIFY},
    {"abilities", "gate", NULL, ABILITY_GATE},
    {"abilities", "reclaim", NULL, ABILITY_RECLAIM},
};

/* -1: not a choice. */
static int64_t choose(const char *key, const char *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
        if (strcmp(choices[i].key, key) == 0 && strcmp(choices[i].word, text) == 0)
            return choices[i].value;
    return -1;
}

/* Finds the field that is called key plus a unit suffix and reads the value in that unit. */
static bool set_field(struct unit_policy *u, const char *key, const char *text)
{
    char pair[128];
    uint64_t n;
    uint32_t share;
    int64_t choice = choose(key, text);
    struct unit_policy copy = *u;
    const char *suffix = "";
    if (choice >= 0)
        n = (uint64_t)choice;
    else if (strchr(text, '%') && parse_percent(text, &share) == 0)
        n = share, suffix = "_permyriad";
    else if (parse_u64(text, &n) < 0)
        n = UINT64_MAX, suffix = NULL;
    if (suffix) {
        snprintf(pair, sizeof(pair), "%s%s=%" PRIu64, key, suffix, n);
        if (policy_text_apply_unit(&copy, pair) == 0)
            goto done;
    }
    copy = *u;
    if (parse_duration(text, &n) == 0) {
        snprintf(pair, sizeof(pair), "%s_us=%" PRIu64, key, n);
        if (policy_text_apply_unit(&copy, pair) == 0)
            goto done;
    }
    copy = *u;
    snprintf(pair, sizeof(pair), "%s_bytes=%" PRIu64, key, parse_size(text, &n) == 0 ? n : 0);
    if (policy_text_apply_unit(&copy, pair) < 0)
        return false;
done:
    memcpy(copy.after, u->after, sizeof(copy.after));
    copy.after_count = u->after_count;
    *u = copy;
    return true;
}

static void set_list(struct story *s, struct unit_policy *u, const char *key, char *text)
{
    char *rest = NULL;
    bool after = strcmp(key, "after") == 0;
    u->after_count = after ? 0 : u->after_count;
    u->abilities = after ? u->abilities : 0;
    for (char *w = strtok_r(text, ",", &rest); w; w = strtok_r(NULL, ",", &rest)) {
        int64_t bit = after ? 0 : choose("abilities", w);
        if (bit < 0)
            broken(s, "no ability %s", w);
        if (after)
            u->after[u->after_count++] = unit_named(s, w);
        u->abilities |= (uint32_t)bit;
    }
}

static char *split(const struct story *s, char *pair)
{
    char *equals = strchr(pair, '=');
    if (!equals)
        broken(s, "expected key=value, not %s", pair);
    *equals = '\0';
    return equals + 1;
}

static void set_policy(struct story *s, uint16_t unit, char **rest)
{
    for (char *w; (w = word(rest));) {
        char *value = split(s, w);
        if (strcmp(w, "after") == 0 || strcmp(w, "abilities") == 0)
            set_list(s, &s->sim.units[unit], w, value);
        else if (!set_field(&s->sim.units[unit], w, value))
            broken(s, "no policy key %s", w);
    }
}

static void do_unit(struct story *s, char **rest)
{
    char *name = word(rest);
    int i = name ? sim_add_unit(&s->sim, name) : -1;
    if (i < 0)
        broken(s, "no room for the unit, or no name");
    set_policy(s, (uint16_t)i, rest);
}

static void do_policy(struct story *s, char **rest)
{
    uint16_t unit = unit_named(s, word(rest));
    set_policy(s, unit, rest);
}

/* Bit i: unit i. */
static uint64_t units_named(const struct story *s, char *names)
{
    char *rest = NULL;
    uint64_t mask = names ? 0 : UINT64_MAX;
    for (char *w = names ? strtok_r(names, ", ", &rest) : NULL; w; w = strtok_r(NULL, ", ", &rest))
        mask |= UINT64_C(1) << unit_named(s, w);
    return mask;
}

static void set_rule_part(struct story *s, struct rule *r, const char *key, const char *value)
{
    struct rule_error error;
    int e = -EINVAL;
    snprintf(error.text, sizeof(error.text), "no such part of a rule");
    if (strcmp(key, "when") == 0)
        e = rule_parse_condition(value, &r->when, &error);
    else if (strcmp(key, "until") == 0)
        e = rule_parse_condition(value, &r->until, &error);
    else if (strcmp(key, "do") == 0)
        e = rule_parse_actions(value, r, &error);
    else if (strcmp(key, "limit") == 0)
        e = rule_parse_limit(value, r, &error);
    else if (strcmp(key, "mode") == 0)
        e = choose("mode", value) >= 0 ? 0 : -EINVAL;
    if (e < 0)
        broken(s, "%s %s: %s", key, value, error.text);
    r->observe = r->observe || (strcmp(key, "mode") == 0 && choose("mode", value) == UNIT_MODE_OBSERVE);
}

static void do_rule(struct story *s, char **rest)
{
    char *name = strtok_r(NULL, ": \t", rest), *units = NULL;
    if (!name || strlen(name) >= UNIT_NAME_MAX)
        broken(s, "rule NAME: ...");
    struct rule r = {0};
    strcpy(r.name, name);
    for (char *part; (part = strtok_r(NULL, ";", rest));) {
        part += strspn(part, ": \t");
        char *value = part + strcspn(part, " ");
        if (*value)
            *value++ = '\0';
        if (strcmp(part, "unit") == 0)
            units = value;
        else
            set_rule_part(s, &r, part, value);
    }
    if (!sim_put_rule(&s->sim, &r, units_named(s, units)))
        broken(s, "no room for the rule");
}

static void do_norule(struct story *s, char **rest)
{
    char *name = word(rest);
    if (!name || !sim_drop_rule(&s->sim, name))
        broken(s, "no rule named %s", name ? name : "(nothing)");
}

static void do_supervisor(struct story *s, char **rest)
{
    for (char *w; (w = word(rest));) {
        char *value = split(s, w);
        if (strcmp(w, "seed") == 0)
            s->sim.policy.seed = strtoull(value, NULL, 10);
        else if (strcmp(w, "interval") == 0)
            s->sim.policy.interval_us = duration(s, value);
        else if (strcmp(w, "fast_interval") == 0)
            s->sim.policy.fast_interval_us = duration(s, value);
        else
            broken(s, "no supervisor key %s", w);
    }
}

static void do_manual(struct story *s, char **rest)
{
    (void)rest;
    s->sim.obedient = false;
}

static void set_life(struct story *s, struct sim_manner *m, char *value)
{
    char *plus = strchr(value, '+');
    if (!plus)
        broken(s, "life=BASE+RATE");
    *plus = '\0';
    m->has_life = true;
    m->base_bytes = size(s, value);
    m->rate_bytes = size(s, plus + 1);
}

static bool set_manner_time(struct story *s, struct sim_manner *m, const char *key, const char *value)
{
    if (strcmp(key, "ready") == 0)
        m->ready_us = time_or_never(s, value);
    else if (strcmp(key, "drain") == 0)
        m->drain_us = time_or_never(s, value);
    else if (strcmp(key, "term") == 0)
        m->term_us = time_or_never(s, value);
    else if (strcmp(key, "kill") == 0)
        m->kill_us = time_or_never(s, value);
    else if (strcmp(key, "exit_after") == 0)
        m->exit_us = time_or_never(s, value);
    else if (strcmp(key, "reclaim") == 0)
        m->reclaim_us = time_or_never(s, value);
    else
        return false;
    return true;
}

static bool set_manner_share(struct story *s, struct sim_manner *m, const char *key, const char *value)
{
    const struct {
        const char *key;
        uint32_t *share;
    } shares[] = {
        {"held", &m->held_permyriad},
        {"yield", &m->yield_permyriad},
        {"cpu", &m->cpu_permyriad},
        {"held_cpu", &m->held_cpu_permyriad},
        {"parked_cpu", &m->parked_cpu_permyriad},
    };
    for (size_t i = 0; i < ARRAY_SIZE(shares); i++)
        if (strcmp(shares[i].key, key) == 0) {
            *shares[i].share = share(s, value);
            m->has_cpu = m->has_cpu || strstr(key, "cpu");
            return true;
        }
    return false;
}

static void set_manner(struct story *s, struct sim_manner *m, const char *key, char *value)
{
    m->exit.status_known = true;
    if (set_manner_time(s, m, key, value) || set_manner_share(s, m, key, value))
        return;
    if (strcmp(key, "code") == 0)
        m->exit.code = atoi(value);
    else if (strcmp(key, "signal") == 0)
        m->exit.signal = atoi(value);
    else if (strcmp(key, "oom") == 0)
        m->exit.oom_kills = strtoull(value, NULL, 10);
    else if (strcmp(key, "spawn_error") == 0)
        m->spawn_error = atoi(value);
    else if (strcmp(key, "outcome_error") == 0)
        m->outcome_error = atoi(value);
    else if (strcmp(key, "life") == 0)
        set_life(s, m, value);
    else if (strcmp(key, "of") == 0)
        m->child_of = unit_named(s, value);
    else if (strcmp(key, "respawns") == 0)
        m->respawns = strcmp(value, "yes") == 0;
    else if (strcmp(key, "parks") == 0)
        m->parks = strcmp(value, "yes") == 0;
    else
        broken(s, "no manner %s", key);
}

static void do_host(struct story *s, char **rest)
{
    uint16_t unit = unit_named(s, word(rest));
    for (char *w; (w = word(rest));) {
        char *value = split(s, w);
        set_manner(s, &s->sim.hosts[unit].manner, w, value);
    }
}

static void do_set(struct story *s, char **rest)
{
    uint16_t unit = unit_named(s, word(rest));
    struct sample *sample = &s->sim.hosts[unit].sample;
    for (char *w; (w = word(rest));) {
        char *value = split(s, w);
        if (strcmp(w, "cause") == 0) {
            sample->cause = strcmp(value, "kernel") == 0 ? SAMPLE_CAUSE_KERNEL : SAMPLE_CAUSE_TICK;
            continue;
        }
        enum sample_field field = sample_field_by_name(w);
        if (field == SAMPLE_FIELD_COUNT)
            broken(s, "no sample field %s", w);
        if (strcmp(value, "-") == 0) {
            sample->valid &= ~(UINT64_C(1) << field);
            sample->value[field] = 0;
        } else if (sample_field_info(field)->type == SAMPLE_TYPE_USEC) {
            sample_set(sample, field, duration(s, value));
        } else {
            sample_set(sample, field, size(s, value));
        }
    }
}

static void get_every(struct story *s, struct sim_ramp *ramp, char **rest)
{
    ramp->duration_us = duration(s, word(rest));
    char *every = word(rest);
    if (every)
        ramp->step_us = duration(s, word(rest));
    sim_ramp(&s->sim, ramp);
}

static void do_ramp(struct story *s, char **rest)
{
    struct sim_ramp ramp = {.unit = unit_named(s, word(rest))};
    char *field = word(rest), *range = word(rest);
    char *dots = range ? strstr(range, "..") : NULL;
    if (!dots)
        broken(s, "ramp UNIT FIELD FROM..TO TIME");
    *dots = '\0';
    ramp.field = sample_field_by_name(field);
    bool usec = ramp.field < SAMPLE_FIELD_COUNT && sample_field_info(ramp.field)->type == SAMPLE_TYPE_USEC;
    ramp.from = usec ? duration(s, range) : size(s, range);
    ramp.to = usec ? duration(s, dots + 2) : size(s, dots + 2);
    get_every(s, &ramp, rest);
}

static void do_hold(struct story *s, char **rest)
{
    struct sim_ramp ramp = {.unit = unit_named(s, word(rest)), .field = SAMPLE_FIELD_COUNT};
    get_every(s, &ramp, rest);
}

static void do_at(struct story *s, char **rest)
{
    sim_advance(&s->sim, duration(s, word(rest)));
}

static void do_wait(struct story *s, char **rest)
{
    sim_advance(&s->sim, s->sim.now_us + duration(s, word(rest)));
}

static void do_view(struct story *s, char **rest)
{
    uint16_t unit = unit_named(s, word(rest));
    struct unit_view v;
    engine_unit_view(s->sim.engine, unit, &v);
    fprintf(s->sim.out,
            "view %s: %s, life %u, %s%s%s, failures %u, restarts: failure %u, recycle %u, operator %u; "
            "sampled every %" PRIu64 "us\n",
            s->sim.names[unit], unit_state_name(v.state), v.generation, ladder_step_name(v.step),
            v.frozen ? ", frozen" : "", v.recycling_off ? ", recycling off" : "", v.failures,
            v.failure_restarts, v.recycles, v.operator_restarts,
            engine_sample_interval(s->sim.engine, &s->sim.policy, unit));
}

static void do_event(struct story *s, const char *line)
{
    char text[EVENT_TEXT_MAX + 32];
    struct event event;
    const char *what = "";
    if (line[0] == '.')
        snprintf(text, sizeof(text), "%" PRIu64 "us%s", s->sim.now_us, line + 1);
    else
        snprintf(text, sizeof(text), "%s", line);
    if (event_parse(text, s->sim.names, s->sim.policy.unit_count, &event, &what) < 0)
        broken(s, "%s: %s", what, text);
    sim_advance(&s->sim, event.t_us);
    if (event.kind == EVENT_SPAWNED && event.spawned.how == EVENT_HOW_ADOPTED) {
        s->sim.hosts[event.unit].alive = s->sim.hosts[event.unit].populated = true;
        s->sim.hosts[event.unit].generation = event.generation;
    }
    if (event.kind == EVENT_EXITED && event.generation == 0)
        event.generation = s->sim.hosts[event.unit].generation;
    sim_deliver(&s->sim, &event);
}

static const struct directive {
    const char *name;
    void (*run)(struct story *, char **);
} directives[] = {
    {"unit", do_unit}, {"policy", do_policy}, {"supervisor", do_supervisor},
    {"rule", do_rule}, {"norule", do_norule}, {"manual", do_manual},
    {"host", do_host}, {"set", do_set},       {"ramp", do_ramp},
    {"hold", do_hold}, {"at", do_at},         {"wait", do_wait},
    {"view", do_view},
};

static void run_line(struct story *s, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '#' || line[strspn(line, " \t")] == '\0')
        return;
    char copy[EVENT_TEXT_MAX];
    snprintf(copy, sizeof(copy), "%s", line);
    char *rest = NULL;
    char *first = strtok_r(copy, " \t", &rest);
    for (size_t i = 0; i < ARRAY_SIZE(directives); i++)
        if (strcmp(directives[i].name, first) == 0) {
            directives[i].run(s, &rest);
            return;
        }
    do_event(s, line);
}

static int compare(const char *path, char *narration)
{
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    char want[1024], *rest = narration;
    for (unsigned line = 1;; line++) {
        char *end = strchr(rest, '\n');
        char *more = fgets(want, sizeof(want), f);
        if (!end && !more)
            return 0;
        if (end)
            *end = '\0';
        if (more)
            want[strcspn(want, "\n")] = '\0';
        if (!end || !more || strcmp(want, rest) != 0) {
            fprintf(stderr, "%s:%u:\n  expected: %s\n  got:      %s\n", path, line, more ? want : "(the end)",
                    end ? rest : "(the end)");
            return 1;
        }
        rest = end + 1;
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: scenario NAME.trace [NAME.expected]\n");
        return 2;
    }
    _cleanup_free_ char *narration = NULL;
    size_t length = 0;
    static struct story s;
    s.path = argv[1];
    FILE *trace = fopen(argv[1], "re");
    FILE *out = open_memstream(&narration, &length);
    if (!trace || !out) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    sim_init(&s.sim, out);
    char line[EVENT_TEXT_MAX];
    while (fgets(line, sizeof(line), trace)) {
        s.line++;
        run_line(&s, line);
    }
    sim_deinit(&s.sim);
    fclose(trace);
    fclose(out);
    if (argc == 2) {
        fputs(narration, stdout);
        return 0;
    }
    return compare(argv[2], narration);
}
