/* Latency of a loaded model as records, for `latency` and `run`. */
#ifndef QVL_CLI_LATENCY_RECORDS_H
#define QVL_CLI_LATENCY_RECORDS_H

#include "bench/latency.h"
#include "qvl/record.h"

/* Measure the contexts and add one record each to the report, named "PREFIX CONTEXT". A point that failed for
 * want of memory or context is SKIPPED with the reason, and so are the larger ones; other failures are
 * returned. */
QVL_MUST_USE enum qvl_status qvl_latency_report(struct qvl_model *model, const char *prefix,
                                                const int64_t *contexts, int64_t count,
                                                const struct qvl_latency_options *options,
                                                struct qvl_report *report, struct qvl_error *error);

#endif
