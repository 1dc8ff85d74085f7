/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbering of nodes and edges. Every layer has the same nodes, so all
 * of it is arithmetic over one small table of first edges per layer: an edge
 * is found by a search among the layers and one division, and two million
 * edges cost no more memory than two hundred.
 */
#include "edgewise/graph.h"

#include <assert.h>
#include <stdlib.h>

#include "edgewise/mem.h"

struct ew_graph {
    struct ew_graph_spec spec;
    uint32_t n_embed;             /* 1, or 2 when split */
    uint32_t n_heads;             /* per layer */
    uint32_t senders_per_layer;   /* heads and MLP */
    uint32_t receivers_per_layer; /* q, k, v of each head and MLP */
    uint32_t n_senders;
    uint32_t n_receivers;
    uint32_t n_addition;
    uint32_t n_direct;
    uint32_t *first; /* (n_layers + 1): first edge of a layer's receivers */
};

static const uint64_t max_edges = UINT64_C(1) << 31;

/* Senders before the heads of a layer. */
static uint32_t base_of(const struct ew_graph *g, uint32_t layer)
{
    return g->n_embed + layer * g->senders_per_layer;
}

/* Senders of a layer's MLP. */
static uint32_t mlp_base_of(const struct ew_graph *g, uint32_t layer)
{
    return base_of(g, layer) + (g->spec.parallel ? 0 : g->n_heads);
}

/* Edges of the whole graph, or more than max_edges when that is exceeded. */
static uint64_t count_edges(const struct ew_graph_spec *spec)
{
    uint64_t heads = (uint64_t)spec->n_heads;
    uint64_t base = spec->split_embed ? 2 : 1;
    uint64_t total = 0;
    for (int layer = 0; layer < spec->n_layers && total <= max_edges; layer++) {
        total += 3 * heads * (base + 1); /* additions and direct edges */
        if (spec->has_mlp) {
            total += base + (spec->parallel ? 0 : heads);
        }
        base += heads + (spec->has_mlp ? 1 : 0);
    }
    return total + base;
}

static bool check_spec(const struct ew_graph_spec *spec, struct ew_err *err)
{
    if (spec->n_layers < 1) {
        return ew_fail(err, EW_ERR_INPUT,
                       "graph: expected at least 1 layer, found %d",
                       spec->n_layers);
    }
    if (spec->n_heads < 1) {
        return ew_fail(err, EW_ERR_INPUT,
                       "graph: expected at least 1 head, found %d",
                       spec->n_heads);
    }
    if (count_edges(spec) > max_edges) {
        return ew_fail(err, EW_ERR_INPUT,
                       "graph: %d layers of %d heads make over 2^31 edges",
                       spec->n_layers, spec->n_heads);
    }
    return true;
}

struct ew_graph *ew_graph_create(const struct ew_graph_spec *spec,
                                 struct ew_err *err)
{
    if (!check_spec(spec, err)) {
        return NULL;
    }
    struct ew_graph *g = ew_xcalloc(1, sizeof(*g));
    uint32_t n_layers = (uint32_t)spec->n_layers;
    uint32_t mlp = spec->has_mlp ? 1 : 0;
    g->spec = *spec;
    g->n_embed = spec->split_embed ? 2 : 1;
    g->n_heads = (uint32_t)spec->n_heads;
    g->senders_per_layer = g->n_heads + mlp;
    g->receivers_per_layer = 3 * g->n_heads + mlp;
    g->n_senders = base_of(g, n_layers);
    g->n_receivers = n_layers * g->receivers_per_layer + 1;
    g->n_direct = n_layers * 3 * g->n_heads;
    g->first = ew_xcalloc((size_t)n_layers + 1, sizeof(*g->first));
    for (uint32_t layer = 0; layer < n_layers; layer++) {
        g->first[layer + 1] = g->first[layer] +
                              3 * g->n_heads * base_of(g, layer) +
                              mlp * mlp_base_of(g, layer);
    }
    g->n_addition = g->first[n_layers] + g->n_senders;
    return g;
}

void ew_graph_destroy(struct ew_graph *g)
{
    if (g) {
        free(g->first);
        free(g);
    }
}

const struct ew_graph_spec *ew_graph_spec(const struct ew_graph *g)
{
    return &g->spec;
}

uint32_t ew_graph_n_senders(const struct ew_graph *g)
{
    return g->n_senders;
}

uint32_t ew_graph_n_receivers(const struct ew_graph *g)
{
    return g->n_receivers;
}

uint32_t ew_graph_n_addition(const struct ew_graph *g)
{
    return g->n_addition;
}

uint32_t ew_graph_n_direct(const struct ew_graph *g)
{
    return g->n_direct;
}

uint32_t ew_graph_n_placeholder(const struct ew_graph *g)
{
    return g->n_receivers - 1; /* one for each receiver but logits */
}

uint32_t ew_graph_n_edges(const struct ew_graph *g)
{
    return g->n_addition + g->n_direct;
}

