/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a threshold would leave, from what is known so far. Two kinds of
 * rows: measured ones, where ACDC ran from all edges to its end at that
 * threshold; and guesses, which take every edge's effect as it was last seen
 * and add effects up, as if edges did not depend on each other. Pure; no
 * drawing.
 */
#ifndef EW_TUI_TRADEOFF_H
#define EW_TUI_TRADEOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgewise/bitset.h"
#include "edgewise/engine.h"

struct ew_app;
struct ew_known_edge;

struct ew_tradeoff_row {
    double tau;
    uint32_t kept;    /* edges with effect >= tau; unknown ones stay as now */
    uint32_t unknown; /* edges whose effect is not known */
    double shift;     /* of the metric from now, by adding effects */
};

/* Where ACDC came to. */
struct ew_measured {
    double tau;
    enum ew_metric metric;
    uint32_t n_kept;
    struct ew_score score;
};

enum { EW_TRADEOFF_ROWS = 64 };

struct ew_tradeoff {
    struct ew_measured *items; /* owned; one per threshold and metric */
    size_t n, cap;
    struct ew_guesses { /* of the last time, and what they were made from */
        struct ew_tradeoff_row rows[EW_TRADEOFF_ROWS];
        size_t n;
        double tau;
        uint64_t gen, effects_serial;
    } guesses;
};

/* Fill `rows`, whose taus are set and ascending. */
void ew_tradeoff_guess(struct ew_tradeoff_row *rows, size_t n,
                       const struct ew_known_edge *edges,
                       const struct ew_bitset *kept);
/* Rows for the n thresholds (at most EW_TRADEOFF_ROWS) around the one in
 * force, which is number n - 1 - n / 2; made anew only when something has
 * changed: it is a pass over all edges, and drawn in every frame. */
const struct ew_tradeoff_row *ew_tradeoff_rows(struct ew_app *a, size_t n);
/* The scores of the present circuit have come: if it is where a run of ACDC
 * ended, remember them. */
void ew_tradeoff_note(struct ew_app *a);
/* NULL when nothing was measured at that threshold. */
const struct ew_measured *ew_tradeoff_at(const struct ew_app *a, double tau);
/* The threshold `steps` further on the ladder that [ and ] go along. */
double ew_threshold_step(double tau, int steps);
/* Edges whose effect was never known. */
uint32_t ew_tradeoff_n_unknown(const struct ew_app *a);

#endif
