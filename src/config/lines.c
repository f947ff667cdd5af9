/* SPDX-License-Identifier: MIT */
/* Reads the file whole and looks at every line; see lines.h. */
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "key.h"
#include "problem.h"
#include "text.h"
#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* s[0..*length) without the blanks at both ends. */
static const char *trim(const char *s, size_t *length)
{
    while (*length > 0 && is_blank(*s)) {
        s++;
        (*length)--;
    }
    while (*length > 0 && is_blank(s[*length - 1]))
        (*length)--;
    return s;
}

static int read_some(int fd, struct lines *l, size_t room)
{
    for (;;) {
        ssize_t n = read(fd, l->data + l->size, room - l->size);
        if (n >= 0) {
            l->size += (size_t)n;
            return n > 0;
        }
        if (errno != EINTR)
            return -errno;
    }
}

/* 0, -ENOMEM, -EFBIG, -ENOTSUP (no regular file) or what the kernel says (a folder: -EISDIR). */
static int read_file(const char *path, struct lines *l)
{
    struct stat st;
    /* a FIFO that nobody writes to would be waited for at open, for ever */
    _cleanup_close_ int fd = fd_open_at(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return -ENOTSUP;
    size_t room = 0;
    for (;;) {
        if (l->size + 1 >= room) {
            room = room ? 2 * room : 4096;
            char *grown = realloc(l->data, room);
            if (!grown)
                return -ENOMEM;
            l->data = grown;
        }
        int r = read_some(fd, l, room - 1);
        if (r < 0)
            return r;
        if (r == 0)
            break;
        if (l->size > FILE_MAX_BYTES)
            return -EFBIG;
    }
    l->data[l->size] = '\0';
    return 0;
}

static int index_lines(struct lines *l)
{
    size_t count = 1;
    for (size_t i = 0; i < l->size; i++)
        count += l->data[i] == '\n';
    l->starts = malloc((count + 1) * sizeof(*l->starts));
    if (!l->starts)
        return -ENOMEM;
    size_t line = 0;
    l->starts[line++] = 0;
    for (size_t i = 0; i < l->size; i++)
        if (l->data[i] == '\n')
            l->starts[line++] = i + 1;
    l->starts[line] = l->size + 1; /* as if the last line ended in a newline as well */
    l->count = (unsigned)line;
    return 0;
}

/* title NULL: one that cannot be read, its keys are passed over. */
static int add_section(struct lines *l, unsigned line, const char *title, size_t length)
{
    if ((l->section_count & (l->section_count - 1)) == 0) { /* full at every power of two */
        size_t room = l->section_count ? 2 * l->section_count : 1;
        struct lines_section *grown = realloc(l->sections, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        l->sections = grown;
    }
    char *copy = title ? text_copy(title, length) : NULL;
    if (title && !copy)
        return -ENOMEM;
    l->sections[l->section_count++] = (struct lines_section){.line = line, .title = copy};
    return 0;
}

/* One raw line being looked at. Each look returns 0 (fine), 1 (reported) or -ENOMEM. */
struct look {
    struct lines *lines;
    struct config_report *report;
    unsigned line;
    char *text;
    size_t length; /* without "\n" and "\r\n" */
};

#define REPORT(look, ...) (problem_addf((look)->report, (look)->line, __VA_ARGS__) < 0 ? -ENOMEM : 1)

/* Length of the UTF-8 character at s, of at most n bytes; 0: it is none (RFC 3629: no surrogates, nothing overlong). */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    static const struct {
        unsigned char from, to, second_from, second_to, length;
    } rows[] = {{0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
                {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
                {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
    size_t i = 0;
    while (i < ARRAY_SIZE(rows) && (*s < rows[i].from || *s > rows[i].to))
        i++;
    if (i == ARRAY_SIZE(rows) || n < rows[i].length)
        return 0;
    if (rows[i].length > 1 && (s[1] < rows[i].second_from || s[1] > rows[i].second_to))
        return 0;
    for (size_t k = 2; k < rows[i].length; k++)
        if ((s[k] & 0xC0) != 0x80)
            return 0;
    return rows[i].length;
}

static int look_at_encoding(const struct look *k)
{
    const unsigned char *text = (const unsigned char *)k->text;
    for (size_t i = 0, length; i < k->length; i += length) {
        length = utf8_length(text + i, k->length - i);
        if (length == 0)
            return REPORT(k, "a byte that is not UTF-8 (0x%02x) in column %zu\nsave the file as UTF-8",
                          text[i], i + 1);
    }
    return 0;
}

static int look_at_bytes(const struct look *k)
{
    if (memchr(k->text, '\0', k->length))
        return REPORT(k, "a NUL byte in the line\nis this a text file? remove the byte");
    if (k->length > LINE_MAX_BYTES)
        return REPORT(k, "a line of %zu bytes\nat most %d; put a longer command into a script", k->length,
                      LINE_MAX_BYTES);
    for (size_t i = 0; i < k->length; i++) {
        unsigned char c = (unsigned char)k->text[i];
        if ((c < ' ' && c != '\t') || c == 0x7F)
            return REPORT(k, "a control character (0x%02x) in column %zu\nremove it", c, i + 1);
    }
    return look_at_encoding(k);
}

/* Keys below a section with a slip in it are still looked at: its title is kept where it can be read. */
static int look_at_section(struct look *k)
{
    char shown[WHY_SHOWN_MAX];
    const char *close = strchr(k->text, ']'), *end = close ? close : k->text + k->length;
    size_t rest = close ? (size_t)(k->text + k->length - close - 1) : 0, length = (size_t)(end - k->text - 1);
    const char *behind = trim(end + (close != NULL), &rest), *title = trim(k->text + 1, &length);
    bool is_long = end - k->text - 1 > LINE_NAME_MAX;
    if (add_section(k->lines, k->line, is_long ? NULL : title, length) < 0)
        return -ENOMEM;
    if (!close)
        return REPORT(k, "a section without its ']'\nwrite [unit NAME], [rule NAME] or [supervisor]");
    if (rest > 0)
        return REPORT(k, "text after ']': %s\nput comments and keys on lines of their own",
                      why_show(behind, shown));
    if (is_long)
        return REPORT(k, "a section name of %zu bytes\nat most %d; a unit's name has at most %d", length,
                      LINE_NAME_MAX, UNIT_NAME_MAX - 1);
    return 0;
}

static int report_no_equals(const struct look *k)
{
    char shown[WHY_SHOWN_MAX], word[LINE_NAME_MAX + 1] = "";
    size_t length = strcspn(k->text, " \t:");
    if (length < sizeof(word))
        memcpy(word, k->text, length);
    const char *rest = k->text + length;
    rest += strspn(rest, " \t:");
    if (*rest && key_is_known(word))
        return REPORT(k, "no '=' after the key\nwrite %s = %s", word, why_show(rest, shown));
    return REPORT(k, "neither a section nor KEY = VALUE: %s\nwrite KEY = VALUE; comments begin with # or ;",
                  why_show(k->text, shown));
}

static int look_at_key(const struct look *k)
{
    size_t length = strcspn(k->text, "=:");
    if (k->text[length] != '=')
        return report_no_equals(k);
    if (length == 0)
        return REPORT(k, "no key before '='\nwrite KEY = VALUE");
    if (length > LINE_NAME_MAX)
        return REPORT(k, "a key of %zu bytes\nat most %d; is the '=' in the right place?", length,
                      LINE_NAME_MAX);
    return 0;
}

static int look_at_line(struct look *k)
{
    size_t length = k->length;
    const char *begin = trim(k->text, &length);
    int r = look_at_bytes(k);
    if (r == 0 && (length == 0 || *begin == '#' || *begin == ';'))
        return 0;
    if (r == 0 && begin != k->text)
        r = REPORT(
            k,
            "the line begins with blanks\nbegin in the first column; a value cannot be continued on the next "
            "line");
    if (r > 0 && length > 0 && *begin == '[')
        return add_section(k->lines, k->line, NULL, 0) < 0 ? -ENOMEM : r;
    if (r != 0)
        return r;
    return *begin == '[' ? look_at_section(k) : look_at_key(k);
}

static int look_at_lines(struct lines *l, struct config_report *report)
{
    for (unsigned line = 1; l->data && line <= l->count; line++) {
        char *text = l->data + l->starts[line - 1];
        size_t length = l->starts[line] - l->starts[line - 1] - 1;
        if (length > 0 && text[length - 1] == '\r')
            text[--length] = ' ';
        char end = text[length];
        text[length] = '\0'; /* so that nothing looks past the line */
        struct look look = {.lines = l, .report = report, .line = line, .text = text, .length = length};
        int r = look_at_line(&look);
        if (r > 0) {
            memset(text, ' ', length);
            if (l->section_count > 0)
                l->sections[l->section_count - 1].has_bad_line = true;
        }
        text[length] = end;
        if (r < 0)
            return r;
    }
    return 0;
}

static bool has_utf16_mark(const struct lines *l)
{
    return l->size >= 2 && (memcmp(l->data, "\xFF\xFE", 2) == 0 || memcmp(l->data, "\xFE\xFF", 2) == 0);
}

/* 0; -EINVAL = reported, and there is nothing more to say about the file; -ENOMEM. */
static int look_at_mark(struct lines *l, struct config_report *report)
{
    if (has_utf16_mark(l)) {
        int r = problem_addf(report, 1, "the file is UTF-16\nsave it as UTF-8");
        return r < 0 ? r : -EINVAL;
    }
    if (l->size < 3 || memcmp(l->data, "\xEF\xBB\xBF", 3) != 0)
        return 0;
    l->size -= 3;
    memmove(l->data, l->data + 3, l->size + 1);
    return problem_addf(report, 1,
                        "a byte order mark before the first character\nsave the file as UTF-8 without it");
}

static int report_unreadable(int r, struct config_report *report)
{
    if (r == -ENOMEM)
        return r;
    int added;
    if (r == -EFBIG)
        added = problem_addf(report, 0, "larger than %d bytes\nis this a config file?", FILE_MAX_BYTES);
    else if (r == -ENOTSUP)
        added = problem_addf(report, 0, "a pipe, socket or device, not a file\nsave the config as a file");
    else if (r == -EISDIR)
        added = problem_addf(report, 0, "a folder, not a file\nname the config file in it");
    else
        added = problem_addf(report, 0, "cannot be read: %s", strerror(-r));
    return added < 0 ? added : r;
}

int lines_read(const char *path, struct lines *ret, struct config_report *report)
{
    _cleanup_(lines_deinit) struct lines l = {0};
    int r = read_file(path, &l);
    if (r < 0)
        return report_unreadable(r, report);
    r = look_at_mark(&l, report);
    if (r == 0)
        r = index_lines(&l);
    if (r == 0)
        r = look_at_lines(&l, report);
    if (r < 0)
        return r;
    *ret = l;
    l = (struct lines){0};
    return 0;
}

const char *lines_get(const struct lines *l, unsigned line, size_t *ret_length)
{
    const char *text = l->data + l->starts[line - 1];
    *ret_length = l->starts[line] - l->starts[line - 1] - 1;
    while (*ret_length > 0 && is_blank(text[*ret_length - 1]))
        (*ret_length)--;
    return text;
}

unsigned lines_value_column(const struct lines *l, unsigned line)
{
    const char *text = l->data + l->starts[line - 1];
    size_t at = strcspn(text, "=\n");
    at += text[at] == '=';
    at += strspn(text + at, " \t");
    return (unsigned)at + 1;
}

void lines_deinit(struct lines *l)
{
    for (size_t i = 0; i < l->section_count; i++)
        free(l->sections[i].title);
    free(l->sections);
    free(l->starts);
    free(l->data);
    *l = (struct lines){0};
}
