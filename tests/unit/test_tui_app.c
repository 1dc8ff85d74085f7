/* SPDX-License-Identifier: Apache-2.0 */
/* The explorer without a terminal, on the toy engine: what keys do. */
#include <math.h>
#include <string.h>

#include "edgewise/rng.h"

#include "temp_dir.h"
#include "tui_fixture.h"

static void numbers_come_from_the_background(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->app->load, EW_LOADED);
    assert_true(screen_has(f, "305/305 edges"));
    assert_true(screen_has(f, "recovered 100%"));
    for (size_t i = 0; i < f->app->n_rows; i++) {
        assert_int_equal(f->app->edges[f->app->rows[i]].gen, f->app->gen);
    }
    for (uint32_t s = 0; s < ew_logits_of(f->app); s++) {
        assert_int_equal(f->app->nodes[s].gen, f->app->gen);
    }
}

static void a_toggle_moves_the_logit_difference_as_foretold(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Tab>jj");
    uint32_t edge = ew_rows_edge(f->app);
    double foretold = (double)f->app->edges[edge].ld;
    ew_headless_keys(f->h, "<Space>");
    assert_false(ew_edge_kept(f->app, edge));
    assert_int_equal(f->app->now_gen, f->app->gen);
    assert_float_equal(f->app->now.logit_diff, foretold, 1e-6);
    assert_int_equal(ew_rows_edge(f->app), edge); /* the cursor stays */
    ew_headless_keys(f->h, "u");
    assert_true(ew_edge_kept(f->app, edge));
    assert_float_equal(f->app->now.logit_diff, f->app->ready.full.logit_diff,
                       1e-9);
}

static void figures_are_stale_until_the_answer_comes(void **state)
{
    struct fixture *f = *state;
    double before = f->app->now.logit_diff;
    ew_headless_keys(f->h, "<Tab>");
    ew_headless_keys_unanswered(f->h, "<Space>");
    assert_true(f->app->now_gen < f->app->gen);
    assert_float_equal(f->app->now.logit_diff, before, 0.0);
    ew_headless_keys(f->h, "j");
    assert_int_equal(f->app->now_gen, f->app->gen);
}

static void many_toggles_end_where_the_engine_is(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Tab>");
    ew_headless_keys_unanswered(f->h, "<Space>j<Space>j<Space>u<Space>j");
    ew_headless_keys(f->h, "<Space>");
    double now = f->app->now.logit_diff;
    ew_headless_keys(f->h, "j<Space>u"); /* comes back by another way */
    assert_float_equal(f->app->now.logit_diff, now, 1e-9);
    while (ew_circuit_revision(f->app->circuit) != 0) {
        ew_headless_keys(f->h, "u");
    }
    assert_float_equal(f->app->now.logit_diff, f->app->ready.full.logit_diff,
                       1e-9);
}

static void a_knock_out_is_one_revision(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "/a0.h1<Enter>");
    uint32_t node = f->app->node;
    double foretold = (double)f->app->nodes[node].ld;
    uint32_t revisions = ew_circuit_n_revisions(f->app->circuit);
    ew_headless_keys(f->h, "x");
    assert_int_equal(ew_circuit_n_out(f->app->circuit, node), 0);
    assert_int_equal(ew_circuit_n_revisions(f->app->circuit), revisions + 1);
    assert_float_equal(f->app->now.logit_diff, foretold, 1e-6);
    ew_headless_keys(f->h, "<Space>"); /* on a node: restores it */
    assert_int_equal(ew_circuit_n_out(f->app->circuit, node), 25);
}

static void a_run_of_acdc_is_one_revision(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "A");
    assert_true(f->app->acdc.done);
    assert_false(f->app->acdc.running);
    uint32_t kept = ew_circuit_n_kept(f->app->circuit);
    assert_true(kept < 305);
    assert_int_equal(kept, f->app->acdc.n_kept);
    assert_int_equal(f->app->now_gen, f->app->gen);
    ew_headless_keys(f->h, "u");
    assert_int_equal(ew_circuit_n_kept(f->app->circuit), 305);
    ew_headless_keys(f->h, "<C-r>");
    assert_int_equal(ew_circuit_n_kept(f->app->circuit), kept);
}

