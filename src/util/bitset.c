/* SPDX-License-Identifier: Apache-2.0 */
/* Bits in 64-bit words; unused bits of the last word are always 0. */
#include "edgewise/bitset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

struct ew_bitset {
    size_t n_bits;
    size_t n_words;
    uint64_t words[];
};

struct ew_bitset *ew_bitset_create(size_t n_bits)
{
    size_t n_words = (n_bits + 63) / 64;
    struct ew_bitset *set =
        ew_xcalloc(1, sizeof(*set) + n_words * sizeof(uint64_t));
    set->n_bits = n_bits;
    set->n_words = n_words;
    return set;
}

struct ew_bitset *ew_bitset_clone(const struct ew_bitset *set)
{
    struct ew_bitset *copy = ew_bitset_create(set->n_bits);
    ew_bitset_copy(copy, set);
    return copy;
}

void ew_bitset_destroy(struct ew_bitset *set)
{
    free(set);
}

size_t ew_bitset_size(const struct ew_bitset *set)
{
    return set->n_bits;
}

bool ew_bitset_has(const struct ew_bitset *set, size_t bit)
{
    assert(bit < set->n_bits);
    return set->words[bit / 64] >> (bit % 64) & 1;
}

void ew_bitset_put(struct ew_bitset *set, size_t bit, bool on)
{
    assert(bit < set->n_bits);
    uint64_t mask = UINT64_C(1) << (bit % 64);
    if (on) {
        set->words[bit / 64] |= mask;
    } else {
        set->words[bit / 64] &= ~mask;
    }
}

void ew_bitset_flip(struct ew_bitset *set, size_t bit)
{
    ew_bitset_put(set, bit, !ew_bitset_has(set, bit));
}

void ew_bitset_fill(struct ew_bitset *set, bool on)
{
    memset(set->words, on ? 0xff : 0, set->n_words * sizeof(uint64_t));
    if (on && set->n_bits % 64) {
        set->words[set->n_words - 1] =
            (UINT64_C(1) << (set->n_bits % 64)) - 1;
    }
}

void ew_bitset_copy(struct ew_bitset *dst, const struct ew_bitset *src)
{
    assert(dst->n_bits == src->n_bits);
    memcpy(dst->words, src->words, src->n_words * sizeof(uint64_t));
}

bool ew_bitset_equal(const struct ew_bitset *a, const struct ew_bitset *b)
{
    return a->n_bits == b->n_bits &&
           memcmp(a->words, b->words, a->n_words * sizeof(uint64_t)) == 0;
}

size_t ew_bitset_count(const struct ew_bitset *set)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n_words; i++) {
        n += (size_t)__builtin_popcountll(set->words[i]);
    }
    return n;
}

size_t ew_bitset_count_range(const struct ew_bitset *set, size_t from,
                             size_t to)
{
    size_t n = 0;
    for (size_t bit = ew_bitset_next(set, from); bit < to;
         bit = ew_bitset_next(set, bit + 1)) {
        n++;
    }
    return n;
}

size_t ew_bitset_next(const struct ew_bitset *set, size_t from)
{
    if (from >= set->n_bits) {
        return set->n_bits;
    }
    size_t i = from / 64;
    uint64_t word = set->words[i] & (~UINT64_C(0) << (from % 64));
    while (!word) {
        if (++i == set->n_words) {
            return set->n_bits;
        }
        word = set->words[i];
    }
    return i * 64 + (size_t)__builtin_ctzll(word);
}
