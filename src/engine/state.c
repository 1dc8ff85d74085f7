/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The incremental engine's life: what positions matter, what it will cost,
 * the runs it starts from, and the operations that need no overlay.
 */
#include "state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/forward.h"
#include "edgewise/mem.h"

/* Bytes for maps from heads to receivers; past them they are made anew each
 * time, at a tenth of what they save. */
static const uint64_t most_links = (uint64_t)256 << 20;

/* First position where some clean and corrupted prompt differ. */
static int64_t first_difference(const struct ew_task *task)
{
    size_t first = task->n_pos;
    for (size_t b = 0; b < task->n_prompts; b++) {
        const int64_t *clean = task->clean + b * task->n_pos;
        const int64_t *corrupt = task->corrupt + b * task->n_pos;
        for (size_t t = 0; t < first; t++) {
            if (clean[t] != corrupt[t]) {
                first = t;
            }
        }
    }
    return (int64_t)first;
}

static bool plan(struct ew_engine *e, struct ew_err *err)
{
    struct incremental *st = e->state;
    const struct ew_arch *arch = &e->model->arch;
    const struct ew_graph_spec *spec = ew_graph_spec(e->graph);
    struct geometry *g = &st->geo;
    *g = (struct geometry){.b = (int64_t)e->task->n_prompts,
                           .d = arch->d_model,
                           .k = arch->d_head,
                           .n_layers = arch->n_layers,
                           .n_heads = arch->n_heads,
                           .n_inputs = spec->split_embed ? 2 : 1,
                           .mlp = spec->has_mlp,
                           .parallel = spec->parallel};
    if (!readout_plan(e, &st->out, g, err)) {
        return false;
    }
    if (e->params.ablation == EW_ABLATE_CORRUPTED && !spec->split_embed) {
        g->a = first_difference(e->task);
    }
    int64_t start = readout_start(&st->out, e->params.want);
    g->a = g->a < start ? g->a : start;
    g->o = start;
    return true;
}

/* Bytes the state will hold and a batch will need at its widest. */
static uint64_t estimate(const struct ew_engine *e)
{
    const struct incremental *st = e->state;
    const struct geometry *g = &st->geo;
    const struct ew_arch *arch = &e->model->arch;
    double rows = (double)g->b * (double)g->t;
    double heads = (double)g->n_layers * g->n_heads;
    double d = (double)g->d * rows, k = (double)g->k * rows;
    double inputs = 3.0 * heads + g->n_layers * (g->mlp ? 1.0 : 0.0);
    double floats = 2.0 * heads * 4.0 * k            /* two runs' q k v z */
                    + heads * 4.0 * k                /* raw q k v, dz */
                    + heads * rows * (double)g->t    /* patterns */
                    + (inputs + 4.0 * g->n_layers) * d /* inputs, carriers */
                    + (double)st->n_senders * d;     /* differences */
    if (e->params.want & EW_WANT_KL) {
        floats += (double)e->task->n_scored * arch->d_vocab_out;
    }
    double links = 3.0 * heads * heads / 2.0 * (double)(g->k * g->k);
    double most = (double)most_links / sizeof(float);
    floats += links < most ? links : most;
    floats += (double)g->n_layers * (6.0 * d + 4.0 * rows * arch->d_mlp / 12);
    return (uint64_t)(floats * sizeof(float));
}

static bool check_memory(const struct ew_engine *e, struct ew_err *err)
{
    uint64_t need = estimate(e);
    uint64_t have = e->params.max_memory;
    if (!have) {
        have = ew_torch_memory(e->model->device);
    }
    if (have && need > have) {
        return ew_fail(err, EW_ERR_NOMEM,
                       "%s needs about %.1f GB for its activations, more "
                       "than the %.1f GB allowed: fewer or shorter prompts, "
                       "or a larger --max-memory",
                       e->task->name, (double)need / 1e9, (double)have / 1e9);
    }
    return true;
}

