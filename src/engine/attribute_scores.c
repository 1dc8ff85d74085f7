/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From gradients to scores. A receiver's gradient is its head's through its
 * own projection and, since the norm is part of the receiver, through the
 * norm, by hand. The scores of a layer's receivers are then one product:
 * senders by (prompt, position, d_model), by receivers.
 */
#include "attribution.h"

#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

/* (N or B H.., X) rows of all positions -> those from a: (B (T-a), X). */
static struct ew_tensor *live_rows(struct ew_scope *s,
                                   const struct geometry *g,
                                   struct ew_tensor *t)
{
    int64_t x = ew_dim(t, -1);
    t = ew_reshape(s, t, 3, (int64_t[]){g->b, g->t, x});
    return ew_contiguous(s, as_rows(s, rows_from(s, t, 0, g->a)));
}

/* Gradient at the input of a norm, from that at its output (.., n, D), both
 * for rows n whose input is x (n, D). */
static struct ew_tensor *norm_backward(struct ew_scope *s,
                                       const struct ew_model *m,
                                       const struct ew_norm *norm,
                                       struct ew_tensor *x,
                                       struct ew_tensor *grad)
{
    enum ew_norm_kind kind = m->arch.norm;
    if (kind == EW_NORM_NONE) {
        return grad;
    }
    bool rms = kind == EW_NORM_RMS || kind == EW_NORM_RMS_PRE;
    struct ew_tensor *scale = ew_norm_scale(s, x, rms, m->arch.eps);
    struct ew_tensor *unit =
        ew_div(s, rms ? x : ew_sub(s, x, ew_mean(s, x, -1, true)), scale);
    if (norm->w) {
        grad = ew_mul(s, grad, norm->w);
    }
    struct ew_tensor *along =
        ew_mean(s, ew_mul(s, grad, unit), -1, true);
    struct ew_tensor *out = ew_sub(s, grad, ew_mul(s, unit, along));
    if (!rms) {
        out = ew_sub(s, out, ew_mean(s, grad, -1, true));
    }
    return ew_div(s, out, scale);
}

/* Add senders x receivers: receivers' gradients grads (R, n D), for the n
 * senders from `sender` on. */
static void add_products(struct ew_scope *s, struct attribution *at,
                         uint32_t first_receiver, struct ew_tensor *grads,
                         uint32_t sender, int64_t n)
{
    const struct ew_graph *graph = at->e->graph;
    int64_t n_r = ew_dim(grads, 0);
    struct ew_tensor *senders = ew_narrow(s, at->deltas, 0, sender, n);
    struct ew_tensor *scores =
        ew_matmul(s, senders, ew_transpose(s, grads, 0, 1));
    size_t total = (size_t)(n * n_r);
    double *host = ew_xcalloc(total, sizeof(*host));
    if (ew_read_f64(s, scores, host, total)) {
        for (int64_t r = 0; r < n_r; r++) {
            uint32_t first =
                sender +
                ew_graph_first_edge(graph, first_receiver + (uint32_t)r);
            for (int64_t i = 0; i < n; i++) {
                at->sums[first + i] += host[i * n_r + r];
            }
        }
    }
    free(host);
}

/* The same for all senders, heads through the post-norms of their layers. */
static void add_scores(struct ew_scope *s, struct attribution *at,
                       const struct trace *traces, uint32_t first_receiver,
                       struct ew_tensor *grads)
{
    const struct geometry *g = at->g;
    const struct ew_model *m = at->e->model;
    int64_t n = ew_graph_n_senders_of(at->e->graph, first_receiver);
    if (!m->arch.post_norms) {
        add_products(s, at, first_receiver, grads, 0, n);
        return;
    }
    int64_t n_r = ew_dim(grads, 0);
    struct ew_tensor *rows =
        ew_reshape(s, grads, 3, (int64_t[]){n_r, -1, g->d});
    for (int64_t i = 0; i < n && ew_scope_ok(s);) {
        int head = sender_head(g, (uint32_t)i);
        int64_t count = head < 0 ? 1 : g->n_heads;
        struct ew_tensor *through = rows;
        if (head >= 0) {
            int layer = head / g->n_heads;
            through = norm_backward(s, m, &m->layers[layer].ln1_post,
                                    live_rows(s, g, traces[layer].sent[0]),
                                    rows);
        }
        add_products(s, at, first_receiver,
                     ew_reshape(s, through, 2, (int64_t[]){n_r, -1}),
                     (uint32_t)i, count);
        i += count;
    }
}

