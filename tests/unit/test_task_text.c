/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generators of text on the vocabularies of GPT-2 and NeoX, where they are
 * there.
 */
#include "task_fixture.h"

static struct ew_tokenizer *gpt2;
static struct ew_task_env gpt2_env;

static int load_gpt2(void **state)
{
    struct ew_err err = {0};
    (void)state;
    if (task_dir_make(state) != 0) {
        return -1;
    }
    const char *path = ew_test_reference("tokenizers/gpt2");
    if (access(path, R_OK) != 0) {
        print_message("not looked at: %s is not there\n", path);
        return 0;
    }
    gpt2 = ew_tokenizer_load(path, &err);
    gpt2_env = (struct ew_task_env){
        .tok = gpt2, .d_vocab = 50257, .n_ctx = 1024, .bos = 50256};
    return gpt2 ? 0 : -1;
}

static int unload_gpt2(void **state)
{
    ew_tokenizer_destroy(gpt2);
    return task_dir_remove(state);
}

/* What holds for every task of text. */
static void expect_sound(const struct ew_task *t, const struct ew_task_env *env)
{
    struct ew_err err = {0};
    if (!ew_task_check(t, env->d_vocab, env->n_ctx, &err)) {
        fail_msg("%s: %s", t->name, err.message);
    }
    enum ew_metric metric =
        strcmp(t->name, "greater-than") == 0 ? EW_METRIC_PROB_DIFF
        : strcmp(t->name, "docstring") == 0  ? EW_METRIC_DOCSTRING
                                             : EW_METRIC_LOGIT_DIFF;
    assert_int_equal(t->metric, metric);
    assert_int_equal(t->n_scored, t->n_prompts);
    for (size_t i = 0; i < t->n_prompts; i++) {
        int32_t last = t->length[i] - 1;
        assert_int_equal(t->answer_position[i], last);
        assert_int_equal(t->scored[i].position, last);
        assert_int_equal(t->scored[i].target, t->answers[i].right[0]);
        assert_int_equal(role_of(t, "END")[i], last);
        for (size_t a = 0; a < t->answers[i].n_wrong; a++) {
            assert_int_not_equal(t->answers[i].wrong[a],
                                 t->answers[i].right[0]);
        }
    }
}

/* Prompts differ at these roles and nowhere else. */
static void expect_differ_at(const struct ew_task *t, const char *const *roles,
                             size_t n)
{
    for (size_t i = 0; i < t->n_prompts; i++) {
        for (int32_t p = 0; p < t->length[i]; p++) {
            bool is_role = false;
            for (size_t r = 0; r < n; r++) {
                is_role |= role_of(t, roles[r])[i] == p;
            }
            if ((clean_of(t, i)[p] != corrupt_of(t, i)[p]) != is_role) {
                fail_msg("%s, prompt %zu, position %d", t->name, i, p);
            }
        }
    }
}

static void expect_ioi(const struct ew_task *t)
{
    expect_sound(t, &gpt2_env);
    for (size_t i = 0; i < t->n_prompts; i++) {
        assert_int_equal(t->answers[i].n_right, 1);
        assert_int_equal(t->answers[i].n_wrong, 1);
        assert_int_equal(clean_at(t, "IO", i), t->answers[i].right[0]);
        assert_int_equal(clean_at(t, "S1", i), t->answers[i].wrong[0]);
        assert_int_equal(clean_at(t, "S2", i), t->answers[i].wrong[0]);
        assert_int_equal(role_of(t, "S1+1")[i], role_of(t, "S1")[i] + 1);
    }
}

