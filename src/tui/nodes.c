/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about nodes and edges that several views show, and list movement. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

uint32_t ew_logits_of(const struct ew_app *a)
{
    return ew_graph_n_senders(a->graph);
}

const char *ew_node_name(const struct ew_app *a, uint32_t node,
                         char out[EW_NAME_SIZE])
{
    if (node == ew_logits_of(a)) {
        snprintf(out, EW_NAME_SIZE, "logits");
        return out;
    }
    return ew_name_of_sender(out, a->graph, node);
}

const struct ew_ev_card *ew_card(const struct ew_app *a, uint32_t node)
{
    return ew_node_is_head(a, node) ? a->cards[node] : NULL;
}

int ew_node_layer(const struct ew_app *a, uint32_t node)
{
    return node == ew_logits_of(a) ? ew_graph_spec(a->graph)->n_layers
                                   : ew_graph_sender(a->graph, node).layer;
}

bool ew_node_is_head(const struct ew_app *a, uint32_t node)
{
    return node != ew_logits_of(a) &&
           ew_graph_sender(a->graph, node).kind == EW_NODE_HEAD;
}

void ew_node_inputs(const struct ew_app *a, uint32_t node,
                    enum ew_channel channel, uint32_t *first, uint32_t *n)
{
    if (node == ew_logits_of(a)) {
        *first = ew_graph_n_receivers(a->graph) - 1;
        *n = 1;
        return;
    }
    ew_graph_inputs_of(a->graph, node, first, n);
    if (channel == EW_CH_ALL || *n < 3) {
        return;
    }
    enum ew_node_kind want = channel == EW_CH_Q   ? EW_NODE_Q
                             : channel == EW_CH_K ? EW_NODE_K
                                                  : EW_NODE_V;
    for (uint32_t r = *first; r < *first + *n; r++) {
        if (ew_graph_receiver(a->graph, r).kind == want) {
            *first = r;
            *n = 1;
            return;
        }
    }
}

/* One pass over the kept edges for all nodes: views ask for many. */
void ew_counts_update(struct ew_app *a)
{
    if (!a->counts_old) {
        return;
    }
    a->counts_old = false;
    const struct ew_bitset *kept = ew_circuit_kept(a->circuit);
    uint32_t n_receivers = ew_graph_n_receivers(a->graph);
    memset(a->n_in, 0, n_receivers * sizeof(*a->n_in));
    memset(a->n_out, 0, ew_graph_n_senders(a->graph) * sizeof(*a->n_out));
    for (uint32_t r = 0; r < n_receivers; r++) {
        size_t first = ew_graph_first_edge(a->graph, r);
        size_t end = first + ew_graph_n_senders_of(a->graph, r);
        for (size_t e = ew_bitset_next(kept, first); e < end;
             e = ew_bitset_next(kept, e + 1)) {
            a->n_in[r]++;
            a->n_out[e - first]++;
        }
    }
}

uint32_t ew_count_in(const struct ew_app *a, uint32_t receiver)
{
    return a->n_in[receiver];
}

uint32_t ew_count_out(const struct ew_app *a, uint32_t sender)
{
    return a->n_out[sender];
}

void ew_node_counts(const struct ew_app *a, uint32_t node,
                    enum ew_channel channel, uint32_t *in_kept,
                    uint32_t *in_all, uint32_t *out_kept, uint32_t *out_all)
{
    uint32_t first;
    uint32_t n;
    ew_node_inputs(a, node, channel, &first, &n);
    *in_kept = 0;
    *in_all = 0;
    for (uint32_t r = first; r < first + n; r++) {
        *in_kept += ew_count_in(a, r);
        *in_all += ew_graph_n_senders_of(a->graph, r);
    }
    *out_kept = 0;
    *out_all = 0;
    if (node != ew_logits_of(a)) {
        *out_kept = ew_count_out(a, node);
        *out_all = ew_graph_n_receivers(a->graph) -
                   ew_graph_first_receiver_of(a->graph, node);
    }
}

bool ew_edge_kept(const struct ew_app *a, uint32_t edge)
{
    return ew_circuit_has(a->circuit, edge);
}

double ew_edge_estimate(const struct ew_app *a, uint32_t edge)
{
    bool is = a->estimates && a->estimate_of == a->metric;
    return is ? (double)a->estimates[edge] : NAN;
}

bool ew_edge_known(const struct ew_app *a, uint32_t edge,
                   struct ew_known_edge *out, bool *stale)
{
    *out = a->edges[edge];
    *stale = out->gen != (uint32_t)a->gen;
    return out->gen != 0;
}

double ew_node_value(const struct ew_app *a, uint32_t node, bool *stale)
{
    *stale = false;
    if (node == ew_logits_of(a) || a->quantity == EW_QTY_GROUP) {
        return NAN;
    }
    if (a->quantity == EW_QTY_KEPT) {
        uint32_t in, in_all, out, out_all;
        ew_node_counts(a, node, EW_CH_ALL, &in, &in_all, &out, &out_all);
        return out;
    }
    if (a->quantity == EW_QTY_KNOCK) {
        *stale = a->nodes[node].gen != (uint32_t)a->gen;
        return a->nodes[node].gen ? (double)a->nodes[node].effect : NAN;
    }
    if (a->quantity == EW_QTY_KIND) {
        return a->kinds[node].to ? (double)a->kinds[node].share : NAN;
    }
    struct ew_known_edge known;
    uint32_t edge =
        ew_graph_edge(a->graph, node, ew_graph_n_receivers(a->graph) - 1);
    if (a->quantity == EW_QTY_CHANGE) {
        return ew_pin_change(a, edge);
    }
    return ew_edge_known(a, edge, &known, stale) ? (double)known.effect : NAN;
}

