/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Circuits: counts under any changes, and every revision of a tree of changes
 * found again.
 */
#include <math.h>
#include <string.h>

#include "circuits.h"

/* ---- changes ---- */

static void test_fresh(void **state)
{
    (void)state;
    struct ew_graph *g = small();
    struct ew_circuit *c = ew_circuit_create(g);
    assert_ptr_equal(ew_circuit_graph(c), g);
    assert_int_equal(ew_circuit_n_kept(c), ew_graph_n_edges(g));
    check_counts(c);
    assert_int_equal(ew_circuit_n_revisions(c), 1);
    assert_int_equal(ew_circuit_revision(c), 0);
    assert_false(ew_circuit_undo(c, NULL));
    assert_false(ew_circuit_redo(c, NULL));
    assert_true(isnan(ew_circuit_score(c, 0)));
    assert_true(isnan(ew_circuit_get_provenance(c)->threshold));
    assert_int_equal(ew_circuit_get_provenance(c)->sign, EW_SIGN_NEEDED);
    ew_circuit_destroy(c);
    ew_circuit_destroy(NULL);
    ew_graph_destroy(g);
}

static void test_groups(void **state)
{
    (void)state;
    struct ew_graph *g = small();
    struct ew_circuit *c = ew_circuit_create(g);
    const char *what = NULL;

    /* what cancels out leaves no revision */
    ew_circuit_begin(c, "nothing");
    ew_circuit_flip(c, 3);
    ew_circuit_put(c, 3, true);
    ew_circuit_put(c, 4, true);
    assert_int_equal(ew_circuit_end(c), 0);
    assert_int_equal(ew_circuit_n_revisions(c), 1);

    ew_circuit_begin(c, "knock out");
    ew_circuit_put(c, 9, false);
    ew_circuit_put(c, 2, false);
    ew_circuit_put(c, 2, false);
    ew_circuit_flip(c, 5);
    ew_circuit_flip(c, 5);
    assert_int_equal(ew_circuit_end(c), 2);
    struct ew_revision r = ew_circuit_get_revision(c, 1);
    assert_string_equal(r.what, "knock out");
    assert_int_equal(r.parent, 0);
    assert_int_equal(r.n_changes, 2);
    assert_int_equal(r.changes[0] + r.changes[1], 11);

    assert_true(ew_circuit_undo(c, &what));
    assert_string_equal(what, "knock out");
    assert_int_equal(ew_circuit_n_kept(c), ew_graph_n_edges(g));
    what = NULL;
    assert_true(ew_circuit_redo(c, &what));
    assert_string_equal(what, "knock out");
    assert_false(ew_circuit_has(c, 9));
    assert_false(ew_circuit_redo(c, NULL));

    /* alone, a change is its own revision */
    ew_circuit_flip(c, 9);
    ew_circuit_put(c, 9, true);
    assert_int_equal(ew_circuit_n_revisions(c), 3);
    check_counts(c);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

static void test_branches(void **state)
{
    (void)state;
    struct ew_graph *g = small();
    struct ew_circuit *c = ew_circuit_create(g);
    ew_circuit_put(c, 0, false); /* 1 */
    ew_circuit_put(c, 1, false); /* 2, on 1 */
    assert_true(ew_circuit_undo(c, NULL));
    ew_circuit_put(c, 2, false); /* 3, on 1 */
    assert_int_equal(ew_circuit_get_revision(c, 3).parent, 1);
    assert_true(ew_circuit_undo(c, NULL));
    assert_true(ew_circuit_redo(c, NULL)); /* the newest */
    assert_int_equal(ew_circuit_revision(c), 3);
    ew_circuit_checkout(c, 2);
    assert_false(ew_circuit_has(c, 0));
    assert_false(ew_circuit_has(c, 1));
    assert_true(ew_circuit_has(c, 2));
    /* redo undoes undo, on an older branch too */
    assert_true(ew_circuit_undo(c, NULL));
    assert_true(ew_circuit_redo(c, NULL));
    assert_int_equal(ew_circuit_revision(c), 2);
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

static void test_every_revision(void **state)
{
    (void)state;
    enum { ROUNDS = 400 };
    struct ew_graph *g = small();
    struct ew_circuit *c = ew_circuit_create(g);
    struct ew_bitset *seen[ROUNDS + 1] = {NULL};
    struct ew_rng rng;
    ew_rng_seed(&rng, 11);
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t now = ew_circuit_revision(c);
        if (!seen[now]) {
            seen[now] = ew_bitset_clone(ew_circuit_kept(c));
        }
        assert_true(ew_bitset_equal(seen[now], ew_circuit_kept(c)));
        act(c, &rng);
        check_counts(c);
    }
    assert_true(ew_circuit_n_revisions(c) > 100);
    for (uint32_t r = 0; r < ew_circuit_n_revisions(c); r++) {
        ew_circuit_checkout(c, r);
        assert_true(!seen[r] || ew_bitset_equal(seen[r], ew_circuit_kept(c)));
        ew_bitset_destroy(seen[r]);
    }
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

static void test_scores(void **state)
{
    (void)state;
    struct ew_graph *g = small();
    struct ew_circuit *c = ew_circuit_create(g);
    ew_circuit_set_score(c, 7, -0.25f);
    assert_true(ew_circuit_score(c, 7) == -0.25f);
    assert_true(isnan(ew_circuit_score(c, 8)));
    ew_circuit_set_score(c, 7, NAN);
    assert_true(isnan(ew_circuit_score(c, 7)));
    ew_circuit_set_score(c, 7, 1.0f);
    ew_circuit_forget_scores(c);
    assert_true(isnan(ew_circuit_score(c, 7)));
    ew_circuit_destroy(c);
    ew_graph_destroy(g);
}

static void test_provenance(void **state)
{
    (void)state;
    struct ew_graph *g = small();
    struct ew_circuit *a = ew_circuit_create(g);
    struct ew_circuit *b = ew_circuit_create(g);
    struct ew_provenance *p = ew_circuit_provenance(a);
    ew_provenance_set(&p->model, "one");
    ew_provenance_set(&p->model, "two");
    ew_provenance_set(&p->task, p->model);
    ew_provenance_set(&p->model, p->model); /* itself */
    p->threshold = 0.5;
    p->sign = EW_SIGN_HARMFUL;
    ew_circuit_copy_provenance(b, a);
    ew_circuit_destroy(a);
    const struct ew_provenance *q = ew_circuit_get_provenance(b);
    assert_string_equal(q->model, "two");
    assert_string_equal(q->task, "two");
    assert_null(q->metric);
    assert_true(q->threshold == 0.5);
    assert_int_equal(q->sign, EW_SIGN_HARMFUL);
    ew_circuit_destroy(b);
    ew_graph_destroy(g);
}

/* A clone says the same, of all revisions, and goes its own way. */
static void test_clone(void **state)
{
    (void)state;
    struct ew_graph *g = small();
    struct ew_circuit *c = ew_circuit_create(g);
    ew_circuit_begin(c, "first");
    ew_circuit_put(c, 9, false);
    ew_circuit_put(c, 2, false);
    ew_circuit_end(c);
    ew_circuit_begin(c, "second");
    ew_circuit_flip(c, 9);
    ew_circuit_end(c);
    ew_circuit_undo(c, NULL);
    ew_circuit_set_score(c, 4, 0.25f);
    ew_provenance_set(&ew_circuit_provenance(c)->model, "one");
    char *was = ew_circuit_to_json(c);
    struct ew_circuit *d = ew_circuit_clone(c);
    char *is = ew_circuit_to_json(d);
    assert_string_equal(is, was);
    free(is);
    assert_true(ew_circuit_redo(d, NULL));
    assert_true(ew_circuit_has(d, 9));
    ew_circuit_begin(d, "third");
    ew_circuit_flip(d, 5);
    ew_circuit_end(d);
    check_counts(d);
    is = ew_circuit_to_json(c);
    assert_string_equal(is, was);
    ew_circuit_destroy(c);
    assert_int_equal(ew_circuit_n_revisions(d), 4);
    assert_string_equal(ew_circuit_get_revision(d, 1).what, "first");
    free(is);
    free(was);
    ew_circuit_destroy(d);
    ew_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh),    cmocka_unit_test(test_groups),
        cmocka_unit_test(test_branches), cmocka_unit_test(test_every_revision),
        cmocka_unit_test(test_scores),   cmocka_unit_test(test_provenance),
        cmocka_unit_test(test_clone),
    };
    return cmocka_run_group_tests_name("circuit", tests, NULL, NULL);
}
