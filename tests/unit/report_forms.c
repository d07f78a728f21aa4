/* CSV, JUnit, Markdown, plain tables and JSON lines of one small report. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "reports/writer.h"

/* Two checks, a statement of another kind, something not measured, a note. */
static void make_report(struct qvl_report *report)
{
    *report = (struct qvl_report){0};
    struct qvl_record *record = qvl_record_create("op_case", "linear 3x5", QVL_CASE_PASSED);
    qvl_record_text(record, "dtype", "bf16", QVL_FROM_SETTING);
    qvl_record_real(record, "margin", 0.25, "1", QVL_FROM_MEASURED);
    qvl_record_int(record, "peak", 7, "FLOP/s", QVL_FROM_PUBLISHED);
    qvl_record_int(record, "seed", 42, NULL, QVL_FROM_SETTING);
    qvl_record_detail(record);
    assert_int_equal(qvl_report_take(report, record, NULL), QVL_OK);

    record = qvl_record_create("op_case", "a \"b\", <c>|", QVL_CASE_FAILED);
    qvl_record_text(record, "dtype", "f32", QVL_FROM_SETTING);
    qvl_record_missing(record, "margin", "not finite");
    qvl_record_text(record, "message", "line 1\nline 2 & more", QVL_FROM_MEASURED);
    qvl_record_real(record, "seconds", 0.5, "s", QVL_FROM_MEASURED);
    assert_int_equal(qvl_report_take(report, record, NULL), QVL_OK);

    record = qvl_record_create("flops", "tiny", QVL_CASE_NONE);
    qvl_record_int(record, "prefill_per_token", 123456, "FLOP", QVL_FROM_MODELLED);
    assert_int_equal(qvl_report_take(report, record, NULL), QVL_OK);
    assert_int_equal(qvl_report_take(report, qvl_record_create("op_case", "moe", QVL_CASE_UNSUPPORTED), NULL),
                     QVL_OK);
    assert_int_equal(qvl_report_omit(report, "energy", "no meter", NULL), QVL_OK);
    assert_int_equal(qvl_report_note(report, "A MAC counts as 2 FLOPs.", NULL), QVL_OK);
}

static void assert_form(enum qvl_report_form form, const char *expected)
{
    struct qvl_report report;
    char *text;
    size_t size;
    make_report(&report);
    assert_int_equal(qvl_report_text(&report, form, &text, &size, NULL), QVL_OK);
    assert_string_equal(text, expected);
    assert_int_equal(size, strlen(expected));
    free(text);
    qvl_report_clear(&report);
}

static void csv_follows_rfc_4180(void **state)
{
    (void)state;
    assert_form(QVL_REPORT_CSV,
                "kind,name,status,dtype,margin [1],peak [FLOP/s] published,seed,message,"
                "seconds [s],prefill_per_token [FLOP] modelled\r\n"
                "op_case,linear 3x5,PASSED,bf16,0.25,7,42,,,\r\n"
                "op_case,\"a \"\"b\"\", <c>|\",FAILED,f32,,,,\"line 1\nline 2 & more\",0.5,\r\n"
                "flops,tiny,,,,,,,,123456\r\n"
                "op_case,moe,UNSUPPORTED,,,,,,,\r\n");
}

static void junit_has_the_checks_only(void **state)
{
    (void)state;
    assert_form(
        QVL_REPORT_JUNIT,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites name=\"qvl-audit\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" "
        "time=\"0.500000\">\n"
        "  <testsuite name=\"op_case\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" "
        "time=\"0.500000\">\n"
        "    <testcase classname=\"op_case\" name=\"linear 3x5\" time=\"0.000000\"/>\n"
        "    <testcase classname=\"op_case\" name=\"a &quot;b&quot;, &lt;c&gt;|\" time=\"0.500000\">\n"
        "      <failure message=\"FAILED: line 1 line 2 &amp; more\">dtype: f32\n"
        "margin: \n"
        "message: line 1\nline 2 &amp; more\n"
        "seconds: 0.5 s\n"
        "</failure>\n"
        "    </testcase>\n"
        "    <testcase classname=\"op_case\" name=\"moe\" time=\"0.000000\">\n"
        "      <skipped message=\"UNSUPPORTED\"></skipped>\n"
        "    </testcase>\n"
        "  </testsuite>\n"
        "</testsuites>\n");
}

static void tables_are_aligned(void **state)
{
    (void)state;
    assert_form(QVL_REPORT_TABLE,
                "op_case\n"
                "                                                  peak\n"
                "                                              (FLOP/s)\n"
                "name         status       dtype    margin  [published]  message               seconds\n"
                "-----------  -----------  -----  --------  -----------  --------------------  -------\n"
                "linear 3x5   PASSED       bf16       0.25            7\n"
                "a \"b\", <c>|  FAILED       f32    not done               line 1 line 2 & more   500 ms\n"
                "moe          UNSUPPORTED\n"
                "not done: margin: not finite\n"
                "\n"
                "flops (all values modelled)\n"
                "        prefill\n"
                "      per token\n"
                "name     (FLOP)\n"
                "----  ---------\n"
                "tiny    123.5 k\n"
                "\n"
                "not measured: energy: no meter\n"
                "A MAC counts as 2 FLOPs.\n"
                "1 PASSED, 1 FAILED, 1 UNSUPPORTED\n");
}

