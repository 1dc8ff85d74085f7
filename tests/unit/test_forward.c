/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain forward against logits that independent implementations gave, on
 * models in TransformerLens's layout.
 */
#include "edgewise/forward.h"

#include "model_fixture.h"

/* logits_clean.json: at one position, for some prompts. */
static void compare_logits(const struct ew_model *m, const char *folder,
                           const char *which)
{
    json_t *tokens = reference_json(folder, "tokens.json");
    char *name = ew_xasprintf("logits_%s.json", which);
    json_t *expected = reference_json(folder, name);
    int64_t n_prompts;
    int64_t n_pos;
    size_t n;
    int64_t *ids =
        token_ids(json_object_get(tokens, which), &n_prompts, &n_pos);
    float *logits = run_forward(m, ids, n_prompts, n_pos, NULL, &n);
    size_t width = (size_t)m->arch.d_vocab_out;
    assert_int_equal(n, (size_t)(n_prompts * n_pos) * width);

    const json_t *prompts = json_object_get(expected, "prompts");
    const json_t *rows = json_object_get(expected, "logits");
    int64_t position =
        json_integer_value(json_object_get(expected, "position"));
    size_t i;
    json_t *prompt;
    json_array_foreach(prompts, i, prompt)
    {
        int64_t row = json_integer_value(prompt) * n_pos + position;
        assert_close(folder, logits + (size_t)row * width,
                     json_array_get(rows, i), width, 1e-4);
    }
    double squares = 0;
    for (size_t j = 0; j < n; j++) {
        squares += (double)logits[j] * logits[j];
    }
    double l2 = json_number_value(json_object_get(expected, "all_logits_l2"));
    assert_near("all_logits_l2", 0, sqrt(squares), l2, 1e-4 * l2);
    free(logits);
    free(ids);
    json_decref(tokens);
    json_decref(expected);
    free(name);
}

static void logits_are_those_of_transformer_lens(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "acdc/attn2l",
        "acdc/gelu3l",
        "acdc/induction-2l",
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(folders); i++) {
        struct ew_model *m = reference_model(folders[i]);
        compare_logits(m, folders[i], "clean");
        compare_logits(m, folders[i], "corrupted");
        ew_model_destroy(m);
    }
}

static void a_model_without_norms_runs(void **state)
{
    (void)state;
    const char *folder = "models/attn2l-induction-gbmi";
    struct ew_model *m = reference_model(folder);
    json_t *expected = reference_json(folder, "reference.json");
    int64_t n_prompts;
    int64_t n_pos;
    size_t n;
    int64_t *ids =
        token_ids(json_object_get(expected, "input_ids"), &n_prompts, &n_pos);
    float *logits = run_forward(m, ids, n_prompts, n_pos, NULL, &n);
    size_t width = (size_t)m->arch.d_vocab_out;
    assert_close("logits of prompt 0", logits,
                 json_object_get(expected, "logits_row0_all_positions"),
                 (size_t)n_pos * width, 1e-4);
    const json_t *last = json_object_get(expected, "logits_last_position");
    assert_close("logits of prompt 2", logits + (size_t)(3 * n_pos - 1) * width,
                 json_object_get(last, "2"), width, 1e-4);
    free(logits);
    free(ids);
    json_decref(expected);
    ew_model_destroy(m);
}

/* ---- on a small random model ---- */

static struct ew_model *tiny(void)
{
    const struct ew_arch arch = {
        .n_layers = 2,
        .n_heads = 2,
        .n_kv_heads = 2,
        .d_model = 12,
        .d_head = 6,
        .d_mlp = 20,
        .d_vocab = 9,
        .d_vocab_out = 9,
        .n_ctx = 8,
        .norm = EW_NORM_LN,
        .final_norm = EW_NORM_LN,
        .eps = 1e-5,
        .act = EW_ACT_GELU,
        .pos = EW_POS_STANDARD,
        .attn_scale = 2.4,
        .embed_scale = 1.0,
    };
    struct ew_err err = {0};
    struct ew_model *m = ew_model_random(&arch, 3, (struct ew_device){0}, &err);
    assert_ok(m, err);
    return m;
}

static const int64_t some_ids[] = {1, 4, 8, 0, 2, 2, 7, 3, 5, 6};

static void only_what_is_asked_for_is_given(void **state)
{
    (void)state;
    struct ew_model *m = tiny();
    size_t n;
    size_t n_last;
    size_t n_rows;
    float *all = run_forward(m, some_ids, 2, 5, NULL, &n);
    float *last =
        run_forward(m, some_ids, 2, 5,
                    &(struct ew_forward_params){.last_only = true}, &n_last);
    float *rows =
        run_forward(m, some_ids, 2, 5,
                    &(struct ew_forward_params){.no_logits = true}, &n_rows);
    assert_int_equal(n, 2 * 5 * 9);
    assert_int_equal(n_last, 2 * 9);
    assert_int_equal(n_rows, 2 * 5 * 12);
    for (size_t i = 0; i < 9; i++) {
        assert_near("last", i, last[i], all[4 * 9 + i], 1e-5);
        assert_near("last", 9 + i, last[9 + i], all[9 * 9 + i], 1e-5);
    }
    free(all);
    free(last);
    free(rows);
    ew_model_destroy(m);
}

static void later_tokens_do_not_matter(void **state)
{
    (void)state;
    struct ew_model *m = tiny();
    size_t n;
    const int64_t other[] = {1, 4, 8, 5, 5};
    float *a = run_forward(m, some_ids, 1, 5, NULL, &n);
    float *b = run_forward(m, other, 1, 5, NULL, &n);
    for (size_t i = 0; i < 3 * 9; i++) {
        assert_near("causal", i, a[i], b[i], 1e-6);
    }
    assert_true(fabsf(a[3 * 9] - b[3 * 9]) > 1e-4f);
    free(a);
    free(b);
    ew_model_destroy(m);
}

static void fail_forward(const struct ew_model *m, const int64_t *ids,
                         int64_t n_pos, const struct ew_cancel *cancel,
                         enum ew_err_code code, const char *message)
{
    struct ew_err err = {0};
    struct ew_scope *s = ew_scope_open(m->device);
    const struct ew_forward_params params = {.cancel = cancel};
    ew_forward(s, m, ew_from_i64(s, ids, 2, (int64_t[]){1, n_pos}), &params);
    assert_false(ew_scope_finish(s, &err));
    assert_message(&err, code, message);
}

static void what_cannot_be_run_is_refused(void **state)
{
    (void)state;
    struct ew_model *m = tiny();
    const int64_t wrong[] = {1, 9, 2};
    struct ew_cancel *cancel = ew_cancel_create();
    fail_forward(m, wrong, 3, NULL, EW_ERR_INPUT,
                 "prompt 0, position 1: token 9 is not in the vocabulary of "
                 "9");
    fail_forward(m, some_ids, 10, NULL, EW_ERR_INPUT,
                 "prompts of 10 tokens: the model takes at most 8");
    ew_cancel_raise(cancel);
    fail_forward(m, some_ids, 5, cancel, EW_ERR_CANCELLED, "");
    ew_cancel_destroy(cancel);
    ew_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_asked_for_is_given),
        cmocka_unit_test(later_tokens_do_not_matter),
        cmocka_unit_test(what_cannot_be_run_is_refused),
        cmocka_unit_test(logits_are_those_of_transformer_lens),
        cmocka_unit_test(a_model_without_norms_runs),
    };
    ew_test_need(ew_test_reference("acdc/attn2l/model.safetensors"));
    load_torch();
    return cmocka_run_group_tests(tests, NULL, no_handle_is_left);
}
