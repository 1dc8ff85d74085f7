/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thin lines on a cell grid: two by four dots a cell, shown as braille, or as
 * slanted strokes where there is only ASCII. A cell has one colour: that of
 * the last line drawn through it.
 */
#ifndef EW_TUI_CANVAS_H
#define EW_TUI_CANVAS_H

#include "theme.h"

struct ew_canvas; /* opaque */

struct ew_canvas *ew_canvas_create(int rows, int cols);
void ew_canvas_destroy(struct ew_canvas *c);
/*
 * A curve from the middle of cell (y0, x0) to that of (y1, x1), leaving and
 * arriving upright. Positions outside are clipped.
 */
void ew_canvas_curve(struct ew_canvas *c, int y0, int x0, int y1, int x1,
                     enum ew_ink ink);
void ew_canvas_show(const struct ew_canvas *c, struct ew_area area);

#endif
