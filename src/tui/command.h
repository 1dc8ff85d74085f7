/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: an action's name, and for some actions what it should
 * take ("view journal", "threshold 0.1"). With completion, and a history that
 * outlives the program.
 */
#ifndef EW_TUI_COMMAND_H
#define EW_TUI_COMMAND_H

#include <stddef.h>

#include "line.h"

struct ew_app;

struct ew_history {
    char **lines; /* owned, oldest first */
    size_t n, cap;
    size_t at; /* n: the line being typed */
    char typed[EW_LINE_SIZE];
    char *path; /* owned; NULL: not kept */
};

/* Read $XDG_STATE_HOME/edgewise/history. */
void ew_history_open(struct ew_history *h);
void ew_history_finish(struct ew_history *h);
/* Remember a line, and write the file; a line twice in a row counts once. */
void ew_history_add(struct ew_history *h, const char *line);
/* An older (-1) or newer (1) line into `line`, which has `size` bytes. */
void ew_history_move(struct ew_history *h, int step, char *line, size_t size);

/* Run "NAME ARGUMENT". */
void ew_command_run(struct ew_app *a, const char *line);
/* Complete the line that is typed to what its completions share, and tell
 * them when there are several. */
void ew_command_complete(struct ew_app *a);

#endif
