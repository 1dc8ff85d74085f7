/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for a test's files. */
#ifndef EW_TESTS_TEMP_DIR_H
#define EW_TESTS_TEMP_DIR_H

#include "ew_cmocka.h"

#include <stdlib.h>
#include <unistd.h>

#include "edgewise/mem.h"

/* Its name, for temp_dir_remove(). */
static inline char *temp_dir(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = ew_xasprintf("%s/edgewise-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(dir));
    return dir;
}

/* Remove a folder of plain files, and free its name. */
static inline void temp_dir_remove(char *dir)
{
    char *command = ew_xasprintf("rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    free(command);
    free(dir);
}

#endif
