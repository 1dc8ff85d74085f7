/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The induction task, property by property as task.h states them, and the
 * checks of a task against a model.
 */
#include "task_fixture.h"

static bool has(const int64_t *ids, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static void expect_distinct(const int64_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (has(ids, i, ids[i])) {
            fail_msg("token %lld stands at %zu again", (long long)ids[i], i);
        }
    }
}

/* ---- clean prompts ---- */

/* Scored positions k+1 .. 2k-1 of each prompt, what follows them as target. */
static void expect_scored(const struct ew_task *t, size_t k, size_t shift)
{
    assert_int_equal(t->n_scored, t->n_prompts * (k - 1));
    for (size_t i = 0; i < t->n_scored; i++) {
        size_t prompt = i / (k - 1);
        size_t position = k + i % (k - 1) + shift;
        assert_int_equal(t->scored[i].prompt, prompt);
        assert_int_equal(t->scored[i].position, position);
        assert_int_equal(t->scored[i].target,
                         clean_of(t, prompt)[position + 1]);
    }
}

/* `shift` is the position of r1: 1 behind BOS. */
static void expect_induction(const struct ew_task *t, size_t k, size_t shift)
{
    assert_int_equal(t->n_pos, 2 * k + shift);
    for (size_t i = 0; i < t->n_prompts; i++) {
        const int64_t *r = clean_of(t, i) + shift;
        assert_int_equal(t->length[i], 2 * k + shift);
        expect_distinct(r, k);
        expect_ids(r + k, r, k, "second half");
        assert_int_equal(t->answer_position[i], 2 * k - 1 + shift);
        assert_int_equal(t->answers[i].n_right, 1);
        assert_int_equal(t->answers[i].n_wrong, 1);
        assert_int_equal(t->answers[i].right[0], r[0]);
        assert_int_not_equal(t->answers[i].wrong[0], r[0]);
        assert_int_equal(role_of(t, "MATCH")[i], k - 1 + shift);
        assert_int_equal(role_of(t, "NEXT")[i], k + shift);
        assert_int_equal(role_of(t, "END")[i], 2 * k - 1 + shift);
    }
    assert_int_equal(t->n_roles, 3);
    expect_scored(t, k, shift);
}

static void halves_are_equal(void **state)
{
    (void)state;
    static const char *const specs[] = {"corrupt=random", "corrupt=query",
                                        "corrupt=key"};
    struct ew_task_env env = bare(50, 64);
    for (size_t i = 0; i < EW_ARRAY_LEN(specs); i++) {
        for (size_t k = 3; k <= 31; k += 7) {
            char spec[80];
            snprintf(spec, sizeof(spec), "induction:n=9,k=%zu,%s", k, specs[i]);
            struct ew_task *t = open_task(spec, &env);
            assert_int_equal(t->n_prompts, 9);
            for (size_t p = 0; p < 9; p++) {
                assert_int_equal(clean_of(t, p)[0], 0);
                assert_int_equal(corrupt_of(t, p)[0], 0);
                assert_false(has(clean_of(t, p) + 1, 2 * k, 0));
                assert_false(has(corrupt_of(t, p) + 1, 2 * k, 0));
            }
            expect_induction(t, k, 1);
            assert_string_equal(t->corruption, strchr(specs[i], '=') + 1);
            ew_task_destroy(t);
        }
    }
}

static void defaults(void **state)
{
    (void)state;
    struct ew_task_env env = bare(50, 64);
    struct ew_task *t = open_task("induction", &env);
    assert_string_equal(t->name, "induction");
    assert_string_equal(t->corruption, "random");
    assert_string_equal(t->bos, "BOS");
    assert_int_equal(t->metric, EW_METRIC_LOGIT_DIFF);
    assert_int_equal(t->n_prompts, 20);
    assert_int_equal(t->n_pos, 31);
    assert_int_equal(t->dropped, 0);
    assert_null(t->dropped_why);
    ew_task_destroy(t);
    env.n_ctx = 18; /* room for BOS and twice 8 tokens */
    t = open_task("induction", &env);
    assert_int_equal(t->n_pos, 17);
    ew_task_destroy(t);
    t = open_task("induction:metric=kl,k=4,k=5", &env); /* the last counts */
    assert_int_equal(t->metric, EW_METRIC_KL);
    assert_int_equal(t->n_pos, 11);
    ew_task_destroy(t);
}

/* ---- corruptions ---- */

