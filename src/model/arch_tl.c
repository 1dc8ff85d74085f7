/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TransformerLens's HookedTransformerConfig, and the configs that were
 * published beside its own models. Absent fields mean what they mean there;
 * a field that asks for what is not done here is refused by name.
 */
#include <math.h>
#include <string.h>

#include "config.h"

static void read_sizes(struct ew_arch *a, struct ew_fields *f)
{
    a->n_layers =
        (int)ew_field_int(f, "n_layers", 1, EW_MAX_LAYERS, EW_REQUIRED);
    a->d_model = (int)ew_field_int(f, "d_model", 1, EW_MAX_EXTENT, EW_REQUIRED);
    a->n_ctx = (int)ew_field_int(f, "n_ctx", 1, EW_MAX_EXTENT, EW_REQUIRED);
    a->d_vocab = (int)ew_field_int(f, "d_vocab", 1, EW_MAX_EXTENT, EW_REQUIRED);
    a->d_vocab_out = (int)ew_field_int(f, "d_vocab_out", 1, EW_MAX_EXTENT, -1);
    if (a->d_vocab_out < 0) {
        a->d_vocab_out = a->d_vocab;
    }
    /* Either of n_heads and d_head gives the other. */
    a->d_head = (int)ew_field_int(f, "d_head", 1, EW_MAX_EXTENT, -1);
    a->n_heads = (int)ew_field_int(f, "n_heads", 1, EW_MAX_EXTENT, -1);
    if (a->d_head < 0 && a->n_heads < 0) {
        ew_field_reject(f, "n_heads", "missing");
    } else if (a->d_head < 0) {
        a->d_head = a->d_model / a->n_heads;
    } else if (a->n_heads < 0) {
        a->n_heads = a->d_model / a->d_head;
    }
    if (!f->failed && (a->d_head < 1 || a->n_heads < 1)) {
        ew_field_reject(f, "n_heads", "no head fits into d_model %d",
                        a->d_model);
    }
    a->n_kv_heads =
        (int)ew_field_int(f, "n_key_value_heads", 1, EW_MAX_EXTENT, a->n_heads);
    if (!f->failed && a->n_heads % a->n_kv_heads != 0) {
        ew_field_reject(f, "n_key_value_heads",
                        "expected a divisor of n_heads %d, found %d",
                        a->n_heads, a->n_kv_heads);
    }
}

static const struct {
    const char *name;
    enum ew_norm_kind norm;
    enum ew_norm_kind final_rms;
} norms[] = {
    {"LN", EW_NORM_LN, EW_NORM_RMS},
    {"LNPre", EW_NORM_LN_PRE, EW_NORM_RMS_PRE},
    {"RMS", EW_NORM_RMS, EW_NORM_RMS},
    {"RMSPre", EW_NORM_RMS_PRE, EW_NORM_RMS_PRE},
};

static void read_norm(struct ew_arch *a, struct ew_fields *f)
{
    /* The published configs say "normalization", the class the other. */
    const char *key = "normalization";
    if (!json_object_get(f->object, key)) {
        key = "normalization_type";
    }
    bool final_rms = ew_field_flag(f, "final_rms", false);
    a->eps = ew_field_positive(f, "eps", 1e-5);
    if (json_is_null(json_object_get(f->object, key))) {
        a->norm = a->final_norm = EW_NORM_NONE;
        return;
    }
    const char *name = ew_field_text(f, key, "LN");
    for (size_t i = 0; i < EW_ARRAY_LEN(norms); i++) {
        if (strcmp(name, norms[i].name) == 0) {
            a->norm = norms[i].norm;
            a->final_norm = final_rms ? norms[i].final_rms : norms[i].norm;
            return;
        }
    }
    ew_field_reject(
        f, key, "expected LN, LNPre, RMS, RMSPre or null, found '%s'", name);
}

static void read_mlp(struct ew_arch *a, struct ew_fields *f)
{
    a->parallel = ew_field_flag(f, "parallel_attn_mlp", false);
    if (ew_field_flag(f, "attn_only", false)) {
        a->parallel = false;
        return;
    }
    a->d_mlp = (int)ew_field_int(f, "d_mlp", 1, EW_MAX_EXTENT, -1);
    if (a->d_mlp < 0) {
        a->d_mlp = 4 * a->d_model;
    }
    a->act = ew_field_act(f, "act_fn");
    a->gated_mlp = ew_field_flag(f, "gated_mlp", false);
}

