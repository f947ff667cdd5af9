/* SPDX-License-Identifier: MIT */
/* One host for all tests of the contract, fake or real, and small words for what they do with it. */
#ifndef WEIR_TESTS_CONTRACT_FIXTURE_H
#define WEIR_TESTS_CONTRACT_FIXTURE_H

#include "check.h"
#include "weir/base/cleanup.h"
#include "weir/host/host.h"

#define MIB         ((uint64_t)1 << 20)
#define PATIENCE_MS 20000 /* far above what any step takes natively; an emulated guest is 20 times slower */

extern struct host *the_host;
extern struct host_info the_info;
extern bool the_host_is_fake;

extern const struct host_limits no_limits;

/* Makes a unit; the test fails with the text when that fails. */
struct host_unit *make_unit(const char *name, const struct host_limits *limits);

/* Kills what is in it, waits until it is empty, and removes it. */
void drop_unit(struct host_unit *u);

/* A spawn specification for argv with a small environment and /dev/null. */
struct host_spawn command(const char *const *argv);
/* This program as a load ("hog", "32", NULL...): argv[0..5) is filled in. */
const char *const *load(const char *argv[6], const char *what, const char *a, const char *b);

struct host_child start(struct host_unit *u, const struct host_spawn *spec);
/* Runs argv to its end; *ret_text (256 bytes) gets its output. */
struct event_exit run_to_end(struct host_unit *u, struct host_spawn *spec, char *ret_text);
/* Waits for the end of our child. */
struct event_exit await_end(struct host_child *c);
/* Reads from fd until word was seen, or the test fails. */
void await_text(int fd, const char *word);

/* Polls ms milliseconds at most for events; returns revents. */
short await_poll(int fd, short events, int ms);

bool await_populated(struct host_unit *u, int wanted);
uint64_t reading(struct host_unit *u, enum sample_field field); /* fails when it is not valid */
bool has_reading(struct host_unit *u, enum sample_field field);
bool await_reading(struct host_unit *u, enum sample_field field, uint64_t at_least);

void pause_ms(unsigned ms);

/* Skips the test when the host lacks the feature. */
#define need(feature)                                                                                        \
    do {                                                                                                     \
        if (!(the_info.features & (feature)))                                                                \
            skip();                                                                                          \
    } while (0)

/* The tests: those that hold for every implementation, and those that need a kernel under them. */
extern const struct CMUnitTest common_tests[];
extern const size_t common_test_count;
extern const struct CMUnitTest kernel_tests[];
extern const size_t kernel_test_count;
extern const struct CMUnitTest guard_tests[];
extern const size_t guard_test_count;

#endif
