/* SPDX-License-Identifier: MIT */
/*
 * What a gate reads off a line, written as a table: a line of JSON (with ' for ", so that it can be read) and the facts,
 * in the notation of tell() below. Each line is fed whole, byte by byte, and cut in two at every place, and must always
 * tell the same.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "scan.h"
#include "weir/base/cleanup.h"

#define TOLD_MAX 65536

/* ------------------------------------------ notation ------------------------------------------ */

struct told {
    size_t length;
    char text[TOLD_MAX];
};

__attribute__((format(printf, 2, 3))) static void add(struct told *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    t->length += (size_t)vsnprintf(t->text + t->length, sizeof(t->text) - t->length, format, ap);
    va_end(ap);
    assert_true(t->length < sizeof(t->text));
}

__attribute__((format(printf, 2, 3))) static void set(struct told *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    t->length = (size_t)vsnprintf(t->text, sizeof(t->text), format, ap);
    va_end(ap);
    assert_true(t->length < sizeof(t->text));
}

/* Bytes, with \0 and control characters made visible. */
static void add_bytes(struct told *t, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((unsigned char)bytes[i] < 0x20)
            add(t, "<%02x>", (unsigned char)bytes[i]);
        else
            add(t, "%c", bytes[i]);
}

static void tell_id(struct told *t, const struct scan_id *id)
{
    static const char *const kinds[] = {"none", "null", "number", "string", "long", "odd"};
    add(t, " %s", kinds[id->kind]);
    assert_true(id->raw_length <= sizeof(id->raw) && id->key_length <= sizeof(id->key));
    if (id->kind == SCAN_ID_NUMBER || id->kind == SCAN_ID_STRING) {
        add(t, " ");
        add_bytes(t, id->raw, id->raw_length);
        add(t, "=");
        add_bytes(t, id->key, id->key_length);
    } else {
        assert_int_equal(id->raw_length, 0);
        assert_int_equal(id->key_length, 0);
    }
}

/* KIND [method [CUT]] [error] id [raw=key] */
static void tell_message(struct told *t, const struct scan_message *m)
{
    static const char *const kinds[] = {"other", "request", "notification", "response"};
    add(t, "%s", kinds[m->kind]);
    assert_non_null(memchr(m->method, '\0', sizeof(m->method)));
    if (m->method[0] || m->method_cut) {
        add(t, " ");
        add_bytes(t, m->method, strlen(m->method));
    }
    add(t, "%s%s", m->method_cut ? " CUT" : "", m->has_error ? " error" : "");
    tell_id(t, &m->id);
}

static const char *tell(const struct scanner *s, struct told *t)
{
    t->length = 0;
    t->text[0] = '\0';
    if (s->line.is_blank)
        add(t, "blank: ");
    if (s->line.is_batch)
        add(t, "batch: ");
    assert_true(s->line.count <= SCAN_BATCH_MAX);
    for (uint32_t i = 0; i < s->line.count; i++) {
        add(t, "%s", i > 0 ? " | " : "");
        tell_message(t, &s->line.message[i]);
    }
    if (s->line.untold > 0)
        add(t, " and %u more", s->line.untold);
    return t->text;
}

/* ------------------------------------------ feeding ------------------------------------------ */

/* A chunk on the heap, to the byte, so that a sanitizer sees the first byte read behind it. */
static size_t feed(struct scanner *s, const char *data, size_t size, bool *ret_end)
{
    _cleanup_free_ char *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, data, size);
    return scan_feed(s, exact, size, ret_end);
}

/* data .. size, a line without its newline, in chunks; the newline is in the last one. */
static void check_chunked(struct scanner *s, const char *line, size_t size, size_t first, size_t chunk,
                          const char *expected)
{
    static struct told told;
    bool end = false;
    for (size_t at = 0, count = first; at < size; at += count, count = chunk) {
        assert_false(end);
        if (count > size - at)
            count = size - at;
        assert_int_equal(feed(s, line + at, count, &end), count);
        assert_int_equal(s->line.length, at + count);
    }
    if (!end)
        fail_msg("no end of line: %.*s", (int)size, line);
    if (strcmp(tell(s, &told), expected) != 0)
        fail_msg("%.*s  in chunks of %zu, %zu, ...:\n  told     %s\n  expected %s", (int)size, line, first,
                 chunk, told.text, expected);
}

/* `line` has its newline at the end. splits: how many of the places to cut it at, from its start. */
static void check_line(const char *line, size_t size, size_t splits, const char *expected)
{
    static struct scanner s;
    scan_init(&s);
    check_chunked(&s, line, size, size, size, expected);
    check_chunked(&s, line, size, 1, 1, expected);
    check_chunked(&s, line, size, 3, 7, expected);
    for (size_t cut = 0; cut <= size && cut <= splits; cut++)
        check_chunked(&s, line, size, cut, size, expected);
}

