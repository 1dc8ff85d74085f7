/* SPDX-License-Identifier: Apache-2.0 */
/* The edges table: orders, and all edges of the graph at once. */
#include <math.h>

#include "tui_fixture.h"

/* ---- orders ---- */

static void choose(struct fixture *f, enum ew_sort sort, bool inverted)
{
    f->app->sort = sort;
    f->app->inverted = inverted;
    f->app->rows_old = true;
    ew_rows_update(f->app);
}

/* What rows are sorted by; NaN: comes last. */
static double figure_of(const struct ew_app *a, uint32_t edge)
{
    double effect = a->edges[edge].gen ? (double)a->edges[edge].effect : NAN;
    switch (a->sort) {
    case EW_SORT_ABS:
        return fabs(effect);
    case EW_SORT_SIGNED:
        return effect;
    case EW_SORT_KEPT:
        return ew_edge_kept(a, edge);
    case EW_SORT_TAU:
        return -(double)(float)fabs(effect - a->acdc.threshold);
    case EW_SORT_SE:
        return (double)a->edges[edge].se;
    case EW_SORT_KIND:
        return -(double)ew_graph_receiver(a->graph,
                                          ew_edge_receiver(a->graph, edge))
                    .kind;
    case EW_SORT_CHANGE:
        return fabs(ew_pin_change(a, edge));
    case EW_SORT_CHANGE_SIGNED:
        return ew_pin_change(a, edge);
    case EW_SORT_WAS:
        return ew_pin_was(a, edge);
    case EW_SORT_ESTIMATE:
        return fabs(ew_edge_estimate(a, edge));
    case EW_SORT_ESTIMATE_SIGNED:
        return ew_edge_estimate(a, edge);
    case EW_SORT_GROUP: /* the sender's: one group in these tests */
    case EW_SORT_NAME:
    case EW_N_SORTS:
        break;
    }
    return 0;
}

static void check_order(const struct fixture *f)
{
    const struct ew_app *a = f->app;
    for (size_t i = 1; i < a->n_rows; i++) {
        double x = figure_of(a, a->rows[i - 1]);
        double y = figure_of(a, a->rows[i]);
        if (isnan(y)) {
            continue;
        }
        assert_false(isnan(x));
        if (a->inverted ? (float)x > (float)y : (float)x < (float)y) {
            fail_msg("by %s: %g before %g", ew_sort_name(a->sort), x, y);
        }
    }
}

static void rows_are_in_the_order_chosen(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "=/a0.h4<Enter>x/a1.h2<Enter>");
    struct ew_app *a = f->app;
    uint32_t n = ew_graph_n_edges(a->graph);
    a->estimates = ew_xcalloc(n, sizeof(*a->estimates));
    a->estimate_of = a->metric;
    for (uint32_t e = 0; e < n; e++) { /* as if E had made them */
        a->estimates[e] = (float)((int)(e * 37 % 101) - 50);
    }
    for (int all = 0; all < 2; all++) {
        for (int sort = 0; sort < EW_N_SORTS; sort++) {
            for (int inverted = 0; inverted < 2; inverted++) {
                choose(f, (enum ew_sort)sort, inverted);
                assert_int_equal(a->n_rows, a->n_all);
                check_order(f);
            }
        }
        ew_headless_keys(f->h, "O");
    }
}

/* The order that a person chooses is told where its column has no room. */
static void the_order_is_told(void **state)
{
    struct fixture *f = *state;
    choose(f, EW_SORT_SE, false);
    ew_headless_resize(f->h, 24, 90);
    assert_true(screen_has(f, "by se"));
}

static void a_group_comes_first_when_asked_for(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "/a0.h5<Enter>:group mine<Enter>/a1.h2<Enter>");
    choose(f, EW_SORT_GROUP, false);
    uint32_t node = 1; /* the embedding is the first sender */
    for (; node < ew_logits_of(f->app); node++) {
        char name[EW_NAME_SIZE];
        if (strcmp(ew_node_name(f->app, node, name), "a0.h5") == 0) {
            break;
        }
    }
    for (int i = 0; i < 3; i++) { /* into q, k and v */
        assert_int_equal(ew_edge_sender(f->app->graph, f->app->rows[i]), node);
    }
    assert_true(ew_edge_sender(f->app->graph, f->app->rows[3]) != node);
}

/* ---- the whole graph ---- */

static void all_edges_are_a_list_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct ew_app *a = f->app;
    ew_headless_keys(f->h, "O");
    assert_true(screen_has(f, "all edges  305/305 kept"));
    assert_int_equal(a->n_rows, 305);
    for (uint32_t e = 0; e < 305; e++) { /* and all become known */
        assert_int_equal(a->edges[e].gen, a->gen);
    }
    check_order(f);
    uint32_t edge = a->rows[0];
    ew_headless_keys(f->h, "<Tab>g<Enter>"); /* to that one's node */
    assert_false(a->all);
    assert_int_equal(ew_rows_edge(a), edge);
    ew_headless_keys(f->h, "O"); /* the cursor stays with it */
    assert_int_equal(ew_rows_edge(a), edge);
    ew_headless_keys(f->h, "<Esc>");
    assert_false(a->all);
}

