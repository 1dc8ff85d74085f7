/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACDC stepper. It is sequential, yet most decisions in a sparse graph
 * are "remove": the next few candidates into one receiver are evaluated
 * together under the guess that all before them are removed, and their
 * results are used up to the first wrong guess. Same decisions in the same
 * order; a verdict that rounding could turn is tested again alone.
 */
#include "edgewise/acdc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/buf.h"
#include "edgewise/mem.h"
#include "edgewise/unit.h"

#include "order.h"

enum { MAX_WINDOW = 64 };

struct ew_acdc {
    struct ew_engine *e;
    const struct ew_bitset *view; /* of a replay; NULL: the engine's circuit */
    const struct ew_graph *g;
    struct ew_acdc_params params;
    uint32_t *order; /* units, tested from the front */
    uint32_t n_edges; /* of them */
    uint32_t next;         /* index into order */
    uint32_t n_done;
    uint32_t *out_count;   /* per sender: kept edges out of it */
    uint32_t redundant;    /* direct edge to drop next, or EW_NONE */
    double metric;         /* as ACDC carries it */
    /* results of the window, for candidates from `next` on */
    uint32_t window_edges[MAX_WINDOW];
    double window_metric[MAX_WINDOW]; /* with it and all before it cut */
    size_t window_size; /* how many were guessed */
    size_t window_len;  /* scored: up to the first that is to be kept */
    size_t window_at;
    size_t window; /* how many to try next time */
};

static const struct ew_bitset *circuit(const struct ew_acdc *a)
{
    return a->view ? a->view : ew_engine_kept(a->e);
}

/* Of a unit that is kept in part, the rest is cut already. */
static bool is_kept(const struct ew_acdc *a, uint32_t edge)
{
    uint32_t edges[EW_UNIT_MAX];
    bool keeps;
    ew_unit_flips(a->g, a->params.nodes, edge, circuit(a), edges, &keeps);
    return keeps;
}

/* Does a kept edge lead on from what this edge goes into? */
static bool leads_on(const struct ew_acdc *a, uint32_t edge)
{
    uint32_t receiver = ew_edge_receiver(a->g, edge);
    uint32_t feeds = ew_graph_feeds(a->g, receiver);
    if (feeds == EW_NONE) {
        return true; /* logits */
    }
    uint32_t direct = ew_graph_direct_edge(a->g, receiver);
    if (!a->params.nodes && direct != EW_NONE && edge != direct &&
        !is_kept(a, direct)) {
        return false;
    }
    return a->out_count[feeds] > 0;
}

static void count_out(struct ew_acdc *a)
{
    memset(a->out_count, 0,
           ew_graph_n_senders(a->g) * sizeof(*a->out_count));
    for (uint32_t edge = 0; edge < ew_graph_n_addition(a->g); edge++) {
        if (ew_bitset_has(circuit(a), edge)) {
            a->out_count[ew_edge_sender(a->g, edge)]++;
        }
    }
}

/* Of all edges in the official order, those that stand for a unit. */
static void order_units(struct ew_acdc *a)
{
    uint32_t n = ew_graph_n_edges(a->g);
    a->order = ew_acdc_order(a->g, &a->params);
    for (uint32_t i = 0; i < n; i++) {
        if (ew_unit_is(a->g, a->params.nodes, a->order[i])) {
            a->order[a->n_edges++] = a->order[i];
        }
    }
}

/* Skip what is cut already. */
static void skip_cut(struct ew_acdc *a)
{
    while (a->next < a->n_edges && !is_kept(a, a->order[a->next])) {
        a->next++;
    }
}

struct ew_acdc *ew_acdc_create(struct ew_engine *e,
                               const struct ew_acdc_params *params,
                               const struct ew_cancel *cancel,
                               struct ew_err *err)
{
    struct ew_score score;
    if (!ew_engine_score(e, ew_metric_want(params->metric), &score, cancel,
                         err)) {
        return NULL;
    }
    double metric = ew_score_metric(&score, params->metric);
    if (isnan(metric)) {
        ew_fail(err, EW_ERR_INPUT,
                "metric %s is not defined for task %s: it has no %s",
                ew_metric_name(params->metric), ew_engine_task(e)->name,
                params->metric == EW_METRIC_LOGIT_DIFF ? "wrong answers"
                                                       : "scored positions");
        return NULL;
    }
    struct ew_acdc *a = ew_xcalloc(1, sizeof(*a));
    a->e = e;
    a->g = ew_engine_graph(e);
    a->params = *params;
    order_units(a);
    a->out_count =
        ew_xcalloc(ew_graph_n_senders(a->g), sizeof(*a->out_count));
    a->metric = metric;
    a->redundant = EW_NONE;
    a->window = 1;
    count_out(a);
    skip_cut(a);
    return a;
}

