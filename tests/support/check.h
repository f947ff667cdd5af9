/* SPDX-License-Identifier: MIT */
/* cmocka with what it needs in front of it, and a random number generator that is the same everywhere. */
#ifndef WEIR_TESTS_CHECK_H
#define WEIR_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rng.h"

#endif
