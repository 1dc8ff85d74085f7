/* SPDX-License-Identifier: Apache-2.0 */
/* How long the engine goes on after it was told to stop. */
#include "bench_cancel.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "edgewise/attribute.h"
#include "edgewise/mem.h"
#include "edgewise/rng.h"

enum { TRIES = 12, LEAST = 4, EDGES = 8 };
#define ENOUGH_NS 20000000000LL /* no more tries after these */

struct work {
    struct cli_open *open;
    unsigned want;
    uint32_t edges[EDGES];
    float *scores;
};

typedef bool (*work_fn)(struct work *w, const struct ew_cancel *cancel,
                        struct ew_err *err);

static bool what_ifs(struct work *w, const struct ew_cancel *cancel,
                     struct ew_err *err)
{
    struct ew_what_if ifs[EDGES];
    struct ew_score scores[EDGES];
    for (int i = 0; i < EDGES; i++) {
        ifs[i] = (struct ew_what_if){&w->edges[i], 1};
    }
    return ew_engine_what_if(w->open->engine, ifs, EDGES, w->want, scores, NULL,
                             cancel, err);
}

static bool score(struct work *w, const struct ew_cancel *cancel,
                  struct ew_err *err)
{
    struct ew_score out;
    return ew_engine_score_empty(w->open->engine, w->want, &out, cancel, err);
}

static bool attribution(struct work *w, const struct ew_cancel *cancel,
                        struct ew_err *err)
{
    struct ew_attribute_params params = {.method = EW_ATTR_EAP,
                                         .metric = w->open->metric};
    return ew_engine_attribute(w->open->engine, &params, w->scores, cancel,
                               err);
}

struct alarm {
    struct ew_cancel *cancel;
    long long after_ns;
    _Atomic long long raised_ns; /* 0: not yet */
    _Atomic bool over;           /* nobody waits for it */
};

static void *ring(void *data)
{
    struct alarm *a = data;
    long long at = cli_now_ns() + a->after_ns;
    while (cli_now_ns() < at && !atomic_load(&a->over)) {
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    if (!atomic_load(&a->over)) {
        atomic_store(&a->raised_ns, cli_now_ns());
        ew_cancel_raise(a->cancel);
    }
    return NULL;
}

/* One try; *late is untouched when the work was done before. */
static bool interrupt(struct work *w, work_fn fn, long long after_ns,
                      double *late, struct ew_err *err)
{
    struct alarm alarm = {.cancel = ew_cancel_create(), .after_ns = after_ns};
    pthread_t thread;
    if (pthread_create(&thread, NULL, ring, &alarm) != 0) {
        ew_cancel_destroy(alarm.cancel);
        return ew_fail(err, EW_ERR_BACKEND, "bench: no thread");
    }
    bool ok = fn(w, alarm.cancel, err);
    long long back = cli_now_ns();
    atomic_store(&alarm.over, true);
    pthread_join(thread, NULL);
    ew_cancel_destroy(alarm.cancel);
    if (!ok && err->code == EW_ERR_CANCELLED) {
        *late = fmax(*late, (double)(back - alarm.raised_ns) * 1e-9);
        *err = (struct ew_err){0};
        ok = true;
    }
    return ok;
}

static bool worst(struct work *w, work_fn fn, double *out, struct ew_err *err)
{
    struct ew_rng rng;
    ew_rng_seed(&rng, 1);
    *out = 0.0;
    long long start = cli_now_ns();
    if (!fn(w, NULL, err)) {
        return false;
    }
    double whole = (double)(cli_now_ns() - start);
    for (int i = 0;
         i < TRIES && (i < LEAST || cli_now_ns() - start < ENOUGH_NS); i++) {
        if (ew_cancel_check(cli_cancel(), err) ||
            !interrupt(w, fn, (long long)(ew_rng_unit(&rng) * whole), out,
                       err)) {
            return false;
        }
    }
    return true;
}

bool bench_measure_cancel(struct cli_open *open, unsigned want,
                          struct bench_cancel *out, struct ew_err *err)
{
    uint32_t n = ew_graph_n_edges(open->graph);
    struct work w = {.open = open, .want = want};
    struct ew_rng rng;
    ew_rng_seed(&rng, 2);
    w.scores = ew_xcalloc(n, sizeof(*w.scores));
    for (int i = 0; i < EDGES; i++) {
        w.edges[i] = (uint32_t)ew_rng_below(&rng, n);
    }
    bool ok = worst(&w, what_ifs, &out->what_if, err) &&
              worst(&w, score, &out->score, err) &&
              worst(&w, attribution, &out->attribution, err);
    free(w.scores);
    return ok;
}
