/* SPDX-License-Identifier: MIT */
/*
 * corpus: the documents a server indexes, found in a folder or made up.
 *
 * A document is known by its number. Its text is read or made when it is asked for; only paths are kept.
 */
#ifndef WORKLOADS_CORPUS_H
#define WORKLOADS_CORPUS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct corpus {
    char *dir;    /* NULL: generated */
    char **paths; /* relative to dir, sorted; NULL where generated */
    size_t count;
};

#define CORPUS_NULL ((struct corpus){0})

/* Finds all *.md below dir. Returns 0 or a negative errno. */
int corpus_scan(struct corpus *ret_corpus, const char *dir);

/* Makes count documents up, the same ones each time. */
void corpus_generate(struct corpus *ret_corpus, size_t count);

void corpus_deinit(struct corpus *corpus);

struct document {
    char *path;
    char hash[17];    /* 64 bits, hexadecimal */
    json_t *sections; /* as addSections wants them */
};

/*
 * Reads document `index`. revision changes its hash as an edit would. Returns 0 or a negative errno (the file
 * is gone, say). The caller frees it with document_deinit().
 */
int corpus_read(const struct corpus *corpus, size_t index, int64_t revision, struct document *ret_document);

void document_deinit(struct document *document);

#endif
