/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of edges in every dialect: written, read back, refused with a reason,
 * and equal to the edge lists that the official ACDC code makes.
 */
#include <string.h>

#include "edgewise/json.h"
#include "edgewise/names.h"
#include "edgewise/rng.h"

#include "ew_cmocka.h"

static const struct ew_graph_spec attn2l = {2, 8, false, false, false};
static const struct ew_graph_spec split2l = {2, 8, false, false, true};
static const struct ew_graph_spec gelu3l = {3, 4, true, false, false};
static const struct ew_graph_spec gpt2 = {12, 12, true, false, false};

static struct ew_graph *make(const struct ew_graph_spec *spec)
{
    struct ew_err err = {0};
    struct ew_graph *g = ew_graph_create(spec, &err);
    if (!g) {
        fail_msg("%s", err.message);
    }
    return g;
}

static const struct name_case {
    const struct ew_graph_spec *spec;
    const char *names[4]; /* by enum ew_dialect */
} name_cases[] = {
    {&gpt2,
     {"a0.h1->a1.h2<q>",
      "blocks.0.attn.hook_result[:, :, 1]->blocks.1.hook_q_input[:, :, 2]",
      "A0.1->A1.2.Q", "<a0.1>-><a1.2_q>"}},
    {&gpt2,
     {"input->a11.h10<k>",
      "blocks.0.hook_resid_pre[:]->blocks.11.hook_k_input[:, :, 10]",
      "Resid Start->A11.10.K", "embed-><a11.10_k>"}},
    {&gpt2,
     {"m10->a11.h0<v>",
      "blocks.10.hook_mlp_out[:]->blocks.11.hook_v_input[:, :, 0]",
      "MLP 10->A11.0.V", "<m10>-><a11.0_v>"}},
    {&gpt2,
     {"m3->logits", "blocks.3.hook_mlp_out[:]->blocks.11.hook_resid_post[:]",
      "MLP 3->Resid End", "<m3>-><resid_post>"}},
    {&gpt2,
     {"a3.h11->m3",
      "blocks.3.attn.hook_result[:, :, 11]->blocks.3.hook_mlp_in[:]",
      "A3.11->MLP 3", "<a3.11>-><m3>"}},
    {&gpt2,
     {"a9.h9.q_in->a9.h9.q",
      "blocks.9.hook_q_input[:, :, 9]->blocks.9.attn.hook_q[:, :, 9]",
      "a9.h9.q_in->a9.h9.q", "<a9.9_q>-><a9.9>"}},
    {&split2l,
     {"tok->a1.h7<v>", "hook_embed[:]->blocks.1.hook_v_input[:, :, 7]",
      "tok->A1.7.V", "<token_embeds>-><a1.7_v>"}},
    {&split2l,
     {"pos->logits", "hook_pos_embed[:]->blocks.1.hook_resid_post[:]",
      "pos->Resid End", "<pos_embeds>-><resid_post>"}},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(name_cases); i++) {
        const struct name_case *c = &name_cases[i];
        struct ew_graph *g = make(c->spec);
        uint32_t edge = EW_NONE;
        struct ew_buf out = {0};
        assert_true(ew_edge_parse(g, c->names[0], &edge, NULL));
        for (int d = 0; d < 4; d++) {
            uint32_t again = EW_NONE;
            ew_buf_clear(&out);
            ew_edge_print(&out, g, edge, (enum ew_dialect)d);
            assert_string_equal(ew_buf_str(&out), c->names[d]);
            assert_true(ew_edge_parse(g, c->names[d], &again, NULL));
            assert_int_equal(again, edge);
        }
        ew_buf_finish(&out);
        ew_graph_destroy(g);
    }
}

