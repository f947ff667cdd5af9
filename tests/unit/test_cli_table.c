/* SPDX-License-Identifier: MIT */
/* One description of rows as table, JSON and CSV. */
#include "check.h"

#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "../../src/cli/table.h"

static const struct table_column columns[] = {
    {"time", "TIME", false, true},   {"unit", "UNIT", false, false}, {"memory", "MEMORY", true, false},
    {"share", "SHARE", true, false}, {"hidden", NULL, false, false}, {"text", "TEXT", false, false},
};

static void give_row(struct table *t, const char *unit, uint64_t memory, uint64_t share, const char *text)
{
    table_time(t, UINT64_C(1762345425123000));
    table_text(t, unit);
    table_size(t, memory);
    table_percent(t, share);
    table_count(t, 7);
    table_text(t, text);
    table_row(t);
}

static char *print(enum cli_format format, uint64_t limit, unsigned rows)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    setenv("TZ", "UTC", 1);
    struct table *t = table_new(format, out, columns, 6, limit);
    assert_non_null(t);
    if (rows > 0)
        give_row(t, "server", 1 << 20, 1234, "plain");
    if (rows > 1)
        give_row(t, "w\xc3\xb6rker", UINT64_MAX, 5, "a \"b\", c");
    if (rows > 2)
        give_row(t, NULL, 0, 0, NULL);
    table_end(t, "nothing");
    fclose(out);
    return text;
}

static void assert_prints(enum cli_format format, uint64_t limit, unsigned rows, const char *expected)
{
    char *text = print(format, limit, rows);
    assert_string_equal(text, expected);
    free(text);
}

static void test_table_aligns(void **state)
{
    (void)state;
    assert_prints(CLI_FORMAT_TABLE, 0, 3,
                  "TIME                     UNIT    MEMORY   SHARE  TEXT\n"
                  "2025-11-05 12:23:45.123  server      1M  12.34%  plain\n"
                  "2025-11-05 12:23:45.123  w\xc3\xb6rker     max   0.05%  a \"b\", c\n"
                  "2025-11-05 12:23:45.123  -           0B   0.00%  -\n");
}

static void test_empty(void **state)
{
    (void)state;
    assert_prints(CLI_FORMAT_TABLE, 0, 0, "nothing\n");
    assert_prints(CLI_FORMAT_JSON, 0, 0, "[]\n");
    assert_prints(CLI_FORMAT_CSV, 0, 0, "time,wall_us,unit,memory,share,hidden,text\r\n");
}

static void test_csv_quotes(void **state)
{
    (void)state;
    assert_prints(
        CLI_FORMAT_CSV, 0, 2,
        "time,wall_us,unit,memory,share,hidden,text\r\n"
        "2025-11-05T12:23:45.123+00:00,1762345425123000,server,1048576,12.34,7,plain\r\n"
        "2025-11-05T12:23:45.123+00:00,1762345425123000,w\xc3\xb6rker,max,0.05,7,\"a \"\"b\"\", c\"\r\n");
}

static void test_json_is_an_array_of_objects(void **state)
{
    (void)state;
    char *text = print(CLI_FORMAT_JSON, 0, 3);
    json_t *list = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(list), 3);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "memory")), 1048576);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "memory")), "max");
    assert_true(json_is_null(json_object_get(json_array_get(list, 2), "unit")));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 2), "wall_us")),
                     1762345425123000);
    json_decref(list);
    free(text);
}

static void test_limit_keeps_the_last_rows(void **state)
{
    (void)state;
    assert_prints(CLI_FORMAT_TABLE, 1, 3,
                  "TIME                     UNIT  MEMORY  SHARE  TEXT\n"
                  "2025-11-05 12:23:45.123  -         0B  0.00%  -\n");
    char *text = print(CLI_FORMAT_TABLE, 2, 3);
    assert_null(strstr(text, "server"));
    assert_true(strstr(text, "rker") < strstr(text, "0B"));
    free(text);
}

/* Rows behind the look-ahead stream, in the same widths. */
static void test_many_rows_stream(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0, lines = 0;
    FILE *out = open_memstream(&text, &size);
    struct table *t = table_new(CLI_FORMAT_TABLE, out, columns, 6, 0);
    for (int i = 0; i < TABLE_LOOK_AHEAD + 10; i++)
        give_row(t, "server", 1 << 20, 1234, "plain");
    table_end(t, "nothing");
    fclose(out);
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, TABLE_LOOK_AHEAD + 11);
    free(text);
}

/* What the table looks like on a terminal with these variables. */
static void print_on_terminal(const char *term, const char *columns_text, char *buf, size_t size)
{
    int master, slave;
    struct termios raw;
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    assert_int_equal(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
    setenv("TERM", term, 1);
    setenv("COLUMNS", columns_text, 1);
    unsetenv("NO_COLOR");
    FILE *out = fdopen(slave, "w");
    struct table *t = table_new(CLI_FORMAT_TABLE, out, columns, 6, 0);
    give_row(t, "server", 1 << 20, 1234, "a text that is too long");
    table_end(t, "nothing");
    fflush(out);
    size_t length = 0;
    for (buf[0] = '\0'; !strchr(buf, '\n') || !strchr(strchr(buf, '\n') + 1, '\n');) { /* header and row */
        ssize_t n = read(master, buf + length, size - 1 - length);
        assert_true(n > 0);
        length += (size_t)n;
        buf[length] = '\0';
    }
    fclose(out);
    close(master);
    unsetenv("COLUMNS");
}

static void test_terminal_sets_width_and_bold(void **state)
{
    (void)state;
    char text[1024];
    setenv("TZ", "UTC", 1);
    print_on_terminal("dumb", "60", text, sizeof(text));
    assert_string_equal(text, "TIME                     UNIT    MEMORY   SHARE  TEXT\n"
                              "2025-11-05 12:23:45.123  server      1M  12.34%  a text that\n");
    print_on_terminal("xterm", "60", text, sizeof(text));
    assert_ptr_equal(strstr(text, "\033[1mTIME "), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_aligns),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_csv_quotes),
        cmocka_unit_test(test_json_is_an_array_of_objects),
        cmocka_unit_test(test_limit_keeps_the_last_rows),
        cmocka_unit_test(test_many_rows_stream),
        cmocka_unit_test(test_terminal_sets_width_and_bold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
