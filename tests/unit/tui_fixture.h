/* SPDX-License-Identifier: Apache-2.0 */
/* The explorer on the toy engine, opened and closed around each test. */
#ifndef EW_TUI_FIXTURE_H
#define EW_TUI_FIXTURE_H

#include <string.h>

#include "edgewise/mem.h"

#include "ew_cmocka.h"
#include "headless.h"

struct fixture {
    struct ew_headless *h;
    struct ew_app *app;
};

static struct ew_headless *open_toy(int layers, int heads, bool mlp, int rows,
                                    int cols)
{
    setenv("XDG_CONFIG_HOME", "/dev/null", 1); /* no files of the user's */
    setenv("XDG_STATE_HOME", "/dev/null", 1);
    struct ew_err err = {0};
    struct ew_graph_spec spec = {
        .n_layers = layers, .n_heads = heads, .has_mlp = mlp};
    struct ew_tui_params params = {
        .model = "toy",
        .task = "induction:n=4",
        .engine = {.kind = EW_ENGINE_TOY},
    };
    struct ew_headless *h = ew_headless_create(
        &params, ew_graph_create(&spec, &err), rows, cols, &err);
    if (!h) {
        fail_msg("%s", err.message);
    }
    return h;
}

static int setup(void **state)
{
    struct fixture *f = ew_xcalloc(1, sizeof(*f));
    f->h = open_toy(2, 8, false, 24, 80);
    f->app = ew_headless_app(f->h);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ew_headless_destroy(f->h);
    free(f);
    return 0;
}

static bool screen_has(struct fixture *f, const char *text)
{
    struct ew_buf out = {0};
    ew_surface_text(ew_headless_screen(f->h), &out);
    bool found = strstr(ew_buf_str(&out), text) != NULL;
    if (!found) {
        print_message("%s", ew_buf_str(&out));
    }
    ew_buf_finish(&out);
    return found;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
