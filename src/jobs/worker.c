/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker: one thread, requests first and in order, background work while
 * none waits. The lock guards the queue and the flags and is never held while
 * the user's functions run.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "edgewise/jobs.h"
#include "edgewise/mem.h"

#include "queue.h"

struct ew_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queue waiting;
    uint64_t n_posted, n_taken; /* requests, and ... */
    uint64_t n_cancelled;       /* ... up to which they are cancelled */
    bool running;               /* inside handle() */
    bool stopping;
    struct ew_cancel *cancel_request;
    struct ew_cancel *cancel_idle;
    ew_request_fn handle;
    ew_idle_fn idle;
    void *user;
};

/* The lock is held, and released while the request runs. */
static void run_request(struct ew_worker *w)
{
    struct ew_message request;
    queue_take(&w->waiting, &request);
    ew_cancel_reset(w->cancel_request);
    if (++w->n_taken <= w->n_cancelled) {
        ew_cancel_raise(w->cancel_request);
    }
    w->running = true;
    pthread_mutex_unlock(&w->lock);

    w->handle(w->user, &request, w->cancel_request);
    ew_message_finish(&request);

    pthread_mutex_lock(&w->lock);
    w->running = false;
}

/* The lock is held, and released while the work runs. False: none left. */
static bool run_idle(struct ew_worker *w)
{
    ew_cancel_reset(w->cancel_idle);
    pthread_mutex_unlock(&w->lock);
    bool more = w->idle(w->user, w->cancel_idle);
    pthread_mutex_lock(&w->lock);
    return more;
}

static void *thread_main(void *arg)
{
    struct ew_worker *w = arg;
#ifdef __linux__
    pthread_setname_np(pthread_self(), "ew-worker");
#endif
    bool idle_work = w->idle != NULL;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        if (!queue_empty(&w->waiting)) {
            run_request(w);
            idle_work = w->idle != NULL; /* a request may bring more of it */
        } else if (idle_work) {
            idle_work = run_idle(w);
        } else {
            pthread_cond_wait(&w->wake, &w->lock);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/*
 * All signals are the starting thread's business, so the worker (and what
 * threads it starts) blocks them from its first instruction on by inheriting
 * the mask. Faults stay deliverable: blocked, they would end the program
 * before the terminal is restored.
 */
static int start_blocked(struct ew_worker *w)
{
    static const int faults[] = {SIGSEGV, SIGBUS,  SIGFPE,
                                 SIGILL,  SIGABRT, SIGTRAP};
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    for (size_t i = 0; i < EW_ARRAY_LEN(faults); i++) {
        sigdelset(&blocked, faults[i]);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int status = pthread_create(&w->thread, NULL, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

static void release(struct ew_worker *w)
{
    queue_finish(&w->waiting);
    ew_cancel_destroy(w->cancel_request);
    ew_cancel_destroy(w->cancel_idle);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

struct ew_worker *ew_worker_start(ew_request_fn handle, ew_idle_fn idle,
                                  void *user)
{
    struct ew_worker *w = ew_xcalloc(1, sizeof(*w));
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->cancel_request = ew_cancel_create();
    w->cancel_idle = ew_cancel_create();
    w->handle = handle;
    w->idle = idle;
    w->user = user;
    if (start_blocked(w) != 0) {
        release(w);
        return NULL;
    }
    return w;
}

void ew_worker_stop(struct ew_worker *w)
{
    if (!w) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    ew_cancel_raise(w->cancel_request);
    ew_cancel_raise(w->cancel_idle);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    release(w);
}

void ew_worker_post(struct ew_worker *w, struct ew_message request)
{
    pthread_mutex_lock(&w->lock);
    queue_put(&w->waiting, request);
    w->n_posted++;
    ew_cancel_raise(w->cancel_idle);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void ew_worker_cancel(struct ew_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->n_cancelled = w->n_posted;
    if (w->running) {
        ew_cancel_raise(w->cancel_request);
    }
    pthread_mutex_unlock(&w->lock);
}

bool ew_worker_busy(struct ew_worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool busy = w->running || !queue_empty(&w->waiting);
    pthread_mutex_unlock(&w->lock);
    return busy;
}
