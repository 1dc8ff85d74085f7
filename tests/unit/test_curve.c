/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges and curves: integrals and areas in closed form, and every figure of
 * a curve against a full rerun of the circuit in question.
 */
#include <math.h>

#include "edgewise/curve.h"
#include "edgewise/select.h"

#include "engine_fixture.h"
#include "ew_cmocka.h"

struct fixture {
    struct ew_model *m;
    struct ew_task *task;
    struct ew_graph *g;
    struct ew_engine *e;
    struct ew_engine *rerun;
    struct ew_judge *j;
    float *scores; /* n_edges, of either sign, some unknown */
};

static void must(bool ok, const struct ew_err *err)
{
    if (!ok) {
        fail_msg("%s", err->message);
    }
}

static void open_fixture(struct fixture *f, enum ew_metric metric)
{
    struct ew_err err = {0};
    const struct ew_arch *arch = &fixture_archs[1];
    f->m = ew_model_random(arch, 11, (struct ew_device){0}, &err);
    must(f->m != NULL, &err);
    f->task = fixture_task(arch->d_vocab, 5);
    f->g = fixture_graph(arch, false);
    struct ew_engine_params params = {0};
    f->e = ew_engine_create(f->m, f->task, f->g, &params, NULL, &err);
    must(f->e != NULL, &err);
    params.kind = EW_ENGINE_RERUN;
    f->rerun = ew_engine_create(f->m, f->task, f->g, &params, NULL, &err);
    must(f->rerun != NULL, &err);
    f->j = ew_judge_create(f->e, metric, NULL, &err);
    must(f->j != NULL, &err);
    uint32_t n = ew_graph_n_edges(f->g);
    f->scores = ew_xcalloc(n, sizeof(*f->scores));
    struct ew_rng rng;
    ew_rng_seed(&rng, 3);
    for (uint32_t e = 0; e < n; e++) {
        f->scores[e] = e % 9 == 4 ? NAN : (float)ew_rng_normal(&rng);
    }
}

static void close_fixture(struct fixture *f)
{
    ew_judge_destroy(f->j);
    ew_engine_destroy(f->rerun);
    ew_engine_destroy(f->e);
    ew_graph_destroy(f->g);
    ew_task_destroy(f->task);
    ew_model_destroy(f->m);
    free(f->scores);
}

/* The metric of a circuit by a full rerun. */
static double from_scratch(struct fixture *f, const struct ew_bitset *kept,
                           enum ew_metric metric)
{
    struct ew_err err = {0};
    struct ew_score score;
    must(ew_engine_set(f->rerun, kept, NULL, &err), &err);
    must(ew_engine_score(f->rerun, ew_metric_want(metric), &score, NULL, &err),
         &err);
    return ew_score_metric(&score, metric);
}

static double best_from_scratch(struct fixture *f, uint32_t n,
                                enum ew_rank rank, enum ew_metric metric)
{
    struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(f->g));
    struct ew_selection selection = {.n = n, .rank = rank};
    ew_select_edges(f->g, f->scores, &selection, kept); /* not pruned */
    double value = from_scratch(f, kept, metric);
    ew_bitset_destroy(kept);
    return value;
}

static double uniform_from_scratch(struct fixture *f, bool keep,
                                   enum ew_metric metric)
{
    struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(f->g));
    ew_bitset_fill(kept, keep);
    double value = from_scratch(f, kept, metric);
    ew_bitset_destroy(kept);
    return value;
}

static void close_to(double a, double b)
{
    if (!(fabs(a - b) <= 1e-5 * fmax(1.0, fabs(b)))) {
        fail_msg("%.9g, expected %.9g", a, b);
    }
}

