/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that need no application: layout, keys, cells, filter, figures. */
#include <math.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/tui.h"

#include "canvas.h"
#include "ew_cmocka.h"
#include "figures.h"
#include "filter.h"
#include "keymap.h"
#include "layout.h"
#include "theme.h"

/* ---- layout ---- */

static bool overlap(struct ew_rect a, struct ew_rect b)
{
    return a.rows && b.rows && a.x < b.x + b.cols && b.x < a.x + a.cols &&
           a.y < b.y + b.rows && b.y < a.y + a.rows;
}

static void layout_fills_the_screen_without_overlap(void **state)
{
    (void)state;
    for (int rows = EW_MIN_ROWS; rows <= 80; rows++) {
        for (int cols = EW_MIN_COLS; cols <= 260; cols += 3) {
            struct ew_layout_options o = {.nodes_cols = 42, .nodes_rows = 23};
            struct ew_layout l = ew_layout_make(rows, cols, &o);
            int cells = 4 * cols;
            assert_false(l.too_small);
            for (int p = 0; p < EW_N_PANES; p++) {
                struct ew_rect r = l.pane[p];
                cells += r.rows * r.cols;
                assert_true(r.rows == 0 || (r.rows >= 3 && r.cols >= 20));
                assert_true(r.x >= 0 && r.x + r.cols <= cols);
                for (int q = 0; q < p; q++) {
                    assert_false(overlap(r, l.pane[q]));
                }
            }
            assert_int_equal(cells, rows * cols);
        }
    }
}

static void layout_says_when_there_is_no_room(void **state)
{
    (void)state;
    struct ew_layout_options o = {.nodes_cols = 42};
    assert_true(ew_layout_make(16, 80, &o).too_small);
    assert_true(ew_layout_make(24, 59, &o).too_small);
    assert_false(ew_layout_make(17, 60, &o).too_small);
}

static void zoomed_pane_has_all_the_room(void **state)
{
    (void)state;
    struct ew_layout_options o = {
        .nodes_cols = 42, .zoomed = true, .zoomed_pane = EW_PANE_VIEW};
    struct ew_layout l = ew_layout_make(24, 80, &o);
    assert_int_equal(l.pane[EW_PANE_VIEW].rows, 20);
    assert_int_equal(l.pane[EW_PANE_VIEW].cols, 80);
    assert_int_equal(l.pane[EW_PANE_NODES].rows, 0);
}

/* ---- keymap ---- */

static void every_action_has_a_key_and_help(void **state)
{
    (void)state;
    struct ew_keymap *map = ew_keymap_create();
    for (int i = 0; i < EW_N_ACTIONS; i++) {
        const struct ew_action_info *info = ew_action_info((enum ew_action)i);
        struct ew_buf keys = {0};
        ew_keymap_print(map, (enum ew_action)i, false, &keys);
        assert_true(keys.len > 0);
        assert_true(strlen(info->help) > 3);
        assert_int_equal(ew_action_find(info->name), i);
        ew_buf_finish(&keys);
    }
    ew_keymap_destroy(map);
}

static uint32_t parse(const char *text)
{
    return ew_key_parse(&text);
}

static void keys_are_read_and_written(void **state)
{
    (void)state;
    assert_int_equal(parse("j"), 'j');
    assert_int_equal(parse("<Space>"), ' ');
    assert_int_equal(parse("<C-r>"), 0x12);
    assert_int_equal(parse("<F10>"), EW_KEY_F1 + 9);
    assert_int_equal(parse("<S-Tab>"), EW_KEY_S_TAB);
    assert_int_equal(parse("<"), '<');
    assert_int_equal(parse("é"), 0xe9);
    struct ew_buf out = {0};
    ew_key_print(0x12, &out);
    assert_string_equal(ew_buf_str(&out), "^R");
    ew_buf_finish(&out);
}

