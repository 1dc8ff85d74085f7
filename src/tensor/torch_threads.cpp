/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread count for all numeric work. Torch's loops run on OpenMP, its
 * products on BLAS; both spin while they wait, so two pools of n threads on n
 * cores slow each other down. Where BLAS is OpenBLAS or another that can be
 * called by name, it therefore gets one thread and products are cut into
 * pieces that run on OpenMP's threads, torch's own pool (torch_mm.cpp).
 * OpenMP is called by name too: torch may bring its own copy of the library,
 * and a second one would be a second pool.
 */
#include "torch.hpp"

#include <algorithm>
#include <cstdlib>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <sched.h>

namespace ew
{

/* A function of torch's own dependencies, or NULL. */
template <class F> static F lookup(const char *name)
{
    return reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
}

using gomp_parallel_fn = void (*)(void (*)(void *), void *, unsigned, unsigned);

static gomp_parallel_fn gomp_parallel()
{
    static const auto f = lookup<gomp_parallel_fn>("GOMP_parallel");
    return f;
}

sgemm_fn sgemm()
{
    /* MKL shares torch's pool by itself. */
    static const auto f = at::hasMKL() || !gomp_parallel()
                              ? nullptr
                              : lookup<sgemm_fn>("cblas_sgemm");
    return f;
}

static std::atomic<int> n_threads{1};

int threads()
{
    return n_threads.load(std::memory_order_relaxed);
}

static int cores()
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof(set), &set) == 0
               ? std::max(1, CPU_COUNT(&set))
               : 1;
}

int default_threads()
{
    const char *text = std::getenv("OMP_NUM_THREADS");
    return text ? std::max(0, std::atoi(text)) : 0;
}

void set_threads(int n)
{
    n = n > 0 ? n : cores();
    at::set_num_threads(n);
    static const auto set_blas =
        lookup<void (*)(int)>("openblas_set_num_threads");
    if (set_blas) {
        set_blas(sgemm() ? 1 : n);
    }
    n_threads.store(n, std::memory_order_relaxed);
}

struct job {
    range_fn f;
    void *data;
    int64_t n;
    int64_t pieces;
    std::atomic<int64_t> next{0};
};

static void work(void *data)
{
    auto *job = static_cast<struct job *>(data);
    for (;;) {
        int64_t i = job->next.fetch_add(1, std::memory_order_relaxed);
        if (i >= job->pieces) {
            return;
        }
        job->f(job->data, job->n * i / job->pieces,
               job->n * (i + 1) / job->pieces);
    }
}

void split(int64_t n, int64_t grain, range_fn f, void *data)
{
    int64_t pieces = std::min<int64_t>(threads(), n / std::max<int64_t>(grain, 1));
    if (pieces <= 1 || !gomp_parallel()) {
        f(data, 0, n);
        return;
    }
    struct job job {
        f, data, n, pieces
    };
    gomp_parallel()(work, &job, static_cast<unsigned>(threads()), 0);
}

} // namespace ew
