/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The definitions in force: everything that a number on the screen depends
 * on, in words, so that a figure can be quoted without guessing.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

enum { LABEL_COLS = 13 };

static void add(struct ew_buf *out, const char *label, const char *fmt, ...)
    EW_PRINTF(3, 4);

static void add(struct ew_buf *out, const char *label, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ew_buf_printf(out, "%s\t%s\n", label, text);
}

static const char *ablation_words(enum ew_ablation ablation)
{
    switch (ablation) {
    case EW_ABLATE_CORRUPTED:
        return "the sender's value in the corrupted run";
    case EW_ABLATE_ZERO:
        return "zero";
    case EW_ABLATE_MEAN:
        return "the sender's mean over the corrupted prompts, by position";
    }
    return "";
}

static void describe_graph(const struct ew_app *a, struct ew_buf *out)
{
    const struct ew_graph_spec *spec = ew_graph_spec(a->graph);
    char n[5][EW_FIGURE_SIZE];
    add(out, "model", "%s: %d layers, %d heads%s%s%s", a->model_name,
        spec->n_layers, spec->n_heads, spec->has_mlp ? ", MLPs" : "",
        spec->parallel ? ", attention and MLP in parallel" : "",
        spec->split_embed ? ", split embedding" : "");
    if (a->arch.post_norms) {
        add(out, "post-norms",
            "heads of one layer are summed per receiver, then normed: their "
            "effects do not add up");
    }
    if (a->ready.model_hash[0]) {
        add(out, "weights", "%s, %s", a->ready.model_hash,
            a->params.processing == EW_WEIGHTS_TL
                ? "processed as TransformerLens does: norms folded, writers "
                  "and unembedding centred, value biases folded"
                : "raw: nothing folded or centred");
    }
    add(out, "edges",
        "%s as ACDC counts = %s additions + %s direct (q_in->q, ...); %s "
        "placeholders are never cut nor counted; EAP-IG and MIB count the "
        "additions",
        ew_figure_count(n[0], ew_graph_n_edges(a->graph)),
        ew_figure_count(n[1], ew_graph_n_addition(a->graph)),
        ew_figure_count(n[2], ew_graph_n_direct(a->graph)),
        ew_figure_count(n[3], ew_graph_n_placeholder(a->graph)));
    add(out, "kept", "%s",
        ew_figure_count(n[4], ew_circuit_n_kept(a->circuit)));
}

static void describe_task(const struct ew_app *a, struct ew_buf *out)
{
    const struct ew_ev_ready *r = &a->ready;
    char text[EW_FIGURE_SIZE];
    if (a->load != EW_LOADED) {
        add(out, "task", "%s (not loaded yet)", a->task_name);
        return;
    }
    add(out, "task", "%s: %zu prompts of up to %zu tokens, %s", r->task,
        r->n_prompts, r->n_pos, r->bos[0] ? r->bos : "BOS policy unknown");
    add(out, "corruption", "%s", r->corruption[0] ? r->corruption : "-");
    add(out, "scored",
        "%zu positions in all (KL, NLL, accuracy); the logit "
        "difference at each prompt's answer position",
        r->n_scored);
    add(out, "computed on", "%s%s%s, ready after %.1f s, %s MB", r->device,
        r->torch[0] ? ", libtorch " : "", r->torch, r->seconds,
        ew_figure(text, (double)r->memory / 1e6));
}

static void describe(const struct ew_app *a, struct ew_buf *out)
{
    if (a->load == EW_LOAD_FAILED) {
        add(out, "no engine", "%s", a->load_err.message);
    }
    describe_graph(a, out);
    describe_task(a, out);
    add(out, "a cut edge",
        "carries %s (%s ablation); a cut direct edge "
        "pins q, k or v to the corrupted run's",
        ablation_words(a->params.engine.ablation),
        ew_ablation_name(a->params.engine.ablation));
    add(out, "metric", "%s, minimised; M changes it",
        ew_metric_formula(a->metric));
    add(out, "effect",
        "metric without the edge minus metric with it, "
        "everything else as it now is; + = the edge is "
        "needed. Exact");
    if (a->estimates) {
        add(out, "estimate",
            "of the effect in the full model, by %s: gradients, not a run",
            ew_attribution_name(a->estimate_by));
    }
    add(out, "se", "standard error of the effect over prompts");
    add(out, "direct", "effect of the node's edge to logits alone");
    add(out, "knock-out", "effect of cutting all edges out of the node");
    add(out, "LD",
        "logit difference: mean over prompts of answer minus "
        "wrong answer");
    add(out, "recovered",
        "(m(circuit) - m(empty)) / (m(full) - m(empty)), "
        "a ratio of means (MIB's faithfulness); may exceed "
        "100%%");
    add(out, "ACDC",
        "tau %g: an edge goes when its effect is below tau "
        "(signed, strict); receivers from the output "
        "backwards, senders latest first, heads from 0 up",
        a->acdc.threshold);
}

/* One entry wrapped after its label; returns the rows it takes. */
static int draw_entry(struct ew_area area, int y, const char *label,
                      const char *text, bool draw)
{
    int cols = area.rect.cols - LABEL_COLS - 2;
    struct ew_area none = ew_area_sub(area, 0, 0, 0, 0);
    if (draw) {
        ew_put_n(area, y, 1, LABEL_COLS - 1, ew_style(EW_R_HEADER), label);
    }
    int rows = ew_put_words(draw ? area : none, y, LABEL_COLS + 1, cols,
                            ew_style(EW_R_NODE), text);
    return rows ? rows : 1;
}

static void info_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    struct ew_buf text = {0};
    describe(a, &text);
    struct ew_list *list = &a->popup_list;
    long top = a->popup == EW_POPUP_INFO ? list->top : 0;
    long total = 0;
    for (int pass = 0; pass < 2; pass++) {
        int y = (int)-top;
        char *line = text.data;
        while (line && *line) {
            char *tab = strchr(line, '\t');
            char *end = strchr(line, '\n');
            *tab = '\0';
            *end = '\0';
            y += draw_entry(area, y, line, tab + 1, pass == 1);
            *tab = '\t';
            *end = '\n';
            line = end + 1;
        }
        total = y + top;
        long max = total > area.rect.rows ? total - area.rect.rows : 0;
        top = top < 0 ? 0 : top > max ? max : top;
    }
    if (a->popup == EW_POPUP_INFO) {
        list->top = top;
    }
    ew_draw_scroll(area, 0, top, area.rect.rows, total);
    ew_buf_finish(&text);
}

static void info_title(struct ew_app *a, struct ew_buf *title,
                       struct ew_buf *note)
{
    ew_buf_add(title, "definitions in force");
    ew_buf_add(note, "i: all of it");
}

const struct ew_view_ops ew_view_info = {
    .name = "definitions",
    .about = "What the figures mean: they go into every export too.",
    .title = info_title,
    .draw = info_draw,
};
