/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of hot.h, written for the compiler to vectorise: this file is
 * built once for each instruction set, with EW_HOT the name of its table.
 * Only sums marked `omp simd` may be taken in another order; nothing here may
 * be built with -ffast-math, which would undo exp_f's split of ln 2.
 */
#include "hot.h"

#include <math.h>
#include <string.h>

extern const struct ew_hot EW_HOT;

/* Long sums are taken in pieces of so many elements, and those in double. */
enum { PIECE = 2048, LANES = 32 };

static inline int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The smallest x whose e^x is a normal number. */
static const float lowest = -87.3f;

/*
 * e^x to 1e-7 relative, for x cut to where it is a normal number:
 * x = n ln 2 + r with ln 2 in two parts, then the polynomial of Cephes' expf.
 * `alive` is ANDed with the power of two: all bits, or none for 0. A branch
 * here would keep the loops around it from being vectorised, at six times the
 * cost: look at -fopt-info-vec-missed after a change.
 */
static inline float exp_masked(float x, int32_t alive)
{
    float c = x < lowest ? lowest : x;
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

static inline float exp_cut(float x)
{
    return exp_masked(x, -1);
}

/* The same, and 0 below. */
static inline float exp_f(float x)
{
    return exp_masked(x, (int32_t)(x < lowest) - 1);
}

/* By lanes: compilers do not reorder a maximum for fear of NaN. */
static float largest(const float *x, int64_t n)
{
    float lane[LANES];
    for (int k = 0; k < LANES; k++) {
        lane[k] = x[0];
    }
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
        }
    }
    float m = lane[0];
    for (int k = 1; k < LANES; k++) {
        m = lane[k] > m ? lane[k] : m;
    }
    for (; i < n; i++) {
        m = x[i] > m ? x[i] : m;
    }
    return m;
}

static double sum(const float *x, int64_t n)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t end = at_most(at + PIECE, n);
        float part = 0;
#pragma omp simd reduction(+ : part)
        for (int64_t i = at; i < end; i++) {
            part += x[i];
        }
        total += (double)part;
    }
    return total;
}

/* Sum of (x - centre)^2. */
static double squares(const float *x, int64_t n, float centre)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t end = at_most(at + PIECE, n);
        float part = 0;
#pragma omp simd reduction(+ : part)
        for (int64_t i = at; i < end; i++) {
            part += (x[i] - centre) * (x[i] - centre);
        }
        total += (double)part;
    }
    return total;
}

/* Sum of e^(x - shift). */
static double sum_exp(const float *x, int64_t n, float shift)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t end = at_most(at + PIECE, n);
        float part = 0;
#pragma omp simd reduction(+ : part)
        for (int64_t i = at; i < end; i++) {
            part += exp_f(x[i] - shift);
        }
        total += (double)part;
    }
    return total;
}

/* ---- norms ---- */

/* out = (x - centre) factor gain + bias */
static void affine(float *out, const float *x, int64_t d, float centre,
                   float factor, const float *gain, const float *bias)
{
    if (gain && bias) {
#pragma omp simd
        for (int64_t i = 0; i < d; i++) {
            out[i] = (x[i] - centre) * factor * gain[i] + bias[i];
        }
    } else if (gain) {
#pragma omp simd
        for (int64_t i = 0; i < d; i++) {
            out[i] = (x[i] - centre) * factor * gain[i];
        }
    } else {
#pragma omp simd
        for (int64_t i = 0; i < d; i++) {
            out[i] = (x[i] - centre) * factor;
        }
        for (int64_t i = 0; bias && i < d; i++) {
            out[i] += bias[i];
        }
    }
}

static float denominator(const float *x, int64_t d, float centre, float eps)
{
    return (float)sqrt(squares(x, d, centre) / (double)d + (double)eps);
}

static void layer_norm(float *out, const float *x, const float *gain,
                       const float *bias, int64_t rows, int64_t d, float eps)
{
    for (int64_t r = 0; r < rows; r++, x += d, out += d) {
        float mean = (float)(sum(x, d) / (double)d);
        affine(out, x, d, mean, 1.0f / denominator(x, d, mean, eps), gain,
               bias);
    }
}

static void rms_norm(float *out, const float *x, const float *gain,
                     int64_t rows, int64_t d, float eps)
{
    for (int64_t r = 0; r < rows; r++, x += d, out += d) {
        affine(out, x, d, 0.0f, 1.0f / denominator(x, d, 0.0f, eps), gain,
               NULL);
    }
}

static void norm_scale(float *out, const float *x, int64_t rows, int64_t d,
                       bool rms, float eps)
{
    for (int64_t r = 0; r < rows; r++, x += d) {
        float mean = rms ? 0.0f : (float)(sum(x, d) / (double)d);
        out[r] = denominator(x, d, mean, eps);
    }
}

/* ---- softmax and what is made of it ---- */

/* log of the sum of e^x; the shift keeps the sum in range. */
static double lse(const float *x, int64_t n)
{
    float m = largest(x, n);
    if (!isfinite(m)) {
        return (double)m; /* all are -inf, or one is inf or NaN */
    }
    return (double)m + log(sum_exp(x, n, m));
}

static void logsumexp(float *out, const float *x, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, x += n) {
        out[r] = (float)lse(x, n);
    }
}

static void log_softmax(float *out, const float *x, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, x += n, out += n) {
        float shift = (float)lse(x, n);
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            out[i] = x[i] - shift;
        }
    }
}

