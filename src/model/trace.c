/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TransformerLens's hook points. LayerNorm's hook_normalized is after gain
 * and bias, RMSNorm's before the gain: shown as they are there.
 */
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "edgewise/mem.h"

static bool hooked(const struct ew_pass *p)
{
    return p->params->hook && ew_scope_ok(p->s);
}

/* Show `t` and drop it. */
static void show(struct ew_pass *p, struct ew_tensor *t, const char *fmt, ...)
    EW_PRINTF(3, 4);

static void show(struct ew_pass *p, struct ew_tensor *t, const char *fmt, ...)
{
    char name[96];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof(name), fmt, args);
    va_end(args);
    if (t && ew_scope_ok(p->s)) {
        p->params->hook(p->params->hook_user, p->s, name, t);
    }
    ew_drop(p->s, t);
}

void ew_trace_as_is(struct ew_pass *p, const char *name, struct ew_tensor *t)
{
    if (hooked(p)) {
        p->params->hook(p->params->hook_user, p->s, name, t);
    }
}

/* (N, C) -> (B, T, C) */
static struct ew_tensor *positions(struct ew_pass *p, const struct ew_tensor *t)
{
    return ew_reshape(p->s, t, 3,
                      (int64_t[]){p->n_prompts, p->n_pos, ew_dim(t, -1)});
}

void ew_trace_rows(struct ew_pass *p, int layer, const char *name,
                   const struct ew_tensor *t)
{
    if (hooked(p)) {
        show(p, positions(p, t), "blocks.%d.%s", layer, name);
    }
}

void ew_trace_heads(struct ew_pass *p, int layer, const char *name,
                    const struct ew_tensor *t)
{
    if (hooked(p)) {
        show(p, ew_permute(p->s, t, 4, (int[]){0, 2, 1, 3}), "blocks.%d.%s",
             layer, name);
    }
}

/* (N, C) -> (B, T, heads, C), every head the same; no copy. */
static struct ew_tensor *per_head(struct ew_pass *p, const struct ew_tensor *t,
                                  int heads)
{
    struct ew_tensor *rows = positions(p, t);
    struct ew_tensor *apart = ew_unsqueeze(p->s, rows, 2);
    struct ew_tensor *out =
        ew_expand(p->s, apart, 4, (int64_t[]){-1, -1, heads, -1});
    ew_drop(p->s, rows);
    ew_drop(p->s, apart);
    return out;
}

/* hook_scale and hook_normalized, both (N, .). */
static void norm_parts(struct ew_pass *p, enum ew_norm_kind kind,
                       const struct ew_norm *norm, const struct ew_tensor *x,
                       const struct ew_tensor *xn, struct ew_tensor **scale,
                       struct ew_tensor **normed)
{
    bool rms = kind == EW_NORM_RMS || kind == EW_NORM_RMS_PRE;
    *scale = ew_norm_scale(p->s, x, rms, p->m->arch.eps);
    *normed = rms && norm->w ? ew_div(p->s, x, *scale)
                             : ew_narrow(p->s, xn, -1, 0, ew_dim(xn, -1));
}

void ew_trace_split_inputs(struct ew_pass *p, int layer,
                           const struct ew_tensor *x,
                           const struct ew_tensor *xn)
{
    const struct ew_arch *a = &p->m->arch;
    if (!hooked(p)) {
        return;
    }
    show(p, per_head(p, x, a->n_heads), "blocks.%d.hook_q_input", layer);
    show(p, per_head(p, x, a->n_kv_heads), "blocks.%d.hook_k_input", layer);
    show(p, per_head(p, x, a->n_kv_heads), "blocks.%d.hook_v_input", layer);
    if (a->norm == EW_NORM_NONE) {
        return;
    }
    struct ew_tensor *scale;
    struct ew_tensor *normed;
    norm_parts(p, a->norm, &p->m->layers[layer].ln1, x, xn, &scale, &normed);
    show(p, per_head(p, scale, a->n_kv_heads), "blocks.%d.ln1.hook_scale",
         layer);
    show(p, per_head(p, normed, a->n_kv_heads), "blocks.%d.ln1.hook_normalized",
         layer);
    ew_drop(p->s, scale);
    ew_drop(p->s, normed);
}

/* (B H, T, T) -> (B, H, T, T) */
static struct ew_tensor *square(struct ew_pass *p, const struct ew_tensor *t)
{
    return ew_reshape(
        p->s, t, 4,
        (int64_t[]){p->n_prompts, p->m->arch.n_heads, p->n_pos, p->n_pos});
}