static void steps_of_acdc_come_to_what_a_run_does(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "A");
    struct ew_bitset *run = ew_bitset_clone(ew_circuit_kept(f->app->circuit));
    ew_headless_keys(f->h, "u");
    for (int i = 0; i < 305 && !f->app->acdc.done; i++) {
        ew_headless_keys(f->h, "a");
    }
    assert_true(f->app->acdc.done);
    assert_true(ew_bitset_equal(run, ew_circuit_kept(f->app->circuit)));
    ew_bitset_destroy(run);
}

static void a_run_waits_for_the_step_before_it(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys_unanswered(f->h, "aA");
    ew_headless_keys(f->h, "j");
    assert_true(f->app->acdc.done);
    assert_false(f->app->acdc.running);
}

static void the_peeked_verdict_is_the_one_that_comes(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "a");
    for (int i = 0; i < 20; i++) {
        assert_true(f->app->acdc.has_peek);
        struct ew_acdc_decision peek = f->app->acdc.peek;
        ew_headless_keys(f->h, "a");
        if (!peek.dropped) {
            const struct ew_acdc_view *v = &f->app->acdc;
            assert_int_equal(v->log[v->n_log - 1].edge, peek.edge);
            assert_int_equal(v->log[v->n_log - 1].kept, peek.kept);
        }
    }
}

static void overruling_turns_the_verdict_round(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "a");
    struct ew_acdc_decision peek = f->app->acdc.peek;
    assert_true(f->app->acdc.has_peek && !peek.dropped);
    ew_headless_keys(f->h, "!");
    assert_int_equal(ew_edge_kept(f->app, peek.edge), !peek.kept);
}

static void an_edit_between_steps_is_not_lost(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "a<Tab>");
    uint32_t edge = ew_rows_edge(f->app);
    bool kept = ew_edge_kept(f->app, edge);
    ew_headless_keys_unanswered(f->h, "aa<Space>");
    ew_headless_keys(f->h, "j");
    assert_int_equal(ew_edge_kept(f->app, edge), !kept);
    assert_int_equal(f->app->now_gen, f->app->gen);
    assert_int_equal(f->app->acdc.steps_waiting, 0);
    /* the engine's circuit is the screen's: effects foretell truly */
    ew_headless_keys(f->h, "jj");
    uint32_t other = ew_rows_edge(f->app);
    double foretold = (double)f->app->edges[other].ld;
    ew_headless_keys(f->h, "<Space>");
    assert_float_equal(f->app->now.logit_diff, foretold, 1e-6);
}

static void the_threshold_goes_up_and_down(void **state)
{
    struct fixture *f = *state;
    double tau = f->app->acdc.threshold;
    ew_headless_keys(f->h, "]");
    assert_true(f->app->acdc.threshold > tau);
    ew_headless_keys(f->h, "[");
    assert_float_equal(f->app->acdc.threshold, tau, 1e-12);
    for (int i = 0; i < 60; i++) {
        double last = f->app->acdc.threshold;
        ew_headless_keys(f->h, "[");
        assert_true(f->app->acdc.threshold < last);
        assert_true(f->app->acdc.threshold > 0.5 * last);
    }
}

static void filters_hide_rows_and_escape_shows_them(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "\\from:a1<Enter>");
    assert_int_equal(f->app->n_rows, 8);
    assert_true(screen_has(f, "8 shown"));
    ew_headless_keys(f->h, "<Esc>");
    assert_int_equal(f->app->n_rows, 17);
    ew_headless_keys(f->h, "\\effect~1<Enter>");
    assert_true(screen_has(f, "after effect"));
}

static void searching_moves_the_cursor(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "/h5<Enter>");
    char name[EW_NAME_SIZE];
    assert_string_equal(ew_node_name(f->app, f->app->node, name), "a1.h5");
    ew_headless_keys(f->h, "n");
    assert_string_equal(ew_node_name(f->app, f->app->node, name), "a0.h5");
    assert_true(screen_has(f, "2/2"));
}

