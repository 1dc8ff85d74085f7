/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json in TransformerLens's fields: what is absent means what it means
 * there, and what cannot be done is refused by the field's name.
 */
#include "edgewise/arch.h"

#include "model_fixture.h"

static int make_dir(void **state)
{
    *state = temp_dir();
    return 0;
}

static int remove_dir(void **state)
{
    temp_dir_remove(*state);
    return 0;
}

#define SIZES                                                                  \
    "\"n_layers\": 2, \"d_model\": 512, \"n_ctx\": 1024, \"n_heads\": 8, "     \
    "\"d_head\": 64, \"d_vocab\": 48262"

static struct ew_arch load_text(const char *dir, const char *text)
{
    struct ew_err err = {0};
    struct ew_arch arch;
    write_text(dir, "config.json", text);
    assert_ok(ew_arch_load(&arch, dir, &err), err);
    return arch;
}

static void published_attn_only_config_is_read(void **state)
{
    /* the fields that attn-only-2l is published with */
    struct ew_arch a = load_text(
        *state, "{" SIZES ", \"d_mlp\": -1, \"act_fn\": null,"
                " \"attn_only\": true, \"normalization\": \"LNPre\","
                " \"final_rms\": false, \"shortformer_pos\": false,"
                " \"tokenizer_name\": \"NeelNanda/gpt-neox-tokenizer-digits\""
                "}");
    assert_int_equal(a.n_layers, 2);
    assert_int_equal(a.n_heads, 8);
    assert_int_equal(a.n_kv_heads, 8);
    assert_int_equal(a.d_mlp, 0);
    assert_int_equal(a.d_vocab_out, 48262);
    assert_int_equal(a.norm, EW_NORM_LN_PRE);
    assert_int_equal(a.final_norm, EW_NORM_LN_PRE);
    assert_int_equal(a.pos, EW_POS_STANDARD);
    assert_true(a.eps == 1e-5);
    assert_true(a.attn_scale == 8.0);
    assert_true(a.embed_scale == 1.0);
    assert_int_equal(a.bos_token, -1);
}

static void absent_fields_have_transformer_lens_defaults(void **state)
{
    struct ew_arch a =
        load_text(*state, "{" SIZES ", \"act_fn\": \"gelu_new\"}");
    assert_int_equal(a.norm, EW_NORM_LN);
    assert_int_equal(a.d_mlp, 2048);
    assert_int_equal(a.act, EW_ACT_GELU_NEW);
    assert_false(a.gated_mlp);
    assert_false(a.parallel);
    assert_true(a.default_bos);

    a = load_text(*state,
                  "{\"n_layers\": 1, \"d_model\": 64, \"n_ctx\": 8,"
                  " \"d_head\": 16, \"d_vocab\": 26, \"d_vocab_out\": -1,"
                  " \"normalization_type\": null, \"attn_only\": true,"
                  " \"use_attn_scale\": false}");
    assert_int_equal(a.n_heads, 4);
    assert_int_equal(a.norm, EW_NORM_NONE);
    assert_int_equal(a.final_norm, EW_NORM_NONE);
    assert_int_equal(a.d_vocab_out, 26);
    assert_true(a.attn_scale == 1.0);
}

static void every_kind_of_block_can_be_said(void **state)
{
    struct ew_arch a = load_text(
        *state,
        "{" SIZES ", \"act_fn\": \"silu\", \"gated_mlp\": true,"
        " \"d_mlp\": 100, \"parallel_attn_mlp\": true,"
        " \"normalization_type\": \"RMS\", \"n_key_value_heads\": 2,"
        " \"positional_embedding_type\": \"rotary\", \"rotary_dim\": 32,"
        " \"rotary_base\": 500000, \"attn_scale\": 4.5,"
        " \"attn_scores_soft_cap\": 50.0, \"output_logits_soft_cap\": -1.0,"
        " \"use_local_attn\": true, \"window_size\": 7,"
        " \"attn_types\": [\"local\", \"local\"]}");
    assert_int_equal(a.norm, EW_NORM_RMS);
    assert_int_equal(a.n_kv_heads, 2);
    assert_int_equal(a.pos, EW_POS_ROTARY);
    assert_int_equal(a.rotary_dim, 32);
    assert_true(a.rotary_base == 500000.0);
    assert_true(a.attn_scale == 4.5);
    assert_true(a.attn_softcap == 50.0);
    assert_true(a.logit_softcap == 0.0);
    assert_true(a.gated_mlp && a.parallel);
    assert_int_equal(a.window, 7);
    assert_int_equal(a.local_every, 1);

    a = load_text(*state, "{" SIZES ", \"attn_only\": true,"
                          " \"normalization_type\": \"LNPre\","
                          " \"final_rms\": true}");
    assert_int_equal(a.norm, EW_NORM_LN_PRE);
    assert_int_equal(a.final_norm, EW_NORM_RMS_PRE);
}

