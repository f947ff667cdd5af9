/* SPDX-License-Identifier: MIT */
/*
 * link: see link.h.
 */
#include "link.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "piped.h"
#include "sys.h"

enum {
    BACKOFF_FIRST_US = 200 * 1000,     /* chosen: noticeable, not annoying */
    BACKOFF_MAX_US = 5 * 1000 * 1000,  /* chosen: a broken worker costs one start in 5 s */
    HANDSHAKE_RETRY_US = 200 * 1000,   /* chosen */
    STDIN_GRACE_US = 2 * 1000 * 1000,  /* how long a worker may finish its request when the server stops */
    STDOUT_GRACE_US = 1 * 1000 * 1000, /* chosen: closed its stdout, not ended yet */
    KILL_GRACE_US = 5 * 1000 * 1000,   /* chosen: a killed process that does not end is held by the kernel */
    WRITE_POLL_MS = 50,                /* chosen: how soon a blocked writer sees that its worker is gone */
    LOG_PART_MAX = 3000,               /* chosen: fits one log line with its prefix */
};

struct link_call {
    int64_t id;
    const char *method;
    int64_t generation; /* the worker it is meant for: the next one must not get it as well */
    bool done;
    int result;
    json_t *answer;
    struct link_call *next;
};

static const char *const handshake[] = {"ping", "initModel"};
enum { HANDSHAKE_STEPS = sizeof handshake / sizeof handshake[0] };

/* ---- the process ---- */

static void take_worker(struct link *link, const struct piped *worker)
{
    pthread_mutex_lock(&link->write_lock);
    pthread_mutex_lock(&link->lock);
    link->stdin_fd = worker->stdin_fd;
    link->generation++;
    link->pid = worker->pid;
    link->state = LINK_STARTING;
    pthread_mutex_unlock(&link->lock);
    pthread_mutex_unlock(&link->write_lock);
    link->stdout_fd = worker->stdout_fd;
    link->stderr_fd = worker->stderr_fd;
    link->pid_fd = worker->pid_fd;
    link->handshake_step = 0;
    link->handshake_retry_us = 1; /* due at once */
    atomic_store(&link->worker_alive, true);
}

static int start_worker(struct link *link)
{
    struct piped worker;
    int result = piped_spawn(&worker, link->options.argv);
    if (result < 0)
        return result;
    take_worker(link, &worker);
    sys_log_line(STDOUT_FILENO, "[DBEngine] Python worker started (PID: %d)", (int)worker.pid);
    return 0;
}

/* ---- calls ---- */

static void finish_call(struct link_call *call, int result, json_t *answer)
{
    call->done = true;
    call->result = result;
    call->answer = answer;
}

/* Under lock. */
static void finish_all(struct link *link, int result)
{
    for (struct link_call *call = link->pending; call; call = call->next)
        if (!call->done)
            finish_call(call, result, NULL);
    pthread_cond_broadcast(&link->changed);
}

/* Under lock. */
static void forget_call(struct link *link, const struct link_call *call)
{
    struct link_call **at = &link->pending;
    while (*at && *at != call)
        at = &(*at)->next;
    if (*at)
        *at = call->next;
}

static int no_pipe(const struct link *link)
{
    if (!link->options.die_on_epipe)
        return -EPIPE;
    sys_log_line(STDOUT_FILENO, "Uncaught exception: write EPIPE");
    _exit(1);
}

/* Writes a whole line; gives up when the worker goes, or at due_us while nothing is written yet. */
static int write_line(struct link *link, int64_t generation, const char *text, size_t size, int64_t due_us)
{
    size_t done = 0;
    while (done < size) {
        if (!atomic_load(&link->worker_alive) || link->stdin_fd < 0 || link->generation != generation)
            return -EPIPE;
        ssize_t n = write(link->stdin_fd, text + done, size - done);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno == EPIPE)
            return no_pipe(link);
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        else if (done == 0 && sys_now_us() >= due_us)
            return -ETIMEDOUT;
        else
            (void)poll(&(struct pollfd){.fd = link->stdin_fd, .events = POLLOUT}, 1, WRITE_POLL_MS);
    }
    return 0;
}

