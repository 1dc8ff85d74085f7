/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary: token texts (as the file writes them) to ids and back.
 * Texts are bytes of any value; several may share an id, of which the last
 * added is the one the id gives back.
 */
#ifndef EW_TOKENIZER_VOCAB_H
#define EW_TOKENIZER_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgewise/buf.h"
#include "edgewise/err.h"

/* Ids at or above this are taken for a damaged file. */
#define VOCAB_MAX_ID (1 << 22)

struct span {
    const char *ptr;
    size_t len;
};

struct vocab_entry {
    size_t offset; /* into `text` */
    uint32_t len;
    uint32_t id;
};

struct vocab {
    struct ew_buf text;
    struct vocab_entry *entries;
    size_t n_entries;
    size_t cap_entries;
    uint32_t *slots; /* hash of text: entry + 1; 0 is empty */
    size_t n_slots;  /* a power of two */
    uint32_t *by_id; /* entry + 1; 0: no such token */
    size_t n_ids;    /* largest id + 1 */
    size_t cap_ids;
};

/* False when the id is negative or at least VOCAB_MAX_ID. */
bool vocab_add(struct vocab *v, const char *text, size_t len, int64_t id);
/* -1 when there is none. */
int64_t vocab_find(const struct vocab *v, const char *text, size_t len);
/* The text of an id; false when there is none. Borrowed. */
bool vocab_text(const struct vocab *v, int64_t id, struct span *out);
void vocab_finish(struct vocab *v);

#endif