static void marked_edges_go_together(void **state)
{
    struct fixture *f = *state;
    uint32_t revisions = ew_circuit_n_revisions(f->app->circuit);
    ew_headless_keys(f->h, "<Tab>mmm<Space>");
    assert_int_equal(ew_circuit_n_kept(f->app->circuit), 302);
    assert_int_equal(ew_circuit_n_revisions(f->app->circuit), revisions + 1);
    assert_int_equal(ew_bitset_count(f->app->marked), 0);
}

static void enter_follows_an_edge_and_escape_comes_back(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Enter>");
    assert_int_equal(f->app->pane, EW_PANE_EDGES);
    uint32_t sender = ew_edge_sender(f->app->graph, ew_rows_edge(f->app));
    ew_headless_keys(f->h, "<Enter>");
    assert_int_equal(f->app->node, sender);
    ew_headless_keys(f->h, "<Esc>");
    assert_int_equal(f->app->node, ew_logits_of(f->app));
}

static void the_metric_changes_what_effects_mean(void **state)
{
    struct fixture *f = *state;
    enum ew_metric metric = f->app->metric;
    ew_headless_keys(f->h, "M");
    assert_true(f->app->metric != metric);
    assert_int_equal(f->app->edges[f->app->rows[0]].gen, f->app->gen);
    for (int i = 1; i < EW_N_METRICS; i++) {
        ew_headless_keys(f->h, "M");
    }
    assert_int_equal(f->app->metric, metric);
}

static void the_journal_goes_to_any_revision(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Tab><Space>j<Space>uj<Space>");
    assert_int_equal(ew_circuit_n_revisions(f->app->circuit), 4);
    ew_headless_keys(f->h,
                     "<Tab>:view journal<Enter>Gk<Enter>"); /* revision 1 */
    assert_int_equal(ew_circuit_revision(f->app->circuit), 1);
    assert_int_equal(ew_circuit_n_kept(f->app->circuit), 304);
    assert_int_equal(f->app->now_gen, f->app->gen);
}

static void the_mouse_chooses_and_toggles(void **state)
{
    struct fixture *f = *state;
    struct ew_rect r = f->app->layout.pane[EW_PANE_EDGES];
    ew_headless_mouse(f->h, EW_MOUSE_CLICK, r.y + 4, r.x + 12);
    assert_int_equal(f->app->pane, EW_PANE_EDGES);
    assert_int_equal(f->app->edge_at, 2);
    ew_headless_mouse(f->h, EW_MOUSE_CLICK, r.y + 4, r.x + 3); /* the dot */
    assert_int_equal(ew_circuit_n_kept(f->app->circuit), 304);
    struct ew_rect footer = f->app->layout.footer;
    for (int x = 0; x < footer.cols; x++) {
        if (ew_footer_at(f->app, footer.cols, x) == EW_DO_UNDO) {
            ew_headless_mouse(f->h, EW_MOUSE_CLICK, footer.y, x);
            break;
        }
    }
    assert_int_equal(ew_circuit_n_kept(f->app->circuit), 305);
    /* again on the row: to the edge's other end */
    uint32_t node = f->app->node;
    ew_headless_mouse(f->h, EW_MOUSE_CLICK, r.y + 4, r.x + 12);
    ew_headless_mouse(f->h, EW_MOUSE_CLICK, r.y + 4, r.x + 12);
    assert_int_not_equal(f->app->node, node);
    assert_int_equal(ew_circuit_n_kept(f->app->circuit), 305);
}

/* ^C asks when there is nothing to stop; only y leaves. */
static void an_idle_cancel_asks(void **state)
{
    struct fixture *f = *state;
    ew_app_key(f->app, 0x03);
    assert_int_equal(f->app->prompt, EW_PROMPT_QUIT);
    ew_app_key(f->app, 'n');
    assert_int_equal(f->app->prompt, EW_PROMPT_NONE);
    assert_int_equal(f->app->todo & EW_TODO_QUIT, 0);
    ew_app_key(f->app, 0x03);
    ew_app_key(f->app, 'y');
    assert_true(f->app->todo & EW_TODO_QUIT);
}

/* ---- the map ---- */

