/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding and decoding: the order in which added tokens, steps and model
 * take their turns.
 */
#include "edgewise/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "impl.h"

void ew_tokenizer_destroy(struct ew_tokenizer *tok)
{
    if (!tok) {
        return;
    }
    vocab_finish(&tok->vocab);
    merges_finish(&tok->merges);
    ew_buf_finish(&tok->continuing_prefix);
    ew_buf_finish(&tok->word_suffix);
    steps_finish(&tok->normalizers);
    steps_finish(&tok->pre_tokenizers);
    steps_finish(&tok->decoders);
    added_finish(&tok->added);
    ew_bitset_destroy(tok->is_added);
    free(tok);
}

int64_t ew_tokenizer_size(const struct ew_tokenizer *tok)
{
    return (int64_t)tok->vocab.n_ids;
}

int64_t ew_tokenizer_bos(const struct ew_tokenizer *tok)
{
    return tok->bos;
}

bool ew_tokenizer_has(const struct ew_tokenizer *tok, int64_t id)
{
    struct span text;
    return vocab_text(&tok->vocab, id, &text);
}

static bool is_added(const struct ew_tokenizer *tok, int64_t id)
{
    return id >= 0 && (size_t)id < ew_bitset_size(tok->is_added) &&
           ew_bitset_has(tok->is_added, (size_t)id);
}

bool ew_tokenizer_is_special(const struct ew_tokenizer *tok, int64_t id)
{
    return id >= 0 && (is_added(tok, id) || id == tok->unk || id == tok->bos);
}

/* ---- encoding ---- */

struct encoder {
    const struct ew_tokenizer *tok;
    struct bpe_scratch scratch;
    struct ids ids;
};

void ids_push(struct ids *ids, int64_t id)
{
    ids->list = ew_grow(ids->list, ids->n, &ids->cap, sizeof(*ids->list));
    ids->list[ids->n++] = id;
}

static bool unknown_word(struct encoder *e, struct span word,
                         struct ew_err *err)
{
    if (e->tok->unk >= 0) {
        ids_push(&e->ids, e->tok->unk);
        return true;
    }
    struct ew_buf shown = {0};
    print_bytes(&shown, word.ptr, word.len < 80 ? word.len : 80);
    ew_fail(err, EW_ERR_INPUT, "\"%s\" is not in the vocabulary",
            ew_buf_str(&shown));
    ew_buf_finish(&shown);
    return false;
}

static bool whole_word(struct encoder *e, struct span word, struct ew_err *err)
{
    int64_t id = vocab_find(&e->tok->vocab, word.ptr, word.len);
    if (id < 0) {
        return unknown_word(e, word, err);
    }
    ids_push(&e->ids, id);
    return true;
}

static bool longest_tokens(struct encoder *e, struct span text,
                           struct ew_err *err)
{
    for (size_t at = 0; at < text.len;) {
        size_t n = text.len - at;
        n = n < e->tok->longest ? n : e->tok->longest;
        int64_t id = -1;
        while (n > 0 &&
               (id = vocab_find(&e->tok->vocab, text.ptr + at, n)) < 0) {
            n--;
        }
        if (id >= 0) {
            ids_push(&e->ids, id);
        } else {
            n = char_at(text.ptr + at, text.len - at, NULL);
            struct span c = {.ptr = text.ptr + at, .len = n};
            if (!unknown_word(e, c, err)) {
                return false;
            }
        }
        at += n;
    }
    return true;
}

static bool encode_word(struct encoder *e, struct span word, struct ew_err *err)
{
    if (word.len == 0) {
        return true;
    }
    switch (e->tok->model) {
    case MODEL_WORDS:
        return whole_word(e, word, err);
    case MODEL_LONGEST:
        return longest_tokens(e, word, err);
    case MODEL_BPE:
        break;
    }
    return bpe_word(e->tok, word, &e->scratch, &e->ids, err);
}

/* Text between added tokens, normalized. */
static bool encode_words(struct encoder *e, struct span text, bool at_start,
                         struct ew_err *err)
{
    struct pieces words = {.at_start = at_start};
    pieces_add(&words, text.ptr, text.len);
    bool ok = steps_run(&e->tok->pre_tokenizers, &words, err);
    for (size_t i = 0; ok && i < words.n; i++) {
        ok = encode_word(e, pieces_at(&words, i), err);
    }
    pieces_finish(&words);
    return ok;
}

typedef bool (*encode_fn)(struct encoder *e, struct span text, bool at_start,
                          struct ew_err *err);

/* Added tokens of one kind become ids, what is between them goes on. */
static bool encode_between(struct encoder *e, bool normalized, struct span text,
                           bool at_start, encode_fn rest, struct ew_err *err)
{
    size_t from = 0;
    size_t start = 0;
    size_t end = 0;
    int64_t id = 0;
    while (
        added_next(&e->tok->added, normalized, text, from, &start, &end, &id)) {
        struct span gap = {.ptr = text.ptr + from, .len = start - from};
        if (gap.len > 0 && !rest(e, gap, at_start && from == 0, err)) {
            return false;
        }
        ids_push(&e->ids, id);
        from = end;
    }
    struct span tail = {.ptr = text.ptr + from, .len = text.len - from};
    return tail.len == 0 || rest(e, tail, at_start && from == 0, err);
}

