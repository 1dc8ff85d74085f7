/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a head does: attention scores of patterns made by hand, and what it
 * writes against the head's own result in a hooked run, by plain loops.
 */
#include "edgewise/head.h"

#include "model_fixture.h"

/* 0 1 0 1: the two last queries each have one like them before. */
static void attention_is_counted_where_it_is_defined(void **state)
{
    (void)state;
    static const int64_t ids[] = {0, 1, 0, 1};
    static const float pattern[] = {1,   0,   0,   0,   /**/ .4f, .6f,
                                    0,   0,   .5f, .3f, .2f,      0, /**/
                                    .1f, .2f, .3f, .4f};
    struct ew_head_attention sum = {0};
    ew_head_attention_add(&sum, pattern, 4, ids, 4);
    ew_head_attention_mean(&sum);
    assert_float_equal(sum.previous, (.4 + .3 + .3) / 3, 1e-6);
    assert_float_equal(sum.duplicate, (.5 + .2) / 2, 1e-6);
    assert_float_equal(sum.induction, (.3 + .3) / 2, 1e-6);
    sum = (struct ew_head_attention){0};
    ew_head_attention_add(&sum, pattern, 4, ids, 2); /* no token twice */
    ew_head_attention_mean(&sum);
    assert_float_equal(sum.previous, .4, 1e-6);
    assert_true(isnan(sum.duplicate) && isnan(sum.induction));
}

struct prompts {
    struct ew_model *m;
    int64_t *ids;
    int64_t n, n_pos;
    int32_t *length, *position;
    struct ew_head_answers *answers;
    int64_t *right, *wrong;
    struct ew_head_prompts p;
};

static struct prompts open_prompts(const char *folder)
{
    struct prompts x = {.m = reference_model(folder)};
    json_t *tokens = reference_json(folder, "tokens.json");
    x.ids = token_ids(json_object_get(tokens, "clean"), &x.n, &x.n_pos);
    size_t n = (size_t)x.n;
    x.length = ew_xcalloc(n, sizeof(*x.length));
    x.position = ew_xcalloc(n, sizeof(*x.position));
    x.answers = ew_xcalloc(n, sizeof(*x.answers));
    x.right = ew_xcalloc(n, sizeof(*x.right));
    x.wrong = ew_xcalloc(n, sizeof(*x.wrong));
    const json_t *right = json_object_get(tokens, "answer_ids");
    const json_t *wrong = json_object_get(tokens, "wrong_ids");
    for (size_t i = 0; i < n; i++) {
        x.length[i] = (int32_t)x.n_pos;
        x.position[i] = (int32_t)x.n_pos - 1;
        x.right[i] = json_integer_value(json_array_get(right, i));
        x.wrong[i] = json_integer_value(json_array_get(wrong, i));
        x.answers[i] = (struct ew_head_answers){&x.right[i], &x.wrong[i], 1, 1};
    }
    x.p = (struct ew_head_prompts){x.ids,     x.length, x.position,
                                   x.answers, n,        (size_t)x.n_pos};
    json_decref(tokens);
    return x;
}

static void close_prompts(struct prompts *x)
{
    ew_model_destroy(x->m);
    free(x->ids);
    free(x->length);
    free(x->position);
    free(x->answers);
    free(x->right);
    free(x->wrong);
}

/* A head's result and the final scale, all positions. */
struct result {
    float *out;   /* (B, T, H, D) of one layer */
    float *scale; /* (B, T) */
    size_t n;
    char name[64];
};

static void take(void *user, struct ew_scope *s, const char *name,
                 struct ew_tensor *t)
{
    struct result *r = user;
    if (strcmp(name, r->name) == 0) {
        r->out = ew_xcalloc((size_t)ew_numel(t), sizeof(float));
        ew_read_f32(s, ew_contiguous(s, t), r->out, (size_t)ew_numel(t));
    }
    if (strcmp(name, "ln_final.hook_scale") == 0) {
        r->scale = ew_xcalloc((size_t)ew_numel(t), sizeof(float));
        ew_read_f32(s, t, r->scale, (size_t)ew_numel(t));
    }
}

static float *host(const struct ew_model *m, const struct ew_tensor *t)
{
    float *out = ew_xcalloc((size_t)ew_numel(t), sizeof(*out));
    struct ew_scope *s = ew_scope_open(m->device);
    ew_read_f32(s, t, out, (size_t)ew_numel(t));
    assert_true(ew_scope_finish(s, NULL));
    return out;
}

