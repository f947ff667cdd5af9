/* SPDX-License-Identifier: MIT */
/* Lines through the gate's buffer: judged whole or by their beginning, taken back, ended, interleaved with lines of its own. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream.h"
#include "weir/base/cleanup.h"

struct fixture {
    int source, sink; /* what the test writes to, and reads from */
    struct end from, to;
    struct stream stream;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int in[2], out[2];
    assert_non_null(f);
    assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    /* twice the buffer: what a test writes is there at once */
    assert_true(fcntl(in[0], F_SETPIPE_SZ, 4 * STREAM_BUFFER_BYTES) >= 0);
    f->source = in[1];
    f->sink = out[0];
    end_own(&f->from, in[0], true);
    end_own(&f->to, out[1], false);
    assert_int_equal(stream_init(&f->stream, &f->from, &f->to), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    stream_deinit(&f->stream);
    end_close(&f->from);
    end_close(&f->to);
    cleanup_close(&f->source);
    cleanup_close(&f->sink);
    free(f);
    return 0;
}

static void put(struct fixture *f, const void *data, size_t size)
{
    assert_int_equal(write(f->source, data, size), size);
    f->from.ready = true;
}

static void put_text(struct fixture *f, const char *text)
{
    put(f, text, strlen(text));
}

static void fill(struct fixture *f)
{
    while (stream_fill(&f->stream) > 0)
        ;
}

static void expect(struct fixture *f, const char *text)
{
    char buf[4096];
    ssize_t n = read(f->sink, buf, sizeof(buf) - 1);
    buf[n > 0 ? n : 0] = '\0';
    assert_string_equal(buf, text);
}

static void expect_front(struct fixture *f, enum stream_front front, const char *text)
{
    size_t size;
    assert_int_equal(stream_look(&f->stream), front);
    const char *seen = stream_seen(&f->stream, &size);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(seen, text, size);
}

static void lines_one_by_one(void **state)
{
    struct fixture *f = *state;
    put_text(f, "one\ntwo\nthr");
    fill(f);
    expect_front(f, STREAM_LINE, "one\n");
    stream_pass(&f->stream);
    expect_front(f, STREAM_LINE, "two\n");
    expect_front(f, STREAM_LINE, "two\n"); /* as long as nothing is decided */
    stream_drop(&f->stream);
    assert_int_equal(stream_look(&f->stream), STREAM_NOTHING);
    assert_int_equal(stream_flush(&f->stream), 0);
    expect(f, "one\n");
    put_text(f, "ee\n");
    fill(f);
    expect_front(f, STREAM_LINE, "three\n");
    stream_pass(&f->stream);
    assert_int_equal(stream_flush(&f->stream), 0);
    expect(f, "three\n");
    assert_int_equal(f->stream.written, 10);
    assert_int_equal(f->stream.lines, 3);
}

static void the_end_of_the_stream(void **state)
{
    struct fixture *f = *state;
    put_text(f, "one\nrest");
    cleanup_close(&f->source);
    f->source = -1;
    f->from.hungup = true; /* as epoll would say */
    fill(f);
    assert_true(f->stream.ended);
    stream_look(&f->stream);
    stream_pass(&f->stream);
    expect_front(f, STREAM_TAIL, "rest");
    assert_true(stream_flush(&f->stream) == 0 && stream_may_insert(&f->stream));
    stream_pass(&f->stream);
    assert_int_equal(stream_look(&f->stream), STREAM_NOTHING);
    assert_int_equal(stream_flush(&f->stream), 0);
    expect(f, "one\nrest");
    assert_true(stream_may_insert(&f->stream)); /* no more of that line can come */
}