static void random_redraws_all(void **state)
{
    (void)state;
    struct ew_task_env env = bare(100, 64);
    struct ew_task *t = open_task("induction:n=40,k=10", &env);
    size_t same = 0;
    for (size_t i = 0; i < t->n_prompts; i++) {
        const int64_t *clean = clean_of(t, i) + 1;
        const int64_t *corrupt = corrupt_of(t, i) + 1;
        expect_distinct(corrupt, 20);
        assert_false(has(clean, 20, t->answers[i].wrong[0]));
        for (size_t p = 0; p < 20; p++) {
            same += clean[p] == corrupt[p];
        }
    }
    /* 800 draws of 1 in 99: 8 on average, 8.5 sigma is 33 */
    assert_true(same < 33);
    ew_task_destroy(t);
}

static void small_vocabularies(void **state)
{
    (void)state;
    /* exactly k tokens: the wrong answer is only not the answer */
    struct ew_task_env env = bare(7, 64);
    struct ew_task *t = open_task("induction:n=50,k=6", &env);
    expect_induction(t, 6, 1);
    ew_task_destroy(t);
    /* fewer than k: tokens come again, the halves are still equal */
    env = bare(4, 64);
    t = open_task("induction:n=50,k=10", &env);
    for (size_t i = 0; i < t->n_prompts; i++) {
        const int64_t *r = clean_of(t, i) + 1;
        expect_ids(r + 10, r, 10, "second half");
        assert_int_equal(t->answers[i].right[0], r[0]);
        assert_int_not_equal(t->answers[i].wrong[0], r[0]);
    }
    ew_task_destroy(t);
}

/* 1-based j of the token among r1..rk. */
static size_t index_of(const int64_t *r, size_t k, int64_t id)
{
    size_t j = 0;
    while (j < k && r[j] != id) {
        j++;
    }
    return j + 1;
}

/* The last token becomes r_j; r_{j+1} followed it. */
static void query_changes_the_last(void **state)
{
    (void)state;
    struct ew_task_env env = bare(60, 64);
    bool seen[12] = {false};
    struct ew_task *t = open_task("induction:n=200,k=8,corrupt=query", &env);
    for (size_t i = 0; i < t->n_prompts; i++) {
        const int64_t *r = clean_of(t, i) + 1;
        expect_ids(corrupt_of(t, i) + 1, r, 15, "corrupt");
        size_t j = index_of(r, 8, corrupt_of(t, i)[16]);
        assert_in_range(j, 1, 6);
        seen[j] = true;
        assert_int_equal(t->answers[i].wrong[0], r[j]);
    }
    ew_task_destroy(t);
    for (size_t j = 1; j <= 6; j++) {
        assert_true(seen[j]);
    }
    t = open_task("induction:n=5,k=8,corrupt=query,j=7", &env);
    for (size_t i = 0; i < t->n_prompts; i++) {
        const int64_t *r = clean_of(t, i) + 1;
        assert_int_equal(corrupt_of(t, i)[16], r[6]);
        assert_int_equal(t->answers[i].wrong[0], r[7]);
    }
    ew_task_destroy(t);
}

/* In the first half r_j and r_k are swapped; nothing else changes. */
static void key_moves_the_match(void **state)
{
    (void)state;
    struct ew_task_env env = bare(60, 64);
    bool seen[12] = {false};
    struct ew_task *t = open_task("induction:n=200,k=8,corrupt=key", &env);
    for (size_t i = 0; i < t->n_prompts; i++) {
        const int64_t *r = clean_of(t, i) + 1;
        const int64_t *c = corrupt_of(t, i) + 1;
        size_t j = index_of(c, 8, r[7]); /* where r_k is now */
        assert_in_range(j, 1, 6);
        seen[j] = true;
        expect_ids(c + 8, r + 8, 8, "second half");
        for (size_t p = 0; p < 8; p++) {
            assert_int_equal(c[p], p == j - 1 ? r[7]
                                   : p == 7   ? r[j - 1]
                                              : r[p]);
        }
        assert_int_equal(t->answers[i].wrong[0], r[j]);
    }
    ew_task_destroy(t);
    for (size_t j = 1; j <= 6; j++) {
        assert_true(seen[j]);
    }
    /* behind r_k at k-1 stands r_{k-1} itself */
    t = open_task("induction:n=5,k=8,corrupt=key,j=7", &env);
    for (size_t i = 0; i < t->n_prompts; i++) {
        const int64_t *r = clean_of(t, i) + 1;
        assert_int_equal(corrupt_of(t, i)[7], r[7]);
        assert_int_equal(corrupt_of(t, i)[8], r[6]);
        assert_int_equal(t->answers[i].wrong[0], r[6]);
    }
    ew_task_destroy(t);
}

