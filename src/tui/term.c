/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Curses: opening and restoring the terminal, keys and mouse, and showing a
 * surface. Only cells that changed since the last frame are handed on.
 * Whatever is written to stderr meanwhile (libraries do) is kept in memory
 * and replayed when the terminal is back.
 */
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wchar.h>

#include "tty.h"

#define NCURSES_WIDECHAR 1
#include <term.h>

#include <curses.h>

#include "edgewise/log.h"
#include "edgewise/mem.h"

#include "keymap.h"
#include "palette.h"
#include "restore.h"
#include "theme.h"

enum { MAX_PAIRS = 1024 };

struct ew_term {
    SCREEN *screen;
    FILE *in; /* owned unless stdin */
    bool mouse;
    int n_colors; /* 0: none */
    struct {
        int fg, bg;
    } pairs[MAX_PAIRS];
    int n_pairs;
    int rows, cols;
    struct ew_cell *shown;          /* (rows, cols): what the terminal has */
    struct ew_term_picture picture; /* over the cells */
    int err_fd;                     /* the real stderr; -1 */
    int err_copy;                   /* memory behind stderr meanwhile; -1 */
};

bool ew_term_check(struct ew_err *err)
{
    const char *name = getenv("TERM");
    if (!isatty(STDOUT_FILENO)) {
        return ew_fail(err, EW_ERR_USAGE,
                       "standard output is not a terminal: the explorer "
                       "needs one; 'edgewise eval' and 'edgewise acdc' do "
                       "the same in scripts");
    }
    if (!name || !*name || strcmp(name, "dumb") == 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "the terminal (TERM=%s) cannot place the cursor: the "
                       "explorer needs one that can; 'edgewise eval' and "
                       "'edgewise acdc' do the same in scripts",
                       name ? name : "");
    }
    int status = 0;
    if (setupterm(NULL, STDOUT_FILENO, &status) == ERR) {
        return ew_fail(err, EW_ERR_USAGE,
                       "the terminal '%s' is unknown here: set TERM to one "
                       "that is, for example TERM=xterm",
                       name);
    }
    return true;
}

bool ew_term_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* ---- stderr ---- */

static void capture_stderr(struct ew_term *t)
{
    fflush(stderr);
    t->err_copy = memfd_create("edgewise-stderr", MFD_CLOEXEC);
    t->err_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (t->err_copy >= 0 && t->err_fd >= 0) {
        dup2(t->err_copy, STDERR_FILENO);
    }
    ew_log_stderr(false, EW_LOG_WARN);
}

static void replay_stderr(struct ew_term *t)
{
    char bytes[4096];
    fflush(stderr);
    if (t->err_copy >= 0 && t->err_fd >= 0) {
        dup2(t->err_fd, STDERR_FILENO);
        lseek(t->err_copy, 0, SEEK_SET);
        for (ssize_t n; (n = read(t->err_copy, bytes, sizeof(bytes))) > 0;) {
            ssize_t done = write(STDERR_FILENO, bytes, (size_t)n);
            (void)done;
        }
    }
    if (t->err_fd >= 0) {
        close(t->err_fd);
    }
    if (t->err_copy >= 0) {
        close(t->err_copy);
    }
    ew_log_stderr(true, EW_LOG_WARN);
}

/* ---- opening ---- */

static char reset_text[256];
static size_t reset_len;

static int add_reset(int c)
{
    if (reset_len + 1 < sizeof(reset_text)) {
        reset_text[reset_len++] = (char)c;
    }
    return c;
}

/* What brings any terminal back, for handlers that may not ask curses. */
static void make_reset(bool mouse)
{
    static const char *const caps[] = {"rmkx", "sgr0", "cnorm", "rmcup"};
    reset_len = 0;
    for (const char *p = mouse ? "\033[?1000l\033[?1006l" : ""; *p; p++) {
        add_reset(*p);
    }
    for (size_t i = 0; i < EW_ARRAY_LEN(caps); i++) {
        char name[8];
        snprintf(name, sizeof(name), "%s", caps[i]);
        const char *text = tigetstr(name);
        if (text && text != (const char *)-1) {
            tputs(text, 1, add_reset);
        }
    }
}

