/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole nodes: how many units there are and what they are called, and that
 * ACDC and the exact scan on them give what a full rerun gives with a head's
 * three inputs cut together.
 */
#include <math.h>
#include <string.h>

#include "edgewise/acdc.h"
#include "edgewise/scan.h"
#include "edgewise/unit.h"

#include "engine_fixture.h"
#include "ew_cmocka.h"

struct fixture {
    struct ew_model *m;
    struct ew_task *task;
    struct ew_graph *g;
    struct ew_engine *e;
    struct ew_engine *rerun;
};

static void must(bool ok, const struct ew_err *err)
{
    if (!ok) {
        fail_msg("%s", err->message);
    }
}

static void open_fixture(struct fixture *f, const struct ew_arch *arch)
{
    struct ew_err err = {0};
    struct ew_engine_params params = {0};
    f->m = ew_model_random(arch, 37, (struct ew_device){0}, &err);
    must(f->m != NULL, &err);
    f->task = fixture_task(arch->d_vocab, 9);
    f->g = fixture_graph(arch, false);
    f->e = ew_engine_create(f->m, f->task, f->g, &params, NULL, &err);
    must(f->e != NULL, &err);
    params.kind = EW_ENGINE_RERUN;
    f->rerun = ew_engine_create(f->m, f->task, f->g, &params, NULL, &err);
    must(f->rerun != NULL, &err);
}

static void close_fixture(struct fixture *f)
{
    ew_engine_destroy(f->rerun);
    ew_engine_destroy(f->e);
    ew_graph_destroy(f->g);
    ew_task_destroy(f->task);
    ew_model_destroy(f->m);
}

static void gpt2_has_11611(void **state)
{
    (void)state;
    struct ew_graph_spec spec = {
        .n_layers = 12, .n_heads = 12, .has_mlp = true};
    struct ew_graph *g = ew_graph_create(&spec, NULL);
    assert_int_equal(ew_unit_count(g, true), 11611);
    assert_int_equal(ew_unit_count(g, false), 32923);
    /* every addition is in one of them */
    size_t n = 0;
    for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
        uint32_t edges[EW_UNIT_MAX];
        n += ew_unit_is(g, true, e) ? ew_unit_edges(g, true, e, edges) : 0;
    }
    assert_int_equal(n, ew_graph_n_addition(g));
    ew_graph_destroy(g);
}

static void units_are_named_without_their_input(void **state)
{
    (void)state;
    struct ew_graph_spec spec = {.n_layers = 2, .n_heads = 2, .has_mlp = true};
    struct ew_graph *g = ew_graph_create(&spec, NULL);
    struct ew_node q = {EW_NODE_Q, 1, 1};
    uint32_t unit = ew_graph_edge(g, 1, ew_graph_find_receiver(g, q));
    struct ew_buf name = {0};
    struct ew_buf receiver = {0};
    ew_unit_print(&name, g, true, unit);
    assert_string_equal(ew_buf_str(&name), "a0.h0->a1.h1");
    ew_buf_clear(&name);
    ew_unit_print(&name, g, false, unit);
    assert_string_equal(ew_buf_str(&name), "a0.h0->a1.h1<q>");
    ew_buf_clear(&name);
    ew_unit_print_acdc(&receiver, &name, g, true, unit);
    assert_string_equal(ew_buf_str(&receiver),
                        "blocks.1.hook_attn_in[:, :, 1]");
    assert_string_equal(ew_buf_str(&name),
                        "blocks.0.attn.hook_result[:, :, 0]");
    uint32_t edges[EW_UNIT_MAX];
    assert_int_equal(ew_unit_edges(g, true, unit, edges), 3);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t r = ew_edge_receiver(g, edges[i]);
        assert_int_equal(ew_graph_receiver(g, r).kind, EW_NODE_Q + (int)i);
        assert_int_equal(ew_edge_sender(g, edges[i]), 1);
    }
    ew_buf_finish(&name);
    ew_buf_finish(&receiver);
    ew_graph_destroy(g);
}

static void units_are_read_as_they_are_printed(void **state)
{
    (void)state;
    struct ew_graph_spec spec = {.n_layers = 2, .n_heads = 2, .has_mlp = true};
    struct ew_graph *g = ew_graph_create(&spec, NULL);
    struct ew_buf name = {0};
    struct ew_err err = {0};
    uint32_t unit;
    size_t n = 0;
    for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
        if (ew_unit_is(g, true, e)) {
            ew_buf_clear(&name);
            ew_unit_print(&name, g, true, e);
            must(ew_unit_parse(g, true, ew_buf_str(&name), &unit, &err), &err);
            assert_int_equal(unit, e);
            n++;
        }
    }
    assert_int_equal(n, ew_unit_count(g, true));
    must(ew_unit_parse(g, false, "a0.h0->a1.h1<k>", &unit, &err), &err);
    assert_false(ew_unit_parse(g, true, "a0.h0->a1.h1<k>", &unit, &err));
    assert_non_null(strstr(err.message, "heads as a whole"));
    assert_false(ew_unit_parse(g, true, "a1.h1.q_in->a1.h1.q", &unit, &err));
    assert_false(ew_unit_parse(g, true, "a0.h0->a7.h1", &unit, &err));
    assert_false(ew_unit_parse(g, false, "a0.h0->a1.h1", &unit, &err));
    ew_buf_finish(&name);
    ew_graph_destroy(g);
}

