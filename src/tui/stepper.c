/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACDC on the worker: one decision a step, or a run that tells what it
 * decided twenty times a second. It starts over from the present circuit when
 * that was edited by other means.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/log.h"
#include "edgewise/mem.h"

#include "backend.h"

enum { TELL_NS = 50 * 1000 * 1000 };

struct batch {
    struct ew_acdc_decision *items;
    size_t n, cap;
};

static bool ensure(struct ew_backend *b, double threshold,
                   const struct ew_cancel *cancel, struct ew_err *err)
{
    if (b->acdc) {
        if (threshold != b->threshold) {
            ew_stepper_threshold(b, threshold);
        }
        return true;
    }
    b->threshold = threshold;
    b->peeked = false;
    b->acdc = ew_acdc_create(b->engine,
                             &(struct ew_acdc_params){
                                 .threshold = threshold,
                                 .metric = b->metric,
                                 .indices = EW_ORDER_REVERSE,
                                 .names = EW_ORDER_NORMAL,
                             },
                             cancel, err);
    return b->acdc != NULL;
}

/* Takes the batch's decisions; `how` brings the flags. */
static void tell(struct ew_backend *b, uint64_t gen, struct batch *batch,
                 struct ew_ev_acdc how)
{
    size_t size = batch->n * sizeof(*batch->items);
    struct ew_ev_acdc *event = ew_xcalloc(1, sizeof(*event) + size);
    *event = how;
    event->next = b->acdc ? ew_acdc_next(b->acdc) : EW_NONE;
    event->n_done = b->acdc ? ew_acdc_n_done(b->acdc) + b->n_before : 0;
    event->n_left = b->acdc ? ew_acdc_n_left(b->acdc) : 0;
    event->metric = b->acdc ? ew_acdc_metric(b->acdc) : NAN;
    event->n = batch->n;
    if (size) {
        memcpy(event->items, batch->items, size);
    }
    batch->n = 0;
    ew_mailbox_post(b->out, (struct ew_message){EW_EV_ACDC, gen, event, NULL});
}

static void add(struct batch *batch, const struct ew_acdc_decision *d)
{
    batch->items =
        ew_grow(batch->items, batch->n, &batch->cap, sizeof(*batch->items));
    batch->items[batch->n++] = *d;
}

/* After decisions: the circuit is another one, and so are its scores. */
static void settle(struct ew_backend *b, uint64_t gen)
{
    struct ew_err err = {0};
    b->gen = gen;
    b->peeked = false;
    if (!ew_backend_rebase(b, b->closing, &err)) {
        ew_post_event(b->out, EW_EV_ERROR, gen, &err, sizeof(err));
    }
}

/*
 * One decision. Edges whose node has lost all it feeds are dropped along with
 * the step before them: they need no look of their own.
 */
static bool decide(struct ew_backend *b, enum ew_verdict verdict,
                   struct batch *batch, const struct ew_cancel *cancel,
                   struct ew_err *err)
{
    struct ew_acdc_decision d = {0};
    for (;;) {
        if (ew_acdc_done(b->acdc)) {
            return true;
        }
        if (verdict == EW_VERDICT_OVERRULE) {
            struct ew_acdc_decision peek = {0};
            if (!ew_acdc_peek(b->acdc, &peek, cancel, err)) {
                return false;
            }
            bool ok = peek.dropped ? ew_acdc_step(b->acdc, &d, cancel, err)
                                   : ew_acdc_overrule(b->acdc, !peek.kept, &d,
                                                      cancel, err);
            if (!ok) {
                return false;
            }
        } else if (!ew_acdc_step(b->acdc, &d, cancel, err)) {
            return false;
        }
        add(batch, &d);
        if (!d.dropped) {
            return true;
        }
    }
}

void ew_stepper_step(struct ew_backend *b, const struct ew_req_acdc *req,
                     uint64_t gen, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    struct batch batch = {0};
    bool ok = ensure(b, req->threshold, cancel, &err) &&
              decide(b, req->verdict, &batch, cancel, &err);
    if (!ok && err.code != EW_ERR_CANCELLED) {
        ew_post_event(b->out, EW_EV_ERROR, gen, &err, sizeof(err));
    }
    tell(b, gen, &batch,
         (struct ew_ev_acdc){
             .ended = true,
             .stopped = !ok,
         });
    settle(b, gen);
    free(batch.items);
}