static int send_request(struct link *link, const struct link_call *call, json_t *params, int64_t due_us)
{
    json_t *request =
        json_pack("{s:s, s:I, s:s, s:o}", "jsonrpc", "2.0", "id", (json_int_t)call->id, "method",
                  call->method, "params", params ? json_incref(params) : json_object());
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (!text)
        return -ENOMEM;
    size_t length = strlen(text);
    text[length] = '\n'; /* in the place of the NUL: the line is sent by length */
    ledger_write(&link->ledger, LEDGER_ASK, call->id, call->method, NULL);
    pthread_mutex_lock(&link->write_lock);
    int result = write_line(link, call->generation, text, length + 1, due_us);
    pthread_mutex_unlock(&link->write_lock);
    free(text);
    return result;
}

/* Under lock: waits for a change. Returns false when due_us has passed. */
static bool wait_changed(struct link *link, int64_t due_us)
{
    const struct timespec due = {.tv_sec = due_us / 1000000, .tv_nsec = due_us % 1000000 * 1000};
    return pthread_cond_timedwait(&link->changed, &link->lock, &due) != ETIMEDOUT;
}

/* Under lock: waits for a worker, and for the pipe to be free. */
static int wait_turn(struct link *link, int64_t due_us)
{
    for (;;) {
        if (atomic_load(&link->stopping))
            return -ESHUTDOWN;
        if (link->state == LINK_READY && !link->writing)
            return 0;
        if (link->state == LINK_GONE)
            return -ENOTCONN;
        if (!wait_changed(link, due_us))
            return -ETIMEDOUT;
    }
}

/* On success the call is pending, and it is this caller's turn to write. */
static int begin_call(struct link *link, struct link_call *call, int64_t due_us)
{
    pthread_mutex_lock(&link->lock);
    int result = wait_turn(link, due_us);
    if (result == 0) {
        link->writing = true;
        call->id = link->next_id++;
        call->generation = link->generation;
        call->next = link->pending;
        link->pending = call;
    }
    pthread_mutex_unlock(&link->lock);
    return result;
}

/* Under lock: what became of a call that was not answered. */
static void write_down_failure(struct link *link, const struct link_call *call)
{
    if (call->result >= 0)
        return; /* written down with its answer */
    ledger_write(&link->ledger,
                 call->result == -ETIMEDOUT   ? LEDGER_TIMEOUT
                 : call->result == -ESHUTDOWN ? LEDGER_STOPPED
                                              : LEDGER_LOST,
                 call->id, call->method, strerror(-call->result));
}

static int call_until(struct link *link, const char *method, json_t *params, json_t **ret_answer,
                      int64_t due_us)
{
    struct link_call call = {.method = method};
    int result = begin_call(link, &call, due_us);
    if (result < 0)
        return result;
    result = send_request(link, &call, params, due_us);

    pthread_mutex_lock(&link->lock);
    link->writing = false;
    pthread_cond_broadcast(&link->changed);
    if (result < 0 && !call.done)
        finish_call(&call, result, NULL);
    while (!call.done && wait_changed(link, due_us))
        ;
    if (!call.done)
        finish_call(&call, -ETIMEDOUT, NULL);
    forget_call(link, &call);
    write_down_failure(link, &call);
    pthread_mutex_unlock(&link->lock);
    if (call.result >= 0)
        *ret_answer = call.answer;
    return call.result;
}

int link_call(struct link *link, const char *method, json_t *params, json_t **ret_answer)
{
    return call_until(link, method, params, ret_answer, sys_now_us() + link->options.call_timeout_us);
}

int link_call_again(struct link *link, const char *method, json_t *params, json_t **ret_answer)
{
    int64_t due_us = sys_now_us() + link->options.call_timeout_us;
    int result;
    do {
        result = call_until(link, method, params, ret_answer, due_us);
        if (result == -EPIPE)
            sys_sleep_us(10 * 1000); /* the keeper is about to see the end of that worker */
    } while (result == -EPIPE && sys_now_us() < due_us);
    return result;
}

/* ---- the keeper: answers and log lines ---- */

