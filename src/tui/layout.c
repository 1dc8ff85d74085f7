/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three shapes: narrow (nodes left, edges over the view right), medium (the
 * second view under the nodes), wide (three columns).
 */
#include "layout.h"

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

static void narrow(struct ew_layout *l, int top, int rows, int cols,
                   const struct ew_layout_options *o)
{
    int left = clamp(o->nodes_cols, 24, cols * 45 / 100);
    int edges = rows * 11 / 20;
    l->pane[EW_PANE_NODES] = (struct ew_rect){top, 0, rows, left};
    l->pane[EW_PANE_EDGES] = (struct ew_rect){top, left, edges, cols - left};
    l->pane[EW_PANE_VIEW] =
        (struct ew_rect){top + edges, left, rows - edges, cols - left};
}

static void medium(struct ew_layout *l, int top, int rows, int cols,
                   const struct ew_layout_options *o)
{
    int left = clamp(o->nodes_cols, 38, cols * 42 / 100);
    int nodes = clamp(o->nodes_rows, rows / 2, rows - 12);
    int edges = clamp(rows * 9 / 20, 8, 24);
    l->pane[EW_PANE_NODES] = (struct ew_rect){top, 0, nodes, left};
    l->pane[EW_PANE_VIEW2] =
        (struct ew_rect){top + nodes, 0, rows - nodes, left};
    l->pane[EW_PANE_EDGES] = (struct ew_rect){top, left, edges, cols - left};
    l->pane[EW_PANE_VIEW] =
        (struct ew_rect){top + edges, left, rows - edges, cols - left};
}

static void wide(struct ew_layout *l, int top, int rows, int cols,
                 const struct ew_layout_options *o)
{
    int left = clamp(o->nodes_cols, 42, cols * 30 / 100);
    int nodes = clamp(o->nodes_rows, rows * 2 / 5, rows - 14);
    int middle = clamp(cols * 32 / 100, 52, 72);
    int right = cols - left - middle;
    l->pane[EW_PANE_NODES] = (struct ew_rect){top, 0, nodes, left};
    l->pane[EW_PANE_VIEW2] =
        (struct ew_rect){top + nodes, 0, rows - nodes, left};
    l->pane[EW_PANE_EDGES] = (struct ew_rect){top, left, rows, middle};
    l->pane[EW_PANE_VIEW] = (struct ew_rect){top, left + middle, rows, right};
}

struct ew_layout ew_layout_make(int rows, int cols,
                                const struct ew_layout_options *o)
{
    struct ew_layout l = {0};
    if (rows < EW_MIN_ROWS || cols < EW_MIN_COLS) {
        l.too_small = true;
        return l;
    }
    int body = rows - 4;
    l.badge = (struct ew_rect){0, 0, 1, cols};
    l.status = (struct ew_rect){rows - 3, 0, 2, cols};
    l.footer = (struct ew_rect){rows - 1, 0, 1, cols};
    if (o->zoomed) {
        l.pane[o->zoomed_pane] = (struct ew_rect){1, 0, body, cols};
    } else if (cols >= 160 && rows >= 34) {
        wide(&l, 1, body, cols, o);
    } else if (cols >= 100 && rows >= 34) {
        medium(&l, 1, body, cols, o);
    } else {
        narrow(&l, 1, body, cols, o);
    }
    return l;
}
