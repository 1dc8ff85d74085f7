/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: tensors are where the forward wants them, parameters are listed in
 * TransformerLens's order, wrong files are refused with everything a user
 * needs to mend them, and nothing is left behind.
 */
#include "edgewise/model.h"

#include "model_fixture.h"

static const struct ew_device cpu = {0};

static void read_tensor(const struct ew_tensor *t, float *out, size_t n)
{
    struct ew_err err = {0};
    struct ew_scope *s = ew_scope_open(cpu);
    assert_int_equal(ew_numel(t), n);
    bool read = ew_read_f32(s, t, out, n);
    assert_ok(ew_scope_finish(s, &err) && read, err);
}

static void projections_stand_side_by_side(void **state)
{
    (void)state;
    ew_test_need(ew_test_reference("acdc/induction-2l/model.safetensors"));
    struct ew_model *m = reference_model("acdc/induction-2l");
    enum { D = 128, H = 4, K = 32, C = 3 * H * K };
    static float qkv[D * C];
    const struct ew_weight *w_k =
        ew_weights_find(m->files, "blocks.1.attn.W_K");
    const float *file = w_k->data;
    read_tensor(m->layers[1].w_qkv, qkv, EW_ARRAY_LEN(qkv));
    /* head 2 of k, input 5, column 7 */
    assert_true(qkv[5 * C + H * K + 2 * K + 7] == file[(2 * D + 5) * K + 7]);
    assert_int_equal(ew_dim(m->layers[1].w_o, 0), H * K);
    assert_null(m->layers[0].w_in);
    assert_null(m->layers[0].ln1.w);
    assert_null(m->rotary_cos);
    assert_int_equal(strlen(m->hash), 16);

    /* borrowed from the map: no copy was made */
    const struct ew_weight *w_e = ew_weights_find(m->files, "embed.W_E");
    assert_ptr_equal(ew_data_f32(m->w_e), w_e->data);
    const struct ew_weight *w_o =
        ew_weights_find(m->files, "blocks.0.attn.W_O");
    assert_ptr_equal(ew_data_f32(m->layers[0].w_o), w_o->data);
    ew_model_destroy(m);
    ew_model_destroy(NULL);
}

/* ---- a small model in a temporary folder ---- */

#define CONFIG                                                                 \
    "{\"n_layers\": 1, \"d_model\": 4, \"n_ctx\": 3, \"n_heads\": 2,"          \
    " \"d_head\": 2, \"d_vocab\": 5, \"d_mlp\": 6, \"act_fn\": \"relu\","      \
    " \"normalization_type\": \"LN\"}"

static const struct ew_weight small[] = {
    {.name = "unembed.W_U", .ndim = 2, .shape = {4, 5}},
    {.name = "embed.W_E", .ndim = 2, .shape = {5, 4}},
    {.name = "pos_embed.W_pos", .ndim = 2, .shape = {3, 4}},
    {.name = "blocks.0.ln1.w", .ndim = 1, .shape = {4}},
    {.name = "blocks.0.ln1.b", .ndim = 1, .shape = {4}},
    {.name = "blocks.0.ln2.w", .ndim = 1, .shape = {4}},
    {.name = "blocks.0.ln2.b", .ndim = 1, .shape = {4}},
    {.name = "blocks.0.attn.W_Q", .ndim = 3, .shape = {2, 4, 2}},
    {.name = "blocks.0.attn.W_K", .ndim = 3, .shape = {2, 4, 2}},
    {.name = "blocks.0.attn.W_V", .ndim = 3, .shape = {2, 4, 2}},
    {.name = "blocks.0.attn.W_O", .ndim = 3, .shape = {2, 2, 4}},
    {.name = "blocks.0.attn.mask", .ndim = 2, .shape = {3, 3}},
    {.name = "blocks.0.mlp.W_in", .ndim = 2, .shape = {4, 6}},
    {.name = "blocks.0.mlp.W_out", .ndim = 2, .shape = {6, 4}},
    {.name = "ln_final.w", .ndim = 1, .shape = {4}},
    {.name = "ln_final.b", .ndim = 1, .shape = {4}},
};
enum { N_SMALL = EW_ARRAY_LEN(small) };