bool incremental_open(struct ew_engine *e,
                             const struct ew_cancel *cancel,
                             struct ew_err *err)
{
    struct incremental *st = ew_xcalloc(1, sizeof(*st));
    e->state = st;
    st->n_senders = ew_graph_n_senders(e->graph);
    st->n_receivers = ew_graph_n_receivers(e->graph);
    st->stale_x = ew_bitset_create(st->n_receivers);
    st->stale_out = ew_bitset_create(st->n_senders);
    st->tail_x = ew_bitset_create(st->n_receivers);
    st->tail_out = ew_bitset_create(st->n_senders);
    st->diff = ew_xcalloc(st->n_senders, sizeof(*st->diff));
    st->dz = ew_xcalloc(st->n_senders, sizeof(*st->dz));
    st->raw = ew_xcalloc(st->n_receivers, sizeof(*st->raw));
    st->link =
        ew_xcalloc(ew_graph_n_addition(e->graph), sizeof(*st->link));
    st->link_budget = most_links;
    st->same = ew_xcalloc(st->n_senders, 1);
    memset(st->same, -1, st->n_senders);
    st->score = ew_score_unknown();
    if (!plan(e, err) || !check_memory(e, err)) {
        return false;
    }
    if (e->params.kind == EW_ENGINE_RERUN) { /* spares nothing */
        st->geo.a = st->geo.o = 0;
    }
    if (!carriers_make(e, cancel, err) ||
        !readout_make(e, &st->out, &st->geo, &st->cur, cancel, err)) {
        return false;
    }
    low_rank_open(e);
    return silent_open(e, err);
}

void incremental_close(struct ew_engine *e)
{
    struct incremental *st = e->state;
    if (!st) {
        return;
    }
    overlay_destroy(st->last);
    run_finish(&st->cur, &st->geo);
    put_ref(&st->owed, NULL);
    run_finish(&st->cut, &st->geo);
    readout_finish(&st->out);
    low_rank_close(st);
    for (uint32_t i = 0; i < st->n_senders; i++) {
        ew_tensor_unref(st->diff[i]);
        ew_tensor_unref(st->dz[i]);
    }
    for (uint32_t i = 0; i < st->n_receivers; i++) {
        ew_tensor_unref(st->raw[i]);
    }
    for (uint32_t i = 0; i < ew_graph_n_addition(e->graph); i++) {
        ew_tensor_unref(st->link[i]);
    }
    ew_bitset_destroy(st->mute);
    ew_bitset_destroy(st->stale_x);
    ew_bitset_destroy(st->stale_out);
    ew_bitset_destroy(st->tail_x);
    ew_bitset_destroy(st->tail_out);
    free(st->diff);
    free(st->dz);
    free(st->raw);
    free(st->link);
    free(st->same);
    free(st);
    e->state = NULL;
}

uint64_t incremental_memory(const struct ew_engine *e)
{
    return estimate(e) + low_rank_memory(e);
}

bool state_refresh(struct ew_engine *e, const struct ew_bitset *kept,
                   const struct ew_cancel *cancel, struct ew_err *err)
{
    struct incremental *st = e->state;
    struct run fresh;
    run_init(&fresh, &st->geo);
    for (int i = 0; i < st->geo.n_inputs; i++) {
        put_ref(&fresh.in[i], st->cur.in[i]);
    }
    if (!run_evaluate(e, &st->geo, &fresh, kept, cancel, err)) {
        run_finish(&fresh, &st->geo);
        return false;
    }
    run_finish(&st->cur, &st->geo);
    st->cur = fresh;
    st->lost = false;
    ew_bitset_fill(st->stale_x, false);
    ew_bitset_fill(st->stale_out, false);
    ew_bitset_fill(st->tail_x, false);
    ew_bitset_fill(st->tail_out, false);
    for (uint32_t i = 0; i < st->n_senders; i++) {
        put_ref(&st->diff[i], NULL);
        put_ref(&st->dz[i], NULL);
        st->same[i] = -1;
    }
    for (uint32_t i = 0; i < st->n_receivers; i++) {
        put_ref(&st->raw[i], NULL);
    }
    low_rank_forget(st);
    put_ref(&st->owed, NULL);
    st->score = ew_score_unknown();
    st->commits = 0;
    return true;
}

static bool score_run(struct ew_engine *e, const struct run *run,
                      unsigned want, struct ew_score *out, double *prompt_ld,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    struct incremental *st = e->state;
    struct ew_scope *s = ew_scope_open(e->model->device);
    ew_scope_watch(s, cancel);
    struct ew_tensor *x = run == &st->cur
                              ? logits_input(s, e)
                              : run->x[logits_receiver(&st->geo)];
    x = ew_unsqueeze(s, x, 1);
    readout_score(s, e, &st->out, &st->geo, x, st->geo.o, want, out,
                  prompt_ld);
    return ew_scope_finish(s, err);
}

