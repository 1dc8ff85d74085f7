/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file layouts that models are published in, at a tiny size: shards with
 * an index, types, names with and without their prefix, tied embeddings,
 * buffers of old versions. The weights are those of reference folders, so
 * that logits can be compared with a plain folder of the same numbers; and
 * every thing that may be missing or wrong is told in one line.
 */
#include "edgewise/weights.h"

#include "model_fixture.h"

enum { MAX_SHARDS = 4, PROMPTS = 2, LENGTH = 12 };

/* ---- numbers of fewer bits ---- */

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint16_t to_bf16(float value)
{
    uint32_t bits = bits_of(value);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Cut off, not rounded, and zero under the smallest normal: enough here. */
static uint16_t to_f16(float value)
{
    uint32_t bits = bits_of(value);
    int exponent = (int)(bits >> 23 & 0xff) - 127 + 15;
    uint32_t sign = bits >> 16 & 0x8000;
    assert_true(exponent < 31);
    return (uint16_t)(exponent < 1 ? sign
                                   : sign | (uint32_t)exponent << 10 |
                                         (bits >> 13 & 0x3ff));
}

/* What is left of a number that was written in a type. */
static float rounded(float value, enum ew_dtype dtype)
{
    if (dtype == EW_BF16) {
        return of_bits((uint32_t)to_bf16(value) << 16);
    }
    if (dtype == EW_F16) {
        return to_f16(value) & 0x7c00 ? of_bits(bits_of(value) & 0xffffe000)
                                      : 0.0f;
    }
    return value;
}

/* ---- writing ---- */

struct shard {
    json_t *header;
    struct ew_buf data;
};

static void add_tensor(struct shard *shard, const char *name,
                       const struct ew_weight *w, enum ew_dtype dtype)
{
    json_t *shape = json_array();
    size_t n = 1;
    size_t begin = shard->data.len;
    for (int i = 0; i < w->ndim; i++) {
        json_array_append_new(shape, json_integer(w->shape[i]));
        n *= (size_t)w->shape[i];
    }
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, (const char *)w->data + i * sizeof(value),
               sizeof(value));
        uint16_t half = dtype == EW_BF16  ? to_bf16(value)
                        : dtype == EW_F16 ? to_f16(value)
                                          : 0;
        if (dtype == EW_F32) {
            ew_buf_add_n(&shard->data, (const char *)&value, sizeof(value));
        } else {
            ew_buf_add_n(&shard->data, (const char *)&half, sizeof(half));
        }
    }
    json_object_set_new(shard->header, name,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype",
                                  ew_dtype_name(dtype), "shape", shape,
                                  "data_offsets", (json_int_t)begin,
                                  (json_int_t)shard->data.len));
}

static void write_shard(const char *dir, const char *file, struct shard *shard)
{
    struct ew_buf all = {0};
    char *header = json_dumps(shard->header, JSON_COMPACT);
    uint64_t len = strlen(header);
    for (int i = 0; i < 8; i++) {
        ew_buf_putc(&all, (char)(len >> (8 * i) & 0xff));
    }
    ew_buf_add(&all, header);
    ew_buf_add_n(&all, ew_buf_str(&shard->data), shard->data.len);
    free(write_bytes(dir, file, ew_buf_str(&all), all.len));
    ew_buf_finish(&all);
    ew_buf_finish(&shard->data);
    json_decref(shard->header);
    free(header);
}

/* ---- the published models ---- */

struct published {
    const char *name;
    const char *source; /* the reference folder whose weights these are */
    enum ew_dtype dtype;
    int shards;             /* 0: one model.safetensors */
    const char *drop;       /* a prefix of names that is left out, or NULL */
    const char *buffers[3]; /* "{}" is a layer; one value each */
    /* Fields of the published config.json that say nothing of sizes. */
    const char *config;
};

