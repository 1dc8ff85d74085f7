/* SPDX-License-Identifier: Apache-2.0 */
/* ACDC at one threshold after the other. */
#include "edgewise/ladder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

struct ew_ladder {
    struct ew_engine *e;
    struct ew_acdc_params params;
    struct ew_bitset *start;
    struct ew_rung *rungs; /* (n) */
    size_t n;
    size_t at;
    struct ew_acdc *acdc; /* of rung `at`; NULL: not begun */
};

struct ew_ladder *ew_ladder_create(struct ew_engine *e,
                                   const struct ew_acdc_params *params,
                                   const double *thresholds, size_t n,
                                   const struct ew_cancel *cancel,
                                   struct ew_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && !(thresholds[i] > thresholds[i - 1])) {
            ew_fail(err, EW_ERR_USAGE, "thresholds must rise: %g after %g",
                    thresholds[i], thresholds[i - 1]);
            return NULL;
        }
    }
    if (n == 0) {
        ew_fail(err, EW_ERR_USAGE, "no thresholds");
        return NULL;
    }
    struct ew_ladder *l = ew_xcalloc(1, sizeof(*l));
    l->e = e;
    l->params = *params;
    l->start = ew_bitset_clone(ew_engine_kept(e));
    l->rungs = ew_xcalloc(n, sizeof(*l->rungs));
    l->n = n;
    for (size_t i = 0; i < n; i++) {
        l->rungs[i].threshold = thresholds[i];
    }
    l->params.threshold = thresholds[0];
    l->acdc = ew_acdc_create(e, &l->params, cancel, err);
    if (!l->acdc) {
        ew_ladder_destroy(l);
        return NULL;
    }
    ew_acdc_destroy(l->acdc); /* a rung begins with its first step */
    l->acdc = NULL;
    return l;
}

void ew_ladder_destroy(struct ew_ladder *l)
{
    for (size_t i = 0; l && i < l->n; i++) {
        free(l->rungs[i].decisions);
        ew_bitset_destroy(l->rungs[i].kept);
    }
    if (l) {
        ew_acdc_destroy(l->acdc);
        ew_bitset_destroy(l->start);
        free(l->rungs);
        free(l);
    }
}

size_t ew_ladder_n_rungs(const struct ew_ladder *l)
{
    return l->n;
}

const struct ew_rung *ew_ladder_rung(const struct ew_ladder *l, size_t i)
{
    return &l->rungs[i];
}

size_t ew_ladder_at(const struct ew_ladder *l)
{
    return l->at;
}

bool ew_ladder_done(const struct ew_ladder *l)
{
    return l->at == l->n;
}

uint32_t ew_ladder_n_left(const struct ew_ladder *l)
{
    return l->acdc ? ew_acdc_n_left(l->acdc)
                   : (uint32_t)ew_bitset_count(l->start);
}

void ew_ladder_know(struct ew_ladder *l, size_t rung,
                    const struct ew_acdc_decision *decisions, size_t n)
{
    struct ew_rung *r = &l->rungs[rung];
    free(r->decisions);
    r->decisions = ew_xcalloc(n + 1, sizeof(*r->decisions));
    if (n > 0) { /* else `decisions` may be NULL */
        memcpy(r->decisions, decisions, n * sizeof(*decisions));
    }
    r->n = n;
    r->cap = n + 1;
}

static void add(struct ew_rung *rung, const struct ew_acdc_decision *d)
{
    rung->decisions = ew_grow(rung->decisions, rung->n, &rung->cap,
                              sizeof(*rung->decisions));
    rung->decisions[rung->n] = *d;
    rung->decisions[rung->n++].threshold = rung->threshold;
}

/* From the start, with what is known or what the rung before shares. */
static bool begin(struct ew_ladder *l, const struct ew_cancel *cancel,
                  struct ew_err *err)
{
    struct ew_rung *rung = &l->rungs[l->at];
    const struct ew_rung *before = l->at > 0 ? rung - 1 : NULL;
    struct ew_acdc_decision *known = rung->decisions;
    const struct ew_acdc_decision *from = known;
    size_t shared = 0;
    size_t taken = 0;
    l->params.threshold = rung->threshold;
    if (!ew_engine_set(l->e, l->start, cancel, err)) {
        return false;
    }
    l->acdc = ew_acdc_create(l->e, &l->params, cancel, err);
    bool ok = l->acdc != NULL;
    if (ok && rung->n > 0) {
        ok = ew_acdc_resume(l->acdc, from, rung->n, &taken, cancel, err) ||
             ew_fail_prefix(err, "threshold %g", rung->threshold);
    } else if (ok && before) {
        from = before->decisions;
        ok = ew_acdc_replay(l->acdc, from, before->n, &taken, cancel, err);
    }
    if (!ok) {
        ew_acdc_destroy(l->acdc);
        l->acdc = NULL;
        return false;
    }
    while (before && shared < taken && shared < before->n &&
           before->decisions[shared].edge == from[shared].edge &&
           before->decisions[shared].kept == from[shared].kept) {
        shared++;
    }
    rung->n_shared = shared;
    rung->decisions = NULL;
    rung->n = rung->cap = 0;
    for (size_t i = 0; i < taken; i++) {
        add(rung, &from[i]);
    }
    free(known);
    return true;
}

static void finish(struct ew_ladder *l)
{
    struct ew_rung *rung = &l->rungs[l->at++];
    rung->kept = ew_bitset_clone(ew_engine_kept(l->e));
    rung->metric = ew_acdc_metric(l->acdc);
    ew_acdc_destroy(l->acdc);
    l->acdc = NULL;
}

bool ew_ladder_step(struct ew_ladder *l, const struct ew_cancel *cancel,
                    struct ew_err *err)
{
    struct ew_acdc_decision d;
    if (ew_ladder_done(l)) {
        return ew_fail(err, EW_ERR_USAGE, "the ladder is done");
    }
    if (!l->acdc) {
        if (!begin(l, cancel, err)) {
            return false;
        }
    } else if (!ew_acdc_step(l->acdc, &d, cancel, err)) {
        return false;
    } else {
        add(&l->rungs[l->at], &d);
    }
    if (ew_acdc_done(l->acdc)) {
        finish(l);
    }
    return true;
}

/* ---- the ranking ---- */

/* An effect, or its size, brought into [from, to). */
static double between(double effect, double from, double to, bool absolute)
{
    double value = absolute ? fabs(effect) : effect;
    double below = (double)nextafterf((float)to, -INFINITY);
    value = value < from ? from : value;
    value = value > below ? below : value;
    return absolute && effect < 0 ? -value : value;
}

void ew_ladder_scores(const struct ew_ladder *l, float *scores)
{
    uint32_t n_edges = ew_graph_n_edges(ew_engine_graph(l->e));
    for (uint32_t e = 0; e < n_edges; e++) {
        scores[e] = NAN;
    }
    double next = INFINITY;
    for (size_t i = l->at; i-- > 0;) {
        const struct ew_rung *rung = &l->rungs[i];
        for (size_t k = 0; k < rung->n; k++) {
            const struct ew_acdc_decision *d = &rung->decisions[k];
            if (!isnan(scores[d->edge])) {
                continue; /* kept at a larger threshold */
            }
            bool kept = ew_bitset_has(rung->kept, d->edge);
            if (kept) {
                scores[d->edge] = (float)between(d->effect, rung->threshold,
                                                 next, l->params.absolute);
            } else if (i == 0) { /* kept at first: redundant later */
                bool tested = !d->dropped && !d->kept;
                scores[d->edge] = tested ? (float)d->effect : 0.0f;
            }
        }
        next = rung->threshold;
    }
}
