/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders without a tokenizer.json. vocab.json beside merges.txt is GPT-2's
 * byte-level BPE (or Qwen2's, if tokenizer_config.json says so). A vocab.json
 * alone is
 *   {"token": id, ..}: words split at white space when no token holds any
 *   and not all are single characters; else the longest token that fits;
 *   [{"id", "piece", "score", "hex"}, ..]: SentencePiece's BPE, which merges
 *   the pair of the highest score first.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "impl.h"

/* ---- merges.txt ---- */

static bool load_merges_txt(struct ew_tokenizer *tok, const char *path,
                            struct ew_err *err)
{
    struct ew_buf text = {0};
    bool ok = ew_file_read(&text, path, err);
    size_t rank = 0;
    const char *at = ew_buf_str(&text);
    const char *end = at + text.len;
    while (ok && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        struct span line = {.ptr = at, .len = (size_t)(stop - at)};
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
            line.len--;
        }
        if (line.len > 0 &&
            !(line.len >= 8 && memcmp(line.ptr, "#version", 8) == 0)) {
            ok = load_merge_line(tok, line, rank++, path, err);
        }
        at = stop + 1;
    }
    ew_buf_finish(&text);
    return ok;
}

/* {"<|im_start|>": 151644, ..}, and tokenizer_config.json's longer form. */
static bool load_more_added(struct ew_tokenizer *tok, const char *dir,
                            const json_t *config, struct ew_err *err)
{
    const char *key;
    json_t *value;
    bool ok = true;
    char *path = ew_path_join(dir, "added_tokens.json");
    json_t *more = ew_path_is_file(path) ? ew_json_load(path, err) : NULL;
    if (more) {
        json_object_foreach(more, key, value)
        {
            if (ok && json_is_integer(value) &&
                vocab_add(&tok->vocab, key, strlen(key),
                          json_integer_value(value))) {
                added_put(&tok->added, key, strlen(key),
                          json_integer_value(value), (struct added_token){0});
            } else {
                ok = ew_fail(err, EW_ERR_INPUT, "%s: \"%.60s\": expected an id",
                             path, key);
            }
        }
    }
    free(path);
    json_decref(more);
    path = ew_path_join(dir, "tokenizer_config.json");
    json_object_foreach(json_object_get(config, "added_tokens_decoder"), key,
                        value)
    {
        char *rest;
        long long id = strtoll(key, &rest, 10);
        ok = ok && load_added(tok, value, *rest ? -1 : id, path, err);
    }
    free(path);
    return ok;
}

static bool load_byte_bpe(struct ew_tokenizer *tok, const char *dir,
                          const char *merges, struct ew_err *err)
{
    static const char end_of_text[] = "<|endoftext|>";
    char *path = ew_path_join(dir, "tokenizer_config.json");
    json_t *config = ew_path_is_file(path) ? ew_json_load(path, NULL) : NULL;
    free(path);
    const char *class =
        json_string_value(json_object_get(config, "tokenizer_class"));
    bool qwen = class && strncmp(class, "Qwen2", 5) == 0;
    tok->model = MODEL_BPE;
    if (qwen) {
        steps_push(&tok->normalizers, STEP_NORMALIZER, "NFC");
    }
    bool ok = push_split_regex(&tok->pre_tokenizers,
                               qwen ? qwen2_pattern : gpt2_pattern, err) &&
              load_merges_txt(tok, merges, err) &&
              load_more_added(tok, dir, config, err);
    json_decref(config);
    if (!ok) {
        return false;
    }
    steps_push(&tok->pre_tokenizers, STEP_PRE_TOKENIZER, "ByteLevel");
    steps_push(&tok->decoders, STEP_DECODER, "ByteLevel");
    /* GPT-2's two files do not mark it */
    int64_t id = vocab_find(&tok->vocab, end_of_text, strlen(end_of_text));
    if (id >= 0) {
        added_put(&tok->added, end_of_text, strlen(end_of_text), id,
                  (struct added_token){0});
    }
    return true;
}

/* ---- a vocabulary alone ---- */

static bool usual_unknown(struct ew_tokenizer *tok)
{
    static const char *const usual[] = {"<unk>", "[UNK]", "<UNK>", "UNK"};
    for (size_t i = 0; tok->unk < 0 && i < EW_ARRAY_LEN(usual); i++) {
        tok->unk = vocab_find(&tok->vocab, usual[i], strlen(usual[i]));
    }
    return tok->unk >= 0;
}

static void choose_words(struct ew_tokenizer *tok)
{
    bool has_space = false;
    bool all_single = true;
    for (size_t i = 0; i < tok->vocab.n_entries; i++) {
        const struct vocab_entry *e = &tok->vocab.entries[i];
        const char *text = tok->vocab.text.data + e->offset;
        for (size_t at = 0; at < e->len;) {
            int32_t code;
            size_t n = char_at(text + at, e->len - at, &code);
            has_space |= is_space(code);
            all_single &= n == e->len;
            at += n;
        }
    }
    usual_unknown(tok);
    if (has_space || all_single) {
        tok->model = MODEL_LONGEST;
        steps_push(&tok->decoders, STEP_DECODER, "Fuse");
    } else {
        tok->model = MODEL_WORDS;
        steps_push(&tok->pre_tokenizers, STEP_PRE_TOKENIZER, "WhitespaceSplit");
    }
}

