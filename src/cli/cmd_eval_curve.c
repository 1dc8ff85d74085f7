/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise eval --curve SCORES`: what the best edges by these scores
 * recover, on the task and on one held out.
 */
#include "cmd_eval_curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/hash.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"

#include "curve.h"
#include "open.h"
#include "scores.h"

struct job {
    struct cli_open open;
    struct cli_open other; /* the task held out */
    struct cli_scores scores;
    struct ew_bitset *truth; /* NULL: none */
    json_t *known;           /* --resume: what was printed; NULL: nothing */
    struct cli_progress progress;
    struct cli_curve curves[2]; /* of the task, of the one held out */
    size_t n_curves;
};

static bool read_truth(struct job *job, const char *path, struct ew_err *err)
{
    if (!path) {
        return true;
    }
    struct ew_circuit *c = ew_circuit_load(path, job->open.graph, NULL, err);
    if (c) {
        job->truth = ew_bitset_clone(ew_circuit_kept(c));
    }
    ew_circuit_destroy(c);
    return c != NULL;
}

/* A file that does not say what positive means: see what the largest say. */
static bool check_sign(struct job *job, const struct cli_opts *opts,
                       struct ew_err *err)
{
    size_t n;
    size_t n_agree;
    if (opts->flip) {
        cli_scores_flip(&job->scores, job->open.graph);
        return true;
    }
    if (job->scores.sign != EW_SIGN_UNKNOWN) {
        return true;
    }
    if (!cli_scores_probe(&job->scores, job->open.engine, job->open.metric, &n,
                          &n_agree, err)) {
        return false;
    }
    fprintf(stderr,
            "edgewise eval: %s does not say what a positive score means: of "
            "the %zu largest, %zu have the sign of their exact effect%s\n",
            opts->curve, n, n_agree,
            2 * n_agree < n ? "; --flip turns them all" : "");
    return true;
}

/* What the points depend on. */
static json_t *identity(const struct job *job)
{
    const struct cli_open *open = &job->open;
    char hash[EW_HASH_HEX]; /* of the ranking */
    ew_hash_hex(
        ew_hash(EW_HASH_START, job->scores.scores,
                ew_graph_n_edges(open->graph) * sizeof(*job->scores.scores)),
        hash);
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I}", "ranking", hash, "model_hash",
        open->model->hash, "metric", ew_metric_name(open->metric), "ablation",
        ew_ablation_name(open->ablation), "task", open->task->name, "additions",
        (json_int_t)ew_graph_n_addition(open->graph));
    return object;
}

static bool read_known(struct job *job, const char *path, struct ew_err *err)
{
    if (!path) {
        return true;
    }
    job->known = ew_json_load(path, err);
    if (!job->known) {
        return false;
    }
    json_t *mine = identity(job);
    const char *key;
    json_t *value;
    bool ok = true;
    json_object_foreach(mine, key, value)
    {
        if (ok && !json_equal(value, json_object_get(job->known, key))) {
            ok = ew_fail(err, EW_ERR_INPUT,
                         "%s: %s: not that of this curve: another ranking, "
                         "model or task",
                         path, key);
        }
    }
    json_decref(mine);
    return ok;
}

/* Same prompts? What the ends are tells. */
static bool same_ends(const json_t *known, const struct ew_judge *j)
{
    const double ends[2][2] = {
        {json_number_value(json_object_get(known, "full")), ew_judge_full(j)},
        {json_number_value(json_object_get(known, "empty")),
         ew_judge_empty(j)}};
    for (int i = 0; i < 2; i++) {
        if (fabs(ends[i][0] - ends[i][1]) > 1e-5 * fmax(1, fabs(ends[i][1]))) {
            return false;
        }
    }
    return true;
}

static bool measure(struct job *job, const struct cli_open *open,
                    struct ew_err *err)
{
    const json_t *known = job->n_curves == 0
                              ? job->known
                              : json_object_get(job->known, "held_out");
    struct ew_judge *j =
        ew_judge_create(open->engine, open->metric, cli_cancel(), err);
    if (j && known && !same_ends(known, j)) {
        ew_judge_destroy(j);
        return ew_fail(err, EW_ERR_INPUT,
                       "--resume: measured on other prompts of %s",
                       open->task->name);
    }
    bool ok = j && cli_curve_measure(&job->curves[job->n_curves++], j,
                                     open->graph, job->scores.scores,
                                     job->truth, known, &job->progress,
                                     open->task->name, err);
    ew_judge_destroy(j);
    return ok;
}

/* The corners of the ROC, by size. */
static json_t *roc_json(const struct job *job)
{
    const struct ew_graph *g = job->open.graph;
    struct ew_ranking ranking = {job->scores.scores, EW_RANK_ABSOLUTE};
    struct ew_roc_point *points =
        ew_xcalloc((size_t)ew_graph_n_addition(g) + 1, sizeof(*points));
    size_t n = ew_roc_points(g, &ranking, job->truth, points);
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(
            array, json_pack("{s:I, s:f, s:f}", "chosen",
                             (json_int_t)points[i].chosen, "false_positives",
                             points[i].false_positives, "true_positives",
                             points[i].true_positives));
    }
    free(points);
    return array;
}

static void print_json(const struct job *job)
{
    json_t *object = cli_curve_json(&job->curves[0]);
    if (job->truth) {
        json_object_set_new(object, "roc", roc_json(job));
    }
    json_t *mine = identity(job);
    json_object_update(object, mine);
    json_decref(mine);
    if (job->n_curves > 1) {
        json_t *other = cli_curve_json(&job->curves[1]);
        json_object_set_new(other, "task",
                            json_string(job->other.task->name));
        json_object_set_new(object, "held_out", other);
    }
    cli_json_line(stdout, object);
}

static void print_one(const struct job *job, const struct cli_curve *c,
                      const char *task, const struct cli_opts *opts)
{
    struct cli_table table;
    bool bare = opts->csv || opts->markdown;
    FILE *notes = bare ? stderr : stdout;
    const struct ew_curve_point *reach = &c->reach;
    fprintf(notes, "task %s, %s: full %.6g, empty %.6g\n", task,
            ew_metric_name(job->open.metric), c->full, c->empty);
    cli_curve_table(c, &table);
    cli_table_print_as(&table, opts, stdout);
    fprintf(notes, "CPR %.4f (by score), CMD %.4f (by size)\n", c->cpr, c->cmd);
    if (reach->chosen > 0) {
        fprintf(notes, "90%% recovered with the best %u of %u additions\n",
                reach->chosen, ew_graph_n_addition(job->open.graph));
    } else {
        fputs("90% is not recovered\n", notes);
    }
    if (!isnan(c->auroc)) {
        fprintf(notes, "AUROC %.4f against %s\n", c->auroc, opts->truth);
    }
}

bool cli_eval_curve(const struct cli_opts *opts, struct ew_err *err)
{
    struct job job = {0};
    if (opts->circuit || opts->edits.n > 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--curve makes its own circuits: leave out -c, --cut, "
                       "--keep and --only");
    }
    if (opts->output.n > 0 || opts->completeness || opts->minimality ||
        opts->labels || opts->sets > 0 || opts->seed > 0 || opts->top > 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--curve excludes --output, --completeness, "
                       "--minimality, --labels, --sets, --seed and --top");
    }
    cli_progress_init(&job.progress);
    bool ok = cli_open_graph(&job.open, opts, err) &&
              cli_scores_load(&job.scores, job.open.graph, opts->curve, err) &&
              read_truth(&job, opts->truth, err) &&
              cli_open_engine(&job.open, 0, opts, err) &&
              (!opts->eval_task || cli_open_other(&job.other, &job.open,
                                                  opts->eval_task, opts, err));
    ok = ok && check_sign(&job, opts, err) &&
         read_known(&job, opts->resume, err) &&
         measure(&job, &job.open, err) &&
         (!opts->eval_task || measure(&job, &job.other, err));
    cli_progress_clear(&job.progress);
    bool stopped = !ok && err->code == EW_ERR_CANCELLED && job.n_curves > 0;
    if ((ok || stopped) && opts->json) {
        print_json(&job);
    } else if (ok) {
        print_one(&job, &job.curves[0], job.open.task->name, opts);
    }
    if (ok && !opts->json && job.n_curves > 1) {
        putchar('\n');
        print_one(&job, &job.curves[1], job.other.task->name, opts);
    }
    ew_bitset_destroy(job.truth);
    json_decref(job.known);
    cli_scores_finish(&job.scores);
    cli_close_other(&job.other);
    cli_close(&job.open);
    return ok;
}
