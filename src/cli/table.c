/* SPDX-License-Identifier: MIT */
/* Rows as table, JSON or CSV; see table.h. */
#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "json.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/base/when.h"

struct cell {
    char *text;   /* table */
    json_t *json; /* JSON, CSV */
};

struct table {
    enum cli_format format;
    FILE *out;
    const struct table_column *columns;
    size_t column_count;
    uint64_t limit;
    struct cell *rows; /* kept back: row_count * column_count, a ring from `first` on when there is a limit */
    size_t row_count, row_room, first;
    struct cell *row; /* being filled */
    size_t cell;
    size_t *widths;
    const char **texts; /* of the line being printed */
    bool started;       /* the header is out */
    uint64_t printed;
};

bool terminal_has_colour(FILE *out)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(out)) && !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
}

unsigned terminal_width(FILE *out)
{
    struct winsize size;
    uint64_t columns;
    const char *wanted = getenv("COLUMNS");
    if (!isatty(fileno(out)))
        return 0;
    if (wanted && parse_u64(wanted, &columns) == 0 && columns > 0 && columns <= UINT16_MAX)
        return (unsigned)columns;
    return ioctl(fileno(out), TIOCGWINSZ, &size) < 0 ? 0 : size.ws_col;
}

const char *format_percent(uint64_t permyriad, char buf[static FORMAT_PERCENT_MAX])
{
    (void)snprintf(buf, FORMAT_PERCENT_MAX, "%llu.%02llu%%", (unsigned long long)(permyriad / 100),
                   (unsigned long long)(permyriad % 100));
    return buf;
}

struct table *table_new(enum cli_format format, FILE *out, const struct table_column *columns, size_t count,
                        uint64_t limit)
{
    struct table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    *t = (struct table){
        .format = format, .out = out, .columns = columns, .column_count = count, .limit = limit};
    t->row = calloc(count, sizeof(*t->row));
    t->widths = calloc(count, sizeof(*t->widths));
    t->texts = calloc(count, sizeof(*t->texts));
    if (!t->row || !t->widths || !t->texts) {
        free(t->row);
        free(t->widths);
        free(t->texts);
        free(t);
        return NULL;
    }
    return t;
}

static void cell_clear(struct cell *c)
{
    free(c->text);
    if (c->json)
        json_decref(c->json);
    *c = (struct cell){0};
}

/* Takes json over. */
static void put(struct table *t, const char *text, json_t *json)
{
    struct cell *c = &t->row[t->cell++];
    if (t->format == CLI_FORMAT_TABLE) {
        c->text = strdup(text);
        json_decref(json);
    } else {
        c->json = json;
    }
}

void table_none(struct table *t)
{
    put(t, "-", json_null());
}

void table_text(struct table *t, const char *text)
{
    if (text)
        put(t, text, json_string(text));
    else
        table_none(t);
}

void table_count(struct table *t, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    put(t, value == UINT64_MAX ? "max" : text, cli_json_u64(value));
}

void table_size(struct table *t, uint64_t bytes)
{
    char text[FORMAT_SIZE_MAX];
    put(t, format_size(bytes, text), cli_json_u64(bytes));
}

void table_signed_size(struct table *t, int64_t bytes)
{
    char text[FORMAT_SIZE_MAX + 1] = "-";
    uint64_t size = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
    (void)format_size(size, text + (bytes < 0));
    put(t, text, json_integer(bytes));
}

void table_duration(struct table *t, uint64_t us)
{
    char text[FORMAT_DURATION_MAX];
    put(t, format_duration(us, text), cli_json_u64(us));
}

void table_percent(struct table *t, uint64_t permyriad)
{
    char text[FORMAT_PERCENT_MAX];
    put(t, format_percent(permyriad, text), json_real((double)permyriad / 100));
}

void table_time(struct table *t, uint64_t wall_us)
{
    char text[FORMAT_WHEN_MAX];
    put(t, format_when(wall_us, text), cli_json_u64(wall_us));
}

