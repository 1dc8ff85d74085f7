/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels, windows on them, and cells that stand for them. */
#include <stdlib.h>
#include <string.h>

#include "edgewise/export.h"
#include "edgewise/mem.h"

#include "config.h"
#include "ew_cmocka.h"
#include "mosaic.h"
#include "worker.h"

/* Red left, blue right. */
static struct ew_raster two_colors(int w, int h)
{
    struct ew_raster r = {w, h, ew_xcalloc((size_t)w * (size_t)h, 4)};
    for (int i = 0; i < w * h; i++) {
        bool left = i % w < w / 2;
        uint8_t pixel[4] = {left ? 255 : 0, 0, left ? 0 : 255, 255};
        memcpy(r.rgba + (size_t)i * 4, pixel, 4);
    }
    return r;
}

static const uint8_t *at(const struct ew_raster *r, int x, int y)
{
    return r->rgba + ((size_t)y * (size_t)r->w + (size_t)x) * 4;
}

static void the_whole_picture_fits_the_window(void **state)
{
    (void)state;
    struct ew_raster r = two_colors(40, 20);
    struct ew_look look = {0.1, 0.9, 0.01}; /* beside it, and too far */
    struct ew_raster w = ew_raster_window(&r, &look, 20, 20);
    assert_true(look.zoom == 1 && look.x == 0.5 && look.y == 0.5);
    assert_int_equal(at(&w, 10, 0)[3], 0); /* above the picture */
    assert_int_equal(at(&w, 10, 19)[3], 0);
    assert_int_equal(at(&w, 2, 10)[0], 255);
    assert_int_equal(at(&w, 17, 10)[2], 255);
    ew_raster_finish(&w);
    ew_raster_finish(&r);
}

static void a_near_window_stays_inside(void **state)
{
    (void)state;
    struct ew_raster r = two_colors(64, 64);
    for (int corner = 0; corner < 4; corner++) {
        struct ew_look look = {corner & 1 ? 7 : -7, corner & 2 ? 7 : -7, 4};
        struct ew_raster w = ew_raster_window(&r, &look, 16, 16);
        for (int i = 0; i < 16 * 16; i++) {
            assert_int_equal(w.rgba[i * 4 + 3], 255);
            assert_int_equal(w.rgba[i * 4], corner & 1 ? 0 : 255);
        }
        ew_raster_finish(&w);
    }
    ew_raster_finish(&r);
}

static void half_blocks_have_the_pixels_colors(void **state)
{
    (void)state;
    struct ew_raster r = two_colors(40, 40);
    struct ew_look look = {0.5, 0.5, 1};
    struct ew_surface *s = ew_surface_create(5, 10, false);
    ew_mosaic_draw(ew_area_all(s), &r, &look, true);
    const struct ew_cell *left = ew_surface_at(s, 2, 1);
    const struct ew_cell *right = ew_surface_at(s, 2, 8);
    assert_string_equal(left->text, "▀");
    assert_int_equal(left->style.fg_rgb, 0xff0000);
    assert_int_equal(left->style.bg_rgb, 0xff0000);
    assert_int_equal(right->style.fg_rgb, 0x0000ff);
    ew_surface_destroy(s);
    s = ew_surface_create(5, 10, true);
    ew_mosaic_draw(ew_area_all(s), &r, &look, false);
    assert_true(strchr(".:+#", *ew_surface_at(s, 2, 1)->text));
    ew_surface_destroy(s);
    ew_raster_finish(&r);
}

static void what_is_no_png_is_refused(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_raster r;
    assert_false(ew_raster_from_png(&r, "<svg/>", 6, &err));
    assert_int_equal(err.code, EW_ERR_BACKEND);
    assert_null(r.rgba);
}

static void a_circuit_becomes_pixels(void **state)
{
    (void)state;
    if (!EW_HAVE_PNG || !ew_graphviz_available()) {
        skip();
    }
    struct ew_err err = {0};
    struct ew_graph *g = ew_graph_create(
        &(struct ew_graph_spec){.n_layers = 1, .n_heads = 2}, &err);
    struct ew_circuit *c = ew_circuit_create(g);
    struct ew_ev_picture *e = ew_xcalloc(1, sizeof(*e));
    ew_draw_picture(c, NULL, e, NULL);
    assert_int_equal(e->err.code, EW_OK);
    assert_true(e->raster.w > 50 && e->raster.h > 50);
    size_t n = (size_t)e->raster.w * (size_t)e->raster.h;
    size_t dark = 0;
    for (size_t i = 0; i < n; i++) {
        dark += e->raster.rgba[i * 4] < 128;
    }
    assert_true(dark > n / 1000 && dark < n / 2); /* lines on paper */
    ew_ev_picture_free(e);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

#if EW_HAVE_CHAFA

static void the_terminals_own_pixels_are_sent(void **state)
{
    (void)state;
    static const struct {
        const char *term;
        enum ew_pixels how;
        const char *size; /* of 6 x 4 cells of 7 x 15 pixels */
    } cases[] = {
        {"foot", EW_PIXELS_SIXEL, "\"1;1;42;60"},
        {"xterm-kitty", EW_PIXELS_KITTY, "s=42,v=60"},
    };
    struct ew_raster r = two_colors(40, 40);
    struct ew_look look = {0.5, 0.5, 1};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct ew_buf bytes = {0};
        setenv("TERM", cases[i].term, 1);
        assert_int_equal(ew_pixels_detect(), cases[i].how);
        ew_pixels_print(&bytes, cases[i].how, &r, &look, 4, 6,
                        (struct ew_cell_size){7, 15});
        ew_buf_add_n(&bytes, "", 1);
        if (!strstr(bytes.data, cases[i].size)) {
            fail_msg("%s: %.120s", cases[i].term, bytes.data + 1);
        }
        ew_buf_finish(&bytes);
    }
    ew_raster_finish(&r);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_picture_fits_the_window),
        cmocka_unit_test(a_near_window_stays_inside),
        cmocka_unit_test(half_blocks_have_the_pixels_colors),
        cmocka_unit_test(what_is_no_png_is_refused),
        cmocka_unit_test(a_circuit_becomes_pixels),
#if EW_HAVE_CHAFA
        cmocka_unit_test(the_terminals_own_pixels_are_sent),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
