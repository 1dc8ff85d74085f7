/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Hugging Face family: how its config is read and where its weights are.
 * Nothing else of a family exists: the forward reads struct ew_arch.
 */
#ifndef EW_MODEL_FAMILY_H
#define EW_MODEL_FAMILY_H

#include "config.h"
#include "params.h"

struct ew_family_row {
    enum ew_slot slot;
    const char *name;   /* "{}" stands for the layer's number */
    const char *layout; /* of the file's tensor, see params.h */
    int part;           /* which of p: 0 q, 1 k, 2 v */
};

struct ew_family {
    const char *model_type;
    void (*read_config)(struct ew_config *config, struct ew_fields *f);
    /* In front of every name; a name may also stand without it, as when the
     * model was saved without its head. */
    const char *prefix;
    const struct ew_family_row *rows; /* ends with a NULL name */
    const struct ew_family_row *more; /* or NULL: rows it does not share */
    double gain_shift; /* added to the norms' weights: 1 for Gemma */
};

/* NULL with a message that lists what is known. */
const struct ew_family *ew_family_find(struct ew_fields *f);

extern const struct ew_family ew_family_gpt2;
extern const struct ew_family ew_family_gpt_neox;
extern const struct ew_family ew_family_llama;
extern const struct ew_family ew_family_mistral;
extern const struct ew_family ew_family_qwen2;
extern const struct ew_family ew_family_gemma;
extern const struct ew_family ew_family_gemma2;

#endif
