/* SPDX-License-Identifier: MIT */
/*
 * weir's own log lines, to standard error. Only the app layer logs above debug; everything below passes
 * errors up. Under systemd (JOURNAL_STREAM set) lines carry the <N> priority prefix, elsewhere a time
 * stamp, on a terminal with colour. Thread-safe (one write(2) per line).
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

/* Messages above this level are not written. Default LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

void log_message(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_message(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_message(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
