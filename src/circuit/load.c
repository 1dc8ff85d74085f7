/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every reader of this folder starts with: the JSON of a file that
 * Python may have written, and a graph of the shape that a file asks for.
 */
#include <string.h>

#include "edgewise/buf.h"
#include "edgewise/file.h"
#include "edgewise/json.h"

#include "internal.h"

/* A graph made from a file may not be larger: a typo must not take all
 * memory. Llama-3-8B has 1.6 million edges. */
static const uint32_t max_file_edges = UINT32_C(1) << 26;

/*
 * Python writes NaN and Infinity, which JSON does not have: make them null,
 * outside strings.
 */
static void replace_nan(struct ew_buf *out, const char *text, size_t len)
{
    static const char *const words[] = {"NaN", "-Infinity", "Infinity"};
    bool in_string = false;
    size_t plain = 0; /* copied up to here */
    for (size_t i = 0; i < len; i++) {
        if (in_string && text[i] == '\\') {
            i++; /* whatever follows */
            continue;
        }
        if (in_string) {
            in_string = text[i] != '"';
            continue;
        }
        in_string = text[i] == '"';
        for (size_t w = 0; w < EW_ARRAY_LEN(words); w++) {
            size_t n = strlen(words[w]);
            if (text[i] == words[w][0] && len - i >= n &&
                memcmp(text + i, words[w], n) == 0) {
                ew_buf_add_n(out, text + plain, i - plain);
                ew_buf_add(out, "null");
                plain = i + n;
                i = plain - 1;
                break;
            }
        }
    }
    ew_buf_add_n(out, text + plain, len - plain);
}

const char *ew_file_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

json_t *ew_file_json(const char *path, struct ew_err *err)
{
    struct ew_buf raw = {0};
    struct ew_buf text = {0};
    json_t *root = NULL;
    if (ew_file_read(&raw, path, err)) {
        replace_nan(&text, ew_buf_str(&raw), raw.len);
        root =
            ew_json_parse(ew_buf_str(&text), text.len, ew_file_name(path), err);
    }
    ew_buf_finish(&raw);
    ew_buf_finish(&text);
    return root;
}

struct ew_graph *ew_file_graph(const struct ew_graph_spec *spec,
                               const char *where, struct ew_err *err)
{
    struct ew_graph *g = ew_graph_create(spec, err);
    if (!g) {
        ew_fail_prefix(err, "%s", where);
    } else if (ew_graph_n_edges(g) > max_file_edges) {
        ew_fail(err, EW_ERR_INPUT,
                "%s: %d layers of %d heads make %u edges, more than the %u "
                "that a file may ask for",
                where, spec->n_layers, spec->n_heads,
                (unsigned)ew_graph_n_edges(g), (unsigned)max_file_edges);
        ew_graph_destroy(g);
        g = NULL;
    }
    return g;
}
