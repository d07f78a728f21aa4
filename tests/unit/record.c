/* include/qvl/record.h: order, ownership, sticky faults, outcome of a report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "qvl/record.h"

static void fields_keep_order_and_values(void **state)
{
    (void)state;
    const int64_t grid[3] = {1, 30, 40};
    const double samples[2] = {0.25, 0.5};
    char name[] = "matmul";
    struct qvl_record *record = qvl_record_create("op_case", name, QVL_CASE_PASSED);
    name[0] = 'X'; /* text is copied */
    qvl_record_int(record, "rows", INT64_MIN, "token", QVL_FROM_SETTING);
    qvl_record_real(record, "margin", 0.125, "1", QVL_FROM_MEASURED);
    qvl_record_text(record, "dtype", "bf16", QVL_FROM_SETTING);
    qvl_record_flag(record, "exact", true, QVL_FROM_MODELLED);
    qvl_record_ints(record, "grid", grid, 3, "patch", QVL_FROM_SETTING);
    qvl_record_reals(record, "seconds", samples, 2, "s", QVL_FROM_MEASURED);
    qvl_record_detail(record);
    qvl_record_missing(record, "energy", "no meter on this machine");
    qvl_record_ints(record, "none", NULL, 0, NULL, QVL_FROM_SETTING);

    assert_int_equal(qvl_record_check(record, NULL), QVL_OK);
    assert_string_equal(record->name, "matmul");
    assert_int_equal(record->field_count, 8);
    assert_string_equal(record->fields[0].name, "rows");
    assert_true(record->fields[0].value.integer == INT64_MIN);
    assert_true(record->fields[1].value.real == 0.125);
    assert_string_equal(record->fields[2].value.text, "bf16");
    assert_null(record->fields[2].unit);
    assert_true(record->fields[3].value.flag);
    assert_int_equal(record->fields[4].count, 3);
    assert_true(record->fields[4].value.integers[2] == 40);
    assert_true(record->fields[5].value.reals[1] == 0.5);
    assert_true(record->fields[5].detail);
    assert_false(record->fields[4].detail);
    assert_int_equal(record->fields[6].provenance, QVL_FROM_NOT_DONE);
    assert_int_equal(record->fields[7].count, 0);
    assert_ptr_equal(qvl_record_find(record, "grid"), &record->fields[4]);
    assert_null(qvl_record_find(record, "columns"));
    qvl_record_destroy(record);
    qvl_record_destroy(NULL);
}

static void a_name_given_twice_sticks(void **state)
{
    (void)state;
    struct qvl_error error;
    struct qvl_report report = {0};
    struct qvl_record *record = qvl_record_create("stage", "merger", QVL_CASE_NONE);
    qvl_record_int(record, "rows", 3, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "rows", 4, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "columns", 5, NULL, QVL_FROM_SETTING);
    assert_int_equal(record->field_count, 1);
    assert_int_equal(qvl_report_take(&report, record, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "merger"));
    assert_int_equal(report.record_count, 0);
    qvl_report_clear(&report);
}

static void a_record_that_could_not_be_made_is_reported(void **state)
{
    (void)state;
    struct qvl_error error;
    struct qvl_report report = {0};
    qvl_record_int(NULL, "rows", 3, NULL, QVL_FROM_SETTING);
    qvl_record_detail(NULL);
    assert_int_equal(qvl_report_take(&report, NULL, &error), QVL_NO_MEMORY);
}

static void report_with(struct qvl_report *report, const enum qvl_case_status *statuses, int count)
{
    *report = (struct qvl_report){0};
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "case%d", i);
        assert_int_equal(qvl_report_take(report, qvl_record_create("op_case", name, statuses[i]), NULL),
                         QVL_OK);
    }
}

static void outcome_follows_the_worst_check(void **state)
{
    (void)state;
    static const struct {
        enum qvl_case_status statuses[3];
        int count;
        enum qvl_status outcome;
    } cases[] = {
        {{QVL_CASE_NONE}, 0, QVL_OK},
        {{QVL_CASE_NONE, QVL_CASE_NONE}, 2, QVL_OK},
        {{QVL_CASE_PASSED, QVL_CASE_UNSUPPORTED}, 2, QVL_OK},
        {{QVL_CASE_UNSUPPORTED, QVL_CASE_SKIPPED}, 2, QVL_FAILED}, /* nothing was executed */
        {{QVL_CASE_PASSED, QVL_CASE_FAILED, QVL_CASE_INVALID}, 3, QVL_FAILED},
        {{QVL_CASE_PASSED, QVL_CASE_MISTRUSTED}, 2, QVL_FAILED},
        {{QVL_CASE_CRASHED}, 1, QVL_FAILED},
        {{QVL_CASE_TIMEOUT}, 1, QVL_FAILED},
        {{QVL_CASE_PASSED, QVL_CASE_INVALID}, 2, QVL_INCOMPARABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct qvl_report report;
        report_with(&report, cases[i].statuses, cases[i].count);
        assert_int_equal(qvl_report_outcome(&report), cases[i].outcome);
        qvl_report_clear(&report);
    }
}

static void report_owns_what_it_takes(void **state)
{
    (void)state;
    struct qvl_report report = {0};
    report.environment = qvl_record_create("environment", "here", QVL_CASE_NONE);
    report.workload = qvl_record_create("workload", "flops", QVL_CASE_NONE);
    for (int i = 0; i < 20; i++) { /* past the first capacity */
        struct qvl_record *record = qvl_record_create("flops", "2B", QVL_CASE_NONE);
        for (int k = 0; k < 20; k++) {
            char name[16];
            snprintf(name, sizeof name, "f%d", k);
            qvl_record_int(record, name, i * 20 + k, NULL, QVL_FROM_MODELLED);
        }
        assert_int_equal(qvl_report_take(&report, record, NULL), QVL_OK);
        assert_int_equal(qvl_report_omit(&report, "energy", "no meter", NULL), QVL_OK);
        assert_int_equal(qvl_report_note(&report, "MAC = 2 FLOPs", NULL), QVL_OK);
    }
    assert_int_equal(report.record_count, 20);
    assert_true(report.records[19]->fields[19].value.integer == 399);
    assert_int_equal(report.omission_count, 20);
    assert_int_equal(report.note_count, 20);
    assert_int_equal(qvl_report_status_count(&report, QVL_CASE_NONE), 20);
    qvl_report_clear(&report);
    assert_null(report.records);
    qvl_report_clear(&report);
    qvl_report_clear(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_keep_order_and_values),
        cmocka_unit_test(a_name_given_twice_sticks),
        cmocka_unit_test(a_record_that_could_not_be_made_is_reported),
        cmocka_unit_test(outcome_follows_the_worst_check),
        cmocka_unit_test(report_owns_what_it_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
