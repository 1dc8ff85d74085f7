/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completeness and minimality on the toy engine, against the definitions: the
 * circuits that they speak of, each scored by itself.
 */
#include <math.h>

#include "edgewise/completeness.h"

#include "engine_fixture.h"
#include "ew_cmocka.h"

struct fixture {
    struct ew_task *task;
    struct ew_graph *g;
    struct ew_engine *e;
    struct ew_bitset *circuit;
    struct ew_bitset *full;
    struct ew_completeness_params params;
};

static int open_toy(void **state)
{
    struct fixture *f = ew_xcalloc(1, sizeof(*f));
    struct ew_engine_params params = {.kind = EW_ENGINE_TOY};
    struct ew_rng rng;
    f->task = fixture_task(23, 1);
    f->g = fixture_graph(&fixture_archs[1], false);
    f->e = ew_engine_create(NULL, f->task, f->g, &params, NULL, NULL);
    assert_non_null(f->e);
    f->params.metric = EW_METRIC_LOGIT_DIFF;
    f->circuit = ew_bitset_create(ew_graph_n_edges(f->g));
    f->full = ew_bitset_clone(f->circuit);
    ew_bitset_fill(f->full, true);
    ew_rng_seed(&rng, 9);
    for (size_t e = 0; e < ew_bitset_size(f->circuit); e++) {
        ew_bitset_put(f->circuit, e, ew_rng_below(&rng, 4) > 0);
    }
    *state = f;
    return 0;
}

static int close_toy(void **state)
{
    struct fixture *f = *state;
    ew_bitset_destroy(f->circuit);
    ew_bitset_destroy(f->full);
    ew_engine_destroy(f->e);
    ew_graph_destroy(f->g);
    ew_task_destroy(f->task);
    free(f);
    return 0;
}

/* The metric of `kept` without the edges out of the nodes, and without one
 * edge more. */
static double without(const struct fixture *f, const struct ew_bitset *kept,
                      const struct ew_bitset *nodes, uint32_t edge)
{
    struct ew_bitset *left = ew_bitset_clone(kept);
    struct ew_score score;
    for (uint32_t e = 0; e < ew_graph_n_addition(f->g); e++) {
        if (ew_bitset_has(nodes, ew_edge_sender(f->g, e))) {
            ew_bitset_put(left, e, false);
        }
    }
    if (edge != EW_NONE) {
        ew_bitset_put(left, edge, false);
    }
    assert_true(ew_engine_set(f->e, left, NULL, NULL));
    assert_true(ew_engine_score(f->e, EW_WANT_LOGIT_DIFF, &score, NULL, NULL));
    ew_bitset_destroy(left);
    return -score.logit_diff;
}

static double gap(const struct fixture *f, const struct ew_bitset *nodes)
{
    return fabs(without(f, f->circuit, nodes, EW_NONE) -
                without(f, f->full, nodes, EW_NONE));
}

static void incompleteness_is_the_gap(void **state)
{
    struct fixture *f = *state;
    enum { N = 4 };
    struct ew_bitset *sets[N];
    struct ew_incompleteness found[N];
    struct ew_rng rng;
    ew_rng_seed(&rng, 2);
    for (size_t i = 0; i < N; i++) { /* the first is empty */
        sets[i] = ew_bitset_create(ew_graph_n_senders(f->g));
        for (uint32_t s = 1; i > 0 && s < ew_bitset_size(sets[i]); s++) {
            ew_bitset_put(sets[i], s, ew_rng_below(&rng, 2) == 1);
        }
    }
    assert_true(ew_incompleteness(f->e, f->circuit, &f->params,
                                  (const struct ew_bitset *const *)sets, N,
                                  found, NULL, NULL));
    double largest = 0;
    for (size_t i = 0; i < N; i++) {
        assert_true(fabs(found[i].size - gap(f, sets[i])) < 1e-6);
        assert_true(
            fabs(found[i].full - without(f, f->full, sets[i], EW_NONE)) < 1e-6);
        largest = fmax(largest, found[i].size);
        ew_bitset_destroy(sets[i]);
    }
    assert_true(largest > 1e-3);
}

