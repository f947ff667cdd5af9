/* SPDX-License-Identifier: MIT */
/* Commands for units under test; see load.h. */
#include "load.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

static volatile unsigned char sink;

static _Noreturn void stay(void)
{
    for (;;)
        pause();
}

/* Touches so much memory, says so, and stays. */
static int hog(size_t bytes)
{
    unsigned char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 1;
    for (size_t i = 0; i < bytes; i += PAGE)
        p[i] = 1;
    (void)!write(STDOUT_FILENO, "full\n", 5);
    stay();
}

/* Goes round a file mapped into memory, for ever: a file-backed working set. */
static int cycle(size_t bytes, const char *file)
{
    static const unsigned char block[64 * PAGE] = {1};
    int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return 1;
    for (size_t i = 0; i < bytes; i += sizeof(block))
        if (write(fd, block, sizeof(block)) != sizeof(block))
            return 1;
    (void)fsync(fd); /* clean pages can be dropped at once */
    const unsigned char *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return 1;
    (void)unlink(file);
    for (;;)
        for (size_t i = 0; i < bytes; i += PAGE)
            sink = p[i];
}

/* Forks count sleepers, says how many it got, and stays. */
static _Noreturn void forks(size_t count)
{
    size_t got = 0;
    for (size_t i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0)
            stay();
        got += pid > 0;
    }
    dprintf(STDOUT_FILENO, "%zu\n", got);
    stay();
}

/* A tree three deep, each level in a session of its own, deaf to SIGTERM. */
static _Noreturn void tree(int depth)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    for (int i = 0; depth > 0 && i < 2; i++)
        if (fork() == 0) {
            (void)setsid();
            depth--;
            i = -1;
        }
    if (depth == 0)
        (void)!write(STDOUT_FILENO, "x", 1);
    stay();
}

static int descriptors(void)
{
    for (int fd = 0; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            dprintf(STDOUT_FILENO, "%d ", fd);
    return 0;
}

int load_main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[2] : "";
    size_t n = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (strcmp(what, "hog") == 0)
        return hog(n << 20);
    if (strcmp(what, "cycle") == 0 && argc > 4)
        return cycle(n << 20, argv[4]);
    if (strcmp(what, "forks") == 0)
        forks(n);
    if (strcmp(what, "tree") == 0)
        tree(2);
    if (strcmp(what, "descriptors") == 0)
        return descriptors();
    return 2;
}
