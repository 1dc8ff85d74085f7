/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker tells beside numbers of edges: the prompts as text, the
 * logit difference of each prompt, the attention pattern of a head.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "backend.h"

static char *token_text(const struct ew_backend *b, int64_t id)
{
    struct ew_buf text = {0};
    ew_token_print(&text, b->tok, id);
    return ew_buf_steal(&text);
}

static char *answers_text(const struct ew_backend *b, const int64_t *ids,
                          size_t n)
{
    struct ew_buf text = {0};
    for (size_t i = 0; i < n && i < 3; i++) {
        if (i > 0) {
            ew_buf_add(&text, "/");
        }
        ew_token_print(&text, b->tok, ids[i]);
    }
    if (n > 3) {
        ew_buf_add(&text, "/..");
    }
    return ew_buf_steal(&text);
}

/* Text that gives these ids again, without a leading BOS. */
static char *typed_text(const struct ew_backend *b, const int64_t *ids,
                        size_t n)
{
    struct ew_buf text = {0};
    size_t skip = n > 0 && ids[0] == ew_tokenizer_bos(b->tok);
    ew_tokenizer_decode(b->tok, ids + skip, n - skip, &text);
    return ew_buf_steal(&text);
}

static char *typed_answers(const struct ew_backend *b, const int64_t *ids,
                           size_t n)
{
    struct ew_buf text = {0};
    for (size_t i = 0; i < n; i++) {
        ew_buf_add(&text, i > 0 ? "|" : "");
        ew_tokenizer_decode(b->tok, &ids[i], 1, &text);
    }
    return ew_buf_steal(&text);
}

static void describe_typed(const struct ew_backend *b, size_t p,
                           struct ew_prompt_text *out)
{
    const struct ew_task *t = b->task;
    const struct ew_answers *a = &t->answers[p];
    if (!b->tok) {
        return;
    }
    size_t n = (size_t)t->length[p];
    out->text[0] = typed_text(b, t->clean + p * t->n_pos, n);
    out->text[1] = typed_text(b, t->corrupt + p * t->n_pos, n);
    out->answer = typed_answers(b, a->right, a->n_right);
    out->wrong_answer = typed_answers(b, a->wrong, a->n_wrong);
}

void ew_describe_task(const struct ew_backend *b)
{
    const struct ew_task *t = b->task;
    struct ew_ev_task *out = ew_xcalloc(1, sizeof(*out));
    out->n_prompts = t->n_prompts;
    out->has_text = b->tok != NULL;
    out->n_pos = t->n_pos;
    out->prompts = ew_xcalloc(t->n_prompts, sizeof(*out->prompts));
    for (size_t p = 0; p < t->n_prompts; p++) {
        struct ew_prompt_text *text = &out->prompts[p];
        const struct ew_answers *a = &t->answers[p];
        text->length = t->length[p];
        text->answer_position = t->answer_position[p];
        describe_typed(b, p, text);
        text->right = answers_text(b, a->right, a->n_right);
        text->wrong = answers_text(b, a->wrong, a->n_wrong);
        text->tokens = ew_xcalloc((size_t)text->length, sizeof(*text->tokens));
        for (int i = 0; i < text->length; i++) {
            text->tokens[i] = token_text(b, t->clean[p * t->n_pos + (size_t)i]);
        }
    }
    ew_mailbox_post(
        b->out, (struct ew_message){EW_EV_TASK, b->gen, out, ew_ev_task_free});
}

void ew_ev_task_free(void *body)
{
    struct ew_ev_task *task = body;
    for (size_t p = 0; p < task->n_prompts; p++) {
        struct ew_prompt_text *text = &task->prompts[p];
        for (int i = 0; i < text->length; i++) {
            free(text->tokens[i]);
        }
        free(text->tokens);
        free(text->right);
        free(text->wrong);
        free(text->text[0]);
        free(text->text[1]);
        free(text->answer);
        free(text->wrong_answer);
    }
    free(task->prompts);
    free(task);
}

