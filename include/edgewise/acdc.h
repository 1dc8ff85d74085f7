/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACDC (Conmy et al. 2023), one decision at a time, in the official order:
 * receivers from the output backwards, each receiver's senders from the
 * latest to the embedding; an edge is removed when the metric without it is
 * less than `threshold` above the metric with it, and a node whose last
 * outgoing edge is gone loses its inputs untested.
 */
#ifndef EW_ACDC_H
#define EW_ACDC_H

#include "edgewise/circuit.h"
#include "edgewise/engine.h"

EW_BEGIN_DECLS

enum ew_order { EW_ORDER_NORMAL, EW_ORDER_REVERSE, EW_ORDER_SHUFFLE };

struct ew_acdc_params {
    double threshold;
    enum ew_metric metric;
    bool absolute; /* |effect| < threshold removes */
    /* Within a layer's heads: REVERSE (the official class's default) goes
     * from head 0 up, NORMAL from the last head down. */
    enum ew_order indices;
    uint64_t indices_seed;
    /* Sender groups: NORMAL is latest first. */
    enum ew_order names;
    uint64_t names_seed;
    bool remove_redundant;
    /* Heads as a whole: an edge is what goes into q, k and v of a head, and
     * stands for all three (edgewise/unit.h); direct edges are not tested. */
    bool nodes;
};

struct ew_acdc_decision {
    uint32_t edge;
    double before; /* metric with the edge; NaN when dropped */
    double after;  /* metric without it */
    double effect; /* after - before */
    double threshold;
    bool kept;
    bool dropped; /* untested: its node had lost every outgoing edge */
    bool overruled;
};

struct ew_acdc; /* opaque; lives on the engine's thread */

/*
 * Starts at the engine's current circuit. `e` is borrowed. EW_ERR_INPUT when
 * the metric is not defined for the task.
 */
struct ew_acdc *ew_acdc_create(struct ew_engine *e,
                               const struct ew_acdc_params *params,
                               const struct ew_cancel *cancel,
                               struct ew_err *err);
void ew_acdc_destroy(struct ew_acdc *a); /* NULL is fine */

/* The edge that the next step tests or drops; EW_NONE when done. */
uint32_t ew_acdc_next(const struct ew_acdc *a);
bool ew_acdc_done(const struct ew_acdc *a);
/* Decisions made, and how many edges may still come. */
uint32_t ew_acdc_n_done(const struct ew_acdc *a);
uint32_t ew_acdc_n_left(const struct ew_acdc *a);
/* The metric of the circuit as ACDC carries it. */
double ew_acdc_metric(const struct ew_acdc *a);
/* Change the threshold from the next decision on. */
void ew_acdc_set_threshold(struct ew_acdc *a, double threshold);

/*
 * Decide about the next edge and change the engine's circuit accordingly.
 * Dropped edges are reported one a step. False on failure or cancellation:
 * nothing was decided and stepping may go on later.
 */
EW_MUST_CHECK bool ew_acdc_step(struct ew_acdc *a,
                                struct ew_acdc_decision *out,
                                const struct ew_cancel *cancel,
                                struct ew_err *err);
/*
 * Test the next edge without deciding (out as ew_acdc_step would give it),
 * and decide it against the threshold.
 */
EW_MUST_CHECK bool ew_acdc_peek(struct ew_acdc *a,
                                struct ew_acdc_decision *out,
                                const struct ew_cancel *cancel,
                                struct ew_err *err);
EW_MUST_CHECK bool ew_acdc_overrule(struct ew_acdc *a, bool keep,
                                    struct ew_acdc_decision *out,
                                    const struct ew_cancel *cancel,
                                    struct ew_err *err);

/*
 * Take over decisions of another run that began in the same circuit, without
 * testing: from the first on, as long as this run would have decided so, by
 * the effects as they are recorded. One about another edge than the next, on
 * the other side of the threshold or too near to it to tell is not taken,
 * nor what comes after. False on failure or cancellation: nothing was taken.
 */
EW_MUST_CHECK bool ew_acdc_replay(struct ew_acdc *a,
                                  const struct ew_acdc_decision *decisions,
                                  size_t n, size_t *n_taken,
                                  const struct ew_cancel *cancel,
                                  struct ew_err *err);
/*
 * Go on with an interrupted run: take over all of its decisions, testing
 * again what is too near to the threshold. EW_ERR_INPUT when they are not
 * this run's; `*n_taken` are done then.
 */
EW_MUST_CHECK bool ew_acdc_resume(struct ew_acdc *a,
                                  const struct ew_acdc_decision *decisions,
                                  size_t n, size_t *n_taken,
                                  const struct ew_cancel *cancel,
                                  struct ew_err *err);

EW_END_DECLS

#endif
