/* SPDX-License-Identifier: Apache-2.0 */
/* The curves of one ranking of edges on one task, as eval and sweep give
 * them. */
#ifndef EW_CLI_CURVE_H
#define EW_CLI_CURVE_H

#include "edgewise/curve.h"

#include "cli.h"

struct cli_curve {
    double full; /* the metric */
    double empty;
    /* by EW_RANK_*: the largest sizes first, or the largest scores */
    struct ew_curve_point points[2][EW_CURVE_SHARES];
    double cpr;                  /* by score */
    double cmd;                  /* by size */
    struct ew_curve_point reach; /* 90% recovered, by size; chosen 0: never */
    double auroc;                /* by size; NaN: no truth was given */
};

/*
 * `truth` may be NULL. `what` names the ranking in the line of progress.
 * `known` is what cli_curve_json() made of an interrupted measurement of the
 * same curve, or NULL: its points are taken over. After a failure `out` has
 * the points that were measured; the others' figures are NaN.
 */
EW_MUST_CHECK bool cli_curve_measure(struct cli_curve *out, struct ew_judge *j,
                                     const struct ew_graph *g,
                                     const float *scores,
                                     const struct ew_bitset *truth,
                                     const json_t *known,
                                     struct cli_progress *progress,
                                     const char *what, struct ew_err *err);
json_t *cli_curve_json(const struct cli_curve *c);
/* One row for each point, with a header. */
void cli_curve_table(const struct cli_curve *c, struct cli_table *table);

#endif
