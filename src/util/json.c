/* SPDX-License-Identifier: Apache-2.0 */
/* jansson with messages for people. */
#include "edgewise/json.h"

#include <string.h>

#include "edgewise/file.h"

json_t *ew_json_parse(const char *text, size_t len, const char *name,
                      struct ew_err *err)
{
    json_error_t where;
    /* real files hold integers beyond 64 bits and \u0000 in vocabularies */
    json_t *value = json_loadb(text, len,
                               JSON_DECODE_ANY |
                                   JSON_ALLOW_NUL,
                               &where);
    if (!value && json_error_code(&where) == json_error_numeric_overflow) {
        value = json_loadb(text, len,
                           JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL |
                               JSON_ALLOW_NUL,
                           &where);
    }
    if (!value) {
        ew_fail(err, EW_ERR_INPUT, "%s: line %d, column %d: %s", name,
                where.line, where.column, where.text);
    }
    return value;
}

json_t *ew_json_load(const char *path, struct ew_err *err)
{
    struct ew_buf text = {0};
    json_t *value = NULL;
    if (ew_file_read(&text, path, err)) {
        const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
        value = ew_json_parse(ew_buf_str(&text), text.len, name, err);
    }
    ew_buf_finish(&text);
    return value;
}

const char *ew_json_kind(const json_t *value)
{
    if (!value) {
        return "nothing";
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static bool wrong_kind(const char *name, const char *key, const char *expected,
                       const json_t *found, struct ew_err *err)
{
    return ew_fail(err, EW_ERR_INPUT, "%s: %s: expected %s, found %s", name,
                   key, expected, ew_json_kind(found));
}

bool ew_json_int(const json_t *object, const char *name, const char *key,
                 int64_t *out, struct ew_err *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value)) {
        return true;
    }
    if (!json_is_integer(value)) {
        return wrong_kind(name, key, "an integer", value, err);
    }
    *out = json_integer_value(value);
    return true;
}

bool ew_json_real(const json_t *object, const char *name, const char *key,
                  double *out, struct ew_err *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value)) {
        return true;
    }
    if (!json_is_number(value)) {
        return wrong_kind(name, key, "a number", value, err);
    }
    *out = json_number_value(value);
    return true;
}

bool ew_json_bool(const json_t *object, const char *name, const char *key,
                  bool *out, struct ew_err *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value)) {
        return true;
    }
    if (!json_is_boolean(value)) {
        return wrong_kind(name, key, "true or false", value, err);
    }
    *out = json_is_true(value);
    return true;
}

bool ew_json_str(const json_t *object, const char *name, const char *key,
                 const char **out, struct ew_err *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value)) {
        return true;
    }
    if (!json_is_string(value)) {
        return wrong_kind(name, key, "a string", value, err);
    }
    *out = json_string_value(value);
    return true;
}

/* Bytes of the character that begins there, 0: none does. */
static size_t character(const char *bytes, size_t n)
{
    for (size_t len = 1; len <= 4 && len <= n; len++) {
        json_t *one = json_stringn(bytes, len);
        if (one) {
            json_decref(one);
            return len;
        }
    }
    return 0;
}

json_t *ew_json_text(const char *bytes, size_t n)
{
    struct ew_buf text = {0};
    size_t len;
    for (size_t i = 0; i<n; i += len> 0 ? len : 1) {
        len = character(bytes + i, n - i);
        if (len > 0) {
            ew_buf_add_n(&text, bytes + i, len);
        } else {
            ew_buf_add(&text, "\xef\xbf\xbd");
        }
    }
    json_t *string = json_stringn(ew_buf_str(&text), text.len);
    ew_buf_finish(&text);
    return string;
}
