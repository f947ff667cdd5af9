/* SPDX-License-Identifier: MIT */
/*
 * The numeric TCP addresses of readiness checks. No resolver: it blocks, and a check of this machine needs
 * none. Every address is kept as IPv6, IPv4 ones mapped (::ffff:127.0.0.1), so that two are compared in one
 * way.
 */
#ifndef WEIR_APP_ADDRESS_H
#define WEIR_APP_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_MAX      2  /* "localhost" is both loopbacks, IPv4 first */
#define ADDRESS_TEXT_MAX 64 /* "[" + INET6_ADDRSTRLEN (46) + "]:65535" */

/* "127.0.0.1", "::1", "[::1]", "localhost" (any case); NULL and "" are localhost; the wildcards stand for
 * their loopback, as they do for connect(2). Returns how many addresses were written, or -EINVAL. */
int address_parse(const char *host, struct in6_addr ret[static ADDRESS_MAX]);

/* The address as connect(2) wants it. Returns the length. */
socklen_t address_to_sockaddr(const struct in6_addr *address, uint16_t port, struct sockaddr_storage *ret);

/* "HOST:PORT" as a person writes it, a host with colons in brackets; NULL is localhost. Returns buf. */
const char *address_format(const char *host, uint16_t port, char buf[static ADDRESS_TEXT_MAX]);

#endif
