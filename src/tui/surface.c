/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cell grid: clipping, clusters and widths, safe text, frames, and the
 * dumps that golden tests compare.
 */
#include "surface.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "edgewise/mem.h"

#include "theme.h"

struct ew_surface {
    int rows, cols;
    bool ascii;
    int caret_y, caret_x;
    struct ew_cell *cells; /* (rows, cols) */
};

static const struct ew_cell blank = {.text = " ", .width = 1};

struct ew_surface *ew_surface_create(int rows, int cols, bool ascii)
{
    struct ew_surface *s = ew_xcalloc(1, sizeof(*s));
    s->ascii = ascii;
    ew_surface_resize(s, rows, cols);
    return s;
}

void ew_surface_destroy(struct ew_surface *s)
{
    if (s) {
        free(s->cells);
        free(s);
    }
}

void ew_surface_resize(struct ew_surface *s, int rows, int cols)
{
    s->rows = rows > 0 ? rows : 1;
    s->cols = cols > 0 ? cols : 1;
    size_t n = (size_t)s->rows * (size_t)s->cols;
    s->cells = ew_xrealloc(s->cells, n, sizeof(*s->cells));
    ew_surface_clear(s);
}

int ew_surface_rows(const struct ew_surface *s)
{
    return s->rows;
}

int ew_surface_cols(const struct ew_surface *s)
{
    return s->cols;
}

bool ew_surface_ascii(const struct ew_surface *s)
{
    return s->ascii;
}

void ew_surface_clear(struct ew_surface *s)
{
    for (int i = 0; i < s->rows * s->cols; i++) {
        s->cells[i] = blank;
    }
    s->caret_y = -1;
    s->caret_x = -1;
}

const struct ew_cell *ew_surface_at(const struct ew_surface *s, int y, int x)
{
    assert(y >= 0 && y < s->rows && x >= 0 && x < s->cols);
    return &s->cells[y * s->cols + x];
}

void ew_surface_set_caret(struct ew_surface *s, int y, int x)
{
    s->caret_y = y;
    s->caret_x = x;
}

void ew_surface_caret(const struct ew_surface *s, int *y, int *x)
{
    *y = s->caret_y;
    *x = s->caret_x;
}

struct ew_area ew_area_all(struct ew_surface *s)
{
    return (struct ew_area){s, {0, 0, s->rows, s->cols}};
}

struct ew_area ew_area_sub(struct ew_area a, int y, int x, int rows, int cols)
{
    int bottom = y + rows < a.rect.rows ? y + rows : a.rect.rows;
    int right = x + cols < a.rect.cols ? x + cols : a.rect.cols;
    int top = y > 0 ? y : 0;
    int left = x > 0 ? x : 0;
    a.rect.rows = bottom > top ? bottom - top : 0;
    a.rect.cols = right > left ? right - left : 0;
    a.rect.y += top;
    a.rect.x += left;
    return a;
}

/* A wide character that loses one half becomes blank in the other. */
static void break_wide(struct ew_surface *s, int y, int x)
{
    struct ew_cell *row = s->cells + y * s->cols;
    if (row[x].width == 0 && x > 0) {
        struct ew_style style = row[x - 1].style;
        row[x - 1] = blank;
        row[x - 1].style = style;
    }
    if (row[x].width == 2 && x + 1 < s->cols) {
        struct ew_style style = row[x + 1].style;
        row[x + 1] = blank;
        row[x + 1].style = style;
    }
}

static void set_cell(struct ew_surface *s, int y, int x, const char *text,
                     size_t len, int width, struct ew_style style)
{
    break_wide(s, y, x);
    if (width == 2) {
        break_wide(s, y, x + 1);
    }
    struct ew_cell *cell = &s->cells[y * s->cols + x];
    memcpy(cell->text, text, len);
    cell->text[len] = '\0';
    cell->width = (uint8_t)width;
    cell->style = style;
    if (width == 2) {
        cell[1] = (struct ew_cell){.text = "", .width = 0, .style = style};
    }
}

/*
 * The next cluster of `*text`: a safe base character and what combines with
 * it, in `out` (at most 13 bytes). Returns its columns, 0 at the end.
 */
