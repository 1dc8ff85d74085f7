/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run from scratch: the plain model, or a circuit. Receivers of a layer
 * whose kept senders are the same share one input, so the full circuit costs
 * what the plain model costs. A receiver's input is made from whichever is
 * nearer: everything sent, less what is cut; or what cut edges carry, plus
 * what is kept.
 */
#include "state.h"

#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

void run_init(struct run *run, const struct geometry *g)
{
    size_t n_heads = (size_t)g->n_layers * (size_t)g->n_heads;
    *run = (struct run){0};
    run->x = ew_xcalloc(logits_receiver(g) + 1, sizeof(*run->x));
    run->heads = ew_xcalloc(n_heads, sizeof(*run->heads));
    run->mlp = ew_xcalloc((size_t)g->n_layers, sizeof(*run->mlp));
}

static void head_finish(struct head *head)
{
    ew_tensor_unref(head->q);
    ew_tensor_unref(head->k);
    ew_tensor_unref(head->v);
    ew_tensor_unref(head->pattern);
    ew_tensor_unref(head->z);
}

void run_finish(struct run *run, const struct geometry *g)
{
    if (!run->x) {
        return;
    }
    for (uint32_t r = 0; r <= logits_receiver(g); r++) {
        ew_tensor_unref(run->x[r]);
    }
    for (int i = 0; i < g->n_layers * g->n_heads; i++) {
        head_finish(&run->heads[i]);
    }
    for (int i = 0; i < g->n_layers; i++) {
        ew_tensor_unref(run->mlp[i]);
    }
    ew_tensor_unref(run->in[0]);
    ew_tensor_unref(run->in[1]);
    free(run->x);
    free(run->heads);
    free(run->mlp);
    *run = (struct run){0};
}

struct evaluation {
    struct ew_engine *e;
    struct incremental *st;
    const struct geometry *g;
    struct run *run;
    const struct ew_bitset *kept; /* NULL: plain */
    struct ew_tensor *sum;   /* everything sent so far, and the biases */
    struct ew_tensor **diff; /* n_senders: z - zc or y - yc; owned refs */
    /* Of a layer's attention with post-norms (owned refs): all that this run
     * sends, all that the cut run does; each before the norm and after. */
    struct ew_tensor *(*attn)[2][2];
};

static uint32_t n_kept_of(const struct evaluation *ev, uint32_t r)
{
    const struct ew_graph *graph = ev->e->graph;
    uint32_t n = ew_graph_n_senders_of(graph, r);
    uint32_t first = ew_graph_first_edge(graph, r);
    return ev->kept
               ? (uint32_t)ew_bitset_count_range(ev->kept, first, first + n)
               : n;
}

/*
 * Layer's part of r's input through its post-norm, in place of that of all
 * its heads, kept (`from_cut` 0) or cut (1), in x (B, 1, T - start, D).
 */
static void patch_normed(struct ew_scope *s, const struct evaluation *ev,
                         uint32_t r, int layer, int from_cut,
                         struct ew_tensor *x, int64_t start)
{
    const struct geometry *g = ev->g;
    const struct ew_graph *graph = ev->e->graph;
    uint32_t sender = head_sender(g, layer, 0);
    uint32_t edge = ew_graph_first_edge(graph, r) + sender;
    int n_kept = (int)ew_bitset_count_range(ev->kept, edge,
                                            edge + (uint32_t)g->n_heads);
    if (n_kept == (from_cut ? 0 : g->n_heads)) {
        return;
    }
    int64_t have = out_start(g, layer);
    int near = n_kept < g->n_heads - n_kept;
    struct ew_tensor *(*runs)[2] = ev->attn[layer];
    struct ew_tensor *is;
    if (n_kept == 0 || n_kept == g->n_heads) {
        is = rows_from(s, runs[near][1], have, start);
    } else {
        is = ew_clone(s, rows_from(s, runs[near][0], have, start));
        is = ew_contiguous(s, ew_unsqueeze(s, is, 1));
        for (uint32_t h = 0; h < (uint32_t)g->n_heads; h++) {
            if (ew_bitset_has(ev->kept, edge + h) == (near == 1)) {
                add_sent(s, ev->e->model, g, sender + h,
                         ew_unsqueeze(s, ev->diff[sender + h], 1), is, start,
                         near ? 1.0 : -1.0);
            }
        }
        is = ew_block_attn_post(s, ev->e->model, layer,
                                ew_squeeze(s, is, 1));
    }
    struct ew_tensor *dst = ew_squeeze(s, x, 1);
    ew_add_into(s, dst, is, 1.0);
    ew_add_into(s, dst, rows_from(s, runs[from_cut][1], have, start), -1.0);
}

