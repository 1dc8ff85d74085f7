/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics by name: every spelling, and what an unknown one is told. */
#include <string.h>

#include "edgewise/task.h"

#include "ew_cmocka.h"

static void names_are_read_back(void **state)
{
    (void)state;
    for (int m = 0; m < EW_N_METRICS; m++) {
        enum ew_metric found = EW_N_METRICS;
        struct ew_err err;
        assert_true(ew_metric_parse(ew_metric_name((enum ew_metric)m), &found,
                                    &err));
        assert_int_equal(found, m);
        assert_true(strlen(ew_metric_formula((enum ew_metric)m)) > 0);
    }
}

static void other_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum ew_metric metric;
    } cases[] = {
        {"kl", EW_METRIC_KL},
        {"KL", EW_METRIC_KL},
        {"logitdiff", EW_METRIC_LOGIT_DIFF},
        {"logit_diff", EW_METRIC_LOGIT_DIFF},
        {"ld", EW_METRIC_LOGIT_DIFF},
        {"nll", EW_METRIC_NLL},
        {"accuracy", EW_METRIC_ACCURACY},
        {"kl_mib", EW_METRIC_KL_MIB},
        {"greater-than", EW_METRIC_PROB_DIFF},
        {"prob_diff", EW_METRIC_PROB_DIFF},
        {"margin", EW_METRIC_DOCSTRING},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        enum ew_metric found = EW_N_METRICS;
        struct ew_err err;
        assert_true(ew_metric_parse(cases[i].text, &found, &err));
        assert_int_equal(found, cases[i].metric);
    }
}

static void unknown_names_list_the_known(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "klx", "k", "logit", " kl"};
    for (size_t i = 0; i < EW_ARRAY_LEN(wrong); i++) {
        enum ew_metric found = EW_METRIC_NLL;
        struct ew_err err = {0};
        assert_false(ew_metric_parse(wrong[i], &found, &err));
        assert_int_equal(err.code, EW_ERR_USAGE);
        for (int m = 0; m < EW_N_METRICS; m++) {
            assert_non_null(
                strstr(err.message, ew_metric_name((enum ew_metric)m)));
        }
        assert_int_equal(found, EW_METRIC_NLL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(other_spellings),
        cmocka_unit_test(unknown_names_list_the_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
