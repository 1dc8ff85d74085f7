/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise export`: a circuit's picture or table. The circuit's file says
 * what its graph is: no model is needed.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/export.h"
#include "edgewise/file.h"
#include "edgewise/mem.h"

#include "open.h"

static bool to_stdout(const struct ew_circuit *c, const char *format,
                      const struct ew_dot_params *params, struct ew_err *err)
{
    struct ew_buf text = {0};
    bool ok = true;
    if (strcmp(format, "csv") == 0) {
        ew_csv_print(&text, c);
    } else if (strcmp(format, "json") == 0) {
        char *json = ew_circuit_to_json(c);
        ew_buf_add(&text, json);
        free(json);
    } else {
        ew_dot_print(&text, c, params);
    }
    static const char *const ours[] = {"csv", "json", "dot"};
    bool plain = false;
    for (size_t i = 0; i < EW_ARRAY_LEN(ours); i++) {
        plain = plain || strcmp(format, ours[i]) == 0;
    }
    if (!plain) {
        struct ew_buf picture = {0};
        ok = ew_graphviz_render(&picture, ew_buf_str(&text), format, 0,
                                cli_cancel(), err);
        ew_buf_finish(&text);
        text = picture;
    }
    if (ok) {
        fwrite(ew_buf_str(&text), 1, text.len, stdout);
    }
    ew_buf_finish(&text);
    return ok;
}

static bool read_labels(const char *name, const struct ew_graph *g,
                        struct ew_groups **out, struct ew_err *err)
{
    char *path = ew_groups_locate(name, err);
    *out = path ? ew_groups_load(path, g, err) : NULL;
    free(path);
    return *out != NULL;
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    if (opts->args.n == 0) {
        return ew_fail(err, EW_ERR_USAGE, "which circuit?");
    }
    if (opts->output.n == 0 && !opts->format) {
        return ew_fail(err, EW_ERR_USAGE,
                       "where to? -o FILE.dot, .svg, .png, .pdf, .json or "
                       ".csv");
    }
    struct ew_dot_params params = {
        .title = opts->title,
        .group_qkv = opts->group_qkv,
        .no_legend = opts->no_legend,
        .max_edges = (uint32_t)opts->top,
    };
    struct ew_graph *g = NULL;
    struct ew_circuit *c =
        ew_circuit_load(opts->args.items[0].text, NULL, &g, err);
    struct ew_groups *groups = NULL;
    bool ok = c != NULL &&
              (!opts->labels ||
               read_labels(opts->labels, ew_circuit_graph(c), &groups, err));
    params.groups = groups;
    const char *format = opts->format ? opts->format : "dot";
    if (ok && opts->output.n == 0) {
        ok = to_stdout(c, format, &params, err);
    }
    for (size_t i = 0; ok && i < opts->output.n; i++) {
        const char *path = opts->output.items[i].text;
        ok = strcmp(path, "-") == 0
                 ? to_stdout(c, format, &params, err)
                 : ew_export(c, path, &params, cli_cancel(), err);
    }
    ew_groups_destroy(groups);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
    return ok;
}

// clang-format off
static const struct cli_option own_options[] = {
    {"output", 'o', CLI_LIST, CLI_AT(output), 0, "FILE",
     "write FILE.dot, .svg, .png, .pdf, .json or .csv, or what else Graphviz "
     "can; may be repeated; - is standard output"},
    {"format", 'f', CLI_STRING, CLI_AT(format), 0, "FMT",
     "format of what goes to standard output (dot)"},
    {"top", 0, CLI_INT, CLI_AT(top), 0, "N",
     "draw only the N edges of largest |score|"},
    {"title", 0, CLI_STRING, CLI_AT(title), 0, "TEXT",
     "title of the picture"},
    {"group-qkv", 0, CLI_FLAG, CLI_AT(group_qkv), 0, NULL,
     "a head's q, k and v as parts of one node"},
    {"labels", 0, CLI_STRING, CLI_AT(labels), 0, "NAME|FILE",
     "box the nodes of each group: ioi, greater-than, docstring, or a file"},
    {"no-legend", 0, CLI_FLAG, CLI_AT(no_legend), 0, NULL,
     "leave the legend out"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {own_options, NULL};

const struct cli_command cli_export = {
    .name = "export",
    .args = "[options] CIRCUIT -o FILE",
    .help = "write a circuit as a picture or a table",
    .max_args = 1,
    .options = options,
    .run = run,
};
