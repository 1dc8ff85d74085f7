/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: read the config, open the files, check every parameter's place,
 * shape and type, and only then make tensors. What the files hold besides
 * (buffers of old versions) is left alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/hash.h"
#include "edgewise/mem.h"

#include "params.h"
#include "process.h"

/* Every parameter is there and as the config says, or a reason. */
static bool check_all(const struct ew_loader *loader, struct ew_err *err)
{
    struct ew_param_cursor c = {0};
    struct ew_source source;
    while (ew_param_next(&c, &loader->config.arch)) {
        if (!ew_source_find(&source, &loader->config, loader->files, c.row,
                            c.layer, err)) {
            return false;
        }
    }
    return true;
}

bool ew_loader_open(struct ew_loader *loader, const char *path,
                    struct ew_err *err)
{
    *loader = (struct ew_loader){0};
    if (!ew_config_load(&loader->config, path, err)) {
        return false;
    }
    loader->files = ew_weights_open(path, err);
    if (!loader->files || !check_all(loader, err)) {
        ew_weights_close(loader->files);
        loader->files = NULL;
        return false;
    }
    return true;
}

struct ew_tensor *ew_loader_give(void *user, struct ew_scope *s,
                                 const struct ew_param_row *row, int layer)
{
    const struct ew_loader *loader = user;
    struct ew_source source;
    struct ew_err err = {0};
    if (!ew_source_find(&source, &loader->config, loader->files, row, layer,
                        &err)) {
        ew_scope_fail(s, err.code, "%s", err.message);
        return NULL;
    }
    const struct ew_weight *w = source.weight;
    if (!w) {
        return NULL;
    }
    struct ew_tensor *whole =
        ew_borrow(s, w->data, w->dtype, w->ndim, w->shape);
    struct ew_tensor *view = ew_layout_view(s, &loader->config.arch,
                                            source.layout, source.part, whole);
    struct ew_tensor *t = ew_to(s, view, EW_F32);
    return source.shift != 0.0 ? ew_shift(s, t, source.shift) : t;
}

/* ---- the hash of the weights ---- */

static void hash_text(uint64_t *hash, const char *text)
{
    *hash = ew_hash(*hash, text, strlen(text) + 1);
}

/* All of a small array; of a large one, evenly spread pieces. */
static void hash_samples(uint64_t *hash, const unsigned char *data,
                         uint64_t size)
{
    enum { PIECES = 64, PIECE = 64 };
    if (size <= (uint64_t)PIECES * PIECE) {
        *hash = ew_hash(*hash, data, (size_t)size);
        return;
    }
    for (uint64_t i = 0; i < PIECES; i++) {
        uint64_t at = (size - PIECE) / (PIECES - 1) * i;
        *hash = ew_hash(*hash, data + at, PIECE);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct ew_weight *const *x = a;
    const struct ew_weight *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* In the order of names, so that the order in the file does not matter. */
static void hash_files(char hex[EW_HASH_HEX], const struct ew_weights *files,
                       enum ew_processing processing)
{
    uint64_t hash = EW_HASH_START;
    size_t n = ew_weights_count(files);
    const struct ew_weight **items = ew_xcalloc(n + 1, sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        items[i] = ew_weights_at(files, i);
    }
    qsort(items, n, sizeof(*items), by_name);
    for (size_t i = 0; i < n; i++) {
        const struct ew_weight *w = items[i];
        uint64_t size = ew_dtype_size(w->dtype);
        hash_text(&hash, w->name);
        hash_text(&hash, ew_dtype_name(w->dtype));
        for (int d = 0; d < w->ndim; d++) {
            char extent[24];
            snprintf(extent, sizeof(extent), "%lld", (long long)w->shape[d]);
            hash_text(&hash, extent);
            size *= (uint64_t)w->shape[d];
        }
        if (!w->unreadable) {
            hash_samples(&hash, w->data, size);
        }
    }
    free(items);
    if (processing != EW_WEIGHTS_RAW) { /* what runs are other weights */
        hash_text(&hash, "tl");
    }
    ew_hash_hex(hash, hex);
}

struct ew_model *ew_model_load(const char *path, struct ew_device device,
                               struct ew_err *err)
{
    const struct ew_load_params params = {.device = device};
    return ew_model_load_with(path, &params, err);
}

struct ew_model *ew_model_load_with(const char *path,
                                    const struct ew_load_params *params,
                                    struct ew_err *err)
{
    struct ew_loader loader;
    if (!ew_loader_open(&loader, path, err)) {
        return NULL;
    }
    struct ew_param_giver giver = {ew_loader_give, &loader};
    struct ew_model *m =
        ew_model_assemble(&loader.config.arch, params->device, &giver, err);
    if (!m) {
        ew_fail_prefix(err, "%s", path);
        ew_weights_close(loader.files);
        return NULL;
    }
    hash_files(m->hash, loader.files, params->processing);
    m->files = loader.files;
    m->processing = params->processing;
    if (m->processing == EW_WEIGHTS_TL && !ew_model_process(m, err)) {
        ew_fail_prefix(err, "%s", path);
        ew_model_destroy(m);
        m = NULL;
    }
    return m;
}

bool ew_model_params(const char *path, struct ew_param **out, size_t *n,
                     struct ew_err *err)
{
    struct ew_loader loader;
    struct ew_param *params = NULL;
    size_t len = 0;
    size_t cap = 0;
    bool ok = true;
    *out = NULL;
    *n = 0;
    if (!ew_loader_open(&loader, path, err)) {
        return false;
    }
    struct ew_param_cursor c = {0};
    while (ok && ew_param_next(&c, &loader.config.arch)) {
        struct ew_source source;
        ok = ew_source_find(&source, &loader.config, loader.files, c.row,
                            c.layer, err);
        params = ew_grow(params, len, &cap, sizeof(*params));
        struct ew_param *p = &params[len++];
        *p = (struct ew_param){.dtype = source.weight ? source.weight->dtype
                                                      : EW_F32};
        ew_param_name(p->name, sizeof(p->name), c.row, c.layer);
        p->ndim = ew_layout_shape(&loader.config.arch, c.row->layout, p->shape);
    }
    ew_weights_close(loader.files);
    if (!ok) {
        free(params);
        return false;
    }
    *out = params;
    *n = len;
    return true;
}
