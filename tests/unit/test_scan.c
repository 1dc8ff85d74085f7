/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scans without a model, on the toy engine: what a step does, what a
 * cancelled one leaves, and the order of rank. The numbers themselves are
 * test_attribute's and test_cli_scan's.
 */
#include <math.h>
#include <string.h>

#include "edgewise/rng.h"
#include "edgewise/scan.h"

#include "engine_fixture.h"
#include "ew_cmocka.h"

struct fixture {
    struct ew_task *task;
    struct ew_graph *g;
    struct ew_engine *e;
};

static int open_toy(void **state)
{
    struct fixture *f = ew_xcalloc(1, sizeof(*f));
    struct ew_engine_params params = {.kind = EW_ENGINE_TOY};
    f->task = fixture_task(23, 1);
    f->g = fixture_graph(&fixture_archs[1], false);
    f->e = ew_engine_create(NULL, f->task, f->g, &params, NULL, NULL);
    assert_non_null(f->e);
    *state = f;
    return 0;
}

static int close_toy(void **state)
{
    struct fixture *f = *state;
    ew_engine_destroy(f->e);
    ew_graph_destroy(f->g);
    ew_task_destroy(f->task);
    free(f);
    return 0;
}

static struct ew_scan *exact(const struct fixture *f,
                             struct ew_scan_params params)
{
    params.method = ew_scan_find("exact", NULL);
    params.metric = EW_METRIC_LOGIT_DIFF;
    struct ew_scan *s = ew_scan_create(f->e, &params, NULL, NULL);
    assert_non_null(s);
    return s;
}

static double metric_of(struct ew_engine *e, uint32_t flipped)
{
    struct ew_score score;
    struct ew_what_if w = {&flipped, 1};
    assert_true(ew_engine_what_if(e, &w, 1, EW_WANT_LOGIT_DIFF, &score, NULL,
                                  NULL, NULL));
    return -score.logit_diff;
}

/* Metric without the edge minus metric with it, for kept and cut ones. */
static void check_effects(const struct fixture *f, const struct ew_scan *s)
{
    struct ew_score now;
    assert_true(ew_engine_score(f->e, EW_WANT_LOGIT_DIFF, &now, NULL, NULL));
    for (uint32_t e = 0; e < ew_graph_n_edges(f->g); e++) {
        double effect = metric_of(f->e, e) + now.logit_diff;
        if (!ew_bitset_has(ew_engine_kept(f->e), e)) {
            effect = -effect;
        }
        assert_true(fabs((double)ew_scan_scores(s)[e] - effect) < 1e-5);
    }
}

static void run_to_the_end(struct ew_scan *s)
{
    while (!ew_scan_done(s)) {
        uint32_t before = ew_scan_n_known(s);
        assert_true(ew_scan_step(s, NULL, NULL));
        assert_true(ew_scan_n_known(s) > before);
    }
}

static void every_edge_gets_its_effect(void **state)
{
    struct fixture *f = *state;
    struct ew_scan *s = exact(f, (struct ew_scan_params){0});
    assert_int_equal(ew_scan_n_known(s), 0);
    assert_true(isnan(ew_scan_scores(s)[0]));
    run_to_the_end(s);
    assert_int_equal(ew_scan_n_known(s), ew_graph_n_edges(f->g));
    check_effects(f, s);
    struct ew_err err = {0};
    assert_false(ew_scan_step(s, NULL, &err)); /* nothing is left */
    ew_scan_destroy(s);
}

static void effects_are_those_of_the_circuit(void **state)
{
    struct fixture *f = *state;
    uint32_t n = ew_graph_n_edges(f->g);
    struct ew_bitset *kept = ew_bitset_create(n);
    struct ew_rng rng;
    ew_rng_seed(&rng, 7);
    for (uint32_t e = 0; e < n; e++) {
        ew_bitset_put(kept, e, ew_rng_below(&rng, 3) > 0);
    }
    assert_true(ew_engine_set(f->e, kept, NULL, NULL));
    struct ew_scan *s = exact(f, (struct ew_scan_params){0});
    run_to_the_end(s);
    check_effects(f, s);
    /* and the circuit is still that one */
    assert_true(ew_bitset_equal(ew_engine_kept(f->e), kept));
    ew_scan_destroy(s);
    ew_bitset_destroy(kept);
}

/* All of a random scan's scores; destroys the scan. */
static float *draw(const struct fixture *f, uint64_t seed, bool nodes,
                   uint32_t *n)
{
    struct ew_scan_params params = {.method = ew_scan_find("random", NULL),
                                    .seed = seed,
                                    .nodes = nodes};
    struct ew_scan *s = ew_scan_create(f->e, &params, NULL, NULL);
    assert_non_null(s);
    run_to_the_end(s);
    *n = ew_scan_n_known(s);
    uint32_t n_edges = ew_graph_n_edges(f->g);
    float *scores = ew_xcalloc(n_edges, sizeof(*scores));
    memcpy(scores, ew_scan_scores(s), n_edges * sizeof(*scores));
    ew_scan_destroy(s);
    return scores;
}

