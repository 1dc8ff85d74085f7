/* SPDX-License-Identifier: Apache-2.0 */
/* Edges in order of their scores. */
#include <math.h>
#include <stdlib.h>

#include "edgewise/mem.h"
#include "edgewise/scan.h"

struct ranked {
    float key;
    uint32_t edge;
};

static int larger_first(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    if (x->key != y->key) {
        return x->key > y->key ? -1 : 1;
    }
    return (x->edge > y->edge) - (x->edge < y->edge);
}

size_t ew_scan_rank(const float *scores, size_t n, enum ew_rank rank,
                    uint32_t *edges)
{
    struct ranked *all = ew_xcalloc(n, sizeof(*all));
    size_t known = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(scores[i])) {
            float key = rank == EW_RANK_SIGNED ? scores[i] : fabsf(scores[i]);
            all[known++] = (struct ranked){key, (uint32_t)i};
        }
    }
    qsort(all, known, sizeof(*all), larger_first);
    for (size_t i = 0; i < known; i++) {
        edges[i] = all[i].edge;
    }
    free(all);
    return known;
}
