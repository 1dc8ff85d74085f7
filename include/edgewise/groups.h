/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of nodes: a name, a colour and a note for some of the heads and
 * MLPs, given by the user or read from a file of labels, such as the shipped
 * ones of published circuits. A node is in one group at most. Not
 * thread-safe.
 */
#ifndef EW_GROUPS_H
#define EW_GROUPS_H

#include "edgewise/err.h"
#include "edgewise/graph.h"

EW_BEGIN_DECLS

/* Eight colours that colour-blind people can tell apart (Paul Tol's). */
enum ew_group_colour {
    EW_GROUP_BLUE,
    EW_GROUP_CYAN,
    EW_GROUP_GREEN,
    EW_GROUP_YELLOW,
    EW_GROUP_RED,
    EW_GROUP_PURPLE,
    EW_GROUP_ORANGE,
    EW_GROUP_GREY,
    EW_N_GROUP_COLOURS
};
const char *ew_group_colour_name(enum ew_group_colour colour);
const char *ew_group_colour_hex(enum ew_group_colour colour); /* "#4477aa" */
bool ew_group_colour_parse(const char *name, enum ew_group_colour *out);

struct ew_group {
    char *name;
    char *short_name; /* two or three letters */
    char *note;       /* "" when there is none */
    enum ew_group_colour colour;
};

struct ew_groups; /* opaque */

/* None. `g` is borrowed. */
struct ew_groups *ew_groups_create(const struct ew_graph *g);
struct ew_groups *ew_groups_clone(const struct ew_groups *groups);
void ew_groups_destroy(struct ew_groups *groups); /* NULL is fine */

/*
 * Path of a label file: a file, or the name of a shipped one ("ioi"). free()
 * it; NULL with EW_ERR_INPUT. Names of the shipped ones: ew_groups_shipped(),
 * NULL after the last.
 */
char *ew_groups_locate(const char *name, struct ew_err *err);
const char *ew_groups_shipped(int i);
/*
 * Read a label file: {title, source, n_layers, n_heads, groups: [{name,
 * short, colour, note, nodes: [names]}]}; all but groups, name and nodes may
 * be missing. EW_ERR_INPUT names the field: a node that the graph does not
 * have, labels for another shape.
 */
struct ew_groups *ew_groups_load(const char *path, const struct ew_graph *g,
                                 struct ew_err *err);
/* What a label file has. Text to free(). */
char *ew_groups_to_json(const struct ew_groups *groups);

size_t ew_groups_n(const struct ew_groups *groups);
const struct ew_group *ew_groups_get(const struct ew_groups *groups, size_t i);
const char *ew_groups_title(const struct ew_groups *groups); /* "" */
const char *ew_groups_source(const struct ew_groups *groups); /* "" */
/* The group of a sender; NULL when it is in none, or `groups` is NULL. */
const struct ew_group *ew_groups_of(const struct ew_groups *groups,
                                    uint32_t sender);
/* Put a sender into the group of that name, which is made if there is none;
 * "" takes it out. Returns the group, or NULL. */
struct ew_group *ew_groups_put(struct ew_groups *groups, uint32_t sender,
                               const char *name);

EW_END_DECLS

#endif
