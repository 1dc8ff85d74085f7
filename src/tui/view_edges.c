/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edges into, or out of, the node under the cursor, or all edges of the
 * graph: whether each is kept, its exact effect with the error over prompts,
 * the logit difference after flipping it, and a bar. While a circuit is pinned:
 * the effect there, here, and what has changed, which is what the bar shows.
 * Stale figures are dimmed, unknown ones are dots, and an effect that can only
 * be 0 says why.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

/* Columns by width; 0 cols: not shown. */
struct columns {
    int name, name_cols;
    int input;           /* q, k, v; 0: no edge has one, or the name says it */
    int was;             /* 8 columns; 0 unless a circuit is pinned */
    int effect;          /* 8 columns */
    int change;          /* 8 columns; 0 unless a circuit is pinned */
    int se, se_cols;     /* "±.031" */
    int then, then_cols; /* logit difference after */
    int estimate;        /* 8 columns; 0: none, or no room */
    int tau;             /* 8 columns, effect less the threshold; 0: no room */
    int group;           /* 3 columns; 0: no groups, or no room */
    int bar, bar_cols;
};

static struct columns measure(const struct ew_app *a, int cols)
{
    struct columns c = {.name = 4, .name_cols = 12};
    if (a->all) {
        c.name_cols = cols < 46 ? 16 : 24;
    } else if (a->out || ew_node_is_head(a, a->node)) {
        c.input = c.name + 10;
    }
    int x = c.name + c.name_cols;
    int given = cols;
    cols -= c.name_cols - 12;
    bool se = a->metric == EW_METRIC_LOGIT_DIFF;
    if (ew_pinned(a)) {
        c.was = x;
        x += 8;
    }
    c.effect = x;
    x += 9;
    if (ew_pinned(a)) {
        c.change = x - 1;
        x += 8;
        cols -= 16;
    }
    if (se && cols >= 48) {
        c.se = x;
        c.se_cols = 8;
        x += 8;
    }
    if (a->ready.has_ld && cols >= 38) {
        c.then = x;
        c.then_cols = 8;
        x += 9;
    }
    cols = given;
    if (ew_groups_n(a->groups) > 0 && cols - x >= 5) {
        c.group = x + 1;
        x += 5;
    }
    if (a->estimates && a->estimate_of == a->metric && cols - x >= 11) {
        c.estimate = x;
        x += 9;
    }
    if (!ew_pinned(a) && cols - x >= 18) { /* and a bar */
        x += x == c.se + c.se_cols; /* its heading is as wide as it is */
        c.tau = x;
        x += 8;
    }
    c.bar = x + 1;
    c.bar_cols = cols - x - 3;
    c.bar_cols = c.bar_cols < 3 ? 0 : c.bar_cols > 24 ? 24 : c.bar_cols;
    return c;
}

static enum ew_ink input_ink(enum ew_node_kind kind)
{
    return kind == EW_NODE_Q   ? EW_R_Q
           : kind == EW_NODE_K ? EW_R_K
           : kind == EW_NODE_V ? EW_R_V
                               : EW_R_NODE;
}

/* The end that the node is not, and into which input it goes. */
static void draw_name(struct ew_app *a, struct ew_area area, int y,
                      const struct columns *c, uint32_t edge)
{
    char name[EW_NAME_SIZE];
    uint32_t receiver = ew_edge_receiver(a->graph, edge);
    uint32_t sender = ew_edge_sender(a->graph, edge);
    struct ew_node to = ew_graph_receiver(a->graph, receiver);
    struct ew_style style =
        ew_style(ew_edge_kept(a, edge) ? EW_R_NODE : EW_R_CUT);
    if (a->all) {
        ew_name_of_edge(name, a->graph, edge);
        ew_put_n(area, y, c->name, c->name_cols, style, name);
        return;
    }
    const char *letter = to.kind == EW_NODE_Q   ? "q"
                         : to.kind == EW_NODE_K ? "k"
                         : to.kind == EW_NODE_V ? "v"
                                                : "";
    if (a->out) {
        ew_name_of_receiver(name, a->graph, receiver);
    } else if (sender == EW_NONE) {
        snprintf(name, sizeof(name), "direct");
    } else {
        ew_name_of_sender(name, a->graph, sender);
    }
    char *bracket = strchr(name, '<');
    if (bracket) {
        *bracket = '\0';
    }
    ew_put_n(area, y, c->name, 9, style, name);
    uint32_t other = a->out ? ew_graph_feeds(a->graph, receiver) : sender;
    const struct ew_group *group =
        other == EW_NONE ? NULL : ew_node_group(a, other);
    if (c->group && group) {
        ew_put_n(area, y, c->group, 3, ew_style(ew_group_ink(group)),
                 group->short_name);
    }
    if (*letter && c->input) {
        ew_put(area, y, c->input,
               ew_style(ew_edge_kept(a, edge) ? input_ink(to.kind) : EW_R_CUT),
               letter);
    }
}

