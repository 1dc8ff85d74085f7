/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every action of the table does something: from a screen that `before`
 * leads to, calling it changes what is seen, shows a text, or asks the loop
 * for something. An action without a line here fails the test.
 */
#include <math.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "edgewise/file.h"

#include "temp_dir.h"
#include "tui_fixture.h"

struct exercise {
    enum ew_action action;
    const char *before; /* keys */
    const char *text;   /* on the screen after, not before; NULL: any change */
    unsigned todo;      /* instead: what the loop is asked for */
};

static const struct exercise exercises[] = {
    {EW_DO_DOWN, "", NULL, 0},
    {EW_DO_UP, "jj", NULL, 0},
    {EW_DO_LEFT, "jjll", NULL, 0},
    {EW_DO_RIGHT, "jj", NULL, 0},
    {EW_DO_HALF_DOWN, "<Tab>", NULL, 0},
    {EW_DO_HALF_UP, "<Tab>G", NULL, 0},
    {EW_DO_PAGE_DOWN, "<Tab>", NULL, 0},
    {EW_DO_PAGE_UP, "<Tab>G", NULL, 0},
    {EW_DO_TOP, "<Tab>G", NULL, 0},
    {EW_DO_BOTTOM, "<Tab>", NULL, 0},
    {EW_DO_OPEN, "<Tab>", "into a1.", 0},
    {EW_DO_BACK, "\\from:a1<Enter>", "filter off", 0},
    {EW_DO_NEXT_PANE, "", NULL, 0},
    {EW_DO_PREV_PANE, "", NULL, 0},
    {EW_DO_TOGGLE, "<Tab>", "304/305 edges", 0},
    {EW_DO_KNOCK_OUT, "/a0.h1<Enter>", "280/305 edges", 0},
    {EW_DO_MARK, "<Tab>", "1 marked", 0},
    {EW_DO_UNDO, "<Tab><Space>", "305/305 edges", 0},
    {EW_DO_REDO, "<Tab><Space>u", "304/305 edges", 0},
    {EW_DO_RESTORE_ALL, "<Tab><Space>", "305/305 edges", 0},
    {EW_DO_PIN, "", "pinned at 305", 0},
    {EW_DO_GROUP, "/a0.h1<Enter>", ":group", 0},
    {EW_DO_LABELS, "", ":labels", 0},
    {EW_DO_NEXT_EDGE, "", "gains", 0},
    {EW_DO_JOINT, "<Tab>mmm", "one by one:", 0},
    {EW_DO_MARK_NODE, "/a0.h1<Enter>", "31 marked", 0},
    {EW_DO_MARK_ROWS, "", "17 marked", 0},
    {EW_DO_COMPLEMENT, "<Tab><Space>", "1/305 edges", 0},
    {EW_DO_SNAPSHOT, "", ":snapshot", 0},
    {EW_DO_COMPARE, ":snapshot one<Enter>", "compared with now", 0},
    {EW_DO_SCRIPT, "", ":script circuit.sh", 0},
    {EW_DO_THEME, "", NULL, EW_TODO_REDRAW},
    {EW_DO_DIRECTION, "/a0.h1<Enter>", "out of a0.h1", 0},
    {EW_DO_ALL_EDGES, "", "all edges", 0},
    {EW_DO_ACDC_STEP, "", "ACDC keeps", 0},
    {EW_DO_ACDC_RUN, "", "ACDC done", 0},
    {EW_DO_ACDC_OVERRULE, "", "ACDC cuts", 0},
    {EW_DO_ACDC_BACK, "a", "back to before", 0},
    {EW_DO_ACDC_INPUT, "", "ACDC so far", 0},
    {EW_DO_ACDC_DOUBT, "", "within 25% of tau", 0},
    {EW_DO_THRESHOLD_DOWN, "", "ACDC threshold 0.056", 0},
    {EW_DO_THRESHOLD_UP, "", "ACDC threshold 0.068", 0},
    {EW_DO_THRESHOLD, "", ":threshold", 0},
    {EW_DO_METRIC, "", "minimised", 0},
    {EW_DO_ESTIMATE, "", "incremental engine", 0}, /* the toy is none */
    {EW_DO_EDIT_PROMPT, "", "no tokenizer", 0}, /* the toy has none */
    {EW_DO_EXPORT, "", "circuit.svg", 0},
    {EW_DO_SEARCH, "", "find:", 0},
    {EW_DO_SEARCH_NEXT, "/h5<Enter>", "2/2", 0},
    {EW_DO_SEARCH_PREV, "/h5<Enter>n", "1/2", 0},
    {EW_DO_FILTER, "", "show only:", 0},
    {EW_DO_SORT, "", "order of the edges", 0},
    {EW_DO_INVERT, "", NULL, 0},
    {EW_DO_VIEW, "", NULL, 0},
    {EW_DO_PANE_VIEW, "", NULL, 0},
    {EW_DO_TREE, "", NULL, 0},
    {EW_DO_MAP_QUANTITY, "", "nodes show:", 0},
    {EW_DO_FOLD, "j", NULL, 0},
    {EW_DO_UNFOLD, "jj", NULL, 0},
    {EW_DO_UNFOLD, "jj-", "▾ layer 1", 0}, /* the layer that was folded */
    {EW_DO_UNFOLD_ALL, "", NULL, 0},
    {EW_DO_ZOOM, "", NULL, 0},
    {EW_DO_INFO, "", "definitions in force", 0},
    {EW_DO_COMMAND, "", " :", 0},
    {EW_DO_HELP, "", "j k scroll", 0},
    {EW_DO_CANCEL, "", "nothing is running", 0},
    {EW_DO_REDRAW, "", NULL, EW_TODO_REDRAW},
    {EW_DO_SUSPEND, "", NULL, EW_TODO_SUSPEND},
    {EW_DO_CLOSE, "", NULL, EW_TODO_QUIT},
    {EW_DO_QUIT, "", NULL, EW_TODO_QUIT},
};

