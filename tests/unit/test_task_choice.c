/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions with lettered choices, in the layouts that MIB's data sets have,
 * and task files that come through standard input.
 */
#include <stdio.h>

#include "task_fixture.h"

static struct ew_tokenizer *tok;
static struct ew_task_env env;

enum { A = 2, B, C, D, BOX, RED, BLUE, ANSWER, MARY, PAUL };

static int letters(void **state)
{
    struct ew_err err = {0};
    if (task_dir_make(state) != 0) {
        return -1;
    }
    free(put_task(
        "tokenizer.json",
        "{\"added_tokens\": [{\"id\": 0, \"content\": \"<|bos|>\", "
        "\"special\": true, \"normalized\": false}], \"normalizer\": null, "
        "\"decoder\": null, \"pre_tokenizer\": {\"type\": "
        "\"WhitespaceSplit\"}, \"model\": {\"type\": \"WordLevel\", \"vocab\": "
        "{\"<|bos|>\": 0, \"<|unk|>\": 1, \"A\": 2, \"B\": 3, \"C\": 4, "
        "\"D\": 5, \"box\": 6, \"red\": 7, \"blue\": 8, \"Answer:\": 9, "
        "\"Mary\": 10, \"Paul\": 11}, \"unk_token\": \"<|unk|>\"}}"));
    tok = ew_tokenizer_load(task_dir, &err);
    if (!tok) {
        fail_msg("%s", err.message);
    }
    env = (struct ew_task_env){.tok = tok, .d_vocab = 12, .n_ctx = 32,
                               .bos = -1};
    return 0;
}

static int no_letters(void **state)
{
    ew_tokenizer_destroy(tok);
    return task_dir_remove(state);
}

#define QUESTION(prompt, labels, key)                                          \
    "\"prompt\": \"" prompt "\", \"choices\": {\"label\": [" labels            \
    "], \"text\": [\"red\", \"blue\"]}, \"answerKey\": " key
#define FIRST                                                                  \
    "{\"idx\": 0, " QUESTION("box blue A red B blue Answer:",                  \
                             "\"A\", \"B\"", "1") ", "                         \
    "\"answerPosition_counterfactual\": {" QUESTION(                           \
        "box red A red B blue Answer:", "\"A\", \"B\"", "0") "}, "             \
    "\"symbol_counterfactual\": {" QUESTION(                                   \
        "box blue C red D blue Answer:", "\"C\", \"D\"", "1") "}}"
#define SECOND                                                                 \
    "{" QUESTION("box red A red B blue Answer:", "\"A\", \"B\"", "0") ", "     \
    "\"noun_counterfactual\": {" QUESTION("red box A red B blue Answer:",      \
                                          "\"A\", \"B\"", "0") "}}"

static void expect_first(const struct ew_task *t)
{
    static const int64_t clean[] = {BOX, BLUE, A, RED, B, BLUE, ANSWER};
    static const int64_t corrupt[] = {BOX, BLUE, C, RED, D, BLUE, ANSWER};
    assert_int_equal(t->n_pos, 7);
    expect_ids(clean_of(t, 0), clean, 7, "clean");
    expect_ids(corrupt_of(t, 0), corrupt, 7, "corrupt");
    assert_int_equal(t->answers[0].right[0], B);
    assert_int_equal(t->answers[0].n_wrong, 1);
    assert_int_equal(t->answers[0].wrong[0], D);
}

static void questions_are_pairs(void **state)
{
    (void)state;
    struct ew_task *t =
        load_text("mcqa.jsonl", FIRST "\n\n" SECOND "\n", &env);
    assert_string_equal(t->name, "mcqa.jsonl");
    assert_string_equal(t->corruption, "symbol_counterfactual");
    assert_int_equal(t->metric, EW_METRIC_LOGIT_DIFF);
    assert_int_equal(t->n_prompts, 2);
    expect_first(t);
    /* no such counterfactual: the first; right stays right: all others */
    assert_int_equal(clean_of(t, 1)[0], BOX);
    assert_int_equal(corrupt_of(t, 1)[0], RED);
    assert_int_equal(t->answers[1].right[0], A);
    assert_int_equal(t->answers[1].n_wrong, 1);
    assert_int_equal(t->answers[1].wrong[0], B);
    ew_task_destroy(t);

    t = load_text("mcqa.json", "[" FIRST "]", &env);
    expect_first(t);
    ew_task_destroy(t);
    t = load_text("mcqa.json", "{\"prompts\": [" FIRST "]}", &env);
    expect_first(t);
    ew_task_destroy(t);
}

