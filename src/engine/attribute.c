/* SPDX-License-Identifier: Apache-2.0 */
/* Attribution by gradients: its public face. */
#include "edgewise/attribute.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "attribution.h"

static const char *const method_names[EW_N_ATTRIBUTIONS] = {
    [EW_ATTR_EAP] = "eap",
    [EW_ATTR_IG_INPUTS] = "eap-ig-inputs",
    [EW_ATTR_IG_ACTIVATIONS] = "eap-ig-activations",
    [EW_ATTR_CLEAN_CORRUPTED] = "clean-corrupted",
};

const char *ew_attribution_name(enum ew_attribution method)
{
    return method_names[method];
}

bool ew_attribution_parse(const char *text, enum ew_attribution *method)
{
    for (int i = 0; i < EW_N_ATTRIBUTIONS; i++) {
        if (strcmp(text, method_names[i]) == 0) {
            *method = (enum ew_attribution)i;
            return true;
        }
    }
    return false;
}

static void attribution_finish(struct attribution *at)
{
    ew_tensor_unref(at->y_in);
    ew_tensor_unref(at->c_in);
    ew_tensor_unref(at->deltas);
    for (int i = 0; at->plain && i < 2 * at->g->n_layers; i++) {
        ew_tensor_unref(at->plain[i]);
    }
    free(at->plain);
    free(at->sums);
}

bool ew_engine_attribute(struct ew_engine *e,
                         const struct ew_attribute_params *p, float *scores,
                         const struct ew_cancel *cancel, struct ew_err *err)
{
    if (e->params.kind != EW_ENGINE_INCREMENTAL) {
        return ew_fail(err, EW_ERR_USAGE,
                       "attribution needs the incremental engine");
    }
    struct incremental *st = e->state;
    bool kl = p->metric == EW_METRIC_KL || p->metric == EW_METRIC_KL_MIB;
    bool has = ew_metric_has_answers(p->metric) ? st->out.answer_u != NULL
               : kl                             ? st->out.logp != NULL
               : p->metric == EW_METRIC_NLL     ? st->out.n_scored > 0
                                                : false;
    if (!has) {
        return ew_fail(err, EW_ERR_INPUT,
                       "metric %s has no gradient on task %s",
                       ew_metric_name(p->metric), e->task->name);
    }
    size_t n_edges = ew_graph_n_edges(e->graph);
    struct attribution at = {.e = e, .st = st, .g = &st->geo, .p = p};
    at.sums = ew_xcalloc(n_edges, sizeof(*at.sums));
    size_t n_passes = 1;
    bool ok = overlay_flush(e, err) && attribution_prepare(&at, cancel, err) &&
              attribution_run(&at, cancel, &n_passes, err);
    for (size_t i = 0; ok && i < n_edges; i++) {
        scores[i] = (float)(at.sums[i] / (double)n_passes);
    }
    attribution_finish(&at);
    return ok;
}
