/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything is, from the size of the terminal alone: no state, no
 * drawing. Rows from the top: the definition badge, the panes, two status
 * lines, the footer.
 */
#ifndef EW_TUI_LAYOUT_H
#define EW_TUI_LAYOUT_H

#include <stdbool.h>

#include "surface.h"

enum { EW_MIN_ROWS = 17, EW_MIN_COLS = 60 };

enum ew_pane {
    EW_PANE_NODES,
    EW_PANE_EDGES,
    EW_PANE_VIEW,  /* any view; the third pane */
    EW_PANE_VIEW2, /* any view; on large terminals */
    EW_N_PANES,
};

struct ew_layout_options {
    int nodes_cols; /* columns the node list would like, borders included */
    int nodes_rows; /* rows it would like */
    bool zoomed;
    enum ew_pane zoomed_pane;
};

struct ew_layout {
    bool too_small;
    struct ew_rect badge;
    struct ew_rect pane[EW_N_PANES]; /* rows == 0: not shown */
    struct ew_rect status;           /* two rows */
    struct ew_rect footer;
};

struct ew_layout ew_layout_make(int rows, int cols,
                                const struct ew_layout_options *options);

#endif
