/* report.json and its hashes, and JSON lines. */
#ifndef QVL_REPORTS_REPORT_JSON_H
#define QVL_REPORTS_REPORT_JSON_H

#include "qvl/record.h"
#include "reports/schema_check.h"
#include "reports/text.h"

/* The whole report as JSON text; *text is owned (free). */
QVL_MUST_USE enum qvl_status qvl_report_json(const struct qvl_report *report, char **text, size_t *size,
                                             struct qvl_error *error);

/* One record a line, without environment or hashes. */
QVL_MUST_USE enum qvl_status qvl_report_json_lines(const struct qvl_report *report, struct qvl_text *out,
                                                   struct qvl_error *error);

/* The members of report.json that have a hash of their own under /hashes/sections, NULL-terminated. */
extern const char *const qvl_report_sections[];

/* SHA-256 of the canonical form of the value at `pointer`, as 64 digits. */
QVL_MUST_USE enum qvl_status qvl_document_hash(const struct qvl_document *document, const char *pointer,
                                               char hex[65], struct qvl_error *error);

/* SHA-256 of the whole document with the string at /hashes/report empty. The document is left as it was. */
QVL_MUST_USE enum qvl_status qvl_document_report_hash(struct qvl_document *document, char hex[65],
                                                      struct qvl_error *error);

#endif
