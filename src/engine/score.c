/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the final residual to scores, at the scored positions only. The logit
 * difference and docstring need a few columns of the unembedding per prompt;
 * KL, NLL, accuracy and, at the answer positions, prob-diff need whole rows of
 * logits, made in pieces that bound both memory and the time to a
 * cancellation.
 */
#include "state.h"

#include <math.h>
#include <stdlib.h>

#include "edgewise/block.h"
#include "edgewise/mem.h"

/* Multiply-adds in one piece of the unembedding: some 40 ms on two cores. */
static const int64_t piece_work = 2000000000;

bool readout_plan(const struct ew_engine *e, struct readout *out,
                  struct geometry *g, struct ew_err *err)
{
    const struct ew_task *task = e->task;
    unsigned want = e->params.want;
    int64_t last = -1;
    out->first_answer = out->first_scored = INT64_MAX;
    for (size_t b = 0; b < task->n_prompts && want & EW_WANT_ANSWERS;
         b++) {
        int64_t pos = task->answer_position[b];
        out->first_answer = pos < out->first_answer ? pos : out->first_answer;
        last = pos > last ? pos : last;
    }
    for (size_t i = 0;
         i < task->n_scored && want & ~(unsigned)EW_WANT_ANSWERS; i++) {
        int64_t pos = task->scored[i].position;
        out->first_scored = pos < out->first_scored ? pos : out->first_scored;
        last = pos > last ? pos : last;
    }
    if (last < 0) {
        return ew_fail(err, EW_ERR_INPUT, "task %s: no scored position",
                       task->name);
    }
    g->t = last + 1;
    return true;
}

int64_t readout_start(const struct readout *out, unsigned want)
{
    int64_t start = INT64_MAX;
    if (want & EW_WANT_ANSWERS) {
        start = out->first_answer;
    }
    if (want & ~(unsigned)EW_WANT_ANSWERS && out->first_scored < start) {
        start = out->first_scored;
    }
    return start;
}

void readout_finish(struct readout *out)
{
    free(out->scored_row);
    free(out->answer_row);
    ew_tensor_unref(out->logp);
    ew_tensor_unref(out->targets);
    ew_tensor_unref(out->answer_u);
    ew_tensor_unref(out->answer_b);
    ew_tensor_unref(out->answer_w);
    *out = (struct readout){0};
}

/* Most answers, right and wrong, of a prompt; 0 when a prompt lacks some. */
static size_t most_answers(const struct ew_task *task)
{
    size_t most = 0;
    for (size_t b = 0; b < task->n_prompts; b++) {
        const struct ew_answers *a = &task->answers[b];
        if (a->n_right == 0 || a->n_wrong == 0) {
            return 0;
        }
        most = a->n_right + a->n_wrong > most ? a->n_right + a->n_wrong
                                              : most;
    }
    return most;
}

static void make_answers(struct ew_scope *s, const struct ew_engine *e,
                         struct readout *out)
{
    const struct ew_task *task = e->task;
    const struct ew_model *m = e->model;
    size_t n_b = task->n_prompts;
    size_t c = most_answers(task);
    out->answer_row = ew_xcalloc(n_b, sizeof(*out->answer_row));
    if (c == 0) {
        return;
    }
    int64_t *ids = ew_xcalloc(n_b * c, sizeof(*ids));
    float *weights = ew_xcalloc(n_b * c, sizeof(*weights));
    for (size_t b = 0; b < n_b; b++) {
        const struct ew_answers *a = &task->answers[b];
        for (size_t i = 0; i < a->n_right; i++) {
            ids[b * c + i] = a->right[i];
            weights[b * c + i] = 1.0f / (float)a->n_right;
        }
        for (size_t i = 0; i < a->n_wrong; i++) {
            ids[b * c + a->n_right + i] = a->wrong[i];
            weights[b * c + a->n_right + i] = -1.0f / (float)a->n_wrong;
        }
    }
    int64_t n = (int64_t)(n_b * c);
    int64_t shape[3] = {(int64_t)n_b, 1, (int64_t)c};
    struct ew_tensor *index = ew_from_i64(s, ids, 1, &n);
    struct ew_tensor *u = ew_index_select(s, m->w_u, 1, index);
    u = ew_reshape(s, u, 3,
                   (int64_t[]){ew_dim(u, 0), (int64_t)n_b, (int64_t)c});
    u = ew_contiguous(s, ew_permute(s, u, 3, (int[]){1, 0, 2}));
    put_ref(&out->answer_u, u);
    struct ew_tensor *bias =
        m->b_u ? ew_index_select(s, m->b_u, 0, index) : ew_full(s, 0.0, 1, &n);
    put_ref(&out->answer_b, ew_reshape(s, bias, 3, shape));
    put_ref(&out->answer_w, ew_from_f32(s, weights, 3, shape));
    free(ids);
    free(weights);
}