static void random_scores_are_the_seeds(void **state)
{
    struct fixture *f = *state;
    uint32_t n_edges = ew_graph_n_edges(f->g);
    uint32_t n[4];
    float *a = draw(f, 7, false, &n[0]);
    float *b = draw(f, 7, false, &n[1]);
    float *c = draw(f, 8, false, &n[2]);
    float *d = draw(f, 7, true, &n[3]);
    double sum = 0;
    uint32_t same = 0;
    uint32_t n_nodes = 0;
    for (uint32_t e = 0; e < n_edges; e++) {
        assert_true(a[e] == b[e]);
        assert_true(a[e] >= 0.0f && a[e] < 1.0f);
        sum += (double)a[e];
        same += a[e] == c[e];
        n_nodes += !isnan(d[e]);
        assert_true(isnan(d[e]) || d[e] == a[e]);
    }
    assert_int_equal(n[0], n_edges);
    assert_int_equal(n[3], n_nodes);
    assert_true(n_nodes > 0 && n_nodes < n_edges / 2);
    assert_true(same < 3);
    assert_true(fabs(sum / n_edges - 0.5) < 0.1);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void raise_after_some(void *user, size_t done, size_t total)
{
    if (done > total / 3) {
        ew_cancel_raise(user);
    }
}

static void a_cancelled_scan_goes_on(void **state)
{
    struct fixture *f = *state;
    struct ew_cancel *cancel = ew_cancel_create();
    struct ew_scan *s =
        exact(f, (struct ew_scan_params){.progress = raise_after_some,
                                         .user = cancel});
    struct ew_err err = {0};
    while (ew_scan_step(s, cancel, &err)) {
    }
    assert_int_equal(err.code, EW_ERR_CANCELLED);
    uint32_t known = ew_scan_n_known(s);
    assert_true(known > 0 && known < ew_graph_n_edges(f->g));

    /* in the same scan, or in another that takes over what is known */
    struct ew_scan *other = exact(f, (struct ew_scan_params){0});
    for (uint32_t e = 0; e < ew_graph_n_edges(f->g); e++) {
        ew_scan_know(other, e, ew_scan_scores(s)[e]);
    }
    assert_int_equal(ew_scan_n_known(other), known);
    run_to_the_end(s);
    run_to_the_end(other);
    check_effects(f, s);
    check_effects(f, other);
    ew_scan_destroy(s);
    ew_scan_destroy(other);
    ew_cancel_destroy(cancel);
}

static void the_table_says_what_there_is(void **state)
{
    struct fixture *f = *state;
    size_t n;
    const struct ew_scan_method *methods = ew_scan_methods(&n);
    assert_true(n >= 4);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(ew_scan_find(methods[i].name, NULL), &methods[i]);
        assert_non_null(methods[i].step);
        assert_true(strlen(methods[i].what) > 10);
    }
    struct ew_err err = {0};
    assert_null(ew_scan_find("guess", &err));
    assert_int_equal(err.code, EW_ERR_USAGE);
    assert_non_null(strstr(err.message, "clean-corrupted"));

    struct ew_scan_params params = {.method = ew_scan_find("eap", NULL),
                                    .steps = 3};
    assert_null(ew_scan_create(f->e, &params, NULL, &err));
    assert_int_equal(err.code, EW_ERR_USAGE);
    /* the toy has no gradients: the step says so and nothing is known */
    params.steps = 0;
    struct ew_scan *s = ew_scan_create(f->e, &params, NULL, &err);
    assert_non_null(s);
    assert_false(ew_scan_step(s, NULL, &err));
    assert_int_equal(ew_scan_n_known(s), 0);
    ew_scan_destroy(s);
}

static void rank_is_by_size_or_by_sign(void **state)
{
    (void)state;
    const float scores[] = {0.5f, -2.0f, NAN, 1.0f, 0.5f, -0.25f};
    const uint32_t absolute[] = {1, 3, 0, 4, 5};
    const uint32_t by_sign[] = {3, 0, 4, 5, 1};
    uint32_t edges[6];
    assert_int_equal(ew_scan_rank(scores, 6, EW_RANK_ABSOLUTE, edges), 5);
    assert_memory_equal(edges, absolute, sizeof(absolute));
    assert_int_equal(ew_scan_rank(scores, 6, EW_RANK_SIGNED, edges), 5);
    assert_memory_equal(edges, by_sign, sizeof(by_sign));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ON_TOY(test) cmocka_unit_test_setup_teardown(test, open_toy, close_toy)
        ON_TOY(every_edge_gets_its_effect),
        ON_TOY(effects_are_those_of_the_circuit),
        ON_TOY(random_scores_are_the_seeds),
        ON_TOY(a_cancelled_scan_goes_on),
        ON_TOY(the_table_says_what_there_is),
        cmocka_unit_test(rank_is_by_size_or_by_sign),
#undef ON_TOY
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
