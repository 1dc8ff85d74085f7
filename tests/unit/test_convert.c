/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converting: what is written is the same model. Every family's reference
 * folder gives the same logits before and after, a state dict of torch.save
 * the very same bytes, and what was converted converts to itself.
 */
#include "edgewise/weights.h"

#include "model_fixture.h"

static int make_dir(void **state)
{
    *state = temp_dir();
    return 0;
}

static int remove_dir(void **state)
{
    temp_dir_remove(*state);
    return ew_torch_live() == 0 ? 0 : -1;
}

static struct ew_model *load(const char *path)
{
    struct ew_err err = {0};
    struct ew_model *m = ew_model_load(path, (struct ew_device){0}, &err);
    assert_ok(m, err);
    return m;
}

/* The same logits, and the same answers to what the layout has fields for. */
static void expect_same_model(const char *what, const char *from,
                              const char *to)
{
    struct ew_model *a = load(from);
    struct ew_model *b = load(to);
    const struct ew_forward_params params = {0};
    enum { PROMPTS = 2, MOST = 12 }; /* longer than the smallest window */
    int64_t length = a->arch.n_ctx < MOST ? a->arch.n_ctx : MOST;
    int64_t ids[PROMPTS * MOST];
    size_t n;
    for (int64_t i = 0; i < PROMPTS * length; i++) {
        ids[i] = (i * 7 + 3) % a->arch.d_vocab;
    }
    assert_int_equal(a->arch.n_ctx, b->arch.n_ctx);
    assert_int_equal(a->arch.default_bos, b->arch.default_bos);
    assert_int_equal(a->arch.bos_token, b->arch.bos_token);
    float *x = run_forward(a, ids, PROMPTS, length, &params, &n);
    float *y = run_forward(b, ids, PROMPTS, length, &params, &n);
    for (size_t i = 0; i < n; i++) {
        assert_near(what, i, y[i], x[i], 1e-5);
    }
    free(x);
    free(y);
    ew_model_destroy(a);
    ew_model_destroy(b);
}

static void convert(const char *from, const char *to)
{
    struct ew_err err = {0};
    assert_ok(ew_model_convert(from, to, &err), err);
}

static void every_family_stays_itself(void **state)
{
    static const char *const folders[] = {
        "hf/gpt2-tiny",
        "hf/gpt2-tiny-untied-gelu",
        "hf/gpt2-tiny-sharded",
        "hf/gpt_neox-tiny",
        "hf/gpt_neox-tiny-seq",
        "hf/llama-tiny-bf16",
        "hf/llama-tiny-rope-llama3",
        "hf/mistral-tiny",
        "hf/qwen2-tiny",
        "hf/gemma-tiny",
        "hf/gemma2-tiny",
        "acdc/gelu3l",
        "models/attn2l-induction-gbmi",
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(folders); i++) {
        char *once = ew_xasprintf("%s/once-%zu", (char *)*state, i);
        char *twice = ew_xasprintf("%s/twice-%zu", (char *)*state, i);
        char *command = ew_xasprintf(
            "cmp '%s/model.safetensors' '%s/model.safetensors'", once, twice);
        const char *from = ew_test_reference(folders[i]);
        convert(from, once);
        expect_same_model(folders[i], from, once);
        convert(once, twice);
        assert_int_equal(system(command), 0);
        free(command);
        free(once);
        free(twice);
    }
}

/* A .pth with its config beside it, as attn-only-2l is published. */
static void a_state_dict_is_written_as_it_is(void **state)
{
    struct ew_err err = {0};
    char *in = ew_path_join(*state, "published");
    char *file = ew_path_join(in, "model_final.pth");
    char *out = ew_path_join(*state, "written");
    struct ew_buf reference = {0};
    ew_buf_add(&reference, ew_test_reference("acdc/induction-2l"));
    char *command = ew_xasprintf(
        "mkdir '%s' && cp '%s/config.json' '%s/' && cp '%s' '%s' && printf "
        "'{}' > '%s/tokenizer.json'",
        in, ew_buf_str(&reference), in,
        ew_test_reference("formats/induction-2l-state_dict.pth"), file, in);
    assert_int_equal(system(command), 0);
    convert(file, out);
    struct ew_weights *a = ew_weights_open(ew_buf_str(&reference), &err);
    struct ew_weights *b = ew_weights_open(out, &err);
    assert_non_null(a);
    assert_ok(b, err);
    for (size_t i = 0; i < ew_weights_count(b); i++) {
        const struct ew_weight *y = ew_weights_at(b, i);
        const struct ew_weight *x = ew_weights_find(a, y->name);
        size_t size = sizeof(float);
        assert_non_null(x);
        assert_int_equal(x->ndim, y->ndim);
        for (int d = 0; d < y->ndim; d++) {
            assert_int_equal(x->shape[d], y->shape[d]);
            size *= (size_t)y->shape[d];
        }
        assert_memory_equal(x->data, y->data, size);
    }
    char *tokenizer = ew_path_join(out, "tokenizer.json");
    assert_true(ew_path_is_file(tokenizer));
    free(tokenizer);
    ew_weights_close(a);
    ew_weights_close(b);
    ew_buf_finish(&reference);
    free(command);
    free(in);
    free(file);
    free(out);
}

static void nothing_is_overwritten(void **state)
{
    struct ew_err err = {0};
    char *in = temp_dir();
    char *command = ew_xasprintf("cp '%s'/config.json '%s'/",
                                 ew_test_reference("hf/gpt2-tiny"), in);
    assert_int_equal(system(command), 0);
    free(command);
    assert_false(ew_model_convert(ew_test_reference("hf/gpt2-tiny"), in, &err));
    assert_message(&err, EW_ERR_INPUT, "config.json is there already");
    assert_false(ew_model_convert(in, *state, &err));
    assert_message(&err, EW_ERR_INPUT, "no weights");
    assert_false(ew_model_convert(ew_test_reference("hf/gpt2-tiny"),
                                  "/nonexistent/x", &err));
    assert_message(&err, EW_ERR_IO, "/nonexistent/x");
    temp_dir_remove(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_stays_itself),
        cmocka_unit_test(a_state_dict_is_written_as_it_is),
        cmocka_unit_test(nothing_is_overwritten),
    };
    ew_test_need(ew_test_reference("hf/gpt2-tiny/model.safetensors"));
    load_torch();
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
