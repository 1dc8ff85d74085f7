/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The patching engine: a model, a task and a circuit, and what the metrics
 * are when edges are cut or restored. Exact: every number is that of a full
 * rerun of the patched model, to rounding.
 *
 * State for the current circuit C: for every receiver r its input x_r, for
 * every sender s its output y_s in the circuit run and c_s, what a cut edge
 * carries (the ablation):
 *   x_r = b_r + sum over kept edges of y_s + sum over cut edges of c_s
 * with b_r the attention output biases of earlier layers. A cut direct edge
 * pins the head's q (k, v) to that of the corrupted run.
 *
 * A what-if never changes the state. An engine belongs to one thread.
 */
#ifndef EW_ENGINE_H
#define EW_ENGINE_H

#include "edgewise/bitset.h"
#include "edgewise/cancel.h"
#include "edgewise/graph.h"
#include "edgewise/model.h"
#include "edgewise/task.h"

EW_BEGIN_DECLS

enum ew_ablation {
    EW_ABLATE_CORRUPTED, /* the sender's value in the corrupted run */
    EW_ABLATE_ZERO,      /* 0; direct edges: q, k, v of the biases alone */
    EW_ABLATE_MEAN,      /* mean over the corrupted prompts, by position */
};
const char *ew_ablation_name(enum ew_ablation ablation);
EW_MUST_CHECK bool ew_ablation_parse(const char *text,
                                     enum ew_ablation *ablation,
                                     struct ew_err *err);

enum ew_engine_kind {
    EW_ENGINE_INCREMENTAL,
    EW_ENGINE_RERUN, /* every evaluation a full patched forward, per head */
    EW_ENGINE_TOY,   /* no model, no libtorch: made-up numbers for tests */
};

/* Which figures are wanted: cheaper without KL and NLL. */
enum {
    EW_WANT_LOGIT_DIFF = 1,
    EW_WANT_KL = 2,
    EW_WANT_NLL = 4,
    EW_WANT_ACCURACY = 8,
    EW_WANT_PROB_DIFF = 16,
    EW_WANT_DOCSTRING = 32,
    EW_WANT_ALL = 63,
    /* read off at the answer positions */
    EW_WANT_ANSWERS = EW_WANT_LOGIT_DIFF | EW_WANT_PROB_DIFF |
                      EW_WANT_DOCSTRING,
};
unsigned ew_metric_want(enum ew_metric metric);

/* NaN where not wanted, or not defined (no wrong answers). */
struct ew_score {
    double logit_diff; /* mean over prompts */
    double kl;         /* to the clean model; mean over scored rows */
    double nll;        /* of the target; mean over scored rows */
    double accuracy;   /* share of scored rows whose largest is the target */
    double prob_diff;  /* mean over prompts */
    double docstring;  /* mean over prompts */
    double kl_mib;     /* kl / d_vocab_out; goes with EW_WANT_KL */
};
/* All figures NaN. */
struct ew_score ew_score_unknown(void);
/* The metric as ACDC minimises it: kl, -logit_diff, nll, -accuracy, .. */
double ew_score_metric(const struct ew_score *score, enum ew_metric metric);

struct ew_engine_params {
    enum ew_engine_kind kind;
    enum ew_ablation ablation;
    unsigned want;       /* figures that will be asked for; 0: all */
    uint64_t max_memory; /* bytes; 0: what the machine has */
    /* What-ifs are mostly committed, and seldom undone, as in an ACDC run:
     * then a commit may leave positions that no kept path needs out of date.
     * It is cheaper; an edge that comes back and needs them costs an
     * evaluation from scratch. */
    bool walk;
};

/* Edges to flip together (kept becomes cut and the reverse). */
struct ew_what_if {
    const uint32_t *edges;
    size_t n;
};

/* Why an edge can be told to have no effect without a forward. */
enum ew_zero_why {
    EW_ZERO_NOT,         /* it has to be computed */
    EW_ZERO_UNREACHABLE, /* no kept path from its receiver to logits */
    EW_ZERO_SAME,        /* the sender is the same in both runs */
    EW_ZERO_PINNED,      /* the receiver's direct edge is cut */
};
const char *ew_zero_why_text(enum ew_zero_why why);

struct ew_engine; /* opaque; one thread */

/*
 * All edges kept. Runs the clean and the corrupted prompts once. `m`, `task`
 * and `g` are borrowed and must outlive it; the toy takes m = NULL. Fails
 * with EW_ERR_INPUT when model, task and graph do not fit, EW_ERR_NOMEM when
 * the estimate is over max_memory, EW_ERR_CANCELLED.
 */
struct ew_engine *ew_engine_create(const struct ew_model *m,
                                   const struct ew_task *task,
                                   const struct ew_graph *g,
                                   const struct ew_engine_params *params,
                                   const struct ew_cancel *cancel,
                                   struct ew_err *err);
