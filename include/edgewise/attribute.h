/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attribution: what cutting each edge would do to the metric, estimated from
 * gradients of the plain model (all edges kept), for all edges at once.
 *
 * With m the metric as ACDC minimises it, y_s and c_s what sender s sends and
 * what a cut edge carries, x_r the input of receiver r:
 *   EAP        (c_s - y_s) . dm/dx_r, summed over positions and prompts
 *              (m is a mean over prompts): an estimate of the metric without
 *              the edge minus the metric with it; positive = needed
 *   EAP-IG inputs       the gradient is the mean over k = 0 .. n-1 of that
 *              with the embedding at c + (k/n)(y - c)
 *   EAP-IG activations  the mean over the embedding and every layer's heads
 *              together and MLP, and k = 1 .. n, of the gradient with that
 *              one thing sending (k/n) y + (1 - k/n) c, whatever it reads
 *   clean-corrupted     the mean of the gradients of both runs
 * (Syed et al. 2023; Hanna et al. 2024.)
 */
#ifndef EW_ATTRIBUTE_H
#define EW_ATTRIBUTE_H

#include "edgewise/engine.h"

EW_BEGIN_DECLS

enum ew_attribution {
    EW_ATTR_EAP,
    EW_ATTR_IG_INPUTS,
    EW_ATTR_IG_ACTIVATIONS,
    EW_ATTR_CLEAN_CORRUPTED,
    EW_N_ATTRIBUTIONS,
};
/* "eap", "eap-ig-inputs", "eap-ig-activations", "clean-corrupted" */
const char *ew_attribution_name(enum ew_attribution method);
/* False for a name that is not one of them. */
bool ew_attribution_parse(const char *text, enum ew_attribution *method);

struct ew_attribute_params {
    enum ew_attribution method;
    enum ew_metric metric; /* not accuracy: it has no gradient */
    int steps;             /* of EAP-IG; 0 means 5 */
    /* Called after each forward and backward, `done` of `total`; optional. */
    void (*progress)(void *user, size_t done, size_t total);
    void *user;
};

/*
 * scores (n_edges), additions and direct edges (for these, the q, k or v of
 * the cut run in place of the plain one). The engine must be an incremental
 * one; its circuit does not matter and stays.
 */
EW_MUST_CHECK bool ew_engine_attribute(struct ew_engine *e,
                                       const struct ew_attribute_params *p,
                                       float *scores,
                                       const struct ew_cancel *cancel,
                                       struct ew_err *err);

EW_END_DECLS

#endif