/* Are the rows the same n / B neighbouring positions of every prompt? */
static bool is_block(const struct geometry *g, const int64_t *row, int64_t n)
{
    int64_t each = n / g->b;
    for (int64_t i = 0; i < n; i++) {
        if (row[i] != i / each * g->t + row[0] + i % each) {
            return false;
        }
    }
    return n > 0 && n % g->b == 0;
}

struct ew_tensor *pick_rows(struct ew_scope *s, const struct geometry *g,
                            const struct ew_tensor *x, int64_t start,
                            const int64_t *row, int64_t n)
{
    int64_t w = ew_dim(x, 1), p = ew_dim(x, 2);
    int64_t total = w * n;
    if (n >= g->b && is_block(g, row, n)) {
        struct ew_tensor *block = ew_transpose(
            s, ew_narrow(s, x, 2, row[0] - start, n / g->b), 0, 1);
        return ew_reshape(s, ew_contiguous(s, block), 2,
                          (int64_t[]){total, ew_dim(x, 3)});
    }
    int64_t *index = ew_xcalloc((size_t)total, sizeof(*index));
    for (int64_t lane = 0; lane < w; lane++) {
        for (int64_t i = 0; i < n; i++) {
            int64_t b = row[i] / g->t, pos = row[i] % g->t;
            index[lane * n + i] = (b * w + lane) * p + pos - start;
        }
    }
    struct ew_tensor *picked =
        ew_index_select(s, as_rows(s, x), 0,
                        ew_from_i64(s, index, 1, &total));
    free(index);
    return picked;
}

/* log of the sum of e^logit over the vocabulary, rows (N, D), out (N). */
static void read_lse(struct ew_scope *s, const struct ew_engine *e,
                     const struct ew_tensor *rows, int64_t n, double *out)
{
    int64_t most = readout_piece(e);
    for (int64_t first = 0; first < n && ew_scope_ok(s); first += most) {
        int64_t count = n - first < most ? n - first : most;
        struct ew_tensor *logits = ew_block_unembed(
            s, e->model, ew_narrow(s, rows, 0, first, count));
        ew_read_f64(s, ew_logsumexp(s, logits, -1, false), out + first,
                    (size_t)count);
        ew_drop(s, logits);
    }
}

/* Of one prompt: the sum of probabilities, or the mean less the largest. */
static double prob_diff_of(const struct ew_answers *a, const double *logits,
                           double lse)
{
    double diff = 0.0;
    for (size_t i = 0; i < a->n_right + a->n_wrong; i++) {
        double p = exp(logits[i] - lse);
        diff += i < a->n_right ? p : -p;
    }
    return diff;
}

static double docstring_of(const struct ew_answers *a, const double *logits)
{
    double mean = 0.0;
    double largest = -INFINITY;
    for (size_t i = 0; i < a->n_right; i++) {
        mean += logits[i] / (double)a->n_right;
    }
    for (size_t i = 0; i < a->n_wrong; i++) {
        largest = fmax(largest, logits[a->n_right + i]);
    }
    return mean - largest;
}

/* prob-diff and docstring: rows (B, W, D), normed; logits (B, W, C). */
static void score_answer_sets(struct ew_scope *s, const struct ew_engine *e,
                              const struct ew_tensor *rows,
                              const struct ew_tensor *logits, unsigned want,
                              struct ew_score *out)
{
    const struct ew_task *task = e->task;
    int64_t b = ew_dim(rows, 0), w = ew_dim(rows, 1), c = ew_dim(logits, 2);
    double *host = ew_xcalloc((size_t)(b * w * c), sizeof(*host));
    double *lse = ew_xcalloc((size_t)(b * w), sizeof(*lse));
    if (want & EW_WANT_PROB_DIFF) {
        int64_t flat[2] = {b * w, ew_dim(rows, 2)};
        read_lse(s, e, ew_reshape(s, rows, 2, flat), b * w, lse);
    }
    if (ew_read_f64(s, logits, host, (size_t)(b * w * c))) {
        for (int64_t lane = 0; lane < w; lane++) {
            double prob = 0.0;
            double margin = 0.0;
            for (int64_t i = 0; i < b; i++) {
                const double *at = host + (i * w + lane) * c;
                const struct ew_answers *a = &task->answers[i];
                prob += prob_diff_of(a, at, lse[i * w + lane]);
                margin += docstring_of(a, at);
            }
            out[lane].prob_diff =
                want & EW_WANT_PROB_DIFF ? prob / (double)b : NAN;
            out[lane].docstring =
                want & EW_WANT_DOCSTRING ? margin / (double)b : NAN;
        }
    }
    free(host);
    free(lse);
}

