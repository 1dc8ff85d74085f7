/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals. Those that ask for something (a new size, an end, a stop) are told
 * to the loop through a pipe; those that kill restore the terminal first,
 * with nothing but what a handler may do, and then kill as they would have.
 */
#ifndef EW_TUI_RESTORE_H
#define EW_TUI_RESTORE_H

#include <stdbool.h>
#include <stddef.h>

#include "edgewise/err.h"

/* Remember the terminal's modes; before curses changes them. */
void ew_restore_save(int tty_fd);
/* From now on fatal signals write `text` (borrowed) to stdout, put stderr
 * back (-1: leave it) and reset the modes. */
void ew_restore_arm(const char *text, size_t len, int stderr_fd);
void ew_restore_disarm(void);

EW_MUST_CHECK bool ew_signals_open(struct ew_err *err);
void ew_signals_close(void);
int ew_signals_fd(void);
/* The next signal that has come; 0: none. */
int ew_signals_take(void);
/* Stop as if we had no handler: not at all where nobody could continue us
 * (an orphaned process group) or where stopping was ignored from the start. */
void ew_signals_stop(void);

#endif
