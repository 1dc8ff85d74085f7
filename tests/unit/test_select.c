/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selecting edges by score: against selections made the slow way, on random
 * scores over graphs of several shapes.
 */
#include <math.h>
#include <string.h>

#include "edgewise/mem.h"
#include "edgewise/rng.h"
#include "edgewise/select.h"
#include "edgewise/unit.h"

#include "circuits.h"
#include "ew_cmocka.h"

static const struct ew_graph_spec shapes[] = {
    {1, 1, false, false, false}, {2, 3, true, false, false},
    {3, 2, true, true, false},   {2, 4, false, false, true},
    {4, 3, true, false, true},
};

static float *random_scores(const struct ew_graph *g, uint64_t seed)
{
    struct ew_rng rng;
    uint32_t n = ew_graph_n_edges(g);
    float *scores = ew_xcalloc(n, sizeof(*scores));
    ew_rng_seed(&rng, seed);
    for (uint32_t e = 0; e < n; e++) {
        scores[e] = (float)ew_rng_below(&rng, 2000) / 1000.0f - 1.0f;
        if (ew_rng_below(&rng, 20) == 0) {
            scores[e] = NAN;
        }
    }
    return scores;
}

static float key_of(float score, enum ew_rank rank)
{
    return rank == EW_RANK_SIGNED ? score : fabsf(score);
}

static uint32_t n_additions(const struct ew_graph *g,
                            const struct ew_bitset *kept)
{
    return (uint32_t)ew_bitset_count_range(kept, 0, ew_graph_n_addition(g));
}

/* Everything kept is at least as good as everything that could have been
 * kept and is not. */
static void check_best(const struct ew_graph *g, const float *scores,
                       const struct ew_selection *s,
                       const struct ew_bitset *kept)
{
    float worst = INFINITY;
    float best = -INFINITY;
    for (uint32_t e = 0; e < ew_graph_n_addition(g); e++) {
        float key = key_of(scores[e], s->rank);
        if (ew_bitset_has(kept, e)) {
            assert_false(isnan(key));
            worst = fminf(worst, key);
        } else if (!isnan(key)) {
            best = fmaxf(best, key);
        }
    }
    assert_true(worst >= best);
}

static void top_and_threshold_keep_the_best(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(shapes); i++) {
        struct ew_graph *g = make(shapes[i]);
        struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(g));
        for (uint64_t seed = 0; seed < 8; seed++) {
            float *scores = random_scores(g, seed);
            struct ew_selection s = {.how = EW_SELECT_TOP,
                                     .n = (uint32_t)seed * 3,
                                     .rank = seed % 2 ? EW_RANK_SIGNED
                                                      : EW_RANK_ABSOLUTE};
            struct ew_selected got = ew_select_edges(g, scores, &s, kept);
            assert_true(got.chosen <= s.n);
            assert_int_equal(got.chosen, got.kept);
            assert_int_equal(got.kept, n_additions(g, kept));
            assert_int_equal(got.kept + got.direct, ew_bitset_count(kept));
            check_best(g, scores, &s, kept);

            s.how = EW_SELECT_THRESHOLD;
            s.threshold = 0.3;
            ew_select_edges(g, scores, &s, kept);
            for (uint32_t e = 0; e < ew_graph_n_addition(g); e++) {
                float key = key_of(scores[e], s.rank);
                assert_int_equal(ew_bitset_has(kept, e),
                                 (double)key >= s.threshold);
            }
            free(scores);
        }
        ew_bitset_destroy(kept);
        ew_graph_destroy(g);
    }
}

/* The scores of units are at the edges into q; those of k and v, which a file
 * may have too, do not count. */
static void heads_are_chosen_as_a_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(shapes); i++) {
        struct ew_graph *g = make(shapes[i]);
        struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(g));
        float *scores = random_scores(g, i);
        for (int how = EW_SELECT_TOP; how <= EW_SELECT_GREEDY; how++) {
            struct ew_selection s = {.how = (enum ew_select_how)how,
                                     .n = 5,
                                     .threshold = 0.5,
                                     .nodes = true};
            struct ew_selected got = ew_select_edges(g, scores, &s, kept);
            uint32_t units = 0;
            for (uint32_t e = 0; e < ew_graph_n_addition(g); e++) {
                uint32_t edges[EW_UNIT_MAX];
                if (!ew_unit_is(g, true, e)) {
                    continue;
                }
                size_t n = ew_unit_edges(g, true, e, edges);
                units += ew_bitset_has(kept, e);
                for (size_t k = 1; k < n; k++) { /* all or none */
                    assert_int_equal(ew_bitset_has(kept, edges[k]),
                                     ew_bitset_has(kept, e));
                }
                if (how == EW_SELECT_THRESHOLD) {
                    assert_int_equal(ew_bitset_has(kept, e),
                                     fabsf(scores[e]) >= 0.5f);
                }
            }
            assert_int_equal(units, got.chosen);
            assert_int_equal(units, got.kept);
            assert_true(how == EW_SELECT_THRESHOLD || units <= 5);
            assert_true(units > 0);
        }
        free(scores);
        ew_bitset_destroy(kept);
        ew_graph_destroy(g);
    }
}

