/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The toy engine: no model, no libtorch, instant and the same everywhere.
 * Every edge has a made-up weight (a few are large, most are tiny), and the
 * logit difference is the sum over the kept edges from which logits can be
 * reached. Tests of screens and of discovery run on it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"
#include "edgewise/rng.h"

#include "impl.h"

static double weight_of(uint32_t edge)
{
    struct ew_rng rng;
    ew_rng_seed(&rng, edge + 1);
    double u = ew_rng_unit(&rng);
    double sign = ew_rng_unit(&rng) < 0.2 ? -1.0 : 1.0;
    return sign * 0.5 * pow(u, 12.0);
}

struct toy {
    double *weight; /* of each edge */
    double full;    /* logit difference with all edges kept */
};

/* The part of `kept` from which logits can be reached, weighed. */
static double weigh(const struct ew_engine *e, const struct ew_bitset *kept)
{
    const struct ew_graph *g = e->graph;
    const struct toy *toy = e->state;
    struct ew_bitset *live = ew_bitset_create(ew_graph_n_receivers(g));
    ew_graph_live_receivers(g, kept, live);
    double sum = 0.0;
    for (size_t edge = ew_bitset_next(kept, 0); edge < ew_bitset_size(kept);
         edge = ew_bitset_next(kept, edge + 1)) {
        if (ew_bitset_has(live, ew_edge_receiver(g, (uint32_t)edge))) {
            sum += toy->weight[edge];
        }
    }
    ew_bitset_destroy(live);
    return sum;
}

/* All metrics follow from the logit difference. */
static void score_ld(const struct ew_engine *e, double ld, unsigned want,
                     struct ew_score *out, double *prompt_ld)
{
    double full = ((const struct toy *)e->state)->full;
    double lost = (full - ld) / (fabs(full) > 1e-9 ? full : 1.0);
    *out = ew_score_unknown();
    if (want & EW_WANT_LOGIT_DIFF) {
        out->logit_diff = ld;
    }
    if (want & EW_WANT_KL) {
        out->kl = lost * lost;
    }
    if (want & EW_WANT_NLL) {
        out->nll = 0.1 + lost * lost;
    }
    if (want & EW_WANT_ACCURACY) {
        out->accuracy = fmax(0.0, 1.0 - fabs(lost));
    }
    if (want & EW_WANT_PROB_DIFF) {
        out->prob_diff = tanh(ld);
    }
    if (want & EW_WANT_DOCSTRING) {
        out->docstring = 0.5 * ld;
    }
    for (size_t b = 0; prompt_ld && b < e->task->n_prompts; b++) {
        prompt_ld[b] = ld * (1.0 + 0.05 * ((double)(b % 5) - 2.0));
    }
}

static bool toy_score_of(struct ew_engine *e, const struct ew_bitset *kept,
                         unsigned want, struct ew_score *out,
                         double *prompt_ld, const struct ew_cancel *cancel,
                         struct ew_err *err)
{
    score_ld(e, weigh(e, kept), want, out, prompt_ld);
    return !ew_cancel_check(cancel, err);
}

static bool toy_score(struct ew_engine *e, unsigned want,
                      struct ew_score *out, double *prompt_ld,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    return toy_score_of(e, e->kept, want, out, prompt_ld, cancel, err);
}

static bool toy_what_if(struct ew_engine *e, const struct ew_what_if *ifs,
                        size_t n, unsigned want, struct ew_score *out,
                        double *prompt_ld, const struct until *until,
                        const struct ew_cancel *cancel, struct ew_err *err)
{
    bool ok = true;
    struct ew_bitset *kept = ew_bitset_clone(e->kept);
    for (size_t i = 0; i < n && ok; i++) {
        ew_bitset_copy(kept, e->kept);
        for (size_t j = 0; j < ifs[i].n; j++) {
            ew_bitset_flip(kept, ifs[i].edges[j]);
        }
        double *ld = prompt_ld ? prompt_ld + i * e->task->n_prompts : NULL;
        ok = toy_score_of(e, kept, want, &out[i], ld, cancel, err);
        if (ok && until && until->enough(until->data, &out[i])) {
            break;
        }
    }
    ew_bitset_destroy(kept);
    return ok;
}

