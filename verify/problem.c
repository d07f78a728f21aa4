#include "verify/problem.h"

#include <stdlib.h>

#include "base/random.h"
#include "qvl/rounding.h"
#include "verify/mantissa.h"

#define LARGEST_BLOCK (INT64_C(1) << 31)

int64_t qvl_number(const struct qvl_problem *problem, const char *name)
{
    const int op = problem->chosen->check;
    for (int i = 0; i < QVL_CASE_NUMBERS && qvl_verify_number(op, i); i++)
        if (!strcmp(qvl_verify_number(op, i), name))
            return problem->chosen->numbers[i];
    return 0;
}

void *qvl_problem_block(struct qvl_problem *problem, int64_t count, size_t bytes)
{
    void *block = NULL;
    if (problem->block_count < QVL_BLOCKS && count >= 0 && count < LARGEST_BLOCK / (int64_t)bytes)
        block = calloc((size_t)count + 1, bytes);
    if (!block) {
        problem->status = QVL_NO_MEMORY;
        return NULL;
    }
    problem->bytes[problem->block_count] = (size_t)count * bytes;
    problem->blocks[problem->block_count++] = block;
    return block;
}

struct qvl_operand *qvl_problem_add(struct qvl_problem *problem, enum qvl_role role, const char *name,
                                    int32_t rank, const int64_t *shape)
{
    struct qvl_operand *operand = &problem->operands[problem->count++];
    int64_t count = 1;
    *operand = (struct qvl_operand){
        .name = name, .role = role, .dtype = problem->chosen->dtype, .rank = rank, .use = QVL_USE_LINEAR};
    if (role == QVL_ROLE_OUTPUT || role == QVL_ROLE_INOUT)
        operand->judge = QVL_JUDGE_BOUND;
    for (int32_t axis = 0; axis < rank; axis++) {
        operand->shape[axis] = shape[axis];
        if (shape[axis] < 0 || (shape[axis] > 0 && count > LARGEST_BLOCK / shape[axis]))
            problem->status = QVL_NO_MEMORY;
        else
            count *= shape[axis];
    }
    if (role != QVL_ROLE_OUTPUT && role != QVL_ROLE_HOST && problem->status == QVL_OK)
        operand->host = qvl_problem_block(problem, count, sizeof(double));
    return operand;
}

static void put(struct qvl_operand *operand, int64_t index, double value)
{
    if (operand->dtype == QVL_F32) {
        ((float *)operand->host)[index] = (float)value;
        return;
    }
    value = qvl_round_nearest(operand->dtype, value);
    qvl_store_row(&value, operand->dtype, 1,
                  (char *)operand->host + (size_t)index * qvl_dtype_bytes(operand->dtype));
}

/* Element `column` of row `row` of an operand with `columns` in its last axis. */
static double draw(const struct qvl_case *chosen, uint64_t stream, int64_t row, int64_t column,
                   int64_t columns)
{
    const uint64_t index = (uint64_t)(row * columns + column);
    const bool whole = chosen->distribution == QVL_DIST_INTS || chosen->distribution == QVL_DIST_TIES;
    const uint64_t bits = whole ? qvl_random_bits(chosen->seed, stream + 1, index) : 0;
    const double normal = whole ? 0 : (double)qvl_random_normal(chosen->seed, stream, index);
    switch (chosen->distribution) {
    case QVL_DIST_INTS: return (double)(bits % 7) - 3;
    case QVL_DIST_CONSTANT: return (double)qvl_random_normal(chosen->seed, stream, (uint64_t)row);
    case QVL_DIST_TINY: return normal * 1e-3;
    case QVL_DIST_HUGE: return normal * 100;
    case QVL_DIST_OUTLIER: return column == columns / 3 ? normal * 50 : normal;
    case QVL_DIST_NEGATIVE: return -fabs(normal) - 0.1;
    case QVL_DIST_TIES: return ((double)(bits % 4) - 1) * 0.75;
    case QVL_DIST_SPECIAL:
        if (column == columns / 2 && row % 4 > 0)
            return row % 4 == 1 ? NAN : row % 4 == 2 ? INFINITY : -INFINITY;
        return normal;
    default: return normal;
    }
}

