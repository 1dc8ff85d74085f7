/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of prompts into padded arrays. */
#include "draft.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

void list_push(struct list *list, int64_t value)
{
    list->at = ew_grow(list->at, list->n, &list->cap, sizeof(*list->at));
    list->at[list->n++] = value;
}

bool list_has(const struct list *list, int64_t value)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i] == value) {
            return true;
        }
    }
    return false;
}

void list_finish(struct list *list)
{
    free(list->at);
    *list = (struct list){0};
}

struct draft_prompt *draft_add(struct draft *d)
{
    d->prompts = ew_grow(d->prompts, d->n, &d->cap, sizeof(*d->prompts));
    d->prompts[d->n] = (struct draft_prompt){.answer_position = -1};
    return &d->prompts[d->n++];
}

static void finish_prompt(struct draft_prompt *p)
{
    list_finish(&p->clean);
    list_finish(&p->corrupt);
    list_finish(&p->right);
    list_finish(&p->wrong);
    list_finish(&p->scored);
    list_finish(&p->roles);
}

void draft_forget(struct draft *d)
{
    finish_prompt(&d->prompts[--d->n]);
}

void draft_drop(struct draft *d, const char *why)
{
    draft_forget(d);
    d->dropped++;
    if (!strstr(ew_buf_str(&d->dropped_why), why)) {
        ew_buf_printf(&d->dropped_why, "%s%s", d->dropped_why.len ? "; " : "",
                      why);
    }
}

void draft_role(struct draft *d, const char *name, int64_t position)
{
    size_t role = 0;
    while (role < d->n_roles && strcmp(d->roles[role], name) != 0) {
        role++;
    }
    if (role == d->n_roles) {
        d->roles =
            ew_grow(d->roles, d->n_roles, &d->cap_roles, sizeof(*d->roles));
        d->roles[d->n_roles++] = ew_xstrdup(name);
    }
    struct draft_prompt *p = &d->prompts[d->n - 1];
    while (p->roles.n <= role) {
        list_push(&p->roles, -1);
    }
    p->roles.at[role] = position;
}

void draft_finish(struct draft *d)
{
    for (size_t i = 0; i < d->n; i++) {
        finish_prompt(&d->prompts[i]);
    }
    for (size_t i = 0; i < d->n_roles; i++) {
        free(d->roles[i]);
    }
    free(d->prompts);
    free(d->roles);
    ew_buf_finish(&d->corruption);
    ew_buf_finish(&d->bos);
    ew_buf_finish(&d->dropped_why);
    *d = (struct draft){.bos_id = -1};
}

/* ---- into a task ---- */

/*
 * What should follow a position: where the answer is read off, and at the
 * end, the first answer; elsewhere the next clean token. -1: unknown.
 */
static int64_t target_at(const struct draft_prompt *p, int64_t position)
{
    bool last = position + 1 == (int64_t)p->clean.n;
    if ((last || position == p->answer_position) && p->right.n > 0) {
        return p->right.at[0];
    }
    return last ? -1 : p->clean.at[position + 1];
}

static void add_scored(struct ew_task *task, const struct draft *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++) {
        n += d->prompts[i].scored.n;
    }
    task->scored = ew_xcalloc(n, sizeof(*task->scored));
    for (size_t i = 0; i < d->n; i++) {
        const struct draft_prompt *p = &d->prompts[i];
        for (size_t j = 0; j < p->scored.n; j++) {
            task->scored[task->n_scored++] = (struct ew_scored){
                .prompt = (int32_t)i,
                .position = (int32_t)p->scored.at[j],
                .target = target_at(p, p->scored.at[j]),
            };
        }
    }
}

static void add_roles(struct ew_task *task, struct draft *d)
{
    task->roles = ew_xcalloc(d->n_roles, sizeof(*task->roles));
    task->n_roles = d->n_roles;
    for (size_t r = 0; r < d->n_roles; r++) {
        struct ew_role *role = &task->roles[r];
        role->name = d->roles[r]; /* moved */
        role->positions = ew_xcalloc(d->n, sizeof(*role->positions));
        for (size_t i = 0; i < d->n; i++) {
            const struct list *have = &d->prompts[i].roles;
            role->positions[i] = r < have->n ? (int32_t)have->at[r] : -1;
        }
    }
    d->n_roles = 0;
}

static void add_prompt(struct ew_task *task, size_t i, struct draft_prompt *p)
{
    size_t bytes = p->clean.n * sizeof(int64_t);
    if (bytes > 0) {
        memcpy(task->clean + i * task->n_pos, p->clean.at, bytes);
        memcpy(task->corrupt + i * task->n_pos, p->corrupt.at, bytes);
    }
    task->length[i] = (int32_t)p->clean.n;
    task->answer_position[i] = (int32_t)p->answer_position;
    task->answers[i] = (struct ew_answers){.right = p->right.at,
                                           .n_right = p->right.n,
                                           .wrong = p->wrong.at,
                                           .n_wrong = p->wrong.n};
    p->right = (struct list){0};
    p->wrong = (struct list){0};
}

/* "BOS" when every clean prompt begins with it, "no BOS" when none does. */
static const char *bos_badge(const struct draft *d)
{
    size_t with = 0;
    for (size_t i = 0; i < d->n; i++) {
        const struct list *clean = &d->prompts[i].clean;
        with += d->bos_id >= 0 && clean->n > 0 && clean->at[0] == d->bos_id;
    }
    return with == 0 ? "no BOS" : with == d->n ? "BOS" : "BOS in some";
}

static bool all_have_wrong(const struct draft *d)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->prompts[i].right.n == 0 || d->prompts[i].wrong.n == 0) {
            return false;
        }
    }
    return true;
}

struct ew_task *draft_task(struct draft *d, const char *name)
{
    struct ew_task *task = ew_xcalloc(1, sizeof(*task));
    task->name = ew_xstrdup(name);
    task->corruption =
        ew_xstrdup(d->corruption.len ? ew_buf_str(&d->corruption) : "as given");
    task->bos = ew_xstrdup(d->bos.len ? ew_buf_str(&d->bos) : bos_badge(d));
    task->metric = d->metric_set       ? d->metric
                   : all_have_wrong(d) ? EW_METRIC_LOGIT_DIFF
                                       : EW_METRIC_KL;
    task->dropped = d->dropped;
    task->dropped_why =
        d->dropped_why.len ? ew_buf_steal(&d->dropped_why) : NULL;
    task->n_prompts = d->n;
    for (size_t i = 0; i < d->n; i++) {
        size_t len = d->prompts[i].clean.n;
        task->n_pos = len > task->n_pos ? len : task->n_pos;
        if (d->prompts[i].answer_position < 0) {
            d->prompts[i].answer_position = (int64_t)len - 1;
        }
    }
    task->length = ew_xcalloc(d->n, sizeof(*task->length));
    task->clean = ew_xcalloc(d->n * task->n_pos, sizeof(*task->clean));
    task->corrupt = ew_xcalloc(d->n * task->n_pos, sizeof(*task->corrupt));
    task->answers = ew_xcalloc(d->n, sizeof(*task->answers));
    task->answer_position = ew_xcalloc(d->n, sizeof(*task->answer_position));
    add_scored(task, d);
    add_roles(task, d);
    for (size_t i = 0; i < d->n; i++) {
        add_prompt(task, i, &d->prompts[i]);
    }
    draft_finish(d);
    return task;
}
