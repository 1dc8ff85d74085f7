/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter language of the edges table. Words with blanks between, all of
 * which must hold; '!' in front turns one round:
 *   kept cut marked known        the edge's state
 *   from:TEXT to:TEXT            name of that end contains TEXT
 *   kind:q (k, v, mlp, logits, direct)
 *   effect>0.1 |effect|>0.1      also < >= <=
 *   TEXT                         the edge's name contains it
 */
#ifndef EW_TUI_FILTER_H
#define EW_TUI_FILTER_H

#include <stdbool.h>

#include "edgewise/err.h"
#include "edgewise/graph.h"

struct ew_filter; /* opaque */

/* What is known about one edge. */
struct ew_edge_facts {
    const char *from; /* canonical names */
    const char *to;
    enum ew_node_kind to_kind;
    bool direct;
    bool kept;
    bool marked;
    double effect; /* NaN: not known */
};

/* NULL with the reason for a word that cannot be read. "" lets all pass. */
struct ew_filter *ew_filter_parse(const char *text, struct ew_err *err);
void ew_filter_destroy(struct ew_filter *f); /* NULL is fine */
/* NULL lets all pass. */
bool ew_filter_match(const struct ew_filter *f,
                     const struct ew_edge_facts *facts);
/* Does the answer depend on effects, which change all the time? */
bool ew_filter_uses_effects(const struct ew_filter *f);

#endif
