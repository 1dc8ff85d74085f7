/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run says next: the largest logits at a prompt's answer position. The
 * clean and the corrupted run are forward passes of that prompt alone, the
 * circuit's is read off the state.
 */
#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/forward.h"
#include "edgewise/mem.h"

#include "state.h"

/* (1, V) of a plain run. */
static struct ew_tensor *plain_logits(struct ew_scope *s,
                                      const struct ew_engine *e,
                                      const int64_t *tokens, int prompt)
{
    const struct ew_task *task = e->task;
    int64_t n = task->answer_position[prompt] + 1;
    struct ew_forward_params params = {0};
    struct ew_tensor *ids = ew_from_i64(
        s, tokens + (size_t)prompt * task->n_pos, 2, (int64_t[]){1, n});
    struct ew_tensor *logits = ew_forward(s, e->model, ids, &params);
    return ew_select(s, logits, 1, n - 1);
}

/* (1, V) of the current circuit, which was flushed. */
static struct ew_tensor *circuit_logits(struct ew_scope *s,
                                        struct ew_engine *e, int prompt)
{
    const struct geometry *g = &((struct incremental *)e->state)->geo;
    int64_t row = prompt * g->t + e->task->answer_position[prompt];
    struct ew_tensor *x = ew_unsqueeze(s, logits_input(s, e), 1);
    return ew_block_unembed(
        s, e->model,
        ew_block_final_norm(s, e->model, pick_rows(s, g, x, g->o, &row, 1)));
}

bool incremental_top(struct ew_engine *e, enum ew_run run, int prompt, size_t k,
                     struct ew_top *out, struct ew_err *err)
{
    const struct geometry *g = &((struct incremental *)e->state)->geo;
    int64_t position = e->task->answer_position[prompt];
    if (!overlay_flush(e, err)) {
        return false;
    }
    if (run == EW_RUN_CIRCUIT && (position < g->o || position >= g->t)) {
        return ew_fail(err, EW_ERR_USAGE,
                       "prompt %d is not scored at its answer", prompt);
    }
    struct ew_scope *s = ew_scope_open(e->model->device);
    struct ew_tensor *logits =
        run == EW_RUN_CIRCUIT
            ? circuit_logits(s, e, prompt)
            : plain_logits(
                  s, e, run == EW_RUN_CLEAN ? e->task->clean : e->task->corrupt,
                  prompt);
    struct ew_tensor *value = NULL;
    struct ew_tensor *index = NULL;
    double *logit = ew_xcalloc(k, sizeof(*logit));
    int64_t *token = ew_xcalloc(k, sizeof(*token));
    double lse = 0.0;
    if (ew_topk(s, logits, (int64_t)k, &value, &index) &&
        ew_read_f64(s, value, logit, k) && ew_read_i64(s, index, token, k) &&
        ew_read_f64(s, ew_logsumexp(s, logits, -1, false), &lse, 1)) {
        for (size_t i = 0; i < k; i++) {
            out[i] = (struct ew_top){
                .token = token[i], .logit = logit[i], .log_p = logit[i] - lse};
        }
    }
    free(logit);
    free(token);
    return ew_scope_finish(s, err);
}
