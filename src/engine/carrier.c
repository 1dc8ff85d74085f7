/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clean run, and what a cut edge or a cut direct edge carries: the
 * corrupted run, nothing, or its mean over the prompts.
 *
 * With a split embedding, the corrupted run also has its position embeddings
 * shuffled, as the official ACDC code does under use_pos_embed: by
 * torch.randperm over the positions after torch.manual_seed(49).
 */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

/* torch's CPU generator: MT19937 (Matsumoto and Nishimura 1998). */
struct mt19937 {
    uint32_t state[624];
    int next;
};

static void mt_seed(struct mt19937 *mt, uint32_t seed)
{
    mt->state[0] = seed;
    for (uint32_t i = 1; i < 624; i++) {
        uint32_t prev = mt->state[i - 1];
        mt->state[i] = 1812433253u * (prev ^ (prev >> 30)) + i;
    }
    mt->next = 624;
}

static uint32_t mt_draw(struct mt19937 *mt)
{
    if (mt->next == 624) {
        for (int i = 0; i < 624; i++) {
            uint32_t y = (mt->state[i] & 0x80000000u) |
                         (mt->state[(i + 1) % 624] & 0x7fffffffu);
            mt->state[i] = mt->state[(i + 397) % 624] ^ (y >> 1) ^
                           (y & 1 ? 0x9908b0dfu : 0);
        }
        mt->next = 0;
    }
    uint32_t y = mt->state[mt->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* torch.randperm(n) after torch.manual_seed(seed), n well under 2^32. */
static void torch_randperm(int64_t *perm, int64_t n, uint32_t seed)
{
    struct mt19937 mt;
    mt_seed(&mt, seed);
    for (int64_t i = 0; i < n; i++) {
        perm[i] = i;
    }
    for (int64_t i = 0; i < n - 1; i++) {
        int64_t j = i + mt_draw(&mt) % (n - i);
        int64_t held = perm[i];
        perm[i] = perm[j];
        perm[j] = held;
    }
}

/* The embedding senders of one side's prompts, (B, T, D) from position 0. */
static bool embed(struct ew_engine *e, const struct geometry *g,
                  const int64_t *tokens, bool shuffle, struct run *run,
                  struct ew_err *err)
{
    const struct ew_task *task = e->task;
    struct ew_scope *s = ew_scope_open(e->model->device);
    struct ew_tensor *ids = ew_from_i64(
        s, tokens, 2,
        (int64_t[]){(int64_t)task->n_prompts, (int64_t)task->n_pos});
    ids = ew_narrow(s, ids, 1, 0, g->t);
    struct ew_tensor *tok = ew_block_embed_tokens(s, e->model, ids);
    struct ew_tensor *pos =
        ew_block_embed_positions(s, e->model, g->b, g->t);
    if (shuffle && pos) {
        /* the permutation is over the whole prompt, as theirs is */
        int64_t n = (int64_t)task->n_pos;
        int64_t *perm = ew_xcalloc((size_t)n, sizeof(*perm));
        torch_randperm(perm, n, 49);
        struct ew_tensor *all =
            ew_block_embed_positions(s, e->model, g->b, n);
        struct ew_tensor *order = ew_from_i64(s, perm, 1, &g->t);
        pos = ew_index_select(s, all, 1, order);
        free(perm);
    }
    if (g->n_inputs == 2) {
        put_ref(&run->in[0], tok);
        put_ref(&run->in[1], ew_contiguous(s, pos));
    } else {
        put_ref(&run->in[0], pos ? ew_add(s, tok, pos) : tok);
    }
    return ew_scope_finish(s, err);
}

/* From a run over all positions to one over the live ones. */
static void slice(struct ew_scope *s, const struct geometry *g,
                  struct run *run)
{
    for (int layer = 0; layer < g->n_layers; layer++) {
        int64_t start = out_start(g, layer);
        for (int h = 0; h < g->n_heads; h++) {
            struct head *head = &run->heads[layer * g->n_heads + h];
            put_ref(&head->q,
                    ew_contiguous(s, rows_from(s, head->q, 0, start)));
            put_ref(&head->z,
                    ew_contiguous(s, rows_from(s, head->z, 0, start)));
            put_ref(&head->pattern,
                    ew_contiguous(s, rows_from(s, head->pattern, 0, start)));
        }
        if (run->mlp[layer]) {
            put_ref(&run->mlp[layer],
                    ew_contiguous(
                        s, rows_from(s, run->mlp[layer], 0, start)));
        }
    }
    for (int i = 0; i < g->n_inputs; i++) {
        put_ref(&run->in[i],
                ew_contiguous(s, rows_from(s, run->in[i], 0, g->a)));
    }
}

/* The receivers' inputs, sliced too; equal ones stay one tensor. */
static void slice_inputs(struct ew_scope *s, const struct geometry *g,
                         struct run *run)
{
    struct ew_tensor *was = NULL;
    struct ew_tensor *is = NULL;
    for (uint32_t r = 0; r <= logits_receiver(g); r++) {
        int per_layer = 3 * g->n_heads + g->mlp;
        int layer = (int)r / per_layer;
        bool attn = layer < g->n_layers && (int)r % per_layer < 3 * g->n_heads;
        int64_t start = receiver_start(g, r);
        if (!attn || run->x[r] != was) {
            was = run->x[r];
            is = ew_contiguous(s, rows_from(s, run->x[r], 0, start));
        }
        put_ref(&run->x[r], is);
    }
}

static bool plain_run(struct ew_engine *e, const struct geometry *g,
                      const int64_t *tokens, bool shuffle, struct run *run,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    struct geometry whole = *g;
    whole.a = 0;
    whole.o = 0;
    run_init(run, g);
    if (!embed(e, &whole, tokens, shuffle, run, err) ||
        !run_evaluate(e, &whole, run, NULL, cancel, err)) {
        return false;
    }
    struct ew_scope *s = ew_scope_open(e->model->device);
    slice_inputs(s, g, run);
    slice(s, g, run);
    return ew_scope_finish(s, err);
}

/* Weights (B, T, 1) of a mean over the prompts that reach a position. */
static struct ew_tensor *mean_weights(struct ew_scope *s,
                                      const struct ew_engine *e,
                                      const struct geometry *g)
{
    size_t b = (size_t)g->b, t = (size_t)g->t;
    float *w = ew_xcalloc(b * t, sizeof(*w));
    for (size_t pos = 0; pos < t; pos++) {
        size_t n = 0;
        for (size_t i = 0; i < b; i++) {
            n += (size_t)e->task->length[i] > pos;
        }
        for (size_t i = 0; i < b; i++) {
            bool in = (size_t)e->task->length[i] > pos;
            w[i * t + pos] = n ? (float)in / (float)n : 1.0f / (float)b;
        }
    }
    struct ew_tensor *out =
        ew_from_f32(s, w, 3, (int64_t[]){g->b, g->t, 1});
    free(w);
    return out;
}

/* Replace (B, rows, X), its first row at position `start`, by its mean. */
static void average(struct ew_scope *s, const struct geometry *g,
                    struct ew_tensor *weights, int64_t start,
                    struct ew_tensor **slot)
{
    struct ew_tensor *w = rows_from(s, weights, 0, start);
    struct ew_tensor *mean = ew_sum(s, ew_mul(s, *slot, w), 0, true);
    put_ref(slot,
            ew_contiguous(s, ew_expand(s, mean, 3,
                                       (int64_t[]){g->b, -1, -1})));
}

static void average_run(struct ew_scope *s, const struct ew_engine *e,
                        const struct geometry *g, struct run *run)
{
    struct ew_tensor *w = mean_weights(s, e, g);
    for (int i = 0; i < g->n_layers * g->n_heads; i++) {
        int64_t start = out_start(g, i / g->n_heads);
        average(s, g, w, start, &run->heads[i].q);
        average(s, g, w, 0, &run->heads[i].k);
        average(s, g, w, 0, &run->heads[i].v);
        average(s, g, w, start, &run->heads[i].z);
    }
    for (int l = 0; l < g->n_layers && g->mlp; l++) {
        average(s, g, w, out_start(g, l), &run->mlp[l]);
    }
    for (int i = 0; i < g->n_inputs; i++) {
        average(s, g, w, g->a, &run->in[i]);
    }
}

/* Nothing is sent: zeros of the shapes of `like`. */
static void zero_sent(struct ew_scope *s, const struct geometry *g,
                      const struct run *like, struct run *run)
{
    for (int i = 0; i < g->n_layers * g->n_heads; i++) {
        put_ref(&run->heads[i].z, ew_scale(s, like->heads[i].z, 0.0));
    }
    for (int l = 0; l < g->n_layers && g->mlp; l++) {
        put_ref(&run->mlp[l], ew_scale(s, like->mlp[l], 0.0));
    }
    for (int i = 0; i < g->n_inputs; i++) {
        put_ref(&run->in[i], ew_scale(s, like->in[i], 0.0));
    }
}

/* Inputs that consist of what `run` sends and the biases. */
static void sum_inputs(struct ew_scope *s, const struct ew_engine *e,
                       const struct geometry *g, struct run *run)
{
    const struct ew_model *m = e->model;
    struct ew_tensor *sum = run->in[0];
    if (g->n_inputs == 2) {
        sum = ew_add(s, sum, run->in[1]);
    }
    for (int l = 0; l < g->n_layers; l++) {
        for (int i = 0; i < 3 * g->n_heads; i++) {
            put_ref(&run->x[receiver_of(g, l, 0, EW_Q) + (uint32_t)i], sum);
        }
        int64_t start = out_start(g, l);
        struct ew_tensor *before =
            ew_contiguous(s, rows_from(s, sum, g->a, start));
        struct ew_tensor *u = attn_sum(s, e, g, run, NULL, 0, l, start);
        sum = ew_add(s, before, ew_block_attn_post(s, m, l, u));
        if (g->mlp) {
            put_ref(&run->x[mlp_receiver(g, l)],
                    g->parallel ? before : sum);
            sum = ew_add(s, sum, run->mlp[l]);
        }
    }
    put_ref(&run->x[logits_receiver(g)], sum);
}

/* Zero ablation: a cut direct edge carries what the biases alone give. */
static void project_cut(struct ew_scope *s, const struct ew_engine *e,
                        const struct geometry *g, struct run *run)
{
    int n = 3 * g->n_heads;
    struct ew_tensor **xin = ew_xcalloc((size_t)n, sizeof(*xin));
    struct ew_tensor **qkv = ew_xcalloc((size_t)n, sizeof(*qkv));
    for (int l = 0; l < g->n_layers; l++) {
        xin[0] = ew_unsqueeze(s, run->x[receiver_of(g, l, 0, EW_Q)], 1);
        for (int i = 1; i < n; i++) {
            xin[i] = xin[0];
        }
        project_layer(s, e->model, g, l, xin, qkv);
        for (int h = 0; h < g->n_heads; h++) {
            struct head *head = &run->heads[l * g->n_heads + h];
            put_ref(&head->q,
                    ew_contiguous(s, ew_squeeze(s, qkv[3 * h], 1)));
            put_ref(&head->k,
                    ew_contiguous(s, ew_squeeze(s, qkv[3 * h + 1], 1)));
            put_ref(&head->v,
                    ew_contiguous(s, ew_squeeze(s, qkv[3 * h + 2], 1)));
        }
    }
    free(xin);
    free(qkv);
}

bool carriers_make(struct ew_engine *e, const struct ew_cancel *cancel,
                   struct ew_err *err)
{
    struct incremental *st = e->state;
    const struct geometry *g = &st->geo;
    const struct ew_task *task = e->task;
    enum ew_ablation ablation = e->params.ablation;
    if (!plain_run(e, g, task->clean, false, &st->cur, cancel, err)) {
        return false;
    }
    if (ablation != EW_ABLATE_ZERO &&
        !plain_run(e, g, task->corrupt, g->n_inputs == 2, &st->cut, cancel,
                   err)) {
        return false;
    }
    struct ew_scope *s = ew_scope_open(e->model->device);
    if (ablation == EW_ABLATE_ZERO) {
        run_init(&st->cut, g);
        zero_sent(s, g, &st->cur, &st->cut);
        sum_inputs(s, e, g, &st->cut);
        project_cut(s, e, g, &st->cut);
    } else if (ablation == EW_ABLATE_MEAN) {
        average_run(s, e, g, &st->cut);
        sum_inputs(s, e, g, &st->cut);
    }
    for (int i = 0; i < g->n_layers * g->n_heads; i++) {
        put_ref(&st->cut.heads[i].pattern, NULL); /* nothing carries it */
    }
    return ew_scope_finish(s, err);
}

struct ew_tensor *sender_dz(struct ew_scope *s, struct ew_engine *e,
                            uint32_t sender)
{
    struct incremental *st = e->state;
    const struct geometry *g = &st->geo;
    struct ew_tensor **slot =
        sender_head(g, sender) < 0 ? &st->diff[sender] : &st->dz[sender];
    if (!*slot) {
        put_ref(slot, ew_sub(s, sent_in(g, &st->cur, sender),
                             sent_in(g, &st->cut, sender)));
    }
    return *slot;
}

struct ew_tensor *sender_diff(struct ew_scope *s, struct ew_engine *e,
                              uint32_t sender)
{
    struct incremental *st = e->state;
    const struct geometry *g = &st->geo;
    int head = sender_head(g, sender);
    if (!st->diff[sender] && head >= 0) {
        put_ref(&st->diff[sender],
                ew_matmul(s, sender_dz(s, e, sender),
                          ew_block_w_o(s, e->model, head / g->n_heads,
                                       head % g->n_heads)));
    }
    return head >= 0 ? st->diff[sender] : sender_dz(s, e, sender);
}
