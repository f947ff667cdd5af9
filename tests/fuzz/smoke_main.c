/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target as an ordinary test: every file of the committed corpus, then seeded mutations of them.
 * Deterministic: the same binary and corpus try the same inputs, in the same order.
 *
 *     fuzz_NAME CORPUS_FOLDER [MUTATIONS]
 *     fuzz_NAME FILE            one input, to look at a finding of libFuzzer
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rng.h"
#include "weir/base/cleanup.h"

#define INPUT_MAX         16384 /* chosen: several pages of kernel text */
#define CORPUS_MAX        1024
#define MUTATIONS_DEFAULT 200000 /* measured: 1 s under ASan + UBSan for the slowest of the model targets */
#define EDITS_MAX         4      /* chosen: few, so that most of the text stays valid */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    size_t size;
    uint8_t data[INPUT_MAX];
};

struct corpus {
    size_t count;
    struct input *inputs;
};

/* What a text breaks on. */
static const char *const dictionary[] = {"0",
                                         "-1",
                                         "18446744073709551615",
                                         "18446744073709551616",
                                         "max",
                                         " ",
                                         "=",
                                         "\n",
                                         ":",
                                         ".",
                                         "%",
                                         "%25",
                                         "(",
                                         ")",
                                         "\t",
                                         ",",
                                         "99999999999999999999",
                                         "0.00",
                                         "",
                                         "\\"};

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* 0, or -1 with a message. */
static int load_file(const char *folder, const char *name, struct input *ret)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s%s%s", folder, *folder ? "/" : "", name);
    _cleanup_fclose_ FILE *f = fopen(path, "rbe");
    if (!f) {
        (void)fprintf(stderr, "cannot read %s\n", path);
        return -1;
    }
    ret->size = fread(ret->data, 1, sizeof(ret->data), f);
    return 0;
}

/* 0, or -1 with a message. */
static int load_corpus(const char *folder, struct corpus *ret)
{
    struct dirent **names;
    int count = scandir(folder, &names, NULL, by_name), r = 0;
    if (count < 0) {
        (void)fprintf(stderr, "cannot read folder %s\n", folder);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.' && ret->count < CORPUS_MAX && r == 0)
            r = load_file(folder, names[i]->d_name, &ret->inputs[ret->count++]);
        free(names[i]);
    }
    free(names);
    return r;
}

static void remove_bytes(struct input *in, size_t at, size_t count)
{
    if (count > in->size - at)
        count = in->size - at;
    memmove(in->data + at, in->data + at + count, in->size - at - count);
    in->size -= count;
}

static void insert_bytes(struct input *in, size_t at, const void *bytes, size_t count)
{
    if (count > INPUT_MAX - in->size)
        return;
    memmove(in->data + at + count, in->data + at, in->size - at);
    memcpy(in->data + at, bytes, count);
    in->size += count;
}

static void mutate(struct input *in, const struct corpus *corpus, uint64_t *rng)
{
    size_t at = rng_below(rng, in->size + 1);
    const char *word = dictionary[rng_below(rng, ARRAY_SIZE(dictionary))];
    const struct input *other = &corpus->inputs[rng_below(rng, corpus->count)];
    size_t from = rng_below(rng, other->size + 1), length = rng_below(rng, 64);
    switch (rng_below(rng, 6)) {
    case 0:
        if (at < in->size)
            in->data[at] = (uint8_t)rng_next(rng);
        break;
    case 1:
        remove_bytes(in, at, 1 + rng_below(rng, 16));
        break;
    case 2:
        in->size = at;
        break;
    case 3:
        insert_bytes(in, at, word, strlen(word));
        break;
    case 4:
        remove_bytes(in, at, strlen(word));
        insert_bytes(in, at, word, strlen(word));
        break;
    default:
        insert_bytes(in, at, other->data + from, length < other->size - from ? length : other->size - from);
        break;
    }
}

/* The input on the heap, to the byte, so that a sanitizer sees the first byte read behind it. */
static void run_one(const struct input *in)
{
    _cleanup_free_ uint8_t *exact = malloc(in->size ? in->size : 1);
    if (!exact)
        abort();
    memcpy(exact, in->data, in->size);
    (void)LLVMFuzzerTestOneInput(exact, in->size);
}

static void run_mutations(const struct corpus *corpus, unsigned long count)
{
    _cleanup_free_ struct input *in = malloc(sizeof(*in));
    if (!in)
        abort();
    for (unsigned long i = 0; i < count; i++) {
        uint64_t rng = i;
        *in = corpus->inputs[rng_below(&rng, corpus->count)];
        for (uint64_t edits = 1 + rng_below(&rng, EDITS_MAX); edits > 0; edits--)
            mutate(in, corpus, &rng);
        run_one(in);
    }
}

int main(int argc, char **argv)
{
    struct stat st;
    if (argc < 2 || stat(argv[1], &st) < 0) {
        (void)fprintf(stderr, "usage: %s CORPUS_FOLDER [MUTATIONS] | FILE\n", argv[0]);
        return 2;
    }
    struct corpus corpus = {.inputs = calloc(CORPUS_MAX, sizeof(struct input))};
    _cleanup_free_ struct input *owned = corpus.inputs;
    if (!owned)
        return 1;
    if (!S_ISDIR(st.st_mode)) {
        corpus.count = 1;
        if (load_file("", argv[1], owned) < 0)
            return 1;
    } else if (load_corpus(argv[1], &corpus) < 0 || corpus.count == 0) {
        (void)fprintf(stderr, "no corpus in %s\n", argv[1]);
        return 1;
    }
    for (size_t i = 0; i < corpus.count; i++)
        run_one(&owned[i]);
    if (S_ISDIR(st.st_mode))
        run_mutations(&corpus, argc > 2 ? strtoul(argv[2], NULL, 10) : MUTATIONS_DEFAULT);
    return 0;
}
