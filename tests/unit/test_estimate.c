/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What attribution estimates: where clean and corrupted embeddings are nearly
 * the same, an edge's score is its exact effect, in every family.
 */
#include "ew_cmocka.h"

#include <math.h>

#include "edgewise/attribute.h"

#include "engine_fixture.h"

static const struct ew_device cpu = {0};

static void must(bool ok, const struct ew_err *err)
{
    if (!ok) {
        fail_msg("%s", err->message);
    }
}

/* Every token's embedding: that of token 0, and a little of its own. */
static void bring_together(struct ew_model *m, double own)
{
    struct ew_err err = {0};
    struct ew_scope *s = ew_scope_open(cpu);
    struct ew_tensor *first = ew_narrow(s, m->w_e, 0, 0, 1);
    struct ew_tensor *near = ew_add(s, ew_scale(s, m->w_e, own),
                                    ew_scale(s, first, 1.0 - own));
    ew_copy_into(s, m->w_e, near);
    must(ew_scope_finish(s, &err), &err);
}

static void check(const struct ew_arch *arch)
{
    struct ew_err err = {0};
    struct ew_model *m = ew_model_random(arch, 11, cpu, &err);
    must(m != NULL, &err);
    bring_together(m, 0.004);
    struct ew_task *task = fixture_task(arch->d_vocab, 11);
    struct ew_graph *g = fixture_graph(arch, false);
    struct ew_engine_params params = {0};
    struct ew_engine *e = ew_engine_create(m, task, g, &params, NULL, &err);
    must(e != NULL, &err);
    uint32_t n = ew_graph_n_edges(g);
    float *scores = ew_xcalloc(n, sizeof(*scores));
    const struct ew_attribute_params p = {.method = EW_ATTR_EAP,
                                          .metric = EW_METRIC_LOGIT_DIFF};
    must(ew_engine_attribute(e, &p, scores, NULL, &err), &err);
    struct ew_score full;
    must(ew_engine_score(e, EW_WANT_LOGIT_DIFF, &full, NULL, &err), &err);
    double largest = 0, off = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct ew_what_if one = {.edges = &i, .n = 1};
        struct ew_score cut;
        must(ew_engine_what_if(e, &one, 1, EW_WANT_LOGIT_DIFF, &cut, NULL,
                               NULL, &err),
             &err);
        double effect = full.logit_diff - cut.logit_diff;
        largest = fmax(largest, fabs(effect));
        off = fmax(off, fabs(effect - (double)scores[i]));
    }
    if (!(largest > 1e-4) || !(off < 0.02 * largest)) {
        fail_msg("%s: off by %g, the largest effect being %g", arch->name,
                 off, largest);
    }
    free(scores);
    ew_engine_destroy(e);
    ew_graph_destroy(g);
    ew_task_destroy(task);
    ew_model_destroy(m);
}

static void estimates_are_slopes(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        check(&fixture_archs[i]);
    }
}

int main(void)
{
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_are_slopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
