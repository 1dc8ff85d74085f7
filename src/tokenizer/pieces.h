/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text cut into pieces: what normalizers, pre-tokenizers and decoders turn
 * into one another, one step at a time. Zero-initialised is empty.
 */
#ifndef EW_TOKENIZER_PIECES_H
#define EW_TOKENIZER_PIECES_H

#include "vocab.h"

struct pieces {
    struct ew_buf text; /* all pieces, one after another */
    size_t *ends;       /* piece i is text[ends[i - 1] .. ends[i]) */
    size_t n;
    size_t cap;
    bool at_start; /* piece 0 begins the user's text */
};

void pieces_clear(struct pieces *p);
void pieces_finish(struct pieces *p);
/* End the piece that was begun by adding to p->text. */
void pieces_end(struct pieces *p);
void pieces_add(struct pieces *p, const char *text, size_t len);
struct span pieces_at(const struct pieces *p, size_t i);

/* Length of the character at text[0], 1 where it is not valid UTF-8, which
 * *code then tells by -1; `code` is optional. len > 0. */
size_t char_at(const char *text, size_t len, int32_t *code);
void add_code_point(struct ew_buf *out, int32_t code);
/* White_Space in Unicode. */
bool is_space(int32_t code);
/* Letters, marks, digits, connectors, as \w in the regex crate. */
bool is_word(int32_t code);
/* ASCII punctuation and symbols, or category P. */
bool is_punctuation(int32_t code);
/* Category N. */
bool is_numeric(int32_t code);

#endif
