/* SPDX-License-Identifier: Apache-2.0 */
/* A ranking against a circuit that is taken for the truth. */
#include <math.h>
#include <stdlib.h>

#include "edgewise/curve.h"
#include "edgewise/mem.h"

static double key_of(const struct ew_ranking *ranking, uint32_t edge)
{
    double score = (double)ranking->scores[edge];
    if (isnan(score)) {
        return -INFINITY;
    }
    return ranking->rank == EW_RANK_SIGNED ? score : fabs(score);
}

/* All additions, the best first, those without a score last; free() it. */
static uint32_t *order_all(const struct ew_graph *g,
                           const struct ew_ranking *ranking)
{
    uint32_t n = ew_graph_n_addition(g);
    uint32_t *order = ew_xcalloc(n, sizeof(*order));
    size_t known = ew_scan_rank(ranking->scores, n, ranking->rank, order);
    for (uint32_t e = 0; e < n; e++) {
        if (isnan(ranking->scores[e])) {
            order[known++] = e;
        }
    }
    return order;
}

/*
 * Pairs of one of the truth and one that is not, the first ranked before the
 * second, counted from the last of the ranking to the first: what has come
 * ranks behind, what has the same score counts half.
 */
double ew_roc_area(const struct ew_graph *g, const struct ew_ranking *ranking,
                   const struct ew_bitset *truth)
{
    uint32_t n = ew_graph_n_addition(g);
    uint32_t *order = order_all(g, ranking);
    double before = 0;
    double n_true = 0;
    double n_false = 0;
    for (size_t i = n; i > 0;) {
        double equal_true = 0;
        double equal_false = 0;
        double key = key_of(ranking, order[i - 1]);
        for (; i > 0 && key_of(ranking, order[i - 1]) == key; i--) {
            bool is_true = ew_bitset_has(truth, order[i - 1]);
            equal_true += is_true;
            equal_false += !is_true;
        }
        before += equal_true * (n_false + equal_false / 2);
        n_true += equal_true;
        n_false += equal_false;
    }
    free(order);
    return n_true * n_false > 0 ? before / (n_true * n_false) : (double)NAN;
}

/* Straight on from the last two points, up or to the right? */
static bool goes_on(const struct ew_roc_point *points, size_t n,
                    double n_false, double n_true)
{
    if (n < 2) {
        return false;
    }
    const struct ew_roc_point *a = &points[n - 2];
    const struct ew_roc_point *b = &points[n - 1];
    return (a->false_positives == b->false_positives &&
            b->false_positives == n_false) ||
           (a->true_positives == b->true_positives &&
            b->true_positives == n_true);
}

size_t ew_roc_points(const struct ew_graph *g, const struct ew_ranking *ranking,
                     const struct ew_bitset *truth, struct ew_roc_point *out)
{
    uint32_t n = ew_graph_n_addition(g);
    uint32_t *order = order_all(g, ranking);
    double n_true = 0;
    double n_false = 0;
    size_t n_points = 1;
    out[0] = (struct ew_roc_point){0};
    for (uint32_t i = 0; i < n;) {
        double key = key_of(ranking, order[i]);
        for (; i < n && key_of(ranking, order[i]) == key; i++) {
            bool is_true = ew_bitset_has(truth, order[i]);
            n_true += is_true;
            n_false += !is_true;
        }
        n_points -= goes_on(out, n_points, n_false, n_true);
        out[n_points++] = (struct ew_roc_point){i, n_false, n_true};
    }
    free(order);
    if (n_true * n_false == 0) {
        return 0;
    }
    for (size_t i = 0; i < n_points; i++) {
        out[i].false_positives /= n_false;
        out[i].true_positives /= n_true;
    }
    return n_points;
}
