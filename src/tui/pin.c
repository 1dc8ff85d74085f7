/* SPDX-License-Identifier: Apache-2.0 */
/* Pinning a circuit, and effects in it. */
#include "pin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "app.h"

enum { MAX_WANTED = 1024 };

bool ew_pinned(const struct ew_app *a)
{
    return a->pin.kept != NULL;
}

void ew_pin_finish(struct ew_pin *pin)
{
    ew_bitset_destroy(pin->kept);
    free(pin->was);
    pin->kept = NULL;
    pin->was = NULL;
}

static void set_pin(struct ew_app *a)
{
    struct ew_pin *pin = &a->pin;
    uint32_t n = ew_graph_n_edges(a->graph);
    pin->kept = ew_bitset_clone(ew_circuit_kept(a->circuit));
    pin->was = ew_xcalloc(n, sizeof(*pin->was));
    for (uint32_t e = 0; e < n; e++) {
        bool fresh = a->edges[e].gen == (uint32_t)a->gen;
        pin->was[e] = fresh ? a->edges[e].effect : NAN;
    }
    pin->score = ew_score_unknown();
    if (a->now_gen == a->gen) {
        pin->score = a->now;
    }
}

void ew_pin_toggle(struct ew_app *a)
{
    if (a->acdc.running) {
        ew_notice(a, true, "ACDC is running: ^C stops it");
        return;
    }
    bool pinned = ew_pinned(a);
    ew_pin_finish(&a->pin);
    a->pin.serial++;
    if (pinned) {
        a->sort = a->sort >= EW_SORT_CHANGE ? EW_SORT_ABS : a->sort;
        a->quantity =
            a->quantity == EW_QTY_CHANGE ? EW_QTY_DIRECT : a->quantity;
        ew_notice(a, false, "unpinned");
    } else {
        set_pin(a);
        ew_notice(a, false, "pinned at %u edges: was and change refer to it",
                  (unsigned)ew_circuit_n_kept(a->circuit));
    }
    a->rows_old = true;
    a->asked_hash = 0;
}

void ew_pin_forget_effects(struct ew_app *a)
{
    uint32_t n = ew_graph_n_edges(a->graph);
    a->pin.serial++;
    for (uint32_t e = 0; a->pin.was && e < n; e++) {
        a->pin.was[e] = NAN;
    }
}

static void fill(double *known, double told)
{
    *known = isnan(*known) ? told : *known;
}

void ew_pin_event(struct ew_app *a, const struct ew_ev_was *e)
{
    struct ew_pin *pin = &a->pin;
    if (!pin->kept || e->pin != pin->serial) {
        return;
    }
    double size = ew_score_metric(&e->base, a->metric);
    for (size_t i = 0; i < e->n; i++) {
        pin->was[e->items[i].edge] =
            (float)ew_without_noise((double)e->items[i].effect, size);
    }
    fill(&pin->score.logit_diff, e->base.logit_diff);
    fill(&pin->score.kl, e->base.kl);
    fill(&pin->score.nll, e->base.nll);
    fill(&pin->score.accuracy, e->base.accuracy);
    ew_rows_changed(a);
}

double ew_pin_was(const struct ew_app *a, uint32_t edge)
{
    return a->pin.was ? (double)a->pin.was[edge] : NAN;
}

double ew_pin_change(const struct ew_app *a, uint32_t edge)
{
    if (a->edges[edge].gen != (uint32_t)a->gen) {
        return NAN;
    }
    return ew_without_noise((double)a->edges[edge].effect - ew_pin_was(a, edge),
                            ew_score_metric(&a->now, a->metric));
}

/* The edges by which the present circuit and the pinned one differ. */
static void set_apart(const struct ew_app *a, struct ew_req_focus *focus)
{
    const struct ew_bitset *kept = ew_circuit_kept(a->circuit);
    size_t n = ew_bitset_size(kept);
    size_t cap = 0;
    for (size_t e = 0; e < n; e++) {
        if (ew_bitset_has(kept, e) != ew_bitset_has(a->pin.kept, e)) {
            focus->apart = ew_grow(focus->apart, focus->n_apart, &cap,
                                   sizeof(*focus->apart));
            focus->apart[focus->n_apart++] = (uint32_t)e;
        }
    }
}

void ew_pin_want(const struct ew_app *a, struct ew_req_focus *focus,
                 const uint32_t *edges, size_t n)
{
    if (!ew_pinned(a)) {
        return;
    }
    if (!focus->was) {
        focus->was = ew_xcalloc(MAX_WANTED, sizeof(*focus->was));
        focus->pin = a->pin.serial;
        set_apart(a, focus);
    }
    for (size_t i = 0; i < n && focus->n_was < MAX_WANTED; i++) {
        if (isnan(a->pin.was[edges[i]])) {
            focus->was[focus->n_was++] = edges[i];
        }
    }
}
