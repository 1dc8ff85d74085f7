/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise eval` against the official code's keep-all runs, where the effect
 * of every edge alone in the full graph is recorded, and against itself: the
 * two engines, a circuit written and read, edges named in two ways.
 */
#include <math.h>
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

static const char *model;
static const char *task;

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) {
        fail_msg("%s is not a number", key);
    }
    return json_number_value(value);
}

static void the_full_circuit_is_the_model(void **state)
{
    (void)state;
    json_t *r = CLI_JSON("eval", model, "-t", task, "--json");
    static const char *const keys[] = {
        "metric",    "clean", "corrupted", "circuit",         "logit_diff",
        "kl",        "edges", "recovered", "recovered_error", "complement",
        "total"};
    for (size_t i = 0; i < EW_ARRAY_LEN(keys); i++) {
        assert_non_null(json_object_get(r, keys[i]));
    }
    assert_int_equal(json_object_size(r), EW_ARRAY_LEN(keys));
    assert_string_equal(json_string_value(json_object_get(r, "metric")),
                        "logit-diff");
    /* minus the logit difference, from the official log */
    assert_true(cli_close_to(number(r, "clean"), -1.4785343408584595, 1e-4, 0,
                             "clean"));
    assert_true(cli_close_to(number(r, "circuit"), number(r, "clean"), 1e-5, 0,
                             "circuit"));
    assert_true(cli_close_to(number(r, "logit_diff"), -number(r, "clean"), 1e-5,
                             0, "logit_diff"));
    assert_true(cli_close_to(number(r, "kl"), 0, 1e-6, 0, "kl"));
    assert_true(cli_close_to(number(r, "recovered"), 1, 1e-5, 0, "recovered"));
    assert_true(number(r, "edges") == 298);
    assert_true(number(r, "total") == 298);
    json_decref(r);
}

/* On its own task, without one named. */
static void the_bundled_model_names_the_indirect_object(void **state)
{
    (void)state;
    json_t *r = CLI_JSON("eval", "ioi-mini", "--json");
    assert_string_equal(json_string_value(json_object_get(r, "metric")),
                        "logit-diff");
    assert_true(number(r, "logit_diff") > 6);
    assert_true(fabs(number(r, "corrupted")) < 3); /* three other names */
    json_decref(r);
    r = CLI_JSON("eval", "ioi-mini", "-t", "ioi-mib", "--metric", "accuracy",
                 "--json");
    assert_true(fabs(number(r, "clean")) > 0.95);
    json_decref(r);
}

static void the_empty_circuit_is_the_corrupted_run(void **state)
{
    (void)state;
    json_t *all = CLI_JSON("graph", model, "--edges", "--json");
    const char *args[] = {"eval",   model,   "-t", task,
                          "--json", "--cut", NULL, NULL};
    static char cut[40000];
    size_t i;
    json_t *edge;
    json_array_foreach(all, i, edge)
    {
        if (strcmp(json_string_value(json_object_get(edge, "kind")),
                   "placeholder") != 0) {
            strcat(cut, *cut ? ", " : "");
            strcat(cut, json_string_value(json_object_get(edge, "edge")));
        }
    }
    args[6] = cut;
    json_t *r = cli_json(args);
    assert_true(number(r, "edges") == 0);
    assert_true(cli_close_to(number(r, "circuit"), number(r, "corrupted"), 1e-5,
                             0, "circuit"));
    assert_true(cli_close_to(number(r, "recovered"), 0, 1e-5, 0, "recovered"));
    json_decref(r);
    json_decref(all);
}

/* The official keep-all log: metric without the edge, everything else kept. */
static void check_single_edges(const char *log, const char *metric,
                               size_t every)
{
    json_t *theirs = cli_load(ew_test_reference(log));
    size_t i;
    json_t *d;
    json_array_foreach(json_object_get(theirs, "decisions"), i, d)
    {
        if (i % every != 7) {
            continue;
        }
        char edge[300];
        snprintf(edge, sizeof(edge), "%s->%s",
                 json_string_value(json_object_get(d, "sender")),
                 json_string_value(json_object_get(d, "receiver")));
        json_t *r = CLI_JSON("eval", model, "-t", task, "--metric", metric,
                             "--cut", edge, "--json");
        assert_true(cli_close_to(number(r, "circuit"), number(d, "after"), 1e-4,
                                 1e-4, edge));
        assert_true(number(r, "edges") == 297);
        json_decref(r);
    }
    json_decref(theirs);
}

static void cutting_one_edge_gives_the_official_effect(void **state)
{
    (void)state;
    check_single_edges("acdc/gelu3l/acdc_kl_keep-all.json", "kl", 60);
    check_single_edges("acdc/gelu3l/acdc_logitdiff_keep-all.json", "logit-diff",
                       75);
}

static void edits_apply_in_order_in_any_dialect(void **state)
{
    (void)state;
    json_t *a = CLI_JSON("eval", model, "-t", task, "--json", "--only",
                         "a0.h1->a1.h2<q>, m2->logits", "--keep", "input->m2",
                         "--only", "input->m0", "--cut", "m2->logits");
    json_t *b = CLI_JSON(
        "eval", model, "-t", task, "--json", "--only",
        "blocks.0.attn.hook_result[:, :, 1]->blocks.1.hook_q_input[:, :, 2],"
        "Resid Start->MLP 2",
        "--only", "<m0>-><a1.0_q>,embed-><m0>", "--cut", "<m0>-><a1.0_q>");
    assert_true(number(a, "edges") == 3);
    assert_true(json_equal(json_object_get(a, "circuit"),
                           json_object_get(b, "circuit")));
    json_decref(a);
    json_decref(b);
}

static void both_engines_agree(void **state)
{
    (void)state;
    static const char *const ablations[] = {"corrupted", "zero", "mean"};
    for (size_t i = 0; i < EW_ARRAY_LEN(ablations); i++) {
        static const char cut[] =
            "a0.h1->a1.h2<v>,a1.h0->logits,m0->m1,a2.h1.q_in->a2.h1.q";
        json_t *a = CLI_JSON("eval", model, "-t", task, "--json", "--cut", cut,
                             "--ablation", ablations[i], "--metric", "kl");
        json_t *b = CLI_JSON("eval", model, "-t", task, "--json", "--cut", cut,
                             "--ablation", ablations[i], "--metric", "kl",
                             "--engine", "rerun");
        static const char *const keys[] = {"clean", "corrupted", "circuit",
                                           "logit_diff", "kl"};
        for (size_t k = 0; k < EW_ARRAY_LEN(keys); k++) {
            assert_true(cli_close_to(number(a, keys[k]), number(b, keys[k]),
                                     2e-5, 2e-5, keys[k]));
        }
        json_decref(a);
        json_decref(b);
    }
}

static void a_circuit_survives_its_file(void **state)
{
    (void)state;
    char circuit[300];
    snprintf(circuit, sizeof(circuit), "%s", cli_temp("c.json"));
    struct cli_result r = CLI("acdc", model, "-t", task, "--metric", "kl",
                              "--threshold", "0.2", "-o", circuit, "--json");
    assert_int_equal(r.status, 0);
    json_t *run = json_loads(r.out, 0, NULL);
    assert_non_null(run);
    cli_free(&r);
    json_t *read = CLI_JSON("eval", model, "-t", task, "--metric", "kl", "-c",
                            circuit, "--json");
    assert_true(number(read, "edges") == number(run, "edges"));
    assert_true(cli_close_to(number(read, "circuit"), number(run, "final"),
                             1e-5, 1e-5, "circuit"));
    json_decref(run);
    json_decref(read);

    /* the same file draws and converts without the model */
    char picture[300];
    snprintf(picture, sizeof(picture), "%s", cli_temp("c.dot"));
    r = CLI("export", circuit, "-o", picture, "-o", cli_temp("c.csv"));
    assert_int_equal(r.status, 0);
    cli_free(&r);
    r = CLI("export", circuit, "-f", "csv");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "logits"));
    cli_free(&r);
    r = CLI("export", circuit, "-o", "-");
    assert_non_null(strstr(r.out, "digraph"));
    cli_free(&r);
    cli_expect_error(CLI("export", circuit, "-o", cli_temp("c.xyz")), 2, "xyz");
}

/* eval -o writes what it scored. */
static void eval_writes_the_circuit_it_scored(void **state)
{
    (void)state;
    char circuit[300];
    snprintf(circuit, sizeof(circuit), "%s", cli_temp("evaluated.json"));
    json_t *cut = CLI_JSON("eval", model, "-t", task, "--metric", "kl", "--cut",
                           "a0.h1->logits", "-o", circuit, "--json");
    json_t *read = CLI_JSON("eval", model, "-t", task, "--metric", "kl", "-c",
                            circuit, "--json");
    assert_true(number(read, "edges") == number(cut, "edges"));
    assert_true(number(read, "edges") < number(read, "total"));
    assert_true(cli_close_to(number(read, "circuit"), number(cut, "circuit"),
                             1e-6, 1e-6, "circuit"));
    json_decref(cut);
    json_decref(read);
}

/* Standard output is for the circuit alone then. */
static void the_circuit_alone_goes_through_a_pipe(void **state)
{
    (void)state;
    struct cli_result r = CLI("eval", model, "-t", task, "-o", "-");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.err, "recovered"));
    json_t *circuit = json_loads(r.out, 0, NULL);
    assert_non_null(json_object_get(circuit, "edges"));
    json_decref(circuit);
    cli_free(&r);
    cli_expect_error(CLI("eval", model, "-t", task, "--minimality", "-o", "-"),
                     2, "standard output is for the sets");
    cli_expect_error(CLI("eval", model, "-t", task, "-o", "/nonexistent/c"), 3,
                     "/nonexistent/c: cannot write");
}

static void labels_are_drawn_as_clusters(void **state)
{
    (void)state;
    char circuit[300];
    char labels[300];
    snprintf(circuit, sizeof(circuit), "%s", cli_temp("labelled.json"));
    snprintf(labels, sizeof(labels), "%s", cli_temp("labels.json"));
    cli_write(labels, "{\"groups\": [{\"name\": \"movers\", \"nodes\": "
                      "[\"a0.h1\"]}]}");
    struct cli_result r = CLI("eval", model, "-t", task, "-o", circuit);
    assert_int_equal(r.status, 0);
    cli_free(&r);
    r = CLI("export", circuit, "--labels", labels, "-f", "dot");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "cluster_0"));
    assert_non_null(strstr(r.out, "movers"));
    cli_free(&r);
    r = CLI("export", circuit, "-f", "dot");
    assert_null(strstr(r.out, "cluster_0"));
    cli_free(&r);
    cli_expect_error(
        CLI("export", circuit, "--labels", "nonsense", "-f", "dot"), 3,
        "nonsense");
}

static void unknown_edges_are_named(void **state)
{
    (void)state;
    cli_expect_error(CLI("eval", model, "-t", task, "--cut", "a0.h9->logits"),
                     3, "a0.h9");
    cli_expect_error(CLI("eval", model, "-t", task, "--keep", "a2.h0->m1"), 3,
                     "--keep");
    cli_expect_error(CLI("eval", model, "-t", task, "--only", "nonsense"), 3,
                     "nonsense");
    cli_expect_error(CLI("eval", model, "-t", "no-such-task"), 3,
                     "no-such-task");
}

static void metrics_that_the_task_lacks_are_refused(void **state)
{
    (void)state;
    const char *path = cli_temp("plain.json");
    cli_write(path, "{\"prompts\": [{\"clean\": [0, 1, 2], \"corrupt\":"
                    " [0, 3, 2], \"answers\": [5]}], \"metric\": \"kl\"}");
    json_t *r = CLI_JSON("eval", model, "-t", path, "--json");
    assert_true(json_is_null(json_object_get(r, "logit_diff")));
    json_decref(r);
    struct cli_result bad =
        CLI("eval", model, "-t", path, "--metric", "logit-diff");
    assert_int_equal(bad.status, 3);
    cli_free(&bad);
    /* the same prompts in both runs: nothing to recover */
    path = cli_temp("same.json");
    cli_write(path, "{\"prompts\": [{\"clean\": [0, 1, 2], \"corrupt\":"
                    " [0, 1, 2], \"answers\": [5]}], \"metric\": \"kl\"}");
    r = CLI_JSON("eval", model, "-t", path, "--json");
    assert_true(json_is_null(json_object_get(r, "recovered")));
    json_decref(r);
}

/* A typed pair scores as the file of its token ids does. */
static void typed_prompts_are_scored(void **state)
{
    (void)state;
    const char *path = cli_temp("typed.json");
    cli_write(path, "{\"prompts\": [{\"clean\": [0, 9, 10, 11, 9, 10],"
                    " \"corrupt\": [0, 9, 10, 11, 9, 12],"
                    " \"answers\": [11], \"wrong_answers\": [13]}]}");
    json_t *a = CLI_JSON("eval", "induction-2l", "-t", path, "--cut",
                         "a1.h6->logits", "--json");
    json_t *b =
        CLI_JSON("eval", "induction-2l", "--clean",
                 "alley amber angel alley amber", "--corrupt",
                 "alley amber angel alley ankle", "--answer", " angel",
                 "--wrong", " apple", "--cut", "a1.h6->logits", "--json");
    assert_string_equal(json_string_value(json_object_get(b, "metric")),
                        "logit-diff");
    assert_true(number(b, "circuit") != number(b, "clean"));
    assert_true(json_equal(a, b));
    json_decref(b);
    b = CLI_JSON("eval", "induction-2l", "--clean",
                 "alley amber angel alley amber", "--corrupt",
                 "alley amber angel alley ankle", "--answer", " angel",
                 "--wrong", " apple", "--eval-task", path, "--json");
    assert_true(number(b, "held_out") == number(b, "recovered"));
    json_decref(a);
    json_decref(b);
}

int main(void)
{
    static char folder[512], tokens[540];
    snprintf(folder, sizeof(folder), "%s", ew_test_reference("acdc/gelu3l"));
    snprintf(tokens, sizeof(tokens), "%s/tokens.json", folder);
    model = folder;
    task = tokens;
    ew_test_need(task);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_full_circuit_is_the_model),
        cmocka_unit_test(the_bundled_model_names_the_indirect_object),
        cmocka_unit_test(the_empty_circuit_is_the_corrupted_run),
        cmocka_unit_test(cutting_one_edge_gives_the_official_effect),
        cmocka_unit_test(edits_apply_in_order_in_any_dialect),
        cmocka_unit_test(both_engines_agree),
        cmocka_unit_test(a_circuit_survives_its_file),
        cmocka_unit_test(eval_writes_the_circuit_it_scored),
        cmocka_unit_test(the_circuit_alone_goes_through_a_pipe),
        cmocka_unit_test(labels_are_drawn_as_clusters),
        cmocka_unit_test(unknown_edges_are_named),
        cmocka_unit_test(metrics_that_the_task_lacks_are_refused),
        cmocka_unit_test(typed_prompts_are_scored),
    };
    return cmocka_run_group_tests(tests, cli_share_torch, NULL);
}