static bool incremental_score_of(struct ew_engine *e,
                                 const struct ew_bitset *kept, unsigned want,
                                 struct ew_score *out, double *prompt_ld,
                                 const struct ew_cancel *cancel,
                                 struct ew_err *err)
{
    struct incremental *st = e->state;
    struct run run;
    if (!overlay_flush(e, err)) {
        return false;
    }
    run_init(&run, &st->geo);
    for (int i = 0; i < st->geo.n_inputs; i++) {
        put_ref(&run.in[i], st->cur.in[i]);
    }
    bool ok = run_evaluate(e, &st->geo, &run, kept, cancel, err) &&
              score_run(e, &run, want, out, prompt_ld, cancel, err);
    run_finish(&run, &st->geo);
    return ok;
}

/* The wanted figures of a score. */
static struct ew_score only(const struct ew_score *score, unsigned want)
{
    struct ew_score out = ew_score_unknown();
    if (want & EW_WANT_LOGIT_DIFF) {
        out.logit_diff = score->logit_diff;
    }
    if (want & EW_WANT_KL) {
        out.kl = score->kl;
    }
    if (want & EW_WANT_NLL) {
        out.nll = score->nll;
    }
    if (want & EW_WANT_ACCURACY) {
        out.accuracy = score->accuracy;
    }
    if (want & EW_WANT_PROB_DIFF) {
        out.prob_diff = score->prob_diff;
    }
    if (want & EW_WANT_DOCSTRING) {
        out.docstring = score->docstring;
    }
    return out;
}

/* Are all wanted figures known? */
static bool known(const struct ew_score *score, unsigned want)
{
    return !(want & EW_WANT_LOGIT_DIFF && isnan(score->logit_diff)) &&
           !(want & EW_WANT_KL && isnan(score->kl)) &&
           !(want & EW_WANT_NLL && isnan(score->nll)) &&
           !(want & EW_WANT_ACCURACY && isnan(score->accuracy)) &&
           !(want & EW_WANT_PROB_DIFF && isnan(score->prob_diff)) &&
           !(want & EW_WANT_DOCSTRING && isnan(score->docstring));
}

static bool incremental_score(struct ew_engine *e, unsigned want,
                              struct ew_score *out, double *prompt_ld,
                              const struct ew_cancel *cancel,
                              struct ew_err *err)
{
    struct incremental *st = e->state;
    if (!prompt_ld && known(&st->score, want)) {
        *out = only(&st->score, want);
        return true;
    }
    struct ew_score score;
    if (!overlay_flush(e, err) || !score_run(e, &st->cur, want, &score,
                                             prompt_ld, cancel, err)) {
        return false;
    }
    if (want & EW_WANT_LOGIT_DIFF) {
        st->score.logit_diff = score.logit_diff;
    }
    if (want & EW_WANT_KL) {
        st->score.kl = score.kl;
    }
    if (want & EW_WANT_NLL) {
        st->score.nll = score.nll;
    }
    if (want & EW_WANT_ACCURACY) {
        st->score.accuracy = score.accuracy;
    }
    if (want & EW_WANT_PROB_DIFF) {
        st->score.prob_diff = score.prob_diff;
    }
    if (want & EW_WANT_DOCSTRING) {
        st->score.docstring = score.docstring;
    }
    *out = score;
    return true;
}

bool incremental_same(struct ew_engine *e, uint32_t sender)
{
    struct incremental *st = e->state;
    if (!overlay_flush(e, NULL)) {
        return false;
    }
    if (ew_bitset_has(st->tail_out, sender) ||
        ew_bitset_has(st->stale_out, sender)) {
        return false; /* not known now, or not at all positions */
    }
    if (st->same[sender] < 0) {
        struct ew_scope *s = ew_scope_open(e->model->device);
        struct ew_tensor *d =
            ew_sub(s, sent_in(&st->geo, &st->cur, sender),
                   sent_in(&st->geo, &st->cut, sender));
        double sum = ew_item(s, ew_sum_all(s, ew_abs(s, d)));
        if (ew_scope_finish(s, NULL)) {
            st->same[sender] = sum == 0.0;
        }
    }
    return st->same[sender] == 1;
}

