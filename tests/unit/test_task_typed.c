/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed prompts: the same task as a file with these texts, and messages that
 * show what does not fit.
 */
#include "task_fixture.h"

static struct ew_tokenizer *tok;
static struct ew_task_env env;

static int words(void **state)
{
    struct ew_err err = {0};
    if (task_dir_make(state) != 0) {
        return -1;
    }
    free(put_task("tokenizer.json",
                  "{\"added_tokens\": [{\"id\": 0, \"content\": \"<|bos|>\", "
                  "\"special\": true, \"normalized\": false}], \"normalizer\": "
                  "null, \"decoder\": null, \"pre_tokenizer\": {\"type\": "
                  "\"WhitespaceSplit\"}, \"model\": {\"type\": \"WordLevel\", "
                  "\"vocab\": {\"<|bos|>\": 0, \"<|unk|>\": 1, \"Mary\": 2, "
                  "\"John\": 3, \"gave\": 4, \"to\": 5, \"Paul\": 6}, "
                  "\"unk_token\": \"<|unk|>\"}}"));
    tok = ew_tokenizer_load(task_dir, &err);
    if (!tok) {
        fail_msg("%s", err.message);
    }
    env = (struct ew_task_env){
        .tok = tok, .d_vocab = 7, .n_ctx = 16, .bos = -1, .default_bos = true};
    return 0;
}

static int no_words(void **state)
{
    ew_tokenizer_destroy(tok);
    return task_dir_remove(state);
}

static struct ew_task *open_typed(const struct ew_typed_pair *pairs, size_t n)
{
    struct ew_err err = {0};
    char *spec = ew_task_typed(pairs, n, &err);
    if (!spec) {
        fail_msg("%s", err.message);
    }
    struct ew_task *task = open_task(spec, &env);
    free(spec);
    return task;
}

static void pairs_are_a_task(void **state)
{
    (void)state;
    static const char *const both[] = {" John", " Paul"};
    static const char *const mary[] = {" Mary"};
    static const struct ew_typed_pair pairs[] = {
        {"Mary gave to", "Paul gave to", mary, 1, both, 2},
        {"John \"gave\" to Mary", "John \"gave\" to Paul", both, 2, NULL, 0},
    };
    static const int64_t clean[] = {0, 2, 4, 5, 0, 0, 3, 1, 5, 2};
    static const int64_t corrupt[] = {0, 6, 4, 5, 0, 0, 3, 1, 5, 6};
    struct ew_task *t = open_typed(pairs, 2);
    assert_string_equal(t->name, "typed");
    assert_string_equal(t->bos, "BOS");
    assert_int_equal(t->metric, EW_METRIC_KL); /* the second has no wrong one */
    assert_int_equal(t->n_prompts, 2);
    assert_int_equal(t->n_pos, 5);
    expect_ids(t->clean, clean, 10, "clean");
    expect_ids(t->corrupt, corrupt, 10, "corrupt");
    assert_int_equal(t->answers[0].right[0], 2);
    assert_int_equal(t->answers[0].n_wrong, 2);
    assert_int_equal(t->answers[0].wrong[1], 6);
    assert_int_equal(t->answers[1].n_right, 2);
    assert_int_equal(t->answers[1].n_wrong, 0);
    assert_int_equal(t->answer_position[0], 3);
    assert_int_equal(t->answer_position[1], 4);
    ew_task_destroy(t);

    t = open_typed(pairs, 1);
    assert_int_equal(t->metric, EW_METRIC_LOGIT_DIFF);
    char *json = ew_task_to_json(t, tok);
    struct ew_task *saved = load_text("typed.json", json, &env);
    expect_same_task(t, saved);
    ew_task_destroy(saved);
    free(json);
    ew_task_destroy(t);
}

static void refuse_typed(const char *clean, const char *corrupt,
                         const char *answer, const char *message)
{
    struct ew_err err = {0};
    const struct ew_typed_pair pair = {clean, corrupt, &answer, 1, NULL, 0};
    char *spec = ew_task_typed(&pair, 1, &err);
    struct ew_task *task = spec ? ew_task_open(spec, &env, &err) : NULL;
    free(spec);
    assert_null(task);
    expect_message(&err, EW_ERR_INPUT, clean ? clean : "(none)", message);
}