bool ew_describe_prompts(struct ew_backend *b, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    struct ew_score score;
    size_t n = b->task->n_prompts;
    uint32_t edge = b->focus.prompt_edge;
    struct ew_ev_prompts *out =
        ew_xcalloc(1, sizeof(*out) + 2 * n * sizeof(out->values[0]));
    out->n = n;
    out->edge = edge;
    memcpy(out->values, b->base_ld, n * sizeof(out->values[0]));
    bool ok = true;
    if (edge != EW_NONE) {
        struct ew_what_if what = {&edge, 1};
        ok = ew_engine_what_if(b->engine, &what, 1, EW_WANT_LOGIT_DIFF, &score,
                               out->values + n, cancel, &err);
    }
    b->prompts_told = ok || err.code != EW_ERR_CANCELLED;
    if (!ok) {
        free(out);
        return b->prompts_told;
    }
    ew_mailbox_post(b->out,
                    (struct ew_message){EW_EV_PROMPTS, b->gen, out, NULL});
    return true;
}

/* The pattern of a run, or what it is more than the clean run's. */
static bool pattern_of(struct ew_backend *b, struct ew_ev_attention *out,
                       struct ew_err *err)
{
    enum ew_run run = out->pattern == EW_PATTERN_CLEAN ? EW_RUN_CLEAN
                      : out->pattern == EW_PATTERN_CORRUPTED ||
                              out->pattern == EW_PATTERN_CORRUPTED_CHANGE
                          ? EW_RUN_CORRUPTED
                          : EW_RUN_CIRCUIT;
    if (!ew_engine_attention(b->engine, run, out->layer, out->head, out->prompt,
                             out->weights, err)) {
        return false;
    }
    if (out->pattern < EW_PATTERN_CIRCUIT_CHANGE) {
        return true;
    }
    size_t n = out->n_pos * out->n_pos;
    float *clean = ew_xcalloc(n, sizeof(*clean));
    bool ok = ew_engine_attention(b->engine, EW_RUN_CLEAN, out->layer,
                                  out->head, out->prompt, clean, err);
    for (size_t i = 0; ok && i < n; i++) {
        out->weights[i] -= clean[i];
    }
    free(clean);
    return ok;
}

void ew_describe_attention(struct ew_backend *b)
{
    struct ew_err err = {0};
    const struct ew_req_focus *f = &b->focus;
    size_t t = b->task->n_pos;
    struct ew_ev_attention *out =
        ew_xcalloc(1, sizeof(*out) + t * t * sizeof(out->weights[0]));
    out->layer = f->layer;
    out->head = f->head;
    out->prompt = f->prompt;
    out->pattern = f->pattern;
    out->n_pos = t;
    b->attention_told = true;
    if (!pattern_of(b, out, &err)) {
        ew_post_event(b->out, EW_EV_ERROR, b->gen, &err, sizeof(err));
        free(out);
        return;
    }
    ew_mailbox_post(b->out,
                    (struct ew_message){EW_EV_ATTENTION, b->gen, out, NULL});
}

static int answer_kind(const struct ew_answers *a, int64_t token)
{
    for (size_t i = 0; i < a->n_right; i++) {
        if (a->right[i] == token) {
            return 1;
        }
    }
    for (size_t i = 0; i < a->n_wrong; i++) {
        if (a->wrong[i] == token) {
            return -1;
        }
    }
    return 0;
}

static void describe_top_token(const struct ew_backend *b, int prompt,
                               const struct ew_top *from,
                               struct ew_top_token *to)
{
    char *text = token_text(b, from->token);
    snprintf(to->text, sizeof(to->text), "%s", text);
    free(text);
    to->p = exp(from->log_p);
    to->answer = answer_kind(&b->task->answers[prompt], from->token);
}

void ew_describe_top(struct ew_backend *b)
{
    struct ew_err err = {0};
    struct ew_top top[EW_TOP_TOKENS];
    struct ew_ev_top *out = ew_xcalloc(1, sizeof(*out));
    int64_t v = b->load.arch.d_vocab_out;
    out->prompt = b->focus.top_prompt;
    out->n = v > 0 && v < EW_TOP_TOKENS ? (size_t)v : EW_TOP_TOKENS;
    for (int run = EW_RUN_CLEAN; run <= EW_RUN_CIRCUIT; run++) {
        if (!ew_engine_top(b->engine, (enum ew_run)run, out->prompt, out->n,
                           top, &err)) {
            snprintf(out->why_not, sizeof(out->why_not), "%s", err.message);
            out->n = 0;
        }
        for (size_t i = 0; i < out->n; i++) {
            describe_top_token(b, out->prompt, &top[i], &out->runs[run][i]);
        }
    }
    b->top_told = true;
    ew_mailbox_post(b->out, (struct ew_message){EW_EV_TOP, b->gen, out, NULL});
}
