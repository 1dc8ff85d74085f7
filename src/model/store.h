/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of struct ew_weights, shared by the readers of its file formats:
 * each adds its tensors, and ew_store_seal() makes them searchable.
 */
#ifndef EW_MODEL_STORE_H
#define EW_MODEL_STORE_H

#include "edgewise/file.h"
#include "edgewise/weights.h"

struct ew_weights {
    struct ew_weight *items; /* in the files' order */
    size_t n_items;
    size_t cap_items;
    const struct ew_weight **sorted; /* by name, once sealed */
    struct ew_map *maps;
    size_t n_maps;
    size_t cap_maps;
    void **blocks; /* memory that names and data point into */
    size_t n_blocks;
    size_t cap_blocks;
};

/* Let `w` own a block of malloc'ed memory; returns it. */
void *ew_store_own(struct ew_weights *w, void *block);
/* Map a file for the life of `w`. */
EW_MUST_CHECK bool ew_store_map(struct ew_weights *w, const char *path,
                                struct ew_map *out, struct ew_err *err);
/* Name, file and data must live as long as `w`. */
void ew_store_add(struct ew_weights *w, const struct ew_weight *item);
/* Sort by name; two tensors of one name fail. */
EW_MUST_CHECK bool ew_store_seal(struct ew_weights *w, struct ew_err *err);

/*
 * Number of elements of a shape, or -1 where it does not fit an int64_t or
 * an extent is negative.
 */
int64_t ew_shape_numel(const int64_t *shape, int ndim);
/* "[2, 3]" into `text`; cut when it does not fit. Returns `text`. */
const char *ew_shape_print(char *text, size_t size, const int64_t *shape,
                           int ndim);

/*
 * As ew_weights_write(), but the bytes of each item are asked for when it is
 * written, one after another: `fill` puts item i, F32, into `out`.
 */
struct ew_filler {
    bool (*fill)(void *user, size_t i, float *out, struct ew_err *err);
    void *user;
};
EW_MUST_CHECK bool ew_store_write(const char *path,
                                  const struct ew_weight *items, size_t n,
                                  const struct ew_filler *filler,
                                  struct ew_err *err);

/* Readers of one file each. */
EW_MUST_CHECK bool ew_safetensors_read(struct ew_weights *w, const char *path,
                                       struct ew_err *err);
EW_MUST_CHECK bool ew_pth_read(struct ew_weights *w, const char *path,
                               struct ew_err *err);

#endif
