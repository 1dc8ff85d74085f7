/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON: what real files hold, and messages that say where. */
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/json.h"

#include "ew_cmocka.h"

static json_t *parse(const char *text, struct ew_err *err)
{
    return ew_json_parse(text, strlen(text), "cfg.json", err);
}

static void a_mistake_is_told_with_its_place(void **state)
{
    (void)state;
    struct ew_err err = {0};
    assert_null(parse("{\n \"a\": 1,\n \"b\" 2}", &err));
    assert_int_equal(err.code, EW_ERR_INPUT);
    assert_non_null(strstr(err.message, "cfg.json: line 3, column"));

    assert_null(parse("", &err));
    assert_int_equal(err.code, EW_ERR_INPUT);
    assert_null(parse("{\"a\": NaN}", &err));
    assert_null(parse("{} {}", &err));
}

static void real_files_are_read(void **state)
{
    (void)state;
    struct ew_err err = {0};
    json_t *value = parse("{\"a\": 1, \"a\": 2, \"s\": \"x\\u0000y\","
                          " \"big\": 100000000000000000000000}",
                          &err);
    assert_non_null(value);
    assert_int_equal(json_number_value(json_object_get(value, "a")), 2);
    assert_int_equal(json_string_length(json_object_get(value, "s")), 3);
    assert_true(json_is_real(json_object_get(value, "big")));
    json_decref(value);

    value = parse("3", &err); /* any value is a text */
    assert_int_equal(json_integer_value(value), 3);
    json_decref(value);
}

static void any_bytes_are_a_string(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } cases[] = {
        {"", 0, "\"\""},
        {"caf\xc3\xa9 \xe6\x97\xa5", 9, "\"caf\xc3\xa9 \xe6\x97\xa5\""},
        {"a\xc3", 2, "\"a\xef\xbf\xbd\""},
        {"\xe6\x97z", 3, "\"\xef\xbf\xbd\xef\xbf\xbdz\""},
        {"a\0b", 3, "\"a\\u0000b\""},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        json_t *value = ew_json_text(cases[i].bytes, cases[i].n);
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        assert_string_equal(text, cases[i].text);
        free(text);
        json_decref(value);
    }
}

static void fields_are_taken_by_kind(void **state)
{
    (void)state;
    struct ew_err err = {0};
    json_t *object = parse("{\"n\": 3, \"x\": 1.5, \"on\": true,"
                           " \"name\": \"gelu\", \"none\": null}",
                           &err);
    int64_t n = 0;
    double x = 0;
    bool on = false;
    const char *name = NULL;
    assert_true(ew_json_int(object, "c", "n", &n, &err));
    assert_true(ew_json_real(object, "c", "x", &x, &err));
    assert_true(ew_json_bool(object, "c", "on", &on, &err));
    assert_true(ew_json_str(object, "c", "name", &name, &err));
    assert_int_equal(n, 3);
    assert_true(x == 1.5 && on);
    assert_string_equal(name, "gelu");
    assert_true(ew_json_real(object, "c", "n", &x, &err)); /* 3 is a number */
    assert_true(x == 3);

    n = 7; /* absent and null leave what was there */
    assert_true(ew_json_int(object, "c", "missing", &n, &err));
    assert_true(ew_json_int(object, "c", "none", &n, &err));
    assert_int_equal(n, 7);
    json_decref(object);
}

static void a_wrong_kind_is_named(void **state)
{
    (void)state;
    struct ew_err err = {0};
    int64_t n = 7;
    double x;
    bool on;
    const char *name;
    json_t *object = parse("{\"n\": \"3\", \"f\": 1.5, \"l\": []}", &err);
    assert_false(ew_json_int(object, "c", "n", &n, &err));
    assert_string_equal(err.message,
                        "c: n: expected an integer, found a string");
    assert_int_equal(err.code, EW_ERR_INPUT);
    assert_int_equal(n, 7);
    assert_false(ew_json_int(object, "c", "f", &n, &err));
    assert_false(ew_json_real(object, "c", "n", &x, &err));
    assert_false(ew_json_bool(object, "c", "f", &on, &err));
    assert_false(ew_json_str(object, "c", "l", &name, &err));
    assert_non_null(strstr(err.message, "found an array"));
    json_decref(object);
    assert_string_equal(ew_json_kind(NULL), "nothing");
}

static void files_are_named(void **state)
{
    (void)state;
    struct ew_err err = {0};
    assert_null(ew_json_load("/nonexistent/x.json", &err));
    assert_int_equal(err.code, EW_ERR_IO);
    assert_non_null(strstr(err.message, "/nonexistent/x.json"));

    char path[] = "/tmp/ew-json-XXXXXX";
    close(mkstemp(path));
    assert_true(ew_file_write(path, "[1, 2", 5, &err));
    assert_null(ew_json_load(path, &err));
    assert_int_equal(err.code, EW_ERR_INPUT);
    assert_non_null(strstr(err.message, path));
    assert_true(ew_file_write(path, "[1, 2]", 6, &err));
    json_t *value = ew_json_load(path, &err);
    assert_int_equal(json_array_size(value), 2);
    json_decref(value);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mistake_is_told_with_its_place),
        cmocka_unit_test(real_files_are_read),
        cmocka_unit_test(any_bytes_are_a_string),
        cmocka_unit_test(fields_are_taken_by_kind),
        cmocka_unit_test(a_wrong_kind_is_named),
        cmocka_unit_test(files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
