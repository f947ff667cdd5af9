/* SPDX-License-Identifier: MIT */
/*
 * The type of `ready`: how it is found out that a unit does its work. One row per form in the table below.
 *
 * Addresses are numeric or "localhost": a check must not hang in a name server.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argv.h"
#include "key.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"

static void ready_deinit(struct config_ready *ready)
{
    free(ready->host);
    free(ready->path);
    words_free(ready->argv);
    *ready = (struct config_ready){0};
}

static bool host_is_valid(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return strcmp(host, "localhost") == 0 || inet_pton(AF_INET, host, address) == 1 ||
           inet_pton(AF_INET6, host, address) == 1;
}

static int set_host(struct config_ready *ready, const char *host, size_t length, struct why *why)
{
    ready->host = text_copy(host, length);
    if (!ready->host)
        return -ENOMEM;
    if (!host_is_valid(ready->host))
        return why_set(why, "the host is no numeric address\nwrite 127.0.0.1, [::1] or localhost");
    return 0;
}

static int set_port(struct config_ready *ready, const char *text, struct why *why)
{
    uint64_t port;
    if (strspn(text, "0123456789") != strlen(text) || parse_u64(text, &port) < 0 || port == 0 ||
        port > UINT16_MAX)
        return why_set(why, "not a port\nfrom 1 to 65535");
    ready->port = (uint16_t)port;
    return 0;
}

/* "HOST:PORT", "[HOST]:PORT", "PORT" or "HOST"; text is changed. A missing part keeps what ready holds. */
static int parse_address(struct config_ready *ready, char *text, bool is_port_alone, struct why *why)
{
    char *close = *text == '[' ? strchr(text, ']') : NULL;
    if (*text == '[' && (!close || (close[1] != '\0' && close[1] != ':')))
        return why_set(why, "no ']' behind the address\nwrite [::1]:80");
    char *colon = strchr(close ? close : text, ':');
    if (!close && colon && strchr(colon + 1, ':'))
        return why_set(why, "an IPv6 address without its brackets\nwrite [::1]:80");
    if (!close && !colon && is_port_alone)
        return set_port(ready, text, why);
    const char *host = close ? text + 1 : text;
    size_t length = close ? (size_t)(close - host) : strcspn(text, ":");
    int r = set_host(ready, host, length, why);
    if (r == 0 && colon)
        r = set_port(ready, colon + 1, why);
    return r;
}

static int parse_tcp(struct config_ready *ready, const char *rest, struct why *why)
{
    _cleanup_free_ char *text = text_copy(rest, strlen(rest));
    if (!text)
        return -ENOMEM;
    int r = parse_address(ready, text, true, why);
    if (r < 0)
        return r;
    if (ready->port == 0)
        return why_set(why, "no port\nwrite tcp:24280 or tcp:127.0.0.1:24280");
    if (!ready->host && !(ready->host = text_copy("127.0.0.1", strlen("127.0.0.1"))))
        return -ENOMEM;
    return 0;
}

static int parse_http(struct config_ready *ready, const char *rest, struct why *why)
{
    size_t length = strcspn(rest, "/");
    const char *path = rest[length] ? rest + length : "/";
    _cleanup_free_ char *address = text_copy(rest, length);
    if (!address)
        return -ENOMEM;
    if (length == 0)
        return why_set(why, "no host\nwrite http://127.0.0.1:24280/health");
    if (strpbrk(rest, " \t#\"@"))
        return why_set(why, "not an address a check can ask\nwrite http://127.0.0.1:24280/health");
    ready->port = 80;
    int r = parse_address(ready, address, false, why);
    if (r < 0)
        return r;
    ready->path = text_copy(path, strlen(path));
    return ready->path ? 0 : -ENOMEM;
}

static int parse_exec(struct config_ready *ready, const char *rest, struct why *why)
{
    why->column += (unsigned)strlen("exec:");
    int r = argv_split(rest, &ready->argv, why);
    if (r < 0)
        return r;
    if (ready->argv[0][0] == '\0' || (ready->argv[0][0] != '/' && strchr(ready->argv[0], '/')))
        return why_set(
            why, "the check's program is neither a name nor an absolute path\nwrite exec:/usr/bin/check "
                 "ARGUMENTS");
    return 0;
}

