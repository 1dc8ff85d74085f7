/* SPDX-License-Identifier: Apache-2.0 */
/* What the view under the cursor shows and does, the signs, and all keys,
 * from the view's table, the action table and the keymap in force. */
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

enum { KEY_COLS = 17, NAME_COLS = 17, HELP_COLS = 58 };

struct sign {
    enum ew_glyph glyph;
    enum ew_ink ink;
    const char *text;
};

static const struct sign signs[] = {
    {EW_G_KEPT, EW_R_KEPT, "kept"},     {EW_G_HALF, EW_R_KEPT, "partly"},
    {EW_G_CUT, EW_R_CUT, "cut"},        {EW_G_MARK, EW_R_MARK, "marked"},
    {EW_G_SAME, EW_R_ZERO, "always 0"}, {EW_G_ELLIPSIS, EW_R_FAINT, "to come"},
};

static void draw_signs(struct ew_area area, int y)
{
    int x = 1;
    for (size_t i = 0; i < EW_ARRAY_LEN(signs); i++) {
        x += ew_put(area, y, x, ew_style(signs[i].ink),
                    ew_glyph(area, signs[i].glyph));
        x += ew_putf(area, y, x, ew_style(EW_R_DIM), " %s", signs[i].text) + 2;
    }
    x = 1;
    x += ew_put(area, y + 1, x, ew_style(EW_R_POS3), "+ blue");
    x += ew_put(area, y + 1, x, ew_style(EW_R_DIM), " the edge is needed  ");
    x += ew_put(area, y + 1, x, ew_style(EW_R_NEG3), "- orange");
    x += ew_put(area, y + 1, x, ew_style(EW_R_DIM), " it hurts  ");
    x += ew_put(area, y + 1, x, ew_style(EW_R_FAINT), "dark");
    ew_put(area, y + 1, x, ew_style(EW_R_DIM), " not up to date");
}

static void draw_key(const struct ew_app *a, struct ew_area cell,
                     enum ew_action action, bool named, const char *text)
{
    struct ew_buf keys = {0};
    ew_keymap_print(a->keys, action, false, &keys);
    ew_put_n(cell, 0, 1, KEY_COLS - 2, ew_style_bold(EW_R_TITLE_FOCUS),
             ew_buf_str(&keys));
    if (named) {
        ew_put_n(cell, 0, KEY_COLS, NAME_COLS - 1, ew_style(EW_R_DIM),
                 ew_action_info(action)->name);
    }
    ew_put(cell, 0, KEY_COLS + (named ? NAME_COLS : 0), ew_style(EW_R_NODE),
           text);
    ew_buf_finish(&keys);
}

/* The view under the cursor; returns the lines it takes. */
static int draw_view(const struct ew_app *a, struct ew_area area, int y,
                     int cols)
{
    const struct ew_view_ops *view = ew_app_view(a, a->pane);
    int start = y;
    y += ew_put_words(area, y, 1, cols, ew_style(EW_R_NODE), view->about);
    for (int i = 0; i < EW_VIEW_KEYS && view->keys[i].text; i++, y++) {
        draw_key(a, ew_area_sub(area, y, 0, 1, area.rect.cols),
                 view->keys[i].action, false, view->keys[i].text);
    }
    return y - start;
}

static void help_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    (void)focused;
    int need = KEY_COLS + NAME_COLS + HELP_COLS;
    bool named = area.rect.cols > need; /* ':' completes them anyway */
    int columns = area.rect.cols > 2 * need ? 2 : 1;
    int rows = (EW_N_ACTIONS + columns - 1) / columns;
    struct ew_list *list = &a->popup_list;
    int words = area.rect.cols - 4 < 100 ? area.rect.cols - 4 : 100;
    int above = draw_view(a, ew_area_sub(area, 0, 0, 0, 0), 0, words) + 4;
    int n = above + rows;
    long max = n > area.rect.rows ? n - area.rect.rows : 0;
    list->top = list->top < 0 ? 0 : list->top > max ? max : list->top;
    int top = (int)list->top;
    draw_view(a, area, -top, words);
    draw_signs(area, above - 3 - top);
    int cols = (area.rect.cols - 1) / columns;
    for (int i = 0; i < EW_N_ACTIONS; i++) {
        int y = i % rows + above - top;
        if (y >= 0 && y < area.rect.rows) {
            draw_key(a, ew_area_sub(area, y, i / rows * cols, 1, cols),
                     (enum ew_action)i, named,
                     ew_action_info((enum ew_action)i)->help);
        }
    }
    ew_draw_scroll(area, 0, top, area.rect.rows, n);
}

static void help_title(struct ew_app *a, struct ew_buf *title,
                       struct ew_buf *note)
{
    (void)note;
    ew_buf_printf(title, "help: %s", ew_app_view(a, a->pane)->name);
}

const struct ew_view_ops ew_view_help = {
    .name = "help",
    .title = help_title,
    .draw = help_draw,
};