struct ew_node ew_graph_sender(const struct ew_graph *g, uint32_t sender)
{
    assert(sender < g->n_senders);
    struct ew_node node = {.kind = EW_NODE_INPUT, .layer = -1, .head = -1};
    if (sender < g->n_embed) {
        if (g->spec.split_embed) {
            node.kind = sender == 0 ? EW_NODE_TOK : EW_NODE_POS;
        }
        return node;
    }
    uint32_t in_layer = (sender - g->n_embed) % g->senders_per_layer;
    node.layer = (int)((sender - g->n_embed) / g->senders_per_layer);
    node.kind = in_layer < g->n_heads ? EW_NODE_HEAD : EW_NODE_MLP;
    node.head = in_layer < g->n_heads ? (int)in_layer : -1;
    return node;
}

struct ew_node ew_graph_receiver(const struct ew_graph *g, uint32_t receiver)
{
    assert(receiver < g->n_receivers);
    struct ew_node node = {.kind = EW_NODE_LOGITS, .layer = -1, .head = -1};
    if (receiver == g->n_receivers - 1) {
        return node;
    }
    uint32_t in_layer = receiver % g->receivers_per_layer;
    node.layer = (int)(receiver / g->receivers_per_layer);
    if (in_layer == 3 * g->n_heads) {
        node.kind = EW_NODE_MLP;
        return node;
    }
    node.kind = (enum ew_node_kind)(EW_NODE_Q + in_layer % 3);
    node.head = (int)(in_layer / 3);
    return node;
}

static bool has_layer(const struct ew_graph *g, struct ew_node node)
{
    return node.layer >= 0 && node.layer < g->spec.n_layers;
}

static bool has_head(const struct ew_graph *g, struct ew_node node)
{
    return has_layer(g, node) && node.head >= 0 && node.head < g->spec.n_heads;
}

uint32_t ew_graph_find_sender(const struct ew_graph *g, struct ew_node node)
{
    switch (node.kind) {
    case EW_NODE_INPUT:
        return g->spec.split_embed ? EW_NONE : 0;
    case EW_NODE_TOK:
        return g->spec.split_embed ? 0 : EW_NONE;
    case EW_NODE_POS:
        return g->spec.split_embed ? 1 : EW_NONE;
    case EW_NODE_HEAD:
        if (!has_head(g, node)) {
            return EW_NONE;
        }
        return base_of(g, (uint32_t)node.layer) + (uint32_t)node.head;
    case EW_NODE_MLP:
        if (!has_layer(g, node) || !g->spec.has_mlp) {
            return EW_NONE;
        }
        return base_of(g, (uint32_t)node.layer) + g->n_heads;
    case EW_NODE_Q:
    case EW_NODE_K:
    case EW_NODE_V:
    case EW_NODE_LOGITS:
        break;
    }
    return EW_NONE;
}

uint32_t ew_graph_find_receiver(const struct ew_graph *g, struct ew_node node)
{
    uint32_t layer = (uint32_t)node.layer;
    switch (node.kind) {
    case EW_NODE_Q:
    case EW_NODE_K:
    case EW_NODE_V:
        if (!has_head(g, node)) {
            return EW_NONE;
        }
        return layer * g->receivers_per_layer + (uint32_t)node.head * 3 +
               (uint32_t)(node.kind - EW_NODE_Q);
    case EW_NODE_MLP:
        if (!has_layer(g, node) || !g->spec.has_mlp) {
            return EW_NONE;
        }
        return layer * g->receivers_per_layer + 3 * g->n_heads;
    case EW_NODE_LOGITS:
        return g->n_receivers - 1;
    case EW_NODE_INPUT:
    case EW_NODE_TOK:
    case EW_NODE_POS:
    case EW_NODE_HEAD:
        break;
    }
    return EW_NONE;
}

uint32_t ew_graph_feeds(const struct ew_graph *g, uint32_t receiver)
{
    assert(receiver < g->n_receivers);
    if (receiver == g->n_receivers - 1) {
        return EW_NONE;
    }
    /* for an MLP the third of 3 * n_heads is the place after the heads */
    return base_of(g, receiver / g->receivers_per_layer) +
           receiver % g->receivers_per_layer / 3;
}

void ew_graph_inputs_of(const struct ew_graph *g, uint32_t sender,
                        uint32_t *first, uint32_t *n)
{
    assert(sender < g->n_senders);
    *first = 0;
    *n = 0;
    if (sender < g->n_embed) {
        return;
    }
    uint32_t in_layer = (sender - g->n_embed) % g->senders_per_layer;
    uint32_t layer = (sender - g->n_embed) / g->senders_per_layer;
    *first = layer * g->receivers_per_layer + in_layer * 3;
    *n = in_layer < g->n_heads ? 3 : 1;
}

uint32_t ew_graph_n_senders_of(const struct ew_graph *g, uint32_t receiver)
{
    assert(receiver < g->n_receivers);
    uint32_t layer = receiver / g->receivers_per_layer;
    if (receiver % g->receivers_per_layer == 3 * g->n_heads) {
        return mlp_base_of(g, layer);
    }
    return base_of(g, layer); /* of logits: all senders */
}

