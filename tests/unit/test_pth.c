/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State dicts of torch.save: every way of writing them gives the same
 * tensors, whatever would need code is refused by its name, and broken files
 * are refused, never run into.
 */
#include "edgewise/rng.h"
#include "edgewise/weights.h"

#include "model_fixture.h"

static struct ew_weights *open_reference(const char *name)
{
    struct ew_err err = {0};
    struct ew_weights *w = ew_weights_open(ew_test_reference(name), &err);
    assert_ok(w, err);
    return w;
}

static size_t numel(const struct ew_weight *w)
{
    size_t n = 1;
    for (int i = 0; i < w->ndim; i++) {
        n *= (size_t)w->shape[i];
    }
    return n;
}

static void every_way_of_writing_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum ew_dtype dtype;
    } files[] = {
        {"formats/induction-2l-state_dict.pth", EW_F32},
        {"formats/induction-2l-dict.pth", EW_F32},
        {"formats/induction-2l-nested.pth", EW_F32},
        {"formats/induction-2l-legacy.pth", EW_F32},
        {"formats/induction-2l-strided.pth", EW_F32},
        {"formats/induction-2l-f16.pth", EW_F16},
        {"formats/induction-2l-bf16.pth", EW_BF16},
    };
    struct ew_weights *expected =
        open_reference("acdc/induction-2l/model.safetensors");
    for (size_t f = 0; f < EW_ARRAY_LEN(files); f++) {
        struct ew_weights *found = open_reference(files[f].name);
        assert_int_equal(ew_weights_count(found), ew_weights_count(expected));
        for (size_t i = 0; i < ew_weights_count(expected); i++) {
            const struct ew_weight *a = ew_weights_at(expected, i);
            const struct ew_weight *b = ew_weights_find(found, a->name);
            assert_non_null(b);
            assert_int_equal(b->dtype, files[f].dtype);
            assert_int_equal(b->ndim, a->ndim);
            assert_memory_equal(b->shape, a->shape, sizeof(a->shape));
            if (b->dtype == EW_F32) {
                assert_memory_equal(b->data, a->data, numel(a) * sizeof(float));
            }
        }
        ew_weights_close(found);
    }
    ew_weights_close(expected);
}

/* Shards of pickles, as models were published before safetensors. */
static void shards_are_read_by_their_index(void **state)
{
    (void)state;
    struct ew_err err = {0};
    char *dir = temp_dir();
    char *command = ew_xasprintf(
        "cp '%s' '%s/pytorch_model-00001-of-00001.bin'",
        ew_test_reference("formats/induction-2l-state_dict.pth"), dir);
    assert_int_equal(system(command), 0);
    write_text(dir, "pytorch_model.bin.index.json",
               "{\"weight_map\": {\"embed.W_E\": "
               "\"pytorch_model-00001-of-00001.bin\"}}");
    struct ew_weights *w = ew_weights_open(dir, &err);
    assert_ok(w, err);
    assert_non_null(ew_weights_find(w, "unembed.W_U"));
    ew_weights_close(w);
    write_text(dir, "pytorch_model.bin.index.json",
               "{\"weight_map\": {\"embed.W_X\": "
               "\"pytorch_model-00001-of-00001.bin\"}}");
    assert_null(ew_weights_open(dir, &err));
    assert_message(&err, EW_ERR_INPUT, "tensor embed.W_X is not in");
    free(command);
    temp_dir_remove(dir);
}

static void code_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *name;
    } files[] = {
        {"formats/refuse-code.pth", "__builtin__.print"},
        {"models/attn2l-induction-gbmi/original.pth",
         "transformer_lens.HookedTransformer.HookedTransformer"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(files); i++) {
        struct ew_err err = {0};
        assert_null(ew_weights_open(ew_test_reference(files[i].file), &err));
        assert_message(&err, EW_ERR_INPUT, "refused");
        assert_message(&err, EW_ERR_INPUT, files[i].name);
        assert_message(&err, EW_ERR_INPUT, files[i].file);
    }
}

static void what_torch_did_not_write_is_refused(void **state)
{
    (void)state;
    char *dir = temp_dir();
    static const struct {
        const char *bytes;
        const char *message;
    } files[] = {
        {"no", "not written by torch.save"},
        {"\x80\x02]q\x01.", "not written by torch.save"},
        {"PK\3\4 and then nothing", "not a whole zip archive"},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(files); i++) {
        struct ew_err err = {0};
        char *path =
            write_bytes(dir, "x.pth", files[i].bytes, strlen(files[i].bytes));
        assert_null(ew_weights_open(path, &err));
        assert_message(&err, EW_ERR_INPUT, files[i].message);
        free(path);
    }
    temp_dir_remove(dir);
}

