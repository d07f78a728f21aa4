/* Whether a backend's timings can be believed, before and after `latency` takes them: a trial of its entries
 * in the model's shapes, and the roofline of this host. */
#ifndef QVL_CLI_LATENCY_TRIAL_H
#define QVL_CLI_LATENCY_TRIAL_H

#include "bench/limits.h"
#include "cli/latency_run.h"

/* Time each entry of the text decoder in the model's shapes (weights up to 16 MiB) a few times, hot, with all
 * gates of cli/timed_case.h. Adds a record "trial"; *trusted is false when a case FAILED or was INVALID, and
 * then the record has that status, the case and the reason, and nothing else may be timed. */
QVL_MUST_USE enum qvl_status qvl_latency_trial(struct qvl_latency_run *run, struct qvl_limits *limits,
                                               bool *trusted, struct qvl_error *error);

/* Add to every "latency" record what fraction of the host's limits its rates are, prefill of the peak of
 * multiply-adds and decode of the read bandwidth, and turn those that beat the roofline INVALID. Does nothing
 * for a plugin, whose device is not known. */
void qvl_latency_gate(const struct qvl_latency_run *run, const struct qvl_limits *limits,
                      struct qvl_report *report);

#endif
