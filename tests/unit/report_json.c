/* report.json: canonical form, schema, hashes; every changed value is found and named. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "reports/report_json.h"
#include "reports/validate.h"
#include "reports/writer.h"

static char *make_json(int64_t big)
{
    static const char *const argv[] = {"qvl-audit", "flops", "--model", "b\xffz"};
    struct qvl_report report = {.argc = 4, .argv = argv, .created = 1795701845};
    const double samples[3] = {0.5, (double)NAN, -(double)INFINITY};
    const int64_t grid[3] = {1, 30, 40};
    char *text;
    size_t size;
    report.environment = qvl_record_create("environment", "this machine", QVL_CASE_NONE);
    qvl_record_text(report.environment, "cpu", "test", QVL_FROM_MEASURED);
    report.workload = qvl_record_create("workload", "flops", QVL_CASE_NONE);
    qvl_record_int(report.workload, "context", 8192, "token", QVL_FROM_SETTING);
    for (int i = 0; i < 3; i++) {
        struct qvl_record *record =
            qvl_record_create("op_case", i ? "b" : "a", i ? QVL_CASE_PASSED : QVL_CASE_NONE);
        qvl_record_int(record, "big", big - i, "FLOP", QVL_FROM_MODELLED);
        qvl_record_reals(record, "samples", samples, 3, "s", QVL_FROM_MEASURED);
        qvl_record_ints(record, "grid", grid, 3, NULL, QVL_FROM_SETTING);
        qvl_record_flag(record, "exact", true, QVL_FROM_SETTING);
        qvl_record_real(record, "rate", 0.1, "Hz", QVL_FROM_PUBLISHED);
        qvl_record_missing(record, "energy", "no meter");
        assert_int_equal(qvl_report_take(&report, record, NULL), QVL_OK);
    }
    assert_int_equal(qvl_report_omit(&report, "power", "no meter", NULL), QVL_OK);
    assert_int_equal(qvl_report_note(&report, "A MAC counts as 2 FLOPs.", NULL), QVL_OK);
    assert_int_equal(qvl_report_text(&report, QVL_REPORT_JSON, &text, &size, NULL), QVL_OK);
    assert_int_equal(size, strlen(text));
    qvl_report_clear(&report);
    return text;
}

static void canonical(const char *json, const char *expected)
{
    struct qvl_document *document;
    char *text;
    size_t size;
    assert_int_equal(qvl_document_parse(json, strlen(json), "test", &document, NULL), QVL_OK);
    assert_int_equal(qvl_document_canonical(document, "", &text, &size, NULL), QVL_OK);
    assert_string_equal(text, expected);
    assert_int_equal(size, strlen(expected));
    free(text);
    qvl_document_destroy(document);
}

/* Expected texts are those of Python's json.dumps(sort_keys=True, separators=(",", ":"), ensure_ascii=False).
 */
