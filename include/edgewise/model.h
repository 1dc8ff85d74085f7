/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loaded model: one description of the architecture and its weights as
 * tensors on one device, in TransformerLens's orientation (x W, heads first).
 * Row-major, last index fastest.
 */
#ifndef EW_MODEL_H
#define EW_MODEL_H

#include "edgewise/arch.h"
#include "edgewise/hash.h"
#include "edgewise/tensor.h"
#include "edgewise/weights.h"

EW_BEGIN_DECLS

/* Gain and bias of a norm; NULL where the kind has none. */
struct ew_norm {
    struct ew_tensor *w; /* (D) */
    struct ew_tensor *b; /* (D) */
};

enum ew_qkv { EW_Q, EW_K, EW_V };

struct ew_layer {
    struct ew_norm ln1;
    struct ew_norm ln2;
    struct ew_norm ln1_post; /* after attention (Gemma-2) */
    struct ew_norm ln2_post;
    /* Columns: heads of q, then of k, then of v: (D, (H + 2 Hkv) K). One
     * product gives all three when their input is shared. */
    struct ew_tensor *w_qkv;
    struct ew_tensor *b_qkv; /* ((H + 2 Hkv) K) */
    struct ew_tensor *w_o;   /* (H K, D): rows of head h are its W_O */
    struct ew_tensor *b_o;   /* (D) */
    struct ew_tensor *w_in;  /* (D, M); NULL without MLP */
    struct ew_tensor *b_in;  /* (M) or NULL */
    struct ew_tensor *w_gate; /* (D, M) when gated */
    struct ew_norm mlp_ln;    /* (M): after solu_ln */
    struct ew_tensor *w_out; /* (M, D) */
    struct ew_tensor *b_out; /* (D) or NULL */
};

/* The weights as they are in the file, or as TransformerLens's
 * from_pretrained leaves them: norms folded, writers and unembedding centred,
 * value biases moved into b_O. */
enum ew_processing { EW_WEIGHTS_RAW, EW_WEIGHTS_TL };

struct ew_model {
    struct ew_arch arch;
    struct ew_device device;
    struct ew_layer *layers; /* n_layers */
    struct ew_tensor *w_e;   /* (V, D) */
    struct ew_tensor *w_pos; /* (n_ctx, D); NULL unless EW_POS_STANDARD */
    struct ew_norm ln_final;
    struct ew_tensor *w_u; /* (D, Vout) */
    struct ew_tensor *b_u; /* (Vout) or NULL */
    /* When rotary: (R, rotary_dim), R = n_ctx up to a limit; use
     * ew_block_rotate(), which makes what lies beyond. */
    struct ew_tensor *rotary_cos;
    struct ew_tensor *rotary_sin;
    enum ew_processing processing;
    struct ew_weights *files; /* owned: borrowed by the tensors */
    /* Of names, shapes, sampled bytes and the processing. */
    char hash[EW_HASH_HEX];
};

/*
 * Load a model from a folder (config.json and weights) onto a device, in F32
 * (F16, BF16 files are converted). Needs ew_torch_load() before. Every
 * tensor's shape is checked against the config: EW_ERR_INPUT names file,
 * tensor, expected and found; a missing tensor, likewise; biases may be
 * missing (zero). Engine thread.
 */
struct ew_model *ew_model_load(const char *path, struct ew_device device,
                               struct ew_err *err);

struct ew_load_params {
    struct ew_device device;
    enum ew_processing processing;
};
/* As ew_model_load(); arch.norm becomes LN_PRE or RMS_PRE when processed. */
struct ew_model *ew_model_load_with(const char *path,
                                    const struct ew_load_params *params,
                                    struct ew_err *err);

/*
 * Write a model as a folder in TransformerLens's layout: config.json,
 * model.safetensors in F32, and the tokenizer's files as they are. Loading it
 * gives the same model. The folder is made; one that has a config.json is
 * refused (EW_ERR_INPUT). Needs ew_torch_load() before.
 */
EW_MUST_CHECK bool ew_model_convert(const char *path, const char *folder,
                                    struct ew_err *err);

/* Seeded random weights of a given shape, for tests and benches: normal,
 * scaled so that attention is neither flat nor one-hot. */
struct ew_model *ew_model_random(const struct ew_arch *arch, uint64_t seed,
                                 struct ew_device device, struct ew_err *err);
void ew_model_destroy(struct ew_model *m); /* NULL is fine */

/*
 * Parameters as TransformerLens names them, in the order of its
 * named_parameters (embed, pos_embed, blocks with ln1, ln2, attn W_Q W_O b_Q
 * b_O W_K W_V b_K b_V, mlp; ln_final; unembed). No libtorch needed.
 */
struct ew_param {
    char name[96];
    enum ew_dtype dtype;
    int ndim;
    int64_t shape[EW_MAX_DIMS];
};
/* `*out` is to be freed; false with the reason. */
EW_MUST_CHECK bool ew_model_params(const char *path, struct ew_param **out,
                                   size_t *n, struct ew_err *err);

EW_END_DECLS

#endif
