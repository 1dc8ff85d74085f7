/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tokenizer is inside this folder. Encoding goes: added tokens found
 * in the raw text; the rest normalized; added tokens found in that; the rest
 * split into words; each word turned into ids by the model.
 */
#ifndef EW_TOKENIZER_IMPL_H
#define EW_TOKENIZER_IMPL_H

#include "edgewise/bitset.h"
#include "edgewise/tokenizer.h"

#include "steps.h"

enum word_model {
    MODEL_WORDS,   /* a word is a token */
    MODEL_LONGEST, /* the longest token that fits, from left to right */
    MODEL_BPE,
};

/* ---- byte-pair merges ---- */

struct merge {
    uint64_t key;  /* left id << 32 | right id, plus 1; 0 is an empty slot */
    uint32_t rank; /* lower merges first */
    uint32_t id;   /* of the result */
};

struct merges { /* an open-addressing hash */
    struct merge *slots;
    size_t n_slots; /* a power of two */
    size_t n;
};

/* The last of several merges of one pair counts. */
void merges_add(struct merges *m, int64_t left, int64_t right, uint32_t rank,
                int64_t id);
const struct merge *merges_find(const struct merges *m, int64_t left,
                                int64_t right);
void merges_finish(struct merges *m);

/* ---- added tokens: found in the text before anything else ---- */

struct added_token {
    struct ew_buf text; /* owned */
    int64_t id;
    bool single_word; /* only where no word character touches it */
    bool lstrip;      /* takes the white space before it along */
    bool rstrip;
    bool normalized; /* looked for after normalization */
};

struct added {
    struct added_token *list; /* by first byte, then longest first */
    size_t n;
    size_t cap;
    size_t first[257]; /* list[first[b] .. first[b + 1]) begin with byte b */
};

void added_put(struct added *a, const char *text, size_t len, int64_t id,
               struct added_token flags);
/* After the last put. */
void added_sort(struct added *a);
/* The first added token of the kind in text[from ..), longest at its place;
 * the range includes what lstrip and rstrip take. */
bool added_next(const struct added *a, bool normalized, struct span text,
                size_t from, size_t *start, size_t *end, int64_t *id);
void added_finish(struct added *a);

/* ---- the tokenizer ---- */

struct ew_tokenizer {
    enum word_model model;
    struct vocab vocab;
    struct merges merges;
    bool byte_fallback;
    bool fuse_unk;
    bool ignore_merges; /* a word that is a token is not merged anew */
    struct ew_buf continuing_prefix;
    struct ew_buf word_suffix;
    size_t longest; /* bytes of the longest token */
    int64_t unk;    /* -1: none */
    int64_t bos;    /* -1: none */
    struct steps normalizers;
    struct steps pre_tokenizers;
    struct steps decoders; /* none: tokens are joined by a space */
    struct added added;
    struct ew_bitset *is_added; /* by id */
};

struct ids {
    int64_t *list;
    size_t n;
    size_t cap;
};

void ids_push(struct ids *ids, int64_t id);

struct symbol {
    int64_t id;
    int32_t prev; /* -1: none */
    int32_t next;
    bool gone; /* merged into its left neighbour */
};

struct candidate {
    uint32_t rank;
    int32_t at; /* left symbol */
    uint32_t id;
};

struct bpe_scratch {
    struct symbol *symbols;
    size_t n_symbols;
    size_t cap_symbols;
    struct candidate *heap;
    size_t n_heap;
    size_t cap_heap;
    struct ew_buf text;
};

/* Append the ids of one word. EW_ERR_INPUT with what is unknown. */
EW_MUST_CHECK bool bpe_word(const struct ew_tokenizer *tok, struct span word,
                            struct bpe_scratch *scratch, struct ids *ids,
                            struct ew_err *err);
void bpe_scratch_finish(struct bpe_scratch *scratch);

/* ---- loading ---- */

EW_MUST_CHECK bool load_tokenizer_json(struct ew_tokenizer *tok,
                                       const char *path, struct ew_err *err);
/* vocab.json, and merges.txt where there is one. */
EW_MUST_CHECK bool load_plain(struct ew_tokenizer *tok, const char *dir,
                              struct ew_err *err);
/* {"token": id, ..} of `json`, called `field` in messages. */
EW_MUST_CHECK bool load_vocab(struct vocab *vocab, const json_t *json,
                              const char *file, const char *field,
                              struct ew_err *err);
/* One merge of two token texts. */
EW_MUST_CHECK bool load_merge(struct ew_tokenizer *tok, struct span left,
                              struct span right, size_t rank, const char *file,
                              struct ew_err *err);
/* "left right". */
EW_MUST_CHECK bool load_merge_line(struct ew_tokenizer *tok, struct span line,
                                   size_t rank, const char *file,
                                   struct ew_err *err);
/* One element of "added_tokens"; `id` stands in the object or in its key. */
EW_MUST_CHECK bool load_added(struct ew_tokenizer *tok, const json_t *json,
                              int64_t id, const char *file, struct ew_err *err);
/* -1 when no file of the folder names one. */
int64_t find_bos(const struct ew_tokenizer *tok, const char *dir);

/* Bytes made printable, as ew_token_print() does. */
void print_bytes(struct ew_buf *out, const char *bytes, size_t len);

#endif