static const struct published models[] = {
    {"GPT-2 small",
     "hf/gpt2-tiny",
     EW_F32,
     0,
     "transformer.",
     {"h.{}.attn.bias", "h.{}.attn.masked_bias"},
     "{\"architectures\": [\"GPT2LMHeadModel\"], \"n_ctx\": 32,"
     " \"task_specific_params\": {\"text-generation\": {\"do_sample\": true,"
     " \"max_length\": 50}}, \"summary_use_proj\": true}"},
    {"Qwen2.5-0.5B",
     "hf/qwen2-tiny",
     EW_BF16,
     0,
     NULL,
     {NULL},
     "{\"architectures\": [\"Qwen2ForCausalLM\"], \"bos_token_id\": 90,"
     " \"eos_token_id\": 90, \"max_window_layers\": 24, \"sliding_window\":"
     " 32768, \"use_sliding_window\": false, \"use_mrope\": false,"
     " \"torch_dtype\": \"bfloat16\"}"},
    {"Gemma-2-2B",
     "hf/gemma2-tiny",
     EW_F32,
     3,
     NULL,
     {NULL},
     "{\"architectures\": [\"Gemma2ForCausalLM\"], \"hidden_act\":"
     " \"gelu_pytorch_tanh\", \"cache_implementation\": \"hybrid\","
     " \"pad_token_id\": 0, \"torch_dtype\": \"float32\"}"},
    {"Llama-3.1-8B",
     "hf/llama-tiny-rope-llama3",
     EW_BF16,
     4,
     NULL,
     {NULL},
     "{\"architectures\": [\"LlamaForCausalLM\"], \"eos_token_id\": [91, 92,"
     " 93], \"pretraining_tp\": 1, \"attention_bias\": false, \"mlp_bias\":"
     " false, \"torch_dtype\": \"bfloat16\"}"},
    {"Llama-2 of old, with its buffers",
     "hf/llama-tiny",
     EW_F16,
     2,
     NULL,
     {"model.layers.{}.self_attn.rotary_emb.inv_freq"},
     "{\"torch_dtype\": \"float16\"}"},
    {"Pythia",
     "hf/gpt_neox-tiny",
     EW_F16,
     0,
     NULL,
     {"gpt_neox.layers.{}.attention.bias",
      "gpt_neox.layers.{}.attention.masked_bias",
      "gpt_neox.layers.{}.attention.rotary_emb.inv_freq"},
     "{\"architectures\": [\"GPTNeoXForCausalLM\"], \"torch_dtype\":"
     " \"float16\", \"use_cache\": true}"},
    {"a bare Llama, saved without its head's prefix",
     "hf/qwen2-tiny",
     EW_F32,
     0,
     "model.",
     {NULL},
     "{}"},
};

static void write_config(const char *dir, const struct published *p)
{
    struct ew_err err = {0};
    json_t *config = reference_json(p->source, "config.json");
    json_t *fields = ew_json_parse(p->config, strlen(p->config), "test", &err);
    assert_ok(fields, err);
    json_object_update(config, fields);
    char *text = json_dumps(config, JSON_INDENT(2));
    write_text(dir, "config.json", text);
    free(text);
    json_decref(fields);
    json_decref(config);
}

static void add_buffers(struct shard *shard, const struct published *p)
{
    static const float one = 1.0f;
    const struct ew_weight scalar = {.dtype = EW_F32, .data = &one};
    for (size_t i = 0; i < 3 && p->buffers[i]; i++) {
        for (int layer = 0; layer < 3; layer++) {
            const char *braces = strstr(p->buffers[i], "{}");
            char *name = ew_xasprintf("%.*s%d%s", (int)(braces - p->buffers[i]),
                                      p->buffers[i], layer, braces + 2);
            add_tensor(shard, name, &scalar, p->dtype);
            free(name);
        }
    }
}

