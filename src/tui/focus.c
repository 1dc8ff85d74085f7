/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker should compute for the screen: the edges in sight first,
 * then the rest of what the table is about, then what the node list shows.
 */
#include <stdlib.h>

#include "edgewise/mem.h"

#include "app.h"

enum { MAX_FOCUS = 4096 };

static void want_edge(const struct ew_app *a, struct ew_req_focus *focus,
                      uint32_t edge)
{
    if (focus->n_edges < MAX_FOCUS && a->edges[edge].gen != (uint32_t)a->gen) {
        focus->edges[focus->n_edges++] = edge;
    }
}

static void want_node(const struct ew_app *a, struct ew_req_focus *focus,
                      uint32_t node)
{
    if (node != ew_logits_of(a) && a->nodes[node].gen != (uint32_t)a->gen) {
        focus->nodes[focus->n_nodes++] = node;
    }
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x100000001b3ULL + (hash >> 29);
}

static bool wants_all(const struct ew_app *a)
{
    return a->all || ew_view_shown(a, &ew_view_tradeoff);
}

static uint64_t focus_hash(const struct ew_app *a, const struct ew_req_focus *f)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    h = mix(h, a->gen);
    h = mix(h, a->node);
    h = mix(h, (uint64_t)a->channel * 4 + (uint64_t)a->out * 2 + f->peek);
    if (f->prompts) {
        h = mix(h, f->prompt_edge);
    }
    h = mix(h, f->card + 2 * (uint64_t)f->kinds);
    h = mix(h, f->where ? f->where_edge : EW_NONE);
    h = mix(h, f->top ? 2 + (uint64_t)f->top_prompt : 1);
    if (f->attention) {
        h = mix(h, (uint64_t)(f->prompt + 2) * 8 + (uint64_t)f->pattern);
    }
    h = mix(h, (uint64_t)a->edge_top * 256 +
                   (uint64_t)ew_pane_rows(a, &ew_view_edges));
    if (wants_all(a)) {
        h = mix(h, 1 + ew_tradeoff_n_unknown(a) / 1024);
    }
    h = mix(h, ew_pinned(a) ? a->pin.serial : 0);
    h = mix(h, (uint64_t)a->quantity + 16 * (uint64_t)(a->filter != NULL));
    h = mix(h, (uint64_t)a->sort * 4 + a->inverted * 2 + a->all);
    return mix(h, a->n_rows);
}

/* What views on the screen want beside effects. */
static void want_views(struct ew_app *a, struct ew_req_focus *focus)
{
    bool acdc = ew_view_shown(a, &ew_view_acdc) || a->acdc.begun;
    focus->peek = acdc && !a->acdc.running && !a->acdc.done;
    focus->prompts = ew_view_shown(a, &ew_view_prompts) && a->ready.has_ld;
    focus->prompt_edge = ew_rows_edge(a);
    focus->where_edge = focus->prompt_edge;
    focus->where =
        focus->where_edge != EW_NONE && ew_view_shown(a, &ew_view_where);
    focus->top = a->task && ew_view_shown(a, &ew_view_tokens);
    focus->top_prompt = (int)a->prompt_list.cur;
    bool head = ew_node_is_head(a, a->node);
    focus->attention = head && ew_view_shown(a, &ew_view_attention);
    focus->card =
        head && ew_view_shown(a, &ew_view_head) && !ew_card(a, a->node);
    focus->kinds = a->quantity == EW_QTY_KIND;
    if (head) {
        struct ew_node node = ew_graph_sender(a->graph, a->node);
        focus->layer = node.layer;
        focus->head = node.head;
        focus->prompt = a->attention_prompt;
        focus->pattern = a->attention_pattern;
    }
}

static void want_row(struct ew_app *a, void *focus, uint32_t edge,
                     uint32_t sender, uint32_t receiver)
{
    (void)sender;
    (void)receiver;
    want_edge(a, focus, edge);
    ew_pin_want(a, focus, &edge, 1);
}

/* The table's edges, those on the screen first; twice does no harm. */
static void want_rows(struct ew_app *a, struct ew_req_focus *focus)
{
    long last = a->edge_top + ew_pane_rows(a, &ew_view_edges);
    last = last < (long)a->n_rows ? last : (long)a->n_rows;
    for (long i = a->edge_top; i < last; i++) {
        want_edge(a, focus, a->rows[i]);
    }
    if (last > a->edge_top) {
        ew_pin_want(a, focus, a->rows + a->edge_top,
                    (size_t)(last - a->edge_top));
    }
    if (!a->all || ew_graph_n_edges(a->graph) <= MAX_FOCUS) {
        ew_rows_each(a, want_row, focus);
    }
}

/* All there are, those never known first; a large graph's, some at a time,
 * are not asked for again when the circuit has changed. */
static void want_all(const struct ew_app *a, struct ew_req_focus *focus)
{
    uint32_t n = ew_graph_n_edges(a->graph);
    for (int known = 0; known < (n <= MAX_FOCUS ? 2 : 1); known++) {
        for (uint32_t e = 0; e < n; e++) {
            if ((a->edges[e].gen != 0) == known) {
                want_edge(a, focus, e);
            }
        }
    }
}

/* What the node list shows. */
static void want_nodes(const struct ew_app *a, struct ew_req_focus *focus)
{
    uint32_t logits = ew_graph_n_receivers(a->graph) - 1;
    want_node(a, focus, a->node);
    for (uint32_t s = 0; s < ew_logits_of(a); s++) {
        uint32_t direct = ew_graph_edge(a->graph, s, logits);
        if (a->quantity == EW_QTY_KNOCK && s != a->node) {
            want_node(a, focus, s);
        } else if (a->quantity == EW_QTY_DIRECT ||
                   a->quantity == EW_QTY_CHANGE) {
            want_edge(a, focus, direct);
        }
        if (a->quantity == EW_QTY_CHANGE) {
            ew_pin_want(a, focus, &direct, 1);
        }
    }
}

void ew_focus_update(struct ew_app *a)
{
    ew_rows_update(a);
    ew_picture_update(a);
    struct ew_req_focus focus = {0};
    want_views(a, &focus);
    uint64_t hash = focus_hash(a, &focus);
    if (a->load != EW_LOADED || a->acdc.running || hash == a->asked_hash) {
        return;
    }
    a->asked_hash = hash;
    focus.edges = ew_xcalloc(MAX_FOCUS, sizeof(*focus.edges));
    focus.nodes = ew_xcalloc(ew_logits_of(a) + 1, sizeof(*focus.nodes));
    want_rows(a, &focus);
    want_nodes(a, &focus);
    if (wants_all(a)) {
        want_all(a, &focus);
    }
    a->ports.post(a->ports.user, ew_request_focus(a->gen, focus));
}
