/* SPDX-License-Identifier: MIT */
/* `weir status`: the status document as a table. A figure the unit does not have is shown as "-". A gate has a line of its
 * own below the table, which units without one do not pay for. */
#include "status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "table.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"

#define CELL_MAX   32
#define LADDER_MAX 512

static int64_t number(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return value ? json_integer_value(value) : -1;
}

static const char *string(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

/* Whole seconds, as a person reads them. */
static const char *seconds_cell(int64_t us, char buf[static FORMAT_DURATION_MAX])
{
    if (us < (int64_t)USEC_PER_SEC)
        return "0s";
    return format_duration((uint64_t)us / USEC_PER_SEC * USEC_PER_SEC, buf);
}

static const struct table_column columns[] = {
    {"name", "UNIT", false, false},     {"state", "STATE", false, false},
    {"since", "SINCE", false, false},   {"pid", "PID", true, false},
    {"memory", "MEMORY", true, false},  {"limit", "LIMIT", true, false},
    {"used", "USED", true, false},      {"peak", "PEAK", true, false},
    {"some", "SOME", true, false},      {"full", "FULL", true, false},
    {"pids", "PIDS", true, false},      {"restarts", "RESTARTS*", false, false},
    {"ladder", "LADDER", false, false},
};

static void put_share(struct table *t, int64_t permyriad)
{
    char text[CELL_MAX];
    (void)snprintf(text, sizeof(text), "%" PRId64 ".%" PRId64 "%%", permyriad / 100, permyriad % 100 / 10);
    table_text(t, permyriad < 0 ? NULL : text);
}

static void put_size(struct table *t, int64_t bytes)
{
    if (bytes < 0)
        table_none(t);
    else
        table_size(t, (uint64_t)bytes);
}

static void put_count(struct table *t, int64_t count)
{
    if (count < 0)
        table_none(t);
    else
        table_count(t, (uint64_t)count);
}

static void put_state(struct table *t, json_t *unit)
{
    char state[CELL_MAX], since[FORMAT_DURATION_MAX];
    (void)snprintf(state, sizeof(state), "%s%s", string(unit, "state"),
                   json_is_true(json_object_get(unit, "frozen")) ? ", frozen" : "");
    table_text(t, string(unit, "name"));
    table_text(t, state);
    table_text(t, seconds_cell(number(unit, "state_since_us"), since));
    put_count(t, number(unit, "pid") > 0 ? number(unit, "pid") : -1);
}

static void append(char text[static LADDER_MAX], const char *before, const char *what)
{
    size_t n = strlen(text);
    (void)snprintf(text + n, LADDER_MAX - n, "%s%s", before, what);
}

/* The ladder's step, the rules that have begun, and what the unit says of itself (STATUS= of sd_notify). */
static void put_ladder(struct table *t, json_t *unit)
{
    char text[LADDER_MAX] = "";
    json_t *rules = json_object_get(unit, "rules"), *rule;
    size_t i;
    const char *own = json_string_value(json_object_get(unit, "status_text"));
    bool off = json_is_true(json_object_get(unit, "recycling_off"));
    append(text, "", string(unit, "ladder"));
    if (off)
        append(text, "", " (recycling is off)");
    json_array_foreach(rules, i, rule) append(text, i ? ", " : "; rule ", json_string_value(rule));
    if (own)
        append(text, "; ", own);
    table_text(t, text);
}

static void put_unit(struct table *t, json_t *unit)
{
    json_t *reading = json_object_get(unit, "reading");
    json_t *pressure = json_object_get(json_object_get(unit, "pressure"), "memory");
    json_t *restarts = json_object_get(unit, "restarts");
    char counts[3 * CELL_MAX];
    int64_t memory = number(reading, "memory.current"), max = number(unit, "memory_max");
    put_state(t, unit);
    put_size(t, memory);
    put_size(t, max);
    put_share(t, memory >= 0 && max > 0 ? (int64_t)mul_div_u64((uint64_t)memory, PERMYRIAD_ONE, (uint64_t)max)
                                        : -1);
    put_size(t, number(reading, "memory.peak"));
    put_share(t, number(pressure, "some_permyriad"));
    put_share(t, number(pressure, "full_permyriad"));
    put_count(t, number(reading, "pids.current"));
    (void)snprintf(counts, sizeof(counts), "%" PRId64 "/%" PRId64 "/%" PRId64, number(restarts, "recycle"),
                   number(restarts, "failure"), number(restarts, "operator"));
    table_text(t, counts);
    put_ladder(t, unit);
    table_row(t);
}

/* ------------------------------------------------- gates -------------------------------------------------- */

/* Counts; of what was kept in a file, bytes. */
static void print_notes(json_t *notes)
{
    const char *name, *between = "; ";
    json_t *value;
    json_object_foreach(notes, name, value)
    {
        char size[FORMAT_SIZE_MAX];
        uint64_t amount = (uint64_t)json_integer_value(value);
        if (strcmp(name, "spooled") == 0)
            printf("%s%s %s", between, name, format_size(amount, size));
        else
            printf("%s%s %" PRIu64, between, name, amount);
        between = ", ";
    }
}

static const char *order_text(json_t *gate)
{
    static const char *const texts[][2] = {
        {"release", "open"}, {"pace", "paced"}, {"hold", "held"}, {"drain", "draining"}};
    const char *order = string(gate, "order");
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (strcmp(order, texts[i][0]) == 0)
            return texts[i][1];
    return order;
}

static void print_gate_figures(json_t *gate)
{
    char text[FORMAT_DURATION_MAX];
    int64_t queued_us = number(gate, "queued_us"), p99_us = number(gate, "latency_p99_us");
    printf("%s, %" PRId64 " in flight", order_text(gate), number(gate, "inflight"));
    if (number(gate, "waiting") > 0)
        printf(", %" PRId64 " to be sent again", number(gate, "waiting"));
    if (number(gate, "queued") > 0)
        printf(", the next held back for %s", queued_us < (int64_t)USEC_PER_SEC
                                                  ? format_duration((uint64_t)queued_us, text)
                                                  : seconds_cell(queued_us, text));
    printf("; %" PRId64 " calls, %" PRId64 " errors", number(gate, "calls"), number(gate, "errors"));
    if (p99_us >= 0)
        printf(", p99 %s", format_duration((uint64_t)p99_us, text));
    if (number(gate, "gates") > 1)
        printf(", over %" PRId64 " gates", number(gate, "gates"));
    print_notes(json_object_get(gate, "notes"));
}

static void print_gate(json_t *unit)
{
    json_t *gate = json_object_get(unit, "gate");
    if (!gate)
        return;
    printf("gate of %s: ", string(unit, "name"));
    if (number(gate, "gates") > 0)
        print_gate_figures(gate);
    else
        (void)fputs("none is connected", stdout);
    putchar('\n');
}

static void print_table(json_t *root)
{
    char up[FORMAT_DURATION_MAX];
    json_t *history = json_object_get(root, "history"), *unit;
    printf("%s: pid %" PRId64 ", run %" PRId64 ", up %s, %s cgroup layout, kernel %s\n",
           string(root, "supervisor"), number(root, "pid"), number(root, "run"),
           seconds_cell(number(root, "uptime_us"), up), string(root, "layout"), string(root, "kernel"));
    if (json_object_get(history, "problem"))
        printf("history is not being written: %s\n", string(history, "problem"));
    struct table *t = table_new(CLI_FORMAT_TABLE, stdout, columns, ARRAY_SIZE(columns), 0);
    size_t i;
    json_array_foreach(json_object_get(root, "units"), i, unit) if (t) put_unit(t, unit);
    if (t)
        table_end(t, "no units");
    puts("* planned recycles/after failures/by operator");
    json_array_foreach(json_object_get(root, "units"), i, unit) print_gate(unit);
}

int status_print(json_t *root, const struct cli_args *args)
{
    json_t *units = json_object_get(root, "units");
    if (args->word_count == 1) {
        for (size_t i = json_array_size(units); i-- > 0;)
            if (strcmp(string(json_array_get(units, i), "name"), args->words[0]) != 0)
                (void)json_array_remove(units, i);
        if (json_array_size(units) == 0) {
            fprintf(stderr, "weir status: no unit '%s' in supervisor '%s'\n", args->words[0],
                    string(root, "supervisor"));
            return CLI_EXIT_FAILED;
        }
    }
    if (args->format == CLI_FORMAT_JSON) {
        (void)json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_table(root);
    }
    return CLI_EXIT_OK;
}
