/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise eval`: what a circuit scores. Edits are applied in the order of
 * the command line, after --only has emptied the circuit.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/names.h"

#include "open.h"

/* Under this, "recovered" is the ratio of two roundings: a dash. */
static const double smallest_range = 1e-6;

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
    double recovered; /* NaN when the range is too small */
    size_t edges;
    uint32_t total;
};

static bool evaluate(struct cli_open *open, struct result *out,
                     struct ew_err *err)
{
    unsigned want = ew_metric_want(open->metric);
    struct ew_engine *e = open->engine;
    struct ew_score now;
    struct ew_score full;
    struct ew_score empty;
    if (!ew_engine_score(e, want | EW_WANT_LOGIT_DIFF | EW_WANT_KL, &now,
                         cli_cancel(), err) ||
        !ew_engine_score_full(e, want, &full, cli_cancel(), err) ||
        !ew_engine_score_empty(e, want, &empty, cli_cancel(), err)) {
        return false;
    }
    *out = (struct result){
        .metric = ew_metric_name(open->metric),
        .clean = ew_score_metric(&full, open->metric),
        .corrupted = ew_score_metric(&empty, open->metric),
        .circuit = ew_score_metric(&now, open->metric),
        .logit_diff = now.logit_diff,
        .kl = now.kl,
        .recovered = NAN,
        .edges = ew_bitset_count(ew_engine_kept(e)),
        .total = ew_graph_n_edges(open->graph),
    };
    double range = out->clean - out->corrupted;
    if (fabs(range) >= smallest_range) {
        out->recovered = (out->circuit - out->corrupted) / range;
    }
    return true;
}

static void print_json(const struct result *r)
{
    json_t *object = json_object();
    json_object_set_new(object, "metric", json_string(r->metric));
    json_object_set_new(object, "clean", cli_real(r->clean));
    json_object_set_new(object, "corrupted", cli_real(r->corrupted));
    json_object_set_new(object, "circuit", cli_real(r->circuit));
    json_object_set_new(object, "logit_diff", cli_real(r->logit_diff));
    json_object_set_new(object, "kl", cli_real(r->kl));
    json_object_set_new(object, "recovered", cli_real(r->recovered));
    json_object_set_new(object, "edges", json_integer((int64_t)r->edges));
    json_object_set_new(object, "total", json_integer(r->total));
    cli_json_line(stdout, object);
}

static void print_text(const struct cli_open *open, const struct result *r)
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
        {"logit diff", r->logit_diff, "of the circuit"},
        {"KL", r->kl, "to the clean model, nats"},
    };
    printf("metric %s = %s\n", r->metric, ew_metric_formula(open->metric));
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        cli_table_add(&table, rows[i].name);
        cli_table_add_real(&table, rows[i].value);
        cli_table_add(&table, rows[i].what);
    }
    cli_table_add(&table, "recovered");
    if (isnan(r->recovered)) {
        cli_table_add(&table, "-");
    } else {
        cli_table_addf(&table, "%.1f%%", 100 * r->recovered);
    }
    cli_table_add(&table, "of the way from corrupted to clean");
    cli_table_add(&table, "edges");
    cli_table_addf(&table, "%zu", r->edges);
    cli_table_addf(&table, "of %u", r->total);
    cli_table_print(&table, stdout);
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    struct cli_open open = {0};
    struct result result;
    bool ok =
        check_edits(&open, opts, err) &&
        cli_open_engine(&open, EW_WANT_LOGIT_DIFF | EW_WANT_KL, opts, err) &&
        (!opts->circuit || cli_set_circuit(&open, opts->circuit, err)) &&
        apply_edits(&open, &opts->edits, err) && evaluate(&open, &result, err);
    if (ok && isnan(result.circuit)) {
        ok = ew_fail(err, EW_ERR_INPUT, "metric %s is not defined for task %s",
                     result.metric, open.task->name);
    }
    if (ok && opts->json) {
        print_json(&result);
    } else if (ok) {
        print_text(&open, &result);
    }
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
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {
    own_options,        cli_options_task,    cli_options_typed,
    cli_options_engine, cli_options_weights, cli_options_split,
    cli_options_bos,    cli_options_model,   cli_options_common,
    NULL};

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
