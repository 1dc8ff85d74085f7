/* SPDX-License-Identifier: Apache-2.0 */
/* Templates, their words, and what does not fit a vocabulary. */
#include "phrase.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "text.h"

static const struct slot *find_slot(const struct slot *slots, size_t n,
                                    const char *key, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(slots[i].key) == len &&
            memcmp(slots[i].key, key, len) == 0) {
            return &slots[i];
        }
    }
    return NULL;
}

void phrase_fill(struct phrase *p, const char *template,
                 const struct slot *slots, size_t n)
{
    ew_buf_clear(&p->text);
    p->n_marks = 0;
    while (*template) {
        const char *close = *template == '{' ? strchr(template, '}') : NULL;
        const struct slot *slot =
            close ? find_slot(slots, n, template + 1,
                              (size_t)(close - template) - 1)
                  : NULL;
        if (!slot) {
            ew_buf_putc(&p->text, *template ++);
            continue;
        }
        ew_buf_add(&p->text, slot->word);
        if (slot->role && p->n_marks < MAX_MARKS) {
            p->marks[p->n_marks++] =
                (struct mark){.role = slot->role, .end = p->text.len};
        }
        template = close + 1;
    }
}

void phrase_finish(struct phrase *p)
{
    ew_buf_finish(&p->text);
}

static bool add_roles(struct phrase_task *t, const struct phrase *clean,
                      const struct draft_prompt *p)
{
    const char *text = ew_buf_str(&clean->text);
    for (size_t i = 0; i < clean->n_marks; i++) {
        int64_t at =
            text_position(t->env, text, clean->marks[i].end, t->bos, &p->clean);
        if (at < 0) {
            return false;
        }
        draft_role(t->draft, clean->marks[i].role, at);
    }
    draft_role(t->draft, "END", (int64_t)p->clean.n - 1);
    return true;
}

bool phrase_pair(struct phrase_task *t, const struct phrase *clean,
                 const struct phrase *corrupt, const char **why)
{
    const char *texts[] = {ew_buf_str(&clean->text),
                           ew_buf_str(&corrupt->text)};
    struct draft_prompt *p = draft_add(t->draft);
    struct list *rows[] = {&p->clean, &p->corrupt};
    *why = NULL;
    for (int i = 0; i < 2 && !*why; i++) {
        if (!text_known(t->env, texts[i]) ||
            !text_encode(t->env, texts[i], t->bos, rows[i], NULL)) {
            *why = "words that the vocabulary lacks";
        }
    }
    if (!*why && p->clean.n != p->corrupt.n) {
        *why = "pairs of unequal length";
    }
    if (!*why && (int64_t)p->clean.n > t->env->n_ctx) {
        *why = "prompts longer than the context";
    }
    if (!*why && !add_roles(t, clean, p)) {
        *why = "words that do not end a token";
    }
    if (*why) {
        draft_forget(t->draft);
        return false;
    }
    list_push(&p->scored, (int64_t)p->clean.n - 1);
    return true;
}

int64_t phrase_role(const struct draft *draft, const char *role)
{
    size_t r = 0;
    while (strcmp(draft->roles[r], role) != 0) {
        r++;
    }
    return draft->prompts[draft->n - 1].roles.at[r];
}

static bool single(const struct ew_task_env *env, const char *word)
{
    /* after a word that every vocabulary with these has */
    static const char *const before[] = {" and", " the", " a"};
    char *spaced = ew_xasprintf(" %s", word);
    int64_t id = text_answer(env, NULL, spaced);
    bool ok = id >= 0;
    for (size_t i = 0; ok && i < EW_ARRAY_LEN(before); i++) {
        struct list head = {0};
        struct list all = {0};
        char *text = ew_xasprintf("%s%s", before[i], spaced);
        if (text_known(env, before[i]) &&
            text_encode(env, before[i], false, &head, NULL)) {
            ok = text_encode(env, text, false, &all, NULL) &&
                 all.n == head.n + 1 && all.at[head.n] == id;
        }
        free(text);
        list_finish(&head);
        list_finish(&all);
    }
    free(spaced);
    return ok;
}

size_t single_words(struct phrase_task *t, const char *what,
                    const char *const *words, size_t n, const char **kept)
{
    struct ew_buf lost = {0};
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (single(t->env, words[i])) {
            kept[n_kept++] = words[i];
        } else if (i - n_kept < 3) {
            ew_buf_printf(&lost, "%s%s", lost.len ? ", " : "", words[i]);
        }
    }
    if (n_kept < n) {
        note(t->draft, n - n_kept, "%zu of %zu %s are not single tokens (%s%s)",
             n - n_kept, n, what, ew_buf_str(&lost),
             n - n_kept > 3 ? ", .." : "");
    }
    ew_buf_finish(&lost);
    return n_kept;
}

int64_t word_token(const struct phrase_task *t, const char *word)
{
    char *spaced = ew_xasprintf(" %s", word);
    int64_t id = text_answer(t->env, NULL, spaced);
    free(spaced);
    return id;
}

const char *pick(struct ew_rng *rng, const char *const *words, size_t n)
{
    return words[ew_rng_below(rng, n)];
}

const char *pick_other(struct ew_rng *rng, const char *const *words, size_t n,
                       const char *const *taken, size_t n_taken)
{
    for (;;) {
        const char *word = pick(rng, words, n);
        size_t i = 0;
        while (i < n_taken && strcmp(taken[i], word) != 0) {
            i++;
        }
        if (i == n_taken) {
            return word;
        }
    }
}

void note(struct draft *draft, size_t n, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    draft->dropped += n;
    ew_buf_printf(&draft->dropped_why, "%s%s",
                  draft->dropped_why.len ? "; " : "", text);
}

void note_prompt(struct draft *draft, const char *why)
{
    if (strstr(ew_buf_str(&draft->dropped_why), why)) {
        draft->dropped++;
    } else {
        note(draft, 1, "prompts: %s", why);
    }
}

bool phrase_any(const struct draft *draft, const char *task, struct ew_err *err)
{
    return draft->n > 0 ||
           ew_fail(err, EW_ERR_INPUT, "%s: no prompt fits the model: %s", task,
                   ew_buf_str(&draft->dropped_why));
}

bool phrase_options(struct phrase_task *t, struct spec *spec, bool default_bos,
                    struct ew_err *err)
{
    t->bos = default_bos;
    if (!spec_bool(spec, "bos", &t->bos, err)) {
        return false;
    }
    if (!t->env->tok) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: text needs a tokenizer, and the model has none",
                       spec->name);
    }
    t->draft->bos_id = text_bos(t->env);
    if (t->bos && t->draft->bos_id < 0) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: the model has no BOS token; bos=no leaves it out",
                       spec->name);
    }
    return true;
}
