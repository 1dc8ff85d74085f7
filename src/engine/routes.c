/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Information flow routes, read off a traced forward: what each sender sends
 * is kept as it comes by, and what each receiver reads is shared out among
 * the senders before it.
 */
#include "edgewise/routes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/forward.h"
#include "edgewise/mem.h"

#include "impl.h"

struct routes {
    const struct ew_engine *e;
    const struct ew_routes_params *p;
    struct ew_tensor **sent; /* n_senders: (B, T, D); owned references */
    float *scores;
    size_t done; /* inputs */
    size_t total;
};

static void keep_sent(struct routes *rt, struct ew_node node,
                      struct ew_tensor *t)
{
    uint32_t sender = ew_graph_find_sender(rt->e->graph, node);
    if (sender != EW_NONE && t) {
        ew_tensor_unref(rt->sent[sender]);
        rt->sent[sender] = ew_keep(t);
    }
}

/* The sum of absolute values over d_model, (B, T, 1). */
static struct ew_tensor *size_of(struct ew_scope *s, const struct ew_tensor *x)
{
    return ew_sum(s, ew_abs(s, x), -1, true);
}

/* Proximities (n, B T) -> mean importances (n). */
static void share_out(const struct ew_task *task, double *near, uint32_t n,
                      double *share)
{
    size_t rows = task->n_prompts * task->n_pos;
    for (size_t b = 0; b < task->n_prompts; b++) {
        for (size_t pos = 0; pos < (size_t)task->length[b]; pos++) {
            size_t row = b * task->n_pos + pos;
            double total = 0;
            for (uint32_t i = 0; i < n; i++) {
                double *p = &near[i * rows + row];
                *p = fmax(0.0, *p);
                total += *p;
            }
            double weight = (double)task->length[b] * (double)task->n_prompts;
            for (uint32_t i = 0; total > 0 && i < n; i++) {
                share[i] += near[i * rows + row] / total / weight;
            }
        }
    }
}

/* `n_receivers` of them, from `first` on, read x (B, T, D). */
static void score_input(struct routes *rt, struct ew_scope *s, uint32_t first,
                        uint32_t n_receivers, const struct ew_tensor *x)
{
    const struct ew_graph *g = rt->e->graph;
    const struct ew_task *task = rt->e->task;
    uint32_t n = ew_graph_n_senders_of(g, first);
    size_t rows = task->n_prompts * task->n_pos;
    double *near = ew_xcalloc(n * rows, sizeof(*near));
    double *share = ew_xcalloc(n, sizeof(*share));
    for (uint32_t i = 0; i < n && ew_scope_ok(s); i++) {
        struct ew_scope *inner = ew_scope_open_in(s);
        struct ew_tensor *rest = ew_sub(inner, x, rt->sent[i]);
        struct ew_tensor *p =
            ew_sub(inner, size_of(inner, x), size_of(inner, rest));
        ew_read_f64(inner, p, near + i * rows, rows);
        ew_scope_finish(inner, NULL);
    }
    if (ew_scope_ok(s)) {
        share_out(task, near, n, share);
        for (uint32_t r = first; r < first + n_receivers; r++) {
            for (uint32_t i = 0; i < n; i++) {
                rt->scores[ew_graph_first_edge(g, r) + i] = (float)share[i];
            }
        }
        rt->done++;
        if (rt->p->progress) {
            rt->p->progress(rt->p->user, rt->done, rt->total);
        }
    }
    free(near);
    free(share);
}

static void see_embedding(struct routes *rt, struct ew_scope *s, bool position,
                          struct ew_tensor *t)
{
    const struct ew_graph *g = rt->e->graph;
    if (ew_graph_spec(g)->split_embed) {
        enum ew_node_kind kind = position ? EW_NODE_POS : EW_NODE_TOK;
        keep_sent(rt, (struct ew_node){kind, -1, -1}, ew_clone(s, t));
    } else if (position) {
        ew_add_into(s, rt->sent[0], t, 1.0);
    } else {
        /* the forward goes on in the memory of t */
        keep_sent(rt, (struct ew_node){EW_NODE_INPUT, -1, -1}, ew_clone(s, t));
    }
}

