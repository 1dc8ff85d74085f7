/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prompts from templates: "Then, {A} and {B} went to the {PLACE}." with a
 * word for each slot, positions of the slots that are roles, and the pair of
 * a clean and a corrupted prompt. What is not single tokens in the model's
 * vocabulary is left out and noted in the draft.
 */
#ifndef EW_TASK_PHRASE_H
#define EW_TASK_PHRASE_H

#include "generate.h"

struct slot {
    const char *key;  /* "A" in "{A}" */
    const char *word; /* what stands there */
    const char *role; /* NULL: none */
};

struct mark {
    const char *role;
    size_t end; /* byte behind the word */
};

enum { MAX_MARKS = 16, MAX_TEMPLATES = 32 };

struct phrase {
    struct ew_buf text;
    struct mark marks[MAX_MARKS];
    size_t n_marks;
};

/* Replaces what the phrase held. */
void phrase_fill(struct phrase *p, const char *template,
                 const struct slot *slots, size_t n);
void phrase_finish(struct phrase *p);

struct phrase_task {
    const struct ew_task_env *env;
    struct draft *draft;
    bool bos;
};

/*
 * Add a pair to the draft, without answers, scored at its last position,
 * with the clean phrase's marks and END as roles. False, and nothing added,
 * when a token is unknown, the lengths differ or a role is more than one
 * token; `*why` says which.
 */
bool phrase_pair(struct phrase_task *t, const struct phrase *clean,
                 const struct phrase *corrupt, const char **why);

/* The newest prompt's position of a role that it has. */
int64_t phrase_role(const struct draft *draft, const char *role);

/* Words that are one token after a space. Fills `kept`, notes the others. */
size_t single_words(struct phrase_task *t, const char *what,
                    const char *const *words, size_t n, const char **kept);
/* The token of such a word. */
int64_t word_token(const struct phrase_task *t, const char *word);
/* One of them. */
const char *pick(struct ew_rng *rng, const char *const *words, size_t n);
/* Another than the `n_taken` first of `taken`; there must be one. */
const char *pick_other(struct ew_rng *rng, const char *const *words, size_t n,
                       const char *const *taken, size_t n_taken);
/* Count `n` things that were left out, words or templates, and say why. */
void note(struct draft *draft, size_t n, const char *fmt, ...) EW_PRINTF(3, 4);
/* Count a prompt that was left out; each reason is told once. */
void note_prompt(struct draft *draft, const char *why);

/* Fails when no prompt was made, and says why none was. */
EW_MUST_CHECK bool phrase_any(const struct draft *draft, const char *task,
                              struct ew_err *err);

/* bos= with a default, and whether the model has the means for text. */
EW_MUST_CHECK bool phrase_options(struct phrase_task *t, struct spec *spec,
                                  bool default_bos, struct ew_err *err);

#endif
