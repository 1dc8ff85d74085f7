/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise acdc`: run ACDC to the end. The log is written decision by
 * decision, and an interrupted run leaves its log and its circuit as far as
 * they are, to be gone on with.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edgewise/acdc.h"
#include "edgewise/names.h"
#include "edgewise/unit.h"

#include "decisions.h"
#include "open.h"

struct tally {
    uint32_t tested;
    uint32_t dropped;
    double initial;
    double final;
    long long start_ns;
};

struct job {
    struct cli_open open;
    struct ew_acdc_params params;
    struct ew_acdc *acdc;
    struct ew_circuit *circuit; /* gathers the scores */
    FILE *log;                  /* NULL: none */
    const char *log_path;
    bool goes_on;                /* behind what the log holds */
    struct cli_decisions before; /* of the run that is gone on with */
    struct tally tally;
};

/* ---- options ---- */

/* normal, reverse or shuffle:SEED */
static bool parse_order(const char *option, const char *text,
                        enum ew_order *order, uint64_t *seed,
                        struct ew_err *err)
{
    if (!text) {
        return true;
    }
    if (strcmp(text, "normal") == 0) {
        *order = EW_ORDER_NORMAL;
        return true;
    }
    if (strcmp(text, "reverse") == 0) {
        *order = EW_ORDER_REVERSE;
        return true;
    }
    static const char shuffle[] = "shuffle:";
    size_t len = sizeof(shuffle) - 1;
    if (strncmp(text, shuffle, len) == 0) {
        char *end;
        errno = 0;
        *order = EW_ORDER_SHUFFLE;
        *seed = strtoull(text + len, &end, 10);
        if (text[len] >= '0' && text[len] <= '9' && !*end && !errno) {
            return true;
        }
    }
    return ew_fail(err, EW_ERR_USAGE,
                   "--%s: expected normal, reverse or shuffle:SEED, found "
                   "'%s'",
                   option, text);
}

static bool read_params(struct job *job, const struct cli_opts *opts,
                        struct ew_err *err)
{
    if (!opts->have_threshold && !opts->resume) {
        return ew_fail(err, EW_ERR_USAGE, "--threshold is needed");
    }
    job->params = (struct ew_acdc_params){
        .threshold = opts->threshold,
        .absolute = opts->absolute,
        .nodes = opts->nodes,
        .indices = EW_ORDER_REVERSE,
        .names = EW_ORDER_NORMAL,
        .remove_redundant = opts->remove_redundant,
    };
    if (opts->compat && strcmp(opts->compat, "official") != 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--compat: expected official, found '%s'",
                       opts->compat);
    }
    if (!parse_order("indices", opts->indices, &job->params.indices,
                     &job->params.indices_seed, err) ||
        !parse_order("names", opts->names, &job->params.names,
                     &job->params.names_seed, err)) {
        return false;
    }
    if (opts->compat && job->params.indices == EW_ORDER_SHUFFLE) {
        job->params.indices = EW_ORDER_NORMAL; /* it tests for "random" */
    }
    return true;
}

/* ---- the log ---- */

/* The decisions of an interrupted run, and its threshold. */
static bool read_before(struct job *job, const struct cli_opts *opts,
                        struct ew_err *err)
{
    if (!opts->resume) {
        return true;
    }
    if (!cli_open_graph(&job->open, opts, err) ||
        !cli_decisions_load(&job->before, job->open.graph, opts->nodes,
                            opts->resume, err)) {
        return false;
    }
    const struct ew_acdc_decision *first = cli_decisions_first(&job->before);
    if (!first && !opts->have_threshold) {
        return ew_fail(err, EW_ERR_USAGE,
                       "%s has no threshold yet: --threshold is needed",
                       opts->resume);
    }
    if (first && !opts->have_threshold) {
        job->params.threshold = first->threshold;
    }
    double off = job->params.threshold - (first ? first->threshold : 0.0);
    if (first && fabs(off) > 1e-14 * fabs(first->threshold)) { /* 15 digits */
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: its threshold is %g, not %g; sweep --thresholds "
                       "shares work between thresholds",
                       opts->resume, first->threshold, job->params.threshold);
    }
    return true;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x;
    struct stat y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

/* What it holds stays until the run begins. */
static bool open_log(struct job *job, const struct cli_opts *opts,
                     struct ew_err *err)
{
    const char *path = opts->log ? opts->log : opts->resume;
    job->log_path = path;
    if (!path) {
        return true;
    }
    job->log = strcmp(path, "-") == 0 ? stdout : fopen(path, "a");
    if (!job->log) {
        return ew_fail(err, EW_ERR_IO, "%s: %s", path, strerror(errno));
    }
    job->goes_on =
        opts->resume && job->log != stdout && same_file(path, opts->resume);
    return true;
}

/* Anew, or behind the whole lines of the log that is gone on with. */
static bool begin_log(struct job *job, struct ew_err *err)
{
    off_t end = job->goes_on ? job->before.bytes : 0;
    if (job->log && job->log != stdout && ftruncate(fileno(job->log), end) &&
        errno != EINVAL) { /* a pipe, a device */
        return ew_fail(err, EW_ERR_IO, "%s: %s", job->log_path,
                       strerror(errno));
    }
    return true;
}

static bool close_log(struct job *job, struct ew_err *err)
{
    FILE *log = job->log;
    job->log = NULL;
    if (!log || log == stdout) {
        return true;
    }
    bool failed = ferror(log);
    if (fclose(log) != 0 || failed) {
        return ew_fail(err, EW_ERR_FAILED, "%s: not everything was written",
                       job->log_path);
    }
    return true;
}

static bool write_decision(struct job *job, const struct ew_acdc_decision *d,
                           struct ew_err *err)
{
    if (!job->log) {
        return true;
    }
    json_t *line = cli_decision_json(job->open.graph, job->params.nodes, d);
    cli_json_line(job->log, line);
    if (job->log == stdout) {
        return cli_flush(err);
    }
    if (fflush(job->log) != 0) {
        return ew_fail(err, EW_ERR_FAILED, "%s: %s", job->log_path,
                       strerror(errno));
    }
    return true;
}

/* ---- the run ---- */

static void show(struct cli_progress *progress, const struct job *job,
                 const struct ew_acdc_decision *d)
{
    if (!progress->on) {
        return;
    }
    uint32_t done = ew_acdc_n_done(job->acdc);
    uint32_t left = ew_acdc_n_left(job->acdc);
    double seconds = 1e-9 * (double)(cli_now_ns() - job->tally.start_ns);
    struct ew_buf name = {0};
    ew_unit_print(&name, job->open.graph, job->params.nodes, d->edge);
    cli_progress_show(progress, "%u/%u  %s %.4g  kept %zu  %.1f s  %s", done,
                      done + left, ew_metric_name(job->open.metric),
                      ew_acdc_metric(job->acdc),
                      ew_bitset_count(ew_engine_kept(job->open.engine)),
                      seconds, ew_buf_str(&name));
    ew_buf_finish(&name);
}

static void count(struct job *job, const struct ew_acdc_decision *d)
{
    job->tally.dropped += d->dropped;
    job->tally.tested += !d->dropped;
    if (!d->dropped) {
        uint32_t edges[EW_UNIT_MAX];
        size_t n = ew_unit_edges(job->open.graph, job->params.nodes, d->edge,
                                 edges);
        for (size_t i = 0; i < n; i++) {
            ew_circuit_set_score(job->circuit, edges[i], (float)d->effect);
        }
    }
}

/* Go on where the other run stopped. */
static bool resume(struct job *job, const struct cli_opts *opts,
                   struct ew_err *err)
{
    const struct cli_decisions *all = &job->before;
    const struct ew_acdc_decision *first = cli_decisions_first(all);
    double initial = job->tally.initial;
    if (first &&
        fabs(first->before - initial) > 1e-4 * fmax(1.0, fabs(initial))) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: the metric was %g before its first decision, and "
                       "is %g here: another model, task, metric or circuit",
                       opts->resume, first->before, initial);
    }
    size_t n;
    if (!ew_acdc_resume(job->acdc, all->items, all->n, &n, cli_cancel(),
                        err)) {
        return ew_fail_prefix(err, "%s", opts->resume);
    }
    bool rewrite = opts->log && !job->goes_on;
    bool ok = begin_log(job, err);
    for (size_t i = 0; ok && i < n; i++) {
        count(job, &all->items[i]);
        ok = !rewrite || write_decision(job, &all->items[i], err);
    }
    return ok;
}

static bool step_all(struct job *job, struct ew_err *err)
{
    struct cli_progress progress;
    cli_progress_init(&progress);
    bool ok = true;
    while (ok && !ew_acdc_done(job->acdc)) {
        struct ew_acdc_decision d;
        if (!ew_acdc_step(job->acdc, &d, cli_cancel(), err)) {
            ok = false;
            break;
        }
        count(job, &d);
        ok = write_decision(job, &d, err);
        show(&progress, job, &d);
    }
    cli_progress_clear(&progress);
    job->tally.final = ew_acdc_metric(job->acdc);
    return ok;
}

static bool write_circuit(struct job *job, const char *path, struct ew_err *err)
{
    ew_circuit_assign(job->circuit, ew_engine_kept(job->open.engine), "acdc");
    if (strcmp(path, "-") == 0) {
        char *json = ew_circuit_to_json(job->circuit);
        fputs(json, stdout);
        free(json);
        return cli_flush(err);
    }
    return ew_circuit_save(job->circuit, path, err);
}

static void print_summary(const struct job *job, bool json, FILE *out)
{
    const struct tally *t = &job->tally;
    uint32_t total = ew_graph_n_edges(job->open.graph);
    size_t kept = ew_bitset_count(ew_engine_kept(job->open.engine));
    const char *metric = ew_metric_name(job->open.metric);
    double seconds = 1e-9 * (double)(cli_now_ns() - t->start_ns);
    if (!json) {
        fprintf(out,
                "kept %zu of %u edges: %u tested, %u dropped untested, "
                "%.2f s\n%s from %.6g to %.6g, threshold %g\n",
                kept, total, t->tested, t->dropped, seconds, metric, t->initial,
                t->final, job->params.threshold);
        return;
    }
    json_t *object = json_object();
    json_object_set_new(object, "metric", json_string(metric));
    json_object_set_new(object, "threshold", cli_real(job->params.threshold));
    json_object_set_new(object, "initial", cli_real(t->initial));
    json_object_set_new(object, "final", cli_real(t->final));
    json_object_set_new(object, "tested", json_integer(t->tested));
    json_object_set_new(object, "dropped", json_integer(t->dropped));
    json_object_set_new(object, "edges", json_integer((int64_t)kept));
    json_object_set_new(object, "total", json_integer(total));
    json_object_set_new(object, "done", json_boolean(ew_acdc_done(job->acdc)));
    json_object_set_new(object, "seconds", cli_real(seconds));
    cli_json_line(out, object);
}

/* Standard output is for one thing: the summary gives way. */
static FILE *summary_stream(const struct cli_opts *opts)
{
    bool log = opts->log && strcmp(opts->log, "-") == 0;
    return log || cli_stdout_taken(opts) ? stderr : stdout;
}

static bool start(struct job *job, const struct cli_opts *opts,
                  struct ew_err *err)
{
    struct cli_open *open = &job->open;
    if (!cli_open_engine(open, 0, opts, err) ||
        (opts->circuit && !cli_set_circuit(open, opts->circuit, err))) {
        return false;
    }
    if (open->metric == EW_METRIC_LOGIT_DIFF) {
        fputs("edgewise acdc: minus the logit difference as the metric "
              "removes every edge that hurts, negative name movers too\n",
              stderr);
    }
    job->params.metric = open->metric;
    job->tally.start_ns = cli_now_ns();
    job->acdc = ew_acdc_create(open->engine, &job->params, cli_cancel(), err);
    if (!job->acdc) {
        return false;
    }
    job->tally.initial = ew_acdc_metric(job->acdc);
    job->circuit = cli_make_circuit(open, job->params.threshold, "acdc");
    return opts->resume ? resume(job, opts, err) : begin_log(job, err);
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    struct job job = {0};
    bool ok = read_params(&job, opts, err) && read_before(&job, opts, err) &&
              cli_check_outputs(opts, err) && open_log(&job, opts, err) &&
              start(&job, opts, err);
    if (!ok) {
        goto out;
    }
    ok = step_all(&job, err);
    /* an interrupted or failed run keeps what it has */
    struct ew_err late = {0};
    for (size_t i = 0; i < opts->output.n; i++) {
        if (!write_circuit(&job, opts->output.items[i].text, &late) && ok) {
            *err = late;
            ok = false;
        }
    }
    print_summary(&job, opts->json, summary_stream(opts));
    if (!ok && err->code == EW_ERR_CANCELLED) {
        fprintf(stderr, "edgewise acdc: interrupted after %u decisions\n",
                job.tally.tested + job.tally.dropped);
    }
out:
    if (!close_log(&job, ok ? err : NULL)) {
        ok = false;
    }
    cli_decisions_finish(&job.before);
    ew_acdc_destroy(job.acdc);
    ew_circuit_destroy(job.circuit);
    cli_close(&job.open);
    return ok;
}

// clang-format off
static const struct cli_option own_options[] = {
    {"threshold", 0, CLI_REAL, CLI_AT(threshold), CLI_AT(have_threshold),
     "TAU", "remove an edge whose effect is less"},
    {"log", 0, CLI_STRING, CLI_AT(log), 0, "FILE",
     "one JSON object a line for each decision, as it is made"},
    {"resume", 0, CLI_STRING, CLI_AT(resume), 0, "FILE",
     "go on with the interrupted run whose --log this is; its decisions are "
     "not tested again, and the new ones are appended unless --log is given"},
    {"output", 'o', CLI_LIST, CLI_AT(output), 0, "FILE",
     "write the circuit"},
    {"from", 0, CLI_STRING, CLI_AT(circuit), 0, "FILE",
     "start from this circuit (from all edges)"},
    {"circuit", 'c', CLI_STRING, CLI_AT(circuit), 0, "FILE",
     "the same as --from"},
    {"indices", 0, CLI_STRING, CLI_AT(indices), 0, "ORDER",
     "of heads within a layer: reverse, normal or shuffle:SEED (reverse)"},
    {"names", 0, CLI_STRING, CLI_AT(names), 0, "ORDER",
     "of groups of senders: normal, reverse or shuffle:SEED (normal)"},
    {"compat", 0, CLI_STRING, CLI_AT(compat), 0, "official",
     "with the official code's slips too: its --indices shuffle is normal"},
    {"absolute", 0, CLI_FLAG, CLI_AT(absolute), 0, NULL,
     "compare the size of the effect, not the effect"},
    {"nodes", 0, CLI_FLAG, CLI_AT(nodes), 0, NULL,
     "heads as a whole: into q, k and v together"},
    {"remove-redundant", 0, CLI_FLAG, CLI_AT(remove_redundant), 0, NULL,
     "also drop the direct edge of an input of a head that has lost all its "
     "edges"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {
    own_options,        cli_options_task,    cli_options_typed,
    cli_options_engine, cli_options_weights, cli_options_split,
    cli_options_bos,    cli_options_model,   cli_options_common,
    NULL};

const struct cli_command cli_acdc = {
    .name = "acdc",
    .args = "[options] MODEL -t TASK --threshold TAU",
    .help = "find a circuit with ACDC (Conmy et al. 2023)",
    .more = "Orders are in the official code's words; the defaults are those "
            "of its experiment class. Interrupted by Ctrl-C, the log and the "
            "circuit hold what has been decided; a second Ctrl-C ends the "
            "program at once.",
    .max_args = 1,
    .options = options,
    .run = run,
};
