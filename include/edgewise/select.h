/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From scores to a circuit: which additions to keep. As EAP-IG and MIB count,
 * direct edges are not chosen: they stay with heads that something is kept
 * of. Knows no engine.
 */
#ifndef EW_SELECT_H
#define EW_SELECT_H

#include "edgewise/bitset.h"
#include "edgewise/graph.h"
#include "edgewise/scan.h"

EW_BEGIN_DECLS

enum ew_select_how {
    EW_SELECT_TOP,       /* the n best */
    EW_SELECT_THRESHOLD, /* those not under a threshold */
    EW_SELECT_GREEDY,    /* n, each the best into what already is kept, from
                          * the logits backwards */
};

struct ew_selection {
    enum ew_select_how how;
    uint32_t n;        /* additions, of top and greedy */
    double threshold;  /* of the score, or of its size */
    enum ew_rank rank; /* whether sign or size counts */
    bool prune;
    /* Heads as a whole (edgewise/unit.h): scores are of units, and a unit
     * that is chosen brings all its edges. */
    bool nodes;
};

struct ew_selected { /* additions, or units */
    uint32_t chosen; /* before pruning */
    uint32_t kept;   /* and after */
    uint32_t direct; /* direct edges that stay with them */
};

/* Read "top:N", "threshold:T" or "greedy:N" into `out`, whose other members
 * are left alone. EW_ERR_USAGE. */
EW_MUST_CHECK bool ew_selection_parse(const char *text,
                                      struct ew_selection *out,
                                      struct ew_err *err);

/*
 * Fill `kept` (n_edges bits). `scores` is (n_edges); an edge without a score
 * (NaN) is never chosen. Greedy ends early when nothing leads further.
 */
struct ew_selected ew_select_edges(const struct ew_graph *g,
                                   const float *scores,
                                   const struct ew_selection *selection,
                                   struct ew_bitset *kept);

/*
 * Cut the kept additions of nodes without a child or without a parent, until
 * there are none: of every head and MLP that no kept edge leaves, the edges
 * into it, and of those that none enters, the edges out of it. The embedding
 * needs no parent. Direct edges are left alone.
 */
void ew_prune(const struct ew_graph *g, struct ew_bitset *kept);

EW_END_DECLS

#endif
