/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of the tensor module, each named once. From these lists are
 * made the table of function pointers that the module hands out, the public
 * functions that forward through it, and the module's own initialiser; an
 * operation of tensor.h is added by one line here and one function there.
 * Private to src/tensor; no torch in it, so that C can read it.
 */
#ifndef EW_TENSOR_OPS_H
#define EW_TENSOR_OPS_H

#include "edgewise/cancel.h"
#include "edgewise/tensor.h"

EW_BEGIN_DECLS

/*
 * A scope is plain data that both sides write: forward.c opens and finishes
 * it, the module adds what it makes and records why it could not.
 */
struct ew_scope {
    struct ew_device dev;
    bool grad;
    const struct ew_cancel *cancel; /* may be NULL */
    struct ew_scope *outer;         /* NULL: none */
    struct ew_err err;              /* code EW_OK until the first failure */
    struct ew_tensor **own;
    size_t n_own;
    size_t cap_own;
};

/* The parameter lists that recur, and the same as arguments. */
#define EW_S struct ew_scope *s
#define EW_T const struct ew_tensor
#define EW_P1 (EW_S, EW_T *t)
#define EW_A1 (s, t)
#define EW_P2 (EW_S, EW_T *a, EW_T *b)
#define EW_A2 (s, a, b)
#define EW_PDIM (EW_S, EW_T *t, int dim)
#define EW_ADIM (s, t, dim)
#define EW_PREDUCE (EW_S, EW_T *t, int dim, bool keepdim)
#define EW_AREDUCE (s, t, dim, keepdim)
#define EW_PREAL (EW_S, EW_T *t, double x)
#define EW_AREAL (s, t, x)
#define EW_PSHAPE (EW_S, EW_T *t, int ndim, const int64_t *shape)
#define EW_ASHAPE (s, t, ndim, shape)
#define EW_PJOIN (EW_S, struct ew_tensor *const *ts, size_t n, int dim)
#define EW_AJOIN (s, ts, n, dim)
#define EW_PMASK (EW_S, EW_T *scores, int64_t first, int64_t window)

/*
 * X(kind, name, parameters, arguments, present): `kind` says what ew_<name>
 * returns, `present` is false when a tensor that must be there is NULL.
 * TENSOR a tensor that the scope owns, or NULL; NOTHING; FLAG false on
 * failure; NUMBER a double, 0 on failure.
 */
