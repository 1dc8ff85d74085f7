/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a circuit. Nothing in a file is trusted: every number is checked
 * against its range, every name against the graph, and a message names the
 * file, the field, what was expected and what was found.
 */
#include <assert.h>
#include <ctype.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/circuit.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"

#include "internal.h"

struct reader {
    const char *name; /* of the file */
    const json_t *root;
    struct ew_err *err;
};

static bool expected(const struct reader *in, const char *where,
                     const char *what, const json_t *found)
{
    return ew_fail(in->err, EW_ERR_INPUT, "%s: %s: expected %s, found %s",
                   in->name, where, what, ew_json_kind(found));
}

/* ---- the graph ---- */

static bool read_positive(const struct reader *in, const json_t *cfg,
                          const char *key, int *out)
{
    int64_t value = 0;
    char *where = ew_xasprintf("%s: cfg", in->name);
    bool ok = ew_json_int(cfg, where, key, &value, in->err);
    free(where);
    if (ok && (value < 1 || value > INT_MAX)) {
        ok = json_object_get(cfg, key)
                 ? ew_fail(in->err, EW_ERR_INPUT,
                           "%s: cfg: %s: expected 1 or more, found %lld",
                           in->name, key, (long long)value)
                 : ew_fail(in->err, EW_ERR_INPUT,
                           "%s: cfg: %s: expected an integer, found nothing",
                           in->name, key);
    }
    *out = (int)value;
    return ok;
}

static bool read_cfg(const struct reader *in, struct ew_graph_spec *spec)
{
    const json_t *cfg = json_object_get(in->root, "cfg");
    if (!json_is_object(cfg)) {
        return expected(in, "cfg", "an object", cfg);
    }
    char *where = ew_xasprintf("%s: cfg", in->name);
    bool ok =
        read_positive(in, cfg, "n_layers", &spec->n_layers) &&
        read_positive(in, cfg, "n_heads", &spec->n_heads) &&
        ew_json_bool(cfg, where, "parallel_attn_mlp", &spec->parallel, in->err);
    free(where);
    return ok;
}

static bool is_mlp_name(const char *name)
{
    return name[0] == 'm' && isdigit((unsigned char)name[1]);
}

static bool is_split_name(const char *name)
{
    return strncmp(name, "tok", 3) == 0 || strncmp(name, "pos", 3) == 0;
}

/* What cfg does not say: are there MLPs, is the embedding split? Any name
 * of such a node tells, in "nodes" or as an end of an edge. */
static void learn_from_name(struct ew_graph_spec *spec, const char *name)
{
    const char *arrow = strstr(name, "->");
    spec->has_mlp = spec->has_mlp || is_mlp_name(name) ||
                    (arrow && is_mlp_name(arrow + strlen("->")));
    spec->split_embed = spec->split_embed || is_split_name(name);
}

static const char *entry_name(const json_t *entry)
{
    const char *name = json_is_object(entry)
                           ? json_string_value(json_object_get(entry, "edge"))
                           : json_string_value(entry);
    return name ? name : "";
}

static void learn_from_names(const struct reader *in, const char *field,
                             struct ew_graph_spec *spec)
{
    json_t *list = json_object_get(in->root, field);
    const char *key;
    json_t *value;
    size_t i;
    json_object_foreach(list, key, value)
    {
        learn_from_name(spec, key);
    }
    json_array_foreach(list, i, value)
    {
        learn_from_name(spec, entry_name(value));
    }
}

static struct ew_graph *make_graph(const struct reader *in)
{
    struct ew_graph_spec spec = {0};
    if (!read_cfg(in, &spec)) {
        return NULL;
    }
    learn_from_names(in, "nodes", &spec);
    learn_from_names(in, "edges", &spec);
    char *where = ew_xasprintf("%s: cfg", in->name);
    struct ew_graph *g = ew_file_graph(&spec, where, in->err);
    free(where);
    return g;
}

