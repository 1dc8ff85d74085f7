/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block functions against their definitions written out in double, and
 * against each other: what is done head by head is what is done at once, for
 * every family.
 */
#include "edgewise/block.h"
#include "edgewise/forward.h"

#include "model_fixture.h"

static const struct ew_device cpu = {0};

/* Grouped heads, partial rotary, gated MLP, parallel. */
static const struct ew_arch llama_like = {
    .n_layers = 2,
    .n_heads = 4,
    .n_kv_heads = 2,
    .d_model = 20,
    .d_head = 6,
    .d_mlp = 14,
    .d_vocab = 9,
    .d_vocab_out = 7,
    .n_ctx = 20000,
    .norm = EW_NORM_RMS,
    .final_norm = EW_NORM_RMS,
    .eps = 1e-6,
    .act = EW_ACT_SILU,
    .gated_mlp = true,
    .parallel = true,
    .pos = EW_POS_ROTARY,
    .rotary_dim = 4,
    .rotary_base = 100.0,
    .attn_scale = 2.0,
    .embed_scale = 1.0,
};

/* Soft caps, windows, post-norms, embedding scale. */
static const struct ew_arch gemma_like = {
    .n_layers = 3,
    .n_heads = 3,
    .n_kv_heads = 1,
    .d_model = 16,
    .d_head = 8,
    .d_mlp = 10,
    .d_vocab = 9,
    .d_vocab_out = 9,
    .n_ctx = 32,
    .norm = EW_NORM_RMS,
    .final_norm = EW_NORM_RMS,
    .eps = 1e-6,
    .act = EW_ACT_GELU_NEW,
    .gated_mlp = true,
    .pos = EW_POS_ROTARY,
    .rotary_dim = 8,
    .rotary_base = 1e4,
    .attn_scale = 3.0,
    .attn_softcap = 2.0,
    .logit_softcap = 3.0,
    .window = 3,
    .local_every = 2,
    .embed_scale = 4.0,
    .post_norms = true,
};

static const struct ew_arch gpt_like = {
    .n_layers = 2,
    .n_heads = 3,
    .n_kv_heads = 3,
    .d_model = 12,
    .d_head = 4,
    .d_mlp = 30,
    .d_vocab = 9,
    .d_vocab_out = 9,
    .n_ctx = 8,
    .norm = EW_NORM_LN,
    .final_norm = EW_NORM_LN,
    .eps = 1e-5,
    .act = EW_ACT_GELU_NEW,
    .pos = EW_POS_STANDARD,
    .attn_scale = 2.0,
    .embed_scale = 1.0,
};

static const struct ew_arch bare = {
    .n_layers = 2,
    .n_heads = 2,
    .n_kv_heads = 2,
    .d_model = 10,
    .d_head = 4,
    .d_vocab = 9,
    .d_vocab_out = 9,
    .n_ctx = 8,
    .pos = EW_POS_STANDARD,
    .attn_scale = 1.0,
    .embed_scale = 1.0,
    .eps = 1e-5,
};

static struct ew_model *random_model(const struct ew_arch *arch)
{
    struct ew_err err = {0};
    struct ew_model *m = ew_model_random(arch, 11, cpu, &err);
    assert_ok(m, err);
    return m;
}

/* Smooth numbers, different everywhere. */
static struct ew_tensor *values(struct ew_scope *s, int ndim,
                                const int64_t *shape)
{
    size_t n = 1;
    for (int i = 0; i < ndim; i++) {
        n *= (size_t)shape[i];
    }
    float *data = ew_xcalloc(n, sizeof(float));
    for (size_t i = 0; i < n; i++) {
        data[i] = sinf((float)i * 0.7f) + 0.3f * cosf((float)i * 0.11f);
    }
    struct ew_tensor *t = ew_from_f32(s, data, ndim, shape);
    free(data);
    return t;
}

static float *read_all(struct ew_scope *s, const struct ew_tensor *t)
{
    size_t n = (size_t)ew_numel(t);
    float *out = ew_xcalloc(n + 1, sizeof(float));
    if (!ew_read_f32(s, t, out, n)) {
        struct ew_err err = {0};
        ew_scope_finish(s, &err);
        fail_msg("%s", err.message);
    }
    return out;
}

