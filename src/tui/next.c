/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do next: the edge whose cut or return would improve the metric
 * most by what is known, the circuit's complement, marking many edges at
 * once, and whether the marked ones do together what they do one by one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "app.h"

/* ---- the best next edge ---- */

struct best {
    uint32_t edge;
    double gain; /* of minus the metric */
    uint32_t known;
};

/* Flipping an edge: a kept one that hurts, or a cut one that is needed. */
static struct best find_best(const struct ew_app *a)
{
    struct best best = {.edge = EW_NONE, .gain = -INFINITY};
    uint32_t n = ew_graph_n_edges(a->graph);
    for (uint32_t e = 0; e < n; e++) {
        const struct ew_known_edge *known = &a->edges[e];
        if (known->gen != (uint32_t)a->gen) {
            continue;
        }
        best.known++;
        bool kept = ew_edge_kept(a, e);
        double effect = (double)known->effect;
        if (!kept && effect <= 0) {
            continue; /* better left out */
        }
        double gain = kept ? -effect : effect;
        if (gain > best.gain) {
            best.gain = gain;
            best.edge = e;
        }
    }
    return best;
}

bool ew_next_go(struct ew_app *a, uint32_t edge)
{
    bool hidden = a->filter && !ew_rows_match(a, a->filter, edge);
    if (hidden) {
        ew_filter_drop(a);
    }
    uint32_t feeds = ew_graph_feeds(a->graph, ew_edge_receiver(a->graph, edge));
    ew_node_go(a, feeds == EW_NONE ? ew_logits_of(a) : feeds);
    a->out = false;
    a->all = false;
    a->channel = EW_CH_ALL;
    a->rows_old = true;
    ew_rows_go(a, edge);
    if (a->zoomed) {
        a->zoomed = false;
    }
    ew_app_show(a, &ew_view_edges);
    return hidden;
}

void ew_next_edge(struct ew_app *a)
{
    char name[EW_NAME_SIZE];
    char gain[EW_FIGURE_SIZE];
    char n[EW_FIGURE_SIZE];
    char all[EW_FIGURE_SIZE];
    struct best best = find_best(a);
    if (best.edge == EW_NONE) {
        ew_notice(a, true, "no effect is known in this circuit yet");
        return;
    }
    bool kept = ew_edge_kept(a, best.edge);
    bool hidden = ew_next_go(a, best.edge);
    ew_notice(a, false, "%s%s %s: %s %s (%s/%s known)",
              hidden ? "filter off, " : "", kept ? "cut" : "add",
              ew_name_of_edge(name, a->graph, best.edge),
              best.gain > 0 ? "gains" : "the cheapest, costs",
              ew_figure(gain, fabs(best.gain)), ew_figure_count(n, best.known),
              ew_figure_count(all, ew_graph_n_edges(a->graph)));
}

void ew_next_complement(struct ew_app *a)
{
    if (!ew_edit_may(a)) {
        return;
    }
    const struct ew_bitset *kept = ew_circuit_kept(a->circuit);
    struct ew_bitset *other = ew_bitset_clone(kept);
    for (size_t e = 0; e < ew_bitset_size(kept); e++) {
        ew_bitset_flip(other, e);
    }
    ew_circuit_assign(a->circuit, other, "complement");
    ew_bitset_destroy(other);
    ew_edit_changed(a);
    ew_notice(a, false,
              "the complement: what was cut is kept, and the reverse");
}

/* ---- marks ---- */

/* Mark all of them, or none when all are marked already. */
static void mark_all(struct ew_app *a, const uint32_t *edges, size_t n)
{
    bool all = true;
    for (size_t i = 0; i < n; i++) {
        all = all && ew_bitset_has(a->marked, edges[i]);
    }
    for (size_t i = 0; i < n; i++) {
        ew_bitset_put(a->marked, edges[i], !all);
    }
    a->rows_old = true;
    ew_notice(a, false, "%zu marked: Space cuts or keeps them together",
              ew_bitset_count(a->marked));
}

