/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DOT and CSV: what a picture shows, how, and what it leaves out.
 */
#include <math.h>
#include <string.h>

#include "edgewise/export.h"

#include "sample.h"

/* The statement that starts with `start`, up to its end; NULL when none. */
static char *statement(const char *dot, const char *start)
{
    const char *at = strstr(dot, start);
    return at ? strndup(at, strcspn(at, "\n")) : NULL;
}

static void assert_statement(const char *dot, const char *start,
                             const char *const *parts, size_t n)
{
    char *found = statement(dot, start);
    if (!found) {
        fail_msg("no %s in\n%s", start, dot);
    }
    for (size_t i = 0; i < n; i++) {
        if (!strstr(found, parts[i])) {
            fail_msg("no %s in %s", parts[i], found);
        }
    }
    free(found);
}

static void test_edges_drawn(void **state)
{
    (void)state;
    static const struct {
        const char *start;
        const char *parts[4];
    } want[] = {
        {"\"input\" -> \"a0.h1\":v:s",
         {"#0072b2", "tooltip=\"input->a0.h1<v>: effect +0.5 (needed)\""}},
        {"\"a0.h1\" -> \"a1.h2\":q:s",
         {"#d55e00", "style=dashed", "effect -0.125 (hurts)"}},
        {"\"a0.h1\" -> \"a1.h2\":k:s",
         {"#0072b2ff", "style=dotted", "penwidth=4.5", "effect +2 (needed)"}},
        {"\"a0.h1\" -> \"a1.h2\":v:s", {"#9aa3ad", ": effect unknown"}},
        {"\"input\" -> \"m1\"", {"#9aa3ad", ": effect 0 (no effect)"}},
        {"\"a1.h2\" -> \"logits\"", {"#0072b2", "effect +1 (needed)"}},
    };
    struct ew_graph *g = sample_graph();
    struct ew_circuit *c = make_sample(g);
    struct ew_buf dot = {0};
    ew_dot_print(&dot, c, NULL);
    for (size_t i = 0; i < EW_ARRAY_LEN(want); i++) {
        size_t n = 0;
        while (n < 4 && want[i].parts[n]) {
            n++;
        }
        assert_statement(dot.data, want[i].start, want[i].parts, n);
    }
    assert_int_equal(ew_dot_n_lines(c, NULL), 7);
    /* what has no kept edge is not there */
    assert_null(strstr(dot.data, "a0.h0"));
    assert_null(strstr(dot.data, "\"m0\""));
    /* the pinned k, and nothing else, is dark */
    char *head = statement(dot.data, "  \"a1.h2\" [");
    assert_non_null(strstr(head, "PORT=\"k\" STYLE"));
    assert_null(strstr(head, "PORT=\"q\" STYLE"));
    assert_non_null(strstr(head, "a1.h2<k> 1 of 6 edges (pinned"));
    free(head);
    ew_buf_finish(&dot);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

static void test_ranks(void **state)
{
    (void)state;
    static const char *const want[] = {
        "{ rank=same; \"rank 0\"; \"input\"; }",
        "{ rank=same; \"rank 1\"; \"a0.h1\"; }",
        "{ rank=same; \"rank 3\"; \"a1.h2\"; }",
        "{ rank=same; \"rank 4\"; \"m1\"; }",
        "{ rank=same; \"rank 5\"; \"logits\"; }",
        "\"rank 3\" -> \"rank 4\" [style=invis",
        "rankdir=BT",
    };
    struct ew_graph *g = sample_graph();
    struct ew_circuit *c = make_sample(g);
    struct ew_buf dot = {0};
    ew_dot_print(&dot, c, NULL);
    for (size_t i = 0; i < EW_ARRAY_LEN(want); i++) {
        assert_non_null(strstr(dot.data, want[i]));
    }
    assert_null(strstr(dot.data, "\"rank 2\"")); /* m0 is not shown */
    ew_buf_finish(&dot);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

static void test_legend(void **state)
{
    (void)state;
    static const char *const want[] = {
        "my task in my model",
        "30 of 134 edges kept",
        "metric kl = KL(clean || circuit)",
        "ablation zero",
        "corruption random",
        "threshold 0.0575",
        "scores eap-ig",
        "up to 2",
        "direct edge cut",
        "needed: cutting it raises the metric",
    };
    struct ew_graph *g = sample_graph();
    struct ew_circuit *c = make_sample(g);
    struct ew_provenance *p = ew_circuit_provenance(c);
    struct ew_buf dot = {0};
    ew_provenance_set(&p->task, "my task");
    ew_provenance_set(&p->model, "my model");
    ew_provenance_set(&p->metric, "kl");
    ew_provenance_set(&p->ablation, "zero");
    ew_provenance_set(&p->corruption, "random");
    ew_provenance_set(&p->scores, "eap-ig");
    p->threshold = 0.0575;
    ew_dot_print(&dot, c, NULL);
    for (size_t i = 0; i < EW_ARRAY_LEN(want); i++) {
        if (!strstr(dot.data, want[i])) {
            fail_msg("no %s in\n%s", want[i], dot.data);
        }
    }
    ew_buf_clear(&dot);
    ew_dot_print(&dot, c, &(struct ew_dot_params){.title = "A title"});
    assert_non_null(strstr(dot.data, "A title"));
    assert_non_null(strstr(dot.data, "model my model"));
    ew_buf_clear(&dot);
    ew_dot_print(&dot, c, &(struct ew_dot_params){.no_legend = true});
    assert_null(strstr(dot.data, "my task"));
    ew_buf_finish(&dot);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

/* Another tool's sign turns the colours round, an unknown one names none. */
static void test_signs(void **state)
{
    (void)state;
    static const struct {
        enum ew_score_sign sign;
        const char *colour;
        const char *words;
        const char *legend;
    } cases[] = {
        {EW_SIGN_NEEDED, "#0072b2", "+1 (needed)\"", "needed: cutting"},
        {EW_SIGN_HARMFUL, "#d55e00", "+1 (hurts)\"", "needed: cutting"},
        {EW_SIGN_UNKNOWN, "#0072b2", ": score +1\"", "score above 0"},
    };
    struct ew_graph *g = sample_graph();
    struct ew_circuit *c = make_sample(g);
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        struct ew_buf dot = {0};
        const char *parts[] = {cases[i].colour, cases[i].words};
        ew_circuit_provenance(c)->sign = cases[i].sign;
        ew_dot_print(&dot, c, NULL);
        assert_statement(dot.data, "\"a1.h2\" -> \"logits\"", parts, 2);
        assert_non_null(strstr(dot.data, cases[i].legend));
        ew_buf_finish(&dot);
    }
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

static void test_grouped(void **state)
{
    (void)state;
    const struct ew_dot_params params = {.group_qkv = true};
    static const char *const parts[] = {
        "#0072b2ff", /* the largest, into k */
        "a0.h1->a1.h2<q>: effect -0.125 (hurts)\\n",
        "a0.h1->a1.h2<k>: effect +2 (needed)\\n",
        "a0.h1->a1.h2<v>: effect unknown\"",
    };
    struct ew_graph *g = sample_graph();
    struct ew_circuit *c = make_sample(g);
    struct ew_buf dot = {0};
    ew_dot_print(&dot, c, &params);
    assert_int_equal(ew_dot_n_lines(c, &params), 5);
    assert_statement(dot.data, "\"a0.h1\" -> \"a1.h2\" [", parts, 4);
    assert_null(strstr(dot.data, "dashed"));
    ew_buf_finish(&dot);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

/* The n largest: none that is left out is larger than one that is drawn. */
static void test_largest(void **state)
{
    (void)state;
    struct ew_graph *g = sample_graph();
    struct ew_rng rng;
    ew_rng_seed(&rng, 2);
    for (uint32_t n = 1; n < 100; n += 7) {
        struct ew_circuit *c = ew_circuit_create(g);
        struct ew_buf dot = {0};
        for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
            if (ew_rng_below(&rng, 4) > 0) { /* ties, and unknown ones */
                ew_circuit_set_score(c, e,
                                     (float)ew_rng_below(&rng, 21) - 10.0f);
            }
        }
        const struct ew_dot_params params = {.max_edges = n};
        ew_dot_print(&dot, c, &params);
        uint32_t total = ew_graph_n_addition(g);
        float least = INFINITY;
        float most = -1.0f;
        uint32_t drawn = 0;
        for (uint32_t e = 0; e < total; e++) {
            struct ew_buf text = {0};
            ew_buf_add(&text, "tooltip=\"");
            ew_edge_print(&text, g, e, EW_NAMES_CANONICAL);
            ew_buf_putc(&text, ':');
            float size = fabsf(ew_circuit_score(c, e));
            size = isnan(size) ? -1.0f : size;
            if (strstr(dot.data, text.data)) {
                least = fminf(least, size);
                drawn++;
            } else {
                most = fmaxf(most, size);
            }
            ew_buf_finish(&text);
        }
        assert_int_equal(drawn, n < total ? n : total);
        assert_int_equal(ew_dot_n_lines(c, &params), drawn);
        assert_true(least >= most);
        ew_buf_finish(&dot);
        ew_circuit_destroy(c);
    }
    ew_graph_destroy(g);
}

/* ---- CSV ---- */

static void test_csv(void **state)
{
    (void)state;
    struct ew_graph *g = sample_graph();
    struct ew_circuit *c = make_sample(g);
    struct ew_buf csv = {0};
    static const char *const want[] = {
        "edge,kind,sender,receiver,kept,score\n",
        "\na0.h1->a1.h2<q>,addition,a0.h1,a1.h2<q>,1,-0.125\n",
        "\na0.h1->a1.h2<v>,addition,a0.h1,a1.h2<v>,1,\n",
        "\ninput->logits,addition,input,logits,0,\n",
        "\na1.h2.k_in->a1.h2.k,direct,a1.h2.k_in,a1.h2.k,0,\n",
        "\na1.h2.q_in->a1.h2.q,direct,a1.h2.q_in,a1.h2.q,1,\n",
    };
    ew_csv_print(&csv, c);
    for (size_t i = 0; i < EW_ARRAY_LEN(want); i++) {
        if (!strstr(csv.data, want[i])) {
            fail_msg("no %s in\n%s", want[i], csv.data);
        }
    }
    uint32_t lines = 0;
    for (const char *p = csv.data; *p; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(lines, 1 + ew_graph_n_edges(g));
    ew_buf_finish(&csv);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

/* A group is a box around those of its nodes that are shown, in its colour. */
static void test_clusters(void **state)
{
    (void)state;
    struct ew_graph *g = sample_graph();
    struct ew_circuit *c = make_sample(g);
    struct ew_groups *groups = ew_groups_create(g);
    struct ew_buf dot = {0};
    struct ew_dot_params params = {.groups = groups};
    uint32_t head =
        ew_graph_find_sender(g, (struct ew_node){EW_NODE_HEAD, 0, 1});
    uint32_t hidden =
        ew_graph_find_sender(g, (struct ew_node){EW_NODE_HEAD, 0, 3});
    ew_groups_put(groups, hidden, "unseen");
    struct ew_group *group = ew_groups_put(groups, head, "a \"b\" & c");
    ew_dot_print(&dot, c, &params);
    const char *box = strstr(dot.data, "subgraph \"cluster_1\"");
    assert_non_null(box);
    assert_null(strstr(dot.data, "cluster_0")); /* none of it is shown */
    assert_statement(box, "  label=",
                     (const char *const[]){"a &#34;b&#34; &#38; c",
                                           ew_group_colour_hex(group->colour)},
                     2);
    const char *node = strstr(box, "\"a0.h1\" [");
    const char *end = strstr(box, "\n  }");
    assert_true(node && end && node < end);
    assert_null(strstr(end, "\"a0.h1\" [")); /* and not once more outside */
    assert_non_null(strstr(end, "\"a1.h2\" ["));
    ew_buf_finish(&dot);
    ew_groups_destroy(groups);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges_drawn), cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_legend),      cmocka_unit_test(test_signs),
        cmocka_unit_test(test_grouped),     cmocka_unit_test(test_largest),
        cmocka_unit_test(test_csv),         cmocka_unit_test(test_clusters),
    };
    return cmocka_run_group_tests_name("dot", tests, NULL, NULL);
}
