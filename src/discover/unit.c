/* SPDX-License-Identifier: Apache-2.0 */
/* A head's receivers q, k, v are next to each other, with the same senders. */
#include "edgewise/unit.h"

#include <stdlib.h>

#include "edgewise/mem.h"
#include "edgewise/names.h"

static struct ew_node receiver_of(const struct ew_graph *g, uint32_t edge)
{
    return ew_graph_receiver(g, ew_edge_receiver(g, edge));
}

bool ew_unit_is(const struct ew_graph *g, bool whole, uint32_t edge)
{
    if (!whole) {
        return true;
    }
    enum ew_node_kind kind = receiver_of(g, edge).kind;
    return ew_edge_kind(g, edge) == EW_EDGE_ADDITION && kind != EW_NODE_K &&
           kind != EW_NODE_V;
}

uint32_t ew_unit_count(const struct ew_graph *g, bool whole)
{
    uint32_t n = 0;
    for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
        n += ew_unit_is(g, whole, e);
    }
    return n;
}

size_t ew_unit_edges(const struct ew_graph *g, bool whole, uint32_t unit,
                     uint32_t edges[EW_UNIT_MAX])
{
    size_t n = whole && receiver_of(g, unit).kind == EW_NODE_Q ? 3 : 1;
    edges[0] = unit;
    for (size_t i = 1; i < n; i++) {
        edges[i] = ew_graph_edge(g, ew_edge_sender(g, unit),
                                 ew_edge_receiver(g, unit) + (uint32_t)i);
    }
    return n;
}

size_t ew_unit_flips(const struct ew_graph *g, bool whole, uint32_t unit,
                     const struct ew_bitset *kept,
                     uint32_t edges[EW_UNIT_MAX], bool *keeps)
{
    uint32_t all[EW_UNIT_MAX];
    size_t n = ew_unit_edges(g, whole, unit, all);
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        n_kept += ew_bitset_has(kept, all[i]);
    }
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (n_kept == 0 || ew_bitset_has(kept, all[i])) {
            edges[found++] = all[i];
        }
    }
    if (keeps) {
        *keeps = n_kept > 0;
    }
    return found;
}

void ew_unit_print(struct ew_buf *out, const struct ew_graph *g, bool whole,
                   uint32_t unit)
{
    struct ew_node node = receiver_of(g, unit);
    if (!whole || node.kind != EW_NODE_Q) {
        ew_edge_print(out, g, unit, EW_NAMES_CANONICAL);
        return;
    }
    ew_sender_print(out, g, ew_edge_sender(g, unit), EW_NAMES_CANONICAL);
    ew_buf_printf(out, "->a%d.h%d", node.layer, node.head);
}

void ew_unit_print_acdc(struct ew_buf *receiver, struct ew_buf *sender,
                        const struct ew_graph *g, bool whole, uint32_t unit)
{
    struct ew_node node = receiver_of(g, unit);
    if (!whole || node.kind != EW_NODE_Q) {
        ew_edge_print_acdc(receiver, sender, g, unit);
        return;
    }
    ew_buf_printf(receiver, "blocks.%d.hook_attn_in[:, :, %d]", node.layer,
                  node.head);
    ew_sender_print(sender, g, ew_edge_sender(g, unit), EW_NAMES_ACDC);
}

bool ew_unit_parse(const struct ew_graph *g, bool whole, const char *text,
                   uint32_t *unit, struct ew_err *err)
{
    if (!whole) {
        return ew_edge_parse(g, text, unit, err);
    }
    char *into_q = ew_xasprintf("%s<q>", text);
    bool ok = ew_edge_parse(g, into_q, unit, NULL);
    free(into_q);
    if (ok && receiver_of(g, *unit).kind == EW_NODE_Q) {
        return true;
    }
    if (!ew_edge_parse(g, text, unit, err)) {
        return false;
    }
    enum ew_node_kind kind = receiver_of(g, *unit).kind;
    return kind == EW_NODE_MLP || kind == EW_NODE_LOGITS ||
           ew_fail(err, EW_ERR_INPUT,
                   "expected heads as a whole, such as a0.h1->a1.h2, found %s",
                   text);
}
