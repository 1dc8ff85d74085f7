/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options: the tables that several commands share, parsing by getopt_long
 * from the tables, and the help text made from the same tables.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "cli.h"

enum { MAX_OPTIONS = 48, HELP_WIDTH = 79, HELP_COLUMN = 26 };

// clang-format off
const struct cli_option cli_options_common[] = {
    {"json", 0, CLI_FLAG, CLI_AT(json), 0, NULL,
     "print JSON instead of a table"},
    {0},
};

const struct cli_option cli_options_model[] = {
    {"threads", 0, CLI_INT, CLI_AT(threads), 0, "N",
     "threads for numeric work (one per core)"},
    {"device", 0, CLI_STRING, CLI_AT(device), 0, "DEV",
     "cpu, cuda or cuda:N (cpu)"},
    {0},
};

const struct cli_option cli_options_weights[] = {
    {"weights", 0, CLI_STRING, CLI_AT(weights), 0, "W",
     "raw: as in the file; tl: as TransformerLens's from_pretrained folds and "
     "centres them (raw)"},
    {0},
};

const struct cli_option cli_options_bos[] = {
    {"bos", 0, CLI_FLAG, CLI_AT(bos), 0, NULL,
     "begin text prompts with the beginning-of-sequence token"},
    {"no-bos", 0, CLI_FLAG, CLI_AT(no_bos), 0, NULL,
     "do not; the model's config decides when neither is given"},
    {0},
};

const struct cli_option cli_options_task[] = {
    {"task", 't', CLI_STRING, CLI_AT(task), 0, "TASK",
     "a task file, or a built-in task with its options, such as "
     "induction:n=20,k=15,corrupt=query (the model's own, or induction)"},
    {"metric", 0, CLI_STRING, CLI_AT(metric), 0, "M",
     "kl, kl-mib, logit-diff, prob-diff, docstring, nll or accuracy (the "
     "task's)"},
    {0},
};

const struct cli_option cli_options_typed[] = {
    {"clean", 0, CLI_LIST, CLI_AT(typed), 0, "TEXT",
     "a typed prompt in place of a task; each begins another pair"},
    {"corrupt", 0, CLI_LIST, CLI_AT(typed), 0, "TEXT",
     "the corrupted prompt of the pair, as many tokens"},
    {"answer", 0, CLI_LIST, CLI_AT(typed), 0, "TEXT",
     "its answer, a single token such as ' Mary'; may be repeated"},
    {"wrong", 0, CLI_LIST, CLI_AT(typed), 0, "TEXT",
     "its wrong answer; may be repeated"},
    {0},
};

const struct cli_option cli_options_engine[] = {
    {"ablation", 0, CLI_STRING, CLI_AT(ablation), 0, "A",
     "what a cut edge carries: corrupted, zero or mean (corrupted)"},
    {"engine", 0, CLI_STRING, CLI_AT(engine), 0, "E",
     "incremental, or rerun: every number by a full forward (incremental)"},
    {"max-memory", 0, CLI_STRING, CLI_AT(max_memory), 0, "BYTES",
     "refuse to take more; K, M, G may follow the number"},
    {0},
};

const struct cli_option cli_options_split[] = {
    {"split-embed", 0, CLI_FLAG, CLI_AT(split_embed), 0, NULL,
     "token and position embedding are two senders"},
    {0},
};

const struct cli_option cli_options_table[] = {
    {"csv", 0, CLI_FLAG, CLI_AT(csv), 0, NULL,
     "print the table as comma-separated values"},
    {"markdown", 0, CLI_FLAG, CLI_AT(markdown), 0, NULL,
     "print the table as Markdown"},
    {0},
};

static const struct cli_option help_option[] = {
    {"help", 'h', CLI_FLAG, 0, 0, NULL, "show this help"},
    {0},
};
// clang-format on

/* ---- parsing ---- */

struct parser {
    const struct cli_option *options[MAX_OPTIONS];
    size_t n;
    struct option longs[MAX_OPTIONS + 2]; /* and help, and the end */
    char shorts[2 * MAX_OPTIONS + 4];
};

enum { LONG_BASE = 256, LONG_HELP = LONG_BASE + MAX_OPTIONS };

