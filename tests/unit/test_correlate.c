/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rank correlations: by hand, against the definition on random values with
 * many equal ones, and what they do not depend on.
 */
#include <math.h>

#include "edgewise/correlate.h"
#include "edgewise/rng.h"

#include "ew_cmocka.h"

static void by_hand(void **state)
{
    (void)state;
    const double a[] = {1, 2, 3, 4};
    const double b[] = {10, 20, 40, 30};
    const double down[] = {4, 3, 2, 1};
    const double flat[] = {5, 5, 5, 5};
    assert_true(fabs(ew_spearman(a, b, 4) - 0.8) < 1e-12);
    assert_true(fabs(ew_kendall(a, b, 4) - 4.0 / 6) < 1e-12);
    assert_true(fabs(ew_spearman(a, down, 4) + 1) < 1e-12);
    assert_true(fabs(ew_kendall(a, down, 4) + 1) < 1e-12);
    assert_true(isnan(ew_spearman(a, flat, 4)));
    assert_true(isnan(ew_kendall(a, flat, 4)));
    /* ranks 1 2.5 2.5 4 and 1 2 3 4: 4.5 over the root of 4.5 times 5 */
    const double tied[] = {1, 2, 2, 3};
    assert_true(fabs(ew_spearman(tied, a, 4) - 4.5 / sqrt(22.5)) < 1e-12);
    assert_true(fabs(ew_kendall(tied, a, 4) - 5 / sqrt(30)) < 1e-12);
}

static int sign(double x)
{
    return (x > 0) - (x < 0);
}

/* tau-b by all pairs */
static double slow_kendall(const double *a, const double *b, size_t n)
{
    double sum = 0;
    double of_a = 0;
    double of_b = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            int x = sign(a[i] - a[j]);
            int y = sign(b[i] - b[j]);
            sum += x * y;
            of_a += x * x;
            of_b += y * y;
        }
    }
    return sum / sqrt(of_a * of_b);
}

static void by_definition(void **state)
{
    (void)state;
    enum { N = 97 };
    double a[N];
    double b[N];
    struct ew_rng rng;
    ew_rng_seed(&rng, 4);
    for (int round = 0; round < 20; round++) {
        uint64_t values = 3 + (uint64_t)round * 5; /* few: many are equal */
        for (size_t i = 0; i < N; i++) {
            a[i] = (double)ew_rng_below(&rng, values);
            b[i] = a[i] * (round % 3 - 1) + (double)ew_rng_below(&rng, values);
        }
        assert_true(fabs(ew_kendall(a, b, N) - slow_kendall(a, b, N)) < 1e-12);
        double rho = ew_spearman(a, b, N);
        assert_true(fabs(rho - ew_spearman(b, a, N)) < 1e-12);
        for (size_t i = 0; i < N; i++) {
            a[i] = exp(a[i] / 50); /* the order is the same */
        }
        assert_true(fabs(rho - ew_spearman(a, b, N)) < 1e-12);
    }
}

static void signs_and_the_largest(void **state)
{
    (void)state;
    const double a[] = {5, -4, 3, 0, 1};
    const double b[] = {-5, -4, 0.5, 3, 2};
    assert_int_equal(ew_sign_flips(a, b, 5), 1);
    assert_true(ew_top_jaccard(a, b, 5, 2) == 1);
    assert_true(ew_top_jaccard(a, b, 5, 3) == 2.0 / 4);
    assert_true(ew_top_jaccard(a, b, 5, 99) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(by_definition),
        cmocka_unit_test(signs_and_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
