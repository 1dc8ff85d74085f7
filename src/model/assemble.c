/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From parameters in TransformerLens's shapes to the tensors that the
 * forward multiplies by: the three input projections in one matrix, the
 * heads of W_O one under the other, the rotary tables. Only w_qkv is copied;
 * the rest are views of what was given.
 */
#include <stdlib.h>

#include "edgewise/mem.h"

#include "params.h"

struct builder {
    struct ew_scope *s;
    struct ew_model *m;
    const struct ew_param_giver *giver;
};

/* A parameter, or NULL when the model has none or it is a missing bias. */
static struct ew_tensor *give(struct builder *b, enum ew_slot slot, int layer)
{
    const struct ew_param_row *row = ew_param_find(&b->m->arch, slot);
    return row && ew_scope_ok(b->s)
               ? b->giver->give(b->giver->user, b->s, row, layer)
               : NULL;
}

/* As give(), kept beyond the scope. */
static struct ew_tensor *take(struct builder *b, enum ew_slot slot, int layer)
{
    struct ew_tensor *t = give(b, slot, layer);
    struct ew_tensor *kept = ew_keep(t);
    ew_drop(b->s, t);
    return kept;
}

static struct ew_tensor *take_or_zero(struct builder *b, enum ew_slot slot,
                                      int layer, int64_t n)
{
    struct ew_tensor *kept = take(b, slot, layer);
    return kept ? kept : ew_keep(ew_full(b->s, 0.0, 1, &n));
}

/* Copy (N, D, K) or (N, K) into columns [at, at + N K) of `dst`. */
static int64_t put_heads(struct builder *b, struct ew_tensor *dst,
                         enum ew_slot slot, int layer, int64_t heads,
                         int64_t at)
{
    const struct ew_arch *a = &b->m->arch;
    int64_t width = heads * a->d_head;
    struct ew_tensor *t = give(b, slot, layer);
    if (!t) {
        return at + width; /* dst is zero already */
    }
    int dim = ew_ndim(dst) - 1;
    struct ew_tensor *columns = ew_narrow(b->s, dst, dim, at, width);
    if (dim == 1) {
        /* (N, D, K) -> (D, N, K), into the same split of the columns */
        int64_t split[] = {a->d_model, heads, a->d_head};
        ew_copy_into(b->s, ew_reshape(b->s, columns, 3, split),
                     ew_permute(b->s, t, 3, (int[]){1, 0, 2}));
    } else {
        ew_copy_into(b->s, columns, ew_reshape(b->s, t, 1, &width));
    }
    ew_drop(b->s, t);
    return at + width;
}

static void build_attention(struct builder *b, struct ew_layer *layer, int l)
{
    const struct ew_arch *a = &b->m->arch;
    int64_t hk = (int64_t)a->n_heads * a->d_head;
    int64_t wide = hk + 2 * (int64_t)a->n_kv_heads * a->d_head;
    struct ew_tensor *w = ew_empty(b->s, 2, (int64_t[]){a->d_model, wide});
    struct ew_tensor *bias = ew_full(b->s, 0.0, 1, &wide);
    int64_t at = put_heads(b, w, EW_SLOT_W_Q, l, a->n_heads, 0);
    at = put_heads(b, w, EW_SLOT_W_K, l, a->n_kv_heads, at);
    put_heads(b, w, EW_SLOT_W_V, l, a->n_kv_heads, at);
    at = put_heads(b, bias, EW_SLOT_B_Q, l, a->n_heads, 0);
    at = put_heads(b, bias, EW_SLOT_B_K, l, a->n_kv_heads, at);
    put_heads(b, bias, EW_SLOT_B_V, l, a->n_kv_heads, at);
    layer->w_qkv = ew_keep(w);
    layer->b_qkv = ew_keep(bias);

    struct ew_tensor *w_o = give(b, EW_SLOT_W_O, l);
    layer->w_o = ew_keep(ew_reshape(b->s, w_o, 2, (int64_t[]){hk, a->d_model}));
    layer->b_o = take_or_zero(b, EW_SLOT_B_O, l, a->d_model);
}

