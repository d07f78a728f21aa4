/* What this process runs on: the environment record of every report. */
#ifndef QVL_REPORTS_ENVIRONMENT_H
#define QVL_REPORTS_ENVIRONMENT_H

#include "qvl/record.h"

/* Collect CPU, caches, memory, operating system, compiler, libraries and the environment variables that
 * change what a backend does. A value the system does not give is a QVL_FROM_NOT_DONE field with the reason.
 * Host and user names are not collected. *record is owned (kind "environment"). */
QVL_MUST_USE enum qvl_status qvl_environment_collect(struct qvl_record **record, struct qvl_error *error);

#endif
