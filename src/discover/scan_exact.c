/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact scan asks for the edges into one receiver next to each other,
 * since these share most of their work, and goes from the output backwards as
 * ACDC does. What can be told to have no effect is not computed.
 */
#include <math.h>

#include "scan_impl.h"

enum { MAX_BATCH = 64 };

/* Edges into a receiver whose score is not known: additions, then its direct
 * edge. */
static uint32_t unknown_into(const struct ew_scan *s, uint32_t receiver,
                             uint32_t *edges, uint32_t most)
{
    uint32_t first = ew_graph_first_edge(s->g, receiver);
    uint32_t n = ew_graph_n_senders_of(s->g, receiver);
    uint32_t direct = ew_graph_direct_edge(s->g, receiver);
    uint32_t found = 0;
    for (uint32_t i = 0; i < n && found < most; i++) {
        if (isnan(s->scores[first + i]) &&
            ew_unit_is(s->g, s->params.nodes, first + i)) {
            edges[found++] = first + i;
        }
    }
    if (direct != EW_NONE && !s->params.nodes && found < most &&
        isnan(s->scores[direct])) {
        edges[found++] = direct;
    }
    return found;
}

/* Metric without the edge minus metric with it, whichever of the two the
 * circuit is. */
static float effect_of(const struct ew_scan *s, uint32_t edge,
                       const struct ew_score *flipped)
{
    double then = ew_score_metric(flipped, s->params.metric);
    uint32_t edges[EW_UNIT_MAX];
    bool kept;
    ew_unit_flips(s->g, s->params.nodes, edge, ew_engine_kept(s->e), edges,
                  &kept);
    return (float)(kept ? then - s->metric : s->metric - then);
}

/* Edges that flip with a unit; 0 when that is known to have no effect. */
static size_t flips_of(const struct ew_scan *s, uint32_t unit,
                       uint32_t edges[EW_UNIT_MAX])
{
    size_t n = ew_unit_flips(s->g, s->params.nodes, unit, ew_engine_kept(s->e),
                             edges, NULL);
    for (size_t i = 0; i < n; i++) {
        if (ew_engine_zero_why(s->e, edges[i]) == EW_ZERO_NOT) {
            return n;
        }
    }
    return 0;
}

bool scan_exact_step(struct ew_scan *s, const struct ew_cancel *cancel,
                     struct ew_err *err)
{
    uint32_t edges[MAX_BATCH];
    uint32_t asked[MAX_BATCH];
    uint32_t flips[MAX_BATCH][EW_UNIT_MAX];
    struct ew_what_if ifs[MAX_BATCH];
    struct ew_score scores[MAX_BATCH];
    uint32_t n = 0;
    while (s->next > 0 &&
           (n = unknown_into(s, s->next - 1, edges, MAX_BATCH)) == 0) {
        s->next--;
    }
    size_t n_asked = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t n_flips = flips_of(s, edges[i], flips[n_asked]);
        if (n_flips > 0) {
            asked[n_asked] = edges[i];
            ifs[n_asked] = (struct ew_what_if){flips[n_asked], n_flips};
            n_asked++;
        }
    }
    if (ew_cancel_check(cancel, err) ||
        !ew_engine_what_if(s->e, ifs, n_asked, ew_metric_want(s->params.metric),
                           scores, NULL, cancel, err)) {
        return false;
    }
    float effects[MAX_BATCH];
    for (size_t i = 0; i < n_asked; i++) {
        effects[i] = effect_of(s, asked[i], &scores[i]);
        if (isnan(effects[i])) {
            return scan_not_a_number(s, asked[i], err);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        ew_scan_know(s, edges[i], 0.0f);
    }
    for (size_t i = 0; i < n_asked; i++) {
        ew_scan_know(s, asked[i], effects[i]);
    }
    scan_tell(s);
    return true;
}