/* A bar of a signed figure; the full length is the largest of the rows. */
static void draw_bar(struct ew_app *a, struct ew_area area, int y,
                     const struct columns *c, double value, bool stale)
{
    if (!(a->rows_full > 0) || isnan(value)) {
        return;
    }
    int step = ew_ramp_step(value, a->rows_full);
    struct ew_style style = ew_style(stale ? EW_R_FAINT : ew_ramp_text(step));
    int eighths = (int)(fabs(value) / a->rows_full * c->bar_cols * 8.0 + 0.5);
    for (int i = 0; i < c->bar_cols && eighths > 0; i++, eighths -= 8) {
        ew_put(area, y, c->bar + i, style, ew_block_h(area, eighths));
    }
}

/* Effect in the pinned circuit, and what has been added since. */
static void draw_pinned(struct ew_app *a, struct ew_area area, int y,
                        const struct columns *c, uint32_t edge)
{
    char text[EW_FIGURE_SIZE];
    double was = ew_pin_was(a, edge);
    double change = ew_pin_change(a, edge);
    struct ew_style faint = ew_style(EW_R_FAINT);
    const char *dots = ew_glyph(area, EW_G_ELLIPSIS);
    ew_put_right(area, y, c->was, 8, ew_style(EW_R_DIM),
                 isnan(was) ? dots : ew_figure_signed(text, was));
    int step = ew_ramp_step(change, a->rows_full);
    ew_put_right(area, y, c->change, 8,
                 isnan(change) ? faint : ew_style(ew_ramp_text(step)),
                 isnan(change) ? dots : ew_figure_signed(text, change));
    draw_bar(a, area, y, c, change, false);
}

/* Why an effect can only be 0, in place of the figures that say no more. */
static void draw_why(struct ew_area area, int y, const struct columns *c,
                     enum ew_zero_why why)
{
    char text[96];
    int from = c->effect + 10;
    int cols = (c->estimate ? c->estimate + 1 : area.rect.cols) - from;
    snprintf(text, sizeof(text), "%s %s", ew_glyph(area, EW_G_SAME),
             ew_zero_why_text(why));
    char *more = strchr(text, ':');
    if (more && ew_text_cols(text) > cols) {
        *more = '\0';
    }
    ew_put_n(area, y, from, cols, ew_style(EW_R_ZERO), text);
}

static void draw_known(struct ew_app *a, struct ew_area area, int y,
                       const struct columns *c, uint32_t edge,
                       const struct ew_known_edge *known, bool stale)
{
    char text[EW_FIGURE_SIZE];
    char se[EW_FIGURE_SIZE + 4];
    double effect = (double)known->effect;
    double full = c->change ? fmax(a->rows_full, fabs(effect)) : a->rows_full;
    int step = ew_ramp_step(effect, full);
    struct ew_style style = ew_style(stale ? EW_R_FAINT : ew_ramp_text(step));
    ew_put_right(area, y, c->effect, 8, style, ew_figure_signed(text, effect));
    if (!stale && known->why != EW_ZERO_NOT && !c->change) {
        draw_why(area, y, c, (enum ew_zero_why)known->why);
        return;
    }
    struct ew_style dim = ew_style(stale ? EW_R_FAINT : EW_R_DIM);
    if (c->se_cols && !isnan(known->se)) {
        /* ".031": the error needs no more digits than that */
        snprintf(text, sizeof(text), known->se < 9.5f ? "%.3f" : "%.1f",
                 (double)known->se);
        snprintf(se, sizeof(se), "%s%s", ew_glyph(area, EW_G_PLUSMINUS),
                 text[0] == '0' ? text + 1 : text);
        ew_put_right(area, y, c->se, c->se_cols, dim, se);
    }
    if (c->then_cols && !isnan(known->ld)) {
        ew_put_right(area, y, c->then, c->then_cols, dim,
                     ew_figure(text, (double)known->ld));
    }
    if (c->tau) { /* below 0: ACDC would cut it */
        double off = effect - a->acdc.threshold;
        enum ew_ink ink = stale ? EW_R_FAINT : off < 0 ? EW_R_ZERO : EW_R_DIM;
        ew_put_right(area, y, c->tau, 8, ew_style(ink),
                     ew_figure_signed(text, off));
    }
    if (!c->change) {
        draw_bar(a, area, y, c, effect, stale);
    }
}

