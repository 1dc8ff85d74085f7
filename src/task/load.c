/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task files: which layout a file has, its options ("file:metric=kl"), and
 * the values that the layouts share. Every message names the file and the
 * field.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "edgewise/file.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "files.h"
#include "text.h"

bool reader_fail(const struct reader *r, struct ew_err *err, const char *path,
                 const char *fmt, ...)
{
    struct ew_err inner;
    va_list args;
    va_start(args, fmt);
    ew_vfail(&inner, EW_ERR_INPUT, fmt, args);
    va_end(args);
    return ew_fail(err, EW_ERR_INPUT, "%s: %s: %s", r->file, path,
                   inner.message);
}

bool read_tokens(const struct reader *r, const json_t *value, const char *path,
                 struct list *out, struct ew_err *err)
{
    struct ew_err why;
    if (json_is_string(value)) {
        if (strlen(json_string_value(value)) != json_string_length(value)) {
            return reader_fail(r, err, path, "the text has a NUL in it");
        }
        return text_encode(r->env, json_string_value(value), r->bos, out,
                           &why) ||
               reader_fail(r, err, path, "%s", why.message);
    }
    if (!json_is_array(value)) {
        return reader_fail(r, err, path,
                           "expected a text or token ids, found %s",
                           value ? ew_json_kind(value) : "nothing");
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *id = json_array_get(value, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0) {
            return reader_fail(r, err, path, "[%zu]: expected a token id", i);
        }
        list_push(out, json_integer_value(id));
    }
    return true;
}

static bool push_position(const struct reader *r, const json_t *value,
                          const char *path, size_t length, struct list *out,
                          struct ew_err *err)
{
    if (!json_is_integer(value)) {
        return reader_fail(r, err, path,
                           "expected a position or \"last\", found %s",
                           ew_json_kind(value));
    }
    int64_t given = json_integer_value(value);
    int64_t n = (int64_t)length;
    if (given < -n || given >= n) {
        return reader_fail(r, err, path,
                           "position %lld is outside the prompt's %lld tokens",
                           (long long)given, (long long)n);
    }
    list_push(out, given < 0 ? given + n : given);
    return true;
}

