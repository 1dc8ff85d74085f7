/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generators of text on a vocabulary of words made here, where each word that
 * is left out is known.
 */
#include "task_fixture.h"

static const char *first_token = "<|bos|>";

static struct ew_tokenizer *words(const char *list)
{
    struct ew_err err = {0};
    struct ew_buf json = {0};
    ew_buf_printf(&json,
                  "{\"added_tokens\": [{\"id\": 0, \"content\": \"%s\", "
                  "\"special\": true, \"normalized\": false}], \"normalizer\": "
                  "null, \"decoder\": null, \"pre_tokenizer\": {\"type\": "
                  "\"WhitespaceSplit\"}, \"model\": {\"type\": \"WordLevel\", "
                  "\"vocab\": {\"%s\": 0, \"<|unk|>\": 1",
                  first_token, first_token);
    int id = 2;
    while (*list) {
        size_t n = strcspn(list, " ");
        ew_buf_printf(&json, ", \"%.*s\": %d", (int)n, list, id++);
        list += n + (list[n] == ' ');
    }
    ew_buf_add(&json, "}, \"unk_token\": \"<|unk|>\"}}");
    free(put_task("tokenizer.json", ew_buf_str(&json)));
    ew_buf_finish(&json);
    struct ew_tokenizer *tok = ew_tokenizer_load(task_dir, &err);
    if (!tok) {
        fail_msg("%s", err.message);
    }
    return tok;
}

static struct ew_task_env env_of(const struct ew_tokenizer *tok)
{
    return (struct ew_task_env){.tok = tok,
                                .d_vocab = ew_tokenizer_size(tok),
                                .n_ctx = 128,
                                .bos = ew_tokenizer_bos(tok),
                                .default_bos = true};
}

/* Enough for official ACDC's template, and for no other. */
#define FIVE "Mary John Paul Lisa Mark "
#define FIRST_TEMPLATE "Then, and went to the store store. gave a drink "

static void what_is_no_word_is_left_out(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = words(FIVE FIRST_TEMPLATE);
    struct ew_task_env env = env_of(tok);
    struct ew_task *t = open_task("ioi-mib:n=20", &env);
    /* 94 names, 7 places, 7 objects, 12 templates */
    assert_int_equal(t->dropped, 94 + 7 + 7 + 12);
    assert_non_null(strstr(t->dropped_why,
                           "94 of 99 names are not single tokens (Michael, "
                           "Christopher, Jessica, ..)"));
    assert_non_null(strstr(t->dropped_why, "7 of 8 places"));
    assert_non_null(strstr(t->dropped_why, "7 of 8 objects"));
    assert_non_null(strstr(t->dropped_why,
                           "12 of 13 templates: words that the vocabulary "
                           "lacks"));
    assert_int_equal(t->n_prompts, 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(t->length[i], 14);
    }
    ew_task_destroy(t);
    /* of five names the third is neither of the two */
    t = open_task("ioi-mib:n=100,corrupt=s2-third", &env);
    for (size_t i = 0; i < 100; i++) {
        int64_t third = corrupt_at(t, "S2", i);
        assert_int_not_equal(third, t->answers[i].right[0]);
        assert_int_not_equal(third, t->answers[i].wrong[0]);
    }
    ew_task_destroy(t);
    ew_tokenizer_destroy(tok);
}