static int choose_colors(enum ew_color color)
{
    const char *none = getenv("NO_COLOR");
    bool off =
        color == EW_COLOR_NEVER || (color == EW_COLOR_AUTO && none && *none);
    if (off || !has_colors()) {
        return 0;
    }
    start_color();
    use_default_colors();
    return COLORS;
}

static void set_modes(struct ew_term *t)
{
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    intrflush(stdscr, FALSE);
    set_escdelay(25);
    curs_set(0);
    if (t->mouse) {
        mouseinterval(0);
        mousemask(BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
    }
}

static void take_size(struct ew_term *t)
{
    t->rows = LINES;
    t->cols = COLS;
    size_t n = (size_t)t->rows * (size_t)t->cols;
    t->shown = ew_xrealloc(t->shown, n ? n : 1, sizeof(*t->shown));
    memset(t->shown, 0xff, n * sizeof(*t->shown)); /* like no cell */
}

struct ew_term *ew_term_open(enum ew_color color, bool mouse,
                             struct ew_err *err)
{
    struct ew_term *t = ew_xcalloc(1, sizeof(*t));
    t->err_fd = -1;
    t->err_copy = -1;
    t->mouse = mouse;
    t->in = isatty(STDIN_FILENO) ? stdin : fopen("/dev/tty", "r");
    if (!t->in) {
        ew_fail(err, EW_ERR_USAGE, "no terminal to read keys from: %s",
                strerror(errno));
        free(t);
        return NULL;
    }
    ew_restore_save(fileno(t->in));
    t->screen = newterm(NULL, stdout, t->in);
    if (!t->screen) {
        ew_fail(err, EW_ERR_USAGE, "the terminal '%s' cannot be opened",
                getenv("TERM"));
        if (t->in != stdin) {
            fclose(t->in);
        }
        free(t);
        return NULL;
    }
    t->n_colors = choose_colors(color);
    set_modes(t);
    make_reset(mouse);
    capture_stderr(t);
    ew_restore_arm(reset_text, reset_len, t->err_fd);
    take_size(t);
    return t;
}

void ew_term_close(struct ew_term *t)
{
    if (!t) {
        return;
    }
    endwin();
    ew_restore_disarm();
    delscreen(t->screen);
    replay_stderr(t);
    if (t->in != stdin) {
        fclose(t->in);
    }
    free(t->shown);
    free(t);
}

/* ---- input ---- */

int ew_term_fd(const struct ew_term *t)
{
    return fileno(t->in);
}

static bool read_mouse(struct ew_input *out)
{
    MEVENT event;
    if (getmouse(&event) != OK) {
        return false;
    }
    out->y = event.y;
    out->x = event.x;
    out->kind = event.bstate & BUTTON4_PRESSED   ? EW_INPUT_WHEEL_UP
                : event.bstate & BUTTON5_PRESSED ? EW_INPUT_WHEEL_DOWN
                                                 : EW_INPUT_CLICK;
    return true;
}

static uint32_t map_code(wint_t code)
{
    switch (code) {
    case KEY_UP:
        return EW_KEY_UP;
    case KEY_DOWN:
        return EW_KEY_DOWN;
    case KEY_LEFT:
        return EW_KEY_LEFT;
    case KEY_RIGHT:
        return EW_KEY_RIGHT;
    case KEY_HOME:
        return EW_KEY_HOME;
    case KEY_END:
        return EW_KEY_END;
    case KEY_NPAGE:
        return EW_KEY_PGDN;
    case KEY_PPAGE:
        return EW_KEY_PGUP;
    case KEY_BTAB:
        return EW_KEY_S_TAB;
    case KEY_DC:
        return EW_KEY_DEL;
    case KEY_BACKSPACE:
        return EW_KEY_BACKSPACE;
    case KEY_ENTER:
        return EW_KEY_ENTER;
    default:
        if (code >= KEY_F(1) && code <= KEY_F(12)) {
            return EW_KEY_F1 + (uint32_t)(code - KEY_F(1));
        }
        return EW_KEY_NONE;
    }
}

static uint32_t map_char(wint_t c)
{
    return c == '\n'               ? EW_KEY_ENTER
           : c == 0x7f || c == 0x8 ? EW_KEY_BACKSPACE
                                   : (uint32_t)c;
}

bool ew_term_read(struct ew_term *t, struct ew_input *out)
{
    for (;;) {
        wint_t code = 0;
        int kind = get_wch(&code);
        *out = (struct ew_input){.kind = EW_INPUT_KEY};
        if (kind == ERR) {
            return false;
        }
        if (kind == KEY_CODE_YES && code == KEY_RESIZE) {
            out->kind = EW_INPUT_RESIZE;
            return true;
        }
        if (kind == KEY_CODE_YES && code == KEY_MOUSE) {
            if (read_mouse(out)) {
                return true;
            }
            continue;
        }
        out->key = kind == KEY_CODE_YES ? map_code(code) : map_char(code);
        if (out->key != EW_KEY_NONE) {
            return true;
        }
    }
}

void ew_term_size(const struct ew_term *t, int *rows, int *cols)
{
    *rows = t->rows;
    *cols = t->cols;
}

struct ew_cell_size ew_term_cell(const struct ew_term *t)
{
    static const struct ew_cell_size usual = {10, 20};
    enum { LARGEST = 256 };
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
        size.ws_row != t->rows || size.ws_col != t->cols) {
        return usual;
    }
    struct ew_cell_size cell = {size.ws_xpixel / size.ws_col,
                                size.ws_ypixel / size.ws_row};
    bool told =
        cell.w > 0 && cell.h > 0 && cell.w <= LARGEST && cell.h <= LARGEST;
    return told ? cell : usual;
}

