/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise scan`: a score for every edge. An interrupted scan prints and
 * writes the scores it has, and a later one can take them over.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"
#include "edgewise/names.h"
#include "edgewise/scan.h"
#include "edgewise/select.h"
#include "edgewise/unit.h"

#include "cmd_scan_positions.h"
#include "open.h"

struct job {
    struct cli_open open;
    struct ew_scan_params params;
    enum ew_rank rank;
    struct ew_scan *scan;
    struct ew_selection selection;
    struct ew_selected selected;
    struct ew_bitset *kept; /* the selection; NULL: none */
    struct cli_progress progress;
    uint32_t n_resumed; /* known before it began */
    long long start_ns;
    double seconds; /* of the scan alone */
};

/* ---- options ---- */

static bool read_rank(struct job *job, const struct cli_opts *opts,
                      struct ew_err *err)
{
    job->rank = EW_RANK_ABSOLUTE;
    if (opts->sort && strcmp(opts->sort, "signed") == 0) {
        job->rank = EW_RANK_SIGNED;
    } else if (opts->sort && strcmp(opts->sort, "absolute") != 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--sort: expected signed or absolute, found '%s'",
                       opts->sort);
    }
    return true;
}

static bool read_selection(struct job *job, const struct cli_opts *opts,
                           struct ew_err *err)
{
    job->selection = (struct ew_selection){
        .rank = job->rank, .prune = opts->prune, .nodes = opts->nodes};
    if (opts->prune && !opts->select) {
        return ew_fail(err, EW_ERR_USAGE, "--prune: what? --select is needed");
    }
    if (opts->select &&
        !ew_selection_parse(opts->select, &job->selection, err)) {
        return ew_fail_prefix(err, "--select");
    }
    return true;
}

/* Are the scores those of the model with all its edges? */
static bool is_plain(const struct ew_scan_method *method)
{
    return method->needs & (EW_SCAN_GRADIENT | EW_SCAN_PLAIN);
}

static bool read_normalise(struct ew_scan_params *p, const char *text,
                           struct ew_err *err)
{
    p->official = text && strcmp(text, "official") == 0;
    if (text && !p->official && strcmp(text, "mean") != 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--normalise: expected mean or official, found '%s'",
                       text);
    }
    if (p->official && !(p->method->needs & EW_SCAN_GRADIENT)) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--normalise: the official code does not divide %s by "
                       "the batch",
                       p->method->name);
    }
    return true;
}

static bool read_params(struct job *job, const struct cli_opts *opts,
                        struct ew_err *err)
{
    struct ew_scan_params *p = &job->params;
    if (!opts->method) {
        return ew_fail(err, EW_ERR_USAGE, "--method is needed");
    }
    p->method = ew_scan_find(opts->method, err);
    if (!p->method) {
        return ew_fail_prefix(err, "--method");
    }
    if (opts->steps > 0 && !(p->method->needs & EW_SCAN_STEPS)) {
        return ew_fail(err, EW_ERR_USAGE, "--steps: %s has none",
                       p->method->name);
    }
    p->steps = opts->steps;
    p->seed = (uint64_t)opts->seed;
    if (opts->seed > 0 && !(p->method->needs & EW_SCAN_SEED)) {
        return ew_fail(err, EW_ERR_USAGE, "--seed: nothing in %s is random",
                       p->method->name);
    }
    if (!read_normalise(p, opts->normalise, err)) {
        return false;
    }
    p->nodes = opts->nodes;
    if (opts->circuit && is_plain(p->method)) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--circuit: %s is about the model with all its edges; "
                       "only exact is measured in a circuit",
                       p->method->name);
    }
    if (opts->resume && opts->circuit) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--resume and --circuit exclude each other");
    }
    return read_rank(job, opts, err) && read_selection(job, opts, err);
}

/* ---- taking over an interrupted scan ---- */

/* What the scores are, with all that they depend on. free() it. */
static char *scores_are(const struct job *job)
{
    const struct ew_scan_params *p = &job->params;
    struct ew_buf text = {0};
    ew_buf_add(&text, p->method->name);
    if (p->method->needs & EW_SCAN_STEPS) {
        ew_buf_printf(&text, ", %d steps", p->steps > 0 ? p->steps : 5);
    }
    if (p->method->needs & EW_SCAN_SEED) {
        ew_buf_printf(&text, ", seed %d", (int)p->seed);
    }
    if (p->official) {
        ew_buf_add(&text, ", by the batch");
    }
    if (p->nodes) {
        ew_buf_add(&text, ", heads as a whole");
    }
    return ew_buf_steal(&text);
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Scores of another kind are not this scan's. */
static bool check_resumed(const struct job *job, const struct ew_circuit *c,
                          const char *scores, const char *path,
                          struct ew_err *err)
{
    const struct ew_provenance *p = ew_circuit_get_provenance(c);
    const struct cli_open *open = &job->open;
    char hash[EW_HASH_HEX]; /* other prompts may have the same name */
    const struct {
        const char *what;
        const char *file;
        const char *here;
    } fields[] = {
        {"scores", p->scores, scores},
        {"metric", p->metric, ew_metric_name(open->metric)},
        {"ablation", p->ablation, ew_ablation_name(open->ablation)},
        {"task", p->task, open->task->name},
        {"task_hash", p->task_hash, ew_task_hash(open->task, hash)},
        {"corruption", p->corruption, open->task->corruption},
        {"model_hash", p->model_hash, open->model->hash},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(fields); i++) {
        if (!same_text(fields[i].file, fields[i].here)) {
            return ew_fail(err, EW_ERR_INPUT,
                           "%s: provenance: %s: expected %s as in this scan, "
                           "found %s",
                           path, fields[i].what,
                           fields[i].here ? fields[i].here : "none",
                           fields[i].file ? fields[i].file : "none");
        }
    }
    return true;
}

static bool resume(struct job *job, const char *path, struct ew_err *err)
{
    struct ew_circuit *c = ew_circuit_load(path, job->open.graph, NULL, err);
    char *scores = scores_are(job);
    bool ok =
        c && check_resumed(job, c, scores, path, err) &&
        ew_engine_set(job->open.engine, ew_circuit_kept(c), cli_cancel(), err);
    if (ok) {
        job->scan =
            ew_scan_create(job->open.engine, &job->params, cli_cancel(), err);
        ok = job->scan != NULL;
    }
    uint32_t n = ew_graph_n_edges(job->open.graph);
    for (uint32_t e = 0; ok && e < n; e++) {
        ew_scan_know(job->scan, e, ew_circuit_score(c, e));
    }
    free(scores);
    ew_circuit_destroy(c);
    return ok;
}

/* ---- the run ---- */

static void show(void *user, size_t done, size_t total)
{
    struct job *job = user;
    double seconds = 1e-9 * (double)(cli_now_ns() - job->start_ns);
    double rate = seconds > 0 ? (double)(done - job->n_resumed) / seconds : 0;
    long left = rate > 0 ? lround((double)(total - done) / rate) : 0;
    cli_progress_show(&job->progress, "%s: %zu/%zu %s  %.1f/s  %ld:%02ld left",
                      job->params.method->name, done, total,
                      job->params.method->unit, rate, left / 60, left % 60);
}

static bool start(struct job *job, const struct cli_opts *opts,
                  struct ew_err *err)
{
    struct cli_open *open = &job->open;
    if (!cli_open_engine(open, 0, opts, err) ||
        (opts->circuit && !cli_set_circuit(open, opts->circuit, err))) {
        return false;
    }
    job->params.metric = open->metric;
    job->params.progress = show;
    job->params.user = job;
    if (strcmp(job->params.method->name, "eap") == 0 &&
        open->metric == EW_METRIC_KL) {
        fputs("edgewise scan: eap of kl is 0 for every edge: where nothing is "
              "cut its gradient vanishes; eap-ig-inputs has others\n",
              stderr);
    }
    if (opts->resume) {
        return resume(job, opts->resume, err);
    }
    job->scan = ew_scan_create(open->engine, &job->params, cli_cancel(), err);
    return job->scan != NULL;
}

static bool step_all(struct job *job, struct ew_err *err)
{
    bool ok = true;
    cli_progress_init(&job->progress);
    job->start_ns = cli_now_ns();
    job->n_resumed = ew_scan_n_known(job->scan);
    while (ok && !ew_scan_done(job->scan)) {
        ok = ew_scan_step(job->scan, cli_cancel(), err);
    }
    job->seconds = 1e-9 * (double)(cli_now_ns() - job->start_ns);
    cli_progress_clear(&job->progress);
    return ok;
}

/* ---- results ---- */

static void print_json(const struct job *job, const uint32_t *edges, size_t n)
{
    const float *scores = ew_scan_scores(job->scan);
    struct cli_array array;
    cli_array_open(&array, stdout, 9);
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_object();
        cli_json_unit(item, job->open.graph, job->params.nodes, edges[i]);
        json_object_set_new(item, "score", cli_real((double)scores[edges[i]]));
        cli_array_item(&array, item);
    }
    cli_array_close(&array);
}

static void print_table(const struct job *job, const uint32_t *edges, size_t n,
                        const struct cli_opts *opts)
{
    const float *scores = ew_scan_scores(job->scan);
    const struct ew_bitset *kept = ew_engine_kept(job->open.engine);
    bool any_cut = ew_bitset_count(kept) < ew_bitset_size(kept);
    struct cli_table table = {.n_columns = any_cut ? 3 : 2, .align = "lrl"};
    struct ew_buf name = {0};
    if (opts->csv || opts->markdown) {
        static const char *const head[] = {"edge", "score", "state"};
        for (size_t i = 0; i < table.n_columns; i++) {
            cli_table_add(&table, head[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        ew_buf_clear(&name);
        ew_unit_print(&name, job->open.graph, job->params.nodes, edges[i]);
        cli_table_add(&table, ew_buf_str(&name));
        cli_table_addf(&table, "%+.6g", (double)scores[edges[i]]);
        if (any_cut) {
            cli_table_add(&table,
                          ew_bitset_has(kept, edges[i]) ? "kept" : "cut");
        }
    }
    cli_table_print_as(&table, opts, stdout);
    ew_buf_finish(&name);
}

static void print_summary(const struct job *job, FILE *out)
{
    enum ew_metric metric = job->open.metric;
    fprintf(out, "%s: %u of %u edges, %.2f s\n", job->params.method->name,
            ew_scan_n_known(job->scan),
            ew_scan_n_units(job->scan), job->seconds);
    if (job->params.method->needs & EW_SCAN_PLAIN) {
        fprintf(out, "score: %s\n", job->params.method->what);
        return;
    }
    fprintf(out,
            "score: %s without the edge minus with it, positive = needed; "
            "%s = %s\n",
            ew_metric_name(metric), ew_metric_name(metric),
            ew_metric_formula(metric));
    if (job->params.official) {
        fprintf(out, "divided by the %zu prompts once more\n",
                job->open.task->n_prompts);
    }
}

static void print_selected(const struct job *job, FILE *out)
{
    const struct ew_selected *s = &job->selected;
    if (job->kept) {
        fprintf(out, "selected %u of %u %s", s->chosen,
                job->params.nodes ? ew_scan_n_units(job->scan)
                                  : ew_graph_n_addition(job->open.graph),
                job->params.nodes ? "edges between nodes" : "additions");
        if (job->selection.prune) {
            fprintf(out, ", %u after pruning", s->kept);
        }
        fprintf(out, ", and %u direct edges with them\n", s->direct);
    }
}

/* Of all edges, or of the additions selected. */
static size_t only_selected(const struct job *job, uint32_t *edges, size_t n)
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        if (!job->kept ||
            (ew_bitset_has(job->kept, edges[i]) &&
             ew_edge_kind(job->open.graph, edges[i]) == EW_EDGE_ADDITION)) {
            edges[left++] = edges[i];
        }
    }
    return left;
}

static void print_scores(const struct job *job, const struct cli_opts *opts)
{
    uint32_t n_edges = ew_graph_n_edges(job->open.graph);
    uint32_t *edges = ew_xcalloc(n_edges, sizeof(*edges));
    size_t n =
        ew_scan_rank(ew_scan_scores(job->scan), n_edges, job->rank, edges);
    n = only_selected(job, edges, n);
    if (opts->top > 0 && n > (size_t)opts->top) {
        n = (size_t)opts->top;
    }
    if (opts->json) {
        print_selected(job, stderr);
        print_json(job, edges, n);
    } else {
        FILE *notes = opts->csv || opts->markdown ? stderr : stdout;
        print_summary(job, notes);
        print_selected(job, notes);
        print_table(job, edges, n, opts);
    }
    free(edges);
}

static void select_edges(struct job *job, const struct cli_opts *opts)
{
    if (!opts->select) {
        return;
    }
    if (!ew_scan_done(job->scan)) {
        fputs("edgewise scan: nothing is selected, since not every score is "
              "known\n",
              stderr);
        return;
    }
    job->kept = ew_bitset_create(ew_graph_n_edges(job->open.graph));
    job->selected = ew_select_edges(job->open.graph, ew_scan_scores(job->scan),
                                    &job->selection, job->kept);
}

/* The circuit scanned, or the one selected as a revision of it. */
static struct ew_circuit *make_circuit(const struct job *job,
                                       const struct cli_opts *opts)
{
    struct ew_circuit *c =
        cli_make_circuit(&job->open, (double)NAN, "the circuit scanned");
    const float *scores = ew_scan_scores(job->scan);
    char *what = scores_are(job);
    ew_provenance_set(&ew_circuit_provenance(c)->scores, what);
    free(what);
    for (uint32_t e = 0; e < ew_graph_n_edges(job->open.graph); e++) {
        uint32_t edges[EW_UNIT_MAX];
        size_t n = isnan(scores[e])
                       ? 0
                       : ew_unit_edges(job->open.graph, job->params.nodes, e,
                                       edges);
        for (size_t i = 0; i < n; i++) {
            ew_circuit_set_score(c, edges[i], scores[e]);
        }
    }
    if (job->kept) {
        what = ew_xasprintf("scan %s, %s%s", job->params.method->name,
                                  opts->select, opts->prune ? ", pruned" : "");
        ew_circuit_assign(c, job->kept, what);
        free(what);
        if (job->selection.how == EW_SELECT_THRESHOLD) {
            ew_circuit_provenance(c)->threshold = job->selection.threshold;
        }
    }
    return c;
}

/* Print and write what is known. */
static bool give(const struct job *job, const struct cli_opts *opts,
                 struct ew_err *err)
{
    bool ok = true;
    struct ew_circuit *c = make_circuit(job, opts);
    for (size_t i = 0; ok && i < opts->output.n; i++) {
        ok = ew_circuit_save(c, opts->output.items[i].text, err);
    }
    ew_circuit_destroy(c);
    if (cli_stdout_taken(opts)) {
        print_summary(job, stderr);
        print_selected(job, stderr);
    } else {
        print_scores(job, opts);
    }
    return ok;
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    struct job job = {0};
    if (opts->picked.n > 0 || opts->positions || opts->roles) {
        return cli_scan_positions(opts, err);
    }
    bool ok = read_params(&job, opts, err) && cli_check_outputs(opts, err) &&
              start(&job, opts, err);
    if (ok) {
        ok = step_all(&job, err);
        select_edges(&job, opts);
        /* an interrupted or failed scan gives what it has */
        struct ew_err late = {0};
        if (!give(&job, opts, &late) && ok) {
            *err = late;
            ok = false;
        }
        if (!ok && err->code == EW_ERR_CANCELLED) {
            fprintf(stderr, "edgewise scan: interrupted after %u edges\n",
                    ew_scan_n_known(job.scan));
        }
    }
    ew_bitset_destroy(job.kept);
    ew_scan_destroy(job.scan);
    cli_close(&job.open);
    return ok;
}

// clang-format off
static const struct cli_option own_options[] = {
    {"method", 0, CLI_STRING, CLI_AT(method), 0, "M",
     "exact: the effect of each edge alone, measured; or an estimate for all "
     "at once: eap, eap-ig-inputs, eap-ig-activations, clean-corrupted; "
     "information-flow-routes: shares of what is read; random"},
    {"steps", 0, CLI_INT, CLI_AT(steps), 0, "N",
     "of eap-ig-inputs and eap-ig-activations (5)"},
    {"seed", 0, CLI_INT, CLI_AT(seed), 0, "N", "of random (0)"},
    {"normalise", 0, CLI_STRING, CLI_AT(normalise), 0, "HOW",
     "of estimates from gradients: mean over the prompts; official: divided "
     "by their number once more, as official EAP and EAP-IG do (mean)"},
    {"circuit", 'c', CLI_STRING, CLI_AT(circuit), 0, "FILE",
     "measure in this circuit (all edges); exact only"},
    {"sort", 0, CLI_STRING, CLI_AT(sort), 0, "HOW",
     "absolute: largest |score| first; signed: largest score first "
     "(absolute)"},
    {"top", 0, CLI_INT, CLI_AT(top), 0, "N", "print only the first N"},
    {"select", 0, CLI_STRING, CLI_AT(select), 0, "HOW",
     "make a circuit: top:N, the best N; threshold:T, those of T and more; "
     "greedy:N, each the best into what is kept, from the logits back. By "
     "size or sign as --sort says; additions, with their heads' direct edges"},
    {"nodes", 0, CLI_FLAG, CLI_AT(nodes), 0, NULL,
     "heads as a whole: into q, k and v together"},
    {"edge", 0, CLI_LIST, CLI_AT(picked), 0, "EDGES",
     "where these matter: with --positions or --roles in place of --method"},
    {"positions", 0, CLI_FLAG, CLI_AT(positions), 0, NULL,
     "of --edge, the effect at each position alone"},
    {"roles", 0, CLI_FLAG, CLI_AT(roles), 0, NULL,
     "of --edge, the effect at the positions of each role of the task"},
    {"prune", 0, CLI_FLAG, CLI_AT(prune), 0, NULL,
     "then cut nodes that have no child or no parent left"},
    {"output", 'o', CLI_LIST, CLI_AT(output), 0, "FILE",
     "write the circuit with these scores; - is standard output"},
    {"resume", 0, CLI_STRING, CLI_AT(resume), 0, "FILE",
     "go on with the interrupted scan that wrote this file with -o: exact "
     "takes over what it has, estimates are made again"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {
    own_options,        cli_options_task,    cli_options_typed,
    cli_options_engine, cli_options_weights, cli_options_split,
    cli_options_bos,    cli_options_model,   cli_options_common,
    cli_options_table,  NULL};

const struct cli_command cli_scan = {
    .name = "scan",
    .args = "[options] MODEL -t TASK --method M | --edge E --positions",
    .help = "score every edge: exact effects, or estimates of them",
    .more = "A score is the metric without the edge minus the metric with it, "
            "the metric as ACDC minimises it: positive = needed. Interrupted "
            "by Ctrl-C, what is known is printed and written; a second Ctrl-C "
            "ends the program at once.",
    .max_args = 1,
    .options = options,
    .run = run,
};
