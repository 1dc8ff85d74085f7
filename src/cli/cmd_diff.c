/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise diff`: two circuits, or our graph of a model against another
 * tool's edges. As diff(1): status 0 the same, 1 different, 2 and up
 * trouble. Configs and files are enough: no libtorch is loaded.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/compare.h"
#include "edgewise/correlate.h"
#include "edgewise/names.h"
#include "edgewise/path.h"

#include "open.h"

/* Scores of independent float32 programs agree to this. */
static const double default_tolerance = 1e-4;

struct job {
    struct ew_edge_list a;
    struct ew_edge_list b;
    const char *names[2];
    struct ew_comparison c;
    double tolerance;
    size_t most; /* lines of each sort */
    bool graphs; /* what is listed, in the circuit or not */
};

/* ---- opening ---- */

/* Is there a model that goes by this name, as on Hugging Face? */
static bool is_located(const char *text)
{
    char *path = ew_path_is_file(text) ? NULL : ew_model_locate(text, NULL);
    bool found = path != NULL;
    free(path);
    return found;
}

/* A model is a folder, a config, weights, or a name. */
static bool is_model(const char *text)
{
    static const char *const weights[] = {"safetensors", "pth", "pt", "bin"};
    if (strcmp(text, "-") == 0) {
        return false;
    }
    if (strcmp(ew_path_base(text), "config.json") == 0 ||
        (!ew_path_is_file(text) && !strchr(text, '/') && !*ew_path_ext(text)) ||
        ew_path_is_dir(text) || is_located(text)) {
        return true;
    }
    for (size_t i = 0; i < EW_ARRAY_LEN(weights); i++) {
        if (strcmp(ew_path_ext(text), weights[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool open_side(struct ew_edge_list *out, const char *text,
                      const struct cli_opts *opts, struct ew_err *err)
{
    if (!is_model(text)) {
        return ew_edge_list_load(out, text, err);
    }
    struct cli_open open = {0};
    struct cli_opts one = *opts;
    one.model = text;
    bool ok = cli_open_graph(&open, &one, err);
    if (ok) {
        ew_edge_list_of_graph(out, open.graph);
        open.graph = NULL; /* theirs now */
    }
    cli_close(&open);
    return ok;
}

/* ---- text ---- */

static void print_pairs(const struct job *job, char mark,
                        const struct ew_pairs *pairs)
{
    size_t n = pairs->n < job->most ? pairs->n : job->most;
    for (size_t i = 0; i < n; i++) {
        const struct ew_pair *p = &pairs->items[i];
        bool is_a = mark == '-';
        const struct ew_listed *here = is_a ? p->a : p->b;
        const struct ew_listed *there = is_a ? p->b : p->a;
        printf("%c %s  %s%s\n", mark, here->name,
               ew_listed_kind_name(here->kind),
               there ? is_a ? ", cut in B" : ", cut in A" : "");
    }
    if (pairs->n > n) {
        printf("%c ... and %zu more\n", mark, pairs->n - n);
    }
}

static void print_kinds(const struct job *job)
{
    const struct ew_pairs *pairs = &job->c.kinds;
    size_t n = pairs->n < job->most ? pairs->n : job->most;
    for (size_t i = 0; i < n; i++) {
        const struct ew_pair *p = &pairs->items[i];
        printf("! %s  %s in A, %s in B\n", p->a->name,
               ew_listed_kind_name(p->a->kind),
               ew_listed_kind_name(p->b->kind));
    }
    if (pairs->n > n) {
        printf("! ... and %zu more\n", pairs->n - n);
    }
}

static void print_score_pairs(const struct job *job)
{
    const struct ew_pairs *pairs = &job->c.scores;
    size_t n = pairs->n < job->most ? pairs->n : job->most;
    for (size_t i = 0; i < n; i++) {
        const struct ew_pair *p = &pairs->items[i];
        printf("~ %s  %+.6g in A, %+.6g in B\n", p->a->name,
               (double)p->a->score, ew_comparison_score_b(&job->c, p));
    }
    if (pairs->n > n) {
        printf("~ ... and %zu more\n", pairs->n - n);
    }
}

static void print_agreement(const struct job *job)
{
    struct cli_table table = {.n_columns = 6, .align = "llrrrr"};
    static const char *const head[] = {"into", "kind", "A",
                                       "B",    "both", "Jaccard"};
    for (size_t i = 0; i < EW_ARRAY_LEN(head); i++) {
        cli_table_add(&table, head[i]);
    }
    for (size_t i = 0; i < job->c.n_rows; i++) {
        const struct ew_agreement *row = &job->c.rows[i];
        if (row->layer >= 0) {
            cli_table_addf(&table, "layer %d", row->layer);
        } else {
            cli_table_add(&table,
                          row->layer == EW_LAYER_LOGITS ? "logits" : "unknown");
        }
        cli_table_add(&table, ew_listed_kind_name(row->kind));
        cli_table_addf(&table, "%zu", row->n_a);
        cli_table_addf(&table, "%zu", row->n_b);
        cli_table_addf(&table, "%zu", row->n_both);
        cli_table_addf(&table, "%.3f",
                       ew_jaccard(row->n_a, row->n_b, row->n_both));
    }
    cli_table_print(&table, stdout);
}

/* Of how many best edges the agreement is told. */
static const size_t tops[] = {10, 20, 50, 100, 200, 500, 1000};

static void print_correlation(const struct ew_comparison *c)
{
    size_t n = c->n_scored;
    const double *a = c->scores_a;
    const double *b = c->scores_b;
    printf("rank correlation: Spearman %.4f, Kendall %.4f; %zu of %zu signs "
           "differ\n",
           ew_spearman(a, b, n), ew_kendall(a, b, n), ew_sign_flips(a, b, n),
           n);
    for (size_t i = 0; i < EW_ARRAY_LEN(tops) && tops[i] < n; i++) {
        printf("the best %zu by size: Jaccard %.4f\n", tops[i],
               ew_top_jaccard(a, b, n, tops[i]));
    }
}

static void print_text(const struct job *job)
{
    const struct ew_comparison *c = &job->c;
    printf("A  %s  (%s, %zu edges)\nB  %s  (%s, %zu edges)\n", job->names[0],
           job->a.format, c->n_a, job->names[1], job->b.format, c->n_b);
    if (job->graphs) {
        puts("graphs are compared: edges listed, in the circuit or not");
    }
    for (int k = 0; k < EW_N_LISTED_KINDS; k++) {
        if (job->a.lists[k] != job->b.lists[k]) {
            printf("%s edges are left out: %s has none\n",
                   ew_listed_kind_name((enum ew_listed_kind)k),
                   job->a.lists[k] ? "B" : "A");
        }
    }
    print_pairs(job, '-', &c->missing);
    print_pairs(job, '+', &c->extra);
    print_kinds(job);
    print_score_pairs(job);
    print_agreement(job);
    printf("%s: %zu in both, %zu missing, %zu extra, %zu of another kind; "
           "Jaccard %.4f\n",
           ew_comparison_same(c) ? "the same" : "different", c->n_both,
           c->missing.n, c->extra.n, c->kinds.n,
           ew_jaccard(c->n_a, c->n_b, c->n_both));
    if (c->n_scored > 0) {
        printf("scores: %zu on both sides, %zu differ; largest difference "
               "%.3g%s\n",
               c->n_scored, c->scores.n, c->largest,
               c->turned ? "; positive is harmful on one side: B's sign is "
                           "turned"
                         : "");
        print_correlation(c);
    }
}

/* ---- JSON ---- */

/* "edge", and "acdc" where the name is known. */
static json_t *edge_json(const struct job *job, const struct ew_pair *pair)
{
    const struct ew_listed *item = pair->a ? pair->a : pair->b;
    const struct ew_graph *g = pair->a ? job->a.graph : job->b.graph;
    json_t *object = json_object();
    if (item->id < ew_graph_n_edges(g)) {
        cli_json_edge(object, g, item->id);
        return object;
    }
    json_object_set_new(object, "edge", json_string(item->name));
    if (item->id != EW_NONE) {
        struct ew_buf receiver = {0};
        struct ew_buf sender = {0};
        ew_placeholder_print_acdc(&receiver, &sender, g,
                                  item->id - ew_graph_n_edges(g));
        json_object_set_new(object, "acdc",
                            json_pack("{s:s, s:s}", "receiver",
                                      ew_buf_str(&receiver), "sender",
                                      ew_buf_str(&sender)));
        ew_buf_finish(&receiver);
        ew_buf_finish(&sender);
    }
    return object;
}

static json_t *kind_json(const struct ew_listed *item)
{
    return item ? json_string(ew_listed_kind_name(item->kind)) : json_null();
}

static json_t *pairs_json(const struct job *job, const struct ew_pairs *pairs)
{
    json_t *array = json_array();
    for (size_t i = 0; i < pairs->n && i < job->most; i++) {
        const struct ew_pair *p = &pairs->items[i];
        json_t *item = edge_json(job, p);
        if (pairs == &job->c.kinds) {
            json_object_set_new(item, "a", kind_json(p->a));
            json_object_set_new(item, "b", kind_json(p->b));
        } else if (pairs == &job->c.scores) {
            json_object_set_new(item, "a", cli_real((double)p->a->score));
            json_object_set_new(item, "b",
                                cli_real(ew_comparison_score_b(&job->c, p)));
        } else {
            json_object_set_new(item, "kind", kind_json(p->a ? p->a : p->b));
        }
        json_array_append_new(array, item);
    }
    return array;
}

static json_t *side_json(const struct ew_edge_list *list, const char *name,
                         size_t n)
{
    return json_pack("{s:s, s:s, s:I}", "name", name, "format", list->format,
                     "edges", (json_int_t)n);
}

static json_t *agreement_json(const struct ew_comparison *c)
{
    json_t *array = json_array();
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct ew_agreement *row = &c->rows[i];
        json_t *layer = row->layer >= 0 ? json_integer(row->layer)
                        : row->layer == EW_LAYER_LOGITS ? json_string("logits")
                                                        : json_null();
        json_array_append_new(
            array,
            json_pack("{s:o, s:s, s:I, s:I, s:I, s:o}", "layer", layer, "kind",
                      ew_listed_kind_name(row->kind), "a", (json_int_t)row->n_a,
                      "b", (json_int_t)row->n_b, "both",
                      (json_int_t)row->n_both, "jaccard",
                      cli_real(ew_jaccard(row->n_a, row->n_b, row->n_both))));
    }
    return array;
}

static json_t *left_out_json(const struct job *job)
{
    json_t *array = json_array();
    for (int k = 0; k < EW_N_LISTED_KINDS; k++) {
        if (job->a.lists[k] != job->b.lists[k]) {
            const char *kind = ew_listed_kind_name((enum ew_listed_kind)k);
            json_array_append_new(array, json_string(kind));
        }
    }
    return array;
}

static json_t *correlation_json(const struct ew_comparison *c)
{
    size_t n = c->n_scored;
    json_t *o = json_object();
    json_t *best = json_array();
    json_object_set_new(o, "spearman",
                        cli_real(ew_spearman(c->scores_a, c->scores_b, n)));
    json_object_set_new(o, "kendall",
                        cli_real(ew_kendall(c->scores_a, c->scores_b, n)));
    json_object_set_new(
        o, "flips",
        json_integer((json_int_t)ew_sign_flips(c->scores_a, c->scores_b, n)));
    for (size_t i = 0; i < EW_ARRAY_LEN(tops) && tops[i] < n; i++) {
        json_array_append_new(
            best, json_pack("{s:I, s:f}", "n", (json_int_t)tops[i], "jaccard",
                            ew_top_jaccard(c->scores_a, c->scores_b, n,
                                           tops[i])));
    }
    json_object_set_new(o, "best", best);
    return o;
}

static void print_json(const struct job *job)
{
    const struct ew_comparison *c = &job->c;
    json_t *o = json_object();
    json_object_set_new(o, "same", json_boolean(ew_comparison_same(c)));
    json_object_set_new(o, "graphs", json_boolean(job->graphs));
    json_object_set_new(o, "a", side_json(&job->a, job->names[0], c->n_a));
    json_object_set_new(o, "b", side_json(&job->b, job->names[1], c->n_b));
    json_object_set_new(o, "both", json_integer((json_int_t)c->n_both));
    json_object_set_new(o, "jaccard",
                        cli_real(ew_jaccard(c->n_a, c->n_b, c->n_both)));
    json_object_set_new(o, "left_out", left_out_json(job));
    json_object_set_new(o, "missing", pairs_json(job, &c->missing));
    json_object_set_new(o, "extra", pairs_json(job, &c->extra));
    json_object_set_new(o, "kinds", pairs_json(job, &c->kinds));
    json_object_set_new(o, "scores", pairs_json(job, &c->scores));
    json_object_set_new(o, "scored", json_integer((json_int_t)c->n_scored));
    json_object_set_new(o, "largest", cli_real(c->largest));
    json_object_set_new(o, "correlation", correlation_json(c));
    json_object_set_new(o, "turned", json_boolean(c->turned));
    json_object_set_new(o, "agreement", agreement_json(c));
    cli_json_line(stdout, o);
}

/* ---- the command ---- */

static bool read_opts(struct job *job, const struct cli_opts *opts,
                      struct ew_err *err)
{
    if (opts->args.n < 2) {
        return ew_fail(err, EW_ERR_USAGE, "which two?");
    }
    job->names[0] = opts->args.items[0].text;
    job->names[1] = opts->args.items[1].text;
    if (strcmp(job->names[0], "-") == 0 && strcmp(job->names[1], "-") == 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "standard input cannot be read twice");
    }
    job->tolerance = opts->have_tolerance ? opts->tolerance : default_tolerance;
    if (job->tolerance < 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--tolerance: expected 0 or more, found %g",
                       job->tolerance);
    }
    job->most = opts->top > 0 ? (size_t)opts->top : SIZE_MAX;
    return true;
}

/* A model has a graph and no circuit: then graphs are compared. */
static void choose_graphs(struct job *job, const struct cli_opts *opts)
{
    job->graphs = opts->graph || strcmp(job->a.format, "graph") == 0 ||
                  strcmp(job->b.format, "graph") == 0;
    if (job->graphs) {
        ew_edge_list_keep_all(&job->a);
        ew_edge_list_keep_all(&job->b);
    }
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    struct job job = {0};
    bool ok = read_opts(&job, opts, err) &&
              open_side(&job.a, job.names[0], opts, err) &&
              open_side(&job.b, job.names[1], opts, err);
    if (ok) {
        choose_graphs(&job, opts);
        ew_compare(&job.c, &job.a, &job.b, job.tolerance);
        if (opts->json) {
            print_json(&job);
        } else {
            print_text(&job);
        }
        ok = cli_flush(err);
        *status = ew_comparison_same(&job.c) ? 0 : 1;
    }
    if (!ok && ew_exit_status(err->code) == 1) {
        err->code = EW_ERR_IO; /* 1 is an answer here */
    }
    ew_comparison_finish(&job.c);
    ew_edge_list_finish(&job.a);
    ew_edge_list_finish(&job.b);
    return ok;
}

// clang-format off
static const struct cli_option own_options[] = {
    {"graph", 0, CLI_FLAG, CLI_AT(graph), 0, NULL,
     "compare the edges that are listed, in the circuit or not; implied when "
     "A or B is a model"},
    {"tolerance", 0, CLI_REAL, CLI_AT(tolerance), CLI_AT(have_tolerance), "T",
     "scores differ when further apart than T, or than T times the larger "
     "where that is over 1 (1e-4); inf: never"},
    {"top", 0, CLI_INT, CLI_AT(top), 0, "N",
     "print only the first N differences of each sort"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {
    own_options, cli_options_split, cli_options_common, NULL};

const struct cli_command cli_diff = {
    .name = "diff",
    .args = "[options] A B",
    .help = "compare two circuits, or a graph with another tool's edges",
    .more = "A and B are each a circuit (ours, EAP-IG's or MIB's JSON), a "
            "list of edges or a decision log of the official ACDC, what "
            "'graph --edges --json' or 'scan --json' printed, or a model "
            "(folder, config.json or name), for its graph. "
            "-: in A alone, +: in B alone, !: of another kind, ~: scored "
            "otherwise. Exit status: 0 the same, 1 different, 2 and up "
            "trouble.",
    .max_args = 2,
    .options = options,
    .run = run,
};