/* A cell of the pane of nodes that stands out as the cursor does. */
static bool has_cursor(const struct fixture *f)
{
    const struct ew_surface *s = ew_headless_screen(f->h);
    struct ew_rect r = f->app->layout.pane[EW_PANE_NODES];
    for (int i = 0; i < r.rows * r.cols; i++) {
        const struct ew_cell *cell =
            ew_surface_at(s, r.y + i / r.cols, r.x + i % r.cols);
        if (cell->style.attr & EW_ATTR_REVERSE) {
            return true;
        }
    }
    return false;
}

static void a_map_with_many_heads_scrolls(void **state)
{
    (void)state;
    struct fixture f = {.h = open_toy(3, 32, true, 24, 80)};
    f.app = ew_headless_app(f.h);
    assert_true(f.app->map);
    ew_headless_keys(f.h, "/a2.h0<Enter>");
    for (int i = 0; i < 33; i++) { /* all heads, and the MLP */
        assert_true(has_cursor(&f));
        ew_headless_keys(f.h, "l");
    }
    ew_headless_keys(f.h, "h");
    char name[EW_NAME_SIZE];
    assert_string_equal(ew_node_name(f.app, f.app->node, name), "m2");
    struct ew_rect r = f.app->layout.pane[EW_PANE_NODES];
    ew_headless_mouse(f.h, EW_MOUSE_CLICK, r.y + 3, r.x + 5); /* its left */
    ew_node_name(f.app, f.app->node, name);
    assert_int_equal(strncmp(name, "a2.h", 4), 0);
    assert_string_not_equal(name, "a2.h0");
    ew_headless_destroy(f.h);
}

/* As far as there are layers, and no further back. */
static void a_page_of_the_map_goes_one_way(void **state)
{
    (void)state;
    struct fixture f = {.h = open_toy(12, 4, true, 24, 80)};
    f.app = ew_headless_app(f.h);
    ew_headless_keys(f.h, "<PgUp>");
    assert_int_equal(f.app->node, ew_logits_of(f.app));
    ew_headless_keys(f.h, "<PgDn>");
    assert_int_equal(ew_node_layer(f.app, f.app->node), 8);
    ew_headless_keys(f.h, "<PgUp><PgUp>");
    assert_int_equal(ew_node_layer(f.app, f.app->node), 11);
    ew_headless_keys(f.h, "G<PgDn>");
    assert_int_equal(f.app->node, 0);
    ew_headless_destroy(f.h);
}

/* Effects foretell truly: the engine's circuit is the screen's. */
static void check_in_step(struct fixture *f)
{
    assert_int_equal(f->app->now_gen, f->app->gen);
    uint32_t edge = ew_rows_edge(f->app);
    double foretold = (double)f->app->edges[edge].ld;
    assert_int_equal(f->app->edges[edge].gen, f->app->gen);
    ew_headless_keys(f->h, "<Space>");
    assert_float_equal(f->app->now.logit_diff, foretold, 1e-6);
}

/* The worker takes the edit for the circuit, without the step before it. */
static void an_edit_before_a_step_is_put_together_with_both(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "aa<Tab>");
    assert_true(f->app->acdc.has_peek && f->app->acdc.peek.kept);
    ew_headless_keys_unanswered(f->h, "!<Space>a");
    ew_headless_resize(f->h, 24, 80); /* the worker answers */
    assert_int_equal(f->app->acdc.steps_waiting, 0);
    check_in_step(f);
}

/* ^C stops the run, whatever the engine was at, and nothing else. */
static void a_cancel_leaves_the_circuit_alone(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Tab>");
    ew_headless_keys_unanswered(f->h, "<Space>jA<C-c>");
    ew_headless_resize(f->h, 24, 80); /* the worker answers */
    assert_false(f->app->acdc.running);
    assert_true(screen_has(f, "ACDC stopped: 0 tested"));
    assert_int_equal(ew_circuit_n_kept(f->app->circuit), 304);
    check_in_step(f);
}

static void a_cancel_stops_steps_and_the_run_behind_them(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Tab>");
    ew_headless_keys_unanswered(f->h, "aaA<C-c>");
    ew_headless_resize(f->h, 24, 80); /* the worker answers */
    assert_int_equal(f->app->acdc.steps_waiting, 0);
    assert_int_equal(f->app->acdc.n_log, 0);
    assert_false(f->app->acdc.running);
    check_in_step(f);
}

