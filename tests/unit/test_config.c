/* SPDX-License-Identifier: MIT */
/*
 * Loading: what a file says ends up where it belongs, what it does not say has its default, and a file that
 * cannot be read is told apart from one that is wrong. What is wrong in how many ways is tests/config/'s.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config_text.h"
#include "key.h"
#include "weir/base/units.h"

#define MIB (1024ULL * 1024)

static void five_lines_are_enough(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c = config_text_good("[supervisor]\n"
                                                                "name = docs\n"
                                                                "[unit server]\n"
                                                                "exec = node server.js\n"
                                                                "memory_max = 1G\n");
    assert_string_equal(c.name, "docs");
    assert_int_equal(c.interval_us, USEC_PER_SEC);
    assert_int_equal(c.retention_us, 30 * 86400 * USEC_PER_SEC);
    assert_int_equal(c.history_max_bytes, 1024 * MIB);
    assert_int_equal(c.unit_count, 1);
    const struct config_unit *u = &c.units[0];
    assert_string_equal(u->name, "server");
    assert_string_equal(u->policy.name, "server");
    assert_int_equal(u->line, 3);
    assert_string_equal(u->argv[1], "server.js");
    assert_true(u->memory_max.is_set && !u->memory_max.is_share);
    assert_int_equal(u->memory_max.bytes, 1024 * MIB);
    assert_false(u->memory_high.is_set || u->has_user || u->has_nice || u->has_umask || u->has_capabilities);
    assert_true(u->no_new_privileges);
    assert_false(u->memory_oom_group || u->best_effort);
    assert_true(u->pids_max == UINT64_MAX);
    assert_int_equal(u->log_size_bytes, 16 * MIB);
    assert_int_equal(u->log_files, 5);
    assert_int_equal(u->log_rate_bytes, MIB);
    assert_int_equal(u->policy.kind, UNIT_KIND_SERVICE);
    assert_int_equal(u->policy.ready_timeout_us, 60 * USEC_PER_SEC);
}

static void each_key_reaches_its_field(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c = config_text_good(
        "[unit a]\nexec = a\nnice = -5\numask = 027\noom_score_adj = 100\nlimit_nofile = 10:20\n"
        "limit_core = infinity\ncapabilities = CAP_CHOWN, kill\nmemory_max = 85%\nmemory_swap_max = 0\n"
        "cpu_max = 150%\ncpu_weight = 200\npids_max = 7\nready = http://[::1]:8080/up?x=1\nrestart = no\n"
        "mode = observe\nnotify_at = 50%\nbackoff_max = 5min\nhealthy_after = 90s\nuser = 0\n"
        "[unit b]\nwrap = uv\nrespawn_wait = 3s\n");
    const struct config_unit *a = &c.units[0], *b = &c.units[1];
    assert_int_equal(a->nice, -5);
    assert_int_equal(a->umask, 027);
    assert_int_equal(a->oom_score_adj, 100);
    assert_int_equal(a->rlimits[RLIMIT_NOFILE].value.rlim_cur, 10);
    assert_int_equal(a->rlimits[RLIMIT_NOFILE].value.rlim_max, 20);
    assert_true(a->rlimits[RLIMIT_CORE].is_set && a->rlimits[RLIMIT_CORE].value.rlim_cur == RLIM_INFINITY);
    assert_false(a->rlimits[RLIMIT_NPROC].is_set);
    assert_true(a->has_capabilities && a->capabilities == (1U << 0 | 1U << 5));
    assert_true(a->memory_max.is_share);
    assert_int_equal(a->memory_max.permyriad, 8500);
    assert_true(a->memory_swap_max.is_set && a->memory_swap_max.bytes == 0);
    assert_int_equal(a->cpu_max_permyriad, 15000);
    assert_int_equal(a->cpu_weight, 200);
    assert_int_equal(a->pids_max, 7);
    assert_int_equal(a->ready.type, CONFIG_READY_HTTP);
    assert_string_equal(a->ready.host, "::1");
    assert_int_equal(a->ready.port, 8080);
    assert_string_equal(a->ready.path, "/up?x=1");
    assert_true(a->policy.has_ready);
    assert_int_equal(a->policy.restart, UNIT_RESTART_NO);
    assert_int_equal(a->policy.mode, UNIT_MODE_OBSERVE);
    assert_int_equal(a->policy.ladder.notify_permyriad, 5000);
    assert_int_equal(a->policy.backoff_max_us, 300 * USEC_PER_SEC);
    assert_int_equal(a->policy.healthy_us, 90 * USEC_PER_SEC);
    assert_true(a->has_user && a->uid == 0 && a->gid == 0);
    assert_string_equal(a->home, "/root");
    assert_string_equal(b->wrap, "uv");
    assert_null(b->argv);
    assert_int_equal(b->policy.kind, UNIT_KIND_WRAPPED);
    assert_int_equal(b->policy.respawn_wait_us, 3 * USEC_PER_SEC);
}

static void readiness_has_five_forms(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c =
        config_text_good("[unit a]\nexec = a\nready = tcp:24280\n"
                         "[unit b]\nexec = a\nready = tcp:localhost:80\n"
                         "[unit c]\nexec = a\nready = exec:/bin/check \"two words\"\n"
                         "[unit d]\nexec = a\nready = notify\n"
                         "[unit e]\nexec = a\nready = log:^ready: [0-9]+ # files$\n"
                         "[unit f]\nexec = a\nready = http://127.0.0.1\n");
    assert_string_equal(c.units[0].ready.host, "127.0.0.1");
    assert_int_equal(c.units[0].ready.port, 24280);
    assert_string_equal(c.units[1].ready.host, "localhost");
    assert_string_equal(c.units[2].ready.argv[1], "two words");
    assert_int_equal(c.units[3].ready.type, CONFIG_READY_NOTIFY);
    assert_string_equal(c.units[4].ready.path, "^ready: [0-9]+ # files$");
    assert_string_equal(c.units[5].ready.path, "/");
    assert_int_equal(c.units[5].ready.port, 80);
}

/* A group given before or after the user replaces the user's own. */
static void a_group_wins_wherever_it_stands(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c = config_text_good(
        "[unit a]\nexec = a\nuser = 0\ngroup = 4242\n[unit b]\nexec = b\ngroup = 4242\nuser = 0\n"
        "[unit c]\nexec = c\nuser = 3999999\ngroup = 0\n");
    assert_int_equal(c.units[0].gid, 4242);
    assert_int_equal(c.units[1].gid, 4242);
    assert_int_equal(c.units[2].uid, 3999999);
    assert_null(c.units[2].home);
}

