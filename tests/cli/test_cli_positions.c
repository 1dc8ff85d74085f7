/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise scan --edge`: where edges of the bundled induction model matter.
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

static const json_t *role(const json_t *edge, const char *name)
{
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(edge, "roles"), i, o)
    {
        if (strcmp(json_string_value(json_object_get(o, "role")), name) == 0) {
            return o;
        }
    }
    fail_msg("no role %s", name);
    return NULL;
}

static void edges_matter_where_they_should(void **state)
{
    (void)state;
    json_t *r =
        CLI_JSON("scan", MODEL, "-t", TASK, "--edge", "a1.h6->logits", "--edge",
                 "a0.h2->a1.h6<k>", "--positions", "--roles", "--json");
    assert_int_equal(json_array_size(r), 2);
    const json_t *logits = json_array_get(r, 0);
    const json_t *key = json_array_get(r, 1);
    assert_string_equal(json_string_value(json_object_get(logits, "edge")),
                        "a1.h6->logits");
    const json_t *positions = json_object_get(logits, "positions");
    assert_int_equal(json_array_size(positions), 17);
    assert_int_equal(json_array_size(json_object_get(logits, "roles")), 3);

    double all = number(json_object_get(logits, "all"), "effect");
    assert_true(cli_close_to(all, metric("a1.h6->logits") - metric(NULL), 1e-5,
                             1e-5, "all"));
    assert_true(all > 1);
    size_t i;
    json_t *o;
    json_array_foreach(positions, i, o)
    {
        bool last = i == 16; /* where the answer is read off */
        assert_true(number(o, "position") == (double)i);
        assert_true(json_is_string(json_object_get(o, "token")));
        assert_true(cli_close_to(number(o, "effect"), last ? all : 0, 1e-5,
                                 1e-5, "logits"));
        assert_true(last == (number(o, "error") > 1e-5));
    }
    const json_t *names =
        json_object_get(json_array_get(positions, 16), "roles");
    assert_string_equal(json_string_value(json_array_get(names, 0)), "END");
    assert_true(cli_close_to(number(role(logits, "END"), "effect"), all, 1e-5,
                             1e-5, "END"));

    /* the induction head finds the token after the match by its key there */
    all = number(json_object_get(key, "all"), "effect");
    double next = number(role(key, "NEXT"), "effect");
    assert_true(all > 0.1 && next > 0.5 * all);
    assert_true(fabs(number(role(key, "END"), "effect")) < 0.2 * all);
    json_decref(r);
}

static void it_is_a_table(void **state)
{
    (void)state;
    struct cli_result r =
        CLI("scan", MODEL, "-t", TASK, "--metric", "kl", "--edge",
            "a1.h6.v_in->a1.h6.v", "--roles", "--csv");
    assert_int_equal(r.status, 0);
    assert_true(strncmp(r.out, "edge,position,token,roles,effect,s.e.", 37) ==
                0);
    assert_non_null(strstr(r.out, "\na1.h6.v_in->a1.h6.v,all,,,"));
    assert_non_null(strstr(r.out, "\na1.h6.v_in->a1.h6.v,,,NEXT,"));
    assert_non_null(strstr(r.err, "kl without the edge"));
    cli_free(&r);
}

static void wrong_uses_are_told(void **state)
{
    (void)state;
    cli_expect_error(CLI("scan", MODEL, "-t", TASK, "--positions"), 2,
                     "--edge is needed");
    cli_expect_error(CLI("scan", MODEL, "-t", TASK, "--edge", "a1.h6->logits"),
                     2, "--positions or --roles is needed");
    cli_expect_error(CLI("scan", MODEL, "-t", TASK, "--edge", "a1.h6->logits",
                         "--roles", "--method", "eap"),
                     2, "are exact");
    cli_expect_error(
        CLI("scan", MODEL, "-t", TASK, "--edge", "a9.h6->logits", "--roles"), 3,
        "--edge");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_matter_where_they_should),
        cmocka_unit_test(it_is_a_table),
        cmocka_unit_test(wrong_uses_are_told),
    };
    return cmocka_run_group_tests(tests, cli_share_torch, NULL);
}
