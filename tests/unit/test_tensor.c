/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tensor layer against plain loops in double: every operation, views and
 * what they share, errors and who reports them, handles that are all given
 * back, and gradients against finite differences. Sizes are odd on purpose
 * and, where loops are shared out among threads, large enough for that.
 */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "edgewise/cancel.h"
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

static struct ew_scope *begin(void)
{
    live_before = ew_torch_live();
    return ew_scope_open(cpu);
}

static struct ew_scope *begin_grad(void)
{
    live_before = ew_torch_live();
    return ew_scope_open_grad(cpu);
}

static void end(struct ew_scope *s)
{
    struct ew_err err = {0};
    if (!ew_scope_finish(s, &err)) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(ew_torch_live(), live_before);
}

/* The scope must have failed with `code` and a message that has `words`. */
static void end_failed(struct ew_scope *s, enum ew_err_code code,
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

static void assert_shape(tensor t, int ndim, const int64_t *shape)
{
    assert_non_null(t);
    assert_int_equal(ew_ndim(t), ndim);
    for (int i = 0; i < ndim; i++) {
        assert_int_equal(ew_dim(t, i), shape[i]);
    }
}

/* Every element within `tolerance` of `want`, relative above 1. */
static void assert_close(struct ew_scope *s, tensor t, const double *want,
                         size_t n, double tolerance)
{
    double *got = calloc(n + 1, sizeof(*got));
    if (!ew_read_f64(s, t, got, n)) {
        struct ew_err err = {0};
        ew_scope_finish(s, &err);
        fail_msg("%s", err.message);
    }
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(got[i] - want[i]) <=
              tolerance * fmax(1.0, fabs(want[i])))) {
            fail_msg("element %zu is %.9g, not %.9g", i, got[i], want[i]);
        }
    }
    free(got);
}

static void assert_floats(struct ew_scope *s, tensor t, const float *want,
                          size_t n)
{
    double wide[64];
    assert_true(n <= EW_ARRAY_LEN(wide));
    for (size_t i = 0; i < n; i++) {
        wide[i] = (double)want[i];
    }
    assert_close(s, t, wide, n, 1e-6);
}

#define ASSERT_VALUES(s, t, ...)                                              \
    assert_floats(s, t, FLOATS(__VA_ARGS__), EW_ARRAY_LEN(FLOATS(__VA_ARGS__)))

/* `n` numbers of variance 1, the same for one seed; free() them. */
static float *noise(size_t n, uint64_t seed)
{
    struct ew_rng rng;
    ew_rng_seed(&rng, seed);
    float *x = calloc(n + 1, sizeof(*x));
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)ew_rng_normal(&rng);
    }
    return x;
}

