/* SPDX-License-Identifier: MIT */
/*
 * How fast the gate reads lines: MB/s (10^6 bytes, CPU time, the best of several rounds) over input of several shapes,
 * fed in chunks of 64 KiB as the gate reads them. Beside each, in the same run, what is the least that anyone who splits
 * lines must do, memchr for the newline, and what a parser that builds a tree does, jansson's json_loadb.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rng.h"
#include "scan.h"
#include "weir/base/cleanup.h"

#define CHUNK       65536U /* the gate's buffer */
#define ROUNDS      5
#define INPUT_BYTES (UINT64_C(64) << 20)
#define TREE_BYTES  (UINT64_C(16) << 20) /* jansson gets the head of it, where it has lines: it takes long */

struct input {
    char *data;
    size_t size, room;
};

static uint64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

__attribute__((noreturn)) static void broken(const char *what)
{
    fprintf(stderr, "bench_scan: %s\n", what);
    exit(1);
}

/* ------------------------------------------ inputs ------------------------------------------ */

static void put(struct input *in, const char *text, size_t length)
{
    if (length > in->room - in->size)
        broken("an input is too large");
    memcpy(in->data + in->size, text, length);
    in->size += length;
}

__attribute__((format(printf, 2, 3))) static void print(struct input *in, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    int length = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    put(in, text, (size_t)length);
}

/* Prose as it stands in JSON: a quote or a line's end, escaped, every 80 bytes or so. */
static void put_prose(struct input *in, size_t bytes, uint64_t *rng)
{
    static const char *const words[] = {"the ",  "report ", "of ", "last ",    "quarter ", "shows ",
                                        "that ", "costs",   ", ",  "however ", "\\n\\n ",  "\\\"",
                                        "and ",  "1234 ",   "a ",  "growth ",  "section ", "in "};
    for (size_t end = in->size + bytes; in->size < end;) {
        const char *word = words[rng_below(rng, ARRAY_SIZE(words))];
        put(in, word, strlen(word));
    }
}

static void requests(struct input *in)
{
    for (uint32_t id = 0; in->size < INPUT_BYTES; id++)
        print(in,
              "{\"jsonrpc\":\"2.0\",\"id\":%" PRIu32
              ",\"method\":\"search\",\"params\":{\"query\":\"cgroup memory high\",\"k\":10}}\n",
              id + 10000000);
}

static void texts(struct input *in)
{
    uint64_t rng = 1;
    for (uint32_t id = 0; in->size < INPUT_BYTES; id++) {
        print(in,
              "{\"jsonrpc\":\"2.0\",\"id\":%" PRIu32 ",\"method\":\"addSections\",\"params\":{\"text\":\"",
              id);
        put_prose(in, 10000, &rng);
        print(in, "\"}}\n");
    }
}

static void long_string(struct input *in)
{
    print(in, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\",\"params\":{\"text\":\"");
    while (in->size < INPUT_BYTES)
        print(in, "%s",
              "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODkr");
    print(in, "\"}}\n");
}

static void floats(struct input *in)
{
    uint64_t rng = 1;
    print(in, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"embedding\":[0");
    while (in->size < INPUT_BYTES)
        print(in, ",-0.%09" PRIu64, rng_below(&rng, 1000000000));
    print(in, "]}}\n");
}