/* Write the small model with tensor `skip` left out, or with another shape
 * or type for tensor `change`. */
static char *small_model(size_t skip, size_t change, struct ew_weight changed)
{
    static float values[64];
    struct ew_weight items[N_SMALL];
    struct ew_err err = {0};
    char *dir = temp_dir();
    size_t n = 0;
    for (size_t i = 0; i < EW_ARRAY_LEN(values); i++) {
        values[i] = (float)i * 0.01f;
    }
    for (size_t i = 0; i < N_SMALL; i++) {
        if (i == skip) {
            continue;
        }
        items[n] = small[i];
        if (i == change) {
            items[n].ndim = changed.ndim;
            memcpy(items[n].shape, changed.shape, sizeof(changed.shape));
        }
        items[n++].data = values;
    }
    char *path = ew_path_join(dir, "model.safetensors");
    assert_ok(ew_weights_write(path, items, n, &err), err);
    write_text(dir, "config.json", CONFIG);
    free(path);
    return dir;
}

static char *whole_small_model(void)
{
    return small_model(SIZE_MAX, SIZE_MAX, small[0]);
}

static void missing_biases_are_zero(void **state)
{
    (void)state;
    struct ew_err err = {0};
    char *dir = whole_small_model();
    struct ew_model *m = ew_model_load(dir, cpu, &err);
    assert_ok(m, err);
    float bias[12];
    read_tensor(m->layers[0].b_qkv, bias, 12);
    for (size_t i = 0; i < 12; i++) {
        assert_true(bias[i] == 0.0f);
    }
    read_tensor(m->layers[0].b_o, bias, 4);
    assert_true(bias[3] == 0.0f);
    assert_null(m->layers[0].b_in);
    assert_null(m->b_u);
    ew_model_destroy(m);
    temp_dir_remove(dir);
}

static void expect_refused(char *dir, enum ew_err_code code, const char *part)
{
    struct ew_err err = {0};
    struct ew_param *params;
    size_t n;
    assert_null(ew_model_load(dir, cpu, &err));
    assert_message(&err, code, part);
    err = (struct ew_err){0};
    assert_false(ew_model_params(dir, &params, &n, &err));
    assert_message(&err, code, part);
    temp_dir_remove(dir);
}

static void wrong_models_are_refused_by_tensor(void **state)
{
    (void)state;
    struct ew_weight wrong = {.ndim = 3, .shape = {2, 4, 3}};
    expect_refused(small_model(SIZE_MAX, 7, wrong), EW_ERR_INPUT,
                   "model.safetensors: tensor blocks.0.attn.W_Q: expected "
                   "shape [2, 4, 2] by its config.json, found [2, 4, 3]");
    wrong = (struct ew_weight){.ndim = 1, .shape = {20}};
    expect_refused(small_model(SIZE_MAX, 1, wrong), EW_ERR_INPUT,
                   "tensor embed.W_E: expected shape [5, 4] by its "
                   "config.json, found [20]");
    expect_refused(small_model(10, SIZE_MAX, wrong), EW_ERR_INPUT,
                   "model.safetensors: tensor blocks.0.attn.W_O is missing");
    expect_refused(small_model(15, SIZE_MAX, wrong), EW_ERR_INPUT,
                   "tensor ln_final.b is missing");

    char *dir = temp_dir();
    write_text(dir, "config.json", CONFIG);
    expect_refused(dir, EW_ERR_INPUT, "no weights");
    dir = whole_small_model();
    free(write_safetensors(dir, "model.safetensors",
                           "{\"embed.W_E\": {\"dtype\": \"I64\", \"shape\":"
                           " [5, 4], \"data_offsets\": [0, 160]}}",
                           160));
    expect_refused(dir, EW_ERR_INPUT,
                   "tensor embed.W_E: expected F32, F16, BF16 or F64, found "
                   "I64");
}

