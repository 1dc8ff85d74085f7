/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hugging Face's config.json: one reader per family, over the fields that
 * families share. Absent fields mean what transformers' own config classes
 * make of them, or are told to be missing; what is not done here is refused
 * by the field's name.
 */
#include "arch_hf.h"

#include <math.h>
#include <string.h>

#include "family.h"

static const struct ew_family *const families[] = {
    &ew_family_gpt2,    &ew_family_gpt_neox, &ew_family_llama,
    &ew_family_mistral, &ew_family_qwen2,    &ew_family_gemma,
    &ew_family_gemma2,
};

const struct ew_family *ew_family_find(struct ew_fields *f)
{
    const char *type = ew_field_text(f, "model_type", "");
    for (size_t i = 0; i < EW_ARRAY_LEN(families); i++) {
        if (strcmp(type, families[i]->model_type) == 0) {
            return families[i];
        }
    }
    ew_field_reject(f, "model_type",
                    "'%s' is not supported: expected gpt2, gpt_neox, llama, "
                    "mistral, qwen2, gemma or gemma2",
                    type);
    return NULL;
}

static int extent(struct ew_fields *f, const char *key, int64_t absent)
{
    return (int)ew_field_int(f, key, 1, EW_MAX_EXTENT, absent);
}

/* What every family has under one of two sets of names. */
static void read_common(struct ew_config *config, struct ew_fields *f,
                        bool tied)
{
    struct ew_arch *a = &config->arch;
    a->d_vocab = a->d_vocab_out = extent(f, "vocab_size", EW_REQUIRED);
    config->tied = ew_field_flag(f, "tie_word_embeddings", tied);
    a->embed_scale = 1.0;
    a->default_bos = true;
    a->bos_token = (int)ew_field_int(f, "bos_token_id", 0, EW_MAX_EXTENT, -1);
    ew_field_refuse(f, "is_encoder_decoder");
    ew_field_refuse(f, "add_cross_attention");
}

/* Heads of one size that fill d_model. */
static void divide_heads(struct ew_arch *a, struct ew_fields *f,
                         const char *key)
{
    if (!f->failed && a->d_model % a->n_heads != 0) {
        ew_field_reject(f, key, "expected a divisor of %d, found %d",
                        a->d_model, a->n_heads);
        return;
    }
    a->d_head = a->d_model / a->n_heads;
    a->attn_scale = sqrt(a->d_head);
}

void ew_hf_gpt2(struct ew_config *config, struct ew_fields *f)
{
    struct ew_arch *a = &config->arch;
    read_common(config, f, true);
    a->n_layers =
        (int)ew_field_int(f, "n_layer", 1, EW_MAX_LAYERS, EW_REQUIRED);
    a->d_model = extent(f, "n_embd", EW_REQUIRED);
    a->n_heads = a->n_kv_heads = extent(f, "n_head", EW_REQUIRED);
    /* n_ctx is what old files say */
    a->n_ctx =
        extent(f, ew_field_has(f, "n_positions") ? "n_positions" : "n_ctx",
               EW_REQUIRED);
    a->d_mlp = extent(f, "n_inner", 4 * (int64_t)a->d_model);
    divide_heads(a, f, "n_head");
    a->norm = a->final_norm = EW_NORM_LN;
    a->eps = ew_field_positive(f, "layer_norm_epsilon", 1e-5);
    a->act = ew_field_has(f, "activation_function")
                 ? ew_field_act(f, "activation_function")
                 : EW_ACT_GELU_NEW;
    a->pos = EW_POS_STANDARD;
    if (!ew_field_flag(f, "scale_attn_weights", true)) {
        a->attn_scale = 1.0;
    }
    ew_field_refuse(f, "scale_attn_by_inverse_layer_idx");
}

/* ---- the names that all later families share ---- */

static void read_sizes(struct ew_arch *a, struct ew_fields *f)
{
    a->n_layers = (int)ew_field_int(f, "num_hidden_layers", 1, EW_MAX_LAYERS,
                                    EW_REQUIRED);
    a->d_model = extent(f, "hidden_size", EW_REQUIRED);
    a->d_mlp = extent(f, "intermediate_size", EW_REQUIRED);
    a->n_heads = extent(f, "num_attention_heads", EW_REQUIRED);
    a->n_ctx = extent(f, "max_position_embeddings", EW_REQUIRED);
    a->n_kv_heads = extent(f, "num_key_value_heads", a->n_heads);
    if (!f->failed && a->n_heads % a->n_kv_heads != 0) {
        ew_field_reject(f, "num_key_value_heads",
                        "expected a divisor of num_attention_heads %d, found "
                        "%d",
                        a->n_heads, a->n_kv_heads);
    }
    if (ew_field_has(f, "head_dim")) {
        a->d_head = extent(f, "head_dim", EW_REQUIRED);
        a->attn_scale = sqrt(a->d_head);
    } else {
        divide_heads(a, f, "num_attention_heads");
    }
}

