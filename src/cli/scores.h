/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores of edges from a file of any format that `diff` reads, ours or
 * another tool's, in the numbering of a graph.
 */
#ifndef EW_CLI_SCORES_H
#define EW_CLI_SCORES_H

#include "edgewise/edgelist.h"
#include "edgewise/engine.h"

#include "cli.h"

struct cli_scores {
    float *scores; /* (n_edges), owned; NaN: the file has none */
    size_t n_known;
    enum ew_score_sign sign; /* as the file says; harmful ones are turned */
};

/* EW_ERR_INPUT when an edge is not one of the graph, or none has a score. */
EW_MUST_CHECK bool cli_scores_load(struct cli_scores *out,
                                   const struct ew_graph *g, const char *path,
                                   struct ew_err *err);
void cli_scores_finish(struct cli_scores *s); /* zeroed is fine */
void cli_scores_flip(struct cli_scores *s, const struct ew_graph *g);
/*
 * Of a file that does not say what positive means, the largest are measured,
 * each alone in the full model: how many of `*n` have the sign of their
 * effect. Leaves the engine in the full circuit.
 */
EW_MUST_CHECK bool cli_scores_probe(const struct cli_scores *s,
                                    struct ew_engine *e, enum ew_metric metric,
                                    size_t *n, size_t *n_agree,
                                    struct ew_err *err);

#endif
