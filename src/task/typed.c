/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed prompts: written as the JSON of a task file, so that they are read,
 * checked and saved as every other task is.
 */
#include <jansson.h>

#include "edgewise/task.h"

static bool set_text(json_t *object, const char *key, const char *text,
                     size_t pair, struct ew_err *err)
{
    if (!text) {
        return ew_fail(err, EW_ERR_INPUT, "typed: prompts[%zu].%s: missing",
                       pair, key);
    }
    return json_object_set_new(object, key, json_string(text)) == 0 ||
           ew_fail(err, EW_ERR_INPUT, "typed: prompts[%zu].%s: not UTF-8", pair,
                   key);
}

static bool set_texts(json_t *object, const char *key, const char *const *texts,
                      size_t n, size_t pair, struct ew_err *err)
{
    json_t *list = json_array();
    json_object_set_new(object, key, list);
    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(list, json_string(texts[i])) != 0) {
            return ew_fail(err, EW_ERR_INPUT,
                           "typed: prompts[%zu].%s[%zu]: not UTF-8", pair, key,
                           i);
        }
    }
    return true;
}

char *ew_task_typed(const struct ew_typed_pair *pairs, size_t n,
                    struct ew_err *err)
{
    json_t *prompts = json_array();
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const struct ew_typed_pair *p = &pairs[i];
        json_t *object = json_object();
        ok = set_text(object, "clean", p->clean, i, err) &&
             set_text(object, "corrupt", p->corrupt, i, err) &&
             set_texts(object, "answers", p->answers, p->n_answers, i, err) &&
             set_texts(object, "wrong_answers", p->wrong, p->n_wrong, i, err);
        json_array_append_new(prompts, object);
    }
    json_t *root = json_pack("{s:s, s:o}", "name", "typed", "prompts", prompts);
    char *text = ok ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}
