/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ctrl-C in the middle, then --resume: the result is that of an undisturbed
 * run. Standard error is a pseudo-terminal, on which progress shows; the
 * signal is sent at the first of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

#define TASK "induction:n=3,k=6"
/* Where every point takes long enough to be interrupted before the last. */
#define LONG_TASK "induction:n=30,k=30"

enum { MAX_ARGS = 40 };

/* Only async-signal-safe calls between fork and exec. */
static pid_t start(const char *const *args, const char *out, const char *tty)
{
    const char *argv[MAX_ARGS + 2];
    size_t n = 0;
    argv[n++] = getenv("EDGEWISE_BIN");
    assert_non_null(argv[0]);
    for (size_t i = 0; args[i]; i++) {
        assert_true(n < MAX_ARGS);
        argv[n++] = args[i];
    }
    argv[n] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        int in_fd = open("/dev/null", O_RDONLY);
        int out_fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        int err_fd = open(tty, O_WRONLY | O_NOCTTY);
        if (in_fd >= 0 && out_fd >= 0 && err_fd >= 0) {
            dup2(in_fd, STDIN_FILENO);
            dup2(out_fd, STDOUT_FILENO);
            dup2(err_fd, STDERR_FILENO);
            signal(SIGINT, SIG_DFL); /* a job in the background ignores it */
            execv(argv[0], (char *const *)argv);
        }
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

/* Run until the first line of progress, then Ctrl-C; the exit status. The
 * terminal is held open, so that the program may come and go. */
static int interrupt(const char *const *args, const char *out)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    const char *tty = ptsname(master);
    assert_non_null(tty);
    int held = open(tty, O_WRONLY | O_NOCTTY);
    assert_true(held >= 0);
    pid_t pid = start(args, out, tty);
    bool sent = false;
    int status;
    pid_t ended;
    while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
        struct pollfd ready = {.fd = master, .events = POLLIN};
        char text[4096];
        ssize_t n =
            poll(&ready, 1, 50) > 0 ? read(master, text, sizeof(text) - 1) : 0;
        text[n > 0 ? n : 0] = '\0';
        if (!sent && strchr(text, '\r')) { /* it is rewritten in place */
            kill(pid, SIGINT);
            sent = true;
        }
    }
    assert_int_equal(ended, pid);
    close(held);
    close(master);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What `args` and `more` print as JSON. */
static json_t *run_with(const char *const *args, const char *const *more)
{
    const char *all[MAX_ARGS];
    size_t n = 0;
    for (size_t i = 0; args[i]; i++) {
        all[n++] = args[i];
    }
    for (size_t i = 0; more[i]; i++) {
        all[n++] = more[i];
    }
    all[n] = NULL;
    return cli_json(all);
}
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Two lists of scores, in any order, are the same edges with the same. */
static void expect_same(const json_t *a, const json_t *b, const char *field)
{
    json_t *scores = json_object();
    size_t i;
    json_t *item;
    assert_true(json_array_size(a) > 0);
    assert_int_equal(json_array_size(a), json_array_size(b));
    json_array_foreach(b, i, item)
    {
        json_object_set(scores,
                        json_string_value(json_object_get(item, "edge")),
                        json_object_get(item, field));
    }
    json_array_foreach(a, i, item)
    {
        const char *edge = json_string_value(json_object_get(item, "edge"));
        const json_t *other = json_object_get(scores, edge);
        assert_non_null(other);
        assert_true(
            cli_close_to(json_number_value(json_object_get(item, field)),
                         json_number_value(other), 1e-5, 1e-5, edge));
    }
    json_decref(scores);
}

