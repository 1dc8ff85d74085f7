/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorded forward. It runs unsplit, as the plain model does: libtorch
 * then gives the gradients at every head's q, k and v, at every MLP's input
 * and at the final residual.
 */
#include "attribution.h"

#include "edgewise/block.h"

struct ew_tensor *attribution_mix(struct ew_scope *s, struct ew_tensor *y,
                                  struct ew_tensor *c, double alpha)
{
    return ew_add(s, ew_scale(s, y, alpha), ew_scale(s, c, 1.0 - alpha));
}

/* (N, H', K) -> (B H, T, K): one row of batches per prompt and head. */
static struct ew_tensor *by_head(struct ew_scope *s, const struct geometry *g,
                                 const struct ew_tensor *t)
{
    struct ew_tensor *four = ew_reshape(
        s, t, 4, (int64_t[]){g->b, g->t, g->n_heads, g->k});
    four = ew_contiguous(s, ew_transpose(s, four, 1, 2));
    return ew_reshape(s, four, 3,
                      (int64_t[]){g->b * g->n_heads, g->t, g->k});
}

/* Every query head gets a key and value of its own to have gradients of. */
static struct ew_tensor *ungroup(struct ew_scope *s, const struct geometry *g,
                                 struct ew_tensor *t)
{
    int64_t n = ew_dim(t, 0), heads = ew_dim(t, 1);
    if (heads == g->n_heads || heads == 0) { /* 0: an operation failed */
        return ew_contiguous(s, t);
    }
    t = ew_expand(s, ew_unsqueeze(s, t, 2), 4,
                  (int64_t[]){n, heads, g->n_heads / heads, g->k});
    return ew_reshape(s, ew_contiguous(s, t), 3,
                      (int64_t[]){n, g->n_heads, g->k});
}

static struct ew_tensor *attend(struct ew_scope *s,
                                const struct attribution *at, int layer,
                                struct ew_tensor *x, struct trace *tr)
{
    const struct geometry *g = at->g;
    const struct ew_model *m = at->e->model;
    tr->x = x;
    struct ew_tensor *xn = ew_block_norm(s, m, &m->layers[layer].ln1, x);
    ew_block_project_all(s, m, layer, xn, &tr->qkv[0], &tr->qkv[1],
                         &tr->qkv[2]);
    struct ew_tensor *heads[3];
    for (int i = 0; i < 3; i++) {
        tr->qkv[i] = ungroup(s, g, tr->qkv[i]);
        heads[i] = by_head(s, g, tr->qkv[i]);
        if (i != EW_V) {
            heads[i] = ew_block_rotate(s, m, heads[i], 0);
        }
        tr->rot[i] = heads[i];
    }
    struct ew_tensor *scores = ew_block_scores(s, m, heads[0], heads[1]);
    struct ew_tensor *pattern =
        ew_block_pattern(s, m, layer, scores, 0, false);
    struct ew_tensor *z = ew_block_mix(s, pattern, heads[2]);
    z = ew_reshape(s, z, 4, (int64_t[]){g->b, g->n_heads, g->t, g->k});
    z = ew_reshape(s, ew_contiguous(s, ew_transpose(s, z, 1, 2)), 2,
                   (int64_t[]){g->b * g->t, g->n_heads * g->k});
    return ew_add(s, ew_block_attn_out(s, m, layer, z),
                  m->layers[layer].b_o);
}

struct ew_tensor *attribution_forward(struct ew_scope *s,
                                      const struct attribution *at,
                                      struct ew_tensor *in,
                                      const struct given *given,
                                      struct trace *traces,
                                      struct ew_tensor **last)
{
    const struct geometry *g = at->g;
    const struct ew_model *m = at->e->model;
    struct ew_tensor *x = as_rows(s, ew_leaf(s, in));
    for (int l = 0; l < g->n_layers; l++) {
        struct trace *tr = &traces[l];
        tr->sent[0] = attend(s, at, l, x, tr);
        if (given->layer == l && given->which == 0) {
            tr->sent[0] = given->sent;
        }
        struct ew_tensor *mid =
            ew_add(s, x, ew_block_attn_post(s, m, l, tr->sent[0]));
        if (g->mlp) {
            /* a tensor of its own, so that its gradient is the MLP's alone */
            tr->mlp = ew_shift(s, g->parallel ? x : mid, 0.0);
            tr->sent[1] = ew_block_mlp(s, m, l, tr->mlp, NULL, NULL);
            if (given->layer == l && given->which == 1) {
                tr->sent[1] = given->sent;
            }
            mid = ew_add(s, mid, tr->sent[1]);
        }
        x = mid;
    }
    *last = ew_shift(s, x, 0.0);
    return attribution_metric(s, at, *last);
}
