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
 * of its wrong answers), and prob-diff and docstring are such means too.
 */
#ifndef EW_TASK_H
#define EW_TASK_H

#include <stddef.h>
#include <stdint.h>

#include "edgewise/buf.h"
#include "edgewise/err.h"
#include "edgewise/hash.h"
#include "edgewise/tokenizer.h"

EW_BEGIN_DECLS

enum ew_metric {
    EW_METRIC_KL,     /* "kl": sum over the vocabulary, nats */
    EW_METRIC_KL_MIB, /* "kl-mib": KL divided by the vocabulary's size */
    /* "prob-diff", as greater-than has it: sum of the probabilities of the
     * answers less that of the wrong ones; minimised as its negative */
    EW_METRIC_PROB_DIFF,
    /* "docstring": mean logit of the answers less the largest of a wrong
     * one; minimised as its negative */
    EW_METRIC_DOCSTRING,
    EW_METRIC_LOGIT_DIFF, /* "logit-diff": minimised as its negative */
    EW_METRIC_NLL,        /* "nll" */
    EW_METRIC_ACCURACY,   /* "accuracy": minimised as its negative */
    EW_N_METRICS,
};

/* "kl", ...; and the formula as the screen shows it, with its sign. */
const char *ew_metric_name(enum ew_metric metric);
const char *ew_metric_formula(enum ew_metric metric);
/* Is it read off at the answer position, from answers and wrong answers? */
bool ew_metric_has_answers(enum ew_metric metric);
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
    /* That token: at the answer position and at the end the first answer,
     * elsewhere the next clean one; -1 at the end without an answer. */
    int64_t target;
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
    size_t dropped; /* words, templates, prompts left out, and why: */
    char *dropped_why;
};

void ew_task_destroy(struct ew_task *task); /* NULL is fine */

/* Of all that a figure depends on: prompts, answers and scored rows; out. */
char *ew_task_hash(const struct ew_task *task, char out[EW_HASH_HEX]);

/*
 * Check against a model: every id in 0 .. d_vocab-1, n_pos <= n_ctx, at
 * least one prompt. EW_ERR_INPUT names prompt and position.
 */
EW_MUST_CHECK bool ew_task_check(const struct ew_task *task, int64_t d_vocab,
                                 int64_t n_ctx, struct ew_err *err);
/* The same of what is read off the logits: answers and targets are ids in
 * 0 .. d_vocab_out-1, where that is less. */
EW_MUST_CHECK bool ew_task_check_out(const struct ew_task *task,
                                     int64_t d_vocab_out, struct ew_err *err);
/*
 * Has the task what this metric needs? logit-diff, prob-diff, docstring: an
 * answer and a wrong one in every prompt; kl, kl-mib: scored positions; nll and
 * accuracy: their targets too.
 * ew_task_check() asks it for task->metric.
 */
