/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prompt files as EAP-IG and MIB have them: a header, then a pair a line. The
 * answer ids of such a file belong to the model that it was made for: answers
 * are taken from columns of text or told from the prompt, unless ids=file
 * says that the ids are this model's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "csv.h"
#include "derive.h"
#include "files.h"
#include "greater.h"
#include "text.h"

enum { NONE = -1 };

/* What a column is called, in the order of preference. */
static const char *const right_texts[] = {"answer", "answers", "correct",
                                          "clean_answer", NULL};
static const char *const wrong_texts[] = {
    "wrong",     "wrong_answer",     "wrong_answers",
    "incorrect", "corrupted_answer", NULL};
static const char *const right_ids[] = {"correct_idx", "clean_answer_idx",
                                        "answers_idx", "answer_idx",
                                        "country_idx", NULL};
static const char *const wrong_ids[] = {
    "incorrect_idx", "corrupted_answer_idx",  "corrupted_answers_idx",
    "corrupted_idx", "corrupted_country_idx", NULL};

struct table {
    struct reader *r;
    struct csv csv;
    char **names; /* of the header, owned */
    size_t n;
    const char *corrupted_name;
    bool ids_of_file;
    bool drop_unfit;
    bool unfit; /* what failed is an answer that is no single token */
    int clean;
    int corrupted;
    int right;
    int wrong;
    int label;    /* the end of a year */
    bool has_ids; /* answer ids that are not taken */
    int64_t ends[N_ENDS];
};

/* "line 7, corrupted: .." */
static bool fail_at(const struct table *t, int column, struct ew_err *err,
                    const char *why)
{
    char *path = column == NONE ? ew_xasprintf("line %zu", t->csv.line)
                                : ew_xasprintf("line %zu, %s", t->csv.line,
                                               t->names[column]);
    reader_fail(t->r, err, path, "%s", why);
    free(path);
    return false;
}

static int find_column(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->names[i], name) == 0) {
            return (int)i;
        }
    }
    return NONE;
}

static int find_any(const struct table *t, const char *const *names)
{
    int column = NONE;
    for (size_t i = 0; names[i] && column == NONE; i++) {
        column = find_column(t, names[i]);
    }
    return column;
}

/* A column that must be there; the message lists those that are. */
static bool need_column(const struct table *t, const char *name, int *column,
                        struct ew_err *err)
{
    *column = find_column(t, name);
    if (*column != NONE) {
        return true;
    }
    struct ew_buf names = {0};
    for (size_t i = 0; i < t->n; i++) {
        ew_buf_printf(&names, "%s\"%s\"", i ? ", " : "", t->names[i]);
    }
    ew_fail(err, EW_ERR_INPUT,
            "%s: line %zu: no column \"%.60s\"; there are %s", t->r->file,
            t->csv.line, name, ew_buf_str(&names));
    ew_buf_finish(&names);
    return false;
}

/* ---- options and header ---- */

static bool choose_answers(struct table *t, const char *right,
                           const char *wrong, struct ew_err *err)
{
    t->label = find_column(t, "label");
    t->right = find_any(t, t->ids_of_file ? right_ids : right_texts);
    t->wrong = find_any(t, t->ids_of_file ? wrong_ids : wrong_texts);
    int ids = find_any(t, right_ids);
    t->has_ids = ids != NONE;
    if (t->label == NONE && find_any(t, wrong_ids) == NONE) {
        t->label = ids; /* another name that EAP-IG has for it */
    }
    if (t->ids_of_file && ids == NONE && !right) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: line %zu: ids=file: no column of answer ids, such "
                       "as \"correct_idx\"",
                       t->r->file, t->csv.line);
    }
    return (!right || need_column(t, right, &t->right, err)) &&
           (!wrong || need_column(t, wrong, &t->wrong, err));
}

static bool read_header(struct table *t, struct spec *spec, struct ew_err *err)
{
    static const char *const ids[] = {"text", "file", NULL};
    static const char *const unfit[] = {"refuse", "drop", NULL};
    int of_file = 0;
    int drop = 0;
    const char *right = spec_get(spec, "answer");
    const char *wrong = spec_get(spec, "wrong");
    if (!spec_choice(spec, "ids", ids, &of_file, err) ||
        !spec_choice(spec, "unfit", unfit, &drop, err) ||
        !spec_bool(spec, "bos", &t->r->bos, err) || !spec_done(spec, err)) {
        return false;
    }
    bool ok;
    if (!csv_next(&t->csv, &ok, err)) {
        return ok ? ew_fail(err, EW_ERR_INPUT, "%s: line 1: no header",
                            t->r->file)
                  : ew_fail_prefix(err, "%s", t->r->file);
    }
    t->names = t->csv.fields; /* moved */
    t->n = t->csv.n;
    t->csv.fields = NULL;
    t->csv.n = t->csv.cap = 0;
    t->ids_of_file = of_file == 1;
    t->drop_unfit = drop == 1;
    t->corrupted_name = t->r->corrupted ? t->r->corrupted : "corrupted";
    return need_column(t, "clean", &t->clean, err) &&
           need_column(t, t->corrupted_name, &t->corrupted, err) &&
           choose_answers(t, right, wrong, err);
}