static int next_cluster(const char **text, bool ascii, char out[14])
{
    const unsigned char *p = (const unsigned char *)*text;
    if (!*p) {
        return 0;
    }
    utf8proc_int32_t code = -1;
    utf8proc_ssize_t n = utf8proc_iterate(p, -1, &code);
    int width = n > 0 ? utf8proc_charwidth(code) : 1;
    bool bad = n <= 0 || code < 0x20 || (code >= 0x7f && code < 0xa0) ||
               width == 0 || (ascii && code >= 0x80);
    if (bad) {
        *text += n > 0 ? n : 1;
        strcpy(out, "?");
        return 1;
    }
    size_t len = (size_t)n;
    memcpy(out, p, len);
    p += n;
    for (;;) { /* marks of width 0, as many as fit; the rest is dropped */
        n = utf8proc_iterate(p, -1, &code);
        if (n <= 0 || code < 0x300 || utf8proc_charwidth(code) != 0) {
            break;
        }
        const utf8proc_property_t *prop = utf8proc_get_property(code);
        if (prop->category != UTF8PROC_CATEGORY_MN &&
            prop->category != UTF8PROC_CATEGORY_ME) {
            break;
        }
        if (len + (size_t)n < 14) {
            memcpy(out + len, p, (size_t)n);
            len += (size_t)n;
        }
        p += n;
    }
    out[len] = '\0';
    *text = (const char *)p;
    return width;
}

int ew_text_cols(const char *text)
{
    char cluster[14];
    int cols = 0;
    for (int w; (w = next_cluster(&text, false, cluster)) > 0;) {
        cols += w;
    }
    return cols;
}

static int put_cols(struct ew_area a, int y, int x, int cols,
                    struct ew_style style, const char *text)
{
    char cluster[14];
    int used = 0;
    for (;;) {
        int w = next_cluster(&text, a.surface->ascii, cluster);
        if (w == 0 || used + w > cols) {
            return used;
        }
        if (x + used >= 0) {
            set_cell(a.surface, a.rect.y + y, a.rect.x + x + used, cluster,
                     strlen(cluster), w, style);
        }
        used += w;
    }
}

int ew_put_n(struct ew_area a, int y, int x, int cols, struct ew_style style,
             const char *text)
{
    if (y < 0 || y >= a.rect.rows || x >= a.rect.cols) {
        return 0;
    }
    int room = a.rect.cols - x;
    if (cols < 0 || cols > room) {
        cols = room;
    }
    int want = ew_text_cols(text);
    if (want <= cols || cols < 1) {
        return put_cols(a, y, x, cols, style, text);
    }
    const char *more = ew_glyph(a, EW_G_ELLIPSIS);
    int used = put_cols(a, y, x, cols - 1, style, text);
    return used + put_cols(a, y, x + used, 1, style, more);
}

int ew_put(struct ew_area a, int y, int x, struct ew_style style,
           const char *text)
{
    return ew_put_n(a, y, x, -1, style, text);
}

int ew_putf(struct ew_area a, int y, int x, struct ew_style style,
            const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return ew_put(a, y, x, style, text);
}

/* Where a line of `cols` bytes of longer text ends: at a blank, or, in a word
 * that is longer than a line, before the character that is too much. */
static size_t line_end(const char *text, size_t cols)
{
    size_t len = cols;
    while (len > 0 && text[len] != ' ') {
        len--;
    }
    if (len > 0) {
        return len;
    }
    for (len = cols; len > 1 && ((unsigned char)text[len] & 0xc0) == 0x80;) {
        len--;
    }
    return len;
}

int ew_put_words(struct ew_area a, int y, int x, int cols,
                 struct ew_style style, const char *text)
{
    int row = 0;
    while (*text && cols > 8) {
        size_t len = strlen(text);
        if ((int)len > cols) {
            len = line_end(text, (size_t)cols);
        }
        char line[512];
        snprintf(line, sizeof(line), "%.*s", (int)len, text);
        ew_put(a, y + row, x, style, line);
        row++;
        text += len;
        text += strspn(text, " ");
    }
    return row;
}

void ew_put_right(struct ew_area a, int y, int x, int cols,
                  struct ew_style style, const char *text)
{
    int want = ew_text_cols(text);
    int pad = want < cols ? cols - want : 0;
    ew_put_n(a, y, x + pad, cols - pad, style, text);
}

void ew_fill(struct ew_area a, int y, int x, int rows, int cols,
             struct ew_style style)
{
    struct ew_area f = ew_area_sub(a, y, x, rows, cols);
    for (int i = 0; i < f.rect.rows; i++) {
        for (int j = 0; j < f.rect.cols; j++) {
            set_cell(a.surface, f.rect.y + i, f.rect.x + j, " ", 1, 1, style);
        }
    }
}

