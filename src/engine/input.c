/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The new input of a receiver under an overlay: its old one, the changes of
 * the senders it keeps, and the lanes' own toggles. Where a receiver keeps
 * (nearly) all that changed, the running sum of all changes is used.
 */
#include "edgewise/block.h"

#include "overlay.h"

size_t overlay_toggles_of(const struct overlay *ov, uint32_t r, size_t *first)
{
    size_t low = 0, high = ov->n_toggles;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (ov->toggles[mid].receiver < r) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *first = low;
    while (low < ov->n_toggles && ov->toggles[low].receiver == r) {
        low++;
    }
    return low;
}

size_t overlay_lane_toggles(const struct overlay *ov, uint32_t r, uint32_t lane,
                            size_t *first)
{
    size_t end = overlay_toggles_of(ov, r, first);
    while (*first < end && ov->toggles[*first].lane < lane) {
        ++*first;
    }
    size_t last = *first;
    while (last < end && ov->toggles[last].lane == lane) {
        last++;
    }
    return last;
}

/* Does a flip add the same in every lane? Not when what its sender sends has
 * changed, in each lane in its own way. */
static bool same_in_all(const struct overlay *ov, const struct toggle *t)
{
    const struct ew_graph *graph = ov->e->graph;
    return t->edge >= ew_graph_n_addition(graph) ||
           !ov->change[ew_edge_sender(graph, t->edge)];
}

size_t overlay_shared_toggles(const struct overlay *ov, uint32_t r,
                              uint32_t lane)
{
    size_t a, b;
    if (lane == 0 || lane >= ov->w) {
        return 0;
    }
    size_t n_a = overlay_lane_toggles(ov, r, lane - 1, &a) - a;
    size_t n_b = overlay_lane_toggles(ov, r, lane, &b) - b;
    for (size_t i = 0; i < n_a; i++) {
        if (i >= n_b || ov->toggles[a + i].edge != ov->toggles[b + i].edge ||
            !same_in_all(ov, &ov->toggles[a + i])) {
            return 0;
        }
    }
    return n_a;
}

/* Add all heads of the layer whose first one is `sender` to the running sum,
 * as one product; false where that is not all of them or cannot be. */
static bool sum_layer(struct overlay *ov, uint32_t sender, uint32_t n)
{
    const struct geometry *g = &ov->geo;
    int head = sender_head(g, sender);
    if (head < 0 || head % g->n_heads != 0 ||
        !ov->together[head / g->n_heads] || sender + (uint32_t)g->n_heads > n) {
        return false;
    }
    struct ew_scope *s = ov->s;
    int layer = head / g->n_heads;
    struct ew_tensor *sent =
        rows_from(s, ov->together[layer], out_start(g, layer), ov->sum_start);
    ew_addmm_into(s, as_rows(s, ov->sum), as_rows(s, sent),
                  ov->e->model->layers[layer].w_o, 1.0);
    for (uint32_t h = 0; h < (uint32_t)g->n_heads; h++) {
        ew_bitset_put(ov->summed, sender + h, true);
    }
    return true;
}

/* Bring the running sum up to all changed senders below n, from `start`. */
static void bring_sum(struct overlay *ov, uint32_t n, int64_t start)
{
    struct ew_scope *s = ov->s;
    const struct geometry *g = &ov->geo;
    if (!ov->sum) {
        ov->sum =
            ew_full(s, 0.0, 4, (int64_t[]){g->b, ov->w, g->t - start, g->d});
        ov->sum_start = start;
    } else if (start > ov->sum_start) {
        ov->sum = ew_contiguous(s, rows_from(s, ov->sum, ov->sum_start, start));
        ov->sum_start = start;
    } else {
        /* earlier inputs hold on to the old sum */
        bool grows = false;
        for (size_t i = ew_bitset_next(ov->changed, 0); i < n;
             i = ew_bitset_next(ov->changed, i + 1)) {
            grows = grows || !ew_bitset_has(ov->summed, i);
        }
        if (!grows) {
            return;
        }
        ov->sum = ew_clone(s, ov->sum);
    }
    for (size_t i = ew_bitset_next(ov->changed, 0); i < n;
         i = ew_bitset_next(ov->changed, i + 1)) {
        if (!ew_bitset_has(ov->summed, i) && !sum_layer(ov, (uint32_t)i, n)) {
            add_sent(s, ov->e->model, g, (uint32_t)i, ov->change[i], ov->sum,
                     ov->sum_start, 1.0);
            ew_bitset_put(ov->summed, i, true);
        }
    }
}

