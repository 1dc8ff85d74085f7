/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ladders and replays: every rung is the run of its own at that threshold,
 * however much of it was taken over, and an interrupted ladder that is taken
 * up again ends as an undisturbed one. On the toy and on a random model.
 */
#include <math.h>

#include "edgewise/ladder.h"

#include "engine_fixture.h"
#include "ew_cmocka.h"

struct fixture {
    struct ew_model *m; /* NULL: the toy */
    struct ew_task *task;
    struct ew_graph *g;
    struct ew_engine *e;
};

static void must(bool ok, const struct ew_err *err)
{
    if (!ok) {
        fail_msg("%s", err->message);
    }
}

static void open_with(struct fixture *f, bool toy, enum ew_ablation ablation)
{
    struct ew_err err = {0};
    const struct ew_arch *arch = &fixture_archs[1];
    struct ew_engine_params params = {.kind = toy ? EW_ENGINE_TOY
                                                  : EW_ENGINE_INCREMENTAL,
                                      .ablation = ablation};
    f->m = toy ? NULL : ew_model_random(arch, 29, (struct ew_device){0}, &err);
    f->task = fixture_task(arch->d_vocab, 9);
    f->g = fixture_graph(arch, false);
    f->e = ew_engine_create(f->m, f->task, f->g, &params, NULL, &err);
    must(f->e != NULL, &err);
}

static void open_fixture(struct fixture *f, bool toy)
{
    open_with(f, toy, EW_ABLATE_CORRUPTED);
}

static void close_fixture(struct fixture *f)
{
    ew_engine_destroy(f->e);
    ew_graph_destroy(f->g);
    ew_task_destroy(f->task);
    ew_model_destroy(f->m);
}

static void keep_all(struct fixture *f)
{
    struct ew_err err = {0};
    struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(f->g));
    ew_bitset_fill(kept, true);
    must(ew_engine_set(f->e, kept, NULL, &err), &err);
    ew_bitset_destroy(kept);
}

/* A run of its own; the decisions, free() them. A kept direct edge may be
 * dropped later on. */
static struct ew_acdc_decision *run_alone(struct fixture *f,
                                          struct ew_acdc_params params,
                                          double threshold, size_t *n)
{
    struct ew_err err = {0};
    keep_all(f);
    params.threshold = threshold;
    struct ew_acdc *a = ew_acdc_create(f->e, &params, NULL, &err);
    must(a != NULL, &err);
    struct ew_acdc_decision *all =
        ew_xcalloc(2 * (size_t)ew_graph_n_edges(f->g), sizeof(*all));
    for (*n = 0; !ew_acdc_done(a); (*n)++) {
        must(ew_acdc_step(a, &all[*n], NULL, &err), &err);
    }
    ew_acdc_destroy(a);
    return all;
}

static void same_decision(const struct ew_acdc_decision *a,
                          const struct ew_acdc_decision *b)
{
    assert_int_equal(a->edge, b->edge);
    assert_int_equal(a->kept, b->kept);
    assert_int_equal(a->dropped, b->dropped);
    if (!a->dropped) {
        assert_true(fabs(a->effect - b->effect) < 1e-5);
        assert_true(fabs(a->after - b->after) < 1e-5);
    }
}

static const struct ew_acdc_params logit_diff = {
    .metric = EW_METRIC_LOGIT_DIFF, .indices = EW_ORDER_REVERSE};

