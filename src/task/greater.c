/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Greater-than (Hanna et al. 2023): "The war lasted from the year 1741 to the
 * year 17" -> any of "42" .. "99". The corrupted prompt has 01 for 41, so
 * that every end is right there.
 */
#include "greater.h"

#include <stdio.h>

#include "phrase.h"
#include "text.h"

static const char *const nouns[] = {
    "war",      "campaign",  "project",  "treaty",    "conflict",  "reign",
    "program",  "dispute",   "plan",     "siege",     "strike",    "trial",
    "study",    "tour",      "journey",  "voyage",    "marriage",  "peace",
    "crisis",   "mission",   "drought",  "rebellion", "operation", "contract",
    "alliance", "effort",    "work",     "fight",     "case",      "process",
    "journal",  "agreement", "practice", "festival",  "rule",      "education",
};
static const char *const template =
    "The {NOUN} lasted from the year {XX}{YY} to the year {END}";

/* Centuries as in the paper; a year is neither the first nor the last. */
enum { FIRST = 11, LAST = 17, LOWEST = 2, HIGHEST = 98 };
enum { N_YEARS = (LAST - FIRST + 1) * (HIGHEST - LOWEST + 1) };

struct greater {
    struct phrase_task text;
    struct common common;
    const char *nouns[EW_ARRAY_LEN(nouns)];
    size_t n_nouns;
    int64_t ends[N_ENDS]; /* the token "00" .. "99"; -1: not a single one */
    int years[N_YEARS];   /* those that are a century and an end, two tokens */
    size_t n_years;
};

size_t greater_ends(const struct ew_task_env *env, int64_t ends[N_ENDS])
{
    size_t lost = 0;
    for (int i = 0; i < N_ENDS; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%02d", i);
        ends[i] = text_answer(env, NULL, text);
        lost += ends[i] < 0;
    }
    return lost;
}

void greater_answers(struct draft_prompt *p, const int64_t ends[N_ENDS], int yy)
{
    for (int i = 0; i < N_ENDS; i++) {
        if (ends[i] >= 0) {
            list_push(i > yy ? &p->right : &p->wrong, ends[i]);
        }
    }
}

/* Is " 1741" the tokens " 17" and "41"? */
static bool splits(const struct greater *t, int year)
{
    struct list ids = {0};
    char text[16];
    char century[16];
    snprintf(text, sizeof(text), " %d", year);
    snprintf(century, sizeof(century), " %d", year / 100);
    int64_t end = t->ends[year % 100];
    bool ok = end >= 0 && text_encode(t->text.env, text, false, &ids, NULL) &&
              ids.n == 2 && ids.at[1] == end &&
              ids.at[0] == text_answer(t->text.env, NULL, century);
    list_finish(&ids);
    return ok;
}

static bool prepare(struct greater *t, const char *task, struct ew_err *err)
{
    struct draft *draft = t->text.draft;
    size_t lost = greater_ends(t->text.env, t->ends);
    t->n_nouns =
        single_words(&t->text, "nouns", nouns, EW_ARRAY_LEN(nouns), t->nouns);
    if (lost > 0) {
        note(draft, lost, "%zu of %d two-digit ends are not single tokens",
             lost, (int)N_ENDS);
    }
    for (int century = FIRST; century <= LAST; century++) {
        bool first = splits(t, century * 100 + 1); /* the corrupted year */
        for (int end = LOWEST; end <= HIGHEST; end++) {
            if (first && splits(t, century * 100 + end)) {
                t->years[t->n_years++] = century * 100 + end;
            }
        }
    }
    if (t->n_years < N_YEARS) {
        note(draft, N_YEARS - t->n_years,
             "%zu of %d years are not a century and an end, two tokens",
             N_YEARS - t->n_years, (int)N_YEARS);
    }
    return (t->n_nouns > 0 && t->n_years > 0) ||
           ew_fail(err, EW_ERR_INPUT,
                   "%s: too little is said in single tokens of this "
                   "vocabulary: %zu nouns, %zu years",
                   task, t->n_nouns, t->n_years);
}

/* One prompt; false with a reason when the vocabulary does not take it. */
static bool add(struct greater *t, const char *noun, int year, const char **why)
{
    char century[16];
    char end[16];
    snprintf(century, sizeof(century), "%d", year / 100);
    snprintf(end, sizeof(end), "%02d", year % 100);
    struct slot slots[] = {{"NOUN", noun, "NOUN"},
                           {"XX", century, "XX1"},
                           {"YY", end, "YY"},
                           {"END", century, NULL}};
    struct phrase clean = {0};
    struct phrase corrupt = {0};
    phrase_fill(&clean, template, slots, EW_ARRAY_LEN(slots));
    slots[2].word = "01";
    phrase_fill(&corrupt, template, slots, EW_ARRAY_LEN(slots));
    bool ok = phrase_pair(&t->text, &clean, &corrupt, why);
    if (ok) {
        struct draft *d = t->text.draft;
        greater_answers(&d->prompts[d->n - 1], t->ends, year % 100);
    }
    phrase_finish(&clean);
    phrase_finish(&corrupt);
    return ok;
}

static bool generate(struct spec *spec, const struct ew_task_env *env,
                     struct draft *draft, struct ew_err *err)
{
    struct greater t = {.text = {.env = env, .draft = draft}};
    draft->metric = EW_METRIC_PROB_DIFF;
    draft->metric_set = true;
    if (!common_options(spec, &t.common, 50, draft, err) ||
        !phrase_options(&t.text, spec, env->default_bos, err) ||
        !spec_done(spec, err) || !prepare(&t, spec->name, err)) {
        return false;
    }
    ew_buf_add(&draft->corruption, "year 01");
    for (int64_t i = 0; i < t.common.n; i++) {
        const char *why;
        const char *noun = pick(&t.common.rng, t.nouns, t.n_nouns);
        int year = t.years[ew_rng_below(&t.common.rng, t.n_years)];
        if (!add(&t, noun, year, &why)) {
            note_prompt(draft, why);
        }
    }
    return phrase_any(draft, spec->name, err);
}

const struct generator greater_than_task = {
    .name = "greater-than",
    .what = "\"The war lasted from the year 1741 to the year 17\" -> 42 .. 99",
    .options = "n=50 seed=0 bos=(the model's) metric=prob-diff",
    .generate = generate,
};
