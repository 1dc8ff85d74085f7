/* SPDX-License-Identifier: Apache-2.0 */
/* Joining and splitting paths, and where the program finds its own files. */
#include <string.h>

#include "edgewise/path.h"

#include "ew_cmocka.h"

static void check_and_free(char *got, const char *expected)
{
    assert_string_equal(got, expected);
    free(got);
}

static void joining_puts_one_slash(void **state)
{
    (void)state;
    check_and_free(ew_path_join("a", "b"), "a/b");
    check_and_free(ew_path_join("a/", "b"), "a/b");
    check_and_free(ew_path_join("/", "b"), "/b");
}

static void base_and_extension(void **state)
{
    (void)state;
    assert_string_equal(ew_path_base("a/b/c.svg"), "c.svg");
    assert_string_equal(ew_path_base("c"), "c");
    assert_string_equal(ew_path_base("a/"), "");
    assert_string_equal(ew_path_ext("a/b.c/x.tar.gz"), "gz");
    assert_string_equal(ew_path_ext("a/b.c/x"), "");
    assert_string_equal(ew_path_ext("/home/.edgewise"), "");
    assert_string_equal(ew_path_ext("x."), "");
}

static void kinds_of_paths(void **state)
{
    (void)state;
    assert_true(ew_path_is_dir(EW_TEST_SOURCE_DIR));
    assert_false(ew_path_is_file(EW_TEST_SOURCE_DIR));
    assert_true(ew_path_is_file(EW_TEST_SOURCE_DIR "/meson.build"));
    assert_false(ew_path_is_dir("/nonexistent"));
    assert_false(ew_path_is_file("/nonexistent"));
}

static void the_build_tree_uses_the_source_tree(void **state)
{
    (void)state;
    unsetenv("EDGEWISE_ASSETS");
    char *path = ew_asset_path("models");
    check_and_free(path, EW_TEST_SOURCE_DIR "/assets/models");
    assert_null(ew_asset_path("no/such/asset"));
}

static void the_environment_comes_first(void **state)
{
    (void)state;
    setenv("EDGEWISE_ASSETS", EW_TEST_SOURCE_DIR "/src", 1);
    check_and_free(ew_asset_path("util"), EW_TEST_SOURCE_DIR "/src/util");
    /* what is not there is looked for in the other places */
    check_and_free(ew_asset_path("models"),
                   EW_TEST_SOURCE_DIR "/assets/models");
    setenv("EDGEWISE_MODULES", EW_TEST_SOURCE_DIR "/src/util", 1);
    check_and_free(ew_module_path("path.c"),
                   EW_TEST_SOURCE_DIR "/src/util/path.c");
    assert_null(ew_module_path("no-such-module.so"));
    unsetenv("EDGEWISE_ASSETS");
}

static void xdg_folders(void **state)
{
    (void)state;
    setenv("HOME", "/home/u", 1);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_STATE_HOME");
    setenv("XDG_CACHE_HOME", "relative/is/ignored", 1);
    check_and_free(ew_xdg_path(EW_XDG_CONFIG, "keys.conf"),
                   "/home/u/.config/edgewise/keys.conf");
    check_and_free(ew_xdg_path(EW_XDG_STATE, "log"),
                   "/home/u/.local/state/edgewise/log");
    check_and_free(ew_xdg_path(EW_XDG_CACHE, "x"), "/home/u/.cache/edgewise/x");
    setenv("XDG_CACHE_HOME", "/var/c", 1);
    check_and_free(ew_xdg_path(EW_XDG_CACHE, "x"), "/var/c/edgewise/x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joining_puts_one_slash),
        cmocka_unit_test(base_and_extension),
        cmocka_unit_test(kinds_of_paths),
        cmocka_unit_test(the_build_tree_uses_the_source_tree),
        cmocka_unit_test(the_environment_comes_first),
        cmocka_unit_test(xdg_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
