/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New queries, keys and values from the head space. When all that changes in
 * a receiver's input comes from few heads,
 *     q' = (raw + sum over these heads of dz M) / scale(x') + offset
 * with raw = linear(x) W_Q of the current circuit and M = linear(W_O) W_Q
 * (d_head x d_head): no product is d_model wide. Only the scale wants x', and
 * reads it as a sum without writing it down; it is written when a lane is
 * committed. Senders that are no heads add linear(dy) W_Q, as wide as ever.
 * Of the logits, whose rest is lowrank.c's, only the scale is made here.
 */
#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

#include "overlay.h"

/* Changed senders, or toggles of one lane, of one input; past these the
 * running sum is cheaper. */
enum { MOST = 3 };

struct addends {
    struct ew_addend of[3 * MOST];
    size_t n;
};

/* One receiver, on its way to its new query, key or value; or the logits,
 * without layer and projection. */
struct receiver {
    struct overlay *ov;
    uint32_t r;
    int layer;
    enum ew_qkv which;
    int64_t have;  /* first position of its input in the state */
    int64_t start; /* first position wanted */
    const struct ew_norm *norm;
    struct ew_tensor *w, *b; /* of the projection: (D, K), (K) */
    uint32_t changed[MOST];  /* senders that it keeps */
    size_t n_changed;
};

static int64_t sender_width(const struct geometry *g, uint32_t sender)
{
    return sender_head(g, sender) < 0 ? g->d : g->k;
}

/* False when more changed than can be told here. */
static bool list_changed(const struct overlay *ov, uint32_t r,
                         uint32_t changed[MOST], size_t *n_changed)
{
    const struct ew_graph *graph = ov->e->graph;
    uint32_t n = ew_graph_n_senders_of(graph, r);
    uint32_t edge0 = ew_graph_first_edge(graph, r);
    *n_changed = 0;
    for (size_t i = ew_bitset_next(ov->changed, 0); i < n;
         i = ew_bitset_next(ov->changed, i + 1)) {
        if (ew_bitset_has(ov->before, edge0 + i)) {
            if (*n_changed == MOST) {
                return false;
            }
            changed[(*n_changed)++] = (uint32_t)i;
        }
    }
    return true;
}

/* As overlay_shared_toggles(), where nothing else changes. */
static size_t shared(const struct overlay *ov, uint32_t r, size_t n_changed,
                     uint32_t lane)
{
    return n_changed > 0 ? 0 : overlay_shared_toggles(ov, r, lane);
}

/* The widest that a lane's own toggles at r are, or -1: not to be told. */
static int64_t widest_lane(const struct overlay *ov, uint32_t r,
                           size_t n_changed)
{
    const struct ew_graph *graph = ov->e->graph;
    int64_t most = 0;
    for (uint32_t lane = 0; lane < ov->w; lane++) {
        size_t first;
        size_t end = overlay_lane_toggles(ov, r, lane, &first);
        int64_t own = 0;
        first += shared(ov, r, n_changed, lane);
        if (end - first > MOST) {
            return -1;
        }
        for (size_t i = first; i < end; i++) {
            if (ov->toggles[i].edge >= ew_graph_n_addition(graph)) {
                return -1; /* a direct edge */
            }
            own += sender_width(&ov->geo,
                                ew_edge_sender(graph, ov->toggles[i].edge));
        }
        most = own > most ? own : most;
    }
    return most;
}

bool thin_applies(const struct overlay *ov, uint32_t r)
{
    struct ew_node node = ew_graph_receiver(ov->e->graph, r);
    uint32_t changed[MOST];
    size_t n_changed;
    if (ov->e->model->arch.post_norms ||
        (node.kind != EW_NODE_Q && node.kind != EW_NODE_K &&
         node.kind != EW_NODE_V) ||
        !list_changed(ov, r, changed, &n_changed) ||
        silent_in_any(ov, r)) {
        return false;
    }
    int64_t width = widest_lane(ov, r, n_changed);
    for (size_t i = 0; i < n_changed && width >= 0; i++) {
        width += sender_width(&ov->geo, changed[i]);
    }
    return width > 0 && width <= ov->geo.d;
}

