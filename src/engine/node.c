/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer's receivers and heads for any number of lanes, made of the block
 * functions. Nothing here knows what a circuit is.
 */
#include "state.h"

#include "edgewise/block.h"

struct ew_tensor *rows_from(struct ew_scope *s, struct ew_tensor *t,
                            int64_t have, int64_t want)
{
    if (want == have || !t) {
        return t;
    }
    int64_t n = ew_dim(t, -2);
    return ew_narrow(s, t, ew_ndim(t) - 2, want - have, n - (want - have));
}

struct ew_tensor *as_rows(struct ew_scope *s, const struct ew_tensor *t)
{
    return ew_reshape(s, t, 2, (int64_t[]){-1, ew_dim(t, -1)});
}

void put_ref(struct ew_tensor **slot, struct ew_tensor *t)
{
    struct ew_tensor *held = t ? ew_keep(t) : NULL;
    ew_tensor_unref(*slot);
    *slot = held;
}

/* (N, K) -> (B, W, rows, K), rotated. */
static struct ew_tensor *shape_projected(struct ew_scope *s,
                                         const struct ew_model *m,
                                         const struct ew_tensor *like,
                                         struct ew_tensor *y, int64_t first,
                                         bool rotate)
{
    int64_t shape[4] = {ew_dim(like, 0), ew_dim(like, 1), ew_dim(like, 2),
                        ew_dim(y, -1)};
    y = ew_reshape(s, y, 4, shape);
    return rotate ? ew_block_rotate(s, m, y, first) : y;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* All 3 H receivers read x: one norm and one product. */
static void project_shared(struct ew_scope *s, const struct ew_model *m,
                           const struct geometry *g, int layer,
                           const struct ew_tensor *x, struct ew_tensor **out)
{
    int64_t from = g->t - ew_dim(x, 2);
    struct ew_tensor *xn =
        ew_block_norm(s, m, &m->layers[layer].ln1, as_rows(s, x));
    struct ew_tensor *all[3] = {NULL, NULL, NULL};
    ew_block_project_all(s, m, layer, xn, &all[EW_Q], &all[EW_K],
                         &all[EW_V]);
    for (int which = EW_Q; which <= EW_V; which++) {
        int64_t n = ew_dim(all[which], 1);
        for (int h = 0; h < g->n_heads; h++) {
            int64_t index = n ? h * n / g->n_heads : 0;
            struct ew_tensor *y = ew_select(s, all[which], 1, index);
            y = shape_projected(s, m, x, y, from, which != EW_V);
            if (which == EW_Q) {
                y = rows_from(s, y, from, later(from, head_start(g, layer, h)));
            }
            out[3 * h + which] = y;
        }
    }
}

void project_layer(struct ew_scope *s, const struct ew_model *m,
                   const struct geometry *g, int layer,
                   struct ew_tensor *const *xin, struct ew_tensor **out)
{
    int n = 3 * g->n_heads;
    bool shared = xin[0] != NULL;
    for (int i = 1; i < n; i++) {
        shared = shared && xin[i] == xin[0];
    }
    if (shared) {
        project_shared(s, m, g, layer, xin[0], out);
        return;
    }
    for (int i = 0; i < n && ew_scope_ok(s); i++) {
        if (!xin[i] || out[i]) {
            continue;
        }
        int64_t from = g->t - ew_dim(xin[i], 2);
        /* the rows that this group of receivers needs */
        int64_t first = g->t;
        for (int j = i; j < n; j++) {
            int64_t own =
                j % 3 == EW_Q ? later(from, head_start(g, layer, j / 3)) : from;
            first = xin[j] == xin[i] && own < first ? own : first;
        }
        struct ew_tensor *x = rows_from(s, xin[i], from, first);
        struct ew_tensor *xn =
            ew_block_norm(s, m, &m->layers[layer].ln1, as_rows(s, x));
        for (int j = i; j < n; j++) {
            if (xin[j] != xin[i]) {
                continue;
            }
            enum ew_qkv which = (enum ew_qkv)(j % 3);
            struct ew_tensor *y =
                ew_block_project(s, m, layer, which, j / 3, xn);
            y = shape_projected(s, m, x, y, first, which != EW_V);
            out[j] = which == EW_Q
                         ? rows_from(s, y, first,
                                     later(from, head_start(g, layer, j / 3)))
                         : y;
        }
    }
}

/* New rows (B, W, T - a, K) behind the base's first a positions. */
static struct ew_tensor *with_prefix(struct ew_scope *s,
                                     const struct geometry *g,
                                     const struct ew_tensor *base,
                                     struct ew_tensor *fresh)
{
    if (g->a == 0 || !fresh) {
        return fresh;
    }
    int64_t w = ew_dim(fresh, 1);
    struct ew_tensor *prefix = ew_narrow(s, base, 1, 0, g->a);
    prefix = ew_expand(s, ew_unsqueeze(s, prefix, 1), 4,
                       (int64_t[]){g->b, w, g->a, g->k});
    return ew_cat(s, (struct ew_tensor *[]){prefix, fresh}, 2, 2);
}

/* (B, W', N, X) with W' of 1 or w -> (B w, N, X). */
static struct ew_tensor *fold_lanes(struct ew_scope *s,
                                    const struct ew_tensor *t, int64_t w)
{
    int64_t b = ew_dim(t, 0), n = ew_dim(t, 2), x = ew_dim(t, 3);
    if (ew_dim(t, 1) != w) {
        t = ew_expand(s, t, 4, (int64_t[]){b, w, n, x});
    }
    return ew_reshape(s, t, 3, (int64_t[]){b * w, n, x});
}

/* a (B, Wa, N, I) with b (B, M, I) or (B, Wb, M, I): the product `f` over
 * prompts, all lanes in one where b is common to them. */
static struct ew_tensor *over_lanes(
    struct ew_scope *s, const struct ew_tensor *a, const struct ew_tensor *b,
    struct ew_tensor *(*f)(struct ew_scope *, const struct ew_model *,
                           const struct ew_tensor *,
                           const struct ew_tensor *),
    const struct ew_model *m)
{
    int64_t n_b = ew_dim(a, 0), wa = ew_dim(a, 1), n = ew_dim(a, 2);
    struct ew_tensor *out;
    int64_t w = wa;
    if (ew_ndim(b) == 3) {
        struct ew_tensor *flat =
            ew_reshape(s, a, 3, (int64_t[]){n_b, wa * n, ew_dim(a, 3)});
        out = f(s, m, flat, b);
    } else {
        w = ew_dim(b, 1) > wa ? ew_dim(b, 1) : wa;
        out = f(s, m, fold_lanes(s, a, w), fold_lanes(s, b, w));
    }
    return ew_reshape(s, out, 4, (int64_t[]){n_b, w, n, ew_dim(out, -1)});
}

static struct ew_tensor *mix(struct ew_scope *s, const struct ew_model *m,
                             const struct ew_tensor *pattern,
                             const struct ew_tensor *v)
{
    (void)m;
    return ew_block_mix(s, pattern, v);
}

void mix_head(struct ew_scope *s, const struct ew_model *m,
              const struct geometry *g, int layer, int h,
              const struct head *base, int64_t have, struct ew_tensor *q,
              struct ew_tensor *k, struct ew_tensor *v, struct head_lanes *out)
{
    int64_t start = head_start(g, layer, h);
    *out = (struct head_lanes){.q = q};
    out->k = with_prefix(s, g, base ? base->k : NULL, k);
    out->v = with_prefix(s, g, base ? base->v : NULL, v);
    struct ew_tensor *pattern;
    if (q || k) {
        const struct ew_tensor *queries =
            q ? q
              : ew_unsqueeze(s, rows_from(s, base->q, have, start), 1);
        struct ew_tensor *scores = over_lanes(
            s, queries, k ? out->k : base->k, ew_block_scores, m);
        int64_t shape[4] = {ew_dim(scores, 0), ew_dim(scores, 1),
                            ew_dim(scores, 2), ew_dim(scores, 3)};
        scores = ew_reshape(
            s, scores, 3, (int64_t[]){shape[0] * shape[1], shape[2], -1});
        pattern = ew_block_pattern(s, m, layer, scores, start, true);
        pattern = ew_reshape(s, pattern, 4, shape);
        out->pattern = pattern;
    } else {
        pattern =
            ew_unsqueeze(s, rows_from(s, base->pattern, have, start), 1);
    }
    out->z = over_lanes(s, pattern,
                        v ? ew_contiguous(s, out->v) : base->v, mix, m);
}

int64_t sent_start(const struct geometry *g, uint32_t sender)
{
    if (sender < (uint32_t)g->n_inputs) {
        return g->a;
    }
    if (g->tail && ew_bitset_has(g->tail, sender)) {
        return g->o;
    }
    int layer = (int)(sender - (uint32_t)g->n_inputs) / (g->n_heads + g->mlp);
    return out_start(g, layer);
}

int64_t receiver_start(const struct geometry *g, uint32_t r)
{
    uint32_t per_layer = 3 * (uint32_t)g->n_heads + g->mlp;
    int layer = (int)(r / per_layer);
    int i = (int)(r % per_layer);
    if (r == logits_receiver(g)) {
        return g->o;
    }
    if (i == 3 * g->n_heads) {
        return sent_start(g, mlp_sender(g, layer));
    }
    bool tail = g->tail &&
                ew_bitset_has(g->tail, head_sender(g, layer, i / 3));
    return tail && i % 3 == EW_Q ? g->o : g->a;
}

struct ew_tensor *sent_in(const struct geometry *g, const struct run *run,
                          uint32_t sender)
{
    if (sender < (uint32_t)g->n_inputs) {
        return run->in[sender];
    }
    int i = (int)sender - g->n_inputs;
    int layer = i / (g->n_heads + g->mlp);
    int head = i % (g->n_heads + g->mlp);
    return head == g->n_heads ? run->mlp[layer]
                              : run->heads[layer * g->n_heads + head].z;
}

void add_sent(struct ew_scope *s, const struct ew_model *m,
              const struct geometry *g, uint32_t sender,
              struct ew_tensor *sent, struct ew_tensor *dst, int64_t start,
              double sign)
{
    sent = rows_from(s, sent, sent_start(g, sender), start);
    int i = (int)sender - g->n_inputs;
    int layer = i < 0 ? -1 : i / (g->n_heads + g->mlp);
    int head = i < 0 ? g->n_heads : i % (g->n_heads + g->mlp);
    if (head == g->n_heads) {
        ew_add_into(s, dst, sent, sign);
        return;
    }
    ew_addmm_into(s, as_rows(s, dst), as_rows(s, sent),
                  ew_block_w_o(s, m, layer, head), sign);
}
