/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hugging Face folders against what transformers and TransformerLens gave:
 * logits, residual streams, attention patterns, every hook, weights as
 * TransformerLens processes them.
 */
#include "edgewise/forward.h"
#include "edgewise/rng.h"

#include "model_fixture.h"

/* ---- every activation of a run, kept ---- */

struct activation {
    char name[96];
    int ndim;
    int64_t shape[EW_MAX_DIMS];
    size_t n;
    float *values;
};

struct record {
    struct activation *items;
    size_t n;
    size_t cap;
};

static void keep_activation(void *user, struct ew_scope *s, const char *name,
                            struct ew_tensor *t)
{
    struct record *r = user;
    r->items = ew_grow(r->items, r->n, &r->cap, sizeof(*r->items));
    struct activation *a = &r->items[r->n++];
    *a = (struct activation){.ndim = ew_ndim(t), .n = (size_t)ew_numel(t)};
    snprintf(a->name, sizeof(a->name), "%s", name);
    for (int i = 0; i < a->ndim; i++) {
        a->shape[i] = ew_dim(t, i);
    }
    a->values = ew_xcalloc(a->n, sizeof(float));
    assert_true(ew_read_f32(s, t, a->values, a->n));
}

static const struct activation *find(const struct record *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->items[i].name, name) == 0) {
            return &r->items[i];
        }
    }
    fail_msg("no hook %s", name);
    return NULL;
}

/* One run with everything kept. */
struct run {
    struct ew_model *m;
    int64_t n_prompts;
    int64_t n_pos;
    int64_t *ids;
    float *logits;
    float *final; /* the unembedding's input */
    struct record record;
};

static struct run start(const char *folder, enum ew_processing processing,
                        const json_t *rows)
{
    struct ew_err err = {0};
    struct run r = {0};
    size_t n;
    const struct ew_load_params params = {.processing = processing};
    r.m = ew_model_load_with(ew_test_reference(folder), &params, &err);
    assert_ok(r.m, err);
    r.ids = token_ids(rows, &r.n_prompts, &r.n_pos);
    r.logits = run_forward(r.m, r.ids, r.n_prompts, r.n_pos,
                           &(struct ew_forward_params){.hook = keep_activation,
                                                       .hook_user = &r.record},
                           &n);
    r.final = run_forward(r.m, r.ids, r.n_prompts, r.n_pos,
                          &(struct ew_forward_params){.no_logits = true}, &n);
    return r;
}

static void stop(struct run *r)
{
    for (size_t i = 0; i < r->record.n; i++) {
        free(r->record.items[i].values);
    }
    free(r->record.items);
    free(r->ids);
    free(r->logits);
    free(r->final);
    ew_model_destroy(r->m);
}

static double l2_of(const float *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)values[i] * values[i];
    }
    return sqrt(sum);
}

/* ---- reference.json ---- */

static void check_logits(const struct run *r, const char *folder,
                         const json_t *expected)
{
    size_t width = (size_t)r->m->arch.d_vocab_out;
    size_t n_pos = (size_t)r->n_pos;
    const json_t *last = json_object_get(expected, "logits_last_position");
    assert_close(folder, r->logits,
                 json_object_get(expected, "logits_row0_all_positions"),
                 n_pos * width, 1e-4);
    assert_close(folder, r->logits + (2 * n_pos - 1) * width,
                 json_object_get(last, "1"), width, 1e-4);
    assert_close(folder, r->logits + (3 * n_pos - 1) * width,
                 json_object_get(last, "2"), width, 1e-4);
}

/* "resid_pre.0" -> "blocks.0.hook_resid_pre" */
static const float *residual(const struct run *r, const char *name)
{
    char hook[64];
    const char *dot = strchr(name, '.');
    if (!dot) {
        return r->final;
    }
    snprintf(hook, sizeof(hook), "blocks.%s.hook_%.*s", dot + 1,
             (int)(dot - name), name);
    return find(&r->record, hook)->values;
}

static void check_residuals(const struct run *r, const json_t *expected)
{
    size_t d = (size_t)r->m->arch.d_model;
    size_t rows = (size_t)(r->n_prompts * r->n_pos);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(expected, "resid"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const float *found = residual(r, name);
        double *norms = ew_xcalloc(rows, sizeof(double));
        assert_int_equal(
            flatten(json_object_get(item, "l2_per_position"), norms, rows),
            rows);
        for (size_t row = 0; row < rows; row++) {
            assert_near(name, row, l2_of(found + row * d, d), norms[row],
                        1e-4 * norms[row] + 1e-5);
        }
        const json_t *first = json_object_get(item, "first4_last_position");
        for (size_t b = 0; b < (size_t)r->n_prompts; b++) {
            size_t row = (b + 1) * (size_t)r->n_pos - 1;
            assert_close(name, found + row * d, json_array_get(first, b), 4,
                         1e-4);
        }
        free(norms);
    }
}

