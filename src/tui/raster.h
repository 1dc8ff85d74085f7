/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures as pixels: red, green, blue, opacity, a byte each. */
#ifndef EW_TUI_RASTER_H
#define EW_TUI_RASTER_H

#include <stddef.h>
#include <stdint.h>

#include "edgewise/err.h"

struct ew_raster {
    int w, h;
    uint8_t *rgba; /* (h, w, 4) owned; NULL: none */
};

/* A terminal cell's pixels. */
struct ew_cell_size {
    int w, h;
};

/* EW_ERR_BACKEND for what is no PNG, and where libpng was not built in. */
EW_MUST_CHECK bool ew_raster_from_png(struct ew_raster *out, const void *png,
                                      size_t size, struct ew_err *err);
void ew_raster_finish(struct ew_raster *r);

/* Where one looks: the middle as a share of width and height, and how much
 * nearer than the whole picture. */
struct ew_look {
    double x, y, zoom; /* zoom >= 1 */
};

/*
 * What is seen through a window of w x h pixels (each the mean of those it
 * covers); transparent where the picture ends. The caller finishes it. Moves
 * `look` so that the window is not beside the picture.
 */
struct ew_raster ew_raster_window(const struct ew_raster *r,
                                  struct ew_look *look, int w, int h);

#endif