struct row {
    const char *line;
    size_t size;
    const char *expected;
};
#define ROW(line, expected)                                                                                  \
    {                                                                                                        \
        line, sizeof(line) - 1, expected                                                                     \
    }

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char line[1024];
        assert_true(rows[i].size < sizeof(line));
        for (size_t k = 0; k < rows[i].size; k++)
            line[k] = rows[i].line[k] == '\'' ? '"' : rows[i].line[k];
        line[rows[i].size] = '\n';
        check_line(line, rows[i].size + 1, SIZE_MAX, rows[i].expected);
    }
}

/* ------------------------------------------ the tables ------------------------------------------ */

static void messages(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("{'jsonrpc':'2.0','id':1,'method':'add','params':[1,2]}", "request add number 1=1"),
        ROW("{'params':{'a':[{}]},'method':'add','id':'x'}", "request add string \"x\"=x"),
        ROW("{'jsonrpc':'2.0','method':'tick'}", "notification tick none"),
        ROW("{'jsonrpc':'2.0','method':'tick','id':null}", "notification tick null"),
        ROW("{'jsonrpc':'2.0','id':1,'result':{'id':9,'method':'no'}}", "response number 1=1"),
        ROW("{'id':1,'result':null}", "response number 1=1"),
        ROW("{'id':1,'error':{'code':-32000,'message':'x'}}", "response error number 1=1"),
        ROW("{'id':null,'error':{'code':-32700}}", "response error null"),
        ROW("{'id':1,'error':null,'result':3}", "response number 1=1"),
        ROW("{'id':1,'error':null}", "response number 1=1"),
        ROW("{'id':1,'error':false}", "response error number 1=1"),
        ROW("{'id':1,'error':''}", "response error number 1=1"),
        ROW("{'id':1,'error':0}", "response error number 1=1"),
        ROW("{'id':1}", "other number 1=1"),
        ROW("{'result':1}", "other none"),
        ROW("{'error':{}}", "other error none"),
        ROW("{'id':1,'method':'a','result':1}", "request a number 1=1"),
        ROW("{'id':1,'method':7}", "other number 1=1"),
        ROW("{'id':1,'method':null,'result':7}", "response number 1=1"),
        ROW("{'id':1,'method':''}", "request number 1=1"),
        ROW("{'method':'a','id':true}", "request a odd"),
        ROW("{'method':'a','id':false}", "request a odd"),
        ROW("{'method':'a','id':[1]}", "request a odd"),
        ROW("{'method':'a','id':{'id':1}}", "request a odd"),
        ROW("{}", "other none"),
        ROW(" \t{ \r 'id' \t : 1 , 'method' : 'a' } \t\r", "request a number 1=1"),
        ROW("{'id':1,'method':'a'}\r", "request a number 1=1"),
        ROW("{'Id':1,'METHOD':'a','methods':'b','metho':'c','':'d','i':2}", "other none"),
        ROW("{'x':true,'y':false,'z':null,'w':-0.5e+7,'v':'','u':{},'t':[],'method':'m'}",
            "notification m none"),
    };
    check_rows(rows, ARRAY_SIZE(rows));
}

static void the_last_of_equal_keys_counts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("{'id':1,'id':2,'method':'a','method':'b'}", "request b number 2=2"),
        ROW("{'id':1,'method':'a','\\u0069d':'x'}", "request a string \"x\"=x"),
        ROW("{'id':1,'method':'a','id':null}", "notification a null"),
        ROW("{'id':1,'method':'a','id':{}}", "request a odd"),
        ROW("{'id':'abc','method':'a','id':7}", "request a number 7=7"),
        ROW("{'id':1,'method':'a','method':{},'result':1}", "response number 1=1"),
        ROW("{'id':1,'error':{},'error':null}", "response number 1=1"),
        ROW("{'id':1,'error':null,'error':1}", "response error number 1=1"),
        ROW("{'id':1,'method':'longer','method':'s'}", "request s number 1=1"),
    };
    check_rows(rows, ARRAY_SIZE(rows));
}

