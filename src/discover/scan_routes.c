/* SPDX-License-Identifier: Apache-2.0 */
/* Information flow routes: what share of each input is whose. */
#include <math.h>
#include <stdlib.h>

#include "edgewise/mem.h"
#include "edgewise/routes.h"

#include "scan_impl.h"

bool scan_routes_step(struct ew_scan *s, const struct ew_cancel *cancel,
                      struct ew_err *err)
{
    float *scores = ew_xcalloc(s->n_edges, sizeof(*scores));
    struct ew_routes_params params = {.progress = s->params.progress,
                                      .user = s->params.user};
    bool ok = ew_engine_routes(s->e, &params, scores, cancel, err);
    for (uint32_t e = 0; ok && e < s->n_edges; e++) {
        ok = !scan_has(s, e) || !isnan(scores[e]) ||
             scan_not_a_number(s, e, err);
    }
    for (uint32_t e = 0; ok && e < s->n_edges; e++) {
        if (scan_has(s, e)) {
            ew_scan_know(s, e, scores[e]); /* q, k and v read the same */
        }
    }
    free(scores);
    return ok;
}
