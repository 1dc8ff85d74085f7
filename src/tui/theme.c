/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Themes, for as many colours as the terminal has. The table in theme.h is
 * the dark one; the others say what differs.
 */
#include "theme.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/common.h"
#include "edgewise/mem.h"

#include "palette.h"

struct role_info {
    const char *name;
    int16_t c256, c16, c8;
    uint8_t mono;
};

#define X(role, a, b, c, m) {#role, a, b, c, m},
static const struct role_info roles[EW_N_INKS] = {EW_INKS(X)};
#undef X

struct change {
    enum ew_ink ink;
    int16_t c256, c16, c8;
};

/* Dark letters for a light ground. */
static const struct change light[] = {
    {EW_R_DIM, 242, 8, 0},
    {EW_R_FAINT, 248, 7, 0},
    {EW_R_BORDER, 250, 7, 0},
    {EW_R_BORDER_FOCUS, 25, 4, 4},
    {EW_R_TITLE, 236, 0, 0},
    {EW_R_TITLE_FOCUS, 25, 4, 4},
    {EW_R_HEADER, 30, 6, 6},
    {EW_R_BADGE, 236, 0, 0},
    {EW_R_BADGE_BG, 254, 7, 7},
    {EW_R_BADGE_KEY, 25, 4, 4},
    {EW_R_SELECT_BG, 189, 7, 7},
    {EW_R_SELECT_DIM_BG, 254, 7, 7},
    {EW_R_KEPT, 28, 2, 2},
    {EW_R_CUT, 246, 8, 0},
    {EW_R_NODE, 236, 0, 0},
    {EW_R_NAME, 94, 3, 3},
    {EW_R_VALUE, 232, 0, 0},
    {EW_R_WARN, 130, 3, 3},
    {EW_R_ERROR, 160, 1, 1},
    {EW_R_GOOD, 28, 2, 2},
    {EW_R_KEY_TEXT, 238, 0, 0},
    {EW_R_PROMPT, 94, 3, 3},
    {EW_R_MATCH, 130, 3, 3},
    {EW_R_MARK, 127, 5, 5},
    {EW_R_Q, 25, 4, 4},
    {EW_R_K, 28, 2, 2},
    {EW_R_V, 94, 3, 3},
    {EW_R_NEG4, 166, 1, 1},
    {EW_R_NEG3, 166, 1, 1},
    {EW_R_NEG2, 173, 3, 3},
    {EW_R_NEG1, 180, 3, 3},
    {EW_R_ZERO, 247, 8, 0},
    {EW_R_POS1, 110, 4, 4},
    {EW_R_POS2, 67, 4, 4},
    {EW_R_POS3, 25, 4, 4},
    {EW_R_POS4, 19, 4, 4},
    {EW_R_SHADE1, 255, 7, 7},
    {EW_R_SHADE2, 225, 7, 7},
    {EW_R_SHADE3, 218, 7, 7},
    {EW_R_SHADE4, 211, 5, 5},
    {EW_R_HEAT_NEG4, 208, 1, 1},
    {EW_R_HEAT_NEG3, 215, 3, 3},
    {EW_R_HEAT_NEG2, 222, 3, 3},
    {EW_R_HEAT_NEG1, 230, 7, 7},
    {EW_R_HEAT_POS1, 195, 7, 7},
    {EW_R_HEAT_POS2, 153, 6, 6},
    {EW_R_HEAT_POS3, 117, 6, 6},
    {EW_R_HEAT_POS4, 75, 4, 4},
    {EW_R_GROUP_CYAN, 37, 6, 6},
    {EW_R_GROUP_YELLOW, 136, 3, 3},
    {EW_R_GROUP_ORANGE, 166, 3, 3},
    {EW_R_GROUP_GREY, 243, 8, 0},
};

/* No green against red: blue, orange, yellow and lightness. */
static const struct change safe[] = {
    {EW_R_KEPT, 75, 12, 4},  {EW_R_GOOD, 75, 12, 4}, {EW_R_ERROR, 208, 3, 3},
    {EW_R_MARK, 228, 11, 3}, {EW_R_K, 255, 15, 7},   {EW_R_V, 214, 3, 3},
};

static const struct {
    const char *name;
    const struct change *changes;
    size_t n;
} themes[EW_N_THEMES] = {
    [EW_THEME_DARK] = {"dark", NULL, 0},
    [EW_THEME_LIGHT] = {"light", light, EW_ARRAY_LEN(light)},
    [EW_THEME_SAFE] = {"safe", safe, EW_ARRAY_LEN(safe)},
    [EW_THEME_MONO] = {"mono", NULL, 0},
};

