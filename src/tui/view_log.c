/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was told in the line above the keys, which the next message covers:
 * oldest first, with the seconds since the start.
 */
#include <stddef.h>
#include <stdio.h>

#include "app.h"
#include "theme.h"

enum { TIME = 9 };

static long first_line(const struct ew_app *a)
{
    return a->n_told > EW_TOLD ? a->n_told - EW_TOLD : 0;
}

static void log_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    long first = first_line(a);
    long n = a->n_told - first;
    if (n == 0) {
        ew_put(area, 1, 2, ew_style(EW_R_DIM), "nothing was told yet");
        return;
    }
    if (!focused) { /* the newest, unless someone reads */
        a->log_list.cur = n - 1;
    }
    ew_list_fit(&a->log_list, n, area.rect.rows);
    for (int y = 0; y < area.rect.rows && a->log_list.top + y < n; y++) {
        long i = a->log_list.top + y;
        const struct ew_told *t = &a->told[(first + i) % EW_TOLD];
        char text[32];
        snprintf(text, sizeof(text), "%.1f s", (double)t->at_ns / 1e9);
        ew_put_right(area, y, 0, TIME, ew_style(EW_R_FAINT), text);
        ew_put(area, y, TIME + 2, ew_style(t->bad ? EW_R_WARN : EW_R_NODE),
               t->text);
        if (focused && i == a->log_list.cur) {
            ew_tint(area, y, 0, 1, area.rect.cols, EW_R_SELECT_BG);
        }
    }
    ew_draw_scroll(area, 0, a->log_list.top, area.rect.rows, n);
}

static void log_title(struct ew_app *a, struct ew_buf *title,
                      struct ew_buf *note)
{
    ew_buf_add(title, "log");
    ew_buf_printf(note, "%ld told", a->n_told);
}

static bool log_act(struct ew_app *a, enum ew_action action, int rows)
{
    return ew_list_act(&a->log_list, a->n_told - first_line(a), rows, action);
}

const struct ew_view_ops ew_view_log = {
    .name = "log",
    .about = "The messages of the line above the keys.",
    .title = log_title,
    .draw = log_draw,
    .act = log_act,
    .list = offsetof(struct ew_app, log_list),
};