static struct receiver receiver_make(struct overlay *ov, uint32_t r)
{
    struct ew_node node = ew_graph_receiver(ov->e->graph, r);
    struct receiver v = {.ov = ov, .r = r};
    list_changed(ov, r, v.changed, &v.n_changed);
    if (node.kind == EW_NODE_LOGITS) {
        v.norm = &ov->e->model->ln_final;
        v.have = ((struct incremental *)ov->e->state)->geo.o;
        v.start = ov->geo.o;
        return v;
    }
    v.layer = node.layer;
    v.which = node.kind == EW_NODE_Q   ? EW_Q
              : node.kind == EW_NODE_K ? EW_K
                                       : EW_V;
    v.norm = &ov->e->model->layers[node.layer].ln1;
    v.have = ov->geo.a;
    v.start = v.which == EW_Q ? head_start(&ov->geo, v.layer, node.head)
                              : ov->geo.a;
    ew_block_projection(ov->s, ov->e->model, v.layer, v.which, node.head, &v.w,
                        &v.b);
    return v;
}

static struct ew_tensor *lane_of(struct ew_scope *s, struct ew_tensor *t,
                                 uint32_t lane)
{
    return ew_select(s, t, 1, ew_dim(t, 1) == 1 ? 0 : lane);
}

/* ---- products ---- */

/* linear(W_O) W of a head and a receiver: (K, K). */
static struct ew_tensor *link_of(const struct receiver *v, uint32_t sender)
{
    struct ew_engine *e = v->ov->e;
    struct ew_scope *s = v->ov->s;
    struct incremental *st = e->state;
    int n_heads = st->geo.n_heads;
    int head = sender_head(&st->geo, sender);
    struct ew_tensor **slot =
        &st->link[ew_graph_first_edge(e->graph, v->r) + sender];
    if (*slot) {
        return *slot;
    }
    struct ew_tensor *w_o =
        ew_block_w_o(s, e->model, head / n_heads, head % n_heads);
    struct ew_tensor *link =
        ew_matmul(s, ew_block_norm_linear(s, e->model, v->norm, w_o), v->w);
    uint64_t bytes = sizeof(float) * (uint64_t)ew_numel(link);
    if (bytes <= st->link_budget) {
        st->link_budget -= bytes;
        put_ref(slot, link);
    }
    return link;
}

/* What a change of what `sender` sends in the overlay, (.., n, K) of a head or
 * (.., n, D), adds to raw: (.., n, K). */
static struct ew_tensor *contribution(const struct receiver *v, uint32_t sender,
                                      struct ew_tensor *t)
{
    struct ew_scope *s = v->ov->s;
    t = rows_from(s, t, sent_start(&v->ov->geo, sender), v->start);
    if (sender_head(&v->ov->geo, sender) >= 0) {
        return ew_matmul(s, t, link_of(v, sender));
    }
    return ew_matmul(s, ew_block_norm_linear(s, v->ov->e->model, v->norm, t),
                     v->w);
}

/* linear(x) W of the current circuit, for all live receivers that share x
 * and have none yet: (B, T - start, K), start by the state's geometry. */
static void make_raw(const struct receiver *v)
{
    struct overlay *ov = v->ov;
    struct ew_scope *s = ov->s;
    struct incremental *st = ov->e->state;
    const struct geometry *g = &st->geo;
    struct ew_tensor *x = st->cur.x[v->r];
    struct ew_tensor *linear =
        ew_block_norm_linear(s, ov->e->model, v->norm, x);
    for (int i = 0; i < 3 * g->n_heads; i++) {
        enum ew_qkv which = (enum ew_qkv)(i % 3);
        uint32_t r = receiver_of(g, v->layer, i / 3, which);
        if (st->raw[r] || st->cur.x[r] != x ||
            (r != v->r && !ew_bitset_has(ov->live, r))) {
            continue;
        }
        struct ew_tensor *w;
        struct ew_tensor *b;
        ew_block_projection(s, ov->e->model, v->layer, which, i / 3, &w, &b);
        int64_t start = which == EW_Q ? out_start(g, v->layer) : g->a;
        put_ref(&st->raw[r],
                ew_matmul(s, rows_from(s, linear, g->a, start), w));
    }
}

