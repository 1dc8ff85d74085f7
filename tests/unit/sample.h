/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The circuit that the tests of pictures draw: two layers, every kind of
 * effect, one cut direct edge.
 */
#ifndef EW_TESTS_SAMPLE_H
#define EW_TESTS_SAMPLE_H

#include <math.h>

#include "circuits.h"

/* Only these edges are kept, and all direct edges but one. */
static inline struct ew_circuit *make_sample(const struct ew_graph *g)
{
    static const struct {
        const char *edge;
        float score;
    } kept[] = {
        {"input->a0.h1<v>", 0.5f}, {"a0.h1->a1.h2<q>", -0.125f},
        {"a0.h1->a1.h2<k>", 2.0f}, {"a0.h1->a1.h2<v>", NAN},
        {"a1.h2->logits", 1.0f},   {"input->m1", 0.0f},
        {"m1->logits", 0.25f},
    };
    struct ew_circuit *c = ew_circuit_create(g);
    ew_circuit_begin(c, "sample");
    for (uint32_t e = 0; e < ew_graph_n_addition(g); e++) {
        ew_circuit_put(c, e, false);
    }
    for (size_t i = 0; i < EW_ARRAY_LEN(kept); i++) {
        uint32_t e = edge_of(g, kept[i].edge);
        ew_circuit_put(c, e, true);
        ew_circuit_set_score(c, e, kept[i].score);
    }
    ew_circuit_put(c, edge_of(g, "a1.h2.k_in->a1.h2.k"), false);
    ew_circuit_end(c);
    return c;
}

static inline struct ew_graph *sample_graph(void)
{
    return make((struct ew_graph_spec){2, 4, true, false, false});
}

#endif
