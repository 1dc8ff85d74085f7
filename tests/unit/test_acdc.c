/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACDC against the decision logs of the official code: every log of the
 * reference data, edge by edge, in order.
 */
#include "ew_cmocka.h"

#include <glob.h>
#include <math.h>
#include <string.h>

#include "edgewise/acdc.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"

static const struct ew_device cpu = {0};

static void must(bool ok, const struct ew_err *err)
{
    if (!ok) {
        fail_msg("%s", err->message);
    }
}

/* What a log says was run. */
struct setting {
    const char *metric;
    struct ew_acdc_params params;
    enum ew_ablation ablation;
    bool split;
};

static struct setting read_setting(const json_t *log)
{
    const json_t *o = json_object_get(log, "options");
    struct setting set = {
        .metric = json_string_value(json_object_get(log, "metric"))};
    const json_t *threshold = json_object_get(log, "threshold");
    set.params.threshold =
        json_is_number(threshold) ? json_number_value(threshold) : -1e9;
    set.params.metric = strcmp(set.metric, "logitdiff") == 0
                            ? EW_METRIC_LOGIT_DIFF
                            : EW_METRIC_KL;
    set.params.absolute =
        json_is_true(json_object_get(o, "abs_value_threshold"));
    set.params.remove_redundant =
        json_is_true(json_object_get(o, "remove_redundant"));
    const char *indices =
        json_string_value(json_object_get(o, "indices_mode"));
    const char *names = json_string_value(json_object_get(o, "names_mode"));
    set.params.indices = strcmp(indices, "reverse") == 0 ? EW_ORDER_REVERSE
                                                         : EW_ORDER_NORMAL;
    set.params.names = strcmp(names, "reverse") == 0 ? EW_ORDER_REVERSE
                                                     : EW_ORDER_NORMAL;
    set.ablation = json_is_true(json_object_get(o, "zero_ablation"))
                       ? EW_ABLATE_ZERO
                       : EW_ABLATE_CORRUPTED;
    set.split = json_is_true(json_object_get(o, "use_pos_embed"));
    return set;
}

/* KL at the last position only. */
static void score_last(struct ew_task *task)
{
    task->n_scored = task->n_prompts;
    for (size_t b = 0; b < task->n_prompts; b++) {
        task->scored[b] = (struct ew_scored){
            .prompt = (int32_t)b,
            .position = task->length[b] - 1,
            .target = task->answers[b].right[0]};
    }
}

/* Follow a log to its end. */
static void follow(struct ew_engine *e, const json_t *log,
                   const struct setting *set, const char *path)
{
    struct ew_err err = {0};
    struct ew_acdc *a = ew_acdc_create(e, &set->params, NULL, &err);
    must(a != NULL, &err);
    const json_t *tests = json_object_get(log, "decisions");
    size_t n = json_array_size(tests), decided = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *want = json_array_get(tests, i);
        if (json_object_get(want, "skipped")) {
            continue;
        }
        struct ew_acdc_decision d;
        do {
            must(ew_acdc_step(a, &d, NULL, &err), &err);
        } while (d.dropped);
        uint32_t edge;
        must(ew_edge_parse_acdc(
                 ew_engine_graph(e),
                 json_string_value(json_object_get(want, "receiver")),
                 json_string_value(json_object_get(want, "sender")), &edge,
                 &err),
             &err);
        double effect = json_number_value(json_object_get(want, "effect"));
        double after = json_number_value(json_object_get(want, "after"));
        if (d.edge != edge) {
            struct ew_buf name = {0};
            ew_edge_print(&name, ew_engine_graph(e), d.edge,
                          EW_NAMES_CANONICAL);
            fail_msg("%s: test %zu is of %s, not of %s -> %s", path, i,
                     ew_buf_str(&name),
                     json_string_value(json_object_get(want, "sender")),
                     json_string_value(json_object_get(want, "receiver")));
        }
        if (fabs(d.effect - effect) > 1e-4 * fmax(1.0, fabs(after))) {
            fail_msg("%s: test %zu: effect %.8g, official %.8g", path, i,
                     d.effect, effect);
        }
        assert_int_equal(d.kept,
                         json_is_true(json_object_get(want, "kept")));
        decided++;
    }
    struct ew_acdc_decision d;
    while (!ew_acdc_done(a)) { /* only drops are left */
        must(ew_acdc_step(a, &d, NULL, &err), &err);
        assert_true(d.dropped);
    }
    assert_int_equal(decided, json_integer_value(
                                  json_object_get(log, "tests")));
    ew_acdc_destroy(a);
}

