/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The explorer as a program: terminal, signals, worker and state around one
 * poll(). Nothing runs while nothing happens. Keys are drawn at once, after a
 * short wait for the engine's answer so that a toggle and its number come in
 * the same frame; what the background brings is drawn at most thirty times a
 * second.
 */
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "edgewise/export.h"
#include "edgewise/log.h"
#include "edgewise/mem.h"
#include "edgewise/tui.h"

#include "app.h"
#include "restore.h"
#include "tty.h"

enum { ANSWER_MS = 8, BACKGROUND_MS = 33 };

struct session {
    struct ew_app *app;
    struct ew_term *term;
    struct ew_surface *surface;
    struct ew_mailbox *box;
    struct ew_backend *backend;
    struct ew_worker *engine; /* the engine's thread */
    struct ew_worker *files;  /* files and pictures; started with the first */
    long long drawn_ns;
    int ended_by; /* signal; 0: the user left */
    bool quit;
};

/* ---- threads ---- */

/* Signals that mean a broken program stay the thread's own, so that the
 * terminal is restored wherever it breaks. */
static void handle(void *user, const struct ew_message *request,
                   const struct ew_cancel *cancel)
{
    if (request->kind == EW_REQ_LOAD) {
        sigset_t broken;
        sigemptyset(&broken);
        sigaddset(&broken, SIGSEGV);
        sigaddset(&broken, SIGBUS);
        sigaddset(&broken, SIGFPE);
        sigaddset(&broken, SIGILL);
        sigaddset(&broken, SIGABRT);
        pthread_sigmask(SIG_UNBLOCK, &broken, NULL);
    }
    ew_backend_handle(user, request, cancel);
}

/* To a file, or to be seen. */
struct export_job {
    struct ew_circuit *circuit; /* owned */
    struct ew_groups *groups;   /* owned; NULL: none */
    char path[512];
};
enum { JOB_FILE, JOB_PICTURE, JOB_SESSION }; /* the last: a struct ew_saved */

static void free_export(void *body)
{
    struct export_job *job = body;
    ew_circuit_destroy(job->circuit);
    ew_groups_destroy(job->groups);
    free(job);
}

static void run_picture(struct session *s, const struct export_job *job,
                        uint64_t gen, const struct ew_cancel *cancel)
{
    struct ew_ev_picture *done = ew_xcalloc(1, sizeof(*done));
    ew_draw_picture(job->circuit, job->groups, done, cancel);
    ew_mailbox_post(s->box, (struct ew_message){EW_EV_PICTURE, gen, done,
                                                ew_ev_picture_free});
}

static void run_save(struct session *s, const struct ew_saved *saved)
{
    struct ew_err err = {0};
    if (ew_saved_write(saved, &err)) {
        err.code = EW_OK;
    }
    ew_post_event(s->box, EW_EV_SAVED, 0, &err, sizeof(err));
}

static void run_export(void *user, const struct ew_message *request,
                       const struct ew_cancel *cancel)
{
    struct session *s = user;
    if (request->kind == JOB_SESSION) {
        run_save(s, request->body);
        return;
    }
    const struct export_job *job = request->body;
    if (request->kind == JOB_PICTURE) {
        run_picture(s, job, request->gen, cancel);
        return;
    }
    struct ew_ev_export done = {.err = {.code = EW_OK}};
    long long start = ew_now_ns();
    snprintf(done.path, sizeof(done.path), "%s", job->path);
    struct ew_dot_params params = {.groups = job->groups};
    bool ok = ew_export(job->circuit, job->path, &params, cancel, &done.err);
    if (ok) {
        done.err.code = EW_OK;
    }
    done.seconds = (double)(ew_now_ns() - start) / 1e9;
    ew_post_event(s->box, EW_EV_EXPORT, 0, &done, sizeof(done));
}

static void port_post(void *user, struct ew_message request)
{
    struct session *s = user;
    ew_worker_post(s->engine, request);
}

static void port_expect(void *user, uint64_t gen)
{
    struct session *s = user;
    ew_backend_expect(s->backend, gen);
}

static void port_cancel(void *user)
{
    struct session *s = user;
    ew_worker_cancel(s->engine);
}

static void port_cancel_export(void *user)
{
    struct session *s = user;
    if (s->files) {
        ew_worker_cancel(s->files);
    }
}

static void post_file(struct session *s, struct ew_message request)
{
    if (!s->files) {
        s->files = ew_worker_start(run_export, NULL, s);
    }
    ew_worker_post(s->files, request);
}

