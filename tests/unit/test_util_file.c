/* SPDX-License-Identifier: Apache-2.0 */
/* Maps, whole files, and writes that never leave half a file. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "edgewise/file.h"
#include "edgewise/mem.h"

#include "ew_cmocka.h"

struct fixture {
    char dir[64];
    char *path; /* a file in it that is not there */
};

static int setup(void **state)
{
    struct fixture *f = ew_xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/ew-file-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = ew_xasprintf("%s/out.json", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    chmod(f->dir, 0700);
    unlink(f->path);
    rmdir(f->dir);
    free(f->path);
    free(f);
    return 0;
}

static size_t files_in(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    while (d && readdir(d)) {
        n++;
    }
    closedir(d);
    return n - 2;
}

static void write_then_read_and_map(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    assert_true(ew_file_write(f->path, "one\0two", 7, &err));
    assert_true(ew_file_write(f->path, "three", 5, &err)); /* replaces */
    assert_int_equal(files_in(f->dir), 1);

    struct ew_buf text = {0};
    ew_buf_add(&text, ">");
    assert_true(ew_file_read(&text, f->path, &err));
    assert_string_equal(ew_buf_str(&text), ">three");
    ew_buf_finish(&text);

    struct ew_map map = {0};
    assert_true(ew_map_open(&map, f->path, &err));
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.base, "three", 5);
    ew_map_close(&map);
    assert_null(map.base);
    ew_map_close(&map);
}

static void results_are_as_public_as_any_file(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    mode_t old = umask(022);
    assert_true(ew_file_write(f->path, "x", 1, &err));
    umask(old);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    assert_false(ew_file_write("/nonexistent/dir/x", "x", 1, &err));
    assert_int_equal(err.code, EW_ERR_IO);
    assert_non_null(strstr(err.message, "/nonexistent/dir/x"));
    /* a folder in the way: the temporary file goes */
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_false(ew_file_write(f->path, "x", 1, &err));
    assert_int_equal(files_in(f->dir), 1);
    rmdir(f->path);
}

static void what_cannot_be_mapped_is_told(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    struct ew_map map = {0};
    assert_false(ew_map_open(&map, f->path, &err));
    assert_int_equal(err.code, EW_ERR_IO);
    assert_non_null(strstr(err.message, f->path));
    assert_true(ew_file_write(f->path, "", 0, &err));
    assert_false(ew_map_open(&map, f->path, &err));
    assert_int_equal(err.code, EW_ERR_INPUT);
    assert_false(ew_map_open(&map, f->dir, &err));
    assert_int_equal(err.code, EW_ERR_IO);
}

static void what_cannot_be_read_is_told(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    struct ew_buf text = {0};
    assert_false(ew_file_read(&text, f->path, &err));
    assert_int_equal(err.code, EW_ERR_IO);
    assert_false(ew_file_read(&text, f->dir, &err));
    assert_non_null(strstr(err.message, f->dir));
    ew_buf_finish(&text);
}

static void a_long_file_is_read_whole(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    enum { LEN = 1000003 };
    char *bytes = ew_xcalloc(LEN, 1);
    for (size_t i = 0; i < LEN; i++) {
        bytes[i] = (char)(i * 31 + i / 251);
    }
    assert_true(ew_file_write(f->path, bytes, LEN, &err));
    struct ew_buf text = {0};
    assert_true(ew_file_read(&text, f->path, &err));
    assert_int_equal(text.len, LEN);
    assert_memory_equal(text.data, bytes, LEN);
    ew_buf_finish(&text);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(write_then_read_and_map, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(results_are_as_public_as_any_file,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_the_old_file,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_mapped_is_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_long_file_is_read_whole, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
