/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line at the bottom where something is typed: search, filter, file name,
 * command. Searching moves the cursor as it is typed; filtering happens on
 * Enter, because a half-typed word may not be readable.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

const char *ew_prompt_label(enum ew_prompt_kind kind)
{
    static const char *const labels[] = {
        [EW_PROMPT_NONE] = "",
        [EW_PROMPT_SEARCH] = "find: ",
        [EW_PROMPT_FILTER] = "show only: ",
        [EW_PROMPT_EXPORT] = "write to (.svg .png .pdf .dot .json .csv): ",
        [EW_PROMPT_OVERWRITE] = "file exists, overwrite? (y/n) ",
        [EW_PROMPT_QUIT] = "nothing is running; quit? (y/n) ",
        [EW_PROMPT_COMMAND] = ":",
    };
    return labels[kind];
}

void ew_prompt_open(struct ew_app *a, enum ew_prompt_kind kind,
                    const char *text)
{
    a->prompt = kind;
    ew_line_set(&a->line, text);
    a->notice[0] = '\0';
}

/* ---- searching ---- */

/* Does the i-th thing of the pane match? i runs over nodes or rows. */
static bool matches(struct ew_app *a, struct ew_filter *name, long i)
{
    if (ew_pane_on(a, &ew_view_edges)) {
        return ew_rows_match(a, name, a->rows[i]);
    }
    char text[EW_NAME_SIZE];
    ew_node_name(a, (uint32_t)i, text);
    return strstr(text, a->search) != NULL;
}

static void go_to(struct ew_app *a, long i)
{
    if (ew_pane_on(a, &ew_view_edges)) {
        a->edge_at = i;
        ew_rows_go(a, a->rows[i]);
    } else {
        ew_node_go(a, (uint32_t)i);
    }
}

struct hits {
    long found; /* the first from where it starts; -1: none */
    long rank;  /* which of them that is, from 1 */
    long n;
};

/* From `start` on, up or down, and round the end: one look at each. */
static struct hits find(struct ew_app *a, long start, long dir, long n)
{
    struct hits near = {-1, 0, 0};
    struct hits round = {-1, 0, 0};
    long total = 0;
    struct ew_filter *name = ew_filter_named(a->search);
    for (long i = 0; i < n; i++) {
        if (!matches(a, name, i)) {
            continue;
        }
        total++;
        bool ahead = dir > 0 ? i >= start : i <= start;
        struct hits *side = ahead ? &near : &round;
        if (side->found < 0 || dir < 0) {
            *side = (struct hits){i, total, 0};
        }
    }
    ew_filter_destroy(name);
    struct hits hits = near.found >= 0 ? near : round;
    hits.n = total;
    return hits;
}

/* Nodes are searched as the list shows them, logits first. */
void ew_search(struct ew_app *a, int step)
{
    if (!a->search[0]) {
        return;
    }
    if (!ew_pane_on(a, &ew_view_edges)) {
        ew_app_show(a, &ew_view_tree);
        step = -step;
    }
    ew_rows_update(a);
    bool edges = ew_pane_on(a, &ew_view_edges);
    long n = edges ? (long)a->n_rows : (long)ew_logits_of(a) + 1;
    long at = edges ? a->edge_at : (long)a->node;
    long dir = step < 0 || (step == 0 && !edges) ? -1 : 1;
    struct hits hits = find(a, at + (step ? dir : 0), dir, n);
    long total = hits.n;
    long found = hits.found;
    long rank = edges ? hits.rank : total + 1 - hits.rank;
    if (found < 0) {
        ew_notice(a, true, "no %s called '%s' here", edges ? "edge" : "node",
                  a->search);
        return;
    }
    go_to(a, found);
    ew_notice(a, false, "'%s': %ld/%ld", a->search, rank, total);
}

/* ---- what Enter does ---- */

void ew_filter_set(struct ew_app *a, const char *text)
{
    struct ew_err err = {0};
    struct ew_filter *f = NULL;
    if (text[strspn(text, " ")]) {
        f = ew_filter_parse(text, &err);
        if (!f) {
            ew_notice(a, true, "%s", err.message);
            return;
        }
    }
    ew_filter_destroy(a->filter);
    a->filter = f;
    snprintf(a->filter_text, sizeof(a->filter_text), "%s", f ? text : "");
    a->rows_old = true;
    a->asked_hash = 0;
    ew_app_show(a, &ew_view_edges);
    ew_rows_update(a);
    ew_notice(a, false, f ? "%zu of %zu edges; Esc shows all" : "filter off",
              a->n_rows, a->n_all);
}

void ew_filter_drop(struct ew_app *a)
{
    ew_filter_destroy(a->filter);
    a->filter = NULL;
    a->filter_text[0] = '\0';
    a->rows_old = true;
    ew_notice(a, false, "filter off");
}

static void accept(struct ew_app *a)
{
    enum ew_prompt_kind kind = a->prompt;
    a->prompt = EW_PROMPT_NONE;
    switch (kind) {
    case EW_PROMPT_SEARCH:
        snprintf(a->search, sizeof(a->search), "%s", a->line.text);
        ew_search(a, 0);
        break;
    case EW_PROMPT_FILTER:
        ew_filter_set(a, a->line.text);
        break;
    case EW_PROMPT_EXPORT:
        ew_edit_export(a, a->line.text, false);
        break;
    case EW_PROMPT_COMMAND:
        ew_history_add(&a->history, a->line.text);
        ew_command_run(a, a->line.text);
        break;
    case EW_PROMPT_OVERWRITE:
    case EW_PROMPT_QUIT:
    case EW_PROMPT_NONE:
        break;
    }
}

/* One key answers. */
static void answer(struct ew_app *a, enum ew_prompt_kind kind, bool yes)
{
    if (kind == EW_PROMPT_QUIT) {
        a->todo |= yes ? EW_TODO_QUIT : 0;
    } else if (yes) {
        ew_edit_export(a, a->export_path, true);
    } else {
        ew_notice(a, false, "not written");
    }
}

void ew_prompt_key(struct ew_app *a, uint32_t key)
{
    if (a->prompt == EW_PROMPT_OVERWRITE || a->prompt == EW_PROMPT_QUIT) {
        enum ew_prompt_kind kind = a->prompt;
        a->prompt = EW_PROMPT_NONE;
        answer(a, kind, key == 'y' || key == 'Y');
        return;
    }
    if (key == EW_KEY_ESC || key == 0x03 ||
        (key == EW_KEY_BACKSPACE && a->line.len == 0)) {
        a->prompt = EW_PROMPT_NONE;
        a->notice[0] = '\0';
        return;
    }
    if (key == EW_KEY_ENTER || key == '\n') {
        accept(a);
        return;
    }
    if (key == EW_KEY_TAB && a->prompt == EW_PROMPT_COMMAND) {
        ew_command_complete(a);
        return;
    }
    if ((key == EW_KEY_UP || key == EW_KEY_DOWN) &&
        a->prompt == EW_PROMPT_COMMAND) {
        ew_history_move(&a->history, key == EW_KEY_UP ? -1 : 1, a->line.text,
                        sizeof(a->line.text));
        a->line.len = (int)strlen(a->line.text);
        a->line.at = a->line.len;
        return;
    }
    ew_line_key(&a->line, key);
    if (a->prompt == EW_PROMPT_SEARCH && a->line.len > 0) {
        snprintf(a->search, sizeof(a->search), "%s", a->line.text);
        ew_search(a, 0);
    }
}