// clang-format off
#define EW_TORCH_OPS(X)                                                       \
    /* making and reading */                                                  \
    X(TENSOR, from_f32, (EW_S, const float *data, int ndim,                   \
                         const int64_t *shape), (s, data, ndim, shape), true) \
    X(TENSOR, from_i64, (EW_S, const int64_t *data, int ndim,                 \
                         const int64_t *shape), (s, data, ndim, shape), true) \
    X(TENSOR, borrow, (EW_S, const void *data, enum ew_dtype dtype, int ndim, \
                       const int64_t *shape), (s, data, dtype, ndim, shape),  \
      true)                                                                   \
    X(TENSOR, empty, (EW_S, int ndim, const int64_t *shape),                  \
      (s, ndim, shape), true)                                                 \
    X(TENSOR, full, (EW_S, double value, int ndim, const int64_t *shape),     \
      (s, value, ndim, shape), true)                                          \
    X(TENSOR, arange, (EW_S, int64_t from, int64_t to), (s, from, to), true)  \
    X(TENSOR, to, (EW_S, EW_T *t, enum ew_dtype dtype), (s, t, dtype), t)     \
    X(FLAG, read_f32, (EW_S, EW_T *t, float *out, size_t n),                  \
      (s, t, out, n), t)                                                      \
    X(FLAG, read_f64, (EW_S, EW_T *t, double *out, size_t n),                 \
      (s, t, out, n), t)                                                      \
    X(FLAG, read_i64, (EW_S, EW_T *t, int64_t *out, size_t n),                \
      (s, t, out, n), t)                                                      \
    X(NUMBER, item, EW_P1, EW_A1, t)                                          \
    /* views */                                                               \
    X(TENSOR, reshape, EW_PSHAPE, EW_ASHAPE, t)                               \
    X(TENSOR, permute, (EW_S, EW_T *t, int ndim, const int *dims),            \
      (s, t, ndim, dims), t)                                                  \
    X(TENSOR, transpose, (EW_S, EW_T *t, int dim0, int dim1),                 \
      (s, t, dim0, dim1), t)                                                  \
    X(TENSOR, narrow, (EW_S, EW_T *t, int dim, int64_t start,                 \
                       int64_t length), (s, t, dim, start, length), t)        \
    X(TENSOR, select, (EW_S, EW_T *t, int dim, int64_t index),                \
      (s, t, dim, index), t)                                                  \
    X(TENSOR, unsqueeze, EW_PDIM, EW_ADIM, t)                                 \
    X(TENSOR, squeeze, EW_PDIM, EW_ADIM, t)                                   \
    X(TENSOR, expand, EW_PSHAPE, EW_ASHAPE, t)                                \
    X(TENSOR, contiguous, EW_P1, EW_A1, t)                                    \
    X(TENSOR, clone, EW_P1, EW_A1, t)                                         \
    /* joining and picking */                                                 \
    X(TENSOR, cat, EW_PJOIN, EW_AJOIN, all_present(ts, n))                    \
    X(TENSOR, stack, EW_PJOIN, EW_AJOIN, all_present(ts, n))                  \
    X(TENSOR, index_select, (EW_S, EW_T *t, int dim, EW_T *index),            \
      (s, t, dim, index), t && index)                                         \
    X(TENSOR, gather, (EW_S, EW_T *t, int dim, EW_T *index),                  \
      (s, t, dim, index), t && index)                                         \
    X(TENSOR, embedding, (EW_S, EW_T *table, EW_T *ids), (s, table, ids),     \
      table && ids)                                                           \
    X(FLAG, topk, (EW_S, EW_T *t, int64_t k, struct ew_tensor **values,       \
                   struct ew_tensor **indices), (s, t, k, values, indices),   \
      t)                                                                      \
    /* arithmetic */                                                          \
    X(TENSOR, add, EW_P2, EW_A2, a && b)                                      \
    X(TENSOR, sub, EW_P2, EW_A2, a && b)                                      \
    X(TENSOR, mul, EW_P2, EW_A2, a && b)                                      \
    X(TENSOR, div, EW_P2, EW_A2, a && b)                                      \
    X(TENSOR, add_scaled, (EW_S, EW_T *a, EW_T *b, double alpha),             \
      (s, a, b, alpha), a && b)                                               \
    X(TENSOR, scale, EW_PREAL, EW_AREAL, t)                                   \
    X(TENSOR, shift, EW_PREAL, EW_AREAL, t)                                   \
    X(TENSOR, neg, EW_P1, EW_A1, t)                                           \
    X(TENSOR, square, EW_P1, EW_A1, t)                                        \
    X(TENSOR, sqrt, EW_P1, EW_A1, t)                                          \
    X(TENSOR, rsqrt, EW_P1, EW_A1, t)                                         \
    X(TENSOR, exp, EW_P1, EW_A1, t)                                           \
    X(TENSOR, log, EW_P1, EW_A1, t)                                           \
    X(TENSOR, abs, EW_P1, EW_A1, t)                                           \
    X(TENSOR, tanh, EW_P1, EW_A1, t)                                          \
    X(TENSOR, sigmoid, EW_P1, EW_A1, t)                                       \
    X(TENSOR, sin, EW_P1, EW_A1, t)                                           \
    X(TENSOR, cos, EW_P1, EW_A1, t)                                           \
    X(TENSOR, equal, EW_P2, EW_A2, a && b)                                    \
    X(NOTHING, add_into, (EW_S, struct ew_tensor *dst, EW_T *src,             \
                          double alpha), (s, dst, src, alpha), dst && src)    \
    X(NOTHING, copy_into, (EW_S, struct ew_tensor *dst, EW_T *src),           \
      (s, dst, src), dst && src)                                              \
    X(NOTHING, mul_into, (EW_S, struct ew_tensor *dst, EW_T *src),            \
      (s, dst, src), dst && src)                                              \
    /* products; the bias of addmm is optional */                             \
    X(TENSOR, matmul, EW_P2, EW_A2, a && b)                                   \
    X(TENSOR, addmm, (EW_S, EW_T *bias, EW_T *a, EW_T *b), (s, bias, a, b),   \
      a && b)                                                                 \
    X(NOTHING, addmm_into, (EW_S, struct ew_tensor *dst, EW_T *a, EW_T *b,    \
                            double alpha), (s, dst, a, b, alpha),             \
      dst && a && b)                                                          \
    X(NOTHING, baddbmm_into, (EW_S, struct ew_tensor *dst, EW_T *a, EW_T *b,  \
                              double alpha), (s, dst, a, b, alpha),           \
      dst && a && b)                                                          \
    /* reductions */                                                          \
    X(TENSOR, sum, EW_PREDUCE, EW_AREDUCE, t)                                 \
    X(TENSOR, sum_all, EW_P1, EW_A1, t)                                       \
    X(TENSOR, mean, EW_PREDUCE, EW_AREDUCE, t)                                \
    X(TENSOR, mean_all, EW_P1, EW_A1, t)                                      \
    X(TENSOR, max, EW_PREDUCE, EW_AREDUCE, t)                                 \
    X(TENSOR, argmax, EW_PDIM, EW_ADIM, t)                                    \
    X(TENSOR, logsumexp, EW_PREDUCE, EW_AREDUCE, t)                           \
    /* the functions of a transformer; gain and bias are optional */          \
    X(TENSOR, softmax, EW_PDIM, EW_ADIM, t)                                   \
    X(TENSOR, log_softmax, EW_PDIM, EW_ADIM, t)                               \
    X(TENSOR, relu, EW_P1, EW_A1, t)                                          \
    X(TENSOR, silu, EW_P1, EW_A1, t)                                          \
    X(TENSOR, gelu, EW_P1, EW_A1, t)                                          \
    X(TENSOR, gelu_tanh, EW_P1, EW_A1, t)                                     \
    X(TENSOR, layer_norm, (EW_S, EW_T *t, EW_T *gain, EW_T *bias,             \
                           double eps), (s, t, gain, bias, eps), t)           \
    X(TENSOR, rms_norm, (EW_S, EW_T *t, EW_T *gain, double eps),              \
      (s, t, gain, eps), t)                                                   \
    X(TENSOR, norm_scale, (EW_S, EW_T *t, bool rms, double eps),              \
      (s, t, rms, eps), t)                                                    \
    X(TENSOR, norm_scale_of_sum, (EW_S, EW_T *t,                              \
                                  const struct ew_addend *addends, size_t n,  \
                                  bool rms, double eps),                      \
      (s, t, addends, n, rms, eps), t && addends_present(addends, n))         \
    X(TENSOR, causal_softmax_into, (EW_S, struct ew_tensor *scores,           \
                                    int64_t first, int64_t window),           \
      (s, scores, first, window), scores)                                     \
    X(TENSOR, causal_softmax, EW_PMASK, (s, scores, first, window), scores)   \
    X(TENSOR, kl_rows, (EW_S, EW_T *logp, EW_T *logits), (s, logp, logits),   \
      logp && logits)                                                         \
    X(TENSOR, kl_mapped, (EW_S, EW_T *p, EW_T *entropy, EW_T *u,              \
                          const struct ew_mapped *terms, size_t n,            \
                          EW_T *scale, EW_T *shift, EW_T *offset,             \
                          struct ew_tensor *next),                            \
      (s, p, entropy, u, terms, n, scale, shift, offset, next),               \
      p && entropy && (u || n) && scale && shift && terms_present(terms, n))         \
    /* gradients */                                                           \
    X(TENSOR, leaf, EW_P1, EW_A1, t)                                          \
    X(FLAG, grad, (EW_S, EW_T *loss, struct ew_tensor *const *inputs,         \
                   size_t n, struct ew_tensor **grads),                       \
      (s, loss, inputs, n, grads), loss && all_present(inputs, n))

