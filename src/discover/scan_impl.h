/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scan as its methods see it. A method is one file, which defines its step,
 * and one row of the table in scan_methods.c.
 */
#ifndef EW_DISCOVER_SCAN_IMPL_H
#define EW_DISCOVER_SCAN_IMPL_H

#include "edgewise/scan.h"
#include "edgewise/unit.h"

struct ew_scan {
    struct ew_engine *e;
    const struct ew_graph *g;
    struct ew_scan_params params;
    float *scores; /* n_edges, NaN: not known */
    uint32_t n_edges;
    uint32_t n_units; /* that have a score in the end */
    uint32_t n_known;
    double metric; /* of the circuit; exact only */
    uint32_t next; /* exact: receivers before it are not done yet */
};

/* Does the edge have a score in the end? */
bool scan_has(const struct ew_scan *s, uint32_t edge);
/* Report how many are known. */
void scan_tell(const struct ew_scan *s);
/* EW_ERR_FAILED; false. */
bool scan_not_a_number(const struct ew_scan *s, uint32_t edge,
                       struct ew_err *err);

typedef bool scan_step(struct ew_scan *s, const struct ew_cancel *cancel,
                       struct ew_err *err);
/* scan_exact.c */
scan_step scan_exact_step;
/* scan_gradient.c */
scan_step scan_eap_step;
scan_step scan_ig_inputs_step;
scan_step scan_ig_activations_step;
scan_step scan_clean_corrupted_step;
/* scan_routes.c */
scan_step scan_routes_step;
/* scan_random.c */
scan_step scan_random_step;

#endif
