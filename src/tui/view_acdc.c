/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACDC's stepper: the edge it is about to test, its effect on a logarithmic
 * scale with the threshold marked and the effects of all decisions so far
 * above it, what the verdict will be; and the log of decisions, newest first.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

/* Rows above the log, by the height of the pane. */
struct plan {
    int histogram, scale, labels, verdict, counts, keys; /* -1: no room */
    int log;
};

static struct plan make_plan(int rows)
{
    if (rows >= 15) {
        return (struct plan){1, 2, 3, 4, 5, 6, 8};
    }
    if (rows >= 10) {
        return (struct plan){-1, 1, -1, 2, 3, 4, 5};
    }
    return (struct plan){-1, 1, -1, 2, 3, -1, 4};
}

/* ---- the scale: effects from tau/100 to tau*100, tau in the middle ---- */

enum { SCALE_LEFT = 2, DECADES = 4 };

static int scale_cols(struct ew_area area)
{
    int cols = area.rect.cols - 4;
    return cols > EW_SCALE_COLS ? EW_SCALE_COLS : cols < 12 ? 0 : cols;
}

/* Column on the scale; what is not positive is at its left end. */
static int scale_at(const struct ew_app *a, int cols, double effect)
{
    double half = DECADES / 2.0;
    double at = effect <= 0 ? -half : log10(effect / a->acdc.threshold);
    at = at < -half ? -half : at > half ? half : at;
    return (int)lround((at + half) / DECADES * (cols - 1));
}

/* The decisions that have come since the last frame, into the bins. */
static void fill_bins(struct ew_app *a, int cols)
{
    const struct ew_acdc_view *v = &a->acdc;
    struct ew_bins *bins = &a->acdc.bins;
    if (bins->n == 0 || bins->cols != cols || bins->tau != v->threshold) {
        *bins = (struct ew_bins){.cols = cols, .tau = v->threshold};
    }
    for (; bins->n < v->n_log; bins->n++) {
        const struct ew_acdc_decision *d = &v->log[bins->n];
        if (!d->dropped && !isnan(d->effect)) {
            bins->count[scale_at(a, cols, d->effect)]++;
        }
    }
}

/* How the effects of all decisions so far lie. */
static void draw_histogram(struct ew_app *a, struct ew_area area, int y)
{
    int cols = scale_cols(area);
    const int *count = a->acdc.bins.count;
    int most = 0;
    if (cols > 0) {
        fill_bins(a, cols);
    }
    for (int x = 0; x < cols; x++) {
        most = count[x] > most ? count[x] : most;
    }
    for (int x = 0; x < cols; x++) {
        /* the root: one decision is still to be seen among hundreds */
        double share = most ? sqrt((double)count[x] / most) : 0.0;
        int eighths = (int)ceil(8.0 * share);
        if (eighths > 0) {
            ew_put(area, y, SCALE_LEFT + x,
                   ew_style(x < cols / 2 ? EW_R_NEG2 : EW_R_POS2),
                   ew_block_v(area, eighths));
        }
    }
}

static void draw_labels(struct ew_app *a, struct ew_area area, int y)
{
    int cols = scale_cols(area);
    for (int i = 0; i <= DECADES && cols >= 36; i++) {
        char text[EW_FIGURE_SIZE];
        double value = a->acdc.threshold * pow(10.0, i - DECADES / 2.0);
        if (i == 0) {
            snprintf(text, sizeof(text), "0");
        } else {
            snprintf(text, sizeof(text), "%.3g", value);
        }
        int x = SCALE_LEFT + (cols - 1) * i / DECADES;
        int len = ew_text_cols(text);
        x -= i == DECADES ? len - 1 : i > 0 ? len / 2 : 0;
        ew_put(area, y, x, ew_style(i == 2 ? EW_R_NAME : EW_R_FAINT), text);
    }
}

static void draw_scale(struct ew_app *a, struct ew_area area, int y,
                       double effect)
{
    int cols = scale_cols(area);
    for (int x = 0; x < cols; x++) {
        ew_put(area, y, SCALE_LEFT + x,
               ew_style(x < cols / 2 ? EW_R_CUT : EW_R_KEPT),
               ew_glyph(area, x < cols / 2 ? EW_G_BAR_EMPTY : EW_G_BAR_FULL));
    }
    if (cols == 0) {
        return;
    }
    ew_put(area, y, SCALE_LEFT + cols / 2, ew_style(EW_R_NAME),
           ew_surface_ascii(area.surface) ? "|" : "┃");
    if (!isnan(effect)) {
        bool low = effect < a->acdc.threshold;
        ew_put(area, y, SCALE_LEFT + scale_at(a, cols, effect),
               ew_style_bold(low ? EW_R_NEG4 : EW_R_POS4),
               ew_glyph(area, EW_G_MARK));
    }
}

/* ---- the candidate ---- */

static void draw_idle(struct ew_app *a, struct ew_area area)
{
    const struct ew_acdc_view *v = &a->acdc;
    ew_put(area, 0, 1, ew_style(v->done ? EW_R_GOOD : EW_R_DIM),
           v->done ? "done: nothing is left to test"
           : a->load == EW_LOADED
               ? "a tests one edge, A runs to the end, [ ] move tau"
               : "no engine yet");
}