static void post_job(struct session *s, int kind, struct export_job job,
                     uint64_t gen)
{
    struct export_job *body = ew_xcalloc(1, sizeof(*body));
    *body = job;
    post_file(s, (struct ew_message){kind, gen, body, free_export});
}

static void port_save(void *user, struct ew_saved *saved)
{
    post_file(user, (struct ew_message){JOB_SESSION, 0, saved,
                                        ew_saved_destroy});
}

static void port_export(void *user, struct ew_circuit *c,
                        struct ew_groups *groups, const char *path)
{
    struct export_job job = {.circuit = c, .groups = groups};
    snprintf(job.path, sizeof(job.path), "%s", path);
    post_job(user, JOB_FILE, job, 0);
}

static void port_picture(void *user, struct ew_circuit *c,
                         struct ew_groups *groups, uint64_t gen)
{
    post_job(user, JOB_PICTURE,
             (struct export_job){.circuit = c, .groups = groups}, gen);
}

static long long port_now(void *user)
{
    (void)user;
    return ew_now_ns();
}

static void start_worker(struct session *s)
{
    s->engine = ew_worker_start(handle, ew_backend_idle, s->backend);
    struct ew_app_ports ports = {
        .user = s,
        .post = port_post,
        .expect = port_expect,
        .cancel = port_cancel,
        .cancel_export = port_cancel_export,
        .export_file = port_export,
        .draw_picture = port_picture,
        .save = port_save,
        .now_ns = port_now,
    };
    ew_app_start(s->app, &ports);
}

/* ---- one turn of the loop ---- */

/* The picture goes over the cells that the view has left blank. */
static void show_pixels(struct session *s)
{
    struct ew_picture *p = &s->app->picture;
    struct ew_term_picture what = {.rect = p->rect,
                                   .cell = ew_term_cell(s->term),
                                   .serial = p->serial,
                                   .look = p->look};
    if (p->pixels == EW_PIXELS_NONE || ew_term_has_picture(s->term, &what)) {
        return;
    }
    struct ew_buf bytes = {0};
    if (p->rect.rows > 0) {
        ew_pixels_print(&bytes, p->pixels, &p->raster, &p->look, p->rect.rows,
                        p->rect.cols, what.cell);
    }
    what.look = p->look; /* it is kept inside the picture */
    ew_term_show_picture(s->term, &what, ew_pixels_clear(p->pixels), &bytes,
                         s->surface);
    ew_buf_finish(&bytes);
}

static void draw(struct session *s)
{
    int rows, cols;
    ew_term_size(s->term, &rows, &cols);
    if (rows != ew_surface_rows(s->surface) ||
        cols != ew_surface_cols(s->surface)) {
        ew_surface_resize(s->surface, rows, cols);
    }
    ew_app_draw(s->app, s->surface);
    ew_term_show(s->term, s->surface);
    show_pixels(s);
    s->drawn_ns = ew_now_ns();
    if (s->engine) {
        ew_focus_update(s->app); /* it knows now what is to be seen */
    }
}

static bool take_messages(struct session *s)
{
    struct ew_message m;
    bool any = false;
    while (ew_mailbox_take(s->box, &m)) {
        ew_app_message(s->app, &m);
        ew_message_finish(&m);
        any = true;
    }
    return any;
}

static bool take_input(struct session *s)
{
    struct ew_input in;
    bool any = false;
    while (!s->quit && ew_term_read(s->term, &in)) {
        any = true;
        switch (in.kind) {
        case EW_INPUT_KEY:
            ew_app_key(s->app, in.key);
            break;
        case EW_INPUT_CLICK:
            ew_app_mouse(s->app, EW_MOUSE_CLICK, in.y, in.x);
            break;
        case EW_INPUT_WHEEL_UP:
            ew_app_mouse(s->app, EW_MOUSE_WHEEL_UP, in.y, in.x);
            break;
        case EW_INPUT_WHEEL_DOWN:
            ew_app_mouse(s->app, EW_MOUSE_WHEEL_DOWN, in.y, in.x);
            break;
        case EW_INPUT_RESIZE:
            ew_term_resize(s->term);
            break;
        }
        if (s->app->todo & EW_TODO_QUIT) {
            s->quit = true;
        }
        if (s->app->todo & EW_TODO_REDRAW) {
            ew_term_redraw(s->term);
        }
        if (s->app->todo & EW_TODO_SUSPEND) {
            ew_term_suspend(s->term);
        }
        s->app->todo = 0;
    }
    return any;
}

