/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte-pair encoding of one word: a linked list of symbols and a heap of
 * candidate merges, so that a word of n characters costs n log n. The merge
 * of the lowest rank, leftmost first, is done until none is left.
 */
#include <stdio.h>
#include <stdlib.h>

#include "edgewise/mem.h"

#include "impl.h"

/* ---- the table of merges ---- */

static uint64_t pair_key(int64_t left, int64_t right)
{
    return ((uint64_t)left << 32 | (uint64_t)right) + 1;
}

static struct merge *merge_slot(const struct merges *m, uint64_t key)
{
    uint64_t h = key * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (h ^ h >> 32) & (m->n_slots - 1);
    while (m->slots[at].key != 0 && m->slots[at].key != key) {
        at = (at + 1) & (m->n_slots - 1);
    }
    return &m->slots[at];
}

static void merges_grow(struct merges *m)
{
    struct merges bigger = {.n_slots = m->n_slots ? 2 * m->n_slots : 1024,
                            .n = m->n};
    bigger.slots = ew_xcalloc(bigger.n_slots, sizeof(*bigger.slots));
    for (size_t i = 0; i < m->n_slots; i++) {
        if (m->slots[i].key != 0) {
            *merge_slot(&bigger, m->slots[i].key) = m->slots[i];
        }
    }
    free(m->slots);
    *m = bigger;
}

void merges_add(struct merges *m, int64_t left, int64_t right, uint32_t rank,
                int64_t id)
{
    if (m->n_slots <= 2 * m->n) {
        merges_grow(m);
    }
    struct merge *slot = merge_slot(m, pair_key(left, right));
    m->n += slot->key == 0;
    *slot = (struct merge){
        .key = pair_key(left, right), .rank = rank, .id = (uint32_t)id};
}

const struct merge *merges_find(const struct merges *m, int64_t left,
                                int64_t right)
{
    if (m->n_slots == 0) {
        return NULL;
    }
    const struct merge *slot = merge_slot(m, pair_key(left, right));
    return slot->key ? slot : NULL;
}

void merges_finish(struct merges *m)
{
    free(m->slots);
    *m = (struct merges){0};
}

/* ---- the heap ---- */

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_put(struct bpe_scratch *s, struct candidate c)
{
    s->heap = ew_grow(s->heap, s->n_heap, &s->cap_heap, sizeof(*s->heap));
    size_t at = s->n_heap++;
    while (at > 0 && before(&c, &s->heap[(at - 1) / 2])) {
        s->heap[at] = s->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->heap[at] = c;
}

static struct candidate heap_take(struct bpe_scratch *s)
{
    struct candidate top = s->heap[0];
    struct candidate last = s->heap[--s->n_heap];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= s->n_heap) {
            break;
        }
        if (child + 1 < s->n_heap &&
            before(&s->heap[child + 1], &s->heap[child])) {
            child++;
        }
        if (!before(&s->heap[child], &last)) {
            break;
        }
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = last; /* heap[0] of an empty heap is never read */
    return top;
}

/* ---- merging ---- */

/* Propose the merge of symbol `at` with its right neighbour. */
static void propose(const struct ew_tokenizer *tok, struct bpe_scratch *s,
                    int32_t at)
{
    if (at < 0 || s->symbols[at].next < 0) {
        return;
    }
    const struct merge *m = merges_find(&tok->merges, s->symbols[at].id,
                                        s->symbols[s->symbols[at].next].id);
    if (m) {
        heap_put(s, (struct candidate){.rank = m->rank, .at = at, .id = m->id});
    }
}

static void merge_all(const struct ew_tokenizer *tok, struct bpe_scratch *s)
{
    s->n_heap = 0;
    for (size_t i = 0; i + 1 < s->n_symbols; i++) {
        propose(tok, s, (int32_t)i);
    }
    while (s->n_heap > 0) {
        struct candidate c = heap_take(s);
        struct symbol *left = &s->symbols[c.at];
        if (left->gone || left->next < 0) {
            continue;
        }
        struct symbol *right = &s->symbols[left->next];
        const struct merge *m = merges_find(&tok->merges, left->id, right->id);
        if (!m || m->id != c.id) {
            continue; /* one of the two has changed since */
        }
        left->id = m->id;
        left->next = right->next;
        right->gone = true;
        if (left->next >= 0) {
            s->symbols[left->next].prev = c.at;
        }
        propose(tok, s, left->prev);
        propose(tok, s, c.at);
    }
}

