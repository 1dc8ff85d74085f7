/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every command owes its user: help that fits, mistakes told on standard
 * error with the documented status, and no result that is silently cut.
 */
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

static const char *const commands[] = {"params", "hooks", "run",  "graph",
                                       "task",   "eval",  "scan", "acdc",
                                       "diff",   "export", "bench"};

/* To standard output, nothing to standard error, at most 80 columns. */
static void check_help(struct cli_result r, const char *word)
{
    assert_int_equal(r.status, 0);
    assert_string_equal(r.err, "");
    assert_non_null(strstr(r.out, "usage: edgewise"));
    assert_non_null(strstr(r.out, word));
    for (const char *line = r.out; *line;) {
        size_t len = strcspn(line, "\n");
        if (len > 80) {
            fail_msg("%zu columns: %.*s", len, (int)len, line);
        }
        if (len > 0 && line[len - 1] == ' ') {
            fail_msg("blanks at the end: %.*s", (int)len, line);
        }
        line += len + (line[len] == '\n');
    }
    assert_int_equal(r.out[strlen(r.out) - 1], '\n');
    cli_free(&r);
}

static void help_fits_the_terminal(void **state)
{
    (void)state;
    check_help(CLI("--help"), "commands:");
    check_help(CLI("-h"), "commands:");
    check_help(CLI("--help", "explore"), "--task TASK");
    for (size_t i = 0; i < EW_ARRAY_LEN(commands); i++) {
        check_help(CLI(commands[i], "--help"), commands[i]);
        check_help(CLI("--help", commands[i]), commands[i]);
        check_help(CLI(commands[i], "x", "y", "z", "-h"), "options:");
    }
}

static void the_version_is_one_line(void **state)
{
    (void)state;
    struct cli_result r = CLI("--version");
    assert_int_equal(r.status, 0);
    assert_int_equal(strncmp(r.out, "edgewise ", 9), 0);
    assert_ptr_equal(strchr(r.out, '\n') + 1, r.out + strlen(r.out));
    cli_free(&r);
}

static void wrong_usage_is_status_2(void **state)
{
    (void)state;
    cli_expect_error(CLI("frobnicate"), 2, "'frobnicate'");
    cli_expect_error(CLI("--help", "frobnicate"), 2, "frobnicate");
    cli_expect_error(CLI("--frobnicate"), 2, "unknown option --frobnicate");
    cli_expect_error(CLI("graph", "--frobnicate"), 2,
                     "edgewise graph: unknown option --frobnicate");
    cli_expect_error(CLI("graph", "--frobnicate=3"), 2,
                     "unknown option --frobnicate");
    cli_expect_error(CLI("graph", "-Z"), 2, "unknown option -Z");
    cli_expect_error(CLI("graph", "--json=3"), 2, "--json takes no argument");
    cli_expect_error(CLI("eval", "--cut"), 2, "--cut needs an argument");
    cli_expect_error(CLI("eval", "-t"), 2, "-t needs an argument");
    cli_expect_error(CLI("graph", "a", "b"), 2, "unexpected argument 'b'");
    cli_expect_error(CLI("graph", "--nodes", "--edges"), 2,
                     "exclude each other");
    cli_expect_error(CLI("acdc"), 2, "--threshold");
    cli_expect_error(CLI("bench", "--only-acdc"), 2, "--threshold");
    cli_expect_error(CLI("acdc", "--threshold", "much"), 2, "'much'");
    cli_expect_error(CLI("acdc", "--threshold", "nan"), 2, "'nan'");
    cli_expect_error(CLI("acdc", "--threshold", "1", "--indices", "up"), 2,
                     "normal, reverse or shuffle:SEED");
    cli_expect_error(CLI("acdc", "--threshold", "1", "--names", "shuffle:"), 2,
                     "normal, reverse or shuffle:SEED");
    cli_expect_error(CLI("scan"), 2, "--method");
    cli_expect_error(CLI("scan", "--method", "guess"), 2,
                     "--method: expected one of exact, eap, eap-ig-inputs");
    cli_expect_error(CLI("scan", "--method", "eap", "--steps", "3"), 2,
                     "--steps: eap has none");
    cli_expect_error(CLI("scan", "--method", "exact", "--sort", "up"), 2,
                     "signed or absolute");
    cli_expect_error(CLI("scan", "--method", "eap", "--select", "all"), 2,
                     "--select: expected top:N, threshold:T or greedy:N");
    cli_expect_error(CLI("scan", "--method", "eap", "--prune"), 2,
                     "--select is needed");
    cli_expect_error(CLI("scan", "--method", "eap", "-c", "c.json"), 2,
                     "only exact is measured in a circuit");
    cli_expect_error(CLI("eval", "--metric", "entropy"), 2, "entropy");
    cli_expect_error(CLI("eval", "--ablation", "noise"), 2, "noise");
    cli_expect_error(CLI("eval", "--engine", "steam"), 2, "steam");
    cli_expect_error(CLI("eval", "--device", "tpu"), 2, "tpu");
    cli_expect_error(CLI("eval", "--max-memory", "lots"), 2, "lots");
    cli_expect_error(CLI("eval", "--threads", "-2"), 2, "--threads");
    cli_expect_error(CLI("run"), 2, "--text or --tokens");
    cli_expect_error(CLI("run", "--tokens", "1,x"), 2, "'x'");
    cli_expect_error(CLI("run", "--tokens", "1", "--logits", "first"), 2,
                     "last or all");
    cli_expect_error(CLI("export"), 2, "which circuit");
    cli_expect_error(CLI("export", "c.json"), 2, "-o");
}

