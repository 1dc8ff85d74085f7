/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of circuits share: small graphs, edges by name, counting by
 * hand, and random histories.
 */
#ifndef EW_TESTS_CIRCUITS_H
#define EW_TESTS_CIRCUITS_H

#include "edgewise/circuit.h"
#include "edgewise/names.h"
#include "edgewise/rng.h"

#include "ew_cmocka.h"

static inline struct ew_graph *make(struct ew_graph_spec spec)
{
    struct ew_err err = {0};
    struct ew_graph *g = ew_graph_create(&spec, &err);
    if (!g) {
        fail_msg("%s", err.message);
    }
    return g;
}

static inline struct ew_graph *small(void)
{
    return make((struct ew_graph_spec){2, 3, true, false, false});
}

static inline uint32_t edge_of(const struct ew_graph *g, const char *name)
{
    uint32_t edge = EW_NONE;
    struct ew_err err = {0};
    if (!ew_edge_parse(g, name, &edge, &err)) {
        fail_msg("%s", err.message);
    }
    return edge;
}

/* The counts that are kept up to date, against counting. */
static inline void check_counts(const struct ew_circuit *c)
{
    const struct ew_graph *g = ew_circuit_graph(c);
    uint32_t n_kept = 0;
    uint32_t *n_out = calloc(ew_graph_n_senders(g), sizeof(*n_out));
    uint32_t *n_in = calloc(ew_graph_n_receivers(g), sizeof(*n_in));
    for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
        if (ew_circuit_has(c, e)) {
            n_kept++;
            if (ew_edge_kind(g, e) == EW_EDGE_ADDITION) {
                n_out[ew_edge_sender(g, e)]++;
                n_in[ew_edge_receiver(g, e)]++;
            }
        }
    }
    assert_int_equal(ew_circuit_n_kept(c), n_kept);
    for (uint32_t s = 0; s < ew_graph_n_senders(g); s++) {
        assert_int_equal(ew_circuit_n_out(c, s), n_out[s]);
    }
    for (uint32_t r = 0; r < ew_graph_n_receivers(g); r++) {
        assert_int_equal(ew_circuit_n_in(c, r), n_in[r]);
    }
    free(n_out);
    free(n_in);
}

/* One random action; what it leaves is a revision already seen, or new. */
static inline void act(struct ew_circuit *c, struct ew_rng *rng)
{
    uint32_t n = ew_graph_n_edges(ew_circuit_graph(c));
    struct ew_bitset *kept;
    switch (ew_rng_below(rng, 6)) {
    case 0:
        ew_circuit_undo(c, NULL);
        break;
    case 1:
        ew_circuit_redo(c, NULL);
        break;
    case 2:
        ew_circuit_checkout(
            c, (uint32_t)ew_rng_below(rng, ew_circuit_n_revisions(c)));
        break;
    case 3:
        kept = ew_bitset_create(n);
        for (uint32_t e = 0; e < n; e++) {
            ew_bitset_put(kept, e, ew_rng_below(rng, 2));
        }
        ew_circuit_assign(c, kept, "assign");
        assert_true(ew_bitset_equal(ew_circuit_kept(c), kept));
        ew_bitset_destroy(kept);
        break;
    default:
        ew_circuit_begin(c, "flip some");
        for (uint64_t i = ew_rng_below(rng, 6); i > 0; i--) {
            ew_circuit_flip(c, (uint32_t)ew_rng_below(rng, n));
        }
        ew_circuit_end(c);
        break;
    }
}

#endif
