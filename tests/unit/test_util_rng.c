/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator is the published one (values of the reference implementation
 * seeded by splitmix64), and what is drawn from it has the right shape.
 */
#include <math.h>
#include <stdbool.h>

#include "edgewise/common.h"
#include "edgewise/rng.h"

#include "ew_cmocka.h"

/* splitmix64 from seed 0 gives these; Vigna's splitmix64.c. */
static void seeding_is_splitmix64(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_seed(&rng, 0);
    assert_true(rng.state[0] == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(rng.state[1] == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(rng.state[2] == UINT64_C(0x06c45d188009454f));
    assert_true(rng.state[3] == UINT64_C(0xf88bb8a8724c81ec));
}

/* xoshiro256** from the state 1, 2, 3, 4, worked out from its definition. */
static void it_is_xoshiro256_starstar(void **state)
{
    (void)state;
    struct ew_rng rng = {{1, 2, 3, 4}};
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(expected); i++) {
        assert_true(ew_rng_next(&rng) == expected[i]);
    }
}

static void a_seed_is_a_sequence(void **state)
{
    (void)state;
    struct ew_rng a;
    struct ew_rng b;
    struct ew_rng c;
    ew_rng_seed(&a, 49);
    ew_rng_seed(&b, 49);
    ew_rng_seed(&c, 50);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t value = ew_rng_next(&a);
        assert_true(value == ew_rng_next(&b));
        same += value == ew_rng_next(&c);
    }
    assert_int_equal(same, 0);
}

static void below_is_uniform(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_seed(&rng, 7);
    int counts[6] = {0};
    for (int i = 0; i < 60000; i++) {
        uint64_t value = ew_rng_below(&rng, 6);
        assert_in_range(value, 0, 5);
        counts[value]++;
    }
    for (size_t i = 0; i < EW_ARRAY_LEN(counts); i++) {
        assert_in_range(counts[i], 9600, 10400); /* over 4 sigma */
    }
    assert_int_equal(ew_rng_below(&rng, 1), 0);
    for (int i = 0; i < 100; i++) {
        uint64_t huge = (UINT64_C(1) << 63) + 1;
        assert_true(ew_rng_below(&rng, huge) < huge);
    }
}

static void unit_and_normal_have_their_moments(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct ew_rng rng;
    ew_rng_seed(&rng, 3);
    double unit = 0;
    double mean = 0;
    double square = 0;
    for (int i = 0; i < N; i++) {
        double u = ew_rng_unit(&rng);
        assert_true(u >= 0 && u < 1);
        unit += u;
        double z = ew_rng_normal(&rng);
        assert_true(isfinite(z));
        mean += z;
        square += z * z;
    }
    assert_true(fabs(unit / N - 0.5) < 0.005);
    assert_true(fabs(mean / N) < 0.02);
    assert_true(fabs(square / N - 1) < 0.03);
}

static void shuffling_loses_nothing(void **state)
{
    (void)state;
    struct ew_rng rng;
    ew_rng_seed(&rng, 11);
    int first_at_front = 0;
    for (int round = 0; round < 3000; round++) {
        uint32_t values[10];
        bool seen[10] = {0};
        for (uint32_t i = 0; i < 10; i++) {
            values[i] = i;
        }
        ew_rng_shuffle_u32(&rng, values, 10);
        for (size_t i = 0; i < 10; i++) {
            assert_in_range(values[i], 0, 9);
            assert_false(seen[values[i]]);
            seen[values[i]] = true;
        }
        first_at_front += values[0] == 0;
    }
    assert_in_range(first_at_front, 220, 380);
    ew_rng_shuffle_u32(&rng, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeding_is_splitmix64),
        cmocka_unit_test(it_is_xoshiro256_starstar),
        cmocka_unit_test(a_seed_is_a_sequence),
        cmocka_unit_test(below_is_uniform),
        cmocka_unit_test(unit_and_normal_have_their_moments),
        cmocka_unit_test(shuffling_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
