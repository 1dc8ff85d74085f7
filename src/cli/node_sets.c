/* SPDX-License-Identifier: Apache-2.0 */
/* Making sets of nodes. */
#include "node_sets.h"

#include <stdlib.h>

#include "edgewise/completeness.h"
#include "edgewise/groups.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"
#include "edgewise/rng.h"

enum { N_RANDOM = 10, N_NAMED = 8 };

/* A set without any node yet; `name` is taken. */
static struct ew_bitset *add_set(struct cli_node_sets *sets,
                                 const struct ew_graph *g, char *name)
{
    struct ew_bitset *nodes = ew_bitset_create(ew_graph_n_senders(g));
    sets->items[sets->n++] = (struct cli_node_set){name, nodes};
    return nodes;
}

/* The members that the circuit has; a group without any is left out. */
static void add_group(struct cli_node_sets *sets, const struct ew_graph *g,
                      const struct ew_groups *groups, size_t index,
                      const struct ew_bitset *nodes)
{
    const struct ew_group *group = ew_groups_get(groups, index);
    struct ew_bitset *set = NULL;
    for (uint32_t s = 0; s < ew_graph_n_senders(g); s++) {
        if (ew_groups_of(groups, s) == group && ew_bitset_has(nodes, s)) {
            set = set ? set : add_set(sets, g, ew_xstrdup(group->name));
            ew_bitset_put(set, s, true);
        }
    }
}

static void add_random(struct cli_node_sets *sets, const struct ew_graph *g,
                       struct ew_rng *rng, size_t number,
                       const struct ew_bitset *nodes)
{
    struct ew_bitset *set =
        add_set(sets, g, ew_xasprintf("random %zu", number));
    for (size_t s = ew_bitset_next(nodes, 0); s < ew_bitset_size(nodes);
         s = ew_bitset_next(nodes, s + 1)) {
        ew_bitset_put(set, s, ew_rng_below(rng, 2) == 1);
    }
}

bool cli_node_sets_make(struct cli_node_sets *out, const struct cli_open *open,
                        const struct cli_opts *opts, struct ew_err *err)
{
    const struct ew_graph *g = open->graph;
    struct ew_groups *groups = NULL;
    *out = (struct cli_node_sets){0};
    if (opts->labels) {
        char *path = ew_groups_locate(opts->labels, err);
        groups = path ? ew_groups_load(path, g, err) : NULL;
        free(path);
        if (!groups) {
            return ew_fail_prefix(err, "--labels");
        }
    }
    size_t n_groups = groups ? ew_groups_n(groups) : 0;
    size_t n_random = opts->sets > 0 ? (size_t)opts->sets : N_RANDOM;
    struct ew_bitset *nodes = ew_bitset_create(ew_graph_n_senders(g));
    ew_circuit_nodes(g, ew_engine_kept(open->engine), nodes);
    out->items = ew_xcalloc(1 + n_groups + n_random, sizeof(*out->items));
    add_set(out, g, ew_xstrdup("none"));
    for (size_t i = 0; i < n_groups; i++) {
        add_group(out, g, groups, i, nodes);
    }
    struct ew_rng rng;
    ew_rng_seed(&rng, (uint64_t)opts->seed);
    for (size_t i = 0; i < n_random; i++) {
        add_random(out, g, &rng, i + 1, nodes);
    }
    ew_bitset_destroy(nodes);
    ew_groups_destroy(groups);
    return true;
}

void cli_node_sets_finish(struct cli_node_sets *sets)
{
    for (size_t i = 0; i < sets->n; i++) {
        free(sets->items[i].name);
        ew_bitset_destroy(sets->items[i].nodes);
    }
    free(sets->items);
    *sets = (struct cli_node_sets){0};
}

json_t *cli_node_set_json(const struct ew_graph *g,
                          const struct ew_bitset *nodes)
{
    json_t *array = json_array();
    struct ew_buf name = {0};
    for (size_t s = ew_bitset_next(nodes, 0); s < ew_bitset_size(nodes);
         s = ew_bitset_next(nodes, s + 1)) {
        ew_buf_clear(&name);
        ew_sender_print(&name, g, (uint32_t)s, EW_NAMES_CANONICAL);
        json_array_append_new(array, json_string(ew_buf_str(&name)));
    }
    ew_buf_finish(&name);
    return array;
}

void cli_node_set_print(struct ew_buf *out, const struct ew_graph *g,
                        const struct ew_bitset *nodes)
{
    size_t n = 0;
    for (size_t s = ew_bitset_next(nodes, 0); s < ew_bitset_size(nodes);
         s = ew_bitset_next(nodes, s + 1)) {
        if (n == N_NAMED) {
            ew_buf_add(out, ", ...");
            break;
        }
        ew_buf_add(out, n++ ? ", " : "");
        ew_sender_print(out, g, (uint32_t)s, EW_NAMES_CANONICAL);
    }
}
