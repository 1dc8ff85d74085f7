/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of nodes, and files of labels. */
#include "edgewise/groups.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"
#include "edgewise/path.h"

struct ew_groups {
    const struct ew_graph *graph;
    char *title, *source;
    struct ew_group **items; /* owned */
    size_t n, cap;
    struct ew_group **of; /* (n_senders) borrowed from items; NULL: none */
};

static const struct {
    const char *name, *hex;
} colours[EW_N_GROUP_COLOURS] = {
    [EW_GROUP_BLUE] = {"blue", "#4477aa"},
    [EW_GROUP_CYAN] = {"cyan", "#66ccee"},
    [EW_GROUP_GREEN] = {"green", "#228833"},
    [EW_GROUP_YELLOW] = {"yellow", "#ccbb44"},
    [EW_GROUP_RED] = {"red", "#ee6677"},
    [EW_GROUP_PURPLE] = {"purple", "#aa3377"},
    [EW_GROUP_ORANGE] = {"orange", "#ee8866"},
    [EW_GROUP_GREY] = {"grey", "#bbbbbb"},
};

static const char *const shipped[] = {"ioi", "greater-than", "docstring"};

const char *ew_group_colour_name(enum ew_group_colour colour)
{
    return colours[colour].name;
}

const char *ew_group_colour_hex(enum ew_group_colour colour)
{
    return colours[colour].hex;
}

bool ew_group_colour_parse(const char *name, enum ew_group_colour *out)
{
    for (int i = 0; i < EW_N_GROUP_COLOURS; i++) {
        if (strcmp(colours[i].name, name) == 0) {
            *out = (enum ew_group_colour)i;
            return true;
        }
    }
    return false;
}

/* ---- life ---- */

struct ew_groups *ew_groups_create(const struct ew_graph *g)
{
    struct ew_groups *groups = ew_xcalloc(1, sizeof(*groups));
    groups->graph = g;
    groups->title = ew_xstrdup("");
    groups->source = ew_xstrdup("");
    groups->of =
        ew_xcalloc(ew_graph_n_senders(g) + 1, sizeof(struct ew_group *));
    return groups;
}

static void free_group(struct ew_group *group)
{
    free(group->name);
    free(group->short_name);
    free(group->note);
    free(group);
}

void ew_groups_destroy(struct ew_groups *groups)
{
    if (!groups) {
        return;
    }
    for (size_t i = 0; i < groups->n; i++) {
        free_group(groups->items[i]);
    }
    free(groups->items);
    free(groups->of);
    free(groups->title);
    free(groups->source);
    free(groups);
}

static void replace(char **field, const char *text)
{
    char *copy = ew_xstrdup(text);
    free(*field);
    *field = copy;
}

struct ew_groups *ew_groups_clone(const struct ew_groups *groups)
{
    struct ew_groups *out = ew_groups_create(groups->graph);
    replace(&out->title, groups->title);
    replace(&out->source, groups->source);
    for (uint32_t s = 0; s < ew_graph_n_senders(groups->graph); s++) {
        const struct ew_group *from = groups->of[s];
        if (from) {
            struct ew_group *to = ew_groups_put(out, s, from->name);
            replace(&to->short_name, from->short_name);
            replace(&to->note, from->note);
            to->colour = from->colour;
        }
    }
    return out;
}

/* ---- groups ---- */

size_t ew_groups_n(const struct ew_groups *groups)
{
    return groups ? groups->n : 0;
}

const struct ew_group *ew_groups_get(const struct ew_groups *groups, size_t i)
{
    return groups->items[i];
}

const char *ew_groups_title(const struct ew_groups *groups)
{
    return groups->title;
}

const char *ew_groups_source(const struct ew_groups *groups)
{
    return groups->source;
}

const struct ew_group *ew_groups_of(const struct ew_groups *groups,
                                    uint32_t sender)
{
    return groups ? groups->of[sender] : NULL;
}

/* Append the character (UTF-8) that begins there, a letter as a capital;
 * where the next one begins. */
