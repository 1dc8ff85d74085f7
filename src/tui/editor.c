/* SPDX-License-Identifier: Apache-2.0 */
#include "editor.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"
#include "edgewise/task.h"

#include "app.h"
#include "theme.h"

static const char *const labels[EW_EDITOR_FIELDS] = {"clean", "corrupted",
                                                     "answer", "wrong"};
enum { MAX_ANSWERS = EW_LINE_SIZE }; /* a line has no more */

/* False when a text is longer than a line, and was cut off. */
static bool fill(struct ew_editor *e, const struct ew_prompt_text *from)
{
    const char *const texts[EW_EDITOR_FIELDS] = {
        from->text[0], from->text[1], from->answer, from->wrong_answer};
    bool cut = false;
    for (int i = 0; i < EW_EDITOR_FIELDS; i++) {
        ew_line_set(&e->field[i], texts[i]);
        cut = cut || strlen(texts[i]) >= EW_LINE_SIZE;
    }
    return !cut;
}

void ew_editor_open(struct ew_app *a)
{
    struct ew_editor *e = &a->editor;
    if (a->load != EW_LOADED || !a->task) {
        ew_notice(a, true, "the task is not loaded yet");
        return;
    }
    if (!a->task->has_text) {
        ew_notice(a, true,
                  "the model has no tokenizer: prompts cannot be "
                  "typed");
        return;
    }
    size_t p = (size_t)a->prompt_list.cur;
    if (!e->typed && p < a->task->n_prompts &&
        !fill(e, &a->task->prompts[p])) {
        ew_notice(a, true, "longer than %d bytes: the end is cut off here",
                  EW_LINE_SIZE - 1);
    }
    e->at = EW_EDITOR_CLEAN;
    a->popup = EW_POPUP_EDITOR;
}

/* Cut `text` at each |; how many parts. */
static size_t split(char *text, const char *parts[MAX_ANSWERS])
{
    size_t n = 0;
    for (char *at = text; at && *at && n < MAX_ANSWERS;) {
        parts[n++] = at;
        at = strchr(at, '|');
        if (at) {
            *at++ = '\0';
        }
    }
    return n;
}

static void submit(struct ew_app *a)
{
    struct ew_editor *e = &a->editor;
    if (!ew_edit_may(a)) {
        return;
    }
    if (e->pending) {
        ew_notice(a, true, "the prompts before are still being run");
        return;
    }
    const char *right[MAX_ANSWERS];
    const char *wrong[MAX_ANSWERS];
    char *answers = ew_xstrdup(e->field[EW_EDITOR_ANSWER].text);
    char *others = ew_xstrdup(e->field[EW_EDITOR_WRONG].text);
    struct ew_typed_pair pair = {
        .clean = e->field[EW_EDITOR_CLEAN].text,
        .corrupt = e->field[EW_EDITOR_CORRUPT].text,
        .answers = right,
        .n_answers = split(answers, right),
        .wrong = wrong,
        .n_wrong = split(others, wrong),
    };
    struct ew_err err = {0};
    char *task = ew_task_typed(&pair, 1, &err);
    if (task) {
        e->pending = task;
        a->popup = EW_POPUP_NONE;
        a->ports.post(a->ports.user, ew_request_task(a->gen, task));
        ew_notice(a, false, "running the typed prompts ...");
    } else {
        ew_notice(a, true, "%s", err.message);
    }
    free(answers);
    free(others);
}

void ew_editor_key(struct ew_app *a, uint32_t key)
{
    struct ew_editor *e = &a->editor;
    switch (key) {
    case EW_KEY_ESC:
    case 0x03:
        a->popup = EW_POPUP_NONE;
        a->notice[0] = '\0';
        e->typed = false;
        break;
    case EW_KEY_ENTER:
    case '\n':
        submit(a);
        break;
    case EW_KEY_TAB:
    case EW_KEY_DOWN:
        e->at = (e->at + 1) % EW_EDITOR_FIELDS;
        break;
    case EW_KEY_S_TAB:
    case EW_KEY_UP:
        e->at = (e->at + EW_EDITOR_FIELDS - 1) % EW_EDITOR_FIELDS;
        break;
    default:
        ew_line_key(&e->field[e->at], key);
        e->typed = true;
    }
}

void ew_editor_draw(struct ew_app *a, struct ew_area area)
{
    const struct ew_editor *e = &a->editor;
    enum { LABEL = 11 };
    for (int i = 0; i < EW_EDITOR_FIELDS; i++) {
        bool here = i == e->at;
        ew_put_right(area, i, 0, LABEL - 2,
                     ew_style(here ? EW_R_PROMPT : EW_R_DIM), labels[i]);
        if (here) {
            ew_fill(area, i, LABEL, 1, area.rect.cols - LABEL,
                    ew_style_on(EW_R_NORMAL, EW_R_SELECT_BG));
        }
        ew_line_draw(&e->field[i], area, i, LABEL, here);
        if (here) {
            ew_tint(area, i, LABEL, 1, area.rect.cols - LABEL, EW_R_SELECT_BG);
        }
    }
    if (a->notice_bad && a->notice[0]) { /* the status line is narrower */
        ew_put(area, EW_EDITOR_FIELDS, 1, ew_style(EW_R_WARN), a->notice);
    }
    ew_put(area, EW_EDITOR_FIELDS + 1, 1, ew_style(EW_R_FAINT),
           "Both prompts need as many tokens, an answer is one; | between "
           "several.");
}

void ew_editor_loaded(struct ew_app *a)
{
    struct ew_editor *e = &a->editor;
    if (e->pending) {
        free(a->task_name);
        a->task_name = e->pending;
        e->pending = NULL;
        e->typed = false;
    }
}

void ew_editor_refused(struct ew_app *a)
{
    free(a->editor.pending);
    a->editor.pending = NULL;
    if (a->popup == EW_POPUP_NONE && a->prompt == EW_PROMPT_NONE) {
        a->popup = EW_POPUP_EDITOR;
    }
}
