/* SPDX-License-Identifier: Apache-2.0 */
#include "pty_run.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <utmp.h>

#include "ew_cmocka.h"

enum { LIMIT_MS = 240000 };

long long pty_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static long long now_ms(void)
{
    return pty_now_us() / 1000;
}

static int on_prop(VTermProp prop, VTermValue *value, void *user)
{
    struct program *p = user;
    if (prop == VTERM_PROP_ALTSCREEN) {
        p->alternate = value->boolean;
        p->n_alternate += value->boolean != 0;
    }
    return 1;
}

static const VTermScreenCallbacks callbacks = {.settermprop = on_prop};

/* What a sanitizer finds goes to a file, which pty_finish() looks for. */
static void sanitizer(const struct program *p)
{
    char options[256];
    snprintf(options, sizeof(options),
             "log_path=%s/sanitizer:handle_segv=0:handle_abort=0:"
             "handle_sigill=0:handle_sigfpe=0:handle_sigbus=0:"
             "use_sigaltstack=0:detect_container_overflow=0",
             p->dir);
    setenv("ASAN_OPTIONS", options, 1);
    snprintf(options, sizeof(options), "log_path=%s/sanitizer", p->dir);
    setenv("UBSAN_OPTIONS", options, 1);
    setenv("LSAN_OPTIONS",
           "print_suppressions=0:suppressions=" EW_TEST_SOURCE_DIR
           "/tests/pty/leaks.txt",
           1);
}

static void child(struct program *p, const char *const env[], const char *task)
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
    sanitizer(p);
    for (int i = 0; env && env[i]; i += 2) {
        setenv(env[i], env[i + 1], 1);
    }
    execl(bin, bin, task ? "-t" : (char *)NULL, task, (char *)NULL);
    _exit(99);
}

/* Who has the terminal now: a shell's two lines of job control. */
static void give_terminal(pid_t group)
{
    if (tcsetpgrp(STDIN_FILENO, group) != 0) {
        _exit(98);
    }
}

static void shell(struct program *p)
{
    signal(SIGTTOU, SIG_IGN);
    signal(SIGTSTP, SIG_IGN);
    pid_t job = fork();
    if (job == 0) {
        setpgid(0, 0);
        give_terminal(getpid());
        signal(SIGTTOU, SIG_DFL);
        signal(SIGTSTP, SIG_DFL);
        child(p, NULL, NULL);
    }
    setpgid(job, job);
    int stops = 0;
    for (int status = 0; waitpid(job, &status, WUNTRACED) == job;) {
        if (!WIFSTOPPED(status)) {
            _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 97);
        }
        char line[16];
        give_terminal(getpgrp());
        printf("stop %d of job %ld\n", ++stops, (long)job);
        fflush(stdout);
        if (!fgets(line, sizeof(line), stdin)) {
            _exit(96);
        }
        give_terminal(job);
        kill(-job, SIGCONT);
    }
    _exit(95);
}

static void start(struct program *p, int rows, int cols,
                  const char *const env[], bool job, const char *task)
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
        if (job) {
            shell(p);
        }
        child(p, env, task);
    }
    close(slave);
    p->vt = vterm_new(rows, cols);
    vterm_set_utf8(p->vt, 1);
    p->screen = vterm_obtain_screen(p->vt);
    vterm_screen_set_callbacks(p->screen, &callbacks, p);
    vterm_screen_enable_altscreen(p->screen, 1);
    vterm_screen_reset(p->screen, 1);
}

void pty_start(struct program *p, int rows, int cols, const char *const env[])
{
    start(p, rows, cols, env, false, NULL);
}

void pty_start_job(struct program *p, int rows, int cols)
{
    start(p, rows, cols, NULL, true, NULL);
}

void pty_start_task(struct program *p, int rows, int cols, const char *task)
{
    start(p, rows, cols, NULL, false, task);
}

