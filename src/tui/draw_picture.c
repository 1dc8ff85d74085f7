/* SPDX-License-Identifier: Apache-2.0 */
/* A circuit laid out and drawn as pixels; not on the screen's thread. */
#include <stdlib.h>

#include "edgewise/export.h"

#include "worker.h"

void ew_draw_picture(const struct ew_circuit *c, const struct ew_groups *groups,
                     struct ew_ev_picture *out, const struct ew_cancel *cancel)
{
    struct ew_buf dot = {0};
    struct ew_buf png = {0};
    struct ew_dot_params params = {.groups = groups, .no_legend = true};
    *out = (struct ew_ev_picture){.err = {.code = EW_OK}};
    struct ew_err err = {0};
    ew_dot_print(&dot, c, &params);
    if (!ew_graphviz_render(&png, ew_buf_str(&dot), "png", 0, cancel, &err) ||
        !ew_raster_from_png(&out->raster, png.data, png.len, &err)) {
        out->err = err;
    }
    ew_buf_finish(&dot);
    ew_buf_finish(&png);
}

void ew_ev_picture_free(void *body)
{
    struct ew_ev_picture *e = body;
    ew_raster_finish(&e->raster);
    free(e);
}
