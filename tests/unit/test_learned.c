/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trained models do what they learned, token by token.
 */
#include "edgewise/forward.h"
#include "edgewise/rng.h"

#include "model_fixture.h"

static int64_t next_token(const struct ew_model *m, const int64_t *ids,
                          int64_t n)
{
    size_t width;
    float *logits = run_forward(
        m, ids, 1, n, &(struct ew_forward_params){.last_only = true}, &width);
    size_t best = 0;
    for (size_t i = 1; i < width; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    free(logits);
    return (int64_t)best;
}

static void the_storyteller_goes_on(void **state)
{
    (void)state;
    const char *folder = "models/stories260K";
    struct ew_model *m = reference_model(folder);
    json_t *file = reference_json(folder, "reference.json");
    const json_t *facts = json_object_get(file, "facts");
    const json_t *greedy = json_object_get(facts, "greedy_ids");
    int64_t ids[80];
    size_t n = json_array_size(greedy);
    assert_in_range(n, 60, 80);
    for (size_t i = 0; i < n; i++) {
        ids[i] = json_integer_value(json_array_get(greedy, i));
    }
    for (size_t i = 45; i < n; i++) {
        assert_int_equal(next_token(m, ids, (int64_t)i), ids[i]);
    }
    json_decref(file);
    ew_model_destroy(m);
}

static void the_sorter_sorts(void **state)
{
    (void)state;
    struct ew_model *m = reference_model("models/gpt-nano-sort-prefixed");
    for (int64_t code = 0; code < 729; code += 7) {
        int64_t ids[12];
        int64_t count[3] = {0};
        int64_t rest = code;
        for (int i = 0; i < 6; i++) {
            ids[i] = rest % 3;
            count[ids[i]]++;
            rest /= 3;
        }
        for (int64_t i = 6; i < 12; i++) {
            ids[i] = next_token(m, ids, i);
            int64_t place = i - 6;
            int64_t expected = place < count[0]              ? 0
                               : place < count[0] + count[1] ? 1
                                                             : 2;
            assert_int_equal(ids[i], expected);
        }
    }
    ew_model_destroy(m);
}

/* A token a character, by slm4096's vocab.json. */
static int64_t *characters(const char *text, size_t n)
{
    json_t *vocab = reference_json("models/slm4096", "vocab.json");
    int64_t *ids = ew_xcalloc(n, sizeof(*ids));
    for (size_t i = 0; i < n; i++) {
        const json_t *id =
            json_object_get(vocab, (const char[]){text[i], '\0'});
        assert_true(json_is_integer(id));
        ids[i] = json_integer_value(id);
    }
    json_decref(vocab);
    return ids;
}

static void the_small_talker_answers(void **state)
{
    (void)state;
    const char *folder = "models/slm4096";
    struct ew_model *m = reference_model(folder);
    json_t *file = reference_json(folder, "reference.json");
    const json_t *facts = json_object_get(file, "facts");
    const char *said = json_string_value(
        json_object_get(facts, "greedy_from_\"Q: What\"_80_chars"));
    size_t n = strlen(said);
    int64_t *ids = characters(said, n);
    for (size_t i = strlen("Q: What"); i < n; i++) {
        assert_int_equal(next_token(m, ids, (int64_t)i), ids[i]);
    }
    free(ids);
    json_decref(file);
    ew_model_destroy(m);
}

static void the_small_talker_knows_its_page(void **state)
{
    (void)state;
    enum { BLOCKS = 31, LENGTH = 128, N = BLOCKS * LENGTH };
    const char *folder = "models/slm4096";
    struct ew_err err = {0};
    struct ew_buf text = {0};
    struct ew_model *m = reference_model(folder);
    json_t *file = reference_json(folder, "reference.json");
    const json_t *facts = json_object_get(file, "facts");
    char *path = ew_path_join(ew_test_reference(folder), "corpus.txt");
    assert_ok(ew_file_read(&text, path, &err), err);
    int64_t *ids = characters(ew_buf_str(&text), N + 1);
    size_t n;
    float *logits = run_forward(m, ids, BLOCKS, LENGTH,
                                &(struct ew_forward_params){0}, &n);
    size_t v = n / N;
    double loss = 0;
    double hits = 0;
    for (size_t i = 0; i < N; i++) {
        const float *row = logits + i * v;
        double sum = 0;
        size_t best = 0;
        for (size_t k = 0; k < v; k++) {
            sum += exp(row[k]);
            best = row[k] > row[best] ? k : best;
        }
        loss += log(sum) - row[ids[i + 1]];
        hits += best == (size_t)ids[i + 1];
    }
    assert_near("loss", 0, loss / N,
                json_number_value(json_object_get(
                    facts, "corpus_loss_nats_per_char_blocks_of_128")),
                1e-5);
    assert_near("top1", 0, hits / N,
                json_number_value(json_object_get(facts, "corpus_top1")),
                1e-6);
    free(logits);
    free(ids);
    free(path);
    ew_buf_finish(&text);
    json_decref(file);
    ew_model_destroy(m);
}

/* After "a b .. a" comes b: on the prompts that it was trained for. */
static void the_induction_model_copies(void **state)
{
    (void)state;
    struct ew_model *m = reference_model("acdc/induction-2l");
    json_t *file = reference_json("acdc/induction-2l", "tokens.json");
    int64_t n_prompts;
    int64_t n_pos;
    int64_t *ids =
        token_ids(json_object_get(file, "clean"), &n_prompts, &n_pos);
    for (int64_t b = 0; b < n_prompts; b++) {
        const int64_t *row = ids + b * n_pos;
        int64_t at = n_pos - 2; /* where the last token stood before */
        while (row[at] != row[n_pos - 1]) {
            at--;
        }
        assert_int_equal(next_token(m, row, n_pos), row[at + 1]);
    }
    free(ids);
    json_decref(file);
    ew_model_destroy(m);
}

/* One head a layer, no norm: the same from any place to any other. */
static void the_smallest_induction_model_copies(void **state)
{
    (void)state;
    enum { TRIALS = 600, MOST = 8 };
    struct ew_model *m = reference_model("models/attn2l-induction-gbmi");
    struct ew_rng rng;
    int hits = 0;
    ew_rng_seed(&rng, 5);
    for (int trial = 0; trial < TRIALS; trial++) {
        int64_t ids[MOST];
        int64_t n = 4 + (int64_t)ew_rng_below(&rng, MOST - 3);
        int64_t first = (int64_t)ew_rng_below(&rng, (uint64_t)m->arch.d_vocab);
        for (int64_t i = 0; i < n - 1; i++) { /* all different */
            ids[i] = (first + 5 * i) % m->arch.d_vocab;
        }
        for (int64_t i = n - 2; i > 0; i--) {
            int64_t other = (int64_t)ew_rng_below(&rng, (uint64_t)i + 1);
            int64_t id = ids[i];
            ids[i] = ids[other];
            ids[other] = id;
        }
        int64_t at = (int64_t)ew_rng_below(&rng, (uint64_t)n - 2);
        ids[n - 1] = ids[at];
        hits += next_token(m, ids, n) == ids[at + 1];
    }
    assert_in_range(hits, TRIALS * 9 / 10, TRIALS);
    ew_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_storyteller_goes_on),
        cmocka_unit_test(the_sorter_sorts),
        cmocka_unit_test(the_small_talker_answers),
        cmocka_unit_test(the_small_talker_knows_its_page),
        cmocka_unit_test(the_induction_model_copies),
        cmocka_unit_test(the_smallest_induction_model_copies),
    };
    ew_test_need(ew_test_reference("hf/gpt2-tiny/model.safetensors"));
    load_torch();
    return cmocka_run_group_tests(tests, NULL, no_handle_is_left);
}
