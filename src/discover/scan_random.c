/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random scores, uniform in [0, 1): what a ranking has to be better than. The
 * order is the same by size and by sign, and the seed's alone.
 */
#include "edgewise/rng.h"

#include "scan_impl.h"

bool scan_random_step(struct ew_scan *s, const struct ew_cancel *cancel,
                      struct ew_err *err)
{
    struct ew_rng rng;
    if (ew_cancel_check(cancel, err)) {
        return false;
    }
    ew_rng_seed(&rng, s->params.seed);
    for (uint32_t e = 0; e < s->n_edges; e++) {
        float score = (float)ew_rng_unit(&rng);
        if (scan_has(s, e)) {
            ew_scan_know(s, e, score);
        }
    }
    scan_tell(s);
    return true;
}
