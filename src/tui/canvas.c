/* SPDX-License-Identifier: Apache-2.0 */
/* Dots to braille cells. */
#include "canvas.h"

#include <math.h>
#include <stdlib.h>

#include "edgewise/mem.h"

struct ew_canvas {
    int rows, cols;
    unsigned char *dots; /* (rows, cols): bits of the braille pattern */
    unsigned char *ink;
    signed char *slant; /* direction of the last line, for ASCII */
};

struct ew_canvas *ew_canvas_create(int rows, int cols)
{
    struct ew_canvas *c = ew_xcalloc(1, sizeof(*c));
    c->rows = rows > 0 ? rows : 1;
    c->cols = cols > 0 ? cols : 1;
    size_t n = (size_t)c->rows * (size_t)c->cols;
    c->dots = ew_xcalloc(n, 1);
    c->ink = ew_xcalloc(n, 1);
    c->slant = ew_xcalloc(n, 1);
    return c;
}

void ew_canvas_destroy(struct ew_canvas *c)
{
    if (c) {
        free(c->dots);
        free(c->ink);
        free(c->slant);
        free(c);
    }
}

static void dot(struct ew_canvas *c, int py, int px, enum ew_ink ink, int slant)
{
    static const unsigned char bits[4][2] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (py < 0 || px < 0 || py >= 4 * c->rows || px >= 2 * c->cols) {
        return;
    }
    int at = py / 4 * c->cols + px / 2;
    if (c->ink[at] != ink) { /* another line's dots would change colour */
        c->dots[at] = 0;
        c->ink[at] = (unsigned char)ink;
    }
    c->dots[at] |= bits[py % 4][px % 2];
    c->slant[at] = (signed char)slant;
}

void ew_canvas_curve(struct ew_canvas *c, int y0, int x0, int y1, int x1,
                     enum ew_ink ink)
{
    double ay = 4 * y0 + 1.5, ax = 2 * x0 + 0.5;
    double by = 4 * y1 + 1.5, bx = 2 * x1 + 0.5;
    int steps = 2 * (abs(y1 - y0) * 4 + abs(x1 - x0) * 2) + 1;
    double last = ax;
    for (int i = 0; i <= steps; i++) {
        double t = (double)i / steps;
        double ease = t * t * (3.0 - 2.0 * t);
        double x = ax + (bx - ax) * ease;
        double y = ay + (by - ay) * t;
        double dx = (x - last) * (by > ay ? 1.0 : -1.0);
        int slant = fabs(dx) < 0.12 ? 0 : fabs(dx) > 1.2 ? 2 : dx > 0 ? 1 : -1;
        dot(c, (int)lround(y), (int)lround(x), ink, slant);
        last = x;
    }
}

void ew_canvas_show(const struct ew_canvas *c, struct ew_area area)
{
    bool ascii = ew_surface_ascii(area.surface);
    for (int y = 0; y < c->rows; y++) {
        for (int x = 0; x < c->cols; x++) {
            int at = y * c->cols + x;
            if (!c->dots[at]) {
                continue;
            }
            static const char *const strokes[] = {"/", "|", "\\", "-"};
            unsigned code = 0x2800u + c->dots[at];
            char braille[4] = {(char)(0xe0 | (code >> 12)),
                               (char)(0x80 | ((code >> 6) & 0x3f)),
                               (char)(0x80 | (code & 0x3f)), '\0'};
            ew_put(area, y, x, ew_style((enum ew_ink)c->ink[at]),
                   ascii ? strokes[c->slant[at] + 1] : braille);
        }
    }
}
