/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edges at single positions, on random models of every kind: at all positions
 * it is the edge itself, in one prompt it is that prompt's, and for edges out
 * of the embedding it is a cut in a task that is corrupted there alone.
 */
#include <math.h>

#include "edgewise/positions.h"

#include "engine_fixture.h"
#include "ew_cmocka.h"

enum { N_T = 8, N_B = 4 };

static const struct ew_device cpu = {0};

struct fixture {
    struct ew_model *m;
    struct ew_task *task;
    struct ew_graph *g;
    struct ew_engine *e;
};

static void open_model(struct fixture *f, const struct ew_arch *arch,
                       enum ew_ablation ablation, bool bare)
{
    struct ew_err err = {0};
    struct ew_engine_params params = {.ablation = ablation};
    f->m = ew_model_random(arch, 11, cpu, &err);
    if (f->m && bare) {
        fixture_drop_biases(f->m);
    }
    f->task = fixture_task(arch->d_vocab, 3);
    f->g = fixture_graph(arch, false);
    f->e = f->m ? ew_engine_create(f->m, f->task, f->g, &params, NULL, &err)
                : NULL;
    if (!f->e) {
        fail_msg("%s: %s", arch->name, err.message);
    }
}

static void close_model(struct fixture *f)
{
    ew_engine_destroy(f->e);
    ew_graph_destroy(f->g);
    ew_task_destroy(f->task);
    ew_model_destroy(f->m);
}

/* Cut one edge in `one_in`, or all but these. */
static void cut_some(struct fixture *f, struct ew_rng *rng, uint64_t one_in,
                     bool keep)
{
    struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(f->g));
    for (size_t e = 0; e < ew_bitset_size(kept); e++) {
        ew_bitset_put(kept, e, (ew_rng_below(rng, one_in) == 0) == keep);
    }
    assert_true(ew_engine_set(f->e, kept, NULL, NULL));
    ew_bitset_destroy(kept);
}

static struct ew_bitset *at(int prompt, int position)
{
    struct ew_bitset *where = ew_bitset_create(N_B * N_T);
    for (int b = 0; b < N_B; b++) {
        for (int t = 0; t < N_T; t++) {
            ew_bitset_put(where, (size_t)(b * N_T + t),
                          (prompt < 0 || prompt == b) &&
                              (position < 0 || position == t));
        }
    }
    return where;
}

static bool near(double a, double b)
{
    return (isnan(a) && isnan(b)) || fabs(a - b) < 1e-5 * fmax(1, fabs(b));
}

static void expect_same(const struct ew_score *a, const struct ew_score *b,
                        const char *what, uint32_t edge)
{
    for (int m = 0; m < EW_N_METRICS; m++) {
        double x = ew_score_metric(a, (enum ew_metric)m);
        double y = ew_score_metric(b, (enum ew_metric)m);
        if (!near(x, y)) {
            fail_msg("%s: edge %u: %s is %.9g, expected %.9g", what, edge,
                     ew_metric_name((enum ew_metric)m), x, y);
        }
    }
}

