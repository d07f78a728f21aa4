#include "reports/validate.h"

#include "reports/report_json.h"
#include "reports/schema.h"

/* What one validation works on. */
struct validation {
    struct qvl_document *document;
    struct qvl_report *findings;
    const char *name;
    int64_t failures;
};

static enum qvl_status add_finding(struct validation *v, const char *check, enum qvl_case_status outcome,
                                   const char *place, const char *message, struct qvl_error *error)
{
    char title[512];
    v->failures += outcome != QVL_CASE_PASSED;
    snprintf(title, sizeof title, "%s%s%s", check, place && *place ? " " : "", place ? place : "");
    struct qvl_record *record = qvl_record_create("validation", title, outcome);
    qvl_record_text(record, "file", v->name, QVL_FROM_SETTING);
    if (place) {
        qvl_record_text(record, "place", *place ? place : "/", QVL_FROM_MEASURED);
        qvl_record_detail(record);
    }
    qvl_record_text(record, "message", message, QVL_FROM_MEASURED);
    return qvl_report_take(v->findings, record, error);
}

static enum qvl_status on_violation(void *context, const char *pointer, const char *message,
                                    struct qvl_error *error)
{
    return add_finding(context, "schema", QVL_CASE_FAILED, pointer, message, error);
}

static enum qvl_status check_schema(struct validation *v, struct qvl_error *error)
{
    QVL_TRY(qvl_document_check(v->document, qvl_report_schema, on_violation, v, error));
    if (v->failures)
        return QVL_OK;
    return add_finding(v, "schema", QVL_CASE_PASSED, NULL, "follows reports/schema/report.schema.json",
                       error);
}

/* Compare one digest; `place` is the value it covers, `stated` where the report states it. */
static enum qvl_status check_hash(struct validation *v, const char *place, const char *stated,
                                  struct qvl_error *error)
{
    char hex[65];
    const char *expected = qvl_document_string(v->document, stated);
    QVL_TRY(qvl_document_hash(v->document, place, hex, error));
    if (expected && strcmp(expected, hex) == 0)
        return QVL_OK;
    char message[256];
    snprintf(message, sizeof message,
             "changed after the report was written: its SHA-256 is %.16s..., %s says %.16s...", hex, stated,
             expected ? expected : "nothing");
    return add_finding(v, "hash", QVL_CASE_FAILED, place, message, error);
}

static enum qvl_status check_records(struct validation *v, struct qvl_error *error)
{
    size_t records = qvl_document_count(v->document, "/records");
    size_t hashes = qvl_document_count(v->document, "/hashes/records");
    if (records != hashes) {
        char message[128];
        snprintf(message, sizeof message,
                 "%zu records, but %zu hashes of records: some were added or removed", records, hashes);
        return add_finding(v, "hash", QVL_CASE_FAILED, "/records", message, error);
    }
    int64_t before = v->failures;
    for (size_t i = 0; i < records; i++) {
        char place[48], stated[64];
        snprintf(place, sizeof place, "/records/%zu", i);
        snprintf(stated, sizeof stated, "/hashes/records/%zu", i);
        QVL_TRY(check_hash(v, place, stated, error));
    }
    /* Equal records in another order, or a changed section digest, still show in the digest of the section.
     */
    return v->failures == before ? check_hash(v, "/records", "/hashes/sections/records", error) : QVL_OK;
}

static enum qvl_status check_whole(struct validation *v, struct qvl_error *error)
{
    char hex[65];
    const char *expected = qvl_document_string(v->document, "/hashes/report");
    bool same = false;
    if (expected) {
        char kept[65];
        snprintf(kept, sizeof kept, "%s", expected);
        QVL_TRY(qvl_document_report_hash(v->document, hex, error));
        same = strcmp(kept, hex) == 0;
    }
    if (same)
        return QVL_OK;
    return add_finding(
        v, "hash", QVL_CASE_FAILED, "/hashes",
        "the hashes themselves, or the format or schema_version, were changed after the report was written",
        error);
}

