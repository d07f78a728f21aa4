#include "verify/repeated.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "verify/compare.h"
#include "verify/expectation.h"

struct kept {
    bool used;
    uint64_t index;
    double *values[QVL_OPERANDS]; /* of the judged operands */
};

struct qvl_repeated {
    struct qvl_case chosen;
    const struct qvl_verify_op *op;
    struct qvl_problem problem;
    struct qvl_backend *reference;
    struct qvl_side candidate;
    void *pristine[QVL_OPERANDS]; /* host values of the inputs that change, as they were made */
    uint64_t index;               /* of what is loaded */
    struct kept kept[QVL_REPEATED_SLOTS];
};

/* ---- the entry under the clock ---- */

/* An op's call may make others beside its own entry (appends before attention), so that the clock sits in the
 * table. Entries have no argument for it: one call at a time. */
static struct {
    struct qvl_ops ops; /* of the backend itself */
    double seconds;
} clocked;

#define CLOCKED(name)                                                                                        \
    static enum qvl_status clocked_##name(struct qvl_backend *backend, const struct qvl_##name##_args *args, \
                                          struct qvl_error *error)                                           \
    {                                                                                                        \
        QVL_TRY(backend->sync(backend, error)); /* of what was enqueued before */                            \
        const double start = qvl_clock();                                                                    \
        enum qvl_status status = clocked.ops.name(backend, args, error);                                     \
        if (status == QVL_OK)                                                                                \
            status = backend->sync(backend, error);                                                          \
        clocked.seconds += qvl_clock() - start;                                                              \
        return status;                                                                                       \
    }
QVL_OPS(CLOCKED)
#undef CLOCKED