static void a_way_back_that_is_stopped_ends_the_session(void **state)
{
    struct fixture *f = *state;
    const struct ew_acdc_view *v = &f->app->acdc;
    ew_headless_keys(f->h, "<Tab>aaaaaaaaaa");
    ew_headless_keys_unanswered(f->h, "b<C-c>a");
    ew_headless_resize(f->h, 24, 80); /* the worker answers */
    assert_int_equal(v->n_done, v->n_log);
    assert_true(v->n_log < 9);
    check_in_step(f);
}

static void many_edges_together_can_be_stopped(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Tab>mmmm");
    ew_headless_keys_unanswered(f->h, "J<C-c>");
    assert_int_equal(f->app->prompt, EW_PROMPT_NONE);
    ew_headless_resize(f->h, 24, 80); /* the worker answers */
    assert_true(screen_has(f, "stopped: not known"));
    ew_headless_keys(f->h, "J");
    assert_true(screen_has(f, "one by one:"));
    ew_headless_keys(f->h, "<C-c>"); /* nothing runs any more */
    assert_int_equal(f->app->prompt, EW_PROMPT_QUIT);
}

static int n_cancels[2];

static void count_cancel(void *user)
{
    (void)user;
    n_cancels[0]++;
}

static void count_cancel_export(void *user)
{
    (void)user;
    n_cancels[1]++;
}

static void an_export_is_stopped_alone(void **state)
{
    struct fixture *f = *state;
    f->app->ports.cancel = count_cancel;
    f->app->ports.cancel_export = count_cancel_export;
    f->app->exporting = true;
    ew_headless_keys_unanswered(f->h, "<C-c>");
    assert_true(screen_has(f, "stopping"));
    f->app->exporting = false;
    ew_headless_keys_unanswered(f->h, "a<C-c>");
    assert_int_equal(n_cancels[0], 1);
    assert_int_equal(n_cancels[1], 1);
}

/* A click and Enter can come before the next frame. */
static void a_click_below_a_list_goes_nowhere(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Tab><Space>j<Space><Tab>:view journal<Enter>");
    struct ew_rect r = f->app->layout.pane[EW_PANE_VIEW];
    assert_true(r.rows > 6);
    ew_app_mouse(f->app, EW_MOUSE_CLICK, r.y + r.rows - 2, r.x + 4);
    assert_int_equal(f->app->pane, EW_PANE_VIEW);
    ew_headless_keys(f->h, "<Enter>");
    assert_int_equal(ew_circuit_revision(f->app->circuit), 2);
    ew_app_mouse(f->app, EW_MOUSE_CLICK, r.y + 3, r.x + 4); /* the second */
    ew_headless_keys(f->h, "<Enter>");
    assert_int_equal(ew_circuit_revision(f->app->circuit), 1);
}

static void a_small_terminal_says_so_and_goes_on(void **state)
{
    struct fixture *f = *state;
    ew_headless_resize(f->h, 10, 40);
    assert_true(screen_has(f, "needs 60x17"));
    ew_headless_keys(f->h, "jj<Tab><Space>?q");
    ew_headless_resize(f->h, 1, 1);
    ew_headless_resize(f->h, 24, 80);
    assert_true(screen_has(f, "304/305"));
}

static void commands_have_the_names_of_actions(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, ":knock<Tab><Enter>");
    assert_true(screen_has(f, "logits has no edges out"));
    ew_headless_keys(f->h, ":nonsense<Enter>");
    assert_true(screen_has(f, "no action called 'nonsense'"));
}

