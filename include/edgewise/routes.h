/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Information flow routes (Ferrando and Voita 2024): how much of what a
 * receiver reads is a sender's, from one clean forward. No metric, no
 * corrupted prompt and no circuit comes into it.
 *
 * With x the input of receiver r at a position and y_s what sender s sends
 * there, |.| the sum of absolute values over d_model:
 *   proximity   p_s = max(0, |x| - |x - y_s|)
 *   importance  p_s / (sum of p over the senders of r), 0 where that is 0
 *   score       its mean over a prompt's positions, then over the prompts
 * as the EAP-IG package has it. Scores into a receiver add up to 1, less the
 * positions where every proximity is 0, and are the same for q, k and v of all
 * heads of a layer, which read the same. What no sender sends, the biases,
 * takes no share. The embedding is one sender:
 * token and position together, unless the graph splits it.
 */
#ifndef EW_ROUTES_H
#define EW_ROUTES_H

#include "edgewise/engine.h"

EW_BEGIN_DECLS

struct ew_routes_params {
    /* Called after each input that was shared out: `done` of `total`;
     * optional. */
    void (*progress)(void *user, size_t done, size_t total);
    void *user;
};

/*
 * scores (n_edges): additions; direct edges are left NaN. Any engine that has
 * a model will do; its circuit does not matter and stays.
 */
EW_MUST_CHECK bool ew_engine_routes(struct ew_engine *e,
                                    const struct ew_routes_params *p,
                                    float *scores,
                                    const struct ew_cancel *cancel,
                                    struct ew_err *err);

EW_END_DECLS

#endif
