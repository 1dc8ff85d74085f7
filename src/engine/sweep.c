/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sweep: from the first receiver that a what-if touches to the logits,
 * recompute what changed and nothing else. A node none of whose inputs
 * changed is not touched; a receiver that does not matter is skipped.
 */
#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

#include "overlay.h"

static bool cut_direct(const struct overlay *ov, uint32_t r)
{
    uint32_t direct = ew_graph_direct_edge(ov->e->graph, r);
    return direct != EW_NONE && !ew_bitset_has(ov->e->kept, direct);
}

static bool has_direct_toggle(const struct overlay *ov, uint32_t r)
{
    uint32_t direct = ew_graph_direct_edge(ov->e->graph, r);
    size_t first;
    size_t end = overlay_toggles_of(ov, r, &first);
    for (; first < end; first++) {
        if (ov->toggles[first].edge == direct) {
            return true;
        }
    }
    return false;
}

static bool any_toggle(const struct overlay *ov, uint32_t r)
{
    size_t first;
    return overlay_toggles_of(ov, r, &first) > first;
}

/* Do receivers i and j, old inputs the same, see the same changes, j at all
 * positions that i does? */
static bool same_input(const struct overlay *ov, uint32_t i, uint32_t j)
{
    const struct incremental *st = ov->e->state;
    const struct ew_graph *graph = ov->e->graph;
    if (st->cur.x[i] != st->cur.x[j] || any_toggle(ov, i) ||
        any_toggle(ov, j) ||
        receiver_start(&ov->geo, j) > receiver_start(&ov->geo, i)) {
        return false;
    }
    uint32_t n = ew_graph_n_senders_of(graph, i);
    uint32_t fi = ew_graph_first_edge(graph, i);
    uint32_t fj = ew_graph_first_edge(graph, j);
    /* through a post-norm, what else they keep matters too */
    bool all = ov->e->model->arch.post_norms;
    for (size_t s = all ? 0 : ew_bitset_next(ov->changed, 0); s < n;
         s = all ? s + 1 : ew_bitset_next(ov->changed, s + 1)) {
        if (ew_bitset_has(ov->e->kept, fi + s) !=
            ew_bitset_has(ov->e->kept, fj + s)) {
            return false;
        }
    }
    return true;
}

/* Anything new for receiver r, whether it matters or not? */
static bool touched(const struct overlay *ov, uint32_t r)
{
    if (any_toggle(ov, r)) {
        return true;
    }
    uint32_t n = ew_graph_n_senders_of(ov->e->graph, r);
    uint32_t first = ew_graph_first_edge(ov->e->graph, r);
    for (size_t s = ew_bitset_next(ov->changed, 0); s < n;
         s = ew_bitset_next(ov->changed, s + 1)) {
        if (ew_bitset_has(ov->e->kept, first + s)) {
            return true;
        }
    }
    return false;
}

/* Does the only lane cut the last edges that r keeps? */
static bool falls_silent(const struct overlay *ov, uint32_t r)
{
    const struct ew_graph *graph = ov->e->graph;
    uint32_t edge0 = ew_graph_first_edge(graph, r);
    size_t at;
    size_t end = overlay_toggles_of(ov, r, &at);
    size_t n_cut = end - at;
    for (; at < end; at++) {
        if (!ew_bitset_has(ov->before, ov->toggles[at].edge)) {
            return false;
        }
    }
    return n_cut > 0 &&
           n_cut == ew_bitset_count_range(
                        ov->before, edge0,
                        edge0 + ew_graph_n_senders_of(graph, r));
}

/* Is r's q, k or v in the only lane what a cut direct edge carries? */
static bool as_pinned(const struct overlay *ov, uint32_t r)
{
    return ov->w == 1 && !has_direct_toggle(ov, r) &&
           (ov->silent ? !ov->silent_rows && ew_bitset_has(ov->silent[0], r)
                       : ov->e->params.ablation == EW_ABLATE_CORRUPTED &&
                             falls_silent(ov, r));
}

/* What a cut direct edge carries, from where the overlay starts. */
static struct ew_tensor *pinned_from(const struct overlay *ov, int layer,
                                     int h, enum ew_qkv which)
{
    const struct incremental *st = ov->e->state;
    struct ew_tensor *t = pinned(ov->s, st, layer, h, which);
    return which == EW_Q ? rows_from(ov->s, t, head_start(&st->geo, layer, h),
                                     head_start(&ov->geo, layer, h))
                         : t;
}

/* New inputs of a layer's 3 H receivers; equal ones are one tensor. Where the
 * input need not be written down, qkv is there instead. */
