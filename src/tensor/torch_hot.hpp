/* SPDX-License-Identifier: Apache-2.0 */
/* How the C++ files of the module come to the loops of hot.h. */
#ifndef EW_TENSOR_TORCH_HOT_HPP
#define EW_TENSOR_TORCH_HOT_HPP

#include <algorithm>

#include "hot.h"
#include "torch.hpp"

namespace ew
{

/* Elements under which a loop is not worth a second thread. */
constexpr int64_t piece_size = 16384;
/* The same where each takes an exponential. */
constexpr int64_t exp_piece_size = 2048;

inline const struct ew_hot &hot()
{
    static const struct ew_hot *const best = ew_hot_pick();
    return *best;
}

/* (rows, d) of a tensor seen as rows of its last dimension. */
struct rows {
    int64_t n, d;

    explicit rows(const at::Tensor &t) : n(0), d(0)
    {
        d = t.dim() > 0 ? t.size(-1) : 0;
        n = d > 0 ? t.numel() / d : 0;
    }
    /* Call f(from, to) on pieces of the rows, of `size` elements or more. */
    template <class F> void split(F &&f, int64_t size = piece_size) const
    {
        in_parallel(n, std::max<int64_t>(1, size / d), f);
    }
};

inline bool dense(const at::Tensor &t)
{
    return plain_f32(t) && t.dim() > 0 && t.numel() > 0;
}

/* t's shape with the last extent 1, or without it. */
inline at::DimVector reduced_shape(const at::Tensor &t, bool keepdim)
{
    at::DimVector shape(t.sizes().begin(), t.sizes().end());
    shape.pop_back();
    if (keepdim) {
        shape.push_back(1);
    }
    return shape;
}

} // namespace ew

#endif
