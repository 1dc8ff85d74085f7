/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that lead to a queue, emptied between keys. */
#include "headless.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/export.h"
#include "edgewise/mem.h"

struct ew_headless {
    struct ew_app *app;
    struct ew_surface *surface;
    struct ew_mailbox *box;
    struct ew_backend *backend;
    struct ew_message *queue; /* oldest first */
    size_t n, cap;
    size_t n_cancelled;       /* of them, from the oldest on */
    struct ew_cancel *raised; /* their token */
};

static void port_post(void *user, struct ew_message request)
{
    struct ew_headless *h = user;
    h->queue = ew_grow(h->queue, h->n, &h->cap, sizeof(*h->queue));
    h->queue[h->n++] = request;
}

static void port_expect(void *user, uint64_t gen)
{
    struct ew_headless *h = user;
    ew_backend_expect(h->backend, gen);
}

static void port_cancel(void *user)
{
    struct ew_headless *h = user;
    h->n_cancelled = h->n;
}

/* It is written at once. */
static void port_cancel_export(void *user)
{
    (void)user;
}

static void port_export(void *user, struct ew_circuit *c,
                        struct ew_groups *groups, const char *path)
{
    struct ew_headless *h = user;
    struct ew_ev_export done = {.err = {.code = EW_OK}};
    snprintf(done.path, sizeof(done.path), "%s", path);
    struct ew_dot_params dot = {.groups = groups};
    if (ew_export(c, path, &dot, NULL, &done.err)) {
        done.err.code = EW_OK;
    }
    ew_circuit_destroy(c);
    ew_groups_destroy(groups);
    ew_post_event(h->box, EW_EV_EXPORT, 0, &done, sizeof(done));
}

static void port_picture(void *user, struct ew_circuit *c,
                         struct ew_groups *groups, uint64_t gen)
{
    struct ew_headless *h = user;
    struct ew_ev_picture *done = ew_xcalloc(1, sizeof(*done));
    ew_draw_picture(c, groups, done, NULL);
    ew_circuit_destroy(c);
    ew_groups_destroy(groups);
    ew_mailbox_post(h->box, (struct ew_message){EW_EV_PICTURE, gen, done,
                                                ew_ev_picture_free});
}

static long long port_now(void *user)
{
    (void)user;
    return 0;
}

static void take_messages(struct ew_headless *h)
{
    struct ew_message m;
    while (ew_mailbox_take(h->box, &m)) {
        ew_app_message(h->app, &m);
        ew_message_finish(&m);
    }
}

static void handle_oldest(struct ew_headless *h)
{
    struct ew_message request = h->queue[0];
    bool cancelled = h->n_cancelled > 0;
    memmove(h->queue, h->queue + 1, --h->n * sizeof(*h->queue));
    h->n_cancelled -= cancelled;
    ew_backend_handle(h->backend, &request, cancelled ? h->raised : NULL);
    ew_message_finish(&request);
}

/* Until nobody has anything more to do. */
static void settle(struct ew_headless *h)
{
    for (;;) {
        ew_app_draw(h->app, h->surface);
        ew_focus_update(h->app);
        if (h->n > 0) {
            handle_oldest(h);
        } else if (!ew_backend_idle(h->backend, NULL)) {
            take_messages(h);
            ew_app_draw(h->app, h->surface);
            ew_focus_update(h->app);
            if (h->n == 0) {
                return;
            }
        }
        take_messages(h);
    }
}

struct ew_headless *ew_headless_create(const struct ew_tui_params *params,
                                       struct ew_graph *graph, int rows,
                                       int cols, struct ew_err *err)
{
    struct ew_headless *h = ew_xcalloc(1, sizeof(*h));
    h->app = ew_app_create(params, graph, err);
    if (!h->app) {
        free(h);
        return NULL;
    }
    h->surface = ew_surface_create(rows, cols, params->ascii);
    h->box = ew_mailbox_create();
    h->backend = ew_backend_create(h->box);
    h->raised = ew_cancel_create();
    ew_cancel_raise(h->raised);
    ew_app_draw(h->app, h->surface);
    struct ew_app_ports ports = {
        .user = h,
        .post = port_post,
        .expect = port_expect,
        .cancel = port_cancel,
        .cancel_export = port_cancel_export,
        .export_file = port_export,
        .draw_picture = port_picture,
        .now_ns = port_now,
    };
    ew_app_start(h->app, &ports);
    settle(h);
    return h;
}

void ew_headless_destroy(struct ew_headless *h)
{
    if (!h) {
        return;
    }
    for (size_t i = 0; i < h->n; i++) {
        ew_message_finish(&h->queue[i]);
    }
    free(h->queue);
    ew_cancel_destroy(h->raised);
    ew_backend_destroy(h->backend);
    ew_mailbox_destroy(h->box);
    ew_surface_destroy(h->surface);
    ew_app_destroy(h->app);
    free(h);
}

void ew_headless_keys_unanswered(struct ew_headless *h, const char *keys)
{
    while (*keys) {
        ew_app_key(h->app, ew_key_parse(&keys));
    }
    ew_app_draw(h->app, h->surface);
}

void ew_headless_keys(struct ew_headless *h, const char *keys)
{
    while (*keys) {
        ew_app_key(h->app, ew_key_parse(&keys));
        settle(h);
    }
}

void ew_headless_mouse(struct ew_headless *h, enum ew_mouse what, int y, int x)
{
    ew_app_mouse(h->app, what, y, x);
    settle(h);
}

void ew_headless_resize(struct ew_headless *h, int rows, int cols)
{
    ew_surface_resize(h->surface, rows, cols);
    settle(h);
}

const struct ew_surface *ew_headless_screen(struct ew_headless *h)
{
    ew_app_draw(h->app, h->surface);
    return h->surface;
}

struct ew_app *ew_headless_app(struct ew_headless *h)
{
    return h->app;
}
