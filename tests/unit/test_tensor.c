/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tensor layer: its module, making and reading, views and what they
 * share, errors and who reports them, handles that are all given back.
 */
#include <pthread.h>

#include "edgewise/cancel.h"

#include "tensor_fixture.h"

/* ---- the module ---- */

static void a_scope_before_loading_has_failed(void **state)
{
    assert_false(ew_torch_loaded());
    assert_string_equal(ew_torch_version(), "");
    struct ew_scope *s = begin();
    assert_null(ew_full(s, 1, SHAPE(2)));
    end_failed(s, EW_ERR_BACKEND, "not loaded");
}

static void *load(void *data)
{
    struct ew_err err = {0};
    bool ok = ew_torch_load(&err);
    if (!ok) {
        fprintf(stderr, "%s\n", err.message);
    }
    *(bool *)data = ok;
    return NULL;
}

static void several_threads_may_load(void **state)
{
    pthread_t threads[3];
    bool ok[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, load, &ok[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_true(ok[i]);
    }
    assert_true(ew_torch_loaded());
    assert_non_null(strstr(ew_torch_version(), "."));
    assert_true(ew_torch_memory(cpu) > 1 << 20);
    assert_int_equal(ew_torch_live(), 0);
    ew_torch_seed(7);
}

static void threads_can_be_set(void **state)
{
    ew_torch_set_threads(0);
    assert_true(ew_torch_threads() >= 1);
    ew_torch_set_threads(1);
    assert_int_equal(ew_torch_threads(), 1);
    ew_torch_set_threads(3);
    assert_int_equal(ew_torch_threads(), 3);
}

/* ---- making and reading ---- */

static void made_tensors_have_shape_type_and_values(void **state)
{
    struct ew_scope *s = begin();
    tensor t = ew_from_f32(s, FLOATS(1, 2, 3, 4, 5, 6), SHAPE(2, 3));
    assert_shape(t, SHAPE(2, 3));
    assert_int_equal(ew_dim(t, -1), 3);
    assert_int_equal(ew_dim(t, 2), 0);
    assert_int_equal(ew_numel(t), 6);
    assert_int_equal(ew_tensor_dtype(t), EW_F32);
    assert_true(ew_data_f32(t)[5] == 6.0f);
    assert_null(ew_data_f32(ew_transpose(s, t, 0, 1)));
    ASSERT_VALUES(s, ew_full(s, 2.5, SHAPE(2)), 2.5f, 2.5f);
    assert_shape(ew_empty(s, SHAPE(0, 4)), SHAPE(0, 4));
    ASSERT_VALUES(s, ew_arange(s, -1, 2), -1, 0, 1);
    assert_true(ew_item(s, ew_full(s, 3, 0, NULL)) == 3.0);

    int64_t ids[] = {5, -6};
    int64_t back[2] = {0};
    tensor i = ew_from_i64(s, ids, SHAPE(2));
    assert_int_equal(ew_tensor_dtype(i), EW_I64);
    assert_true(ew_read_i64(s, i, back, 2));
    assert_memory_equal(ids, back, sizeof(ids));
    float floats[2];
    assert_true(ew_read_f32(s, i, floats, 2));
    assert_true(floats[1] == -6.0f);
    tensor wide = ew_to(s, i, EW_F64);
    assert_int_equal(ew_tensor_dtype(wide), EW_F64);
    assert_int_equal(ew_dtype_size(EW_F64), 8);
    end(s);

    assert_int_equal(ew_ndim(NULL), 0);
    assert_int_equal(ew_dim(NULL, 0), 0);
    assert_int_equal(ew_numel(NULL), 0);
    assert_null(ew_data_f32(NULL));
    assert_null(ew_keep(NULL));
    ew_tensor_unref(NULL);
}

static void borrowed_bytes_may_lie_anywhere(void **state)
{
    static const struct {
        enum ew_dtype dtype;
        unsigned char bytes[16]; /* 1.5, -2.0 */
    } cases[] = {
        {EW_F32, {0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0}},
        {EW_F16, {0, 0x3e, 0, 0xc0}},
        {EW_BF16, {0xc0, 0x3f, 0, 0xc0}},
        {EW_F64,
         {0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0}},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(cases); i++) {
        for (size_t shift = 0; shift < 8; shift++) {
            _Alignas(16) unsigned char room[32];
            memcpy(room + shift, cases[i].bytes, sizeof(cases[i].bytes));
            struct ew_scope *s = begin();
            tensor t = ew_borrow(s, room + shift, cases[i].dtype, SHAPE(2));
            assert_int_equal(ew_tensor_dtype(t), cases[i].dtype);
            ASSERT_VALUES(s, ew_to(s, t, EW_F32), 1.5f, -2.0f);
            end(s);
        }
    }
    float here[2] = {1, 2};
    struct ew_scope *s = begin();
    assert_ptr_equal(ew_data_f32(ew_borrow(s, here, EW_F32, SHAPE(2))), here);
    end(s);
}

/* ---- views ---- */

static void views_show_the_right_elements(void **state)
{
    struct ew_scope *s = begin();
    tensor t = ew_from_f32(s, FLOATS(0, 1, 2, 3, 4, 5), SHAPE(2, 3));
    assert_shape(ew_reshape(s, t, SHAPE(-1, 2)), SHAPE(3, 2));
    tensor p = ew_permute(s, t, 2, (int[]){1, 0});
    assert_shape(p, SHAPE(3, 2));
    ASSERT_VALUES(s, p, 0, 3, 1, 4, 2, 5);
    ASSERT_VALUES(s, ew_transpose(s, t, 0, 1), 0, 3, 1, 4, 2, 5);
    ASSERT_VALUES(s, ew_narrow(s, t, 1, 1, 2), 1, 2, 4, 5);
    assert_shape(ew_select(s, t, 0, 1), SHAPE(3));
    ASSERT_VALUES(s, ew_select(s, t, 0, 1), 3, 4, 5);
    ASSERT_VALUES(s, ew_select(s, t, -1, -1), 2, 5);
    tensor u = ew_unsqueeze(s, t, 1);
    assert_shape(u, SHAPE(2, 1, 3));
    assert_shape(ew_squeeze(s, u, 1), SHAPE(2, 3));
    assert_shape(ew_expand(s, u, SHAPE(-1, 4, -1)), SHAPE(2, 4, 3));
    ASSERT_VALUES(s, ew_contiguous(s, p), 0, 3, 1, 4, 2, 5);
    end(s);
}

static void views_share_memory_and_copies_do_not(void **state)
{
    struct ew_scope *s = begin();
    tensor t = ew_full(s, 0, SHAPE(2, 3));
    tensor copy = ew_clone(s, t);
    tensor column = ew_select(s, t, 1, 1);
    tensor row = ew_narrow(s, ew_transpose(s, t, 0, 1), 1, 1, 1);
    ew_copy_into(s, column, ew_full(s, 5, SHAPE(1)));
    ASSERT_VALUES(s, t, 0, 5, 0, 0, 5, 0);
    ew_add_into(s, row, ew_full(s, 1, SHAPE(1)), 2);
    ASSERT_VALUES(s, t, 0, 5, 0, 2, 7, 2);
    ew_mul_into(s, ew_narrow(s, t, 1, 1, 2),
                ew_from_f32(s, FLOATS(10, 100), SHAPE(2)));
    ASSERT_VALUES(s, t, 0, 50, 0, 2, 70, 200);
    ew_add_into(s, ew_reshape(s, t, SHAPE(6)), ew_arange(s, 0, 6), -1);
    ASSERT_VALUES(s, t, 0, 49, -2, -1, 66, 195);
    ASSERT_VALUES(s, copy, 0, 0, 0, 0, 0, 0);
    end(s);
}

static void joining_and_picking(void **state)
{
    struct ew_scope *s = begin();
    tensor a = ew_from_f32(s, FLOATS(1, 2, 3, 4), SHAPE(2, 2));
    tensor b = ew_from_f32(s, FLOATS(5, 6), SHAPE(2, 1));
    ASSERT_VALUES(s, ew_cat(s, (tensor[]){a, b}, 2, 1), 1, 2, 5, 3, 4, 6);
    tensor stacked = ew_stack(s, (tensor[]){a, a}, 2, 0);
    assert_shape(stacked, SHAPE(2, 2, 2));

    tensor index = ew_from_i64(s, (int64_t[]){1, 0, 1}, SHAPE(3));
    ASSERT_VALUES(s, ew_index_select(s, a, 1, index), 2, 1, 2, 4, 3, 4);
    tensor at = ew_from_i64(s, (int64_t[]){1, 0}, SHAPE(2, 1));
    ASSERT_VALUES(s, ew_gather(s, a, 1, at), 2, 3);
    tensor rows = ew_embedding(s, a, at);
    assert_shape(rows, SHAPE(2, 1, 2));
    ASSERT_VALUES(s, rows, 3, 4, 1, 2);

    tensor values;
    tensor indices;
    tensor t = ew_from_f32(s, FLOATS(3, 9, 7, 8, 1, 2), SHAPE(2, 3));
    assert_true(ew_topk(s, t, 2, &values, &indices));
    ASSERT_VALUES(s, values, 9, 7, 8, 2);
    ASSERT_VALUES(s, indices, 1, 2, 0, 2);
    end(s);
}

/* ---- errors ---- */

static void the_first_error_stays(void **state)
{
    struct ew_scope *s = begin();
    tensor a = ew_full(s, 1, SHAPE(2, 3));
    tensor b = ew_full(s, 1, SHAPE(4, 5));
    tensor c = ew_matmul(s, a, b);
    assert_null(c);
    assert_false(ew_scope_ok(s));
    assert_null(ew_add(s, a, c));
    assert_null(ew_add(s, a, a)); /* nothing runs any more */
    ew_add_into(s, a, a, 1);
    assert_true(ew_item(s, a) == 0);
    ew_scope_fail(s, EW_ERR_FAILED, "later");
    assert_true(ew_data_f32(a)[0] == 1.0f);
    end_failed(s, EW_ERR_BACKEND, "ew_matmul (2, 3), (4, 5): ");
}

static void a_missing_tensor_is_an_error(void **state)
{
    struct ew_scope *s = begin();
    assert_null(ew_add(s, ew_full(s, 1, SHAPE(1)), NULL));
    end_failed(s, EW_ERR_FAILED, "ew_add: missing tensor");
    s = begin();
    tensor one = ew_full(s, 1, SHAPE(1));
    assert_null(ew_cat(s, (tensor[]){one, NULL}, 2, 0));
    end_failed(s, EW_ERR_FAILED, "ew_cat: missing tensor");
    s = begin();
    ew_scope_fail(s, EW_ERR_INPUT, "%s of %d", "two", 7);
    end_failed(s, EW_ERR_INPUT, "two of 7");
}

static void no_exception_gets_out(void **state)
{
    struct ew_scope *s = begin();
    assert_null(ew_reshape(s, ew_full(s, 0, SHAPE(2, 3)), SHAPE(4)));
    end_failed(s, EW_ERR_BACKEND, "ew_reshape (2, 3): ");
    s = begin();
    float out[2];
    assert_false(ew_read_f32(s, ew_full(s, 0, SHAPE(3)), out, 2));
    end_failed(s, EW_ERR_BACKEND, "has 3 elements, not 2");
    s = begin();
    tensor ids = ew_from_i64(s, (int64_t[]){9}, SHAPE(1));
    assert_null(ew_embedding(s, ew_full(s, 0, SHAPE(3, 2)), ids));
    end_failed(s, EW_ERR_BACKEND, "ew_embedding (3, 2), (1): ");
    s = begin();
    assert_null(ew_empty(s, SHAPE(1, 1, 1, 1, 1, 1, 1)));
    end_failed(s, EW_ERR_BACKEND, "7 dimensions");
    s = begin();
    assert_null(ew_full(s, 0, SHAPE(1 << 20, 1 << 20, 1 << 10)));
    end_failed(s, EW_ERR_NOMEM, "ew_full");
    s = begin();
    tensor dst = ew_full(s, 0, SHAPE(2, 2));
    ew_addmm_into(s, dst, dst, ew_full(s, 0, SHAPE(3, 2)), 1);
    end_failed(s, EW_ERR_BACKEND, "ew_addmm_into (2, 2), (2, 2), (3, 2): ");
    if (!ew_torch_has_cuda()) {
        live_before = ew_torch_live();
        s = ew_scope_open((struct ew_device){.cuda = true});
        assert_true(ew_scope_device(s).cuda);
        assert_null(ew_full(s, 0, SHAPE(2)));
        end_failed(s, EW_ERR_BACKEND, "ew_full");
    }
}

static void cancelling_is_an_error_of_the_scope(void **state)
{
    struct ew_cancel *token = ew_cancel_create();
    struct ew_scope *s = begin();
    assert_false(ew_scope_cancelled(s, NULL));
    assert_false(ew_scope_cancelled(s, token));
    ew_cancel_raise(token);
    assert_true(ew_scope_cancelled(s, token));
    assert_null(ew_full(s, 0, SHAPE(1)));
    end_failed(s, EW_ERR_CANCELLED, "");
    ew_cancel_destroy(token);
}

/* ---- handles ---- */

static void handles_are_given_back(void **state)
{
    long before = ew_torch_live();
    struct ew_scope *s = ew_scope_open(cpu);
    for (int i = 0; i < 50; i++) { /* more than a scope starts with */
        ew_full(s, i, SHAPE(3));
    }
    tensor kept = ew_keep(ew_full(s, 6, SHAPE(2)));
    tensor dropped = ew_full(s, 1, SHAPE(2));
    assert_int_equal(ew_torch_live(), before + 52);
    ew_drop(s, dropped);
    ew_drop(s, NULL);
    assert_int_equal(ew_torch_live(), before + 51);
    assert_true(ew_scope_finish(s, NULL));
    assert_int_equal(ew_torch_live(), before + 1);

    live_before = before;
    s = ew_scope_open(cpu);
    assert_ptr_equal(ew_adopt(s, kept), kept);
    assert_null(ew_adopt(s, NULL));
    ASSERT_VALUES(s, kept, 6, 6);
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scope_before_loading_has_failed),
        cmocka_unit_test(several_threads_may_load),
        cmocka_unit_test(threads_can_be_set),
        cmocka_unit_test(made_tensors_have_shape_type_and_values),
        cmocka_unit_test(borrowed_bytes_may_lie_anywhere),
        cmocka_unit_test(views_show_the_right_elements),
        cmocka_unit_test(views_share_memory_and_copies_do_not),
        cmocka_unit_test(joining_and_picking),
        cmocka_unit_test(the_first_error_stays),
        cmocka_unit_test(a_missing_tensor_is_an_error),
        cmocka_unit_test(no_exception_gets_out),
        cmocka_unit_test(cancelling_is_an_error_of_the_scope),
        cmocka_unit_test(handles_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