void ew_acdc_destroy(struct ew_acdc *a)
{
    if (a) {
        free(a->order);
        free(a->out_count);
        free(a);
    }
}

uint32_t ew_acdc_next(const struct ew_acdc *a)
{
    if (a->redundant != EW_NONE) {
        return a->redundant;
    }
    return a->next < a->n_edges ? a->order[a->next] : EW_NONE;
}

bool ew_acdc_done(const struct ew_acdc *a)
{
    return ew_acdc_next(a) == EW_NONE;
}

uint32_t ew_acdc_n_done(const struct ew_acdc *a)
{
    return a->n_done;
}

uint32_t ew_acdc_n_left(const struct ew_acdc *a)
{
    uint32_t left = 0;
    for (uint32_t i = a->next; i < a->n_edges; i++) {
        left += is_kept(a, a->order[i]);
    }
    return left;
}

double ew_acdc_metric(const struct ew_acdc *a)
{
    return a->metric;
}

void ew_acdc_set_threshold(struct ew_acdc *a, double threshold)
{
    a->params.threshold = threshold;
}

static bool removes(const struct ew_acdc *a, double effect)
{
    return (a->params.absolute ? fabs(effect) : effect) <
           a->params.threshold;
}

/* Could rounding turn the verdict? */
static bool is_close(const struct ew_acdc *a, double effect)
{
    double size = a->params.absolute ? fabs(effect) : effect;
    return fabs(size - a->params.threshold) <
           1e-5 * fmax(1.0, fabs(a->metric));
}

/* Takes a candidate's score; after one that is kept, the guess that it is
 * cut is wrong, and with it the rest of the window. */
static bool take_score(void *data, const struct ew_score *score)
{
    struct ew_acdc *a = data;
    double before = a->window_len > 0 ? a->window_metric[a->window_len - 1]
                                      : a->metric;
    double after = ew_score_metric(score, a->params.metric);
    a->window_metric[a->window_len++] = after;
    return !removes(a, after - before);
}

/*
 * Evaluate the next candidates into one receiver, each with all before it
 * cut, into the window.
 */
static bool fill_window(struct ew_acdc *a, size_t most,
                        const struct ew_cancel *cancel, struct ew_err *err)
{
    uint32_t receiver = ew_edge_receiver(a->g, a->order[a->next]);
    bool direct = ew_edge_kind(a->g, a->order[a->next]) == EW_EDGE_DIRECT;
    size_t n = 0;
    for (uint32_t i = a->next; i < a->n_edges && n < most; i++) {
        uint32_t edge = a->order[i];
        if (ew_edge_receiver(a->g, edge) != receiver ||
            (ew_edge_kind(a->g, edge) == EW_EDGE_DIRECT) != direct) {
            break;
        }
        if (is_kept(a, edge)) {
            a->window_edges[n++] = edge;
        }
    }
    struct ew_what_if ifs[MAX_WINDOW];
    struct ew_score scores[MAX_WINDOW];
    uint32_t flips[MAX_WINDOW * EW_UNIT_MAX];
    size_t n_flips = 0;
    for (size_t i = 0; i < n; i++) {
        n_flips += ew_unit_flips(a->g, a->params.nodes, a->window_edges[i],
                                 circuit(a), flips + n_flips, NULL);
        ifs[i] = (struct ew_what_if){.edges = flips, .n = n_flips};
    }
    a->window_len = 0;
    a->window_at = 0;
    bool ok = ew_engine_what_if_until(a->e, ifs, n,
                                      ew_metric_want(a->params.metric),
                                      scores, take_score, a, cancel, err);
    a->window_size = n;
    a->window_len = ok ? a->window_len : 0;
    return ok;
}

/* The metric without the next edge; from the window when it is there. */
static bool test_next(struct ew_acdc *a, double *after,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    uint32_t edge = a->order[a->next];
    bool held = a->window_at < a->window_len &&
                a->window_edges[a->window_at] == edge;
    size_t batch = ew_engine_batch(a->e);
    size_t most = a->window < batch ? a->window : batch;
    if (!held && !fill_window(a, most, cancel, err)) {
        return false;
    }
    if (a->window_at > 0 &&
        is_close(a, a->window_metric[a->window_at] - a->metric) &&
        !fill_window(a, 1, cancel, err)) {
        return false;
    }
    *after = a->window_metric[a->window_at];
    return true;
}

