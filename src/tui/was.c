/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effects in the pinned circuit, while the engine stands at another one. The
 * two differ by some edges: flipping those in a what-if gives the pinned
 * circuit, and flipping one more gives it without that edge. So nothing has
 * to be evaluated ahead, when nobody knows yet what will be asked.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "backend.h"

enum { BATCH = 24 };

struct batch {
    struct ew_what_if ifs[BATCH + 1]; /* the last: the pinned circuit */
    struct ew_score scores[BATCH + 1];
    uint32_t *sets; /* (n, n_apart + 1) */
    size_t n;
};

/* `apart` with one edge more, or one less when it is among them. */
static size_t flip_one(uint32_t *out, const struct ew_req_focus *f,
                       uint32_t edge)
{
    size_t n = 0;
    bool found = false;
    for (size_t i = 0; i < f->n_apart; i++) {
        if (f->apart[i] == edge) {
            found = true;
        } else {
            out[n++] = f->apart[i];
        }
    }
    if (!found) {
        out[n++] = edge;
    }
    return n;
}

static void prepare(struct batch *batch, const struct ew_backend *b)
{
    const struct ew_req_focus *f = &b->focus;
    size_t left = f->n_was - b->was_at;
    batch->n = left < BATCH ? left : BATCH;
    batch->sets = ew_xcalloc(batch->n * (f->n_apart + 1), sizeof(*batch->sets));
    for (size_t i = 0; i < batch->n; i++) {
        uint32_t *set = batch->sets + i * (f->n_apart + 1);
        batch->ifs[i].edges = set;
        batch->ifs[i].n = flip_one(set, f, f->was[b->was_at + i]);
    }
    batch->ifs[batch->n] = (struct ew_what_if){f->apart, f->n_apart};
}

/* Was the edge kept in the pinned circuit? */
static bool was_kept(const struct ew_backend *b, uint32_t edge)
{
    bool kept = ew_bitset_has(ew_engine_kept(b->engine), edge);
    for (size_t i = 0; i < b->focus.n_apart; i++) {
        if (b->focus.apart[i] == edge) {
            return !kept;
        }
    }
    return kept;
}

static void tell(const struct batch *batch, const struct ew_backend *b)
{
    struct ew_ev_was *event =
        ew_xcalloc(1, sizeof(*event) + batch->n * sizeof(event->items[0]));
    event->pin = b->focus.pin;
    event->base = batch->scores[batch->n];
    event->n = batch->n;
    double base = ew_score_metric(&event->base, b->metric);
    for (size_t i = 0; i < batch->n; i++) {
        uint32_t edge = b->focus.was[b->was_at + i];
        double then = ew_score_metric(&batch->scores[i], b->metric);
        event->items[i] = (struct ew_effect){
            .edge = edge,
            .effect = (float)(was_kept(b, edge) ? then - base : base - then),
            .ld = (float)batch->scores[i].logit_diff,
            .se = NAN,
        };
    }
    ew_mailbox_post(b->out,
                    (struct ew_message){EW_EV_WAS, b->gen, event, NULL});
}

bool ew_backend_was(struct ew_backend *b, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    struct batch batch = {0};
    prepare(&batch, b);
    bool ok = ew_engine_what_if(b->engine, batch.ifs, batch.n + 1,
                                ew_backend_effect_want(b), batch.scores, NULL,
                                cancel, &err);
    if (ok) {
        tell(&batch, b);
    } else if (err.code != EW_ERR_CANCELLED) {
        ew_post_event(b->out, EW_EV_ERROR, b->gen, &err, sizeof(err));
        ok = true; /* not again */
    }
    b->was_at += ok ? batch.n : 0;
    free(batch.sets);
    return ok;
}