static void a_long_line_goes_in_parts(void **state)
{
    struct fixture *f = *state;
    struct stream *s = &f->stream;
    _cleanup_free_ char *data = malloc(STREAM_BUFFER_BYTES);
    assert_non_null(data);
    memset(data, 'x', STREAM_BUFFER_BYTES);
    put(f, data, STREAM_BUFFER_BYTES - 1);
    fill(f);
    assert_int_equal(stream_look(s), STREAM_NOTHING); /* it may still fit */
    put(f, data, 1);
    fill(f);
    assert_int_equal(stream_look(s), STREAM_PART);
    stream_pass(s);
    assert_int_equal(s->mode, STREAM_FORWARD);
    assert_false(stream_may_insert(s));
    /* 64 KiB fit into the pipe */
    assert_int_equal(stream_flush(s), 0);
    put_text(f, "end\nnext\n");
    fill(f);
    assert_int_equal(stream_look(s), STREAM_LINE);
    stream_pass(s);
    assert_int_equal(s->mode, STREAM_JUDGE);
    expect_front(f, STREAM_LINE, "next\n");
    stream_drop(s);
    for (size_t got = 0; got < STREAM_BUFFER_BYTES;) {
        ssize_t n = read(f->sink, data, STREAM_BUFFER_BYTES);
        assert_true(n > 0);
        got += (size_t)n;
    }
    f->to.ready = true;
    assert_int_equal(stream_flush(s), 0);
    expect(f, "end\n");
    assert_true(stream_may_insert(s));
}

/* Exactly as long as the buffer, the newline included: it fits. */
static void a_line_that_just_fits(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *data = malloc(STREAM_BUFFER_BYTES);
    assert_non_null(data);
    memset(data, 'x', STREAM_BUFFER_BYTES);
    data[STREAM_BUFFER_BYTES - 1] = '\n';
    put(f, data, STREAM_BUFFER_BYTES);
    fill(f);
    assert_int_equal(stream_look(&f->stream), STREAM_LINE);
    stream_drop(&f->stream);
    assert_int_equal(f->stream.filled, 0);
}

static void a_long_line_is_swallowed(void **state)
{
    struct fixture *f = *state;
    struct stream *s = &f->stream;
    _cleanup_free_ char *data = calloc(1, STREAM_BUFFER_BYTES);
    assert_non_null(data);
    for (int i = 0; i < 3; i++) {
        put(f, data, STREAM_BUFFER_BYTES);
        fill(f);
        assert_int_equal(stream_look(s), STREAM_PART);
        stream_drop(s);
        assert_int_equal(s->mode, STREAM_SWALLOW);
        assert_true(stream_may_insert(s)); /* none of it was written */
    }
    put_text(f, "\nnext\n");
    fill(f);
    expect_front(f, STREAM_LINE, "\n");
    stream_drop(s);
    expect_front(f, STREAM_LINE, "next\n");
}

static void what_is_not_written_is_recalled(void **state)
{
    struct fixture *f = *state;
    struct stream *s = &f->stream;
    put_text(f, "one\ntwo\nthree\n");
    fill(f);
    for (int i = 0; i < 3; i++) {
        stream_look(s);
        stream_pass(s);
    }
    /* "one\nt" went out, the pipe was full */
    s->sent = 5;
    s->written = 5;
    s->in_line = true;
    assert_int_equal(stream_recall(s), 8);
    assert_int_equal(s->lines, 2);
    expect_front(f, STREAM_LINE, "three\n");
    assert_int_equal(stream_flush(s), 0);
    expect(f, "wo\n");
    assert_int_equal(stream_recall(s), 8); /* nothing more */
    expect_front(f, STREAM_LINE, "three\n");
}

static void nothing_written_all_recalled(void **state)
{
    struct fixture *f = *state;
    struct stream *s = &f->stream;
    put_text(f, "one\ntwo\nth");
    fill(f);
    stream_look(s);
    stream_pass(s);
    stream_look(s);
    stream_pass(s);
    stream_look(s);
    assert_int_equal(stream_recall(s), 0);
    assert_int_equal(s->lines, 0);
    expect_front(f, STREAM_LINE, "one\n");
    stream_pass(s);
    expect_front(f, STREAM_LINE, "two\n");
    stream_pass(s);
    put_text(f, "ree\n");
    fill(f);
    expect_front(f, STREAM_LINE, "three\n");
}

static void own_lines_go_between(void **state)
{
    struct fixture *f = *state;
    struct stream *s = &f->stream;
    put_text(f, "one\ntwo\n");
    fill(f);
    stream_look(s);
    stream_pass(s);
    assert_false(stream_may_insert(s)); /* one is not written yet */
    assert_int_equal(stream_flush(s), 0);
    assert_true(stream_may_insert(s));
    stream_insert_text(s, strdup("own\n"), 4);
    assert_false(stream_may_insert(s));
    stream_look(s);
    stream_pass(s);
    assert_int_equal(stream_flush(s), 0);
    expect(f, "one\nown\ntwo\n");
}