static void the_hash_follows_the_weights(void **state)
{
    (void)state;
    struct ew_err err = {0};
    char *one = whole_small_model();
    char *two = whole_small_model();
    char *path = ew_path_join(two, "model.safetensors");
    struct ew_model *a = ew_model_load(one, cpu, &err);
    assert_ok(a, err);
    struct ew_model *b = ew_model_load(two, cpu, &err);
    assert_ok(b, err);
    assert_string_equal(a->hash, b->hash);
    ew_model_destroy(b);

    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -1, SEEK_END), 0);
    assert_int_equal(fputc('?', file), '?');
    fclose(file);
    b = ew_model_load(path, cpu, &err); /* a file will do as well */
    assert_ok(b, err);
    assert_string_not_equal(a->hash, b->hash);
    ew_model_destroy(a);
    ew_model_destroy(b);
    free(path);
    temp_dir_remove(one);
    temp_dir_remove(two);
}

/* ---- listing ---- */

static void assert_params(const char *dir, const char *const *names, size_t n)
{
    struct ew_err err = {0};
    struct ew_param *params;
    size_t found;
    assert_ok(ew_model_params(dir, &params, &found, &err), err);
    for (size_t i = 0; i < n && i < found; i++) {
        assert_string_equal(params[i].name, names[i]);
    }
    assert_int_equal(found, n);
    free(params);
}

static void parameters_are_in_transformer_lens_order(void **state)
{
    (void)state;
    static const char *const names[] = {
        "embed.W_E",         "pos_embed.W_pos",    "blocks.0.ln1.w",
        "blocks.0.ln1.b",    "blocks.0.ln2.w",     "blocks.0.ln2.b",
        "blocks.0.attn.W_Q", "blocks.0.attn.W_O",  "blocks.0.attn.b_Q",
        "blocks.0.attn.b_O", "blocks.0.attn.W_K",  "blocks.0.attn.W_V",
        "blocks.0.attn.b_K", "blocks.0.attn.b_V",  "blocks.0.mlp.W_in",
        "blocks.0.mlp.b_in", "blocks.0.mlp.W_out", "blocks.0.mlp.b_out",
        "ln_final.w",        "ln_final.b",         "unembed.W_U",
        "unembed.b_U",
    };
    char *dir = whole_small_model();
    assert_params(dir, names, EW_ARRAY_LEN(names));
    temp_dir_remove(dir);
}

/* The true shapes of the published attn-only-2l: 210 MB, made here. */
static void attn_only_2l_is_loaded_and_listed(void **state)
{
    (void)state;
    static const char *const names[] = {
        "embed.W_E",         "pos_embed.W_pos",   "blocks.0.attn.W_Q",
        "blocks.0.attn.W_O", "blocks.0.attn.b_Q", "blocks.0.attn.b_O",
        "blocks.0.attn.W_K", "blocks.0.attn.W_V", "blocks.0.attn.b_K",
        "blocks.0.attn.b_V", "blocks.1.attn.W_Q", "blocks.1.attn.W_O",
        "blocks.1.attn.b_Q", "blocks.1.attn.b_O", "blocks.1.attn.W_K",
        "blocks.1.attn.W_V", "blocks.1.attn.b_K", "blocks.1.attn.b_V",
        "unembed.W_U",       "unembed.b_U",
    };
    enum { D = 512, V = 48262, N = EW_ARRAY_LEN(names) };
    struct ew_weight items[N];
    struct ew_err err = {0};
    float *values = ew_xcalloc((size_t)D * V, sizeof(float));
    for (size_t i = 0; i < (size_t)D * V; i++) {
        values[i] = (float)(i * 2654435761u % 1000) * 1e-4f - 0.05f;
    }
    for (size_t i = 0; i < N; i++) {
        const char *field = strrchr(names[i], '.') + 1;
        struct ew_weight *w = &items[i];
        *w = (struct ew_weight){
            .name = names[i], .data = values, .ndim = 3, .shape = {8, D, 64}};
        if (strcmp(field, "W_E") == 0) {
            *w = (struct ew_weight){.ndim = 2, .shape = {V, D}};
        } else if (strcmp(field, "W_pos") == 0) {
            *w = (struct ew_weight){.ndim = 2, .shape = {1024, D}};
        } else if (strcmp(field, "W_U") == 0) {
            *w = (struct ew_weight){.ndim = 2, .shape = {D, V}};
        } else if (strcmp(field, "W_O") == 0) {
            *w = (struct ew_weight){.ndim = 3, .shape = {8, 64, D}};
        } else if (strcmp(field, "b_O") == 0) {
            *w = (struct ew_weight){.ndim = 1, .shape = {D}};
        } else if (strcmp(field, "b_U") == 0) {
            *w = (struct ew_weight){.ndim = 1, .shape = {V}};
        } else if (field[0] == 'b') {
            *w = (struct ew_weight){.ndim = 2, .shape = {8, 64}};
        }
        w->name = names[i];
        w->data = values;
    }
    char *dir = temp_dir();
    char *path = ew_path_join(dir, "model.safetensors");
    assert_ok(ew_weights_write(path, items, N, &err), err);
    free(values);
    write_text(dir, "config.json",
               "{\"d_model\": 512, \"n_layers\": 2, \"d_mlp\": -1,"
               " \"d_head\": 64, \"n_heads\": 8, \"n_ctx\": 1024,"
               " \"d_vocab\": 48262, \"act_fn\": null, \"attn_only\": true,"
               " \"normalization\": \"LNPre\", \"final_rms\": false}");
    assert_params(dir, names, N);
    struct ew_model *m = ew_model_load(dir, cpu, &err);
    assert_ok(m, err);
    assert_int_equal(ew_dim(m->w_u, 1), V);
    size_t n;
    const int64_t ids[] = {0, 48261, 7};
    float *logits = run_forward(
        m, ids, 1, 3, &(struct ew_forward_params){.last_only = true}, &n);
    assert_int_equal(n, V);
    free(logits);
    ew_model_destroy(m);
    free(path);
    temp_dir_remove(dir);
}

