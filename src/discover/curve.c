/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges and curves. Every figure is the engine's for the circuit in
 * question; the engine goes from one circuit to the next by whichever way is
 * shorter.
 */
#include "edgewise/curve.h"

#include <math.h>
#include <stdlib.h>

#include "edgewise/mem.h"
#include "edgewise/select.h"

/* Under this, "recovered" is the ratio of two roundings. */
static const double smallest_range = 1e-6;

const double ew_curve_shares[EW_CURVE_SHARES] = {.001, .002, .005, .01, .02,
                                                 .05,  .1,   .2,   .5,  1};

struct ew_judge {
    struct ew_engine *e;
    const struct ew_graph *g;
    enum ew_metric metric;
    double full;
    double empty;
    size_t n_prompts;
    double *ld[3]; /* by prompt: full, empty, the circuit; NULL: none */
};

/* ---- the judge ---- */

static bool measure(struct ew_judge *j, double *metric, double *ld,
                    const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_score score;
    if (!ew_engine_score(j->e, ew_metric_want(j->metric), &score, cancel,
                         err) ||
        (ld && !ew_engine_logit_diffs(j->e, ld, cancel, err))) {
        return false;
    }
    *metric = ew_score_metric(&score, j->metric);
    return !isnan(*metric) ||
           ew_fail(err, EW_ERR_INPUT, "metric %s is not defined for task %s",
                   ew_metric_name(j->metric), ew_engine_task(j->e)->name);
}

static bool measure_uniform(struct ew_judge *j, bool keep, double *metric,
                            double *ld, const struct ew_cancel *cancel,
                            struct ew_err *err)
{
    struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(j->g));
    ew_bitset_fill(kept, keep);
    bool ok = ew_engine_set(j->e, kept, cancel, err) &&
              measure(j, metric, ld, cancel, err);
    ew_bitset_destroy(kept);
    return ok;
}

struct ew_judge *ew_judge_create(struct ew_engine *e, enum ew_metric metric,
                                 const struct ew_cancel *cancel,
                                 struct ew_err *err)
{
    struct ew_judge *j = ew_xcalloc(1, sizeof(*j));
    j->e = e;
    j->g = ew_engine_graph(e);
    j->metric = metric;
    j->n_prompts = ew_engine_task(e)->n_prompts;
    for (size_t i = 0; metric == EW_METRIC_LOGIT_DIFF && i < 3; i++) {
        j->ld[i] = ew_xcalloc(j->n_prompts, sizeof(*j->ld[i]));
    }
    struct ew_bitset *kept = ew_bitset_clone(ew_engine_kept(e));
    bool ok =
        measure_uniform(j, true, &j->full, j->ld[0], cancel, err) &&
        measure_uniform(j, false, &j->empty, j->ld[1], cancel, err);
    /* whatever went wrong, the engine goes back */
    ok = ew_engine_set(e, kept, NULL, ok ? err : NULL) && ok;
    ew_bitset_destroy(kept);
    if (!ok) {
        ew_judge_destroy(j);
        j = NULL;
    }
    return j;
}

void ew_judge_destroy(struct ew_judge *j)
{
    for (size_t i = 0; j && i < 3; i++) {
        free(j->ld[i]);
    }
    free(j);
}

double ew_judge_full(const struct ew_judge *j)
{
    return j->full;
}

double ew_judge_empty(const struct ew_judge *j)
{
    return j->empty;
}

double ew_judge_recovered(const struct ew_judge *j, double metric)
{
    double range = j->full - j->empty;
    return fabs(range) < smallest_range ? (double)NAN
                                        : (metric - j->empty) / range;
}

/* Of a ratio of two means, to first order. */
static double standard_error(const struct ew_judge *j, double recovered)
{
    size_t n = j->n_prompts;
    if (!j->ld[0] || n < 2 || isnan(recovered)) {
        return NAN;
    }
    double square = 0;
    double range = 0;
    for (size_t i = 0; i < n; i++) {
        double span = j->ld[0][i] - j->ld[1][i];
        double residual = j->ld[2][i] - j->ld[1][i] - recovered * span;
        square += residual * residual; /* their mean is 0 */
        range += span;
    }
    double variance = square / (double)(n - 1);
    return sqrt(variance / (double)n) / fabs(range / (double)n);
}

