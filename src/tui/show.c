/* SPDX-License-Identifier: Apache-2.0 */
/* A screen without a terminal, as text or as an SVG picture. */
#include <stdio.h>
#include <string.h>

#include "edgewise/tui.h"

#include "headless.h"
#include "palette.h"
#include "theme.h"

enum { CELL_W = 8, CELL_H = 17, MARGIN = 8 };

/* 0xrrggbb of a terminal that takes such. */
static unsigned rgb_of(int color)
{
    return (unsigned)color & 0xffffff;
}

static unsigned ground(void)
{
    return ew_theme() == EW_THEME_LIGHT ? 0xffffff : 0x16181d;
}

struct look {
    unsigned fg, bg;
    bool has_bg, bold, underline;
};

/* Without colour a style is what its attributes make of it. */
static struct ew_style without_color(struct ew_style style)
{
    uint8_t attr = ew_style_mono(style);
    return (struct ew_style){.fg = attr & EW_ATTR_DIM ? EW_R_DIM : EW_R_NORMAL,
                             .attr = attr};
}

static struct look look_of(struct ew_style style)
{
    if (style.own) {
        return (struct look){.fg = style.fg_rgb,
                             .bg = style.bg_rgb,
                             .has_bg = style.own == EW_OWN_BOTH};
    }
    if (ew_theme() == EW_THEME_MONO) {
        style = without_color(style);
    }
    int fg = ew_ink_color((enum ew_ink)style.fg, EW_COLORS_RGB);
    int bg = ew_ink_color((enum ew_ink)style.bg, EW_COLORS_RGB);
    bool light = ew_theme() == EW_THEME_LIGHT;
    struct look look = {
        .fg = fg < 0 ? (light ? 0x202020 : 0xd4d7dd) : rgb_of(fg),
        .bg = bg < 0 ? ground() : rgb_of(bg),
        .has_bg = bg >= 0,
        .bold = style.attr & EW_ATTR_BOLD,
        .underline = style.attr & EW_ATTR_UNDERLINE,
    };
    if (style.attr & EW_ATTR_REVERSE) {
        unsigned swap = look.fg;
        look.fg = look.bg;
        look.bg = swap;
        look.has_bg = true;
    }
    return look;
}

static void put_text(struct ew_buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("<>&", *text)) {
            ew_buf_printf(out, "&#%d;", *text);
        } else {
            ew_buf_putc(out, *text);
        }
    }
}

static bool same_style(const struct ew_cell *a, const struct ew_cell *b)
{
    return memcmp(&a->style, &b->style, sizeof(a->style)) == 0;
}

static bool is_blank(const struct ew_cell *cell)
{
    return cell->width != 0 && (!*cell->text || strcmp(cell->text, " ") == 0);
}

/* Cells of one style from x on; the column after them. */
static int put_run(struct ew_buf *out, const struct ew_surface *s, int y, int x)
{
    const struct ew_cell *first = ew_surface_at(s, y, x);
    int end = x;
    while (end < ew_surface_cols(s) &&
           same_style(first, ew_surface_at(s, y, end))) {
        end++;
    }
    struct look look = look_of(first->style);
    int left = MARGIN + x * CELL_W;
    int top = MARGIN + y * CELL_H;
    if (look.has_bg) {
        ew_buf_printf(out,
                      "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
                      "fill=\"#%06x\"/>\n",
                      left, top, (end - x) * CELL_W, CELL_H, look.bg);
    }
    /* browsers drop blanks at the ends, and several in a row, whatever is said
     * of white space, and then draw the rest out to the length */
    int last = end;
    while (x < last && is_blank(ew_surface_at(s, y, x))) {
        x++;
    }
    while (x < last && is_blank(ew_surface_at(s, y, last - 1))) {
        last--;
    }
    if (x == last) {
        return end;
    }
    left = MARGIN + x * CELL_W;
    ew_buf_printf(out,
                  "<text x=\"%d\" y=\"%d\" textLength=\"%d\" "
                  "fill=\"#%06x\"%s%s>",
                  left, top + CELL_H - 4, (last - x) * CELL_W, look.fg,
                  look.bold ? " font-weight=\"bold\"" : "",
                  look.underline ? " text-decoration=\"underline\"" : "");
    for (int i = x; i < last; i++) {
        const struct ew_cell *cell = ew_surface_at(s, y, i);
        put_text(out, is_blank(cell)     ? "\u00a0"
                      : cell->width == 0 ? ""
                                         : cell->text);
    }
    ew_buf_add(out, "</text>\n");
    return end;
}

static void put_svg(struct ew_buf *out, const struct ew_surface *s)
{
    int width = ew_surface_cols(s) * CELL_W + 2 * MARGIN;
    int height = ew_surface_rows(s) * CELL_H + 2 * MARGIN;
    ew_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
                  "height=\"%d\" viewBox=\"0 0 %d %d\" "
                  "font-family=\"DejaVu Sans Mono,Menlo,Consolas,monospace\" "
                  "font-size=\"13\" xml:space=\"preserve\" "
                  "style=\"white-space:pre\">\n"
                  "<rect width=\"%d\" height=\"%d\" rx=\"6\" "
                  "fill=\"#%06x\"/>\n",
                  width, height, width, height, width, height, ground());
    for (int y = 0; y < ew_surface_rows(s); y++) {
        for (int x = 0; x < ew_surface_cols(s);) {
            x = put_run(out, s, y, x);
        }
    }
    ew_buf_add(out, "</svg>\n");
}

bool ew_tui_show(const struct ew_tui_params *params, const char *keys, int rows,
                 int cols, bool svg, struct ew_buf *out, struct ew_err *err)
{
    struct ew_headless *h = ew_headless_create(params, NULL, rows, cols, err);
    if (!h) {
        return false;
    }
    const struct ew_app *a = ew_headless_app(h);
    bool ok = a->load == EW_LOADED;
    if (!ok) {
        *err = a->load_err;
    } else {
        ew_headless_keys(h, keys);
        if (svg) {
            put_svg(out, ew_headless_screen(h));
        } else {
            ew_surface_text(ew_headless_screen(h), out);
        }
    }
    ew_headless_destroy(h);
    return ok;
}
