/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of F32 on the CPU: cut into pieces for torch's threads, each piece
 * one call of BLAS, so that large products and batches of small ones both use
 * every core (torch_threads.cpp says why BLAS is not left to it). Strided
 * operands are read where they are. Whatever does not fit (other types, CUDA,
 * no BLAS to call) is torch's own product; recorded products go through the
 * same pieces, forwards and backwards.
 *
 * Why not both pools: with two threads for OpenMP and two for OpenBLAS on two
 * cores, 620x512x512 followed by an addition took 5 to 15 ms, by the better
 * of the single pools 2.4 (a product alone 1.3, on one thread 2.2).
 */
#include "torch.hpp"

#include <algorithm>

#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <torch/csrc/autograd/custom_function.h>

namespace ew::op
{

/* Multiply-adds under which a product is not worth a second thread. */
static constexpr int64_t piece_work = 400000;

static void note_work(int64_t n)
{
    multiply_adds.fetch_add(n, std::memory_order_relaxed);
}

/* A matrix as BLAS takes it: `ld` floats from one row (column) to the next. */
struct matrix {
    const float *p;
    int64_t rows, cols, ld;
    bool trans; /* columns are contiguous, not rows */
};

/* Does BLAS read this without a copy? */
static bool describe(matrix *m, const float *p, int64_t rows, int64_t cols,
                     int64_t row_stride, int64_t col_stride)
{
    *m = {p, rows, cols, std::max(row_stride, cols), false};
    if ((cols == 1 && row_stride >= 1) || (col_stride == 1 && rows == 1) ||
        (col_stride == 1 && row_stride >= cols)) {
        return true;
    }
    *m = {p, rows, cols, std::max(col_stride, rows), true};
    return row_stride == 1 && (cols == 1 || col_stride >= rows);
}

/* The last two dimensions of `t`. */
static bool describe(matrix *m, const at::Tensor &t)
{
    int64_t d = t.dim();
    return describe(m, t.data_ptr<float>(), t.size(d - 2), t.size(d - 1),
                    t.stride(d - 2), t.stride(d - 1));
}

/* c (m, n) = beta c + alpha a (m, k) b (k, n) */
struct product {
    matrix a, b;
    float *c;
    int64_t ldc;
    float alpha, beta;
    const float *bias; /* (n) or NULL; replaces c when there is one */
};

/* Rows [r0, r1) and columns [c0, c1) of a product. */
static void run(const product &p, int64_t r0, int64_t r1, int64_t c0,
                int64_t c1)
{
    float *c = p.c + r0 * p.ldc + c0;
    float beta = p.beta;
    if (p.bias) {
        for (int64_t r = 0; r < r1 - r0; r++) {
            std::copy(p.bias + c0, p.bias + c1, c + r * p.ldc);
        }
        beta = 1.0f;
    }
    enum { ROW_MAJOR = 101, AS_IS = 111, TRANSPOSED = 112 };
    auto i = [](int64_t n) { return static_cast<int>(n); };
    sgemm()(ROW_MAJOR, p.a.trans ? TRANSPOSED : AS_IS,
            p.b.trans ? TRANSPOSED : AS_IS, i(r1 - r0), i(c1 - c0),
            i(p.a.cols), p.alpha, p.a.p + r0 * (p.a.trans ? 1 : p.a.ld),
            i(p.a.ld), p.b.p + c0 * (p.b.trans ? p.b.ld : 1), i(p.b.ld), beta,
            c, i(p.ldc));
}

/* How many pieces each way, for `n` pieces in all, nearest to squares. */
struct grid {
    int64_t rows, cols;
};

static grid cut(int64_t m, int64_t n, int64_t pieces)
{
    grid best = {1, 1};
    int64_t least = INT64_MAX;
    for (int64_t rows = 1; rows <= pieces; rows++) {
        int64_t side = m / rows + n / (pieces / rows);
        if (pieces % rows == 0 && side < least) {
            least = side;
            best = {rows, pieces / rows};
        }
    }
    return best;
}

/* The start of piece i of n over [0, size): whole tiles of BLAS's kernels. */
static int64_t edge(int64_t size, int64_t i, int64_t n)
{
    return i == n ? size : std::min(size, (size * i / n + 8) / 16 * 16);
}

/*
 * `count` products, number i at at(i), all of one size, on all threads.
 */
template <class At>
static void run_all(int64_t count, const matrix &a, const matrix &b, At &&at)
{
    int64_t work = a.rows * a.cols * b.cols;
    note_work(count * work);
    int64_t worth = std::max<int64_t>(1, count * work / piece_work);
    int64_t pieces = std::min<int64_t>(threads(), worth);
    grid g = cut(a.rows, b.cols, count >= pieces ? 1 : pieces);
    int64_t each = g.rows * g.cols;
    int64_t total = count * each;
    in_parallel(total, total / pieces,
                [&](int64_t from, int64_t to) {
                    for (int64_t i = from; i < to; i++) {
                        int64_t r = i % each / g.cols;
                        int64_t c = i % each % g.cols;
                        run(at(i / each), edge(a.rows, r, g.rows),
                            edge(a.rows, r + 1, g.rows),
                            edge(b.cols, c, g.cols),
                            edge(b.cols, c + 1, g.cols));
                    }
                });
}

static bool fits(const at::Tensor &t)
{
    constexpr int64_t most = 0x7fffffff; /* BLAS counts in int */
    if (!plain_f32(t) || t.dim() < 2 || t.numel() == 0) {
        return false;
    }
    for (int64_t d = t.dim() - 2; d < t.dim(); d++) {
        if (t.size(d) > most || t.stride(d) > most) {
            return false;
        }
    }
    return t.numel() / t.size(-1) <= most && sgemm() != nullptr;
}

/* `t` itself when BLAS reads it in place, else a copy. */
static at::Tensor readable(const at::Tensor &t)
{
    matrix m;
    return describe(&m, t) ? t : t.contiguous();
}

/* Row stride of (.., I) seen as (N, I), or 0 when it is not one matrix. */
static int64_t row_stride(const at::Tensor &t)
{
    int64_t stride = 0;
    int64_t next = 0;
    for (int64_t d = t.dim() - 2; d >= 0; d--) {
        if (t.size(d) == 1) {
            continue;
        }
        if (stride == 0) {
            stride = t.stride(d);
        } else if (t.stride(d) != next) {
            return 0;
        }
        next = t.stride(d) * t.size(d);
    }
    return stride ? stride : t.size(t.dim() - 1);
}

/* a (.., I) times one matrix b (I, O), plus bias (O). */
static at::Tensor times_matrix(at::Tensor a, const at::Tensor &b,
                               const float *bias)
{
    matrix ma;
    matrix mb;
    int64_t width = a.size(-1);
    int64_t rows = a.numel() / width;
    if (!describe(&ma, a.data_ptr<float>(), rows, width, row_stride(a),
                  a.stride(-1))) {
        a = a.contiguous();
        describe(&ma, a.data_ptr<float>(), rows, width, width, 1);
    }
    at::Tensor right = readable(b);
    describe(&mb, right);
    at::DimVector shape(a.sizes().begin(), a.sizes().end());
    shape.back() = mb.cols;
    at::Tensor out = at::empty(shape, a.options());
    product whole = {ma, mb, out.data_ptr<float>(), mb.cols, 1, 0, bias};
    run_all(1, ma, mb, [&](int64_t) { return whole; });
    return out;
}

/* Offsets of matrix number i in a tensor broadcast to a batch's shape. */
static int64_t offset(const at::Tensor &t, at::IntArrayRef batch, int64_t i)
{
    int64_t at = 0;
    for (int64_t d = static_cast<int64_t>(batch.size()); d-- > 0;) {
        int64_t own = d - static_cast<int64_t>(batch.size()) + t.dim() - 2;
        int64_t n = batch[static_cast<size_t>(d)];
        if (own >= 0 && t.size(own) > 1) {
            at += i % n * t.stride(own);
        }
        i /= n;
    }
    return at;
}

/* The broadcast of leading dimensions; false when they do not agree. */
static bool broadcast(at::DimVector *batch, const at::Tensor &a,
                      const at::Tensor &b)
{
    int64_t n = std::max(a.dim(), b.dim()) - 2;
    batch->assign(static_cast<size_t>(n), 1);
    for (int64_t d = 1; d <= n; d++) {
        int64_t x = d <= a.dim() - 2 ? a.size(-2 - d) : 1;
        int64_t y = d <= b.dim() - 2 ? b.size(-2 - d) : 1;
        if (x != y && x != 1 && y != 1) {
            return false;
        }
        (*batch)[static_cast<size_t>(n - d)] = std::max(x, y);
    }
    return true;
}

/* a and b of any leading dimensions, broadcast to `batch`. */
static at::Tensor times_batch(const at::Tensor &left, const at::Tensor &right,
                              const at::DimVector &batch)
{
    at::Tensor a = readable(left);
    at::Tensor b = readable(right);
    matrix ma;
    matrix mb;
    describe(&ma, a);
    describe(&mb, b);
    at::DimVector shape(batch);
    shape.push_back(ma.rows);
    shape.push_back(mb.cols);
    at::Tensor out = at::empty(shape, a.options());
    float *c = out.data_ptr<float>();
    int64_t size = ma.rows * mb.cols;
    run_all(out.numel() / size, ma, mb, [&](int64_t i) {
        product p = {ma, mb, c + i * size, mb.cols, 1, 0, nullptr};
        p.a.p += offset(a, batch, i);
        p.b.p += offset(b, batch, i);
        return p;
    });
    return out;
}

/* torch's own product. */
static at::Tensor times_torch(const at::Tensor &a, const at::Tensor &b)
{
    at::Tensor out = at::matmul(a, b);
    note_work(out.numel() * a.size(-1));
    return out;
}

static at::Tensor times(const at::Tensor &a, const at::Tensor &b)
{
    at::DimVector batch;
    if (!fits(a) || !fits(b) || a.size(-1) != b.size(-2) ||
        !broadcast(&batch, a, b)) {
        return times_torch(a, b);
    }
    return b.dim() == 2 ? times_matrix(a, b, nullptr)
                        : times_batch(a, b, batch);
}

/* ---- recorded products ---- */

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/* d(ab) = d a b' and a' d b, each summed back over what was broadcast. */
struct recorded : torch::autograd::Function<recorded> {
    static at::Tensor forward(AutogradContext *ctx, const at::Tensor &a,
                              const at::Tensor &b)
    {
        ctx->save_for_backward({a, b});
        return times(a, b);
    }

