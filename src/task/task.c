/* SPDX-License-Identifier: Apache-2.0 */
/* Checks against a model, and the end of a task. */
#include "edgewise/task.h"

#include <stdlib.h>

void ew_task_destroy(struct ew_task *task)
{
    if (!task) {
        return;
    }
    for (size_t i = 0; i < task->n_prompts; i++) {
        free(task->answers[i].right);
        free(task->answers[i].wrong);
    }
    for (size_t i = 0; i < task->n_roles; i++) {
        free(task->roles[i].name);
        free(task->roles[i].positions);
    }
    free(task->name);
    free(task->corruption);
    free(task->bos);
    free(task->length);
    free(task->clean);
    free(task->corrupt);
    free(task->answers);
    free(task->answer_position);
    free(task->scored);
    free(task->roles);
    free(task->dropped_why);
    free(task);
}

char *ew_task_hash(const struct ew_task *task, char out[EW_HASH_HEX])
{
    size_t n = task->n_prompts;
    size_t n_ids = n * task->n_pos;
    uint64_t h = ew_hash(EW_HASH_START, &n, sizeof(n));
    h = ew_hash(h, task->length, n * sizeof(*task->length));
    h = ew_hash(h, task->clean, n_ids * sizeof(*task->clean));
    h = ew_hash(h, task->corrupt, n_ids * sizeof(*task->corrupt));
    h = ew_hash(h, task->answer_position, n * sizeof(*task->answer_position));
    for (size_t i = 0; i < n; i++) {
        const struct ew_answers *a = &task->answers[i];
        h = ew_hash(h, &a->n_right, sizeof(a->n_right));
        h = ew_hash(h, a->right, a->n_right * sizeof(*a->right));
        h = ew_hash(h, a->wrong, a->n_wrong * sizeof(*a->wrong));
    }
    h = ew_hash(h, task->scored, task->n_scored * sizeof(*task->scored));
    return ew_hash_hex(h, out);
}

static bool check_row(const int64_t *row, int32_t n, const char *which,
                      size_t prompt, int64_t d_vocab, struct ew_err *err)
{
    for (int32_t t = 0; t < n; t++) {
        if (row[t] < 0 || row[t] >= d_vocab) {
            return ew_fail(err, EW_ERR_INPUT,
                           "prompt %zu, %s, position %d: token %lld is outside "
                           "the model's vocabulary of %lld",
                           prompt, which, t, (long long)row[t],
                           (long long)d_vocab);
        }
    }
    return true;
}

static bool check_answers(const int64_t *ids, size_t n, const char *which,
                          size_t prompt, int64_t d_vocab, struct ew_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= d_vocab) {
            return ew_fail(err, EW_ERR_INPUT,
                           "prompt %zu, %s %zu: token %lld is outside the "
                           "model's vocabulary of %lld",
                           prompt, which, i, (long long)ids[i],
                           (long long)d_vocab);
        }
    }
    return true;
}

static bool check_prompt(const struct ew_task *task, size_t i, int64_t d_vocab,
                         struct ew_err *err)
{
    const struct ew_answers *a = &task->answers[i];
    int32_t n = task->length[i];
    if (n < 1) {
        return ew_fail(err, EW_ERR_INPUT, "prompt %zu is empty", i);
    }
    return check_row(task->clean + i * task->n_pos, n, "clean", i, d_vocab,
                     err) &&
           check_row(task->corrupt + i * task->n_pos, n, "corrupted", i,
                     d_vocab, err) &&
           check_answers(a->right, a->n_right, "answer", i, d_vocab, err) &&
           check_answers(a->wrong, a->n_wrong, "wrong answer", i, d_vocab, err);
}

bool ew_task_check_out(const struct ew_task *task, int64_t d_vocab_out,
                       struct ew_err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < task->n_prompts; i++) {
        const struct ew_answers *a = &task->answers[i];
        ok = check_answers(a->right, a->n_right, "answer", i, d_vocab_out,
                           err) &&
             check_answers(a->wrong, a->n_wrong, "wrong answer", i, d_vocab_out,
                           err);
    }
    for (size_t i = 0; ok && i < task->n_scored; i++) {
        const struct ew_scored *row = &task->scored[i];
        if (row->target >= d_vocab_out) {
            ok = ew_fail(err, EW_ERR_INPUT,
                         "prompt %d, position %d: the next token %lld is "
                         "outside the model's output vocabulary of %lld",
                         row->prompt, row->position, (long long)row->target,
                         (long long)d_vocab_out);
        }
    }
    return ok;
}

bool ew_task_can_score(const struct ew_task *task, enum ew_metric metric,
                       struct ew_err *err)
{
    const char *name = ew_metric_name(metric);
    if (ew_metric_has_answers(metric)) {
        for (size_t i = 0; i < task->n_prompts; i++) {
            const struct ew_answers *a = &task->answers[i];
            if (a->n_right == 0 || a->n_wrong == 0) {
                return ew_fail(err, EW_ERR_INPUT,
                               "%s needs an answer and a wrong answer: prompt "
                               "%zu has no %s",
                               name, i,
                               a->n_right == 0 ? "answer" : "wrong answer");
            }
        }
        return true;
    }
    if (task->n_scored == 0) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s needs scored positions: the "
                       "task has none",
                       name);
    }
    bool any = metric == EW_METRIC_KL || metric == EW_METRIC_KL_MIB;
    for (size_t i = 0; i < task->n_scored; i++) {
        if (!any && task->scored[i].target < 0) {
            return ew_fail(err, EW_ERR_INPUT,
                           "%s needs to know what follows: prompt %d ends at "
                           "position %d and has no answer",
                           name, task->scored[i].prompt,
                           task->scored[i].position);
        }
    }
    return true;
}

bool ew_task_check(const struct ew_task *task, int64_t d_vocab, int64_t n_ctx,
                   struct ew_err *err)
{
    if (task->n_prompts == 0) {
        return ew_fail(err, EW_ERR_INPUT, "the task has no prompts%s%s",
                       task->dropped_why ? ": " : "",
                       task->dropped_why ? task->dropped_why : "");
    }
    if ((int64_t)task->n_pos > n_ctx) {
        size_t longest = 0;
        while ((size_t)task->length[longest] < task->n_pos) {
            longest++;
        }
        return ew_fail(err, EW_ERR_INPUT,
                       "prompt %zu has %zu tokens, the model's context %lld",
                       longest, task->n_pos, (long long)n_ctx);
    }
    for (size_t i = 0; i < task->n_prompts; i++) {
        if (!check_prompt(task, i, d_vocab, err)) {
            return false;
        }
    }
    return ew_task_can_score(task, task->metric, err);
}
