/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's public face: checks, names, and what every kind of engine
 * shares; the work is done by the kind's operations.
 */
#include "edgewise/engine.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "impl.h"

static const char *const ablation_names[] = {
    [EW_ABLATE_CORRUPTED] = "corrupted",
    [EW_ABLATE_ZERO] = "zero",
    [EW_ABLATE_MEAN] = "mean",
};

const char *ew_ablation_name(enum ew_ablation ablation)
{
    return ablation_names[ablation];
}

bool ew_ablation_parse(const char *text, enum ew_ablation *ablation,
                       struct ew_err *err)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(ablation_names); i++) {
        if (strcmp(text, ablation_names[i]) == 0) {
            *ablation = (enum ew_ablation)i;
            return true;
        }
    }
    return ew_fail(err, EW_ERR_USAGE,
                   "unknown ablation \"%s\": corrupted, zero or mean", text);
}

unsigned ew_metric_want(enum ew_metric metric)
{
    static const unsigned wants[EW_N_METRICS] = {
        [EW_METRIC_KL] = EW_WANT_KL,
        [EW_METRIC_LOGIT_DIFF] = EW_WANT_LOGIT_DIFF,
        [EW_METRIC_NLL] = EW_WANT_NLL,
        [EW_METRIC_ACCURACY] = EW_WANT_ACCURACY,
        [EW_METRIC_KL_MIB] = EW_WANT_KL,
        [EW_METRIC_PROB_DIFF] = EW_WANT_PROB_DIFF,
        [EW_METRIC_DOCSTRING] = EW_WANT_DOCSTRING,
    };
    return wants[metric];
}

double ew_score_metric(const struct ew_score *score, enum ew_metric metric)
{
    switch (metric) {
    case EW_METRIC_KL:
        return score->kl;
    case EW_METRIC_LOGIT_DIFF:
        return -score->logit_diff;
    case EW_METRIC_NLL:
        return score->nll;
    case EW_METRIC_ACCURACY:
        return -score->accuracy;
    case EW_METRIC_KL_MIB:
        return score->kl_mib;
    case EW_METRIC_PROB_DIFF:
        return -score->prob_diff;
    case EW_METRIC_DOCSTRING:
        return -score->docstring;
    case EW_N_METRICS:
        break;
    }
    return NAN;
}

struct ew_score ew_score_unknown(void)
{
    return (struct ew_score){.logit_diff = NAN,
                             .kl = NAN,
                             .nll = NAN,
                             .accuracy = NAN,
                             .prob_diff = NAN,
                             .docstring = NAN,
                             .kl_mib = NAN};
}

const char *ew_zero_why_text(enum ew_zero_why why)
{
    switch (why) {
    case EW_ZERO_NOT:
        return "";
    case EW_ZERO_UNREACHABLE:
        return "no kept path to logits: always 0";
    case EW_ZERO_SAME:
        return "same in both runs: always 0";
    case EW_ZERO_PINNED:
        return "direct edge is cut: always 0";
    }
    return "";
}

static const struct ew_engine_ops *ops_of(enum ew_engine_kind kind)
{
    switch (kind) {
    case EW_ENGINE_INCREMENTAL:
        return &ew_engine_incremental_ops;
    case EW_ENGINE_RERUN:
        return &ew_engine_rerun_ops;
    case EW_ENGINE_TOY:
        break;
    }
    return &ew_engine_toy_ops;
}

/* Do model, task and graph speak of the same thing? */
static bool check_fit(const struct ew_model *m, const struct ew_task *task,
                      const struct ew_graph *g, struct ew_err *err)
{
    const struct ew_graph_spec *spec = ew_graph_spec(g);
    const struct ew_arch *arch = &m->arch;
    if (spec->n_layers != arch->n_layers || spec->n_heads != arch->n_heads ||
        spec->has_mlp != (arch->d_mlp > 0) ||
        spec->parallel != (arch->parallel && arch->d_mlp > 0)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "the graph (%d layers, %d heads, %s) is not that of "
                       "the model (%d layers, %d heads, %s)",
                       spec->n_layers, spec->n_heads,
                       spec->has_mlp ? "MLPs" : "no MLPs", arch->n_layers,
                       arch->n_heads, arch->d_mlp ? "MLPs" : "no MLPs");
    }
    if (spec->split_embed && arch->pos != EW_POS_STANDARD) {
        return ew_fail(err, EW_ERR_INPUT,
                       "the embedding of %s cannot be split: it adds no "
                       "positions to the residual stream",
                       arch->name);
    }
    return ew_task_check(task, arch->d_vocab, arch->n_ctx, err) &&
           ew_task_check_out(task, arch->d_vocab_out, err);
}

