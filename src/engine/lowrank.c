/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores from the head space. When all that a what-if changes in the final
 * residual comes from few heads, its logits are
 *     logits' = (u + sum over these heads of dz M_h) / scale(x') + offset
 * with u = linear(x) W_U of the current circuit and M_h = linear(W_O,h) W_U
 * (d_head x vocabulary), so that a lane costs d_head products for each
 * vocabulary entry and head, not d_model. u and the M_h are made when they
 * pay and as far as memory goes. Where none applies, linear(x') W_U is made by
 * the same loop: no logits are written down, and the next what-ifs have u.
 */
#include <math.h>
#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

#include "overlay.h"

/* A head's map is made after it has served so many times its rows. */
static const double worth = 2.0;
/* Changes of u after which it is made anew, so that rounding stays small. */
enum { CHANGES_TO_RENEW = 256 };

/* The heads whose new z reach the logits in every lane, by index. */
struct common {
    uint32_t *sender;
    struct ew_tensor **dz; /* (W R, K) */
    size_t n;
};

struct terms {
    struct ew_mapped *of;
    size_t n;
};

static uint64_t low_rank_bytes(const struct ew_engine *e, int64_t rows)
{
    const struct ew_arch *a = &e->model->arch;
    return (uint64_t)rows * (uint64_t)a->d_vocab_out * sizeof(float);
}

void low_rank_open(struct ew_engine *e)
{
    struct incremental *st = e->state;
    struct low_rank *lr = &st->low;
    const struct ew_arch *a = &e->model->arch;
    uint64_t have = e->params.max_memory
                        ? e->params.max_memory
                        : ew_torch_memory(e->model->device);
    uint64_t used = incremental_memory(e);
    uint64_t rows = low_rank_bytes(e, 3 * st->out.n_scored);
    lr->budget = have > used + 2 * rows ? (have - used) / 2 - rows : 0;
    lr->on = e->params.want & EW_WANT_KL && st->out.n_scored &&
             a->logit_softcap == 0.0 && !a->post_norms && lr->budget > 0;
    size_t n = (size_t)st->geo.n_layers * (size_t)st->geo.n_heads;
    lr->map = ew_xcalloc(n, sizeof(struct ew_tensor *));
    lr->served = ew_xcalloc(n, sizeof(*lr->served));
}

uint64_t low_rank_memory(const struct ew_engine *e)
{
    const struct incremental *st = e->state;
    const struct low_rank *lr = &st->low;
    int64_t rows = lr->on ? 3 * st->out.n_scored : 0;
    for (int i = 0; lr->map && i < st->geo.n_layers * st->geo.n_heads; i++) {
        rows += lr->map[i] ? st->geo.k : 0;
    }
    return low_rank_bytes(e, rows);
}

void low_rank_close(struct incremental *st)
{
    struct low_rank *lr = &st->low;
    int n = st->geo.n_layers * st->geo.n_heads;
    for (int i = 0; lr->map && i < n; i++) {
        ew_tensor_unref(lr->map[i]);
    }
    low_rank_forget(st);
    ew_tensor_unref(lr->p);
    ew_tensor_unref(lr->entropy);
    ew_tensor_unref(lr->offset);
    ew_tensor_unref(lr->shift);
    free(lr->map);
    free(lr->served);
    *lr = (struct low_rank){0};
}

void low_rank_forget(struct incremental *st)
{
    put_ref(&st->low.u, NULL);
    st->low.changes = 0;
    low_rank_norm_forget(st);
}

/* Is there, or may there now be, a map for this head? */
static bool have_map(struct ew_engine *e, int head, double rows)
{
    struct incremental *st = e->state;
    struct low_rank *lr = &st->low;
    if (lr->map[head]) {
        return true;
    }
    lr->served[head] += rows;
    return lr->served[head] >= worth * (double)st->geo.k &&
           low_rank_bytes(e, st->geo.k) <= lr->budget;
}

/* Rows that each head serves are counted on the way. */
bool low_rank_applies(struct overlay *ov)
{
    struct ew_engine *e = ov->e;
    struct incremental *st = e->state;
    const struct geometry *g = &ov->geo;
    uint32_t r = logits_receiver(g);
    uint32_t edge0 = ew_graph_first_edge(e->graph, r);
    bool scored = ov->want & EW_WANT_KL;
    double rows =
        scored ? (double)ov->w * (double)st->out.n_scored : 0.0;
    double width = 0.0;
    bool ok = st->low.on && !silent_in_any(ov, r);
    for (size_t i = ew_bitset_next(ov->changed, 0); i < st->n_senders && ok;
         i = ew_bitset_next(ov->changed, i + 1)) {
        if (ew_bitset_has(ov->before, edge0 + i)) {
            int head = sender_head(g, (uint32_t)i);
            width += (double)g->k;
            ok = head >= 0 && 2.0 * width <= (double)g->d &&
                 have_map(e, head, rows);
        }
    }
    size_t first;
    size_t end = overlay_toggles_of(ov, r, &first);
    for (; first < end && ok; first++) {
        int head = sender_head(
            g, ew_edge_sender(e->graph, ov->toggles[first].edge));
        ok = head >= 0 && have_map(e, head, rows / (double)ov->w);
    }
    return ok;
}

/* M_h, made when it is not there yet. */
static struct ew_tensor *map_of(struct ew_scope *s, struct ew_engine *e,
                                int head)
{
    struct incremental *st = e->state;
    struct low_rank *lr = &st->low;
    if (!lr->map[head]) {
        const struct geometry *g = &st->geo;
        struct ew_tensor *w = ew_block_norm_linear(
            s, e->model, &e->model->ln_final,
            ew_block_w_o(s, e->model, head / g->n_heads, head % g->n_heads));
        put_ref(&lr->map[head],
                ew_contiguous(s, ew_matmul(s, w, e->model->w_u)));
        uint64_t bytes = lr->map[head] ? low_rank_bytes(e, g->k) : 0;
        lr->budget -= bytes < lr->budget ? bytes : lr->budget;
    }
    return lr->map[head];
}

/* Of the clean model's rows (R): log V - KL(p || the same for all). */
static struct ew_tensor *entropies(struct ew_scope *s,
                                   const struct ew_engine *e)
{
    const struct readout *ro = &((struct incremental *)e->state)->out;
    int64_t rows = ro->n_scored, v = e->model->arch.d_vocab_out;
    int64_t most = readout_piece(e);
    most = most < rows ? most : rows;
    struct ew_tensor *out = ew_empty(s, 1, &rows);
    struct ew_tensor *flat = ew_full(s, 0.0, 2, (int64_t[]){most, v});
    for (int64_t first = 0; first < rows && ew_scope_ok(s); first += most) {
        int64_t n = rows - first < most ? rows - first : most;
        ew_copy_into(s, ew_narrow(s, out, 0, first, n),
                     ew_kl_rows(s, ew_narrow(s, ro->logp, 0, first, n),
                                ew_narrow(s, flat, 0, 0, n)));
    }
    return ew_shift(s, ew_neg(s, out), log((double)v));
}

/* Logits of rows whose linear(x) W_U is u. */
static struct ew_tensor *scaled_logits(struct ew_scope *s,
                                       const struct low_rank *lr,
                                       const struct ew_tensor *u,
                                       const struct ew_tensor *scale)
{
    int64_t shape[2] = {ew_dim(u, 0), 1};
    struct ew_tensor *logits = ew_div(s, u, ew_reshape(s, scale, 2, shape));
    return lr->offset ? ew_add(s, logits, lr->offset) : logits;
}

/* What is compared with and, `with_u`, u of the current circuit. */
static void make_base(struct ew_scope *s, struct ew_engine *e, bool with_u)
{
    struct incremental *st = e->state;
    struct low_rank *lr = &st->low;
    const struct readout *ro = &st->out;
    if (!lr->p) {
        put_ref(&lr->entropy, entropies(s, e));
        put_ref(&lr->offset, ew_block_norm_offset(s, e->model,
                                              &e->model->ln_final,
                                              e->model->w_u, e->model->b_u));
        put_ref(&lr->p, ew_exp(s, ro->logp)); /* last: all are there */
    }
    if (!lr->u && (with_u || !lr->shift)) {
        struct ew_tensor *x = ew_unsqueeze(s, logits_input(s, e), 1);
        x = pick_rows(s, &st->geo, x, st->geo.o, ro->scored_row,
                      ro->n_scored);
        struct ew_tensor *u = ew_matmul(
            s, ew_block_norm_linear(s, e->model,
                                    &e->model->ln_final, x), e->model->w_u);
        struct ew_tensor *scale = ew_block_norm_scale(
            s, e->model, &e->model->ln_final, x, NULL, 0);
        struct ew_tensor *lse =
            ew_logsumexp(s, scaled_logits(s, lr, u, scale), -1, false);
        put_ref(&lr->shift, ew_contiguous(s, lse));
        put_ref(&lr->u, ew_scope_ok(s) ? u : NULL);
    }
}

/* z - c of a head in the state, at the scored rows: (R, K). */
static struct ew_tensor *cut_difference(struct ew_scope *s,
                                        struct ew_engine *e, uint32_t sender)
{
    const struct incremental *st = e->state;
    const struct geometry *g = &st->geo;
    struct ew_tensor *dz = sender_dz(s, e, sender);
    return pick_rows(s, g, ew_unsqueeze(s, dz, 1), sent_start(g, sender),
                     st->out.scored_row, st->out.n_scored);
}

/* The one product that is all of a lane's u. */
static struct terms whole_terms(struct ew_scope *s, struct overlay *ov,
                                uint32_t lane)
{
    struct ew_engine *e = ov->e;
    const struct readout *ro = &((struct incremental *)e->state)->out;
    struct ew_tensor *x = ov->x[logits_receiver(&ov->geo)];
    if (ew_dim(x, 1) > 1) {
        x = ew_narrow(s, x, 1, lane, 1);
    }
    x = pick_rows(s, &ov->geo, x, ov->geo.o, ro->scored_row, ro->n_scored);
    struct terms out = {.of = ew_xcalloc(1, sizeof(*out.of)), .n = 1};
    out.of[0] = (struct ew_mapped){
        .dz = ew_block_norm_linear(s, e->model, &e->model->ln_final, x),
        .map = e->model->w_u,
        .sign = 1.0};
    return out;
}

static struct common gather(struct ew_scope *s, const struct overlay *ov)
{
    const struct incremental *st = ov->e->state;
    const struct geometry *g = &ov->geo;
    uint32_t edge0 = ew_graph_first_edge(ov->e->graph, logits_receiver(g));
    struct common c = {0};
    c.sender = ew_xcalloc(st->n_senders, sizeof(*c.sender));
    c.dz = ew_xcalloc(st->n_senders, sizeof(struct ew_tensor *));
    for (size_t i = ew_bitset_next(ov->changed, 0); i < st->n_senders;
         i = ew_bitset_next(ov->changed, i + 1)) {
        if (ew_bitset_has(ov->before, edge0 + i)) {
            c.sender[c.n] = (uint32_t)i;
            c.dz[c.n++] =
                pick_rows(s, g, ov->change[i], sent_start(g, (uint32_t)i),
                          st->out.scored_row, st->out.n_scored);
        }
    }
    return c;
}

static void common_finish(struct common *c)
{
    free(c->sender);
    free(c->dz);
}

/* One flip of an edge into the logits, as terms of u. */
static void add_toggle(struct ew_scope *s, struct overlay *ov,
                       const struct toggle *t, struct terms *out)
{
    struct ew_engine *e = ov->e;
    const struct incremental *st = e->state;
    uint32_t sender = ew_edge_sender(e->graph, t->edge);
    struct ew_tensor *dz = cut_difference(s, e, sender);
    if (ov->change[sender]) {
        struct ew_tensor *more = pick_rows(
            s, &ov->geo, ov->change[sender], sent_start(&ov->geo, sender),
            st->out.scored_row, st->out.n_scored);
        int64_t lane = ew_dim(ov->change[sender], 1) == 1 ? 0 : t->lane;
        dz = ew_add(s, dz,
                    ew_narrow(s, more, 0, lane * st->out.n_scored,
                              st->out.n_scored));
    }
    out->of[out->n++] = (struct ew_mapped){
        .dz = dz,
        .map = map_of(s, e, sender_head(&ov->geo, sender)),
        .sign = ew_bitset_has(ov->before, t->edge) ? -1.0 : 1.0};
}

/* What a lane adds to u at all scored rows, its first `done` toggles left
 * out. */
static struct terms lane_terms(struct ew_scope *s, struct overlay *ov,
                               const struct common *c, uint32_t lane,
                               size_t done)
{
    struct ew_engine *e = ov->e;
    int64_t rows = ((struct incremental *)e->state)->out.n_scored;
    size_t from;
    size_t end = overlay_lane_toggles(ov, logits_receiver(&ov->geo), lane,
                                      &from);
    struct terms out = {0};
    out.of = ew_xcalloc(c->n + end - from, sizeof(*out.of));
    for (size_t i = 0; i < c->n; i++) {
        int64_t at = ew_dim(c->dz[i], 0) == rows ? 0 : (int64_t)lane * rows;
        out.of[out.n++] = (struct ew_mapped){
            .dz = ew_narrow(s, c->dz[i], 0, at, rows),
            .map = map_of(s, e, sender_head(&ov->geo, c->sender[i])),
            .sign = 1.0};
    }
    for (size_t i = from + done; i < end; i++) {
        add_toggle(s, ov, &ov->toggles[i], &out);
    }
    return out;
}

/* Scored rows [first, first + n) of a lane from `u`, which `terms` are added
 * to, or from them alone: into `next`, and the figures into `sum`. */
static void score_piece(struct ew_scope *s, struct overlay *ov,
                        struct ew_tensor *u, const struct terms *terms,
                        struct ew_tensor *scale, struct ew_tensor *next,
                        int64_t first, int64_t n, struct ew_score *sum)
{
    const struct incremental *st = ov->e->state;
    const struct low_rank *lr = &st->low;
    unsigned more = ov->want & (EW_WANT_NLL | EW_WANT_ACCURACY);
    struct ew_mapped *here = ew_xcalloc(terms->n, sizeof(*here));
    for (size_t i = 0; i < terms->n; i++) {
        here[i] = terms->of[i];
        here[i].dz = ew_narrow(s, terms->of[i].dz, 0, first, n);
    }
    double *host = ew_xcalloc((size_t)n, sizeof(*host));
    struct ew_tensor *own = ew_narrow(s, scale, 0, first, n);
    next = next ? ew_narrow(s, next, 0, first, n) : NULL;
    struct ew_tensor *kl = ew_kl_mapped(
        s, ew_narrow(s, lr->p, 0, first, n),
        ew_narrow(s, lr->entropy, 0, first, n),
        u ? ew_narrow(s, u, 0, first, n) : NULL, here, terms->n, own,
        ew_narrow(s, lr->shift, 0, first, n), lr->offset, next);
    if (ew_read_f64(s, kl, host, (size_t)n)) {
        for (int64_t i = 0; i < n; i++) {
            sum->kl += host[i];
        }
    }
    if (more) {
        readout_sum(s, &st->out, scaled_logits(s, lr, next, own), first, n,
                    more, sum);
    }
    free(host);
    free(here);
}

/* One lane's figures. *u, what the lane before left there or NULL, becomes
 * this lane's linear(x) W_U if that is of any use. */
static void score_lane(struct overlay *ov, const struct common *c,
                       uint32_t lane, struct ew_tensor *scale,
                       struct ew_tensor **u, struct ew_score *score)
{
    struct ew_engine *e = ov->e;
    struct incremental *st = e->state;
    int64_t rows = st->out.n_scored, v = e->model->arch.d_vocab_out;
    unsigned rest = ov->want & ~(unsigned)EW_WANT_ANSWERS;
    struct ew_scope *s = ew_scope_open_in(ov->s);
    uint32_t r = logits_receiver(&ov->geo);
    bool chained = ov->low_rank && c->n == 0;
    size_t done = *u && chained ? overlay_shared_toggles(ov, r, lane) : 0;
    struct ew_tensor *base = done > 0 ? *u : ov->low_rank ? st->low.u : NULL;
    struct terms terms = ov->low_rank ? lane_terms(s, ov, c, lane, done)
                                      : whole_terms(s, ov, lane);
    bool useful = ov->w == 1 || rest != EW_WANT_KL ||
                  (chained && overlay_shared_toggles(ov, r, lane + 1) > 0);
    struct ew_tensor *next =
        useful ? ew_empty(s, 2, (int64_t[]){rows, v}) : NULL;
    struct ew_score sum = {0};
    /* a piece costs about as much as one of whole logits */
    int64_t most = readout_piece(e) * (ov->low_rank ? 4 : 1);
    scale = ew_narrow(s, scale, 0, lane * rows, rows);
    for (int64_t first = 0; first < rows && ew_scope_ok(s); first += most) {
        int64_t n = rows - first < most ? rows - first : most;
        struct ew_scope *piece = ew_scope_open_in(s);
        score_piece(piece, ov, base, &terms, scale, next, first, n, &sum);
        ew_scope_finish(piece, NULL);
    }
    readout_mean(score, &sum, rows, rest);
    put_ref(u, next);
    free(terms.of);
    ew_scope_finish(s, NULL);
}

void low_rank_score(struct overlay *ov)
{
    struct ew_engine *e = ov->e;
    struct incremental *st = e->state;
    const struct readout *ro = &st->out;
    uint32_t r = logits_receiver(&ov->geo);
    struct ew_scope *s = ov->s;
    make_base(s, e, ov->low_rank);
    struct common c = {0};
    if (ov->low_rank) {
        c = gather(s, ov);
    }
    struct ew_tensor *scale =
        pick_rows(s, &ov->geo, ov->scale[r] ? ov->scale[r] : ov->x[r],
                  ov->geo.o, ro->scored_row, ro->n_scored);
    if (!ov->scale[r]) {
        scale = ew_block_norm_scale(s, e->model, &e->model->ln_final, scale,
                                    NULL, 0);
    }
    struct ew_tensor *u = NULL;
    for (int64_t lane = 0; lane < ov->w && ew_scope_ok(s); lane++) {
        score_lane(ov, &c, (uint32_t)lane, scale, &u, &ov->scores[lane]);
        if (overlay_enough(ov, lane)) {
            break;
        }
    }
    if (ov->w == 1) {
        put_ref(&ov->u, u);
    }
    ew_tensor_unref(u);
    common_finish(&c);
}

void low_rank_commit(struct overlay *ov, int64_t lane)
{
    struct incremental *st = ov->e->state;
    if (!overlay_reaches_logits(ov)) {
        return;
    }
    low_rank_norm_commit(ov, lane);
    if (ov->u && !ov->low_rank) { /* made anew */
        put_ref(&st->low.u, ov->u);
        st->low.changes = 0;
        return;
    }
    if (!st->low.u) {
        return;
    }
    if (++st->low.changes > CHANGES_TO_RENEW || !ov->low_rank) {
        low_rank_forget(st);
        return;
    }
    if (ov->u) { /* the only lane, as it was scored */
        put_ref(&st->low.u, ov->u);
        return;
    }
    struct ew_scope *s = ov->s;
    struct common c = gather(s, ov);
    struct terms terms = lane_terms(s, ov, &c, (uint32_t)lane, 0);
    for (size_t i = 0; i < terms.n; i++) {
        ew_addmm_into(s, st->low.u, terms.of[i].dz, terms.of[i].map,
                      terms.of[i].sign);
    }
    free(terms.of);
    common_finish(&c);
}
