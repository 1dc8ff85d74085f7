/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mathematics of a transformer block, written once: every path (plain
 * forward, hooks, full rerun, incremental what-ifs, gradients) is made of
 * these, for all families. N stands for any number of rows; functions on
 * rows do not care how prompts, positions and lanes are folded into it.
 *
 * All are pure: results belong to the scope, arguments stay as they are.
 */
#ifndef EW_BLOCK_H
#define EW_BLOCK_H

#include "edgewise/model.h"

EW_BEGIN_DECLS

/* Is this layer's attention local (windowed)? The window, or 0. */
int ew_arch_window(const struct ew_arch *arch, int layer);

/*
 * The embedding: ids (B, T) I64 -> (B, T, D), tokens (times embed_scale) and
 * learned positions 0..T-1. Either may be had alone, for split embeddings;
 * positions are (B, T, D) too.
 */
struct ew_tensor *ew_block_embed_tokens(struct ew_scope *s,
                                        const struct ew_model *m,
                                        const struct ew_tensor *ids);
/* NULL (and no error) when the model adds none to the residual stream. */
struct ew_tensor *ew_block_embed_positions(struct ew_scope *s,
                                           const struct ew_model *m,
                                           int64_t n_prompts, int64_t n_pos);

/* The norm of the model's kind: x (.., D) -> (.., D). */
struct ew_tensor *ew_block_norm(struct ew_scope *s, const struct ew_model *m,
                                const struct ew_norm *norm,
                                const struct ew_tensor *x);

/*
 * A norm and a product behind it in parts, so that a change of x that a few
 * rows of weights explain need not go through both again:
 * norm(x) W + b = linear(x) W / scale(x) + offset. `norm` is one of the
 * model's own.
 */
/* Centring and gain: x (.., D) -> (.., D). */
struct ew_tensor *ew_block_norm_linear(struct ew_scope *s,
                                       const struct ew_model *m,
                                       const struct ew_norm *norm,
                                       const struct ew_tensor *x);
/* The norm's denominators at x and all addends: (.., D) -> (.., 1). */
struct ew_tensor *ew_block_norm_scale(struct ew_scope *s,
                                      const struct ew_model *m,
                                      const struct ew_norm *norm,
                                      const struct ew_tensor *x,
                                      const struct ew_addend *addends,
                                      size_t n);
/* What the norm's bias and the product's b (E) add to every row behind w
 * (D, E): (E), or NULL (and no error) when there is neither. */
struct ew_tensor *ew_block_norm_offset(struct ew_scope *s,
                                       const struct ew_model *m,
                                       const struct ew_norm *norm,
                                       const struct ew_tensor *w,
                                       const struct ew_tensor *b);

/* Weight (D, K) and bias (K) of one head's projection: views. With
 * grouped-query attention several heads give the same k and v. */
void ew_block_projection(struct ew_scope *s, const struct ew_model *m,
                         int layer, enum ew_qkv which, int head,
                         struct ew_tensor **w, struct ew_tensor **b);
/* One head: xn (N, D), already normed -> (N, K). No rotary yet. */
struct ew_tensor *ew_block_project(struct ew_scope *s,
                                   const struct ew_model *m, int layer,
                                   enum ew_qkv which, int head,
                                   const struct ew_tensor *xn);
/*
 * All heads from one shared input: xn (N, D) -> (N, H', K), H' = n_heads for
 * q and n_kv_heads for k and v; pass NULL for what is not wanted. One product
 * when all are.
 */
void ew_block_project_all(struct ew_scope *s, const struct ew_model *m,
                          int layer, const struct ew_tensor *xn,
                          struct ew_tensor **q, struct ew_tensor **k,
                          struct ew_tensor **v);

/*
 * Rotary positions on q or k: x (.., T, K), its row t at position first + t.
 * Returns x itself for other families.
 */
struct ew_tensor *ew_block_rotate(struct ew_scope *s,
                                  const struct ew_model *m,
                                  const struct ew_tensor *x, int64_t first);

/*
 * Scores before the mask, scaled and soft-capped: q (G, Tq, K), k (G, Tk, K),
 * both rotated -> (G, Tq, Tk); G is any batch of (prompt, head) pairs.
 */
struct ew_tensor *ew_block_scores(struct ew_scope *s,
                                  const struct ew_model *m,
                                  const struct ew_tensor *q,
                                  const struct ew_tensor *k);
/* Causal (and local) softmax; consumes `scores` (may work in place unless
 * gradients are recorded). `first` is the position of query row 0. */
struct ew_tensor *ew_block_pattern(struct ew_scope *s,
                                   const struct ew_model *m, int layer,
                                   struct ew_tensor *scores, int64_t first,
                                   bool in_place);
/* pattern (G, Tq, Tk), v (G, Tk, K) -> z (G, Tq, K). */
struct ew_tensor *ew_block_mix(struct ew_scope *s,
                               const struct ew_tensor *pattern,
                               const struct ew_tensor *v);

/* W_O of one head: (K, D), a view. */
struct ew_tensor *ew_block_w_o(struct ew_scope *s, const struct ew_model *m,
                               int layer, int head);
/* A head's result, without b_O: z (N, K) -> (N, D). */
struct ew_tensor *ew_block_head_out(struct ew_scope *s,
                                    const struct ew_model *m, int layer,
                                    int head, const struct ew_tensor *z);
/* The sum of all heads' results, without b_O: z (N, H K) -> (N, D). */
struct ew_tensor *ew_block_attn_out(struct ew_scope *s,
                                    const struct ew_model *m, int layer,
                                    const struct ew_tensor *z);

/* What a layer's attention adds to the residual stream, from u (.., D), the
 * sum of its heads' results and b_O: its post-norm, or u itself. */
struct ew_tensor *ew_block_attn_post(struct ew_scope *s,
                                     const struct ew_model *m, int layer,
                                     struct ew_tensor *u);

/*
 * The MLP with its norms: x (N, D), the receiver's input -> (N, D), b_out
 * (and a post-norm) included: what m{l} sends. `pre` and `post` (optional)
 * receive hook_pre and hook_post.
 */
struct ew_tensor *ew_block_mlp(struct ew_scope *s, const struct ew_model *m,
                               int layer, const struct ew_tensor *x,
                               struct ew_tensor **pre,
                               struct ew_tensor **post);

/* Final norm: x (N, D) -> (N, D). */
struct ew_tensor *ew_block_final_norm(struct ew_scope *s,
                                      const struct ew_model *m,
                                      const struct ew_tensor *x);
/* Logits from normed rows: (N, D) -> (N, Vout), bias and soft cap done. */
struct ew_tensor *ew_block_unembed(struct ew_scope *s,
                                   const struct ew_model *m,
                                   const struct ew_tensor *xn);
/*
 * Only some logits: xn (N, D), columns (N, C) I64 -> (N, C): logit of
 * columns[n][c] in row n.
 */
struct ew_tensor *ew_block_unembed_columns(struct ew_scope *s,
                                           const struct ew_model *m,
                                           const struct ew_tensor *xn,
                                           const struct ew_tensor *columns);

EW_END_DECLS

#endif