/* {"rope_type" or "type": "llama3", ...}; any other kind is refused. */
static void read_rope_scaling(struct ew_arch *a, struct ew_fields *f,
                              const char *key)
{
    const json_t *object = json_object_get(f->object, key);
    if (!ew_field_has(f, key)) {
        return;
    }
    if (!json_is_object(object)) {
        ew_field_reject(f, key, "expected an object, found %s",
                        ew_json_kind(object));
        return;
    }
    struct ew_fields own = {object, f->file, f->err, f->failed};
    const char *type_key =
        ew_field_has(&own, "rope_type") ? "rope_type" : "type";
    const char *type = ew_field_text(&own, type_key, "default");
    a->rotary_base = ew_field_positive(&own, "rope_theta", a->rotary_base);
    if (strcmp(type, "llama3") == 0) {
        a->rope_factor = ew_field_positive(&own, "factor", 8.0);
        a->rope_low_freq_factor =
            ew_field_positive(&own, "low_freq_factor", 1.0);
        a->rope_high_freq_factor =
            ew_field_positive(&own, "high_freq_factor", 4.0);
        a->rope_original_ctx =
            ew_field_positive(&own, "original_max_position_embeddings", 8192.0);
        if (a->rope_high_freq_factor <= a->rope_low_freq_factor) {
            ew_field_reject(&own, "high_freq_factor",
                            "expected more than low_freq_factor %g, found %g",
                            a->rope_low_freq_factor, a->rope_high_freq_factor);
        }
    } else if (strcmp(type, "default") != 0) {
        ew_field_reject(&own, key,
                        "kind '%s' is not supported: expected llama3", type);
    }
    f->failed = own.failed;
}

static void read_rotary(struct ew_arch *a, struct ew_fields *f,
                        const char *base_key, double share)
{
    a->pos = EW_POS_ROTARY;
    a->rotary_base = ew_field_positive(f, base_key, 10000.0);
    a->rotary_dim = (int)(a->d_head * share);
    read_rope_scaling(a, f, "rope_scaling");
    read_rope_scaling(a, f, "rope_parameters");
    if (!f->failed && (a->rotary_dim < 2 || a->rotary_dim % 2 != 0)) {
        ew_field_reject(f, base_key,
                        "%d turning dimensions of a head of %d: expected an "
                        "even number",
                        a->rotary_dim, a->d_head);
    }
}

void ew_hf_gpt_neox(struct ew_config *config, struct ew_fields *f)
{
    struct ew_arch *a = &config->arch;
    read_common(config, f, false);
    read_sizes(a, f);
    a->norm = a->final_norm = EW_NORM_LN;
    a->eps = ew_field_positive(f, "layer_norm_eps", 1e-5);
    a->act = ew_field_act(f, "hidden_act");
    a->parallel = ew_field_flag(f, "use_parallel_residual", true);
    double share = ew_field_positive(f, "rotary_pct", 0.25);
    if (share > 1.0) {
        ew_field_reject(f, "rotary_pct", "expected at most 1, found %g", share);
    }
    read_rotary(
        a, f, ew_field_has(f, "rope_theta") ? "rope_theta" : "rotary_emb_base",
        share);
}

void ew_hf_llama(struct ew_config *config, struct ew_fields *f)
{
    struct ew_arch *a = &config->arch;
    read_common(config, f, false);
    read_sizes(a, f);
    a->norm = a->final_norm = EW_NORM_RMS;
    a->eps = ew_field_positive(f, "rms_norm_eps", 1e-6);
    a->act = ew_field_has(f, "hidden_act") ? ew_field_act(f, "hidden_act")
                                           : EW_ACT_SILU;
    a->gated_mlp = true;
    ew_field_refuse(f, "mlp_bias"); /* of gate and up */
    read_rotary(a, f, "rope_theta", 1.0);
}

void ew_hf_mistral(struct ew_config *config, struct ew_fields *f)
{
    ew_hf_llama(config, f);
    config->arch.window = extent(f, "sliding_window", 0);
}

void ew_hf_qwen2(struct ew_config *config, struct ew_fields *f)
{
    ew_hf_llama(config, f);
    /* its tokenizer has no such token: text starts with its first word */
    config->arch.default_bos = false;
    /* sliding_window stands there unused unless this is on */
    ew_field_refuse(f, "use_sliding_window");
}

void ew_hf_gemma(struct ew_config *config, struct ew_fields *f)
{
    struct ew_arch *a = &config->arch;
    ew_hf_llama(config, f);
    config->tied = ew_field_flag(f, "tie_word_embeddings", true);
    /* the older field, hidden_act, is ignored by transformers too */
    a->act = ew_field_has(f, "hidden_activation")
                 ? ew_field_act(f, "hidden_activation")
                 : EW_ACT_GELU_NEW;
    /* rounded to the type that we compute in */
    a->embed_scale = (float)sqrt(a->d_model);
}

void ew_hf_gemma2(struct ew_config *config, struct ew_fields *f)
{
    struct ew_arch *a = &config->arch;
    ew_hf_gemma(config, f);
    a->attn_scale = sqrt(ew_field_positive(f, "query_pre_attn_scalar", 256.0));
    a->attn_softcap = ew_field_positive(f, "attn_logit_softcapping", 0.0);
    a->logit_softcap = ew_field_positive(f, "final_logit_softcapping", 0.0);
    a->window = extent(f, "sliding_window", 4096);
    a->local_every = 2;
    a->post_norms = true;
}
