/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing safetensors: streamed to a temporary file and renamed, so that a
 * model larger than memory could be written and none is ever half there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edgewise/buf.h"
#include "edgewise/mem.h"

#include "store.h"

/* A JSON string; names hold no control characters of interest. */
static void add_string(struct ew_buf *out, const char *text)
{
    ew_buf_putc(out, '"');
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20) {
            ew_buf_printf(out, "\\u%04x", (unsigned)*c);
            continue;
        }
        if (*c == '"' || *c == '\\') {
            ew_buf_putc(out, '\\');
        }
        ew_buf_putc(out, *c);
    }
    ew_buf_putc(out, '"');
}

static uint64_t byte_size(const struct ew_weight *item)
{
    return (uint64_t)ew_shape_numel(item->shape, item->ndim) * sizeof(float);
}

/* The length prefix and the header, padded so that the data are aligned. */
static void add_header(struct ew_buf *out, const struct ew_weight *items,
                       size_t n)
{
    struct ew_buf text = {0};
    uint64_t at = 0;
    ew_buf_putc(&text, '{');
    for (size_t i = 0; i < n; i++) {
        ew_buf_add(&text, i ? ", " : "");
        add_string(&text, items[i].name);
        ew_buf_add(&text, ": {\"dtype\": \"F32\", \"shape\": [");
        for (int d = 0; d < items[i].ndim; d++) {
            ew_buf_printf(&text, "%s%" PRId64, d ? ", " : "",
                          items[i].shape[d]);
        }
        uint64_t end = at + byte_size(&items[i]);
        ew_buf_printf(&text, "], \"data_offsets\": [%" PRIu64 ", %" PRIu64 "]}",
                      at, end);
        at = end;
    }
    ew_buf_putc(&text, '}');
    while (text.len % 8 != 0) {
        ew_buf_putc(&text, ' ');
    }
    for (int i = 0; i < 8; i++) {
        ew_buf_putc(out, (char)((uint64_t)text.len >> (8 * i) & 0xff));
    }
    ew_buf_add_n(out, ew_buf_str(&text), text.len);
    ew_buf_finish(&text);
}

static bool put(int fd, const char *path, const void *bytes, uint64_t len,
                struct ew_err *err)
{
    const char *at = bytes;
    while (len > 0) {
        size_t chunk = len < (1u << 30) ? (size_t)len : (1u << 30);
        ssize_t n = write(fd, at, chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return ew_fail(err, EW_ERR_IO, "%s: %s", path, strerror(errno));
        }
        at += n;
        len -= (uint64_t)n;
    }
    return true;
}

/* One item's bytes: its own, or what `fill` makes of them. */
static bool put_item(int fd, const char *path, const struct ew_weight *items,
                     size_t i, const struct ew_filler *filler,
                     struct ew_err *err)
{
    uint64_t size = byte_size(&items[i]);
    if (!filler) {
        return put(fd, path, items[i].data, size, err);
    }
    float *data = malloc(size ? size : 1);
    if (!data) {
        return ew_fail(err, EW_ERR_NOMEM, "%s: tensor %s: no memory for it",
                       path, items[i].name);
    }
    bool ok = filler->fill(filler->user, i, data, err) &&
              put(fd, path, data, size, err);
    free(data);
    return ok;
}

static bool put_all(int fd, const char *path, const struct ew_weight *items,
                    size_t n, const struct ew_filler *filler,
                    struct ew_err *err)
{
    struct ew_buf header = {0};
    add_header(&header, items, n);
    bool ok = put(fd, path, ew_buf_str(&header), header.len, err);
    ew_buf_finish(&header);
    for (size_t i = 0; ok && i < n; i++) {
        ok = put_item(fd, path, items, i, filler, err);
    }
    return ok;
}

static bool check_items(const char *path, const struct ew_weight *items,
                        size_t n, struct ew_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].dtype != EW_F32) {
            return ew_fail(err, EW_ERR_INPUT,
                           "%s: tensor %s: only F32 is written, not %s", path,
                           items[i].name, ew_dtype_name(items[i].dtype));
        }
        if (ew_shape_numel(items[i].shape, items[i].ndim) < 0) {
            return ew_fail(err, EW_ERR_INPUT,
                           "%s: tensor %s: its shape is not one", path,
                           items[i].name);
        }
    }
    return true;
}

bool ew_weights_write(const char *path, const struct ew_weight *items, size_t n,
                      struct ew_err *err)
{
    return ew_store_write(path, items, n, NULL, err);
}

bool ew_store_write(const char *path, const struct ew_weight *items, size_t n,
                    const struct ew_filler *filler, struct ew_err *err)
{
    if (!check_items(path, items, n, err)) {
        return false;
    }
    bool ok = false;
    char *temp = ew_xasprintf("%s.XXXXXX", path);
    int fd = mkstemp(temp);
    if (fd < 0) {
        ew_fail(err, EW_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        goto out;
    }
    if (!put_all(fd, path, items, n, filler, err)) {
        goto out;
    }
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(fd, 0666 & ~mask) < 0 || fsync(fd) < 0 ||
        rename(temp, path) < 0) {
        ew_fail(err, EW_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        goto out;
    }
    ok = true;
out:
    if (fd >= 0) {
        close(fd);
        if (!ok) {
            unlink(temp);
        }
    }
    free(temp);
    return ok;
}
