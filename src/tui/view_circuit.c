/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The circuit drawn with text: logits on top, a row of heads (and the MLP)
 * per layer, the embedding below. Kept edges of the node under the cursor are
 * lines coloured by effect; when few edges are left, all of them are drawn,
 * the others faint. Taller panes get taller gaps; lower ones scroll. A folded
 * group is one box between the layers, in the middle of where its nodes are;
 * where there is no room for lines its nodes show its name instead.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "app.h"
#include "canvas.h"
#include "theme.h"

/* A group that is folded. */
struct box {
    const struct ew_group *group; /* NULL: it is not */
    int n;                        /* nodes */
    int y, x;                     /* of its middle */
    int cols;
    bool alive; /* a node has an edge out */
};

struct plan {
    int levels;  /* embedding, layers, logits */
    int columns; /* heads and MLP */
    int cell;    /* columns of a node */
    int pitch;   /* rows from one level to the next */
    int left;    /* of the first cell */
    int shift;   /* rows scrolled */
    int rows, cols;
    double full;       /* of the node values */
    bool compact;      /* no room for lines: the linked nodes are coloured */
    bool gutter;       /* layer numbers at the left */
    float *links;      /* when compact: by node */
    struct box *boxes; /* by group; owned by the drawing, NULL: none folded */
    size_t n_boxes;
};

static int level_of(const struct ew_app *a, uint32_t node)
{
    return ew_node_layer(a, node) + 1;
}

static struct plan make_plan(const struct ew_app *a, int rows, int cols)
{
    const struct ew_graph_spec *spec = ew_graph_spec(a->graph);
    struct plan p = {
        .levels = spec->n_layers + 2,
        .columns = spec->n_heads + (spec->has_mlp ? 1 : 0),
        .rows = rows,
        .cols = cols,
        .full = ew_node_value_full(a),
    };
    p.gutter = cols / p.columns < 7;
    p.cell = (cols - (p.gutter ? 4 : 0)) / p.columns;
    p.cell = p.cell < 1 ? 1 : p.cell > 14 ? 14 : p.cell;
    p.left = (cols - p.cell * p.columns) / 2;
    p.left = p.gutter ? 4 : p.left < 0 ? 0 : p.left;
    p.pitch = p.levels > 1 ? (rows - 1) / (p.levels - 1) : 1;
    p.pitch = p.pitch < 1 ? 1 : p.pitch > 16 ? 16 : p.pitch;
    p.compact = p.pitch < 2;
    int height = (p.levels - 1) * p.pitch + 1;
    int at = (p.levels - 1 - level_of(a, a->node)) * p.pitch;
    if (height > rows) { /* keep the cursor's level in the middle */
        p.shift = at - rows / 2;
        p.shift = p.shift < 0               ? 0
                  : p.shift > height - rows ? height - rows
                                            : p.shift;
    } else {
        p.shift = -(rows - height) / 2;
    }
    return p;
}

static int row_of(const struct plan *p, int level)
{
    return (p->levels - 1 - level) * p->pitch - p->shift;
}

/* The middle column of a node. */
static int col_of(const struct ew_app *a, const struct plan *p, uint32_t node)
{
    int middle = p->left + p->cell * p->columns / 2;
    if (node == ew_logits_of(a)) {
        return middle;
    }
    struct ew_node n = ew_graph_sender(a->graph, node);
    switch (n.kind) {
    case EW_NODE_HEAD:
        return p->left + n.head * p->cell + p->cell / 2;
    case EW_NODE_MLP:
        return p->left + (p->columns - 1) * p->cell + p->cell / 2;
    case EW_NODE_TOK:
        return middle - 6;
    case EW_NODE_POS:
        return middle + 6;
    default:
        return middle;
    }
}

/* ---- folded groups ---- */

static bool is_folded(const struct ew_app *a, uint32_t node)
{
    return node != ew_logits_of(a) && ew_bitset_has(a->folded, node) &&
           ew_node_group(a, node);
}

static const struct box *box_of(const struct ew_app *a, const struct plan *p,
                                uint32_t node)
{
    if (!p->boxes || !is_folded(a, node)) {
        return NULL;
    }
    const struct ew_group *group = ew_node_group(a, node);
    for (size_t i = 0; i < p->n_boxes; i++) {
        if (p->boxes[i].group == group) {
            return &p->boxes[i];
        }
    }
    return NULL;
}

