/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `edgewise sweep` is made of: one row for each method, its scores as
 * far as they are, and the file that an interrupted sweep leaves.
 */
#ifndef EW_CLI_SWEEP_H
#define EW_CLI_SWEEP_H

#include "edgewise/ladder.h"
#include "edgewise/scan.h"

#include "curve.h"
#include "open.h"

struct sweep_row {
    const char *name;                    /* "acdc", or the method's */
    const struct ew_scan_method *method; /* NULL: acdc */
    float *scores;            /* (n_edges), owned; NaN: not known yet */
    struct ew_ladder *ladder; /* of acdc */
    double seconds;           /* spent on the scores, in all sittings */
    bool scored;              /* the scores are complete */
    bool judged;
    struct cli_curve curve;
    struct cli_curve held_out;
};

struct sweep_judged { /* a rung's circuit */
    struct ew_verdict here;
    struct ew_verdict held_out;
};

struct sweep {
    struct cli_open open;
    struct cli_open other; /* the task held out; empty: none */
    struct ew_judge *judge;
    struct ew_judge *other_judge;
    struct ew_bitset *truth; /* NULL: none */
    int steps;
    int seed;
    double *thresholds; /* (n_thresholds) rising, owned */
    size_t n_thresholds;
    struct sweep_row *rows; /* owned */
    size_t n_rows;
    struct sweep_judged *rungs; /* (n_thresholds), of acdc; owned */
    size_t n_rungs;             /* of them known */
    struct cli_progress progress;
    const char *path; /* of the file; NULL: none */
    long long saved_ns;
};

/* ---- the file (sweep_file.c) ---- */

/* Write what is known; nothing without a path. */
EW_MUST_CHECK bool sweep_save(struct sweep *s, struct ew_err *err);
/* The thresholds of a file, where none were given. */
EW_MUST_CHECK bool sweep_load_thresholds(struct sweep *s, const json_t *file,
                                         const char *path, struct ew_err *err);
/* Take over what the file knows; EW_ERR_INPUT when it is of another sweep. */
EW_MUST_CHECK bool sweep_load(struct sweep *s, const json_t *file,
                              const char *path, struct ew_err *err);

/* ---- results (sweep_print.c) ---- */

void sweep_print_json(const struct sweep *s);
void sweep_print_methods(const struct sweep *s, const struct cli_opts *opts);
void sweep_print_ladder(const struct sweep *s, const struct cli_opts *opts);

#endif
