/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise eval --curve`: points of a curve against the circuits that scan
 * selects, each evaluated by a full rerun of its own; held-out tasks; the
 * sign of other tools' scores.
 */
#include <math.h>
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

#define MODEL ew_test_reference("acdc/gelu3l")
#define TASK ew_test_reference("acdc/gelu3l/tokens.json")

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) {
        fail_msg("%s is no number", key);
    }
    return json_number_value(value);
}

/* What scan --json prints, in a file. */
static const char *write_scores(void)
{
    static char path[512];
    if (*path) {
        return path;
    }
    snprintf(path, sizeof(path), "%s", cli_temp("scores.json"));
    struct cli_result r =
        CLI("scan", MODEL, "-t", TASK, "--metric", "logit-diff", "--method",
            "clean-corrupted", "--json");
    assert_int_equal(r.status, 0);
    cli_write(path, r.out);
    cli_free(&r);
    return path;
}

/* The best 10% selected by scan, rerun from scratch, is that point. */
static void points_are_circuits_on_their_own(void **state)
{
    (void)state;
    static const char *const sorts[] = {"absolute", "signed"};
    const char *scores = write_scores();
    json_t *curve = CLI_JSON("eval", MODEL, "-t", TASK, "--metric",
                             "logit-diff", "--curve", scores, "--json");
    assert_int_equal(number(curve, "additions"), 262);
    assert_true(json_is_null(json_object_get(curve, "auroc")));
    for (size_t i = 0; i < EW_ARRAY_LEN(sorts); i++) {
        const char *path = cli_temp("best.json");
        struct cli_result r =
            CLI("scan", MODEL, "-t", TASK, "--metric", "logit-diff",
                "--method", "clean-corrupted", "--select", "top:26", "--sort",
                sorts[i], "--prune", "-o", path);
        assert_int_equal(r.status, 0);
        cli_free(&r);
        json_t *alone =
            CLI_JSON("eval", MODEL, "-t", TASK, "--metric", "logit-diff", "-c",
                     path, "--engine", "rerun", "--json");
        const json_t *points = json_object_get(curve, sorts[i]);
        assert_int_equal(json_array_size(points), 10);
        const json_t *p = json_array_get(points, 6);
        assert_true(number(p, "share") == 0.1);
        assert_int_equal(number(p, "chosen"), 26);
        assert_int_equal(number(p, "edges") + number(p, "direct"),
                         number(alone, "edges"));
        assert_true(cli_close_to(number(p, "metric"), number(alone, "circuit"),
                                 1e-5, 1e-5, "metric"));
        assert_true(cli_close_to(number(p, "recovered"),
                                 number(alone, "recovered"), 1e-4, 0,
                                 "recovered"));
        assert_true(cli_close_to(number(p, "error"),
                                 number(alone, "recovered_error"), 1e-4, 0,
                                 "error"));
        const json_t *all = json_array_get(points, 9);
        assert_int_equal(number(all, "chosen"), 262);
        assert_true(cli_close_to(number(all, "recovered"), 1, 1e-5, 0, "all"));
        json_decref(alone);
    }
    json_decref(curve);
}

/* The same task held out judges the same; a circuit is its own truth. */
static void a_task_is_held_out(void **state)
{
    (void)state;
    const char *scores = write_scores();
    json_t *curve =
        CLI_JSON("eval", MODEL, "-t", TASK, "--metric", "kl", "--curve",
                 scores, "--eval-task", TASK, "--json");
    const json_t *other = json_object_get(curve, "held_out");
    assert_true(number(other, "cpr") == number(curve, "cpr"));
    assert_true(number(other, "cmd") == number(curve, "cmd"));
    json_decref(curve);
    json_t *alone =
        CLI_JSON("eval", MODEL, "-t", TASK, "--metric", "logit-diff",
                 "--eval-task", TASK, "--cut", "m0->logits", "--json");
    assert_true(cli_close_to(number(alone, "held_out"),
                             number(alone, "recovered"), 1e-6, 0, "held out"));
    assert_true(number(alone, "recovered") != 1);
    /* all but one are cut in the complement */
    json_t *only =
        CLI_JSON("eval", MODEL, "-t", TASK, "--metric", "logit-diff", "--only",
                 "m0->logits", "--json");
    assert_true(cli_close_to(number(alone, "complement"),
                             number(only, "circuit"), 1e-5, 0, "complement"));
    json_decref(only);
    json_decref(alone);
}

static size_t lines_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        n += *text == '\n';
    }
    return n;
}

static void the_sign_of_scores_is_looked_at(void **state)
{
    (void)state;
    const char *scores = write_scores();
    struct cli_result r = CLI("eval", MODEL, "-t", TASK, "--metric",
                              "logit-diff", "--curve", scores, "--csv");
    assert_int_equal(r.status, 0);
    assert_int_equal(lines_of(r.out), 1 + 20);
    assert_memory_equal(r.out, "best by,share,chosen,edges,metric,", 34);
    assert_non_null(strstr(r.err, "does not say what a positive score means"));
    assert_null(strstr(r.err, "--flip"));
    cli_free(&r);

    /* turned round they are found out, and --flip turns them back */
    json_t *items = cli_load(scores);
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        json_object_set_new(item, "score", json_real(-number(item, "score")));
    }
    char turned[512];
    snprintf(turned, sizeof(turned), "%s", cli_temp("turned.json"));
    assert_int_equal(json_dump_file(items, turned, 0), 0);
    json_decref(items);
    r = CLI("eval", MODEL, "-t", TASK, "--metric", "logit-diff", "--curve",
            turned, "--markdown");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "\n| :-- | --: | --: | --: |"));
    assert_non_null(strstr(r.err, "--flip turns them all"));
    cli_free(&r);
    json_t *back = CLI_JSON("eval", MODEL, "-t", TASK, "--metric",
                            "logit-diff", "--curve", turned, "--flip",
                            "--json");
    json_t *straight = CLI_JSON("eval", MODEL, "-t", TASK, "--metric",
                                "logit-diff", "--curve", scores, "--json");
    assert_true(cli_close_to(number(back, "cpr"), number(straight, "cpr"),
                             1e-9, 0, "cpr"));
    json_decref(back);
    json_decref(straight);
}

static void what_cannot_be_judged_is_refused(void **state)
{
    (void)state;
    const char *path = cli_temp("alien.json");
    cli_write(path, "[{\"edge\": \"a0.h0->a9.h0<q>\", \"score\": 1}]");
    cli_expect_error(CLI("eval", MODEL, "-t", TASK, "--curve", path), 3,
                     "alien.json");
    cli_write(path, "[{\"edge\": \"a0.h0->logits\"}]");
    cli_expect_error(CLI("eval", MODEL, "-t", TASK, "--curve", path), 3,
                     "no edge has a score");
    cli_expect_error(CLI("eval", MODEL, "-t", TASK, "--flip"), 2, "--curve");
    cli_expect_error(CLI("eval", MODEL, "-t", TASK, "--curve", path, "--cut",
                         "m0->logits"),
                     2, "its own circuits");
    cli_expect_error(CLI("eval", MODEL, "-t", TASK, "--curve", path, "-o",
                         cli_temp("c.json")),
                     2, "--curve excludes --output");
}

int main(void)
{
    ew_test_need(ew_test_reference("acdc"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_circuits_on_their_own),
        cmocka_unit_test(a_task_is_held_out),
        cmocka_unit_test(the_sign_of_scores_is_looked_at),
        cmocka_unit_test(what_cannot_be_judged_is_refused),
    };
    return cmocka_run_group_tests(tests, cli_share_torch, NULL);
}