void table_json(struct table *t, json_t *value)
{
    _cleanup_free_ char *text =
        t->format == CLI_FORMAT_TABLE ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    put(t, text ? text : "", value);
}

/* Columns on the screen: bytes that do not go on with a UTF-8 character. */
static size_t display_width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Prints at most room columns; returns how many. */
static size_t print_cut(FILE *out, const char *text, size_t room)
{
    size_t n = 0;
    for (; *text; text++) {
        bool begins = ((unsigned char)*text & 0xc0) != 0x80;
        if (begins && n == room)
            break;
        n += begins;
        (void)fputc(*text, out);
    }
    return n;
}

static bool is_last_shown(const struct table *t, size_t column)
{
    for (size_t c = column + 1; c < t->column_count; c++)
        if (t->columns[c].title)
            return false;
    return true;
}

/* t->texts of the shown columns, cut at the terminal's width. */
static void print_line(struct table *t)
{
    unsigned width = terminal_width(t->out);
    size_t room = width ? width : SIZE_MAX;
    bool first = true;
    for (size_t c = 0; c < t->column_count && room; c++) {
        if (!t->columns[c].title)
            continue;
        size_t own = display_width(t->texts[c]);
        size_t pad = t->widths[c] > own ? t->widths[c] - own : 0;
        if (!first)
            room -= print_cut(t->out, "  ", room);
        first = false;
        for (; t->columns[c].right && pad && room; pad--, room--)
            (void)fputc(' ', t->out);
        room -= print_cut(t->out, t->texts[c], room);
        for (; !t->columns[c].right && !is_last_shown(t, c) && pad && room; pad--, room--)
            (void)fputc(' ', t->out);
    }
}

static void print_table_row(struct table *t, const struct cell *row)
{
    for (size_t c = 0; c < t->column_count; c++)
        t->texts[c] = row[c].text ? row[c].text : "";
    print_line(t);
    (void)fputc('\n', t->out);
}

static void print_table_header(struct table *t)
{
    bool colour = terminal_has_colour(t->out);
    for (size_t c = 0; c < t->column_count; c++)
        t->texts[c] = t->columns[c].title ? t->columns[c].title : "";
    (void)fputs(colour ? "\033[1m" : "", t->out);
    print_line(t);
    (void)fputs(colour ? "\033[0m\n" : "\n", t->out);
}

static void print_csv_text(FILE *out, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        (void)fputs(text, out);
        return;
    }
    (void)fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            (void)fputc('"', out);
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

static void print_csv_cell(struct table *t, const struct table_column *column, const json_t *value)
{
    char iso[CLI_ISO_MAX];
    if (column->is_time && json_is_integer(value)) {
        uint64_t wall_us = (uint64_t)json_integer_value(value);
        fprintf(t->out, "%s,%llu", cli_iso(wall_us, iso), (unsigned long long)wall_us);
    } else if (column->is_time) {
        (void)fputc(',', t->out);
    } else if (json_is_string(value)) {
        print_csv_text(t->out, json_string_value(value));
    } else if (!json_is_null(value)) {
        _cleanup_free_ char *text =
            json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(8));
        print_csv_text(t->out, text ? text : "");
    }
}

static void print_csv_row(struct table *t, const struct cell *row)
{
    for (size_t c = 0; c < t->column_count; c++) {
        if (c)
            (void)fputc(',', t->out);
        print_csv_cell(t, &t->columns[c], row[c].json);
    }
    (void)fputs("\r\n", t->out);
}

static void print_csv_header(struct table *t)
{
    for (size_t c = 0; c < t->column_count; c++) {
        fprintf(t->out, "%s%s", c ? "," : "", t->columns[c].key);
        if (t->columns[c].is_time)
            (void)fputs(",wall_us", t->out);
    }
    (void)fputs("\r\n", t->out);
}

