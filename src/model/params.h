/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of a model: one table of TransformerLens's names and
 * shapes, in its order, and where each stands in a family's own files.
 *
 * Shapes are written in letters: v d_vocab, u d_vocab_out, d d_model,
 * c n_ctx, h heads, g key/value heads, k d_head, m d_mlp, p the three parts
 * q, k, v of a fused projection. "phk,d>hdk" is a file's tensor of two
 * dimensions (3 H K, D), of which one part is taken and turned to (H, D, K).
 */
#ifndef EW_MODEL_PARAMS_H
#define EW_MODEL_PARAMS_H

#include "edgewise/model.h"

#include "config.h"

enum ew_slot {
    EW_SLOT_W_E,
    EW_SLOT_W_POS,
    EW_SLOT_LN1_W,
    EW_SLOT_LN1_B,
    EW_SLOT_LN1_POST_W,
    EW_SLOT_LN1_POST_B,
    EW_SLOT_LN2_W,
    EW_SLOT_LN2_B,
    EW_SLOT_LN2_POST_W,
    EW_SLOT_LN2_POST_B,
    EW_SLOT_W_Q,
    EW_SLOT_W_O,
    EW_SLOT_B_Q,
    EW_SLOT_B_O,
    EW_SLOT_W_K,
    EW_SLOT_W_V,
    EW_SLOT_B_K,
    EW_SLOT_B_V,
    EW_SLOT_W_IN,
    EW_SLOT_B_IN,
    EW_SLOT_W_GATE,
    EW_SLOT_W_OUT,
    EW_SLOT_B_OUT,
    EW_SLOT_MLP_LN_W,
    EW_SLOT_MLP_LN_B,
    EW_SLOT_LN_FINAL_W,
    EW_SLOT_LN_FINAL_B,
    EW_SLOT_W_U,
    EW_SLOT_B_U,
    EW_SLOT_COUNT,
};

/* What of a model a parameter belongs to; an architecture has a set. */
enum {
    EW_HAS_POS = 1 << 0,
    EW_HAS_GAIN = 1 << 1,  /* norms with a gain: LN, RMS */
    EW_HAS_SHIFT = 1 << 2, /* norms with a bias: LN */
    EW_HAS_MLP = 1 << 3,
    EW_HAS_GATE = 1 << 4,
    EW_HAS_POST = 1 << 5,       /* norms after attention and MLP */
    EW_HAS_POST_SHIFT = 1 << 6, /* and their bias */
    EW_HAS_ACT_NORM = 1 << 7,   /* the norm inside solu_ln */
    EW_HAS_FINAL_GAIN = 1 << 8,
    EW_HAS_FINAL_SHIFT = 1 << 9,
    EW_HAS_GROUPS = 1 << 10, /* fewer key/value heads than heads */
};

struct ew_param_row {
    enum ew_slot slot;
    const char *name;   /* below "blocks.{l}." when per layer */
    const char *layout; /* one letter a dimension: "h,d,k" */
    unsigned needs;     /* all of these ... */
    unsigned unless;    /* ... and none of these */
    bool per_layer;
    bool optional; /* a bias: zero when it is missing */
};

/* What `arch` has. */
unsigned ew_arch_parts(const struct ew_arch *arch);

/*
 * Step through the parameters of an architecture in TransformerLens's order;
 * start from a zeroed cursor. False at the end.
 */
struct ew_param_cursor {
    const struct ew_param_row *row;
    int layer;
    size_t next;
};
bool ew_param_next(struct ew_param_cursor *cursor, const struct ew_arch *arch);
/* TransformerLens's full name of where the cursor is. */
void ew_param_name(char *name, size_t size, const struct ew_param_row *row,
                   int layer);
/* The row for a slot; NULL when the architecture has no such parameter. */
const struct ew_param_row *ew_param_find(const struct ew_arch *arch,
                                         enum ew_slot slot);

/* ---- shapes in letters ---- */

int64_t ew_letter_extent(const struct ew_arch *arch, char letter);
/* Shape of the file's tensor; returns the number of dimensions. */
int ew_layout_shape(const struct ew_arch *arch, const char *layout,
                    int64_t shape[EW_MAX_DIMS]);
/*
 * View `t`, of the file's shape, as the parameter: split into letters, take
 * `part` of p, put into the order after '>'.
 */
struct ew_tensor *ew_layout_view(struct ew_scope *s, const struct ew_arch *arch,
                                 const char *layout, int part,
                                 const struct ew_tensor *t);

/* ---- where a parameter is in the files ---- */

struct ew_source {
    const struct ew_weight *weight; /* NULL: missing and optional */
    const char *layout;
    int part;
    double shift; /* added to every element (Gemma's norms) */
};

/*
 * Find a parameter of a model in its files and check its shape and type.
 * False with the reason when it is missing and not optional, or wrong.
 */
EW_MUST_CHECK bool ew_source_find(struct ew_source *out,
                                  const struct ew_config *config,
                                  const struct ew_weights *files,
                                  const struct ew_param_row *row, int layer,
                                  struct ew_err *err);

/* ---- a model's files, opened, every parameter checked ---- */

struct ew_loader {
    struct ew_config config;
    struct ew_weights *files; /* ew_weights_close() them */
};
EW_MUST_CHECK bool ew_loader_open(struct ew_loader *loader, const char *path,
                                  struct ew_err *err);
/* An ew_param_giver's function; `user` is a loader. */
struct ew_tensor *ew_loader_give(void *user, struct ew_scope *s,
                                 const struct ew_param_row *row, int layer);

/* ---- putting a model together ---- */

/*
 * Gives parameters in TransformerLens's shapes, F32, on the scope's device;
 * NULL with no error in the scope: not there, take zero.
 */
struct ew_param_giver {
    struct ew_tensor *(*give)(void *user, struct ew_scope *s,
                              const struct ew_param_row *row, int layer);
    void *user;
};

/* NULL with the reason; `device` and `arch` are copied. */
struct ew_model *ew_model_assemble(const struct ew_arch *arch,
                                   struct ew_device device,
                                   const struct ew_param_giver *giver,
                                   struct ew_err *err);

/* Rows [first, first + n) of the rotary tables, host memory (n, dim) each. */
void ew_rotary_rows(const struct ew_arch *arch, int64_t first, int64_t n,
                    float *cos_rows, float *sin_rows);
/* Positions that a model's own tables hold. */
int64_t ew_rotary_table_rows(const struct ew_arch *arch);

#endif
