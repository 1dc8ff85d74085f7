/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of edges by the names of their two ends, as the official ACDC code's
 * graphs and decision logs have them, and our own JSON with both ways of
 * naming. Such a file does not say what its graph is: its names do.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/buf.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"

#include "edgelist.h"
#include "internal.h"

struct reader {
    struct ew_edge_list *out;
    const char *name; /* of the file */
    json_t *holders;  /* "sender->receiver" of placeholders -> number */
    struct ew_err *err;
};

/* The ends of an entry, in ACDC's names or as two halves of a canonical one;
 * owned. */
struct ends {
    char *sender;
    char *receiver;
};

static void ends_finish(struct ends *ends)
{
    free(ends->sender);
    free(ends->receiver);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool read_ends(const struct reader *in, const char *field, size_t i,
                      const json_t *entry, struct ends *ends)
{
    const json_t *acdc = json_object_get(entry, "acdc");
    const json_t *pair = acdc ? acdc : entry;
    const char *sender = text_of(pair, "sender");
    const char *receiver = text_of(pair, "receiver");
    const char *edge = json_is_string(entry) ? json_string_value(entry)
                                             : text_of(entry, "edge");
    const char *arrow = edge ? strstr(edge, "->") : NULL;
    if (sender && receiver) {
        *ends = (struct ends){ew_xstrdup(sender), ew_xstrdup(receiver)};
        return true;
    }
    if (arrow) {
        *ends = (struct ends){ew_xstrndup(edge, (size_t)(arrow - edge)),
                              ew_xstrdup(arrow + strlen("->"))};
        return true;
    }
    return ew_fail(in->err, EW_ERR_INPUT,
                   "%s: %s[%zu]: expected an edge with \"sender\" and "
                   "\"receiver\", found %s without them",
                   in->name, field, i, ew_json_kind(entry));
}

/* ---- the graph ---- */

static bool learn(const struct reader *in, struct ew_graph_spec *spec,
                  const char *field, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        struct ends ends;
        if (json_object_get(entry, "skipped")) {
            continue; /* a node that the official code passed over */
        }
        if (!read_ends(in, field, i, entry, &ends)) {
            return false;
        }
        ew_graph_spec_learn(spec, ends.sender);
        ew_graph_spec_learn(spec, ends.receiver);
        ends_finish(&ends);
    }
    return true;
}

static void note_holder(const struct reader *in, uint32_t i)
{
    const struct ew_graph *g = in->out->graph;
    struct ew_buf name = {0};
    struct ew_buf receiver = {0};
    ew_placeholder_print(&name, g, i);
    json_object_set_new(in->holders, ew_buf_str(&name), json_integer(i));
    ew_buf_clear(&name);
    ew_placeholder_print_acdc(&receiver, &name, g, i);
    ew_buf_printf(&name, "->%s", ew_buf_str(&receiver));
    json_object_set_new(in->holders, ew_buf_str(&name), json_integer(i));
    ew_buf_finish(&name);
    ew_buf_finish(&receiver);
}

/* A sequential graph has every edge of a parallel one, and more. */
static bool make_graph(const struct reader *in, struct ew_graph_spec *spec)
{
    spec->n_layers += spec->n_layers == 0;
    spec->n_heads += spec->n_heads == 0;
    in->out->graph = ew_file_graph(spec, in->name, in->err);
    if (!in->out->graph) {
        return false;
    }
    for (uint32_t i = 0; i < ew_graph_n_placeholder(in->out->graph); i++) {
        note_holder(in, i);
    }
    return true;
}

/* ---- entries ---- */

/* EW_NONE for what names no edge of any graph; *text is then, or always,
 * what the file has. */
static uint32_t find(const struct reader *in, const struct ends *ends,
                     char **text)
{
    uint32_t id;
    const struct ew_graph *g = in->out->graph;
    *text = ew_xasprintf("%s->%s", ends->sender, ends->receiver);
    if (ew_edge_parse_acdc(g, ends->receiver, ends->sender, &id, NULL)) {
        return id;
    }
    const json_t *holder = json_object_get(in->holders, *text);
    return holder ? ew_graph_n_edges(g) + (uint32_t)json_integer_value(holder)
                  : EW_NONE;
}

static bool read_kind(const struct reader *in, const char *field, size_t i,
                      const json_t *entry, enum ew_listed_kind *kind)
{
    const json_t *value = json_object_get(entry, "kind");
    const char *text = json_string_value(value);
    if (!value) {
        return true;
    }
    for (int k = 0; text && k < EW_N_LISTED_KINDS; k++) {
        if (strcmp(text, ew_listed_kind_name((enum ew_listed_kind)k)) == 0) {
            *kind = (enum ew_listed_kind)k;
            return true;
        }
    }
    return ew_fail(in->err, EW_ERR_INPUT,
                   "%s: %s[%zu]: kind: expected addition, direct or "
                   "placeholder, found %s",
                   in->name, field, i, text ? text : ew_json_kind(value));
}

