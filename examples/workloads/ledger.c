/* SPDX-License-Identifier: MIT */
/*
 * ledger: see ledger.h.
 */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"

static const struct {
    const char *name;
    bool error;
} events[] = {
#define X(id, name, error) {name, error},
    LEDGER_EVENTS(X)
#undef X
};

int ledger_open(struct ledger *ledger, const char *path)
{
    *ledger = (struct ledger){.fd = -1};
    if (path) {
        ledger->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (ledger->fd < 0)
            return -errno;
    }
    pthread_mutex_init(&ledger->lock, NULL);
    return 0;
}

void ledger_close(struct ledger *ledger)
{
    if (ledger->fd >= 0)
        close(ledger->fd);
    ledger->fd = -1;
    pthread_mutex_destroy(&ledger->lock);
}

/* Under lock. */
static void append(const struct ledger *ledger, enum ledger_event event, int64_t id, const char *method,
                   const char *text)
{
    char number[24] = "";
    if (id > 0)
        snprintf(number, sizeof number, "\t%lld", (long long)id);
    sys_log_line(ledger->fd, "%lld\t%s%s%s%s%s%s", (long long)(sys_now_us() / 1000), events[event].name,
                 number, method ? "\t" : "", method ? method : "", text ? "\t" : "", text ? text : "");
}

void ledger_write(struct ledger *ledger, enum ledger_event event, int64_t id, const char *method,
                  const char *text)
{
    pthread_mutex_lock(&ledger->lock);
    ledger->count[event]++;
    ledger->errors_count += events[event].error;
    int64_t number = ledger->errors_count;
    if (ledger->fd >= 0)
        append(ledger, event, id, method, text);
    pthread_mutex_unlock(&ledger->lock);
    if (events[event].error)
        sys_log_line(STDOUT_FILENO, "[DBEngine] Worker error %lld: %s %s (id %lld): %s", (long long)number,
                     events[event].name, method ? method : "-", (long long)id, text ? text : "-");
}

int64_t ledger_read(struct ledger *ledger, int64_t *ret_count)
{
    pthread_mutex_lock(&ledger->lock);
    memcpy(ret_count, ledger->count, sizeof ledger->count);
    int64_t errors_count = ledger->errors_count;
    pthread_mutex_unlock(&ledger->lock);
    return errors_count;
}

const char *ledger_event_name(enum ledger_event event)
{
    return events[event].name;
}
