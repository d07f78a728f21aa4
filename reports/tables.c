#include "reports/tables.h"

#include <inttypes.h>

#include "reports/columns.h"
#include "reports/grid.h"
#include "reports/markup.h"
#include "reports/values.h"

/* A kind is printed with a field a row when it has at most this many records and more than that many fields.
 */
#define UPRIGHT_RECORDS 4
#define UPRIGHT_FIELDS 8

/* How a table is written. */
enum form { PLAIN, MARKDOWN, HTML };

struct kind_table {
    const char *kind;
    struct qvl_record **records; /* owned array of borrowed records */
    int64_t count;
    struct qvl_columns columns;
    bool with_status;
    enum qvl_provenance unmarked; /* of the columns that do not say theirs; settings never do */
    bool mixed;                   /* some column says another */
};

static void kind_table_free(struct kind_table *table)
{
    free(table->records);
    qvl_columns_free(&table->columns);
}

static bool states_provenance(const struct qvl_column *column)
{
    return column->provenance != QVL_FROM_SETTING && column->provenance != QVL_FROM_NOT_DONE;
}

/* Measured goes unmarked where there is any, else published, else modelled: the order of the enum. */
static void find_provenance(struct kind_table *table)
{
    table->unmarked = QVL_FROM_SETTING;
    for (int64_t c = 0; c < table->columns.count; c++) {
        const struct qvl_column *column = &table->columns.items[c];
        if (!states_provenance(column))
            continue;
        bool first = table->unmarked == QVL_FROM_SETTING;
        table->mixed = table->mixed || (!first && column->provenance != table->unmarked);
        if (first || column->provenance < table->unmarked)
            table->unmarked = column->provenance;
    }
}

/* What the heading of a table says about where its values come from. */
static const char *provenance_remark(const struct kind_table *table)
{
    if (table->unmarked == QVL_FROM_MODELLED)
        return " (all values modelled)";
    if (table->unmarked == QVL_FROM_PUBLISHED)
        return table->mixed ? " (published by others unless marked)" : " (all values published by others)";
    return "";
}

static enum qvl_status kind_table_make(const struct qvl_report *report, const char *kind,
                                       struct kind_table *table, struct qvl_error *error)
{
    *table = (struct kind_table){.kind = kind};
    table->records = malloc((size_t)report->record_count * sizeof(struct qvl_record *));
    if (!table->records)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the table of %s", kind);
    for (int64_t i = 0; i < report->record_count; i++) {
        if (strcmp(report->records[i]->kind, kind) != 0)
            continue;
        table->records[table->count++] = report->records[i];
        table->with_status = table->with_status || report->records[i]->status != QVL_CASE_NONE;
    }
    enum qvl_status status = qvl_columns_make(table->records, table->count, false, &table->columns, error);
    if (status != QVL_OK)
        kind_table_free(table);
    else
        find_provenance(table);
    return status;
}

/* A field's name; blanks for underscores, but not in the names of environment variables, which are all
 * capitals. */
