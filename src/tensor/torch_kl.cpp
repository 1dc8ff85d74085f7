/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kullback-Leibler divergence of rows of logits, whole or known by what they
 * differ in from known ones. The compositions of torch operations beside the
 * loops are their twins for other types and CUDA.
 */
#include "torch_hot.hpp"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <vector>

#include <ATen/ops/add.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros_like.h>

namespace ew::op
{

static const int64_t last_dim = -1;
static const at::IntArrayRef over_last(last_dim);

static at::Tensor kl_twin(const at::Tensor &logp, const at::Tensor &logits)
{
    at::Tensor p = at::clamp_min(logp, -1e4);
    at::Tensor q = at::clamp_min(at::log_softmax(logits, -1), -1e4);
    return at::sum(at::mul(at::exp(p), at::sub(p, q)), over_last);
}

ew_tensor *kl_rows(ew_scope *s, const ew_tensor *logp, const ew_tensor *logits)
{
    return make(s, "kl_rows", {logp, logits}, [&] {
        const at::Tensor &z = logits->t;
        if (!dense(logp->t) || !dense(z) || logp->t.sizes() != z.sizes()) {
            return kl_twin(logp->t, z);
        }
        at::Tensor p = logp->t.contiguous();
        at::Tensor q = z.contiguous();
        at::Tensor out = at::empty(reduced_shape(q, false), q.options());
        const float *pd = p.data_ptr<float>();
        const float *qd = q.data_ptr<float>();
        float *to = out.data_ptr<float>();
        rows r(q);
        r.split([&](int64_t from, int64_t end) {
            hot().kl_rows(to + from, pd + from * r.d, qd + from * r.d,
                          end - from, r.d);
        });
        return out;
    });
}

/* ---- logits that differ from known ones by products of low rank ---- */

struct mapped {
    at::Tensor p, entropy, u, scale, shift, offset, next;
    const struct ew_mapped *terms;
    size_t n;
};

static at::Tensor mapped_twin(const struct mapped &m)
{
    at::Tensor z = m.u.defined() ? m.u : at::zeros_like(m.p);
    for (size_t i = 0; i < m.n; i++) {
        z = at::add(z, at::matmul(m.terms[i].dz->t, m.terms[i].map->t),
                    m.terms[i].sign);
    }
    if (m.next.defined()) {
        m.next.copy_(z);
    }
    z = at::div(z, m.scale.reshape({-1, 1}));
    z = m.offset.defined() ? at::add(z, m.offset) : z;
    at::Tensor q = at::clamp_min(at::log_softmax(z, -1), -1e4);
    return at::sub(at::neg(at::sum(at::mul(m.p, q), over_last)),
                   m.entropy.reshape({-1}));
}

/* Can the loop take it? */
static bool fits(const struct mapped &m)
{
    auto plain = [](const at::Tensor &t) {
        return dense(t) && t.is_contiguous();
    };
    bool ok = plain(m.p) && plain(m.entropy) && plain(m.scale) &&
              plain(m.shift) && m.p.dim() == 2 &&
              (!m.u.defined() ||
               (plain(m.u) && m.p.sizes() == m.u.sizes())) &&
              (!m.offset.defined() || plain(m.offset)) &&
              (!m.next.defined() ||
               (plain(m.next) && m.next.sizes() == m.p.sizes()));
    for (size_t i = 0; i < m.n && ok; i++) {
        const at::Tensor &dz = m.terms[i].dz->t;
        const at::Tensor &map = m.terms[i].map->t;
        ok = dense(dz) && dense(map) && dz.dim() == 2 && map.dim() == 2 &&
             dz.stride(1) == 1 && map.stride(1) == 1 &&
             dz.size(0) == m.p.size(0) && map.size(1) == m.p.size(1) &&
             dz.size(1) == map.size(0);
    }
    return ok;
}

struct free_it {
    void operator()(void *p) const
    {
        std::free(p);
    }
};

/* dot and mass (rows each) of all panels, on all threads. */
static void sum_panels(const struct ew_hot_mapped &job, int64_t width,
                       std::vector<double> *dot, std::vector<double> *mass)
{
    int64_t panels = (job.n + EW_HOT_PANEL - 1) / EW_HOT_PANEL;
    int64_t work = job.rows * job.n * (width + 16);
    constexpr int64_t worth = 400000; /* of a thread */
    int64_t pieces = std::min<int64_t>(
        std::min<int64_t>(threads(), panels),
        std::max<int64_t>(1, work / worth));
    auto rows = static_cast<size_t>(job.rows);
    std::vector<double> own(2 * rows * static_cast<size_t>(pieces), 0.0);
    auto room_size = static_cast<size_t>(width + 1) * EW_HOT_PANEL;
    std::unique_ptr<float, free_it> room(static_cast<float *>(
        std::aligned_alloc(64, room_size * sizeof(float) *
                                   static_cast<size_t>(pieces))));
    TORCH_CHECK(room, "out of memory");
    std::atomic<int64_t> next_panel{0};
    in_parallel(pieces, 1, [&](int64_t from, int64_t to) {
        for (int64_t i = from; i < to; i++) {
            auto k = static_cast<size_t>(i);
            double *sums = own.data() + 2 * rows * k;
            for (;;) {
                int64_t panel = next_panel.fetch_add(1);
                if (panel >= panels) {
                    break;
                }
                hot().kl_mapped(&job, panel, room.get() + room_size * k,
                                sums, sums + rows);
            }
        }
    });
    dot->assign(rows, 0.0);
    mass->assign(rows, 0.0);
    for (size_t k = 0; k < static_cast<size_t>(pieces); k++) {
        for (size_t r = 0; r < rows; r++) {
            (*dot)[r] += own[2 * rows * k + r];
            (*mass)[r] += own[2 * rows * k + rows + r];
        }
    }
}

static at::Tensor mapped_loop(const struct mapped &m)
{
    std::vector<struct ew_hot_term> terms;
    int64_t width = 0;
    for (size_t i = 0; i < m.n; i++) {
        const at::Tensor &dz = m.terms[i].dz->t;
        const at::Tensor &map = m.terms[i].map->t;
        terms.push_back({dz.data_ptr<float>(), dz.stride(0),
                         map.data_ptr<float>(), map.stride(0), dz.size(1),
                         static_cast<float>(m.terms[i].sign)});
        width += dz.size(1);
    }
    auto data = [](const at::Tensor &t) {
        return t.defined() ? t.data_ptr<float>() : nullptr;
    };
    struct ew_hot_mapped job = {
        data(m.p),      data(m.u),     data(m.next),
        data(m.scale),  data(m.shift), data(m.offset),
        terms.data(),   static_cast<int>(m.n),
        m.p.size(0),    m.p.size(1)};
    std::vector<double> dot;
    std::vector<double> mass;
    multiply_adds.fetch_add(job.rows * job.n * width,
                            std::memory_order_relaxed);
    sum_panels(job, width, &dot, &mass);
    at::Tensor out = at::empty({job.rows}, m.p.options());
    float *to = out.data_ptr<float>();
    const float *entropy = data(m.entropy);
    for (size_t r = 0; r < dot.size(); r++) {
        /* the shift was too far off: with the largest of the row, then */
        if (!(mass[r] > 1e-20 && mass[r] < 1e30)) {
            return mapped_twin(m);
        }
        to[r] = static_cast<float>(std::log(mass[r]) - dot[r] -
                                   static_cast<double>(entropy[r]));
    }
    return out;
}

ew_tensor *kl_mapped(ew_scope *s, const ew_tensor *p, const ew_tensor *entropy,
                     const ew_tensor *u, const struct ew_mapped *terms,
                     size_t n, const ew_tensor *scale, const ew_tensor *shift,
                     const ew_tensor *offset, ew_tensor *next)
{
    return make(s, "kl_mapped", {p, entropy, scale, shift}, [&] {
        struct mapped m = {p->t,     entropy->t,    maybe(u),    scale->t,
                           shift->t, maybe(offset), maybe(next), terms,
                           n};
        return fits(m) ? mapped_loop(m) : mapped_twin(m);
    });
}

} // namespace ew::op
