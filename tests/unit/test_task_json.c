/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task files in JSON: every field of both layouts, what is refused and where
 * the message points, and writing a task that reads back as the same.
 */
#include "task_fixture.h"

#define PAIR "\"clean\": [1, 2, 3], \"corrupt\": [1, 4, 3]"

static struct ew_task *load(const char *json)
{
    struct ew_task_env env = bare(50, 64);
    return load_text("task.json", json, &env);
}

static void refused(const char *json, const char *words)
{
    struct ew_task_env env = bare(50, 64);
    refuse_text("task.json", json, &env, words);
}

/* ---- "prompts" ---- */

static void all_fields_are_read(void **state)
{
    (void)state;
    struct ew_task *t = load(
        "{\"name\": \"mine\", \"corruption\": \"by hand\", \"bos\": \"BOS\","
        " \"metric\": \"nll\", \"dropped\": 4, \"dropped_why\": \"long\","
        " \"prompts\": ["
        "{\"clean\": [0, 2, 3, 5], \"corrupt\": [0, 4, 3, 6], \"answers\": "
        "[7, 8], \"wrong_answers\": 9, \"answer_position\": 2, \"positions\": "
        "[1, 3, -2], \"roles\": {\"IO\": 1, \"END\": -1}},"
        "{\"clean\": [0, 9], \"corrupted\": [0, 8], \"answer\": 3,"
        " \"wrong_answer\": [4, 5, 6], \"roles\": {\"S\": 0}}]}");
    static const int64_t clean[] = {0, 2, 3, 5, 0, 9, 0, 0};
    static const int64_t corrupt[] = {0, 4, 3, 6, 0, 8, 0, 0};
    static const int64_t right[] = {7, 8};
    static const int64_t wrong[] = {4, 5, 6};
    assert_string_equal(t->name, "mine");
    assert_string_equal(t->corruption, "by hand");
    assert_string_equal(t->bos, "BOS");
    assert_int_equal(t->metric, EW_METRIC_NLL);
    assert_int_equal(t->dropped, 4);
    assert_string_equal(t->dropped_why, "long");
    assert_int_equal(t->n_prompts, 2);
    assert_int_equal(t->n_pos, 4);
    assert_int_equal(t->length[0], 4);
    assert_int_equal(t->length[1], 2);
    expect_ids(t->clean, clean, 8, "clean"); /* padded with 0 */
    expect_ids(t->corrupt, corrupt, 8, "corrupt");
    assert_int_equal(t->answers[0].n_right, 2);
    expect_ids(t->answers[0].right, right, 2, "answers");
    assert_int_equal(t->answers[0].n_wrong, 1);
    assert_int_equal(t->answers[0].wrong[0], 9);
    assert_int_equal(t->answers[1].n_right, 1);
    assert_int_equal(t->answers[1].right[0], 3);
    assert_int_equal(t->answers[1].n_wrong, 3);
    expect_ids(t->answers[1].wrong, wrong, 3, "wrong answers");
    assert_int_equal(t->answer_position[0], 2);
    assert_int_equal(t->answer_position[1], 1);

    /* targets: next token, answer at the end and where it is read off */
    static const struct ew_scored scored[] = {
        {0, 1, 3}, {0, 3, 7}, {0, 2, 7}, {1, 1, 3}};
    assert_int_equal(t->n_scored, EW_ARRAY_LEN(scored));
    for (size_t i = 0; i < EW_ARRAY_LEN(scored); i++) {
        assert_int_equal(t->scored[i].prompt, scored[i].prompt);
        assert_int_equal(t->scored[i].position, scored[i].position);
        assert_int_equal(t->scored[i].target, scored[i].target);
    }
    assert_int_equal(t->n_roles, 3);
    assert_int_equal(role_of(t, "IO")[0], 1);
    assert_int_equal(role_of(t, "IO")[1], -1);
    assert_int_equal(role_of(t, "END")[0], 3);
    assert_int_equal(role_of(t, "END")[1], -1);
    assert_int_equal(role_of(t, "S")[0], -1);
    assert_int_equal(role_of(t, "S")[1], 0);
    ew_task_destroy(t);
}

