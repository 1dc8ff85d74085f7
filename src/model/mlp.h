/* SPDX-License-Identifier: Apache-2.0 */
/* The MLP with a view of every step, for hooks. */
#ifndef EW_MODEL_MLP_H
#define EW_MODEL_MLP_H

#include "edgewise/block.h"

/* Asked for by a non-NULL trace; what a family lacks stays NULL. */
struct ew_mlp_trace {
    struct ew_tensor *normed; /* (N, D) */
    struct ew_tensor *pre;    /* (N, M): the gate when there is one */
    struct ew_tensor *linear; /* (N, M): what the gate multiplies */
    struct ew_tensor *mid;    /* (N, M): before solu_ln's norm */
    struct ew_tensor *post;   /* (N, M) */
    struct ew_tensor *raw;    /* (N, D): before a post-norm */
};

struct ew_tensor *ew_mlp_run(struct ew_scope *s, const struct ew_model *m,
                             int layer, const struct ew_tensor *x,
                             struct ew_mlp_trace *trace);

#endif