bool ew_judge_circuit(struct ew_judge *j, const struct ew_bitset *kept,
                      struct ew_verdict *out, const struct ew_cancel *cancel,
                      struct ew_err *err)
{
    if (!ew_engine_set(j->e, kept, cancel, err) ||
        !measure(j, &out->metric, j->ld[2], cancel, err)) {
        return false;
    }
    out->recovered = ew_judge_recovered(j, out->metric);
    out->error = standard_error(j, out->recovered);
    return true;
}

bool ew_judge_complement(struct ew_judge *j, const struct ew_bitset *kept,
                         struct ew_verdict *out, const struct ew_cancel *cancel,
                         struct ew_err *err)
{
    struct ew_bitset *others = ew_bitset_clone(kept);
    for (size_t e = 0; e < ew_bitset_size(others); e++) {
        ew_bitset_flip(others, e);
    }
    bool ok = ew_judge_circuit(j, others, out, cancel, err);
    ew_bitset_destroy(others);
    return ok;
}

/* ---- curves ---- */

static bool measure_best(struct ew_judge *j, const struct ew_ranking *ranking,
                         uint32_t n, struct ew_curve_point *out,
                         const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_selection selection = {
        .how = EW_SELECT_TOP, .n = n, .rank = ranking->rank, .prune = true};
    struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(j->g));
    struct ew_selected selected =
        ew_select_edges(j->g, ranking->scores, &selection, kept);
    out->chosen = selected.chosen;
    out->edges = selected.kept;
    out->direct = selected.direct;
    bool ok = ew_judge_circuit(j, kept, &out->verdict, cancel, err);
    ew_bitset_destroy(kept);
    return ok;
}

bool ew_curve_measure(struct ew_judge *j, const struct ew_ranking *ranking,
                      double share, struct ew_curve_point *out,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    out->share = share;
    uint32_t n = (uint32_t)(share * ew_graph_n_addition(j->g));
    return measure_best(j, ranking, n, out, cancel, err);
}

/* By trapezoids of f, or of |1 - f|. */
static double integral(const struct ew_curve_point *points, size_t n,
                       bool distance)
{
    double sum = n > 1 ? 0 : (double)NAN;
    for (size_t i = 1; i < n; i++) {
        double f[2] = {points[i - 1].verdict.recovered,
                       points[i].verdict.recovered};
        for (size_t k = 0; distance && k < 2; k++) {
            f[k] = fabs(1 - f[k]);
        }
        sum += (points[i].share - points[i - 1].share) * (f[0] + f[1]) / 2;
    }
    return sum;
}

double ew_curve_area(const struct ew_curve_point *points, size_t n)
{
    return integral(points, n, false);
}

double ew_curve_distance(const struct ew_curve_point *points, size_t n)
{
    return integral(points, n, true);
}

bool ew_curve_reach(struct ew_judge *j, const struct ew_ranking *ranking,
                    const struct ew_curve_point *points, size_t n,
                    double target, struct ew_curve_point *out,
                    const struct ew_cancel *cancel, struct ew_err *err)
{
    size_t i = 0;
    while (i < n && !(points[i].verdict.recovered >= target)) {
        i++;
    }
    *out = (struct ew_curve_point){0};
    if (i == n) {
        return true;
    }
    *out = points[i];
    uint32_t low = i > 0 ? points[i - 1].chosen : 0; /* has it not */
    while (out->chosen > low + 1) {
        struct ew_curve_point mid;
        uint32_t half = low + (out->chosen - low) / 2;
        if (!measure_best(j, ranking, half, &mid, cancel, err)) {
            return false;
        }
        if (mid.verdict.recovered >= target) {
            *out = mid;
        } else {
            low = half;
        }
    }
    out->share = (double)out->chosen / ew_graph_n_addition(j->g);
    return true;
}
