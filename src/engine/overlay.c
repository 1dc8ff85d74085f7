/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What-ifs as batches of lanes, and committing one of them. What-ifs that
 * start at the same receiver share everything downstream but their data.
 */
#include "overlay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

/* Rows (lanes x prompts x positions) of one batch: products are at full
 * speed from here on, and a batch stays short enough to be cancelled. */
static const int64_t batch_rows = 1024;
/* Flips past which a commit evaluates from scratch, and commits after which
 * it does so anyway, so that rounding does not add up. */
enum { MANY_FLIPS = 64, COMMITS_TO_REFRESH = 256 };

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

/* Does a lane flip exactly these edges? Both are short or it does not
 * matter. */
static bool lane_is(const struct overlay *ov, uint32_t lane,
                    const uint32_t *flipped, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < ov->n_toggles; i++) {
        if (ov->toggles[i].lane != lane) {
            continue;
        }
        bool found = false;
        for (size_t j = 0; j < n && !found; j++) {
            found = flipped[j] == ov->toggles[i].edge;
        }
        if (!found) {
            return false;
        }
        count++;
    }
    return count == n;
}

static bool sender_narrows(const struct overlay *ov, uint32_t sender)
{
    const struct incremental *st = ov->e->state;
    return ew_bitset_has(ov->changed, sender) &&
           sent_start(&ov->geo, sender) > sent_start(&st->geo, sender);
}

static bool receiver_narrows(const struct overlay *ov, uint32_t r)
{
    const struct incremental *st = ov->e->state;
    return (ov->x[r] || ov->raw[r]) &&
           receiver_start(&ov->geo, r) > receiver_start(&st->geo, r);
}

/* Has it changed tails from `o` only that the state knows before that? */
static bool narrows(const struct overlay *ov)
{
    const struct incremental *st = ov->e->state;
    bool any = false;
    for (uint32_t i = 0; ov->tail && i < st->n_senders && !any; i++) {
        any = sender_narrows(ov, i);
    }
    for (uint32_t r = 0; ov->tail && r < logits_receiver(&st->geo) && !any;
         r++) {
        any = receiver_narrows(ov, r);
    }
    return any;
}

/* The lane of the last batch that flips exactly these edges, or -1. */
static int64_t find_lane(const struct incremental *st, const uint32_t *flipped,
                         size_t n)
{
    const struct overlay *ov = st->last;
    if (!ov || ov->geo.o != st->geo.o || (narrows(ov) && !ov->e->params.walk)) {
        return -1;
    }
    for (uint32_t lane = 0; lane < ov->w; lane++) {
        if (lane_is(ov, lane, flipped, n)) {
            return lane;
        }
    }
    return -1;
}

void overlay_put_rows(struct ew_scope *s, struct ew_tensor **slot,
                      struct ew_tensor *t)
{
    int64_t rows = *slot ? ew_dim(*slot, 1) : 0;
    int64_t n = ew_dim(t, 1);
    if (n < rows) {
        struct ew_tensor *all = ew_clone(s, *slot);
        ew_copy_into(s, ew_narrow(s, all, 1, rows - n, n), t);
        t = all;
    }
    if (ew_scope_ok(s)) {
        put_ref(slot, t);
    }
}

/* Put one lane of (B, W, ..) into a slot of the state. */
static void commit_lane(struct ew_scope *s, struct ew_tensor **slot,
                        struct ew_tensor *t, int64_t lane)
{
    if (t) {
        /* the only lane's memory is taken over, another's copied out */
        t = ew_dim(t, 1) == 1 ? ew_select(s, t, 1, 0)
                              : ew_clone(s, ew_select(s, t, 1, lane));
        overlay_put_rows(s, slot, ew_contiguous(s, t));
    }
}

/* Note what the state now knows from `o` only. */
static void commit_tails(const struct overlay *ov)
{
    struct incremental *st = ov->e->state;
    for (uint32_t i = 0; ov->tail && i < st->n_senders; i++) {
        if (sender_narrows(ov, i)) {
            ew_bitset_put(st->tail_out, i, true);
        }
    }
    for (uint32_t r = 0; ov->tail && r < logits_receiver(&st->geo); r++) {
        if (receiver_narrows(ov, r)) {
            ew_bitset_put(st->tail_x, r, true);
        }
    }
}

static void commit_inputs(struct overlay *ov, int64_t lane)
{
    struct incremental *st = ov->e->state;
    for (uint32_t r = 0; r < st->n_receivers; r++) {
        if (ov->raw[r] || ov->scale[r]) {
            thin_commit(ov, r, lane);
            if (st->raw[r] || !ov->tail) { /* else it may be known in part */
                commit_lane(ov->s, &st->raw[r], ov->raw[r], lane);
            }
            ew_bitset_put(st->stale_x, r, false);
            continue;
        }
        if (!ov->x[r]) {
            continue;
        }
        put_ref(&st->raw[r], NULL);
        /* receivers with one new input share it from now on */
        uint32_t twin = r;
        uint32_t near = r > 3 * (uint32_t)ov->geo.n_heads
                            ? r - 3 * (uint32_t)ov->geo.n_heads
                            : 0;
        for (uint32_t i = near; i < r && twin == r; i++) {
            twin = ov->x[i] == ov->x[r] ? i : r;
        }
        if (twin != r) {
            put_ref(&st->cur.x[r], st->cur.x[twin]);
        } else {
            commit_lane(ov->s, &st->cur.x[r], ov->x[r], lane);
        }
        ew_bitset_put(st->stale_x, r, false);
    }
}