bool read_positions(const struct reader *r, const json_t *value,
                    const char *path, size_t length, struct list *out,
                    struct ew_err *err)
{
    const char *word = json_string_value(value);
    if (word && strcmp(word, "last") == 0) {
        list_push(out, (int64_t)length - 1);
        return true;
    }
    if (word && strcmp(word, "all") == 0) {
        for (size_t i = 0; i < length; i++) {
            list_push(out, (int64_t)i);
        }
        return true;
    }
    if (!json_is_array(value)) {
        return push_position(r, value, path, length, out, err);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        char *inner = ew_xasprintf("%s[%zu]", path, i);
        bool ok =
            push_position(r, json_array_get(value, i), inner, length, out, err);
        free(inner);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* "bos": what to do with texts, and what the badge says of token ids. */
static bool read_bos(struct reader *r, const json_t *value, struct ew_err *err)
{
    const char *badge = json_string_value(value);
    r->draft->bos_id = text_bos(r->env);
    if (json_is_boolean(value)) {
        r->bos = json_is_true(value);
    } else if (json_is_integer(value)) {
        r->draft->bos_id = json_integer_value(value);
    } else if (badge) {
        r->bos = strcmp(badge, "no BOS") != 0;
        ew_buf_add(&r->draft->bos, badge);
    } else if (value && !json_is_null(value)) {
        return reader_fail(r, err, "bos", "expected true or false, found %s",
                           ew_json_kind(value));
    }
    return true;
}

static bool read_metric(struct reader *r, const json_t *root,
                        struct ew_err *err)
{
    const char *name = NULL;
    if (!ew_json_str(root, r->file, "metric", &name, err)) {
        return false;
    }
    if (!name) {
        return true;
    }
    struct ew_err why;
    r->draft->metric_set = true;
    return ew_metric_parse(name, &r->draft->metric, &why) ||
           ew_fail(err, EW_ERR_INPUT, "%s: %s", r->file, why.message);
}

/* What a task written by ew_task_to_json() says of its making. */
static bool read_story(struct reader *r, const json_t *root, char **name,
                       struct ew_err *err)
{
    const char *text = NULL;
    const char *corruption = NULL;
    const char *why = NULL;
    int64_t dropped = 0;
    if (!ew_json_str(root, r->file, "name", &text, err) ||
        !ew_json_str(root, r->file, "corruption", &corruption, err) ||
        !ew_json_int(root, r->file, "dropped", &dropped, err) ||
        !ew_json_str(root, r->file, "dropped_why", &why, err)) {
        return false;
    }
    if (text) {
        free(*name);
        *name = ew_xstrdup(text);
    }
    ew_buf_add(&r->draft->corruption, corruption ? corruption : "");
    ew_buf_add(&r->draft->dropped_why, why ? why : "");
    r->draft->dropped = dropped > 0 ? (size_t)dropped : 0;
    return true;
}

static bool read_root(struct reader *r, const json_t *root, char **name,
                      struct ew_err *err)
{
    if (!json_is_object(root)) {
        return ew_fail(err, EW_ERR_INPUT, "%s: expected an object, found %s",
                       r->file, ew_json_kind(root));
    }
    if (!read_bos(r, json_object_get(root, "bos"), err) ||
        !read_metric(r, root, err) || !read_story(r, root, name, err)) {
        return false;
    }
    if (json_object_get(root, "prompts")) {
        return read_prompts(r, root, err);
    }
    if (json_object_get(root, "clean")) {
        return read_rows(r, root, err);
    }
    return ew_fail(err, EW_ERR_INPUT,
                   "%s: prompts: missing (nor is there \"clean\" with "
                   "\"corrupted\")",
                   r->file);
}

/* The task itself in place of a path to it, as ew_task_typed() makes it. */
static bool is_inline(const char *path)
{
    return path[0] == '{';
}

/* One object a line: the prompts of a task that says nothing else. */
static json_t *parse_lines(const struct reader *r, const struct ew_buf *text,
                           struct ew_err *err)
{
    json_t *prompts = json_array();
    const char *at = ew_buf_str(text);
    for (size_t line = 1; *at; line++) {
        size_t len = strcspn(at, "\n");
        if (strspn(at, " \t\r") < len) {
            char *name = ew_xasprintf("%s: line %zu", r->file, line);
            json_t *prompt = ew_json_parse(at, len, name, err);
            free(name);
            if (!prompt) {
                json_decref(prompts);
                return NULL;
            }
            json_array_append_new(prompts, prompt);
        }
        at += len;
        at += *at == '\n';
    }
    return json_pack("{s:o}", "prompts", prompts);
}

static bool read_json(struct reader *r, struct spec *spec,
                      const struct ew_buf *text, char **name,
                      struct ew_err *err)
{
    if (!spec_done(spec, err)) {
        return false;
    }
    json_t *root = strcasecmp(ew_path_ext(r->file), "jsonl") == 0
                       ? parse_lines(r, text, err)
                       : ew_json_parse(ew_buf_str(text), text->len, r->file,
                                       err);
    if (json_is_array(root)) {
        root = json_pack("{s:o}", "prompts", root);
    }
    bool ok = root && read_root(r, root, name, err);
    json_decref(root);
    return ok;
}

/* By the name; what comes without one, by its first character. */
static bool is_csv(const struct reader *r, const struct spec *spec,
                   const struct ew_buf *text)
{
    const char *start = ew_buf_str(text);
    if (strcmp(spec->name, "-") != 0) {
        return strcasecmp(ew_path_ext(r->file), "csv") == 0;
    }
    start += strspn(start, " \t\r\n");
    return *start != '{' && *start != '[';
}

static bool read_file(struct reader *r, struct spec *spec, int64_t most,
                      char **name, struct ew_err *err)
{
    struct ew_buf text = {0};
    bool ok = true;
    r->corrupted = spec_get(spec, "corrupted");
    if (is_inline(spec->name)) {
        ew_buf_add(&text, spec->name);
    } else {
        ok = ew_file_read(&text, spec->name, err);
    }
    ok = ok && (is_csv(r, spec, &text) ? read_csv(r, spec, &text, most, err)
                                       : read_json(r, spec, &text, name, err));
    ew_buf_finish(&text);
    return ok;
}

/* The path with its options taken off, unless the whole is a file or a task. */
static bool split_options(struct spec *spec, const char *path,
                          struct ew_err *err)
{
    if (strcmp(path, "-") == 0 || is_inline(path) || ew_path_is_file(path)) {
        spec->name = ew_xstrdup(path);
        return true;
    }
    return spec_parse(spec, path, err);
}

/* Options beat what the file says. */
static void apply_options(struct draft *draft, enum ew_metric metric,
                          bool metric_set, int64_t n)
{
    if (metric_set) {
        draft->metric = metric;
        draft->metric_set = true;
    }
    while (n >= 0 && (int64_t)draft->n > n) {
        draft_forget(draft);
    }
}

struct ew_task *ew_task_load(const char *path, const struct ew_task_env *env,
                             struct ew_err *err)
{
    struct spec spec = {0};
    struct draft draft = {.bos_id = -1};
    struct reader r = {.env = env, .draft = &draft, .bos = env->default_bos};
    struct ew_task *task = NULL;
    char *name = NULL;
    enum ew_metric metric = EW_METRIC_KL;
    bool metric_set = false;
    int64_t n = -1;
    if (!split_options(&spec, path, err) ||
        !spec_metric(&spec, &metric, &metric_set, err) ||
        !spec_int(&spec, "n", 1, INT32_MAX, &n, err)) {
        goto out;
    }
    r.file = strcmp(spec.name, "-") == 0 ? "standard input"
             : is_inline(spec.name)      ? "typed"
                                         : spec.name;
    name = ew_xstrdup(ew_path_base(r.file));
    if (read_file(&r, &spec, n, &name, err)) {
        apply_options(&draft, metric, metric_set, n);
        task = draft_task(&draft, name);
    }
out:
    free(name);
    draft_finish(&draft);
    spec_finish(&spec);
    return task;
}
