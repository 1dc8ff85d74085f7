/* SPDX-License-Identifier: Apache-2.0 */
/* Filter words to tests, and edges against them. */
#include "filter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

enum test_kind {
    TEST_KEPT,
    TEST_CUT,
    TEST_MARKED,
    TEST_KNOWN,
    TEST_FROM,
    TEST_TO,
    TEST_KIND,
    TEST_GROUP,
    TEST_EFFECT,
    TEST_ABS_EFFECT,
    TEST_NAME,
};

/* Whether names hold a text, by their keys. */
struct memo {
    uint8_t *known; /* owned; 0: not yet, 1: no, 2: yes */
    size_t n;
};

enum compare { CMP_LT, CMP_LE, CMP_GT, CMP_GE };

struct test {
    enum test_kind kind;
    bool negated;
    char *text; /* owned */
    enum compare compare;
    double value;
    struct memo from, to;
};

struct ew_filter {
    struct test *tests;
    size_t n, cap;
};

static const char *const kinds[] = {"q", "k", "v", "mlp", "logits", "direct"};

static bool read_compare(struct test *t, const char *word, struct ew_err *err)
{
    const char *p = word;
    bool less = *p == '<';
    if (*p != '<' && *p != '>') {
        return ew_fail(err, EW_ERR_USAGE,
                       "filter: expected < or > and a number after effect");
    }
    p++;
    bool equal = *p == '=';
    p += equal;
    char *end;
    t->value = strtod(p, &end);
    if (end == p || *end || !isfinite(t->value)) {
        return ew_fail(err, EW_ERR_USAGE, "filter: '%s' is not a number", p);
    }
    t->compare = less ? (equal ? CMP_LE : CMP_LT) : (equal ? CMP_GE : CMP_GT);
    return true;
}

static bool read_word(struct test *t, const char *word, struct ew_err *err)
{
    static const struct {
        const char *word;
        enum test_kind kind;
    } plain[] = {{"kept", TEST_KEPT},
                 {"cut", TEST_CUT},
                 {"marked", TEST_MARKED},
                 {"known", TEST_KNOWN}};
    if (*word == '!') {
        t->negated = true;
        word++;
    }
    for (size_t i = 0; i < EW_ARRAY_LEN(plain); i++) {
        if (strcmp(word, plain[i].word) == 0) {
            t->kind = plain[i].kind;
            return true;
        }
    }
    if (strncmp(word, "|effect|", 8) == 0) {
        t->kind = TEST_ABS_EFFECT;
        return read_compare(t, word + 8, err);
    }
    if (strncmp(word, "effect", 6) == 0) {
        t->kind = TEST_EFFECT;
        return read_compare(t, word + 6, err);
    }
    if (strncmp(word, "kind:", 5) == 0) {
        for (size_t i = 0; i < EW_ARRAY_LEN(kinds); i++) {
            if (strcmp(word + 5, kinds[i]) == 0) {
                t->kind = TEST_KIND;
                t->text = ew_xstrdup(word + 5);
                return true;
            }
        }
        return ew_fail(err, EW_ERR_USAGE,
                       "filter: kind is q, k, v, mlp, logits or direct");
    }
    t->kind = TEST_NAME;
    if (strncmp(word, "group:", 6) == 0) {
        t->kind = TEST_GROUP;
        word += 6;
    } else if (strncmp(word, "from:", 5) == 0) {
        t->kind = TEST_FROM;
        word += 5;
    } else if (strncmp(word, "to:", 3) == 0) {
        t->kind = TEST_TO;
        word += 3;
    } else if (strpbrk(word, ":=|")) { /* no name has these */
        return ew_fail(err, EW_ERR_USAGE,
                       "filter has no '%s': kept cut marked known from: to: "
                       "kind: group: |effect|>0.1",
                       word);
    }
    t->text = ew_xstrdup(word);
    return true;
}

struct ew_filter *ew_filter_parse(const char *text, struct ew_err *err)
{
    struct ew_filter *f = ew_xcalloc(1, sizeof(*f));
    while (*text) {
        size_t len = strcspn(text, " ");
        if (len > 0) {
            char *word = ew_xstrndup(text, len);
            struct test t = {0};
            bool ok = read_word(&t, word, err);
            free(word);
            f->tests = ew_grow(f->tests, f->n, &f->cap, sizeof(*f->tests));
            f->tests[f->n++] = t;
            if (!ok) {
                ew_filter_destroy(f);
                return NULL;
            }
        }
        text += len + (text[len] == ' ');
    }
    return f;
}

