/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise eval --completeness`: how far the circuit is from the model when
 * the same nodes are knocked out of both.
 */
#include <stdlib.h>

#include "edgewise/completeness.h"
#include "edgewise/mem.h"

#include "cmd_eval_sets.h"
#include "node_sets.h"

enum { GREEDY_MOST = 10 };

struct job {
    const struct cli_open *open;
    struct cli_node_sets sets;
    struct ew_incompleteness *found; /* of each set, and the greedy one */
    size_t n_found;
    struct ew_bitset *greedy;
    struct cli_progress progress;
};

static void show(void *user, size_t done, size_t total)
{
    struct job *job = user;
    cli_progress_show(&job->progress, "completeness: %s %zu/%zu knock-outs",
                      job->n_found ? "greedy" : "sets", done, total);
}

static bool measure(struct job *job, struct ew_err *err)
{
    struct ew_engine *e = job->open->engine;
    struct ew_bitset *circuit = ew_bitset_clone(ew_engine_kept(e));
    struct ew_completeness_params params = {
        .metric = job->open->metric, .progress = show, .user = job};
    size_t n = job->sets.n;
    const struct ew_bitset **sets = ew_xcalloc(n, sizeof(*sets));
    for (size_t i = 0; i < n; i++) {
        sets[i] = job->sets.items[i].nodes;
    }
    job->found = ew_xcalloc(n + 1, sizeof(*job->found));
    cli_progress_init(&job->progress);
    bool ok = ew_incompleteness(e, circuit, &params, sets, n, job->found,
                                cli_cancel(), err);
    job->n_found = ok ? n : 0;
    ok = ok &&
         ew_incompleteness_greedy(e, circuit, &params, GREEDY_MOST, job->greedy,
                                  &job->found[n], cli_cancel(), err);
    job->n_found += ok;
    cli_progress_clear(&job->progress);
    free(sets);
    ew_bitset_destroy(circuit);
    return ok;
}

static const char *name_of(const struct job *job, size_t i)
{
    return i < job->sets.n ? job->sets.items[i].name : "greedy";
}

static const struct ew_bitset *nodes_of(const struct job *job, size_t i)
{
    return i < job->sets.n ? job->sets.items[i].nodes : job->greedy;
}

static size_t largest(const struct job *job)
{
    size_t best = 0;
    for (size_t i = 1; i < job->n_found; i++) {
        best = job->found[i].size > job->found[best].size ? i : best;
    }
    return best;
}

static void print_json(const struct job *job)
{
    json_t *object = json_object();
    json_t *sets = json_array();
    for (size_t i = 0; i < job->n_found; i++) {
        const struct ew_incompleteness *f = &job->found[i];
        json_array_append_new(
            sets,
            json_pack("{s:s, s:o, s:o, s:o, s:o}", "set", name_of(job, i),
                      "nodes",
                      cli_node_set_json(job->open->graph, nodes_of(job, i)),
                      "circuit", cli_real(f->circuit), "full",
                      cli_real(f->full), "incompleteness", cli_real(f->size)));
    }
    json_object_set_new(object, "metric",
                        json_string(ew_metric_name(job->open->metric)));
    json_object_set_new(object, "task", json_string(job->open->task->name));
    json_object_set_new(object, "sets", sets);
    json_object_set_new(object, "largest",
                        cli_real(job->found[largest(job)].size));
    json_object_set_new(object, "largest_set",
                        json_string(name_of(job, largest(job))));
    cli_json_line(stdout, object);
}

static void print_table(const struct job *job, const struct cli_opts *opts)
{
    static const char *const head[] = {
        "knocked out", "nodes", "circuit", "full", "incompleteness", "which"};
    struct cli_table table = {.n_columns = EW_ARRAY_LEN(head),
                              .align = "lrrrrl"};
    FILE *notes = opts->csv || opts->markdown ? stderr : stdout;
    fprintf(notes, "metric %s = %s\n", ew_metric_name(job->open->metric),
            ew_metric_formula(job->open->metric));
    for (size_t i = 0; i < EW_ARRAY_LEN(head); i++) {
        cli_table_add(&table, head[i]);
    }
    for (size_t i = 0; i < job->n_found; i++) {
        const struct ew_incompleteness *f = &job->found[i];
        struct ew_buf names = {0};
        cli_node_set_print(&names, job->open->graph, nodes_of(job, i));
        cli_table_add(&table, name_of(job, i));
        cli_table_addf(&table, "%zu", ew_bitset_count(nodes_of(job, i)));
        cli_table_add_real(&table, f->circuit);
        cli_table_add_real(&table, f->full);
        cli_table_add_real(&table, f->size);
        cli_table_add(&table, ew_buf_str(&names));
        ew_buf_finish(&names);
    }
    cli_table_print_as(&table, opts, stdout);
    fprintf(notes, "largest incompleteness %.6g, without %s\n",
            job->found[largest(job)].size, name_of(job, largest(job)));
}

bool cli_eval_completeness(struct cli_open *open, const struct cli_opts *opts,
                           struct ew_err *err)
{
    struct job job = {.open = open};
    job.greedy = ew_bitset_create(ew_graph_n_senders(open->graph));
    bool ok =
        cli_node_sets_make(&job.sets, open, opts, err) && measure(&job, err);
    /* interrupted while the greedy set is made, the others are there */
    if (job.n_found > 0 && opts->json) {
        print_json(&job);
    } else if (job.n_found > 0) {
        print_table(&job, opts);
    }
    cli_node_sets_finish(&job.sets);
    ew_bitset_destroy(job.greedy);
    free(job.found);
    return ok;
}
