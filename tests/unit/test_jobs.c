/* SPDX-License-Identifier: Apache-2.0 */
/* The mailbox and the worker: order, wake-up, coalescing, cancel, stop. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "edgewise/jobs.h"
#include "edgewise/mem.h"

#include "ew_cmocka.h"

enum kind { RESULT, PROGRESS, SPIN, ECHO };

static bool readable(const struct ew_mailbox *box, int timeout_ms)
{
    struct pollfd fd = {.fd = ew_mailbox_fd(box), .events = POLLIN};
    return poll(&fd, 1, timeout_ms) == 1;
}

static struct ew_message text_message(enum kind kind, uint64_t gen,
                                      const char *text)
{
    return (struct ew_message){
        .kind = kind, .gen = gen, .body = ew_xstrdup(text)};
}

/* Take the next message, waiting for it, and compare. */
static void expect(struct ew_mailbox *box, enum kind kind, uint64_t gen,
                   const char *text)
{
    struct ew_message m;
    assert_true(readable(box, 10000));
    assert_true(ew_mailbox_take(box, &m));
    assert_int_equal(m.kind, kind);
    assert_int_equal(m.gen, gen);
    assert_string_equal(m.body, text);
    ew_message_finish(&m);
    assert_null(m.body);
}

static void mailbox_keeps_order_and_wakes(void **state)
{
    (void)state;
    struct ew_mailbox *box = ew_mailbox_create();
    struct ew_message m;
    assert_false(readable(box, 0));
    assert_false(ew_mailbox_take(box, &m));
    for (int round = 0; round < 3; round++) {
        ew_mailbox_post(box, text_message(RESULT, 1, "one"));
        ew_mailbox_post(box, text_message(RESULT, 2, "two"));
        expect(box, RESULT, 1, "one");
        expect(box, RESULT, 2, "two");
        assert_false(readable(box, 0));
    }
    ew_mailbox_post(box, text_message(RESULT, 3, "left behind"));
    ew_mailbox_destroy(box);
    ew_mailbox_destroy(NULL);
}

static void latest_replaces_its_own_kind_only(void **state)
{
    (void)state;
    struct ew_mailbox *box = ew_mailbox_create();
    ew_mailbox_post(box, text_message(RESULT, 1, "result"));
    ew_mailbox_post_latest(box, text_message(PROGRESS, 1, "10%"));
    ew_mailbox_post(box, text_message(RESULT, 1, "more"));
    ew_mailbox_post_latest(box, text_message(PROGRESS, 2, "20%"));
    expect(box, RESULT, 1, "result");
    expect(box, PROGRESS, 2, "20%");
    ew_mailbox_post_latest(box, text_message(PROGRESS, 3, "30%"));
    expect(box, RESULT, 1, "more");
    expect(box, PROGRESS, 3, "30%");
    assert_false(readable(box, 0));
    ew_mailbox_destroy(box);
}

static int freed;

static void count_free(void *body)
{
    (void)body;
    freed++;
}

static void bodies_are_freed_once(void **state)
{
    (void)state;
    struct ew_mailbox *box = ew_mailbox_create();
    int body = 0;
    struct ew_message m = {
        .kind = PROGRESS, .body = &body, .free_body = count_free};
    freed = 0;
    ew_mailbox_post_latest(box, m);
    ew_mailbox_post_latest(box, m); /* frees the first */
    assert_int_equal(freed, 1);
    ew_mailbox_post(box, m);
    ew_mailbox_destroy(box); /* frees the other two */
    assert_int_equal(freed, 3);
}

enum { SENDERS = 4, EACH = 500 };

static void *sender(void *arg)
{
    struct ew_mailbox *box = arg;
    for (uint64_t i = 0; i < EACH; i++) {
        ew_mailbox_post(box, text_message(RESULT, i, "x"));
        ew_mailbox_post_latest(box, text_message(PROGRESS, i, "p"));
    }
    return NULL;
}