void ew_tint(struct ew_area a, int y, int x, int rows, int cols, uint8_t bg)
{
    struct ew_area f = ew_area_sub(a, y, x, rows, cols);
    for (int i = 0; i < f.rect.rows; i++) {
        for (int j = 0; j < f.rect.cols; j++) {
            int at = (f.rect.y + i) * a.surface->cols + f.rect.x + j;
            a.surface->cells[at].style.bg = bg;
        }
    }
}

const char *ew_glyph(struct ew_area a, enum ew_glyph glyph)
{
    static const char *const table[EW_N_GLYPHS][2] = {
        [EW_G_KEPT] = {"●", "*"},      [EW_G_CUT] = {"○", "o"},
        [EW_G_HALF] = {"◐", "%"},      [EW_G_CURSOR] = {"▸", ">"},
        [EW_G_OPEN] = {"▾", "-"},      [EW_G_CLOSED] = {"▸", "+"},
        [EW_G_DOT] = {"·", "."},       [EW_G_ARROW] = {"→", "->"},
        [EW_G_LEFT] = {"←", "<-"},     [EW_G_UP] = {"▲", "^"},
        [EW_G_DOWN] = {"▼", "v"},      [EW_G_ELLIPSIS] = {"…", "~"},
        [EW_G_HLINE] = {"─", "-"},     [EW_G_VLINE] = {"│", "|"},
        [EW_G_TL] = {"╭", "+"},        [EW_G_TR] = {"╮", "+"},
        [EW_G_BL] = {"╰", "+"},        [EW_G_BR] = {"╯", "+"},
        [EW_G_TAU] = {"τ", "tau"},     [EW_G_MARK] = {"◆", "#"},
        [EW_G_SAME] = {"=", "="},      [EW_G_BAR_FULL] = {"━", "="},
        [EW_G_BAR_EMPTY] = {"─", "."}, [EW_G_THUMB] = {"┃", "#"},
        [EW_G_SEP] = {"│", "|"},       [EW_G_PLUSMINUS] = {"±", "+-"},
        [EW_G_MINUS] = {"−", "-"},
    };
    return table[glyph][a.surface->ascii];
}

const char *ew_block_h(struct ew_area a, int eighths)
{
    static const char *const utf8[] = {" ", "▏", "▎", "▍", "▌",
                                       "▋", "▊", "▉", "█"};
    static const char *const ascii[] = {" ", "-", "-", "-", "=",
                                        "=", "=", "#", "#"};
    int i = eighths < 0 ? 0 : eighths > 8 ? 8 : eighths;
    return a.surface->ascii ? ascii[i] : utf8[i];
}

const char *ew_block_v(struct ew_area a, int eighths)
{
    static const char *const utf8[] = {" ", "▁", "▂", "▃", "▄",
                                       "▅", "▆", "▇", "█"};
    static const char *const ascii[] = {" ", "_", "_", ".", "-",
                                        "=", "+", "*", "#"};
    int i = eighths < 0 ? 0 : eighths > 8 ? 8 : eighths;
    return a.surface->ascii ? ascii[i] : utf8[i];
}

struct ew_area ew_frame(struct ew_area a, bool focused, const char *title,
                        const char *note)
{
    struct ew_style line = ew_style(focused ? EW_R_BORDER_FOCUS : EW_R_BORDER);
    int rows = a.rect.rows;
    int cols = a.rect.cols;
    if (rows < 2 || cols < 4) {
        return ew_area_sub(a, 0, 0, 0, 0);
    }
    for (int x = 1; x < cols - 1; x++) {
        ew_put(a, 0, x, line, ew_glyph(a, EW_G_HLINE));
        ew_put(a, rows - 1, x, line, ew_glyph(a, EW_G_HLINE));
    }
    for (int y = 1; y < rows - 1; y++) {
        ew_put(a, y, 0, line, ew_glyph(a, EW_G_VLINE));
        ew_put(a, y, cols - 1, line, ew_glyph(a, EW_G_VLINE));
    }
    ew_put(a, 0, 0, line, ew_glyph(a, EW_G_TL));
    ew_put(a, 0, cols - 1, line, ew_glyph(a, EW_G_TR));
    ew_put(a, rows - 1, 0, line, ew_glyph(a, EW_G_BL));
    ew_put(a, rows - 1, cols - 1, line, ew_glyph(a, EW_G_BR));

    struct ew_style text =
        focused ? ew_style_bold(EW_R_TITLE_FOCUS) : ew_style(EW_R_TITLE);
    int used = 0;
    if (title && *title && cols > 6) {
        int max = cols - 6;
        ew_put(a, 0, 2, line, " ");
        used = ew_put_n(a, 0, 3, max, text, title);
        ew_put(a, 0, 3 + used, line, " ");
    }
    int note_cols = note ? ew_text_cols(note) : 0;
    if (note_cols && used + note_cols + 9 <= cols) {
        int x = cols - 3 - note_cols;
        ew_put(a, 0, x - 1, line, " ");
        ew_put(a, 0, x, ew_style(EW_R_DIM), note);
        ew_put(a, 0, x + note_cols, line, " ");
    }
    return ew_area_sub(a, 1, 1, rows - 2, cols - 2);
}