static void draw_row(struct ew_app *a, struct ew_area area, int y,
                     const struct columns *c, uint32_t edge, bool here,
                     bool focused)
{
    struct ew_known_edge known;
    bool stale;
    bool kept = ew_edge_kept(a, edge);
    bool is_known = ew_edge_known(a, edge, &known, &stale);
    if (ew_bitset_has(a->marked, edge)) {
        ew_put(area, y, 1, ew_style(EW_R_MARK), ew_glyph(area, EW_G_MARK));
    }
    ew_put(area, y, 2, ew_style(kept ? EW_R_KEPT : EW_R_CUT),
           ew_glyph(area, kept ? EW_G_KEPT : EW_G_CUT));
    draw_name(a, area, y, c, edge);
    if (is_known) {
        draw_known(a, area, y, c, edge, &known, stale);
    } else {
        ew_put_right(area, y, c->effect, 8, ew_style(EW_R_FAINT),
                     ew_glyph(area, a->load == EW_LOAD_FAILED ? EW_G_DOT
                                                              : EW_G_ELLIPSIS));
    }
    if (c->change) {
        draw_pinned(a, area, y, c, edge);
    }
    if (c->estimate) {
        char text[EW_FIGURE_SIZE];
        ew_put_right(area, y, c->estimate, 8, ew_style(EW_R_DIM),
                     ew_figure_signed(text, ew_edge_estimate(a, edge)));
    }
    if (here) {
        ew_put(area, y, 0, ew_style(EW_R_NAME), ew_glyph(area, EW_G_CURSOR));
        ew_tint(area, y, 0, 1, area.rect.cols,
                focused ? EW_R_SELECT_BG : EW_R_SELECT_DIM_BG);
    }
}

/* Where the mark of the column stands by which rows are sorted; -1: nowhere,
 * that column has no room. */
static int sorted_by(const struct ew_app *a, const struct columns *c)
{
    switch (a->sort) {
    case EW_SORT_NAME:
        return c->name + (a->out && !a->all ? 3 : 5);
    case EW_SORT_KEPT:
        return 2;
    case EW_SORT_KIND:
        return c->input ? c->input + 1 : -1;
    case EW_SORT_SE:
        return c->se ? c->se + c->se_cols - 4 : -1;
    case EW_SORT_TAU:
        return c->tau ? c->tau - 1 : -1;
    case EW_SORT_GROUP:
        return c->group ? c->group - 1 : -1;
    case EW_SORT_ESTIMATE:
    case EW_SORT_ESTIMATE_SIGNED:
        return c->estimate ? c->estimate - 1 : -1;
    case EW_SORT_CHANGE:
    case EW_SORT_CHANGE_SIGNED:
        return c->change ? c->change + 1 : -1;
    case EW_SORT_WAS:
        return c->was ? c->was + 3 : -1;
    case EW_SORT_ABS:
    case EW_SORT_SIGNED:
    case EW_N_SORTS:
        break;
    }
    return c->effect + (c->change ? 3 : 0);
}

static void draw_header(struct ew_app *a, struct ew_area area,
                        const struct columns *c)
{
    struct ew_style head = ew_style(EW_R_HEADER);
    ew_put(area, 0, c->name, head, a->all ? "edge" : a->out ? "to" : "from");
    if (c->input) {
        ew_put(area, 0, c->input - 1, head, "in");
    }
    ew_put_right(area, 0, c->effect, 8, head, c->change ? "now" : "effect");
    if (c->change) {
        ew_put_right(area, 0, c->was, 8, head, "was");
        ew_put_right(area, 0, c->change, 8, head, "change");
    }
    if (c->se_cols) {
        ew_put_right(area, 0, c->se, c->se_cols, head, "se");
    }
    if (c->then_cols) {
        ew_put_right(area, 0, c->then, c->then_cols, head, "then LD");
    }
    if (c->estimate) {
        ew_put_right(area, 0, c->estimate, 8, head, "estimate");
    }
    if (c->tau) {
        char text[24];
        snprintf(text, sizeof(text), "effect-%s", ew_glyph(area, EW_G_TAU));
        ew_put_right(area, 0, c->tau, 8, head, text);
    }
    if (c->group) {
        ew_put(area, 0, c->group, head, "grp");
    }
    int at = sorted_by(a, c);
    if (at >= 0) {
        ew_put(area, 0, at, ew_style(EW_R_NAME),
               ew_glyph(area, a->inverted ? EW_G_UP : EW_G_DOWN));
    }
}

static void draw_empty(struct ew_app *a, struct ew_area area)
{
    const char *text =
        a->filter ? "no edge passes the filter: Esc shows all"
        : a->out  ? "logits is the end: o shows the edges into it"
                  : "the embedding is the start: o shows its edges out";
    ew_put(area, 2, 2, ew_style(EW_R_DIM), text);
}