static char *write_temp(const char *text)
{
    char *path = strdup("/tmp/weir-test-XXXXXX");
    _cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
    return path;
}

/* Loads a unit with that environment_file and `environment = A=own`. */
static int load_with_variables(const char *variables, struct config *ret, struct config_report *report)
{
    _cleanup_free_ char *path = write_temp(variables);
    char text[256];
    (void)snprintf(text, sizeof(text), "[unit a]\nexec = a\nenvironment = A=own Z=1\nenvironment_file = %s\n",
                   path);
    int r = config_text_load(text, ret, report);
    unlink(path);
    return r;
}

static void variables_come_from_a_file_and_from_the_config(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c = {0};
    _cleanup_(config_report_deinit) struct config_report report;
    int r = load_with_variables("# a comment\n\nB=two words\r\n A=file\nC=\"quoted \"\nD='x'\nE=\nF=\"", &c,
                                &report);
    assert_int_equal(r, 0);
    static const char *const expected[] = {"B=two words", "C=quoted ", "D=x", "E=", "F=\"", "A=own", "Z=1"};
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        assert_string_equal(c.units[0].environment[i], expected[i]);
    assert_null(c.units[0].environment[ARRAY_SIZE(expected)]);
}

static void a_bad_variable_file_is_told_without_its_values(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"A=1\nsecret\n", "line 2 of the file has no '='"},
        {"export B=secret\n", "line 1 of the file has no valid name"},
        {"B=1\nB=secret\n", "line 2 of the file sets B again"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct config c = {0};
        _cleanup_(config_report_deinit) struct config_report report;
        assert_int_equal(load_with_variables(cases[i].text, &c, &report), -EINVAL);
        assert_int_equal(report.count, 1);
        assert_int_equal(report.problems[0].line, 4);
        assert_non_null(strstr(report.problems[0].text, cases[i].part));
        assert_null(strstr(report.problems[0].text, "secret"));
    }
}

static void expect_unreadable(const char *path, int error, const char *part)
{
    struct config c = {0};
    _cleanup_(config_report_deinit) struct config_report report;
    assert_int_equal(config_load(path, &c, &report), error);
    assert_int_equal(report.count, 1);
    assert_int_equal(report.problems[0].line, 0);
    assert_non_null(strstr(report.problems[0].text, part));
    assert_null(c.path);
}

