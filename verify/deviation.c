#include "verify/deviation.h"

#include <math.h>
#include <stdlib.h>

#include "qvl/rounding.h"

/* Draws of the whole stage that count beside those of one row or column, so that a scale from few values
 * leans on all. */
#define PRIOR 8.0

enum qvl_status qvl_deviations_create(const struct qvl_tap_store *exact, struct qvl_deviations *deviations,
                                      struct qvl_error *error)
{
    *deviations = (struct qvl_deviations){
        .exact = exact, .stages = calloc((size_t)exact->count + 1, sizeof(struct qvl_deviation))};
    bool good = deviations->stages != NULL;
    for (int64_t i = 0; good && i < exact->count; i++) {
        struct qvl_deviation *stage = &deviations->stages[i];
        const size_t rows = (size_t)exact->entries[i].shape[0];
        const size_t width = (size_t)qvl_tap_entry_width(&exact->entries[i]);
        stage->largest = calloc(rows * width + 1, sizeof(float));
        stage->row_scale = calloc(rows + 1, sizeof(double));
        stage->column_scale = calloc(width + 1, sizeof(double));
        good = stage->largest && stage->row_scale && stage->column_scale;
    }
    if (good)
        return QVL_OK;
    qvl_deviations_free(deviations);
    return qvl_fail(error, QVL_NO_MEMORY, "no memory for the deviations of %lld stages",
                    (long long)exact->count);
}

void qvl_deviations_free(struct qvl_deviations *deviations)
{
    for (int64_t i = 0; deviations->stages && i < deviations->exact->count; i++) {
        free(deviations->stages[i].largest);
        free(deviations->stages[i].row_scale);
        free(deviations->stages[i].column_scale);
    }
    free(deviations->stages);
    *deviations = (struct qvl_deviations){0};
}

void qvl_deviations_add(struct qvl_deviations *deviations, const struct qvl_tap_store *draw)
{
    deviations->draws++;
    for (int64_t i = 0; i < deviations->exact->count; i++) {
        const struct qvl_tap_entry *exact = &deviations->exact->entries[i];
        const struct qvl_tap_entry *other = qvl_tap_store_find(draw, exact->name);
        struct qvl_deviation *stage = &deviations->stages[i];
        const int64_t width = qvl_tap_entry_width(exact);
        for (int64_t k = 0; other && k < exact->shape[0] * width; k++) {
            const double difference = fabs((double)exact->values[k] - (double)other->values[k]);
            if (!isfinite(difference))
                continue;
            stage->largest[k] = fmaxf(stage->largest[k], (float)difference);
            stage->row_scale[k / width] += difference * difference;
            stage->column_scale[k % width] += difference * difference;
        }
    }
}

/* Sums of squares over `count` values each to scales relative to `mean`, the mean square of the stage. */
static void scale(double *squares, int64_t rows, double count, double mean)
{
    for (int64_t i = 0; i < rows; i++)
        squares[i] = sqrt((squares[i] + PRIOR * mean) / (count + PRIOR));
}

void qvl_deviations_finish(struct qvl_deviations *deviations)
{
    for (int64_t i = 0; i < deviations->exact->count; i++) {
        struct qvl_deviation *stage = &deviations->stages[i];
        const int64_t rows = deviations->exact->entries[i].shape[0];
        const int64_t width = qvl_tap_entry_width(&deviations->exact->entries[i]);
        const double draws = deviations->draws;
        double sum = 0;
        for (int64_t row = 0; row < rows; row++)
            sum += stage->row_scale[row];
        if (!(sum > 0))
            continue;
        const double mean = sum / (draws * (double)(rows * width));
        scale(stage->row_scale, rows, draws * (double)width, mean);
        scale(stage->column_scale, width, draws * (double)rows, mean);
        for (int64_t row = 0; row < rows; row++)
            stage->row_scale[row] /= sqrt(mean);
        for (int64_t k = 0; k < rows * width; k++) {
            const double unit = stage->row_scale[k / width] * stage->column_scale[k % width];
            stage->overall = fmax(stage->overall, stage->largest[k]);
            stage->tail = fmax(stage->tail, stage->largest[k] / unit);
        }
    }
}

static bool same_shape(const struct qvl_tap_entry *a, const struct qvl_tap_entry *b)
{
    return b && a->shape[0] == b->shape[0] && qvl_tap_entry_width(a) == qvl_tap_entry_width(b);
}

/* Passes only by error <= tolerance, so that a NaN anywhere fails. Where the reference is not finite the
 * candidate must be the same kind of value. */
static void judge_element(struct qvl_stage_result *result, int64_t row, int64_t column, double want,
                          double got, double tolerance, bool *row_failed, unsigned char *column_failed)
{
    const bool finite = isfinite(want);
    const double difference = finite ? fabs(got - want) : 0;
    const bool fits = finite ? difference <= tolerance : isnan(want) ? isnan(got) : want == got;
    const double margin = fits ? (difference == 0 ? 0 : difference / tolerance)
                          : tolerance > 0 && isfinite(difference) && difference > 0 ? difference / tolerance
                                                                                    : INFINITY;
    if (finite)
        result->largest = fmax(result->largest, fabs(want));
    if (margin > result->margin) {
        result->margin = margin;
        result->error = isnan(difference) || !finite ? INFINITY : difference;
        result->tolerance = tolerance;
        result->row = row;
        result->column = column;
        result->expected = want;
        result->got = got;
    }
    if (!fits) {
        result->failures++;
        *row_failed = true;
        *column_failed = 1;
    }
}

static double tolerance_of(const struct qvl_deviation *deviation, const struct qvl_deviation_rule *rule,
                           int64_t row, int64_t column, double value)
{
    if (!rule->local || deviation->overall == 0 || !isfinite(value))
        return rule->safety * rule->accumulate * deviation->overall;
    const double unit = deviation->tail * deviation->row_scale[row] * deviation->column_scale[column];
    return rule->accumulate * (rule->safety * unit + qvl_spacing(rule->storage, value));
}

void qvl_deviation_judge(const struct qvl_deviations *deviations, int64_t stage,
                         const struct qvl_tap_entry *candidate, const struct qvl_deviation_rule *rule,
                         struct qvl_stage_result *result)
{
    const struct qvl_tap_entry *exact = &deviations->exact->entries[stage];
    const struct qvl_deviation *deviation = &deviations->stages[stage];
    const int64_t width = qvl_tap_entry_width(exact);
    *result = (struct qvl_stage_result){.status = QVL_CASE_FAILED,
                                        .rows = exact->shape[0],
                                        .width = width,
                                        .tolerance = rule->safety * rule->accumulate * deviation->overall,
                                        .error = INFINITY,
                                        .margin = INFINITY};
    snprintf(result->name, sizeof result->name, "%s", exact->name);
    unsigned char *failed_columns = calloc((size_t)width + 1, 1);
    if (!same_shape(exact, candidate) || !failed_columns) {
        free(failed_columns);
        return;
    }
    result->error = result->margin = 0;
    for (int64_t row = 0; row < result->rows; row++) {
        bool row_failed = false;
        for (int64_t column = 0; column < width; column++) {
            const double want = exact->values[row * width + column];
            judge_element(result, row, column, want, candidate->values[row * width + column],
                          tolerance_of(deviation, rule, row, column, want), &row_failed,
                          &failed_columns[column]);
        }
        result->failed_rows += row_failed;
    }
    for (int64_t column = 0; column < width; column++)
        result->failed_columns += failed_columns[column];
    free(failed_columns);
    result->status = result->failures == 0 ? QVL_CASE_PASSED : QVL_CASE_FAILED;
}
