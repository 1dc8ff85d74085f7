/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that is not done. A receiver from which logits cannot be reached, or
 * whose direct edge is cut, is not brought up to date when something before
 * it changes; it is marked stale instead, with everything that hangs on it.
 * When an edge comes back that would make a stale receiver matter, the state
 * is evaluated from scratch first.
 */
#include "state.h"

/* Does receiver r keep an edge from a sender in the set? */
static bool keeps_any(const struct ew_graph *graph,
                      const struct ew_bitset *kept, uint32_t r,
                      const struct ew_bitset *senders)
{
    uint32_t n = ew_graph_n_senders_of(graph, r);
    uint32_t first = ew_graph_first_edge(graph, r);
    for (size_t i = ew_bitset_next(senders, 0); i < n;
         i = ew_bitset_next(senders, i + 1)) {
        if (ew_bitset_has(kept, first + i)) {
            return true;
        }
    }
    return false;
}

void mark_stale(struct ew_engine *e, const struct ew_bitset *kept,
                const struct ew_bitset *skipped)
{
    struct incremental *st = e->state;
    struct ew_bitset *senders = ew_bitset_create(st->n_senders);
    for (uint32_t r = 0; r < st->n_receivers; r++) {
        if (ew_bitset_has(skipped, r) ||
            keeps_any(e->graph, kept, r, senders)) {
            ew_bitset_put(st->stale_x, r, true);
        }
        uint32_t direct = ew_graph_direct_edge(e->graph, r);
        uint32_t feeds = ew_graph_feeds(e->graph, r);
        if (ew_bitset_has(st->stale_x, r) && feeds != EW_NONE &&
            (direct == EW_NONE || ew_bitset_has(kept, direct))) {
            ew_bitset_put(senders, feeds, true);
        }
    }
    ew_bitset_destroy(senders);
}

bool needs_refresh(const struct incremental *st, const struct ew_bitset *live)
{
    for (size_t r = ew_bitset_next(st->stale_x, 0); r < st->n_receivers;
         r = ew_bitset_next(st->stale_x, r + 1)) {
        if (ew_bitset_has(live, r)) {
            return true;
        }
    }
    return false;
}
