/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real program, in a pseudo-terminal, on the bundled model: what a user
 * sees and types.
 */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "edgewise/common.h"

#include "ew_cmocka.h"
#include "pty_run.h"

static int n_edges(struct program *p)
{
    char row[4 * PTY_MAX_COLS + 8];
    pty_row(p, 0, row, sizeof(row));
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
    char row[4 * PTY_MAX_COLS + 8];
    pty_row(p, p->rows - 3, row, sizeof(row));
    const char *now = strstr(row, "now ");
    if (!now) {
        pty_print(p);
        fail_msg("no logit difference on the screen");
    }
    return atof(now + 4);
}

static void start_ready(struct program *p, int rows, int cols)
{
    pty_start(p, rows, cols, NULL);
    pty_wait_ready(p);
}

static void a_toggle_shows_and_is_undone_and_exported(void **state)
{
    (void)state;
    struct program p;
    struct stat st;
    char path[128];
    pty_start(&p, 24, 80, NULL);
    pty_wait_ready(&p);
    double full = logit_diff(&p);
    assert_true(full > 1.0);
    pty_type(&p, "\t"); /* the edges, the strongest first */
    pty_wait_for(&p, "if cut");
    pty_type(&p, " ");
    pty_wait_for(&p, edges_text(&p, 1));
    pty_wait_for(&p, "(-");
    assert_true(logit_diff(&p) < full);
    pty_type(&p, "u");
    pty_wait_for(&p, edges_text(&p, 0));
    pty_wait_for(&p, "recovered 100%");
    assert_true(logit_diff(&p) == full);
    pty_type(&p, "e");
    pty_wait_for(&p, "circuit.svg");
    pty_type(&p, "\x15out.dot\r");
    pty_wait_for(&p, "wrote out.dot");
    snprintf(path, sizeof(path), "%s/out.dot", p.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 100);
    pty_type(&p, "e\x15out.dot\r");
    pty_wait_for(&p, "overwrite?");
    pty_type(&p, "n");
    pty_wait_for(&p, "not written");
    pty_type(&p, "q");
    assert_int_equal(pty_finish(&p), 0);
}

static void acdc_runs_and_can_be_undone(void **state)
{
    (void)state;
    struct program p;
    pty_start(&p, 40, 120, NULL);
    pty_wait_ready(&p);
    pty_type(&p, "a");
    pty_type(&p, "A"); /* waits for the step */
    pty_wait_for(&p, "ACDC done");
    assert_false(pty_shows(&p, edges_text(&p, 0)));
    pty_type(&p, "uu");
    pty_wait_for(&p, edges_text(&p, 0));
    pty_type(&p, "Q");
    assert_int_equal(pty_finish(&p), 0);
}

static void a_pinned_circuit_is_compared_with(void **state)
{
    (void)state;
    struct program p;
    char text[64];
    start_ready(&p, 40, 120);
    pty_type(&p, "=");
    snprintf(text, sizeof(text), "pinned at %d", n_edges(&p));
    pty_wait_for(&p, text);
    pty_type(&p, "\tmm");
    pty_wait_for(&p, "2 marked");
    pty_type(&p, "J");
    pty_wait_for(&p, "one by one:");
    pty_type(&p, " ");
    pty_wait_for(&p, edges_text(&p, 2));
    pty_wait_for(&p, "was");
    pty_wait_for(&p, "change");
    pty_type(&p, ":snapshot two gone\r");
    pty_wait_for(&p, "two gone");
    pty_type(&p, "u");
    pty_wait_for(&p, edges_text(&p, 0));
    pty_type(&p, ":compare two gone\r");
    pty_wait_for(&p, "compared with two gone");
    pty_wait_for(&p, "only in two gone: 0");
    pty_type(&p, "=");
    pty_wait_for(&p, "unpinned");
    pty_wait_gone(&p, "change");
    pty_type(&p, "Q");
    assert_int_equal(pty_finish(&p), 0);
}

