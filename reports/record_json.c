#include "reports/record_json.h"

#include <inttypes.h>
#include <math.h>

#include "reports/text.h"

cJSON *qvl_json_text(const char *text)
{
    struct qvl_text clean = {0};
    char *data;
    size_t size;
    qvl_text_clean(&clean, text, false);
    if (qvl_text_take(&clean, &data, &size, NULL) != QVL_OK)
        return NULL;
    cJSON *node = cJSON_CreateString(data);
    free(data);
    return node;
}

cJSON *qvl_json_integer(int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    return cJSON_CreateRaw(digits);
}

bool qvl_json_put(cJSON *object, const char *key, cJSON *item)
{
    if (item && cJSON_AddItemToObject(object, key, item))
        return true;
    cJSON_Delete(item);
    return false;
}

static cJSON *real_json(double value)
{
    if (isnan(value))
        return cJSON_CreateString("NaN");
    if (isinf(value))
        return cJSON_CreateString(value > 0 ? "Infinity" : "-Infinity");
    return cJSON_CreateNumber(value);
}

static cJSON *array_json(const struct qvl_field *field)
{
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; array && i < field->count; i++) {
        cJSON *item = field->type == QVL_FIELD_INTS ? qvl_json_integer(field->value.integers[i])
                                                    : real_json(field->value.reals[i]);
        if (!item || !cJSON_AddItemToArray(array, item)) {
            cJSON_Delete(item);
            cJSON_Delete(array);
            return NULL;
        }
    }
    return array;
}

static cJSON *value_json(const struct qvl_field *field)
{
    switch (field->type) {
    case QVL_FIELD_INT: return qvl_json_integer(field->value.integer);
    case QVL_FIELD_REAL: return real_json(field->value.real);
    case QVL_FIELD_TEXT: return qvl_json_text(field->value.text);
    case QVL_FIELD_FLAG: return cJSON_CreateBool(field->value.flag);
    default: return array_json(field);
    }
}

/* The fields of one provenance as an object under its name; nothing when there are none. */
static bool put_group(cJSON *node, const struct qvl_record *record, enum qvl_provenance provenance)
{
    cJSON *group = NULL;
    for (int64_t i = 0; i < record->field_count; i++) {
        const struct qvl_field *field = &record->fields[i];
        if (field->provenance != provenance)
            continue;
        if (!group && !(group = cJSON_AddObjectToObject(node, qvl_provenance_name(provenance))))
            return false;
        if (!qvl_json_put(group, field->name, value_json(field)))
            return false;
    }
    return true;
}

static bool put_units(cJSON *node, const struct qvl_record *record)
{
    cJSON *units = NULL;
    for (int64_t i = 0; i < record->field_count; i++) {
        const struct qvl_field *field = &record->fields[i];
        if (!field->unit)
            continue;
        if (!units && !(units = cJSON_AddObjectToObject(node, "units")))
            return false;
        if (!qvl_json_put(units, field->name, qvl_json_text(field->unit)))
            return false;
    }
    return true;
}

/* The fields a table shows, in their order, which the groups do not keep. */
static bool put_columns(cJSON *node, const struct qvl_record *record)
{
    cJSON *columns = cJSON_AddArrayToObject(node, "columns");
    if (!columns)
        return false;
    for (int64_t i = 0; i < record->field_count; i++) {
        if (record->fields[i].detail)
            continue;
        cJSON *name = qvl_json_text(record->fields[i].name);
        if (!name || !cJSON_AddItemToArray(columns, name)) {
            cJSON_Delete(name);
            return false;
        }
    }
    return true;
}

cJSON *qvl_record_json(const struct qvl_record *record)
{
    cJSON *node = cJSON_CreateObject();
    bool good = node && qvl_json_put(node, "kind", qvl_json_text(record->kind)) &&
                qvl_json_put(node, "name", qvl_json_text(record->name));
    if (good && record->status != QVL_CASE_NONE)
        good = qvl_json_put(node, "status", cJSON_CreateString(qvl_case_status_name(record->status)));
    good = good && put_columns(node, record);
    for (int p = 0; good && p < QVL_PROVENANCE_COUNT; p++)
        good = put_group(node, record, (enum qvl_provenance)p);
    if (!good || !put_units(node, record)) {
        cJSON_Delete(node);
        return NULL;
    }
    return node;
}
