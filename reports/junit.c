#include "reports/junit.h"

#include <inttypes.h>
#include <math.h>

#include "reports/values.h"

static void put_escaped(struct qvl_text *out, const char *string, bool one_line)
{
    struct qvl_text clean = {0};
    qvl_text_clean(&clean, string, one_line);
    out->failed = out->failed || clean.failed;
    for (const char *s = clean.data; s && *s; s++) {
        switch (*s) {
        case '&': qvl_text_print(out, "&amp;"); break;
        case '<': qvl_text_print(out, "&lt;"); break;
        case '>': qvl_text_print(out, "&gt;"); break;
        case '"': qvl_text_print(out, "&quot;"); break;
        default: qvl_text_add(out, s, 1);
        }
    }
    qvl_text_free(&clean);
}

/* The JUnit element of a status, NULL for a pass. */
static const char *element_of(enum qvl_case_status status)
{
    switch (status) {
    case QVL_CASE_PASSED: return NULL;
    case QVL_CASE_UNSUPPORTED:
    case QVL_CASE_SKIPPED: return "skipped";
    case QVL_CASE_FAILED:
    case QVL_CASE_MISTRUSTED: return "failure";
    default: return "error";
    }
}

/* Time of a record, 0 when it states none. */
static double seconds_of(const struct qvl_record *record)
{
    const struct qvl_field *field = qvl_record_find(record, "seconds");
    return field && field->type == QVL_FIELD_REAL && isfinite(field->value.real) ? field->value.real : 0;
}

static void put_case(struct qvl_text *out, const struct qvl_record *record)
{
    const char *element = element_of(record->status);
    qvl_text_print(out, "    <testcase classname=\"");
    put_escaped(out, record->kind, true);
    qvl_text_print(out, "\" name=\"");
    put_escaped(out, record->name, true);
    qvl_text_print(out, "\" time=\"%.6f\"", seconds_of(record));
    if (!element) {
        qvl_text_print(out, "/>\n");
        return;
    }
    qvl_text_print(out, ">\n      <%s message=\"%s", element, qvl_case_status_name(record->status));
    const struct qvl_field *reason = qvl_record_find(record, "message");
    if (!reason)
        reason = qvl_record_find(record, "reason");
    if (reason && reason->type == QVL_FIELD_TEXT) {
        qvl_text_print(out, ": ");
        put_escaped(out, reason->value.text, true);
    }
    qvl_text_print(out, "\">");
    for (int64_t i = 0; i < record->field_count; i++) {
        struct qvl_text value = {0};
        qvl_value_exact(&value, &record->fields[i]);
        put_escaped(out, record->fields[i].name, true);
        qvl_text_print(out, ": ");
        put_escaped(out, value.data ? value.data : "", false);
        out->failed = out->failed || value.failed;
        qvl_text_free(&value);
        qvl_text_print(out, "%s%s\n", record->fields[i].unit ? " " : "",
                       record->fields[i].unit ? record->fields[i].unit : "");
    }
    qvl_text_print(out, "</%s>\n    </testcase>\n", element);
}

struct tally {
    int64_t tests, failures, errors, skipped;
    double seconds;
};

/* Count the checks of one kind, or of all when `kind` is NULL. */
static struct tally count_checks(const struct qvl_report *report, const char *kind)
{
    struct tally tally = {0};
    for (int64_t i = 0; i < report->record_count; i++) {
        const struct qvl_record *record = report->records[i];
        if (record->status == QVL_CASE_NONE || (kind && strcmp(kind, record->kind) != 0))
            continue;
        const char *element = element_of(record->status);
        tally.tests++;
        tally.failures += element && strcmp(element, "failure") == 0;
        tally.errors += element && strcmp(element, "error") == 0;
        tally.skipped += element && strcmp(element, "skipped") == 0;
        tally.seconds += seconds_of(record);
    }
    return tally;
}

static void put_tally(struct qvl_text *out, struct tally tally)
{
    qvl_text_print(out,
                   " tests=\"%" PRId64 "\" failures=\"%" PRId64 "\" errors=\"%" PRId64 "\" skipped=\"%" PRId64
                   "\" time=\"%.6f\">\n",
                   tally.tests, tally.failures, tally.errors, tally.skipped, tally.seconds);
}

static bool first_of_kind(const struct qvl_report *report, int64_t index)
{
    for (int64_t i = 0; i < index; i++)
        if (strcmp(report->records[i]->kind, report->records[index]->kind) == 0)
            return false;
    return true;
}

void qvl_junit_write(const struct qvl_report *report, struct qvl_text *out)
{
    qvl_text_print(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"qvl-audit\"");
    put_tally(out, count_checks(report, NULL));
    for (int64_t i = 0; i < report->record_count; i++) {
        if (!first_of_kind(report, i))
            continue;
        const char *kind = report->records[i]->kind;
        struct tally tally = count_checks(report, kind);
        if (tally.tests == 0)
            continue;
        qvl_text_print(out, "  <testsuite name=\"");
        put_escaped(out, kind, true);
        qvl_text_print(out, "\"");
        put_tally(out, tally);
        for (int64_t k = i; k < report->record_count; k++)
            if (strcmp(report->records[k]->kind, kind) == 0 && report->records[k]->status != QVL_CASE_NONE)
                put_case(out, report->records[k]);
        qvl_text_print(out, "  </testsuite>\n");
    }
    qvl_text_print(out, "</testsuites>\n");
}