/* Down, then up again, until the box touches none before it. */
static void push_apart(const struct plan *p, size_t i)
{
    struct box *box = &p->boxes[i];
    for (int tries = 0; tries < p->rows; tries++) {
        bool clear = true;
        for (size_t j = 0; j < i; j++) {
            const struct box *other = &p->boxes[j];
            clear &= !other->group || other->y != box->y ||
                     abs(other->x - box->x) > (other->cols + box->cols) / 2 + 1;
        }
        if (clear) {
            return;
        }
        box->y += p->pitch;
        if (box->y >= p->rows) {
            box->y -= p->rows / p->pitch * p->pitch;
        }
    }
}

/* The middle of a group's nodes, in the gap below their layer. */
static void make_boxes(const struct ew_app *a, struct plan *p)
{
    size_t n = ew_groups_n(a->groups);
    if (p->compact || n == 0) {
        return;
    }
    p->boxes = ew_xcalloc(n, sizeof(*p->boxes));
    p->n_boxes = n;
    for (size_t i = 0; i < n; i++) {
        struct box *box = &p->boxes[i];
        const struct ew_group *group = ew_groups_get(a->groups, i);
        int levels = 0;
        for (uint32_t s = 0; s < ew_logits_of(a); s++) {
            if (is_folded(a, s) && ew_node_group(a, s) == group) {
                box->n++;
                box->x += col_of(a, p, s);
                levels += level_of(a, s);
                box->alive |= ew_count_out(a, s) > 0;
            }
        }
        if (box->n > 0) {
            box->group = group;
            box->x /= box->n;
            box->y = row_of(p, levels / box->n) + p->pitch / 2;
            box->cols = ew_text_cols(group->name) + 5;
            int half = box->cols / 2 + 1;
            box->x = box->x < half             ? half
                     : box->x > p->cols - half ? p->cols - half
                                               : box->x;
            push_apart(p, i);
        }
    }
}

static void draw_box(const struct ew_app *a, struct ew_area area,
                     const struct box *box)
{
    const struct ew_group *here = ew_node_group(a, a->node);
    struct ew_style style =
        ew_style_bold(box->alive ? ew_group_ink(box->group) : EW_R_FAINT);
    if (here == box->group && is_folded(a, a->node)) {
        style = (struct ew_style){.fg = EW_R_NAME,
                                  .attr = EW_ATTR_BOLD | EW_ATTR_REVERSE};
    }
    int x = box->x - box->cols / 2;
    ew_fill(area, box->y, x - 1, 1, box->cols + 2, ew_style(EW_R_NORMAL));
    ew_putf(area, box->y, x, style, "[%s %d]", box->group->name, box->n);
}

static void fold_group(struct ew_app *a, const struct ew_group *group,
                       bool fold)
{
    for (uint32_t s = 0; s < ew_logits_of(a); s++) {
        const struct ew_group *is = ew_node_group(a, s);
        if (is && (!group || is == group)) {
            ew_bitset_put(a->folded, s, fold);
        }
    }
}

/* The action is known here; what it does, if the node is in a group. */
static bool fold(struct ew_app *a, enum ew_action action)
{
    const struct ew_group *group = ew_node_group(a, a->node);
    bool all = action == EW_DO_UNFOLD_ALL;
    if (ew_groups_n(a->groups) == 0) {
        ew_notice(a, false, "there are no groups: # makes one, L reads some");
    } else if (!all && !group) {
        ew_notice(a, false, "the node is in no group: * folds all of them");
    } else if (all) {
        bool any = false;
        for (uint32_t s = 0; s < ew_logits_of(a); s++) {
            any |= is_folded(a, s);
        }
        fold_group(a, NULL, !any);
    } else {
        fold_group(a, group, action == EW_DO_FOLD);
    }
    return true;
}

/* ---- edges ---- */

/* Where lines of a node begin and end. */
static void spot_of(const struct ew_app *a, const struct plan *p, uint32_t node,
                    int *y, int *x)
{
    const struct box *box = box_of(a, p, node);
    *y = box ? box->y : row_of(p, level_of(a, node));
    *x = box ? box->x : col_of(a, p, node);
}