/* ---- vocabulary and BOS ---- */

static void special_tokens_are_not_drawn(void **state)
{
    (void)state;
    static const int64_t special[] = {3, 5, 8};
    struct ew_task_env env = bare(12, 64);
    env.special_ids = special;
    env.n_special = EW_ARRAY_LEN(special);
    bool seen[12] = {false};
    struct ew_task *t = open_task("induction:n=50,k=3", &env);
    for (size_t i = 0; i < t->n_prompts; i++) {
        for (size_t p = 1; p < t->n_pos; p++) {
            seen[clean_of(t, i)[p]] = true;
            seen[corrupt_of(t, i)[p]] = true;
        }
        seen[t->answers[i].wrong[0]] = true;
    }
    for (int64_t id = 0; id < 12; id++) {
        assert_int_equal(seen[id], id != 0 && !has(special, 3, id));
    }
    ew_task_destroy(t);
}

/* The bundled model's tokenizer: ids 0 and 1 are special. */
static void a_tokenizer_names_its_special_tokens(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_tokenizer *tok = ew_tokenizer_load(
        EW_TEST_SOURCE_DIR "/assets/models/induction-2l", &err);
    assert_non_null(tok);
    struct ew_task_env env = {.tok = tok, .d_vocab = 8, .n_ctx = 64, .bos = -1};
    struct ew_task *t = open_task("induction:n=50,k=3", &env);
    assert_string_equal(t->bos, "BOS");
    for (size_t i = 0; i < t->n_prompts; i++) {
        assert_int_equal(clean_of(t, i)[0], ew_tokenizer_bos(tok));
        assert_false(has(clean_of(t, i) + 1, 6, 0));
        assert_false(has(clean_of(t, i) + 1, 6, 1));
        assert_false(has(corrupt_of(t, i) + 1, 6, 1));
    }
    ew_task_destroy(t);
    ew_tokenizer_destroy(tok);
}

static void bos_is_chosen(void **state)
{
    (void)state;
    struct ew_task_env env = bare(50, 64);
    env.bos = 7;
    struct ew_task *t = open_task("induction:k=5", &env);
    assert_int_equal(clean_of(t, 0)[0], 7);
    assert_string_equal(t->bos, "BOS");
    ew_task_destroy(t);
    t = open_task("induction:k=5,bos=9", &env);
    assert_int_equal(clean_of(t, 0)[0], 9);
    assert_int_equal(corrupt_of(t, 0)[0], 9);
    ew_task_destroy(t);
    t = open_task("induction:k=5,bos=no", &env);
    assert_string_equal(t->bos, "no BOS");
    expect_induction(t, 5, 0);
    ew_task_destroy(t);
    env.bos = -1;
    t = open_task("induction:k=5", &env);
    assert_int_equal(clean_of(t, 0)[0], 0);
    assert_string_equal(t->bos, "BOS is token 0");
    ew_task_destroy(t);
}

/* ---- seeds ---- */

static bool same_prompts(const char *a, const char *b)
{
    struct ew_task_env env = bare(50, 64);
    struct ew_task *x = open_task(a, &env);
    struct ew_task *y = open_task(b, &env);
    size_t bytes = x->n_prompts * x->n_pos * sizeof(int64_t);
    bool same = memcmp(x->clean, y->clean, bytes) == 0 &&
                memcmp(x->corrupt, y->corrupt, bytes) == 0;
    ew_task_destroy(x);
    ew_task_destroy(y);
    return same;
}

static void a_seed_is_a_task(void **state)
{
    (void)state;
    assert_true(same_prompts("induction:seed=5", "induction:seed=5"));
    assert_true(same_prompts("induction", "induction:seed=0"));
    assert_false(same_prompts("induction:seed=5", "induction:seed=6"));
    /* a longer task begins as the shorter one does */
    assert_true(same_prompts("induction:n=3", "induction:n=8"));
}

/* The same on every machine: these are to stay. */
static void a_seed_is_for_ever(void **state)
{
    (void)state;
    static const int64_t clean[] = {0, 1, 4,  16, 1, 4,  16,
                                    0, 9, 42, 35, 9, 42, 35};
    static const int64_t corrupt[] = {0, 23, 10, 36, 14, 21, 38,
                                      0, 39, 44, 42, 17, 29, 9};
    struct ew_task_env env = bare(50, 64);
    struct ew_task *t = open_task("induction:n=2,k=3,seed=7", &env);
    expect_ids(t->clean, clean, 14, "clean");
    expect_ids(t->corrupt, corrupt, 14, "corrupt");
    ew_task_destroy(t);
}