static void points_equal_full_reruns(void **state)
{
    (void)state;
    static const enum ew_metric metrics[] = {EW_METRIC_KL,
                                             EW_METRIC_LOGIT_DIFF};
    for (size_t m = 0; m < EW_ARRAY_LEN(metrics); m++) {
        struct fixture f = {0};
        open_fixture(&f, metrics[m]);
        double full = uniform_from_scratch(&f, true, metrics[m]);
        double empty = uniform_from_scratch(&f, false, metrics[m]);
        close_to(ew_judge_full(f.j), full);
        close_to(ew_judge_empty(f.j), empty);
        assert_true(fabs(full - empty) > 1e-3);
        for (int rank = EW_RANK_ABSOLUTE; rank <= EW_RANK_SIGNED; rank++) {
            struct ew_ranking ranking = {f.scores, (enum ew_rank)rank};
            for (size_t i = 0; i < EW_CURVE_SHARES; i++) {
                struct ew_err err = {0};
                struct ew_curve_point p;
                must(ew_curve_measure(f.j, &ranking, ew_curve_shares[i], &p,
                                      NULL, &err),
                     &err);
                double metric =
                    best_from_scratch(&f, p.chosen, ranking.rank, metrics[m]);
                close_to(p.verdict.metric, metric);
                close_to(p.verdict.recovered,
                         (metric - empty) / (full - empty));
                assert_true(p.edges <= p.chosen);
                assert_true(isnan(p.verdict.error) ==
                            (metrics[m] != EW_METRIC_LOGIT_DIFF));
            }
        }
        close_fixture(&f);
    }
}

static void shares_are_of_the_additions(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct ew_err err = {0};
    open_fixture(&f, EW_METRIC_KL);
    uint32_t n = ew_graph_n_addition(f.g);
    for (uint32_t e = 0; e < n; e++) {
        f.scores[e] = 1.0f;
    }
    struct ew_ranking ranking = {f.scores, EW_RANK_SIGNED};
    struct ew_curve_point p;
    must(ew_curve_measure(f.j, &ranking, .5, &p, NULL, &err), &err);
    assert_int_equal(p.chosen, n / 2);
    must(ew_curve_measure(f.j, &ranking, 1, &p, NULL, &err), &err);
    assert_int_equal(p.chosen, n);
    assert_int_equal(p.direct, ew_graph_n_direct(f.g));
    close_to(p.verdict.recovered, 1);
    must(ew_curve_measure(f.j, &ranking, .5 / n, &p, NULL, &err), &err);
    assert_int_equal(p.chosen, 0);
    close_to(p.verdict.recovered, 0);
    close_fixture(&f);
}

/* The error of a ratio, written out; the engine is left as it was. */
static void errors_are_over_prompts(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct ew_err err = {0};
    open_fixture(&f, EW_METRIC_LOGIT_DIFF);
    size_t n = f.task->n_prompts;
    double ld[3][8];
    assert_true(n <= 8);
    struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(f.g));
    for (int i = 0; i < 3; i++) { /* empty, full, every third cut */
        ew_bitset_fill(kept, i > 0);
        for (size_t e = 0; i == 2 && e < ew_bitset_size(kept); e += 3) {
            ew_bitset_put(kept, e, false);
        }
        must(ew_engine_set(f.rerun, kept, NULL, &err), &err);
        must(ew_engine_logit_diffs(f.rerun, ld[i], NULL, &err), &err);
    }
    struct ew_verdict v;
    must(ew_judge_circuit(f.j, kept, &v, NULL, &err), &err);
    double range = 0;
    for (size_t i = 0; i < n; i++) {
        range += (ld[1][i] - ld[0][i]) / (double)n;
    }
    double variance = 0;
    for (size_t i = 0; i < n; i++) {
        double d = ld[2][i] - ld[0][i] - v.recovered * (ld[1][i] - ld[0][i]);
        variance += d * d / (double)(n - 1);
    }
    assert_true(v.error > 1e-3);
    close_to(v.error, sqrt(variance / (double)n) / fabs(range));

    struct ew_judge *again =
        ew_judge_create(f.e, EW_METRIC_LOGIT_DIFF, NULL, &err);
    must(again != NULL, &err);
    assert_true(ew_bitset_equal(ew_engine_kept(f.e), kept));
    ew_judge_destroy(again);

    for (size_t e = 0; e < ew_bitset_size(kept); e++) {
        ew_bitset_flip(kept, e);
    }
    double others = from_scratch(&f, kept, EW_METRIC_LOGIT_DIFF);
    for (size_t e = 0; e < ew_bitset_size(kept); e++) {
        ew_bitset_flip(kept, e);
    }
    must(ew_judge_complement(f.j, kept, &v, NULL, &err), &err);
    close_to(v.metric, others);
    ew_bitset_destroy(kept);
    close_fixture(&f);
}

