/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task as JSON: token ids, which lose nothing, and the texts beside them
 * for people where they are valid UTF-8. Loading it gives the same task.
 */
#include <jansson.h>
#include <stdlib.h>

#include "edgewise/task.h"

static json_t *ids(const int64_t *list, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(array, json_integer(list[i]));
    }
    return array;
}

static void set_text(json_t *object, const char *key,
                     const struct ew_tokenizer *tok, const int64_t *list,
                     size_t n)
{
    struct ew_buf text = {0};
    if (tok) {
        ew_tokenizer_decode(tok, list, n, &text);
        json_t *string = json_stringn(ew_buf_str(&text), text.len);
        if (string) {
            json_object_set_new(object, key, string);
        }
    }
    ew_buf_finish(&text);
}

static void set_roles(json_t *object, const struct ew_task *task, size_t i)
{
    if (task->n_roles == 0) {
        return;
    }
    json_t *roles = json_object();
    for (size_t r = 0; r < task->n_roles; r++) {
        int32_t at = task->roles[r].positions[i];
        json_object_set_new(roles, task->roles[r].name,
                            at < 0 ? json_null() : json_integer(at));
    }
    json_object_set_new(object, "roles", roles);
}

static json_t *scored_of(const struct ew_task *task, size_t prompt)
{
    json_t *array = json_array();
    for (size_t i = 0; i < task->n_scored; i++) {
        if ((size_t)task->scored[i].prompt == prompt) {
            json_array_append_new(array,
                                  json_integer(task->scored[i].position));
        }
    }
    return array;
}

static json_t *prompt_json(const struct ew_task *task, size_t i,
                           const struct ew_tokenizer *tok)
{
    const struct ew_answers *a = &task->answers[i];
    const int64_t *clean = task->clean + i * task->n_pos;
    const int64_t *corrupt = task->corrupt + i * task->n_pos;
    size_t n = (size_t)task->length[i];
    json_t *p = json_object();
    set_text(p, "clean_text", tok, clean, n);
    set_text(p, "corrupt_text", tok, corrupt, n);
    json_object_set_new(p, "clean", ids(clean, n));
    json_object_set_new(p, "corrupt", ids(corrupt, n));
    json_object_set_new(p, "answers", ids(a->right, a->n_right));
    json_object_set_new(p, "wrong_answers", ids(a->wrong, a->n_wrong));
    json_object_set_new(p, "answer_position",
                        json_integer(task->answer_position[i]));
    json_object_set_new(p, "positions", scored_of(task, i));
    set_roles(p, task, i);
    return p;
}

char *ew_task_to_json(const struct ew_task *task,
                      const struct ew_tokenizer *tok)
{
    json_t *root = json_object();
    json_t *prompts = json_array();
    json_object_set_new(root, "name", json_string(task->name));
    json_object_set_new(root, "corruption", json_string(task->corruption));
    json_object_set_new(root, "bos", json_string(task->bos));
    json_object_set_new(root, "metric",
                        json_string(ew_metric_name(task->metric)));
    if (task->dropped > 0) {
        json_object_set_new(root, "dropped",
                            json_integer((json_int_t)task->dropped));
        json_object_set_new(
            root, "dropped_why",
            json_string(task->dropped_why ? task->dropped_why : ""));
    }
    for (size_t i = 0; i < task->n_prompts; i++) {
        json_array_append_new(prompts, prompt_json(task, i, tok));
    }
    json_object_set_new(root, "prompts", prompts);
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    json_decref(root);
    return text;
}
