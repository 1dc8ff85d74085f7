/* SPDX-License-Identifier: Apache-2.0 */
/* The estimates from gradients: all edges in one step. */
#include <math.h>
#include <stdlib.h>

#include "edgewise/attribute.h"
#include "edgewise/mem.h"

#include "scan_impl.h"

static bool gradient_step(struct ew_scan *s, enum ew_attribution method,
                          const struct ew_cancel *cancel, struct ew_err *err)
{
    float *scores = ew_xcalloc(s->n_edges, sizeof(*scores));
    struct ew_attribute_params params = {
        .method = method,
        .metric = s->params.metric,
        .steps = s->params.steps,
        .progress = s->params.progress,
        .user = s->params.user,
    };
    float divisor =
        s->params.official ? (float)ew_engine_task(s->e)->n_prompts : 1.0f;
    bool ok = ew_engine_attribute(s->e, &params, scores, cancel, err);
    for (uint32_t edge = 0; ok && edge < s->n_edges; edge++) {
        ok = !isnan(scores[edge]) || scan_not_a_number(s, edge, err);
    }
    for (uint32_t edge = 0; ok && edge < s->n_edges; edge++) {
        uint32_t edges[EW_UNIT_MAX];
        if (ew_unit_is(s->g, s->params.nodes, edge)) {
            size_t n = ew_unit_edges(s->g, s->params.nodes, edge, edges);
            float sum = 0;
            for (size_t i = 0; i < n; i++) {
                sum += scores[edges[i]];
            }
            ew_scan_know(s, edge, sum / divisor);
        }
    }
    free(scores);
    return ok;
}

bool scan_eap_step(struct ew_scan *s, const struct ew_cancel *cancel,
                   struct ew_err *err)
{
    return gradient_step(s, EW_ATTR_EAP, cancel, err);
}

bool scan_ig_inputs_step(struct ew_scan *s, const struct ew_cancel *cancel,
                         struct ew_err *err)
{
    return gradient_step(s, EW_ATTR_IG_INPUTS, cancel, err);
}

bool scan_ig_activations_step(struct ew_scan *s, const struct ew_cancel *cancel,
                              struct ew_err *err)
{
    return gradient_step(s, EW_ATTR_IG_ACTIVATIONS, cancel, err);
}

bool scan_clean_corrupted_step(struct ew_scan *s,
                               const struct ew_cancel *cancel,
                               struct ew_err *err)
{
    return gradient_step(s, EW_ATTR_CLEAN_CORRUPTED, cancel, err);
}
