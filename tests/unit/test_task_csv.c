/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task files in CSV: the shapes of a table, where answers come from, and
 * messages with line and column; then EAP-IG's own files, where they are
 * there.
 */
#include "task_fixture.h"

static struct ew_tokenizer *tok;
static struct ew_task_env env;

/* Words between blanks; "Zoe" is none of them. */
static int make_words(void **state)
{
    struct ew_err err;
    if (task_dir_make(state) != 0) {
        return -1;
    }
    free(put_task("tokenizer.json",
                  "{\"added_tokens\": [{\"id\": 0, \"content\": \"<|bos|>\", "
                  "\"special\": true, \"normalized\": false}], \"normalizer\": "
                  "null, \"decoder\": null, \"pre_tokenizer\": {\"type\": "
                  "\"WhitespaceSplit\"}, \"model\": {\"type\": \"WordLevel\", "
                  "\"vocab\": {\"<|bos|>\": 0, \"<|unk|>\": 1, \"Mary\": 2, "
                  "\"John\": 3, \"and\": 4, \"to\": 5, \"gave\": 6, \"it\": 7, "
                  "\"Paul\": 8, \"a,b\": 9, \"\\\"x\\\"\": 10}, "
                  "\"unk_token\": \"<|unk|>\"}}"));
    tok = ew_tokenizer_load(task_dir, &err);
    env =
        (struct ew_task_env){.tok = tok, .d_vocab = 11, .n_ctx = 64, .bos = 0};
    return tok ? 0 : -1;
}

static int drop_words(void **state)
{
    ew_tokenizer_destroy(tok);
    return task_dir_remove(state);
}

/* Load "task.csv" with options ("" or ":a=b"). */
static struct ew_task *load(const char *text, const char *options)
{
    char *path = put_task("task.csv", text);
    char *spec = ew_xasprintf("%s%s", path, options);
    struct ew_task *t = open_task(spec, &env);
    free(path);
    free(spec);
    return t;
}

static void refused(const char *text, const char *options, const char *words)
{
    char *path = put_task("task.csv", text);
    char *spec = ew_xasprintf("%s%s", path, options);
    struct ew_err err = {0};
    struct ew_task *t = ew_task_open(spec, &env, &err);
    if (t) {
        fail_msg("%s: is accepted", text);
    }
    char *all = ew_xasprintf("%s: %s", path, words);
    expect_message(&err, EW_ERR_INPUT, text, all);
    free(all);
    free(path);
    free(spec);
}

/* ---- the table ---- */

static void a_table_is_read(void **state)
{
    (void)state;
    static const int64_t clean[] = {2, 4, 3, 6, 3, 4, 2, 0};
    static const int64_t corrupt[] = {2, 4, 8, 6, 8, 4, 2, 0};
    struct ew_task *t = load("clean,corrupted,answer,wrong\n"
                             "Mary and John gave,Mary and Paul gave,Mary,John\n"
                             "John and Mary,Paul and Mary, Paul,it\n",
                             "");
    assert_string_equal(t->name, "task.csv");
    assert_string_equal(t->corruption, "corrupted");
    assert_string_equal(t->bos, "no BOS");
    assert_int_equal(t->metric, EW_METRIC_LOGIT_DIFF);
    assert_int_equal(t->n_prompts, 2);
    assert_int_equal(t->n_pos, 4);
    assert_int_equal(t->length[1], 3);
    expect_ids(t->clean, clean, 8, "clean");
    expect_ids(t->corrupt, corrupt, 8, "corrupt");
    assert_int_equal(t->answers[0].right[0], 2);
    assert_int_equal(t->answers[0].wrong[0], 3);
    assert_int_equal(t->answers[1].right[0], 8);
    assert_int_equal(t->answers[1].wrong[0], 7);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(t->answer_position[i], t->length[i] - 1);
        assert_int_equal(t->scored[i].position, t->length[i] - 1);
        assert_int_equal(t->scored[i].target, t->answers[i].right[0]);
        assert_int_equal(role_of(t, "END")[i], t->length[i] - 1);
    }
    assert_int_equal(t->n_scored, 2);
    ew_task_destroy(t);
}