EW_MUST_CHECK bool ew_task_can_score(const struct ew_task *task,
                                     enum ew_metric metric,
                                     struct ew_err *err);

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
 * induction: BOS, r1..rk, r1..rk; the tokens of a prompt all differ where the
 * vocabulary has as many, and are never special; answer r1 at the last
 * position, for r1 is what followed the last token r_k in the first half.
 *   n      prompts (20)           k     length of the repeated part (15,
 *   seed   (0)                          less when n_ctx is short)
 *   bos    token id, or no (the model's; token 0 where it names none)
 *   corrupt  random: all tokens after BOS redrawn, wrong answer a random
 *                    token that is not in the clean prompt (or only not the
 *                    answer, when the vocabulary has no more); the default
 *            query:  the last token r_k becomes r_j, wrong answer r_{j+1},
 *                    which followed r_j
 *            key:    in the first half r_j and r_k are swapped, so that the
 *                    last token's match is at j; wrong answer r_{j+1}, which
 *                    follows there (r_{k-1} when j = k-1, for it is r_j that
 *                    then stands behind r_k); needs k of at least 3
 *   j      1 .. k-1, the same for all prompts; else drawn for each from
 *          1 .. k-2, since with j = k-1 under query the token after the last
 *          match of r_j is the prompt's own end
 *   metric logit-diff unless given
 * Scored positions: second half but the last (k+1 .. 2k-1), all predictable
 * by induction. Roles: MATCH (r_k in the first half), NEXT (the r1 after it,
 * which induction heads attend to), END.
 *
 * The others are text and need a tokenizer. They have n (50), seed and metric
 * too, and bos=yes|no. Each prompt is scored at its last position, role END,
 * where the answer is read off.
 *
 * ioi-acdc, ioi-mib: indirect object identification (Wang et al. 2022),
 * "Then, Mary and John went to the store. John gave a drink to" -> " Mary",
 * wrong " John". Roles IO, S1, S1+1, S2, END.
 *   order      abba (IO first), baba, mixed (a coin for each prompt)
 *   corrupt    abc: three names that are not in the clean prompt
 *              s2-io: S2 becomes IO
 *              s2-third: S2 becomes a third name
 *   templates  how many of the 13 are used
 *   ioi-acdc is order=abba,corrupt=abc,templates=1,bos=no, ioi-mib
 *   order=mixed,corrupt=s2-io,templates=13,bos=yes.
 *
 * gendered-pronoun (Mathwin et al. 2023): "So Paul is such a good friend,
 * isn't" -> " he", wrong " she"; corrupted, a name of the other gender. Roles
 * NAME, END. bos: the model's.
 *
 * greater-than (Hanna et al. 2023): "The war lasted from the year 1741 to the
 * year 17": the answers are all two-digit ends after 41, the wrong ones those
 * up to it; corrupted, the year is 1701. Centuries 11 to 17, ends 02 to 98,
 * as far as the year is two tokens. Roles NOUN, XX1, YY, END. bos: the
 * model's. metric: prob-diff, as in the paper.
 *
 * docstring (Heimersheim and Janiak 2023): "def m(self, p, q, A, B, C, s):"
 * and a docstring with A and B, asking for C. Wrong are all other arguments
 * drawn for the prompt, those of the corruptions too. Roles A_def, B_def,
 * C_def, A_doc, B_doc, END. metric: docstring, as in the paper.
 *   corrupt  random-random: all five redrawn, each another; the default
 *            random-def, random-doc, random-def-doc: A and B redrawn in the
 *            definition, in the docstring, in both, the same there
 *            random-answer, random-answer-doc: C redrawn in the definition,
 *            with A and B in the docstring
 *   bos      yes where the model has one
 *
 * subject-verb (Linzen et al. 2016): "The keys near the cabinet" -> " are",
 * " were", " have", wrong " is", " was", " has"; corrupted, the subject has its
 * other number. Roles SUBJECT, OTHER (absent in simple ones), END. bos: the
 * model's.
 *   kind     simple: "The keys"; pp: as above; rc: "The keys that the boys
 *            know"; mixed: any of them, the default
 *
 * A seed gives the same prompts on every machine with the same vocabulary. A
 * generator leaves out what the vocabulary cannot say in single tokens and
 * tells so in `dropped`. EW_ERR_USAGE: an option is wrong; EW_ERR_INPUT: the
 * model's vocabulary or context do not allow the task.
 */
struct ew_task *ew_task_generate(const char *spec,
                                 const struct ew_task_env *env,
                                 struct ew_err *err);
/* Names of the built-in tasks, one line each with its options. */
void ew_task_list(struct ew_buf *out);

/*
 * Read a task file ("-" is standard input, JSON or CSV by its first
 * character), "path:key=value,.." with options metric=, n= (only the first n
 * prompts) and corrupted= (the field of the corrupted prompts). EW_ERR_INPUT
 * names file and field.
 *
 * JSON: {"prompts": [{"clean", "corrupt", "answers", "wrong_answers"}], ..}.
 *   clean, corrupt   text or token ids; both of a pair equally long
 *   answers, wrong_answers   one or several, text (a single token after the
 *                    prompt) or token ids; may be absent
 *   metric           name; default logit-diff where all have both answers,
 *                    else kl
 *   answer_position  "last" (default), or a position
 *   positions        the scored ones: "last", "all", or a list; default the
 *                    answer position
 *   bos              true or false: prepend BOS to texts (token ids are taken
 *                    as they are); default env->default_bos
 *   roles            {"IO": 3, ..}, or a list with one position per prompt;
 *                    null where absent; also AutoCircuit's word_idxs, which
 *                    do not count BOS
 *   name, corruption text for the badge
 * answer_position, positions and roles may stand in a prompt as well, and then
 * come first. Positions count BOS; negative ones count from the end.
 *
 * A prompt may be a question with lettered choices, as MIB has them:
 * {"prompt", "choices": {"label": ["A", ..]}, "answerKey": 1,
 * "symbol_counterfactual": {"prompt", "choices", "answerKey"}}; corrupted=
 * names another counterfactual. The answer is the right label, the wrong one
 * that of the counterfactual, or all others where it is the same.
 * FILE.jsonl has a prompt a line; so has a file that is a JSON list.
 *
 * FILE.csv is a table of pairs with a header, as EAP-IG and MIB have them;
 * EW_ERR_INPUT names file, line and column. A prompt is scored at its last
 * position, role END. Columns are clean, corrupted, and for the answers, the
 * first of these that is there:
 *   answer (answers, correct, clean_answer) and wrong (wrong_answer,
 *     wrong_answers, incorrect, corrupted_answer): text, a single token; a
 *     word that does not begin with a blank is taken with one before it
 *     where that is a token
 *   label: the end of the year in the clean prompt, as in greater-than, whose
 *     answers it then has; so has correct_idx without incorrect_idx. Roles
 *     XX1, YY
 *   correct_idx, incorrect_idx and other columns of answer ids: these belong
 *     to the model that the file was made for. The prompt is read as
 *     indirect object instead: two names "X and Y" of which one comes again;
 *     the other is the answer. Roles IO, S1, S1+1, S2
 * Its options, besides metric, n and corrupted, the column of corrupted
 * prompts, such as corrupted_hard:
 *   answer, wrong  the columns of answers, text, or ids with ids=file
 *   ids        text: as above; file: the ids are this model's, "27" or
 *              "[27, 13]"
 *   unfit      refuse, or drop pairs of unequal length and answers that are
 *              not single tokens
 *   bos        yes or no; default env->default_bos
 *
 * Also {"clean": [[..]], "corrupted": [[..]], "answer_ids", "wrong_ids",
 * "answer_position", "kl_mask_positions"}, rows of token ids.
 */
struct ew_task *ew_task_load(const char *path, const struct ew_task_env *env,
                             struct ew_err *err);
/* A pair as a user types it; text, borrowed. */
struct ew_typed_pair {
    const char *clean;
    const char *corrupt;
    const char *const *answers; /* may be none: KL alone is then defined */
    size_t n_answers;
    const char *const *wrong; /* may be none */
    size_t n_wrong;
};
/*
 * A task of typed pairs as what ew_task_open() takes for a task: a task file
 * of JSON itself, from its '{' on; free() it. What it says does not depend on
 * a model: texts are made tokens by ew_task_open(), which names what is not a
 * single token and the pairs that are not equally long. NULL when a prompt is
 * missing or a text is not UTF-8: EW_ERR_INPUT names it, prompts[1].clean.
 */
char *ew_task_typed(const struct ew_typed_pair *pairs, size_t n,
                    struct ew_err *err);
/* A built-in task's spec, a task of JSON itself, or else a file. */
struct ew_task *ew_task_open(const char *spec_or_path,
                             const struct ew_task_env *env,
                             struct ew_err *err);
/* The task as the JSON that ew_task_load() reads; free() it. */
char *ew_task_to_json(const struct ew_task *task,
                      const struct ew_tokenizer *tok);

EW_END_DECLS

#endif