static void many_senders_lose_nothing(void **state)
{
    (void)state;
    struct ew_mailbox *box = ew_mailbox_create();
    pthread_t threads[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sender, box), 0);
    }
    int results = 0;
    int progress = 0;
    while (results < SENDERS * EACH) {
        struct ew_message m;
        assert_true(readable(box, 10000));
        while (ew_mailbox_take(box, &m)) {
            *(m.kind == RESULT ? &results : &progress) += 1;
            ew_message_finish(&m);
        }
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(progress >= 1 || readable(box, 0));
    ew_mailbox_destroy(box);
}

/* ---- worker ---- */

struct fixture {
    struct ew_mailbox *out;
    atomic_int idle_left;  /* pieces of background work */
    atomic_bool idle_spin; /* a piece lasts until it is cancelled */
    atomic_bool stop_seen; /* a SPIN ended */
};

/* SPIN runs until cancelled; ECHO answers; both say what they did. */
static void handle(void *user, const struct ew_message *request,
                   const struct ew_cancel *cancel)
{
    struct fixture *f = user;
    if (request->kind == SPIN) {
        ew_mailbox_post(f->out, text_message(SPIN, request->gen, "started"));
        while (!ew_cancelled(cancel)) {
        }
        atomic_store(&f->stop_seen, true);
        ew_mailbox_post(f->out, text_message(SPIN, request->gen, "cancelled"));
        return;
    }
    ew_mailbox_post(f->out, text_message(ECHO, request->gen,
                                         ew_cancelled(cancel)
                                             ? "cancelled"
                                             : (const char *)request->body));
}

static bool idle(void *user, const struct ew_cancel *cancel)
{
    struct fixture *f = user;
    if (atomic_load(&f->idle_left) <= 0) {
        return false;
    }
    if (atomic_load(&f->idle_spin)) {
        ew_mailbox_post(f->out, text_message(PROGRESS, 0, "idle starts"));
        while (!ew_cancelled(cancel)) {
        }
        ew_mailbox_post(f->out, text_message(PROGRESS, 0, "idle stops"));
        atomic_store(&f->idle_left, 0);
        return true;
    }
    int left = atomic_fetch_sub(&f->idle_left, 1) - 1;
    ew_mailbox_post(f->out, text_message(PROGRESS, (uint64_t)left, "idle"));
    return left > 0;
}

static void requests_run_in_order(void **state)
{
    (void)state;
    struct fixture f = {.out = ew_mailbox_create()};
    struct ew_worker *w = ew_worker_start(handle, NULL, &f);
    for (uint64_t i = 0; i < 50; i++) {
        ew_worker_post(w, text_message(ECHO, i, "hello"));
    }
    for (uint64_t i = 0; i < 50; i++) {
        expect(f.out, ECHO, i, "hello");
    }
    ew_worker_stop(w);
    ew_worker_stop(NULL);
    ew_mailbox_destroy(f.out);
}

static void cancel_stops_what_was_asked_for_so_far(void **state)
{
    (void)state;
    struct fixture f = {.out = ew_mailbox_create()};
    struct ew_worker *w = ew_worker_start(handle, NULL, &f);
    ew_worker_cancel(w); /* nothing runs: no effect on what comes */
    ew_worker_post(w, text_message(SPIN, 1, ""));
    ew_worker_post(w, text_message(ECHO, 2, "waits"));
    expect(f.out, SPIN, 1, "started");
    assert_true(ew_worker_busy(w));
    ew_worker_cancel(w);
    ew_worker_post(w, text_message(ECHO, 3, "after"));
    expect(f.out, SPIN, 1, "cancelled");
    expect(f.out, ECHO, 2, "cancelled");
    expect(f.out, ECHO, 3, "after");
    ew_worker_stop(w);
    ew_mailbox_destroy(f.out);
}