struct ew_engine *ew_engine_create(const struct ew_model *m,
                                   const struct ew_task *task,
                                   const struct ew_graph *g,
                                   const struct ew_engine_params *params,
                                   const struct ew_cancel *cancel,
                                   struct ew_err *err)
{
    if (params->kind != EW_ENGINE_TOY && !check_fit(m, task, g, err)) {
        return NULL;
    }
    struct ew_engine *e = ew_xcalloc(1, sizeof(*e));
    e->ops = ops_of(params->kind);
    e->model = m;
    e->task = task;
    e->graph = g;
    e->params = *params;
    if (!e->params.want) {
        e->params.want = EW_WANT_ALL;
    }
    e->kept = ew_bitset_create(ew_graph_n_edges(g));
    ew_bitset_fill(e->kept, true);
    if (!e->ops->open(e, cancel, err)) {
        ew_engine_destroy(e);
        return NULL;
    }
    return e;
}

void ew_engine_destroy(struct ew_engine *e)
{
    if (e) {
        e->ops->close(e);
        ew_bitset_destroy(e->kept);
        free(e);
    }
}

const struct ew_graph *ew_engine_graph(const struct ew_engine *e)
{
    return e->graph;
}

const struct ew_task *ew_engine_task(const struct ew_engine *e)
{
    return e->task;
}

enum ew_ablation ew_engine_ablation(const struct ew_engine *e)
{
    return e->params.ablation;
}

const struct ew_bitset *ew_engine_kept(const struct ew_engine *e)
{
    return e->kept;
}

uint64_t ew_engine_memory(const struct ew_engine *e)
{
    return e->ops->memory(e);
}

/* What follows from the figures that were read off. */
static void complete(const struct ew_engine *e, struct ew_score *out, size_t n)
{
    double v = e->model ? (double)e->model->arch.d_vocab_out : 1.0;
    for (size_t i = 0; i < n; i++) {
        out[i].kl_mib = out[i].kl / v;
    }
}

bool ew_engine_score(struct ew_engine *e, unsigned want, struct ew_score *out,
                     const struct ew_cancel *cancel, struct ew_err *err)
{
    bool ok = e->ops->score(e, want, out, NULL, cancel, err);
    if (ok) {
        complete(e, out, 1);
    }
    return ok;
}

bool ew_engine_logit_diffs(struct ew_engine *e, double *out,
                           const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_score score;
    return e->ops->score(e, EW_WANT_LOGIT_DIFF, &score, out, cancel, err);
}

static bool score_uniform(struct ew_engine *e, bool keep, unsigned want,
                          struct ew_score *out,
                          const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(e->graph));
    ew_bitset_fill(kept, keep);
    bool ok = e->ops->score_of(e, kept, want, out, NULL, cancel, err);
    if (ok) {
        complete(e, out, 1);
    }
    ew_bitset_destroy(kept);
    return ok;
}

bool ew_engine_score_full(struct ew_engine *e, unsigned want,
                          struct ew_score *out,
                          const struct ew_cancel *cancel, struct ew_err *err)
{
    return score_uniform(e, true, want, out, cancel, err);
}

bool ew_engine_score_empty(struct ew_engine *e, unsigned want,
                           struct ew_score *out,
                           const struct ew_cancel *cancel, struct ew_err *err)
{
    return score_uniform(e, false, want, out, cancel, err);
}

static bool check_edges(const struct ew_engine *e, const uint32_t *edges,
                        size_t n, struct ew_err *err)
{
    uint32_t n_edges = ew_graph_n_edges(e->graph);
    for (size_t i = 0; i < n; i++) {
        if (edges[i] >= n_edges) {
            return ew_fail(err, EW_ERR_INPUT,
                           "edge %" PRIu32 " is not one of %" PRIu32,
                           edges[i], n_edges);
        }
    }
    return true;
}

static bool what_if(struct ew_engine *e, const struct ew_what_if *ifs,
                    size_t n, unsigned want, struct ew_score *out,
                    double *prompt_ld, const struct until *until,
                    const struct ew_cancel *cancel, struct ew_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!check_edges(e, ifs[i].edges, ifs[i].n, err)) {
            return false;
        }
    }
    bool ok = n == 0 || e->ops->what_if(e, ifs, n, want, out, prompt_ld,
                                        until, cancel, err);
    if (ok) {
        complete(e, out, n);
    }
    return ok;
}

bool ew_engine_what_if(struct ew_engine *e, const struct ew_what_if *ifs,
                       size_t n, unsigned want, struct ew_score *out,
                       double *prompt_ld, const struct ew_cancel *cancel,
                       struct ew_err *err)
{
    return what_if(e, ifs, n, want, out, prompt_ld, NULL, cancel, err);
}

