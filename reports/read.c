#include "reports/read.h"

#include <math.h>

#include "base/file.h"
#include "base/json.h"
#include "reports/validate.h"

#define MAX_REPORT_BYTES ((size_t)1 << 30)
#define MAX_INTEGER 0x1p53

/* ---- A record ---- */

static bool is_integer(const cJSON *node)
{
    return cJSON_IsNumber(node) && node->valuedouble == floor(node->valuedouble) &&
           fabs(node->valuedouble) <= MAX_INTEGER;
}

/* A number, or one of the strings that stand for what JSON cannot hold. */
static bool real_of(const cJSON *node, double *value)
{
    static const struct {
        const char *text;
        double value;
    } words[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    if (cJSON_IsNumber(node)) {
        *value = node->valuedouble;
        return true;
    }
    for (size_t i = 0; cJSON_IsString(node) && i < sizeof words / sizeof *words; i++)
        if (strcmp(node->valuestring, words[i].text) == 0) {
            *value = words[i].value;
            return true;
        }
    return false;
}

static enum qvl_status put_array(struct qvl_record *record, const struct qvl_json *at, const char *unit,
                                 enum qvl_provenance provenance, struct qvl_error *error)
{
    const cJSON *item;
    const int64_t count = cJSON_GetArraySize(at->node);
    double *reals = malloc(sizeof(double) * (size_t)(count + 1));
    int64_t *integers = malloc(sizeof(int64_t) * (size_t)(count + 1));
    enum qvl_status status = QVL_OK;
    bool whole = true;
    int64_t next = 0;
    if (!reals || !integers)
        status =
            qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for an array of %lld", at->file, (long long)count);
    else
        cJSON_ArrayForEach(item, at->node)
        {
            if (status == QVL_OK && !real_of(item, &reals[next]))
                status = qvl_json_fail(at, NULL, error, "element %lld is no number", (long long)next);
            whole = whole && is_integer(item);
            if (status == QVL_OK && whole)
                integers[next] = (int64_t)reals[next];
            next++;
        }
    if (status == QVL_OK && whole)
        qvl_record_ints(record, at->node->string, integers, count, unit, provenance);
    else if (status == QVL_OK)
        qvl_record_reals(record, at->node->string, reals, count, unit, provenance);
    free(reals);
    free(integers);
    return status;
}

static enum qvl_status put_field(struct qvl_record *record, const struct qvl_json *at, const char *unit,
                                 enum qvl_provenance provenance, struct qvl_error *error)
{
    const cJSON *node = at->node;
    const char *name = node->string;
    double real;
    if (cJSON_IsArray(node))
        return put_array(record, at, unit, provenance, error);
    if (provenance == QVL_FROM_NOT_DONE && cJSON_IsString(node))
        qvl_record_missing(record, name, node->valuestring);
    else if (is_integer(node))
        qvl_record_int(record, name, (int64_t)node->valuedouble, unit, provenance);
    else if (real_of(node, &real))
        qvl_record_real(record, name, real, unit, provenance);
    else if (cJSON_IsBool(node))
        qvl_record_flag(record, name, cJSON_IsTrue(node), provenance);
    else if (cJSON_IsString(node))
        qvl_record_text(record, name, node->valuestring, provenance);
    else
        return qvl_json_fail(at, NULL, error, "neither number, text, flag nor list");
    return QVL_OK;
}

static bool is_column(const cJSON *record, const char *name)
{
    const cJSON *column;
    cJSON_ArrayForEach(column, cJSON_GetObjectItemCaseSensitive(record, "columns"))
    {
        if (cJSON_IsString(column) && strcmp(column->valuestring, name) == 0)
            return true;
    }
    return false;
}

static enum qvl_status put_group(struct qvl_record *record, const struct qvl_json *at,
                                 enum qvl_provenance provenance, struct qvl_error *error)
{
    const cJSON *units = cJSON_GetObjectItemCaseSensitive(at->node, "units");
    const cJSON *node;
    struct qvl_json group;
    if (!qvl_json_has(at, qvl_provenance_name(provenance)))
        return QVL_OK;
    QVL_TRY(qvl_json_object(at, qvl_provenance_name(provenance), &group, error));
    cJSON_ArrayForEach(node, group.node)
    {
        struct qvl_json field;
        const cJSON *unit = cJSON_GetObjectItemCaseSensitive(units, node->string);
        QVL_TRY(qvl_json_member(&group, node->string, &field, error));
        QVL_TRY(
            put_field(record, &field, cJSON_IsString(unit) ? unit->valuestring : NULL, provenance, error));
        if (!is_column(at->node, node->string))
            qvl_record_detail(record);
    }
    return QVL_OK;
}

enum qvl_status qvl_record_parse(const struct qvl_json *at, struct qvl_record **record,
                                 struct qvl_error *error)
{
    const char *kind;
    const char *name;
    const char *word;
    int status_word = QVL_CASE_NONE;
    QVL_TRY(qvl_json_string(at, "kind", &kind, error));
    QVL_TRY(qvl_json_string(at, "name", &name, error));
    QVL_TRY(qvl_json_string_or(at, "status", "NONE", &word, error));
    while (status_word < QVL_CASE_STATUS_COUNT &&
           strcmp(word, qvl_case_status_name((enum qvl_case_status)status_word)) != 0)
        status_word++;
    if (status_word == QVL_CASE_STATUS_COUNT)
        return qvl_json_fail(at, "status", error, "\"%.40s\" is no status", word);
    struct qvl_record *made = qvl_record_create(kind, name, (enum qvl_case_status)status_word);
    enum qvl_status status = qvl_record_check(made, error);
    for (int p = 0; p < QVL_PROVENANCE_COUNT && status == QVL_OK; p++)
        status = put_group(made, at, (enum qvl_provenance)p, error);
    if (status == QVL_OK && made->fault == QVL_RECORD_NAME_TWICE)
        status = qvl_json_fail(at, NULL, error, "a field stands in two groups");
    if (status == QVL_OK)
        status = qvl_record_check(made, error);
    if (status != QVL_OK) {
        qvl_record_destroy(made);
        return status;
    }
    *record = made;
    return QVL_OK;
}

/* ---- A report ---- */

static enum qvl_status copy_string(const struct qvl_json *at, const char *key, char **copy,
                                   struct qvl_error *error)
{
    const char *text;
    QVL_TRY(qvl_json_string(at, key, &text, error));
    *copy = qvl_record_copy(text);
    return *copy ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "%s: no memory", at->file);
}