static void assert_same(struct ew_scope *s, const char *what,
                        const struct ew_tensor *found,
                        const struct ew_tensor *expected, double tolerance)
{
    size_t n = (size_t)ew_numel(expected);
    assert_int_equal(ew_numel(found), n);
    float *a = read_all(s, found);
    float *b = read_all(s, expected);
    for (size_t i = 0; i < n; i++) {
        assert_near(what, i, a[i], b[i], tolerance);
    }
    free(a);
    free(b);
}

static void finish(struct ew_scope *s)
{
    struct ew_err err = {0};
    assert_ok(ew_scope_finish(s, &err), err);
}

static void one_head_is_a_part_of_all(void **state)
{
    (void)state;
    struct ew_model *m = random_model(&llama_like);
    struct ew_scope *s = ew_scope_open(cpu);
    struct ew_tensor *x = values(s, 2, (int64_t[]){5, 20});
    struct ew_tensor *all[3];
    struct ew_tensor *k_only = NULL;
    struct ew_tensor *q_only = NULL;
    struct ew_tensor *v_only = NULL;
    ew_block_project_all(s, m, 1, x, &all[EW_Q], &all[EW_K], &all[EW_V]);
    ew_block_project_all(s, m, 1, x, NULL, &k_only, NULL);
    ew_block_project_all(s, m, 1, x, &q_only, NULL, &v_only);
    assert_int_equal(ew_dim(all[EW_Q], 1), 4);
    assert_int_equal(ew_dim(all[EW_K], 1), 2);
    assert_same(s, "k", k_only, all[EW_K], 1e-5);
    assert_same(s, "q", q_only, all[EW_Q], 1e-5);
    assert_same(s, "v", v_only, all[EW_V], 1e-5);
    for (int which = EW_Q; which <= EW_V; which++) {
        for (int h = 0; h < 4; h++) {
            int own = which == EW_Q ? h : h / 2;
            assert_same(s, "project",
                        ew_block_project(s, m, 1, (enum ew_qkv)which, h, x),
                        ew_select(s, all[which], 1, own), 1e-5);
        }
    }
    finish(s);
    ew_model_destroy(m);
}

static void results_of_heads_sum_to_attention(void **state)
{
    (void)state;
    struct ew_model *m = random_model(&llama_like);
    struct ew_scope *s = ew_scope_open(cpu);
    struct ew_tensor *z = values(s, 2, (int64_t[]){5, 24});
    struct ew_tensor *sum = ew_full(s, 0.0, 2, (int64_t[]){5, 20});
    for (int h = 0; h < 4; h++) {
        struct ew_tensor *own = ew_narrow(s, z, 1, h * 6, 6);
        ew_add_into(s, sum, ew_block_head_out(s, m, 0, h, own), 1.0);
    }
    assert_same(s, "sum", sum, ew_block_attn_out(s, m, 0, z), 1e-5);
    assert_same(s, "w_o", ew_block_w_o(s, m, 0, 1),
                ew_narrow(s, m->layers[0].w_o, 0, 6, 6), 0);
    finish(s);
    ew_model_destroy(m);
}

/* Dimensions i and i + 2 of 4 turn together; 4 and 5 stay. */
static void check_rotation(const struct ew_model *m, int64_t first)
{
    struct ew_scope *s = ew_scope_open(cpu);
    struct ew_tensor *x = values(s, 3, (int64_t[]){2, 3, 6});
    float *in = read_all(s, x);
    float *out = read_all(s, ew_block_rotate(s, m, x, first));
    for (size_t row = 0; row < 6; row++) {
        double at = (double)first + (double)(row % 3);
        const float *a = in + row * 6;
        for (size_t i = 0; i < 2; i++) {
            double angle = at * pow(100.0, -(double)i / 2.0);
            double low = a[i] * cos(angle) - a[i + 2] * sin(angle);
            double high = a[i + 2] * cos(angle) + a[i] * sin(angle);
            assert_near("low", row, out[row * 6 + i], low, 1e-5);
            assert_near("high", row, out[row * 6 + i + 2], high, 1e-5);
        }
        assert_true(out[row * 6 + 4] == a[4] && out[row * 6 + 5] == a[5]);
    }
    free(in);
    free(out);
    finish(s);
}

