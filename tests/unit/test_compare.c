/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing lists of edges: each sort of difference alone, what one side does
 * not know, the sign of scores, and files that are not what they should be.
 */
#include <math.h>
#include <string.h>

#include "edgewise/compare.h"

#include "circuits.h"

static char path[256];

static void write_text(const char *text)
{
    snprintf(path, sizeof(path), "%s/test_compare.json", EW_TEST_BUILD_DIR);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static struct ew_edge_list load(const char *text)
{
    struct ew_edge_list list;
    struct ew_err err = {0};
    write_text(text);
    if (!ew_edge_list_load(&list, path, &err)) {
        fail_msg("%s", err.message);
    }
    return list;
}

static void refused(const char *text, const char *why)
{
    struct ew_edge_list list;
    struct ew_err err = {0};
    write_text(text);
    assert_false(ew_edge_list_load(&list, path, &err));
    assert_int_equal(err.code, EW_ERR_INPUT);
    if (!strstr(err.message, why)) {
        fail_msg("expected \"%s\", found \"%s\"", why, err.message);
    }
    assert_int_equal(list.n, 0);
}

#define LOGITS "\"receiver\": \"blocks.1.hook_resid_post[:]\""
#define HEAD(l, h) "\"sender\": \"blocks." l ".attn.hook_result[:, :, " h "]\""
#define BASE                                                                   \
    "[{" LOGITS ", " HEAD(                                                     \
        "1",                                                                   \
        "0") ", \"kind\": \"addition\"},"                                      \
             " {" LOGITS ", " HEAD(                                            \
                 "0",                                                          \
                 "1") ", \"kind\": \"addition\"},"                             \
                      " {\"receiver\": \"blocks.1.attn.hook_q[:, :, 0]\","     \
                      "  \"sender\": \"blocks.1.hook_q_input[:, :, 0]\", "     \
                      "\"kind\": \"direct\"}"

/* A list is the same as itself, and as the graph's canonical names. */
static void names_of_both_dialects_are_one_edge(void **state)
{
    (void)state;
    struct ew_edge_list a = load(BASE "]");
    struct ew_edge_list b =
        load("[{\"edge\": \"a1.h0->logits\", \"kind\": \"addition\"},"
             " {\"edge\": \"a1.h0.q_in->a1.h0.q\", \"kind\": \"direct\"},"
             " {\"edge\": \"a0.h1->logits\", \"kind\": \"addition\"}]");
    struct ew_comparison c;
    ew_compare(&c, &a, &b, 0);
    assert_true(ew_comparison_same(&c));
    assert_int_equal(c.n_both, 3);
    assert_int_equal(c.n_rows, 2);
    assert_int_equal(c.rows[0].layer, 1);
    assert_int_equal(c.rows[0].kind, EW_LISTED_DIRECT);
    assert_int_equal(c.rows[1].layer, EW_LAYER_LOGITS);
    assert_int_equal(c.rows[1].n_both, 2);
    ew_comparison_finish(&c);
    ew_edge_list_finish(&a);
    ew_edge_list_finish(&b);
}

static void each_sort_is_found(void **state)
{
    (void)state;
    struct ew_edge_list a = load(BASE "]");
    struct ew_edge_list b = load("[{" LOGITS ", " HEAD(
        "1", "0") ", \"kind\": \"direct\"},"
                  " {\"receiver\": \"blocks.1.attn.hook_q[:, :, 0]\","
                  "  \"sender\": \"blocks.1.hook_q_input[:, :, 0]\","
                  "  \"kind\": \"direct\"},"
                  " {\"receiver\": \"blocks.0.hook_q_input[:, :, 0]\", " HEAD(
                      "1", "0") ", \"kind\": \"addition\"}]");
    struct ew_comparison c;
    ew_compare(&c, &a, &b, 0);
    assert_false(ew_comparison_same(&c));
    assert_int_equal(c.missing.n, 1);
    assert_string_equal(c.missing.items[0].a->name, "a0.h1->logits");
    assert_null(c.missing.items[0].b);
    assert_int_equal(c.kinds.n, 1);
    assert_string_equal(c.kinds.items[0].b->name, "a1.h0->logits");
    /* no edge of any graph, and still an edge that the other has not */
    assert_int_equal(c.extra.n, 1);
    assert_string_equal(c.extra.items[0].b->name,
                        "blocks.1.attn.hook_result[:, :, 0]->"
                        "blocks.0.hook_q_input[:, :, 0]");
    assert_int_equal(c.extra.items[0].b->id, EW_NONE);
    assert_int_equal(c.n_both, 2);
    assert_int_equal(c.n_a, 3);
    assert_int_equal(c.n_b, 3);
    assert_true(fabs(ew_jaccard(c.n_a, c.n_b, c.n_both) - 0.5) < 1e-12);
    ew_comparison_finish(&c);
    ew_edge_list_finish(&a);
    ew_edge_list_finish(&b);
}

#define CFG "{\"cfg\": {\"n_layers\": 1, \"n_heads\": 2}, \"edges\": {"
#define SIGN(s) "}, \"provenance\": {\"positive_score\": \"" s "\"}}"

static void scores_have_a_tolerance_and_a_sign(void **state)
{
    (void)state;
    struct ew_edge_list a = load(
        CFG "\"a0.h0->logits\": {\"score\": 100, \"in_graph\": true},"
            "\"a0.h1->logits\": {\"score\": -0.5, \"in_graph\": false}" SIGN(
                "needed"));
    struct ew_edge_list b = load(
        CFG "\"a0.h0->logits\": {\"score\": -100.5, \"in_graph\": true},"
            "\"a0.h1->logits\": {\"score\": 0.75, \"in_graph\": false}" SIGN(
                "harmful"));
    static const struct {
        double tolerance;
        size_t n;
    } rows[] = {{0, 2}, {0.01, 1}, {0.3, 0}, {INFINITY, 0}};
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        struct ew_comparison c;
        ew_compare(&c, &a, &b, rows[i].tolerance);
        assert_true(c.turned);
        assert_int_equal(c.n_scored, 2); /* a cut edge has a score too */
        assert_int_equal(c.scores.n, rows[i].n);
        assert_true(fabs(c.largest - 0.5) < 1e-6);
        assert_int_equal(c.n_both, 1);
        assert_int_equal(ew_comparison_same(&c), rows[i].n == 0);
        ew_comparison_finish(&c);
    }
    ew_edge_list_finish(&a);
    ew_edge_list_finish(&b);
}