static void numbers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("{'method':'a','id':0}", "request a number 0=0"),
        ROW("{'method':'a','id':-0}", "request a number -0=0"),
        ROW("{'method':'a','id':-0.000e99999999999999999999}",
            "request a number -0.000e99999999999999999999=0"),
        ROW("{'method':'a','id':1.0}", "request a number 1.0=1"),
        ROW("{'method':'a','id':10e-1}", "request a number 10e-1=1"),
        ROW("{'method':'a','id':1e0}", "request a number 1e0=1"),
        ROW("{'method':'a','id':1E+0}", "request a number 1E+0=1"),
        ROW("{'method':'a','id':0.01e2}", "request a number 0.01e2=1"),
        ROW("{'method':'a','id':-1}", "request a number -1=-1"),
        ROW("{'method':'a','id':-1.50}", "request a number -1.50=-15e-1"),
        ROW("{'method':'a','id':0.25}", "request a number 0.25=25e-2"),
        ROW("{'method':'a','id':2500e-4}", "request a number 2500e-4=25e-2"),
        ROW("{'method':'a','id':120}", "request a number 120=120"),
        ROW("{'method':'a','id':12e1}", "request a number 12e1=120"),
        ROW("{'method':'a','id':9007199254740993}", "request a number 9007199254740993=9007199254740993"),
        ROW("{'method':'a','id':18446744073709551616}",
            "request a number 18446744073709551616=18446744073709551616"),
        ROW("{'method':'a','id':100000000000000000000}",
            "request a number 100000000000000000000=100000000000000000000"),
        ROW("{'method':'a','id':1e20}", "request a number 1e20=100000000000000000000"),
        ROW("{'method':'a','id':1e21}", "request a number 1e21=1e21"),
        ROW("{'method':'a','id':1000000000000000000000}", "request a number 1000000000000000000000=1e21"),
        ROW("{'method':'a','id':123456789012345678901234}",
            "request a number 123456789012345678901234=123456789012345678901234e0"),
        ROW("{'method':'a','id':1e-00000000000000000000007}",
            "request a number 1e-00000000000000000000007=1e-7"),
        ROW("{'method':'a','id':1e1000000000}", "request a number 1e1000000000=1e1000000000"),
        ROW("{'method':'a','id':-1e-1000000000}", "request a number -1e-1000000000=-1e-1000000000"),
        ROW("{'method':'a','id':1e1000000001}", "request a long"),
        ROW("{'method':'a','id':10e1000000000}", "request a long"),
        ROW("{'method':'a','id':100e999999999}", "request a long"),
        ROW("{'method':'a','id':0.01e-999999999}", "request a long"),
        ROW("{'method':'a','id':100e999999998}", "request a number 100e999999998=1e1000000000"),
        ROW("{'method':'a','id':0.1e1000000001}", "request a number 0.1e1000000001=1e1000000000"),
        ROW("{'method':'a','id':1e99999999999999999999999}", "request a long"),
        ROW("{'method':'a','id':1e-99999999999999999999999}", "request a long"),
        ROW("{'method':'a','id':01}", "other none"),
        ROW("{'method':'a','id':+1}", "other none"),
        ROW("{'method':'a','id':-}", "other none"),
        ROW("{'method':'a','id':1.}", "other none"),
        ROW("{'method':'a','id':.5}", "other none"),
        ROW("{'method':'a','id':1.e5}", "other none"),
        ROW("{'method':'a','id':1e}", "other none"),
        ROW("{'method':'a','id':1e+}", "other none"),
        ROW("{'method':'a','id':1e5.0}", "other none"),
        ROW("{'method':'a','id':1-1}", "other none"),
        ROW("{'method':'a','id':0x10}", "other none"),
        ROW("{'method':'a','id':NaN}", "other none"),
        ROW("{'method':'a','x':-01}", "other none"),
    };
    check_rows(rows, ARRAY_SIZE(rows));
}

