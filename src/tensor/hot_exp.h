/* SPDX-License-Identifier: Apache-2.0 */
/* The exponential function of the loops of our own; inlined into them. */
#ifndef EW_TENSOR_HOT_EXP_H
#define EW_TENSOR_HOT_EXP_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The smallest x whose e^x is a normal number. */
static const float ew_exp_lowest = -87.3f;

/*
 * e^x to 1e-7 relative, for x cut to where it is a normal number:
 * x = n ln 2 + r with ln 2 in two parts, then the polynomial of Cephes' expf.
 * `alive` is ANDed with the power of two: all bits, or none for 0. A branch
 * here would keep the loops around it from being vectorised, at six times the
 * cost: look at -fopt-info-vec-missed after a change.
 */
static inline float ew_exp_masked(float x, int32_t alive)
{
    float c = x < ew_exp_lowest ? ew_exp_lowest : x;
    c = c > 88.3f ? 88.3f : c;
    float scaled = c * 1.44269504f;
    int32_t n = (int32_t)(scaled + copysignf(0.5f, scaled));
    float r = c - (float)n * 0.693359375f;
    r -= (float)n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    int32_t bits = (n + 127) * (1 << 23) & alive;
    float power;
    memcpy(&power, &bits, sizeof(power));
    return p * power;
}

static inline float ew_exp_cut(float x)
{
    return ew_exp_masked(x, -1);
}

/* The same, and 0 below. */
static inline float ew_exp_f(float x)
{
    return ew_exp_masked(x, (int32_t)(x < ew_exp_lowest) - 1);
}

#endif
