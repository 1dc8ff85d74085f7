/* SPDX-License-Identifier: Apache-2.0 */
/* Cells by chafa's symbols or by half blocks; pixels by chafa. */
#include "mosaic.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "palette.h"
#include "theme.h"

#if EW_HAVE_CHAFA
#include <chafa.h>
#endif

static uint32_t rgb_at(const struct ew_raster *r, int x, int y, bool *seen)
{
    const uint8_t *p = r->rgba + ((size_t)y * (size_t)r->w + (size_t)x) * 4;
    *seen = p[3] >= 128;
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static int at_most_255(int value)
{
    return value > 255 ? 255 : value;
}

/*
 * A window made for blocks: lines that are thinner than a block have paled to
 * a mean with the paper, so ink is made stronger; and where the terminal is
 * dark, light and dark change places, colours staying what they are, so that
 * the picture is no white sheet there.
 */
static void adapt(struct ew_raster *w)
{
    enum { STRONGER = 2 };
    bool dark = ew_theme() != EW_THEME_LIGHT && ew_theme() != EW_THEME_MONO;
    for (size_t i = 0; i < (size_t)w->w * (size_t)w->h; i++) {
        uint8_t *p = w->rgba + i * 4;
        int low = 255, high = 0;
        int c[3];
        for (int k = 0; k < 3; k++) {
            c[k] = 255 - at_most_255((255 - p[k]) * STRONGER);
            low = c[k] < low ? c[k] : low;
            high = c[k] > high ? c[k] : high;
        }
        for (int k = 0; k < 3; k++) {
            p[k] = (uint8_t)(dark ? 255 - low - high + c[k] : c[k]);
        }
    }
}

/* How dark, 0 to 255. */
static int ink_of(uint32_t rgb)
{
    return 255 -
           (int)((rgb >> 16 & 255) * 3 + (rgb >> 8 & 255) * 6 + (rgb & 255)) /
               10;
}

/* The terminal's own background will do. */
static bool is_paper(uint32_t rgb)
{
    int ink = ink_of(rgb);
    return ew_theme() == EW_THEME_LIGHT ? ink < 8 : ink > 247;
}

static struct ew_style rgb_style(uint32_t fg, uint32_t bg)
{
    return is_paper(bg) ? (struct ew_style){.own = EW_OWN_FG, .fg_rgb = fg}
                        : (struct ew_style){
                              .own = EW_OWN_BOTH, .fg_rgb = fg, .bg_rgb = bg};
}

/* Two colours, one over the other. */
static void put_halves(struct ew_area area, int y, int x, uint32_t top,
                       uint32_t bottom)
{
    if (is_paper(top) && is_paper(bottom)) {
        return;
    }
    if (is_paper(top)) {
        ew_put(area, y, x, rgb_style(bottom, top), "▄");
    } else {
        ew_put(area, y, x, rgb_style(top, bottom), "▀");
    }
}

/* Without colour, or without UTF-8: a character as dense as it is dark. */
static void put_shade(struct ew_area area, int y, int x, int ink)
{
    static const char *const shades[] = {" ", ".", ":", "+", "#"};
    ew_put(area, y, x, ew_style(EW_R_NODE), shades[ink * 5 / 256]);
}

static void draw_halves(struct ew_area area, const struct ew_raster *picture,
                        struct ew_look *look)
{
    int rows = area.rect.rows, cols = area.rect.cols;
    struct ew_raster w = ew_raster_window(picture, look, cols, 2 * rows);
    adapt(&w);
    bool shades = ew_surface_ascii(area.surface) || ew_theme() == EW_THEME_MONO;
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < cols; x++) {
            bool up, down;
            uint32_t top = rgb_at(&w, x, 2 * y, &up);
            uint32_t bottom = rgb_at(&w, x, 2 * y + 1, &down);
            if (!up && !down) {
                continue;
            }
            if (shades) {
                put_shade(area, y, x, (ink_of(top) + ink_of(bottom)) / 2);
            } else {
                uint32_t paper = ew_theme() == EW_THEME_LIGHT ? 0xffffff : 0;
                put_halves(area, y, x, up ? top : paper, down ? bottom : paper);
            }
        }
    }
    ew_raster_finish(&w);
}

#if EW_HAVE_CHAFA

/* Samples of a cell that symbols are chosen by. */
enum { SAMPLES = 8 };

