/* The text of reports/schema/report.schema.json, compiled in. */
#ifndef QVL_REPORTS_SCHEMA_H
#define QVL_REPORTS_SCHEMA_H

extern const char qvl_report_schema[]; /* zero-terminated JSON */

#endif
