/* The environment record: complete, plausible, and without names of host or user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include <cmocka.h>

#include "reports/environment.h"
#include "reports/version.h"

static const struct qvl_field *field_of(const struct qvl_record *record, const char *name)
{
    const struct qvl_field *field = qvl_record_find(record, name);
    if (!field)
        fail_msg("the environment has no %s", name);
    return field;
}

static void everything_is_there(void **state)
{
    (void)state;
    static const char *const names[] = {"cpu",
                                        "cores",
                                        "hardware_threads",
                                        "l1d_cache",
                                        "l2_cache",
                                        "l3_cache",
                                        "usable_threads",
                                        "cpu_quota",
                                        "memory",
                                        "os",
                                        "kernel",
                                        "compiler",
                                        "build",
                                        "ffmpeg",
                                        "cjson",
                                        "libsodium",
                                        "hwloc_api",
                                        "instruction_sets",
                                        "OPENBLAS_CORETYPE",
                                        "OMP_NUM_THREADS"};
    struct qvl_record *record;
    assert_int_equal(setenv("OPENBLAS_CORETYPE", "Haswell", 1), 0);
    assert_int_equal(unsetenv("OMP_NUM_THREADS"), 0);
    assert_int_equal(qvl_environment_collect(&record, NULL), QVL_OK);
    assert_string_equal(record->kind, "environment");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct qvl_field *field = field_of(record, names[i]);
        bool missing = field->provenance == QVL_FROM_NOT_DONE;
        assert_true(missing || field->provenance == QVL_FROM_MEASURED);
        if (field->type == QVL_FIELD_TEXT)
            assert_true(field->value.text[0] != '\0'); /* a value or a reason */
    }
    assert_string_equal(field_of(record, "OPENBLAS_CORETYPE")->value.text, "Haswell");
    assert_string_equal(field_of(record, "OMP_NUM_THREADS")->value.text, "(unset)");
    assert_true(field_of(record, "usable_threads")->value.integer >= 1);
    assert_true(field_of(record, "memory")->value.integer > 64 << 20);
    assert_string_equal(field_of(record, "compiler")->value.text, qvl_compiler);
    qvl_record_destroy(record);
}

static void the_host_is_not_named(void **state)
{
    (void)state;
    struct utsname system;
    struct qvl_record *record;
    char kernel[256];
    assert_int_equal(uname(&system), 0);
    snprintf(kernel, sizeof kernel, "%s %s %s", system.sysname, system.release, system.machine);
    assert_int_equal(qvl_environment_collect(&record, NULL), QVL_OK);
    assert_string_equal(field_of(record, "kernel")->value.text, kernel); /* uname also has the host's name */
    qvl_record_destroy(record);
}

static void the_build_says_what_it_is(void **state)
{
    (void)state;
    assert_true(strlen(qvl_version) >= 5);
    assert_true(strlen(qvl_git_commit) >= 7);
    assert_true(strlen(qvl_build_type) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_there),
        cmocka_unit_test(the_host_is_not_named),
        cmocka_unit_test(the_build_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
