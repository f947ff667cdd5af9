/* SPDX-License-Identifier: MIT */
/* Numeric addresses; see the header. */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static struct in6_addr from_ipv4(uint32_t network_order)
{
    struct in6_addr a = {0};
    a.s6_addr[10] = a.s6_addr[11] = 0xff;
    memcpy(&a.s6_addr[12], &network_order, sizeof(network_order));
    return a;
}

int address_parse(const char *host, struct in6_addr ret[static ADDRESS_MAX])
{
    const struct in6_addr loopback4 = from_ipv4(htonl(INADDR_LOOPBACK)), loopback6 = IN6ADDR_LOOPBACK_INIT;
    if (!host || !*host || strcasecmp(host, "localhost") == 0) {
        ret[0] = loopback4;
        ret[1] = loopback6;
        return 2;
    }
    char text[INET6_ADDRSTRLEN + 2];
    size_t length = strlen(host), is_bracketed = host[0] == '[' && host[length - 1] == ']';
    if (length - 2 * is_bracketed >= sizeof(text))
        return -EINVAL;
    memcpy(text, host + is_bracketed, length - 2 * is_bracketed);
    text[length - 2 * is_bracketed] = '\0';
    struct in_addr v4;
    if (!is_bracketed && inet_pton(AF_INET, text, &v4) == 1) {
        ret[0] = v4.s_addr == htonl(INADDR_ANY) ? loopback4 : from_ipv4(v4.s_addr);
        return 1;
    }
    if (inet_pton(AF_INET6, text, &ret[0]) != 1)
        return -EINVAL;
    if (IN6_IS_ADDR_UNSPECIFIED(&ret[0]))
        ret[0] = loopback6;
    return 1;
}

socklen_t address_to_sockaddr(const struct in6_addr *address, uint16_t port, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        memcpy(&v4->sin_addr, &address->s6_addr[12], sizeof(v4->sin_addr));
        return sizeof(*v4);
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    v6->sin6_addr = *address;
    return sizeof(*v6);
}

const char *address_format(const char *host, uint16_t port, char buf[static ADDRESS_TEXT_MAX])
{
    if (!host || !*host)
        host = "localhost";
    bool needs_brackets = strchr(host, ':') && host[0] != '[';
    snprintf(buf, ADDRESS_TEXT_MAX, "%s%.48s%s:%u", needs_brackets ? "[" : "", host,
             needs_brackets ? "]" : "", (unsigned)port);
    return buf;
}
