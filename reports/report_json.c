#include "reports/report_json.h"

#include <time.h>

#include "base/sha256.h"
#include "reports/record_json.h"
#include "reports/version.h"
#include "reports/writer.h"

const char *const qvl_report_sections[] = {"tool",    "created", "command",      "environment", "workload",
                                           "summary", "records", "not_measured", "notes",       NULL};

enum qvl_status qvl_document_hash(const struct qvl_document *document, const char *pointer, char hex[65],
                                  struct qvl_error *error)
{
    char *text;
    size_t size;
    QVL_TRY(qvl_document_canonical(document, pointer, &text, &size, error));
    enum qvl_status status = qvl_sha256_memory(text, size, hex, error);
    free(text);
    return status;
}

enum qvl_status qvl_document_report_hash(struct qvl_document *document, char hex[65], struct qvl_error *error)
{
    const char *stated = qvl_document_string(document, "/hashes/report");
    char *kept = stated ? qvl_record_copy(stated) : NULL;
    if (stated && !kept)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to hash a report");
    enum qvl_status status = qvl_document_set_string(document, "/hashes/report", "", error);
    if (status == QVL_OK)
        status = qvl_document_hash(document, "", hex, error);
    if (status == QVL_OK && kept)
        status = qvl_document_set_string(document, "/hashes/report", kept, error);
    free(kept);
    return status;
}

static bool put_tool(cJSON *root)
{
    cJSON *tool = cJSON_AddObjectToObject(root, "tool");
    return tool && cJSON_AddStringToObject(tool, "name", "qvl-audit") &&
           cJSON_AddStringToObject(tool, "version", qvl_version) &&
           cJSON_AddStringToObject(tool, "git_commit", qvl_git_commit);
}

static bool put_created(cJSON *root, int64_t created)
{
    char stamp[40];
    time_t seconds = (time_t)created;
    struct tm utc;
    if (!gmtime_r(&seconds, &utc))
        return false;
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return cJSON_AddStringToObject(root, "created", stamp);
}

/* Append to an array; false (and `item` freed) when there is no memory. */
static bool push(cJSON *array, cJSON *item)
{
    if (item && cJSON_AddItemToArray(array, item))
        return true;
    cJSON_Delete(item);
    return false;
}

static bool put_command(cJSON *root, const struct qvl_report *report)
{
    cJSON *command = cJSON_AddArrayToObject(root, "command");
    bool good = command != NULL;
    for (int i = 0; good && i < report->argc; i++)
        good = push(command, qvl_json_text(report->argv[i]));
    return good;
}

static bool put_summary(cJSON *root, const struct qvl_report *report)
{
    cJSON *summary = cJSON_AddObjectToObject(root, "summary");
    enum qvl_status outcome = qvl_report_outcome(report);
    bool good = summary && cJSON_AddStringToObject(summary, "outcome", qvl_status_name(outcome)) &&
                qvl_json_put(summary, "exit_code", qvl_json_integer(qvl_status_exit_code(outcome))) &&
                qvl_json_put(summary, "records", qvl_json_integer(report->record_count));
    cJSON *cases = good ? cJSON_AddObjectToObject(summary, "cases") : NULL;
    good = good && cases;
    for (int s = QVL_CASE_PASSED; good && s < QVL_CASE_STATUS_COUNT; s++)
        good = qvl_json_put(cases, qvl_case_status_name((enum qvl_case_status)s),
                            qvl_json_integer(qvl_report_status_count(report, (enum qvl_case_status)s)));
    return good;
}

static bool put_lists(cJSON *root, const struct qvl_report *report)
{
    cJSON *records = cJSON_AddArrayToObject(root, "records");
    bool good = records != NULL;
    for (int64_t i = 0; good && i < report->record_count; i++)
        good = push(records, qvl_record_json(report->records[i]));
    cJSON *omissions = good ? cJSON_AddArrayToObject(root, "not_measured") : NULL;
    good = good && omissions;
    for (int64_t i = 0; good && i < report->omission_count; i++) {
        cJSON *omission = cJSON_CreateObject();
        good = push(omissions, omission) &&
               qvl_json_put(omission, "what", qvl_json_text(report->omissions[i].what)) &&
               qvl_json_put(omission, "reason", qvl_json_text(report->omissions[i].reason));
    }
    cJSON *notes = good ? cJSON_AddArrayToObject(root, "notes") : NULL;
    good = good && notes;
    for (int64_t i = 0; good && i < report->note_count; i++)
        good = push(notes, qvl_json_text(report->notes[i]));
    return good;
}

