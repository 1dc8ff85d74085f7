/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic and products of tensors against plain loops in double. Sizes are
 * odd on purpose and, where loops are shared out among threads, large enough
 * for that.
 */
#include "tensor_fixture.h"

/* ---- arithmetic ---- */

static double neg(double x)
{
    return -x;
}

static double square(double x)
{
    return x * x;
}

static double rsqrt(double x)
{
    return 1 / sqrt(x);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

static double silu(double x)
{
    return x * sigmoid(x);
}

static double gelu(double x)
{
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}

static double gelu_tanh(double x)
{
    return 0.5 * x *
           (1 + tanh(sqrt(2 / 3.14159265358979) * (x + 0.044715 * x * x * x)));
}

typedef tensor unary(struct ew_scope *, const struct ew_tensor *);

static void functions_of_one_number(void **state)
{
    static const struct {
        const char *name;
        unary *f;
        double (*reference)(double);
        bool positive; /* defined above 0 only */
    } cases[] = {
        {"neg", ew_neg, neg, false},
        {"square", ew_square, square, false},
        {"sqrt", ew_sqrt, sqrt, true},
        {"rsqrt", ew_rsqrt, rsqrt, true},
        {"exp", ew_exp, exp, false},
        {"log", ew_log, log, true},
        {"abs", ew_abs, fabs, false},
        {"tanh", ew_tanh, tanh, false},
        {"sigmoid", ew_sigmoid, sigmoid, false},
        {"sin", ew_sin, sin, false},
        {"cos", ew_cos, cos, false},
        {"relu", ew_relu, relu, false},
        {"silu", ew_silu, silu, false},
        {"gelu", ew_gelu, gelu, false},
        {"gelu_tanh", ew_gelu_tanh, gelu_tanh, false},
    };
    enum { N = 40009 }; /* more than one thread's share */
    float *x = noise(N, 1);
    double *want = calloc(N, sizeof(*want));
    for (size_t c = 0; c < EW_ARRAY_LEN(cases); c++) {
        struct ew_scope *s = begin();
        tensor t = ew_scale(s, ew_from_f32(s, x, SHAPE(N)), 4);
        t = cases[c].positive ? ew_shift(s, ew_abs(s, t), 0.25) : t;
        for (size_t i = 0; i < N; i++) {
            double v = 4 * (double)x[i];
            v = cases[c].positive ? (double)(float)(fabs(v) + 0.25) : v;
            want[i] = cases[c].reference(v);
        }
        print_message("%s\n", cases[c].name);
        assert_close(s, cases[c].f(s, t), want, N, 2e-6);
        end(s);
    }
    free(want);
    free(x);
}

static void arithmetic_broadcasts(void **state)
{
    struct ew_scope *s = begin();
    tensor a = ew_from_f32(s, FLOATS(1, 2, 3, 4, 5, 6), SHAPE(2, 3));
    tensor row = ew_from_f32(s, FLOATS(1, 2, 4), SHAPE(3));
    tensor column = ew_from_f32(s, FLOATS(10, 20), SHAPE(2, 1));
    ASSERT_VALUES(s, ew_add(s, a, row), 2, 4, 7, 5, 7, 10);
    ASSERT_VALUES(s, ew_sub(s, column, row), 9, 8, 6, 19, 18, 16);
    ASSERT_VALUES(s, ew_mul(s, a, column), 10, 20, 30, 80, 100, 120);
    ASSERT_VALUES(s, ew_div(s, a, row), 1, 1, 0.75f, 4, 2.5f, 1.5f);
    ASSERT_VALUES(s, ew_add_scaled(s, a, row, -2), -1, -2, -5, 2, 1, -2);
    ASSERT_VALUES(s, ew_scale(s, row, 0.5), 0.5f, 1, 2);
    ASSERT_VALUES(s, ew_shift(s, row, -1), 0, 1, 3);
    tensor same = ew_equal(s, a, row);
    assert_int_equal(ew_tensor_dtype(same), EW_F32);
    ASSERT_VALUES(s, same, 1, 1, 0, 0, 0, 0);
    end(s);
}

static void reductions(void **state)
{
    struct ew_scope *s = begin();
    tensor t = ew_from_f32(s, FLOATS(1, 5, 3, 7, 2, 6), SHAPE(2, 3));
    ASSERT_VALUES(s, ew_sum(s, t, 0, false), 8, 7, 9);
    assert_shape(ew_sum(s, t, -1, true), SHAPE(2, 1));
    ASSERT_VALUES(s, ew_sum_all(s, t), 24);
    ASSERT_VALUES(s, ew_mean(s, t, 1, false), 3, 5);
    ASSERT_VALUES(s, ew_mean_all(s, t), 4);
    ASSERT_VALUES(s, ew_max(s, t, 1, false), 5, 7);
    ASSERT_VALUES(s, ew_argmax(s, t, 1), 1, 0);
    float a = logf(expf(1) + expf(7));
    float b = logf(expf(5) + expf(2));
    float c = logf(expf(3) + expf(6));
    ASSERT_VALUES(s, ew_logsumexp(s, t, 0, false), a, b, c);
    tensor turned = ew_transpose(s, t, 0, 1);
    assert_shape(ew_logsumexp(s, turned, -1, true), SHAPE(3, 1));
    ASSERT_VALUES(s, ew_logsumexp(s, turned, 1, false), a, b, c);
    end(s);
}

/* ---- products ---- */

/* want (m, n) += alpha a (m, k) b (k, n), row-major and dense */
static void multiply(double *want, const float *a, const float *b, size_t m,
                     size_t k, size_t n, double alpha)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t l = 0; l < k; l++) {
            for (size_t j = 0; j < n; j++) {
                want[i * n + j] +=
                    alpha * (double)a[i * k + l] * (double)b[l * n + j];
            }
        }
    }
}

