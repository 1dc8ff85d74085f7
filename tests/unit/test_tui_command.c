/* SPDX-License-Identifier: Apache-2.0 */
/* The command line with its history, and the trade-off over thresholds. */
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edgewise/file.h"

#include "tui_fixture.h"

static void commands_take_arguments(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, ":view journal<Enter>");
    assert_true(ew_view_shown(f->app, &ew_view_journal));
    ew_headless_keys(f->h, ":metric kl<Enter>");
    assert_int_equal(f->app->metric, EW_METRIC_KL);
    ew_headless_keys(f->h, ":threshold 0.5<Enter>");
    assert_float_equal(f->app->acdc.threshold, 0.5, 1e-12);
    ew_headless_keys(f->h, "T<BS>");
    assert_int_equal(f->app->prompt, EW_PROMPT_COMMAND);
    ew_headless_keys(f->h, " 0.25<Enter>");
    assert_float_equal(f->app->acdc.threshold, 0.25, 1e-12);
    ew_headless_keys(f->h, ":filter kept from:a1<Enter>");
    assert_int_equal(f->app->n_rows, 8);
    ew_headless_keys(f->h, ":search a1.h3<Enter>:acdc-doubt 10%<Enter>");
    assert_float_equal(f->app->acdc.doubt, 0.1, 1e-12);
}

static void wrong_arguments_are_told(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[][2] = {
        {":view nowhere<Enter>", "no view called"},
        {":threshold x<Enter>", "no number above 0"},
        {":threshold -1<Enter>", "no number above 0"},
        {":metric none<Enter>", "none"},
        {":acdc-doubt 3<Enter>", "no share"},
        {":undo now<Enter>", "undo takes nothing"},
        {":script -<Enter>", "name a file"},
        {":export -<Enter>", "name a file"},
        {"e<C-u>-<Enter>", "name a file"}};
    for (size_t i = 0; i < EW_ARRAY_LEN(wrong); i++) {
        ew_headless_keys(f->h, wrong[i][0]);
        assert_true(f->app->notice_bad);
        assert_non_null(strstr(f->app->notice, wrong[i][1]));
    }
}

static void tab_completes_names_and_arguments(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, ":acdc-d<Tab>");
    assert_string_equal(f->app->line.text, "acdc-doubt ");
    ew_headless_keys(f->h, "<C-u>vie<Tab>jour<Tab>");
    assert_string_equal(f->app->line.text, "view journal");
    ew_headless_keys(f->h, "<C-u>thre<Tab>");
    assert_string_equal(f->app->line.text, "threshold");
    assert_non_null(strstr(f->app->notice, "threshold-down"));
    ew_headless_keys(f->h, "<C-u>zzz<Tab>");
    assert_string_equal(f->app->line.text, "zzz");
    ew_headless_keys(f->h, "<C-u>undo x<Tab><Esc>");
}

static void tab_again_goes_through_what_fits(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, ":theme <Tab>");
    assert_string_equal(f->app->line.text, "theme ");
    static const char *const themes[] = {
        "theme dark", "theme light", "theme safe", "theme mono", "theme dark"};
    for (size_t i = 0; i < EW_ARRAY_LEN(themes); i++) {
        ew_headless_keys(f->h, "<Tab>");
        assert_string_equal(f->app->line.text, themes[i]);
    }
    ew_headless_keys(f->h, "<C-u>acdc-o<Tab>"); /* typed: from the start */
    assert_string_equal(f->app->line.text, "acdc-overrule");
    ew_headless_keys(f->h, "<Esc>");
}

