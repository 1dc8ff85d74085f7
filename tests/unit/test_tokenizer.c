/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenizers of each kind, made here and small; then the reference vectors,
 * id by id, where they are there.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edgewise/file.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"
#include "edgewise/rng.h"
#include "edgewise/tokenizer.h"

#include "ew_cmocka.h"

static char folder[] = "/tmp/ew-tokenizer-XXXXXX";

static void remove_file(const char *name)
{
    char *path = ew_path_join(folder, name);
    unlink(path);
    free(path);
}

static const char *const all_files[] = {"tokenizer.json", "vocab.json",
                                        "merges.txt", "tokenizer_config.json",
                                        "config.json"};

static void clear_folder(void)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(all_files); i++) {
        remove_file(all_files[i]);
    }
}

static void put_file(const char *name, const char *text, size_t len)
{
    struct ew_err err;
    char *path = ew_path_join(folder, name);
    assert_true(ew_file_write(path, text, len, &err));
    free(path);
}

static struct ew_tokenizer *load_one(const char *name, const char *text)
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
static void encoded(const struct ew_tokenizer *tok, const char *text,
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

static void expect_ids(const struct ew_tokenizer *tok, const char *text,
                       const char *expected)
{
    struct ew_buf found = {0};
    encoded(tok, text, strlen(text), &found);
    assert_string_equal(ew_buf_str(&found), expected);
    ew_buf_finish(&found);
}

static bool round_trip(const struct ew_tokenizer *tok, const char *text,
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

static void expect_text(const struct ew_tokenizer *tok, const int64_t *ids,
                        size_t n, const char *expected)
{
    struct ew_buf text = {0};
    ew_tokenizer_decode(tok, ids, n, &text);
    assert_string_equal(ew_buf_str(&text), expected);
    ew_buf_finish(&text);
}

static void expect_print(const struct ew_tokenizer *tok, int64_t id,
                         const char *expected)
{
    struct ew_buf text = {0};
    ew_token_print(&text, tok, id);
    assert_string_equal(ew_buf_str(&text), expected);
    ew_buf_finish(&text);
}

/* ---- words ---- */

#define WORDS                                                                  \
    "\"added_tokens\": [{\"id\": 0, \"content\": \"<|bos|>\", \"special\": "   \
    "true, \"normalized\": false}], \"normalizer\": null, \"decoder\": null, " \
    "\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"<|bos|>\": 0, "        \
    "\"<|unk|>\": 1, \"Mary\": 2, \"John\": 3, \",\": 4, \"don\": 5, "         \
    "\"'\": 6, \"t\": 7, \"Mary,\": 8, \"\\u00e9t\\u00e9\": 9}, "              \
    "\"unk_token\": "

static void words_at_white_space(void **state)
{
    (void)state;
    struct ew_tokenizer *tok =
        load_one("tokenizer.json",
                 "{\"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"}, " WORDS
                 "\"<|unk|>\"}}");
    expect_ids(tok, "", "");
    expect_ids(tok, "Mary  John\n\tMary", "2 3 2");
    expect_ids(tok, "Mary, John", "8 3");
    expect_ids(tok, "<|bos|>Mary Paul", "0 2 1");
    expect_ids(tok, "\xff Mary", "1 2"); /* invalid bytes are no word */
    assert_int_equal(ew_tokenizer_size(tok), 10);
    assert_int_equal(ew_tokenizer_bos(tok), 0);
    assert_int_equal(ew_tokenizer_find(tok, "Mary"), 2);
    assert_int_equal(ew_tokenizer_find(tok, " Mary"), -1);
    assert_int_equal(ew_tokenizer_find(tok, "Paul"), -1);
    assert_true(ew_tokenizer_is_special(tok, 0));
    assert_true(ew_tokenizer_is_special(tok, 1));
    assert_false(ew_tokenizer_is_special(tok, 2));
    expect_text(tok, (const int64_t[]){0, 2, 3}, 3, "<|bos|> Mary John");
    ew_tokenizer_destroy(tok);
    ew_tokenizer_destroy(NULL);
}

static void words_and_punctuation(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = load_one(
        "tokenizer.json",
        "{\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": "
        "[{\"type\": \"Whitespace\"}]}, " WORDS "\"<|unk|>\"}}");
    expect_ids(tok, "Mary, John don't", "2 4 3 5 6 7");
    expect_ids(tok, "\xc3\xa9t\xc3\xa9,", "9 4");
    expect_ids(tok, "Mary,,", "2 1"); /* ",," is one word of punctuation */
    ew_tokenizer_destroy(tok);
}

static void a_missing_word_is_named(void **state)
{
    (void)state;
    struct ew_tokenizer *tok =
        load_one("tokenizer.json",
                 "{\"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"}, " WORDS
                 "null}}");
    expect_ids(tok, "Mary Pa\x01ul",
               "error: \"Pa\\x01ul\" is not in the vocabulary");
    ew_tokenizer_destroy(tok);
}