/* The same table in other spellings. */
static void spellings_of_a_table(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "clean,corrupted\nMary gave,John gave\nJohn to,Mary to\n",
        "clean,corrupted\nMary gave,John gave\nJohn to,Mary to",
        "clean,corrupted\r\nMary gave,John gave\r\nJohn to,Mary to\r\n",
        "\xef\xbb\xbf"
        "clean,corrupted\nMary gave,John gave\nJohn to,Mary to\n",
        "\n\nclean,corrupted\n\nMary gave,John gave\n\r\nJohn to,Mary to\n\n",
        "\"clean\",\"corrupted\"\n\"Mary gave\",\"John gave\"\n\"John to\","
        "\"Mary to\"\n",
        ",corrupted,clean\n0,John gave,Mary gave\n1,Mary to,John to\n",
        "clean,corrupted\n\"Mary\ngave\",\"John\r\ngave\"\nJohn to,Mary to\n",
    };
    static const int64_t clean[] = {2, 6, 3, 5};
    static const int64_t corrupt[] = {3, 6, 2, 5};
    for (size_t i = 0; i < EW_ARRAY_LEN(texts); i++) {
        struct ew_task *t = load(texts[i], "");
        assert_int_equal(t->n_prompts, 2);
        assert_int_equal(t->n_pos, 2);
        expect_ids(t->clean, clean, 4, texts[i]);
        expect_ids(t->corrupt, corrupt, 4, texts[i]);
        assert_int_equal(t->answers[0].n_right, 0);
        assert_int_equal(t->metric, EW_METRIC_KL);
        ew_task_destroy(t);
    }
    /* commas and quotes inside a field */
    struct ew_task *t =
        load("clean,corrupted\n\"a,b to\",\"\"\"x\"\" to\"\n", "");
    assert_int_equal(t->clean[0], 9);
    assert_int_equal(t->corrupt[0], 10);
    ew_task_destroy(t);
}

static void bad_tables_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"\n", "line 1: no header"},
        {"clean\nMary\n", "line 1: no column \"corrupted\"; there are "
                          "\"clean\""},
        {"prompt,corrupted\nMary,John\n", "line 1: no column \"clean\""},
        {"clean,corrupted\n", "no prompts behind the header"},
        {"clean,corrupted\nMary,John\nMary\n",
         "line 3: 1 fields, the header has 2"},
        {"clean,corrupted\nMary,John,Paul\n",
         "line 2: 3 fields, the header has 2"},
        {"clean,corrupted\nMary,John\n\"Mary,John\nPaul,it\n",
         "line 3: a quote is opened and never closed"},
        {"clean,corrupted\n\"Mary\nand\"John,Paul\n",
         "line 3: text behind a closing quote"},
        {"clean,corrupted\nMary and,John and\n\nMary to it,Mary\n",
         "line 4, corrupted: clean has 3 tokens and corrupt 1: they must "
         "be equally long; at token 1, clean \"to|it\""},
        {"clean,corrupted\n\"Mary\nand\",\"John\nand\"\n,John\n",
         "line 5, clean: is empty"},
        {"clean,corrupted\nJohn,\n", "line 2, corrupted: is empty"},
        {"clean,corrupted,answer\nMary,John,Zoe\n",
         "line 2, answer: \"Zoe\" is not a single token of this model"},
        {"clean,corrupted,wrong\nMary,John,\n",
         "line 2, wrong: \"\" is not a single token"},
        {"clean,corrupted,correct_idx,incorrect_idx\nMary and,John and,1,2\n",
         "line 2: the answers cannot be told from the text; answer= and"},
        {"clean,corrupted,label\nMary and,John and,41\n",
         "line 2, label: read as the end of a year, and the clean prompt has "
         "no year"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        refused(cases[i].text, "", cases[i].words);
    }
    char *path = ew_path_join(task_dir, "nul.csv");
    struct ew_err err;
    assert_true(
        ew_file_write(path, "clean,corrupted\nMa\0ry,John\n", 26, &err));
    refuse(path, &env, EW_ERR_INPUT, "line 2: a NUL byte");
    free(path);
}

