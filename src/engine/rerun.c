/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference: every evaluation is a full forward of the patched model,
 * one receiver after another, each with an input of its own, as the official
 * ACDC code does it. Slow and plain on purpose; tests and benches hold the
 * incremental engine against it. From that it takes only what cut edges
 * carry and how scores are read off.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

#include "state.h"

/* D-wide difference of every sender so far, (B, T, D). */
struct rerun {
    struct ew_engine *e;
    struct incremental *st;
    const struct geometry *g;
    const struct ew_bitset *kept;
    struct ew_scope *s;
    struct ew_tensor **diff;
};

/* The same of a layer's heads, through its post-norm. */
static void patch_normed(struct rerun *rr, uint32_t r, int layer,
                         struct ew_tensor *x)
{
    struct ew_scope *s = rr->s;
    const struct ew_model *m = rr->e->model;
    uint32_t first = ew_graph_first_edge(rr->e->graph, r);
    struct ew_tensor *was =
        attn_sum(s, rr->e, rr->g, &rr->st->cut, NULL, r, layer, 0);
    struct ew_tensor *is = ew_clone(s, was);
    for (int h = 0; h < rr->g->n_heads; h++) {
        uint32_t sender = head_sender(rr->g, layer, h);
        if (ew_bitset_has(rr->kept, first + sender)) {
            ew_add_into(s, is, rr->diff[sender], 1.0);
        }
    }
    ew_add_into(s, x, ew_block_attn_post(s, m, layer, is), 1.0);
    ew_add_into(s, x, ew_block_attn_post(s, m, layer, was), -1.0);
}

/* Corrupted input + sum over kept senders of (current - corrupted). */
static struct ew_tensor *patched_input(struct rerun *rr, uint32_t r)
{
    const struct ew_graph *graph = rr->e->graph;
    uint32_t n = ew_graph_n_senders_of(graph, r);
    uint32_t first = ew_graph_first_edge(graph, r);
    struct ew_tensor *x = ew_clone(rr->s, rr->st->cut.x[r]);
    bool post = rr->e->model->arch.post_norms;
    for (uint32_t i = 0; i < n; i++) {
        if (ew_bitset_has(rr->kept, first + i) &&
            !(post && sender_head(rr->g, i) >= 0)) {
            ew_add_into(rr->s, x, rr->diff[i], 1.0);
        }
    }
    for (int l = 0; post && reads_layer(rr->e, r, l); l++) {
        patch_normed(rr, r, l, x);
    }
    return x;
}

static struct ew_tensor *projected(struct rerun *rr, int layer, int h,
                                   enum ew_qkv which)
{
    struct ew_scope *s = rr->s;
    const struct ew_model *m = rr->e->model;
    uint32_t r = receiver_of(rr->g, layer, h, which);
    if (!ew_bitset_has(rr->kept, ew_graph_direct_edge(rr->e->graph, r))) {
        const struct head *cut =
            &rr->st->cut.heads[layer * rr->g->n_heads + h];
        return which == EW_Q ? cut->q : which == EW_K ? cut->k : cut->v;
    }
    struct ew_tensor *x = as_rows(s, patched_input(rr, r));
    struct ew_tensor *xn = ew_block_norm(s, m, &m->layers[layer].ln1, x);
    struct ew_tensor *y = ew_block_project(s, m, layer, which, h, xn);
    y = ew_reshape(s, y, 3, (int64_t[]){rr->g->b, rr->g->t, rr->g->k});
    return which == EW_V ? y : ew_block_rotate(s, m, y, 0);
}

static void run_head(struct rerun *rr, int layer, int h)
{
    struct ew_scope *s = rr->s;
    const struct ew_model *m = rr->e->model;
    const struct geometry *g = rr->g;
    struct ew_tensor *q = projected(rr, layer, h, EW_Q);
    struct ew_tensor *k = projected(rr, layer, h, EW_K);
    struct ew_tensor *v = projected(rr, layer, h, EW_V);
    struct ew_tensor *scores = ew_block_scores(s, m, q, k);
    struct ew_tensor *pattern =
        ew_block_pattern(s, m, layer, scores, 0, false);
    struct ew_tensor *z = ew_block_mix(s, pattern, v);
    struct ew_tensor *dz =
        ew_sub(s, z, rr->st->cut.heads[layer * g->n_heads + h].z);
    struct ew_tensor *y =
        ew_block_head_out(s, m, layer, h, as_rows(s, dz));
    rr->diff[head_sender(g, layer, h)] =
        ew_reshape(s, y, 3, (int64_t[]){g->b, g->t, g->d});
}