static void defaults(void **state)
{
    (void)state;
    struct ew_task *t =
        load("{\"prompts\": [{" PAIR ", \"answers\": [7], "
             "\"wrong_answers\": [8]}, {\"clean\": [5], \"corrupt\": [6], "
             "\"answers\": [7], \"wrong_answers\": [8]}]}");
    assert_string_equal(t->name, "task.json");
    assert_string_equal(t->corruption, "as given");
    assert_string_equal(t->bos, "no BOS");
    assert_int_equal(t->metric, EW_METRIC_LOGIT_DIFF);
    assert_int_equal(t->answer_position[0], 2);
    assert_int_equal(t->answer_position[1], 0);
    assert_int_equal(t->n_scored, 2);
    assert_int_equal(t->scored[0].position, 2);
    assert_int_equal(t->scored[1].position, 0);
    assert_int_equal(t->n_roles, 0);
    assert_int_equal(t->dropped, 0);
    assert_null(t->dropped_why);
    ew_task_destroy(t);

    /* one prompt without wrong answer: no logit difference */
    t = load("{\"prompts\": [{" PAIR ", \"answers\": [7], \"wrong_answers\": "
             "[8]}, {" PAIR ", \"answers\": [7]}]}");
    assert_int_equal(t->metric, EW_METRIC_KL);
    ew_task_destroy(t);
    t = load("{\"prompts\": [{" PAIR ", \"wrong_answers\": [8]}]}");
    assert_int_equal(t->metric, EW_METRIC_KL);
    assert_int_equal(t->scored[0].target, -1);
    ew_task_destroy(t);
}

/* A prompt's own fields come before those of the file. */
static void fields_of_the_file_are_for_all(void **state)
{
    (void)state;
    struct ew_task *t =
        load("{\"answer_position\": 1, \"positions\": \"all\","
             " \"roles\": {\"A\": -2, \"B\": [0, null], \"C\": 1},"
             " \"prompts\": [{" PAIR "}, {" PAIR ", \"answer_position\": "
             "\"last\", \"positions\": -1, \"roles\": {\"C\": 2}}]}");
    assert_int_equal(t->answer_position[0], 1);
    assert_int_equal(t->answer_position[1], 2);
    assert_int_equal(t->n_scored, 4);
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(t->scored[i].prompt, 0);
        assert_int_equal(t->scored[i].position, i);
        assert_int_equal(t->scored[i].target, i == 2 ? -1 : i + 2);
    }
    assert_int_equal(t->scored[3].prompt, 1);
    assert_int_equal(t->scored[3].position, 2);
    assert_int_equal(role_of(t, "A")[0], 1);
    assert_int_equal(role_of(t, "A")[1], 1);
    assert_int_equal(role_of(t, "B")[0], 0);
    assert_int_equal(role_of(t, "B")[1], -1);
    assert_int_equal(role_of(t, "C")[0], 1);
    assert_int_equal(role_of(t, "C")[1], 2);
    ew_task_destroy(t);
}

static void the_badge_tells_bos(void **state)
{
    (void)state;
    static const struct {
        const char *bos;
        const char *badge;
    } cases[] = {{"0", "no BOS"},
                 {"1", "BOS"},
                 {"\"as made\"", "as made"},
                 {"null", "BOS in some"},
                 {"true", "BOS in some"}};
    struct ew_task_env env = bare(50, 64);
    env.bos = 5;
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{\"bos\": %s, \"prompts\": [{\"clean\": [%d, 2], "
                 "\"corrupt\": [1, 3]}, {" PAIR "}]}",
                 cases[i].bos, i < 2 ? 1 : 5);
        struct ew_task *t = load_text("task.json", json, &env);
        assert_string_equal(t->bos, cases[i].badge);
        ew_task_destroy(t);
    }
}

/* ---- text ---- */