/* Are all changed senders below n known from `start` on, and the running sum
 * if there is one? */
static bool sum_applies(const struct overlay *ov, uint32_t n, int64_t start)
{
    if (ov->sum && ov->sum_start > start) {
        return false;
    }
    for (size_t i = ew_bitset_next(ov->changed, 0); i < n;
         i = ew_bitset_next(ov->changed, i + 1)) {
        if (sent_start(&ov->geo, (uint32_t)i) > start) {
            return false;
        }
    }
    return true;
}

/* Changed senders of r that it keeps (or, `kept` false, that it cuts). */
static uint32_t count_changed(const struct overlay *ov, uint32_t r, bool kept)
{
    const struct ew_graph *graph = ov->e->graph;
    uint32_t n = ew_graph_n_senders_of(graph, r), count = 0;
    uint32_t first = ew_graph_first_edge(graph, r);
    for (size_t i = ew_bitset_next(ov->changed, 0); i < n;
         i = ew_bitset_next(ov->changed, i + 1)) {
        count += ew_bitset_has(ov->e->kept, first + i) == kept;
    }
    return count;
}

struct ew_tensor *overlay_wide_change(struct overlay *ov, uint32_t sender)
{
    struct ew_scope *s = ov->s;
    const struct geometry *g = &ov->geo;
    int head = sender_head(g, sender);
    if (head < 0) {
        return ov->change[sender];
    }
    if (!ov->wide[sender]) {
        struct ew_tensor *w_o = ew_block_w_o(
            s, ov->e->model, head / g->n_heads, head % g->n_heads);
        ov->wide[sender] = ew_matmul(s, ov->change[sender], w_o);
    }
    return ov->wide[sender];
}

/* A sum of what is D wide is a fifth of a head's product with W_O: from the
 * second input on that is had once for all. */
static void add_change(struct overlay *ov, uint32_t sender,
                       struct ew_tensor *x, int64_t start, double sign)
{
    if (sender_head(&ov->geo, sender) >= 0 && !ov->wide[sender] &&
        !ew_bitset_has(ov->used, sender)) {
        ew_bitset_put(ov->used, sender, true);
        add_sent(ov->s, ov->e->model, &ov->geo, sender, ov->change[sender], x,
                 start, sign);
        return;
    }
    struct ew_tensor *wide = overlay_wide_change(ov, sender);
    ew_add_into(ov->s, x,
                rows_from(ov->s, wide, sent_start(&ov->geo, sender), start),
                sign);
}

static void add_changes(struct overlay *ov, uint32_t r, bool kept,
                        struct ew_tensor *x, int64_t start, double sign)
{
    const struct ew_graph *graph = ov->e->graph;
    uint32_t n = ew_graph_n_senders_of(graph, r);
    uint32_t first = ew_graph_first_edge(graph, r);
    for (size_t i = ew_bitset_next(ov->changed, 0); i < n;
         i = ew_bitset_next(ov->changed, i + 1)) {
        if (ew_bitset_has(ov->e->kept, first + i) == kept) {
            add_change(ov, (uint32_t)i, x, start, sign);
        }
    }
}