static void check_patterns(const struct run *r, const json_t *expected)
{
    size_t heads = (size_t)r->m->arch.n_heads;
    size_t each = (size_t)(r->n_pos * r->n_pos);
    const json_t *norms =
        json_object_get(expected, "attn_pattern_l2_per_layer_head_row0");
    assert_close("pattern of layer 0",
                 find(&r->record, "blocks.0.attn.hook_pattern")->values,
                 json_object_get(expected, "attn_pattern_layer0_row0"),
                 heads * each, 1e-5);
    size_t layer;
    json_t *row;
    json_array_foreach(norms, layer, row)
    {
        char name[64];
        snprintf(name, sizeof(name), "blocks.%zu.attn.hook_pattern", layer);
        const float *pattern = find(&r->record, name)->values;
        for (size_t h = 0; h < heads; h++) {
            double l2 = json_number_value(json_array_get(row, h));
            assert_near(name, h, l2_of(pattern + h * each, each), l2,
                        1e-4 * l2);
        }
    }
}

/* Mean over prompts and positions of -log p(next token). */
static double mean_loss(const struct run *r)
{
    size_t width = (size_t)r->m->arch.d_vocab_out;
    double sum = 0;
    for (int64_t b = 0; b < r->n_prompts; b++) {
        for (int64_t t = 0; t + 1 < r->n_pos; t++) {
            const float *row = r->logits + (size_t)(b * r->n_pos + t) * width;
            double total = 0;
            for (size_t v = 0; v < width; v++) {
                total += exp(row[v]);
            }
            sum += log(total) - row[r->ids[b * r->n_pos + t + 1]];
        }
    }
    return sum / (double)(r->n_prompts * (r->n_pos - 1));
}

static void check_reference(const char *folder)
{
    json_t *expected = reference_json(folder, "reference.json");
    struct run r =
        start(folder, EW_WEIGHTS_RAW, json_object_get(expected, "input_ids"));
    check_logits(&r, folder, expected);
    check_residuals(&r, expected);
    check_patterns(&r, expected);
    const json_t *loss = json_object_get(expected, "mean_next_token_loss");
    if (loss) {
        assert_near(folder, 0, mean_loss(&r), json_number_value(loss), 1e-5);
    }
    stop(&r);
    json_decref(expected);
}

static void every_family_gives_its_logits(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "hf/gpt2-tiny",
        "hf/gpt2-tiny-sharded",
        "hf/gpt2-tiny-unprefixed",
        "hf/gpt2-tiny-untied-gelu",
        "hf/gpt_neox-tiny",
        "hf/gpt_neox-tiny-seq",
        "hf/llama-tiny",
        "hf/llama-tiny-bf16",
        "hf/llama-tiny-rope-llama3",
        "hf/mistral-tiny",
        "hf/qwen2-tiny",
        "hf/gemma-tiny",
        "hf/gemma2-tiny",
        "models/slm4096",
        "models/stories260K",
        "models/gpt-nano-sort-prefixed",
        "models/attn2l-induction-gbmi",
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(folders); i++) {
        check_reference(folders[i]);
    }
}

/* ---- hooks.json ---- */

static void check_edge_values(const struct activation *found,
                              const json_t *expected, const char *key,
                              size_t from)
{
    const json_t *values = json_object_get(expected, key);
    size_t i;
    json_t *value;
    json_array_foreach(values, i, value)
    {
        if (json_is_number(value)) { /* masked scores are null */
            double number = json_number_value(value);
            assert_near(found->name, from + i, found->values[from + i], number,
                        1e-4 * (1 + fabs(number)));
        }
    }
}

static void check_hook(const struct activation *found, const json_t *expected)
{
    const json_t *shape = json_object_get(expected, "shape");
    assert_string_equal(found->name,
                        json_string_value(json_object_get(expected, "name")));
    assert_int_equal(found->ndim, json_array_size(shape));
    for (int i = 0; i < found->ndim; i++) {
        assert_int_equal(found->shape[i],
                         json_integer_value(json_array_get(shape, (size_t)i)));
    }
    double l2 = json_number_value(json_object_get(expected, "l2"));
    assert_near(found->name, 0, l2_of(found->values, found->n), l2, 1e-4 * l2);
    check_edge_values(found, expected, "first4", 0);
    check_edge_values(found, expected, "last4", found->n - 4);
}

static void check_hooks(const struct run *r, const json_t *hooks)
{
    size_t i;
    json_t *hook;
    assert_int_equal(r->record.n, json_array_size(hooks));
    json_array_foreach(hooks, i, hook)
    {
        check_hook(&r->record.items[i], hook);
    }
}