/* The metric of the rerun engine's circuit with a unit flipped. */
static double flipped(struct fixture *f, uint32_t unit)
{
    struct ew_err err = {0};
    uint32_t edges[EW_UNIT_MAX];
    struct ew_what_if w = {
        edges, ew_unit_flips(f->g, true, unit, ew_engine_kept(f->rerun), edges,
                             NULL)};
    struct ew_score score;
    must(ew_engine_what_if(f->rerun, &w, 1, EW_WANT_LOGIT_DIFF, &score, NULL,
                           NULL, &err),
         &err);
    return -score.logit_diff;
}

static double now(struct ew_engine *e)
{
    struct ew_err err = {0};
    struct ew_score score;
    must(ew_engine_score(e, EW_WANT_LOGIT_DIFF, &score, NULL, &err), &err);
    return -score.logit_diff;
}

static void acdc_cuts_heads_as_a_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct fixture f;
        struct ew_err err = {0};
        open_fixture(&f, &fixture_archs[i]);
        struct ew_acdc_params params = {.metric = EW_METRIC_LOGIT_DIFF,
                                        .threshold = 0.02,
                                        .nodes = true};
        struct ew_acdc *a = ew_acdc_create(f.e, &params, NULL, &err);
        must(a != NULL, &err);
        uint32_t n = 0;
        uint32_t n_kept = 0;
        double metric = now(f.rerun);
        for (; !ew_acdc_done(a); n++) {
            struct ew_acdc_decision d;
            must(ew_acdc_step(a, &d, NULL, &err), &err);
            if (!d.dropped) {
                double after = flipped(&f, d.edge);
                assert_true(fabs(d.after - after) < 1e-5);
                assert_true(fabs(d.effect - (after - metric)) < 2e-5);
            }
            n_kept += d.kept;
            must(ew_engine_set(f.rerun, ew_engine_kept(f.e), NULL, &err),
                 &err);
            metric = now(f.rerun);
        }
        assert_int_equal(n, ew_unit_count(f.g, true));
        assert_true(n_kept > 0 && n_kept < n);
        const struct ew_bitset *kept = ew_engine_kept(f.e);
        for (uint32_t e = 0; e < ew_graph_n_edges(f.g); e++) {
            uint32_t edges[EW_UNIT_MAX];
            if (!ew_unit_is(f.g, true, e)) {
                continue;
            }
            size_t m = ew_unit_edges(f.g, true, e, edges);
            for (size_t k = 1; k < m; k++) {
                assert_int_equal(ew_bitset_has(kept, edges[k]),
                                 ew_bitset_has(kept, e));
            }
        }
        assert_int_equal(
            ew_bitset_count_range(kept, ew_graph_n_addition(f.g),
                                  ew_graph_n_edges(f.g)),
            ew_graph_n_direct(f.g));
        ew_acdc_destroy(a);
        close_fixture(&f);
    }
}

/* Exact: the three cut together; estimates: their sum. */
static void scans_score_units(void **state)
{
    (void)state;
    struct fixture f;
    struct ew_err err = {0};
    open_fixture(&f, &fixture_archs[1]);
    static const char *const names[] = {"exact", "eap"};
    double metric = now(f.rerun);
    for (size_t i = 0; i < 2; i++) {
        struct ew_scan_params params = {.method = ew_scan_find(names[i], NULL),
                                        .metric = EW_METRIC_LOGIT_DIFF};
        struct ew_scan *parts = ew_scan_create(f.e, &params, NULL, &err);
        params.nodes = true;
        struct ew_scan *whole = ew_scan_create(f.e, &params, NULL, &err);
        while (!ew_scan_done(whole)) {
            must(ew_scan_step(whole, NULL, &err), &err);
        }
        while (i == 1 && !ew_scan_done(parts)) {
            must(ew_scan_step(parts, NULL, &err), &err);
        }
        assert_int_equal(ew_scan_n_known(whole), ew_unit_count(f.g, true));
        for (uint32_t e = 0; e < ew_graph_n_edges(f.g); e++) {
            double score = (double)ew_scan_scores(whole)[e];
            uint32_t edges[EW_UNIT_MAX];
            if (!ew_unit_is(f.g, true, e)) {
                assert_true(isnan(score));
                continue;
            }
            double expected = i == 0 ? flipped(&f, e) - metric : 0;
            size_t n = ew_unit_edges(f.g, true, e, edges);
            for (size_t k = 0; i == 1 && k < n; k++) {
                expected += (double)ew_scan_scores(parts)[edges[k]];
            }
            assert_true(fabs(score - expected) < 1e-5);
        }
        ew_scan_destroy(parts);
        ew_scan_destroy(whole);
    }
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
        cmocka_unit_test(gpt2_has_11611),
        cmocka_unit_test(units_are_named_without_their_input),
        cmocka_unit_test(units_are_read_as_they_are_printed),
        cmocka_unit_test(acdc_cuts_heads_as_a_whole),
        cmocka_unit_test(scans_score_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
