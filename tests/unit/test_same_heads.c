/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bundled induction model: ACDC, every estimate and the exact scan name
 * the same previous-token and induction heads, and attention shows that they
 * are such. A head weighs what its outgoing edges score, by size, for
 * where attention is saturated, as in the clean run, gradients may get the sign
 * of an edge wrong.
 */
#include <math.h>
#include <string.h>

#include "edgewise/ladder.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"
#include "edgewise/scan.h"

#include "ew_cmocka.h"

enum { N_HEADS = 8, N_PREVIOUS = 2, N_INDUCTION = 3 };

static struct ew_model *m;
static struct ew_task *task;
static struct ew_graph *g;
static struct ew_engine *e;
static unsigned previous;  /* bits: heads of layer 0, by attention */
static unsigned induction; /* heads of layer 1 that attend as such */
static unsigned named;     /* of these, by the first method; 0: not yet */

static void must(bool ok, const struct ew_err *err)
{
    if (!ok) {
        fail_msg("%s", err->message);
    }
}

/* The largest `n`, as bits. */
static unsigned largest(const double *weight, int n)
{
    unsigned bits = 0;
    for (int i = 0; i < n; i++) {
        int best = -1;
        for (int h = 0; h < N_HEADS; h++) {
            if (!(bits >> h & 1) && (best < 0 || weight[h] > weight[best])) {
                best = h;
            }
        }
        bits |= 1U << best;
    }
    return bits;
}

static int role(const char *name)
{
    for (size_t i = 0; i < task->n_roles; i++) {
        if (strcmp(task->roles[i].name, name) == 0) {
            return task->roles[i].positions[0];
        }
    }
    fail_msg("no role %s", name);
    return -1;
}

/* From every position to the one before; from the end to what followed the
 * last token's first appearance. */
static void find_by_attention(void)
{
    struct ew_err err = {0};
    size_t n = task->n_pos;
    size_t next = (size_t)role("NEXT");
    size_t end = (size_t)role("END");
    float *pattern = ew_xcalloc(n * n, sizeof(*pattern));
    double weight[2][N_HEADS] = {{0}};
    for (int h = 0; h < N_HEADS; h++) {
        must(ew_engine_attention(e, EW_RUN_CLEAN, 0, h, -1, pattern, &err),
             &err);
        for (size_t i = 2; i < n; i++) {
            weight[0][h] +=
                (double)pattern[i * n + i - 1] / (double)(n - 2);
        }
        must(ew_engine_attention(e, EW_RUN_CLEAN, 1, h, -1, pattern, &err),
             &err);
        weight[1][h] = (double)pattern[end * n + next];
        print_message("head %d: previous %.2f, induction %.2f\n", h,
                      weight[0][h], weight[1][h]);
    }
    previous = largest(weight[0], N_PREVIOUS);
    for (int h = 0; h < N_HEADS; h++) {
        induction |= weight[1][h] > 0.5 ? 1U << h : 0;
    }
    free(pattern);
}

static int open_model(void **state)
{
    (void)state;
    struct ew_err err = {0};
    m = ew_model_load(EW_TEST_SOURCE_DIR "/assets/models/induction-2l",
                      (struct ew_device){0}, &err);
    must(m != NULL, &err);
    struct ew_task_env env = {.d_vocab = m->arch.d_vocab,
                              .n_ctx = m->arch.n_ctx,
                              .bos = 0,
                              .default_bos = true};
    task = ew_task_open("induction", &env, &err);
    must(task != NULL, &err);
    struct ew_graph_spec spec = {.n_layers = 2, .n_heads = N_HEADS};
    g = ew_graph_create(&spec, &err);
    struct ew_engine_params params = {.want = EW_WANT_LOGIT_DIFF};
    e = ew_engine_create(m, task, g, &params, NULL, &err);
    must(e != NULL, &err);
    find_by_attention();
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    ew_engine_destroy(e);
    ew_graph_destroy(g);
    ew_task_destroy(task);
    ew_model_destroy(m);
    return 0;
}

static void check_heads(const char *method, const float *scores)
{
    double weight[2][N_HEADS] = {{0}};
    for (uint32_t edge = 0; edge < ew_graph_n_addition(g); edge++) {
        struct ew_node node = ew_graph_sender(g, ew_edge_sender(g, edge));
        if (node.kind == EW_NODE_HEAD && !isnan(scores[edge])) {
            weight[node.layer][node.head] += fabs((double)scores[edge]);
        }
    }
    unsigned first = largest(weight[0], N_PREVIOUS);
    unsigned second = largest(weight[1], N_INDUCTION);
    named = named ? named : second;
    if (first != previous || second != named || (second & ~induction)) {
        fail_msg("%s names %#x and %#x, attention %#x and %#x, the first "
                 "method %#x",
                 method, first, second, previous, induction, named);
    }
}

static void scans_name_them(void **state)
{
    (void)state;
    size_t n;
    const struct ew_scan_method *methods = ew_scan_methods(&n);
    for (size_t i = 0; i < n; i++) {
        if (methods[i].needs & EW_SCAN_SEED) {
            continue; /* drawn: what the others have to be better than */
        }
        struct ew_err err = {0};
        struct ew_scan_params params = {.method = &methods[i],
                                        .metric = EW_METRIC_LOGIT_DIFF};
        struct ew_scan *s = ew_scan_create(e, &params, NULL, &err);
        must(s != NULL, &err);
        while (!ew_scan_done(s)) {
            must(ew_scan_step(s, NULL, &err), &err);
        }
        check_heads(methods[i].name, ew_scan_scores(s));
        ew_scan_destroy(s);
    }
}

static void acdc_names_them(void **state)
{
    (void)state;
    static const double thresholds[] = {0.05, 0.2, 0.5, 1.5};
    struct ew_err err = {0};
    struct ew_acdc_params params = {.metric = EW_METRIC_LOGIT_DIFF,
                                    .indices = EW_ORDER_REVERSE};
    struct ew_ladder *l = ew_ladder_create(
        e, &params, thresholds, EW_ARRAY_LEN(thresholds), NULL, &err);
    must(l != NULL, &err);
    while (!ew_ladder_done(l)) {
        must(ew_ladder_step(l, NULL, &err), &err);
    }
    float *scores = ew_xcalloc(ew_graph_n_edges(g), sizeof(*scores));
    ew_ladder_scores(l, scores);
    check_heads("acdc", scores);
    free(scores);
    ew_ladder_destroy(l);
}

int main(void)
{
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_name_them),
        cmocka_unit_test(acdc_names_them),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
