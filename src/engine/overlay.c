/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What-ifs as batches of lanes. What-ifs that start at the same receiver share
 * everything downstream but their data.
 */
#include "overlay.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

/* Rows (lanes x prompts x positions) of one batch: products are at full
 * speed from here on, and a batch stays short enough to be cancelled. */
static const int64_t batch_rows = 1024;

void overlay_destroy(struct overlay *ov)
{
    if (!ov) {
        return;
    }
    ew_scope_finish(ov->s, NULL);
    silent_forget(ov);
    free(ov->toggles);
    free(ov->x);
    free(ov->raw);
    free(ov->scale);
    free(ov->twin);
    free(ov->heads);
    free(ov->mlp);
    free(ov->change);
    free(ov->wide);
    free(ov->together);
    ew_bitset_destroy(ov->changed);
    ew_bitset_destroy(ov->before);
    ew_bitset_destroy(ov->kept);
    ew_bitset_destroy(ov->live);
    ew_bitset_destroy(ov->tail);
    ew_bitset_destroy(ov->unpinned);
    ew_bitset_destroy(ov->skipped);
    ew_bitset_destroy(ov->summed);
    ew_bitset_destroy(ov->used);
    ew_tensor_unref(ov->u);
    free(ov->scores);
    free(ov);
}

static int by_receiver(const void *a, const void *b)
{
    const struct toggle *x = a, *y = b;
    if (x->receiver != y->receiver) {
        return x->receiver < y->receiver ? -1 : 1;
    }
    if (x->lane != y->lane) {
        return x->lane < y->lane ? -1 : 1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Receivers that matter when any lane's restored edges are kept. */
static void find_live(struct overlay *ov)
{
    const struct ew_graph *graph = ov->e->graph;
    ov->before = ew_bitset_clone(ov->e->kept);
    ov->kept = ew_bitset_clone(ov->e->kept);
    for (size_t i = 0; i < ov->n_toggles; i++) {
        ew_bitset_put(ov->kept, ov->toggles[i].edge, true);
    }
    ew_graph_live_receivers(graph, ov->kept, ov->live);
}

struct overlay *overlay_create(struct ew_engine *e,
                               const struct ew_what_if *ifs, size_t n,
                               unsigned want)
{
    struct incremental *st = e->state;
    const struct geometry *g = &st->geo;
    struct overlay *ov = ew_xcalloc(1, sizeof(*ov));
    ov->e = e;
    ov->s = ew_scope_open(e->model->device);
    ov->want = want;
    ov->geo = *g;
    int64_t start = readout_start(&st->out, want);
    ov->geo.o = start > g->o ? start : g->o;
    ov->w = (int64_t)n;
    size_t n_toggles = 0;
    for (size_t i = 0; i < n; i++) {
        n_toggles += ifs[i].n;
    }
    ov->toggles = ew_xcalloc(n_toggles, sizeof(*ov->toggles));
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < ifs[i].n; j++) {
            uint32_t edge = ifs[i].edges[j];
            ov->toggles[ov->n_toggles++] = (struct toggle){
                .receiver = ew_edge_receiver(e->graph, edge),
                .lane = (uint32_t)i,
                .edge = edge,
                .order = (uint32_t)j};
        }
    }
    qsort(ov->toggles, n_toggles, sizeof(*ov->toggles), by_receiver);
    size_t n_heads = (size_t)g->n_layers * (size_t)g->n_heads;
    ov->x = ew_xcalloc(st->n_receivers, sizeof(*ov->x));
    ov->raw = ew_xcalloc(st->n_receivers, sizeof(*ov->raw));
    ov->scale = ew_xcalloc(st->n_receivers, sizeof(*ov->scale));
    ov->twin = ew_xcalloc(st->n_receivers, sizeof(*ov->twin));
    ov->heads = ew_xcalloc(n_heads, sizeof(*ov->heads));
    ov->mlp = ew_xcalloc((size_t)g->n_layers, sizeof(*ov->mlp));
    ov->change = ew_xcalloc(st->n_senders, sizeof(*ov->change));
    ov->wide = ew_xcalloc(st->n_senders, sizeof(*ov->wide));
    ov->together =
        ew_xcalloc((size_t)g->n_layers, sizeof(*ov->together));
    ov->changed = ew_bitset_create(st->n_senders);
    ov->summed = ew_bitset_create(st->n_senders);
    ov->used = ew_bitset_create(st->n_senders);
    ov->live = ew_bitset_create(st->n_receivers);
    ov->unpinned = ew_bitset_create(st->n_senders);
    ov->skipped = ew_bitset_create(st->n_receivers);
    find_live(ov);
    silent_find(ov);
    return ov;
}

bool overlay_reaches_logits(const struct overlay *ov)
{
    uint32_t r = logits_receiver(&ov->geo);
    return ov->x[r] || ov->scale[r];
}

bool overlay_enough(struct overlay *ov, int64_t lane)
{
    ov->stopped =
        ov->until && ov->until->enough(ov->until->data, &ov->scores[lane]);
    return ov->stopped;
}

static void ask_all(struct overlay *ov)
{
    for (int64_t lane = 0; lane < ov->w && !overlay_enough(ov, lane);
         lane++) {
    }
}

