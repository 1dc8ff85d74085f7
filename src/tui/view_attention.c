/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the head under the cursor looks: a row per query, a column per key,
 * in the clean run, the corrupted one, or the circuit, or what differs from
 * the clean run; for one prompt or as the mean. Below, in words, what the
 * query under the cursor attends to.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

enum {
    N_BEST = 3,
    CELL_FIGURE = 4, /* columns from where a cell has its figure in it, ... */
    CELL_TOKEN = 7,  /* ... and its token above it */
    CELL_MAX = 9,
};

/* Columns of what stands in front of a row. */
static int label_cols(struct ew_area area)
{
    return area.rect.cols >= 100 ? 16 : 10;
}

static const char *pattern_name(enum ew_pattern pattern)
{
    static const char *const names[EW_N_PATTERNS] = {
        "clean", "corrupted", "in the circuit", "circuit less clean",
        "corrupted less clean"};
    return names[pattern];
}

static bool is_change(const struct ew_app *a)
{
    return a->attention_pattern >= EW_PATTERN_CIRCUIT_CHANGE;
}

/* The pattern belongs to what is asked for, if perhaps to an older circuit. */
static bool fits(const struct ew_app *a)
{
    const struct ew_ev_attention *at = a->attention;
    if (!at || !ew_node_is_head(a, a->node)) {
        return false;
    }
    struct ew_node node = ew_graph_sender(a->graph, a->node);
    return at->layer == node.layer && at->head == node.head &&
           at->prompt == a->attention_prompt &&
           at->pattern == a->attention_pattern;
}

static const char *token_of(const struct ew_app *a, int position)
{
    int prompt = a->attention_prompt;
    if (!a->task || prompt < 0 || prompt >= (int)a->task->n_prompts ||
        position >= a->task->prompts[prompt].length) {
        return "";
    }
    return a->task->prompts[prompt].tokens[position];
}

/* ".52" */
static void share(char out[16], float p)
{
    char text[16];
    snprintf(text, sizeof(text), "%.2f", (double)p);
    snprintf(out, 16, "%s", text[0] == '0' ? text + 1 : text);
}

static void draw_cell(struct ew_area area, int y, int x, int cols, float p)
{
    static const char *const ascii[] = {" ", ".", ":", "-", "=",
                                        "+", "*", "%", "#"};
    int step = p < 0.01f ? 0 : 1 + (int)(7.99f * sqrtf(p > 1.0f ? 1.0f : p));
    step = step > 8 ? 8 : step;
    if (ew_surface_ascii(area.surface)) {
        for (int i = 0; i < cols; i++) {
            ew_put(area, y, x + i, ew_style(EW_R_NODE), ascii[step]);
        }
        return;
    }
    enum ew_ink ink =
        step ? (enum ew_ink)(EW_R_SHADE1 + step - 1) : EW_R_NORMAL;
    struct ew_style style = ew_style_on(EW_R_FAINT, ink);
    ew_fill(area, y, x, 1, cols, style);
    if (step == 0) {
        ew_put(area, y, x + cols - 1, ew_style(EW_R_FAINT),
               ew_glyph(area, EW_G_DOT));
    } else if (cols >= CELL_FIGURE) {
        char text[16];
        share(text, p);
        ew_put_right(area, y, x, cols,
                     ew_style_on(step > 5 ? EW_R_SELECT_BG : EW_R_NODE, ink),
                     text);
    }
}

/* What there is more of (blue, +) or less (orange, -). */
static void draw_change(struct ew_area area, int y, int x, int cols, float p)
{
    int step = ew_ramp_step((double)p, 0.5);
    if (ew_surface_ascii(area.surface)) {
        static const char *const ascii[] = {"=", "-", "~", "'", " ",
                                            ".", ":", "+", "#"};
        ew_put_right(area, y, x, cols, ew_style(ew_ramp_text(step)),
                     ascii[step + 4]);
        return;
    }
    ew_fill(area, y, x, 1, cols, ew_style_on(EW_R_VALUE, ew_ramp_heat(step)));
    if (step == 0) {
        ew_put(area, y, x + cols - 1, ew_style(EW_R_FAINT),
               ew_glyph(area, EW_G_DOT));
    } else { /* a sign, for eyes and terminals without these colours */
        char text[17] = "";
        if (cols > CELL_FIGURE) {
            share(text, fabsf(p));
        }
        ew_putf(area, y, x + cols - 1 - ew_text_cols(text),
                ew_style_on(EW_R_VALUE, ew_ramp_heat(step)), "%s%s",
                step < 0 ? ew_glyph(area, EW_G_MINUS) : "+", text);
    }
}

static void draw_label(const struct ew_app *a, struct ew_area area, int y,
                       int q, bool here)
{
    char text[12];
    snprintf(text, sizeof(text), "%d", q);
    struct ew_style style = ew_style(here ? EW_R_NAME : EW_R_DIM);
    ew_put_right(area, y, 0, 3, style, text);
    ew_put_n(area, y, 4, label_cols(area) - 5, style, token_of(a, q));
}

