/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the model layer share: a temporary folder, the reference
 * data, running a model, and comparing numbers with the first difference
 * printed.
 */
#ifndef EW_TESTS_MODEL_FIXTURE_H
#define EW_TESTS_MODEL_FIXTURE_H

#include <math.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/forward.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "ew_cmocka.h"

#include "temp_dir.h"

static inline char *write_bytes(const char *dir, const char *name,
                                const void *bytes, size_t n)
{
    char *path = ew_path_join(dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
    return path;
}

static inline void write_text(const char *dir, const char *name,
                              const char *text)
{
    free(write_bytes(dir, name, text, strlen(text)));
}

/* Length, header, `n_data` bytes counting up; free() the path. */
static inline char *write_safetensors(const char *dir, const char *name,
                                      const char *header, size_t n_data)
{
    size_t len = strlen(header);
    unsigned char *bytes = ew_xcalloc(8 + len + n_data, 1);
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)len >> (8 * i));
    }
    memcpy(bytes + 8, header, len);
    for (size_t i = 0; i < n_data; i++) {
        bytes[8 + len + i] = (unsigned char)i;
    }
    char *path = write_bytes(dir, name, bytes, 8 + len + n_data);
    free(bytes);
    return path;
}

/* ---- messages ---- */

static inline void assert_message(const struct ew_err *err,
                                  enum ew_err_code code, const char *part)
{
    if (err->code != code || !strstr(err->message, part)) {
        fail_msg("expected error %d with '%s', found %d: %s", (int)code, part,
                 (int)err->code, err->message);
    }
}

#define assert_ok(condition, err)                                              \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fail_msg("%s", (err).message);                                     \
        }                                                                      \
    } while (0)

/* ---- numbers ---- */

static inline void assert_near(const char *what, size_t index, double found,
                               double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance)) {
        fail_msg("%s[%zu]: expected %.9g, found %.9g (tolerance %g)", what,
                 index, expected, found, tolerance);
    }
}

/* Flatten nested arrays of numbers into `out`; returns how many. */
static inline size_t flatten(const json_t *value, double *out, size_t max)
{
    if (!json_is_array(value)) {
        assert_true(max > 0);
        out[0] = json_number_value(value);
        return 1;
    }
    size_t n = 0;
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item)
    {
        n += flatten(item, out + n, max - n);
    }
    return n;
}

static inline void assert_close(const char *what, const float *found,
                                const json_t *expected, size_t n,
                                double tolerance)
{
    double *values = ew_xcalloc(n + 1, sizeof(double));
    assert_int_equal(flatten(expected, values, n), n);
    for (size_t i = 0; i < n; i++) {
        assert_near(what, i, found[i], values[i], tolerance);
    }
    free(values);
}

/* ---- reference data ---- */

static inline json_t *reference_json(const char *folder, const char *name)
{
    struct ew_err err = {0};
    char *path = ew_path_join(ew_test_reference(folder), name);
    json_t *value = ew_json_load(path, &err);
    assert_ok(value, err);
    free(path);
    return value;
}

/* Token ids [[..], ..]; free() them. */
static inline int64_t *token_ids(const json_t *rows, int64_t *n_prompts,
                                 int64_t *n_pos)
{
    *n_prompts = (int64_t)json_array_size(rows);
    *n_pos = (int64_t)json_array_size(json_array_get(rows, 0));
    size_t n = (size_t)(*n_prompts * *n_pos);
    double *flat = ew_xcalloc(n, sizeof(double));
    int64_t *ids = ew_xcalloc(n, sizeof(int64_t));
    assert_int_equal(flatten(rows, flat, n), n);
    for (size_t i = 0; i < n; i++) {
        ids[i] = (int64_t)flat[i];
    }
    free(flat);
    return ids;
}

static inline void load_torch(void)
{
    struct ew_err err = {0};
    assert_ok(ew_torch_load(&err), err);
    ew_torch_set_threads(1);
}

static inline struct ew_model *reference_model(const char *folder)
{
    struct ew_err err = {0};
    struct ew_model *m =
        ew_model_load(ew_test_reference(folder), (struct ew_device){0}, &err);
    assert_ok(m, err);
    return m;
}

/* Run the plain forward and read what it gives; free() it. */
static inline float *run_forward(const struct ew_model *m, const int64_t *ids,
                                 int64_t n_prompts, int64_t n_pos,
                                 const struct ew_forward_params *params,
                                 size_t *n)
{
    struct ew_err err = {0};
    struct ew_scope *s = ew_scope_open(m->device);
    struct ew_tensor *t = ew_forward(
        s, m, ew_from_i64(s, ids, 2, (int64_t[]){n_prompts, n_pos}), params);
    *n = (size_t)ew_numel(t);
    float *out = ew_xcalloc(*n + 1, sizeof(float));
    bool read = ew_read_f32(s, t, out, *n);
    assert_ok(ew_scope_finish(s, &err) && read, err);
    return out;
}

/* Group teardown: every tensor was given back. */
static inline int no_handle_is_left(void **state)
{
    (void)state;
    assert_int_equal(ew_torch_live(), 0);
    return 0;
}

#endif
