/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files a model's weights are in, and the set of named arrays they
 * make together. Names are unique over all files.
 */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

void *ew_store_own(struct ew_weights *w, void *block)
{
    w->blocks =
        ew_grow(w->blocks, w->n_blocks, &w->cap_blocks, sizeof(*w->blocks));
    w->blocks[w->n_blocks++] = block;
    return block;
}

bool ew_store_map(struct ew_weights *w, const char *path, struct ew_map *out,
                  struct ew_err *err)
{
    if (!ew_map_open(out, path, err)) {
        return false;
    }
    w->maps = ew_grow(w->maps, w->n_maps, &w->cap_maps, sizeof(*w->maps));
    w->maps[w->n_maps++] = *out;
    return true;
}

void ew_store_add(struct ew_weights *w, const struct ew_weight *item)
{
    w->items = ew_grow(w->items, w->n_items, &w->cap_items, sizeof(*w->items));
    w->items[w->n_items++] = *item;
}

static int by_name(const void *a, const void *b)
{
    const struct ew_weight *const *x = a;
    const struct ew_weight *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

bool ew_store_seal(struct ew_weights *w, struct ew_err *err)
{
    w->sorted = ew_xcalloc(w->n_items + 1, sizeof(struct ew_weight *));
    for (size_t i = 0; i < w->n_items; i++) {
        w->sorted[i] = &w->items[i];
    }
    qsort(w->sorted, w->n_items, sizeof(struct ew_weight *), by_name);
    for (size_t i = 1; i < w->n_items; i++) {
        const struct ew_weight *a = w->sorted[i - 1];
        const struct ew_weight *b = w->sorted[i];
        if (strcmp(a->name, b->name) == 0) {
            return ew_fail(err, EW_ERR_INPUT,
                           "%s: tensor %s is there twice (also in %s)", b->file,
                           b->name, a->file);
        }
    }
    return true;
}

int64_t ew_shape_numel(const int64_t *shape, int ndim)
{
    int64_t n = 1;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0) {
            return -1;
        }
        if (shape[i] > 0 && n > INT64_MAX / shape[i]) {
            return -1;
        }
        n *= shape[i];
    }
    return n;
}

const char *ew_shape_print(char *text, size_t size, const int64_t *shape,
                           int ndim)
{
    size_t at = 0;
    at += (size_t)snprintf(text, size, "[");
    for (int i = 0; i < ndim && at < size; i++) {
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? ", " : "",
                               (long long)shape[i]);
    }
    if (at < size) {
        snprintf(text + at, size - at, "]");
    }
    return text;
}

/* One file, by its extension: safetensors unless it says otherwise. */
static bool read_file(struct ew_weights *w, const char *path,
                      struct ew_err *err)
{
    static const char *const torch[] = {"pth", "pt", "bin", "ckpt"};
    const char *ext = ew_path_ext(path);
    bool pickled = false;
    for (size_t i = 0; i < EW_ARRAY_LEN(torch); i++) {
        pickled = pickled || strcmp(ext, torch[i]) == 0;
    }
    return pickled ? ew_pth_read(w, path, err)
                   : ew_safetensors_read(w, path, err);
}

/*
 * {"weight_map": {tensor: shard}}: read each shard once, then see that every
 * tensor is where the index says.
 */
static bool read_shards(struct ew_weights *w, const char *dir,
                        const json_t *map, const char *index,
                        struct ew_err *err)
{
    bool ok = false;
    json_t *seen = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)map, name, value)
    {
        const char *shard = json_string_value(value);
        /* A shard lies beside its index: no way out of the folder. */
        if (!shard || !*shard || strchr(shard, '/')) {
            ew_fail(err, EW_ERR_INPUT,
                    "%s: weight_map.%s: expected the name of a file in the "
                    "same folder",
                    index, name);
            goto out;
        }
        if (json_object_get(seen, shard)) {
            continue;
        }
        json_object_set_new(seen, shard, json_true());
        char *path = ew_path_join(dir, shard);
        bool read = read_file(w, path, err);
        free(path);
        if (!read) {
            goto out;
        }
    }
    if (!ew_store_seal(w, err)) {
        goto out;
    }
    json_object_foreach((json_t *)map, name, value)
    {
        const struct ew_weight *item = ew_weights_find(w, name);
        if (!item ||
            strcmp(ew_path_base(item->file), json_string_value(value)) != 0) {
            ew_fail(err, EW_ERR_INPUT, "%s: tensor %s is not in %s", index,
                    name, json_string_value(value));
            goto out;
        }
    }
    ok = true;