static void score_heads(struct ew_scope *outer, struct attribution *at,
                        int layer, const struct trace *traces,
                        struct ew_tensor *const *grad)
{
    const struct trace *tr = &traces[layer];
    const struct geometry *g = at->g;
    const struct ew_model *m = at->e->model;
    struct ew_scope *s = ew_scope_open_in(outer);
    struct ew_tensor *x = live_rows(s, g, tr->x);
    int64_t n = ew_dim(x, 0);
    struct ew_tensor **per_head =
        ew_xcalloc(3 * (size_t)g->n_heads, sizeof(*per_head));
    for (int h = 0; h < g->n_heads; h++) {
        for (int which = EW_Q; which <= EW_V; which++) {
            struct ew_tensor *w, *b;
            ew_block_projection(s, m, layer, (enum ew_qkv)which, h, &w, &b);
            struct ew_tensor *dq =
                live_rows(s, g, ew_select(s, grad[which], 1, h));
            struct ew_tensor *dx =
                ew_matmul(s, dq, ew_transpose(s, w, 0, 1));
            dx = norm_backward(s, m, &m->layers[layer].ln1, x, dx);
            per_head[3 * h + which] =
                ew_reshape(s, dx, 1, (int64_t[]){n * g->d});
        }
    }
    add_scores(s, at, traces, receiver_of(g, layer, 0, EW_Q),
               ew_stack(s, per_head, 3 * (size_t)g->n_heads, 0));
    free(per_head);
    ew_scope_finish(s, NULL);
}

/* Direct edges: the cut run's q, k, v for the plain one, both rotated. */
static void score_direct(struct ew_scope *outer, struct attribution *at,
                         int layer, struct ew_tensor *const *grad,
                         struct ew_tensor *const *now)
{
    const struct geometry *g = at->g;
    struct ew_scope *s = ew_scope_open_in(outer);
    for (int h = 0; h < g->n_heads; h++) {
        const struct head *cut = &at->st->cut.heads[layer * g->n_heads + h];
        struct ew_tensor *const carried[3] = {cut->q, cut->k, cut->v};
        for (int which = EW_Q; which <= EW_V; which++) {
            int64_t start = which == EW_Q ? out_start(g, layer) : 0;
            struct ew_tensor *part[2];
            struct ew_tensor *const from[2] = {grad[which], now[which]};
            for (int i = 0; i < 2; i++) {
                struct ew_tensor *four = ew_reshape(
                    s, from[i], 4,
                    (int64_t[]){g->b, g->n_heads, g->t, g->k});
                part[i] =
                    rows_from(s, ew_select(s, four, 1, h), 0, start);
            }
            struct ew_tensor *change = ew_sub(s, carried[which], part[1]);
            double score =
                ew_item(s, ew_sum_all(s, ew_mul(s, change, part[0])));
            uint32_t edge = ew_graph_direct_edge(
                at->e->graph, receiver_of(g, layer, h, (enum ew_qkv)which));
            at->sums[edge] += score;
        }
    }
    ew_scope_finish(s, NULL);
}

bool attribution_pass(struct attribution *at, struct ew_tensor *in,
                      const struct given *given,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    const struct geometry *g = at->g;
    struct ew_scope *s = ew_scope_open_grad(at->e->model->device);
    ew_scope_watch(s, cancel);
    size_t per_layer = 6 + (size_t)g->mlp;
    size_t n = per_layer * (size_t)g->n_layers + 1;
    struct trace *traces = ew_xcalloc((size_t)g->n_layers, sizeof(*traces));
    struct ew_tensor **inputs = ew_xcalloc(n, sizeof(*inputs));
    struct ew_tensor **grads = ew_xcalloc(n, sizeof(*grads));
    struct ew_tensor *last;
    struct ew_tensor *metric =
        attribution_forward(s, at, in, given, traces, &last);
    for (int l = 0; l < g->n_layers; l++) {
        struct ew_tensor **slot = &inputs[per_layer * (size_t)l];
        for (int i = 0; i < 3; i++) {
            slot[i] = traces[l].qkv[i];
            slot[3 + i] = traces[l].rot[i];
        }
        if (g->mlp) {
            slot[6] = traces[l].mlp;
        }
    }
    inputs[n - 1] = last;
    if (ew_grad(s, metric, inputs, n, grads)) {
        for (int l = 0; l < g->n_layers; l++) {
            struct ew_tensor **slot = &grads[per_layer * (size_t)l];
            score_heads(s, at, l, traces, slot);
            score_direct(s, at, l, slot + 3, traces[l].rot);
            if (g->mlp) {
                struct ew_tensor *dx = live_rows(s, g, slot[6]);
                add_scores(s, at, traces, mlp_receiver(g, l),
                           ew_reshape(s, dx, 2, (int64_t[]){1, -1}));
            }
        }
        struct ew_tensor *dx = live_rows(s, g, grads[n - 1]);
        add_scores(s, at, traces, logits_receiver(g),
                   ew_reshape(s, dx, 2, (int64_t[]){1, -1}));
    }
    free(traces);
    free(inputs);
    free(grads);
    return ew_scope_finish(s, err);
}
