/* SPDX-License-Identifier: MIT */
/* The report: collected in any order, sorted once, printed. See config.h and problem.h. */
#include "problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "weir/base/cleanup.h"

#define EXCERPT_WIDTH  100 /* chosen: a terminal's line and a half at most */
#define EXCERPT_BEFORE 40  /* of a cut line, this much stands before what is wrong */

static void problem_deinit(struct config_problem *p)
{
    free(p->text);
    free(p->hint);
    free(p->excerpt);
}

/* Takes the problem. 0 or -ENOMEM. */
static int append(struct config_report *r, struct config_problem *p)
{
    if ((r->count & (r->count - 1)) == 0) { /* full at every power of two */
        size_t room = r->count ? 2 * r->count : 1;
        struct config_problem *grown = realloc(r->problems, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        r->problems = grown;
    }
    r->problems[r->count++] = *p;
    *p = (struct config_problem){0};
    return 0;
}

static bool is_inside_character(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80; /* a continuation byte of UTF-8 */
}

/* The part of the line that is shown: source[*from .. *to), cut between characters. */
static void choose_excerpt(const struct place *at, size_t *ret_from, size_t *ret_to)
{
    size_t begin = at->column - 1, from = 0, to = at->source_length;
    if (to > EXCERPT_WIDTH) {
        from = begin > EXCERPT_BEFORE ? begin - EXCERPT_BEFORE : 0;
        if (from > at->source_length - EXCERPT_WIDTH)
            from = at->source_length - EXCERPT_WIDTH;
        to = from + EXCERPT_WIDTH;
    }
    while (from > 0 && is_inside_character(at->source[from]))
        from--;
    while (to < at->source_length && is_inside_character(at->source[to]))
        to++;
    *ret_from = from;
    *ret_to = to;
}

static int add_excerpt(struct config_problem *p, const struct place *at)
{
    struct text excerpt = TEXT_NULL;
    size_t from, to, begin = at->column - 1;
    choose_excerpt(at, &from, &to);
    text_add(&excerpt, "%s", from > 0 ? "..." : "");
    p->caret = excerpt.length + begin - from;
    text_add_bytes(&excerpt, at->source + from, to - from);
    text_add(&excerpt, "%s", to < at->source_length ? "..." : "");
    p->column = at->column;
    p->length = begin + at->length <= to ? at->length : to > begin ? to - begin : 1;
    p->excerpt = text_steal(&excerpt);
    for (char *c = p->excerpt; c && *c; c++)
        if (*c == '\t')
            *c = ' '; /* so that the caret stands below it */
    return p->excerpt ? 0 : -ENOMEM;
}

static char *copy_or_null(const char *s)
{
    return s && *s ? text_copy(s, strlen(s)) : NULL;
}

int problem_add_at(struct config_report *r, const struct place *at, const char *text, const char *hint)
{
    _cleanup_(problem_deinit) struct config_problem p = {
        .line = at->line, .text = text_copy(text, strlen(text)), .hint = copy_or_null(hint)};
    if (!p.text || (hint && *hint && !p.hint))
        return -ENOMEM;
    int e = at->column > 0 ? add_excerpt(&p, at) : 0;
    return e < 0 ? e : append(r, &p);
}

int problem_add(struct config_report *r, unsigned line, const char *text, const char *hint)
{
    return problem_add_at(r, &(struct place){.line = line}, text, hint);
}

static int addv_at(struct config_report *r, const struct place *at, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static int addv_at(struct config_report *r, const struct place *at, const char *fmt, va_list ap)
{
    struct text both = TEXT_NULL;
    text_addv(&both, fmt, ap);
    _cleanup_free_ char *text = text_steal(&both);
    if (!text)
        return -ENOMEM;
    char *hint = strchr(text, '\n');
    if (hint)
        *hint++ = '\0';
    return problem_add_at(r, at, text, hint);
}

int problem_addf(struct config_report *r, unsigned line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int e = addv_at(r, &(struct place){.line = line}, fmt, ap);
    va_end(ap);
    return e;
}

int problem_addf_at(struct config_report *r, const struct place *at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int e = addv_at(r, at, fmt, ap);
    va_end(ap);
    return e;
}

static int compare_problems(const void *a, const void *b)
{
    const struct config_problem *p = a, *q = b;
    if (p->line != q->line)
        return p->line < q->line ? -1 : 1;
    if (p->column != q->column)
        return p->column < q->column ? -1 : 1;
    return strcmp(p->text, q->text);
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

/* "^~~~" below what is wrong: a mark for each character, not for each byte. */
static void print_caret(const struct config_problem *p, FILE *out)
{
    char mark = '^';
    for (size_t i = 0; i < p->caret; i++)
        if (!is_inside_character(p->excerpt[i]))
            (void)fputc(' ', out);
    for (size_t i = p->caret; i < p->caret + p->length; i++, mark = '~')
        if (i == p->caret || !is_inside_character(p->excerpt[i]))
            (void)fputc(mark, out);
    (void)fputc('\n', out);
}

static void print_problem(const struct config_problem *p, const char *path, FILE *out)
{
    (void)fprintf(out, "%s:", path);
    if (p->line > 0)
        (void)fprintf(out, "%u:", p->line);
    if (p->column > 0)
        (void)fprintf(out, "%u:", p->column);
    (void)fprintf(out, " %s\n", p->text);
    if (p->excerpt) {
        (void)fprintf(out, "    %s\n    ", p->excerpt);
        print_caret(p, out);
    }
    if (p->hint)
        (void)fprintf(out, "    %s\n", p->hint);
}

void config_report_print(const struct config_report *r, const char *path, FILE *out)
{
    for (size_t i = 0; i < r->count; i++)
        print_problem(&r->problems[i], path, out);
}
