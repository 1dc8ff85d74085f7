/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The incremental engine against the full rerun, on random models of every
 * kind, random circuits, random what-ifs, all ablations and all figures; and
 * against the plain forward.
 */
#include "ew_cmocka.h"

#include <math.h>

#include "engine_pair.h"

#include "edgewise/attribute.h"
#include "edgewise/forward.h"
#include "edgewise/names.h"

enum { LANES = 6, MOST = 3 };

/* So many scores are wanted, and so many were seen. */
struct wanted {
    uint64_t left;
    size_t asked;
};

static bool count_wanted(void *data, const struct ew_score *score)
{
    struct wanted *w = data;
    assert_false(isnan(score->kl));
    w->asked++;
    return --w->left == 0;
}

static void compare_what_ifs(struct pair *p)
{
    struct ew_err err = {0};
    uint32_t edges[LANES][MOST];
    struct ew_what_if ifs[LANES];
    struct ew_score fast[LANES], slow[LANES];
    uint32_t n_edges = ew_graph_n_edges(p->g);
    uint32_t r = (uint32_t)ew_rng_below(&p->rng, ew_graph_n_receivers(p->g));
    bool together = ew_rng_below(&p->rng, 2);
    for (size_t i = 0; i < LANES; i++) {
        size_t n = 1 + (size_t)ew_rng_below(&p->rng, MOST);
        size_t made = 0;
        while (made < n) {
            uint32_t e = (uint32_t)ew_rng_below(&p->rng, n_edges);
            if (together && made == 0) {
                e = ew_graph_first_edge(p->g, r) +
                    (uint32_t)ew_rng_below(&p->rng,
                                           ew_graph_n_senders_of(p->g, r));
            }
            bool twice = false;
            for (size_t j = 0; j < made; j++) {
                twice = twice || edges[i][j] == e;
            }
            if (!twice) {
                edges[i][made++] = e;
            }
        }
        ifs[i] = (struct ew_what_if){.edges = edges[i], .n = n};
    }
    bool only_kl = ew_rng_below(&p->rng, 2);
    struct wanted wanted = {.left = 1 + ew_rng_below(&p->rng, 2 * LANES)};
    size_t n = wanted.left < LANES ? (size_t)wanted.left : LANES;
    must(ew_engine_what_if_until(p->fast, ifs, LANES,
                                 only_kl ? EW_WANT_KL : EW_WANT_ALL, fast,
                                 count_wanted, &wanted, NULL, &err),
         &err);
    assert_int_equal(wanted.asked, n);
    must(ew_engine_what_if(p->slow, ifs, LANES, EW_WANT_ALL, slow, NULL,
                           NULL, &err),
         &err);
    size_t named = strlen(context);
    for (size_t i = 0; i < n; i++) {
        struct ew_buf names = {0};
        for (size_t j = 0; j < ifs[i].n; j++) {
            ew_edge_print(&names, p->g, edges[i][j], EW_NAMES_CANONICAL);
            ew_buf_add(&names, ew_bitset_has(ew_engine_kept(p->fast),
                                             edges[i][j])
                                   ? " off, "
                                   : " on, ");
        }
        snprintf(context + named, sizeof(context) - named, "%s",
                 ew_buf_str(&names));
        ew_buf_finish(&names);
        if (only_kl) {
            assert_close(fast[i].kl, slow[i].kl, "KL alone");
            assert_true(isnan(fast[i].logit_diff));
        } else {
            assert_same(&fast[i], &slow[i]);
        }
    }
    context[named] = '\0';
    size_t pick = (size_t)ew_rng_below(&p->rng, LANES);
    must(ew_engine_commit(p->fast, edges[pick], ifs[pick].n, NULL, &err),
         &err);
    must(ew_engine_commit(p->slow, edges[pick], ifs[pick].n, NULL, &err),
         &err);
    struct ew_score a, b;
    must(ew_engine_score(p->fast, EW_WANT_ALL, &a, NULL, &err), &err);
    must(ew_engine_score(p->slow, EW_WANT_ALL, &b, NULL, &err), &err);
    assert_same(&a, &b);
}

