/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task in the making: prompts of any length, one after another, with their
 * answers, scored positions and roles. draft_finish() turns it into the
 * padded arrays of struct ew_task and settles the targets, so that tasks made
 * and tasks read follow the same rules.
 */
#ifndef EW_TASK_DRAFT_H
#define EW_TASK_DRAFT_H

#include "edgewise/task.h"

struct list { /* of numbers; zero-initialised is empty */
    int64_t *at;
    size_t n;
    size_t cap;
};

void list_push(struct list *list, int64_t value);
bool list_has(const struct list *list, int64_t value);
void list_finish(struct list *list);

struct draft_prompt {
    struct list clean;
    struct list corrupt; /* as long */
    struct list right;
    struct list wrong;
    struct list scored; /* positions */
    struct list roles;  /* by role; may be shorter: absent there */
    int64_t answer_position;
};

struct draft {
    struct draft_prompt *prompts;
    size_t n;
    size_t cap;
    char **roles; /* owned names */
    size_t n_roles;
    size_t cap_roles;
    enum ew_metric metric;
    bool metric_set; /* else: logit-diff where every prompt allows it, or kl */
    struct ew_buf corruption;
    struct ew_buf bos; /* badge; empty: told from the prompts and bos_id */
    int64_t bos_id;    /* -1: unknown */
    size_t dropped;
    struct ew_buf dropped_why;
};

/* A new prompt at the end, empty, answer at its last position; borrowed
 * until the next one. */
struct draft_prompt *draft_add(struct draft *d);
/* Forget the newest prompt. */
void draft_forget(struct draft *d);
/* Forget it, count it as dropped, and say why. */
void draft_drop(struct draft *d, const char *why);
/* Put a role of the newest prompt; -1 is absent. */
void draft_role(struct draft *d, const char *name, int64_t position);
void draft_finish(struct draft *d);
/* Moves everything out of the draft, which is empty after. */
struct ew_task *draft_task(struct draft *d, const char *name);

#endif