/* z - c or y - c in the state, and the lane's change if there is any. */
static struct ew_tensor *toggle_change(struct overlay *ov, uint32_t sender,
                                       uint32_t lane)
{
    const struct geometry *had = &((struct incremental *)ov->e->state)->geo;
    struct ew_tensor *t =
        rows_from(ov->s, sender_dz(ov->s, ov->e, sender),
                  sent_start(had, sender), sent_start(&ov->geo, sender));
    return ov->change[sender]
               ? ew_add(ov->s, t, lane_of(ov->s, ov->change[sender], lane))
               : t;
}

/* New raw of all lanes: (B, W, n, K). */
static struct ew_tensor *new_raw(const struct receiver *v)
{
    struct overlay *ov = v->ov;
    struct ew_scope *s = ov->s;
    struct incremental *st = ov->e->state;
    if (!st->raw[v->r]) {
        make_raw(v);
    }
    int64_t have = v->which == EW_Q ? out_start(&st->geo, v->layer) : st->geo.a;
    struct ew_tensor *raw =
        ew_unsqueeze(s, rows_from(s, st->raw[v->r], have, v->start), 1);
    for (size_t i = 0; i < v->n_changed; i++) {
        raw = ew_add(s, raw,
                     contribution(v, v->changed[i], ov->change[v->changed[i]]));
    }
    size_t first;
    if (overlay_toggles_of(ov, v->r, &first) == first) {
        return raw;
    }
    struct ew_tensor **each = ew_xcalloc((size_t)ov->w, sizeof(*each));
    for (uint32_t lane = 0; lane < ov->w && ew_scope_ok(s); lane++) {
        size_t end = overlay_lane_toggles(ov, v->r, lane, &first);
        size_t done = shared(ov, v->r, v->n_changed, lane);
        each[lane] = done > 0 ? each[lane - 1] : lane_of(s, raw, lane);
        for (size_t i = first + done; i < end; i++) {
            uint32_t edge = ov->toggles[i].edge;
            uint32_t sender = ew_edge_sender(ov->e->graph, edge);
            struct ew_tensor *t =
                contribution(v, sender, toggle_change(ov, sender, lane));
            each[lane] = ew_bitset_has(ov->before, edge)
                             ? ew_sub(s, each[lane], t)
                             : ew_add(s, each[lane], t);
        }
    }
    raw = ov->w == 1 ? ew_unsqueeze(s, each[0], 1)
                     : ew_stack(s, each, (size_t)ov->w, 1);
    free(each);
    return raw;
}

/* What a changed sender's change is in the residual, in one lane: (B, P, D). */
static struct ew_tensor *wide_lane(struct overlay *ov, uint32_t sender,
                                   uint32_t lane)
{
    const struct geometry *g = &ov->geo;
    int head = sender_head(g, sender);
    struct ew_tensor *t = lane_of(ov->s, ov->change[sender], lane);
    if (head < 0) {
        return t;
    }
    return ov->wide[sender]
               ? lane_of(ov->s, ov->wide[sender], lane)
               : ew_matmul(ov->s, t,
                           ew_block_w_o(ov->s, ov->e->model,
                                        head / g->n_heads, head % g->n_heads));
}

/* ---- the norm's denominators ---- */