static void score_answers(struct ew_scope *s, const struct ew_engine *e,
                          const struct readout *ro, const struct geometry *g,
                          const struct ew_tensor *x, int64_t start,
                          unsigned want, struct ew_score *out,
                          double *prompt_ld)
{
    int64_t w = ew_dim(x, 1), b = g->b;
    double cap = e->model->arch.logit_softcap;
    struct ew_tensor *rows = ew_block_final_norm(
        s, e->model, pick_rows(s, g, x, start, ro->answer_row, b));
    rows = ew_reshape(s, rows, 3, (int64_t[]){w, b, g->d});
    rows = ew_contiguous(s, ew_transpose(s, rows, 0, 1));
    struct ew_tensor *logits =
        ew_add(s, ew_matmul(s, rows, ro->answer_u), ro->answer_b);
    if (cap > 0.0) {
        logits = ew_scale(s, ew_tanh(s, ew_scale(s, logits, 1.0 / cap)), cap);
    }
    if (want & (EW_WANT_PROB_DIFF | EW_WANT_DOCSTRING)) {
        score_answer_sets(s, e, rows, logits, want, out);
    }
    if (!(want & EW_WANT_LOGIT_DIFF)) {
        return;
    }
    struct ew_tensor *ld =
        ew_sum(s, ew_mul(s, logits, ro->answer_w), 2, false);
    double *host = ew_xcalloc((size_t)(w * b), sizeof(*host));
    if (ew_read_f64(s, ld, host, (size_t)(w * b))) {
        for (int64_t lane = 0; lane < w; lane++) {
            double sum = 0.0;
            for (int64_t i = 0; i < b; i++) {
                sum += host[i * w + lane];
                if (prompt_ld) {
                    prompt_ld[lane * b + i] = host[i * w + lane];
                }
            }
            out[lane].logit_diff = sum / (double)b;
        }
    }
    free(host);
}

void readout_sum(struct ew_scope *s, const struct readout *ro,
                 struct ew_tensor *logits, int64_t first, int64_t n,
                 unsigned want, struct ew_score *sum)
{
    double *host = ew_xcalloc((size_t)n, sizeof(*host));
    if (want & EW_WANT_KL && ro->logp) {
        struct ew_tensor *kl =
            ew_kl_rows(s, ew_narrow(s, ro->logp, 0, first, n), logits);
        ew_read_f64(s, kl, host, (size_t)n);
        for (int64_t i = 0; i < n; i++) {
            sum->kl += host[i];
        }
    }
    struct ew_tensor *target = ew_narrow(s, ro->targets, 0, first, n);
    if (want & EW_WANT_NLL) {
        struct ew_tensor *nll =
            ew_sub(s, ew_logsumexp(s, logits, -1, true),
                   ew_gather(s, logits, 1, target));
        ew_read_f64(s, nll, host, (size_t)n);
        for (int64_t i = 0; i < n; i++) {
            sum->nll += host[i];
        }
    }
    if (want & EW_WANT_ACCURACY) {
        struct ew_tensor *hit = ew_equal(
            s, ew_argmax(s, logits, -1), ew_reshape(s, target, 1, &n));
        sum->accuracy += ew_item(s, ew_sum_all(s, hit));
    }
    free(host);
}

int64_t readout_piece(const struct ew_engine *e)
{
    int64_t n = piece_work /
                ((int64_t)e->model->arch.d_vocab_out * e->model->arch.d_model);
    return n > 0 ? n : 1;
}

void readout_mean(struct ew_score *out, const struct ew_score *sum, int64_t n,
                  unsigned want)
{
    out->kl = want & EW_WANT_KL ? sum->kl / (double)n : NAN;
    out->nll = want & EW_WANT_NLL ? sum->nll / (double)n : NAN;
    out->accuracy = want & EW_WANT_ACCURACY ? sum->accuracy / (double)n : NAN;
}

