/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole screens, compared with the files beside this one: the characters, a
 * letter for the style of every cell, and what the letters mean. Made on the
 * toy engine, which gives the same numbers everywhere. After a change that is
 * meant, run it with EDGEWISE_GOLDEN=write and read the difference.
 */
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/mem.h"

#include "app.h"
#include "ew_cmocka.h"
#include "headless.h"

struct screen {
    const char *name; /* file NAME.screen */
    int rows, cols;
    const char *keys;
    bool large; /* 12 layers, 12 heads, MLPs; else 2 layers, 8 heads */
    bool ascii;
};

/* A view in each of the two panes that hold any, the cursor in the third. */
#define TWO(first, second)                                                     \
    "<S-Tab>:view " first "<Enter><S-Tab>:view " second "<Enter>"
#define MARKS                                                                  \
    "/a0.h1<Enter>x:snapshot one<Enter>u/a0.h2<Enter>x:snapshot two<Enter>"    \
    ":compare<Enter>/a0.h1<Enter>"

static const struct screen screens[] = {
    {"start-80x24", 24, 80, "", false, false},
    {"start-120x40", 40, 120, "", false, false},
    {"start-200x60", 60, 200, "", false, false},
    {"start-60x17", 17, 60, "", false, false},
    {"start-ascii", 24, 80, "", false, true},
    {"edges-80x24", 24, 80, "jjj<Tab>jj", false, false},
    {"edge-cut-80x24", 24, 80, "<Tab>jj<Space>", false, false},
    {"edges-out-120x40", 40, 120, "/a0.h2<Enter>o<Tab>jj", false, false},
    {"tree-unfolded-80x24", 24, 80, "jjj*j", false, false},
    {"tree-large-80x24", 24, 80, "tjj*G", true, false},
    {"tree-large-120x40", 40, 120, "tjj*jjj", true, false},
    {"tree-large-60x17", 17, 60, "t*", true, false},
    {"tree-kept-80x24", 24, 80, "tww", true, false},
    {"tree-attends-80x24", 24, 80, "twww", true, false},
    {"filter-80x24", 24, 80, "jj\\|effect|>0.2 kind:q<Enter>", false, false},
    {"knock-out-80x24", 24, 80, "/a0.h4<Enter>x", false, false},
    {"pinned-80x24", 24, 80, "=/a0.h4<Enter>x/logits<Enter>", false, false},
    {"pinned-120x40", 40, 120,
     "=/a0.h4<Enter>:group mine green<Enter>x/logits<Enter>www", false, false},
    {"acdc-step-120x40", 40, 120, "aaaaaaaaaa", false, false},
    {"acdc-doubt-120x40", 40, 120, "aD<S-Tab>f", false, false},
    {"acdc-back-80x24", 24, 80, "aaaa!ab:view acdc<Enter>", false, false},
    {"acdc-run-80x24", 24, 80, "A:view acdc<Enter>", false, false},
    {"acdc-run-120x40", 40, 120, "A", false, false},
    {"acdc-run-200x60", 60, 200, "A/a0.h5<Enter>o", false, false},
    {"trade-off-80x24", 24, 80, ":view trade-off<Enter>f", false, false},
    {"trade-off-120x40", 40, 120, "A[[[[u:view trade-off<Enter>", false, false},
    {"command-80x24", 24, 80, ":acdc-<Tab>", false, false},
    {"groups-80x24", 24, 80,
     ":labels ioi<Enter>/a9.h9<Enter>x:view groups<Enter>", true, false},
    {"groups-120x40", 40, 120, ":labels ioi<Enter>www:view groups<Enter>", true,
     false},
    {"snapshots-80x24", 24, 80,
     "/a0.h1<Enter>x:snapshot one<Enter>u/a0.h2<Enter>x:snapshot two<Enter>"
     ":compare<Enter>f",
     false, false},
    {"joint-80x24", 24, 80, "<Tab>mmmmJ", false, false},
    {"next-edge-80x24", 24, 80, ":view trade-off<Enter>.", false, false},
    {"text-80x24", 24, 80, "A:view text<Enter>f", false, false},
    {"journal-80x24", 24, 80, "<Tab><Space>j<Space>u<Tab>:view journal<Enter>f",
     false, false},
    {"attention-120x40", 40, 120,
     "/a1.h2<Enter><Tab><Tab>:view attention<Enter>", false, false},
    {"attention-80x24", 24, 80,
     "/a1.h2<Enter><Tab><Tab>:view attention<Enter>llkf", false, false},
    {"prompts-120x40", 40, 120, "/a1.h2<Enter><Tab>j<Tab>:view prompts<Enter>",
     false, false},
    {"help-80x24", 24, 80, "?", false, false},
    {"help-200x60", 60, 200, "?", false, false},
    {"info-80x24", 24, 80, "i", false, false},
    {"all-edges-80x24", 24, 80, "AO<Tab>jj", false, false},
    {"all-edges-120x40", 40, 120,
     "=/a0.h4<Enter>xO\\from:a0 !kind:direct<Enter>jj", true, false},
    {"sort-80x24", 24, 80, "s", false, false},
    {"search-80x24", 24, 80, "/a1.h", false, false},
    {"map-80x24", 24, 80, "", true, false},
    {"map-120x40", 40, 120, "jjjl", true, false},
    {"map-200x60", 60, 200, "jjjjlll", true, false},
    {"map-ascii", 24, 80, "jjj", true, true},
    {"map-kept-80x24", 24, 80, "/a3.h2<Enter>xww", true, false},
    {"map-kept-120x40", 40, 120, "/a3.h2<Enter>xww", true, false},
    {"kl-80x24", 24, 80, "MMM<Tab>j", false, false},
    /* two views beside each other, on large terminals */
    {"views-1-120x40", 40, 120, MARKS TWO("snapshots", "text"), false, false},
    {"views-1-200x60", 60, 200, MARKS TWO("snapshots", "text"), false, false},
    {"views-2-120x40", 40, 120, MARKS TWO("journal", "definitions"), false,
     false},
    {"views-2-200x60", 60, 200, MARKS TWO("journal", "definitions"), false,
     false},
    {"views-3-200x60", 60, 200,
     "/a1.h2<Enter>" TWO("attention", "prompts") "jj", false, false},
    {"views-4-200x60", 60, 200, "A" TWO("trade-off", "groups"), false, false},
    {"tokens-80x24", 24, 80, "<Tab><Space>:view tokens<Enter>", false, false},
    {"tokens-120x40", 40, 120, ":view tokens<Enter><Tab><Tab>j", false, false},
    {"prompts-80x24", 24, 80, "<Tab>j<Tab>:view prompts<Enter>", false, false},
    {"circuit-80x24", 24, 80, "/a0.h1<Enter>:view circuit<Enter>f", true,
     false},
    {"head-80x24", 24, 80, "/a1.h2<Enter>:view head<Enter>", false, false},
    /* without colour: the name says so */
    {"mono-start-80x24", 24, 80, "<Tab>jj<Space>", false, false},
    {"mono-start-ascii", 24, 80, "<Tab>jj<Space>", false, true},
    {"mono-acdc-120x40", 40, 120, "aaaaaaaaaa", false, false},
    {"mono-map-200x60", 60, 200, "jjjjlll", true, false},
    {"mono-attention-80x24", 24, 80,
     "/a1.h2<Enter><Tab><Tab>:view attention<Enter>llkf", false, false},
    {"mono-trade-off-80x24", 24, 80, "A:view trade-off<Enter>f", false, false},
    {"mono-groups-80x24", 24, 80,
     ":labels ioi<Enter>/a9.h9<Enter>x:view groups<Enter>", true, false},
    {"mono-help-80x24", 24, 80, "?", false, false},
    {"mono-sort-80x24", 24, 80, "s", false, false},
    {"too-small", 10, 40, "", false, false},
};