/* Score the lanes; a lane that leaves the logits alone scores as the state. */
static bool score_lanes(struct overlay *ov, double *prompt_ld,
                        const struct ew_cancel *cancel)
{
    struct ew_engine *e = ov->e;
    struct incremental *st = e->state;
    struct ew_tensor *x = ov->x[logits_receiver(&ov->geo)];
    ov->scores = ew_xcalloc((size_t)ov->w, sizeof(*ov->scores));
    if (overlay_reaches_logits(ov)) {
        for (int64_t lane = 0; lane < ov->w; lane++) {
            ov->scores[lane] = ew_score_unknown();
        }
        if (x && !readout_score(ov->s, e, &st->out, &ov->geo, x, ov->geo.o,
                                ov->want & EW_WANT_ANSWERS, ov->scores,
                                prompt_ld)) {
            return false;
        }
        if (st->low.on && ov->want & EW_WANT_KL) {
            low_rank_score(ov);
            return ew_scope_ok(ov->s);
        }
        if (ov->want & ~(unsigned)EW_WANT_ANSWERS) {
            readout_score_rows(ov->s, e, &st->out, &ov->geo, x, ov->geo.o,
                               ov->want, ov->scores);
        }
        if (ew_scope_ok(ov->s)) {
            ask_all(ov);
        }
        return ew_scope_ok(ov->s);
    }
    struct ew_score same;
    struct ew_err err = {0};
    if (!e->ops->score(e, ov->want, &same, prompt_ld, cancel, &err)) {
        ew_scope_fail(ov->s, err.code, "%s", err.message);
        return false;
    }
    size_t n_b = (size_t)ov->geo.b;
    for (int64_t lane = 0; lane < ov->w; lane++) {
        ov->scores[lane] = same;
        if (prompt_ld && lane > 0) {
            memcpy(prompt_ld + (size_t)lane * n_b, prompt_ld,
                   n_b * sizeof(*prompt_ld));
        }
    }
    ask_all(ov);
    return true;
}

static bool overlay_score(struct overlay *ov, double *prompt_ld,
                          const struct ew_cancel *cancel)
{
    ew_scope_watch(ov->s, cancel);
    bool ok = score_lanes(ov, prompt_ld, cancel);
    ew_scope_watch(ov->s, NULL);
    return ok;
}

bool overlay_take_error(struct overlay *ov, struct ew_err *err)
{
    /* destroying the scope is what tells its error */
    bool ok = ew_scope_finish(ov->s, err);
    ov->s = ew_scope_open(ov->e->model->device);
    return ok;
}

struct overlay *overlay_evaluate(struct ew_engine *e,
                                 const struct ew_what_if *ifs, size_t n,
                                 unsigned want, unsigned how,
                                 const struct ew_cancel *cancel,
                                 struct ew_err *err)
{
    struct overlay *ov = overlay_create(e, ifs, n, want);
    ov->written = how & OVERLAY_WRITTEN;
    if (how & OVERLAY_TAILS && !e->model->arch.post_norms &&
        ov->geo.o > ov->geo.a) {
        const struct incremental *st = e->state;
        ov->tail = ew_bitset_create(st->n_senders);
        find_tails(e->graph, ov->kept, ov->live, ov->tail);
        ov->geo.tail = ov->tail;
    }
    if (needs_refresh(e, ov->kept, ov->live, ov->tail) &&
        !state_refresh(e, e->kept, cancel, err)) {
        overlay_destroy(ov);
        return NULL;
    }
    ew_scope_watch(ov->s, cancel);
    if (!overlay_sweep(ov)) {
        overlay_take_error(ov, err);
        overlay_destroy(ov);
        return NULL;
    }
    ew_scope_watch(ov->s, NULL);
    return ov;
}

static uint32_t first_receiver(const struct ew_engine *e,
                               const struct ew_what_if *w)
{
    uint32_t first = EW_NONE;
    for (size_t i = 0; i < w->n; i++) {
        uint32_t r = ew_edge_receiver(e->graph, w->edges[i]);
        first = r < first ? r : first;
    }
    return first;
}

size_t overlay_lanes(const struct ew_engine *e)
{
    const struct geometry *g = &((struct incremental *)e->state)->geo;
    int64_t lanes = batch_rows / (g->b * (g->t - g->a));
    return lanes < 1 ? 1 : lanes > MAX_LANES ? MAX_LANES : (size_t)lanes;
}

bool overlay_what_if(struct ew_engine *e, const struct ew_what_if *ifs,
                     size_t n, unsigned want, struct ew_score *out,
                     double *prompt_ld, const struct until *until,
                     const struct ew_cancel *cancel, struct ew_err *err)
{
    struct incremental *st = e->state;
    const struct geometry *g = &st->geo;
    if (!overlay_flush(e, err)) {
        return false;
    }
    size_t lanes = overlay_lanes(e);
    /* one that will be committed has to be whole, but on a walk */
    unsigned how = e->params.walk || !until ? OVERLAY_TAILS : 0;
    bool stopped = false;
    for (size_t i = 0; i < n && !stopped;) {
        uint32_t r = first_receiver(e, &ifs[i]);
        size_t count = 1;
        while (i + count < n && count < lanes &&
               first_receiver(e, &ifs[i + count]) == r) {
            count++;
        }
        overlay_destroy(st->last);
        st->last = NULL;
        struct overlay *ov =
            overlay_evaluate(e, &ifs[i], count, want, how, cancel, err);
        if (!ov) {
            return false;
        }
        ov->until = until;
        double *ld = prompt_ld ? prompt_ld + i * (size_t)g->b : NULL;
        if (!overlay_score(ov, ld, cancel) || !ew_scope_ok(ov->s)) {
            overlay_take_error(ov, err);
            overlay_destroy(ov);
            return false;
        }
        memcpy(&out[i], ov->scores, count * sizeof(*out));
        st->last = ov;
        stopped = ov->stopped;
        i += count;
    }
    return true;
}
