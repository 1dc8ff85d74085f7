/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tensor layer: a thin C interface over libtorch. Its C++ lives in a
 * module (edgewise-torch) that ew_torch_load() opens when it is first needed,
 * because loading libtorch takes longer than drawing the first screen.
 *
 * Shapes are written (B, T, D); row-major, last index fastest. House letters:
 * B prompts, T positions, D d_model, H heads, K d_head, M d_mlp, V d_vocab,
 * N rows of anything.
 *
 * Scopes. Every operation takes a scope, which owns the result and remembers
 * the first error: after one, operations do nothing and return NULL, so
 * numeric code needs no check between steps. ew_scope_finish() reports it.
 * A NULL tensor argument (other than one documented as optional) without an
 * earlier error is itself an error. What must outlive the scope is taken out
 * with ew_keep() and released with ew_tensor_unref().
 *
 * Views share memory with what they were made from, as in torch; only the
 * operations whose name ends in _into or _at change their argument.
 *
 * Thread-safety: ew_torch_load() from any thread; a scope and its tensors
 * belong to one thread at a time.
 *
 * Gradients: operations record nothing, except in a scope opened with
 * ew_scope_open_grad().
 */
#ifndef EW_TENSOR_H
#define EW_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgewise/cancel.h"
#include "edgewise/err.h"

EW_BEGIN_DECLS

struct ew_tensor; /* reference counted handle of a torch tensor */
struct ew_scope;

enum ew_dtype { EW_F32, EW_F64, EW_F16, EW_BF16, EW_I64, EW_I32, EW_U8,
                EW_BOOL };

enum { EW_MAX_DIMS = 6 };

struct ew_device {
    bool cuda;
    int index; /* CUDA ordinal */
};

/* ---- the module ---- */

/*
 * Open the module once; later calls are free. Thread-safe. Fails with
 * EW_ERR_BACKEND when the module or libtorch cannot be loaded.
 * Call it on a thread with all signals blocked: libtorch's own threads
 * inherit the mask.
 */
EW_MUST_CHECK bool ew_torch_load(struct ew_err *err);
bool ew_torch_loaded(void);
/* "1.13.1 (cpu)", or "" while the module is not loaded. */
const char *ew_torch_version(void);
bool ew_torch_has_cuda(void);
/*
 * Threads for all numeric work, torch's and BLAS's together; 0 means one per
 * core. The only place that sets them.
 */
void ew_torch_set_threads(int n);
int ew_torch_threads(void);
void ew_torch_seed(uint64_t seed);
/* Floating-point operations of all matrix products so far, in the whole
 * program: two for each multiply-add. */
double ew_torch_work(void);
/* Handles alive now, in the whole program: a test's leak counter. */
long ew_torch_live(void);
/* Bytes a CUDA device has free; the machine's available memory for the CPU. */
uint64_t ew_torch_memory(struct ew_device dev);

/* ---- scopes ---- */

/* Never NULL; a module that is not loaded is the scope's first error. */
struct ew_scope *ew_scope_open(struct ew_device dev);
struct ew_scope *ew_scope_open_grad(struct ew_device dev);
/* For a step of `outer`, which outlives it: the same device and token, and an
 * error in it is outer's when it is finished. */
struct ew_scope *ew_scope_open_in(struct ew_scope *outer);
/* Nothing runs in `s` from now on once the token is raised, nor in scopes
 * opened in it; NULL: no token. */
void ew_scope_watch(struct ew_scope *s, const struct ew_cancel *cancel);
bool ew_scope_ok(const struct ew_scope *s);
struct ew_device ew_scope_device(const struct ew_scope *s);
/* Make `err` the scope's first error unless it has one already. */
void ew_scope_fail(struct ew_scope *s, enum ew_err_code code,
                   const char *fmt, ...) EW_PRINTF(3, 4);
/* Record cancellation as the scope's error when the token is raised. */
bool ew_scope_cancelled(struct ew_scope *s, const struct ew_cancel *cancel);
/*
 * Release the scope and every tensor it still owns. True when no step
 * failed; otherwise `err` (may be NULL) is the first failure.
 */
bool ew_scope_finish(struct ew_scope *s, struct ew_err *err);
/* Release `t` now rather than at the end; NULL is fine. */
void ew_drop(struct ew_scope *s, struct ew_tensor *t);
/*
 * A reference of the caller's own, to be released with ew_tensor_unref();
 * NULL (after an error) gives NULL.
 */
