/* SPDX-License-Identifier: Apache-2.0 */
/* Rank correlation in n log n: by sorting, and counting the exchanges of a
 * merge sort (Knight 1966). */
#include "edgewise/correlate.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/compare.h"
#include "edgewise/mem.h"

struct item {
    double a;
    double b;
    size_t at;
};

static struct item *items_of(const double *a, const double *b, size_t n)
{
    struct item *items = ew_xcalloc(n + 1, sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        items[i] = (struct item){a[i], b ? b[i] : 0, i};
    }
    return items;
}

/* By a, then b, then place. */
static int by_value(const void *x, const void *y)
{
    const struct item *p = x;
    const struct item *q = y;
    if (p->a != q->a) {
        return p->a < q->a ? -1 : 1;
    }
    if (p->b != q->b) {
        return p->b < q->b ? -1 : 1;
    }
    return (p->at > q->at) - (p->at < q->at);
}

/* ---- Spearman ---- */

/* Ranks from 1, equal values their mean; free() them. */
static double *ranks_of(const double *values, size_t n)
{
    struct item *items = items_of(values, NULL, n);
    double *ranks = ew_xcalloc(n + 1, sizeof(*ranks));
    qsort(items, n, sizeof(*items), by_value);
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && items[end].a == items[i].a) {
            end++;
        }
        for (size_t k = i; k < end; k++) {
            ranks[items[k].at] = ((double)(i + 1) + (double)end) / 2;
        }
        i = end;
    }
    free(items);
    return ranks;
}

double ew_spearman(const double *a, const double *b, size_t n)
{
    double *x = ranks_of(a, n);
    double *y = ranks_of(b, n);
    double mean = ((double)n + 1) / 2;
    double xx = 0;
    double yy = 0;
    double xy = 0;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mean) * (x[i] - mean);
        yy += (y[i] - mean) * (y[i] - mean);
        xy += (x[i] - mean) * (y[i] - mean);
    }
    free(x);
    free(y);
    return xx * yy > 0 ? xy / sqrt(xx * yy) : (double)NAN;
}

/* ---- Kendall ---- */

static double pairs(double n)
{
    return n * (n - 1) / 2;
}

/* Pairs that are equal, in items sorted so that equal ones are adjacent. */
static double equal_pairs(const struct item *items, size_t n,
                          bool (*same)(const struct item *,
                                       const struct item *))
{
    double sum = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && same(&items[i], &items[end])) {
            end++;
        }
        sum += pairs((double)(end - i));
        i = end;
    }
    return sum;
}

static bool same_a(const struct item *p, const struct item *q)
{
    return p->a == q->a;
}

static bool same_b(const struct item *p, const struct item *q)
{
    return p->b == q->b;
}

static bool same_both(const struct item *p, const struct item *q)
{
    return p->a == q->a && p->b == q->b;
}

/* Sorts by b; how many pairs stood the wrong way round. */
static double exchanges(struct item *items, struct item *spare, size_t n)
{
    if (n < 2) {
        return 0;
    }
    size_t half = n / 2;
    double count = exchanges(items, spare, half) +
                   exchanges(items + half, spare, n - half);
    size_t i = 0;
    size_t j = half;
    for (size_t k = 0; k < n; k++) {
        if (j == n || (i < half && items[i].b <= items[j].b)) {
            spare[k] = items[i++];
        } else {
            spare[k] = items[j++];
            count += (double)(half - i);
        }
    }
    memcpy(items, spare, n * sizeof(*items));
    return count;
}

double ew_kendall(const double *a, const double *b, size_t n)
{
    struct item *items = items_of(a, b, n);
    struct item *spare = ew_xcalloc(n + 1, sizeof(*spare));
    qsort(items, n, sizeof(*items), by_value);
    double all = pairs((double)n);
    double equal_a = equal_pairs(items, n, same_a);
    double equal = equal_pairs(items, n, same_both);
    double discordant = exchanges(items, spare, n);
    double equal_b = equal_pairs(items, n, same_b);
    free(items);
    free(spare);
    double scale = sqrt(all - equal_a) * sqrt(all - equal_b);
    return scale > 0
               ? (all - equal_a - equal_b + equal - 2 * discordant) / scale
               : (double)NAN;
}

/* ---- the rest ---- */

size_t ew_sign_flips(const double *a, const double *b, size_t n)
{
    size_t flips = 0;
    for (size_t i = 0; i < n; i++) {
        flips += (a[i] > 0 && b[i] < 0) || (a[i] < 0 && b[i] > 0);
    }
    return flips;
}

/* Marks the largest by size with `bit`. */
static void mark_top(const double *values, size_t n, size_t top,
                     unsigned char *marks, unsigned char bit)
{
    struct item *items = items_of(values, NULL, n);
    for (size_t i = 0; i < n; i++) {
        items[i].a = -fabs(items[i].a);
    }
    qsort(items, n, sizeof(*items), by_value);
    for (size_t i = 0; i < top && i < n; i++) {
        marks[items[i].at] |= bit;
    }
    free(items);
}

double ew_top_jaccard(const double *a, const double *b, size_t n, size_t top)
{
    unsigned char *marks = ew_xcalloc(n + 1, 1);
    size_t both = 0;
    top = top < n ? top : n;
    mark_top(a, n, top, marks, 1);
    mark_top(b, n, top, marks, 2);
    for (size_t i = 0; i < n; i++) {
        both += marks[i] == 3;
    }
    free(marks);
    return ew_jaccard(top, top, both);
}
