/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Estimated effects of all edges at once, by gradients of the plain model.
 * The worker does it when nothing on the screen waits, and begins again when
 * it was interrupted.
 */
#include <stdlib.h>

#include "edgewise/mem.h"

#include "backend.h"

bool ew_backend_estimate(struct ew_backend *b, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    uint32_t n = ew_graph_n_edges(b->graph);
    struct ew_attribute_params params = {.method = b->estimate_by,
                                         .metric = b->metric};
    struct ew_ev_estimates *event =
        ew_xcalloc(1, sizeof(*event) + n * sizeof(event->values[0]));
    event->method = b->estimate_by;
    event->metric = b->metric;
    event->n = n;
    bool ok =
        ew_engine_attribute(b->engine, &params, event->values, cancel, &err);
    if (!ok && err.code == EW_ERR_CANCELLED) {
        free(event);
        return false;
    }
    b->estimate_wanted = false;
    if (!ok) {
        event->n = 0; /* it comes to nothing */
        ew_post_event(b->out, EW_EV_ERROR, b->gen, &err, sizeof(err));
    }
    ew_mailbox_post(b->out,
                    (struct ew_message){EW_EV_ESTIMATES, b->gen, event, NULL});
    return true;
}
