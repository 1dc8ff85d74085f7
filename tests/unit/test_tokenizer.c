/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenizers of each kind, made here and small.
 */
#include "tokenizer_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return RUN_IN_FOLDER(tests);
}
