/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an edge matters: what the metrics are when it is cut at some
 * positions only, in the current circuit.
 *
 * Cut at position p, an addition s -> r leaves r's input as it is but at p,
 * where it is what it would be with the edge cut everywhere; a direct edge
 * does so with the head's q, k or v. What r feeds and all after it is
 * computed from that, exactly. Cut at all positions is cut; effects at single
 * positions do not add up to that, except where everything after is linear.
 */
#ifndef EW_POSITIONS_H
#define EW_POSITIONS_H

#include "edgewise/engine.h"

EW_BEGIN_DECLS

/*
 * The scores of `n` what-ifs, each of flipping `edge` (a kept one is cut, a
 * cut one restored) at the positions of where[i] alone: (n_prompts * n_pos)
 * bits, prompt * n_pos + position. out (n); `prompt_ld` (optional) is
 * (n, n_prompts), the logit difference of each prompt. The circuit stays.
 * EW_ERR_USAGE for another engine than the incremental one.
 */
EW_MUST_CHECK bool ew_engine_flip_at(struct ew_engine *e, uint32_t edge,
                                     const struct ew_bitset *const *where,
                                     size_t n, unsigned want,
                                     struct ew_score *out, double *prompt_ld,
                                     const struct ew_cancel *cancel,
                                     struct ew_err *err);

EW_END_DECLS

#endif