uint32_t ew_graph_first_edge(const struct ew_graph *g, uint32_t receiver)
{
    assert(receiver < g->n_receivers);
    uint32_t layer = receiver / g->receivers_per_layer;
    uint32_t in_layer = receiver % g->receivers_per_layer;
    return g->first[layer] + in_layer * base_of(g, layer);
}

uint32_t ew_graph_edge(const struct ew_graph *g, uint32_t sender,
                       uint32_t receiver)
{
    if (sender >= ew_graph_n_senders_of(g, receiver)) {
        return EW_NONE;
    }
    return ew_graph_first_edge(g, receiver) + sender;
}

uint32_t ew_graph_direct_edge(const struct ew_graph *g, uint32_t receiver)
{
    assert(receiver < g->n_receivers);
    uint32_t layer = receiver / g->receivers_per_layer;
    uint32_t in_layer = receiver % g->receivers_per_layer;
    if (receiver == g->n_receivers - 1 || in_layer == 3 * g->n_heads) {
        return EW_NONE;
    }
    return g->n_addition + layer * 3 * g->n_heads + in_layer;
}

uint32_t ew_graph_first_receiver_of(const struct ew_graph *g, uint32_t sender)
{
    assert(sender < g->n_senders);
    if (sender < g->n_embed) {
        return 0;
    }
    uint32_t in_layer = (sender - g->n_embed) % g->senders_per_layer;
    uint32_t layer = (sender - g->n_embed) / g->senders_per_layer;
    if (in_layer < g->n_heads && g->spec.has_mlp && !g->spec.parallel) {
        return layer * g->receivers_per_layer + 3 * g->n_heads;
    }
    return (layer + 1) * g->receivers_per_layer;
}

enum ew_edge_kind ew_edge_kind(const struct ew_graph *g, uint32_t edge)
{
    assert(edge < ew_graph_n_edges(g));
    return edge < g->n_addition ? EW_EDGE_ADDITION : EW_EDGE_DIRECT;
}

/* The layer whose receivers own an addition edge; n_layers for logits. */
static uint32_t layer_of_edge(const struct ew_graph *g, uint32_t edge)
{
    uint32_t low = 0;
    uint32_t high = (uint32_t)g->spec.n_layers;
    while (low < high) {
        uint32_t middle = high - (high - low) / 2;
        if (g->first[middle] <= edge) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

/* Number of the owner among its layer's receivers. */
static uint32_t owner_in_layer(const struct ew_graph *g, uint32_t layer,
                               uint32_t edge)
{
    if (layer == (uint32_t)g->spec.n_layers) {
        return 0;
    }
    uint32_t in_layer = (edge - g->first[layer]) / base_of(g, layer);
    /* an MLP has more senders than one head's q */
    return in_layer < 3 * g->n_heads ? in_layer : 3 * g->n_heads;
}

uint32_t ew_edge_receiver(const struct ew_graph *g, uint32_t edge)
{
    assert(edge < ew_graph_n_edges(g));
    if (edge >= g->n_addition) {
        uint32_t direct = edge - g->n_addition;
        return direct / (3 * g->n_heads) * g->receivers_per_layer +
               direct % (3 * g->n_heads);
    }
    uint32_t layer = layer_of_edge(g, edge);
    return layer * g->receivers_per_layer + owner_in_layer(g, layer, edge);
}

uint32_t ew_edge_sender(const struct ew_graph *g, uint32_t edge)
{
    assert(edge < ew_graph_n_edges(g));
    if (edge >= g->n_addition) {
        return EW_NONE;
    }
    uint32_t layer = layer_of_edge(g, edge);
    return edge - g->first[layer] -
           owner_in_layer(g, layer, edge) * base_of(g, layer);
}

void ew_graph_live_receivers(const struct ew_graph *g,
                             const struct ew_bitset *kept,
                             struct ew_bitset *live)
{
    assert(ew_bitset_size(kept) == ew_graph_n_edges(g));
    assert(ew_bitset_size(live) == g->n_receivers);
    bool *reaches = ew_xcalloc(g->n_senders, sizeof(*reaches));
    ew_bitset_fill(live, false);
    for (uint32_t r = g->n_receivers; r-- > 0;) {
        uint32_t feeds = ew_graph_feeds(g, r);
        uint32_t direct = ew_graph_direct_edge(g, r);
        if ((feeds != EW_NONE && !reaches[feeds]) ||
            (direct != EW_NONE && !ew_bitset_has(kept, direct))) {
            continue;
        }
        ew_bitset_put(live, r, true);
        uint32_t first = ew_graph_first_edge(g, r);
        size_t end = first + (size_t)ew_graph_n_senders_of(g, r);
        for (size_t e = ew_bitset_next(kept, first); e < end;
             e = ew_bitset_next(kept, e + 1)) {
            reaches[e - first] = true;
        }
    }
    free(reaches);
}
