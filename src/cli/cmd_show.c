/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise show`: a screen of the explorer without a terminal, after some
 * keys; what the pictures of the documentation are made with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/path.h"

#include "open.h"
#include "show.h"

#if EW_HAVE_TUI
static bool parse_size(const char *text, int *cols, int *rows,
                       struct ew_err *err)
{
    char end;
    *cols = 120;
    *rows = 40;
    if (text && (sscanf(text, "%dx%d%c", cols, rows, &end) != 2 || *cols < 1 ||
                 *rows < 1 || *cols > 1000 || *rows > 1000)) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--size: expected COLSxROWS, found '%s'", text);
    }
    return true;
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    struct ew_tui_params params;
    char *typed = NULL;
    struct ew_buf out = {0};
    int rows;
    int cols;
    const char *path = opts->output.n ? opts->output.items[0].text : "-";
    bool svg = strcmp(ew_path_ext(path), "svg") == 0;
    bool ok = parse_size(opts->size, &cols, &rows, err) &&
              cli_tui_params(opts, &params, &typed, err) &&
              ew_tui_show(&params, opts->keys ? opts->keys : "", rows, cols,
                          svg, &out, err) &&
              ew_file_write(path, out.data, out.len, err);
    ew_buf_finish(&out);
    free(typed);
    return ok;
}
#else
static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)opts;
    (void)status;
    return ew_fail(err, EW_ERR_USAGE,
                   "this program was built without the explorer (tui)");
}
#endif

// clang-format off
static const struct cli_option own_options[] = {
    {"keys", 0, CLI_STRING, CLI_AT(keys), 0, "KEYS",
     "type these first: 'jj<Space>:view acdc<Enter>'"},
    {"size", 0, CLI_STRING, CLI_AT(size), 0, "COLSxROWS",
     "of the screen (120x40)"},
    {"output", 'o', CLI_LIST, CLI_AT(output), 0, "FILE",
     "write text, or a picture when FILE ends in .svg (standard output)"},
    {"model", 'm', CLI_STRING, CLI_AT(model), 0, "MODEL",
     "the same as the argument"},
    {"circuit", 'c', CLI_STRING, CLI_AT(circuit), 0, "FILE",
     "start from this circuit (from all edges)"},
    {"threshold", 0, CLI_REAL, CLI_AT(threshold), CLI_AT(have_threshold),
     "TAU", "ACDC's threshold at the start (0.06)"},
    {"labels", 0, CLI_STRING, CLI_AT(labels), 0, "NAME|FILE",
     "groups of nodes: ioi, greater-than, docstring, or a file"},
    {"theme", 0, CLI_STRING, CLI_AT(theme), 0, "NAME",
     "dark, light, safe for colour-blind eyes, or mono (dark)"},
    {"ascii", 0, CLI_FLAG, CLI_AT(ascii), 0, NULL,
     "no line drawing, even where the terminal could"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {
    own_options,        cli_options_task,    cli_options_typed,
    cli_options_engine, cli_options_weights, cli_options_split,
    cli_options_bos,    cli_options_model,   NULL};

const struct cli_command cli_show = {
    .name = "show",
    .args = "[options] [MODEL]",
    .help = "print a screen of the explorer, after some keys",
    .max_args = 1,
    .options = options,
    .run = run,
};
