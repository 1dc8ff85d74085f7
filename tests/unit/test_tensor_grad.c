/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gradients against finite differences.
 */
#include "tensor_fixture.h"

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
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(what_the_loss_ignores_has_gradient_zero),
    };
    return cmocka_run_group_tests(tests, load_module, NULL);
}
