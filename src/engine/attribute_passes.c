/* SPDX-License-Identifier: Apache-2.0 */
/* The methods: which passes, and how they are averaged. */
#include "attribution.h"

#include <stdlib.h>

#include "edgewise/mem.h"

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
    bool ok = attribution_pass(
        at, attribution_mix(s, at->y_in, at->c_in, alpha),
        &(struct given){.layer = -1}, plan->cancel, err);
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
    attribution_forward(s, at, at->y_in, &(struct given){.layer = -1}, traces,
                        &last);
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
        ok = attribution_pass(at, at->y_in, &given, plan->cancel, err);
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

bool attribution_run(struct attribution *at, const struct ew_cancel *cancel,
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