/* (answer - wrong) of head `h`, mean over prompts, one number at a time. */
static double by_hand(const struct prompts *x, const struct result *r, int h)
{
    const struct ew_model *m = x->m;
    size_t d = (size_t)m->arch.d_model;
    size_t v = (size_t)m->arch.d_vocab_out;
    size_t heads = (size_t)m->arch.n_heads;
    float *w_u = host(m, m->w_u);
    float *gain = m->ln_final.w ? host(m, m->ln_final.w) : NULL;
    double sum = 0;
    for (int64_t b = 0; b < x->n; b++) {
        size_t row = (size_t)(b * x->n_pos + x->n_pos - 1);
        const float *out = r->out + (row * heads + (size_t)h) * d;
        double mean = 0;
        for (size_t i = 0; i < d; i++) {
            mean += (double)out[i] / (double)d;
        }
        for (size_t i = 0; i < d; i++) {
            double normed = ((double)out[i] - mean) *
                            (gain ? (double)gain[i] : 1.0) /
                            (double)r->scale[row];
            sum += normed * ((double)w_u[i * v + (size_t)x->right[b]] -
                             (double)w_u[i * v + (size_t)x->wrong[b]]);
        }
    }
    free(w_u);
    free(gain);
    return sum / (double)x->n;
}

static void the_direct_part_is_what_the_result_gives(void **state)
{
    (void)state;
    struct prompts x = open_prompts("acdc/induction-2l");
    for (int layer = 0; layer < x.m->arch.n_layers; layer++) {
        struct ew_err err = {0};
        struct result r = {0};
        snprintf(r.name, sizeof(r.name), "blocks.%d.attn.hook_result", layer);
        struct ew_forward_params params = {.hook = take, .hook_user = &r};
        struct ew_scope *s = ew_scope_open(x.m->device);
        ew_forward(s, x.m, ew_from_i64(s, x.ids, 2, (int64_t[]){x.n, x.n_pos}),
                   &params);
        assert_true(ew_scope_finish(s, &err));
        for (int h = 0; h < x.m->arch.n_heads; h++) {
            struct ew_head_output out;
            assert_true(ew_head_output(x.m, layer, h, &x.p, &out, NULL, &err));
            assert_float_equal(out.direct, by_hand(&x, &r, h), 1e-3);
            assert_true(out.direct_se >= 0);
            assert_int_equal(out.n_writes, EW_HEAD_WRITES);
            assert_true(out.up_by[0] >= out.up_by[1] && out.up_by[1] > 0);
            assert_true(out.down_by[0] <= out.down_by[1] && out.down_by[1] < 0);
        }
        free(r.out);
        free(r.scale);
    }
    close_prompts(&x);
}

/* The trained model copies with its induction heads, and only with them. */
static void induction_heads_copy(void **state)
{
    (void)state;
    struct prompts x = open_prompts("acdc/induction-2l");
    double best[2] = {0};
    for (int layer = 0; layer < 2; layer++) {
        for (int h = 0; h < x.m->arch.n_heads; h++) {
            struct ew_err err = {0};
            struct ew_head_output out;
            assert_true(ew_head_output(x.m, layer, h, &x.p, &out, NULL, &err));
            print_message("a%d.h%d direct %+.2f copying %.2f\n", layer, h,
                          out.direct, out.copying);
            assert_true(out.copying >= 0 && out.copying <= 1);
            assert_true(out.n_copying > 0);
            best[layer] = out.copying > best[layer] ? out.copying : best[layer];
        }
    }
    assert_true(best[1] > 0.9);
    close_prompts(&x);
}

static void what_cannot_be_said_is_refused(void **state)
{
    (void)state;
    struct prompts x = open_prompts("acdc/induction-2l");
    struct ew_err err = {0};
    struct ew_head_output out;
    assert_false(ew_head_output(x.m, 0, 99, &x.p, &out, NULL, &err));
    assert_string_equal(err.message, "no head a0.h99");
    for (int64_t i = 0; i < x.n; i++) {
        x.answers[i].n_wrong = 0;
    }
    assert_true(ew_head_output(x.m, 0, 1, &x.p, &out, NULL, &err));
    assert_true(isnan(out.direct));
    assert_false(isnan(out.copying));
    close_prompts(&x);
}

int main(void)
{
    ew_test_need(ew_test_reference("acdc/induction-2l/tokens.json"));
    load_torch();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_counted_where_it_is_defined),
        cmocka_unit_test(the_direct_part_is_what_the_result_gives),
        cmocka_unit_test(induction_heads_copy),
        cmocka_unit_test(what_cannot_be_said_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
