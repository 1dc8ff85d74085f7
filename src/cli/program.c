/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program: one table of subcommands, exit statuses, signals. A first word
 * that names no command is a model for the explorer.
 */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/arch.h"
#include "edgewise/common.h"
#include "edgewise/path.h"

#include "cli.h"
#include "config.h"
#include "program.h"

/* In the order of the help. */
static const struct cli_command *const commands[] = {
    &cli_params, &cli_hooks, &cli_run,  &cli_graph,  &cli_task,  &cli_eval,
    &cli_scan, &cli_acdc, &cli_sweep, &cli_diff, &cli_export, &cli_bench,
    &cli_convert, &cli_show,
};

/* Never freed: a signal may come until the very end. */
static struct ew_cancel *cancel_token;

struct ew_cancel *cli_cancel(void)
{
    return cancel_token;
}

static void on_signal(int signo)
{
    (void)signo;
    ew_cancel_raise(cancel_token);
}

/* The first signal asks; SA_RESETHAND makes the second one end the program.
 * Not under nohup and the like, where the signal is ignored already. */
static void catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    cancel_token = ew_cancel_create();
    for (size_t i = 0; i < EW_ARRAY_LEN(signals); i++) {
        struct sigaction action = {.sa_handler = on_signal,
                                   .sa_flags = (int)SA_RESETHAND};
        struct sigaction old;
        sigemptyset(&action.sa_mask);
        if (sigaction(signals[i], NULL, &old) == 0 &&
            old.sa_handler != SIG_IGN) {
            sigaction(signals[i], &action, NULL);
        }
    }
}

static const struct cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static void print_overview(struct ew_buf *out)
{
    ew_buf_add(out, "usage: edgewise [MODEL] [-t TASK] [-c CIRCUIT]\n"
                    "       edgewise COMMAND ...\n\n"
                    "Explore the circuits of a transformer in the terminal: "
                    "without a command, on\nthe screen.\n\ncommands:\n");
    for (size_t i = 0; i < EW_ARRAY_LEN(commands); i++) {
        ew_buf_printf(out, "  %-10s", commands[i]->name);
        cli_print_wrapped(out, commands[i]->help, 12, 12);
        ew_buf_putc(out, '\n');
    }
    ew_buf_add(out, "\noptions:\n"
                    "  -h, --help        show this help; after a command, "
                    "that command's\n"
                    "      --version     show the version\n\n");
    cli_print_wrapped(
        out,
        "MODEL is a directory with config.json and weights, a file, the name "
        "of a bundled model, or org/name of one in the Hugging Face cache; "
        "without one it is induction-2l. "
        "'edgewise --help explore' lists the explorer's options.",
        0, 0);
    ew_buf_putc(out, '\n');
}

static void print_and_drop(struct ew_buf *text)
{
    fputs(ew_buf_str(text), stdout);
    ew_buf_finish(text);
}

/* Report on standard error; the exit status. */
static int report(const struct cli_command *command, const struct ew_err *err)
{
    const char *blank = command && *command->name ? " " : "";
    const char *name = command ? command->name : "";
    if (err->message[0] && err->code != EW_ERR_CANCELLED) {
        fprintf(stderr, "edgewise%s%s: %s\n", blank, name, err->message);
    }
    if (err->code == EW_ERR_USAGE) {
        fprintf(stderr, "try 'edgewise%s%s --help'\n", blank, name);
    }
    return ew_exit_status(err->code);
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
    struct ew_err err = {0};
    struct cli_opts opts;
    int status = 0;
    switch (cli_parse(command, argc, argv, &opts, &err)) {
    case CLI_HELP: {
        struct ew_buf text = {0};
        cli_print_help(&text, command);
        print_and_drop(&text);
        break;
    }
    case CLI_RUN:
        catch_signals();
        if (!command->run(&opts, &status, &err)) {
            fflush(stdout); /* what there is comes before the reason */
            status = report(command, &err);
        }
        break;
    case CLI_BAD:
        status = report(command, &err);
        break;
    }
    cli_opts_finish(&opts);
    struct ew_err flush_err = {0};
    if (!cli_flush(&flush_err) && status == 0) {
        status = report(command, &flush_err);
    }
    return status;
}

/* A first word that is neither a command nor an option. */
static int run_model(int argc, char **argv)
{
    const char *word = argv[1];
    char *path = ew_model_locate(word, NULL);
    if (!path && !strchr(word, '/')) {
        fprintf(stderr,
                "edgewise: '%s' is neither a command nor a model\n"
                "try 'edgewise --help'\n",
                word);
        return ew_exit_status(EW_ERR_USAGE);
    }
    free(path);
    return run_command(&cli_explore, argc, argv);
}

static int print_help(int argc, char **argv)
{
    struct ew_buf text = {0};
    struct ew_err err = {0};
    const struct cli_command *command = NULL;
    if (argc > 2 && strcmp(argv[2], "explore") == 0) {
        command = &cli_explore;
    } else if (argc > 2) {
        command = find_command(argv[2]);
        if (!command) {
            ew_fail(&err, EW_ERR_USAGE, "unknown command '%s'", argv[2]);
            return report(NULL, &err);
        }
    }
    if (command) {
        cli_print_help(&text, command);
    } else {
        print_overview(&text);
    }
    print_and_drop(&text);
    return cli_flush(&err) ? 0 : report(NULL, &err);
}

/*
 * OpenMP's threads spin for milliseconds when they have nothing to do, which
 * on cores that others want as well costs more than waking them. Said before
 * there is a second thread, for the library to find when it is loaded.
 */
static void spin_less(void)
{
    if (!getenv("OMP_WAIT_POLICY")) {
        setenv("GOMP_SPINCOUNT", "20000", 0);
    }
}

int cli_program(int argc, char **argv)
{
    spin_less();
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C"); /* files and JSON have a decimal point */
    const char *word = argc > 1 ? argv[1] : "";
    const struct cli_command *command = find_command(word);
    if (command) {
        return run_command(command, argc - 1, argv + 1);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
        strcmp(word, "help") == 0) {
        return print_help(argc, argv);
    }
    if (strcmp(word, "--version") == 0) {
        struct ew_err err = {0};
        puts("edgewise " EW_VERSION);
        return cli_flush(&err) ? 0 : report(NULL, &err);
    }
    if (*word && *word != '-') {
        return run_model(argc, argv);
    }
    return run_command(&cli_explore, argc, argv);
}
