/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise sweep`: several methods side by side, or ACDC at several
 * thresholds. An interrupted sweep prints the rows it has and leaves a file
 * to go on with.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/json.h"
#include "edgewise/mem.h"

#include "sweep.h"

enum { SAVE_NS_SHIFT = 35 }; /* a save every 34 seconds */

/* ---- options ---- */

struct list {
    struct sweep *s;
    size_t cap;
};

static bool add_row(struct list *list, const char *name,
                    const struct ew_scan_method *method, struct ew_err *err)
{
    struct sweep *s = list->s;
    for (size_t i = 0; i < s->n_rows; i++) {
        if (s->rows[i].method == method) {
            return ew_fail(err, EW_ERR_USAGE, "--methods: %s twice", name);
        }
    }
    s->rows = ew_grow(s->rows, s->n_rows, &list->cap, sizeof(*s->rows));
    s->rows[s->n_rows++] = (struct sweep_row){
        .name = method ? method->name : "acdc", .method = method};
    return true;
}

static bool add_method(void *user, const char *piece, struct ew_err *err)
{
    const struct ew_scan_method *method = NULL;
    if (strcmp(piece, "acdc") != 0) {
        method = ew_scan_find(piece, err);
        if (!method) {
            return ew_fail_prefix(err, "--methods: acdc, or");
        }
    }
    return add_row(user, piece, method, err);
}

static bool add_threshold(void *user, const char *piece, struct ew_err *err)
{
    struct list *list = user;
    struct sweep *s = list->s;
    char *end;
    double value = strtod(piece, &end);
    if (end == piece || *end || isnan(value)) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--thresholds: expected a number, found '%s'", piece);
    }
    s->thresholds = ew_grow(s->thresholds, s->n_thresholds, &list->cap,
                            sizeof(*s->thresholds));
    s->thresholds[s->n_thresholds++] = value;
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool read_options(struct sweep *s, const struct cli_opts *opts,
                         struct ew_err *err)
{
    struct list rows = {.s = s};
    struct list thresholds = {.s = s};
    s->steps = opts->steps;
    s->seed = opts->seed;
    s->path = opts->output.n > 0 ? opts->output.items[0].text : opts->resume;
    if (cli_stdout_taken(opts)) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--output -: the file is written again and again; "
                       "--json prints the results");
    }
    if (s->path && strcmp(s->path, "-") == 0) {
        s->path = NULL; /* read from standard input */
    }
    if (!cli_check_outputs(opts, err)) {
        return false;
    }
    if (opts->thresholds &&
        !cli_split(opts->thresholds, add_threshold, &thresholds, err)) {
        return false;
    }
    if (s->n_thresholds > 0) {
        qsort(s->thresholds, s->n_thresholds, sizeof(*s->thresholds),
              by_value);
    }
    if (opts->methods) {
        return cli_split(opts->methods, add_method, &rows, err);
    }
    bool ok = add_row(&rows, "acdc", NULL, err);
    size_t n;
    const struct ew_scan_method *methods = ew_scan_methods(&n);
    for (size_t i = 0; ok && !opts->thresholds && i < n; i++) {
        ok = add_row(&rows, methods[i].name, &methods[i], err);
    }
    return ok;
}

/* ---- the start ---- */

static bool keep_all(const struct sweep *s, struct ew_err *err)
{
    struct ew_bitset *all =
        ew_bitset_create(ew_graph_n_edges(s->open.graph));
    ew_bitset_fill(all, true);
    bool ok = ew_engine_set(s->open.engine, all, cli_cancel(), err);
    ew_bitset_destroy(all);
    return ok;
}

/* From a ten-thousandth to a third of what there is to lose. */
static void default_thresholds(struct sweep *s)
{
    static const double parts[] = {1e-4, 3e-4, 1e-3, 3e-3,
                                   1e-2, 3e-2, 1e-1, 3e-1};
    double range =
        fabs(ew_judge_full(s->judge) - ew_judge_empty(s->judge));
    s->n_thresholds = EW_ARRAY_LEN(parts);
    s->thresholds = ew_xcalloc(s->n_thresholds, sizeof(*s->thresholds));
    for (size_t i = 0; i < s->n_thresholds; i++) {
        s->thresholds[i] = range * parts[i];
    }
}

static bool prepare_rows(struct sweep *s, struct ew_err *err)
{
    uint32_t n = ew_graph_n_edges(s->open.graph);
    for (size_t i = 0; i < s->n_rows; i++) {
        struct sweep_row *row = &s->rows[i];
        row->scores = ew_xcalloc(n, sizeof(*row->scores));
        for (uint32_t e = 0; e < n; e++) {
            row->scores[e] = NAN;
        }
        if (row->method) {
            continue;
        }
        struct ew_acdc_params params = {.metric = s->open.metric,
                                        .indices = EW_ORDER_REVERSE};
        if (!keep_all(s, err)) {
            return false;
        }
        row->ladder =
            ew_ladder_create(s->open.engine, &params, s->thresholds,
                             s->n_thresholds, cli_cancel(), err);
        s->rungs = ew_xcalloc(s->n_thresholds, sizeof(*s->rungs));
        if (!row->ladder) {
            return ew_fail_prefix(err, "--thresholds");
        }
    }
    return true;
}

static bool read_truth(struct sweep *s, const char *path, struct ew_err *err)
{
    if (!path) {
        return true;
    }
    struct ew_circuit *c = ew_circuit_load(path, s->open.graph, NULL, err);
    s->truth = c ? ew_bitset_clone(ew_circuit_kept(c)) : NULL;
    ew_circuit_destroy(c);
    return s->truth != NULL;
}

static struct ew_judge *make_judge(const struct cli_open *open,
                                   struct ew_err *err)
{
    return ew_judge_create(open->engine, open->metric, cli_cancel(), err);
}

static bool start(struct sweep *s, const struct cli_opts *opts,
                  struct ew_err *err)
{
    json_t *file = opts->resume ? ew_json_load(opts->resume, err) : NULL;
    bool ok = (!opts->resume || file) &&
              cli_open_graph(&s->open, opts, err) &&
              read_truth(s, opts->truth, err) &&
              cli_open_engine(&s->open, 0, opts, err) &&
              (!opts->eval_task ||
               cli_open_other(&s->other, &s->open, opts->eval_task, opts, err));
    if (ok) {
        s->judge = make_judge(&s->open, err);
        ok = s->judge != NULL;
    }
    if (ok && s->other.engine) {
        s->other_judge = make_judge(&s->other, err);
        ok = s->other_judge != NULL;
    }
    if (ok && file && s->n_thresholds == 0) {
        ok = sweep_load_thresholds(s, file, opts->resume, err);
    }
    if (ok && s->n_thresholds == 0) {
        free(s->thresholds);
        default_thresholds(s);
    }
    ok = ok && prepare_rows(s, err) &&
         (!file || sweep_load(s, file, opts->resume, err));
    json_decref(file);
    return ok;
}

/* ---- scores ---- */

struct progress {
    struct sweep *s;
    const struct sweep_row *row;
};

static void show(void *user, size_t done, size_t total)
{
    const struct progress *p = user;
    cli_progress_show(&p->s->progress, "%s: %zu/%zu %s", p->row->name, done,
                      total, p->row->method->unit);
}

static bool save_now_and_then(struct sweep *s, struct ew_err *err)
{
    return (cli_now_ns() - s->saved_ns) >> SAVE_NS_SHIFT == 0 ||
           sweep_save(s, err);
}

static bool score_by_scan(struct sweep *s, struct sweep_row *row,
                          struct ew_err *err)
{
    uint32_t n = ew_graph_n_edges(s->open.graph);
    struct progress progress = {s, row};
    struct ew_scan_params params = {
        .method = row->method,
        .metric = s->open.metric,
        .steps = row->method->needs & EW_SCAN_STEPS ? s->steps : 0,
        .seed = (uint64_t)s->seed,
        .progress = show,
        .user = &progress,
    };
    if (!keep_all(s, err)) {
        return false;
    }
    struct ew_scan *scan =
        ew_scan_create(s->open.engine, &params, cli_cancel(), err);
    bool ok = scan != NULL;
    for (uint32_t e = 0; ok && e < n; e++) {
        ew_scan_know(scan, e, row->scores[e]);
    }
    while (ok && !ew_scan_done(scan)) {
        ok = ew_scan_step(scan, cli_cancel(), err);
        memcpy(row->scores, ew_scan_scores(scan), n * sizeof(*row->scores));
        ok = ok && save_now_and_then(s, err);
    }
    ew_scan_destroy(scan);
    return ok;
}

static bool score_by_acdc(struct sweep *s, struct sweep_row *row,
                          struct ew_err *err)
{
    struct ew_ladder *l = row->ladder;
    bool ok = true;
    while (ok && !ew_ladder_done(l)) {
        size_t at = ew_ladder_at(l);
        ok = ew_ladder_step(l, cli_cancel(), err);
        cli_progress_show(&s->progress,
                          "acdc: threshold %zu of %zu, %u edges left", at + 1,
                          s->n_thresholds, ew_ladder_n_left(l));
        ok = ok && save_now_and_then(s, err);
    }
    ew_ladder_scores(l, row->scores);
    return ok;
}

static bool score(struct sweep *s, struct sweep_row *row, struct ew_err *err)
{
    long long start_ns = cli_now_ns();
    bool ok = row->method ? score_by_scan(s, row, err)
                          : score_by_acdc(s, row, err);
    row->seconds += 1e-9 * (double)(cli_now_ns() - start_ns);
    row->scored = ok;
    return ok;
}

/* ---- judgement ---- */

static bool judge_rungs(struct sweep *s, const struct ew_ladder *l,
                        struct ew_err *err)
{
    for (size_t i = 0; i < ew_ladder_at(l); i++) {
        const struct ew_bitset *kept = ew_ladder_rung(l, i)->kept;
        struct sweep_judged *out = &s->rungs[i];
        if (!ew_judge_circuit(s->judge, kept, &out->here, cli_cancel(), err) ||
            (s->other_judge &&
             !ew_judge_circuit(s->other_judge, kept, &out->held_out,
                               cli_cancel(), err))) {
            return false;
        }
        s->n_rungs = i + 1;
    }
    return true;
}

static bool judge_row(struct sweep *s, struct sweep_row *row,
                      struct ew_err *err)
{
    const struct ew_graph *g = s->open.graph;
    row->judged =
        (!row->ladder || judge_rungs(s, row->ladder, err)) &&
        cli_curve_measure(&row->curve, s->judge, g, row->scores, s->truth, NULL,
                          &s->progress, row->name, err) &&
        (!s->other_judge ||
         cli_curve_measure(&row->held_out, s->other_judge, g, row->scores,
                           s->truth, NULL, &s->progress, row->name, err));
    return row->judged;
}

static bool sweep_all(struct sweep *s, struct ew_err *err)
{
    bool ok = true;
    cli_progress_init(&s->progress);
    s->saved_ns = cli_now_ns();
    for (size_t i = 0; ok && i < s->n_rows; i++) {
        ok = score(s, &s->rows[i], err) && sweep_save(s, err) &&
             judge_row(s, &s->rows[i], err);
    }
    cli_progress_clear(&s->progress);
    return ok;
}

/* ---- the command ---- */

static void print(const struct sweep *s, const struct cli_opts *opts)
{
    if (opts->json) {
        sweep_print_json(s);
    } else if (opts->thresholds && !opts->methods) {
        sweep_print_ladder(s, opts);
    } else {
        sweep_print_methods(s, opts);
    }
}

static void finish(struct sweep *s)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        free(s->rows[i].scores);
        ew_ladder_destroy(s->rows[i].ladder);
    }
    free(s->rows);
    free(s->rungs);
    free(s->thresholds);
    ew_bitset_destroy(s->truth);
    ew_judge_destroy(s->other_judge);
    ew_judge_destroy(s->judge);
    cli_close_other(&s->other);
    cli_close(&s->open);
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    struct sweep s = {0};
    bool ok = read_options(&s, opts, err) && start(&s, opts, err);
    if (ok) {
        ok = sweep_all(&s, err);
        /* an interrupted or failed sweep keeps what it has */
        struct ew_err late = {0};
        if (!ok && !sweep_save(&s, &late)) {
            fprintf(stderr, "edgewise sweep: %s\n", late.message);
        }
        print(&s, opts);
        if (!ok && err->code == EW_ERR_CANCELLED) {
            fprintf(stderr, "edgewise sweep: interrupted%s%s\n",
                    s.path ? "; go on with --resume " : "",
                    s.path ? s.path : "");
        }
    }
    finish(&s);
    return ok;
}

// clang-format off
static const struct cli_option own_options[] = {
    {"methods", 0, CLI_STRING, CLI_AT(methods), 0, "LIST",
     "comma-separated: acdc, and the methods of scan (all of them)"},
    {"thresholds", 0, CLI_STRING, CLI_AT(thresholds), 0, "LIST",
     "of acdc, comma-separated (eight, from .0001 to .3 of the metric's way "
     "from full to empty); without --methods, what ACDC leaves at each"},
    {"steps", 0, CLI_INT, CLI_AT(steps), 0, "N",
     "of methods that have steps (5)"},
    {"seed", 0, CLI_INT, CLI_AT(seed), 0, "N", "of random (0)"},
    {"eval-task", 0, CLI_STRING, CLI_AT(eval_task), 0, "TASK",
     "judge on this task too: one nothing was found on"},
    {"truth", 0, CLI_STRING, CLI_AT(truth), 0, "CIRCUIT",
     "the area under the ROC against this circuit"},
    {"output", 'o', CLI_LIST, CLI_AT(output), 0, "FILE",
     "keep scores and decisions there, now and then and at the end"},
    {"resume", 0, CLI_STRING, CLI_AT(resume), 0, "FILE",
     "go on with the sweep that left this file, and keep it up to date "
     "unless -o names another"},
    {"top", 0, CLI_INT, CLI_AT(top), 0, "N",
     "of the edges that come and go at a threshold, name N (10)"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {own_options,
                                                   cli_options_table,
                                                   cli_options_typed,
                                                   cli_options_task,
                                                   cli_options_engine,
                                                   cli_options_weights,
                                                   cli_options_split,
                                                   cli_options_bos,
                                                   cli_options_model,
                                                   cli_options_common,
                                                   NULL};

const struct cli_command cli_sweep = {
    .name = "sweep",
    .args = "[options] MODEL -t TASK",
    .help = "compare methods, or ACDC's circuits at several thresholds",
    .more = "Each method ranks the edges. CPR is what the best of them "
            "recover, over the share that is kept (1 is best); CMD is how far "
            "that is from all (0 is best); then how many edges make 90%. ACDC "
            "ranks by the largest threshold that keeps an edge. Interrupted by "
            "Ctrl-C, what is done is printed and, with -o or --resume, kept.",
    .max_args = 1,
    .options = options,
    .run = run,
};
