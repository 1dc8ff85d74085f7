/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Colours as numbers: of xterm's palette (0 to 255), or red, green and blue.
 */
#ifndef EW_TUI_PALETTE_H
#define EW_TUI_PALETTE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    EW_RGB = 1 << 24,       /* set in a colour that is 0xrrggbb */
    EW_COLORS_RGB = 1 << 24 /* terminals with that many take these */
};

/* 0xrrggbb of a palette colour (16 to 255 are the same everywhere). */
uint32_t ew_palette_rgb(int color);
/* The colour of the first `n_colors` (8, 16, 256) nearest to 0xrrggbb. */
int ew_palette_nearest(uint32_t rgb, int n_colors);
/* "#rrggbb", "0" to "255", or "default" (-1). False for anything else. */
bool ew_color_parse(const char *text, int32_t *out);

#endif
