/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as a map: a row per layer, a column per head, MLPs at the right, the
 * embedding below and logits above. A cell shows the node's quantity as a
 * digit from 1 to 9 of the largest, with its sign and on a coloured ground.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

enum {
    LABEL = 4, /* columns of layer numbers */
    TOP = 1,   /* rows of heads */
    PAGE = 4   /* layers */
};

struct map {
    int n_layers, n_heads, columns; /* heads, and one for MLPs */
    int cell;                       /* columns of a cell */
    int rows, shown;                /* layers and columns on the screen */
    long top, left;                 /* highest layer, first column of them */
};

static int between(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

static struct map map_of(const struct ew_app *a)
{
    const struct ew_graph_spec *spec = ew_graph_spec(a->graph);
    return (struct map){
        .n_layers = spec->n_layers,
        .n_heads = spec->n_heads,
        .columns = spec->n_heads + (spec->has_mlp ? 1 : 0),
    };
}

/* The node of a layer's column; EW_NONE when there is none. */
static uint32_t node_at(const struct ew_app *a, const struct map *m, int layer,
                        int column)
{
    struct ew_node node = {
        .kind = column < m->n_heads ? EW_NODE_HEAD : EW_NODE_MLP,
        .layer = layer,
        .head = column < m->n_heads ? column : -1,
    };
    return ew_graph_find_sender(a->graph, node);
}

static int column_of(const struct ew_app *a, const struct map *m, uint32_t node)
{
    if (node == ew_logits_of(a)) {
        return 0;
    }
    struct ew_node n = ew_graph_sender(a->graph, node);
    return n.kind == EW_NODE_HEAD  ? n.head
           : n.kind == EW_NODE_MLP ? m->n_heads
                                   : 0;
}

/* The first of n that is shown, so that the one under the cursor is. */
static long first_shown(long top, long cursor, int n, int shown)
{
    struct ew_list list = {.cur = cursor, .top = top};
    ew_list_fit(&list, n, shown);
    return list.top;
}

static struct map measure(struct ew_app *a, int rows, int cols)
{
    struct map m = map_of(a);
    int room = cols - LABEL - 1;
    m.cell = between(room / m.columns, 1, 6);
    m.shown = between(room / m.cell, 1, m.columns);
    m.rows = between(rows - TOP - 5, 1, m.n_layers); /* logits, legend, ... */
    int layer = between(ew_node_layer(a, a->node), 0, m.n_layers - 1);
    a->map_top =
        first_shown(a->map_top, m.n_layers - 1 - layer, m.n_layers, m.rows);
    a->map_left = first_shown(a->map_left, column_of(a, &m, a->node), m.columns,
                              m.shown);
    m.top = a->map_top;
    m.left = a->map_left;
    return m;
}

/* The digit and sign of a value: "", "4", "-2". */
static const char *digit(char out[16], double value, double full, int cell)
{
    int d =
        full > 0 && isfinite(value) ? (int)lround(9.0 * fabs(value) / full) : 0;
    if (d == 0) {
        out[0] = '\0';
    } else if (cell >= 5) {
        snprintf(out, 16, "%+.*f", fabs(value) < 9.95 ? 1 : 0, value);
    } else {
        snprintf(out, 16, "%s%d", value < 0 && cell > 1 ? "-" : "", d);
    }
    return out;
}

/* Is there a blank beside each number of edges? */
static bool counts_fit(double full, int cell)
{
    return snprintf(NULL, 0, "%.0f", full) < cell;
}

/* Edges that are kept: their number, or a digit of the largest. */
static const char *count(char out[16], uint32_t n, double full, int cell)
{
    out[0] = '\0';
    if (n > 0 && counts_fit(full, cell)) {
        snprintf(out, 16, "%u", (unsigned)n);
    } else if (n > 0) { /* one edge is not none */
        snprintf(out, 16, "%d", between((int)lround(9.0 * n / full), 1, 9));
    }
    return out;
}

static void draw_cell(struct ew_app *a, struct ew_area area, int y, int x,
                      int cols, uint32_t node, double full)
{
    bool stale;
    char text[16];
    double value = ew_node_value(a, node, &stale);
    uint32_t in, in_all, out, out_all;
    ew_node_counts(a, node, EW_CH_ALL, &in, &in_all, &out, &out_all);
    int step = ew_ramp_step(value, full);
    struct ew_style style = ew_style(EW_R_ZERO);
    const char *shown = digit(text, value, full, cols);
    if (a->quantity == EW_QTY_KEPT) {
        style = ew_style(out == 0 ? EW_R_ZERO : EW_R_KEPT);
        shown = count(text, out, full, cols);
    } else if (*shown) {
        style = ew_style_on(stale ? EW_R_DIM : EW_R_VALUE, ew_ramp_heat(step));
        style.attr = stale ? 0 : EW_ATTR_BOLD;
    }
    const struct ew_group *group = ew_node_group(a, node);
    if (a->quantity == EW_QTY_GROUP && group) {
        snprintf(text, sizeof(text), "%.*s", cols > 2 ? 2 : cols,
                 group->short_name);
        shown = text;
        style = ew_style_bold(out == 0 ? EW_R_CUT : ew_group_ink(group));
    }
    if (a->quantity == EW_QTY_KIND && a->kinds[node].to) {
        enum ew_attends to = a->kinds[node].to;
        int tenths = (int)lround(10.0 * value);
        const char *name = ew_attends_name(to);
        snprintf(text, sizeof(text), "%.*s%.*d", cols > 4 ? 4 : 1, name,
                 cols > 1, tenths > 9 ? 9 : tenths);
        shown = text;
        style = ew_style(tenths == 0 ? EW_R_FAINT : ew_attends_ink(to));
        style.attr = tenths >= 5 ? EW_ATTR_BOLD : 0;
    }
    if (!*shown) {
        shown = out == 0 && out_all > 0 ? ew_glyph(area, EW_G_CUT)
                                        : ew_glyph(area, EW_G_DOT);
        style = ew_style(group ? ew_group_ink(group) : EW_R_FAINT);
    }
    ew_fill(area, y, x, 1, cols, style);
    ew_put_right(area, y, x, cols - (cols > 3), style, shown);
    if (node == a->node) {
        ew_tint(area, y, x, 1, cols, EW_R_SELECT_BG);
        struct ew_style here = ew_style_on(EW_R_NAME, EW_R_SELECT_BG);
        here.attr = EW_ATTR_REVERSE | EW_ATTR_BOLD;
        ew_fill(area, y, x, 1, cols, here);
        ew_put_right(area, y, x, cols - (cols > 3), here, shown);
    }
}

static void draw_legend(struct ew_app *a, struct ew_area area, int y,
                        double full, int cell)
{
    char text[EW_FIGURE_SIZE];
    int x = 0;
    if (a->quantity == EW_QTY_GROUP) {
        for (size_t i = 0; i < ew_groups_n(a->groups); i++) {
            const struct ew_group *group = ew_groups_get(a->groups, i);
            if (x + ew_text_cols(group->short_name) > area.rect.cols) {
                x = 0;
                y++;
            }
            x += ew_put(area, y, x, ew_style_bold(ew_group_ink(group)),
                        group->short_name) +
                 2;
        }
        return;
    }
    if (a->quantity == EW_QTY_KIND) {
        static const char *const to[] = {"", "to the token before",
                                         "to the same", "after the same"};
        for (int i = EW_ATTENDS_PREVIOUS; i <= EW_ATTENDS_INDUCTION; i++) {
            enum ew_attends kind = (enum ew_attends)i;
            if (x + ew_text_cols(to[i]) + 5 > area.rect.cols) {
                x = 0;
                y++;
            }
            x += ew_put(area, y, x, ew_style_bold(ew_attends_ink(kind)),
                        ew_attends_name(kind)) +
                 1;
            x += ew_put(area, y, x, ew_style(EW_R_DIM), to[i]) + 2;
        }
        return;
    }
    if (a->quantity == EW_QTY_KEPT) {
        if (counts_fit(full, cell)) {
            ew_put(area, y, 0, ew_style(EW_R_DIM), "edges out that are kept");
        } else {
            ew_putf(area, y, 0, ew_style(EW_R_DIM), "9 = %.0f edges out kept",
                    full);
        }
        return;
    }
    ew_put(area, y, x, ew_style_on(EW_R_VALUE, EW_R_HEAT_POS4), " 9 ");
    x += 4;
    x += ew_putf(area, y, x, ew_style(EW_R_DIM), "%s needed",
                 ew_figure_signed(text, full));
    x += 2;
    ew_put(area, y, x, ew_style_on(EW_R_VALUE, EW_R_HEAT_NEG4), "-9 ");
    x += 4;
    x += ew_put(area, y, x, ew_style(EW_R_DIM), "hurts");
    x += 2;
    if (x + 13 > area.rect.cols) {
        x = 0;
        y++;
    }
    ew_putf(area, y, x, ew_style(EW_R_DIM), "%s none  %s out",
            ew_glyph(area, EW_G_DOT), ew_glyph(area, EW_G_CUT));
}

static void draw_single(struct ew_app *a, struct ew_area area, int y,
                        uint32_t node, double full)
{
    char name[EW_NAME_SIZE];
    char text[EW_FIGURE_SIZE];
    bool stale;
    double value = ew_node_value(a, node, &stale);
    ew_put(area, y, LABEL, ew_style(EW_R_NODE), ew_node_name(a, node, name));
    if (node != ew_logits_of(a) && !isnan(value)) {
        ew_put(area, y, LABEL + 8,
               ew_style(stale ? EW_R_FAINT
                              : ew_ramp_text(ew_ramp_step(value, full))),
               a->quantity == EW_QTY_KEPT ? ew_figure_count(text, (size_t)value)
                                          : ew_figure_signed(text, value));
    }
    if (node == a->node) {
        ew_tint(area, y, 0, 1, area.rect.cols, EW_R_SELECT_BG);
    }
}

static void draw_heads(struct ew_area area, const struct map *m)
{
    struct ew_style style = ew_style(EW_R_DIM);
    int left = (int)m->left;
    for (int c = left; c < left + m->shown; c++) {
        char text[12];
        snprintf(text, sizeof(text), "%d", m->cell == 1 ? c % 10 : c);
        ew_put_right(area, 0, LABEL + (c - left) * m->cell,
                     m->cell - (m->cell > 3), style,
                     c < m->n_heads ? text
                     : m->cell > 3  ? "mlp"
                                    : "m");
    }
    if (left > 0) {
        ew_put(area, 0, LABEL - 1, style, "<");
    }
    if (left + m->shown < m->columns) {
        ew_put(area, 0, LABEL + m->shown * m->cell, style, ">");
    }
}

static void map_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    struct map m = measure(a, area.rect.rows, area.rect.cols);
    double full = ew_node_value_full(a);
    draw_heads(area, &m);
    int y = TOP;
    draw_single(a, area, y++, ew_logits_of(a), full);
    for (int i = 0; i < m.rows; i++, y++) {
        int layer = m.n_layers - 1 - (int)m.top - i;
        char label[12];
        snprintf(label, sizeof(label), "%d", layer);
        bool here = layer == ew_node_layer(a, a->node);
        ew_put_right(area, y, 0, LABEL - 1,
                     ew_style(here ? EW_R_NAME : EW_R_DIM), label);
        for (int c = 0; c < m.shown; c++) {
            uint32_t node = node_at(a, &m, layer, (int)m.left + c);
            if (node != EW_NONE) {
                draw_cell(a, area, y, LABEL + c * m.cell, m.cell, node, full);
            }
        }
    }
    for (uint32_t s = 0; ew_node_layer(a, s) < 0; s++) {
        draw_single(a, area, y++, s, full);
    }
    if (y + 1 < area.rect.rows) {
        draw_legend(a, area, y + 1, full, m.cell);
    }
    ew_draw_scroll(area, TOP + 1, m.top, m.rows, m.n_layers);
}

