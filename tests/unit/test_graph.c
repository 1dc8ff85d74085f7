/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph against its definition: the counts that other tools give, the
 * rule of what is computed before what, and liveness by brute force.
 */
#include <time.h>

#include "edgewise/graph.h"
#include "edgewise/rng.h"

#include "ew_cmocka.h"

static const struct shape {
    const char *name;
    struct ew_graph_spec spec;
    uint32_t addition;
    uint32_t direct;
    uint32_t placeholder;
} shapes[] = {
    {"attn-only-2l", {2, 8, false, false, false}, 257, 48, 48},
    {"attn-only-2l split", {2, 8, false, false, true}, 306, 48, 48},
    {"induction-2l", {2, 4, false, false, false}, 81, 24, 24},
    {"induction-2l split", {2, 4, false, false, true}, 106, 24, 24},
    {"gelu3l", {3, 4, true, false, false}, 262, 36, 39},
    {"gelu3l split", {3, 4, true, false, true}, 302, 36, 39},
    {"gpt2", {12, 12, true, false, false}, 32491, 432, 444},
    {"gpt2 split", {12, 12, true, false, true}, 32936, 432, 444},
    /* the same without the edges from a layer's heads to its MLP */
    {"gpt2 parallel", {12, 12, true, true, false}, 32491 - 144, 432, 444},
    {"one of each", {1, 1, true, false, false}, 3 + 2 + 3, 3, 4},
    {"one parallel", {1, 1, true, true, false}, 3 + 1 + 3, 3, 4},
    {"one head", {1, 1, false, false, false}, 3 + 2, 3, 3},
    {"one head split", {1, 1, false, true, true}, 6 + 3, 3, 3},
};

static struct ew_graph *make(const struct ew_graph_spec *spec)
{
    struct ew_err err = {0};
    struct ew_graph *g = ew_graph_create(spec, &err);
    if (!g) {
        fail_msg("%s", err.message);
    }
    return g;
}

static void test_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(shapes); i++) {
        const struct shape *s = &shapes[i];
        struct ew_graph *g = make(&s->spec);
        print_message("%s\n", s->name);
        assert_int_equal(ew_graph_n_addition(g), s->addition);
        assert_int_equal(ew_graph_n_direct(g), s->direct);
        assert_int_equal(ew_graph_n_placeholder(g), s->placeholder);
        assert_int_equal(ew_graph_n_edges(g), s->addition + s->direct);
        assert_int_equal(ew_graph_spec(g)->n_layers, s->spec.n_layers);
        assert_int_equal(ew_graph_spec(g)->parallel, s->spec.parallel);
        ew_graph_destroy(g);
    }
    ew_graph_destroy(NULL);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct ew_graph_spec bad[] = {
        {.n_layers = 0, .n_heads = 8},
        {.n_layers = -3, .n_heads = 8},
        {.n_layers = 2, .n_heads = 0},
        {.n_layers = 2, .n_heads = -1},
        {.n_layers = 40000, .n_heads = 1},
        {.n_layers = 1, .n_heads = 400000000, .split_embed = true},
        {.n_layers = INT32_MAX, .n_heads = INT32_MAX, .has_mlp = true},
        {.n_layers = INT32_MAX, .n_heads = 1},
        {.n_layers = 1, .n_heads = INT32_MAX},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(bad); i++) {
        struct ew_err err = {0};
        assert_null(ew_graph_create(&bad[i], &err));
        assert_int_equal(err.code, EW_ERR_INPUT);
        assert_true(err.message[0] != '\0');
    }
}

/* What is computed before a receiver, straight from the definition. */
static bool is_before(const struct ew_graph_spec *spec, struct ew_node s,
                      struct ew_node r)
{
    if (s.layer < 0 || r.kind == EW_NODE_LOGITS) {
        return true;
    }
    if (r.kind == EW_NODE_MLP && s.kind == EW_NODE_HEAD && !spec->parallel) {
        return s.layer <= r.layer;
    }
    return s.layer < r.layer;
}

static void check_edges(const struct ew_graph *g)
{
    const struct ew_graph_spec *spec = ew_graph_spec(g);
    uint32_t next = 0;
    for (uint32_t r = 0; r < ew_graph_n_receivers(g); r++) {
        struct ew_node to = ew_graph_receiver(g, r);
        uint32_t n = ew_graph_n_senders_of(g, r);
        assert_int_equal(ew_graph_first_edge(g, r), next);
        for (uint32_t s = 0; s < ew_graph_n_senders(g); s++) {
            struct ew_node from = ew_graph_sender(g, s);
            uint32_t edge = ew_graph_edge(g, s, r);
            assert_int_equal(edge != EW_NONE, is_before(spec, from, to));
            assert_int_equal(edge != EW_NONE, s < n);
            assert_int_equal(edge != EW_NONE,
                             r >= ew_graph_first_receiver_of(g, s));
            if (edge != EW_NONE) {
                assert_int_equal(edge, next);
                assert_int_equal(ew_edge_sender(g, edge), s);
                assert_int_equal(ew_edge_receiver(g, edge), r);
                assert_int_equal(ew_edge_kind(g, edge), EW_EDGE_ADDITION);
                next++;
            }
        }
    }
    assert_int_equal(next, ew_graph_n_addition(g));
}

