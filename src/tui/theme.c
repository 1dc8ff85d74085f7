/* SPDX-License-Identifier: Apache-2.0 */
/* The dark theme, for as many colours as the terminal has. */
#include "theme.h"

#include <math.h>

struct role_info {
    const char *name;
    int16_t c256, c16, c8;
    uint8_t mono;
};

#define X(role, a, b, c, m) {#role, a, b, c, m},
static const struct role_info roles[EW_N_INKS] = {EW_INKS(X)};
#undef X

int ew_ink_color(enum ew_ink role, int n_colors)
{
    if (n_colors >= 256) {
        return roles[role].c256;
    }
    return n_colors >= 16 ? roles[role].c16 : roles[role].c8;
}

uint8_t ew_ink_mono(enum ew_ink role)
{
    return roles[role].mono;
}

const char *ew_ink_name(enum ew_ink role)
{
    return roles[role].name;
}

int ew_ramp_step(double value, double full)
{
    double size = fabs(value);
    if (!isfinite(value) || !(full > 0) || size < 0.02 * full) {
        return 0;
    }
    int step = size < 0.12 * full  ? 1
               : size < 0.3 * full ? 2
               : size < 0.6 * full ? 3
                                   : 4;
    return value < 0 ? -step : step;
}

enum ew_ink ew_ramp_text(int step)
{
    static const enum ew_ink ramp[] = {EW_R_NEG4, EW_R_NEG3, EW_R_NEG2,
                                       EW_R_NEG1, EW_R_ZERO, EW_R_POS1,
                                       EW_R_POS2, EW_R_POS3, EW_R_POS4};
    return ramp[step + 4];
}

enum ew_ink ew_ramp_heat(int step)
{
    static const enum ew_ink ramp[] = {
        EW_R_HEAT_NEG4, EW_R_HEAT_NEG3, EW_R_HEAT_NEG2,
        EW_R_HEAT_NEG1, EW_R_NORMAL,    EW_R_HEAT_POS1,
        EW_R_HEAT_POS2, EW_R_HEAT_POS3, EW_R_HEAT_POS4};
    return ramp[step + 4];
}
