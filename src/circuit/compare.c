/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists of edges are matched by name: both are sorted and merged. Results
 * are then put back into the order of the lists.
 */
#include "edgewise/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

struct matching {
    struct ew_comparison *out;
    const struct ew_edge_list *a;
    const struct ew_edge_list *b;
    double tolerance;
    const struct ew_listed **of_a; /* (a->n) its partner in B, or NULL */
    const struct ew_listed **of_b;
};

void ew_comparison_finish(struct ew_comparison *c)
{
    free(c->missing.items);
    free(c->extra.items);
    free(c->kinds.items);
    free(c->scores.items);
    free(c->rows);
    free(c->scores_a);
    free(c->scores_b);
    *c = (struct ew_comparison){0};
}

double ew_jaccard(size_t n_a, size_t n_b, size_t n_both)
{
    size_t either = n_a + n_b - n_both;
    return either ? (double)n_both / (double)either : 1.0;
}

bool ew_comparison_same(const struct ew_comparison *c)
{
    return c->missing.n + c->extra.n + c->kinds.n + c->scores.n == 0;
}

double ew_comparison_score_b(const struct ew_comparison *c,
                             const struct ew_pair *pair)
{
    double score = (double)pair->b->score;
    return c->turned ? -score : score;
}

/* ---- matching ---- */

static int by_name(const void *x, const void *y)
{
    const struct ew_listed *a = *(const struct ew_listed *const *)x;
    const struct ew_listed *b = *(const struct ew_listed *const *)y;
    return strcmp(a->name, b->name);
}

static const struct ew_listed **sorted(const struct ew_edge_list *list)
{
    const struct ew_listed **items = ew_xcalloc(list->n + 1, sizeof(*items));
    for (size_t i = 0; i < list->n; i++) {
        items[i] = &list->items[i];
    }
    qsort(items, list->n, sizeof(*items), by_name);
    return items;
}

static void match(struct matching *m)
{
    const struct ew_listed **a = sorted(m->a);
    const struct ew_listed **b = sorted(m->b);
    for (size_t i = 0, j = 0; i < m->a->n && j < m->b->n;) {
        int order = strcmp(a[i]->name, b[j]->name);
        if (order == 0) {
            m->of_a[a[i] - m->a->items] = b[j];
            m->of_b[b[j] - m->b->items] = a[i];
        }
        i += order <= 0;
        j += order >= 0;
    }
    free(a);
    free(b);
}

/* ---- differences ---- */

static void add(struct ew_pairs *pairs, const struct ew_listed *a,
                const struct ew_listed *b)
{
    pairs->items =
        ew_grow(pairs->items, pairs->n, &pairs->cap, sizeof(*pairs->items));
    pairs->items[pairs->n++] = (struct ew_pair){a, b};
}

static void compare_scores(struct matching *m, const struct ew_listed *a,
                           const struct ew_listed *b)
{
    struct ew_comparison *out = m->out;
    struct ew_pair pair = {a, b};
    double x = (double)a->score;
    double y = ew_comparison_score_b(out, &pair);
    if (isnan(x) || isnan(y)) {
        return;
    }
    double apart = fabs(x - y);
    double scale = fmax(1.0, fmax(fabs(x), fabs(y)));
    out->scores_a[out->n_scored] = x;
    out->scores_b[out->n_scored++] = y;
    out->largest = fmax(out->largest, apart);
    if (apart > m->tolerance * scale) {
        add(&out->scores, a, b);
    }
}

/* An edge counts when its kind is compared, or when both sides list it. */
static bool counts(const struct matching *m, const struct ew_listed *item,
                   const struct ew_listed *partner)
{
    return partner || m->out->compared[item->kind];
}

static void walk_a(struct matching *m)
{
    for (size_t i = 0; i < m->a->n; i++) {
        const struct ew_listed *a = &m->a->items[i];
        const struct ew_listed *b = m->of_a[i];
        if (!counts(m, a, b)) {
            continue;
        }
        bool both = a->kept && b && b->kept;
        m->out->n_a += a->kept;
        m->out->n_both += both;
        if (a->kept && !both) {
            add(&m->out->missing, a, b);
        }
        if (b && a->kind != b->kind) {
            add(&m->out->kinds, a, b);
        }
        if (b) {
            compare_scores(m, a, b);
        }
    }
}

