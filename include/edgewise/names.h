/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of nodes and edges in the field's four dialects, in one table:
 *
 *   canonical    a0.h1->a1.h2<q>, m3->logits, input->m0;
 *                direct a1.h2.q_in->a1.h2.q; placeholder a1.h2.q->a1.h2,
 *                m3.in->m3 (EAP-IG and MIB write the additions so)
 *   acdc         receiver blocks.1.hook_q_input[:, :, 2], sender
 *                blocks.0.attn.hook_result[:, :, 1]; embedding
 *                blocks.0.hook_resid_pre[:], split hook_embed[:] and
 *                hook_pos_embed[:]; blocks.1.hook_mlp_in[:],
 *                blocks.1.hook_mlp_out[:]; logits is
 *                blocks.L-1.hook_resid_post[:]; direct
 *                blocks.1.attn.hook_q[:, :, 2] from
 *                blocks.1.hook_q_input[:, :, 2]
 *   autocircuit  A0.1->A1.2.Q, MLP 3->Resid End, Resid Start->MLP 0
 *   display      <a1.2_q>, <a0.1>, <m3>, embed, <token_embeds>,
 *                <pos_embeds>, <resid_post>; direct <a1.2_q>-><a1.2>
 *
 * AutoCircuit has neither split embeddings nor direct edges: there the
 * canonical name stands in.
 */
#ifndef EW_NAMES_H
#define EW_NAMES_H

#include "edgewise/buf.h"
#include "edgewise/graph.h"

EW_BEGIN_DECLS

enum ew_dialect {
    EW_NAMES_CANONICAL,
    EW_NAMES_ACDC,
    EW_NAMES_AUTOCIRCUIT,
    EW_NAMES_DISPLAY,
};

/* Append the name of a sender or receiver. */
void ew_sender_print(struct ew_buf *out, const struct ew_graph *g,
                     uint32_t sender, enum ew_dialect dialect);
void ew_receiver_print(struct ew_buf *out, const struct ew_graph *g,
                       uint32_t receiver, enum ew_dialect dialect);
/* Append "sender->receiver" (for acdc: "receiver <- sender" is not used;
 * call the two ends below). */
void ew_edge_print(struct ew_buf *out, const struct ew_graph *g, uint32_t edge,
                   enum ew_dialect dialect);
/* Append the two ends of an edge, of any kind, as ACDC's keys. */
void ew_edge_print_acdc(struct ew_buf *receiver, struct ew_buf *sender,
                        const struct ew_graph *g, uint32_t edge);

/* Placeholders have no edge id: number them 0 .. n_placeholder-1. Number i
 * belongs to receiver i, which feeds a head or an MLP. */
void ew_placeholder_print(struct ew_buf *out, const struct ew_graph *g,
                          uint32_t index);
void ew_placeholder_print_acdc(struct ew_buf *receiver, struct ew_buf *sender,
                               const struct ew_graph *g, uint32_t index);

/*
 * Read an edge in any dialect, as ew_edge_print() writes it: "->" between
 * sender and receiver, blanks around it allowed. EW_ERR_INPUT with the reason:
 * unknown node, sender after receiver, no such layer or head.
 */
EW_MUST_CHECK bool ew_edge_parse(const struct ew_graph *g, const char *text,
                                 uint32_t *edge, struct ew_err *err);
/* Read an edge from ACDC's pair of keys; for a direct edge too. */
EW_MUST_CHECK bool ew_edge_parse_acdc(const struct ew_graph *g,
                                      const char *receiver, const char *sender,
                                      uint32_t *edge, struct ew_err *err);
/*
 * Read a node name in any dialect ("a1.h2", "m3", "input", "a1.h2<q>",
 * "logits").
 * *sender and *receiver are EW_NONE where the node is not one; for a head or
 * MLP name *sender is it, and for an MLP both are set.
 */
EW_MUST_CHECK bool ew_node_parse(const struct ew_graph *g, const char *text,
                                 uint32_t *sender, uint32_t *receiver,
                                 struct ew_err *err);

/*
 * Make a spec large enough for a node's name in any dialect, whatever its
 * role: layers, heads, MLPs, split embedding. False, and nothing is changed,
 * for what is no name. How a graph is told from a list of its edges.
 */
bool ew_graph_spec_learn(struct ew_graph_spec *spec, const char *name);

EW_END_DECLS

#endif