/* The input of receiver r, (B, 1, T - start, D). */
static struct ew_tensor *make_input(struct ew_scope *s,
                                    const struct evaluation *ev, uint32_t r,
                                    struct ew_tensor *sum, int64_t sum_start,
                                    int64_t start)
{
    const struct ew_graph *graph = ev->e->graph;
    uint32_t n = ew_graph_n_senders_of(graph, r);
    uint32_t n_kept = n_kept_of(ev, r);
    struct ew_tensor *whole =
        ew_unsqueeze(s, rows_from(s, sum, sum_start, start), 1);
    if (n_kept == n) {
        return whole;
    }
    bool from_cut = n_kept < n - n_kept;
    struct ew_tensor *x =
        from_cut ? ew_unsqueeze(s, ev->st->cut.x[r], 1) : whole;
    x = ew_contiguous(s, ew_clone(s, x));
    uint32_t first = ew_graph_first_edge(graph, r);
    for (int l = 0; ev->attn && reads_layer(ev->e, r, l); l++) {
        patch_normed(s, ev, r, l, from_cut, x, start);
    }
    for (uint32_t i = 0; i < n && ew_scope_ok(s); i++) {
        if (ev->attn && sender_head(ev->g, i) >= 0) {
            continue;
        }
        if (ew_bitset_has(ev->kept, first + i) == from_cut) {
            add_sent(s, ev->e->model, ev->g, i,
                     ew_unsqueeze(s, ev->diff[i], 1), x, start,
                     from_cut ? 1.0 : -1.0);
        }
    }
    return x;
}

/* Do two receivers of one layer keep the same senders? */
static bool same_senders(const struct evaluation *ev, uint32_t r1,
                         uint32_t r2)
{
    const struct ew_graph *graph = ev->e->graph;
    uint32_t n = ew_graph_n_senders_of(graph, r1);
    uint32_t f1 = ew_graph_first_edge(graph, r1);
    uint32_t f2 = ew_graph_first_edge(graph, r2);
    for (uint32_t i = 0; i < n; i++) {
        if (ew_bitset_has(ev->kept, f1 + i) !=
            ew_bitset_has(ev->kept, f2 + i)) {
            return false;
        }
    }
    return true;
}

/* Inputs of a layer's 3 H receivers, equal ones as one tensor. */
static void make_inputs(struct ew_scope *s, const struct evaluation *ev,
                        int layer, struct ew_tensor **xin)
{
    const struct geometry *g = ev->g;
    uint32_t r0 = receiver_of(g, layer, 0, EW_Q);
    for (int i = 0; i < 3 * g->n_heads; i++) {
        xin[i] = NULL;
        for (int j = 0; j < i && !xin[i]; j++) {
            if (!ev->kept || same_senders(ev, r0 + (uint32_t)i,
                                          r0 + (uint32_t)j)) {
                xin[i] = xin[j];
            }
        }
        if (!xin[i]) {
            xin[i] = make_input(s, ev, r0 + (uint32_t)i, ev->sum, g->a,
                                g->a);
        }
        put_ref(&ev->run->x[r0 + (uint32_t)i], ew_squeeze(s, xin[i], 1));
    }
    /* one handle per distinct input, so that sharing can be seen later */
    for (int i = 1; i < 3 * g->n_heads; i++) {
        for (int j = 0; j < i; j++) {
            if (xin[i] == xin[j]) {
                put_ref(&ev->run->x[r0 + (uint32_t)i],
                        ev->run->x[r0 + (uint32_t)j]);
                break;
            }
        }
    }
}