/* q, k and v arrive at the left, middle and right of a head. */
static int port_of(const struct ew_app *a, const struct plan *p,
                   uint32_t receiver)
{
    uint32_t node = ew_graph_feeds(a->graph, receiver);
    int x = col_of(a, p, node == EW_NONE ? ew_logits_of(a) : node);
    int spread = p->cell >= 8 ? 2 : p->cell >= 4 ? 1 : 0;
    switch (ew_graph_receiver(a->graph, receiver).kind) {
    case EW_NODE_Q:
        return x - spread;
    case EW_NODE_V:
        return x + spread;
    default:
        return x;
    }
}

static void draw_edge(const struct ew_app *a, const struct plan *p,
                      struct ew_canvas *canvas, uint32_t edge, enum ew_ink ink)
{
    uint32_t sender = ew_edge_sender(a->graph, edge);
    uint32_t receiver = ew_edge_receiver(a->graph, edge);
    if (sender == EW_NONE) {
        return;
    }
    uint32_t node = ew_graph_feeds(a->graph, receiver);
    int y0, x0, y1, x1;
    node = node == EW_NONE ? ew_logits_of(a) : node;
    const struct box *box = box_of(a, p, node);
    if (box && box == box_of(a, p, sender)) {
        return; /* inside a box */
    }
    spot_of(a, p, sender, &y0, &x0);
    spot_of(a, p, node, &y1, &x1);
    if (!box) {
        y1 += ew_node_is_head(a, node) && p->pitch >= 4;
        x1 = port_of(a, p, receiver);
    }
    ew_canvas_curve(canvas, y0, x0, y1, x1, ink);
}

static enum ew_ink edge_ink(const struct ew_app *a, uint32_t edge)
{
    struct ew_known_edge known;
    bool stale;
    if (!ew_edge_known(a, edge, &known, &stale)) {
        return EW_R_DIM;
    }
    int step = ew_ramp_step((double)known.effect, a->rows_full);
    return step == 0 ? EW_R_FAINT : ew_ramp_text(step);
}

/* Rows of the table that are drawn: a graph's are too many, the first of them
 * are the ones that were sorted to the top. */
static size_t n_drawn(const struct ew_app *a)
{
    enum { MOST = 400 };
    return a->all && a->n_rows > MOST ? MOST : a->n_rows;
}

/* Weak lines first, so that strong ones lie on top. */
static void draw_edges(struct ew_app *a, const struct plan *p,
                       struct ew_canvas *canvas)
{
    const struct ew_bitset *kept = ew_circuit_kept(a->circuit);
    uint32_t n = ew_graph_n_addition(a->graph);
    size_t few = (size_t)(p->rows * p->cols) / 24;
    few = few > 400 ? 400 : few;
    if (p->pitch > 1 && ew_bitset_count_range(kept, 0, n) <= few) {
        for (size_t e = ew_bitset_next(kept, 0); e < n;
             e = ew_bitset_next(kept, e + 1)) {
            draw_edge(a, p, canvas, (uint32_t)e, EW_R_FAINT);
        }
    }
    for (int step = 0; step <= 4; step++) {
        for (size_t i = n_drawn(a); i-- > 0;) {
            uint32_t edge = a->rows[i];
            enum ew_ink ink = edge_ink(a, edge);
            int size =
                abs(ew_ramp_step((double)a->edges[edge].effect, a->rows_full));
            if (size == step && ew_edge_kept(a, edge)) {
                draw_edge(a, p, canvas, edge, ink);
            }
        }
    }
    uint32_t edge = ew_rows_edge(a);
    if (edge != EW_NONE && ew_edge_kept(a, edge) && ew_pane_on(a, &ew_view_edges)) {
        draw_edge(a, p, canvas, edge, EW_R_NAME);
    }
}