static void strings(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("{'method':'a','id':''}", "request a string \"\"="),
        ROW("{'method':'a','id':'7'}", "request a string \"7\"=7"),
        ROW("{'method':'a','id':'\\'\\\\\\/\\b\\f\\n\\r\\t'}",
            "request a string \"\\\"\\\\\\/\\b\\f\\n\\r\\t\"=\"\\/<08><0c><0a><0d><09>"),
        ROW("{'method':'a','id':'\\u0041\\u00e4\\u20AC'}",
            "request a string \"\\u0041\\u00e4\\u20AC\"=A\xc3\xa4€"),
        ROW("{'method':'a','id':'\\ud83d\\uDE00!'}",
            "request a string \"\\ud83d\\uDE00!\"=\xf0\x9f\x98\x80!"),
        ROW("{'method':'a','id':'\\ud83d\\ude00\\t\\u0041'}",
            "request a string \"\\ud83d\\ude00\\t\\u0041\"=\xf0\x9f\x98\x80<09>A"),
        ROW("{'method':'a','id':'\xf0\x9f\x98\x80 é\x7f'}",
            "request a string \"\xf0\x9f\x98\x80 é\x7f\"=\xf0\x9f\x98\x80 é\x7f"),
        ROW("{'method':'a','id':'\\u0000x'}", "request a string \"\\u0000x\"=<00>x"),
        ROW("{'m\\u0065th\\u006Fd':'\\u0061dd','id':1}", "request add number 1=1"),
        ROW("{'method':'\xc3\xa4\\n','id':1}", "request \xc3\xa4<0a> number 1=1"),
        ROW("{'method':'add\\u0000x','id':1}", "request add CUT number 1=1"),
        ROW("{'method':'\\u0000','id':1}", "request  CUT number 1=1"),
        /* ends and escapes of what is skipped */
        ROW("{'x':'\\'}{','method':'a'}", "notification a none"),
        ROW("{'x':'\\\\','method':'a'}", "notification a none"),
        ROW("{'x':'\\\\\\'','method':'a'}", "notification a none"),
        ROW("{'x':'\\u00','method':'a'}", "notification a none"), /* broken inside */
        ROW("{'x':'\\ud800 \xff','method':'a'}", "notification a none"),
        ROW("{'x':'a string of more than sixteen bytes, and a \\' in it','method':'a'}",
            "notification a none"),
        /* no strings */
        ROW("{'method':'\\x41','id':1}", "other none"),
        ROW("{'method':'\\u00g1','id':1}", "other none"),
        ROW("{'method':'\\u12','id':1}", "other none"),
        ROW("{'method':'\\U0041','id':1}", "other none"),
        ROW("{'method':'\\ud800','id':1}", "other none"),
        ROW("{'method':'\\udc00','id':1}", "other none"),
        ROW("{'method':'\\ud800\\ud800','id':1}", "other none"),
        ROW("{'method':'\\ud800\\n','id':1}", "other none"),
        ROW("{'method':'\\ud800\\u0041','id':1}", "other none"),
        ROW("{'method':'\\ud800x','id':1}", "other none"),
        ROW("{'method':'a\tb','id':1}", "other none"),
        ROW("{'method':'a\0b','id':1}", "other none"),
        ROW("{'method':'a','id':'\x1f'}", "other none"),
        ROW("{'method':'a','i\rd':1}", "other none"),
        ROW("{'method':'a','x':'\t'}", "other none"),
        ROW("{'method':'a','x':'\\\t'}", "other none"),
        ROW("{'method':'a','x':['\t']}", "other none"),
        ROW("{'method':'a','x\\u0000':1}", "other none"),
        ROW("{'method':'a','id':'open}", "other none"),
        ROW("{'method':'a','id':'open\\", "other none"),
        ROW("{'method':'a','x':'open\\'}", "other none"),
        ROW("{'method':'a','x':['open\\", "other none"),
        /* no UTF-8 */
        ROW("{'method':'\x80','id':1}", "other none"),
        ROW("{'method':'\xc0\x80','id':1}", "other none"),
        ROW("{'method':'\xc1\xbf','id':1}", "other none"),
        ROW("{'method':'\xc3','id':1}", "other none"),
        ROW("{'method':'\xe0\x9f\xbf','id':1}", "other none"),
        ROW("{'method':'\xed\xa0\x80','id':1}", "other none"),
        ROW("{'method':'\xf0\x8f\xbf\xbf','id':1}", "other none"),
        ROW("{'method':'\xf4\x90\x80\x80','id':1}", "other none"),
        ROW("{'method':'\xf5\x80\x80\x80','id':1}", "other none"),
        ROW("{'method':'\xe2\x82','id':1}", "other none"),
        ROW("{'method':'\xe2\x82\xac\xac','id':1}", "other none"),
        ROW("{'\xff':1,'method':'a','id':1}", "other none"),
        /* and the outermost that are */
        ROW("{'method':'\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf'"
            "}",
            "notification "
            "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf none"),
    };
    check_rows(rows, ARRAY_SIZE(rows));
}

