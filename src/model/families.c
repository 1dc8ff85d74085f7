/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each family keeps its parameters: names, layouts, parts of fused
 * projections. Conv1D weights of GPT-2 are (in, out), all others (out, in);
 * GPT-2's c_attn is q|k|v blocks, GPT-NeoX's rows are (head, q|k|v, dim).
 */
#include "arch_hf.h"
#include "family.h"

// clang-format off
static const struct ew_family_row gpt2_rows[] = {
    {EW_SLOT_W_E, "wte.weight", "v,d", 0},
    {EW_SLOT_W_POS, "wpe.weight", "c,d", 0},
    {EW_SLOT_LN1_W, "h.{}.ln_1.weight", "d", 0},
    {EW_SLOT_LN1_B, "h.{}.ln_1.bias", "d", 0},
    {EW_SLOT_LN2_W, "h.{}.ln_2.weight", "d", 0},
    {EW_SLOT_LN2_B, "h.{}.ln_2.bias", "d", 0},
    {EW_SLOT_W_Q, "h.{}.attn.c_attn.weight", "d,phk>hdk", 0},
    {EW_SLOT_W_K, "h.{}.attn.c_attn.weight", "d,phk>hdk", 1},
    {EW_SLOT_W_V, "h.{}.attn.c_attn.weight", "d,phk>hdk", 2},
    {EW_SLOT_B_Q, "h.{}.attn.c_attn.bias", "phk>hk", 0},
    {EW_SLOT_B_K, "h.{}.attn.c_attn.bias", "phk>hk", 1},
    {EW_SLOT_B_V, "h.{}.attn.c_attn.bias", "phk>hk", 2},
    {EW_SLOT_W_O, "h.{}.attn.c_proj.weight", "hk,d", 0},
    {EW_SLOT_B_O, "h.{}.attn.c_proj.bias", "d", 0},
    {EW_SLOT_W_IN, "h.{}.mlp.c_fc.weight", "d,m", 0},
    {EW_SLOT_B_IN, "h.{}.mlp.c_fc.bias", "m", 0},
    {EW_SLOT_W_OUT, "h.{}.mlp.c_proj.weight", "m,d", 0},
    {EW_SLOT_B_OUT, "h.{}.mlp.c_proj.bias", "d", 0},
    {EW_SLOT_LN_FINAL_W, "ln_f.weight", "d", 0},
    {EW_SLOT_LN_FINAL_B, "ln_f.bias", "d", 0},
    {EW_SLOT_W_U, "lm_head.weight", "u,d>du", 0},
    {0},
};

static const struct ew_family_row gpt_neox_rows[] = {
    {EW_SLOT_W_E, "embed_in.weight", "v,d", 0},
    {EW_SLOT_LN1_W, "layers.{}.input_layernorm.weight", "d", 0},
    {EW_SLOT_LN1_B, "layers.{}.input_layernorm.bias", "d", 0},
    {EW_SLOT_LN2_W, "layers.{}.post_attention_layernorm.weight", "d", 0},
    {EW_SLOT_LN2_B, "layers.{}.post_attention_layernorm.bias", "d", 0},
    {EW_SLOT_W_Q, "layers.{}.attention.query_key_value.weight", "hpk,d>hdk",
     0},
    {EW_SLOT_W_K, "layers.{}.attention.query_key_value.weight", "hpk,d>hdk",
     1},
    {EW_SLOT_W_V, "layers.{}.attention.query_key_value.weight", "hpk,d>hdk",
     2},
    {EW_SLOT_B_Q, "layers.{}.attention.query_key_value.bias", "hpk>hk", 0},
    {EW_SLOT_B_K, "layers.{}.attention.query_key_value.bias", "hpk>hk", 1},
    {EW_SLOT_B_V, "layers.{}.attention.query_key_value.bias", "hpk>hk", 2},
    {EW_SLOT_W_O, "layers.{}.attention.dense.weight", "d,hk>hkd", 0},
    {EW_SLOT_B_O, "layers.{}.attention.dense.bias", "d", 0},
    {EW_SLOT_W_IN, "layers.{}.mlp.dense_h_to_4h.weight", "m,d>dm", 0},
    {EW_SLOT_B_IN, "layers.{}.mlp.dense_h_to_4h.bias", "m", 0},
    {EW_SLOT_W_OUT, "layers.{}.mlp.dense_4h_to_h.weight", "d,m>md", 0},
    {EW_SLOT_B_OUT, "layers.{}.mlp.dense_4h_to_h.bias", "d", 0},
    {EW_SLOT_LN_FINAL_W, "final_layer_norm.weight", "d", 0},
    {EW_SLOT_LN_FINAL_B, "final_layer_norm.bias", "d", 0},
    {EW_SLOT_W_U, "embed_out.weight", "u,d>du", 0},
    {0},
};

