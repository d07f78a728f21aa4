#include "cli/measured_rows.h"

#include <string.h>

#include "base/json.h"
#include "cli/models.h"

/* What the rows of one report share. */
struct source {
    const char *path;
    const char *machine;
    char model[96];
};

/* A member that may be missing, of an object that may be, too; NULL where there is none. */
static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_of(const cJSON *node, const char *otherwise)
{
    return cJSON_IsString(node) ? node->valuestring : otherwise;
}

/* The last part of the checkpoint's path, or the name of the shapes that were sampled. */
static void name_model(const cJSON *workload, struct source *source)
{
    const cJSON *settings = member(workload, "settings");
    const char *shapes = text_of(member(settings, "shapes"), NULL);
    const struct qvl_model_table *table;
    struct qvl_error ignored;
    char path[512];
    if (shapes && qvl_model_find(shapes, &table, &ignored) == QVL_OK) {
        snprintf(source->model, sizeof source->model, "%.90s", table->name);
        return;
    }
    snprintf(path, sizeof path, "%s", shapes ? shapes : text_of(member(settings, "weights"), "checkpoint"));
    for (size_t size = strlen(path); size > 1 && path[size - 1] == '/'; size--)
        path[size - 1] = '\0';
    const char *slash = strrchr(path, '/');
    snprintf(source->model, sizeof source->model, "%.90s", slash ? slash + 1 : path);
}

/* Seconds that the record measured, or modelled from sampled layers; *from says which. NULL: neither. */
static const cJSON *find_seconds(const cJSON *latency, const char *key, enum qvl_provenance *from)
{
    const cJSON *measured = member(member(latency, "measured"), key);
    *from = cJSON_IsNumber(measured) ? QVL_FROM_MEASURED : QVL_FROM_MODELLED;
    const cJSON *value = cJSON_IsNumber(measured) ? measured : member(member(latency, "modelled"), key);
    return cJSON_IsNumber(value) && value->valuedouble > 0 ? value : NULL;
}

static void put_seconds(struct qvl_record *record, const char *name, const char *source_name,
                        const cJSON *latency, const char *key)
{
    enum qvl_provenance from;
    const cJSON *value = find_seconds(latency, key, &from);
    if (!value) {
        qvl_record_missing(record, name, "not in the report");
        return;
    }
    qvl_record_real(record, name, value->valuedouble, "s", from);
    qvl_record_text(record, source_name, from == QVL_FROM_MEASURED ? "measured" : "measured by sampling",
                    QVL_FROM_SETTING);
}

static struct qvl_record *row_of(const struct source *source, const cJSON *latency)
{
    enum qvl_provenance from;
    const cJSON *decode = find_seconds(latency, "decode_median", &from);
    const cJSON *context = member(member(latency, "settings"), "context");
    char name[256];
    snprintf(name, sizeof name, "%.60s, %.60s in %.100s", source->model,
             text_of(member(latency, "name"), "?"), source->path);
    struct qvl_record *record = qvl_record_create("procure", name, QVL_CASE_NONE);
    qvl_record_text(record, "model", source->model, QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_text(record, "device", source->machine, QVL_FROM_SETTING);
    qvl_record_detail(record);
    const bool counted = cJSON_IsNumber(context) && context->valuedouble > 0 && context->valuedouble < 1e15;
    qvl_record_int(record, "context", counted ? (int64_t)context->valuedouble : 0, "token", QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_int(record, "devices", 1, NULL, QVL_FROM_SETTING);
    put_seconds(record, "ttft", "ttft_source", latency, "prefill_median");
    put_seconds(record, "tpot", "tpot_source", latency, "decode_median");
    if (decode)
        qvl_record_real(record, "rate", 1 / decode->valuedouble, "token/s", from);
    return record;
}

static enum qvl_status read_rows(const char *path, const cJSON *root, struct qvl_report *report,
                                 struct qvl_error *error)
{
    struct source source = {.path = path};
    const cJSON *record;
    int64_t rows = 0;
    if (strcmp(text_of(member(root, "format"), ""), "qvl-report") != 0)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: format: is not \"qvl-report\"; give a report.json", path);
    source.machine =
        text_of(member(member(member(root, "environment"), "measured"), "cpu"), "unknown machine");
    name_model(member(root, "workload"), &source);
    cJSON_ArrayForEach(record, member(root, "records"))
    {
        if (strcmp(text_of(member(record, "kind"), ""), "latency") != 0 ||
            strcmp(text_of(member(record, "status"), "PASSED"), "PASSED") != 0)
            continue;
        QVL_TRY(qvl_report_take(report, row_of(&source, record), error));
        rows++;
    }
    if (rows == 0)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%s: records: holds no latency record that passed; write one with "
                        "`qvl-audit latency --json`",
                        path);
    return QVL_OK;
}

enum qvl_status qvl_measured_rows(const char *path, struct qvl_report *report, struct qvl_error *error)
{
    cJSON *root;
    QVL_TRY(qvl_json_read(path, &root, error));
    const enum qvl_status status = read_rows(path, root, report, error);
    cJSON_Delete(root);
    return status;
}