static void the_target_is_met_and_not_before(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct ew_err err = {0};
    open_fixture(&f, EW_METRIC_KL);
    for (uint32_t e = 0; e < ew_graph_n_edges(f.g); e++) {
        f.scores[e] = isnan(f.scores[e]) ? 0.0f : f.scores[e];
    }
    struct ew_ranking ranking = {f.scores, EW_RANK_ABSOLUTE};
    struct ew_curve_point points[EW_CURVE_SHARES];
    for (size_t i = 0; i < EW_CURVE_SHARES; i++) {
        must(ew_curve_measure(f.j, &ranking, ew_curve_shares[i], &points[i],
                              NULL, &err),
             &err);
    }
    struct ew_curve_point at;
    must(ew_curve_reach(f.j, &ranking, points, EW_CURVE_SHARES, .9, &at, NULL,
                        &err),
         &err);
    assert_true(at.chosen > 1);
    double full = ew_judge_full(f.j);
    double empty = ew_judge_empty(f.j);
    for (uint32_t less = 0; less < 2; less++) {
        double metric = best_from_scratch(&f, at.chosen - less,
                                          EW_RANK_ABSOLUTE, EW_METRIC_KL);
        bool reached = (metric - empty) / (full - empty) >= .9;
        assert_true(reached == (less == 0));
    }
    must(ew_curve_reach(f.j, &ranking, points, EW_CURVE_SHARES, 1e9, &at, NULL,
                        &err),
         &err);
    assert_int_equal(at.chosen, 0); /* nothing has so much */
    close_fixture(&f);
}

static void integrals_in_closed_form(void **state)
{
    (void)state;
    struct ew_curve_point points[EW_CURVE_SHARES] = {0};
    for (size_t i = 0; i < EW_CURVE_SHARES; i++) {
        points[i].share = ew_curve_shares[i];
        points[i].verdict.recovered = 1;
    }
    assert_true(fabs(ew_curve_area(points, EW_CURVE_SHARES) - .999) < 1e-12);
    assert_true(fabs(ew_curve_distance(points, EW_CURVE_SHARES)) < 1e-12);
    for (size_t i = 0; i < EW_CURVE_SHARES; i++) { /* f = 2 p */
        points[i].verdict.recovered = 2 * points[i].share;
    }
    assert_true(fabs(ew_curve_area(points, EW_CURVE_SHARES) - (1 - 1e-6)) <
                1e-12);
    /* 1 - 2 p up to the half, as much above it */
    double expected = (.998 * .499 + 1 * .5) / 2;
    assert_true(fabs(ew_curve_distance(points, EW_CURVE_SHARES) - expected) <
                1e-12);
    points[4].verdict.recovered = NAN;
    assert_true(isnan(ew_curve_area(points, EW_CURVE_SHARES)));
    assert_true(isnan(ew_curve_distance(points, 1)));
}