/* Lists of vectors: brackets, but few. */
static void vectors(struct input *in)
{
    uint64_t rng = 1;
    print(in, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[[0]");
    while (in->size < INPUT_BYTES) {
        print(in, ",[0");
        for (int i = 0; i < 384; i++)
            print(in, ",%.6f", (double)rng_below(&rng, 2000000) / 1e6 - 1);
        print(in, "]");
    }
    print(in, "]}\n");
}

/* The worst for skipping: short keys and short strings. */
static void objects(struct input *in)
{
    print(in, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[{}");
    for (uint32_t i = 0; in->size < INPUT_BYTES; i++)
        print(in, ",{\"id\":%" PRIu32 ",\"name\":\"section %" PRIu32 "\",\"tags\":[\"a\",\"b\"],\"ok\":true}",
              i, i);
    print(in, "]}\n");
}

/* ------------------------------------------ contestants ------------------------------------------ */

static uint64_t scan_all(const struct input *in)
{
    static struct scanner s;
    uint64_t messages = 0;
    scan_init(&s);
    for (size_t at = 0; at < in->size; at += CHUNK) {
        const char *p = in->data + at, *end = p + (in->size - at < CHUNK ? in->size - at : CHUNK);
        while (p < end) {
            bool is_end;
            p += scan_feed(&s, p, (size_t)(end - p), &is_end);
            messages += is_end && s.line.message[0].kind != SCAN_OTHER;
        }
    }
    return messages;
}

static uint64_t memchr_all(const struct input *in)
{
    uint64_t lines = 0;
    for (size_t at = 0; at < in->size; at += CHUNK) {
        const char *p = in->data + at, *end = p + (in->size - at < CHUNK ? in->size - at : CHUNK);
        while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
            lines++;
            p++;
        }
    }
    return lines;
}

static uint64_t jansson_all(const struct input *in)
{
    uint64_t lines = 0;
    json_error_t e;
    for (const char *p = in->data, *end = p + in->size, *newline; p < end; p = newline + 1) {
        newline = memchr(p, '\n', (size_t)(end - p));
        json_t *j = json_loadb(p, (size_t)(newline - p), JSON_ALLOW_NUL, &e);
        if (!j || (!json_object_get(j, "method") && !json_object_get(j, "result")))
            broken("jansson sees no message");
        json_decref(j);
        lines++;
    }
    return lines;
}

/* MB/s of the best round. */
static double measure(uint64_t (*all)(const struct input *), const struct input *in, uint64_t lines,
                      int rounds)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < rounds; i++) {
        uint64_t start = cpu_ns();
        if (all(in) != lines)
            broken("a line was missed");
        uint64_t took = cpu_ns() - start;
        best = took < best ? took : best;
    }
    return (double)in->size * 1000 / (double)best;
}

static struct input head_of(const struct input *in)
{
    struct input head = *in;
    if (in->size > TREE_BYTES) {
        const char *newline = memrchr(in->data, '\n', TREE_BYTES);
        if (newline)
            head.size = (size_t)(newline + 1 - in->data);
    }
    return head;
}

static void run(struct input *in, const char *name, void (*make)(struct input *))
{
    in->size = 0;
    make(in);
    uint64_t lines = memchr_all(in);
    struct input head = head_of(in);
    double scan = measure(scan_all, in, lines, ROUNDS), newline = measure(memchr_all, in, lines, ROUNDS);
    double tree = measure(jansson_all, &head, memchr_all(&head), 2);
    printf("%-24s %8" PRIu64 " %9.0f %9.0f %9.0f %9.2f %9.1f\n", name, lines, scan, newline, tree,
           scan / newline, scan / tree);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*make)(struct input *);
    } inputs[] = {
        {"requests of 100 B", requests},    {"requests of 10 kB text", texts},
        {"64 MB, one string", long_string}, {"64 MB, floats", floats},
        {"64 MB, vectors of 384", vectors}, {"64 MB, small objects", objects},
    };
    struct input in = {.room = INPUT_BYTES + (1U << 20)};
    in.data = malloc(in.room);
    _cleanup_free_ char *owned = in.data;
    if (!owned)
        broken("out of memory");
    printf("%-24s %8s %9s %9s %9s %9s %9s\n", "MB/s", "lines", "scan", "memchr", "jansson", "/memchr",
           "/jansson");
    for (size_t i = 0; i < ARRAY_SIZE(inputs); i++)
        run(&in, inputs[i].name, inputs[i].make);
    return 0;
}