static bool encode_raw(struct encoder *e, struct span text, bool at_start,
                       struct ew_err *err)
{
    struct pieces normal = {.at_start = at_start};
    pieces_add(&normal, text.ptr, text.len);
    bool ok = steps_run(&e->tok->normalizers, &normal, err);
    if (ok) {
        struct span all = {.ptr = ew_buf_str(&normal.text),
                           .len = normal.text.len};
        ok = encode_between(e, true, all, at_start, encode_words, err);
    }
    pieces_finish(&normal);
    return ok;
}

bool ew_tokenizer_encode(const struct ew_tokenizer *tok, const char *text,
                         size_t len, int64_t **ids, size_t *n,
                         struct ew_err *err)
{
    struct encoder e = {.tok = tok};
    struct span all = {.ptr = text, .len = len};
    bool ok = encode_between(&e, false, all, true, encode_raw, err);
    if (ok) {
        *ids = e.ids.list ? e.ids.list : ew_xcalloc(1, sizeof(**ids));
        *n = e.ids.n;
    } else {
        free(e.ids.list);
    }
    bpe_scratch_finish(&e.scratch);
    return ok;
}

/* ---- decoding ---- */

/* Append ordinary tokens; a decoder whose pattern gives up leaves them raw. */
static void decode_run(const struct ew_tokenizer *tok, const int64_t *ids,
                       size_t n, bool at_start, struct ew_buf *out)
{
    struct pieces p = {.at_start = at_start};
    for (size_t i = 0; i < n; i++) {
        struct span text;
        if (vocab_text(&tok->vocab, ids[i], &text)) {
            pieces_add(&p, text.ptr, text.len);
        }
    }
    if (p.n > 0) {
        bool ok = steps_run(&tok->decoders, &p, NULL);
        (void)ok;
        ew_buf_add_n(out, ew_buf_str(&p.text), p.text.len);
    }
    pieces_finish(&p);
}

void ew_tokenizer_decode(const struct ew_tokenizer *tok, const int64_t *ids,
                         size_t n, struct ew_buf *out)
{
    bool joined = tok->decoders.n == 0;
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (!joined && end < n && !is_added(tok, ids[end])) {
            end++;
        }
        if (end > i) {
            decode_run(tok, ids + i, end - i, i == 0, out);
            i = end;
            continue;
        }
        struct span text;
        if (vocab_text(&tok->vocab, ids[i], &text)) {
            if (joined && i > 0) {
                ew_buf_putc(out, ' ');
            }
            ew_buf_add_n(out, text.ptr, text.len);
        }
        i++;
    }
}

/* The bytes a token stands for inside a text. */
static void token_bytes(const struct ew_tokenizer *tok, int64_t id,
                        struct ew_buf *out)
{
    struct span text;
    if (is_added(tok, id) && vocab_text(&tok->vocab, id, &text)) {
        ew_buf_add_n(out, text.ptr, text.len);
    } else {
        decode_run(tok, &id, 1, false, out);
    }
}

void ew_token_print(struct ew_buf *out, const struct ew_tokenizer *tok,
                    int64_t id)
{
    if (!tok || !ew_tokenizer_has(tok, id)) {
        ew_buf_printf(out, "#%lld", (long long)id);
        return;
    }
    struct ew_buf bytes = {0};
    token_bytes(tok, id, &bytes);
    print_bytes(out, ew_buf_str(&bytes), bytes.len);
    ew_buf_finish(&bytes);
}

/* Look the text up as a file might write it, and accept what decodes to it. */
static int64_t find_written(const struct ew_tokenizer *tok,
                            const struct ew_buf *written, const char *text)
{
    int64_t id = vocab_find(&tok->vocab, ew_buf_str(written), written->len);
    if (id >= 0) {
        struct ew_buf bytes = {0};
        token_bytes(tok, id, &bytes);
        if (strcmp(ew_buf_str(&bytes), text) != 0) {
            id = -1;
        }
        ew_buf_finish(&bytes);
    }
    return id;
}

int64_t ew_tokenizer_find(const struct ew_tokenizer *tok, const char *text)
{
    enum { AS_IT_IS, BYTE_LEVEL, MARKED, AS_BYTE, N_WAYS };
    size_t len = strlen(text);
    int64_t id = -1;
    for (int way = AS_IT_IS; id < 0 && way < N_WAYS; way++) {
        struct ew_buf written = {0};
        for (size_t i = 0; i < len; i++) {
            if (way == BYTE_LEVEL) {
                add_code_point(&written, byte_to_code((unsigned char)text[i]));
            } else if (way == MARKED && text[i] == ' ') {
                ew_buf_add(&written, "\xe2\x96\x81");
            } else if (way == AS_BYTE) {
                ew_buf_printf(&written, "<0x%02X>", (unsigned char)text[i]);
            } else {
                ew_buf_putc(&written, text[i]);
            }
        }
        id = find_written(tok, &written, text);
        ew_buf_finish(&written);
    }
    return id;
}
