/* SPDX-License-Identifier: MIT */
/*
 * Parsers for the kernel's text files. Pure: text in, numbers out, no I/O, no allocation.
 *
 * Unknown keys are passed over (kernels grow), a known key with a broken value is -EINVAL, and nothing is
 * assumed about the order of lines. Outputs are untouched on failure.
 * Sources: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, accounting/psi.rst, proc(5).
 */
#ifndef WEIR_MODEL_KERNEL_H
#define WEIR_MODEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/model/sample.h"

/* "1234\n" or "max\n" (UINT64_MAX). memory.current, pids.max, memory.limit_in_bytes, ...
 * v1 writes "no limit" as PAGE_COUNTER_MAX (0x7ffffffffffff000 with 4 KiB pages): that too gives UINT64_MAX, as in
 * the flat-keyed files. 0 or -EINVAL. */
int kernel_parse_value(const char *text, uint64_t *ret);

/* Which of two keys of a flat-keyed file goes to which field. */
struct kernel_key {
    const char *key;         /* as the kernel writes it: "oom_kill" */
    enum sample_field field; /* where its value goes */
};

/* Flat-keyed files ("key value" lines): memory.events, pids.events, cgroup.events, memory.stat, cpu.stat,
 * memory.oom_control. Each key of the table that is present is set in *sample. Returns how many fields were
 * found (0 for an empty file), or -EINVAL with *sample untouched. */
int kernel_parse_flat(const char *text, const struct kernel_key *keys, size_t count, struct sample *sample);

/* Value of one key of a flat-keyed file. 0, -ENOENT or -EINVAL. */
int kernel_flat_value(const char *text, const char *key, uint64_t *ret);

struct kernel_pressure {
    uint64_t some_total_us;
    uint64_t full_total_us;
    uint32_t some_avg10_permyriad; /* "7.28" -> 728 */
    uint32_t full_avg10_permyriad;
    bool has_full; /* cpu.pressure before 5.13 has no full line */
};

/* memory.pressure, cpu.pressure, io.pressure. */
int kernel_parse_pressure(const char *text, struct kernel_pressure *ret);

struct kernel_process {
    int32_t pid;
    int32_t ppid;
    uint32_t threads;
    char state; /* 'R', 'S', 'Z', ... */
    char comm[SAMPLE_COMM_MAX];
    uint64_t start_ticks; /* field 22: clock ticks after boot; with the pid it names a process for good */
    uint64_t vsz_bytes;
    uint64_t rss_pages;
    uint64_t cpu_ticks; /* utime + stime */
    int32_t exit_code;  /* field 52, wait status; 0 without ptrace rights */
};

/* /proc/PID/stat; comm may hold blanks and parentheses. */
int kernel_parse_process_stat(const char *text, struct kernel_process *ret);

/* One row of /proc/PID/cgroup. The strings point into the text given and are not terminated. */
struct kernel_cgroup_row {
    uint32_t hierarchy; /* 0 = cgroup2 */
    const char *controllers;
    size_t controllers_length;
    const char *path;
    size_t path_length;
};

/* Parses the row at *text and moves *text to the next one. 1 = a row, 0 = end, -EINVAL. The path of a removed cgroup
 * ends " (deleted)", as the kernel writes it. */
int kernel_next_cgroup_row(const char **text, struct kernel_cgroup_row *ret);

/* Next pid of cgroup.procs text; moves *text on. 1 = a pid, 0 = end, -EINVAL. A 0 in the text (a process that the
 * reader's pid namespace does not show) is passed over. */
int kernel_next_pid(const char **text, int32_t *ret);

#endif
