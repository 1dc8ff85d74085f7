/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two criteria of Wang et al. 2022. With m the metric as ACDC minimises it, C
 * a circuit, K a set of nodes, and "without K" every edge out of them cut:
 *   incompleteness of K   |m(C without K) - m(full without K)|: a circuit that
 *                         is complete does what the model does, whatever is
 *                         knocked out of both
 *   minimality of edge e  the largest over some K of
 *                         |m(C without K and e) - m(C without K)|: near 0 for
 *                         an edge that the circuit does not need, not even
 *                         where others are missing
 * The engine is left in one of the circuits on the way.
 */
#ifndef EW_COMPLETENESS_H
#define EW_COMPLETENESS_H

#include "edgewise/engine.h"

EW_BEGIN_DECLS

struct ew_completeness_params {
    enum ew_metric metric;
    /* Called on the engine's thread now and then; optional. */
    void (*progress)(void *user, size_t done, size_t total);
    void *user;
};

/* The heads and MLPs that a kept edge leaves; `nodes` has n_senders bits. */
void ew_circuit_nodes(const struct ew_graph *g, const struct ew_bitset *kept,
                      struct ew_bitset *nodes);
/*
 * The edges that knocking out `nodes` cuts in the circuit `kept`; how many.
 * `edges` has room for all.
 */
size_t ew_knocked_out(const struct ew_graph *g, const struct ew_bitset *kept,
                      const struct ew_bitset *nodes, uint32_t *edges);

struct ew_incompleteness {
    double circuit; /* m(C without K) */
    double full;    /* m(full without K) */
    double size;    /* how far apart they are */
};

/* Of `n` sets of nodes, out (n). EW_ERR_INPUT when the metric is not defined
 * for the task. */
EW_MUST_CHECK bool
ew_incompleteness(struct ew_engine *e, const struct ew_bitset *circuit,
                  const struct ew_completeness_params *params,
                  const struct ew_bitset *const *sets, size_t n,
                  struct ew_incompleteness *out, const struct ew_cancel *cancel,
                  struct ew_err *err);
/*
 * A set that is made greedily, of at most `most` of the circuit's nodes: each
 * time the node that adds most, as long as one adds anything. `set` has
 * n_senders bits.
 */
EW_MUST_CHECK bool
ew_incompleteness_greedy(struct ew_engine *e, const struct ew_bitset *circuit,
                         const struct ew_completeness_params *params,
                         size_t most, struct ew_bitset *set,
                         struct ew_incompleteness *out,
                         const struct ew_cancel *cancel, struct ew_err *err);

/*
 * The minimality of every edge of the circuit over one more set K: out
 * (n_edges) is raised to it, and `which` becomes `number` where it is. Start
 * with NaN.
 */
EW_MUST_CHECK bool
ew_minimality_add(struct ew_engine *e, const struct ew_bitset *circuit,
                  const struct ew_completeness_params *params,
                  const struct ew_bitset *set, uint32_t number, double *out,
                  uint32_t *which, const struct ew_cancel *cancel,
                  struct ew_err *err);

EW_END_DECLS

#endif
