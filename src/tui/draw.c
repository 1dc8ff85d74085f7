/* SPDX-License-Identifier: Apache-2.0 */
/* One frame: layout, panes with their frames, popups, bars. */
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

static void draw_pane(struct ew_app *a, struct ew_surface *s, enum ew_pane pane)
{
    struct ew_rect r = a->layout.pane[pane];
    if (r.rows == 0) {
        return;
    }
    const struct ew_view_ops *view = ew_app_view(a, pane);
    struct ew_area all = ew_area_all(s);
    struct ew_area area = ew_area_sub(all, r.y, r.x, r.rows, r.cols);
    struct ew_buf title = {0};
    struct ew_buf note = {0};
    bool focused = a->pane == pane;
    view->title(a, &title, &note);
    struct ew_area inner =
        ew_frame(area, focused, ew_buf_str(&title), ew_buf_str(&note));
    a->inner_rows[pane] = inner.rect.rows;
    view->draw(a, inner, focused);
    ew_buf_finish(&title);
    ew_buf_finish(&note);
}

/* A box in the middle of the screen, cleared. */
static struct ew_area popup_box(struct ew_surface *s, int rows, int cols,
                                const char *title, const char *note)
{
    struct ew_area all = ew_area_all(s);
    int max_rows = all.rect.rows - 2;
    int max_cols = all.rect.cols - 2;
    rows = rows < max_rows ? rows : max_rows;
    cols = cols < max_cols ? cols : max_cols;
    struct ew_area box = ew_area_sub(all, (all.rect.rows - rows) / 2,
                                     (all.rect.cols - cols) / 2, rows, cols);
    ew_fill(box, 0, 0, rows, cols, ew_style(EW_R_NORMAL));
    return ew_frame(box, true, title, note);
}

static void draw_sort(struct ew_app *a, struct ew_surface *s)
{
    struct ew_area area =
        popup_box(s, EW_N_SORTS + 2, 34, "order of the edges", "");
    for (int i = 0; i < EW_N_SORTS; i++) {
        bool here = i == (int)a->popup_list.cur;
        bool used = i == (int)a->sort;
        if (here) {
            ew_fill(area, i, 0, 1, area.rect.cols,
                    ew_style_on(EW_R_NORMAL, EW_R_SELECT_BG));
        }
        struct ew_style style = ew_style(used ? EW_R_NAME : EW_R_NODE);
        style.bg = here ? EW_R_SELECT_BG : EW_R_NORMAL;
        ew_putf(area, i, 1, style, "%s %s%s",
                used ? ew_glyph(area, EW_G_KEPT) : " ",
                ew_sort_name((enum ew_sort)i),
                used && a->inverted ? ", turned round" : "");
    }
}

static void draw_popup(struct ew_app *a, struct ew_surface *s)
{
    int cols = ew_surface_cols(s);
    int rows = ew_surface_rows(s);
    struct ew_area area;
    struct ew_buf title = {0};
    switch (a->popup) {
    case EW_POPUP_NONE:
        return;
    case EW_POPUP_SORT:
        draw_sort(a, s);
        return;
    case EW_POPUP_EDITOR:
        area = popup_box(s, EW_EDITOR_FIELDS + 4, cols >= 104 ? 100 : 76,
                         "prompts", "Tab next, Enter runs, Esc closes");
        ew_editor_draw(a, area);
        return;
    case EW_POPUP_HELP:
        ew_view_help.title(a, &title, &title);
        area = popup_box(s, rows - 2,
                         cols >= 196   ? 192
                         : cols >= 110 ? 100
                                       : 76,
                         ew_buf_str(&title), "j k scroll, q closes");
        ew_view_help.draw(a, area, true);
        ew_buf_finish(&title);
        return;
    case EW_POPUP_INFO:
        area = popup_box(s, rows - 2 < 30 ? rows - 2 : 30, 76,
                         "definitions in force", "j k scroll, q closes");
        ew_view_info.draw(a, area, true);
        return;
    }
}

static void draw_too_small(struct ew_surface *s)
{
    char text[64];
    struct ew_area all = ew_area_all(s);
    snprintf(text, sizeof(text), "needs %dx%d", EW_MIN_COLS, EW_MIN_ROWS);
    int x = (all.rect.cols - (int)strlen(text)) / 2;
    ew_put(all, all.rect.rows / 2, x > 0 ? x : 0, ew_style(EW_R_WARN), text);
}

static struct ew_layout_options layout_options(const struct ew_app *a)
{
    const struct ew_graph_spec *spec = ew_graph_spec(a->graph);
    int cells = spec->n_heads + (spec->has_mlp ? 2 : 0);
    struct ew_layout_options o = {
        .zoomed = a->zoomed,
        .zoomed_pane = a->pane,
    };
    if (a->map) {
        o.nodes_cols = 2 + 4 + 3 * cells + 2;
        o.nodes_rows = spec->n_layers + 8;
    } else {
        o.nodes_cols = 2 + ew_tree_cols(a);
        o.nodes_rows = (int)ew_logits_of(a) + 1 + spec->n_layers + 3;
    }
    return o;
}

void ew_app_draw(struct ew_app *a, struct ew_surface *s)
{
    ew_surface_clear(s);
    a->picture.rect = (struct ew_rect){0};
    struct ew_layout_options options = layout_options(a);
    a->layout =
        ew_layout_make(ew_surface_rows(s), ew_surface_cols(s), &options);
    if (a->layout.too_small) {
        draw_too_small(s);
        return;
    }
    if (!a->zoomed && a->layout.pane[a->pane].rows == 0) {
        a->pane = EW_PANE_VIEW; /* the terminal became smaller */
    }
    for (int p = 0; p < EW_N_PANES; p++) { /* rows are fitted before drawn */
        if (a->layout.pane[p].rows > 0) {
            a->inner_rows[p] = a->layout.pane[p].rows - 2;
        }
    }
    ew_counts_update(a);
    ew_rows_update(a);
    for (int p = 0; p < EW_N_PANES; p++) {
        draw_pane(a, s, (enum ew_pane)p);
    }
    struct ew_area all = ew_area_all(s);
    int cols = all.rect.cols;
    ew_draw_badge(a, ew_area_sub(all, a->layout.badge.y, 0, 1, cols));
    ew_draw_status(a, ew_area_sub(all, a->layout.status.y, 0, 2, cols));
    ew_draw_footer(a, ew_area_sub(all, a->layout.footer.y, 0, 1, cols));
    draw_popup(a, s);
    if (a->popup != EW_POPUP_NONE) { /* pixels would lie over it */
        a->picture.rect = (struct ew_rect){0};
    }
}