/* The circuit that is left: additions and direct edges. */
static void compare_final(struct ew_engine *e, const json_t *log,
                          const char *path)
{
    struct ew_err err = {0};
    const struct ew_graph *g = ew_engine_graph(e);
    const struct ew_bitset *kept = ew_engine_kept(e);
    const json_t *edges = json_object_get(log, "final_edges");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(edges); i++) {
        const json_t *edge = json_array_get(edges, i);
        const char *kind = json_string_value(json_object_get(edge, "kind"));
        if (strcmp(kind, "placeholder") == 0) {
            continue;
        }
        uint32_t id;
        must(ew_edge_parse_acdc(
                 g, json_string_value(json_object_get(edge, "receiver")),
                 json_string_value(json_object_get(edge, "sender")), &id,
                 &err),
             &err);
        if (!ew_bitset_has(kept, id)) {
            fail_msg("%s: %s <- %s should be kept", path,
                     json_string_value(json_object_get(edge, "receiver")),
                     json_string_value(json_object_get(edge, "sender")));
        }
        n++;
    }
    assert_int_equal(ew_bitset_count(kept), n);
}

static void follow_log(const char *dir, const char *path)
{
    struct ew_err err = {0};
    json_t *log = ew_json_load(path, &err);
    must(log != NULL, &err);
    struct setting set = read_setting(log);
    struct ew_model *m = ew_model_load(dir, cpu, &err);
    must(m != NULL, &err);
    struct ew_task_env env = {.d_vocab = m->arch.d_vocab,
                              .n_ctx = m->arch.n_ctx,
                              .bos = 0};
    char *tokens = ew_xasprintf("%s/tokens.json", dir);
    struct ew_task *task = ew_task_load(tokens, &env, &err);
    must(task != NULL, &err);
    if (strcmp(set.metric, "kl_last") == 0) {
        score_last(task);
    }
    struct ew_graph_spec spec = {.n_layers = m->arch.n_layers,
                                 .n_heads = m->arch.n_heads,
                                 .has_mlp = m->arch.d_mlp > 0,
                                 .split_embed = set.split};
    struct ew_graph *g = ew_graph_create(&spec, &err);
    struct ew_engine_params params = {
        .ablation = set.ablation,
        .want = ew_metric_want(set.params.metric)};
    struct ew_engine *e = ew_engine_create(m, task, g, &params, NULL, &err);
    must(e != NULL, &err);
    follow(e, log, &set, path);
    compare_final(e, log, path);
    ew_engine_destroy(e);
    ew_graph_destroy(g);
    ew_task_destroy(task);
    ew_model_destroy(m);
    json_decref(log);
    free(tokens);
}

static void official_decisions(void **state)
{
    (void)state;
    static const char *const cases[] = {"attn2l", "gelu3l", "induction-2l"};
    size_t n = 0;
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        char *dir = ew_xasprintf("%s/acdc/%s", EW_REFERENCE_DIR, cases[i]);
        char *pattern = ew_xasprintf("%s/acdc_*.json", dir);
        glob_t files;
        assert_int_equal(glob(pattern, 0, NULL, &files), 0);
        for (size_t j = 0; j < files.gl_pathc; j++) {
            follow_log(dir, files.gl_pathv[j]);
            n++;
        }
        globfree(&files);
        free(pattern);
        free(dir);
    }
    assert_true(n >= 36);
}

int main(void)
{
    ew_test_need(EW_REFERENCE_DIR "/acdc");
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(official_decisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