static void compare_engines(bool bare)
{
    static const double densities[] = {1.0, 0.85, 0.5, 0.15};
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        for (int ablation = 0; ablation <= EW_ABLATE_MEAN; ablation++) {
            bool split = fixture_archs[i].pos == EW_POS_STANDARD &&
                         ablation != EW_ABLATE_MEAN && i == 1;
            struct pair p;
            open_model(&p, &fixture_archs[i], split,
                       11 * i + (uint64_t)ablation + 1);
            if (bare) {
                fixture_drop_biases(p.m);
            }
            open_engines(&p, (enum ew_ablation)ablation, 0, false);
            for (size_t d = 0; d < EW_ARRAY_LEN(densities); d++) {
                random_circuit(&p, densities[d]);
                for (int round = 0; round < 8; round++) {
                    snprintf(context, sizeof(context),
                             "%s%s, %s, density %g, round %d: ",
                             fixture_archs[i].name, bare ? ", bare" : "",
                             ew_ablation_name((enum ew_ablation)ablation),
                             densities[d], round);
                    compare_what_ifs(&p);
                }
            }
            close_pair(&p);
        }
    }
}

static void incremental_equals_rerun(void **state)
{
    (void)state;
    compare_engines(false);
}

static void it_does_without_biases(void **state)
{
    (void)state;
    compare_engines(true);
}

static void narrower_figures_are_the_same(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p, &fixture_archs[1], EW_ABLATE_CORRUPTED, false, 3);
    struct ew_err err = {0};
    random_circuit(&p, 0.7);
    for (uint32_t e = 0; e < ew_graph_n_edges(p.g); e++) {
        struct ew_what_if one = {.edges = &e, .n = 1};
        struct ew_score all, ld;
        must(ew_engine_what_if(p.fast, &one, 1, EW_WANT_ALL, &all, NULL,
                               NULL, &err),
             &err);
        must(ew_engine_what_if(p.fast, &one, 1, EW_WANT_LOGIT_DIFF, &ld,
                               NULL, NULL, &err),
             &err);
        assert_close(ld.logit_diff, all.logit_diff, "logit difference");
        assert_true(isnan(ld.kl));
        assert_true(isnan(ld.prob_diff) && isnan(ld.docstring));
        double v = (double)p.m->arch.d_vocab_out;
        assert_close(all.kl_mib * v, all.kl, "KL by the vocabulary");
        struct ew_score sets;
        must(ew_engine_what_if(p.fast, &one, 1,
                               EW_WANT_PROB_DIFF | EW_WANT_KL, &sets, NULL,
                               NULL, &err),
             &err);
        assert_close(sets.prob_diff, all.prob_diff, "probability difference");
        assert_close(sets.kl, all.kl, "KL");
        assert_true(isnan(sets.logit_diff) && isnan(sets.docstring));
    }
    close_pair(&p);
}

/* NLL and accuracy of the targets, from the plain model's logits. */
static void compare_targets(const struct ew_task *t, const float *logits,
                            size_t v, const struct ew_score *score)
{
    double nll = 0.0;
    double accuracy = 0.0;
    for (size_t i = 0; i < t->n_scored; i++) {
        const float *row =
            logits + ((size_t)t->scored[i].prompt * t->n_pos +
                      (size_t)t->scored[i].position) *
                         v;
        double sum = 0.0;
        size_t best = 0;
        for (size_t id = 0; id < v; id++) {
            sum += exp(row[id]);
            best = row[id] > row[best] ? id : best;
        }
        nll += log(sum) - row[t->scored[i].target];
        accuracy += (int64_t)best == t->scored[i].target;
    }
    assert_true(t->n_scored > 0);
    assert_close(score->nll, nll / (double)t->n_scored, "NLL");
    assert_close(score->accuracy, accuracy / (double)t->n_scored, "accuracy");
}

