/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of a transformer against plain loops in double: norms,
 * softmax, KL, attention.
 */
#include "tensor_fixture.h"

/* Loops of our own share rows out: widths of every kind, some in pieces. */
static const struct {
    int64_t rows, width;
} planes[] = {{1, 1}, {3, 2}, {5, 17}, {7, 63}, {37, 512}, {3, 5003},
              {2, 50257}};

struct plane {
    int64_t rows, width;
    size_t n;
    float *x, *y, *gain, *bias;
    double *want;
};

static struct plane plane_open(size_t i)
{
    struct plane p = {planes[i].rows, planes[i].width, 0, 0, 0, 0, 0, 0};
    size_t width = (size_t)p.width;
    p.n = (size_t)p.rows * width;
    p.x = noise(p.n, 10 + i);
    p.y = noise(p.n, 20 + i);
    p.gain = noise(width, 30 + i);
    p.bias = noise(width, 40 + i);
    p.want = calloc(p.n, sizeof(*p.want));
    for (size_t k = 0; k < p.n; k++) {
        p.x[k] = 3 * p.x[k] + 1;
    }
    return p;
}

static void plane_close(struct plane *p)
{
    free(p->x);
    free(p->y);
    free(p->gain);
    free(p->bias);
    free(p->want);
}

/* The double twin of `result` in `wide` must agree with it to 1e-6. */
static void assert_twins(struct ew_scope *s, tensor result, tensor wide)
{
    size_t n = (size_t)ew_numel(result);
    double *want = calloc(n + 1, sizeof(*want));
    assert_int_equal(ew_tensor_dtype(wide), EW_F64);
    assert_true(ew_read_f64(s, wide, want, n));
    assert_close(s, result, want, n, 1e-6);
    free(want);
}

static void norms(void **state)
{
    const double eps = 1e-5;
    for (size_t i = 0; i < EW_ARRAY_LEN(planes); i++) {
        struct plane p = plane_open(i);
        size_t d = (size_t)p.width;
        for (size_t k = 0; k < p.n; k += d) {
            double mean = 0;
            double var = 0;
            for (size_t j = 0; j < d; j++) {
                mean += (double)p.x[k + j] / (double)d;
            }
            for (size_t j = 0; j < d; j++) {
                var += pow((double)p.x[k + j] - mean, 2) / (double)d;
            }
            for (size_t j = 0; j < d; j++) {
                p.want[k + j] = ((double)p.x[k + j] - mean) /
                                    sqrt(var + eps) * (double)p.gain[j] +
                                (double)p.bias[j];
            }
        }
        struct ew_scope *s = begin();
        tensor x = ew_from_f32(s, p.x, SHAPE(p.rows, p.width));
        tensor g = ew_from_f32(s, p.gain, SHAPE(p.width));
        tensor b = ew_from_f32(s, p.bias, SHAPE(p.width));
        tensor x2 = ew_to(s, x, EW_F64);
        tensor g2 = ew_to(s, g, EW_F64);
        tensor b2 = ew_to(s, b, EW_F64);
        assert_close(s, ew_layer_norm(s, x, g, b, eps), p.want, p.n, 2e-6);
        assert_close(s, ew_layer_norm(s, x2, g2, b2, eps), p.want, p.n, 1e-9);
        assert_twins(s, ew_layer_norm(s, x, g, NULL, eps),
                     ew_layer_norm(s, x2, g2, NULL, eps));
        assert_twins(s, ew_layer_norm(s, x, NULL, b, eps),
                     ew_layer_norm(s, x2, NULL, b2, eps));
        assert_twins(s, ew_rms_norm(s, x, g, eps),
                     ew_rms_norm(s, x2, g2, eps));
        assert_twins(s, ew_rms_norm(s, x, NULL, eps),
                     ew_rms_norm(s, x2, NULL, eps));
        assert_twins(s, ew_norm_scale(s, x, true, eps),
                     ew_norm_scale(s, x2, true, eps));
        tensor scale = ew_norm_scale(s, x, false, eps);
        assert_shape(scale, SHAPE(p.rows, 1));
        assert_twins(s, scale, ew_norm_scale(s, x2, false, eps));
        struct ew_addend more[2] = {{ew_scale(s, x, 0.25), 1.0},
                                    {ew_mul(s, x, x), -1.0}};
        tensor sum = ew_add(s, x, more[0].t);
        sum = ew_sub(s, sum, more[1].t);
        for (int rms = 0; rms < 2; rms++) {
            assert_twins(s, ew_norm_scale_of_sum(s, x, more, 2, rms, eps),
                         ew_norm_scale(s, ew_to(s, sum, EW_F64), rms, eps));
            /* rows that do not lie one behind the other */
            struct ew_addend wide = {ew_stack(s, (tensor[]){x, x}, 2, 1), 1};
            tensor two = ew_expand(s, ew_unsqueeze(s, x, 1), 3,
                                   (int64_t[]){p.rows, 2, p.width});
            assert_twins(s, ew_norm_scale_of_sum(s, two, &wide, 1, rms, eps),
                         ew_norm_scale(s, ew_scale(s, ew_to(s, two, EW_F64),
                                                   2.0),
                                       rms, eps));
        }
        end(s);
        plane_close(&p);
    }
}

