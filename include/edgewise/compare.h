/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing two lists of edges, A and B: what B lacks, what it has beside,
 * what is of another kind, which scores differ, and how far the two agree.
 *
 * An edge is the same on both sides when it joins the same nodes. Kinds that
 * only one side knows (EAP-IG has no direct edges, circuits no placeholders)
 * are left out and said to be.
 */
#ifndef EW_COMPARE_H
#define EW_COMPARE_H

#include "edgewise/edgelist.h"

EW_BEGIN_DECLS

/* One edge; borrowed from the two lists, NULL where a side does not list
 * it. */
struct ew_pair {
    const struct ew_listed *a;
    const struct ew_listed *b;
};

struct ew_pairs {
    struct ew_pair *items; /* owned, in the order of A, then of B */
    size_t n;
    size_t cap;
};

/* Edges of one kind into the receivers of one layer. */
struct ew_agreement {
    int layer; /* EW_LAYER_* */
    enum ew_listed_kind kind;
    size_t n_a; /* kept in A */
    size_t n_b;
    size_t n_both; /* kept in both, as this kind */
};

struct ew_comparison {
    bool compared[EW_N_LISTED_KINDS];
    /* kept edges of these kinds */
    size_t n_a;
    size_t n_b;
    size_t n_both;
    struct ew_pairs missing;   /* kept in A, not in B */
    struct ew_pairs extra;     /* kept in B, not in A */
    struct ew_pairs kinds;     /* listed as different kinds */
    struct ew_pairs scores;    /* further apart than the tolerance */
    size_t n_scored;           /* edges with a score on both sides */
    double *scores_a;          /* owned: (n_scored) theirs, in the order of A */
    double *scores_b;          /* as they were compared */
    double largest;            /* difference of scores; 0 when none */
    bool turned;               /* B's scores had the other sign: see below */
    struct ew_agreement *rows; /* owned: by layer, logits last, then kind */
    size_t n_rows;
};

/*
 * Compare. Scores a and b differ when |a - b| > tolerance max(1, |a|, |b|).
 * When positive is known to mean needed on one side and harmful on the
 * other, B's scores are turned round first. The lists must outlive `out`.
 */
void ew_compare(struct ew_comparison *out, const struct ew_edge_list *a,
                const struct ew_edge_list *b, double tolerance);
void ew_comparison_finish(struct ew_comparison *c); /* zeroed is fine */

/* Is nothing missing, extra, of another kind or differently scored? */
bool ew_comparison_same(const struct ew_comparison *c);
/* |A and B| / |A or B|; 1 for two empty sets. */
double ew_jaccard(size_t n_a, size_t n_b, size_t n_both);
/* B's score as it was compared. */
double ew_comparison_score_b(const struct ew_comparison *c,
                             const struct ew_pair *pair);

EW_END_DECLS

#endif