static const char *add_character(struct ew_buf *out, const char *text)
{
    const char *next = text + (*text != '\0');
    while ((*next & 0xc0) == 0x80) {
        next++;
    }
    if (next == text + 1) {
        ew_buf_putc(out, (char)toupper((unsigned char)*text));
    } else {
        ew_buf_add_n(out, text, (size_t)(next - text));
    }
    return next;
}

/* "name mover" -> "NM", "late" -> "LA" */
static char *make_short(const char *name)
{
    struct ew_buf out = {0};
    const char *space = strchr(name, ' ');
    const char *second = add_character(&out, name);
    add_character(&out, space ? space + 1 : second);
    return ew_buf_steal(&out);
}

/* The first colour that no group has. */
static enum ew_group_colour free_colour(const struct ew_groups *groups)
{
    for (int c = 0; c < EW_N_GROUP_COLOURS; c++) {
        bool used = false;
        for (size_t i = 0; i < groups->n; i++) {
            used |= (int)groups->items[i]->colour == c;
        }
        if (!used) {
            return (enum ew_group_colour)c;
        }
    }
    return EW_GROUP_GREY;
}

static struct ew_group *find_or_add(struct ew_groups *groups, const char *name)
{
    for (size_t i = 0; i < groups->n; i++) {
        if (strcmp(groups->items[i]->name, name) == 0) {
            return groups->items[i];
        }
    }
    struct ew_group *group = ew_xcalloc(1, sizeof(*group));
    group->name = ew_xstrdup(name);
    group->short_name = make_short(name);
    group->note = ew_xstrdup("");
    group->colour = free_colour(groups);
    groups->items = ew_grow(groups->items, groups->n, &groups->cap,
                            sizeof(struct ew_group *));
    groups->items[groups->n++] = group;
    return group;
}

struct ew_group *ew_groups_put(struct ew_groups *groups, uint32_t sender,
                               const char *name)
{
    groups->of[sender] = *name ? find_or_add(groups, name) : NULL;
    return groups->of[sender];
}

/* ---- files ---- */

const char *ew_groups_shipped(int i)
{
    return i < (int)EW_ARRAY_LEN(shipped) ? shipped[i] : NULL;
}

char *ew_groups_locate(const char *name, struct ew_err *err)
{
    if (ew_path_is_file(name)) {
        return ew_xstrdup(name);
    }
    char *asset = ew_xasprintf("labels/%s.json", name);
    char *path = strchr(name, '/') ? NULL : ew_asset_path(asset);
    free(asset);
    if (!path) {
        ew_fail(err, EW_ERR_INPUT,
                "%s: no such file, and no shipped labels: those are ioi, "
                "greater-than and docstring",
                name);
    }
    return path;
}

static bool read_nodes(struct ew_groups *groups, const json_t *nodes,
                       const char *where, struct ew_group *group,
                       struct ew_err *err)
{
    size_t i;
    json_t *value;
    if (!json_is_array(nodes)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s.nodes: expected an array, found %s", where,
                       ew_json_kind(nodes));
    }
    json_array_foreach(nodes, i, value)
    {
        uint32_t sender;
        uint32_t receiver;
        struct ew_err why = {0};
        if (!json_is_string(value) ||
            !ew_node_parse(groups->graph, json_string_value(value), &sender,
                           &receiver, &why) ||
            sender == EW_NONE) {
            return ew_fail(err, EW_ERR_INPUT, "%s.nodes[%zu]: %s", where, i,
                           !json_is_string(value) ? "expected a node's name"
                           : why.code != EW_OK    ? why.message
                                                  : "it sends nothing");
        }
        groups->of[sender] = group;
    }
    return true;
}

