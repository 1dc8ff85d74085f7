/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subject-verb agreement (Linzen et al. 2016, Finlayson et al. 2021): "The
 * keys near the cabinet" -> " are", " were", " have". The corrupted prompt has
 * the subject in its other number; what stands between stays.
 */
#include "phrase.h"
#include "text.h"

enum { SINGULAR, PLURAL };

static const char *const nouns[2][24] = {
    {"boy",    "girl",   "man",    "woman",  "teacher", "student",
     "doctor", "player", "writer", "friend", "parent",  "author",
     "lawyer", "worker", "leader", "driver", "farmer",  "artist",
     "guard",  "child",  "king",   "key",    "book",    "picture"},
    {"boys",    "girls",    "men",     "women",   "teachers", "students",
     "doctors", "players",  "writers", "friends", "parents",  "authors",
     "lawyers", "workers",  "leaders", "drivers", "farmers",  "artists",
     "guards",  "children", "kings",   "keys",    "books",    "pictures"}};
/* What the relative clause's own subject does. */
static const char *const deeds[2][5] = {
    {"likes", "knows", "wants", "needs", "helps"},
    {"like", "know", "want", "need", "help"}};
static const char *const verbs[2][3] = {{" is", " was", " has"},
                                        {" are", " were", " have"}};

static const char *const kinds[] = {"mixed", "simple", "pp", "rc", NULL};
enum { MIXED, SIMPLE, PP, RC };
static const char *const templates[] = {
    [SIMPLE] = "The {SUBJECT}",
    [PP] = "The {SUBJECT} near the {OTHER}",
    [RC] = "The {SUBJECT} that the {OTHER} {DEED}",
};

/* Words that the vocabulary has in both numbers. */
struct words {
    const char *of[2][24];
    size_t n;
};

struct agreement {
    struct phrase_task text;
    struct common common;
    int kind;
    struct words nouns;
    struct words deeds;
};

static bool has(const char *const *words, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++) {
        if (words[i] == word) {
            return true;
        }
    }
    return false;
}

static void keep_pairs(struct agreement *t, const char *what,
                       const char *const *one, const char *const *many,
                       size_t n, struct words *out)
{
    const char *kept[2][24];
    size_t n_one = single_words(&t->text, what, one, n, kept[SINGULAR]);
    size_t n_many = single_words(&t->text, what, many, n, kept[PLURAL]);
    for (size_t i = 0; i < n; i++) {
        if (has(kept[SINGULAR], n_one, one[i]) &&
            has(kept[PLURAL], n_many, many[i])) {
            out->of[SINGULAR][out->n] = one[i];
            out->of[PLURAL][out->n++] = many[i];
        }
    }
}

static void add_verbs(struct agreement *t, struct list *out, int number)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(verbs[0]); i++) {
        int64_t ids[2];
        for (int k = 0; k < 2; k++) {
            ids[k] = text_answer(t->text.env, NULL, verbs[k][i]);
        }
        if (ids[0] >= 0 && ids[1] >= 0) {
            list_push(out, ids[number]);
        }
    }
}

static bool has_verbs(struct agreement *t)
{
    struct list ids = {0};
    add_verbs(t, &ids, SINGULAR);
    bool any = ids.n > 0;
    list_finish(&ids);
    return any;
}

static bool add(struct agreement *t, const char **why)
{
    struct ew_rng *rng = &t->common.rng;
    int kind = t->kind;
    if (kind == MIXED) {
        kind = SIMPLE + (int)ew_rng_below(rng, t->deeds.n > 0 ? 3 : 2);
    }
    int number = (int)ew_rng_below(rng, 2);
    int other_number = (int)ew_rng_below(rng, 2);
    size_t subject = (size_t)ew_rng_below(rng, t->nouns.n);
    size_t other = (size_t)ew_rng_below(rng, t->nouns.n - 1);
    other += other >= subject;
    size_t deed = t->deeds.n ? (size_t)ew_rng_below(rng, t->deeds.n) : 0;
    struct slot slots[] = {
        {"SUBJECT", t->nouns.of[number][subject], "SUBJECT"},
        {"OTHER", t->nouns.of[other_number][other], "OTHER"},
        {"DEED", t->deeds.n ? t->deeds.of[other_number][deed] : "", NULL},
    };
    struct phrase clean = {0};
    struct phrase corrupt = {0};
    phrase_fill(&clean, templates[kind], slots, EW_ARRAY_LEN(slots));
    slots[0].word = t->nouns.of[1 - number][subject];
    phrase_fill(&corrupt, templates[kind], slots, EW_ARRAY_LEN(slots));
    bool ok = phrase_pair(&t->text, &clean, &corrupt, why);
    if (ok) {
        struct draft *d = t->text.draft;
        add_verbs(t, &d->prompts[d->n - 1].right, number);
        add_verbs(t, &d->prompts[d->n - 1].wrong, 1 - number);
    }
    phrase_finish(&clean);
    phrase_finish(&corrupt);
    return ok;
}

static bool prepare(struct agreement *t, const char *task, struct ew_err *err)
{
    keep_pairs(t, "nouns", nouns[SINGULAR], nouns[PLURAL],
               EW_ARRAY_LEN(nouns[0]), &t->nouns);
    if (t->kind == MIXED || t->kind == RC) {
        keep_pairs(t, "verbs", deeds[SINGULAR], deeds[PLURAL],
                   EW_ARRAY_LEN(deeds[0]), &t->deeds);
    }
    return (t->nouns.n >= 2 && has_verbs(t) &&
            (t->kind != RC || t->deeds.n > 0)) ||
           ew_fail(err, EW_ERR_INPUT,
                   "%s: too few words are single tokens of this vocabulary in "
                   "both numbers: %zu nouns, %zu verbs",
                   task, t->nouns.n, t->deeds.n);
}

static bool generate(struct spec *spec, const struct ew_task_env *env,
                     struct draft *draft, struct ew_err *err)
{
    struct agreement t = {.text = {.env = env, .draft = draft}};
    if (!common_options(spec, &t.common, 50, draft, err) ||
        !spec_choice(spec, "kind", kinds, &t.kind, err) ||
        !phrase_options(&t.text, spec, env->default_bos, err) ||
        !spec_done(spec, err) || !prepare(&t, spec->name, err)) {
        return false;
    }
    ew_buf_add(&draft->corruption, "other-number");
    for (int64_t i = 0; i < t.common.n; i++) {
        const char *why;
        if (!add(&t, &why)) {
            note_prompt(draft, why);
        }
    }
    return phrase_any(draft, spec->name, err);
}

const struct generator subject_verb_task = {
    .name = "subject-verb",
    .what = "\"The keys near the cabinet\" -> \" are\"",
    .options = "n=50 seed=0 kind=mixed|simple|pp|rc bos=(the model's) "
               "metric=logit-diff",
    .generate = generate,
};