static void batches(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("[{'id':1,'method':'a'},{'method':'b'},{'id':2,'result':0}]",
            "batch: request a number 1=1 | notification b none | response number 2=2"),
        ROW(" [ {'id':1,'method':'a'} ] ", "batch: request a number 1=1"),
        ROW("[1,'x',null,true,[{'id':1}],{'method':'a'},-0.5,{}]",
            "batch: other none | other none | other none | other none | other none | notification a none | "
            "other none | other none"),
        ROW("[{'id':1,'error':{}},{'id':1,'result':2}]",
            "batch: response error number 1=1 | response number 1=1"),
        ROW("[{'method':'a','id':1},{'result':1}]", "batch: request a number 1=1 | other none"),
        ROW("['id',1]", "batch: other none | other none"),
        ROW("[{'method':'a','id':1},'\\ud800',2]", "batch: request a number 1=1 | other none | other none"),
        ROW("['\\ud800\xff']", "batch: other none"), /* broken inside of a value that is skipped */
        ROW("[]", "other none"),
        ROW("[ ]", "other none"),
        ROW("[{'id':1,'method':'a'},]", "other none"),
        ROW("[,{'id':1,'method':'a'}]", "other none"),
        ROW("[{'id':1,'method':'a'} {'id':1,'method':'a'}]", "other none"),
        ROW("[{'id':1,'method':'a'}", "other none"),
        ROW("[{'id':1,'method':'a'}}", "other none"),
        ROW("[{'id':1,'method':'a']", "other none"),
        ROW("[{'id':1,'method':'a'}]]", "other none"),
        ROW("[{'id':1,'method':'a'},01]", "other none"),
        ROW("[{'id':1,'method':'a'},tru]", "other none"),
        ROW("[{'id':1,'method':'a'},[}]", "other none"),
        ROW("[{'id':1,'method':'a'}][]", "other none"),
        ROW("[{'id':1,'method':'a'}:1]", "other none"),
    };
    check_rows(rows, ARRAY_SIZE(rows));
}

static void nested_values(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("{'p':[[[[]]],{'a':{}}],'method':'a'}", "notification a none"),
        ROW("{'p':['}','\\'','\\\\',']'],'method':'a'}", "notification a none"),
        ROW("{'p':{'method':'no','id':3,'error':1},'method':'a'}", "notification a none"),
        ROW("{'p':[1,,2 nonsense],'method':'a'}", "notification a none"), /* broken inside */
        ROW("{'p':[0.123456789,0.123456789,0.123456789,0.123456789],'method':'a'}", "notification a none"),
        ROW("{'p':[{'k':'0123456789abcdef','l':['0123456789abcdef0123456789abcdef']}],'method':'a'}",
            "notification a none"),
        ROW("{'p':[}],'method':'a'}", "other none"),
        ROW("{'p':{]},'method':'a'}", "other none"),
        ROW("{'p':[[],'method':'a'}", "other none"),
        ROW("{'p':[]],'method':'a'}", "other none"),
        ROW("{'p':{}},'method':'a'}", "other none"),
        ROW("{'p':[", "other none"),
    };
    check_rows(rows, ARRAY_SIZE(rows));
}

static void what_is_no_message(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("", "blank: other none"),
        ROW("\r", "blank: other none"),
        ROW(" \t \r", "blank: other none"),
        ROW("starting up ...", "other none"),
        ROW("  x", "other none"),
        ROW("\xef\xbb\xbf{'method':'a'}", "other none"),
        ROW("\0", "other none"),
        ROW("1", "other none"),
        ROW("'method'", "other none"),
        ROW("null", "other none"),
        ROW("{", "other none"),
        ROW("}", "other none"),
        ROW("]", "other none"),
        ROW("{'method'}", "other none"),
        ROW("{'method':}", "other none"),
        ROW("{'method':'a',}", "other none"),
        ROW("{,'method':'a'}", "other none"),
        ROW("{'method','a'}", "other none"),
        ROW("{'method' 'a'}", "other none"),
        ROW("{'method'::'a'}", "other none"),
        ROW("{method:'a'}", "other none"),
        ROW("{'method':'a' 'id':1}", "other none"),
        ROW("{'method':'a'}}", "other none"),
        ROW("{'method':'a'}{'method':'b'}", "other none"),
        ROW("{'method':'a'} x", "other none"),
        ROW("{'method':'a'};", "other none"),
        ROW("{'method':'a'", "other none"),
        ROW("{'method':'a", "other none"),
        ROW("{'method':'a'\f}", "other none"),
        ROW("{'method':'a'\v,'id':1}", "other none"),
        ROW("{'method':'a','x':truth}", "other none"),
        ROW("{'method':'a','x':nul}", "other none"),
        ROW("{'method':'a','x':nulll}", "other none"),
        ROW("{'method':'a','x':True}", "other none"),
        ROW("{'method':'a','x':fals", "other none"),
        ROW("{'method':'a','x':undefined}", "other none"),
        ROW("{'method':'a',/**/'id':1}", "other none"),
        ROW("Content-Length: 20\r", "other none"),
    };
    check_rows(rows, ARRAY_SIZE(rows));
}

/* ------------------------------------------ limits ------------------------------------------ */

static void check_text(const char *line, size_t splits, const char *expected)
{
    check_line(line, strlen(line), splits, expected);
}

