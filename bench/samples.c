#include "bench/samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value at fraction p of sorted samples, linear between neighbours. */
static double quantile(const double *sorted, int64_t count, double p)
{
    const double place = p * (double)(count - 1);
    const int64_t below = (int64_t)place;
    const int64_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

enum qvl_status qvl_samples_summarise(struct qvl_samples *samples, struct qvl_error *error)
{
    const int64_t count = samples->count;
    if (count == 0)
        return qvl_fail(error, QVL_USAGE, "no samples to summarise");
    double *sorted = malloc(sizeof(double) * (size_t)count);
    if (!sorted)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld samples", (long long)count);
    memcpy(sorted, samples->values, sizeof(double) * (size_t)count);
    qsort(sorted, (size_t)count, sizeof(double), by_value);
    samples->minimum = sorted[0];
    samples->median = quantile(sorted, count, 0.5);
    samples->p90 = quantile(sorted, count, 0.9);
    samples->p99 = quantile(sorted, count, 0.99);
    for (int64_t i = 0; i < count; i++)
        sorted[i] = fabs(samples->values[i] - samples->median);
    qsort(sorted, (size_t)count, sizeof(double), by_value);
    samples->mad = quantile(sorted, count, 0.5);
    free(sorted);
    return QVL_OK;
}

double qvl_samples_noise(const struct qvl_samples *samples)
{
    return samples->count > 0 && samples->median > 0 ? samples->mad / samples->median : 0;
}