/* From the first k decisions on, whatever k is. */
static void a_replayed_run_goes_on(void **state)
{
    (void)state;
    for (int toy = 0; toy < 2; toy++) {
        struct fixture f;
        struct ew_err err = {0};
        open_fixture(&f, toy);
        struct ew_acdc_params params = logit_diff;
        params.remove_redundant = true;
        size_t n;
        struct ew_acdc_decision *all = run_alone(&f, params, 0.01, &n);
        struct ew_bitset *kept = ew_bitset_clone(ew_engine_kept(f.e));
        assert_true(n > 40 && ew_bitset_count(kept) > 0);
        params.threshold = 0.01;
        for (size_t k = 0; k <= n; k += k + 7 < n ? 7 : 1) {
            keep_all(&f);
            struct ew_acdc *a = ew_acdc_create(f.e, &params, NULL, &err);
            must(a != NULL, &err);
            size_t taken;
            must(ew_acdc_resume(a, all, k, &taken, NULL, &err), &err);
            assert_int_equal(taken, k);
            assert_int_equal(ew_acdc_n_done(a), k);
            for (size_t i = k; i < n; i++) {
                struct ew_acdc_decision d;
                must(ew_acdc_step(a, &d, NULL, &err), &err);
                same_decision(&d, &all[i]);
            }
            assert_true(ew_acdc_done(a));
            assert_true(ew_bitset_equal(ew_engine_kept(f.e), kept));
            ew_acdc_destroy(a);
        }
        ew_bitset_destroy(kept);
        free(all);
        close_fixture(&f);
    }
}

/* The metric of the engine's circuit, computed from scratch. */
static double metric_from_scratch(struct fixture *f)
{
    struct ew_err err = {0};
    struct ew_engine_params params = {.kind = EW_ENGINE_RERUN,
                                      .ablation = EW_ABLATE_MEAN};
    struct ew_engine *e =
        ew_engine_create(f->m, f->task, f->g, &params, NULL, &err);
    must(e != NULL, &err);
    must(ew_engine_set(e, ew_engine_kept(f->e), NULL, &err), &err);
    struct ew_score score;
    must(ew_engine_score(e, EW_WANT_KL, &score, NULL, &err), &err);
    ew_engine_destroy(e);
    return score.kl;
}

/* What is dropped as redundant makes a difference under mean ablation. */
static void the_metric_is_the_circuits(void **state)
{
    (void)state;
    struct fixture f;
    struct ew_err err = {0};
    open_with(&f, false, EW_ABLATE_MEAN);
    const struct ew_acdc_params params = {.metric = EW_METRIC_KL,
                                          .indices = EW_ORDER_REVERSE,
                                          .threshold = 0.03,
                                          .remove_redundant = true};
    struct ew_acdc *a = ew_acdc_create(f.e, &params, NULL, &err);
    must(a != NULL, &err);
    struct ew_acdc_decision *all =
        ew_xcalloc(2 * (size_t)ew_graph_n_edges(f.g), sizeof(*all));
    size_t n = 0, last = 0;
    double moved = 0.0;
    for (; !ew_acdc_done(a); n++) {
        double before = ew_acdc_metric(a);
        must(ew_acdc_step(a, &all[n], NULL, &err), &err);
        if (all[n].dropped &&
            ew_edge_kind(f.g, all[n].edge) == EW_EDGE_DIRECT) {
            double metric = metric_from_scratch(&f);
            moved = fmax(moved, fabs(metric - before));
            assert_true(fabs(ew_acdc_metric(a) - metric) < 1e-5);
            last = n + 1;
        }
    }
    double end = ew_acdc_metric(a);
    ew_acdc_destroy(a);
    assert_true(last > 0 && moved > 1e-3);
    for (size_t k = last; k <= n; k += n > last ? n - last : 1) {
        keep_all(&f);
        a = ew_acdc_create(f.e, &params, NULL, &err);
        must(a != NULL, &err);
        size_t taken;
        must(ew_acdc_resume(a, all, k, &taken, NULL, &err), &err);
        assert_true(fabs(ew_acdc_metric(a) - metric_from_scratch(&f)) < 1e-5);
        assert_true(k < n || fabs(ew_acdc_metric(a) - end) < 1e-5);
        ew_acdc_destroy(a);
    }
    free(all);
    close_fixture(&f);
}

