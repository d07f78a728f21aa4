#include "reports/csv.h"

#include "reports/columns.h"
#include "reports/values.h"

/* One cell, quoted when it must be. Empties `cell`. */
static void put_cell(struct qvl_text *out, struct qvl_text *cell)
{
    const char *content = cell->data ? cell->data : "";
    out->failed = out->failed || cell->failed;
    if (!strpbrk(content, ",\"\r\n")) {
        qvl_text_print(out, "%s", content);
    } else {
        qvl_text_add(out, "\"", 1);
        for (; *content; content++)
            qvl_text_add(out, *content == '"' ? "\"\"" : content, *content == '"' ? 2 : 1);
        qvl_text_add(out, "\"", 1);
    }
    qvl_text_free(cell);
}

static void put_heading(struct qvl_text *out, const struct qvl_columns *columns)
{
    qvl_text_print(out, "kind,name,status");
    for (int64_t c = 0; c < columns->count; c++) {
        const struct qvl_column *column = &columns->items[c];
        struct qvl_text cell = {0};
        qvl_text_clean(&cell, column->name, true);
        if (column->unit)
            qvl_text_print(&cell, " [%s]", column->unit);
        if (column->provenance == QVL_FROM_PUBLISHED || column->provenance == QVL_FROM_MODELLED)
            qvl_text_print(&cell, " %s", qvl_provenance_name(column->provenance));
        qvl_text_add(out, ",", 1);
        put_cell(out, &cell);
    }
    qvl_text_print(out, "\r\n");
}

static void put_record(struct qvl_text *out, const struct qvl_columns *columns,
                       const struct qvl_record *record)
{
    struct qvl_text cell = {0};
    qvl_text_clean(&cell, record->kind, false);
    put_cell(out, &cell);
    qvl_text_add(out, ",", 1);
    qvl_text_clean(&cell, record->name, false);
    put_cell(out, &cell);
    qvl_text_print(out, ",%s", record->status == QVL_CASE_NONE ? "" : qvl_case_status_name(record->status));
    for (int64_t c = 0; c < columns->count; c++) {
        const struct qvl_field *field = qvl_column_field(columns, c, record);
        if (field)
            qvl_value_exact(&cell, field);
        qvl_text_add(out, ",", 1);
        put_cell(out, &cell);
    }
    qvl_text_print(out, "\r\n");
}

enum qvl_status qvl_csv_write(const struct qvl_report *report, struct qvl_text *out, struct qvl_error *error)
{
    struct qvl_columns columns;
    QVL_TRY(qvl_columns_make(report->records, report->record_count, true, &columns, error));
    put_heading(out, &columns);
    for (int64_t i = 0; i < report->record_count; i++)
        put_record(out, &columns, report->records[i]);
    qvl_columns_free(&columns);
    return QVL_OK;
}