/* The largest keys of the query under the cursor. */
static void draw_words(const struct ew_app *a, struct ew_area area, int y,
                       int q)
{
    const struct ew_ev_attention *at = a->attention;
    const float *row = at->weights + (size_t)q * at->n_pos;
    bool used[4096] = {0};
    int x = ew_putf(area, y, 0, ew_style(EW_R_DIM), "%d", q);
    x += 1 + ew_put(area, y, x + 1, ew_style(EW_R_NODE), token_of(a, q)) + 1;
    x += ew_put(area, y, x, ew_style(EW_R_DIM),
                is_change(a) ? "changes at " : "looks at ");
    int i = 0;
    for (; i < N_BEST; i++) {
        int best = -1;
        for (int k = 0; k <= q && k < 4096; k++) {
            if (!used[k] && (best < 0 || fabsf(row[k]) > fabsf(row[best]))) {
                best = k;
            }
        }
        if (best < 0 || fabsf(row[best]) < 0.01f) {
            break;
        }
        used[best] = true;
        x += ew_putf(area, y, x, ew_style(EW_R_DIM), "%d ", best);
        x += ew_put(area, y, x, ew_style(EW_R_NODE), token_of(a, best));
        x +=
            ew_putf(area, y, x, ew_style(row[best] < 0 ? EW_R_NEG3 : EW_R_POS3),
                    is_change(a) ? " %+.2f  " : " %.2f  ", (double)row[best]);
    }
    if (i == 0) {
        ew_put(area, y, x, ew_style(EW_R_DIM), "nothing");
    }
}

/* Above the columns: the tokens looked at, or their positions. */
static void draw_keys(const struct ew_app *a, struct ew_area area, int first,
                      int cell)
{
    int n = (int)a->attention->n_pos;
    for (int k = first; k < n; k++) {
        char text[12];
        bool here = k == (int)a->attention_list.cur;
        struct ew_style style = ew_style(here ? EW_R_NAME : EW_R_DIM);
        int x = (k - first) * cell;
        if (cell >= CELL_TOKEN && *token_of(a, k)) {
            ew_put_n(area, 0, x + 1, cell - 1, style, token_of(a, k));
        } else {
            snprintf(text, sizeof(text), "%d", cell > 2 || n < 10 ? k : k % 10);
            ew_put_right(area, 0, x, cell, style, text);
        }
    }
}

static void attention_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    if (!ew_node_is_head(a, a->node)) {
        ew_put(area, 1, 2, ew_style(EW_R_DIM),
               "choose a head: only heads attend");
        return;
    }
    if (!fits(a)) {
        ew_put(area, 1, 2, ew_style(EW_R_FAINT), ew_glyph(area, EW_G_ELLIPSIS));
        return;
    }
    int n = (int)a->attention->n_pos;
    int rows = area.rect.rows - 2;
    int label = label_cols(area);
    int room = area.rect.cols - label - 1;
    int cell = room / n;
    cell = cell < 1 ? 1 : cell > CELL_MAX ? CELL_MAX : cell;
    ew_list_fit(&a->attention_list, n, rows);
    int first = room < n * cell ? (int)a->attention_list.cur - (room - 1) / cell
                                : 0; /* the cursor's own key stays in sight */
    first = first < 0 ? 0 : first;
    draw_keys(a, ew_area_sub(area, 0, label, 1, room), first, cell);
    struct ew_area body =
        ew_area_sub(area, 1, 0, rows > 0 ? rows : 0, area.rect.cols);
    for (int y = 0; y < rows && a->attention_list.top + y < n; y++) {
        int q = (int)a->attention_list.top + y;
        draw_label(a, body, y, q, q == a->attention_list.cur);
        for (int k = first; k <= q; k++) {
            (is_change(a) ? draw_change
                          : draw_cell)(body, y, label + (k - first) * cell,
                                       cell, a->attention->weights[q * n + k]);
        }
    }
    if (rows > 0) {
        draw_words(a, area, rows + 1, (int)a->attention_list.cur);
    }
    ew_draw_scroll(area, 1, a->attention_list.top, rows, n);
}

static void attention_title(struct ew_app *a, struct ew_buf *title,
                            struct ew_buf *note)
{
    char name[EW_NAME_SIZE];
    ew_buf_printf(title, "attention of %s, %s", ew_node_name(a, a->node, name),
                  pattern_name(a->attention_pattern));
    if (a->attention_prompt < 0) {
        ew_buf_add(note, "mean of prompts");
    } else {
        ew_buf_printf(note, "prompt %d", a->attention_prompt);
    }
}

/* Left and right go through the prompts, Enter through runs and changes. */
static bool attention_act(struct ew_app *a, enum ew_action action, int rows)
{
    int n = a->task ? (int)a->task->n_prompts : 0;
    switch (action) {
    case EW_DO_LEFT:
    case EW_DO_RIGHT:
        a->attention_prompt += action == EW_DO_RIGHT ? 1 : -1;
        a->attention_prompt = a->attention_prompt < -1   ? n - 1
                              : a->attention_prompt >= n ? -1
                                                         : a->attention_prompt;
        return true;
    case EW_DO_OPEN:
        a->attention_pattern =
            (enum ew_pattern)((a->attention_pattern + 1) % EW_N_PATTERNS);
        return true;
    default:
        break;
    }
    long n_pos = a->attention ? (long)a->attention->n_pos : 0;
    return n_pos > 0 &&
           ew_list_act(&a->attention_list, n_pos, rows - 2, action);
}

const struct ew_view_ops ew_view_attention = {
    .name = "attention",
    .about = "Where the head looks: a row for the token that looks, shades for "
             "those it looks at.",
    .keys = {{EW_DO_OPEN,
              "the run: clean, corrupted, in the circuit, differences"},
             {EW_DO_RIGHT, "the next prompt; before the first: their mean"}},
    .title = attention_title,
    .draw = attention_draw,
    .act = attention_act,
    .list = offsetof(struct ew_app, attention_list),
    .head = 1,
};
