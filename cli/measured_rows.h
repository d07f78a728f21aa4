/* Rows of `procure` out of reports of `latency` and `run`. */
#ifndef QVL_CLI_MEASURED_ROWS_H
#define QVL_CLI_MEASURED_ROWS_H

#include "qvl/record.h"

/* Append a "procure" record for each latency record of the report.json at `path` that passed. QVL_BAD_INPUT:
 * no report, or none with a latency record. */
QVL_MUST_USE enum qvl_status qvl_measured_rows(const char *path, struct qvl_report *report,
                                               struct qvl_error *error);

#endif
