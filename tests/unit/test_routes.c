/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Information flow routes, against the formula written down anew in double
 * precision over what TransformerLens's hooks show, for models of every kind.
 */
#include <math.h>

#include "edgewise/forward.h"
#include "edgewise/routes.h"

#include "engine_fixture.h"
#include "ew_cmocka.h"

enum { N_T = 8, MAX_SENDERS = 32, MAX_D = 24, MAX_LAYERS = 3 };

static const struct ew_device cpu = {0};

typedef double activation[4 * N_T * MAX_D];

struct seen {
    const struct ew_graph *g;
    int d;
    activation embed;
    activation position;
    activation head[MAX_LAYERS][4];
    activation mlp_out[MAX_LAYERS];
    activation attn_in[MAX_LAYERS];
    activation mlp_in[MAX_LAYERS];
    activation final;
};

static void see(void *user, struct ew_scope *s, const char *name,
                struct ew_tensor *t)
{
    struct seen *seen = user;
    size_t n = (size_t)(4 * N_T * seen->d);
    int n_heads = ew_graph_spec(seen->g)->n_heads;
    int layer;
    char what[64];
    if (strcmp(name, "hook_embed") == 0) {
        ew_read_f64(s, t, seen->embed, n);
    } else if (strcmp(name, "hook_pos_embed") == 0) {
        ew_read_f64(s, ew_contiguous(s, t), seen->position, n);
    } else if (sscanf(name, "blocks.%d.%63s", &layer, what) != 2) {
        return;
    } else if (strcmp(what, "attn.hook_result") == 0) {
        for (int h = 0; h < n_heads; h++) {
            ew_read_f64(s, ew_contiguous(s, ew_select(s, t, 2, h)),
                        seen->head[layer][h], n);
        }
    } else if (strcmp(what, "hook_mlp_out") == 0) {
        ew_read_f64(s, t, seen->mlp_out[layer], n);
    } else if (strcmp(what, "hook_resid_pre") == 0) {
        ew_read_f64(s, t, seen->attn_in[layer], n);
    } else if (strcmp(what, "hook_mlp_in") == 0) {
        ew_read_f64(s, t, seen->mlp_in[layer], n);
    } else if (strcmp(what, "hook_resid_post") == 0) {
        ew_read_f64(s, t, seen->final, n); /* the last one stays */
    }
}

static double sent(const struct seen *seen, uint32_t sender, size_t i)
{
    struct ew_node node = ew_graph_sender(seen->g, sender);
    switch (node.kind) {
    case EW_NODE_INPUT:
        return seen->embed[i] + seen->position[i];
    case EW_NODE_TOK:
        return seen->embed[i];
    case EW_NODE_POS:
        return seen->position[i];
    case EW_NODE_HEAD:
        return seen->head[node.layer][node.head][i];
    case EW_NODE_MLP:
        return seen->mlp_out[node.layer][i];
    default:
        return NAN;
    }
}

static const double *read_by(const struct seen *seen, uint32_t receiver)
{
    struct ew_node node = ew_graph_receiver(seen->g, receiver);
    return node.kind == EW_NODE_LOGITS ? seen->final
           : node.kind == EW_NODE_MLP  ? seen->mlp_in[node.layer]
                                       : seen->attn_in[node.layer];
}

/* The importance of each sender of a receiver; what they add up to. */
static double by_the_formula(const struct seen *seen, const struct ew_task *task,
                           uint32_t receiver, double *out)
{
    const double *x = read_by(seen, receiver);
    uint32_t n = ew_graph_n_senders_of(seen->g, receiver);
    double whole = 0;
    memset(out, 0, n * sizeof(*out));
    for (size_t b = 0; b < task->n_prompts; b++) {
        for (size_t t = 0; t < (size_t)task->length[b]; t++) {
            double near[MAX_SENDERS];
            double total = 0;
            for (uint32_t s = 0; s < n; s++) {
                near[s] = 0;
                for (int k = 0; k < seen->d; k++) {
                    size_t i = (b * N_T + t) * (size_t)seen->d + (size_t)k;
                    near[s] += fabs(x[i]) - fabs(x[i] - sent(seen, s, i));
                }
                near[s] = near[s] > 0 ? near[s] : 0;
                total += near[s];
            }
            double weight =
                1.0 / task->length[b] / (double)task->n_prompts;
            for (uint32_t s = 0; total > 0 && s < n; s++) {
                out[s] += near[s] / total * weight;
            }
            whole += total > 0 ? weight : 0;
        }
    }
    return whole;
}

