/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attribution and the exact effect of every edge alone, against the scores of
 * the EAP-IG package. Its metric is a mean over the batch divided by the
 * batch once more, so its estimates are multiplied by the batch; its `exact`
 * is right as it stands.
 */
#include "ew_cmocka.h"

#include <math.h>
#include <string.h>

#include "edgewise/attribute.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"

static const struct ew_device cpu = {0};

static void must(bool ok, const struct ew_err *err)
{
    if (!ok) {
        fail_msg("%s", err->message);
    }
}

struct fixture {
    struct ew_model *m;
    struct ew_task *task;
    struct ew_graph *g;
    struct ew_engine *e;
    json_t *reference;
    float *scores; /* n_edges */
};

static void open_case(struct fixture *f, const char *name)
{
    struct ew_err err = {0};
    char *dir = ew_xasprintf("%s/acdc/%s", EW_REFERENCE_DIR, name);
    char *tokens = ew_xasprintf("%s/tokens.json", dir);
    char *scores = ew_xasprintf("%s/eap_ig.json", dir);
    f->m = ew_model_load(dir, cpu, &err);
    must(f->m != NULL, &err);
    struct ew_task_env env = {.d_vocab = f->m->arch.d_vocab,
                              .n_ctx = f->m->arch.n_ctx,
                              .bos = 0};
    f->task = ew_task_load(tokens, &env, &err);
    must(f->task != NULL, &err);
    struct ew_graph_spec spec = {.n_layers = f->m->arch.n_layers,
                                 .n_heads = f->m->arch.n_heads,
                                 .has_mlp = f->m->arch.d_mlp > 0};
    f->g = ew_graph_create(&spec, &err);
    struct ew_engine_params params = {0};
    f->e = ew_engine_create(f->m, f->task, f->g, &params, NULL, &err);
    must(f->e != NULL, &err);
    f->reference = ew_json_load(scores, &err);
    must(f->reference != NULL, &err);
    f->scores = ew_xcalloc(ew_graph_n_edges(f->g), sizeof(*f->scores));
    free(dir);
    free(tokens);
    free(scores);
}

static void close_case(struct fixture *f)
{
    ew_engine_destroy(f->e);
    ew_graph_destroy(f->g);
    ew_task_destroy(f->task);
    ew_model_destroy(f->m);
    json_decref(f->reference);
    free(f->scores);
}

/* Compare f->scores with a method of the file; returns edges compared. */
static size_t compare(const struct fixture *f, const char *method,
                      double factor)
{
    const json_t *want = json_object_get(
        json_object_get(f->reference, "methods"), method);
    assert_non_null(want);
    size_t n = 0;
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)want, name, value)
    {
        uint32_t edge;
        if (!ew_edge_parse(f->g, name, &edge, NULL)) {
            continue; /* the zero MLPs that package needs */
        }
        double score = factor * json_number_value(value);
        if (fabs(f->scores[edge] - score) > 1e-4 * fmax(1.0, fabs(score))) {
            fail_msg("%s: %s: %.7g, expected %.7g", method, name,
                     (double)f->scores[edge], score);
        }
        n++;
    }
    return n;
}