static void stop_cancels_and_drops(void **state)
{
    (void)state;
    struct fixture f = {.out = ew_mailbox_create()};
    struct ew_worker *w = ew_worker_start(handle, NULL, &f);
    int body = 0;
    freed = 0;
    ew_worker_post(w, text_message(SPIN, 1, ""));
    ew_worker_post(w, (struct ew_message){.kind = ECHO,
                                          .body = &body,
                                          .free_body = count_free});
    expect(f.out, SPIN, 1, "started");
    ew_worker_stop(w);
    assert_true(atomic_load(&f.stop_seen));
    assert_int_equal(freed, 1);
    expect(f.out, SPIN, 1, "cancelled");
    assert_false(readable(f.out, 0)); /* the waiting request never ran */
    ew_mailbox_destroy(f.out);
}

static void idle_work_runs_to_its_end_and_again(void **state)
{
    (void)state;
    struct fixture f = {.out = ew_mailbox_create(), .idle_left = 3};
    struct ew_worker *w = ew_worker_start(handle, idle, &f);
    expect(f.out, PROGRESS, 2, "idle");
    expect(f.out, PROGRESS, 1, "idle");
    expect(f.out, PROGRESS, 0, "idle");
    assert_false(ew_worker_busy(w)); /* background work is not a request */

    /* a request brings new background work, which runs after it */
    atomic_store(&f.idle_left, 1);
    ew_worker_post(w, text_message(ECHO, 9, "x"));
    struct ew_message m;
    int echoes = 0;
    int pieces = 0;
    while (echoes + pieces < 2) {
        assert_true(readable(f.out, 10000));
        assert_true(ew_mailbox_take(f.out, &m));
        *(m.kind == ECHO ? &echoes : &pieces) += 1;
        ew_message_finish(&m);
    }
    assert_int_equal(echoes, 1);
    assert_int_equal(pieces, 1);
    ew_worker_stop(w);
    ew_mailbox_destroy(f.out);
}

static void a_request_cancels_idle_work(void **state)
{
    (void)state;
    struct fixture f = {.out = ew_mailbox_create(), .idle_left = 1};
    atomic_store(&f.idle_spin, true);
    struct ew_worker *w = ew_worker_start(handle, idle, &f);
    expect(f.out, PROGRESS, 0, "idle starts");
    ew_worker_post(w, text_message(ECHO, 5, "now"));
    expect(f.out, PROGRESS, 0, "idle stops");
    expect(f.out, ECHO, 5, "now");
    ew_worker_stop(w);
    ew_mailbox_destroy(f.out);
}

static void report_mask(void *user, const struct ew_message *request,
                        const struct ew_cancel *cancel)
{
    (void)request;
    (void)cancel;
    struct fixture *f = user;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    bool blocked = sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM) &&
                   sigismember(&mask, SIGWINCH) && sigismember(&mask, SIGHUP);
    bool faults = !sigismember(&mask, SIGSEGV) && !sigismember(&mask, SIGBUS);
    ew_mailbox_post(f->out, text_message(RESULT, 0,
                                         !blocked  ? "not blocked"
                                         : !faults ? "faults blocked"
                                                   : "as it should be"));
}

static void the_worker_takes_no_signals(void **state)
{
    (void)state;
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    struct fixture f = {.out = ew_mailbox_create()};
    struct ew_worker *w = ew_worker_start(report_mask, NULL, &f);
    ew_worker_post(w, text_message(ECHO, 0, ""));
    expect(f.out, RESULT, 0, "as it should be");
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int signo = 1; signo < 32; signo++) {
        assert_int_equal(sigismember(&before, signo),
                         sigismember(&after, signo));
    }
    ew_worker_stop(w);
    ew_mailbox_destroy(f.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mailbox_keeps_order_and_wakes),
        cmocka_unit_test(latest_replaces_its_own_kind_only),
        cmocka_unit_test(bodies_are_freed_once),
        cmocka_unit_test(many_senders_lose_nothing),
        cmocka_unit_test(requests_run_in_order),
        cmocka_unit_test(cancel_stops_what_was_asked_for_so_far),
        cmocka_unit_test(stop_cancels_and_drops),
        cmocka_unit_test(idle_work_runs_to_its_end_and_again),
        cmocka_unit_test(a_request_cancels_idle_work),
        cmocka_unit_test(the_worker_takes_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