/* With l = u / scale + offset taken apart from x, KL is as of x. */
static void kl_of_scaled_rows(struct ew_scope *s, const struct plane *p,
                              tensor logp, tensor x)
{
    float *by = calloc((size_t)p->rows, sizeof(*by));
    for (int64_t k = 0; k < p->rows; k++) {
        by[k] = 0.5f + (float)k;
    }
    tensor scale = ew_from_f32(s, by, SHAPE(p->rows, 1));
    free(by);
    tensor offset = ew_select(s, x, 0, 0);
    tensor flat = ew_full(s, 0, SHAPE(p->rows, p->width));
    /* log V - KL(p || the same for all) */
    tensor entropy = ew_shift(s, ew_neg(s, ew_kl_rows(s, logp, flat)),
                              log((double)p->width));
    tensor prob = ew_exp(s, logp);
    tensor u = ew_mul(s, ew_sub(s, x, offset), scale);
    tensor shift = ew_full(s, 3, SHAPE(p->rows));
    tensor kl = ew_kl_mapped(s, prob, entropy, u, NULL, 0, scale, shift,
                             offset, NULL);
    assert_shape(kl, SHAPE(p->rows));
    assert_close(s, kl, p->want, (size_t)p->rows, 1e-5);
    tensor twin = ew_kl_mapped(
        s, ew_to(s, prob, EW_F64), ew_to(s, entropy, EW_F64),
        ew_to(s, u, EW_F64), NULL, 0, ew_to(s, scale, EW_F64),
        ew_to(s, shift, EW_F64), ew_to(s, offset, EW_F64), NULL);
    assert_close(s, twin, p->want, (size_t)p->rows, 1e-5);
    /* far off: the sum runs over, and the largest is taken after all */
    tensor bare = ew_kl_mapped(s, prob, entropy, ew_mul(s, x, scale), NULL, 0,
                               scale, ew_full(s, -300, SHAPE(p->rows)), NULL,
                               NULL);
    assert_close(s, bare, p->want, (size_t)p->rows, 1e-5);
}

