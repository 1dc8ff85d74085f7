/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors, as described in edgewise/weights.h. A file comes from anywhere:
 * nothing in its header is believed before it has been checked, and no byte
 * outside the map is ever addressed. Holes between tensors are allowed.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/json.h"
#include "edgewise/mem.h"

#include "store.h"

enum { PREFIX_BYTES = 8 };
/* The format's own limit on the header. */
static const uint64_t MAX_HEADER = 100000000;

static const struct {
    const char *name;
    int dtype; /* enum ew_dtype, or -1: known, but nothing here reads it */
    int size;
} dtypes[] = {
    {"F32", EW_F32, 4}, {"F16", EW_F16, 2},   {"BF16", EW_BF16, 2},
    {"F64", EW_F64, 8}, {"I64", EW_I64, 8},   {"I32", EW_I32, 4},
    {"U8", EW_U8, 1},   {"BOOL", EW_BOOL, 1}, {"I8", -1, 1},
    {"I16", -1, 2},     {"U16", -1, 2},       {"U32", -1, 4},
    {"U64", -1, 8},     {"F8_E4M3", -1, 1},   {"F8_E5M2", -1, 1},
    {"F8_E8M0", -1, 1},
};

/* Where a tensor's bytes are, for the overlap test. */
struct range {
    uint64_t begin;
    uint64_t end;
    const char *name;
};

struct reader {
    struct ew_weights *w;
    const char *file; /* owned by w */
    const unsigned char *data;
    uint64_t data_size;
    struct range *ranges;
    size_t n_ranges;
    struct ew_err *err;
};

static bool read_dtype(struct reader *r, const json_t *entry,
                       struct ew_weight *item, int *size)
{
    const json_t *value = json_object_get(entry, "dtype");
    const char *name = json_string_value(value);
    for (size_t i = 0; name && i < EW_ARRAY_LEN(dtypes); i++) {
        if (strcmp(name, dtypes[i].name) != 0) {
            continue;
        }
        if (dtypes[i].dtype >= 0) {
            item->dtype = (enum ew_dtype)dtypes[i].dtype;
        } else {
            item->dtype = EW_U8;
            item->unreadable = dtypes[i].name;
        }
        *size = dtypes[i].size;
        return true;
    }
    return name ? ew_fail(r->err, EW_ERR_INPUT,
                          "%s: tensor %s: dtype: unknown type '%s'", r->file,
                          item->name, name)
                : ew_fail(r->err, EW_ERR_INPUT,
                          "%s: tensor %s: dtype: expected a string, found %s",
                          r->file, item->name, ew_json_kind(value));
}

static bool read_shape(struct reader *r, const json_t *entry,
                       struct ew_weight *item)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape)) {
        return ew_fail(r->err, EW_ERR_INPUT,
                       "%s: tensor %s: shape: expected an array, found %s",
                       r->file, item->name, ew_json_kind(shape));
    }
    size_t n = json_array_size(shape);
    if (n > EW_MAX_DIMS) {
        return ew_fail(r->err, EW_ERR_INPUT,
                       "%s: tensor %s: shape: expected at most %d "
                       "dimensions, found %zu",
                       r->file, item->name, EW_MAX_DIMS, n);
    }
    item->ndim = (int)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *extent = json_array_get(shape, i);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0) {
            return ew_fail(r->err, EW_ERR_INPUT,
                           "%s: tensor %s: shape[%zu]: expected an integer "
                           "of at least 0",
                           r->file, item->name, i);
        }
        item->shape[i] = json_integer_value(extent);
    }
    return true;
}

static bool read_offsets(struct reader *r, const json_t *entry,
                         const char *name, struct range *out)
{
    const json_t *pair = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(pair, 0);
    const json_t *end = json_array_get(pair, 1);
    if (json_array_size(pair) != 2 || !json_is_integer(begin) ||
        !json_is_integer(end)) {
        return ew_fail(r->err, EW_ERR_INPUT,
                       "%s: tensor %s: data_offsets: expected two integers",
                       r->file, name);
    }
    json_int_t from = json_integer_value(begin);
    json_int_t to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > r->data_size) {
        return ew_fail(r->err, EW_ERR_INPUT,
                       "%s: tensor %s: data_offsets [%lld, %lld] lie outside "
                       "the file, which holds %llu bytes of data",
                       r->file, name, (long long)from, (long long)to,
                       (unsigned long long)r->data_size);
    }
    *out = (struct range){(uint64_t)from, (uint64_t)to, name};
    return true;
}

