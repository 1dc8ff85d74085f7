/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines above and below the panes: the definition badge (what every
 * number on the screen means), the two status lines, the footer of keys.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/path.h"

#include "app.h"
#include "theme.h"

const char *ew_metric_short(enum ew_metric metric)
{
    static const char *const names[EW_N_METRICS] = {
        "KL", "KL/V", "-P diff", "-docstring", "-LD", "NLL", "-accuracy"};
    return names[metric];
}

/* ---- badge ---- */

static int badge_part(struct ew_area area, int x, int right, const char *key,
                      const char *text)
{
    struct ew_style plain = ew_style_on(EW_R_BADGE, EW_R_BADGE_BG);
    struct ew_style strong = ew_style_on(EW_R_BADGE_KEY, EW_R_BADGE_BG);
    int need = ew_text_cols(key) + ew_text_cols(text) + (x > 1 ? 3 : 0);
    if (!*text || x + need > right) {
        return x;
    }
    if (x > 1) {
        struct ew_style line = ew_style_on(EW_R_FAINT, EW_R_BADGE_BG);
        x += ew_put(area, 0, x, line, " ");
        x += ew_put(area, 0, x, line, ew_glyph(area, EW_G_SEP));
        x += ew_put(area, 0, x, line, " ");
    }
    x += ew_put(area, 0, x, *key ? plain : strong, *key ? key : text);
    return *key ? x + ew_put(area, 0, x, strong, text) : x;
}

void ew_draw_badge(struct ew_app *a, struct ew_area area)
{
    char text[300];
    char kept[EW_FIGURE_SIZE];
    char all[EW_FIGURE_SIZE];
    int cols = area.rect.cols;
    ew_fill(area, 0, 0, 1, cols, ew_style_on(EW_R_BADGE, EW_R_BADGE_BG));
    snprintf(text, sizeof(text), "%s/%s edges",
             ew_figure_count(kept, ew_circuit_n_kept(a->circuit)),
             ew_figure_count(all, ew_graph_n_edges(a->graph)));
    int right = cols - ew_text_cols(text) - 2;
    ew_put(area, 0, right + 1, ew_style_on(EW_R_BADGE_KEY, EW_R_BADGE_BG),
           text);
    int x = badge_part(area, 1, right, "", ew_path_base(a->model_name));
    const char *ablation = ew_ablation_name(a->params.engine.ablation);
    if (a->load != EW_LOADED) {
        snprintf(text, sizeof(text), "%s",
                 *a->task_name == '{' ? "typed" : ew_path_base(a->task_name));
        x = badge_part(area, x, right, "", text);
        badge_part(area, x, right, "cut=", ablation);
        return;
    }
    const struct ew_ev_ready *r = &a->ready;
    snprintf(text, sizeof(text), "%s n=%zu%s%s", r->task, r->n_prompts,
             r->bos[0] ? " " : "", r->bos);
    int must =
        ew_text_cols(ew_metric_short(a->metric)) + ew_text_cols(ablation);
    if (x + ew_text_cols(text) + must + 15 > right) { /* BOS is in `i` too */
        snprintf(text, sizeof(text), "%s n=%zu", r->task, r->n_prompts);
    }
    x = badge_part(area, x, right, "", text);
    x = badge_part(area, x, right, "m=", ew_metric_short(a->metric));
    if (a->params.engine.ablation == EW_ABLATE_CORRUPTED && r->corruption[0]) {
        snprintf(text, sizeof(text), "%s: %s", ablation, r->corruption);
    } else {
        snprintf(text, sizeof(text), "%s", ablation);
    }
    int next = badge_part(area, x, right, "cut=", text);
    x = next > x ? next : badge_part(area, x, right, "cut=", ablation);
    badge_part(area, x, right, "", r->device);
}

/* ---- first status line: the numbers ---- */

static int figure(struct ew_area area, int x, const char *label,
                  const char *value, struct ew_style style)
{
    x += ew_put(area, 0, x, ew_style(EW_R_DIM), label);
    x += ew_put(area, 0, x, ew_style(EW_R_DIM), " ");
    x += ew_put(area, 0, x, style, value);
    return x + 2;
}

static double recovered(const struct ew_app *a)
{
    double full = ew_score_metric(&a->ready.full, a->metric);
    double empty = ew_score_metric(&a->ready.empty, a->metric);
    double now = ew_score_metric(&a->now, a->metric);
    return fabs(full - empty) < 1e-6 ? NAN : (now - empty) / (full - empty);
}

