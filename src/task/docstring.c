/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docstring (Heimersheim and Janiak 2023): which argument comes next in a
 * Python docstring, as official ACDC has it. Two arguments before A, B, C and
 * one behind them in the definition; the docstring has A and B, and C is
 * asked for.
 */
#include "phrase.h"
#include "text.h"

static const char *const variables[] = {
    "data",    "name",   "file",   "value",   "test",   "result", "line",
    "user",    "key",    "path",   "output",  "node",   "item",   "url",
    "model",   "text",   "log",    "string",  "field",  "start",  "number",
    "index",   "error",  "image",  "message", "size",   "event",  "state",
    "query",   "label",  "action", "target",  "code",   "source", "config",
    "options", "status", "group",  "client",  "color",  "format", "order",
    "match",   "title",  "parent", "token",   "server", "host",   "port",
    "page",    "header", "shape",  "load",    "files",  "last",   "root",
};
static const char *const nouns[] = {
    "oil",    "column", "piece",  "crime",  "population", "unit",   "dark",
    "price",  "river",  "garden", "horse",  "winter",     "music",  "paper",
    "bridge", "stone",  "street", "window", "forest",     "coffee", "doctor",
    "silver", "engine", "summer", "letter", "island",     "bottle", "market",
    "ground", "wheel",  "season", "metal",  "flower",     "animal", "hospital",
};
static const char *const template =
    "\ndef {METHOD}(self, {P1}, {P2}, {A}, {B}, {C}, {S1}):\n"
    "    \"\"\"{D1} {D2} {D3}\n\n"
    "    :param {A_doc}: {W1} {W2}\n"
    "    :param {B_doc}: {W3} {W4}\n"
    "    :param";

/* What is drawn for a prompt: all words differ. */
enum {
    METHOD,
    P1,
    P2,
    A,
    B,
    C,
    S1,     /* of the clean prompt */
    ANSWER, /* instead of C */
    DEF_A,
    DEF_B,
    DEF_C, /* random-random, definition */
    DOC_A,
    DOC_B, /* random-random, docstring */
    OTHER_A,
    OTHER_B, /* instead of A and B, the other corruptions */
    N_WORDS,
};
enum { D1, D2, D3, W1, W2, W3, W4, N_NOUNS };

/* The words at A, B, C in the definition and A, B in the docstring. */
struct places {
    int def[3];
    int doc[2];
};
static const struct {
    const char *name;
    struct places places;
} corruptions[] = {
    {"random-random", {{DEF_A, DEF_B, DEF_C}, {DOC_A, DOC_B}}},
    {"random-def", {{OTHER_A, OTHER_B, C}, {A, B}}},
    {"random-doc", {{A, B, C}, {OTHER_A, OTHER_B}}},
    {"random-def-doc", {{OTHER_A, OTHER_B, C}, {OTHER_A, OTHER_B}}},
    {"random-answer", {{A, B, ANSWER}, {A, B}}},
    {"random-answer-doc", {{A, B, ANSWER}, {OTHER_A, OTHER_B}}},
};

struct docstring {
    struct phrase_task text;
    struct common common;
    int corrupt;
    const char *variables[EW_ARRAY_LEN(variables)];
    size_t n_variables;
    const char *nouns[EW_ARRAY_LEN(nouns)];
    size_t n_nouns;
};

/* The first `n` become a random choice, all different. */
static void shuffle(struct ew_rng *rng, const char **words, size_t n_words,
                    size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = i + (size_t)ew_rng_below(rng, n_words - i);
        const char *word = words[i];
        words[i] = words[at];
        words[at] = word;
    }
}

