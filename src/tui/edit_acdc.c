/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACDC on the screen's side: starting steps and runs, what its decisions do
 * to the circuit, taking them back, and the threshold. A step is a revision
 * of the undo tree, and so is a whole run.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "edgewise/mem.h"

#include "app.h"

static void start_run(struct ew_app *a)
{
    char what[80];
    snprintf(what, sizeof(what), "ACDC tau %g, %s", a->acdc.threshold,
             ew_metric_name(a->metric));
    ew_circuit_begin(a->circuit, what);
    ew_circuit_provenance(a->circuit)->threshold = a->acdc.threshold;
    a->revision_open = true;
    a->acdc.running = true;
    a->acdc.start_ns = a->ports.now_ns(a->ports.user);
    a->acdc.start_done = a->acdc.begun ? a->acdc.n_done : 0;
}

/* A session that starts over forgets what the last one decided. */
static void begin_session(struct ew_app *a)
{
    a->acdc.n_log = 0;
    a->acdc.bins.n = 0;
    a->acdc.n_kept = 0;
    a->acdc.n_cut = 0;
    a->acdc.n_dropped = 0;
    a->acdc.n_done = 0;
    a->acdc.n_left = ew_circuit_n_kept(a->circuit);
    a->acdc.begun = true;
    a->acdc.done = false;
    a->acdc.list = (struct ew_list){0};
}

void ew_edit_acdc(struct ew_app *a, enum ew_request_kind kind,
                  enum ew_verdict verdict, enum ew_until until)
{
    if (!ew_edit_may(a)) {
        return;
    }
    if (a->load != EW_LOADED) {
        ew_notice(a, true,
                  a->load == EW_LOADING ? "the engine is not there yet"
                                        : "there is no engine");
        return;
    }
    if (a->acdc.done) {
        ew_notice(a, true,
                  "ACDC is done here: [ ] change tau, u undoes, b goes back");
        return;
    }
    if (kind == EW_REQ_ACDC_RUN && a->acdc.steps_waiting > 0) {
        a->acdc.run_next = true; /* when the steps are done */
        a->acdc.run_until = until;
        return;
    }
    if (until == EW_UNTIL_DOUBT && a->acdc.has_peek && !a->acdc.peek.dropped &&
        ew_doubtful(a->acdc.peek.effect, a->acdc.threshold, a->acdc.doubt)) {
        ew_notice(a, true, "this edge is doubtful: a or ! decides it");
        return;
    }
    if (kind == EW_REQ_ACDC_RUN) {
        start_run(a);
    } else {
        a->acdc.steps_waiting++;
    }
    if (!a->acdc.begun) {
        begin_session(a);
    }
    if (kind == EW_REQ_ACDC_RUN && until == EW_UNTIL_END &&
        a->metric == EW_METRIC_LOGIT_DIFF) {
        ew_notice(a, false,
                  "minus the logit difference removes every edge that hurts "
                  "it: M changes the metric");
    }
    a->gen++;
    a->acdc.has_peek = false;
    struct ew_req_acdc req = {
        .threshold = a->acdc.threshold,
        .verdict = verdict,
        .until = until,
        .doubt = a->acdc.doubt,
    };
    a->ports.post(a->ports.user, ew_request_acdc(kind, a->gen, req));
}

/* ---- taking decisions back ---- */

/* The last tested edge in the log, and what was dropped after it. */
static size_t last_tested(const struct ew_acdc_view *v)
{
    size_t i = v->n_log - 1;
    while (i > 0 && v->log[i].dropped) {
        i--;
    }
    return i;
}

