/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scans: a score for every edge, by one of the methods of a table. A score
 * is the metric without the edge minus the metric with it, the metric as ACDC
 * minimises it: positive = the edge is needed. "exact" measures that, one
 * edge at a time, in the engine's current circuit; others estimate it from
 * gradients of the plain model. Two rank edges otherwise: by their share of
 * what is read (edgewise/routes.h), and at random, to be compared with.
 *
 * A scan is step() until done. A step that fails or is cancelled has changed
 * nothing, and stepping may go on later.
 */
#ifndef EW_SCAN_H
#define EW_SCAN_H

#include "edgewise/engine.h"

EW_BEGIN_DECLS

struct ew_scan; /* opaque; lives on the engine's thread */

/* What a method asks for. */
enum {
    EW_SCAN_STEPS = 1,    /* takes a number of steps */
    EW_SCAN_GRADIENT = 2, /* a metric with a gradient (not accuracy) and the
                           * incremental engine; estimates for the plain
                           * model: the circuit does not matter */
    EW_SCAN_PLAIN = 4,      /* neither circuit nor metric matter */
    EW_SCAN_SEED = 8,       /* takes a seed */
    EW_SCAN_ADDITIONS = 16, /* direct edges get no score */
};

/* A row of the table. */
struct ew_scan_method {
    const char *name; /* "exact", "eap", ... */
    const char *what; /* one line for people */
    const char *unit; /* what its progress counts: "edges", "passes" */
    unsigned needs;
    bool (*step)(struct ew_scan *s, const struct ew_cancel *cancel,
                 struct ew_err *err);
};
/* The table, static; `*n` rows. */
const struct ew_scan_method *ew_scan_methods(size_t *n);
/* NULL for an unknown name: EW_ERR_USAGE, listing those there are. */
const struct ew_scan_method *ew_scan_find(const char *name, struct ew_err *err);

struct ew_scan_params {
    const struct ew_scan_method *method;
    enum ew_metric metric;
    int steps; /* of methods with EW_SCAN_STEPS; 0: their default, 5 */
    uint64_t seed; /* of methods with EW_SCAN_SEED */
    /* Of gradients: divided by the number of prompts once more, as official
     * EAP's and the EAP-IG package's are. */
    bool official;
    /* Heads as a whole (edgewise/unit.h): the edge into a head's q has the
     * score of all three together, an estimate their sum, a share the one
     * that they have in common; those into k and v and direct edges have
     * none. */
    bool nodes;
    /* Called on the engine's thread during a step, after each piece of work:
     * `done` of `total`, in the method's unit. Optional. */
    void (*progress)(void *user, size_t done, size_t total);
    void *user;
};

/*
 * `e` is borrowed; its circuit must stay the same until the scan is
 * destroyed. EW_ERR_INPUT when the metric is not defined for the task,
 * EW_ERR_USAGE when steps are given to a method that has none.
 */
struct ew_scan *ew_scan_create(struct ew_engine *e,
                               const struct ew_scan_params *params,
                               const struct ew_cancel *cancel,
                               struct ew_err *err);
void ew_scan_destroy(struct ew_scan *s); /* NULL is fine */

/*
 * Take a score over from an earlier scan of the same kind, so that it is not
 * computed again; nothing for an edge that has none in the end. A method that
 * scores all edges at once computes them all unless all are known.
 */
void ew_scan_know(struct ew_scan *s, uint32_t edge, float score);

bool ew_scan_done(const struct ew_scan *s);
/* The next piece: for exact, some edges into one receiver. */
EW_MUST_CHECK bool ew_scan_step(struct ew_scan *s,
                                const struct ew_cancel *cancel,
                                struct ew_err *err);

/* (n_edges), NaN where not known yet; borrowed, changes with every step. */
const float *ew_scan_scores(const struct ew_scan *s);
/* How many there are in the end: of units, or of additions alone. */
uint32_t ew_scan_n_units(const struct ew_scan *s);
/* How many are known. */
uint32_t ew_scan_n_known(const struct ew_scan *s);

enum ew_rank {
    EW_RANK_ABSOLUTE, /* largest |score| first */
    EW_RANK_SIGNED,   /* largest score first */
};
/*
 * Edges with a score in order of rank, equal ones by number: `edges` (n) is
 * filled, the number of edges is returned. `scores` is (n).
 */
size_t ew_scan_rank(const float *scores, size_t n, enum ew_rank rank,
                    uint32_t *edges);

EW_END_DECLS

#endif