static struct ew_tokenizer *words(void)
{
    struct ew_err err = {0};
    free(put_task("tokenizer.json",
                  "{\"added_tokens\": [{\"id\": 0, \"content\": \"<|bos|>\", "
                  "\"special\": true, \"normalized\": false}], \"normalizer\": "
                  "null, \"decoder\": null, \"pre_tokenizer\": {\"type\": "
                  "\"WhitespaceSplit\"}, \"model\": {\"type\": \"WordLevel\", "
                  "\"vocab\": {\"<|bos|>\": 0, \"<|unk|>\": 1, \"Mary\": 2, "
                  "\"John\": 3, \"gave\": 4, \"to\": 5, \"Paul\": 6}, "
                  "\"unk_token\": \"<|unk|>\"}}"));
    struct ew_tokenizer *tok = ew_tokenizer_load(task_dir, &err);
    if (!tok) {
        fail_msg("%s", err.message);
    }
    return tok;
}

static void texts_are_tokens(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = words();
    struct ew_task_env env = {
        .tok = tok, .d_vocab = 7, .n_ctx = 64, .bos = -1, .default_bos = true};
    const char *json = "{\"prompts\": [{\"clean\": \"Mary gave to\", "
                       "\"corrupt\": \"Paul gave to\", \"answers\": [\" Mary\""
                       ", \"John\"], \"wrong_answers\": \" Paul\"}], "
                       "\"word_idxs\": {\"IO\": 0, \"END\": -1}, "
                       "\"roles\": {\"FIRST\": 0}}";
    static const int64_t clean[] = {0, 2, 4, 5};
    static const int64_t corrupt[] = {0, 6, 4, 5};
    struct ew_task *t = load_text("task.json", json, &env);
    assert_int_equal(t->n_pos, 4);
    expect_ids(t->clean, clean, 4, "clean");
    expect_ids(t->corrupt, corrupt, 4, "corrupt");
    assert_int_equal(t->answers[0].n_right, 2);
    assert_int_equal(t->answers[0].right[0], 2);
    assert_int_equal(t->answers[0].right[1], 3);
    assert_int_equal(t->answers[0].wrong[0], 6);
    assert_string_equal(t->bos, "BOS");
    /* word_idxs do not count BOS, roles do */
    assert_int_equal(role_of(t, "IO")[0], 1);
    assert_int_equal(role_of(t, "END")[0], 3);
    assert_int_equal(role_of(t, "FIRST")[0], 0);
    ew_task_destroy(t);

    env.default_bos = false;
    t = load_text("task.json", json, &env);
    assert_int_equal(t->n_pos, 3);
    expect_ids(t->clean, clean + 1, 3, "clean");
    assert_string_equal(t->bos, "no BOS");
    assert_int_equal(role_of(t, "IO")[0], 0);
    assert_int_equal(role_of(t, "END")[0], 2);
    ew_task_destroy(t);

    /* a text that has its BOS gets no second one; rows know no prompt text */
    t = load_text("task.json",
                  "{\"bos\": true, \"clean\": [\"<|bos|> Mary gave to\"], "
                  "\"corrupted\": [\"Paul gave to\"], \"answer_ids\": [\" "
                  "Mary\"], \"wrong_ids\": [\"Paul\"]}",
                  &env);
    assert_int_equal(t->n_pos, 4);
    expect_ids(t->clean, clean, 4, "clean");
    expect_ids(t->corrupt, corrupt, 4, "corrupt");
    assert_int_equal(t->answers[0].right[0], 2);
    assert_int_equal(t->answers[0].wrong[0], 6);
    ew_task_destroy(t);
    ew_tokenizer_destroy(tok);
}