/* The circuit as it was before entry `first` of the log; one revision. */
static void restore_from(struct ew_app *a, size_t first)
{
    struct ew_acdc_view *v = &a->acdc;
    char name[EW_NAME_SIZE];
    char what[EW_NAME_SIZE + 32];
    snprintf(what, sizeof(what), "back to before %s",
             ew_name_of_edge(name, a->graph, v->log[first].edge));
    ew_circuit_begin(a->circuit, what);
    for (size_t i = first; i < v->n_log; i++) {
        const struct ew_acdc_decision *d = &v->log[i];
        v->n_kept -= d->kept;
        v->n_dropped -= d->dropped;
        v->n_cut -= !d->kept && !d->dropped;
        if (!d->kept) {
            ew_circuit_put(a->circuit, d->edge, true);
        }
    }
    ew_circuit_end(a->circuit);
    v->n_log = first;
    v->bins.n = 0;
    ew_notice(a, false, "%s", what);
}

void ew_edit_acdc_back(struct ew_app *a)
{
    struct ew_acdc_view *v = &a->acdc;
    if (!ew_edit_may(a)) {
        return;
    }
    if (!v->begun || v->n_log == 0 || v->steps_waiting > 0) {
        ew_notice(a, true,
                  v->steps_waiting > 0 ? "a step is under way"
                  : v->n_log > 0
                      ? "the circuit was edited since: u undoes, a begins anew"
                      : "ACDC has decided nothing yet");
        return;
    }
    restore_from(a, last_tested(v));
    struct ew_req_back req = {
        .threshold = v->threshold,
        .kept = ew_bitset_clone(ew_circuit_kept(a->circuit)),
        .passed = ew_xcalloc(v->n_log + 1, sizeof(*req.passed)),
        .n_done = (uint32_t)v->n_log,
    };
    for (size_t i = 0; i < v->n_log; i++) {
        if (v->log[i].kept) {
            req.passed[req.n_passed++] = v->log[i].edge;
        }
    }
    a->ld_before = a->now_gen == a->gen ? a->now.logit_diff : NAN;
    a->gen++;
    a->edit_gen = a->gen;
    a->edit_told = a->n_told;
    a->counts_old = true;
    a->rows_old = true;
    v->has_peek = false;
    v->done = false;
    v->steps_waiting++;
    a->ports.expect(a->ports.user, a->gen);
    a->ports.post(a->ports.user, ew_request_back(a->gen, req));
}

/* ---- the threshold ---- */

void ew_edit_threshold(struct ew_app *a, int steps)
{
    ew_edit_set_threshold(a, ew_threshold_step(a->acdc.threshold, steps));
}

void ew_edit_set_threshold(struct ew_app *a, double tau)
{
    if (!(tau > 1e-12 && tau < 1e9)) {
        return;
    }
    a->acdc.threshold = tau;
    a->acdc.has_peek = false;
    a->rows_old |= a->sort == EW_SORT_TAU;
    a->asked_hash = 0;
    if (a->acdc.done) {
        a->acdc.done = false;
        a->acdc.begun = false;
        a->gen++; /* what ACDC kept is tested again, from the start */
        a->ports.post(a->ports.user, ew_request_metric(a->gen, a->metric));
    }
    struct ew_req_acdc req = {.threshold = tau};
    a->ports.post(a->ports.user,
                  ew_request_acdc(EW_REQ_THRESHOLD, a->gen, req));
    ew_notice(a, false, "ACDC threshold %g", tau);
}

/* ---- what the worker tells ---- */

/* Of an edge that was never looked at before, ACDC knows no more than this. */
static void learn_effect(struct ew_app *a, uint32_t edge, double effect)
{
    struct ew_known_edge *known = &a->edges[edge];
    if (known->gen == 0) {
        *known = (struct ew_known_edge){.ld = NAN, .se = NAN, .gen = 1};
        a->n_known++;
    }
    known->effect = (float)effect;
    ew_circuit_set_score(a->circuit, edge, (float)effect);
}