struct ew_tensor *pinned(struct ew_scope *s, const struct incremental *st,
                         int layer, int head, enum ew_qkv which)
{
    const struct head *cut = &st->cut.heads[layer * st->geo.n_heads + head];
    struct ew_tensor *t =
        which == EW_Q   ? cut->q
        : which == EW_K ? rows_from(s, cut->k, 0, st->geo.a)
                        : rows_from(s, cut->v, 0, st->geo.a);
    return ew_unsqueeze(s, t, 1);
}

static void store_head(struct ew_scope *s, struct head *head,
                       const struct head_lanes *lanes)
{
    put_ref(&head->q, ew_contiguous(s, ew_squeeze(s, lanes->q, 1)));
    put_ref(&head->k, ew_contiguous(s, ew_squeeze(s, lanes->k, 1)));
    put_ref(&head->v, ew_contiguous(s, ew_squeeze(s, lanes->v, 1)));
    put_ref(&head->pattern, ew_squeeze(s, lanes->pattern, 1));
    put_ref(&head->z, ew_contiguous(s, ew_squeeze(s, lanes->z, 1)));
}

/* What a layer's attention adds, from the sum u of what its heads send. */
static struct ew_tensor *through_post_norm(struct ew_scope *s,
                                           const struct evaluation *ev,
                                           int layer, struct ew_tensor *u)
{
    const struct ew_model *m = ev->e->model;
    struct ew_tensor *sent = ew_block_attn_post(s, m, layer, u);
    if (ev->attn) {
        struct ew_tensor *cut =
            attn_sum(s, ev->e, ev->g, &ev->st->cut, NULL, 0, layer,
                     out_start(ev->g, layer));
        put_ref(&ev->attn[layer][0][0], u);
        put_ref(&ev->attn[layer][0][1], sent);
        put_ref(&ev->attn[layer][1][0], cut);
        put_ref(&ev->attn[layer][1][1],
                ew_block_attn_post(s, m, layer, cut));
    }
    return sent;
}

/* All heads of a layer; returns what they add together. */
static struct ew_tensor *run_heads(struct ew_scope *s,
                                   const struct evaluation *ev, int layer)
{
    const struct geometry *g = ev->g;
    const struct ew_graph *graph = ev->e->graph;
    int n = 3 * g->n_heads;
    struct ew_tensor **xin = ew_xcalloc((size_t)n, sizeof(*xin));
    struct ew_tensor **qkv = ew_xcalloc((size_t)n, sizeof(*qkv));
    make_inputs(s, ev, layer, xin);
    project_layer(s, ev->e->model, g, layer, xin, qkv);
    for (int h = 0; h < g->n_heads && ew_scope_ok(s); h++) {
        for (int which = EW_Q; which <= EW_V && ev->kept; which++) {
            uint32_t r = receiver_of(g, layer, h, (enum ew_qkv)which);
            if (!ew_bitset_has(ev->kept, ew_graph_direct_edge(graph, r))) {
                qkv[3 * h + which] =
                    pinned(s, ev->st, layer, h, (enum ew_qkv)which);
            }
        }
        struct head *head = &ev->run->heads[layer * g->n_heads + h];
        struct head_lanes lanes;
        mix_head(s, ev->e->model, g, layer, h,
                 g->a ? &ev->st->cur.heads[layer * g->n_heads + h] : NULL,
                 out_start(g, layer), qkv[3 * h], qkv[3 * h + 1],
                 qkv[3 * h + 2], &lanes);
        store_head(s, head, &lanes);
    }
    free(xin);
    free(qkv);
    return through_post_norm(s, ev, layer,
                             attn_sum(s, ev->e, g, ev->run, NULL, 0, layer,
                                      out_start(g, layer)));
}

