/* SPDX-License-Identifier: MIT */
/* See why.h. Nothing here allocates. */
#include "why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int why_set(struct why *why, const char *fmt, ...)
{
    char both[2 * WHY_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(both, sizeof(both), fmt, ap);
    va_end(ap);
    size_t length = strcspn(both, "\n");
    const char *hint = both[length] ? both + length + 1 : "";
    (void)snprintf(why->text, sizeof(why->text), "%.*s", (int)length, both);
    (void)snprintf(why->hint, sizeof(why->hint), "%s", hint);
    return -EINVAL;
}

const char *why_show(const char *s, char buf[static WHY_SHOWN_MAX])
{
    size_t length = strlen(s), keep = length;
    if (length >= WHY_SHOWN_MAX) {
        keep = WHY_SHOWN_MAX - 4;
        while (keep > 0 && ((unsigned char)s[keep] & 0xC0) == 0x80)
            keep--;
    }
    for (size_t i = 0; i < keep; i++)
        buf[i] = (unsigned char)s[i] < ' ' || s[i] == 0x7F ? '?' : s[i];
    (void)snprintf(buf + keep, WHY_SHOWN_MAX - keep, "%s", keep < length ? "..." : "");
    return buf;
}
