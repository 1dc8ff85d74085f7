/* SPDX-License-Identifier: Apache-2.0 */
/* xterm's palette: 16 colours, a cube of 6x6x6, 24 greys. */
#include "palette.h"

#include <stdlib.h>
#include <string.h>

uint32_t ew_palette_rgb(int color)
{
    static const uint32_t basic[16] = {0x000000, 0xcd3131, 0x0dbc79, 0xe5e510,
                                       0x2472c8, 0xbc3fbc, 0x11a8cd, 0xe5e5e5,
                                       0x666666, 0xf14c4c, 0x23d18b, 0xf5f543,
                                       0x3b8eea, 0xd670d6, 0x29b8db, 0xffffff};
    static const uint32_t steps[6] = {0, 95, 135, 175, 215, 255};
    if (color < 16) {
        return basic[color < 0 ? 0 : color];
    }
    if (color >= 232) {
        uint32_t grey = 8 + 10 * (uint32_t)(color - 232);
        return grey << 16 | grey << 8 | grey;
    }
    color -= 16;
    return steps[color / 36] << 16 | steps[color / 6 % 6] << 8 |
           steps[color % 6];
}

static long apart(uint32_t a, uint32_t b)
{
    long sum = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
        long d = (long)(a >> shift & 255) - (long)(b >> shift & 255);
        sum += d * d;
    }
    return sum;
}

int ew_palette_nearest(uint32_t rgb, int n_colors)
{
    /* where the rest is defined, the first 16 are the terminal's own */
    int first = n_colors >= 256 ? 16 : 0;
    int last = n_colors >= 256 ? 256 : n_colors >= 16 ? 16 : 8;
    int best = first;
    for (int i = first; i < last; i++) {
        if (apart(ew_palette_rgb(i), rgb) < apart(ew_palette_rgb(best), rgb)) {
            best = i;
        }
    }
    return best;
}

bool ew_color_parse(const char *text, int32_t *out)
{
    char *end;
    if (strcmp(text, "default") == 0) {
        *out = -1;
        return true;
    }
    if (*text == '#') {
        if (strspn(text + 1, "0123456789abcdefABCDEF") != 6 || text[7]) {
            return false;
        }
        *out = EW_RGB | (int32_t)strtol(text + 1, NULL, 16);
        return true;
    }
    if (*text < '0' || *text > '9') {
        return false;
    }
    long value = strtol(text, &end, 10);
    *out = (int32_t)value;
    return *end == '\0' && value <= 255;
}
