/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine tells beside the scores of circuits - which edges cannot
 * matter, where heads look, what is said next, whether it is sound - and what
 * it refuses; on random models of every kind.
 */
#include "ew_cmocka.h"

#include <math.h>

#include "engine_pair.h"

static void zero_effects_are_zero(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p, &fixture_archs[1], EW_ABLATE_CORRUPTED, false, 9);
    struct ew_err err = {0};
    random_circuit(&p, 0.4);
    struct ew_score now, then;
    must(ew_engine_score(p.slow, EW_WANT_ALL, &now, NULL, &err), &err);
    size_t known = 0;
    for (uint32_t e = 0; e < ew_graph_n_edges(p.g); e++) {
        if (ew_engine_zero_why(p.fast, e) == EW_ZERO_NOT) {
            continue;
        }
        known++;
        struct ew_what_if one = {.edges = &e, .n = 1};
        must(ew_engine_what_if(p.slow, &one, 1, EW_WANT_ALL, &then, NULL,
                               NULL, &err),
             &err);
        assert_close(then.logit_diff, now.logit_diff, "a zero effect");
    }
    assert_true(known > 0);
    close_pair(&p);
}

static void flip_both(struct pair *p, uint32_t edge)
{
    struct ew_err err = {0};
    must(ew_engine_commit(p->fast, &edge, 1, NULL, &err), &err);
    must(ew_engine_commit(p->slow, &edge, 1, NULL, &err), &err);
}

/* A head that sent nothing reads again, while nobody reads it. */
static void a_dead_head_is_looked_at_again(void **state)
{
    (void)state;
    struct pair p;
    struct ew_score now, then;
    struct ew_err err = {0};
    open_model(&p, &fixture_archs[3], false, 3);
    fixture_drop_biases(p.m);
    open_engines(&p, EW_ABLATE_ZERO, 0, false);
    uint32_t v = ew_graph_n_receivers(p.g) - 1;
    while (ew_graph_receiver(p.g, v).kind != EW_NODE_V) {
        v--; /* of the last head */
    }
    uint32_t head = ew_graph_feeds(p.g, v);
    uint32_t edge0 = ew_graph_first_edge(p.g, v);
    uint32_t out =
        ew_graph_first_edge(p.g, ew_graph_n_receivers(p.g) - 1) + head;
    for (uint32_t i = 0; i < ew_graph_n_senders_of(p.g, v); i++) {
        flip_both(&p, edge0 + i);
    }
    assert_int_equal(ew_engine_zero_why(p.fast, out), EW_ZERO_SAME);
    for (uint32_t e = 0; e < ew_graph_n_addition(p.g); e++) {
        if (ew_edge_sender(p.g, e) == head) {
            flip_both(&p, e);
        }
    }
    flip_both(&p, edge0);
    struct ew_what_if one = {.edges = &out, .n = 1};
    must(ew_engine_score(p.slow, EW_WANT_ALL, &now, NULL, &err), &err);
    must(ew_engine_what_if(p.slow, &one, 1, EW_WANT_ALL, &then, NULL, NULL,
                           &err),
         &err);
    assert_true(fabs(then.kl - now.kl) > 1e-6);
    assert_int_equal(ew_engine_zero_why(p.fast, out), EW_ZERO_NOT);
    close_pair(&p);
}

/* Of the circuit as it is, also where nobody reads the head; what is not
 * known is no number. */
