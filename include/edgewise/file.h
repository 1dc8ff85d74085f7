/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: read-only maps, whole small files, and writing that never leaves a
 * half-written file behind.
 */
#ifndef EW_FILE_H
#define EW_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "edgewise/buf.h"
#include "edgewise/err.h"

EW_BEGIN_DECLS

struct ew_map {
    const unsigned char *base; /* read-only; valid until ew_map_close() */
    size_t size;               /* bytes, at least 1 */
};

/* Map a whole regular file. EW_ERR_IO, or EW_ERR_INPUT when it is empty. */
EW_MUST_CHECK bool ew_map_open(struct ew_map *out, const char *path,
                               struct ew_err *err);
void ew_map_close(struct ew_map *map); /* zeroed is fine */

/* Read all of `path` ("-" is standard input) into `out`, appended; EW_ERR_INPUT
 * for more than a gigabyte, as a device may have. */
EW_MUST_CHECK bool ew_file_read(struct ew_buf *out, const char *path,
                                struct ew_err *err);

/*
 * Write `len` bytes to `path` through a temporary file in the same folder
 * and a rename, so that `path` is the old file or the whole new one. Behind a
 * symbolic link the file it leads to is replaced; permissions stay. A device
 * or a pipe is written into; "-" is standard output.
 */
EW_MUST_CHECK bool ew_file_write(const char *path, const void *bytes,
                                 size_t len, struct ew_err *err);

/* Can it be written, as far as can be told now? Makes nothing. */
EW_MUST_CHECK bool ew_file_may_write(const char *path, struct ew_err *err);

EW_END_DECLS

#endif
