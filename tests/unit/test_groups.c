/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of nodes, the shipped labels, and errors in label files. */
#include <stdlib.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/groups.h"
#include "edgewise/names.h"

#include "ew_cmocka.h"

static struct ew_graph *make_graph(int layers, int heads, bool mlp)
{
    struct ew_err err = {0};
    struct ew_graph_spec spec = {
        .n_layers = layers, .n_heads = heads, .has_mlp = mlp};
    struct ew_graph *g = ew_graph_create(&spec, &err);
    assert_non_null(g);
    return g;
}

static uint32_t sender(const struct ew_graph *g, const char *name)
{
    struct ew_err err = {0};
    uint32_t s;
    uint32_t r;
    assert_true(ew_node_parse(g, name, &s, &r, &err));
    return s;
}

static struct ew_groups *load(const struct ew_graph *g, const char *name,
                              struct ew_err *err)
{
    char *path = ew_groups_locate(name, err);
    struct ew_groups *groups = path ? ew_groups_load(path, g, err) : NULL;
    free(path);
    return groups;
}

static size_t n_labelled(const struct ew_graph *g, const struct ew_groups *all)
{
    size_t n = 0;
    for (uint32_t s = 0; s < ew_graph_n_senders(g); s++) {
        n += ew_groups_of(all, s) != NULL;
    }
    return n;
}

static void published_circuits_have_their_heads(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_graph *gpt2 = make_graph(12, 12, true);
    struct ew_groups *ioi = load(gpt2, "ioi", &err);
    assert_non_null(ioi);
    assert_int_equal(ew_groups_n(ioi), 7);
    assert_int_equal(n_labelled(gpt2, ioi), 26);
    assert_string_equal(ew_groups_of(ioi, sender(gpt2, "a9.h9"))->name,
                        "name mover");
    assert_string_equal(ew_groups_of(ioi, sender(gpt2, "a10.h7"))->short_name,
                        "NN");
    assert_null(ew_groups_of(ioi, sender(gpt2, "a9.h8")));
    struct ew_groups *greater = load(gpt2, "greater-than", &err);
    assert_non_null(greater);
    assert_int_equal(n_labelled(gpt2, greater), 17);
    struct ew_graph *small = make_graph(4, 8, false);
    struct ew_groups *docstring = load(small, "docstring", &err);
    assert_non_null(docstring);
    assert_int_equal(n_labelled(small, docstring), 8);
    for (int i = 0; ew_groups_shipped(i); i++) { /* each says where from */
        struct ew_groups *any =
            load(i == 2 ? small : gpt2, ew_groups_shipped(i), &err);
        assert_true(*ew_groups_source(any) != '\0');
        ew_groups_destroy(any);
    }
    ew_groups_destroy(ioi);
    ew_groups_destroy(greater);
    ew_groups_destroy(docstring);
    ew_graph_destroy(gpt2);
    ew_graph_destroy(small);
}

static void another_shape_is_refused(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_graph *g = make_graph(2, 8, false);
    assert_null(load(g, "ioi", &err));
    assert_non_null(strstr(err.message, "12 layers"));
    assert_null(load(g, "no-such-labels", &err));
    ew_graph_destroy(g);
}

static void errors_name_the_field(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"{}", "groups"},
        {"{\"groups\": [{}]}", "groups[0]: name"},
        {"{\"groups\": [{\"name\": \"x\"}]}", "groups[0].nodes"},
        {"{\"groups\": [{\"name\": \"x\", \"nodes\": [\"a0.h0\", "
         "\"a7.h1\"]}]}",
         "nodes[1]"},
        {"{\"groups\": [{\"name\": \"x\", \"nodes\": [\"logits\"]}]}",
         "nodes[0]"},
        {"{\"groups\": [{\"name\": \"x\", \"colour\": \"pinkish\", "
         "\"nodes\": []}]}",
         "pinkish"},
        {"{\"groups\": [{\"name\": 3, \"nodes\": []}]}", "name"},
    };
    struct ew_graph *g = make_graph(2, 8, false);
    static const char path[] = "/tmp/edgewise-test-labels.json";
    for (size_t i = 0; i < EW_ARRAY_LEN(wrong); i++) {
        struct ew_err err = {0};
        assert_true(
            ew_file_write(path, wrong[i][0], strlen(wrong[i][0]), &err));
        assert_null(ew_groups_load(path, g, &err));
        assert_non_null(strstr(err.message, wrong[i][1]));
    }
    remove(path);
    ew_graph_destroy(g);
}

static void groups_survive_a_file_and_a_copy(void **state)
{
    (void)state;
    struct ew_err err = {0};
    struct ew_graph *g = make_graph(2, 4, true);
    struct ew_groups *groups = ew_groups_create(g);
    ew_groups_put(groups, sender(g, "a0.h1"), "previous token");
    ew_groups_put(groups, sender(g, "m1"), "late");
    ew_groups_put(groups, sender(g, "a0.h2"), "late");
    ew_groups_put(groups, sender(g, "a0.h2"), "");
    struct ew_groups *copy = ew_groups_clone(groups);
    char *text = ew_groups_to_json(copy);
    static const char path[] = "/tmp/edgewise-test-groups.json";
    assert_true(ew_file_write(path, text, strlen(text), &err));
    struct ew_groups *back = ew_groups_load(path, g, &err);
    remove(path);
    assert_non_null(back);
    const struct ew_group *group = ew_groups_of(back, sender(g, "a0.h1"));
    assert_string_equal(group->name, "previous token");
    assert_string_equal(group->short_name, "PT");
    assert_string_equal(ew_groups_of(back, sender(g, "m1"))->name, "late");
    assert_null(ew_groups_of(back, sender(g, "a0.h2")));
    free(text);
    ew_groups_destroy(groups);
    ew_groups_destroy(copy);
    ew_groups_destroy(back);
    ew_graph_destroy(g);
}

static void short_names_are_whole_characters(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *text;
    } cases[] = {
        {"name mover", "NM"},
        {"late", "LA"},
        {"x", "X"},
        {"\xc3\xa9vier t\xc3\xaate", "\xc3\xa9T"},
        {"t\xc3\xaate \xc3\xa9vier", "T\xc3\xa9"},
        {"\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5\xe6\x9c\xac"},
    };
    struct ew_graph *g = make_graph(2, 4, true);
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        struct ew_groups *groups = ew_groups_create(g);
        ew_groups_put(groups, sender(g, "m1"), cases[i].name);
        const struct ew_group *group = ew_groups_of(groups, sender(g, "m1"));
        assert_string_equal(group->short_name, cases[i].text);
        ew_groups_destroy(groups);
    }
    ew_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_circuits_have_their_heads),
        cmocka_unit_test(another_shape_is_refused),
        cmocka_unit_test(errors_name_the_field),
        cmocka_unit_test(groups_survive_a_file_and_a_copy),
        cmocka_unit_test(short_names_are_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
