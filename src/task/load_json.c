/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two JSON layouts. "prompts" is a list of pairs, text or ids, as
 * AutoCircuit has it and we write it; "clean" beside "corrupted" are rows of
 * ids. A prompt's own answer_position, positions and roles come before those
 * of the whole file.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/json.h"
#include "edgewise/mem.h"

#include "files.h"
#include "text.h"

static const json_t *either(const json_t *object, const char *key,
                            const char *other)
{
    const json_t *value = json_object_get(object, key);
    return value ? value : json_object_get(object, other);
}

/* The field that corrupted= names, or one of the usual two. */
static const json_t *corrupted_of(const struct reader *r, const json_t *object)
{
    return r->corrupted ? json_object_get(object, r->corrupted)
                        : either(object, "corrupt", "corrupted");
}

/* What a prompt says, or else the whole file. */
static const json_t *own_or(const json_t *prompt, const json_t *root,
                            const char *key)
{
    const json_t *own = json_object_get(prompt, key);
    return own ? own : json_object_get(root, key);
}

static bool read_answer(const struct reader *r, const json_t *value,
                        const char *prompt, const char *path, struct list *out,
                        struct ew_err *err)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        list_push(out, json_integer_value(value));
        return true;
    }
    if (!json_is_string(value)) {
        return reader_fail(r, err, path,
                           "expected a text or a token id, found %s",
                           ew_json_kind(value));
    }
    if (!r->env->tok) {
        return reader_fail(r, err, path,
                           "text needs a tokenizer, and the model has none");
    }
    int64_t id = text_answer(r->env, prompt, json_string_value(value));
    if (id < 0) {
        struct ew_buf pieces = {0};
        text_show_answer(&pieces, r->env, prompt, json_string_value(value));
        reader_fail(r, err, path,
                    "\"%.80s\" is not a single token of this model%s%s",
                    json_string_value(value), pieces.len ? ": " : "",
                    ew_buf_str(&pieces));
        ew_buf_finish(&pieces);
        return false;
    }
    list_push(out, id);
    return true;
}

