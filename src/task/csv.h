/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comma-separated values as RFC 4180 has them and as pandas writes them: a
 * field in quotes may hold commas, doubled quotes and line ends; lines end
 * with LF or CRLF; empty lines and a byte order mark are passed over.
 */
#ifndef EW_TASK_CSV_H
#define EW_TASK_CSV_H

#include <stddef.h>

#include "edgewise/buf.h"
#include "edgewise/err.h"

struct csv {
    const char *at; /* borrowed text, NUL-terminated */
    const char *end;
    size_t next_line; /* 1-based */

    size_t line;   /* where the record begins */
    char **fields; /* of the record; owned, until the next one */
    size_t n;
    size_t cap;
};

/* The text is borrowed until csv_finish(). */
void csv_init(struct csv *csv, const struct ew_buf *text);
/*
 * Read the next record. False at the end of the text, and then *ok is true;
 * false with *ok false, EW_ERR_INPUT "line 7: ..", for a field that is not
 * well formed.
 */
bool csv_next(struct csv *csv, bool *ok, struct ew_err *err);
void csv_finish(struct csv *csv);

#endif