static void areas_in_closed_form(void **state)
{
    (void)state;
    struct ew_graph_spec spec = {.n_layers = 1, .n_heads = 1};
    struct ew_graph *g = ew_graph_create(&spec, NULL);
    assert_int_equal(ew_graph_n_addition(g), 5);
    struct ew_bitset *truth = ew_bitset_create(ew_graph_n_edges(g));
    float scores[8] = {5, 4, 3, 2, 1, 9, 9, 9}; /* direct ones do not count */
    struct ew_ranking ranking = {scores, EW_RANK_SIGNED};
    assert_true(isnan(ew_roc_area(g, &ranking, truth)));
    ew_bitset_put(truth, 0, true);
    ew_bitset_put(truth, 1, true);
    assert_true(ew_roc_area(g, &ranking, truth) == 1);
    scores[0] = -5; /* last by sign, first by size */
    assert_true(ew_roc_area(g, &ranking, truth) == .5);
    ranking.rank = EW_RANK_ABSOLUTE;
    assert_true(ew_roc_area(g, &ranking, truth) == 1);
    scores[1] = 2; /* behind one false edge, equal to another: 3 + 1.5 of 6 */
    assert_true(ew_roc_area(g, &ranking, truth) == 4.5 / 6);
    scores[0] = NAN;
    scores[4] = NAN; /* equal to it: 0.5 + 1.5 */
    assert_true(ew_roc_area(g, &ranking, truth) == 2.0 / 6);
    ew_bitset_destroy(truth);
    ew_graph_destroy(g);
}

/* By trapezoids it is the area; every corner turns. */
static void roc_points_enclose_the_area(void **state)
{
    (void)state;
    struct ew_graph_spec spec = {.n_layers = 2, .n_heads = 3, .has_mlp = true};
    struct ew_graph *g = ew_graph_create(&spec, NULL);
    uint32_t n = ew_graph_n_addition(g);
    float *scores = ew_xcalloc(ew_graph_n_edges(g), sizeof(*scores));
    struct ew_bitset *truth = ew_bitset_create(ew_graph_n_edges(g));
    struct ew_roc_point *points = ew_xcalloc(n + 1, sizeof(*points));
    struct ew_ranking ranking = {scores, EW_RANK_SIGNED};
    struct ew_rng rng;
    ew_rng_seed(&rng, 1);
    assert_int_equal(ew_roc_points(g, &ranking, truth, points), 0);
    for (uint32_t e = 0; e < n; e++) { /* many are equal, some unknown */
        scores[e] = (float)ew_rng_below(&rng, 12);
        scores[e] = scores[e] == 0 ? NAN : scores[e];
        ew_bitset_put(truth, e,
                      ew_rng_below(&rng, 12) < (uint64_t)fmax(2, scores[e]));
    }
    size_t n_points = ew_roc_points(g, &ranking, truth, points);
    assert_true(n_points > 3 && n_points <= 13);
    double area = 0;
    for (size_t i = 1; i < n_points; i++) {
        assert_true(points[i].chosen > points[i - 1].chosen);
        area += (points[i].false_positives - points[i - 1].false_positives) *
                (points[i].true_positives + points[i - 1].true_positives) / 2;
    }
    assert_true(fabs(area - ew_roc_area(g, &ranking, truth)) < 1e-9);
    assert_int_equal(points[n_points - 1].chosen, n);
    assert_true(points[n_points - 1].true_positives == 1);

    /* a perfect ranking has three corners */
    for (uint32_t e = 0; e < n; e++) {
        scores[e] = ew_bitset_has(truth, e) ? 1000 - (float)e : -(float)e;
    }
    assert_int_equal(ew_roc_points(g, &ranking, truth, points), 3);
    assert_true(points[1].false_positives == 0);
    assert_true(points[1].true_positives == 1);
    assert_int_equal(points[1].chosen, ew_bitset_count(truth));
    free(points);
    free(scores);
    ew_bitset_destroy(truth);
    ew_graph_destroy(g);
}

int main(void)
{
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_equal_full_reruns),
        cmocka_unit_test(shares_are_of_the_additions),
        cmocka_unit_test(errors_are_over_prompts),
        cmocka_unit_test(the_target_is_met_and_not_before),
        cmocka_unit_test(integrals_in_closed_form),
        cmocka_unit_test(areas_in_closed_form),
        cmocka_unit_test(roc_points_enclose_the_area),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