/* z - zc of a layer's heads and y - yc of its MLP, for later receivers. */
static void note_diffs(struct ew_scope *s, const struct evaluation *ev,
                       uint32_t first, uint32_t n)
{
    if (!ev->kept) {
        return;
    }
    for (uint32_t i = first; i < first + n; i++) {
        put_ref(&ev->diff[i], ew_sub(s, sent_in(ev->g, ev->run, i),
                                     sent_in(ev->g, &ev->st->cut, i)));
    }
}

static bool run_layer(struct evaluation *ev, int layer,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    const struct geometry *g = ev->g;
    struct ew_scope *s = ew_scope_open(ev->e->model->device);
    ew_scope_watch(s, cancel);
    int64_t start = out_start(g, layer);
    struct ew_tensor *before = rows_from(s, ev->sum, g->a, start);
    struct ew_tensor *sum = ew_add(s, before, run_heads(s, ev, layer));
    note_diffs(s, ev, head_sender(g, layer, 0), (uint32_t)g->n_heads);
    if (g->mlp) {
        uint32_t r = mlp_receiver(g, layer);
        struct ew_tensor *x =
            make_input(s, ev, r, g->parallel ? before : sum, start, start);
        put_ref(&ev->run->x[r], ew_squeeze(s, x, 1));
        struct ew_tensor *y = ew_block_mlp(s, ev->e->model, layer,
                                           as_rows(s, x), NULL, NULL);
        y = ew_reshape(s, y, 3,
                       (int64_t[]){g->b, ew_dim(x, 2), g->d});
        put_ref(&ev->run->mlp[layer], y);
        note_diffs(s, ev, mlp_sender(g, layer), 1);
        sum = ew_add(s, sum, y);
    }
    if (layer == g->n_layers - 1) {
        struct ew_tensor *x =
            make_input(s, ev, logits_receiver(g), sum, start, start);
        put_ref(&ev->run->x[logits_receiver(g)], ew_squeeze(s, x, 1));
    }
    put_ref(&ev->sum, sum);
    return ew_scope_finish(s, err);
}

bool run_evaluate(struct ew_engine *e, const struct geometry *g,
                  struct run *run, const struct ew_bitset *kept,
                  const struct ew_cancel *cancel, struct ew_err *err)
{
    struct incremental *st = e->state;
    uint32_t n_senders = ew_graph_n_senders(e->graph);
    /* edges that carry nothing are cut: an input is made from few terms then */
    struct ew_bitset *some = kept ? silent_cut(e, kept) : NULL;
    struct evaluation ev = {
        .e = e, .st = st, .g = g, .run = run, .kept = some};
    ev.diff = ew_xcalloc(n_senders, sizeof(*ev.diff));
    if (kept && e->model->arch.post_norms) {
        ev.attn = ew_xcalloc((size_t)g->n_layers, sizeof(*ev.attn));
    }
    struct ew_scope *s = ew_scope_open(e->model->device);
    struct ew_tensor *sum = run->in[0];
    if (g->n_inputs == 2) {
        sum = ew_add(s, run->in[0], run->in[1]);
    }
    put_ref(&ev.sum, sum);
    note_diffs(s, &ev, 0, (uint32_t)g->n_inputs);
    bool ok = ew_scope_finish(s, err);
    for (int layer = 0; ok && layer < g->n_layers; layer++) {
        ok = run_layer(&ev, layer, cancel, err);
    }
    for (uint32_t i = 0; i < n_senders; i++) {
        ew_tensor_unref(ev.diff[i]);
    }
    free(ev.diff);
    for (int i = 0; ev.attn && i < 4 * g->n_layers; i++) {
        ew_tensor_unref(ev.attn[i / 4][i / 2 % 2][i % 2]);
    }
    free(ev.attn);
    ew_tensor_unref(ev.sum);
    ew_bitset_destroy(some);
    return ok;
}