static void build_layer(struct builder *b, int l)
{
    struct ew_layer *layer = &b->m->layers[l];
    layer->ln1.w = take(b, EW_SLOT_LN1_W, l);
    layer->ln1.b = take(b, EW_SLOT_LN1_B, l);
    layer->ln1_post.w = take(b, EW_SLOT_LN1_POST_W, l);
    layer->ln1_post.b = take(b, EW_SLOT_LN1_POST_B, l);
    build_attention(b, layer, l);
    if (b->m->arch.d_mlp == 0) {
        return;
    }
    layer->ln2.w = take(b, EW_SLOT_LN2_W, l);
    layer->ln2.b = take(b, EW_SLOT_LN2_B, l);
    layer->ln2_post.w = take(b, EW_SLOT_LN2_POST_W, l);
    layer->ln2_post.b = take(b, EW_SLOT_LN2_POST_B, l);
    layer->w_in = take(b, EW_SLOT_W_IN, l);
    layer->b_in = take(b, EW_SLOT_B_IN, l);
    layer->w_gate = take(b, EW_SLOT_W_GATE, l);
    layer->mlp_ln.w = take(b, EW_SLOT_MLP_LN_W, l);
    layer->mlp_ln.b = take(b, EW_SLOT_MLP_LN_B, l);
    layer->w_out = take(b, EW_SLOT_W_OUT, l);
    layer->b_out = take(b, EW_SLOT_B_OUT, l);
}

static void build_rotary(struct builder *b)
{
    const struct ew_arch *a = &b->m->arch;
    int64_t shape[] = {ew_rotary_table_rows(a), a->rotary_dim};
    size_t n = (size_t)(shape[0] * shape[1]);
    float *cos_rows = ew_xcalloc(n, sizeof(float));
    float *sin_rows = ew_xcalloc(n, sizeof(float));
    ew_rotary_rows(a, 0, shape[0], cos_rows, sin_rows);
    b->m->rotary_cos = ew_keep(ew_from_f32(b->s, cos_rows, 2, shape));
    b->m->rotary_sin = ew_keep(ew_from_f32(b->s, sin_rows, 2, shape));
    free(cos_rows);
    free(sin_rows);
}

struct ew_model *ew_model_assemble(const struct ew_arch *arch,
                                   struct ew_device device,
                                   const struct ew_param_giver *giver,
                                   struct ew_err *err)
{
    struct ew_model *m = ew_xcalloc(1, sizeof(*m));
    m->arch = *arch;
    m->device = device;
    m->layers = ew_xcalloc((size_t)arch->n_layers, sizeof(*m->layers));
    struct builder b = {ew_scope_open(device), m, giver};
    m->w_e = take(&b, EW_SLOT_W_E, 0);
    m->w_pos = take(&b, EW_SLOT_W_POS, 0);
    for (int l = 0; l < arch->n_layers && ew_scope_ok(b.s); l++) {
        build_layer(&b, l);
    }
    m->ln_final.w = take(&b, EW_SLOT_LN_FINAL_W, 0);
    m->ln_final.b = take(&b, EW_SLOT_LN_FINAL_B, 0);
    m->w_u = take(&b, EW_SLOT_W_U, 0);
    m->b_u = take(&b, EW_SLOT_B_U, 0);
    if (arch->pos == EW_POS_ROTARY) {
        build_rotary(&b);
    }
    if (!ew_scope_finish(b.s, err)) {
        ew_model_destroy(m);
        return NULL;
    }
    return m;
}

static void norm_finish(struct ew_norm *norm)
{
    ew_tensor_unref(norm->w);
    ew_tensor_unref(norm->b);
}

static void layer_finish(struct ew_layer *layer)
{
    norm_finish(&layer->ln1);
    norm_finish(&layer->ln2);
    norm_finish(&layer->ln1_post);
    norm_finish(&layer->ln2_post);
    norm_finish(&layer->mlp_ln);
    struct ew_tensor *const all[] = {
        layer->w_qkv,  layer->b_qkv, layer->w_o,   layer->b_o,   layer->w_in,
        layer->w_gate, layer->b_in,  layer->w_out, layer->b_out,
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(all); i++) {
        ew_tensor_unref(all[i]);
    }
}

void ew_model_destroy(struct ew_model *m)
{
    if (!m) {
        return;
    }
    for (int l = 0; l < m->arch.n_layers; l++) {
        layer_finish(&m->layers[l]);
    }
    norm_finish(&m->ln_final);
    struct ew_tensor *const all[] = {
        m->w_e, m->w_pos, m->w_u, m->b_u, m->rotary_cos, m->rotary_sin,
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(all); i++) {
        ew_tensor_unref(all[i]);
    }
    free(m->layers);
    ew_weights_close(m->files); /* after the tensors that borrow from it */
    free(m);
}