static int draw_now(struct ew_app *a, struct ew_area area, int x,
                    struct ew_style style)
{
    char buf[EW_FIGURE_SIZE];
    x = figure(area, x, "now", ew_figure(buf, a->now.logit_diff), style);
    if (isfinite(a->now_se)) {
        x += ew_putf(area, 0, x - 1, ew_style(EW_R_DIM), "%s%s",
                     ew_glyph(area, EW_G_PLUSMINUS), ew_figure(buf, a->now_se));
        x += 1;
    }
    return x;
}

/* What has changed since a circuit was pinned. */
static int draw_since(struct ew_app *a, struct ew_area area, int x,
                      double change, bool stale)
{
    char buf[EW_FIGURE_SIZE];
    if (!ew_pinned(a) || isnan(change)) {
        return x;
    }
    change = ew_without_noise(change, a->now.logit_diff);
    struct ew_style style = ew_style(stale        ? EW_R_FAINT
                                     : change < 0 ? EW_R_NEG3
                                                  : EW_R_POS3);
    return x - 1 +
           ew_putf(area, 0, x - 1, style, "(%s)",
                   ew_figure_signed(buf, change)) +
           2;
}

static void draw_figures(struct ew_app *a, struct ew_area area)
{
    char buf[EW_FIGURE_SIZE];
    bool stale = a->now_gen != a->gen;
    struct ew_style value = ew_style(EW_R_NODE);
    struct ew_style now =
        stale ? ew_style(EW_R_FAINT) : ew_style_bold(EW_R_VALUE);
    int x = 1;
    if (a->ready.has_ld) {
        x += ew_put(area, 0, x, ew_style_bold(EW_R_NAME), "LD ");
        x = figure(area, x, "full", ew_figure(buf, a->ready.full.logit_diff),
                   value);
        if (ew_pinned(a)) {
            x = figure(area, x, "pinned",
                       ew_figure(buf, a->pin.score.logit_diff), value);
        } else {
            x = figure(area, x, "empty",
                       ew_figure(buf, a->ready.empty.logit_diff), value);
        }
        x = draw_now(a, area, x, now);
        x = draw_since(a, area, x, a->now.logit_diff - a->pin.score.logit_diff,
                       stale);
    } else {
        x += ew_put(area, 0, x, ew_style_bold(EW_R_NAME),
                    ew_metric_short(a->metric));
        x = figure(area, x + 1, "full",
                   ew_figure(buf, ew_score_metric(&a->ready.full, a->metric)),
                   value);
        x = figure(area, x, "empty",
                   ew_figure(buf, ew_score_metric(&a->ready.empty, a->metric)),
                   value);
        double at = ew_score_metric(&a->now, a->metric);
        x = figure(area, x, "now", ew_figure(buf, at), now);
        x = draw_since(a, area, x,
                       at - ew_score_metric(&a->pin.score, a->metric), stale);
    }
    x = figure(area, x, "recovered", ew_figure_percent(buf, recovered(a)), now);
    x = figure(area, x, "KL", ew_figure(buf, ew_without_noise(a->now.kl, 1.0)),
               now);
    if (!isnan(a->now.accuracy) && a->metric == EW_METRIC_ACCURACY) {
        x = figure(area, x, "accuracy", ew_figure_percent(buf, a->now.accuracy),
                   now);
    }
    if (!isnan(a->now.nll) && a->metric == EW_METRIC_NLL) {
        x = figure(area, x, "NLL", ew_figure(buf, a->now.nll), now);
    }
    if (a->filter_text[0]) {
        char text[EW_LINE_SIZE + 16];
        snprintf(text, sizeof(text), "show only: %s", a->filter_text);
        int need = ew_text_cols(text);
        if (x + need + 1 < area.rect.cols) {
            ew_put(area, 0, area.rect.cols - need - 1, ew_style(EW_R_PROMPT),
                   text);
        }
    }
}

/* ---- second status line: what if, and ACDC ---- */

static void draw_bar(struct ew_area area, int x, int cols, double share)
{
    int full = (int)lround(share * cols);
    for (int i = 0; i < cols; i++) {
        bool on = i < full;
        ew_put(area, 1, x + i, ew_style(on ? EW_R_GOOD : EW_R_FAINT),
               ew_glyph(area, on ? EW_G_BAR_FULL : EW_G_BAR_EMPTY));
    }
}

static double time_left(const struct ew_app *a)
{
    double done = (double)a->acdc.n_done - a->acdc.start_done;
    double seconds =
        (double)(a->ports.now_ns(a->ports.user) - a->acdc.start_ns) / 1e9;
    return done < 1 ? NAN : seconds / done * a->acdc.n_left;
}

