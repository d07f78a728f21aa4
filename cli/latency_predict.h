/* Predicted against measured: the machine calibrated on the model's ops, and whole runs beside it. */
#ifndef QVL_CLI_LATENCY_PREDICT_H
#define QVL_CLI_LATENCY_PREDICT_H

#include "cli/latency_run.h"

/* Calibrate the whole model, run each context, calibrate again, and predict the contexts from the two
 * calibrations alone: records "calibration" (the calls measured)
 * and "prediction" (a context). */
QVL_MUST_USE enum qvl_status qvl_latency_predict_report(struct qvl_latency_run *run, const int64_t *contexts,
                                                        int64_t count, struct qvl_error *error);

#endif
