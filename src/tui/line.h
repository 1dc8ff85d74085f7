/* SPDX-License-Identifier: Apache-2.0 */
/* A line that is typed: UTF-8, edited with the keys of readline. */
#ifndef EW_TUI_LINE_H
#define EW_TUI_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "surface.h"

enum { EW_LINE_SIZE = 1024 };

struct ew_line {
    char text[EW_LINE_SIZE];
    int len, at; /* bytes */
};

/* What does not fit is cut off; the cursor is at the end. */
void ew_line_set(struct ew_line *l, const char *text);
void ew_line_key(struct ew_line *l, uint32_t key);
/* From column x of a row to its end, as much as shows the cursor; `caret`
 * puts the terminal's there. */
void ew_line_draw(const struct ew_line *l, struct ew_area area, int y, int x,
                  bool caret);

#endif