static void push_symbol(struct bpe_scratch *s, int64_t id)
{
    s->symbols =
        ew_grow(s->symbols, s->n_symbols, &s->cap_symbols, sizeof(*s->symbols));
    s->symbols[s->n_symbols] =
        (struct symbol){.id = id,
                        .prev = (int32_t)s->n_symbols - 1,
                        .next = (int32_t)s->n_symbols + 1};
    s->n_symbols++;
}

/* Push "<0xNN>" for each byte; false when one of them is no token. */
static bool push_bytes(const struct ew_tokenizer *tok, struct bpe_scratch *s,
                       struct span bytes)
{
    size_t before_n = s->n_symbols;
    for (size_t i = 0; i < bytes.len; i++) {
        char name[8];
        snprintf(name, sizeof(name), "<0x%02X>", (unsigned char)bytes.ptr[i]);
        int64_t id = vocab_find(&tok->vocab, name, 6);
        if (id < 0) {
            s->n_symbols = before_n;
            return false;
        }
        push_symbol(s, id);
    }
    return true;
}

/* The characters of a word as symbols. */
static bool start_symbols(const struct ew_tokenizer *tok, struct span word,
                          struct bpe_scratch *s, struct ew_err *err)
{
    bool after_unk = false;
    s->n_symbols = 0;
    for (size_t at = 0; at < word.len;) {
        size_t n = char_at(word.ptr + at, word.len - at, NULL);
        struct span c = {.ptr = word.ptr + at, .len = n};
        bool first = at == 0;
        bool last = at + n == word.len;
        at += n;
        if ((!first && tok->continuing_prefix.len > 0) ||
            (last && tok->word_suffix.len > 0)) {
            ew_buf_clear(&s->text);
            if (!first) {
                ew_buf_add(&s->text, ew_buf_str(&tok->continuing_prefix));
            }
            ew_buf_add_n(&s->text, c.ptr, c.len);
            if (last) {
                ew_buf_add(&s->text, ew_buf_str(&tok->word_suffix));
            }
            c = (struct span){.ptr = s->text.data, .len = s->text.len};
        }
        int64_t id = vocab_find(&tok->vocab, c.ptr, c.len);
        if (id >= 0) {
            push_symbol(s, id);
            after_unk = false;
        } else if (tok->byte_fallback && push_bytes(tok, s, c)) {
            after_unk = false;
        } else if (tok->unk >= 0) {
            if (!after_unk || !tok->fuse_unk) {
                push_symbol(s, tok->unk);
            }
            after_unk = true;
        } else {
            struct ew_buf shown = {0};
            print_bytes(&shown, c.ptr, c.len);
            ew_fail(err, EW_ERR_INPUT, "no token for \"%s\"",
                    ew_buf_str(&shown));
            ew_buf_finish(&shown);
            return false;
        }
    }
    if (s->n_symbols > 0) {
        s->symbols[s->n_symbols - 1].next = -1;
    }
    return true;
}

bool bpe_word(const struct ew_tokenizer *tok, struct span word,
              struct bpe_scratch *scratch, struct ids *ids, struct ew_err *err)
{
    if (word.len >= INT32_MAX / 2) {
        return ew_fail(err, EW_ERR_INPUT, "a word of %zu bytes is too long",
                       word.len);
    }
    if (tok->ignore_merges) {
        int64_t id = vocab_find(&tok->vocab, word.ptr, word.len);
        if (id >= 0) {
            ids_push(ids, id);
            return true;
        }
    }
    if (!start_symbols(tok, word, scratch, err)) {
        return false;
    }
    merge_all(tok, scratch);
    for (size_t i = 0; i < scratch->n_symbols; i++) {
        if (!scratch->symbols[i].gone) {
            ids_push(ids, scratch->symbols[i].id);
        }
    }
    return true;
}

void bpe_scratch_finish(struct bpe_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->heap);
    ew_buf_finish(&scratch->text);
    *scratch = (struct bpe_scratch){0};
}
