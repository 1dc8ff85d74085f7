/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of reading a config.json: typed fields with a sticky first error,
 * and what the readers of the two layouts hand back.
 */
#ifndef EW_MODEL_CONFIG_H
#define EW_MODEL_CONFIG_H

#include "edgewise/arch.h"
#include "edgewise/json.h"

struct ew_family;

struct ew_config {
    struct ew_arch arch;
    const struct ew_family *family; /* NULL: TransformerLens's own names */
    bool tied;                      /* the unembedding is the embedding */
};

/* As ew_arch_load(), with what the loader needs besides. */
EW_MUST_CHECK bool ew_config_load(struct ew_config *config, const char *path,
                                  struct ew_err *err);

/* ---- fields: after the first error, reads give the absent value ---- */

struct ew_fields {
    const json_t *object;
    const char *file;
    struct ew_err *err;
    bool failed;
};

/* In place of a value for an absent field: the field must be there. */
#define EW_REQUIRED INT64_MIN

/* Absent and null are the same. */
int64_t ew_field_int(struct ew_fields *f, const char *key, int64_t min,
                     int64_t max, int64_t absent);
/* Between 0 (exclusive unless it is `absent`) and 1e30. */
double ew_field_positive(struct ew_fields *f, const char *key, double absent);
bool ew_field_flag(struct ew_fields *f, const char *key, bool absent);
/* Borrowed from the object. */
const char *ew_field_text(struct ew_fields *f, const char *key,
                          const char *absent);
bool ew_field_has(const struct ew_fields *f, const char *key);
/* Fail with "file: key: expected ..., found ..." */
void ew_field_reject(struct ew_fields *f, const char *key, const char *fmt, ...)
    EW_PRINTF(3, 4);
/* Fail when the field is true. */
void ew_field_refuse(struct ew_fields *f, const char *key);

/* TransformerLens's name; NULL for none. */
const char *ew_act_name(enum ew_act_kind act);
/* An activation by any of its names; fails when it is not one. */
enum ew_act_kind ew_field_act(struct ew_fields *f, const char *key);

/* ---- the layouts ---- */

/* Largest extents that are believed: products stay far inside int64_t. */
enum { EW_MAX_EXTENT = 1 << 24, EW_MAX_LAYERS = 4096 };

void ew_config_tl(struct ew_config *config, struct ew_fields *f);
/*
 * The description in TransformerLens's fields, from which ew_config_tl() reads
 * the same; a new object. The scale of the embedding has none: it belongs
 * into the weights.
 */
json_t *ew_config_to_tl(const struct ew_arch *a);

#endif
