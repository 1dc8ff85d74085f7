/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generators of text: on a vocabulary of words made here, where each word
 * that is left out is known; then on GPT-2's and NeoX's, where they are there.
 */
#include "task_fixture.h"

/* ---- a vocabulary of words ---- */

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

/* The text of a prompt; free() it. */
static char *text_of(const struct ew_tokenizer *tok, const int64_t *ids,
                     int32_t n)
{
    struct ew_buf text = {0};
    ew_tokenizer_decode(tok, ids, (size_t)n, &text);
    return ew_buf_steal(&text);
}

/* The token at a role, in the clean or the corrupted prompt. */
static int64_t clean_at(const struct ew_task *t, const char *role, size_t i)
{
    return clean_of(t, i)[role_of(t, role)[i]];
}

static int64_t corrupt_at(const struct ew_task *t, const char *role, size_t i)
{
    return corrupt_of(t, i)[role_of(t, role)[i]];
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

/* ---- GPT-2's ---- */

static struct ew_tokenizer *gpt2;
static struct ew_task_env gpt2_env;

static int load_gpt2(void **state)
{
    struct ew_err err;
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
        cmocka_unit_test(what_is_no_word_is_left_out),
        cmocka_unit_test(too_small_vocabularies_are_refused),
        cmocka_unit_test(options_are_refused),
        cmocka_unit_test(a_bos_is_needed_where_asked_for),
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