static void softmax_row(float *out, const float *x, int64_t n)
{
    float m = largest(x, n);
    double total = 0;
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t end = at_most(at + PIECE, n);
        float part = 0;
#pragma omp simd reduction(+ : part)
        for (int64_t i = at; i < end; i++) {
            float e = exp_f(x[i] - m);
            out[i] = e;
            part += e;
        }
        total += (double)part;
    }
    float factor = (float)(1.0 / total);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        out[i] *= factor;
    }
}

static void softmax(float *out, const float *x, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++) {
        softmax_row(out + r * n, x + r * n, n);
    }
}

static void causal_softmax(float *x, int64_t from, int64_t to, int64_t tq,
                           int64_t tk, int64_t first, int64_t window)
{
    for (int64_t r = from; r < to; r++) {
        float *row = x + r * tk;
        int64_t position = first + r % tq;
        int64_t end = at_most(position + 1, tk);
        int64_t begin = window > 0 ? position - window + 1 : 0;
        begin = begin < 0 ? 0 : begin;
        if (begin >= end) {
            memset(row, 0, (size_t)tk * sizeof(*row)); /* sees nothing */
            continue;
        }
        memset(row, 0, (size_t)begin * sizeof(*row));
        softmax_row(row + begin, row + begin, end - begin);
        memset(row + end, 0, (size_t)(tk - end) * sizeof(*row));
    }
}

/*
 * sum p (logp - z) + log sum e^z with z = logits - max, in one pass after the
 * maximum. Far below any probability the logarithms are cut off, so that a
 * -inf on both sides (a padded vocabulary) counts as 0, not as NaN.
 */
static float kl_row(const float *logp, const float *logits, int64_t n)
{
    const float floor_log = -1e4f;
    float m = largest(logits, n);
    double dot = 0;
    double mass = 0;
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t end = at_most(at + PIECE, n);
        float part_dot = 0;
        float part_mass = 0;
#pragma omp simd reduction(+ : part_dot, part_mass)
        for (int64_t i = at; i < end; i++) {
            float z = logits[i] - m;
            z = z < floor_log ? floor_log : z;
            float l = logp[i] < floor_log ? floor_log : logp[i];
            part_dot += exp_f(l) * (l - z);
            part_mass += exp_f(z);
        }
        dot += (double)part_dot;
        mass += (double)part_mass;
    }
    return (float)(dot + log(mass));
}

static void kl_rows(float *out, const float *logp, const float *logits,
                    int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++) {
        out[r] = kl_row(logp + r * n, logits + r * n, n);
    }
}

/*
 * -entropy - sum p l + log sum e^l with l = (u + du) / scale + offset, by
 * pieces small enough for the first cache. Logits count from a fixed `centre` in
 * the dot product, and from the largest so far in the mass.
 */
static float kl_scaled_row(const float *p, float entropy, const float *u,
                           const float *du, float inverse,
                           const float *offset, int64_t n)
{
    enum { CHUNK = 1024 };
    float z[CHUNK];
    float centre = 0;
    float m = 0;
    double dot = 0;
    double mass = 0;
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t len = at_most(CHUNK, n - at);
        const float *from = u + at;
        if (du) {
            const float *more = du + at;
#pragma omp simd
            for (int64_t i = 0; i < len; i++) {
                z[i] = (from[i] + more[i]) * inverse;
            }
        } else {
#pragma omp simd
            for (int64_t i = 0; i < len; i++) {
                z[i] = from[i] * inverse;
            }
        }
        if (offset) {
            const float *add = offset + at;
#pragma omp simd
            for (int64_t i = 0; i < len; i++) {
                z[i] += add[i];
            }
        }
        float top = largest(z, len);
        if (at == 0) {
            centre = m = top > -1e30f ? top : 0;
        } else if (top > m) {
            mass *= exp((double)m - (double)top);
            m = top;
        }
        const float *weight = p + at;
        float part_dot = 0;
        float part_mass = 0;
#pragma omp simd reduction(+ : part_dot, part_mass)
        for (int64_t i = 0; i < len; i++) {
            float d = z[i] - centre;
            part_dot += weight[i] * (d < -1e4f ? -1e4f : d);
            part_mass += exp_f(z[i] - m);
        }
        dot += (double)part_dot;
        mass += (double)part_mass;
    }
    return (float)((double)m - (double)centre + log(mass) - dot -
                   (double)entropy);
}

static void kl_scaled(float *out, const float *p, const float *entropy,
                      const float *u, const float *du, const float *scale,
                      const float *offset, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++) {
        out[r] = kl_scaled_row(p + r * n, entropy[r], u + r * n,
                               du ? du + r * n : NULL, 1.0f / scale[r],
                               offset, n);
    }
}

/* 0.5 x (1 + tanh u) = x / (1 + e^-2u), which loses nothing for x < 0. */
static void gelu_tanh(float *out, const float *x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float v = x[i];
        float u2 = -1.5957691216f * (v + 0.044715f * v * v * v);
        out[i] = v / (1.0f + exp_cut(u2));
    }
}

const struct ew_hot EW_HOT = {
    .layer_norm = layer_norm,
    .rms_norm = rms_norm,
    .norm_scale = norm_scale,
    .logsumexp = logsumexp,
    .log_softmax = log_softmax,
    .softmax = softmax,
    .causal_softmax = causal_softmax,
    .kl_rows = kl_rows,
    .kl_scaled = kl_scaled,
    .gelu_tanh = gelu_tanh,
};