/* Up and down go to the same head of the next layer. */
static void move(struct ew_app *a, int d_layer, int d_column)
{
    struct map m = map_of(a);
    int layer = ew_node_layer(a, a->node);
    int column = column_of(a, &m, a->node);
    if (d_column != 0 && layer >= 0 && layer < m.n_layers) {
        column += d_column;
        column = column < 0 ? m.columns - 1 : column >= m.columns ? 0 : column;
        ew_node_go(a, node_at(a, &m, layer, column));
        return;
    }
    layer += d_layer;
    if (layer >= m.n_layers) {
        ew_node_go(a, ew_logits_of(a));
    } else if (layer < 0) {
        bool second = a->node == 0 && ew_graph_spec(a->graph)->split_embed;
        ew_node_go(a, d_layer < 0 && second ? 1 : 0);
    } else {
        ew_node_go(a, node_at(a, &m, layer, column));
    }
}

/* Not past the lowest layer, or the highest: no step there. */
static void page(struct ew_app *a, int d_layer)
{
    if (d_layer != 0) {
        move(a, d_layer, 0);
    }
}

static bool map_act(struct ew_app *a, enum ew_action action, int rows)
{
    int last = ew_graph_spec(a->graph)->n_layers - 1;
    int layer = ew_node_layer(a, a->node);
    switch (action) {
    case EW_DO_DOWN:
        move(a, -1, 0);
        return true;
    case EW_DO_UP:
        move(a, 1, 0);
        return true;
    case EW_DO_LEFT:
        move(a, 0, -1);
        return true;
    case EW_DO_RIGHT:
        move(a, 0, 1);
        return true;
    case EW_DO_HALF_DOWN:
    case EW_DO_PAGE_DOWN:
        page(a, -between(layer, 0, PAGE));
        return true;
    case EW_DO_HALF_UP:
    case EW_DO_PAGE_UP:
        page(a, between(last - layer, 0, PAGE));
        return true;
    case EW_DO_TOP:
        ew_node_go(a, ew_logits_of(a));
        return true;
    case EW_DO_BOTTOM:
        ew_node_go(a, 0);
        return true;
    default:
        return false;
    }
}