static void print_json_row(struct table *t, const struct cell *row)
{
    json_t *object = json_object();
    for (size_t c = 0; c < t->column_count; c++) {
        if (t->columns[c].is_time && json_is_integer(row[c].json))
            cli_json_time(object, (uint64_t)json_integer_value(row[c].json));
        else
            json_object_set(object, t->columns[c].key, row[c].json);
    }
    (void)fputs(t->printed ? ",\n" : "", t->out);
    json_dumpf(object, t->out, JSON_COMPACT | JSON_REAL_PRECISION(8));
    json_decref(object);
}

static void print_row(struct table *t, const struct cell *row)
{
    switch (t->format) {
    case CLI_FORMAT_TABLE:
        print_table_row(t, row);
        break;
    case CLI_FORMAT_CSV:
        print_csv_row(t, row);
        break;
    case CLI_FORMAT_JSON:
        print_json_row(t, row);
        break;
    }
    t->printed++;
}

static void measure(struct table *t)
{
    for (size_t c = 0; c < t->column_count; c++)
        t->widths[c] = t->columns[c].title ? display_width(t->columns[c].title) : 0;
    for (size_t i = 0; t->format == CLI_FORMAT_TABLE && i < t->row_count * t->column_count; i++) {
        size_t width = t->rows[i].text ? display_width(t->rows[i].text) : 0;
        size_t c = i % t->column_count;
        t->widths[c] = width > t->widths[c] ? width : t->widths[c];
    }
}

/* Prints the header and the rows kept back so far. */
static void start(struct table *t)
{
    measure(t);
    t->started = true;
    if (t->format == CLI_FORMAT_CSV)
        print_csv_header(t);
    else if (t->format == CLI_FORMAT_JSON)
        (void)fputs("[", t->out);
    else if (t->row_count)
        print_table_header(t);
    for (size_t i = 0; i < t->row_count; i++)
        print_row(t, &t->rows[(t->first + i) % t->row_count * t->column_count]);
    for (size_t i = 0; i < t->row_count * t->column_count; i++)
        cell_clear(&t->rows[i]);
    free(t->rows);
    t->rows = NULL;
    t->row_count = t->row_room = t->first = 0;
}

/* Takes over the cells; false: out of memory, the row is printed out of line with the rest. */
static bool keep_back(struct table *t)
{
    size_t size = t->column_count * sizeof(*t->row);
    if (t->limit && t->row_count == t->limit) {
        struct cell *oldest = &t->rows[t->first * t->column_count];
        for (size_t c = 0; c < t->column_count; c++)
            cell_clear(&oldest[c]);
        memcpy(oldest, t->row, size);
        t->first = (t->first + 1) % t->row_count;
        return true;
    }
    if (t->row_count == t->row_room) {
        size_t room = t->row_room ? t->row_room * 2 : 64;
        struct cell *rows = realloc(t->rows, room * size);
        if (!rows)
            return false;
        t->rows = rows;
        t->row_room = room;
    }
    memcpy(&t->rows[t->row_count++ * t->column_count], t->row, size);
    return true;
}

void table_row(struct table *t)
{
    bool kept = !t->started && keep_back(t);
    if (!kept) {
        if (!t->started)
            start(t);
        print_row(t, t->row);
        for (size_t c = 0; c < t->column_count; c++)
            cell_clear(&t->row[c]);
    }
    memset(t->row, 0, t->column_count * sizeof(*t->row));
    t->cell = 0;
    size_t enough = t->format == CLI_FORMAT_TABLE ? TABLE_LOOK_AHEAD : 1;
    if (kept && !t->limit && t->row_count >= enough)
        start(t);
}

void table_end(struct table *t, const char *empty)
{
    if (!t->started)
        start(t);
    if (t->format == CLI_FORMAT_JSON)
        (void)fputs("]\n", t->out);
    else if (t->format == CLI_FORMAT_TABLE && !t->printed)
        fprintf(t->out, "%s\n", empty);
    free(t->row);
    free(t->widths);
    free(t->texts);
    free(t);
}
