/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mathematics of a block but for its MLP: embedding, norms, projections,
 * attention, unembedding. Every difference between families is here, in the
 * MLP's file, or in the weights, and is read off struct ew_arch.
 */
#include "edgewise/block.h"

#include <stdlib.h>

#include "edgewise/mem.h"

#include "params.h"

int ew_arch_window(const struct ew_arch *arch, int layer)
{
    bool local = arch->window > 0 &&
                 (arch->local_every == 0 || layer % arch->local_every == 0);
    return local ? arch->window : 0;
}

/* ---- embedding ---- */

/* A token that is out of range would end the program on a GPU: look first. */
static void check_ids(struct ew_scope *s, const struct ew_model *m,
                      const struct ew_tensor *ids)
{
    size_t n = (size_t)ew_numel(ids);
    int64_t width = ew_dim(ids, -1);
    int64_t *values = ew_xcalloc(n + 1, sizeof(*values));
    if (ew_read_i64(s, ids, values, n)) {
        for (size_t i = 0; i < n; i++) {
            if (values[i] < 0 || values[i] >= m->arch.d_vocab) {
                ew_scope_fail(s, EW_ERR_INPUT,
                              "prompt %lld, position %lld: token %lld is not "
                              "in the vocabulary of %d",
                              (long long)((int64_t)i / width),
                              (long long)((int64_t)i % width),
                              (long long)values[i], m->arch.d_vocab);
                break;
            }
        }
    }
    free(values);
}

struct ew_tensor *ew_block_embed_tokens(struct ew_scope *s,
                                        const struct ew_model *m,
                                        const struct ew_tensor *ids)
{
    check_ids(s, m, ids);
    struct ew_tensor *x = ew_embedding(s, m->w_e, ids);
    if (m->arch.embed_scale == 1.0) {
        return x;
    }
    struct ew_tensor *scaled = ew_scale(s, x, m->arch.embed_scale);
    ew_drop(s, x);
    return scaled;
}

struct ew_tensor *ew_block_embed_positions(struct ew_scope *s,
                                           const struct ew_model *m,
                                           int64_t n_prompts, int64_t n_pos)
{
    if (m->arch.pos != EW_POS_STANDARD) {
        return NULL;
    }
    if (n_pos > m->arch.n_ctx) {
        ew_scope_fail(s, EW_ERR_INPUT,
                      "prompts of %lld tokens: the model takes at most %d",
                      (long long)n_pos, m->arch.n_ctx);
        return NULL;
    }
    struct ew_tensor *rows = ew_narrow(s, m->w_pos, 0, 0, n_pos);
    return ew_expand(s, ew_unsqueeze(s, rows, 0), 3,
                     (int64_t[]){n_prompts, -1, -1});
}

/* ---- norms ---- */

static struct ew_tensor *norm_of_kind(struct ew_scope *s,
                                      enum ew_norm_kind kind, double eps,
                                      const struct ew_norm *norm,
                                      const struct ew_tensor *x)
{
    switch (kind) {
    case EW_NORM_LN:
    case EW_NORM_LN_PRE:
        return ew_layer_norm(s, x, norm->w, norm->b, eps);
    case EW_NORM_RMS:
    case EW_NORM_RMS_PRE:
        return ew_rms_norm(s, x, norm->w, eps);
    case EW_NORM_NONE:
        break;
    }
    /* A handle of its own, so that dropping it leaves x alone. */
    return ew_narrow(s, x, -1, 0, ew_dim(x, -1));
}

struct ew_tensor *ew_block_norm(struct ew_scope *s, const struct ew_model *m,
                                const struct ew_norm *norm,
                                const struct ew_tensor *x)
{
    return norm_of_kind(s, m->arch.norm, m->arch.eps, norm, x);
}

struct ew_tensor *ew_block_attn_post(struct ew_scope *s,
                                     const struct ew_model *m, int layer,
                                     struct ew_tensor *u)
{
    return m->arch.post_norms
               ? ew_block_norm(s, m, &m->layers[layer].ln1_post, u)
               : u;
}

struct ew_tensor *ew_block_final_norm(struct ew_scope *s,
                                      const struct ew_model *m,
                                      const struct ew_tensor *x)
{
    return norm_of_kind(s, m->arch.final_norm, m->arch.eps, &m->ln_final, x);
}

/* ---- queries, keys and values ---- */

/* First column of a kind in w_qkv. */
static int64_t first_column(const struct ew_arch *a, enum ew_qkv which)
{
    int64_t q = (int64_t)a->n_heads * a->d_head;
    int64_t k = (int64_t)a->n_kv_heads * a->d_head;
    return which == EW_Q ? 0 : which == EW_K ? q : q + k;
}

void ew_block_projection(struct ew_scope *s, const struct ew_model *m,
                         int layer, enum ew_qkv which, int head,
                         struct ew_tensor **w, struct ew_tensor **b)
{
    const struct ew_arch *a = &m->arch;
    const struct ew_layer *lay = &m->layers[layer];
    int group = a->n_heads / a->n_kv_heads;
    int own = which == EW_Q ? head : head / group;
    int64_t at = first_column(a, which) + (int64_t)own * a->d_head;
    *w = ew_narrow(s, lay->w_qkv, 1, at, a->d_head);
    *b = ew_narrow(s, lay->b_qkv, 0, at, a->d_head);
}

