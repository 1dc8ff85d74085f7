/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors in and out: what a file says is checked before it is believed,
 * and whatever its bytes are, the reader returns.
 */
#include "edgewise/rng.h"
#include "edgewise/weights.h"

#include "model_fixture.h"

static int make_dir(void **state)
{
    *state = temp_dir();
    return 0;
}

static int remove_dir(void **state)
{
    temp_dir_remove(*state);
    return 0;
}

static void tensors_are_found_by_name(void **state)
{
    struct ew_err err = {0};
    char *path =
        write_safetensors(*state, "a.safetensors",
                          "{\"__metadata__\": {\"format\": \"pt\"},"
                          " \"z\": {\"dtype\": \"F32\", \"shape\": [2, 3],"
                          " \"data_offsets\": [8, 32]},"
                          " \"a\": {\"dtype\": \"BF16\", \"shape\": [4],"
                          " \"data_offsets\": [0, 8]},"
                          " \"scalar\": {\"dtype\": \"F64\", \"shape\": [],"
                          " \"data_offsets\": [32, 40]},"
                          " \"none\": {\"dtype\": \"I64\", \"shape\": [0, 5],"
                          " \"data_offsets\": [40, 40]},"
                          " \"small\": {\"dtype\": \"F8_E4M3\", \"shape\": [2],"
                          " \"data_offsets\": [40, 42]}}   ",
                          42);
    struct ew_weights *w = ew_weights_open(path, &err);
    assert_ok(w, err);
    assert_int_equal(ew_weights_count(w), 5);
    assert_string_equal(ew_weights_at(w, 0)->name, "z");

    const struct ew_weight *z = ew_weights_find(w, "z");
    assert_non_null(z);
    assert_int_equal(z->ndim, 2);
    assert_int_equal(z->shape[1], 3);
    assert_int_equal(((const unsigned char *)z->data)[0], 8);
    assert_string_equal(z->file, path);
    assert_int_equal(ew_weights_find(w, "a")->dtype, EW_BF16);
    assert_int_equal(ew_weights_find(w, "scalar")->ndim, 0);
    assert_int_equal(ew_weights_find(w, "none")->shape[0], 0);
    assert_string_equal(ew_weights_find(w, "small")->unreadable, "F8_E4M3");
    assert_null(ew_weights_find(w, "__metadata__"));
    assert_null(ew_weights_find(w, "zz"));
    ew_weights_close(w);
    ew_weights_close(NULL);
    free(path);
}

#define ONE(dtype, shape, offsets)                                             \
    "{\"w\": {\"dtype\": \"" dtype "\", \"shape\": " shape                     \
    ", \"data_offsets\": " offsets "}}"

static const struct {
    const char *header;
    const char *message;
} malformed[] = {
    {"{\"w\": ", "header: "},
    {"[1, 2]", "header: expected an object, found an array"},
    {"{\"w\": 7}", "tensor w: expected an object, found an integer"},
    {"{\"w\": {}}", "tensor w: dtype: expected a string, found nothing"},
    {ONE("F31", "[4]", "[0, 16]"), "tensor w: dtype: unknown type 'F31'"},
    {ONE("F32", "4", "[0, 16]"), "tensor w: shape: expected an array"},
    {ONE("F32", "[-4]", "[0, 16]"), "tensor w: shape[0]: expected an integer"},
    {ONE("F32", "[2.5]", "[0, 16]"), "shape[0]: expected an integer"},
    {ONE("F32", "[1,1,1,1,1,1,4]", "[0, 16]"),
     "tensor w: shape: expected at most 6 dimensions, found 7"},
    {ONE("F32", "[4294967296, 4294967296]", "[0, 16]"), "too large"},
    {ONE("F64", "[2305843009213693952]", "[0, 16]"), "too large"},
    {ONE("F32", "[99999999999999999999]", "[0, 16]"), "header: "},
    {ONE("F32", "[5]", "[0, 16]"), "expected 20 bytes for shape [5], found 16"},
    {ONE("F16", "[4]", "[0, 16]"), "expected 8 bytes for shape [4], found 16"},
    {ONE("F32", "[4]", "[8, 24]"), "[8, 24] lie outside the file, which holds"
                                   " 16 bytes"},
    {ONE("F32", "[4]", "[16, 0]"), "lie outside"},
    {ONE("F32", "[4]", "[-16, 0]"), "lie outside"},
    {ONE("F32", "[4]", "[0, 9223372036854775807]"), "lie outside"},
    {ONE("F32", "[4]", "[0]"), "data_offsets: expected two integers"},
    {ONE("F32", "[4]", "[0, \"x\"]"), "data_offsets: expected two integers"},
    {"{\"a\": {\"dtype\": \"U8\", \"shape\": [8], \"data_offsets\": [0, 8]},"
     " \"b\": {\"dtype\": \"U8\", \"shape\": [8], \"data_offsets\": [4, 12]}}",
     "tensors a and b overlap"},
    {"{\"a\": {\"dtype\": \"U8\", \"shape\": [8], \"data_offsets\": [0, 8]},"
     " \"a\": {\"dtype\": \"U8\", \"shape\": [8], \"data_offsets\": [8, 16]}}",
     "duplicate"},
};

