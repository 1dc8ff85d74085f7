/* SPDX-License-Identifier: Apache-2.0 */
/* Growing text; doubles its memory, always NUL-terminated. */
#include "edgewise/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

void ew_buf_finish(struct ew_buf *buf)
{
    free(buf->data);
    *buf = (struct ew_buf){0};
}

void ew_buf_clear(struct ew_buf *buf)
{
    buf->len = 0;
    if (buf->data) {
        buf->data[0] = '\0';
    }
}

static void reserve(struct ew_buf *buf, size_t extra)
{
    size_t need = buf->len + extra + 1;
    if (need > buf->cap) {
        size_t cap = buf->cap ? buf->cap : 64;
        while (cap < need) {
            cap *= 2;
        }
        buf->data = ew_xrealloc(buf->data, cap, 1);
        buf->cap = cap;
    }
}

void ew_buf_add_n(struct ew_buf *buf, const char *bytes, size_t len)
{
    reserve(buf, len);
    if (len) {
        memcpy(buf->data + buf->len, bytes, len);
    }
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void ew_buf_add(struct ew_buf *buf, const char *text)
{
    ew_buf_add_n(buf, text, strlen(text));
}

void ew_buf_putc(struct ew_buf *buf, char c)
{
    ew_buf_add_n(buf, &c, 1);
}

void ew_buf_printf(struct ew_buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    reserve(buf, 0);
    int len = vsnprintf(buf->data + buf->len, buf->cap - buf->len, fmt, args);
    va_end(args);
    if (len > 0 && (size_t)len >= buf->cap - buf->len) {
        reserve(buf, (size_t)len);
        vsnprintf(buf->data + buf->len, buf->cap - buf->len, fmt, again);
    }
    va_end(again);
    if (len > 0) {
        buf->len += (size_t)len;
    }
}

const char *ew_buf_str(const struct ew_buf *buf)
{
    return buf->data ? buf->data : "";
}

char *ew_buf_steal(struct ew_buf *buf)
{
    char *text = buf->data ? buf->data : ew_xstrdup("");
    *buf = (struct ew_buf){0};
    return text;
}