static void what_another_run_decided_is_not_taken(void **state)
{
    (void)state;
    struct fixture f;
    struct ew_err err = {0};
    open_fixture(&f, true);
    size_t n;
    struct ew_acdc_decision *all = run_alone(&f, logit_diff, 0.01, &n);
    keep_all(&f);
    struct ew_acdc_params params = logit_diff;
    params.threshold = 0.01;
    struct ew_acdc *a = ew_acdc_create(f.e, &params, NULL, &err);
    size_t taken;
    assert_int_equal(all[5].dropped, false);
    all[5].kept = !all[5].kept; /* against the threshold */
    must(ew_acdc_replay(a, all, n, &taken, NULL, &err), &err);
    assert_int_equal(taken, 5);
    assert_false(ew_acdc_resume(a, all + 5, n - 5, &taken, NULL, &err));
    assert_int_equal(err.code, EW_ERR_INPUT);
    all[5].kept = !all[5].kept;
    must(ew_acdc_replay(a, all + 6, n - 6, &taken, NULL, &err), &err);
    assert_int_equal(taken, 0); /* about another edge */
    struct ew_cancel *cancel = ew_cancel_create();
    ew_cancel_raise(cancel);
    struct ew_bitset *kept = ew_bitset_clone(ew_engine_kept(f.e));
    if (!ew_acdc_replay(a, all + 5, n - 5, &taken, cancel, &err)) {
        assert_int_equal(err.code, EW_ERR_CANCELLED);
        assert_int_equal(taken, 0);
        assert_int_equal(ew_acdc_n_done(a), 5);
        assert_true(ew_bitset_equal(ew_engine_kept(f.e), kept));
    }
    ew_bitset_destroy(kept);
    ew_cancel_destroy(cancel);
    ew_acdc_destroy(a);
    free(all);
    close_fixture(&f);
}

/* On the very threshold nothing is taken over untested. */
static void a_close_verdict_is_tested_again(void **state)
{
    (void)state;
    struct fixture f;
    struct ew_err err = {0};
    open_fixture(&f, true);
    struct ew_acdc_params params = logit_diff;
    size_t n;
    struct ew_acdc_decision *all = run_alone(&f, params, 0.01, &n);
    params.threshold = all[3].effect;
    free(all);
    all = run_alone(&f, params, params.threshold, &n);
    keep_all(&f);
    struct ew_acdc *a = ew_acdc_create(f.e, &params, NULL, &err);
    size_t taken;
    must(ew_acdc_replay(a, all, n, &taken, NULL, &err), &err);
    assert_int_equal(taken, 3);
    must(ew_acdc_resume(a, all + 3, n - 3, &taken, NULL, &err), &err);
    assert_int_equal(taken, n - 3);
    assert_true(ew_acdc_done(a));
    ew_acdc_destroy(a);
    free(all);
    close_fixture(&f);
}

static const double thresholds[] = {0.001, 0.004, 0.02, 0.08, 5};
enum { N_RUNGS = EW_ARRAY_LEN(thresholds) };

static struct ew_ladder *make(struct fixture *f)
{
    struct ew_err err = {0};
    keep_all(f);
    struct ew_ladder *l = ew_ladder_create(f->e, &logit_diff, thresholds,
                                           N_RUNGS, NULL, &err);
    must(l != NULL, &err);
    return l;
}

static void run_to_the_end(struct ew_ladder *l)
{
    struct ew_err err = {0};
    while (!ew_ladder_done(l)) {
        must(ew_ladder_step(l, NULL, &err), &err);
    }
}

/* Every rung against a run of its own. */
static void check_rungs(struct fixture *f, const struct ew_ladder *l)
{
    size_t n_shared = 0;
    for (size_t i = 0; i < N_RUNGS; i++) {
        const struct ew_rung *rung = ew_ladder_rung(l, i);
        size_t n;
        struct ew_acdc_decision *alone =
            run_alone(f, logit_diff, thresholds[i], &n);
        assert_int_equal(rung->n, n);
        for (size_t k = 0; k < n; k++) {
            same_decision(&rung->decisions[k], &alone[k]);
        }
        assert_true(ew_bitset_equal(rung->kept, ew_engine_kept(f->e)));
        n_shared += rung->n_shared;
        free(alone);
    }
    assert_int_equal(ew_ladder_rung(l, 0)->n_shared, 0);
    assert_true(n_shared > 0);
    assert_int_equal(ew_bitset_count(ew_ladder_rung(l, N_RUNGS - 1)->kept), 0);
}

