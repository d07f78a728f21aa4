/* A report as CSV (RFC 4180): a row a record, all kinds in one sheet. */
#ifndef QVL_REPORTS_CSV_H
#define QVL_REPORTS_CSV_H

#include "qvl/record.h"
#include "reports/text.h"

/* Columns kind, name, status, then every field; a heading is NAME, or NAME [UNIT], with the provenance behind
 * it for published and modelled values. Lines end in CR LF. */
QVL_MUST_USE enum qvl_status qvl_csv_write(const struct qvl_report *report, struct qvl_text *out,
                                           struct qvl_error *error);

#endif
