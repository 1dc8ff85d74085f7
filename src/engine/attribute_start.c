/* SPDX-License-Identifier: Apache-2.0 */
/* What the passes start from: c - y of every sender, and both embeddings. */
#include "attribution.h"

#include "edgewise/block.h"

/* c - y of every sender, as rows of one matrix. */
static bool make_deltas(struct attribution *at, const struct run *clean,
                        const struct ew_cancel *cancel, struct ew_err *err)
{
    const struct geometry *g = at->g;
    const struct ew_model *m = at->e->model;
    int64_t n = at->st->n_senders, rows = g->t - g->a;
    struct ew_scope *s = ew_scope_open(m->device);
    ew_scope_watch(s, cancel);
    struct ew_tensor *all =
        ew_full(s, 0.0, 2, (int64_t[]){n, g->b * rows * g->d});
    for (uint32_t i = 0; i < n && ew_scope_ok(s); i++) {
        struct ew_scope *inner = ew_scope_open_in(s);
        int64_t start = sent_start(g, i);
        struct ew_tensor *change =
            ew_sub(inner, sent_in(g, &at->st->cut, i), sent_in(g, clean, i));
        struct ew_tensor *wide =
            ew_full(inner, 0.0, 4,
                    (int64_t[]){g->b, 1, g->t - start, g->d});
        add_sent(inner, m, g, i, ew_unsqueeze(inner, change, 1), wide, start,
                 1.0);
        struct ew_tensor *row = ew_reshape(
            inner, ew_select(inner, all, 0, i), 3,
            (int64_t[]){g->b, rows, g->d});
        ew_copy_into(inner, rows_from(inner, row, g->a, start),
                     ew_squeeze(inner, wide, 1));
        ew_scope_finish(inner, NULL);
    }
    put_ref(&at->deltas, all);
    return ew_scope_finish(s, err);
}

bool attribution_prepare(struct attribution *at,
                         const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_engine *e = at->e;
    const struct geometry *g = at->g;
    const struct ew_task *task = e->task;
    struct run clean;
    run_init(&clean, g);
    for (int i = 0; i < g->n_inputs; i++) {
        put_ref(&clean.in[i], at->st->cur.in[i]);
    }
    bool ok = run_evaluate(e, g, &clean, NULL, cancel, err) &&
              make_deltas(at, &clean, cancel, err);
    run_finish(&clean, g);
    if (!ok) {
        return false;
    }
    struct ew_scope *s = ew_scope_open(e->model->device);
    struct ew_tensor *ids = ew_from_i64(
        s, task->clean, 2, (int64_t[]){g->b, (int64_t)task->n_pos});
    ids = ew_contiguous(s, ew_narrow(s, ids, 1, 0, g->t));
    struct ew_tensor *y = ew_block_embed_tokens(s, e->model, ids);
    struct ew_tensor *pos = ew_block_embed_positions(s, e->model, g->b, g->t);
    y = pos ? ew_add(s, y, pos) : y;
    struct ew_tensor *c = ew_clone(s, y);
    struct ew_tensor *cut = at->st->cut.in[0];
    if (g->n_inputs == 2) {
        cut = ew_add(s, cut, at->st->cut.in[1]);
    }
    ew_copy_into(s, rows_from(s, c, 0, g->a), cut);
    put_ref(&at->y_in, y);
    put_ref(&at->c_in, c);
    return ew_scope_finish(s, err);
}
