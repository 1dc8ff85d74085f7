/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's state, shared by worker.c (requests), background.c (idle
 * work) and stepper.c (ACDC).
 */
#ifndef EW_TUI_BACKEND_H
#define EW_TUI_BACKEND_H

#include <stdatomic.h>

#include "worker.h"

struct ew_backend {
    struct ew_mailbox *out; /* borrowed */
    _Atomic uint64_t newest;
    struct ew_cancel *closing; /* the program ends */

    struct ew_req_load load; /* as asked for, without path and task */
    struct ew_tokenizer *tok;
    struct ew_task *task;
    struct ew_model *model;
    struct ew_engine *engine; /* NULL until loaded */
    const struct ew_graph *graph;
    enum ew_metric metric;
    bool has_ld;

    uint64_t gen;         /* of the engine's circuit */
    bool base_known;      /* the two below are of this circuit */
    struct ew_score base; /* scores of the current circuit */
    double *base_ld;      /* (n_prompts) */

    struct ew_req_focus focus; /* arrays owned */
    uint64_t focus_gen;
    size_t edge_at, node_at, was_at; /* next to compute */
    size_t where_at;                 /* next place of focus.where_edge */
    uint32_t kind_at;                /* next sender whose kind is not told */
    bool prompts_told, attention_told, card_told, top_told;

    bool estimate_wanted;
    enum ew_attribution estimate_by;

    struct ew_acdc *acdc; /* NULL: not begun, or the circuit was edited */
    uint32_t n_before;    /* decisions that `acdc` does not count */
    double threshold;
    bool peeked; /* the next edge has been tested ahead and told */
};

/* Scores of the current circuit, told to the screen. False: failed or
 * cancelled. */
bool ew_backend_rebase(struct ew_backend *b, const struct ew_cancel *cancel,
                       struct ew_err *err);
void ew_backend_drop_acdc(struct ew_backend *b);

/* describe.c: the task in words; prompts and attention when asked for. */
void ew_describe_task(const struct ew_backend *b);
/* False when it was cancelled. */
bool ew_describe_prompts(struct ew_backend *b, const struct ew_cancel *cancel);
void ew_describe_attention(struct ew_backend *b);
void ew_describe_top(struct ew_backend *b);
/* card.c: EW_EV_CARD of the focus's head. False: cancelled. */
bool ew_backend_card(struct ew_backend *b, const struct ew_cancel *cancel);

/* kinds.c: where a head looks, mean over the clean prompts. */
bool ew_backend_look(struct ew_backend *b, int layer, int head,
                     struct ew_head_attention *out,
                     const struct ew_cancel *cancel, struct ew_err *err);
/* EW_EV_KINDS of the next heads. False: cancelled. */
bool ew_backend_kinds(struct ew_backend *b, const struct ew_cancel *cancel);

/* where.c: EW_EV_WHERE of the next places. False: cancelled. */
bool ew_backend_where(struct ew_backend *b, const struct ew_cancel *cancel);
/* Standard error of the mean of then - now; NaN for fewer than two. */
double ew_paired_error(const double *then, const double *now, size_t n);

/* estimate.c: EW_EV_ESTIMATES. False: cancelled. */
bool ew_backend_estimate(struct ew_backend *b, const struct ew_cancel *cancel);

/* was.c: a batch of effects in the pinned circuit. False: cancelled. */
bool ew_backend_was(struct ew_backend *b, const struct ew_cancel *cancel);
/* joint.c: tells EW_EV_JOINT, whatever comes of it. */
EW_MUST_CHECK bool ew_backend_joint(struct ew_backend *b,
                                    const struct ew_req_joint *req,
                                    uint64_t gen,
                                    const struct ew_cancel *cancel,
                                    struct ew_err *err);
/* background.c: the figures that effects need. */
unsigned ew_backend_effect_want(const struct ew_backend *b);

/* stepper.c */
void ew_stepper_step(struct ew_backend *b, const struct ew_req_acdc *req,
                     uint64_t gen, const struct ew_cancel *cancel);
void ew_stepper_run(struct ew_backend *b, const struct ew_req_acdc *req,
                    uint64_t gen, const struct ew_cancel *cancel);
void ew_stepper_back(struct ew_backend *b, const struct ew_req_back *req,
                     uint64_t gen, const struct ew_cancel *cancel);
void ew_stepper_threshold(struct ew_backend *b, double threshold);
/* Test the next edge ahead; false: nothing to do. */
bool ew_stepper_peek(struct ew_backend *b, const struct ew_cancel *cancel);

#endif
