/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judging circuits and rankings of edges.
 *
 * A judge knows what the metric is with every edge kept and with every edge
 * cut. Of a circuit C, with m the metric:
 *   recovered  f = (m(C) - m(empty)) / (m(full) - m(empty)), a ratio of means
 *              over prompts
 *   its standard error over prompts, to first order: with c, u, e what a
 *              prompt has in C, the full and the empty circuit, that of the
 *              mean of (c - e) - f (u - e), over |mean of u - e|
 * A ranking is judged by its curve: f of its best int(p E) additions, without
 * those of nodes that lead nowhere, for several shares p (MIB):
 *   CPR   integral of f over p, the largest signed scores kept first
 *   CMD   integral of |1 - f|, the largest |scores| kept first
 * both by linear trapezoids over .001 .. 1, so that a perfect method has CPR
 * .999 and CMD 0.
 */
#ifndef EW_CURVE_H
#define EW_CURVE_H

#include "edgewise/engine.h"
#include "edgewise/scan.h"

EW_BEGIN_DECLS

struct ew_judge; /* opaque; lives on the engine's thread */

/*
 * Measures the full and the empty circuit. `e` is borrowed; it is left in the
 * circuit it was in. EW_ERR_INPUT when the metric is not defined for the task.
 */
struct ew_judge *ew_judge_create(struct ew_engine *e, enum ew_metric metric,
                                 const struct ew_cancel *cancel,
                                 struct ew_err *err);
void ew_judge_destroy(struct ew_judge *j); /* NULL is fine */
/* The metric, as ACDC minimises it, of the full and the empty circuit. */
double ew_judge_full(const struct ew_judge *j);
double ew_judge_empty(const struct ew_judge *j);
/* NaN when full and empty are nearer than 1e-6. */
double ew_judge_recovered(const struct ew_judge *j, double metric);

struct ew_verdict {
    double metric;
    double recovered;
    double error; /* standard error of recovered; NaN for metrics that the
                   * engine does not give by prompt: all but logit-diff */
};
/* Put the engine into a circuit, and judge it. */
EW_MUST_CHECK bool ew_judge_circuit(struct ew_judge *j,
                                    const struct ew_bitset *kept,
                                    struct ew_verdict *out,
                                    const struct ew_cancel *cancel,
                                    struct ew_err *err);
/* The metric when what is kept is cut and what is cut is kept: the
 * complement, m(full without C). */
EW_MUST_CHECK bool ew_judge_complement(struct ew_judge *j,
                                       const struct ew_bitset *kept,
                                       struct ew_verdict *out,
                                       const struct ew_cancel *cancel,
                                       struct ew_err *err);

/* ---- curves ---- */

struct ew_ranking {
    const float *scores; /* (n_edges), NaN: never kept; borrowed */
    enum ew_rank rank;
};

struct ew_curve_point {
    double share;    /* p */
    uint32_t chosen; /* the best additions, int(p E) of them */
    uint32_t edges;  /* of these, after pruning */
    uint32_t direct; /* direct edges that stay with them */
    struct ew_verdict verdict;
};

/* MIB's shares, .001 to 1. */
enum { EW_CURVE_SHARES = 10 };
extern const double ew_curve_shares[EW_CURVE_SHARES];

/* One point of the curve. */
EW_MUST_CHECK bool ew_curve_measure(struct ew_judge *j,
                                    const struct ew_ranking *ranking,
                                    double share, struct ew_curve_point *out,
                                    const struct ew_cancel *cancel,
                                    struct ew_err *err);
/* Integrals over the shares of `n` points in order; NaN with fewer than two,
 * or where a point has no `recovered`. */
double ew_curve_area(const struct ew_curve_point *points, size_t n);
double ew_curve_distance(const struct ew_curve_point *points, size_t n);

/*
 * Where the curve first reaches `target`: between the first of the `n` points
 * that has it and the point before, by halving, so that with one addition
 * less it does not. out->chosen is 0 when no point has it.
 */
EW_MUST_CHECK bool ew_curve_reach(struct ew_judge *j,
                                  const struct ew_ranking *ranking,
                                  const struct ew_curve_point *points, size_t n,
                                  double target, struct ew_curve_point *out,
                                  const struct ew_cancel *cancel,
                                  struct ew_err *err);

/* ---- against a circuit that is taken for the truth ---- */

/*
 * Area under the curve of true over false positives as additions are taken by
 * rank: the chance that one of the truth ranks before one that is not, equal
 * scores counting half. Additions without a score come last, equal. NaN when
 * the truth holds all or none.
 */
double ew_roc_area(const struct ew_graph *g, const struct ew_ranking *ranking,
                   const struct ew_bitset *truth);

struct ew_roc_point {
    uint32_t chosen; /* additions so far */
    double false_positives; /* share of those that are not of the truth */
    double true_positives;  /* share of those that are */
};
/*
 * That curve's corners, from (0, 0) to (1, 1): between two of them it is
 * straight, slanted where scores are equal. `out` has room for the additions
 * and one more; returns how many there are, 0 when the truth holds all or
 * none.
 */
size_t ew_roc_points(const struct ew_graph *g, const struct ew_ranking *ranking,
                     const struct ew_bitset *truth, struct ew_roc_point *out);

EW_END_DECLS

#endif