static void count_cut(struct ew_acdc *a, uint32_t edge, size_t n)
{
    uint32_t sender = ew_edge_sender(a->g, edge);
    if (sender != EW_NONE) {
        a->out_count[sender] -= (uint32_t)n;
    }
}

/* Cut an edge in the engine and in the counts. */
static bool cut(struct ew_acdc *a, uint32_t edge,
                const struct ew_cancel *cancel, struct ew_err *err)
{
    uint32_t edges[EW_UNIT_MAX];
    size_t n = ew_unit_flips(a->g, a->params.nodes, edge, circuit(a), edges,
                             NULL);
    if (!ew_engine_commit(a->e, edges, n, cancel, err)) {
        return false;
    }
    count_cut(a, edge, n);
    return true;
}

/* Does receiver r keep any addition? */
static bool keeps_input(const struct ew_acdc *a, uint32_t r)
{
    uint32_t first = ew_graph_first_edge(a->g, r);
    uint32_t n = ew_graph_n_senders_of(a->g, r);
    return ew_bitset_next(circuit(a), first) < first + n;
}

/*
 * Go to the next edge. When that leaves a receiver behind without any input
 * and redundant edges are to go, its direct edge is next: this is how far the
 * official walk gets, since it stops at placeholder edges.
 */
static void advance(struct ew_acdc *a, uint32_t edge)
{
    a->n_done++;
    if (edge == a->redundant) {
        a->redundant = EW_NONE;
        return;
    }
    a->next++;
    skip_cut(a);
    uint32_t r = ew_edge_receiver(a->g, edge);
    uint32_t direct = ew_graph_direct_edge(a->g, r);
    bool left = a->next >= a->n_edges ||
                ew_edge_receiver(a->g, a->order[a->next]) != r;
    if (a->params.remove_redundant && !a->params.nodes && left &&
        direct != EW_NONE && edge != direct && is_kept(a, direct) &&
        !keeps_input(a, r)) {
        a->redundant = direct;
    }
}

/* Decide about a tested edge; `keep` is the verdict. */
static bool decide(struct ew_acdc *a, const struct ew_acdc_decision *d,
                   bool keep, const struct ew_cancel *cancel,
                   struct ew_err *err)
{
    bool guessed = a->window_at + 1 < a->window_size;
    if (!keep) {
        if (!cut(a, d->edge, cancel, err)) {
            return false;
        }
        a->metric = d->after;
        a->window_at++;
        if (!guessed) { /* every guess was right: try more */
            a->window =
                a->window * 2 < MAX_WINDOW ? a->window * 2 : MAX_WINDOW;
        }
    } else {
        if (guessed) {
            a->window = a->window_at + 1;
        }
        a->window_len = 0;
    }
    advance(a, d->edge);
    return true;
}

bool ew_acdc_peek(struct ew_acdc *a, struct ew_acdc_decision *out,
                  const struct ew_cancel *cancel, struct ew_err *err)
{
    uint32_t edge = ew_acdc_next(a);
    if (edge == EW_NONE) {
        return ew_fail(err, EW_ERR_USAGE, "ACDC is done");
    }
    *out = (struct ew_acdc_decision){.edge = edge,
                                     .before = a->metric,
                                     .threshold = a->params.threshold};
    if (edge == a->redundant || !leads_on(a, edge)) {
        out->before = out->after = NAN;
        out->dropped = true;
        return true;
    }
    if (!test_next(a, &out->after, cancel, err)) {
        return false;
    }
    out->effect = out->after - out->before;
    out->kept = !removes(a, out->effect);
    return true;
}

/*
 * What a redundant edge's cut leaves. A receiver without input hands on what
 * its cut direct edge carries, but for the mean: that of its outputs is not
 * what comes of the mean of its inputs.
 */
static bool measure_redundant(const struct ew_acdc *a, double *metric,
                              const struct ew_cancel *cancel,
                              struct ew_err *err)
{
    *metric = a->metric;
    if (ew_engine_ablation(a->e) != EW_ABLATE_MEAN) {
        return true;
    }
    struct ew_what_if one = {.edges = &a->redundant, .n = 1};
    struct ew_score score;
    if (!ew_engine_what_if(a->e, &one, 1, ew_metric_want(a->params.metric),
                           &score, NULL, cancel, err)) {
        return false;
    }
    *metric = ew_score_metric(&score, a->params.metric);
    return true;
}

bool ew_acdc_step(struct ew_acdc *a, struct ew_acdc_decision *out,
                  const struct ew_cancel *cancel, struct ew_err *err)
{
    if (!ew_acdc_peek(a, out, cancel, err)) {
        return false;
    }
    if (out->dropped) {
        double metric = a->metric;
        if ((out->edge == a->redundant &&
             !measure_redundant(a, &metric, cancel, err)) ||
            !cut(a, out->edge, cancel, err)) {
            return false;
        }
        a->metric = metric;
        advance(a, out->edge);
        return true;
    }
    return decide(a, out, out->kept, cancel, err);
}

