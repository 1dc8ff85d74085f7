/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indirect object identification (Wang et al. 2022): "Then, Mary and John
 * went to the store. John gave a drink to" -> " Mary". IO is named once, the
 * subject twice (S1, S2). Two variants: as official ACDC runs it, and as MIB
 * does.
 */
#include "phrase.h"
#include "text.h"

static const char *const names[] = {
    "Michael",  "Christopher", "Jessica",   "Matthew",   "Ashley",
    "Jennifer", "Joshua",      "Amanda",    "Daniel",    "David",
    "James",    "Robert",      "John",      "Joseph",    "Andrew",
    "Ryan",     "Brandon",     "Jason",     "Justin",    "Sarah",
    "William",  "Jonathan",    "Stephanie", "Brian",     "Nicole",
    "Nicholas", "Anthony",     "Heather",   "Eric",      "Elizabeth",
    "Adam",     "Megan",       "Melissa",   "Kevin",     "Steven",
    "Thomas",   "Timothy",     "Christina", "Kyle",      "Rachel",
    "Laura",    "Lauren",      "Amber",     "Brittany",  "Danielle",
    "Richard",  "Kimberly",    "Jeffrey",   "Amy",       "Crystal",
    "Michelle", "Tiffany",     "Jeremy",    "Benjamin",  "Mark",
    "Emily",    "Aaron",       "Charles",   "Rebecca",   "Jacob",
    "Stephen",  "Patrick",     "Sean",      "Erin",      "Jamie",
    "Kelly",    "Samantha",    "Nathan",    "Sara",      "Dustin",
    "Paul",     "Angela",      "Tyler",     "Scott",     "Katherine",
    "Andrea",   "Gregory",     "Erica",     "Mary",      "Travis",
    "Lisa",     "Kenneth",     "Bryan",     "Lindsey",   "Kristen",
    "Jose",     "Alexander",   "Jesse",     "Katie",     "Lindsay",
    "Shannon",  "Vanessa",     "Courtney",  "Christine", "Alicia",
    "Cody",     "Allison",     "Bradley",   "Samuel",
};
static const char *const places[] = {"store",  "garden",   "restaurant",
                                     "school", "hospital", "office",
                                     "house",  "station"};
static const char *const objects[] = {"ring",       "kiss",     "bone",
                                      "basketball", "computer", "necklace",
                                      "drink",      "snack"};

/* {A} and {B} are IO and S1 in either order. */
static const char *const templates[] = {
    "Then, {A} and {B} went to the {PLACE}. {S2} gave a {OBJECT} to",
    "Then, {A} and {B} had a lot of fun at the {PLACE}. {S2} gave a {OBJECT} "
    "to",
    "Then, {A} and {B} were working at the {PLACE}. {S2} decided to give a "
    "{OBJECT} to",
    "Then, {A} and {B} were thinking about going to the {PLACE}. {S2} wanted "
    "to give a {OBJECT} to",
    "Then, {A} and {B} had a long argument, and afterwards {S2} said to",
    "After {A} and {B} went to the {PLACE}, {S2} gave a {OBJECT} to",
    "When {A} and {B} got a {OBJECT} at the {PLACE}, {S2} decided to give it "
    "to",
    "While {A} and {B} were working at the {PLACE}, {S2} gave a {OBJECT} to",
    "While {A} and {B} were commuting to the {PLACE}, {S2} gave a {OBJECT} to",
    "After the lunch, {A} and {B} went to the {PLACE}. {S2} gave a {OBJECT} "
    "to",
    "Afterwards, {A} and {B} went to the {PLACE}. {S2} gave a {OBJECT} to",
    "The {PLACE} {A} and {B} went to had a {OBJECT}. {S2} gave it to",
    "Friends {A} and {B} found a {OBJECT} at the {PLACE}. {S2} gave it to",
};

enum order { ABBA, BABA, MIXED };
static const char *const orders[] = {"abba", "baba", "mixed", NULL};
/* abc: three names of no prompt; io: S2 becomes IO; third: S2 a new name. */
enum corruption { ABC, S2_IO, S2_THIRD };
static const char *const corruptions[] = {"abc", "s2-io", "s2-third", NULL};

struct ioi {
    struct phrase_task text;
    struct common common;
    int order;
    int corrupt;
    int64_t n_templates;
    const char *names[EW_ARRAY_LEN(names)];
    size_t n_names;
    const char *places[EW_ARRAY_LEN(places)];
    size_t n_places;
    const char *objects[EW_ARRAY_LEN(objects)];
    size_t n_objects;
    const char *templates[EW_ARRAY_LEN(templates)];
    size_t n_usable;
};

struct cast { /* of one prompt */
    const char *io;
    const char *s1;
    const char *s2;
    const char *place;
    const char *object;
    bool io_first;
};

static void fill(struct phrase *p, const char *template, const struct cast *c)
{
    const struct slot slots[] = {
        {"A", c->io_first ? c->io : c->s1, c->io_first ? "IO" : "S1"},
        {"B", c->io_first ? c->s1 : c->io, c->io_first ? "S1" : "IO"},
        {"S2", c->s2, "S2"},
        {"PLACE", c->place, NULL},
        {"OBJECT", c->object, NULL},
    };
    phrase_fill(p, template, slots, EW_ARRAY_LEN(slots));
}

static struct cast corrupt_cast(struct ioi *t, struct cast c)
{
    struct ew_rng *rng = &t->common.rng;
    const char *taken[5] = {c.io, c.s1};
    switch (t->corrupt) {
    case ABC:
        for (int i = 2; i < 5; i++) {
            taken[i] = pick_other(rng, t->names, t->n_names, taken, (size_t)i);
        }
        c.io = taken[2];
        c.s1 = taken[3];
        c.s2 = taken[4];
        break;
    case S2_IO:
        c.s2 = c.io;
        break;
    default:
        c.s2 = pick_other(rng, t->names, t->n_names, taken, 2);
        break;
    }
    return c;
}