struct ew_tensor *ew_block_project(struct ew_scope *s, const struct ew_model *m,
                                   int layer, enum ew_qkv which, int head,
                                   const struct ew_tensor *xn)
{
    struct ew_tensor *w;
    struct ew_tensor *b;
    ew_block_projection(s, m, layer, which, head, &w, &b);
    struct ew_tensor *out = ew_addmm(s, b, xn, w);
    ew_drop(s, w);
    ew_drop(s, b);
    return out;
}

void ew_block_project_all(struct ew_scope *s, const struct ew_model *m,
                          int layer, const struct ew_tensor *xn,
                          struct ew_tensor **q, struct ew_tensor **k,
                          struct ew_tensor **v)
{
    const struct ew_arch *a = &m->arch;
    const struct ew_layer *lay = &m->layers[layer];
    struct ew_tensor **const out[] = {q, k, v};
    const int64_t heads[] = {a->n_heads, a->n_kv_heads, a->n_kv_heads};
    const int64_t rows = ew_dim(xn, 0);
    /* Neighbouring kinds share a product: q, k and v; q and k; k and v. */
    for (int i = 0; i < 3;) {
        if (!out[i]) {
            i++;
            continue;
        }
        int end = i + 1;
        int64_t n_heads = heads[i];
        while (end < 3 && out[end]) {
            n_heads += heads[end++];
        }
        int64_t from = first_column(a, (enum ew_qkv)i);
        int64_t width = n_heads * a->d_head;
        struct ew_tensor *w = ew_narrow(s, lay->w_qkv, 1, from, width);
        struct ew_tensor *b = ew_narrow(s, lay->b_qkv, 0, from, width);
        struct ew_tensor *all = ew_addmm(s, b, xn, w);
        struct ew_tensor *split =
            ew_reshape(s, all, 3, (int64_t[]){rows, n_heads, a->d_head});
        for (int64_t at = 0; i < end; i++) {
            *out[i] = ew_narrow(s, split, 1, at, heads[i]);
            at += heads[i];
        }
        ew_drop(s, w);
        ew_drop(s, b);
        ew_drop(s, all);
        ew_drop(s, split);
    }
}

/* ---- rotary positions ---- */

/* Rows [first, first + n) of cos and sin: of the tables, or made here. */
static void rotary_rows(struct ew_scope *s, const struct ew_model *m,
                        int64_t first, int64_t n, struct ew_tensor **cos_rows,
                        struct ew_tensor **sin_rows)
{
    if (first + n <= ew_dim(m->rotary_cos, 0)) {
        *cos_rows = ew_narrow(s, m->rotary_cos, 0, first, n);
        *sin_rows = ew_narrow(s, m->rotary_sin, 0, first, n);
        return;
    }
    int64_t shape[] = {n, m->arch.rotary_dim};
    size_t size = (size_t)(shape[0] * shape[1]);
    float *c = ew_xcalloc(size, sizeof(float));
    float *d = ew_xcalloc(size, sizeof(float));
    ew_rotary_rows(&m->arch, first, n, c, d);
    *cos_rows = ew_from_f32(s, c, 2, shape);
    *sin_rows = ew_from_f32(s, d, 2, shape);
    free(c);
    free(d);
}

struct ew_tensor *ew_block_rotate(struct ew_scope *s, const struct ew_model *m,
                                  const struct ew_tensor *x, int64_t first)
{
    if (m->arch.pos != EW_POS_ROTARY) {
        return (struct ew_tensor *)x;
    }
    int64_t turned = m->arch.rotary_dim;
    int64_t rest = m->arch.d_head - turned;
    struct ew_tensor *cos_rows;
    struct ew_tensor *sin_rows;
    rotary_rows(s, m, first, ew_dim(x, -2), &cos_rows, &sin_rows);
    struct ew_tensor *head = ew_narrow(s, x, -1, 0, turned);
    struct ew_tensor *low = ew_narrow(s, x, -1, 0, turned / 2);
    struct ew_tensor *high = ew_narrow(s, x, -1, turned / 2, turned / 2);
    struct ew_tensor *minus = ew_neg(s, high);
    struct ew_tensor *swapped =
        ew_cat(s, (struct ew_tensor *[]){minus, low}, 2, -1);
    struct ew_tensor *a = ew_mul(s, head, cos_rows);
    struct ew_tensor *b = ew_mul(s, swapped, sin_rows);
    struct ew_tensor *out = ew_add(s, a, b);
    if (rest > 0) {
        struct ew_tensor *tail = ew_narrow(s, x, -1, turned, rest);
        struct ew_tensor *part = out;
        out = ew_cat(s, (struct ew_tensor *[]){part, tail}, 2, -1);
        ew_drop(s, part);
        ew_drop(s, tail);
    }
    struct ew_tensor *const done[] = {cos_rows, sin_rows, head, low, high,
                                      minus,    swapped,  a,    b};
    for (size_t i = 0; i < EW_ARRAY_LEN(done); i++) {
        ew_drop(s, done[i]);
    }
    return out;
}

