/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `params`, `hooks` and `run` against what TransformerLens gave for the
 * reference models: names in order, shapes, statistics, logits.
 */
#include <math.h>
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

static const char *const cases[] = {"induction-2l", "gelu3l", "attn2l"};

static const char *reference(const char *model, const char *file)
{
    char path[512];
    snprintf(path, sizeof(path), "acdc/%s/%s", model, file);
    return ew_test_reference(path);
}

/* ---- params ---- */

static void params_are_in_the_notebooks_order(void **state)
{
    (void)state;
    struct cli_result r = CLI("params", reference("induction-2l", ""));
    assert_int_equal(r.status, 0);
    static const char head[] = "embed.W_E: [256, 128]\n"
                               "pos_embed.W_pos: [64, 128]\n"
                               "blocks.0.attn.W_Q: [4, 128, 32]\n"
                               "blocks.0.attn.W_O: [4, 32, 128]\n"
                               "blocks.0.attn.b_Q: [4, 32]\n"
                               "blocks.0.attn.b_O: [128]\n"
                               "blocks.0.attn.W_K: [4, 128, 32]\n"
                               "blocks.0.attn.W_V: [4, 128, 32]\n"
                               "blocks.0.attn.b_K: [4, 32]\n"
                               "blocks.0.attn.b_V: [4, 32]\n"
                               "blocks.1.attn.W_Q: [4, 128, 32]\n";
    assert_memory_equal(r.out, head, sizeof(head) - 1);
    static const char tail[] = "unembed.W_U: [128, 256]\n"
                               "unembed.b_U: [256]\n";
    size_t len = strlen(r.out);
    assert_true(len > sizeof(tail));
    assert_string_equal(r.out + len - (sizeof(tail) - 1), tail);
    cli_free(&r);
}

static void params_as_json(void **state)
{
    (void)state;
    json_t *params = CLI_JSON("params", reference("gelu3l", ""), "--json");
    size_t i;
    json_t *param;
    size_t seen = 0;
    json_array_foreach(params, i, param)
    {
        const char *name = json_string_value(json_object_get(param, "name"));
        assert_string_equal(json_string_value(json_object_get(param, "dtype")),
                            "F32");
        if (strcmp(name, "blocks.2.mlp.W_in") == 0) {
            json_t *shape = json_object_get(param, "shape");
            assert_int_equal(json_array_size(shape), 2);
            assert_int_equal(json_integer_value(json_array_get(shape, 0)), 64);
            assert_int_equal(json_integer_value(json_array_get(shape, 1)), 256);
            seen++;
        }
    }
    assert_int_equal(seen, 1);
    json_decref(params);
}

/* ---- hooks ---- */

static bool figure_agrees(const char *name, const char *key, const json_t *ours,
                          const json_t *theirs, double scale)
{
    char what[200];
    snprintf(what, sizeof(what), "%s: %s", name, key);
    double got = json_number_value(json_object_get(ours, key));
    double expected = json_number_value(json_object_get(theirs, key));
    return cli_close_to(got, expected, 1e-4 * scale, 1e-4, what);
}

static void check_hooks(const char *model, const char *file, bool corrupted)
{
    json_t *expected = cli_load(reference(model, file));
    json_t *got = CLI_JSON("hooks", reference(model, ""), "-t",
                           reference(model, "tokens.json"), "--json",
                           corrupted ? "--corrupted" : "--json");
    assert_int_equal(json_array_size(got), json_object_size(expected));
    const char *name;
    json_t *theirs;
    size_t i = 0;
    bool ok = true;
    json_object_foreach(expected, name, theirs)
    {
        const json_t *ours = json_array_get(got, i++);
        assert_string_equal(json_string_value(json_object_get(ours, "name")),
                            name);
        if (!json_equal(json_object_get(ours, "shape"),
                        json_object_get(theirs, "shape"))) {
            fail_msg("%s: %s: another shape", model, name);
        }
        if (strstr(name, "hook_attn_scores")) {
            continue; /* TransformerLens counts the mask's -1e5 */
        }
        /* a mean of many cancelling terms is compared on their scale */
        double std = json_number_value(json_object_get(theirs, "std"));
        ok &= figure_agrees(name, "mean", ours, theirs, std);
        ok &= figure_agrees(name, "std", ours, theirs, 0);
        ok &= figure_agrees(name, "l2", ours, theirs, 0);
    }
    assert_true(ok);
    json_decref(got);
    json_decref(expected);
}