static void parser_init(struct parser *p, const struct cli_command *command)
{
    *p = (struct parser){0};
    size_t len = 0;
    p->shorts[len++] = ':'; /* tell a missing argument from a wrong option */
    p->shorts[len++] = 'h';
    for (size_t t = 0; command->options[t]; t++) {
        const struct cli_option *o = command->options[t];
        for (; o->name && p->n < MAX_OPTIONS; o++) {
            p->longs[p->n] = (struct option){
                .name = o->name,
                .has_arg = o->arg ? required_argument : no_argument,
                .val = LONG_BASE + (int)p->n,
            };
            p->options[p->n++] = o;
            if (o->letter) {
                p->shorts[len++] = o->letter;
            }
            if (o->letter && o->arg) {
                p->shorts[len++] = ':';
            }
        }
    }
    p->longs[p->n] = (struct option){.name = "help", .val = LONG_HELP};
}

static const struct cli_option *find_option(const struct parser *p, int val)
{
    for (size_t i = 0; i < p->n; i++) {
        if (val == LONG_BASE + (int)i || val == p->options[i]->letter) {
            return p->options[i];
        }
    }
    return NULL;
}

static void add_word(struct cli_words *words, const char *option,
                     const char *text)
{
    words->items =
        ew_grow(words->items, words->n, &words->cap, sizeof(*words->items));
    words->items[words->n++] =
        (struct cli_word){.option = option, .text = text};
}

static bool store_number(const struct cli_option *o, const char *text,
                         char *base, struct ew_err *err)
{
    char *end;
    errno = 0;
    if (o->kind == CLI_INT) {
        long value = strtol(text, &end, 10);
        if (end == text || *end || errno || value < 0 || value > INT_MAX) {
            return ew_fail(err, EW_ERR_USAGE,
                           "--%s: expected a number, found '%s'", o->name,
                           text);
        }
        *(int *)(void *)(base + o->at) = (int)value;
        return true;
    }
    double value = strtod(text, &end);
    if (end == text || *end || isnan(value)) {
        return ew_fail(err, EW_ERR_USAGE, "--%s: expected a number, found '%s'",
                       o->name, text);
    }
    *(double *)(void *)(base + o->at) = value;
    *(bool *)(base + o->given_at) = true;
    return true;
}

static bool store(const struct cli_option *o, const char *text,
                  struct cli_opts *opts, struct ew_err *err)
{
    char *base = (char *)opts;
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)(base + o->at) = true;
        return true;
    case CLI_STRING:
        *(const char **)(void *)(base + o->at) = text;
        return true;
    case CLI_LIST:
        add_word((void *)(base + o->at), o->name, text);
        return true;
    case CLI_INT:
    case CLI_REAL:
        break;
    }
    return store_number(o, text, base, err);
}

/* What getopt_long could not place. */
static bool bad_option(const struct parser *p, int c, char **argv,
                       struct ew_err *err)
{
    const char *word = argv[optind - 1];
    const struct cli_option *o = find_option(p, optopt);
    if (c == ':') {
        return ew_fail(err, EW_ERR_USAGE, "%s needs an argument: %s", word,
                       o ? o->arg : "");
    }
    if (optopt >= LONG_BASE) {
        return ew_fail(err, EW_ERR_USAGE, "--%s takes no argument",
                       o ? o->name : "help");
    }
    if (optopt) {
        return ew_fail(err, EW_ERR_USAGE, "unknown option -%c", optopt);
    }
    size_t len = strcspn(word, "=");
    size_t n_like = 0;
    for (size_t i = 0; i < p->n; i++) {
        n_like +=
            len > 2 && strncmp(p->options[i]->name, word + 2, len - 2) == 0;
    }
    return ew_fail(err, EW_ERR_USAGE, "%s option %.*s",
                   n_like > 1 ? "ambiguous" : "unknown", (int)len, word);
}