/* xn (W R, D): normed rows at the scored positions, lane after lane. */
static void score_rows(struct ew_scope *s, const struct ew_engine *e,
                       const struct readout *ro, const struct ew_tensor *xn,
                       int64_t w, unsigned want, struct ew_score *out)
{
    int64_t n = ro->n_scored;
    int64_t most = readout_piece(e);
    for (int64_t lane = 0; lane < w; lane++) {
        struct ew_score sum = {0};
        for (int64_t first = 0; first < n && ew_scope_ok(s); first += most) {
            int64_t count = n - first < most ? n - first : most;
            struct ew_scope *piece = ew_scope_open_in(s);
            struct ew_tensor *logits = ew_block_unembed(
                piece, e->model,
                ew_narrow(piece, xn, 0, lane * n + first, count));
            readout_sum(piece, ro, logits, first, count, want, &sum);
            ew_scope_finish(piece, NULL);
        }
        readout_mean(&out[lane], &sum, n, want);
    }
}

void readout_score_rows(struct ew_scope *s, const struct ew_engine *e,
                        const struct readout *ro, const struct geometry *g,
                        const struct ew_tensor *x, int64_t start,
                        unsigned want, struct ew_score *out)
{
    if (ro->n_scored) {
        struct ew_tensor *rows = ew_block_final_norm(
            s, e->model,
            pick_rows(s, g, x, start, ro->scored_row, ro->n_scored));
        score_rows(s, e, ro, rows, ew_dim(x, 1), want, out);
    }
}

bool readout_score(struct ew_scope *s, const struct ew_engine *e,
                   const struct readout *ro, const struct geometry *g,
                   struct ew_tensor *x, int64_t start, unsigned want,
                   struct ew_score *out, double *prompt_ld)
{
    int64_t w = ew_dim(x, 1);
    for (int64_t lane = 0; lane < w; lane++) {
        out[lane] = ew_score_unknown();
    }
    if (want & EW_WANT_ANSWERS && ro->answer_u) {
        score_answers(s, e, ro, g, x, start, want, out, prompt_ld);
    }
    if (want & ~(unsigned)EW_WANT_ANSWERS) {
        readout_score_rows(s, e, ro, g, x, start, want, out);
    }
    return ew_scope_ok(s);
}

/* Clean log-probabilities (R, V) at the scored positions. */
static bool make_logp(struct ew_engine *e, struct readout *out,
                      const struct geometry *g, const struct run *clean,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    struct ew_scope *s = ew_scope_open(e->model->device);
    ew_scope_watch(s, cancel);
    struct ew_tensor *x =
        ew_unsqueeze(s, clean->x[logits_receiver(g)], 1);
    struct ew_tensor *rows = ew_block_final_norm(
        s, e->model,
        pick_rows(s, g, x, g->o, out->scored_row, out->n_scored));
    int64_t n = out->n_scored, v = e->model->arch.d_vocab_out;
    struct ew_tensor *logp = ew_empty(s, 2, (int64_t[]){n, v});
    int64_t most = readout_piece(e);
    for (int64_t first = 0; first < n && ew_scope_ok(s); first += most) {
        int64_t count = n - first < most ? n - first : most;
        struct ew_tensor *logits = ew_block_unembed(
            s, e->model, ew_narrow(s, rows, 0, first, count));
        struct ew_tensor *lse = ew_logsumexp(s, logits, -1, true);
        ew_copy_into(s, ew_narrow(s, logp, 0, first, count),
                     ew_sub(s, logits, lse));
        ew_drop(s, logits);
    }
    put_ref(&out->logp, logp);
    return ew_scope_finish(s, err);
}

bool readout_make(struct ew_engine *e, struct readout *out,
                  const struct geometry *g, const struct run *clean,
                  const struct ew_cancel *cancel, struct ew_err *err)
{
    const struct ew_task *task = e->task;
    unsigned want = e->params.want;
    struct ew_scope *s = ew_scope_open(e->model->device);
    if (want & EW_WANT_ANSWERS) {
        make_answers(s, e, out);
        for (int64_t b = 0; b < g->b; b++) {
            out->answer_row[b] = b * g->t + task->answer_position[b];
        }
    }
    if (want & ~(unsigned)EW_WANT_ANSWERS) {
        size_t n = task->n_scored;
        out->n_scored = (int64_t)n;
        out->scored_row = ew_xcalloc(n, sizeof(*out->scored_row));
        int64_t *targets = ew_xcalloc(n, sizeof(*targets));
        for (size_t i = 0; i < n; i++) {
            out->scored_row[i] =
                task->scored[i].prompt * g->t + task->scored[i].position;
            targets[i] = task->scored[i].target;
        }
        put_ref(&out->targets,
                ew_from_i64(s, targets, 2, (int64_t[]){(int64_t)n, 1}));
        free(targets);
    }
    if (!ew_scope_finish(s, err)) {
        return false;
    }
    return !(want & EW_WANT_KL) || !out->n_scored ||
           make_logp(e, out, g, clean, cancel, err);
}
