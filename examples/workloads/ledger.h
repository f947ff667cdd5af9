/* SPDX-License-Identifier: MIT */
/*
 * ledger: what a server asked its worker and what came of it, counted and, where a file is given, written down.
 *
 * One line an event, tab-separated, each with one write, so that a file cut short by a kill has whole lines:
 *
 *   MS ask ID METHOD       a request is about to be written; ids stand in the order they go down the pipe
 *   MS result ID METHOD    its answer
 *   MS error ID METHOD TEXT        likewise, an error
 *   MS timeout ID METHOD   nobody waits for it any more
 *   MS lost ID METHOD      its worker went away, or it could not be written
 *   MS stopped ID METHOD   the server stops
 *   MS stray ID TEXT       an answer to an id that is not open: a second one, a late one, or one never asked
 *   MS garbage TEXT        a line that is no answer
 *   MS ended TEXT          the worker ended though nobody had asked it to
 *
 * So each id is to have one `ask` and one line of the five behind it. All but ask, result and stopped are errors: each of
 * them is logged with its number.
 */
#ifndef WORKLOADS_LEDGER_H
#define WORKLOADS_LEDGER_H

#include <pthread.h>
#include <stdint.h>

/* X(ENUM_SUFFIX, "name", is it an error?) */
#define LEDGER_EVENTS(X)                                                                                     \
    X(ASK, "ask", 0)                                                                                         \
    X(RESULT, "result", 0)                                                                                   \
    X(ERROR, "error", 1)                                                                                     \
    X(TIMEOUT, "timeout", 1)                                                                                 \
    X(LOST, "lost", 1)                                                                                       \
    X(STOPPED, "stopped", 0)                                                                                 \
    X(STRAY, "stray", 1)                                                                                     \
    X(GARBAGE, "garbage", 1)                                                                                 \
    X(ENDED, "ended", 1)

enum ledger_event {
#define X(id, name, error) LEDGER_##id,
    LEDGER_EVENTS(X)
#undef X
        LEDGER_EVENT_COUNT,
};

struct ledger {
    pthread_mutex_t lock;
    int fd; /* -1: only counted */
    int64_t count[LEDGER_EVENT_COUNT];
    int64_t errors_count; /* of all kinds */
};

/* path NULL: nothing is written down. Returns 0 or a negative errno; on failure nothing is to be undone. */
int ledger_open(struct ledger *ledger, const char *path);

void ledger_close(struct ledger *ledger);

/* id 0: not about a request. method and text may be NULL; text is cut to what fits one line. */
void ledger_write(struct ledger *ledger, enum ledger_event event, int64_t id, const char *method,
                  const char *text);

/* What was counted so far; ret_count has LEDGER_EVENT_COUNT items. Returns the number of errors. */
int64_t ledger_read(struct ledger *ledger, int64_t *ret_count);

const char *ledger_event_name(enum ledger_event event);

#endif
