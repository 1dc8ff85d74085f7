/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named arrays in files, memory-mapped: safetensors, one file or sharded
 * with an index.
 *
 * A safetensors file is: u64 little-endian length of the header; the header,
 * a JSON object {name: {"dtype": "F32", "shape": [..], "data_offsets":
 * [begin, end]}, "__metadata__": {..}}; then the bytes, offsets counted from
 * the end of the header. Every range must lie inside the file, fit the shape
 * exactly, and not overlap another.
 */
#ifndef EW_WEIGHTS_H
#define EW_WEIGHTS_H

#include <stddef.h>

#include "edgewise/err.h"
#include "edgewise/tensor.h"

EW_BEGIN_DECLS

struct ew_weight {
    const char *name;
    const char *file; /* for messages */
    enum ew_dtype dtype;
    int ndim;
    int64_t shape[EW_MAX_DIMS];
    const void *data; /* in the map; any alignment */
    /* A type that nothing here reads, such as "F8_E4M3"; NULL otherwise.
     * Such a tensor may be listed, not used; `dtype` is EW_U8. */
    const char *unreadable;
};

struct ew_weights; /* opaque; owns the maps; immutable, shareable */

/*
 * Open a safetensors file, or the weights of a folder (model.safetensors, or
 * model.safetensors.index.json and its shards). Reads headers only.
 */
struct ew_weights *ew_weights_open(const char *path, struct ew_err *err);
void ew_weights_close(struct ew_weights *w); /* NULL is fine */
size_t ew_weights_count(const struct ew_weights *w);
/* In the file's order; borrowed. */
const struct ew_weight *ew_weights_at(const struct ew_weights *w, size_t i);
/* NULL when there is none. */
const struct ew_weight *ew_weights_find(const struct ew_weights *w,
                                        const char *name);
/* "F32", "BF16", ... */
const char *ew_dtype_name(enum ew_dtype dtype);

/* For tests, benches and converters: write F32 arrays as safetensors. */
EW_MUST_CHECK bool ew_weights_write(const char *path,
                                    const struct ew_weight *items, size_t n,
                                    struct ew_err *err);

EW_END_DECLS

#endif
