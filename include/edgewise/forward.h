/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain forward, with TransformerLens's hooks for whoever wants to look.
 */
#ifndef EW_FORWARD_H
#define EW_FORWARD_H

#include "edgewise/block.h"

EW_BEGIN_DECLS

/*
 * Called with each activation in the order of TransformerLens's
 * run_with_cache under use_attn_result, use_split_qkv_input and
 * use_hook_mlp_in, by its names and with its shapes (q, k, v, z (B, T, H, K);
 * scores and pattern (B, H, Tq, Tk); result (B, T, H, D)). `t` is borrowed
 * for the call.
 */
typedef void (*ew_hook_fn)(void *user, struct ew_scope *s, const char *name,
                           struct ew_tensor *t);

struct ew_forward_params {
    ew_hook_fn hook; /* NULL: the fast path, nothing is split */
    void *hook_user;
    bool last_only;  /* logits of the last position alone */
    bool no_logits;  /* stop after the final norm */
    const struct ew_cancel *cancel;
};

/*
 * ids (B, T) I64 -> logits (B, T, Vout), or (B, 1, Vout) with last_only, or
 * the normed final residual (B, T, D) with no_logits. Prompts shorter than T
 * are padded at the right: causal attention never looks there.
 */
struct ew_tensor *ew_forward(struct ew_scope *s, const struct ew_model *m,
                             const struct ew_tensor *ids,
                             const struct ew_forward_params *params);

/* ---- hook statistics, as `edgewise hooks` prints them ---- */

struct ew_hook_stat {
    char name[96];
    int ndim;
    int64_t shape[EW_MAX_DIMS];
    double mean;
    double std; /* unbiased */
    double l2;
};
/*
 * Run `ids` (n_prompts x n_pos, host memory) and list every hook. Masked
 * attention scores count as 0 in all three figures. `*out` is to be freed.
 */
EW_MUST_CHECK bool ew_hooks_run(const struct ew_model *m, const int64_t *ids,
                                int64_t n_prompts, int64_t n_pos,
                                struct ew_hook_stat **out, size_t *n,
                                const struct ew_cancel *cancel,
                                struct ew_err *err);

EW_END_DECLS

#endif
