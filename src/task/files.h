/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of task files: each fills in a draft from a file that spec names,
 * with the options the spec gives.
 */
#ifndef EW_TASK_FILES_H
#define EW_TASK_FILES_H

#include <jansson.h>

#include "draft.h"
#include "spec.h"

struct reader {
    const struct ew_task_env *env;
    const char *file; /* for messages */
    struct draft *draft;
    bool bos; /* prepend BOS to texts */
    /* Name of the corrupted prompts' field; NULL: the usual ones. */
    const char *corrupted;
};

/* "prompts[3].clean: " in front of a message, after the file. False. */
bool reader_fail(const struct reader *r, struct ew_err *err, const char *path,
                 const char *fmt, ...) EW_PRINTF(4, 5);

/* {"prompts": [..]} */
EW_MUST_CHECK bool read_prompts(struct reader *r, const json_t *root,
                                struct ew_err *err);
/* {"clean": [[..]], "corrupted": [[..]], ..} */
EW_MUST_CHECK bool read_rows(struct reader *r, const json_t *root,
                             struct ew_err *err);

/*
 * A table of pairs; asks the spec for answer, wrong, ids, unfit and bos.
 * `most` prompts at most; -1: all.
 */
EW_MUST_CHECK bool read_csv(struct reader *r, struct spec *spec,
                            const struct ew_buf *text, int64_t most,
                            struct ew_err *err);

/* Is a prompt a question with lettered choices, as MIB has them? */
bool is_choice(const json_t *prompt);
/* The pair that it is, {"clean", "corrupt", ..}; new; NULL with the reason. */
json_t *choice_pair(const struct reader *r, const json_t *prompt,
                    const char *path, struct ew_err *err);

/* ---- values that both layouts share ---- */

/* Token ids, or a text for the tokenizer. */
EW_MUST_CHECK bool read_tokens(const struct reader *r, const json_t *value,
                               const char *path, struct list *out,
                               struct ew_err *err);
/* "last", "all", a position or several; negative ones count from the end. */
EW_MUST_CHECK bool read_positions(const struct reader *r, const json_t *value,
                                  const char *path, size_t length,
                                  struct list *out, struct ew_err *err);

#endif