static bool does_it(const struct exercise *x)
{
    struct ew_headless *h = open_toy(2, 8, false, 24, 80);
    struct ew_app *a = ew_headless_app(h);
    struct ew_buf before = {0};
    struct ew_buf after = {0};
    ew_headless_keys(h, x->before);
    a->todo = 0;
    ew_surface_dump(ew_headless_screen(h), &before);
    ew_app_act(a, x->action);
    ew_headless_keys(h, "");
    ew_headless_resize(h, 24, 80); /* the worker answers */
    ew_surface_dump(ew_headless_screen(h), &after);
    const char *old = ew_buf_str(&before);
    const char *new = ew_buf_str(&after);
    bool ok = x->todo   ? (a->todo & x->todo) != 0
              : x->text ? strstr(new, x->text) && !strstr(old, x->text)
                        : strcmp(old, new) != 0;
    if (!ok) {
        print_error("%s after '%s'\n%s\n", ew_action_info(x->action)->name,
                    x->before, new);
    }
    ew_buf_finish(&before);
    ew_buf_finish(&after);
    ew_headless_destroy(h);
    ew_theme_set(EW_THEME_DARK);
    return ok;
}

static void every_action_is_exercised(void **state)
{
    (void)state;
    int wrong = 0;
    for (int action = 0; action < EW_N_ACTIONS; action++) {
        int n = 0;
        for (size_t i = 0; i < EW_ARRAY_LEN(exercises); i++) {
            if ((int)exercises[i].action == action) {
                n++;
                wrong += !does_it(&exercises[i]);
            }
        }
        if (n == 0) {
            print_error("%s is not exercised\n",
                        ew_action_info((enum ew_action)action)->name);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* By key and by name the same action is meant. */
static void every_action_has_a_key_of_its_own(void **state)
{
    (void)state;
    struct ew_keymap *map = ew_keymap_create();
    for (int action = 0; action < EW_N_ACTIONS; action++) {
        const struct ew_action_info *info =
            ew_action_info((enum ew_action)action);
        const char *keys = info->keys;
        while (*keys) {
            keys += strspn(keys, " ");
            assert_int_equal(ew_keymap_action(map, ew_key_parse(&keys)),
                             action);
        }
        assert_int_equal(ew_action_find(info->name), action);
    }
    ew_keymap_destroy(map);
}

/* ---- what next ---- */

static void the_next_edge_gains_what_it_says(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, ":view trade-off<Enter>."); /* all are known */
    double first = f->app->now.logit_diff;
    uint32_t edge = ew_rows_edge(f->app);
    double effect = (double)f->app->edges[edge].effect;
    for (uint32_t e = 0; e < ew_graph_n_edges(f->app->graph); e++) {
        assert_true((double)f->app->edges[e].effect >= effect);
    }
    ew_headless_keys(f->h, "<Space>");
    assert_float_equal(f->app->now.logit_diff, first - effect, 1e-5);
}

/* Space after . flips the edge that the message names, filter or not. */
static void the_next_edge_is_not_filtered_away(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "<Tab>");
    uint32_t edge = ew_rows_edge(f->app); /* the most needed */
    ew_headless_keys(f->h, "<Space>\\kept<Enter>.");
    assert_int_equal(ew_rows_edge(f->app), edge);
    assert_null(f->app->filter);
    assert_true(screen_has(f, "filter off, add"));
    ew_headless_keys(f->h, "<Space>");
    assert_true(ew_edge_kept(f->app, edge));
}

static void a_decision_is_not_filtered_away(void **state)
{
    struct fixture *f = *state;
    struct ew_acdc_view *v = &f->app->acdc;
    ew_headless_keys(f->h, "A\\kept<Enter>:view acdc<Enter>");
    size_t i = 0;
    while (v->log[i].kept) {
        i++;
    }
    v->list.cur = (long)(v->n_log - 1 - i); /* newest first */
    ew_headless_keys(f->h, "<Enter>");
    assert_int_equal(ew_rows_edge(f->app), v->log[i].edge);
    assert_true(screen_has(f, "filter off"));
}

static void a_complement_twice_is_the_circuit(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "/a0.h1<Enter>x");
    struct ew_bitset *kept = ew_bitset_clone(ew_circuit_kept(f->app->circuit));
    ew_headless_keys(f->h, "~");
    assert_int_equal(ew_circuit_n_kept(f->app->circuit), 25);
    ew_headless_keys(f->h, "~");
    assert_true(ew_bitset_equal(kept, ew_circuit_kept(f->app->circuit)));
    ew_bitset_destroy(kept);
}