static bool take_signals(struct session *s)
{
    bool any = false;
    for (int signo; (signo = ew_signals_take()) != 0; any = true) {
        if (signo == SIGWINCH) {
            ew_term_resize(s->term);
        } else if (signo == SIGTSTP) {
            ew_term_suspend(s->term);
        } else {
            s->ended_by = signo;
            s->quit = true;
        }
    }
    return any;
}

/* A toggle's number usually comes within a few milliseconds: one frame. */
static void await_answer(struct session *s, struct pollfd *mailbox)
{
    const struct ew_app *a = s->app;
    if (a->load == EW_LOADED && a->now_gen != a->gen && !a->acdc.running &&
        poll(mailbox, 1, ANSWER_MS) > 0) {
        take_messages(s);
    }
}

static void run_loop(struct session *s)
{
    enum { EV_TTY, EV_SIGNAL, EV_ENGINE, N_EVENTS };
    struct pollfd fds[N_EVENTS] = {
        [EV_TTY] = {.fd = ew_term_fd(s->term), .events = POLLIN},
        [EV_SIGNAL] = {.fd = ew_signals_fd(), .events = POLLIN},
        [EV_ENGINE] = {.fd = ew_mailbox_fd(s->box), .events = POLLIN},
    };
    bool waiting = false; /* something in the background is not drawn yet */
    while (!s->quit) {
        int timeout = waiting ? BACKGROUND_MS : ew_app_timeout(s->app);
        int n = poll(fds, N_EVENTS, timeout);
        if (n < 0 && errno != EINTR) {
            return;
        }
        bool urgent = n == 0 && !waiting; /* the clock ticks */
        urgent |= take_signals(s);
        if (n > 0 && fds[EV_TTY].revents & POLLIN && take_input(s)) {
            urgent = true;
            await_answer(s, &fds[EV_ENGINE]);
        } else if (n > 0 &&
                   fds[EV_TTY].revents & (POLLHUP | POLLERR | POLLNVAL)) {
            s->ended_by = SIGHUP;
            return;
        }
        waiting |= take_messages(s);
        long long age_ms = (ew_now_ns() - s->drawn_ns) / 1000000;
        if (!s->quit && (urgent || (waiting && age_ms >= BACKGROUND_MS))) {
            draw(s);
            waiting = false;
        }
        ew_session_autosave(s->app, false);
    }
}

/* ---- life ---- */

static bool open_session(struct session *s, const struct ew_tui_params *params,
                         struct ew_err *err)
{
    setlocale(LC_CTYPE, "");
    if (!ew_term_check(err)) {
        return false;
    }
    s->app = ew_app_create(params, NULL, err);
    if (!s->app || !ew_signals_open(err)) {
        return false;
    }
    s->term = ew_term_open(params->color, !params->no_mouse, err);
    if (!s->term) {
        ew_signals_close();
        return false;
    }
    s->surface = ew_surface_create(24, 80, params->ascii || !ew_term_utf8());
    if (params->color != EW_COLOR_NEVER) {
        s->app->picture.pixels = ew_pixels_detect();
    }
    s->box = ew_mailbox_create();
    s->backend = ew_backend_create(s->box);
    return true;
}

/* The terminal comes back before the worker is waited for. */
static void close_session(struct session *s)
{
    if (s->term) {
        ew_term_close(s->term);
        ew_signals_close();
    }
    if (s->backend) {
        ew_backend_close(s->backend);
    }
    ew_worker_stop(s->files);
    ew_worker_stop(s->engine);
    ew_backend_destroy(s->backend);
    if (s->box) {
        ew_mailbox_destroy(s->box);
    }
    ew_surface_destroy(s->surface);
    ew_app_destroy(s->app);
}

bool ew_tui_run(const struct ew_tui_params *params, struct ew_err *err)
{
    struct session s = {0};
    bool ok = open_session(&s, params, err);
    if (ok) {
        draw(&s); /* the first frame stands before libtorch is loaded */
        start_worker(&s);
        run_loop(&s);
    }
    int ended_by = s.ended_by;
    if (ok) {
        ew_worker_stop(s.files); /* else an older session could come last */
        s.files = NULL;
        ew_session_autosave(s.app, true);
    }
    close_session(&s);
    if (ended_by) {
        raise(ended_by); /* its handler is the default again */
    }
    return ok;
}