static char *screen_path(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof(path), "%s/tests/golden/%s.screen",
             EW_TEST_SOURCE_DIR, name);
    return path;
}

static void make(const struct screen *s, struct ew_buf *out)
{
    struct ew_err err = {0};
    struct ew_graph_spec spec = {.n_layers = s->large ? 12 : 2,
                                 .n_heads = s->large ? 12 : 8,
                                 .has_mlp = s->large};
    struct ew_tui_params params = {
        .model = s->large ? "toy-12l" : "toy-2l",
        .task = "induction:n=8",
        .engine = {.kind = EW_ENGINE_TOY},
        .ascii = s->ascii,
    };
    struct ew_headless *h = ew_headless_create(
        &params, ew_graph_create(&spec, &err), s->rows, s->cols, &err);
    if (!h) {
        fail_msg("%s", err.message);
    }
    bool mono = strncmp(s->name, "mono-", strlen("mono-")) == 0;
    ew_headless_keys(h, s->keys);
    ew_theme_set(mono ? EW_THEME_MONO : EW_THEME_DARK);
    ew_surface_dump(ew_headless_screen(h), out);
    ew_headless_destroy(h);
}

/* The first line that differs, for people. */
static void explain(const char *name, const char *want, const char *have)
{
    for (int line = 1; *want || *have; line++) {
        size_t a = strcspn(want, "\n");
        size_t b = strcspn(have, "\n");
        if (a != b || memcmp(want, have, a) != 0) {
            print_error("%s.screen:%d\n  want %.*s\n  have %.*s\n", name, line,
                        (int)a, want, (int)b, have);
            return;
        }
        want += a + (want[a] == '\n');
        have += b + (have[b] == '\n');
    }
}