static void run_mlp(struct rerun *rr, int layer)
{
    struct ew_scope *s = rr->s;
    const struct geometry *g = rr->g;
    struct ew_tensor *x = patched_input(rr, mlp_receiver(g, layer));
    struct ew_tensor *y = ew_block_mlp(s, rr->e->model, layer,
                                       as_rows(s, x), NULL, NULL);
    y = ew_reshape(s, y, 3, (int64_t[]){g->b, g->t, g->d});
    rr->diff[mlp_sender(g, layer)] = ew_sub(s, y, rr->st->cut.mlp[layer]);
}

static bool rerun_score_of(struct ew_engine *e, const struct ew_bitset *kept,
                           unsigned want, struct ew_score *out,
                           double *prompt_ld, const struct ew_cancel *cancel,
                           struct ew_err *err)
{
    struct incremental *st = e->state;
    const struct geometry *g = &st->geo;
    struct rerun rr = {.e = e, .st = st, .g = g, .kept = kept};
    rr.s = ew_scope_open(e->model->device);
    ew_scope_watch(rr.s, cancel);
    rr.diff = ew_xcalloc(st->n_senders, sizeof(*rr.diff));
    for (int i = 0; i < g->n_inputs; i++) {
        rr.diff[i] = ew_sub(rr.s, st->cur.in[i], st->cut.in[i]);
    }
    for (int layer = 0; layer < g->n_layers && ew_scope_ok(rr.s); layer++) {
        if (g->mlp && g->parallel) {
            run_mlp(&rr, layer);
        }
        for (int h = 0; h < g->n_heads; h++) {
            run_head(&rr, layer, h);
        }
        if (g->mlp && !g->parallel) {
            run_mlp(&rr, layer);
        }
    }
    struct ew_tensor *x = patched_input(&rr, logits_receiver(g));
    readout_score(rr.s, e, &st->out, g, ew_unsqueeze(rr.s, x, 1), 0, want,
                  out, prompt_ld);
    free(rr.diff);
    return ew_scope_finish(rr.s, err);
}

static bool rerun_score(struct ew_engine *e, unsigned want,
                        struct ew_score *out, double *prompt_ld,
                        const struct ew_cancel *cancel, struct ew_err *err)
{
    return rerun_score_of(e, e->kept, want, out, prompt_ld, cancel, err);
}

static bool rerun_what_if(struct ew_engine *e, const struct ew_what_if *ifs,
                          size_t n, unsigned want, struct ew_score *out,
                          double *prompt_ld, const struct until *until,
                          const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_bitset *kept = ew_bitset_clone(e->kept);
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++) {
        ew_bitset_copy(kept, e->kept);
        for (size_t j = 0; j < ifs[i].n; j++) {
            ew_bitset_flip(kept, ifs[i].edges[j]);
        }
        double *ld = prompt_ld ? prompt_ld + i * e->task->n_prompts : NULL;
        ok = rerun_score_of(e, kept, want, &out[i], ld, cancel, err);
        if (ok && until && until->enough(until->data, &out[i])) {
            break;
        }
    }
    ew_bitset_destroy(kept);
    return ok;
}

static bool rerun_commit(struct ew_engine *e, const struct ew_bitset *kept,
                         const uint32_t *flipped, size_t n,
                         const struct ew_cancel *cancel, struct ew_err *err)
{
    (void)e;
    (void)kept;
    (void)flipped;
    (void)n;
    return !ew_cancel_check(cancel, err);
}

const struct ew_engine_ops ew_engine_rerun_ops = {
    .name = "rerun",
    .open = incremental_open,
    .close = incremental_close,
    .memory = incremental_memory,
    .score_of = rerun_score_of,
    .score = rerun_score,
    .what_if = rerun_what_if,
    .commit = rerun_commit,
    .same = incremental_same,
    .attention = incremental_attention,
};
