/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as a foldable tree: logits, then layers from the top with their heads
 * (and below a head its q, k and v inputs) and MLPs, the embedding last. Folds
 * are kept by node, so they survive everything.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

enum row_kind { ROW_NODE, ROW_LAYER, ROW_INPUT };

struct row {
    enum row_kind kind;
    uint32_t node; /* of a layer: its first */
    int layer;
    enum ew_channel channel;
};

static size_t layer_bit(const struct ew_app *a, int layer)
{
    return (size_t)ew_logits_of(a) + 1 + (size_t)layer;
}

/* Calls `see` for each row in order until it returns false. */
static void walk(const struct ew_app *a,
                 bool (*see)(void *user, long i, struct row row), void *user)
{
    long i = 0;
    uint32_t logits = ew_logits_of(a);
    if (!see(user, i++, (struct row){ROW_NODE, logits, -1, EW_CH_ALL})) {
        return;
    }
    for (int layer = ew_graph_spec(a->graph)->n_layers - 1; layer >= -1;
         layer--) {
        if (layer >= 0 &&
            !see(user, i++, (struct row){ROW_LAYER, 0, layer, EW_CH_ALL})) {
            return;
        }
        if (layer >= 0 && !ew_bitset_has(a->unfolded, layer_bit(a, layer))) {
            continue;
        }
        for (uint32_t s = 0; s < logits; s++) {
            if (ew_node_layer(a, s) != layer) {
                continue;
            }
            if (!see(user, i++, (struct row){ROW_NODE, s, layer, EW_CH_ALL})) {
                return;
            }
            if (!ew_node_is_head(a, s) || !ew_bitset_has(a->unfolded, s)) {
                continue;
            }
            for (int ch = EW_CH_Q; ch <= EW_CH_V; ch++) {
                if (!see(user, i++,
                         (struct row){ROW_INPUT, s, layer,
                                      (enum ew_channel)ch})) {
                    return;
                }
            }
        }
    }
}

struct finder {
    const struct ew_app *a;
    long want, found, n;
    struct row row;
};

static bool see_index(void *user, long i, struct row row)
{
    struct finder *f = user;
    f->n = i + 1;
    if (i == f->want) {
        f->row = row;
        f->found = i;
    }
    return true;
}

/* The cursor's row: its channel's, its node's, or its folded layer's. */
static bool see_cursor(void *user, long i, struct row row)
{
    struct finder *f = user;
    const struct ew_app *a = f->a;
    f->n = i + 1;
    bool node = row.kind == ROW_NODE && row.node == a->node;
    bool input = row.kind == ROW_INPUT && row.node == a->node &&
                 row.channel == a->channel;
    bool layer = row.kind == ROW_LAYER &&
                 row.layer == ew_node_layer(a, a->node) && f->found < 0;
    if (node || input || layer) {
        f->found = i;
        f->row = row;
    }
    return true;
}

/* The list's cursor rests on layers too, while the node stays. */
static struct row current(struct ew_app *a, long *n)
{
    struct finder at = {.a = a, .want = a->tree.cur, .found = -1};
    walk(a, see_index, &at);
    *n = at.n;
    bool agrees = at.found >= 0 &&
                  (at.row.kind == ROW_LAYER ||
                   (at.row.node == a->node && at.row.channel == a->channel));
    if (agrees) {
        return at.row;
    }
    struct finder cursor = {.a = a, .found = -1};
    walk(a, see_cursor, &cursor);
    a->tree.cur = cursor.found < 0 ? 0 : cursor.found;
    return cursor.row;
}

static void go(struct ew_app *a, long i)
{
    struct finder at = {.a = a, .want = i, .found = -1};
    walk(a, see_index, &at);
    a->tree.cur = i;
    if (at.found >= 0 && at.row.kind != ROW_LAYER) {
        bool moved = at.row.channel != a->channel;
        ew_node_go(a, at.row.node);
        a->channel = at.row.channel;
        if (moved) {
            a->edge = EW_NONE;
            a->rows_old = true;
        }
    }
}

static void fold(struct ew_app *a, struct row row, bool open)
{
    if (row.kind == ROW_LAYER) {
        ew_bitset_put(a->unfolded, layer_bit(a, row.layer), open);
    } else if (row.kind == ROW_INPUT && !open) {
        ew_bitset_put(a->unfolded, row.node, false);
        a->channel = EW_CH_ALL;
        a->rows_old = true;
    } else if (ew_node_is_head(a, row.node)) {
        bool was = ew_bitset_has(a->unfolded, row.node);
        ew_bitset_put(a->unfolded, row.node, open);
        if (!open && !was && row.layer >= 0) { /* twice: the layer */
            ew_bitset_put(a->unfolded, layer_bit(a, row.layer), false);
            a->tree.cur = -1; /* to be found again */
        }
    }
}