/* Two products of low rank, one of them taken away, against whole ones. */
static void kl_of_mapped_rows(struct ew_scope *s, const struct plane *p,
                              tensor logp, tensor x)
{
    enum { K1 = 3, K2 = 20 };
    float dz[64 * K2];
    float *map = calloc((size_t)(K2 * p->width), sizeof(*map));
    assert_true(p->rows <= 64);
    for (int64_t i = 0; i < p->rows * K2; i++) {
        dz[i] = sinf(0.7f * (float)i);
    }
    for (int64_t i = 0; i < K2 * p->width; i++) {
        map[i] = cosf(1.3f * (float)i);
    }
    tensor dz1 = ew_from_f32(s, dz, SHAPE(p->rows, K1));
    tensor dz2 = ew_from_f32(s, dz, SHAPE(p->rows, K2));
    tensor map1 = ew_from_f32(s, map, SHAPE(K1, p->width));
    tensor map2 = ew_from_f32(s, map, SHAPE(K2, p->width));
    free(map);
    struct ew_mapped terms[2] = {{dz1, map1, 1.0}, {dz2, map2, -1.0}};
    tensor whole = ew_add(s, x, ew_matmul(s, dz1, map1));
    whole = ew_sub(s, whole, ew_matmul(s, dz2, map2));
    tensor one = ew_full(s, 1, SHAPE(p->rows, 1));
    tensor shift = ew_logsumexp(s, whole, -1, false);
    tensor flat = ew_full(s, 0, SHAPE(p->rows, p->width));
    tensor entropy = ew_shift(s, ew_neg(s, ew_kl_rows(s, logp, flat)),
                              log((double)p->width));
    tensor next = ew_empty(s, SHAPE(p->rows, p->width));
    tensor kl = ew_kl_mapped(s, ew_exp(s, logp), entropy, x, terms, 2, one,
                             shift, NULL, next);
    tensor want = ew_kl_rows(s, logp, whole);
    double *expected = calloc(p->n, sizeof(*expected));
    ew_read_f64(s, want, expected, (size_t)p->rows);
    assert_close(s, kl, expected, (size_t)p->rows, 2e-5);
    ew_read_f64(s, whole, expected, p->n);
    assert_close(s, next, expected, p->n, 2e-5);
    /* of nothing but a product */
    whole = ew_matmul(s, dz2, map2);
    terms[1].sign = 1.0;
    shift = ew_logsumexp(s, whole, -1, false);
    kl = ew_kl_mapped(s, ew_exp(s, logp), entropy, NULL, &terms[1], 1, one,
                      shift, NULL, next);
    ew_read_f64(s, ew_kl_rows(s, logp, whole), expected, (size_t)p->rows);
    assert_close(s, kl, expected, (size_t)p->rows, 2e-5);
    ew_read_f64(s, whole, expected, p->n);
    assert_close(s, next, expected, p->n, 2e-5);
    free(expected);
}

static void softmax_and_kin(void **state)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(planes); i++) {
        struct plane p = plane_open(i);
        struct ew_scope *s = begin();
        tensor x = ew_from_f32(s, p.x, SHAPE(p.rows, p.width));
        tensor y = ew_from_f32(s, p.y, SHAPE(p.rows, p.width));
        tensor x2 = ew_to(s, x, EW_F64);
        tensor y2 = ew_to(s, y, EW_F64);
        assert_twins(s, ew_softmax(s, x, -1), ew_softmax(s, x2, -1));
        assert_twins(s, ew_softmax(s, x, 0), ew_softmax(s, x2, 0));
        tensor logp = ew_log_softmax(s, y, 1);
        tensor logp2 = ew_log_softmax(s, y2, 1);
        assert_twins(s, logp, logp2);
        assert_twins(s, ew_logsumexp(s, x, 1, false),
                     ew_logsumexp(s, x2, 1, false));
        tensor kl = ew_kl_rows(s, logp, x);
        assert_shape(kl, SHAPE(p.rows));
        /* the same rounded logp, so that only the arithmetic differs */
        tensor wide = ew_kl_rows(s, ew_to(s, logp, EW_F64), x2);
        ew_read_f64(s, wide, p.want, (size_t)p.rows);
        assert_close(s, kl, p.want, (size_t)p.rows, 4e-6);
        /* a model against itself */
        tensor none = ew_kl_rows(s, logp, ew_shift(s, y, 30));
        for (int64_t k = 0; k < p.rows; k++) {
            assert_true(fabsf(ew_data_f32(none)[k]) < 1e-5f);
        }
        end(s);

        size_t d = (size_t)p.width;
        for (size_t k = 0; k < p.n; k += d) { /* KL by the definition */
            double zp = 0;
            double zq = 0;
            for (size_t j = k; j < k + d; j++) {
                zp += exp((double)p.y[j]);
                zq += exp((double)p.x[j]);
            }
            p.want[k / d] = 0;
            for (size_t j = k; j < k + d; j++) {
                double lp = (double)p.y[j] - log(zp);
                p.want[k / d] += exp(lp) * (lp - (double)p.x[j] + log(zq));
            }
        }
        s = begin();
        logp = ew_log_softmax(s, ew_from_f32(s, p.y, SHAPE(p.rows, p.width)),
                              -1);
        x = ew_from_f32(s, p.x, SHAPE(p.rows, p.width));
        /* logp is rounded to F32 before it goes in */
        assert_close(s, ew_kl_rows(s, logp, x), p.want, (size_t)p.rows, 4e-6);
        kl_of_scaled_rows(s, &p, logp, x);
        kl_of_mapped_rows(s, &p, logp, x);
        end(s);
        plane_close(&p);
    }
}