static enum ew_theme theme_now;

/* Colours of one's own. */
static struct {
    bool is;
    int32_t color;
} own[EW_N_INKS];

void ew_theme_set(enum ew_theme theme)
{
    theme_now = theme;
}

enum ew_theme ew_theme(void)
{
    return theme_now;
}

const char *ew_theme_name(enum ew_theme theme)
{
    return themes[theme].name;
}

bool ew_theme_parse(const char *name, enum ew_theme *out)
{
    for (int i = 0; i < EW_N_THEMES; i++) {
        if (strcmp(themes[i].name, name) == 0) {
            *out = (enum ew_theme)i;
            return true;
        }
    }
    return false;
}

/* What the theme in force has for it; a number of the palette. */
static int themed(enum ew_ink role, int n_colors)
{
    struct change color = {role, roles[role].c256, roles[role].c16,
                           roles[role].c8};
    for (size_t i = 0; i < themes[theme_now].n; i++) {
        if (themes[theme_now].changes[i].ink == role) {
            color = themes[theme_now].changes[i];
        }
    }
    return n_colors >= 256 ? color.c256 : n_colors >= 16 ? color.c16 : color.c8;
}

int ew_ink_color(enum ew_ink role, int n_colors)
{
    int32_t color = own[role].is ? own[role].color : themed(role, n_colors);
    if (color < 0) {
        return -1;
    }
    if (n_colors >= EW_COLORS_RGB) {
        return color & EW_RGB ? color & ~EW_RGB : (int)ew_palette_rgb(color);
    }
    if (color & EW_RGB) {
        return ew_palette_nearest((uint32_t)color & 0xffffff, n_colors);
    }
    return color < n_colors || n_colors >= 256
               ? color
               : ew_palette_nearest(ew_palette_rgb(color), n_colors);
}

/* "border-focus" is BORDER_FOCUS. */
static bool is_role(const char *word, const char *role)
{
    while (*word && *role &&
           (*word == '-' ? '_' : toupper((unsigned char)*word)) == *role) {
        word++;
        role++;
    }
    return *word == *role;
}

static bool read_words(const char *word, const char *value, const char *file,
                       int number, struct ew_err *err)
{
    enum ew_theme theme;
    if (strcmp(word, "theme") == 0) {
        if (!ew_theme_parse(value, &theme)) {
            return ew_fail(err, EW_ERR_INPUT, "%s:%d: no theme called '%s'",
                           file, number, value);
        }
        theme_now = theme;
        return true;
    }
    for (int i = 0; i < EW_N_INKS; i++) {
        if (!is_role(word, roles[i].name)) {
            continue;
        }
        if (!ew_color_parse(value, &own[i].color)) {
            return ew_fail(err, EW_ERR_INPUT,
                           "%s:%d: '%s' is no colour: #rrggbb, 0 to 255 or "
                           "default",
                           file, number, value);
        }
        own[i].is = true;
        return true;
    }
    return ew_fail(err, EW_ERR_INPUT, "%s:%d: nothing here is called '%s'",
                   file, number, word);
}

static bool read_line(char *line, const char *file, int number,
                      struct ew_err *err)
{
    char *rest;
    char *word = strtok_r(line, " \t\r", &rest);
    if (!word || *word == '#') {
        return true;
    }
    char *value = strtok_r(NULL, " \t\r", &rest);
    if (!value) {
        return ew_fail(err, EW_ERR_INPUT, "%s:%d: '%s' has no colour", file,
                       number, word);
    }
    char *more = strtok_r(NULL, " \t\r", &rest);
    if (more && *more != '#') {
        return ew_fail(err, EW_ERR_INPUT, "%s:%d: what is '%s'?", file, number,
                       more);
    }
    return read_words(word, value, file, number, err);
}

bool ew_theme_read(const char *text, const char *file, struct ew_err *err)
{
    bool ok = true;
    for (int number = 1; *text && ok; number++) {
        size_t len = strcspn(text, "\n");
        char *line = ew_xstrndup(text, len);
        ok = read_line(line, file, number, err);
        free(line);
        text += len + (text[len] == '\n');
    }
    return ok;
}

void ew_theme_forget(void)
{
    memset(own, 0, sizeof(own));
}

uint8_t ew_ink_mono(enum ew_ink role)
{
    return roles[role].mono;
}

uint8_t ew_style_mono(struct ew_style style)
{
    uint8_t attr = style.attr | ew_ink_mono((enum ew_ink)style.fg);
    return attr ^ ew_ink_mono((enum ew_ink)style.bg);
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