static void fold_all(struct ew_app *a)
{
    bool any = false;
    for (uint32_t s = 0; s < ew_logits_of(a); s++) {
        any |= ew_node_is_head(a, s) && ew_bitset_has(a->unfolded, s);
    }
    for (uint32_t s = 0; s < ew_logits_of(a); s++) {
        ew_bitset_put(a->unfolded, s, !any);
    }
    for (int l = 0; l < ew_graph_spec(a->graph)->n_layers; l++) {
        ew_bitset_put(a->unfolded, layer_bit(a, l), true);
    }
    a->tree.cur = -1;
    a->channel = EW_CH_ALL;
    a->rows_old = true;
}

static bool tree_act(struct ew_app *a, enum ew_action action, int rows)
{
    long n;
    struct row row = current(a, &n);
    struct ew_list list = a->tree;
    if (ew_list_act(&list, n, rows - 1, action)) {
        a->tree = list;
        go(a, list.cur);
        return true;
    }
    switch (action) {
    case EW_DO_LEFT:
    case EW_DO_FOLD:
        fold(a, row, false);
        return true;
    case EW_DO_RIGHT:
    case EW_DO_UNFOLD:
        fold(a, row, true);
        return true;
    case EW_DO_UNFOLD_ALL:
        fold_all(a);
        return true;
    case EW_DO_OPEN:
    case EW_DO_TOGGLE:
        if (row.kind == ROW_LAYER) {
            fold(a, row, !ew_bitset_has(a->unfolded, layer_bit(a, row.layer)));
            return true;
        }
        return false;
    default:
        return false;
    }
}

/* ---- drawing ---- */

/* The name, edges in, edges out, then the value and its bar, and at the right
 * end the group. */
struct columns {
    int in, in_cols;
    int out, out_cols;
    int value;
    bool values; /* there is room for them */
    bool all; /* "kept/all"; else kept, whose colour says whether it is all */
};

enum {
    VALUE_COLS = 8, /* with a blank behind, where the scroll mark may be */
    GROUP_COLS = 4, /* with a blank behind, too */
    BAR_COLS = 2    /* that are worth a wider pane */
};

struct painter {
    struct ew_app *a;
    struct ew_area area;
    struct columns at;
    bool focused;
    double full;
};

/* Of all nodes the longest name, with what stands before it, and the most
 * digits. */
struct widths {
    int name, in, out;
};

static int at_least(int value, int least)
{
    return value > least ? value : least;
}

static int digits(uint32_t n)
{
    return snprintf(NULL, 0, "%u", (unsigned)n);
}

static struct widths widths_of(const struct ew_app *a)
{
    struct widths w = {0};
    uint32_t logits = ew_logits_of(a);
    uint32_t most_in = 0;
    uint32_t most_out = 0;
    for (uint32_t node = 0; node <= logits; node++) {
        char name[EW_NAME_SIZE];
        uint32_t in_kept, in_all, out_kept, out_all;
        bool top = node == logits || ew_node_layer(a, node) < 0;
        int len = (int)strlen(ew_node_name(a, node, name));
        w.name = at_least(len + (top ? 2 : 6), w.name);
        ew_node_counts(a, node, EW_CH_ALL, &in_kept, &in_all, &out_kept,
                       &out_all);
        most_in = in_all > most_in ? in_all : most_in;
        most_out = out_all > most_out ? out_all : most_out;
    }
    w.in = digits(most_in);
    w.out = digits(most_out);
    return w;
}

/* As wide as the graph's names and counts, and the headings, need. */
static struct columns columns_of(const struct widths *w, bool all)
{
    struct columns c = {.in = w->name, .all = all};
    c.in_cols = all ? at_least(2 * w->in + 2, 7) : at_least(w->in + 1, 3);
    c.out_cols = all ? at_least(2 * w->out + 1, 6) : at_least(w->out, 3);
    c.out = c.in + c.in_cols + 1;
    c.value = c.out + c.out_cols + 1;
    return c;
}

/* Has what nodes show a figure of its own here? */
static bool has_values(const struct ew_app *a)
{
    return a->quantity != EW_QTY_KEPT && a->quantity != EW_QTY_GROUP;
}

