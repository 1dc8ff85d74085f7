/* SPDX-License-Identifier: Apache-2.0 */
/* All keys, from the action table and the keymap in force, and the signs. */
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

enum { KEY_COLS = 17, NAME_COLS = 17 };

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

static void draw_action(const struct ew_app *a, struct ew_area area, int y,
                        int x, int cols, enum ew_action action)
{
    struct ew_buf keys = {0};
    const struct ew_action_info *info = ew_action_info(action);
    ew_keymap_print(a->keys, action, false, &keys);
    struct ew_area cell = ew_area_sub(area, y, x, 1, cols);
    ew_put_n(cell, 0, 1, KEY_COLS - 2, ew_style_bold(EW_R_TITLE_FOCUS),
             ew_buf_str(&keys));
    bool names = area.rect.cols > 90; /* ':' completes them anyway */
    if (names) {
        ew_put_n(cell, 0, KEY_COLS, NAME_COLS - 1, ew_style(EW_R_DIM),
                 info->name);
    }
    ew_put(cell, 0, KEY_COLS + (names ? NAME_COLS : 0), ew_style(EW_R_NODE),
           info->help);
    ew_buf_finish(&keys);
}

static void help_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    int columns = area.rect.cols >= 120 ? 2 : 1;
    int rows = (EW_N_ACTIONS + columns - 1) / columns;
    int n = rows + 3;
    long max = n > area.rect.rows ? n - area.rect.rows : 0;
    struct ew_list *list = &a->popup_list;
    list->top = list->top < 0 ? 0 : list->top > max ? max : list->top;
    int top = (int)list->top;
    draw_signs(area, -top);
    int cols = (area.rect.cols - 1) / columns;
    for (int i = 0; i < EW_N_ACTIONS; i++) {
        int y = i % rows + 3 - top;
        if (y >= 0 && y < area.rect.rows) {
            draw_action(a, area, y, i / rows * cols, cols, (enum ew_action)i);
        }
    }
    ew_draw_scroll(area, 0, top, area.rect.rows, n);
}

static void help_title(struct ew_app *a, struct ew_buf *title,
                       struct ew_buf *note)
{
    ew_buf_add(title, "help");
}

const struct ew_view_ops ew_view_help = {
    .name = "help",
    .title = help_title,
    .draw = help_draw,
};