static void walk_b(struct matching *m)
{
    for (size_t i = 0; i < m->b->n; i++) {
        const struct ew_listed *b = &m->b->items[i];
        const struct ew_listed *a = m->of_b[i];
        if (!counts(m, b, a) || !b->kept) {
            continue;
        }
        m->out->n_b++;
        if (!a || !a->kept) {
            add(&m->out->extra, a, b);
        }
    }
}

/* ---- agreement ---- */

static int n_layers_of(const struct ew_edge_list *list)
{
    return list->graph ? ew_graph_spec(list->graph)->n_layers : 0;
}

/* Layers in order, then the logits, then what has none. */
static size_t row_of(const struct ew_listed *item, int n_layers)
{
    int layer = item->layer >= 0                 ? item->layer
                : item->layer == EW_LAYER_LOGITS ? n_layers
                                                 : n_layers + 1;
    return (size_t)layer * EW_N_LISTED_KINDS + (size_t)item->kind;
}

static void agree(struct matching *m)
{
    struct ew_comparison *out = m->out;
    int layers_a = n_layers_of(m->a);
    int layers_b = n_layers_of(m->b);
    int n_layers = layers_a > layers_b ? layers_a : layers_b;
    size_t n = (size_t)(n_layers + 2) * EW_N_LISTED_KINDS;
    struct ew_agreement *rows = ew_xcalloc(n, sizeof(*rows));
    for (size_t i = 0; i < n; i++) {
        int layer = (int)(i / EW_N_LISTED_KINDS);
        rows[i].layer = layer < n_layers    ? layer
                        : layer == n_layers ? EW_LAYER_LOGITS
                                            : EW_LAYER_UNKNOWN;
        rows[i].kind = (enum ew_listed_kind)(i % EW_N_LISTED_KINDS);
    }
    for (size_t i = 0; i < m->a->n; i++) {
        const struct ew_listed *a = &m->a->items[i];
        const struct ew_listed *b = m->of_a[i];
        struct ew_agreement *row = &rows[row_of(a, n_layers)];
        if (a->kept && counts(m, a, b)) {
            row->n_a++;
            row->n_both += b && b->kept && b->kind == a->kind;
        }
    }
    for (size_t i = 0; i < m->b->n; i++) {
        const struct ew_listed *b = &m->b->items[i];
        if (b->kept && counts(m, b, m->of_b[i])) {
            rows[row_of(b, n_layers)].n_b++;
        }
    }
    out->rows = rows;
    for (size_t i = 0; i < n; i++) {
        if (rows[i].n_a + rows[i].n_b > 0) {
            rows[out->n_rows++] = rows[i];
        }
    }
}

/* ---- the whole ---- */

void ew_compare(struct ew_comparison *out, const struct ew_edge_list *a,
                const struct ew_edge_list *b, double tolerance)
{
    *out = (struct ew_comparison){
        .turned = a->sign != b->sign && a->sign != EW_SIGN_UNKNOWN &&
                  b->sign != EW_SIGN_UNKNOWN,
    };
    for (int k = 0; k < EW_N_LISTED_KINDS; k++) {
        out->compared[k] = a->lists[k] && b->lists[k];
    }
    struct matching m = {
        .out = out,
        .a = a,
        .b = b,
        .tolerance = tolerance,
        .of_a = ew_xcalloc(a->n + 1, sizeof(*m.of_a)),
        .of_b = ew_xcalloc(b->n + 1, sizeof(*m.of_b)),
    };
    out->scores_a = ew_xcalloc(a->n + 1, sizeof(*out->scores_a));
    out->scores_b = ew_xcalloc(a->n + 1, sizeof(*out->scores_b));
    match(&m);
    walk_a(&m);
    walk_b(&m);
    agree(&m);
    free(m.of_a);
    free(m.of_b);
}