/* ---- answers ---- */

/* "27" or "[27, 13]". */
static bool read_ids(struct table *t, int column, struct list *out,
                     struct ew_err *err)
{
    const char *at = t->csv.fields[column];
    static const char between[] = "[](), ";
    for (at += strspn(at, between); *at; at += strspn(at, between)) {
        char *end;
        long long id = strtoll(at, &end, 10);
        if (end == at || id < 0) {
            return fail_at(t, column, err,
                           "expected a token id, or several in brackets");
        }
        list_push(out, id);
        at = end;
    }
    return out->n > 0 || fail_at(t, column, err, "expected a token id");
}

/* An answer that this model cannot give; unfit=drop leaves the line out. */
static bool not_single(struct table *t, int column, struct ew_err *err,
                       const char *word, size_t len)
{
    char why[160];
    snprintf(why, sizeof(why),
             "\"%.*s\" is not a single token of this model; unfit=drop leaves "
             "such lines out",
             (int)(len < 80 ? len : 80), word);
    t->unfit = true;
    return fail_at(t, column, err, why);
}

/* A word goes on after a blank: "Mary" is " Mary" where that is a token. */
static bool read_word(struct table *t, int column, struct list *out,
                      struct ew_err *err)
{
    const char *prompt = t->csv.fields[t->clean];
    const char *word = t->csv.fields[column];
    int64_t id = -1;
    bool spaced = word[0] == ' ' || (word[0] >= '0' && word[0] <= '9');
    if (!spaced && word[0] && prompt[strlen(prompt) - 1] != ' ') {
        char *with = ew_xasprintf(" %s", word);
        id = text_answer(t->r->env, prompt, with);
        free(with);
    }
    if (id < 0) {
        id = text_answer(t->r->env, prompt, word);
    }
    if (id < 0) {
        return not_single(t, column, err, word, strlen(word));
    }
    list_push(out, id);
    return true;
}

/* The position of a word of the clean prompt; -1: it does not end a token. */
static int64_t place(const struct table *t, size_t end)
{
    const struct draft *d = t->r->draft;
    return text_position(t->r->env, t->csv.fields[t->clean], end, t->r->bos,
                         &d->prompts[d->n - 1].clean);
}

static bool read_year(const struct table *t, struct draft_prompt *p,
                      struct ew_err *err)
{
    const char *label = t->csv.fields[t->label];
    int yy;
    size_t xx_end;
    size_t yy_end;
    char *end;
    long said = strtol(label, &end, 10);
    if (!derive_year(t->csv.fields[t->clean], &yy, &xx_end, &yy_end)) {
        return fail_at(t, t->label, err,
                       "read as the end of a year, and the clean prompt has "
                       "no year whose century it ends with; answer= and "
                       "wrong= name columns of text");
    }
    if (end == label || *end || said != yy) {
        char why[128];
        snprintf(why, sizeof(why),
                 "\"%.20s\": the clean prompt's year ends with %02d", label,
                 yy);
        return fail_at(t, t->label, err, why);
    }
    greater_answers(p, t->ends, yy);
    if (p->right.n == 0 || p->wrong.n == 0) {
        return fail_at(t, t->label, err,
                       "no two-digit ends on both sides of the year are "
                       "single tokens of this model");
    }
    int64_t xx = place(t, xx_end);
    draft_role(t->r->draft, "XX1", xx);
    draft_role(t->r->draft, "YY", xx < 0 ? -1 : place(t, yy_end));
    return true;
}

static int64_t token_of(const struct table *t, struct derived_word w)
{
    char *word =
        ew_xasprintf(" %.*s", (int)w.len, t->csv.fields[t->clean] + w.start);
    int64_t id = text_answer(t->r->env, NULL, word);
    free(word);
    return id;
}

