/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the subcommands share: the table of commands, the tables of options
 * that parse themselves and print the help, and how results are written.
 *
 * A command is a name, a line of help, its option tables and a function.
 * Options of every command are stored in one plain struct, each at the place
 * its table entry names; zero means "not given".
 */
#ifndef EW_CLI_H
#define EW_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "edgewise/buf.h"
#include "edgewise/cancel.h"
#include "edgewise/err.h"

/* A word of the command line, and which option brought it. */
struct cli_word {
    const char *option; /* long name: "cut", "keep" */
    const char *text;   /* borrowed from argv */
};
struct cli_words { /* in the order given; owned array */
    struct cli_word *items;
    size_t n;
    size_t cap;
};

/* Options as given. Strings are borrowed from argv. */
struct cli_opts {
    struct cli_words args; /* what is not an option */
    /* model, task, engine */
    const char *model;
    const char *task;
    const char *metric;
    const char *ablation;
    const char *engine;
    const char *device;
    const char *max_memory;
    const char *weights;
    const char *circuit;
    int threads;
    bool bos;
    bool no_bos;
    bool split_embed;
    bool json;
    /* results */
    struct cli_words output; /* -o, repeated */
    const char *log;
    const char *format;
    const char *title;
    const char *labels; /* groups of nodes */
    int top;
    /* bench */
    bool only_acdc;
    const char *shape;
    const char *prompts_size;
    /* run */
    struct cli_words prompts; /* --tokens and --text, in order */
    struct cli_words typed; /* --clean, --corrupt, --answer, --wrong */
    const char *logits;
    int generate;
    /* graph, task, hooks */
    bool nodes;
    bool edges;
    bool counts;
    bool list;
    bool corrupted;
    /* eval */
    struct cli_words edits; /* --cut, --keep and --only, in order */
    /* acdc */
    bool have_threshold;
    double threshold;
    const char *indices;
    const char *names;
    bool absolute;
    bool remove_redundant;
    /* scan */
    const char *method;
    const char *sort;
    const char *resume;
    const char *compat;
    const char *normalise;
    int steps;
    int seed;
    const char *select;
    bool prune;
    struct cli_words picked; /* --edge */
    bool positions;
    bool roles;
    /* eval, sweep */
    const char *curve;
    const char *truth;
    const char *eval_task;
    const char *methods;
    const char *thresholds;
    bool flip;
    bool completeness;
    bool minimality;
    int sets;
    bool csv;
    bool markdown;
    /* diff */
    bool graph;
    bool have_tolerance;
    double tolerance;
    /* explorer */
    const char *color;
    const char *theme;
    bool resumed;
    const char *keys;
    const char *size;
    bool ascii;
    bool no_mouse;
    /* export */
    bool group_qkv;
    bool no_legend;
};

enum cli_kind {
    CLI_FLAG,   /* bool = true */
    CLI_STRING, /* const char * */
    CLI_INT,    /* int, not negative */
    CLI_REAL,   /* double, finite; the bool before it is set */
    CLI_LIST,   /* struct cli_words, appended */
};

struct cli_option {
    const char *name; /* long name */
    char letter;      /* 0: none */
    enum cli_kind kind;
    size_t at;       /* offset in struct cli_opts */
    size_t given_at; /* CLI_REAL: offset of the bool that says it was given */
    const char *arg; /* what help calls the argument; NULL for flags */
    const char *help;
};

/* Long name of the option, its letter and the field it fills. */
#define CLI_AT(field) offsetof(struct cli_opts, field)

struct cli_command {
    const char *name;
    const char *args; /* after the name in the usage line */
    const char *help; /* one line */
    const char *more; /* paragraphs below the options; NULL */
    size_t max_args;
    const struct cli_option *const *options; /* tables, NULL at the end */
    /* Exit status in *status where it is not the error's. */
    bool (*run)(const struct cli_opts *opts, int *status, struct ew_err *err);
};

/* ---- tables that several commands share (options.c) ---- */

/* Each ends with an entry without a name. */
extern const struct cli_option cli_options_common[];  /* --json, --help */
extern const struct cli_option cli_options_model[];   /* --threads, --device */
extern const struct cli_option cli_options_weights[]; /* --weights */
extern const struct cli_option cli_options_bos[];
extern const struct cli_option cli_options_task[];   /* -t, --metric */
extern const struct cli_option cli_options_typed[];  /* --clean, .. */
extern const struct cli_option cli_options_engine[]; /* --ablation, ... */
extern const struct cli_option cli_options_split[];  /* --split-embed */
extern const struct cli_option cli_options_table[];  /* --csv, --markdown */