/* Llama and all that came after it. */
static const struct ew_family_row llama_rows[] = {
    {EW_SLOT_W_E, "embed_tokens.weight", "v,d", 0},
    {EW_SLOT_LN1_W, "layers.{}.input_layernorm.weight", "d", 0},
    {EW_SLOT_W_Q, "layers.{}.self_attn.q_proj.weight", "hk,d>hdk", 0},
    {EW_SLOT_W_K, "layers.{}.self_attn.k_proj.weight", "gk,d>gdk", 0},
    {EW_SLOT_W_V, "layers.{}.self_attn.v_proj.weight", "gk,d>gdk", 0},
    {EW_SLOT_B_Q, "layers.{}.self_attn.q_proj.bias", "hk", 0},
    {EW_SLOT_B_K, "layers.{}.self_attn.k_proj.bias", "gk", 0},
    {EW_SLOT_B_V, "layers.{}.self_attn.v_proj.bias", "gk", 0},
    {EW_SLOT_W_O, "layers.{}.self_attn.o_proj.weight", "d,hk>hkd", 0},
    {EW_SLOT_B_O, "layers.{}.self_attn.o_proj.bias", "d", 0},
    {EW_SLOT_W_GATE, "layers.{}.mlp.gate_proj.weight", "m,d>dm", 0},
    {EW_SLOT_W_IN, "layers.{}.mlp.up_proj.weight", "m,d>dm", 0},
    {EW_SLOT_W_OUT, "layers.{}.mlp.down_proj.weight", "d,m>md", 0},
    {EW_SLOT_LN_FINAL_W, "norm.weight", "d", 0},
    {EW_SLOT_W_U, "lm_head.weight", "u,d>du", 0},
    {0},
};

static const struct ew_family_row llama_norms[] = {
    {EW_SLOT_LN2_W, "layers.{}.post_attention_layernorm.weight", "d", 0},
    {0},
};

/* The same name means the norm after attention here. */
static const struct ew_family_row gemma2_norms[] = {
    {EW_SLOT_LN1_POST_W, "layers.{}.post_attention_layernorm.weight", "d", 0},
    {EW_SLOT_LN2_W, "layers.{}.pre_feedforward_layernorm.weight", "d", 0},
    {EW_SLOT_LN2_POST_W, "layers.{}.post_feedforward_layernorm.weight", "d",
     0},
    {0},
};
// clang-format on

const struct ew_family ew_family_gpt2 = {
    .model_type = "gpt2",
    .read_config = ew_hf_gpt2,
    .prefix = "transformer.",
    .rows = gpt2_rows,
};

const struct ew_family ew_family_gpt_neox = {
    .model_type = "gpt_neox",
    .read_config = ew_hf_gpt_neox,
    .prefix = "gpt_neox.",
    .rows = gpt_neox_rows,
};

const struct ew_family ew_family_llama = {
    .model_type = "llama",
    .read_config = ew_hf_llama,
    .prefix = "model.",
    .rows = llama_rows,
    .more = llama_norms,
};

const struct ew_family ew_family_mistral = {
    .model_type = "mistral",
    .read_config = ew_hf_mistral,
    .prefix = "model.",
    .rows = llama_rows,
    .more = llama_norms,
};

const struct ew_family ew_family_qwen2 = {
    .model_type = "qwen2",
    .read_config = ew_hf_qwen2,
    .prefix = "model.",
    .rows = llama_rows,
    .more = llama_norms,
};

const struct ew_family ew_family_gemma = {
    .model_type = "gemma",
    .read_config = ew_hf_gemma,
    .prefix = "model.",
    .rows = llama_rows,
    .more = llama_norms,
    .gain_shift = 1.0,
};

const struct ew_family ew_family_gemma2 = {
    .model_type = "gemma2",
    .read_config = ew_hf_gemma2,
    .prefix = "model.",
    .rows = llama_rows,
    .more = gemma2_norms,
    .gain_shift = 1.0,
};
