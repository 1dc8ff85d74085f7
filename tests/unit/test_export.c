/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures laid out: Graphviz accepts them whatever the names are, and the
 * child process that does it can fail, hang and be cancelled without a trace.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "edgewise/export.h"
#include "edgewise/file.h"

#include "sample.h"

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
    " ",
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
        struct ew_dot_params params = {.group_qkv = true};
        params.title = i % 2 ? NULL : titles[i];
        ew_dot_print(&dot, c, &params);
        if (!ew_graphviz_render(&svg, dot.data, "svg", 0, NULL, &err)) {
            fail_msg("%s\n%s", err.message, dot.data);
        }
        /* a label that is not well-formed would become the text "\N" */
        assert_non_null(strstr(svg.data, ">a1.h2</text>"));
        if (!strstr(svg.data, "edges kept")) {
            fail_msg("no legend from\n%s", dot.data);
        }
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