static void vocabularies_alone(void **state)
{
    (void)state;
    struct ew_tokenizer *tok =
        load_one("vocab.json", "{\"a\": 0, \" \": 1, \"b\": 2, \"\\n\": 3}");
    expect_ids(tok, "ab a\n", "0 2 1 0 3");
    expect_ids(tok, "ax", "error: \"x\" is not in the vocabulary");
    assert_true(round_trip(tok, "b a\nba", 6));
    assert_int_equal(ew_tokenizer_bos(tok), -1);
    ew_tokenizer_destroy(tok);

    tok = load_one("vocab.json", "{\"the\": 0, \"cat\": 1, \"<unk>\": 2}");
    expect_ids(tok, "the  cat sat", "0 1 2");
    ew_tokenizer_destroy(tok);

    /* the longest that fits */
    tok = load_one("vocab.json",
                   "{\"in\": 0, \"input\": 1, \"put\": 2, \" \": 3}");
    expect_ids(tok, "input in put", "1 3 0 3 2");
    ew_tokenizer_destroy(tok);
}

/* ---- byte pairs ---- */

/* h e l o w and merges; "lo" comes before "el". */
static const char small_bpe[] =
    "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"h\": 0, \"e\": 1, \"l\": 2,"
    " \"o\": 3, \"lo\": 4, \"el\": 5, \"hel\": 6, \"hello\": 7, \"ll\": 8,"
    " \"oh\": 9}, \"merges\": [\"l o\", [\"e\", \"l\"], \"h el\", "
    "\"hel lo\"]%s}}";

static void merges_by_rank_then_place(void **state)
{
    (void)state;
    char text[512];
    snprintf(text, sizeof(text), small_bpe, "");
    struct ew_tokenizer *tok = load_one("tokenizer.json", text);
    expect_ids(tok, "hello", "7");
    expect_ids(tok, "helol", "0 1 4 2"); /* h e lo l */
    expect_ids(tok, "elo", "1 4");     /* lo first */
    expect_ids(tok, "hellohello", "7 7");
    expect_ids(tok, "oh", "3 0"); /* a token, but no merge makes it */
    expect_ids(tok, "hex", "error: no token for \"x\"");
    ew_tokenizer_destroy(tok);

    snprintf(text, sizeof(text), small_bpe, ", \"ignore_merges\": true");
    tok = load_one("tokenizer.json", text);
    expect_ids(tok, "oh", "9");
    ew_tokenizer_destroy(tok);
}

static void unknown_characters(void **state)
{
    (void)state;
    char text[512];
    snprintf(text, sizeof(text), small_bpe, ", \"unk_token\": \"ll\"");
    struct ew_tokenizer *tok = load_one("tokenizer.json", text);
    expect_ids(tok, "xyhello\xc3\xa9", "8 8 7 8");
    ew_tokenizer_destroy(tok);
    snprintf(text, sizeof(text), small_bpe,
             ", \"unk_token\": \"ll\", \"fuse_unk\": true");
    tok = load_one("tokenizer.json", text);
    expect_ids(tok, "xyhello\xc3\xa9", "8 7 8");
    ew_tokenizer_destroy(tok);
}

