/* SPDX-License-Identifier: Apache-2.0 */
/* Reading scores, and finding out what their sign means. */
#include "scores.h"

#include <math.h>
#include <stdlib.h>

#include "edgewise/mem.h"
#include "edgewise/names.h"
#include "edgewise/scan.h"

enum { N_PROBES = 10 };

bool cli_scores_load(struct cli_scores *out, const struct ew_graph *g,
                     const char *path, struct ew_err *err)
{
    struct ew_edge_list list;
    if (!ew_edge_list_load(&list, path, err)) {
        return false;
    }
    uint32_t n = ew_graph_n_edges(g);
    *out = (struct cli_scores){.sign = list.sign};
    out->scores = ew_xcalloc(n, sizeof(*out->scores));
    for (uint32_t e = 0; e < n; e++) {
        out->scores[e] = NAN;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < list.n; i++) {
        const struct ew_listed *item = &list.items[i];
        uint32_t edge;
        if (item->kind == EW_LISTED_PLACEHOLDER || isnan(item->score)) {
            continue;
        }
        ok = ew_edge_parse(g, item->name, &edge, err) ||
             ew_fail_prefix(err, "%s", path);
        if (ok) {
            out->n_known += isnan(out->scores[edge]);
            out->scores[edge] = item->score;
        }
    }
    ew_edge_list_finish(&list);
    if (ok && out->n_known == 0) {
        ok = ew_fail(err, EW_ERR_INPUT, "%s: no edge has a score", path);
    }
    if (ok && out->sign == EW_SIGN_HARMFUL) {
        cli_scores_flip(out, g);
    }
    if (ok) {
        return true;
    }
    cli_scores_finish(out);
    return false;
}

void cli_scores_finish(struct cli_scores *s)
{
    free(s->scores);
    *s = (struct cli_scores){0};
}

void cli_scores_flip(struct cli_scores *s, const struct ew_graph *g)
{
    for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
        s->scores[e] = -s->scores[e];
    }
}

bool cli_scores_probe(const struct cli_scores *s, struct ew_engine *e,
                      enum ew_metric metric, size_t *n, size_t *n_agree,
                      struct ew_err *err)
{
    const struct ew_graph *g = ew_engine_graph(e);
    unsigned want = ew_metric_want(metric);
    uint32_t n_edges = ew_graph_n_edges(g);
    struct ew_bitset *full = ew_bitset_create(n_edges);
    uint32_t *order = ew_xcalloc(n_edges, sizeof(*order));
    struct ew_what_if ifs[N_PROBES];
    struct ew_score scores[N_PROBES];
    struct ew_score now;
    size_t known =
        ew_scan_rank(s->scores, n_edges, EW_RANK_ABSOLUTE, order);
    *n = known < N_PROBES ? known : N_PROBES;
    *n_agree = 0;
    for (size_t i = 0; i < *n; i++) {
        ifs[i] = (struct ew_what_if){&order[i], 1};
    }
    ew_bitset_fill(full, true);
    bool ok = ew_engine_set(e, full, cli_cancel(), err) &&
              ew_engine_score(e, want, &now, cli_cancel(), err) &&
              ew_engine_what_if(e, ifs, *n, want, scores, NULL, cli_cancel(),
                                err);
    for (size_t i = 0; ok && i < *n; i++) {
        double effect = ew_score_metric(&scores[i], metric) -
                        ew_score_metric(&now, metric);
        *n_agree += effect * (double)s->scores[order[i]] > 0;
    }
    ew_bitset_destroy(full);
    free(order);
    return ok;
}