static bool check(const char *name, struct ew_buf *have)
{
    struct ew_err err = {0};
    struct ew_buf want = {0};
    const char *mode = getenv("EDGEWISE_GOLDEN");
    char *path = screen_path(name);
    bool same = true;
    if (mode && strcmp(mode, "write") == 0) {
        assert_true(ew_file_write(path, have->data, have->len, &err));
    } else if (!ew_file_read(&want, path, &err)) {
        print_error("%s\n", err.message);
        same = false;
    } else if (strcmp(ew_buf_str(&want), ew_buf_str(have)) != 0) {
        explain(name, ew_buf_str(&want), ew_buf_str(have));
        same = false;
    }
    ew_buf_finish(&want);
    return same;
}

static void screens_are_as_they_were(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < EW_ARRAY_LEN(screens); i++) {
        struct ew_buf have = {0};
        make(&screens[i], &have);
        wrong += !check(screens[i].name, &have);
        ew_buf_finish(&have);
    }
    assert_int_equal(wrong, 0);
}

/* ---- every view, at every size ---- */

static const struct {
    int rows, cols;
    const char *keys; /* then */
} sizes[] = {{24, 80, "f"}, {40, 120, ""}, {60, 200, ""}};

/* What gives a view something to show; none: it has that without. */
static const struct {
    const char *view, *keys;
} scenes[] = {
    {"circuit", "/a0.h1<Enter>o"},
    {"acdc", "aaaa!"},
    {"trade-off", "A[[["},
    {"attention", "/a1.h2<Enter>:view attention<Enter><Enter><Enter><Enter>"},
    {"head", "/a1.h2<Enter>"},
    {"prompts", "<Tab>j"},
    {"where", "<Tab>jj"},
    {"tokens", "/a0.h1<Enter>x"},
    {"groups", "/a0.h1<Enter>:group mine green: a note<Enter>"
               "/a1.h3<Enter>:group yours red<Enter>"},
    {"snapshots", MARKS},
    {"text", "A"},
    {"journal", "<Tab><Space>j<Space>u"},
    {"log", "=A:nonsense<Enter>"},
};

static const char *scene_of(const char *view)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(scenes); i++) {
        if (strcmp(scenes[i].view, view) == 0) {
            return scenes[i].keys;
        }
    }
    return "";
}

