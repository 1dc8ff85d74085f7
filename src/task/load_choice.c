/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions with lettered choices as MIB publishes them (copycolors_mcqa,
 * arc_easy): {"prompt", "choices": {"label": ["A", ..]}, "answerKey": 1,
 * "symbol_counterfactual": {the same three}}. The answer is the label of the
 * right choice, after a blank; the wrong one is what would be right in the
 * corrupted prompt, or, where that is the same, all other labels.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/json.h"
#include "edgewise/mem.h"

#include "files.h"

static const char suffix[] = "_counterfactual";

bool is_choice(const json_t *prompt)
{
    return json_object_get(prompt, "prompt") &&
           json_object_get(prompt, "choices") &&
           !json_object_get(prompt, "clean");
}

/* The option's, else MIB's circuit track's, else the first there is. */
static const char *corrupted_key(const struct reader *r, const json_t *prompt)
{
    const char *key;
    json_t *value;
    if (r->corrupted) {
        return r->corrupted;
    }
    if (json_object_get(prompt, "symbol_counterfactual")) {
        return "symbol_counterfactual";
    }
    json_object_foreach((json_t *)prompt, key, value)
    {
        size_t len = strlen(key);
        if (len > strlen(suffix) &&
            strcmp(key + len - strlen(suffix), suffix) == 0) {
            return key;
        }
    }
    return "symbol_counterfactual";
}

/* The labels and which of them is right; NULL with the reason. */
static const json_t *labels_of(const struct reader *r, const json_t *question,
                               const char *path, size_t *right,
                               struct ew_err *err)
{
    const json_t *labels =
        json_object_get(json_object_get(question, "choices"), "label");
    const json_t *key = json_object_get(question, "answerKey");
    if (!json_is_array(labels)) {
        reader_fail(r, err, path, "choices.label: expected a list, found %s",
                    ew_json_kind(labels));
        return NULL;
    }
    size_t n = json_array_size(labels);
    if (!json_is_integer(key) || json_integer_value(key) < 0 ||
        (size_t)json_integer_value(key) >= n) {
        reader_fail(r, err, path,
                    "answerKey: expected the index of one of %zu choices", n);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!json_is_string(json_array_get(labels, i))) {
            reader_fail(r, err, path, "choices.label[%zu]: expected a string",
                        i);
            return NULL;
        }
    }
    *right = (size_t)json_integer_value(key);
    return labels;
}

/* " A" */
static json_t *spaced(const json_t *labels, size_t i)
{
    return json_sprintf(" %s", json_string_value(json_array_get(labels, i)));
}

static json_t *wrong_answers(const json_t *labels, size_t right,
                             const json_t *other_labels, size_t other)
{
    const json_t *answer = json_array_get(labels, right);
    json_t *wrong = json_array();
    if (!json_equal(answer, json_array_get(other_labels, other))) {
        json_array_append_new(wrong, spaced(other_labels, other));
        return wrong;
    }
    for (size_t i = 0; i < json_array_size(labels); i++) {
        if (!json_equal(answer, json_array_get(labels, i))) {
            json_array_append_new(wrong, spaced(labels, i));
        }
    }
    return wrong;
}

json_t *choice_pair(const struct reader *r, const json_t *prompt,
                    const char *path, struct ew_err *err)
{
    const char *key = corrupted_key(r, prompt);
    const json_t *other = json_object_get(prompt, key);
    char *inner = ew_xasprintf("%s.%s", path, key);
    const json_t *labels = NULL;
    const json_t *other_labels = NULL;
    size_t right = 0;
    size_t other_right = 0;
    json_t *pair = NULL;
    if (!json_is_object(other)) {
        reader_fail(r, err, inner, "expected an object, found %s",
                    ew_json_kind(other));
    } else {
        labels = labels_of(r, prompt, path, &right, err);
        other_labels =
            labels ? labels_of(r, other, inner, &other_right, err) : NULL;
    }
    if (other_labels) {
        pair = json_object();
        json_object_set(pair, "clean", json_object_get(prompt, "prompt"));
        json_object_set(pair, "corrupt", json_object_get(other, "prompt"));
        json_object_set_new(pair, "answers", spaced(labels, right));
        json_object_set_new(
            pair, "wrong_answers",
            wrong_answers(labels, right, other_labels, other_right));
        if (r->draft->corruption.len == 0) {
            ew_buf_add(&r->draft->corruption, key);
        }
    }
    free(inner);
    return pair;
}