static void full_circuit_is_the_plain_model(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct pair p;
        open_pair(&p, &fixture_archs[i], EW_ABLATE_CORRUPTED, false, 5);
        struct ew_err err = {0};
        const struct ew_task *t = p.task;
        struct ew_score score;
        must(ew_engine_score(p.fast, EW_WANT_ALL, &score, NULL, &err), &err);
        assert_true(fabs(score.kl) < 1e-6);
        size_t v = (size_t)p.m->arch.d_vocab_out;
        float *logits =
            ew_xcalloc(t->n_prompts * t->n_pos * v, sizeof(*logits));
        struct ew_scope *s = ew_scope_open(cpu);
        struct ew_tensor *ids = ew_from_i64(
            s, t->clean, 2,
            (int64_t[]){(int64_t)t->n_prompts, (int64_t)t->n_pos});
        struct ew_forward_params params = {0};
        ew_read_f32(s, ew_forward(s, p.m, ids, &params), logits,
                    t->n_prompts * t->n_pos * v);
        must(ew_scope_finish(s, &err), &err);
        compare_targets(t, logits, v, &score);
        double ld = 0.0;
        double prob = 0.0;
        double margin = 0.0;
        for (size_t b = 0; b < t->n_prompts; b++) {
            const float *row =
                logits + (b * t->n_pos + (size_t)t->answer_position[b]) * v;
            const struct ew_answers *a = &t->answers[b];
            for (size_t j = 0; j < a->n_right; j++) {
                ld += row[a->right[j]] / (double)a->n_right;
            }
            for (size_t j = 0; j < a->n_wrong; j++) {
                ld -= row[a->wrong[j]] / (double)a->n_wrong;
            }
            double sum = 0.0;
            for (size_t id = 0; id < v; id++) {
                sum += exp(row[id]);
            }
            double largest = -INFINITY;
            for (size_t j = 0; j < a->n_right; j++) {
                prob += exp(row[a->right[j]]) / sum;
                margin += row[a->right[j]] / (double)a->n_right;
            }
            for (size_t j = 0; j < a->n_wrong; j++) {
                prob -= exp(row[a->wrong[j]]) / sum;
                largest = fmax(largest, row[a->wrong[j]]);
            }
            margin -= largest;
        }
        assert_close(score.logit_diff, ld / (double)t->n_prompts,
                     "plain logit difference");
        assert_close(score.prob_diff, prob / (double)t->n_prompts,
                     "plain probability difference");
        assert_close(score.docstring, margin / (double)t->n_prompts,
                     "plain docstring");
        free(logits);
        close_pair(&p);
    }
}

static void many_toggles_do_not_drift(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p, &fixture_archs[1], EW_ABLATE_CORRUPTED, false, 7);
    struct ew_err err = {0};
    uint32_t n = ew_graph_n_edges(p.g);
    for (int i = 0; i < 10000; i++) {
        uint32_t e = (uint32_t)ew_rng_below(&p.rng, n);
        must(ew_engine_commit(p.fast, &e, 1, NULL, &err), &err);
    }
    must(ew_engine_set(p.slow, ew_engine_kept(p.fast), NULL, &err), &err);
    struct ew_score a, b;
    must(ew_engine_score(p.fast, EW_WANT_ALL, &a, NULL, &err), &err);
    must(ew_engine_score(p.slow, EW_WANT_ALL, &b, NULL, &err), &err);
    assert_same(&a, &b);
    close_pair(&p);
}

/* More cuts into one input than a lane's own: each lane has those of the one
 * before, and the last, with all of them, is taken. */
