/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A restricted unpickler: enough of the format for a dictionary of tensors as
 * torch.save writes it, and nothing that could run code. Names of classes and
 * functions are looked up in a list of a dozen; any other ends the reading.
 */
#ifndef EW_MODEL_PICKLE_H
#define EW_MODEL_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgewise/err.h"
#include "edgewise/tensor.h"

enum ew_value_kind {
    EW_VALUE_NONE, /* None, and what is known but of no use */
    EW_VALUE_INT,  /* booleans too */
    EW_VALUE_REAL,
    EW_VALUE_TEXT,
    EW_VALUE_SEQ,  /* tuple or list */
    EW_VALUE_DICT, /* items are key, value, key, value, ... */
    EW_VALUE_GLOBAL,
    EW_VALUE_STORAGE,
    EW_VALUE_TENSOR,
    EW_VALUE_MARK,
};

struct ew_value {
    enum ew_value_kind kind;
    int64_t number; /* INT; GLOBAL: which; STORAGE: elements */
    double real;
    char *text;              /* TEXT; STORAGE: its key. Owned by the pickle */
    struct ew_value **items; /* SEQ, DICT */
    size_t n_items;
    size_t cap_items;
    enum ew_dtype dtype;    /* STORAGE; GLOBAL of a storage type */
    const char *unreadable; /* a type that we do not read; or NULL */
    int element_size;
    const struct ew_value *storage; /* TENSOR */
    int64_t offset;                 /* in elements */
    int ndim;
    int64_t shape[EW_MAX_DIMS];
    int64_t stride[EW_MAX_DIMS]; /* in elements */
};

struct ew_pickle; /* owns every value that it made */

struct ew_pickle *ew_pickle_create(const char *file);
void ew_pickle_destroy(struct ew_pickle *p); /* NULL is fine */
/*
 * Read one pickle at the start of `bytes`; `*used` is how long it was. NULL
 * with the reason, which names the file and what was refused.
 */
const struct ew_value *ew_pickle_read(struct ew_pickle *p,
                                      const unsigned char *bytes, size_t size,
                                      size_t *used, struct ew_err *err);
/* "a dictionary", ... for messages. */
const char *ew_value_kind_name(const struct ew_value *v);

#endif