static const struct {
    int64_t m, k, n;
} sizes[] = {{1, 1, 1},   {1, 7, 5},     {3, 1, 4},       {5, 9, 1},
             {31, 64, 31}, {130, 65, 129}, {257, 100, 301}, {1, 300, 5003}};

static void products_of_matrices(void **state)
{
    for (size_t c = 0; c < EW_ARRAY_LEN(sizes); c++) {
        int64_t m = sizes[c].m;
        int64_t k = sizes[c].k;
        int64_t n = sizes[c].n;
        size_t size = (size_t)(m * n);
        float *a = noise((size_t)(m * k), 1);
        float *b = noise((size_t)(k * n), 2);
        float *d = noise(size, 3);
        double *want = calloc(size, sizeof(*want));
        multiply(want, a, b, (size_t)m, (size_t)k, (size_t)n, 1);

        struct ew_scope *s = begin();
        tensor ta = ew_from_f32(s, a, SHAPE(m, k));
        tensor tb = ew_from_f32(s, b, SHAPE(k, n));
        tensor a_turned = ew_transpose(
            s, ew_contiguous(s, ew_transpose(s, ta, 0, 1)), 0, 1);
        tensor b_turned = ew_transpose(
            s, ew_contiguous(s, ew_transpose(s, tb, 0, 1)), 0, 1);
        assert_close(s, ew_matmul(s, ta, tb), want, size, 1e-4);
        assert_close(s, ew_matmul(s, a_turned, tb), want, size, 1e-4);
        assert_close(s, ew_matmul(s, ta, b_turned), want, size, 1e-4);
        assert_close(s, ew_matmul(s, a_turned, b_turned), want, size, 1e-4);
        assert_close(s, ew_addmm(s, NULL, ta, tb), want, size, 1e-4);
        tensor wide = ew_matmul(s, ew_to(s, ta, EW_F64), ew_to(s, tb, EW_F64));
        assert_close(s, wide, want, size, 1e-12);

        /* into a view with room around it, and with the first row as bias */
        tensor room = ew_full(s, 7, SHAPE(m + 2, n + 3));
        tensor dst =
            ew_narrow(s, ew_narrow(s, room, 0, 1, m), 1, 2, n);
        ew_copy_into(s, dst, ew_from_f32(s, d, SHAPE(m, n)));
        ew_addmm_into(s, dst, ta, b_turned, -2);
        tensor bias = ew_from_f32(s, d, SHAPE(n));
        tensor biased = ew_addmm(s, bias, ta, tb);
        for (size_t i = 0; i < size; i++) {
            want[i] = (double)d[i] - 2 * want[i];
        }
        assert_close(s, dst, want, size, 1e-4);
        assert_true(ew_data_f32(room)[0] == 7.0f);
        assert_true(ew_data_f32(room)[ew_numel(room) - 1] == 7.0f);
        for (size_t i = 0; i < size; i++) {
            want[i] = (double)d[i % (size_t)n] + ((double)d[i] - want[i]) / 2;
        }
        assert_close(s, biased, want, size, 1e-4);
        end(s);
        free(want);
        free(d);
        free(b);
        free(a);
    }
}