static void many_cuts_into_one_input(void **state)
{
    (void)state;
    enum { HEADS = 12, CUTS = HEADS + 1 };
    struct ew_arch arch = fixture_archs[0];
    arch.n_heads = arch.n_kv_heads = HEADS;
    arch.d_head = 4;
    arch.d_model = 4 * HEADS;
    struct pair p;
    struct ew_err err = {0};
    snprintf(context, sizeof(context), "many cuts: ");
    open_pair(&p, &arch, EW_ABLATE_CORRUPTED, false, 5);
    for (uint32_t r = 0; r < ew_graph_n_receivers(p.g); r++) {
        if (ew_graph_n_senders_of(p.g, r) != CUTS) {
            continue;
        }
        uint32_t edges[CUTS];
        struct ew_what_if ifs[CUTS];
        struct ew_score fast[CUTS];
        struct ew_score slow;
        for (size_t i = 0; i < CUTS; i++) {
            edges[i] = ew_graph_first_edge(p.g, r) + (uint32_t)i;
            ifs[i] = (struct ew_what_if){.edges = edges, .n = i + 1};
        }
        must(ew_engine_what_if(p.fast, ifs, CUTS, EW_WANT_ALL, fast, NULL,
                               NULL, &err),
             &err);
        must(ew_engine_commit(p.fast, edges, CUTS, NULL, &err), &err);
        must(ew_engine_commit(p.slow, edges, CUTS, NULL, &err), &err);
        must(ew_engine_score(p.slow, EW_WANT_ALL, &slow, NULL, &err), &err);
        assert_same(&fast[CUTS - 1], &slow);
        compare_what_ifs(&p); /* it reads the input that was written down */
    }
    close_pair(&p);
}

/* What every lane restores is alike, but what it then carries is not: each
 * cuts another edge into its sender. */
static void lanes_restore_what_they_change(struct pair *p, uint32_t q)
{
    struct ew_err err = {0};
    uint32_t head = ew_graph_feeds(p->g, q);
    uint32_t logits = ew_graph_n_receivers(p->g) - 1;
    uint32_t out = ew_graph_first_edge(p->g, logits) + head;
    uint32_t edges[LANES][2];
    struct ew_what_if ifs[LANES];
    struct ew_score fast[LANES], slow[LANES];
    size_t n = ew_graph_n_senders_of(p->g, q);
    n = n < LANES ? n : LANES;
    must(ew_engine_commit(p->fast, &out, 1, NULL, &err), &err);
    must(ew_engine_commit(p->slow, &out, 1, NULL, &err), &err);
    for (size_t i = 0; i < n; i++) {
        edges[i][0] = out;
        edges[i][1] = ew_graph_first_edge(p->g, q) + (uint32_t)i;
        ifs[i] = (struct ew_what_if){.edges = edges[i], .n = 2};
    }
    must(
        ew_engine_what_if(p->slow, ifs, n, EW_WANT_ALL, slow, NULL, NULL, &err),
        &err);
    for (int only_kl = 0; only_kl < 2; only_kl++) {
        must(ew_engine_what_if(p->fast, ifs, n,
                               only_kl ? EW_WANT_KL : EW_WANT_ALL, fast, NULL,
                               NULL, &err),
             &err);
        for (size_t i = 0; i < n; i++) {
            assert_close(fast[i].kl, slow[i].kl, "KL");
            if (!only_kl) {
                assert_same(&fast[i], &slow[i]);
            }
        }
    }
    must(ew_engine_commit(p->fast, &out, 1, NULL, &err), &err);
    must(ew_engine_commit(p->slow, &out, 1, NULL, &err), &err);
}

static void lanes_differ_in_what_they_restore(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct pair p;
        snprintf(context, sizeof(context),
                 "%s, restored: ", fixture_archs[i].name);
        open_pair(&p, &fixture_archs[i], EW_ABLATE_CORRUPTED, false, 61 + i);
        for (uint32_t r = 0; r + 1 < ew_graph_n_receivers(p.g); r++) {
            if (ew_graph_receiver(p.g, r).kind == EW_NODE_Q) {
                lanes_restore_what_they_change(&p, r);
            }
        }
        close_pair(&p);
    }
}

