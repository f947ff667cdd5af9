/* SPDX-License-Identifier: MIT */
/* PCRE2 on lines; see the header. No JIT: its memory is writable and executable, and the steps are not
 * countable. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "pattern.h"

#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/cleanup.h"

#define MATCH_LIMIT                                                                                          \
    100000 /* chosen: a few ms; PCRE2's own default of 10,000,000 is half a second of the control loop */
#define HEAP_LIMIT_KIB 1024

struct pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static void cleanup_pattern(struct pattern **p)
{
    pattern_free(*p);
}

static pcre2_code *compile(const char *text, struct err *reterr)
{
    int code;
    PCRE2_SIZE offset;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)text, strlen(text), PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &code,
                                   &offset, NULL);
    if (re)
        return re;
    PCRE2_UCHAR reason[160];
    (void)pcre2_get_error_message(code, reason, sizeof(reason));
    (void)err_set(reterr, -EINVAL, "the pattern '%s' is wrong at its character %zu: %s", text,
                  (size_t)offset + 1, (const char *)reason);
    return NULL;
}

int pattern_new(const char *text, struct pattern **ret, struct err *reterr)
{
    _cleanup_(cleanup_pattern) struct pattern *p = calloc(1, sizeof(*p));
    if (!p)
        return err_errno(reterr, -ENOMEM, "compiling the pattern '%s'", text);
    p->code = compile(text, reterr);
    if (!p->code)
        return -EINVAL;
    p->data = pcre2_match_data_create(1, NULL);
    p->context = pcre2_match_context_create(NULL);
    if (!p->data || !p->context)
        return err_errno(reterr, -ENOMEM, "compiling the pattern '%s'", text);
    (void)pcre2_set_match_limit(p->context, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(p->context, HEAP_LIMIT_KIB);
    *ret = steal_ptr(&p);
    return 0;
}

int pattern_match(struct pattern *p, const char *line, size_t length)
{
    int r = pcre2_match(p->code, (PCRE2_SPTR)line, length, 0, 0, p->data, p->context);
    if (r >= 0)
        return 0;
    return r == PCRE2_ERROR_NOMATCH ? -ENOENT : -E2BIG;
}

struct pattern *pattern_free(struct pattern *p)
{
    if (!p)
        return NULL;
    pcre2_match_context_free(p->context);
    pcre2_match_data_free(p->data);
    pcre2_code_free(p->code);
    free(p);
    return NULL;
}
