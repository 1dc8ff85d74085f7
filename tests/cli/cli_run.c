/* SPDX-License-Identifier: Apache-2.0 */
/* Running the program and reading its streams through temporary files. */
#include "cli_run.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "edgewise/tensor.h"

#include "ew_cmocka.h"
#include "program.h"

static char temp_dir[64];
static bool in_process;

int cli_share_torch(void **state)
{
    (void)state;
    struct ew_err err = {0};
    in_process = !getenv("EDGEWISE_TEST_EXEC");
    if (in_process && !ew_torch_load(&err)) {
        print_error("%s\n", err.message);
        return -1;
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_temp_dir(void)
{
    nftw(temp_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *cli_temp_dir(void)
{
    if (!temp_dir[0]) {
        strcpy(temp_dir, "/tmp/ew-cli-XXXXXX");
        assert_non_null(mkdtemp(temp_dir));
        atexit(remove_temp_dir);
    }
    return temp_dir;
}

const char *cli_temp(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", cli_temp_dir(), name);
    return path;
}

void cli_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t cap = 1 << 16;
    size_t len = 0;
    char *text = malloc(cap);
    size_t n;
    while (text && (n = fread(text + len, 1, cap - len - 1, f)) > 0) {
        len += n;
        if (cap - len < 4096) {
            cap *= 2;
            text = realloc(text, cap);
        }
    }
    fclose(f);
    assert_non_null(text);
    text[len] = '\0';
    return text;
}

/* In the child: the program, its signals as a shell starts it with. */
static void run_program(size_t n, char **argv)
{
    for (int i = 1; i < NSIG; i++) {
        signal(i, SIG_DFL); /* cmocka catches some */
    }
    if (in_process) {
        int status = cli_program((int)n, argv);
        fflush(stderr);
        _exit(status);
    }
    execv(argv[0], argv);
}

/* Only async-signal-safe calls between fork and exec. */
static int spawn(const char *out, const char *err, const char *const *args)
{
    const char *argv[64];
    size_t n = 0;
    argv[n++] = getenv("EDGEWISE_BIN");
    if (!argv[0]) {
        fail_msg("EDGEWISE_BIN is not set");
    }
    for (size_t i = 0; args[i]; i++) {
        assert_true(n < 62);
        argv[n++] = args[i];
    }
    argv[n] = NULL;
    fflush(NULL); /* or the child says it again */
    pid_t pid = fork();
    if (pid == 0) {
        int in_fd = open("/dev/null", O_RDONLY);
        int out_fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        int err_fd = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (in_fd >= 0 && out_fd >= 0 && err_fd >= 0) {
            dup2(in_fd, STDIN_FILENO);
            dup2(out_fd, STDOUT_FILENO);
            dup2(err_fd, STDERR_FILENO);
            run_program(n, (char **)argv);
        }
        _exit(127);
    }
    assert_true(pid > 0);
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        assert_int_equal(errno, EINTR);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct cli_result cli_call(const char *const *args)
{
    struct cli_result result = {0};
    const char *out = cli_temp("stdout");
    const char *err = cli_temp("stderr");
    result.status = spawn(out, err, args);
    result.out = slurp(out);
    result.err = slurp(err);
    return result;
}

int cli_run_to(const char *path, const char *const *args)
{
    return spawn(path, cli_temp("stderr"), args);
}

void cli_free(struct cli_result *result)
{
    free(result->out);
    free(result->err);
    *result = (struct cli_result){0};
}

json_t *cli_json(const char *const *args)
{
    struct cli_result result = cli_call(args);
    if (result.status != 0) {
        fail_msg("edgewise %s: status %d: %s", args[0], result.status,
                 result.err);
    }
    json_error_t where;
    json_t *value = json_loads(result.out, 0, &where);
    if (!value) {
        fail_msg("edgewise %s: line %d: %s in: %.200s", args[0], where.line,
                 where.text, result.out);
    }
    cli_free(&result);
    return value;
}

json_t *cli_load(const char *path)
{
    json_error_t where;
    json_t *value = json_load_file(path, 0, &where);
    if (!value) {
        fail_msg("%s: line %d: %s", path, where.line, where.text);
    }
    return value;
}

void cli_expect_error(struct cli_result result, int status, const char *text)
{
    if (result.status != status || !strstr(result.err, text)) {
        fail_msg("expected status %d and \"%s\", found %d and \"%s\"", status,
                 text, result.status, result.err);
    }
    /* one or two lines for people, no dump */
    assert_true(strlen(result.err) < 1200);
    cli_free(&result);
}

bool cli_close_to(double a, double b, double atol, double rtol,
                  const char *what)
{
    if (fabs(a - b) <= atol + rtol * fabs(b)) {
        return true;
    }
    print_error("%s: %.9g, expected %.9g\n", what, a, b);
    return false;
}
