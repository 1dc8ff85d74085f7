/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to tokens and back, by the model's own files: tokenizer.json (Hugging
 * Face: WordLevel, BPE), or vocab.json + merges.txt. Immutable after
 * loading; shareable.
 */
#ifndef EW_TOKENIZER_H
#define EW_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "edgewise/buf.h"
#include "edgewise/err.h"

EW_BEGIN_DECLS

struct ew_tokenizer; /* opaque */

/* Is there a tokenizer in this model folder (or beside this weights file)? */
bool ew_tokenizer_exists(const char *model_dir);
/* EW_ERR_INPUT names the file and what in it is not supported. */
struct ew_tokenizer *ew_tokenizer_load(const char *model_dir,
                                       struct ew_err *err);
void ew_tokenizer_destroy(struct ew_tokenizer *tok); /* NULL is fine */

int64_t ew_tokenizer_size(const struct ew_tokenizer *tok); /* largest id + 1 */
int64_t ew_tokenizer_bos(const struct ew_tokenizer *tok);  /* -1: none */
/* Is there a token of this id? (Ids may have gaps.) */
bool ew_tokenizer_has(const struct ew_tokenizer *tok, int64_t id);
/* An added token, the unknown token or BOS: no ordinary text. */
bool ew_tokenizer_is_special(const struct ew_tokenizer *tok, int64_t id);

/*
 * Ids of `text` (bytes, any), no BOS added; `*ids` is to be freed. A word
 * that the vocabulary lacks is the unknown token, or EW_ERR_INPUT with the
 * word where there is none.
 */
EW_MUST_CHECK bool ew_tokenizer_encode(const struct ew_tokenizer *tok,
                                       const char *text, size_t len,
                                       int64_t **ids, size_t *n,
                                       struct ew_err *err);
/* Append the text of the ids. */
void ew_tokenizer_decode(const struct ew_tokenizer *tok, const int64_t *ids,
                         size_t n, struct ew_buf *out);
/*
 * One token for the screen: printable, control and invalid bytes as \n, \t,
 * \xNN; leading space kept as is; "#17" when `tok` is NULL or the id is
 * outside the vocabulary.
 */
void ew_token_print(struct ew_buf *out, const struct ew_tokenizer *tok,
                    int64_t id);
/* The id of exactly this token text (" Mary"), or -1. */
int64_t ew_tokenizer_find(const struct ew_tokenizer *tok, const char *text);

EW_END_DECLS

#endif
