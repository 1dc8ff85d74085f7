/* SPDX-License-Identifier: Apache-2.0 */
/* Where a head looks, in three figures. */
#include <math.h>

#include "edgewise/head.h"

static void add_query(struct ew_head_attention *sum, const float *row,
                      const int64_t *ids, size_t q)
{
    double duplicate = 0.0;
    double induction = 0.0;
    size_t n_same = 0;
    for (size_t k = 0; k < q; k++) {
        if (ids[k] == ids[q]) {
            n_same++;
            duplicate += (double)row[k];
            induction += (double)row[k + 1];
        }
    }
    if (n_same > 0) {
        sum->duplicate += duplicate;
        sum->induction += induction;
        sum->n_duplicate++;
        sum->n_induction++;
    }
    if (q > 0) {
        sum->previous += (double)row[q - 1];
        sum->n_previous++;
    }
}

void ew_head_attention_add(struct ew_head_attention *sum, const float *pattern,
                           size_t n_pos, const int64_t *ids, size_t length)
{
    for (size_t q = 0; q < length; q++) {
        add_query(sum, pattern + q * n_pos, ids, q);
    }
}

static double mean(double sum, size_t n)
{
    return n ? sum / (double)n : NAN;
}

void ew_head_attention_mean(struct ew_head_attention *sum)
{
    sum->previous = mean(sum->previous, sum->n_previous);
    sum->duplicate = mean(sum->duplicate, sum->n_duplicate);
    sum->induction = mean(sum->induction, sum->n_induction);
}
