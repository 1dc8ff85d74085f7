/* SPDX-License-Identifier: Apache-2.0 */
/* Signal handlers and what they may touch. */
#include "restore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "edgewise/common.h"
#include "edgewise/mem.h"

static const int polite[] = {SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGTSTP};
static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT};

static int pipe_fds[2] = {-1, -1};
static struct sigaction old_polite[EW_ARRAY_LEN(polite)];
static struct sigaction old_fatal[EW_ARRAY_LEN(fatal)];
static char alternate_stack[64 * 1024];

static struct termios saved_modes;
static int modes_fd = -1;
static const char *reset_text;
static size_t reset_len;
static int real_stderr = -1;
static volatile sig_atomic_t armed;

void ew_restore_save(int tty_fd)
{
    modes_fd = tcgetattr(tty_fd, &saved_modes) == 0 ? tty_fd : -1;
}

/* Async-signal-safe. */
static void restore_now(void)
{
    if (!armed) {
        return;
    }
    armed = 0;
    ssize_t n = write(STDOUT_FILENO, reset_text, reset_len);
    (void)n;
    if (modes_fd >= 0) {
        tcsetattr(modes_fd, TCSANOW, &saved_modes);
    }
    if (real_stderr >= 0) {
        dup2(real_stderr, STDERR_FILENO);
    }
}

void ew_restore_arm(const char *text, size_t len, int stderr_fd)
{
    reset_text = text;
    reset_len = len;
    real_stderr = stderr_fd;
    armed = 1;
    ew_set_oom_hook(restore_now);
}

void ew_restore_disarm(void)
{
    armed = 0;
    ew_set_oom_hook(NULL);
}

static void on_polite(int signo)
{
    int saved = errno;
    unsigned char byte = (unsigned char)signo;
    ssize_t n = write(pipe_fds[1], &byte, 1);
    (void)n; /* pipe full: a wake-up is already pending */
    errno = saved;
}

/* The old handler comes next: core dumps and sanitizers go on working. */
static void on_fatal(int signo)
{
    restore_now();
    for (size_t i = 0; i < EW_ARRAY_LEN(fatal); i++) {
        if (fatal[i] == signo) {
            sigaction(signo, &old_fatal[i], NULL);
        }
    }
    raise(signo);
}

bool ew_signals_open(struct ew_err *err)
{
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return ew_fail(err, EW_ERR_IO, "pipe: %s", strerror(errno));
    }
    stack_t stack = {.ss_sp = alternate_stack,
                     .ss_size = sizeof(alternate_stack)};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = on_polite, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < EW_ARRAY_LEN(polite); i++) {
        sigaction(polite[i], &action, &old_polite[i]);
    }
    action.sa_handler = on_fatal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (size_t i = 0; i < EW_ARRAY_LEN(fatal); i++) {
        sigaction(fatal[i], &action, &old_fatal[i]);
    }
    return true;
}

void ew_signals_close(void)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(polite); i++) {
        sigaction(polite[i], &old_polite[i], NULL);
    }
    for (size_t i = 0; i < EW_ARRAY_LEN(fatal); i++) {
        sigaction(fatal[i], &old_fatal[i], NULL);
    }
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    pipe_fds[0] = -1;
    pipe_fds[1] = -1;
}

void ew_signals_stop(void)
{
    struct sigaction ours;
    for (size_t i = 0; i < EW_ARRAY_LEN(polite); i++) {
        if (polite[i] == SIGTSTP) {
            sigaction(SIGTSTP, &old_polite[i], &ours);
            raise(SIGTSTP);
            sigaction(SIGTSTP, &ours, NULL);
        }
    }
}

int ew_signals_fd(void)
{
    return pipe_fds[0];
}

int ew_signals_take(void)
{
    unsigned char byte;
    return read(pipe_fds[0], &byte, 1) == 1 ? byte : 0;
}
