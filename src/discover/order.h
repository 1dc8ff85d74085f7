/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which the official ACDC code tests edges.
 */
#ifndef EW_DISCOVER_ORDER_H
#define EW_DISCOVER_ORDER_H

#include "edgewise/acdc.h"

/*
 * All edges of the graph in the order of testing, n_edges numbers; free()
 * it. Receivers in reverse order of execution: the final residual; then from
 * the top layer down mlp_in, the direct edges of v, k, q, the inputs of v, k,
 * q, each from the last head to the first. Senders of a receiver from the
 * latest group (an MLP, or the heads of a layer) to the embedding; a split
 * embedding's tokens before its positions.
 */
uint32_t *ew_acdc_order(const struct ew_graph *g,
                        const struct ew_acdc_params *params);

#endif
