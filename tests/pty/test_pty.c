/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real program, in a pseudo-terminal, on the bundled model: what a user
 * sees and types. The screen is read by libvterm. Nothing here sleeps: every
 * step waits for its text, with a limit.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <utmp.h>
#include <vterm.h>

#include "edgewise/common.h"

#include "ew_cmocka.h"

enum { LIMIT_MS = 240000, MAX_ROWS = 70, MAX_COLS = 220 };

struct program {
    pid_t pid;
    int fd;
    VTerm *vt;
    VTermScreen *screen;
    int rows, cols;
    struct termios before;
    size_t n_colors; /* colour sequences seen */
    char raw_tail[16];
    char dir[64]; /* an empty folder: where it runs and keeps its files */
    bool alternate;
};

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int on_prop(VTermProp prop, VTermValue *value, void *user)
{
    struct program *p = user;
    if (prop == VTERM_PROP_ALTSCREEN) {
        p->alternate = value->boolean;
    }
    return 1;
}

static const VTermScreenCallbacks callbacks = {.settermprop = on_prop};

static void child(struct program *p, const char *const env[])
{
    const char *bin = getenv("EDGEWISE_BIN");
    if (chdir(p->dir) != 0) {
        _exit(99);
    }
    setenv("HOME", p->dir, 1);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_STATE_HOME");
    unsetenv("LINES");
    unsetenv("COLUMNS");
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm-256color", 1);
    for (int i = 0; env && env[i]; i += 2) {
        setenv(env[i], env[i + 1], 1);
    }
    execl(bin, bin, (char *)NULL);
    _exit(99);
}

static void start(struct program *p, int rows, int cols,
                  const char *const env[])
{
    *p = (struct program){.rows = rows, .cols = cols};
    strcpy(p->dir, "/tmp/edgewise-pty-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    int slave;
    struct winsize size = {.ws_row = (unsigned short)rows,
                           .ws_col = (unsigned short)cols};
    assert_int_equal(openpty(&p->fd, &slave, NULL, NULL, &size), 0);
    assert_int_equal(tcgetattr(slave, &p->before), 0);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        close(p->fd);
        if (login_tty(slave) != 0) {
            _exit(99);
        }
        child(p, env);
    }
    close(slave);
    p->vt = vterm_new(rows, cols);
    vterm_set_utf8(p->vt, 1);
    p->screen = vterm_obtain_screen(p->vt);
    vterm_screen_set_callbacks(p->screen, &callbacks, p);
    vterm_screen_enable_altscreen(p->screen, 1);
    vterm_screen_reset(p->screen, 1);
}

static void row_text(struct program *p, int row, char *out, size_t size)
{
    size_t n = 0;
    for (int col = 0; col < p->cols && n + 8 < size; col++) {
        VTermScreenCell cell;
        VTermPos pos = {.row = row, .col = col};
        vterm_screen_get_cell(p->screen, pos, &cell);
        uint32_t c = cell.chars[0];
        if (c == 0 || c == (uint32_t)-1) {
            out[n++] = ' ';
        } else if (c < 0x80) {
            out[n++] = (char)c;
        } else if (c < 0x800) {
            out[n++] = (char)(0xc0 | (c >> 6));
            out[n++] = (char)(0x80 | (c & 0x3f));
        } else {
            out[n++] = (char)(0xe0 | (c >> 12));
            out[n++] = (char)(0x80 | ((c >> 6) & 0x3f));
            out[n++] = (char)(0x80 | (c & 0x3f));
        }
    }
    out[n] = '\0';
}

static bool shows(struct program *p, const char *text)
{
    char row[4 * MAX_COLS + 8];
    for (int y = 0; y < p->rows; y++) {
        row_text(p, y, row, sizeof(row));
        if (strstr(row, text)) {
            return true;
        }
    }
    return false;
}

static void print_screen(struct program *p)
{
    char row[4 * MAX_COLS + 8];
    for (int y = 0; y < p->rows; y++) {
        row_text(p, y, row, sizeof(row));
        print_message("%s\n", row);
    }
}

/* Feed what comes within `ms`; false when the program has gone. */
static bool pump(struct program *p, int ms)
{
    char bytes[8192];
    struct pollfd fd = {.fd = p->fd, .events = POLLIN};
    if (poll(&fd, 1, ms) <= 0) {
        return true;
    }
    ssize_t n = read(p->fd, bytes, sizeof(bytes));
    if (n <= 0) {
        return n < 0 && errno == EINTR;
    }
    for (ssize_t i = 0; i + 4 < n; i++) {
        p->n_colors += memcmp(bytes + i, "38;5;", 5) == 0;
    }
    vterm_input_write(p->vt, bytes, (size_t)n);
    return true;
}