/* With a graph given, a cfg in the file must agree with it. */
static bool check_graph(const struct reader *in, const struct ew_graph *g)
{
    const struct ew_graph_spec *model = ew_graph_spec(g);
    struct ew_graph_spec file = {.parallel = model->parallel};
    if (!json_object_get(in->root, "cfg")) {
        return true;
    }
    if (!read_cfg(in, &file)) {
        return false;
    }
    const struct {
        const char *key;
        int model;
        int file;
    } fields[] = {
        {"n_layers", model->n_layers, file.n_layers},
        {"n_heads", model->n_heads, file.n_heads},
        {"parallel_attn_mlp", model->parallel, file.parallel},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(fields); i++) {
        if (fields[i].model != fields[i].file) {
            return ew_fail(in->err, EW_ERR_INPUT,
                           "%s: cfg: %s: expected %d as in the model, found "
                           "%d",
                           in->name, fields[i].key, fields[i].model,
                           fields[i].file);
        }
    }
    return true;
}

/* ---- nodes and edges ---- */

/* Only whole nodes can be in or out; EAP-IG can also mask neurons. */
static bool check_neurons(const struct reader *in, const char *name,
                          const json_t *node)
{
    const json_t *neurons = json_object_get(node, "neurons");
    size_t n = json_array_size(neurons);
    for (size_t i = 0; i < n; i++) {
        const json_t *on = json_array_get(neurons, i);
        if (!json_is_true(on) && json_number_value(on) == 0) {
            return ew_fail(in->err, EW_ERR_INPUT,
                           "%s: nodes: %s: neurons: expected all of them in "
                           "the circuit, found one left out (circuits of "
                           "neurons are not supported)",
                           in->name, name);
        }
    }
    return true;
}

static bool read_nodes(const struct reader *in, const struct ew_graph *g)
{
    json_t *nodes = json_object_get(in->root, "nodes");
    const char *name;
    json_t *node;
    if (!nodes) {
        return true;
    }
    if (!json_is_object(nodes)) {
        return expected(in, "nodes", "an object", nodes);
    }
    json_object_foreach(nodes, name, node)
    {
        uint32_t sender;
        uint32_t receiver;
        if (!ew_node_parse(g, name, &sender, &receiver, in->err)) {
            return ew_fail_prefix(in->err, "%s: nodes", in->name);
        }
        if (!check_neurons(in, name, node)) {
            return false;
        }
    }
    return true;
}

/* One edge: an object, or in short a boolean (kept) or a number (score). */
static bool read_edge(const struct reader *in, const char *field,
                      struct ew_circuit *c, enum ew_edge_kind kind,
                      const char *name, const json_t *value)
{
    uint32_t edge;
    bool keep = !json_is_false(value);
    bool scored = true;
    double score =
        json_is_number(value) ? json_number_value(value) : (double)NAN;
    if (!ew_edge_parse(c->graph, name, &edge, in->err)) {
        return ew_fail_prefix(in->err, "%s: %s", in->name, field);
    }
    if (ew_edge_kind(c->graph, edge) != kind) {
        return ew_fail(in->err, EW_ERR_INPUT, "%s: %s: %s: expected %s edge",
                       in->name, field, name,
                       kind == EW_EDGE_DIRECT ? "a direct" : "an addition");
    }
    if (json_is_object(value)) {
        char *where = ew_xasprintf("%s: %s: %s", in->name, field, name);
        bool ok = ew_json_bool(value, where, "in_graph", &keep, in->err) &&
                  ew_json_bool(value, where, "scored", &scored, in->err) &&
                  ew_json_real(value, where, "score", &score, in->err);
        free(where);
        if (!ok) {
            return false;
        }
    } else if (!json_is_boolean(value) && !json_is_number(value) &&
               !json_is_string(value)) {
        char *where = ew_xasprintf("%s: %s", field, name);
        expected(in, where, "an object", value);
        free(where);
        return false;
    }
    ew_circuit_init_edge(c, edge, keep);
    if (scored && fabs(score) <= (double)FLT_MAX) { /* false for NaN */
        ew_circuit_set_score(c, edge, (float)score);
    }
    return true;
}

