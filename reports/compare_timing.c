#include "reports/compare_timing.h"

#include <math.h>

const char qvl_timing_vanished[] = "the other report does not have it";

/* ---- Samples ---- */

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* Raw samples: measured seconds, in the order they were taken. */
static bool is_samples(const struct qvl_field *field)
{
    return field->provenance == QVL_FROM_MEASURED && field->unit && strcmp(field->unit, "s") == 0 &&
           (field->type == QVL_FIELD_REALS || field->type == QVL_FIELD_INTS) &&
           (ends_with(field->name, "_samples") || strcmp(field->name, "samples") == 0);
}

bool qvl_record_is_timed(const struct qvl_record *record)
{
    for (int64_t i = 0; i < record->field_count; i++)
        if (is_samples(&record->fields[i]))
            return true;
    return false;
}

/* The samples as logarithms, at most `room`; false when one is no positive time. */
static bool logarithms(const struct qvl_field *field, double *values, int64_t room)
{
    for (int64_t i = 0; i < field->count && i < room; i++) {
        const double value =
            field->type == QVL_FIELD_REALS ? field->value.reals[i] : (double)field->value.integers[i];
        if (!(value > 0) || !isfinite(value))
            return false;
        values[i] = log(value);
    }
    return true;
}

/* ---- A row ---- */

/* By how much the second half of the differences disagrees with the first, halved: the share of the estimate
 * that depends on when one looks. `scratch` has room for them. */
static double split_half(const double *differences, int64_t count, double *scratch)
{
    const int64_t half = count / 2;
    if (half < 1)
        return 0;
    memcpy(scratch, differences, sizeof(double) * (size_t)half);
    const double first = qvl_quantile(scratch, half, 0.5);
    memcpy(scratch, differences + count - half, sizeof(double) * (size_t)half);
    return 0.5 * fabs(qvl_quantile(scratch, half, 0.5) - first);
}

/* The middle half of the samples. What differs from run to run is not seen in one run, but where samples
 * scatter this much, runs have been seen to differ by nearly as much. `scratch` has room for them. */
static double middle_half(const double *values, int64_t count, double *scratch)
{
    memcpy(scratch, values, sizeof(double) * (size_t)count);
    const double low = qvl_quantile(scratch, count, 0.25);
    return qvl_quantile(scratch, count, 0.75) - low;
}

/* What the same test says about one side against itself: runs 0, 2, 4, ... against 1, 3, 5, ... Half as many
 * pairs are off by a factor of sqrt(2) more. */
static enum qvl_status against_itself(const double *values, int64_t runs, double *scratch, double *floor,
                                      struct qvl_error *error)
{
    struct qvl_paired test;
    const int64_t pairs = runs / 2;
    if (pairs < 1)
        return QVL_OK;
    for (int64_t i = 0; i < pairs; i++)
        scratch[i] = values[2 * i + 1] - values[2 * i];
    QVL_TRY(qvl_paired_test(scratch, pairs, 0.5, &test, error));
    *floor = fmax(*floor, fabs(test.estimate) / sqrt(2));
    return QVL_OK;
}

/* Change over the run, from at most QVL_PAIRED_MAX medians of neighbours. */
static void drift_of(double *values, int64_t count, double *change, double *p)
{
    *change = 0;
    *p = 1;
    const int64_t points = count < QVL_PAIRED_MAX ? count : QVL_PAIRED_MAX;
    for (int64_t i = 0; i < points; i++) {
        const int64_t first = i * count / points;
        values[i] = qvl_quantile(values + first, (i + 1) * count / points - first, 0.5);
    }
    (void)qvl_trend(values, points, change, p); /* left at none for want of samples or memory */
}