/* ---- options ---- */

static void columns_are_chosen(void **state)
{
    (void)state;
    const char *text = "clean,corrupted,corrupted_hard,name,other\n"
                       "Mary to,John to,Paul to,it,gave\n";
    struct ew_task *t = load(text, ":corrupted=corrupted_hard");
    assert_int_equal(t->corrupt[0], 8);
    assert_string_equal(t->corruption, "corrupted_hard");
    assert_int_equal(t->answers[0].n_right, 0);
    ew_task_destroy(t);
    t = load(text, ":answer=name,wrong=other,metric=nll,bos=yes");
    assert_int_equal(t->answers[0].right[0], 7);
    assert_int_equal(t->answers[0].wrong[0], 6);
    assert_int_equal(t->metric, EW_METRIC_NLL);
    assert_int_equal(t->clean[0], 0);
    assert_int_equal(t->n_pos, 3);
    assert_string_equal(t->bos, "BOS");
    ew_task_destroy(t);
    t = load(text, ":answer=name");
    assert_int_equal(t->answers[0].n_right, 1);
    assert_int_equal(t->answers[0].n_wrong, 0);
    ew_task_destroy(t);
    refused(text, ":answer=nom",
            "line 1: no column \"nom\"; there are "
            "\"clean\", \"corrupted\"");
    refused(text, ":ids=file", "line 1: ids=file: no column of answer ids");
}

static void ids_of_the_file(void **state)
{
    (void)state;
    const char *text = "clean,corrupted,correct_idx,incorrect_idx\n"
                       "Mary to,John to,5,\"[6, 7]\"\n";
    struct ew_task *t = load(text, ":ids=file");
    assert_int_equal(t->answers[0].n_right, 1);
    assert_int_equal(t->answers[0].right[0], 5);
    assert_int_equal(t->answers[0].n_wrong, 2);
    assert_int_equal(t->answers[0].wrong[1], 7);
    ew_task_destroy(t);
    static const char *const wrong[] = {"x", "-1", "", "3x", "[]", "3.5"};
    for (size_t i = 0; i < EW_ARRAY_LEN(wrong); i++) {
        char line[128];
        snprintf(line, sizeof(line),
                 "clean,corrupted,correct_idx\nMary to,John to,%s\n", wrong[i]);
        refused(line, ":ids=file", "line 2, correct_idx: expected a token id");
    }
}

static void unfit_lines_are_left_out(void **state)
{
    (void)state;
    const char *text = "clean,corrupted,answer\nMary to,John to,Zoe\n"
                       "Mary to,John,Paul\nMary to,John to,Paul\n"
                       "Mary to,John,Paul\n";
    struct ew_task *t = load(text, ":unfit=drop");
    assert_int_equal(t->n_prompts, 1);
    assert_int_equal(t->answers[0].right[0], 8);
    assert_int_equal(t->dropped, 3);
    assert_string_equal(t->dropped_why, "answers that are not single tokens; "
                                        "pairs of unequal length");
    ew_task_destroy(t);
    refused("clean,corrupted\nMary,John to\n", ":unfit=drop",
            "no prompts: all are pairs of unequal length");
    /* other mistakes are mistakes all the same */
    refused("clean,corrupted\nMary to,John to\n,John\n", ":unfit=drop",
            "line 3, clean: is empty");
    t = load(text, ":unfit=drop,n=1");
    assert_int_equal(t->dropped, 2); /* the rest is not read */
    ew_task_destroy(t);
}

/* ---- answers told from the text ---- */