static bool read_edges(const struct reader *in, const char *field,
                       struct ew_circuit *c, enum ew_edge_kind kind)
{
    json_t *edges = json_object_get(in->root, field);
    const char *name;
    json_t *value;
    size_t i;
    if (!json_is_object(edges) && !json_is_array(edges)) {
        return expected(in, field, "an object or an array", edges);
    }
    json_object_foreach(edges, name, value)
    {
        if (!read_edge(in, field, c, kind, name, value)) {
            return false;
        }
    }
    json_array_foreach(edges, i, value)
    {
        if (!read_edge(in, field, c, kind, entry_name(value), value)) {
            return false;
        }
    }
    return true;
}

/* The tools that know no direct edges mean them as part of their head. */
static void imply_direct(struct ew_circuit *c)
{
    uint32_t n_edges = ew_graph_n_edges(c->graph);
    for (uint32_t e = ew_graph_n_addition(c->graph); e < n_edges; e++) {
        uint32_t r = ew_edge_receiver(c->graph, e);
        uint32_t head = ew_graph_feeds(c->graph, r);
        ew_circuit_init_edge(c, e, c->n_out[head] > 0);
    }
}

/* ---- what is ours ---- */

static bool read_sign(const struct reader *in, const json_t *object,
                      enum ew_score_sign *out)
{
    const char *text = "unknown";
    char *where = ew_xasprintf("%s: provenance", in->name);
    bool ok = ew_json_str(object, where, "positive_score", &text, in->err);
    free(where);
    if (!ok) {
        return false;
    }
    *out = strcmp(text, "needed") == 0    ? EW_SIGN_NEEDED
           : strcmp(text, "harmful") == 0 ? EW_SIGN_HARMFUL
                                          : EW_SIGN_UNKNOWN;
    return true;
}

static bool read_provenance(const struct reader *in, struct ew_circuit *c)
{
    struct ew_provenance *p = &c->provenance;
    const json_t *object = json_object_get(in->root, "provenance");
    const struct {
        const char *key;
        char **field;
    } fields[] = {
        {"model", &p->model},
        {"model_hash", &p->model_hash},
        {"task", &p->task},
        {"task_hash", &p->task_hash},
        {"metric", &p->metric},
        {"ablation", &p->ablation},
        {"corruption", &p->corruption},
        {"scores", &p->scores},
    };
    p->sign = EW_SIGN_UNKNOWN;
    if (!object) {
        return true;
    }
    if (!json_is_object(object)) {
        return expected(in, "provenance", "an object", object);
    }
    char *where = ew_xasprintf("%s: provenance", in->name);
    bool ok =
        ew_json_real(object, where, "threshold", &p->threshold, in->err) &&
        read_sign(in, object, &p->sign);
    for (size_t i = 0; ok && i < EW_ARRAY_LEN(fields); i++) {
        const char *text = NULL;
        ok = ew_json_str(object, where, fields[i].key, &text, in->err);
        if (ok) {
            ew_provenance_set(fields[i].field, text);
        }
    }
    free(where);
    return ok;
}

static bool read_flips(const struct reader *in, const char *where,
                       const struct ew_circuit *c, const json_t *flipped,
                       uint32_t *out)
{
    for (size_t i = 0; i < json_array_size(flipped); i++) {
        const char *name = entry_name(json_array_get(flipped, i));
        if (!ew_edge_parse(c->graph, name, &out[i], in->err)) {
            return ew_fail_prefix(in->err, "%s: %s", in->name, where);
        }
    }
    return true;
}

static bool read_revision(const struct reader *in, struct ew_circuit *c,
                          size_t number, const json_t *entry)
{
    bool ok = false;
    uint32_t *changes = NULL;
    const char *what = "";
    int64_t parent = -1;
    char *where = ew_xasprintf("revisions[%zu]", number - 1);
    char *full = ew_xasprintf("%s: %s", in->name, where);
    const json_t *flipped = json_object_get(entry, "flipped");
    size_t n = json_array_size(flipped);
    if (!json_is_array(flipped)) {
        expected(in, where, "an object with an array \"flipped\"", entry);
        goto out;
    }
    if (!ew_json_str(entry, full, "what", &what, in->err) ||
        !ew_json_int(entry, full, "parent", &parent, in->err)) {
        goto out;
    }
    if (parent < 0 || parent >= (int64_t)number) {
        ew_fail(in->err, EW_ERR_INPUT,
                "%s: parent: expected 0 to %zu, found %lld", full, number - 1,
                (long long)parent);
        goto out;
    }
    changes = ew_xcalloc(n ? n : 1, sizeof(*changes));
    if (!read_flips(in, where, c, flipped, changes)) {
        goto out;
    }
    ew_circuit_add_revision(c, what, (uint32_t)parent, changes, n);
    changes = NULL;
    ok = true;
out:
    free(changes);
    free(where);
    free(full);
    return ok;
}