static void map_title(struct ew_app *a, struct ew_buf *title,
                      struct ew_buf *note)
{
    ew_buf_printf(title, "nodes: %s", ew_quantity_name(a->quantity));
}

static void map_click(struct ew_app *a, const struct ew_click *c)
{
    struct map m = measure(a, c->rows, c->cols);
    int i = c->y - TOP - 1;
    if (c->y == TOP) {
        ew_node_go(a, ew_logits_of(a));
    } else if (i >= m.rows) {
        uint32_t embed = (uint32_t)(i - m.rows);
        if (embed < ew_logits_of(a) && ew_node_layer(a, embed) < 0) {
            ew_node_go(a, embed);
        }
    } else if (i >= 0 && c->x >= LABEL) {
        int column = (c->x - LABEL) / m.cell;
        int layer = m.n_layers - 1 - (int)m.top - i;
        if (column < m.shown) {
            ew_node_go(a, node_at(a, &m, layer, (int)m.left + column));
        }
    }
}

const struct ew_view_ops ew_view_map = {
    .name = "nodes",
    .about = "Layers x heads, coloured by what `w` chose. A digit is a share "
             "of the largest, which is 9; with - it hurts; a circle: all edges "
             "out are cut.",
    .keys = {{EW_DO_OPEN, "to the node's edges"},
             {EW_DO_TOGGLE, "knock the node out, or restore it"},
             {EW_DO_MAP_QUANTITY, "the next quantity"}},
    .title = map_title,
    .draw = map_draw,
    .act = map_act,
    .click = map_click,
};
