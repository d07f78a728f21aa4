#include "verify/expectation.h"

#include <stdlib.h>

enum qvl_status qvl_problem_set_up(struct qvl_problem *problem, const struct qvl_verify_op *op,
                                   struct qvl_error *error)
{
    op->setup(problem);
    if (problem->status == QVL_OK)
        return QVL_OK;
    return qvl_fail(error, problem->status,
                    problem->status == QVL_USAGE ? "its numbers contradict each other"
                                                 : "no memory for the operands");
}

/* Unit roundoffs of the candidate's arithmetic. */
static void set_units(struct qvl_expectation *expectation)
{
    const struct qvl_math *math = &expectation->candidate->math;
    const bool narrow = math->tf32 && expectation->problem->chosen->dtype == QVL_F32;
    expectation->cond.accumulate = qvl_dtype_roundoff(math->accumulate);
    expectation->cond.product = narrow ? 0x1p-10 : 0;
}

/* Room for value and bound of the operand that the error analysis is about (the first that is judged by it).
 */
static enum qvl_status make_condition(struct qvl_expectation *expectation, struct qvl_error *error)
{
    struct qvl_problem *problem = expectation->problem;
    struct qvl_condition *cond = &expectation->cond;
    for (int i = 0; i < problem->count; i++) {
        const struct qvl_operand *operand = &problem->operands[i];
        if (operand->judge != QVL_JUDGE_BOUND)
            continue;
        const int64_t count = qvl_operand_count(operand);
        cond->value = qvl_problem_block(problem, count, sizeof(double));
        cond->bound = qvl_problem_block(problem, count, sizeof(double));
        if (!cond->value || !cond->bound)
            return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for %lld bounds", operand->name,
                            (long long)count);
        for (int64_t e = 0; e < count; e++)
            cond->value[e] = qvl_unwritten(); /* what the call does not reach must stay poisoned */
        break;
    }
    return QVL_OK;
}

enum qvl_status qvl_expectation_make(struct qvl_expectation *expectation, struct qvl_error *error)
{
    const struct qvl_verify_op *op = expectation->op;
    struct qvl_problem *problem = expectation->problem;
    struct qvl_side *side = &expectation->side;
    struct qvl_condition *cond = &expectation->cond;
    *side = (struct qvl_side){.backend = expectation->reference, .problem = problem};
    side->widen = op->widens && op->widens(problem->chosen, expectation->candidate);
    set_units(expectation);
    QVL_TRY(make_condition(expectation, error));
    enum qvl_status status = qvl_side_open(side, error);
    if (status == QVL_OK)
        status = op->call(side, cond->value ? cond : NULL, error);
    if (status == QVL_OK)
        status = side->backend->sync(side->backend, error);
    if (status != QVL_OK)
        return qvl_fail_in(error, status, "the reference");
    for (int i = 0; op->arrange && i < problem->count; i++)
        if (problem->operands[i].judge == QVL_JUDGE_BOUND)
            return op->arrange(problem, i, cond->value, cond->bound, error);
    return QVL_OK;
}

enum qvl_status qvl_expectation_of(struct qvl_expectation *expectation, int index, double **value,
                                   double **bound, struct qvl_error *error)
{
    const struct qvl_operand *operand = &expectation->problem->operands[index];
    const size_t count = (size_t)qvl_operand_count(operand);
    *bound = NULL;
    QVL_TRY(qvl_side_values(&expectation->side, index, value, error));
    *bound = malloc((count + 1) * sizeof **bound);
    if (!*bound) {
        free(*value);
        *value = NULL;
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for its bounds", operand->name);
    }
    if (operand->judge == QVL_JUDGE_BOUND) {
        memcpy(*value, expectation->cond.value, count * sizeof **value);
        memcpy(*bound, expectation->cond.bound, count * sizeof **bound);
        return QVL_OK;
    }
    for (size_t i = 0; i < count; i++) /* what the error analysis does not cover */
        (*bound)[i] = operand->absolute + operand->relative * fabs((*value)[i]);
    return QVL_OK;
}

void qvl_expectation_clear(struct qvl_expectation *expectation)
{
    if (expectation->side.problem)
        qvl_side_close(&expectation->side);
    expectation->side = (struct qvl_side){0};
}
