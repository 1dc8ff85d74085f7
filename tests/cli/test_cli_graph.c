/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise graph` against the official ACDC's graphs: counts and every edge.
 * No module can be found: libtorch must not be needed.
 */
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

static const char *const cases[] = {"acdc/induction-2l", "acdc/gelu3l",
                                    "acdc/attn2l", "acdc/gpt2-shape"};

static json_int_t count(const json_t *counts, const char *key)
{
    const json_t *value = json_object_get(counts, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void check_counts(const char *model, const json_t *expected, bool split)
{
    json_t *got = CLI_JSON("graph", model, "--counts", "--json",
                           split ? "--split-embed" : "--counts");
    json_int_t addition = count(expected, "ADDITION");
    assert_int_equal(count(got, "addition"), addition);
    assert_int_equal(count(got, "mib"), addition);
    assert_int_equal(count(got, "direct"),
                     count(expected, "DIRECT_COMPUTATION"));
    assert_int_equal(count(got, "placeholder"), count(expected, "PLACEHOLDER"));
    assert_int_equal(
        count(got, "acdc"),
        count(expected, "count_no_edges(ADDITION+DIRECT_COMPUTATION)"));
    assert_int_equal(json_object_size(got), 5);
    json_decref(got);
}

static void counts_are_the_official_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/edge_counts.json", cases[i]);
        json_t *counts = cli_load(ew_test_reference(path));
        const char *model = ew_test_reference(cases[i]);
        check_counts(model, json_object_get(counts, "default"), false);
        check_counts(model, json_object_get(counts, "use_pos_embed"), true);
        json_decref(counts);
    }
}

/* "kind receiver <- sender" of every edge -> true */
static json_t *edge_set(const json_t *edges, bool ours)
{
    json_t *set = json_object();
    size_t i;
    json_t *edge;
    json_array_foreach(edges, i, edge)
    {
        const json_t *ends = ours ? json_object_get(edge, "acdc") : edge;
        char key[300];
        snprintf(key, sizeof(key), "%s %s <- %s",
                 json_string_value(json_object_get(edge, "kind")),
                 json_string_value(json_object_get(ends, "receiver")),
                 json_string_value(json_object_get(ends, "sender")));
        json_object_set_new(set, key, json_true());
    }
    assert_int_equal(json_object_size(set), json_array_size(edges));
    return set;
}

static void check_edges(const char *model, const char *expected_path,
                        bool split)
{
    json_t *expected = cli_load(expected_path);
    json_t *got = CLI_JSON("graph", model, "--edges", "--json",
                           split ? "--split-embed" : "--edges");
    json_t *theirs = edge_set(expected, false);
    json_t *ours = edge_set(got, true);
    const char *key;
    json_t *value;
    json_object_foreach(theirs, key, value)
    {
        if (!json_object_get(ours, key)) {
            fail_msg("%s: missing: %s", model, key);
        }
    }
    assert_int_equal(json_object_size(ours), json_object_size(theirs));
    json_decref(theirs);
    json_decref(ours);
    json_decref(got);
    json_decref(expected);
}

static void edges_are_the_official_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char path[512];
        const char *model = ew_test_reference(cases[i]);
        snprintf(path, sizeof(path), "%s/edges.json", cases[i]);
        check_edges(model, ew_test_reference(path), false);
        snprintf(path, sizeof(path), "%s/edges_posembed.json", cases[i]);
        check_edges(model, ew_test_reference(path), true);
    }
}

static void an_edge_has_all_its_names(void **state)
{
    (void)state;
    json_t *edges =
        CLI_JSON("graph", ew_test_reference(cases[0]), "--edges", "--json");
    size_t i;
    json_t *edge;
    size_t found = 0;
    json_array_foreach(edges, i, edge)
    {
        const char *name = json_string_value(json_object_get(edge, "edge"));
        assert_non_null(name);
        if (strcmp(name, "a0.h1->a1.h2<q>") == 0) {
            const json_t *acdc = json_object_get(edge, "acdc");
            assert_string_equal(
                json_string_value(json_object_get(acdc, "receiver")),
                "blocks.1.hook_q_input[:, :, 2]");
            assert_string_equal(
                json_string_value(json_object_get(acdc, "sender")),
                "blocks.0.attn.hook_result[:, :, 1]");
            found++;
        }
    }
    assert_int_equal(found, 1);
    json_decref(edges);
}

static void text_says_the_same(void **state)
{
    (void)state;
    const char *model = ew_test_reference(cases[1]);
    struct cli_result r = CLI("graph", model, "--edges");
    assert_int_equal(r.status, 0);
    size_t lines = 0;
    for (const char *p = r.out; *p; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(lines, 337);
    assert_non_null(strstr(r.out, "a2.h3.q_in->a2.h3.q "));
    cli_free(&r);
    r = CLI("graph", model);
    assert_non_null(strstr(r.out, "298"));
    cli_free(&r);
    json_t *nodes = CLI_JSON("graph", model, "--nodes", "--json");
    /* 1 + 12 heads + 3 MLPs; 36 q, k, v + 3 MLPs + logits */
    assert_int_equal(json_array_size(nodes), 16 + 40);
    json_decref(nodes);
}

int main(void)
{
    ew_test_need(EW_REFERENCE_DIR "/acdc");
    setenv("EDGEWISE_MODULES", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_the_official_ones),
        cmocka_unit_test(edges_are_the_official_ones),
        cmocka_unit_test(an_edge_has_all_its_names),
        cmocka_unit_test(text_says_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