void ew_trace_scores(struct ew_pass *p, int layer,
                     const struct ew_tensor *scores)
{
    if (!hooked(p)) {
        return;
    }
    int64_t n = p->n_pos;
    int window = ew_arch_window(&p->m->arch, layer);
    float *seen = ew_xcalloc((size_t)(n * n), sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        int64_t from = window > 0 && i >= window ? i - window + 1 : 0;
        for (int64_t j = from; j <= i; j++) {
            seen[i * n + j] = 1.0f;
        }
    }
    struct ew_tensor *mask = ew_from_f32(p->s, seen, 2, (int64_t[]){n, n});
    struct ew_tensor *shown = ew_mul(p->s, scores, mask);
    free(seen);
    show(p, square(p, shown), "blocks.%d.attn.hook_attn_scores", layer);
    ew_drop(p->s, mask);
    ew_drop(p->s, shown);
}

void ew_trace_pattern(struct ew_pass *p, int layer,
                      const struct ew_tensor *pattern)
{
    if (hooked(p)) {
        show(p, square(p, pattern), "blocks.%d.attn.hook_pattern", layer);
    }
}

void ew_trace_results(struct ew_pass *p, int layer, const struct ew_tensor *z)
{
    const struct ew_arch *a = &p->m->arch;
    struct ew_scope *s = p->s;
    if (!hooked(p)) {
        return;
    }
    int64_t rows = p->n_prompts * p->n_pos;
    struct ew_tensor *split =
        ew_reshape(s, z, 3, (int64_t[]){rows, a->n_heads, a->d_head});
    struct ew_tensor *by_head = ew_permute(s, split, 3, (int[]){1, 0, 2});
    struct ew_tensor *w =
        ew_reshape(s, p->m->layers[layer].w_o, 3,
                   (int64_t[]){a->n_heads, a->d_head, a->d_model});
    struct ew_tensor *result = ew_matmul(s, by_head, w); /* (H, N, D) */
    struct ew_tensor *apart =
        ew_reshape(s, result, 4,
                   (int64_t[]){a->n_heads, p->n_prompts, p->n_pos, a->d_model});
    show(p, ew_permute(s, apart, 4, (int[]){1, 2, 0, 3}),
         "blocks.%d.attn.hook_result", layer);
    struct ew_tensor *const done[] = {split, by_head, w, result, apart};
    for (size_t i = 0; i < EW_ARRAY_LEN(done); i++) {
        ew_drop(s, done[i]);
    }
}

/* Both hooks of a norm below `where`, a name that ends in a dot. */
static void show_norm(struct ew_pass *p, enum ew_norm_kind kind,
                      const struct ew_norm *norm, const char *where,
                      const struct ew_tensor *x, const struct ew_tensor *xn)
{
    struct ew_tensor *scale;
    struct ew_tensor *normed;
    if (kind == EW_NORM_NONE) {
        return;
    }
    norm_parts(p, kind, norm, x, xn, &scale, &normed);
    show(p, positions(p, scale), "%shook_scale", where);
    show(p, positions(p, normed), "%shook_normalized", where);
    ew_drop(p->s, scale);
    ew_drop(p->s, normed);
}

void ew_trace_norm(struct ew_pass *p, int layer, const char *norm_name,
                   const struct ew_norm *norm, const struct ew_tensor *x,
                   const struct ew_tensor *xn)
{
    char where[64];
    if (hooked(p)) {
        snprintf(where, sizeof(where), "blocks.%d.%s.", layer, norm_name);
        show_norm(p, p->m->arch.norm, norm, where, x, xn);
    }
}

void ew_trace_final_norm(struct ew_pass *p, const struct ew_tensor *x,
                         const struct ew_tensor *xn)
{
    if (hooked(p)) {
        show_norm(p, p->m->arch.final_norm, &p->m->ln_final, "ln_final.", x,
                  xn);
    }
}

void ew_trace_mlp(struct ew_pass *p, int layer, const struct ew_tensor *x,
                  struct ew_mlp_trace *trace, const struct ew_tensor *out)
{
    if (!hooked(p)) {
        return;
    }
    const struct ew_layer *lay = &p->m->layers[layer];
    ew_trace_norm(p, layer, "ln2", &lay->ln2, x, trace->normed);
    ew_trace_rows(p, layer, "mlp.hook_pre", trace->pre);
    if (trace->linear) {
        ew_trace_rows(p, layer, "mlp.hook_pre_linear", trace->linear);
    }
    if (trace->mid) {
        char where[64];
        snprintf(where, sizeof(where), "blocks.%d.mlp.ln.", layer);
        ew_trace_rows(p, layer, "mlp.hook_mid", trace->mid);
        show_norm(p, EW_NORM_LN, &lay->mlp_ln, where, trace->mid, trace->post);
    }
    ew_trace_rows(p, layer, "mlp.hook_post", trace->post);
    if (trace->raw) {
        ew_trace_norm(p, layer, "ln2_post", &lay->ln2_post, trace->raw, out);
    }
    struct ew_tensor *const done[] = {trace->normed, trace->pre,  trace->linear,
                                      trace->mid,    trace->post, trace->raw};
    for (size_t i = 0; i < EW_ARRAY_LEN(done); i++) {
        ew_drop(p->s, done[i]);
    }
}
