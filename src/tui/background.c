/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker does while nobody asks: exact effects of the edges that are
 * on the screen, then of those near it, then knock-outs. Edges into the same
 * receiver go together, because the engine shares their work; the first batch
 * is small so that numbers appear soon. A request cancels the batch, which is
 * then done again.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "backend.h"

enum { FIRST_BATCH = 8, BATCH = 48, MIXED_BATCH = 12, NODE_BATCH = 6 };

unsigned ew_backend_effect_want(const struct ew_backend *b)
{
    return ew_metric_want(b->metric) | (b->has_ld ? EW_WANT_LOGIT_DIFF : 0u);
}

/* How many of the focus's edges, from `edge_at`, make the next batch. */
static size_t batch_size(const struct ew_backend *b)
{
    const uint32_t *edges = b->focus.edges + b->edge_at;
    size_t left = b->focus.n_edges - b->edge_at;
    size_t max = b->edge_at == 0 ? FIRST_BATCH : BATCH;
    size_t n = 1;
    uint32_t receiver = ew_edge_receiver(b->graph, edges[0]);
    bool mixed = false;
    while (n < left && n < max) {
        mixed |= ew_edge_receiver(b->graph, edges[n]) != receiver;
        if (mixed && n >= MIXED_BATCH) {
            break;
        }
        n++;
    }
    return n;
}

double ew_paired_error(const double *then, const double *now, size_t n)
{
    double mean = 0.0;
    double square = 0.0;
    for (size_t i = 0; i < n; i++) {
        mean += (then[i] - now[i]) / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double d = then[i] - now[i] - mean;
        square += d * d;
    }
    return n < 2 ? NAN : sqrt(square / (double)(n - 1) / (double)n);
}

struct batch {
    struct ew_ev_effects *event;
    struct ew_what_if *ifs; /* those that need a forward */
    size_t *item;           /* which item each of them is */
    struct ew_score *scores;
    double *prompt_ld;
    size_t n_ifs;
};

static void batch_open(struct batch *batch, struct ew_backend *b, size_t n)
{
    const uint32_t *edges = b->focus.edges + b->edge_at;
    *batch = (struct batch){
        .event = ew_xcalloc(1, sizeof(*batch->event) +
                                   n * sizeof(batch->event->items[0])),
        .ifs = ew_xcalloc(n, sizeof(*batch->ifs)),
        .item = ew_xcalloc(n, sizeof(*batch->item)),
        .scores = ew_xcalloc(n, sizeof(*batch->scores)),
    };
    batch->event->n = n;
    for (size_t i = 0; i < n; i++) {
        struct ew_effect *effect = &batch->event->items[i];
        *effect = (struct ew_effect){
            .edge = edges[i],
            .ld = (float)b->base.logit_diff,
            .why = ew_engine_zero_why(b->engine, edges[i]),
        };
        if (effect->why == EW_ZERO_NOT) {
            batch->ifs[batch->n_ifs] = (struct ew_what_if){&edges[i], 1};
            batch->item[batch->n_ifs++] = i;
        }
    }
    if (b->has_ld && b->metric == EW_METRIC_LOGIT_DIFF) {
        batch->prompt_ld = ew_xcalloc(batch->n_ifs ? batch->n_ifs : 1,
                                      b->task->n_prompts * sizeof(double));
    }
}

static void batch_close(struct batch *batch)
{
    free(batch->event);
    free(batch->ifs);
    free(batch->item);
    free(batch->scores);
    free(batch->prompt_ld);
}

static void batch_fill(struct batch *batch, const struct ew_backend *b)
{
    double now = ew_score_metric(&b->base, b->metric);
    for (size_t i = 0; i < batch->n_ifs; i++) {
        struct ew_effect *effect = &batch->event->items[batch->item[i]];
        double then = ew_score_metric(&batch->scores[i], b->metric);
        bool kept = ew_bitset_has(ew_engine_kept(b->engine), effect->edge);
        effect->effect = (float)(kept ? then - now : now - then);
        effect->ld = (float)batch->scores[i].logit_diff;
        size_t n = b->task->n_prompts;
        effect->se = batch->prompt_ld
                         ? (float)ew_paired_error(batch->prompt_ld + i * n,
                                                  b->base_ld, n)
                         : NAN;
    }
}