struct ew_tensor *ew_keep(struct ew_tensor *t);
void ew_tensor_unref(struct ew_tensor *t); /* NULL is fine */
/* Let scope `s` own one reference that the caller holds; returns `t`. */
struct ew_tensor *ew_adopt(struct ew_scope *s, struct ew_tensor *t);

/* ---- what a tensor is ---- */

int ew_ndim(const struct ew_tensor *t);
/* Negative dimensions count from the end. NULL gives 0. */
int64_t ew_dim(const struct ew_tensor *t, int dim);
int64_t ew_numel(const struct ew_tensor *t);
enum ew_dtype ew_tensor_dtype(const struct ew_tensor *t);
size_t ew_dtype_size(enum ew_dtype dtype);
/* Host address of a contiguous CPU tensor; NULL otherwise. Borrowed. */
float *ew_data_f32(struct ew_tensor *t);

/* ---- making and reading ---- */

/* Copies `data` (host memory). */
struct ew_tensor *ew_from_f32(struct ew_scope *s, const float *data, int ndim,
                              const int64_t *shape);
struct ew_tensor *ew_from_i64(struct ew_scope *s, const int64_t *data,
                              int ndim, const int64_t *shape);
/*
 * A tensor over host memory that the caller keeps alive and unchanged while
 * any view of it lives (a mapped file). Alignment may be anything. On a CPU
 * device no byte is copied when the type and alignment allow it; on CUDA it
 * is a copy.
 */
struct ew_tensor *ew_borrow(struct ew_scope *s, const void *data,
                            enum ew_dtype dtype, int ndim,
                            const int64_t *shape);
struct ew_tensor *ew_empty(struct ew_scope *s, int ndim,
                           const int64_t *shape); /* F32 */
struct ew_tensor *ew_full(struct ew_scope *s, double value, int ndim,
                          const int64_t *shape); /* F32 */
struct ew_tensor *ew_arange(struct ew_scope *s, int64_t from, int64_t to);
/* Convert; the same handle's data when it already has the type. */
struct ew_tensor *ew_to(struct ew_scope *s, const struct ew_tensor *t,
                        enum ew_dtype dtype);
/*
 * Copy to host memory, converting to F32 (or I64); `n` must be the number of
 * elements. False after an error, recorded in the scope.
 */
bool ew_read_f32(struct ew_scope *s, const struct ew_tensor *t, float *out,
                 size_t n);
bool ew_read_f64(struct ew_scope *s, const struct ew_tensor *t, double *out,
                 size_t n);
bool ew_read_i64(struct ew_scope *s, const struct ew_tensor *t, int64_t *out,
                 size_t n);
/* The only element, as a double; 0 after an error. */
double ew_item(struct ew_scope *s, const struct ew_tensor *t);

/* ---- views ---- */

/* One extent may be -1. A copy when strides do not allow a view. */
struct ew_tensor *ew_reshape(struct ew_scope *s, const struct ew_tensor *t,
                             int ndim, const int64_t *shape);
struct ew_tensor *ew_permute(struct ew_scope *s, const struct ew_tensor *t,
                             int ndim, const int *dims);
struct ew_tensor *ew_transpose(struct ew_scope *s, const struct ew_tensor *t,
                               int dim0, int dim1);
struct ew_tensor *ew_narrow(struct ew_scope *s, const struct ew_tensor *t,
                            int dim, int64_t start, int64_t length);
struct ew_tensor *ew_select(struct ew_scope *s, const struct ew_tensor *t,
                            int dim, int64_t index); /* drops the dim */
struct ew_tensor *ew_unsqueeze(struct ew_scope *s, const struct ew_tensor *t,
                               int dim);
struct ew_tensor *ew_squeeze(struct ew_scope *s, const struct ew_tensor *t,
                             int dim);
/* -1 leaves an extent as it is. */
struct ew_tensor *ew_expand(struct ew_scope *s, const struct ew_tensor *t,
                            int ndim, const int64_t *shape);