static void wait_for(struct program *p, const char *text)
{
    long long limit = now_ms() + LIMIT_MS;
    while (!shows(p, text)) {
        if (!pump(p, 100) || now_ms() > limit) {
            print_screen(p);
            fail_msg("'%s' did not appear", text);
        }
    }
}

static void wait_gone(struct program *p, const char *text)
{
    long long limit = now_ms() + LIMIT_MS;
    while (shows(p, text)) {
        if (!pump(p, 100) || now_ms() > limit) {
            print_screen(p);
            fail_msg("'%s' did not go away", text);
        }
    }
}

static void type(struct program *p, const char *keys)
{
    size_t len = strlen(keys);
    assert_int_equal(write(p->fd, keys, len), (ssize_t)len);
}

/* Wait for the end; the wait status. */
static int finish(struct program *p)
{
    int status = 0;
    long long limit = now_ms() + LIMIT_MS;
    while (waitpid(p->pid, &status, WNOHANG) == 0) {
        pump(p, 20);
        if (now_ms() > limit) {
            kill(p->pid, SIGKILL);
            fail_msg("the program did not end");
        }
    }
    while (pump(p, 0) && poll(&(struct pollfd){p->fd, POLLIN, 0}, 1, 0) > 0) {
    }
    struct termios after;
    if (tcgetattr(p->fd, &after) == 0) {
        assert_int_equal(after.c_lflag, p->before.c_lflag);
        assert_int_equal(after.c_iflag, p->before.c_iflag);
    }
    assert_false(p->alternate); /* the shell's screen is back */
    vterm_free(p->vt);
    close(p->fd);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
    assert_int_equal(system(command), 0);
    return status;
}

static void wait_ready(struct program *p)
{
    wait_for(p, "into logits");
    wait_for(p, "recovered 100%");
    wait_gone(p, "…");
}

static int n_edges(struct program *p)
{
    char row[4 * MAX_COLS + 8];
    row_text(p, 0, row, sizeof(row));
    const char *slash = strstr(row, " edges");
    while (slash && slash > row && *slash != '/') {
        slash--;
    }
    return slash ? atoi(slash + 1) : 0;
}

/* "104/105 edges", with `cut` of them cut. */
static const char *edges_text(struct program *p, int cut)
{
    static char text[64];
    int n = n_edges(p);
    snprintf(text, sizeof(text), "%d/%d edges", n - cut, n);
    return text;
}

/* The "now" figure of the status line. */
static double logit_diff(struct program *p)
{
    char row[4 * MAX_COLS + 8];
    row_text(p, p->rows - 3, row, sizeof(row));
    const char *now = strstr(row, "now ");
    if (!now) {
        print_screen(p);
        fail_msg("no logit difference on the screen");
    }
    return atof(now + 4);
}

static void a_toggle_shows_and_is_undone_and_exported(void **state)
{
    (void)state;
    struct program p;
    struct stat st;
    char path[128];
    start(&p, 24, 80, NULL);
    wait_ready(&p);
    double full = logit_diff(&p);
    assert_true(full > 1.0);
    type(&p, "\t"); /* the edges, the strongest first */
    wait_for(&p, "if cut");
    type(&p, " ");
    wait_for(&p, edges_text(&p, 1));
    wait_for(&p, "(-");
    assert_true(logit_diff(&p) < full);
    type(&p, "u");
    wait_for(&p, edges_text(&p, 0));
    wait_for(&p, "recovered 100%");
    assert_true(logit_diff(&p) == full);
    type(&p, "e");
    wait_for(&p, "circuit.svg");
    type(&p, "\x15out.dot\r");
    wait_for(&p, "wrote out.dot");
    snprintf(path, sizeof(path), "%s/out.dot", p.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 100);
    type(&p, "e\x15out.dot\r");
    wait_for(&p, "overwrite?");
    type(&p, "n");
    wait_for(&p, "not written");
    type(&p, "q");
    assert_int_equal(finish(&p), 0);
}

static void acdc_runs_and_can_be_undone(void **state)
{
    (void)state;
    struct program p;
    start(&p, 40, 120, NULL);
    wait_ready(&p);
    type(&p, "a");
    type(&p, "A"); /* waits for the step */
    wait_for(&p, "ACDC done");
    assert_false(shows(&p, edges_text(&p, 0)));
    type(&p, "uu");
    wait_for(&p, edges_text(&p, 0));
    type(&p, "Q");
    assert_int_equal(finish(&p), 0);
}

