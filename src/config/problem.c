/* SPDX-License-Identifier: MIT */
/* The report: collected in any order, sorted once, printed. See config.h and problem.h. */
#include "problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "weir/base/cleanup.h"

int problem_add(struct config_report *r, unsigned line, const char *text, const char *hint)
{
    bool has_hint = hint && *hint;
    _cleanup_free_ char *text_owned = text_copy(text, strlen(text));
    _cleanup_free_ char *hint_owned = has_hint ? text_copy(hint, strlen(hint)) : NULL;
    if (!text_owned || (has_hint && !hint_owned))
        return -ENOMEM;
    if ((r->count & (r->count - 1)) == 0) { /* full at every power of two */
        size_t room = r->count ? 2 * r->count : 1;
        struct config_problem *grown = realloc(r->problems, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        r->problems = grown;
    }
    r->problems[r->count++] =
        (struct config_problem){.line = line, .text = steal_ptr(&text_owned), .hint = steal_ptr(&hint_owned)};
    return 0;
}

int problem_addf(struct config_report *r, unsigned line, const char *fmt, ...)
{
    struct text both = TEXT_NULL;
    va_list ap;
    va_start(ap, fmt);
    text_addv(&both, fmt, ap);
    va_end(ap);
    _cleanup_free_ char *text = text_steal(&both);
    if (!text)
        return -ENOMEM;
    char *hint = strchr(text, '\n');
    if (hint)
        *hint++ = '\0';
    return problem_add(r, line, text, hint);
}

static int compare_problems(const void *a, const void *b)
{
    const struct config_problem *p = a, *q = b;
    if (p->line != q->line)
        return p->line < q->line ? -1 : 1;
    return strcmp(p->text, q->text);
}

static void problem_deinit(struct config_problem *p)
{
    free(p->text);
    free(p->hint);
}

void problems_sort(struct config_report *r)
{
    size_t kept = 0;
    if (r->count == 0)
        return;
    qsort(r->problems, r->count, sizeof(*r->problems), compare_problems);
    for (size_t i = 1; i < r->count; i++) {
        if (compare_problems(&r->problems[kept], &r->problems[i]) == 0)
            problem_deinit(&r->problems[i]);
        else
            r->problems[++kept] = r->problems[i];
    }
    r->count = kept + 1;
}

void config_report_deinit(struct config_report *r)
{
    for (size_t i = 0; i < r->count; i++)
        problem_deinit(&r->problems[i]);
    free(r->problems);
    *r = (struct config_report){0};
}

void config_report_print(const struct config_report *r, const char *path, FILE *out)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct config_problem *p = &r->problems[i];
        if (p->line > 0)
            (void)fprintf(out, "%s:%u: %s\n", path, p->line, p->text);
        else
            (void)fprintf(out, "%s: %s\n", path, p->text);
        if (p->hint)
            (void)fprintf(out, "    %s\n", p->hint);
    }
}
