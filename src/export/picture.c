/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing what to draw. The largest edges are chosen first, then merged into
 * lines, so that "the best 100 edges" is the same circuit either way.
 */
#include "picture.h"

#include <math.h>
#include <stdlib.h>

#include "edgewise/mem.h"

struct candidate {
    uint32_t edge;
    float size; /* |score|; -1 where unknown */
};

/* Largest first; equal ones in order of ids. */
static int by_size(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    if (x->size != y->size) {
        return x->size < y->size ? 1 : -1;
    }
    return (x->edge > y->edge) - (x->edge < y->edge);
}

static int by_edge(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    return (x->edge > y->edge) - (x->edge < y->edge);
}

static int by_ends(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    if (x->node != y->node) {
        return x->node < y->node ? -1 : 1;
    }
    if (x->sender != y->sender) {
        return x->sender < y->sender ? -1 : 1;
    }
    return (x->edges[0] > y->edges[0]) - (x->edges[0] < y->edges[0]);
}

/* The kept additions, or the largest of them, in order of ids. */
static struct candidate *choose(struct picture *p)
{
    const struct ew_bitset *kept = ew_circuit_kept(p->circuit);
    uint32_t n_addition = ew_graph_n_addition(p->graph);
    uint32_t n = 0;
    struct candidate *all = NULL;
    size_t cap = 0;
    for (size_t e = ew_bitset_next(kept, 0); e < n_addition;
         e = ew_bitset_next(kept, e + 1)) {
        float size = fabsf(ew_circuit_score(p->circuit, (uint32_t)e));
        all = ew_grow(all, n, &cap, sizeof(*all));
        all[n++] = (struct candidate){(uint32_t)e, isnan(size) ? -1.0f : size};
    }
    p->n_additions = n;
    p->n_drawn = n;
    if (p->params.max_edges > 0 && n > p->params.max_edges) {
        qsort(all, n, sizeof(*all), by_size);
        p->n_drawn = p->params.max_edges;
        qsort(all, p->n_drawn, sizeof(*all), by_edge);
    }
    return all;
}

/* Larger in size, or known where the other is not. */
static float larger(float a, float b)
{
    return isnan(b) || fabsf(a) >= fabsf(b) ? a : b;
}

/* Join neighbours with the same ends; how many lines are left. */
static size_t merge(struct line *lines, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        struct line *last = out > 0 ? &lines[out - 1] : NULL;
        if (last && last->node == lines[i].node &&
            last->sender == lines[i].sender) {
            last->edges[last->n_edges++] = lines[i].edges[0];
            last->score = larger(last->score, lines[i].score);
        } else {
            lines[out++] = lines[i];
        }
    }
    return out;
}

static void make_lines(struct picture *p, const struct candidate *edges)
{
    p->lines = ew_xcalloc(p->n_drawn ? p->n_drawn : 1, sizeof(*p->lines));
    p->n_lines = p->n_drawn;
    for (uint32_t i = 0; i < p->n_drawn; i++) {
        uint32_t e = edges[i].edge;
        uint32_t feeds =
            ew_graph_feeds(p->graph, ew_edge_receiver(p->graph, e));
        p->lines[i] = (struct line){
            .sender = ew_edge_sender(p->graph, e),
            .node = feeds == EW_NONE ? ew_graph_n_senders(p->graph) : feeds,
            .n_edges = 1,
            .edges = {e},
            .score = ew_circuit_score(p->circuit, e),
        };
    }
    if (p->params.group_qkv && p->n_lines > 1) {
        qsort(p->lines, p->n_lines, sizeof(*p->lines), by_ends);
        p->n_lines = merge(p->lines, p->n_lines);
    }
}

bool picture_pinned(const struct picture *p, uint32_t receiver)
{
    uint32_t direct = ew_graph_direct_edge(p->graph, receiver);
    return direct != EW_NONE && !ew_circuit_has(p->circuit, direct);
}

static void find_nodes(struct picture *p)
{
    uint32_t n_senders = ew_graph_n_senders(p->graph);
    p->shown = ew_xcalloc((size_t)n_senders + 1, sizeof(*p->shown));
    for (size_t i = 0; i < p->n_lines; i++) {
        p->shown[p->lines[i].sender] = true;
        p->shown[p->lines[i].node] = true;
        if (!isnan(p->lines[i].score)) {
            p->largest = fmaxf(p->largest, fabsf(p->lines[i].score));
        }
    }
    for (uint32_t s = 0; s < n_senders; s++) {
        uint32_t first;
        uint32_t n;
        ew_graph_inputs_of(p->graph, s, &first, &n);
        for (uint32_t r = first; p->shown[s] && r < first + n; r++) {
            p->any_pinned = p->any_pinned || picture_pinned(p, r);
        }
    }
}

void picture_init(struct picture *p, const struct ew_circuit *c,
                  const struct ew_dot_params *params)
{
    *p = (struct picture){.circuit = c, .graph = ew_circuit_graph(c)};
    if (params) {
        p->params = *params;
    }
    struct candidate *edges = choose(p);
    make_lines(p, edges);
    free(edges);
    find_nodes(p);
    p->live = ew_bitset_create(ew_graph_n_receivers(p->graph));
    ew_graph_live_receivers(p->graph, ew_circuit_kept(c), p->live);
}

void picture_finish(struct picture *p)
{
    free(p->lines);
    free(p->shown);
    ew_bitset_destroy(p->live);
    *p = (struct picture){0};
}

enum effect picture_effect(const struct picture *p, float score)
{
    const struct ew_provenance *from = ew_circuit_get_provenance(p->circuit);
    if (isnan(score)) {
        return EFFECT_UNKNOWN;
    }
    if (score == 0.0f) {
        return EFFECT_NONE;
    }
    return (score > 0.0f) == (from->sign != EW_SIGN_HARMFUL) ? EFFECT_NEEDED
                                                             : EFFECT_HURTS;
}

/* Without merging a count will do: a screen may ask in every frame. */
uint32_t ew_dot_n_lines(const struct ew_circuit *c,
                        const struct ew_dot_params *params)
{
    if (!params || !params->group_qkv) {
        uint32_t n = (uint32_t)ew_bitset_count_range(
            ew_circuit_kept(c), 0, ew_graph_n_addition(ew_circuit_graph(c)));
        uint32_t max = params ? params->max_edges : 0;
        return max > 0 && n > max ? max : n;
    }
    struct picture p;
    picture_init(&p, c, params);
    uint32_t n = (uint32_t)p.n_lines;
    picture_finish(&p);
    return n;
}
