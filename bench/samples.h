/* Order statistics of timings. */
#ifndef QVL_BENCH_SAMPLES_H
#define QVL_BENCH_SAMPLES_H

#include <stdint.h>

#include "qvl/status.h"

/* In seconds; the samples in the order they were taken. */
struct qvl_samples {
    double *values; /* owned */
    int64_t count;
    double median, mad, p90, p99, minimum;
};

/* Fill the statistics of samples->values. QVL_USAGE: there are none. */
enum qvl_status qvl_samples_summarise(struct qvl_samples *samples, struct qvl_error *error);

/* Median absolute deviation / median of summarised samples; 0 without samples. */
double qvl_samples_noise(const struct qvl_samples *samples);

#endif
