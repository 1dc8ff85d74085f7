/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units: edges that are tested and cut together. Usually every edge is one.
 * With whole nodes, heads are not split into q, k and v: what goes from a
 * sender into the three of a head is one unit, a0.h1->a1.h2, numbered by its
 * edge into q; direct edges are none, and stay. GPT-2 small has 11,611.
 */
#ifndef EW_UNIT_H
#define EW_UNIT_H

#include "edgewise/buf.h"
#include "edgewise/err.h"
#include "edgewise/graph.h"

EW_BEGIN_DECLS

enum { EW_UNIT_MAX = 3 }; /* edges of a unit */

/* Does a unit have this edge's number? */
bool ew_unit_is(const struct ew_graph *g, bool whole, uint32_t edge);
uint32_t ew_unit_count(const struct ew_graph *g, bool whole);
/* Its edges; how many. */
size_t ew_unit_edges(const struct ew_graph *g, bool whole, uint32_t unit,
                     uint32_t edges[EW_UNIT_MAX]);
/*
 * What flipping it flips: the edges that are kept, or, where none is, all.
 * `*keeps` (optional): is any kept?
 */
size_t ew_unit_flips(const struct ew_graph *g, bool whole, uint32_t unit,
                     const struct ew_bitset *kept,
                     uint32_t edges[EW_UNIT_MAX], bool *keeps);
/* Append its canonical name, and the two ends as TransformerLens calls them
 * without split inputs. */
void ew_unit_print(struct ew_buf *out, const struct ew_graph *g, bool whole,
                   uint32_t unit);
void ew_unit_print_acdc(struct ew_buf *receiver, struct ew_buf *sender,
                        const struct ew_graph *g, bool whole, uint32_t unit);
/* Read a unit as ew_unit_print() writes it. EW_ERR_INPUT with the reason. */
EW_MUST_CHECK bool ew_unit_parse(const struct ew_graph *g, bool whole,
                                 const char *text, uint32_t *unit,
                                 struct ew_err *err);

EW_END_DECLS

#endif
