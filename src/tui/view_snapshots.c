/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots, and how the one under the cursor differs from the present
 * circuit or from another snapshot: edges only here, only there, and the
 * metric. Enter goes to it.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "app.h"
#include "theme.h"

static const struct ew_snapshot *base(const struct ew_app *a)
{
    const struct ew_session *s = &a->session;
    return s->base >= 0 && s->base < (long)s->n ? &s->items[s->base] : NULL;
}

static double metric_of(const struct ew_app *a, const struct ew_score *score)
{
    double value = ew_score_metric(score, a->metric);
    return a->metric == EW_METRIC_LOGIT_DIFF ? -value : value;
}

static double base_metric(const struct ew_app *a)
{
    const struct ew_snapshot *b = base(a);
    return b                      ? metric_of(a, &b->score)
           : a->now_gen == a->gen ? metric_of(a, &a->now)
                                  : NAN;
}

static void draw_snapshot(struct ew_app *a, struct ew_area area, int y,
                          size_t i)
{
    const struct ew_snapshot *snap = &a->session.items[i];
    char text[EW_FIGURE_SIZE];
    bool here = snap->revision == ew_circuit_revision(a->circuit);
    double metric = metric_of(a, &snap->score);
    ew_put(area, y, 1, ew_style(EW_R_NAME),
           here ? ew_glyph(area, EW_G_CURSOR) : " ");
    ew_put_n(area, y, 3, 11, ew_style(here ? EW_R_NAME : EW_R_NODE),
             snap->name);
    ew_put_right(area, y, 14, 8, ew_style(EW_R_DIM),
                 ew_figure_count(text, snap->n_kept));
    ew_put_right(area, y, 23, 8, ew_style(EW_R_VALUE), ew_figure(text, metric));
    double change = ew_without_noise(metric - base_metric(a), metric);
    bool better = a->metric == EW_METRIC_LOGIT_DIFF ? change > 0 : change < 0;
    ew_put_right(area, y, 32, 8, ew_style(better ? EW_R_POS3 : EW_R_NEG3),
                 ew_figure_signed(text, change));
}

/* Edges in `in` and not in `out`, rows [row, row + rows) of a column at x:
 * their number, then those past `skip`. How many there are. */
static size_t draw_only(struct ew_app *a, struct ew_area area, int row,
                        int rows, int x, int cols, const struct ew_bitset *in,
                        const struct ew_bitset *out, const char *title)
{
    char name[EW_NAME_SIZE];
    size_t n = 0;
    size_t skip = (size_t)a->snapshots_skip;
    size_t size = ew_bitset_size(in);
    for (size_t e = ew_bitset_next(in, 0); e < size;
         e = ew_bitset_next(in, e + 1)) {
        if (ew_bitset_has(out, e)) {
            continue;
        }
        if (n >= skip && n - skip < (size_t)(rows - 1)) {
            ew_put_n(area, row + 1 + (int)(n - skip), x, cols,
                     ew_style(EW_R_NODE),
                     ew_name_of_edge(name, a->graph, (uint32_t)e));
        }
        n++;
    }
    struct ew_area head = ew_area_sub(area, row, x, 1, cols);
    if (skip > 0 && skip < n) {
        ew_putf(head, 0, 0, ew_style(EW_R_HEADER), "%s: %zu, from %zu", title,
                n, skip + 1);
    } else {
        ew_putf(head, 0, 0, ew_style(EW_R_HEADER), "%s: %zu", title, n);
    }
    return n;
}

static void draw_difference(struct ew_app *a, struct ew_area area, int y)
{
    const struct ew_snapshot *snap = &a->session.items[a->snapshots_list.cur];
    const struct ew_snapshot *other = base(a);
    bool itself = other == snap; /* then what is now stands in for it */
    struct ew_bitset *mine = ew_kept_at(
        a, itself ? ew_circuit_revision(a->circuit) : snap->revision);
    struct ew_bitset *theirs = ew_kept_at(
        a, other ? other->revision : ew_circuit_revision(a->circuit));
    char title[64];
    int cols = area.rect.cols / 2 - 2;
    int rows = area.rect.rows - y;
    snprintf(title, sizeof(title), "only in %.24s",
             itself ? "now" : snap->name);
    size_t n_mine = draw_only(a, area, y, rows, 1, cols, mine, theirs, title);
    snprintf(title, sizeof(title), "only in %.24s",
             other ? other->name : "now");
    size_t n_theirs =
        draw_only(a, area, y, rows, cols + 3, cols, theirs, mine, title);
    a->snapshots_differ = (long)(n_mine > n_theirs ? n_mine : n_theirs);
    ew_bitset_destroy(mine);
    ew_bitset_destroy(theirs);
}

