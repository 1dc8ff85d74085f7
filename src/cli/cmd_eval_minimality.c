/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise eval --minimality`: what each edge of the circuit makes at most,
 * whatever else is knocked out.
 */
#include <math.h>
#include <stdlib.h>

#include "edgewise/completeness.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"
#include "edgewise/scan.h"

#include "cmd_eval_sets.h"
#include "node_sets.h"

struct job {
    const struct cli_open *open;
    struct cli_node_sets sets;
    size_t n_done;   /* sets */
    double *size;    /* n_edges; NaN: not in the circuit */
    uint32_t *which; /* n_edges: the set where it is so large */
    uint32_t *order; /* the circuit's edges, the largest first */
    size_t n;
    struct cli_progress progress;
};

static void show(void *user, size_t done, size_t total)
{
    struct job *job = user;
    cli_progress_show(&job->progress, "minimality: set %zu of %zu, %zu/%zu",
                      job->n_done + 1, job->sets.n, done, total);
}

static bool measure(struct job *job, struct ew_err *err)
{
    struct ew_engine *e = job->open->engine;
    struct ew_bitset *circuit = ew_bitset_clone(ew_engine_kept(e));
    struct ew_completeness_params params = {
        .metric = job->open->metric, .progress = show, .user = job};
    bool ok = true;
    cli_progress_init(&job->progress);
    for (size_t i = 0; ok && i < job->sets.n; i++) {
        ok = ew_minimality_add(e, circuit, &params, job->sets.items[i].nodes,
                               (uint32_t)i, job->size, job->which, cli_cancel(),
                               err);
        job->n_done += ok;
    }
    cli_progress_clear(&job->progress);
    ew_bitset_destroy(circuit);
    return ok;
}

/* The largest first, equal ones by number. */
static void sort(struct job *job)
{
    uint32_t n_edges = ew_graph_n_edges(job->open->graph);
    float *scores = ew_xcalloc(n_edges, sizeof(*scores));
    for (uint32_t e = 0; e < n_edges; e++) {
        scores[e] = (float)job->size[e];
    }
    job->n = ew_scan_rank(scores, n_edges, EW_RANK_ABSOLUTE, job->order);
    free(scores);
}

static void print_json(const struct job *job)
{
    struct cli_array array;
    cli_array_open(&array, stdout, 15);
    for (size_t i = 0; i < job->n; i++) {
        uint32_t edge = job->order[i];
        json_t *item = json_object();
        cli_json_edge(item, job->open->graph, edge);
        json_object_set_new(item, "minimality", cli_real(job->size[edge]));
        json_object_set_new(
            item, "set", json_string(job->sets.items[job->which[edge]].name));
        cli_array_item(&array, item);
    }
    cli_array_close(&array);
}

static void print_table(const struct job *job, const struct cli_opts *opts)
{
    static const char *const head[] = {"edge", "minimality", "without"};
    struct cli_table table = {.n_columns = EW_ARRAY_LEN(head), .align = "lrl"};
    FILE *notes = opts->csv || opts->markdown ? stderr : stdout;
    fprintf(notes,
            "the largest change of %s that cutting an edge makes, over %zu "
            "sets of nodes that are knocked out\n",
            ew_metric_name(job->open->metric), job->n_done);
    for (size_t i = 0; i < EW_ARRAY_LEN(head); i++) {
        cli_table_add(&table, head[i]);
    }
    struct ew_buf name = {0};
    for (size_t i = 0; i < job->n; i++) {
        uint32_t edge = job->order[i];
        ew_buf_clear(&name);
        ew_edge_print(&name, job->open->graph, edge, EW_NAMES_CANONICAL);
        cli_table_add(&table, ew_buf_str(&name));
        cli_table_add_real(&table, job->size[edge]);
        cli_table_add(&table, job->sets.items[job->which[edge]].name);
    }
    cli_table_print_as(&table, opts, stdout);
    ew_buf_finish(&name);
}

bool cli_eval_minimality(struct cli_open *open, const struct cli_opts *opts,
                         struct ew_err *err)
{
    struct job job = {.open = open};
    uint32_t n = ew_graph_n_edges(open->graph);
    job.size = ew_xcalloc(n, sizeof(*job.size));
    job.which = ew_xcalloc(n, sizeof(*job.which));
    job.order = ew_xcalloc(n, sizeof(*job.order));
    for (uint32_t e = 0; e < n; e++) {
        job.size[e] = NAN;
    }
    bool ok =
        cli_node_sets_make(&job.sets, open, opts, err) && measure(&job, err);
    sort(&job);
    if (opts->top > 0 && job.n > (size_t)opts->top) {
        job.n = (size_t)opts->top;
    }
    /* interrupted, it is over the sets that were done */
    if (job.n_done > 0 && opts->json) {
        print_json(&job);
    } else if (job.n_done > 0) {
        print_table(&job, opts);
    }
    if (!ok && err->code == EW_ERR_CANCELLED) {
        fprintf(stderr, "edgewise eval: interrupted after %zu of %zu sets\n",
                job.n_done, job.sets.n);
    }
    cli_node_sets_finish(&job.sets);
    free(job.size);
    free(job.which);
    free(job.order);
    return ok;
}