void ew_next_mark_rows(struct ew_app *a)
{
    ew_rows_update(a);
    mark_all(a, a->rows, a->n_rows);
}

/* All edges into a node and out of it. */
static uint32_t *edges_of(const struct ew_app *a, uint32_t node, size_t *n)
{
    const struct ew_graph *g = a->graph;
    uint32_t *edges = NULL;
    size_t cap = 0;
    uint32_t first;
    uint32_t n_in;
    *n = 0;
    ew_node_inputs(a, node, EW_CH_ALL, &first, &n_in);
    for (uint32_t r = first; r < first + n_in; r++) {
        for (uint32_t s = 0; s < ew_graph_n_senders_of(g, r); s++) {
            edges = ew_grow(edges, *n, &cap, sizeof(*edges));
            edges[(*n)++] = ew_graph_first_edge(g, r) + s;
        }
        uint32_t direct = ew_graph_direct_edge(g, r);
        if (direct != EW_NONE) {
            edges = ew_grow(edges, *n, &cap, sizeof(*edges));
            edges[(*n)++] = direct;
        }
    }
    if (node == ew_logits_of(a)) {
        return edges;
    }
    for (uint32_t r = ew_graph_first_receiver_of(g, node);
         r < ew_graph_n_receivers(g); r++) {
        uint32_t edge = ew_graph_edge(g, node, r);
        if (edge != EW_NONE) {
            edges = ew_grow(edges, *n, &cap, sizeof(*edges));
            edges[(*n)++] = edge;
        }
    }
    return edges;
}

void ew_next_mark_node(struct ew_app *a)
{
    size_t n;
    uint32_t *edges = edges_of(a, a->node, &n);
    mark_all(a, edges, n);
    free(edges);
}

/* ---- together against one by one ---- */

void ew_next_joint(struct ew_app *a)
{
    size_t n = ew_bitset_count(a->marked);
    if (a->load != EW_LOADED || !ew_edit_may(a)) {
        return;
    }
    if (n < 2) {
        ew_notice(a, true, "mark two edges or more first: %zu marked", n);
        return;
    }
    struct ew_req_joint joint = {
        .edges = ew_xcalloc(n, sizeof(*joint.edges)),
    };
    size_t size = ew_bitset_size(a->marked);
    for (size_t e = ew_bitset_next(a->marked, 0); e < size;
         e = ew_bitset_next(a->marked, e + 1)) {
        joint.edges[joint.n++] = (uint32_t)e;
    }
    a->joints_waiting++;
    a->ports.post(a->ports.user, ew_request_joint(a->gen, joint));
    ew_notice(a, false, "%zu edges together and one by one ...", n);
}

void ew_next_joint_event(struct ew_app *a, const struct ew_ev_joint *e,
                         uint64_t gen)
{
    a->joints_waiting--;
    if (e->n == 0) {
        ew_notice(a, true, "stopped: not known what they do together");
        return;
    }
    if (gen != a->gen) {
        return;
    }
    /* as the metric people read: the logit difference, not minus it */
    double sign = a->metric == EW_METRIC_LOGIT_DIFF ? -1.0 : 1.0;
    double size = a->now.logit_diff;
    double both = ew_without_noise(sign * e->joint, size);
    double parts = ew_without_noise(sign * e->sum, size);
    double ratio = e->joint / e->sum;
    char joint[EW_FIGURE_SIZE];
    char sum[EW_FIGURE_SIZE];
    ew_notice(a, false, "%zu flipped: %s %s together, %s one by one: %s", e->n,
              sign < 0 ? "LD" : ew_metric_short(a->metric),
              ew_figure_signed(joint, both), ew_figure_signed(sum, parts),
              fabs(both - parts) <= 0.1 * fabs(parts) ? "they add up"
              : ratio > 1 ? "more, they back each other up"
              : ratio > 0 ? "less, they need each other"
                          : "the parts mislead");
}