    static variable_list backward(AutogradContext *ctx, variable_list grads)
    {
        if (ew_cancelled(watched::token)) {
            throw cancelled();
        }
        auto saved = ctx->get_saved_variables();
        const at::Tensor &a = saved[0];
        const at::Tensor &b = saved[1];
        at::Tensor da;
        at::Tensor db;
        if (ctx->needs_input_grad(0)) {
            da = times(grads[0], b.transpose(-1, -2)).sum_to_size(a.sizes());
        }
        if (ctx->needs_input_grad(1) && b.dim() == 2) {
            db = times(a.reshape({-1, a.size(-1)}).t(),
                          grads[0].reshape({-1, b.size(-1)}));
        } else if (ctx->needs_input_grad(1)) {
            db = times(a.transpose(-1, -2), grads[0]).sum_to_size(b.sizes());
        }
        return {da, db};
    }
};

static at::Tensor times_recorded(const at::Tensor &a, const at::Tensor &b)
{
    bool record = (tracked(a) || tracked(b)) && a.dim() >= 2 && b.dim() >= 2;
    return record && sgemm() ? recorded::apply(a, b) : times(a, b);
}

ew_tensor *matmul(ew_scope *s, const ew_tensor *a, const ew_tensor *b)
{
    return make(s, "matmul", {a, b},
                [&] { return times_recorded(a->t, b->t); });
}

static at::Tensor times_plus(const at::Tensor &bias, const at::Tensor &a,
                               const at::Tensor &b)
{
    if (fits(a) && fits(b) && plain_f32(bias) && bias.dim() == 1 &&
        b.dim() == 2 && a.size(-1) == b.size(0) && bias.size(0) == b.size(1)) {
        at::Tensor row = bias.contiguous();
        return times_matrix(a, b, row.data_ptr<float>());
    }
    if (a.dim() != 2 || b.dim() != 2 || tracked(a) || tracked(b)) {
        return at::add(times_recorded(a, b), bias);
    }
    note_work(a.numel() * b.size(1));
    return at::addmm(bias, a, b);
}

ew_tensor *addmm(ew_scope *s, const ew_tensor *bias, const ew_tensor *a,
                 const ew_tensor *b)
{
    return make(s, "addmm", {bias, a, b}, [&] {
        return bias ? times_plus(bias->t, a->t, b->t)
                    : times_recorded(a->t, b->t);
    });
}

/* dst += alpha a b for `count` matrices; false when torch must do it. */
static bool add_product(const at::Tensor &dst, const at::Tensor &left,
                          const at::Tensor &right, double alpha, int64_t count)
{
    if (!fits(dst) || !fits(left) || !fits(right)) {
        return false;
    }
    at::Tensor a = readable(left);
    at::Tensor b = readable(right);
    matrix ma;
    matrix mb;
    matrix mc;
    describe(&ma, a);
    describe(&mb, b);
    auto step = [](const at::Tensor &t) {
        return t.dim() == 3 ? t.stride(0) : 0;
    };
    if (!describe(&mc, dst) || mc.trans || ma.cols != mb.rows ||
        ma.rows != mc.rows || mb.cols != mc.cols ||
        (count > 1 && step(dst) == 0)) {
        return false;
    }
    float *c = dst.data_ptr<float>();
    run_all(count, ma, mb, [&](int64_t i) {
        product p = {ma,     mb, c + i * step(dst),
                     mc.ld, static_cast<float>(alpha), 1, nullptr};
        p.a.p += i * step(a);
        p.b.p += i * step(b);
        return p;
    });
    return true;
}

void addmm_into(ew_scope *s, ew_tensor *dst, const ew_tensor *a,
                const ew_tensor *b, double alpha)
{
    guarded(s, "addmm_into", {dst, a, b}, [&] {
        bool flat = dst->t.dim() == 2 && a->t.dim() == 2 && b->t.dim() == 2;
        if (!flat || !add_product(dst->t, a->t, b->t, alpha, 1)) {
            dst->t.addmm_(a->t, b->t, 1, alpha);
            note_work(dst->t.numel() * a->t.size(-1));
        }
    });
}

void baddbmm_into(ew_scope *s, ew_tensor *dst, const ew_tensor *a,
                  const ew_tensor *b, double alpha)
{
    guarded(s, "baddbmm_into", {dst, a, b}, [&] {
        bool batch = dst->t.dim() == 3 && a->t.dim() == 3 &&
                     b->t.dim() == 3 && a->t.size(0) == dst->t.size(0) &&
                     b->t.size(0) == dst->t.size(0);
        if (!batch ||
            !add_product(dst->t, a->t, b->t, alpha, dst->t.size(0))) {
            dst->t.baddbmm_(a->t, b->t, 1, alpha);
            note_work(dst->t.numel() * a->t.size(-1));
        }
    });
}

} // namespace ew::op
