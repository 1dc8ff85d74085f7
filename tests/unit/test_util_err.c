/* SPDX-License-Identifier: Apache-2.0 */
/* Messages are kept whole or visibly cut, and codes become exit statuses. */
#include <string.h>

#include "edgewise/err.h"

#include "ew_cmocka.h"

static void fail_fills_in_code_and_message(void **state)
{
    (void)state;
    struct ew_err err = {0};
    assert_false(ew_fail(&err, EW_ERR_INPUT, "%s: %d", "a.json", 7));
    assert_int_equal(err.code, EW_ERR_INPUT);
    assert_string_equal(err.message, "a.json: 7");
}

static void nobody_has_to_listen(void **state)
{
    (void)state;
    assert_false(ew_fail(NULL, EW_ERR_IO, "lost"));
    assert_false(ew_fail_prefix(NULL, "lost too"));
}

static void a_long_message_ends_in_dots(void **state)
{
    (void)state;
    struct ew_err err = {0};
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ew_fail(&err, EW_ERR_FAILED, "%s", text);
    size_t len = strlen(err.message);
    assert_int_equal(len, sizeof(err.message) - 1);
    assert_string_equal(err.message + len - 4, "x...");

    ew_fail_prefix(&err, "reading %s", "b");
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    assert_memory_equal(err.message, "reading b: xxx", 14);
    assert_string_equal(err.message + len - 4, "x...");
}

static void a_prefix_goes_in_front(void **state)
{
    (void)state;
    struct ew_err err = {0};
    ew_fail(&err, EW_ERR_IO, "no such file");
    assert_false(ew_fail_prefix(&err, "--%s", "cut"));
    assert_int_equal(err.code, EW_ERR_IO);
    assert_string_equal(err.message, "--cut: no such file");
}

static void codes_have_the_documented_statuses(void **state)
{
    (void)state;
    static const struct {
        enum ew_err_code code;
        int status;
    } rows[] = {
        {EW_OK, 0},          {EW_ERR_FAILED, 1},      {EW_ERR_USAGE, 2},
        {EW_ERR_INPUT, 3},   {EW_ERR_IO, 3},          {EW_ERR_NOMEM, 1},
        {EW_ERR_BACKEND, 1}, {EW_ERR_CANCELLED, 130},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        assert_int_equal(ew_exit_status(rows[i].code), rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_fills_in_code_and_message),
        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(a_long_message_ends_in_dots),
        cmocka_unit_test(a_prefix_goes_in_front),
        cmocka_unit_test(codes_have_the_documented_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
