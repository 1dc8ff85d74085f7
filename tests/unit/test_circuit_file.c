/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of circuits: what is written reads back the same, other tools' forms
 * are understood, and what is wrong is refused with a reason.
 */
#include <math.h>
#include <string.h>
#include <time.h>

#include "edgewise/json.h"

#include "circuits.h"

static char scratch[] = "/tmp/edgewise-test-XXXXXX";

static int make_scratch(void **state)
{
    (void)state;
    int fd = mkstemp(scratch);
    return fd < 0 ? -1 : close(fd);
}

static int drop_scratch(void **state)
{
    (void)state;
    return unlink(scratch);
}

static struct ew_circuit *load_text(const char *text, size_t len,
                                    const struct ew_graph *g,
                                    struct ew_graph **made, struct ew_err *err)
{
    FILE *file = fopen(scratch, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    return ew_circuit_load(scratch, g, made, err);
}

static struct ew_circuit *must_load(const char *text, const struct ew_graph *g,
                                    struct ew_graph **made)
{
    struct ew_err err = {0};
    struct ew_circuit *c = load_text(text, strlen(text), g, made, &err);
    if (!c) {
        fail_msg("%s", err.message);
    }
    return c;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void assert_same(struct ew_circuit *a, struct ew_circuit *b)
{
    const struct ew_graph *g = ew_circuit_graph(a);
    const struct ew_provenance *p = ew_circuit_get_provenance(a);
    const struct ew_provenance *q = ew_circuit_get_provenance(b);
    assert_true(ew_bitset_equal(ew_circuit_kept(a), ew_circuit_kept(b)));
    for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
        float x = ew_circuit_score(a, e);
        float y = ew_circuit_score(b, e);
        assert_true(x == y || (isnan(x) && isnan(y)));
    }
    assert_true(same_text(p->model, q->model));
    assert_true(same_text(p->model_hash, q->model_hash));
    assert_true(same_text(p->task, q->task));
    assert_true(same_text(p->task_hash, q->task_hash));
    assert_true(same_text(p->metric, q->metric));
    assert_true(same_text(p->ablation, q->ablation));
    assert_true(same_text(p->corruption, q->corruption));
    assert_true(same_text(p->scores, q->scores));
    assert_true(p->threshold == q->threshold ||
                (isnan(p->threshold) && isnan(q->threshold)));
    assert_int_equal(p->sign, q->sign);
    assert_int_equal(p->d_model, q->d_model);
    assert_int_equal(ew_circuit_revision(a), ew_circuit_revision(b));
    assert_int_equal(ew_circuit_n_revisions(a), ew_circuit_n_revisions(b));
    for (uint32_t r = 0; r < ew_circuit_n_revisions(a); r++) {
        ew_circuit_checkout(a, r);
        ew_circuit_checkout(b, r);
        assert_string_equal(ew_circuit_get_revision(a, r).what,
                            ew_circuit_get_revision(b, r).what);
        assert_true(ew_bitset_equal(ew_circuit_kept(a), ew_circuit_kept(b)));
    }
}

static struct ew_circuit *random_circuit(const struct ew_graph *g,
                                         struct ew_rng *rng)
{
    struct ew_circuit *c = ew_circuit_create(g);
    struct ew_provenance *p = ew_circuit_provenance(c);
    uint32_t n = ew_graph_n_edges(g);
    for (uint64_t i = ew_rng_below(rng, 8); i > 0; i--) {
        act(c, rng);
    }
    for (uint64_t i = ew_rng_below(rng, n + 1); i > 0; i--) {
        double scale = pow(10.0, 40.0 * ew_rng_unit(rng) - 20.0);
        ew_circuit_set_score(c, (uint32_t)ew_rng_below(rng, n),
                             (float)(scale * ew_rng_normal(rng)));
    }
    p->sign = (enum ew_score_sign)ew_rng_below(rng, 3);
    if (ew_rng_below(rng, 2)) {
        ew_provenance_set(&p->model, "dir/with \"quotes\" \\ \n and \xc3\xa9");
        ew_provenance_set(&p->metric, "kl");
        p->threshold = 0.1 * ew_rng_normal(rng);
        p->d_model = 64;
    }
    if (ew_rng_below(rng, 2)) {
        ew_provenance_set(&p->model_hash, "00ff");
        ew_provenance_set(&p->task, "");
        ew_provenance_set(&p->task_hash, "ff00");
        ew_provenance_set(&p->ablation, "corrupted");
        ew_provenance_set(&p->corruption, "random");
        ew_provenance_set(&p->scores, "exact");
    }
    return c;
}

static void test_round_trip(void **state)
{
    (void)state;
    static const struct ew_graph_spec specs[] = {
        {2, 3, true, false, false}, {2, 8, false, false, false},
        {2, 2, false, false, true}, {3, 2, true, true, true},
        {1, 1, true, true, false},  {3, 4, true, false, false},
    };
    struct ew_rng rng;
    ew_rng_seed(&rng, 5);
    for (size_t i = 0; i < 60; i++) {
        struct ew_graph *g = make(specs[i % EW_ARRAY_LEN(specs)]);
        struct ew_graph *made = NULL;
        struct ew_circuit *a = random_circuit(g, &rng);
        char *text = ew_circuit_to_json(a);
        struct ew_circuit *b = must_load(text, g, NULL);
        struct ew_circuit *c = must_load(text, NULL, &made);
        char *again = ew_circuit_to_json(c);
        assert_string_equal(text, again);
        assert_int_equal(ew_graph_n_edges(made), ew_graph_n_edges(g));
        assert_same(a, b);
        free(text);
        free(again);
        ew_circuit_destroy(a);
        ew_circuit_destroy(b);
        ew_circuit_destroy(c);
        ew_graph_destroy(made);
        ew_graph_destroy(g);
    }
}

static void test_bad_utf8(void **state)
{
    (void)state;
    struct ew_graph *g = small();
    struct ew_circuit *c = ew_circuit_create(g);
    ew_provenance_set(&ew_circuit_provenance(c)->model, "m\xff\xfe.x");
    char *text = ew_circuit_to_json(c);
    struct ew_circuit *again = must_load(text, g, NULL);
    assert_string_equal(ew_circuit_get_provenance(again)->model, "m??.x");
    free(text);
    ew_circuit_destroy(again);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

#define CFG "\"cfg\": {\"n_layers\": 1, \"n_heads\": 2}"

static const struct form {
    const char *text;
    uint32_t n_senders; /* of the graph that is made */
    const char *kept;   /* in order of ids */
} forms[] = {
    /* EAP-IG, older: nodes as booleans; no direct edges: as their head */
    {"{" CFG ", \"nodes\": {\"input\": true, \"a0.h0\": true, \"m0\": false},"
     "\"edges\": {\"input->a0.h0<q>\": {\"score\": 1, \"in_graph\": true},"
     "\"input->a0.h0<k>\": {\"score\": NaN, \"in_graph\": false},"
     "\"a0.h0->logits\": {\"score\": -Infinity, \"in_graph\": true}},"
     "\"n_pos\": null}",
     4,
     "input->a0.h0<q> a0.h0->logits a0.h0.q_in->a0.h0.q "
     "a0.h0.k_in->a0.h0.k a0.h0.v_in->a0.h0.v "},
    /* no scores, no nodes, other dialects, whole neurons */
    {"{" CFG ", \"nodes\": {\"m0\": {\"neurons\": [true, 1.0]}},"
     "\"edges\": {\"Resid Start->MLP 0\": {},"
     "\"blocks.0.hook_mlp_out[:]->blocks.0.hook_resid_post[:]\": true,"
     "\"input->logits\": false}}",
     4, "input->m0 m0->logits "},
    /* a list; direct given */
    {"{" CFG ", \"edges\": [\"a0.h1->logits\", {\"edge\": \"pos->logits\"},"
     "{\"edge\": \"tok->a0.h1<v>\", \"in_graph\": false}],"
     "\"direct\": [\"a0.h1.v_in->a0.h1.v\"]}",
     4, "pos->logits a0.h1->logits a0.h1.v_in->a0.h1.v "},
    /* NaN is none within strings, however these are quoted */
    {"{" CFG ", \"note\": \"the \\\"NaN\\\" run\\\\\", \"edges\": "
     "{\"input->logits\": {\"score\": NaN}}}",
     3, "input->logits "},
    {"{" CFG ", \"note\": \"a \\\" b\", \"edges\": "
     "{\"input->logits\": {\"score\": NaN}}}",
     3, "input->logits "},
    /* scores alone */
    {"{" CFG ", \"edges\": {\"input->logits\": 0.5}, \"direct\": {}}", 3,
     "input->logits "},
    {"{" CFG ", \"edges\": {}}", 3, ""},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(forms); i++) {
        struct ew_graph *g = NULL;
        struct ew_buf kept = {0};
        struct ew_circuit *c = must_load(forms[i].text, NULL, &g);
        assert_int_equal(ew_graph_n_senders(g), forms[i].n_senders);
        for (uint32_t e = 0; e < ew_graph_n_edges(g); e++) {
            if (ew_circuit_has(c, e)) {
                ew_edge_print(&kept, g, e, EW_NAMES_CANONICAL);
                ew_buf_putc(&kept, ' ');
            }
        }
        assert_string_equal(ew_buf_str(&kept), forms[i].kept);
        assert_int_equal(ew_circuit_get_provenance(c)->sign, EW_SIGN_UNKNOWN);
        check_counts(c);
        ew_buf_finish(&kept);
        ew_circuit_destroy(c);
        ew_graph_destroy(g);
    }
}

static void test_scores_read(void **state)
{
    (void)state;
    struct ew_graph *g = NULL;
    struct ew_circuit *c = must_load(
        "{" CFG ", \"edges\": {\"input->a0.h0<q>\": {\"score\": NaN},"
        "\"input->a0.h0<k>\": {\"score\": 3}, \"input->a0.h0<v>\": -0.5,"
        "\"input->a0.h1<q>\": {\"score\": 0.0, \"scored\": false},"
        "\"input->a0.h1<k>\": {\"score\": 1e300}}}",
        NULL, &g);
    static const struct {
        const char *edge;
        double score;
    } want[] = {
        {"input->a0.h0<k>", 3.0}, {"input->a0.h0<v>", -0.5},
        {"input->a0.h0<q>", NAN}, {"input->a0.h1<q>", NAN},
        {"input->a0.h1<k>", NAN}, {"input->logits", NAN},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(want); i++) {
        float score = ew_circuit_score(c, edge_of(g, want[i].edge));
        assert_true(isnan(want[i].score) ? isnan(score)
                                         : score == (float)want[i].score);
    }
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

static const struct malformed {
    const char *text;
    const char *reason; /* part of the message */
} malformed[] = {
    {"", "line"},
    {"{", "line"},
    {"{\"cfg\": {}} x", "line"},
    {"nonsense", "line"},
    {"[]", "expected a circuit (an object), found an array"},
    {"3", "expected a circuit (an object), found an integer"},
    {"NaN", "expected a circuit (an object), found null"},
    {"{}", "cfg: expected an object, found nothing"},
    {"{\"cfg\": 3}", "cfg: expected an object, found an integer"},
    {"{\"cfg\": {}}", "cfg: n_layers: expected an integer, found nothing"},
    {"{\"cfg\": {\"n_layers\": 2}}", "cfg: n_heads"},
    {"{\"cfg\": {\"n_layers\": \"2\", \"n_heads\": 1}}",
     "cfg: n_layers: expected an integer, found a string"},
    {"{\"cfg\": {\"n_layers\": 0, \"n_heads\": 1}}",
     "cfg: n_layers: expected 1 or more, found 0"},
    {"{\"cfg\": {\"n_layers\": -5, \"n_heads\": 1}}", "found -5"},
    {"{\"cfg\": {\"n_layers\": 99999999999, \"n_heads\": 1}}", "n_layers"},
    {"{\"cfg\": {\"n_layers\": 2000000, \"n_heads\": 2000000}}", "2^31"},
    {"{\"cfg\": {\"n_layers\": 1, \"n_heads\": 100000000}}",
     "more than the 67108864"},
    {"{\"cfg\": {\"n_layers\": 1, \"n_heads\": 2, \"parallel_attn_mlp\": 1}}",
     "parallel_attn_mlp: expected true or false, found an integer"},
    {"{" CFG "}", "edges: expected an object or an array, found nothing"},
    {"{" CFG ", \"edges\": 1}", "edges: expected an object or an array"},
    {"{" CFG ", \"edges\": {\"input\": {}}}", "found no ->"},
    {"{" CFG ", \"edges\": {\"input->a1.h0<q>\": {}}}",
     "edges: a1.h0<q>: no layer 1"},
    {"{" CFG ", \"edges\": {\"a0.h0->a0.h1<q>\": {}}}",
     "the sender is not before"},
    {"{" CFG ", \"edges\": {\"input->logits\": null}}",
     "edges: input->logits: expected an object, found null"},
    {"{" CFG ", \"edges\": {\"input->logits\": {\"score\": \"x\"}}}",
     "edges: input->logits: score: expected a number, found a string"},
    {"{" CFG ", \"edges\": {\"input->logits\": {\"in_graph\": 1}}}",
     "in_graph: expected true or false, found an integer"},
    {"{" CFG ", \"edges\": {\"a0.h0.q_in->a0.h0.q\": {}}}",
     "expected an addition edge"},
    {"{" CFG ", \"edges\": {}, \"direct\": {\"input->logits\": {}}}",
     "expected a direct edge"},
    {"{" CFG ", \"edges\": {}, \"direct\": 7}", "direct: expected an object"},
    {"{" CFG ", \"edges\": [3]}", "found no ->"},
    {"{" CFG ", \"edges\": [[]]}", "found no ->"},
    {"{" CFG ", \"edges\": [\"tok->logits\", \"input->logits\"]}",
     "into tok and pos"},
    {"{" CFG ", \"edges\": {}, \"nodes\": []}",
     "nodes: expected an object, found an array"},
    {"{" CFG ", \"edges\": {}, \"nodes\": {\"a0.h2\": true}}",
     "nodes: a0.h2: no head 2, a layer has 2 (0 to 1)"},
    {"{" CFG ", \"edges\": {}, \"nodes\": {\"x\": true}}",
     "nodes: x: unknown node"},
    {"{" CFG ", \"edges\": {}, \"nodes\": {\"m0\": {\"neurons\": [1, 0]}}}",
     "m0: neurons"},
    {"{" CFG ", \"edges\": {}, \"n_pos\": 10}", "n_pos: expected null"},
    {"{" CFG ", \"edges\": {}, \"provenance\": []}",
     "provenance: expected an object, found an array"},
    {"{" CFG ", \"edges\": {}, \"provenance\": {\"task\": 3}}",
     "provenance: task: expected a string, found an integer"},
    {"{" CFG ", \"edges\": {}, \"provenance\": {\"threshold\": \"\"}}",
     "provenance: threshold: expected a number, found a string"},
    {"{" CFG ", \"edges\": {}, \"revisions\": {}}",
     "revisions: expected an array, found an object"},
    {"{" CFG ", \"edges\": {}, \"revisions\": [1]}", "revisions[0]"},
    {"{" CFG ", \"edges\": {}, \"revisions\": [{\"flipped\": []}]}",
     "revisions[0]: parent: expected 0 to 0, found -1"},
    {"{" CFG ", \"edges\": {},"
     "\"revisions\": [{\"parent\": 1, \"flipped\": []}]}",
     "revisions[0]: parent: expected 0 to 0, found 1"},
    {"{" CFG ", \"edges\": {},"
     "\"revisions\": [{\"parent\": 0, \"flipped\": [\"m0\"]}]}",
     "revisions[0]: m0: expected an edge"},
    {"{" CFG ", \"edges\": {}, \"revisions\": [], \"revision\": 1}",
     "revision: expected 0 to 0, found 1"},
};

static void test_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_ARRAY_LEN(malformed); i++) {
        struct ew_graph *made = NULL;
        struct ew_err err = {0};
        const char *text = malformed[i].text;
        print_message("%s\n", text);
        assert_null(load_text(text, strlen(text), NULL, &made, &err));
        assert_null(made);
        assert_int_equal(err.code, EW_ERR_INPUT);
        assert_non_null(strstr(err.message, scratch));
        if (!strstr(err.message, malformed[i].reason)) {
            fail_msg("%s: not about \"%s\"", err.message, malformed[i].reason);
        }
    }
}

