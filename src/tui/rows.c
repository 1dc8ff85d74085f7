/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of the edges table: which edges, in which order, where the cursor
 * is. They are the edges of one node or, with `all`, of the whole graph, which
 * may have millions: a pass over it does a few loads per edge, names are
 * looked at once per node, figures are sorted by their bits, and figures that
 * come in while it is shown sort it anew a few times a second, not each time.
 * The cursor belongs to an edge, not to a row: when effects arrive and the
 * order changes, it stays with its edge at its height on the screen.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "app.h"

enum {
    MANY = 50000,                 /* edges, from where it costs */
    LATER_NS = 300 * 1000 * 1000, /* so often many are sorted anew */
    RADIX_BITS = 11,              /* of a key are sorted at a time */
    RADIX = 1 << RADIX_BITS,
};

/* ---- which ---- */

static void edges_into(struct ew_app *a, uint32_t r, ew_edge_fn fn, void *user)
{
    const struct ew_graph *g = a->graph;
    uint32_t direct = ew_graph_direct_edge(g, r);
    uint32_t first = ew_graph_first_edge(g, r);
    if (direct != EW_NONE) {
        fn(a, user, direct, EW_NONE, r);
    }
    for (uint32_t s = ew_graph_n_senders_of(g, r); s-- > 0;) {
        fn(a, user, first + s, s, r);
    }
}

void ew_rows_each(struct ew_app *a, ew_edge_fn fn, void *user)
{
    const struct ew_graph *g = a->graph;
    uint32_t n = ew_graph_n_receivers(g);
    if (a->all) {
        for (uint32_t r = n; r-- > 0;) {
            edges_into(a, r, fn, user);
        }
    } else if (!a->out) {
        uint32_t first;
        uint32_t count;
        ew_node_inputs(a, a->node, a->channel, &first, &count);
        for (uint32_t r = first; r < first + count; r++) {
            edges_into(a, r, fn, user);
        }
    } else if (a->node != ew_logits_of(a)) {
        for (uint32_t r = ew_graph_first_receiver_of(g, a->node); r < n; r++) {
            uint32_t edge = ew_graph_edge(g, a->node, r);
            if (edge != EW_NONE) {
                fn(a, user, edge, a->node, r);
            }
        }
    }
}

/* All names, senders first: made once. */
static const char *name_of(struct ew_app *a, uint32_t index)
{
    uint32_t n_senders = ew_graph_n_senders(a->graph);
    uint32_t n = n_senders + ew_graph_n_receivers(a->graph);
    if (!a->table.names) {
        a->table.names = ew_xcalloc(n, sizeof(*a->table.names));
        for (uint32_t i = 0; i < n; i++) {
            if (i < n_senders) {
                ew_name_of_sender(a->table.names[i], a->graph, i);
            } else {
                ew_name_of_receiver(a->table.names[i], a->graph, i - n_senders);
            }
        }
    }
    return a->table.names[index];
}

static bool passes(struct ew_app *a, struct ew_filter *filter, uint32_t edge,
                   uint32_t sender, uint32_t receiver)
{
    if (!filter) {
        return true;
    }
    uint32_t to = ew_graph_n_senders(a->graph) + receiver;
    uint32_t feeds = ew_graph_feeds(a->graph, receiver);
    const struct ew_known_edge *known = &a->edges[edge];
    struct ew_edge_facts facts = {
        .from = sender == EW_NONE ? "direct" : name_of(a, sender),
        .from_key = sender == EW_NONE ? to + 1 : sender + 1,
        .to = name_of(a, to),
        .to_key = receiver + 1,
        .from_group = sender == EW_NONE ? NULL : ew_node_group(a, sender),
        .to_group = feeds == EW_NONE ? NULL : ew_node_group(a, feeds),
        .to_kind = ew_graph_receiver(a->graph, receiver).kind,
        .direct = sender == EW_NONE,
        .kept = ew_edge_kept(a, edge),
        .marked = ew_bitset_has(a->marked, edge),
        .effect = known->gen ? (double)known->effect : NAN,
    };
    return ew_filter_match(filter, &facts);
}

