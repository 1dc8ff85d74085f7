/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures and tables: what a picture shows and leaves out, that Graphviz
 * accepts it whatever the names are, and that the child process that lays it
 * out can fail, hang and be cancelled without a trace.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>

#include "edgewise/export.h"
#include "edgewise/file.h"
#include "edgewise/names.h"
#include "edgewise/rng.h"

#include "ew_cmocka.h"

static struct ew_graph *make(struct ew_graph_spec spec)
{
    struct ew_err err = {0};
    struct ew_graph *g = ew_graph_create(&spec, &err);
    if (!g) {
        fail_msg("%s", err.message);
    }
    return g;
}

static uint32_t edge_of(const struct ew_graph *g, const char *name)
{
    uint32_t edge = EW_NONE;
    struct ew_err err = {0};
    if (!ew_edge_parse(g, name, &edge, &err)) {
        fail_msg("%s", err.message);
    }
    return edge;
}

/* Only these edges are kept, and all direct edges but one. */
static struct ew_circuit *make_sample(const struct ew_graph *g)
{
    static const struct {
        const char *edge;
        float score;
    } kept[] = {
        {"input->a0.h1<v>", 0.5f}, {"a0.h1->a1.h2<q>", -0.125f},
        {"a0.h1->a1.h2<k>", 2.0f}, {"a0.h1->a1.h2<v>", NAN},
        {"a1.h2->logits", 1.0f},   {"input->m1", 0.0f},
        {"m1->logits", 0.25f},
    };
    struct ew_circuit *c = ew_circuit_create(g);
    ew_circuit_begin(c, "sample");
    for (uint32_t e = 0; e < ew_graph_n_addition(g); e++) {
        ew_circuit_put(c, e, false);
    }
    for (size_t i = 0; i < EW_ARRAY_LEN(kept); i++) {
        uint32_t e = edge_of(g, kept[i].edge);
        ew_circuit_put(c, e, true);
        ew_circuit_set_score(c, e, kept[i].score);
    }
    ew_circuit_put(c, edge_of(g, "a1.h2.k_in->a1.h2.k"), false);
    ew_circuit_end(c);
    return c;
}

static struct ew_graph *sample_graph(void)
{
    return make((struct ew_graph_spec){2, 4, true, false, false});
}

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

/* ---- DOT ---- */

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
        "30 of 114 edges kept",
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

/* ---- Graphviz ---- */

static void assert_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void need_graphviz(void)
{
    struct ew_buf out = {0};
    struct ew_err err = {0};
    if (!ew_graphviz_available()) {
        assert_false(
            ew_graphviz_render(&out, "graph {}", "svg", 0, NULL, &err));
        assert_int_equal(err.code, EW_ERR_BACKEND);
        assert_non_null(strstr(err.message, "without Graphviz"));
        print_message("skipped: built without Graphviz\n");
        skip();
    }
}

static const char *const titles[] = {
    "plain",
    "<B>&amp;\"quotes\" and \\backslashes\\N\\n",
    "a > b -> c; } ]]> <!-- & &#1; %s",
    "caf\xc3\xa9 \xe2\x86\x92 \xf0\x9f\x98\x80",
    "\xff\xfe\xc3(\xe2\x86 cut \xf8\x88\x80\x80\x80 \xc0\xaf",
    "controls \x01\x02\t\n\x1b[31m\x7f",
    "",
};

/* Whatever the provenance says, Graphviz reads it and says nothing. */
static void test_every_name(void **state)
{
    (void)state;
    need_graphviz();
    struct ew_graph *g = sample_graph();
    struct ew_circuit *c = make_sample(g);
    struct ew_provenance *p = ew_circuit_provenance(c);
    for (size_t i = 0; i < EW_ARRAY_LEN(titles); i++) {
        struct ew_buf dot = {0};
        struct ew_buf svg = {0};
        struct ew_err err = {0};
        ew_provenance_set(&p->task, titles[i]);
        ew_provenance_set(&p->metric, titles[i]);
        ew_dot_print(&dot, c,
                     i % 2 ? NULL
                           : &(struct ew_dot_params){.title = titles[i],
                                                     .group_qkv = true});
        if (!ew_graphviz_render(&svg, dot.data, "svg", 0, NULL, &err)) {
            fail_msg("%s\n%s", err.message, dot.data);
        }
        /* a label that is not well-formed would become the text "\N" */
        assert_non_null(strstr(svg.data, ">a1.h2</text>"));
        assert_non_null(strstr(svg.data, "edges kept"));
        assert_non_null(strstr(svg.data, "</svg>"));
        assert_no_children();
        ew_buf_finish(&dot);
        ew_buf_finish(&svg);
    }
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

static size_t count_of(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *p = strstr(text, part); p; p = strstr(p + 1, part)) {
        n++;
    }
    return n;
}

