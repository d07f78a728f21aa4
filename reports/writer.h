/* A report in each of its file formats. docs/REPORT.md describes them. */
#ifndef QVL_REPORTS_WRITER_H
#define QVL_REPORTS_WRITER_H

#include "qvl/record.h"

#define QVL_REPORT_SCHEMA_VERSION 1

enum qvl_report_form {
    QVL_REPORT_JSON,     /* report.json: everything, with hashes */
    QVL_REPORT_JSONL,    /* one record a line */
    QVL_REPORT_CSV,      /* RFC 4180, one row a record, one column a field */
    QVL_REPORT_JUNIT,    /* the records that are checks */
    QVL_REPORT_MARKDOWN, /* the tables as Markdown */
    QVL_REPORT_HTML,     /* a page with plots and tables that needs nothing else */
    QVL_REPORT_TABLE,    /* the tables for a terminal */
    QVL_REPORT_FORM_COUNT
};

/* The text of a report; *text is owned (free) and zero-terminated behind its *size bytes. JSON is valid and
 * its keys are in a fixed order whatever the values (NaN and infinities are the strings "NaN", "Infinity",
 * "-Infinity"). QVL_USAGE: JSON of a report without an environment record. */
QVL_MUST_USE enum qvl_status qvl_report_text(const struct qvl_report *report, enum qvl_report_form form,
                                             char **text, size_t *size, struct qvl_error *error);

/* The same into a file, which appears complete or not at all. */
QVL_MUST_USE enum qvl_status qvl_report_write(const struct qvl_report *report, enum qvl_report_form form,
                                              const char *path, struct qvl_error *error);

#endif