/* What the file says of BOS comes before the model's habit. */
static void bos_of_texts(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        bool default_bos;
        int64_t first;
    } cases[] = {
        {"\"bos\": true,", false, 0},      {"\"bos\": false,", true, 2},
        {"\"bos\": null,", true, 0},       {"\"bos\": null,", false, 2},
        {"\"bos\": \"no BOS\",", true, 2}, {"\"bos\": \"BOS\",", false, 0},
    };
    struct ew_tokenizer *tok = words();
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        struct ew_task_env env = {.tok = tok,
                                  .d_vocab = 7,
                                  .n_ctx = 64,
                                  .bos = -1,
                                  .default_bos = cases[i].default_bos};
        char json[256];
        snprintf(json, sizeof(json),
                 "{%s \"prompts\": [{\"clean\": \"Mary gave\", \"corrupt\": "
                 "\"Paul gave\"}]}",
                 cases[i].fields);
        struct ew_task *t = load_text("task.json", json, &env);
        assert_int_equal(t->clean[0], cases[i].first);
        assert_int_equal(t->length[0], cases[i].first == 0 ? 3 : 2);
        ew_task_destroy(t);
    }
    ew_tokenizer_destroy(tok);
}

static void texts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *words;
    } cases[] = {
        {"{\"prompts\": [{\"clean\": \"Mary gave to\", \"corrupt\": \"Paul "
         "gave\"}]}",
         "prompts[0]: clean has 3 tokens and corrupt 2: they must be equally "
         "long"},
        {"{\"prompts\": [{\"clean\": \"Mary\", \"corrupt\": \"Paul\", "
         "\"answers\": [\" Mary\", \" Mary gave\"]}]}",
         "prompts[0].answers[1]: \" Mary gave\" is not a single token"},
        {"{\"prompts\": [{\"clean\": \"Mary\", \"corrupt\": \"Paul\", "
         "\"wrong_answers\": \" Anna\"}]}",
         "prompts[0].wrong_answers: \" Anna\" is not a single token"},
        {"{\"prompts\": [{\"clean\": \"Mary\\u0000\", \"corrupt\": "
         "\"Paul\"}]}",
         "prompts[0].clean: the text has a NUL"},
        {"{\"prompts\": [{\"clean\": \"\", \"corrupt\": \"\"}]}",
         "prompts[0]: clean is empty"},
        {"{\"bos\": true, \"prompts\": [{\"clean\": \"Mary\", \"corrupt\": "
         "\"Paul\"}], \"word_idxs\": {\"IO\": 1}}",
         "word_idxs.IO: position 1 is outside the prompt's 1 tokens"},
    };
    struct ew_tokenizer *tok = words();
    struct ew_task_env env = {.tok = tok, .d_vocab = 7, .n_ctx = 9, .bos = -1};
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        refuse_text("task.json", cases[i].json, &env, cases[i].words);
    }
    ew_tokenizer_destroy(tok);
    refused("{\"prompts\": [{\"clean\": \"Mary\", \"corrupt\": \"Paul\"}]}",
            "prompts[0].clean: text needs a tokenizer, and the model has none");
    refused("{\"prompts\": [{" PAIR ", \"answers\": \" Mary\"}]}",
            "prompts[0].answers: text needs a tokenizer");
}

/* ---- rows ---- */

static void rows_are_read(void **state)
{
    (void)state;
    struct ew_task *t =
        load("{\"clean\": [[0, 1, 2], [0, 3]], \"corrupted\": [[0, 4, 5], "
             "[0, 6]], \"answer_ids\": [7, 8], \"wrong_ids\": [9, [10, 11]], "
             "\"answer_position\": [1, 0], \"kl_mask_positions\": [0, 1]}");
    static const int64_t clean[] = {0, 1, 2, 0, 3, 0};
    static const int64_t corrupt[] = {0, 4, 5, 0, 6, 0};
    assert_int_equal(t->n_prompts, 2);
    assert_int_equal(t->n_pos, 3);
    expect_ids(t->clean, clean, 6, "clean");
    expect_ids(t->corrupt, corrupt, 6, "corrupt");
    assert_int_equal(t->length[1], 2);
    assert_int_equal(t->answers[0].right[0], 7);
    assert_int_equal(t->answers[1].right[0], 8);
    assert_int_equal(t->answers[0].wrong[0], 9);
    assert_int_equal(t->answers[1].n_wrong, 2);
    assert_int_equal(t->answers[1].wrong[1], 11);
    assert_int_equal(t->answer_position[0], 1);
    assert_int_equal(t->answer_position[1], 0);
    assert_int_equal(t->n_scored, 4);
    assert_int_equal(t->scored[2].prompt, 1);
    assert_int_equal(t->scored[2].position, 0);
    assert_int_equal(t->scored[2].target, 8); /* read off there */
    assert_int_equal(t->metric, EW_METRIC_LOGIT_DIFF);
    assert_string_equal(t->bos, "BOS");
    ew_task_destroy(t);

    t = load("{\"clean\": [[1, 2, 3]], \"corrupt\": [[1, 2, 4]], "
             "\"answer_position\": -2}");
    assert_int_equal(t->answer_position[0], 1);
    assert_int_equal(t->scored[0].position, 1);
    ew_task_destroy(t);
}

