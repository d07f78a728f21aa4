/* cli/: numbers of the command line, the progress line, models by name, backends by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/backends.h"
#include "cli/models.h"
#include "cli/numbers.h"
#include "cli/progress.h"

static void counts_have_suffixes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value; /* -1: refused */
    } cases[] = {{"0", 0},     {"8192", 8192}, {"8K", 8192}, {"8k", 8192}, {"1M", 1048576},
                 {"", -1},     {"K", -1},      {"-3", -1},   {"8KB", -1},  {"8 ", -1},
                 {"1.5K", -1}, {"0x10", -1},   {"+4", -1},   {" 4", -1},   {"99999999999999999999", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = -1;
        bool good = qvl_number_count(cases[i].text, &value);
        if (good != (cases[i].value >= 0) || (good && value != cases[i].value))
            fail_msg("\"%s\" gives %lld", cases[i].text, (long long)value);
    }
}

static void lists_and_sizes(void **state)
{
    (void)state;
    int64_t values[3], count;
    assert_true(qvl_number_counts("8K,32K,1000", values, 3, &count));
    assert_int_equal(count, 3);
    assert_int_equal(values[1], 32768);
    assert_false(qvl_number_counts("1,2,3,4", values, 3, &count));
    assert_false(qvl_number_counts("1,,2", values, 3, &count));
    assert_false(qvl_number_counts("1,", values, 3, &count));
    assert_false(qvl_number_counts("", values, 3, &count));
    assert_true(qvl_number_sizes("1080x1920", values, 2));
    assert_int_equal(values[0], 1080);
    assert_int_equal(values[1], 1920);
    assert_true(qvl_number_sizes("16x720x1280", values, 3));
    assert_false(qvl_number_sizes("1080x1920x3", values, 2));
    assert_false(qvl_number_sizes("1080", values, 2));
    assert_false(qvl_number_sizes("0x5", values, 2));
    assert_false(qvl_number_sizes("5x", values, 2));
}

static void the_progress_line_says_how_far_and_how_long(void **state)
{
    (void)state;
    char line[256];
    struct qvl_progress progress = {.label = "verify", .unit = "case", .total = 200};
    qvl_progress_line(&progress, 0, 0, line, sizeof line);
    assert_string_equal(line, "verify  [........................] 0/200");
    qvl_progress_line(&progress, 50, 10, line, sizeof line);
    assert_string_equal(line, "verify  [######..................] 50/200  5 case/s  0:30 left");
    qvl_progress_line(&progress, 1, 20, line, sizeof line);
    assert_string_equal(line, "verify  [........................] 1/200  0.05 case/s  1:06:20 left");
    qvl_progress_line(&progress, 200, 10, line, sizeof line);
    assert_string_equal(line, "verify  [########################] 200/200  20 case/s  0:00 left");
    qvl_progress_line(&progress, 300, 10, line, sizeof line); /* more than announced */
    assert_string_equal(line, "verify  [########################] 300/200  30 case/s  0:00 left");
    progress.total = 0;
    qvl_progress_line(&progress, 30, 10, line, sizeof line);
    assert_string_equal(line, "verify  30  3 case/s");
    qvl_progress_line(&progress, 30, 10, line, 8); /* cut, still terminated */
    assert_string_equal(line, "verify ");
}

static void models_are_found_by_name_and_size(void **state)
{
    (void)state;
    const struct qvl_model_table *table;
    struct qvl_model_facts facts;
    struct qvl_error error;
    assert_int_equal(qvl_model_find("8B", &table, NULL), QVL_OK);
    assert_string_equal(table->name, "qwen3-vl-8b");
    assert_true(qvl_model_is_released_qwen3(table));
    assert_int_equal(qvl_model_find("Qwen3-VL-235B-A22B", &table, NULL), QVL_OK);
    assert_string_equal(table->name, "qwen3-vl-235b-a22b");
    assert_int_equal(qvl_model_find("qwen2.5-vl-7b", &table, NULL), QVL_OK);
    assert_false(qvl_model_is_released_qwen3(table));
    assert_int_equal(qvl_model_facts_read(table, &facts, NULL), QVL_OK);
    assert_false(facts.verified);
    assert_true(facts.unverified[0] != '\0');
    assert_string_equal(facts.family, "Qwen2.5-VL");
    qvl_model_facts_free(&facts);
    qvl_model_facts_free(NULL);
    assert_int_equal(qvl_model_find("9B", &table, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "\"9B\""));
    assert_non_null(strstr(error.message, "qwen3-vl-30b-a3b"));
}

static void backends_open_by_name(void **state)
{
    (void)state;
    struct qvl_opened_backend opened;
    qvl_backend_open_fn *open;
    struct qvl_error error;
    for (int64_t i = 0; qvl_builtin_backend_at(i); i++) {
        const char *name = qvl_builtin_backend_at(i)->name;
        assert_int_equal(qvl_backend_open_named(name, NULL, &opened, NULL), QVL_OK);
        assert_string_equal(opened.backend->name, name);
        qvl_backend_close_named(&opened);
        assert_null(opened.backend);
        assert_int_equal(qvl_backend_find(name, &open, NULL), QVL_OK);
        assert_true(open == qvl_builtin_backend_at(i)->open);
    }
    assert_null(qvl_builtin_backend_at(-1));
    assert_int_equal(qvl_backend_open_named("gpu", NULL, &opened, &error), QVL_UNAVAILABLE);
    assert_non_null(strstr(error.message, "ref, cpu"));
    qvl_backend_close_named(&opened);
    assert_int_equal(qvl_backend_find("./none.so", &open, &error), QVL_UNAVAILABLE);
    assert_non_null(strstr(error.message, "none.so"));

    struct qvl_record *record = qvl_record_create("environment", "here", QVL_CASE_NONE);
    qvl_backends_describe(record);
    assert_non_null(qvl_record_find(record, "backend_ref"));
    assert_non_null(strstr(qvl_record_find(record, "backend_cpu")->value.text, "OpenBLAS"));
    qvl_record_destroy(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_have_suffixes),
        cmocka_unit_test(lists_and_sizes),
        cmocka_unit_test(the_progress_line_says_how_far_and_how_long),
        cmocka_unit_test(models_are_found_by_name_and_size),
        cmocka_unit_test(backends_open_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
