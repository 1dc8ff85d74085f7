/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenizers against the reference vectors, id by id.
 */
#include "edgewise/rng.h"

#include "tokenizer_fixture.h"

static const char *reference(const char *name)
{
    static char path[1024];
    const char *dir = getenv("EDGEWISE_REFERENCE");
    snprintf(path, sizeof(path), "%s/%s", dir ? dir : EW_REFERENCE_DIR, name);
    return path;
}

static struct ew_tokenizer *load_reference(const char *name)
{
    struct ew_err err = {0};
    struct ew_tokenizer *tok = ew_tokenizer_load(reference(name), &err);
    if (!tok) {
        fail_msg("%s", err.message);
    }
    return tok;
}

/* Every line {"text", "ids"}; says the first that differs. */
static void check_vectors(const struct ew_tokenizer *tok, const char *name,
                          size_t at_least, bool exact_text)
{
    struct ew_err err = {0};
    struct ew_buf text = {0};
    assert_true(ew_file_read(&text, reference(name), &err));
    size_t count = 0;
    for (char *line = text.data; line && *line;) {
        char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        json_t *row = ew_json_parse(line, len, name, &err);
        assert_non_null(row);
        const json_t *string = json_object_get(row, "text");
        const json_t *ids = json_object_get(row, "ids");
        struct ew_buf expected = {0};
        struct ew_buf found = {0};
        for (size_t i = 0; i < json_array_size(ids); i++) {
            ew_buf_printf(&expected, "%s%lld", i ? " " : "",
                          (long long)json_integer_value(
                              json_array_get(ids, i)));
        }
        encoded(tok, json_string_value(string), json_string_length(string),
                &found);
        assert_string_equal(ew_buf_str(&found), ew_buf_str(&expected));
        if (exact_text) {
            assert_true(round_trip(tok, json_string_value(string),
                                   json_string_length(string)));
        }
        ew_buf_finish(&expected);
        ew_buf_finish(&found);
        json_decref(row);
        count++;
        line = end ? end + 1 : NULL;
    }
    assert_true(count >= at_least);
    ew_buf_finish(&text);
}

static void gpt2_vectors(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = load_reference("tokenizers/gpt2");
    assert_int_equal(ew_tokenizer_size(tok), 50257);
    assert_int_equal(ew_tokenizer_bos(tok), 50256);
    check_vectors(tok, "tokenizers/gpt2.jsonl", 400, true);
    assert_int_equal(ew_tokenizer_find(tok, " Mary"), 5335);
    assert_int_equal(ew_tokenizer_find(tok, " Maryland state"), -1);
    expect_print(tok, 5335, " Mary");
    expect_print(tok, 198, "\\n");
    /* any bytes come back: no normalizer here */
    struct ew_rng rng;
    ew_rng_seed(&rng, 7);
    for (int i = 0; i < 300; i++) {
        char bytes[64];
        size_t n = (size_t)ew_rng_below(&rng, sizeof(bytes));
        for (size_t j = 0; j < n; j++) {
            bytes[j] = (char)ew_rng_below(&rng, i % 2 ? 256 : 128);
        }
        assert_true(round_trip(tok, bytes, n));
    }
    ew_tokenizer_destroy(tok);
}

static void gpt_neox_vectors(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = load_reference("tokenizers/gpt-neox");
    assert_int_equal(ew_tokenizer_bos(tok), 0);
    check_vectors(tok, "tokenizers/gpt-neox.jsonl", 400, false);
    ew_tokenizer_destroy(tok);
}

static void slm4096_characters(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = load_reference("models/slm4096");
    struct ew_err err = {0};
    json_t *facts = ew_json_load(reference("models/slm4096/reference.json"),
                                 &err);
    assert_non_null(facts);
    const json_t *texts = json_object_get(facts, "text");
    const json_t *rows = json_object_get(facts, "input_ids");
    assert_true(json_array_size(texts) > 0);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        struct ew_buf expected = {0};
        const json_t *row = json_array_get(rows, i);
        for (size_t j = 0; j < json_array_size(row); j++) {
            ew_buf_printf(&expected, "%s%lld", j ? " " : "",
                          (long long)json_integer_value(
                              json_array_get(row, j)));
        }
        expect_ids(tok, json_string_value(json_array_get(texts, i)),
                   ew_buf_str(&expected));
        ew_buf_finish(&expected);
    }
    json_decref(facts);
    ew_tokenizer_destroy(tok);
}

static void stories260k_pieces(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = load_reference("models/stories260K");
    expect_ids(tok,
               "Once upon a time, there was a little girl named Lily. She "
               "loved to play outside in the park. One day, she saw a big, "
               "red ball.",
               "403 407 261 378 432 383 286 261 376 298 315 421 395 317 426 "
               "338 401 396 267 337 410 408 419 292 411 322 265 282 295 433 "
               "426 385 328 432 358 394 261 370 432 352 266 268 388 426");
    assert_int_equal(ew_tokenizer_bos(tok), 1);
    assert_true(round_trip(tok, "Lily\nsaw \xe2\x82\xac\xff", 13));
    ew_tokenizer_destroy(tok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_vectors),
        cmocka_unit_test(gpt_neox_vectors),
        cmocka_unit_test(slm4096_characters),
        cmocka_unit_test(stories260k_pieces),
    };
    ew_test_need(reference("tokenizers/gpt2.jsonl"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
