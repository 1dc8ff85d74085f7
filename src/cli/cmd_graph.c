/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise graph`: nodes, edges and how many there are. The config is
 * enough: no weights are read and no libtorch is loaded.
 */
#include "edgewise/names.h"

#include "open.h"

static void print_counts(const struct ew_graph *g, bool json)
{
    uint32_t addition = ew_graph_n_addition(g);
    const struct {
        const char *name;
        uint32_t n;
        const char *what;
    } rows[] = {
        {"addition", addition, "sender -> receiver, through the residual"},
        {"direct", ew_graph_n_direct(g), "q_in -> q, and k, v"},
        {"placeholder", ew_graph_n_placeholder(g), "structure, never cut"},
        {"acdc", ew_graph_n_edges(g), "as ACDC counts: addition and direct"},
        {"mib", addition, "as EAP-IG and MIB count: addition"},
    };
    json_t *object = json_object();
    struct cli_table table = {.n_columns = 3, .align = "lrl"};
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        if (json) {
            json_object_set_new(object, rows[i].name, json_integer(rows[i].n));
            continue;
        }
        cli_table_add(&table, rows[i].name);
        cli_table_addf(&table, "%u", rows[i].n);
        cli_table_add(&table, rows[i].what);
    }
    if (json) {
        cli_json_line(stdout, json_incref(object));
    } else {
        cli_table_print(&table, stdout);
    }
    json_decref(object);
}

static json_t *placeholder_json(const struct ew_graph *g, uint32_t index)
{
    struct ew_buf name = {0};
    struct ew_buf receiver = {0};
    struct ew_buf sender = {0};
    ew_placeholder_print(&name, g, index);
    ew_placeholder_print_acdc(&receiver, &sender, g, index);
    json_t *item =
        json_pack("{s:s, s:s, s:{s:s, s:s}}", "edge", ew_buf_str(&name), "kind",
                  "placeholder", "acdc", "receiver", ew_buf_str(&receiver),
                  "sender", ew_buf_str(&sender));
    ew_buf_finish(&name);
    ew_buf_finish(&receiver);
    ew_buf_finish(&sender);
    return item;
}

static const char *kind_name(const struct ew_graph *g, uint32_t edge)
{
    return ew_edge_kind(g, edge) == EW_EDGE_DIRECT ? "direct" : "addition";
}

static void print_edges_json(const struct ew_graph *g)
{
    struct cli_array array;
    cli_array_open(&array, stdout, 15);
    for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
        json_t *edge = json_object();
        cli_json_edge(edge, g, e);
        json_t *item = json_pack(
            "{s:O, s:s, s:O}", "edge", json_object_get(edge, "edge"), "kind",
            kind_name(g, e), "acdc", json_object_get(edge, "acdc"));
        json_decref(edge);
        cli_array_item(&array, item);
    }
    for (uint32_t i = 0; i < ew_graph_n_placeholder(g); i++) {
        cli_array_item(&array, placeholder_json(g, i));
    }
    cli_array_close(&array);
}

static void print_edges(const struct ew_graph *g)
{
    struct ew_buf name = {0};
    for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
        ew_buf_clear(&name);
        ew_edge_print(&name, g, e, EW_NAMES_CANONICAL);
        printf("%-26s  %s\n", ew_buf_str(&name), kind_name(g, e));
    }
    for (uint32_t i = 0; i < ew_graph_n_placeholder(g); i++) {
        ew_buf_clear(&name);
        ew_placeholder_print(&name, g, i);
        printf("%-26s  placeholder\n", ew_buf_str(&name));
    }
    ew_buf_finish(&name);
}

typedef void (*print_fn)(struct ew_buf *out, const struct ew_graph *g,
                         uint32_t node, enum ew_dialect dialect);

static json_t *node_json(const struct ew_graph *g, uint32_t number,
                         struct ew_node node, bool sender)
{
    print_fn print = sender ? ew_sender_print : ew_receiver_print;
    struct ew_buf name = {0};
    struct ew_buf acdc = {0};
    print(&name, g, number, EW_NAMES_CANONICAL);
    print(&acdc, g, number, EW_NAMES_ACDC);
    json_t *item =
        json_pack("{s:s, s:s, s:s}", "node", ew_buf_str(&name), "role",
                  sender ? "sender" : "receiver", "acdc", ew_buf_str(&acdc));
    json_object_set_new(
        item, "layer", node.layer < 0 ? json_null() : json_integer(node.layer));
    json_object_set_new(item, "head",
                        node.head < 0 ? json_null() : json_integer(node.head));
    ew_buf_finish(&name);
    ew_buf_finish(&acdc);
    return item;
}

static void print_nodes(const struct ew_graph *g, bool json)
{
    struct cli_array array = {.out = stdout};
    struct cli_table table = {.n_columns = 3, .align = "lll"};
    uint32_t n_senders = ew_graph_n_senders(g);
    uint32_t n = n_senders + ew_graph_n_receivers(g);
    if (json) {
        cli_array_open(&array, stdout, 15);
    }
    for (uint32_t i = 0; i < n; i++) {
        bool sender = i < n_senders;
        uint32_t number = sender ? i : i - n_senders;
        json_t *item = node_json(g, number,
                                 sender ? ew_graph_sender(g, number)
                                        : ew_graph_receiver(g, number),
                                 sender);
        if (json) {
            cli_array_item(&array, item);
            continue;
        }
        static const char *const keys[] = {"node", "role", "acdc"};
        for (size_t k = 0; k < EW_ARRAY_LEN(keys); k++) {
            cli_table_add(&table,
                          json_string_value(json_object_get(item, keys[k])));
        }
        json_decref(item);
    }
    if (json) {
        cli_array_close(&array);
    } else {
        cli_table_print(&table, stdout);
    }
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    if (opts->nodes + opts->edges + opts->counts > 1) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--nodes, --edges and --counts exclude each other");
    }
    struct cli_open open = {0};
    bool ok = cli_open_graph(&open, opts, err);
    if (ok && opts->nodes) {
        print_nodes(open.graph, opts->json);
    } else if (ok && opts->edges && opts->json) {
        print_edges_json(open.graph);
    } else if (ok && opts->edges) {
        print_edges(open.graph);
    } else if (ok) {
        print_counts(open.graph, opts->json);
    }
    cli_close(&open);
    return ok;
}

// clang-format off
static const struct cli_option own_options[] = {
    {"counts", 0, CLI_FLAG, CLI_AT(counts), 0, NULL,
     "how many edges of each kind (the default)"},
    {"edges", 0, CLI_FLAG, CLI_AT(edges), 0, NULL, "every edge and its kind"},
    {"nodes", 0, CLI_FLAG, CLI_AT(nodes), 0, NULL,
     "every sender and receiver"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {
    own_options, cli_options_split, cli_options_common, NULL};

const struct cli_command cli_graph = {
    .name = "graph",
    .args = "[options] MODEL",
    .help = "list the nodes and edges of a model's graph; config.json is "
            "enough",
    .max_args = 1,
    .options = options,
    .run = run,
};