/* The edges are the state at "revision"; the flips lead to all others. */
static bool read_journal(const struct reader *in, struct ew_circuit *c)
{
    const json_t *list = json_object_get(in->root, "revisions");
    int64_t now = 0;
    if (!list) {
        return true;
    }
    if (!json_is_array(list)) {
        return expected(in, "revisions", "an array", list);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!read_revision(in, c, i + 1, json_array_get(list, i))) {
            return false;
        }
    }
    if (!ew_json_int(in->root, in->name, "revision", &now, in->err)) {
        return false;
    }
    if (now < 0 || now >= (int64_t)c->n_revisions) {
        return ew_fail(in->err, EW_ERR_INPUT,
                       "%s: revision: expected 0 to %zu, found %lld", in->name,
                       c->n_revisions - 1, (long long)now);
    }
    c->now = (uint32_t)now;
    return true;
}

/* ---- the whole ---- */

static bool read_all(const struct reader *in, struct ew_circuit *c)
{
    const json_t *cfg = json_object_get(in->root, "cfg");
    uint32_t n_edges = ew_graph_n_edges(c->graph);
    for (uint32_t e = 0; e < n_edges; e++) {
        ew_circuit_init_edge(c, e, false);
    }
    if (!read_nodes(in, c->graph) ||
        !read_edges(in, "edges", c, EW_EDGE_ADDITION)) {
        return false;
    }
    if (!json_object_get(in->root, "direct")) {
        imply_direct(c);
    } else if (!read_edges(in, "direct", c, EW_EDGE_DIRECT)) {
        return false;
    }
    return ew_json_int(cfg, in->name, "d_model", &c->provenance.d_model,
                       in->err) &&
           read_provenance(in, c) && read_journal(in, c);
}

static bool check_root(const struct reader *in)
{
    const json_t *n_pos = json_object_get(in->root, "n_pos");
    if (!json_is_object(in->root)) {
        return ew_fail(in->err, EW_ERR_INPUT,
                       "%s: expected a circuit (an object), found %s", in->name,
                       ew_json_kind(in->root));
    }
    if (n_pos && !json_is_null(n_pos)) {
        return expected(in, "n_pos",
                        "null (circuits with one node per position are not "
                        "supported)",
                        n_pos);
    }
    return true;
}

struct ew_circuit *ew_circuit_from_json(const json_t *root, const char *name,
                                        const struct ew_graph *g,
                                        struct ew_graph **made,
                                        struct ew_err *err)
{
    struct ew_graph *own = NULL;
    struct ew_circuit *c = NULL;
    const struct reader in = {.name = name, .root = root, .err = err};
    assert(g || made);
    if (made) {
        *made = NULL;
    }
    if (!check_root(&in)) {
        return NULL;
    }
    if (!g) {
        own = make_graph(&in);
        g = own;
    } else if (!check_graph(&in, g)) {
        return NULL;
    }
    if (!g) {
        return NULL;
    }
    c = ew_circuit_create(g);
    if (!read_all(&in, c)) {
        ew_circuit_destroy(c);
        c = NULL;
    }
    if (c && own) {
        *made = own;
    } else {
        ew_graph_destroy(own);
    }
    return c;
}

struct ew_circuit *ew_circuit_load(const char *path, const struct ew_graph *g,
                                   struct ew_graph **made, struct ew_err *err)
{
    const char *name = ew_file_name(path);
    json_t *root = ew_file_json(path, err);
    struct ew_circuit *c = NULL;
    if (made) {
        *made = NULL;
    }
    if (root) {
        c = ew_circuit_from_json(root, name, g, made, err);
    }
    json_decref(root);
    return c;
}