static void dump_text(const struct ew_surface *s, struct ew_rect r,
                      struct ew_buf *out)
{
    for (int y = r.y; y < r.y + r.rows; y++) {
        size_t end = out->len;
        for (int x = r.x; x < r.x + r.cols; x++) {
            const char *text = ew_surface_at(s, y, x)->text;
            ew_buf_add(out, text);
            if (*text && strcmp(text, " ") != 0) {
                end = out->len;
            }
        }
        out->len = end;
        ew_buf_putc(out, '\n');
    }
}

void ew_surface_text(const struct ew_surface *s, struct ew_buf *out)
{
    dump_text(s, (struct ew_rect){0, 0, s->rows, s->cols}, out);
}

/* Index of a style among those seen so far. */
static size_t style_index(struct ew_style *seen, size_t *n, struct ew_style st)
{
    for (size_t i = 0; i < *n; i++) {
        if (memcmp(&seen[i], &st, sizeof(st)) == 0) {
            return i;
        }
    }
    seen[*n] = st;
    return *n < 61 ? (*n)++ : *n;
}

static void dump_styles(const struct ew_surface *s, struct ew_rect r, bool mono,
                        struct ew_buf *out)
{
    static const char letters[] = ".abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    struct ew_style seen[62] = {{0}};
    size_t n = 1;
    for (int y = r.y; y < r.y + r.rows; y++) {
        size_t end = out->len;
        for (int x = r.x; x < r.x + r.cols; x++) {
            struct ew_style st = ew_surface_at(s, y, x)->style;
            if (mono) {
                st = (struct ew_style){.attr = ew_style_mono(st)};
            }
            size_t i = style_index(seen, &n, st);
            ew_buf_putc(out, letters[i]);
            end = i ? out->len : end;
        }
        out->len = end;
        ew_buf_putc(out, '\n');
    }
    for (size_t i = 1; i < n; i++) {
        if (seen[i].own) {
            ew_buf_printf(out, "%c #%06x", letters[i],
                          (unsigned)seen[i].fg_rgb);
            if (seen[i].own == EW_OWN_BOTH) {
                ew_buf_printf(out, " on #%06x", (unsigned)seen[i].bg_rgb);
            }
            ew_buf_putc(out, '\n');
            continue;
        }
        ew_buf_printf(out, "%c %s on %s%s%s%s%s\n", letters[i],
                      ew_ink_name(seen[i].fg), ew_ink_name(seen[i].bg),
                      seen[i].attr & EW_ATTR_BOLD ? " bold" : "",
                      seen[i].attr & EW_ATTR_DIM ? " dim" : "",
                      seen[i].attr & EW_ATTR_REVERSE ? " reverse" : "",
                      seen[i].attr & EW_ATTR_UNDERLINE ? " underline" : "");
    }
}

void ew_surface_dump(const struct ew_surface *s, struct ew_buf *out)
{
    struct ew_rect all = {0, 0, s->rows, s->cols};
    dump_text(s, all, out);
    ew_buf_add(out, "---- styles\n");
    dump_styles(s, all, ew_theme() == EW_THEME_MONO, out);
}

void ew_surface_dump_part(const struct ew_surface *s, struct ew_rect part,
                          struct ew_buf *out)
{
    dump_text(s, part, out);
    ew_buf_add(out, "---- styles\n");
    dump_styles(s, part, false, out);
    ew_buf_add(out, "---- without colour\n");
    dump_styles(s, part, true, out);
}
