/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes the circuit. Every action is one revision of the undo tree;
 * a run of ACDC is one as well. Each change starts a new generation and sends
 * the worker the whole kept set, so that nothing can drift apart.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "app.h"

bool ew_edit_may(struct ew_app *a)
{
    if (a->acdc.running) {
        ew_notice(a, true, "ACDC is running: ^C stops it");
        return false;
    }
    return true;
}

void ew_edit_changed(struct ew_app *a)
{
    a->ld_before = a->now_gen == a->gen ? a->now.logit_diff : NAN;
    a->gen++;
    a->edit_gen = a->gen;
    a->edit_told = a->n_told;
    a->counts_old = true;
    a->rows_old = true;
    a->acdc.has_peek = false;
    a->acdc.edited = a->acdc.steps_waiting > 0;
    if (!a->acdc.edited) {
        /* a step that waits needs the circuits before it */
        a->acdc.begun = false;
        a->acdc.done = false;
        a->acdc.next = EW_NONE;
        a->ports.expect(a->ports.user, a->gen);
    }
    a->ports.post(a->ports.user,
                  ew_request_set(a->gen, ew_circuit_kept(a->circuit)));
}

/* All edges out of a sender. */
static void put_out(struct ew_app *a, uint32_t sender, bool keep)
{
    uint32_t last = ew_graph_n_receivers(a->graph);
    for (uint32_t r = ew_graph_first_receiver_of(a->graph, sender); r < last;
         r++) {
        uint32_t edge = ew_graph_edge(a->graph, sender, r);
        if (edge != EW_NONE) {
            ew_circuit_put(a->circuit, edge, keep);
        }
    }
}

static void finish(struct ew_app *a, const char *what)
{
    size_t n = ew_circuit_end(a->circuit);
    if (n > 0) {
        ew_edit_changed(a);
        char count[32] = "";
        if (n > 1) {
            snprintf(count, sizeof(count), ", %zu edges", n);
        }
        ew_notice(a, false, "%s%s", what, count);
    } else {
        ew_notice(a, false, "%s: nothing to change", what);
    }
}

static void toggle_edge(struct ew_app *a, uint32_t edge)
{
    char name[EW_NAME_SIZE];
    char what[EW_NAME_SIZE + 16];
    bool kept = ew_edge_kept(a, edge);
    snprintf(what, sizeof(what), "%s %s", kept ? "cut" : "keep",
             ew_name_of_edge(name, a->graph, edge));
    ew_circuit_begin(a->circuit, what);
    ew_circuit_flip(a->circuit, edge);
    finish(a, what);
}

static void toggle_marked(struct ew_app *a)
{
    size_t n = ew_bitset_size(a->marked);
    bool any_kept = false;
    for (size_t e = ew_bitset_next(a->marked, 0); e < n;
         e = ew_bitset_next(a->marked, e + 1)) {
        any_kept |= ew_edge_kept(a, (uint32_t)e);
    }
    const char *what = any_kept ? "cut the marked" : "keep the marked";
    ew_circuit_begin(a->circuit, what);
    for (size_t e = ew_bitset_next(a->marked, 0); e < n;
         e = ew_bitset_next(a->marked, e + 1)) {
        ew_circuit_put(a->circuit, (uint32_t)e, !any_kept);
    }
    ew_bitset_fill(a->marked, false);
    finish(a, what);
}

/* A head's input: its direct edge is what pins it to the corrupted run. */
static void toggle_node(struct ew_app *a)
{
    uint32_t first;
    uint32_t n;
    if (a->node == ew_logits_of(a)) {
        ew_notice(a, true, "logits is where everything goes: choose an edge");
        return;
    }
    ew_node_inputs(a, a->node, a->channel, &first, &n);
    uint32_t direct = n == 1 ? ew_graph_direct_edge(a->graph, first) : EW_NONE;
    if (a->channel != EW_CH_ALL && direct != EW_NONE) {
        toggle_edge(a, direct);
        return;
    }
    char name[EW_NAME_SIZE];
    char what[EW_NAME_SIZE + 24];
    bool any = ew_circuit_n_out(a->circuit, a->node) > 0;
    snprintf(what, sizeof(what), "%s %s", any ? "knock out" : "restore",
             ew_node_name(a, a->node, name));
    ew_circuit_begin(a->circuit, what);
    put_out(a, a->node, !any);
    finish(a, what);
}

void ew_edit_toggle(struct ew_app *a)
{
    if (!ew_edit_may(a)) {
        return;
    }
    uint32_t edge = ew_rows_edge(a);
    if (ew_pane_on(a, &ew_view_tree)) {
        toggle_node(a);
    } else if (ew_bitset_count(a->marked) > 0) {
        toggle_marked(a);
    } else if (edge != EW_NONE) {
        a->edge = edge;
        toggle_edge(a, edge);
    } else {
        ew_notice(a, true, "no edge here");
    }
}

void ew_edit_knock_out(struct ew_app *a)
{
    if (!ew_edit_may(a)) {
        return;
    }
    if (a->node == ew_logits_of(a)) {
        ew_notice(a, true, "logits has no edges out");
        return;
    }
    char name[EW_NAME_SIZE];
    char what[EW_NAME_SIZE + 24];
    snprintf(what, sizeof(what), "knock out %s",
             ew_node_name(a, a->node, name));
    ew_circuit_begin(a->circuit, what);
    put_out(a, a->node, false);
    finish(a, what);
}

void ew_edit_restore_all(struct ew_app *a)
{
    if (!ew_edit_may(a)) {
        return;
    }
    struct ew_bitset *all = ew_bitset_create(ew_graph_n_edges(a->graph));
    ew_bitset_fill(all, true);
    size_t n = ew_circuit_assign(a->circuit, all, "restore all");
    ew_bitset_destroy(all);
    if (n > 0) {
        ew_edit_changed(a);
    }
    ew_notice(a, false, "all edges kept: %zu restored", n);
}

