/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise sweep`: its figures are those of the other commands, and a sweep
 * that was interrupted and is gone on with ends as an undisturbed one.
 */
#include <math.h>
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

#define MODEL ew_test_reference("acdc/gelu3l")
#define TASK ew_test_reference("acdc/gelu3l/tokens.json")
#define SWEEP "sweep", MODEL, "-t", TASK, "--metric", "logit-diff"

static char state_path[512];
static json_t *whole; /* what the undisturbed sweep printed */

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) {
        fail_msg("%s is no number", key);
    }
    return json_number_value(value);
}

static json_t *method(const json_t *sweep, const char *name)
{
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(sweep, "methods"), i, o)
    {
        if (strcmp(json_string_value(json_object_get(o, "method")), name) ==
            0) {
            return o;
        }
    }
    fail_msg("no %s", name);
    return NULL;
}

static void a_sweep_is_made(void **state)
{
    (void)state;
    snprintf(state_path, sizeof(state_path), "%s", cli_temp("sweep.json"));
    whole = CLI_JSON(SWEEP, "--methods", "acdc,exact,clean-corrupted",
                     "--thresholds", "0.2,0.02", "--json", "-o", state_path);
    assert_int_equal(json_array_size(json_object_get(whole, "methods")), 3);
    assert_int_equal(number(whole, "additions"), 262);
    const json_t *exact = method(whole, "exact");
    const json_t *estimate = method(whole, "clean-corrupted");
    assert_true(json_is_true(json_object_get(exact, "done")));
    assert_true(number(exact, "cpr") != number(estimate, "cpr"));
    assert_true(number(exact, "seconds") > 0);
}

/* The curve of the exact scores, from the file as eval reads them. */
static void its_curves_are_those_of_eval(void **state)
{
    (void)state;
    const char *path = cli_temp("exact.json");
    json_t *file = cli_load(state_path);
    json_t *edges = json_array();
    const char *name;
    json_t *score;
    json_object_foreach(json_object_get(method(file, "exact"), "scores"), name,
                        score)
    {
        json_array_append_new(edges, json_pack("{s:s, s:O}", "edge", name,
                                               "score", score));
    }
    assert_int_equal(json_array_size(edges), 298);
    assert_int_equal(json_dump_file(edges, path, 0), 0);
    json_decref(edges);
    json_decref(file);
    json_t *eval = CLI_JSON("eval", MODEL, "-t", TASK, "--metric",
                            "logit-diff", "--curve", path, "--json");
    const json_t *exact = method(whole, "exact");
    static const char *const keys[] = {"cpr", "cmd", "full", "empty"};
    for (size_t i = 0; i < EW_ARRAY_LEN(keys); i++) {
        assert_true(cli_close_to(number(exact, keys[i]), number(eval, keys[i]),
                                 1e-5, 1e-5, keys[i]));
    }
    assert_true(number(json_object_get(exact, "recovered_90"), "chosen") ==
                number(json_object_get(eval, "recovered_90"), "chosen"));
    json_decref(eval);
}

/* A rung is what acdc leaves, and what comes and goes adds up. */
static void its_rungs_are_those_of_acdc(void **state)
{
    (void)state;
    const json_t *rungs = json_object_get(method(whole, "acdc"), "ladder");
    assert_int_equal(json_array_size(rungs), 2);
    const json_t *low = json_array_get(rungs, 0);
    const json_t *high = json_array_get(rungs, 1);
    assert_true(number(low, "threshold") == 0.02); /* sorted */
    size_t come = json_array_size(json_object_get(high, "come"));
    size_t go = json_array_size(json_object_get(high, "go"));
    assert_true(number(low, "edges") - number(high, "edges") ==
                (double)go - (double)come);
    assert_true(go > 0);
    json_t *acdc = CLI_JSON("acdc", MODEL, "-t", TASK, "--metric",
                            "logit-diff", "--threshold", "0.2", "--json");
    assert_true(number(acdc, "edges") == number(high, "edges"));
    assert_true(cli_close_to(number(acdc, "final"), number(high, "metric"),
                             1e-5, 1e-5, "metric"));
    json_decref(acdc);
}

/* As if Ctrl-C had come in the middle of ACDC, or of the exact scan. */
static void forget(void)
{
    json_t *file = cli_load(state_path);
    json_t *rungs = json_object_get(method(file, "acdc"), "rungs");
    json_t *last = json_object_get(json_array_get(rungs, 1), "decisions");
    for (size_t n = json_array_size(last); n > 150; n--) {
        assert_int_equal(json_array_remove(last, n - 1), 0);
    }
    json_t *scores = json_object_get(method(file, "exact"), "scores");
    const char *name;
    void *next;
    json_t *value;
    size_t n = 0;
    json_object_foreach_safe(scores, next, name, value)
    {
        if (n++ % 3 == 0) {
            json_object_del(scores, name);
        }
    }
    json_object_clear(
        json_object_get(method(file, "clean-corrupted"), "scores"));
    assert_int_equal(json_dump_file(file, state_path, 0), 0);
    json_decref(file);
}

static void an_interrupted_sweep_is_gone_on_with(void **state)
{
    (void)state;
    forget();
    json_t *again =
        CLI_JSON(SWEEP, "--methods", "acdc,exact,clean-corrupted", "--json",
                 "--resume", state_path); /* its thresholds, too */
    static const char *const names[] = {"acdc", "exact", "clean-corrupted"};
    static const char *const keys[] = {"cpr", "cmd"};
    for (size_t i = 0; i < EW_ARRAY_LEN(names); i++) {
        for (size_t k = 0; k < EW_ARRAY_LEN(keys); k++) {
            assert_true(cli_close_to(number(method(again, names[i]), keys[k]),
                                     number(method(whole, names[i]), keys[k]),
                                     1e-4, 0, names[i]));
        }
    }
    const json_t *a = json_object_get(method(whole, "acdc"), "ladder");
    const json_t *b = json_object_get(method(again, "acdc"), "ladder");
    for (size_t i = 0; i < 2; i++) {
        const json_t *x = json_array_get(a, i);
        const json_t *y = json_array_get(b, i);
        assert_true(number(x, "edges") == number(y, "edges"));
        assert_true(number(x, "decisions") == number(y, "decisions"));
        assert_true(json_equal(json_object_get(x, "come"),
                               json_object_get(y, "come")));
        assert_true(json_equal(json_object_get(x, "go"),
                               json_object_get(y, "go")));
    }
    json_decref(again);
    cli_expect_error(CLI("sweep", MODEL, "-t", TASK, "--metric", "kl",
                         "--resume", state_path),
                     3, "metric: expected \"kl\"");
}

static void typed_prompts_are_swept(void **state)
{
    (void)state;
    json_t *swept = CLI_JSON(
        "sweep", "induction-2l", "--clean", "alley amber angel alley amber",
        "--corrupt", "alley amber angel alley ankle", "--answer", " angel",
        "--wrong", " apple", "--methods", "clean-corrupted", "--json");
    assert_int_equal(json_array_size(json_object_get(swept, "methods")), 1);
    json_decref(swept);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    cli_expect_error(CLI(SWEEP, "--methods", "eap,guess"), 2, "guess");
    cli_expect_error(CLI(SWEEP, "--methods", "eap,eap"), 2, "twice");
    cli_expect_error(CLI(SWEEP, "--thresholds", "1,x"), 2, "'x'");
    cli_expect_error(CLI(SWEEP, "-o", "-"), 2, "--json prints");
    cli_expect_error(CLI(SWEEP, "-o", "/nonexistent/s.json"), 3,
                     "/nonexistent/s.json: cannot write");
}

int main(void)
{
    ew_test_need(ew_test_reference("acdc"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sweep_is_made),
        cmocka_unit_test(its_curves_are_those_of_eval),
        cmocka_unit_test(its_rungs_are_those_of_acdc),
        cmocka_unit_test(an_interrupted_sweep_is_gone_on_with),
        cmocka_unit_test(typed_prompts_are_swept),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, cli_share_torch, NULL);
    json_decref(whole);
    return failed;
}
