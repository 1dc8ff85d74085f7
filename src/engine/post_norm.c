/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Post-norms (Gemma-2). What a layer's attention adds to a receiver is
 * N(u), u = b_O + what the edges from all its heads carry: heads of one layer
 * are summed per receiver, then normed, so their effects do not add up and
 * nothing here goes through the head space.
 */
#include "overlay.h"

#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

struct ew_tensor *attn_sum(struct ew_scope *s, const struct ew_engine *e,
                           const struct geometry *g, const struct run *run,
                           const struct ew_bitset *kept, uint32_t r, int layer,
                           int64_t start)
{
    const struct incremental *st = e->state;
    uint32_t first =
        kept ? ew_graph_first_edge(e->graph, r) + head_sender(g, layer, 0) : 0;
    struct ew_tensor **z = ew_xcalloc((size_t)g->n_heads, sizeof(*z));
    for (int h = 0; h < g->n_heads; h++) {
        bool keeps = !kept || ew_bitset_has(kept, first + (uint32_t)h);
        const struct head *head =
            &(keeps ? run : &st->cut)->heads[layer * g->n_heads + h];
        z[h] = rows_from(s, head->z, out_start(g, layer), start);
    }
    struct ew_tensor *all = ew_stack(s, z, (size_t)g->n_heads, 2);
    free(z);
    int64_t rows = ew_dim(all, 1);
    all = ew_reshape(s, all, 2,
                     (int64_t[]){g->b * rows, g->n_heads * g->k});
    struct ew_tensor *u = ew_add(s, ew_block_attn_out(s, e->model, layer, all),
                                 e->model->layers[layer].b_o);
    return ew_reshape(s, u, 3, (int64_t[]){g->b, rows, g->d});
}

bool reads_layer(const struct ew_engine *e, uint32_t r, int layer)
{
    const struct geometry *g = &((struct incremental *)e->state)->geo;
    return layer < g->n_layers &&
           head_sender(g, layer, 0) < ew_graph_n_senders_of(e->graph, r);
}

/* The layer whose head a sender is, or -1. */
static int head_layer(const struct geometry *g, uint32_t sender)
{
    int head = sender_head(g, sender);
    return head < 0 ? -1 : head / g->n_heads;
}

/* All toggles at r of senders in one layer's attention (-1: of others). */
static bool toggle_layer(struct overlay *ov, uint32_t r, int layer,
                         struct ew_tensor *dst, int64_t start)
{
    const struct ew_graph *graph = ov->e->graph;
    bool any = false;
    size_t i;
    size_t end = overlay_toggles_of(ov, r, &i);
    for (; i < end; i++) {
        const struct toggle *t = &ov->toggles[i];
        if (t->edge < ew_graph_n_addition(graph) &&
            head_layer(&ov->geo, ew_edge_sender(graph, t->edge)) == layer) {
            any = true;
            if (dst) {
                overlay_apply_toggle(ov, t, dst, start);
            }
        }
    }
    return any;
}

/* The same of changed senders that r keeps. */
static bool change_layer(struct overlay *ov, uint32_t r, int layer,
                         struct ew_tensor *dst, int64_t start)
{
    const struct ew_graph *graph = ov->e->graph;
    uint32_t n = ew_graph_n_senders_of(graph, r);
    uint32_t first = ew_graph_first_edge(graph, r);
    bool any = false;
    for (size_t i = ew_bitset_next(ov->changed, 0); i < n;
         i = ew_bitset_next(ov->changed, i + 1)) {
        if (ew_bitset_has(ov->e->kept, first + i) &&
            head_layer(&ov->geo, (uint32_t)i) == layer) {
            any = true;
            if (dst) {
                add_sent(ov->s, ov->e->model, &ov->geo, (uint32_t)i,
                         ov->change[i], dst, start, 1.0);
            }
        }
    }
    return any;
}

struct ew_tensor *post_norm_input(struct overlay *ov, uint32_t r,
                                  struct ew_tensor *x, int64_t start)
{
    struct ew_scope *s = ov->s;
    const struct incremental *st = ov->e->state;
    const struct ew_model *m = ov->e->model;
    change_layer(ov, r, -1, x, start);
    toggle_layer(ov, r, -1, x, start);
    for (int l = 0; reads_layer(ov->e, r, l) && ew_scope_ok(s); l++) {
        if (!change_layer(ov, r, l, NULL, start) &&
            !toggle_layer(ov, r, l, NULL, start)) {
            continue;
        }
        struct ew_tensor *was = ew_unsqueeze(
            s,
            attn_sum(s, ov->e, &st->geo, &st->cur, ov->e->kept, r, l, start),
            1);
        struct ew_tensor *is = ew_expand(
            s, was, 4, (int64_t[]){ov->geo.b, ov->w, -1, -1});
        is = ew_contiguous(s, ew_clone(s, is));
        change_layer(ov, r, l, is, start);
        toggle_layer(ov, r, l, is, start);
        silent_put_attn(ov, r, l, is, start);
        ew_add_into(s, x, ew_block_attn_post(s, m, l, is), 1.0);
        ew_add_into(s, x, ew_block_attn_post(s, m, l, was), -1.0);
    }
    return x;
}