/* One run on each side: sample i against sample i. */
static enum qvl_status fill_single(struct qvl_timing *row, const struct qvl_field *base,
                                   const struct qvl_field *other, struct qvl_error *error)
{
    const int64_t counts[2] = {base->count, other->count};
    const int64_t most = counts[0] > counts[1] ? counts[0] : counts[1];
    double *values = calloc(3 * (size_t)(most + 1), sizeof(double));
    double *const sides[2] = {values, values ? values + most : NULL};
    row->count = counts[0] < counts[1] ? counts[0] : counts[1];
    row->differences = malloc(sizeof(double) * (size_t)(row->count + 1));
    if (!values || !row->differences) {
        free(values);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the samples of %s", row->name);
    }
    if (row->count == 0)
        row->fault = "a report has no samples of it";
    else if (!logarithms(base, sides[0], most) || !logarithms(other, sides[1], most))
        row->fault = "a sample is no positive time";
    if (!row->fault) {
        for (int64_t i = 0; i < row->count; i++)
            row->differences[i] = sides[1][i] - sides[0][i];
        row->floor = split_half(row->differences, row->count, values + 2 * most);
        for (int side = 0; side < 2; side++) {
            row->floor = fmax(row->floor, middle_half(sides[side], counts[side], values + 2 * most));
            drift_of(sides[side], counts[side], &row->drift[side], &row->drift_p[side]);
        }
    }
    free(values);
    return QVL_OK;
}

/* What stands for a run: other work on the machine only adds time, in bursts, and the lower quartile meets
 * fewer of them than the median. On two virtual cores intervals became a fifth narrower, which is worth half
 * as many pairs again. */
#define RUN_QUANTILE 0.25

/* The lower quartile of a run's samples, or its only figure; NAN when it has none. `scratch` has room for
 * them. */
static double run_value(const struct qvl_field *field, double *scratch)
{
    if (field->count < 1 || !logarithms(field, scratch, field->count))
        return NAN;
    return qvl_quantile(scratch, field->count, RUN_QUANTILE);
}

/* Many runs: run i against run i. */
static enum qvl_status fill_pairs(struct qvl_timing *row, const struct qvl_field *const *fields[2],
                                  int64_t runs, struct qvl_error *error)
{
    int64_t room = runs;
    for (int64_t i = 0; i < 2 * runs; i++)
        room = fields[i % 2][i / 2]->count > room ? fields[i % 2][i / 2]->count : room;
    double *values = calloc((size_t)(2 * runs + room), sizeof(double));
    double *scratch = values ? values + 2 * runs : NULL;
    row->count = runs;
    row->differences = malloc(sizeof(double) * (size_t)runs);
    enum qvl_status status = QVL_OK;
    if (!values || !row->differences)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for the runs of %s", row->name);
    for (int64_t i = 0; i < runs && status == QVL_OK; i++) {
        values[i] = run_value(fields[0][i], scratch);
        values[runs + i] = run_value(fields[1][i], scratch);
        row->differences[i] = values[runs + i] - values[i];
        if (isnan(row->differences[i]))
            row->fault = "a run has no samples of it, or one that is no positive time";
    }
    for (int side = 0; side < 2 && status == QVL_OK && !row->fault; side++) {
        status = against_itself(values + side * runs, runs, scratch, &row->floor, error);
        drift_of(values + side * runs, runs, &row->drift[side], &row->drift_p[side]);
    }
    free(values);
    return status;
}

/* The median over all runs of all samples, in seconds. */
static enum qvl_status median_of_all(const struct qvl_field *const *fields, int64_t runs, double *median,
                                     int64_t *samples, struct qvl_error *error)
{
    int64_t count = 0;
    for (int64_t i = 0; i < runs; i++)
        count += fields[i]->count;
    double *values = malloc(sizeof(double) * (size_t)(count + 1));
    if (!values)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld samples", (long long)count);
    int64_t next = 0;
    bool good = count > 0;
    for (int64_t i = 0; i < runs; i++) {
        good = good && logarithms(fields[i], values + next, fields[i]->count);
        next += fields[i]->count;
    }
    *samples = count;
    *median = good ? exp(qvl_quantile(values, count, 0.5)) : NAN;
    free(values);
    return QVL_OK;
}

