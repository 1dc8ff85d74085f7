/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small random models of every kind, and a task for them: prompts of several
 * lengths that differ from the third token on, several answers each.
 */
#ifndef EW_TESTS_ENGINE_FIXTURE_H
#define EW_TESTS_ENGINE_FIXTURE_H

#include <string.h>

#include "edgewise/engine.h"
#include "edgewise/mem.h"
#include "edgewise/rng.h"

static const struct ew_arch fixture_archs[] = {
    {.name = "attention-only LNPre",
     .n_layers = 2, .n_heads = 3, .n_kv_heads = 3, .d_model = 24,
     .d_head = 8, .d_vocab = 19, .d_vocab_out = 19, .n_ctx = 16,
     .norm = EW_NORM_LN_PRE,
     .final_norm = EW_NORM_LN_PRE, .eps = 1e-5, .pos = EW_POS_STANDARD,
     .attn_scale = 2.8284271247461903, .embed_scale = 1.0,
     .bos_token = -1},
    {.name = "GPT-2",
     .n_layers = 3, .n_heads = 2, .n_kv_heads = 2, .d_model = 16,
     .d_head = 8, .d_mlp = 32, .d_vocab = 23, .d_vocab_out = 23,
     .n_ctx = 16, .norm = EW_NORM_LN, .final_norm = EW_NORM_LN,
     .eps = 1e-5, .act = EW_ACT_GELU_NEW,
     .pos = EW_POS_STANDARD, .attn_scale = 2.8284271247461903,
     .embed_scale = 1.0, .bos_token = -1},
    {.name = "NeoX, parallel",
     .n_layers = 3, .n_heads = 2, .n_kv_heads = 2, .d_model = 16,
     .d_head = 8, .d_mlp = 32, .d_vocab = 23, .d_vocab_out = 23,
     .n_ctx = 16, .norm = EW_NORM_LN, .final_norm = EW_NORM_LN,
     .eps = 1e-5, .act = EW_ACT_GELU,
     .parallel = true, .pos = EW_POS_ROTARY, .rotary_dim = 4,
     .rotary_base = 10000.0, .attn_scale = 2.8284271247461903,
     .embed_scale = 1.0, .bos_token = -1},
    {.name = "Llama, grouped queries",
     .n_layers = 2, .n_heads = 4, .n_kv_heads = 2, .d_model = 16,
     .d_head = 4, .d_mlp = 24, .d_vocab = 23, .d_vocab_out = 23,
     .n_ctx = 16, .norm = EW_NORM_RMS, .final_norm = EW_NORM_RMS,
     .eps = 1e-5, .act = EW_ACT_SILU,
     .gated_mlp = true, .pos = EW_POS_ROTARY, .rotary_dim = 4,
     .rotary_base = 10000.0, .attn_scale = 2.0, .embed_scale = 1.0,
     .bos_token = -1},
    {.name = "Gemma-2, post-norms",
     .n_layers = 3, .n_heads = 3, .n_kv_heads = 1, .d_model = 16,
     .d_head = 8, .d_mlp = 24, .d_vocab = 23, .d_vocab_out = 23,
     .n_ctx = 16, .norm = EW_NORM_RMS, .final_norm = EW_NORM_RMS,
     .eps = 1e-6, .act = EW_ACT_GELU_NEW, .gated_mlp = true,
     .pos = EW_POS_ROTARY, .rotary_dim = 8, .rotary_base = 10000.0,
     .attn_scale = 3.0, .attn_softcap = 2.0, .logit_softcap = 3.0,
     .window = 4, .local_every = 2, .embed_scale = 4.0,
     .post_norms = true, .bos_token = -1},
};

static const int32_t fixture_lengths[] = {7, 6, 8, 7};

static inline struct ew_task *fixture_task(int64_t d_vocab, uint64_t seed)
{
    struct ew_rng rng;
    ew_rng_seed(&rng, seed);
    struct ew_task *t = ew_xcalloc(1, sizeof(*t));
    size_t n_b = EW_ARRAY_LEN(fixture_lengths), n_t = 8;
    t->name = ew_xstrdup("fixture");
    t->corruption = ew_xstrdup("random");
    t->bos = ew_xstrdup("no BOS");
    t->metric = EW_METRIC_LOGIT_DIFF;
    t->n_prompts = n_b;
    t->n_pos = n_t;
    t->length = ew_xcalloc(n_b, sizeof(*t->length));
    t->clean = ew_xcalloc(n_b * n_t, sizeof(*t->clean));
    t->corrupt = ew_xcalloc(n_b * n_t, sizeof(*t->corrupt));
    t->answers = ew_xcalloc(n_b, sizeof(*t->answers));
    t->answer_position = ew_xcalloc(n_b, sizeof(*t->answer_position));
    t->scored = ew_xcalloc(n_b * 2, sizeof(*t->scored));
    for (size_t b = 0; b < n_b; b++) {
        t->length[b] = fixture_lengths[b];
        for (size_t p = 0; p < (size_t)t->length[b]; p++) {
            int64_t id = (int64_t)ew_rng_below(&rng, (uint64_t)d_vocab);
            int64_t other = (int64_t)ew_rng_below(&rng, (uint64_t)d_vocab);
            t->clean[b * n_t + p] = id;
            t->corrupt[b * n_t + p] = p < 2 ? id : other;
        }
        struct ew_answers *a = &t->answers[b];
        a->n_right = 1 + b % 2;
        a->n_wrong = 1 + (b + 1) % 2;
        a->right = ew_xcalloc(a->n_right, sizeof(*a->right));
        a->wrong = ew_xcalloc(a->n_wrong, sizeof(*a->wrong));
        for (size_t i = 0; i < a->n_right; i++) {
            a->right[i] = (int64_t)((b + i) % (size_t)d_vocab);
        }
        for (size_t i = 0; i < a->n_wrong; i++) {
            a->wrong[i] = (int64_t)((b + i + 7) % (size_t)d_vocab);
        }
        t->answer_position[b] = t->length[b] - 1;
        for (int32_t i = 0; i < 2; i++) {
            t->scored[t->n_scored++] = (struct ew_scored){
                .prompt = (int32_t)b,
                .position = t->length[b] - 2 - i,
                .target = t->clean[b * n_t + (size_t)t->length[b] - 1 -
                                   (size_t)i]};
        }
    }
    return t;
}

/* As a family without biases has it: what reads nothing sends nothing. */
static inline void fixture_drop_biases(struct ew_model *m)
{
    struct ew_scope *s = ew_scope_open(m->device);
    for (int l = 0; l < m->arch.n_layers; l++) {
        struct ew_layer *y = &m->layers[l];
        struct ew_tensor *all[] = {y->ln1.b, y->ln2.b, y->b_qkv,
                                   y->b_o,   y->b_in,  y->b_out};
        for (size_t i = 0; i < EW_ARRAY_LEN(all); i++) {
            if (all[i]) {
                ew_copy_into(s, all[i], ew_scale(s, all[i], 0.0));
            }
        }
    }
    ew_scope_finish(s, NULL);
}

static inline struct ew_graph *fixture_graph(const struct ew_arch *arch,
                                             bool split)
{
    struct ew_graph_spec spec = {.n_layers = arch->n_layers,
                                 .n_heads = arch->n_heads,
                                 .has_mlp = arch->d_mlp > 0,
                                 .parallel = arch->parallel,
                                 .split_embed = split};
    return ew_graph_create(&spec, NULL);
}

#endif
