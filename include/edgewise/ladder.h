/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ladder: ACDC at several thresholds, each run from the same circuit.
 *
 * Runs at two thresholds are the same up to the first edge whose effect lies
 * between them: that part of a run is taken over from the threshold before,
 * untested. After it the circuits differ and nothing is shared, so that every
 * rung is what a run of its own would be.
 */
#ifndef EW_LADDER_H
#define EW_LADDER_H

#include "edgewise/acdc.h"

EW_BEGIN_DECLS

struct ew_ladder; /* opaque; lives on the engine's thread */

struct ew_rung {
    double threshold;
    /* owned; as far as they are, or as they were given */
    struct ew_acdc_decision *decisions;
    size_t n;
    size_t cap;
    size_t n_shared;        /* of them taken over from the rung before */
    struct ew_bitset *kept; /* the circuit; NULL until done; owned */
    double metric;          /* of it, as ACDC carries it */
};

/*
 * Starts at the engine's current circuit; `e` is borrowed. EW_ERR_USAGE when
 * there are no thresholds or they do not rise; EW_ERR_INPUT as
 * ew_acdc_create(). params->threshold does not matter.
 */
struct ew_ladder *ew_ladder_create(struct ew_engine *e,
                                   const struct ew_acdc_params *params,
                                   const double *thresholds, size_t n,
                                   const struct ew_cancel *cancel,
                                   struct ew_err *err);
void ew_ladder_destroy(struct ew_ladder *l); /* NULL is fine */

size_t ew_ladder_n_rungs(const struct ew_ladder *l);
/* Borrowed; changes with every step. */
const struct ew_rung *ew_ladder_rung(const struct ew_ladder *l, size_t i);
/* The rung that is being decided; n_rungs when done. */
size_t ew_ladder_at(const struct ew_ladder *l);
bool ew_ladder_done(const struct ew_ladder *l);
/* Decisions left on this rung, at most. */
uint32_t ew_ladder_n_left(const struct ew_ladder *l);

/*
 * Give a rung that has not begun the decisions of an interrupted ladder. They
 * are taken over when it begins; a step then fails with EW_ERR_INPUT where
 * this ladder decides otherwise.
 */
void ew_ladder_know(struct ew_ladder *l, size_t rung,
                    const struct ew_acdc_decision *decisions, size_t n);

/* One decision, or all that a rung takes over. As ew_acdc_step(). */
EW_MUST_CHECK bool ew_ladder_step(struct ew_ladder *l,
                                  const struct ew_cancel *cancel,
                                  struct ew_err *err);

/*
 * A ranking by the rungs that are done: `scores` (n_edges). An edge scores
 * what its removal did at the largest threshold that keeps it, but no less
 * than that threshold and less than the next; one that no threshold keeps,
 * what it did at the smallest, and 0 when it was dropped untested; NaN for
 * edges that the first circuit had cut.
 */
void ew_ladder_scores(const struct ew_ladder *l, float *scores);

EW_END_DECLS

#endif