static void the_history_outlives_the_program(void **state)
{
    (void)state;
    char dir[] = "/tmp/edgewise-history-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct fixture f = {.h = open_toy(2, 4, false, 24, 80)};
    ew_headless_destroy(f.h);
    setenv("XDG_STATE_HOME", dir, 1);
    struct ew_history h = {0};
    ew_history_open(&h);
    ew_history_add(&h, "threshold 0.5");
    ew_history_add(&h, "view journal");
    ew_history_add(&h, "view journal");
    ew_history_finish(&h);
    h = (struct ew_history){0};
    ew_history_open(&h);
    char line[64] = "vie";
    assert_int_equal(h.n, 2);
    ew_history_move(&h, -1, line, sizeof(line));
    assert_string_equal(line, "view journal");
    ew_history_move(&h, -1, line, sizeof(line));
    ew_history_move(&h, -1, line, sizeof(line));
    assert_string_equal(line, "threshold 0.5");
    ew_history_move(&h, 1, line, sizeof(line));
    ew_history_move(&h, 1, line, sizeof(line));
    assert_string_equal(line, "vie");
    ew_history_finish(&h);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* ---- the trade-off ---- */

static void guesses_add_the_effects_up(void **state)
{
    (void)state;
    struct ew_known_edge edges[5] = {
        {.effect = 0.5f, .gen = 1},  {.effect = 0.02f, .gen = 1},
        {.effect = -0.3f, .gen = 1}, {.effect = 0.2f, .gen = 1},
        {.effect = 0, .gen = 0},
    };
    struct ew_bitset *kept = ew_bitset_create(5);
    ew_bitset_fill(kept, true);
    ew_bitset_put(kept, 3, false);
    struct ew_tradeoff_row rows[3] = {{.tau = 0.01}, {.tau = 0.1}, {.tau = 1}};
    ew_tradeoff_guess(rows, 3, edges, kept);
    /* 0 1 3 and the unknown 4; without 2, with 3 */
    assert_int_equal(rows[0].kept, 4);
    assert_float_equal(rows[0].shift, -0.3 - 0.2, 1e-6);
    assert_int_equal(rows[1].kept, 3);
    assert_float_equal(rows[1].shift, -0.3 + 0.02 - 0.2, 1e-6);
    assert_int_equal(rows[2].kept, 1);
    assert_float_equal(rows[2].shift, -0.3 + 0.02 + 0.5, 1e-6);
    assert_int_equal(rows[2].unknown, 1);
    ew_bitset_destroy(kept);
}

static void all_effects_come_when_the_trade_off_is_shown(void **state)
{
    struct fixture *f = *state;
    assert_true(ew_tradeoff_n_unknown(f->app) > 0);
    ew_headless_keys(f->h, ":view trade-off<Enter>");
    assert_int_equal(ew_tradeoff_n_unknown(f->app), 0);
    assert_true(screen_has(f, "moving moves tau"));
    double tau = f->app->acdc.threshold;
    ew_headless_keys(f->h, "k");
    assert_true(f->app->acdc.threshold > tau);
}

static void runs_of_acdc_are_measured(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, ":threshold 0.3<Enter>A");
    const struct ew_measured *m = ew_tradeoff_at(f->app, 0.3);
    assert_non_null(m);
    assert_int_equal(m->n_kept, ew_circuit_n_kept(f->app->circuit));
    assert_float_equal(m->score.logit_diff, f->app->now.logit_diff, 0.0);
    ew_headless_keys(f->h, "u:threshold 0.2<Enter>!A"); /* meddled with */
    assert_null(ew_tradeoff_at(f->app, 0.2));
    assert_true(ew_tradeoff_at(f->app, 0.3) == m);
}

/* A run's decisions come without a new generation. */
static void decide_within_a_run(struct ew_app *a, uint32_t edge)
{
    struct ew_ev_acdc *e =
        ew_xcalloc(1, sizeof(*e) + sizeof(struct ew_acdc_decision));
    *e = (struct ew_ev_acdc){.next = edge + 1, .run = true, .n = 1};
    e->items[0] = (struct ew_acdc_decision){.edge = edge, .effect = -7.0};
    struct ew_message m = {EW_EV_ACDC, a->gen, e, NULL};
    ew_app_message(a, &m);
    ew_message_finish(&m);
}

static void check_guesses(struct ew_app *a)
{
    enum { N = 9 };
    struct ew_tradeoff_row now[N] = {{0}};
    const struct ew_tradeoff_row *rows = ew_tradeoff_rows(a, N);
    for (int r = 0; r < N; r++) {
        now[r].tau = ew_threshold_step(a->acdc.threshold, r - N / 2);
    }
    ew_tradeoff_guess(now, N, a->edges, ew_circuit_kept(a->circuit));
    for (int r = 0; r < N; r++) {
        assert_true(rows[r].tau == now[r].tau);
        assert_int_equal(rows[r].kept, now[r].kept);
        assert_int_equal(rows[r].unknown, now[r].unknown);
        assert_float_equal(rows[r].shift, now[r].shift, 1e-12);
    }
}

/* What is remembered of the frame before is what would be worked out now. */
static void guesses_are_those_of_the_moment(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"",  "A", "u",  "a", "b",      "!",
                                       "]", "M", "MM", "=", "<Space>"};
    ew_headless_keys(f->h, ":view trade-off<Enter><S-Tab>");
    assert_true(ew_pane_on(f->app, &ew_view_edges));
    for (size_t i = 0; i < EW_ARRAY_LEN(keys); i++) {
        ew_headless_keys(f->h, keys[i]);
        check_guesses(f->app);
    }
    ew_headless_keys_unanswered(f->h, "A");
    check_guesses(f->app);
    decide_within_a_run(f->app, 0);
    check_guesses(f->app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_take_arguments),
        TEST(wrong_arguments_are_told),
        TEST(tab_completes_names_and_arguments),
        TEST(tab_again_goes_through_what_fits),
        cmocka_unit_test(the_history_outlives_the_program),
        cmocka_unit_test(guesses_add_the_effects_up),
        TEST(all_effects_come_when_the_trade_off_is_shown),
        TEST(runs_of_acdc_are_measured),
        TEST(guesses_are_those_of_the_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