static const struct {
    const char *text;
    const char *message;
} refused[] = {
    {"[]", "expected an object, found an array"},
    {"{", "line 1"},
    {"{\"d_model\": 4}", "n_layers: missing"},
    {"{" SIZES "}", "act_fn: missing"},
    {"{" SIZES ", \"act_fn\": \"selu\"}", "act_fn: expected relu"},
    {"{\"n_layers\": \"two\"}", "n_layers: expected an integer, found a "
                                "string"},
    {"{\"n_layers\": 0}", "n_layers: expected 1 to 4096, found 0"},
    {"{\"n_layers\": 2, \"d_model\": 99999999999}", "d_model: expected 1 to"},
    {"{" SIZES ", \"attn_only\": 1}", "attn_only: expected true or false"},
    {"{" SIZES ", \"attn_only\": true, \"eps\": -1}",
     "eps: expected a positive number, found -1"},
    {"{" SIZES ", \"attn_only\": true, \"normalization\": \"BN\"}",
     "normalization: expected LN, LNPre, RMS, RMSPre or null, found 'BN'"},
    {"{" SIZES ", \"attn_only\": true, \"shortformer_pos\": true}",
     "shortformer_pos: not supported"},
    {"{" SIZES ", \"attn_only\": true,"
     " \"positional_embedding_type\": \"shortformer\"}",
     "positional_embedding_type: 'shortformer' is not supported"},
    {"{" SIZES ", \"attn_only\": true,"
     " \"positional_embedding_type\": \"alibi\"}",
     "'alibi' is not supported"},
    {"{" SIZES ", \"attn_only\": true, \"attention_dir\": \"bidirectional\"}",
     "attention_dir: 'bidirectional' is not supported"},
    {"{" SIZES ", \"attn_only\": true,"
     " \"scale_attn_by_inverse_layer_idx\": true}",
     "scale_attn_by_inverse_layer_idx: not supported"},
    {"{" SIZES ", \"attn_only\": true, \"n_key_value_heads\": 3}",
     "n_key_value_heads: expected a divisor of n_heads 8, found 3"},
    {"{" SIZES ", \"attn_only\": true, \"use_local_attn\": true,"
     " \"window_size\": 4, \"attn_types\": [\"global\", \"local\"]}",
     "attn_types: this order"},
    {"{" SIZES ", \"act_fn\": \"relu\", \"num_experts\": 8}",
     "num_experts: mixtures are not supported"},
};

static void what_is_wrong_is_said_by_field(void **state)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(refused); i++) {
        struct ew_err err = {0};
        struct ew_arch arch;
        write_text(*state, "config.json", refused[i].text);
        assert_false(ew_arch_load(&arch, *state, &err));
        assert_message(&err, EW_ERR_INPUT, refused[i].message);
        assert_message(&err, EW_ERR_INPUT, "config.json");
    }
    struct ew_err err = {0};
    struct ew_arch arch;
    assert_false(ew_arch_load(&arch, "/nonexistent", &err));
    assert_message(&err, EW_ERR_IO, "/nonexistent");
}

static void a_model_is_a_folder_a_file_or_a_bundled_name(void **state)
{
    struct ew_err err = {0};
    struct ew_arch arch;
    char *dir = *state;
    load_text(dir, "{" SIZES ", \"attn_only\": true}");
    char *weights = write_bytes(dir, "x.safetensors", "", 0);
    assert_ok(ew_arch_load(&arch, weights, &err), err);
    assert_string_equal(arch.name, ew_path_base(dir));
    char *found = ew_model_locate(weights, &err);
    assert_string_equal(found, weights);
    free(found);
    found = ew_model_locate(dir, &err);
    assert_string_equal(found, dir);
    free(found);
    free(weights);

    char *models = ew_xasprintf("%s/models", dir);
    char *command = ew_xasprintf("mkdir -p '%s/tiny' '%s/big'", models, models);
    assert_int_equal(system(command), 0);
    setenv("EDGEWISE_ASSETS", dir, 1);
    found = ew_model_locate("tiny", &err);
    assert_non_null(found);
    assert_string_equal(ew_path_base(found), "tiny");
    free(found);
    assert_null(ew_model_locate("nope", &err));
    assert_message(&err, EW_ERR_INPUT, "nope: no such model");
    assert_message(&err, EW_ERR_INPUT, "big, tiny");
    assert_null(ew_model_locate("../models/tiny/x", &err));
    assert_null(ew_model_locate("", &err));
    free(command);
    free(models);
}

/* A cache as its own tools make it: files are links into blobs. */
static void make_cache(const char *hub)
{
    static const char script[] =
        "set -e; mkdir -p '%s'; cd '%s'; "
        "for c in abc123 def456; do "
        "  mkdir -p models--Org--tiny-1.5/snapshots/$c "
        "    models--Org--tiny-1.5/refs models--Org--tiny-1.5/blobs; "
        "  printf '%%s' '{" SIZES ", \"attn_only\": true}' "
        "    > models--Org--tiny-1.5/blobs/$c; "
        "  ln -s ../../blobs/$c "
        "    models--Org--tiny-1.5/snapshots/$c/config.json; "
        "done; "
        "printf abc123 > models--Org--tiny-1.5/refs/main; "
        "printf 'def456\\n' > models--Org--tiny-1.5/refs/step8; "
        "mkdir -p models--plain/refs datasets--Org--data; "
        "printf fff > models--plain/refs/main";
    char *command = ew_xasprintf(script, hub, hub);
    assert_int_equal(system(command), 0);
    free(command);
}

