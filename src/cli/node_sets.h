/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of a circuit's nodes that eval knocks out: none of them, the groups of
 * a label file, and random ones. */
#ifndef EW_CLI_NODE_SETS_H
#define EW_CLI_NODE_SETS_H

#include "edgewise/bitset.h"

#include "open.h"

struct cli_node_set {
    char *name;
    struct ew_bitset *nodes; /* senders */
};
struct cli_node_sets {
    struct cli_node_set *items; /* owned */
    size_t n;
};

/* For the engine's circuit, as --labels, --sets and --seed say. */
EW_MUST_CHECK bool cli_node_sets_make(struct cli_node_sets *out,
                                      const struct cli_open *open,
                                      const struct cli_opts *opts,
                                      struct ew_err *err);
void cli_node_sets_finish(struct cli_node_sets *sets); /* zeroed is fine */
/* The names of the nodes, as a JSON array. */
json_t *cli_node_set_json(const struct ew_graph *g,
                          const struct ew_bitset *nodes);
/* And with commas between them, the first few. */
void cli_node_set_print(struct ew_buf *out, const struct ew_graph *g,
                        const struct ew_bitset *nodes);

#endif