void ew_term_resize(struct ew_term *t)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 &&
        size.ws_col > 0 && is_term_resized(size.ws_row, size.ws_col)) {
        /* resizeterm() would put back the key that brought us here */
        resize_term(size.ws_row, size.ws_col);
    }
    if (LINES != t->rows || COLS != t->cols) {
        take_size(t);
        erase();
        ew_term_redraw(t); /* what is left of the old frame is not known */
    }
}

/* ---- output ---- */

/* Among so many colours the first 8 are the palette's. */
static int direct(const struct ew_term *t, int color)
{
    return t->n_colors >= EW_COLORS_RGB && color >= 0 && color < 8 ? 8 : color;
}

static int pair_of(struct ew_term *t, int fg, int bg)
{
    if (fg < 0 && bg < 0) {
        return 0;
    }
    for (int i = 0; i < t->n_pairs; i++) {
        if (t->pairs[i].fg == fg && t->pairs[i].bg == bg) {
            return i + 1;
        }
    }
    if (t->n_pairs >= MAX_PAIRS || t->n_pairs + 1 >= COLOR_PAIRS) {
        return 0;
    }
    t->pairs[t->n_pairs].fg = fg;
    t->pairs[t->n_pairs].bg = bg;
    t->n_pairs++;
    init_extended_pair(t->n_pairs, direct(t, fg), direct(t, bg));
    return t->n_pairs;
}

static int own_color(const struct ew_term *t, uint32_t rgb)
{
    return t->n_colors >= EW_COLORS_RGB ? (int)rgb
                                        : ew_palette_nearest(rgb, t->n_colors);
}