static void markdown_escapes_its_own_marks(void **state)
{
    (void)state;
    assert_form(QVL_REPORT_MARKDOWN,
                "## op_case\n\n"
                "| name | status | dtype | margin | peak (FLOP/s) [published] | message | seconds |\n"
                "| --- | --- | --- | ---: | ---: | --- | ---: |\n"
                "| linear 3x5 | PASSED | bf16 | 0.25 | 7 |  |  |\n"
                "| a \"b\", \\<c>\\| | FAILED | f32 | not done |  | line 1 line 2 & more | 500 ms |\n"
                "| moe | UNSUPPORTED |  |  |  |  |  |\n"
                "\n- not done: margin: not finite\n\n"
                "## flops (all values modelled)\n\n"
                "| name | prefill per token (FLOP) |\n"
                "| --- | ---: |\n"
                "| tiny | 123.5 k |\n\n"
                "- not measured: energy: no meter\n"
                "- A MAC counts as 2 FLOPs.\n"
                "- 1 PASSED, 1 FAILED, 1 UNSUPPORTED\n");
}

static void json_lines_keep_provenance_apart(void **state)
{
    (void)state;
    assert_form(
        QVL_REPORT_JSONL,
        "{\"kind\":\"op_case\",\"name\":\"linear "
        "3x5\",\"status\":\"PASSED\",\"columns\":[\"dtype\",\"margin\","
        "\"peak\"],\"settings\":{\"dtype\":\"bf16\",\"seed\":42},\"measured\":{\"margin\":0.25},"
        "\"published\":{\"peak\":7},\"units\":{\"margin\":\"1\",\"peak\":\"FLOP/s\"}}\n"
        "{\"kind\":\"op_case\",\"name\":\"a \\\"b\\\", <c>|\",\"status\":\"FAILED\",\"columns\":[\"dtype\","
        "\"margin\",\"message\",\"seconds\"],\"settings\":{\"dtype\":\"f32\"},\"measured\":{\"message\":"
        "\"line 1\\nline 2 & more\",\"seconds\":0.5},\"not_done\":{\"margin\":\"not finite\"},"
        "\"units\":{\"seconds\":\"s\"}}\n"
        "{\"kind\":\"flops\",\"name\":\"tiny\",\"columns\":[\"prefill_per_token\"],"
        "\"modelled\":{\"prefill_per_token\":123456},\"units\":{\"prefill_per_token\":\"FLOP\"}}\n"
        "{\"kind\":\"op_case\",\"name\":\"moe\",\"status\":\"UNSUPPORTED\",\"columns\":[]}\n");
}

static void few_records_with_many_fields_stand_upright(void **state)
{
    (void)state;
    struct qvl_report report = {0};
    for (int r = 0; r < 2; r++) {
        struct qvl_record *record = qvl_record_create("flops", r ? "32K" : "8K", QVL_CASE_NONE);
        for (int f = 0; f < 9; f++) {
            char name[16];
            snprintf(name, sizeof name, "stage_%d", f);
            qvl_record_int(record, name, (r + 1) * 20000 * (f + 1), "FLOP", QVL_FROM_MODELLED);
        }
        assert_int_equal(qvl_report_take(&report, record, NULL), QVL_OK);
    }
    char *text;
    size_t size;
    assert_int_equal(qvl_report_text(&report, QVL_REPORT_TABLE, &text, &size, NULL), QVL_OK);
    assert_non_null(strstr(text, "                8K          32K\n"
                                 "-------  -----------  -----------\n"
                                 "stage 0  20.00 kFLOP  40.00 kFLOP\n"));
    free(text);
    qvl_report_clear(&report);
}

static void missing_values_join_the_column_of_their_name(void **state)
{
    (void)state;
    struct qvl_report report = {0};
    struct qvl_record *record = qvl_record_create("latency", "first", QVL_CASE_NONE);
    qvl_record_missing(record, "decode", "no room");
    assert_int_equal(qvl_report_take(&report, record, NULL), QVL_OK);
    record = qvl_record_create("latency", "second", QVL_CASE_NONE);
    qvl_record_real(record, "decode", 0.125, "s", QVL_FROM_MEASURED);
    assert_int_equal(qvl_report_take(&report, record, NULL), QVL_OK);
    char *text;
    size_t size;
    assert_int_equal(qvl_report_text(&report, QVL_REPORT_CSV, &text, &size, NULL), QVL_OK);
    assert_string_equal(text, "kind,name,status,decode [s]\r\nlatency,first,,\r\nlatency,second,,0.125\r\n");
    free(text);
    qvl_report_clear(&report);
}

static void an_empty_report_has_every_form_but_json(void **state)
{
    (void)state;
    struct qvl_report report = {0};
    struct qvl_error error;
    char *text;
    size_t size;
    for (int form = QVL_REPORT_JSONL; form < QVL_REPORT_FORM_COUNT; form++) {
        assert_int_equal(qvl_report_text(&report, (enum qvl_report_form)form, &text, &size, NULL), QVL_OK);
        free(text);
    }
    assert_int_equal(qvl_report_text(&report, QVL_REPORT_JSON, &text, &size, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "environment"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_follows_rfc_4180),
        cmocka_unit_test(junit_has_the_checks_only),
        cmocka_unit_test(tables_are_aligned),
        cmocka_unit_test(markdown_escapes_its_own_marks),
        cmocka_unit_test(json_lines_keep_provenance_apart),
        cmocka_unit_test(few_records_with_many_fields_stand_upright),
        cmocka_unit_test(missing_values_join_the_column_of_their_name),
        cmocka_unit_test(an_empty_report_has_every_form_but_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