/* Random circuits of every shape come out with all their lines. */
static void test_every_shape(void **state)
{
    (void)state;
    need_graphviz();
    static const struct ew_graph_spec specs[] = {
        {2, 3, false, false, false},
        {2, 2, true, false, true},
        {3, 2, true, true, false},
        {1, 1, false, false, true},
    };
    struct ew_rng rng;
    ew_rng_seed(&rng, 4);
    for (size_t i = 0; i < 2 * EW_ARRAY_LEN(specs); i++) {
        struct ew_graph *g = make(specs[i / 2]);
        struct ew_circuit *c = ew_circuit_create(g);
        const struct ew_dot_params params = {.group_qkv = i % 2};
        struct ew_buf dot = {0};
        struct ew_buf svg = {0};
        struct ew_err err = {0};
        for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
            ew_circuit_put(c, e, ew_rng_below(&rng, 3) == 0);
            ew_circuit_set_score(c, e, (float)ew_rng_normal(&rng));
        }
        ew_dot_print(&dot, c, &params);
        if (!ew_graphviz_render(&svg, dot.data, "svg", 0, NULL, &err)) {
            fail_msg("%s\n%s", err.message, dot.data);
        }
        assert_int_equal(count_of(svg.data, "class=\"edge\""),
                         ew_dot_n_lines(c, &params));
        ew_buf_finish(&dot);
        ew_buf_finish(&svg);
        ew_circuit_destroy(c);
        ew_graph_destroy(g);
    }
}

static void test_render_fails(void **state)
{
    (void)state;
    need_graphviz();
    static const struct {
        const char *dot;
        const char *format;
        const char *reason;
    } cases[] = {
        {"digraph {", "svg", "reading the graph"},
        {"", "svg", "reading the graph"},
        {"hello", "svg", "syntax error"},
        {"digraph { a -> b }", "nonsense", "nonsense"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        struct ew_buf out = {0};
        struct ew_err err = {0};
        ew_buf_add(&out, "before");
        assert_false(ew_graphviz_render(&out, cases[i].dot, cases[i].format, 0,
                                        NULL, &err));
        assert_int_equal(err.code, EW_ERR_BACKEND);
        if (!strstr(err.message, cases[i].reason)) {
            fail_msg("%s: not about %s", err.message, cases[i].reason);
        }
        assert_string_equal(out.data, "before");
        assert_no_children();
        ew_buf_finish(&out);
    }
}

/* Enough edges that layout would take minutes. */
static char *endless_dot(void)
{
    struct ew_graph *g =
        make((struct ew_graph_spec){12, 12, true, false, false});
    struct ew_circuit *c = ew_circuit_create(g);
    struct ew_buf dot = {0};
    ew_dot_print(&dot, c, NULL);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
    return ew_buf_steal(&dot);
}

static void test_killed(void **state)
{
    (void)state;
    need_graphviz();
    char *dot = endless_dot();
    struct ew_buf out = {0};
    struct ew_err err = {0};
    assert_false(ew_graphviz_render(&out, dot, "svg", 200, NULL, &err));
    assert_int_equal(err.code, EW_ERR_BACKEND);
    assert_non_null(strstr(err.message, "not done after 0.2 s"));
    assert_int_equal(out.len, 0);
    assert_no_children();

    struct ew_cancel *cancel = ew_cancel_create();
    ew_cancel_raise(cancel);
    assert_false(ew_graphviz_render(&out, dot, "svg", 0, cancel, &err));
    assert_int_equal(err.code, EW_ERR_CANCELLED);
    assert_no_children();
    ew_cancel_destroy(cancel);
    ew_buf_finish(&out);
    free(dot);
}

/* ---- files ---- */

static char folder[] = "/tmp/edgewise-test-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails when a test left something there */
}

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *begins;
        bool graphviz;
    } cases[] = {
        {"a.dot", "digraph circuit {", false},
        {"a.GV", "digraph circuit {", false},
        {"a.csv", "edge,kind,", false},
        {"a.json", "{\"cfg\": {", false},
        {"a.svg", "<?xml", true},
        {"a.b.png", "\x89PNG", true},
        {"a.pdf", "%PDF", true},
        {"a.plain", "graph ", true},
    };
    struct ew_graph *g = sample_graph();
    struct ew_circuit *c = make_sample(g);
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        char path[256];
        struct ew_buf text = {0};
        struct ew_err err = {0};
        if (cases[i].graphviz && !ew_graphviz_available()) {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", folder, cases[i].name);
        if (!ew_export(c, path, NULL, NULL, &err) ||
            !ew_file_read(&text, path, &err)) {
            fail_msg("%s", err.message);
        }
        assert_true(text.len > 100);
        assert_memory_equal(text.data, cases[i].begins,
                            strlen(cases[i].begins));
        ew_buf_finish(&text);
        assert_int_equal(unlink(path), 0);
    }
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

static void test_files_refused(void **state)
{
    (void)state;
    struct ew_graph *g = make((struct ew_graph_spec){8, 8, true, false, false});
    struct ew_circuit *c = ew_circuit_create(g);
    static const struct {
        const char *name;
        enum ew_err_code code;
        const char *reason;
    } cases[] = {
        {"x.xyz", EW_ERR_USAGE, "expected an extension such as .svg"},
        {"x", EW_ERR_USAGE, "found none"},
        {"x.svg", EW_ERR_USAGE, "edges are too many to lay out (1500"},
        {"no/such/folder.csv", EW_ERR_IO, "no/such/folder.csv"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        char path[256];
        struct ew_err err = {0};
        snprintf(path, sizeof(path), "%s/%s", folder, cases[i].name);
        assert_false(ew_export(c, path, NULL, NULL, &err));
        assert_int_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.message, cases[i].reason));
        assert_int_equal(access(path, F_OK), -1);
    }
    assert_true(ew_dot_n_lines(c, NULL) > EW_DOT_MAX_LINES);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges_drawn),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_legend),
        cmocka_unit_test(test_signs),
        cmocka_unit_test(test_grouped),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_every_name),
        cmocka_unit_test(test_every_shape),
        cmocka_unit_test(test_render_fails),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_files_refused),
    };
    return cmocka_run_group_tests_name("export", tests, make_folder,
                                       drop_folder);
}
