/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the edge under the cursor acts: its effect when it is cut (or
 * restored) everywhere, at the positions of each role of the task, and at
 * each position alone, with the tokens of the prompt under the cursor.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "edgewise/mem.h"

#include "app.h"
#include "theme.h"

/* Columns. */
enum { TOKEN = 5, TOKEN_COLS = 12, ROLE = 18, ROLE_COLS = 9, EFFECT = 27 };

void ew_where_event(struct ew_app *a, const struct ew_ev_where *e, uint64_t gen)
{
    struct ew_where *w = &a->where;
    if (e->edge != w->edge || e->n_all != w->n || w->gen != gen) {
        free(w->places);
        w->places = ew_xcalloc(e->n_all ? e->n_all : 1, sizeof(*w->places));
        w->n = e->n_all;
        w->edge = e->edge;
        w->gen = gen;
        for (size_t i = 0; i < w->n; i++) {
            w->places[i].effect = NAN;
        }
    }
    for (size_t i = 0; i < e->n && e->at + i < w->n; i++) {
        w->places[e->at + i] = e->items[i];
    }
}

/* Is what is known of the edge under the cursor? */
static bool fits(struct ew_app *a)
{
    return a->where.n > 0 && a->where.edge == ew_rows_edge(a);
}

static const char *token_of(const struct ew_app *a, int position)
{
    long p = a->prompt_list.cur;
    if (!a->task || p < 0 || p >= (long)a->task->n_prompts || position < 0 ||
        position >= a->task->prompts[p].length) {
        return "";
    }
    const char *token = a->task->prompts[p].tokens[position];
    return token + (*token == ' ');
}

struct columns {
    int se, bar, bar_cols;
    double full;
};

static struct columns measure(const struct ew_app *a, int cols, double whole)
{
    struct columns c = {.full = fabs(whole)};
    int x = EFFECT + 10;
    if (a->metric == EW_METRIC_LOGIT_DIFF && cols >= 54) {
        c.se = x;
        x += 8;
    }
    c.bar = x;
    c.bar_cols = cols - x - 2;
    c.bar_cols = c.bar_cols < 0 ? 0 : c.bar_cols > 24 ? 24 : c.bar_cols;
    for (size_t i = 0; i < a->where.n; i++) {
        c.full = fmax(c.full, fabs((double)a->where.places[i].effect));
    }
    return c;
}

static void draw_effect(struct ew_area area, int y, const struct columns *c,
                        double effect, double se, bool stale)
{
    char text[EW_FIGURE_SIZE];
    char error[EW_FIGURE_SIZE + 4];
    if (isnan(effect)) {
        ew_put_right(area, y, EFFECT, 9, ew_style(EW_R_FAINT),
                     ew_glyph(area, EW_G_ELLIPSIS));
        return;
    }
    int step = ew_ramp_step(effect, c->full);
    struct ew_style style = ew_style(stale ? EW_R_FAINT : ew_ramp_text(step));
    ew_put_right(area, y, EFFECT, 9, style, ew_figure_signed(text, effect));
    if (c->se && !isnan(se) && effect != 0.0) {
        snprintf(error, sizeof(error), "%s%s", ew_glyph(area, EW_G_PLUSMINUS),
                 ew_figure(text, se));
        ew_put_right(area, y, c->se, 7, ew_style(EW_R_DIM), error);
    }
    int eighths = c->full > 0
                      ? (int)(fabs(effect) / c->full * c->bar_cols * 8.0 + 0.5)
                      : 0;
    for (int i = 0; i < c->bar_cols && eighths > 0; i++, eighths -= 8) {
        ew_put(area, y, c->bar + i, style, ew_block_h(area, eighths));
    }
}

