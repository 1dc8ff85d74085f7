/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The self-check: what the engine says of the full circuit against a plain
 * forward, and a batch of what-ifs against one at a time.
 */
#include <math.h>
#include <stdlib.h>

#include "edgewise/forward.h"
#include "edgewise/mem.h"

#include "impl.h"

/* Relative to what is compared, or to 1 where that is less. */
static const double tolerance = 1e-4;

static bool agree(const char *what, double a, double b, struct ew_err *err)
{
    if (isnan(a) || fabs(a - b) <= tolerance * fmax(1.0, fabs(b))) {
        return true;
    }
    return ew_fail(err, EW_ERR_FAILED, "self-check: %s is %.7g, not %.7g",
                   what, a, b);
}

/* Mean over an answer's tokens of the logits at one position. */
static double mean_logit(struct ew_scope *s, const struct ew_tensor *row,
                         const int64_t *ids, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += ew_item(s, ew_select(s, row, 0, ids[i]));
    }
    return sum / (double)n;
}

/* The logit difference of a forward that knows no graph. */
static bool plain_logit_diff(const struct ew_engine *e, double *out,
                             const struct ew_cancel *cancel,
                             struct ew_err *err)
{
    const struct ew_task *task = e->task;
    struct ew_scope *s = ew_scope_open(e->model->device);
    struct ew_tensor *ids = ew_from_i64(
        s, task->clean, 2,
        (int64_t[]){(int64_t)task->n_prompts, (int64_t)task->n_pos});
    struct ew_forward_params params = {.cancel = cancel};
    struct ew_tensor *logits = ew_forward(s, e->model, ids, &params);
    double sum = 0.0;
    for (size_t b = 0; b < task->n_prompts && ew_scope_ok(s); b++) {
        const struct ew_answers *a = &task->answers[b];
        struct ew_tensor *row =
            ew_select(s, ew_select(s, logits, 0, (int64_t)b), 0,
                      task->answer_position[b]);
        sum += mean_logit(s, row, a->right, a->n_right) -
               mean_logit(s, row, a->wrong, a->n_wrong);
    }
    *out = sum / (double)task->n_prompts;
    return ew_scope_finish(s, err);
}

/* The first edges into the last receiver of a kind, together and alone. */
static bool check_batch(struct ew_engine *e, uint32_t receiver, unsigned want,
                        const struct ew_cancel *cancel, struct ew_err *err)
{
    enum { MOST = 3 };
    uint32_t n = ew_graph_n_senders_of(e->graph, receiver);
    n = n < MOST ? n : MOST;
    uint32_t edges[MOST];
    struct ew_what_if ifs[MOST];
    struct ew_score together[MOST];
    for (uint32_t i = 0; i < n; i++) {
        edges[i] = ew_graph_first_edge(e->graph, receiver) + i;
        ifs[i] = (struct ew_what_if){.edges = &edges[i], .n = 1};
    }
    if (!ew_engine_what_if(e, ifs, n, want, together, NULL, cancel, err)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct ew_score alone;
        if (!ew_engine_what_if(e, &ifs[i], 1, want, &alone, NULL, cancel,
                               err) ||
            !agree("an edge's logit difference in a batch",
                   together[i].logit_diff, alone.logit_diff, err) ||
            !agree("an edge's KL in a batch", together[i].kl, alone.kl,
                   err)) {
            return false;
        }
    }
    return true;
}

bool ew_engine_check(struct ew_engine *e, const struct ew_cancel *cancel,
                     struct ew_err *err)
{
    if (!e->model) {
        return true; /* the toy says what it likes */
    }
    unsigned want = e->params.want & (EW_WANT_LOGIT_DIFF | EW_WANT_KL);
    bool answers =
        want & EW_WANT_LOGIT_DIFF &&
        ew_task_can_score(e->task, EW_METRIC_LOGIT_DIFF, NULL);
    struct ew_score full;
    if (!ew_engine_score_full(e, want, &full, cancel, err) ||
        !agree("KL of the full circuit", full.kl, 0.0, err)) {
        return false;
    }
    double plain = NAN;
    if (answers && (!plain_logit_diff(e, &plain, cancel, err) ||
                    !agree("the full circuit's logit difference",
                           full.logit_diff, plain, err))) {
        return false;
    }
    uint32_t last = ew_graph_n_receivers(e->graph) - 1;
    return check_batch(e, last, want, cancel, err) &&
           check_batch(e, last / 2, want, cancel, err);
}
