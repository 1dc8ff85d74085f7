/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The screen as a grid of cells in memory. Views draw here and nowhere else:
 * term.c shows the grid through curses, tests read it. Colours are semantic
 * roles (theme.h), never numbers.
 *
 * Text that reaches a surface is made safe: control characters and invalid
 * bytes become '?', combining marks stay with their base, a wide character
 * owns two cells, and on an ASCII surface what is not ASCII becomes '?'.
 * Belongs to one thread.
 */
#ifndef EW_TUI_SURFACE_H
#define EW_TUI_SURFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgewise/buf.h"

enum {
    EW_ATTR_BOLD = 1,
    EW_ATTR_DIM = 2,
    EW_ATTR_REVERSE = 4,
    EW_ATTR_UNDERLINE = 8,
};

enum ew_own {
    EW_OWN_NONE,
    EW_OWN_BOTH,
    EW_OWN_FG, /* on the terminal's own background */
};

struct ew_style {
    uint8_t fg; /* enum ew_ink */
    uint8_t bg; /* enum ew_ink; 0 is the terminal's own */
    uint8_t attr;
    uint8_t own; /* enum ew_own: of these colours, 0xrrggbb: of pictures */
    uint32_t fg_rgb, bg_rgb;
};

struct ew_cell {
    char text[14]; /* one cluster, UTF-8, NUL-terminated */
    uint8_t width; /* 1 or 2; 0: right half of a wide one */
    struct ew_style style;
};

struct ew_rect {
    int y, x, rows, cols;
};

struct ew_surface; /* opaque */

struct ew_surface *ew_surface_create(int rows, int cols, bool ascii);
void ew_surface_destroy(struct ew_surface *s); /* NULL is fine */
void ew_surface_resize(struct ew_surface *s, int rows, int cols);
int ew_surface_rows(const struct ew_surface *s);
int ew_surface_cols(const struct ew_surface *s);
bool ew_surface_ascii(const struct ew_surface *s);
void ew_surface_clear(struct ew_surface *s);
const struct ew_cell *ew_surface_at(const struct ew_surface *s, int y, int x);
/* A blinking cursor for a line that is typed; y < 0: none. */
void ew_surface_set_caret(struct ew_surface *s, int y, int x);
void ew_surface_caret(const struct ew_surface *s, int *y, int *x);

/* A rectangle to draw in: positions are relative, everything is clipped. */
struct ew_area {
    struct ew_surface *surface;
    struct ew_rect rect;
};

struct ew_area ew_area_all(struct ew_surface *s);
struct ew_area ew_area_sub(struct ew_area a, int y, int x, int rows, int cols);

/*
 * Write text at (y, x) in at most `cols` columns (-1: up to the edge), cut
 * with an ellipsis when it is longer. Returns the columns used.
 */
int ew_put_n(struct ew_area a, int y, int x, int cols, struct ew_style style,
             const char *text);
int ew_put(struct ew_area a, int y, int x, struct ew_style style,
           const char *text);
int ew_putf(struct ew_area a, int y, int x, struct ew_style style,
            const char *fmt, ...) EW_PRINTF(5, 6);
/* Words in lines of `cols` columns, from y on; returns how many lines. */
int ew_put_words(struct ew_area a, int y, int x, int cols,
                 struct ew_style style, const char *text);
/* Right-aligned in `cols` columns that start at x. */
void ew_put_right(struct ew_area a, int y, int x, int cols,
                  struct ew_style style, const char *text);
/* Blanks with a style; and a style over what is there. */
void ew_fill(struct ew_area a, int y, int x, int rows, int cols,
             struct ew_style style);
void ew_tint(struct ew_area a, int y, int x, int rows, int cols, uint8_t bg);

/* Columns that text takes on a UTF-8 surface. */
int ew_text_cols(const char *text);

/* Glyphs with an ASCII twin. */
enum ew_glyph {
    EW_G_KEPT,
    EW_G_CUT,
    EW_G_HALF,
    EW_G_CURSOR,
    EW_G_OPEN,
    EW_G_CLOSED,
    EW_G_DOT,
    EW_G_ARROW,
    EW_G_LEFT,
    EW_G_UP,
    EW_G_DOWN,
    EW_G_ELLIPSIS,
    EW_G_HLINE,
    EW_G_VLINE,
    EW_G_TL,
    EW_G_TR,
    EW_G_BL,
    EW_G_BR,
    EW_G_TAU,
    EW_G_MARK,
    EW_G_SAME,
    EW_G_BAR_FULL,
    EW_G_BAR_EMPTY,
    EW_G_THUMB,
    EW_G_SEP,
    EW_G_PLUSMINUS,
    EW_G_MINUS,
    EW_N_GLYPHS,
};
const char *ew_glyph(struct ew_area a, enum ew_glyph glyph);
/* Eighths of a block, 0 .. 8, for bars and sparklines. */
const char *ew_block_h(struct ew_area a, int eighths);
const char *ew_block_v(struct ew_area a, int eighths);

/*
 * A frame around the area with a title left and a note right in its top
 * border; returns the inside.
 */
struct ew_area ew_frame(struct ew_area a, bool focused, const char *title,
                        const char *note);

/* The characters, a line each, blanks at line ends removed. */
void ew_surface_text(const struct ew_surface *s, struct ew_buf *out);
/* The same with roles: text, then a second block in which every cell is a
 * letter for its style, then the legend. Under the theme without colour, what
 * is left of the roles. */
void ew_surface_dump(const struct ew_surface *s, struct ew_buf *out);
/* A part of it, with its styles, and what they are without colour. */
void ew_surface_dump_part(const struct ew_surface *s, struct ew_rect part,
                          struct ew_buf *out);

#endif