static bool toy_open(struct ew_engine *e, const struct ew_cancel *cancel,
                     struct ew_err *err)
{
    uint32_t n = ew_graph_n_edges(e->graph);
    struct toy *toy = ew_xcalloc(1, sizeof(*toy));
    toy->weight = ew_xcalloc(n, sizeof(*toy->weight));
    for (uint32_t edge = 0; edge < n; edge++) {
        toy->weight[edge] = weight_of(edge);
    }
    e->state = toy;
    toy->full = weigh(e, e->kept);
    return !ew_cancel_check(cancel, err);
}

static void toy_close(struct ew_engine *e)
{
    struct toy *toy = e->state;
    if (toy) {
        free(toy->weight);
        free(toy);
        e->state = NULL;
    }
}

static uint64_t toy_memory(const struct ew_engine *e)
{
    (void)e;
    return 0;
}

static bool toy_commit(struct ew_engine *e, const struct ew_bitset *kept,
                       const uint32_t *flipped, size_t n,
                       const struct ew_cancel *cancel, struct ew_err *err)
{
    (void)e;
    (void)kept;
    (void)flipped;
    (void)n;
    return !ew_cancel_check(cancel, err);
}

static bool toy_same(struct ew_engine *e, uint32_t sender)
{
    return ew_graph_sender(e->graph, sender).kind == EW_NODE_POS;
}

static bool toy_attention(struct ew_engine *e, enum ew_run run, int layer,
                          int head, int prompt, float *out,
                          struct ew_err *err)
{
    (void)err;
    size_t t = e->task->n_pos;
    size_t back = (size_t)(layer + head + (run == EW_RUN_CLEAN) +
                           (prompt > 0 ? prompt : 0));
    memset(out, 0, t * t * sizeof(*out));
    for (size_t i = 0; i < t; i++) {
        out[i * t + (i >= back ? i - back : 0)] = 1.0f;
    }
    return true;
}

/* An edge acts where it is flipped: at each token a share of what it does,
 * the later the larger. */
static double share_at(const struct ew_task *t, const struct ew_bitset *where)
{
    double here = 0.0;
    double all = 0.0;
    for (size_t p = 0; p < t->n_prompts; p++) {
        for (size_t i = 0; i < (size_t)t->length[p]; i++) {
            bool is = ew_bitset_has(where, p * t->n_pos + i);
            here += is ? (double)(i * i) : 0.0;
            all += (double)(i * i);
        }
    }
    return all > 0.0 ? here / all : 0.0;
}

static bool toy_flip_at(struct ew_engine *e, uint32_t edge,
                        const struct ew_bitset *const *where, size_t n,
                        unsigned want, struct ew_score *out, double *prompt_ld,
                        const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_bitset *flipped = ew_bitset_clone(e->kept);
    ew_bitset_flip(flipped, edge);
    double now = weigh(e, e->kept);
    double all = weigh(e, flipped) - now;
    for (size_t i = 0; i < n; i++) {
        double *ld = prompt_ld ? prompt_ld + i * e->task->n_prompts : NULL;
        score_ld(e, now + share_at(e->task, where[i]) * all, want, &out[i], ld);
    }
    ew_bitset_destroy(flipped);
    return !ew_cancel_check(cancel, err);
}

/* Made-up tokens; the better the circuit, the surer the answer. */
static bool toy_top(struct ew_engine *e, enum ew_run run, int prompt, size_t k,
                    struct ew_top *out, struct ew_err *err)
{
    (void)err;
    const struct toy *toy = e->state;
    const struct ew_answers *a = &e->task->answers[prompt];
    double ld = run == EW_RUN_CLEAN     ? toy->full
                : run == EW_RUN_CIRCUIT ? weigh(e, e->kept)
                                        : 0.0;
    for (size_t i = 0; i < k; i++) {
        int64_t made_up = 100 + 7 * (int64_t)i + prompt;
        bool first = i == 0 && a->n_right > 0 && ld > 0.0;
        out[i] = (struct ew_top){.token = first ? a->right[0] : made_up,
                                 .logit = ld - (double)i,
                                 .log_p = log(1 - exp(-1)) - (double)i};
    }
    return true;
}

static size_t toy_batch(const struct ew_engine *e)
{
    (void)e;
    return 64;
}

const struct ew_engine_ops ew_engine_toy_ops = {
    .name = "toy",
    .open = toy_open,
    .close = toy_close,
    .memory = toy_memory,
    .score_of = toy_score_of,
    .score = toy_score,
    .what_if = toy_what_if,
    .batch = toy_batch,
    .commit = toy_commit,
    .same = toy_same,
    .attention = toy_attention,
    .flip_at = toy_flip_at,
    .top = toy_top,
};
