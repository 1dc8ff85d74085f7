/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scopes: an array of the tensors to release and the first error. A scope can
 * be opened before the module is; it then starts out failed.
 */
#include <stdlib.h>

#include "edgewise/mem.h"
#include "edgewise/tensor.h"

#include "ops.h"

static struct ew_scope *scope_open(struct ew_device dev, bool grad)
{
    struct ew_scope *s = ew_xcalloc(1, sizeof(*s));
    s->dev = dev;
    s->grad = grad;
    if (!ew_torch_loaded()) {
        ew_fail(&s->err, EW_ERR_BACKEND, "the tensor module is not loaded");
    }
    return s;
}

struct ew_scope *ew_scope_open(struct ew_device dev)
{
    return scope_open(dev, false);
}

struct ew_scope *ew_scope_open_grad(struct ew_device dev)
{
    return scope_open(dev, true);
}

struct ew_scope *ew_scope_open_in(struct ew_scope *outer)
{
    struct ew_scope *s = scope_open(outer->dev, false);
    s->cancel = outer->cancel;
    s->outer = outer;
    if (outer->err.code != EW_OK) {
        s->err = outer->err;
    }
    return s;
}

void ew_scope_watch(struct ew_scope *s, const struct ew_cancel *cancel)
{
    s->cancel = cancel;
}

bool ew_scope_ok(const struct ew_scope *s)
{
    return s->err.code == EW_OK;
}

struct ew_device ew_scope_device(const struct ew_scope *s)
{
    return s->dev;
}

void ew_scope_fail(struct ew_scope *s, enum ew_err_code code, const char *fmt,
                   ...)
{
    if (s->err.code == EW_OK) {
        va_list args;
        va_start(args, fmt);
        ew_vfail(&s->err, code, fmt, args);
        va_end(args);
    }
}

bool ew_scope_cancelled(struct ew_scope *s, const struct ew_cancel *cancel)
{
    if (!ew_cancelled(cancel)) {
        return false;
    }
    if (s->err.code == EW_OK) {
        ew_cancel_check(cancel, &s->err);
    }
    return true;
}

bool ew_scope_finish(struct ew_scope *s, struct ew_err *err)
{
    bool ok = s->err.code == EW_OK;
    if (!ok && err) {
        *err = s->err;
    }
    if (!ok && s->outer && s->outer->err.code == EW_OK) {
        s->outer->err = s->err;
    }
    while (s->n_own > 0) {
        ew_tensor_unref(s->own[--s->n_own]);
    }
    free(s->own);
    free(s);
    return ok;
}

void ew_drop(struct ew_scope *s, struct ew_tensor *t)
{
    /* From the newest back: what is dropped was mostly made just now. */
    for (size_t i = s->n_own; t && i-- > 0;) {
        if (s->own[i] == t) {
            s->own[i] = s->own[--s->n_own];
            ew_tensor_unref(t);
            return;
        }
    }
}

struct ew_tensor *ew_adopt(struct ew_scope *s, struct ew_tensor *t)
{
    if (t) {
        s->own = ew_grow(s->own, s->n_own, &s->cap_own, sizeof(*s->own));
        s->own[s->n_own++] = t;
    }
    return t;
}