/* ---- attention ---- */

/* cap tanh(t / cap); consumes t. */
static struct ew_tensor *soft_cap(struct ew_scope *s, struct ew_tensor *t,
                                  double cap)
{
    if (cap <= 0) {
        return t;
    }
    struct ew_tensor *small = ew_scale(s, t, 1.0 / cap);
    struct ew_tensor *bent = ew_tanh(s, small);
    struct ew_tensor *out = ew_scale(s, bent, cap);
    ew_drop(s, t);
    ew_drop(s, small);
    ew_drop(s, bent);
    return out;
}

struct ew_tensor *ew_block_scores(struct ew_scope *s, const struct ew_model *m,
                                  const struct ew_tensor *q,
                                  const struct ew_tensor *k)
{
    struct ew_tensor *turned = ew_transpose(s, k, 1, 2);
    struct ew_tensor *product = ew_matmul(s, q, turned);
    struct ew_tensor *scores = product;
    if (m->arch.attn_scale != 1.0) {
        scores = ew_scale(s, product, 1.0 / m->arch.attn_scale);
        ew_drop(s, product);
    }
    ew_drop(s, turned);
    return soft_cap(s, scores, m->arch.attn_softcap);
}

struct ew_tensor *ew_block_pattern(struct ew_scope *s, const struct ew_model *m,
                                   int layer, struct ew_tensor *scores,
                                   int64_t first, bool in_place)
{
    int window = ew_arch_window(&m->arch, layer);
    if (in_place) {
        return ew_causal_softmax_into(s, scores, first, window);
    }
    struct ew_tensor *out = ew_causal_softmax(s, scores, first, window);
    ew_drop(s, scores);
    return out;
}

struct ew_tensor *ew_block_mix(struct ew_scope *s,
                               const struct ew_tensor *pattern,
                               const struct ew_tensor *v)
{
    return ew_matmul(s, pattern, v);
}

struct ew_tensor *ew_block_w_o(struct ew_scope *s, const struct ew_model *m,
                               int layer, int head)
{
    int64_t width = m->arch.d_head;
    return ew_narrow(s, m->layers[layer].w_o, 0, head * width, width);
}

struct ew_tensor *ew_block_head_out(struct ew_scope *s,
                                    const struct ew_model *m, int layer,
                                    int head, const struct ew_tensor *z)
{
    struct ew_tensor *w = ew_block_w_o(s, m, layer, head);
    struct ew_tensor *out = ew_matmul(s, z, w);
    ew_drop(s, w);
    return out;
}

struct ew_tensor *ew_block_attn_out(struct ew_scope *s,
                                    const struct ew_model *m, int layer,
                                    const struct ew_tensor *z)
{
    return ew_matmul(s, z, m->layers[layer].w_o);
}

/* ---- unembedding ---- */

struct ew_tensor *ew_block_unembed(struct ew_scope *s, const struct ew_model *m,
                                   const struct ew_tensor *xn)
{
    struct ew_tensor *logits = ew_addmm(s, m->b_u, xn, m->w_u);
    return soft_cap(s, logits, m->arch.logit_softcap);
}

struct ew_tensor *ew_block_unembed_columns(struct ew_scope *s,
                                           const struct ew_model *m,
                                           const struct ew_tensor *xn,
                                           const struct ew_tensor *columns)
{
    int64_t rows = ew_dim(columns, 0);
    int64_t wanted = ew_dim(columns, 1);
    int64_t all = rows * wanted;
    struct ew_tensor *flat = ew_reshape(s, columns, 1, &all);
    struct ew_tensor *by_token = ew_transpose(s, m->w_u, 0, 1);
    struct ew_tensor *w = ew_index_select(s, by_token, 0, flat);
    struct ew_tensor *w3 =
        ew_reshape(s, w, 3, (int64_t[]){rows, wanted, m->arch.d_model});
    struct ew_tensor *x3 = ew_unsqueeze(s, xn, 2);
    struct ew_tensor *product = ew_matmul(s, w3, x3);
    struct ew_tensor *logits =
        ew_reshape(s, product, 2, (int64_t[]){rows, wanted});
    if (m->b_u) {
        struct ew_tensor *b = ew_index_select(s, m->b_u, 0, flat);
        struct ew_tensor *bias = ew_reshape(s, b, 2, (int64_t[]){rows, wanted});
        struct ew_tensor *sum = ew_add(s, logits, bias);
        ew_drop(s, logits);
        ew_drop(s, b);
        ew_drop(s, bias);
        logits = sum;
    }
    struct ew_tensor *const done[] = {flat, by_token, w, w3, x3, product};
    for (size_t i = 0; i < EW_ARRAY_LEN(done); i++) {
        ew_drop(s, done[i]);
    }
    return soft_cap(s, logits, m->arch.logit_softcap);
}
