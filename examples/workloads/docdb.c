/* SPDX-License-Identifier: MIT */
/*
 * docdb: see docdb.h.
 */
#include "docdb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys.h"

/* ---- what an operation means, in memory ---- */

static void apply_add(struct docdb *db, const char *path, const char *hash, int64_t count)
{
    json_t *hashes = json_object_get(db->documents, path);
    if (!hashes) {
        hashes = json_object();
        json_object_set_new(db->documents, path, hashes);
    }
    int64_t before = json_integer_value(json_object_get(hashes, hash));
    json_object_set_new(hashes, hash, json_integer(before + count));
    db->sections_count += count;
}

/* Returns the number of sections that went. */
static int64_t apply_delete(struct docdb *db, const char *path, const char *except_hash)
{
    json_t *hashes = json_object_get(db->documents, path), *value;
    const char *hash;
    void *next;
    int64_t gone = 0;
    json_object_foreach_safe(hashes, next, hash, value)
    {
        if (except_hash && strcmp(hash, except_hash) == 0)
            continue;
        gone += json_integer_value(value);
        json_object_del(hashes, hash);
    }
    if (hashes && json_object_size(hashes) == 0)
        json_object_del(db->documents, path);
    if (!except_hash || gone > 0)
        json_object_del(db->dirty, path);
    db->sections_count -= gone;
    return gone;
}

/* One line of documents.log. A line this version does not know is left alone. */
static void apply_line(struct docdb *db, char *line)
{
    char *field[4] = {NULL}, *rest = line;
    for (int i = 0; i < 4; i++)
        field[i] = rest ? strsep(&rest, "\t") : NULL;
    if (!field[1])
        return;
    if (strcmp(field[0], "add") == 0 && field[3])
        apply_add(db, field[1], field[2], strtoll(field[3], NULL, 10));
    else if (strcmp(field[0], "del") == 0)
        apply_delete(db, field[1], NULL);
    else if (strcmp(field[0], "keep") == 0 && field[2])
        apply_delete(db, field[1], field[2]);
    else if (strcmp(field[0], "dirty") == 0)
        json_object_set_new(db->dirty, field[1], json_true());
}

static void apply_request(struct docdb *db, char *line)
{
    json_t *request = json_loads(line, 0, NULL);
    const char *id = json_string_value(json_object_get(request, "id"));
    if (id) {
        int64_t number = strtoll(id + strcspn(id, "0123456789"), NULL, 10);
        if (number > db->request_last)
            db->request_last = number;
        json_object_set(db->requests, id, request);
    }
    json_decref(request);
}

/* ---- files ---- */

/* Feeds each whole line of fd to apply; cuts off what follows the last newline. Returns 0 or a negative
 * errno. */
static int load_lines(struct docdb *db, int fd, void (*apply)(struct docdb *, char *))
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *file = copy < 0 ? NULL : fdopen(copy, "r");
    if (!file) {
        int error = -errno;
        if (copy >= 0)
            close(copy);
        return error;
    }
    char *line = NULL;
    size_t room = 0;
    off_t whole_bytes = 0;
    ssize_t n;
    int result = 0;
    while ((n = getline(&line, &room, file)) > 0) {
        if (line[n - 1] != '\n') {
            if (ftruncate(fd, whole_bytes) < 0)
                result = -errno;
            break;
        }
        whole_bytes += n;
        line[n - 1] = '\0';
        apply(db, line);
    }
    free(line);
    fclose(file);
    return result;
}

static int64_t fragment_number(const char *name)
{
    char *end;
    long long number = strtoll(name, &end, 10);
    return end != name && strcmp(end, ".lance") == 0 ? number : 0;
}

/* Calls visit with each fragment's number. Returns how many there are, or a negative errno. */
static int64_t each_fragment(const struct docdb *db, void (*visit)(void *, const char *, int64_t),
                             void *context)
{
    int fd = openat(db->data_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int error = -errno;
        if (fd >= 0)
            close(fd);
        return error;
    }
    int64_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        int64_t number = fragment_number(entry->d_name);
        if (number <= 0)
            continue;
        count++;
        if (visit)
            visit(context, entry->d_name, number);
    }
    closedir(dir);
    return count;
}

static void note_last(void *context, const char *name, int64_t number)
{
    struct docdb *db = context;
    (void)name;
    if (number > db->fragment_last)
        db->fragment_last = number;
}

static void remove_older(void *context, const char *name, int64_t number)
{
    const struct docdb *db = context;
    if (number < db->fragment_last)
        (void)unlinkat(db->data_fd, name, 0); /* a fragment too many does no harm; ignoring */
}

