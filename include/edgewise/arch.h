/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape and the kind of a model: what config.json says, in one plain
 * description that every forward reads. No tensor and no libtorch here:
 * `edgewise graph` works from it alone.
 */
#ifndef EW_ARCH_H
#define EW_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "edgewise/err.h"

EW_BEGIN_DECLS

enum ew_norm_kind {
    EW_NORM_NONE,
    EW_NORM_LN,     /* centre, scale, gain, bias */
    EW_NORM_LN_PRE, /* centre and scale only: TransformerLens's folded LN */
    EW_NORM_RMS,
    EW_NORM_RMS_PRE,
};

enum ew_act_kind {
    EW_ACT_NONE,
    EW_ACT_RELU,
    EW_ACT_GELU,     /* erf */
    EW_ACT_GELU_NEW, /* tanh */
    EW_ACT_SILU,
    EW_ACT_SOLU,    /* x softmax(x) */
    EW_ACT_SOLU_LN, /* and a norm of its own after it */
};

enum ew_pos_kind {
    EW_POS_NONE,
    EW_POS_STANDARD, /* learned, added to the residual stream */
    EW_POS_ROTARY,
};

struct ew_arch {
    char name[128];
    int n_layers;
    int n_heads;
    int n_kv_heads; /* = n_heads without grouped-query attention */
    int d_model;
    int d_head;
    int d_mlp; /* 0: attention only */
    int d_vocab;
    int d_vocab_out;
    int n_ctx;
    enum ew_norm_kind norm;
    enum ew_norm_kind final_norm; /* = norm but for final_rms */
    double eps;
    enum ew_act_kind act;
    bool gated_mlp;
    bool parallel;
    enum ew_pos_kind pos;
    int rotary_dim;        /* leading dims of a head that turn */
    double rotary_base;
    double rope_factor;    /* llama3 scaling; 0: none */
    double rope_low_freq_factor;
    double rope_high_freq_factor;
    double rope_original_ctx;
    double attn_scale;     /* scores are divided by it */
    double attn_softcap;   /* 0: none */
    double logit_softcap;  /* 0: none */
    int window;            /* visible distance of local layers; 0: none */
    uint8_t local_every;   /* 0 all local if window; n: layer % n == 0 */
    double embed_scale;    /* 1: none */
    bool post_norms;       /* Gemma-2 */
    bool default_bos;      /* prepend BOS to text unless told otherwise */
    int bos_token;         /* -1: unknown */
    char default_task[32]; /* what it was made for, or "" */
};

/*
 * Read `path`, a config.json or a folder with one, in TransformerLens's or
 * Hugging Face's fields. EW_ERR_INPUT names the field: missing, of
 * the wrong kind, out of range, or asking for what is not supported
 * (shortformer positions, ALiBi, bidirectional attention, ...).
 */
EW_MUST_CHECK bool ew_arch_load(struct ew_arch *arch, const char *path,
                                struct ew_err *err);

/*
 * What the user typed as MODEL -> path of the model's folder or file; free()
 * it. A path that exists, the name of a bundled model, or "org/name" (or
 * "org/name@revision") of a model in the Hugging Face cache. NULL on failure,
 * listing the names there are, or what the cache lacks.
 */
char *ew_model_locate(const char *name, struct ew_err *err);

EW_END_DECLS

#endif
