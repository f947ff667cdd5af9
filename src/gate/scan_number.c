/* SPDX-License-Identifier: MIT */
/*
 * A number: its grammar, and the one form of its value.
 *
 * Two texts have the same form if and only if they are the same number: by their decimal digits, not by way of double,
 * so that 9007199254740993 and 9007199254740992 are two ids.
 *
 * The number is taken apart to sign, digits without zeros at either end, and a power of ten. An integer is written as
 * people write it, as long as it has at most PLAIN_MAX digits; everything else as DIGITSeEXPONENT.
 */
#include "scan_part.h"

#include <stdio.h>
#include <string.h>

#define PLAIN_MAX    21                  /* Number::toString of ECMAScript has its limit there */
#define EXPONENT_MAX INT64_C(1000000000) /* chosen: far beyond double's 308; the sums here cannot overflow */

enum number_step {
    NUMBER_BAD,
    NUMBER_START = SCAN_NUMBER_START,
    NUMBER_MINUS,
    NUMBER_ZERO, /* no digit may follow */
    NUMBER_INTEGER,
    NUMBER_POINT,
    NUMBER_FRACTION,
    NUMBER_E,
    NUMBER_SIGN,
    NUMBER_EXPONENT,
};

/* What follows a step, by the next character; BAD = that character is not part of the number. */
static const struct {
    uint8_t zero, digit, minus, plus, point, e;
    bool may_end;
} numbers[] = {
    [NUMBER_START] = {.zero = NUMBER_ZERO, .digit = NUMBER_INTEGER, .minus = NUMBER_MINUS},
    [NUMBER_MINUS] = {.zero = NUMBER_ZERO, .digit = NUMBER_INTEGER},
    [NUMBER_ZERO] = {.point = NUMBER_POINT, .e = NUMBER_E, .may_end = true},
    [NUMBER_INTEGER] = {.zero = NUMBER_INTEGER,
                        .digit = NUMBER_INTEGER,
                        .point = NUMBER_POINT,
                        .e = NUMBER_E,
                        .may_end = true},
    [NUMBER_POINT] = {.zero = NUMBER_FRACTION, .digit = NUMBER_FRACTION},
    [NUMBER_FRACTION] = {.zero = NUMBER_FRACTION, .digit = NUMBER_FRACTION, .e = NUMBER_E, .may_end = true},
    [NUMBER_E] = {.zero = NUMBER_EXPONENT,
                  .digit = NUMBER_EXPONENT,
                  .minus = NUMBER_SIGN,
                  .plus = NUMBER_SIGN},
    [NUMBER_SIGN] = {.zero = NUMBER_EXPONENT, .digit = NUMBER_EXPONENT},
    [NUMBER_EXPONENT] = {.zero = NUMBER_EXPONENT, .digit = NUMBER_EXPONENT, .may_end = true},
};

static uint8_t number_next(uint8_t step, char c)
{
    if (c >= '1' && c <= '9')
        return numbers[step].digit;
    switch (c) {
    case '0':
        return numbers[step].zero;
    case '-':
        return numbers[step].minus;
    case '+':
        return numbers[step].plus;
    case '.':
        return numbers[step].point;
    case 'e':
    case 'E':
        return numbers[step].e;
    default:
        return NUMBER_BAD;
    }
}

const char *scan_number_take(uint8_t *step, const char *p, const char *end)
{
    uint8_t now = *step;
    for (uint8_t next; p < end && (next = number_next(now, *p)) != NUMBER_BAD; p++)
        now = next;
    *step = now;
    return p;
}

bool scan_number_is_whole(uint8_t step)
{
    return numbers[step].may_end;
}

struct decimal {
    bool is_negative;
    uint16_t count;
    int64_t exponent; /* the value is DIGITS * 10^exponent */
    char digits[SCAN_ID_MAX];
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits from at on; returns behind them. */
static uint16_t take_digits(struct decimal *d, const char *raw, uint16_t length, uint16_t at)
{
    for (; at < length && is_digit(raw[at]); at++)
        if (raw[at] != '0' || d->count > 0)
            d->digits[d->count++] = raw[at];
    return at;
}

/* What follows an "e"; for anything larger than that 2 * EXPONENT_MAX, which the digits cannot make good. */
static int64_t parse_exponent(const char *raw, uint16_t length, uint16_t at)
{
    int64_t value = 0;
    bool is_negative = raw[at] == '-';
    for (; at < length; at++)
        if (is_digit(raw[at]) && value <= 2 * EXPONENT_MAX)
            value = value * 10 + (raw[at] - '0');
    if (value > 2 * EXPONENT_MAX)
        value = 2 * EXPONENT_MAX;
    return is_negative ? -value : value;
}

/* False: the exponent is too large. */
static bool take_apart(struct decimal *d, const char *raw, uint16_t length)
{
    uint16_t at = 0;
    d->count = 0;
    d->exponent = 0;
    d->is_negative = raw[0] == '-';
    at = take_digits(d, raw, length, d->is_negative ? 1 : 0);
    if (at < length && raw[at] == '.') {
        uint16_t point = (uint16_t)(at + 1);
        at = take_digits(d, raw, length, point);
        d->exponent = point - at;
    }
    if (at < length)
        d->exponent += parse_exponent(raw, length, (uint16_t)(at + 1));
    for (; d->count > 0 && d->digits[d->count - 1] == '0'; d->count--)
        d->exponent++;
    return d->count == 0 || (d->exponent <= EXPONENT_MAX && d->exponent >= -EXPONENT_MAX);
}

static uint16_t write_form(const struct decimal *d, char key[static SCAN_ID_MAX])
{
    char exponent[32] = "";
    uint16_t at = 0, zeros = 0, tail = 0;
    if (d->exponent >= 0 && d->count + d->exponent <= PLAIN_MAX)
        zeros = (uint16_t)d->exponent;
    else
        tail = (uint16_t)snprintf(exponent, sizeof(exponent), "e%lld", (long long)d->exponent);
    if ((d->is_negative ? 1 : 0) + d->count + zeros + tail > SCAN_ID_MAX)
        return 0;
    if (d->is_negative)
        key[at++] = '-';
    memcpy(key + at, d->digits, d->count);
    memset(key + at + d->count, '0', zeros);
    memcpy(key + at + d->count + zeros, exponent, tail);
    return (uint16_t)(at + d->count + zeros + tail);
}

/* Digits alone, as nearly every id is: it is its own form. */
static bool is_plain(const char *raw, uint16_t length)
{
    uint16_t at = 0;
    while (at < length && is_digit(raw[at]))
        at++;
    return at == length && length <= PLAIN_MAX;
}

uint16_t scan_number_key(const char *raw, uint16_t length, char key[static SCAN_ID_MAX])
{
    struct decimal d;
    if (is_plain(raw, length)) {
        memcpy(key, raw, length);
        return length;
    }
    if (!take_apart(&d, raw, length))
        return 0;
    if (d.count == 0) {
        key[0] = '0';
        return 1;
    }
    return write_form(&d, key);
}