static void what_cannot_be_read_is_told_as_such(void **state)
{
    (void)state;
    expect_unreadable("/nonexistent/weir.ini", -ENOENT, "No such file");
    expect_unreadable("/tmp", -EISDIR, "a folder, not a file");
    expect_unreadable("/dev/zero", -ENOTSUP, "a pipe, socket or device, not a file");
    _cleanup_free_ char *path = write_temp("");
    assert_int_equal(truncate(path, 1 << 26), 0);
    expect_unreadable(path, -EFBIG, "larger than");
    assert_int_equal(truncate(path, 0), 0);
    if (geteuid() == 0) {
        (void)unlink(path);
        return; /* root reads everything */
    }
    chmod(path, 0);
    expect_unreadable(path, -EACCES, "Permission denied");
    unlink(path);
}

static void the_longest_line_is_read_whole(void **state)
{
    (void)state;
    enum { LONGEST = 16384 };
    _cleanup_free_ char *text = malloc(LONGEST + 64);
    int begin = sprintf(text, "[unit a]\n");
    int key = sprintf(text + begin, "exec = /bin/echo ");
    memset(text + begin + key, 'x', LONGEST - (size_t)key);
    strcpy(text + begin + LONGEST, "\nmemory_max = 2G\n");
    _cleanup_(config_deinit) struct config c = config_text_good(text);
    assert_int_equal(strlen(c.units[0].argv[1]), LONGEST - key);
    assert_int_equal(c.units[0].memory_max.bytes, 2048 * MIB);

    text[begin + LONGEST] = 'x';
    strcpy(text + begin + LONGEST + 1, "\nmemory_max = 2 gigs\n");
    struct config bad = {0};
    _cleanup_(config_report_deinit) struct config_report report;
    assert_int_equal(config_text_load(text, &bad, &report), -EINVAL);
    assert_int_equal(report.count, 2);
    assert_int_equal(report.problems[0].line, 2);
    assert_int_equal(report.problems[1].line, 3);
}

static void the_name_comes_from_the_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/weir-test-XXXXXX", path[128];
    assert_non_null(mkdtemp(folder));
    static const struct {
        const char *file, *name;
    } cases[] = {{"search-docs.ini", "search-docs"}, {"docs.v2.conf", "docs.v2"}, {"plain", "plain"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, cases[i].file);
        FILE *f = fopen(path, "we");
        (void)fputs("[unit a]\nexec = a\n", f);
        fclose(f);
        _cleanup_(config_deinit) struct config c = {0};
        _cleanup_(config_report_deinit) struct config_report report;
        assert_int_equal(config_load(path, &c, &report), 0);
        assert_string_equal(c.name, cases[i].name);
        assert_string_equal(c.path, path);
        unlink(path);
    }
    rmdir(folder);
}

static void folders_have_their_place(void **state)
{
    (void)state;
    setenv("XDG_STATE_HOME", "/xdg/state", 1);
    setenv("XDG_RUNTIME_DIR", "/xdg/run", 1);
    static const char text[] = "[supervisor]\nname = docs\n[unit a]\nexec = a\n";
    _cleanup_(config_deinit) struct config c = config_text_good(text);
    bool is_root = geteuid() == 0;
    assert_string_equal(c.state_dir, is_root ? "/var/lib/weir/docs" : "/xdg/state/weir/docs");
    assert_string_equal(c.run_dir, is_root ? "/run/weir/docs" : "/xdg/run/weir/docs");
    _cleanup_(config_deinit) struct config own =
        config_text_good("[supervisor]\nstate_dir = /a b\nrun_dir = /c\n[unit a]\nexec = a\n");
    assert_string_equal(own.state_dir, "/a b");
    assert_string_equal(own.run_dir, "/c");
}

static void a_policy_has_sizes_and_indices(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c =
        config_text_good("[supervisor]\ninterval = 2s\n[unit a]\nexec = a\nafter = c, b\nmemory_max = 50%\n"
                         "[unit b]\nexec = b\nmemory_high = 512M\n[unit c]\nexec = c\nmemory_max = max\n");
    const uint32_t abilities[] = {ABILITY_MEMORY_MAX, ABILITY_KILL, 0};
    struct unit_policy units[3];
    struct policy policy = {.units = units};
    config_resolve(&c, 1000 * MIB, abilities, &policy);
    assert_int_equal(policy.interval_us, 2 * USEC_PER_SEC);
    assert_int_equal(policy.unit_count, 3);
    assert_ptr_equal(policy.units, units);
    assert_int_equal(units[0].memory_max_bytes, 500 * MIB);
    assert_true(units[0].memory_high_bytes == UINT64_MAX);
    assert_int_equal(units[0].after_count, 2);
    assert_int_equal(units[0].after[0], 2);
    assert_int_equal(units[0].after[1], 1);
    assert_int_equal(units[0].abilities, ABILITY_MEMORY_MAX);
    assert_int_equal(units[1].memory_high_bytes, 512 * MIB);
    assert_true(units[2].memory_max_bytes == UINT64_MAX);
    config_resolve(&c, UINT64_MAX, abilities, &policy);
    assert_true(units[0].memory_max_bytes == UINT64_MAX);
    assert_int_equal(units[0].after_count, 2);
}