static void test_other_model(void **state)
{
    (void)state;
    struct ew_graph *g = make((struct ew_graph_spec){2, 2, 0, 0, 0});
    struct ew_err err = {0};
    const char *text = "{" CFG ", \"edges\": {}}";
    assert_null(load_text(text, strlen(text), g, NULL, &err));
    assert_non_null(strstr(err.message, "cfg: n_layers: expected 2 as in the "
                                        "model, found 1"));
    text = "{\"edges\": {\"m1->logits\": {}}}";
    assert_null(load_text(text, strlen(text), g, NULL, &err));
    assert_non_null(strstr(err.message, "the model has no MLPs"));
    assert_null(ew_circuit_load("/nowhere/at/all", g, NULL, &err));
    assert_int_equal(err.code, EW_ERR_IO);
    /* with the graph known, cfg may be missing */
    struct ew_circuit *c =
        must_load("{\"edges\": [\"a0.h0->a1.h1<q>\"]}", g, NULL);
    assert_int_equal(ew_circuit_n_kept(c), 1 + 3);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

/* Damage a good file: it is refused with a reason, or it is a circuit. */
static void test_damaged(void **state)
{
    (void)state;
    struct ew_graph *g = make((struct ew_graph_spec){1, 2, true, false, false});
    struct ew_rng rng;
    ew_rng_seed(&rng, 13);
    struct ew_circuit *whole = random_circuit(g, &rng);
    char *text = ew_circuit_to_json(whole);
    size_t len = strlen(text);
    int refused[2] = {0, 0};
    for (int i = 0; i < 600; i++) {
        struct ew_graph *made = NULL;
        struct ew_err err = {0};
        bool shorten = i % 2; /* else change one byte */
        char *bad = strdup(text);
        size_t at = ew_rng_below(&rng, len - 2);
        bad[at] = shorten ? '\0' : (char)ew_rng_below(&rng, 256);
        struct ew_circuit *c =
            load_text(bad, shorten ? at : len, NULL, &made, &err);
        if (c) {
            check_counts(c);
        } else {
            assert_null(made);
            assert_true(err.code == EW_ERR_INPUT && err.message[0]);
            refused[shorten]++;
        }
        ew_circuit_destroy(c);
        ew_graph_destroy(made);
        free(bad);
    }
    assert_int_equal(refused[true], 300);
    assert_true(refused[false] > 100 && refused[false] < 300);
    free(text);
    ew_circuit_destroy(whole);
    ew_graph_destroy(g);
}

static void test_save(void **state)
{
    (void)state;
    struct ew_graph *g = small();
    struct ew_err err = {0};
    struct ew_circuit *a = ew_circuit_create(g);
    ew_circuit_put(a, 4, false);
    assert_true(ew_circuit_save(a, scratch, &err));
    struct ew_circuit *b = ew_circuit_load(scratch, g, NULL, &err);
    assert_non_null(b);
    assert_same(a, b);
    assert_false(ew_circuit_save(a, "/nowhere/at/all.json", &err));
    assert_int_equal(err.code, EW_ERR_IO);
    ew_circuit_destroy(a);
    ew_circuit_destroy(b);
    ew_graph_destroy(g);
}

/* ---- MIB's circuit of GPT-2 ---- */

static void test_mib(void **state)
{
    (void)state;
    const char *path = ew_test_reference("circuits/mib-ioi-eap-ig.json");
    if (access(path, R_OK) != 0) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    struct ew_graph *g = NULL;
    struct ew_err err = {0};
    /* of this process, and against JSON alone: the machine may be busy */
    clock_t start = clock();
    json_decref(ew_json_load(path, NULL));
    double json = (double)(clock() - start) / CLOCKS_PER_SEC;
    start = clock();
    struct ew_circuit *c = ew_circuit_load(path, NULL, &g, &err);
    double took = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (!c) {
        fail_msg("%s", err.message);
    }
    print_message("loaded in %.2f s, of that JSON %.2f s\n", took, json);
    assert_int_equal(ew_graph_n_senders(g) + 1, 158);
    assert_int_equal(ew_graph_n_addition(g), 32491);
    uint32_t additions = 0;
    uint32_t heads = 0;
    for (uint32_t s = 0; s < ew_graph_n_senders(g); s++) {
        uint32_t n_out = ew_circuit_n_out(c, s);
        additions += n_out;
        heads += n_out > 0 && ew_graph_sender(g, s).kind == EW_NODE_HEAD;
    }
    assert_int_equal(additions, 756);
    assert_int_equal(ew_circuit_n_kept(c), 756 + 3 * heads);
    assert_int_equal(ew_circuit_get_provenance(c)->d_model, 768);
    uint32_t e = edge_of(g, "input->a0.h1<q>");
    assert_true(ew_circuit_has(c, e));
    assert_true(ew_circuit_score(c, e) == (float)-0.03757336363196373);
    assert_true(ew_circuit_score(c, edge_of(g, "a9.h9->logits")) < 0.0f);

    assert_true(ew_circuit_save(c, scratch, &err));
    struct ew_circuit *again = ew_circuit_load(scratch, g, NULL, &err);
    assert_non_null(again);
    assert_same(c, again);
    ew_circuit_destroy(again);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_bad_utf8),
        cmocka_unit_test(test_forms),      cmocka_unit_test(test_scores_read),
        cmocka_unit_test(test_malformed),  cmocka_unit_test(test_other_model),
        cmocka_unit_test(test_damaged),    cmocka_unit_test(test_save),
        cmocka_unit_test(test_mib),
    };
    return cmocka_run_group_tests_name("circuit files", tests, make_scratch,
                                       drop_scratch);
}
