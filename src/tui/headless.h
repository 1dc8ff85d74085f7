/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The explorer without a terminal and without threads, for tests: keys in,
 * surface out. The worker's code runs in between, to the end, so that every
 * screen is the same every time.
 */
#ifndef EW_TUI_HEADLESS_H
#define EW_TUI_HEADLESS_H

#include "app.h"

struct ew_headless; /* opaque */

/* `graph` is taken. Loads, and computes all that the first screen shows. */
struct ew_headless *ew_headless_create(const struct ew_tui_params *params,
                                       struct ew_graph *graph, int rows,
                                       int cols, struct ew_err *err);
void ew_headless_destroy(struct ew_headless *h); /* NULL is fine */
/* Keys in keys.conf's notation, without blanks between: "jj<Space>". */
void ew_headless_keys(struct ew_headless *h, const char *keys);
/* The same, but the worker does not answer yet. */
void ew_headless_keys_unanswered(struct ew_headless *h, const char *keys);
void ew_headless_mouse(struct ew_headless *h, enum ew_mouse what, int y, int x);
void ew_headless_resize(struct ew_headless *h, int rows, int cols);
/* The screen as it is now; borrowed. */
const struct ew_surface *ew_headless_screen(struct ew_headless *h);
struct ew_app *ew_headless_app(struct ew_headless *h);

#endif