/* In place of what Graphviz makes with the fonts there are: a cross, drawn in
 * half blocks, which every build can. */
static void give_picture(struct ew_app *a)
{
    enum { SIDE = 60 };
    struct ew_ev_picture e = {
        .raster = {SIDE, SIDE, ew_xcalloc((size_t)SIDE * SIDE, 4)}};
    for (int i = 0; i < SIDE * SIDE; i++) {
        int x = i % SIDE, y = i / SIDE;
        bool blue = x / 6 == y / 6, red = x / 6 == (SIDE - 1 - y) / 6;
        uint8_t pixel[4] = {blue ? 0 : 255, blue || red ? 60 : 255,
                            red ? 0 : 255, 255};
        memcpy(e.raster.rgba + (size_t)i * 4, pixel, 4);
    }
    ew_picture_event(a, &e, a->gen);
    a->picture.plain = true;
}

static void make_view(const char *view, bool mono, struct ew_buf *out)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(sizes); i++) {
        struct ew_err err = {0};
        struct ew_graph_spec spec = {.n_layers = 2, .n_heads = 8};
        struct ew_tui_params params = {.model = "toy-2l",
                                       .task = "induction:n=8",
                                       .engine = {.kind = EW_ENGINE_TOY}};
        struct ew_headless *h =
            ew_headless_create(&params, ew_graph_create(&spec, &err),
                               sizes[i].rows, sizes[i].cols, &err);
        assert_non_null(h);
        struct ew_app *a = ew_headless_app(h);
        a->ports.draw_picture = NULL; /* give_picture() does */
        ew_headless_keys(h, scene_of(view));
        ew_headless_keys(h, ":view ");
        ew_headless_keys(h, view);
        ew_headless_keys(h, "<Enter>");
        ew_headless_keys(h, sizes[i].keys);
        if (strcmp(view, "picture") == 0) {
            give_picture(a);
        }
        ew_theme_set(mono ? EW_THEME_MONO : EW_THEME_DARK);
        const struct ew_surface *s = ew_headless_screen(h);
        assert_string_equal(ew_app_view(a, a->pane)->name, view);
        ew_buf_printf(out, "==== %dx%d\n", sizes[i].cols, sizes[i].rows);
        ew_surface_dump_part(s, a->layout.pane[a->pane], out);
        ew_headless_destroy(h);
    }
}

/* A view without a file fails. */
static void views_are_as_they_were(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < 2 * ew_n_views; i++) {
        char name[64];
        struct ew_buf have = {0};
        bool mono = i % 2 == 1;
        const char *view = ew_views[i / 2]->name;
        make_view(view, mono, &have);
        snprintf(name, sizeof(name), "%sview-%s", mono ? "mono-" : "", view);
        wrong += !check(name, &have);
        ew_buf_finish(&have);
    }
    assert_int_equal(wrong, 0);
}

/* Every line is as wide as the terminal or shorter, whatever the size. */
static void screens_of_any_size_can_be_drawn(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_graph_spec spec = {.n_layers = 4, .n_heads = 6, .has_mlp = true};
    struct ew_tui_params params = {.model = "toy",
                                   .task = "induction:n=4",
                                   .engine = {.kind = EW_ENGINE_TOY}};
    struct ew_headless *h =
        ew_headless_create(&params, ew_graph_create(&spec, &err), 24, 80, &err);
    assert_non_null(h);
    for (int rows = 1; rows < 70; rows += 7) {
        for (int cols = 1; cols < 240; cols += 13) {
            ew_headless_resize(h, rows, cols);
        }
    }
    ew_headless_destroy(h);
}

int main(void)
{
    setenv("XDG_CONFIG_HOME", "/dev/null", 1); /* no files of the user's */
    setenv("XDG_STATE_HOME", "/dev/null", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(screens_are_as_they_were),
        cmocka_unit_test(views_are_as_they_were),
        cmocka_unit_test(screens_of_any_size_can_be_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