/* Does a kept edge leave the node that this receiver feeds? */
static bool leads_on(const struct ew_graph *g, const struct ew_bitset *kept,
                     uint32_t receiver)
{
    uint32_t s = ew_graph_feeds(g, receiver);
    bool any = s == EW_NONE;
    for (uint32_t r = 0; !any && r < ew_graph_n_receivers(g); r++) {
        uint32_t e = ew_graph_edge(g, s, r);
        any = e != EW_NONE && ew_bitset_has(kept, e);
    }
    return any;
}

static bool is_fed(const struct ew_graph *g, const struct ew_bitset *kept,
                   uint32_t sender)
{
    uint32_t first;
    uint32_t n;
    ew_graph_inputs_of(g, sender, &first, &n);
    bool any = n == 0;
    for (uint32_t r = first; r < first + n; r++) {
        for (uint32_t i = 0; i < ew_graph_n_senders_of(g, r); i++) {
            any = any || ew_bitset_has(kept, ew_graph_first_edge(g, r) + i);
        }
    }
    return any;
}

/* The slow way: look at every edge until none changes. */
static void prune_slowly(const struct ew_graph *g, struct ew_bitset *kept)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint32_t e = 0; e < ew_graph_n_addition(g); e++) {
            if (ew_bitset_has(kept, e) &&
                (!leads_on(g, kept, ew_edge_receiver(g, e)) ||
                 !is_fed(g, kept, ew_edge_sender(g, e)))) {
                ew_bitset_put(kept, e, false);
                changed = true;
            }
        }
    }
}

/* The slow way: the best edge into the logits or into what is kept. */
static uint32_t greedy_slowly(const struct ew_graph *g, const float *scores,
                              const struct ew_selection *s,
                              struct ew_bitset *kept)
{
    ew_bitset_fill(kept, false);
    for (uint32_t n = 0; n < s->n; n++) {
        uint32_t best = EW_NONE;
        for (uint32_t e = 0; e < ew_graph_n_addition(g); e++) {
            if (!isnan(scores[e]) && !ew_bitset_has(kept, e) &&
                leads_on(g, kept, ew_edge_receiver(g, e)) &&
                (best == EW_NONE ||
                 key_of(scores[e], s->rank) > key_of(scores[best], s->rank))) {
                best = e;
            }
        }
        if (best == EW_NONE) {
            return n;
        }
        ew_bitset_put(kept, best, true);
    }
    return s->n;
}

static void greedy_and_pruning_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(shapes); i++) {
        struct ew_graph *g = make(shapes[i]);
        uint32_t n_edges = ew_graph_n_edges(g);
        struct ew_bitset *kept = ew_bitset_create(n_edges);
        struct ew_bitset *slow = ew_bitset_create(n_edges);
        for (uint64_t seed = 0; seed < 12; seed++) {
            float *scores = random_scores(g, seed + 100);
            struct ew_selection s = {
                .how = EW_SELECT_GREEDY,
                .n = seed == 11 ? n_edges : 1 + (uint32_t)seed * 2,
                .rank = seed % 2 ? EW_RANK_SIGNED : EW_RANK_ABSOLUTE,
                .prune = seed % 3 > 0};
            struct ew_selected got = ew_select_edges(g, scores, &s, kept);
            assert_int_equal(got.chosen, greedy_slowly(g, scores, &s, slow));
            if (s.prune) {
                prune_slowly(g, slow);
            }
            assert_int_equal(got.kept, n_additions(g, slow));
            for (uint32_t e = 0; e < n_edges; e++) {
                bool keep = e < ew_graph_n_addition(g)
                                ? ew_bitset_has(slow, e)
                                : leads_on(g, slow, ew_edge_receiver(g, e));
                assert_int_equal(ew_bitset_has(kept, e), keep);
            }
            /* pruning sets that are not reached from the logits */
            s.how = EW_SELECT_TOP;
            s.prune = false;
            ew_select_edges(g, scores, &s, kept);
            ew_bitset_copy(slow, kept);
            prune_slowly(g, slow);
            ew_prune(g, kept);
            assert_true(ew_bitset_equal(kept, slow));
            free(scores);
        }
        ew_bitset_destroy(kept);
        ew_bitset_destroy(slow);
        ew_graph_destroy(g);
    }
}

static void selections_are_read(void **state)
{
    (void)state;
    struct ew_selection s = {.prune = true};
    assert_true(ew_selection_parse("top:12", &s, NULL));
    assert_int_equal(s.how, EW_SELECT_TOP);
    assert_int_equal(s.n, 12);
    assert_true(s.prune);
    assert_true(ew_selection_parse("threshold:-0.5", &s, NULL));
    assert_int_equal(s.how, EW_SELECT_THRESHOLD);
    assert_true(s.threshold == -0.5);
    assert_true(ew_selection_parse("greedy:0", &s, NULL));
    assert_int_equal(s.how, EW_SELECT_GREEDY);
    static const char *const bad[] = {
        "",       "top",        "top:",           "top:-1",
        "top:x",  "top:1.5",    "best:3",         "threshold:nan",
        "greedy", "threshold:", "top:99999999999"};
    for (size_t i = 0; i < EW_ARRAY_LEN(bad); i++) {
        struct ew_err err = {0};
        assert_false(ew_selection_parse(bad[i], &s, &err));
        assert_int_equal(err.code, EW_ERR_USAGE);
        assert_non_null(strstr(err.message, "top:N"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_and_threshold_keep_the_best),
        cmocka_unit_test(heads_are_chosen_as_a_whole),
        cmocka_unit_test(greedy_and_pruning_are_right),
        cmocka_unit_test(selections_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
