/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Showing activations to a forward's hook, in TransformerLens's shapes and
 * under its names. Each does nothing when there is no hook.
 */
#ifndef EW_MODEL_TRACE_H
#define EW_MODEL_TRACE_H

#include "edgewise/forward.h"

#include "mlp.h"

/* One run of the forward. */
struct ew_pass {
    struct ew_scope *s;
    const struct ew_model *m;
    const struct ew_forward_params *params;
    int64_t n_prompts;
    int64_t n_pos;
};

void ew_trace_as_is(struct ew_pass *p, const char *name, struct ew_tensor *t);
/* (N, C), shown as (B, T, C) */
void ew_trace_rows(struct ew_pass *p, int layer, const char *name,
                   const struct ew_tensor *t);
/* (B, H', T, K), shown as (B, T, H', K) */
void ew_trace_heads(struct ew_pass *p, int layer, const char *name,
                    const struct ew_tensor *t);
/* x and xn (N, D): the inputs of q, k, v with a head axis, and ln1's hooks
 * as its last call, the one for v, leaves them. */
void ew_trace_split_inputs(struct ew_pass *p, int layer,
                           const struct ew_tensor *x,
                           const struct ew_tensor *xn);
/* Before the mask; masked entries are shown as 0. */
void ew_trace_scores(struct ew_pass *p, int layer,
                     const struct ew_tensor *scores);
void ew_trace_pattern(struct ew_pass *p, int layer,
                      const struct ew_tensor *pattern);
/* Every head's result from z (N, H K): computed here, for the hook alone. */
void ew_trace_results(struct ew_pass *p, int layer, const struct ew_tensor *z);
/* hook_scale and hook_normalized of "ln2", ...: x -> xn, both (N, D). */
void ew_trace_norm(struct ew_pass *p, int layer, const char *norm_name,
                   const struct ew_norm *norm, const struct ew_tensor *x,
                   const struct ew_tensor *xn);
void ew_trace_final_norm(struct ew_pass *p, const struct ew_tensor *x,
                         const struct ew_tensor *xn);
void ew_trace_mlp(struct ew_pass *p, int layer, const struct ew_tensor *x,
                  struct ew_mlp_trace *trace, const struct ew_tensor *out);

#endif
