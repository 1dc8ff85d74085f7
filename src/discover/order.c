/* SPDX-License-Identifier: Apache-2.0 */
/* The official order of tests, read from its code and seen in its logs. */
#include "order.h"

#include <stdlib.h>

#include "edgewise/mem.h"
#include "edgewise/rng.h"

struct order {
    const struct ew_graph *g;
    const struct ew_acdc_params *params;
    struct ew_rng indices;
    struct ew_rng names;
    uint32_t *edges;
    size_t n;
};

/* A group of senders under one hook name: [first, first + n). */
struct group {
    uint32_t first;
    uint32_t n;
};

/* Groups of the senders below n, latest first. */
static size_t sender_groups(const struct ew_graph *g, uint32_t n,
                            struct group *groups)
{
    size_t count = 0;
    uint32_t s = n;
    while (s > 0) {
        struct ew_node last = ew_graph_sender(g, s - 1);
        uint32_t first = s - 1;
        while (last.kind == EW_NODE_HEAD && first > 0) {
            struct ew_node before = ew_graph_sender(g, first - 1);
            if (before.kind != EW_NODE_HEAD || before.layer != last.layer) {
                break;
            }
            first--;
        }
        groups[count++] = (struct group){.first = first, .n = s - first};
        s = first;
    }
    /* of a split embedding, tokens come before positions */
    if (count >= 2 && ew_graph_sender(g, 0).kind == EW_NODE_TOK) {
        struct group held = groups[count - 1];
        groups[count - 1] = groups[count - 2];
        groups[count - 2] = held;
    }
    return count;
}

static void arrange_groups(struct order *o, struct group *groups, size_t n)
{
    if (o->params->names == EW_ORDER_NORMAL) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        size_t j = n - 1 - i;
        if (o->params->names == EW_ORDER_SHUFFLE) {
            j = i + (size_t)ew_rng_below(&o->names, n - i);
        } else if (j <= i) {
            break;
        }
        struct group held = groups[i];
        groups[i] = groups[j];
        groups[j] = held;
    }
}

static void add_group(struct order *o, uint32_t receiver,
                      const struct group *group)
{
    uint32_t *out = o->edges + o->n;
    for (uint32_t i = 0; i < group->n; i++) {
        uint32_t index =
            o->params->indices == EW_ORDER_NORMAL ? group->n - 1 - i : i;
        out[i] = ew_graph_edge(o->g, group->first + index, receiver);
    }
    if (o->params->indices == EW_ORDER_SHUFFLE) {
        ew_rng_shuffle_u32(&o->indices, out, group->n);
    }
    o->n += group->n;
}

static void add_receiver(struct order *o, uint32_t receiver,
                         struct group *groups)
{
    uint32_t n = ew_graph_n_senders_of(o->g, receiver);
    size_t count = sender_groups(o->g, n, groups);
    arrange_groups(o, groups, count);
    for (size_t i = 0; i < count; i++) {
        add_group(o, receiver, &groups[i]);
    }
}

uint32_t *ew_acdc_order(const struct ew_graph *g,
                        const struct ew_acdc_params *params)
{
    static const enum ew_node_kind kinds[] = {EW_NODE_V, EW_NODE_K,
                                              EW_NODE_Q};
    const struct ew_graph_spec *spec = ew_graph_spec(g);
    struct order o = {.g = g, .params = params};
    ew_rng_seed(&o.indices, params->indices_seed);
    ew_rng_seed(&o.names, params->names_seed);
    o.edges = ew_xcalloc(ew_graph_n_edges(g), sizeof(*o.edges));
    struct group *groups =
        ew_xcalloc(ew_graph_n_senders(g), sizeof(*groups));
    struct ew_node node = {EW_NODE_LOGITS, -1, -1};
    add_receiver(&o, ew_graph_find_receiver(g, node), groups);
    for (int layer = spec->n_layers - 1; layer >= 0; layer--) {
        if (spec->has_mlp) {
            node = (struct ew_node){EW_NODE_MLP, layer, -1};
            add_receiver(&o, ew_graph_find_receiver(g, node), groups);
        }
        for (int direct = 1; direct >= 0; direct--) {
            for (size_t k = 0; k < EW_ARRAY_LEN(kinds); k++) {
                for (int head = spec->n_heads - 1; head >= 0; head--) {
                    node = (struct ew_node){kinds[k], layer, head};
                    uint32_t r = ew_graph_find_receiver(g, node);
                    if (direct) {
                        o.edges[o.n++] = ew_graph_direct_edge(g, r);
                    } else {
                        add_receiver(&o, r, groups);
                    }
                }
            }
        }
    }
    free(groups);
    return o.edges;
}