static void snapshots_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    struct ew_style head = ew_style(EW_R_HEADER);
    long n = (long)a->session.n;
    if (n == 0) {
        ew_put_words(area, 0, 1, area.rect.cols - 2, ew_style(EW_R_DIM),
                     "no snapshots: ':snapshot NAME' keeps the circuit as it "
                     "is, under a name");
        return;
    }
    int rows = (area.rect.rows - 2) / 2;
    rows = rows < 1 ? 1 : n < rows ? (int)n : rows;
    ew_list_fit(&a->snapshots_list, n, rows);
    ew_put(area, 0, 3, head, "snapshot");
    ew_put_right(area, 0, 14, 8, head, "edges");
    ew_put_right(
        area, 0, 23, 8, head,
        a->metric == EW_METRIC_LOGIT_DIFF ? "LD" : ew_metric_short(a->metric));
    char against[32];
    snprintf(against, sizeof(against), "vs %.24s",
             base(a) ? base(a)->name : "now");
    ew_put_n(area, 0, 34, area.rect.cols - 35, head, against);
    for (int y = 0; y < rows && a->snapshots_list.top + y < n; y++) {
        long i = a->snapshots_list.top + y;
        draw_snapshot(a, area, y + 1, (size_t)i);
        if (i == a->snapshots_list.cur) {
            ew_tint(area, y + 1, 0, 1, area.rect.cols,
                    focused ? EW_R_SELECT_BG : EW_R_SELECT_DIM_BG);
        }
    }
    if (rows + 2 < area.rect.rows) {
        draw_difference(a, area, rows + 2);
    }
}

static void snapshots_title(struct ew_app *a, struct ew_buf *title,
                            struct ew_buf *note)
{
    ew_buf_add(title, "snapshots");
    ew_buf_add(note, "Enter goes there");
}

static bool snapshots_act(struct ew_app *a, enum ew_action action, int rows)
{
    long n = (long)a->session.n;
    if (n == 0) {
        return false;
    }
    if (ew_list_act(&a->snapshots_list, n, rows / 2, action)) {
        a->snapshots_skip = 0;
        return true;
    }
    if (action == EW_DO_LEFT || action == EW_DO_RIGHT) {
        long step = rows / 4 > 1 ? rows / 4 : 1;
        long to = a->snapshots_skip + (action == EW_DO_LEFT ? -step : step);
        to = to < a->snapshots_differ ? to : a->snapshots_skip;
        a->snapshots_skip = to > 0 ? to : 0;
        return true;
    }
    if (action != EW_DO_OPEN) {
        return false;
    }
    const struct ew_snapshot *snap = &a->session.items[a->snapshots_list.cur];
    if (ew_edit_may(a) && snap->revision != ew_circuit_revision(a->circuit)) {
        ew_circuit_checkout(a->circuit, snap->revision);
        ew_edit_changed(a);
        ew_notice(a, false, "at snapshot %s", snap->name);
    }
    return true;
}

const struct ew_view_ops ew_view_snapshots = {
    .name = "snapshots",
    .about = "Named circuits, how far each is from the one it is compared "
             "with, and the edges that only one of the two has.",
    .keys = {{EW_DO_OPEN, "go to that circuit"},
             {EW_DO_SNAPSHOT, "name the circuit as it is now"},
             {EW_DO_RIGHT, "more of the edges that differ"},
             {EW_DO_COMPARE, "compare with the one under the cursor"}},
    .title = snapshots_title,
    .draw = snapshots_draw,
    .act = snapshots_act,
    .list = offsetof(struct ew_app, snapshots_list),
    .head = 1,
};