/* One answer or several. */
static bool read_answers(const struct reader *r, const json_t *value,
                         const char *prompt, const char *path, struct list *out,
                         struct ew_err *err)
{
    if (!value || json_is_null(value)) {
        return true;
    }
    if (!json_is_array(value)) {
        return read_answer(r, value, prompt, path, out, err);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        char *inner = ew_xasprintf("%s[%zu]", path, i);
        bool ok =
            read_answer(r, json_array_get(value, i), prompt, inner, out, err);
        free(inner);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* The position where the answer is read off, and the scored ones. */
static bool read_places(const struct reader *r, struct draft_prompt *p,
                        const json_t *answer, const json_t *scored,
                        const char *path, struct ew_err *err)
{
    struct list at = {0};
    size_t n = p->clean.n;
    bool ok = true;
    if (answer && !json_is_null(answer)) {
        char *where = ew_xasprintf("%sanswer_position", path);
        ok = read_positions(r, answer, where, n, &at, err);
        if (ok && at.n != 1) {
            ok = reader_fail(r, err, where, "expected one position");
        }
        free(where);
    }
    if (ok) {
        p->answer_position = at.n ? at.at[0] : (int64_t)n - 1;
    }
    if (ok && scored && !json_is_null(scored)) {
        char *where = ew_xasprintf("%spositions", path);
        ok = read_positions(r, scored, where, n, &p->scored, err);
        free(where);
    } else if (ok) {
        list_push(&p->scored, p->answer_position);
    }
    list_finish(&at);
    return ok;
}

/* One role of one prompt; null, or nothing, is absent. */
static bool read_role(const struct reader *r, const char *name,
                      const json_t *value, size_t length, int64_t shift,
                      const char *where, struct ew_err *err)
{
    struct list at = {0};
    bool ok = true;
    if (value && !json_is_null(value)) {
        ok =
            read_positions(r, value, where, length - (size_t)shift, &at, err) &&
            (at.n == 1 || reader_fail(r, err, where, "expected one position"));
    }
    if (ok) {
        draft_role(r->draft, name, at.n ? at.at[0] + shift : -1);
    }
    list_finish(&at);
    return ok;
}

/*
 * {"IO": 4, ..}; `shift` is for positions that do not count BOS. A list has
 * one position per prompt.
 */
static bool read_roles(const struct reader *r, const json_t *roles,
                       size_t prompt, size_t length, int64_t shift,
                       const char *path, struct ew_err *err)
{
    const char *name;
    json_t *value;
    if (roles && !json_is_null(roles) && !json_is_object(roles)) {
        return reader_fail(r, err, path, "expected an object, found %s",
                           ew_json_kind(roles));
    }
    json_object_foreach((json_t *)roles, name, value)
    {
        bool list = json_is_array(value);
        char *where = list ? ew_xasprintf("%s.%s[%zu]", path, name, prompt)
                           : ew_xasprintf("%s.%s", path, name);
        bool ok = list && prompt >= json_array_size(value)
                      ? reader_fail(r, err, where,
                                    "missing: the list has %zu positions",
                                    json_array_size(value))
                      : read_role(r, name,
                                  list ? json_array_get(value, prompt) : value,
                                  length, shift, where, err);
        free(where);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool check_pair(const struct reader *r, const struct draft_prompt *p,
                       const char *path, struct ew_err *err)
{
    if (p->clean.n == 0) {
        return reader_fail(r, err, path, "clean is empty");
    }
    if (p->clean.n != p->corrupt.n) {
        struct ew_buf why = {0};
        text_show_unequal(&why, r->env, &p->clean, &p->corrupt);
        reader_fail(r, err, path, "%s", ew_buf_str(&why));
        ew_buf_finish(&why);
        return false;
    }
    return true;
}

static bool read_pair(const struct reader *r, const json_t *prompt,
                      struct draft_prompt *p, const char *path,
                      struct ew_err *err)
{
    char *clean = ew_xasprintf("%s.clean", path);
    char *corrupt = ew_xasprintf("%s.%s", path,
                                 r->corrupted ? r->corrupted : "corrupt");
    char *right = ew_xasprintf("%s.answers", path);
    char *wrong = ew_xasprintf("%s.wrong_answers", path);
    const json_t *text = json_object_get(prompt, "clean");
    bool ok = read_tokens(r, text, clean, &p->clean, err) &&
              read_tokens(r, corrupted_of(r, prompt), corrupt, &p->corrupt,
                          err) &&
              check_pair(r, p, path, err) &&
              read_answers(r, either(prompt, "answers", "answer"),
                           json_string_value(text), right, &p->right, err) &&
              read_answers(r, either(prompt, "wrong_answers", "wrong_answer"),
                           json_string_value(text), wrong, &p->wrong, err);
    free(clean);
    free(corrupt);
    free(right);
    free(wrong);
    return ok;
}

static bool read_prompt(struct reader *r, const json_t *root, size_t i,
                        const json_t *prompt, struct ew_err *err)
{
    struct draft_prompt *p = draft_add(r->draft);
    char path[48];
    char dotted[64];
    char roles[64];
    snprintf(path, sizeof(path), "prompts[%zu]", i);
    snprintf(dotted, sizeof(dotted), "%s.", path);
    snprintf(roles, sizeof(roles), "%s.roles", path);
    if (!json_is_object(prompt)) {
        return reader_fail(r, err, path, "expected an object, found %s",
                           ew_json_kind(prompt));
    }
    if (!read_pair(r, prompt, p, path, err) ||
        !read_places(r, p, own_or(prompt, root, "answer_position"),
                     own_or(prompt, root, "positions"), dotted, err)) {
        return false;
    }
    /* AutoCircuit's word_idxs count without the BOS it prepends */
    int64_t shift = r->bos && json_is_string(json_object_get(prompt, "clean"));
    size_t n = p->clean.n;
    return read_roles(r, json_object_get(root, "word_idxs"), i, n, shift,
                      "word_idxs", err) &&
           read_roles(r, json_object_get(root, "roles"), i, n, 0, "roles",
                      err) &&
           read_roles(r, json_object_get(prompt, "roles"), 0, n, 0, roles, err);
}

static bool read_choice(struct reader *r, const json_t *root, size_t i,
                        const json_t *prompt, struct ew_err *err)
{
    char path[48];
    snprintf(path, sizeof(path), "prompts[%zu]", i);
    json_t *pair = choice_pair(r, prompt, path, err);
    struct reader plain = *r; /* the pair has the usual names */
    plain.corrupted = NULL;
    bool ok = pair && read_prompt(&plain, root, i, pair, err);
    json_decref(pair);
    return ok;
}

bool read_prompts(struct reader *r, const json_t *root, struct ew_err *err)
{
    const json_t *prompts = json_object_get(root, "prompts");
    if (!json_is_array(prompts) || json_array_size(prompts) == 0) {
        return reader_fail(
            r, err, "prompts", "expected a list of prompts, found %s",
            json_is_array(prompts) ? "an empty one" : ew_json_kind(prompts));
    }
    for (size_t i = 0; i < json_array_size(prompts); i++) {
        const json_t *prompt = json_array_get(prompts, i);
        bool ok = is_choice(prompt)
                      ? read_choice(r, root, i, prompt, err)
                      : read_prompt(r, root, i, prompt, err);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* ---- rows ---- */

/* The value of row i: one for all rows, or one each. */
static const json_t *of_row(const json_t *value, size_t i)
{
    return json_is_array(value) ? json_array_get(value, i) : value;
}

static bool read_row(struct reader *r, const json_t *root, size_t i,
                     struct ew_err *err)
{
    char clean[48];
    char corrupt[48];
    char right[48];
    char wrong[48];
    snprintf(clean, sizeof(clean), "clean[%zu]", i);
    snprintf(corrupt, sizeof(corrupt), "corrupted[%zu]", i);
    snprintf(right, sizeof(right), "answer_ids[%zu]", i);
    snprintf(wrong, sizeof(wrong), "wrong_ids[%zu]", i);
    struct draft_prompt *p = draft_add(r->draft);
    const json_t *corrupted = corrupted_of(r, root);
    const json_t *positions = either(root, "kl_mask_positions", "positions");
    return read_tokens(r, json_array_get(json_object_get(root, "clean"), i),
                       clean, &p->clean, err) &&
           read_tokens(r, json_array_get(corrupted, i), corrupt, &p->corrupt,
                       err) &&
           check_pair(r, p, clean, err) &&
           read_answers(r, of_row(json_object_get(root, "answer_ids"), i), NULL,
                        right, &p->right, err) &&
           read_answers(r, of_row(json_object_get(root, "wrong_ids"), i), NULL,
                        wrong, &p->wrong, err) &&
           read_places(r, p,
                       of_row(json_object_get(root, "answer_position"), i),
                       positions, "", err);
}

bool read_rows(struct reader *r, const json_t *root, struct ew_err *err)
{
    const json_t *clean = json_object_get(root, "clean");
    const json_t *corrupted = corrupted_of(r, root);
    if (!json_is_array(clean) || !json_is_array(corrupted)) {
        return reader_fail(r, err, json_is_array(clean) ? "corrupted" : "clean",
                           "expected a list of prompts");
    }
    size_t n = json_array_size(clean);
    if (n == 0 || n != json_array_size(corrupted)) {
        return reader_fail(r, err, "corrupted",
                           "expected as many prompts as clean has: %zu, found "
                           "%zu",
                           n, json_array_size(corrupted));
    }
    for (size_t i = 0; i < n; i++) {
        if (!read_row(r, root, i, err)) {
            return false;
        }
    }
    return true;
}
