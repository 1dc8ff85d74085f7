/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's entry, its handles and its guard: no C++ exception leaves the
 * module, each becomes the first error of the scope it happened in, with one
 * line of text that starts with the operation and the shapes it was given.
 */
#include "torch.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include <ATen/Context.h>
#include <dlfcn.h>
#include <torch/csrc/api/include/torch/version.h>
#include <unistd.h>

#include "edgewise/err.h"
#include "edgewise/mem.h"

namespace ew
{

std::atomic<long> live_handles{0};
thread_local const ew_cancel *watched::token = nullptr;
std::atomic<int64_t> multiply_adds{0};

ew_tensor *own(ew_scope *s, at::Tensor t)
{
    ew_tensor *handle = new ew_tensor{std::move(t)};
    live_handles.fetch_add(1, std::memory_order_relaxed);
    s->own = static_cast<ew_tensor **>(
        ew_grow(s->own, s->n_own, &s->cap_own, sizeof(*s->own)));
    s->own[s->n_own++] = handle;
    return handle;
}

/* ---- errors ---- */

/* " (2, 3), (3)" into `out`, cut at its size. */
static void print_shapes(char *out, size_t size, shapes args)
{
    size_t len = 0;
    out[0] = '\0';
    auto add = [&](const char *text, long long number) {
        if (len < size) {
            int n = std::snprintf(out + len, size - len, text, number);
            len += n > 0 ? static_cast<size_t>(n) : 0;
        }
    };
    bool first = true;
    for (const ew_tensor *arg : args) {
        if (!arg || !arg->t.defined()) {
            continue;
        }
        add(first ? " (" : ", (", 0);
        first = false;
        for (int64_t i = 0; i < arg->t.dim(); i++) {
            add(i ? ", %lld" : "%lld", arg->t.size(i));
        }
        add(")", 0);
    }
}

/* Torch's words: the first line, without "[enforce fail at ...] ". */
static void fail(ew_scope *s, enum ew_err_code code, const char *name,
                 shapes args, const char *why)
{
    static const char enforce[] = "[enforce fail";
    const char *end = std::strstr(why, "] ");
    if (std::strncmp(why, enforce, sizeof(enforce) - 1) == 0 && end) {
        why = end + 2;
    }
    static const char *const want[] = {"not enough memory", "out of memory",
                                       "allocate memory"};
    for (const char *words : want) {
        code = std::strstr(why, words) ? EW_ERR_NOMEM : code;
    }
    if (s->err.code == EW_OK) {
        char where[160];
        print_shapes(where, sizeof(where), args);
        ew_fail(&s->err, code, "ew_%s%s: %.*s", name, where,
                static_cast<int>(std::strcspn(why, "\n")), why);
    }
}

void record(ew_scope *s, const char *name, shapes args) noexcept
{
    try {
        throw;
    } catch (const cancelled &) {
        if (s->err.code == EW_OK) {
            ew_cancel_check(s->cancel, &s->err);
        }
    } catch (const std::bad_alloc &) {
        fail(s, EW_ERR_NOMEM, name, args, "out of memory");
    } catch (const c10::OutOfMemoryError &e) {
        fail(s, EW_ERR_NOMEM, name, args, e.what_without_backtrace());
    } catch (const c10::Error &e) {
        fail(s, EW_ERR_BACKEND, name, args, e.what_without_backtrace());
    } catch (const std::exception &e) {
        fail(s, EW_ERR_BACKEND, name, args, e.what());
    } catch (...) {
        fail(s, EW_ERR_BACKEND, name, args, "unknown C++ exception");
    }
}

/* ---- queries: none of these throws ---- */

namespace query
{

static bool has_cuda(void)
{
    try {
        return at::hasCUDA();
    } catch (...) {
        return false;
    }
}

static const char *version(void)
{
    return has_cuda() ? TORCH_VERSION " (cuda)" : TORCH_VERSION " (cpu)";
}

static void set_threads(int n)
{
    ew::set_threads(n);
}

static int threads(void)
{
    return ew::threads();
}

static void seed(uint64_t seed)
{
    try {
        at::manual_seed(seed);
    } catch (...) {
        /* A device that cannot be seeded draws nothing either. */
    }
}

static double work(void)
{
    return 2.0 * static_cast<double>(
                     multiply_adds.load(std::memory_order_relaxed));
}

static long live(void)
{
    return live_handles.load(std::memory_order_relaxed);
}

/* The CUDA runtime came with libtorch or not at all: ask it by name. */
static uint64_t cuda_memory(int index)
{
    using set_fn = int (*)(int);
    using info_fn = int (*)(size_t *, size_t *);
    auto set = reinterpret_cast<set_fn>(dlsym(RTLD_DEFAULT, "cudaSetDevice"));
    auto info =
        reinterpret_cast<info_fn>(dlsym(RTLD_DEFAULT, "cudaMemGetInfo"));
    size_t available = 0;
    size_t total = 0;
    bool ok = set && info && set(index) == 0 && info(&available, &total) == 0;
    return ok ? available : 0;
}

static uint64_t memory(struct ew_device dev)
{
    if (dev.cuda) {
        return cuda_memory(dev.index);
    }
    unsigned long long kib = 0;
    char line[128];
    FILE *f = std::fopen("/proc/meminfo", "re");
    while (f && std::fgets(line, sizeof(line), f)) {
        if (std::sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
            break;
        }
    }
    if (f) {
        std::fclose(f);
    }
    return kib ? kib * 1024
               : static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) *
                     static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

static ew_tensor *keep(ew_tensor *t)
{
    t->refs.fetch_add(1, std::memory_order_relaxed);
    return t;
}

static void unref(ew_tensor *t)
{
    if (t->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        live_handles.fetch_sub(1, std::memory_order_relaxed);
        delete t;
    }
}

static int ndim(const ew_tensor *t)
{
    return static_cast<int>(t->t.dim());
}

static int64_t dim(const ew_tensor *t, int dim)
{
    int64_t n = t->t.dim();
    int64_t d = dim < 0 ? dim + n : dim;
    return d >= 0 && d < n ? t->t.sizes()[static_cast<size_t>(d)] : 0;
}

static int64_t numel(const ew_tensor *t)
{
    return t->t.numel();
}

static enum ew_dtype dtype(const ew_tensor *t)
{
    switch (t->t.scalar_type()) {
    case at::kDouble:
        return EW_F64;
    case at::kHalf:
        return EW_F16;
    case at::kBFloat16:
        return EW_BF16;
    case at::kLong:
        return EW_I64;
    case at::kInt:
        return EW_I32;
    case at::kByte:
        return EW_U8;
    case at::kBool:
        return EW_BOOL;
    default:
        return EW_F32;
    }
}

static float *data_f32(ew_tensor *t)
{
    bool readable = t->t.is_cpu() && t->t.is_contiguous() &&
                    t->t.scalar_type() == at::kFloat;
    return readable ? t->t.data_ptr<float>() : nullptr;
}

} // namespace query

static struct ew_torch_ops make_table()
{
    struct ew_torch_ops ops {
    };
    ops.size = sizeof(ops);
#define EW_SET_QUERY(type, name, params) ops.name = query::name;
#define EW_SET_OP(kind, name, params, args, present) ops.name = op::name;
    EW_TORCH_QUERIES(EW_SET_QUERY)
    EW_TORCH_OPS(EW_SET_OP)
#undef EW_SET_QUERY
#undef EW_SET_OP
    return ops;
}

} // namespace ew

extern "C" __attribute__((visibility("default"))) const struct ew_torch_ops *
ew_torch_module(void)
{
    static const struct ew_torch_ops ops = ew::make_table();
    try {
        ew::keep_memory();
        ew::set_threads(ew::default_threads());
    } catch (...) {
        return nullptr;
    }
    return &ops;
}