/* Values come before how many edges there are, and that before nothing. */
static struct columns columns_within(const struct ew_app *a, int cols)
{
    struct widths w = widths_of(a);
    struct columns all = columns_of(&w, true);
    struct columns brief = columns_of(&w, false);
    all.values = has_values(a) && all.value + VALUE_COLS <= cols;
    brief.values = has_values(a) && brief.value + VALUE_COLS <= cols;
    return all.values || (!brief.values && all.value - 1 <= cols) ? all : brief;
}

int ew_tree_cols(const struct ew_app *a)
{
    struct widths w = widths_of(a);
    return columns_of(&w, true).value + VALUE_COLS + BAR_COLS + GROUP_COLS;
}

static void draw_count(const struct painter *p, int y, int x, int cols,
                       uint32_t kept, uint32_t all)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%u", (unsigned)kept);
    if (p->at.all) {
        snprintf(text + n, sizeof(text) - (size_t)n, "/%u", (unsigned)all);
    }
    enum ew_ink role = kept == 0     ? EW_R_ZERO
                       : kept == all ? EW_R_DIM
                                     : EW_R_KEPT;
    if (all > 0) {
        ew_put_right(p->area, y, x, cols, ew_style(role), text);
    }
}

static void draw_value(const struct painter *p, int y, uint32_t node)
{
    bool stale;
    char text[EW_FIGURE_SIZE];
    double value = ew_node_value(p->a, node, &stale);
    int step = ew_ramp_step(value, p->full);
    struct ew_style style = ew_style(stale ? EW_R_FAINT : ew_ramp_text(step));
    if (node == ew_logits_of(p->a) || !p->at.values) {
        return;
    }
    if (isnan(value)) {
        ew_put_right(p->area, y, p->at.value, 7, ew_style(EW_R_FAINT),
                     ew_glyph(p->area, EW_G_DOT));
        return;
    }
    if (p->a->quantity == EW_QTY_KIND) { /* a word in place of a sign */
        enum ew_attends to = p->a->kinds[node].to;
        style = ew_style(ew_attends_ink(to));
        /* cut off, not rounded: 100% would touch the count before it */
        snprintf(text, sizeof(text), "%4s%2d%%", ew_attends_name(to),
                 (int)(100 * value));
    } else {
        ew_figure_signed(text, value);
    }
    ew_put_right(p->area, y, p->at.value - 1, 8, style, text);
    bool grouped = ew_groups_n(p->a->groups) > 0;
    int room = p->area.rect.cols - p->at.value - VALUE_COLS - 1 -
               (grouped ? GROUP_COLS : 0);
    room = room > 24 ? 24 : room;
    if (room > 0 && p->full > 0) {
        int eighths = (int)(fabs(value) / p->full * room * 8.0 + 0.5);
        for (int i = 0; i < room && eighths > 0; i++, eighths -= 8) {
            ew_put(p->area, y, p->at.value + VALUE_COLS + i, style,
                   ew_block_h(p->area, eighths));
        }
    }
}

static void draw_name(const struct painter *p, int y, struct row row)
{
    char name[EW_NAME_SIZE];
    struct ew_app *a = p->a;
    struct ew_area area = p->area;
    static const char *const inputs[] = {"", "q", "k", "v"};
    static const enum ew_ink inks[] = {EW_R_NODE, EW_R_Q, EW_R_K, EW_R_V};
    if (row.kind == ROW_LAYER) {
        bool open = ew_bitset_has(a->unfolded, layer_bit(a, row.layer));
        ew_putf(area, y, 0, ew_style(EW_R_HEADER), "%s layer %d",
                ew_glyph(area, open ? EW_G_OPEN : EW_G_CLOSED), row.layer);
        return;
    }
    if (row.kind == ROW_INPUT) {
        uint32_t first, n;
        ew_node_inputs(a, row.node, row.channel, &first, &n);
        uint32_t direct = ew_graph_direct_edge(a->graph, first);
        bool kept = direct == EW_NONE || ew_edge_kept(a, direct);
        ew_put(area, y, 6, ew_style(kept ? EW_R_KEPT : EW_R_CUT),
               ew_glyph(area, kept ? EW_G_KEPT : EW_G_CUT));
        ew_put(area, y, 8, ew_style(inks[row.channel]), inputs[row.channel]);
        return;
    }
    uint32_t in, in_all, out, out_all;
    ew_node_counts(a, row.node, EW_CH_ALL, &in, &in_all, &out, &out_all);
    bool top = row.layer < 0;
    int x = top ? 2 : 4;
    if (!top && ew_node_is_head(a, row.node)) {
        bool open = ew_bitset_has(a->unfolded, row.node);
        ew_put(area, y, 2, ew_style(EW_R_FAINT),
               ew_glyph(area, open ? EW_G_OPEN : EW_G_CLOSED));
    }
    bool dead = out_all > 0 && out == 0;
    bool half = out < out_all || in < in_all;
    if (!top) {
        ew_put(area, y, x, ew_style(dead ? EW_R_CUT : EW_R_KEPT),
               ew_glyph(area, dead   ? EW_G_CUT
                              : half ? EW_G_HALF
                                     : EW_G_KEPT));
        x += 2;
    }
    const struct ew_group *group = ew_node_group(a, row.node);
    enum ew_ink ink = group ? ew_group_ink(group) : EW_R_NODE;
    ew_put(area, y, x, ew_style(dead ? EW_R_CUT : ink),
           ew_node_name(a, row.node, name));
    if (group && area.rect.cols >= p->at.value + VALUE_COLS + GROUP_COLS) {
        ew_put_right(area, y, area.rect.cols - GROUP_COLS, 3, ew_style(ink),
                     group->short_name);
    }
}

