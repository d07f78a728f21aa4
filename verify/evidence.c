#include "verify/evidence.h"

#include <stdlib.h>

#include "qvl/rounding.h"
#include "verify/compare.h"

#define TENSORS (3 * QVL_OPERANDS)

struct evidence {
    struct qvl_case_tensor tensors[TENSORS];
    int count;
};

/* Take `values` over. */
static void add(struct evidence *evidence, const char *role, const struct qvl_operand *operand,
                enum qvl_dtype dtype, void *values)
{
    struct qvl_case_tensor *tensor = &evidence->tensors[evidence->count++];
    snprintf(tensor->name, sizeof tensor->name, "%s.%s", role, operand->name);
    tensor->dtype = dtype;
    tensor->rank = operand->rank;
    memcpy(tensor->shape, operand->shape, sizeof tensor->shape);
    tensor->data = values;
}

/* What the host has of an operand; 16-bit floats as float32, which holds them exactly and numpy can read. */
static enum qvl_status add_input(struct evidence *evidence, const struct qvl_operand *operand,
                                 struct qvl_error *error)
{
    const bool narrow = operand->dtype == QVL_BF16 || operand->dtype == QVL_F16;
    const enum qvl_dtype dtype = narrow ? QVL_F32 : operand->dtype;
    const size_t count = (size_t)qvl_operand_count(operand);
    void *values = malloc(count * qvl_dtype_bytes(dtype) + 1);
    if (!values)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory to keep it", operand->name);
    if (narrow) {
        for (size_t i = 0; i < count; i++) {
            double value;
            qvl_load_row((const char *)operand->host + 2 * i, operand->dtype, 1, &value);
            ((float *)values)[i] = (float)value;
        }
    } else {
        memcpy(values, operand->host, count * qvl_dtype_bytes(dtype));
    }
    add(evidence, "input", operand, dtype, values);
    return QVL_OK;
}

static enum qvl_status add_output(struct evidence *evidence, struct qvl_expectation *expectation,
                                  struct qvl_side *candidate, int index, struct qvl_error *error)
{
    const struct qvl_operand *operand = &expectation->problem->operands[index];
    const bool exact = operand->judge == QVL_JUDGE_EXACT || operand->judge == QVL_JUDGE_CUSTOM;
    double *got = NULL, *value = NULL, *tolerance = NULL;
    QVL_TRY(qvl_expectation_of(expectation, index, &value, &tolerance, error));
    add(evidence, "expected", operand, QVL_F64, value);
    if (!candidate) {
        free(tolerance);
        return QVL_OK;
    }
    add(evidence, "tolerance", operand, QVL_F64, tolerance);
    QVL_TRY(qvl_side_values(candidate, index, &got, error));
    add(evidence, "got", operand, QVL_F64, got);
    if (operand->judge == QVL_JUDGE_CUSTOM)
        expectation->op->custom(expectation->problem, index, got, value);
    for (int64_t i = 0; i < qvl_operand_count(operand); i++)
        tolerance[i] = qvl_tolerance(operand->dtype, value[i], tolerance[i], exact);
    return QVL_OK;
}

enum qvl_status qvl_evidence_give(struct qvl_expectation *expectation, struct qvl_side *candidate,
                                  const struct qvl_case_context *context,
                                  const struct qvl_case_result *result, struct qvl_error *error)
{
    struct qvl_problem *problem = expectation->problem;
    struct evidence evidence = {.count = 0};
    enum qvl_status status = QVL_OK;
    for (int i = 0; i < problem->count && status == QVL_OK; i++) {
        if (problem->operands[i].host)
            status = add_input(&evidence, &problem->operands[i], error);
        if (status == QVL_OK && problem->operands[i].judge != QVL_JUDGE_NONE)
            status = add_output(&evidence, expectation, candidate, i, error);
    }
    if (status == QVL_OK)
        status =
            context->keep(context->data, problem->chosen, result, evidence.tensors, evidence.count, error);
    for (int i = 0; i < evidence.count; i++)
        free(evidence.tensors[i].data);
    return status; /* NOLINT(clang-analyzer-unix.Malloc): it takes the count for one that keep() changed */
}
