/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an edge matters: its effect when it is cut, or restored, at the
 * positions of one role of the task, or at one position, of every prompt.
 * Some places at a time, roles first.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"
#include "edgewise/positions.h"

#include "backend.h"

enum { BATCH = 12 };

/* Place `i`: the task's roles, then the positions. */
static struct ew_bitset *places(const struct ew_task *t, size_t i)
{
    struct ew_bitset *where = ew_bitset_create(t->n_prompts * t->n_pos);
    for (size_t p = 0; p < t->n_prompts; p++) {
        int32_t at = i < t->n_roles ? t->roles[i].positions[p]
                                    : (int32_t)(i - t->n_roles);
        if (at >= 0 && at < t->length[p]) {
            ew_bitset_put(where, p * t->n_pos + (size_t)at, true);
        }
    }
    return where;
}

/* A role's name, or those that a position has in the first prompt. */
static void name_place(const struct ew_task *t, size_t i, struct ew_place *out)
{
    out->position = i < t->n_roles ? -1 : (int)(i - t->n_roles);
    for (size_t r = 0; r < t->n_roles; r++) {
        if (i == r || t->roles[r].positions[0] == out->position) {
            size_t used = strlen(out->roles);
            snprintf(out->roles + used, sizeof(out->roles) - used, "%s%s",
                     used ? "," : "", t->roles[r].name);
        }
    }
}

struct measured {
    struct ew_score *scores; /* of the places, and of cutting nowhere */
    double *ld;              /* (n + 1, n_prompts) */
};

/* Cutting nowhere is measured too: rounded alike, so that nothing is 0. */
static bool measure(struct ew_backend *b, size_t at, size_t n,
                    struct measured *m, const struct ew_cancel *cancel,
                    struct ew_err *err)
{
    const struct ew_task *t = b->task;
    struct ew_bitset *where[BATCH + 1];
    for (size_t i = 0; i < n; i++) {
        where[i] = places(t, at + i);
    }
    where[n] = ew_bitset_create(t->n_prompts * t->n_pos);
    bool ok = ew_engine_flip_at(
        b->engine, b->focus.where_edge, (const struct ew_bitset *const *)where,
        n + 1, ew_backend_effect_want(b), m->scores, m->ld, cancel, err);
    for (size_t i = 0; i <= n; i++) {
        ew_bitset_destroy(where[i]);
    }
    return ok;
}

static void fill(const struct ew_backend *b, const struct measured *m,
                 struct ew_ev_where *out)
{
    size_t n_prompts = b->task->n_prompts;
    bool kept = ew_bitset_has(ew_engine_kept(b->engine), out->edge);
    double now = ew_score_metric(&m->scores[out->n], b->metric);
    const double *now_ld = m->ld + out->n * n_prompts;
    for (size_t i = 0; i < out->n; i++) {
        double then = ew_score_metric(&m->scores[i], b->metric);
        out->items[i].effect = (float)(kept ? then - now : now - then);
        out->items[i].se = b->has_ld && b->metric == EW_METRIC_LOGIT_DIFF
                               ? (float)ew_paired_error(m->ld + i * n_prompts,
                                                        now_ld, n_prompts)
                               : NAN;
    }
}

bool ew_backend_where(struct ew_backend *b, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    const struct ew_task *t = b->task;
    size_t n_all = t->n_roles + t->n_pos;
    size_t left = n_all - b->where_at;
    size_t n = left < BATCH ? left : BATCH;
    struct ew_ev_where *out =
        ew_xcalloc(1, sizeof(*out) + n * sizeof(out->items[0]));
    struct measured m = {
        .scores = ew_xcalloc(n + 1, sizeof(*m.scores)),
        .ld = ew_xcalloc((n + 1) * t->n_prompts, sizeof(*m.ld)),
    };
    out->edge = b->focus.where_edge;
    out->at = b->where_at;
    out->n = n;
    out->n_all = n_all;
    bool ok = measure(b, b->where_at, n, &m, cancel, &err);
    if (ok) {
        fill(b, &m, out);
        for (size_t i = 0; i < n; i++) {
            name_place(t, out->at + i, &out->items[i]);
        }
        b->where_at += n;
        ew_mailbox_post(b->out,
                        (struct ew_message){EW_EV_WHERE, b->gen, out, NULL});
        out = NULL;
    } else if (err.code != EW_ERR_CANCELLED) {
        ew_post_event(b->out, EW_EV_ERROR, b->gen, &err, sizeof(err));
        b->where_at = n_all; /* not again */
        ok = true;
    }
    free(out);
    free(m.scores);
    free(m.ld);
    return ok;
}