/* Everywhere, nowhere, and in each prompt alone. */
static void check_edge(struct fixture *f, uint32_t edge, const char *what)
{
    struct ew_err err = {0};
    struct ew_bitset *where[2 + N_B] = {at(-1, -1),
                                        ew_bitset_create(N_B * N_T)};
    struct ew_score got[2 + N_B];
    struct ew_score whole;
    struct ew_score now;
    double ld[(2 + N_B) * N_B];
    double whole_ld[N_B];
    double now_ld[N_B];
    struct ew_what_if w = {&edge, 1};
    for (int b = 0; b < N_B; b++) {
        where[2 + b] = at(b, -1);
    }
    assert_true(ew_engine_score(f->e, EW_WANT_ALL, &now, NULL, NULL));
    assert_true(ew_engine_logit_diffs(f->e, now_ld, NULL, NULL));
    assert_true(ew_engine_what_if(f->e, &w, 1, EW_WANT_ALL, &whole, whole_ld,
                                  NULL, NULL));
    if (!ew_engine_flip_at(f->e, edge, (const struct ew_bitset *const *)where,
                           2 + N_B, EW_WANT_ALL, got, ld, NULL, &err)) {
        fail_msg("%s: %s", what, err.message);
    }
    expect_same(&got[0], &whole, what, edge);
    expect_same(&got[1], &now, what, edge);
    struct ew_score kl[2 + N_B]; /* asked for alone */
    assert_true(ew_engine_flip_at(f->e, edge,
                                  (const struct ew_bitset *const *)where,
                                  2 + N_B, EW_WANT_KL, kl, NULL, NULL, &err));
    for (int i = 0; i < 2 + N_B; i++) {
        if (!near(kl[i].kl, got[i].kl)) {
            fail_msg("%s: edge %u: KL alone is %.9g, expected %.9g", what, edge,
                     kl[i].kl, got[i].kl);
        }
    }
    for (int lane = 2; lane < 2 + N_B; lane++) {
        for (int b = 0; b < N_B; b++) {
            double want = b == lane - 2 ? whole_ld[b] : now_ld[b];
            assert_true(near(ld[lane * N_B + b], want));
        }
    }
    for (int i = 0; i < 2 + N_B; i++) {
        ew_bitset_destroy(where[i]);
    }
}

/* For each receiver: one of its additions, and its direct edge. */
static void check_some(struct fixture *f, struct ew_rng *rng, const char *what)
{
    for (uint32_t r = 0; r < ew_graph_n_receivers(f->g); r++) {
        uint32_t n = ew_graph_n_senders_of(f->g, r);
        uint32_t direct = ew_graph_direct_edge(f->g, r);
        check_edge(f,
                   ew_graph_first_edge(f->g, r) +
                       (uint32_t)ew_rng_below(rng, n),
                   what);
        if (direct != EW_NONE) {
            check_edge(f, direct, what);
        }
    }
}

static void at_all_positions_is_the_edge(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct fixture f;
        struct ew_rng rng;
        ew_rng_seed(&rng, 5 + i);
        open_model(&f, &fixture_archs[i],
                   i == 1 ? EW_ABLATE_ZERO : EW_ABLATE_CORRUPTED, false);
        check_some(&f, &rng, fixture_archs[i].name);
        cut_some(&f, &rng, 6, false);
        check_some(&f, &rng, fixture_archs[i].name);
        close_model(&f);
    }
}

/* Where inputs come to nothing, at all positions or in one prompt. */
static void where_nothing_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct fixture f;
        struct ew_rng rng;
        ew_rng_seed(&rng, 50 + i);
        open_model(&f, &fixture_archs[i], EW_ABLATE_ZERO, true);
        for (uint64_t one_in = 2; one_in < 5; one_in++) {
            cut_some(&f, &rng, one_in, true);
            check_some(&f, &rng, fixture_archs[i].name);
        }
        close_model(&f);
    }
}

/* A task that is corrupted at one position has a sender that differs there. */
static void one_position_is_a_task_corrupted_there(void **state)
{
    (void)state;
    double largest = 0;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct fixture f;
        open_model(&f, &fixture_archs[i], EW_ABLATE_CORRUPTED, false);
        struct ew_score full;
        assert_true(ew_engine_score(f.e, EW_WANT_ALL, &full, NULL, NULL));
        for (int p = 2; p < N_T - 1; p++) {
            struct ew_task *there = fixture_task(fixture_archs[i].d_vocab, 3);
            for (int j = 0; j < N_B * N_T; j++) {
                if (j % N_T != p) {
                    there->corrupt[j] = there->clean[j];
                }
            }
            struct ew_engine_params params = {0};
            struct ew_engine *other =
                ew_engine_create(f.m, there, f.g, &params, NULL, NULL);
            assert_non_null(other);
            struct ew_bitset *where = at(-1, p);
            const struct ew_bitset *const wheres[] = {where};
            for (uint32_t r = 0; r < ew_graph_n_receivers(f.g); r++) {
                uint32_t edge = ew_graph_first_edge(f.g, r); /* input -> r */
                struct ew_what_if w = {&edge, 1};
                struct ew_score want;
                struct ew_score got;
                assert_true(ew_engine_what_if(other, &w, 1, EW_WANT_ALL, &want,
                                              NULL, NULL, NULL));
                assert_true(ew_engine_flip_at(f.e, edge, wheres, 1, EW_WANT_ALL,
                                              &got, NULL, NULL, NULL));
                expect_same(&got, &want, fixture_archs[i].name, edge);
                largest = fmax(largest, fabs(got.logit_diff - full.logit_diff));
            }
            ew_bitset_destroy(where);
            ew_engine_destroy(other);
            ew_task_destroy(there);
        }
        close_model(&f);
    }
    assert_true(largest > 1e-3); /* something was there to see */
}