/* ---- refused ---- */

static void wrong_fields_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *words;
    } cases[] = {
        {"3", "expected an object, found an integer"},
        {"[1]", "prompts[0]: expected an object, found an integer"},
        {"{\"prompts\": [", "line 1"},
        {"{}", "prompts: missing (nor is there \"clean\""},
        {"{\"prompts\": []}", "prompts: expected a list of prompts, found an "
                              "empty one"},
        {"{\"prompts\": 3}", "prompts: expected a list of prompts, found an "
                             "integer"},
        {"{\"prompts\": [{" PAIR "}, 7]}",
         "prompts[1]: expected an object, found an integer"},
        {"{\"prompts\": [{\"corrupt\": [1]}]}",
         "prompts[0].clean: expected a text or token ids, found nothing"},
        {"{\"prompts\": [{\"clean\": [1]}]}",
         "prompts[0].corrupt: expected a text or token ids, found nothing"},
        {"{\"prompts\": [{\"clean\": [1, \"x\"], \"corrupt\": [1, 2]}]}",
         "prompts[0].clean: [1]: expected a token id"},
        {"{\"prompts\": [{\"clean\": [1, 2], \"corrupt\": [-1, 2]}]}",
         "prompts[0].corrupt: [0]: expected a token id"},
        {"{\"prompts\": [{\"clean\": [], \"corrupt\": []}]}",
         "prompts[0]: clean is empty"},
        {"{\"prompts\": [{" PAIR "}, {\"clean\": [1, 2], \"corrupt\": [1]}]}",
         "prompts[1]: clean has 2 tokens and corrupt 1"},
        {"{\"prompts\": [{" PAIR ", \"answers\": [1, -1]}]}",
         "prompts[0].answers[1]: expected a text or a token id"},
        {"{\"prompts\": [{" PAIR ", \"wrong_answers\": 1.5}]}",
         "prompts[0].wrong_answers: expected a text or a token id, found a "
         "number"},
        {"{\"prompts\": [{" PAIR ", \"answer_position\": 3}]}",
         "prompts[0].answer_position: position 3 is outside the prompt's 3 "
         "tokens"},
        {"{\"prompts\": [{" PAIR ", \"answer_position\": -4}]}",
         "prompts[0].answer_position: position -4 is outside"},
        {"{\"prompts\": [{" PAIR ", \"answer_position\": [0, 1]}]}",
         "prompts[0].answer_position: expected one position"},
        {"{\"prompts\": [{" PAIR ", \"answer_position\": \"first\"}]}",
         "prompts[0].answer_position: expected a position or \"last\", found "
         "a string"},
        {"{\"prompts\": [{" PAIR ", \"positions\": [0, 3]}]}",
         "prompts[0].positions[1]: position 3 is outside"},
        {"{\"prompts\": [{" PAIR ", \"positions\": {}}]}",
         "prompts[0].positions: expected a position or \"last\", found an "
         "object"},
        {"{\"prompts\": [{" PAIR ", \"roles\": {\"IO\": 5}}]}",
         "prompts[0].roles.IO: position 5 is outside"},
        {"{\"prompts\": [{" PAIR ", \"roles\": {\"IO\": \"all\"}}]}",
         "prompts[0].roles.IO: expected one position"},
        {"{\"prompts\": [{" PAIR ", \"roles\": [1]}]}",
         "prompts[0].roles: expected an object, found an array"},
        {"{\"roles\": 2, \"prompts\": [{" PAIR "}]}",
         "roles: expected an object, found an integer"},
        {"{\"roles\": {\"IO\": [1]}, \"prompts\": [{" PAIR "}, {" PAIR "}]}",
         "roles.IO[1]: missing: the list has 1 positions"},
        {"{\"roles\": {\"IO\": [1, \"x\"]}, \"prompts\": [{" PAIR "}, "
         "{" PAIR "}]}",
         "roles.IO[1]: expected a position"},
        {"{\"metric\": \"speed\", \"prompts\": [{" PAIR "}]}",
         "metric \"speed\": expected one of"},
        {"{\"metric\": 2, \"prompts\": [{" PAIR "}]}",
         "metric: expected a string, found an integer"},
        {"{\"bos\": [1], \"prompts\": [{" PAIR "}]}",
         "bos: expected true or false, found an array"},
        {"{\"name\": 2, \"prompts\": [{" PAIR "}]}", "name: expected a string"},
        {"{\"dropped\": \"x\", \"prompts\": [{" PAIR "}]}",
         "dropped: expected an integer"},
        {"{\"clean\": 1, \"corrupted\": [[1]]}",
         "clean: expected a list of prompts"},
        {"{\"clean\": [[1]]}", "corrupted: expected a list of prompts"},
        {"{\"clean\": [[1], [2]], \"corrupted\": [[1]]}",
         "corrupted: expected as many prompts as clean has: 2, found 1"},
        {"{\"clean\": [[1], [2, 3]], \"corrupted\": [[1], [2]]}",
         "clean[1]: clean has 2 tokens and corrupt 1"},
        {"{\"clean\": [[1], [\"x\"]], \"corrupted\": [[1], [2]]}",
         "clean[1]: [0]: expected a token id"},
        {"{\"clean\": [[1]], \"corrupted\": [[2]], \"answer_ids\": [true]}",
         "answer_ids[0]: expected a text or a token id, found a boolean"},
        {"{\"clean\": [[1]], \"corrupted\": [[2]], \"wrong_ids\": [null], "
         "\"answer_position\": [2]}",
         "answer_position: position 2 is outside the prompt's 1 tokens"},
        {"{\"clean\": [[1]], \"corrupted\": [[2]], \"kl_mask_positions\": "
         "[0, 1]}",
         "positions[1]: position 1 is outside"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        refused(cases[i].json, cases[i].words);
    }
}

