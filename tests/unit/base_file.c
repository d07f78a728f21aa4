#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/sha256.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/qvl_base_file_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

/* Removes the files and the folder; fails if something unexpected is left. */
static int remove_folder(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/a", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/link", folder);
    unlink(path);
    return rmdir(folder);
}

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int count_entries(void)
{
    int count = 0;
    DIR *handle = opendir(folder);
    while (readdir(handle))
        count++;
    closedir(handle);
    return count - 2;
}

static void paths(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"a", "/b", "/b"}, {"/", "b", "/b"}};
    char *path;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(qvl_path_join(cases[i][0], cases[i][1], &path, NULL), QVL_OK);
        assert_string_equal(path, cases[i][2]);
        free(path);
    }
    static const char *const folders[][2] = {{"a/b/c", "a/b"}, {"c", "."}, {"/c", "/"}};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        assert_int_equal(qvl_path_folder(folders[i][0], &path, NULL), QVL_OK);
        assert_string_equal(path, folders[i][1]);
        free(path);
    }
}

static void write_read_map(void **state)
{
    (void)state;
    static const char text[] = "one\0two";
    struct qvl_error error = {0};
    char *data;
    size_t size;
    assert_int_equal(qvl_file_write(in_folder("a"), text, 7, &error), QVL_OK);
    assert_int_equal(count_entries(), 1);
    assert_true(qvl_file_exists(in_folder("a")));
    assert_false(qvl_folder_exists(in_folder("a")));
    assert_true(qvl_folder_exists(folder));
    assert_false(qvl_file_exists(folder));

    assert_int_equal(qvl_file_read(in_folder("a"), 7, &data, &size, &error), QVL_OK);
    assert_int_equal(size, 7);
    assert_memory_equal(data, text, 8); /* the eighth is the terminator */
    free(data);
    assert_int_equal(qvl_file_read(in_folder("a"), 6, &data, &size, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "/a: 7 bytes, longer than the 6"));

    struct qvl_file_map *map;
    assert_int_equal(qvl_file_map_create(in_folder("a"), &map, &error), QVL_OK);
    assert_int_equal(map->size, 7);
    assert_memory_equal(map->data, text, 7);
    qvl_file_map_destroy(map);
    qvl_file_map_destroy(NULL);

    assert_int_equal(qvl_file_write(in_folder("a"), "", 0, &error), QVL_OK);
    assert_int_equal(qvl_file_map_create(in_folder("a"), &map, &error), QVL_OK);
    assert_int_equal(map->size, 0);
    assert_non_null(map->data);
    qvl_file_map_destroy(map);
}

static void read_failures(void **state)
{
    (void)state;
    struct qvl_error error = {0};
    struct qvl_file_map *map;
    char *data;
    size_t size;
    assert_int_equal(qvl_file_read(in_folder("none"), 9, &data, &size, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "/none: no such file"));
    assert_int_equal(qvl_file_map_create(folder, &map, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "is a folder"));
    assert_int_equal(qvl_file_map_create("/dev/null", &map, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "/dev/null: not a regular file"));
    assert_int_equal(qvl_file_read("/dev/zero", 100000, &data, &size, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "longer than the 100000 bytes"));
}

static void abort_leaves_the_old_file(void **state)
{
    (void)state;
    struct qvl_error error = {0};
    struct qvl_file_writer *writer;
    char *data;
    size_t size;
    assert_int_equal(qvl_file_write(in_folder("a"), "old", 3, &error), QVL_OK);
    assert_int_equal(qvl_file_writer_open(in_folder("a"), &writer, &error), QVL_OK);
    assert_int_equal(qvl_file_writer_append(writer, "newer", 5, &error), QVL_OK);
    assert_int_equal(count_entries(), 2);
    qvl_file_writer_abort(writer);
    qvl_file_writer_abort(NULL);
    assert_int_equal(count_entries(), 1);
    assert_int_equal(qvl_file_read(in_folder("a"), 99, &data, &size, &error), QVL_OK);
    assert_string_equal(data, "old");
    free(data);
}

static void write_failures(void **state)
{
    (void)state;
    struct qvl_error error = {0};
    assert_int_equal(qvl_file_write(in_folder("none/b"), "x", 1, &error), QVL_IO);
    assert_non_null(strstr(error.message, "/none/b: cannot create"));
    assert_int_equal(qvl_file_write(folder, "x", 1, &error), QVL_IO);
    assert_non_null(strstr(error.message, "is a folder"));
    assert_int_equal(qvl_file_write("/dev/full", "x", 1, &error), QVL_IO);
    assert_non_null(strstr(error.message, "/dev/full: cannot write: No space left"));
}

/* A device is written to, never replaced; a symbolic link stays a link. */
static void special_targets(void **state)
{
    (void)state;
    struct qvl_error error = {0};
    struct stat info;
    char target[128];
    char *data;
    size_t size;
    assert_int_equal(qvl_file_write("/dev/null", "x", 1, &error), QVL_OK);
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));

    assert_int_equal(qvl_file_write(in_folder("a"), "old", 3, &error), QVL_OK);
    snprintf(target, sizeof target, "%s", in_folder("a"));
    assert_int_equal(symlink(target, in_folder("link")), 0);
    assert_int_equal(qvl_file_write(in_folder("link"), "through", 7, &error), QVL_OK);
    assert_int_equal(lstat(in_folder("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(qvl_file_read(target, 99, &data, &size, &error), QVL_OK);
    assert_string_equal(data, "through");
    free(data);
}

/* FIPS 180-4 examples. */
static void sha256(void **state)
{
    (void)state;
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    char hex[QVL_SHA256_HEX_BYTES];
    struct qvl_error error = {0};
    assert_int_equal(qvl_sha256_memory("abc", 3, hex, &error), QVL_OK);
    assert_string_equal(hex, abc);
    assert_int_equal(qvl_sha256_memory(NULL, 0, hex, &error), QVL_OK);
    assert_string_equal(hex, empty);
    assert_int_equal(qvl_file_write(in_folder("a"), "abc", 3, &error), QVL_OK);
    assert_int_equal(qvl_sha256_file(in_folder("a"), hex, &error), QVL_OK);
    assert_string_equal(hex, abc);
    assert_int_equal(qvl_sha256_file(in_folder("none"), hex, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "/none: no such file"));
    assert_int_equal(qvl_sha256_file(folder, hex, &error), QVL_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test_setup_teardown(write_read_map, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(read_failures, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(abort_leaves_the_old_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(write_failures, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(special_targets, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(sha256, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