static void ioi_as_acdc_has_it(void **state)
{
    (void)state;
    static const char *const names[] = {"IO", "S1", "S2"};
    if (!gpt2) {
        return;
    }
    struct ew_task *t = open_task("ioi-acdc:n=60,seed=2", &gpt2_env);
    assert_int_equal(t->n_prompts, 60);
    assert_int_equal(t->dropped, 0);
    assert_string_equal(t->corruption, "abc");
    assert_string_equal(t->bos, "no BOS");
    expect_ioi(t);
    expect_differ_at(t, names, 3);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(t->length[i], 15);
        assert_int_equal(role_of(t, "IO")[i], 2); /* ABBA: IO comes first */
        assert_int_equal(role_of(t, "S1")[i], 4);
        assert_int_equal(role_of(t, "S2")[i], 10);
        /* three names, each another */
        int64_t a = corrupt_at(t, "IO", i);
        int64_t b = corrupt_at(t, "S1", i);
        int64_t c = corrupt_at(t, "S2", i);
        assert_true(a != b && b != c && a != c);
        int64_t io = t->answers[i].right[0];
        int64_t s = t->answers[i].wrong[0];
        assert_true(a != s && b != io && c != io && a != io);
    }
    ew_task_destroy(t);
    /* a seed's prompts are to stay the same */
    t = open_task("ioi-acdc", &gpt2_env);
    char *text = text_of(gpt2, clean_of(t, 0), t->length[0]);
    assert_string_equal(text, "Then, Jessica and Samuel went to the store. "
                              "Samuel gave a computer to");
    free(text);
    text = text_of(gpt2, corrupt_of(t, 0), t->length[0]);
    assert_string_equal(text, "Then, Sean and Jason went to the store. "
                              "Gregory gave a computer to");
    free(text);
    ew_task_destroy(t);
}

static void ioi_as_mib_has_it(void **state)
{
    (void)state;
    static const char *const s2[] = {"S2"};
    if (!gpt2) {
        return;
    }
    struct ew_task *t = open_task("ioi-mib:n=200", &gpt2_env);
    size_t io_first = 0;
    bool lengths[64] = {false};
    assert_string_equal(t->corruption, "s2-io");
    expect_ioi(t);
    expect_differ_at(t, s2, 1);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(clean_of(t, i)[0], 50256);
        assert_int_equal(corrupt_at(t, "S2", i), t->answers[i].right[0]);
        io_first += role_of(t, "IO")[i] < role_of(t, "S1")[i];
        lengths[t->length[i]] = true;
    }
    assert_in_range(io_first, 60, 140); /* 100 +- 5.6 sigma */
    size_t n_lengths = 0;
    for (size_t i = 0; i < 64; i++) {
        n_lengths += lengths[i];
    }
    assert_true(n_lengths > 3); /* many templates */
    ew_task_destroy(t);

    t = open_task("ioi-mib:n=50,corrupt=s2-third,order=baba", &gpt2_env);
    expect_ioi(t);
    expect_differ_at(t, s2, 1);
    for (size_t i = 0; i < 50; i++) {
        assert_int_not_equal(corrupt_at(t, "S2", i), t->answers[i].right[0]);
        assert_true(role_of(t, "S1")[i] < role_of(t, "IO")[i]);
    }
    ew_task_destroy(t);
}

static void pronouns(void **state)
{
    (void)state;
    static const char *const name[] = {"NAME"};
    if (!gpt2) {
        return;
    }
    struct ew_task *t = open_task("gendered-pronoun:n=100", &gpt2_env);
    int64_t he = ew_tokenizer_find(gpt2, " he");
    int64_t she = ew_tokenizer_find(gpt2, " she");
    int64_t mary = ew_tokenizer_find(gpt2, " Mary");
    int64_t john = ew_tokenizer_find(gpt2, " John");
    size_t n_he = 0;
    assert_int_equal(t->dropped, 0);
    expect_sound(t, &gpt2_env);
    expect_differ_at(t, name, 1);
    for (size_t i = 0; i < 100; i++) {
        int64_t right = t->answers[i].right[0];
        assert_true(right == he || right == she);
        assert_int_equal(t->answers[i].wrong[0], right == he ? she : he);
        n_he += right == he;
        assert_true(clean_at(t, "NAME", i) != mary || right == she);
        assert_true(clean_at(t, "NAME", i) != john || right == he);
        assert_true(corrupt_at(t, "NAME", i) != mary || right == he);
    }
    assert_in_range(n_he, 22, 78);
    ew_task_destroy(t);
}

