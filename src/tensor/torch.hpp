/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the C++ files of the module share: the handle, the guard that lets no
 * exception out, and the split of work over torch's own threads. Included
 * only here in src/tensor.
 */
#ifndef EW_TENSOR_TORCH_HPP
#define EW_TENSOR_TORCH_HPP

#include <atomic>
#include <exception>
#include <initializer_list>
#include <type_traits>
#include <utility>

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h> /* operations want it whole: clang insists */
#include <ATen/core/grad_mode.h>

#include "ops.h"

struct ew_tensor {
    at::Tensor t;
    std::atomic<int> refs{1};
};

namespace ew
{

extern std::atomic<long> live_handles;
/* Of all products so far. */
extern std::atomic<int64_t> multiply_adds;

/*
 * While a scope is watched, recorded products on their way back throw once
 * its token is raised. On the CPU they run in the thread that asked for the
 * gradients.
 */
struct cancelled : std::exception {
};
struct watched {
    static thread_local const ew_cancel *token;
    explicit watched(const ew_scope *s) { token = s->cancel; }
    ~watched() { token = nullptr; }
};

/* A new handle that `s` owns. May throw. */
ew_tensor *own(ew_scope *s, at::Tensor t);

using shapes = std::initializer_list<const ew_tensor *>;

/* Called in a catch block: turn the exception into the scope's error. */
void record(ew_scope *s, const char *name, shapes args) noexcept;

/*
 * Run `body` with gradients recorded or not as the scope says. `args` are
 * named in the message if it throws; NULL ones are left out.
 */
template <class F>
bool guarded(ew_scope *s, const char *name, shapes args, F &&body) noexcept
{
    try {
        if (at::GradMode::is_enabled() != s->grad) {
            at::GradMode::set_enabled(s->grad);
        }
        body();
        return true;
    } catch (...) {
        record(s, name, args);
        return false;
    }
}

/* The same for an operation whose result is one tensor. */
template <class F>
ew_tensor *make(ew_scope *s, const char *name, shapes args,
                F &&body) noexcept
{
    ew_tensor *made = nullptr;
    guarded(s, name, args, [&] { made = own(s, body()); });
    return made;
}

/* Optional arguments reach torch as undefined tensors. */
inline at::Tensor maybe(const ew_tensor *t)
{
    return t ? t->t : at::Tensor();
}

/* Would torch record what is done to `t` now? */
inline bool tracked(const at::Tensor &t)
{
    return at::GradMode::is_enabled() && t.requires_grad();
}

/* May a loop of ours read `t`? */
inline bool plain_f32(const at::Tensor &t)
{
    return t.is_cpu() && t.scalar_type() == at::kFloat && !tracked(t);
}

/*
 * Call f(from, to) on pieces of [0, n), on as many threads as are set; in
 * this thread alone when n <= grain or there is no thread pool. `f` must not
 * throw and must not call torch.
 */
using range_fn = void (*)(void *data, int64_t from, int64_t to);
void split(int64_t n, int64_t grain, range_fn f, void *data);

template <class F> void in_parallel(int64_t n, int64_t grain, F &&f)
{
    using plain = std::remove_reference_t<F>;
    split(
        n, grain,
        [](void *data, int64_t from, int64_t to) {
            (*static_cast<plain *>(data))(from, to);
        },
        const_cast<void *>(static_cast<const void *>(&f)));
}

/* How many threads products and loops may use; 0 sets one per core. */
int threads();
void set_threads(int n);
/* The count to start with: OMP_NUM_THREADS, as torch has it, or 0. */
int default_threads();

/* dst (N, O) = or += alpha a (N, I) b (I, O): cblas_sgemm, row-major. */
using sgemm_fn = void (*)(int order, int trans_a, int trans_b, int m, int n,
                          int k, float alpha, const float *a, int lda,
                          const float *b, int ldb, float beta, float *c,
                          int ldc);
/* NULL when torch's BLAS is not one that we split better than it does. */
sgemm_fn sgemm();

/* Keep freed memory of CPU tensors for the next (torch_memory.cpp). */
void keep_memory();

/* The parts of the table that live in other files. */
#define EW_DECLARE(kind, name, params, args, present)                         \
    EW_KIND_##kind name params;
namespace op
{
EW_TORCH_OPS(EW_DECLARE)
} // namespace op
#undef EW_DECLARE

} // namespace ew

#endif
