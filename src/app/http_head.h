/* SPDX-License-Identifier: MIT */
/* The status of an HTTP/1.x answer, from bytes as they come in. Pure: no I/O, no allocation. */
#ifndef WEIR_APP_HTTP_HEAD_H
#define WEIR_APP_HTTP_HEAD_H

#include <stddef.h>

#define HTTP_HEAD_MAX                                                                                        \
    4096 /* chosen: a status line fits in the first packet; bounds what a stranger can make us keep */
#define HTTP_REASON_MAX 64

/*
 * Reads the final status (interim 1xx answers are passed over) from data[0..size), which begins where the
 * answer does. Tolerant as RFC 9112 advises: empty lines before the status line, LF alone, no reason phrase,
 * any version. 0: *ret_status (200..999), reason (printable ASCII, may be ""). -EAGAIN: more bytes are
 * needed. -EBADMSG: not HTTP.
 */
int http_parse_status(const char *data, size_t size, unsigned *ret_status,
                      char reason[static HTTP_REASON_MAX]);

#endif