static void later_years_are_right(void **state)
{
    (void)state;
    static const char *const yy[] = {"YY"};
    if (!gpt2) {
        return;
    }
    struct ew_task *t = open_task("greater-than:n=100", &gpt2_env);
    int64_t first = ew_tokenizer_find(gpt2, "01");
    assert_string_equal(t->dropped_why, "61 of 679 years are not a century "
                                        "and an end, two tokens");
    assert_int_equal(t->dropped, 61);
    expect_sound(t, &gpt2_env);
    expect_differ_at(t, yy, 1);
    for (size_t i = 0; i < 100; i++) {
        const struct ew_answers *a = &t->answers[i];
        assert_int_equal(corrupt_at(t, "YY", i), first);
        assert_int_equal(clean_at(t, "XX1", i), clean_at(t, "END", i));
        assert_int_equal(role_of(t, "YY")[i], role_of(t, "XX1")[i] + 1);
        char *end = text_of(gpt2, &clean_of(t, i)[role_of(t, "YY")[i]], 1);
        int year = atoi(end);
        free(end);
        assert_in_range(year, 2, 98);
        assert_int_equal(a->n_right, 99 - year);
        assert_int_equal(a->n_wrong, year + 1);
        /* the last wrong one is the year itself, the first right the next */
        assert_int_equal(a->wrong[year], clean_at(t, "YY", i));
        char next[16];
        snprintf(next, sizeof(next), "%02d", year + 1);
        assert_int_equal(a->right[0], ew_tokenizer_find(gpt2, next));
        assert_int_equal(a->right[98 - year], ew_tokenizer_find(gpt2, "99"));
        assert_int_equal(a->wrong[0], ew_tokenizer_find(gpt2, "00"));
    }
    ew_task_destroy(t);
}

static void docstrings(void **state)
{
    (void)state;
    static const struct {
        const char *corrupt;
        const char *roles[5];
        size_t n;
    } cases[] = {
        {"random-random", {"A_def", "B_def", "C_def", "A_doc", "B_doc"}, 5},
        {"random-def", {"A_def", "B_def"}, 2},
        {"random-doc", {"A_doc", "B_doc"}, 2},
        {"random-def-doc", {"A_def", "B_def", "A_doc", "B_doc"}, 4},
        {"random-answer", {"C_def"}, 1},
        {"random-answer-doc", {"C_def", "A_doc", "B_doc"}, 3},
    };
    if (!gpt2) {
        return;
    }
    for (size_t c = 0; c < EW_ARRAY_LEN(cases); c++) {
        char spec[64];
        snprintf(spec, sizeof(spec), "docstring:n=20,corrupt=%s",
                 cases[c].corrupt);
        struct ew_task *t = open_task(spec, &gpt2_env);
        assert_int_equal(t->n_prompts, 20);
        assert_string_equal(t->corruption, cases[c].corrupt);
        assert_string_equal(t->bos, "BOS");
        expect_sound(t, &gpt2_env);
        expect_differ_at(t, cases[c].roles, cases[c].n);
        for (size_t i = 0; i < 20; i++) {
            assert_int_equal(t->answers[i].right[0], clean_at(t, "C_def", i));
            assert_int_equal(t->answers[i].n_right, 1);
            assert_int_equal(t->answers[i].n_wrong, 13);
            assert_int_equal(clean_at(t, "A_def", i), clean_at(t, "A_doc", i));
            assert_int_equal(clean_at(t, "B_def", i), clean_at(t, "B_doc", i));
            assert_int_equal(clean_at(t, "END", i),
                             ew_tokenizer_find(gpt2, "param"));
        }
        ew_task_destroy(t);
    }
    struct ew_task *t = open_task("docstring", &gpt2_env);
    char *text = text_of(gpt2, clean_of(t, 0), t->length[0]);
    assert_string_equal(
        text,
        "<|endoftext|>\ndef test(self, source, line, port, order, error, "
        "header):\n    \"\"\"summer metal price\n\n    :param port: stone "
        "music\n    :param order: animal paper\n    :param");
    free(text);
    ew_task_destroy(t);
}