static void too_small_vocabularies_are_refused(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = words("Mary John Paul Lisa " FIRST_TEMPLATE);
    struct ew_task_env env = env_of(tok);
    refuse("ioi-acdc", &env, EW_ERR_INPUT,
           "ioi-acdc: too few words are single tokens of this vocabulary: 4 "
           "names, 1 places, 1 objects");
    refuse("gendered-pronoun", &env, EW_ERR_INPUT,
           "2 + 2 names, \" he\", \" she\"");
    refuse("greater-than", &env, EW_ERR_INPUT, "0 nouns, 0 years");
    refuse("docstring", &env, EW_ERR_INPUT,
           "0 arguments (15 are needed), 0 nouns (7)");
    refuse("subject-verb", &env, EW_ERR_INPUT,
           "too few words are single tokens of this vocabulary in both "
           "numbers: 0 nouns, 0 verbs");
    ew_tokenizer_destroy(tok);

    tok = words(FIVE "Then, and went to the store gave a drink");
    env = env_of(tok);
    refuse("ioi-acdc", &env, EW_ERR_INPUT,
           "no template fits: words that the vocabulary lacks");
    ew_tokenizer_destroy(tok);

    tok = words(FIVE FIRST_TEMPLATE);
    env = env_of(tok);
    env.n_ctx = 11;
    refuse("ioi-acdc", &env, EW_ERR_INPUT,
           "no template fits: prompts longer than the context");
    ew_tokenizer_destroy(tok);
    tok = words("oil column piece crime unit dark price");
    env = env_of(tok);
    refuse("docstring", &env, EW_ERR_INPUT,
           "0 arguments (15 are needed), 7 nouns (7)");
    ew_tokenizer_destroy(tok);
    env = bare(50, 64);
    refuse("ioi-acdc", &env, EW_ERR_INPUT, "ioi-acdc: text needs a tokenizer");
}

static void options_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        const char *words;
    } cases[] = {
        {"ioi-acdc:order=baab",
         "order=baab: expected one of abba, baba, mixed"},
        {"ioi-mib:corrupt=s1", "corrupt=s1: expected one of abc, s2-io, "
                               "s2-third"},
        {"ioi-mib:templates=14", "templates=14: expected a number from 1 to "
                                 "13"},
        {"ioi-mib:bos=maybe", "bos=maybe: expected one of no, yes"},
        {"ioi-acdc:k=3", "there are n, seed, metric, order, corrupt, "
                         "templates, bos"},
        {"docstring:corrupt=random", "expected one of random-random, "},
        {"greater-than:corrupt=01", "no option \"corrupt\"; there are n, seed"},
        {"gendered-pronoun:n=0", "n=0: expected a number"},
    };
    struct ew_tokenizer *tok = words(FIVE FIRST_TEMPLATE);
    struct ew_task_env env = env_of(tok);
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        refuse(cases[i].spec, &env, EW_ERR_USAGE, cases[i].words);
    }
    ew_tokenizer_destroy(tok);
}

static void a_bos_is_needed_where_asked_for(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = words(FIVE FIRST_TEMPLATE);
    struct ew_task_env env = env_of(tok);
    struct ew_task *t = open_task("ioi-mib:n=3", &env);
    assert_int_equal(t->clean[0], 0);
    assert_string_equal(t->bos, "BOS");
    ew_task_destroy(t);
    t = open_task("ioi-mib:n=3,bos=no", &env);
    assert_int_not_equal(t->clean[0], 0);
    assert_string_equal(t->bos, "no BOS");
    ew_task_destroy(t);
    t = open_task("ioi-acdc:n=3", &env); /* official ACDC's has none */
    assert_int_not_equal(t->clean[0], 0);
    ew_task_destroy(t);
    ew_tokenizer_destroy(tok);

    first_token = "<|pad|>";
    tok = words(FIVE FIRST_TEMPLATE);
    env = env_of(tok);
    assert_int_equal(env.bos, -1);
    refuse("ioi-mib", &env, EW_ERR_INPUT,
           "ioi-mib: the model has no BOS token; bos=no leaves it out");
    t = open_task("ioi-acdc:n=3", &env);
    ew_task_destroy(t);
    ew_tokenizer_destroy(tok);
    first_token = "<|bos|>";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_word_is_left_out),
        cmocka_unit_test(too_small_vocabularies_are_refused),
        cmocka_unit_test(options_are_refused),
        cmocka_unit_test(a_bos_is_needed_where_asked_for),
    };
    return cmocka_run_group_tests(tests, task_dir_make, task_dir_remove);
}