static int make_path(const char *dir)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s", dir) >= (int)sizeof path)
        return -ENAMETOOLONG;
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(path, 0777) < 0 && errno != EEXIST)
            return -errno;
        *at = '/';
    }
    return mkdir(path, 0777) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_files(struct docdb *db, const char *dir)
{
    db->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (db->dir_fd < 0)
        return -errno;
    if (mkdirat(db->dir_fd, "data", 0777) < 0 && errno != EEXIST)
        return -errno;
    db->data_fd = openat(db->dir_fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (db->data_fd < 0)
        return -errno;
    db->log_fd = openat(db->dir_fd, "documents.log", O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (db->log_fd < 0)
        return -errno;
    db->requests_fd = openat(db->dir_fd, "requests.log", O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    return db->requests_fd < 0 ? -errno : 0;
}

int docdb_open(struct docdb *db, const char *dir)
{
    *db = (struct docdb){.dir_fd = -1, .data_fd = -1, .log_fd = -1, .requests_fd = -1};
    db->documents = json_object();
    db->dirty = json_object();
    db->requests = json_object();
    int result = make_path(dir);
    if (result == 0)
        result = open_files(db, dir);
    if (result == 0)
        result = load_lines(db, db->log_fd, apply_line);
    if (result == 0)
        result = load_lines(db, db->requests_fd, apply_request);
    if (result == 0 && each_fragment(db, note_last, db) < 0)
        result = -EIO;
    if (result < 0)
        docdb_close(db);
    return result;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void docdb_close(struct docdb *db)
{
    close_fd(&db->requests_fd);
    close_fd(&db->log_fd);
    close_fd(&db->data_fd);
    close_fd(&db->dir_fd);
    json_decref(db->documents);
    json_decref(db->dirty);
    json_decref(db->requests);
    db->documents = db->dirty = db->requests = NULL;
}

/* ---- operations ---- */

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* One line, one write: with O_APPEND it is in the file or it is not. */
static int append_line(int fd, const char *a, const char *b, const char *c, int64_t number)
{
    char *line = NULL;
    int n = number >= 0 ? asprintf(&line, "%s\t%s\t%s\t%lld\n", a, b, c, (long long)number)
            : c         ? asprintf(&line, "%s\t%s\t%s\n", a, b, c)
                        : asprintf(&line, "%s\t%s\n", a, b);
    if (n < 0)
        return -ENOMEM;
    int result = sys_write_all(fd, line, (size_t)n);
    free(line);
    return result;
}

int docdb_write_fragment(struct docdb *db, const char *content)
{
    char name[32];
    snprintf(name, sizeof name, "%012lld.lance", (long long)db->fragment_last + 1);
    int fd = openat(db->data_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int result = sys_write_all(fd, content, strlen(content));
    close(fd);
    if (result == 0)
        db->fragment_last++;
    return result;
}

int docdb_add(struct docdb *db, const char *path, const char *hash, int64_t count)
{
    if (!is_plain(path) || !is_plain(hash) || !*path || !*hash)
        return -EINVAL;
    int result = append_line(db->log_fd, "add", path, hash, count);
    if (result == 0)
        apply_add(db, path, hash, count);
    return result;
}

int64_t docdb_delete(struct docdb *db, const char *path, const char *except_hash)
{
    if (docdb_count(db, path, NULL) == (except_hash ? docdb_count(db, path, except_hash) : 0))
        return 0;
    if (except_hash && !is_plain(except_hash))
        return -EINVAL;
    int result = append_line(db->log_fd, except_hash ? "keep" : "del", path, except_hash, -1);
    return result < 0 ? result : apply_delete(db, path, except_hash);
}

int docdb_mark_dirty(struct docdb *db, const char *path)
{
    if (!json_object_get(db->documents, path) || json_object_get(db->dirty, path))
        return 0;
    int result = append_line(db->log_fd, "dirty", path, NULL, -1);
    if (result == 0)
        json_object_set_new(db->dirty, path, json_true());
    return result;
}

int64_t docdb_count(const struct docdb *db, const char *path, const char *hash)
{
    json_t *hashes = json_object_get(db->documents, path), *value;
    const char *key;
    int64_t count = 0;
    if (hash)
        return json_integer_value(json_object_get(hashes, hash));
    json_object_foreach(hashes, key, value) count += json_integer_value(value);
    return count;
}

struct docdb_totals docdb_totals(const struct docdb *db)
{
    struct docdb_totals totals = {
        .documents_count = (int64_t)json_object_size(db->documents),
        .sections_count = db->sections_count,
        .fragments_count = each_fragment(db, NULL, NULL),
    };
    const char *path;
    json_t *value;
    json_object_foreach(db->dirty, path, value) totals.dirty_count += docdb_count(db, path, NULL);
    return totals;
}

int docdb_compact(struct docdb *db)
{
    char *content = json_dumps(db->documents, JSON_INDENT(1));
    if (!content)
        return -ENOMEM;
    int result = docdb_write_fragment(db, content);
    free(content);
    if (result == 0)
        (void)each_fragment(db, remove_older, db); /* what stays is removed by the next one; ignoring */
    return result;
}

int docdb_put_request(struct docdb *db, json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    char *line = NULL;
    int n = text ? asprintf(&line, "%s\n", text) : -1;
    free(text);
    if (n < 0)
        return -ENOMEM;
    int result = sys_write_all(db->requests_fd, line, (size_t)n);
    free(line);
    if (result == 0)
        json_object_set(db->requests, json_string_value(json_object_get(request, "id")), request);
    return result;
}