enum cli_parsed { CLI_RUN, CLI_HELP, CLI_BAD };
/*
 * Parse argv[1..] of a command into `opts`. CLI_HELP when --help was among
 * them; CLI_BAD fills in `err` (EW_ERR_USAGE).
 */
enum cli_parsed cli_parse(const struct cli_command *command, int argc,
                          char **argv, struct cli_opts *opts,
                          struct ew_err *err);
void cli_opts_finish(struct cli_opts *opts);
/* The help of one command, no line over 80 columns. */
void cli_print_help(struct ew_buf *out, const struct cli_command *command);
/* Append `text` wrapped at 80 columns, continuation lines `indent` deep. */
void cli_print_wrapped(struct ew_buf *out, const char *text, int column,
                       int indent);

/*
 * Call `each` with every comma-separated piece of a text, blanks around it
 * removed; commas inside brackets separate nothing, so that
 * "blocks.0.hook_resid_pre[:]->blocks.1.hook_q_input[:, :, 2]" is one piece.
 * Stops at the first false.
 */
bool cli_split(const char *text,
               bool (*each)(void *user, const char *piece, struct ew_err *err),
               void *user, struct ew_err *err);

/* ---- output (output.c) ---- */

/* null for what is not a number. */
json_t *cli_real(double value);
json_t *cli_ids(const int64_t *ids, size_t n);
json_t *cli_shape(const int64_t *shape, int ndim);

/* Write one value and a newline; takes the reference. 15 digits. */
void cli_json_line(FILE *out, json_t *value);
/*
 * A long array written item by item, one a line. `digits`: of its numbers;
 * 9 tell every 32-bit one apart.
 */
struct cli_array {
    FILE *out;
    size_t n;
    int digits;
};
void cli_array_open(struct cli_array *array, FILE *out, int digits);
void cli_array_item(struct cli_array *array, json_t *value); /* takes it */
void cli_array_close(struct cli_array *array);

/* "[2, 3]" */
void cli_print_shape(struct ew_buf *out, const int64_t *shape, int ndim);
/* Columns that the text takes in the terminal (UTF-8). */
int cli_width(const char *text);
/* A number for a table: 6 digits, "-" for NaN. */
void cli_print_real(struct ew_buf *out, double value);

/* A table of text: cells are added row by row, printed when complete. */
struct cli_table {
    size_t n_columns;
    const char *align; /* one of "lr" a column */
    char **cells;      /* owned, row-major */
    size_t n;
    size_t cap;
};
void cli_table_add(struct cli_table *table, const char *text);
void cli_table_addf(struct cli_table *table, const char *fmt, ...)
    EW_PRINTF(2, 3);
void cli_table_add_real(struct cli_table *table, double value);
/* Aligned, two blanks between columns; empties the table. */
void cli_table_print(struct cli_table *table, FILE *out);
/* The same as --csv (RFC 4180) or --markdown say, the first row a header;
 * aligned when neither is given. */
void cli_table_print_as(struct cli_table *table, const struct cli_opts *opts,
                        FILE *out);

/* One line on standard error that is rewritten in place, at most ten times a
 * second and only on a terminal. */
struct cli_progress {
    bool on;
    long long last_ns;
    size_t shown; /* columns to wipe */
};
void cli_progress_init(struct cli_progress *progress);
void cli_progress_show(struct cli_progress *progress, const char *fmt, ...)
    EW_PRINTF(2, 3);
void cli_progress_clear(struct cli_progress *progress);

/* Monotonic clock. */
long long cli_now_ns(void);

/* Is an --output standard output, which is for one thing? */
bool cli_stdout_taken(const struct cli_opts *opts);
/* Can every --output be written? Asked before hours are spent. */
EW_MUST_CHECK bool cli_check_outputs(const struct cli_opts *opts,
                                     struct ew_err *err);

/* Flush standard output. False (EW_ERR_FAILED) when something was not
 * written, with an empty message when its reader has gone. */
bool cli_flush(struct ew_err *err);

/* Raised by the first SIGINT or SIGTERM; the second one ends the program. */
struct ew_cancel *cli_cancel(void);

/* ---- commands, one file each ---- */

extern const struct cli_command cli_explore; /* without a subcommand */
extern const struct cli_command cli_params;
extern const struct cli_command cli_hooks;
extern const struct cli_command cli_run;
extern const struct cli_command cli_graph;
extern const struct cli_command cli_task;
extern const struct cli_command cli_eval;
extern const struct cli_command cli_scan;
extern const struct cli_command cli_acdc;
extern const struct cli_command cli_sweep;
extern const struct cli_command cli_diff;
extern const struct cli_command cli_export;
extern const struct cli_command cli_show;
extern const struct cli_command cli_bench;
extern const struct cli_command cli_convert;

#endif