static bool read_ioi(struct table *t, struct draft_prompt *p,
                     struct ew_err *err)
{
    struct derived_ioi names;
    if (!derive_ioi(t->csv.fields[t->clean], &names)) {
        return fail_at(t, NONE, err,
                       "the answers cannot be told from the text; answer= and "
                       "wrong= name columns of text, ids=file takes the "
                       "file's ids as this model's");
    }
    int64_t io = token_of(t, names.io);
    int64_t s = token_of(t, names.s1);
    if (io < 0 || s < 0) {
        struct derived_word w = io < 0 ? names.io : names.s1;
        return not_single(t, t->clean, err, t->csv.fields[t->clean] + w.start,
                          w.len);
    }
    list_push(&p->right, io);
    list_push(&p->wrong, s);
    int64_t s1 = place(t, names.s1.start + names.s1.len);
    draft_role(t->r->draft, "IO", place(t, names.io.start + names.io.len));
    draft_role(t->r->draft, "S1", s1);
    draft_role(t->r->draft, "S1+1", s1 < 0 ? -1 : s1 + 1);
    draft_role(t->r->draft, "S2", place(t, names.s2.start + names.s2.len));
    return true;
}

static bool read_answers(struct table *t, struct draft_prompt *p,
                         struct ew_err *err)
{
    bool (*read)(struct table *, int, struct list *, struct ew_err *) =
        t->ids_of_file ? read_ids : read_word;
    if (t->right != NONE || t->wrong != NONE) {
        return (t->right == NONE || read(t, t->right, &p->right, err)) &&
               (t->wrong == NONE || read(t, t->wrong, &p->wrong, err));
    }
    if (t->label != NONE) {
        return read_year(t, p, err);
    }
    return !t->has_ids || read_ioi(t, p, err);
}

/* ---- lines ---- */

static bool read_text(const struct table *t, int column, struct list *out,
                      struct ew_err *err)
{
    struct ew_err why;
    const char *text = t->csv.fields[column];
    if (!*text) {
        return fail_at(t, column, err, "is empty");
    }
    return text_encode(t->r->env, text, t->r->bos, out, &why) ||
           fail_at(t, column, err, why.message);
}

static bool read_line(struct table *t, struct ew_err *err)
{
    char why[160];
    if (t->csv.n != t->n) {
        snprintf(why, sizeof(why), "%zu fields, the header has %zu", t->csv.n,
                 t->n);
        return fail_at(t, NONE, err, why);
    }
    struct draft *draft = t->r->draft;
    struct draft_prompt *p = draft_add(draft);
    if (!read_text(t, t->clean, &p->clean, err) ||
        !read_text(t, t->corrupted, &p->corrupt, err)) {
        return false;
    }
    if (p->clean.n != p->corrupt.n && t->drop_unfit) {
        draft_drop(draft, "pairs of unequal length");
        return true;
    }
    if (p->clean.n != p->corrupt.n) {
        struct ew_buf unequal = {0};
        text_show_unequal(&unequal, t->r->env, &p->clean, &p->corrupt);
        ew_buf_add(&unequal, "; unfit=drop leaves such pairs out");
        fail_at(t, t->corrupted, err, ew_buf_str(&unequal));
        ew_buf_finish(&unequal);
        return false;
    }
    t->unfit = false;
    if (!read_answers(t, p, err)) {
        if (t->unfit && t->drop_unfit) {
            draft_drop(draft, "answers that are not single tokens");
            return true;
        }
        return false;
    }
    int64_t last = (int64_t)p->clean.n - 1;
    list_push(&p->scored, last);
    draft_role(draft, "END", last);
    return true;
}

static bool read_lines(struct table *t, int64_t most, struct ew_err *err)
{
    bool ok = true;
    while ((most < 0 || (int64_t)t->r->draft->n < most) &&
           csv_next(&t->csv, &ok, err)) {
        if (!read_line(t, err)) {
            return false;
        }
    }
    if (!ok) {
        return ew_fail_prefix(err, "%s", t->r->file);
    }
    return t->r->draft->n > 0 ||
           ew_fail(err, EW_ERR_INPUT, "%s: no prompts%s%s", t->r->file,
                   t->r->draft->dropped ? ": all are " : " behind the header",
                   ew_buf_str(&t->r->draft->dropped_why));
}

bool read_csv(struct reader *r, struct spec *spec, const struct ew_buf *text,
              int64_t most, struct ew_err *err)
{
    struct table t = {.r = r};
    csv_init(&t.csv, text);
    bool ok = read_header(&t, spec, err);
    if (ok) {
        r->draft->bos_id = text_bos(r->env);
        ew_buf_add(&r->draft->corruption, t.corrupted_name);
        greater_ends(r->env, t.ends);
        ok = read_lines(&t, most, err);
    }
    for (size_t i = 0; i < t.n; i++) {
        free(t.names[i]);
    }
    free(t.names);
    csv_finish(&t.csv);
    return ok;
}
