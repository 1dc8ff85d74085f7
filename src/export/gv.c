/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only file that sees Graphviz. Layout can take minutes and cannot be
 * stopped from inside, is not re-entrant, and prints to stderr: so it runs in
 * a child process, which sends the picture through one pipe and what it has
 * to say through another, and which can be killed. The parent never waits
 * longer than asked and leaves no zombie.
 */
#include "edgewise/export.h"

#include "config.h"

#if EW_HAVE_GRAPHVIZ

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <graphviz/cgraph.h>
#include <graphviz/gvc.h>

#include "edgewise/log.h"

enum { DEFAULT_TIMEOUT_MS = 60000, POLL_MS = 50 };

/* How the child ended, for the message. */
enum { EXIT_DONE, EXIT_PARSE, EXIT_LAYOUT, EXIT_RENDER, EXIT_WRITE };

/* ---- the child ---- */

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static int lay_out(const char *dot, const char *format, int out)
{
    char *data = NULL;
    unsigned len = 0;
    GVC_t *gvc = gvContext();
    Agraph_t *g = agmemread(dot);
    if (!gvc || !g) {
        return EXIT_PARSE;
    }
    if (gvLayout(gvc, g, "dot") != 0) {
        return EXIT_LAYOUT;
    }
    if (gvRenderData(gvc, g, format, &data, &len) != 0 || !data) {
        return EXIT_RENDER;
    }
    /* the process ends here: nothing is freed */
    return write_all(out, data, len) ? EXIT_DONE : EXIT_WRITE;
}

/*
 * A fresh start after fork(): no handler, no blocked signal and no exit hook
 * of the parent may run here (they restore its terminal), and the child must
 * not outlive it.
 */
static _Noreturn void child_main(const char *dot, const char *format, int out,
                                 int messages, pid_t parent)
{
    static const int signals[] = {SIGINT,  SIGTERM, SIGHUP,   SIGQUIT,
                                  SIGSEGV, SIGABRT, SIGBUS,   SIGFPE,
                                  SIGILL,  SIGPIPE, SIGWINCH, SIGTSTP};
    sigset_t none;
    for (size_t i = 0; i < EW_ARRAY_LEN(signals); i++) {
        signal(signals[i], SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    if (getppid() != parent || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(null, STDOUT_FILENO) < 0 || dup2(messages, STDERR_FILENO) < 0) {
        _exit(EXIT_WRITE);
    }
    setlocale(LC_NUMERIC, "C"); /* Graphviz reads numbers with atof() */
    _exit(lay_out(dot, format, out));
}

/* ---- the parent ---- */

struct child {
    pid_t pid;
    int fds[2]; /* picture, messages; -1 when at its end */
};

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0) {
            close(pair[i]);
        }
    }
}

static bool start(struct child *child, const char *dot, const char *format,
                  struct ew_err *err)
{
    int picture[2] = {-1, -1};
    int messages[2] = {-1, -1};
    pid_t parent = getpid();
    if (pipe2(picture, O_CLOEXEC) != 0 || pipe2(messages, O_CLOEXEC) != 0 ||
        (child->pid = fork()) < 0) {
        ew_fail(err, EW_ERR_IO, "graphviz: %s", strerror(errno));
        close_pair(picture);
        close_pair(messages);
        return false;
    }
    if (child->pid == 0) {
        child_main(dot, format, picture[1], messages[1], parent);
    }
    close(picture[1]);
    close(messages[1]);
    child->fds[0] = picture[0];
    child->fds[1] = messages[0];
    return true;
}

/* Append what is there; at the end of the pipe close it. */
static void drain(int *fd, struct ew_buf *out)
{
    char chunk[65536];
    ssize_t n = read(*fd, chunk, sizeof(chunk));
    if (n > 0) {
        ew_buf_add_n(out, chunk, (size_t)n);
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        close(*fd);
        *fd = -1;
    }
}