static void a_copy_goes_between(void **state)
{
    struct fixture *f = *state;
    struct copies copies;
    struct copy copy = COPY_NULL;
    copies_init(&copies);
    copies_set(&copies, 0, "/tmp");
    assert_int_equal(copy_append(&copies, &copy, "kept\n", 5), 0);
    stream_insert_copy(&f->stream, &copies, &copy);
    assert_int_equal(stream_flush(&f->stream), 0);
    expect(f, "kept\n");
    copy_drop(&copies, &copy);
    copies_deinit(&copies);
}

static void a_line_that_breaks_off_is_ended(void **state)
{
    struct fixture *f = *state;
    struct stream *s = &f->stream;
    put_text(f, "half");
    fill(f);
    s->ended = true;
    assert_int_equal(stream_look(s), STREAM_TAIL);
    stream_pass(s);
    stream_break(s);
    assert_int_equal(stream_flush(s), 0);
    expect(f, "half\n");
    s->ended = false;
    assert_true(stream_may_insert(s));
    put_text(f, "next\n");
    fill(f);
    expect_front(f, STREAM_LINE, "next\n");
}

static void nobody_reads(void **state)
{
    struct fixture *f = *state;
    put_text(f, "one\n");
    fill(f);
    stream_look(&f->stream);
    stream_pass(&f->stream);
    cleanup_close(&f->sink);
    f->sink = -1;
    assert_int_equal(stream_flush(&f->stream), -EPIPE);
    stream_forget_passed(&f->stream);
    assert_int_equal(stream_flush(&f->stream), 0);
}

/* A pipe that takes little at a time: every byte once, in order, whatever is read and written when. */
static void at_random(void **state)
{
    struct fixture *f = *state;
    struct stream *s = &f->stream;
    enum { TOTAL = 3000000 };
    uint64_t rng = 9, told = 0;
    size_t put_count = 0, got = 0;
    _cleanup_free_ char *data = malloc(TOTAL);
    _cleanup_free_ char *out = malloc(TOTAL);
    assert_true(data && out);
    for (size_t i = 0; i < TOTAL; i++)
        data[i] = rng_below(&rng, 5000) < (i / 500000 % 2 ? 100 : 1) ? '\n' : (char)('a' + i % 26);
    assert_true(fcntl(f->to.fd, F_SETPIPE_SZ, 4096) >= 0);
    while (got < TOTAL) {
        size_t n = rng_below(&rng, 70000);
        ssize_t wrote = write(f->source, data + put_count, n < TOTAL - put_count ? n : TOTAL - put_count);
        put_count += wrote > 0 ? (size_t)wrote : 0;
        if (put_count == TOTAL && f->source >= 0) {
            cleanup_close(&f->source);
            f->source = -1;
            f->from.hungup = true;
        }
        f->from.ready = f->to.ready = true;
        (void)stream_fill(s);
        while (stream_look(s) != STREAM_NOTHING)
            stream_pass(s);
        int r = stream_flush(s);
        assert_true(r == 0 || r == -EAGAIN);
        if (rng_below(&rng, 3) == 0) {
            uint64_t before = s->lines;
            (void)stream_recall(s);
            told += before - s->lines;
        }
        ssize_t more = read(f->sink, out + got, TOTAL - got);
        got += more > 0 ? (size_t)more : 0;
    }
    assert_memory_equal(data, out, TOTAL);
    assert_true(told > 0);
    assert_int_equal(s->written, TOTAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_one_by_one),
        TEST(the_end_of_the_stream),
        TEST(a_long_line_goes_in_parts),
        TEST(a_line_that_just_fits),
        TEST(a_long_line_is_swallowed),
        TEST(what_is_not_written_is_recalled),
        TEST(nothing_written_all_recalled),
        TEST(own_lines_go_between),
        TEST(a_copy_goes_between),
        TEST(a_line_that_breaks_off_is_ended),
        TEST(nobody_reads),
        TEST(at_random),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as the gate does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
