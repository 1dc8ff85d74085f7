/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a sweep: {"sweep": what was swept, "methods": [{"method",
 * "seconds", "scores": {edge: score}} or, of acdc, {"rungs": [{"threshold",
 * "decisions"}]}]}. Curves are not in it: they are measured again.
 */
#include "sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"

#include "decisions.h"

/* ---- writing ---- */

static json_t *what_is_swept(const struct sweep *s)
{
    const struct cli_open *open = &s->open;
    json_t *o = json_object();
    const struct {
        const char *key;
        const char *value;
    } texts[] = {
        {"model", open->name},
        {"model_hash", open->model->hash},
        {"task", open->task->name},
        {"corruption", open->task->corruption},
        {"metric", ew_metric_name(open->metric)},
        {"ablation", ew_ablation_name(open->ablation)},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(texts); i++) {
        json_object_set_new(o, texts[i].key,
                            texts[i].value ? json_string(texts[i].value)
                                           : json_null());
    }
    json_object_set_new(o, "edges",
                        json_integer(ew_graph_n_edges(open->graph)));
    json_object_set_new(o, "steps", json_integer(s->steps));
    json_object_set_new(o, "seed", json_integer(s->seed));
    json_object_set_new(o, "full", cli_real(ew_judge_full(s->judge)));
    json_object_set_new(o, "empty", cli_real(ew_judge_empty(s->judge)));
    return o;
}

static json_t *rungs_json(const struct sweep *s, const struct ew_ladder *l)
{
    json_t *rungs = json_array();
    for (size_t i = 0; i < ew_ladder_n_rungs(l); i++) {
        const struct ew_rung *rung = ew_ladder_rung(l, i);
        json_t *decisions = json_array();
        for (size_t k = 0; k < rung->n; k++) {
            json_t *d = cli_decision_json(s->open.graph, false,
                                          &rung->decisions[k]);
            json_object_del(d, "acdc"); /* there are many, and all twice */
            json_array_append_new(decisions, d);
        }
        json_array_append_new(rungs, json_pack("{s:f, s:o}", "threshold",
                                               rung->threshold, "decisions",
                                               decisions));
    }
    return rungs;
}

static json_t *scores_json(const struct sweep *s, const float *scores)
{
    const struct ew_graph *g = s->open.graph;
    json_t *object = json_object();
    struct ew_buf name = {0};
    for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
        if (!isnan(scores[e])) {
            ew_buf_clear(&name);
            ew_edge_print(&name, g, e, EW_NAMES_CANONICAL);
            json_object_set_new(object, ew_buf_str(&name),
                                json_real((double)scores[e]));
        }
    }
    ew_buf_finish(&name);
    return object;
}

bool sweep_save(struct sweep *s, struct ew_err *err)
{
    s->saved_ns = cli_now_ns();
    if (!s->path) {
        return true;
    }
    json_t *methods = json_array();
    for (size_t i = 0; i < s->n_rows; i++) {
        const struct sweep_row *row = &s->rows[i];
        json_t *o = json_object();
        json_object_set_new(o, "method", json_string(row->name));
        json_object_set_new(o, "seconds", json_real(row->seconds));
        if (row->ladder) {
            json_object_set_new(o, "rungs", rungs_json(s, row->ladder));
        } else {
            json_object_set_new(o, "scores", scores_json(s, row->scores));
        }
        json_array_append_new(methods, o);
    }
    json_t *file = json_pack("{s:o, s:o}", "sweep", what_is_swept(s),
                             "methods", methods);
    char *text = json_dumps(file, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    bool ok = ew_file_write(s->path, text, strlen(text), err);
    free(text);
    json_decref(file);
    return ok;
}

/* ---- reading ---- */

static bool check(const struct sweep *s, const json_t *file, const char *path,
                  struct ew_err *err)
{
    json_t *here = what_is_swept(s);
    const json_t *there = json_object_get(file, "sweep");
    bool ok = true;
    const char *key;
    json_t *value;
    json_object_foreach(here, key, value)
    {
        const json_t *other = json_object_get(there, key);
        double x = json_number_value(value);
        bool same = json_is_real(value)
                        ? json_is_number(other) &&
                              fabs(json_number_value(other) - x) <=
                                  1e-4 * fmax(1.0, fabs(x))
                        : json_equal(value, (json_t *)other) != 0;
        if (ok && !same && strcmp(key, "model") != 0) {
            char *want = json_dumps(value, JSON_ENCODE_ANY);
            char *found = other ? json_dumps(other, JSON_ENCODE_ANY) : NULL;
            ok = ew_fail(err, EW_ERR_INPUT,
                         "%s: sweep: %s: expected %s as in this sweep, found "
                         "%s",
                         path, key, want, found ? found : "none");
            free(want);
            free(found);
        }
    }
    json_decref(here);
    return ok;
}

static const json_t *find_method(const json_t *file, const char *name)
{
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(file, "methods"), i, o)
    {
        const char *method = json_string_value(json_object_get(o, "method"));
        if (method && strcmp(method, name) == 0) {
            return o;
        }
    }
    return NULL;
}

