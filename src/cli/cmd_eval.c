/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise eval`: what a circuit scores. Edits are applied in the order of
 * the command line, after --only has emptied the circuit.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/curve.h"
#include "edgewise/names.h"

#include "cmd_eval_curve.h"
#include "cmd_eval_sets.h"
#include "open.h"

struct editor {
    const struct ew_graph *graph;
    struct ew_bitset *kept;
    const char *option;
    bool keep;
};

static bool edit_edge(void *user, const char *piece, struct ew_err *err)
{
    struct editor *editor = user;
    uint32_t edge;
    if (!ew_edge_parse(editor->graph, piece, &edge, err)) {
        return ew_fail_prefix(err, "--%s", editor->option);
    }
    ew_bitset_put(editor->kept, edge, editor->keep);
    return true;
}

static bool apply_edits(struct cli_open *open, const struct cli_words *edits,
                        struct ew_err *err)
{
    bool ok = true;
    struct editor editor = {
        .graph = open->graph,
        .kept = ew_bitset_clone(ew_engine_kept(open->engine)),
    };
    for (size_t i = 0; i < edits->n; i++) {
        if (strcmp(edits->items[i].option, "only") == 0) {
            ew_bitset_fill(editor.kept, false);
        }
    }
    for (size_t i = 0; ok && i < edits->n; i++) {
        const struct cli_word *word = &edits->items[i];
        editor.option = word->option;
        editor.keep = strcmp(word->option, "cut") != 0;
        ok = cli_split(word->text, edit_edge, &editor, err);
    }
    ok = ok && ew_engine_set(open->engine, editor.kept, cli_cancel(), err);
    ew_bitset_destroy(editor.kept);
    return ok;
}

/* An unknown edge is told before seconds are spent on weights. */
static bool check_edits(struct cli_open *open, const struct cli_opts *opts,
                        struct ew_err *err)
{
    if (!cli_open_graph(open, opts, err)) {
        return false;
    }
    bool ok = true;
    struct editor editor = {
        .graph = open->graph,
        .kept = ew_bitset_create(ew_graph_n_edges(open->graph)),
    };
    for (size_t i = 0; ok && i < opts->edits.n; i++) {
        editor.option = opts->edits.items[i].option;
        ok = cli_split(opts->edits.items[i].text, edit_edge, &editor, err);
    }
    ew_bitset_destroy(editor.kept);
    return ok;
}

struct result {
    const char *metric;
    double clean;
    double corrupted;
    double circuit;
    double logit_diff;
    double kl;
    double recovered;  /* NaN when the range is too small */
    double error;      /* its standard error; NaN: not known by prompt */
    double complement; /* the metric with the circuit's edges alone cut */
    double held_out;   /* recovered on --eval-task */
    double held_out_error;
    size_t edges;
    uint32_t total;
};

static bool judge(struct cli_open *open, struct result *out,
                  struct ew_err *err)
{
    struct ew_engine *e = open->engine;
    struct ew_verdict now;
    struct ew_verdict others;
    struct ew_bitset *kept = ew_bitset_clone(ew_engine_kept(e));
    struct ew_judge *j = ew_judge_create(e, open->metric, cli_cancel(), err);
    bool ok = j &&
              ew_judge_complement(j, kept, &others, cli_cancel(), err) &&
              ew_judge_circuit(j, kept, &now, cli_cancel(), err);
    if (ok) {
        out->clean = ew_judge_full(j);
        out->corrupted = ew_judge_empty(j);
        out->circuit = now.metric;
        out->recovered = now.recovered;
        out->error = now.error;
        out->complement = others.metric;
    }
    ew_judge_destroy(j);
    ew_bitset_destroy(kept);
    return ok;
}

static bool evaluate(struct cli_open *open, struct result *out,
                     struct ew_err *err)
{
    struct ew_score now;
    *out = (struct result){
        .metric = ew_metric_name(open->metric),
        .held_out = NAN,
        .edges = ew_bitset_count(ew_engine_kept(open->engine)),
        .total = ew_graph_n_edges(open->graph),
    };
    if (!judge(open, out, err) ||
        !ew_engine_score(open->engine, EW_WANT_LOGIT_DIFF | EW_WANT_KL, &now,
                         cli_cancel(), err)) {
        return false;
    }
    out->logit_diff = now.logit_diff;
    out->kl = now.kl;
    return true;
}

/* The same circuit on a task that it was not found on. */
static bool evaluate_held_out(const struct cli_open *open,
                              const struct cli_opts *opts, struct result *out,
                              struct ew_err *err)
{
    if (!opts->eval_task) {
        return true;
    }
    struct cli_open other = {0};
    struct result there;
    bool ok =
        cli_open_other(&other, open, opts->eval_task, opts, err) &&
        ew_engine_set(other.engine, ew_engine_kept(open->engine), cli_cancel(),
                      err) &&
        judge(&other, &there, err);
    if (ok) {
        out->held_out = there.recovered;
        out->held_out_error = there.error;
    }
    cli_close_other(&other);
    return ok;
}

static void print_json(const struct result *r, const struct cli_opts *opts,
                       FILE *out)
{
    json_t *object = json_object();
    json_object_set_new(object, "metric", json_string(r->metric));
    json_object_set_new(object, "clean", cli_real(r->clean));
    json_object_set_new(object, "corrupted", cli_real(r->corrupted));
    json_object_set_new(object, "circuit", cli_real(r->circuit));
    json_object_set_new(object, "logit_diff", cli_real(r->logit_diff));
    json_object_set_new(object, "kl", cli_real(r->kl));
    json_object_set_new(object, "recovered", cli_real(r->recovered));
    json_object_set_new(object, "recovered_error", cli_real(r->error));
    json_object_set_new(object, "complement", cli_real(r->complement));
    if (opts->eval_task) {
        json_object_set_new(object, "held_out", cli_real(r->held_out));
        json_object_set_new(object, "held_out_error",
                            cli_real(r->held_out_error));
    }
    json_object_set_new(object, "edges", json_integer((int64_t)r->edges));
    json_object_set_new(object, "total", json_integer(r->total));
    cli_json_line(out, object);
}

static void add_recovered(struct cli_table *table, const char *name,
                          double recovered, double error, const char *what)
{
    cli_table_add(table, name);
    if (isnan(recovered)) {
        cli_table_add(table, "-");
    } else {
        cli_table_addf(table, "%.1f%%", 100 * recovered);
    }
    if (isnan(error)) {
        cli_table_add(table, what);
    } else {
        cli_table_addf(table, "%s; standard error %.1f%%", what, 100 * error);
    }
}

static void print_text(const struct cli_open *open, const struct result *r,
                       const struct cli_opts *opts, FILE *out)
{
    struct cli_table table = {.n_columns = 3, .align = "lrl"};
    const struct {
        const char *name;
        double value;
        const char *what;
    } rows[] = {
        {"clean", r->clean, "every edge kept"},
        {"corrupted", r->corrupted, "every edge cut"},
        {"circuit", r->circuit, "as it is"},
        {"complement", r->complement, "its edges cut, all others kept"},
        {"logit diff", r->logit_diff, "of the circuit"},
        {"KL", r->kl, "to the clean model, nats"},
    };
    fprintf(out, "metric %s = %s\n", r->metric,
            ew_metric_formula(open->metric));
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        cli_table_add(&table, rows[i].name);
        cli_table_add_real(&table, rows[i].value);
        cli_table_add(&table, rows[i].what);
    }
    add_recovered(&table, "recovered", r->recovered, r->error,
                  "of the way from corrupted to clean");
    if (opts->eval_task) {
        add_recovered(&table, "held out", r->held_out, r->held_out_error,
                      "on --eval-task");
    }
    cli_table_add(&table, "edges");
    cli_table_addf(&table, "%zu", r->edges);
    cli_table_addf(&table, "of %u", r->total);
    cli_table_print(&table, out);
}

static bool write_circuit(const struct cli_open *open, const char *path,
                          struct ew_err *err)
{
    struct ew_circuit *c = cli_make_circuit(open, NAN, "eval");
    bool ok = ew_circuit_save(c, path, err);
    ew_circuit_destroy(c);
    return ok;
}

static bool give_scores(struct cli_open *open, const struct cli_opts *opts,
                        struct ew_err *err)
{
    struct result result;
    if (!evaluate(open, &result, err) ||
        !evaluate_held_out(open, opts, &result, err)) {
        return false;
    }
    if (isnan(result.circuit)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "metric %s is not defined for task %s", result.metric,
                       open->task->name);
    }
    FILE *out = cli_stdout_taken(opts) ? stderr : stdout;
    if (opts->json) {
        print_json(&result, opts, out);
    } else {
        print_text(open, &result, opts, out);
    }
    return true;
}

static bool check_options(const struct cli_opts *opts, struct ew_err *err)
{
    bool sets = opts->completeness || opts->minimality;
    if (opts->truth || opts->flip || opts->resume) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--truth, --flip and --resume are for --curve");
    }
    if ((opts->csv || opts->markdown) && !sets) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--csv and --markdown are for --curve, --completeness "
                       "and --minimality");
    }
    if ((opts->labels || opts->sets > 0 || opts->seed > 0) && !sets) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--labels, --sets and --seed are for --completeness "
                       "and --minimality");
    }
    if (opts->completeness && opts->minimality) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--completeness and --minimality exclude each other");
    }
    if (sets && opts->eval_task) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--eval-task: give the task with -t");
    }
    if (sets && cli_stdout_taken(opts)) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--output -: standard output is for the sets");
    }
    if (opts->top > 0 && !opts->minimality) {
        return ew_fail(err, EW_ERR_USAGE, "--top is for --minimality");
    }
    return true;
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    if (opts->curve) {
        return cli_eval_curve(opts, err);
    }
    struct cli_open open = {0};
    bool ok =
        check_options(opts, err) && cli_check_outputs(opts, err) &&
        check_edits(&open, opts, err) &&
        cli_open_engine(&open, EW_WANT_LOGIT_DIFF | EW_WANT_KL, opts, err) &&
        (!opts->circuit || cli_set_circuit(&open, opts->circuit, err)) &&
        apply_edits(&open, &opts->edits, err);
    for (size_t i = 0; ok && i < opts->output.n; i++) {
        ok = write_circuit(&open, opts->output.items[i].text, err);
    }
    ok = ok && (opts->completeness ? cli_eval_completeness(&open, opts, err)
                : opts->minimality ? cli_eval_minimality(&open, opts, err)
                                   : give_scores(&open, opts, err));
    cli_close(&open);
    return ok;
}

// clang-format off
static const struct cli_option own_options[] = {
    {"circuit", 'c', CLI_STRING, CLI_AT(circuit), 0, "FILE",
     "start from this circuit (from all edges)"},
    {"cut", 0, CLI_LIST, CLI_AT(edits), 0, "EDGES",
     "cut these, comma-separated; may be repeated"},
    {"keep", 0, CLI_LIST, CLI_AT(edits), 0, "EDGES",
     "keep these"},
    {"only", 0, CLI_LIST, CLI_AT(edits), 0, "EDGES",
     "keep these and no others"},
    {"eval-task", 0, CLI_STRING, CLI_AT(eval_task), 0, "TASK",
     "judge on this task too: one the circuit was not found on"},
    {"curve", 0, CLI_STRING, CLI_AT(curve), 0, "SCORES",
     "judge a ranking of edges instead: what its best edges recover, for .1 "
     "to 100% of the additions, CPR and CMD; a file with scores: 'scan "
     "--json', a circuit, EAP-IG's or MIB's JSON"},
    {"truth", 0, CLI_STRING, CLI_AT(truth), 0, "CIRCUIT",
     "with --curve: the area under the ROC against this circuit"},
    {"flip", 0, CLI_FLAG, CLI_AT(flip), 0, NULL,
     "with --curve: turn the sign of the scores"},
    {"resume", 0, CLI_STRING, CLI_AT(resume), 0, "FILE",
     "with --curve: go on from what --json printed when it was interrupted"},
    {"completeness", 0, CLI_FLAG, CLI_AT(completeness), 0, NULL,
     "how far the circuit is from the model with the same nodes knocked out "
     "of both: groups, random sets, and a greedy one"},
    {"minimality", 0, CLI_FLAG, CLI_AT(minimality), 0, NULL,
     "what each edge makes at most, with any of these sets knocked out"},
    {"labels", 0, CLI_STRING, CLI_AT(labels), 0, "FILE",
     "groups of nodes to knock out, a file or ioi, greater-than, ..."},
    {"sets", 0, CLI_INT, CLI_AT(sets), 0, "N", "random sets (10)"},
    {"seed", 0, CLI_INT, CLI_AT(seed), 0, "N", "of the random sets (0)"},
    {"top", 0, CLI_INT, CLI_AT(top), 0, "N",
     "with --minimality: print only the N largest"},
    {"output", 'o', CLI_LIST, CLI_AT(output), 0, "FILE",
     "write the circuit"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {
    own_options, cli_options_task, cli_options_typed, cli_options_engine,
    cli_options_weights, cli_options_split, cli_options_bos,
    cli_options_model, cli_options_common, cli_options_table, NULL};

const struct cli_command cli_eval = {
    .name = "eval",
    .args = "[options] MODEL -t TASK",
    .help = "score a circuit: metric, logit difference, KL, recovered",
    .more = "Edges are named a0.h1->a1.h2<q>, m3->logits, "
            "a1.h2.q_in->a1.h2.q, or in the words of ACDC or AutoCircuit; "
            "quote them. Metric values are as minimised: the logit "
            "difference with its sign turned. Edges are counted as ACDC "
            "counts.",
    .max_args = 1,
    .options = options,
    .run = run,
};