static void see_layer(struct routes *rt, struct ew_scope *s, int layer,
                      const char *what, struct ew_tensor *t)
{
    const struct ew_graph *g = rt->e->graph;
    const struct ew_graph_spec *spec = ew_graph_spec(g);
    struct ew_node mlp = {EW_NODE_MLP, layer, -1};
    struct ew_node q = {EW_NODE_Q, layer, 0};
    struct ew_node logits = {EW_NODE_LOGITS, -1, -1};
    if (strcmp(what, "hook_resid_pre") == 0) {
        score_input(rt, s, ew_graph_find_receiver(g, q),
                    3 * (uint32_t)spec->n_heads, t);
    } else if (strcmp(what, "attn.hook_result") == 0) {
        for (int h = 0; h < spec->n_heads; h++) {
            keep_sent(rt, (struct ew_node){EW_NODE_HEAD, layer, h},
                      ew_clone(s, ew_select(s, t, 2, h)));
        }
    } else if (strcmp(what, "hook_mlp_in") == 0) {
        score_input(rt, s, ew_graph_find_receiver(g, mlp), 1, t);
    } else if (strcmp(what, "hook_mlp_out") == 0) {
        keep_sent(rt, mlp, ew_clone(s, t));
    } else if (strcmp(what, "hook_resid_post") == 0 &&
               layer == spec->n_layers - 1) {
        score_input(rt, s, ew_graph_find_receiver(g, logits), 1, t);
    }
}

static void see(void *user, struct ew_scope *s, const char *name,
                struct ew_tensor *t)
{
    int layer;
    int end = 0;
    if (strcmp(name, "hook_embed") == 0) {
        see_embedding(user, s, false, t);
    } else if (strcmp(name, "hook_pos_embed") == 0) {
        see_embedding(user, s, true, t);
    } else if (sscanf(name, "blocks.%d.%n", &layer, &end) == 1 && end > 0) {
        see_layer(user, s, layer, name + end, t);
    }
}

bool ew_engine_routes(struct ew_engine *e, const struct ew_routes_params *p,
                      float *scores, const struct ew_cancel *cancel,
                      struct ew_err *err)
{
    const struct ew_task *task = e->task;
    const struct ew_graph_spec *spec = ew_graph_spec(e->graph);
    if (!e->model) {
        return ew_fail(err, EW_ERR_USAGE,
                       "information flow routes need a model");
    }
    if (e->model->arch.post_norms) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: what a head adds behind a norm it shares with its "
                       "layer (Gemma-2) is not its own: no information flow "
                       "routes",
                       e->model->arch.name);
    }
    uint32_t n_senders = ew_graph_n_senders(e->graph);
    struct routes rt = {.e = e, .p = p, .scores = scores};
    rt.sent = ew_xcalloc(n_senders, sizeof(struct ew_tensor *));
    rt.total = (size_t)spec->n_layers * (1U + spec->has_mlp) + 1;
    for (uint32_t i = 0; i < ew_graph_n_edges(e->graph); i++) {
        scores[i] = NAN;
    }
    struct ew_forward_params params = {
        .hook = see, .hook_user = &rt, .no_logits = true, .cancel = cancel};
    struct ew_scope *s = ew_scope_open(e->model->device);
    struct ew_tensor *ids = ew_from_i64(
        s, task->clean, 2,
        (int64_t[]){(int64_t)task->n_prompts, (int64_t)task->n_pos});
    ew_forward(s, e->model, ids, &params);
    bool ok = ew_scope_finish(s, err);
    for (uint32_t i = 0; i < n_senders; i++) {
        ew_tensor_unref(rt.sent[i]);
    }
    free(rt.sent);
    return ok;
}
