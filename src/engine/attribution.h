/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of attribution share: a forward that records what gradients
 * are asked for, the metric at its end, the scores that a backward gives, and
 * what the passes start from.
 */
#ifndef EW_ENGINE_ATTRIBUTION_H
#define EW_ENGINE_ATTRIBUTION_H

#include "edgewise/attribute.h"

#include "state.h"

/* One layer of a recorded forward; all in the pass's scope. */
struct trace {
    struct ew_tensor *x;      /* (N, D): what the attention reads */
    struct ew_tensor *qkv[3]; /* (N, H, K) before rotary */
    struct ew_tensor *rot[3]; /* the same, rotated */
    struct ew_tensor *mlp;    /* (N, D): what the MLP reads */
    struct ew_tensor *sent[2]; /* (N, D): by the heads with b_O, before a
                                * post-norm, and by the MLP */
};

/* A layer whose heads or MLP send something given, whatever they read. */
struct given {
    int layer; /* -1: none */
    int which; /* 0: the heads, 1: the MLP */
    struct ew_tensor *sent; /* (N, D), b_O included */
};

struct attribution {
    struct ew_engine *e;
    struct incremental *st;
    const struct geometry *g; /* of the state */
    const struct ew_attribute_params *p;
    struct ew_tensor *y_in, *c_in; /* (B, T, D): embeddings from position 0 */
    struct ew_tensor *deltas; /* (S, B (T - a) D): c - y of every sender */
    struct ew_tensor **plain; /* (2 n_layers): sent[] of the plain model, of
                               * activations alone */
    double *sums;             /* n_edges */
};

/* ---- the forward (attribute_forward.c) ---- */

/* alpha y + (1 - alpha) c */
struct ew_tensor *attribution_mix(struct ew_scope *s, struct ew_tensor *y,
                                  struct ew_tensor *c, double alpha);
/* Metric of a recorded forward from embedding `in` (B, T, D). `traces` is
 * (n_layers); *last is the final residual. */
struct ew_tensor *attribution_forward(struct ew_scope *s,
                                      const struct attribution *at,
                                      struct ew_tensor *in,
                                      const struct given *given,
                                      struct trace *traces,
                                      struct ew_tensor **last);

/* ---- its end (attribute_metric.c) ---- */

/* The metric as ACDC minimises it, one element, of the final residual
 * x (N, D). */
struct ew_tensor *attribution_metric(struct ew_scope *s,
                                     const struct attribution *at,
                                     struct ew_tensor *x);

/* ---- from gradients to scores (attribute_scores.c) ---- */

/* One forward and backward; adds its scores to the sums. */
bool attribution_pass(struct attribution *at, struct ew_tensor *in,
                      const struct given *given,
                      const struct ew_cancel *cancel, struct ew_err *err);

/* ---- what the passes start from (attribute_start.c) ---- */

/* Fill in deltas, y_in and c_in. */
bool attribution_prepare(struct attribution *at,
                         const struct ew_cancel *cancel, struct ew_err *err);

/* ---- which passes, and how they are averaged (attribute_passes.c) ---- */

/* The method's passes, summed up; *n_passes: to be divided by. */
bool attribution_run(struct attribution *at, const struct ew_cancel *cancel,
                     size_t *n_passes, struct ew_err *err);

#endif
