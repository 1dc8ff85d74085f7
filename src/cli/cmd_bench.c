/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise bench`: what the engine gains over a full rerun, on this machine,
 * in one run. Every time is also given in plain forwards (the unpatched model
 * on the clean prompts, all logits), since machines differ and so do their
 * moods; and the plain forward as a share of the machine's own rate of matrix
 * products, measured in the same run.
 *
 * On a shared machine the clock runs on while others have the core. The
 * forward and each what-if are therefore the best of several, and ACDC is
 * walked several times: the time of a step is its best, and the run's is the
 * sum of these. A short piece of work finds an undisturbed moment sooner than
 * a long one, though; beside these stand means, in means of plain forwards
 * timed in between, which suffer as much. And what a what-if computes is the
 * same on every machine.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "edgewise/acdc.h"
#include "edgewise/attribute.h"
#include "edgewise/forward.h"
#include "edgewise/mem.h"
#include "edgewise/rng.h"

#include "bench_cancel.h"
#include "bench_shape.h"

struct bench {
    struct cli_open *open;
    const struct cli_opts *opts;
    double peak;         /* floating-point operations per second */
    double forward;      /* seconds */
    double forward_work; /* floating-point operations */
    double forward_sum;  /* seconds of those timed since begin_mean() */
    size_t n_forwards;
    json_t *json;
    struct cli_table table;
};

static double seconds_since(long long start)
{
    return (double)(cli_now_ns() - start) * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* A quantile of n > 0 sorted values. */
static double quantile(const double *sorted, size_t n, double q)
{
    size_t i = (size_t)(q * (double)(n - 1) + 0.5);
    return sorted[i < n ? i : n - 1];
}

static void report(struct bench *b, const char *name, const char *key,
                   double seconds)
{
    cli_table_add(&b->table, name);
    cli_table_addf(&b->table, "%.3f ms", seconds * 1e3);
    cli_table_addf(&b->table, "%.3f", seconds / b->forward);
    json_t *item = json_object();
    json_object_set_new(item, "seconds", cli_real(seconds));
    json_object_set_new(item, "forwards", cli_real(seconds / b->forward));
    json_object_set_new(b->json, key, item);
}

static void report_count(struct bench *b, const char *name, const char *key,
                         double value, const char *unit)
{
    cli_table_add(&b->table, name);
    cli_table_addf(&b->table, "%.4g %s", value, unit);
    cli_table_add(&b->table, "");
    json_object_set_new(b->json, key, cli_real(value));
}

/* The machine's rate: the best of several large square products. */
static bool measure_peak(struct bench *b, struct ew_err *err)
{
    enum { N = 512, ROUNDS = 60 }; /* short: some are not disturbed */
    struct ew_scope *s = ew_scope_open(b->open->model->device);
    struct ew_tensor *a = ew_full(s, 0.5, 2, (int64_t[]){N, N});
    double best = INFINITY;
    for (int i = 0; i < ROUNDS; i++) {
        long long start = cli_now_ns();
        struct ew_tensor *c = ew_matmul(s, a, a);
        ew_item(s, ew_select(s, ew_select(s, c, 0, 0), 0, 0));
        best = fmin(best, seconds_since(start));
        ew_drop(s, c);
    }
    b->peak = 2.0 * N * (double)N * N / best;
    return ew_scope_finish(s, err);
}

/* Operations of the products in one plain forward. */
static double plain_work(const struct ew_arch *a, double rows, double n_pos)
{
    double h = a->n_heads, k = a->d_head, d = a->d_model, m = a->d_mlp;
    double qkv = d * (h + 2.0 * a->n_kv_heads) * k + h * k * d;
    double mix = 2.0 * n_pos * h * k;
    double mlp = d * m * (a->gated_mlp ? 3.0 : 2.0);
    return 2.0 * rows *
           (a->n_layers * (qkv + mix + mlp) + d * (double)a->d_vocab_out);
}

/* n plain forwards, added to b->forward_sum; the best is b->forward. */
static bool time_forwards(struct bench *b, int n, struct ew_err *err)
{
    const struct ew_task *task = b->open->task;
    for (int i = 0; i < n; i++) {
        struct ew_scope *s = ew_scope_open(b->open->model->device);
        struct ew_tensor *ids = ew_from_i64(
            s, task->clean, 2,
            (int64_t[]){(int64_t)task->n_prompts, (int64_t)task->n_pos});
        struct ew_forward_params params = {.cancel = cli_cancel()};
        long long start = cli_now_ns();
        struct ew_tensor *logits = ew_forward(s, b->open->model, ids, &params);
        ew_item(s, ew_sum_all(s, ew_narrow(s, logits, 2, 0, 1)));
        double took = seconds_since(start);
        b->forward_sum += took;
        b->n_forwards++;
        if (!ew_scope_finish(s, err)) {
            return false;
        }
    }
    return true;
}

static void begin_mean(struct bench *b)
{
    b->forward_sum = 0.0;
    b->n_forwards = 0;
}

/* `seconds`, a mean, in means of the forwards timed since begin_mean(). */
static void report_mean(struct bench *b, const char *name, const char *key,
                        double seconds)
{
    report_count(b, name, key, seconds * (double)b->n_forwards / b->forward_sum,
                 "forwards");
}

static bool measure_forward(struct bench *b, struct ew_err *err)
{
    const struct ew_task *task = b->open->task;
    b->forward = INFINITY;
    for (int i = 0; i < 15; i++) {
        begin_mean(b);
        if (!time_forwards(b, 1, err)) {
            return false;
        }
        b->forward = fmin(b->forward, b->forward_sum);
    }
    b->forward_work = plain_work(&b->open->arch,
                                 (double)task->n_prompts * (double)task->n_pos,
                                 (double)task->n_pos);
    return true;
}

/* Full patched reruns, as the official code does for every edge. */
static bool measure_rerun(struct bench *b, struct ew_err *err)
{
    const struct cli_open *open = b->open;
    struct ew_engine_params params = {.kind = EW_ENGINE_RERUN,
                                      .ablation = open->ablation,
                                      .want = ew_metric_want(open->metric)};
    struct ew_engine *slow = ew_engine_create(
        open->model, open->task, open->graph, &params, cli_cancel(), err);
    if (!slow) {
        return false;
    }
    uint32_t edge = 0;
    struct ew_what_if one = {.edges = &edge, .n = 1};
    struct ew_score score;
    double best = INFINITY;
    bool ok = true;
    for (int i = 0; ok && i < 2; i++) {
        long long start = cli_now_ns();
        ok = ew_engine_what_if(slow, &one, 1, ew_metric_want(open->metric),
                               &score, NULL, cli_cancel(), err);
        best = fmin(best, seconds_since(start));
    }
    ew_engine_destroy(slow);
    if (ok) {
        report(b, "full patched rerun", "rerun", best);
    }
    return ok;
}

/* What-ifs of single edges. */
struct what_ifs {
    double best[200]; /* seconds: the least of each edge's times */
    size_t n;         /* edges */
    double sum;       /* seconds of all, not only the best */
    size_t n_runs;    /* how many that is */
    double work;      /* of all edges once, in matrix products */
    double most_work; /* of the one that computed most */
};

/* One edge, ROUNDS times. */
static bool time_what_if(struct bench *b, uint32_t edge, unsigned want,
                         struct what_ifs *w, struct ew_err *err)
{
    enum { ROUNDS = 3 };
    struct ew_what_if one = {.edges = &edge, .n = 1};
    struct ew_score score;
    double best = INFINITY, work = 0.0;
    for (int i = 0; i < ROUNDS; i++) {
        double before = ew_torch_work();
        long long start = cli_now_ns();
        if (!ew_engine_what_if(b->open->engine, &one, 1, want, &score, NULL,
                               cli_cancel(), err)) {
            return false;
        }
        double took = seconds_since(start);
        work = ew_torch_work() - before;
        best = fmin(best, took);
        w->sum += took;
        w->n_runs++;
    }
    w->best[w->n++] = best;
    w->work += work;
    w->most_work = fmax(w->most_work, work);
    return true;
}

/* What the what-ifs computed, and how fast. */
static void report_work(struct bench *b, const char *where, const char *key,
                        const struct what_ifs *w)
{
    double seconds = 0.0;
    for (size_t i = 0; i < w->n; i++) {
        seconds += w->best[i];
    }
    double mean = w->work / (double)w->n;
    struct {
        const char *name, *key;
        double value;
        const char *unit;
    } const lines[] = {
        {"products, mean", "gflop", mean * 1e-9, "GFLOP"},
        {"products, of a plain forward's", "work",
         100.0 * mean / b->forward_work, "%"},
        {"products, most, of a plain forward's", "work_max",
         100.0 * w->most_work / b->forward_work, "%"},
        {"products, of the machine's rate", "share",
         100.0 * w->work / seconds / b->peak, "%"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(lines); i++) {
        char *name = ew_xasprintf("what-if, %s, %s", where, lines[i].name);
        char *full = ew_xasprintf("what_if_%s_%s", key, lines[i].key);
        report_count(b, name, full, lines[i].value, lines[i].unit);
        free(name);
        free(full);
    }
}

/* Latency of single what-ifs over edges drawn from all receivers, plain
 * forwards in between. */
static bool measure_what_ifs(struct bench *b, const char *where,
                             const char *key, unsigned want, struct ew_err *err)
{
    enum { LEAST = 20, PER_FORWARD = 5 };
    const double enough = 20.0; /* seconds */
    const struct ew_graph *g = b->open->graph;
    struct ew_rng rng;
    ew_rng_seed(&rng, 1);
    struct what_ifs w = {.n = 0};
    begin_mean(b);
    long long begin = cli_now_ns();
    while (w.n < EW_ARRAY_LEN(w.best) &&
           (w.n < LEAST || seconds_since(begin) < enough)) {
        uint32_t r = (uint32_t)ew_rng_below(&rng, ew_graph_n_receivers(g));
        uint32_t edge =
            ew_graph_first_edge(g, r) +
            (uint32_t)ew_rng_below(&rng, ew_graph_n_senders_of(g, r));
        if ((w.n % PER_FORWARD == 0 && !time_forwards(b, 1, err)) ||
            !time_what_if(b, edge, want, &w, err)) {
            return false;
        }
    }
    qsort(w.best, w.n, sizeof(*w.best), by_value);
    static const struct {
        const char *name;
        double q;
    } points[] = {{"p50", 0.5}, {"p99", 0.99}, {"max", 1.0}};
    for (size_t i = 0; i < EW_ARRAY_LEN(points); i++) {
        char *name = ew_xasprintf("what-if, %s, %s", where, points[i].name);
        char *full = ew_xasprintf("what_if_%s_%s", key, points[i].name);
        report(b, name, full, quantile(w.best, w.n, points[i].q));
        free(name);
        free(full);
    }
    char *name = ew_xasprintf("what-if, %s, mean in mean forwards", where);
    char *full = ew_xasprintf("what_if_%s_mean_forwards", key);
    report_mean(b, name, full, w.sum / (double)w.n_runs);
    free(name);
    free(full);
    report_work(b, where, key, &w);
    return true;
}

/* One walk from the full circuit; best[i] becomes the least time of step i.
 * The number of steps, or 0. */
static size_t walk(struct bench *b, double *best, size_t *dropped, double *wall,
                   struct ew_err *err)
{
    struct cli_open *open = b->open;
    struct ew_acdc_params params = {.threshold = b->opts->threshold,
                                    .metric = open->metric,
                                    .indices = EW_ORDER_REVERSE};
    struct ew_bitset *all = ew_bitset_create(ew_graph_n_edges(open->graph));
    ew_bitset_fill(all, true);
    bool ok = ew_engine_set(open->engine, all, cli_cancel(), err);
    ew_bitset_destroy(all);
    long long begin = cli_now_ns();
    struct ew_acdc *a =
        ok ? ew_acdc_create(open->engine, &params, cli_cancel(), err) : NULL;
    if (!a) {
        return 0;
    }
    struct cli_progress progress;
    cli_progress_init(&progress);
    uint32_t n_edges = ew_graph_n_edges(open->graph);
    size_t n = 0, kept = 0;
    *dropped = 0;
    while (ok && !ew_acdc_done(a)) {
        struct ew_acdc_decision d;
        long long start = cli_now_ns();
        ok = ew_acdc_step(a, &d, cli_cancel(), err);
        best[n] = fmin(best[n], seconds_since(start));
        *dropped += ok && d.dropped;
        kept += ok && d.kept;
        n++;
        cli_progress_show(&progress,
                          "acdc: %zu/%u, %zu kept, %.1f a second, %.0f s", n,
                          n_edges, kept, (double)n / seconds_since(begin),
                          seconds_since(begin));
    }
    *wall += seconds_since(begin);
    cli_progress_clear(&progress);
    ew_acdc_destroy(a);
    return ok ? n : 0;
}

static bool measure_acdc(struct bench *b, struct ew_err *err)
{
    enum { WALKS = 5 };
    const double enough = 60.0; /* seconds for all walks */
    uint32_t n_edges = ew_graph_n_edges(b->open->graph);
    double *best = ew_xcalloc(n_edges, sizeof(*best));
    for (uint32_t i = 0; i < n_edges; i++) {
        best[i] = INFINITY;
    }
    double wall = 0.0, took = 0.0;
    size_t n = 0, dropped = 0, walks = 0;
    begin_mean(b);
    long long begin = cli_now_ns();
    for (int i = 0; i < WALKS && (i == 0 || seconds_since(begin) < enough);
         i++) {
        n = time_forwards(b, 5, err) ? walk(b, best, &dropped, &wall, err) : 0;
        if (n == 0) {
            free(best);
            return false;
        }
        walks++;
    }
    wall /= (double)walks;
    for (size_t i = 0; i < n; i++) {
        took += best[i];
    }
    free(best);
    report(b, "ACDC, sum of each step's best", "acdc", took);
    report(b, "ACDC, mean walk", "acdc_mean", wall);
    report_mean(b, "ACDC, mean walk in mean forwards", "acdc_mean_forwards",
                wall);
    report_count(b, "edge tests", "acdc_tests", (double)(n - dropped), "");
    report_count(b, "edges dropped untested", "acdc_dropped", (double)dropped,
                 "");
    report_count(b, "edge tests a second", "acdc_rate",
                 (double)(n - dropped) / took, "");
    report_count(b, "edges left", "acdc_edges",
                 (double)ew_bitset_count(ew_engine_kept(b->open->engine)), "");
    return true;
}

static const float *ranked; /* scores that by_score() compares */

static int by_score(const void *a, const void *b)
{
    float x = ranked[*(const uint32_t *)a], y = ranked[*(const uint32_t *)b];
    return x > y ? -1 : x < y;
}

/* EAP of all edges; where --edges says so, then what-ifs in the circuit of
 * as many of the best. */
static bool measure_attribution(struct bench *b, unsigned want,
                                struct ew_err *err)
{
    const struct ew_graph *g = b->open->graph;
    uint32_t n = ew_graph_n_edges(g);
    float *scores = ew_xcalloc(n, sizeof(*scores));
    /* KL to the plain model has no gradient there */
    bool answers = ew_task_can_score(b->open->task, EW_METRIC_LOGIT_DIFF, NULL);
    struct ew_attribute_params params = {
        .method = EW_ATTR_EAP,
        .metric = answers ? EW_METRIC_LOGIT_DIFF : b->open->metric};
    enum { ROUNDS = 3 };
    double best = INFINITY, sum = 0.0;
    begin_mean(b);
    bool ok = true;
    for (int i = 0; ok && i < ROUNDS; i++) {
        ok = time_forwards(b, 3, err);
        long long start = cli_now_ns();
        ok = ok && ew_engine_attribute(b->open->engine, &params, scores,
                                       cli_cancel(), err);
        best = fmin(best, seconds_since(start));
        sum += seconds_since(start);
    }
    if (ok) {
        report(b, "EAP, all edges", "eap", best);
        report_mean(b, "EAP, mean in mean forwards", "eap_mean_forwards",
                    sum / ROUNDS);
        report_count(b, "edges", "edges", (double)n, "");
    }
    if (ok && b->opts->top > 0) {
        uint32_t *order = ew_xcalloc(n, sizeof(*order));
        struct ew_bitset *kept = ew_bitset_create(n);
        for (uint32_t i = 0; i < n; i++) {
            order[i] = i;
            scores[i] = fabsf(scores[i]);
        }
        ranked = scores;
        qsort(order, n, sizeof(*order), by_score);
        for (uint32_t i = 0; i < n; i++) {
            ew_bitset_put(kept, order[i],
                          i < (uint32_t)b->opts->top ||
                              order[i] >= ew_graph_n_addition(g));
        }
        ok = ew_engine_set(b->open->engine, kept, cli_cancel(), err) &&
             measure_what_ifs(b, "best edges", "best", want, err);
        ew_bitset_destroy(kept);
        free(order);
    }
    free(scores);
    return ok;
}

static bool measure_cancel(struct bench *b, unsigned want, struct ew_err *err)
{
    struct bench_cancel late;
    if (!bench_measure_cancel(b->open, want, &late, err)) {
        return false;
    }
    report(b, "stopped, what-ifs, worst", "stop_what_if", late.what_if);
    report(b, "stopped, score of a circuit, worst", "stop_score", late.score);
    report(b, "stopped, EAP, worst", "stop_eap", late.attribution);
    return true;
}

/* All but ACDC. */
static bool measure_parts(struct bench *b, unsigned want, struct ew_err *err)
{
    if (!measure_rerun(b, err) ||
        !measure_what_ifs(b, "full circuit", "full", want, err)) {
        return false;
    }
    if (want != EW_WANT_LOGIT_DIFF &&
        !measure_what_ifs(b, "full circuit, logit difference", "full_ld",
                          EW_WANT_LOGIT_DIFF, err)) {
        return false;
    }
    return measure_cancel(b, want, err) && measure_attribution(b, want, err);
}

static bool measure(struct bench *b, struct ew_err *err)
{
    struct cli_open *open = b->open;
    unsigned want = ew_metric_want(open->metric);
    if (!measure_peak(b, err) || !measure_forward(b, err)) {
        return false;
    }
    report(b, "plain forward, logits at all positions", "forward", b->forward);
    report_count(b, "its share of the machine's products", "forward_share",
                 100.0 * b->forward_work / b->forward / b->peak, "%");
    report_count(b, "the machine's products", "peak_gflops", b->peak * 1e-9,
                 "GFLOP/s");
    if (!b->opts->only_acdc && !measure_parts(b, want, err)) {
        return false;
    }
    if (b->opts->have_threshold &&
        (!measure_acdc(b, err) ||
         !measure_what_ifs(b, "circuit", "circuit", want, err))) {
        return false;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    report_count(b, "peak memory", "peak_memory_mb",
                 (double)usage.ru_maxrss * 1024.0 / 1e6, "MB");
    report_count(b, "the engine's, as estimated", "estimated_memory_mb",
                 (double)ew_engine_memory(b->open->engine) / 1e6, "MB");
    return true;
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    if (opts->only_acdc && !opts->have_threshold) {
        return ew_fail(err, EW_ERR_USAGE, "--only-acdc needs --threshold");
    }
    struct cli_open open = {0};
    struct bench b = {.open = &open, .opts = opts, .json = json_object()};
    b.table = (struct cli_table){.n_columns = 3, .align = "lrr"};
    cli_table_add(&b.table, "");
    cli_table_add(&b.table, "");
    cli_table_add(&b.table, "plain forwards");
    bool ok =
        (opts->shape ? bench_open_shape(&open, EW_WANT_LOGIT_DIFF, opts, err)
                     : cli_open_engine(&open, EW_WANT_LOGIT_DIFF, opts, err)) &&
        measure(&b, err);
    if (ok && opts->json) {
        cli_json_line(stdout, json_incref(b.json));
    } else if (ok) {
        cli_table_print(&b.table, stdout);
    }
    for (size_t i = 0; i < b.table.n; i++) {
        free(b.table.cells[i]);
    }
    free(b.table.cells);
    json_decref(b.json);
    cli_close(&open);
    return ok;
}

// clang-format off
static const struct cli_option own[] = {
    {"threshold", 0, CLI_REAL, CLI_AT(threshold), CLI_AT(have_threshold), "T",
     "also run ACDC to its end at this threshold"},
    {"only-acdc", 0, CLI_FLAG, CLI_AT(only_acdc), 0, NULL,
     "leave out what is not the ACDC run: rerun, what-ifs, EAP, stops"},
    {"edges", 0, CLI_INT, CLI_AT(top), 0, "N",
     "also what-ifs in the circuit of the N best edges by EAP"},
    {"shape", 0, CLI_STRING, CLI_AT(shape), 0, "SHAPE",
     "random weights instead of a model: gpt2, pythia-70m, attn-only-2l or "
     "layers,heads,d_model,d_mlp,d_vocab"},
    {"size", 0, CLI_STRING, CLI_AT(prompts_size), 0, "N,T[,A]",
     "with --shape: N prompts of T tokens, the first A not corrupted "
     "(10,20,2)"},
    {0},
};
static const struct cli_option *const options[] = {
    own, cli_options_task, cli_options_typed, cli_options_engine,
    cli_options_model, cli_options_weights, cli_options_bos,
    cli_options_split, cli_options_common, NULL,
};
// clang-format on

const struct cli_command cli_bench = {
    .name = "bench",
    .args = "[MODEL] [-t TASK]",
    .help = "the engine against a full rerun, on this machine, in one run",
    .max_args = 1,
    .options = options,
    .run = run,
};