static void attention_is_the_circuits(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct pair p;
        struct ew_err err = {0};
        open_model(&p, &fixture_archs[i], false, 71 + i);
        for (size_t b = 0; b < p.task->n_prompts; b++) {
            p.task->answer_position[b]--; /* nothing reads the last one */
        }
        open_engines(&p, EW_ABLATE_CORRUPTED, 0, false);
        snprintf(context, sizeof(context),
                 "%s, attention: ", fixture_archs[i].name);
        size_t n = p.task->n_pos * p.task->n_pos;
        float *fast = ew_xcalloc(n, sizeof(*fast));
        float *slow = ew_xcalloc(n, sizeof(*slow));
        size_t known = 0;
        random_circuit(&p, 0.3);
        for (int round = 0; round < 60; round++) {
            uint32_t edge =
                (uint32_t)ew_rng_below(&p.rng, ew_graph_n_edges(p.g));
            struct ew_node node =
                ew_graph_receiver(p.g, ew_edge_receiver(p.g, edge));
            flip_both(&p, edge);
            if (node.kind == EW_NODE_MLP || node.kind == EW_NODE_LOGITS) {
                continue;
            }
            int layer = node.layer, head = node.head;
            must(ew_engine_attention(p.fast, EW_RUN_CIRCUIT, layer, head, 0,
                                     fast, &err),
                 &err);
            must(ew_engine_attention(p.slow, EW_RUN_CIRCUIT, layer, head, 0,
                                     slow, &err),
                 &err);
            for (size_t k = 0; k < n; k++) {
                bool both = !isnan(fast[k]) && !isnan(slow[k]);
                known += both;
                if (both) {
                    assert_close((double)fast[k], (double)slow[k], "weight");
                }
            }
            assert_true(isnan(fast[n - 1]));
        }
        assert_true(known > 0);
        free(fast);
        free(slow);
        close_pair(&p);
    }
}

static void too_little_memory_is_refused(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_model *m = ew_model_random(&fixture_archs[0], 1, cpu, &err);
    struct ew_task *task = fixture_task(fixture_archs[0].d_vocab, 1);
    struct ew_graph *g = fixture_graph(&fixture_archs[0], false);
    struct ew_engine_params params = {.max_memory = 1000};
    assert_null(ew_engine_create(m, task, g, &params, NULL, &err));
    assert_int_equal(err.code, EW_ERR_NOMEM);
    assert_non_null(strstr(err.message, "--max-memory"));
    ew_graph_destroy(g);
    ew_task_destroy(task);
    ew_model_destroy(m);
}

/* An answer that can be read, but never comes. */
static void what_cannot_be_said_is_refused(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_arch arch = fixture_archs[0];
    arch.d_vocab_out = arch.d_vocab - 1;
    struct ew_model *m = ew_model_random(&arch, 1, cpu, &err);
    must(m != NULL, &err);
    struct ew_task *task = fixture_task(arch.d_vocab_out, 1);
    struct ew_graph *g = fixture_graph(&arch, false);
    struct ew_engine_params params = {0};
    struct ew_engine *e = ew_engine_create(m, task, g, &params, NULL, &err);
    must(e != NULL, &err);
    ew_engine_destroy(e);
    task->answers[2].wrong[0] = arch.d_vocab_out;
    assert_null(ew_engine_create(m, task, g, &params, NULL, &err));
    assert_int_equal(err.code, EW_ERR_INPUT);
    assert_non_null(strstr(err.message, "prompt 2, wrong answer 0"));
    task->answers[2].wrong[0] = 0;
    task->scored[1].target = arch.d_vocab_out;
    assert_null(ew_engine_create(m, task, g, &params, NULL, &err));
    assert_non_null(strstr(err.message, "output vocabulary of 18"));
    ew_graph_destroy(g);
    ew_task_destroy(task);
    ew_model_destroy(m);
}

/* Sound as made; and it notices a model that is no longer the one whose runs
 * the engine holds. */
