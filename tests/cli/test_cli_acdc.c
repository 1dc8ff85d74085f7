/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise acdc` against the decision logs of the official code: the same
 * edges in the same order, the same metric before and after, the same
 * verdicts, the same circuit. An edge whose effect is within 1e-5 of the
 * threshold may be decided either way, and what follows it is then not
 * compared.
 */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

static char model_dir[512]; /* of the official log under test */
static char log_path[1100]; /* the log itself */
static char task_path[600]; /* its task, as our file */

/* NAME is a log below the reference data's acdc/. */
static void set_log(const char *name)
{
    const char *slash = strchr(name, '/');
    snprintf(model_dir, sizeof(model_dir), "%s/%.*s",
             ew_test_reference("acdc"), (int)(slash - name), name);
    snprintf(log_path, sizeof(log_path), "%s%s", model_dir, slash);
}

static bool flag(const json_t *options, const char *key)
{
    return json_is_true(json_object_get(options, key));
}

/* tokens.json, or for kl_last the same prompts scored at the last position. */
static const char *task_for(const char *metric)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/tokens.json", model_dir);
    if (strcmp(metric, "kl_last") != 0) {
        snprintf(task_path, sizeof(task_path), "%s", path);
        return task_path;
    }
    json_t *tokens = cli_load(path);
    json_t *prompts = json_array();
    json_t *clean = json_object_get(tokens, "clean");
    json_t *corrupt = json_object_get(tokens, "corrupted");
    json_t *right = json_object_get(tokens, "answer_ids");
    json_t *wrong = json_object_get(tokens, "wrong_ids");
    for (size_t i = 0; i < json_array_size(clean); i++) {
        json_array_append_new(
            prompts, json_pack("{s:O, s:O, s:[O], s:[O]}", "clean",
                               json_array_get(clean, i), "corrupt",
                               json_array_get(corrupt, i), "answers",
                               json_array_get(right, i), "wrong_answers",
                               json_array_get(wrong, i)));
    }
    json_t *task =
        json_pack("{s:o, s:s, s:s, s:s}", "prompts", prompts, "metric", "kl",
                  "positions", "last", "answer_position", "last");
    snprintf(task_path, sizeof(task_path), "%s", cli_temp("task.json"));
    assert_int_equal(json_dump_file(task, task_path, 0), 0);
    json_decref(task);
    json_decref(tokens);
    return task_path;
}

/* Run our acdc with the options of the log; its lines, json_decref() them. */
static json_t *run_ours(const json_t *theirs, const char *circuit,
                        const char *engine)
{
    const json_t *options = json_object_get(theirs, "options");
    const char *metric = json_string_value(json_object_get(theirs, "metric"));
    const char *names =
        json_string_value(json_object_get(options, "names_mode"));
    const char *indices =
        json_string_value(json_object_get(options, "indices_mode"));
    char threshold[64];
    snprintf(threshold, sizeof(threshold), "%.17g",
             json_number_value(json_object_get(theirs, "threshold")));
    const char *log = cli_temp("log.jsonl");
    const char *args[40] = {
        "acdc",        model_dir,
        "-t",          task_for(metric),
        "--metric",    strcmp(metric, "logitdiff") == 0 ? "logit-diff" : "kl",
        "--threshold", threshold,
        "--log",       log,
        "-o",          circuit,
        "--indices",   indices,
        "--names",     names,
        "--engine",    engine,
        "--ablation",  flag(options, "zero_ablation") ? "zero" : "corrupted"};
    size_t n = 20;
    if (flag(options, "abs_value_threshold")) {
        args[n++] = "--absolute";
    }
    if (flag(options, "remove_redundant")) {
        args[n++] = "--remove-redundant";
    }
    if (flag(options, "use_pos_embed")) {
        args[n++] = "--split-embed";
    }
    struct cli_result r = cli_call(args);
    if (r.status != 0) {
        fail_msg("%s: status %d: %s", log_path, r.status, r.err);
    }
    cli_free(&r);

    json_t *lines = json_array();
    FILE *f = fopen(log, "r");
    assert_non_null(f);
    char line[4096];
    while (fgets(line, sizeof(line), f)) {
        json_t *value = json_loads(line, 0, NULL);
        assert_non_null(value);
        json_array_append_new(lines, value);
    }
    fclose(f);
    return lines;
}

static const char *end_of(const json_t *line, const char *key)
{
    return json_string_value(
        json_object_get(json_object_get(line, "acdc"), key));
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* False when the two parted lawfully and no more can be compared. */
static bool same_decision(const json_t *ours, const json_t *theirs,
                          double threshold, bool absolute)
{
    const char *sender = json_string_value(json_object_get(theirs, "sender"));
    const char *receiver =
        json_string_value(json_object_get(theirs, "receiver"));
    char what[1800];
    snprintf(what, sizeof(what), "%s: %s -> %s", log_path, sender, receiver);
    if (strcmp(end_of(ours, "sender"), sender) != 0 ||
        strcmp(end_of(ours, "receiver"), receiver) != 0) {
        fail_msg("%s expected, found %s -> %s", what, end_of(ours, "sender"),
                 end_of(ours, "receiver"));
    }
    double scale = 2e-4;
    assert_true(cli_close_to(number(ours, "before"), number(theirs, "before"),
                             scale, 1e-4, what));
    assert_true(cli_close_to(number(ours, "after"), number(theirs, "after"),
                             scale, 1e-4, what));
    assert_true(cli_close_to(number(ours, "effect"), number(theirs, "effect"),
                             scale, 1e-4, what));
    bool kept = json_is_true(json_object_get(ours, "kept"));
    if (kept != json_is_true(json_object_get(theirs, "kept"))) {
        double effect = number(theirs, "effect");
        effect = absolute ? fabs(effect) : effect;
        if (fabs(effect - threshold) > 1e-5) {
            fail_msg("%s: decided otherwise", what);
        }
        return false;
    }
    return true;
}

/* "sender -> receiver" of the edges that our circuit file keeps. */
static json_t *kept_edges(const char *circuit, bool split)
{
    json_t *graph = CLI_JSON("graph", model_dir, "--edges", "--json",
                             split ? "--split-embed" : "--edges");
    json_t *file = cli_load(circuit);
    json_t *edges = json_object_get(file, "edges");
    json_t *direct = json_object_get(file, "direct");
    json_t *set = json_object();
    size_t i;
    json_t *edge;
    json_array_foreach(graph, i, edge)
    {
        const char *name = json_string_value(json_object_get(edge, "edge"));
        const char *kind = json_string_value(json_object_get(edge, "kind"));
        json_t *entry =
            json_object_get(strcmp(kind, "direct") == 0 ? direct : edges, name);
        if (strcmp(kind, "placeholder") == 0 || !entry) {
            continue;
        }
        if (json_is_true(json_object_get(entry, "in_graph"))) {
            char key[300];
            snprintf(key, sizeof(key), "%s -> %s", end_of(edge, "sender"),
                     end_of(edge, "receiver"));
            json_object_set_new(set, key, json_true());
        }
    }
    json_decref(graph);
    json_decref(file);
    return set;
}

static void check_circuit(const json_t *theirs, const char *circuit)
{
    const json_t *options = json_object_get(theirs, "options");
    json_t *ours = kept_edges(circuit, flag(options, "use_pos_embed"));
    json_t *final = json_object_get(theirs, "final_edges");
    size_t i;
    json_t *edge;
    size_t n = 0;
    json_array_foreach(final, i, edge)
    {
        const char *sender = json_string_value(json_object_get(edge, "sender"));
        const char *kind = json_string_value(json_object_get(edge, "kind"));
        char key[300];
        if (kind && strcmp(kind, "placeholder") == 0) {
            continue;
        }
        snprintf(key, sizeof(key), "%s -> %s", sender,
                 json_string_value(json_object_get(edge, "receiver")));
        if (!json_object_get(ours, key)) {
            fail_msg("%s: the circuit lacks %s", log_path, key);
        }
        n++;
    }
    assert_int_equal(
        n, json_integer_value(json_object_get(theirs, "edges_final")));
    assert_int_equal(json_object_size(ours), n);
    json_decref(ours);
}

static void check_log(const char *engine)
{
    json_t *theirs = cli_load(log_path);
    char circuit[300];
    snprintf(circuit, sizeof(circuit), "%s", cli_temp("circuit.json"));
    json_t *ours = run_ours(theirs, circuit, engine);
    double threshold = number(theirs, "threshold");
    bool absolute =
        flag(json_object_get(theirs, "options"), "abs_value_threshold");
    size_t i;
    size_t at = 0;
    json_t *decision;
    bool same = true;
    json_array_foreach(json_object_get(theirs, "decisions"), i, decision)
    {
        if (json_object_get(decision, "skipped")) {
            continue;
        }
        while (json_is_true(
            json_object_get(json_array_get(ours, at), "dropped"))) {
            at++;
        }
        if (at == json_array_size(ours)) {
            fail_msg("%s: ours ends early", log_path);
        }
        same = same_decision(json_array_get(ours, at++), decision, threshold,
                             absolute);
        if (!same) {
            break;
        }
    }
    for (; same && at < json_array_size(ours); at++) {
        assert_true(
            json_is_true(json_object_get(json_array_get(ours, at), "dropped")));
    }
    if (same) {
        check_circuit(theirs, circuit);
    }
    print_message("%s: %zu lines%s\n", log_path, json_array_size(ours),
                  same ? "" : ", parted at the threshold");
    json_decref(ours);
    json_decref(theirs);
}

/* One log for each option: all of them are the library's own test. */
static void every_option_reaches_the_walk(void **state)
{
    (void)state;
    static const char *const some[] = {
        "induction-2l/acdc_kl_0.5.json",
        "induction-2l/acdc_kl_0.05_names-reverse.json",
        "induction-2l/acdc_kl_0.05_indices-normal.json",
        "induction-2l/acdc_kl_0.5_remove-redundant.json",
        "induction-2l/acdc_kl_0.5_zero-ablation.json",
        "induction-2l/acdc_logitdiff_0.2_abs.json",
        "gelu3l/acdc_kl_0.05_posembed.json",
        "attn2l/acdc_kl_0.06.json"};
    for (size_t i = 0; i < EW_ARRAY_LEN(some); i++) {
        set_log(some[i]);
        check_log("incremental");
    }
}

/* The same by full forwards, on the smallest case. */
static void rerun_decides_the_same(void **state)
{
    (void)state;
    set_log("induction-2l/acdc_logitdiff_0.2.json");
    check_log("rerun");
}

/* The official code's shuffled order of heads is its normal one. */
static void official_slips_are_an_option(void **state)
{
    (void)state;
    static const char *const orders[][2] = {{"normal", NULL},
                                            {"shuffle:3", "--compat"}};
    json_t *found[2];
    for (int i = 0; i < 2; i++) {
        const char *out = cli_temp("order.json");
        assert_int_equal(
            cli_run_to(out, (const char *const[]){
                                "acdc", "induction-2l", "-t",
                                "induction:n=3,k=6", "--threshold", "0.3",
                                "--json", "--indices", orders[i][0],
                                orders[i][1], "official", NULL}),
            0);
        found[i] = cli_load(out);
    }
    const char *const fields[] = {"edges", "tested", "final"};
    for (size_t i = 0; i < EW_ARRAY_LEN(fields); i++) {
        assert_true(json_equal(json_object_get(found[0], fields[i]),
                               json_object_get(found[1], fields[i])));
    }
    json_decref(found[0]);
    json_decref(found[1]);
    cli_expect_error(CLI("acdc", "induction-2l", "-t", "induction",
                         "--threshold", "0.3", "--compat", "other"),
                     2, "expected official");
}

/* What cannot run leaves the log of another run alone. */
static void a_log_stays_until_the_run_begins(void **state)
{
    (void)state;
    char log[300];
    char other[300];
    snprintf(log, sizeof(log), "%s", cli_temp("old.jsonl"));
    snprintf(other, sizeof(other), "%s/./old.jsonl", cli_temp_dir());
#define RUN "acdc", "induction-2l", "--threshold", "0.3"
    cli_write(log, "what was there\n");
    cli_expect_error(CLI(RUN, "-t", "no-such-task", "--log", log), 3,
                     "no-such-task");
    cli_expect_error(CLI(RUN, "-t", "induction:n=3,k=6", "--log", log, "-o",
                         "/nonexistent/c.json"),
                     3, "/nonexistent/c.json: cannot write");
    FILE *f = fopen(log, "r");
    char text[64] = {0};
    assert_int_equal(fread(text, 1, sizeof(text), f), 15);
    fclose(f);
    assert_string_equal(text, "what was there\n");
    /* the same log by another name is gone on with, not begun again */
    struct cli_result r = CLI(RUN, "-t", "induction:n=3,k=6", "--log", log);
    assert_int_equal(r.status, 0);
    cli_free(&r);
    struct stat was;
    struct stat is;
    assert_int_equal(stat(log, &was), 0);
    cli_expect_error(
        CLI(RUN, "-t", "induction:n=3,k=7", "--resume", log, "--log", other), 3,
        "the metric was");
    r = CLI(RUN, "-t", "induction:n=3,k=6", "--resume", log, "--log", other);
    assert_int_equal(r.status, 0);
    cli_free(&r);
    assert_int_equal(stat(log, &is), 0);
    assert_int_equal(is.st_size, was.st_size);
#undef RUN
}

int main(void)
{
    ew_test_need(ew_test_reference("acdc"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_reaches_the_walk),
        cmocka_unit_test(rerun_decides_the_same),
        cmocka_unit_test(official_slips_are_an_option),
        cmocka_unit_test(a_log_stays_until_the_run_begins),
    };
    return cmocka_run_group_tests(tests, cli_share_torch, NULL);
}
