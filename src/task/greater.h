/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of greater-than, for prompts made and prompts read. */
#ifndef EW_TASK_GREATER_H
#define EW_TASK_GREATER_H

#include "draft.h"

enum { N_ENDS = 100 };

/* The tokens "00" .. "99"; -1 where it is not a single one. Returns how many
 * are not. */
size_t greater_ends(const struct ew_task_env *env, int64_t ends[N_ENDS]);
/* Right are the ends after `yy`, wrong those up to it. */
void greater_answers(struct draft_prompt *p, const int64_t ends[N_ENDS],
                     int yy);

#endif