static void malformed_headers_are_refused_by_name(void **state)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(malformed); i++) {
        struct ew_err err = {0};
        char *path = write_safetensors(*state, "bad.safetensors",
                                       malformed[i].header, 16);
        assert_null(ew_weights_open(path, &err));
        assert_message(&err, EW_ERR_INPUT, malformed[i].message);
        assert_message(&err, EW_ERR_INPUT, path);
        free(path);
    }
}

static void expect_bytes(const char *dir, const void *bytes, size_t n,
                         const char *message)
{
    struct ew_err err = {0};
    char *path = write_bytes(dir, "bytes.safetensors", bytes, n);
    assert_null(ew_weights_open(path, &err));
    assert_message(&err, EW_ERR_INPUT, message);
    free(path);
}

static void truncated_files_are_refused(void **state)
{
    static const unsigned char longer[] = {9, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    static const unsigned char huge[] = {1, 225, 245, 5, 0, 0, 0, 0, '{', '}'};
    static const unsigned char wild[] = {255, 255, 255, 255, 255,
                                         255, 255, 255, '{', '}'};
    struct ew_err err = {0};
    expect_bytes(*state, "abc", 3, "only 3 bytes");
    expect_bytes(*state, "", 0, "file is empty");
    expect_bytes(*state, longer, sizeof(longer), "cut short");
    expect_bytes(*state, huge, sizeof(huge), "at most 100000000");
    expect_bytes(*state, wild, sizeof(wild), "at most 100000000");
    assert_null(ew_weights_open("/nonexistent/x.safetensors", &err));
    assert_message(&err, EW_ERR_IO, "/nonexistent/x.safetensors");
    assert_null(ew_weights_open(*state, &err)); /* a folder without weights */
    assert_message(&err, EW_ERR_INPUT, "no weights");
}

/* Any change of a good file is read or refused; nothing else happens. */
static void changed_bytes_never_crash(void **state)
{
    static const char good[] = "{\"a\": {\"dtype\": \"F32\", \"shape\": [2, 2],"
                               " \"data_offsets\": [0, 16]},"
                               " \"b\": {\"dtype\": \"F16\", \"shape\": [4],"
                               " \"data_offsets\": [16, 24]}}";
    static const char letters[] = "0123456789-[]{},:\"eF .";
    struct ew_rng rng;
    ew_rng_seed(&rng, 1);
    for (int round = 0; round < 1500; round++) {
        char header[sizeof(good)];
        memcpy(header, good, sizeof(good));
        for (uint64_t n = 1 + ew_rng_below(&rng, 4); n > 0; n--) {
            header[ew_rng_below(&rng, sizeof(good) - 1)] =
                letters[ew_rng_below(&rng, sizeof(letters) - 1)];
        }
        struct ew_err err = {0};
        char *path = write_safetensors(*state, "fuzz.safetensors", header, 24);
        struct ew_weights *w = ew_weights_open(path, &err);
        assert_true(w || err.code == EW_ERR_INPUT);
        for (size_t i = 0; w && i < ew_weights_count(w); i++) {
            const struct ew_weight *item = ew_weights_at(w, i);
            volatile unsigned char last =
                item->ndim && item->shape[0]
                    ? ((const unsigned char *)item->data)[0]
                    : 0;
            (void)last;
        }
        ew_weights_close(w);
        free(path);
    }
}

static void what_is_written_is_read_back(void **state)
{
    const float a[] = {1.5f, -2.0f, 0.25f, 4.0f, 5.0f, 6.0f};
    const float b[] = {7.0f};
    const struct ew_weight items[] = {
        {.name = "odd \"name\"",
         .dtype = EW_F32,
         .ndim = 2,
         .shape = {2, 3},
         .data = a},
        {.name = "scalar", .dtype = EW_F32, .data = b},
    };
    struct ew_err err = {0};
    char *path = ew_path_join(*state, "out.safetensors");
    assert_ok(ew_weights_write(path, items, 2, &err), err);
    struct ew_weights *w = ew_weights_open(path, &err);
    assert_ok(w, err);
    const struct ew_weight *found = ew_weights_find(w, "odd \"name\"");
    assert_non_null(found);
    assert_int_equal(found->shape[1], 3);
    assert_memory_equal(found->data, a, sizeof(a));
    assert_int_equal((uintptr_t)found->data % 8, 0);
    assert_memory_equal(ew_weights_find(w, "scalar")->data, b, sizeof(b));
    ew_weights_close(w);
    free(path);

    assert_false(ew_weights_write("/nonexistent/x", items, 2, &err));
    assert_message(&err, EW_ERR_IO, "/nonexistent/x");
}

/* ---- shards ---- */

#define SHARD(name)                                                            \
    "{\"" name "\": {\"dtype\": \"F32\", \"shape\": [1],"                      \
    " \"data_offsets\": [0, 4]}}"

static void open_shards(const char *dir, const char *map, const char *message)
{
    struct ew_err err = {0};
    char *text = ew_xasprintf("{\"weight_map\": %s}", map);
    write_text(dir, "model.safetensors.index.json", text);
    struct ew_weights *w = ew_weights_open(dir, &err);
    if (message) {
        assert_null(w);
        assert_message(&err, EW_ERR_INPUT, message);
    } else {
        assert_ok(w, err);
        assert_int_equal(ew_weights_count(w), 2);
        assert_non_null(strstr(ew_weights_find(w, "b")->file, "s2"));
    }
    ew_weights_close(w);
    free(text);
}

static void shards_are_joined_by_their_index(void **state)
{
    char *dir = ew_xasprintf("%s/sharded", (char *)*state);
    struct ew_err err = {0};
    char *command = ew_xasprintf("mkdir '%s'", dir);
    assert_int_equal(system(command), 0);
    free(command);
    free(write_safetensors(dir, "s1.safetensors", SHARD("a"), 4));
    free(write_safetensors(dir, "s2.safetensors", SHARD("b"), 4));
    free(write_safetensors(dir, "s3.safetensors", SHARD("a"), 4));
    open_shards(dir, "{\"a\": \"s1.safetensors\", \"b\": \"s2.safetensors\"}",
                NULL);
    open_shards(dir, "{\"a\": \"s1.safetensors\", \"b\": \"s1.safetensors\"}",
                "tensor b is not in s1.safetensors");
    open_shards(dir, "{\"a\": \"s1.safetensors\", \"c\": \"s3.safetensors\"}",
                "tensor a is there twice");
    open_shards(dir, "{\"a\": \"../bad.safetensors\"}",
                "expected the name of a file in the same folder");
    open_shards(dir, "[]", "weight_map: expected an object");

    write_text(dir, "model.safetensors.index.json",
               "{\"weight_map\": {\"a\": \"s9.safetensors\"}}");
    assert_null(ew_weights_open(dir, &err));
    assert_message(&err, EW_ERR_IO, "s9.safetensors");
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_found_by_name),
        cmocka_unit_test(malformed_headers_are_refused_by_name),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(changed_bytes_never_crash),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(shards_are_joined_by_their_index),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
