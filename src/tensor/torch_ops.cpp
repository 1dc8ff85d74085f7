/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations that torch does well as it is: making, reading, views,
 * joining, arithmetic and reductions. Each is one torch call; what a result
 * shares with its argument is what torch says.
 */
#include "torch.hpp"

#include <cstring>
#include <vector>

#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/div.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/topk.h>

namespace ew::op
{

using shape_ref = at::IntArrayRef;

static at::ScalarType scalar_type(enum ew_dtype dtype)
{
    switch (dtype) {
    case EW_F64:
        return at::kDouble;
    case EW_F16:
        return at::kHalf;
    case EW_BF16:
        return at::kBFloat16;
    case EW_I64:
        return at::kLong;
    case EW_I32:
        return at::kInt;
    case EW_U8:
        return at::kByte;
    case EW_BOOL:
        return at::kBool;
    case EW_F32:
        break;
    }
    return at::kFloat;
}

static at::Device device(const ew_scope *s)
{
    return s->dev.cuda ? at::Device(at::kCUDA,
                                    static_cast<at::DeviceIndex>(s->dev.index))
                       : at::Device(at::kCPU);
}

static at::TensorOptions options(const ew_scope *s, at::ScalarType type)
{
    return at::TensorOptions().dtype(type).device(device(s));
}

static shape_ref shape_of(int ndim, const int64_t *shape)
{
    TORCH_CHECK(ndim >= 0 && ndim <= EW_MAX_DIMS, "a tensor of ", ndim,
                " dimensions; at most ", static_cast<int>(EW_MAX_DIMS));
    return {shape, static_cast<size_t>(ndim)};
}

/* ---- making and reading ---- */

/* A tensor on the scope's device with a copy of host memory. */
static at::Tensor copied(const ew_scope *s, const void *data,
                         at::ScalarType type, int ndim, const int64_t *shape)
{
    at::Tensor host = at::empty(shape_of(ndim, shape), type);
    if (host.numel() > 0) {
        std::memcpy(host.data_ptr(), data, host.nbytes());
    }
    return s->dev.cuda ? host.to(device(s)) : host;
}

ew_tensor *from_f32(ew_scope *s, const float *data, int ndim,
                    const int64_t *shape)
{
    return make(s, "from_f32", {},
                [&] { return copied(s, data, at::kFloat, ndim, shape); });
}

ew_tensor *from_i64(ew_scope *s, const int64_t *data, int ndim,
                    const int64_t *shape)
{
    return make(s, "from_i64", {},
                [&] { return copied(s, data, at::kLong, ndim, shape); });
}

ew_tensor *borrow(ew_scope *s, const void *data, enum ew_dtype dtype, int ndim,
                  const int64_t *shape)
{
    return make(s, "borrow", {}, [&] {
        at::ScalarType type = scalar_type(dtype);
        if (reinterpret_cast<uintptr_t>(data) % ew_dtype_size(dtype) != 0) {
            return copied(s, data, type, ndim, shape);
        }
        at::Tensor host = at::from_blob(const_cast<void *>(data),
                                        shape_of(ndim, shape), type);
        return s->dev.cuda ? host.to(device(s)) : host;
    });
}

ew_tensor *empty(ew_scope *s, int ndim, const int64_t *shape)
{
    return make(s, "empty", {}, [&] {
        return at::empty(shape_of(ndim, shape), options(s, at::kFloat));
    });
}

ew_tensor *full(ew_scope *s, double value, int ndim, const int64_t *shape)
{
    return make(s, "full", {}, [&] {
        return at::full(shape_of(ndim, shape), value, options(s, at::kFloat));
    });
}

ew_tensor *arange(ew_scope *s, int64_t from, int64_t to)
{
    return make(s, "arange", {},
                [&] { return at::arange(from, to, options(s, at::kLong)); });
}

ew_tensor *to(ew_scope *s, const ew_tensor *t, enum ew_dtype dtype)
{
    return make(s, "to", {t}, [&] { return t->t.to(scalar_type(dtype)); });
}

static bool read(ew_scope *s, const char *name, const ew_tensor *t,
                 at::ScalarType type, void *out, size_t n)
{
    return guarded(s, name, {t}, [&] {
        TORCH_CHECK(static_cast<size_t>(t->t.numel()) == n, "has ",
                    t->t.numel(), " elements, not ", n);
        at::Tensor host = t->t.detach().to(at::kCPU, type).contiguous();
        if (n > 0) {
            std::memcpy(out, host.data_ptr(), host.nbytes());
        }
    });
}

bool read_f32(ew_scope *s, const ew_tensor *t, float *out, size_t n)
{
    return read(s, "read_f32", t, at::kFloat, out, n);
}

bool read_f64(ew_scope *s, const ew_tensor *t, double *out, size_t n)
{
    return read(s, "read_f64", t, at::kDouble, out, n);
}

bool read_i64(ew_scope *s, const ew_tensor *t, int64_t *out, size_t n)
{
    return read(s, "read_i64", t, at::kLong, out, n);
}

double item(ew_scope *s, const ew_tensor *t)
{
    double value = 0;
    guarded(s, "item", {t}, [&] { value = t->t.item().toDouble(); });
    return value;
}

/* ---- views ---- */

ew_tensor *reshape(ew_scope *s, const ew_tensor *t, int ndim,
                   const int64_t *shape)
{
    return make(s, "reshape", {t},
                [&] { return t->t.reshape(shape_of(ndim, shape)); });
}

ew_tensor *permute(ew_scope *s, const ew_tensor *t, int ndim, const int *dims)
{
    return make(s, "permute", {t}, [&] {
        int64_t wide[EW_MAX_DIMS];
        for (int i = 0; i < ndim && i < EW_MAX_DIMS; i++) {
            wide[i] = dims[i];
        }
        return t->t.permute(shape_of(ndim, wide));
    });
}

ew_tensor *transpose(ew_scope *s, const ew_tensor *t, int dim0, int dim1)
{
    return make(s, "transpose", {t},
                [&] { return t->t.transpose(dim0, dim1); });
}

ew_tensor *narrow(ew_scope *s, const ew_tensor *t, int dim, int64_t start,
                  int64_t length)
{
    return make(s, "narrow", {t},
                [&] { return t->t.narrow(dim, start, length); });
}

ew_tensor *select(ew_scope *s, const ew_tensor *t, int dim, int64_t index)
{
    return make(s, "select", {t}, [&] { return t->t.select(dim, index); });
}

ew_tensor *unsqueeze(ew_scope *s, const ew_tensor *t, int dim)
{
    return make(s, "unsqueeze", {t}, [&] { return t->t.unsqueeze(dim); });
}

ew_tensor *squeeze(ew_scope *s, const ew_tensor *t, int dim)
{
    return make(s, "squeeze", {t}, [&] { return t->t.squeeze(dim); });
}

ew_tensor *expand(ew_scope *s, const ew_tensor *t, int ndim,
                  const int64_t *shape)
{
    return make(s, "expand", {t},
                [&] { return t->t.expand(shape_of(ndim, shape)); });
}

ew_tensor *contiguous(ew_scope *s, const ew_tensor *t)
{
    return make(s, "contiguous", {t}, [&] { return t->t.contiguous(); });
}

ew_tensor *clone(ew_scope *s, const ew_tensor *t)
{
    return make(s, "clone", {t}, [&] {
        return t->t.clone(at::MemoryFormat::Contiguous);
    });
}

/* ---- joining and picking ---- */

static std::vector<at::Tensor> list(ew_tensor *const *ts, size_t n)
{
    std::vector<at::Tensor> all;
    all.reserve(n);
    for (size_t i = 0; i < n; i++) {
        all.push_back(ts[i]->t);
    }
    return all;
}

ew_tensor *cat(ew_scope *s, ew_tensor *const *ts, size_t n, int dim)
{
    return make(s, "cat", {n > 0 ? ts[0] : nullptr},
                [&] { return at::cat(list(ts, n), dim); });
}

ew_tensor *stack(ew_scope *s, ew_tensor *const *ts, size_t n, int dim)
{
    return make(s, "stack", {n > 0 ? ts[0] : nullptr},
                [&] { return at::stack(list(ts, n), dim); });
}

ew_tensor *index_select(ew_scope *s, const ew_tensor *t, int dim,
                        const ew_tensor *index)
{
    return make(s, "index_select", {t, index},
                [&] { return at::index_select(t->t, dim, index->t); });
}

ew_tensor *gather(ew_scope *s, const ew_tensor *t, int dim,
                  const ew_tensor *index)
{
    return make(s, "gather", {t, index},
                [&] { return at::gather(t->t, dim, index->t); });
}

ew_tensor *embedding(ew_scope *s, const ew_tensor *table, const ew_tensor *ids)
{
    return make(s, "embedding", {table, ids},
                [&] { return at::embedding(table->t, ids->t); });
}

bool topk(ew_scope *s, const ew_tensor *t, int64_t k, ew_tensor **values,
          ew_tensor **indices)
{
    return guarded(s, "topk", {t}, [&] {
        auto [v, i] = at::topk(t->t, k);
        *values = own(s, v);
        *indices = own(s, i);
    });
}

/* ---- arithmetic ---- */

#define BINARY(name, expr)                                                    \
    ew_tensor *name(ew_scope *s, const ew_tensor *a, const ew_tensor *b)      \
    {                                                                         \
        return make(s, #name, {a, b}, [&] { return expr; });                  \
    }
#define UNARY(name, expr)                                                     \
    ew_tensor *name(ew_scope *s, const ew_tensor *t)                          \
    {                                                                         \
        return make(s, #name, {t}, [&] { return expr; });                     \
    }

BINARY(add, at::add(a->t, b->t))
BINARY(sub, at::sub(a->t, b->t))
BINARY(mul, at::mul(a->t, b->t))
BINARY(div, at::div(a->t, b->t))
BINARY(equal, at::eq(a->t, b->t).to(at::kFloat))

UNARY(neg, at::neg(t->t))
UNARY(square, at::mul(t->t, t->t))
UNARY(sqrt, at::sqrt(t->t))
UNARY(rsqrt, at::rsqrt(t->t))
UNARY(exp, at::exp(t->t))
UNARY(log, at::log(t->t))
UNARY(abs, at::abs(t->t))
UNARY(tanh, at::tanh(t->t))
UNARY(sigmoid, at::sigmoid(t->t))
UNARY(sin, at::sin(t->t))
UNARY(cos, at::cos(t->t))
UNARY(relu, at::relu(t->t))
UNARY(silu, at::silu(t->t))
UNARY(gelu, at::gelu(t->t))
UNARY(sum_all, at::sum(t->t))
UNARY(mean_all, at::mean(t->t))

ew_tensor *add_scaled(ew_scope *s, const ew_tensor *a, const ew_tensor *b,
                      double alpha)
{
    return make(s, "add_scaled", {a, b},
                [&] { return at::add(a->t, b->t, alpha); });
}

ew_tensor *scale(ew_scope *s, const ew_tensor *t, double x)
{
    return make(s, "scale", {t}, [&] { return at::mul(t->t, x); });
}

ew_tensor *shift(ew_scope *s, const ew_tensor *t, double x)
{
    return make(s, "shift", {t}, [&] { return at::add(t->t, x); });
}

void add_into(ew_scope *s, ew_tensor *dst, const ew_tensor *src, double alpha)
{
    guarded(s, "add_into", {dst, src}, [&] { dst->t.add_(src->t, alpha); });
}

void copy_into(ew_scope *s, ew_tensor *dst, const ew_tensor *src)
{
    guarded(s, "copy_into", {dst, src}, [&] { dst->t.copy_(src->t); });
}

void mul_into(ew_scope *s, ew_tensor *dst, const ew_tensor *src)
{
    guarded(s, "mul_into", {dst, src}, [&] { dst->t.mul_(src->t); });
}

/* ---- reductions ---- */

ew_tensor *sum(ew_scope *s, const ew_tensor *t, int dim, bool keepdim)
{
    int64_t wide = dim;
    return make(s, "sum", {t},
                [&] { return at::sum(t->t, shape_ref(wide), keepdim); });
}

ew_tensor *mean(ew_scope *s, const ew_tensor *t, int dim, bool keepdim)
{
    int64_t wide = dim;
    return make(s, "mean", {t},
                [&] { return at::mean(t->t, shape_ref(wide), keepdim); });
}

ew_tensor *max(ew_scope *s, const ew_tensor *t, int dim, bool keepdim)
{
    int64_t wide = dim;
    return make(s, "max", {t},
                [&] { return at::amax(t->t, shape_ref(wide), keepdim); });
}

ew_tensor *argmax(ew_scope *s, const ew_tensor *t, int dim)
{
    return make(s, "argmax", {t}, [&] { return at::argmax(t->t, dim); });
}

} // namespace ew::op