static void hooks_are_transformerlenss(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        check_hooks(cases[i], "hooks.json", false);
        check_hooks(cases[i], "hooks_corrupted.json", true);
    }
}

/* ---- run ---- */

/* "0,132,101" of a prompt; free() it. */
static char *ids_text(const json_t *ids)
{
    size_t cap = json_array_size(ids) * 8 + 1;
    char *text = calloc(cap, 1);
    size_t len = 0;
    size_t i;
    json_t *id;
    json_array_foreach(ids, i, id)
    {
        len += (size_t)snprintf(text + len, cap - len, "%s%lld", i ? "," : "",
                                (long long)json_integer_value(id));
    }
    return text;
}

static bool same_numbers(const json_t *ours, const json_t *theirs,
                         const char *what)
{
    assert_int_equal(json_array_size(ours), json_array_size(theirs));
    bool ok = true;
    size_t i;
    json_t *value;
    json_array_foreach(ours, i, value)
    {
        ok = ok && cli_close_to(json_number_value(value),
                                json_number_value(json_array_get(theirs, i)),
                                1e-4, 0, what);
    }
    return ok;
}

static void check_logits(const char *model, const char *file, const char *key)
{
    json_t *expected = cli_load(reference(model, file));
    json_t *tokens = cli_load(reference(model, "tokens.json"));
    json_t *prompts = json_object_get(tokens, key);
    char *first = ids_text(json_array_get(prompts, 0));
    char *second = ids_text(json_array_get(prompts, 1));
    json_t *got = CLI_JSON("run", reference(model, ""), "--tokens", first,
                           "--tokens", second, "--logits", "last", "--json");
    json_t *rows = json_object_get(expected, "logits");
    assert_int_equal(json_array_size(got), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *item = json_array_get(got, i);
        assert_true(json_equal(json_object_get(item, "tokens"),
                               json_array_get(prompts, i)));
        assert_true(same_numbers(json_object_get(item, "logits"),
                                 json_array_get(rows, i), file));
    }
    free(first);
    free(second);
    json_decref(got);
    json_decref(tokens);
    json_decref(expected);
}

static void logits_are_the_reference_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        check_logits(cases[i], "logits_clean.json", "clean");
        check_logits(cases[i], "logits_corrupted.json", "corrupted");
    }
}

static void all_logits_end_in_the_last(void **state)
{
    (void)state;
    const char *model = reference("gelu3l", "");
    json_t *all = CLI_JSON("run", model, "--tokens", "0,5,7,9", "--logits",
                           "all", "--json");
    json_t *last = CLI_JSON("run", model, "--tokens", "0,5,7,9", "--logits",
                            "last", "--json");
    const json_t *rows = json_object_get(json_array_get(all, 0), "logits");
    assert_int_equal(json_array_size(rows), 4);
    assert_true(same_numbers(json_array_get(rows, 3),
                             json_object_get(json_array_get(last, 0), "logits"),
                             "last"));
    json_decref(all);
    json_decref(last);
}