static void take_decision(struct ew_app *a, const struct ew_acdc_decision *d)
{
    struct ew_acdc_view *v = &a->acdc;
    v->log = ew_grow(v->log, v->n_log, &v->cap_log, sizeof(*v->log));
    v->log[v->n_log++] = *d;
    v->n_kept += d->kept;
    v->n_dropped += d->dropped;
    v->n_cut += !d->kept && !d->dropped;
    a->counts_old |= !d->kept;
    if (!d->kept) {
        ew_circuit_put(a->circuit, d->edge, false);
    }
    if (!d->dropped && !isnan(d->effect)) {
        learn_effect(a, d->edge, d->effect);
    }
}

static void name_step(const struct ew_app *a, const struct ew_ev_acdc *e,
                      char *out, size_t size)
{
    char name[EW_NAME_SIZE];
    char effect[EW_FIGURE_SIZE];
    const struct ew_acdc_decision *d = &e->items[e->n - 1];
    snprintf(
        out, size, "ACDC %s %s, effect %s", d->kept ? "keeps" : "cuts",
        ew_name_of_edge(name, a->graph, d->edge),
        ew_figure_signed(effect, ew_without_noise(d->effect, a->acdc.metric)));
}

static void end_run(struct ew_app *a, const struct ew_ev_acdc *e)
{
    const struct ew_acdc_view *v = &a->acdc;
    char name[EW_NAME_SIZE];
    a->acdc.running = false;
    a->revision_open = false;
    ew_circuit_end(a->circuit);
    if (e->doubtful) {
        ew_notice(a, false, "%s is within %.0f%% of tau: a agrees, ! overrules",
                  ew_name_of_edge(name, a->graph, e->next), 100.0 * v->doubt);
        return;
    }
    bool paused = !e->stopped && e->next != EW_NONE;
    ew_notice(a, e->stopped, "ACDC %s: %u tested, %u kept, %u cut, %u dropped",
              e->stopped ? "stopped"
              : paused   ? "so far"
                         : "done",
              (unsigned)(v->n_kept + v->n_cut), (unsigned)v->n_kept,
              (unsigned)v->n_cut, (unsigned)v->n_dropped);
}

void ew_edit_acdc_event(struct ew_app *a, const struct ew_ev_acdc *e,
                        uint64_t gen)
{
    struct ew_acdc_view *v = &a->acdc;
    bool peek_only = !e->run && !e->ended;
    if (peek_only && gen != a->gen) {
        return;
    }
    bool step = !e->run && e->n > 0;
    if (step && !v->begun) {
        begin_session(a); /* the way back before it was stopped */
    }
    if (step) {
        char what[EW_NAME_SIZE + 64];
        name_step(a, e, what, sizeof(what));
        ew_circuit_begin(a->circuit, what);
        ew_notice(a, false, "%s", what);
    }
    for (size_t i = 0; i < e->n; i++) {
        take_decision(a, &e->items[i]);
    }
    if (step) {
        ew_circuit_end(a->circuit);
    }
    if (e->ended && !e->run && v->steps_waiting > 0) {
        v->steps_waiting--;
    }
    if (e->ended && e->stopped && e->next == EW_NONE) {
        v->begun = false; /* going back did not get through */
    }
    v->next = e->next;
    v->n_done = e->n_done;
    v->n_left = e->n_left;
    v->metric = e->metric;
    v->done = e->next == EW_NONE && (e->ended || peek_only) && !e->stopped;
    v->has_peek = e->has_peek;
    v->peek = e->peek;
    if (e->n > 0) {
        a->effects_serial++;
        ew_rows_changed(a);
    }
    if (e->run && e->ended) {
        end_run(a, e);
    }
    if (e->ended && v->steps_waiting == 0 && (gen != a->gen || v->edited)) {
        ew_edit_changed(a); /* put both together */
    }
    if (e->ended && v->run_next && v->steps_waiting == 0) {
        v->run_next = false;
        ew_edit_acdc(a, EW_REQ_ACDC_RUN, EW_VERDICT_ACDC, v->run_until);
    }
}