/* False when it was cancelled, or failed for good. */
static bool effects(struct ew_backend *b, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    size_t n = batch_size(b);
    struct batch batch;
    batch_open(&batch, b, n);
    bool ok = batch.n_ifs == 0 ||
              ew_engine_what_if(b->engine, batch.ifs, batch.n_ifs,
                                ew_backend_effect_want(b), batch.scores,
                                batch.prompt_ld, cancel, &err);
    if (ok) {
        batch_fill(&batch, b);
        ew_mailbox_post(b->out, (struct ew_message){EW_EV_EFFECTS, b->gen,
                                                    batch.event, NULL});
        batch.event = NULL;
        b->edge_at += n;
    } else if (err.code != EW_ERR_CANCELLED) {
        ew_post_event(b->out, EW_EV_ERROR, b->gen, &err, sizeof(err));
        b->edge_at += n; /* not again */
        ok = true;
    }
    batch_close(&batch);
    return ok;
}

/* All kept edges out of a sender; free() it. */
static uint32_t *edges_out(const struct ew_backend *b, uint32_t sender,
                           size_t *n)
{
    const struct ew_bitset *kept = ew_engine_kept(b->engine);
    uint32_t last = ew_graph_n_receivers(b->graph);
    uint32_t first = ew_graph_first_receiver_of(b->graph, sender);
    uint32_t *out = ew_xcalloc(last - first + 1, sizeof(*out));
    *n = 0;
    for (uint32_t r = first; r < last; r++) {
        uint32_t edge = ew_graph_edge(b->graph, sender, r);
        if (edge != EW_NONE && ew_bitset_has(kept, edge)) {
            out[(*n)++] = edge;
        }
    }
    return out;
}

static bool knocks(struct ew_backend *b, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    size_t left = b->focus.n_nodes - b->node_at;
    size_t n = left < NODE_BATCH ? left : NODE_BATCH;
    struct ew_what_if ifs[NODE_BATCH] = {{0}};
    struct ew_score scores[NODE_BATCH];
    uint32_t *edges[NODE_BATCH] = {0};
    struct ew_ev_knocks *event =
        ew_xcalloc(1, sizeof(*event) + n * sizeof(event->items[0]));
    for (size_t i = 0; i < n; i++) {
        edges[i] = edges_out(b, b->focus.nodes[b->node_at + i], &ifs[i].n);
        ifs[i].edges = edges[i];
    }
    bool ok = ew_engine_what_if(b->engine, ifs, n, ew_backend_effect_want(b),
                                scores, NULL, cancel, &err);
    if (ok) {
        double now = ew_score_metric(&b->base, b->metric);
        event->n = n;
        for (size_t i = 0; i < n; i++) {
            event->items[i] = (struct ew_knock){
                .sender = b->focus.nodes[b->node_at + i],
                .effect = (float)(ew_score_metric(&scores[i], b->metric) - now),
                .ld = (float)scores[i].logit_diff,
            };
        }
        ew_mailbox_post(b->out,
                        (struct ew_message){EW_EV_KNOCKS, b->gen, event, NULL});
        event = NULL;
        b->node_at += n;
    } else if (err.code != EW_ERR_CANCELLED) {
        ew_post_event(b->out, EW_EV_ERROR, b->gen, &err, sizeof(err));
        b->node_at += n;
        ok = true;
    }
    for (size_t i = 0; i < n; i++) {
        free(edges[i]);
    }
    free(event);
    return ok;
}

bool ew_backend_idle(void *user, const struct ew_cancel *cancel)
{
    struct ew_backend *b = user;
    if (!b->engine || !b->base_known || b->focus_gen != b->gen) {
        return false;
    }
    if (b->edge_at == 0 && b->focus.n_edges > 0) {
        return effects(b, cancel); /* what is on the screen comes first */
    }
    if (b->was_at == 0 && b->focus.n_was > 0) {
        return ew_backend_was(b, cancel);
    }
    if (b->focus.peek && !b->peeked) {
        return ew_stepper_peek(b, cancel);
    }
    if (b->focus.attention && !b->attention_told) {
        ew_describe_attention(b);
        return true;
    }
    if (b->focus.top && !b->top_told) {
        ew_describe_top(b);
        return true;
    }
    if (b->focus.card && !b->card_told) {
        return ew_backend_card(b, cancel);
    }
    if (b->focus.prompts && !b->prompts_told) {
        return ew_describe_prompts(b, cancel);
    }
    if (b->focus.where && b->where_at < b->task->n_roles + b->task->n_pos) {
        return ew_backend_where(b, cancel);
    }
    if (b->edge_at < b->focus.n_edges) {
        return effects(b, cancel);
    }
    if (b->was_at < b->focus.n_was) {
        return ew_backend_was(b, cancel);
    }
    if (b->estimate_wanted) {
        return ew_backend_estimate(b, cancel);
    }
    if (b->node_at < b->focus.n_nodes) {
        return knocks(b, cancel);
    }
    if (b->focus.kinds && b->kind_at < ew_graph_n_senders(b->graph)) {
        return ew_backend_kinds(b, cancel);
    }
    return false;
}