static void every_family_has_transformer_lens_hooks(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "hf/gpt2-tiny",
        "hf/gpt2-tiny-unprefixed",
        "hf/gpt2-tiny-untied-gelu",
        "hf/gpt_neox-tiny",
        "hf/gpt_neox-tiny-seq",
        "hf/llama-tiny",
        "hf/qwen2-tiny",
        "hf/gemma2-tiny",
        "models/slm4096",
        "models/gpt-nano-sort-prefixed",
        "models/attn2l-induction-gbmi",
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(folders); i++) {
        json_t *file = reference_json(folders[i], "hooks.json");
        struct run r = start(folders[i], EW_WEIGHTS_RAW,
                             json_object_get(file, "input_ids"));
        check_hooks(&r, json_object_get(file, "hooks"));
        stop(&r);
        json_decref(file);
    }
}

/* ---- processed weights ---- */

static void check_weight(const char *name, const struct ew_tensor *found,
                         const json_t *expected)
{
    struct ew_err err = {0};
    struct ew_scope *s = ew_scope_open((struct ew_device){0});
    size_t n = (size_t)ew_numel(found);
    float *values = ew_xcalloc(n, sizeof(float));
    bool read = ew_read_f32(s, found, values, n);
    assert_ok(ew_scope_finish(s, &err) && read, err);
    double l2 = json_number_value(json_object_get(expected, "l2"));
    assert_near(name, 0, l2_of(values, n), l2, 1e-4 * l2 + 1e-6);
    assert_close(name, values, json_object_get(expected, "first4"), 4, 1e-4);
    free(values);
}

/* Those that stand in the model as they are listed. */
static void check_weights(const struct ew_model *m, const json_t *list)
{
    const struct {
        const char *name;
        const struct ew_tensor *t;
    } known[] = {
        {"embed.W_E", m->w_e},
        {"pos_embed.W_pos", m->w_pos},
        {"blocks.0.attn.b_O", m->layers[0].b_o},
        {"blocks.1.attn.W_O", m->layers[1].w_o},
        {"blocks.1.mlp.W_in", m->layers[1].w_in},
        {"blocks.1.mlp.b_in", m->layers[1].b_in},
        {"blocks.1.mlp.W_out", m->layers[1].w_out},
        {"blocks.1.mlp.b_out", m->layers[1].b_out},
        {"unembed.W_U", m->w_u},
        {"unembed.b_U", m->b_u},
    };
    size_t i;
    size_t n_checked = 0;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        for (size_t k = 0; k < EW_ARRAY_LEN(known); k++) {
            if (strcmp(name, known[k].name) == 0) {
                check_weight(name, known[k].t, item);
                n_checked++;
            }
        }
    }
    assert_int_equal(n_checked, EW_ARRAY_LEN(known) - (m->w_pos ? 0 : 1));
}

static void processed_weights_are_transformer_lens_own(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "hf/gpt2-tiny",
        "hf/gpt_neox-tiny",
        "models/slm4096",
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(folders); i++) {
        json_t *file = reference_json(folders[i], "hooks_processed.json");
        struct run r = start(folders[i], EW_WEIGHTS_TL,
                             json_object_get(file, "input_ids"));
        size_t width = (size_t)r.m->arch.d_vocab_out;
        assert_int_equal(r.m->arch.norm, EW_NORM_LN_PRE);
        check_weights(r.m, json_object_get(file, "weights"));
        check_hooks(&r, json_object_get(file, "hooks"));
        assert_close(folders[i], r.logits + (size_t)(r.n_pos - 1) * width,
                     json_object_get(file, "logits_row0_last"), width, 1e-4);
        stop(&r);
        json_decref(file);
    }
}

/* In every family, processing changes nothing that a softmax sees. */
static void processing_keeps_probabilities(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "hf/llama-tiny",
        "hf/qwen2-tiny",
        "hf/gemma-tiny",
        "hf/gemma2-tiny",
        "hf/gpt_neox-tiny-seq",
        "hf/mistral-tiny",
        "acdc/induction-2l",
        "acdc/gelu3l",
        "models/attn2l-induction-gbmi",
    };
    const int64_t ids[] = {3, 1, 4, 1, 5, 9, 2, 6};
    for (size_t f = 0; f < EW_ARRAY_LEN(folders); f++) {
        struct ew_err err = {0};
        size_t n;
        struct ew_model *raw = reference_model(folders[f]);
        const struct ew_load_params params = {.processing = EW_WEIGHTS_TL};
        struct ew_model *tl =
            ew_model_load_with(ew_test_reference(folders[f]), &params, &err);
        assert_ok(tl, err);
        float *a = run_forward(raw, ids, 1, 8, NULL, &n);
        float *b = run_forward(tl, ids, 1, 8, NULL, &n);
        size_t width = (size_t)raw->arch.d_vocab_out;
        for (size_t i = 0; i < n; i++) {
            size_t row = i - i % width;
            assert_near(folders[f], i, b[i] - b[row], a[i] - a[row], 1e-4);
        }
        free(a);
        free(b);
        ew_model_destroy(raw);
        ew_model_destroy(tl);
    }
}

