/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and running pipelines of steps, and what the tables share. */
#include "steps.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/json.h"
#include "edgewise/mem.h"

static const struct {
    const struct step_kind *kinds;
    const char *what;
    const char *members; /* the key of a Sequence's list */
} roles[] = {
    [STEP_NORMALIZER] = {normalizer_kinds, "normalizer", "normalizers"},
    [STEP_PRE_TOKENIZER] = {pre_tokenizer_kinds, "pre-tokenizer",
                            "pretokenizers"},
    [STEP_DECODER] = {decoder_kinds, "decoder", "decoders"},
};

bool field_fail(const struct field *at, struct ew_err *err, const char *fmt,
                ...)
{
    struct ew_err inner;
    va_list args;
    va_start(args, fmt);
    ew_vfail(&inner, EW_ERR_INPUT, fmt, args);
    va_end(args);
    return ew_fail(err, EW_ERR_INPUT, "%s: %s%s", at->file, at->path,
                   inner.message);
}

bool load_text(struct ew_buf *out, const json_t *json, const char *key,
               const char *fallback, const struct field *at, struct ew_err *err)
{
    const json_t *value = json_object_get(json, key);
    if (json_is_string(value)) {
        ew_buf_add_n(out, json_string_value(value), json_string_length(value));
        return true;
    }
    if (fallback && (!value || json_is_null(value))) {
        ew_buf_add(out, fallback);
        return true;
    }
    return field_fail(at, err, ".%s: expected a string, found %s", key,
                      ew_json_kind(value));
}

bool load_flag(bool *out, const json_t *json, const char *key, bool fallback,
               const struct field *at, struct ew_err *err)
{
    const json_t *value = json_object_get(json, key);
    *out = fallback;
    if (value && !json_is_null(value)) {
        if (!json_is_boolean(value)) {
            return field_fail(at, err, ".%s: expected true or false, found %s",
                              key, ew_json_kind(value));
        }
        *out = json_is_true(value);
    }
    return true;
}

bool load_pattern(struct step *step, const json_t *json, const struct field *at,
                  struct ew_err *err)
{
    const json_t *pattern = json_object_get(json, "pattern");
    const json_t *literal = json_object_get(pattern, "String");
    const json_t *regex = json_object_get(pattern, "Regex");
    if (json_is_string(pattern)) {
        literal = pattern;
    }
    if (json_is_string(literal) && json_string_length(literal) > 0) {
        ew_buf_add_n(&step->pattern, json_string_value(literal),
                     json_string_length(literal));
        return true;
    }
    if (json_is_string(regex)) {
        char *name = ew_xasprintf("%s: %s.pattern", at->file, at->path);
        step->regex = regex_compile(json_string_value(regex),
                                    json_string_length(regex), name, err);
        free(name);
        return step->regex != NULL;
    }
    return field_fail(at, err,
                      ".pattern: expected {\"String\": ..} or "
                      "{\"Regex\": ..}");
}

struct step *steps_append(struct steps *steps, step_fn apply)
{
    steps->list =
        ew_grow(steps->list, steps->n, &steps->cap, sizeof(*steps->list));
    steps->list[steps->n] = (struct step){.apply = apply};
    return &steps->list[steps->n++];
}

static const struct step_kind *find_kind(enum step_role role, const char *type)
{
    for (const struct step_kind *k = roles[role].kinds; k->type; k++) {
        if (strcmp(k->type, type) == 0) {
            return k;
        }
    }
    return NULL;
}

void steps_push(struct steps *steps, enum step_role role, const char *type)
{
    steps_append(steps, find_kind(role, type)->apply);
}

/* Nesting deeper than this is no tokenizer's. */
enum { MAX_DEPTH = 16 };

static bool load_at(struct steps *steps, enum step_role role,
                    const json_t *json, const struct field *at, int depth,
                    struct ew_err *err);