static void a_missing_file_is_status_3(void **state)
{
    (void)state;
    cli_expect_error(CLI("graph", "/nonexistent/model"), 3,
                     "/nonexistent/model");
    cli_expect_error(CLI("params", "/nonexistent/model"), 3, "nonexistent");
    cli_expect_error(CLI("graph", "no-such-bundled-model"), 3,
                     "no-such-bundled-model");
    cli_expect_error(CLI("task", "/nonexistent/task.json"), 3,
                     "/nonexistent/task.json");
    cli_expect_error(CLI("export", "/nonexistent/c.json", "-o", "x.dot"), 3,
                     "/nonexistent/c.json");
}

static void bad_input_is_status_3_and_named(void **state)
{
    (void)state;
    const char *bad = cli_temp("bad.json");
    cli_write(bad, "{\"prompts\": [}");
    cli_expect_error(CLI("task", bad), 3, "bad.json");
    cli_expect_error(CLI("export", bad, "-o", cli_temp("x.dot")), 3,
                     "bad.json");
    cli_write(cli_temp("config.json"), "{\"n_layers\": \"two\"}");
    cli_expect_error(CLI("graph", cli_temp_dir()), 3, "config.json");
    cli_write(cli_temp("config.json"), "[1]");
    cli_expect_error(CLI("graph", cli_temp_dir()), 3, "config.json");
    cli_write(cli_temp("config.json"), "{");
    cli_expect_error(CLI("graph", cli_temp_dir()), 3, "config.json");
}

static void the_explorer_needs_a_terminal(void **state)
{
    (void)state;
    struct cli_result r = CLI("induction-2l");
    assert_int_equal(r.status, 2);
    assert_string_equal(r.out, "");
    assert_true(strlen(r.err) > 10);
    cli_free(&r);
}

static void a_full_disk_is_noticed(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0) {
        return;
    }
    const char *const edges[] = {"graph", "induction-2l", "--edges", NULL};
    const char *const help[] = {"--help", NULL};
    assert_int_equal(cli_run_to("/dev/full", edges), 1);
    assert_int_equal(cli_run_to("/dev/full", help), 1);
}

static void options_may_follow_arguments_and_be_abbreviated(void **state)
{
    (void)state;
    struct cli_result a = CLI("graph", "induction-2l", "--counts", "--json");
    struct cli_result b = CLI("graph", "--js", "--coun", "induction-2l");
    assert_int_equal(a.status, 0);
    assert_string_equal(a.out, b.out);
    cli_free(&a);
    cli_free(&b);
    cli_expect_error(CLI("run", "--t", "1"), 2, "ambiguous option --t");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_fits_the_terminal),
        cmocka_unit_test(the_version_is_one_line),
        cmocka_unit_test(wrong_usage_is_status_2),
        cmocka_unit_test(a_missing_file_is_status_3),
        cmocka_unit_test(bad_input_is_status_3_and_named),
        cmocka_unit_test(the_explorer_needs_a_terminal),
        cmocka_unit_test(a_full_disk_is_noticed),
        cmocka_unit_test(options_may_follow_arguments_and_be_abbreviated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