/*
 * ACDC at the right end, as much of it as fits beside `used` columns: with
 * its bar, without, the threshold alone, nothing. A run keeps all of it, since
 * what stands left of it then changes ten times a second. Returns the first
 * column it took.
 */
static int draw_acdc(struct ew_app *a, struct ew_area area, int used)
{
    const struct ew_acdc_view *v = &a->acdc;
    char head[64];
    char text[96] = "";
    char eta[EW_FIGURE_SIZE];
    uint32_t total = v->n_done + v->n_left;
    double share = total ? (double)v->n_done / total : 0.0;
    int bar = area.rect.cols >= 100 ? 16 : 8;
    snprintf(head, sizeof(head), "ACDC %s %g", ew_glyph(area, EW_G_TAU),
             v->threshold);
    if (v->running) {
        snprintf(text, sizeof(text), " %u/%u %s left", (unsigned)v->n_done,
                 (unsigned)total, ew_figure_time(eta, time_left(a)));
    } else if (v->begun) {
        snprintf(text, sizeof(text), v->done ? " done, %u tested" : " %u/%u",
                 (unsigned)v->n_done, (unsigned)total);
    }
    int room = area.rect.cols - 1 - (v->running ? 0 : used);
    int head_cols = ew_text_cols(head);
    int text_cols = ew_text_cols(text);
    bool with_bar = *text && head_cols + 1 + bar + text_cols <= room;
    if (!with_bar && head_cols + text_cols > room) {
        text_cols = 0;
    }
    if (head_cols + text_cols > room) {
        return area.rect.cols;
    }
    int start =
        area.rect.cols - 1 - head_cols - text_cols - (with_bar ? 1 + bar : 0);
    int x = start;
    x += ew_put(area, 1, x, ew_style(v->running ? EW_R_NAME : EW_R_DIM), head);
    if (with_bar) {
        draw_bar(area, x + 1, bar, share);
        x += 1 + bar;
    }
    if (text_cols) {
        ew_put(area, 1, x, ew_style(EW_R_DIM), text);
    }
    return start;
}

/* Columns that the second line's left part takes, a gap included. */
static int left_cols(struct ew_area area)
{
    int end = area.rect.cols;
    while (end > 0 &&
           ew_surface_at(area.surface, area.rect.y + 1, area.rect.x + end - 1)
                   ->text[0] == ' ') {
        end--;
    }
    return end + 2;
}

/* In place of a figure that is not known. */
static const char *pending(const struct ew_app *a, struct ew_area area)
{
    return a->load == EW_LOADED        ? ew_glyph(area, EW_G_ELLIPSIS)
           : a->load == EW_LOAD_FAILED ? "there is no engine: i says why"
                                       : "the engine is loading";
}

static void draw_if_edge(struct ew_app *a, struct ew_area area, uint32_t edge)
{
    char name[EW_NAME_SIZE];
    char then[EW_FIGURE_SIZE];
    char now[EW_FIGURE_SIZE];
    struct ew_known_edge known;
    bool stale;
    bool kept = ew_edge_kept(a, edge);
    bool is_known = ew_edge_known(a, edge, &known, &stale);
    ew_name_of_edge(name, a->graph, edge);
    int x = 1;
    x += ew_putf(area, 1, x, ew_style(EW_R_DIM), "if %s ",
                 kept ? "cut" : "kept");
    x += ew_put(area, 1, x, ew_style(EW_R_NODE), name);
    x += ew_put(area, 1, x, ew_style(EW_R_DIM), ": ");
    if (!is_known) {
        ew_put(area, 1, x, ew_style(EW_R_FAINT), pending(a, area));
        return;
    }
    if (known.why != EW_ZERO_NOT && !stale) {
        ew_putf(area, 1, x, ew_style(EW_R_ZERO), "no change: %s",
                ew_zero_why_text((enum ew_zero_why)known.why));
        return;
    }
    struct ew_style style = ew_style(
        stale ? EW_R_FAINT
              : ew_ramp_text(ew_ramp_step((double)known.effect, a->rows_full)));
    if (a->ready.has_ld && !isnan(known.ld)) {
        x += ew_putf(
            area, 1, x, style, "LD %s %s %s", ew_figure(now, a->now.logit_diff),
            ew_glyph(area, EW_G_ARROW), ew_figure(then, (double)known.ld));
    } else {
        x += ew_putf(area, 1, x, style, "%s %s", ew_metric_short(a->metric),
                     ew_figure_signed(then, kept ? (double)known.effect
                                                 : -(double)known.effect));
    }
}