static void indirect_objects(void **state)
{
    (void)state;
    static const struct {
        const char *clean;
        int64_t right;
        int64_t wrong;
        int32_t io, s1, s2;
    } cases[] = {
        {"Mary and John gave it and John gave it to", 2, 3, 0, 2, 6},
        {"Mary and John gave it and Mary gave it to", 3, 2, 2, 0, 6},
        {"gave and gave to Paul and John it John to", 8, 3, 4, 6, 8},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        char line[256];
        snprintf(line, sizeof(line),
                 "clean,corrupted,correct_idx,incorrect_idx\n%s,%s,1,2\n",
                 cases[i].clean, cases[i].clean);
        struct ew_task *t = load(line, "");
        assert_int_equal(t->answers[0].right[0], cases[i].right);
        assert_int_equal(t->answers[0].wrong[0], cases[i].wrong);
        assert_int_equal(role_of(t, "IO")[0], cases[i].io);
        assert_int_equal(role_of(t, "S1")[0], cases[i].s1);
        assert_int_equal(role_of(t, "S1+1")[0], cases[i].s1 + 1);
        assert_int_equal(role_of(t, "S2")[0], cases[i].s2);
        ew_task_destroy(t);
    }
    static const char *const untold[] = {
        "Mary and John gave it to",           /* neither again */
        "Mary and John gave Mary it to John", /* both */
        "Mary and it gave it to",             /* no name */
        "it and Mary gave Mary to",
        "Mary and John gave Johns it to", /* another word */
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(untold); i++) {
        char line[256];
        snprintf(line, sizeof(line),
                 "clean,corrupted,correct_idx,incorrect_idx\n%s,%s,1,2\n",
                 untold[i], untold[i]);
        refused(line, "", "line 2: the answers cannot be told from the text");
    }
    refused("clean,corrupted,correct_idx,incorrect_idx\n"
            "Zoe and John gave John,Zoe and John gave John,1,2\n",
            "", "line 2, clean: \"Zoe\" is not a single token of this model");
}

/* ---- EAP-IG's own ---- */

static struct ew_tokenizer *gpt2(struct ew_task_env *out)
{
    struct ew_err err;
    const char *path = ew_test_reference("tokenizers/gpt2");
    if (access(path, R_OK) != 0) {
        print_message("not looked at: %s is not there\n", path);
        return NULL;
    }
    struct ew_tokenizer *it = ew_tokenizer_load(path, &err);
    assert_non_null(it);
    *out = (struct ew_task_env){
        .tok = it, .d_vocab = 50257, .n_ctx = 1024, .bos = 50256};
    return it;
}

/* Its ids are of another vocabulary: where two lines have the same one, they
 * have the same answer, and only there. */
static void eap_ig_ioi(void **state)
{
    (void)state;
    struct ew_task_env there;
    struct ew_tokenizer *it = gpt2(&there);
    if (!it) {
        return;
    }
    const char *path = ew_test_reference("tasks/eap-ig-ioi_llama.csv");
    char *with = ew_xasprintf("%s:ids=file,corrupted=corrupted_hard", path);
    struct ew_task *t = open_task(path, &there);
    struct ew_task *ids = open_task(with, &there);
    assert_int_equal(t->n_prompts, 499);
    for (size_t i = 0; i < 499; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_int_equal(t->answers[i].right[0] == t->answers[j].right[0],
                             ids->answers[i].right[0] ==
                                 ids->answers[j].right[0]);
            assert_int_equal(t->answers[i].wrong[0] == t->answers[j].wrong[0],
                             ids->answers[i].wrong[0] ==
                                 ids->answers[j].wrong[0]);
        }
        int32_t io = role_of(t, "IO")[i];
        int32_t s2 = role_of(t, "S2")[i];
        assert_int_equal(clean_of(t, i)[io], t->answers[i].right[0]);
        assert_int_equal(clean_of(t, i)[s2], t->answers[i].wrong[0]);
        assert_int_not_equal(corrupt_of(t, i)[s2], t->answers[i].right[0]);
        assert_int_equal(corrupt_of(ids, i)[s2], t->answers[i].right[0]);
    }
    ew_task_destroy(t);
    ew_task_destroy(ids);
    ew_tokenizer_destroy(it);
    free(with);
}

