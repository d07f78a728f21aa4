/* What the reference says of a problem: its outputs, and the error that an honest candidate may make.
 * Internal to verify/. */
#ifndef QVL_VERIFY_EXPECTATION_H
#define QVL_VERIFY_EXPECTATION_H

#include "verify/op.h"

/* Fill the problem as the op does. QVL_USAGE for numbers that no call accepts. */
enum qvl_status qvl_problem_set_up(struct qvl_problem *problem, const struct qvl_verify_op *op,
                                   struct qvl_error *error);

struct qvl_expectation {
    const struct qvl_verify_op *op;
    struct qvl_problem *problem; /* set up */
    struct qvl_backend *reference;
    const struct qvl_backend *candidate; /* whose arithmetic the bounds allow for */
    struct qvl_side side;                /* of the reference; the rest is made by qvl_expectation_make */
    struct qvl_condition cond;
};

/* Run the reference. */
enum qvl_status qvl_expectation_make(struct qvl_expectation *expectation, struct qvl_error *error);

/* Value and bound of the elements of an operand; malloc'd, caller frees both. */
enum qvl_status qvl_expectation_of(struct qvl_expectation *expectation, int index, double **value,
                                   double **bound, struct qvl_error *error);

/* Free what was made; a zeroed expectation is accepted. */
void qvl_expectation_clear(struct qvl_expectation *expectation);

#endif