static const char *filled(char c, size_t count)
{
    static char text[512];
    assert_true(count < sizeof(text));
    memset(text, c, count);
    text[count] = '\0';
    return text;
}

static void an_id_has_128_bytes(void **state)
{
    (void)state;
    static struct told line, expected;
    set(&line, "{\"method\":\"a\",\"id\":\"%s\"}\n", filled('x', 126));
    set(&expected, "request a string \"%1$s\"=%1$s", filled('x', 126));
    check_text(line.text, SIZE_MAX, expected.text);
    set(&line, "{\"method\":\"a\",\"id\":\"%s\"}\n", filled('x', 127));
    check_text(line.text, SIZE_MAX, "request a long");
    /* a long one is still checked to its end, and is overruled like any other */
    set(&line, "{\"method\":\"a\",\"id\":\"%s\\q\"}\n", filled('x', 200));
    check_text(line.text, SIZE_MAX, "other none");
    set(&line, "{\"method\":\"a\",\"id\":\"%s\",\"id\":2}\n", filled('x', 200));
    check_text(line.text, SIZE_MAX, "request a number 2=2");
    set(&line, "{\"id\":2,\"method\":\"a\",\"id\":\"%s\"}\n", filled('x', 200));
    check_text(line.text, SIZE_MAX, "request a long");
    set(&line, "{\"%s\":1,\"method\":\"a\"}\n", filled('x', 200));
    check_text(line.text, SIZE_MAX, "notification a none");
    /* an id of escapes: its text counts, not what it stands for */
    set(&line, "{\"method\":\"a\",\"id\":\"\\u0041%s\"}\n", filled('x', 121));
    check_text(line.text, SIZE_MAX, "request a long");
}

static void a_number_has_128_bytes(void **state)
{
    (void)state;
    static struct told line, expected;
    set(&line, "{\"method\":\"a\",\"id\":1%s}\n", filled('0', 127));
    set(&expected, "request a number 1%s=1e127", filled('0', 127));
    check_text(line.text, SIZE_MAX, expected.text);
    set(&line, "{\"method\":\"a\",\"id\":1%s}\n", filled('0', 128));
    check_text(line.text, SIZE_MAX, "request a long");
    /* the key has the exponent too: "77...77e0" */
    set(&line, "{\"method\":\"a\",\"id\":%s}\n", filled('7', 126));
    set(&expected, "request a number %1$s=%1$se0", filled('7', 126));
    check_text(line.text, SIZE_MAX, expected.text);
    set(&line, "{\"method\":\"a\",\"id\":%s}\n", filled('7', 127));
    check_text(line.text, SIZE_MAX, "request a long");
    set(&line, "{\"method\":\"a\",\"id\":%s.}\n", filled('7', 200));
    check_text(line.text, SIZE_MAX, "other none");
}

static void a_method_is_cut_between_characters(void **state)
{
    (void)state;
    static struct told line, expected;
    set(&line, "{\"method\":\"%s\"}\n", filled('m', 63));
    set(&expected, "notification %s none", filled('m', 63));
    check_text(line.text, SIZE_MAX, expected.text);
    set(&line, "{\"method\":\"%s\"}\n", filled('m', 64));
    set(&expected, "notification %s CUT none", filled('m', 63));
    check_text(line.text, SIZE_MAX, expected.text);
    set(&line, "{\"method\":\"%s\"}\n", filled('m', 300));
    check_text(line.text, SIZE_MAX, expected.text);
    set(&line, "{\"method\":\"%s€\"}\n", filled('m', 60));
    set(&expected, "notification %s€ none", filled('m', 60));
    check_text(line.text, SIZE_MAX, expected.text);
    for (size_t before = 61; before <= 63; before++) {
        set(&line, "{\"method\":\"%s€x\"}\n", filled('m', before));
        set(&expected, "notification %s CUT none", filled('m', before));
        check_text(line.text, SIZE_MAX, expected.text);
    }
    set(&line, "{\"method\":\"%s\",\"method\":\"b\"}\n", filled('m', 99));
    check_text(line.text, SIZE_MAX, "notification b none");
    set(&line, "{\"method\":\"%s\",\"method\":null}\n", filled('m', 99));
    check_text(line.text, SIZE_MAX, "other none");
}

