/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of a transformer, and gradients. Where hot.h has a loop for
 * a function, it is taken for dense F32 on the CPU whose gradient nobody
 * wants; the composition of torch operations beside it is its twin for all
 * else and must agree with it.
 */
#include "torch_hot.hpp"

#include <algorithm>

#include <ATen/ops/add.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/var.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>


namespace ew::op
{

static const int64_t last_dim = -1;
static const at::IntArrayRef over_last(last_dim);

/* Is a parameter absent, or one dense row of `d`? */
static bool row_or_none(const ew_tensor *t, int64_t d)
{
    return !t || (plain_f32(t->t) && t->t.dim() == 1 && t->t.size(0) == d &&
                  t->t.is_contiguous());
}

static const float *data(const ew_tensor *t)
{
    return t ? t->t.data_ptr<float>() : nullptr;
}

static bool is_last(const at::Tensor &t, int dim)
{
    return dim == -1 || dim == t.dim() - 1;
}

/* A new tensor like x, each row by f(out, in, number of rows, width). */
template <class F> static at::Tensor row_wise(const at::Tensor &x, F &&f)
{
    at::Tensor in = x.contiguous();
    at::Tensor out = at::empty(in.sizes(), in.options());
    const float *from_row = in.data_ptr<float>();
    float *to_row = out.data_ptr<float>();
    rows r(in);
    r.split([&](int64_t from, int64_t to) {
        f(to_row + from * r.d, from_row + from * r.d, to - from, r.d);
    });
    return out;
}

/* A number for each row of x, by f(out, in, number of rows, width). */
template <class F>
static at::Tensor row_number(const at::Tensor &x, bool keepdim, F &&f)
{
    at::Tensor in = x.contiguous();
    at::Tensor out = at::empty(reduced_shape(in, keepdim), in.options());
    const float *from_row = in.data_ptr<float>();
    float *to = out.data_ptr<float>();
    rows r(in);
    r.split([&](int64_t from, int64_t end) {
        f(to + from, from_row + from * r.d, end - from, r.d);
    });
    return out;
}

/* ---- norms ---- */

ew_tensor *layer_norm(ew_scope *s, const ew_tensor *t, const ew_tensor *gain,
                      const ew_tensor *bias, double eps)
{
    return make(s, "layer_norm", {t, gain, bias}, [&] {
        int64_t d = rows(t->t).d;
        if (!dense(t->t) || !row_or_none(gain, d) || !row_or_none(bias, d)) {
            return at::layer_norm(t->t, at::IntArrayRef(d), maybe(gain),
                                  maybe(bias), eps);
        }
        const float *g = data(gain);
        const float *b = data(bias);
        return row_wise(t->t, [&](float *out, const float *in, int64_t n,
                                  int64_t width) {
            hot().layer_norm(out, in, g, b, n, width,
                             static_cast<float>(eps));
        });
    });
}

ew_tensor *rms_norm(ew_scope *s, const ew_tensor *t, const ew_tensor *gain,
                    double eps)
{
    return make(s, "rms_norm", {t, gain}, [&] {
        const at::Tensor &x = t->t;
        if (!dense(x) || !row_or_none(gain, rows(x).d)) {
            at::Tensor power = at::mean(at::mul(x, x), over_last, true);
            at::Tensor unit = at::mul(x, at::rsqrt(at::add(power, eps)));
            return gain ? at::mul(unit, gain->t) : unit;
        }
        const float *g = data(gain);
        return row_wise(
            x, [&](float *out, const float *in, int64_t n, int64_t width) {
                hot().rms_norm(out, in, g, n, width, static_cast<float>(eps));
            });
    });
}

ew_tensor *norm_scale(ew_scope *s, const ew_tensor *t, bool rms, double eps)
{
    return make(s, "norm_scale", {t}, [&] {
        const at::Tensor &x = t->t;
        if (!dense(x)) {
            at::Tensor power = rms ? at::mean(at::mul(x, x), over_last, true)
                                   : at::var(x, over_last, false, true);
            return at::sqrt(at::add(power, eps));
        }
        return row_number(x, true, [&](float *out, const float *in, int64_t n,
                                       int64_t width) {
            hot().norm_scale(out, in, n, width, rms, static_cast<float>(eps));
        });
    });
}

/* Where row r of (.., D) starts, from the first element. */
static int64_t row_offset(const at::Tensor &t, int64_t r)
{
    int64_t at = 0;
    for (int64_t d = t.dim() - 1; d-- > 0;) {
        at += r % t.size(d) * t.stride(d);
        r /= t.size(d);
    }
    return at;
}

ew_tensor *norm_scale_of_sum(ew_scope *s, const ew_tensor *t,
                             const struct ew_addend *addends, size_t n,
                             bool rms, double eps)
{
    return make(s, "norm_scale_of_sum", {t}, [&] {
        constexpr size_t most = 8;
        const at::Tensor *x[most] = {&t->t};
        float signs[most] = {1.0f};
        bool all = n < most && dense(t->t) && t->t.stride(-1) == 1;
        for (size_t i = 0; i < n && all; i++) {
            x[i + 1] = &addends[i].t->t;
            signs[i + 1] = static_cast<float>(addends[i].sign);
            all = dense(*x[i + 1]) && x[i + 1]->stride(-1) == 1 &&
                  x[i + 1]->sizes() == t->t.sizes();
        }
        if (!all) {
            at::Tensor sum = t->t;
            for (size_t i = 0; i < n; i++) {
                sum = at::add(sum, addends[i].t->t, addends[i].sign);
            }
            at::Tensor power = rms ? at::mean(at::mul(sum, sum), over_last,
                                              true)
                                   : at::var(sum, over_last, false, true);
            return at::sqrt(at::add(power, eps));
        }
        at::Tensor out = at::empty(reduced_shape(t->t, true), t->t.options());
        float *to = out.data_ptr<float>();
        const float *base[most];
        for (size_t k = 0; k <= n; k++) {
            base[k] = x[k]->data_ptr<float>();
        }
        rows r(t->t);
        r.split([&](int64_t from, int64_t end) {
            for (int64_t i = from; i < end; i++) {
                const float *row[most];
                for (size_t k = 0; k <= n; k++) {
                    row[k] = base[k] + row_offset(*x[k], i);
                }
                to[i] = hot().norm_scale_of_sum(row, signs,
                                                static_cast<int>(n) + 1, r.d,
                                                rms, static_cast<float>(eps));
            }
        });
        return out;
    });
}

/* ---- softmax and what is made of it ---- */

ew_tensor *logsumexp(ew_scope *s, const ew_tensor *t, int dim, bool keepdim)
{
    return make(s, "logsumexp", {t}, [&] {
        int64_t wide = dim;
        return dense(t->t) && is_last(t->t, dim)
                   ? row_number(t->t, keepdim, hot().logsumexp)
                   : at::logsumexp(t->t, at::IntArrayRef(wide), keepdim);
    });
}

ew_tensor *log_softmax(ew_scope *s, const ew_tensor *t, int dim)
{
    return make(s, "log_softmax", {t}, [&] {
        return dense(t->t) && is_last(t->t, dim)
                   ? row_wise(t->t, hot().log_softmax)
                   : at::log_softmax(t->t, dim);
    });
}

ew_tensor *softmax(ew_scope *s, const ew_tensor *t, int dim)
{
    return make(s, "softmax", {t}, [&] {
        return dense(t->t) && is_last(t->t, dim)
                   ? row_wise(t->t, hot().softmax)
                   : at::softmax(t->t, dim);
    });
}

/* True where query i, at first + i, must not see key j. */
static at::Tensor hidden(const at::Tensor &scores, int64_t first,
                         int64_t window)
{
    TORCH_CHECK(scores.dim() >= 2, "scores need two dimensions");
    at::TensorOptions options =
        at::TensorOptions().dtype(at::kLong).device(scores.device());
    int64_t tq = scores.size(-2);
    at::Tensor i = at::arange(first, first + tq, options).unsqueeze(-1);
    at::Tensor j = at::arange(scores.size(-1), options);
    at::Tensor mask = j.gt(i);
    return window > 0 ? mask.logical_or(j.le(at::sub(i, window))) : mask;
}

/* A row that sees nothing becomes 0, without NaN on the way. */
static at::Tensor causal_twin(const at::Tensor &scores, int64_t first,
                              int64_t window)
{
    at::Tensor mask = hidden(scores, first, window);
    double low = scores.scalar_type() == at::kHalf ? -6e4 : -1e30;
    return at::softmax(scores.masked_fill(mask, low), -1).masked_fill(mask, 0);
}

/* In place; false when the loop of ours does not take it. */
static bool causal_hot(const at::Tensor &x, int64_t first, int64_t window)
{
    if (!dense(x) || x.dim() < 2 || !x.is_contiguous()) {
        return false;
    }
    float *p = x.data_ptr<float>();
    int64_t tq = x.size(-2);
    rows r(x);
    r.split([&](int64_t from, int64_t to) {
        hot().causal_softmax(p, from, to, tq, r.d, first, window);
    }, exp_piece_size);
    return true;
}

ew_tensor *causal_softmax_into(ew_scope *s, ew_tensor *scores, int64_t first,
                               int64_t window)
{
    bool ok = guarded(s, "causal_softmax_into", {scores}, [&] {
        if (!causal_hot(scores->t, first, window)) {
            scores->t.copy_(causal_twin(scores->t, first, window));
        }
    });
    return ok ? scores : nullptr;
}

ew_tensor *causal_softmax(ew_scope *s, const ew_tensor *scores, int64_t first,
                          int64_t window)
{
    return make(s, "causal_softmax", {scores}, [&] {
        const at::Tensor &x = scores->t;
        if (dense(x) && x.dim() >= 2) {
            at::Tensor copy = x.clone(at::MemoryFormat::Contiguous);
            causal_hot(copy, first, window);
            return copy;
        }
        return causal_twin(x, first, window);
    });
}

ew_tensor *gelu_tanh(ew_scope *s, const ew_tensor *t)
{
    return make(s, "gelu_tanh", {t}, [&] {
        if (!dense(t->t)) {
            return at::gelu(t->t, "tanh");
        }
        at::Tensor in = t->t.contiguous();
        at::Tensor out = at::empty(in.sizes(), in.options());
        const float *x = in.data_ptr<float>();
        float *y = out.data_ptr<float>();
        in_parallel(in.numel(), piece_size, [&](int64_t from, int64_t to) {
            hot().gelu_tanh(y + from, x + from, to - from);
        });
        return out;
    });
}

/* ---- gradients ---- */

ew_tensor *leaf(ew_scope *s, const ew_tensor *t)
{
    return make(s, "leaf", {t}, [&] {
        TORCH_CHECK(s->grad, "this scope records no gradients");
        return t->t.detach().requires_grad_(true);
    });
}

bool grad(ew_scope *s, const ew_tensor *loss, ew_tensor *const *inputs,
          size_t n, ew_tensor **grads)
{
    return guarded(s, "grad", {loss}, [&] {
        TORCH_CHECK(s->grad, "this scope records no gradients");
        TORCH_CHECK(loss->t.numel() == 1, "the loss must be one number");
        torch::autograd::variable_list wrt;
        for (size_t i = 0; i < n; i++) {
            wrt.push_back(inputs[i]->t);
        }
        torch::autograd::variable_list found(n);
        watched until(s);
        if (loss->t.requires_grad() && n > 0) {
            found = torch::autograd::grad({loss->t}, wrt, {},
                                          /* retain_graph */ true,
                                          /* create_graph */ false,
                                          /* allow_unused */ true);
        }
        for (size_t i = 0; i < n; i++) {
            grads[i] = own(s, found[i].defined() ? found[i]
                                                 : at::zeros_like(wrt[i]));
        }
    });
}

} // namespace ew::op