static tensor random_tensor(struct ew_scope *s, uint64_t seed, int ndim,
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

/* ---- the module ---- */

static void a_scope_before_loading_has_failed(void **state)
{
    assert_false(ew_torch_loaded());
    assert_string_equal(ew_torch_version(), "");
    struct ew_scope *s = begin();
    assert_null(ew_full(s, 1, SHAPE(2)));
    end_failed(s, EW_ERR_BACKEND, "not loaded");
}

static void *load(void *data)
{
    struct ew_err err = {0};
    bool ok = ew_torch_load(&err);
    if (!ok) {
        fprintf(stderr, "%s\n", err.message);
    }
    *(bool *)data = ok;
    return NULL;
}

static void several_threads_may_load(void **state)
{
    pthread_t threads[3];
    bool ok[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, load, &ok[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_true(ok[i]);
    }
    assert_true(ew_torch_loaded());
    assert_non_null(strstr(ew_torch_version(), "."));
    assert_true(ew_torch_memory(cpu) > 1 << 20);
    assert_int_equal(ew_torch_live(), 0);
    ew_torch_seed(7);
}

static void threads_can_be_set(void **state)
{
    ew_torch_set_threads(0);
    assert_true(ew_torch_threads() >= 1);
    ew_torch_set_threads(1);
    assert_int_equal(ew_torch_threads(), 1);
    ew_torch_set_threads(3);
    assert_int_equal(ew_torch_threads(), 3);
}

/* ---- making and reading ---- */

static void made_tensors_have_shape_type_and_values(void **state)
{
    struct ew_scope *s = begin();
    tensor t = ew_from_f32(s, FLOATS(1, 2, 3, 4, 5, 6), SHAPE(2, 3));
    assert_shape(t, SHAPE(2, 3));
    assert_int_equal(ew_dim(t, -1), 3);
    assert_int_equal(ew_dim(t, 2), 0);
    assert_int_equal(ew_numel(t), 6);
    assert_int_equal(ew_tensor_dtype(t), EW_F32);
    assert_true(ew_data_f32(t)[5] == 6.0f);
    assert_null(ew_data_f32(ew_transpose(s, t, 0, 1)));
    ASSERT_VALUES(s, ew_full(s, 2.5, SHAPE(2)), 2.5f, 2.5f);
    assert_shape(ew_empty(s, SHAPE(0, 4)), SHAPE(0, 4));
    ASSERT_VALUES(s, ew_arange(s, -1, 2), -1, 0, 1);
    assert_true(ew_item(s, ew_full(s, 3, 0, NULL)) == 3.0);

    int64_t ids[] = {5, -6};
    int64_t back[2] = {0};
    tensor i = ew_from_i64(s, ids, SHAPE(2));
    assert_int_equal(ew_tensor_dtype(i), EW_I64);
    assert_true(ew_read_i64(s, i, back, 2));
    assert_memory_equal(ids, back, sizeof(ids));
    float floats[2];
    assert_true(ew_read_f32(s, i, floats, 2));
    assert_true(floats[1] == -6.0f);
    tensor wide = ew_to(s, i, EW_F64);
    assert_int_equal(ew_tensor_dtype(wide), EW_F64);
    assert_int_equal(ew_dtype_size(EW_F64), 8);
    end(s);

    assert_int_equal(ew_ndim(NULL), 0);
    assert_int_equal(ew_dim(NULL, 0), 0);
    assert_int_equal(ew_numel(NULL), 0);
    assert_null(ew_data_f32(NULL));
    assert_null(ew_keep(NULL));
    ew_tensor_unref(NULL);
}

static void borrowed_bytes_may_lie_anywhere(void **state)
{
    static const struct {
        enum ew_dtype dtype;
        unsigned char bytes[16]; /* 1.5, -2.0 */
    } cases[] = {
        {EW_F32, {0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0}},
        {EW_F16, {0, 0x3e, 0, 0xc0}},
        {EW_BF16, {0xc0, 0x3f, 0, 0xc0}},
        {EW_F64,
         {0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0}},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        for (size_t shift = 0; shift < 8; shift++) {
            _Alignas(16) unsigned char room[32];
            memcpy(room + shift, cases[i].bytes, sizeof(cases[i].bytes));
            struct ew_scope *s = begin();
            tensor t = ew_borrow(s, room + shift, cases[i].dtype, SHAPE(2));
            assert_int_equal(ew_tensor_dtype(t), cases[i].dtype);
            ASSERT_VALUES(s, ew_to(s, t, EW_F32), 1.5f, -2.0f);
            end(s);
        }
    }
    float here[2] = {1, 2};
    struct ew_scope *s = begin();
    assert_ptr_equal(ew_data_f32(ew_borrow(s, here, EW_F32, SHAPE(2))), here);
    end(s);
}

/* ---- views ---- */

static void views_show_the_right_elements(void **state)
{
    struct ew_scope *s = begin();
    tensor t = ew_from_f32(s, FLOATS(0, 1, 2, 3, 4, 5), SHAPE(2, 3));
    assert_shape(ew_reshape(s, t, SHAPE(-1, 2)), SHAPE(3, 2));
    tensor p = ew_permute(s, t, 2, (int[]){1, 0});
    assert_shape(p, SHAPE(3, 2));
    ASSERT_VALUES(s, p, 0, 3, 1, 4, 2, 5);
    ASSERT_VALUES(s, ew_transpose(s, t, 0, 1), 0, 3, 1, 4, 2, 5);
    ASSERT_VALUES(s, ew_narrow(s, t, 1, 1, 2), 1, 2, 4, 5);
    assert_shape(ew_select(s, t, 0, 1), SHAPE(3));
    ASSERT_VALUES(s, ew_select(s, t, 0, 1), 3, 4, 5);
    ASSERT_VALUES(s, ew_select(s, t, -1, -1), 2, 5);
    tensor u = ew_unsqueeze(s, t, 1);
    assert_shape(u, SHAPE(2, 1, 3));
    assert_shape(ew_squeeze(s, u, 1), SHAPE(2, 3));
    assert_shape(ew_expand(s, u, SHAPE(-1, 4, -1)), SHAPE(2, 4, 3));
    ASSERT_VALUES(s, ew_contiguous(s, p), 0, 3, 1, 4, 2, 5);
    end(s);
}

static void views_share_memory_and_copies_do_not(void **state)
{
    struct ew_scope *s = begin();
    tensor t = ew_full(s, 0, SHAPE(2, 3));
    tensor copy = ew_clone(s, t);
    tensor column = ew_select(s, t, 1, 1);
    tensor row = ew_narrow(s, ew_transpose(s, t, 0, 1), 1, 1, 1);
    ew_copy_into(s, column, ew_full(s, 5, SHAPE(1)));
    ASSERT_VALUES(s, t, 0, 5, 0, 0, 5, 0);
    ew_add_into(s, row, ew_full(s, 1, SHAPE(1)), 2);
    ASSERT_VALUES(s, t, 0, 5, 0, 2, 7, 2);
    ew_mul_into(s, ew_narrow(s, t, 1, 1, 2),
                ew_from_f32(s, FLOATS(10, 100), SHAPE(2)));
    ASSERT_VALUES(s, t, 0, 50, 0, 2, 70, 200);
    ew_add_into(s, ew_reshape(s, t, SHAPE(6)), ew_arange(s, 0, 6), -1);
    ASSERT_VALUES(s, t, 0, 49, -2, -1, 66, 195);
    ASSERT_VALUES(s, copy, 0, 0, 0, 0, 0, 0);
    end(s);
}

static void joining_and_picking(void **state)
{
    struct ew_scope *s = begin();
    tensor a = ew_from_f32(s, FLOATS(1, 2, 3, 4), SHAPE(2, 2));
    tensor b = ew_from_f32(s, FLOATS(5, 6), SHAPE(2, 1));
    ASSERT_VALUES(s, ew_cat(s, (tensor[]){a, b}, 2, 1), 1, 2, 5, 3, 4, 6);
    tensor stacked = ew_stack(s, (tensor[]){a, a}, 2, 0);
    assert_shape(stacked, SHAPE(2, 2, 2));

    tensor index = ew_from_i64(s, (int64_t[]){1, 0, 1}, SHAPE(3));
    ASSERT_VALUES(s, ew_index_select(s, a, 1, index), 2, 1, 2, 4, 3, 4);
    tensor at = ew_from_i64(s, (int64_t[]){1, 0}, SHAPE(2, 1));
    ASSERT_VALUES(s, ew_gather(s, a, 1, at), 2, 3);
    tensor rows = ew_embedding(s, a, at);
    assert_shape(rows, SHAPE(2, 1, 2));
    ASSERT_VALUES(s, rows, 3, 4, 1, 2);

    tensor values;
    tensor indices;
    tensor t = ew_from_f32(s, FLOATS(3, 9, 7, 8, 1, 2), SHAPE(2, 3));
    assert_true(ew_topk(s, t, 2, &values, &indices));
    ASSERT_VALUES(s, values, 9, 7, 8, 2);
    ASSERT_VALUES(s, indices, 1, 2, 0, 2);
    end(s);
}

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

/* ---- the functions of a transformer ---- */

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

/* ---- errors ---- */

static void the_first_error_stays(void **state)
{
    struct ew_scope *s = begin();
    tensor a = ew_full(s, 1, SHAPE(2, 3));
    tensor b = ew_full(s, 1, SHAPE(4, 5));
    tensor c = ew_matmul(s, a, b);
    assert_null(c);
    assert_false(ew_scope_ok(s));
    assert_null(ew_add(s, a, c));
    assert_null(ew_add(s, a, a)); /* nothing runs any more */
    ew_add_into(s, a, a, 1);
    assert_true(ew_item(s, a) == 0);
    ew_scope_fail(s, EW_ERR_FAILED, "later");
    assert_true(ew_data_f32(a)[0] == 1.0f);
    end_failed(s, EW_ERR_BACKEND, "ew_matmul (2, 3), (4, 5): ");
}

static void a_missing_tensor_is_an_error(void **state)
{
    struct ew_scope *s = begin();
    assert_null(ew_add(s, ew_full(s, 1, SHAPE(1)), NULL));
    end_failed(s, EW_ERR_FAILED, "ew_add: missing tensor");
    s = begin();
    tensor one = ew_full(s, 1, SHAPE(1));
    assert_null(ew_cat(s, (tensor[]){one, NULL}, 2, 0));
    end_failed(s, EW_ERR_FAILED, "ew_cat: missing tensor");
    s = begin();
    ew_scope_fail(s, EW_ERR_INPUT, "%s of %d", "two", 7);
    end_failed(s, EW_ERR_INPUT, "two of 7");
}

static void no_exception_gets_out(void **state)
{
    struct ew_scope *s = begin();
    assert_null(ew_reshape(s, ew_full(s, 0, SHAPE(2, 3)), SHAPE(4)));
    end_failed(s, EW_ERR_BACKEND, "ew_reshape (2, 3): ");
    s = begin();
    float out[2];
    assert_false(ew_read_f32(s, ew_full(s, 0, SHAPE(3)), out, 2));
    end_failed(s, EW_ERR_BACKEND, "has 3 elements, not 2");
    s = begin();
    tensor ids = ew_from_i64(s, (int64_t[]){9}, SHAPE(1));
    assert_null(ew_embedding(s, ew_full(s, 0, SHAPE(3, 2)), ids));
    end_failed(s, EW_ERR_BACKEND, "ew_embedding (3, 2), (1): ");
    s = begin();
    assert_null(ew_empty(s, SHAPE(1, 1, 1, 1, 1, 1, 1)));
    end_failed(s, EW_ERR_BACKEND, "7 dimensions");
    s = begin();
    assert_null(ew_full(s, 0, SHAPE(1 << 20, 1 << 20, 1 << 10)));
    end_failed(s, EW_ERR_NOMEM, "ew_full");
    s = begin();
    tensor dst = ew_full(s, 0, SHAPE(2, 2));
    ew_addmm_into(s, dst, dst, ew_full(s, 0, SHAPE(3, 2)), 1);
    end_failed(s, EW_ERR_BACKEND, "ew_addmm_into (2, 2), (2, 2), (3, 2): ");
    if (!ew_torch_has_cuda()) {
        live_before = ew_torch_live();
        s = ew_scope_open((struct ew_device){.cuda = true});
        assert_true(ew_scope_device(s).cuda);
        assert_null(ew_full(s, 0, SHAPE(2)));
        end_failed(s, EW_ERR_BACKEND, "ew_full");
    }
}

static void cancelling_is_an_error_of_the_scope(void **state)
{
    struct ew_cancel *token = ew_cancel_create();
    struct ew_scope *s = begin();
    assert_false(ew_scope_cancelled(s, NULL));
    assert_false(ew_scope_cancelled(s, token));
    ew_cancel_raise(token);
    assert_true(ew_scope_cancelled(s, token));
    assert_null(ew_full(s, 0, SHAPE(1)));
    end_failed(s, EW_ERR_CANCELLED, "");
    ew_cancel_destroy(token);
}

/* ---- handles ---- */

static void handles_are_given_back(void **state)
{
    long before = ew_torch_live();
    struct ew_scope *s = ew_scope_open(cpu);
    for (int i = 0; i < 50; i++) { /* more than a scope starts with */
        ew_full(s, i, SHAPE(3));
    }
    tensor kept = ew_keep(ew_full(s, 6, SHAPE(2)));
    tensor dropped = ew_full(s, 1, SHAPE(2));
    assert_int_equal(ew_torch_live(), before + 52);
    ew_drop(s, dropped);
    ew_drop(s, NULL);
    assert_int_equal(ew_torch_live(), before + 51);
    assert_true(ew_scope_finish(s, NULL));
    assert_int_equal(ew_torch_live(), before + 1);

    live_before = before;
    s = ew_scope_open(cpu);
    assert_ptr_equal(ew_adopt(s, kept), kept);
    assert_null(ew_adopt(s, NULL));
    ASSERT_VALUES(s, kept, 6, 6);
    end(s);
}

/* ---- gradients ---- */

enum { ROWS = 3, WIDTH = 5, COLS = 4 };

/* The constants of the functions below, of x's type. */
static tensor constant(struct ew_scope *s, tensor x, uint64_t seed, int ndim,
                       const int64_t *shape)
{
    return ew_to(s, random_tensor(s, seed, ndim, shape), ew_tensor_dtype(x));
}

static tensor f_layer_norm(struct ew_scope *s, tensor x)
{
    return ew_layer_norm(s, x, constant(s, x, 1, SHAPE(WIDTH)),
                         constant(s, x, 2, SHAPE(WIDTH)), 1e-5);
}

static tensor f_rms_norm(struct ew_scope *s, tensor x)
{
    return ew_rms_norm(s, x, constant(s, x, 1, SHAPE(WIDTH)), 1e-5);
}

static tensor f_norm_scale(struct ew_scope *s, tensor x)
{
    return ew_norm_scale(s, x, false, 1e-5);
}

static tensor f_matmul(struct ew_scope *s, tensor x)
{
    return ew_matmul(s, x, constant(s, x, 3, SHAPE(WIDTH, COLS)));
}

static tensor f_addmm(struct ew_scope *s, tensor x)
{
    return ew_addmm(s, constant(s, x, 4, SHAPE(COLS)), x,
                    constant(s, x, 3, SHAPE(WIDTH, COLS)));
}

/* both factors depend on x, one is broadcast over a batch */
static tensor f_outer(struct ew_scope *s, tensor x)
{
    tensor batch = constant(s, x, 5, SHAPE(2, COLS, ROWS));
    tensor left = ew_matmul(s, batch, x);
    return ew_matmul(s, left, ew_transpose(s, x, 0, 1));
}

static tensor f_attention(struct ew_scope *s, tensor x)
{
    tensor scores = ew_matmul(s, x, ew_transpose(s, x, 0, 1));
    return ew_matmul(s, ew_causal_softmax(s, scores, 0, 2), x);
}

static tensor f_kl(struct ew_scope *s, tensor x)
{
    tensor logp = ew_log_softmax(s, constant(s, x, 6, SHAPE(ROWS, WIDTH)), -1);
    return ew_kl_rows(s, logp, x);
}

static tensor f_logsumexp(struct ew_scope *s, tensor x)
{
    return ew_logsumexp(s, ew_softmax(s, x, -1), -1, false);
}

static tensor f_gelu_tanh(struct ew_scope *s, tensor x)
{
    return ew_gelu_tanh(s, x);
}

static tensor f_chain(struct ew_scope *s, tensor x)
{
    tensor y = ew_gelu_tanh(s, f_addmm(s, f_layer_norm(s, x)));
    return ew_log_softmax(s, ew_add(s, y, ew_silu(s, y)), -1);
}

typedef tensor function(struct ew_scope *, tensor);

/* A number made of all elements of f(x). */
static tensor loss_of(struct ew_scope *s, function *f, tensor x)
{
    tensor y = f(s, x);
    y = ew_reshape(s, y, SHAPE(-1));
    return ew_sum_all(s, ew_mul(s, y, constant(s, x, 9, SHAPE(ew_numel(y)))));
}

static double loss_at(function *f, const float *x)
{
    struct ew_scope *s = begin();
    tensor t = ew_to(s, ew_from_f32(s, x, SHAPE(ROWS, WIDTH)), EW_F64);
    double loss = ew_item(s, loss_of(s, f, t));
    end(s);
    return loss;
}

static void gradients_are_slopes(void **state)
{
    static const struct {
        const char *name;
        function *f;
    } cases[] = {
        {"layer_norm", f_layer_norm}, {"rms_norm", f_rms_norm},
        {"norm_scale", f_norm_scale}, {"matmul", f_matmul},
        {"addmm", f_addmm},           {"outer", f_outer},
        {"attention", f_attention},   {"kl_rows", f_kl},
        {"logsumexp", f_logsumexp},   {"gelu_tanh", f_gelu_tanh},
        {"chain", f_chain},
    };
    enum { N = ROWS * WIDTH };
    for (size_t c = 0; c < EW_ARRAY_LEN(cases); c++) {
        float *x = noise(N, 50 + c);
        double slope[N];
        for (size_t i = 0; i < N; i++) {
            float old = x[i];
            float up = old + 0x1p-10f;
            float down = old - 0x1p-10f;
            x[i] = up;
            slope[i] = loss_at(cases[c].f, x);
            x[i] = down;
            slope[i] -= loss_at(cases[c].f, x);
            slope[i] /= (double)up - (double)down;
            x[i] = old;
        }
        print_message("%s\n", cases[c].name);
        struct ew_scope *s = begin_grad();
        tensor leaf = ew_leaf(s, ew_from_f32(s, x, SHAPE(ROWS, WIDTH)));
        tensor wide = loss_of(s, cases[c].f, ew_to(s, leaf, EW_F64));
        tensor loss = loss_of(s, cases[c].f, leaf);
        tensor grad = NULL;
        assert_true(ew_grad(s, wide, &leaf, 1, &grad));
        assert_close(s, grad, slope, N, 2e-5);
        assert_true(ew_grad(s, loss, &leaf, 1, &grad));
        assert_close(s, grad, slope, N, 5e-5);
        assert_true(ew_grad(s, loss, &leaf, 1, &grad)); /* and again */
        assert_close(s, grad, slope, N, 5e-5);
        end(s);
        free(x);
    }
}

static void what_the_loss_ignores_has_gradient_zero(void **state)
{
    struct ew_scope *s = begin_grad();
    tensor ins[2] = {ew_leaf(s, ew_full(s, 2, SHAPE(2))),
                     ew_leaf(s, ew_full(s, 5, SHAPE(3)))};
    tensor grads[2] = {NULL, NULL};
    tensor loss = ew_sum_all(s, ew_square(s, ins[0]));
    assert_true(ew_grad(s, loss, ins, 2, grads));
    ASSERT_VALUES(s, grads[0], 4, 4);
    ASSERT_VALUES(s, grads[1], 0, 0, 0);
    /* a loss that depends on nothing */
    assert_true(ew_grad(s, ew_full(s, 1, SHAPE(1)), ins, 2, grads));
    ASSERT_VALUES(s, grads[0], 0, 0);
    assert_false(ew_grad(s, ew_square(s, ins[0]), ins, 2, grads));
    end_failed(s, EW_ERR_BACKEND, "one number");
    s = begin();
    assert_null(ew_leaf(s, ew_full(s, 2, SHAPE(2))));
    end_failed(s, EW_ERR_BACKEND, "no gradients");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scope_before_loading_has_failed),
        cmocka_unit_test(several_threads_may_load),
        cmocka_unit_test(threads_can_be_set),
        cmocka_unit_test(made_tensors_have_shape_type_and_values),
        cmocka_unit_test(borrowed_bytes_may_lie_anywhere),
        cmocka_unit_test(views_show_the_right_elements),
        cmocka_unit_test(views_share_memory_and_copies_do_not),
        cmocka_unit_test(joining_and_picking),
        cmocka_unit_test(functions_of_one_number),
        cmocka_unit_test(arithmetic_broadcasts),
        cmocka_unit_test(reductions),
        cmocka_unit_test(products_of_matrices),
        cmocka_unit_test(products_of_batches),
        cmocka_unit_test(products_broadcast_leading_dimensions),
        cmocka_unit_test(norms),
        cmocka_unit_test(softmax_and_kin),
        cmocka_unit_test(logits_of_minus_infinity_count_as_nothing),
        cmocka_unit_test(attention_sees_what_it_may),
        cmocka_unit_test(the_first_error_stays),
        cmocka_unit_test(a_missing_tensor_is_an_error),
        cmocka_unit_test(no_exception_gets_out),
        cmocka_unit_test(cancelling_is_an_error_of_the_scope),
        cmocka_unit_test(handles_are_given_back),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(what_the_loss_ignores_has_gradient_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
