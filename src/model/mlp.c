/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MLP: norm, in, activation (gated or not, or with a norm of its own),
 * out, post-norm.
 */
#include "mlp.h"

static struct ew_tensor *activate(struct ew_scope *s, enum ew_act_kind act,
                                  const struct ew_tensor *x)
{
    struct ew_tensor *weights;
    struct ew_tensor *out;
    switch (act) {
    case EW_ACT_RELU:
        return ew_relu(s, x);
    case EW_ACT_GELU:
        return ew_gelu(s, x);
    case EW_ACT_GELU_NEW:
        return ew_gelu_tanh(s, x);
    case EW_ACT_SILU:
        return ew_silu(s, x);
    case EW_ACT_SOLU:
    case EW_ACT_SOLU_LN:
        weights = ew_softmax(s, x, -1);
        out = ew_mul(s, x, weights);
        ew_drop(s, weights);
        return out;
    case EW_ACT_NONE:
        break;
    }
    ew_scope_fail(s, EW_ERR_FAILED, "an MLP without activation");
    return NULL;
}

/* Hand `t` to the trace, or drop it where nobody asked. */
static void leave(struct ew_scope *s, struct ew_tensor **slot,
                  struct ew_tensor *t)
{
    if (slot) {
        *slot = t;
    } else {
        ew_drop(s, t);
    }
}

/* The hidden layer: (N, D), normed -> (N, M). */
static struct ew_tensor *hidden(struct ew_scope *s, const struct ew_model *m,
                                int layer, const struct ew_tensor *xn,
                                struct ew_mlp_trace *trace)
{
    const struct ew_layer *lay = &m->layers[layer];
    if (lay->w_gate) {
        struct ew_tensor *pre = ew_matmul(s, xn, lay->w_gate);
        struct ew_tensor *linear = ew_matmul(s, xn, lay->w_in);
        struct ew_tensor *open = activate(s, m->arch.act, pre);
        struct ew_tensor *out = ew_mul(s, open, linear);
        if (lay->b_in) {
            ew_add_into(s, out, lay->b_in, 1.0);
        }
        ew_drop(s, open);
        leave(s, trace ? &trace->pre : NULL, pre);
        leave(s, trace ? &trace->linear : NULL, linear);
        return out;
    }
    struct ew_tensor *pre = ew_addmm(s, lay->b_in, xn, lay->w_in);
    struct ew_tensor *out = activate(s, m->arch.act, pre);
    leave(s, trace ? &trace->pre : NULL, pre);
    if (m->arch.act == EW_ACT_SOLU_LN) {
        struct ew_tensor *mid = out;
        /* always centred, whatever the norm of the other places */
        out = ew_layer_norm(s, mid, lay->mlp_ln.w, lay->mlp_ln.b, m->arch.eps);
        leave(s, trace ? &trace->mid : NULL, mid);
    }
    return out;
}

struct ew_tensor *ew_mlp_run(struct ew_scope *s, const struct ew_model *m,
                             int layer, const struct ew_tensor *x,
                             struct ew_mlp_trace *trace)
{
    const struct ew_layer *lay = &m->layers[layer];
    struct ew_tensor *xn = ew_block_norm(s, m, &lay->ln2, x);
    struct ew_tensor *post = hidden(s, m, layer, xn, trace);
    struct ew_tensor *out = ew_addmm(s, lay->b_out, post, lay->w_out);
    leave(s, trace ? &trace->normed : NULL, xn);
    leave(s, trace ? &trace->post : NULL, post);
    if (m->arch.post_norms) {
        struct ew_tensor *raw = out;
        out = ew_block_norm(s, m, &lay->ln2_post, raw);
        leave(s, trace ? &trace->raw : NULL, raw);
    }
    return out;
}

struct ew_tensor *ew_block_mlp(struct ew_scope *s, const struct ew_model *m,
                               int layer, const struct ew_tensor *x,
                               struct ew_tensor **pre, struct ew_tensor **post)
{
    struct ew_mlp_trace trace = {0};
    bool wanted = pre || post;
    struct ew_tensor *out = ew_mlp_run(s, m, layer, x, wanted ? &trace : NULL);
    if (!wanted) {
        return out;
    }
    leave(s, pre, trace.pre);
    leave(s, post, trace.post);
    ew_drop(s, trace.normed);
    ew_drop(s, trace.linear);
    ew_drop(s, trace.mid);
    ew_drop(s, trace.raw);
    return out;
}