/* The folder as it is published, but for its size. */
static char *publish(const char *dir, const struct published *p)
{
    struct ew_err err = {0};
    struct shard shards[MAX_SHARDS] = {{0}};
    size_t n_shards = p->shards ? (size_t)p->shards : 1;
    json_t *map = json_object();
    char *folder = ew_path_join(dir, "published");
    char *command = ew_xasprintf("rm -rf '%s' && mkdir '%s'", folder, folder);
    assert_int_equal(system(command), 0);
    struct ew_weights *from =
        ew_weights_open(ew_test_reference(p->source), &err);
    assert_ok(from, err);
    for (size_t i = 0; i < n_shards; i++) {
        shards[i].header =
            json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    }
    size_t n = ew_weights_count(from);
    size_t drop = p->drop ? strlen(p->drop) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct ew_weight *w = ew_weights_at(from, i);
        size_t shard = i * n_shards / n;
        bool starts = drop && strncmp(w->name, p->drop, drop) == 0;
        const char *name = starts ? w->name + drop : w->name;
        char file[64];
        snprintf(file, sizeof(file), "model-%05zu-of-%05zu.safetensors",
                 shard + 1, n_shards);
        add_tensor(&shards[shard], name, w, p->dtype);
        json_object_set_new(map, name, json_string(file));
    }
    add_buffers(&shards[n_shards - 1], p);
    for (size_t i = 0; i < n_shards; i++) {
        char file[64] = "model.safetensors";
        if (p->shards) {
            snprintf(file, sizeof(file), "model-%05zu-of-%05zu.safetensors",
                     i + 1, n_shards);
        }
        write_shard(folder, file, &shards[i]);
    }
    if (p->shards) {
        json_t *index = json_pack("{s:{s:i}, s:O}", "metadata", "total_size",
                                  12345, "weight_map", map);
        char *text = json_dumps(index, JSON_INDENT(2));
        write_text(folder, "model.safetensors.index.json", text);
        free(text);
        json_decref(index);
    }
    write_config(folder, p);
    json_decref(map);
    ew_weights_close(from);
    free(command);
    return folder;
}

/* The same model in one file of F32, its numbers rounded to the type. */
static char *plain_twin(const char *dir, const struct published *p)
{
    struct ew_err err = {0};
    char *folder = ew_path_join(dir, "plain");
    char *command =
        ew_xasprintf("rm -rf '%s' && mkdir '%s' && cp '%s/config.json' '%s'",
                     folder, folder, ew_test_reference(p->source), folder);
    assert_int_equal(system(command), 0);
    struct ew_weights *from =
        ew_weights_open(ew_test_reference(p->source), &err);
    assert_ok(from, err);
    size_t n = ew_weights_count(from);
    struct ew_weight *items = ew_xcalloc(n, sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        items[i] = *ew_weights_at(from, i);
        size_t count = 1;
        for (int d = 0; d < items[i].ndim; d++) {
            count *= (size_t)items[i].shape[d];
        }
        float *values = ew_xcalloc(count + 1, sizeof(*values));
        memcpy(values, items[i].data, count * sizeof(*values));
        for (size_t v = 0; v < count; v++) {
            values[v] = rounded(values[v], p->dtype);
        }
        items[i].data = values;
    }
    char *file = ew_path_join(folder, "model.safetensors");
    assert_ok(ew_weights_write(file, items, n, &err), err);
    for (size_t i = 0; i < n; i++) {
        free((void *)items[i].data);
    }
    free(items);
    free(file);
    free(command);
    ew_weights_close(from);
    return folder;
}

static float *logits_of(const char *what, const char *folder, size_t *n)
{
    struct ew_err err = {0};
    int64_t ids[PROMPTS * LENGTH];
    struct ew_model *m = ew_model_load(folder, (struct ew_device){0}, &err);
    if (!m) {
        fail_msg("%s: %s", what, err.message);
    }
    for (int i = 0; i < PROMPTS * LENGTH; i++) {
        ids[i] = (i * 7 + 3) % m->arch.d_vocab;
    }
    float *logits =
        run_forward(m, ids, PROMPTS, LENGTH, &(struct ew_forward_params){0}, n);
    ew_model_destroy(m);
    return logits;
}

