/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooks of a run against TransformerLens's run_with_cache: the same
 * names in the same order, the same shapes, the same numbers.
 */
#include "edgewise/forward.h"

#include "model_fixture.h"

static bool is_scores(const char *name)
{
    return strstr(name, "hook_attn_scores") != NULL;
}

static void compare_hook(const struct ew_hook_stat *found, const char *name,
                         const json_t *expected, bool unmasked)
{
    assert_string_equal(found->name, name);
    const json_t *shape = json_object_get(expected, "shape");
    assert_int_equal(found->ndim, json_array_size(shape));
    for (int i = 0; i < found->ndim; i++) {
        assert_int_equal(found->shape[i],
                         json_integer_value(json_array_get(shape, (size_t)i)));
    }
    if (is_scores(name) && unmasked) {
        return; /* that version writes -1e5 where others mask */
    }
    double l2 = json_number_value(json_object_get(expected, "l2"));
    assert_near(name, 0, found->l2, l2, 1e-4 * l2);
    const json_t *mean = json_object_get(expected, "mean");
    const json_t *std = json_object_get(expected, "std");
    if (json_is_number(mean) && json_is_number(std)) {
        double spread = json_number_value(std);
        assert_near(name, 1, found->mean, json_number_value(mean),
                    1e-4 * (spread + fabs(json_number_value(mean))));
        assert_near(name, 2, found->std, spread, 1e-4 * spread + 1e-6);
    }
}

static void compare_hooks(const struct ew_model *m, const json_t *rows,
                          const json_t *hooks, bool unmasked)
{
    struct ew_err err = {0};
    struct ew_hook_stat *stats;
    size_t n;
    int64_t n_prompts;
    int64_t n_pos;
    int64_t *ids = token_ids(rows, &n_prompts, &n_pos);
    assert_ok(ew_hooks_run(m, ids, n_prompts, n_pos, &stats, &n, NULL, &err),
              err);
    size_t i = 0;
    if (json_is_object(hooks)) {
        const char *name;
        json_t *hook;
        json_object_foreach((json_t *)hooks, name, hook)
        {
            assert_true(i < n);
            compare_hook(&stats[i++], name, hook, unmasked);
        }
    } else {
        json_t *hook;
        size_t at;
        json_array_foreach(hooks, at, hook)
        {
            assert_true(i < n);
            compare_hook(&stats[i++],
                         json_string_value(json_object_get(hook, "name")), hook,
                         unmasked);
        }
    }
    assert_int_equal(i, n);
    free(stats);
    free(ids);
}

static void hooks_are_those_of_the_acdc_version(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "acdc/attn2l",
        "acdc/gelu3l",
        "acdc/induction-2l",
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(folders); i++) {
        struct ew_model *m = reference_model(folders[i]);
        json_t *tokens = reference_json(folders[i], "tokens.json");
        json_t *clean = reference_json(folders[i], "hooks.json");
        json_t *corrupted = reference_json(folders[i], "hooks_corrupted.json");
        compare_hooks(m, json_object_get(tokens, "clean"), clean, true);
        compare_hooks(m, json_object_get(tokens, "corrupted"), corrupted, true);
        json_decref(tokens);
        json_decref(clean);
        json_decref(corrupted);
        ew_model_destroy(m);
    }
}

static void hooks_are_those_of_the_current_version(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "models/attn2l-induction-gbmi",
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(folders); i++) {
        struct ew_model *m = reference_model(folders[i]);
        json_t *file = reference_json(folders[i], "hooks.json");
        compare_hooks(m, json_object_get(file, "input_ids"),
                      json_object_get(file, "hooks"), false);
        json_decref(file);
        ew_model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hooks_are_those_of_the_acdc_version),
        cmocka_unit_test(hooks_are_those_of_the_current_version),
    };
    ew_test_need(ew_test_reference("acdc/attn2l/model.safetensors"));
    load_torch();
    return cmocka_run_group_tests(tests, NULL, no_handle_is_left);
}
