/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of tasks share: making and refusing a task, a temporary
 * folder for task files, and looking at prompts.
 */
#ifndef EW_TESTS_TASK_FIXTURE_H
#define EW_TESTS_TASK_FIXTURE_H

#include <string.h>

#include "edgewise/file.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"
#include "edgewise/task.h"

#include "ew_cmocka.h"

/* A model without tokenizer. */
static inline struct ew_task_env bare(int64_t d_vocab, int64_t n_ctx)
{
    return (struct ew_task_env){.d_vocab = d_vocab, .n_ctx = n_ctx, .bos = 0};
}

/* As ew_task_open() makes it; the test fails when it does not. */
static inline struct ew_task *open_task(const char *spec,
                                        const struct ew_task_env *env)
{
    struct ew_err err = {0};
    struct ew_task *task = ew_task_open(spec, env, &err);
    if (!task) {
        fail_msg("%s: %s", spec, err.message);
    }
    return task;
}

static inline void expect_message(const struct ew_err *err,
                                  enum ew_err_code code, const char *what,
                                  const char *words)
{
    if (err->code != code || !strstr(err->message, words)) {
        fail_msg("%s: expected \"%s\" (%d), found \"%s\" (%d)", what, words,
                 (int)code, err->message, (int)err->code);
    }
}

/* Opening fails with this code, and these words are in the message. */
static inline void refuse(const char *spec, const struct ew_task_env *env,
                          enum ew_err_code code, const char *words)
{
    struct ew_err err = {0};
    struct ew_task *task = ew_task_open(spec, env, &err);
    if (task) {
        ew_task_destroy(task);
        fail_msg("%s: is accepted", spec);
    }
    expect_message(&err, code, spec, words);
}

/* ---- prompts ---- */

static inline const int64_t *clean_of(const struct ew_task *t, size_t prompt)
{
    return t->clean + prompt * t->n_pos;
}

static inline const int64_t *corrupt_of(const struct ew_task *t, size_t prompt)
{
    return t->corrupt + prompt * t->n_pos;
}

/* The positions of a role, (n_prompts); the test fails without it. */
static inline const int32_t *role_of(const struct ew_task *t, const char *name)
{
    for (size_t i = 0; i < t->n_roles; i++) {
        if (strcmp(t->roles[i].name, name) == 0) {
            return t->roles[i].positions;
        }
    }
    fail_msg("no role %s", name);
    return NULL;
}

/* The text of a prompt; free() it. */
static inline char *text_of(const struct ew_tokenizer *tok, const int64_t *ids,
                            int32_t n)
{
    struct ew_buf text = {0};
    ew_tokenizer_decode(tok, ids, (size_t)n, &text);
    return ew_buf_steal(&text);
}

/* The token at a role, in the clean or the corrupted prompt. */
static inline int64_t clean_at(const struct ew_task *t, const char *role,
                               size_t i)
{
    return clean_of(t, i)[role_of(t, role)[i]];
}

static inline int64_t corrupt_at(const struct ew_task *t, const char *role,
                                 size_t i)
{
    return corrupt_of(t, i)[role_of(t, role)[i]];
}

static inline void expect_ids(const int64_t *found, const int64_t *expected,
                              size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++) {
        if (found[i] != expected[i]) {
            fail_msg("%s[%zu] is %lld, expected %lld", what, i,
                     (long long)found[i], (long long)expected[i]);
        }
    }
}

static inline void expect_same_strings(const char *a, const char *b)
{
    assert_string_equal(a ? a : "(none)", b ? b : "(none)");
}

/* All that a task holds. */
static inline void expect_same_task(const struct ew_task *a,
                                    const struct ew_task *b)
{
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->corruption, b->corruption);
    assert_string_equal(a->bos, b->bos);
    assert_int_equal(a->metric, b->metric);
    assert_int_equal(a->n_prompts, b->n_prompts);
    assert_int_equal(a->n_pos, b->n_pos);
    assert_int_equal(a->dropped, b->dropped);
    expect_same_strings(a->dropped_why, b->dropped_why);
    expect_ids(a->clean, b->clean, a->n_prompts * a->n_pos, "clean");
    expect_ids(a->corrupt, b->corrupt, a->n_prompts * a->n_pos, "corrupt");
    for (size_t i = 0; i < a->n_prompts; i++) {
        const struct ew_answers *x = &a->answers[i];
        const struct ew_answers *y = &b->answers[i];
        assert_int_equal(a->length[i], b->length[i]);
        assert_int_equal(a->answer_position[i], b->answer_position[i]);
        assert_int_equal(x->n_right, y->n_right);
        assert_int_equal(x->n_wrong, y->n_wrong);
        expect_ids(x->right, y->right, x->n_right, "answers");
        expect_ids(x->wrong, y->wrong, x->n_wrong, "wrong answers");
    }
    assert_int_equal(a->n_scored, b->n_scored);
    for (size_t i = 0; i < a->n_scored; i++) {
        assert_int_equal(a->scored[i].prompt, b->scored[i].prompt);
        assert_int_equal(a->scored[i].position, b->scored[i].position);
        assert_int_equal(a->scored[i].target, b->scored[i].target);
    }
    assert_int_equal(a->n_roles, b->n_roles);
    for (size_t r = 0; r < a->n_roles; r++) {
        const int32_t *there = role_of(b, a->roles[r].name);
        for (size_t i = 0; i < a->n_prompts; i++) {
            assert_int_equal(a->roles[r].positions[i], there[i]);
        }
    }
}

/* ---- files ---- */

static char task_dir[] = "/tmp/ew-task-XXXXXX";

static inline int task_dir_make(void **state)
{
    (void)state;
    return mkdtemp(task_dir) ? 0 : -1;
}

static inline int task_dir_remove(void **state)
{
    (void)state;
    char *command = ew_xasprintf("rm -rf '%s'", task_dir);
    int status = system(command);
    free(command);
    return status;
}

/* Write a file into the temporary folder; free() its path. */
static inline char *put_task(const char *name, const char *text)
{
    struct ew_err err = {0};
    char *path = ew_path_join(task_dir, name);
    if (!ew_file_write(path, text, strlen(text), &err)) {
        fail_msg("%s", err.message);
    }
    return path;
}

static inline struct ew_task *load_text(const char *name, const char *text,
                                        const struct ew_task_env *env)
{
    char *path = put_task(name, text);
    struct ew_task *task = open_task(path, env);
    free(path);
    return task;
}

/* A file is refused; the message begins with the file and has the words. */
static inline void refuse_text(const char *name, const char *text,
                               const struct ew_task_env *env, const char *words)
{
    struct ew_err err = {0};
    char *path = put_task(name, text);
    struct ew_task *task = ew_task_open(path, env, &err);
    if (task) {
        fail_msg("%s: is accepted", text);
    }
    expect_message(&err, EW_ERR_INPUT, text, words);
    expect_message(&err, EW_ERR_INPUT, text, path);
    free(path);
}

#endif