static void round_trip(const struct ew_graph_spec *spec)
{
    struct ew_graph *g = make(spec);
    struct ew_buf out = {0};
    struct ew_buf sender = {0};
    for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
        uint32_t again = EW_NONE;
        struct ew_err err = {0};
        for (int d = 0; d < 4; d++) {
            ew_buf_clear(&out);
            ew_edge_print(&out, g, e, (enum ew_dialect)d);
            if (!ew_edge_parse(g, ew_buf_str(&out), &again, &err)) {
                fail_msg("%s", err.message);
            }
            assert_int_equal(again, e);
        }
        ew_buf_clear(&out);
        ew_buf_clear(&sender);
        ew_edge_print_acdc(&out, &sender, g, e);
        assert_true(ew_edge_parse_acdc(g, ew_buf_str(&out), ew_buf_str(&sender),
                                       &again, &err));
        assert_int_equal(again, e);
    }
    ew_buf_finish(&out);
    ew_buf_finish(&sender);
    ew_graph_destroy(g);
}

static void test_round_trip(void **state)
{
    (void)state;
    round_trip(&attn2l);
    round_trip(&split2l);
    round_trip(&gelu3l);
    round_trip(&(struct ew_graph_spec){3, 2, true, true, true});
    round_trip(&gpt2);
}

static const struct bad_case {
    const struct ew_graph_spec *spec;
    const char *text;
    const char *reason; /* part of the message */
} bad_cases[] = {
    {&gpt2, "", "found no ->"},
    {&gpt2, "a0.h1", "found no ->"},
    {&gpt2, "->", "unknown node"},
    {&gpt2, "a0.h1->", "unknown node"},
    {&gpt2, "->m0", "unknown node"},
    {&gpt2, "b0.h1->m0", "unknown node"},
    {&gpt2, "a0.h01->m0", "unknown node"},
    {&gpt2, "a-1.h0->m0", "unknown node"},
    {&gpt2, "a0.h1 ->a1.h2<x>", "unknown node"},
    {&gpt2, "a0.h1->a1.h2<q>->m3", "unknown node"},
    {&gpt2, "a0.h99999999999999999999->m1", "unknown node"},
    {&gpt2, "blocks.0.attn.hook_result[:, :, 1]->blocks.3.hook_resid_post[:]",
     "unknown node"},
    {&gpt2, "a0.h12->m1", "a0.h12: no head 12, a layer has 12 (0 to 11)"},
    {&gpt2, "a0.h1->a12.h0<q>", "no layer 12, the model has 12 (0 to 11)"},
    {&gpt2, "m12->logits", "no layer 12"},
    {&gpt2, "a12.h0.q_in->a12.h0.q", "no layer 12"},
    {&gpt2, "a5.h0->a2.h1<q>", "the sender is not before the receiver"},
    {&gpt2, "a2.h0->a2.h1<q>", "the sender is not before the receiver"},
    {&gpt2, "m2->m2", "the sender is not before the receiver"},
    {&gpt2, "tok->m2", "the embedding is not split here"},
    {&split2l, "input->logits", "into tok and pos"},
    {&attn2l, "input->m0", "the model has no MLPs"},
    {&gpt2, "logits->m0", "logits: not a sender"},
    {&gpt2, "a0.h1->input", "input: not a receiver"},
    {&gpt2, "a0.h1->a1.h2", "name its <q>, <k> or <v>"},
    {&gpt2, "a1.h2.q->a1.h2", "a placeholder is structure"},
    {&gpt2, "m3.in->m3", "a placeholder is structure"},
    {&gpt2, "a1.h2.q_in->a1.h3.q", "not a sender"},
    {&gpt2, "a1.h2.q_in->a1.h2.k", "not a sender"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        struct ew_graph *g = make(c->spec);
        struct ew_err err = {0};
        uint32_t edge = 0;
        print_message("%s\n", c->text);
        assert_false(ew_edge_parse(g, c->text, &edge, &err));
        assert_int_equal(err.code, EW_ERR_INPUT);
        assert_int_equal(edge, EW_NONE);
        if (!strstr(err.message, c->reason)) {
            fail_msg("%s: not about \"%s\"", err.message, c->reason);
        }
        ew_graph_destroy(g);
    }
}

static void test_parallel_has_no_inner_edge(void **state)
{
    (void)state;
    struct ew_graph_spec spec = {4, 4, true, true, false};
    struct ew_graph *g = make(&spec);
    uint32_t edge;
    assert_false(ew_edge_parse(g, "a1.h0->m1", &edge, NULL));
    assert_true(ew_edge_parse(g, "a1.h0->m2", &edge, NULL));
    ew_graph_destroy(g);
}