static void draw_place(const struct ew_app *a, struct ew_area area, int y,
                       const struct columns *c, const struct ew_place *place)
{
    char text[EW_FIGURE_SIZE];
    if (place->position >= 0) {
        snprintf(text, sizeof(text), "%d", place->position);
        ew_put_right(area, y, 0, 4, ew_style(EW_R_FAINT), text);
        ew_put_n(area, y, TOKEN, TOKEN_COLS, ew_style(EW_R_NODE),
                 token_of(a, place->position));
    }
    ew_put_n(area, y, ROLE, ROLE_COLS,
             ew_style(place->position < 0 ? EW_R_NAME : EW_R_DIM),
             place->roles);
    /* what rounding leaves is nothing */
    double effect = ew_without_noise((double)place->effect,
                                     ew_score_metric(&a->now, a->metric));
    draw_effect(area, y, c, effect, (double)place->se, a->where.gen != a->gen);
}

static void draw_whole(struct ew_app *a, struct ew_area area, int y,
                       const struct columns *c,
                       const struct ew_known_edge *known, bool stale)
{
    ew_put(area, y, TOKEN, ew_style(EW_R_NODE), "everywhere");
    draw_effect(area, y, c, (double)known->effect, (double)known->se, stale);
}

static void where_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    uint32_t edge = ew_rows_edge(a);
    if (edge == EW_NONE) {
        ew_put(area, 1, 2, ew_style(EW_R_DIM), "choose an edge");
        return;
    }
    if (!fits(a)) {
        ew_put(area, 1, 2, ew_style(EW_R_FAINT), ew_glyph(area, EW_G_ELLIPSIS));
        return;
    }
    struct ew_known_edge known;
    bool stale;
    bool is_known = ew_edge_known(a, edge, &known, &stale);
    known.effect = is_known ? known.effect : NAN;
    struct columns c =
        measure(a, area.rect.cols, is_known ? (double)known.effect : 0.0);
    struct ew_style head = ew_style(EW_R_HEADER);
    ew_put_right(area, 0, 0, 4, head, "pos");
    ew_put(area, 0, TOKEN, head, "token");
    ew_put(area, 0, ROLE, head, "role");
    ew_put_right(area, 0, EFFECT, 9, head, "effect");
    if (c.se) {
        ew_put_right(area, 0, c.se, 7, head, "se");
    }
    long n = (long)a->where.n + 1;
    int rows = area.rect.rows - 1;
    ew_list_fit(&a->where.list, n, rows);
    for (int y = 0; y < rows && a->where.list.top + y < n; y++) {
        long i = a->where.list.top + y;
        if (i == 0) {
            draw_whole(a, area, y + 1, &c, &known, stale);
        } else {
            draw_place(a, area, y + 1, &c, &a->where.places[i - 1]);
        }
        if (focused && i == a->where.list.cur) {
            ew_tint(area, y + 1, 0, 1, area.rect.cols, EW_R_SELECT_BG);
        }
    }
    ew_draw_scroll(area, 1, a->where.list.top, rows, n);
}

static void where_title(struct ew_app *a, struct ew_buf *title,
                        struct ew_buf *note)
{
    char name[EW_NAME_SIZE];
    uint32_t edge = ew_rows_edge(a);
    if (edge == EW_NONE) {
        ew_buf_add(title, "where");
        return;
    }
    ew_buf_printf(title, "where %s acts",
                  ew_name_of_edge(name, a->graph, edge));
    ew_buf_printf(note, "%s at one place",
                  ew_edge_kept(a, edge) ? "cut" : "restored");
}

/* Left and right go through the prompts whose tokens are shown. */
static bool where_act(struct ew_app *a, enum ew_action action, int rows)
{
    long n = a->task ? (long)a->task->n_prompts : 0;
    if (n > 0 && (action == EW_DO_LEFT || action == EW_DO_RIGHT)) {
        long step = action == EW_DO_RIGHT ? 1 : n - 1;
        a->prompt_list.cur = (a->prompt_list.cur + step) % n;
        return true;
    }
    return ew_list_act(&a->where.list, (long)a->where.n + 1, rows - 1, action);
}

const struct ew_view_ops ew_view_where = {
    .name = "where",
    .about = "The effect of cutting the edge under the cursor at the positions "
             "of one role of the task, and at each position alone.",
    .keys = {{EW_DO_RIGHT, "the next prompt's tokens beside it"}},
    .title = where_title,
    .draw = where_draw,
    .act = where_act,
    .list = offsetof(struct ew_app, where.list),
    .head = 1,
};
