/* SPDX-License-Identifier: MIT */
/* The parts of the scanner that look at one value: a string that is decoded, a number. */
#ifndef WEIR_GATE_SCAN_PART_H
#define WEIR_GATE_SCAN_PART_H

#include "scan.h"

enum scan_text_outcome {
    SCAN_TEXT_MORE, /* all was taken, and it goes on */
    SCAN_TEXT_END,  /* the closing quote was taken */
    SCAN_TEXT_BAD,  /* no string of JSON */
};

/* What follows is behind the opening quote. */
void scan_text_start(struct scan_text *t);
/* Takes bytes of p .. end. Returns behind the last one that was taken; when BAD, the one that made it bad. */
const char *scan_text_take(struct scan_text *t, const char *p, const char *end,
                           enum scan_text_outcome *ret_outcome);

#define SCAN_NUMBER_START 1 /* the step in front of a number */

/* Takes what belongs to a number from p .. end; *step says where in its grammar that ends. Returns behind it. */
const char *scan_number_take(uint8_t *step, const char *p, const char *end);
/* Whether a number may end at this step. */
bool scan_number_is_whole(uint8_t step);
/* raw: a number in JSON's grammar, at most SCAN_ID_MAX bytes. Writes the one form of its exact value (see scan_id.key) to
 * key and returns its length, 0 when it does not fit or the exponent is too large. */
uint16_t scan_number_key(const char *raw, uint16_t length, char key[static SCAN_ID_MAX]);

#endif