static void subjects_and_verbs(void **state)
{
    (void)state;
    static const char *const subject[] = {"SUBJECT"};
    static const char *const kinds[] = {"simple", "pp", "rc"};
    static const int32_t lengths[] = {2, 5, 6};
    if (!gpt2) {
        return;
    }
    int64_t is = ew_tokenizer_find(gpt2, " is");
    int64_t are = ew_tokenizer_find(gpt2, " are");
    int64_t men = ew_tokenizer_find(gpt2, " men");
    int64_t man = ew_tokenizer_find(gpt2, " man");
    for (size_t k = 0; k < EW_ARRAY_LEN(kinds); k++) {
        char *spec = ew_xasprintf("subject-verb:n=300,kind=%s", kinds[k]);
        struct ew_task *t = open_task(spec, &gpt2_env);
        size_t n_plural = 0;
        size_t n_men = 0;
        assert_int_equal(t->n_prompts, 300);
        assert_int_equal(t->dropped, 0);
        expect_sound(t, &gpt2_env);
        expect_differ_at(t, subject, 1);
        for (size_t i = 0; i < 300; i++) {
            const struct ew_answers *a = &t->answers[i];
            bool plural = a->right[0] == are;
            assert_int_equal(t->length[i], lengths[k]);
            assert_int_equal(a->n_right, 3);
            assert_int_equal(a->n_wrong, 3);
            assert_int_equal(a->right[0], plural ? are : is);
            assert_int_equal(a->wrong[0], plural ? is : are);
            if (clean_at(t, "SUBJECT", i) == men) {
                assert_true(plural);
                assert_int_equal(corrupt_at(t, "SUBJECT", i), man);
                n_men++;
            }
            n_plural += plural;
        }
        assert_in_range(n_plural, 100, 200);
        assert_true(n_men > 0);
        ew_task_destroy(t);
        free(spec);
    }
    struct ew_task *t = open_task("subject-verb:n=60", &gpt2_env);
    size_t simple = 0;
    for (size_t i = 0; i < 60; i++) {
        simple += role_of(t, "OTHER")[i] < 0;
        assert_int_equal(role_of(t, "OTHER")[i] < 0, t->length[i] == 2);
    }
    assert_in_range(simple, 5, 40);
    ew_task_destroy(t);
}

static void seeds(void **state)
{
    (void)state;
    static const char *const names[] = {
        "ioi-acdc",     "ioi-mib",   "gendered-pronoun",
        "greater-than", "docstring", "subject-verb"};
    if (!gpt2) {
        return;
    }
    for (size_t i = 0; i < EW_ARRAY_LEN(names); i++) {
        char *spec = ew_xasprintf("%s:n=20,seed=4", names[i]);
        char *other = ew_xasprintf("%s:n=20,seed=5", names[i]);
        struct ew_task *a = open_task(spec, &gpt2_env);
        struct ew_task *b = open_task(spec, &gpt2_env);
        struct ew_task *c = open_task(other, &gpt2_env);
        assert_string_equal(a->name, names[i]);
        expect_same_task(a, b);
        assert_memory_not_equal(a->clean, c->clean,
                                a->n_prompts * a->n_pos * sizeof(int64_t));
        /* and through a file, with what was dropped */
        char *json = ew_task_to_json(a, gpt2);
        struct ew_task *back = load_text("task.json", json, &gpt2_env);
        expect_same_task(a, back);
        free(json);
        free(spec);
        free(other);
        ew_task_destroy(a);
        ew_task_destroy(b);
        ew_task_destroy(c);
        ew_task_destroy(back);
    }
}

/* Runs of blanks are added tokens there: text all the same. */
static void neox_says_them_too(void **state)
{
    (void)state;
    struct ew_err err = {0};
    const char *path = ew_test_reference("tokenizers/gpt-neox");
    if (access(path, R_OK) != 0) {
        print_message("not looked at: %s is not there\n", path);
        return;
    }
    struct ew_tokenizer *tok = ew_tokenizer_load(path, &err);
    assert_non_null(tok);
    struct ew_task_env env = {
        .tok = tok, .d_vocab = 50432, .n_ctx = 1024, .bos = 0};
    struct ew_task *t = open_task("docstring:n=10", &env);
    assert_int_equal(t->n_prompts, 10);
    expect_sound(t, &env);
    ew_task_destroy(t);
    t = open_task("greater-than:n=200", &env);
    assert_int_equal(t->n_prompts, 200);
    assert_int_equal(t->dropped, 223);
    expect_sound(t, &env);
    ew_task_destroy(t);
    ew_tokenizer_destroy(tok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ioi_as_acdc_has_it),
        cmocka_unit_test(ioi_as_mib_has_it),
        cmocka_unit_test(pronouns),
        cmocka_unit_test(later_years_are_right),
        cmocka_unit_test(docstrings),
        cmocka_unit_test(subjects_and_verbs),
        cmocka_unit_test(seeds),
        cmocka_unit_test(neox_says_them_too),
    };
    return cmocka_run_group_tests(tests, load_gpt2, unload_gpt2);
}
