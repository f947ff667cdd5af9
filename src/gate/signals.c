/* SPDX-License-Identifier: MIT */
/* Signals as events; see the header. */
#include "signals.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "weir/base/cleanup.h"

static const int forwarded[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1, SIGUSR2,
                                SIGCONT, SIGWINCH, SIGTSTP, SIGTTIN, SIGTTOU};

int signals_open(struct child_origin *ret)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, standard = {.sa_handler = SIG_DFL};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
        (void)sigaddset(&set, forwarded[i]);
    (void)sigaddset(&set, SIGCHLD);
    /* an ignored SIGCHLD would let the kernel reap the worker, and its status were lost */
    if (sigprocmask(SIG_BLOCK, &set, &ret->mask) < 0 || sigaction(SIGPIPE, &ignore, &ret->pipe) < 0 ||
        sigaction(SIGCHLD, &standard, &ret->child) < 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int signals_next(int fd, struct signal_told *ret)
{
    struct signalfd_siginfo info;
    ssize_t n;
    do
        n = read(fd, &info, sizeof(info));
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(info))
        return 0;
    int number = (int)info.ssi_signo;
    *ret = (struct signal_told){
        .number = number,
        .is_child = number == SIGCHLD,
        .asks_to_end = number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT,
        .from_terminal = info.ssi_code == SI_KERNEL,
    };
    return 1;
}

void signals_die_of(int number)
{
    const struct rlimit none = {0, 0};
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t set;
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0); /* a core_pattern that is a pipe does not ask for the limit */
    (void)sigaction(number, &standard, NULL);
    (void)raise(number);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}