static void all_that_pass_a_filter_go_together(void **state)
{
    struct fixture *f = *state;
    struct ew_app *a = f->app;
    ew_headless_keys(f->h, "O\\from:a0 kind:q<Enter>");
    assert_int_equal(a->n_rows, 64);
    ew_headless_keys(f->h, "&<Space>");
    assert_int_equal(ew_circuit_n_kept(a->circuit), 305 - 64);
    ew_headless_keys(f->h, "<Esc>");
    assert_int_equal(a->n_rows, 305);
    ew_headless_keys(f->h, "/a0.h3->a1.h2<Enter>");
    char name[EW_NAME_SIZE];
    ew_name_of_edge(name, a->graph, ew_rows_edge(a));
    assert_int_equal(strncmp(name, "a0.h3->a1.h2<", 13), 0);
}

/* Names are remembered: the answer is that of looking each time. */
static void a_filter_finds_the_same_among_many(void **state)
{
    (void)state;
    static const char *const filters[] = {"h1", "from:a3", "!to:h2", "a1.h1->a",
                                          "-",  "direct",  "m2 to:<"};
    struct fixture f = {.h = open_toy(6, 6, true, 24, 80)};
    f.app = ew_headless_app(f.h);
    struct ew_app *a = f.app;
    a->all = true;
    for (size_t i = 0; i < EW_ARRAY_LEN(filters); i++) {
        size_t n = 0;
        ew_filter_set(a, filters[i]);
        for (uint32_t e = 0; e < ew_graph_n_edges(a->graph); e++) {
            char from[EW_NAME_SIZE] = "direct";
            char to[EW_NAME_SIZE];
            uint32_t sender = ew_edge_sender(a->graph, e);
            if (sender != EW_NONE) {
                ew_name_of_sender(from, a->graph, sender);
            }
            ew_name_of_receiver(to, a->graph, ew_edge_receiver(a->graph, e));
            struct ew_edge_facts facts = {.from = from, .to = to};
            n += ew_filter_match(a->filter, &facts);
        }
        assert_int_equal(a->n_rows, n);
        assert_true(n > 0);
    }
    ew_headless_destroy(f.h);
}

/* ---- what views say of themselves ---- */

static void the_help_begins_with_the_view(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < ew_n_views; i++) {
        char title[64];
        assert_true(strlen(ew_views[i]->about) > 20);
        ew_app_show(f->app, ew_views[i]);
        ew_headless_keys(f->h, "?");
        snprintf(title, sizeof(title), "help: %s", ew_views[i]->name);
        assert_true(screen_has(f, title));
        char begins[24];
        snprintf(begins, sizeof(begins), "%s", ew_views[i]->about);
        assert_true(screen_has(f, begins));
        for (int k = 0; k < EW_VIEW_KEYS && ew_views[i]->keys[k].text; k++) {
            assert_true(screen_has(f, ew_views[i]->keys[k].text));
        }
        ew_headless_keys(f->h, "q");
    }
}

/* ---- any view in any pane ---- */

static void any_pane_holds_any_view(void **state)
{
    struct fixture *f = *state;
    struct ew_app *a = f->app;
    ew_headless_resize(f->h, 40, 120);
    for (int p = 0; p < EW_N_PANES; p++) {
        for (int i = 0; i < ew_n_views; i++) {
            a->pane = (enum ew_pane)p;
            ew_headless_keys(f->h, ":pane-view ");
            ew_headless_keys(f->h, ew_views[i]->name);
            ew_headless_keys(f->h, "<Enter>jk");
            assert_string_equal(ew_app_view(a, (enum ew_pane)p)->name,
                                ew_views[i]->name);
            for (int q = 0; q < p; q++) { /* and nowhere twice */
                assert_int_not_equal(a->view[p], a->view[q]);
            }
        }
    }
}

static void views_change_places(void **state)
{
    struct fixture *f = *state;
    struct ew_app *a = f->app;
    ew_headless_keys(f->h, ":pane-view edges<Enter>"); /* in place of nodes */
    assert_true(ew_pane_on(a, &ew_view_edges));
    assert_int_equal(a->pane, EW_PANE_NODES);
    assert_ptr_equal(ew_app_view(a, EW_PANE_EDGES), &ew_view_tree);
    ew_headless_keys(f->h, "jj<Space>"); /* which cuts an edge, no node */
    assert_int_equal(ew_circuit_n_kept(a->circuit), 304);
    ew_headless_keys(f->h, "/a0.h3<Enter>"); /* of this list */
    assert_int_equal(a->pane, EW_PANE_NODES);
    ew_headless_keys(f->h, "<Tab>/a0.h3<Enter>x");
    assert_int_equal(a->pane, EW_PANE_EDGES);
    assert_true(screen_has(f, "knock out a0.h3"));
    int round = 0;
    do { /* and nothing is lost */
        ew_headless_keys(f->h, "V");
        round++;
    } while (ew_app_view(a, EW_PANE_EDGES) != &ew_view_tree && round < 50);
    assert_int_equal(round, ew_n_views - 2);
}

/* Where no pane has the list of nodes, it comes when it is gone to. */
static void a_list_that_was_put_away_comes_back(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "V");
    assert_false(ew_view_shown(f->app, &ew_view_tree));
    ew_headless_keys(f->h, "/a0.h3<Enter>");
    assert_true(ew_pane_on(f->app, &ew_view_tree));
    assert_true(screen_has(f, "into a0.h3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_pane_holds_any_view),
        TEST(views_change_places),
        TEST(a_list_that_was_put_away_comes_back),
        TEST(the_help_begins_with_the_view),
        TEST(rows_are_in_the_order_chosen),
        TEST(the_order_is_told),
        TEST(a_group_comes_first_when_asked_for),
        TEST(all_edges_are_a_list_of_their_own),
        TEST(all_that_pass_a_filter_go_together),
        cmocka_unit_test(a_filter_finds_the_same_among_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
