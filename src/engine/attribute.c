/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attribution by gradients. The forward runs unsplit, as the plain model
 * does: libtorch gives the gradients at every head's q, k and v, at every
 * MLP's input and at the final residual. From there a receiver's gradient is
 * its head's through its own projection and, since the norm is part of the
 * receiver, through the norm, by hand. The scores of a layer's receivers are
 * then one product: senders by (prompt, position, d_model), by receivers.
 */
#include "edgewise/attribute.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

#include "state.h"

static const char *const method_names[EW_N_ATTRIBUTIONS] = {
    [EW_ATTR_EAP] = "eap",
    [EW_ATTR_IG_INPUTS] = "eap-ig-inputs",
    [EW_ATTR_IG_ACTIVATIONS] = "eap-ig-activations",
    [EW_ATTR_CLEAN_CORRUPTED] = "clean-corrupted",
};

const char *ew_attribution_name(enum ew_attribution method)
{
    return method_names[method];
}

bool ew_attribution_parse(const char *text, enum ew_attribution *method)
{
    for (int i = 0; i < EW_N_ATTRIBUTIONS; i++) {
        if (strcmp(text, method_names[i]) == 0) {
            *method = (enum ew_attribution)i;
            return true;
        }
    }
    return false;
}

/* One layer of a recorded forward; all in the pass's scope. */
struct trace {
    struct ew_tensor *x;      /* (N, D): what the attention reads */
    struct ew_tensor *qkv[3]; /* (N, H, K) before rotary */
    struct ew_tensor *rot[3]; /* the same, rotated */
    struct ew_tensor *mlp;    /* (N, D): what the MLP reads */
    struct ew_tensor *sent[2]; /* (N, D): by the heads with b_O, the MLP */
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

/* ---- the forward ---- */

static struct ew_tensor *mixed(struct ew_scope *s, struct ew_tensor *y,
                               struct ew_tensor *c, double alpha)
{
    return ew_add(s, ew_scale(s, y, alpha), ew_scale(s, c, 1.0 - alpha));
}

/* (N, H', K) -> (B H, T, K): one row of batches per prompt and head. */
static struct ew_tensor *by_head(struct ew_scope *s, const struct geometry *g,
                                 const struct ew_tensor *t)
{
    struct ew_tensor *four = ew_reshape(
        s, t, 4, (int64_t[]){g->b, g->t, g->n_heads, g->k});
    four = ew_contiguous(s, ew_transpose(s, four, 1, 2));
    return ew_reshape(s, four, 3,
                      (int64_t[]){g->b * g->n_heads, g->t, g->k});
}

/* Every query head gets a key and value of its own to have gradients of. */
static struct ew_tensor *ungroup(struct ew_scope *s, const struct geometry *g,
                                 struct ew_tensor *t)
{
    int64_t n = ew_dim(t, 0), heads = ew_dim(t, 1);
    if (heads == g->n_heads || heads == 0) { /* 0: an operation failed */
        return ew_contiguous(s, t);
    }
    t = ew_expand(s, ew_unsqueeze(s, t, 2), 4,
                  (int64_t[]){n, heads, g->n_heads / heads, g->k});
    return ew_reshape(s, ew_contiguous(s, t), 3,
                      (int64_t[]){n, g->n_heads, g->k});
}

static struct ew_tensor *attend(struct ew_scope *s,
                                const struct attribution *at, int layer,
                                struct ew_tensor *x, struct trace *tr)
{
    const struct geometry *g = at->g;
    const struct ew_model *m = at->e->model;
    tr->x = x;
    struct ew_tensor *xn = ew_block_norm(s, m, &m->layers[layer].ln1, x);
    ew_block_project_all(s, m, layer, xn, &tr->qkv[0], &tr->qkv[1],
                         &tr->qkv[2]);
    struct ew_tensor *heads[3];
    for (int i = 0; i < 3; i++) {
        tr->qkv[i] = ungroup(s, g, tr->qkv[i]);
        heads[i] = by_head(s, g, tr->qkv[i]);
        if (i != EW_V) {
            heads[i] = ew_block_rotate(s, m, heads[i], 0);
        }
        tr->rot[i] = heads[i];
    }
    struct ew_tensor *scores = ew_block_scores(s, m, heads[0], heads[1]);
    struct ew_tensor *pattern =
        ew_block_pattern(s, m, layer, scores, 0, false);
    struct ew_tensor *z = ew_block_mix(s, pattern, heads[2]);
    z = ew_reshape(s, z, 4, (int64_t[]){g->b, g->n_heads, g->t, g->k});
    z = ew_reshape(s, ew_contiguous(s, ew_transpose(s, z, 1, 2)), 2,
                   (int64_t[]){g->b * g->t, g->n_heads * g->k});
    return ew_add(s, ew_block_attn_out(s, m, layer, z),
                  m->layers[layer].b_o);
}

static struct ew_tensor *read_metric(struct ew_scope *s,
                                     const struct attribution *at,
                                     struct ew_tensor *x);

/* Metric of a recorded forward from embedding `in` (B, T, D). */
static struct ew_tensor *forward(struct ew_scope *s,
                                 const struct attribution *at,
                                 struct ew_tensor *in,
                                 const struct given *given,
                                 struct trace *traces,
                                 struct ew_tensor **last)
{
    const struct geometry *g = at->g;
    const struct ew_model *m = at->e->model;
    struct ew_tensor *x = as_rows(s, ew_leaf(s, in));
    for (int l = 0; l < g->n_layers; l++) {
        struct trace *tr = &traces[l];
        tr->sent[0] = attend(s, at, l, x, tr);
        if (given->layer == l && given->which == 0) {
            tr->sent[0] = given->sent;
        }
        struct ew_tensor *mid = ew_add(s, x, tr->sent[0]);
        if (g->mlp) {
            /* a tensor of its own, so that its gradient is the MLP's alone */
            tr->mlp = ew_shift(s, g->parallel ? x : mid, 0.0);
            tr->sent[1] = ew_block_mlp(s, m, l, tr->mlp, NULL, NULL);
            if (given->layer == l && given->which == 1) {
                tr->sent[1] = given->sent;
            }
            mid = ew_add(s, mid, tr->sent[1]);
        }
        x = mid;
    }
    *last = ew_shift(s, x, 0.0);
    return read_metric(s, at, *last);
}

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

/* The metric as ACDC minimises it, one element. */
static struct ew_tensor *read_metric(struct ew_scope *s,
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

/* ---- from gradients to scores ---- */

/* (N or B H.., X) rows of all positions -> those from a: (B (T-a), X). */
static struct ew_tensor *live_rows(struct ew_scope *s,
                                   const struct geometry *g,
                                   struct ew_tensor *t)
{
    int64_t x = ew_dim(t, -1);
    t = ew_reshape(s, t, 3, (int64_t[]){g->b, g->t, x});
    return ew_contiguous(s, as_rows(s, rows_from(s, t, 0, g->a)));
}

/* Gradient at the input of a norm, from that at its output (.., n, D), both
 * for rows n whose input is x (n, D). */
static struct ew_tensor *norm_backward(struct ew_scope *s,
                                       const struct ew_model *m,
                                       const struct ew_norm *norm,
                                       struct ew_tensor *x,
                                       struct ew_tensor *grad)
{
    enum ew_norm_kind kind = m->arch.norm;
    if (kind == EW_NORM_NONE) {
        return grad;
    }
    bool rms = kind == EW_NORM_RMS || kind == EW_NORM_RMS_PRE;
    struct ew_tensor *scale = ew_norm_scale(s, x, rms, m->arch.eps);
    struct ew_tensor *unit =
        ew_div(s, rms ? x : ew_sub(s, x, ew_mean(s, x, -1, true)), scale);
    if (norm->w) {
        grad = ew_mul(s, grad, norm->w);
    }
    struct ew_tensor *along =
        ew_mean(s, ew_mul(s, grad, unit), -1, true);
    struct ew_tensor *out = ew_sub(s, grad, ew_mul(s, unit, along));
    if (!rms) {
        out = ew_sub(s, out, ew_mean(s, grad, -1, true));
    }
    return ew_div(s, out, scale);
}

/* Add senders x receivers: receivers' gradients grads (R, n D). */
static void add_scores(struct ew_scope *s, struct attribution *at,
                       uint32_t first_receiver, struct ew_tensor *grads)
{
    const struct ew_graph *graph = at->e->graph;
    int64_t n = ew_graph_n_senders_of(graph, first_receiver);
    int64_t n_r = ew_dim(grads, 0);
    struct ew_tensor *senders = ew_narrow(s, at->deltas, 0, 0, n);
    struct ew_tensor *scores =
        ew_matmul(s, senders, ew_transpose(s, grads, 0, 1));
    size_t total = (size_t)(n * n_r);
    double *host = ew_xcalloc(total, sizeof(*host));
    if (ew_read_f64(s, scores, host, total)) {
        for (int64_t r = 0; r < n_r; r++) {
            uint32_t first =
                ew_graph_first_edge(graph, first_receiver + (uint32_t)r);
            for (int64_t i = 0; i < n; i++) {
                at->sums[first + i] += host[i * n_r + r];
            }
        }
    }
    free(host);
}

static void score_heads(struct attribution *at, int layer,
                        const struct trace *tr, struct ew_tensor *const *grad)
{
    const struct geometry *g = at->g;
    const struct ew_model *m = at->e->model;
    struct ew_scope *s = ew_scope_open(m->device);
    struct ew_tensor *x = live_rows(s, g, tr->x);
    int64_t n = ew_dim(x, 0);
    struct ew_tensor **per_head =
        ew_xcalloc(3 * (size_t)g->n_heads, sizeof(*per_head));
    for (int h = 0; h < g->n_heads; h++) {
        for (int which = EW_Q; which <= EW_V; which++) {
            struct ew_tensor *w, *b;
            ew_block_projection(s, m, layer, (enum ew_qkv)which, h, &w, &b);
            struct ew_tensor *dq =
                live_rows(s, g, ew_select(s, grad[which], 1, h));
            struct ew_tensor *dx =
                ew_matmul(s, dq, ew_transpose(s, w, 0, 1));
            dx = norm_backward(s, m, &m->layers[layer].ln1, x, dx);
            per_head[3 * h + which] =
                ew_reshape(s, dx, 1, (int64_t[]){n * g->d});
        }
    }
    add_scores(s, at, receiver_of(g, layer, 0, EW_Q),
               ew_stack(s, per_head, 3 * (size_t)g->n_heads, 0));
    free(per_head);
    ew_scope_finish(s, NULL);
}

/* Direct edges: the cut run's q, k, v for the plain one, both rotated. */
static void score_direct(struct attribution *at, int layer,
                         struct ew_tensor *const *grad,
                         struct ew_tensor *const *now)
{
    const struct geometry *g = at->g;
    struct ew_scope *s = ew_scope_open(at->e->model->device);
    for (int h = 0; h < g->n_heads; h++) {
        const struct head *cut = &at->st->cut.heads[layer * g->n_heads + h];
        struct ew_tensor *const carried[3] = {cut->q, cut->k, cut->v};
        for (int which = EW_Q; which <= EW_V; which++) {
            int64_t start = which == EW_Q ? out_start(g, layer) : 0;
            struct ew_tensor *part[2];
            struct ew_tensor *const from[2] = {grad[which], now[which]};
            for (int i = 0; i < 2; i++) {
                struct ew_tensor *four = ew_reshape(
                    s, from[i], 4,
                    (int64_t[]){g->b, g->n_heads, g->t, g->k});
                part[i] =
                    rows_from(s, ew_select(s, four, 1, h), 0, start);
            }
            struct ew_tensor *change = ew_sub(s, carried[which], part[1]);
            double score =
                ew_item(s, ew_sum_all(s, ew_mul(s, change, part[0])));
            uint32_t edge = ew_graph_direct_edge(
                at->e->graph, receiver_of(g, layer, h, (enum ew_qkv)which));
            at->sums[edge] += score;
        }
    }
    ew_scope_finish(s, NULL);
}

/* One forward and backward; adds its scores to the sums. */
static bool pass(struct attribution *at, struct ew_tensor *in,
                 const struct given *given, struct ew_err *err)
{
    const struct geometry *g = at->g;
    struct ew_scope *s = ew_scope_open_grad(at->e->model->device);
    size_t per_layer = 6 + (size_t)g->mlp;
    size_t n = per_layer * (size_t)g->n_layers + 1;
    struct trace *traces = ew_xcalloc((size_t)g->n_layers, sizeof(*traces));
    struct ew_tensor **inputs = ew_xcalloc(n, sizeof(*inputs));
    struct ew_tensor **grads = ew_xcalloc(n, sizeof(*grads));
    struct ew_tensor *last;
    struct ew_tensor *metric = forward(s, at, in, given, traces, &last);
    for (int l = 0; l < g->n_layers; l++) {
        struct ew_tensor **slot = &inputs[per_layer * (size_t)l];
        for (int i = 0; i < 3; i++) {
            slot[i] = traces[l].qkv[i];
            slot[3 + i] = traces[l].rot[i];
        }
        if (g->mlp) {
            slot[6] = traces[l].mlp;
        }
    }
    inputs[n - 1] = last;
    if (ew_grad(s, metric, inputs, n, grads)) {
        for (int l = 0; l < g->n_layers; l++) {
            struct ew_tensor **slot = &grads[per_layer * (size_t)l];
            score_heads(at, l, &traces[l], slot);
            score_direct(at, l, slot + 3, traces[l].rot);
            if (g->mlp) {
                struct ew_tensor *dx = live_rows(s, g, slot[6]);
                add_scores(s, at, mlp_receiver(g, l),
                           ew_reshape(s, dx, 2, (int64_t[]){1, -1}));
            }
        }
        struct ew_tensor *dx = live_rows(s, g, grads[n - 1]);
        add_scores(s, at, logits_receiver(g),
                   ew_reshape(s, dx, 2, (int64_t[]){1, -1}));
    }
    free(traces);
    free(inputs);
    free(grads);
    return ew_scope_finish(s, err);
}

/* ---- what the passes start from ---- */

/* c - y of every sender, as rows of one matrix. */
static bool make_deltas(struct attribution *at, const struct run *clean,
                        struct ew_err *err)
{
    const struct geometry *g = at->g;
    const struct ew_model *m = at->e->model;
    int64_t n = at->st->n_senders, rows = g->t - g->a;
    struct ew_scope *s = ew_scope_open(m->device);
    struct ew_tensor *all =
        ew_full(s, 0.0, 2, (int64_t[]){n, g->b * rows * g->d});
    for (uint32_t i = 0; i < n && ew_scope_ok(s); i++) {
        struct ew_scope *inner = ew_scope_open(m->device);
        int64_t start = sent_start(g, i);
        struct ew_tensor *change =
            ew_sub(inner, sent_in(g, &at->st->cut, i), sent_in(g, clean, i));
        struct ew_tensor *wide =
            ew_full(inner, 0.0, 4,
                    (int64_t[]){g->b, 1, g->t - start, g->d});
        add_sent(inner, m, g, i, ew_unsqueeze(inner, change, 1), wide, start,
                 1.0);
        struct ew_tensor *row = ew_reshape(
            inner, ew_select(inner, all, 0, i), 3,
            (int64_t[]){g->b, rows, g->d});
        ew_copy_into(inner, rows_from(inner, row, g->a, start),
                     ew_squeeze(inner, wide, 1));
        struct ew_err inner_err = {0};
        if (!ew_scope_finish(inner, &inner_err)) {
            ew_scope_fail(s, inner_err.code, "%s", inner_err.message);
        }
    }
    put_ref(&at->deltas, all);
    return ew_scope_finish(s, err);
}

static bool prepare(struct attribution *at, const struct ew_cancel *cancel,
                    struct ew_err *err)
{
    struct ew_engine *e = at->e;
    const struct geometry *g = at->g;
    const struct ew_task *task = e->task;
    struct run clean;
    run_init(&clean, g);
    for (int i = 0; i < g->n_inputs; i++) {
        put_ref(&clean.in[i], at->st->cur.in[i]);
    }
    bool ok = run_evaluate(e, g, &clean, NULL, cancel, err) &&
              make_deltas(at, &clean, err);
    run_finish(&clean, g);
    if (!ok) {
        return false;
    }
    struct ew_scope *s = ew_scope_open(e->model->device);
    struct ew_tensor *ids = ew_from_i64(
        s, task->clean, 2, (int64_t[]){g->b, (int64_t)task->n_pos});
    ids = ew_contiguous(s, ew_narrow(s, ids, 1, 0, g->t));
    struct ew_tensor *y = ew_block_embed_tokens(s, e->model, ids);
    struct ew_tensor *pos = ew_block_embed_positions(s, e->model, g->b, g->t);
    y = pos ? ew_add(s, y, pos) : y;
    struct ew_tensor *c = ew_clone(s, y);
    struct ew_tensor *cut = at->st->cut.in[0];
    if (g->n_inputs == 2) {
        cut = ew_add(s, cut, at->st->cut.in[1]);
    }
    ew_copy_into(s, rows_from(s, c, 0, g->a), cut);
    put_ref(&at->y_in, y);
    put_ref(&at->c_in, c);
    return ew_scope_finish(s, err);
}

/* ---- the methods: which passes, and how they are averaged ---- */

struct plan {
    struct attribution *at;
    const struct ew_cancel *cancel;
    size_t done;
    size_t total;
};

static bool count_pass(struct plan *plan, bool ok)
{
    struct attribution *at = plan->at;
    plan->done++;
    if (ok && at->p->progress) {
        at->p->progress(at->p->user, plan->done, plan->total);
    }
    return ok;
}

/* At the embedding alpha y + (1 - alpha) c. */
static bool run_pass(struct plan *plan, double alpha, struct ew_err *err)
{
    struct attribution *at = plan->at;
    if (ew_cancel_check(plan->cancel, err)) {
        return false;
    }
    struct ew_scope *s = ew_scope_open(at->e->model->device);
    bool ok = pass(at, mixed(s, at->y_in, at->c_in, alpha),
                   &(struct given){.layer = -1}, err);
    ew_scope_finish(s, NULL);
    return count_pass(plan, ok);
}

/* ---- integrated gradients over what each layer sends ---- */

/* One plain forward for what the layers send. */
static bool keep_plain(struct attribution *at, struct ew_err *err)
{
    size_t n_layers = (size_t)at->g->n_layers;
    struct trace *traces = ew_xcalloc(n_layers, sizeof(*traces));
    struct ew_scope *s = ew_scope_open_grad(at->e->model->device);
    struct ew_tensor *last;
    at->plain = ew_xcalloc(2 * n_layers, sizeof(struct ew_tensor *));
    forward(s, at, at->y_in, &(struct given){.layer = -1}, traces, &last);
    struct ew_scope *bare = ew_scope_open(at->e->model->device);
    for (size_t i = 0; ew_scope_ok(s) && i < 2 * n_layers; i++) {
        struct ew_tensor *sent = traces[i / 2].sent[i % 2];
        put_ref(&at->plain[i], sent ? ew_clone(bare, sent) : NULL);
    }
    free(traces);
    bool ok = ew_scope_finish(bare, err);
    return ew_scope_finish(s, ok ? err : NULL) && ok;
}

/* alpha y + (1 - alpha) c of all heads of a layer together, or of its MLP.
 * What the last layer sends before the scored positions reaches no score and
 * is left as it is. */
static struct ew_tensor *on_the_way(struct ew_scope *s,
                                    const struct attribution *at, int layer,
                                    int which, double alpha)
{
    const struct geometry *g = at->g;
    uint32_t first =
        which == 0 ? head_sender(g, layer, 0) : mlp_sender(g, layer);
    struct ew_tensor *all = ew_clone(s, at->plain[2 * layer + which]);
    struct ew_tensor *live = rows_from(
        s, ew_reshape(s, all, 3, (int64_t[]){g->b, g->t, g->d}), 0, g->a);
    for (int i = 0; i < (which == 0 ? g->n_heads : 1); i++) {
        struct ew_tensor *delta = ew_reshape(
            s, ew_select(s, at->deltas, 0, (int64_t)first + i), 3,
            (int64_t[]){g->b, g->t - g->a, g->d});
        ew_add_into(s, live, delta, 1.0 - alpha);
    }
    return all;
}

static bool run_layer(struct plan *plan, int layer, int which, int steps,
                      struct ew_err *err)
{
    struct attribution *at = plan->at;
    bool ok = true;
    for (int k = 1; ok && k <= steps; k++) {
        if (ew_cancel_check(plan->cancel, err)) {
            return false;
        }
        struct ew_scope *s = ew_scope_open(at->e->model->device);
        struct given given = {layer, which,
                              on_the_way(s, at, layer, which,
                                         (double)k / steps)};
        ok = pass(at, at->y_in, &given, err);
        ew_scope_finish(s, NULL);
        ok = count_pass(plan, ok);
    }
    return ok;
}

static bool run_activations(struct plan *plan, int steps, struct ew_err *err)
{
    struct attribution *at = plan->at;
    const struct geometry *g = at->g;
    plan->total = (size_t)steps * (1 + (size_t)g->n_layers * (1U + g->mlp));
    bool ok = keep_plain(at, err);
    for (int k = 1; ok && k <= steps; k++) {
        ok = run_pass(plan, (double)k / steps, err);
    }
    for (int l = 0; ok && l < g->n_layers; l++) {
        ok = run_layer(plan, l, 0, steps, err) &&
             (!g->mlp || run_layer(plan, l, 1, steps, err));
    }
    return ok;
}

static bool run_method(struct attribution *at, const struct ew_cancel *cancel,
                       size_t *n_passes, struct ew_err *err)
{
    int steps = at->p->steps > 0 ? at->p->steps : 5;
    struct plan plan = {.at = at, .cancel = cancel};
    switch (at->p->method) {
    case EW_ATTR_EAP:
        *n_passes = plan.total = 1;
        return run_pass(&plan, 1.0, err);
    case EW_ATTR_CLEAN_CORRUPTED:
        *n_passes = plan.total = 2;
        return run_pass(&plan, 1.0, err) &&
               run_pass(&plan, 0.0, err);
    case EW_ATTR_IG_INPUTS:
        *n_passes = plan.total = (size_t)steps;
        for (int k = 0; k < steps; k++) {
            if (!run_pass(&plan, (double)k / steps, err)) {
                return false;
            }
        }
        return true;
    case EW_ATTR_IG_ACTIVATIONS: {
        bool ok = run_activations(&plan, steps, err);
        *n_passes = plan.total;
        return ok;
    }
    case EW_N_ATTRIBUTIONS:
        break;
    }
    return ew_fail(err, EW_ERR_USAGE, "no such attribution");
}

static void attribution_finish(struct attribution *at)
{
    ew_tensor_unref(at->y_in);
    ew_tensor_unref(at->c_in);
    ew_tensor_unref(at->deltas);
    for (int i = 0; at->plain && i < 2 * at->g->n_layers; i++) {
        ew_tensor_unref(at->plain[i]);
    }
    free(at->plain);
    free(at->sums);
}

bool ew_engine_attribute(struct ew_engine *e,
                         const struct ew_attribute_params *p, float *scores,
                         const struct ew_cancel *cancel, struct ew_err *err)
{
    if (e->params.kind != EW_ENGINE_INCREMENTAL) {
        return ew_fail(err, EW_ERR_USAGE,
                       "attribution needs the incremental engine");
    }
    struct incremental *st = e->state;
    bool kl = p->metric == EW_METRIC_KL || p->metric == EW_METRIC_KL_MIB;
    bool has = ew_metric_has_answers(p->metric) ? st->out.answer_u != NULL
               : kl                             ? st->out.logp != NULL
               : p->metric == EW_METRIC_NLL     ? st->out.n_scored > 0
                                                : false;
    if (!has) {
        return ew_fail(err, EW_ERR_INPUT,
                       "metric %s has no gradient on task %s",
                       ew_metric_name(p->metric), e->task->name);
    }
    size_t n_edges = ew_graph_n_edges(e->graph);
    struct attribution at = {.e = e, .st = st, .g = &st->geo, .p = p};
    at.sums = ew_xcalloc(n_edges, sizeof(*at.sums));
    size_t n_passes = 1;
    bool ok = overlay_flush(e, err) && prepare(&at, cancel, err) &&
              run_method(&at, cancel, &n_passes, err);
    for (size_t i = 0; ok && i < n_edges; i++) {
        scores[i] = (float)(at.sums[i] / (double)n_passes);
    }
    attribution_finish(&at);
    return ok;
}