static void the_counterfactual_is_chosen(void **state)
{
    (void)state;
    char *path = put_task("mcqa.jsonl", FIRST);
    char *spec =
        ew_xasprintf("%s:corrupted=answerPosition_counterfactual", path);
    struct ew_task *t = open_task(spec, &env);
    assert_int_equal(corrupt_of(t, 0)[1], RED);
    assert_int_equal(t->answers[0].right[0], B);
    assert_int_equal(t->answers[0].wrong[0], A);
    assert_string_equal(t->corruption, "answerPosition_counterfactual");
    ew_task_destroy(t);
    free(spec);
    spec = ew_xasprintf("%s:corrupted=color_counterfactual", path);
    refuse(spec, &env, EW_ERR_INPUT,
           "prompts[0].color_counterfactual: expected an object, found "
           "nothing");
    free(spec);
    free(path);

    /* and of other files: the field of the corrupted prompts */
    path = put_task("pair.json",
                    "{\"prompts\": [{\"clean\": [2, 3], \"corrupt\": [2, 4], "
                    "\"hard\": [3, 4]}]}");
    spec = ew_xasprintf("%s:corrupted=hard", path);
    t = open_task(spec, &env);
    assert_int_equal(corrupt_of(t, 0)[0], 3);
    ew_task_destroy(t);
    free(spec);
    free(path);
}

static void wrong_questions_are_named(void **state)
{
    (void)state;
    refuse_text("mcqa.jsonl", FIRST "\n{\"prompt\": ", &env, "line 2: line 1");
    refuse_text("mcqa.json",
                "[{\"prompt\": \"box\", \"choices\": {}, "
                "\"symbol_counterfactual\": {}}]",
                &env, "prompts[0]: choices.label: expected a list");
    refuse_text("mcqa.json",
                "[{\"prompt\": \"box\", \"choices\": {\"label\": [\"A\"]}, "
                "\"answerKey\": 1, \"symbol_counterfactual\": {}}]",
                &env,
                "prompts[0]: answerKey: expected the index of one of 1 "
                "choices");
    refuse_text("mcqa.json",
                "[{" QUESTION("box", "\"E\"", "0") ", \"x_counterfactual\": {"
                QUESTION("red", "\"A\"", "0") "}}]",
                &env, "prompts[0].answers: \" E\" is not a single token");
}

/* What stands in the file is given through standard input. */
static struct ew_task *open_stdin(const char *text, const char *spec)
{
    char *path = put_task("stdin", text);
    assert_non_null(freopen(path, "r", stdin));
    free(path);
    return open_task(spec, &env);
}

static void standard_input_is_json_or_csv(void **state)
{
    (void)state;
    struct ew_task *t = open_stdin(
        "clean,corrupted,answer,other\nbox red,box blue,A,box box\n", "-");
    assert_string_equal(t->name, "standard input");
    assert_int_equal(t->n_pos, 2);
    assert_int_equal(corrupt_of(t, 0)[1], BLUE);
    assert_int_equal(t->answers[0].right[0], A);
    ew_task_destroy(t);
    t = open_stdin("clean,corrupted,answer,other\nbox red,box blue,A,box box\n",
                   "-:corrupted=other,metric=nll");
    assert_int_equal(corrupt_of(t, 0)[1], BOX);
    assert_int_equal(t->metric, EW_METRIC_NLL);
    ew_task_destroy(t);
    t = open_stdin(" \n{\"prompts\": [{\"clean\": \"Mary\", \"corrupt\": "
                   "\"Paul\"}]}",
                   "-");
    assert_int_equal(t->clean[0], MARY);
    assert_int_equal(t->corrupt[0], PAUL);
    ew_task_destroy(t);
    t = open_stdin("[" FIRST "]", "-");
    expect_first(t);
    ew_task_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_pairs),
        cmocka_unit_test(the_counterfactual_is_chosen),
        cmocka_unit_test(wrong_questions_are_named),
        cmocka_unit_test(standard_input_is_json_or_csv),
    };
    return cmocka_run_group_tests(tests, letters, no_letters);
}