static ChafaCanvas *canvas_of(const struct ew_raster *w, int rows, int cols,
                              ChafaPixelMode mode, int cell_w, int cell_h)
{
    ChafaSymbolMap *symbols = chafa_symbol_map_new();
    ChafaCanvasConfig *config = chafa_canvas_config_new();
    chafa_symbol_map_add_by_tags(
        symbols, CHAFA_SYMBOL_TAG_SPACE | CHAFA_SYMBOL_TAG_SOLID |
                     CHAFA_SYMBOL_TAG_HALF | CHAFA_SYMBOL_TAG_QUAD |
                     CHAFA_SYMBOL_TAG_BORDER | CHAFA_SYMBOL_TAG_DIAGONAL);
    chafa_canvas_config_set_symbol_map(config, symbols);
    chafa_canvas_config_set_geometry(config, cols, rows);
    chafa_canvas_config_set_cell_geometry(config, cell_w, cell_h);
    chafa_canvas_config_set_canvas_mode(config, CHAFA_CANVAS_MODE_TRUECOLOR);
    chafa_canvas_config_set_pixel_mode(config, mode);
    chafa_canvas_config_set_preprocessing_enabled(config, FALSE);
    ChafaCanvas *canvas = chafa_canvas_new(config);
    chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGBA8_UNASSOCIATED,
                                 w->rgba, w->w, w->h, w->w * 4);
    chafa_canvas_config_unref(config);
    chafa_symbol_map_unref(symbols);
    return canvas;
}

static void draw_symbols(struct ew_area area, const struct ew_raster *picture,
                         struct ew_look *look)
{
    int rows = area.rect.rows, cols = area.rect.cols;
    struct ew_raster w =
        ew_raster_window(picture, look, cols * SAMPLES / 2, rows * SAMPLES);
    adapt(&w);
    ChafaCanvas *canvas =
        canvas_of(&w, rows, cols, CHAFA_PIXEL_MODE_SYMBOLS, 8, 16);
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < cols; x++) {
            gint fg = -1, bg = -1;
            char text[8] = {0};
            bool seen;
            rgb_at(&w, x * SAMPLES / 2 + SAMPLES / 4, y * SAMPLES + SAMPLES / 2,
                   &seen);
            if (!seen) {
                continue; /* beside the picture */
            }
            chafa_canvas_get_colors_at(canvas, x, y, &fg, &bg);
            g_unichar_to_utf8(chafa_canvas_get_char_at(canvas, x, y), text);
            if (strcmp(text, " ") == 0 && is_paper((uint32_t)bg)) {
                continue;
            }
            ew_put(area, y, x,
                   rgb_style((uint32_t)(fg < 0 ? 0xffffff : fg),
                             (uint32_t)(bg < 0 ? 0xffffff : bg)),
                   *text ? text : " ");
        }
    }
    chafa_canvas_unref(canvas);
    ew_raster_finish(&w);
}

static ChafaTermInfo *term_info(void)
{
    char **env = g_get_environ();
    ChafaTermInfo *info =
        chafa_term_db_detect(chafa_term_db_get_default(), env);
    g_strfreev(env);
    return info;
}

enum ew_pixels ew_pixels_detect(void)
{
    ChafaTermInfo *info = term_info();
    enum ew_pixels how =
        chafa_term_info_have_seq(info,
                                 CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1)
            ? EW_PIXELS_KITTY
        : chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_BEGIN_SIXELS)
            ? EW_PIXELS_SIXEL
            : EW_PIXELS_NONE;
    chafa_term_info_unref(info);
    return how;
}

void ew_pixels_print(struct ew_buf *out, enum ew_pixels how,
                     const struct ew_raster *picture, struct ew_look *look,
                     int rows, int cols, struct ew_cell_size cell)
{
    struct ew_raster w =
        ew_raster_window(picture, look, cols * cell.w, rows * cell.h);
    ChafaCanvas *canvas =
        canvas_of(&w, rows, cols,
                  how == EW_PIXELS_KITTY ? CHAFA_PIXEL_MODE_KITTY
                                         : CHAFA_PIXEL_MODE_SIXELS,
                  cell.w, cell.h);
    ChafaTermInfo *info = term_info();
    GString *bytes = chafa_canvas_print(canvas, info);
    ew_buf_add_n(out, bytes->str, bytes->len);
    g_string_free(bytes, TRUE);
    chafa_term_info_unref(info);
    chafa_canvas_unref(canvas);
    ew_raster_finish(&w);
}

#else

enum ew_pixels ew_pixels_detect(void)
{
    return EW_PIXELS_NONE;
}

void ew_pixels_print(struct ew_buf *out, enum ew_pixels how,
                     const struct ew_raster *picture, struct ew_look *look,
                     int rows, int cols, struct ew_cell_size cell)
{
}

#endif

void ew_mosaic_draw(struct ew_area area, const struct ew_raster *picture,
                    struct ew_look *look, bool plain)
{
    if (!picture->rgba || area.rect.rows < 1 || area.rect.cols < 1) {
        return;
    }
#if EW_HAVE_CHAFA
    if (!plain && !ew_surface_ascii(area.surface) &&
        ew_theme() != EW_THEME_MONO) {
        draw_symbols(area, picture, look);
        return;
    }
#endif
    draw_halves(area, picture, look);
}

const char *ew_pixels_clear(enum ew_pixels how)
{
    return how == EW_PIXELS_KITTY ? "\033_Ga=d\033\\" : "";
}