static void logits_of_minus_infinity_count_as_nothing(void **state)
{
    struct ew_scope *s = begin();
    tensor z = ew_from_f32(s, FLOATS(1, -INFINITY, 1, 2, -INFINITY, 3),
                           SHAPE(2, 3));
    tensor logp = ew_log_softmax(s, z, -1);
    ASSERT_VALUES(s, ew_softmax(s, ew_narrow(s, z, 0, 0, 1), -1), 0.5f, 0,
                  0.5f);
    ASSERT_VALUES(s, ew_kl_rows(s, logp, z), 0, 0);
    tensor wide = ew_kl_rows(s, ew_to(s, logp, EW_F64), ew_to(s, z, EW_F64));
    ASSERT_VALUES(s, wide, 0, 0);
    tensor bad = ew_from_f32(s, FLOATS(1, NAN, 1), SHAPE(1, 3));
    float kl = 0;
    assert_true(ew_read_f32(s, ew_kl_rows(s, bad, bad), &kl, 1));
    assert_true(isnan(kl));
    end(s);
}

static void attention_sees_what_it_may(void **state)
{
    static const struct {
        int64_t tq, tk, first, window;
    } cases[] = {{1, 1, 0, 0},  {5, 5, 0, 0},  {7, 7, 0, 3},
                 {2, 9, 7, 0},  {3, 9, 4, 2},  {33, 40, 3, 11},
                 {4, 4, -2, 0}, {129, 129, 0, 0}};
    enum { BATCH = 6 };
    for (size_t c = 0; c < EW_ARRAY_LEN(cases); c++) {
        int64_t tq = cases[c].tq;
        int64_t tk = cases[c].tk;
        size_t n = (size_t)(BATCH * tq * tk);
        float *x = noise(n, c);
        double *want = calloc(n, sizeof(*want));
        for (int64_t r = 0; r < BATCH * tq; r++) {
            double total = 0;
            for (int pass = 0; pass < 2; pass++) {
                for (int64_t j = 0; j < tk; j++) {
                    int64_t back = cases[c].first + r % tq - j;
                    bool seen = back >= 0 && (cases[c].window == 0 ||
                                              back < cases[c].window);
                    double e = seen ? exp((double)x[r * tk + j]) : 0;
                    total += pass ? 0 : e;
                    want[r * tk + j] = total > 0 ? e / total : 0;
                }
            }
        }
        struct ew_scope *s = begin();
        tensor t = ew_from_f32(s, x, SHAPE(2, 3, tq, tk));
        tensor wide = ew_to(s, t, EW_F64);
        int64_t first = cases[c].first;
        int64_t window = cases[c].window;
        tensor weights = ew_causal_softmax(s, t, first, window);
        assert_close(s, weights, want, n, 1e-6);
        assert_close(s, ew_causal_softmax(s, wide, first, window), want, n,
                     1e-12);
        assert_ptr_equal(ew_causal_softmax_into(s, wide, first, window), wide);
        assert_close(s, wide, want, n, 1e-12);
        assert_ptr_equal(ew_causal_softmax_into(s, t, first, window), t);
        assert_close(s, t, want, n, 1e-6);
        for (size_t i = 0; i < n; i++) { /* not nearly: exactly */
            assert_true(want[i] != 0 || ew_data_f32(t)[i] == 0.0f);
        }
        end(s);
        free(want);
        free(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms),
        cmocka_unit_test(softmax_and_kin),
        cmocka_unit_test(logits_of_minus_infinity_count_as_nothing),
        cmocka_unit_test(attention_sees_what_it_may),
    };
    return cmocka_run_group_tests(tests, load_module, NULL);
}
