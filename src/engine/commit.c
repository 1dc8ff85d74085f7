/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking flips over into the state: a lane of the last batch where one has
 * them, else an overlay of their own; from scratch where they are many.
 */
#include "overlay.h"

#include <string.h>

/* Flips past which a commit evaluates from scratch, and commits after which
 * it does so anyway, so that rounding does not add up. */
enum { MANY_FLIPS = 64, COMMITS_TO_REFRESH = 256 };

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
