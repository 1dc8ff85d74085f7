/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gendered pronoun (Mathwin et al. 2023): "So Paul is such a good friend,
 * isn't" -> " he". The corrupted prompt has a name of the other gender.
 */
#include "phrase.h"
#include "text.h"

static const char *const he_names[] = {
    "John",  "David",  "Mark",   "Paul",  "Ryan",   "Adam",   "Sean",
    "Kevin", "Robert", "Steven", "Brian", "Thomas", "George", "William",
    "James", "Peter",  "Eric",   "Jason", "Scott",  "Richard"};
static const char *const she_names[] = {
    "Mary",  "Lisa",   "Anna",  "Sarah", "Amy",    "Carol", "Karen",
    "Susan", "Julia",  "Emily", "Linda", "Rachel", "Laura", "Jessica",
    "Kate",  "Nicole", "Alice", "Maria", "Emma",   "Helen"};
static const char *const templates[] = {
    "So {NAME} is such a good friend, isn't",
    "So {NAME} is a really great friend, isn't",
    "So {NAME} is a very good cook, isn't",
};

static bool add(struct phrase_task *t, struct common *common,
                const char *template, const char *const *names, const size_t *n,
                const char **why)
{
    size_t side = ew_rng_below(&common->rng, 2);
    size_t half = EW_ARRAY_LEN(he_names);
    const char *own = pick(&common->rng, names + side * half, n[side]);
    const char *other =
        pick(&common->rng, names + (1 - side) * half, n[1 - side]);
    const struct slot clean_slot = {"NAME", own, "NAME"};
    const struct slot corrupt_slot = {"NAME", other, NULL};
    struct phrase clean = {0};
    struct phrase corrupt = {0};
    phrase_fill(&clean, template, &clean_slot, 1);
    phrase_fill(&corrupt, template, &corrupt_slot, 1);
    bool ok = phrase_pair(t, &clean, &corrupt, why);
    if (ok) {
        struct draft_prompt *p = &t->draft->prompts[t->draft->n - 1];
        const char *text = ew_buf_str(&clean.text);
        list_push(&p->right, text_answer(t->env, text, side ? " she" : " he"));
        list_push(&p->wrong, text_answer(t->env, text, side ? " he" : " she"));
    }
    phrase_finish(&clean);
    phrase_finish(&corrupt);
    return ok;
}

static bool generate(struct spec *spec, const struct ew_task_env *env,
                     struct draft *draft, struct ew_err *err)
{
    struct phrase_task t = {.env = env, .draft = draft};
    struct common common;
    const char *names[EW_ARRAY_LEN(he_names) + EW_ARRAY_LEN(she_names)];
    if (!common_options(spec, &common, 50, draft, err) ||
        !phrase_options(&t, spec, env->default_bos, err) ||
        !spec_done(spec, err)) {
        return false;
    }
    size_t n[2] = {
        single_words(&t, "names", he_names, EW_ARRAY_LEN(he_names), names),
        single_words(&t, "names", she_names, EW_ARRAY_LEN(she_names),
                     names + EW_ARRAY_LEN(he_names))};
    if (n[0] == 0 || n[1] == 0 || text_answer(env, NULL, " he") < 0 ||
        text_answer(env, NULL, " she") < 0) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: too few words are single tokens of this "
                       "vocabulary: %zu + %zu names, \" he\", \" she\"",
                       spec->name, n[0], n[1]);
    }
    ew_buf_add(&draft->corruption, "other-gender");
    const char *why = NULL;
    for (int64_t i = 0; i < common.n; i++) {
        const char *template =
            pick(&common.rng, templates, EW_ARRAY_LEN(templates));
        if (!add(&t, &common, template, names, n, &why)) {
            note_prompt(draft, why);
        }
    }
    return phrase_any(draft, spec->name, err);
}

const struct generator gendered_pronoun_task = {
    .name = "gendered-pronoun",
    .what = "\"So Paul is such a good friend, isn't\" -> \" he\"",
    .options = "n=50 seed=0 bos=(the model's) metric=logit-diff",
    .generate = generate,
};