static enum qvl_status fill_head(struct qvl_saved_report *saved, const struct qvl_json *root,
                                 struct qvl_error *error)
{
    struct qvl_json tool, hashes, sections, part;
    QVL_TRY(qvl_json_object(root, "tool", &tool, error));
    QVL_TRY(copy_string(&tool, "version", &saved->version, error));
    QVL_TRY(copy_string(&tool, "git_commit", &saved->git_commit, error));
    QVL_TRY(copy_string(root, "created", &saved->created, error));
    QVL_TRY(qvl_json_object(root, "hashes", &hashes, error));
    QVL_TRY(qvl_json_object(&hashes, "sections", &sections, error));
    QVL_TRY(copy_string(&sections, "workload", &saved->workload_digest, error));
    QVL_TRY(qvl_json_object(root, "environment", &part, error));
    QVL_TRY(qvl_record_parse(&part, &saved->report.environment, error));
    if (!qvl_json_has(root, "workload"))
        return QVL_OK;
    QVL_TRY(qvl_json_object(root, "workload", &part, error));
    return qvl_record_parse(&part, &saved->report.workload, error);
}

static enum qvl_status fill_lists(struct qvl_report *report, const struct qvl_json *root,
                                  struct qvl_error *error)
{
    struct qvl_json list;
    const cJSON *node;
    int64_t count;
    int64_t index = 0;
    QVL_TRY(qvl_json_array(root, "records", &list, &count, error));
    cJSON_ArrayForEach(node, list.node)
    {
        const struct qvl_json at = qvl_json_child(&list, node, index++);
        struct qvl_record *record = NULL;
        QVL_TRY(qvl_record_parse(&at, &record, error));
        QVL_TRY(qvl_report_take(report, record, error));
    }
    QVL_TRY(qvl_json_array(root, "not_measured", &list, &count, error));
    index = 0;
    cJSON_ArrayForEach(node, list.node)
    {
        const struct qvl_json at = qvl_json_child(&list, node, index++);
        const char *what;
        const char *reason;
        QVL_TRY(qvl_json_string(&at, "what", &what, error));
        QVL_TRY(qvl_json_string(&at, "reason", &reason, error));
        QVL_TRY(qvl_report_omit(report, what, reason, error));
    }
    QVL_TRY(qvl_json_array(root, "notes", &list, &count, error));
    cJSON_ArrayForEach(node, list.node)
    {
        if (cJSON_IsString(node))
            QVL_TRY(qvl_report_note(report, node->valuestring, error));
    }
    return QVL_OK;
}

/* The first finding that failed becomes the error. */
static enum qvl_status check_holds(const char *text, size_t size, const char *name, struct qvl_error *error)
{
    struct qvl_report findings = {0};
    enum qvl_status status = qvl_report_validate(text, size, name, &findings, error);
    for (int64_t i = 0; i < findings.record_count && status == QVL_OK; i++) {
        const struct qvl_record *record = findings.records[i];
        const struct qvl_field *message = qvl_record_find(record, "message");
        if (record->status == QVL_CASE_FAILED)
            status = qvl_fail(error, QVL_BAD_INPUT, "%s: does not hold (%s): %s", name, record->name,
                              message ? message->value.text : "see `qvl-audit validate`");
    }
    qvl_report_clear(&findings);
    return status;
}

enum qvl_status qvl_report_parse(const char *text, size_t size, const char *name,
                                 struct qvl_saved_report **saved, struct qvl_error *error)
{
    cJSON *tree = NULL;
    QVL_TRY(check_holds(text, size, name, error));
    QVL_TRY(qvl_json_parse(text, size, name, &tree, error));
    const struct qvl_json root = qvl_json_at_root(tree, name);
    struct qvl_saved_report *made = calloc(1, sizeof *made);
    enum qvl_status status = QVL_OK;
    if (!made || !(made->file = qvl_record_copy(name)))
        status = qvl_fail(error, QVL_NO_MEMORY, "%s: no memory to read it", name);
    if (status == QVL_OK)
        status = fill_head(made, &root, error);
    if (status == QVL_OK)
        status = fill_lists(&made->report, &root, error);
    cJSON_Delete(tree);
    if (status != QVL_OK) {
        qvl_saved_report_destroy(made);
        return status;
    }
    *saved = made;
    return QVL_OK;
}

enum qvl_status qvl_report_read(const char *path, struct qvl_saved_report **saved, struct qvl_error *error)
{
    char *text;
    size_t size;
    QVL_TRY(qvl_file_read(path, MAX_REPORT_BYTES, &text, &size, error));
    const enum qvl_status status = qvl_report_parse(text, size, path, saved, error);
    free(text);
    return status;
}

void qvl_saved_report_destroy(struct qvl_saved_report *saved)
{
    if (!saved)
        return;
    free(saved->file);
    free(saved->version);
    free(saved->git_commit);
    free(saved->created);
    free(saved->workload_digest);
    qvl_report_clear(&saved->report);
    free(saved);
}