/* ---- config.json ---- */

static const struct {
    const char *text;
    const char *message;
} refused[] = {
    {"{\"model_type\": \"bert\"}",
     "model_type: 'bert' is not supported: expected gpt2, gpt_neox, llama"},
    {"{\"model_type\": \"gpt2\", \"vocab_size\": 5}", "n_layer: missing"},
    {"{\"model_type\": \"gpt2\", \"vocab_size\": 5, \"n_layer\": 1,"
     " \"n_embd\": 10, \"n_head\": 3, \"n_positions\": 8}",
     "n_head: expected a divisor of 10, found 3"},
    {"{\"model_type\": \"gpt2\", \"vocab_size\": 5, \"n_layer\": 1,"
     " \"n_embd\": 9, \"n_head\": 3, \"n_positions\": 8,"
     " \"scale_attn_by_inverse_layer_idx\": true}",
     "scale_attn_by_inverse_layer_idx: not supported"},
    {"{\"model_type\": \"llama\", \"vocab_size\": 5, \"hidden_size\": 8,"
     " \"num_hidden_layers\": 1, \"intermediate_size\": 4,"
     " \"num_attention_heads\": 2, \"max_position_embeddings\": 8,"
     " \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4}}",
     "rope_scaling: kind 'yarn' is not supported: expected llama3"},
    {"{\"model_type\": \"qwen2\", \"vocab_size\": 5, \"hidden_size\": 8,"
     " \"num_hidden_layers\": 1, \"intermediate_size\": 4,"
     " \"num_attention_heads\": 2, \"max_position_embeddings\": 8,"
     " \"use_sliding_window\": true}",
     "use_sliding_window: not supported"},
    {"{\"model_type\": \"llama\", \"vocab_size\": 5, \"hidden_size\": 8,"
     " \"num_hidden_layers\": 1, \"intermediate_size\": 4,"
     " \"num_attention_heads\": 2, \"max_position_embeddings\": 8,"
     " \"mlp_bias\": true}",
     "mlp_bias: not supported"},
};

static void unknown_families_are_refused(void **state)
{
    (void)state;
    char *dir = temp_dir();
    for (size_t i = 0; i < EW_ARRAY_LEN(refused); i++) {
        struct ew_err err = {0};
        struct ew_arch arch;
        write_text(dir, "config.json", refused[i].text);
        assert_false(ew_arch_load(&arch, dir, &err));
        assert_message(&err, EW_ERR_INPUT, refused[i].message);
    }
    temp_dir_remove(dir);
}

static void parameters_have_transformer_lens_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "embed.W_E",          "blocks.0.ln1.w",      "blocks.0.ln1_post.w",
        "blocks.0.ln2.w",     "blocks.0.ln2_post.w", "blocks.0.attn.W_Q",
        "blocks.0.attn.W_O",  "blocks.0.attn.b_Q",   "blocks.0.attn.b_O",
        "blocks.0.attn._W_K", "blocks.0.attn._W_V",  "blocks.0.attn._b_K",
        "blocks.0.attn._b_V", "blocks.0.mlp.W_in",   "blocks.0.mlp.W_gate",
        "blocks.0.mlp.W_out", "blocks.0.mlp.b_in",   "blocks.0.mlp.b_out",
        "blocks.1.ln1.w",
    };
    struct ew_err err = {0};
    struct ew_param *params;
    size_t n;
    assert_ok(
        ew_model_params(ew_test_reference("hf/gemma2-tiny"), &params, &n, &err),
        err);
    for (size_t i = 0; i < EW_ARRAY_LEN(names); i++) {
        assert_string_equal(params[i].name, names[i]);
    }
    assert_int_equal(params[9].shape[0], 2); /* (2, 48, 16): grouped */
    assert_int_equal(params[9].shape[1], 48);
    free(params);

    assert_ok(ew_model_params(ew_test_reference("hf/llama-tiny-bf16"), &params,
                              &n, &err),
              err);
    assert_int_equal(params[0].dtype, EW_BF16);
    free(params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_families_are_refused),
        cmocka_unit_test(parameters_have_transformer_lens_names),
        cmocka_unit_test(every_family_gives_its_logits),
        cmocka_unit_test(every_family_has_transformer_lens_hooks),
        cmocka_unit_test(processed_weights_are_transformer_lens_own),
        cmocka_unit_test(processing_keeps_probabilities),
    };
    ew_test_need(ew_test_reference("hf/gpt2-tiny/model.safetensors"));
    load_torch();
    return cmocka_run_group_tests(tests, NULL, no_handle_is_left);
}