static void expect_found(const char *name, const char *folder)
{
    struct ew_err err = {0};
    char *found = ew_model_locate(name, &err);
    assert_ok(found, err);
    if (strlen(found) < strlen(folder) ||
        strcmp(found + strlen(found) - strlen(folder), folder) != 0) {
        fail_msg("%s: expected ..%s, found %s", name, folder, found);
    }
    free(found);
}

static void models_are_found_in_the_hugging_face_cache(void **state)
{
    const char *dir = *state;
    struct ew_err err = {0};
    struct ew_arch arch;
    char *hub = ew_path_join(dir, "hub");
    make_cache(hub);
    setenv("EDGEWISE_ASSETS", "/nonexistent", 1);
    setenv("HF_HUB_CACHE", hub, 1);
    setenv("HF_HOME", "/nonexistent", 1);
    expect_found("Org/tiny-1.5", "/hub/models--Org--tiny-1.5/snapshots/abc123");
    expect_found("Org/tiny-1.5@step8", "/snapshots/def456");
    expect_found("Org/tiny-1.5@def456", "/snapshots/def456");
    /* the name of the model, not of the commit or of the blobs */
    char *found = ew_model_locate("Org/tiny-1.5", &err);
    assert_ok(ew_arch_load(&arch, found, &err), err);
    assert_string_equal(arch.name, "tiny-1.5");
    free(found);

    assert_null(ew_model_locate("Org/large", &err));
    assert_message(&err, EW_ERR_INPUT, "Org/large: no such folder, nor is");
    assert_message(&err, EW_ERR_INPUT, "/hub/models--Org--large");
    assert_null(ew_model_locate("Org/tiny-1.5@v9", &err));
    assert_message(&err, EW_ERR_INPUT, "no snapshot of v9");
    assert_null(ew_model_locate("plain", &err));
    assert_message(&err, EW_ERR_INPUT, "no snapshot of main");
    assert_null(ew_model_locate("fancy", &err));
    assert_message(&err, EW_ERR_INPUT,
                   "Hugging Face cache: Org/tiny-1.5, plain");
    assert_null(ew_model_locate("../hub/models--plain", &err));
    assert_null(ew_model_locate("Org/tiny-1.5@../../x", &err));
    assert_null(ew_model_locate("Org/tiny-1.5@", &err));

    /* where it is looked for, the first that is said */
    unsetenv("HF_HUB_CACHE");
    assert_null(ew_model_locate("Org/tiny-1.5", NULL));
    setenv("HF_HOME", dir, 1);
    expect_found("Org/tiny-1.5", "/hub/models--Org--tiny-1.5/snapshots/abc123");
    unsetenv("HF_HOME");
    char *command = ew_xasprintf("cd '%s' && mkdir -p .cache/huggingface && "
                                 "mv hub .cache/huggingface/",
                                 dir);
    assert_int_equal(system(command), 0);
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", dir, 1);
    expect_found("Org/tiny-1.5", "/.cache/huggingface/hub/models--Org--tiny-1.5"
                                 "/snapshots/abc123");
    free(command);
    free(hub);
}

static void reference_configs_are_read(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_arch a;
    if (access(EW_REFERENCE_DIR, R_OK) != 0) {
        return; /* everything else here needs no reference data */
    }
    assert_ok(ew_arch_load(&a, ew_test_reference("acdc/gpt2-shape"), &err),
              err);
    assert_int_equal(a.n_layers * a.n_heads, 144);
    assert_int_equal(a.d_mlp, 3072);
    assert_ok(ew_arch_load(&a, ew_test_reference("acdc/gelu3l"), &err), err);
    assert_int_equal(a.norm, EW_NORM_LN);
    assert_string_equal(a.name, "gelu3l");
    assert_ok(ew_arch_load(
                  &a, ew_test_reference("models/attn2l-induction-gbmi"), &err),
              err);
    assert_int_equal(a.norm, EW_NORM_NONE);
    assert_true(a.attn_scale == 8.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_attn_only_config_is_read),
        cmocka_unit_test(absent_fields_have_transformer_lens_defaults),
        cmocka_unit_test(every_kind_of_block_can_be_said),
        cmocka_unit_test(what_is_wrong_is_said_by_field),
        cmocka_unit_test(a_model_is_a_folder_a_file_or_a_bundled_name),
        cmocka_unit_test(models_are_found_in_the_hugging_face_cache),
        cmocka_unit_test(reference_configs_are_read),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