/* What changed senders add to a lane's x from position `start`. */
static struct addends lane_changes(const struct receiver *v, uint32_t lane,
                                   int64_t start)
{
    struct overlay *ov = v->ov;
    struct ew_scope *s = ov->s;
    struct addends out = {0};
    for (size_t i = 0; i < v->n_changed; i++) {
        struct ew_tensor *t = wide_lane(ov, v->changed[i], lane);
        int64_t at = sent_start(&ov->geo, v->changed[i]);
        out.of[out.n++] = (struct ew_addend){rows_from(s, t, at, start), 1.0};
    }
    return out;
}

/* What up to MOST toggles, [first, end), of a lane add more. */
static void add_toggles(const struct receiver *v, uint32_t lane, size_t first,
                        size_t end, int64_t start, struct addends *out)
{
    struct overlay *ov = v->ov;
    struct ew_scope *s = ov->s;
    const struct geometry *had = &((struct incremental *)ov->e->state)->geo;
    for (size_t i = first; i < end; i++) {
        uint32_t edge = ov->toggles[i].edge;
        uint32_t sender = ew_edge_sender(ov->e->graph, edge);
        double sign = ew_bitset_has(ov->before, edge) ? -1.0 : 1.0;
        struct ew_tensor *t = sender_diff(s, ov->e, sender);
        t = rows_from(s, t, sent_start(had, sender), start);
        out->of[out->n++] = (struct ew_addend){t, sign};
        if (ov->change[sender]) {
            t = wide_lane(ov, sender, lane);
            t = rows_from(s, t, sent_start(&ov->geo, sender), start);
            out->of[out->n++] = (struct ew_addend){t, sign};
        }
    }
}

static struct ew_tensor *written_down(struct ew_scope *s, struct ew_tensor *x,
                                      const struct addends *more)
{
    for (size_t i = 0; i < more->n; i++) {
        const struct ew_tensor *t = more->of[i].t;
        double sign = more->of[i].sign;
        if (i > 0) {
            ew_add_into(s, x, t, sign);
        } else {
            x = sign > 0.0 ? ew_add(s, x, t) : ew_sub(s, x, t);
        }
    }
    return x;
}

/* Without toggles, of all lanes at once: (B, W, n, 1). */
static struct ew_tensor *common_scale(const struct receiver *v,
                                      struct ew_tensor *x, int64_t start)
{
    struct overlay *ov = v->ov;
    struct ew_scope *s = ov->s;
    struct addends more = {0};
    int64_t w = 1;
    for (size_t i = 0; i < v->n_changed; i++) {
        struct ew_tensor *t = overlay_wide_change(ov, v->changed[i]);
        w = ew_dim(t, 1) > w ? ew_dim(t, 1) : w;
    }
    int64_t shape[4] = {ov->geo.b, w, -1, -1};
    for (size_t i = 0; i < v->n_changed; i++) {
        struct ew_tensor *t =
            rows_from(s, overlay_wide_change(ov, v->changed[i]),
                      sent_start(&ov->geo, v->changed[i]), start);
        t = ew_expand(s, t, 4, shape);
        more.of[more.n++] = (struct ew_addend){t, 1.0};
    }
    x = ew_expand(s, ew_unsqueeze(s, x, 1), 4, shape);
    return ew_block_norm_scale(s, ov->e->model, v->norm, x, more.of, more.n);
}

