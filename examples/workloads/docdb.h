/* SPDX-License-Identifier: MIT */
/*
 * docdb: the stand-in worker's durable state, a folder that survives any kind of death.
 *
 *   DIR/documents.log   append-only, one line an operation, tab-separated:
 *                         add PATH HASH SECTIONS   a document's sections were added
 *                         del PATH                 all of them were deleted
 *                         keep PATH HASH           all but those of this hash were deleted
 *                         dirty PATH
 *   DIR/requests.log    append-only, one JSON object a line; the last line of an id counts
 *   DIR/data/N.lance    one fragment for each add, as LanceDB writes; compaction leaves one
 *
 * An operation is done when its line is in the file: the fragment is written before, so a crash in between
 * leaves an unused fragment and nothing else. A line without its newline (disk full) is cut off at the next
 * start. That a document was added exactly once shows as exactly one `add` line. Contents of sections are not
 * kept.
 */
#ifndef WORKLOADS_DOCDB_H
#define WORKLOADS_DOCDB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct docdb {
    int dir_fd, data_fd, log_fd, requests_fd;
    json_t *documents; /* path -> { hash: number of sections } */
    json_t *dirty;     /* path -> true */
    json_t *requests;  /* id -> index request */
    int64_t sections_count;
    int64_t fragment_last; /* number of the newest fragment */
    int64_t request_last;
};

struct docdb_totals {
    int64_t documents_count, sections_count, dirty_count, fragments_count;
};

/* Opens or makes DIR (one level at a time) and reads its state. Returns 0 or a negative errno. */
int docdb_open(struct docdb *db, const char *dir);

void docdb_close(struct docdb *db);

/*
 * Adds count sections of one document, whose fragment the caller has written. Not idempotent: the same call
 * twice adds twice. Paths and hashes must not hold control characters (-EINVAL). Returns 0 or a negative
 * errno.
 */
int docdb_add(struct docdb *db, const char *path, const char *hash, int64_t count);

/* Writes content as the next fragment. Returns 0 or a negative errno. */
int docdb_write_fragment(struct docdb *db, const char *content);

/* Deletes a document's sections, all of them or (hash not NULL) all but those of hash. Returns sections
 * deleted or a negative errno; where there is nothing to delete nothing is written. */
int64_t docdb_delete(struct docdb *db, const char *path, const char *except_hash);

int docdb_mark_dirty(struct docdb *db, const char *path);

/* Sections of path with this hash; of any hash where hash is NULL. */
int64_t docdb_count(const struct docdb *db, const char *path, const char *hash);

struct docdb_totals docdb_totals(const struct docdb *db);

/* Replaces all fragments by one. Returns 0 or a negative errno. */
int docdb_compact(struct docdb *db);

/* Stores a new or changed index request (with its "id"); takes no reference. Returns 0 or a negative errno.
 */
int docdb_put_request(struct docdb *db, json_t *request);

#endif
