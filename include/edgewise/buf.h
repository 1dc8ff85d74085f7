/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing text buffer. Zero-initialised is empty; `data` is NULL or
 * NUL-terminated; release with ew_buf_finish().
 */
#ifndef EW_BUF_H
#define EW_BUF_H

#include <stddef.h>

#include "edgewise/common.h"

EW_BEGIN_DECLS

struct ew_buf {
    char *data; /* owned */
    size_t len; /* bytes, without the NUL */
    size_t cap;
};

void ew_buf_finish(struct ew_buf *buf);
void ew_buf_clear(struct ew_buf *buf); /* keeps the memory */
void ew_buf_add(struct ew_buf *buf, const char *text);
void ew_buf_add_n(struct ew_buf *buf, const char *bytes, size_t len);
void ew_buf_putc(struct ew_buf *buf, char c);
void ew_buf_printf(struct ew_buf *buf, const char *fmt, ...) EW_PRINTF(2, 3);
/* The text, never NULL; borrowed until the next change. */
const char *ew_buf_str(const struct ew_buf *buf);
/* Hand the text to the caller, who frees it; the buffer is empty after. */
char *ew_buf_steal(struct ew_buf *buf);

EW_END_DECLS

#endif