static void check_direct(const struct ew_graph *g)
{
    uint32_t next = ew_graph_n_addition(g);
    for (uint32_t r = 0; r < ew_graph_n_receivers(g); r++) {
        enum ew_node_kind kind = ew_graph_receiver(g, r).kind;
        uint32_t edge = ew_graph_direct_edge(g, r);
        bool qkv = kind == EW_NODE_Q || kind == EW_NODE_K || kind == EW_NODE_V;
        assert_int_equal(edge != EW_NONE, qkv);
        if (qkv) {
            assert_int_equal(edge, next);
            assert_int_equal(ew_edge_receiver(g, edge), r);
            assert_int_equal(ew_edge_sender(g, edge), EW_NONE);
            assert_int_equal(ew_edge_kind(g, edge), EW_EDGE_DIRECT);
            next++;
        }
    }
    assert_int_equal(next, ew_graph_n_edges(g));
}

static void check_nodes(const struct ew_graph *g)
{
    uint32_t fed = 0;
    for (uint32_t s = 0; s < ew_graph_n_senders(g); s++) {
        struct ew_node node = ew_graph_sender(g, s);
        uint32_t first;
        uint32_t n;
        assert_int_equal(ew_graph_find_sender(g, node), s);
        ew_graph_inputs_of(g, s, &first, &n);
        assert_int_equal(n, node.kind == EW_NODE_HEAD  ? 3
                            : node.kind == EW_NODE_MLP ? 1
                                                       : 0);
        for (uint32_t r = first; r < first + n; r++) {
            struct ew_node in = ew_graph_receiver(g, r);
            assert_int_equal(r, fed++);
            assert_int_equal(ew_graph_feeds(g, r), s);
            assert_int_equal(in.layer, node.layer);
            assert_int_equal(in.head, node.head);
        }
    }
    assert_int_equal(fed, ew_graph_n_receivers(g) - 1);
    assert_int_equal(ew_graph_feeds(g, fed), EW_NONE);
    for (uint32_t r = 0; r < ew_graph_n_receivers(g); r++) {
        assert_int_equal(ew_graph_find_receiver(g, ew_graph_receiver(g, r)), r);
    }
}

static void test_definition(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(shapes); i++) {
        struct ew_graph *g = make(&shapes[i].spec);
        check_edges(g);
        check_direct(g);
        check_nodes(g);
        ew_graph_destroy(g);
    }
}

static void test_no_such_node(void **state)
{
    (void)state;
    struct ew_graph *g = make(&(struct ew_graph_spec){2, 8, 0, 0, 0});
    static const struct ew_node none[] = {
        {EW_NODE_TOK, -1, -1}, {EW_NODE_POS, -1, -1}, {EW_NODE_HEAD, 2, 0},
        {EW_NODE_HEAD, 0, 8},  {EW_NODE_HEAD, -1, 0}, {EW_NODE_HEAD, 0, -1},
        {EW_NODE_MLP, 0, -1},  {EW_NODE_Q, 2, 0},     {EW_NODE_V, 1, 8},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(none); i++) {
        assert_int_equal(ew_graph_find_sender(g, none[i]), EW_NONE);
        assert_int_equal(ew_graph_find_receiver(g, none[i]), EW_NONE);
    }
    assert_int_equal(
        ew_graph_find_sender(g, (struct ew_node){EW_NODE_INPUT, -1, -1}), 0);
    ew_graph_destroy(g);
}

static void test_two_million(void **state)
{
    (void)state;
    struct ew_graph_spec spec = {
        .n_layers = 36, .n_heads = 32, .has_mlp = true};
    clock_t start = clock(); /* of this process: the machine may be busy */
    struct ew_graph *g = make(&spec);
    assert_true(clock() - start < CLOCKS_PER_SEC / 100);
    assert_true(ew_graph_n_edges(g) > 2000000);
    uint32_t last = ew_graph_n_addition(g) - 1;
    assert_int_equal(ew_edge_receiver(g, last), ew_graph_n_receivers(g) - 1);
    assert_int_equal(ew_edge_sender(g, last), ew_graph_n_senders(g) - 1);
    struct ew_rng rng;
    ew_rng_seed(&rng, 1);
    for (int i = 0; i < 100000; i++) {
        uint32_t e = (uint32_t)ew_rng_below(&rng, last + 1);
        assert_int_equal(
            ew_graph_edge(g, ew_edge_sender(g, e), ew_edge_receiver(g, e)), e);
    }
    ew_graph_destroy(g);
}

