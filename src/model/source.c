/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a parameter is in a model's files: TransformerLens's own names here,
 * a family's through its table. Every shape is checked against the config
 * before a tensor is made of it.
 */
#include <stdio.h>
#include <string.h>

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

bool ew_source_find(struct ew_source *out, const struct ew_config *config,
                    const struct ew_weights *files,
                    const struct ew_param_row *row, int layer,
                    struct ew_err *err)
{
    char name[96];
    ew_param_name(name, sizeof(name), row, layer);
    *out = (struct ew_source){.layout = row->layout};
    out->weight = ew_weights_find(files, name);
    if (!out->weight) {
        return row->optional ||
               ew_fail(err, EW_ERR_INPUT, "%s: tensor %s is missing",
                       files_name(files), name);
    }
    return check(out, &config->arch, err);
}