/* A dictionary of nothing but itself, many times over. */
static void a_dictionary_in_itself_is_refused_soon(void **state)
{
    (void)state;
    static const char head[] = "\x80\x02\x8a\x0a"
                               "l\xfc\x9c"
                               "F\xf9 j\xa8P\x19."  /* magic */
                               "\x80\x02M\xe9\x03." /* version */
                               "\x80\x02}q\x00."    /* machine */
                               "\x80\x02}q\x00(";
    static const char tail[] = "u."
                               "\x80\x02]q\x00."; /* no storages */
    struct ew_err err = {0};
    struct ew_buf bytes = {0};
    char *dir = temp_dir();
    ew_buf_add_n(&bytes, head, sizeof(head) - 1);
    for (int i = 0; i < 20000; i++) {
        char item[16] = "X\5\0\0\0";
        snprintf(item + 5, 6, "%05d", i);
        ew_buf_add_n(&bytes, item, 10);
        ew_buf_add_n(&bytes, "h\0", 2);
    }
    ew_buf_add_n(&bytes, tail, sizeof(tail) - 1);
    char *path = write_bytes(dir, "x.pth", bytes.data, bytes.len);
    assert_null(ew_weights_open(path, &err));
    assert_message(&err, EW_ERR_INPUT, "a dictionary without any");
    free(path);
    ew_buf_finish(&bytes);
    temp_dir_remove(dir);
}

static void open_broken(const char *path)
{
    struct ew_err err = {0};
    struct ew_weights *w = ew_weights_open(path, &err);
    assert_true(w || err.code == EW_ERR_INPUT || err.code == EW_ERR_NOMEM);
    for (size_t i = 0; w && i < ew_weights_count(w); i++) {
        const struct ew_weight *item = ew_weights_at(w, i);
        volatile float sum = 0;
        for (size_t k = 0; item->dtype == EW_F32 && k < numel(item);
             k += 1000) {
            float value;
            memcpy(&value, (const char *)item->data + k * 4, 4);
            sum = sum + value;
        }
    }
    ew_weights_close(w);
}

/* A byte changed, or cut short: read or refused, nothing else. */
static void broken_files_never_crash(void **state)
{
    (void)state;
    static const char *const names[] = {
        "formats/induction-2l-legacy.pth",
        "formats/induction-2l-strided.pth",
        "formats/refuse-code.pth",
    };
    char *dir = temp_dir();
    struct ew_rng rng;
    ew_rng_seed(&rng, 5);
    for (size_t i = 0; i < EW_ARRAY_LEN(names); i++) {
        struct ew_err err = {0};
        struct ew_buf bytes = {0};
        assert_ok(ew_file_read(&bytes, ew_test_reference(names[i]), &err), err);
        char *path = write_bytes(dir, "x.pth", bytes.data, bytes.len);
        FILE *file = fopen(path, "r+b");
        assert_non_null(file);
        /* the pickle comes first in every one of them */
        size_t head = bytes.len < 2600 ? bytes.len : 2600;
        for (int round = 0; round < 400; round++) {
            size_t at = (size_t)ew_rng_below(&rng, head);
            char changed = (char)ew_rng_next(&rng);
            assert_int_equal(pwrite(fileno(file), &changed, 1, (off_t)at), 1);
            open_broken(path);
            assert_int_equal(
                pwrite(fileno(file), bytes.data + at, 1, (off_t)at), 1);
        }
        for (size_t part = 40; part > 0; part--) {
            size_t len = bytes.len * part / 41 + part % 3;
            assert_int_equal(ftruncate(fileno(file), (off_t)len), 0);
            open_broken(path);
        }
        fclose(file);
        free(path);
        ew_buf_finish(&bytes);
    }
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_torch_did_not_write_is_refused),
        cmocka_unit_test(a_dictionary_in_itself_is_refused_soon),
        cmocka_unit_test(every_way_of_writing_is_read),
        cmocka_unit_test(shards_are_read_by_their_index),
        cmocka_unit_test(code_is_refused_by_name),
        cmocka_unit_test(broken_files_never_crash),
    };
    ew_test_need(ew_test_reference("formats/induction-2l-state_dict.pth"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