static void long_words_are_quick(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = load_one(
        "tokenizer.json",
        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"aa\": 1, "
        "\"aaaa\": 2}, \"merges\": [\"a a\", \"aa aa\"]}}");
    size_t n = 1 << 18;
    char *text = ew_xcalloc(n + 1, 1);
    memset(text, 'a', n + 1);
    int64_t *ids = NULL;
    size_t n_ids = 0;
    struct ew_err err;
    alarm(60); /* quadratic time would take hours */
    assert_true(ew_tokenizer_encode(tok, text, n + 1, &ids, &n_ids, &err));
    alarm(0);
    assert_int_equal(n_ids, n / 4 + 1);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[n / 4 - 1], 2);
    assert_int_equal(ids[n / 4], 0);
    free(ids);
    free(text);
    ew_tokenizer_destroy(tok);
}

/* ---- SentencePiece's way: a mark for spaces, bytes for what is unknown ---- */

static char *marked_json(const char *normalizer, const char *pre_tokenizer,
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

static void llama_2_style(void **state)
{
    (void)state;
    char *json = marked_json(LLAMA_NORMALIZER, "null", LLAMA_DECODER);
    struct ew_tokenizer *tok = load_one("tokenizer.json", json);
    expect_ids(tok, "ab a", "6 4");
    expect_ids(tok, " ab", "1 6");
    expect_ids(tok, "b\n", "1 3 20"); /* <0x0A> */
    expect_ids(tok, "\xc3\xa9", "1 205 179");
    expect_ids(tok, "a<s>b", "4 0 1 3");
    assert_true(round_trip(tok, " ab\n a\xc3\xa9\xff", 9));
    assert_int_equal(ew_tokenizer_find(tok, " ab"), 6);
    assert_int_equal(ew_tokenizer_find(tok, "ab"), 5);
    assert_int_equal(ew_tokenizer_find(tok, "\n"), 20);
    assert_int_equal(ew_tokenizer_find(tok, MARK "ab"), -1);
    expect_print(tok, 6, " ab");
    expect_print(tok, 20, "\\n");
    expect_print(tok, 10 + 0xff, "\\xFF");
    ew_tokenizer_destroy(tok);
    free(json);
}

static void metaspace_style(void **state)
{
    (void)state;
    static const struct {
        const char *scheme;
        const char *text;
        const char *ids;
    } cases[] = {
        {"always", "ab a", "6 4"},        {"always", "a<s>a", "4 0 4"},
        {"first", "ab a", "6 4"},         {"first", "a<s>a", "4 0 2"},
        {"never", "ab a", "5 4"},         {"always", " ab", "6"},
        {"never", "a  a", "2 1 4"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        char step[160];
        snprintf(step, sizeof(step),
                 "{\"type\": \"Metaspace\", \"replacement\": \"" MARK
                 "\", \"prepend_scheme\": \"%s\", \"split\": true}",
                 cases[i].scheme);
        char *json = marked_json("null", step, step);
        struct ew_tokenizer *tok = load_one("tokenizer.json", json);
        expect_ids(tok, cases[i].text, cases[i].ids);
        expect_print(tok, 4, " a");
        ew_tokenizer_destroy(tok);
        free(json);
    }
}

/* ---- added tokens ---- */

static void added_tokens_and_their_flags(void **state)
{
    (void)state;
    static const struct {
        const char *flags;
        const char *text;
        const char *ids;
    } cases[] = {
        {"", "a[X]a", "0 9 0"},
        {"", "[X][X]", "9 9"},
        {"", "a [X] a", "0 1 9 1 0"},
        {", \"lstrip\": true", "a  [X] a", "0 9 1 0"},
        {", \"rstrip\": true", "a [X]\t a", "0 1 9 0"},
        {", \"single_word\": true", "a[X] [X]", "0 2 3 4 1 9"},
        {"", "[XX]", "8"}, /* the longest */
        {", \"normalized\": true", "a[X]", "0 9"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        char json[512];
        snprintf(json, sizeof(json),
                 "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \" \": "
                 "1, \"[\": 2, \"X\": 3, \"]\": 4, \"\\t\": 5}, \"merges\": "
                 "[]}, \"added_tokens\": [{\"id\": 9, \"content\": \"[X]\", "
                 "\"special\": true%s}, {\"id\": 8, \"content\": \"[XX]\"}]}",
                 cases[i].flags);
        struct ew_tokenizer *tok = load_one("tokenizer.json", json);
        expect_ids(tok, cases[i].text, cases[i].ids);
        assert_int_equal(ew_tokenizer_size(tok), 10);
        assert_false(ew_tokenizer_has(tok, 7)); /* a gap */
        ew_tokenizer_destroy(tok);
    }
}

/* ---- cutting text, seen through a vocabulary of the pieces ---- */

/* Pieces of `text`, joined by '|', as the model would get them. */
static void pieces_of(const char *pre_tokenizer, const char *text,
                      struct ew_buf *out)
{
    struct ew_buf vocab = {0};
    /* learn the pieces one by one: the first unknown one is named */
    struct ew_buf known = {0};
    ew_buf_add(&known, "\"?\": 0");
    for (int round = 1; round < 40; round++) {
        ew_buf_clear(&vocab);
        ew_buf_printf(&vocab,
                      "{\"pre_tokenizer\": %s, \"model\": {\"type\": "
                      "\"WordLevel\", \"vocab\": {%s}}}",
                      pre_tokenizer, ew_buf_str(&known));
        struct ew_tokenizer *tok =
            load_one("tokenizer.json", ew_buf_str(&vocab));
        struct ew_buf ids = {0};
        encoded(tok, text, strlen(text), &ids);
        char piece[128];
        if (sscanf(ew_buf_str(&ids),
                   "error: \"%127[^\"]\" is not in the vocabulary",
                   piece) == 1) {
            ew_buf_printf(&known, ", \"%s\": %d", piece, round);
        } else {
            int64_t *list = NULL;
            size_t n = 0;
            struct ew_err err;
            assert_true(ew_tokenizer_encode(tok, text, strlen(text), &list, &n,
                                            &err));
            for (size_t i = 0; i < n; i++) {
                ew_buf_add(out, i ? "|" : "");
                ew_token_print(out, tok, list[i]);
            }
            free(list);
            round = 40;
        }
        ew_buf_finish(&ids);
        ew_tokenizer_destroy(tok);
    }
    ew_buf_finish(&known);
    ew_buf_finish(&vocab);
}

#define SPLIT(pattern, behavior, rest)                                         \
    "{\"type\": \"Split\", \"pattern\": " pattern                              \
    ", \"behavior\": \"" behavior "\"" rest "}"
#define DASH "{\"String\": \"-\"}"

static void splits_and_behaviors(void **state)
{
    (void)state;
    static const char text[] = "the-final--countdown";
    static const struct {
        const char *step;
        const char *text;
        const char *pieces;
    } cases[] = {
        {SPLIT(DASH, "Removed", ""), text, "the|final|countdown"},
        {SPLIT(DASH, "Isolated", ""), text, "the|-|final|-|-|countdown"},
        {SPLIT(DASH, "MergedWithPrevious", ""), text,
         "the-|final-|-|countdown"},
        {SPLIT(DASH, "MergedWithNext", ""), text, "the|-final|-|-countdown"},
        {SPLIT(DASH, "Contiguous", ""), text, "the|-|final|--|countdown"},
        {SPLIT(DASH, "Removed", ", \"invert\": true"), text, "-|-|-"},
        {SPLIT("{\"Regex\": \"[a-f]+|\\\\s\"}", "Isolated", ""), "abxfe g",
         "ab|x|fe| |g"},
        {SPLIT("{\"Regex\": \"(?i:THE)\"}", "Isolated", ""), "xthey",
         "x|the|y"},
        {"{\"type\": \"Digits\", \"individual_digits\": true}", "a12b",
         "a|1|2|b"},
        {"{\"type\": \"Digits\", \"individual_digits\": false}", "a12b",
         "a|12|b"},
        {"{\"type\": \"Punctuation\"}", "a,;b", "a|,|;|b"},
        {"{\"type\": \"BertPreTokenizer\"}", "a, b.", "a|,|b|."},
        {"{\"type\": \"CharDelimiterSplit\", \"delimiter\": \"x\"}", "axxb",
         "a|b"},
        {"{\"type\": \"ByteLevel\", \"add_prefix_space\": false}",
         "I'll go  on 12", "I|'ll|\xc4\xa0go|\xc4\xa0|\xc4\xa0on|\xc4\xa0"
                           "12"},
        {"{\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
         "\"use_regex\": false}",
         "I'll go", "\xc4\xa0I'll\xc4\xa0go"},
        {"{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", "
         "\"individual_digits\": true}, {\"type\": \"ByteLevel\", "
         "\"add_prefix_space\": false}]}",
         "in 17", "in|\xc4\xa0|1|7"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        struct ew_buf found = {0};
        pieces_of(cases[i].step, cases[i].text, &found);
        assert_string_equal(ew_buf_str(&found), cases[i].pieces);
        ew_buf_finish(&found);
    }
}

/* ---- printing ---- */

static void tokens_are_printable(void **state)
{
    (void)state;
    struct ew_tokenizer *tok = load_one(
        "vocab.json", "{\" the\": 0, \"\\n\\t\": 1, \"\\u001b[\": 2, "
                      "\"caf\\u00e9\": 3, \"\\u202e\": 4, \"\\u0085\": 5}");
    expect_print(tok, 0, " the");
    expect_print(tok, 1, "\\n\\t");
    expect_print(tok, 2, "\\x1B[");
    expect_print(tok, 3, "caf\xc3\xa9");
    expect_print(tok, 4, "\\xE2\\x80\\xAE");
    expect_print(tok, 5, "\\xC2\\x85");
    expect_print(tok, 6, "#6");
    expect_print(tok, -3, "#-3");
    expect_print(NULL, 17, "#17");
    ew_tokenizer_destroy(tok);
}

/* ---- damaged files ---- */

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

/* ---- the reference ---- */

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
    const struct CMUnitTest own[] = {
        cmocka_unit_test(words_at_white_space),
        cmocka_unit_test(words_and_punctuation),
        cmocka_unit_test(a_missing_word_is_named),
        cmocka_unit_test(vocabularies_alone),
        cmocka_unit_test(merges_by_rank_then_place),
        cmocka_unit_test(unknown_characters),
        cmocka_unit_test(long_words_are_quick),
        cmocka_unit_test(llama_2_style),
        cmocka_unit_test(metaspace_style),
        cmocka_unit_test(added_tokens_and_their_flags),
        cmocka_unit_test(splits_and_behaviors),
        cmocka_unit_test(tokens_are_printable),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(mangled_files_never_crash),
    };
    const struct CMUnitTest vectors[] = {
        cmocka_unit_test(gpt2_vectors),
        cmocka_unit_test(gpt_neox_vectors),
        cmocka_unit_test(slm4096_characters),
        cmocka_unit_test(stories260k_pieces),
    };
    if (!mkdtemp(folder)) {
        return 1;
    }
    int failed = cmocka_run_group_tests(own, NULL, NULL);
    clear_folder();
    rmdir(folder);
    if (failed) {
        return failed;
    }
    ew_test_need(reference("tokenizers/gpt2.jsonl"));
    return cmocka_run_group_tests(vectors, NULL, NULL);
}