static void eap_ig_greater_than(void **state)
{
    (void)state;
    struct ew_task_env there;
    struct ew_tokenizer *it = gpt2(&there);
    if (!it) {
        return;
    }
    const char *path = ew_test_reference("tasks/eap-ig-greater_than_data.csv");
    struct ew_task *t = open_task(path, &there);
    assert_int_equal(t->n_prompts, 1000);
    assert_int_equal(t->metric, EW_METRIC_LOGIT_DIFF);
    for (size_t i = 0; i < 1000; i++) {
        const struct ew_answers *a = &t->answers[i];
        int32_t yy = role_of(t, "YY")[i];
        assert_int_equal(a->n_right + a->n_wrong, 100);
        assert_int_equal(a->wrong[a->n_wrong - 1], clean_of(t, i)[yy]);
        assert_int_equal(corrupt_of(t, i)[yy], ew_tokenizer_find(it, "01"));
        assert_int_equal(clean_of(t, i)[role_of(t, "XX1")[i]],
                         clean_of(t, i)[role_of(t, "END")[i]]);
    }
    assert_int_equal(t->answers[0].n_wrong, 53); /* the year 1352 */
    ew_task_destroy(t);

    char *mistaken =
        put_task("year.csv", "clean,corrupted,correct_idx\n"
                             "from 1352 to 13,from 1301 to 13,52\n"
                             "from 1352 to 13,from 1301 to 13,51\n");
    refuse(mistaken, &there, EW_ERR_INPUT,
           "line 3, correct_idx: \"51\": the clean prompt's year ends with 52");
    char *spec = ew_xasprintf("%s:unfit=drop", mistaken);
    refuse(spec, &there, EW_ERR_INPUT, "line 3, correct_idx: \"51\"");
    free(spec);
    free(mistaken);
    static const char *const others[] = {"14", "113", "1", "it"};
    for (size_t i = 0; i < EW_ARRAY_LEN(others); i++) {
        char line[128];
        snprintf(line, sizeof(line),
                 "clean,corrupted,label\nfrom 1352 to %s,from 1301 to %s,52\n",
                 others[i], others[i]);
        char *year = put_task("year.csv", line);
        refuse(year, &there, EW_ERR_INPUT, "line 2, label: read as the end");
        free(year);
    }
    ew_tokenizer_destroy(it);
}

/* " 1352" is " 135" and "2" there: no token is the year's end. */
static void years_that_do_not_split(void **state)
{
    (void)state;
    struct ew_err err;
    const char *path = ew_test_reference("tokenizers/gpt-neox");
    if (access(path, R_OK) != 0) {
        print_message("not looked at: %s is not there\n", path);
        return;
    }
    struct ew_tokenizer *it = ew_tokenizer_load(path, &err);
    assert_non_null(it);
    struct ew_task_env there = {
        .tok = it, .d_vocab = 50432, .n_ctx = 1024, .bos = 0};
    struct ew_task *t = load_text("YEAR.CSV",
                                  "clean,corrupted,label\n"
                                  "from 1352 to 13,from 1301 to 13,52\n"
                                  "from 1457 to 14,from 1401 to 14,57\n",
                                  &there);
    assert_int_equal(role_of(t, "XX1")[0], -1);
    assert_int_equal(role_of(t, "YY")[0], -1);
    assert_int_equal(role_of(t, "XX1")[1], 1);
    assert_int_equal(role_of(t, "YY")[1], 2);
    ew_task_destroy(t);
    ew_tokenizer_destroy(it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_read),
        cmocka_unit_test(spellings_of_a_table),
        cmocka_unit_test(bad_tables_are_refused),
        cmocka_unit_test(columns_are_chosen),
        cmocka_unit_test(ids_of_the_file),
        cmocka_unit_test(unfit_lines_are_left_out),
        cmocka_unit_test(indirect_objects),
        cmocka_unit_test(eap_ig_ioi),
        cmocka_unit_test(eap_ig_greater_than),
        cmocka_unit_test(years_that_do_not_split),
    };
    return cmocka_run_group_tests(tests, make_words, drop_words);
}