/* Where a blank before a digit is a token of its own, the digit is not what
 * comes next. */
static void a_blank_that_is_a_token_is_not_left_out(void **state)
{
    (void)state;
    struct ew_err err = {0};
    free(put_task("tokenizer.json",
                  "{\"added_tokens\": [], \"normalizer\": null, "
                  "\"decoder\": {\"type\": \"ByteLevel\"}, "
                  "\"pre_tokenizer\": {\"type\": \"ByteLevel\", "
                  "\"add_prefix_space\": false}, \"model\": {\"type\": "
                  "\"BPE\", \"vocab\": {\"\xc4\xa0\": 0, \"3\": 1, "
                  "\"4\": 2, \"7\": 3, \"8\": 4, \"=\": 5}, "
                  "\"merges\": []}}"));
    struct ew_tokenizer *digits = ew_tokenizer_load(task_dir, &err);
    if (!digits) {
        fail_msg("%s", err.message);
    }
    const struct ew_task_env here = {
        .tok = digits, .d_vocab = 6, .n_ctx = 16, .bos = -1};
    static const char *const spaced[] = {" 7"};
    static const char *const bare[] = {"7"};
    const struct ew_typed_pair pairs[] = {{"3=", "4=", spaced, 1, NULL, 0},
                                          {"3=", "4=", bare, 1, NULL, 0}};
    char *spec = ew_task_typed(&pairs[0], 1, &err);
    assert_non_null(spec);
    refuse(spec, &here, EW_ERR_INPUT,
           "\" 7\" is not a single token of this model:");
    free(spec);
    spec = ew_task_typed(&pairs[1], 1, &err);
    assert_non_null(spec);
    struct ew_task *t = open_task(spec, &here);
    assert_int_equal(t->answers[0].right[0], 3);
    ew_task_destroy(t);
    free(spec);
    ew_tokenizer_destroy(digits);
}

static void what_does_not_fit_is_shown(void **state)
{
    (void)state;
    refuse_typed("Mary gave to", "Paul gave to", " Mary John",
                 "typed: prompts[0].answers[0]: \" Mary John\" is not a single "
                 "token of this model: Mary|John");
    refuse_typed("Mary gave to", "Paul gave to", " Zoe",
                 "\" Zoe\" is not a single token of this model: <|unk|>");
    refuse_typed("Mary gave to", "Mary Paul John gave to", " Mary",
                 "typed: prompts[0]: clean has 4 tokens and corrupt 6: they "
                 "must be equally long; at token 2, clean \"\", corrupt "
                 "\"Paul|John\"");
    refuse_typed("to to to to to to to to to to", "to", " to",
                 "clean \"to|to|to|to|to|to|to|to|..\", corrupt \"\"");
    refuse_typed("Mary", NULL, " Mary", "typed: prompts[0].corrupt: missing");
    refuse_typed("Mary", "\xff", " Mary",
                 "typed: prompts[0].corrupt: not UTF-8");
    refuse_typed("Mary", "John", "\xff",
                 "typed: prompts[0].answers[0]: not UTF-8");
}

static void a_task_may_be_its_own_json(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_task *t = open_task("{\"prompts\": [{\"clean\": [2, 3], "
                                  "\"corrupt\": [2, 4]}], \"metric\": \"nll\", "
                                  "\"name\": \"two, of them: ids\"}",
                                  &env);
    assert_string_equal(t->name, "two, of them: ids");
    assert_int_equal(t->metric, EW_METRIC_NLL);
    ew_task_destroy(t);
    assert_null(ew_task_open("{\"prompts\": ", &env, &err));
    expect_message(&err, EW_ERR_INPUT, "half an object", "typed: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_a_task),
        cmocka_unit_test(a_blank_that_is_a_token_is_not_left_out),
        cmocka_unit_test(what_does_not_fit_is_shown),
        cmocka_unit_test(a_task_may_be_its_own_json),
    };
    return cmocka_run_group_tests(tests, words, no_words);
}