static void test_nodes(void **state)
{
    (void)state;
    struct ew_graph *g = make(&gpt2);
    static const struct {
        const char *text;
        const char *sender;
        const char *receiver;
    } cases[] = {
        {"input", "input", NULL},
        {"a1.h2", "a1.h2", NULL},
        {" m3 ", "m3", "m3"},
        {"a1.h2<k>", NULL, "a1.h2<k>"},
        {"logits", NULL, "logits"},
        {"MLP 3", "m3", "m3"},
        {"A1.2.V", NULL, "a1.h2<v>"},
        {"<a1.2_v>", NULL, "a1.h2<v>"},
        {"<resid_post>", NULL, "logits"},
        {"blocks.4.hook_mlp_out[:]", "m4", "m4"},
        {"blocks.4.attn.hook_result[:, :, 7]", "a4.h7", NULL},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        uint32_t sender;
        uint32_t receiver;
        struct ew_buf out = {0};
        assert_true(ew_node_parse(g, cases[i].text, &sender, &receiver, NULL));
        assert_int_equal(sender != EW_NONE, cases[i].sender != NULL);
        assert_int_equal(receiver != EW_NONE, cases[i].receiver != NULL);
        if (cases[i].sender) {
            ew_sender_print(&out, g, sender, EW_NAMES_CANONICAL);
            assert_string_equal(ew_buf_str(&out), cases[i].sender);
        }
        if (cases[i].receiver) {
            ew_buf_clear(&out);
            ew_receiver_print(&out, g, receiver, EW_NAMES_CANONICAL);
            assert_string_equal(ew_buf_str(&out), cases[i].receiver);
        }
        ew_buf_finish(&out);
    }
    static const char *const bad[] = {"",    "a1",         "a1.h12",   "m12",
                                      "tok", "a1.h2.q_in", "a1.h2<q>x"};
    for (size_t i = 0; i < EW_ARRAY_LEN(bad); i++) {
        uint32_t sender;
        uint32_t receiver;
        struct ew_err err = {0};
        assert_false(ew_node_parse(g, bad[i], &sender, &receiver, &err));
        assert_int_equal(err.code, EW_ERR_INPUT);
    }
    ew_graph_destroy(g);
}

/* Change a name a little: it is refused, or it is a name of an edge. */
static void test_mangled(void **state)
{
    (void)state;
    struct ew_graph *g = make(&gelu3l);
    struct ew_rng rng;
    struct ew_buf text = {0};
    int accepted = 0;
    ew_rng_seed(&rng, 3);
    for (int round = 0; round < 20000; round++) {
        uint32_t edge = (uint32_t)ew_rng_below(&rng, ew_graph_n_edges(g));
        uint32_t got = EW_NONE;
        ew_buf_clear(&text);
        ew_edge_print(&text, g, edge, (enum ew_dialect)(round % 4));
        size_t at = (size_t)ew_rng_below(&rng, text.len);
        text.data[at] = (char)(1 + ew_rng_below(&rng, 255));
        if (ew_edge_parse(g, text.data, &got, NULL)) {
            accepted++;
            assert_true(got < ew_graph_n_edges(g));
        } else {
            assert_int_equal(got, EW_NONE);
        }
    }
    assert_true(accepted > 0 && accepted < 20000);
    ew_buf_finish(&text);
    ew_graph_destroy(g);
}

/* ---- the official edge lists ---- */

/* Which of the list's placeholders is this? n_placeholder when none. */
static uint32_t find_placeholder(const struct ew_graph *g, const char *receiver,
                                 const char *sender)
{
    uint32_t n = ew_graph_n_placeholder(g);
    uint32_t found = n;
    struct ew_buf r = {0};
    struct ew_buf s = {0};
    for (uint32_t i = 0; i < n && found == n; i++) {
        ew_buf_clear(&r);
        ew_buf_clear(&s);
        ew_placeholder_print_acdc(&r, &s, g, i);
        if (strcmp(ew_buf_str(&r), receiver) == 0 &&
            strcmp(ew_buf_str(&s), sender) == 0) {
            found = i;
        }
    }
    ew_buf_finish(&r);
    ew_buf_finish(&s);
    return found;
}

