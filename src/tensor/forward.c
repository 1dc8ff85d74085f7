/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the tensor module, once for the whole program, and forwarding every
 * public operation to it. What every operation owes the reader of tensor.h is
 * decided here: nothing runs after a scope's first error, and a tensor that
 * is missing is an error of its own. The list of operations is ops.h.
 */
#include "edgewise/tensor.h"

#include <dlfcn.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "edgewise/path.h"

#include "ops.h"

static const char module_name[] = "edgewise-torch.so";

/* NULL until the module is open; never changes after. */
static _Atomic(const struct ew_torch_ops *) loaded;

static const struct ew_torch_ops *module_ops(void)
{
    return atomic_load_explicit(&loaded, memory_order_acquire);
}

/* ---- the module ---- */

/*
 * Temporaries of some megabytes come and go with every operation: mapped
 * afresh each time they would cost more in page faults than in arithmetic.
 * One heap for all threads, and what is free in it stays.
 */
static void keep_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 32 << 20); /* the largest there is */
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    mallopt(M_TOP_PAD, 16 << 20);
#endif
}

static const struct ew_torch_ops *open_module(const char *path,
                                              struct ew_err *err)
{
    keep_memory();
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) {
        ew_fail(err, EW_ERR_BACKEND, "cannot load libtorch: %s", dlerror());
        return NULL;
    }
    ew_torch_entry *entry = NULL;
    /* The form that POSIX gives for turning an object into a function. */
    *(void **)&entry = dlsym(module, EW_TORCH_ENTRY);
    const struct ew_torch_ops *ops = entry ? entry() : NULL;
    if (!ops || ops->size != sizeof(*ops)) {
        ew_fail(err, EW_ERR_BACKEND, "%s: of another build of edgewise", path);
        dlclose(module);
        return NULL;
    }
    return ops; /* stays open: libtorch cannot be unloaded */
}

bool ew_torch_load(struct ew_err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (module_ops()) {
        return true;
    }
    pthread_mutex_lock(&lock);
    if (!module_ops()) {
        char *path = ew_module_path(module_name);
        if (path) {
            atomic_store(&loaded, open_module(path, err));
        } else {
            ew_fail(err, EW_ERR_BACKEND, "%s: not found", module_name);
        }
        free(path);
    }
    pthread_mutex_unlock(&lock);
    return module_ops() != NULL;
}

bool ew_torch_loaded(void)
{
    return module_ops() != NULL;
}

const char *ew_torch_version(void)
{
    return module_ops() ? module_ops()->version() : "";
}

bool ew_torch_has_cuda(void)
{
    return module_ops() && module_ops()->has_cuda();
}

void ew_torch_set_threads(int n)
{
    if (module_ops()) {
        module_ops()->set_threads(n);
    }
}

int ew_torch_threads(void)
{
    return module_ops() ? module_ops()->threads() : 1;
}

void ew_torch_seed(uint64_t seed)
{
    if (module_ops()) {
        module_ops()->seed(seed);
    }
}

double ew_torch_work(void)
{
    return module_ops() ? module_ops()->work() : 0;
}

long ew_torch_live(void)
{
    return module_ops() ? module_ops()->live() : 0;
}

uint64_t ew_torch_memory(struct ew_device dev)
{
    return module_ops() ? module_ops()->memory(dev) : 0;
}

/* ---- tensors without a scope: whoever holds one has the module ---- */

struct ew_tensor *ew_keep(struct ew_tensor *t)
{
    return t ? module_ops()->keep(t) : NULL;
}

void ew_tensor_unref(struct ew_tensor *t)
{
    if (t) {
        module_ops()->unref(t);
    }
}

int ew_ndim(const struct ew_tensor *t)
{
    return t ? module_ops()->ndim(t) : 0;
}

int64_t ew_dim(const struct ew_tensor *t, int dim)
{
    return t ? module_ops()->dim(t, dim) : 0;
}

int64_t ew_numel(const struct ew_tensor *t)
{
    return t ? module_ops()->numel(t) : 0;
}

enum ew_dtype ew_tensor_dtype(const struct ew_tensor *t)
{
    return t ? module_ops()->dtype(t) : EW_F32;
}

float *ew_data_f32(struct ew_tensor *t)
{
    return t ? module_ops()->data_f32(t) : NULL;
}

/* ---- operations ---- */

static bool all_present(struct ew_tensor *const *ts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!ts[i]) {
            return false;
        }
    }
    return true;
}

static bool terms_present(const struct ew_mapped *terms, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!terms[i].dz || !terms[i].map) {
            return false;
        }
    }
    return true;
}

static bool addends_present(const struct ew_addend *addends, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!addends[i].t) {
            return false;
        }
    }
    return true;
}

/* May operation `name` run in `s`? Its tensors are all there if `present`. */
static inline bool ready(struct ew_scope *s, const char *name, bool present)
{
    if (s->err.code != EW_OK || ew_scope_cancelled(s, s->cancel)) {
        return false;
    }
    return present ||
           ew_fail(&s->err, EW_ERR_FAILED, "%s: missing tensor", name);
}

#define RUN_TENSOR(ok, call) return (ok) ? (call) : NULL
#define RUN_FLAG(ok, call) return (ok) && (call)
#define RUN_NUMBER(ok, call) return (ok) ? (call) : 0
#define RUN_NOTHING(ok, call)                                                 \
    if (ok) {                                                                 \
        call;                                                                 \
    }

#define FORWARD(kind, name, params, args, present)                            \
    EW_KIND_##kind ew_##name params                                           \
    {                                                                         \
        RUN_##kind(ready(s, "ew_" #name, present), module_ops()->name args);       \
    }

EW_TORCH_OPS(FORWARD)