static void canonical_form_is_that_of_python(void **state)
{
    (void)state;
    canonical(" { \"b\" : [ 1 , true , null ] , \"a\" : \"x\\u00e9\\/\\u0001\\n\" } ",
              "{\"a\":\"x\xc3\xa9/\\u0001\\n\",\"b\":[1,true,null]}");
    canonical("[9223372036854775807, -9223372036854775808, 18446744073709551615, -0]",
              "[9223372036854775807,-9223372036854775808,18446744073709551615,0]");
    canonical("[1.0, 1e0, 0.1, 100000.0, 1e15, 1e16, 1.5e16, 123456789012345680.0]",
              "[1.0,1.0,0.1,100000.0,1000000000000000.0,1e+16,1.5e+16,1.2345678901234568e+17]");
    canonical("[0.0001, 0.00001, 1.25e-5, 5e-324, 1.7976931348623157e308, -0.0, -2.5]",
              "[0.0001,1e-05,1.25e-05,5e-324,1.7976931348623157e+308,-0.0,-2.5]");
    canonical("[0.3333333333333333, 12345.678, 9007199254740993.0]",
              "[0.3333333333333333,12345.678,9007199254740992.0]");
    canonical("{}", "{}");
    canonical("[]", "[]");
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{", "{\"a\":1,}", "{\"a\":1}x", "[1e999]", "\"\xff\"", "{\"a\":1,\"a\":2}", "[01]", "nan"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct qvl_document *document;
        struct qvl_error error;
        assert_int_equal(qvl_document_parse(bad[i], strlen(bad[i]), "bad.json", &document, &error),
                         QVL_BAD_INPUT);
        assert_non_null(strstr(error.message, "bad.json"));
    }
}

/* Validate, collect the failed places into `places` (space behind each), return the number of findings. */
static int64_t validate(const char *json, char *places, size_t bytes)
{
    struct qvl_report findings = {0};
    size_t used = 0;
    assert_int_equal(qvl_report_validate(json, strlen(json), "report.json", &findings, NULL), QVL_OK);
    places[0] = '\0';
    for (int64_t i = 0; i < findings.record_count; i++) {
        if (findings.records[i]->status == QVL_CASE_PASSED)
            continue;
        const struct qvl_field *place = qvl_record_find(findings.records[i], "place");
        int size = snprintf(places + used, bytes - used, "%s ", place->value.text);
        used += size > 0 && (size_t)size < bytes - used ? (size_t)size : 0;
    }
    int64_t count = findings.record_count;
    bool good = qvl_report_outcome(&findings) == QVL_OK;
    assert_int_equal(good, places[0] == '\0');
    qvl_report_clear(&findings);
    return count;
}

static void a_report_is_valid_as_written_and_reformatted(void **state)
{
    (void)state;
    char places[256];
    char *json = make_json(INT64_MAX);
    assert_int_equal(validate(json, places, sizeof places), 3);
    assert_string_equal(places, "");
    assert_non_null(strstr(json, "9223372036854775807"));
    assert_non_null(strstr(json, "\"-Infinity\""));
    assert_non_null(strstr(json, "\"created\":\t\"2026-11-26T14:04:05Z\""));
    assert_non_null(strstr(json, "b\xef\xbf\xbdz"));
    char *again = make_json(INT64_MAX);
    assert_string_equal(json, again); /* deterministic */
    cJSON_Minify(again);
    validate(again, places, sizeof places);
    assert_string_equal(places, "");
    free(json);
    free(again);
}

/* Replace the first `from` behind `behind` by `to`. */
static char *edited(const char *json, const char *behind, const char *from, const char *to)
{
    const char *start = strstr(json, behind);
    assert_non_null(start);
    const char *place = strstr(start, from);
    assert_non_null(place);
    size_t bytes = strlen(json) + strlen(to) + 1;
    char *copy = malloc(bytes);
    assert_non_null(copy);
    snprintf(copy, bytes, "%.*s%s%s", (int)(place - json), json, to, place + strlen(from));
    return copy;
}

static void a_changed_value_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *behind, *from, *to, *places;
    } edits[] = {
        {"\"version\"", "\"0.", "\"9.", "/tool "},
        {"\"created\"", "2026", "2025", "/created "},
        {"\"command\"", "flops", "flopz", "/command "},
        {"\"environment\"", "\"test\"", "\"best\"", "/environment "},
        {"\"workload\"", "8192", "8193", "/workload "},
        {"\"summary\"", "\"PASSED\":\t2", "\"PASSED\":\t3", "/summary/cases/PASSED /summary "},
        {"\"records\":\t[", "9223372036854775807", "9223372036854775806", "/records/0 "},
        {"\"name\":\t\"b\"", "0.1", "0.2", "/records/1 "},
        {"9223372036854775806", "\"NaN\"", "0.5", "/records/2 "},
        {"\"not_measured\"", "no meter", "no metre", "/not_measured "},
        {"\"notes\"", "2 FLOPs", "1 FLOPs", "/notes "},
    };
    char places[256];
    char *json = make_json(INT64_MAX);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char *changed = edited(json, edits[i].behind, edits[i].from, edits[i].to);
        validate(changed, places, sizeof places);
        assert_string_equal(places, edits[i].places);
        free(changed);
    }
    free(json);
}

/* Change one scalar in place; *kept receives what restores it. */
static void change(cJSON *leaf, char **kept)
{
    *kept = NULL;
    if (cJSON_IsString(leaf)) {
        char longer[256];
        *kept = strdup(leaf->valuestring);
        snprintf(longer, sizeof longer, "%sx", leaf->valuestring);
        assert_non_null(cJSON_SetValuestring(leaf, longer));
    } else if (cJSON_IsNumber(leaf)) {
        cJSON_SetNumberValue(leaf, leaf->valuedouble + 1);
    } else {
        leaf->type = cJSON_IsTrue(leaf) ? cJSON_False : cJSON_True;
    }
}