static void published_layouts_are_read(void **state)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(models); i++) {
        const struct published *p = &models[i];
        char *folder = publish(*state, p);
        char *plain = plain_twin(*state, p);
        size_t n;
        size_t m;
        float *found = logits_of(p->name, folder, &n);
        float *expected = logits_of(p->name, plain, &m);
        assert_int_equal(n, m);
        for (size_t v = 0; v < n; v++) {
            assert_near(p->name, v, found[v], expected[v], 1e-6);
        }
        free(found);
        free(expected);
        free(folder);
        free(plain);
    }
}

/* ---- what is missing or wrong ---- */

static const struct {
    size_t model;
    const char *command; /* in the folder */
    enum ew_err_code code;
    const char *message;
} broken[] = {
    {3, "rm model-00002-of-00004.safetensors", EW_ERR_IO,
     "published/model-00002-of-00004.safetensors: No such file"},
    {3, "truncate -s 2000 model-00003-of-00004.safetensors", EW_ERR_INPUT,
     "model-00003-of-00004.safetensors"},
    {3, "cp model-00001-of-00004.safetensors model-00002-of-00004.safetensors",
     EW_ERR_INPUT, "is there twice"},
    {3, "rm model.safetensors.index.json", EW_ERR_INPUT,
     "published: no weights: expected model.safetensors"},
    {3, "printf '{\"weight_map\": {}' > model.safetensors.index.json",
     EW_ERR_INPUT, "model.safetensors.index.json"},
    {3,
     "sed -i 's/\"model.norm.weight\": \"model-0000./&x/' "
     "model.safetensors.index.json",
     EW_ERR_IO, "x-of-00004.safetensors: No such file"},
    {3,
     "sed -i 's/\"lm_head.weight\"/\"lm_head.other_\"/' *.json "
     "model-0000*.safetensors",
     EW_ERR_INPUT, "tensor model.lm_head.weight is missing"},
    {0, "sed -i 's/\"n_embd\": 48/\"n_embd\": 64/' config.json", EW_ERR_INPUT,
     "expected shape [96, 64] by its config.json, found [96, 48]"},
    {0, "sed -i 's/h.1.ln_2.bias/h.1.ln_3.bias/' model.safetensors",
     EW_ERR_INPUT, "tensor transformer.h.1.ln_2.bias is missing"},
    {1, "sed -i 's/\"BF16\"/ \"I16\"/' model.safetensors", EW_ERR_INPUT,
     "expected F32, F16, BF16 or F64, found I16"},
    {1, "rm config.json", EW_ERR_IO, "config.json: No such file"},
    {1, ": > model.safetensors", EW_ERR_INPUT, "model.safetensors: file is"},
    {2, "sed -i 's/\"gemma2\"/\"gemma9\"/' config.json", EW_ERR_INPUT,
     "model_type: 'gemma9' is not supported"},
};

static void what_is_wrong_is_one_line(void **state)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(broken); i++) {
        struct ew_err err = {0};
        char *folder = publish(*state, &models[broken[i].model]);
        char *command =
            ew_xasprintf("cd '%s' && %s", folder, broken[i].command);
        assert_int_equal(system(command), 0);
        struct ew_model *m = ew_model_load(folder, (struct ew_device){0}, &err);
        if (m) {
            fail_msg("%s: is loaded", broken[i].command);
        }
        assert_message(&err, broken[i].code, broken[i].message);
        assert_null(strchr(err.message, '\n'));
        free(command);
        free(folder);
    }
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_layouts_are_read),
        cmocka_unit_test(what_is_wrong_is_one_line),
    };
    ew_test_need(ew_test_reference("hf/gpt2-tiny/model.safetensors"));
    load_torch();
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
