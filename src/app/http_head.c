/* SPDX-License-Identifier: MIT */
/* Status line parser; see the header. */
#include "http_head.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct span {
    const char *data;
    size_t size;
};

/* The next line without its end; false: not there yet. */
static bool next_line(struct span *from, struct span *ret)
{
    const char *newline = memchr(from->data, '\n', from->size);
    if (!newline)
        return false;
    size_t length = (size_t)(newline - from->data);
    *ret = (struct span){from->data, length - (length > 0 && newline[-1] == '\r')};
    from->data += length + 1;
    from->size -= length + 1;
    return true;
}

static void copy_reason(const struct span *line, size_t at, char reason[static HTTP_REASON_MAX])
{
    size_t n = 0;
    while (at < line->size && line->data[at] == ' ')
        at++;
    for (; at < line->size && n < HTTP_REASON_MAX - 1; at++)
        reason[n++] = isprint((unsigned char)line->data[at]) ? line->data[at] : '?';
    reason[n] = '\0';
}

/* "HTTP/1.1 503 Service Unavailable" */
static int parse_status_line(const struct span *line, unsigned *ret_status,
                             char reason[static HTTP_REASON_MAX])
{
    size_t at = strlen("HTTP/");
    if (line->size < at || memcmp(line->data, "HTTP/", at) != 0)
        return -EBADMSG;
    while (at < line->size && (isdigit((unsigned char)line->data[at]) || line->data[at] == '.'))
        at++;
    size_t version_end = at;
    while (at < line->size && line->data[at] == ' ')
        at++;
    unsigned status = 0;
    size_t digits = at;
    while (at < line->size && at < digits + 3 && isdigit((unsigned char)line->data[at]))
        status = status * 10 + (unsigned)(line->data[at++] - '0');
    bool is_whole = at == line->size || line->data[at] == ' ';
    if (digits == version_end || at != digits + 3 || !is_whole || status < 100)
        return -EBADMSG;
    *ret_status = status;
    copy_reason(line, at, reason);
    return 0;
}

/* What has come so far cannot become "HTTP/": no need to wait for the end of the line. */
static bool is_hopeless(const struct span *rest)
{
    size_t n = rest->size < strlen("HTTP/") ? rest->size : strlen("HTTP/");
    return n > 0 && rest->data[0] != '\r' && memcmp(rest->data, "HTTP/", n) != 0;
}

int http_parse_status(const char *data, size_t size, unsigned *ret_status,
                      char reason[static HTTP_REASON_MAX])
{
    struct span rest = {data, size}, line;
    bool in_interim = false;
    while (next_line(&rest, &line)) {
        if (in_interim || line.size == 0) {
            in_interim = in_interim && line.size > 0;
            continue;
        }
        unsigned status;
        char text[HTTP_REASON_MAX];
        if (parse_status_line(&line, &status, text) < 0)
            return -EBADMSG;
        if (status >= 200) {
            *ret_status = status;
            memcpy(reason, text, sizeof(text));
            return 0;
        }
        in_interim = true;
    }
    return !in_interim && is_hopeless(&rest) ? -EBADMSG : -EAGAIN;
}
