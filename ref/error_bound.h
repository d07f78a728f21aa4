/* The running error analysis behind `struct qvl_condition` (argued in docs/NUMERICS.md).
 *
 * Every intermediate value carries a bound: how far an honest implementation, whose operations have unit
 * roundoff `accumulate`, may be from it. A sum of n terms adds c sqrt(n) accumulate * (sum of magnitudes). */
#ifndef QVL_REF_ERROR_BOUND_H
#define QVL_REF_ERROR_BOUND_H

#include "ref/rounding.h"

#include "qvl/bound.h"
#include "qvl/ops.h"

/* Error of a sum of n products whose magnitudes add up to `magnitude`; n may be a qvl_bound_terms. */
static inline double qvl_bound_sum(const struct qvl_condition *cond, double n, double magnitude)
{
    return (QVL_BOUND_C * sqrt(n) * cond->accumulate + cond->product) * magnitude;
}

/* How many independent terms make an error as large as these n do, for qvl_bound_sum. Equal terms are rounded
 * alike for as long as the running sum stays between two powers of two, and their errors add up instead of
 * averaging out: m equal ones count as m^2, so that n different terms give n and n equal ones n^2, which
 * makes the bound linear in n. Zeros add no error. `scratch` has room for n. */
double qvl_bound_terms(int64_t n, const double *terms, double *scratch);

/* Error of one product or sum of stored values: none where the arithmetic holds it exactly (two significands
 * of p bits have a product of 2p). */
static inline double qvl_bound_product(const struct qvl_condition *cond, enum qvl_dtype dtype, double value)
{
    const double unit = qvl_dtype_roundoff(dtype);
    return cond->product == 0 && unit * unit >= cond->accumulate ? 0 : cond->accumulate * fabs(value);
}

/* The bound after r(): zero when every value within `bound` of v rounds to the same one, else the distance to
 * the farthest. */
static inline double qvl_bound_round(enum qvl_dtype dtype, double v, double bound)
{
    const double rounded = qvl_round_nearest(dtype, v);
    return fmax(qvl_round_nearest(dtype, v + bound) - rounded, rounded - qvl_round_nearest(dtype, v - bound));
}

/* Report element `index` of the output. */
static inline void qvl_bound_put(const struct qvl_condition *cond, int64_t index, double value, double bound)
{
    if (cond->value)
        cond->value[index] = value;
    if (cond->bound)
        cond->bound[index] = bound;
}

#endif
