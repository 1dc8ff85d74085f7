/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pinned circuit: a state that the present one is compared with. Effects
 * that were known when it was pinned stay known; the worker is asked for
 * those of the edges that come into view later. Belongs to the screen's
 * thread.
 */
#ifndef EW_TUI_PIN_H
#define EW_TUI_PIN_H

#include "edgewise/bitset.h"

#include "worker.h"

struct ew_app;

struct ew_pin {
    struct ew_bitset *kept; /* owned; NULL: nothing is pinned */
    struct ew_score score;  /* NaN: not known */
    float *was;             /* (n_edges) owned; NaN: not known */
    uint32_t serial;        /* answers to older ones are of no use */
};

/* Pin the present circuit, or unpin. */
void ew_pin_toggle(struct ew_app *a);
void ew_pin_finish(struct ew_pin *pin);
bool ew_pinned(const struct ew_app *a);
/* Effects mean another metric now. */
void ew_pin_forget_effects(struct ew_app *a);
void ew_pin_event(struct ew_app *a, const struct ew_ev_was *e);
/* The effect in the pinned circuit, and what has been added to it since; NaN
 * where one is not known (the second: or not up to date). */
double ew_pin_was(const struct ew_app *a, uint32_t edge);
double ew_pin_change(const struct ew_app *a, uint32_t edge);
/* Ask for those of `edges` that are not known. */
void ew_pin_want(const struct ew_app *a, struct ew_req_focus *focus,
                 const uint32_t *edges, size_t n);

#endif
