/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selecting edges by score. Greedy keeps its candidates as a set of places in
 * the order of rank: the next edge is the first of them.
 */
#include "edgewise/select.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"
#include "edgewise/unit.h"

/* ---- what the user says ---- */

static bool parse_count(const char *text, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *out = (uint32_t)value;
    return *text >= '0' && *text <= '9' && !*end && !errno &&
           value <= UINT32_MAX;
}

static bool parse_real(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

bool ew_selection_parse(const char *text, struct ew_selection *out,
                        struct ew_err *err)
{
    static const struct {
        const char *prefix;
        enum ew_select_how how;
    } hows[] = {{"top:", EW_SELECT_TOP},
                {"threshold:", EW_SELECT_THRESHOLD},
                {"greedy:", EW_SELECT_GREEDY}};
    for (size_t i = 0; i < EW_ARRAY_LEN(hows); i++) {
        size_t len = strlen(hows[i].prefix);
        if (strncmp(text, hows[i].prefix, len) == 0) {
            out->how = hows[i].how;
            if (out->how == EW_SELECT_THRESHOLD
                    ? parse_real(text + len, &out->threshold)
                    : parse_count(text + len, &out->n)) {
                return true;
            }
        }
    }
    return ew_fail(err, EW_ERR_USAGE,
                   "expected top:N, threshold:T or greedy:N, found '%s'", text);
}

/* ---- choosing ---- */

struct chooser {
    const struct ew_graph *g;
    const struct ew_selection *selection;
    const float *scores;
    struct ew_bitset *kept;
    uint32_t *ranked; /* additions, best first */
    uint32_t n_ranked;
    uint32_t *place; /* of each addition in `ranked`; EW_NONE: no score */
    struct ew_bitset *candidates; /* of greedy: places */
    size_t first;                 /* no candidate is before it */
    uint32_t chosen;
};

static void choose(struct chooser *c, uint32_t place)
{
    uint32_t edges[EW_UNIT_MAX];
    size_t n = ew_unit_edges(c->g, c->selection->nodes, c->ranked[place],
                             edges);
    for (size_t i = 0; i < n; i++) {
        ew_bitset_put(c->kept, edges[i], true);
    }
    c->chosen++;
}

static void choose_top(struct chooser *c)
{
    for (uint32_t i = 0; i < c->n_ranked && i < c->selection->n; i++) {
        choose(c, i);
    }
}

static void choose_above(struct chooser *c)
{
    for (uint32_t i = 0; i < c->n_ranked; i++) {
        double key = (double)c->scores[c->ranked[i]];
        key = c->selection->rank == EW_RANK_SIGNED ? key : fabs(key);
        if (key < c->selection->threshold) {
            break;
        }
        choose(c, i);
    }
}

/* The edges into a receiver may be chosen from now on. */
static void open_receiver(struct chooser *c, uint32_t receiver)
{
    uint32_t first = ew_graph_first_edge(c->g, receiver);
    uint32_t n = ew_graph_n_senders_of(c->g, receiver);
    for (uint32_t edge = first; edge < first + n; edge++) {
        uint32_t place = c->place[edge];
        if (place != EW_NONE) {
            ew_bitset_put(c->candidates, place, true);
            c->first = place < c->first ? place : c->first;
        }
    }
}

static void open_sender(struct chooser *c, struct ew_bitset *opened,
                        uint32_t sender)
{
    uint32_t first;
    uint32_t n;
    if (ew_bitset_has(opened, sender)) {
        return;
    }
    ew_bitset_put(opened, sender, true);
    ew_graph_inputs_of(c->g, sender, &first, &n);
    for (uint32_t r = first; r < first + n; r++) {
        open_receiver(c, r);
    }
}

static void choose_greedily(struct chooser *c)
{
    struct ew_bitset *opened = ew_bitset_create(ew_graph_n_senders(c->g));
    c->candidates = ew_bitset_create(c->n_ranked);
    c->first = c->n_ranked;
    open_receiver(c, ew_graph_n_receivers(c->g) - 1); /* the logits */
    while (c->chosen < c->selection->n) {
        size_t place = ew_bitset_next(c->candidates, c->first);
        if (place == c->n_ranked) {
            break; /* nothing leads further */
        }
        ew_bitset_put(c->candidates, place, false);
        c->first = place + 1;
        choose(c, (uint32_t)place);
        open_sender(c, opened, ew_edge_sender(c->g, c->ranked[place]));
    }
    ew_bitset_destroy(c->candidates);
    ew_bitset_destroy(opened);
}

/* ---- pruning ---- */

/* Kept edges out of each sender, (n_senders); free() it. */
static uint32_t *count_out(const struct ew_graph *g,
                           const struct ew_bitset *kept)
{
    uint32_t *n_out = ew_xcalloc(ew_graph_n_senders(g), sizeof(*n_out));
    size_t n = ew_graph_n_addition(g);
    for (size_t e = ew_bitset_next(kept, 0); e < n;
         e = ew_bitset_next(kept, e + 1)) {
        n_out[ew_edge_sender(g, (uint32_t)e)]++;
    }
    return n_out;
}

/* Cut what goes into a node, from the last to the first: each cut may leave
 * an earlier node without a child. */
static void prune_childless(const struct ew_graph *g, struct ew_bitset *kept)
{
    uint32_t *n_out = count_out(g, kept);
    for (uint32_t s = ew_graph_n_senders(g); s-- > 0;) {
        uint32_t first;
        uint32_t n;
        ew_graph_inputs_of(g, s, &first, &n);
        for (uint32_t r = first; n_out[s] == 0 && r < first + n; r++) {
            uint32_t edge = ew_graph_first_edge(g, r);
            for (uint32_t i = 0; i < ew_graph_n_senders_of(g, r); i++) {
                n_out[i] -= ew_bitset_has(kept, edge + i);
                ew_bitset_put(kept, edge + i, false);
            }
        }
    }
    free(n_out);
}

static bool has_parent(const struct ew_graph *g, const struct ew_bitset *kept,
                       uint32_t sender)
{
    uint32_t first;
    uint32_t n;
    ew_graph_inputs_of(g, sender, &first, &n);
    bool any = n == 0; /* the embedding */
    for (uint32_t r = first; !any && r < first + n; r++) {
        uint32_t edge = ew_graph_first_edge(g, r);
        any = ew_bitset_next(kept, edge) < edge + ew_graph_n_senders_of(g, r);
    }
    return any;
}

/* From the first to the last: a cut may leave a later node without a parent,
 * but none without a child, since nothing goes into the node it is of. */
static void prune_parentless(const struct ew_graph *g, struct ew_bitset *kept)
{
    uint32_t n_receivers = ew_graph_n_receivers(g);
    for (uint32_t s = 0; s < ew_graph_n_senders(g); s++) {
        if (has_parent(g, kept, s)) {
            continue;
        }
        for (uint32_t r = ew_graph_first_receiver_of(g, s); r < n_receivers;
             r++) {
            ew_bitset_put(kept, ew_graph_edge(g, s, r), false);
        }
    }
}

void ew_prune(const struct ew_graph *g, struct ew_bitset *kept)
{
    prune_childless(g, kept);
    prune_parentless(g, kept);
}

/* ---- the whole ---- */

static void rank_additions(struct chooser *c)
{
    uint32_t n = ew_graph_n_addition(c->g);
    c->ranked = ew_xcalloc(n, sizeof(*c->ranked));
    c->place = ew_xcalloc(n, sizeof(*c->place));
    c->n_ranked = 0;
    uint32_t n_known =
        (uint32_t)ew_scan_rank(c->scores, n, c->selection->rank, c->ranked);
    for (uint32_t i = 0; i < n_known; i++) {
        if (ew_unit_is(c->g, c->selection->nodes, c->ranked[i])) {
            c->ranked[c->n_ranked++] = c->ranked[i];
        }
    }
    for (uint32_t e = 0; e < n; e++) {
        c->place[e] = EW_NONE;
    }
    for (uint32_t i = 0; i < c->n_ranked; i++) {
        c->place[c->ranked[i]] = i;
    }
}

static uint32_t keep_direct(const struct ew_graph *g, struct ew_bitset *kept)
{
    uint32_t *n_out = count_out(g, kept);
    uint32_t n = 0;
    for (uint32_t e = ew_graph_n_addition(g); e < ew_graph_n_edges(g); e++) {
        uint32_t head = ew_graph_feeds(g, ew_edge_receiver(g, e));
        ew_bitset_put(kept, e, n_out[head] > 0);
        n += n_out[head] > 0;
    }
    free(n_out);
    return n;
}

struct ew_selected ew_select_edges(const struct ew_graph *g,
                                   const float *scores,
                                   const struct ew_selection *selection,
                                   struct ew_bitset *kept)
{
    struct chooser c = {
        .g = g, .selection = selection, .scores = scores, .kept = kept};
    ew_bitset_fill(kept, false);
    rank_additions(&c);
    switch (selection->how) {
    case EW_SELECT_TOP:
        choose_top(&c);
        break;
    case EW_SELECT_THRESHOLD:
        choose_above(&c);
        break;
    case EW_SELECT_GREEDY:
        choose_greedily(&c);
        break;
    }
    free(c.ranked);
    free(c.place);
    if (selection->prune) {
        ew_prune(g, kept);
    }
    struct ew_selected out = {.chosen = c.chosen};
    for (uint32_t e = 0; e < ew_graph_n_addition(g); e++) {
        out.kept += ew_bitset_has(kept, e) &&
                    ew_unit_is(g, selection->nodes, e);
    }
    out.direct = keep_direct(g, kept);
    return out;
}