static void write_down_answer(struct link *link, int64_t id, const char *method, const json_t *error)
{
    char *text = error ? json_dumps(error, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    ledger_write(&link->ledger, error ? LEDGER_ERROR : LEDGER_RESULT, id, method, text);
    free(text);
}

static void handshake_answered(struct link *link, const json_t *error)
{
    write_down_answer(link, link->handshake_id, handshake[link->handshake_step], error);
    link->handshake_id = 0;
    if (error) {
        sys_log_line(STDOUT_FILENO, "[DBEngine] %s failed, again in 200 ms", handshake[link->handshake_step]);
        link->handshake_retry_us = sys_now_us() + HANDSHAKE_RETRY_US;
        return;
    }
    sys_log_line(STDOUT_FILENO, link->handshake_step == 0 ? "DB is ready" : "Embedding model initialized");
    link->handshake_step++;
    link->handshake_retry_us = 1;
    if (link->handshake_step < HANDSHAKE_STEPS)
        return;
    link->handshake_retry_us = 0;
    pthread_mutex_lock(&link->lock);
    link->state = LINK_READY;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

/* Keeper only. A pipe that was just made takes a short line at once; what fails here shows as the worker's
 * end. */
static void handshake_go_on(struct link *link)
{
    link->handshake_retry_us = 0;
    pthread_mutex_lock(&link->lock);
    link->handshake_id = link->next_id++;
    pthread_mutex_unlock(&link->lock);
    const struct link_call call = {
        .id = link->handshake_id, .method = handshake[link->handshake_step], .generation = link->generation};
    (void)send_request(link, &call, NULL, sys_now_us() + 1000000);
}

/* An answer to no open id: a second one, one nobody waits for any more, or one to what was never asked. */
static void refuse_answer(struct link *link, int64_t id, bool asked)
{
    ledger_write(&link->ledger, LEDGER_STRAY, id, NULL,
                 asked ? "answered already, or given up" : "never asked");
}

/* Takes the reference to answer. */
static void answer_call(struct link *link, int64_t id, int result, json_t *answer)
{
    pthread_mutex_lock(&link->lock);
    struct link_call *call = link->pending;
    bool asked = id > 0 && id < link->next_id;
    while (call && call->id != id)
        call = call->next;
    bool open = call && !call->done;
    if (open) {
        write_down_answer(link, id, call->method, result == 0 ? NULL : answer);
        finish_call(call, result, answer);
        link->backoff_us = BACKOFF_FIRST_US; /* it did useful work */
        pthread_cond_broadcast(&link->changed);
    }
    pthread_mutex_unlock(&link->lock);
    if (open)
        return;
    if (!atomic_load(&link->stopping)) /* then nobody waits for what is still on its way */
        refuse_answer(link, id, asked);
    json_decref(answer);
}

static void take_garbage(struct link *link, const char *line, size_t length)
{
    char text[200];
    snprintf(text, sizeof text, "%.*s", (int)(length < sizeof text ? length : sizeof text - 1), line);
    ledger_write(&link->ledger, LEDGER_GARBAGE, 0, NULL, text);
}

/* The answer's value is cut off its message here, so that keeper and caller never share a JSON value. */
static void take_answer(struct link *link, const char *line, size_t length)
{
    json_t *message = json_loadb(line, length, 0, NULL);
    json_t *id = json_object_get(message, "id"), *result = json_object_get(message, "result");
    json_t *value = result ? result : json_object_get(message, "error");
    int64_t number = json_integer_value(id);
    bool usable = json_is_integer(id) && value;
    json_incref(value);
    json_decref(message);
    if (!usable) {
        take_garbage(link, line, length);
        json_decref(value);
    } else if (number == link->handshake_id && number > 0) {
        handshake_answered(link, result ? NULL : value);
        json_decref(value);
    } else {
        answer_call(link, number, result ? 0 : LINK_ERROR, value);
    }
}

static void take_log(struct link *link, const char *line, size_t length)
{
    (void)link;
    sys_log_line(STDOUT_FILENO, "[Python Worker] %.*s", (int)(length < LOG_PART_MAX ? length : LOG_PART_MAX),
                 line);
}

static int make_room(struct line_buffer *lines)
{
    if (lines->room - lines->size >= 65536)
        return 0;
    size_t room = lines->room ? lines->room * 2 : 131072;
    char *data = realloc(lines->data, room);
    if (!data)
        return -ENOMEM;
    lines->data = data;
    lines->room = room;
    return 0;
}

static void take_lines(struct link *link, struct line_buffer *lines,
                       void (*take)(struct link *, const char *, size_t))
{
    size_t start = 0;
    const char *end;
    while ((end = memchr(lines->data + start, '\n', lines->size - start))) {
        take(link, lines->data + start, (size_t)(end - lines->data) - start);
        start = (size_t)(end - lines->data) + 1;
    }
    memmove(lines->data, lines->data + start, lines->size - start);
    lines->size -= start;
}

/* Reads what is there. Returns false at end of file or on an error. */
static bool read_some(struct link *link, int fd, struct line_buffer *lines,
                      void (*take)(struct link *, const char *, size_t))
{
    for (;;) {
        if (make_room(lines) < 0)
            return false;
        ssize_t n = read(fd, lines->data + lines->size, lines->room - lines->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        lines->size += (size_t)n;
        take_lines(link, lines, take);
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void read_both(struct link *link)
{
    if (link->stdout_fd >= 0 && !read_some(link, link->stdout_fd, &link->out_lines, take_answer))
        close_fd(&link->stdout_fd);
    if (link->stderr_fd >= 0 && !read_some(link, link->stderr_fd, &link->err_lines, take_log))
        close_fd(&link->stderr_fd);
}

/* ---- the keeper: life of a worker ---- */

static void close_stdin(struct link *link)
{
    pthread_mutex_lock(&link->write_lock);
    close_fd(&link->stdin_fd);
    pthread_mutex_unlock(&link->write_lock);
}

static int timeout_ms(int64_t due_us)
{
    if (due_us == 0)
        return -1;
    int64_t left_us = due_us - sys_now_us();
    return left_us <= 0 ? 0 : (int)(left_us / 1000) + 1;
}

static int64_t sooner(int64_t a_us, int64_t b_us)
{
    if (a_us == 0 || b_us == 0)
        return a_us + b_us;
    return a_us < b_us ? a_us : b_us;
}

/* One turn: waits for output, the end, a wake-up or due_us. Returns true once the process has ended. */
static bool wait_for_worker(struct link *link, int64_t due_us)
{
    struct pollfd fds[] = {
        {.fd = link->pid_fd, .events = POLLIN},
        {.fd = link->stdout_fd, .events = POLLIN},
        {.fd = link->stderr_fd, .events = POLLIN},
        {.fd = link->wake_fd, .events = POLLIN},
    };
    (void)poll(fds, sizeof fds / sizeof fds[0], timeout_ms(due_us)); /* EINTR is a turn for nothing */
    uint64_t count;
    if (fds[3].revents)
        (void)!read(link->wake_fd, &count, sizeof count);
    read_both(link);
    return fds[0].revents != 0;
}

/* Follows one worker to its end: handshake, answers, and the steps of a stop. Returns 0 or -ETIMEDOUT. */
static int follow_worker(struct link *link)
{
    int64_t kill_us = 0, give_up_us = 0;
    while (!wait_for_worker(link, sooner(sooner(kill_us, give_up_us), link->handshake_retry_us))) {
        int64_t now_us = sys_now_us();
        if (atomic_load(&link->stopping) && atomic_exchange(&link->worker_alive, false)) {
            close_stdin(link);
            kill_us = sooner(kill_us, now_us + STDIN_GRACE_US);
        }
        if (link->stdout_fd < 0 && kill_us == 0 && give_up_us == 0)
            kill_us = now_us + STDOUT_GRACE_US;
        if (kill_us && now_us >= kill_us) {
            (void)pidfd_send_signal(link->pid_fd, SIGKILL, NULL,
                                    0); /* it may have ended just now; ignoring */
            kill_us = 0;
            give_up_us = now_us + KILL_GRACE_US;
        }
        if (give_up_us && now_us >= give_up_us)
            return -ETIMEDOUT;
        if (link->handshake_retry_us && now_us >= link->handshake_retry_us)
            handshake_go_on(link);
    }
    return 0;
}

static void log_exit(struct link *link, int status)
{
    char text[80];
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "exited with code null, signal SIG%s",
                 sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
    else
        snprintf(text, sizeof text, "exited with code %d, signal null", WEXITSTATUS(status));
    sys_log_line(STDOUT_FILENO, "Python worker %s", text);
    if (!atomic_load(&link->stopping))
        ledger_write(&link->ledger, LEDGER_ENDED, 0, NULL, text);
}

static void reap_worker(struct link *link)
{
    int status = 0;
    while (waitpid(link->pid, &status, 0) < 0 && errno == EINTR)
        ;
    log_exit(link, status);
}

/* What is left of a worker: pipes, half lines, and calls nobody will answer. */
static void clean_up_worker(struct link *link)
{
    atomic_store(&link->worker_alive, false);
    close_stdin(link);
    close_fd(&link->stdout_fd);
    close_fd(&link->stderr_fd);
    close_fd(&link->pid_fd);
    link->out_lines.size = link->err_lines.size = 0;
    if (link->handshake_id)
        ledger_write(&link->ledger, LEDGER_LOST, link->handshake_id, handshake[link->handshake_step],
                     "the worker ended");
    link->handshake_id = 0;
    link->handshake_retry_us = 0;
    pthread_mutex_lock(&link->lock);
    link->pid = 0;
    link->state = link->options.never_respawn ? LINK_GONE : LINK_WAITING;
    if (!link->options.never_respawn) /* the real server leaves them hanging */
        finish_all(link, -EPIPE);
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

/* Sleeps until due_us (0: for ever) or until the link is being stopped. */
static void keeper_sleep(struct link *link, int64_t due_us)
{
    uint64_t count;
    while (!atomic_load(&link->stopping) && (due_us == 0 || sys_now_us() < due_us))
        if (poll(&(struct pollfd){.fd = link->wake_fd, .events = POLLIN}, 1, timeout_ms(due_us)) > 0)
            (void)!read(link->wake_fd, &count, sizeof count);
}

static void respawn(struct link *link)
{
    int result;
    do {
        pthread_mutex_lock(&link->lock);
        int64_t backoff_us = link->backoff_us;
        link->backoff_us = backoff_us * 2 < BACKOFF_MAX_US ? backoff_us * 2 : BACKOFF_MAX_US;
        pthread_mutex_unlock(&link->lock);
        keeper_sleep(link, sys_now_us() + backoff_us);
        if (atomic_load(&link->stopping))
            return;
        result = start_worker(link);
        if (result < 0)
            sys_log_line(STDOUT_FILENO, "[DBEngine] cannot start %s: %s", link->options.argv[0],
                         strerror(-result));
    } while (result < 0);
    pthread_mutex_lock(&link->lock);
    link->restarts_count++;
    pthread_mutex_unlock(&link->lock);
}

static void *keep(void *argument)
{
    struct link *link = argument;
    pthread_setname_np(pthread_self(), "keeper");
    while (link->pid) {
        int result = follow_worker(link);
        if (result < 0)
            return link; /* tells link_stop(); not NULL */
        reap_worker(link);
        clean_up_worker(link);
        if (atomic_load(&link->stopping))
            break;
        if (link->options.never_respawn)
            keeper_sleep(link, 0);
        else
            respawn(link);
    }
    return NULL;
}

/* ---- outside ---- */

static void init_conditions(struct link *link)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&link->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&link->lock, NULL);
    pthread_mutex_init(&link->write_lock, NULL);
}

int link_start(struct link *link, const struct link_options *options)
{
    *link = (struct link){.options = *options,
                          .next_id = 1,
                          .backoff_us = BACKOFF_FIRST_US,
                          .stdin_fd = -1,
                          .stdout_fd = -1,
                          .stderr_fd = -1,
                          .pid_fd = -1};
    init_conditions(link);
    int result = ledger_open(&link->ledger, options->ledger_path);
    if (result < 0)
        return result;
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (link->wake_fd < 0)
        return -errno;
    result = start_worker(link);
    if (result < 0)
        return result;
    return -pthread_create(&link->keeper, NULL, keep, link);
}

struct link_status link_status(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    struct link_status status = {link->state, link->pid, link->restarts_count};
    pthread_mutex_unlock(&link->lock);
    return status;
}

int link_stop(struct link *link)
{
    const uint64_t one = 1;
    void *held;
    pthread_mutex_lock(&link->lock);
    atomic_store(&link->stopping, true);
    finish_all(link, -ESHUTDOWN);
    pthread_mutex_unlock(&link->lock);
    (void)!write(link->wake_fd, &one, sizeof one);
    pthread_join(link->keeper, &held);
    if (held)
        return -ETIMEDOUT;
    free(link->out_lines.data);
    free(link->err_lines.data);
    close_fd(&link->wake_fd);
    return 0;
}
