/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of the edges table: which edges, in which order, where the cursor
 * is; and what the worker should compute for them. Work is done for the edges
 * of one node, never for the whole graph. The cursor belongs to an edge, not
 * to a row: when effects arrive and the order changes, it stays with its edge
 * at its height on the screen.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "app.h"

enum { MAX_FOCUS = 4096 };

struct keyed {
    uint32_t edge;
    uint32_t order;
    double key; /* larger first */
};

/* The edges of the node under the cursor, in graph order; free() it. */
static uint32_t *gather(const struct ew_app *a, size_t *n)
{
    const struct ew_graph *g = a->graph;
    *n = 0;
    if (a->out && a->node == ew_logits_of(a)) {
        return NULL;
    }
    if (a->out) {
        uint32_t last = ew_graph_n_receivers(g);
        uint32_t first = ew_graph_first_receiver_of(g, a->node);
        uint32_t *edges = ew_xcalloc(last - first + 1, sizeof(*edges));
        for (uint32_t r = first; r < last; r++) {
            uint32_t edge = ew_graph_edge(g, a->node, r);
            if (edge != EW_NONE) {
                edges[(*n)++] = edge;
            }
        }
        return edges;
    }
    uint32_t first;
    uint32_t count;
    ew_node_inputs(a, a->node, a->channel, &first, &count);
    size_t size = 1;
    for (uint32_t r = first; r < first + count; r++) {
        size += ew_graph_n_senders_of(g, r) + 1;
    }
    uint32_t *edges = ew_xcalloc(size, sizeof(*edges));
    for (uint32_t r = first; r < first + count; r++) {
        uint32_t direct = ew_graph_direct_edge(g, r);
        if (direct != EW_NONE) {
            edges[(*n)++] = direct;
        }
        for (uint32_t s = ew_graph_n_senders_of(g, r); s-- > 0;) {
            edges[(*n)++] = ew_graph_first_edge(g, r) + s;
        }
    }
    return edges;
}

static bool passes(const struct ew_app *a, uint32_t edge)
{
    if (!a->filter) {
        return true;
    }
    char from[EW_NAME_SIZE];
    char to[EW_NAME_SIZE];
    uint32_t sender = ew_edge_sender(a->graph, edge);
    uint32_t receiver = ew_edge_receiver(a->graph, edge);
    struct ew_known_edge known;
    bool stale;
    bool is_known = ew_edge_known(a, edge, &known, &stale);
    ew_name_of_receiver(to, a->graph, receiver);
    if (sender == EW_NONE) {
        strcpy(from, "direct");
    } else {
        ew_name_of_sender(from, a->graph, sender);
    }
    struct ew_edge_facts facts = {
        .from = from,
        .to = to,
        .to_kind = ew_graph_receiver(a->graph, receiver).kind,
        .direct = sender == EW_NONE,
        .kept = ew_edge_kept(a, edge),
        .marked = ew_bitset_has(a->marked, edge),
        .effect = is_known ? (double)known.effect : NAN,
    };
    return ew_filter_match(a->filter, &facts);
}

static double key_of(const struct ew_app *a, uint32_t edge)
{
    struct ew_known_edge known;
    bool stale;
    bool is_known = ew_edge_known(a, edge, &known, &stale);
    double size = is_known ? fabs((double)known.effect) : -1.0;
    switch (a->sort) {
    case EW_SORT_ABS:
        return size;
    case EW_SORT_SIGNED:
        return is_known ? (double)known.effect : -INFINITY;
    case EW_SORT_KEPT:
        return (ew_edge_kept(a, edge) ? 1e9 : 0.0) + size;
    case EW_SORT_CHANGE: {
        double change = fabs(ew_pin_change(a, edge));
        return isnan(change) ? -1.0 : change;
    }
    case EW_SORT_ESTIMATE: {
        double estimate = fabs(ew_edge_estimate(a, edge));
        return isnan(estimate) ? -1.0 : estimate;
    }
    case EW_SORT_NAME:
    case EW_N_SORTS:
        break;
    }
    return 0.0;
}

static int by_key(const void *x, const void *y)
{
    const struct keyed *a = x;
    const struct keyed *b = y;
    if (a->key != b->key) {
        return a->key > b->key ? -1 : 1;
    }
    return a->order < b->order ? -1 : a->order > b->order;
}