static void queries_turn_with_their_position(void **state)
{
    (void)state;
    struct ew_model *m = random_model(&llama_like);
    check_rotation(m, 0);
    check_rotation(m, 5);
    check_rotation(m, 8191); /* past the table */
    check_rotation(m, 15000);
    ew_model_destroy(m);
}

static void scores_are_scaled_and_capped(void **state)
{
    (void)state;
    struct ew_model *m = random_model(&gemma_like);
    struct ew_scope *s = ew_scope_open(cpu);
    struct ew_tensor *q = values(s, 3, (int64_t[]){2, 4, 8});
    struct ew_tensor *k = values(s, 3, (int64_t[]){2, 5, 8});
    float *a = read_all(s, q);
    float *b = read_all(s, k);
    float *found = read_all(s, ew_block_scores(s, m, q, k));
    for (size_t g = 0; g < 2; g++) {
        for (size_t i = 0; i < 4; i++) {
            for (size_t j = 0; j < 5; j++) {
                double dot = 0;
                for (size_t d = 0; d < 8; d++) {
                    dot += a[(g * 4 + i) * 8 + d] * b[(g * 5 + j) * 8 + d];
                }
                assert_near("score", i, found[(g * 4 + i) * 5 + j],
                            2.0 * tanh(dot / 3.0 / 2.0), 1e-5);
            }
        }
    }
    free(a);
    free(b);
    free(found);
    finish(s);
    ew_model_destroy(m);
}

static void patterns_see_back_and_near(void **state)
{
    (void)state;
    struct ew_model *m = random_model(&gemma_like);
    assert_int_equal(ew_arch_window(&m->arch, 0), 3);
    assert_int_equal(ew_arch_window(&m->arch, 1), 0);
    assert_int_equal(ew_arch_window(&m->arch, 2), 3);
    for (int layer = 0; layer < 2; layer++) {
        struct ew_scope *s = ew_scope_open(cpu);
        int window = ew_arch_window(&m->arch, layer);
        /* queries at positions 2..5 of 6 keys */
        struct ew_tensor *scores = values(s, 3, (int64_t[]){2, 4, 6});
        float *raw = read_all(s, scores);
        struct ew_tensor *copy = ew_clone(s, scores);
        struct ew_tensor *pattern =
            ew_block_pattern(s, m, layer, copy, 2, false);
        float *p = read_all(s, pattern);
        for (size_t row = 0; row < 8; row++) {
            int i = (int)(row % 4) + 2;
            double sum = 0;
            for (int j = 0; j < 6; j++) {
                bool seen = j <= i && (window == 0 || i - j < window);
                sum += seen ? exp(raw[row * 6 + (size_t)j]) : 0;
            }
            for (int j = 0; j < 6; j++) {
                bool seen = j <= i && (window == 0 || i - j < window);
                size_t at = row * 6 + (size_t)j;
                assert_near("pattern", at, p[at], seen ? exp(raw[at]) / sum : 0,
                            1e-5);
            }
        }
        assert_same(s, "in place",
                    ew_block_pattern(s, m, layer, scores, 2, true), pattern,
                    1e-6);
        free(raw);
        free(p);
        finish(s);
    }
    ew_model_destroy(m);
}

/* ---- the MLP, written out ---- */

static double activation(enum ew_act_kind act, double x)
{
    switch (act) {
    case EW_ACT_RELU:
        return x > 0 ? x : 0;
    case EW_ACT_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2.0)));
    case EW_ACT_GELU_NEW:
        return 0.5 * x *
               (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    default:
        return x / (1 + exp(-x)); /* silu */
    }
}

/* out[j] = b[j] + sum over i of x[i] w[i][j]; no b is zero. */
static void product(double *out, const double *x, const float *w,
                    const float *b, int n_in, int n_out)
{
    for (int j = 0; j < n_out; j++) {
        out[j] = b ? b[j] : 0;
        for (int i = 0; i < n_in; i++) {
            out[j] += x[i] * w[i * n_out + j];
        }
    }
}

static void layer_norm(double *x, int n, const float *w, const float *b)
{
    double mean = 0;
    double var = 0;
    for (int i = 0; i < n; i++) {
        mean += x[i] / n;
    }
    for (int i = 0; i < n; i++) {
        var += (x[i] - mean) * (x[i] - mean) / n;
    }
    for (int i = 0; i < n; i++) {
        x[i] = (x[i] - mean) / sqrt(var + 1e-5) * w[i] + b[i];
    }
}

