/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal, through curses: the only code that knows it. One at a time;
 * screen's thread.
 */
#ifndef EW_TUI_TTY_H
#define EW_TUI_TTY_H

#include <stdbool.h>
#include <stdint.h>

#include "edgewise/err.h"
#include "edgewise/tui.h"

#include "raster.h"
#include "surface.h"

struct ew_term; /* opaque */

enum ew_input_kind {
    EW_INPUT_KEY,
    EW_INPUT_CLICK,
    EW_INPUT_WHEEL_UP,
    EW_INPUT_WHEEL_DOWN,
    EW_INPUT_RESIZE
};

struct ew_input {
    enum ew_input_kind kind;
    uint32_t key; /* as in keymap.h */
    int y, x;     /* of the mouse */
};

/* Can a screen be drawn at all? EW_ERR_USAGE says why not. */
EW_MUST_CHECK bool ew_term_check(struct ew_err *err);
/* Is the locale's character set UTF-8? setlocale() comes before. */
bool ew_term_utf8(void);
struct ew_term *ew_term_open(enum ew_color color, bool mouse,
                             struct ew_err *err);
/* Restores the terminal, then replays what was written to stderr. */
void ew_term_close(struct ew_term *t);   /* NULL is fine */
int ew_term_fd(const struct ew_term *t); /* readable when there is input */
/* The next input that has arrived, without waiting; false: none. */
bool ew_term_read(struct ew_term *t, struct ew_input *out);
void ew_term_size(const struct ew_term *t, int *rows, int *cols);
/* As the terminal tells it now, or what is usual. */
struct ew_cell_size ew_term_cell(const struct ew_term *t);
/* Ask the terminal for its size and take it. */
void ew_term_resize(struct ew_term *t);
void ew_term_show(struct ew_term *t, const struct ew_surface *s);
/* A picture in pixels over some cells; rect.rows 0: none. */
struct ew_term_picture {
    struct ew_rect rect;
    struct ew_cell_size cell;
    uint64_t serial;
    struct ew_look look;
};
/* Is that what the terminal shows? */
bool ew_term_has_picture(const struct ew_term *t,
                         const struct ew_term_picture *what);
/* Take the picture there is away (`clear`, and the cells again), and send the
 * bytes of this one. After ew_term_show(). */
void ew_term_show_picture(struct ew_term *t, const struct ew_term_picture *what,
                          const char *clear, const struct ew_buf *bytes,
                          const struct ew_surface *s);
/* Draw everything again with the next frame. */
void ew_term_redraw(struct ew_term *t);
/* Give the terminal back, stop the program, take it again. */
void ew_term_suspend(struct ew_term *t);

#endif