static void draw_verdict(struct ew_app *a, struct ew_area area, int y)
{
    const struct ew_acdc_view *v = &a->acdc;
    const struct ew_acdc_decision *peek = &v->peek;
    char text[EW_FIGURE_SIZE];
    if (peek->dropped) {
        ew_put(area, y, 1, ew_style(EW_R_DIM),
               "dropped untested: its node feeds nothing");
        return;
    }
    int x = 1 + ew_put(area, y, 1, ew_style(EW_R_DIM), "effect ");
    x += ew_putf(
        area, y, x, ew_style(peek->kept ? EW_R_POS3 : EW_R_NEG3),
        "%s %s %g: %s",
        ew_figure_signed(text, ew_without_noise(peek->effect, v->metric)),
        peek->kept ? ">=" : "<", v->threshold, peek->kept ? "keep" : "cut");
    if (ew_doubtful(peek->effect, v->threshold, v->doubt)) {
        ew_putf(area, y, x, ew_style(EW_R_WARN), "  doubtful: within %.0f%%",
                100.0 * v->doubt);
    }
}

static void draw_next(struct ew_app *a, struct ew_area area,
                      const struct plan *p)
{
    const struct ew_acdc_view *v = &a->acdc;
    char name[EW_NAME_SIZE];
    bool known = v->has_peek && v->peek.edge == v->next && v->next != EW_NONE;
    if (v->next == EW_NONE) {
        draw_idle(a, area);
    } else {
        int x = 1 + ew_put(area, 0, 1, ew_style(EW_R_DIM), "next ");
        ew_put(area, 0, x, ew_style_bold(EW_R_NODE),
               ew_name_of_edge(name, a->graph, v->next));
    }
    if (p->histogram >= 0) {
        draw_histogram(a, area, p->histogram);
        draw_labels(a, area, p->labels);
    }
    draw_scale(a, area, p->scale,
               known && !v->peek.dropped ? v->peek.effect : NAN);
    if (known) {
        draw_verdict(a, area, p->verdict);
    } else if (v->next != EW_NONE && !v->running) {
        ew_put(area, p->verdict, 1, ew_style(EW_R_FAINT),
               ew_glyph(area, EW_G_ELLIPSIS));
    }
}

/* "a agrees  ! overrules": the keys in force. */
static void draw_keys(struct ew_app *a, struct ew_area area, int y)
{
    static const struct {
        enum ew_action action;
        const char *text;
    } keys[] = {{EW_DO_ACDC_STEP, "agrees"},
                {EW_DO_ACDC_OVERRULE, "overrules"},
                {EW_DO_ACDC_BACK, "back"},
                {EW_DO_ACDC_INPUT, "this input"},
                {EW_DO_ACDC_DOUBT, "to a doubtful one"},
                {EW_DO_ACDC_RUN, "all"}};
    int x = 1;
    for (size_t i = 0; i < EW_ARRAY_LEN(keys); i++) {
        struct ew_buf key = {0};
        ew_keymap_print(a->keys, keys[i].action, true, &key);
        int need =
            ew_text_cols(ew_buf_str(&key)) + 1 + ew_text_cols(keys[i].text);
        if (x + need < area.rect.cols && key.len > 0) {
            x += ew_put(area, y, x, ew_style_bold(EW_R_TITLE_FOCUS),
                        ew_buf_str(&key)) +
                 1;
            x += ew_put(area, y, x, ew_style(EW_R_DIM), keys[i].text) + 2;
        }
        ew_buf_finish(&key);
    }
}

static void draw_counts(struct ew_app *a, struct ew_area area, int y)
{
    const struct ew_acdc_view *v = &a->acdc;
    if (!v->begun) {
        if (a->load == EW_LOADED) {
            draw_keys(a, area, y);
        }
        return;
    }
    int x = 1;
    x += ew_putf(area, y, x, ew_style(EW_R_KEPT), "%u kept",
                 (unsigned)v->n_kept) +
         2;
    x +=
        ew_putf(area, y, x, ew_style(EW_R_NEG2), "%u cut", (unsigned)v->n_cut) +
        2;
    x += ew_putf(area, y, x, ew_style(EW_R_DIM), "%u dropped",
                 (unsigned)v->n_dropped) +
         2;
    ew_putf(area, y, x, ew_style(EW_R_DIM), "%u to go", (unsigned)v->n_left);
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
    ew_put_right(
        area, y, x, 9, ew_style(ew_ramp_text(step)),
        ew_figure_signed(text, ew_without_noise(d->effect, a->acdc.metric)));
    ew_putf(area, y, x + 11, ew_style(ink), "%s%s", d->kept ? "keep" : "cut",
            d->overruled ? " overruled" : "");
}

static void acdc_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    struct plan p = make_plan(area.rect.rows);
    draw_next(a, area, &p);
    draw_counts(a, area, p.counts);
    if (p.keys >= 0 && a->acdc.begun) {
        draw_keys(a, area, p.keys);
    }
    int top = p.log;
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
    if (ew_list_act(&v->list, (long)v->n_log, rows - make_plan(rows).log,
                    action)) {
        return true;
    }
    if (action != EW_DO_OPEN || v->n_log == 0) {
        return false;
    }
    ew_next_go(a, v->log[v->n_log - 1 - (size_t)v->list.cur].edge);
    return true;
}

static void acdc_click(struct ew_app *a, const struct ew_click *c)
{
    ew_list_click(&a->acdc.list, c->y - make_plan(c->rows).log);
}

const struct ew_view_ops ew_view_acdc = {
    .name = "acdc",
    .about = "ACDC's next edge: its effect on a scale with tau in the middle, "
             "the verdict, and what was decided before.",
    .keys = {{EW_DO_OPEN, "to the decision's edge"},
             {EW_DO_ACDC_STEP, "agree"},
             {EW_DO_ACDC_OVERRULE, "overrule"},
             {EW_DO_ACDC_BACK, "one decision back"},
             {EW_DO_ACDC_DOUBT, "run up to a doubtful edge"}},
    .title = acdc_title,
    .draw = acdc_draw,
    .act = acdc_act,
    .click = acdc_click,
};
