/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trade-off over thresholds: how many edges each would leave, and how
 * much of the metric. Measured rows are where ACDC has been; "~" marks
 * guesses from the effects known so far. The row of the threshold in force is
 * under the cursor: moving up and down moves the threshold.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

enum {
    COL_TAU = 1,
    COL_EDGES = 9,
    COL_METRIC = 18,
    COL_RECOVERED = 28,
    COL_BARS = 38
};

struct figures {
    double kept, metric, recovered;
    bool measured;
};

static struct figures figures_of(const struct ew_app *a,
                                 const struct ew_tradeoff_row *row)
{
    const struct ew_measured *m = ew_tradeoff_at(a, row->tau);
    double full = ew_score_metric(&a->ready.full, a->metric);
    double empty = ew_score_metric(&a->ready.empty, a->metric);
    struct figures f = {.measured = m != NULL};
    f.kept = m ? m->n_kept : row->kept;
    f.metric = m ? ew_score_metric(&m->score, a->metric)
                 : ew_score_metric(&a->now, a->metric) + row->shift;
    f.recovered =
        fabs(full - empty) < 1e-6 ? NAN : (f.metric - empty) / (full - empty);
    return f;
}

/* A figure of a guess has a "~" before it and is dim. */
static void put_figure(struct ew_area area, int y, int x, int cols,
                       bool measured, const char *text)
{
    char shown[EW_FIGURE_SIZE + 2];
    snprintf(shown, sizeof(shown), "%s%s", measured ? "" : "~", text);
    ew_put_right(area, y, x, cols, ew_style(measured ? EW_R_VALUE : EW_R_DIM),
                 shown);
}

static void put_bar(struct ew_area area, int y, int x, int cols, double share,
                    enum ew_ink ink)
{
    share = isnan(share) || share < 0 ? 0.0 : share > 1 ? 1.0 : share;
    int eighths = (int)lround(share * cols * 8.0);
    for (int i = 0; i < cols && eighths > 0; i++, eighths -= 8) {
        ew_put(area, y, x + i, ew_style(ink), ew_block_h(area, eighths));
    }
}

static int bar_cols(const struct ew_area *area)
{
    int cols = (area->rect.cols - COL_BARS - 12) / 2;
    return cols < 4 ? 0 : cols > 24 ? 24 : cols;
}

static void draw_row(struct ew_app *a, struct ew_area area, int y,
                     const struct ew_tradeoff_row *row, bool here, bool focused)
{
    char text[EW_FIGURE_SIZE];
    struct figures f = figures_of(a, row);
    bool ld = a->metric == EW_METRIC_LOGIT_DIFF;
    snprintf(text, sizeof(text), "%.3g", row->tau);
    ew_put_right(area, y, COL_TAU, 7, ew_style(here ? EW_R_NAME : EW_R_NODE),
                 text);
    put_figure(area, y, COL_EDGES, 9, f.measured,
               ew_figure_count(text, (uint64_t)f.kept));
    put_figure(area, y, COL_METRIC, 9, f.measured,
               ew_figure(text, ld ? -f.metric : f.metric));
    put_figure(area, y, COL_RECOVERED, 9, f.measured,
               ew_figure_percent(text, f.recovered));
    int cols = bar_cols(&area);
    int x = COL_BARS + 1;
    if (cols > 0) {
        double all = ew_graph_n_edges(a->graph);
        put_bar(area, y, x, cols, f.kept / all,
                f.measured ? EW_R_POS3 : EW_R_POS1);
        put_bar(area, y, x + cols + 1, cols, f.recovered,
                f.measured ? EW_R_KEPT : EW_R_CUT);
        x += 2 * cols + 2;
    }
    if (f.measured) {
        ew_put(area, y, x, ew_style(EW_R_GOOD), "measured");
    }
    if (here) {
        ew_put(area, y, 0, ew_style(EW_R_NAME), ew_glyph(area, EW_G_CURSOR));
        ew_tint(area, y, 0, 1, area.rect.cols,
                focused ? EW_R_SELECT_BG : EW_R_SELECT_DIM_BG);
    }
}

static void draw_header(struct ew_app *a, struct ew_area area)
{
    struct ew_style head = ew_style(EW_R_HEADER);
    bool ld = a->metric == EW_METRIC_LOGIT_DIFF;
    ew_put_right(area, 0, COL_TAU, 7, head, "tau");
    ew_put_right(area, 0, COL_EDGES, 9, head, "edges");
    ew_put_right(area, 0, COL_METRIC, 9, head,
                 ld ? "LD" : ew_metric_short(a->metric));
    ew_put_right(area, 0, COL_RECOVERED, 9, head, "recovered");
    int cols = bar_cols(&area);
    if (cols > 0) {
        ew_put_n(area, 0, COL_BARS + 1, cols, head, "edges");
        ew_put_n(area, 0, COL_BARS + 2 + cols, cols, head, "recovered");
    }
}

static void draw_note(struct ew_app *a, struct ew_area area, int y,
                      uint32_t unknown)
{
    char n[EW_FIGURE_SIZE];
    if (unknown > 0) {
        ew_putf(area, y, 1, ew_style(EW_R_WARN),
                "~ guessed: effects added up, %s edges not tested yet",
                ew_figure_count(n, unknown));
    } else {
        ew_put(area, y, 1, ew_style(EW_R_DIM),
               "~ guessed: effects added up; A measures");
    }
}

/* Between the header and the note. */
static int rows_within(int rows)
{
    return rows - 2 > EW_TRADEOFF_ROWS ? EW_TRADEOFF_ROWS : rows - 2;
}

static void tradeoff_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    int n = rows_within(area.rect.rows);
    if (n < 1 || a->load != EW_LOADED) {
        ew_put(area, 0, 1, ew_style(EW_R_DIM), "no engine yet");
        return;
    }
    const struct ew_tradeoff_row *rows = ew_tradeoff_rows(a, (size_t)n);
    draw_header(a, area);
    for (int y = 0; y < n; y++) { /* the lowest at the bottom */
        draw_row(a, area, y + 1, &rows[n - 1 - y], y == n / 2, focused);
    }
    draw_note(a, area, n + 1, rows[0].unknown);
}

static void tradeoff_title(struct ew_app *a, struct ew_buf *title,
                           struct ew_buf *note)
{
    ew_buf_printf(title, "trade-off  tau %g", a->acdc.threshold);
    ew_buf_add(note, "moving moves tau");
}

static bool tradeoff_act(struct ew_app *a, enum ew_action action, int rows)
{
    if (action != EW_DO_UP && action != EW_DO_DOWN) {
        return false;
    }
    ew_edit_threshold(a, action == EW_DO_UP ? 1 : -1);
    return true;
}

static void tradeoff_click(struct ew_app *a, const struct ew_click *c)
{
    int n = rows_within(c->rows);
    if (c->y >= 1 && c->y <= n) {
        ew_edit_threshold(a, n / 2 - (c->y - 1));
    }
}

const struct ew_view_ops ew_view_tradeoff = {
    .name = "trade-off",
    .about = "How many edges and how much of the metric each threshold leaves: "
             "measured, or, with ~, guessed by adding up the effects that are "
             "known.",
    .keys = {{EW_DO_DOWN, "a lower tau"},
             {EW_DO_UP, "a higher tau"},
             {EW_DO_ACDC_RUN, "measure the one under the cursor"}},
    .title = tradeoff_title,
    .draw = tradeoff_draw,
    .act = tradeoff_act,
    .click = tradeoff_click,
};
