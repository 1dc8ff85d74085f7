/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program in a pseudo-terminal, its screen read by libvterm. Nothing here
 * sleeps: every step waits for its text, with a limit. What cannot be reached
 * fails the test and prints the screen.
 */
#ifndef EW_TESTS_PTY_RUN_H
#define EW_TESTS_PTY_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <termios.h>
#include <vterm.h>

enum { PTY_MAX_ROWS = 70, PTY_MAX_COLS = 220 };

struct program {
    pid_t pid;
    int fd;
    VTerm *vt;
    VTermScreen *screen;
    int rows, cols;
    struct termios before;
    size_t n_colors;    /* colour sequences seen */
    size_t n_alternate; /* times that the other screen came up */
    char dir[64];       /* an empty folder: where it runs and keeps its files */
    bool alternate;
};

/* Start $EDGEWISE_BIN in a folder of its own; `env` is names and values up to a
 * NULL, or NULL. */
void pty_start(struct program *p, int rows, int cols, const char *const env[]);
/* The same below a process that has the terminal as a shell has: it gets it
 * back when the program stops, and continues the program on `fg`. */
void pty_start_job(struct program *p, int rows, int cols);
/* The same on a task of that name. */
void pty_start_task(struct program *p, int rows, int cols, const char *task);
void pty_resize(struct program *p, int rows, int cols);

long long pty_now_us(void);

/* Are the terminal's modes as they were before the program? */
bool pty_has_modes(const struct program *p);

bool pty_shows(struct program *p, const char *text);
void pty_row(struct program *p, int row, char *out, size_t size);
void pty_print(struct program *p);
/* Feed what comes within `ms`; false when the program has gone. */
bool pty_pump(struct program *p, int ms);
void pty_wait_for(struct program *p, const char *text);
void pty_wait_gone(struct program *p, const char *text);
/* The first figures are there. */
void pty_wait_ready(struct program *p);
void pty_type(struct program *p, const char *keys);

/* Wait for the end: the wait status. The terminal must be as before, and no
 * sanitizer may have had anything to say. */
int pty_finish(struct program *p);

/* Leave with 77 when the program or its model is not there. */
void pty_need(void);

#endif
