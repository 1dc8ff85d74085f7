/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said next, by the clean run, the corrupted one and the circuit: the
 * likeliest tokens at the answer position of the prompt under the cursor.
 */
#include <stdio.h>

#include "app.h"
#include "theme.h"

static const char *const run_names[] = {[EW_RUN_CLEAN] = "clean",
                                        [EW_RUN_CORRUPTED] = "corrupted",
                                        [EW_RUN_CIRCUIT] = "circuit"};
enum { N_RUNS = 3, PERCENT = 6, BAR = 12, WITH_BAR = 30 };

static bool fits(const struct ew_app *a)
{
    return a->top && a->top->prompt == (int)a->prompt_list.cur;
}

static void draw_bar(struct ew_area area, int y, int x, double share,
                     struct ew_style style)
{
    int eighths = (int)(share * BAR * 8.0 + 0.5);
    for (int i = 0; i < BAR && eighths > 0; i++, eighths -= 8) {
        ew_put(area, y, x + i, style,
               ew_block_h(area, eighths < 8 ? eighths : 8));
    }
}

static void draw_token(struct ew_area area, int y, int x, int cols,
                       const struct ew_top_token *t, bool stale)
{
    char text[EW_FIGURE_SIZE];
    enum ew_ink ink = t->answer > 0   ? EW_R_POS3
                      : t->answer < 0 ? EW_R_NEG3
                                      : EW_R_NODE;
    if (stale) {
        ink = EW_R_FAINT;
    }
    snprintf(text, sizeof(text), "%.1f%%", 100.0 * t->p);
    ew_put_right(area, y, x, PERCENT, ew_style(stale ? EW_R_FAINT : EW_R_VALUE),
                 text);
    int at = x + PERCENT + 1;
    ew_put_n(area, y, at, cols - PERCENT - 2, ew_style(ink),
             t->text + (*t->text == ' '));
    if (cols >= WITH_BAR) {
        draw_bar(area, y, x + cols - BAR - 1, t->p, ew_style(ink));
    }
}

static void tokens_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    (void)focused;
    if (!a->task) {
        ew_put(area, 1, 2, ew_style(EW_R_DIM), "the task is not loaded yet");
        return;
    }
    if (!fits(a)) {
        ew_put(area, 1, 2, ew_style(EW_R_FAINT), ew_glyph(area, EW_G_ELLIPSIS));
        return;
    }
    const struct ew_ev_top *top = a->top;
    if (top->why_not[0]) {
        ew_put(area, 1, 2, ew_style(EW_R_DIM), top->why_not);
        return;
    }
    int cols = area.rect.cols / N_RUNS;
    for (int run = 0; run < N_RUNS; run++) {
        int x = run * cols;
        /* the plain runs do not change with the circuit */
        bool stale = run == EW_RUN_CIRCUIT && a->top_gen != a->gen;
        ew_put(area, 0, x + PERCENT + 1, ew_style(EW_R_HEADER), run_names[run]);
        for (int i = 0; i < (int)top->n && i + 1 < area.rect.rows; i++) {
            draw_token(area, i + 1, x, cols, &top->runs[run][i], stale);
        }
    }
}

static void tokens_title(struct ew_app *a, struct ew_buf *title,
                         struct ew_buf *note)
{
    ew_buf_add(title, "said next");
    if (!a->task || a->task->n_prompts == 0) {
        return;
    }
    const struct ew_prompt_text *t = &a->task->prompts[a->prompt_list.cur];
    ew_buf_printf(title, ": prompt %ld", a->prompt_list.cur);
    if (*t->right) {
        ew_buf_add(note, t->right + (*t->right == ' '));
        if (*t->wrong) {
            ew_buf_printf(note, " not %s", t->wrong + (*t->wrong == ' '));
        }
    }
}

static bool tokens_act(struct ew_app *a, enum ew_action action, int rows)
{
    long n = a->task ? (long)a->task->n_prompts : 0;
    return ew_list_act(&a->prompt_list, n, rows - 1, action);
}

const struct ew_view_ops ew_view_tokens = {
    .name = "tokens",
    .about = "The likeliest next tokens at the answer position of the prompt "
             "under the cursor: clean, corrupted, and in the circuit.",
    .title = tokens_title,
    .draw = tokens_draw,
    .act = tokens_act,
};
