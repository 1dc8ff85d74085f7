/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edges at single positions. What a receiver hands on - a head's q, k or v,
 * an MLP's output, the final residual - is at each position a function of its
 * input there. So one overlay with the edge flipped everywhere gives what is
 * handed on at every position, and each lane of a second overlay takes it at
 * its own positions, and what it was at the others; from there on the sweep
 * does what it always does.
 */
#include "edgewise/positions.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "overlay.h"

struct flip {
    struct ew_engine *e;
    uint32_t edge;
    struct ew_node node; /* the receiver */
    uint32_t receiver;
    unsigned want;
    struct overlay *whole;                /* flipped everywhere, one lane */
    struct overlay *ov;                   /* a lane for each of some what-ifs */
    const struct ew_bitset *const *where; /* of these */
};

/* 1 at each lane's positions from `start` on, (B, W, T - start, 1); `up_to`:
 * as far as every position before is one as well. */
static struct ew_tensor *mask(struct flip *f, int64_t start, bool up_to)
{
    const struct geometry *g = &f->ov->geo;
    size_t n_pos = f->e->task->n_pos;
    size_t w = (size_t)f->ov->w;
    size_t rows = (size_t)(g->t - start);
    float *host = ew_xcalloc((size_t)g->b * w * rows, sizeof(*host));
    for (size_t b = 0; b < (size_t)g->b; b++) {
        for (size_t lane = 0; lane < w; lane++) {
            bool on = true;
            for (size_t t = 0; t < rows; t++) {
                size_t bit = b * n_pos + (size_t)start + t;
                on = (on || !up_to) && ew_bitset_has(f->where[lane], bit);
                host[(b * w + lane) * rows + t] = on ? 1.0f : 0.0f;
            }
        }
    }
    struct ew_tensor *out = ew_from_f32(
        f->ov->s, host, 4, (int64_t[]){g->b, (int64_t)w, (int64_t)rows, 1});
    free(host);
    return out;
}

/* (B, T - start, X) as it is, (B, 1, T - start, X) flipped, by lane. */
static struct ew_tensor *blend(struct flip *f, struct ew_tensor *is,
                               struct ew_tensor *flipped, int64_t start)
{
    struct ew_scope *s = f->ov->s;
    is = ew_unsqueeze(s, is, 1);
    struct ew_tensor *change = ew_sub(s, flipped, is);
    change = ew_mul(s, change, mask(f, start, false));
    return ew_contiguous(s, ew_add(s, change, is));
}

/* One of a head's q, k and v; k and v from the first live position. */
static void blend_head(struct flip *f)
{
    struct overlay *ov = f->ov;
    const struct incremental *st = f->e->state;
    const struct geometry *g = &ov->geo;
    int layer = f->node.layer;
    int index = layer * g->n_heads + f->node.head;
    const struct head_lanes *flipped = &f->whole->heads[index];
    const struct head *is = &st->cur.heads[index];
    int64_t had = out_start(&st->geo, layer), start = out_start(g, layer);
    struct ew_tensor *qkv[3] = {NULL, NULL, NULL};
    if (f->node.kind == EW_NODE_Q && flipped->q) {
        qkv[EW_Q] =
            blend(f, rows_from(ov->s, is->q, had, start), flipped->q, start);
    } else if (f->node.kind == EW_NODE_K && flipped->k) {
        qkv[EW_K] = blend(f, rows_from(ov->s, is->k, 0, g->a),
                          rows_from(ov->s, flipped->k, 0, g->a), g->a);
    } else if (f->node.kind == EW_NODE_V && flipped->v) {
        qkv[EW_V] = blend(f, rows_from(ov->s, is->v, 0, g->a),
                          rows_from(ov->s, flipped->v, 0, g->a), g->a);
    } else {
        return; /* it leads nowhere */
    }
    struct head_lanes *lanes = &ov->heads[index];
    mix_head(ov->s, f->e->model, g, layer, f->node.head, is, had, qkv[EW_Q],
             qkv[EW_K], qkv[EW_V], lanes);
    overlay_note_change(ov, head_sender(g, layer, f->node.head), lanes->z,
                        is->z);
}

static void blend_mlp(struct flip *f)
{
    struct overlay *ov = f->ov;
    const struct incremental *st = f->e->state;
    int layer = f->node.layer;
    struct ew_tensor *flipped = f->whole->mlp[layer];
    struct ew_tensor *is = st->cur.mlp[layer];
    int64_t start = out_start(&ov->geo, layer);
    if (flipped) {
        ov->mlp[layer] =
            blend(f, rows_from(ov->s, is, out_start(&st->geo, layer), start),
                  flipped, start);
        overlay_note_change(ov, mlp_sender(&ov->geo, layer), ov->mlp[layer],
                            is);
    }
}