static attr_t style_attr(struct ew_term *t, struct ew_style style, int *pair)
{
    uint8_t attr = style.attr;
    *pair = 0;
    if (style.own) {
        int fg = own_color(t, style.fg_rgb);
        int bg = style.own == EW_OWN_BOTH
                     ? own_color(t, style.bg_rgb)
                     : ew_ink_color(EW_R_NORMAL, t->n_colors);
        *pair = t->n_colors > 0 ? pair_of(t, fg, bg) : 0;
    } else if (t->n_colors > 0 && ew_theme() != EW_THEME_MONO) {
        int fg = ew_ink_color((enum ew_ink)style.fg, t->n_colors);
        int bg = ew_ink_color((enum ew_ink)style.bg, t->n_colors);
        *pair = pair_of(t, fg, bg);
    } else {
        attr = ew_style_mono(style);
    }
    return (attr & EW_ATTR_BOLD ? A_BOLD : 0) |
           (attr & EW_ATTR_DIM ? A_DIM : 0) |
           (attr & EW_ATTR_REVERSE ? A_REVERSE : 0) |
           (attr & EW_ATTR_UNDERLINE ? A_UNDERLINE : 0);
}

static void show_cell(struct ew_term *t, int y, int x,
                      const struct ew_cell *cell)
{
    wchar_t text[CCHARW_MAX + 1] = {0};
    cchar_t out;
    int pair;
    attr_t attr = style_attr(t, cell->style, &pair);
    if (mbstowcs(text, cell->text, CCHARW_MAX) == (size_t)-1) {
        text[0] = L'?';
        text[1] = L'\0';
    }
    if (setcchar(&out, text, attr, 0, &pair) == OK) {
        mvadd_wch(y, x, &out);
    }
}

void ew_term_show(struct ew_term *t, const struct ew_surface *s)
{
    int rows = ew_surface_rows(s) < t->rows ? ew_surface_rows(s) : t->rows;
    int cols = ew_surface_cols(s) < t->cols ? ew_surface_cols(s) : t->cols;
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < cols; x++) {
            const struct ew_cell *cell = ew_surface_at(s, y, x);
            struct ew_cell *shown = &t->shown[y * t->cols + x];
            bool same =
                shown->width == cell->width &&
                memcmp(&shown->style, &cell->style, sizeof(cell->style)) == 0 &&
                strcmp(shown->text, cell->text) == 0;
            if (!same) {
                *shown = *cell;
                if (cell->width > 0) {
                    show_cell(t, y, x, cell);
                }
            }
        }
    }
    int y, x;
    ew_surface_caret(s, &y, &x);
    curs_set(y >= 0);
    if (y >= 0) {
        move(y, x);
    }
    refresh();
}

bool ew_term_has_picture(const struct ew_term *t,
                         const struct ew_term_picture *what)
{
    const struct ew_term_picture *p = &t->picture;
    bool none = p->rect.rows == 0 && what->rect.rows == 0;
    return none ||
           (memcmp(&p->rect, &what->rect, sizeof(p->rect)) == 0 &&
            p->cell.w == what->cell.w && p->cell.h == what->cell.h &&
            p->serial == what->serial && p->look.x == what->look.x &&
            p->look.y == what->look.y && p->look.zoom == what->look.zoom);
}

static void send(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return; /* the terminal has gone: the loop will see */
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

void ew_term_show_picture(struct ew_term *t, const struct ew_term_picture *what,
                          const char *clear, const struct ew_buf *bytes,
                          const struct ew_surface *s)
{
    if (t->picture.rect.rows > 0) {
        send(clear, strlen(clear));
        ew_term_redraw(t); /* what was under it */
        ew_term_show(t, s);
    }
    t->picture = *what;
    if (what->rect.rows > 0) {
        char place[48];
        int n = snprintf(place, sizeof(place), "\0337\033[%d;%dH",
                         what->rect.y + 1, what->rect.x + 1);
        send(place, (size_t)n);
        send(bytes->data, bytes->len);
        send("\0338", 2);
    }
}

void ew_term_redraw(struct ew_term *t)
{
    t->picture = (struct ew_term_picture){0};
    memset(t->shown, 0xff,
           (size_t)t->rows * (size_t)t->cols * sizeof(*t->shown));
    clearok(curscr, TRUE);
}

void ew_term_suspend(struct ew_term *t)
{
    def_prog_mode();
    endwin();
    ew_signals_stop();
    reset_prog_mode();
    ew_term_resize(t);
    ew_term_redraw(t);
    refresh();
}
