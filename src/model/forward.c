/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain forward. One code with and without hooks: what only a hook would
 * see is not computed unless one is there. Hooks look and do not change, so
 * the split inputs of q, k and v are shown as views of the one they share.
 *
 * Every intermediate is dropped as soon as it has been used, so that a deep
 * model needs the memory of one layer.
 */
#include "edgewise/forward.h"

#include "mlp.h"
#include "trace.h"

/* (N, H', K) -> (B, H', T, K), a view. */
static struct ew_tensor *by_prompt(struct ew_pass *p, struct ew_tensor *t)
{
    const struct ew_model *m = p->m;
    int64_t heads = ew_dim(t, 1);
    struct ew_tensor *split = ew_reshape(
        p->s, t, 4, (int64_t[]){p->n_prompts, p->n_pos, heads, m->arch.d_head});
    struct ew_tensor *out = ew_permute(p->s, split, 4, (int[]){0, 2, 1, 3});
    ew_drop(p->s, split);
    ew_drop(p->s, t);
    return out;
}

/*
 * (B, H', T, K) -> (B H, T, K): key/value heads are repeated for the heads
 * that share them. Consumes t.
 */
static struct ew_tensor *batched(struct ew_pass *p, struct ew_tensor *t)
{
    const struct ew_arch *a = &p->m->arch;
    int64_t heads = ew_dim(t, 1);
    int64_t repeat = heads > 0 ? a->n_heads / heads : 1;
    if (repeat > 1) {
        struct ew_tensor *apart = ew_unsqueeze(p->s, t, 2);
        ew_drop(p->s, t);
        t = ew_expand(p->s, apart, 5, (int64_t[]){-1, -1, repeat, -1, -1});
        ew_drop(p->s, apart);
    }
    struct ew_tensor *out =
        ew_reshape(p->s, t, 3,
                   (int64_t[]){p->n_prompts * a->n_heads, p->n_pos, a->d_head});
    ew_drop(p->s, t);
    return out;
}

/* Rotate (B, H', T, K), consuming it. */
static struct ew_tensor *rotate(struct ew_pass *p, struct ew_tensor *t)
{
    struct ew_tensor *out = ew_block_rotate(p->s, p->m, t, 0);
    if (out != t) {
        ew_drop(p->s, t);
    }
    return out;
}

/* Attention: xn (N, D) -> z (N, H K). */
static struct ew_tensor *attend(struct ew_pass *p, int layer,
                                const struct ew_tensor *xn)
{
    struct ew_scope *s = p->s;
    const struct ew_arch *a = &p->m->arch;
    struct ew_tensor *q = NULL;
    struct ew_tensor *k = NULL;
    struct ew_tensor *v = NULL;
    ew_block_project_all(s, p->m, layer, xn, &q, &k, &v);
    q = by_prompt(p, q);
    k = by_prompt(p, k);
    v = by_prompt(p, v);
    ew_trace_heads(p, layer, "attn.hook_q", q);
    ew_trace_heads(p, layer, "attn.hook_k", k);
    ew_trace_heads(p, layer, "attn.hook_v", v);
    q = rotate(p, q);
    k = rotate(p, k);
    if (a->pos == EW_POS_ROTARY) {
        ew_trace_heads(p, layer, "attn.hook_rot_q", q);
        ew_trace_heads(p, layer, "attn.hook_rot_k", k);
    }
    q = batched(p, q);
    k = batched(p, k);
    v = batched(p, v);
    struct ew_tensor *scores = ew_block_scores(s, p->m, q, k);
    ew_trace_scores(p, layer, scores);
    struct ew_tensor *pattern =
        ew_block_pattern(s, p->m, layer, scores, 0, false);
    ew_trace_pattern(p, layer, pattern);
    struct ew_tensor *mixed = ew_block_mix(s, pattern, v);

    struct ew_tensor *split =
        ew_reshape(s, mixed, 4,
                   (int64_t[]){p->n_prompts, a->n_heads, p->n_pos, a->d_head});
    ew_trace_heads(p, layer, "attn.hook_z", split);
    struct ew_tensor *turned = ew_permute(s, split, 4, (int[]){0, 2, 1, 3});
    struct ew_tensor *z = ew_reshape(
        s, turned, 2,
        (int64_t[]){p->n_prompts * p->n_pos, (int64_t)a->n_heads * a->d_head});
    struct ew_tensor *const done[] = {q, k, v, pattern, mixed, split, turned};
    for (size_t i = 0; i < EW_ARRAY_LEN(done); i++) {
        ew_drop(s, done[i]);
    }
    return z;
}

/* What a layer's attention adds to the residual stream, b_O included. */
static struct ew_tensor *attention(struct ew_pass *p, int layer,
                                   const struct ew_tensor *x)
{
    struct ew_scope *s = p->s;
    const struct ew_layer *lay = &p->m->layers[layer];
    struct ew_tensor *xn = ew_block_norm(s, p->m, &lay->ln1, x);
    ew_trace_split_inputs(p, layer, x, xn);
    struct ew_tensor *z = attend(p, layer, xn);
    ew_trace_results(p, layer, z);
    struct ew_tensor *out = ew_block_attn_out(s, p->m, layer, z);
    ew_add_into(s, out, lay->b_o, 1.0);
    ew_drop(s, xn);
    ew_drop(s, z);
    if (p->m->arch.post_norms) {
        struct ew_tensor *raw = out;
        out = ew_block_norm(s, p->m, &lay->ln1_post, raw);
        ew_trace_norm(p, layer, "ln1_post", &lay->ln1_post, raw, out);
        ew_drop(s, raw);
    }
    ew_trace_rows(p, layer, "hook_attn_out", out);
    return out;
}