static const struct {
    const char *name;
    enum ew_attribution method;
    enum ew_metric metric;
    int steps;
} methods[] = {
#define ROW(name, method, metric, steps)                                     \
    {name, EW_ATTR_##method, EW_METRIC_##metric, steps}
    ROW("EAP_logitdiff", EAP, LOGIT_DIFF, 0),
    ROW("EAP_kl", EAP, KL, 0),
    ROW("EAP-IG-inputs_5_logitdiff", IG_INPUTS, LOGIT_DIFF, 5),
    ROW("EAP-IG-inputs_5_kl", IG_INPUTS, KL, 5),
    ROW("EAP-IG-inputs_30_logitdiff", IG_INPUTS, LOGIT_DIFF, 30),
    ROW("EAP-IG-activations_5_logitdiff", IG_ACTIVATIONS, LOGIT_DIFF, 5),
    ROW("clean-corrupted_logitdiff", CLEAN_CORRUPTED, LOGIT_DIFF, 0),
#undef ROW
};

/*
 * The package's graph always has MLPs, and it steps through what they send.
 * Where they send nothing, each of those passes is one of the plain model.
 */
static void add_zero_mlps(struct fixture *f, enum ew_metric metric)
{
    struct ew_err err = {0};
    double n_layers = f->m->arch.n_layers;
    uint32_t n = ew_graph_n_edges(f->g);
    float *plain = ew_xcalloc(n, sizeof(*plain));
    struct ew_attribute_params params = {.method = EW_ATTR_EAP,
                                         .metric = metric};
    must(ew_engine_attribute(f->e, &params, plain, NULL, &err), &err);
    for (uint32_t e = 0; e < n; e++) {
        f->scores[e] = (float)(((1 + n_layers) * (double)f->scores[e] +
                                n_layers * (double)plain[e]) /
                               (1 + 2 * n_layers));
    }
    free(plain);
}

static void estimates_equal_the_package(void **state)
{
    (void)state;
    static const char *const cases[] = {"gelu3l", "induction-2l"};
    size_t compared = 0;
    for (size_t c = 0; c < EW_ARRAY_LEN(cases); c++) {
        struct fixture f;
        open_case(&f, cases[c]);
        const json_t *all = json_object_get(f.reference, "methods");
        double batch = json_number_value(json_object_get(f.reference,
                                                         "batch"));
        for (size_t i = 0; i < EW_ARRAY_LEN(methods); i++) {
            assert_non_null(json_object_get(all, methods[i].name));
            struct ew_err err = {0};
            struct ew_attribute_params params = {
                .method = methods[i].method,
                .metric = methods[i].metric,
                .steps = methods[i].steps};
            must(ew_engine_attribute(f.e, &params, f.scores, NULL, &err),
                 &err);
            if (methods[i].method == EW_ATTR_IG_ACTIVATIONS &&
                f.m->arch.d_mlp == 0) {
                add_zero_mlps(&f, methods[i].metric);
            }
            compared += compare(&f, methods[i].name, batch);
        }
        close_case(&f);
    }
    assert_true(compared > 500);
}

/* Every edge cut alone. */
static void exact_effects_equal_the_package(void **state)
{
    (void)state;
    struct fixture f;
    open_case(&f, "gelu3l");
    struct ew_err err = {0};
    uint32_t n = ew_graph_n_addition(f.g);
    struct ew_what_if *ifs = ew_xcalloc(n, sizeof(*ifs));
    uint32_t *edges = ew_xcalloc(n, sizeof(*edges));
    struct ew_score *scores = ew_xcalloc(n, sizeof(*scores));
    struct ew_score full;
    for (uint32_t i = 0; i < n; i++) {
        edges[i] = i;
        ifs[i] = (struct ew_what_if){.edges = &edges[i], .n = 1};
    }
    unsigned want = EW_WANT_KL | EW_WANT_LOGIT_DIFF;
    must(ew_engine_score(f.e, want, &full, NULL, &err), &err);
    must(ew_engine_what_if(f.e, ifs, n, want, scores, NULL, NULL, &err),
         &err);
    for (uint32_t i = 0; i < n; i++) {
        f.scores[i] = (float)(full.logit_diff - scores[i].logit_diff);
    }
    assert_int_equal(compare(&f, "exact_logitdiff", 1.0), n);
    for (uint32_t i = 0; i < n; i++) {
        f.scores[i] = (float)(scores[i].kl - full.kl);
    }
    assert_int_equal(compare(&f, "exact_kl", 1.0), n);
    free(ifs);
    free(edges);
    free(scores);
    close_case(&f);
}

/* ---- metrics that the package does not have, by those that it has ---- */

static void attribute(struct ew_engine *e, enum ew_metric metric,
                      enum ew_attribution method, float *scores)
{
    struct ew_err err = {0};
    const struct ew_attribute_params params = {
        .method = method, .metric = metric, .steps = 3};
    must(ew_engine_attribute(e, &params, scores, NULL, &err), &err);
}

/* One prompt and a vocabulary of two: P(a) - P(b) = tanh(LD / 2). */
static void metrics_of_sets_have_their_gradients(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_arch arch = {.name = "two words",
                           .n_layers = 2,
                           .n_heads = 2,
                           .n_kv_heads = 2,
                           .d_model = 16,
                           .d_head = 8,
                           .d_mlp = 32,
                           .d_vocab = 2,
                           .d_vocab_out = 2,
                           .n_ctx = 8,
                           .norm = EW_NORM_LN,
                           .final_norm = EW_NORM_LN,
                           .eps = 1e-5,
                           .act = EW_ACT_GELU,
                           .pos = EW_POS_STANDARD,
                           .attn_scale = 2.8,
                           .embed_scale = 1.0,
                           .bos_token = -1};
    struct ew_task_env env = {.d_vocab = 2, .n_ctx = 8, .bos = -1};
    struct ew_model *m = ew_model_random(&arch, 3, cpu, &err);
    must(m != NULL, &err);
    struct ew_task *task = ew_task_open(
        "{\"prompts\": [{\"clean\": [0, 1, 0, 1, 1], \"corrupt\": [0, 0, 1, "
        "1, 0], \"answers\": [0], \"wrong_answers\": [1]}]}",
        &env, &err);
    must(task != NULL, &err);
    struct ew_graph_spec spec = {.n_layers = 2, .n_heads = 2, .has_mlp = true};
    struct ew_graph *g = ew_graph_create(&spec, &err);
    struct ew_engine_params params = {0};
    struct ew_engine *e = ew_engine_create(m, task, g, &params, NULL, &err);
    must(e != NULL, &err);
    struct ew_score score;
    must(ew_engine_score(e, EW_WANT_LOGIT_DIFF, &score, NULL, &err), &err);
    double p = tanh(score.logit_diff / 2);
    double slope = (1 - p * p) / 2;
    uint32_t n = ew_graph_n_edges(g);
    float *ld = ew_xcalloc(n, sizeof(*ld));
    float *other = ew_xcalloc(n, sizeof(*other));
    double largest = 0;
    attribute(e, EW_METRIC_LOGIT_DIFF, EW_ATTR_EAP, ld);
    attribute(e, EW_METRIC_PROB_DIFF, EW_ATTR_EAP, other);
    for (uint32_t i = 0; i < n; i++) {
        if (!(fabs(other[i] - slope * ld[i]) < 1e-5)) {
            fail_msg("edge %u: %g is not %g", i, (double)other[i],
                     slope * (double)ld[i]);
        }
        largest = fmax(largest, fabs(other[i]));
    }
    assert_true(largest > 1e-3);
    attribute(e, EW_METRIC_DOCSTRING, EW_ATTR_EAP, other);
    for (uint32_t i = 0; i < n; i++) { /* one wrong answer: the same */
        assert_true(fabs(other[i] - ld[i]) < 1e-6);
    }
    attribute(e, EW_METRIC_KL, EW_ATTR_IG_INPUTS, ld);
    attribute(e, EW_METRIC_KL_MIB, EW_ATTR_IG_INPUTS, other);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(fabs(2 * other[i] - ld[i]) < 1e-6);
    }
    free(ld);
    free(other);
    ew_engine_destroy(e);
    ew_graph_destroy(g);
    ew_task_destroy(task);
    ew_model_destroy(m);
}

int main(void)
{
    ew_test_need(EW_REFERENCE_DIR "/acdc");
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_equal_the_package),
        cmocka_unit_test(exact_effects_equal_the_package),
        cmocka_unit_test(metrics_of_sets_have_their_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