/* {"method":"a","p": open ... close } with brackets `depth` deep, the message's own included. */
static void check_depth(size_t depth, bool is_object, const char *expected)
{
    char line[20000];
    size_t at = (size_t)snprintf(line, sizeof(line), "{\"method\":\"a\",\"p\":");
    for (size_t i = 1; i < depth; i++)
        at += (size_t)snprintf(line + at, sizeof(line) - at, is_object && i + 1 < depth ? "{\"\":" : "[");
    for (size_t i = depth - 1; i > 0; i--)
        line[at++] = is_object && i + 1 < depth ? '}' : ']';
    snprintf(line + at, sizeof(line) - at, "}\n");
    check_text(line, 200, expected);
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    check_depth(100, false, "notification a none");
    check_depth(SCAN_DEPTH_MAX, false, "notification a none");
    check_depth(SCAN_DEPTH_MAX, true, "notification a none");
    check_depth(SCAN_DEPTH_MAX + 1, false, "other none");
    check_depth(SCAN_DEPTH_MAX + 1, true, "other none");
}

/* The scanner looks at 64 bytes at a time: what matters may stand anywhere in them, and at their edges. */
static void every_place_in_a_block(void **state)
{
    (void)state;
    static struct told line;
    for (size_t i = 0; i < 140; i++) {
        set(&line, "{\"p\":[\"%s\\\"]\\\\\",{\"k\":\"}\"},\"%s\"],\"method\":\"a\"}\n", filled('x', i),
            filled('y', 70));
        check_text(line.text, 1, "notification a none");
        set(&line, "{\"p\":[%s,[{}]],\"method\":\"a\",\"q\":\"%s\"}\n", filled('1', i), filled('y', 70));
        check_text(line.text, 1, "notification a none");
        set(&line, "{\"p\":[\t%s\t\"\\\\\"],\"method\":\"a\",\"q\":\"%s\"}\n", filled('1', i),
            filled('y', 70));
        check_text(line.text, 1, "notification a none");
        set(&line, "{\"p\":[\"%s\\\t\"],\"method\":\"a\",\"q\":\"%s\"}\n", filled('x', i), filled('y', 70));
        check_text(line.text, 1, "other none");
        set(&line, "{\"p\":[\"%s\\\"],\"method\":\"a\",\"q\":%s}\n", filled('x', i), filled('1', 70));
        check_text(line.text, 1, "other none");
        set(&line, "{\"q\":\"%s\\\\\\\"%s\",\"method\":\"a\"}\n", filled('x', i), filled('y', i));
        check_text(line.text, 1, "notification a none");
    }
}

/* Cut short anywhere, it is no message; and the next line is a new one. In chunks that end `before` bytes in front of the
 * newline, and with it. */
static void check_cut(const char *text, size_t cut, size_t before, const char *expected)
{
    static const char next[] = "\n{\"s\":\"\\\"\",\"p\":[{\"k\":\"\\\"\"}],\"method\":\"next\"}\n";
    static struct scanner s;
    static struct told told, both;
    bool end;
    set(&both, "%.*s%s", (int)cut, text, next);
    scan_init(&s);
    size_t first = feed(&s, both.text, cut - before, &end);
    assert_int_equal(first, cut - before);
    assert_false(end);
    assert_int_equal(feed(&s, both.text + first, both.length - first, &end), before + 1);
    assert_true(end);
    assert_string_equal(tell(&s, &told), expected);
    assert_int_equal(feed(&s, both.text + cut + 1, both.length - cut - 1, &end), sizeof(next) - 2);
    assert_true(end);
    assert_string_equal(tell(&s, &told), "notification next none");
}

static void a_newline_ends_anything(void **state)
{
    (void)state;
    static const char text[] =
        "[{\"id\":-1.5e+7,\"method\":\"\\ud83d\\ude00\xc3\xa4\",\"p\":[{\"k\":\"\\\"x\"},\"0123456789abcdef"
        "0123456789abcdef0123456789abcdef\\\\\",[]],\"s\":\"\\\\\"},null,true,{}]";
    static const char whole[] =
        "batch: request \xf0\x9f\x98\x80\xc3\xa4 number -1.5e+7=-15000000 | other none | "
        "other none | other none";
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        check_cut(text, cut, cut, "other none");
        check_cut(text, cut, 0, "other none");
    }
    check_cut(text, sizeof(text) - 1, 0, whole);
    check_cut(text, 0, 0, "blank: other none");
}

static void check_batch(uint32_t count)
{
    static char line[65536];
    static struct told expected;
    size_t at = 0;
    expected.length = 0;
    add(&expected, "batch: ");
    for (uint32_t i = 0; i < count; i++) {
        at += (size_t)snprintf(line + at, sizeof(line) - at, "%c{\"id\":%u,\"method\":\"a\"}", i ? ',' : '[',
                               i);
        if (i < SCAN_BATCH_MAX)
            add(&expected, "%srequest a number %u=%u", i ? " | " : "", i, i);
    }
    snprintf(line + at, sizeof(line) - at, "]\n");
    if (count > SCAN_BATCH_MAX)
        add(&expected, " and %u more", count - SCAN_BATCH_MAX);
    check_text(line, 100, expected.text);
}