/* ---- random models ---- */

static void random_models_depend_on_the_seed_alone(void **state)
{
    (void)state;
    const struct ew_arch arch = {
        .n_layers = 2,
        .n_heads = 4,
        .n_kv_heads = 2,
        .d_model = 16,
        .d_head = 4,
        .d_mlp = 24,
        .d_vocab = 11,
        .d_vocab_out = 11,
        .n_ctx = 10,
        .norm = EW_NORM_RMS,
        .final_norm = EW_NORM_RMS,
        .eps = 1e-6,
        .act = EW_ACT_SILU,
        .gated_mlp = true,
        .pos = EW_POS_ROTARY,
        .rotary_dim = 4,
        .rotary_base = 1e4,
        .attn_scale = 2.0,
        .embed_scale = 1.0,
    };
    struct ew_err err = {0};
    struct ew_model *a = ew_model_random(&arch, 1, cpu, &err);
    assert_ok(a, err);
    struct ew_model *b = ew_model_random(&arch, 1, cpu, &err);
    assert_ok(b, err);
    struct ew_model *c = ew_model_random(&arch, 2, cpu, &err);
    assert_ok(c, err);
    float x[16 * 32];
    float y[16 * 32];
    float z[16 * 32];
    read_tensor(a->layers[1].w_qkv, x, EW_ARRAY_LEN(x));
    read_tensor(b->layers[1].w_qkv, y, EW_ARRAY_LEN(y));
    read_tensor(c->layers[1].w_qkv, z, EW_ARRAY_LEN(z));
    assert_memory_equal(x, y, sizeof(x));
    assert_memory_not_equal(x, z, sizeof(x));
    assert_int_equal(ew_dim(a->rotary_cos, 0), 10);
    ew_model_destroy(a);
    ew_model_destroy(b);
    ew_model_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_biases_are_zero),
        cmocka_unit_test(wrong_models_are_refused_by_tensor),
        cmocka_unit_test(the_hash_follows_the_weights),
        cmocka_unit_test(parameters_are_in_transformer_lens_order),
        cmocka_unit_test(attn_only_2l_is_loaded_and_listed),
        cmocka_unit_test(random_models_depend_on_the_seed_alone),
        cmocka_unit_test(projections_stand_side_by_side),
    };
    load_torch();
    return cmocka_run_group_tests(tests, NULL, no_handle_is_left);
}