static void options_of_files(void **state)
{
    (void)state;
    struct ew_task_env env = bare(50, 64);
    char *path =
        put_task("three.json", "{\"metric\": \"kl\", \"prompts\": [{" PAIR "}, "
                               "{" PAIR "}, {\"clean\": [1, 2, 3, 4, 5], "
                               "\"corrupt\": [5, 4, 3, 2, 1]}]}");
    char *spec = ew_xasprintf("%s:metric=accuracy,n=2", path);
    struct ew_task *t = open_task(spec, &env);
    assert_int_equal(t->metric, EW_METRIC_ACCURACY); /* beats the file's */
    assert_int_equal(t->n_prompts, 2);
    assert_int_equal(t->n_pos, 3);
    assert_int_equal(t->n_scored, 2);
    assert_string_equal(t->name, "three.json");
    ew_task_destroy(t);
    free(spec);
    spec = ew_xasprintf("%s:n=9", path);
    t = open_task(spec, &env);
    assert_int_equal(t->n_prompts, 3);
    ew_task_destroy(t);
    free(spec);
    spec = ew_xasprintf("%s:k=9", path);
    refuse(spec, &env, EW_ERR_USAGE, "no option \"k\"; there are metric, n");
    free(spec);
    spec = ew_xasprintf("%s:n=0", path);
    refuse(spec, &env, EW_ERR_USAGE, "n=0: expected a number from 1");
    free(spec);
    free(path);
    refuse("/nonexistent/task.json", &env, EW_ERR_IO, "/nonexistent/task.json");
}

