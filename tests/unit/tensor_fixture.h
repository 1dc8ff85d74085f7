/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the tensor layer share: scopes that count their handles,
 * comparing with plain loops in double, and random numbers.
 */
#ifndef EW_TESTS_TENSOR_FIXTURE_H
#define EW_TESTS_TENSOR_FIXTURE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/rng.h"
#include "edgewise/tensor.h"

#include "ew_cmocka.h"

typedef struct ew_tensor *tensor;

#define SHAPE(...)                                                            \
    (int)EW_ARRAY_LEN(((int64_t[]){__VA_ARGS__})), (int64_t[]){__VA_ARGS__}
#define FLOATS(...) ((const float[]){__VA_ARGS__})

static const struct ew_device cpu = {0};

/* ---- scopes that must end well ---- */

static long live_before;

static inline struct ew_scope *begin(void)
{
    live_before = ew_torch_live();
    return ew_scope_open(cpu);
}

static inline struct ew_scope *begin_grad(void)
{
    live_before = ew_torch_live();
    return ew_scope_open_grad(cpu);
}

static inline void end(struct ew_scope *s)
{
    struct ew_err err = {0};
    if (!ew_scope_finish(s, &err)) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(ew_torch_live(), live_before);
}

/* The scope must have failed with `code` and a message that has `words`. */
static inline void end_failed(struct ew_scope *s, enum ew_err_code code,
                              const char *words)
{
    struct ew_err err = {0};
    assert_false(ew_scope_ok(s));
    assert_false(ew_scope_finish(s, &err));
    if (err.code != code || !strstr(err.message, words) ||
        strchr(err.message, '\n')) {
        fail_msg("code %d: %s", (int)err.code, err.message);
    }
    assert_int_equal(ew_torch_live(), live_before);
}

/* ---- comparing ---- */

static inline void assert_shape(tensor t, int ndim, const int64_t *shape)
{
    assert_non_null(t);
    assert_int_equal(ew_ndim(t), ndim);
    for (int i = 0; i < ndim; i++) {
        assert_int_equal(ew_dim(t, i), shape[i]);
    }
}

/* Every element within `tolerance` of `want`, relative above 1. */
static inline void assert_close(struct ew_scope *s, tensor t,
                                const double *want, size_t n, double tolerance)
{
    double *got = calloc(n + 1, sizeof(*got));
    if (!ew_read_f64(s, t, got, n)) {
        struct ew_err err = {0};
        ew_scope_finish(s, &err);
        fail_msg("%s", err.message);
    }
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(got[i] - want[i]) <= tolerance * fmax(1.0, fabs(want[i])))) {
            fail_msg("element %zu is %.9g, not %.9g", i, got[i], want[i]);
        }
    }
    free(got);
}

static inline void assert_floats(struct ew_scope *s, tensor t,
                                 const float *want, size_t n)
{
    double wide[64];
    assert_true(n <= EW_ARRAY_LEN(wide));
    for (size_t i = 0; i < n; i++) {
        wide[i] = (double)want[i];
    }
    assert_close(s, t, wide, n, 1e-6);
}

#define ASSERT_VALUES(s, t, ...)                                               \
    assert_floats(s, t, FLOATS(__VA_ARGS__), EW_ARRAY_LEN(FLOATS(__VA_ARGS__)))

/* `n` numbers of variance 1, the same for one seed; free() them. */
static inline float *noise(size_t n, uint64_t seed)
{
    struct ew_rng rng;
    ew_rng_seed(&rng, seed);
    float *x = calloc(n + 1, sizeof(*x));
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)ew_rng_normal(&rng);
    }
    return x;
}

static inline tensor random_tensor(struct ew_scope *s, uint64_t seed, int ndim,
                                   const int64_t *shape)
{
    size_t n = 1;
    for (int i = 0; i < ndim; i++) {
        n *= (size_t)shape[i];
    }
    float *data = noise(n, seed);
    tensor t = ew_from_f32(s, data, ndim, shape);
    free(data);
    return t;
}

/* ---- setting up ---- */

static inline int load_module(void **state)
{
    struct ew_err err = {0};
    (void)state;
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    return 0;
}

#endif