out:
    json_decref(seen);
    return ok;
}

static bool read_index(struct ew_weights *w, const char *dir, const char *index,
                       struct ew_err *err)
{
    json_t *root = ew_json_load(index, err);
    if (!root) {
        return false;
    }
    const json_t *map = json_object_get(root, "weight_map");
    bool ok = json_is_object(map)
                  ? read_shards(w, dir, map, index, err)
                  : ew_fail(err, EW_ERR_INPUT,
                            "%s: weight_map: expected an object, found %s",
                            index, ew_json_kind(map));
    json_decref(root);
    return ok;
}

static bool read_one(struct ew_weights *w, const char *path, struct ew_err *err)
{
    return read_file(w, path, err) && ew_store_seal(w, err);
}

/* The first of these that is in the folder. */
static bool read_dir(struct ew_weights *w, const char *dir, struct ew_err *err)
{
    static const char *const names[] = {
        "model.safetensors", "model.safetensors.index.json",
        "model_final.pth",   "model.pth",
        "pytorch_model.bin", "pytorch_model.bin.index.json",
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(names); i++) {
        char *path = ew_path_join(dir, names[i]);
        bool there = ew_path_is_file(path);
        bool ok = false;
        if (there) {
            ok = strcmp(ew_path_ext(path), "json") == 0
                     ? read_index(w, dir, path, err)
                     : read_one(w, path, err);
        }
        free(path);
        if (there) {
            return ok;
        }
    }
    return ew_fail(err, EW_ERR_INPUT,
                   "%s: no weights: expected model.safetensors, "
                   "model.safetensors.index.json or model_final.pth",
                   dir);
}

struct ew_weights *ew_weights_open(const char *path, struct ew_err *err)
{
    struct ew_weights *w = ew_xcalloc(1, sizeof(*w));
    bool ok =
        ew_path_is_dir(path) ? read_dir(w, path, err) : read_one(w, path, err);
    if (!ok) {
        ew_weights_close(w);
        return NULL;
    }
    return w;
}

void ew_weights_close(struct ew_weights *w)
{
    if (!w) {
        return;
    }
    for (size_t i = 0; i < w->n_maps; i++) {
        ew_map_close(&w->maps[i]);
    }
    for (size_t i = 0; i < w->n_blocks; i++) {
        free(w->blocks[i]);
    }
    free(w->maps);
    free(w->blocks);
    free(w->items);
    free(w->sorted);
    free(w);
}

size_t ew_weights_count(const struct ew_weights *w)
{
    return w->n_items;
}

const struct ew_weight *ew_weights_at(const struct ew_weights *w, size_t i)
{
    return &w->items[i];
}

const struct ew_weight *ew_weights_find(const struct ew_weights *w,
                                        const char *name)
{
    const struct ew_weight key = {.name = name};
    const struct ew_weight *wanted = &key;
    const struct ew_weight **found =
        bsearch(&wanted, w->sorted, w->n_items, sizeof(*w->sorted), by_name);
    return found ? *found : NULL;
}

const char *ew_dtype_name(enum ew_dtype dtype)
{
    static const char *const names[] = {
        [EW_F32] = "F32",   [EW_F64] = "F64",   [EW_F16] = "F16",
        [EW_BF16] = "BF16", [EW_I64] = "I64",   [EW_I32] = "I32",
        [EW_U8] = "U8",     [EW_BOOL] = "BOOL",
    };
    return (size_t)dtype < EW_ARRAY_LEN(names) ? names[dtype] : "?";
}
