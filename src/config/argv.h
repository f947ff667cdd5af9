/* SPDX-License-Identifier: MIT */
/*
 * A command line without a shell.
 *
 * Words are separated by blanks. "..." holds blanks together; inside it \" and \\ stand for the character
 * and any other backslash for itself (so a "\d+" is what it seems). Outside quotes a backslash takes the next
 * character as it is. Nothing is expanded. What only a shell would understand (a lone |, >, && or ;, a word
 * in single quotes) is refused, because a program would be handed it as an argument without a word said.
 */
#ifndef WEIR_CONFIG_ARGV_H
#define WEIR_CONFIG_ARGV_H

#include "text.h"
#include "why.h"

/* Splits text. *ret is a word list (at least one word, fewer than CONFIG_ARGV_MAX). -EINVAL: why says what is
 * wrong, with its column counted from why->column. -ENOMEM. *ret is untouched on failure. */
int argv_split(const char *text, char ***ret, struct why *why);

/* The inverse: argv_split of what it adds gives the same words. */
void argv_join(char *const *words, struct text *out);

#endif