static enum qvl_status test_row(struct qvl_timing *row, int64_t runs,
                                const struct qvl_compare_options *options, struct qvl_error *error)
{
    double *tested = malloc(sizeof(double) * (size_t)(row->count + 1));
    if (!tested)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to test %s", row->name);
    memcpy(tested, row->differences, sizeof(double) * (size_t)row->count);
    /* Runs are started anew, alternately; samples of one run follow on each other. */
    row->tested = runs > 1 && row->count <= QVL_PAIRED_MAX ? row->count : qvl_blocks(tested, row->count);
    const enum qvl_status status =
        row->tested > 0 ? qvl_paired_test(tested, row->tested, options->confidence, &row->test, error)
                        : qvl_fail(error, QVL_NO_MEMORY, "no memory to test %s", row->name);
    free(tested);
    return status;
}

static enum qvl_status add_metric(struct qvl_timings *timings, const struct qvl_field *const *fields[2],
                                  int64_t runs, const char *fault, const char *name,
                                  const struct qvl_compare_options *options, struct qvl_error *error)
{
    if (!qvl_record_grow((void **)&timings->items, timings->count, &timings->capacity,
                         sizeof *timings->items))
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the row %s", name);
    struct qvl_timing *row = &timings->items[timings->count];
    *row = (struct qvl_timing){.name = qvl_record_copy(name), .fault = fault, .above = 1, .below = 1};
    if (!row->name)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the row %s", name);
    timings->count++;
    for (int side = 0; side < 2; side++)
        QVL_TRY(
            median_of_all(fields[side], runs, side ? &row->other : &row->base, &row->samples[side], error));
    if (!row->fault)
        QVL_TRY(runs == 1 ? fill_single(row, fields[0][0], fields[1][0], error)
                          : fill_pairs(row, fields, runs, error));
    return row->fault ? QVL_OK : test_row(row, runs, options, error);
}

/* "decode_samples" of "cpu 64" is the row "cpu 64 decode". */
static void metric_name(const char *record, const char *field, char *name, size_t bytes)
{
    const size_t length = strlen(field);
    const int kept = length > strlen("_samples") ? (int)(length - strlen("_samples")) : 0;
    snprintf(name, bytes, "%s%s%.*s", record, kept ? " " : "", kept, field);
}

static const char *invalid_in(const struct qvl_record *const *records, int64_t runs, const char *fault)
{
    for (int64_t i = 0; i < runs; i++)
        if (records[i]->status == QVL_CASE_INVALID)
            return fault;
    return NULL;
}

enum qvl_status qvl_timings_add(struct qvl_timings *timings, const struct qvl_record *const *base,
                                const struct qvl_record *const *other, int64_t runs, const char *name,
                                const struct qvl_compare_options *options, struct qvl_error *error)
{
    const struct qvl_field **found = malloc(2 * sizeof(struct qvl_field *) * (size_t)runs);
    if (!found)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the row %s", name);
    const struct qvl_field *const *fields[2] = {found, found + runs};
    const char *fault = invalid_in(base, runs, "the base calls this measurement invalid");
    if (!fault)
        fault = invalid_in(other, runs, "the other report calls this measurement invalid");
    enum qvl_status status = QVL_OK;
    for (int64_t f = 0; f < base[0]->field_count && status == QVL_OK; f++) {
        const struct qvl_field *field = &base[0]->fields[f];
        char metric[512];
        bool everywhere = is_samples(field);
        for (int64_t i = 0; i < 2 * runs && everywhere; i++) {
            found[i] = qvl_record_find(i < runs ? base[i] : other[i - runs], field->name);
            everywhere = found[i] && is_samples(found[i]);
        }
        metric_name(name, field->name, metric, sizeof metric);
        if (everywhere)
            status = add_metric(timings, fields, runs, fault, metric, options, error);
        else if (is_samples(field))
            status = add_metric(timings, fields, 0, qvl_timing_vanished, metric, options, error);
    }
    free(found);
    return status;
}

void qvl_timings_free(struct qvl_timings *timings)
{
    for (int64_t i = 0; i < timings->count; i++) {
        free(timings->items[i].name);
        free(timings->items[i].differences);
    }
    free(timings->items);
    *timings = (struct qvl_timings){0};
}