/* Attention of a plain run, which the state does not keep. */
struct attention_of {
    char name[64];
    int head;
    struct ew_tensor *pattern; /* (B, T, T); a reference */
};

static void take_pattern(void *user, struct ew_scope *s, const char *name,
                         struct ew_tensor *t)
{
    struct attention_of *want = user;
    if (strcmp(name, want->name) == 0) {
        put_ref(&want->pattern,
                ew_contiguous(s, ew_select(s, t, 1, want->head)));
    }
}

/* Rows that the state holds, put over those of the clean run. */
static void put_current(struct ew_scope *s, const struct incremental *st,
                        int layer, int head, struct ew_tensor *pattern)
{
    const struct geometry *g = &st->geo;
    int64_t start = out_start(g, layer);
    struct ew_tensor *known =
        st->cur.heads[layer * g->n_heads + head].pattern;
    struct ew_tensor *rows =
        ew_narrow(s, pattern, 1, start, g->t - start);
    ew_copy_into(s, ew_narrow(s, rows, 2, 0, g->t), known);
    /* between, and after all that is scored: not needed, so not known */
    const struct {
        int64_t from, to;
    } gaps[] = {{g->a, start}, {g->t, ew_dim(pattern, 1)}};
    for (size_t i = 0; i < EW_ARRAY_LEN(gaps); i++) {
        int64_t n = gaps[i].to - gaps[i].from;
        if (n > 0) {
            ew_copy_into(s, ew_narrow(s, pattern, 1, gaps[i].from, n),
                         ew_full(s, NAN, 1, (int64_t[]){1}));
        }
    }
}

/* Is what the state holds of a sender out of date? */
static bool is_old(const struct ew_engine *e, uint32_t sender)
{
    const struct incremental *st = e->state;
    return e->params.kind == EW_ENGINE_RERUN || /* which keeps none */
           ew_bitset_has(st->tail_out, sender) ||
           ew_bitset_has(st->stale_out, sender);
}

bool incremental_attention(struct ew_engine *e, enum ew_run run,
                                  int layer, int head, int prompt, float *out,
                                  struct ew_err *err)
{
    const struct ew_task *task = e->task;
    int64_t n_b = (int64_t)task->n_prompts, n_t = (int64_t)task->n_pos;
    struct attention_of want = {.head = head};
    if (!overlay_flush(e, err)) {
        return false;
    }
    const struct incremental *st = e->state;
    uint32_t sender = head_sender(&st->geo, layer, head);
    if (run == EW_RUN_CIRCUIT && is_old(e, sender) &&
        !state_refresh(e, e->kept, NULL, err)) {
        return false;
    }
    snprintf(want.name, sizeof(want.name), "blocks.%d.attn.hook_pattern",
             layer);
    struct ew_forward_params params = {
        .hook = take_pattern, .hook_user = &want, .no_logits = true};
    struct ew_scope *s = ew_scope_open(e->model->device);
    struct ew_tensor *ids =
        ew_from_i64(s, run == EW_RUN_CORRUPTED ? task->corrupt : task->clean,
                    2, (int64_t[]){n_b, n_t});
    ew_forward(s, e->model, ids, &params);
    struct ew_tensor *pattern = ew_adopt(s, want.pattern);
    if (pattern && run == EW_RUN_CIRCUIT) {
        put_current(s, e->state, layer, head, pattern);
    }
    pattern = prompt >= 0 ? ew_select(s, pattern, 0, prompt)
                          : ew_mean(s, pattern, 0, false);
    ew_read_f32(s, pattern, out, (size_t)(n_t * n_t));
    return ew_scope_finish(s, err);
}

const struct ew_engine_ops ew_engine_incremental_ops = {
    .name = "incremental",
    .open = incremental_open,
    .close = incremental_close,
    .memory = incremental_memory,
    .score_of = incremental_score_of,
    .score = incremental_score,
    .what_if = overlay_what_if,
    .batch = overlay_lanes,
    .commit = overlay_commit,
    .same = incremental_same,
    .attention = incremental_attention,
    .flip_at = overlay_flip_at,
    .top = incremental_top,
};