/* Everything but the hashes, in the order of qvl_report_sections; NULL when there is no memory. */
static cJSON *report_tree(const struct qvl_report *report)
{
    cJSON *root = cJSON_CreateObject();
    bool good = root && cJSON_AddStringToObject(root, "format", "qvl-report") &&
                qvl_json_put(root, "schema_version", qvl_json_integer(QVL_REPORT_SCHEMA_VERSION)) &&
                put_tool(root) && put_created(root, report->created) && put_command(root, report) &&
                qvl_json_put(root, "environment", qvl_record_json(report->environment)) &&
                qvl_json_put(root, "workload",
                             report->workload ? qvl_record_json(report->workload) : cJSON_CreateNull()) &&
                put_summary(root, report) && put_lists(root, report);
    if (good)
        return root;
    cJSON_Delete(root);
    return NULL;
}

static enum qvl_status document_of(const cJSON *root, struct qvl_document **document, struct qvl_error *error)
{
    char *text = cJSON_PrintUnformatted(root);
    if (!text)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for report.json");
    enum qvl_status status = qvl_document_parse(text, strlen(text), "report.json", document, error);
    cJSON_free(text);
    return status;
}

/* /hashes with every digest but that of the whole. */
static enum qvl_status put_part_hashes(cJSON *root, const struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_document *document;
    char hex[QVL_SHA256_HEX_BYTES];
    enum qvl_status status = document_of(root, &document, error);
    QVL_TRY(status);
    cJSON *hashes = cJSON_AddObjectToObject(root, "hashes");
    bool good = hashes && cJSON_AddStringToObject(hashes, "algorithm", "sha256");
    cJSON *sections = good ? cJSON_AddObjectToObject(hashes, "sections") : NULL;
    good = good && sections;
    for (size_t i = 0; good && status == QVL_OK && qvl_report_sections[i]; i++) {
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/%s", qvl_report_sections[i]);
        status = qvl_document_hash(document, pointer, hex, error);
        good = status != QVL_OK || cJSON_AddStringToObject(sections, qvl_report_sections[i], hex);
    }
    cJSON *records = good ? cJSON_AddArrayToObject(hashes, "records") : NULL;
    good = good && records;
    for (int64_t i = 0; good && status == QVL_OK && i < report->record_count; i++) {
        char pointer[40];
        snprintf(pointer, sizeof pointer, "/records/%lld", (long long)i);
        status = qvl_document_hash(document, pointer, hex, error);
        good = status != QVL_OK || push(records, cJSON_CreateString(hex));
    }
    good = good && cJSON_AddStringToObject(hashes, "report", "");
    qvl_document_destroy(document);
    if (status == QVL_OK && !good)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the hashes of report.json");
    return status;
}

static enum qvl_status put_whole_hash(cJSON *root, struct qvl_error *error)
{
    struct qvl_document *document;
    char hex[QVL_SHA256_HEX_BYTES];
    QVL_TRY(document_of(root, &document, error));
    enum qvl_status status = qvl_document_report_hash(document, hex, error);
    qvl_document_destroy(document);
    QVL_TRY(status);
    cJSON *hashes = cJSON_GetObjectItemCaseSensitive(root, "hashes");
    if (!cJSON_SetValuestring(cJSON_GetObjectItemCaseSensitive(hashes, "report"), hex))
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the hash of report.json");
    return QVL_OK;
}

enum qvl_status qvl_report_json(const struct qvl_report *report, char **text, size_t *size,
                                struct qvl_error *error)
{
    if (!report->environment)
        return qvl_fail(error, QVL_USAGE, "report.json needs an environment record; collect it first");
    cJSON *root = report_tree(report);
    if (!root)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for report.json");
    enum qvl_status status = put_part_hashes(root, report, error);
    if (status == QVL_OK)
        status = put_whole_hash(root, error);
    char *printed = status == QVL_OK ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (status == QVL_OK && !printed)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for report.json");
    QVL_TRY(status);
    struct qvl_text out = {0};
    qvl_text_add(&out, printed, strlen(printed));
    qvl_text_add(&out, "\n", 1);
    cJSON_free(printed);
    return qvl_text_take(&out, text, size, error);
}

enum qvl_status qvl_report_json_lines(const struct qvl_report *report, struct qvl_text *out,
                                      struct qvl_error *error)
{
    for (int64_t i = 0; i < report->record_count; i++) {
        cJSON *node = qvl_record_json(report->records[i]);
        char *line = node ? cJSON_PrintUnformatted(node) : NULL;
        cJSON_Delete(node);
        if (!line)
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for a line of JSON");
        qvl_text_print(out, "%s\n", line);
        cJSON_free(line);
    }
    return QVL_OK;
}
