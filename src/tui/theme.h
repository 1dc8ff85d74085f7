/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a colour means. Code names roles; a theme gives each role a colour for
 * terminals of 256, 16 or 8 colours and attributes for those without. Signed
 * figures use a ramp from orange (hurts) to blue (needed), which colour-blind
 * people can tell apart, and always carry their sign as well.
 */
#ifndef EW_TUI_THEME_H
#define EW_TUI_THEME_H

#include <stdbool.h>
#include <stdint.h>

#include "edgewise/err.h"

#include "surface.h"

// clang-format off
/*      role        256  16   8  attributes without colour */
#define EW_INKS(X)                                                   \
    X(NORMAL,       -1,  -1, -1, 0)                                   \
    X(DIM,         245,   8,  7, EW_ATTR_DIM)                         \
    X(FAINT,       240,   8,  7, EW_ATTR_DIM)                         \
    X(BORDER,      240,   8,  7, EW_ATTR_DIM)                         \
    X(BORDER_FOCUS, 75,  12,  6, EW_ATTR_BOLD)                        \
    X(TITLE,       252,  15,  7, 0)                                   \
    X(TITLE_FOCUS, 117,  14,  6, EW_ATTR_BOLD)                        \
    X(HEADER,      109,   6,  6, EW_ATTR_UNDERLINE)                   \
    X(BADGE,       252,  15,  7, EW_ATTR_REVERSE)                     \
    X(BADGE_BG,    236,   0,  0, 0)                                   \
    X(BADGE_KEY,   117,  14,  6, EW_ATTR_REVERSE | EW_ATTR_BOLD)      \
    X(SELECT_BG,   238,   8,  4, EW_ATTR_REVERSE)                     \
    X(SELECT_DIM_BG, 235, 0,  0, EW_ATTR_UNDERLINE)                   \
    X(KEPT,        114,  10,  2, 0)                                   \
    X(CUT,         243,   8,  7, EW_ATTR_DIM)                         \
    X(NODE,        252,  15,  7, 0)                                   \
    X(NAME,        223,  11,  3, EW_ATTR_BOLD)                        \
    X(VALUE,       255,  15,  7, EW_ATTR_BOLD)                        \
    X(WARN,        221,  11,  3, EW_ATTR_BOLD)                        \
    X(ERROR,       203,   9,  1, EW_ATTR_BOLD | EW_ATTR_REVERSE)      \
    X(GOOD,        114,  10,  2, 0)                                   \
    X(KEY,         235,   0,  0, 0)                                   \
    X(KEY_BG,      109,   6,  6, EW_ATTR_REVERSE)                     \
    X(KEY_TEXT,    250,   7,  7, 0)                                   \
    X(PROMPT,      223,  11,  3, EW_ATTR_BOLD)                        \
    X(MATCH,       221,  11,  3, EW_ATTR_UNDERLINE)                   \
    X(MARK,        177,  13,  5, EW_ATTR_BOLD)                        \
    X(Q,           117,  14,  6, 0)                                   \
    X(K,           151,  10,  2, 0)                                   \
    X(V,           222,  11,  3, 0)                                   \
    X(NEG4,        208,   9,  1, EW_ATTR_BOLD)                        \
    X(NEG3,        208,   9,  1, 0)                                   \
    X(NEG2,        173,   3,  3, 0)                                   \
    X(NEG1,        137,   3,  3, 0)                                   \
    X(ZERO,        242,   8,  7, EW_ATTR_DIM)                         \
    X(POS1,         67,   4,  4, 0)                                   \
    X(POS2,         74,   6,  6, 0)                                   \
    X(POS3,         81,  14,  6, 0)                                   \
    X(POS4,        123,  14,  6, EW_ATTR_BOLD)                        \
    X(SHADE1,      236,   0,  0, 0)                                   \
    X(SHADE2,       53,   0,  0, 0)                                   \
    X(SHADE3,       89,   5,  5, 0)                                   \
    X(SHADE4,      125,   5,  5, 0)                                   \
    X(SHADE5,      161,   1,  1, EW_ATTR_REVERSE)                     \
    X(SHADE6,      203,   9,  1, EW_ATTR_REVERSE)                     \
    X(SHADE7,      215,  11,  3, EW_ATTR_REVERSE)                     \
    X(SHADE8,      229,  15,  7, EW_ATTR_REVERSE)                     \
    X(GROUP_BLUE,   68,  12,  4, 0)                                   \
    X(GROUP_CYAN,   80,  14,  6, 0)                                   \
    X(GROUP_GREEN,  71,  10,  2, 0)                                   \
    X(GROUP_YELLOW, 185, 11,  3, 0)                                   \
    X(GROUP_RED,   204,   9,  1, 0)                                   \
    X(GROUP_PURPLE, 169, 13,  5, 0)                                   \
    X(GROUP_ORANGE, 209,  3,  3, 0)                                   \
    X(GROUP_GREY,  250,   7,  7, 0)                                   \
    X(HEAT_NEG4,   166,   1,  1, EW_ATTR_REVERSE)                     \
    X(HEAT_NEG3,   130,   3,  3, EW_ATTR_REVERSE)                     \
    X(HEAT_NEG2,    94,   3,  3, 0)                                   \
    X(HEAT_NEG1,    58,   0,  0, 0)                                   \
    X(HEAT_POS1,    23,   0,  0, 0)                                   \
    X(HEAT_POS2,    24,   4,  4, 0)                                   \
    X(HEAT_POS3,    31,   6,  6, EW_ATTR_REVERSE)                     \
    X(HEAT_POS4,    38,   6,  6, EW_ATTR_REVERSE)
