/* SPDX-License-Identifier: Apache-2.0 */
/* The metric of a recorded forward, made of operations that have gradients. */
#include "attribution.h"

#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

/* Rows of the final residual (N, D) at `row`. */
static struct ew_tensor *final_rows(struct ew_scope *s,
                                    const struct attribution *at,
                                    struct ew_tensor *x, const int64_t *row,
                                    int64_t n)
{
    struct ew_tensor *picked =
        ew_index_select(s, x, 0, ew_from_i64(s, row, 1, &n));
    return ew_block_final_norm(s, at->e->model, picked);
}

/*
 * Weights (B, 1, C) of the answers' columns that are not the means: of
 * prob-diff 1 and -1; of docstring 1/n, and -1 at the largest wrong logit.
 */
static struct ew_tensor *set_weights(struct ew_scope *s,
                                     const struct attribution *at,
                                     const struct ew_tensor *logits)
{
    const struct ew_task *task = at->e->task;
    bool probs = at->p->metric == EW_METRIC_PROB_DIFF;
    size_t n_b = task->n_prompts, c = (size_t)ew_dim(logits, 2);
    double *host = ew_xcalloc(n_b * c, sizeof(*host));
    float *weights = ew_xcalloc(n_b * c, sizeof(*weights));
    ew_read_f64(s, logits, host, n_b * c);
    for (size_t b = 0; b < n_b; b++) {
        const struct ew_answers *a = &task->answers[b];
        size_t largest = a->n_right;
        for (size_t i = 0; i < a->n_right + a->n_wrong; i++) {
            bool right = i < a->n_right;
            largest = !right && host[b * c + i] > host[b * c + largest]
                          ? i
                          : largest;
            weights[b * c + i] = !right ? (probs ? -1.0f : 0.0f)
                                 : probs ? 1.0f
                                         : 1.0f / (float)a->n_right;
        }
        weights[b * c + largest] = -1.0f;
    }
    struct ew_tensor *out = ew_from_f32(
        s, weights, 3, (int64_t[]){(int64_t)n_b, 1, (int64_t)c});
    free(host);
    free(weights);
    return out;
}

/* Minus the figure that is read off the answers. */
static struct ew_tensor *read_answers(struct ew_scope *s,
                                      const struct attribution *at,
                                      struct ew_tensor *x)
{
    const struct readout *ro = &at->st->out;
    const struct ew_model *m = at->e->model;
    double cap = m->arch.logit_softcap;
    struct ew_tensor *xn = final_rows(s, at, x, ro->answer_row, at->g->b);
    struct ew_tensor *logits =
        ew_add(s, ew_matmul(s, ew_unsqueeze(s, xn, 1), ro->answer_u),
               ro->answer_b);
    if (cap > 0.0) {
        logits = ew_scale(s, ew_tanh(s, ew_scale(s, logits, 1.0 / cap)), cap);
    }
    struct ew_tensor *weights = at->p->metric == EW_METRIC_LOGIT_DIFF
                                    ? ro->answer_w
                                    : set_weights(s, at, logits);
    if (at->p->metric == EW_METRIC_PROB_DIFF) {
        struct ew_tensor *lse =
            ew_logsumexp(s, ew_block_unembed(s, m, xn), -1, true);
        logits = ew_exp(s, ew_sub(s, logits, ew_unsqueeze(s, lse, 1)));
    }
    struct ew_tensor *sum = ew_sum_all(s, ew_mul(s, logits, weights));
    return ew_scale(s, sum, -1.0 / (double)at->g->b);
}

struct ew_tensor *attribution_metric(struct ew_scope *s,
                                     const struct attribution *at,
                                     struct ew_tensor *x)
{
    const struct readout *ro = &at->st->out;
    const struct ew_model *m = at->e->model;
    if (ew_metric_has_answers(at->p->metric)) {
        return read_answers(s, at, x);
    }
    struct ew_tensor *xn =
        final_rows(s, at, x, ro->scored_row, ro->n_scored);
    struct ew_tensor *logits = ew_block_unembed(s, m, xn);
    double mean = 1.0 / (double)ro->n_scored;
    if (at->p->metric == EW_METRIC_KL || at->p->metric == EW_METRIC_KL_MIB) {
        double v = at->p->metric == EW_METRIC_KL ? 1.0 : m->arch.d_vocab_out;
        return ew_scale(
            s, ew_sum_all(s, ew_kl_rows(s, ro->logp, logits)), mean / v);
    }
    struct ew_tensor *nll = ew_sub(s, ew_logsumexp(s, logits, -1, true),
                                   ew_gather(s, logits, 1, ro->targets));
    return ew_scale(s, ew_sum_all(s, nll), mean);
}