static void solu_norm(double *x, int n, const float *w, const float *b)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += exp(x[i]);
    }
    for (int i = 0; i < n; i++) {
        x[i] *= exp(x[i]) / sum;
    }
    layer_norm(x, n, w, b);
}

static void check_mlp(enum ew_act_kind act, bool gated)
{
    enum { D = 12, M = 30, ROWS = 3 };
    struct ew_arch arch = gpt_like;
    arch.act = act;
    arch.gated_mlp = gated;
    struct ew_model *m = random_model(&arch);
    struct ew_scope *s = ew_scope_open(cpu);
    const struct ew_layer *lay = &m->layers[1];
    struct ew_tensor *x = values(s, 2, (int64_t[]){ROWS, D});
    struct ew_tensor *pre = NULL;
    struct ew_tensor *post = NULL;
    float *in = read_all(s, x);
    float *found = read_all(s, ew_block_mlp(s, m, 1, x, &pre, &post));
    assert_same(s, "mlp", ew_block_mlp(s, m, 1, x, NULL, NULL),
                ew_block_mlp(s, m, 1, x, NULL, &post), 1e-6);
    assert_int_equal(ew_dim(pre, 1), M);
    float *w[] = {
        read_all(s, lay->ln2.w),
        read_all(s, lay->ln2.b),
        read_all(s, lay->w_in),
        read_all(s, lay->b_in),
        read_all(s, lay->w_out),
        read_all(s, lay->b_out),
        read_all(s, gated ? lay->w_gate : lay->w_in),
        read_all(s, act == EW_ACT_SOLU_LN ? lay->mlp_ln.w : lay->b_in),
        read_all(s, act == EW_ACT_SOLU_LN ? lay->mlp_ln.b : lay->b_in),
    };
    for (int row = 0; row < ROWS; row++) {
        double h[D];
        double hidden[M];
        double linear[M];
        double out[D];
        for (int i = 0; i < D; i++) {
            h[i] = in[row * D + i];
        }
        layer_norm(h, D, w[0], w[1]);
        product(hidden, h, w[6], gated ? NULL : w[3], D, M);
        product(linear, h, w[2], NULL, D, M);
        if (act == EW_ACT_SOLU_LN) {
            solu_norm(hidden, M, w[7], w[8]);
        }
        for (int i = 0; i < M && act != EW_ACT_SOLU_LN; i++) {
            hidden[i] = activation(act, hidden[i]);
            if (gated) {
                hidden[i] = hidden[i] * linear[i] + w[3][i];
            }
        }
        product(out, hidden, w[4], w[5], M, D);
        for (int i = 0; i < D; i++) {
            size_t at = (size_t)(row * D + i);
            assert_near("mlp", at, found[at], out[i], 2e-5);
        }
    }
    for (size_t i = 0; i < EW_ARRAY_LEN(w); i++) {
        free(w[i]);
    }
    free(in);
    free(found);
    finish(s);
    ew_model_destroy(m);
}

static void mlps_follow_their_definition(void **state)
{
    (void)state;
    check_mlp(EW_ACT_RELU, false);
    check_mlp(EW_ACT_GELU, false);
    check_mlp(EW_ACT_GELU_NEW, false);
    check_mlp(EW_ACT_SILU, false);
    check_mlp(EW_ACT_SOLU_LN, false);
    check_mlp(EW_ACT_SILU, true);
    check_mlp(EW_ACT_GELU_NEW, true);
}

static void some_logits_are_those_of_all(void **state)
{
    (void)state;
    const struct ew_arch *archs[] = {&llama_like, &gemma_like, &gpt_like};
    const int64_t picked[] = {3, 0, 6, 6, 1, 2};
    for (size_t i = 0; i < EW_ARRAY_LEN(archs); i++) {
        struct ew_model *m = random_model(archs[i]);
        struct ew_scope *s = ew_scope_open(cpu);
        struct ew_tensor *x = values(s, 2, (int64_t[]){3, m->arch.d_model});
        struct ew_tensor *columns =
            ew_from_i64(s, picked, 2, (int64_t[]){3, 2});
        struct ew_tensor *xn = ew_block_final_norm(s, m, x);
        struct ew_tensor *all = ew_block_unembed(s, m, xn);
        assert_same(s, "columns", ew_block_unembed_columns(s, m, xn, columns),
                    ew_gather(s, all, 1, columns), 1e-5);
        finish(s);
        ew_model_destroy(m);
    }
}