static struct ew_tensor *mlp(struct ew_pass *p, int layer,
                             const struct ew_tensor *x)
{
    struct ew_mlp_trace trace = {0};
    bool traced = p->params->hook != NULL;
    ew_trace_rows(p, layer, "hook_mlp_in", x);
    struct ew_tensor *out =
        ew_mlp_run(p->s, p->m, layer, x, traced ? &trace : NULL);
    ew_trace_mlp(p, layer, x, &trace, out);
    ew_trace_rows(p, layer, "hook_mlp_out", out);
    return out;
}

/* dst + x into dst's memory; consumes x. */
static struct ew_tensor *add_to(struct ew_pass *p, struct ew_tensor *dst,
                                struct ew_tensor *x)
{
    ew_add_into(p->s, dst, x, 1.0);
    ew_drop(p->s, x);
    return dst;
}

/* One block: x (N, D), consumed -> (N, D). */
static struct ew_tensor *block(struct ew_pass *p, int layer,
                               struct ew_tensor *x)
{
    const struct ew_arch *a = &p->m->arch;
    ew_trace_rows(p, layer, "hook_resid_pre", x);
    struct ew_tensor *from_attn = attention(p, layer, x);
    if (a->d_mlp > 0 && a->parallel) {
        struct ew_tensor *from_mlp = mlp(p, layer, x);
        x = add_to(p, add_to(p, from_mlp, from_attn), x);
    } else {
        x = add_to(p, from_attn, x);
        if (a->d_mlp > 0) {
            ew_trace_rows(p, layer, "hook_resid_mid", x);
            x = add_to(p, mlp(p, layer, x), x);
        }
    }
    ew_trace_rows(p, layer, "hook_resid_post", x);
    return x;
}

/* ids (B, T) -> (N, D) */
static struct ew_tensor *embed(struct ew_pass *p, const struct ew_tensor *ids)
{
    struct ew_scope *s = p->s;
    struct ew_tensor *x = ew_block_embed_tokens(s, p->m, ids);
    ew_trace_as_is(p, "hook_embed", x);
    struct ew_tensor *pos =
        ew_block_embed_positions(s, p->m, p->n_prompts, p->n_pos);
    if (pos) {
        ew_trace_as_is(p, "hook_pos_embed", pos);
        ew_add_into(s, x, pos, 1.0);
        ew_drop(s, pos);
    }
    struct ew_tensor *rows = ew_reshape(
        s, x, 2, (int64_t[]){p->n_prompts * p->n_pos, p->m->arch.d_model});
    ew_drop(s, x);
    return rows;
}

/* The rows of each prompt's last position; consumes x (N, D). */
static struct ew_tensor *last_rows(struct ew_pass *p, struct ew_tensor *x)
{
    struct ew_tensor *split = ew_reshape(
        p->s, x, 3, (int64_t[]){p->n_prompts, p->n_pos, p->m->arch.d_model});
    struct ew_tensor *last = ew_select(p->s, split, 1, p->n_pos - 1);
    struct ew_tensor *out = ew_contiguous(p->s, last);
    ew_drop(p->s, split);
    ew_drop(p->s, last);
    ew_drop(p->s, x);
    return out;
}

struct ew_tensor *ew_forward(struct ew_scope *s, const struct ew_model *m,
                             const struct ew_tensor *ids,
                             const struct ew_forward_params *params)
{
    static const struct ew_forward_params plain = {0};
    struct ew_pass p = {
        .s = s,
        .m = m,
        .params = params ? params : &plain,
        .n_prompts = ew_dim(ids, 0),
        .n_pos = ew_dim(ids, 1),
    };
    struct ew_tensor *x = embed(&p, ids);
    for (int l = 0; l < m->arch.n_layers; l++) {
        if (ew_scope_cancelled(s, p.params->cancel) || !ew_scope_ok(s)) {
            return NULL;
        }
        x = block(&p, l, x);
    }
    int64_t n_out = p.n_pos;
    if (p.params->last_only && !p.params->hook) {
        x = last_rows(&p, x);
        n_out = 1;
    }
    struct ew_tensor *xn = ew_block_final_norm(s, m, x);
    ew_trace_final_norm(&p, x, xn);
    ew_drop(s, x);
    if (p.params->last_only && p.params->hook) {
        xn = last_rows(&p, xn); /* hooks saw every position */
        n_out = 1;
    }
    struct ew_tensor *out = xn;
    if (!p.params->no_logits) {
        out = ew_block_unembed(s, m, xn);
        ew_drop(s, xn);
    }
    struct ew_tensor *shaped =
        ew_reshape(s, out, 3, (int64_t[]){p.n_prompts, n_out, ew_dim(out, -1)});
    ew_drop(s, out);
    return shaped;
}
