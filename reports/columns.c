#include "reports/columns.h"

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The column a field belongs to, or -1. */
static int64_t column_of(const struct qvl_columns *columns, const struct qvl_field *field)
{
    for (int64_t i = 0; i < columns->count; i++) {
        const struct qvl_column *column = &columns->items[i];
        if (!same_text(column->name, field->name))
            continue;
        if (field->provenance == QVL_FROM_NOT_DONE)
            return i;
        if (column->provenance == field->provenance && same_text(column->unit, field->unit))
            return i;
    }
    return -1;
}

/* A column that so far held only missing values takes on the unit and provenance of the first value. */
static int64_t column_to_adopt(const struct qvl_columns *columns, const struct qvl_field *field)
{
    for (int64_t i = 0; i < columns->count; i++)
        if (columns->items[i].provenance == QVL_FROM_NOT_DONE &&
            same_text(columns->items[i].name, field->name))
            return i;
    return -1;
}

/* Where the new column of fields[f] belongs: before the first later field that has a column, or at the end.
 */
static int64_t place_for(const struct qvl_columns *columns, const struct qvl_record *record, int64_t f)
{
    for (int64_t later = f + 1; later < record->field_count; later++) {
        int64_t index = column_of(columns, &record->fields[later]);
        if (index >= 0)
            return index;
    }
    return columns->count;
}

static bool add_field(struct qvl_columns *columns, const struct qvl_record *record, int64_t f)
{
    const struct qvl_field *field = &record->fields[f];
    bool missing = field->provenance == QVL_FROM_NOT_DONE;
    bool numeric = missing || field->type != QVL_FIELD_TEXT;
    int64_t index = column_of(columns, field);
    if (index < 0 && !missing && (index = column_to_adopt(columns, field)) >= 0) {
        columns->items[index].unit = field->unit;
        columns->items[index].provenance = field->provenance;
    }
    if (index < 0) {
        if (!qvl_record_grow((void **)&columns->items, columns->count, &columns->capacity,
                             sizeof *columns->items))
            return false;
        index = place_for(columns, record, f);
        memmove(&columns->items[index + 1], &columns->items[index],
                (size_t)(columns->count - index) * sizeof *columns->items);
        columns->items[index] = (struct qvl_column){field->name, field->unit, field->provenance, true};
        columns->count++;
    }
    columns->items[index].numeric = columns->items[index].numeric && numeric;
    return true;
}

enum qvl_status qvl_columns_make(struct qvl_record *const *records, int64_t count, bool details,
                                 struct qvl_columns *columns, struct qvl_error *error)
{
    *columns = (struct qvl_columns){0};
    for (int64_t r = 0; r < count; r++) {
        for (int64_t f = 0; f < records[r]->field_count; f++) {
            if (records[r]->fields[f].detail && !details)
                continue;
            if (!add_field(columns, records[r], f)) {
                qvl_columns_free(columns);
                return qvl_fail(error, QVL_NO_MEMORY, "no memory for the columns of a table");
            }
        }
    }
    return QVL_OK;
}

void qvl_columns_free(struct qvl_columns *columns)
{
    if (!columns)
        return;
    free(columns->items);
    *columns = (struct qvl_columns){0};
}

const struct qvl_field *qvl_column_field(const struct qvl_columns *columns, int64_t column,
                                         const struct qvl_record *record)
{
    const struct qvl_field *field = qvl_record_find(record, columns->items[column].name);
    return field && column_of(columns, field) == column ? field : NULL;
}