/* ---- a forward made head by head, as an engine makes it ---- */

/* One head's contribution: x (B T, D) -> (B T, D). */
static struct ew_tensor *head(struct ew_scope *s, const struct ew_model *m,
                              int layer, int h, const struct ew_tensor *x,
                              int64_t n_pos)
{
    struct ew_tensor *xn = ew_block_norm(s, m, &m->layers[layer].ln1, x);
    const int64_t shape[] = {-1, n_pos, m->arch.d_head};
    struct ew_tensor *qkv[3];
    for (int i = 0; i < 3; i++) {
        qkv[i] = ew_reshape(
            s, ew_block_project(s, m, layer, (enum ew_qkv)i, h, xn), 3, shape);
    }
    struct ew_tensor *scores =
        ew_block_scores(s, m, ew_block_rotate(s, m, qkv[EW_Q], 0),
                        ew_block_rotate(s, m, qkv[EW_K], 0));
    struct ew_tensor *pattern = ew_block_pattern(s, m, layer, scores, 0, true);
    struct ew_tensor *z = ew_block_mix(s, pattern, qkv[EW_V]);
    int64_t flat[] = {ew_dim(x, 0), m->arch.d_head};
    return ew_block_head_out(s, m, layer, h, ew_reshape(s, z, 2, flat));
}

static struct ew_tensor *forward_by_heads(struct ew_scope *s,
                                          const struct ew_model *m,
                                          const struct ew_tensor *ids)
{
    int64_t n_pos = ew_dim(ids, 1);
    struct ew_tensor *x = ew_block_embed_tokens(s, m, ids);
    struct ew_tensor *pos =
        ew_block_embed_positions(s, m, ew_dim(ids, 0), n_pos);
    if (pos) {
        x = ew_add(s, x, pos);
    }
    x = ew_reshape(s, x, 2, (int64_t[]){-1, m->arch.d_model});
    for (int l = 0; l < m->arch.n_layers; l++) {
        const struct ew_layer *lay = &m->layers[l];
        struct ew_tensor *attn = ew_add(s, ew_scale(s, x, 0.0), lay->b_o);
        for (int h = 0; h < m->arch.n_heads; h++) {
            attn = ew_add(s, attn, head(s, m, l, h, x, n_pos));
        }
        if (m->arch.post_norms) {
            attn = ew_block_norm(s, m, &lay->ln1_post, attn);
        }
        struct ew_tensor *mid = ew_add(s, x, attn);
        const struct ew_tensor *mlp_in = m->arch.parallel ? x : mid;
        x = m->arch.d_mlp > 0
                ? ew_add(s, mid, ew_block_mlp(s, m, l, mlp_in, NULL, NULL))
                : mid;
    }
    return ew_block_unembed(s, m, ew_block_final_norm(s, m, x));
}

static void every_family_is_the_sum_of_its_heads(void **state)
{
    (void)state;
    const struct ew_arch *archs[] = {&llama_like, &gemma_like, &gpt_like,
                                     &bare};
    const int64_t tokens[] = {1, 4, 8, 0, 2, 7, 3, 5, 6, 6};
    for (size_t i = 0; i < EW_ARRAY_LEN(archs); i++) {
        struct ew_model *m = random_model(archs[i]);
        struct ew_scope *s = ew_scope_open(cpu);
        struct ew_tensor *ids = ew_from_i64(s, tokens, 2, (int64_t[]){2, 5});
        assert_same(s, "logits", ew_forward(s, m, ids, NULL),
                    forward_by_heads(s, m, ids), 2e-5);
        finish(s);
        ew_model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_head_is_a_part_of_all),
        cmocka_unit_test(results_of_heads_sum_to_attention),
        cmocka_unit_test(queries_turn_with_their_position),
        cmocka_unit_test(scores_are_scaled_and_capped),
        cmocka_unit_test(patterns_see_back_and_near),
        cmocka_unit_test(mlps_follow_their_definition),
        cmocka_unit_test(some_logits_are_those_of_all),
        cmocka_unit_test(every_family_is_the_sum_of_its_heads),
    };
    load_torch();
    return cmocka_run_group_tests(tests, NULL, no_handle_is_left);
}
