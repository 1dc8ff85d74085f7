/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task: pairs of clean and corrupted prompts, right and wrong answers, the
 * metric, and where it is read off. Plain data, no tensor.
 *
 * Prompts are token ids, all of the corrupted ones as long as their clean
 * ones; shorter prompts are padded at the right with token 0, which causal
 * attention never sees.
 *
 * Scored rows: KL, NLL and accuracy are means over `scored`, a list of
 * (prompt, position) pairs; the logit difference is the mean over prompts, at
 * each prompt's answer position, of (mean logit of its answers - mean logit
 * of its wrong answers).
 */
#ifndef EW_TASK_H
#define EW_TASK_H

#include <stddef.h>
#include <stdint.h>

#include "edgewise/buf.h"
#include "edgewise/err.h"
#include "edgewise/tokenizer.h"

EW_BEGIN_DECLS

enum ew_metric {
    EW_METRIC_KL,         /* "kl": sum over the vocabulary, nats */
    EW_METRIC_LOGIT_DIFF, /* "logit-diff": minimised as its negative */
    EW_METRIC_NLL,        /* "nll" */
    EW_METRIC_ACCURACY,   /* "accuracy": minimised as its negative */
    EW_N_METRICS,
};

/* "kl", ...; and the formula as the screen shows it, with its sign. */
const char *ew_metric_name(enum ew_metric metric);
const char *ew_metric_formula(enum ew_metric metric);
/* Also "logitdiff", "logit_diff", "ld". EW_ERR_USAGE lists the names. */
EW_MUST_CHECK bool ew_metric_parse(const char *text, enum ew_metric *metric,
                                   struct ew_err *err);

struct ew_answers { /* of one prompt */
    int64_t *right; /* owned */
    size_t n_right;
    int64_t *wrong; /* owned; may be none: logit difference is then refused */
    size_t n_wrong;
};

struct ew_scored {
    int32_t prompt;
    int32_t position; /* the logits at this position predict the next token */
    int64_t target;   /* that token: the next clean one, or the first answer */
};

struct ew_role { /* a named position, one per prompt: IO, S1, END */
    char *name;
    int32_t *positions; /* n_prompts; -1 where absent */
};

struct ew_task {
    char *name;       /* "induction", or the file's name */
    char *corruption; /* how the corrupted prompts were made: "random" */
    char *bos;        /* BOS policy, for the badge: "BOS", "no BOS" */
    enum ew_metric metric;
    size_t n_prompts;
    size_t n_pos;     /* longest prompt */
    int32_t *length;  /* n_prompts */
    int64_t *clean;   /* (n_prompts, n_pos) */
    int64_t *corrupt; /* (n_prompts, n_pos) */
    struct ew_answers *answers; /* n_prompts */
    int32_t *answer_position;   /* n_prompts */
    struct ew_scored *scored;
    size_t n_scored;
    struct ew_role *roles;
    size_t n_roles;
    size_t dropped; /* prompts a generator left out, and why: */
    char *dropped_why;
};

void ew_task_destroy(struct ew_task *task); /* NULL is fine */

/*
 * Check against a model: every id in 0 .. d_vocab-1, n_pos <= n_ctx, at
 * least one prompt. EW_ERR_INPUT names prompt and position.
 */
EW_MUST_CHECK bool ew_task_check(const struct ew_task *task, int64_t d_vocab,
                                 int64_t n_ctx, struct ew_err *err);

/* What generators need to know of a model. */
struct ew_task_env {
    const struct ew_tokenizer *tok; /* NULL: tokens are bare ids */
    int64_t d_vocab;
    int64_t n_ctx;
    int64_t bos;                /* -1: unknown */
    const int64_t *special_ids; /* never drawn at random; may be NULL */
    size_t n_special;
    bool default_bos; /* for text prompts */
};

/*
 * Options of a built-in task, "name:key=value,key=value", for example
 * "induction:n=20,k=15,seed=3,corrupt=query".
 *
 * induction: BOS, r1..rk, r1..rk; tokens drawn without repetition in a
 * prompt; answer r1 at the last position, or r_{j+1} under query and key.
 *   n      prompts (20)           k     length of the repeated part (15,
 *   seed   (0)                          less when n_ctx is short)
 *   corrupt  random: all tokens after BOS redrawn, wrong answer another
 *                    random token; the default
 *            query:  the last token r_k becomes r_j, wrong answer r_{j+1}
 *            key:    in the first half r_j and r_k are swapped, wrong
 *                    answer r_{j+1}
 * Scored positions: second half but the last (k+1 .. 2k-1), all predictable
 * by induction; metric logit-diff unless `metric=` says otherwise.
 */
struct ew_task *ew_task_generate(const char *spec,
                                 const struct ew_task_env *env,
                                 struct ew_err *err);
/* Names of the built-in tasks, one line each with its options. */
void ew_task_list(struct ew_buf *out);

/*
 * Read a JSON task file ("-" is standard input): {"prompts": [{"clean",
 * "corrupt", "answers", "wrong_answers"}], "metric", "positions",
 * "answer_position", ...}; clean and corrupt are text or token ids. Also
 * reads {"clean": [[..]], "corrupted": [[..]], "answer_ids", "wrong_ids",
 * "answer_position", "kl_mask_positions"}. EW_ERR_INPUT names the field.
 */
struct ew_task *ew_task_load(const char *path, const struct ew_task_env *env,
                             struct ew_err *err);
/* A built-in task's spec, or else a file. */
struct ew_task *ew_task_open(const char *spec_or_path,
                             const struct ew_task_env *env,
                             struct ew_err *err);
/* The task as the JSON that ew_task_load() reads; free() it. */
char *ew_task_to_json(const struct ew_task *task,
                      const struct ew_tokenizer *tok);

EW_END_DECLS

#endif
