/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenizers from files that a test writes, and what they make of a text.
 */
#ifndef EW_TESTS_TOKENIZER_FIXTURE_H
#define EW_TESTS_TOKENIZER_FIXTURE_H

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edgewise/file.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"
#include "edgewise/tokenizer.h"

#include "ew_cmocka.h"

static char folder[] = "/tmp/ew-tokenizer-XXXXXX";

static inline void remove_file(const char *name)
{
    char *path = ew_path_join(folder, name);
    unlink(path);
    free(path);
}

static const char *const all_files[] = {"tokenizer.json", "vocab.json",
                                        "merges.txt", "tokenizer_config.json",
                                        "config.json"};

static inline void clear_folder(void)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(all_files); i++) {
        remove_file(all_files[i]);
    }
}

static inline void put_file(const char *name, const char *text, size_t len)
{
    struct ew_err err;
    char *path = ew_path_join(folder, name);
    assert_true(ew_file_write(path, text, len, &err));
    free(path);
}

static inline struct ew_tokenizer *load_one(const char *name, const char *text)
{
    struct ew_err err = {0};
    clear_folder();
    put_file(name, text, strlen(text));
    struct ew_tokenizer *tok = ew_tokenizer_load(folder, &err);
    if (!tok) {
        fail_msg("%s: %s", name, err.message);
    }
    return tok;
}

/* "1 2 3", or "error: message". */
static inline void encoded(const struct ew_tokenizer *tok, const char *text,
                           size_t len, struct ew_buf *out)
{
    int64_t *ids = NULL;
    size_t n = 0;
    struct ew_err err = {0};
    if (!ew_tokenizer_encode(tok, text, len, &ids, &n, &err)) {
        ew_buf_printf(out, "error: %s", err.message);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        ew_buf_printf(out, "%s%lld", i ? " " : "", (long long)ids[i]);
    }
    free(ids);
}

static inline void expect_ids(const struct ew_tokenizer *tok, const char *text,
                              const char *expected)
{
    struct ew_buf found = {0};
    encoded(tok, text, strlen(text), &found);
    assert_string_equal(ew_buf_str(&found), expected);
    ew_buf_finish(&found);
}

static inline bool round_trip(const struct ew_tokenizer *tok, const char *text,
                              size_t len)
{
    int64_t *ids = NULL;
    size_t n = 0;
    struct ew_err err = {0};
    struct ew_buf back = {0};
    assert_true(ew_tokenizer_encode(tok, text, len, &ids, &n, &err));
    ew_tokenizer_decode(tok, ids, n, &back);
    bool same =
        back.len == len && (len == 0 || memcmp(back.data, text, len) == 0);
    free(ids);
    ew_buf_finish(&back);
    return same;
}

static inline void expect_text(const struct ew_tokenizer *tok,
                               const int64_t *ids, size_t n,
                               const char *expected)
{
    struct ew_buf text = {0};
    ew_tokenizer_decode(tok, ids, n, &text);
    assert_string_equal(ew_buf_str(&text), expected);
    ew_buf_finish(&text);
}

static inline void expect_print(const struct ew_tokenizer *tok, int64_t id,
                                const char *expected)
{
    struct ew_buf text = {0};
    ew_token_print(&text, tok, id);
    assert_string_equal(ew_buf_str(&text), expected);
    ew_buf_finish(&text);
}

/* ---- SentencePiece's way: a mark for spaces, bytes for the unknown ---- */

static inline char *marked_json(const char *normalizer,
                                const char *pre_tokenizer,
                                const char *decoder)
{
    struct ew_buf b = {0};
    ew_buf_printf(&b,
                  "{\"normalizer\": %s, \"pre_tokenizer\": %s, \"decoder\": "
                  "%s, \"added_tokens\": [{\"id\": 0, \"content\": \"<s>\", "
                  "\"special\": true, \"normalized\": false}],"
                  "\"model\": {\"type\": \"BPE\", \"byte_fallback\": true, "
                  "\"vocab\": {\"<s>\": 0, \"\xe2\x96\x81\": 1, \"a\": 2, "
                  "\"b\": 3, \"\xe2\x96\x81"
                  "a\": 4, \"ab\": 5, \"\xe2\x96\x81"
                  "ab\": 6",
                  normalizer, pre_tokenizer, decoder);
    for (int byte = 0; byte < 256; byte++) {
        ew_buf_printf(&b, ", \"<0x%02X>\": %d", byte, 10 + byte);
    }
    ew_buf_add(&b, "}, \"merges\": [\"\xe2\x96\x81 a\", \"a b\", "
                   "\"\xe2\x96\x81"
                   "a b\", \"\xe2\x96\x81 ab\"]}}");
    return ew_buf_steal(&b);
}

#define MARK "\xe2\x96\x81"
#define LLAMA_DECODER                                                          \
    "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", "         \
    "\"pattern\": {\"String\": \"" MARK "\"}, \"content\": \" \"}, "           \
    "{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}, {\"type\": "          \
    "\"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}]}"
#define LLAMA_NORMALIZER                                                       \
    "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", "      \
    "\"prepend\": \"" MARK "\"}, {\"type\": \"Replace\", \"pattern\": "        \
    "{\"String\": \" \"}, \"content\": \"" MARK "\"}]}"

/* ---- running ---- */

/* Run tests of files in the folder. */
#define RUN_IN_FOLDER(tests)                                                   \
    (mkdtemp(folder) ? leave(cmocka_run_group_tests(tests, NULL, NULL)) : 1)

static inline int leave(int failed)
{
    clear_folder();
    rmdir(folder);
    return failed;
}

#endif