/* ---- what is refused ---- */

static void options_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        const char *words;
    } cases[] = {
        {"induction:n=0", "induction: n=0: expected a number from 1 to 100000"},
        {"induction:n=100001", "from 1 to 100000"},
        {"induction:n=3x", "n=3x: expected a number"},
        {"induction:n=", "n=: expected a number"},
        {"induction:seed=-1", "seed=-1: expected a number from 0"},
        {"induction:k=1", "k=1: expected a number from 2 to 31"},
        {"induction:k=32", "k=32: expected a number from 2 to 31"},
        {"induction:bos=no,k=33", "k=33: expected a number from 2 to 32"},
        {"induction:corrupt=key,k=2", "k=2: expected a number from 3 to 31"},
        {"induction:k=6,j=6", "j=6: expected a number from 1 to 5"},
        {"induction:j=0", "j=0: expected a number from 1 to 14"},
        {"induction:bos=50", "bos=50: expected a number from 0 to 49"},
        {"induction:corrupt=sideways",
         "corrupt=sideways: expected one of random, query, key"},
        {"induction:metric=speed", "induction: metric \"speed\""},
        {"induction:k", "\"k\": expected key=value"},
        {"induction:n=3,=4", "\"=4\": expected key=value"},
        {"induction:size=3",
         "no option \"size\"; there are n, seed, metric, bos, corrupt, k, j"},
    };
    struct ew_task_env env = bare(50, 64);
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        refuse(cases[i].spec, &env, EW_ERR_USAGE, cases[i].words);
    }
    refuse("inductoin:n=3", &env, EW_ERR_INPUT,
           "\"inductoin\" is neither a file nor a built-in task (induction");
}

static void models_are_too_small(void **state)
{
    (void)state;
    struct ew_task_env env = bare(50, 4);
    refuse("induction", &env, EW_ERR_INPUT,
           "a context of 4 tokens is too short for k of at least 2");
    env = bare(2, 64);
    refuse("induction", &env, EW_ERR_INPUT,
           "needs 2 tokens to draw from, the vocabulary has 1");
    env = bare(9, 64);
    refuse("induction:corrupt=query,k=9", &env, EW_ERR_INPUT,
           "needs 9 tokens to draw from, the vocabulary has 8");
}

static void tasks_are_listed(void **state)
{
    (void)state;
    struct ew_buf text = {0};
    ew_task_list(&text);
    assert_non_null(strstr(ew_buf_str(&text), "induction "));
    assert_non_null(strstr(ew_buf_str(&text), "corrupt=random|query|key"));
    ew_buf_finish(&text);
}

/* ---- against a model ---- */

static void refuse_model(const struct ew_task *t, int64_t d_vocab,
                         int64_t n_ctx, const char *words)
{
    struct ew_err err = {0};
    if (ew_task_check(t, d_vocab, n_ctx, &err)) {
        fail_msg("accepted; expected \"%s\"", words);
    }
    expect_message(&err, EW_ERR_INPUT, "check", words);
}

static void ids_are_checked(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_task_env env = bare(50, 64);
    struct ew_task *t = open_task("induction:n=4,k=5", &env);
    assert_true(ew_task_check(t, 50, 64, &err));
    assert_true(ew_task_check(t, 50, 11, &err));
    refuse_model(t, 50, 10, "prompt 0 has 11 tokens, the model's context 10");

    int64_t *clean = &t->clean[2 * t->n_pos + 3];
    int64_t kept = *clean;
    *clean = 50;
    refuse_model(t, 50, 64,
                 "prompt 2, clean, position 3: token 50 is outside the "
                 "model's vocabulary of 50");
    *clean = -1;
    refuse_model(t, 50, 64, "prompt 2, clean, position 3: token -1");
    *clean = kept;
    int64_t *corrupt = &t->corrupt[3 * t->n_pos];
    *corrupt = 99;
    refuse_model(t, 50, 64, "prompt 3, corrupted, position 0: token 99");
    *corrupt = 0;
    t->answers[1].right[0] = 77;
    refuse_model(t, 50, 64, "prompt 1, answer 0: token 77");
    t->answers[1].right[0] = 7;
    t->answers[1].wrong[0] = -2;
    refuse_model(t, 50, 64, "prompt 1, wrong answer 0: token -2");
    t->answers[1].wrong[0] = 8;
    assert_true(ew_task_check(t, 50, 64, &err));

    t->length[2] = 0;
    refuse_model(t, 50, 64, "prompt 2 is empty");
    t->length[2] = 11;
    ew_task_destroy(t);
}

