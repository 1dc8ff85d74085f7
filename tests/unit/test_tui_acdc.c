/* SPDX-License-Identifier: Apache-2.0 */
/* ACDC by hand: going back, an input at a time, up to a doubtful edge. */
#include <math.h>

#include "tui_fixture.h"

static const struct ew_acdc_decision *last(const struct fixture *f)
{
    const struct ew_acdc_view *v = &f->app->acdc;
    assert_true(v->n_log > 0);
    return &v->log[v->n_log - 1];
}

/* Back to any point, and on again: the same decisions as without. */
static void going_back_changes_nothing_else(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "A");
    struct ew_bitset *run = ew_bitset_clone(ew_circuit_kept(f->app->circuit));
    ew_headless_keys(f->h, "u");
    for (int i = 0; i < 60; i++) {
        ew_headless_keys(f->h, i % 4 == 3 ? "ab" : i % 9 == 8 ? "bb" : "a");
    }
    assert_false(f->app->acdc.done);
    for (int i = 0; i < 305 && !f->app->acdc.done; i++) {
        ew_headless_keys(f->h, "a");
    }
    assert_true(f->app->acdc.done);
    assert_true(ew_bitset_equal(run, ew_circuit_kept(f->app->circuit)));
    assert_int_equal(f->app->acdc.n_done, 305);
    ew_bitset_destroy(run);
}

static void going_back_gives_the_same_candidate_again(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "aaaaaaaaaaaaaaaaaaaa");
    for (int i = 0; i < 12; i++) {
        struct ew_acdc_decision d = *last(f);
        uint32_t done = f->app->acdc.n_done;
        ew_headless_keys(f->h, "b");
        assert_int_equal(f->app->acdc.next, d.edge);
        assert_true(f->app->acdc.n_done < done);
        assert_true(f->app->acdc.has_peek);
        assert_float_equal(f->app->acdc.peek.effect, d.effect, 1e-6);
        assert_true(ew_edge_kept(f->app, d.edge));
        assert_int_equal(f->app->now_gen, f->app->gen);
    }
}

/* Keys that come before the way back is done do what they do after it. */
static void keys_do_not_wait_for_the_way_back(void **state)
{
    (void)state;
    static const char *const keys[] = {"ba", "b!", "bA"};
    for (size_t i = 0; i < EW_ARRAY_LEN(keys); i++) {
        struct ew_headless *slow = open_toy(2, 8, false, 24, 80);
        struct ew_headless *quick = open_toy(2, 8, false, 24, 80);
        ew_headless_keys(slow, "aaaaa");
        ew_headless_keys(slow, keys[i]);
        ew_headless_keys(quick, "aaaaa");
        ew_headless_keys_unanswered(quick, keys[i]);
        ew_headless_resize(quick, 24, 80); /* the worker answers */
        const struct ew_app *want = ew_headless_app(slow);
        const struct ew_app *have = ew_headless_app(quick);
        assert_true(have->acdc.begun);
        assert_int_equal(have->acdc.steps_waiting, 0);
        assert_int_equal(have->now_gen, have->gen);
        assert_int_equal(have->acdc.n_log, want->acdc.n_log);
        for (size_t d = 0; d < want->acdc.n_log; d++) {
            assert_int_equal(have->acdc.log[d].edge, want->acdc.log[d].edge);
            assert_int_equal(have->acdc.log[d].kept, want->acdc.log[d].kept);
        }
        assert_true(ew_bitset_equal(ew_circuit_kept(have->circuit),
                                    ew_circuit_kept(want->circuit)));
        ew_headless_destroy(slow);
        ew_headless_destroy(quick);
    }
}

static void a_second_way_back_waits_for_the_first(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "aaaaa");
    struct ew_acdc_decision d = *last(f);
    ew_headless_keys_unanswered(f->h, "bb");
    assert_true(screen_has(f, "a step is under way"));
    ew_headless_resize(f->h, 24, 80); /* the worker answers */
    assert_true(f->app->acdc.begun);
    assert_int_equal(f->app->acdc.next, d.edge);
    assert_int_equal(f->app->acdc.n_log, 4);
}

/* The other way from the same point. */
static void a_decision_taken_back_can_be_overruled(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "aaaaa");
    struct ew_acdc_decision d = *last(f);
    ew_headless_keys(f->h, "b!");
    assert_int_equal(last(f)->edge, d.edge);
    assert_int_equal(last(f)->kept, !d.kept);
    assert_true(last(f)->overruled);
    assert_int_equal(ew_edge_kept(f->app, d.edge), !d.kept);
}

/* An edge that was kept against the verdict stays so when ACDC goes back. */
static void what_was_overruled_stays_so(void **state)
{
    struct fixture *f = *state;
    do {
        ew_headless_keys(f->h, "a");
    } while (f->app->acdc.peek.kept || f->app->acdc.peek.dropped);
    uint32_t edge = f->app->acdc.peek.edge;
    ew_headless_keys(f->h, "!aab");
    assert_true(ew_edge_kept(f->app, edge));
    assert_true(f->app->acdc.next != edge);
    ew_headless_keys(f->h, "A");
    assert_true(ew_edge_kept(f->app, edge));
}

static void the_first_decision_cannot_be_gone_behind(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "b");
    assert_true(screen_has(f, "decided nothing yet"));
    ew_headless_keys(f->h, "aabbb");
    assert_int_equal(f->app->acdc.n_log, 0);
    assert_int_equal(ew_circuit_n_kept(f->app->circuit), 305);
    ew_headless_keys(f->h, "a<Tab>jj<Space>b"); /* edited by other means */
    assert_true(screen_has(f, "was edited since"));
}