/* Read both pipes to their ends; false when cancelled or too late. */
static bool collect(struct child *child, struct ew_buf *out,
                    struct ew_buf *messages, int timeout_ms,
                    const struct ew_cancel *cancel, struct ew_err *err)
{
    long long deadline = ew_now_ns() + timeout_ms * 1000000LL;
    while (child->fds[0] >= 0 || child->fds[1] >= 0) {
        struct pollfd polled[2] = {
            {.fd = child->fds[0], .events = POLLIN},
            {.fd = child->fds[1], .events = POLLIN},
        };
        if (ew_cancel_check(cancel, err)) {
            return false;
        }
        if (ew_now_ns() > deadline) {
            return ew_fail(err, EW_ERR_BACKEND,
                           "graphviz: not done after %.3g s: draw fewer "
                           "edges",
                           timeout_ms / 1000.0);
        }
        if (poll(polled, 2, POLL_MS) <= 0) {
            continue; /* time is up or a signal came: look again */
        }
        if (polled[0].revents) {
            drain(&child->fds[0], out);
        }
        if (polled[1].revents) {
            drain(&child->fds[1], messages);
        }
    }
    return true;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/* The first line, which is where Graphviz says why. */
static int first_line(const struct ew_buf *messages)
{
    return (int)strcspn(ew_buf_str(messages), "\n");
}

static bool judge(int status, const char *format, const struct ew_buf *messages,
                  struct ew_err *err)
{
    static const char *const steps[] = {
        [EXIT_PARSE] = "reading the graph",
        [EXIT_LAYOUT] = "layout",
        [EXIT_RENDER] = "writing the picture",
        [EXIT_WRITE] = "sending the picture",
    };
    int len = first_line(messages);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE) {
        if (len > 0) {
            ew_note(EW_LOG_DEBUG, "graphviz", "%.*s", len, messages->data);
        }
        return true;
    }
    if (WIFSIGNALED(status)) {
        return ew_fail(err, EW_ERR_BACKEND, "graphviz: killed by signal %d",
                       WTERMSIG(status));
    }
    size_t step = (size_t)WEXITSTATUS(status);
    return ew_fail(err, EW_ERR_BACKEND, "graphviz: %s as %s failed: %.*s",
                   step < EW_ARRAY_LEN(steps) ? steps[step] : "rendering",
                   format, len > 0 ? len : 16,
                   len > 0 ? messages->data : "no reason given");
}

bool ew_graphviz_available(void)
{
    return true;
}

bool ew_graphviz_render(struct ew_buf *out, const char *dot, const char *format,
                        int timeout_ms, const struct ew_cancel *cancel,
                        struct ew_err *err)
{
    struct ew_buf messages = {0};
    struct child child = {.pid = -1, .fds = {-1, -1}};
    size_t before = out->len;
    if (!start(&child, dot, format, err)) {
        return false;
    }
    bool ok =
        collect(&child, out, &messages,
                timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS, cancel, err);
    if (!ok) {
        kill(child.pid, SIGKILL);
    }
    int status = wait_for(child.pid);
    close_pair(child.fds);
    ok = ok && judge(status, format, &messages, err);
    if (!ok && out->data) {
        out->len = before; /* no half pictures */
        out->data[before] = '\0';
    }
    ew_buf_finish(&messages);
    return ok;
}

#else

bool ew_graphviz_available(void)
{
    return false;
}

bool ew_graphviz_render(struct ew_buf *out, const char *dot, const char *format,
                        int timeout_ms, const struct ew_cancel *cancel,
                        struct ew_err *err)
{
    (void)out;
    (void)dot;
    (void)timeout_ms;
    (void)cancel;
    return ew_fail(err, EW_ERR_BACKEND,
                   "%s: this edgewise was built without Graphviz: write .dot "
                   "and lay it out elsewhere, or rebuild with "
                   "-Dgraphviz=enabled",
                   format);
}

#endif