static void the_users_keys_replace_the_defaults(void **state)
{
    (void)state;
    struct ew_keymap *map = ew_keymap_create();
    struct ew_err err = {0};
    assert_true(ew_keymap_read(map,
                               "# mine\n"
                               "undo U\n"
                               "knock-out <C-k> x\n",
                               "keys.conf", &err));
    assert_int_equal(ew_keymap_action(map, 'U'), EW_DO_UNDO);
    assert_int_equal(ew_keymap_action(map, 'u'), EW_DO_NONE);
    assert_int_equal(ew_keymap_action(map, 0x0b), EW_DO_KNOCK_OUT);
    assert_false(ew_keymap_read(map, "\nfly f\n", "keys.conf", &err));
    assert_non_null(strstr(err.message, "keys.conf:2"));
    assert_false(ew_keymap_read(map, "undo <Nokey>\n", "k", &err));
    ew_keymap_destroy(map);
}

static void the_man_pages_list_has_every_action(void **state)
{
    (void)state;
    struct ew_buf out = {0};
    ew_tui_print_keys(&out);
    for (int i = 0; i < EW_N_ACTIONS; i++) {
        assert_non_null(
            strstr(ew_buf_str(&out), ew_action_info((enum ew_action)i)->name));
    }
    ew_buf_finish(&out);
}

/* Made from the action table; a change of that leaves the text to put in. */
static void the_man_page_has_that_list(void **state)
{
    (void)state;
    struct ew_buf out = {0};
    ew_tui_print_keys(&out);
    struct ew_err err = {0};
    struct ew_buf page = {0};
    assert_true(
        ew_file_read(&page, EW_TEST_SOURCE_DIR "/man/edgewise.1", &err));
    if (!strstr(ew_buf_str(&page), ew_buf_str(&out))) {
        static const char wanted[] = EW_TEST_BUILD_DIR "/keys.mdoc";
        FILE *f = fopen(wanted, "w");
        assert_non_null(f);
        fputs(ew_buf_str(&out), f);
        fclose(f);
        fail_msg("man/edgewise.1, KEYS: put in what %s says", wanted);
    }
    ew_buf_finish(&page);
    ew_buf_finish(&out);
}

/* ---- surface ---- */

static const char *row_text(const struct ew_surface *s, struct ew_buf *out)
{
    ew_buf_clear(out);
    ew_surface_text(s, out);
    return ew_buf_str(out);
}

static void hostile_text_stays_harmless(void **state)
{
    (void)state;
    struct ew_buf out = {0};
    struct ew_surface *s = ew_surface_create(1, 20, false);
    struct ew_area a = ew_area_all(s);
    ew_put(a, 0, 0, ew_style(EW_R_NORMAL),
           "a\033[2Jb\tc\xff"
           "d\xc2\x9b");
    assert_string_equal(row_text(s, &out), "a?[2Jb?c?d?\n");
    ew_surface_destroy(s);
    ew_buf_finish(&out);
}

static void wide_characters_keep_columns(void **state)
{
    (void)state;
    struct ew_buf out = {0};
    struct ew_surface *s = ew_surface_create(1, 8, false);
    struct ew_area a = ew_area_all(s);
    assert_int_equal(ew_put(a, 0, 0, ew_style(EW_R_NORMAL), "日本"), 4);
    ew_put(a, 0, 4, ew_style(EW_R_NORMAL), "e\xcc\x81x");
    assert_string_equal(row_text(s, &out), "日本e\xcc\x81x\n");
    ew_put(a, 0, 1, ew_style(EW_R_NORMAL), "!"); /* over a right half */
    assert_string_equal(row_text(s, &out), " !本e\xcc\x81x\n");
    ew_put_n(a, 0, 0, 4, ew_style(EW_R_NORMAL), "日本語");
    assert_int_equal(ew_surface_at(s, 0, 2)->width, 1);
    ew_surface_destroy(s);
    ew_buf_finish(&out);
}

static void an_ascii_surface_holds_only_ascii(void **state)
{
    (void)state;
    struct ew_surface *s = ew_surface_create(3, 12, true);
    struct ew_buf out = {0};
    struct ew_area in = ew_frame(ew_area_all(s), true, "日本", "");
    ew_put(in, 0, 0, ew_style(EW_R_NORMAL), ew_glyph(in, EW_G_KEPT));
    for (const char *p = row_text(s, &out); *p; p++) {
        assert_true((unsigned char)*p < 0x80);
    }
    ew_surface_destroy(s);
    ew_buf_finish(&out);
}

