/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a head does, read off the clean run: where it looks, and what it
 * writes towards the logits.
 */
#ifndef EW_HEAD_H
#define EW_HEAD_H

#include "edgewise/cancel.h"
#include "edgewise/model.h"

EW_BEGIN_DECLS

/*
 * Attention scores, each a mean over the queries for which it is defined, and
 * NaN where there is none: to the token before (previous); to earlier tokens
 * that are the same (duplicate), and to those that come after such a one
 * (induction), as shares of the query's attention.
 */
struct ew_head_attention {
    double previous, duplicate, induction;
    size_t n_previous, n_duplicate, n_induction; /* queries */
};
/* Add the queries of one prompt: pattern (n_pos, n_pos), row = query, ids
 * (length). Begin with {0}; ew_head_attention_mean() ends it. */
void ew_head_attention_add(struct ew_head_attention *sum, const float *pattern,
                           size_t n_pos, const int64_t *ids, size_t length);
void ew_head_attention_mean(struct ew_head_attention *sum);

/* The prompts; all borrowed. */
struct ew_head_prompts {
    const int64_t *ids;      /* (n_prompts, n_pos) */
    const int32_t *length;   /* (n_prompts) */
    const int32_t *position; /* (n_prompts): where the answer is read off */
    const struct ew_head_answers {
        const int64_t *right, *wrong;
        size_t n_right, n_wrong;
    } * answers; /* (n_prompts); no wrong ones: no direct effect */
    size_t n_prompts, n_pos;
};

enum { EW_HEAD_WRITES = 4, EW_HEAD_COPY_TOP = 5 };

struct ew_head_output {
    /*
     * Direct logit attribution: the head's output at the answer position,
     * through the final norm with its scale as it is in the clean run, on
     * (mean of the answers - mean of the wrong ones). Mean over prompts, and
     * its standard error; NaN without wrong answers. Of all senders together
     * they add up to the logit difference.
     */
    double direct, direct_se;
    /* Logits it raises and lowers most, the same way, mean over prompts, each
     * less the mean over the vocabulary. */
    int64_t up[EW_HEAD_WRITES], down[EW_HEAD_WRITES];
    double up_by[EW_HEAD_WRITES], down_by[EW_HEAD_WRITES];
    size_t n_writes; /* fewer in a small vocabulary */
    /*
     * Copying: of the tokens of the prompts (the first left out), the share
     * that is among the EW_HEAD_COPY_TOP logits which the head raises most
     * when it looks at that token alone. NaN where tokens in and out differ.
     */
    double copying;
    size_t n_copying; /* tokens looked at */
};

/*
 * One clean run, with hooks. EW_ERR_INPUT for a model with a norm after the
 * attention, where a head's output alone is not defined. Engine thread.
 */
EW_MUST_CHECK bool ew_head_output(const struct ew_model *m, int layer, int head,
                                  const struct ew_head_prompts *prompts,
                                  struct ew_head_output *out,
                                  const struct ew_cancel *cancel,
                                  struct ew_err *err);

EW_END_DECLS

#endif
