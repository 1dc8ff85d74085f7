/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small seeded generator (xoshiro256**, seeded by splitmix64: Blackman and
 * Vigna 2018), the same on every machine, for prompts and shuffles.
 */
#ifndef EW_RNG_H
#define EW_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "edgewise/common.h"

EW_BEGIN_DECLS

struct ew_rng {
    uint64_t state[4];
};

void ew_rng_seed(struct ew_rng *rng, uint64_t seed);
uint64_t ew_rng_next(struct ew_rng *rng);
/* Uniform in [0, bound), without bias; bound > 0. */
uint64_t ew_rng_below(struct ew_rng *rng, uint64_t bound);
double ew_rng_unit(struct ew_rng *rng);   /* uniform in [0, 1) */
double ew_rng_normal(struct ew_rng *rng); /* mean 0, variance 1 */
/* Fisher-Yates over `n` numbers. */
void ew_rng_shuffle_u32(struct ew_rng *rng, uint32_t *values, size_t n);

EW_END_DECLS

#endif