static bool read_tensor(struct reader *r, const char *key, const json_t *entry)
{
    struct ew_weight item = {.file = r->file};
    struct range range;
    int size = 0;
    item.name = ew_store_own(r->w, ew_xstrdup(key));
    if (!json_is_object(entry)) {
        return ew_fail(r->err, EW_ERR_INPUT,
                       "%s: tensor %s: expected an object, found %s", r->file,
                       key, ew_json_kind(entry));
    }
    if (!read_dtype(r, entry, &item, &size) || !read_shape(r, entry, &item) ||
        !read_offsets(r, entry, item.name, &range)) {
        return false;
    }
    char shape[128];
    ew_shape_print(shape, sizeof(shape), item.shape, item.ndim);
    int64_t numel = ew_shape_numel(item.shape, item.ndim);
    if (numel < 0 || numel > INT64_MAX / size) {
        return ew_fail(r->err, EW_ERR_INPUT,
                       "%s: tensor %s: shape %s is too large for any file",
                       r->file, key, shape);
    }
    if ((uint64_t)numel * (uint64_t)size != range.end - range.begin) {
        return ew_fail(r->err, EW_ERR_INPUT,
                       "%s: tensor %s: expected %lld bytes for shape %s, "
                       "found %llu",
                       r->file, key, (long long)numel * size, shape,
                       (unsigned long long)(range.end - range.begin));
    }
    item.data = r->data + range.begin;
    r->ranges[r->n_ranges++] = range;
    ew_store_add(r->w, &item);
    return true;
}

static int by_begin(const void *a, const void *b)
{
    const struct range *x = a;
    const struct range *y = b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return (x->end > y->end) - (x->end < y->end);
}

static bool check_overlap(struct reader *r)
{
    qsort(r->ranges, r->n_ranges, sizeof(*r->ranges), by_begin);
    for (size_t i = 1; i < r->n_ranges; i++) {
        if (r->ranges[i].begin < r->ranges[i - 1].end) {
            return ew_fail(r->err, EW_ERR_INPUT,
                           "%s: tensors %s and %s overlap", r->file,
                           r->ranges[i - 1].name, r->ranges[i].name);
        }
    }
    return true;
}

static bool read_header(struct reader *r, const char *text, size_t len)
{
    bool ok = false;
    json_error_t where;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        return ew_fail(r->err, EW_ERR_INPUT, "%s: header: %s (byte %d)",
                       r->file, where.text, where.position);
    }
    if (!json_is_object(root)) {
        ew_fail(r->err, EW_ERR_INPUT,
                "%s: header: expected an object, found %s", r->file,
                ew_json_kind(root));
        goto out;
    }
    r->ranges = ew_xcalloc(json_object_size(root) + 1, sizeof(*r->ranges));
    const char *key;
    json_t *entry;
    json_object_foreach(root, key, entry)
    {
        if (strcmp(key, "__metadata__") != 0 && !read_tensor(r, key, entry)) {
            goto out;
        }
    }
    ok = check_overlap(r);
out:
    free(r->ranges);
    json_decref(root);
    return ok;
}

bool ew_safetensors_read(struct ew_weights *w, const char *path,
                         struct ew_err *err)
{
    struct ew_map map;
    if (!ew_store_map(w, path, &map, err)) {
        return false;
    }
    if (map.size < PREFIX_BYTES) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: not a safetensors file: only %zu bytes", path,
                       map.size);
    }
    uint64_t header = 0;
    for (int i = PREFIX_BYTES - 1; i >= 0; i--) {
        header = header << 8 | map.base[i];
    }
    if (header > MAX_HEADER) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: not a safetensors file: its header would have "
                       "%llu bytes, at most %llu are allowed",
                       path, (unsigned long long)header,
                       (unsigned long long)MAX_HEADER);
    }
    if (header > map.size - PREFIX_BYTES) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: cut short: the header has %llu bytes, the file "
                       "%zu",
                       path, (unsigned long long)header, map.size);
    }
    struct reader r = {
        .w = w,
        .file = ew_store_own(w, ew_xstrdup(path)),
        .data = map.base + PREFIX_BYTES + header,
        .data_size = map.size - PREFIX_BYTES - header,
        .err = err,
    };
    return read_header(&r, (const char *)map.base + PREFIX_BYTES,
                       (size_t)header);
}