static void edges_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    int rows = area.rect.rows - 1;
    struct columns c = measure(a, area.rect.cols);
    struct ew_list list = {.cur = a->edge_at, .top = a->edge_top};
    ew_list_fit(&list, (long)a->n_rows, rows);
    a->edge_at = list.cur;
    a->edge_top = list.top;
    draw_header(a, area, &c);
    for (int y = 0; y < rows && a->edge_top + y < (long)a->n_rows; y++) {
        long i = a->edge_top + y;
        draw_row(a, area, y + 1, &c, a->rows[i], i == a->edge_at, focused);
    }
    if (a->n_rows == 0) {
        draw_empty(a, area);
    }
    ew_draw_scroll(area, 1, a->edge_top, rows, (long)a->n_rows);
}

static void edges_note(const struct ew_app *a, struct ew_buf *note)
{
    if (a->filter) {
        ew_buf_printf(note, "%zu shown", a->n_rows);
    } else if (a->sort != EW_SORT_ABS && a->sort != EW_SORT_CHANGE) {
        ew_buf_printf(note, "by %s", ew_sort_name(a->sort));
    } else if (ew_pinned(a)) {
        ew_buf_add(note, "change since the pin");
    } else {
        ew_buf_add(note, "+ needed  - hurts");
    }
}

static void edges_title(struct ew_app *a, struct ew_buf *title,
                        struct ew_buf *note)
{
    static const char *const channels[] = {"", "<q>", "<k>", "<v>"};
    char name[EW_NAME_SIZE];
    uint32_t in, in_all, out, out_all;
    if (a->all) {
        char kept[EW_FIGURE_SIZE];
        char all[EW_FIGURE_SIZE];
        ew_buf_printf(title, "all edges  %s/%s kept",
                      ew_figure_count(kept, ew_circuit_n_kept(a->circuit)),
                      ew_figure_count(all, ew_graph_n_edges(a->graph)));
        edges_note(a, note);
        return;
    }
    ew_node_counts(a, a->node, a->channel, &in, &in_all, &out, &out_all);
    ew_buf_printf(title, "%s %s%s", a->out ? "out of" : "into",
                  ew_node_name(a, a->node, name),
                  a->out ? "" : channels[a->channel]);
    ew_buf_printf(title, "  %u/%u kept", (unsigned)(a->out ? out : in),
                  (unsigned)(a->out ? out_all : in_all));
    edges_note(a, note);
}

/* Left and right go through a head's inputs: all, q, k, v. */
static void turn_channel(struct ew_app *a, int step)
{
    if (a->out || a->all || !ew_node_is_head(a, a->node)) {
        return;
    }
    a->channel =
        (enum ew_channel)((a->channel + EW_N_CHANNELS + step) % EW_N_CHANNELS);
    a->edge = EW_NONE;
    a->edge_at = 0;
    a->edge_top = 0;
    a->rows_old = true;
}

static bool edges_act(struct ew_app *a, enum ew_action action, int rows)
{
    if (action == EW_DO_LEFT || action == EW_DO_RIGHT) {
        turn_channel(a, action == EW_DO_RIGHT ? 1 : -1);
        return true;
    }
    ew_rows_update(a);
    struct ew_list list = {.cur = a->edge_at, .top = a->edge_top};
    if (!ew_list_act(&list, (long)a->n_rows, rows - 1, action)) {
        return false;
    }
    a->edge_at = list.cur;
    a->edge_top = list.top;
    a->edge = a->n_rows ? a->rows[a->edge_at] : EW_NONE;
    return true;
}

static void edges_click(struct ew_app *a, const struct ew_click *c)
{
    long i = a->edge_top + c->y - 1;
    if (c->y < 1 || i >= (long)a->n_rows) {
        return;
    }
    bool same = c->again && i == a->edge_at && a->edge != EW_NONE;
    a->edge_at = i;
    a->edge = a->rows[i];
    if (c->x == 2) { /* the dot */
        ew_edit_toggle(a);
    } else if (same) {
        ew_app_act(a, EW_DO_OPEN);
    }
}

const struct ew_view_ops ew_view_edges = {
    .name = "edges",
    .about = "Effect: the metric without the edge less the metric with it, "
             "exact, with its standard error over prompts. then LD: the logit "
             "difference after the flip. effect-tau: below 0 ACDC cuts it. "
             "Dark figures are of a circuit before the last change.",
    .keys = {{EW_DO_OPEN, "to the edge's other end"},
             {EW_DO_LEFT, "the head's inputs: all, q, k, v"},
             {EW_DO_TOGGLE, "cut or restore; all that are marked"},
             {EW_DO_ALL_EDGES, "the whole graph's edges"}},
    .title = edges_title,
    .draw = edges_draw,
    .act = edges_act,
    .click = edges_click,
};