/* X(type, name, parameters): what needs no scope and cannot fail. */
#define EW_TORCH_QUERIES(X)                                                   \
    X(const char *, version, (void))                                          \
    X(bool, has_cuda, (void))                                                 \
    X(void, set_threads, (int n))                                             \
    X(int, threads, (void))                                                   \
    X(void, seed, (uint64_t seed))                                            \
    X(double, work, (void))                                                   \
    X(long, live, (void))                                                     \
    X(uint64_t, memory, (struct ew_device dev))                               \
    X(struct ew_tensor *, keep, (struct ew_tensor *t))                        \
    X(void, unref, (struct ew_tensor *t))                                     \
    X(int, ndim, (EW_T *t))                                                   \
    X(int64_t, dim, (EW_T *t, int dim))                                       \
    X(int64_t, numel, (EW_T *t))                                              \
    X(enum ew_dtype, dtype, (EW_T *t))                                        \
    X(float *, data_f32, (struct ew_tensor *t))
// clang-format on

#define EW_KIND_TENSOR struct ew_tensor *
#define EW_KIND_NOTHING void
#define EW_KIND_FLAG bool
#define EW_KIND_NUMBER double

#define EW_OP_POINTER(kind, name, params, args, present)                      \
    EW_KIND_##kind(*name) params;
#define EW_QUERY_POINTER(type, name, params) type(*name) params;

struct ew_torch_ops {
    size_t size; /* of this struct: a module of another build is refused */
    EW_TORCH_QUERIES(EW_QUERY_POINTER)
    EW_TORCH_OPS(EW_OP_POINTER)
};

#undef EW_OP_POINTER
#undef EW_QUERY_POINTER

/* The module's one exported symbol; it may throw nothing. */
typedef const struct ew_torch_ops *ew_torch_entry(void);
#define EW_TORCH_ENTRY "ew_torch_module"

EW_END_DECLS

#endif