bool ew_acdc_overrule(struct ew_acdc *a, bool keep,
                      struct ew_acdc_decision *out,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    if (!ew_acdc_peek(a, out, cancel, err)) {
        return false;
    }
    if (out->dropped) {
        return ew_acdc_step(a, out, cancel, err);
    }
    out->overruled = out->kept != keep;
    out->kept = keep;
    return decide(a, out, keep, cancel, err);
}

/* ---- decisions that were made before ---- */

/* Would this run, where it stands, decide so? */
static bool agrees(const struct ew_acdc *a, const struct ew_acdc_decision *d)
{
    uint32_t edge = ew_acdc_next(a);
    if (edge == EW_NONE || d->edge != edge ||
        d->dropped != (edge == a->redundant || !leads_on(a, edge))) {
        return false;
    }
    return d->dropped || d->overruled ||
           (d->kept == !removes(a, d->effect) && !is_close(a, d->effect));
}

bool ew_acdc_replay(struct ew_acdc *a, const struct ew_acdc_decision *decisions,
                    size_t n, size_t *n_taken, const struct ew_cancel *cancel,
                    struct ew_err *err)
{
    struct ew_acdc before = *a;
    struct ew_bitset *kept = ew_bitset_clone(ew_engine_kept(a->e));
    a->view = kept;
    a->window_len = 0;
    size_t i = 0;
    for (; i < n && agrees(a, &decisions[i]); i++) {
        const struct ew_acdc_decision *d = &decisions[i];
        if (!d->kept) {
            uint32_t edges[EW_UNIT_MAX];
            size_t n_flips = ew_unit_flips(a->g, a->params.nodes, d->edge,
                                           kept, edges, NULL);
            for (size_t k = 0; k < n_flips; k++) {
                ew_bitset_put(kept, edges[k], false);
            }
            count_cut(a, d->edge, n_flips);
        }
        if (d->edge == a->redundant &&
            ew_engine_ablation(a->e) == EW_ABLATE_MEAN) {
            a->metric = (double)NAN; /* it was not told */
        } else if (!d->dropped && !d->kept) {
            a->metric = d->after;
        }
        advance(a, d->edge);
    }
    bool ok = ew_engine_set(a->e, kept, cancel, err);
    if (ok && isnan(a->metric)) {
        struct ew_score score;
        ok = ew_engine_score(a->e, ew_metric_want(a->params.metric), &score,
                             NULL, err);
        a->metric = ew_score_metric(&score, a->params.metric);
    }
    if (!ok) {
        *a = before;
        count_out(a);
    }
    a->view = NULL;
    ew_bitset_destroy(kept);
    *n_taken = ok ? i : 0;
    return ok;
}

/* The next decision is made anew, for it was too near to the threshold to be
 * taken over; it has to come out as recorded. */
static bool confirm(struct ew_acdc *a, const struct ew_acdc_decision *d,
                    bool *same, const struct ew_cancel *cancel,
                    struct ew_err *err)
{
    struct ew_acdc_decision now;
    *same = false;
    if (ew_acdc_next(a) != d->edge || d->dropped) {
        return true;
    }
    if (!ew_acdc_peek(a, &now, cancel, err)) {
        return false;
    }
    if (now.dropped || now.kept != d->kept) {
        return true;
    }
    *same = true;
    return ew_acdc_step(a, &now, cancel, err);
}

bool ew_acdc_resume(struct ew_acdc *a, const struct ew_acdc_decision *decisions,
                    size_t n, size_t *n_taken, const struct ew_cancel *cancel,
                    struct ew_err *err)
{
    size_t taken;
    bool same = true;
    *n_taken = 0;
    while (same) {
        if (!ew_acdc_replay(a, decisions + *n_taken, n - *n_taken, &taken,
                            cancel, err)) {
            return false;
        }
        *n_taken += taken;
        if (*n_taken == n) {
            return true;
        }
        if (!confirm(a, &decisions[*n_taken], &same, cancel, err)) {
            return false;
        }
        *n_taken += same;
    }
    struct ew_buf name = {0};
    ew_unit_print(&name, a->g, a->params.nodes, decisions[*n_taken].edge);
    ew_fail(err, EW_ERR_INPUT,
            "decision %zu, about %s, is not one of this run: another "
            "threshold, order or circuit",
            *n_taken + 1, ew_buf_str(&name));
    ew_buf_finish(&name);
    return false;
}
