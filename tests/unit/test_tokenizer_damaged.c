/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged tokenizer files: refused with a message, never a crash.
 */
#include "edgewise/rng.h"

#include "tokenizer_fixture.h"

static void damaged_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *text;
        const char *says;
    } cases[] = {
        {"tokenizer.json", "{", "line 1"},
        {"tokenizer.json", "[]", "model: expected an object"},
        {"tokenizer.json", "{}", "model: expected an object, found nothing"},
        {"tokenizer.json", "{\"model\": {\"type\": \"Unigram\"}}",
         "\"Unigram\" is not supported"},
        {"tokenizer.json", "{\"model\": {\"vocab\": []}}", "Unigram"},
        {"tokenizer.json", "{\"model\": {\"type\": \"WordLevel\"}}",
         "model.vocab: expected an object"},
        {"tokenizer.json", "{\"model\": {\"vocab\": {\"a\": -1}}}",
         "model.vocab[\"a\"]"},
        {"tokenizer.json", "{\"model\": {\"vocab\": {\"a\": 99999999999}}}",
         "model.vocab[\"a\"]"},
        {"tokenizer.json", "{\"model\": {\"vocab\": {\"a\": \"b\"}}}",
         "model.vocab[\"a\"]"},
        {"tokenizer.json", "{\"model\": {\"vocab\": {}}}", "is empty"},
        {"tokenizer.json",
         "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}}}",
         "model.merges"},
        {"tokenizer.json",
         "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": "
         "[\"a a\"]}}",
         "merge 0: \"a\" + \"a\": the result"},
        {"tokenizer.json",
         "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": "
         "[\"aa\"]}}",
         "merge 0: expected two tokens"},
        {"tokenizer.json",
         "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": "
         "[7]}}",
         "model.merges[0]"},
        {"tokenizer.json",
         "{\"model\": {\"vocab\": {\"a\": 0}}, \"pre_tokenizer\": {\"type\": "
         "\"Sequence\", \"pretokenizers\": [{\"type\": \"Odd\"}]}}",
         "pre_tokenizer.pretokenizers[0]: the pre-tokenizer \"Odd\""},
        {"tokenizer.json",
         "{\"model\": {\"vocab\": {\"a\": 0}}, \"normalizer\": {\"type\": "
         "\"Precompiled\"}}",
         "\"Precompiled\" is not supported"},
        {"tokenizer.json",
         "{\"model\": {\"vocab\": {\"a\": 0}}, \"pre_tokenizer\": "
         "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}, "
         "\"behavior\": \"Isolated\"}}",
         "pre_tokenizer.pattern"},
        {"tokenizer.json",
         "{\"model\": {\"vocab\": {\"a\": 0}}, \"pre_tokenizer\": "
         "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"[a-z&&[^x]]\"}, "
         "\"behavior\": \"Isolated\"}}",
         "sets inside character classes"},
        {"tokenizer.json",
         "{\"model\": {\"vocab\": {\"a\": 0}}, \"pre_tokenizer\": "
         "{\"type\": \"Split\", \"pattern\": {\"String\": \"x\"}, "
         "\"behavior\": \"Sideways\"}}",
         "\"Sideways\" is not supported"},
        {"tokenizer.json",
         "{\"model\": {\"vocab\": {\"a\": 0}}, \"decoder\": \"x\"}",
         "decoder: expected an object"},
        {"tokenizer.json",
         "{\"model\": {\"vocab\": {\"a\": 0}}, \"added_tokens\": [{\"id\": 1}"
         "]}",
         "content"},
        {"tokenizer.json",
         "{\"model\": {\"vocab\": {\"a\": 0}}, \"added_tokens\": [{\"id\": -5,"
         " \"content\": \"x\"}]}",
         "added_tokens: \"x\": id"},
        {"vocab.json", "7", "expected an object, found an integer"},
        {"vocab.json", "[{\"id\": 0}]", "[0]"},
        {"vocab.json", "[{\"id\": 0, \"hex\": \"zz\", \"score\": 1}]", "[0]"},
        {"vocab.json",
         "[{\"id\": 0, \"piece\": \"a\"}, {\"id\": 1, \"piece\": \"a\"}]",
         "[1]: appears twice"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        struct ew_err err = {0};
        clear_folder();
        put_file(cases[i].file, cases[i].text, strlen(cases[i].text));
        assert_null(ew_tokenizer_load(folder, &err));
        assert_int_equal(err.code, EW_ERR_INPUT);
        if (!strstr(err.message, cases[i].says) ||
            !strstr(err.message, folder)) {
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.message,
                     cases[i].says);
        }
    }
    struct ew_err err = {0};
    clear_folder();
    assert_false(ew_tokenizer_exists(folder));
    assert_null(ew_tokenizer_load(folder, &err));
    assert_int_equal(err.code, EW_ERR_INPUT);
}

/* Cut and changed bytes anywhere: loads or is refused, and stays usable. */
static void mangled_files_never_crash(void **state)
{
    (void)state;
    char *json = marked_json(LLAMA_NORMALIZER, "{\"type\": \"Whitespace\"}",
                             LLAMA_DECODER);
    size_t len = strlen(json);
    struct ew_rng rng;
    ew_rng_seed(&rng, 1);
    int loaded = 0;
    for (int i = 0; i < 300; i++) {
        char *copy = ew_xstrndup(json, len);
        size_t n = len;
        if (i % 2) {
            n = (size_t)ew_rng_below(&rng, len);
        }
        for (int j = 0; j < 3; j++) {
            copy[ew_rng_below(&rng, len)] = (char)ew_rng_below(&rng, 256);
        }
        clear_folder();
        put_file("tokenizer.json", copy, n);
        struct ew_tokenizer *tok = ew_tokenizer_load(folder, NULL);
        if (tok) {
            struct ew_buf out = {0};
            encoded(tok, "ab <s>\xff", 7, &out);
            ew_token_print(&out, tok, 4);
            assert_true(out.len > 0);
            ew_buf_finish(&out);
            loaded++;
        }
        ew_tokenizer_destroy(tok);
        free(copy);
    }
    assert_true(loaded < 300);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(mangled_files_never_crash),
    };
    return RUN_IN_FOLDER(tests);
}