static bool load_sequence(struct steps *steps, enum step_role role,
                          const json_t *json, const struct field *at, int depth,
                          struct ew_err *err)
{
    const json_t *members = json_object_get(json, roles[role].members);
    if (!json_is_array(members) || depth > MAX_DEPTH) {
        return field_fail(at, err, ".%s: expected an array, found %s",
                          roles[role].members, ew_json_kind(members));
    }
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(members); i++) {
        char *path =
            ew_xasprintf("%s.%s[%zu]", at->path, roles[role].members, i);
        struct field inner = {.file = at->file, .path = path};
        ok = load_at(steps, role, json_array_get(members, i), &inner, depth + 1,
                     err);
        free(path);
    }
    return ok;
}

static bool load_at(struct steps *steps, enum step_role role,
                    const json_t *json, const struct field *at, int depth,
                    struct ew_err *err)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!type) {
        return field_fail(at, err, ": expected an object with a \"type\"");
    }
    if (strcmp(type, "Sequence") == 0) {
        return load_sequence(steps, role, json, at, depth, err);
    }
    const struct step_kind *kind = find_kind(role, type);
    if (!kind) {
        return field_fail(at, err, ": the %s \"%s\" is not supported",
                          roles[role].what, type);
    }
    struct step *step = steps_append(steps, kind->apply);
    return !kind->load || kind->load(step, json, at, err);
}

bool steps_load(struct steps *steps, enum step_role role, const json_t *json,
                const char *file, const char *path, struct ew_err *err)
{
    if (!json || json_is_null(json)) {
        return true;
    }
    struct field at = {.file = file, .path = path};
    return load_at(steps, role, json, &at, 0, err);
}

void steps_finish(struct steps *steps)
{
    for (size_t i = 0; i < steps->n; i++) {
        regex_destroy(steps->list[i].regex);
        ew_buf_finish(&steps->list[i].pattern);
        ew_buf_finish(&steps->list[i].content);
    }
    free(steps->list);
    *steps = (struct steps){0};
}

bool steps_run(const struct steps *steps, struct pieces *p, struct ew_err *err)
{
    struct pieces next = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < steps->n; i++) {
        pieces_clear(&next);
        next.at_start = p->at_start;
        ok = steps->list[i].apply(&steps->list[i], p, &next, err);
        struct pieces held = *p;
        *p = next;
        next = held;
    }
    pieces_finish(&next);
    return ok;
}

bool load_replace(struct step *step, const json_t *json, const struct field *at,
                  struct ew_err *err)
{
    return load_pattern(step, json, at, err) &&
           load_text(&step->content, json, "content", NULL, at, err);
}

bool step_next(const struct step *step, struct regex_match *match,
               struct span text, size_t from, size_t *start, size_t *end,
               struct ew_err *err)
{
    if (step->regex) {
        return regex_next(step->regex, match, text.ptr, text.len, from, start,
                          end, err);
    }
    const char *hit = memmem(text.ptr + from, text.len - from,
                             step->pattern.data, step->pattern.len);
    if (!hit) {
        return false;
    }
    *start = (size_t)(hit - text.ptr);
    *end = *start + step->pattern.len;
    return true;
}

static bool replace_one(const struct step *step, struct regex_match *match,
                        struct span piece, struct ew_buf *out,
                        struct ew_err *err)
{
    struct ew_err why = {0};
    size_t from = 0;
    size_t start;
    size_t end;
    while (from < piece.len &&
           step_next(step, match, piece, from, &start, &end, &why)) {
        ew_buf_add_n(out, piece.ptr + from, start - from);
        ew_buf_add_n(out, ew_buf_str(&step->content), step->content.len);
        from = end;
    }
    ew_buf_add_n(out, piece.ptr + from, piece.len - from);
    return why.code == EW_OK || ew_fail(err, why.code, "%s", why.message);
}

bool apply_replace(const struct step *step, const struct pieces *in,
                   struct pieces *out, struct ew_err *err)
{
    bool ok = true;
    struct regex_match *match =
        step->regex ? regex_match_create(step->regex) : NULL;
    for (size_t i = 0; ok && i < in->n; i++) {
        ok = replace_one(step, match, pieces_at(in, i), &out->text, err);
        pieces_end(out);
    }
    regex_match_destroy(match);
    return ok;
}
