/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All heads of a layer at once. Where they read one new input, as in any
 * circuit that keeps all edges into the layer, their queries, keys and values
 * are one product, their attention is one batch, and what they send together
 * is one product with W_O: a dozen times fewer operations on pieces that are
 * a dozen times larger. The heads' own tensors are views of these.
 */
#include "edgewise/block.h"

#include "overlay.h"

/* (N, H, K) -> (B, W, H, P, K), a view, like x (B, W, P, D). */
static struct ew_tensor *by_head(struct ew_scope *s, struct ew_tensor *t,
                                 const struct ew_tensor *x)
{
    int64_t shape[5] = {ew_dim(x, 0), ew_dim(x, 1), ew_dim(x, 2), ew_dim(t, 1),
                        ew_dim(t, 2)};
    return ew_permute(s, ew_reshape(s, t, 5, shape), 5, (int[]){0, 1, 3, 2, 4});
}

/* New keys or values (B, W, H, T - a, K) behind the state's first a: (B, W,
 * H, T, K). */
static struct ew_tensor *behind_prefix(struct overlay *ov, int layer, bool keys,
                                       struct ew_tensor *fresh)
{
    struct ew_scope *s = ov->s;
    const struct geometry *g = &ov->geo;
    const struct incremental *st = ov->e->state;
    if (g->a == 0) {
        return ew_contiguous(s, fresh);
    }
    struct ew_tensor *all =
        ew_empty(s, 5, (int64_t[]){g->b, ov->w, g->n_heads, g->t, g->k});
    ew_copy_into(s, ew_narrow(s, all, 3, g->a, g->t - g->a), fresh);
    for (int h = 0; h < g->n_heads; h++) {
        const struct head *head = &st->cur.heads[layer * g->n_heads + h];
        struct ew_tensor *prefix =
            ew_narrow(s, keys ? head->k : head->v, 1, 0, g->a);
        struct ew_tensor *own = ew_select(s, all, 2, h);
        ew_copy_into(s, ew_narrow(s, own, 2, 0, g->a),
                     ew_unsqueeze(s, prefix, 1));
    }
    return all;
}

/* (B, W, H, N, X) -> (B W H, N, X). */
static struct ew_tensor *as_batch(struct ew_scope *s, const struct ew_tensor *t)
{
    return ew_reshape(s, t, 3, (int64_t[]){-1, ew_dim(t, 3), ew_dim(t, 4)});
}

/* (B W H, N, X) -> (B, W, H, N, X). */
static struct ew_tensor *of_heads(struct ew_scope *s, const struct overlay *ov,
                                  const struct ew_tensor *t)
{
    return ew_reshape(s, t, 5,
                      (int64_t[]){ov->geo.b, ov->w, ov->geo.n_heads,
                                  ew_dim(t, 1), ew_dim(t, 2)});
}

/* What the heads send now, z (B, W, H, P, K), less what they did. */
static void note_changes(struct overlay *ov, int layer, struct ew_tensor *z)
{
    struct ew_scope *s = ov->s;
    const struct geometry *g = &ov->geo;
    const struct incremental *st = ov->e->state;
    int64_t had = out_start(&st->geo, layer), start = out_start(g, layer);
    struct ew_tensor *change =
        ew_clone(s, ew_permute(s, z, 5, (int[]){0, 1, 3, 2, 4}));
    for (int h = 0; h < g->n_heads; h++) {
        uint32_t sender = head_sender(g, layer, h);
        struct ew_tensor *was = st->cur.heads[layer * g->n_heads + h].z;
        struct ew_tensor *own = ew_select(s, change, 3, h);
        ew_add_into(s, own, ew_unsqueeze(s, rows_from(s, was, had, start), 1),
                    -1.0);
        ov->change[sender] = own;
        ew_bitset_put(ov->changed, sender, true);
    }
    ov->together[layer] = ew_reshape(
        s, change, 4, (int64_t[]){g->b, ov->w, -1, g->n_heads * g->k});
}

bool layer_applies(const struct overlay *ov, int layer,
                   struct ew_tensor *const *xin)
{
    const struct ew_arch *a = &ov->e->model->arch;
    for (int i = 0; i < 3 * ov->geo.n_heads; i++) {
        if (!xin[i] || xin[i] != xin[0]) {
            return false;
        }
    }
    for (int h = 0; h < ov->geo.n_heads; h++) {
        if (head_start(&ov->geo, layer, h) != out_start(&ov->geo, layer)) {
            return false;
        }
    }
    return a->n_kv_heads == a->n_heads && ew_dim(xin[0], 1) == ov->w;
}

void layer_sweep(struct overlay *ov, int layer, const struct ew_tensor *x)
{
    struct ew_scope *s = ov->s;
    const struct geometry *g = &ov->geo;
    const struct ew_model *m = ov->e->model;
    int64_t start = out_start(g, layer);
    struct ew_tensor *xn =
        ew_block_norm(s, m, &m->layers[layer].ln1, as_rows(s, x));
    struct ew_tensor *q = NULL, *k = NULL, *v = NULL;
    ew_block_project_all(s, m, layer, xn, &q, &k, &v);
    q = ew_block_rotate(s, m, by_head(s, q, x), g->a);
    q = ew_contiguous(s, rows_from(s, q, g->a, start));
    k = ew_block_rotate(s, m, by_head(s, k, x), g->a);
    k = behind_prefix(ov, layer, true, k);
    v = behind_prefix(ov, layer, false, by_head(s, v, x));
    struct ew_tensor *scores =
        ew_block_scores(s, m, as_batch(s, q), as_batch(s, k));
    struct ew_tensor *pattern =
        ew_block_pattern(s, m, layer, scores, start, true);
    struct ew_tensor *z =
        of_heads(s, ov, ew_block_mix(s, pattern, as_batch(s, v)));
    pattern = of_heads(s, ov, pattern);
    for (int h = 0; h < g->n_heads && ew_scope_ok(s); h++) {
        ov->heads[layer * g->n_heads + h] =
            (struct head_lanes){.q = ew_select(s, q, 2, h),
                                .k = ew_select(s, k, 2, h),
                                .v = ew_select(s, v, 2, h),
                                .pattern = ew_select(s, pattern, 2, h),
                                .z = ew_select(s, z, 2, h)};
    }
    if (ew_scope_ok(s)) {
        note_changes(ov, layer, z);
    }
}