static bool layer_inputs(struct overlay *ov, int layer,
                         struct ew_tensor **xin, struct ew_tensor **qkv)
{
    int n = 3 * ov->geo.n_heads;
    uint32_t r0 = receiver_of(&ov->geo, layer, 0, EW_Q);
    bool any = false;
    for (int i = 0; i < n; i++) {
        uint32_t r = r0 + (uint32_t)i;
        xin[i] = NULL;
        if (!touched(ov, r)) {
            continue;
        }
        if (!ew_bitset_has(ov->live, r) ||
            (cut_direct(ov, r) && !has_direct_toggle(ov, r))) {
            ew_bitset_put(ov->skipped, r, true);
            if (has_direct_toggle(ov, r)) {
                ew_bitset_put(ov->unpinned,
                              ew_graph_feeds(ov->e->graph, r), true);
            }
            continue;
        }
        if (as_pinned(ov, r)) {
            const struct incremental *st = ov->e->state;
            ov->x[r] = ew_unsqueeze(ov->s, st->cut.x[r], 1);
            qkv[i] = pinned_from(ov, layer, i / 3, (enum ew_qkv)(i % 3));
            any = true;
            continue;
        }
        uint32_t twin = r;
        for (int j = 0; j < i && twin == r; j++) {
            if ((xin[j] || qkv[j]) && same_input(ov, r, r0 + (uint32_t)j)) {
                twin = r0 + (uint32_t)j;
            }
        }
        if (thin_applies(ov, r)) {
            qkv[i] = thin_project(ov, r, twin);
            any = true;
            continue;
        }
        xin[i] = twin != r ? xin[twin - r0] : overlay_input(ov, r);
        ov->x[r] = xin[i];
        any = any || xin[i] || has_direct_toggle(ov, r);
    }
    return any;
}

/* The state's q, k or v of a receiver as one lane; k and v from a. */
static struct ew_tensor *current_qkv(const struct overlay *ov, int layer,
                                     int h, enum ew_qkv which)
{
    const struct incremental *st = ov->e->state;
    const struct head *head = &st->cur.heads[layer * ov->geo.n_heads + h];
    struct ew_tensor *t = which == EW_Q   ? head->q
                          : which == EW_K ? rows_from(ov->s, head->k, 0,
                                                      ov->geo.a)
                                          : rows_from(ov->s, head->v, 0,
                                                      ov->geo.a);
    return ew_unsqueeze(ov->s, t, 1);
}

/* q, k or v of a receiver whose direct edge some lanes flip. */
static struct ew_tensor *with_direct(struct overlay *ov, int layer, int h,
                                     enum ew_qkv which,
                                     struct ew_tensor *computed)
{
    struct ew_scope *s = ov->s;
    const struct geometry *g = &ov->geo;
    const struct incremental *st = ov->e->state;
    uint32_t r = receiver_of(g, layer, h, which);
    bool cut = cut_direct(ov, r);
    int64_t had = head_start(&st->geo, layer, h);
    int64_t start = head_start(g, layer, h);
    struct ew_tensor *pin = pinned_from(ov, layer, h, which);
    struct ew_tensor *now = current_qkv(ov, layer, h, which);
    if (which == EW_Q) {
        now = rows_from(s, now, had, start);
    }
    struct ew_tensor *base = cut ? pin : computed ? computed : now;
    struct ew_tensor *other = cut ? computed : pin;
    base = ew_expand(s, base, 4, (int64_t[]){g->b, ov->w, -1, -1});
    base = ew_contiguous(s, ew_clone(s, base));
    size_t first;
    size_t end = overlay_toggles_of(ov, r, &first);
    uint32_t direct = ew_graph_direct_edge(ov->e->graph, r);
    for (; first < end; first++) {
        const struct toggle *t = &ov->toggles[first];
        if (t->edge == direct) {
            int64_t lane = ew_dim(other, 1) == 1 ? 0 : t->lane;
            ew_copy_into(s, ew_select(s, base, 1, t->lane),
                         ew_select(s, other, 1, lane));
        }
    }
    return base;
}

/* A pinned receiver that a lane sets free needs its input, changed or not. */
static void free_inputs(struct overlay *ov, int layer, struct ew_tensor **xin)
{
    const struct incremental *st = ov->e->state;
    uint32_t r0 = receiver_of(&ov->geo, layer, 0, EW_Q);
    for (int i = 0; i < 3 * ov->geo.n_heads; i++) {
        uint32_t r = r0 + (uint32_t)i;
        if (!xin[i] && cut_direct(ov, r) && has_direct_toggle(ov, r) &&
            ew_bitset_has(ov->live, r)) {
            xin[i] = ew_unsqueeze(ov->s, st->cur.x[r], 1);
        }
    }
}