static struct cast draw_cast(struct ioi *t)
{
    struct ew_rng *rng = &t->common.rng;
    struct cast c = {0};
    c.io = pick(rng, t->names, t->n_names);
    c.s1 = pick_other(rng, t->names, t->n_names, &c.io, 1);
    c.s2 = c.s1;
    c.place = pick(rng, t->places, t->n_places);
    c.object = pick(rng, t->objects, t->n_objects);
    c.io_first =
        t->order == MIXED ? ew_rng_below(rng, 2) == 0 : t->order == ABBA;
    return c;
}

/* One prompt; false with a reason when the vocabulary does not take it. */
static bool add(struct ioi *t, const char *template, const struct cast *cast,
                const char **why)
{
    struct cast other = corrupt_cast(t, *cast);
    struct phrase clean = {0};
    struct phrase corrupt = {0};
    fill(&clean, template, cast);
    fill(&corrupt, template, &other);
    bool ok = phrase_pair(&t->text, &clean, &corrupt, why);
    if (ok) {
        struct draft *d = t->text.draft;
        struct draft_prompt *p = &d->prompts[d->n - 1];
        list_push(&p->right, word_token(&t->text, cast->io));
        list_push(&p->wrong, word_token(&t->text, cast->s1));
        draft_role(d, "S1+1", phrase_role(d, "S1") + 1);
    }
    phrase_finish(&clean);
    phrase_finish(&corrupt);
    return ok;
}

/* Which words and templates the vocabulary can say. */
static bool prepare(struct ioi *t, const char *task, struct ew_err *err)
{
    t->n_names =
        single_words(&t->text, "names", names, EW_ARRAY_LEN(names), t->names);
    t->n_places = single_words(&t->text, "places", places, EW_ARRAY_LEN(places),
                               t->places);
    t->n_objects = single_words(&t->text, "objects", objects,
                                EW_ARRAY_LEN(objects), t->objects);
    if (t->n_names < 5 || t->n_places < 1 || t->n_objects < 1) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: too few words are single tokens of this "
                       "vocabulary: %zu names, %zu places, %zu objects",
                       task, t->n_names, t->n_places, t->n_objects);
    }
    size_t lost = 0;
    const char *why = NULL;
    for (size_t i = 0; i < (size_t)t->n_templates; i++) {
        struct ew_rng before = t->common.rng;
        struct cast cast = draw_cast(t);
        const char *reason;
        if (add(t, templates[i], &cast, &reason)) {
            draft_forget(t->text.draft);
            t->templates[t->n_usable++] = templates[i];
        } else {
            lost++;
            why = reason;
        }
        t->common.rng = before;
    }
    if (lost > 0) {
        note(t->text.draft, lost, "%zu of %lld templates: %s", lost,
             (long long)t->n_templates, why);
    }
    return t->n_usable > 0 ||
           ew_fail(err, EW_ERR_INPUT, "%s: no template fits: %s", task, why);
}

static bool generate(struct ioi *t, struct spec *spec, bool default_bos,
                     struct ew_err *err)
{
    if (!common_options(spec, &t->common, 50, t->text.draft, err) ||
        !spec_choice(spec, "order", orders, &t->order, err) ||
        !spec_choice(spec, "corrupt", corruptions, &t->corrupt, err) ||
        !spec_int(spec, "templates", 1, EW_ARRAY_LEN(templates),
                  &t->n_templates, err) ||
        !phrase_options(&t->text, spec, default_bos, err) ||
        !spec_done(spec, err) || !prepare(t, spec->name, err)) {
        return false;
    }
    ew_buf_add(&t->text.draft->corruption, corruptions[t->corrupt]);
    for (int64_t i = 0; i < t->common.n; i++) {
        const char *why;
        struct cast cast = draw_cast(t);
        if (!add(t, pick(&t->common.rng, t->templates, t->n_usable), &cast,
                 &why)) {
            note_prompt(t->text.draft, why);
        }
    }
    return phrase_any(t->text.draft, spec->name, err);
}

static bool generate_acdc(struct spec *spec, const struct ew_task_env *env,
                          struct draft *draft, struct ew_err *err)
{
    struct ioi t = {.text = {.env = env, .draft = draft},
                    .order = ABBA,
                    .corrupt = ABC,
                    .n_templates = 1};
    return generate(&t, spec, false, err);
}

static bool generate_mib(struct spec *spec, const struct ew_task_env *env,
                         struct draft *draft, struct ew_err *err)
{
    struct ioi t = {.text = {.env = env, .draft = draft},
                    .order = MIXED,
                    .corrupt = S2_IO,
                    .n_templates = EW_ARRAY_LEN(templates)};
    return generate(&t, spec, true, err);
}

const struct generator ioi_acdc_task = {
    .name = "ioi-acdc",
    .what = "indirect object, ABBA, three random names corrupt it, no BOS",
    .options = "n=50 seed=0 corrupt=abc|s2-io|s2-third order=abba|baba|mixed "
               "templates=1 bos=no metric=logit-diff",
    .generate = generate_acdc,
};

const struct generator ioi_mib_task = {
    .name = "ioi-mib",
    .what = "indirect object, both orders, S2 becomes IO, with BOS",
    .options = "n=50 seed=0 corrupt=s2-io|s2-third|abc order=mixed|abba|baba "
               "templates=13 bos=yes metric=logit-diff",
    .generate = generate_mib,
};