/* ---- pieces with scores ---- */

struct scored {
    struct span text;
    double score;
};

static int by_score(const void *left, const void *right)
{
    const struct scored *a = left;
    const struct scored *b = right;
    if (a->score != b->score) {
        return a->score > b->score ? -1 : 1;
    }
    return a->text.ptr < b->text.ptr ? -1 : a->text.ptr > b->text.ptr;
}

/* "0a3c" -> two bytes; false for anything else. */
static bool add_hex(struct ew_buf *out, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (; hex[0]; hex += 2) {
        const char *high = strchr(digits, hex[0]);
        const char *low = hex[1] ? strchr(digits, hex[1]) : NULL;
        if (!high || !low) {
            return false;
        }
        ew_buf_putc(out, (char)((high - digits) * 16 + (low - digits)));
    }
    return true;
}

static bool load_piece(struct ew_tokenizer *tok, const json_t *piece, size_t i,
                       const char *path, double *score, struct ew_err *err)
{
    struct ew_buf text = {0};
    const char *hex = json_string_value(json_object_get(piece, "hex"));
    const json_t *plain = json_object_get(piece, "piece");
    int64_t id = -1;
    bool ok = ew_json_int(piece, path, "id", &id, err) &&
              ew_json_real(piece, path, "score", score, err);
    if (ok && hex) {
        ok = add_hex(&text, hex);
    } else if (ok) {
        ok = json_is_string(plain);
        ew_buf_add_n(&text, ok ? json_string_value(plain) : "",
                     json_string_length(plain));
    }
    ok = ok && vocab_add(&tok->vocab, ew_buf_str(&text), text.len, id);
    if (!ok) {
        ew_fail(err, EW_ERR_INPUT,
                "%s: [%zu]: expected id, piece (or hex) and score", path, i);
    }
    ew_buf_finish(&text);
    return ok;
}

/* Every way to put a piece together from two, the best piece first. */
static void merges_from_scores(struct ew_tokenizer *tok, struct scored *list,
                               size_t n)
{
    qsort(list, n, sizeof(*list), by_score);
    for (size_t i = 0; i < n; i++) {
        struct span all = list[i].text;
        int64_t id = vocab_find(&tok->vocab, all.ptr, all.len);
        for (size_t cut = 1; cut < all.len && all.len < 256; cut++) {
            int64_t a = vocab_find(&tok->vocab, all.ptr, cut);
            int64_t b = vocab_find(&tok->vocab, all.ptr + cut, all.len - cut);
            if (a >= 0 && b >= 0) {
                merges_add(&tok->merges, a, b, (uint32_t)i, id);
            }
        }
    }
}

static bool load_scored(struct ew_tokenizer *tok, const json_t *json,
                        const char *path, struct ew_err *err)
{
    size_t n = json_array_size(json);
    double *scores = ew_xcalloc(n, sizeof(*scores));
    struct scored *list = ew_xcalloc(n, sizeof(*list));
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        ok = load_piece(tok, json_array_get(json, i), i, path, &scores[i], err);
        ok = ok &&
             (tok->vocab.n_entries == i + 1 ||
              ew_fail(err, EW_ERR_INPUT, "%s: [%zu]: appears twice", path, i));
    }
    for (size_t i = 0; ok && i < n; i++) { /* the arena no longer moves */
        const struct vocab_entry *e = &tok->vocab.entries[i];
        list[i].text = (struct span){tok->vocab.text.data + e->offset, e->len};
        list[i].score = scores[i];
    }
    if (ok) {
        tok->model = MODEL_BPE;
        tok->byte_fallback = true;
        merges_from_scores(tok, list, n);
        usual_unknown(tok);
        steps_push(&tok->normalizers, STEP_NORMALIZER, "Prepend");
        ew_buf_add(&tok->normalizers.list[0].content, " ");
        steps_push(&tok->decoders, STEP_DECODER, "ByteFallback");
        steps_push(&tok->decoders, STEP_DECODER, "Fuse");
        steps_push(&tok->decoders, STEP_DECODER, "Strip");
        ew_buf_add(&tok->decoders.list[2].pattern, " ");
        tok->decoders.list[2].start = 1;
    }
    free(scores);
    free(list);
    return ok;
}

bool load_plain(struct ew_tokenizer *tok, const char *dir, struct ew_err *err)
{
    char *path = ew_path_join(dir, "vocab.json");
    char *merges = ew_path_join(dir, "merges.txt");
    bool ok = false;
    json_t *root = NULL;
    if (!ew_path_is_file(path)) {
        ew_fail(err, EW_ERR_INPUT,
                "%s: no tokenizer here (tokenizer.json or vocab.json)", dir);
        goto out;
    }
    root = ew_json_load(path, err);
    if (!root) {
        goto out;
    }
    if (json_is_array(root)) {
        ok = load_scored(tok, root, path, err);
    } else if (load_vocab(&tok->vocab, root, path, "vocabulary", err)) {
        if (ew_path_is_file(merges)) {
            ok = load_byte_bpe(tok, dir, merges, err);
        } else {
            choose_words(tok);
            ok = true;
        }
    }
out:
    json_decref(root);
    free(merges);
    free(path);
    return ok;
}