static void restore(cJSON *leaf, char *kept)
{
    if (kept)
        assert_non_null(cJSON_SetValuestring(leaf, kept));
    else if (cJSON_IsNumber(leaf))
        cJSON_SetNumberValue(leaf, leaf->valuedouble - 1);
    else
        leaf->type = cJSON_IsTrue(leaf) ? cJSON_False : cJSON_True;
    free(kept);
}

/* Change every scalar below `node`, one at a time; each change must be reported at a place that contains it.
 */
static int change_each(cJSON *root, cJSON *node, const char *pointer)
{
    int leaves = 0;
    int index = 0;
    cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        char inner[256], places[2048];
        snprintf(inner, sizeof inner, cJSON_IsArray(node) ? "%s/%d" : "%s/%.0d%s", pointer,
                 cJSON_IsArray(node) ? index : 0, child->string);
        index++;
        if (cJSON_IsObject(child) || cJSON_IsArray(child)) {
            leaves += change_each(root, child, inner);
            continue;
        }
        char *kept;
        change(child, &kept);
        char *text = cJSON_Print(root);
        validate(text, places, sizeof places);
        free(text);
        restore(child, kept);
        bool named = false;
        char *position = NULL;
        for (char *place = strtok_r(places, " ", &position); place; place = strtok_r(NULL, " ", &position))
            named = named || strncmp(inner, place, strlen(place)) == 0;
        if (!named)
            fail_msg("a change of %s is not named", inner);
        leaves++;
    }
    return leaves;
}

static void no_scalar_can_be_changed_unseen(void **state)
{
    (void)state;
    char *json = make_json(4000000);
    cJSON *root = cJSON_Parse(json);
    assert_non_null(root);
    assert_true(change_each(root, root, "") > 80);
    cJSON_Delete(root);
    free(json);
}

static void structure_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *behind, *from, *to, *place;
    } edits[] = {
        {"\"name\":\t\"b\"", "\"PASSED\"", "\"FINE\"", "/records/1/status "},
        {"\"created\"", "\"2026-11-26T14:04:05Z\"", "7", "/created "},
        {"{", "\"notes\"", "\"remarks\"", "/notes "},
        {"{", "\"schema_version\":\t1", "\"schema_version\":\t2", "/schema_version "},
        {"\"records\":\t[", "0.1", "{\"x\": 1}", "/records/0/published/rate "},
        {"\"records\":\t[", "\"units\"", "\"unit\"", "/records/0 "},
    };
    char places[1024];
    char *json = make_json(5);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char *changed = edited(json, edits[i].behind, edits[i].from, edits[i].to);
        validate(changed, places, sizeof places);
        if (!strstr(places, edits[i].place))
            fail_msg("edit %zu: %s is not among %s", i, edits[i].place, places);
        free(changed);
    }
    validate("[1, 2]", places, sizeof places);
    assert_true(places[0] != '\0');
    validate("{\"hashes\": {}}", places, sizeof places);
    assert_non_null(strstr(places, "/records "));
    free(json);
}

static void records_can_not_be_dropped_or_swapped(void **state)
{
    (void)state;
    char places[1024];
    char *json = make_json(5);
    cJSON *root = cJSON_Parse(json);
    cJSON *records = cJSON_GetObjectItem(root, "records");
    cJSON *last = cJSON_DetachItemFromArray(records, 2);
    char *text = cJSON_Print(root);
    validate(text, places, sizeof places);
    assert_string_equal(places, "/summary/records /summary/cases/PASSED /records ");
    free(text);
    assert_true(cJSON_InsertItemInArray(records, 0, last));
    text = cJSON_Print(root);
    validate(text, places, sizeof places);
    assert_string_equal(places, "/records/0 /records/1 /records/2 ");
    free(text);
    cJSON_Delete(root);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_form_is_that_of_python),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(a_report_is_valid_as_written_and_reformatted),
        cmocka_unit_test(a_changed_value_is_named),
        cmocka_unit_test(no_scalar_can_be_changed_unseen),
        cmocka_unit_test(structure_is_checked),
        cmocka_unit_test(records_can_not_be_dropped_or_swapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