static void a_fast_interval_is_never_the_slower_one(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c =
        config_text_good("[supervisor]\ninterval = 100ms\n[unit a]\nexec = a\n");
    struct unit_policy units[1];
    struct policy policy = {.units = units};
    config_resolve(&c, MIB, NULL, &policy);
    assert_true(policy.fast_interval_us <= policy.interval_us);
}

/* Owner for a key: one big enough for either section. */
union owner {
    struct config supervisor;
    struct config_unit unit;
    struct config_rule rule;
};

static void init_owner(enum key_section section, union owner *o)
{
    memset(o, 0, sizeof(*o));
    if (section == KEY_SECTION_UNIT)
        assert_int_equal(config_unit_init(&o->unit), 0);
    else
        assert_int_equal(key_table_init(section, o), 0);
}

/* Parses text by the row; its format parsed again must be the same. */
static void expect_round_trip(enum key_section section, const struct key *key, const char *text)
{
    union owner a, b;
    struct text first = TEXT_NULL, second = TEXT_NULL;
    struct why why = WHY_NULL;
    init_owner(section, &a);
    init_owner(section, &b);
    if (key_parse(key, &a, text, &why) < 0)
        fail_msg("%s", why.text);
    key->type->format(key, &a, &first);
    if (key_parse(key, &b, text_peek(&first), &why) < 0)
        fail_msg("%s", why.text);
    key->type->format(key, &b, &second);
    assert_string_equal(text_peek(&first), text_peek(&second));
    text_deinit(&first);
    text_deinit(&second);
    key_table_deinit(section, &a);
    key_table_deinit(section, &b);
}

static void every_row_is_whole(void **state)
{
    (void)state;
    for (int section = 0; section < KEY_SECTION_COUNT; section++) {
        const struct key_table *table = &key_tables[section];
        for (size_t i = 0; i < table->count; i++) {
            const struct key *key = &table->keys[i];
            union owner o;
            struct text value = TEXT_NULL;
            assert_true(key->doc && key->example && key->type);
            assert_ptr_equal(key_find(section, key->name), key);
            expect_round_trip(section, key, key->example);
            init_owner(section, &o);
            key->type->format(key, &o, &value);
            if (value.length > 0)
                expect_round_trip(section, key, text_peek(&value));
            else if (!key->unset)
                fail_msg("%s has neither a default nor a word for none", key->name);
            if ((key->flags & (KEY_LIVE | KEY_FILE)) == KEY_LIVE)
                assert_null(key->type->clear);
            text_deinit(&value);
            key_table_deinit(section, &o);
        }
    }
}

static void values_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *key, *text;
    } cases[] = {
        {"memory_max", "1.5G"},
        {"memory_max", "12.34%"},
        {"memory_max", "max"},
        {"memory_max", "1048577"},
        {"pids_max", "max"},
        {"cpu_max", "max"},
        {"cpu_max", "12.5%"},
        {"stop_timeout", "0"},
        {"backoff_max", "61s"},
        {"backoff_max", "1.5ms"},
        {"backoff_max", "23h59m59s"},
        {"nice", "-20"},
        {"nice", "+0"},
        {"umask", "7"},
        {"limit_core", "0:infinity"},
        {"limit_nofile", "max"},
        {"exec", "a \"\" \"b c\" \\; \"|\""},
        {"ready", "tcp:[::1]:1"},
        {"ready", "exec:/a \"b c\""},
        {"ready", "log:a # b"},
        {"capabilities", "none"},
        {"environment", "A= \"B=c d\""},
        {"log_rate", "max"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_round_trip(KEY_SECTION_UNIT, key_find(KEY_SECTION_UNIT, cases[i].key), cases[i].text);
}

/* The printed sample is a config, and stays one with its key lines taken in one at a time. */
static void the_sample_loads(void **state)
{
    (void)state;
    static char text[64 * 1024];
    FILE *out = fmemopen(text, sizeof(text), "w");
    config_print_sample(out);
    fclose(out);
    struct config c = config_text_good(text);
    config_deinit(&c);
    unsigned keys = 0;
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "#[rule", 6) == 0)
            break; /* a rule is whole or not there */
        bool is_key = line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';
        if (!is_key || strncmp(line, "#exec", 5) == 0)
            continue;
        _cleanup_free_ char *name = text_copy(line + 1, strcspn(line + 1, " "));
        const struct key *key = key_find(KEY_SECTION_UNIT, name);
        /* what a service unit cannot have, or that names another unit */
        bool for_wrapped =
            key && ((key->flags & KEY_WRAPPED) || key->type == &type_wrap || key->type == &type_after);
        keys++;
        if (for_wrapped)
            continue;
        char *hash = line;
        *hash = '\n';
        struct config with_key = config_text_good(text);
        config_deinit(&with_key);
        *hash = '#';
    }
    assert_int_equal(keys + 1, key_tables[KEY_SECTION_SUPERVISOR].count + key_tables[KEY_SECTION_UNIT].count);
}

