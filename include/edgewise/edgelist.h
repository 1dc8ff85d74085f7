/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of edges as a file or a graph has them, each with its kind, whether
 * it is in the circuit, and its score: what two tools' results have in common
 * and can be compared by. Placeholders are listed too, since other tools'
 * edge lists have them.
 *
 * Files that are read:
 *   circuits        ours, EAP-IG's and MIB's: {"cfg", "nodes", "edges", ...}
 *   edge lists      [{"receiver", "sender", "kind"}] in ACDC's names; also
 *                   what `graph --edges --json` and `scan --json` print:
 *                   [{"edge", "acdc": {"receiver", "sender"}, "kind",
 *                   "score"}]
 *   decision logs   of the official ACDC: {"decisions", "final_edges"}
 */
#ifndef EW_EDGELIST_H
#define EW_EDGELIST_H

#include "edgewise/circuit.h"
#include "edgewise/graph.h"

EW_BEGIN_DECLS

enum ew_listed_kind {
    EW_LISTED_ADDITION,
    EW_LISTED_DIRECT,
    EW_LISTED_PLACEHOLDER,
    EW_N_LISTED_KINDS,
};
/* "addition", "direct", "placeholder" */
const char *ew_listed_kind_name(enum ew_listed_kind kind);

/* Layers that are no number. */
enum { EW_LAYER_LOGITS = -1, EW_LAYER_UNKNOWN = -2 };

struct ew_listed {
    char *name; /* owned: canonical; "sender->receiver" as the file has them
                 * where these name no edge */
    enum ew_listed_kind kind; /* as the file says */
    bool kept;                /* in the circuit */
    float score;              /* NaN: none */
    int layer;                /* of the receiver; EW_LAYER_* */
    uint32_t id; /* edge of the list's graph; n_edges + i is placeholder i;
                  * EW_NONE for what names no edge */
};

struct ew_edge_list {
    const char *format;      /* "graph", "circuit", "edge list", ...; static */
    struct ew_graph *graph;  /* owned: that its names are read in */
    struct ew_listed *items; /* owned, in the order of the file */
    size_t n;
    size_t cap;
    bool lists[EW_N_LISTED_KINDS]; /* does it know edges of this kind? */
    enum ew_score_sign sign;       /* what its positive scores say */
};

/* Every edge of a graph, all kept, no scores; `g` is transferred. */
void ew_edge_list_of_graph(struct ew_edge_list *out, struct ew_graph *g);
/*
 * Read a file of any of the formats above ("-" is standard input).
 * EW_ERR_IO; EW_ERR_INPUT with the place when it is none of them or lists an
 * edge twice. On failure there is nothing to finish.
 */
EW_MUST_CHECK bool ew_edge_list_load(struct ew_edge_list *out, const char *path,
                                     struct ew_err *err);
/* Count every listed edge as kept: to compare graphs rather than circuits. */
void ew_edge_list_keep_all(struct ew_edge_list *list);
void ew_edge_list_finish(struct ew_edge_list *list); /* zeroed is fine */

EW_END_DECLS

#endif