static void start_clock(struct qvl_backend *backend, const char *entry)
{
    clocked.ops = backend->ops;
    clocked.seconds = 0;
#define REPLACE(name)                                                                                        \
    if (strcmp(entry, #name) == 0)                                                                           \
        backend->ops.name = clocked_##name;
    QVL_OPS(REPLACE)
#undef REPLACE
}

static void stop_clock(struct qvl_backend *backend)
{
    backend->ops = clocked.ops;
}

/* ---- inputs ---- */

static bool changes(const struct qvl_operand *operand)
{
    return (operand->role == QVL_ROLE_INPUT || operand->role == QVL_ROLE_INOUT) && operand->host &&
           qvl_dtype_is_storage(operand->dtype) && qvl_operand_count(operand) > 1;
}

/* The values of an input turned by a number of places that depends on the index: the same distribution,
 * another value almost everywhere. Never by zero places. */
static void turn(const struct qvl_operand *operand, const char *pristine, uint64_t index, uint64_t stream)
{
    const int64_t count = qvl_operand_count(operand);
    const size_t element = qvl_dtype_bytes(operand->dtype);
    const size_t by = 1 + (size_t)qvl_random_below(index, stream, 0, (uint64_t)count - 1);
    const size_t head = ((size_t)count - by) * element;
    memcpy(operand->host, pristine + by * element, head);
    memcpy((char *)operand->host + head, pristine, by * element);
}

static void turn_all(struct qvl_repeated *repeated, uint64_t index)
{
    repeated->index = index;
    for (int i = 0; i < repeated->problem.count; i++)
        if (repeated->pristine[i])
            turn(&repeated->problem.operands[i], repeated->pristine[i], index, (uint64_t)i);
}

static enum qvl_status keep_pristine(struct qvl_repeated *repeated, struct qvl_error *error)
{
    for (int i = 0; i < repeated->problem.count; i++) {
        const struct qvl_operand *operand = &repeated->problem.operands[i];
        if (!changes(operand))
            continue;
        const size_t bytes = (size_t)qvl_operand_count(operand) * qvl_dtype_bytes(operand->dtype);
        repeated->pristine[i] = malloc(bytes);
        if (!repeated->pristine[i])
            return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for its values", operand->name);
        memcpy(repeated->pristine[i], operand->host, bytes);
    }
    return QVL_OK;
}

enum qvl_status qvl_repeated_load(struct qvl_repeated *repeated, uint64_t index, struct qvl_error *error)
{
    turn_all(repeated, index);
    return qvl_side_reload(&repeated->candidate, error);
}

/* ---- life ---- */

enum qvl_status qvl_repeated_open(const struct qvl_case *chosen, struct qvl_backend *reference,
                                  struct qvl_backend *candidate, struct qvl_repeated **repeated,
                                  struct qvl_error *error)
{
    *repeated = NULL;
    if (chosen->check >= qvl_verify_op_count())
        return qvl_fail(error, QVL_UNSUPPORTED, "%s is a probe, not a call", qvl_verify_name(chosen->check));
    const char *lacking = qvl_backend_lacks(candidate, qvl_verify_name(chosen->check));
    if (lacking)
        return qvl_fail(error, QVL_UNSUPPORTED, "the backend has no %s", lacking);
    struct qvl_repeated *made = calloc(1, sizeof *made);
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a case");
    made->chosen = *chosen;
    made->op = qvl_verify_entry(chosen->check);
    made->problem.chosen = &made->chosen;
    made->reference = reference;
    made->candidate = (struct qvl_side){.backend = candidate, .problem = &made->problem};
    enum qvl_status status = qvl_problem_set_up(&made->problem, made->op, error);
    if (status == QVL_OK)
        status = keep_pristine(made, error);
    if (status == QVL_OK)
        status = qvl_side_open(&made->candidate, error);
    if (status != QVL_OK) {
        qvl_repeated_close(made);
        return status;
    }
    *repeated = made;
    return QVL_OK;
}

static void forget(struct kept *kept)
{
    for (int i = 0; i < QVL_OPERANDS; i++)
        free(kept->values[i]);
    *kept = (struct kept){0};
}

void qvl_repeated_close(struct qvl_repeated *repeated)
{
    if (!repeated)
        return;
    for (int slot = 0; slot < QVL_REPEATED_SLOTS; slot++)
        forget(&repeated->kept[slot]);
    qvl_side_close(&repeated->candidate);
    for (int i = 0; i < QVL_OPERANDS; i++)
        free(repeated->pristine[i]);
    qvl_problem_free(&repeated->problem);
    free(repeated);
}

/* ---- calls ---- */

/* No element of an output may still be the poison. */
static enum qvl_status look_for_poison(struct qvl_repeated *repeated, struct qvl_error *error)
{
    for (int i = 0; i < repeated->problem.count; i++) {
        const struct qvl_operand *operand = &repeated->problem.operands[i];
        double *values;
        int64_t missing = 0;
        if (operand->role != QVL_ROLE_OUTPUT || !qvl_dtype_is_storage(operand->dtype))
            continue;
        QVL_TRY(qvl_side_values(&repeated->candidate, i, &values, error));
        for (int64_t e = 0; e < qvl_operand_count(operand); e++)
            missing += isnan(values[e]);
        free(values);
        if (missing > 0)
            return qvl_fail(error, QVL_FAILED,
                            "%s: %lld of %lld elements were not computed when sync returned", operand->name,
                            (long long)missing, (long long)qvl_operand_count(operand));
    }
    return QVL_OK;
}

/* Seconds to read the first element of every output. */
static enum qvl_status touch_outputs(struct qvl_repeated *repeated, double *seconds, struct qvl_error *error)
{
    struct qvl_backend *backend = repeated->candidate.backend;
    const double start = qvl_clock();
    for (int i = 0; i < repeated->problem.count; i++) {
        const struct qvl_tensor *view = &repeated->candidate.placed[i].view;
        const enum qvl_role role = repeated->problem.operands[i].role;
        unsigned char element[8];
        if ((role != QVL_ROLE_OUTPUT && role != QVL_ROLE_INOUT) ||
            qvl_operand_count(&repeated->problem.operands[i]) == 0)
            continue;
        const struct qvl_tensor first = qvl_tensor_1d(view->data, view->dtype, 1);
        QVL_TRY(backend->download(backend, &first, element, error));
    }
    *seconds = qvl_clock() - start;
    return QVL_OK;
}

/* Whether every element is finite, as inputs of these cases make them. */
static bool all_finite(const struct qvl_case *chosen)
{
    return chosen->distribution != QVL_DIST_SPECIAL;
}

enum qvl_status qvl_repeated_call(struct qvl_repeated *repeated, struct qvl_call_time *time,
                                  struct qvl_error *error)
{
    struct qvl_backend *backend = repeated->candidate.backend;
    double first, second;
    start_clock(backend, qvl_verify_name(repeated->chosen.check));
    const enum qvl_status status = repeated->op->call(&repeated->candidate, NULL, error);
    stop_clock(backend);
    QVL_TRY(status);
    time->seconds = clocked.seconds;
    QVL_TRY(touch_outputs(repeated, &first, error));
    QVL_TRY(touch_outputs(repeated, &second, error));
    time->settle = first - second;
    return all_finite(&repeated->chosen) ? look_for_poison(repeated, error) : QVL_OK;
}

enum qvl_status qvl_repeated_keep(struct qvl_repeated *repeated, int slot, struct qvl_error *error)
{
    struct kept *kept = &repeated->kept[slot];
    forget(kept);
    kept->used = true;
    kept->index = repeated->index;
    for (int i = 0; i < repeated->problem.count; i++)
        if (repeated->problem.operands[i].judge != QVL_JUDGE_NONE)
            QVL_TRY(qvl_side_values(&repeated->candidate, i, &kept->values[i], error));
    return qvl_side_untouched(&repeated->candidate, error);
}

static enum qvl_status judge_slot(struct qvl_repeated *repeated, const struct kept *kept,
                                  struct qvl_expectation *expectation, struct qvl_case_result *result,
                                  struct qvl_error *error)
{
    struct qvl_comparison comparison = {.result = result};
    QVL_TRY(qvl_expectation_make(expectation, error));
    for (int i = 0; i < repeated->problem.count; i++) {
        const struct qvl_operand *operand = &repeated->problem.operands[i];
        double *value, *bound;
        if (operand->judge == QVL_JUDGE_NONE)
            continue;
        QVL_TRY(qvl_expectation_of(expectation, i, &value, &bound, error));
        if (operand->judge == QVL_JUDGE_CUSTOM)
            repeated->op->custom(&repeated->problem, i, kept->values[i], value);
        const struct qvl_expected expected = {.value = value,
                                              .bound = bound,
                                              .exact = operand->judge == QVL_JUDGE_EXACT ||
                                                       operand->judge == QVL_JUDGE_CUSTOM};
        qvl_compare(&comparison, operand, kept->values[i], &expected);
        free(value);
        free(bound);
    }
    qvl_compare_finish(&comparison);
    return QVL_OK;
}

enum qvl_status qvl_repeated_judge(struct qvl_repeated *repeated, struct qvl_case_result *result,
                                   struct qvl_error *error)
{
    enum qvl_status status = QVL_OK;
    struct qvl_case_result last = {.status = QVL_CASE_SKIPPED};
    for (int slot = 0; slot < QVL_REPEATED_SLOTS && status == QVL_OK; slot++) {
        struct kept *kept = &repeated->kept[slot];
        struct qvl_expectation expectation = {.op = repeated->op,
                                              .problem = &repeated->problem,
                                              .reference = repeated->reference,
                                              .candidate = repeated->candidate.backend};
        const int blocks = repeated->problem.block_count;
        if (!kept->used)
            continue;
        turn_all(repeated, kept->index);
        if (last.status == QVL_CASE_SKIPPED || last.status == QVL_CASE_PASSED) {
            last = (struct qvl_case_result){.status = QVL_CASE_SKIPPED};
            status = judge_slot(repeated, kept, &expectation, &last, error);
        }
        qvl_expectation_clear(&expectation);
        while (repeated->problem.block_count > blocks) /* room that the expectation took */
            free(repeated->problem.blocks[--repeated->problem.block_count]);
        forget(kept);
    }
    *result = last;
    return status;
}

struct qvl_repeated_bytes qvl_repeated_sizes(const struct qvl_repeated *repeated)
{
    struct qvl_repeated_bytes bytes = {0};
    for (int i = 0; i < repeated->problem.count; i++) {
        const struct qvl_operand *operand = &repeated->problem.operands[i];
        const double size = (double)qvl_operand_count(operand) * (double)qvl_dtype_bytes(operand->dtype);
        const bool both = operand->role == QVL_ROLE_INOUT;
        bytes.inputs += operand->role == QVL_ROLE_INPUT || both ? size : 0;
        bytes.outputs += operand->role == QVL_ROLE_OUTPUT || both ? size : 0;
        bytes.weights += operand->role == QVL_ROLE_WEIGHT ? size : 0;
    }
    return bytes;
}