static void draw_if_node(struct ew_app *a, struct ew_area area)
{
    char name[EW_NAME_SIZE];
    char now[EW_FIGURE_SIZE];
    char then[EW_FIGURE_SIZE];
    const struct ew_known_node *known = &a->nodes[a->node];
    bool stale = known->gen != (uint32_t)a->gen;
    int x = 1;
    if (ew_count_out(a, a->node) == 0) {
        ew_putf(area, 1, x, ew_style(EW_R_DIM),
                "%s is knocked out: Space restores it",
                ew_node_name(a, a->node, name));
        return;
    }
    x += ew_put(area, 1, x, ew_style(EW_R_DIM), "if knocked out ");
    x +=
        ew_put(area, 1, x, ew_style(EW_R_NODE), ew_node_name(a, a->node, name));
    const struct ew_group *group = ew_node_group(a, a->node);
    if (group) {
        x += ew_putf(area, 1, x, ew_style(ew_group_ink(group)), " (%s)",
                     group->name);
    }
    x += ew_put(area, 1, x, ew_style(EW_R_DIM), ": ");
    if (!known->gen) {
        ew_put(area, 1, x, ew_style(EW_R_FAINT), pending(a, area));
        return;
    }
    struct ew_style style = ew_style(stale               ? EW_R_FAINT
                                     : known->effect < 0 ? EW_R_NEG3
                                                         : EW_R_POS3);
    if (a->ready.has_ld) {
        ew_putf(area, 1, x, style, "LD %s %s %s",
                ew_figure(now, a->now.logit_diff), ew_glyph(area, EW_G_ARROW),
                ew_figure(then, (double)known->ld));
    } else {
        ew_putf(area, 1, x, style, "%s %s", ew_metric_short(a->metric),
                ew_figure_signed(then, (double)known->effect));
    }
}

/* What the last edit did to the logit difference. */
static void draw_change(struct ew_app *a, struct ew_area area, int x)
{
    char before[EW_FIGURE_SIZE];
    char now[EW_FIGURE_SIZE];
    char change[EW_FIGURE_SIZE];
    if (a->edit_gen != a->gen || isnan(a->ld_before) ||
        a->n_told != a->edit_told + 1) { /* another message */
        return;
    }
    x += ew_put(area, 1, x, ew_style(EW_R_DIM), "  LD ");
    x += ew_putf(area, 1, x, ew_style(EW_R_NODE), "%s %s ",
                 ew_figure(before, a->ld_before), ew_glyph(area, EW_G_ARROW));
    if (a->now_gen != a->gen) {
        ew_put(area, 1, x, ew_style(EW_R_FAINT), ew_glyph(area, EW_G_ELLIPSIS));
        return;
    }
    double by =
        ew_without_noise(a->now.logit_diff - a->ld_before, a->ld_before);
    x += ew_put(area, 1, x, ew_style_bold(EW_R_VALUE),
                ew_figure(now, a->now.logit_diff));
    ew_putf(area, 1, x, ew_style(by < 0 ? EW_R_NEG3 : EW_R_POS3), " (%s)",
            ew_figure_signed(change, by));
}

/* While ACDC runs: what it decided last. */
static bool draw_decision(struct ew_app *a, struct ew_area area)
{
    const struct ew_acdc_view *v = &a->acdc;
    char name[EW_NAME_SIZE];
    char effect[EW_FIGURE_SIZE];
    if (!v->running || v->n_log == 0) {
        return false;
    }
    const struct ew_acdc_decision *d = &v->log[v->n_log - 1];
    int x = 1 + ew_put(area, 1, 1, ew_style(EW_R_NODE),
                       ew_name_of_edge(name, a->graph, d->edge));
    if (!d->dropped) {
        x += ew_putf(
            area, 1, x, ew_style(EW_R_DIM), " %s",
            ew_figure_signed(effect, ew_without_noise(d->effect, v->metric)));
    }
    ew_putf(area, 1, x, ew_style(d->kept ? EW_R_KEPT : EW_R_NEG2), " %s",
            d->dropped ? "dropped"
            : d->kept  ? "keep"
                       : "cut");
    return true;
}