void ew_edit_undo(struct ew_app *a, bool redo)
{
    const char *what = "";
    if (!ew_edit_may(a)) {
        return;
    }
    bool ok = redo ? ew_circuit_redo(a->circuit, &what)
                   : ew_circuit_undo(a->circuit, &what);
    if (!ok) {
        ew_notice(a, true, "nothing to %s", redo ? "redo" : "undo");
        return;
    }
    ew_edit_changed(a);
    ew_notice(a, false, "%s: %s", redo ? "redone" : "undone", what);
}

void ew_edit_metric(struct ew_app *a)
{
    enum ew_metric metric = a->metric;
    do {
        metric = (enum ew_metric)((metric + 1) % EW_N_METRICS);
    } while (ew_metric_has_answers(metric) && !a->ready.has_ld);
    ew_edit_set_metric(a, metric);
}

/* Effects mean something else from now on. */
static void forget_effects(struct ew_app *a)
{
    a->gen++;
    memset(a->edges, 0, ew_graph_n_edges(a->graph) * sizeof(*a->edges));
    a->n_known = 0;
    a->effects_serial++;
    memset(a->nodes, 0, ew_graph_n_senders(a->graph) * sizeof(*a->nodes));
    ew_circuit_forget_scores(a->circuit);
    ew_pin_forget_effects(a);
    a->acdc.begun = false;
    a->acdc.done = false;
    a->acdc.has_peek = false;
    a->acdc.next = EW_NONE;
    a->rows_old = true;
}

void ew_edit_set_metric(struct ew_app *a, enum ew_metric metric)
{
    if (a->load != EW_LOADED || !ew_edit_may(a)) {
        return;
    }
    if (ew_metric_has_answers(metric) && !a->ready.has_ld) {
        ew_notice(a, true, "the task has no wrong answers");
        return;
    }
    a->metric = metric;
    ew_provenance_set(&ew_circuit_provenance(a->circuit)->metric,
                      ew_metric_name(a->metric));
    forget_effects(a);
    a->ports.post(a->ports.user, ew_request_metric(a->gen, a->metric));
    ew_notice(a, false, "metric: %s, minimised", ew_metric_formula(a->metric));
}

void ew_edit_estimate(struct ew_app *a, enum ew_attribution method)
{
    if (a->metric == EW_METRIC_ACCURACY) {
        ew_notice(a, true, "accuracy has no gradient: M is the next metric");
        return;
    }
    a->estimating = true;
    a->estimate_by = method;
    a->ports.post(a->ports.user, ew_request_estimate(a->gen, method));
    ew_notice(a, false, "estimating the effects of all edges by %s ...",
              ew_attribution_name(method));
}

void ew_edit_estimate_stop(struct ew_app *a)
{
    a->estimating = false;
    a->ports.post(a->ports.user, ew_request_estimate_stop(a->gen));
    ew_notice(a, false, "no estimates then");
}

void ew_edit_new_task(struct ew_app *a)
{
    forget_effects(a);
    a->now = ew_score_unknown();
    a->now_se = NAN;
    a->pin.score = ew_score_unknown();
    a->tradeoff.n = 0;
    a->n_visits = 0;
    for (size_t i = 0; i < a->session.n; i++) {
        a->session.items[i].score = ew_score_unknown();
    }
    for (uint32_t s = 0; s < ew_graph_n_senders(a->graph); s++) {
        free(a->cards[s]); /* their attention was of the old prompts */
        a->cards[s] = NULL;
        a->kinds[s] = (struct ew_known_kind){EW_ATTENDS_UNKNOWN, 0.0f};
    }
    free(a->prompts);
    free(a->attention);
    free(a->top);
    a->top = NULL;
    a->where.n = 0;
    free(a->estimates);
    a->estimates = NULL;
    a->prompts = NULL;
    a->attention = NULL;
    a->prompt_list = (struct ew_list){0};
    a->attention_prompt = -1;
    a->attention_list.cur = -1;
    a->asked_hash = 0;
    a->ports.expect(a->ports.user, a->gen);
    a->ports.post(a->ports.user,
                  ew_request_set(a->gen, ew_circuit_kept(a->circuit)));
}

/* ---- export ---- */

struct ew_circuit *ew_edit_copy(const struct ew_app *a)
{
    struct ew_circuit *c = ew_circuit_create(a->graph);
    ew_circuit_assign(c, ew_circuit_kept(a->circuit), "export");
    uint32_t n = ew_graph_n_edges(a->graph);
    for (uint32_t e = 0; e < n; e++) {
        float score = ew_circuit_score(a->circuit, e);
        if (!isnan(score)) {
            ew_circuit_set_score(c, e, score);
        }
    }
    ew_circuit_copy_provenance(c, a->circuit);
    return c;
}

bool ew_edit_may_write(struct ew_app *a, const char *path)
{
    if (strcmp(path, "-") == 0) {
        ew_notice(a, true, "- would write over the screen: name a file");
        return false;
    }
    return true;
}

void ew_edit_export(struct ew_app *a, const char *path, bool overwrite)
{
    if (!*path || !ew_edit_may_write(a, path)) {
        return;
    }
    if (!overwrite && access(path, F_OK) == 0) {
        snprintf(a->export_path, sizeof(a->export_path), "%s", path);
        ew_prompt_open(a, EW_PROMPT_OVERWRITE, "");
        return;
    }
    a->exporting = true;
    ew_notice(a, false, "writing %s ...", path);
    a->ports.export_file(a->ports.user, ew_edit_copy(a),
                         a->groups ? ew_groups_clone(a->groups) : NULL, path);
}