static void fill(struct phrase *p, const struct docstring *t,
                 const struct places *at)
{
    const char *const *v = t->variables;
    const char *const *w = t->nouns;
    const struct slot slots[] = {
        {"METHOD", v[METHOD], NULL},
        {"P1", v[P1], NULL},
        {"P2", v[P2], NULL},
        {"A", v[at->def[0]], "A_def"},
        {"B", v[at->def[1]], "B_def"},
        {"C", v[at->def[2]], "C_def"},
        {"S1", v[S1], NULL},
        {"A_doc", v[at->doc[0]], "A_doc"},
        {"B_doc", v[at->doc[1]], "B_doc"},
        {"D1", w[D1], NULL},
        {"D2", w[D2], NULL},
        {"D3", w[D3], NULL},
        {"W1", w[W1], NULL},
        {"W2", w[W2], NULL},
        {"W3", w[W3], NULL},
        {"W4", w[W4], NULL},
    };
    phrase_fill(p, template, slots, EW_ARRAY_LEN(slots));
}

/* C is right; every other argument drawn for the prompt is wrong, those of
 * the corruptions too. */
static void add_answers(const struct docstring *t)
{
    struct draft *d = t->text.draft;
    struct draft_prompt *p = &d->prompts[d->n - 1];
    list_push(&p->right, word_token(&t->text, t->variables[C]));
    for (int i = METHOD + 1; i < N_WORDS; i++) {
        if (i != C) {
            list_push(&p->wrong, word_token(&t->text, t->variables[i]));
        }
    }
}

/* One prompt; false with a reason when the vocabulary does not take it. */
static bool add(struct docstring *t, const char **why)
{
    static const struct places as_drawn = {{A, B, C}, {A, B}};
    struct phrase clean = {0};
    struct phrase corrupt = {0};
    shuffle(&t->common.rng, t->variables, t->n_variables, N_WORDS);
    shuffle(&t->common.rng, t->nouns, t->n_nouns, N_NOUNS);
    fill(&clean, t, &as_drawn);
    fill(&corrupt, t, &corruptions[t->corrupt].places);
    bool ok = phrase_pair(&t->text, &clean, &corrupt, why);
    if (ok) {
        add_answers(t);
    }
    phrase_finish(&clean);
    phrase_finish(&corrupt);
    return ok;
}

static bool prepare(struct docstring *t, const char *task, struct ew_err *err)
{
    t->n_variables = single_words(&t->text, "arguments", variables,
                                  EW_ARRAY_LEN(variables), t->variables);
    t->n_nouns =
        single_words(&t->text, "nouns", nouns, EW_ARRAY_LEN(nouns), t->nouns);
    return (t->n_variables >= N_WORDS && t->n_nouns >= N_NOUNS) ||
           ew_fail(err, EW_ERR_INPUT,
                   "%s: too few words are single tokens of this vocabulary: "
                   "%zu arguments (%d are needed), %zu nouns (%d)",
                   task, t->n_variables, (int)N_WORDS, t->n_nouns,
                   (int)N_NOUNS);
}

static bool generate(struct spec *spec, const struct ew_task_env *env,
                     struct draft *draft, struct ew_err *err)
{
    struct docstring t = {.text = {.env = env, .draft = draft}};
    const char *names[EW_ARRAY_LEN(corruptions) + 1] = {NULL};
    draft->metric = EW_METRIC_DOCSTRING;
    draft->metric_set = true;
    for (size_t i = 0; i < EW_ARRAY_LEN(corruptions); i++) {
        names[i] = corruptions[i].name;
    }
    if (!common_options(spec, &t.common, 50, draft, err) ||
        !spec_choice(spec, "corrupt", names, &t.corrupt, err) ||
        !phrase_options(&t.text, spec, text_bos(env) >= 0, err) ||
        !spec_done(spec, err) || !prepare(&t, spec->name, err)) {
        return false;
    }
    ew_buf_add(&draft->corruption, names[t.corrupt]);
    for (int64_t i = 0; i < t.common.n; i++) {
        const char *why;
        if (!add(&t, &why)) {
            note_prompt(draft, why);
        }
    }
    return phrase_any(draft, spec->name, err);
}

const struct generator docstring_task = {
    .name = "docstring",
    .what = "which argument is next in a Python docstring",
    .options = "n=50 seed=0 corrupt=random-random|random-def|random-doc|"
               "random-def-doc|random-answer|random-answer-doc bos=yes "
               "metric=docstring",
    .generate = generate,
};