struct ew_filter *ew_filter_named(const char *text)
{
    struct ew_filter *f = ew_xcalloc(1, sizeof(*f));
    f->tests = ew_grow(f->tests, f->n, &f->cap, sizeof(*f->tests));
    f->tests[f->n++] =
        (struct test){.kind = TEST_NAME, .text = ew_xstrdup(text)};
    return f;
}

void ew_filter_destroy(struct ew_filter *f)
{
    if (!f) {
        return;
    }
    for (size_t i = 0; i < f->n; i++) {
        free(f->tests[i].text);
        free(f->tests[i].from.known);
        free(f->tests[i].to.known);
    }
    free(f->tests);
    free(f);
}

static bool compare(double value, const struct test *t)
{
    if (isnan(value)) {
        return false;
    }
    switch (t->compare) {
    case CMP_LT:
        return value < t->value;
    case CMP_LE:
        return value <= t->value;
    case CMP_GT:
        return value > t->value;
    case CMP_GE:
        return value >= t->value;
    }
    return false;
}

static bool kind_is(const char *kind, const struct ew_edge_facts *facts)
{
    if (strcmp(kind, "direct") == 0 || facts->direct) {
        return strcmp(kind, "direct") == 0 && facts->direct;
    }
    const char *name = facts->to_kind == EW_NODE_Q        ? "q"
                       : facts->to_kind == EW_NODE_K      ? "k"
                       : facts->to_kind == EW_NODE_V      ? "v"
                       : facts->to_kind == EW_NODE_LOGITS ? "logits"
                                                          : "mlp";
    return strcmp(kind, name) == 0;
}

static bool in_group(const struct ew_group *group, const char *text)
{
    return group && (strcasestr(group->name, text) ||
                     strcmp(group->short_name, text) == 0);
}

/* Is the text in the name? A large graph has a million edges between some
 * thousand names. */
static bool contains(struct memo *memo, uint32_t key, const char *name,
                     const char *text)
{
    if (key == 0) {
        return strstr(name, text) != NULL;
    }
    if (key >= memo->n) {
        size_t n = key + key / 2 + 64;
        memo->known = ew_xrealloc(memo->known, n, 1);
        memset(memo->known + memo->n, 0, n - memo->n);
        memo->n = n;
    }
    if (memo->known[key] == 0) {
        memo->known[key] = strstr(name, text) ? 2 : 1;
    }
    return memo->known[key] == 2;
}

static bool name_contains(struct test *t, const struct ew_edge_facts *facts)
{
    if (!strpbrk(t->text, "->")) { /* in one of the ends, not across */
        return contains(&t->from, facts->from_key, facts->from, t->text) ||
               contains(&t->to, facts->to_key, facts->to, t->text);
    }
    char name[160];
    snprintf(name, sizeof(name), "%s->%s", facts->from, facts->to);
    return strstr(name, t->text) != NULL;
}

static bool holds(struct test *t, const struct ew_edge_facts *facts)
{
    switch (t->kind) {
    case TEST_KEPT:
        return facts->kept;
    case TEST_CUT:
        return !facts->kept;
    case TEST_MARKED:
        return facts->marked;
    case TEST_KNOWN:
        return !isnan(facts->effect);
    case TEST_FROM:
        return contains(&t->from, facts->from_key, facts->from, t->text);
    case TEST_TO:
        return contains(&t->to, facts->to_key, facts->to, t->text);
    case TEST_KIND:
        return kind_is(t->text, facts);
    case TEST_GROUP:
        return in_group(facts->from_group, t->text) ||
               in_group(facts->to_group, t->text);
    case TEST_EFFECT:
        return compare(facts->effect, t);
    case TEST_ABS_EFFECT:
        return compare(fabs(facts->effect), t);
    case TEST_NAME:
        return name_contains(t, facts);
    }
    return false;
}

bool ew_filter_match(struct ew_filter *f, const struct ew_edge_facts *facts)
{
    for (size_t i = 0; f && i < f->n; i++) {
        if (holds(&f->tests[i], facts) == f->tests[i].negated) {
            return false;
        }
    }
    return true;
}

bool ew_filter_uses_effects(const struct ew_filter *f)
{
    for (size_t i = 0; f && i < f->n; i++) {
        enum test_kind kind = f->tests[i].kind;
        if (kind == TEST_KNOWN || kind == TEST_EFFECT ||
            kind == TEST_ABS_EFFECT) {
            return true;
        }
    }
    return false;
}