static bool see_draw(void *user, long i, struct row row)
{
    struct painter *p = user;
    struct ew_app *a = p->a;
    int y = (int)(i - a->tree.top) + 1;
    if (y < 1) {
        return true;
    }
    if (y >= p->area.rect.rows) {
        return false;
    }
    draw_name(p, y, row);
    if (row.kind != ROW_LAYER) {
        uint32_t in, in_all, out, out_all;
        ew_node_counts(a, row.node, row.channel, &in, &in_all, &out, &out_all);
        draw_count(p, y, p->at.in, p->at.in_cols, in, in_all);
        if (row.kind == ROW_NODE) {
            draw_count(p, y, p->at.out, p->at.out_cols, out, out_all);
            draw_value(p, y, row.node);
        }
    }
    if (i == a->tree.cur) {
        ew_tint(p->area, y, 0, 1, p->area.rect.cols,
                p->focused ? EW_R_SELECT_BG : EW_R_SELECT_DIM_BG);
    }
    return true;
}

static void tree_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    long n;
    current(a, &n);
    int rows = area.rect.rows - 1;
    ew_list_fit(&a->tree, n, rows);
    struct ew_style head = ew_style(EW_R_HEADER);
    struct painter p = {a, area, columns_within(a, area.rect.cols), focused,
                        ew_node_value_full(a)};
    ew_put(area, 0, 0, head, "node");
    ew_put_right(area, 0, p.at.in, p.at.in_cols, head, "in");
    ew_put_right(area, 0, p.at.out, p.at.out_cols, head, "out");
    if (p.at.values) {
        ew_put_right(area, 0, p.at.value, 7, head,
                     a->quantity == EW_QTY_KIND ? "most" : "effect");
    }
    walk(a, see_draw, &p);
    ew_draw_scroll(area, 1, a->tree.top, rows, n);
}

static void tree_title(struct ew_app *a, struct ew_buf *title,
                       struct ew_buf *note)
{
    ew_buf_printf(title, "nodes: %s", ew_quantity_name(a->quantity));
}

static void tree_click(struct ew_app *a, const struct ew_click *c)
{
    if (c->y < 1) {
        return;
    }
    long n;
    long i = a->tree.top + c->y - 1;
    current(a, &n);
    if (i >= n) {
        return;
    }
    bool same = i == a->tree.cur;
    go(a, i);
    struct row row = current(a, &n);
    if (row.kind == ROW_LAYER || (c->again && same)) {
        bool open = row.kind == ROW_LAYER
                        ? ew_bitset_has(a->unfolded, layer_bit(a, row.layer))
                        : ew_bitset_has(a->unfolded, row.node);
        fold(a, row, !open);
    }
}

const struct ew_view_ops ew_view_tree = {
    .name = "nodes",
    .about =
        "Nodes, layer by layer: edges kept into each and out of it, and what "
        "`w` chose: by default the effect of cutting all edges out of it.",
    .keys = {{EW_DO_OPEN, "to the node's edges"},
             {EW_DO_RIGHT, "unfold a head into its q, k and v"},
             {EW_DO_LEFT, "fold, or to the node above"},
             {EW_DO_TOGGLE, "knock the node out, or restore it"}},
    .title = tree_title,
    .draw = tree_draw,
    .act = tree_act,
    .click = tree_click,
};
