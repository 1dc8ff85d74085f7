/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The task, prompt by prompt: its last words, the answer against the wrong
 * one, the logit difference in the circuit now and what flipping the edge
 * under the cursor would make of it. A mean may hide that half of the prompts
 * go the other way.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

/* Columns: where the text begins, and what is too narrow for it. */
enum { TEXT = 26, NARROW_TEXT = 24, NARROW = 60 };

/* The end of the prompt up to the answer position, as much as fits; the
 * column after it. */
static int draw_words(const struct ew_prompt_text *t, struct ew_area area,
                      int y, int x, int room)
{
    int first = t->answer_position + 1;
    int used = 2;
    while (first > 0) {
        int cols = ew_text_cols(t->tokens[first - 1]) + 1;
        if (used + cols > room) {
            break;
        }
        used += cols;
        first--;
    }
    if (first > 0) {
        x += ew_put(area, y, x, ew_style(EW_R_FAINT),
                    ew_glyph(area, EW_G_ELLIPSIS)) +
             1;
    }
    for (int i = first; i <= t->answer_position && i < t->length; i++) {
        const char *word = t->tokens[i];
        word += *word == ' ';
        x += ew_put(area, y, x, ew_style(EW_R_NODE), word) + 1;
    }
    return x + ew_putf(area, y, x, ew_style(EW_R_FAINT), "%s ",
                       ew_glyph(area, EW_G_ARROW));
}

static bool is_narrow(struct ew_area area)
{
    return area.rect.cols < NARROW;
}

/* The prompt and its answers; in a narrow pane the answers alone. */
static void draw_text(const struct ew_app *a, struct ew_area area, int y,
                      size_t p)
{
    const struct ew_prompt_text *t = &a->task->prompts[p];
    bool narrow = is_narrow(area);
    int answers = ew_text_cols(t->right) + ew_text_cols(t->wrong) + 8;
    int x = narrow ? NARROW_TEXT
                   : draw_words(t, area, y, TEXT,
                                area.rect.cols - TEXT - 1 - answers);
    const char *right = t->right + (narrow && *t->right == ' ');
    x += ew_put(area, y, x, ew_style(EW_R_POS3), right);
    if (*t->wrong) {
        x += ew_put(area, y, x, ew_style(EW_R_FAINT), narrow ? "/" : " not ");
        ew_put(area, y, x, ew_style(EW_R_NEG2),
               t->wrong + (narrow && *t->wrong == ' '));
    }
}

static void draw_numbers(const struct ew_app *a, struct ew_area area, int y,
                         size_t p)
{
    const struct ew_ev_prompts *v = a->prompts;
    char text[EW_FIGURE_SIZE];
    snprintf(text, sizeof(text), "%zu", p);
    ew_put_right(area, y, 0, 4, ew_style(EW_R_FAINT), text);
    if (!v || p >= v->n) {
        return;
    }
    bool stale = a->prompts_gen != a->gen;
    double now = v->values[p];
    struct ew_style style = ew_style(stale     ? EW_R_FAINT
                                     : now < 0 ? EW_R_NEG3
                                               : EW_R_NODE);
    ew_put_right(area, y, 5, 7, style, ew_figure(text, now));
    if (v->edge != EW_NONE) {
        double change = ew_without_noise(v->values[v->n + p] - now, now);
        enum ew_ink ink = change < 0   ? EW_R_NEG2
                          : change > 0 ? EW_R_POS2
                                       : EW_R_ZERO;
        ew_put_right(area, y, 14, 8, ew_style(stale ? EW_R_FAINT : ink),
                     ew_figure_signed(text, change));
    }
}

static void prompts_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    if (!a->task) {
        ew_put(area, 1, 2, ew_style(EW_R_DIM), "the task is not loaded yet");
        return;
    }
    long n = (long)a->task->n_prompts;
    int rows = area.rect.rows - 1;
    ew_list_fit(&a->prompt_list, n, rows);
    struct ew_style head = ew_style(EW_R_HEADER);
    ew_put_right(area, 0, 0, 4, head, "#");
    ew_put_right(area, 0, 5, 7, head, "LD now");
    ew_put_right(area, 0, 14, 8, head, "change");
    ew_put(area, 0, is_narrow(area) ? NARROW_TEXT : TEXT, head,
           is_narrow(area) ? "answer/wrong" : "prompt");
    for (int y = 0; y < rows && a->prompt_list.top + y < n; y++) {
        long p = a->prompt_list.top + y;
        draw_numbers(a, area, y + 1, (size_t)p);
        draw_text(a, area, y + 1, (size_t)p);
        if (focused && p == a->prompt_list.cur) {
            ew_tint(area, y + 1, 0, 1, area.rect.cols, EW_R_SELECT_BG);
        }
    }
    ew_draw_scroll(area, 1, a->prompt_list.top, rows, n);
}

static void prompts_title(struct ew_app *a, struct ew_buf *title,
                          struct ew_buf *note)
{
    ew_buf_add(title, "prompts");
    const struct ew_ev_prompts *v = a->prompts;
    if (!v || v->edge == EW_NONE) {
        return;
    }
    char name[EW_NAME_SIZE];
    size_t down = 0;
    for (size_t p = 0; p < v->n; p++) {
        down += ew_without_noise(v->values[v->n + p] - v->values[p],
                                 v->values[p]) < 0;
    }
    ew_buf_printf(title, ": flipping %s",
                  ew_name_of_edge(name, a->graph, v->edge));
    ew_buf_printf(note, "%zu/%zu lower", down, v->n);
}

/* Enter shows the attention in this prompt. */
static bool prompts_act(struct ew_app *a, enum ew_action action, int rows)
{
    long n = a->task ? (long)a->task->n_prompts : 0;
    if (ew_list_act(&a->prompt_list, n, rows - 1, action)) {
        a->attention_prompt = (int)a->prompt_list.cur;
        return true;
    }
    if (action != EW_DO_OPEN || n == 0) {
        return false;
    }
    a->attention_prompt = (int)a->prompt_list.cur;
    ew_pane_put(a, a->pane, &ew_view_attention);
    return true;
}

const struct ew_view_ops ew_view_prompts = {
    .name = "prompts",
    .about = "LD of each prompt in the circuit, and what flipping the edge "
             "under the cursor adds to it.",
    .keys = {{EW_DO_OPEN, "the attention in that prompt"},
             {EW_DO_EDIT_PROMPT, "type another prompt"}},
    .title = prompts_title,
    .draw = prompts_draw,
    .act = prompts_act,
    .list = offsetof(struct ew_app, prompt_list),
    .head = 1,
};