static void what_one_side_does_not_know_is_left_out(void **state)
{
    (void)state;
    struct ew_edge_list a;
    ew_edge_list_of_graph(
        &a, make((struct ew_graph_spec){1, 2, false, false, false}));
    struct ew_edge_list b =
        load(CFG "\"a0.h0->logits\": 1, \"a0.h1->logits\": 0.5,"
                 "\"input->logits\": false, \"input->a0.h0<q>\": true}}");
    struct ew_comparison c;
    ew_compare(&c, &a, &b, 0);
    assert_true(c.compared[EW_LISTED_ADDITION]);
    assert_false(c.compared[EW_LISTED_DIRECT]);
    assert_false(c.compared[EW_LISTED_PLACEHOLDER]);
    assert_int_equal(c.n_a, 3 + 6); /* additions of one layer of two heads */
    assert_int_equal(c.n_b, 3);
    assert_int_equal(c.extra.n, 0);
    assert_int_equal(c.missing.n, 6);
    ew_comparison_finish(&c);
    /* as graphs: what is listed counts, but not what is not */
    ew_edge_list_keep_all(&b);
    ew_compare(&c, &a, &b, 0);
    assert_int_equal(c.n_b, 4);
    assert_int_equal(c.missing.n, 5);
    ew_comparison_finish(&c);
    ew_edge_list_finish(&a);
    ew_edge_list_finish(&b);
}

static void a_log_says_what_was_removed(void **state)
{
    (void)state;
    struct ew_edge_list a = load("{\"decisions\": [{" LOGITS ", " HEAD(
        "1",
        "0") ", \"effect\": 0.5, \"kept\": true}, {\"skipped\": \"x\"},"
             " {" LOGITS ", " HEAD(
                 "0",
                 "1") ", \"effect\": -1, \"kept\": false}],"
                      " \"final_edges\": [{" LOGITS ", " HEAD(
                          "1",
                          "0") ", \"kind\": \"addition\", \"effect\": 0.5}]}");
    assert_int_equal(a.n, 2);
    assert_true(a.items[0].kept);
    assert_false(a.items[1].kept);
    assert_true(a.items[1].score == -1.0f);
    assert_int_equal(a.sign, EW_SIGN_NEEDED);
    assert_true(a.lists[EW_LISTED_DIRECT]);
    ew_edge_list_finish(&a);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    refused("3", "expected a circuit, a list of edges or a decision log");
    refused("{\"nodes\": {}}", "without \"edges\" or \"decisions\"");
    refused("[3]", "[0]: expected an edge");
    refused("[{\"sender\": \"a\"}]", "[0]: expected an edge");
    refused(BASE ", {" LOGITS ", " HEAD("0", "1") "}]",
            "a0.h1->logits is listed twice");
    refused("[{\"edge\": \"a0.h0->logits\", \"kind\": \"magic\"}]",
            "kind: expected addition, direct or placeholder, found magic");
    refused("[{\"edge\": \"a0.h0->logits\", \"score\": \"much\"}]", "score");
    refused("[\"a999999.h999->logits\"]", "test_compare.json: ");
    refused("{\"decisions\": 3}", "expected an array");
    refused("{\"decisions\": [], \"final_edges\": {}}",
            "final_edges: expected an array, found an object");
    refused("{\"edges\": []}", "cfg");
    struct ew_edge_list list;
    struct ew_err err = {0};
    assert_false(ew_edge_list_load(&list, "/nonexistent/x.json", &err));
    assert_int_equal(err.code, EW_ERR_IO);
}

static void empty_lists_are_the_same(void **state)
{
    (void)state;
    struct ew_edge_list a = load("[]");
    struct ew_comparison c;
    ew_compare(&c, &a, &a, 0);
    assert_true(ew_comparison_same(&c));
    assert_true(ew_jaccard(c.n_a, c.n_b, c.n_both) == 1.0);
    ew_comparison_finish(&c);
    ew_edge_list_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_both_dialects_are_one_edge),
        cmocka_unit_test(each_sort_is_found),
        cmocka_unit_test(scores_have_a_tolerance_and_a_sign),
        cmocka_unit_test(what_one_side_does_not_know_is_left_out),
        cmocka_unit_test(a_log_says_what_was_removed),
        cmocka_unit_test(wrong_files_are_named),
        cmocka_unit_test(empty_lists_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