static void predictions_are_the_largest_logits(void **state)
{
    (void)state;
    const char *model = reference("gelu3l", "");
    json_t *top =
        CLI_JSON("run", model, "--tokens", "0,5,7,9", "--top", "97", "--json");
    const json_t *list = json_object_get(json_array_get(top, 0), "predictions");
    assert_int_equal(json_array_size(list), 97);
    double sum = 0;
    double before = INFINITY;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        double logit = json_number_value(json_object_get(item, "logit"));
        sum += json_number_value(json_object_get(item, "prob"));
        assert_true(logit <= before);
        before = logit;
    }
    assert_true(fabs(sum - 1) < 1e-6);
    json_decref(top);
}

/* The trained model repeats the segment it has seen. */
static void generation_is_greedy(void **state)
{
    (void)state;
    const char *model = reference("induction-2l", "");
    json_t *got = CLI_JSON("run", model, "--tokens",
                           "0,132,101,123,21,20,205,121,132,101,123",
                           "--generate", "3", "--json");
    const json_t *item = json_array_get(got, 0);
    const json_t *generated = json_object_get(item, "generated");
    assert_int_equal(json_array_size(json_object_get(item, "tokens")), 11);
    static const int expected[] = {21, 20, 205};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(json_integer_value(json_array_get(generated, i)),
                         expected[i]);
    }
    json_decref(got);
}

static void bad_prompts_are_refused(void **state)
{
    (void)state;
    const char *model = reference("gelu3l", "");
    cli_expect_error(CLI("run", model, "--tokens", "0,97"), 3, "token 97");
    cli_expect_error(CLI("run", model, "--tokens", "-1"), 3, "token -1");
    cli_expect_error(CLI("run", model, "--tokens", "0,1", "--generate", "63"),
                     3, "context of 64");
    cli_expect_error(CLI("run", model, "--text", "hello"), 3, "tokenizer");
    setenv("EDGEWISE_MODULES", "/nonexistent", 1);
    setenv("EDGEWISE_ASSETS", "/nonexistent", 1);
    cli_expect_error(CLI("graph", "nothing/here"), 3, "nothing/here");
    unsetenv("EDGEWISE_ASSETS");
}

/* A weights file has its config and its tokenizer beside it. */
static void a_file_is_its_folder(void **state)
{
    (void)state;
    const char *folder = EW_TEST_SOURCE_DIR "/assets/models/induction-2l";
    json_t *a = CLI_JSON("run", folder, "--text", "acid acorn acid", "--json");
    json_t *b = CLI_JSON(
        "run", EW_TEST_SOURCE_DIR "/assets/models/induction-2l/"
                                  "model.safetensors",
        "--text", "acid acorn acid", "--json");
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
}

static void a_converted_model_has_the_same_parameters(void **state)
{
    (void)state;
    char source[512];
    char folder[300];
    snprintf(source, sizeof(source), "%s",
             ew_test_reference("hf/qwen2-tiny"));
    snprintf(folder, sizeof(folder), "%s", cli_temp("converted"));
    struct cli_result r = CLI("convert", source, folder);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "");
    cli_free(&r);
    json_t *a = CLI_JSON("params", source, "--json");
    json_t *b = CLI_JSON("params", folder, "--json");
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    cli_expect_error(CLI("convert", source, folder), 3, "there already");
    cli_expect_error(CLI("convert", source), 2, "a model and a new folder");
}

int main(void)
{
    ew_test_need(EW_REFERENCE_DIR "/acdc");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(params_are_in_the_notebooks_order),
        cmocka_unit_test(params_as_json),
        cmocka_unit_test(hooks_are_transformerlenss),
        cmocka_unit_test(logits_are_the_reference_ones),
        cmocka_unit_test(all_logits_end_in_the_last),
        cmocka_unit_test(predictions_are_the_largest_logits),
        cmocka_unit_test(generation_is_greedy),
        cmocka_unit_test(a_file_is_its_folder),
        cmocka_unit_test(a_converted_model_has_the_same_parameters),
        cmocka_unit_test(bad_prompts_are_refused),
    };
    return cmocka_run_group_tests(tests, cli_share_torch, NULL);
}
