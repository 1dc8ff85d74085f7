/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of our own for CPU tensors of F32: plain C without torch, built
 * several times for different instruction sets (meson.build) and chosen when
 * the module is opened. All arrays are row-major and dense; an output may be
 * its input. Each function does whole rows, so rows can be shared out among
 * threads. Each has a composition of torch operations as its twin
 * (torch_nn.cpp), for gradients, CUDA and other types.
 *
 * Milliseconds of one core, these loops (AVX-512) against what libtorch 1.13.1
 * takes to do and record the same: layer_norm of 620x512 0.11 and 0.16,
 * rms_norm 0.07 and 0.30, norm_scale 0.05 and 1.87.
 */
#ifndef EW_TENSOR_HOT_H
#define EW_TENSOR_HOT_H

#include <stdbool.h>
#include <stdint.h>

#include "edgewise/common.h"

EW_BEGIN_DECLS

/* dz (rows, k) times map (k, n) times sign; strides in floats. */
struct ew_hot_term {
    const float *dz;
    int64_t dz_stride;
    const float *map;
    int64_t map_stride;
    int64_t k;
    float sign;
};

/*
 * Logits l = (u + sum of the terms) / scale + offset - shift of all rows: u
 * and p (rows, n), dense, u NULL for 0; next the same or NULL: gets u + sum;
 * scale and shift (rows), offset (n) or NULL.
 */
struct ew_hot_mapped {
    const float *p, *u;
    float *next;
    const float *scale, *shift, *offset;
    const struct ew_hot_term *terms;
    int n_terms;
    int64_t rows, n;
};
enum { EW_HOT_PANEL = 256 }; /* columns that are done together */

struct ew_hot {
    /* out, x (rows, d); gain, bias (d) or NULL. */
    void (*layer_norm)(float *out, const float *x, const float *gain,
                       const float *bias, int64_t rows, int64_t d, float eps);
    void (*rms_norm)(float *out, const float *x, const float *gain,
                     int64_t rows, int64_t d, float eps);
    /* x (rows, d) -> out (rows): the norm's denominators. */
    void (*norm_scale)(float *out, const float *x, int64_t rows, int64_t d,
                       bool rms, float eps);
    /* The same of one row, the sum of n rows times their signs. */
    float (*norm_scale_of_sum)(const float *const *x, const float *signs,
                               int n, int64_t d, bool rms, float eps);
    /* x (rows, n) -> out (rows). */
    void (*logsumexp)(float *out, const float *x, int64_t rows, int64_t n);
    /* out, x (rows, n). */
    void (*log_softmax)(float *out, const float *x, int64_t rows, int64_t n);
    void (*softmax)(float *out, const float *x, int64_t rows, int64_t n);
    /*
     * Rows [from, to) of x (.., tq, tk), in place; row i is query i % tq, at
     * position first + i % tq. What it cannot see becomes 0.
     */
    void (*causal_softmax)(float *x, int64_t from, int64_t to, int64_t tq,
                           int64_t tk, int64_t first, int64_t window);
    /* logp, logits (rows, n) -> out (rows). */
    void (*kl_rows)(float *out, const float *logp, const float *logits,
                    int64_t rows, int64_t n);
    /* Panel `panel` of the columns: dot (rows) += sum p l, mass (rows) += sum
     * e^l. `room` has space for one more than all terms' k times
     * EW_HOT_PANEL. */
    void (*kl_mapped)(const struct ew_hot_mapped *job, int64_t panel,
                      float *room, double *dot, double *mass);
    /* out, x (n). */
    void (*gelu_tanh)(float *out, const float *x, int64_t n);
};

/* The best that this machine runs; never NULL. */
const struct ew_hot *ew_hot_pick(void);

EW_END_DECLS

#endif
