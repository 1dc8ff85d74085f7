/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of parameters: TransformerLens's names and shapes in the order of
 * its named_parameters(). What a model has decides which rows it uses, and a
 * slot may stand at two places (a gated MLP lists its biases last).
 */
#include "params.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// clang-format off
static const struct ew_param_row rows[] = {
    {EW_SLOT_W_E, "embed.W_E", "v,d", 0, 0, false, false},
    {EW_SLOT_W_POS, "pos_embed.W_pos", "c,d", EW_HAS_POS, 0, false, false},

    {EW_SLOT_LN1_W, "ln1.w", "d", EW_HAS_GAIN, 0, true, false},
    {EW_SLOT_LN1_B, "ln1.b", "d", EW_HAS_SHIFT, 0, true, false},
    {EW_SLOT_LN1_POST_W, "ln1_post.w", "d", EW_HAS_POST, 0, true, false},
    {EW_SLOT_LN1_POST_B, "ln1_post.b", "d", EW_HAS_POST_SHIFT, 0, true, false},
    {EW_SLOT_LN2_W, "ln2.w", "d", EW_HAS_GAIN | EW_HAS_MLP, 0, true, false},
    {EW_SLOT_LN2_B, "ln2.b", "d", EW_HAS_SHIFT | EW_HAS_MLP, 0, true, false},
    {EW_SLOT_LN2_POST_W, "ln2_post.w", "d", EW_HAS_POST | EW_HAS_MLP, 0, true,
     false},
    {EW_SLOT_LN2_POST_B, "ln2_post.b", "d", EW_HAS_POST_SHIFT | EW_HAS_MLP, 0,
     true, false},

    {EW_SLOT_W_Q, "attn.W_Q", "h,d,k", 0, 0, true, false},
    {EW_SLOT_W_O, "attn.W_O", "h,k,d", 0, 0, true, false},
    {EW_SLOT_B_Q, "attn.b_Q", "h,k", 0, 0, true, true},
    {EW_SLOT_B_O, "attn.b_O", "d", 0, 0, true, true},
    {EW_SLOT_W_K, "attn.W_K", "h,d,k", 0, EW_HAS_GROUPS, true, false},
    {EW_SLOT_W_V, "attn.W_V", "h,d,k", 0, EW_HAS_GROUPS, true, false},
    {EW_SLOT_B_K, "attn.b_K", "h,k", 0, EW_HAS_GROUPS, true, true},
    {EW_SLOT_B_V, "attn.b_V", "h,k", 0, EW_HAS_GROUPS, true, true},
    {EW_SLOT_W_K, "attn._W_K", "g,d,k", EW_HAS_GROUPS, 0, true, false},
    {EW_SLOT_W_V, "attn._W_V", "g,d,k", EW_HAS_GROUPS, 0, true, false},
    {EW_SLOT_B_K, "attn._b_K", "g,k", EW_HAS_GROUPS, 0, true, true},
    {EW_SLOT_B_V, "attn._b_V", "g,k", EW_HAS_GROUPS, 0, true, true},

    {EW_SLOT_W_IN, "mlp.W_in", "d,m", EW_HAS_MLP, 0, true, false},
    {EW_SLOT_B_IN, "mlp.b_in", "m", EW_HAS_MLP, EW_HAS_GATE, true, true},
    {EW_SLOT_W_GATE, "mlp.W_gate", "d,m", EW_HAS_MLP | EW_HAS_GATE, 0, true,
     false},
    {EW_SLOT_W_OUT, "mlp.W_out", "m,d", EW_HAS_MLP, 0, true, false},
    {EW_SLOT_B_IN, "mlp.b_in", "m", EW_HAS_MLP | EW_HAS_GATE, 0, true, true},
    {EW_SLOT_B_OUT, "mlp.b_out", "d", EW_HAS_MLP, 0, true, true},
    {EW_SLOT_MLP_LN_W, "mlp.ln.w", "m", EW_HAS_ACT_NORM | EW_HAS_SHIFT, 0,
     true, false},
    {EW_SLOT_MLP_LN_B, "mlp.ln.b", "m", EW_HAS_ACT_NORM | EW_HAS_SHIFT, 0,
     true, false},

    {EW_SLOT_LN_FINAL_W, "ln_final.w", "d", EW_HAS_FINAL_GAIN, 0, false,
     false},
    {EW_SLOT_LN_FINAL_B, "ln_final.b", "d", EW_HAS_FINAL_SHIFT, 0, false,
     false},
    {EW_SLOT_W_U, "unembed.W_U", "d,u", 0, 0, false, false},
    {EW_SLOT_B_U, "unembed.b_U", "u", 0, 0, false, true},
};
// clang-format on

static bool has_gain(enum ew_norm_kind kind)
{
    return kind == EW_NORM_LN || kind == EW_NORM_RMS;
}

unsigned ew_arch_parts(const struct ew_arch *a)
{
    bool rms = a->norm == EW_NORM_RMS || a->norm == EW_NORM_RMS_PRE;
    unsigned parts = 0;
    parts |= a->pos == EW_POS_STANDARD ? EW_HAS_POS : 0;
    parts |= has_gain(a->norm) ? EW_HAS_GAIN : 0;
    parts |= a->norm == EW_NORM_LN ? EW_HAS_SHIFT : 0;
    parts |= a->d_mlp > 0 ? EW_HAS_MLP : 0;
    parts |= a->d_mlp > 0 && a->gated_mlp ? EW_HAS_GATE : 0;
    parts |= a->d_mlp > 0 && a->act == EW_ACT_SOLU_LN ? EW_HAS_ACT_NORM : 0;
    if (a->post_norms && a->norm != EW_NORM_NONE) {
        /* Nothing follows them to fold their gain into: it stays. */
        parts |= EW_HAS_POST | (rms ? 0 : EW_HAS_POST_SHIFT);
    }
    parts |= has_gain(a->final_norm) ? EW_HAS_FINAL_GAIN : 0;
    parts |= a->final_norm == EW_NORM_LN ? EW_HAS_FINAL_SHIFT : 0;
    parts |= a->n_kv_heads != a->n_heads ? EW_HAS_GROUPS : 0;
    return parts;
}

static bool applies(const struct ew_param_row *row, unsigned parts)
{
    return (row->needs & ~parts) == 0 && (row->unless & parts) == 0;
}

/* Rows of a layer stand together: [FIRST_OF_LAYER, end). */
bool ew_param_next(struct ew_param_cursor *c, const struct ew_arch *arch)
{
    unsigned parts = ew_arch_parts(arch);
    for (;;) {
        bool end = c->next == EW_ARRAY_LEN(rows);
        bool left_layer =
            c->row && c->row->per_layer && !end && !rows[c->next].per_layer;
        if (left_layer && c->layer + 1 < arch->n_layers) {
            c->layer++;
            while (c->next > 0 && rows[c->next - 1].per_layer) {
                c->next--;
            }
        } else if (end) {
            return false;
        }
        c->row = &rows[c->next++];
        if (applies(c->row, parts)) {
            return true;
        }
    }
}

void ew_param_name(char *name, size_t size, const struct ew_param_row *row,
                   int layer)
{
    if (row->per_layer) {
        snprintf(name, size, "blocks.%d.%s", layer, row->name);
    } else {
        snprintf(name, size, "%s", row->name);
    }
}

const struct ew_param_row *ew_param_find(const struct ew_arch *arch,
                                         enum ew_slot slot)
{
    unsigned parts = ew_arch_parts(arch);
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        if (rows[i].slot == slot && applies(&rows[i], parts)) {
            return &rows[i];
        }
    }
    return NULL;
}