static void drawing_outside_is_clipped(void **state)
{
    (void)state;
    struct ew_surface *s = ew_surface_create(4, 10, false);
    struct ew_area a = ew_area_sub(ew_area_all(s), 1, 2, 2, 5);
    ew_put(a, 0, -3, ew_style(EW_R_NORMAL), "abcdefghijklmnop");
    ew_put(a, 9, 0, ew_style(EW_R_NORMAL), "x");
    ew_put(a, -1, 0, ew_style(EW_R_NORMAL), "x");
    ew_put(a, 0, 90, ew_style(EW_R_NORMAL), "x");
    ew_fill(a, -5, -5, 100, 100, ew_style(EW_R_NORMAL));
    ew_tint(a, -5, -5, 100, 100, EW_R_SELECT_BG);
    assert_int_equal(ew_surface_at(s, 0, 0)->style.bg, 0);
    assert_int_equal(ew_surface_at(s, 1, 2)->style.bg, EW_R_SELECT_BG);
    assert_int_equal(ew_surface_at(s, 1, 7)->style.bg, 0);
    struct ew_canvas *c = ew_canvas_create(2, 5);
    ew_canvas_curve(c, -9, -9, 99, 99, EW_R_DIM);
    ew_canvas_show(c, a);
    ew_canvas_destroy(c);
    ew_surface_destroy(s);
}

static void words_longer_than_a_line_are_broken(void **state)
{
    (void)state;
    struct ew_buf out = {0};
    struct ew_surface *s = ew_surface_create(4, 12, false);
    struct ew_style style = ew_style(EW_R_NORMAL);
    int n = ew_put_words(ew_area_all(s), 0, 0, 10, style,
                         "of /models/somewhere/far");
    assert_int_equal(n, 4);
    assert_string_equal(row_text(s, &out), "of\n/models/so\nmewhere/fa\nr\n");
    ew_surface_clear(s);
    n = ew_put_words(ew_area_all(s), 0, 0, 10, style, "éééééééé");
    assert_int_equal(n, 2);
    assert_string_equal(row_text(s, &out), "ééééé\nééé\n\n\n");
    ew_surface_clear(s);
    ew_put_words(ew_area_all(s), 0, 0, 9, style, "éééééééé");
    assert_string_equal(row_text(s, &out), "éééé\néééé\n\n\n");
    ew_surface_destroy(s);
    ew_buf_finish(&out);
}

/* ---- filter ---- */

static bool passes(const char *text, const struct ew_edge_facts *facts)
{
    struct ew_err err = {0};
    struct ew_filter *f = ew_filter_parse(text, &err);
    assert_non_null(f);
    bool ok = ew_filter_match(f, facts);
    ew_filter_destroy(f);
    return ok;
}

static void filter_words_hold_or_not(void **state)
{
    (void)state;
    char names[][16] = {"Previous token", "prv", "induction", "IH"};
    const struct ew_group previous = {.name = names[0],
                                      .short_name = names[1]};
    const struct ew_group induction = {.name = names[2],
                                       .short_name = names[3]};
    struct ew_edge_facts e = {.from_group = &previous,
                              .to_group = &induction,
                              .from = "a0.h3",
                              .to = "a1.h2<q>",
                              .to_kind = EW_NODE_Q,
                              .kept = true,
                              .effect = -0.25};
    static const struct {
        const char *text;
        bool passes;
    } cases[] = {
        {"", true},
        {"kept", true},
        {"cut", false},
        {"!cut", true},
        {"from:a0", true},
        {"from:a1", false},
        {"to:h2", true},
        {"kind:q", true},
        {"kind:k", false},
        {"kind:direct", false},
        {"|effect|>0.1", true},
        {"effect>0.1", false},
        {"effect<=-0.25", true},
        {"a0.h3->a1", true},
        {"kept kind:q", true},
        {"kept kind:v", false},
        {"known", true},
        {"group:previous", true},
        {"group:IH", true},
        {"group:mover", false},
        {"!known", false},
        {"marked", false},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        if (passes(cases[i].text, &e) != cases[i].passes) {
            fail_msg("filter '%s'", cases[i].text);
        }
    }
    e.effect = NAN;
    assert_false(passes("effect>-9", &e));
    assert_false(passes("effect<9", &e));
}