void overlay_apply_toggle(struct overlay *ov, const struct toggle *t,
                          struct ew_tensor *x, int64_t start)
{
    struct ew_scope *s = ov->s;
    const struct ew_engine *e = ov->e;
    uint32_t sender = ew_edge_sender(e->graph, t->edge);
    double sign = ew_bitset_has(e->kept, t->edge) ? -1.0 : 1.0;
    struct ew_tensor *lane = ew_select(s, x, 1, t->lane);
    struct ew_tensor *diff = sender_diff(s, ov->e, sender);
    const struct geometry *had = &((struct incremental *)e->state)->geo;
    ew_add_into(s, lane, rows_from(s, diff, sent_start(had, sender), start),
                sign);
    if (!ov->change[sender]) {
        return;
    }
    struct ew_tensor *change = ew_narrow(s, ov->change[sender], 1, t->lane, 1);
    struct ew_tensor *sent = ew_full(
        s, 0.0, 4, (int64_t[]){ov->geo.b, 1, ov->geo.t - start, ov->geo.d});
    add_sent(s, e->model, &ov->geo, sender, ew_contiguous(s, change), sent,
             start, 1.0);
    ew_add_into(s, lane, ew_squeeze(s, sent, 1), sign);
}

/* Additions only; `plain`: all lanes of x are still the same. */
static void apply_toggles(struct overlay *ov, uint32_t r, struct ew_tensor *x,
                          int64_t start, bool plain)
{
    size_t first;
    size_t end = overlay_toggles_of(ov, r, &first);
    uint32_t n_addition = ew_graph_n_addition(ov->e->graph);
    while (first < end) {
        const struct toggle *t = &ov->toggles[first];
        size_t n = 0;
        while (first + n < end && t[n].lane == t->lane) {
            n++;
        }
        size_t done = plain ? overlay_shared_toggles(ov, r, t->lane) : 0;
        if (done > 0) {
            ew_copy_into(ov->s, ew_select(ov->s, x, 1, t->lane),
                         ew_select(ov->s, x, 1, t->lane - 1));
        }
        for (size_t i = done; i < n; i++) {
            if (t[i].edge < n_addition) {
                overlay_apply_toggle(ov, &t[i], x, start);
            }
        }
        first += n;
    }
}

static bool has_addition_toggle(const struct overlay *ov, uint32_t r)
{
    size_t first;
    size_t end = overlay_toggles_of(ov, r, &first);
    for (; first < end; first++) {
        if (ov->toggles[first].edge < ew_graph_n_addition(ov->e->graph)) {
            return true;
        }
    }
    return false;
}

struct ew_tensor *overlay_input(struct overlay *ov, uint32_t r)
{
    struct ew_scope *s = ov->s;
    const struct geometry *g = &ov->geo;
    const struct incremental *st = ov->e->state;
    int64_t start = receiver_start(g, r);
    bool toggled = has_addition_toggle(ov, r);
    uint32_t n_kept = count_changed(ov, r, true);
    uint32_t n_cut = count_changed(ov, r, false);
    if (!toggled && n_kept == 0) {
        return NULL;
    }
    struct ew_tensor *old = ew_unsqueeze(
        s,
        rows_from(s, receiver_input(s, ov->e, r), receiver_start(&st->geo, r),
                  start),
        1);
    struct ew_tensor *x;
    if (ov->e->model->arch.post_norms) {
        x = ew_expand(s, old, 4, (int64_t[]){g->b, ov->w, -1, -1});
        x = post_norm_input(ov, r, ew_contiguous(s, ew_clone(s, x)), start);
        toggled = false; /* it has done that */
    } else if (n_kept > n_cut &&
               sum_applies(ov, ew_graph_n_senders_of(ov->e->graph, r),
                           start)) {
        bring_sum(ov, ew_graph_n_senders_of(ov->e->graph, r), start);
        x = ew_add(s, old, rows_from(s, ov->sum, ov->sum_start, start));
        add_changes(ov, r, false, x, start, -1.0);
    } else {
        x = ew_expand(s, old, 4, (int64_t[]){g->b, ov->w, -1, -1});
        x = ew_contiguous(s, ew_clone(s, x));
        add_changes(ov, r, true, x, start, 1.0);
    }
    if (toggled) {
        apply_toggles(ov, r, x, start, n_kept == 0);
    }
    silent_put(ov, r, x, start);
    return x;
}