/* (B, W, n, 1) from position `start`. */
static struct ew_tensor *new_scale(const struct receiver *v, int64_t start)
{
    struct overlay *ov = v->ov;
    struct ew_scope *s = ov->s;
    struct ew_tensor *x =
        rows_from(s, receiver_input(s, ov->e, v->r), v->have, start);
    size_t first;
    if (overlay_toggles_of(ov, v->r, &first) == first) {
        return common_scale(v, x, start);
    }
    for (size_t i = 0; i < v->n_changed; i++) {
        overlay_wide_change(ov, v->changed[i]); /* of all lanes at once */
    }
    struct ew_tensor **each = ew_xcalloc((size_t)ov->w, sizeof(*each));
    struct ew_tensor *base = x;
    for (uint32_t lane = 0; lane < ov->w && ew_scope_ok(s); lane++) {
        size_t done = shared(ov, v->r, v->n_changed, lane);
        struct addends more = lane_changes(v, lane, start);
        size_t end = overlay_lane_toggles(ov, v->r, lane, &first);
        add_toggles(v, lane, first + done, end, start, &more);
        base = done > 0 ? base : x;
        each[lane] = ew_block_norm_scale(s, ov->e->model, v->norm, base,
                                         more.of, more.n);
        if (shared(ov, v->r, v->n_changed, lane + 1) > 0) {
            base = written_down(s, base, &more);
        }
    }
    struct ew_tensor *out = ov->w == 1 ? ew_unsqueeze(s, each[0], 1)
                                       : ew_stack(s, each, (size_t)ov->w, 1);
    free(each);
    return out;
}

/* ---- what the sweep and a commit call ---- */

struct ew_tensor *thin_project(struct overlay *ov, uint32_t r, uint32_t twin)
{
    struct ew_scope *s = ov->s;
    struct receiver v = receiver_make(ov, r);
    ov->twin[r] = twin;
    ov->raw[r] = new_raw(&v);
    int64_t from = receiver_start(&ov->geo, twin);
    if (!ov->scale[twin]) { /* all its rows: others may want more than it */
        ov->scale[twin] = new_scale(&v, from);
    }
    struct ew_tensor *scale = rows_from(s, ov->scale[twin], from, v.start);
    struct ew_tensor *y = ew_div(s, ov->raw[r], scale);
    struct ew_tensor *offset =
        ew_block_norm_offset(s, ov->e->model, v.norm, v.w, v.b);
    y = offset ? ew_add(s, y, offset) : y;
    return v.which == EW_V ? y : ew_block_rotate(s, ov->e->model, y, v.start);
}

void thin_commit(struct overlay *ov, uint32_t r, int64_t lane)
{
    struct incremental *st = ov->e->state;
    if (r == logits_receiver(&ov->geo) && low_rank_owe(ov, lane)) {
        return;
    }
    if (ov->twin[r] == r) {
        struct receiver v = receiver_make(ov, r);
        int64_t start = receiver_start(&ov->geo, r);
        struct addends more = lane_changes(&v, (uint32_t)lane, start);
        struct ew_tensor *was = receiver_input(ov->s, ov->e, r);
        struct ew_tensor *x = written_down(
            ov->s, rows_from(ov->s, was, v.have, start), &more);
        size_t at;
        size_t end = overlay_lane_toggles(ov, r, (uint32_t)lane, &at);
        while (at < end) { /* those shared with the lane before count too */
            size_t stop = end - at > MOST ? at + MOST : end;
            more.n = 0;
            add_toggles(&v, (uint32_t)lane, at, stop, start, &more);
            x = written_down(ov->s, x, &more);
            at = stop;
        }
        overlay_put_rows(ov->s, &st->cur.x[r], x);
    } else {
        put_ref(&st->cur.x[r], st->cur.x[ov->twin[r]]);
    }
}

bool thin_logits(struct overlay *ov)
{
    uint32_t r = logits_receiver(&ov->geo);
    uint32_t changed[MOST];
    size_t n_changed;
    if (!ov->low_rank || ov->want & EW_WANT_ANSWERS ||
        !(ov->want & EW_WANT_KL) || !list_changed(ov, r, changed, &n_changed) ||
        widest_lane(ov, r, n_changed) < 0) {
        return false;
    }
    struct receiver v = receiver_make(ov, r);
    struct ew_tensor *scale = low_rank_scale(ov);
    ov->twin[r] = r;
    ov->scale[r] =
        ew_expand(ov->s, scale ? scale : new_scale(&v, v.start), 4,
                  (int64_t[]){ov->geo.b, ov->w, ov->geo.t - v.start, 1});
    return true;
}
