/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods that score every edge. The exact scan asks for the edges into
 * one receiver next to each other, since these share most of their work, and
 * goes from the output backwards as ACDC does. What can be told to have no
 * effect is not computed.
 */
#include "edgewise/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/attribute.h"
#include "edgewise/buf.h"
#include "edgewise/mem.h"
#include "edgewise/unit.h"

enum { MAX_BATCH = 64 };

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

void ew_scan_know(struct ew_scan *s, uint32_t edge, float score)
{
    s->n_known += isnan(s->scores[edge]) && !isnan(score);
    s->n_known -= !isnan(s->scores[edge]) && isnan(score);
    s->scores[edge] = score;
}

static void tell(const struct ew_scan *s)
{
    if (s->params.progress) {
        s->params.progress(s->params.user, s->n_known, s->n_units);
    }
}

static bool not_a_number(const struct ew_scan *s, uint32_t edge,
                         struct ew_err *err)
{
    struct ew_buf name = {0};
    ew_unit_print(&name, s->g, s->params.nodes, edge);
    ew_fail(err, EW_ERR_FAILED, "%s of %s is not a number",
            s->params.method->name, ew_buf_str(&name));
    ew_buf_finish(&name);
    return false;
}

/* ---- exact ---- */

/* Edges into a receiver whose score is not known: additions, then its direct
 * edge. */
static uint32_t unknown_into(const struct ew_scan *s, uint32_t receiver,
                             uint32_t *edges, uint32_t most)
{
    uint32_t first = ew_graph_first_edge(s->g, receiver);
    uint32_t n = ew_graph_n_senders_of(s->g, receiver);
    uint32_t direct = ew_graph_direct_edge(s->g, receiver);
    uint32_t found = 0;
    for (uint32_t i = 0; i < n && found < most; i++) {
        if (isnan(s->scores[first + i]) &&
            ew_unit_is(s->g, s->params.nodes, first + i)) {
            edges[found++] = first + i;
        }
    }
    if (direct != EW_NONE && !s->params.nodes && found < most &&
        isnan(s->scores[direct])) {
        edges[found++] = direct;
    }
    return found;
}

/* Metric without the edge minus metric with it, whichever of the two the
 * circuit is. */
static float effect_of(const struct ew_scan *s, uint32_t edge,
                       const struct ew_score *flipped)
{
    double then = ew_score_metric(flipped, s->params.metric);
    uint32_t edges[EW_UNIT_MAX];
    bool kept;
    ew_unit_flips(s->g, s->params.nodes, edge, ew_engine_kept(s->e), edges,
                  &kept);
    return (float)(kept ? then - s->metric : s->metric - then);
}

/* Edges that flip with a unit; 0 when that is known to have no effect. */
static size_t flips_of(const struct ew_scan *s, uint32_t unit,
                       uint32_t edges[EW_UNIT_MAX])
{
    size_t n = ew_unit_flips(s->g, s->params.nodes, unit,
                             ew_engine_kept(s->e), edges, NULL);
    for (size_t i = 0; i < n; i++) {
        if (ew_engine_zero_why(s->e, edges[i]) == EW_ZERO_NOT) {
            return n;
        }
    }
    return 0;
}

static bool exact_step(struct ew_scan *s, const struct ew_cancel *cancel,
                       struct ew_err *err)
{
    uint32_t edges[MAX_BATCH];
    uint32_t asked[MAX_BATCH];
    uint32_t flips[MAX_BATCH][EW_UNIT_MAX];
    struct ew_what_if ifs[MAX_BATCH];
    struct ew_score scores[MAX_BATCH];
    uint32_t n = 0;
    while (s->next > 0 &&
           (n = unknown_into(s, s->next - 1, edges, MAX_BATCH)) == 0) {
        s->next--;
    }
    size_t n_asked = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t n_flips = flips_of(s, edges[i], flips[n_asked]);
        if (n_flips > 0) {
            asked[n_asked] = edges[i];
            ifs[n_asked] = (struct ew_what_if){flips[n_asked], n_flips};
            n_asked++;
        }
    }
    if (ew_cancel_check(cancel, err) ||
        !ew_engine_what_if(s->e, ifs, n_asked, ew_metric_want(s->params.metric),
                           scores, NULL, cancel, err)) {
        return false;
    }
    float effects[MAX_BATCH];
    for (size_t i = 0; i < n_asked; i++) {
        effects[i] = effect_of(s, asked[i], &scores[i]);
        if (isnan(effects[i])) {
            return not_a_number(s, asked[i], err);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        ew_scan_know(s, edges[i], 0.0f);
    }
    for (size_t i = 0; i < n_asked; i++) {
        ew_scan_know(s, asked[i], effects[i]);
    }
    tell(s);
    return true;
}

