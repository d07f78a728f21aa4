/* Latency of a loaded model as records, for `latency` and `run`. */
#ifndef QVL_CLI_LATENCY_RECORDS_H
#define QVL_CLI_LATENCY_RECORDS_H

#include "bench/latency.h"
#include "qvl/record.h"

/* Measure the contexts and add one record each to the report, named "PREFIX CONTEXT". A context beyond the
 * model's positions is SKIPPED; so is one that failed for want of memory, with the reason, and those behind
 * it; other failures are returned. */
QVL_MUST_USE enum qvl_status qvl_latency_report(struct qvl_model *model, const char *prefix,
                                                const int64_t *contexts, int64_t count,
                                                const struct qvl_latency_options *options,
                                                struct qvl_report *report, struct qvl_error *error);

/* Median (a column), MAD, percentiles, minimum, drift and samples of a timing, as fields NAME_median, ...
 * Drift is the median of the later half of the samples over that of the earlier one: above 1 when the machine
 * slowed down meanwhile. Noise is 1.4826 MAD / median. */
void qvl_latency_samples(struct qvl_record *record, const char *name, const struct qvl_samples *samples,
                         enum qvl_provenance provenance);

/* FLOP of the matrix products of a text prefill whose last row goes through the head; 0 when it cannot be
 * counted. */
double qvl_latency_prefill_flops(const struct qvl_model_config *config, int64_t tokens);

#endif
