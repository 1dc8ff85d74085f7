/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that is not done. A receiver from which logits cannot be reached, or
 * whose direct edge is cut, is not brought up to date when something before
 * it changes; it is marked stale instead, with everything that hangs on it.
 * When an edge comes back that would make something stale matter, the state
 * is evaluated from scratch first; as it is when a tail, kept up to date from
 * the first scored position on, is needed before that.
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
    for (uint32_t r = 0; r < st->n_receivers; r++) {
        if (ew_bitset_has(skipped, r) ||
            keeps_any(e->graph, kept, r, st->stale_out)) {
            ew_bitset_put(st->stale_x, r, true);
        }
        uint32_t direct = ew_graph_direct_edge(e->graph, r);
        uint32_t feeds = ew_graph_feeds(e->graph, r);
        if (ew_bitset_has(st->stale_x, r) && feeds != EW_NONE &&
            (direct == EW_NONE || ew_bitset_has(kept, direct))) {
            ew_bitset_put(st->stale_out, feeds, true);
        }
    }
}

/* Does a live receiver keep an edge from a sender that is out of date? */
static bool reads_stale(const struct ew_engine *e, uint32_t sender,
                        const struct ew_bitset *kept,
                        const struct ew_bitset *live)
{
    size_t r = ew_bitset_next(live,
                              ew_graph_first_receiver_of(e->graph, sender));
    for (; r < ew_bitset_size(live); r = ew_bitset_next(live, r + 1)) {
        uint32_t edge = ew_graph_edge(e->graph, sender, (uint32_t)r);
        if (edge != EW_NONE && ew_bitset_has(kept, edge)) {
            return true;
        }
    }
    return false;
}

void find_tails(const struct ew_graph *graph, const struct ew_bitset *kept,
                const struct ew_bitset *live, struct ew_bitset *tail)
{
    ew_bitset_fill(tail, true);
    for (uint32_t r = ew_graph_n_receivers(graph); r-- > 0;) {
        struct ew_node node = ew_graph_receiver(graph, r);
        uint32_t feeds = ew_graph_feeds(graph, r);
        bool early = node.kind == EW_NODE_K || node.kind == EW_NODE_V ||
                     (feeds != EW_NONE && !ew_bitset_has(tail, feeds));
        if (!early || !ew_bitset_has(live, r)) {
            continue;
        }
        uint32_t first = ew_graph_first_edge(graph, r);
        size_t end = first + (size_t)ew_graph_n_senders_of(graph, r);
        for (size_t edge = ew_bitset_next(kept, first); edge < end;
             edge = ew_bitset_next(kept, edge + 1)) {
            ew_bitset_put(tail, edge - first, false);
        }
    }
}

/* Is a tail of the state needed before `o`? */
static bool reads_before_tail(const struct ew_engine *e,
                              const struct ew_bitset *kept,
                              const struct ew_bitset *live,
                              const struct ew_bitset *tail)
{
    const struct incremental *st = e->state;
    for (size_t r = ew_bitset_next(st->tail_x, 0); r < st->n_receivers;
         r = ew_bitset_next(st->tail_x, r + 1)) {
        uint32_t feeds = ew_graph_feeds(e->graph, (uint32_t)r);
        if (ew_bitset_has(live, r) && !(tail && ew_bitset_has(tail, feeds))) {
            return true;
        }
    }
    for (size_t s = ew_bitset_next(st->tail_out, 0); s < st->n_senders;
         s = ew_bitset_next(st->tail_out, s + 1)) {
        if (!(tail && ew_bitset_has(tail, s)) &&
            reads_stale(e, (uint32_t)s, kept, live)) {
            return true;
        }
    }
    return false;
}

bool needs_refresh(const struct ew_engine *e, const struct ew_bitset *kept,
                   const struct ew_bitset *live, const struct ew_bitset *tail)
{
    const struct incremental *st = e->state;
    if (reads_before_tail(e, kept, live, tail)) {
        return true;
    }
    for (size_t r = ew_bitset_next(st->stale_x, 0); r < st->n_receivers;
         r = ew_bitset_next(st->stale_x, r + 1)) {
        if (ew_bitset_has(live, r)) {
            return true;
        }
    }
    for (size_t s = ew_bitset_next(st->stale_out, 0); s < st->n_senders;
         s = ew_bitset_next(st->stale_out, s + 1)) {
        if (reads_stale(e, (uint32_t)s, kept, live)) {
            return true;
        }
    }
    return false;
}