/* Token ids behind a prompt's own length are padding: not looked at. */
static void padding_is_not_checked(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_task_env env = bare(50, 64);
    struct ew_task *t = open_task("induction:n=3,k=5", &env);
    t->length[0] = 9;
    t->clean[9] = 1000;
    assert_true(ew_task_check(t, 50, 64, &err));
    refuse_model(t, 50, 10, "prompt 1 has 11 tokens"); /* the first longest */
    ew_task_destroy(t);
}

static void an_empty_task_is_refused(void **state)
{
    (void)state;
    struct ew_task t = {0};
    refuse_model(&t, 50, 64, "the task has no prompts");
    t.dropped_why = (char *)"all names are unknown";
    refuse_model(&t, 50, 64, "the task has no prompts: all names are unknown");
}

static void metrics_need_what_they_read(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_task_env env = bare(50, 64);
    struct ew_task *t = open_task("induction:n=4,k=5", &env);
    for (int m = 0; m < EW_N_METRICS; m++) {
        assert_true(ew_task_can_score(t, (enum ew_metric)m, &err));
    }
    t->answers[2].n_wrong = 0;
    assert_false(ew_task_can_score(t, EW_METRIC_LOGIT_DIFF, &err));
    assert_string_equal(err.message, "logit-diff needs an answer and a wrong "
                                     "answer: prompt 2 has no wrong answer");
    assert_false(ew_task_can_score(t, EW_METRIC_PROB_DIFF, &err));
    assert_false(ew_task_can_score(t, EW_METRIC_DOCSTRING, &err));
    assert_non_null(strstr(err.message, "docstring needs an answer and a"));
    refuse_model(t, 50, 64, "prompt 2 has no wrong answer");
    assert_true(ew_task_can_score(t, EW_METRIC_KL, &err));
    t->answers[1].n_right = 0;
    assert_false(ew_task_can_score(t, EW_METRIC_LOGIT_DIFF, &err));
    assert_non_null(strstr(err.message, "prompt 1 has no answer"));

    t->scored[5].target = -1; /* of prompt 1, k-1 = 4 in each */
    assert_true(ew_task_can_score(t, EW_METRIC_KL, &err));
    assert_true(ew_task_can_score(t, EW_METRIC_KL_MIB, &err));
    static const enum ew_metric both[] = {EW_METRIC_NLL, EW_METRIC_ACCURACY};
    for (size_t i = 0; i < 2; i++) {
        assert_false(ew_task_can_score(t, both[i], &err));
        assert_int_equal(err.code, EW_ERR_INPUT);
        assert_non_null(strstr(err.message, ew_metric_name(both[i])));
        assert_non_null(strstr(err.message, "prompt 1 ends at position 7"));
    }
    t->metric = EW_METRIC_NLL;
    refuse_model(t, 50, 64, "nll needs to know what follows");

    t->n_scored = 0;
    t->metric = EW_METRIC_KL;
    refuse_model(t, 50, 64, "kl needs scored positions: the task has none");
    ew_task_destroy(t);
}

static void nothing_is_destroyed(void **state)
{
    (void)state;
    ew_task_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_are_equal),
        cmocka_unit_test(defaults),
        cmocka_unit_test(random_redraws_all),
        cmocka_unit_test(small_vocabularies),
        cmocka_unit_test(query_changes_the_last),
        cmocka_unit_test(key_moves_the_match),
        cmocka_unit_test(special_tokens_are_not_drawn),
        cmocka_unit_test(a_tokenizer_names_its_special_tokens),
        cmocka_unit_test(bos_is_chosen),
        cmocka_unit_test(a_seed_is_a_task),
        cmocka_unit_test(a_seed_is_for_ever),
        cmocka_unit_test(options_are_refused),
        cmocka_unit_test(models_are_too_small),
        cmocka_unit_test(tasks_are_listed),
        cmocka_unit_test(ids_are_checked),
        cmocka_unit_test(padding_is_not_checked),
        cmocka_unit_test(an_empty_task_is_refused),
        cmocka_unit_test(metrics_need_what_they_read),
        cmocka_unit_test(nothing_is_destroyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