/* The whole number at a pointer; -1 when there is none. */
static enum qvl_status number_at(const struct validation *v, const char *pointer, int64_t *value,
                                 struct qvl_error *error)
{
    char *text;
    size_t size;
    *value = -1;
    if (!qvl_document_has(v->document, pointer))
        return QVL_OK;
    QVL_TRY(qvl_document_canonical(v->document, pointer, &text, &size, error));
    char *end;
    int64_t number = strtoll(text, &end, 10);
    if (end != text && *end == '\0')
        *value = number;
    free(text);
    return QVL_OK;
}

static int64_t records_with_status(const struct validation *v, const char *status)
{
    int64_t count = 0;
    size_t records = qvl_document_count(v->document, "/records");
    for (size_t i = 0; i < records; i++) {
        char pointer[64];
        snprintf(pointer, sizeof pointer, "/records/%zu/status", i);
        const char *stated = qvl_document_string(v->document, pointer);
        count += stated && strcmp(stated, status) == 0;
    }
    return count;
}

/* The counts of the summary are those of the records, also in a report whose hashes were made anew. */
static enum qvl_status check_summary(struct validation *v, struct qvl_error *error)
{
    int64_t before = v->failures, stated, counted = (int64_t)qvl_document_count(v->document, "/records");
    char message[128];
    QVL_TRY(number_at(v, "/summary/records", &stated, error));
    if (stated != counted) {
        snprintf(message, sizeof message, "the report has %lld records", (long long)counted);
        QVL_TRY(add_finding(v, "summary", QVL_CASE_FAILED, "/summary/records", message, error));
    }
    for (int s = QVL_CASE_PASSED; s < QVL_CASE_STATUS_COUNT; s++) {
        char pointer[64];
        const char *name = qvl_case_status_name((enum qvl_case_status)s);
        snprintf(pointer, sizeof pointer, "/summary/cases/%s", name);
        counted = records_with_status(v, name);
        QVL_TRY(number_at(v, pointer, &stated, error));
        if (stated == counted)
            continue;
        snprintf(message, sizeof message, "the report has %lld records with this status", (long long)counted);
        QVL_TRY(add_finding(v, "summary", QVL_CASE_FAILED, pointer, message, error));
    }
    if (v->failures > before)
        return QVL_OK;
    return add_finding(v, "summary", QVL_CASE_PASSED, NULL, "its counts are those of the records", error);
}

static enum qvl_status check_hashes(struct validation *v, struct qvl_error *error)
{
    int64_t before = v->failures;
    for (size_t i = 0; qvl_report_sections[i]; i++) {
        char place[32], stated[64];
        snprintf(place, sizeof place, "/%s", qvl_report_sections[i]);
        snprintf(stated, sizeof stated, "/hashes/sections/%s", qvl_report_sections[i]);
        if (!qvl_document_has(v->document, place))
            QVL_TRY(add_finding(v, "hash", QVL_CASE_FAILED, place, "this section is missing", error));
        else if (strcmp(qvl_report_sections[i], "records") == 0)
            QVL_TRY(check_records(v, error));
        else
            QVL_TRY(check_hash(v, place, stated, error));
    }
    if (v->failures == before)
        QVL_TRY(check_whole(v, error));
    if (v->failures > before)
        return QVL_OK;
    return add_finding(v, "hashes", QVL_CASE_PASSED, NULL, "every section and record is as it was written",
                       error);
}

enum qvl_status qvl_report_validate(const char *text, size_t size, const char *name,
                                    struct qvl_report *findings, struct qvl_error *error)
{
    struct validation v = {.findings = findings, .name = name};
    QVL_TRY(qvl_document_parse(text, size, name, &v.document, error));
    enum qvl_status status = check_schema(&v, error);
    if (status == QVL_OK)
        status = check_summary(&v, error);
    if (status == QVL_OK)
        status = check_hashes(&v, error);
    qvl_document_destroy(v.document);
    return status;
}
