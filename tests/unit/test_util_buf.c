/* SPDX-License-Identifier: Apache-2.0 */
/* A buffer holds what was added, however it was added. */
#include <string.h>

#include "edgewise/buf.h"

#include "ew_cmocka.h"

static void empty_is_the_empty_string(void **state)
{
    (void)state;
    struct ew_buf buf = {0};
    assert_string_equal(ew_buf_str(&buf), "");
    ew_buf_finish(&buf);
    char *text = ew_buf_steal(&buf);
    assert_string_equal(text, "");
    free(text);
}

static void pieces_join(void **state)
{
    (void)state;
    struct ew_buf buf = {0};
    ew_buf_add(&buf, "a0.h1");
    ew_buf_putc(&buf, '-');
    ew_buf_add_n(&buf, ">m3xyz", 3);
    ew_buf_printf(&buf, " %+.3f %s", 0.25, "");
    assert_string_equal(ew_buf_str(&buf), "a0.h1->m3 +0.250 ");
    assert_int_equal(buf.len, strlen(buf.data));
    ew_buf_finish(&buf);
}

static void it_grows_by_printing_at_every_length(void **state)
{
    (void)state;
    struct ew_buf buf = {0};
    for (int i = 0; i < 3000; i++) {
        ew_buf_printf(&buf, "%d,", i);
    }
    char *end = buf.data;
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(strtol(end, &end, 10), i);
        assert_int_equal(*end++, ',');
    }
    assert_int_equal(*end, '\0');
    ew_buf_finish(&buf);
}

static void bytes_may_be_nul(void **state)
{
    (void)state;
    struct ew_buf buf = {0};
    ew_buf_add_n(&buf, "a\0b", 3);
    ew_buf_add_n(&buf, NULL, 0);
    assert_int_equal(buf.len, 3);
    assert_memory_equal(buf.data, "a\0b", 4);
    ew_buf_finish(&buf);
}

static void clearing_keeps_memory_and_stealing_gives_it_away(void **state)
{
    (void)state;
    struct ew_buf buf = {0};
    ew_buf_add(&buf, "first");
    const char *was = buf.data;
    ew_buf_clear(&buf);
    assert_string_equal(ew_buf_str(&buf), "");
    assert_ptr_equal(buf.data, was);
    ew_buf_add(&buf, "second");
    char *text = ew_buf_steal(&buf);
    assert_string_equal(text, "second");
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_is_the_empty_string),
        cmocka_unit_test(pieces_join),
        cmocka_unit_test(it_grows_by_printing_at_every_length),
        cmocka_unit_test(bytes_may_be_nul),
        cmocka_unit_test(clearing_keeps_memory_and_stealing_gives_it_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
