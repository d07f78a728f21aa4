/* Judging the elements of one output. Internal to verify/. */
#ifndef QVL_VERIFY_COMPARE_H
#define QVL_VERIFY_COMPARE_H

#include "verify/problem.h"

/* What an output must be: |got - value| <= bound + half a spacing, or equal when `exact`. */
struct qvl_expected {
    const double *value;
    const double *bound; /* may be NULL with exact */
    bool exact;
};

/* Add the elements of `operand`, stored as its type by the candidate, to the result: counts, the worst
 * element, and what is needed to tell a weak check (qvl_compare_finish). */
struct qvl_comparison {
    struct qvl_case_result *result;
    double margin_sum;
    double value_sum, tolerance_sum;   /* of inexact operands */
    double error_square, value_square; /* of all finite elements of storage types */
    int64_t zeros, weighed;            /* expected zeros among the elements of QVL_JUDGE_BOUND operands */
};
void qvl_compare(struct qvl_comparison *comparison, const struct qvl_operand *operand, const double *got,
                 const struct qvl_expected *expected);

/* Set the status: FAILED when an element failed; MISTRUSTED when most of what was expected is zero or when
 * the tolerance is of the size of the values; else PASSED. */
void qvl_compare_finish(struct qvl_comparison *comparison);

/* The largest error that passes; 0 where an element must be equal, or match in kind. */
double qvl_tolerance(enum qvl_dtype dtype, double value, double bound, bool exact);

#endif
