/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise task`: built-in tasks are the same every time, survive their file,
 * and are what they are said to be. No libtorch.
 */
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

static const char *model;

static json_t *prompt_at(const json_t *task, size_t i)
{
    return json_array_get(json_object_get(task, "prompts"), i);
}

/* r1..rk, r1..rk after the first token; the answer is r1. */
static void check_repeats(const json_t *prompt, size_t k)
{
    const json_t *clean = json_object_get(prompt, "clean");
    const json_t *corrupt = json_object_get(prompt, "corrupt");
    assert_int_equal(json_array_size(clean), 2 * k + 1);
    assert_int_equal(json_array_size(corrupt), 2 * k + 1);
    for (size_t i = 1; i <= k; i++) {
        assert_true(
            json_equal(json_array_get(clean, i), json_array_get(clean, i + k)));
    }
    const json_t *answers = json_object_get(prompt, "answers");
    const json_t *answer =
        json_is_array(answers) ? json_array_get(answers, 0) : answers;
    assert_true(json_equal(answer, json_array_get(clean, 1)));
}

static void induction_repeats(void **state)
{
    (void)state;
    json_t *task =
        CLI_JSON("task", "-m", model, "induction:n=6,k=9,seed=3", "--json");
    assert_int_equal(json_array_size(json_object_get(task, "prompts")), 6);
    for (size_t i = 0; i < 6; i++) {
        check_repeats(prompt_at(task, i), 9);
    }
    json_decref(task);
}

static void a_seed_is_a_task(void **state)
{
    (void)state;
    struct cli_result a = CLI("task", "-m", model, "induction:seed=3");
    struct cli_result b = CLI("task", "-m", model, "induction:seed=3");
    struct cli_result c = CLI("task", "-m", model, "induction:seed=4");
    assert_int_equal(a.status, 0);
    assert_string_equal(a.out, b.out);
    assert_string_not_equal(a.out, c.out);
    cli_free(&a);
    cli_free(&b);
    cli_free(&c);
}

static void a_task_survives_its_file(void **state)
{
    (void)state;
    static const char *const specs[] = {"induction:corrupt=query",
                                        "induction:corrupt=key,n=3",
                                        "induction:metric=kl"};
    for (size_t i = 0; i < EW_ARRAY_LEN(specs); i++) {
        const char *path = cli_temp("task.json");
        struct cli_result r = CLI("task", "-m", model, specs[i], "-o", path);
        assert_int_equal(r.status, 0);
        cli_free(&r);
        json_t *made = CLI_JSON("task", "-m", model, specs[i], "--json");
        json_t *read = CLI_JSON("task", "-m", model, path, "--json");
        static const char *const keys[] = {"prompts", "metric", "positions"};
        for (size_t k = 0; k < EW_ARRAY_LEN(keys); k++) {
            if (!json_equal(json_object_get(made, keys[k]),
                            json_object_get(read, keys[k]))) {
                assert_null(json_object_get(made, keys[k]));
            }
        }
        json_decref(made);
        json_decref(read);
    }
}

static void the_reference_tasks_are_read(void **state)
{
    (void)state;
    const char *tokens = ew_test_reference("acdc/gelu3l/tokens.json");
    struct cli_result r = CLI("task", "-m", model, tokens);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "prompts     12, up to 21 tokens"));
    cli_free(&r);
    /* ids of another vocabulary */
    tokens = ew_test_reference("acdc/attn2l/tokens.json");
    r = CLI("task", "-m", model, tokens);
    assert_int_equal(r.status, 3);
    cli_free(&r);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct cli_result r = CLI("task", "--list");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "induction"));
    cli_free(&r);
    r = CLI("task", "-m", model, "induction:corrupt=sideways");
    assert_true(r.status == 2 || r.status == 3);
    assert_non_null(strstr(r.err, "sideways"));
    cli_free(&r);
    r = CLI("task", "-m", model, "induction:n=0");
    assert_true(r.status == 2 || r.status == 3);
    cli_free(&r);
}

/* Typed on the command line, a pair is the task that a file with it is. */
static void prompts_are_typed(void **state)
{
    (void)state;
    json_t *task = CLI_JSON(
        "task", "-m", "induction-2l", "--clean", "acid acorn actor acid acorn",
        "--corrupt", "acid acorn actor acid adult", "--answer", " actor",
        "--wrong", " agent", "--wrong", " alarm", "--clean", "baby bag baby",
        "--corrupt", "baby bag ash", "--answer", " bag", "--json");
    static const int clean[] = {0, 2, 3, 4, 2, 3};
    const json_t *first = prompt_at(task, 0);
    assert_int_equal(json_array_size(json_object_get(task, "prompts")), 2);
    for (size_t i = 0; i < EW_ARRAY_LEN(clean); i++) {
        assert_int_equal(json_integer_value(json_array_get(
                             json_object_get(first, "clean"), i)),
                         clean[i]);
    }
    assert_int_equal(json_array_size(json_object_get(first, "wrong_answers")),
                     2);
    assert_int_equal(
        json_array_size(json_object_get(prompt_at(task, 1), "wrong_answers")),
        0);
    assert_string_equal(json_string_value(json_object_get(task, "metric")),
                        "kl");
    json_decref(task);
}

static void typed_prompts_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *args[8];
        int status;
        const char *message;
    } cases[] = {
        {{"--clean", "acid"}, 2, "--clean 'acid': expected a --corrupt"},
        {{"--answer", " acid"}, 2, "--answer ' acid': expected a --clean"},
        {{"--clean", "acid", "--corrupt", "ash", "--corrupt", "axe"},
         2,
         "--corrupt 'axe': the prompt 'acid' has one already"},
        {{"--clean", "acid", "--corrupt", "ash", "-t", "induction"},
         2,
         "--clean beside the task 'induction'"},
        {{"--clean", "acid", "--corrupt", "ash axe"},
         3,
         "prompts[0]: clean has 2 tokens and corrupt 3"},
        {{"--clean", "acid", "--corrupt", "ash", "--answer", " acid ash"},
         3,
         "prompts[0].answers[0]: \" acid ash\" is not a single token of this "
         "model: acid|ash"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        const char *args[12] = {"task", "-m", "induction-2l"};
        for (size_t a = 0; a < 8 && cases[i].args[a]; a++) {
            args[3 + a] = cases[i].args[a];
        }
        cli_expect_error(cli_call(args), cases[i].status, cases[i].message);
    }
}

int main(void)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s", ew_test_reference("acdc/gelu3l"));
    model = path;
    ew_test_need(model);
    setenv("EDGEWISE_MODULES", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(induction_repeats),
        cmocka_unit_test(a_seed_is_a_task),
        cmocka_unit_test(a_task_survives_its_file),
        cmocka_unit_test(the_reference_tasks_are_read),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(prompts_are_typed),
        cmocka_unit_test(typed_prompts_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