/* The first layer's q has one sender: to cut it is to cut the direct edge. */
static void direct_edges_are_cut_there_too(void **state)
{
    (void)state;
    struct fixture f;
    open_model(&f, &fixture_archs[1], EW_ABLATE_CORRUPTED, false);
    for (uint32_t r = 0; r < 3; r++) { /* q, k, v of a0.h0 */
        for (int p = 2; p < N_T; p++) {
            struct ew_bitset *where = at(-1, p);
            const struct ew_bitset *const wheres[] = {where};
            struct ew_score got[2];
            uint32_t edge[2] = {ew_graph_first_edge(f.g, r),
                                ew_graph_direct_edge(f.g, r)};
            for (int i = 0; i < 2; i++) {
                assert_true(ew_engine_flip_at(f.e, edge[i], wheres, 1,
                                              EW_WANT_ALL, &got[i], NULL, NULL,
                                              NULL));
            }
            expect_same(&got[1], &got[0], "direct", edge[1]);
            ew_bitset_destroy(where);
        }
    }
    close_model(&f);
}

static void the_rerun_says_no(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct fixture f;
    open_model(&f, &fixture_archs[1], EW_ABLATE_CORRUPTED, false);
    struct ew_engine_params params = {.kind = EW_ENGINE_RERUN};
    struct ew_engine *e =
        ew_engine_create(f.m, f.task, f.g, &params, NULL, NULL);
    struct ew_bitset *where = at(-1, 3);
    const struct ew_bitset *const wheres[] = {where};
    struct ew_score score;
    assert_false(ew_engine_flip_at(e, 0, wheres, 1, EW_WANT_ALL, &score, NULL,
                                   NULL, &err));
    assert_int_equal(err.code, EW_ERR_USAGE);
    ew_bitset_destroy(where);
    ew_engine_destroy(e);
    close_model(&f);
}

/* The toy does it too; at all positions it is the whole flip. */
static void the_toy_adds_up(void **state)
{
    (void)state;
    struct ew_task *task = fixture_task(23, 1);
    struct ew_graph *g = fixture_graph(&fixture_archs[1], false);
    struct ew_engine_params params = {.kind = EW_ENGINE_TOY};
    struct ew_engine *e = ew_engine_create(NULL, task, g, &params, NULL, NULL);
    struct ew_bitset *where = ew_bitset_create(task->n_prompts * task->n_pos);
    for (size_t i = 0; i < ew_bitset_size(where); i++) {
        ew_bitset_put(where, i, true);
    }
    const struct ew_bitset *const wheres[] = {where};
    for (uint32_t edge = 0; edge < ew_graph_n_edges(g); edge++) {
        struct ew_what_if what = {&edge, 1};
        struct ew_score all, here;
        assert_true(ew_engine_what_if(e, &what, 1, EW_WANT_LOGIT_DIFF, &all,
                                      NULL, NULL, NULL));
        assert_true(ew_engine_flip_at(e, edge, wheres, 1, EW_WANT_LOGIT_DIFF,
                                      &here, NULL, NULL, NULL));
        assert_float_equal(here.logit_diff, all.logit_diff, 1e-9);
    }
    ew_bitset_destroy(where);
    ew_engine_destroy(e);
    ew_graph_destroy(g);
    ew_task_destroy(task);
}

int main(void)
{
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_all_positions_is_the_edge),
        cmocka_unit_test(where_nothing_is_left),
        cmocka_unit_test(one_position_is_a_task_corrupted_there),
        cmocka_unit_test(direct_edges_are_cut_there_too),
        cmocka_unit_test(the_rerun_says_no),
        cmocka_unit_test(the_toy_adds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