static int parse_log(struct config_ready *ready, const char *rest, struct why *why)
{
    int error;
    PCRE2_SIZE offset;
    char reason[120];
    if (*rest == '\0')
        return why_set(why, "no pattern\nwrite log:PATTERN, a regular expression for a line of the output");
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)rest, PCRE2_ZERO_TERMINATED, 0, &error, &offset, NULL);
    pcre2_code_free(code);
    if (!code) {
        if (pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof(reason)) < 0)
            (void)snprintf(reason, sizeof(reason), "error %d", error);
        return why_set(
            why,
            "not a regular expression (column %u: %s)\nwrite \\ before a character that stands for itself",
            why->column + (unsigned)strlen("log:") + (unsigned)offset, reason);
    }
    ready->path = text_copy(rest, strlen(rest));
    return ready->path ? 0 : -ENOMEM;
}

static const struct ready_form {
    const char *prefix;
    enum config_ready_type type;
    bool has_own_comments;
    int (*parse)(struct config_ready *ready, const char *rest, struct why *why); /* NULL: the word is all */
} ready_forms[] = {
    {"tcp:", CONFIG_READY_TCP, false, parse_tcp},   {"http://", CONFIG_READY_HTTP, false, parse_http},
    {"exec:", CONFIG_READY_EXEC, true, parse_exec}, {"log:", CONFIG_READY_LOG, true, parse_log},
    {"notify", CONFIG_READY_NOTIFY, false, NULL},   {"none", CONFIG_READY_NONE, false, NULL},
};

static int parse_form(struct config_ready *ready, const char *text, struct why *why)
{
    for (size_t i = 0; i < ARRAY_SIZE(ready_forms); i++) {
        const struct ready_form *form = &ready_forms[i];
        size_t length = strlen(form->prefix);
        if (strncmp(text, form->prefix, length) != 0 || (!form->parse && text[length] != '\0'))
            continue;
        int r = form->has_own_comments ? 0 : comment_check(text, why);
        ready->type = form->type;
        return r < 0 || !form->parse ? r : form->parse(ready, text + length, why);
    }
    if (strncmp(text, "https://", 8) == 0)
        return why_set(
            why, "checks do not speak TLS\nask over http:// or tcp:, or run a check of your own by exec:");
    return why_set(why,
                   "not a readiness check\nwrite tcp:PORT, http://HOST:PORT/PATH, exec:/PROGRAM, notify, "
                   "log:PATTERN or none");
}

static void ready_clear(const struct key *key, void *owner)
{
    ready_deinit(KEY_FIELD(struct config_ready, owner, key->offset));
}

static int ready_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    _cleanup_(ready_deinit) struct config_ready ready = {0};
    int r = parse_form(&ready, text, why);
    if (r < 0)
        return r;
    ready_clear(key, owner);
    *KEY_FIELD(struct config_ready, owner, key->offset) = ready;
    ready = (struct config_ready){0};
    return 0;
}

static void format_address(const struct config_ready *ready, struct text *out)
{
    bool is_ipv6 = strchr(ready->host, ':') != NULL;
    text_add(out, "%s%s%s:%" PRIu16, is_ipv6 ? "[" : "", ready->host, is_ipv6 ? "]" : "", ready->port);
}

static void ready_format(const struct key *key, const void *owner, struct text *out)
{
    const struct config_ready *ready = KEY_CONST_FIELD(struct config_ready, owner, key->offset);
    for (size_t i = 0; i < ARRAY_SIZE(ready_forms); i++)
        if (ready_forms[i].type == ready->type)
            text_add(out, "%s", ready_forms[i].prefix);
    if (ready->type == CONFIG_READY_TCP || ready->type == CONFIG_READY_HTTP)
        format_address(ready, out);
    if (ready->path)
        text_add(out, "%s", ready->path);
    argv_join(ready->argv, out);
}

const struct value_type type_ready = {.name = "check",
                                      .has_own_comments = true,
                                      .parse = ready_parse,
                                      .format = ready_format,
                                      .clear = ready_clear};
