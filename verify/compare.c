#include "verify/compare.h"

#include "qvl/rounding.h"

/* Half the distance between neighbouring numbers around a value that may be off by `bound`: what the last
 * rounding costs. Backends may flush results to zero that are subnormal in float32; f16 keeps its subnormals.
 */
static double rounding_of(enum qvl_dtype dtype, double value, double bound)
{
    const double half = 0.5 * qvl_spacing(dtype, fabs(value) + bound);
    return dtype == QVL_F16 ? half : half + 0x1p-126;
}

double qvl_tolerance(enum qvl_dtype dtype, double value, double bound, bool exact)
{
    return exact || !qvl_dtype_is_storage(dtype) || !isfinite(value)
               ? 0
               : bound + rounding_of(dtype, value, bound);
}

struct judgement {
    double margin; /* error / tolerance: at most 1 passes. Infinite when NaN or an infinity is not matched in
                      kind */
    double drift;  /* the error beyond the last rounding, as a share of the bound */
    double tolerance; /* 0: equality */
};

static struct judgement judge(enum qvl_dtype dtype, double got, double value, double bound, bool exact)
{
    const struct judgement good = {0}, bad = {.margin = INFINITY, .drift = INFINITY};
    struct judgement verdict = {0};
    if (isnan(value)) /* a NaN left from before the call is no answer, and one where none is due no silence */
        return isnan(got) && qvl_is_unwritten(got) == qvl_is_unwritten(value) ? good : bad;
    if (exact || isinf(value))
        return got == value ? good : bad;
    if (isinf(got)) /* right only where the value, or what it may honestly be, rounds beyond the largest
                       number */
        return got == qvl_round_nearest(dtype, value + copysign(bound, got)) ? good : bad;
    const double rounding = rounding_of(dtype, value, bound), error = fabs(got - value);
    if (isnan(error) || isnan(bound))
        return bad;
    verdict.tolerance = bound + rounding;
    verdict.margin = error / verdict.tolerance;
    if (error > rounding)
        verdict.drift = bound > 0 ? (error - rounding) / bound : INFINITY;
    return verdict;
}

static void remember_worst(struct qvl_case_result *result, const struct qvl_operand *operand, int64_t element)
{
    result->operand = operand->name;
    result->rank = operand->rank;
    for (int32_t axis = operand->rank - 1; axis >= 0; axis--) {
        result->index[axis] = element % operand->shape[axis];
        element /= operand->shape[axis];
    }
}

/* The terms of the normalised mean square error. Matched NaNs and infinities have none. */
static void add_squares(struct qvl_comparison *comparison, double got, double value)
{
    if (isfinite(value) && isfinite(got)) {
        comparison->error_square += (got - value) * (got - value);
        comparison->value_square += value * value;
    } else if (isnan(value) ? !isnan(got) : got != value) {
        comparison->error_square = INFINITY;
    }
}

void qvl_compare(struct qvl_comparison *comparison, const struct qvl_operand *operand, const double *got,
                 const struct qvl_expected *expected)
{
    struct qvl_case_result *result = comparison->result;
    const bool exact = expected->exact || !qvl_dtype_is_storage(operand->dtype);
    for (int64_t i = 0; i < qvl_operand_count(operand); i++) {
        const double value = expected->value[i];
        const struct judgement verdict =
            judge(operand->dtype, got[i], value, exact ? 0 : expected->bound[i], exact);
        result->elements++;
        result->failures += !(verdict.margin <= 1);
        comparison->margin_sum += verdict.margin;
        result->drift = fmax(result->drift, verdict.drift);
        if (operand->judge == QVL_JUDGE_BOUND) {
            comparison->weighed++;
            comparison->zeros += value == 0;
        }
        if (qvl_dtype_is_storage(operand->dtype))
            add_squares(comparison, got[i], value);
        if (!exact && isfinite(value)) {
            comparison->value_sum += fabs(value);
            comparison->tolerance_sum += verdict.tolerance;
        }
        if (!result->operand || verdict.margin > result->margin) {
            remember_worst(result, operand, i);
            result->margin = verdict.margin;
            result->expected = value;
            result->got = got[i];
            result->tolerance = verdict.tolerance;
        }
    }
}

/* "[3][0][17]" */
static void print_index(const struct qvl_case_result *result, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (int32_t axis = 0; axis < result->rank && used < bytes; axis++)
        used += (size_t)snprintf(text + used, bytes - used, "[%lld]", (long long)result->index[axis]);
}

void qvl_compare_finish(struct qvl_comparison *comparison)
{
    struct qvl_case_result *result = comparison->result;
    result->mean_margin = result->elements > 0 ? comparison->margin_sum / (double)result->elements : 0;
    result->nmse = comparison->error_square > 0 ? comparison->error_square / comparison->value_square : 0;
    result->status = QVL_CASE_PASSED;
    if (result->failures > 0) {
        char index[128];
        print_index(result, index, sizeof index);
        result->status = QVL_CASE_FAILED;
        char got[48];
        snprintf(got, sizeof got, "is %.9g", result->got);
        snprintf(result->message, sizeof result->message,
                 "%s%s %s, expected %.9g within %.3g; %lld of %lld elements fail", result->operand, index,
                 qvl_is_unwritten(result->got) ? "was not written" : got, result->expected, result->tolerance,
                 (long long)result->failures, (long long)result->elements);
    } else if (comparison->zeros * 4 > comparison->weighed * 3) {
        result->status = QVL_CASE_MISTRUSTED;
        snprintf(result->message, sizeof result->message, "%lld of %lld expected elements are zero",
                 (long long)comparison->zeros, (long long)comparison->weighed);
    } else if (comparison->tolerance_sum > 0.1 * comparison->value_sum) {
        result->status = QVL_CASE_MISTRUSTED;
        snprintf(result->message, sizeof result->message,
                 "the tolerance is %.2g of the values, too wide to tell right from wrong",
                 comparison->tolerance_sum / comparison->value_sum);
    }
}