static bool read_group(struct ew_groups *groups, const json_t *object,
                       const char *where, struct ew_err *err)
{
    const char *name = NULL;
    const char *short_name = NULL;
    const char *colour = NULL;
    const char *note = NULL;
    if (!ew_json_str(object, where, "name", &name, err) ||
        !ew_json_str(object, where, "short", &short_name, err) ||
        !ew_json_str(object, where, "colour", &colour, err) ||
        !ew_json_str(object, where, "note", &note, err)) {
        return false;
    }
    if (!name || !*name) {
        return ew_fail(err, EW_ERR_INPUT, "%s: name: missing", where);
    }
    struct ew_group *group = find_or_add(groups, name);
    if (short_name) {
        replace(&group->short_name, short_name);
    }
    if (note) {
        replace(&group->note, note);
    }
    if (colour && !ew_group_colour_parse(colour, &group->colour)) {
        return ew_fail(err, EW_ERR_INPUT, "%s: colour: no colour '%s'", where,
                       colour);
    }
    return read_nodes(groups, json_object_get(object, "nodes"), where, group,
                      err);
}

static bool fits(const struct ew_groups *groups, const json_t *root,
                 const char *path, struct ew_err *err)
{
    const struct ew_graph_spec *spec = ew_graph_spec(groups->graph);
    int64_t layers = spec->n_layers;
    int64_t heads = spec->n_heads;
    if (!ew_json_int(root, path, "n_layers", &layers, err) ||
        !ew_json_int(root, path, "n_heads", &heads, err)) {
        return false;
    }
    if (layers != spec->n_layers || heads != spec->n_heads) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: labels for %lld layers of %lld heads, the model "
                       "has %d of %d",
                       path, (long long)layers, (long long)heads,
                       spec->n_layers, spec->n_heads);
    }
    return true;
}

static bool read_root(struct ew_groups *groups, const json_t *root,
                      const char *path, struct ew_err *err)
{
    const char *title = NULL;
    const char *source = NULL;
    const json_t *items = json_object_get(root, "groups");
    if (!fits(groups, root, path, err) ||
        !ew_json_str(root, path, "title", &title, err) ||
        !ew_json_str(root, path, "source", &source, err)) {
        return false;
    }
    if (!json_is_array(items)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: groups: expected an array, "
                       "found %s",
                       path, ew_json_kind(items));
    }
    replace(&groups->title, title ? title : "");
    replace(&groups->source, source ? source : "");
    bool ok = true;
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        char *where = ew_xasprintf("%s: groups[%zu]", path, i);
        ok = ok && read_group(groups, item, where, err);
        free(where);
    }
    return ok;
}

struct ew_groups *ew_groups_load(const char *path, const struct ew_graph *g,
                                 struct ew_err *err)
{
    json_t *root = ew_json_load(path, err);
    if (!root) {
        return NULL;
    }
    struct ew_groups *groups = ew_groups_create(g);
    if (!read_root(groups, root, path, err)) {
        ew_groups_destroy(groups);
        groups = NULL;
    }
    json_decref(root);
    return groups;
}

char *ew_groups_to_json(const struct ew_groups *groups)
{
    const struct ew_graph_spec *spec = ew_graph_spec(groups->graph);
    json_t *items = json_array();
    for (size_t i = 0; i < groups->n; i++) {
        const struct ew_group *group = groups->items[i];
        json_t *nodes = json_array();
        for (uint32_t s = 0; s < ew_graph_n_senders(groups->graph); s++) {
            if (groups->of[s] == group) {
                struct ew_buf name = {0};
                ew_sender_print(&name, groups->graph, s, EW_NAMES_CANONICAL);
                json_array_append_new(nodes, json_string(ew_buf_str(&name)));
                ew_buf_finish(&name);
            }
        }
        json_array_append_new(items,
                              json_pack("{s:s, s:s, s:s, s:s, s:o}", "name",
                                        group->name, "short", group->short_name,
                                        "colour", colours[group->colour].name,
                                        "note", group->note, "nodes", nodes));
    }
    json_t *root =
        json_pack("{s:s, s:s, s:i, s:i, s:o}", "title", groups->title, "source",
                  groups->source, "n_layers", spec->n_layers, "n_heads",
                  spec->n_heads, "groups", items);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text ? text : ew_xstrdup("{}");
}
