/* SPDX-License-Identifier: MIT */
/* The test program's other life, as the command of a unit: `PROGRAM --load hog 32`. */
#ifndef WEIR_TESTS_LOAD_H
#define WEIR_TESTS_LOAD_H

/* hog MIB | cycle MIB FILE | forks COUNT | tree | descriptors */
int load_main(int argc, char **argv);

#endif