static void place_cursor(struct ew_app *a)
{
    long offset = a->edge_at - a->edge_top;
    long found = -1;
    for (size_t i = 0; i < a->n_rows && a->edge != EW_NONE; i++) {
        if (a->rows[i] == a->edge) {
            found = (long)i;
        }
    }
    if (found >= 0) {
        a->edge_at = found;
        a->edge_top = found - offset;
    } else if (a->edge != EW_NONE) { /* filtered away: stay at the height */
        if (a->edge_at >= (long)a->n_rows) {
            a->edge_at = (long)a->n_rows - 1;
        }
        a->edge_at = a->edge_at < 0 ? 0 : a->edge_at;
        a->edge = a->n_rows ? a->rows[a->edge_at] : EW_NONE;
    } else {
        a->edge_at = 0;
        a->edge_top = 0;
    }
    struct ew_list list = {.cur = a->edge_at, .top = a->edge_top};
    ew_list_fit(&list, (long)a->n_rows, a->inner_rows[EW_PANE_EDGES] - 1);
    a->edge_at = list.cur;
    a->edge_top = list.top;
}

void ew_rows_update(struct ew_app *a)
{
    if (!a->rows_old) {
        return;
    }
    a->rows_old = false;
    size_t n;
    uint32_t *edges = gather(a, &n);
    struct keyed *keyed = ew_xcalloc(n ? n : 1, sizeof(*keyed));
    size_t kept = 0;
    a->n_all = n;
    a->rows_full = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (passes(a, edges[i])) {
            double key = key_of(a, edges[i]);
            keyed[kept++] =
                (struct keyed){edges[i], (uint32_t)i, a->inverted ? -key : key};
            double size = ew_pinned(a)
                              ? fabs(ew_pin_change(a, edges[i]))
                              : fabs((double)a->edges[edges[i]].effect);
            a->rows_full = size > a->rows_full ? size : a->rows_full;
        }
    }
    qsort(keyed, kept, sizeof(*keyed), by_key);
    if (kept > a->cap_rows) {
        a->rows = ew_xrealloc(a->rows, kept, sizeof(*a->rows));
        a->cap_rows = kept;
    }
    for (size_t i = 0; i < kept; i++) {
        a->rows[i] = keyed[i].edge;
    }
    a->n_rows = kept;
    place_cursor(a);
    free(keyed);
    free(edges);
}

uint32_t ew_rows_edge(struct ew_app *a)
{
    ew_rows_update(a);
    return a->n_rows ? a->rows[a->edge_at] : EW_NONE;
}

void ew_rows_go(struct ew_app *a, uint32_t edge)
{
    a->edge = edge;
    for (size_t i = 0; i < a->n_rows; i++) {
        if (a->rows[i] == edge) {
            a->edge_at = (long)i;
        }
    }
    a->rows_old = true;
}

/* ---- what to compute ---- */

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
                   (uint64_t)a->inner_rows[EW_PANE_EDGES]);
    if (ew_view_shown(a, &ew_view_tradeoff)) {
        h = mix(h, 1 + ew_tradeoff_n_unknown(a) / 1024);
    }
    h = mix(h, ew_pinned(a) ? a->pin.serial : 0);
    h = mix(h, (uint64_t)a->quantity + 16 * (uint64_t)(a->filter != NULL));
    h = mix(h, (uint64_t)a->sort * 2 + a->inverted);
    return mix(h, a->n_rows);
}

bool ew_view_shown(const struct ew_app *a, const struct ew_view_ops *view)
{
    for (int i = 0; i < 2; i++) {
        if (a->layout.pane[EW_PANE_VIEW + i].rows > 0 &&
            ew_views[a->view[i]] == view) {
            return true;
        }
    }
    return false;
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

/* The node's edges, those on the screen first; twice does no harm. */
static void want_rows(const struct ew_app *a, struct ew_req_focus *focus)
{
    size_t n;
    uint32_t *all = gather(a, &n);
    long last = a->edge_top + a->inner_rows[EW_PANE_EDGES];
    last = last < (long)a->n_rows ? last : (long)a->n_rows;
    for (long i = a->edge_top; i < last; i++) {
        want_edge(a, focus, a->rows[i]);
    }
    if (last > a->edge_top) {
        ew_pin_want(a, focus, a->rows + a->edge_top,
                    (size_t)(last - a->edge_top));
    }
    for (size_t i = 0; i < n; i++) {
        want_edge(a, focus, all[i]);
    }
    ew_pin_want(a, focus, all, n);
    free(all);
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
    if (ew_view_shown(a, &ew_view_tradeoff)) {
        want_all(a, &focus);
    }
    a->ports.post(a->ports.user, ew_request_focus(a->gen, focus));
}
