/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise diff`: our graphs are the official ones, edge for edge; each sort
 * of difference that is planted is found, and nothing else. No module can be
 * found: libtorch must not be needed.
 */
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

static const char *const cases[] = {"induction-2l", "gelu3l", "attn2l"};

/* A file of a case, in a buffer of its own. */
static const char *file_of(const char *name, const char *file)
{
    char below[256];
    snprintf(below, sizeof(below), "acdc/%s/%s", name, file);
    return ew_test_reference(below);
}

/* Run, expect this status, and parse what was printed. */
static json_t *diff(int status, const char *const *args)
{
    struct cli_result r = cli_call(args);
    if (r.status != status) {
        fail_msg("diff %s %s: status %d, expected %d: %s%s", args[1], args[2],
                 r.status, status, r.out, r.err);
    }
    json_t *value = json_loads(r.out, 0, NULL);
    assert_non_null(value);
    assert_string_equal(r.err, "");
    cli_free(&r);
    return value;
}
#define DIFF(status, ...)                                                      \
    diff(status, (const char *const[]){"diff", __VA_ARGS__, "--json", NULL})

static json_int_t integer(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void sizes(const json_t *d, size_t missing, size_t extra, size_t kinds,
                  size_t scores)
{
    const struct {
        const char *key;
        size_t n;
    } rows[] = {{"missing", missing},
                {"extra", extra},
                {"kinds", kinds},
                {"scores", scores}};
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        const json_t *list = json_object_get(d, rows[i].key);
        if (!json_is_array(list) || json_array_size(list) != rows[i].n) {
            fail_msg("%s: %zu, expected %zu", rows[i].key,
                     json_array_size(list), rows[i].n);
        }
    }
}

static void our_graphs_are_the_official_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        const char *model = file_of(cases[i], "config.json");
        json_t *d = DIFF(0, model, file_of(cases[i], "edges.json"));
        assert_true(json_is_true(json_object_get(d, "same")));
        assert_int_equal(json_array_size(json_object_get(d, "left_out")), 0);
        sizes(d, 0, 0, 0, 0);
        json_decref(d);
        d = DIFF(0, file_of(cases[i], "edges_posembed.json"), model,
                 "--split-embed");
        assert_int_equal(json_array_size(json_object_get(d, "left_out")), 0);
        json_decref(d);
        /* a split embedding is another graph */
        d = DIFF(1, model, file_of(cases[i], "edges_posembed.json"));
        assert_true(json_is_false(json_object_get(d, "same")));
        json_decref(d);
    }
}

static void mib_has_our_additions(void **state)
{
    (void)state;
    const char *mib = ew_test_reference("circuits/mib-ioi-eap-ig.json");
    json_t *d = DIFF(0, ew_test_reference("acdc/gpt2-shape"), mib);
    assert_int_equal(integer(d, "both"), 32491);
    assert_int_equal(json_array_size(json_object_get(d, "left_out")), 2);
    json_decref(d);
    d = DIFF(0, mib, mib);
    assert_int_equal(integer(d, "both"), 756);
    assert_int_equal(integer(d, "scored"), 32491);
    json_decref(d);
}

/* The logs that kept everything list the graph, as far as scores. */
static void logs_are_read(void **state)
{
    (void)state;
    const char *log = file_of("gelu3l", "acdc_kl_keep-all.json");
    json_t *d = DIFF(0, file_of("gelu3l", ""), log);
    assert_int_equal(integer(d, "both"), 337);
    json_decref(d);
    d = DIFF(1, file_of("gelu3l", "acdc_kl_0.05.json"),
             file_of("gelu3l", "acdc_kl_0.05_remove-redundant.json"));
    sizes(d, 23, 0, 0, 0);
    json_decref(d);
    d = DIFF(0, file_of("gelu3l", "acdc_kl_0.05.json"),
             file_of("gelu3l", "acdc_kl_0.05_indices-normal.json"),
             "--tolerance", "inf");
    json_decref(d);
}

/* ---- planted differences ---- */

/* The path is good until the next dump. */
static const char *dump(json_t *value, const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s", cli_temp(name));
    assert_int_equal(json_dump_file(value, path, 0), 0);
    return path;
}

static const char *first(const json_t *d, const char *key, const char *field)
{
    return json_string_value(
        json_object_get(json_array_get(json_object_get(d, key), 0), field));
}

static void planted_in_a_list(void **state)
{
    (void)state;
    const char *model = file_of("gelu3l", "config.json");
    json_t *list = cli_load(file_of("gelu3l", "edges.json"));
    json_t *held = json_incref(json_array_get(list, 5));
    json_t *d;

    json_array_remove(list, 5);
    d = DIFF(1, model, dump(list, "missing.json"));
    sizes(d, 1, 0, 0, 0);
    assert_string_equal(first(d, "missing", "edge"), "m1->logits");
    assert_string_equal(first(d, "missing", "kind"), "addition");
    json_decref(d);

    json_array_append_new(list, json_copy(held));
    json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "receiver",
                                          "blocks.0.hook_q_input[:, :, 1]",
                                          "sender", "blocks.2.hook_mlp_out[:]",
                                          "kind", "addition"));
    d = DIFF(1, model, dump(list, "extra.json"));
    sizes(d, 0, 1, 0, 0);
    json_decref(d);

    json_array_remove(list, json_array_size(list) - 1);
    json_object_set_new(json_array_get(list, 7), "kind",
                        json_string("placeholder"));
    d = DIFF(1, model, dump(list, "kind.json"));
    sizes(d, 0, 0, 1, 0);
    assert_string_equal(first(d, "kinds", "a"), "addition");
    assert_string_equal(first(d, "kinds", "b"), "placeholder");
    json_decref(d);
    json_decref(held);
    json_decref(list);
}

static void planted_in_a_circuit(void **state)
{
    (void)state;
    const char *mib = ew_test_reference("circuits/mib-ioi-eap-ig.json");
    static const char edge[] = "a9.h9->logits";
    json_t *circuit = cli_load(mib);
    json_t *entry = json_object_get(json_object_get(circuit, "edges"), edge);
    double score = json_number_value(json_object_get(entry, "score"));
    assert_true(json_is_true(json_object_get(entry, "in_graph")));

    json_object_set_new(entry, "score", json_real(score + 0.001));
    const char *path = dump(circuit, "planted.json");
    json_t *d = DIFF(1, mib, path);
    sizes(d, 0, 0, 0, 1);
    assert_string_equal(first(d, "scores", "edge"), edge);
    const json_t *acdc = json_object_get(
        json_array_get(json_object_get(d, "scores"), 0), "acdc");
    assert_string_equal(json_string_value(json_object_get(acdc, "receiver")),
                        "blocks.11.hook_resid_post[:]");
    json_decref(d);
    json_decref(DIFF(0, mib, path, "--tolerance", "0.01"));

    json_object_set_new(entry, "score", json_real(score));
    json_object_set_new(entry, "in_graph", json_false());
    dump(circuit, "planted.json");
    d = DIFF(1, mib, path);
    sizes(d, 1, 0, 0, 0);
    assert_int_equal(integer(d, "both"), 755);
    json_decref(d);
    d = DIFF(1, path, mib);
    sizes(d, 0, 1, 0, 0);
    json_decref(d);
    json_decref(DIFF(0, path, mib, "--graph")); /* the graph is the same */

    struct cli_result r = CLI("diff", mib, path);
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.out, "- a9.h9->logits  addition, cut in B\n"));
    assert_non_null(strstr(r.out, "different: 755 in both, 1 missing"));
    assert_non_null(strstr(r.out, "scores: 32491 on both sides, 0 differ"));
    cli_free(&r);
    json_decref(circuit);
}

static void trouble_is_2_and_up(void **state)
{
    (void)state;
    const char *mib = ew_test_reference("circuits/mib-ioi-eap-ig.json");
    cli_expect_error(CLI("diff", mib), 2, "which two");
    cli_expect_error(CLI("diff", "-", "-"), 2, "twice");
    cli_expect_error(CLI("diff", mib, mib, "--tolerance", "-1"), 2,
                     "0 or more");
    cli_expect_error(CLI("diff", mib, "/nonexistent/c.json"), 3,
                     "/nonexistent/c.json");
    cli_expect_error(CLI("diff", "no-such-model", mib), 3, "no-such-model");
    const char *bad = cli_temp("bad.json");
    cli_write(bad, "{\"n_layers\": 2}");
    cli_expect_error(CLI("diff", mib, bad), 3, "expected a circuit");
    if (access("/dev/full", W_OK) == 0) {
        const char *const args[] = {"diff", "induction-2l", mib, NULL};
        assert_int_equal(cli_run_to("/dev/full", args), 3);
    }
}

/* As the Hugging Face cache has it. */
static void a_model_goes_by_its_published_name(void **state)
{
    (void)state;
    char command[4096];
    char hub[512];
    const char *config = ew_test_reference("acdc/gelu3l/config.json");
    snprintf(hub, sizeof(hub), "%s", cli_temp("hub"));
    snprintf(command, sizeof(command),
             "d='%s/models--Org--toy' && mkdir -p $d/refs $d/snapshots/abc && "
             "printf abc >$d/refs/main && cp '%s' $d/snapshots/abc/",
             hub, config);
    assert_int_equal(system(command), 0);
    setenv("HF_HUB_CACHE", hub, 1);
    json_t *d = DIFF(0, "Org/toy", config);
    sizes(d, 0, 0, 0, 0);
    json_decref(d);
    unsetenv("HF_HUB_CACHE");
}

/* What our own commands print can be compared. */
static void our_own_output_is_read(void **state)
{
    (void)state;
    json_t *edges = CLI_JSON("graph", "induction-2l", "--edges", "--json");
    json_t *d = DIFF(0, "induction-2l", dump(edges, "ours.json"));
    assert_int_equal(integer(d, "both"), 257 + 48 + 48);
    json_decref(d);
    json_decref(edges);
}

int main(void)
{
    ew_test_need(ew_test_reference("acdc"));
    ew_test_need(ew_test_reference("circuits"));
    setenv("EDGEWISE_MODULES", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_graphs_are_the_official_ones),
        cmocka_unit_test(mib_has_our_additions),
        cmocka_unit_test(logs_are_read),
        cmocka_unit_test(planted_in_a_list),
        cmocka_unit_test(planted_in_a_circuit),
        cmocka_unit_test(trouble_is_2_and_up),
        cmocka_unit_test(a_model_goes_by_its_published_name),
        cmocka_unit_test(our_own_output_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
