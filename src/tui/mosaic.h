/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures on a terminal: as cells of block characters, which every terminal
 * and every test can show, or as pixels by the protocols of kitty and sixel,
 * where chafa was built in and knows the terminal to take them.
 */
#ifndef EW_TUI_MOSAIC_H
#define EW_TUI_MOSAIC_H

#include "edgewise/buf.h"

#include "raster.h"
#include "surface.h"

enum ew_pixels { EW_PIXELS_NONE, EW_PIXELS_SIXEL, EW_PIXELS_KITTY };

/* Fill the area with the window; `plain`: half blocks, not chafa's choice. */
void ew_mosaic_draw(struct ew_area area, const struct ew_raster *picture,
                    struct ew_look *look, bool plain);

/* What the terminal of the environment takes. */
enum ew_pixels ew_pixels_detect(void);
/* The bytes that show the window in rows x cols such cells from the cursor
 * on. */
void ew_pixels_print(struct ew_buf *out, enum ew_pixels how,
                     const struct ew_raster *picture, struct ew_look *look,
                     int rows, int cols, struct ew_cell_size cell);
/* Those that take all of kitty's pictures away; none for sixel. */
const char *ew_pixels_clear(enum ew_pixels how);

#endif