bool ew_rows_match(struct ew_app *a, struct ew_filter *filter, uint32_t edge)
{
    return passes(a, filter, edge, ew_edge_sender(a->graph, edge),
                  ew_edge_receiver(a->graph, edge));
}

/* ---- in which order ---- */

/* Orders as the number does; 0 for none. */
static uint32_t bits_of(double value)
{
    float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return isnan(f) ? 0 : bits >> 31 ? ~bits : bits | 0x80000000u;
}

static double size_of(double value, bool absolute)
{
    return absolute ? fabs(value) : value;
}

/* The end that is not the node whose edges these are. */
static uint32_t group_of(const struct ew_app *a, uint32_t sender,
                         uint32_t receiver)
{
    uint32_t node = a->out ? ew_graph_feeds(a->graph, receiver) : sender;
    const struct ew_group *group =
        node == EW_NONE ? NULL : ew_node_group(a, node);
    for (size_t i = 0; group && i < ew_groups_n(a->groups); i++) {
        if (ew_groups_get(a->groups, i) == group) {
            return (uint32_t)(ew_groups_n(a->groups) - i);
        }
    }
    return 0;
}

/* Larger first; 0: nothing is known to sort by, which comes last. */
static uint32_t key_of(const struct ew_app *a, uint32_t edge, uint32_t sender,
                       uint32_t receiver)
{
    const struct ew_known_edge *known = &a->edges[edge];
    double effect = known->gen ? (double)known->effect : NAN;
    enum ew_node_kind kind;
    switch (a->sort) {
    case EW_SORT_ABS:
    case EW_SORT_SIGNED:
        return bits_of(size_of(effect, a->sort == EW_SORT_ABS));
    case EW_SORT_KEPT:
        return (ew_edge_kept(a, edge) ? 0x80000000u : 0) |
               bits_of(fabs(effect)) >> 1;
    case EW_SORT_SE:
        return bits_of(known->gen ? (double)known->se : NAN);
    case EW_SORT_TAU:
        return bits_of(-fabs(effect - a->acdc.threshold));
    case EW_SORT_CHANGE:
    case EW_SORT_CHANGE_SIGNED:
        return bits_of(
            size_of(ew_pin_change(a, edge), a->sort == EW_SORT_CHANGE));
    case EW_SORT_WAS:
        return bits_of(ew_pin_was(a, edge));
    case EW_SORT_ESTIMATE:
    case EW_SORT_ESTIMATE_SIGNED:
        return bits_of(
            size_of(ew_edge_estimate(a, edge), a->sort == EW_SORT_ESTIMATE));
    case EW_SORT_GROUP:
        return group_of(a, sender, receiver);
    case EW_SORT_KIND:
        kind = ew_graph_receiver(a->graph, receiver).kind;
        return 100 - (uint32_t)kind;
    case EW_SORT_NAME:
    case EW_N_SORTS:
        break;
    }
    return 1 + (a->inverted ? (uint32_t)a->n_all : 0);
}

static void add_row(struct ew_app *a, void *user, uint32_t edge,
                    uint32_t sender, uint32_t receiver)
{
    (void)user;
    a->n_all++;
    if (!passes(a, a->filter, edge, sender, receiver)) {
        return;
    }
    struct ew_table *t = &a->table;
    uint32_t key = key_of(a, edge, sender, receiver);
    if (a->inverted && key && a->sort != EW_SORT_NAME) {
        key = ~key ? ~key : 1;
    }
    if (t->n == t->cap) {
        t->keyed = ew_grow(t->keyed, t->n, &t->cap, sizeof(*t->keyed));
    }
    t->keyed[t->n++] = (struct ew_keyed){edge, ~key};
    double size = fabs(ew_pinned(a) ? ew_pin_change(a, edge)
                                    : (double)a->edges[edge].effect);
    a->rows_full = size > a->rows_full ? size : a->rows_full;
}