/* The joint effect is what cutting them all at once then does. */
static void the_joint_effect_is_what_comes(void **state)
{
    struct fixture *f = *state;
    double before = f->app->now.logit_diff;
    ew_headless_keys(f->h, "<Tab>mmmJ");
    double joint = 0;
    const char *at = strstr(f->app->notice, "flipped: LD ");
    assert_non_null(at);
    joint = atof(at + strlen("flipped: LD "));
    ew_headless_keys(f->h, "<Space>");
    assert_float_equal(f->app->now.logit_diff - before, joint, 0.006);
}

/* ---- snapshots and sessions ---- */

static void a_snapshot_is_gone_back_to(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "/a0.h1<Enter>x:snapshot one<Enter>u");
    ew_headless_keys(f->h, "/a0.h2<Enter>x:snapshot two<Enter>");
    struct ew_bitset *one =
        ew_kept_at(f->app, f->app->session.items[0].revision);
    assert_int_equal(ew_bitset_count(one), 280);
    ew_headless_keys(f->h, ":compare two<Enter>");
    assert_true(screen_has(f, "vs two"));
    ew_headless_keys(f->h, "f");
    assert_true(screen_has(f, "only in one: 25"));
    assert_true(screen_has(f, "only in two: 25"));
    ew_headless_keys(f->h, "l");
    assert_true(screen_has(f, "only in two: 25, from "));
    ew_headless_keys(f->h, "hhh");
    assert_false(screen_has(f, "from "));
    ew_headless_keys(f->h, "g<Enter>");
    assert_true(ew_bitset_equal(one, ew_circuit_kept(f->app->circuit)));
    ew_bitset_destroy(one);
}

