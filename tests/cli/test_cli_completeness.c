/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise eval --completeness` and `--minimality`, against what eval says
 * of the circuits that they speak of.
 */
#include <math.h>
#include <string.h>

#include "edgewise/common.h"

#include "cli_run.h"
#include "ew_cmocka.h"

#define MODEL "induction-2l"
#define TASK "induction:n=4,k=8"

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) {
        fail_msg("%s is not a number", key);
    }
    return json_number_value(value);
}

static double metric(const char *cut)
{
    json_t *r =
        cut ? CLI_JSON("eval", MODEL, "-t", TASK, "--json", "--cut", cut)
            : CLI_JSON("eval", MODEL, "-t", TASK, "--json");
    double value = number(r, "circuit");
    json_decref(r);
    return value;
}

static void the_full_circuit_is_complete(void **state)
{
    (void)state;
    json_t *r = CLI_JSON("eval", MODEL, "-t", TASK, "--completeness", "--sets",
                         "3", "--json");
    assert_int_equal(json_array_size(json_object_get(r, "sets")), 5);
    assert_true(cli_close_to(number(r, "largest"), 0, 1e-5, 0, "largest"));
    json_decref(r);
}

static void a_circuit_with_a_hole_is_not(void **state)
{
    (void)state;
    const char *labels = cli_temp("labels.json");
    cli_write(labels, "{\"groups\": [{\"name\": \"previous\", \"nodes\": "
                      "[\"a0.h1\", \"a0.h2\"]}]}");
    json_t *r = CLI_JSON("eval", MODEL, "-t", TASK, "--cut", "a1.h6->logits",
                         "--completeness", "--labels", labels, "--sets", "2",
                         "--seed", "5", "--json");
    const json_t *sets = json_object_get(r, "sets");
    assert_int_equal(json_array_size(sets), 5);
    const json_t *none = json_array_get(sets, 0);
    const json_t *group = json_array_get(sets, 1);
    const json_t *greedy = json_array_get(sets, 4);
    double hole = metric("a1.h6->logits") - metric(NULL);
    assert_true(
        cli_close_to(number(none, "incompleteness"), hole, 1e-4, 0, "none"));
    assert_string_equal(json_string_value(json_object_get(group, "set")),
                        "previous");
    assert_int_equal(json_array_size(json_object_get(group, "nodes")), 2);
    double largest = 0;
    size_t i;
    json_t *set;
    json_array_foreach(sets, i, set)
    {
        double gap = fabs(number(set, "circuit") - number(set, "full"));
        assert_true(
            cli_close_to(number(set, "incompleteness"), gap, 1e-9, 0, "gap"));
        largest = gap > largest ? gap : largest;
    }
    assert_true(
        cli_close_to(number(r, "largest"), largest, 1e-9, 0, "largest"));
    assert_true(number(greedy, "incompleteness") >=
                number(none, "incompleteness"));
    json_decref(r);
}

static void minimality_is_at_least_the_effect(void **state)
{
    (void)state;
    json_t *r = CLI_JSON("eval", MODEL, "-t", TASK, "--only",
                         "input->a0.h2<v>,a0.h2->a1.h6<k>,input->a1.h6<v>,"
                         "input->a1.h6<q>,a1.h6->logits,a0.h2.q_in->a0.h2.q",
                         "--minimality", "--sets", "2", "--json");
    assert_int_equal(json_array_size(r), 6);
    double before = INFINITY;
    size_t i;
    json_t *item;
    json_array_foreach(r, i, item)
    {
        double size = number(item, "minimality");
        assert_true(size >= 0 && size <= before);
        assert_true(json_is_string(json_object_get(item, "set")));
        before = size;
    }
    json_decref(r);
    r = CLI_JSON("eval", MODEL, "-t", TASK, "--minimality", "--sets", "1",
                 "--json");
    double effect = metric("a1.h6->logits") - metric(NULL);
    json_array_foreach(r, i, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "edge")),
                   "a1.h6->logits") == 0) {
            assert_true(number(item, "minimality") >= effect - 1e-4);
            effect = NAN;
        }
    }
    assert_true(isnan(effect)); /* it was there */
    json_decref(r);
}

static void wrong_uses_are_told(void **state)
{
    (void)state;
    cli_expect_error(CLI("eval", MODEL, "-t", TASK, "--labels", "ioi"), 2,
                     "--completeness");
    cli_expect_error(
        CLI("eval", MODEL, "-t", TASK, "--completeness", "--minimality"), 2,
        "exclude each other");
    cli_expect_error(
        CLI("eval", MODEL, "-t", TASK, "--completeness", "--labels", "ioi"), 3,
        "--labels");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_full_circuit_is_complete),
        cmocka_unit_test(a_circuit_with_a_hole_is_not),
        cmocka_unit_test(minimality_is_at_least_the_effect),
        cmocka_unit_test(wrong_uses_are_told),
    };
    return cmocka_run_group_tests(tests, cli_share_torch, NULL);
}
