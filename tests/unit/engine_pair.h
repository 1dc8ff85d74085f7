/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The incremental engine and the full rerun side by side, on one random model
 * and task; what they say has to be the same to 1e-5.
 */
#ifndef EW_TESTS_ENGINE_PAIR_H
#define EW_TESTS_ENGINE_PAIR_H

#include "ew_cmocka.h"

#include <math.h>

#include "engine_fixture.h"

static const struct ew_device cpu = {0};

/* What is being compared, for messages. */
static char context[2048];

struct pair {
    struct ew_model *m;
    struct ew_task *task;
    struct ew_graph *g;
    struct ew_engine *fast;
    struct ew_engine *slow;
    struct ew_rng rng;
};

static inline void must(bool ok, const struct ew_err *err)
{
    if (!ok) {
        fail_msg("%s", err->message);
    }
}

static inline void open_model(struct pair *p, const struct ew_arch *arch,
                              bool split, uint64_t seed)
{
    struct ew_err err = {0};
    p->m = ew_model_random(arch, seed, cpu, &err);
    must(p->m != NULL, &err);
    p->task = fixture_task(arch->d_vocab, seed);
    p->g = fixture_graph(arch, split);
    ew_rng_seed(&p->rng, seed);
}

/* Engines that will be asked for `want`, 0: anything, maybe on a walk. */
static inline void open_engines(struct pair *p, enum ew_ablation ablation,
                                unsigned want, bool walk)
{
    struct ew_err err = {0};
    struct ew_engine_params params = {.ablation = ablation, .want = want,
                                      .walk = walk};
    p->fast = ew_engine_create(p->m, p->task, p->g, &params, NULL, &err);
    must(p->fast != NULL, &err);
    params.kind = EW_ENGINE_RERUN;
    p->slow = ew_engine_create(p->m, p->task, p->g, &params, NULL, &err);
    must(p->slow != NULL, &err);
}

static inline void open_pair_for(struct pair *p, const struct ew_arch *arch,
                                 enum ew_ablation ablation, bool split,
                                 uint64_t seed, unsigned want, bool walk)
{
    open_model(p, arch, split, seed);
    open_engines(p, ablation, want, walk);
}

static inline void open_pair(struct pair *p, const struct ew_arch *arch,
                             enum ew_ablation ablation, bool split,
                             uint64_t seed)
{
    open_pair_for(p, arch, ablation, split, seed, 0, false);
}

/* Put both engines into a circuit that keeps this share of the edges. */
static inline void random_circuit(struct pair *p, double density)
{
    struct ew_err err = {0};
    size_t n = ew_graph_n_edges(p->g);
    struct ew_bitset *kept = ew_bitset_create(n);
    for (size_t i = 0; i < n; i++) {
        ew_bitset_put(kept, i, ew_rng_unit(&p->rng) < density);
    }
    must(ew_engine_set(p->fast, kept, NULL, &err), &err);
    must(ew_engine_set(p->slow, kept, NULL, &err), &err);
    ew_bitset_destroy(kept);
}

static inline void close_pair(struct pair *p)
{
    ew_engine_destroy(p->fast);
    ew_engine_destroy(p->slow);
    ew_model_destroy(p->m);
    ew_task_destroy(p->task);
    ew_graph_destroy(p->g);
}

static inline void assert_close(double a, double b, const char *what)
{
    double tolerance = 1e-5 * fmax(1.0, fabs(b));
    if (!(fabs(a - b) <= tolerance)) {
        fail_msg("%s%s: incremental %.9g, rerun %.9g", context, what, a, b);
    }
}

static inline void assert_same(const struct ew_score *a,
                               const struct ew_score *b)
{
    assert_close(a->logit_diff, b->logit_diff, "logit difference");
    assert_close(a->kl, b->kl, "KL");
    assert_close(a->nll, b->nll, "NLL");
    assert_close(a->accuracy, b->accuracy, "accuracy");
    assert_close(a->prob_diff, b->prob_diff, "probability difference");
    assert_close(a->docstring, b->docstring, "docstring");
    assert_close(a->kl_mib, b->kl_mib, "KL by the vocabulary");
}

#endif
