/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACDC's stepper: the edge it is about to test, its effect on a logarithmic
 * scale with the threshold marked, what the verdict will be; and the log of
 * decisions, newest first.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

enum { HEAD = 5 }; /* rows above the log */

/* Effects from tau/100 to tau*100, tau in the middle; negative ones at the
 * left edge. */
static void draw_scale(struct ew_app *a, struct ew_area area, int y,
                       double effect, bool known)
{
    int left = 2;
    int cols = area.rect.cols - 4;
    cols = cols > 64 ? 64 : cols;
    if (cols < 12) {
        return;
    }
    int middle = left + cols / 2;
    for (int x = 0; x < cols; x++) {
        ew_put(area, y, left + x, ew_style(x < cols / 2 ? EW_R_CUT : EW_R_KEPT),
               ew_glyph(area, x < cols / 2 ? EW_G_BAR_EMPTY : EW_G_BAR_FULL));
    }
    ew_put(area, y, middle, ew_style(EW_R_NAME),
           ew_surface_ascii(area.surface) ? "|" : "┃");
    if (!known || isnan(effect)) {
        return;
    }
    double tau = a->acdc.threshold;
    double at = effect <= 0 ? -2.0 : log10(effect / tau);
    at = at < -2.0 ? -2.0 : at > 2.0 ? 2.0 : at;
    int x = left + (int)lround((at + 2.0) / 4.0 * (cols - 1));
    ew_put(area, y, x, ew_style_bold(effect < tau ? EW_R_NEG4 : EW_R_POS4),
           ew_glyph(area, EW_G_MARK));
}

static void draw_next(struct ew_app *a, struct ew_area area)
{
    const struct ew_acdc_view *v = &a->acdc;
    char name[EW_NAME_SIZE];
    char text[EW_FIGURE_SIZE];
    int x = 1;
    if (v->next == EW_NONE) {
        ew_put(area, 0, x, ew_style(v->done ? EW_R_GOOD : EW_R_DIM),
               v->done ? "done: nothing is left to test"
               : a->load == EW_LOADED
                   ? "a tests one edge, A runs to the end, [ ] move tau"
                   : "no engine yet");
        draw_scale(a, area, 1, NAN, false);
        return;
    }
    x += ew_put(area, 0, x, ew_style(EW_R_DIM), "next ");
    x += ew_put(area, 0, x, ew_style_bold(EW_R_NODE),
                ew_name_of_edge(name, a->graph, v->next));
    x += 2;
    bool known = v->has_peek && v->peek.edge == v->next;
    draw_scale(a, area, 1, v->peek.effect, known && !v->peek.dropped);
    if (known && v->peek.dropped) {
        ew_put(area, 2, 1, ew_style(EW_R_DIM),
               "dropped untested: its node feeds nothing");
    } else if (known) {
        x = 1 + ew_put(area, 2, 1, ew_style(EW_R_DIM), "effect ");
        x += ew_putf(area, 2, x, ew_style(v->peek.kept ? EW_R_POS3 : EW_R_NEG3),
                     "%s %s %g: %s", ew_figure_signed(text, v->peek.effect),
                     v->peek.kept ? ">=" : "<", v->threshold,
                     v->peek.kept ? "keep" : "cut");
    } else if (!v->running) {
        ew_put(area, 2, 1, ew_style(EW_R_FAINT), ew_glyph(area, EW_G_ELLIPSIS));
    }
}

static void draw_counts(struct ew_app *a, struct ew_area area)
{
    const struct ew_acdc_view *v = &a->acdc;
    int x = 1;
    if (!v->begun) {
        if (a->load == EW_LOADED) {
            ew_put(area, 3, x, ew_style(EW_R_DIM),
                   "a agrees  ! overrules  A runs");
        }
        return;
    }
    x += ew_putf(area, 3, x, ew_style(EW_R_KEPT), "%u kept",
                 (unsigned)v->n_kept) +
         2;
    x +=
        ew_putf(area, 3, x, ew_style(EW_R_NEG2), "%u cut", (unsigned)v->n_cut) +
        2;
    x += ew_putf(area, 3, x, ew_style(EW_R_DIM), "%u dropped",
                 (unsigned)v->n_dropped) +
         2;
    ew_putf(area, 3, x, ew_style(EW_R_DIM), "%u to go", (unsigned)v->n_left);
}

