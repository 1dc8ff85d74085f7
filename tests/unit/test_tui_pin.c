/* SPDX-License-Identifier: Apache-2.0 */
/* The pinned circuit: effects there, and what has changed since. */
#include <math.h>

#include "edgewise/names.h"

#include "tui_fixture.h"

static uint32_t find_edge(struct fixture *f, const char *name)
{
    struct ew_err err = {0};
    uint32_t edge;
    assert_true(ew_edge_parse(f->app->graph, name, &edge, &err));
    return edge;
}

static void what_was_known_stays_known(void **state)
{
    struct fixture *f = *state;
    double effects[32];
    size_t n = f->app->n_rows;
    assert_true(n <= EW_ARRAY_LEN(effects));
    ew_headless_keys(f->h, "sjj<Enter>"); /* graph order */
    for (size_t i = 0; i < n; i++) {
        effects[i] = (double)f->app->edges[f->app->rows[i]].effect;
    }
    double before = f->app->now.logit_diff;
    ew_headless_keys(f->h, "=/a0.h4<Enter>x/logits<Enter>");
    assert_int_equal(f->app->n_rows, n);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        uint32_t edge = f->app->rows[i];
        assert_float_equal(ew_pin_was(f->app, edge), effects[i], 0.0);
        assert_float_equal(ew_pin_change(f->app, edge),
                           (double)f->app->edges[edge].effect - effects[i],
                           1e-5); /* rounding is no change */
        any |= fabs(ew_pin_change(f->app, edge)) > 1e-6;
    }
    assert_true(any);
    assert_float_equal(f->app->pin.score.logit_diff, before, 0.0);
    assert_true(screen_has(f, "pinned"));
}

/* Asked for after the cut, of a node that was never on the screen before. */
static void effects_in_the_pinned_circuit_are_exact(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Tab>jjj<Space>"); /* pin what is not full */
    ew_headless_keys(f->h, "=<S-Tab>/a0.h4<Enter>x/a0.h2<Enter>x");
    ew_headless_keys(f->h, "/a1.h3<Enter>");
    size_t n = f->app->n_rows;
    double was[64];
    assert_true(n > 20 && n <= EW_ARRAY_LEN(was));
    ew_headless_keys(f->h, "sjj<Enter>");
    for (size_t i = 0; i < n; i++) {
        was[i] = ew_pin_was(f->app, f->app->rows[i]);
        assert_false(isnan(was[i]));
    }
    ew_headless_keys(f->h, "uu"); /* back at the pinned circuit */
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(f->app->edges[f->app->rows[i]].gen, f->app->gen);
        assert_float_equal((double)f->app->edges[f->app->rows[i]].effect,
                           was[i], 1e-5);
        assert_float_equal(ew_pin_change(f->app, f->app->rows[i]), 0.0, 1e-5);
    }
}

/* An edge that is itself among those that were cut since. */
static void an_edge_cut_since_keeps_its_old_effect(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "=/a0.h4<Enter>x/a1.h3<Enter>");
    uint32_t edge = find_edge(f, "a0.h4->a1.h3<k>");
    assert_false(ew_edge_kept(f->app, edge));
    double was = ew_pin_was(f->app, edge);
    assert_false(isnan(was));
    ew_headless_keys(f->h, "u");
    assert_float_equal((double)f->app->edges[edge].effect, was, 1e-5);
}

static void the_largest_change_comes_first(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(
        f->h,
        "=/a0.h4<Enter>x/logits<Enter>:sort |change| since the pin<Enter>");
    assert_int_equal(f->app->sort, EW_SORT_CHANGE);
    for (size_t i = 1; i < f->app->n_rows; i++) {
        assert_true(fabs(ew_pin_change(f->app, f->app->rows[i - 1])) >=
                    fabs(ew_pin_change(f->app, f->app->rows[i])));
    }
}

static void pinning_twice_unpins(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "=");
    assert_true(ew_pinned(f->app));
    ew_headless_keys(f->h, ":sort |change| since the pin<Enter>wwww");
    assert_int_equal(f->app->quantity, EW_QTY_DIRECT); /* of a tree: knocks */
    ew_headless_keys(f->h, ":pin<Enter>");
    assert_false(ew_pinned(f->app));
    assert_int_equal(f->app->sort, EW_SORT_ABS);
    assert_true(isnan(ew_pin_was(f->app, 0)));
    assert_true(screen_has(f, "unpinned"));
}

/* Another metric: the same circuit, other effects. */
static void a_new_metric_asks_again(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "=/a0.h4<Enter>x/logits<Enter>M");
    double was = ew_pin_was(f->app, f->app->rows[0]);
    uint32_t edge = f->app->rows[0];
    assert_false(isnan(was));
    ew_headless_keys(f->h, "u");
    assert_float_equal((double)f->app->edges[edge].effect, was, 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_known_stays_known),
        TEST(effects_in_the_pinned_circuit_are_exact),
        TEST(an_edge_cut_since_keeps_its_old_effect),
        TEST(the_largest_change_comes_first),
        TEST(pinning_twice_unpins),
        TEST(a_new_metric_asks_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