static void it_follows_the_size_of_the_terminal(void **state)
{
    (void)state;
    struct program p;
    static const int sizes[][2] = {{40, 120}, {10, 40}, {60, 200}, {24, 80}};
    start(&p, 24, 80, NULL);
    wait_ready(&p);
    for (size_t i = 0; i < EW_ARRAY_LEN(sizes); i++) {
        struct winsize size = {.ws_row = (unsigned short)sizes[i][0],
                               .ws_col = (unsigned short)sizes[i][1]};
        p.rows = sizes[i][0];
        p.cols = sizes[i][1];
        vterm_set_size(p.vt, p.rows, p.cols);
        assert_int_equal(ioctl(p.fd, TIOCSWINSZ, &size), 0);
        wait_for(&p, i == 1 ? "needs 60x17" : "q quit");
        if (i == 0) {
            wait_for(&p, "ACDC  tau");
        }
    }
    type(&p, "Q");
    assert_int_equal(finish(&p), 0);
}

static void help_and_cancel_do_not_quit(void **state)
{
    (void)state;
    struct program p;
    start(&p, 24, 80, NULL);
    wait_ready(&p);
    type(&p, "?");
    wait_for(&p, "j k scroll");
    type(&p, "q");
    wait_gone(&p, "j k scroll");
    type(&p, "\x03");
    wait_for(&p, "nothing is running");
    type(&p, "q");
    assert_int_equal(finish(&p), 0);
}

static void ended_by(int signo)
{
    struct program p;
    start(&p, 24, 80, NULL);
    wait_ready(&p);
    assert_int_equal(kill(p.pid, signo), 0);
    int status = finish(&p); /* checks that the terminal is as before */
    assert_true(WIFSIGNALED(status) || WIFEXITED(status));
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), signo);
    }
}

static void signals_leave_the_terminal_sane(void **state)
{
    (void)state;
    ended_by(SIGTERM);
    ended_by(SIGHUP);
    ended_by(SIGINT);
    ended_by(SIGSEGV);
}

static void no_color_means_no_color(void **state)
{
    (void)state;
    struct program p;
    const char *const env[] = {"NO_COLOR", "1", NULL};
    start(&p, 24, 80, env);
    wait_ready(&p);
    assert_int_equal(p.n_colors, 0);
    type(&p, "q");
    assert_int_equal(finish(&p), 0);
    start(&p, 24, 80, NULL);
    wait_ready(&p);
    assert_true(p.n_colors > 0);
    type(&p, "q");
    assert_int_equal(finish(&p), 0);
}

static void ascii_where_the_locale_has_no_more(void **state)
{
    (void)state;
    struct program p;
    const char *const env[] = {"LC_ALL", "C", NULL};
    start(&p, 24, 80, env);
    wait_for(&p, "into logits");
    wait_for(&p, "recovered 100%");
    assert_true(shows(&p, "+- "));
    type(&p, "q");
    assert_int_equal(finish(&p), 0);
}

static void a_dumb_terminal_is_refused(void **state)
{
    (void)state;
    static const char *const envs[][3] = {{"TERM", "dumb", NULL},
                                          {"TERM", "", NULL},
                                          {"TERM", "no-such-terminal", NULL}};
    for (size_t i = 0; i < EW_ARRAY_LEN(envs); i++) {
        struct program p;
        start(&p, 24, 80, envs[i]);
        wait_for(&p, "erminal");
        int status = finish(&p);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
    }
}

int main(void)
{
    const char *bin = getenv("EDGEWISE_BIN");
    if (!bin || access(bin, X_OK) != 0) {
        printf("skipped: EDGEWISE_BIN does not name the program\n");
        return 77;
    }
    const char *assets = getenv("EDGEWISE_ASSETS");
    char config[1024];
    snprintf(config, sizeof(config), "%s/models/induction-2l/config.json",
             assets ? assets : EW_TEST_SOURCE_DIR "/assets");
    ew_test_need(config);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_toggle_shows_and_is_undone_and_exported),
        cmocka_unit_test(acdc_runs_and_can_be_undone),
        cmocka_unit_test(it_follows_the_size_of_the_terminal),
        cmocka_unit_test(help_and_cancel_do_not_quit),
        cmocka_unit_test(signals_leave_the_terminal_sane),
        cmocka_unit_test(no_color_means_no_color),
        cmocka_unit_test(ascii_where_the_locale_has_no_more),
        cmocka_unit_test(a_dumb_terminal_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