static void compare_entry(const struct ew_graph *g, const json_t *entry,
                          struct ew_bitset *edges,
                          struct ew_bitset *placeholders)
{
    const char *r = json_string_value(json_object_get(entry, "receiver"));
    const char *s = json_string_value(json_object_get(entry, "sender"));
    const char *kind = json_string_value(json_object_get(entry, "kind"));
    struct ew_err err = {0};
    uint32_t edge = EW_NONE;
    bool is_edge = ew_edge_parse_acdc(g, r, s, &edge, &err);
    if (strcmp(kind, "placeholder") == 0) {
        uint32_t i = find_placeholder(g, r, s);
        assert_false(is_edge);
        assert_non_null(strstr(err.message, "a placeholder is structure"));
        assert_true(i < ew_graph_n_placeholder(g));
        assert_false(ew_bitset_has(placeholders, i));
        ew_bitset_put(placeholders, i, true);
        return;
    }
    if (!is_edge) {
        fail_msg("%s", err.message);
    }
    assert_string_equal(
        kind, ew_edge_kind(g, edge) == EW_EDGE_DIRECT ? "direct" : "addition");
    assert_false(ew_bitset_has(edges, edge)); /* each once */
    ew_bitset_put(edges, edge, true);
    struct ew_buf receiver = {0};
    struct ew_buf sender = {0};
    ew_edge_print_acdc(&receiver, &sender, g, edge);
    assert_string_equal(ew_buf_str(&receiver), r);
    assert_string_equal(ew_buf_str(&sender), s);
    ew_buf_finish(&receiver);
    ew_buf_finish(&sender);
}

static void compare_list(const char *name, struct ew_graph_spec spec)
{
    const char *path = ew_test_reference(name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    struct ew_err err = {0};
    json_t *list = ew_json_load(path, &err);
    if (!list) {
        fail_msg("%s", err.message);
    }
    struct ew_graph *g = make(&spec);
    struct ew_bitset *edges = ew_bitset_create(ew_graph_n_edges(g));
    struct ew_bitset *holders = ew_bitset_create(ew_graph_n_placeholder(g));
    for (size_t i = 0; i < json_array_size(list); i++) {
        compare_entry(g, json_array_get(list, i), edges, holders);
    }
    /* nothing of ours is missing there */
    assert_int_equal(ew_bitset_count(edges), ew_graph_n_edges(g));
    assert_int_equal(ew_bitset_count(holders), ew_graph_n_placeholder(g));
    ew_bitset_destroy(edges);
    ew_bitset_destroy(holders);
    ew_graph_destroy(g);
    json_decref(list);
}

static void test_official_lists(void **state)
{
    (void)state;
    static const struct {
        const char *folder;
        struct ew_graph_spec spec;
    } cases[] = {
        {"acdc/attn2l", {2, 8, false, false, false}},
        {"acdc/gelu3l", {3, 4, true, false, false}},
        {"acdc/induction-2l", {2, 4, false, false, false}},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        struct ew_graph_spec spec = cases[i].spec;
        char name[128];
        snprintf(name, sizeof(name), "%s/edges.json", cases[i].folder);
        compare_list(name, spec);
        snprintf(name, sizeof(name), "%s/edges_posembed.json", cases[i].folder);
        spec.split_embed = true;
        compare_list(name, spec);
    }
}

static void test_placeholders(void **state)
{
    (void)state;
    struct ew_graph *g = make(&gelu3l);
    static const struct {
        uint32_t index;
        const char *name;
    } cases[] = {
        {0, "a0.h0.q->a0.h0"},
        {5, "a0.h1.v->a0.h1"},
        {12, "m0.in->m0"},
        {38, "m2.in->m2"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        struct ew_buf out = {0};
        ew_placeholder_print(&out, g, cases[i].index);
        assert_string_equal(ew_buf_str(&out), cases[i].name);
        ew_buf_finish(&out);
    }
    ew_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_parallel_has_no_inner_edge),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_mangled),
        cmocka_unit_test(test_placeholders),
        cmocka_unit_test(test_official_lists),
    };
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