static void self_check_tells(void **state)
{
    (void)state;
    struct ew_err err = {0};
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct ew_model *m = ew_model_random(&fixture_archs[i], 3, cpu, &err);
        must(m != NULL, &err);
        struct ew_task *task = fixture_task(fixture_archs[i].d_vocab, 3);
        struct ew_graph *g = fixture_graph(&fixture_archs[i], false);
        struct ew_engine_params params = {0};
        struct ew_engine *e =
            ew_engine_create(m, task, g, &params, NULL, &err);
        must(e != NULL, &err);
        must(ew_engine_check(e, NULL, &err), &err);
        float *w = ew_data_f32(m->w_e);
        for (int64_t k = 0; k < ew_numel(m->w_e); k++) {
            w[k] = -w[k];
        }
        assert_false(ew_engine_check(e, NULL, &err));
        assert_int_equal(err.code, EW_ERR_FAILED);
        assert_non_null(strstr(err.message, "self-check"));
        ew_engine_destroy(e);
        ew_graph_destroy(g);
        ew_task_destroy(task);
        ew_model_destroy(m);
    }
}

/* Logits of a run at a prompt's answer position, by token. */
static void all_logits(struct pair *p, enum ew_run run, int prompt,
                       double *out)
{
    struct ew_err err = {0};
    size_t v = (size_t)p->m->arch.d_vocab_out;
    struct ew_top *top = ew_xcalloc(v, sizeof(*top));
    must(ew_engine_top(p->fast, run, prompt, v, top, &err), &err);
    double mass = 0.0;
    for (size_t i = 0; i < v; i++) {
        out[top[i].token] = top[i].logit;
        mass += exp(top[i].log_p);
        assert_true(i == 0 || top[i].logit <= top[i - 1].logit);
    }
    assert_close(mass, 1.0, "probabilities");
    free(top);
}

/* The ends are the plain runs, and in between the logit difference of each
 * prompt is that of what is said next. */
static void what_is_said_next(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct pair p;
        open_pair(&p, &fixture_archs[i], EW_ABLATE_CORRUPTED, false, 21);
        struct ew_err err = {0};
        size_t v = (size_t)p.m->arch.d_vocab_out;
        double *plain = ew_xcalloc(v, sizeof(*plain));
        double *circuit = ew_xcalloc(v, sizeof(*circuit));
        double *ld = ew_xcalloc(p.task->n_prompts, sizeof(*ld));
        static const double densities[] = {1.1, 0.0, 0.6};
        static const enum ew_run same[] = {EW_RUN_CLEAN, EW_RUN_CORRUPTED,
                                           EW_RUN_CIRCUIT};
        for (size_t d = 0; d < EW_ARRAY_LEN(densities); d++) {
            random_circuit(&p, densities[d]);
            must(ew_engine_logit_diffs(p.fast, ld, NULL, &err), &err);
            for (int b = 0; b < (int)p.task->n_prompts; b++) {
                all_logits(&p, EW_RUN_CIRCUIT, b, circuit);
                all_logits(&p, same[d], b, plain);
                for (size_t t = 0; t < v; t++) {
                    assert_close(circuit[t], plain[t], "logit");
                }
                const struct ew_answers *a = &p.task->answers[b];
                double sum = 0.0;
                for (size_t j = 0; j < a->n_right; j++) {
                    sum += circuit[a->right[j]] / (double)a->n_right;
                }
                for (size_t j = 0; j < a->n_wrong; j++) {
                    sum -= circuit[a->wrong[j]] / (double)a->n_wrong;
                }
                assert_close(sum, ld[b], "logit difference");
            }
        }
        struct ew_top one;
        assert_false(ew_engine_top(p.fast, EW_RUN_CLEAN,
                                   (int)p.task->n_prompts, 1, &one, &err));
        assert_int_equal(err.code, EW_ERR_INPUT);
        free(plain);
        free(circuit);
        free(ld);
        close_pair(&p);
    }
}

int main(void)
{
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_effects_are_zero),
        cmocka_unit_test(a_dead_head_is_looked_at_again),
        cmocka_unit_test(attention_is_the_circuits),
        cmocka_unit_test(too_little_memory_is_refused),
        cmocka_unit_test(what_cannot_be_said_is_refused),
        cmocka_unit_test(self_check_tells),
        cmocka_unit_test(what_is_said_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