/* Keys, sizes and clicks at random; seeded, so that a failure comes again. */
static void ten_thousand_random_keys_do_no_harm(void **state)
{
    (void)state;
    static const uint32_t special[] = {
        EW_KEY_UP,        EW_KEY_DOWN, EW_KEY_LEFT, EW_KEY_RIGHT,
        EW_KEY_PGDN,      EW_KEY_PGUP, EW_KEY_TAB,  EW_KEY_S_TAB,
        EW_KEY_ENTER,     EW_KEY_ESC,  EW_KEY_F1,   EW_KEY_F1 + 4,
        EW_KEY_BACKSPACE, EW_KEY_DEL,  0x12,        0x03};
    struct ew_rng rng;
    char *dir = temp_dir(); /* what they write */
    char *home = getcwd(NULL, 0);
    assert_int_equal(chdir(dir), 0);
    ew_rng_seed(&rng, 20);
    struct ew_headless *h = open_toy(3, 4, true, 24, 80);
    struct ew_app *a = ew_headless_app(h);
    for (int i = 0; i < 10000; i++) {
        if (i == 1000) {
            a->ports.draw_picture = NULL; /* Graphviz takes its time */
        }
        uint64_t dice = ew_rng_below(&rng, 100);
        uint32_t key = 32 + (uint32_t)ew_rng_below(&rng, 95);
        if (dice < 30) {
            key = special[ew_rng_below(&rng, EW_ARRAY_LEN(special))];
        } else if (dice == 99) {
            ew_headless_resize(h, 1 + (int)ew_rng_below(&rng, 70),
                               1 + (int)ew_rng_below(&rng, 220));
        } else if (dice > 93) {
            ew_headless_mouse(h, (enum ew_mouse)ew_rng_below(&rng, 3),
                              (int)ew_rng_below(&rng, 40),
                              (int)ew_rng_below(&rng, 140));
        }
        ew_app_key(a, key);
        a->todo = 0;
        if (i % 16 == 0) {
            ew_headless_keys(h, "<C-l>");
            a->todo = 0;
        }
    }
    ew_headless_keys(h, "<Esc><Esc><C-l>");
    assert_true(a->n_rows <= a->n_all);
    ew_headless_destroy(h);
    assert_int_equal(chdir(home), 0);
    free(home);
    temp_dir_remove(dir);
}

/* What the last edit did stands behind the message of that edit alone, and a
 * message is whole, whatever ACDC has to say beside it. */
static void a_message_has_the_line_it_needs(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Tab><Space>");
    assert_true(screen_has(f, "  LD "));
    ew_headless_keys(f->h, "<F2>");
    assert_true(screen_has(f, "no action on F2"));
    struct ew_buf out = {0};
    ew_surface_text(ew_headless_screen(f->h), &out);
    assert_null(strstr(ew_buf_str(&out), "for help  LD"));
    ew_buf_finish(&out);
    ew_headless_keys(f->h, "A&J");
    assert_true(screen_has(f, f->app->notice));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_come_from_the_background),
        TEST(a_toggle_moves_the_logit_difference_as_foretold),
        TEST(figures_are_stale_until_the_answer_comes),
        TEST(many_toggles_end_where_the_engine_is),
        TEST(a_knock_out_is_one_revision),
        TEST(a_run_of_acdc_is_one_revision),
        TEST(steps_of_acdc_come_to_what_a_run_does),
        TEST(a_run_waits_for_the_step_before_it),
        TEST(the_peeked_verdict_is_the_one_that_comes),
        TEST(overruling_turns_the_verdict_round),
        TEST(an_edit_between_steps_is_not_lost),
        TEST(the_threshold_goes_up_and_down),
        TEST(filters_hide_rows_and_escape_shows_them),
        TEST(searching_moves_the_cursor),
        TEST(marked_edges_go_together),
        TEST(enter_follows_an_edge_and_escape_comes_back),
        TEST(the_metric_changes_what_effects_mean),
        TEST(the_journal_goes_to_any_revision),
        TEST(the_mouse_chooses_and_toggles),
        TEST(a_click_below_a_list_goes_nowhere),
        cmocka_unit_test(a_map_with_many_heads_scrolls),
        cmocka_unit_test(a_page_of_the_map_goes_one_way),
        TEST(an_idle_cancel_asks),
        TEST(an_edit_before_a_step_is_put_together_with_both),
        TEST(a_cancel_leaves_the_circuit_alone),
        TEST(a_cancel_stops_steps_and_the_run_behind_them),
        TEST(a_way_back_that_is_stopped_ends_the_session),
        TEST(many_edges_together_can_be_stopped),
        TEST(an_export_is_stopped_alone),
        TEST(a_small_terminal_says_so_and_goes_on),
        TEST(commands_have_the_names_of_actions),
        TEST(a_message_has_the_line_it_needs),
        cmocka_unit_test(ten_thousand_random_keys_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
