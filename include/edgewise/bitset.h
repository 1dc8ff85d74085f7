/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed-size set of small numbers: the kept edges of a circuit are one.
 * Not thread-safe.
 */
#ifndef EW_BITSET_H
#define EW_BITSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgewise/common.h"

EW_BEGIN_DECLS

struct ew_bitset; /* opaque; create/destroy */

struct ew_bitset *ew_bitset_create(size_t n_bits); /* empty */
struct ew_bitset *ew_bitset_clone(const struct ew_bitset *set);
void ew_bitset_destroy(struct ew_bitset *set); /* NULL is fine */

size_t ew_bitset_size(const struct ew_bitset *set); /* n_bits */
bool ew_bitset_has(const struct ew_bitset *set, size_t bit);
void ew_bitset_put(struct ew_bitset *set, size_t bit, bool on);
void ew_bitset_flip(struct ew_bitset *set, size_t bit);
void ew_bitset_fill(struct ew_bitset *set, bool on);
/* Both of one size. */
void ew_bitset_copy(struct ew_bitset *dst, const struct ew_bitset *src);
bool ew_bitset_equal(const struct ew_bitset *a, const struct ew_bitset *b);
size_t ew_bitset_count(const struct ew_bitset *set);
/* Set bits in [from, to). */
size_t ew_bitset_count_range(const struct ew_bitset *set, size_t from,
                             size_t to);
/* First set bit at or after `from`, or ew_bitset_size() when there is none. */
size_t ew_bitset_next(const struct ew_bitset *set, size_t from);

EW_END_DECLS

#endif
