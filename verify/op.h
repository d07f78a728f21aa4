/* How one entry of the op table is verified. Internal to verify/. */
#ifndef QVL_VERIFY_OP_H
#define QVL_VERIFY_OP_H

#include "verify/side.h"

struct qvl_verify_op {
    const char *numbers[QVL_CASE_NUMBERS + 1]; /* names of the case's integers, NULL after the last */

    /* Add the operands; failures stick to the problem. */
    void (*setup)(struct qvl_problem *problem);

    /* Make the call on one side. `cond` is not NULL on the reference's side of an op that has one. */
    enum qvl_status (*call)(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error);

    /* May be NULL: whether the reference should hold 16-bit operands as f32 for this candidate. */
    bool (*widens)(const struct qvl_case *chosen, const struct qvl_backend *candidate);

    /* May be NULL: rearrange value and bound, which the reference filled in an order of its own, to the order
     * of operand `index`. */
    enum qvl_status (*arrange)(const struct qvl_problem *problem, int index, double *value, double *bound,
                               struct qvl_error *error);

    /* For QVL_JUDGE_CUSTOM operands: set each `value`, which holds what the reference has, to what element i
     * of `got` must equal; to got[i] itself where the contract leaves a choice and the candidate made a good
     * one. */
    void (*custom)(const struct qvl_problem *problem, int index, const double *got, double *value);
};

#define QVL_VERIFY_DECLARE(name) extern const struct qvl_verify_op qvl_verify_##name;
QVL_OPS(QVL_VERIFY_DECLARE)
#undef QVL_VERIFY_DECLARE

/* The entry of index 0 .. qvl_verify_op_count() - 1. */
const struct qvl_verify_op *qvl_verify_entry(int op);

#endif