/* (B, H, T, K) x (B, H, K, T) of views, as attention scores are made. */
static void products_of_batches(void **state)
{
    enum { B = 6, T = 33, H = 5, K = 16 };
    float *q = noise(B * T * H * K, 1);
    float *k = noise(B * T * H * K, 2);
    double *want = calloc(B * H * T * T, sizeof(*want));
    for (size_t b = 0; b < B; b++) {
        for (size_t h = 0; h < H; h++) {
            for (size_t i = 0; i < T * T; i++) {
                const float *x = q + ((b * T + i / T) * H + h) * K;
                const float *y = k + ((b * T + i % T) * H + h) * K;
                multiply(&want[(b * H + h) * T * T + i], x, y, 1, K, 1, 1);
            }
        }
    }
    struct ew_scope *s = begin();
    tensor tq = ew_permute(s, ew_from_f32(s, q, SHAPE(B, T, H, K)), 4,
                           (int[]){0, 2, 1, 3});
    tensor tk = ew_permute(s, ew_from_f32(s, k, SHAPE(B, T, H, K)), 4,
                           (int[]){0, 2, 3, 1});
    tensor scores = ew_matmul(s, tq, tk);
    assert_shape(scores, SHAPE(B, H, T, T));
    assert_close(s, scores, want, B * H * T * T, 1e-5);
    tensor wide = ew_matmul(s, ew_to(s, tq, EW_F64), ew_to(s, tk, EW_F64));
    assert_close(s, wide, want, B * H * T * T, 1e-12);

    tensor dst = ew_full(s, 1, SHAPE(B * H, T, T));
    ew_baddbmm_into(s, dst, ew_reshape(s, tq, SHAPE(B * H, T, K)),
                    ew_reshape(s, tk, SHAPE(B * H, K, T)), 0.5);
    for (size_t i = 0; i < B * H * T * T; i++) {
        want[i] = 1 + 0.5 * want[i];
    }
    assert_close(s, dst, want, B * H * T * T, 1e-5);
    end(s);
    free(want);
    free(k);
    free(q);
}

/* Shapes as torch.matmul takes them, against the same product in F64. */
static void products_broadcast_leading_dimensions(void **state)
{
    static const struct {
        int na;
        int64_t a[4];
        int nb;
        int64_t b[4];
        int nc;
        int64_t c[4];
    } cases[] = {
        {3, {4, 3, 5}, 2, {5, 2}, 3, {4, 3, 2}},
        {2, {3, 5}, 3, {4, 5, 2}, 3, {4, 3, 2}},
        {4, {2, 1, 3, 5}, 3, {6, 5, 7}, 4, {2, 6, 3, 7}},
        {4, {1, 3, 2, 4}, 4, {5, 1, 4, 2}, 4, {5, 3, 2, 2}},
        {1, {5}, 2, {5, 2}, 1, {2}},
        {3, {4, 3, 5}, 1, {5}, 2, {4, 3}},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        struct ew_scope *s = begin();
        tensor a = random_tensor(s, 1, cases[i].na, cases[i].a);
        tensor b = random_tensor(s, 2, cases[i].nb, cases[i].b);
        tensor c = ew_matmul(s, a, b);
        assert_shape(c, cases[i].nc, cases[i].c);
        tensor wide = ew_matmul(s, ew_to(s, a, EW_F64), ew_to(s, b, EW_F64));
        double *want = calloc((size_t)ew_numel(c), sizeof(*want));
        assert_true(ew_read_f64(s, wide, want, (size_t)ew_numel(c)));
        assert_close(s, c, want, (size_t)ew_numel(c), 1e-5);
        /* rows that are not next to each other */
        if (cases[i].na == 3) {
            tensor part = ew_matmul(s, ew_narrow(s, a, 1, 1, 1), b);
            tensor whole = ew_narrow(s, wide, 1, 1, 1);
            assert_true(ew_read_f64(s, whole, want, (size_t)ew_numel(whole)));
            assert_close(s, part, want, (size_t)ew_numel(whole), 1e-5);
        }
        end(s);
        free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_of_one_number),
        cmocka_unit_test(arithmetic_broadcasts),
        cmocka_unit_test(reductions),
        cmocka_unit_test(products_of_matrices),
        cmocka_unit_test(products_of_batches),
        cmocka_unit_test(products_broadcast_leading_dimensions),
    };
    return cmocka_run_group_tests(tests, load_module, NULL);
}