static void rungs_are_runs_of_their_own(void **state)
{
    (void)state;
    for (int toy = 0; toy < 2; toy++) {
        struct fixture f;
        open_fixture(&f, toy);
        struct ew_ladder *l = make(&f);
        run_to_the_end(l);
        check_rungs(&f, l);
        ew_ladder_destroy(l);
        close_fixture(&f);
    }
}

static void an_interrupted_ladder_is_taken_up(void **state)
{
    (void)state;
    struct fixture f;
    struct ew_err err = {0};
    open_fixture(&f, true);
    struct ew_ladder *whole = make(&f);
    size_t steps = 0;
    for (; !ew_ladder_done(whole); steps++) {
        must(ew_ladder_step(whole, NULL, &err), &err);
    }
    for (size_t stop = 1; stop < steps; stop += steps / 7) {
        struct ew_ladder *first = make(&f);
        for (size_t i = 0; i < stop; i++) {
            must(ew_ladder_step(first, NULL, &err), &err);
        }
        struct ew_ladder *second = make(&f);
        for (size_t i = 0; i < N_RUNGS; i++) {
            const struct ew_rung *rung = ew_ladder_rung(first, i);
            ew_ladder_know(second, i, rung->decisions, rung->n);
        }
        run_to_the_end(second);
        check_rungs(&f, second);
        ew_ladder_destroy(first);
        ew_ladder_destroy(second);
    }
    /* decisions of another rung are refused */
    struct ew_ladder *wrong = make(&f);
    const struct ew_rung *last = ew_ladder_rung(whole, N_RUNGS - 1);
    ew_ladder_know(wrong, 0, last->decisions, last->n);
    assert_false(ew_ladder_step(wrong, NULL, &err));
    assert_int_equal(err.code, EW_ERR_INPUT);
    ew_ladder_destroy(wrong);
    ew_ladder_destroy(whole);
    close_fixture(&f);
}

static void scores_follow_the_rungs(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, true);
    struct ew_ladder *l = make(&f);
    run_to_the_end(l);
    uint32_t n = ew_graph_n_edges(f.g);
    float *scores = ew_xcalloc(n, sizeof(*scores));
    ew_ladder_scores(l, scores);
    size_t n_kept = 0;
    for (uint32_t e = 0; e < n; e++) {
        size_t top = N_RUNGS; /* the largest threshold that keeps it */
        while (top > 0 && !ew_bitset_has(ew_ladder_rung(l, top - 1)->kept, e)) {
            top--;
        }
        double score = (double)scores[e];
        n_kept += top > 0;
        if (top > 0) {
            assert_true(score >= 0.9999999 * thresholds[top - 1]);
            assert_true(score < thresholds[top]);
        } else {
            assert_true(score < thresholds[0]);
        }
    }
    assert_true(n_kept > 5);
    free(scores);
    ew_ladder_destroy(l);
    close_fixture(&f);
}

static void thresholds_must_rise(void **state)
{
    (void)state;
    struct fixture f;
    struct ew_err err = {0};
    open_fixture(&f, true);
    const double falling[] = {0.2, 0.1};
    assert_null(ew_ladder_create(f.e, &logit_diff, falling, 2, NULL, &err));
    assert_int_equal(err.code, EW_ERR_USAGE);
    assert_null(ew_ladder_create(f.e, &logit_diff, NULL, 0, NULL, &err));
    assert_int_equal(err.code, EW_ERR_USAGE);
    close_fixture(&f);
}

int main(void)
{
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replayed_run_goes_on),
        cmocka_unit_test(the_metric_is_the_circuits),
        cmocka_unit_test(what_another_run_decided_is_not_taken),
        cmocka_unit_test(a_close_verdict_is_tested_again),
        cmocka_unit_test(rungs_are_runs_of_their_own),
        cmocka_unit_test(an_interrupted_ladder_is_taken_up),
        cmocka_unit_test(scores_follow_the_rungs),
        cmocka_unit_test(thresholds_must_rise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