/* By the key's bits, the low ones first; a digit that all share is skipped. */
static void sort_rows(struct ew_table *t)
{
    if (t->cap_other < t->n) {
        t->other = ew_xrealloc(t->other, t->cap, sizeof(*t->other));
        t->cap_other = t->cap;
    }
    for (int shift = 0; shift < 32; shift += RADIX_BITS) {
        size_t at[RADIX] = {0};
        for (size_t i = 0; i < t->n; i++) {
            at[t->keyed[i].key >> shift & (RADIX - 1)]++;
        }
        if (t->n == 0 || at[t->keyed[0].key >> shift & (RADIX - 1)] == t->n) {
            continue;
        }
        size_t sum = 0;
        for (int d = 0; d < RADIX; d++) {
            size_t n = at[d];
            at[d] = sum;
            sum += n;
        }
        for (size_t i = 0; i < t->n; i++) {
            t->other[at[t->keyed[i].key >> shift & (RADIX - 1)]++] =
                t->keyed[i];
        }
        struct ew_keyed *sorted = t->other;
        size_t cap = t->cap_other;
        t->other = t->keyed;
        t->cap_other = t->cap;
        t->keyed = sorted;
        t->cap = cap;
    }
}

static void place_cursor(struct ew_app *a)
{
    long offset = a->edge_at - a->edge_top;
    long found = -1;
    for (size_t i = 0; i < a->n_rows && a->edge != EW_NONE; i++) {
        if (a->rows[i] == a->edge) {
            found = (long)i;
        }
    }
    if (found >= 0) {
        a->edge_at = found;
        a->edge_top = found - offset;
    } else if (a->edge != EW_NONE) { /* filtered away: stay at the height */
        if (a->edge_at >= (long)a->n_rows) {
            a->edge_at = (long)a->n_rows - 1;
        }
        a->edge_at = a->edge_at < 0 ? 0 : a->edge_at;
        a->edge = a->n_rows ? a->rows[a->edge_at] : EW_NONE;
    } else {
        a->edge_at = 0;
        a->edge_top = 0;
    }
    struct ew_list list = {.cur = a->edge_at, .top = a->edge_top};
    ew_list_fit(&list, (long)a->n_rows, ew_pane_rows(a, &ew_view_edges) - 1);
    a->edge_at = list.cur;
    a->edge_top = list.top;
}

void ew_rows_changed(struct ew_app *a)
{
    if (a->all && ew_graph_n_edges(a->graph) > MANY) {
        a->table.later = true;
    } else {
        a->rows_old = true;
    }
}

bool ew_rows_due(const struct ew_app *a)
{
    return a->table.later &&
           a->ports.now_ns(a->ports.user) - a->table.made_ns > LATER_NS;
}

void ew_rows_update(struct ew_app *a)
{
    if (!a->rows_old && !ew_rows_due(a)) {
        return;
    }
    struct ew_table *t = &a->table;
    a->rows_old = false;
    t->later = false;
    t->n = 0;
    a->n_all = 0;
    a->rows_full = 0.0;
    ew_rows_each(a, add_row, NULL);
    sort_rows(t);
    if (t->n > a->cap_rows) {
        a->rows = ew_xrealloc(a->rows, t->n, sizeof(*a->rows));
        a->cap_rows = t->n;
    }
    for (size_t i = 0; i < t->n; i++) {
        a->rows[i] = t->keyed[i].edge;
    }
    a->n_rows = t->n;
    t->made_ns = a->ports.now_ns ? a->ports.now_ns(a->ports.user) : 0;
    place_cursor(a);
}

void ew_rows_finish(struct ew_app *a)
{
    free(a->rows);
    free(a->table.names);
    free(a->table.keyed);
    free(a->table.other);
}

uint32_t ew_rows_edge(struct ew_app *a)
{
    ew_rows_update(a);
    return a->n_rows ? a->rows[a->edge_at] : EW_NONE;
}

void ew_rows_go(struct ew_app *a, uint32_t edge)
{
    a->edge = edge;
    for (size_t i = 0; i < a->n_rows; i++) {
        if (a->rows[i] == edge) {
            a->edge_at = (long)i;
        }
    }
    a->rows_old = true;
}