static void check_model(const struct ew_arch *arch, bool split)
{
    struct ew_err err = {0};
    struct ew_model *m = ew_model_random(arch, 5, cpu, &err);
    assert_non_null(m);
    struct ew_task *task = fixture_task(arch->d_vocab, 7);
    struct ew_graph *g = fixture_graph(arch, split);
    struct ew_engine_params params = {0};
    struct ew_engine *e = ew_engine_create(m, task, g, &params, NULL, &err);
    if (!e) {
        fail_msg("%s: %s", arch->name, err.message);
    }
    struct seen *seen = ew_xcalloc(1, sizeof(*seen));
    seen->g = g;
    seen->d = arch->d_model;
    struct ew_forward_params hooks = {.hook = see, .hook_user = seen};
    struct ew_scope *s = ew_scope_open(cpu);
    ew_forward(s, m,
               ew_from_i64(s, task->clean, 2, (int64_t[]){4, N_T}), &hooks);
    assert_true(ew_scope_finish(s, &err));

    float *scores = ew_xcalloc(ew_graph_n_edges(g), sizeof(*scores));
    struct ew_routes_params none = {0};
    assert_true(ew_engine_routes(e, &none, scores, NULL, &err));
    double largest = 0;
    for (uint32_t r = 0; r < ew_graph_n_receivers(g); r++) {
        double want[MAX_SENDERS];
        double sum = 0;
        uint32_t n = ew_graph_n_senders_of(g, r);
        double whole = by_the_formula(seen, task, r, want);
        for (uint32_t i = 0; i < n; i++) {
            double score = (double)scores[ew_graph_first_edge(g, r) + i];
            if (!(fabs(score - want[i]) < 1e-5)) {
                fail_msg("%s: receiver %u, sender %u: %g, expected %g",
                         arch->name, r, i, score, want[i]);
            }
            assert_true(score >= 0.0 && score <= 1.0 + 1e-6);
            largest = n > 1 ? fmax(largest, score) : largest;
            sum += score;
        }
        assert_true(fabs(sum - whole) < 1e-5);
        assert_true(whole > 0.5);
        uint32_t direct = ew_graph_direct_edge(g, r);
        assert_true(direct == EW_NONE || isnan(scores[direct]));
    }
    assert_true(largest > 0.1 && largest < 1);
    free(scores);
    free(seen);
    ew_engine_destroy(e);
    ew_graph_destroy(g);
    ew_task_destroy(task);
    ew_model_destroy(m);
}

static void check_refused(const struct ew_arch *arch)
{
    struct ew_err err = {0};
    struct ew_model *m = ew_model_random(arch, 5, cpu, &err);
    assert_non_null(m);
    struct ew_task *task = fixture_task(arch->d_vocab, 7);
    struct ew_graph *g = fixture_graph(arch, false);
    struct ew_engine_params params = {0};
    struct ew_engine *e = ew_engine_create(m, task, g, &params, NULL, &err);
    assert_non_null(e);
    float *scores = ew_xcalloc(ew_graph_n_edges(g), sizeof(*scores));
    struct ew_routes_params none = {0};
    assert_false(ew_engine_routes(e, &none, scores, NULL, &err));
    assert_int_equal(err.code, EW_ERR_INPUT);
    assert_non_null(strstr(err.message, arch->name));
    free(scores);
    ew_engine_destroy(e);
    ew_graph_destroy(g);
    ew_task_destroy(task);
    ew_model_destroy(m);
}

static void shares_are_the_formulas(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        if (fixture_archs[i].post_norms) {
            check_refused(&fixture_archs[i]);
        } else {
            check_model(&fixture_archs[i], false);
        }
    }
    check_model(&fixture_archs[1], true);
}

static void a_toy_has_none(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_task *task = fixture_task(23, 1);
    struct ew_graph *g = fixture_graph(&fixture_archs[1], false);
    struct ew_engine_params params = {.kind = EW_ENGINE_TOY};
    struct ew_engine *e = ew_engine_create(NULL, task, g, &params, NULL, &err);
    float *scores = ew_xcalloc(ew_graph_n_edges(g), sizeof(*scores));
    struct ew_routes_params none = {0};
    assert_false(ew_engine_routes(e, &none, scores, NULL, &err));
    assert_int_equal(err.code, EW_ERR_USAGE);
    free(scores);
    ew_engine_destroy(e);
    ew_graph_destroy(g);
    ew_task_destroy(task);
}

int main(void)
{
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_the_formulas),
        cmocka_unit_test(a_toy_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
