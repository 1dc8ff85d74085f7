/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the readers of this folder fill a list of edges.
 */
#ifndef EW_CIRCUIT_EDGELIST_H
#define EW_CIRCUIT_EDGELIST_H

#include <jansson.h>

#include "edgewise/edgelist.h"

/* Append an item; `name` is transferred. */
struct ew_listed *ew_edge_list_add(struct ew_edge_list *list, char *name,
                                   uint32_t id, enum ew_listed_kind kind);
/* Append an edge (or, n_edges + i, placeholder i) of the list's graph. */
struct ew_listed *ew_edge_list_add_id(struct ew_edge_list *list, uint32_t id);
enum ew_listed_kind ew_edge_list_kind_of(const struct ew_graph *g, uint32_t id);

/* The readers: `name` is the file's, for messages. */
EW_MUST_CHECK bool ew_edge_list_read_circuit(struct ew_edge_list *out,
                                             const json_t *root,
                                             const char *name,
                                             struct ew_err *err);
EW_MUST_CHECK bool ew_edge_list_read_array(struct ew_edge_list *out,
                                           const json_t *root, const char *name,
                                           struct ew_err *err);
EW_MUST_CHECK bool ew_edge_list_read_log(struct ew_edge_list *out,
                                         const json_t *root, const char *name,
                                         struct ew_err *err);

#endif
