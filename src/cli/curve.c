/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring and printing curves. */
#include "curve.h"

#include <math.h>

static const double target = 0.9;

static const char *const rank_names[] = {[EW_RANK_ABSOLUTE] = "absolute",
                                         [EW_RANK_SIGNED] = "signed"};

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* A point that was measured before; false: it was not. */
static bool take_point(const json_t *known, int rank, size_t i,
                       struct ew_curve_point *out)
{
    const json_t *p =
        json_array_get(json_object_get(known, rank_names[rank]), i);
    double metric = number(p, "metric");
    if (isnan(metric) || number(p, "share") != ew_curve_shares[i]) {
        return false;
    }
    *out = (struct ew_curve_point){
        .share = ew_curve_shares[i],
        .chosen = (uint32_t)number(p, "chosen"),
        .edges = (uint32_t)number(p, "edges"),
        .direct = (uint32_t)number(p, "direct"),
        .verdict = {.metric = metric,
                    .recovered = number(p, "recovered"),
                    .error = number(p, "error")},
    };
    return true;
}

static void nothing_known(struct cli_curve *out)
{
    out->cpr = out->cmd = NAN;
    for (size_t i = 0; i < EW_CURVE_SHARES; i++) {
        for (int r = 0; r < 2; r++) {
            out->points[r][i] = (struct ew_curve_point){
                .share = ew_curve_shares[i],
                .verdict = {NAN, NAN, NAN},
            };
        }
    }
}

bool cli_curve_measure(struct cli_curve *out, struct ew_judge *j,
                       const struct ew_graph *g, const float *scores,
                       const struct ew_bitset *truth, const json_t *known,
                       struct cli_progress *progress, const char *what,
                       struct ew_err *err)
{
    struct ew_ranking rankings[2] = {
        [EW_RANK_ABSOLUTE] = {scores, EW_RANK_ABSOLUTE},
        [EW_RANK_SIGNED] = {scores, EW_RANK_SIGNED},
    };
    *out = (struct cli_curve){
        .full = ew_judge_full(j),
        .empty = ew_judge_empty(j),
        .auroc = truth ? ew_roc_area(g, &rankings[EW_RANK_ABSOLUTE], truth)
                       : (double)NAN,
    };
    nothing_known(out);
    for (int r = 0; r < 2; r++) {
        for (size_t i = 0; i < EW_CURVE_SHARES; i++) {
            if (known && take_point(known, r, i, &out->points[r][i])) {
                continue;
            }
            cli_progress_show(progress, "%s: point %zu of %d", what,
                              (size_t)r * EW_CURVE_SHARES + i + 1,
                              2 * EW_CURVE_SHARES);
            struct ew_curve_point point;
            if (!ew_curve_measure(j, &rankings[r], ew_curve_shares[i], &point,
                                  cli_cancel(), err)) {
                return false;
            }
            out->points[r][i] = point;
        }
    }
    out->cpr = ew_curve_area(out->points[EW_RANK_SIGNED], EW_CURVE_SHARES);
    out->cmd =
        ew_curve_distance(out->points[EW_RANK_ABSOLUTE], EW_CURVE_SHARES);
    return ew_curve_reach(j, &rankings[EW_RANK_ABSOLUTE],
                          out->points[EW_RANK_ABSOLUTE], EW_CURVE_SHARES,
                          target, &out->reach, cli_cancel(), err);
}

static json_t *point_json(const struct ew_curve_point *p)
{
    return json_pack("{s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "share",
                     cli_real(p->share), "chosen", (json_int_t)p->chosen,
                     "edges", (json_int_t)p->edges, "direct",
                     (json_int_t)p->direct, "metric",
                     cli_real(p->verdict.metric), "recovered",
                     cli_real(p->verdict.recovered), "error",
                     cli_real(p->verdict.error));
}

json_t *cli_curve_json(const struct cli_curve *c)
{
    json_t *object = json_object();
    json_object_set_new(object, "full", cli_real(c->full));
    json_object_set_new(object, "empty", cli_real(c->empty));
    json_object_set_new(object, "cpr", cli_real(c->cpr));
    json_object_set_new(object, "cmd", cli_real(c->cmd));
    json_object_set_new(object, "recovered_90",
                        c->reach.chosen ? point_json(&c->reach) : json_null());
    json_object_set_new(object, "auroc", cli_real(c->auroc));
    for (int r = 0; r < 2; r++) {
        json_t *points = json_array();
        for (size_t i = 0; i < EW_CURVE_SHARES; i++) {
            json_array_append_new(points, point_json(&c->points[r][i]));
        }
        json_object_set_new(object, rank_names[r], points);
    }
    return object;
}

/* -0.0000 is 0. */
static void add_share(struct cli_table *table, double value)
{
    if (isnan(value)) {
        cli_table_add(table, "-");
    } else {
        cli_table_addf(table, "%.4f", round(1e4 * value) / 1e4 + 0.0);
    }
}

void cli_curve_table(const struct cli_curve *c, struct cli_table *table)
{
    static const char *const head[] = {"best by", "share",  "chosen",
                                       "edges",   "metric", "recovered",
                                       "s.e."};
    static const char *const names[] = {[EW_RANK_ABSOLUTE] = "size",
                                        [EW_RANK_SIGNED] = "score"};
    *table = (struct cli_table){.n_columns = EW_ARRAY_LEN(head),
                                .align = "lrrrrrr"};
    for (size_t i = 0; i < EW_ARRAY_LEN(head); i++) {
        cli_table_add(table, head[i]);
    }
    for (size_t i = 0; i < (size_t)2 * EW_CURVE_SHARES; i++) {
        size_t rank = i / EW_CURVE_SHARES;
        const struct ew_curve_point *p = &c->points[rank][i % EW_CURVE_SHARES];
        cli_table_add(table, names[rank]);
        cli_table_addf(table, "%g", p->share);
        cli_table_addf(table, "%u", p->chosen);
        cli_table_addf(table, "%u", p->edges);
        cli_table_add_real(table, p->verdict.metric);
        add_share(table, p->verdict.recovered);
        add_share(table, p->verdict.error);
    }
}
