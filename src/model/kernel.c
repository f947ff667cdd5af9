/* SPDX-License-Identifier: MIT */
/*
 * Parsers for the kernel's text files; see the header for sources and shapes.
 *
 * One scanner per shape of text: a number, a flat-keyed line, a row of fields. Every parser works on local
 * variables and copies out at its end, so a broken text leaves the caller's values alone. A text may end
 * anywhere: the terminating NUL is an end of line as good as '\n'.
 *
 * What must not go in here: reading files, and any judgement of what a value means.
 */
#include "weir/model/kernel.h"

#include <errno.h>
#include <string.h>

#include "scan.h"
#include "weir/base/cleanup.h"

/* PAGE_COUNTER_MAX (include/linux/page_counter.h) is LONG_MAX rounded down to a page: 0x7ffffffffffff000 with
 * 4 KiB pages, this with 64 KiB pages (arm64). Nothing real is as large as the smaller of them. */
#define V1_UNLIMITED_MIN UINT64_C(0x7fffffffffff0000)

static bool is_line_end(char c)
{
    return c == '\n' || c == '\0';
}

/* A number or "max" that ends the line. */
static bool scan_value(const char *s, uint64_t *ret)
{
    uint64_t value = UINT64_MAX;
    if (!scan_word(&s, "max") && !scan_u64(&s, &value))
        return false;
    if (!is_line_end(*s))
        return false;
    *ret = value >= V1_UNLIMITED_MIN ? UINT64_MAX : value;
    return true;
}

int kernel_parse_value(const char *text, uint64_t *ret)
{
    uint64_t value;
    if (!scan_value(text, &value))
        return -EINVAL;
    const char *end = text + strcspn(text, "\n");
    if (*end == '\n' && end[1] != '\0')
        return -EINVAL;
    *ret = value;
    return 0;
}

static const char *next_line(const char *s)
{
    s += strcspn(s, "\n");
    return *s ? s + 1 : s;
}

/* Where the value of the line's key begins, when the key is this one; NULL when it is another. */
static const char *value_of_key(const char *line, const char *key)
{
    if (!scan_word(&line, key))
        return NULL;
    if (is_line_end(*line))
        return line; /* the key without its value: broken, for scan_value to find */
    return *line == ' ' ? line + 1 : NULL;
}

int kernel_parse_flat(const char *text, const struct kernel_key *keys, size_t count, struct sample *sample)
{
    uint64_t value[SAMPLE_FIELD_COUNT], found = 0;
    for (const char *line = text; *line; line = next_line(line))
        for (size_t i = 0; i < count; i++) {
            const char *at = value_of_key(line, keys[i].key);
            if (!at)
                continue;
            if (!scan_value(at, &value[keys[i].field]))
                return -EINVAL;
            found |= UINT64_C(1) << keys[i].field;
        }
    int fields = 0;
    for (unsigned field = 0; field < SAMPLE_FIELD_COUNT; field++) {
        if (!(found >> field & 1U))
            continue;
        sample_set(sample, (enum sample_field)field, value[field]);
        fields++;
    }
    return fields;
}

int kernel_flat_value(const char *text, const char *key, uint64_t *ret)
{
    for (const char *line = text; *line; line = next_line(line)) {
        const char *at = value_of_key(line, key);
        if (at)
            return scan_value(at, ret) ? 0 : -EINVAL;
    }
    return -ENOENT;
}

/* --- pressure ------------------------------------------------------------------------------------ */

/* "7.28" in percent: 728. Decimals after the second are dropped. */
static bool scan_permyriad(const char **s, uint32_t *ret)
{
    uint64_t whole;
    if (!scan_u64(s, &whole) || whole > UINT32_MAX / 100 - 1)
        return false;
    uint32_t share = (uint32_t)whole * 100, place = 10;
    if (**s == '.') {
        const char *first = ++*s;
        for (; **s >= '0' && **s <= '9'; ++*s, place /= 10)
            share += (uint32_t)(**s - '0') * place;
        if (*s == first)
            return false;
    }
    *ret = share;
    return true;
}

/* What follows "some" or "full": " avg10=7.28 avg60=... total=1234", in any order, other words passed over.
 */
static bool scan_pressure_line(const char *s, uint64_t *ret_total, uint32_t *ret_avg10)
{
    bool has_total = false, has_avg10 = false;
    while (*s == ' ') {
        s++;
        if (scan_word(&s, "total="))
            has_total = scan_u64(&s, ret_total);
        else if (scan_word(&s, "avg10="))
            has_avg10 = scan_permyriad(&s, ret_avg10);
        else
            s += strcspn(s, " \n");
    }
    return has_total && has_avg10 && is_line_end(*s);
}

int kernel_parse_pressure(const char *text, struct kernel_pressure *ret)
{
    struct kernel_pressure p = {0};
    bool has_some = false;
    for (const char *line = text; *line; line = next_line(line)) {
        const char *s = line;
        bool some = scan_word(&s, "some");
        if ((!some && !scan_word(&s, "full")) || (*s != ' ' && !is_line_end(*s)))
            continue;
        if (!scan_pressure_line(s, some ? &p.some_total_us : &p.full_total_us,
                                some ? &p.some_avg10_permyriad : &p.full_avg10_permyriad))
            return -EINVAL;
        *(some ? &has_some : &p.has_full) = true;
    }
    if (!has_some)
        return -EINVAL;
    *ret = p;
    return 0;
}