/* The worker, too, when it sees nothing of the edit and the way back. */
static void an_edit_undone_at_once_ends_the_session(void **state)
{
    struct fixture *f = *state;
    const struct ew_acdc_view *v = &f->app->acdc;
    ew_headless_keys(f->h, ":view acdc<Enter>aaaa<S-Tab>");
    ew_headless_keys_unanswered(f->h, "<Space>u");
    ew_headless_resize(f->h, 24, 80); /* the worker answers */
    assert_false(v->begun);
    assert_true(v->has_peek);
    ew_headless_keys(f->h, "a");
    assert_int_equal(v->n_done, v->n_log);
}

static void an_input_is_decided_to_its_end(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "a");
    uint32_t receiver = ew_edge_receiver(f->app->graph, f->app->acdc.next);
    ew_headless_keys(f->h, "}");
    assert_false(f->app->acdc.running);
    assert_int_equal(ew_edge_receiver(f->app->graph, last(f)->edge), receiver);
    assert_true(ew_edge_receiver(f->app->graph, f->app->acdc.next) != receiver);
    assert_true(screen_has(f, "so far"));
    for (int i = 0; i < 305 && !f->app->acdc.done; i++) {
        ew_headless_keys(f->h, "}");
    }
    assert_true(f->app->acdc.done);
}

static void a_run_stops_before_the_first_doubtful_edge(void **state)
{
    struct fixture *f = *state;
    struct ew_acdc_view *v = &f->app->acdc;
    ew_headless_keys(f->h, "D");
    assert_false(v->done);
    for (size_t i = 0; i < v->n_log; i++) {
        assert_false(!v->log[i].dropped &&
                     ew_doubtful(v->log[i].effect, v->threshold, v->doubt));
    }
    assert_true(v->has_peek);
    assert_true(ew_doubtful(v->peek.effect, v->threshold, v->doubt));
    assert_true(screen_has(f, "within 25% of tau"));
    size_t n = v->n_log;
    ew_headless_keys(f->h, "D"); /* a person decides that one */
    assert_int_equal(v->n_log, n);
    ew_headless_keys(f->h, "aD");
    assert_true(v->n_log > n);
}

/* No error and no figure that nobody has worked out. */
static void a_decision_tells_an_effect_alone(void **state)
{
    struct fixture *f = *state;
    const struct ew_app *a = f->app;
    uint32_t n_edges = ew_graph_n_edges(a->graph);
    struct ew_bitset *seen = ew_bitset_create(n_edges);
    for (uint32_t e = 0; e < n_edges; e++) {
        ew_bitset_put(seen, e, a->edges[e].gen != 0);
    }
    ew_headless_keys(f->h, "A");
    size_t n_known = 0;
    size_t n_alone = 0;
    for (uint32_t e = 0; e < n_edges; e++) {
        const struct ew_known_edge *known = &a->edges[e];
        n_known += known->gen != 0;
        if (!ew_bitset_has(seen, e) && known->gen == 1) {
            n_alone++;
            assert_true(isnan(known->se) && isnan(known->ld));
        }
    }
    assert_true(n_alone > 0);
    assert_int_equal(a->n_known, n_known);
    ew_bitset_destroy(seen);
}

/* Drawn bit by bit it is what it is when drawn at once. */
static void the_scale_is_filled_as_decisions_come(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"aaaaaaaaaa", "bbb", "a!aa", "]",
                                       "A",          "u",   "a"};
    ew_headless_keys(f->h, ":view acdc<Enter>f");
    for (size_t i = 0; i < EW_ARRAY_LEN(keys); i++) {
        struct ew_buf now = {0};
        struct ew_buf anew = {0};
        ew_headless_keys(f->h, keys[i]);
        assert_int_equal(f->app->acdc.bins.n, f->app->acdc.n_log);
        ew_surface_dump(ew_headless_screen(f->h), &now);
        f->app->acdc.bins.n = 0;
        ew_surface_dump(ew_headless_screen(f->h), &anew);
        assert_string_equal(ew_buf_str(&now), ew_buf_str(&anew));
        ew_buf_finish(&now);
        ew_buf_finish(&anew);
    }
}

/* The first verdict, too, is by the threshold on the screen. */
static void the_first_candidate_is_held_against_the_threshold(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_graph_spec spec = {.n_layers = 2, .n_heads = 8};
    struct ew_tui_params params = {.model = "toy",
                                   .task = "induction:n=4",
                                   .threshold = 1000.0,
                                   .engine = {.kind = EW_ENGINE_TOY}};
    struct ew_headless *h = ew_headless_create(
        &params, ew_graph_create(&spec, &err), 40, 120, &err);
    assert_non_null(h);
    const struct ew_acdc_view *v = &ew_headless_app(h)->acdc;
    assert_true(v->has_peek);
    assert_false(v->peek.kept);
    ew_headless_keys(h, "a");
    assert_int_equal(v->n_log, 1);
    assert_false(v->log[0].kept);
    ew_headless_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_candidate_is_held_against_the_threshold),
        TEST(going_back_changes_nothing_else),
        TEST(going_back_gives_the_same_candidate_again),
        cmocka_unit_test(keys_do_not_wait_for_the_way_back),
        TEST(a_second_way_back_waits_for_the_first),
        TEST(a_decision_taken_back_can_be_overruled),
        TEST(what_was_overruled_stays_so),
        TEST(the_first_decision_cannot_be_gone_behind),
        TEST(an_edit_undone_at_once_ends_the_session),
        TEST(an_input_is_decided_to_its_end),
        TEST(the_scale_is_filled_as_decisions_come),
        TEST(a_decision_tells_an_effect_alone),
        TEST(a_run_stops_before_the_first_doubtful_edge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
