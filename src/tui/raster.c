/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding by libpng; windows by averaging. */
#include "raster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "config.h"

#if EW_HAVE_PNG
#include <png.h>
#endif

enum { MAX_SIDE = 32768 };

bool ew_raster_from_png(struct ew_raster *out, const void *png, size_t size,
                        struct ew_err *err)
{
    *out = (struct ew_raster){0};
#if EW_HAVE_PNG
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&image, png, size)) {
        return ew_fail(err, EW_ERR_BACKEND, "picture: %s", image.message);
    }
    image.format = PNG_FORMAT_RGBA;
    if (image.width > MAX_SIDE || image.height > MAX_SIDE) {
        png_image_free(&image);
        return ew_fail(err, EW_ERR_BACKEND, "picture: %u x %u is too large",
                       (unsigned)image.width, (unsigned)image.height);
    }
    out->w = (int)image.width;
    out->h = (int)image.height;
    out->rgba = ew_xcalloc(PNG_IMAGE_SIZE(image), 1);
    if (!png_image_finish_read(&image, NULL, out->rgba, 0, NULL)) {
        ew_raster_finish(out);
        return ew_fail(err, EW_ERR_BACKEND, "picture: %s", image.message);
    }
    return true;
#else
    (void)png;
    (void)size;
    return ew_fail(err, EW_ERR_BACKEND,
                   "pictures: this edgewise was built without libpng");
#endif
}

void ew_raster_finish(struct ew_raster *r)
{
    free(r->rgba);
    *r = (struct ew_raster){0};
}

/* The mean of [x0, x1) x [y0, y1), which is cut to the picture. */
static void mean(const struct ew_raster *r, double x0, double y0, double x1,
                 double y1, uint8_t out[4])
{
    int left = (int)floor(fmax(x0, 0)), right = (int)ceil(fmin(x1, r->w));
    int top = (int)floor(fmax(y0, 0)), bottom = (int)ceil(fmin(y1, r->h));
    unsigned long sum[4] = {0};
    unsigned long n = 0;
    memset(out, 0, 4);
    if (x0 < 0 || y0 < 0 || x1 > r->w + 1 || y1 > r->h + 1) {
        return;
    }
    for (int y = top; y < bottom; y++) {
        for (int x = left; x < right; x++, n++) {
            const uint8_t *p =
                r->rgba + ((size_t)y * (size_t)r->w + (size_t)x) * 4;
            for (int c = 0; c < 4; c++) {
                sum[c] += p[c];
            }
        }
    }
    for (int c = 0; c < 4 && n > 0; c++) {
        out[c] = (uint8_t)(sum[c] / n);
    }
}

/* The middle of a window of `part` of a side, 1 and more for all of it. */
static double inside(double middle, double part)
{
    return part >= 1 ? 0.5 : fmin(fmax(middle, part / 2), 1 - part / 2);
}

struct ew_raster ew_raster_window(const struct ew_raster *r,
                                  struct ew_look *look, int w, int h)
{
    struct ew_raster out = {.w = w, .h = h};
    out.rgba = ew_xcalloc((size_t)w * (size_t)h, 4);
    look->zoom = fmin(fmax(look->zoom, 1.0), 32.0);
    /* pixels of the picture to a pixel of the window */
    double step = fmax((double)r->w / w, (double)r->h / h) / look->zoom;
    look->x = inside(look->x, step * w / r->w);
    look->y = inside(look->y, step * h / r->h);
    double left = look->x * r->w - step * w / 2;
    double top = look->y * r->h - step * h / 2;
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            mean(r, left + x * step, top + y * step, left + (x + 1) * step,
                 top + (y + 1) * step,
                 out.rgba + ((size_t)y * (size_t)w + (size_t)x) * 4);
        }
    }
    return out;
}
