/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256** (Blackman and Vigna 2018), seeded by splitmix64. */
#include "edgewise/rng.h"

#include <assert.h>
#include <math.h>

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void ew_rng_seed(struct ew_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        rng->state[i] = splitmix(&seed);
    }
}

uint64_t ew_rng_next(struct ew_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t ew_rng_below(struct ew_rng *rng, uint64_t bound)
{
    assert(bound > 0);
    /* Values under 2^64 mod bound would favour small results: draw again. */
    uint64_t reject = (0 - bound) % bound;
    uint64_t value;
    do {
        value = ew_rng_next(rng);
    } while (value < reject);
    return value % bound;
}

double ew_rng_unit(struct ew_rng *rng)
{
    return (double)(ew_rng_next(rng) >> 11) * 0x1p-53;
}

double ew_rng_normal(struct ew_rng *rng)
{
    double radius = sqrt(-2.0 * log(1.0 - ew_rng_unit(rng)));
    return radius * cos(6.283185307179586 * ew_rng_unit(rng));
}

void ew_rng_shuffle_u32(struct ew_rng *rng, uint32_t *values, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)ew_rng_below(rng, i);
        uint32_t held = values[i - 1];
        values[i - 1] = values[j];
        values[j] = held;
    }
}
