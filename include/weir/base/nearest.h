/* SPDX-License-Identifier: MIT */
/* "did you mean": the word of a list with the smallest edit distance. */
#ifndef WEIR_BASE_NEAREST_H
#define WEIR_BASE_NEAREST_H

#include <stddef.h>

/* Returns the nearest of words[0..count) when it is near enough to be a likely typing error (distance at
 * most a third of the longer word, at least 1, insertion, deletion, replacement and swap of neighbours count 1), else NULL. Case is ignored.
 * Words longer than 63 bytes are never near. Ties: the first. */
const char *nearest_word(const char *word, const char *const *words, size_t count);

#endif