static bool read_entry(const struct reader *in, const char *field, size_t i,
                       const json_t *entry, struct ew_listed **item)
{
    struct ends ends;
    char *text = NULL;
    double score = (double)NAN;
    enum ew_listed_kind kind = EW_LISTED_ADDITION;
    if (!read_ends(in, field, i, entry, &ends)) {
        return false;
    }
    uint32_t id = find(in, &ends, &text);
    ends_finish(&ends);
    if (id != EW_NONE) {
        kind = ew_edge_list_kind_of(in->out->graph, id);
    }
    if (!read_kind(in, field, i, entry, &kind)) {
        free(text);
        return false;
    }
    if (id == EW_NONE) {
        *item = ew_edge_list_add(in->out, text, id, kind);
    } else {
        free(text);
        *item = ew_edge_list_add_id(in->out, id);
        (*item)->kind = kind;
    }
    if (json_is_object(entry)) {
        char *where = ew_xasprintf("%s: %s[%zu]", in->name, field, i);
        bool ok = ew_json_real(entry, where, "effect", &score, in->err) &&
                  ew_json_real(entry, where, "score", &score, in->err);
        free(where);
        (*item)->score = (float)score;
        return ok;
    }
    return true;
}

static bool read_list(const struct reader *in, const char *field,
                      const json_t *list)
{
    bool any_kind = false;
    bool *lists = in->out->lists;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        struct ew_listed *item;
        if (!read_entry(in, field, i, entry, &item)) {
            return false;
        }
        lists[item->kind] = true;
        any_kind = any_kind || json_object_get(entry, "kind");
    }
    /* A list that tells inner edges from others has all of them. */
    if (any_kind && (lists[EW_LISTED_DIRECT] || lists[EW_LISTED_PLACEHOLDER])) {
        lists[EW_LISTED_DIRECT] = lists[EW_LISTED_PLACEHOLDER] = true;
    }
    lists[EW_LISTED_ADDITION] = true;
    return true;
}

bool ew_edge_list_read_array(struct ew_edge_list *out, const json_t *root,
                             const char *name, struct ew_err *err)
{
    struct ew_graph_spec spec = {0};
    struct reader in = {
        .out = out, .name = name, .holders = json_object(), .err = err};
    out->format = "edge list";
    bool ok = learn(&in, &spec, "", root) && make_graph(&in, &spec) &&
              read_list(&in, "", root);
    json_decref(in.holders);
    return ok;
}

/* Has an entry been listed already? */
static bool seen(const struct reader *in, const json_t *listed, size_t i,
                 const json_t *entry)
{
    struct ends ends;
    char *text = NULL;
    bool found = false;
    if (read_ends(in, "decisions", i, entry, &ends)) {
        uint32_t id = find(in, &ends, &text);
        const char *name = text;
        struct ew_buf canonical = {0};
        if (id < ew_graph_n_edges(in->out->graph)) {
            ew_edge_print(&canonical, in->out->graph, id, EW_NAMES_CANONICAL);
            name = ew_buf_str(&canonical);
        }
        found = json_object_get(listed, name) != NULL;
        ew_buf_finish(&canonical);
        ends_finish(&ends);
    }
    free(text);
    return found;
}

/* Edges that were tested but are not left: they have an effect. */
static bool read_removed(const struct reader *in, const json_t *decisions)
{
    json_t *listed = json_object();
    bool ok = true;
    for (size_t i = 0; i < in->out->n; i++) {
        json_object_set_new(listed, in->out->items[i].name, json_true());
    }
    for (size_t i = 0; ok && i < json_array_size(decisions); i++) {
        const json_t *entry = json_array_get(decisions, i);
        struct ew_listed *item;
        if (json_object_get(entry, "skipped") || seen(in, listed, i, entry)) {
            continue;
        }
        ok = read_entry(in, "decisions", i, entry, &item);
        if (ok) {
            item->kept = false;
        }
    }
    json_decref(listed);
    return ok;
}

bool ew_edge_list_read_log(struct ew_edge_list *out, const json_t *root,
                           const char *name, struct ew_err *err)
{
    struct ew_graph_spec spec = {0};
    struct reader in = {
        .out = out, .name = name, .holders = json_object(), .err = err};
    const json_t *decisions = json_object_get(root, "decisions");
    const json_t *final = json_object_get(root, "final_edges");
    bool ok = true;
    out->format = "decision log";
    out->sign = EW_SIGN_NEEDED; /* effect = metric without it - with it */
    if (!json_is_array(decisions) || !json_is_array(final)) {
        ok = ew_fail(err, EW_ERR_INPUT, "%s: %s: expected an array, found %s",
                     name, json_is_array(final) ? "decisions" : "final_edges",
                     ew_json_kind(json_is_array(final) ? decisions : final));
    }
    ok = ok && learn(&in, &spec, "decisions", decisions) &&
         learn(&in, &spec, "final_edges", final) && make_graph(&in, &spec) &&
         read_list(&in, "final_edges", final) && read_removed(&in, decisions);
    for (int k = 0; k < EW_N_LISTED_KINDS; k++) {
        out->lists[k] = true; /* even where none is left */
    }
    json_decref(in.holders);
    return ok;
}