static void scans_go_on(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *option;
        const char *value;
        const char *engine;
        bool is_long; /* it cannot be over at once */
    } rows[] = {
        {"exact", "--nodes", "--prune", "rerun", true},
        {"eap-ig-activations", "--steps", "40", "incremental", true},
        {"random", "--seed", "4", "incremental", false},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        const char *file = cli_temp("half.json");
        const char *out = cli_temp("half.out");
        const char *const args[] = {
            "scan",     "induction-2l", "-t",           TASK,
            "--method", rows[i].method, rows[i].option, rows[i].value,
            "--select", "top:20",       "--json",       NULL};
        const char *half[MAX_ARGS];
        size_t n = 0;
        for (; args[n]; n++) {
            half[n] = args[n];
        }
        half[n++] = "--engine"; /* the slow one is not over at once */
        half[n++] = rows[i].engine;
        half[n++] = "-o";
        half[n++] = file;
        half[n] = NULL;
        int status = interrupt(half, out);
        if (status != 130 && (rows[i].is_long || status != 0)) {
            fail_msg("%s: status %d", rows[i].method, status);
        }
        if (status == 130) {
            json_t *known = cli_load(out);
            json_decref(known); /* what is known is printed, whole */
        }
        json_t *whole = run_with(args, WITH("--threads", "1"));
        json_t *resumed =
            run_with(args, WITH("--resume", file, "--threads", "1"));
        expect_same(resumed, whole, "score");
        json_decref(whole);
        json_decref(resumed);
    }
}

/* The circuit that is written is the undisturbed one's, of whole heads. */
static void selections_of_heads_are_written(void **state)
{
    (void)state;
    const char *file = cli_temp("nodes.json");
    json_t *nodes = CLI_JSON("scan", "induction-2l", "-t", TASK, "--method",
                             "eap-ig-inputs", "--nodes", "--select", "top:12",
                             "--json", "-o", file);
    assert_int_equal(json_array_size(nodes), 12);
    json_t *edges = cli_load(file);
    size_t i;
    json_t *item;
    json_array_foreach(nodes, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "edge"));
        static const char *const ends[] = {"", "<q>", "<k>", "<v>"};
        size_t n = 0;
        for (size_t k = 0; k < EW_ARRAY_LEN(ends); k++) {
            char edge[64];
            snprintf(edge, sizeof(edge), "%s%s", name, ends[k]);
            n += json_is_true(json_object_get(
                json_object_get(json_object_get(edges, "edges"), edge),
                "in_graph"));
        }
        assert_int_equal(n, strstr(name, "logits") ? 1 : 3);
    }
    json_decref(edges);
    json_decref(nodes);
    cli_expect_error(CLI("scan", "induction-2l", "-t", TASK, "--method",
                         "eap-ig-inputs", "--resume", file),
                     3, "scores: expected eap-ig-inputs, 5 steps as in");
}

static json_t *kept_of(const char *path)
{
    json_t *file = cli_load(path);
    json_t *edges = json_incref(json_object_get(file, "edges"));
    json_decref(file);
    return edges;
}

static void acdc_of_heads_goes_on(void **state)
{
    (void)state;
    const char *log = cli_temp("acdc.log");
    const char *one = cli_temp("one.json");
    const char *two = cli_temp("two.json");
    const char *const half[] = {"acdc",    "induction-2l", "-t",   TASK,
                                "--nodes", "--threshold",  "0.05", "--engine",
                                "rerun",   "--log",        log,    NULL};
    assert_int_equal(interrupt(half, cli_temp("acdc.out")), 130);
    json_t *whole = CLI_JSON("acdc", "induction-2l", "-t", TASK, "--nodes",
                             "--threshold", "0.05", "--json", "-o", one);
    json_t *resumed = CLI_JSON("acdc", "induction-2l", "-t", TASK, "--nodes",
                               "--threshold", "0.05", "--resume", log, "--json",
                               "-o", two);
    assert_true(json_equal(json_object_get(whole, "edges"),
                           json_object_get(resumed, "edges")));
    assert_true(json_equal(json_object_get(whole, "tested"),
                           json_object_get(resumed, "tested")));
    json_t *a = kept_of(one);
    json_t *b = kept_of(two);
    const char *edge;
    json_t *value;
    assert_int_equal(json_object_size(a), 257);
    json_object_foreach(a, edge, value)
    {
        assert_true(
            json_equal(json_object_get(value, "in_graph"),
                       json_object_get(json_object_get(b, edge), "in_graph")));
    }
    json_decref(a);
    json_decref(b);
    json_decref(whole);
    json_decref(resumed);
}

