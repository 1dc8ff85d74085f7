/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a parameter is in a model's files: TransformerLens's own names here,
 * a family's through its table. Every shape is checked against the config
 * before a tensor is made of it.
 */
#include <stdio.h>
#include <string.h>

#include "family.h"
#include "params.h"
#include "store.h"

static const char *files_name(const struct ew_weights *files)
{
    return ew_weights_count(files) ? ew_weights_at(files, 0)->file
                                   : "the weights";
}

static bool is_float(enum ew_dtype dtype)
{
    return dtype == EW_F32 || dtype == EW_F64 || dtype == EW_F16 ||
           dtype == EW_BF16;
}

/* The tensor's shape and type against what the config wants. */
static bool check(const struct ew_source *source, const struct ew_arch *arch,
                  struct ew_err *err)
{
    const struct ew_weight *w = source->weight;
    int64_t shape[EW_MAX_DIMS];
    int ndim = ew_layout_shape(arch, source->layout, shape);
    bool same = ndim == w->ndim;
    for (int i = 0; same && i < ndim; i++) {
        same = shape[i] == w->shape[i];
    }
    if (!same) {
        char expected[96];
        char found[96];
        return ew_fail(
            err, EW_ERR_INPUT,
            "%s: tensor %s: expected shape %s by its config.json, found %s",
            w->file, w->name,
            ew_shape_print(expected, sizeof(expected), shape, ndim),
            ew_shape_print(found, sizeof(found), w->shape, w->ndim));
    }
    if (w->unreadable || !is_float(w->dtype)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: tensor %s: expected F32, F16, BF16 or F64, found "
                       "%s",
                       w->file, w->name,
                       w->unreadable ? w->unreadable : ew_dtype_name(w->dtype));
    }
    return true;
}

/* "h.{}.ln_1.weight" -> "h.7.ln_1.weight", behind a prefix. */
static void fill_in(char *name, size_t size, const char *prefix,
                    const char *pattern, int layer)
{
    const char *braces = strstr(pattern, "{}");
    if (braces) {
        snprintf(name, size, "%s%.*s%d%s", prefix, (int)(braces - pattern),
                 pattern, layer, braces + 2);
    } else {
        snprintf(name, size, "%s%s", prefix, pattern);
    }
}

static const struct ew_family_row *row_of(const struct ew_family_row *row,
                                          enum ew_slot slot)
{
    while (row && row->name) {
        if (row->slot == slot) {
            return row;
        }
        row++;
    }
    return NULL;
}

static bool is_gain(const char *tl_name)
{
    const char *dot = strrchr(tl_name, '.');
    return dot && strcmp(dot, ".w") == 0;
}

/* Fill in `out` from the family's table; false when it has no such row. */
static bool find_in_family(struct ew_source *out,
                           const struct ew_config *config,
                           const struct ew_weights *files,
                           const struct ew_param_row *param, int layer,
                           char *name, size_t size)
{
    const struct ew_family *family = config->family;
    bool tied = param->slot == EW_SLOT_W_U && config->tied;
    enum ew_slot slot = tied ? EW_SLOT_W_E : param->slot;
    const struct ew_family_row *row = row_of(family->rows, slot);
    if (!row) {
        row = row_of(family->more, slot);
    }
    if (!row) {
        return false;
    }
    out->layout = tied ? "v,d>dv" : row->layout;
    out->part = row->part;
    out->shift = is_gain(param->name) ? family->gain_shift : 0.0;
    fill_in(name, size, "", row->name, layer);
    out->weight = ew_weights_find(files, name);
    if (!out->weight) {
        fill_in(name, size, family->prefix, row->name, layer);
        out->weight = ew_weights_find(files, name);
    }
    return true;
}

bool ew_source_find(struct ew_source *out, const struct ew_config *config,
                    const struct ew_weights *files,
                    const struct ew_param_row *row, int layer,
                    struct ew_err *err)
{
    char name[128];
    ew_param_name(name, sizeof(name), row, layer);
    *out = (struct ew_source){.layout = row->layout};
    if (!config->family) {
        out->weight = ew_weights_find(files, name);
    } else if (!find_in_family(out, config, files, row, layer, name,
                               sizeof(name))) {
        return row->optional ||
               ew_fail(err, EW_ERR_INPUT, "%s: no place for %s in this family",
                       files_name(files), name);
    }
    if (!out->weight) {
        return row->optional ||
               ew_fail(err, EW_ERR_INPUT, "%s: tensor %s is missing",
                       files_name(files), name);
    }
    return check(out, &config->arch, err);
}
