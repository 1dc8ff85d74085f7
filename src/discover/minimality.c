/* SPDX-License-Identifier: Apache-2.0 */
/* Minimality: the exact effect of every edge, where some nodes are out. */
#include <math.h>
#include <stdlib.h>

#include "edgewise/completeness.h"
#include "edgewise/mem.h"

enum { BATCH = 64 };

static void raise_to(double *slot, uint32_t *which, double size,
                     uint32_t number)
{
    if (isnan(*slot) || size > *slot) {
        *slot = size;
        *which = number;
    }
}

/* The next edges that have to be computed, from *at on; others count 0. */
static size_t gather(struct ew_engine *e, const struct ew_bitset *kept,
                     size_t *at, uint32_t number, double *out, uint32_t *which,
                     uint32_t edges[BATCH])
{
    size_t n = 0;
    for (*at = ew_bitset_next(kept, *at);
         n < BATCH && *at < ew_bitset_size(kept);
         *at = ew_bitset_next(kept, *at + 1)) {
        uint32_t edge = (uint32_t)*at;
        if (ew_engine_zero_why(e, edge) == EW_ZERO_NOT) {
            edges[n++] = edge;
        } else {
            raise_to(&out[edge], &which[edge], 0, number);
        }
    }
    return n;
}

bool ew_minimality_add(struct ew_engine *e, const struct ew_bitset *circuit,
                       const struct ew_completeness_params *params,
                       const struct ew_bitset *set, uint32_t number,
                       double *out, uint32_t *which,
                       const struct ew_cancel *cancel, struct ew_err *err)
{
    const struct ew_graph *g = ew_engine_graph(e);
    unsigned want = ew_metric_want(params->metric);
    struct ew_bitset *kept = ew_bitset_clone(circuit);
    uint32_t *gone = ew_xcalloc(ew_graph_n_addition(g), sizeof(*gone));
    size_t n_gone = ew_knocked_out(g, circuit, set, gone);
    for (size_t i = 0; i < n_gone; i++) {
        ew_bitset_put(kept, gone[i], false);
        raise_to(&out[gone[i]], &which[gone[i]], 0, number);
    }
    free(gone);
    struct ew_score now;
    bool ok = ew_engine_set(e, kept, cancel, err) &&
              ew_engine_score(e, want, &now, cancel, err);
    double metric = ok ? ew_score_metric(&now, params->metric) : 0;
    if (ok && isnan(metric)) {
        ok = ew_fail(err, EW_ERR_INPUT, "metric %s is not defined for task %s",
                     ew_metric_name(params->metric), ew_engine_task(e)->name);
    }
    for (size_t at = 0; ok && at < ew_bitset_size(kept);) {
        uint32_t edges[BATCH];
        struct ew_what_if ifs[BATCH];
        struct ew_score scores[BATCH];
        size_t n = gather(e, kept, &at, number, out, which, edges);
        for (size_t i = 0; i < n; i++) {
            ifs[i] = (struct ew_what_if){&edges[i], 1};
        }
        ok = !ew_cancel_check(cancel, err) &&
             ew_engine_what_if(e, ifs, n, want, scores, NULL, cancel, err);
        for (size_t i = 0; ok && i < n; i++) {
            double size =
                fabs(ew_score_metric(&scores[i], params->metric) - metric);
            raise_to(&out[edges[i]], &which[edges[i]], size, number);
        }
        if (ok && params->progress) {
            params->progress(params->user, at, ew_bitset_size(kept));
        }
    }
    ew_bitset_destroy(kept);
    return ok;
}
