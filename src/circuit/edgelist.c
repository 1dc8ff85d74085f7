/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of edges: from a graph, from a circuit, and which reader a file
 * needs.
 */
#include "edgewise/edgelist.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/buf.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"

#include "edgelist.h"
#include "internal.h"

const char *ew_listed_kind_name(enum ew_listed_kind kind)
{
    static const char *const names[EW_N_LISTED_KINDS] = {
        [EW_LISTED_ADDITION] = "addition",
        [EW_LISTED_DIRECT] = "direct",
        [EW_LISTED_PLACEHOLDER] = "placeholder",
    };
    return names[kind];
}

void ew_edge_list_finish(struct ew_edge_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].name);
    }
    free(list->items);
    ew_graph_destroy(list->graph);
    *list = (struct ew_edge_list){0};
}

/* ---- filling ---- */

enum ew_listed_kind ew_edge_list_kind_of(const struct ew_graph *g, uint32_t id)
{
    return id < ew_graph_n_addition(g) ? EW_LISTED_ADDITION
           : id < ew_graph_n_edges(g)  ? EW_LISTED_DIRECT
                                       : EW_LISTED_PLACEHOLDER;
}

static int layer_of(const struct ew_graph *g, uint32_t id)
{
    if (id == EW_NONE) {
        return EW_LAYER_UNKNOWN;
    }
    uint32_t n_edges = ew_graph_n_edges(g);
    uint32_t r = id < n_edges ? ew_edge_receiver(g, id) : id - n_edges;
    return ew_graph_receiver(g, r).layer; /* -1 for logits */
}

struct ew_listed *ew_edge_list_add(struct ew_edge_list *list, char *name,
                                   uint32_t id, enum ew_listed_kind kind)
{
    list->items =
        ew_grow(list->items, list->n, &list->cap, sizeof(*list->items));
    struct ew_listed *item = &list->items[list->n++];
    *item = (struct ew_listed){
        .name = name,
        .kind = kind,
        .kept = true,
        .score = NAN,
        .layer = layer_of(list->graph, id),
        .id = id,
    };
    return item;
}

struct ew_listed *ew_edge_list_add_id(struct ew_edge_list *list, uint32_t id)
{
    const struct ew_graph *g = list->graph;
    uint32_t n_edges = ew_graph_n_edges(g);
    struct ew_buf name = {0};
    if (id < n_edges) {
        ew_edge_print(&name, g, id, EW_NAMES_CANONICAL);
    } else {
        ew_placeholder_print(&name, g, id - n_edges);
    }
    return ew_edge_list_add(list, ew_buf_steal(&name), id,
                            ew_edge_list_kind_of(g, id));
}

void ew_edge_list_of_graph(struct ew_edge_list *out, struct ew_graph *g)
{
    *out = (struct ew_edge_list){
        .format = "graph", .graph = g, .lists = {true, true, true}};
    uint32_t n = ew_graph_n_edges(g) + ew_graph_n_placeholder(g);
    for (uint32_t id = 0; id < n; id++) {
        ew_edge_list_add_id(out, id);
    }
}

void ew_edge_list_keep_all(struct ew_edge_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        list->items[i].kept = true;
    }
}

/* ---- circuits ---- */

static void note_listed(struct ew_bitset *listed, const struct ew_graph *g,
                        const char *name)
{
    uint32_t edge;
    if (name && ew_edge_parse(g, name, &edge, NULL)) {
        ew_bitset_put(listed, edge, true);
    }
}

/* The edges that a file names, of those its graph has. */
static void find_listed(struct ew_bitset *listed, const struct ew_graph *g,
                        json_t *edges)
{
    const char *name;
    json_t *value;
    size_t i;
    json_object_foreach(edges, name, value)
    {
        note_listed(listed, g, name);
    }
    json_array_foreach(edges, i, value)
    {
        note_listed(listed, g,
                    json_is_string(value)
                        ? json_string_value(value)
                        : json_string_value(json_object_get(value, "edge")));
    }
}

/* Cut edges are listed too: they may have a score. */
bool ew_edge_list_read_circuit(struct ew_edge_list *out, const json_t *root,
                               const char *name, struct ew_err *err)
{
    struct ew_graph *g = NULL;
    struct ew_circuit *c = ew_circuit_from_json(root, name, NULL, &g, err);
    if (!c) {
        return false;
    }
    json_t *direct = json_object_get(root, "direct");
    struct ew_bitset *listed = ew_bitset_create(ew_graph_n_edges(g));
    *out = (struct ew_edge_list){
        .format = "circuit",
        .graph = g,
        .lists = {true, direct != NULL, false},
        .sign = ew_circuit_get_provenance(c)->sign,
    };
    find_listed(listed, g, json_object_get(root, "edges"));
    find_listed(listed, g, direct);
    for (size_t e = ew_bitset_next(listed, 0); e < ew_bitset_size(listed);
         e = ew_bitset_next(listed, e + 1)) {
        struct ew_listed *item = ew_edge_list_add_id(out, (uint32_t)e);
        item->kept = ew_circuit_has(c, (uint32_t)e);
        item->score = ew_circuit_score(c, (uint32_t)e);
    }
    ew_bitset_destroy(listed);
    ew_circuit_destroy(c);
    return true;
}

/* ---- files ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool check_unique(const struct ew_edge_list *list, const char *name,
                         struct ew_err *err)
{
    const char **names = ew_xcalloc(list->n + 1, sizeof(*names));
    for (size_t i = 0; i < list->n; i++) {
        names[i] = list->items[i].name;
    }
    qsort(names, list->n, sizeof(*names), by_name);
    bool ok = true;
    for (size_t i = 1; ok && i < list->n; i++) {
        if (strcmp(names[i], names[i - 1]) == 0) {
            ok = ew_fail(err, EW_ERR_INPUT, "%s: %s is listed twice", name,
                         names[i]);
        }
    }
    free(names);
    return ok;
}

static bool read_any(struct ew_edge_list *out, const json_t *root,
                     const char *name, struct ew_err *err)
{
    if (json_is_array(root)) {
        return ew_edge_list_read_array(out, root, name, err);
    }
    if (json_object_get(root, "decisions")) {
        return ew_edge_list_read_log(out, root, name, err);
    }
    if (json_object_get(root, "edges")) {
        return ew_edge_list_read_circuit(out, root, name, err);
    }
    return ew_fail(err, EW_ERR_INPUT,
                   "%s: expected a circuit, a list of edges or a decision "
                   "log, found %s%s",
                   name, ew_json_kind(root),
                   json_is_object(root) ? " without \"edges\" or "
                                          "\"decisions\""
                                        : "");
}

bool ew_edge_list_load(struct ew_edge_list *out, const char *path,
                       struct ew_err *err)
{
    const char *name = ew_file_name(path);
    json_t *root = ew_file_json(path, err);
    *out = (struct ew_edge_list){0};
    bool ok =
        root && read_any(out, root, name, err) && check_unique(out, name, err);
    json_decref(root);
    if (!ok) {
        ew_edge_list_finish(out);
    }
    return ok;
}
