/* The checks of a report as JUnit XML. */
#ifndef QVL_REPORTS_JUNIT_H
#define QVL_REPORTS_JUNIT_H

#include "qvl/record.h"
#include "reports/text.h"

/* A testsuite a kind, a testcase a record that has a status. FAILED and MISTRUSTED are failures, INVALID,
 * CRASHED and TIMEOUT errors, UNSUPPORTED and SKIPPED skipped. The body of a failure lists all fields of the
 * record, "repro" (the line that reproduces it) among them; its message is the field "message" or "reason";
 * the time is the field "seconds". */
void qvl_junit_write(const struct qvl_report *report, struct qvl_text *out);

#endif