static void draw_decision(struct ew_app *a, struct ew_area area, int y,
                          size_t i)
{
    const struct ew_acdc_decision *d = &a->acdc.log[i];
    char name[EW_NAME_SIZE];
    char text[EW_FIGURE_SIZE];
    int wide = area.rect.cols >= 44;
    int name_cols = wide ? 20 : 18;
    int x = wide ? 7 : 2;
    if (wide) {
        snprintf(text, sizeof(text), "%zu", i + 1);
        ew_put_right(area, y, 0, 5, ew_style(EW_R_FAINT), text);
    }
    enum ew_ink ink = d->dropped ? EW_R_FAINT : d->kept ? EW_R_KEPT : EW_R_CUT;
    ew_put(area, y, x - 1, ew_style(ink),
           ew_glyph(area, d->kept ? EW_G_KEPT : EW_G_CUT));
    ew_put_n(area, y, x + 1, name_cols,
             ew_style(d->dropped ? EW_R_FAINT : EW_R_NODE),
             ew_name_of_edge(name, a->graph, d->edge));
    x += name_cols + 1;
    if (d->dropped) {
        ew_put(area, y, x + 2, ew_style(EW_R_FAINT), "dropped");
        return;
    }
    int step = ew_ramp_step(d->effect, 3.0 * d->threshold);
    ew_put_right(area, y, x, 9, ew_style(ew_ramp_text(step)),
                 ew_figure_signed(text, d->effect));
    ew_putf(area, y, x + 11, ew_style(ink), "%s%s", d->kept ? "keep" : "cut",
            d->overruled ? " overruled" : "");
}

static void acdc_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    draw_next(a, area);
    draw_counts(a, area);
    int top = area.rect.rows >= 10 ? HEAD : 4;
    int rows = area.rect.rows - top;
    long n = (long)a->acdc.n_log;
    if (rows < 1) {
        return;
    }
    ew_list_fit(&a->acdc.list, n, rows);
    for (int y = 0; y < rows && a->acdc.list.top + y < n; y++) {
        long i = a->acdc.list.top + y;
        draw_decision(a, area, top + y, (size_t)(n - 1 - i));
        if (focused && i == a->acdc.list.cur) {
            ew_tint(area, top + y, 0, 1, area.rect.cols, EW_R_SELECT_BG);
        }
    }
    ew_draw_scroll(area, top, a->acdc.list.top, rows, n);
}

static void acdc_title(struct ew_app *a, struct ew_buf *title,
                       struct ew_buf *note)
{
    ew_buf_printf(title, "ACDC  tau %g", a->acdc.threshold);
    ew_buf_add(note, ew_metric_name(a->metric));
}

/* Enter goes to the decision's edge. */
static bool acdc_act(struct ew_app *a, enum ew_action action, int rows)
{
    struct ew_acdc_view *v = &a->acdc;
    if (ew_list_act(&v->list, (long)v->n_log, rows - HEAD, action)) {
        return true;
    }
    if (action != EW_DO_OPEN || v->n_log == 0) {
        return false;
    }
    uint32_t edge = v->log[v->n_log - 1 - (size_t)v->list.cur].edge;
    uint32_t feeds = ew_graph_feeds(a->graph, ew_edge_receiver(a->graph, edge));
    ew_node_go(a, feeds == EW_NONE ? ew_logits_of(a) : feeds);
    a->out = false;
    a->channel = EW_CH_ALL;
    a->edge = edge;
    a->rows_old = true;
    a->pane = EW_PANE_EDGES;
    return true;
}

static void acdc_click(struct ew_app *a, int y, int x, bool again)
{
    if (y >= HEAD) {
        a->acdc.list.cur = a->acdc.list.top + y - HEAD;
    }
}

const struct ew_view_ops ew_view_acdc = {
    .name = "acdc",
    .title = acdc_title,
    .draw = acdc_draw,
    .act = acdc_act,
    .click = acdc_click,
};
