/* SPDX-License-Identifier: Apache-2.0 */
/* Guesses in one pass over the edges, and what was measured. */
#include "tradeoff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "app.h"

/* How many of the rows' thresholds an effect reaches. */
static size_t reached(const struct ew_tradeoff_row *rows, size_t n,
                      double effect)
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle].tau <= effect) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Each edge counts in one place; sums over the rows bring it to all. */
void ew_tradeoff_guess(struct ew_tradeoff_row *rows, size_t n,
                       const struct ew_known_edge *edges,
                       const struct ew_bitset *kept)
{
    uint32_t *n_reach = ew_xcalloc(n + 1, sizeof(*n_reach));
    double *cut = ew_xcalloc(n + 1, sizeof(*cut)); /* from this row on */
    double *add = ew_xcalloc(n + 1, sizeof(*add)); /* before this row */
    uint32_t unknown = 0;
    uint32_t unknown_kept = 0;
    size_t n_edges = ew_bitset_size(kept);
    for (size_t e = 0; e < n_edges; e++) {
        bool is_kept = ew_bitset_has(kept, e);
        if (edges[e].gen == 0) {
            unknown++;
            unknown_kept += is_kept;
            continue;
        }
        double effect = (double)edges[e].effect;
        size_t at = reached(rows, n, effect);
        n_reach[at]++;
        *(is_kept ? &cut[at] : &add[at]) += effect;
    }
    uint32_t reach = 0;
    double added = 0.0;
    for (size_t i = n; i-- > 0;) {
        reach += n_reach[i + 1];
        added += add[i + 1];
        rows[i].kept = reach + unknown_kept;
        rows[i].unknown = unknown;
        rows[i].shift = -added;
    }
    double removed = 0.0;
    for (size_t i = 0; i < n; i++) {
        removed += cut[i];
        rows[i].shift += removed;
    }
    free(n_reach);
    free(cut);
    free(add);
}

const struct ew_tradeoff_row *ew_tradeoff_rows(struct ew_app *a, size_t n)
{
    struct ew_guesses *g = &a->tradeoff.guesses;
    if (g->n == n && g->tau == a->acdc.threshold && g->gen == a->gen &&
        g->effects_serial == a->effects_serial) {
        return g->rows;
    }
    g->n = n;
    g->tau = a->acdc.threshold;
    g->gen = a->gen;
    g->effects_serial = a->effects_serial;
    for (int i = 0; i < (int)n; i++) {
        g->rows[i] = (struct ew_tradeoff_row){
            .tau = ew_threshold_step(g->tau, i - ((int)(n - 1 - n / 2)))};
    }
    ew_tradeoff_guess(g->rows, n, a->edges, ew_circuit_kept(a->circuit));
    return g->rows;
}

/* From all edges to the end, one threshold, nobody interfered. */
static bool is_plain_run(const struct ew_app *a)
{
    const struct ew_acdc_view *v = &a->acdc;
    bool plain = v->begun && v->done && a->now_gen == a->gen &&
                 v->n_log == ew_graph_n_edges(a->graph);
    for (size_t i = 0; i < v->n_log && plain; i++) {
        const struct ew_acdc_decision *d = &v->log[i];
        plain = d->dropped || (!d->overruled && d->threshold == v->threshold);
    }
    return plain;
}

static struct ew_measured *find(const struct ew_app *a, double tau)
{
    for (size_t i = 0; i < a->tradeoff.n; i++) {
        struct ew_measured *m = &a->tradeoff.items[i];
        if (m->metric == a->metric && fabs(m->tau - tau) < 1e-9 * tau) {
            return m;
        }
    }
    return NULL;
}

void ew_tradeoff_note(struct ew_app *a)
{
    struct ew_tradeoff *t = &a->tradeoff;
    if (!is_plain_run(a)) {
        return;
    }
    struct ew_measured *m = find(a, a->acdc.threshold);
    if (!m) {
        t->items = ew_grow(t->items, t->n, &t->cap, sizeof(*t->items));
        m = &t->items[t->n++];
    }
    *m = (struct ew_measured){
        .tau = a->acdc.threshold,
        .metric = a->metric,
        .n_kept = ew_circuit_n_kept(a->circuit),
        .score = a->now,
    };
}

const struct ew_measured *ew_tradeoff_at(const struct ew_app *a, double tau)
{
    return find(a, tau);
}

/* Steps of about a tenth. */
double ew_threshold_step(double tau, int steps)
{
    static const double ladder[] = {1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3,
                                    3.9, 4.7, 5.6, 6.0, 6.8, 8.2};
    int n = (int)EW_ARRAY_LEN(ladder);
    for (; steps != 0; steps += steps < 0 ? 1 : -1) {
        double scale = pow(10.0, floor(log10(tau) + 1e-9));
        double best = steps > 0 ? 10.0 * scale : ladder[n - 1] * scale / 10.0;
        for (int i = 0; i < n; i++) {
            double value = ladder[i] * scale;
            if (steps > 0 && value > tau * 1.0001 && value < best) {
                best = value;
            }
            if (steps < 0 && value < tau * 0.9999 && value > best) {
                best = value;
            }
        }
        tau = best;
    }
    return tau;
}

uint32_t ew_tradeoff_n_unknown(const struct ew_app *a)
{
    return ew_graph_n_edges(a->graph) - a->n_known;
}
