/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far two lists of scores of the same `n` edges agree. Values are finite.
 */
#ifndef EW_CORRELATE_H
#define EW_CORRELATE_H

#include <stddef.h>

#include "edgewise/common.h"

EW_BEGIN_DECLS

/*
 * Rank correlations: Spearman's rho, equal values sharing their mean rank,
 * and Kendall's tau-b. NaN when all values of a side are equal.
 */
double ew_spearman(const double *a, const double *b, size_t n);
double ew_kendall(const double *a, const double *b, size_t n);
/* How many have opposite signs; 0 has none. */
size_t ew_sign_flips(const double *a, const double *b, size_t n);
/* Jaccard of the `top` largest by size of each side, of equal ones the
 * earlier; `top` is n at most. */
double ew_top_jaccard(const double *a, const double *b, size_t n, size_t top);

EW_END_DECLS

#endif