struct ew_tensor *ew_contiguous(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_clone(struct ew_scope *s, const struct ew_tensor *t);

/* ---- joining and picking ---- */

struct ew_tensor *ew_cat(struct ew_scope *s, struct ew_tensor *const *ts,
                         size_t n, int dim);
struct ew_tensor *ew_stack(struct ew_scope *s, struct ew_tensor *const *ts,
                           size_t n, int dim);
/* `index` is I64 of one dimension. */
struct ew_tensor *ew_index_select(struct ew_scope *s,
                                  const struct ew_tensor *t, int dim,
                                  const struct ew_tensor *index);
/* As torch.gather: `index` has t's number of dimensions. */
struct ew_tensor *ew_gather(struct ew_scope *s, const struct ew_tensor *t,
                            int dim, const struct ew_tensor *index);
/* Rows of `table` (V, D) at `ids` (any shape): ids' shape + (D). */
struct ew_tensor *ew_embedding(struct ew_scope *s,
                               const struct ew_tensor *table,
                               const struct ew_tensor *ids);
/* Largest `k` along the last dimension, largest first. */
bool ew_topk(struct ew_scope *s, const struct ew_tensor *t, int64_t k,
             struct ew_tensor **values, struct ew_tensor **indices);

/* ---- arithmetic, with broadcasting ---- */

struct ew_tensor *ew_add(struct ew_scope *s, const struct ew_tensor *a,
                         const struct ew_tensor *b);
struct ew_tensor *ew_sub(struct ew_scope *s, const struct ew_tensor *a,
                         const struct ew_tensor *b);
struct ew_tensor *ew_mul(struct ew_scope *s, const struct ew_tensor *a,
                         const struct ew_tensor *b);
struct ew_tensor *ew_div(struct ew_scope *s, const struct ew_tensor *a,
                         const struct ew_tensor *b);
/* a + alpha b */
struct ew_tensor *ew_add_scaled(struct ew_scope *s, const struct ew_tensor *a,
                                const struct ew_tensor *b, double alpha);
struct ew_tensor *ew_scale(struct ew_scope *s, const struct ew_tensor *t,
                           double factor);
struct ew_tensor *ew_shift(struct ew_scope *s, const struct ew_tensor *t,
                           double term);
struct ew_tensor *ew_neg(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_square(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_sqrt(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_rsqrt(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_exp(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_log(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_abs(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_tanh(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_sigmoid(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_sin(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_cos(struct ew_scope *s, const struct ew_tensor *t);
/* F32 1 where equal, 0 elsewhere. */
struct ew_tensor *ew_equal(struct ew_scope *s, const struct ew_tensor *a,
                           const struct ew_tensor *b);

/* dst += alpha src, in place, broadcasting src; `dst` may be a view. */
void ew_add_into(struct ew_scope *s, struct ew_tensor *dst,
                 const struct ew_tensor *src, double alpha);
/* dst = src, in place, broadcasting src; `dst` may be a view. */
void ew_copy_into(struct ew_scope *s, struct ew_tensor *dst,
                  const struct ew_tensor *src);
/* dst *= src, in place, broadcasting src. */
void ew_mul_into(struct ew_scope *s, struct ew_tensor *dst,
                 const struct ew_tensor *src);

/* ---- products ---- */

/* As torch.matmul: broadcasts leading dimensions. */
struct ew_tensor *ew_matmul(struct ew_scope *s, const struct ew_tensor *a,
                            const struct ew_tensor *b);
/* bias + a b; bias is optional (NULL); a (.., I), b (I, O), bias (O). */
struct ew_tensor *ew_addmm(struct ew_scope *s, const struct ew_tensor *bias,
                           const struct ew_tensor *a,
                           const struct ew_tensor *b);
/* dst (N, O) += alpha a (N, I) b (I, O), in place; dst may be a view. */
void ew_addmm_into(struct ew_scope *s, struct ew_tensor *dst,
                   const struct ew_tensor *a, const struct ew_tensor *b,
                   double alpha);
/* dst (N, O) += alpha a b for each of a batch: all have three dimensions. */
void ew_baddbmm_into(struct ew_scope *s, struct ew_tensor *dst,
                     const struct ew_tensor *a, const struct ew_tensor *b,
                     double alpha);

/* ---- reductions ---- */

struct ew_tensor *ew_sum(struct ew_scope *s, const struct ew_tensor *t,
                         int dim, bool keepdim);
struct ew_tensor *ew_sum_all(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_mean(struct ew_scope *s, const struct ew_tensor *t,
                          int dim, bool keepdim);
struct ew_tensor *ew_mean_all(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_max(struct ew_scope *s, const struct ew_tensor *t,
                         int dim, bool keepdim);
struct ew_tensor *ew_argmax(struct ew_scope *s, const struct ew_tensor *t,
                            int dim); /* I64 */
struct ew_tensor *ew_logsumexp(struct ew_scope *s, const struct ew_tensor *t,
                               int dim, bool keepdim);

/* ---- the functions of a transformer ---- */

struct ew_tensor *ew_softmax(struct ew_scope *s, const struct ew_tensor *t,
                             int dim);
struct ew_tensor *ew_log_softmax(struct ew_scope *s,
                                 const struct ew_tensor *t, int dim);
struct ew_tensor *ew_relu(struct ew_scope *s, const struct ew_tensor *t);
struct ew_tensor *ew_silu(struct ew_scope *s, const struct ew_tensor *t);
/* The erf form. */
struct ew_tensor *ew_gelu(struct ew_scope *s, const struct ew_tensor *t);
/* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): gelu_new. */
struct ew_tensor *ew_gelu_tanh(struct ew_scope *s, const struct ew_tensor *t);
/*
 * (x - mean) / sqrt(var + eps) over the last dimension, biased variance;
 * times gain and plus bias where they are not NULL.
 */
struct ew_tensor *ew_layer_norm(struct ew_scope *s, const struct ew_tensor *t,
                                const struct ew_tensor *gain,
                                const struct ew_tensor *bias, double eps);
/* x / sqrt(mean(x^2) + eps), times gain where it is not NULL. */
struct ew_tensor *ew_rms_norm(struct ew_scope *s, const struct ew_tensor *t,
                              const struct ew_tensor *gain, double eps);
/*
 * The denominators: sqrt(var + eps), or sqrt(mean(x^2) + eps) when `rms`;
 * t (.., D) -> (.., 1).
 */
struct ew_tensor *ew_norm_scale(struct ew_scope *s, const struct ew_tensor *t,
                                bool rms, double eps);
/* sign * t */
struct ew_addend {
    const struct ew_tensor *t;
    double sign;
};
/* The same of t and all addends, which have t's shape: the sum is not
 * written down. */
struct ew_tensor *ew_norm_scale_of_sum(struct ew_scope *s,
                                       const struct ew_tensor *t,
                                       const struct ew_addend *addends,
                                       size_t n, bool rms, double eps);
/*
 * Attention weights. scores (.., Tq, Tk), in place and returned: entry (i, j)
 * is seen when 0 <= (first + i) - j, and < window unless window is 0; the
 * rest becomes 0; then softmax over j. `first` is the position of query 0.
 */
struct ew_tensor *ew_causal_softmax_into(struct ew_scope *s,
                                         struct ew_tensor *scores,
                                         int64_t first, int64_t window);
/* As above, out of place and recorded for gradients. */
struct ew_tensor *ew_causal_softmax(struct ew_scope *s,
                                    const struct ew_tensor *scores,
                                    int64_t first, int64_t window);
/*
 * Mean over nothing: KL(p || softmax(logits)) per row, in nats, given the
 * clean log-probabilities logp (N, V) and logits (N, V): (N). One pass, no
 * (N, V) temporary on the CPU.
 */
struct ew_tensor *ew_kl_rows(struct ew_scope *s, const struct ew_tensor *logp,
                             const struct ew_tensor *logits);

/* sign * dz map: dz (N, K), map (K, V). */
struct ew_mapped {
    const struct ew_tensor *dz;
    const struct ew_tensor *map;
    double sign;
};
/*
 * The same for logits (u + sum of the terms) / scale + offset, with no tensor
 * of logits: p and u (N, V), u NULL for 0, entropy of p (N), scale (N) or
 * (N, 1), offset (V) or NULL -> (N). `shift` (N) is near the logits' log-sum-exp: anything
 * within some 40 of it will do. `next`, or NULL, (N, V), gets u + sum of the
 * terms.
 * A difference of sums of the size of the entropy, so good to some 1e-6 in
 * absolute terms, not relative to a small KL.
 */
struct ew_tensor *ew_kl_mapped(struct ew_scope *s, const struct ew_tensor *p,
                               const struct ew_tensor *entropy,
                               const struct ew_tensor *u,
                               const struct ew_mapped *terms, size_t n,
                               const struct ew_tensor *scale,
                               const struct ew_tensor *shift,
                               const struct ew_tensor *offset,
                               struct ew_tensor *next);

/* ---- gradients (scopes from ew_scope_open_grad) ---- */

/* A leaf that wants a gradient, sharing t's data. */
struct ew_tensor *ew_leaf(struct ew_scope *s, const struct ew_tensor *t);
/*
 * d loss / d inputs[i] into grads[i], owned by the scope; zeros where the
 * loss does not depend on an input. `loss` has one element.
 */
bool ew_grad(struct ew_scope *s, const struct ew_tensor *loss,
             struct ew_tensor *const *inputs, size_t n,
             struct ew_tensor **grads);

EW_END_DECLS

#endif
