/* SPDX-License-Identifier: Apache-2.0 */
/* Colours of one's own, and what terminals with fewer make of them. */
#include <string.h>

#include "ew_cmocka.h"
#include "palette.h"
#include "theme.h"

static void own_colors_stand_over_every_theme(void **state)
{
    (void)state;
    struct ew_err err = {0};
    assert_true(ew_theme_read("# mine\n"
                              "theme light\n"
                              "kept #ff00aa # pink\n"
                              "border-focus 33\n\n"
                              "value default",
                              "theme.conf", &err));
    assert_int_equal(ew_theme(), EW_THEME_LIGHT);
    for (int theme = 0; theme < EW_N_THEMES; theme++) {
        ew_theme_set((enum ew_theme)theme);
        assert_int_equal(ew_ink_color(EW_R_KEPT, EW_COLORS_RGB), 0xff00aa);
        assert_int_equal(ew_ink_color(EW_R_KEPT, 256), 199); /* ff00af */
        assert_int_equal(ew_ink_color(EW_R_BORDER_FOCUS, 256), 33);
        assert_int_equal(ew_ink_color(EW_R_BORDER_FOCUS, EW_COLORS_RGB),
                         0x0087ff);
        assert_int_equal(ew_ink_color(EW_R_VALUE, 8), -1);
    }
    ew_theme_forget();
    ew_theme_set(EW_THEME_DARK);
    assert_int_equal(ew_ink_color(EW_R_KEPT, 256), 114);
}

static void every_color_is_one_the_terminal_has(void **state)
{
    (void)state;
    static const int sizes[] = {8, 16, 256, EW_COLORS_RGB};
    for (int theme = 0; theme < EW_N_THEMES; theme++) {
        ew_theme_set((enum ew_theme)theme);
        for (int ink = 0; ink < EW_N_INKS; ink++) {
            for (size_t i = 0; i < EW_ARRAY_LEN(sizes); i++) {
                int color = ew_ink_color((enum ew_ink)ink, sizes[i]);
                assert_in_range(color + 1, 0, sizes[i]);
            }
        }
    }
    ew_theme_set(EW_THEME_DARK);
}

static void wrong_lines_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"kept 256", "theme.conf:1: '256' is no colour"},
        {"\nkept #12345", "theme.conf:2: '#12345' is no colour"},
        {"kept #1234567", "is no colour"},
        {"kept -1", "is no colour"},
        {"kept 12x", "is no colour"},
        {"kept", "theme.conf:1: 'kept' has no colour"},
        {"kept 1 2", "theme.conf:1: what is '2'?"},
        {"nothing 1", "theme.conf:1: nothing here is called 'nothing'"},
        {"kep 1", "nothing here is called 'kep'"},
        {"theme night", "theme.conf:1: no theme called 'night'"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(wrong); i++) {
        struct ew_err err = {0};
        assert_false(ew_theme_read(wrong[i].text, "theme.conf", &err));
        assert_int_equal(err.code, EW_ERR_INPUT);
        if (!strstr(err.message, wrong[i].says)) {
            fail_msg("'%s': %s", wrong[i].text, err.message);
        }
    }
    ew_theme_forget();
}

static void nearest_of_a_color_of_the_palette_is_itself(void **state)
{
    (void)state;
    for (int color = 16; color < 256; color++) {
        uint32_t rgb = ew_palette_rgb(color);
        int nearest = ew_palette_nearest(rgb, 256);
        assert_int_equal(ew_palette_rgb(nearest), rgb);
    }
    assert_int_equal(ew_palette_nearest(0x101010, 8), 0);
    assert_int_equal(ew_palette_nearest(0xffffff, 16), 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_colors_stand_over_every_theme),
        cmocka_unit_test(every_color_is_one_the_terminal_has),
        cmocka_unit_test(wrong_lines_are_named),
        cmocka_unit_test(nearest_of_a_color_of_the_palette_is_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
