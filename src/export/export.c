/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file out of a circuit: the extension decides what. Whatever goes wrong,
 * the file that was there before is still there.
 */
#include "edgewise/export.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "edgewise/file.h"
#include "edgewise/path.h"

enum kind { KIND_DOT, KIND_JSON, KIND_CSV, KIND_PICTURE };

/* Sorted. What Graphviz can write and a circuit can be. */
static const struct format {
    const char *extension;
    enum kind kind;
} formats[] = {
    {"bmp", KIND_PICTURE},  {"csv", KIND_CSV},      {"dot", KIND_DOT},
    {"eps", KIND_PICTURE},  {"fig", KIND_PICTURE},  {"gif", KIND_PICTURE},
    {"gv", KIND_DOT},       {"jpeg", KIND_PICTURE}, {"jpg", KIND_PICTURE},
    {"json", KIND_JSON},    {"pdf", KIND_PICTURE},  {"plain", KIND_PICTURE},
    {"png", KIND_PICTURE},  {"ps", KIND_PICTURE},   {"svg", KIND_PICTURE},
    {"svgz", KIND_PICTURE}, {"tif", KIND_PICTURE},  {"tiff", KIND_PICTURE},
    {"webp", KIND_PICTURE}, {"xdot", KIND_PICTURE},
};

static const struct format *find_format(const char *path, struct ew_err *err)
{
    const char *extension = strcmp(path, "-") == 0 ? "dot" : ew_path_ext(path);
    for (size_t i = 0; i < EW_ARRAY_LEN(formats); i++) {
        if (strcasecmp(extension, formats[i].extension) == 0) {
            return &formats[i];
        }
    }
    ew_fail(err, EW_ERR_USAGE,
            "%s: expected an extension such as .svg, .png, .pdf, .dot, .json "
            "or .csv, found %s%s",
            path, *extension ? "." : "none", extension);
    return NULL;
}

static bool check_size(const struct ew_circuit *c, const char *path,
                       const struct ew_dot_params *params, struct ew_err *err)
{
    uint32_t n = ew_dot_n_lines(c, params);
    if (n > EW_DOT_MAX_LINES) {
        return ew_fail(err, EW_ERR_USAGE,
                       "%s: %u edges are too many to lay out (%d at most): "
                       "draw only the largest (max_edges, --top 300), or "
                       "write .dot",
                       path, (unsigned)n, EW_DOT_MAX_LINES);
    }
    return true;
}

static bool render(struct ew_buf *out, const struct ew_circuit *c,
                   const char *path, const char *format,
                   const struct ew_dot_params *params,
                   const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_buf dot = {0};
    if (!check_size(c, path, params, err)) {
        return false;
    }
    ew_dot_print(&dot, c, params);
    bool ok = ew_graphviz_render(out, ew_buf_str(&dot), format, 0, cancel, err);
    if (!ok) {
        ew_fail_prefix(err, "%s", path);
    }
    ew_buf_finish(&dot);
    return ok;
}

bool ew_export(const struct ew_circuit *c, const char *path,
               const struct ew_dot_params *params,
               const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_buf out = {0};
    const struct format *format = find_format(path, err);
    bool ok = format != NULL;
    if (ok) {
        switch (format->kind) {
        case KIND_DOT:
            ew_dot_print(&out, c, params);
            break;
        case KIND_CSV:
            ew_csv_print(&out, c);
            break;
        case KIND_JSON:
            return ew_circuit_save(c, path, err);
        case KIND_PICTURE:
            ok = render(&out, c, path, format->extension, params, cancel, err);
            break;
        }
    }
    ok = ok && ew_file_write(path, ew_buf_str(&out), out.len, err);
    ew_buf_finish(&out);
    return ok;
}
