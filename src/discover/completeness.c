/* SPDX-License-Identifier: Apache-2.0 */
/* Incompleteness: what-ifs of many edges at once, in two circuits. */
#include "edgewise/completeness.h"

#include <math.h>
#include <stdlib.h>

#include "edgewise/mem.h"

void ew_circuit_nodes(const struct ew_graph *g, const struct ew_bitset *kept,
                      struct ew_bitset *nodes)
{
    ew_bitset_fill(nodes, false);
    size_t n = ew_graph_n_addition(g);
    for (size_t e = ew_bitset_next(kept, 0); e < n;
         e = ew_bitset_next(kept, e + 1)) {
        uint32_t sender = ew_edge_sender(g, (uint32_t)e);
        enum ew_node_kind kind = ew_graph_sender(g, sender).kind;
        if (kind == EW_NODE_HEAD || kind == EW_NODE_MLP) {
            ew_bitset_put(nodes, sender, true);
        }
    }
}

size_t ew_knocked_out(const struct ew_graph *g, const struct ew_bitset *kept,
                      const struct ew_bitset *nodes, uint32_t *edges)
{
    size_t n = ew_graph_n_addition(g);
    size_t found = 0;
    for (size_t e = ew_bitset_next(kept, 0); e < n;
         e = ew_bitset_next(kept, e + 1)) {
        if (ew_bitset_has(nodes, ew_edge_sender(g, (uint32_t)e))) {
            edges[found++] = (uint32_t)e;
        }
    }
    return found;
}

/* The metric of the circuit `kept` without each set, out (n). */
static bool knock_out_each(struct ew_engine *e, const struct ew_bitset *kept,
                           const struct ew_completeness_params *params,
                           const struct ew_bitset *const *sets, size_t n,
                           size_t done, size_t total, double *out,
                           const struct ew_cancel *cancel, struct ew_err *err)
{
    const struct ew_graph *g = ew_engine_graph(e);
    uint32_t *edges = ew_xcalloc(ew_graph_n_addition(g), sizeof(*edges));
    bool ok = ew_engine_set(e, kept, cancel, err);
    for (size_t i = 0; ok && i < n; i++) {
        struct ew_what_if without = {edges,
                                     ew_knocked_out(g, kept, sets[i], edges)};
        struct ew_score score;
        ok = ew_engine_what_if(e, &without, 1, ew_metric_want(params->metric),
                               &score, NULL, cancel, err);
        out[i] = ok ? ew_score_metric(&score, params->metric) : 0;
        if (ok && isnan(out[i])) {
            ok = ew_fail(
                err, EW_ERR_INPUT, "metric %s is not defined for task %s",
                ew_metric_name(params->metric), ew_engine_task(e)->name);
        }
        if (ok && params->progress) {
            params->progress(params->user, done + i + 1, total);
        }
    }
    free(edges);
    return ok;
}

static bool measure(struct ew_engine *e, const struct ew_bitset *circuit,
                    const struct ew_completeness_params *params,
                    const struct ew_bitset *const *sets, size_t n, size_t done,
                    size_t total, struct ew_incompleteness *out,
                    const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_bitset *full = ew_bitset_clone(circuit);
    double *values = ew_xcalloc(2 * n, sizeof(*values));
    ew_bitset_fill(full, true);
    bool ok = knock_out_each(e, full, params, sets, n, done, total, values,
                             cancel, err) &&
              knock_out_each(e, circuit, params, sets, n, done + n, total,
                             values + n, cancel, err);
    for (size_t i = 0; ok && i < n; i++) {
        out[i].full = values[i];
        out[i].circuit = values[n + i];
        out[i].size = fabs(out[i].circuit - out[i].full);
    }
    free(values);
    ew_bitset_destroy(full);
    return ok;
}

bool ew_incompleteness(struct ew_engine *e, const struct ew_bitset *circuit,
                       const struct ew_completeness_params *params,
                       const struct ew_bitset *const *sets, size_t n,
                       struct ew_incompleteness *out,
                       const struct ew_cancel *cancel, struct ew_err *err)
{
    return measure(e, circuit, params, sets, n, 0, 2 * n, out, cancel, err);
}

/* The set with each node more that it has not yet; how many. */
static size_t extend(const struct ew_bitset *set, const struct ew_bitset *nodes,
                     struct ew_bitset **out)
{
    size_t n = 0;
    for (size_t s = ew_bitset_next(nodes, 0); s < ew_bitset_size(nodes);
         s = ew_bitset_next(nodes, s + 1)) {
        if (!ew_bitset_has(set, s)) {
            out[n] = ew_bitset_clone(set);
            ew_bitset_put(out[n++], s, true);
        }
    }
    return n;
}

bool ew_incompleteness_greedy(struct ew_engine *e,
                              const struct ew_bitset *circuit,
                              const struct ew_completeness_params *params,
                              size_t most, struct ew_bitset *set,
                              struct ew_incompleteness *out,
                              const struct ew_cancel *cancel,
                              struct ew_err *err)
{
    const struct ew_graph *g = ew_engine_graph(e);
    size_t n_senders = ew_graph_n_senders(g);
    struct ew_bitset *nodes = ew_bitset_create(n_senders);
    struct ew_bitset **sets = ew_xcalloc(n_senders, sizeof(*sets));
    struct ew_incompleteness *found = ew_xcalloc(n_senders, sizeof(*found));
    ew_circuit_nodes(g, circuit, nodes);
    size_t n_nodes = ew_bitset_count(nodes);
    most = most < n_nodes ? most : n_nodes;
    size_t total = 2 * (1 + most * n_nodes);
    ew_bitset_fill(set, false);
    const struct ew_bitset *none = set;
    bool ok = measure(e, circuit, params, &none, 1, 0, total, out, cancel, err);
    bool grows = true;
    for (size_t i = 0; ok && grows && i < most; i++) {
        size_t n = extend(set, nodes, sets);
        ok = measure(e, circuit, params, (const struct ew_bitset *const *)sets,
                     n, 2 * (1 + i * n_nodes), total, found, cancel, err);
        grows = false;
        for (size_t k = 0; k < n; k++) {
            if (ok && found[k].size > out->size) {
                *out = found[k];
                ew_bitset_copy(set, sets[k]);
                grows = true;
            }
            ew_bitset_destroy(sets[k]);
        }
    }
    free(found);
    free(sets);
    ew_bitset_destroy(nodes);
    return ok;
}