void pty_resize(struct program *p, int rows, int cols)
{
    struct winsize size = {.ws_row = (unsigned short)rows,
                           .ws_col = (unsigned short)cols};
    p->rows = rows;
    p->cols = cols;
    vterm_set_size(p->vt, rows, cols);
    assert_int_equal(ioctl(p->fd, TIOCSWINSZ, &size), 0);
}

bool pty_has_modes(const struct program *p)
{
    struct termios now;
    return tcgetattr(p->fd, &now) == 0 && now.c_lflag == p->before.c_lflag &&
           now.c_iflag == p->before.c_iflag && now.c_oflag == p->before.c_oflag;
}

void pty_row(struct program *p, int row, char *out, size_t size)
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

bool pty_shows(struct program *p, const char *text)
{
    char row[4 * PTY_MAX_COLS + 8];
    for (int y = 0; y < p->rows; y++) {
        pty_row(p, y, row, sizeof(row));
        if (strstr(row, text)) {
            return true;
        }
    }
    return false;
}

void pty_print(struct program *p)
{
    char row[4 * PTY_MAX_COLS + 8];
    for (int y = 0; y < p->rows; y++) {
        pty_row(p, y, row, sizeof(row));
        print_message("%s\n", row);
    }
}

bool pty_pump(struct program *p, int ms)
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

void pty_wait_for(struct program *p, const char *text)
{
    long long limit = now_ms() + LIMIT_MS;
    while (!pty_shows(p, text)) {
        if (!pty_pump(p, 100) || now_ms() > limit) {
            pty_print(p);
            fail_msg("'%s' did not appear", text);
        }
    }
}

void pty_wait_gone(struct program *p, const char *text)
{
    long long limit = now_ms() + LIMIT_MS;
    while (pty_shows(p, text)) {
        if (!pty_pump(p, 100) || now_ms() > limit) {
            pty_print(p);
            fail_msg("'%s' did not go away", text);
        }
    }
}

void pty_type(struct program *p, const char *keys)
{
    size_t len = strlen(keys);
    assert_int_equal(write(p->fd, keys, len), (ssize_t)len);
}

/* Print what a sanitizer left. */
static bool complained(const struct program *p)
{
    char command[160];
    snprintf(command, sizeof(command),
             "cat '%s'/sanitizer* 2>/dev/null | "
             "head -n 200 | grep . >&2",
             p->dir);
    return system(command) == 0;
}

int pty_finish(struct program *p)
{
    int status = 0;
    long long limit = now_ms() + LIMIT_MS;
    while (waitpid(p->pid, &status, WNOHANG) == 0) {
        pty_pump(p, 20);
        if (now_ms() > limit) {
            kill(p->pid, SIGKILL);
            fail_msg("the program did not end");
        }
    }
    while (pty_pump(p, 0) &&
           poll(&(struct pollfd){p->fd, POLLIN, 0}, 1, 0) > 0) {
    }
    struct termios after;
    if (tcgetattr(p->fd, &after) == 0) {
        assert_true(pty_has_modes(p));
    }
    assert_false(p->alternate); /* the shell's screen is back */
    assert_false(complained(p));
    vterm_free(p->vt);
    close(p->fd);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
    assert_int_equal(system(command), 0);
    return status;
}

void pty_wait_ready(struct program *p)
{
    pty_wait_for(p, "into logits");
    pty_wait_for(p, "recovered 100%");
    pty_wait_gone(p, "…");
}

void pty_need(void)
{
    const char *bin = getenv("EDGEWISE_BIN");
    if (!bin || access(bin, X_OK) != 0) {
        printf("skipped: EDGEWISE_BIN does not name the program\n");
        exit(77);
    }
    const char *assets = getenv("EDGEWISE_ASSETS");
    char config[1024];
    snprintf(config, sizeof(config), "%s/models/induction-2l/config.json",
             assets ? assets : EW_TEST_SOURCE_DIR "/assets");
    ew_test_need(config);
}
