/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What TransformerLens's from_pretrained does to weights unasked, in its
 * order. Files are mapped read-only: every change makes a new tensor.
 *
 * A gain and a bias before a linear map go into the map. LayerNorm takes the
 * mean out of what it reads, so maps behind it may lose theirs, and writers
 * may write without one. A constant added to all logits changes nothing.
 * Patterns sum to 1, so a value bias is a constant in the output.
 */
#include "process.h"

static bool is_layer_norm(enum ew_norm_kind kind)
{
    return kind == EW_NORM_LN || kind == EW_NORM_LN_PRE;
}

/* Put a tensor of the scope in place of a model's own. */
static void replace(struct ew_tensor **slot, struct ew_tensor *t)
{
    struct ew_tensor *kept = ew_keep(t);
    ew_tensor_unref(*slot);
    *slot = kept;
}

/* t minus its mean along `dim`. */
static void centre(struct ew_scope *s, struct ew_tensor **t, int dim)
{
    if (*t) {
        replace(t, ew_sub(s, *t, ew_mean(s, *t, dim, true)));
    }
}

/* b += v w, for v (I), w (I, O); a bias that is not there is zero. */
static void add_product(struct ew_scope *s, struct ew_tensor **b,
                        const struct ew_tensor *v, const struct ew_tensor *w)
{
    struct ew_tensor *row = ew_matmul(s, ew_unsqueeze(s, v, 0), w);
    struct ew_tensor *sum = ew_select(s, row, 0, 0);
    replace(b, *b ? ew_add(s, *b, sum) : sum);
}

/* Rows of w (I, O) times the gain (I). */
static void scale_rows(struct ew_scope *s, struct ew_tensor **w,
                       const struct ew_tensor *gain)
{
    if (*w) {
        replace(w, ew_mul(s, *w, ew_unsqueeze(s, gain, 1)));
    }
}

static void norm_forget(struct ew_norm *norm)
{
    ew_tensor_unref(norm->w);
    ew_tensor_unref(norm->b);
    *norm = (struct ew_norm){0};
}

/* Fold a norm into the map (w, b) behind it. */
static void fold(struct ew_scope *s, const struct ew_norm *norm,
                 struct ew_tensor **w, struct ew_tensor **b, bool centred)
{
    if (norm->b) {
        add_product(s, b, norm->b, *w);
    }
    if (norm->w) {
        scale_rows(s, w, norm->w);
    }
    if (centred) {
        centre(s, w, 0);
    }
}

static void fold_layer(struct ew_scope *s, const struct ew_arch *a,
                       struct ew_layer *layer)
{
    bool centred = is_layer_norm(a->norm);
    fold(s, &layer->ln1, &layer->w_qkv, &layer->b_qkv, centred);
    norm_forget(&layer->ln1);
    if (a->d_mlp == 0) {
        return;
    }
    if (layer->w_gate) {
        struct ew_tensor *no_bias = NULL;
        fold(s, &layer->ln2, &layer->w_gate, &no_bias, centred);
    }
    fold(s, &layer->ln2, &layer->w_in, &layer->b_in, centred);
    norm_forget(&layer->ln2);
    if (a->act == EW_ACT_SOLU_LN) {
        fold(s, &layer->mlp_ln, &layer->w_out, &layer->b_out, true);
        norm_forget(&layer->mlp_ln);
    }
}

static enum ew_norm_kind folded(enum ew_norm_kind kind)
{
    switch (kind) {
    case EW_NORM_LN:
        return EW_NORM_LN_PRE;
    case EW_NORM_RMS:
        return EW_NORM_RMS_PRE;
    default:
        return kind;
    }
}

/* b_O += b_V W_O, each head's; heads that share a value share its bias. */
static void fold_value_bias(struct ew_scope *s, const struct ew_arch *a,
                            struct ew_layer *layer)
{
    int64_t own = (int64_t)a->n_kv_heads * a->d_head;
    int64_t at = (int64_t)a->n_heads * a->d_head + own;
    int64_t all = (int64_t)a->n_heads * a->d_head;
    int64_t repeat = a->n_heads / a->n_kv_heads;
    struct ew_tensor *b_v = ew_narrow(s, layer->b_qkv, 0, at, own);
    struct ew_tensor *apart =
        ew_reshape(s, b_v, 3, (int64_t[]){a->n_kv_heads, 1, a->d_head});
    struct ew_tensor *shared =
        ew_expand(s, apart, 3, (int64_t[]){-1, repeat, -1});
    add_product(s, &layer->b_o, ew_reshape(s, shared, 1, &all), layer->w_o);
    struct ew_tensor *kept = ew_clone(s, layer->b_qkv);
    ew_copy_into(s, ew_narrow(s, kept, 0, at, own), ew_full(s, 0.0, 1, &own));
    replace(&layer->b_qkv, kept);
}

/* A scope of its own, so that what is replaced is released. */
static bool process_layer(struct ew_model *m, int l, bool fold_norms,
                          bool centre_writers, struct ew_err *err)
{
    struct ew_scope *s = ew_scope_open(m->device);
    struct ew_layer *layer = &m->layers[l];
    if (fold_norms) {
        fold_layer(s, &m->arch, layer);
    }
    if (centre_writers) {
        centre(s, &layer->w_o, -1);
        centre(s, &layer->b_o, -1);
        centre(s, &layer->w_out, -1);
        centre(s, &layer->b_out, -1);
    }
    fold_value_bias(s, &m->arch, layer);
    return ew_scope_finish(s, err);
}

static bool process_ends(struct ew_model *m, bool fold_norms,
                         bool centre_writers, struct ew_err *err)
{
    const struct ew_arch *a = &m->arch;
    struct ew_scope *s = ew_scope_open(m->device);
    if (fold_norms) {
        fold(s, &m->ln_final, &m->w_u, &m->b_u, is_layer_norm(a->final_norm));
        norm_forget(&m->ln_final);
    }
    if (centre_writers) {
        centre(s, &m->w_e, -1);
        centre(s, &m->w_pos, -1);
    }
    if (a->logit_softcap <= 0) {
        centre(s, &m->w_u, -1);
        centre(s, &m->b_u, -1);
    }
    return ew_scope_finish(s, err);
}

bool ew_model_process(struct ew_model *m, struct ew_err *err)
{
    struct ew_arch *a = &m->arch;
    bool fold_norms = a->norm == EW_NORM_LN || a->norm == EW_NORM_RMS;
    bool centre_writers = is_layer_norm(a->norm) &&
                          is_layer_norm(a->final_norm) && !a->post_norms;
    if (a->d_mlp > 0 && a->gated_mlp && a->norm == EW_NORM_LN) {
        return ew_fail(err, EW_ERR_INPUT,
                       "weights cannot be processed: a gated MLP has no bias "
                       "to fold the norm's into");
    }
    for (int l = 0; l < a->n_layers; l++) {
        if (!process_layer(m, l, fold_norms, centre_writers, err)) {
            return false;
        }
    }
    if (!process_ends(m, fold_norms, centre_writers, err)) {
        return false;
    }
    a->norm = folded(a->norm);
    a->final_norm = folded(a->final_norm);
    return true;
}