struct asked {
    const struct ew_engine *e;
    bool (*enough)(void *data, const struct ew_score *score);
    void *data;
};

static bool ask(void *data, struct ew_score *score)
{
    const struct asked *a = data;
    complete(a->e, score, 1);
    return a->enough(a->data, score);
}

bool ew_engine_what_if_until(struct ew_engine *e,
                             const struct ew_what_if *ifs, size_t n,
                             unsigned want, struct ew_score *out,
                             bool (*enough)(void *data,
                                            const struct ew_score *score),
                             void *data, const struct ew_cancel *cancel,
                             struct ew_err *err)
{
    struct asked a = {.e = e, .enough = enough, .data = data};
    struct until until = {.enough = ask, .data = &a};
    for (size_t i = 0; i < n; i++) {
        out[i] = ew_score_unknown();
    }
    return what_if(e, ifs, n, want, out, NULL, &until, cancel, err);
}

size_t ew_engine_batch(const struct ew_engine *e)
{
    return e->ops->batch ? e->ops->batch(e) : 1;
}

bool ew_engine_commit(struct ew_engine *e, const uint32_t *edges, size_t n,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    if (!check_edges(e, edges, n, err)) {
        return false;
    }
    struct ew_bitset *kept = ew_bitset_clone(e->kept);
    for (size_t i = 0; i < n; i++) {
        ew_bitset_flip(kept, edges[i]);
    }
    bool ok = n == 0 || e->ops->commit(e, kept, edges, n, cancel, err);
    if (ok) {
        ew_bitset_copy(e->kept, kept);
    }
    ew_bitset_destroy(kept);
    return ok;
}

bool ew_engine_set(struct ew_engine *e, const struct ew_bitset *kept,
                   const struct ew_cancel *cancel, struct ew_err *err)
{
    uint32_t n_edges = ew_graph_n_edges(e->graph);
    uint32_t *flips = ew_xcalloc(n_edges, sizeof(*flips));
    size_t n = 0;
    for (uint32_t edge = 0; edge < n_edges; edge++) {
        if (ew_bitset_has(kept, edge) != ew_bitset_has(e->kept, edge)) {
            flips[n++] = edge;
        }
    }
    bool ok = ew_engine_commit(e, flips, n, cancel, err);
    free(flips);
    return ok;
}

enum ew_zero_why ew_engine_zero_why(struct ew_engine *e, uint32_t edge)
{
    const struct ew_graph *g = e->graph;
    uint32_t receiver = ew_edge_receiver(g, edge);
    uint32_t sender = ew_edge_sender(g, edge);
    uint32_t direct = ew_graph_direct_edge(g, receiver);
    enum ew_zero_why why = EW_ZERO_NOT;
    struct ew_bitset *live = ew_bitset_create(ew_graph_n_receivers(g));
    struct ew_bitset *kept = ew_bitset_clone(e->kept);
    if (direct != EW_NONE) {
        if (edge != direct && !ew_bitset_has(e->kept, direct)) {
            why = EW_ZERO_PINNED;
        }
        ew_bitset_put(kept, direct, true);
    }
    if (why == EW_ZERO_NOT && sender != EW_NONE && e->ops->same(e, sender)) {
        why = EW_ZERO_SAME;
    }
    ew_graph_live_receivers(g, kept, live);
    if (!ew_bitset_has(live, receiver)) {
        why = EW_ZERO_UNREACHABLE;
    }
    ew_bitset_destroy(kept);
    ew_bitset_destroy(live);
    return why;
}

bool ew_engine_attention(struct ew_engine *e, enum ew_run run, int layer,
                         int head, int prompt, float *out, struct ew_err *err)
{
    const struct ew_graph_spec *spec = ew_graph_spec(e->graph);
    if (layer < 0 || layer >= spec->n_layers || head < 0 ||
        head >= spec->n_heads || prompt >= (int)e->task->n_prompts) {
        return ew_fail(err, EW_ERR_INPUT, "no head a%d.h%d, prompt %d", layer,
                       head, prompt);
    }
    return e->ops->attention(e, run, layer, head, prompt, out, err);
}

bool ew_engine_top(struct ew_engine *e, enum ew_run run, int prompt, size_t k,
                   struct ew_top *out, struct ew_err *err)
{
    if (prompt < 0 || prompt >= (int)e->task->n_prompts) {
        return ew_fail(err, EW_ERR_INPUT, "no prompt %d", prompt);
    }
    if (!e->ops->top) {
        return ew_fail(err, EW_ERR_USAGE,
                       "the %s engine does not tell what is said next",
                       e->ops->name);
    }
    return e->ops->top(e, run, prompt, k, out, err);
}
