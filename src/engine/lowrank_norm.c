/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The final norm's denominators from the head space. With x~ the centred
 * residual (or x, for an RMS norm), W~ a head's centred W_O and dz what
 * changes in the head,
 *     scale(x')^2 = scale(x)^2 + (2 x~ W~^T dz^T + dz W~ W~^T dz^T) / D
 * where W~ W~^T is d_head x d_head, and x~ W~^T goes along with the circuit by
 * the same matrix. No product is d_model wide, but when the head is another.
 */
#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

#include "overlay.h"

/* Below this share of its square before, a denominator is summed anew: what
 * is left of it would be rounding. */
static const double least_share = 0.1;

void low_rank_norm_forget(struct incremental *st)
{
    struct low_rank_norm *norm = &st->low.norm;
    put_ref(&norm->square, NULL);
    put_ref(&norm->toward, NULL);
    put_ref(&norm->gram, NULL);
}

/* The one head whose change is all that is new for the logits, or -1. */
static int only_head(const struct overlay *ov)
{
    uint32_t r = logits_receiver(&ov->geo);
    uint32_t edge0 = ew_graph_first_edge(ov->e->graph, r);
    const struct incremental *st = ov->e->state;
    size_t first;
    int head = -1;
    if (overlay_toggles_of(ov, r, &first) > first) {
        return -1;
    }
    for (size_t i = ew_bitset_next(ov->changed, 0); i < st->n_senders;
         i = ew_bitset_next(ov->changed, i + 1)) {
        if (ew_bitset_has(ov->before, edge0 + i)) {
            if (head >= 0) {
                return -1;
            }
            head = sender_head(&ov->geo, (uint32_t)i);
            if (head < 0) {
                return -1;
            }
        }
    }
    return head;
}

/* A head's W~ (K, D). */
static struct ew_tensor *centred_w_o(struct ew_scope *s,
                                     const struct ew_engine *e, int head)
{
    const struct ew_model *m = e->model;
    struct ew_tensor *w = ew_block_w_o(s, m, head / m->arch.n_heads,
                                       head % m->arch.n_heads);
    bool rms = m->arch.final_norm == EW_NORM_RMS ||
               m->arch.final_norm == EW_NORM_RMS_PRE;
    return rms ? w : ew_sub(s, w, ew_mean(s, w, -1, true));
}

/* All three, of the current circuit and this head. */
static void make(struct ew_scope *s, struct ew_engine *e, int head)
{
    struct incremental *st = e->state;
    const struct geometry *g = &st->geo;
    struct low_rank_norm *norm = &st->low.norm;
    double by_d = 1.0 / (double)g->d;
    if (norm->square && norm->toward && norm->head == head) {
        return;
    }
    struct ew_tensor *x = logits_input(s, e);
    if (!norm->square) {
        put_ref(&norm->square,
                ew_square(s,
                          ew_block_norm_scale(
                              s, e->model, &e->model->ln_final, x, NULL, 0)));
    }
    struct ew_tensor *w = centred_w_o(s, e, head);
    struct ew_tensor *back = ew_transpose(s, w, 0, 1);
    norm->head = head;
    put_ref(&norm->gram, ew_scale(s, ew_matmul(s, w, back), by_d));
    put_ref(&norm->toward, ew_scale(s, ew_matmul(s, x, back), 2.0 * by_d));
}

/* Is enough left of every square (B, W, n, 1)? */
static bool is_safe(struct ew_scope *s, const struct ew_tensor *square,
                    const struct ew_tensor *before)
{
    struct ew_tensor *share = ew_div(s, square, before);
    size_t n = (size_t)ew_numel(share);
    double *host = ew_xcalloc(n, sizeof(*host));
    bool ok = ew_read_f64(s, share, host, n);
    for (size_t i = 0; i < n && ok; i++) {
        ok = host[i] >= least_share;
    }
    free(host);
    return ok;
}

struct ew_tensor *low_rank_scale(struct overlay *ov)
{
    struct ew_engine *e = ov->e;
    struct incremental *st = e->state;
    const struct geometry *g = &ov->geo;
    struct ew_scope *s = ov->s;
    int head = only_head(ov);
    if (head < 0 || e->model->arch.final_norm == EW_NORM_NONE ||
        g->o != st->geo.o) {
        return NULL;
    }
    make(s, e, head);
    uint32_t sender = head_sender(g, head / g->n_heads, head % g->n_heads);
    struct ew_tensor *dz = rows_from(s, ov->change[sender],
                                     sent_start(g, sender), g->o);
    struct ew_tensor *before = ew_unsqueeze(s, st->low.norm.square, 1);
    struct ew_tensor *along =
        ew_add(s, ew_matmul(s, dz, st->low.norm.gram),
               ew_unsqueeze(s, st->low.norm.toward, 1));
    struct ew_tensor *square =
        ew_add(s, before, ew_sum(s, ew_mul(s, along, dz), -1, true));
    return is_safe(s, square, before) ? ew_sqrt(s, square) : NULL;
}

/* What is new in a head, in one lane: (B, T - o, K). */
static struct ew_tensor *changed_z(struct overlay *ov, int head, int64_t lane)
{
    const struct geometry *g = &ov->geo;
    uint32_t sender = head_sender(g, head / g->n_heads, head % g->n_heads);
    struct ew_tensor *t = ov->change[sender];
    t = ew_select(ov->s, t, 1, ew_dim(t, 1) == 1 ? 0 : lane);
    return rows_from(ov->s, t, sent_start(g, sender), g->o);
}

bool low_rank_owe(struct overlay *ov, int64_t lane)
{
    const struct incremental *st = ov->e->state;
    int head = only_head(ov);
    if (head < 0 || ov->geo.o != st->geo.o) {
        return false;
    }
    logits_owe(ov->s, ov->e, head, changed_z(ov, head, lane));
    return true;
}

void low_rank_norm_commit(struct overlay *ov, int64_t lane)
{
    struct incremental *st = ov->e->state;
    const struct geometry *g = &ov->geo;
    struct low_rank_norm *norm = &st->low.norm;
    struct ew_scope *s = ov->s;
    uint32_t r = logits_receiver(g);
    int head = only_head(ov);
    if (!norm->toward || !ov->scale[r] || head != norm->head ||
        g->o != st->geo.o) {
        low_rank_norm_forget(st);
        return;
    }
    struct ew_tensor *dz = changed_z(ov, head, lane);
    struct ew_tensor *scale = ew_select(s, ov->scale[r], 1, lane);
    put_ref(&norm->square, ew_square(s, scale));
    put_ref(&norm->toward, ew_add_scaled(s, norm->toward,
                                         ew_matmul(s, dz, norm->gram), 2.0));
}
