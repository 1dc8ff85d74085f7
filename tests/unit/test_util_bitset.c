/* SPDX-License-Identifier: Apache-2.0 */
/* A bitset against an array of booleans, at sizes around the word's. */
#include "edgewise/bitset.h"
#include "edgewise/common.h"
#include "edgewise/rng.h"

#include "ew_cmocka.h"

static const size_t sizes[] = {1, 2, 63, 64, 65, 127, 128, 129, 305, 1000};

static void check(const struct ew_bitset *set, const bool *model, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(ew_bitset_has(set, i), model[i]);
        count += model[i];
    }
    assert_int_equal(ew_bitset_count(set), count);
    assert_int_equal(ew_bitset_count_range(set, 0, n), count);

    size_t next = n;
    for (size_t i = n; i-- > 0;) {
        next = model[i] ? i : next;
        assert_int_equal(ew_bitset_next(set, i), next);
    }
    assert_int_equal(ew_bitset_next(set, n), n);
    assert_int_equal(ew_bitset_next(set, n + 5), n);
}

static void it_is_an_array_of_booleans(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_seed(&rng, 1);
    for (size_t s = 0; s < EW_ARRAY_LEN(sizes); s++) {
        size_t n = sizes[s];
        bool model[1000] = {0};
        struct ew_bitset *set = ew_bitset_create(n);
        assert_int_equal(ew_bitset_size(set), n);
        check(set, model, n);
        for (int i = 0; i < 200; i++) {
            size_t bit = (size_t)ew_rng_below(&rng, n);
            if (i % 3 == 0) {
                ew_bitset_flip(set, bit);
                model[bit] = !model[bit];
            } else {
                model[bit] = i % 3 == 1;
                ew_bitset_put(set, bit, model[bit]);
            }
        }
        check(set, model, n);
        ew_bitset_destroy(set);
    }
    ew_bitset_destroy(NULL);
}

static void full_sets_have_no_bits_beyond_the_end(void **state)
{
    (void)state;
    for (size_t s = 0; s < EW_ARRAY_LEN(sizes); s++) {
        size_t n = sizes[s];
        struct ew_bitset *set = ew_bitset_create(n);
        struct ew_bitset *one_by_one = ew_bitset_create(n);
        ew_bitset_fill(set, true);
        assert_int_equal(ew_bitset_count(set), n);
        for (size_t i = 0; i < n; i++) {
            assert_false(ew_bitset_equal(set, one_by_one));
            ew_bitset_put(one_by_one, i, true);
        }
        assert_true(ew_bitset_equal(set, one_by_one));
        ew_bitset_put(set, n - 1, false);
        assert_int_equal(ew_bitset_next(set, n - 1), n);
        ew_bitset_fill(set, false);
        assert_int_equal(ew_bitset_count(set), 0);
        assert_int_equal(ew_bitset_next(set, 0), n);
        ew_bitset_destroy(set);
        ew_bitset_destroy(one_by_one);
    }
}

static void copies_are_independent(void **state)
{
    (void)state;
    struct ew_bitset *a = ew_bitset_create(100);
    ew_bitset_put(a, 70, true);
    struct ew_bitset *b = ew_bitset_clone(a);
    assert_true(ew_bitset_equal(a, b));
    ew_bitset_flip(b, 3);
    assert_false(ew_bitset_equal(a, b));
    assert_false(ew_bitset_has(a, 3));
    ew_bitset_copy(a, b);
    assert_true(ew_bitset_equal(a, b));
    ew_bitset_destroy(a);
    ew_bitset_destroy(b);
}

static void ranges_are_half_open(void **state)
{
    (void)state;
    struct ew_bitset *set = ew_bitset_create(200);
    ew_bitset_put(set, 10, true);
    ew_bitset_put(set, 64, true);
    ew_bitset_put(set, 199, true);
    assert_int_equal(ew_bitset_count_range(set, 10, 64), 1);
    assert_int_equal(ew_bitset_count_range(set, 10, 65), 2);
    assert_int_equal(ew_bitset_count_range(set, 11, 64), 0);
    assert_int_equal(ew_bitset_count_range(set, 64, 64), 0);
    assert_int_equal(ew_bitset_count_range(set, 65, 200), 1);
    ew_bitset_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_an_array_of_booleans),
        cmocka_unit_test(full_sets_have_no_bits_beyond_the_end),
        cmocka_unit_test(copies_are_independent),
        cmocka_unit_test(ranges_are_half_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
