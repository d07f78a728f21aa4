#include "verify/envelope.h"

#include <math.h>
#include <stdlib.h>

/* KL in double of logits that agree to double precision: 2^-52 of a nat, and none below. */
#define KL_RESOLUTION 0x1p-52

static const char *const names[QVL_ENVELOPE_METRICS] = {"largest", "rms", "kl", "flips"};

static int64_t largest_of(const float *row, int64_t count)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        if (row[i] > row[best])
            best = i;
    return best;
}

/* KL(p || q) = log(sum p exp(d - mean)), d = q's logits - p's, mean = sum p d: exact for small d, where the
 * difference of two logarithms would cancel. */
static double divergence(const float *p, const float *q, int64_t count)
{
    const double top = p[largest_of(p, count)];
    double total = 0, mean = 0, sum = 0;
    for (int64_t i = 0; i < count; i++) {
        const double weight = exp((double)p[i] - top);
        total += weight;
        mean += weight * ((double)q[i] - (double)p[i]);
    }
    mean /= total;
    for (int64_t i = 0; i < count; i++)
        sum += exp((double)p[i] - top) / total * expm1((double)q[i] - (double)p[i] - mean);
    return fmax(log1p(sum), 0);
}

void qvl_envelope_measure(const struct qvl_tap_entry *exact, const struct qvl_tap_entry *other,
                          double values[QVL_ENVELOPE_METRICS])
{
    const int64_t width = qvl_tap_entry_width(exact);
    double square = 0;
    bool finite = other && other->shape[0] == exact->shape[0] && qvl_tap_entry_width(other) == width;
    for (int metric = 0; metric < QVL_ENVELOPE_METRICS; metric++)
        values[metric] = finite ? 0 : INFINITY;
    for (int64_t row = 0; finite && row < exact->shape[0]; row++) {
        const float *p = exact->values + row * width;
        const float *q = other->values + row * width;
        for (int64_t i = 0; i < width; i++) {
            const double difference = fabs((double)q[i] - (double)p[i]);
            values[QVL_ENVELOPE_LARGEST] = fmax(values[QVL_ENVELOPE_LARGEST], difference);
            square += difference * difference;
        }
        values[QVL_ENVELOPE_KL] += divergence(p, q, width) / (double)exact->shape[0];
        values[QVL_ENVELOPE_FLIPS] += largest_of(p, width) != largest_of(q, width);
    }
    if (!finite)
        return;
    values[QVL_ENVELOPE_RMS] = sqrt(square / (double)(exact->shape[0] * width));
    if (!isfinite(square)) /* a NaN or infinite logit on either side */
        values[QVL_ENVELOPE_LARGEST] = values[QVL_ENVELOPE_RMS] = values[QVL_ENVELOPE_KL] = INFINITY;
}

/* Rows where rounding errors up to `error` in each logit may change the largest, and the flips elsewhere. */
static void count_flips(const struct qvl_tap_entry *exact, const struct qvl_tap_entry *candidate,
                        double error, double *open, int64_t *unexplained)
{
    const int64_t width = qvl_tap_entry_width(exact);
    for (int64_t row = 0; row < exact->shape[0]; row++) {
        const float *p = exact->values + row * width;
        const int64_t best = largest_of(p, width);
        double second = -INFINITY;
        for (int64_t i = 0; i < width; i++)
            if (i != best)
                second = fmax(second, p[i]);
        const bool close = (double)p[best] - second <= 2 * error;
        *open += close;
        *unexplained += !close && largest_of(candidate->values + row * width, width) != best;
    }
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Smallest, median and largest of the draws, and the rank of the candidate. */
static void rank(struct qvl_envelope_result *result, double *sorted, int count)
{
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    result->smallest = sorted[0];
    result->median = 0.5 * (sorted[(count - 1) / 2] + sorted[count / 2]);
    result->largest = sorted[count - 1];
    for (int draw = 0; draw < count; draw++)
        result->at_least += sorted[draw] >= result->scaled;
    result->p = (1.0 + (double)result->at_least) / (1.0 + count);
}

enum qvl_status qvl_envelope_judge(const struct qvl_tap_entry *exact, const struct qvl_tap_entry *candidate,
                                   const double (*draws)[QVL_ENVELOPE_METRICS], int count, double safety,
                                   double factor, struct qvl_envelope *envelope, struct qvl_error *error)
{
    double values[QVL_ENVELOPE_METRICS];
    double *sorted = malloc(sizeof *sorted * (size_t)count);
    if (!sorted)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %d draws", count);
    *envelope = (struct qvl_envelope){
        .draws = count, .rows = exact->shape[0], .vocabulary = qvl_tap_entry_width(exact), .factor = factor};
    qvl_envelope_measure(exact, candidate, values);
    for (int metric = 0; metric < QVL_ENVELOPE_METRICS; metric++) {
        struct qvl_envelope_result *result = &envelope->metrics[metric];
        /* A KL is quadratic in the errors of the logits; a count has no scale. */
        const double power = metric == QVL_ENVELOPE_KL ? 2 : metric == QVL_ENVELOPE_FLIPS ? 0 : 1;
        *result = (struct qvl_envelope_result){
            .name = names[metric], .value = values[metric], .scaled = values[metric] / pow(factor, power)};
        for (int draw = 0; draw < count; draw++)
            sorted[draw] = draws[draw][metric];
        rank(result, sorted, count);
        result->limit = pow(safety * factor, power) * result->largest;
        if (metric == QVL_ENVELOPE_KL)
            result->limit = fmax(result->limit, KL_RESOLUTION);
        if (metric == QVL_ENVELOPE_FLIPS) {
            result->limit = 0;
            if (isfinite(values[metric]))
                count_flips(exact, candidate, envelope->metrics[QVL_ENVELOPE_LARGEST].limit, &result->limit,
                            &envelope->unexplained_flips);
        }
        result->status = result->value <= result->limit ? QVL_CASE_PASSED : QVL_CASE_FAILED;
    }
    if (envelope->unexplained_flips > 0)
        envelope->metrics[QVL_ENVELOPE_FLIPS].status = QVL_CASE_FAILED;
    free(sorted);
    return QVL_OK;
}