/* ---- there and back ---- */

static void expect_round_trip(const struct ew_task *t,
                              const struct ew_task_env *env)
{
    char *json = ew_task_to_json(t, env->tok);
    struct ew_task *back = load_text("back.json", json, env);
    expect_same_task(t, back);
    ew_task_destroy(back);
    free(json);
}

static void tasks_survive_their_files(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "induction",
        "induction:corrupt=query,n=3,k=4",
        "induction:corrupt=key,metric=kl,bos=no",
    };
    struct ew_tokenizer *tok = words();
    struct ew_task_env env = {.tok = tok, .d_vocab = 7, .n_ctx = 64, .bos = -1};
    for (size_t i = 0; i < EW_ARRAY_LEN(specs); i++) {
        struct ew_task_env plain = bare(50, 64);
        struct ew_task *t = open_task(specs[i], &plain);
        expect_round_trip(t, &plain);
        ew_task_destroy(t);
    }
    /* prompts of several lengths, absent roles, no answers, what was dropped */
    struct ew_task *t = load_text(
        "task.json",
        "{\"name\": \"mixed\", \"metric\": \"accuracy\", \"dropped\": 2, "
        "\"dropped_why\": \"why \\\"not\\\"\", \"bos\": \"BOS in some\", "
        "\"prompts\": [{" PAIR ", \"positions\": [], \"roles\": {\"A\": -1}}, "
        "{\"clean\": \"Mary gave\", \"corrupt\": \"John gave\", \"answers\": "
        "[2, 3], \"wrong_answers\": [4], \"positions\": \"all\", \"roles\": "
        "{\"B\": 0}}]}",
        &env);
    expect_round_trip(t, &env);
    ew_task_destroy(t);
    ew_tokenizer_destroy(tok);
}

/* Texts stand beside the ids, for people. */
static void texts_are_written(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = words();
    struct ew_task_env env = {.tok = tok, .d_vocab = 7, .n_ctx = 64, .bos = -1};
    struct ew_task *t = load_text("task.json",
                                  "{\"prompts\": [{\"clean\": [2, 4, 5], "
                                  "\"corrupt\": [6, 4, 5]}]}",
                                  &env);
    char *json = ew_task_to_json(t, tok);
    assert_non_null(strstr(json, "\"clean_text\": \"Mary gave to\""));
    assert_non_null(strstr(json, "\"corrupt_text\": \"Paul gave to\""));
    free(json);
    json = ew_task_to_json(t, NULL);
    assert_null(strstr(json, "clean_text"));
    free(json);
    ew_task_destroy(t);
    ew_tokenizer_destroy(tok);
}

/* The prompts that other implementations were run on. */
static void reference_tasks_are_read(void **state)
{
    (void)state;
    const char *path = ew_test_reference("acdc/induction-2l/tokens.json");
    if (access(path, R_OK) != 0) {
        print_message("not looked at: %s is not there\n", path);
        return;
    }
    struct ew_task_env env = bare(256, 64);
    struct ew_task *t = open_task(path, &env);
    assert_int_equal(t->n_prompts, 20);
    assert_int_equal(t->n_pos, 31);
    assert_int_equal(t->answer_position[3], 30);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(t->answers[i].right[0], clean_of(t, i)[1]);
    }
    ew_task_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_are_read),
        cmocka_unit_test(defaults),
        cmocka_unit_test(fields_of_the_file_are_for_all),
        cmocka_unit_test(the_badge_tells_bos),
        cmocka_unit_test(texts_are_tokens),
        cmocka_unit_test(bos_of_texts),
        cmocka_unit_test(texts_are_refused),
        cmocka_unit_test(rows_are_read),
        cmocka_unit_test(wrong_fields_are_named),
        cmocka_unit_test(options_of_files),
        cmocka_unit_test(tasks_survive_their_files),
        cmocka_unit_test(texts_are_written),
        cmocka_unit_test(reference_tasks_are_read),
    };
    return cmocka_run_group_tests(tests, task_dir_make, task_dir_remove);
}
