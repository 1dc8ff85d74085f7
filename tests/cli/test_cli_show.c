/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise show`: screens of the explorer on the bundled model, without a
 * terminal.
 */
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

static char *shown(const char *const *args)
{
    struct cli_result r = cli_call(args);
    if (r.status != 0) {
        fail_msg("status %d: %s", r.status, r.err);
    }
    char *out = strdup(r.out);
    cli_free(&r);
    return out;
}
#define SHOWN(...) shown((const char *const[]){"show", __VA_ARGS__, NULL})

static void keys_lead_to_a_screen(void **state)
{
    (void)state;
    char *out = SHOWN("--size", "80x24", "--keys", "<Tab><Space>");
    int lines = 0;
    for (const char *p = out; *p; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(lines, 24);
    assert_non_null(strstr(out, "induction-2l"));
    assert_non_null(strstr(out, "304/305 edges"));
    assert_null(strstr(out, "\033")); /* text, and nothing for a terminal */
    free(out);
}

/* The trained model's heads, by their card. */
static void a_head_has_a_card(void **state)
{
    (void)state;
    char *out = SHOWN("--keys", "/a1.h6<Enter>:view head<Enter>");
    assert_non_null(strstr(out, "head a1.h6"));
    assert_non_null(strstr(out, "norm frozen"));
    const char *at = strstr(out, "after it ");
    assert_non_null(at);
    assert_true(atof(at + strlen("after it ")) > 0.5); /* an induction head */
    at = strstr(out, "copies");
    assert_non_null(at);
    assert_true(atof(at + strlen("copies")) > 50);
    free(out);
}

#define CLEAN                                                                 \
    "Then , Gregory and Crystal went to the hospital . Gregory gave a "       \
    "necklace to"
#define CORRUPT                                                               \
    "Then , Anthony and Crystal went to the hospital . Amanda gave a "        \
    "necklace to"

/* A typed pair scores as `eval` scores it, in the circuit there is. */
static void prompts_are_edited(void **state)
{
    (void)state;
    json_t *scores =
        CLI_JSON("eval", "ioi-mini", "--clean", CLEAN, "--corrupt", CORRUPT,
                 "--answer", " Crystal", "--wrong", " Gregory", "--no-bos",
                 "--cut", "a2.h3->logits", "--json");
    char figure[64];
    snprintf(figure, sizeof(figure), "now %.3g",
             json_number_value(json_object_get(scores, "logit_diff")));
    json_decref(scores);
    char *out = SHOWN("ioi-mini", "--size", "80x24", "--keys",
                      "<Tab><Space>p<C-u>" CLEAN "<Tab><C-u>" CORRUPT
                      "<Tab><C-u> Crystal<Tab><C-u> Gregory<Enter>");
    assert_non_null(strstr(out, "typed n=1 no BOS"));
    assert_non_null(strstr(out, "526/527 edges"));
    if (!strstr(out, figure)) {
        fail_msg("no '%s' in\n%s", figure, out);
    }
    free(out);
}

/* What cannot be a task leaves the old one, and the words to be mended. */
static void a_wrong_pair_is_told(void **state)
{
    (void)state;
    char *out = SHOWN("ioi-mini", "--size", "80x24", "--keys",
                      "p<Tab><C-u>shorter<Enter>");
    assert_non_null(strstr(out, "they must be equal"));
    assert_non_null(strstr(out, "corrupted  shorter"));
    assert_non_null(strstr(out, "ioi-acdc"));
    free(out);
}

static void pictures_follow_the_theme(void **state)
{
    (void)state;
    static const char *const themes[][2] = {{"dark", "#16181d"},
                                            {"light", "#ffffff"}};
    for (size_t i = 0; i < EW_ARRAY_LEN(themes); i++) {
        char path[300];
        snprintf(path, sizeof(path), "%s", cli_temp("screen.svg"));
        struct cli_result r =
            CLI("show", "--theme", themes[i][0], "--size", "80x24", "-o", path);
        assert_int_equal(r.status, 0);
        cli_free(&r);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        static char text[1 << 20];
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
        assert_ptr_equal(strstr(text, "<svg "), text);
        assert_non_null(strstr(text, themes[i][1]));
        assert_non_null(strstr(text, "</svg>"));
    }
}

static void groups_come_from_a_file(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof(path), "%s", cli_temp("labels.json"));
    cli_write(path, "{\"groups\": [{\"name\": \"copier\", \"nodes\": "
                    "[\"a1.h6\"]}]}");
    char *out = SHOWN("--labels", path, "--keys", ":view groups<Enter>");
    assert_non_null(strstr(out, "copier"));
    free(out);
}

static void prompts_are_typed(void **state)
{
    (void)state;
    char *out = SHOWN("-m", "induction-2l", "--ascii", "--clean",
                      "alley amber angel alley amber", "--corrupt",
                      "alley amber angel alley ankle", "--answer", " angel",
                      "--wrong", " apple", "--keys", ":view prompts<Enter>f");
    assert_non_null(strstr(out, "typed n=1"));
    for (const char *p = out; *p; p++) {
        assert_true((unsigned char)*p < 0x80);
    }
    free(out);
}

static void what_cannot_be_shown_is_refused(void **state)
{
    (void)state;
    cli_expect_error(CLI("show", "--size", "80"), 2, "COLSxROWS");
    cli_expect_error(CLI("show", "--size", "0x9"), 2, "COLSxROWS");
    cli_expect_error(CLI("show", "/nonexistent"), 3, "/nonexistent");
    cli_expect_error(CLI("show", "-t", "no-such-task"), 3, "no-such-task");
}

int main(void)
{
    const char *assets = getenv("EDGEWISE_ASSETS");
    char config[1024];
    snprintf(config, sizeof(config), "%s/models/induction-2l/config.json",
             assets ? assets : EW_TEST_SOURCE_DIR "/assets");
    ew_test_need(config);
    setenv("XDG_CONFIG_HOME", "/dev/null", 1); /* no files of the user's */
    setenv("XDG_STATE_HOME", "/dev/null", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_lead_to_a_screen),
        cmocka_unit_test(a_head_has_a_card),
        cmocka_unit_test(prompts_are_edited),
        cmocka_unit_test(a_wrong_pair_is_told),
        cmocka_unit_test(pictures_follow_the_theme),
        cmocka_unit_test(groups_come_from_a_file),
        cmocka_unit_test(prompts_are_typed),
        cmocka_unit_test(what_cannot_be_shown_is_refused),
    };
    return cmocka_run_group_tests(tests, cli_share_torch, NULL);
}
