/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The present circuit against the groups of a published one: for each node
 * whether it is here, there or in both. A node is here when it still sends
 * something. Enter goes to the node.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

/* A line: a group's heading (node EW_NONE), or a node. The last group, NULL,
 * is of the nodes that are here alone. */
struct line {
    const struct ew_group *group;
    uint32_t node;
};

struct seen {
    uint32_t both, there;
};

static bool is_here(const struct ew_app *a, uint32_t node)
{
    return ew_count_out(a, node) > 0;
}

static struct seen count(const struct ew_app *a, const struct ew_group *group)
{
    struct seen seen = {0};
    for (uint32_t s = 0; s < ew_logits_of(a); s++) {
        if (ew_groups_of(a->groups, s) == group) {
            seen.both += is_here(a, s);
            seen.there += !is_here(a, s);
        }
    }
    return seen;
}

/* Does a node belong under this heading? Embeddings are nobody's finding. */
static bool belongs(const struct ew_app *a, const struct ew_group *group,
                    uint32_t node)
{
    return ew_groups_of(a->groups, node) == group &&
           (group || (is_here(a, node) && ew_node_layer(a, node) >= 0));
}

/* The i-th line; false after the last. */
static bool line_at(const struct ew_app *a, long i, struct line *out)
{
    size_t n = ew_groups_n(a->groups);
    for (size_t g = 0; g <= n; g++) {
        out->group = g < n ? ew_groups_get(a->groups, g) : NULL;
        out->node = EW_NONE;
        if (i-- == 0) {
            return true;
        }
        for (uint32_t s = 0; s < ew_logits_of(a); s++) {
            if (belongs(a, out->group, s) && i-- == 0) {
                out->node = s;
                return true;
            }
        }
    }
    return false;
}

static long n_lines(const struct ew_app *a)
{
    long n = 1;
    for (uint32_t s = 0; s < ew_logits_of(a); s++) {
        n += ew_groups_of(a->groups, s) != NULL || belongs(a, NULL, s);
    }
    return n + (long)ew_groups_n(a->groups);
}

static void draw_heading(struct ew_app *a, struct ew_area area, int y,
                         const struct ew_group *group)
{
    struct seen seen = count(a, group);
    if (!group) {
        ew_put(area, y, 1, ew_style(EW_R_HEADER), "here, and in no group");
        return;
    }
    struct ew_style style = ew_style_bold(ew_group_ink(group));
    int x = 1 + ew_put(area, y, 1, style, ew_glyph(area, EW_G_MARK)) + 1;
    x += ew_put(area, y, x, style, group->name);
    x += ew_putf(area, y, x, ew_style(EW_R_DIM), " %s  ", group->short_name);
    x += ew_putf(area, y, x, ew_style(seen.there ? EW_R_WARN : EW_R_GOOD),
                 "%u of %u here", (unsigned)seen.both,
                 (unsigned)(seen.both + seen.there));
    ew_putf(area, y, x, ew_style(EW_R_FAINT), "  %s", group->note);
}

static void draw_node(struct ew_app *a, struct ew_area area, int y,
                      const struct line *line)
{
    char name[EW_NAME_SIZE];
    char text[EW_FIGURE_SIZE];
    bool here = is_here(a, line->node);
    bool stale;
    double value = ew_node_value(a, line->node, &stale);
    ew_put(area, y, 3, ew_style(here ? EW_R_KEPT : EW_R_CUT),
           ew_glyph(area, here ? EW_G_KEPT : EW_G_CUT));
    ew_put(area, y, 5, ew_style(here ? EW_R_NODE : EW_R_CUT),
           ew_node_name(a, line->node, name));
    ew_put(area, y, 14,
           ew_style(!line->group ? EW_R_MARK
                    : here       ? EW_R_GOOD
                                 : EW_R_WARN),
           !line->group ? "here only"
           : here       ? "both"
                        : "there only");
    uint32_t in, in_all, out, out_all;
    ew_node_counts(a, line->node, EW_CH_ALL, &in, &in_all, &out, &out_all);
    ew_putf(area, y, 26, ew_style(EW_R_DIM), "in %u  out %u", (unsigned)in,
            (unsigned)out);
    if (a->quantity != EW_QTY_KEPT && value == value) {
        int step = ew_ramp_step(value, ew_node_value_full(a));
        ew_put_right(area, y, 42, 8,
                     ew_style(stale ? EW_R_FAINT : ew_ramp_text(step)),
                     ew_figure_signed(text, value));
    }
}

static void groups_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    if (ew_groups_n(a->groups) == 0) {
        ew_put_words(area, 0, 1, area.rect.cols - 2, ew_style(EW_R_DIM),
                     "no groups: ':labels ioi' reads a published circuit's, "
                     "':group NAME' puts the node under the cursor into one");
        return;
    }
    int rows = area.rect.rows - 1;
    long n = n_lines(a);
    ew_list_fit(&a->groups_list, n, rows);
    for (int y = 0; y < rows; y++) {
        struct line line;
        long i = a->groups_list.top + y;
        if (!line_at(a, i, &line)) {
            break;
        }
        if (line.node == EW_NONE) {
            draw_heading(a, area, y, line.group);
        } else {
            draw_node(a, area, y, &line);
        }
        if (focused && i == a->groups_list.cur) {
            ew_tint(area, y, 0, 1, area.rect.cols, EW_R_SELECT_BG);
        }
    }
    ew_draw_scroll(area, 0, a->groups_list.top, rows, n);
    ew_put(area, rows, 1, ew_style(EW_R_FAINT), ew_groups_source(a->groups));
}

static void groups_title(struct ew_app *a, struct ew_buf *title,
                         struct ew_buf *note)
{
    uint32_t both = 0;
    uint32_t there = 0;
    uint32_t here = 0;
    for (uint32_t s = 0; s < ew_logits_of(a) && a->groups; s++) {
        bool labelled = ew_groups_of(a->groups, s) != NULL;
        both += labelled && is_here(a, s);
        there += labelled && !is_here(a, s);
        here += belongs(a, NULL, s);
    }
    ew_buf_add(title, "groups");
    if (a->groups) {
        ew_buf_printf(note, "both %u  there only %u  here only %u",
                      (unsigned)both, (unsigned)there, (unsigned)here);
    }
}

static bool groups_act(struct ew_app *a, enum ew_action action, int rows)
{
    struct line line;
    if (ew_groups_n(a->groups) == 0) {
        return false;
    }
    if (ew_list_act(&a->groups_list, n_lines(a), rows - 1, action)) {
        return true;
    }
    if (action == EW_DO_OPEN && line_at(a, a->groups_list.cur, &line) &&
        line.node != EW_NONE) {
        ew_node_go(a, line.node);
        ew_app_show(a, &ew_view_edges);
        return true;
    }
    return false;
}

const struct ew_view_ops ew_view_groups = {
    .name = "groups",
    .about = "Groups of nodes, as labelled or published, against the circuit: "
             "both, there only (labelled, not in the circuit), here only.",
    .keys = {{EW_DO_OPEN, "to the node's edges"},
             {EW_DO_GROUP, "put the node into a group"},
             {EW_DO_LABELS, "read labels of a published circuit"}},
    .title = groups_title,
    .draw = groups_draw,
    .act = groups_act,
    .list = offsetof(struct ew_app, groups_list),
};
