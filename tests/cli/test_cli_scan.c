/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise scan`: each method once, against the scores of the EAP-IG
 * package, which divides its estimates by the batch once too often; the
 * circuit it writes; and taking over an interrupted scan.
 */
#include <math.h>
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

#define MODEL ew_test_reference("acdc/gelu3l")
#define TASK ew_test_reference("acdc/gelu3l/tokens.json")

static double score_of(const json_t *item)
{
    const json_t *score = json_object_get(item, "score");
    assert_true(json_is_number(score));
    return json_number_value(score);
}

/* Every score of the reference is ours; every item is named twice. */
static void compare(const json_t *ours, const char *method, double factor)
{
    json_t *file = cli_load(ew_test_reference("acdc/gelu3l/eap_ig.json"));
    const json_t *theirs =
        json_object_get(json_object_get(file, "methods"), method);
    assert_non_null(theirs);
    size_t found = 0;
    size_t i;
    json_t *item;
    double before = INFINITY;
    json_array_foreach(ours, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "edge"));
        const json_t *acdc = json_object_get(item, "acdc");
        assert_non_null(name);
        assert_true(json_is_string(json_object_get(acdc, "receiver")));
        assert_true(json_is_string(json_object_get(acdc, "sender")));
        assert_true(fabs(score_of(item)) <= before);
        before = fabs(score_of(item));
        const json_t *want = json_object_get(theirs, name);
        if (want) { /* theirs has no direct edges */
            double score = factor * json_number_value(want);
            assert_true(cli_close_to(score_of(item), score, 1e-4, 1e-4, name));
            found++;
        }
    }
    assert_int_equal(found, json_object_size(theirs));
    assert_int_equal(json_array_size(ours), found + 36);
    json_decref(file);
}

static void methods_give_the_package_scores(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *steps;
        const char *metric;
        const char *reference;
        double factor;
    } rows[] = {
        {"eap", "0", "logit-diff", "EAP_logitdiff", 12},
        {"eap-ig-inputs", "5", "kl", "EAP-IG-inputs_5_kl", 12},
        {"clean-corrupted", "0", "logit-diff", "clean-corrupted_logitdiff", 12},
    };
    json_t *theirs =
        CLI_JSON("scan", MODEL, "-t", TASK, "--metric", "logit-diff",
                 "--method", "eap", "--normalise", "official", "--json");
    compare(theirs, "EAP_logitdiff", 1);
    json_decref(theirs);
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        json_t *ours = CLI_JSON("scan", MODEL, "-t", TASK, "--metric",
                                rows[i].metric, "--method", rows[i].method,
                                "--steps", rows[i].steps, "--json");
        compare(ours, rows[i].reference, rows[i].factor);
        json_decref(ours);
    }
}

/* Forget some scores of a circuit file, as if Ctrl-C had come before. */
static size_t forget(const char *path, const char *field)
{
    json_t *circuit = cli_load(path);
    json_t *edges = json_object_get(circuit, field);
    const char *name;
    json_t *edge;
    size_t n = 0;
    json_object_foreach(edges, name, edge)
    {
        assert_null(json_object_get(edge, "scored")); /* all were known */
        if (n++ % 5 < 2) {
            json_object_set_new(edge, "score", json_integer(0));
            json_object_set_new(edge, "scored", json_false());
        }
    }
    assert_int_equal(json_dump_file(circuit, path, 0), 0);
    json_decref(circuit);
    return n;
}

static void an_exact_scan_is_written_and_resumed(void **state)
{
    (void)state;
    const char *path = cli_temp("scan.json");
    json_t *whole =
        CLI_JSON("scan", MODEL, "-t", TASK, "--metric", "logit-diff",
                 "--method", "exact", "--json", "-o", path);
    compare(whole, "exact_logitdiff", 1);

    json_t *circuit = cli_load(path);
    const json_t *provenance = json_object_get(circuit, "provenance");
    assert_string_equal(
        json_string_value(json_object_get(provenance, "scores")), "exact");
    assert_string_equal(
        json_string_value(json_object_get(provenance, "positive_score")),
        "needed");
    json_decref(circuit);

    assert_int_equal(forget(path, "edges"), 262);
    assert_int_equal(forget(path, "direct"), 36);
    json_t *resumed =
        CLI_JSON("scan", MODEL, "-t", TASK, "--metric", "logit-diff",
                 "--method", "exact", "--json", "--resume", path);
    assert_int_equal(json_array_size(resumed), json_array_size(whole));
    for (size_t i = 0; i < json_array_size(whole); i++) {
        /* batches of other widths round otherwise */
        assert_true(cli_close_to(score_of(json_array_get(resumed, i)),
                                 score_of(json_array_get(whole, i)), 1e-5, 1e-5,
                                 "resumed"));
    }
    json_decref(resumed);
    json_decref(whole);

    cli_expect_error(CLI("scan", MODEL, "-t", TASK, "--metric", "kl",
                         "--method", "exact", "--resume", path),
                     3, "metric: expected kl as in this scan");
}

/* Their names are the same. */
static void other_prompts_and_weights_are_not_resumed(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof(path), "%s", cli_temp("prompts.json"));
    struct cli_result r = CLI("scan", MODEL, "-t", "induction:n=2,k=4",
                              "--method", "exact", "-o", path);
    assert_int_equal(r.status, 0);
    r = CLI("scan", MODEL, "-t", "induction:n=2,k=4", "--method", "exact",
            "--resume", path);
    assert_int_equal(r.status, 0);
    cli_expect_error(CLI("scan", MODEL, "-t", "induction:n=2,k=4,seed=9",
                         "--method", "exact", "--resume", path),
                     3, "task_hash: expected ");
    cli_expect_error(CLI("scan", MODEL, "-t", "induction:n=2,k=4", "--method",
                         "exact", "--weights", "tl", "--resume", path),
                     3, "model_hash: expected ");
}

/* In a circuit the cut edges are told as well: what restoring would do. */
static void a_circuit_is_measured(void **state)
{
    (void)state;
    const char *path = cli_temp("cut.json");
    cli_write(path, "{\"cfg\": {\"n_layers\": 3, \"n_heads\": 4},"
                    " \"nodes\": {\"m0\": {\"in_graph\": true}},"
                    " \"edges\": {\"input->m0\": {\"in_graph\": true},"
                    " \"m0->logits\": {\"in_graph\": true}}}");
    struct cli_result r =
        CLI("scan", MODEL, "-t", TASK, "--metric", "kl", "--method", "exact",
            "-c", path, "--sort", "signed", "--top", "5");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "exact: 298 of 298 edges"));
    assert_non_null(strstr(r.out, "positive = needed"));
    assert_non_null(strstr(r.out, "  cut\n"));
    size_t lines = 0;
    for (const char *p = r.out; *p; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(lines, 2 + 5);
    cli_free(&r);
    r = CLI("scan", MODEL, "-t", TASK, "--metric", "accuracy", "--method",
            "eap");
    assert_int_equal(r.status, 3);
    assert_non_null(strstr(r.err, "no gradient"));
    cli_free(&r);
}

/* The circuit that is written is what was printed, direct edges beside. */
static void a_selection_becomes_a_circuit(void **state)
{
    (void)state;
    const char *path = cli_temp("selected.json");
    struct cli_result r =
        CLI("scan", MODEL, "-t", TASK, "--metric", "logit-diff", "--method",
            "clean-corrupted", "--select", "greedy:30", "--prune", "--json",
            "-o", path);
    assert_int_equal(r.status, 0);
    unsigned chosen;
    unsigned kept;
    unsigned direct;
    assert_int_equal(sscanf(r.err,
                            "selected %u of 262 additions, %u after pruning, "
                            "and %u direct",
                            &chosen, &kept, &direct),
                     3);
    assert_int_equal(chosen, 30);
    json_t *printed = json_loads(r.out, 0, NULL);
    assert_int_equal(json_array_size(printed), kept);
    cli_free(&r);

    json_t *circuit = cli_load(path);
    static const char *const fields[] = {"edges", "direct"};
    for (size_t f = 0; f < EW_ARRAY_LEN(fields); f++) {
        const char *name;
        json_t *edge;
        size_t n = 0;
        json_object_foreach(json_object_get(circuit, fields[f]), name, edge)
        {
            n += json_is_true(json_object_get(edge, "in_graph"));
            assert_null(json_object_get(edge, "scored"));
        }
        assert_int_equal(n, f == 0 ? kept : direct);
    }
    size_t i;
    json_t *item;
    json_array_foreach(printed, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "edge"));
        assert_true(json_is_true(json_object_get(
            json_object_get(json_object_get(circuit, "edges"), name),
            "in_graph")));
    }
    json_decref(printed);
    json_decref(circuit);
}

/* 8 heads in each of two layers: 8 + 9 * 8 units into heads, 17 into the
 * logits; cutting one is cutting what goes into q, k and v. */
static void nodes_are_heads_as_a_whole(void **state)
{
    (void)state;
    json_t *all = CLI_JSON(
        "scan", "induction-2l", "-t", "induction:n=4", "--method", "exact",
        "--nodes", "--json");
    assert_int_equal(json_array_size(all), 97);
    double whole = NAN;
    size_t i;
    json_t *item;
    json_array_foreach(all, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "edge"));
        assert_null(strchr(name, '<'));
        if (strcmp(name, "a0.h2->a1.h6") == 0) {
            whole = score_of(item);
        }
    }
    json_t *cut = CLI_JSON(
        "eval", "induction-2l", "-t", "induction:n=4", "--cut",
        "a0.h2->a1.h6<q>,a0.h2->a1.h6<k>,a0.h2->a1.h6<v>", "--json");
    json_t *plain = CLI_JSON(
        "eval", "induction-2l", "-t", "induction:n=4", "--json");
    double want = json_number_value(json_object_get(cut, "circuit")) -
                  json_number_value(json_object_get(plain, "circuit"));
    assert_true(cli_close_to(whole, want, 1e-4, 1e-4, "a0.h2->a1.h6"));
    json_decref(all);
    json_decref(cut);
    json_decref(plain);
}

int main(void)
{
    ew_test_need(ew_test_reference("acdc"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_give_the_package_scores),
        cmocka_unit_test(an_exact_scan_is_written_and_resumed),
        cmocka_unit_test(other_prompts_and_weights_are_not_resumed),
        cmocka_unit_test(a_circuit_is_measured),
        cmocka_unit_test(a_selection_becomes_a_circuit),
        cmocka_unit_test(nodes_are_heads_as_a_whole),
    };
    return cmocka_run_group_tests(tests, cli_share_torch, NULL);
}
