/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What edges do together against what they do one by one. A difference is
 * the sign of backup (more together: each stands in for the others) or of a
 * chain (less together: one is useless without the next).
 */
#include <stdlib.h>

#include "edgewise/mem.h"

#include "backend.h"

enum { BATCH = 48 };

static bool sum_of_parts(struct ew_backend *b, const struct ew_req_joint *req,
                         double *sum, const struct ew_cancel *cancel,
                         struct ew_err *err)
{
    double now = ew_score_metric(&b->base, b->metric);
    *sum = 0.0;
    for (size_t at = 0; at < req->n; at += BATCH) {
        struct ew_what_if ifs[BATCH];
        struct ew_score scores[BATCH];
        size_t n = req->n - at < BATCH ? req->n - at : BATCH;
        for (size_t i = 0; i < n; i++) {
            ifs[i] = (struct ew_what_if){&req->edges[at + i], 1};
        }
        if (!ew_engine_what_if(b->engine, ifs, n, ew_backend_effect_want(b),
                               scores, NULL, cancel, err)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            *sum += ew_score_metric(&scores[i], b->metric) - now;
        }
    }
    return true;
}

static bool measure(struct ew_backend *b, const struct ew_req_joint *req,
                    struct ew_ev_joint *out, const struct ew_cancel *cancel,
                    struct ew_err *err)
{
    struct ew_what_if all = {req->edges, req->n};
    struct ew_score score;
    if ((!b->base_known && !ew_backend_rebase(b, cancel, err)) ||
        !ew_engine_what_if(b->engine, &all, 1, ew_backend_effect_want(b),
                           &score, NULL, cancel, err) ||
        !sum_of_parts(b, req, &out->sum, cancel, err)) {
        return false;
    }
    out->n = req->n;
    out->joint = ew_score_metric(&score, b->metric) -
                 ew_score_metric(&b->base, b->metric);
    return true;
}

bool ew_backend_joint(struct ew_backend *b, const struct ew_req_joint *req,
                      uint64_t gen, const struct ew_cancel *cancel,
                      struct ew_err *err)
{
    struct ew_ev_joint event = {0};
    bool ok = measure(b, req, &event, cancel, err);
    ew_post_event(b->out, EW_EV_JOINT, gen, &event, sizeof(event));
    return ok;
}
