/* SPDX-License-Identifier: MIT */
/* Edit distance with swaps (Damerau, restricted), three rows; see the header. */
#include "weir/base/nearest.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 63

static unsigned min2(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned edit_distance(const char *a, size_t la, const char *b, size_t lb)
{
    unsigned rows[3][WORD_MAX + 2];
    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
            row[j] = min2(min2(above[j], row[j - 1]) + 1, above[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                tolower((unsigned char)a[i - 2]) == cb)
                row[j] = min2(row[j], above2[j - 2] + 1);
        }
    }
    return rows[la % 3][lb];
}

const char *nearest_word(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    unsigned best_distance = WORD_MAX;
    size_t length = strlen(word);
    if (length == 0 || length > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(words[i]);
        if (other > WORD_MAX)
            continue;
        size_t longer = other > length ? other : length;
        unsigned allowed = (unsigned)(longer / 3 ? longer / 3 : 1);
        unsigned distance = edit_distance(word, length, words[i], other);
        if (distance <= allowed && distance < best_distance) {
            best = words[i];
            best_distance = distance;
        }
    }
    return best;
}