/* Has the run come as far as it was to go? */
static bool far_enough(struct ew_backend *b, const struct ew_req_acdc *req,
                       uint32_t receiver, bool *doubtful,
                       const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_acdc_decision peek;
    uint32_t next = ew_acdc_next(b->acdc);
    switch (req->until) {
    case EW_UNTIL_END:
        return false;
    case EW_UNTIL_INPUT:
        return ew_edge_receiver(b->graph, next) != receiver;
    case EW_UNTIL_DOUBT:
        /* a failure comes again in the step */
        *doubtful = ew_acdc_peek(b->acdc, &peek, cancel, err) &&
                    !peek.dropped &&
                    ew_doubtful(peek.effect, peek.threshold, req->doubt);
        return *doubtful;
    }
    return false;
}

void ew_stepper_run(struct ew_backend *b, const struct ew_req_acdc *req,
                    uint64_t gen, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    struct batch batch = {0};
    bool ok = ensure(b, req->threshold, cancel, &err);
    bool doubtful = false;
    long long last = ew_now_ns();
    uint32_t first = ok ? ew_acdc_next(b->acdc) : EW_NONE;
    uint32_t receiver =
        first == EW_NONE ? EW_NONE : ew_edge_receiver(b->graph, first);
    while (ok && !ew_acdc_done(b->acdc) &&
           !far_enough(b, req, receiver, &doubtful, cancel, &err)) {
        struct ew_acdc_decision d = {0};
        ok = ew_acdc_step(b->acdc, &d, cancel, &err);
        if (ok) {
            add(&batch, &d);
        }
        if (ew_now_ns() - last >= TELL_NS) {
            tell(b, gen, &batch, (struct ew_ev_acdc){.run = true});
            last = ew_now_ns();
        }
    }
    if (!ok && err.code != EW_ERR_CANCELLED) {
        ew_post_event(b->out, EW_EV_ERROR, gen, &err, sizeof(err));
    }
    tell(b, gen, &batch,
         (struct ew_ev_acdc){
             .run = true, .ended = true, .stopped = !ok, .doubtful = doubtful});
    settle(b, gen);
    free(batch.items);
}

/*
 * ACDC cannot go back, but it can start over from the circuit it had then:
 * what was cut is skipped, and what it had kept is kept again, unasked. The
 * circuit is the screen's already, whether this gets through or not.
 */
static bool go_back(struct ew_backend *b, const struct ew_req_back *req,
                    const struct ew_cancel *cancel, struct ew_err *err)
{
    ew_backend_drop_acdc(b);
    if (!ew_engine_set(b->engine, req->kept, b->closing, err) ||
        !ensure(b, req->threshold, cancel, err)) {
        return false;
    }
    for (size_t i = 0; i < req->n_passed; i++) {
        struct ew_acdc_decision d;
        if (ew_acdc_next(b->acdc) != req->passed[i] ||
            !ew_acdc_overrule(b->acdc, true, &d, cancel, err)) {
            ew_backend_drop_acdc(b);
            return false;
        }
    }
    b->n_before = req->n_done - (uint32_t)req->n_passed;
    return true;
}

void ew_stepper_back(struct ew_backend *b, const struct ew_req_back *req,
                     uint64_t gen, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    struct batch none = {0};
    bool ok = go_back(b, req, cancel, &err);
    if (!ok && err.code != EW_OK && err.code != EW_ERR_CANCELLED) {
        ew_post_event(b->out, EW_EV_ERROR, gen, &err, sizeof(err));
    }
    tell(b, gen, &none, (struct ew_ev_acdc){.ended = true, .stopped = !ok});
    settle(b, gen);
}

void ew_stepper_threshold(struct ew_backend *b, double threshold)
{
    b->threshold = threshold;
    b->peeked = false;
    if (b->acdc) {
        ew_acdc_set_threshold(b->acdc, threshold);
    }
}

bool ew_stepper_peek(struct ew_backend *b, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    struct ew_acdc_decision peek = {0};
    if (!ensure(b, b->threshold, cancel, &err)) {
        b->peeked = err.code != EW_ERR_CANCELLED;
        return !b->peeked;
    }
    bool done = ew_acdc_done(b->acdc);
    if (!done && !ew_acdc_peek(b->acdc, &peek, cancel, &err)) {
        b->peeked = err.code != EW_ERR_CANCELLED;
        return true;
    }
    b->peeked = true;
    struct batch none = {0};
    tell(b, b->gen, &none,
         (struct ew_ev_acdc){.has_peek = !done, .peek = peek});
    return true;
}
