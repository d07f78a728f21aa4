/* Checks of a finished report.json against the schema, its own hashes and its own counts. */
#ifndef QVL_REPORTS_VALIDATE_H
#define QVL_REPORTS_VALIDATE_H

#include "qvl/record.h"

/* Append one record of kind "validation" to `findings` for each check: PASSED, or FAILED with the JSON
 * pointer of what is wrong ("place") and what to make of it ("message"). `name` stands for the file.
 * QVL_BAD_INPUT: the text is no JSON at all; findings that FAILED are not an error of this call. */
QVL_MUST_USE enum qvl_status qvl_report_validate(const char *text, size_t size, const char *name,
                                                 struct qvl_report *findings, struct qvl_error *error);

#endif
