/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise scan --edge E --positions --roles`: the effect of cutting an edge
 * at each position alone, and at the positions of each role of the task.
 */
#include "cmd_scan_positions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"
#include "edgewise/names.h"
#include "edgewise/positions.h"

#include "open.h"

struct place {
    const struct ew_role *role; /* NULL: a position */
    int32_t position;
    struct ew_bitset *where;
};

struct effect {
    double size;  /* metric without the edge minus metric with it */
    double error; /* standard error over prompts; NaN: not known by prompt */
};

struct job {
    struct cli_open open;
    uint32_t *edges; /* as given */
    size_t n_edges;
    size_t cap;
    size_t n_done; /* of them */
    struct place *places;
    size_t n_places;
    struct effect *effects; /* (n_edges, 1 + n_places): everywhere first */
};

/* ---- what is asked ---- */

static bool add_edge(void *user, const char *piece, struct ew_err *err)
{
    struct job *job = user;
    uint32_t edge;
    if (!ew_edge_parse(job->open.graph, piece, &edge, err)) {
        return ew_fail_prefix(err, "--edge");
    }
    job->edges =
        ew_grow(job->edges, job->n_edges, &job->cap, sizeof(*job->edges));
    job->edges[job->n_edges++] = edge;
    return true;
}

static bool check_options(const struct cli_opts *opts, struct ew_err *err)
{
    if (opts->picked.n == 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--positions and --roles: of which edge? --edge is "
                       "needed");
    }
    if (!opts->positions && !opts->roles) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--edge: --positions or --roles is needed");
    }
    if (opts->method && strcmp(opts->method, "exact") != 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--method: effects at single positions are exact");
    }
    if (opts->select || opts->resume || opts->output.n > 0 || opts->nodes ||
        opts->sort || opts->top > 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--edge excludes --select, --resume, --output, --nodes, "
                       "--sort and --top");
    }
    return true;
}

static void add_place(struct job *job, const struct ew_role *role,
                      int32_t position)
{
    const struct ew_task *task = job->open.task;
    struct ew_bitset *where = ew_bitset_create(task->n_prompts * task->n_pos);
    for (size_t b = 0; b < task->n_prompts; b++) {
        int32_t p = role ? role->positions[b] : position;
        if (p >= 0 && p < task->length[b]) {
            ew_bitset_put(where, b * task->n_pos + (size_t)p, true);
        }
    }
    job->places[job->n_places++] = (struct place){role, position, where};
}

static bool list_places(struct job *job, const struct cli_opts *opts,
                        struct ew_err *err)
{
    const struct ew_task *task = job->open.task;
    if (opts->roles && task->n_roles == 0) {
        return ew_fail(err, EW_ERR_INPUT, "--roles: task %s names no positions",
                       task->name);
    }
    job->places = ew_xcalloc(task->n_pos + task->n_roles, sizeof(*job->places));
    for (size_t p = 0; opts->positions && p < task->n_pos; p++) {
        add_place(job, NULL, (int32_t)p);
    }
    for (size_t i = 0; opts->roles && i < task->n_roles; i++) {
        add_place(job, &task->roles[i], -1);
    }
    job->effects =
        ew_xcalloc(job->n_edges * (1 + job->n_places), sizeof(*job->effects));
    return true;
}

/* ---- measuring ---- */

struct measured { /* the circuit, or a what-if */
    struct ew_score score;
    double *ld; /* by prompt */
};

static struct effect effect_of(const struct job *job, bool kept,
                               const struct measured *now,
                               const struct measured *then)
{
    const struct cli_open *open = &job->open;
    double sign = kept ? 1.0 : -1.0;
    struct effect out = {sign * (ew_score_metric(&then->score, open->metric) -
                                 ew_score_metric(&now->score, open->metric)),
                         NAN};
    size_t n = open->task->n_prompts;
    if (open->metric == EW_METRIC_LOGIT_DIFF && n > 1) {
        double sum = 0;
        for (size_t b = 0; b < n; b++) {
            double off = sign * (now->ld[b] - then->ld[b]) - out.size;
            sum += off * off;
        }
        out.error = sqrt(sum / ((double)n - 1) / (double)n);
    }
    return out;
}

static bool measure_edge(struct job *job, size_t index,
                         const struct measured *now, struct ew_err *err)
{
    struct ew_engine *e = job->open.engine;
    size_t n = job->n_places;
    size_t n_prompts = job->open.task->n_prompts;
    unsigned want = ew_metric_want(job->open.metric) | EW_WANT_LOGIT_DIFF;
    uint32_t edge = job->edges[index];
    struct ew_what_if whole = {&edge, 1};
    struct ew_score *scores = ew_xcalloc(2 + n, sizeof(*scores));
    double *ld = ew_xcalloc((2 + n) * n_prompts, sizeof(*ld));
    const struct ew_bitset **where = ew_xcalloc(1 + n, sizeof(*where));
    struct ew_bitset *nowhere =
        ew_bitset_create(n_prompts * job->open.task->n_pos);
    for (size_t i = 0; i < n; i++) {
        where[i] = job->places[i].where;
    }
    where[n] = nowhere; /* rounded as its neighbours are, so that 0 is 0 */
    bool ok =
        ew_engine_what_if(e, &whole, 1, want, scores, ld, cli_cancel(), err) &&
        ew_engine_flip_at(e, edge, where, n + 1, want, scores + 1,
                          ld + n_prompts, cli_cancel(), err);
    bool kept = ew_bitset_has(ew_engine_kept(e), edge);
    struct measured base = {scores[1 + n], ld + (1 + n) * n_prompts};
    for (size_t i = 0; ok && i < 1 + n; i++) {
        struct measured then = {scores[i], ld + i * n_prompts};
        job->effects[index * (1 + n) + i] =
            effect_of(job, kept, i ? &base : now, &then);
    }
    ew_bitset_destroy(nowhere);
    free(scores);
    free(ld);
    free(where);
    return ok;
}

static bool measure(struct job *job, struct ew_err *err)
{
    struct ew_engine *e = job->open.engine;
    struct cli_progress progress;
    struct measured now = {0};
    unsigned want = ew_metric_want(job->open.metric) | EW_WANT_LOGIT_DIFF;
    now.ld = ew_xcalloc(job->open.task->n_prompts, sizeof(*now.ld));
    cli_progress_init(&progress);
    bool ok = ew_engine_score(e, want, &now.score, cli_cancel(), err) &&
              ew_engine_logit_diffs(e, now.ld, cli_cancel(), err);
    if (ok && isnan(ew_score_metric(&now.score, job->open.metric))) {
        ok = ew_fail(err, EW_ERR_INPUT, "metric %s is not defined for task %s",
                     ew_metric_name(job->open.metric), job->open.task->name);
    }
    for (size_t i = 0; ok && i < job->n_edges; i++) {
        cli_progress_show(&progress, "edge %zu of %zu", i + 1, job->n_edges);
        ok = measure_edge(job, i, &now, err);
        job->n_done += ok;
    }
    cli_progress_clear(&progress);
    free(now.ld);
    return ok;
}

/* ---- results ---- */

/* Roles that have this position in the first prompt. */
static void print_roles(struct ew_buf *out, const struct ew_task *task,
                        int32_t position)
{
    for (size_t i = 0; i < task->n_roles; i++) {
        if (task->roles[i].positions[0] == position) {
            ew_buf_printf(out, "%s%s", out->len ? "," : "",
                          task->roles[i].name);
        }
    }
}

static bool in_first(const struct ew_task *task, const struct place *place)
{
    return !place->role && place->position < task->length[0];
}

static void add_row(struct cli_table *table, const struct job *job,
                    uint32_t edge, const struct place *place,
                    const struct effect *effect)
{
    const struct ew_task *task = job->open.task;
    struct ew_buf text = {0};
    ew_edge_print(&text, job->open.graph, edge, EW_NAMES_CANONICAL);
    cli_table_add(table, ew_buf_str(&text));
    ew_buf_clear(&text);
    if (place && !place->role) {
        cli_table_addf(table, "%d", (int)place->position);
    } else {
        cli_table_add(table, place ? "" : "all");
    }
    if (place && in_first(task, place)) {
        ew_token_print(&text, job->open.tok, task->clean[place->position]);
    }
    cli_table_add(table, ew_buf_str(&text));
    ew_buf_clear(&text);
    if (place && place->role) {
        ew_buf_add(&text, place->role->name);
    } else if (place && in_first(task, place)) {
        print_roles(&text, task, place->position);
    }
    cli_table_add(table, ew_buf_str(&text));
    ew_buf_finish(&text);
    cli_table_addf(table, "%+.6g", effect->size);
    cli_table_add_real(table, effect->error);
}

static void print_table(const struct job *job, const struct cli_opts *opts)
{
    static const char *const head[] = {"edge",  "position", "token",
                                       "roles", "effect",   "s.e."};
    struct cli_table table = {.n_columns = EW_ARRAY_LEN(head),
                              .align = "lrllrr"};
    FILE *notes = opts->csv || opts->markdown ? stderr : stdout;
    fprintf(notes,
            "effect: %s without the edge at these positions minus with it; "
            "tokens and roles are the first prompt's; %s = %s\n",
            ew_metric_name(job->open.metric), ew_metric_name(job->open.metric),
            ew_metric_formula(job->open.metric));
    for (size_t i = 0; i < EW_ARRAY_LEN(head); i++) {
        cli_table_add(&table, head[i]);
    }
    for (size_t i = 0; i < job->n_done; i++) {
        const struct effect *effects = job->effects + i * (1 + job->n_places);
        add_row(&table, job, job->edges[i], NULL, effects);
        for (size_t k = 0; k < job->n_places; k++) {
            add_row(&table, job, job->edges[i], &job->places[k],
                    &effects[1 + k]);
        }
    }
    cli_table_print_as(&table, opts, stdout);
}

static json_t *effect_json(const struct effect *effect)
{
    json_t *o = json_object();
    json_object_set_new(o, "effect", cli_real(effect->size));
    json_object_set_new(o, "error", cli_real(effect->error));
    return o;
}

static json_t *position_json(const struct job *job, const struct place *place,
                             const struct effect *effect)
{
    const struct ew_task *task = job->open.task;
    json_t *o = effect_json(effect);
    json_object_set_new(o, "position", json_integer(place->position));
    json_t *roles = json_array();
    if (in_first(task, place)) {
        struct ew_buf token = {0};
        ew_token_print(&token, job->open.tok, task->clean[place->position]);
        json_object_set_new(o, "token", json_string(ew_buf_str(&token)));
        ew_buf_finish(&token);
    } else {
        json_object_set_new(o, "token", json_null());
    }
    for (size_t i = 0; in_first(task, place) && i < task->n_roles; i++) {
        if (task->roles[i].positions[0] == place->position) {
            json_array_append_new(roles, json_string(task->roles[i].name));
        }
    }
    json_object_set_new(o, "roles", roles);
    return o;
}

static void print_json(const struct job *job)
{
    struct cli_array array;
    cli_array_open(&array, stdout, 15);
    for (size_t i = 0; i < job->n_done; i++) {
        const struct effect *effects = job->effects + i * (1 + job->n_places);
        json_t *item = json_object();
        json_t *positions = json_array();
        json_t *roles = json_array();
        cli_json_edge(item, job->open.graph, job->edges[i]);
        json_object_set_new(item, "all", effect_json(&effects[0]));
        for (size_t k = 0; k < job->n_places; k++) {
            const struct place *place = &job->places[k];
            if (place->role) {
                json_t *o = effect_json(&effects[1 + k]);
                json_object_set_new(o, "role", json_string(place->role->name));
                json_array_append_new(roles, o);
            } else {
                json_array_append_new(
                    positions, position_json(job, place, &effects[1 + k]));
            }
        }
        json_object_set_new(item, "positions", positions);
        json_object_set_new(item, "roles", roles);
        cli_array_item(&array, item);
    }
    cli_array_close(&array);
}

static void finish(struct job *job)
{
    for (size_t i = 0; i < job->n_places; i++) {
        ew_bitset_destroy(job->places[i].where);
    }
    free(job->places);
    free(job->edges);
    free(job->effects);
    cli_close(&job->open);
}

bool cli_scan_positions(const struct cli_opts *opts, struct ew_err *err)
{
    struct job job = {0};
    bool ok = check_options(opts, err) && cli_open_graph(&job.open, opts, err);
    for (size_t i = 0; ok && i < opts->picked.n; i++) {
        ok = cli_split(opts->picked.items[i].text, add_edge, &job, err);
    }
    ok = ok && cli_open_engine(&job.open, EW_WANT_LOGIT_DIFF, opts, err) &&
         (!opts->circuit || cli_set_circuit(&job.open, opts->circuit, err)) &&
         list_places(&job, opts, err);
    if (ok) {
        ok = measure(&job, err);
        /* an interrupted run gives the edges that it has */
        if (opts->json) {
            print_json(&job);
        } else {
            print_table(&job, opts);
        }
        if (!ok && err->code == EW_ERR_CANCELLED) {
            fprintf(stderr, "edgewise scan: interrupted after %zu edges\n",
                    job.n_done);
        }
    }
    finish(&job);
    return ok;
}
