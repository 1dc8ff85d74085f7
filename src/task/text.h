/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text prompts as tokens: BOS policy, answers as single tokens in context,
 * and the position of a word.
 */
#ifndef EW_TASK_TEXT_H
#define EW_TASK_TEXT_H

#include "draft.h"

/* BOS as the environment or the tokenizer has it; -1: unknown. */
int64_t text_bos(const struct ew_task_env *env);
/* Append BOS (unless the text begins with it) and the tokens of the text. */
EW_MUST_CHECK bool text_encode(const struct ew_task_env *env, const char *text,
                               bool bos, struct list *out, struct ew_err *err);
/*
 * The single token that `answer` is after `prompt`: the vocabulary's own
 * " Mary", else what the tokenizer makes of prompt and answer together, else
 * "Mary" where the blank is no part of any token. -1 when there is none;
 * special tokens are none. `prompt` may be NULL.
 */
int64_t text_answer(const struct ew_task_env *env, const char *prompt,
                    const char *answer);
/*
 * The position in `ids` of the token that ends at byte `end` of the text, or
 * -1 when no token does.
 */
int64_t text_position(const struct ew_task_env *env, const char *text,
                      size_t end, bool bos, const struct list *ids);
/* "a|b|c": tokens [from, to) of a list for a message, at most a few. */
void text_show(struct ew_buf *out, const struct ew_task_env *env,
               const struct list *ids, size_t from, size_t to);
/* The tokens that `answer` is after `prompt` (NULL: after nothing), shown. */
void text_show_answer(struct ew_buf *out, const struct ew_task_env *env,
                      const char *prompt, const char *answer);
/*
 * Why two prompts are not equally long: "clean has 15 tokens and corrupt 16:
 * they must be equally long; ..." with what differs of both.
 */
void text_show_unequal(struct ew_buf *out, const struct ew_task_env *env,
                       const struct list *clean, const struct list *corrupt);
/* Are all tokens of the text ordinary ones, or blanks? */
bool text_known(const struct ew_task_env *env, const char *text);

#endif