/* Taken before the worker has answered, it gets its figures when it does. */
static void a_snapshot_learns_its_figures(void **state)
{
    struct fixture *f = *state;
    ew_headless_keys(f->h, "/a0.h1<Enter>");
    ew_headless_keys_unanswered(f->h, "x:snapshot one<Enter>");
    const struct ew_snapshot *snap = &f->app->session.items[0];
    assert_true(isnan(snap->score.logit_diff));
    ew_headless_resize(f->h, 24, 80); /* the worker answers */
    assert_true(snap->score.logit_diff == f->app->now.logit_diff);
    assert_false(isnan(snap->score.logit_diff));
}

static void a_session_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    char dir[] = "/tmp/edgewise-session-XXXXXX";
    assert_non_null(mkdtemp(dir));
    ew_headless_keys(f->h, "/a0.h1<Enter>:group mine red<Enter>x");
    ew_headless_keys(f->h, ":snapshot one<Enter>:threshold 0.3<Enter>A");
    ew_pane_put(f->app, EW_PANE_NODES, &ew_view_journal);
    ew_pane_put(f->app, EW_PANE_VIEW, &ew_view_edges); /* they change places */
    f->app->session.items[0].score.docstring = 0.625;
    f->app->session.items[0].score.prob_diff = 0.125;
    f->app->session.items[0].score.kl_mib = 0.25;
    assert_true(ew_session_save(f->app, dir, &err));
    struct ew_graph_spec spec = {.n_layers = 2, .n_heads = 8};
    struct ew_tui_params params = {.engine = {.kind = EW_ENGINE_TOY},
                                   .resume = dir};
    struct ew_headless *h =
        ew_headless_create(&params, ew_graph_create(&spec, &err), 24, 80, &err);
    if (!h) {
        fail_msg("%s", err.message);
    }
    struct ew_app *b = ew_headless_app(h);
    assert_true(ew_bitset_equal(ew_circuit_kept(b->circuit),
                                ew_circuit_kept(f->app->circuit)));
    assert_int_equal(ew_circuit_n_revisions(b->circuit),
                     ew_circuit_n_revisions(f->app->circuit));
    assert_string_equal(b->task_name, "induction:n=4");
    assert_float_equal(b->acdc.threshold, 0.3, 1e-12);
    assert_float_equal(b->now.logit_diff, f->app->now.logit_diff, 1e-6);
    assert_int_equal(b->session.n, 1);
    assert_int_equal(b->session.items[0].n_kept, 280);
    assert_memory_equal(&b->session.items[0].score,
                        &f->app->session.items[0].score,
                        sizeof(struct ew_score));
    assert_string_equal(ew_groups_get(b->groups, 0)->name, "mine");
    for (int i = 0; i < EW_N_PANES; i++) {
        assert_int_equal(b->view[i], f->app->view[i]);
    }
    ew_headless_keys(h, "u"); /* the journal came along */
    assert_int_equal(ew_circuit_n_kept(b->circuit), 280);
    ew_headless_destroy(h);
    params.resume = "/nonexistent";
    assert_null(ew_headless_create(&params, ew_graph_create(&spec, &err), 24,
                                   80, &err));
    assert_non_null(strstr(err.message, "no session"));
    char command[96];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* The older session's files stay when the new ones cannot be written. */
static void a_save_that_fails_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    char *dir = temp_dir();
    char *labels = ew_xasprintf("%s/labels.json", dir);
    char *circuit = ew_xasprintf("%s/circuit.json", dir);
    ew_headless_keys(f->h, "/a0.h1<Enter>:group mine red<Enter>x");
    assert_true(ew_session_save(f->app, dir, &err));
    assert_int_equal(unlink(circuit), 0);
    assert_int_equal(mkdir(circuit, 0700), 0); /* no file can come there */
    assert_false(ew_session_save(f->app, dir, &err));
    assert_int_equal(access(labels, F_OK), 0);
    assert_int_equal(rmdir(circuit), 0);
    ew_groups_destroy(f->app->groups);
    f->app->groups = NULL;
    assert_true(ew_session_save(f->app, dir, &err));
    assert_int_not_equal(access(labels, F_OK), 0);
    free(labels);
    free(circuit);
    temp_dir_remove(dir);
}

