/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The computational graph as ACDC (Conmy et al. 2023) defines it. It knows no
 * tensor, only the model's shape.
 *
 * Senders write into the residual stream, receivers read from it:
 *   senders    input (or tok, pos), then layer by layer a{l}.h{h}, m{l}
 *   receivers  layer by layer a{l}.h{h}<q>, <k>, <v> for each head, then
 *              m{l}; logits last
 * Both are numbered densely in topological order, so that what is computed
 * before a receiver is always a prefix of the senders: receiver r has the
 * senders 0 .. ew_graph_n_senders_of(r) - 1.
 *
 * Edges have dense ids, 0 .. ew_graph_n_edges() - 1:
 *   addition  first[r] + s                       sender s -> receiver r
 *   direct    n_addition + direct index          a1.h2.q_in -> a1.h2.q
 * A circuit is a bitset over them. Placeholders (q, k, v -> head and mlp_in
 * -> mlp_out) are structure: they have no id, are never cut, never counted.
 *
 * Immutable after creation; safe to share between threads.
 */
#ifndef EW_GRAPH_H
#define EW_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgewise/bitset.h"
#include "edgewise/common.h"
#include "edgewise/err.h"

EW_BEGIN_DECLS

#define EW_NONE UINT32_MAX /* no such node or edge */

enum ew_node_kind {
    EW_NODE_INPUT, /* token plus position embedding */
    EW_NODE_TOK,   /* token embedding alone (split) */
    EW_NODE_POS,   /* position embedding alone (split) */
    EW_NODE_HEAD,  /* a head's result */
    EW_NODE_MLP,   /* as sender its output, as receiver its input */
    EW_NODE_Q,     /* receivers only */
    EW_NODE_K,
    EW_NODE_V,
    EW_NODE_LOGITS, /* receiver only: the final residual */
};

struct ew_node {
    enum ew_node_kind kind;
    int layer; /* -1 for input, tok, pos and logits */
    int head;  /* -1 where there is none */
};

struct ew_graph_spec {
    int n_layers;
    int n_heads;
    bool has_mlp;
    bool parallel;    /* attention and MLP read the same input (GPT-NeoX) */
    bool split_embed; /* token and position embedding are two senders */
};

enum ew_edge_kind { EW_EDGE_ADDITION, EW_EDGE_DIRECT };

struct ew_graph; /* opaque */

/* EW_ERR_INPUT when a number is not positive or the graph has over 2^31
 * edges. */
struct ew_graph *ew_graph_create(const struct ew_graph_spec *spec,
                                 struct ew_err *err);
void ew_graph_destroy(struct ew_graph *g); /* NULL is fine */
const struct ew_graph_spec *ew_graph_spec(const struct ew_graph *g);

uint32_t ew_graph_n_senders(const struct ew_graph *g);
uint32_t ew_graph_n_receivers(const struct ew_graph *g);
uint32_t ew_graph_n_addition(const struct ew_graph *g);
uint32_t ew_graph_n_direct(const struct ew_graph *g);
uint32_t ew_graph_n_placeholder(const struct ew_graph *g);
/* addition + direct: ids run below it, and ACDC counts it. */
uint32_t ew_graph_n_edges(const struct ew_graph *g);

struct ew_node ew_graph_sender(const struct ew_graph *g, uint32_t sender);
struct ew_node ew_graph_receiver(const struct ew_graph *g, uint32_t receiver);
/* Number of a node as sender or receiver, EW_NONE when it is not one. */
uint32_t ew_graph_find_sender(const struct ew_graph *g, struct ew_node node);
uint32_t ew_graph_find_receiver(const struct ew_graph *g, struct ew_node node);
/* The sender that a receiver feeds: its head or MLP; EW_NONE for logits. */
uint32_t ew_graph_feeds(const struct ew_graph *g, uint32_t receiver);
/* The receivers [*first, *first + *n) that feed a head or MLP; *n is 0 for
 * the embedding. */
void ew_graph_inputs_of(const struct ew_graph *g, uint32_t sender,
                        uint32_t *first, uint32_t *n);

/* How many senders a receiver has: they are 0 .. n-1. */
uint32_t ew_graph_n_senders_of(const struct ew_graph *g, uint32_t receiver);
/* Edge id of its sender 0. */
uint32_t ew_graph_first_edge(const struct ew_graph *g, uint32_t receiver);
/* Edge id, or EW_NONE when the sender comes after the receiver. */
uint32_t ew_graph_edge(const struct ew_graph *g, uint32_t sender,
                       uint32_t receiver);
/* The direct edge of a q, k or v receiver; EW_NONE for others. */
uint32_t ew_graph_direct_edge(const struct ew_graph *g, uint32_t receiver);
/* First receiver that a sender reaches; it reaches all from there on. */
uint32_t ew_graph_first_receiver_of(const struct ew_graph *g, uint32_t sender);

enum ew_edge_kind ew_edge_kind(const struct ew_graph *g, uint32_t edge);
/* For a direct edge, the receiver it starts from. */
uint32_t ew_edge_receiver(const struct ew_graph *g, uint32_t edge);
/* EW_NONE for a direct edge. */
uint32_t ew_edge_sender(const struct ew_graph *g, uint32_t edge);

/*
 * The part of a circuit that matters: receivers from which logits can be
 * reached through kept edges (a head's q, k, v count as connected to the head
 * unless their direct edge is cut). `live` has n_receivers bits.
 */
void ew_graph_live_receivers(const struct ew_graph *g,
                             const struct ew_bitset *kept,
                             struct ew_bitset *live);

EW_END_DECLS

#endif
