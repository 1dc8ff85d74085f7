/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise [MODEL]`: the explorer. Nothing is opened here: the explorer
 * draws its first screen before it loads anything.
 */
#include <stdlib.h>
#include <string.h>

#include "config.h"

#if EW_HAVE_TUI
#include "edgewise/tui.h"
#endif

#include "open.h"
#include "show.h"

#if EW_HAVE_TUI
static bool parse_color(const char *text, enum ew_color *out,
                        struct ew_err *err)
{
    *out = EW_COLOR_AUTO;
    if (text && strcmp(text, "always") == 0) {
        *out = EW_COLOR_ALWAYS;
    } else if (text && strcmp(text, "never") == 0) {
        *out = EW_COLOR_NEVER;
    } else if (text && strcmp(text, "auto") != 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--color: expected auto, always or never, found '%s'",
                       text);
    }
    return true;
}

bool cli_tui_params(const struct cli_opts *opts, struct ew_tui_params *out,
                    char **typed, struct ew_err *err)
{
    if (!cli_typed_task(typed, opts, opts->task, err)) {
        return false;
    }
    *out = (struct ew_tui_params){
        .model = opts->args.n ? opts->args.items[0].text : opts->model,
        .task = *typed ? *typed : opts->task,
        .circuit = opts->circuit,
        .labels = opts->labels,
        .theme = opts->theme,
        .threads = opts->threads,
        .split_embed = opts->split_embed,
        .bos = opts->bos,
        .no_bos = opts->no_bos,
        .has_metric = opts->metric != NULL,
        .threshold = opts->threshold,
        .ascii = opts->ascii,
        .no_mouse = opts->no_mouse,
    };
    return parse_color(opts->color, &out->color, err) &&
           cli_engine_params(opts, &out->engine, err) &&
           cli_parse_weights(opts->weights, &out->processing, err) &&
           cli_parse_device(opts->device, &out->device, err) &&
           (!opts->metric || ew_metric_parse(opts->metric, &out->metric, err));
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    struct ew_tui_params params = {0};
    char *session = opts->resumed ? ew_tui_last_session() : NULL;
    char *typed = NULL;
    bool ok = cli_tui_params(opts, &params, &typed, err);
    params.resume = session;
    ok = ok && ew_tui_run(&params, err);
    free(session);
    free(typed);
    return ok;
}
#else
static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)opts;
    (void)status;
    return ew_fail(err, EW_ERR_USAGE,
                   "this program was built without the explorer (tui); see "
                   "'edgewise --help' for the commands");
}
#endif

// clang-format off
static const struct cli_option own_options[] = {
    {"model", 'm', CLI_STRING, CLI_AT(model), 0, "MODEL",
     "the same as the argument"},
    {"circuit", 'c', CLI_STRING, CLI_AT(circuit), 0, "FILE",
     "start from this circuit (from all edges)"},
    {"threshold", 0, CLI_REAL, CLI_AT(threshold), CLI_AT(have_threshold),
     "TAU", "ACDC's threshold at the start (0.06)"},
    {"labels", 0, CLI_STRING, CLI_AT(labels), 0, "NAME|FILE",
     "groups of nodes: ioi, greater-than, docstring, or a file"},
    {"resume", 0, CLI_FLAG, CLI_AT(resumed), 0, NULL,
     "go on where the last session ended"},
    {"theme", 0, CLI_STRING, CLI_AT(theme), 0, "NAME",
     "dark, light, safe for colour-blind eyes, or mono (dark)"},
    {"color", 0, CLI_STRING, CLI_AT(color), 0, "WHEN",
     "auto, always or never; auto heeds NO_COLOR (auto)"},
    {"ascii", 0, CLI_FLAG, CLI_AT(ascii), 0, NULL,
     "no line drawing, even where the terminal could"},
    {"no-mouse", 0, CLI_FLAG, CLI_AT(no_mouse), 0, NULL,
     "leave the mouse to the terminal"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {own_options,
                                                   cli_options_task,
                                                   cli_options_typed,
                                                   cli_options_engine,
                                                   cli_options_weights,
                                                   cli_options_split,
                                                   cli_options_bos,
                                                   cli_options_model,
                                                   NULL};

const struct cli_command cli_explore = {
    .name = "",
    .args = "[options] [MODEL]",
    .help = "Explore a model's circuits in the terminal",
    .max_args = 1,
    .options = options,
    .run = run,
};
