/* SPDX-License-Identifier: Apache-2.0 */
/* Maps, whole files, and writes that never leave half a file. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void a_link_and_permissions_stay(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    struct stat st;
    char *link = ew_xasprintf("%s/latest.json", f->dir);
    assert_true(ew_file_write(f->path, "old", 3, &err));
    assert_int_equal(chmod(f->path, 0600), 0);
    assert_int_equal(symlink(f->path, link), 0);
    assert_true(ew_file_write(link, "newer", 5, &err));
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(lstat(f->path, &st), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(files_in(f->dir), 2);
    unlink(link);
    free(link);
}

static void a_pipe_is_written_into(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    struct stat st;
    char text[8] = {0};
    assert_int_equal(mkfifo(f->path, 0600), 0);
    int fd = open(f->path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    assert_true(ew_file_write(f->path, "three", 5, &err));
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    assert_string_equal(text, "three");
    close(fd);
    assert_int_equal(lstat(f->path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(files_in(f->dir), 1);
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

static void what_cannot_be_written_is_told_before(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    assert_true(ew_file_may_write("-", &err));
    assert_true(ew_file_may_write("/dev/null", &err));
    assert_true(ew_file_may_write(f->path, &err));
    assert_int_equal(files_in(f->dir), 0);
    assert_true(ew_file_write(f->path, "old", 3, &err));
    assert_true(ew_file_may_write(f->path, &err));
    assert_int_equal(files_in(f->dir), 1);
    assert_false(ew_file_may_write(f->dir, &err));
    assert_int_equal(err.code, EW_ERR_IO);
    assert_false(ew_file_may_write("/nonexistent/dir/x", &err));
    assert_non_null(strstr(err.message, "/nonexistent/dir/x: cannot write"));
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
        cmocka_unit_test_setup_teardown(a_link_and_permissions_stay, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_pipe_is_written_into, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_the_old_file,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_told_before,
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