void ew_engine_destroy(struct ew_engine *e); /* NULL is fine */
/*
 * The self-check, a plain forward and a few what-ifs long: the full circuit
 * is the plain model, and a batch of what-ifs is as each alone. EW_ERR_FAILED
 * names the figure that is off by more than 1e-4 (relative, from 1 on).
 */
EW_MUST_CHECK bool ew_engine_check(struct ew_engine *e,
                                   const struct ew_cancel *cancel,
                                   struct ew_err *err);
const struct ew_graph *ew_engine_graph(const struct ew_engine *e);
const struct ew_task *ew_engine_task(const struct ew_engine *e);
enum ew_ablation ew_engine_ablation(const struct ew_engine *e);
/* The current circuit; borrowed. */
const struct ew_bitset *ew_engine_kept(const struct ew_engine *e);
/* Bytes of tensors the state holds, and the estimate made at creation. */
uint64_t ew_engine_memory(const struct ew_engine *e);

/* Scores of the current circuit, of the full one and of the empty one. */
EW_MUST_CHECK bool ew_engine_score(struct ew_engine *e, unsigned want,
                                   struct ew_score *out,
                                   const struct ew_cancel *cancel,
                                   struct ew_err *err);
EW_MUST_CHECK bool ew_engine_score_full(struct ew_engine *e, unsigned want,
                                        struct ew_score *out,
                                        const struct ew_cancel *cancel,
                                        struct ew_err *err);
EW_MUST_CHECK bool ew_engine_score_empty(struct ew_engine *e, unsigned want,
                                         struct ew_score *out,
                                         const struct ew_cancel *cancel,
                                         struct ew_err *err);
/* Logit difference of each prompt in the current circuit, out (n_prompts). */
EW_MUST_CHECK bool ew_engine_logit_diffs(struct ew_engine *e, double *out,
                                         const struct ew_cancel *cancel,
                                         struct ew_err *err);

/*
 * The scores of `n` what-ifs, each from the current circuit, out (n). The
 * more what-ifs into the same receiver stand next to each other, the more
 * they share. `prompt_ld` (optional) is (n, n_prompts): the logit difference
 * of each prompt.
 */
EW_MUST_CHECK bool ew_engine_what_if(struct ew_engine *e,
                                     const struct ew_what_if *ifs, size_t n,
                                     unsigned want, struct ew_score *out,
                                     double *prompt_ld,
                                     const struct ew_cancel *cancel,
                                     struct ew_err *err);
/*
 * The same until `enough`, which is asked of each score in order, says that
 * those after it are not wanted; they may be unknown (NaN) then.
 */
EW_MUST_CHECK bool ew_engine_what_if_until(
    struct ew_engine *e, const struct ew_what_if *ifs, size_t n,
    unsigned want, struct ew_score *out,
    bool (*enough)(void *data, const struct ew_score *score), void *data,
    const struct ew_cancel *cancel, struct ew_err *err);
/*
 * How many what-ifs into one receiver are evaluated together, at least 1:
 * more than so many next to each other gain nothing, and only those of the
 * last so many can be committed cheaply.
 */
size_t ew_engine_batch(const struct ew_engine *e);
/*
 * Flip edges for good. Cheap when the last what-if held this very set. On
 * failure or cancellation the state is as before.
 */
EW_MUST_CHECK bool ew_engine_commit(struct ew_engine *e,
                                    const uint32_t *edges, size_t n,
                                    const struct ew_cancel *cancel,
                                    struct ew_err *err);
/* Go to a circuit, by whichever way is shorter. */
EW_MUST_CHECK bool ew_engine_set(struct ew_engine *e,
                                 const struct ew_bitset *kept,
                                 const struct ew_cancel *cancel,
                                 struct ew_err *err);

/* Is the effect of flipping `edge` alone known to be 0 in this circuit? */
enum ew_zero_why ew_engine_zero_why(struct ew_engine *e, uint32_t edge);

/*
 * Attention of a head, mean over prompts or of one (prompt >= 0), out
 * (n_pos, n_pos) row = query. EW_RUN_*: which run.
 */
enum ew_run { EW_RUN_CLEAN, EW_RUN_CORRUPTED, EW_RUN_CIRCUIT };
EW_MUST_CHECK bool ew_engine_attention(struct ew_engine *e, enum ew_run run,
                                       int layer, int head, int prompt,
                                       float *out, struct ew_err *err);

/* A token that a run may say next. */
struct ew_top {
    int64_t token;
    double logit;
    double log_p;
};
/*
 * The k tokens with the largest logits at a prompt's answer position, largest
 * first; k at most the vocabulary. EW_ERR_USAGE: the engine has no such run.
 */
EW_MUST_CHECK bool ew_engine_top(struct ew_engine *e, enum ew_run run,
                                 int prompt, size_t k, struct ew_top *out,
                                 struct ew_err *err);

EW_END_DECLS

#endif
