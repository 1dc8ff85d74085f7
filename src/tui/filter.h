/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter language of the edges table. Words with blanks between, all of
 * which must hold; '!' in front turns one round:
 *   kept cut marked known        the edge's state
 *   from:TEXT to:TEXT            name of that end contains TEXT
 *   kind:q (k, v, mlp, logits, direct)
 *   group:TEXT                   one of its ends is in a group whose name
 *                                contains TEXT, or whose short name it is
 *   effect>0.1 |effect|>0.1      also < >= <=
 *   TEXT                         the edge's name contains it
 */
#ifndef EW_TUI_FILTER_H
#define EW_TUI_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "edgewise/err.h"
#include "edgewise/graph.h"
#include "edgewise/groups.h"

struct ew_filter; /* opaque */

/* What is known about one edge. */
struct ew_edge_facts {
    const char *from; /* canonical names */
    const char *to;
    /* What is found about a name is remembered by these: a number above 0 for
     * every name, of senders and of receivers; 0: look each time. */
    uint32_t from_key, to_key;
    const struct ew_group *from_group, *to_group; /* NULL: none */
    enum ew_node_kind to_kind;
    bool direct;
    bool kept;
    bool marked;
    double effect; /* NaN: not known */
};

/* NULL with the reason for a word that cannot be read. "" lets all pass. */
struct ew_filter *ew_filter_parse(const char *text, struct ew_err *err);
void ew_filter_destroy(struct ew_filter *f); /* NULL is fine */
/* Only edges with `text` in their names. */
struct ew_filter *ew_filter_named(const char *text);
/* NULL lets all pass. Remembers names, hence not const. */
bool ew_filter_match(struct ew_filter *f, const struct ew_edge_facts *facts);
/* Does the answer depend on effects, which change all the time? */
bool ew_filter_uses_effects(const struct ew_filter *f);

#endif