/* Steps, a run to the next input, one to a doubt, and back. */
static void acdc_by_hand_goes_both_ways(void **state)
{
    (void)state;
    struct program p;
    start_ready(&p, 40, 120);
    pty_type(&p, "a}"); /* the run waits for the step */
    pty_wait_for(&p, "ACDC so far");
    pty_type(&p, ":acdc-doubt 90%\r");
    pty_wait_for(&p, "within 90% of tau");
    pty_type(&p, "b");
    pty_wait_for(&p, "back to before");
    pty_type(&p, ":view trade-off\r");
    pty_wait_for(&p, "~ guessed");
    pty_type(&p, ":threshold 0.5\r");
    pty_wait_for(&p, "trade-off  tau 0.5");
    pty_type(&p, "k");
    pty_wait_gone(&p, "trade-off  tau 0.5 ");
    pty_type(&p, "Q");
    assert_int_equal(pty_finish(&p), 0);
}

static void it_follows_the_size_of_the_terminal(void **state)
{
    (void)state;
    struct program p;
    static const int sizes[][2] = {{40, 120}, {10, 40}, {60, 200}, {24, 80}};
    pty_start(&p, 24, 80, NULL);
    pty_wait_ready(&p);
    static const char debris[] = "\033[8;10HDEBRIS"; /* what is left over */
    for (size_t i = 0; i < EW_ARRAY_LEN(sizes); i++) {
        vterm_input_write(p.vt, debris, strlen(debris));
        assert_true(pty_shows(&p, "DEBRIS"));
        pty_resize(&p, sizes[i][0], sizes[i][1]);
        pty_wait_gone(&p, "DEBRIS");
        pty_wait_for(&p, i == 1 ? "needs 60x17" : "q quit");
        if (i == 0) {
            pty_wait_for(&p, "ACDC  tau");
        }
    }
    pty_type(&p, "Q");
    assert_int_equal(pty_finish(&p), 0);
}

static void help_and_cancel_do_not_quit(void **state)
{
    (void)state;
    struct program p;
    pty_start(&p, 24, 80, NULL);
    pty_wait_ready(&p);
    pty_type(&p, "?");
    pty_wait_for(&p, "j k scroll");
    pty_type(&p, "q");
    pty_wait_gone(&p, "j k scroll");
    pty_type(&p, "\x03");
    pty_wait_for(&p, "nothing is running; quit?");
    pty_type(&p, "n");
    pty_wait_gone(&p, "nothing is running");
    pty_type(&p, "\x03");
    pty_wait_for(&p, "nothing is running; quit?");
    pty_type(&p, "y");
    assert_int_equal(pty_finish(&p), 0);
}

