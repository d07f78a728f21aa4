#include "reports/writer.h"

#include "base/file.h"
#include "reports/csv.h"
#include "reports/html.h"
#include "reports/junit.h"
#include "reports/report_json.h"
#include "reports/tables.h"

enum qvl_status qvl_report_text(const struct qvl_report *report, enum qvl_report_form form, char **text,
                                size_t *size, struct qvl_error *error)
{
    struct qvl_text out = {0};
    enum qvl_status status = QVL_OK;
    switch (form) {
    case QVL_REPORT_JSON: return qvl_report_json(report, text, size, error);
    case QVL_REPORT_JSONL: status = qvl_report_json_lines(report, &out, error); break;
    case QVL_REPORT_CSV: status = qvl_csv_write(report, &out, error); break;
    case QVL_REPORT_HTML: status = qvl_html_write(report, &out, error); break;
    case QVL_REPORT_JUNIT: qvl_junit_write(report, &out); break;
    default: status = qvl_tables_write(report, form == QVL_REPORT_MARKDOWN, &out, error);
    }
    if (status != QVL_OK) {
        qvl_text_free(&out);
        return status;
    }
    return qvl_text_take(&out, text, size, error);
}

enum qvl_status qvl_report_write(const struct qvl_report *report, enum qvl_report_form form, const char *path,
                                 struct qvl_error *error)
{
    char *text;
    size_t size;
    QVL_TRY(qvl_report_text(report, form, &text, &size, error));
    enum qvl_status status = qvl_file_write(path, text, size, error);
    free(text);
    return status;
}