/* ---- estimates ---- */

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
    bool ok = ew_engine_attribute(s->e, &params, scores, cancel, err);
    for (uint32_t edge = 0; ok && edge < s->n_edges; edge++) {
        ok = !isnan(scores[edge]) || not_a_number(s, edge, err);
    }
    for (uint32_t edge = 0; ok && edge < s->n_edges; edge++) {
        uint32_t edges[EW_UNIT_MAX];
        if (ew_unit_is(s->g, s->params.nodes, edge)) {
            size_t n = ew_unit_edges(s->g, s->params.nodes, edge, edges);
            float sum = 0;
            for (size_t i = 0; i < n; i++) {
                sum += scores[edges[i]];
            }
            ew_scan_know(s, edge, sum);
        }
    }
    free(scores);
    return ok;
}

static bool eap_step(struct ew_scan *s, const struct ew_cancel *cancel,
                     struct ew_err *err)
{
    return gradient_step(s, EW_ATTR_EAP, cancel, err);
}

static bool ig_inputs_step(struct ew_scan *s, const struct ew_cancel *cancel,
                           struct ew_err *err)
{
    return gradient_step(s, EW_ATTR_IG_INPUTS, cancel, err);
}

static bool ig_activations_step(struct ew_scan *s,
                                const struct ew_cancel *cancel,
                                struct ew_err *err)
{
    return gradient_step(s, EW_ATTR_IG_ACTIVATIONS, cancel, err);
}

static bool clean_corrupted_step(struct ew_scan *s,
                                 const struct ew_cancel *cancel,
                                 struct ew_err *err)
{
    return gradient_step(s, EW_ATTR_CLEAN_CORRUPTED, cancel, err);
}

/* ---- the table ---- */

// clang-format off
static const struct ew_scan_method methods[] = {
    {"exact", "the effect of each edge alone, measured in the circuit",
     "edges", 0, exact_step},
    {"eap", "edge attribution patching: the gradient of the clean run",
     "passes", EW_SCAN_GRADIENT, eap_step},
    {"eap-ig-inputs", "EAP with gradients on the way from corrupted to clean "
     "embeddings",
     "passes", EW_SCAN_GRADIENT | EW_SCAN_STEPS, ig_inputs_step},
    {"eap-ig-activations", "EAP with gradients on the way from corrupted to "
     "clean outputs of each layer",
     "passes", EW_SCAN_GRADIENT | EW_SCAN_STEPS, ig_activations_step},
    {"clean-corrupted", "EAP with the mean gradient of both runs",
     "passes", EW_SCAN_GRADIENT, clean_corrupted_step},
};
// clang-format on

const struct ew_scan_method *ew_scan_methods(size_t *n)
{
    *n = EW_ARRAY_LEN(methods);
    return methods;
}

const struct ew_scan_method *ew_scan_find(const char *name, struct ew_err *err)
{
    struct ew_buf names = {0};
    for (size_t i = 0; i < EW_ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].name, name) == 0) {
            ew_buf_finish(&names);
            return &methods[i];
        }
        ew_buf_printf(&names, "%s%s", i ? ", " : "", methods[i].name);
    }
    ew_fail(err, EW_ERR_USAGE, "expected one of %s, found '%s'",
            ew_buf_str(&names), name);
    ew_buf_finish(&names);
    return NULL;
}

/* ---- the scan ---- */

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
    s->n_units = ew_unit_count(s->g, params->nodes);
    s->next = ew_graph_n_receivers(s->g);
    s->scores = ew_xcalloc(s->n_edges, sizeof(*s->scores));
    for (uint32_t edge = 0; edge < s->n_edges; edge++) {
        s->scores[edge] = NAN;
    }
    if (!(method->needs & EW_SCAN_GRADIENT) &&
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

uint32_t ew_scan_n_known(const struct ew_scan *s)
{
    return s->n_known;
}
