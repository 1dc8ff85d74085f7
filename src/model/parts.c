/* SPDX-License-Identifier: Apache-2.0 */
/* A norm, and the product behind it, taken apart. */
#include "edgewise/block.h"

static enum ew_norm_kind kind_of(const struct ew_model *m,
                                 const struct ew_norm *norm)
{
    return norm == &m->ln_final ? m->arch.final_norm : m->arch.norm;
}

static bool centres(enum ew_norm_kind kind)
{
    return kind == EW_NORM_LN || kind == EW_NORM_LN_PRE;
}

struct ew_tensor *ew_block_norm_linear(struct ew_scope *s,
                                       const struct ew_model *m,
                                       const struct ew_norm *norm,
                                       const struct ew_tensor *x)
{
    enum ew_norm_kind kind = kind_of(m, norm);
    struct ew_tensor *out = ew_narrow(s, x, -1, 0, ew_dim(x, -1));
    if (centres(kind)) {
        out = ew_sub(s, x, ew_mean(s, x, -1, true));
    }
    return norm->w && kind != EW_NORM_NONE ? ew_mul(s, out, norm->w) : out;
}

struct ew_tensor *ew_block_norm_scale(struct ew_scope *s,
                                      const struct ew_model *m,
                                      const struct ew_norm *norm,
                                      const struct ew_tensor *x,
                                      const struct ew_addend *addends,
                                      size_t n)
{
    enum ew_norm_kind kind = kind_of(m, norm);
    if (kind == EW_NORM_NONE) {
        int64_t shape[8];
        int ndim = ew_ndim(x);
        for (int i = 0; i < ndim; i++) {
            shape[i] = i == ndim - 1 ? 1 : ew_dim(x, i);
        }
        return ew_full(s, 1.0, ndim, shape);
    }
    return ew_norm_scale_of_sum(s, x, addends, n, !centres(kind),
                                m->arch.eps);
}

struct ew_tensor *ew_block_norm_offset(struct ew_scope *s,
                                       const struct ew_model *m,
                                       const struct ew_norm *norm,
                                       const struct ew_tensor *w,
                                       const struct ew_tensor *b)
{
    enum ew_norm_kind kind = kind_of(m, norm);
    if (!norm->b || (kind != EW_NORM_LN && kind != EW_NORM_LN_PRE)) {
        return b ? ew_narrow(s, b, 0, 0, ew_dim(b, 0)) : NULL;
    }
    struct ew_tensor *row = ew_reshape(s, norm->b, 2, (int64_t[]){1, -1});
    return ew_reshape(s, ew_addmm(s, b, row, w), 1, (int64_t[]){-1});
}