static void ended_by(int signo)
{
    struct program p;
    pty_start(&p, 24, 80, NULL);
    pty_wait_ready(&p);
    assert_int_equal(kill(p.pid, signo), 0);
    int status = pty_finish(&p); /* checks that the terminal is as before */
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

/* The pid in "stop 1 of job PID". */
static pid_t stopped_job(struct program *p)
{
    char row[4 * PTY_MAX_COLS + 8];
    for (int y = 0; y < p->rows; y++) {
        long pid;
        pty_row(p, y, row, sizeof(row));
        if (sscanf(row, "stop 1 of job %ld", &pid) == 1) {
            return (pid_t)pid;
        }
    }
    fail_msg("no job is told");
    return 0;
}

/* Waits for the shell's own words: its screen comes back before its modes. */
static void go_on(struct program *p, const char *stop)
{
    pty_wait_for(p, stop);
    assert_false(p->alternate); /* the shell's screen, in the shell's modes */
    assert_true(pty_has_modes(p));
    pty_type(p, "fg\n");
    pty_wait_for(p, "into logits");
    assert_true(p->alternate);
    assert_false(pty_has_modes(p));
}

static void it_stops_and_goes_on(void **state)
{
    (void)state;
    struct program p;
    pty_start_job(&p, 24, 80);
    pty_wait_ready(&p);
    pty_type(&p, "\x1a");
    pty_wait_for(&p, "stop 1 of job ");
    pid_t job = stopped_job(&p);
    go_on(&p, "stop 1 of job ");
    pty_type(&p, "\t ");
    pty_wait_for(&p, edges_text(&p, 1));
    assert_int_equal(kill(job, SIGTSTP), 0); /* as `kill -TSTP` does */
    go_on(&p, "stop 2 of job ");
    assert_true(pty_shows(&p, edges_text(&p, 1)));
    pty_type(&p, "u");
    pty_wait_for(&p, edges_text(&p, 0));
    pty_type(&p, "Q");
    assert_int_equal(pty_finish(&p), 0);
}

/* Ticks of a clock that the program's threads have used. */
static unsigned long ticks(pid_t pid)
{
    char path[64];
    char text[1024];
    unsigned long user;
    unsigned long system;
    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    const char *rest = strrchr(text, ')'); /* 11 fields before utime */
    assert_non_null(rest);
    assert_int_equal(sscanf(rest + 1,
                            " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                            "%lu %lu",
                            &user, &system),
                     2);
    return user + system;
}

/* When all is known nothing happens: no output, and no time is used. */
static void idle_costs_nothing(void **state)
{
    (void)state;
    struct program p;
    start_ready(&p, 24, 80);
    long long limit = pty_now_us() + 120000000;
    long long quiet = pty_now_us();
    unsigned long used = ticks(p.pid);
    while (pty_now_us() - quiet < 1000000) { /* a second without a sign */
        pty_pump(&p, 100);
        if (ticks(p.pid) != used) { /* still at work */
            used = ticks(p.pid);
            quiet = pty_now_us();
        }
        assert_true(pty_now_us() < limit);
    }
    pty_type(&p, "q");
    assert_int_equal(pty_finish(&p), 0);
}

static void no_color_means_no_color(void **state)
{
    (void)state;
    struct program p;
    const char *const env[] = {"NO_COLOR", "1", NULL};
    pty_start(&p, 24, 80, env);
    pty_wait_ready(&p);
    assert_int_equal(p.n_colors, 0);
    pty_type(&p, "q");
    assert_int_equal(pty_finish(&p), 0);
    pty_start(&p, 24, 80, NULL);
    pty_wait_ready(&p);
    assert_true(p.n_colors > 0);
    pty_type(&p, "q");
    assert_int_equal(pty_finish(&p), 0);
}

static void ascii_where_the_locale_has_no_more(void **state)
{
    (void)state;
    struct program p;
    const char *const env[] = {"LC_ALL", "C", NULL};
    pty_start(&p, 24, 80, env);
    pty_wait_for(&p, "into logits");
    pty_wait_for(&p, "recovered 100%");
    assert_true(pty_shows(&p, "+- "));
    pty_type(&p, "q");
    assert_int_equal(pty_finish(&p), 0);
}

static void a_dumb_terminal_is_refused(void **state)
{
    (void)state;
    static const char *const envs[][3] = {{"TERM", "dumb", NULL},
                                          {"TERM", "", NULL},
                                          {"TERM", "no-such-terminal", NULL}};
    for (size_t i = 0; i < EW_ARRAY_LEN(envs); i++) {
        struct program p;
        pty_start(&p, 24, 80, envs[i]);
        pty_wait_for(&p, "erminal");
        int status = pty_finish(&p);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
    }
}

int main(void)
{
    pty_need();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_toggle_shows_and_is_undone_and_exported),
        cmocka_unit_test(acdc_runs_and_can_be_undone),
        cmocka_unit_test(a_pinned_circuit_is_compared_with),
        cmocka_unit_test(acdc_by_hand_goes_both_ways),
        cmocka_unit_test(it_follows_the_size_of_the_terminal),
        cmocka_unit_test(help_and_cancel_do_not_quit),
        cmocka_unit_test(signals_leave_the_terminal_sane),
        cmocka_unit_test(it_stops_and_goes_on),
        cmocka_unit_test(idle_costs_nothing),
        cmocka_unit_test(no_color_means_no_color),
        cmocka_unit_test(ascii_where_the_locale_has_no_more),
        cmocka_unit_test(a_dumb_terminal_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