/* ---- liveness ---- */

/* Fixed point over all edges: no order, no prefix, no ids. */
static void live_by_force(const struct ew_graph *g,
                          const struct ew_bitset *kept, struct ew_bitset *live)
{
    bool changed = true;
    ew_bitset_fill(live, false);
    ew_bitset_put(live, ew_graph_n_receivers(g) - 1, true);
    while (changed) {
        changed = false;
        for (uint32_t e = 0; e < ew_graph_n_addition(g); e++) {
            uint32_t first;
            uint32_t n;
            if (!ew_bitset_has(kept, e) ||
                !ew_bitset_has(live, ew_edge_receiver(g, e))) {
                continue;
            }
            ew_graph_inputs_of(g, ew_edge_sender(g, e), &first, &n);
            for (uint32_t r = first; r < first + n; r++) {
                uint32_t direct = ew_graph_direct_edge(g, r);
                if (!ew_bitset_has(live, r) &&
                    (direct == EW_NONE || ew_bitset_has(kept, direct))) {
                    ew_bitset_put(live, r, true);
                    changed = true;
                }
            }
        }
    }
}

static void test_live_random(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_seed(&rng, 7);
    size_t seen_live = 0;
    size_t seen_dead = 0;
    for (int round = 0; round < 200; round++) {
        const struct shape *s = &shapes[round % 6]; /* the small ones */
        struct ew_graph *g = make(&s->spec);
        uint32_t n = ew_graph_n_edges(g);
        struct ew_bitset *kept = ew_bitset_create(n);
        struct ew_bitset *live = ew_bitset_create(ew_graph_n_receivers(g));
        struct ew_bitset *want = ew_bitset_create(ew_graph_n_receivers(g));
        uint64_t percent = 2 + ew_rng_below(&rng, 40);
        for (uint32_t e = 0; e < n; e++) {
            bool direct = ew_edge_kind(g, e) == EW_EDGE_DIRECT;
            ew_bitset_put(kept, e,
                          ew_rng_below(&rng, 100) < (direct ? 70 : percent));
        }
        ew_bitset_fill(live, round % 2); /* what was there must not matter */
        ew_graph_live_receivers(g, kept, live);
        live_by_force(g, kept, want);
        assert_true(ew_bitset_equal(live, want));
        seen_live += ew_bitset_count(live);
        seen_dead += ew_graph_n_receivers(g) - ew_bitset_count(live);
        ew_bitset_destroy(kept);
        ew_bitset_destroy(live);
        ew_bitset_destroy(want);
        ew_graph_destroy(g);
    }
    /* the test is worth something only where both occur */
    assert_true(seen_live > 500);
    assert_true(seen_dead > 500);
}

static void test_live_chain(void **state)
{
    (void)state;
    struct ew_graph *g = make(&(struct ew_graph_spec){2, 2, 1, 0, 0});
    uint32_t n_receivers = ew_graph_n_receivers(g);
    struct ew_bitset *kept = ew_bitset_create(ew_graph_n_edges(g));
    struct ew_bitset *live = ew_bitset_create(n_receivers);

    ew_bitset_fill(kept, true);
    ew_graph_live_receivers(g, kept, live);
    assert_int_equal(ew_bitset_count(live), n_receivers);

    ew_bitset_fill(kept, false);
    ew_graph_live_receivers(g, kept, live);
    assert_int_equal(ew_bitset_count(live), 1);
    assert_true(ew_bitset_has(live, n_receivers - 1));

    /* input -> a0.h1<k> ; a0.h1 -> m1 -> logits; k's direct edge decides */
    uint32_t k = ew_graph_find_receiver(g, (struct ew_node){EW_NODE_K, 0, 1});
    uint32_t m =
        ew_graph_find_receiver(g, (struct ew_node){EW_NODE_MLP, 1, -1});
    uint32_t head = ew_graph_feeds(g, k);
    ew_bitset_put(kept, ew_graph_edge(g, 0, k), true);
    ew_bitset_put(kept, ew_graph_edge(g, head, m), true);
    ew_bitset_put(kept, ew_graph_edge(g, ew_graph_feeds(g, m), n_receivers - 1),
                  true);
    ew_graph_live_receivers(g, kept, live);
    assert_int_equal(ew_bitset_count(live), 2); /* logits, m1 */
    assert_true(ew_bitset_has(live, m));
    ew_bitset_put(kept, ew_graph_direct_edge(g, k), true);
    ew_graph_live_receivers(g, kept, live);
    assert_int_equal(ew_bitset_count(live), 3);
    assert_true(ew_bitset_has(live, k));
    ew_bitset_destroy(kept);
    ew_bitset_destroy(live);
    ew_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_definition),  cmocka_unit_test(test_no_such_node),
        cmocka_unit_test(test_two_million), cmocka_unit_test(test_live_random),
        cmocka_unit_test(test_live_chain),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