static void draw_ports(struct ew_app *a, struct ew_area area,
                       const struct plan *p, uint32_t node, int y)
{
    static const char *const letters[] = {"q", "k", "v"};
    static const enum ew_ink inks[] = {EW_R_Q, EW_R_K, EW_R_V};
    uint32_t first, n;
    ew_graph_inputs_of(a->graph, node, &first, &n);
    for (uint32_t i = 0; n == 3 && i < 3; i++) {
        bool used = ew_count_in(a, first + i) > 0;
        ew_put(area, y, port_of(a, p, first + i),
               ew_style(used ? inks[i] : EW_R_FAINT),
               used ? letters[i] : ew_glyph(area, EW_G_DOT));
    }
}

static void node_label(const struct ew_app *a, const struct plan *p,
                       uint32_t node, bool alive, struct ew_area area,
                       char out[EW_NAME_SIZE])
{
    ew_node_name(a, node, out);
    if (p->compact && is_folded(a, node)) {
        snprintf(out, EW_NAME_SIZE, "%.*s", p->cell > 2 ? p->cell - 1 : p->cell,
                 ew_node_group(a, node)->short_name);
        return;
    }
    if (ew_node_layer(a, node) < 0 || node == ew_logits_of(a) || !p->gutter) {
        return;
    }
    char *head = strchr(out, '.');
    if (p->cell >= 3) { /* a9.h12 -> 12, m9 -> m: the gutter has the 9 */
        snprintf(out, EW_NAME_SIZE, "%d",
                 head ? ew_graph_sender(a->graph, node).head : 0);
        if (!head) {
            strcpy(out, "m");
        }
    } else {
        snprintf(out, EW_NAME_SIZE, "%s",
                 ew_glyph(area, alive ? EW_G_KEPT : EW_G_DOT));
    }
}

/* Where there are no lines: the strongest kept edge between each node and
 * the one under the cursor, NaN without one; free() it. */
static float *find_links(const struct ew_app *a)
{
    uint32_t n = ew_logits_of(a) + 1;
    float *links = ew_xcalloc(n, sizeof(*links));
    for (uint32_t i = 0; i < n; i++) {
        links[i] = NAN;
    }
    for (size_t i = 0; i < n_drawn(a); i++) {
        uint32_t edge = a->rows[i];
        uint32_t feeds =
            ew_graph_feeds(a->graph, ew_edge_receiver(a->graph, edge));
        if (a->all && (feeds == EW_NONE ? ew_logits_of(a) : feeds) != a->node) {
            continue;
        }
        uint32_t end = !a->out || a->all  ? ew_edge_sender(a->graph, edge)
                       : feeds == EW_NONE ? ew_logits_of(a)
                                          : feeds;
        float effect = a->edges[edge].effect;
        if (end != EW_NONE && ew_edge_kept(a, edge) &&
            !(fabsf(effect) < fabsf(links[end]))) {
            links[end] = effect;
        }
    }
    return links;
}

static struct ew_style link_style(const struct ew_app *a, float link)
{
    int step = ew_ramp_step((double)link, a->rows_full);
    struct ew_style style = ew_style(isnan(link) ? EW_R_FAINT
                                     : step != 0 ? ew_ramp_text(step)
                                                 : EW_R_DIM);
    style.attr = step != 0 ? EW_ATTR_BOLD : 0;
    return style;
}

static void draw_gutter(struct ew_app *a, struct ew_area area,
                        const struct plan *p)
{
    for (int layer = 0; p->gutter && layer < p->levels - 2; layer++) {
        char text[12];
        bool here = layer == ew_node_layer(a, a->node);
        snprintf(text, sizeof(text), "%d", layer);
        ew_put_right(area, row_of(p, layer + 1), 0, 3,
                     ew_style(here ? EW_R_NAME : EW_R_FAINT), text);
    }
}