double ew_node_value_full(const struct ew_app *a)
{
    double full = a->quantity == EW_QTY_KIND ? 1.0 : 0.0;
    for (uint32_t s = 0; s < ew_logits_of(a); s++) {
        bool stale;
        double value = fabs(ew_node_value(a, s, &stale));
        full = value > full ? value : full;
    }
    return full;
}

void ew_node_go(struct ew_app *a, uint32_t node)
{
    if (node == a->node) {
        return;
    }
    a->node = node;
    if (!ew_node_is_head(a, node)) {
        a->channel = EW_CH_ALL;
    }
    a->edge = EW_NONE;
    a->edge_at = 0;
    a->edge_top = 0;
    a->rows_old = true;
}

const char *ew_quantity_name(enum ew_quantity quantity)
{
    static const char *const names[EW_N_QTY] = {
        "direct effect", "knock-out", "edges kept",
        "attends to",    "groups",    "direct, since the pin"};
    return names[quantity];
}

void ew_node_show(struct ew_app *a, enum ew_quantity quantity)
{
    if (quantity == EW_QTY_CHANGE && !ew_pinned(a)) {
        ew_notice(a, true, "no circuit is pinned: = pins this one");
        return;
    }
    a->quantity = quantity;
    ew_notice(a, false, "nodes show: %s", ew_quantity_name(quantity));
}

const char *ew_attends_name(enum ew_attends to)
{
    static const char *const names[] = {"", "prev", "dup", "ind"};
    return names[to];
}

enum ew_ink ew_attends_ink(enum ew_attends to)
{
    static const enum ew_ink inks[] = {EW_R_FAINT, EW_R_GROUP_CYAN,
                                       EW_R_GROUP_YELLOW, EW_R_GROUP_PURPLE};
    return inks[to];
}

const char *ew_sort_name(enum ew_sort sort)
{
    static const char *const names[EW_N_SORTS] = {
        [EW_SORT_ABS] = "|effect|",
        [EW_SORT_SIGNED] = "effect",
        [EW_SORT_NAME] = "graph order",
        [EW_SORT_KEPT] = "kept first",
        [EW_SORT_TAU] = "nearest tau",
        [EW_SORT_SE] = "se",
        [EW_SORT_KIND] = "input",
        [EW_SORT_GROUP] = "group",
        [EW_SORT_ESTIMATE] = "|estimate|",
        [EW_SORT_ESTIMATE_SIGNED] = "estimate",
        [EW_SORT_CHANGE] = "|change| since the pin",
        [EW_SORT_CHANGE_SIGNED] = "change since the pin",
        [EW_SORT_WAS] = "was, in the pinned circuit",
    };
    return names[sort];
}

/* ---- lists ---- */

bool ew_list_act(struct ew_list *list, long n, int rows, enum ew_action action)
{
    switch (action) {
    case EW_DO_DOWN:
        list->cur++;
        break;
    case EW_DO_UP:
        list->cur--;
        break;
    case EW_DO_HALF_DOWN:
        list->cur += rows > 1 ? rows / 2 : 1;
        break;
    case EW_DO_HALF_UP:
        list->cur -= rows > 1 ? rows / 2 : 1;
        break;
    case EW_DO_PAGE_DOWN:
        list->cur += rows > 1 ? rows - 1 : 1;
        break;
    case EW_DO_PAGE_UP:
        list->cur -= rows > 1 ? rows - 1 : 1;
        break;
    case EW_DO_TOP:
        list->cur = 0;
        break;
    case EW_DO_BOTTOM:
        list->cur = n - 1;
        break;
    default:
        ew_list_fit(list, n, rows);
        return false;
    }
    ew_list_fit(list, n, rows);
    return true;
}

void ew_list_click(struct ew_list *list, int row)
{
    if (row >= 0 && row < list->rows && list->top + row < list->n) {
        list->cur = list->top + row;
    }
}

void ew_list_fit(struct ew_list *list, long n, int rows)
{
    list->n = n;
    list->rows = rows;
    if (list->cur > n - 1) {
        list->cur = n - 1;
    }
    if (list->cur < 0) {
        list->cur = 0;
    }
    if (list->top > list->cur) {
        list->top = list->cur;
    }
    if (list->top < list->cur - rows + 1) {
        list->top = list->cur - rows + 1;
    }
    if (list->top > n - rows) {
        list->top = n - rows;
    }
    if (list->top < 0) {
        list->top = 0;
    }
}

void ew_draw_scroll(struct ew_area area, int top_row, long top, int rows,
                    long n)
{
    if (n <= rows || rows < 2) {
        return;
    }
    int size = (int)((long)rows * rows / n);
    size = size < 1 ? 1 : size;
    int at = (int)((long)(rows - size) * top / (n - rows));
    for (int y = 0; y < size; y++) {
        ew_put(area, top_row + at + y, area.rect.cols - 1, ew_style(EW_R_FAINT),
               ew_glyph(area, EW_G_THUMB));
    }
}