static void blend_logits(struct flip *f)
{
    struct overlay *ov = f->ov;
    const struct incremental *st = f->e->state;
    struct ew_tensor *flipped = f->whole->x[f->receiver];
    if (flipped) {
        struct ew_tensor *x = logits_input(ov->s, f->e);
        ov->x[f->receiver] =
            blend(f, rows_from(ov->s, x, st->geo.o, ov->geo.o), flipped,
                  ov->geo.o);
    }
}

/* Scores of the lanes, from the logits' input as it is then. */
static bool score_lanes(struct flip *f, struct ew_score *out, double *prompt_ld,
                        const struct ew_cancel *cancel, struct ew_err *err)
{
    struct overlay *ov = f->ov;
    const struct incremental *st = f->e->state;
    struct ew_tensor *x = ov->x[logits_receiver(&ov->geo)];
    size_t n_b = (size_t)ov->geo.b;
    if (x) {
        readout_score(ov->s, f->e, &st->out, &ov->geo, x, ov->geo.o, f->want,
                      out, prompt_ld);
        return overlay_take_error(ov, err);
    }
    if (!f->e->ops->score(f->e, f->want, out, prompt_ld, cancel, err)) {
        return false;
    }
    for (int64_t lane = 1; lane < ov->w; lane++) { /* all as the circuit */
        out[lane] = *out;
        if (prompt_ld) {
            memcpy(prompt_ld + (size_t)lane * n_b, prompt_ld,
                   n_b * sizeof(*prompt_ld));
        }
    }
    return true;
}

static bool flip_lanes(struct flip *f, size_t n, struct ew_score *out,
                       double *prompt_ld, const struct ew_cancel *cancel,
                       struct ew_err *err)
{
    struct ew_what_if *none = ew_xcalloc(n, sizeof(*none));
    f->ov = overlay_create(f->e, none, n, f->want);
    f->ov->written = true;
    ew_scope_watch(f->ov->s, cancel);
    if (f->ov->silent) {
        silent_where(f->ov, f->whole, mask(f, 0, true));
    }
    switch (f->node.kind) {
    case EW_NODE_LOGITS:
        blend_logits(f);
        break;
    case EW_NODE_MLP:
        blend_mlp(f);
        break;
    default:
        blend_head(f);
        break;
    }
    bool ok = overlay_sweep(f->ov)
                  ? score_lanes(f, out, prompt_ld, cancel, err)
                  : overlay_take_error(f->ov, err);
    overlay_destroy(f->ov);
    free(none);
    for (size_t i = 0; ok && i < n; i++) {
        out[i].kl_mib = out[i].kl / (double)f->e->model->arch.d_vocab_out;
    }
    return ok;
}

bool overlay_flip_at(struct ew_engine *e, uint32_t edge,
                     const struct ew_bitset *const *where, size_t n,
                     unsigned want, struct ew_score *out, double *prompt_ld,
                     const struct ew_cancel *cancel, struct ew_err *err)
{
    struct flip f = {.e = e,
                     .edge = edge,
                     .receiver = ew_edge_receiver(e->graph, edge),
                     .want = want};
    f.node = ew_graph_receiver(e->graph, f.receiver);
    if (!overlay_flush(e, err)) {
        return false;
    }
    struct ew_what_if whole = {&f.edge, 1};
    f.whole =
        overlay_evaluate(e, &whole, 1, want, OVERLAY_WRITTEN, cancel, err);
    bool ok = f.whole != NULL;
    size_t most = overlay_lanes(e);
    for (size_t i = 0; ok && i < n; i += most) {
        size_t count = n - i < most ? n - i : most;
        double *ld = prompt_ld ? prompt_ld + i * e->task->n_prompts : NULL;
        f.where = where + i;
        ok = flip_lanes(&f, count, out + i, ld, cancel, err);
    }
    overlay_destroy(f.whole);
    return ok;
}

bool ew_engine_flip_at(struct ew_engine *e, uint32_t edge,
                       const struct ew_bitset *const *where, size_t n,
                       unsigned want, struct ew_score *out, double *prompt_ld,
                       const struct ew_cancel *cancel, struct ew_err *err)
{
    if (!e->ops->flip_at) {
        return ew_fail(err, EW_ERR_USAGE,
                       "single positions need the incremental engine");
    }
    if (edge >= ew_graph_n_edges(e->graph)) {
        return ew_fail(err, EW_ERR_INPUT, "edge %u is not one of %u", edge,
                       ew_graph_n_edges(e->graph));
    }
    return e->ops->flip_at(e, edge, where, n, want, out, prompt_ld, cancel,
                           err);
}
