/* SPDX-License-Identifier: MIT */
/* port_find_holder() on any folder that looks like /proc, for tests. */
#ifndef WEIR_APP_PORT_H
#define WEIR_APP_PORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int port_find_holder_at(int proc_fd, const char *host, uint16_t port, pid_t *ret_pid, char *ret_text,
                        size_t size);

#endif