static void draw_left(struct ew_app *a, struct ew_area area)
{
    if (a->notice[0]) {
        int x = 1 + ew_put(area, 1, 1,
                           ew_style(a->notice_bad ? EW_R_WARN : EW_R_NAME),
                           a->notice);
        draw_change(a, area, x);
        return;
    }
    if (draw_decision(a, area)) {
        return;
    }
    uint32_t edge = ew_rows_edge(a);
    if (ew_pane_on(a, &ew_view_tree) && a->node != ew_logits_of(a) &&
        a->channel == EW_CH_ALL) {
        draw_if_node(a, area);
    } else if (edge != EW_NONE) {
        draw_if_edge(a, area, edge);
    }
}

void ew_draw_status(struct ew_app *a, struct ew_area area)
{
    if (a->load == EW_LOAD_FAILED) {
        ew_put(area, 0, 1, ew_style(EW_R_ERROR), a->load_err.message);
    } else if (a->load == EW_LOADING) {
        int x = 1 + ew_put(area, 0, 1, ew_style(EW_R_WARN),
                           a->stage[0] ? a->stage : "starting");
        ew_putf(area, 0, x, ew_style(EW_R_DIM),
                " %s numbers follow; everything else works already",
                ew_glyph(area, EW_G_ELLIPSIS));
    } else {
        draw_figures(a, area);
    }
    if (a->acdc.running) {
        int end = draw_acdc(a, area, 0);
        draw_left(a, ew_area_sub(area, 0, 0, 2, end - 1));
    } else {
        draw_left(a, area);
        draw_acdc(a, area, left_cols(area));
    }
}

/* ---- footer ---- */

struct footer_item {
    enum ew_action action;
    int x, cols;
    char key[24];
    const char *label;
};

static void footer_key(const struct ew_app *a, enum ew_action action,
                       char out[24])
{
    struct ew_buf keys = {0};
    ew_keymap_print(a->keys, action, true, &keys);
    if (action == EW_DO_THRESHOLD_DOWN) { /* pairs that share a label */
        ew_buf_putc(&keys, ' ');
        ew_keymap_print(a->keys, EW_DO_THRESHOLD_UP, true, &keys);
    } else if (action == EW_DO_ACDC_STEP) {
        ew_buf_putc(&keys, '/');
        ew_keymap_print(a->keys, EW_DO_ACDC_RUN, true, &keys);
    }
    bool space = strcmp(ew_buf_str(&keys), "Space") == 0;
    snprintf(out, 24, "%s", space ? "Spc" : ew_buf_str(&keys));
    ew_buf_finish(&keys);
}

/* What fits, in table order; help and quit always do. */
static int footer_items(const struct ew_app *a, int cols,
                        struct footer_item items[EW_N_ACTIONS])
{
    int last = 0;
    for (int i = 0; i < EW_N_ACTIONS; i++) {
        const struct ew_action_info *info = ew_action_info((enum ew_action)i);
        if (!(info->flags & EW_ACT_FOOTER)) {
            continue;
        }
        struct footer_item *item = &items[last++];
        item->action = (enum ew_action)i;
        item->label = info->footer;
        footer_key(a, item->action, item->key);
        item->cols = ew_text_cols(item->key) + 3 + ew_text_cols(item->label);
    }
    int reserve = items[last - 1].cols + items[last - 2].cols;
    int x = 1;
    int n = 0;
    for (int i = 0; i < last; i++) {
        int room = i >= last - 2 ? cols : cols - reserve;
        if (x + items[i].cols - 1 <= room) {
            items[n] = items[i];
            items[n].x = x;
            x += items[n++].cols;
        }
    }
    return n;
}

enum ew_action ew_footer_at(const struct ew_app *a, int cols, int x)
{
    struct footer_item items[EW_N_ACTIONS];
    int n = footer_items(a, cols, items);
    for (int i = 0; i < n; i++) {
        if (x >= items[i].x && x < items[i].x + items[i].cols - 1) {
            return items[i].action;
        }
    }
    return EW_DO_NONE;
}

void ew_draw_footer(struct ew_app *a, struct ew_area area)
{
    if (a->prompt != EW_PROMPT_NONE) {
        int x = 1 + ew_put(area, 0, 1, ew_style(EW_R_PROMPT),
                           ew_prompt_label(a->prompt));
        ew_line_draw(&a->line, area, 0, x, true);
        return;
    }
    struct footer_item items[EW_N_ACTIONS];
    int n = footer_items(a, area.rect.cols, items);
    for (int i = 0; i < n; i++) {
        int x = items[i].x;
        x += ew_put(area, 0, x, ew_style_bold(EW_R_TITLE_FOCUS), items[i].key);
        ew_put(area, 0, x + 1, ew_style(EW_R_KEY_TEXT), items[i].label);
    }
}