static void greedy_takes_what_adds_most(void **state)
{
    struct fixture *f = *state;
    uint32_t n = ew_graph_n_senders(f->g);
    struct ew_bitset *set = ew_bitset_create(n);
    struct ew_bitset *mine = ew_bitset_create(n);
    struct ew_bitset *nodes = ew_bitset_create(n);
    struct ew_incompleteness found;
    assert_true(ew_incompleteness_greedy(f->e, f->circuit, &f->params, 3, set,
                                         &found, NULL, NULL));
    ew_circuit_nodes(f->g, f->circuit, nodes);
    assert_false(ew_bitset_has(nodes, 0)); /* the embedding is none */
    double best = gap(f, mine);
    for (int step = 0; step < 3; step++) {
        uint32_t take = EW_NONE;
        for (uint32_t s = 0; s < n; s++) {
            if (!ew_bitset_has(nodes, s) || ew_bitset_has(mine, s)) {
                continue;
            }
            ew_bitset_put(mine, s, true);
            double size = gap(f, mine);
            ew_bitset_put(mine, s, false);
            if (size > best + 1e-9) {
                best = size;
                take = s;
            }
        }
        if (take != EW_NONE) {
            ew_bitset_put(mine, take, true);
        }
    }
    assert_true(ew_bitset_count(mine) > 0);
    assert_true(ew_bitset_equal(mine, set));
    assert_true(fabs(found.size - best) < 1e-6);
    ew_bitset_destroy(set);
    ew_bitset_destroy(mine);
    ew_bitset_destroy(nodes);
}

static void minimality_is_the_largest_change(void **state)
{
    struct fixture *f = *state;
    uint32_t n_edges = ew_graph_n_edges(f->g);
    uint32_t n = ew_graph_n_senders(f->g);
    struct ew_bitset *sets[2] = {ew_bitset_create(n), ew_bitset_create(n)};
    double *size = ew_xcalloc(n_edges, sizeof(*size));
    uint32_t *which = ew_xcalloc(n_edges, sizeof(*which));
    ew_bitset_put(sets[1], n - 1, true);
    ew_bitset_put(sets[1], n / 2, true);
    for (uint32_t e = 0; e < n_edges; e++) {
        size[e] = NAN;
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(ew_minimality_add(f->e, f->circuit, &f->params, sets[i], i,
                                      size, which, NULL, NULL));
    }
    size_t known = 0;
    uint32_t second = 0;
    for (uint32_t e = 0; e < n_edges; e++) {
        if (!ew_bitset_has(f->circuit, e)) {
            assert_true(isnan(size[e]));
            continue;
        }
        double want[2];
        for (int i = 0; i < 2; i++) {
            want[i] = fabs(without(f, f->circuit, sets[i], e) -
                           without(f, f->circuit, sets[i], EW_NONE));
        }
        assert_true(fabs(size[e] - fmax(want[0], want[1])) < 1e-6);
        assert_true(fabs(want[which[e]] - size[e]) < 1e-6);
        known++;
        second += which[e];
    }
    assert_int_equal(known, ew_bitset_count(f->circuit));
    assert_true(second < known);
    ew_bitset_destroy(sets[0]);
    ew_bitset_destroy(sets[1]);
    free(size);
    free(which);
}

static void a_cancelled_one_says_so(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    struct ew_cancel *cancel = ew_cancel_create();
    struct ew_bitset *set = ew_bitset_create(ew_graph_n_senders(f->g));
    const struct ew_bitset *const sets[] = {set};
    struct ew_incompleteness found;
    ew_cancel_raise(cancel);
    assert_false(ew_incompleteness(f->e, f->circuit, &f->params, sets, 1,
                                   &found, cancel, &err));
    assert_int_equal(err.code, EW_ERR_CANCELLED);
    ew_cancel_destroy(cancel);
    ew_bitset_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ON_TOY(test) cmocka_unit_test_setup_teardown(test, open_toy, close_toy)
        ON_TOY(incompleteness_is_the_gap),
        ON_TOY(greedy_takes_what_adds_most),
        ON_TOY(minimality_is_the_largest_change),
        ON_TOY(a_cancelled_one_says_so),
#undef ON_TOY
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