static void filter_errors_say_what_is_wrong(void **state)
{
    (void)state;
    struct ew_err err = {0};
    assert_null(ew_filter_parse("effect=3", &err));
    assert_non_null(strstr(err.message, "effect"));
    assert_null(ew_filter_parse("|effect|>lots", &err));
    assert_non_null(strstr(err.message, "lots"));
    assert_null(ew_filter_parse("kind:x", &err));
    assert_null(ew_filter_parse("form:a0", &err)); /* no name has a colon */
    assert_non_null(strstr(err.message, "form:a0"));
}

/* ---- figures and colours ---- */

static void figures_are_short_and_signed(void **state)
{
    (void)state;
    char out[EW_FIGURE_SIZE];
    assert_string_equal(ew_figure(out, 14.84), "14.8");
    assert_string_equal(ew_figure(out, NAN), "-");
    assert_string_equal(ew_figure(out, 0.0), "0");
    assert_string_equal(ew_figure_signed(out, 0.4123), "+0.412");
    assert_string_equal(ew_figure_signed(out, -2.5), "-2.50");
    assert_true(ew_without_noise(-3e-8, 1.0) == 0.0);
    assert_true(ew_without_noise(-3e-8, NAN) == 0.0);
    assert_true(ew_without_noise(2e-6, 1.0) == 2e-6);
    assert_true(ew_without_noise(2e-6, 14.8) == 0.0);
    assert_true(isnan(ew_without_noise(NAN, 1.0)));
    assert_string_equal(ew_figure_count(out, 32923), "32,923");
    assert_string_equal(ew_figure_count(out, 7), "7");
    assert_string_equal(ew_figure_percent(out, 0.914), "91%");
    assert_string_equal(ew_figure_percent(out, NAN), "-");
    assert_string_equal(ew_figure_time(out, 3725), "1:02:05");
    for (double x = 1e-9; x < 1e9; x *= 1.7) {
        assert_true(strlen(ew_figure_signed(out, -x)) <= 8);
    }
}

static void ramps_know_sign_and_size(void **state)
{
    (void)state;
    assert_int_equal(ew_ramp_step(1.0, 1.0), 4);
    assert_int_equal(ew_ramp_step(-1.0, 1.0), -4);
    assert_int_equal(ew_ramp_step(0.001, 1.0), 0);
    assert_int_equal(ew_ramp_step(NAN, 1.0), 0);
    assert_int_equal(ew_ramp_step(1.0, 0.0), 0);
    assert_int_equal(ew_ramp_text(-4), EW_R_NEG4);
    assert_int_equal(ew_ramp_text(4), EW_R_POS4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_fills_the_screen_without_overlap),
        cmocka_unit_test(layout_says_when_there_is_no_room),
        cmocka_unit_test(zoomed_pane_has_all_the_room),
        cmocka_unit_test(every_action_has_a_key_and_help),
        cmocka_unit_test(keys_are_read_and_written),
        cmocka_unit_test(the_users_keys_replace_the_defaults),
        cmocka_unit_test(the_man_pages_list_has_every_action),
        cmocka_unit_test(the_man_page_has_that_list),
        cmocka_unit_test(hostile_text_stays_harmless),
        cmocka_unit_test(wide_characters_keep_columns),
        cmocka_unit_test(an_ascii_surface_holds_only_ascii),
        cmocka_unit_test(drawing_outside_is_clipped),
        cmocka_unit_test(words_longer_than_a_line_are_broken),
        cmocka_unit_test(filter_words_hold_or_not),
        cmocka_unit_test(filter_errors_say_what_is_wrong),
        cmocka_unit_test(figures_are_short_and_signed),
        cmocka_unit_test(ramps_know_sign_and_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
