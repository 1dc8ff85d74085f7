/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random weights of a given shape. Each parameter has a generator of its
 * own, seeded by the seed, the parameter and the layer, so that a model is
 * the same however it is put together. Scales make scores of standard
 * deviation about 1.5 and writers that neither vanish nor drown the rest.
 */
#include <math.h>
#include <stdlib.h>

#include "edgewise/mem.h"
#include "edgewise/rng.h"

#include "params.h"

/*
 * Nearly normal, variance 1: the sum of four uniforms, from one draw. Tails
 * end at 3.46, which weights do not mind, and it is ten times faster.
 */
static float draw(struct ew_rng *rng)
{
    uint64_t x = ew_rng_next(rng);
    double sum = (double)(x & 0xffff) + (double)(x >> 16 & 0xffff) +
                 (double)(x >> 32 & 0xffff) + (double)(x >> 48);
    return (float)((sum - 2.0 * 65535.0) * (1.7320508075688772 / 65536.0));
}

static double scale_of(const struct ew_arch *a, enum ew_slot slot)
{
    switch (slot) {
    case EW_SLOT_W_E:
    case EW_SLOT_W_POS:
        return 0.7;
    case EW_SLOT_W_Q:
    case EW_SLOT_W_K:
        /* var(score) = D^2 s^4 K / scale^2 */
        return sqrt(1.5 * a->attn_scale / (a->d_model * sqrt(a->d_head)));
    case EW_SLOT_W_V:
    case EW_SLOT_W_IN:
    case EW_SLOT_W_GATE:
        return 1.0 / sqrt(a->d_model);
    case EW_SLOT_W_O:
        return 1.5 / sqrt((double)a->n_heads * a->d_head);
    case EW_SLOT_W_OUT:
        return 1.0 / sqrt(a->d_mlp);
    case EW_SLOT_W_U:
        return 2.0 / sqrt(a->d_model);
    default:
        return 0.1; /* biases, and gains around 1 */
    }
}

static bool is_gain(enum ew_slot slot)
{
    switch (slot) {
    case EW_SLOT_LN1_W:
    case EW_SLOT_LN2_W:
    case EW_SLOT_LN1_POST_W:
    case EW_SLOT_LN2_POST_W:
    case EW_SLOT_MLP_LN_W:
    case EW_SLOT_LN_FINAL_W:
        return true;
    default:
        return false;
    }
}

struct source {
    const struct ew_arch *arch;
    uint64_t seed;
};

static struct ew_tensor *give_random(void *user, struct ew_scope *s,
                                     const struct ew_param_row *row, int layer)
{
    const struct source *source = user;
    int64_t shape[EW_MAX_DIMS];
    int ndim = ew_layout_shape(source->arch, row->layout, shape);
    size_t n = 1;
    for (int i = 0; i < ndim; i++) {
        n *= (size_t)shape[i];
    }
    struct ew_rng rng;
    ew_rng_seed(&rng, source->seed * 1000003 + (uint64_t)layer * EW_SLOT_COUNT +
                          (uint64_t)row->slot);
    float scale = (float)scale_of(source->arch, row->slot);
    float centre = is_gain(row->slot) ? 1.0f : 0.0f;
    float *values = ew_xcalloc(n, sizeof(float));
    for (size_t i = 0; i < n; i++) {
        values[i] = centre + scale * draw(&rng);
    }
    struct ew_tensor *t = ew_from_f32(s, values, ndim, shape);
    free(values);
    return t;
}

struct ew_model *ew_model_random(const struct ew_arch *arch, uint64_t seed,
                                 struct ew_device device, struct ew_err *err)
{
    struct source source = {arch, seed};
    struct ew_param_giver giver = {give_random, &source};
    struct ew_model *m = ew_model_assemble(arch, device, &giver, err);
    if (m) {
        ew_hash_hex(seed, m->hash);
    }
    return m;
}