static void a_batch_tells_256(void **state)
{
    (void)state;
    check_batch(SCAN_BATCH_MAX);
    check_batch(SCAN_BATCH_MAX + 1);
    check_batch(SCAN_BATCH_MAX + 300);
    check_batch(1);
}

/* ------------------------------------------ streams ------------------------------------------ */

static void a_stream_of_lines(void **state)
{
    (void)state;
    static const char stream[] =
        "{\"id\":1,\"method\":\"a\"}\n\n{broken\n[{\"id\":2,\"result\":1}]\n{\"method\":\"b\"}\n";
    static const char *const expected[] = {"request a number 1=1", "blank: other none", "other none",
                                           "batch: response number 2=2", "notification b none"};
    static struct scanner s;
    static struct told told;
    for (size_t chunk = 1; chunk < sizeof(stream); chunk++) {
        size_t at = 0, line = 0;
        scan_init(&s);
        while (at < sizeof(stream) - 1) {
            bool end;
            size_t room = sizeof(stream) - 1 - at;
            at += feed(&s, stream + at, chunk < room ? chunk : room, &end);
            if (end) {
                assert_string_equal(tell(&s, &told), expected[line]);
                assert_int_equal(stream[at - 1], '\n');
                line++;
            }
        }
        assert_int_equal(line, ARRAY_SIZE(expected));
    }
}

static void nothing_is_nothing(void **state)
{
    (void)state;
    static struct scanner s;
    static struct told told;
    bool end = true;
    scan_init(&s);
    assert_int_equal(scan_feed(&s, NULL, 0, &end), 0);
    assert_false(end);
    assert_int_equal(s.line.length, 0);
    assert_string_equal(tell(&s, &told), "other none");
}

/* Feeds one more piece of a line, and looks at what is known then. */
static void check_piece(struct scanner *s, const char *piece, const char *known)
{
    static struct told told;
    bool end;
    assert_int_equal(feed(s, piece, strlen(piece), &end), strlen(piece));
    assert_int_equal(end, strchr(piece, '\n') ? 1 : 0);
    if (strcmp(tell(s, &told), known) != 0)
        fail_msg("behind %s: told %s, expected %s", piece, told.text, known);
}

static void what_is_known_so_far(void **state)
{
    (void)state;
    static struct scanner s;
    scan_init(&s);
    check_piece(&s, "  {\"jsonrpc\":\"2.0\",\"me", "other none");
    check_piece(&s, "thod\":\"addSec", "other none"); /* not half a name */
    check_piece(&s, "tions\"", "notification addSections none");
    check_piece(&s, ",\"id\":1", "notification addSections none"); /* 1 may become 12 */
    check_piece(&s, "2", "notification addSections none");
    check_piece(&s, ",\"params\":{\"text\":\"long", "request addSections number 12=12");
    check_piece(&s, "er\"},\"id\":\"", "request addSections number 12=12");
    check_piece(&s, "x\",\"method\":\"b", "request addSections string \"x\"=x");
    check_piece(&s, "\"}", "request b string \"x\"=x");
    check_piece(&s, "\n", "request b string \"x\"=x");

    check_piece(&s, "{\"id\":1,\"method\":\"a\",", "request a number 1=1");
    check_piece(&s, "]", "other none"); /* as soon as it is no message */
    check_piece(&s, "\"method\":\"a\"}\n", "other none");

    check_piece(&s, "[", "batch: ");
    check_piece(&s, "{\"id\":1,\"method\":\"a\"},", "batch: request a number 1=1");
    check_piece(&s, "{\"id\":2,", "batch: request a number 1=1 | other number 2=2");
    check_piece(&s, "\n", "other none");
    check_piece(&s, "\n", "blank: other none");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),
        cmocka_unit_test(the_last_of_equal_keys_counts),
        cmocka_unit_test(numbers),
        cmocka_unit_test(strings),
        cmocka_unit_test(batches),
        cmocka_unit_test(nested_values),
        cmocka_unit_test(what_is_no_message),
        cmocka_unit_test(an_id_has_128_bytes),
        cmocka_unit_test(a_number_has_128_bytes),
        cmocka_unit_test(a_method_is_cut_between_characters),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(every_place_in_a_block),
        cmocka_unit_test(a_newline_ends_anything),
        cmocka_unit_test(a_batch_tells_256),
        cmocka_unit_test(a_stream_of_lines),
        cmocka_unit_test(nothing_is_nothing),
        cmocka_unit_test(what_is_known_so_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