bool sweep_load_thresholds(struct sweep *s, const json_t *file,
                           const char *path, struct ew_err *err)
{
    const json_t *rungs = json_object_get(find_method(file, "acdc"), "rungs");
    size_t n = json_array_size(rungs);
    s->thresholds = ew_xcalloc(n + 1, sizeof(*s->thresholds));
    for (size_t i = 0; i < n; i++) {
        const json_t *t =
            json_object_get(json_array_get(rungs, i), "threshold");
        if (!json_is_number(t)) {
            return ew_fail(err, EW_ERR_INPUT,
                           "%s: rungs[%zu].threshold: expected a number", path,
                           i);
        }
        s->thresholds[s->n_thresholds++] = json_number_value(t);
    }
    return true;
}

static bool load_rungs(struct sweep *s, struct sweep_row *row,
                       const json_t *rungs, const char *path,
                       struct ew_err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < s->n_thresholds; i++) {
        const json_t *rung = json_array_get(rungs, i);
        double threshold =
            json_number_value(json_object_get(rung, "threshold"));
        if (!rung || threshold != s->thresholds[i]) {
            return ew_fail(err, EW_ERR_INPUT,
                           "%s: rungs[%zu].threshold: expected %.17g as in "
                           "this sweep",
                           path, i, s->thresholds[i]);
        }
        struct cli_decisions all = {0};
        size_t k;
        json_t *d;
        json_array_foreach(json_object_get(rung, "decisions"), k, d)
        {
            char *name = ew_xasprintf("%s: rungs[%zu].decisions[%zu]", path,
                                      i, k);
            ok = ok && cli_decisions_add(&all, s->open.graph, false, d, name,
                                         err);
            free(name);
        }
        if (ok) {
            ew_ladder_know(row->ladder, i, all.items, all.n);
        }
        cli_decisions_finish(&all);
    }
    return ok;
}

static bool load_scores(struct sweep *s, struct sweep_row *row,
                        const json_t *scores, const char *path,
                        struct ew_err *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)scores, name, value)
    {
        uint32_t edge;
        if (!ew_edge_parse(s->open.graph, name, &edge, err)) {
            return ew_fail_prefix(err, "%s", path);
        }
        if (!json_is_number(value)) {
            return ew_fail(err, EW_ERR_INPUT,
                           "%s: %s: expected a number, found %s", path, name,
                           ew_json_kind(value));
        }
        row->scores[edge] = (float)json_number_value(value);
    }
    return true;
}

bool sweep_load(struct sweep *s, const json_t *file, const char *path,
                struct ew_err *err)
{
    if (!check(s, file, path, err)) {
        return false;
    }
    for (size_t i = 0; i < s->n_rows; i++) {
        struct sweep_row *row = &s->rows[i];
        const json_t *o = find_method(file, row->name);
        if (!o) {
            continue;
        }
        row->seconds = json_number_value(json_object_get(o, "seconds"));
        if (row->ladder
                ? !load_rungs(s, row, json_object_get(o, "rungs"), path, err)
                : !load_scores(s, row, json_object_get(o, "scores"), path,
                               err)) {
            return false;
        }
    }
    return true;
}