void qvl_problem_fill(struct qvl_problem *problem, struct qvl_operand *operand, double scale)
{
    const int64_t columns = operand->shape[operand->rank - 1];
    const uint64_t stream = qvl_random_stream(operand->name);
    const bool scaled =
        problem->chosen->distribution != QVL_DIST_INTS && problem->chosen->distribution != QVL_DIST_TIES;
    if (problem->status != QVL_OK)
        return;
    for (int64_t i = 0; i < qvl_operand_count(operand); i++) {
        const int64_t row = i / columns, column = i % columns;
        if (problem->chosen->distribution == QVL_DIST_MANTISSA) {
            put(operand, i,
                scale * qvl_mantissa_value(problem->chosen, operand, stream, row, column, columns));
            continue;
        }
        const double value = draw(problem->chosen, stream, row, column, columns);
        put(operand, i, isinf(value) && operand->no_infinities ? 1 : value * (scaled ? scale : 1));
    }
}

void qvl_problem_fill_normal(struct qvl_problem *problem, struct qvl_operand *operand, double mean,
                             double deviation)
{
    const uint64_t stream = qvl_random_stream(operand->name);
    const uint64_t seed = problem->chosen->seed;
    if (problem->status != QVL_OK)
        return;
    for (int64_t i = 0; i < qvl_operand_count(operand); i++) {
        double value = mean + deviation * (double)qvl_random_normal(seed, stream, (uint64_t)i);
        if (problem->chosen->distribution == QVL_DIST_INTS)
            value = (double)qvl_random_below(seed, stream, (uint64_t)i, 7) - 3;
        if (problem->chosen->distribution == QVL_DIST_MANTISSA)
            value = qvl_mantissa_vector(problem->chosen, stream, i, qvl_operand_count(operand), mean,
                                        operand->rank > 1);
        put(operand, i, value);
    }
}

struct qvl_operand *qvl_problem_add_weight(struct qvl_problem *problem, const char *name,
                                           const struct qvl_weight_shape *shape)
{
    const int64_t in = shape->in, out = shape->out;
    const int64_t matrix[2] = {out, in};
    const int64_t stack[3] = {shape->experts, shape->input_first ? in : out, shape->input_first ? out : in};
    struct qvl_operand *weight = qvl_problem_add(problem, QVL_ROLE_WEIGHT, name, shape->experts > 0 ? 3 : 2,
                                                 shape->experts > 0 ? stack : matrix);
    const uint64_t stream = qvl_random_stream(name);
    if (shape->experts > 0)
        weight->use = QVL_USE_EXPERTS;
    weight->input_first = shape->input_first;
    if (problem->chosen->distribution != QVL_DIST_MANTISSA)
        qvl_problem_fill_normal(problem, weight, 0, in > 0 ? 1 / sqrt((double)in) : 0);
    else
        for (int64_t i = 0; problem->status == QVL_OK && i < qvl_operand_count(weight); i++) {
            const int64_t o = shape->input_first ? i % out : i / in % out;
            const int64_t k = shape->input_first ? i / out % in : i % in;
            put(weight, i, qvl_mantissa_weight(problem->chosen, stream, shape, o, k));
        }
    return weight;
}

int64_t *qvl_problem_choose(struct qvl_problem *problem, const char *name, int64_t count, int64_t limit)
{
    int64_t *all = qvl_problem_block(problem, limit > count ? limit : count, sizeof *all);
    if (!all || count > limit) {
        problem->status = problem->status == QVL_OK ? QVL_USAGE : problem->status;
        return NULL;
    }
    for (int64_t i = 0; i < limit; i++)
        all[i] = i;
    for (int64_t i = 0; i < count; i++) {
        const int64_t other = i + (int64_t)qvl_random_below(problem->chosen->seed, qvl_random_stream(name),
                                                            (uint64_t)i, (uint64_t)(limit - i));
        const int64_t chosen = all[other];
        all[other] = all[i];
        all[i] = chosen;
    }
    return all;
}

uint64_t qvl_problem_fingerprint(const struct qvl_problem *problem)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int b = 0; b < problem->block_count; b++) {
        const unsigned char *block = problem->blocks[b];
        for (size_t i = 0; i < problem->bytes[b]; i += sizeof(uint64_t)) {
            const size_t left = problem->bytes[b] - i;
            uint64_t word = 0;
            memcpy(&word, block + i, left < sizeof word ? left : sizeof word);
            hash = (hash ^ word) * UINT64_C(0x100000001b3);
        }
    }
    return hash;
}

void qvl_problem_free(struct qvl_problem *problem)
{
    while (problem->block_count > 0)
        free(problem->blocks[--problem->block_count]);
}