/* The sample's rule is one, once its lines are taken in together, and the limit that it speaks of. */
static void the_rule_of_the_sample_loads(void **state)
{
    (void)state;
    static char text[64 * 1024];
    FILE *out = fmemopen(text, sizeof(text), "w");
    config_print_sample(out);
    fclose(out);
    bool is_rule = false;
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        is_rule |= strncmp(line, "#[rule", 6) == 0;
        if ((is_rule && *line == '#' && line[1] != ' ' && strncmp(line, "#unit", 5) != 0) ||
            strncmp(line, "#memory_max", 11) == 0)
            *line = '\n';
    }
    struct config c = config_text_good(text);
    assert_int_equal(c.rule_count, 1);
    assert_int_equal(c.rules[0].rule.limit_count, 4);
    config_deinit(&c);
}

static void the_manual_names_every_key(void **state)
{
    (void)state;
    static char text[64 * 1024], word[64];
    FILE *out = fmemopen(text, sizeof(text), "w");
    config_print_scdoc(out);
    fclose(out);
    for (int section = 0; section < KEY_SECTION_COUNT; section++)
        for (size_t i = 0; i < key_tables[section].count; i++) {
            (void)snprintf(word, sizeof(word), "\n*%s* = ", key_tables[section].keys[i].name);
            assert_non_null(strstr(text, word));
        }
    for (size_t i = 0; i < rule_metric_count; i++) {
        struct text name = TEXT_NULL;
        text_add(&name, "\n*");
        for (const char *c = rule_metrics[i].name; *c; c++)
            text_add(&name, "%s%c", *c == '.' || *c == '_' ? "\\" : "", *c); /* as scdoc wants them */
        text_add(&name, "* _");
        assert_non_null(strstr(text, text_peek(&name)));
        text_deinit(&name);
    }
}

/* A thousand problems are told in the order of their lines, and once each. */
static void problems_come_in_the_order_of_lines(void **state)
{
    (void)state;
    struct text text = TEXT_NULL;
    text_add(&text, "[unit a]\nexec = a\n");
    for (int i = 0; i < 500; i++)
        text_add(&text, "  indented = 1\nwrong_key_%d = 1\n", i);
    struct config c = {0};
    _cleanup_(config_report_deinit) struct config_report report;
    assert_int_equal(config_text_load(text_peek(&text), &c, &report), -EINVAL);
    assert_int_equal(report.count, 1000);
    for (size_t i = 0; i < report.count; i++)
        assert_int_equal(report.problems[i].line, i + 3);
    text_deinit(&text);
}

static void deinit_is_idempotent(void **state)
{
    (void)state;
    struct config c = config_text_good("[unit a]\nexec = a\n");
    config_deinit(&c);
    config_deinit(&c);
    struct config_report report = {0};
    config_report_deinit(&report);
    config_report_deinit(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_lines_are_enough),
        cmocka_unit_test(each_key_reaches_its_field),
        cmocka_unit_test(readiness_has_five_forms),
        cmocka_unit_test(a_group_wins_wherever_it_stands),
        cmocka_unit_test(variables_come_from_a_file_and_from_the_config),
        cmocka_unit_test(a_bad_variable_file_is_told_without_its_values),
        cmocka_unit_test(what_cannot_be_read_is_told_as_such),
        cmocka_unit_test(the_longest_line_is_read_whole),
        cmocka_unit_test(the_name_comes_from_the_file),
        cmocka_unit_test(folders_have_their_place),
        cmocka_unit_test(a_policy_has_sizes_and_indices),
        cmocka_unit_test(a_fast_interval_is_never_the_slower_one),
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(values_are_written_as_they_are_read),
        cmocka_unit_test(the_sample_loads),
        cmocka_unit_test(the_rule_of_the_sample_loads),
        cmocka_unit_test(the_manual_names_every_key),
        cmocka_unit_test(problems_come_in_the_order_of_lines),
        cmocka_unit_test(deinit_is_idempotent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