/* All before a run, and what the run has cut so far. */
static void a_session_is_saved_in_the_middle_of_a_run(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    char *dir = temp_dir();
    ew_headless_keys(f->h, "/a0.h1<Enter>x");
    ew_headless_keys_unanswered(f->h, "A");
    struct ew_ev_acdc *e =
        ew_xcalloc(1, sizeof(*e) + sizeof(struct ew_acdc_decision));
    *e = (struct ew_ev_acdc){.next = 1, .run = true, .n = 1};
    assert_true(ew_edge_kept(f->app, 0));
    e->items[0] = (struct ew_acdc_decision){.edge = 0, .effect = -1.0};
    struct ew_message m = {EW_EV_ACDC, f->app->gen, e, NULL};
    ew_app_message(f->app, &m);
    ew_message_finish(&m);
    setenv("XDG_STATE_HOME", dir, 1);
    f->app->model_path = ew_xstrdup("toy"); /* else nothing is saved */
    ew_session_autosave(f->app, true);
    char *path = ew_xasprintf("%s/edgewise/sessions/last/circuit.json", dir);
    struct ew_circuit *c = ew_circuit_load(path, f->app->graph, NULL, &err);
    assert_non_null(c);
    assert_int_equal(ew_circuit_n_revisions(c), 3);
    assert_int_equal(ew_circuit_n_kept(c), 279);
    assert_false(ew_circuit_has(c, 0));
    ew_circuit_destroy(c);
    free(path);
    temp_dir_remove(dir);
}

static void the_script_tells_what_was_done(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    struct ew_buf text = {0};
    char dir[] = "/tmp/edgewise-script-XXXXXX";
    char keys[128];
    assert_non_null(mkdtemp(dir));
    ew_headless_keys(f->h,
                     "<Tab><Space>u<S-Tab>/a0.h1<Enter>x<Space><Tab>j<Space>");
    snprintf(keys, sizeof(keys), ":script %s/c.sh<Enter>", dir);
    ew_headless_keys(f->h, keys);
    snprintf(keys, sizeof(keys), "%s/c.sh", dir);
    assert_true(ew_file_read(&text, keys, &err));
    const char *s = ew_buf_str(&text);
    assert_non_null(strstr(s, "knock out a0.h1\nset -- \"$@\" --cut 'a0.h1->"));
    assert_non_null(strstr(s, "restore a0.h1\nset -- \"$@\" --keep 'a0.h1->"));
    assert_non_null(strstr(s, "--task 'induction:n=4' --metric logit-diff"));
    assert_null(strstr(s, "# 1:")); /* undone: another branch */
    assert_non_null(strstr(s, "edgewise eval 'toy' \"$@\" -o \"$out\"\n"));
    ew_buf_finish(&text);
    snprintf(keys, sizeof(keys), "rm -rf '%s'", dir);
    assert_int_equal(system(keys), 0);
}

static void themes_differ_and_are_whole(void **state)
{
    (void)state;
    int dark[EW_N_INKS];
    for (int i = 0; i < EW_N_INKS; i++) {
        dark[i] = ew_ink_color((enum ew_ink)i, 256);
    }
    for (int t = EW_THEME_LIGHT; t <= EW_THEME_SAFE; t++) {
        int changed = 0;
        ew_theme_set((enum ew_theme)t);
        for (int i = 0; i < EW_N_INKS; i++) {
            int color = ew_ink_color((enum ew_ink)i, 256);
            assert_true(color >= -1 && color < 256);
            changed += color != dark[i];
        }
        assert_true(changed > 3);
    }
    ew_theme_set(EW_THEME_DARK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_action_is_exercised),
        cmocka_unit_test(every_action_has_a_key_of_its_own),
        TEST(the_next_edge_gains_what_it_says),
        TEST(the_next_edge_is_not_filtered_away),
        TEST(a_decision_is_not_filtered_away),
        TEST(a_complement_twice_is_the_circuit),
        TEST(the_joint_effect_is_what_comes),
        TEST(a_snapshot_is_gone_back_to),
        TEST(a_snapshot_learns_its_figures),
        TEST(a_session_comes_back_as_it_was),
        TEST(a_save_that_fails_loses_nothing),
        TEST(a_session_is_saved_in_the_middle_of_a_run),
        TEST(the_script_tells_what_was_done),
        cmocka_unit_test(themes_differ_and_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