void overlay_note_change(struct overlay *ov, uint32_t sender,
                         struct ew_tensor *now, struct ew_tensor *was)
{
    const struct incremental *st = ov->e->state;
    was = rows_from(ov->s, was, sent_start(&st->geo, sender),
                    sent_start(&ov->geo, sender));
    struct ew_tensor *change =
        ew_sub(ov->s, now, ew_unsqueeze(ov->s, was, 1));
    ov->change[sender] = ew_contiguous(ov->s, change);
    ew_bitset_put(ov->changed, sender, true);
}

/* Does any lane flip the direct edge of a receiver of the layer? */
static bool flips_direct(const struct overlay *ov, int layer)
{
    uint32_t r0 = receiver_of(&ov->geo, layer, 0, EW_Q);
    for (uint32_t i = 0; i < 3 * (uint32_t)ov->geo.n_heads; i++) {
        if (has_direct_toggle(ov, r0 + i)) {
            return true;
        }
    }
    return false;
}

static void sweep_heads(struct overlay *ov, int layer)
{
    const struct geometry *g = &ov->geo;
    const struct incremental *st = ov->e->state;
    size_t n = 3 * (size_t)g->n_heads;
    struct ew_tensor **xin = ew_xcalloc(n, sizeof(*xin));
    struct ew_tensor **qkv = ew_xcalloc(n, sizeof(*qkv));
    if (!layer_inputs(ov, layer, xin, qkv)) {
        goto out;
    }
    if (layer_applies(ov, layer, xin) && !flips_direct(ov, layer)) {
        layer_sweep(ov, layer, xin[0]);
        goto out;
    }
    free_inputs(ov, layer, xin);
    project_layer(ov->s, ov->e->model, g, layer, xin, qkv);
    for (int h = 0; h < g->n_heads && ew_scope_ok(ov->s); h++) {
        bool any = false;
        for (int which = EW_Q; which <= EW_V; which++) {
            struct ew_tensor **slot = &qkv[3 * h + which];
            uint32_t r = receiver_of(g, layer, h, (enum ew_qkv)which);
            if (has_direct_toggle(ov, r) && ew_bitset_has(ov->live, r)) {
                *slot = with_direct(ov, layer, h, (enum ew_qkv)which, *slot);
            }
            any = any || *slot;
        }
        if (!any) {
            continue;
        }
        const struct head *was = &st->cur.heads[layer * g->n_heads + h];
        struct head_lanes *lanes = &ov->heads[layer * g->n_heads + h];
        mix_head(ov->s, ov->e->model, g, layer, h, was,
                 out_start(&st->geo, layer), qkv[3 * h], qkv[3 * h + 1],
                 qkv[3 * h + 2], lanes);
        overlay_note_change(ov, head_sender(g, layer, h), lanes->z, was->z);
    }
out:
    free(xin);
    free(qkv);
}

static void sweep_mlp(struct overlay *ov, int layer)
{
    const struct geometry *g = &ov->geo;
    const struct incremental *st = ov->e->state;
    uint32_t r = mlp_receiver(g, layer);
    if (!touched(ov, r)) {
        return;
    }
    if (!ew_bitset_has(ov->live, r)) {
        ew_bitset_put(ov->skipped, r, true);
        return;
    }
    struct ew_tensor *x = overlay_input(ov, r);
    ov->x[r] = x;
    struct ew_scope *inner = ew_scope_open_in(ov->s);
    struct ew_tensor *y = ew_block_mlp(inner, ov->e->model, layer,
                                       as_rows(inner, x), NULL, NULL);
    y = ew_reshape(inner, y, 4,
                   (int64_t[]){g->b, ov->w, ew_dim(x, 2), g->d});
    y = y ? ew_keep(y) : NULL;
    if (!ew_scope_finish(inner, NULL)) {
        ew_tensor_unref(y);
        return;
    }
    ov->mlp[layer] = ew_adopt(ov->s, y);
    overlay_note_change(ov, mlp_sender(g, layer), ov->mlp[layer],
                        st->cur.mlp[layer]);
}

bool overlay_sweep(struct overlay *ov)
{
    const struct geometry *g = &ov->geo;
    for (int layer = 0; layer < g->n_layers && ew_scope_ok(ov->s); layer++) {
        sweep_heads(ov, layer);
        if (g->mlp) {
            sweep_mlp(ov, layer);
        }
    }
    uint32_t logits = logits_receiver(g);
    if (touched(ov, logits)) {
        ov->low_rank = !ov->written && low_rank_applies(ov);
        if (!thin_logits(ov)) {
            ov->x[logits] = overlay_input(ov, logits);
        }
    }
    return ew_scope_ok(ov->s);
}