// clang-format on

#define X(name, c256, c16, c8, mono) EW_R_##name,
enum ew_ink { EW_INKS(X) EW_N_INKS };
#undef X

enum ew_theme {
    EW_THEME_DARK,
    EW_THEME_LIGHT,
    EW_THEME_SAFE, /* for colour-blind eyes */
    EW_THEME_MONO,
    EW_N_THEMES
};

/* The theme in force is one for the program: there is one screen. */
void ew_theme_set(enum ew_theme theme);
enum ew_theme ew_theme(void);
const char *ew_theme_name(enum ew_theme theme);
/* False when there is no theme of that name. */
bool ew_theme_parse(const char *name, enum ew_theme *out);

/*
 * Colours of one's own, over every theme: a line "ROLE COLOUR" each, as in
 * palette.h, '#' begins a comment; ROLE as in ew_ink_name(), in lower case and
 * with '-'. "theme NAME" says which one to begin with. The error names file
 * and line; what was read before it holds.
 */
bool ew_theme_read(const char *text, const char *file, struct ew_err *err);
/* Without them. */
void ew_theme_forget(void);

/* Colour for a terminal with `n_colors`: its number, 0xrrggbb where there are
 * that many (EW_COLORS_RGB), -1 the terminal's own. */
int ew_ink_color(enum ew_ink role, int n_colors);
/* Attributes that stand for the role where there is no colour. */
uint8_t ew_ink_mono(enum ew_ink role);
/* The attributes that stand for a style where there is no colour. */
uint8_t ew_style_mono(struct ew_style style);
const char *ew_ink_name(enum ew_ink role);

static inline struct ew_style ew_style(enum ew_ink fg)
{
    return (struct ew_style){.fg = (uint8_t)fg};
}

static inline struct ew_style ew_style_bold(enum ew_ink fg)
{
    return (struct ew_style){.fg = (uint8_t)fg, .attr = EW_ATTR_BOLD};
}

static inline struct ew_style ew_style_on(enum ew_ink fg, enum ew_ink bg)
{
    return (struct ew_style){.fg = (uint8_t)fg, .bg = (uint8_t)bg};
}

/* The step of a signed figure on a scale where `full` is the largest: -4 to
 * 4, 0 for what is under a fiftieth of it. */
int ew_ramp_step(double value, double full);
enum ew_ink ew_ramp_text(int step);
enum ew_ink ew_ramp_heat(int step); /* EW_R_NORMAL for step 0 */

#endif