static void cancelling_leaves_the_state(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p, &fixture_archs[0], EW_ABLATE_CORRUPTED, false, 13);
    struct ew_err err = {0};
    struct ew_score before, after;
    must(ew_engine_score(p.fast, EW_WANT_ALL, &before, NULL, &err), &err);
    struct ew_cancel *cancel = ew_cancel_create();
    ew_cancel_raise(cancel);
    uint32_t edge = 0;
    struct ew_what_if one = {.edges = &edge, .n = 1};
    assert_false(ew_engine_what_if(p.fast, &one, 1, EW_WANT_ALL, &after,
                                   NULL, cancel, &err));
    assert_int_equal(err.code, EW_ERR_CANCELLED);
    assert_false(ew_engine_commit(p.fast, &edge, 1, cancel, &err));
    assert_true(ew_bitset_has(ew_engine_kept(p.fast), edge));
    must(ew_engine_score(p.fast, EW_WANT_ALL, &after, NULL, &err), &err);
    assert_same(&after, &before);
    ew_cancel_destroy(cancel);
    close_pair(&p);
}

/* Stopped at whatever step, the engine says so, and is as it was. */
static void any_step_can_be_the_last(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct pair p;
        struct ew_err err = {0};
        open_pair(&p, &fixture_archs[i], EW_ABLATE_CORRUPTED, false, 40 + i);
        random_circuit(&p, 0.8);
        snprintf(context, sizeof(context), "%s: ", fixture_archs[i].name);
        struct ew_cancel *cancel = ew_cancel_create();
        const struct ew_attribute_params by = {
            .method = EW_ATTR_CLEAN_CORRUPTED, .metric = EW_METRIC_KL};
        float *scores = ew_xcalloc(ew_graph_n_edges(p.g), sizeof(*scores));
        bool whole = false;
        int stops = 0;
        for (long n = 1; !whole; n += 1 + n / 4) {
            uint32_t edge = (uint32_t)ew_rng_below(&p.rng,
                                                   ew_graph_n_edges(p.g));
            struct ew_what_if one = {.edges = &edge, .n = 1};
            struct ew_score out;
            bool ok[5];
            ew_cancel_raise_after(cancel, n);
            ok[0] = ew_engine_what_if(p.fast, &one, 1, EW_WANT_ALL, &out,
                                      NULL, cancel, &err);
            ew_cancel_raise_after(cancel, n);
            ok[1] = ew_engine_score_empty(p.fast, EW_WANT_ALL, &out, cancel,
                                          &err);
            ew_cancel_raise_after(cancel, n);
            ok[2] = ew_engine_commit(p.fast, &edge, 1, cancel, &err);
            ew_cancel_raise_after(cancel, n);
            ok[3] = ew_engine_what_if(p.slow, &one, 1, EW_WANT_ALL, &out,
                                      NULL, cancel, &err);
            ew_cancel_raise_after(cancel, n);
            ok[4] = ew_engine_attribute(p.fast, &by, scores, cancel, &err);
            if (ok[2]) {
                must(ew_engine_commit(p.slow, &edge, 1, NULL, &err), &err);
            }
            whole = ok[0] && ok[1] && ok[2] && ok[3] && ok[4];
            stops += !whole;
            if (!whole) {
                assert_int_equal(err.code, EW_ERR_CANCELLED);
                err = (struct ew_err){0};
            }
            compare_what_ifs(&p);
        }
        assert_true(stops > 5);
        free(scores);
        ew_cancel_destroy(cancel);
        close_pair(&p);
    }
}

static void nothing_leaks(void **state)
{
    (void)state;
    long before = ew_torch_live();
    struct pair p;
    open_pair(&p, &fixture_archs[2], EW_ABLATE_MEAN, false, 17);
    compare_what_ifs(&p);
    close_pair(&p);
    assert_int_equal(ew_torch_live(), before);
}

int main(void)
{
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_circuit_is_the_plain_model),
        cmocka_unit_test(incremental_equals_rerun),
        cmocka_unit_test(it_does_without_biases),
        cmocka_unit_test(narrower_figures_are_the_same),
        cmocka_unit_test(many_toggles_do_not_drift),
        cmocka_unit_test(many_cuts_into_one_input),
        cmocka_unit_test(lanes_differ_in_what_they_restore),
        cmocka_unit_test(cancelling_leaves_the_state),
        cmocka_unit_test(any_step_can_be_the_last),
        cmocka_unit_test(nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
