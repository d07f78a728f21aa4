/* The tables of a report, one for each kind of record, as plain text or Markdown. */
#ifndef QVL_REPORTS_TABLES_H
#define QVL_REPORTS_TABLES_H

#include "qvl/record.h"
#include "reports/text.h"

/* Tables, then what was not measured, notes, and the count of each case status. A kind with few records and
 * many fields is printed with a field a row. */
QVL_MUST_USE enum qvl_status qvl_tables_write(const struct qvl_report *report, bool markdown,
                                              struct qvl_text *out, struct qvl_error *error);

/* The tables alone as HTML, each in a section with a heading; long ones scroll. */
QVL_MUST_USE enum qvl_status qvl_tables_html(const struct qvl_report *report, struct qvl_text *out,
                                             struct qvl_error *error);

#endif
