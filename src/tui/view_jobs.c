/* SPDX-License-Identifier: Apache-2.0 */
/* What is computed, what waits, what is done: a line each, with its share. */
#include <stdio.h>

#include "app.h"
#include "theme.h"

enum { NAME = 2, BAR = 13, BAR_COLS = 16, TEXT_COLS = 36 };

struct job {
    const char *name;
    size_t done, total; /* 0 of 0: nothing to do */
    bool running;
    char text[512];
};

static void draw_job(struct ew_area area, int y, const struct job *j)
{
    bool done = j->total > 0 && j->done >= j->total;
    enum ew_glyph glyph = done         ? EW_G_KEPT
                          : j->running ? EW_G_HALF
                          : j->total   ? EW_G_CUT
                                       : EW_G_DOT;
    enum ew_ink ink = done ? EW_R_GOOD : j->running ? EW_R_WARN : EW_R_FAINT;
    ew_put(area, y, 0, ew_style(ink), ew_glyph(area, glyph));
    ew_put(area, y, NAME, ew_style(j->total ? EW_R_NODE : EW_R_DIM), j->name);
    int room = area.rect.cols - BAR - TEXT_COLS; /* words come first */
    int cols = j->total == 0 || room < 4 ? 0
               : room > BAR_COLS         ? BAR_COLS
                                         : room;
    int full =
        cols ? (int)((double)j->done / (double)j->total * cols + 0.5) : 0;
    for (int i = 0; i < cols; i++) {
        ew_put(area, y, BAR + i, ew_style(i < full ? ink : EW_R_FAINT),
               ew_glyph(area, i < full ? EW_G_BAR_FULL : EW_G_BAR_EMPTY));
    }
    ew_put(area, y, BAR + (cols ? cols + 2 : 0), ew_style(EW_R_DIM), j->text);
}

static struct job model_job(const struct ew_app *a)
{
    struct job j = {.name = "model", .total = 1};
    char text[EW_FIGURE_SIZE];
    j.done = a->load == EW_LOADED;
    j.running = a->load == EW_LOADING;
    if (a->load == EW_LOADED) {
        snprintf(j.text, sizeof(j.text), "ready after %.1f s, %s MB",
                 a->ready.seconds,
                 ew_figure(text, (double)a->ready.memory / 1e6));
    } else {
        snprintf(j.text, sizeof(j.text), "%s",
                 a->load == EW_LOADING ? a->stage : a->load_err.message);
    }
    return j;
}

static struct job score_job(const struct ew_app *a)
{
    struct job j = {.name = "circuit", .total = 1};
    j.done = a->now_gen == a->gen;
    j.running = a->load == EW_LOADED && !j.done;
    snprintf(j.text, sizeof(j.text), "its metrics");
    return j;
}

static struct job effects_job(const struct ew_app *a)
{
    struct job j = {.name = "effects", .total = a->n_rows};
    if (a->all) { /* of any circuit: they are too many to look at each */
        j.total = ew_graph_n_edges(a->graph);
        j.done = a->n_known;
    }
    for (size_t i = 0; i < a->n_rows && !a->all; i++) {
        j.done += a->edges[a->rows[i]].gen == (uint32_t)a->gen;
    }
    j.running = a->load == EW_LOADED && !a->acdc.running;
    snprintf(j.text, sizeof(j.text), "%zu of the %zu edges listed", j.done,
             j.total);
    return j;
}

/* What the node panes show, where that is worked out node by node. */
static struct job nodes_job(const struct ew_app *a)
{
    struct job j = {.name = "nodes"};
    for (uint32_t s = 0; s < ew_logits_of(a); s++) {
        bool is = a->quantity == EW_QTY_KNOCK ||
                  (a->quantity == EW_QTY_KIND && ew_node_is_head(a, s));
        j.total += is;
        j.done += is && (a->quantity == EW_QTY_KIND
                             ? a->kinds[s].to != EW_ATTENDS_UNKNOWN
                             : a->nodes[s].gen == (uint32_t)a->gen);
    }
    j.running = a->load == EW_LOADED && !a->acdc.running;
    snprintf(j.text, sizeof(j.text), "%s",
             j.total ? ew_quantity_name(a->quantity) : "nothing beside edges");
    return j;
}

static struct job acdc_job(const struct ew_app *a)
{
    const struct ew_acdc_view *v = &a->acdc;
    struct job j = {.name = "ACDC"};
    if (!v->begun) {
        snprintf(j.text, sizeof(j.text), "not begun: a steps, A runs");
        return j;
    }
    j.done = v->n_done;
    j.total = (size_t)v->n_done + v->n_left;
    j.running = v->running || v->steps_waiting > 0;
    snprintf(j.text, sizeof(j.text), "%zu of %zu tested%s", j.done, j.total,
             v->done     ? ""
             : j.running ? ", ^C stops"
                         : ", waits for a or A");
    return j;
}

static struct job estimate_job(const struct ew_app *a)
{
    struct job j = {.name = "estimates"};
    j.total = a->estimating || a->estimates;
    j.done = a->estimates && !a->estimating;
    j.running = a->estimating;
    snprintf(j.text, sizeof(j.text), "%s",
             j.total ? ew_attribution_name(a->estimate_by)
                     : "not asked for: E");
    return j;
}

static struct job export_job(const struct ew_app *a)
{
    struct job j = {.name = "export", .total = a->exporting};
    j.running = a->exporting;
    snprintf(j.text, sizeof(j.text), "%s",
             a->exporting ? a->export_path : "none: e");
    return j;
}

static struct job picture_job(const struct ew_app *a)
{
    struct job j = {.name = "picture"};
    j.running = a->picture.asked != 0;
    j.done = a->picture.raster.rgba && a->picture.gen == a->gen;
    j.total = j.running || a->picture.raster.rgba;
    snprintf(j.text, sizeof(j.text), "%s",
             j.running      ? "Graphviz lays it out"
             : j.total == 0 ? "none: :view picture"
             : j.done == 0  ? "of an older circuit"
                            : "laid out");
    return j;
}

static void jobs_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    (void)focused;
    const struct job jobs[] = {
        model_job(a), score_job(a),    effects_job(a), nodes_job(a),
        acdc_job(a),  estimate_job(a), picture_job(a), export_job(a),
    };
    for (int i = 0; i < (int)EW_ARRAY_LEN(jobs); i++) {
        draw_job(area, i, &jobs[i]);
    }
}

static void jobs_title(struct ew_app *a, struct ew_buf *title,
                       struct ew_buf *note)
{
    (void)a;
    ew_buf_add(title, "jobs");
    ew_buf_add(note, "most wanted first");
}

const struct ew_view_ops ew_view_jobs = {
    .name = "jobs",
    .about = "What is computed, the most wanted first, and what waits.",
    .keys = {{EW_DO_CANCEL, "stop what runs"}},
    .title = jobs_title,
    .draw = jobs_draw,
};
