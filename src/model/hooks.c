/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of every hook of one run. Sums are in double over the values as
 * they come, so that a figure does not depend on how libtorch reduces.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "edgewise/forward.h"
#include "edgewise/mem.h"

struct collector {
    struct ew_hook_stat *stats;
    size_t n;
    size_t cap;
    float *values; /* as large as the largest activation so far */
    size_t cap_values;
};

static void summarise(struct ew_hook_stat *stat, const float *values, size_t n)
{
    double sum = 0;
    double squares = 0;
    double spread = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
        squares += (double)values[i] * values[i];
    }
    stat->mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double off = values[i] - stat->mean;
        spread += off * off;
    }
    stat->std = sqrt(spread / (double)(n - 1)); /* of one value: NaN */
    stat->l2 = sqrt(squares);
}

static void collect(void *user, struct ew_scope *s, const char *name,
                    struct ew_tensor *t)
{
    struct collector *c = user;
    size_t n = (size_t)ew_numel(t);
    if (n > c->cap_values) {
        c->values = ew_xrealloc(c->values, n, sizeof(float));
        c->cap_values = n;
    }
    if (!ew_read_f32(s, t, c->values, n)) {
        return;
    }
    c->stats = ew_grow(c->stats, c->n, &c->cap, sizeof(*c->stats));
    struct ew_hook_stat *stat = &c->stats[c->n++];
    *stat = (struct ew_hook_stat){.ndim = ew_ndim(t)};
    snprintf(stat->name, sizeof(stat->name), "%s", name);
    for (int i = 0; i < stat->ndim; i++) {
        stat->shape[i] = ew_dim(t, i);
    }
    summarise(stat, c->values, n);
}

bool ew_hooks_run(const struct ew_model *m, const int64_t *ids,
                  int64_t n_prompts, int64_t n_pos, struct ew_hook_stat **out,
                  size_t *n, const struct ew_cancel *cancel, struct ew_err *err)
{
    struct collector c = {0};
    struct ew_scope *s = ew_scope_open(m->device);
    const struct ew_forward_params params = {
        .hook = collect,
        .hook_user = &c,
        .no_logits = true,
        .cancel = cancel,
    };
    ew_forward(s, m, ew_from_i64(s, ids, 2, (int64_t[]){n_prompts, n_pos}),
               &params);
    bool ok = ew_scope_finish(s, err);
    free(c.values);
    if (!ok) {
        free(c.stats);
        c = (struct collector){0};
    }
    *out = c.stats;
    *n = c.n;
    return ok;
}
