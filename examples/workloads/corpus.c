/* SPDX-License-Identifier: MIT */
/*
 * corpus: see corpus.h.
 */
#include "corpus.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCUMENT_BYTES_MAX = 16 * 1024 * 1024 }; /* chosen: longer Markdown is cut */

static int add_path(struct corpus *corpus, const char *path)
{
    char **paths = realloc(corpus->paths, (corpus->count + 1) * sizeof *paths);
    if (!paths)
        return -ENOMEM;
    corpus->paths = paths;
    paths[corpus->count] = strdup(path);
    return paths[corpus->count] ? (int)(corpus->count++, 0) : -ENOMEM;
}

static bool is_markdown(const char *name, size_t length)
{
    return length > 3 && strcmp(name + length - 3, ".md") == 0;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int corpus_scan(struct corpus *ret_corpus, const char *dir)
{
    struct corpus corpus = {.dir = strdup(dir)};
    for (size_t n = corpus.dir ? strlen(corpus.dir) : 0; n > 1 && corpus.dir[n - 1] == '/'; n--)
        corpus.dir[n - 1] = '\0'; /* paths below are cut at its length */
    char *const roots[] = {corpus.dir, NULL};
    FTS *tree = corpus.dir ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
    int result = tree ? 0 : -errno;
    while (result == 0) {
        errno = 0;
        const FTSENT *entry = fts_read(tree);
        if (!entry) {
            result = -errno;
            break;
        }
        if (entry->fts_level == 0 && (entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR))
            result = -entry->fts_errno;
        else if (entry->fts_level == 0 && entry->fts_info == FTS_F)
            result = -ENOTDIR;
        else if (entry->fts_info == FTS_F && is_markdown(entry->fts_name, entry->fts_namelen))
            result = add_path(&corpus, entry->fts_path + strlen(corpus.dir) + 1);
    }
    if (tree)
        fts_close(tree);
    if (result < 0) {
        corpus_deinit(&corpus);
        return result;
    }
    if (corpus.count)
        qsort(corpus.paths, corpus.count, sizeof *corpus.paths, compare_paths);
    *ret_corpus = corpus;
    return 0;
}

void corpus_generate(struct corpus *ret_corpus, size_t count)
{
    *ret_corpus = (struct corpus){.count = count};
}

void corpus_deinit(struct corpus *corpus)
{
    for (size_t i = 0; corpus->paths && i < corpus->count; i++)
        free(corpus->paths[i]);
    free(corpus->paths);
    free(corpus->dir);
    *corpus = CORPUS_NULL;
}

/* FNV-1a, 64 bits: tells versions of a document apart, nothing more. */
static uint64_t hash_text(const char *text, int64_t revision)
{
    uint64_t hash = 14695981039346656037u ^ (uint64_t)revision;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

static char *read_text(const struct corpus *corpus, size_t index)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", corpus->dir, corpus->paths[index]) < 0)
        return NULL;
    FILE *file = fopen(path, "re");
    free(path);
    char *text = file ? malloc(DOCUMENT_BYTES_MAX + 1) : NULL;
    size_t n = text ? fread(text, 1, DOCUMENT_BYTES_MAX, file) : 0;
    if (file)
        fclose(file);
    if (!text)
        return NULL;
    text[n] = '\0';
    char *fitted = realloc(text, n + 1);
    return fitted ? fitted : text;
}

static char *make_text(size_t index)
{
    enum { PARAGRAPH_WORDS = 60 };
    static const char *const words[] = {"cgroup", "pressure", "memory",  "worker",
                                        "index",  "vector",   "section", "weir"};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "# Document %zu\n", index);
    for (size_t section = 0; section < 2 + index % 5; section++) {
        fprintf(out, "## Part %zu\n", section + 1);
        for (size_t i = 0; i < PARAGRAPH_WORDS; i++)
            fprintf(out, "%s ", words[(index * 31 + section * 7 + i * i) % 8]);
        fputc('\n', out);
    }
    fclose(out);
    return text;
}

/* What json_string() would refuse (no UTF-8) becomes a note, so that one odd file does not stop an index. */
static json_t *json_text(const char *text, size_t length)
{
    json_t *value = json_stringn(text, length);
    return value ? value : json_string("(not UTF-8)");
}

static json_t *make_section(const struct document *document, size_t order, const char *text, size_t length)
{
    size_t depth = strspn(text, "#");
    const char *heading = text + depth + strspn(text + depth, " ");
    size_t heading_length = strcspn(heading, "\n");
    return json_pack("{s:s, s:s, s:o, s:i, s:o, s:i, s:I, s:b}", "document_path", document->path,
                     "document_hash", document->hash, "heading",
                     json_text(depth ? heading : "", depth ? heading_length : 0), "depth", (int)depth,
                     "content", json_text(text, length), "token_count", (int)(length / 4), "order",
                     (json_int_t)order, "is_dirty", 0);
}

/* One section from each heading to the next. */
static json_t *split(const struct document *document, const char *text)
{
    json_t *sections = json_array();
    for (size_t order = 0; order == 0 || *text; order++) {
        const char *next = strstr(text, "\n#");
        size_t length = next ? (size_t)(next - text) + 1 : strlen(text);
        json_array_append_new(sections, make_section(document, order, text, length));
        text += length;
    }
    return sections;
}

static char *make_path(const struct corpus *corpus, size_t index)
{
    char *path = NULL;
    if (corpus->dir)
        return strdup(corpus->paths[index]);
    return asprintf(&path, "docs/%06zu.md", index) < 0 ? NULL : path;
}

int corpus_read(const struct corpus *corpus, size_t index, int64_t revision, struct document *ret_document)
{
    errno = 0;
    char *text = corpus->dir ? read_text(corpus, index) : make_text(index);
    if (!text)
        return errno ? -errno : -ENOMEM;
    struct document document = {.path = make_path(corpus, index)};
    if (!document.path) {
        free(text);
        return -ENOMEM;
    }
    snprintf(document.hash, sizeof document.hash, "%016llx", (unsigned long long)hash_text(text, revision));
    document.sections = split(&document, text);
    free(text);
    *ret_document = document;
    return 0;
}

void document_deinit(struct document *document)
{
    free(document->path);
    json_decref(document->sections);
    *document = (struct document){0};
}