static void read_rope_scaling(struct ew_arch *a, struct ew_fields *f)
{
    if (!ew_field_flag(f, "use_NTK_by_parts_rope", false)) {
        return;
    }
    a->rope_factor = ew_field_positive(f, "NTK_by_parts_factor", 8.0);
    a->rope_low_freq_factor =
        ew_field_positive(f, "NTK_by_parts_low_freq_factor", 1.0);
    a->rope_high_freq_factor =
        ew_field_positive(f, "NTK_by_parts_high_freq_factor", 4.0);
    a->rope_original_ctx = ew_field_positive(f, "NTK_original_ctx_len", 8192.0);
}

static void read_positions(struct ew_arch *a, struct ew_fields *f)
{
    const char *key = "positional_embedding_type";
    const char *name = ew_field_text(f, key, "standard");
    ew_field_refuse(f, "shortformer_pos");
    ew_field_refuse(f, "rotary_adjacent_pairs");
    if (strcmp(name, "standard") == 0) {
        a->pos = EW_POS_STANDARD;
    } else if (strcmp(name, "none") == 0) {
        a->pos = EW_POS_NONE;
    } else if (strcmp(name, "rotary") == 0) {
        a->pos = EW_POS_ROTARY;
        a->rotary_dim =
            (int)ew_field_int(f, "rotary_dim", 2, a->d_head, a->d_head);
        a->rotary_base = ew_field_positive(f, "rotary_base", 10000.0);
        if (a->rotary_dim % 2 != 0) {
            ew_field_reject(f, "rotary_dim",
                            "expected an even number, "
                            "found %d",
                            a->rotary_dim);
        }
        read_rope_scaling(a, f);
    } else {
        ew_field_reject(f, key,
                        "'%s' is not supported: expected standard, rotary "
                        "or none",
                        name);
    }
}

/*
 * Which layers look at a window only. One period is all that ew_arch can
 * say: every layer, or every n-th from the first.
 */
static void read_window(struct ew_arch *a, struct ew_fields *f)
{
    if (!ew_field_flag(f, "use_local_attn", false)) {
        return;
    }
    const char *key = "attn_types";
    const json_t *types = json_object_get(f->object, key);
    int period = 0;
    a->window =
        (int)ew_field_int(f, "window_size", 1, EW_MAX_EXTENT, EW_REQUIRED);
    if (!json_is_array(types) || json_array_size(types) < (size_t)a->n_layers) {
        ew_field_reject(f, key,
                        "expected \"global\" or \"local\" for each "
                        "layer");
        return;
    }
    for (int l = 1; l < a->n_layers && period == 0; l++) {
        const char *type = json_string_value(json_array_get(types, (size_t)l));
        if (type && strcmp(type, "local") == 0) {
            period = l;
        }
    }
    for (int l = 0; l < a->n_layers; l++) {
        const char *type = json_string_value(json_array_get(types, (size_t)l));
        bool local = period ? l % period == 0 : l == 0;
        if (!type || strcmp(type, local ? "local" : "global") != 0) {
            ew_field_reject(f, key,
                            "this order of local and global layers "
                            "is not supported");
            return;
        }
    }
    if (period == 0) {
        period = a->n_layers;
    }
    if (period > UINT8_MAX) {
        ew_field_reject(f, key, "local layers are too far apart");
    }
    a->local_every = (uint8_t)period;
}

static void read_attention(struct ew_arch *a, struct ew_fields *f)
{
    const char *direction = ew_field_text(f, "attention_dir", "causal");
    if (strcmp(direction, "causal") != 0) {
        ew_field_reject(f, "attention_dir",
                        "'%s' is not supported: expected causal", direction);
    }
    ew_field_refuse(f, "scale_attn_by_inverse_layer_idx");
    ew_field_refuse(f, "use_qk_norm");
    a->attn_scale = 1.0;
    if (ew_field_flag(f, "use_attn_scale", true)) {
        /* -1 is the class's way to say "the usual" */
        double scale = ew_field_positive(f, "attn_scale", -1.0);
        a->attn_scale = scale > 0 ? scale : sqrt(a->d_head);
    }
    double cap = ew_field_positive(f, "attn_scores_soft_cap", -1.0);
    a->attn_softcap = cap > 0 ? cap : 0.0;
    cap = ew_field_positive(f, "output_logits_soft_cap", -1.0);
    a->logit_softcap = cap > 0 ? cap : 0.0;
}

void ew_config_tl(struct ew_config *config, struct ew_fields *f)
{
    struct ew_arch *a = &config->arch;
    read_sizes(a, f);
    read_norm(a, f);
    read_mlp(a, f);
    read_positions(a, f);
    read_window(a, f);
    read_attention(a, f);
    ew_field_refuse(f, "post_embedding_ln");
    if (ew_field_has(f, "num_experts")) {
        ew_field_reject(f, "num_experts", "mixtures are not supported");
    }
    a->post_norms =
        ew_field_flag(f, "use_normalization_before_and_after", false);
    a->embed_scale = 1.0;
    a->default_bos = ew_field_flag(f, "default_prepend_bos", true);
    a->bos_token = (int)ew_field_int(f, "bos_token_id", 0, EW_MAX_EXTENT, -1);
    snprintf(a->default_task, sizeof(a->default_task), "%s",
             ew_field_text(f, "default_task", ""));
}

