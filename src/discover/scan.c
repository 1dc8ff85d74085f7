/* SPDX-License-Identifier: Apache-2.0 */
/* What scans have in common: what is known, and stepping until it is all. */
#include "edgewise/scan.h"

#include <math.h>
#include <stdlib.h>

#include "edgewise/buf.h"
#include "edgewise/mem.h"

#include "scan_impl.h"

bool scan_has(const struct ew_scan *s, uint32_t edge)
{
    return ew_unit_is(s->g, s->params.nodes, edge) &&
           (!(s->params.method->needs & EW_SCAN_ADDITIONS) ||
            ew_edge_kind(s->g, edge) == EW_EDGE_ADDITION);
}

void ew_scan_know(struct ew_scan *s, uint32_t edge, float score)
{
    if (!scan_has(s, edge)) {
        return;
    }
    s->n_known += isnan(s->scores[edge]) && !isnan(score);
    s->n_known -= !isnan(s->scores[edge]) && isnan(score);
    s->scores[edge] = score;
}

void scan_tell(const struct ew_scan *s)
{
    if (s->params.progress) {
        s->params.progress(s->params.user, s->n_known, s->n_units);
    }
}

bool scan_not_a_number(const struct ew_scan *s, uint32_t edge,
                       struct ew_err *err)
{
    struct ew_buf name = {0};
    ew_unit_print(&name, s->g, s->params.nodes, edge);
    ew_fail(err, EW_ERR_FAILED, "%s of %s is not a number",
            s->params.method->name, ew_buf_str(&name));
    ew_buf_finish(&name);
    return false;
}

static bool measure_circuit(struct ew_scan *s, const struct ew_cancel *cancel,
                            struct ew_err *err)
{
    enum ew_metric metric = s->params.metric;
    struct ew_score score;
    if (!ew_engine_score(s->e, ew_metric_want(metric), &score, cancel, err)) {
        return false;
    }
    s->metric = ew_score_metric(&score, metric);
    return !isnan(s->metric) ||
           ew_fail(err, EW_ERR_INPUT, "metric %s is not defined for task %s",
                   ew_metric_name(metric), ew_engine_task(s->e)->name);
}

struct ew_scan *ew_scan_create(struct ew_engine *e,
                               const struct ew_scan_params *params,
                               const struct ew_cancel *cancel,
                               struct ew_err *err)
{
    const struct ew_scan_method *method = params->method;
    if (params->steps > 0 && !(method->needs & EW_SCAN_STEPS)) {
        ew_fail(err, EW_ERR_USAGE, "%s has no steps", method->name);
        return NULL;
    }
    struct ew_scan *s = ew_xcalloc(1, sizeof(*s));
    s->e = e;
    s->g = ew_engine_graph(e);
    s->params = *params;
    s->n_edges = ew_graph_n_edges(s->g);
    s->next = ew_graph_n_receivers(s->g);
    s->scores = ew_xcalloc(s->n_edges, sizeof(*s->scores));
    for (uint32_t edge = 0; edge < s->n_edges; edge++) {
        s->scores[edge] = NAN;
        s->n_units += scan_has(s, edge);
    }
    if (!(method->needs & (EW_SCAN_GRADIENT | EW_SCAN_PLAIN)) &&
        !measure_circuit(s, cancel, err)) {
        ew_scan_destroy(s);
        return NULL;
    }
    return s;
}

void ew_scan_destroy(struct ew_scan *s)
{
    if (s) {
        free(s->scores);
        free(s);
    }
}

bool ew_scan_done(const struct ew_scan *s)
{
    return s->n_known == s->n_units;
}

bool ew_scan_step(struct ew_scan *s, const struct ew_cancel *cancel,
                  struct ew_err *err)
{
    if (ew_scan_done(s)) {
        return ew_fail(err, EW_ERR_USAGE, "the scan is done");
    }
    return s->params.method->step(s, cancel, err);
}

const float *ew_scan_scores(const struct ew_scan *s)
{
    return s->scores;
}

uint32_t ew_scan_n_units(const struct ew_scan *s)
{
    return s->n_units;
}

uint32_t ew_scan_n_known(const struct ew_scan *s)
{
    return s->n_known;
}