static void draw_node(struct ew_app *a, struct ew_area area,
                      const struct plan *p, uint32_t node)
{
    char label[EW_NAME_SIZE];
    uint32_t in, in_all, out, out_all;
    ew_node_counts(a, node, EW_CH_ALL, &in, &in_all, &out, &out_all);
    bool alive = out_all == 0 || out > 0;
    bool stale;
    double value = ew_node_value(a, node, &stale);
    int step = a->quantity == EW_QTY_KEPT ? 0 : ew_ramp_step(value, p->full);
    node_label(a, p, node, alive, area, label);
    struct ew_style style = ew_style(!alive      ? EW_R_FAINT
                                     : step != 0 ? ew_ramp_text(step)
                                                 : EW_R_NODE);
    style.attr = alive && step != 0 ? EW_ATTR_BOLD : 0;
    if (p->compact) {
        style = link_style(a, p->links[node]);
        if (isnan(p->links[node]) && is_folded(a, node)) {
            style = ew_style(ew_group_ink(ew_node_group(a, node)));
        }
    }
    if (node == a->node) {
        style = (struct ew_style){.fg = EW_R_NAME,
                                  .attr = EW_ATTR_BOLD | EW_ATTR_REVERSE};
    }
    int y = row_of(p, level_of(a, node));
    int x = col_of(a, p, node) - ew_text_cols(label) / 2;
    if (y < 0 || y >= p->rows) {
        return;
    }
    if (p->cell > ew_text_cols(label) + 1) { /* no line touches it */
        ew_put(area, y, x - 1, ew_style(EW_R_NORMAL), " ");
        ew_put(area, y, x + ew_text_cols(label), ew_style(EW_R_NORMAL), " ");
    }
    ew_put(area, y, x, style, label);
    if (p->pitch >= 4 && ew_node_is_head(a, node)) {
        draw_ports(a, area, p, node, y + 1);
    }
}

static void circuit_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    struct plan p = make_plan(a, area.rect.rows, area.rect.cols);
    make_boxes(a, &p);
    if (!p.compact) {
        struct ew_canvas *canvas = ew_canvas_create(p.rows, p.cols);
        draw_edges(a, &p, canvas);
        ew_canvas_show(canvas, area);
        ew_canvas_destroy(canvas);
    }
    draw_gutter(a, area, &p);
    p.links = p.compact ? find_links(a) : NULL;
    for (uint32_t node = 0; node <= ew_logits_of(a); node++) {
        if (box_of(a, &p, node)) {
            ew_put(area, row_of(&p, level_of(a, node)), col_of(a, &p, node),
                   ew_style(ew_group_ink(ew_node_group(a, node))),
                   ew_glyph(area, EW_G_DOT));
        } else {
            draw_node(a, area, &p, node);
        }
    }
    for (size_t i = 0; i < p.n_boxes; i++) {
        if (p.boxes[i].group) {
            draw_box(a, area, &p.boxes[i]);
        }
    }
    free(p.boxes);
    free(p.links);
}

static void circuit_title(struct ew_app *a, struct ew_buf *title,
                          struct ew_buf *note)
{
    char name[EW_NAME_SIZE];
    ew_buf_printf(title, "circuit around %s", ew_node_name(a, a->node, name));
    if (a->all) {
        ew_buf_printf(note, "first %zu of all edges", n_drawn(a));
    } else {
        ew_buf_add(note, a->out ? "edges out" : "edges in");
    }
}

/* The picture is a map too. */
static bool circuit_act(struct ew_app *a, enum ew_action action, int rows)
{
    switch (action) {
    case EW_DO_OPEN:
        return false;
    case EW_DO_FOLD:
    case EW_DO_UNFOLD:
    case EW_DO_UNFOLD_ALL:
        return fold(a, action);
    default:
        break;
    }
    return ew_view_map.act(a, action, rows);
}

static void circuit_click(struct ew_app *a, const struct ew_click *c)
{
    struct plan p = make_plan(a, c->rows, c->cols);
    for (uint32_t node = 0; node <= ew_logits_of(a); node++) {
        int dy = c->y - row_of(&p, level_of(a, node));
        int dx = c->x - col_of(a, &p, node);
        if ((dy == 0 || dy == 1) && abs(dx) <= p.cell / 2) {
            ew_node_go(a, node);
            return;
        }
    }
}

const struct ew_view_ops ew_view_circuit = {
    .name = "circuit",
    .about =
        "Kept edges as lines: those of the table in the colour of their "
        "effect. The letters under a head are its inputs with an edge left.",
    .keys = {{EW_DO_OPEN, "to the node's edges"},
             {EW_DO_FOLD, "the node's group into one box"},
             {EW_DO_UNFOLD, "the box into its nodes"},
             {EW_DO_UNFOLD_ALL, "all groups"}},
    .title = circuit_title,
    .draw = circuit_draw,
    .act = circuit_act,
    .click = circuit_click,
};