static void put_name(const char *name, struct qvl_text *text)
{
    const bool capitals = strpbrk(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL &&
                          strpbrk(name, "abcdefghijklmnopqrstuvwxyz") == NULL;
    size_t start = text->size;
    qvl_text_clean(text, name, true);
    for (size_t i = start; i < text->size && !capitals; i++)
        if (text->data[i] == '_')
            text->data[i] = ' ';
}

/* "prefill per token (FLOP)", with the provenance where it is not the table's own. */
static void put_column_name(const struct kind_table *table, int64_t c, bool with_unit, struct qvl_text *text)
{
    const struct qvl_column *column = &table->columns.items[c];
    put_name(column->name, text);
    bool own_unit = column->unit && strcmp(column->unit, "1") != 0 && !qvl_unit_in_cell(column->unit);
    if (with_unit && own_unit)
        qvl_text_print(text, " (%s)", column->unit);
    if (states_provenance(column) && column->provenance != table->unmarked)
        qvl_text_print(text, " [%s]", qvl_provenance_name(column->provenance));
}

static void put_cell(const struct kind_table *table, int64_t record, int64_t c, bool with_unit,
                     struct qvl_text *text)
{
    const struct qvl_field *field = qvl_column_field(&table->columns, c, table->records[record]);
    if (!field)
        return;
    qvl_value_human(text, field, with_unit);
    if (field->unverified)
        qvl_text_print(text, "*");
}

/* A record a row: name, status, fields. */
static enum qvl_status flat_grid(const struct kind_table *table, struct qvl_grid *grid,
                                 struct qvl_error *error)
{
    struct qvl_text text = {0};
    int64_t lead = table->with_status ? 2 : 1;
    for (int64_t row = 0; row <= table->count; row++) {
        const struct qvl_record *record = row ? table->records[row - 1] : NULL;
        qvl_text_clean(&text, record ? record->name : "name", true);
        QVL_TRY(qvl_grid_set(grid, row, 0, &text, error));
        if (table->with_status) {
            bool stated = !record || record->status != QVL_CASE_NONE;
            qvl_text_print(&text, "%s",
                           !stated  ? ""
                           : record ? qvl_case_status_name(record->status)
                                    : "status");
            QVL_TRY(qvl_grid_set(grid, row, 1, &text, error));
        }
        for (int64_t c = 0; c < table->columns.count; c++) {
            grid->right[lead + c] = table->columns.items[c].numeric;
            if (record)
                put_cell(table, row - 1, c, false, &text);
            else
                put_column_name(table, c, true, &text);
            QVL_TRY(qvl_grid_set(grid, row, lead + c, &text, error));
        }
    }
    return QVL_OK;
}

/* A field a row, a record a column. */
static enum qvl_status upright_grid(const struct kind_table *table, struct qvl_grid *grid,
                                    struct qvl_error *error)
{
    struct qvl_text text = {0};
    int64_t lead = table->with_status ? 2 : 1;
    QVL_TRY(qvl_grid_set(grid, 0, 0, &text, error));
    if (table->with_status) {
        qvl_text_print(&text, "status");
        QVL_TRY(qvl_grid_set(grid, 1, 0, &text, error));
    }
    for (int64_t c = 0; c < table->columns.count; c++) {
        put_column_name(table, c, false, &text);
        QVL_TRY(qvl_grid_set(grid, lead + c, 0, &text, error));
    }
    for (int64_t r = 0; r < table->count; r++) {
        grid->right[r + 1] = table->count > 1;
        qvl_text_clean(&text, table->records[r]->name, true);
        QVL_TRY(qvl_grid_set(grid, 0, r + 1, &text, error));
        if (table->with_status && table->records[r]->status != QVL_CASE_NONE)
            qvl_text_print(&text, "%s", qvl_case_status_name(table->records[r]->status));
        if (table->with_status)
            QVL_TRY(qvl_grid_set(grid, 1, r + 1, &text, error));
        for (int64_t c = 0; c < table->columns.count; c++) {
            put_cell(table, r, c, true, &text);
            QVL_TRY(qvl_grid_set(grid, lead + c, r + 1, &text, error));
        }
    }
    return QVL_OK;
}

/* The reasons of values that were not done, each said once. */
static void put_reasons(const struct kind_table *table, enum form form, struct qvl_text *out)
{
    static const char *const bullets[] = {"", "\n- ", "<p class=\"reason\">"};
    for (int64_t r = 0; r < table->count; r++) {
        for (int64_t f = 0; f < table->records[r]->field_count; f++) {
            const struct qvl_field *field = &table->records[r]->fields[f];
            bool said = false;
            if (field->provenance != QVL_FROM_NOT_DONE || field->detail)
                continue;
            for (int64_t before = 0; before < r && !said; before++) {
                const struct qvl_field *other = qvl_record_find(table->records[before], field->name);
                said = other && other->provenance == QVL_FROM_NOT_DONE &&
                       strcmp(other->value.text, field->value.text) == 0;
            }
            if (said)
                continue;
            qvl_text_print(out, "%snot done: ", bullets[form]);
            put_name(field->name, out);
            qvl_text_print(out, ": ");
            if (form == HTML)
                qvl_markup_text(out, field->value.text);
            else
                qvl_text_clean(out, field->value.text, true);
            qvl_text_print(out, form == HTML ? "</p>\n" : "\n");
        }
    }
}

static void put_heading(const struct kind_table *table, enum form form, struct qvl_text *out)
{
    if (form == HTML) {
        qvl_text_print(out, "<section><h3 id=\"table-");
        qvl_markup_text(out, table->kind);
        qvl_text_print(out, "\">");
        qvl_markup_text(out, table->kind);
        qvl_text_print(out, " <small>%s</small></h3>\n", provenance_remark(table));
    } else
        qvl_text_print(out, "%s%s%s%s", form == MARKDOWN ? "## " : "", table->kind, provenance_remark(table),
                       form == MARKDOWN ? "\n\n" : "\n");
}

static enum qvl_status put_kind(const struct kind_table *table, enum form form, struct qvl_text *out,
                                struct qvl_error *error)
{
    bool upright = table->count <= UPRIGHT_RECORDS && table->columns.count > UPRIGHT_FIELDS;
    int64_t fields = table->columns.count + (table->with_status ? 2 : 1);
    struct qvl_grid grid;
    QVL_TRY(upright ? qvl_grid_create(fields, table->count + 1, &grid, error)
                    : qvl_grid_create(table->count + 1, fields, &grid, error));
    enum qvl_status status = upright ? upright_grid(table, &grid, error) : flat_grid(table, &grid, error);
    if (status == QVL_OK) {
        put_heading(table, form, out);
        if (form == MARKDOWN)
            qvl_grid_markdown(&grid, out);
        else if (form == HTML)
            qvl_grid_html(&grid, out);
        else
            qvl_grid_plain(&grid, out);
        put_reasons(table, form, out);
        qvl_text_print(out, "%s\n", form == HTML ? "</section>" : "");
    }
    qvl_grid_free(&grid);
    return status;
}

static bool seen_before(const struct qvl_report *report, int64_t index)
{
    for (int64_t i = 0; i < index; i++)
        if (strcmp(report->records[i]->kind, report->records[index]->kind) == 0)
            return true;
    return false;
}

static void put_tail(const struct qvl_report *report, bool markdown, struct qvl_text *out)
{
    const char *bullet = markdown ? "- " : "";
    for (int64_t i = 0; i < report->omission_count; i++) {
        qvl_text_print(out, "%snot measured: ", bullet);
        qvl_text_clean(out, report->omissions[i].what, true);
        qvl_text_print(out, ": ");
        qvl_text_clean(out, report->omissions[i].reason, true);
        qvl_text_print(out, "\n");
    }
    for (int64_t i = 0; i < report->note_count; i++) {
        qvl_text_print(out, "%s", bullet);
        qvl_text_clean(out, report->notes[i], true);
        qvl_text_print(out, "\n");
    }
    const char *separator = bullet;
    for (int s = QVL_CASE_PASSED; s < QVL_CASE_STATUS_COUNT; s++) {
        int64_t count = qvl_report_status_count(report, (enum qvl_case_status)s);
        if (count == 0)
            continue;
        qvl_text_print(out, "%s%" PRId64 " %s", separator, count,
                       qvl_case_status_name((enum qvl_case_status)s));
        separator = ", ";
    }
    if (separator != bullet)
        qvl_text_print(out, "\n");
}

static enum qvl_status put_tables(const struct qvl_report *report, enum form form, struct qvl_text *out,
                                  struct qvl_error *error)
{
    for (int64_t i = 0; i < report->record_count; i++) {
        struct kind_table table;
        if (seen_before(report, i))
            continue;
        QVL_TRY(kind_table_make(report, report->records[i]->kind, &table, error));
        enum qvl_status status = put_kind(&table, form, out, error);
        kind_table_free(&table);
        QVL_TRY(status);
    }
    return QVL_OK;
}

enum qvl_status qvl_tables_write(const struct qvl_report *report, bool markdown, struct qvl_text *out,
                                 struct qvl_error *error)
{
    QVL_TRY(put_tables(report, markdown ? MARKDOWN : PLAIN, out, error));
    put_tail(report, markdown, out);
    return QVL_OK;
}

enum qvl_status qvl_tables_html(const struct qvl_report *report, struct qvl_text *out,
                                struct qvl_error *error)
{
    return put_tables(report, HTML, out, error);
}
