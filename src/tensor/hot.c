/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of hot.h, written for the compiler to vectorise: this file is
 * built once for each instruction set, with EW_HOT the name of its table.
 * Only sums marked `omp simd` may be taken in another order; nothing here may
 * be built with -ffast-math, which would undo ew_exp_f's split of ln 2.
 */
#include "hot.h"

#include <math.h>
#include <string.h>

#include "hot_exp.h"

extern const struct ew_hot EW_HOT;

/* hot_mapped.c */
void EW_HOT_MAPPED(const struct ew_hot_mapped *job, int64_t panel,
                   float *room, double *dot, double *mass);

/* Long sums are taken in pieces of so many elements, and those in double. */
enum { PIECE = 2048, LANES = 32 };

static inline int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
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
            part += ew_exp_f(x[i] - shift);
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

/* Elements [at, at + n) of a sum of rows. */
static void add_rows(float *out, const float *const *x, const float *signs,
                     int rows, int64_t at, int64_t n)
{
    const float *first = x[0] + at;
    const float *second = rows > 1 ? x[1] + at : first;
    float a = signs[0];
    float b = rows > 1 ? signs[1] : 0.0f;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        out[i] = a * first[i] + b * second[i];
    }
    for (int k = 2; k < rows; k++) {
        const float *more = x[k] + at;
        float sign = signs[k];
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            out[i] += sign * more[i];
        }
    }
}

static float norm_scale_of_sum(const float *const *x, const float *signs,
                               int n, int64_t d, bool rms, float eps)
{
    float piece[PIECE];
    double total = 0;
    for (int64_t at = 0; at < d && !rms; at += PIECE) {
        int64_t len = at_most(PIECE, d - at);
        add_rows(piece, x, signs, n, at, len);
        total += sum(piece, len);
    }
    float centre = (float)(total / (double)d);
    double power = 0;
    for (int64_t at = 0; at < d; at += PIECE) {
        int64_t len = at_most(PIECE, d - at);
        if (rms || d > PIECE) { /* else it is still there */
            add_rows(piece, x, signs, n, at, len);
        }
        power += squares(piece, len, centre);
    }
    return (float)sqrt(power / (double)d + (double)eps);
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
            float e = ew_exp_f(x[i] - m);
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
            part_dot += ew_exp_f(l) * (l - z);
            part_mass += ew_exp_f(z);
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

/* 0.5 x (1 + tanh u) = x / (1 + e^-2u), which loses nothing for x < 0. */
static void gelu_tanh(float *out, const float *x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float v = x[i];
        float u2 = -1.5957691216f * (v + 0.044715f * v * v * v);
        out[i] = v / (1.0f + ew_exp_cut(u2));
    }
}

const struct ew_hot EW_HOT = {
    .layer_norm = layer_norm,
    .rms_norm = rms_norm,
    .norm_scale = norm_scale,
    .norm_scale_of_sum = norm_scale_of_sum,
    .logsumexp = logsumexp,
    .log_softmax = log_softmax,
    .softmax = softmax,
    .causal_softmax = causal_softmax,
    .kl_rows = kl_rows,
    .kl_mapped = EW_HOT_MAPPED,
    .gelu_tanh = gelu_tanh,
};