static void commit_overlay(struct overlay *ov, int64_t lane,
                           const struct ew_bitset *kept)
{
    struct incremental *st = ov->e->state;
    const struct geometry *g = &st->geo;
    low_rank_commit(ov, lane);
    commit_inputs(ov, lane);
    commit_tails(ov);
    for (int i = 0; i < g->n_layers * g->n_heads; i++) {
        const struct head_lanes *lanes = &ov->heads[i];
        struct head *head = &st->cur.heads[i];
        commit_lane(ov->s, &head->q, lanes->q, lane);
        commit_lane(ov->s, &head->k, lanes->k, lane);
        commit_lane(ov->s, &head->v, lanes->v, lane);
        commit_lane(ov->s, &head->pattern, lanes->pattern, lane);
        commit_lane(ov->s, &head->z, lanes->z, lane);
    }
    for (int l = 0; l < g->n_layers; l++) {
        commit_lane(ov->s, &st->cur.mlp[l], ov->mlp[l], lane);
    }
    for (size_t i = ew_bitset_next(ov->changed, 0); i < st->n_senders;
         i = ew_bitset_next(ov->changed, i + 1)) {
        put_ref(&st->diff[i], NULL);
        put_ref(&st->dz[i], NULL);
        st->same[i] = -1;
    }
    if (ov->scores) {
        st->score = ov->scores[lane];
    } else if (overlay_reaches_logits(ov)) {
        st->score = ew_score_unknown();
    }
    for (size_t i = ew_bitset_next(ov->unpinned, 0); i < st->n_senders;
         i = ew_bitset_next(ov->unpinned, i + 1)) {
        ew_bitset_put(st->stale_out, i, true);
    }
    mark_stale(ov->e, kept, ov->skipped);
}

/* Commit and drop it. What fails half way leaves a state that is of no use. */
static bool commit_whole(struct overlay *ov, int64_t lane,
                         const struct ew_bitset *kept, struct ew_err *err)
{
    struct incremental *st = ov->e->state;
    commit_overlay(ov, lane, kept);
    bool ok = ew_scope_ok(ov->s) || overlay_take_error(ov, err);
    if (!ok) {
        st->lost = true;
        st->score = ew_score_unknown();
    }
    overlay_destroy(ov);
    return ok;
}

bool overlay_flush(struct ew_engine *e, struct ew_err *err)
{
    struct incremental *st = e->state;
    if (st->lost && !state_refresh(e, e->kept, NULL, err)) {
        return false;
    }
    if (st->n_pending == 0) {
        return true;
    }
    struct overlay *ov = st->last;
    st->last = NULL;
    st->n_pending = 0;
    return commit_whole(ov, st->pending_lane, e->kept, err);
}

/* Take the flips from the last batch, which is done when it is needed: the
 * next commit may be of a later lane of the same batch. */
static bool commit_later(struct incremental *st, const uint32_t *flipped,
                         size_t n)
{
    size_t total = st->n_pending + n;
    if (total > MAX_LANES) {
        return false;
    }
    memcpy(st->pending + st->n_pending, flipped, n * sizeof(*flipped));
    int64_t lane = find_lane(st, st->pending, total);
    if (lane < 0) {
        return false;
    }
    st->n_pending = total;
    st->pending_lane = lane;
    st->score = ew_score_unknown();
    if (st->last->scores) {
        st->score = st->last->scores[lane];
    }
    return true;
}

/* Do the flips leave everything that matters alone? */
static bool all_dead(const struct ew_engine *e, const uint32_t *flipped,
                     size_t n)
{
    struct ew_bitset *live = ew_bitset_create(ew_graph_n_receivers(e->graph));
    struct ew_bitset *kept = ew_bitset_clone(e->kept);
    for (size_t i = 0; i < n; i++) {
        ew_bitset_put(kept, flipped[i], true);
    }
    ew_graph_live_receivers(e->graph, kept, live);
    bool dead = true;
    for (size_t i = 0; i < n && dead; i++) {
        dead = !ew_bitset_has(live, ew_edge_receiver(e->graph, flipped[i]));
    }
    ew_bitset_destroy(live);
    ew_bitset_destroy(kept);
    return dead;
}

static void commit_dead(struct ew_engine *e, const struct ew_bitset *kept,
                        const uint32_t *flipped, size_t n)
{
    struct incremental *st = e->state;
    struct ew_bitset *skipped = ew_bitset_create(st->n_receivers);
    for (size_t i = 0; i < n; i++) {
        uint32_t r = ew_edge_receiver(e->graph, flipped[i]);
        ew_bitset_put(skipped, r, true);
        if (flipped[i] == ew_graph_direct_edge(e->graph, r)) {
            ew_bitset_put(st->stale_out, ew_graph_feeds(e->graph, r), true);
        }
    }
    mark_stale(e, kept, skipped);
    ew_bitset_destroy(skipped);
}

bool overlay_commit(struct ew_engine *e, const struct ew_bitset *kept,
                    const uint32_t *flipped, size_t n,
                    const struct ew_cancel *cancel, struct ew_err *err)
{
    struct incremental *st = e->state;
    st->commits++;
    if (commit_later(st, flipped, n)) {
        return true;
    }
    if (!overlay_flush(e, err)) {
        return false;
    }
    overlay_destroy(st->last);
    st->last = NULL;
    if (all_dead(e, flipped, n)) {
        commit_dead(e, kept, flipped, n);
        return true;
    }
    if (n > MANY_FLIPS || st->commits > COMMITS_TO_REFRESH) {
        return state_refresh(e, kept, cancel, err);
    }
    struct ew_what_if one = {.edges = flipped, .n = n};
    struct overlay *ov =
        overlay_evaluate(e, &one, 1, e->params.want, 0, cancel, err);
    if (!ov) {
        return false;
    }
    return commit_whole(ov, 0, kept, err);
}