static void sweeps_go_on(void **state)
{
    (void)state;
    const char *file = cli_temp("sweep.json");
    const char *const args[] = {"sweep",     "induction-2l", "-t",     TASK,
                                "--methods", "exact,random", "--json", NULL};
    const char *const half[] = {
        "sweep",        "induction-2l", "-t", TASK, "--methods",
        "exact,random", "--json",       "-o", file,   "--engine",
        "rerun",        NULL};
    assert_int_equal(interrupt(half, cli_temp("sweep.out")), 130);
    json_t *whole = run_with(args, WITH("--threads", "1"));
    json_t *resumed = run_with(args, WITH("--resume", file, "--threads", "1"));
    const json_t *a = json_object_get(whole, "methods");
    const json_t *b = json_object_get(resumed, "methods");
    assert_int_equal(json_array_size(a), 2);
    for (size_t i = 0; i < 2; i++) {
        static const char *const fields[] = {"cpr", "cmd"};
        for (size_t k = 0; k < EW_ARRAY_LEN(fields); k++) {
            assert_true(cli_close_to(json_number_value(json_object_get(
                                         json_array_get(b, i), fields[k])),
                                     json_number_value(json_object_get(
                                         json_array_get(a, i), fields[k])),
                                     1e-4, 1e-4, fields[k]));
        }
    }
    json_decref(whole);
    json_decref(resumed);
}

static void curves_go_on(void **state)
{
    (void)state;
    static char scores[256], known[256];
    snprintf(scores, sizeof(scores), "%s", cli_temp("curve.scores"));
    snprintf(known, sizeof(known), "%s", cli_temp("curve.json"));
    assert_int_equal(
        cli_run_to(scores, WITH("scan", "induction-2l", "-t", LONG_TASK,
                                "--method", "random", "--json")),
        0);
    /* --flip: or the first line is not progress, but about the sign */
    const char *const args[] = {"eval",    "induction-2l", "-t",
                                LONG_TASK, "--curve",      scores,
                                "--flip",  "--json",       "--engine",
                                "rerun",   NULL};
    assert_int_equal(interrupt(args, known), 130);
    json_t *half = cli_load(known);
    assert_true(json_is_null(json_object_get(half, "cpr")));
    json_t *whole = run_with(args, WITH("--threads", "1"));
    json_t *resumed = run_with(args, WITH("--resume", known));
    assert_true(json_is_real(json_object_get(whole, "cpr")));
    static const char *const ends[] = {"cpr", "cmd"};
    for (size_t i = 0; i < EW_ARRAY_LEN(ends); i++) {
        assert_true(cli_close_to(
            json_number_value(json_object_get(resumed, ends[i])),
            json_number_value(json_object_get(whole, ends[i])), 1e-6, 1e-6,
            ends[i]));
    }
    assert_true(json_equal(json_object_get(whole, "recovered_90"),
                           json_object_get(resumed, "recovered_90")));
    /* not of another metric, or of other prompts */
    cli_expect_error(CLI("eval", "induction-2l", "-t", LONG_TASK, "--curve",
                         scores, "--flip", "--metric", "kl", "--resume",
                         known),
                     3, "metric: not that of this curve");
    cli_expect_error(CLI("eval", "induction-2l", "-t", "induction:n=4,k=6",
                         "--curve", scores, "--flip", "--resume", known),
                     3, "other prompts");
    cli_expect_error(CLI("eval", "induction-2l", "-t", LONG_TASK, "--resume",
                         known),
                     2, "--curve");
    json_decref(half);
    json_decref(whole);
    json_decref(resumed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_go_on),
        cmocka_unit_test(selections_of_heads_are_written),
        cmocka_unit_test(acdc_of_heads_goes_on),
        cmocka_unit_test(sweeps_go_on),
        cmocka_unit_test(curves_go_on),
    };
    setenv("TERM", "xterm", 1);
    return cmocka_run_group_tests(tests, cli_share_torch, NULL);
}