/* --- /proc/PID/stat ------------------------------------------------------------------------------ */

/* proc(5): "state" is field 3, the first behind comm; "exit_code" is field 52, the last since 3.5. */
enum {
    STAT_FIRST = 4,
    STAT_LAST = 52,
    STAT_PPID = 4,
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_THREADS = 20,
    STAT_START = 22,
    STAT_VSIZE = 23,
    STAT_RSS = 24,
    STAT_EXIT_CODE = 52
};

/* Fields 4 to 52 into value[field]. Some may be negative (tpgid, priority), none that is kept: they are read
 * as UINT64_MAX. */
static bool scan_stat_fields(const char *s, uint64_t value[static STAT_LAST + 1])
{
    for (unsigned field = STAT_FIRST; field <= STAT_LAST; field++) {
        if (*s++ != ' ')
            return false;
        bool negative = *s == '-';
        s += negative;
        if (!scan_u64(&s, &value[field]))
            return false;
        if (negative)
            value[field] = UINT64_MAX;
    }
    return is_line_end(*s) || *s == ' ';
}

/* "1234 (comm) S": the last ')' ends comm, which may hold anything, newlines too. */
static const char *scan_stat_head(const char *text, struct kernel_process *p)
{
    uint64_t pid;
    const char *open = text, *close = strrchr(text, ')');
    if (!scan_u64(&open, &pid) || pid == 0 || pid > INT32_MAX || !scan_word(&open, " (") || !close ||
        close < open)
        return NULL;
    size_t length = (size_t)(close - open);
    if (length >= sizeof(p->comm)) /* kernel workers show longer names than a task's comm holds */
        length = sizeof(p->comm) - 1;
    memcpy(p->comm, open, length);
    p->pid = (int32_t)pid;
    if (close[1] != ' ' || close[2] == '\0' || close[2] == ' ' || close[2] == '\n')
        return NULL;
    p->state = close[2];
    return close + 3;
}

int kernel_parse_process_stat(const char *text, struct kernel_process *ret)
{
    struct kernel_process p = {0};
    uint64_t value[STAT_LAST + 1];
    const char *rest = scan_stat_head(text, &p);
    if (!rest || !scan_stat_fields(rest, value))
        return -EINVAL;
    if (value[STAT_PPID] > INT32_MAX || value[STAT_THREADS] > INT32_MAX ||
        value[STAT_EXIT_CODE] > INT32_MAX || value[STAT_START] == UINT64_MAX ||
        value[STAT_VSIZE] == UINT64_MAX || value[STAT_RSS] == UINT64_MAX)
        return -EINVAL;
    p.ppid = (int32_t)value[STAT_PPID];
    p.threads = (uint32_t)value[STAT_THREADS];
    p.start_ticks = value[STAT_START];
    p.vsz_bytes = value[STAT_VSIZE];
    p.rss_pages = value[STAT_RSS];
    if (__builtin_add_overflow(value[STAT_UTIME], value[STAT_STIME], &p.cpu_ticks))
        return -EINVAL;
    p.exit_code = (int32_t)value[STAT_EXIT_CODE];
    *ret = p;
    return 0;
}

/* --- rows ---------------------------------------------------------------------------------------- */

/* "12:cpu,cpuacct:/path". The path ends at the newline: the kernel refuses one in a cgroup's name
 * (cgroup_mkdir, kernel/cgroup/cgroup.c); it may hold ':' and blanks. */
int kernel_next_cgroup_row(const char **text, struct kernel_cgroup_row *ret)
{
    const char *s = *text;
    if (*s == '\0')
        return 0;
    uint64_t hierarchy;
    if (!scan_u64(&s, &hierarchy) || hierarchy > UINT32_MAX || !scan_word(&s, ":"))
        return -EINVAL;
    const char *controllers = s, *colon = s + strcspn(s, ":\n");
    if (*colon != ':' || colon[1] != '/')
        return -EINVAL;
    *ret = (struct kernel_cgroup_row){
        .hierarchy = (uint32_t)hierarchy,
        .controllers = controllers,
        .controllers_length = (size_t)(colon - controllers),
        .path = colon + 1,
        .path_length = strcspn(colon + 1, "\n"),
    };
    *text = next_line(colon);
    return 1;
}

int kernel_next_pid(const char **text, int32_t *ret)
{
    const char *s = *text;
    uint64_t pid;
    /* 0 stands for a process that the reader's pid namespace does not show: passed over, as nothing can be
     * done to it and kill(0) would mean ourselves */
    do {
        if (*s == '\0') {
            *text = s;
            return 0;
        }
        if (!scan_u64(&s, &pid) || pid > INT32_MAX || !is_line_end(*s))
            return -EINVAL;
        s += *s == '\n';
    } while (pid == 0);
    *text = s;
    *ret = (int32_t)pid;
    return 1;
}
