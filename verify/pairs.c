#include "verify/pairs.h"

#include "qvl/rounding.h"

double qvl_pair_tolerance(enum qvl_dtype dtype, double value, double bound)
{
    const double reach = fabs(value) + bound;
    if (isnan(value) || isinf(value))
        return isnan(value) ? value : 0;
    const double spacing = qvl_spacing(dtype, reach);
    if (reach + spacing > qvl_largest(dtype)) /* one may round to infinity where the other does not */
        return INFINITY;
    /* results that are subnormal in float32 may be flushed to zero; f16 keeps its own */
    return 2 * bound + spacing + (dtype == QVL_F16 ? 0 : 0x1p-126);
}

/* Difference / tolerance of two answers; above 1 or infinite is beyond tolerance. */
static double margin_of(double a, double b, double tolerance)
{
    if (isnan(tolerance))
        return isnan(a) && isnan(b) ? 0 : INFINITY;
    if (a == b || tolerance == INFINITY)
        return 0;
    return isnan(a) || isnan(b) || !(tolerance > 0) ? INFINITY : fabs(a - b) / tolerance;
}

static struct qvl_pair compare(const struct qvl_answers *answers, int first, int second)
{
    struct qvl_pair pair = {.first = first, .second = second, .element = -1};
    const double *a = answers->values[first], *b = answers->values[second];
    for (int64_t i = 0; i < answers->elements; i++) {
        const double margin = margin_of(a[i], b[i], answers->tolerance[i]);
        /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): the same bits */
        const bool same = memcmp(&a[i], &b[i], sizeof *a) == 0;
        pair.failures += margin > 1;
        if (margin > pair.margin || (pair.element < 0 && !same)) {
            pair.margin = margin;
            pair.element = i;
        }
    }
    return pair;
}

static bool has_missing(const struct qvl_answers *answers, struct qvl_pairs *found)
{
    for (int s = 0; s < answers->settings; s++)
        for (int64_t i = 0; i < answers->elements; i++)
            if (isnan(answers->values[s][i]) && !isnan(answers->tolerance[i])) {
                found->missing = true;
                found->missing_setting = s;
                found->missing_element = i;
                return true;
            }
    return false;
}

void qvl_pairs_search(const struct qvl_answers *answers, struct qvl_pairs *found)
{
    const size_t bytes = (size_t)answers->elements * sizeof(double);
    *found = (struct qvl_pairs){.missing = false};
    if (answers->elements == 0 || has_missing(answers, found))
        return;
    for (int second = 1; second < answers->settings; second++)
        for (int first = 0; first < second; first++) {
            if (memcmp(answers->values[first], answers->values[second], bytes) == 0)
                continue;
            const struct qvl_pair pair = compare(answers, first, second);
            if (!found->inexact)
                found->changed = pair;
            if (!found->violated && pair.margin > 1)
                found->broken = pair;
            found->inexact = true;
            found->violated |= pair.margin > 1;
            found->margin = fmax(found->margin, pair.margin);
        }
}

const char *qvl_pairs_verdict(const struct qvl_pairs *found)
{
    return found->missing || found->violated ? QVL_VERDICT_VIOLATED
           : found->inexact                  ? QVL_VERDICT_WITHIN
                                             : QVL_VERDICT_IDENTICAL;
}
