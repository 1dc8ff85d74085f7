/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary angles, rotate-half form: dimension i turns with i + dim/2. Llama
 * 3's scaling slows the low frequencies: all of them below one wavelength
 * bound, none above the other, a blend between. In double, rounded once.
 */
#include <math.h>

#include "params.h"

static const double TWO_PI = 6.283185307179586;

/* A model's own table is bounded: 128k positions would be 130 MB. */
enum { TABLE_ROWS = 8192 };

static double frequency(const struct ew_arch *a, int i)
{
    double f = pow(a->rotary_base, -2.0 * i / a->rotary_dim);
    if (a->rope_factor <= 0) {
        return f;
    }
    double wavelength = TWO_PI / f;
    double slowest = a->rope_original_ctx / a->rope_low_freq_factor;
    double fastest = a->rope_original_ctx / a->rope_high_freq_factor;
    if (wavelength > slowest) {
        return f / a->rope_factor;
    }
    if (wavelength < fastest) {
        return f;
    }
    double blend =
        (a->rope_original_ctx / wavelength - a->rope_low_freq_factor) /
        (a->rope_high_freq_factor - a->rope_low_freq_factor);
    return (1 - blend) * f / a->rope_factor + blend * f;
}

void ew_rotary_rows(const struct ew_arch *a, int64_t first, int64_t n,
                    float *cos_rows, float *sin_rows)
{
    int half = a->rotary_dim / 2;
    for (int i = 0; i < half; i++) {
        double f = frequency(a, i);
        for (int64_t t = 0; t < n; t++) {
            double angle = (double)(first + t) * f;
            int64_t at = t * a->rotary_dim + i;
            cos_rows[at] = cos_rows[at + half] = (float)cos(angle);
            sin_rows[at] = sin_rows[at + half] = (float)sin(angle);
        }
    }
}

int64_t ew_rotary_table_rows(const struct ew_arch *a)
{
    return a->n_ctx < TABLE_ROWS ? a->n_ctx : TABLE_ROWS;
}
