/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs that are nothing but biases, under zero ablation. A new input is made
 * from the old one and what changed, and an input from scratch from all that
 * is sent less what is cut: where nothing should be left that leaves rounding,
 * and a norm makes it as large as its epsilon allows. So it is told from the
 * edges which inputs are silent, and these are what cut edges carry, to the
 * bit. Without biases (Llama's kind) a head or MLP whose input is silent sends
 * nothing either: it is quiet, and a receiver may keep its edge and be silent
 * all the same.
 */
#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

#include "overlay.h"

/* Does an MLP send nothing when only biases reach it? All its rows are the
 * same then. */
static bool mlp_is_mute(struct ew_scope *s, const struct ew_engine *e,
                        int layer)
{
    const struct incremental *st = e->state;
    struct ew_tensor *x = st->cut.x[mlp_receiver(&st->geo, layer)];
    x = ew_narrow(s, as_rows(s, x), 0, 0, 1);
    struct ew_tensor *y = ew_block_mlp(s, e->model, layer, x, NULL, NULL);
    return ew_item(s, ew_sum_all(s, ew_abs(s, y))) == 0.0;
}

bool silent_open(struct ew_engine *e, struct ew_err *err)
{
    struct incremental *st = e->state;
    const struct geometry *g = &st->geo;
    if (e->params.ablation != EW_ABLATE_ZERO) {
        return true;
    }
    st->mute = ew_bitset_create(st->n_senders);
    struct ew_scope *s = ew_scope_open(e->model->device);
    for (int l = 0; l < g->n_layers && ew_scope_ok(s); l++) {
        for (int h = 0; h < g->n_heads; h++) {
            struct ew_tensor *v = st->cut.heads[l * g->n_heads + h].v;
            ew_bitset_put(st->mute, head_sender(g, l, h),
                          ew_item(s, ew_sum_all(s, ew_abs(s, v))) == 0.0);
        }
        if (g->mlp) {
            ew_bitset_put(st->mute, mlp_sender(g, l), mlp_is_mute(s, e, l));
        }
    }
    return ew_scope_finish(s, err);
}

/* One circuit, its senders in their order. */
struct look {
    const struct ew_engine *e;
    const struct ew_bitset *kept;
    struct ew_bitset *silent; /* receivers */
    struct ew_bitset *quiet;  /* senders */
    size_t next; /* a kept edge: none lies between the last receiver and it */
};

/* Does r keep no edge but from senders that are quiet? Asked of all in their
 * order. */
static bool see(struct look *k, uint32_t r)
{
    const struct ew_graph *graph = k->e->graph;
    uint32_t edge0 = ew_graph_first_edge(graph, r);
    size_t end = edge0 + ew_graph_n_senders_of(graph, r);
    if (k->next < edge0) {
        k->next = ew_bitset_next(k->kept, edge0);
    }
    while (k->next < end && ew_bitset_has(k->quiet, k->next - edge0)) {
        k->next = ew_bitset_next(k->kept, k->next + 1);
    }
    bool silent = k->next >= end;
    ew_bitset_put(k->silent, r, silent);
    return silent;
}

static void look_around(struct look *k)
{
    const struct incremental *st = k->e->state;
    const struct geometry *g = &st->geo;
    ew_bitset_fill(k->quiet, false);
    for (int l = 0; l < g->n_layers; l++) {
        for (int h = 0; h < g->n_heads; h++) {
            uint32_t s = head_sender(g, l, h);
            uint32_t v = receiver_of(g, l, h, EW_V);
            see(k, receiver_of(g, l, h, EW_Q));
            see(k, receiver_of(g, l, h, EW_K));
            uint32_t direct = ew_graph_direct_edge(k->e->graph, v);
            bool none = see(k, v) || !ew_bitset_has(k->kept, direct);
            ew_bitset_put(k->quiet, s, none && ew_bitset_has(st->mute, s));
        }
        if (g->mlp) {
            uint32_t s = mlp_sender(g, l);
            bool none = see(k, mlp_receiver(g, l));
            ew_bitset_put(k->quiet, s, none && ew_bitset_has(st->mute, s));
        }
    }
    see(k, logits_receiver(g));
}

struct ew_bitset *silent_cut(const struct ew_engine *e,
                             const struct ew_bitset *kept)
{
    const struct incremental *st = e->state;
    struct ew_bitset *out = ew_bitset_clone(kept);
    if (st->mute) {
        struct look k = {.e = e,
                         .kept = kept,
                         .silent = ew_bitset_create(st->n_receivers),
                         .quiet = ew_bitset_create(st->n_senders)};
        look_around(&k);
        for (uint32_t i = 0; i < ew_graph_n_addition(e->graph); i++) {
            if (ew_bitset_has(k.quiet, ew_edge_sender(e->graph, i))) {
                ew_bitset_put(out, i, false);
            }
        }
        ew_bitset_destroy(k.silent);
        ew_bitset_destroy(k.quiet);
    }
    return out;
}

static void flip_lane(const struct overlay *ov, uint32_t lane,
                      struct ew_bitset *kept)
{
    for (size_t i = 0; i < ov->n_toggles; i++) {
        if (ov->toggles[i].lane == lane) {
            ew_bitset_flip(kept, ov->toggles[i].edge);
        }
    }
}

void silent_find(struct overlay *ov)
{
    const struct incremental *st = ov->e->state;
    if (!st->mute) {
        return;
    }
    ov->silent = ew_xcalloc((size_t)ov->w, sizeof(struct ew_bitset *));
    ov->quiet = ew_xcalloc((size_t)ov->w, sizeof(struct ew_bitset *));
    struct ew_bitset *kept = ew_bitset_clone(ov->before);
    for (uint32_t lane = 0; lane < ov->w; lane++) {
        ov->silent[lane] = ew_bitset_create(st->n_receivers);
        ov->quiet[lane] = ew_bitset_create(st->n_senders);
        struct look k = {.e = ov->e,
                         .kept = kept,
                         .silent = ov->silent[lane],
                         .quiet = ov->quiet[lane]};
        flip_lane(ov, lane, kept);
        look_around(&k);
        flip_lane(ov, lane, kept);
    }
    ew_bitset_destroy(kept);
}

void silent_forget(struct overlay *ov)
{
    for (int64_t lane = 0; ov->silent && lane < ov->w; lane++) {
        ew_bitset_destroy(ov->silent[lane]);
        ew_bitset_destroy(ov->quiet[lane]);
    }
    free(ov->silent);
    free(ov->quiet);
    ov->silent = ov->quiet = NULL;
}

void silent_where(struct overlay *ov, const struct overlay *whole,
                  struct ew_tensor *rows)
{
    for (int64_t lane = 0; ov->silent && lane < ov->w; lane++) {
        ew_bitset_copy(ov->silent[lane], whole->silent[0]);
        ew_bitset_copy(ov->quiet[lane], whole->quiet[0]);
    }
    ov->silent_rows = rows;
}

bool silent_in_any(const struct overlay *ov, uint32_t r)
{
    bool any = false;
    for (int64_t lane = 0; ov->silent && lane < ov->w && !any; lane++) {
        any = ew_bitset_has(ov->silent[lane], r);
    }
    return any;
}

/* One lane of x (B, W, T - start, D), or its silent rows: as `cut`. */
static void put_lane(struct overlay *ov, struct ew_tensor *x, int64_t lane,
                     const struct ew_tensor *cut, int64_t start)
{
    struct ew_scope *s = ov->s;
    x = ew_select(s, x, 1, lane);
    if (!ov->silent_rows) {
        ew_copy_into(s, x, cut);
        return;
    }
    struct ew_tensor *rows =
        rows_from(s, ew_select(s, ov->silent_rows, 1, lane), 0, start);
    ew_mul_into(s, x, ew_shift(s, ew_neg(s, rows), 1.0));
    ew_add_into(s, x, ew_mul(s, cut, rows), 1.0);
}

void silent_put(struct overlay *ov, uint32_t r, struct ew_tensor *x,
                int64_t start)
{
    const struct incremental *st = ov->e->state;
    struct ew_tensor *cut =
        silent_in_any(ov, r)
            ? rows_from(ov->s, st->cut.x[r], receiver_start(&st->geo, r),
                        start)
            : NULL;
    for (int64_t lane = 0; cut && lane < ov->w; lane++) {
        if (ew_bitset_has(ov->silent[lane], r)) {
            put_lane(ov, x, lane, cut, start);
        }
    }
}

/* Are all heads of a layer whose edges into r a lane keeps quiet? */
static bool attn_is_silent(const struct overlay *ov, uint32_t r, int layer,
                           uint32_t lane)
{
    const struct geometry *g = &ov->geo;
    uint32_t first = head_sender(g, layer, 0);
    uint32_t edge0 = ew_graph_first_edge(ov->e->graph, r);
    bool any = false;
    for (uint32_t h = 0; h < (uint32_t)g->n_heads && !any; h++) {
        uint32_t edge = edge0 + first + h;
        bool flipped = false;
        size_t i;
        size_t end = overlay_lane_toggles(ov, r, lane, &i);
        for (; i < end; i++) {
            flipped = flipped != (ov->toggles[i].edge == edge);
        }
        any = ew_bitset_has(ov->before, edge) != flipped &&
              !ew_bitset_has(ov->quiet[lane], first + h);
    }
    return !any;
}

void silent_put_attn(struct overlay *ov, uint32_t r, int layer,
                     struct ew_tensor *u, int64_t start)
{
    const struct incremental *st = ov->e->state;
    struct ew_tensor *cut = NULL;
    for (uint32_t lane = 0; ov->quiet && lane < ov->w; lane++) {
        if (!attn_is_silent(ov, r, layer, lane)) {
            continue;
        }
        if (!cut) {
            cut = attn_sum(ov->s, ov->e, &st->geo, &st->cut, NULL, r, layer,
                           start);
        }
        put_lane(ov, u, lane, cut, start);
    }
}