enum cli_parsed cli_parse(const struct cli_command *command, int argc,
                          char **argv, struct cli_opts *opts,
                          struct ew_err *err)
{
    struct parser p;
    parser_init(&p, command);
    *opts = (struct cli_opts){0};
    opterr = 0;
    optind = 0; /* glibc: start afresh */
    bool help = false;
    int c;
    while ((c = getopt_long(argc, argv, p.shorts, p.longs, NULL)) != -1) {
        if (c == 'h' || c == LONG_HELP) {
            help = true;
            continue;
        }
        const struct cli_option *o = find_option(&p, c);
        if (!o) {
            bad_option(&p, c, argv, err);
            return CLI_BAD;
        }
        if (!store(o, optarg, opts, err)) {
            return CLI_BAD;
        }
    }
    for (int i = optind; i < argc; i++) {
        add_word(&opts->args, NULL, argv[i]);
    }
    if (help) {
        return CLI_HELP;
    }
    if (opts->args.n > command->max_args) {
        ew_fail(err, EW_ERR_USAGE, "unexpected argument '%s'",
                opts->args.items[command->max_args].text);
        return CLI_BAD;
    }
    return CLI_RUN;
}

void cli_opts_finish(struct cli_opts *opts)
{
    free(opts->args.items);
    free(opts->output.items);
    free(opts->prompts.items);
    free(opts->typed.items);
    free(opts->edits.items);
    free(opts->picked.items);
    *opts = (struct cli_opts){0};
}

bool cli_split(const char *text,
               bool (*each)(void *user, const char *piece, struct ew_err *err),
               void *user, struct ew_err *err)
{
    bool ok = true;
    while (ok) {
        int depth = 0;
        size_t len = 0;
        for (; text[len] && (text[len] != ',' || depth > 0); len++) {
            depth += (text[len] == '[') - (text[len] == ']');
        }
        size_t from = 0;
        size_t to = len;
        while (from < to && isspace((unsigned char)text[from])) {
            from++;
        }
        while (to > from && isspace((unsigned char)text[to - 1])) {
            to--;
        }
        char *piece = ew_xstrndup(text + from, to - from);
        ok = each(user, piece, err);
        free(piece);
        if (!text[len]) {
            break;
        }
        text += len + 1;
    }
    return ok;
}

/* ---- help ---- */

void cli_print_wrapped(struct ew_buf *out, const char *text, int column,
                       int indent)
{
    while (*text) {
        size_t len = strcspn(text, " \n");
        if (column > indent && column + 1 + (int)len > HELP_WIDTH) {
            ew_buf_printf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            ew_buf_putc(out, ' ');
            column++;
        }
        ew_buf_add_n(out, text, len);
        column += (int)len;
        text += len;
        if (*text == '\n') {
            ew_buf_printf(out, "\n%*s", text[1] ? indent : 0, "");
            column = indent;
        }
        text += *text != '\0';
    }
}

static void print_option(struct ew_buf *out, const struct cli_option *o)
{
    size_t start = out->len;
    if (o->letter) {
        ew_buf_printf(out, "  -%c, --%s", o->letter, o->name);
    } else {
        ew_buf_printf(out, "      --%s", o->name);
    }
    if (o->arg) {
        ew_buf_printf(out, " %s", o->arg);
    }
    int column = (int)(out->len - start);
    if (column > HELP_COLUMN - 2) {
        ew_buf_putc(out, '\n');
        column = 0;
    }
    ew_buf_printf(out, "%*s", HELP_COLUMN - column, "");
    cli_print_wrapped(out, o->help, HELP_COLUMN, HELP_COLUMN);
    ew_buf_putc(out, '\n');
}

void cli_print_help(struct ew_buf *out, const struct cli_command *command)
{
    const char *blank = *command->name ? " " : "";
    ew_buf_printf(out, "usage: edgewise%s%s %s\n\n", blank, command->name,
                  command->args);
    cli_print_wrapped(out, command->help, 0, 0);
    ew_buf_add(out, ".\n\noptions:\n");
    for (size_t t = 0; command->options[t]; t++) {
        for (const struct cli_option *o = command->options[t]; o->name; o++) {
            print_option(out, o);
        }
    }
    print_option(out, help_option);
    if (command->more) {
        ew_buf_putc(out, '\n');
        cli_print_wrapped(out, command->more, 0, 0);
        ew_buf_putc(out, '\n');
    }
}
