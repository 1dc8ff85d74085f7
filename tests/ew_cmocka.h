/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmocka with the headers it needs before it, and what tests share: the
 * folders they read, and skipping a whole program with a word.
 *
 * A test program whose data is not there prints why and exits 77, which meson
 * counts as skipped.
 */
#ifndef EW_TESTS_CMOCKA_H
#define EW_TESTS_CMOCKA_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
// clang-format on

/* Leave the program with "skipped: WHY" unless `path` can be read. */
static inline void ew_test_need(const char *path)
{
    if (access(path, R_OK) != 0) {
        printf("skipped: %s is not there\n", path);
        exit(77);
    }
}

/* For files of the reference data: NAME is below it. */
static inline const char *ew_test_reference(const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", EW_REFERENCE_DIR, name);
    return path;
}

#endif
