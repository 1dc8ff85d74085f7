/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The circuit as Graphviz draws it: as pixels where the terminal takes them,
 * else as blocks. Laid out beside the engine whenever the circuit has
 * changed; + and - go nearer and back, movement moves.
 */
#include <stdio.h>
#include <stdlib.h>

#include "edgewise/export.h"
#include "edgewise/mem.h"

#include "app.h"
#include "theme.h"

/* Lines that are too many to be laid out; 0: they are not. */
static uint32_t too_many(const struct ew_app *a)
{
    uint32_t n = ew_dot_n_lines(a->circuit, NULL);
    return n > EW_DOT_MAX_LINES ? n : 0;
}

void ew_picture_update(struct ew_app *a)
{
    struct ew_picture *p = &a->picture;
    if (!ew_view_shown(a, &ew_view_picture) || p->asked || a->acdc.running ||
        !a->ports.draw_picture || p->gen == a->gen || too_many(a)) {
        return;
    }
    p->asked = a->gen;
    a->ports.draw_picture(a->ports.user, ew_edit_copy(a),
                          a->groups ? ew_groups_clone(a->groups) : NULL,
                          a->gen);
}

void ew_picture_event(struct ew_app *a, struct ew_ev_picture *e, uint64_t gen)
{
    struct ew_picture *p = &a->picture;
    p->asked = 0;
    if (e->err.code == EW_ERR_CANCELLED) {
        return; /* an export was meant: it is asked for again */
    }
    p->gen = gen;
    p->serial++;
    ew_raster_finish(&p->raster);
    p->raster = e->raster; /* taken */
    e->raster = (struct ew_raster){0};
    p->err = e->err;
}

/* The window, from the cells of the last time where nothing has changed:
 * choosing blocks takes longer than all the rest of a frame. */
static void draw_window(struct ew_picture *p, struct ew_area area)
{
    struct ew_drawn *d = &p->drawn;
    struct ew_rect r = area.rect;
    if (d->cells && d->rows == r.rows && d->cols == r.cols &&
        d->serial == p->serial && d->theme == ew_theme() &&
        d->plain == p->plain && d->look.x == p->look.x &&
        d->look.y == p->look.y && d->look.zoom == p->look.zoom) {
        for (int i = 0; i < r.rows * r.cols; i++) {
            ew_put(area, i / r.cols, i % r.cols, d->cells[i].style,
                   d->cells[i].text);
        }
        return;
    }
    ew_mosaic_draw(area, &p->raster, &p->look, p->plain);
    d->cells =
        ew_xrealloc(d->cells, (size_t)(r.rows * r.cols), sizeof(*d->cells));
    for (int i = 0; i < r.rows * r.cols; i++) {
        d->cells[i] =
            *ew_surface_at(area.surface, r.y + i / r.cols, r.x + i % r.cols);
    }
    d->rows = r.rows;
    d->cols = r.cols;
    d->look = p->look;
    d->serial = p->serial;
    d->theme = ew_theme();
    d->plain = p->plain;
}

void ew_picture_finish(struct ew_picture *p)
{
    ew_raster_finish(&p->raster);
    free(p->drawn.cells);
}

static void picture_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    (void)focused;
    struct ew_picture *p = &a->picture;
    uint32_t n = too_many(a);
    if (n > 0) {
        ew_putf(area, 1, 2, ew_style(EW_R_DIM),
                "%u lines are too many to lay out: cut some (A runs ACDC)",
                (unsigned)n);
        return;
    }
    if (p->gen == a->gen && p->err.code != EW_OK) {
        ew_put(area, 1, 2, ew_style(EW_R_WARN), p->err.message);
        return;
    }
    if (!p->raster.rgba) {
        ew_put(area, 1, 2, ew_style(EW_R_FAINT), "Graphviz lays it out ...");
        return;
    }
    if (p->pixels != EW_PIXELS_NONE) {
        p->rect = area.rect; /* the terminal shows it there */
    } else {
        draw_window(p, area);
    }
}

static void picture_title(struct ew_app *a, struct ew_buf *title,
                          struct ew_buf *note)
{
    const struct ew_picture *p = &a->picture;
    ew_buf_add(title, "circuit, laid out");
    if (p->raster.rgba && p->gen != a->gen) {
        ew_buf_add(note, "an older one");
    } else if (p->look.zoom > 1) {
        ew_buf_printf(note, "%.1f times", p->look.zoom);
    } else {
        ew_buf_add(note, "+ nearer");
    }
}

static bool picture_act(struct ew_app *a, enum ew_action action, int rows)
{
    (void)rows;
    struct ew_look *look = &a->picture.look;
    double step = 0.25 / look->zoom;
    switch (action) {
    case EW_DO_UNFOLD:
    case EW_DO_FOLD:
        look->zoom *= action == EW_DO_UNFOLD ? 1.5 : 1 / 1.5;
        break;
    case EW_DO_UNFOLD_ALL:
        *look = (struct ew_look){0.5, 0.5, 1};
        break;
    case EW_DO_UP:
    case EW_DO_DOWN:
        look->y += action == EW_DO_DOWN ? step : -step;
        break;
    case EW_DO_LEFT:
    case EW_DO_RIGHT:
        look->x += action == EW_DO_RIGHT ? step : -step;
        break;
    case EW_DO_TOP:
    case EW_DO_BOTTOM:
        look->y = action == EW_DO_BOTTOM;
        break;
    default:
        return false;
    }
    return true;
}

const struct ew_view_ops ew_view_picture = {
    .name = "picture",
    .about = "The circuit as Graphviz lays it out: in pixels where the "
             "terminal takes those of kitty or sixel, else in blocks.",
    .keys = {{EW_DO_UNFOLD, "nearer"},
             {EW_DO_FOLD, "back"},
             {EW_DO_UNFOLD_ALL, "all of it"}},
    .title = picture_title,
    .draw = picture_draw,
    .act = picture_act,
};