/* ---- and back ---- */

static void put_int(json_t *object, const char *key, int64_t value)
{
    json_object_set_new(object, key, json_integer(value));
}

static void put_real(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, json_real(value));
}

static void put_flag(json_t *object, const char *key, bool value)
{
    json_object_set_new(object, key, json_boolean(value));
}

static void put_norm(json_t *object, const struct ew_arch *a)
{
    const char *name = NULL;
    for (size_t i = 0; i < EW_ARRAY_LEN(norms); i++) {
        name = norms[i].norm == a->norm ? norms[i].name : name;
    }
    json_object_set_new(object, "normalization_type",
                        name ? json_string(name) : json_null());
    put_flag(object, "final_rms", a->final_norm != a->norm);
    put_real(object, "eps", a->eps);
}

static void put_mlp(json_t *object, const struct ew_arch *a)
{
    put_flag(object, "attn_only", a->d_mlp == 0);
    if (a->d_mlp > 0) {
        put_int(object, "d_mlp", a->d_mlp);
        json_object_set_new(object, "act_fn", json_string(ew_act_name(a->act)));
        put_flag(object, "gated_mlp", a->gated_mlp);
        put_flag(object, "parallel_attn_mlp", a->parallel);
    }
}

static void put_positions(json_t *object, const struct ew_arch *a)
{
    static const char *const names[] = {[EW_POS_NONE] = "none",
                                        [EW_POS_STANDARD] = "standard",
                                        [EW_POS_ROTARY] = "rotary"};
    json_object_set_new(object, "positional_embedding_type",
                        json_string(names[a->pos]));
    if (a->pos == EW_POS_ROTARY) {
        put_int(object, "rotary_dim", a->rotary_dim);
        put_real(object, "rotary_base", a->rotary_base);
    }
    if (a->rope_factor > 0) {
        put_flag(object, "use_NTK_by_parts_rope", true);
        put_real(object, "NTK_by_parts_factor", a->rope_factor);
        put_real(object, "NTK_by_parts_low_freq_factor",
                 a->rope_low_freq_factor);
        put_real(object, "NTK_by_parts_high_freq_factor",
                 a->rope_high_freq_factor);
        put_real(object, "NTK_original_ctx_len", a->rope_original_ctx);
    }
}

static void put_window(json_t *object, const struct ew_arch *a)
{
    put_flag(object, "use_local_attn", a->window > 0);
    if (a->window > 0) {
        int period = a->local_every ? a->local_every : 1;
        json_t *types = json_array();
        for (int l = 0; l < a->n_layers; l++) {
            json_array_append_new(
                types, json_string(l % period == 0 ? "local" : "global"));
        }
        put_int(object, "window_size", a->window);
        json_object_set_new(object, "attn_types", types);
    }
}

static void put_attention(json_t *object, const struct ew_arch *a)
{
    if (a->n_kv_heads != a->n_heads) {
        put_int(object, "n_key_value_heads", a->n_kv_heads);
    }
    put_flag(object, "use_attn_scale", true);
    put_real(object, "attn_scale", a->attn_scale);
    if (a->attn_softcap > 0) {
        put_real(object, "attn_scores_soft_cap", a->attn_softcap);
    }
    if (a->logit_softcap > 0) {
        put_real(object, "output_logits_soft_cap", a->logit_softcap);
    }
}

json_t *ew_config_to_tl(const struct ew_arch *a)
{
    json_t *object = json_object();
    json_object_set_new(object, "model_name", json_string(a->name));
    put_int(object, "n_layers", a->n_layers);
    put_int(object, "d_model", a->d_model);
    put_int(object, "n_ctx", a->n_ctx);
    put_int(object, "d_head", a->d_head);
    put_int(object, "n_heads", a->n_heads);
    put_int(object, "d_vocab", a->d_vocab);
    put_int(object, "d_vocab_out", a->d_vocab_out);
    put_norm(object, a);
    put_mlp(object, a);
    put_positions(object, a);
    put_window(object, a);
    put_attention(object, a);
    put_flag(object, "use_normalization_before_and_after", a->post_norms);
    put_flag(object, "default_prepend_bos", a->default_bos);
    if (a->bos_token >= 0) {
        put_int(object, "bos_token_id", a->bos_token);
    }
    if (a->default_task[0]) {
        json_object_set_new(object, "default_task",
                            json_string(a->default_task));
    }
    return object;
}
