/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prompt editor: a clean and a corrupted prompt, an answer and a wrong
 * one are typed, and become the task. The model stays loaded and the circuit
 * as it is; if the worker refuses the pair, so does the old task. Belongs to
 * the screen's thread.
 */
#ifndef EW_TUI_EDITOR_H
#define EW_TUI_EDITOR_H

#include "line.h"

struct ew_app;

enum {
    EW_EDITOR_CLEAN,
    EW_EDITOR_CORRUPT,
    EW_EDITOR_ANSWER,
    EW_EDITOR_WRONG,
    EW_EDITOR_FIELDS
};

struct ew_editor {
    struct ew_line field[EW_EDITOR_FIELDS];
    int at;        /* the field that is typed into */
    bool typed;    /* fields hold what was typed, not yet a task */
    char *pending; /* owned: the task that was asked for; NULL: none */
};

/* Open it on the prompt that the list of prompts points at. */
void ew_editor_open(struct ew_app *a);
void ew_editor_key(struct ew_app *a, uint32_t key);
void ew_editor_draw(struct ew_app *a, struct ew_area area);
/* The worker has loaded, or refused, the task that was asked for. */
void ew_editor_loaded(struct ew_app *a);
void ew_editor_refused(struct ew_app *a);

#endif
