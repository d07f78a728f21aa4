/* Whether the calls that `latency` times compute what they should: a spot check (verify/spot_check.h) of
 * calls like them that are made once more, untimed. */
#ifndef QVL_CLI_LATENCY_SPOTS_H
#define QVL_CLI_LATENCY_SPOTS_H

#include "cli/latency_run.h"

/* Before the model is loaded: sets run->spots and run->watch. */
QVL_MUST_USE enum qvl_status qvl_latency_spots_open(struct qvl_latency_run *run, struct qvl_error *error);

/* Add a record "spot_check". When a row was wrong it is FAILED and names entry and weight, and so are all
 * timings of the report. Nothing where no spot check is open. */
QVL_MUST_USE enum qvl_status qvl_latency_spots_report(struct qvl_latency_run *run, struct qvl_error *error);

void qvl_latency_spots_close(struct qvl_latency_run *run); /* also where none is open */

#endif
