#include <stdlib.h>

#include "verify/compare.h"
#include "verify/op.h"
#include "verify/probe.h"

static const struct qvl_verify_op *const ops[] = {
#define ENTRY(name) &qvl_verify_##name,
    QVL_OPS(ENTRY)
#undef ENTRY
};

static const char *const op_names[] = {
#define ENTRY(name) #name,
    QVL_OPS(ENTRY)
#undef ENTRY
};

enum { OPS = sizeof ops / sizeof *ops };

/* A NULL ends the list. */
static const struct qvl_probe *const probes[] = {
#define ENTRY(name) &qvl_probe_##name,
    QVL_PROBES(ENTRY)
#undef ENTRY
        NULL,
};

enum { PROBES = sizeof probes / sizeof *probes - 1 };

int qvl_verify_op_count(void)
{
    return OPS;
}

int qvl_verify_count(void)
{
    return OPS + PROBES;
}

const struct qvl_probe *qvl_probe_of(int check)
{
    return check >= OPS && check < OPS + PROBES ? probes[check - OPS] : NULL;
}

const char *qvl_verify_name(int check)
{
    const struct qvl_probe *probe = qvl_probe_of(check);
    return probe ? probe->name : check >= 0 && check < OPS ? op_names[check] : NULL;
}

const char *qvl_verify_number(int check, int number)
{
    const struct qvl_probe *probe = qvl_probe_of(check);
    const char *const *numbers = probe ? probe->numbers : ops[check]->numbers;
    return number >= 0 && number < QVL_CASE_NUMBERS ? numbers[number] : NULL;
}

int qvl_verify_op(int check)
{
    const struct qvl_probe *probe = qvl_probe_of(check);
    int op = 0;
    if (!probe)
        return check;
    while (op < OPS - 1 && strcmp(op_names[op], probe->op) != 0)
        op++;
    return op;
}

/* Whether the backend's table has the entry. */
static bool has_entry(const struct qvl_backend *backend, int op)
{
    const struct qvl_ops *table = &backend->ops;
    const bool present[] = {
#define ENTRY(name) table->name != NULL,
        QVL_OPS(ENTRY)
#undef ENTRY
    };
    return present[op];
}

/* One run of a case: both sides, and what the reference's error analysis says of each operand. */
struct run {
    const struct qvl_verify_op *op;
    struct qvl_problem problem;
    struct qvl_side reference, candidate;
    struct qvl_condition cond;
    struct qvl_case_result *result;
};

/* Unit roundoffs of the candidate's arithmetic. */
static void set_units(struct run *run, const struct qvl_math *math)
{
    run->cond.accumulate = qvl_dtype_roundoff(math->accumulate);
    run->cond.product = math->tf32 && run->problem.chosen->dtype == QVL_F32 ? 0x1p-10 : 0;
}

/* Room for value and bound of the operand that the error analysis is about (the first that is judged by it).
 */
static enum qvl_status make_condition(struct run *run, struct qvl_error *error)
{
    for (int i = 0; i < run->problem.count; i++) {
        const struct qvl_operand *operand = &run->problem.operands[i];
        if (operand->judge != QVL_JUDGE_BOUND)
            continue;
        const int64_t count = qvl_operand_count(operand);
        run->cond.value = qvl_problem_block(&run->problem, count, sizeof(double));
        run->cond.bound = qvl_problem_block(&run->problem, count, sizeof(double));
        if (!run->cond.value || !run->cond.bound)
            return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for %lld bounds", operand->name,
                            (long long)count);
        for (int64_t e = 0; e < count; e++)
            run->cond.value[e] = NAN; /* what the call does not reach must stay poisoned */
        break;
    }
    return QVL_OK;
}

static enum qvl_status run_reference(struct run *run, struct qvl_error *error)
{
    enum qvl_status status = qvl_side_open(&run->reference, error);
    if (status == QVL_OK)
        status = run->op->call(&run->reference, run->cond.value ? &run->cond : NULL, error);
    if (status == QVL_OK)
        status = run->reference.backend->sync(run->reference.backend, error);
    if (status != QVL_OK)
        return qvl_fail_in(error, status, "the reference");
    for (int i = 0; run->op->arrange && i < run->problem.count; i++)
        if (run->problem.operands[i].judge == QVL_JUDGE_BOUND)
            return run->op->arrange(&run->problem, i, run->cond.value, run->cond.bound, error);
    return QVL_OK;
}

/* The candidate's call, and that it kept its hands off everything else. A refusal or a fault is its result.
 */
static bool run_candidate(struct run *run)
{
    struct qvl_backend *backend = run->candidate.backend;
    struct qvl_error error = {.message = ""};
    const uint64_t before = qvl_problem_fingerprint(&run->problem);
    enum qvl_status status = qvl_side_open(&run->candidate, &error);
    if (status == QVL_OK)
        status = run->op->call(&run->candidate, NULL, &error);
    if (status == QVL_OK)
        status = backend->sync(backend, &error);
    if (status == QVL_OK)
        status = qvl_side_untouched(&run->candidate, &error);
    if (status == QVL_OK && qvl_problem_fingerprint(&run->problem) != before)
        status = qvl_fail(&error, QVL_FAILED, "host memory that the call may only read was written");
    if (status == QVL_OK)
        return true;
    run->result->status = status == QVL_UNSUPPORTED ? QVL_CASE_UNSUPPORTED : QVL_CASE_FAILED;
    snprintf(run->result->message, sizeof run->result->message, "%s: %.400s", qvl_status_name(status),
             error.message);
    return false;
}

/* Value and bound of an operand that the error analysis does not cover, from the reference's output. */
static void expect_output(const struct qvl_operand *operand, const double *value, double *bound)
{
    for (int64_t i = 0; i < qvl_operand_count(operand); i++)
        bound[i] = operand->absolute + operand->relative * fabs(value[i]);
}

static enum qvl_status judge(struct run *run, int index, struct qvl_comparison *comparison,
                             struct qvl_error *error)
{
    const struct qvl_operand *operand = &run->problem.operands[index];
    double *got = NULL, *value = NULL;
    double *bound = malloc(((size_t)qvl_operand_count(operand) + 1) * sizeof *bound);
    enum qvl_status status = bound ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "%s: no memory", operand->name);
    if (status == QVL_OK)
        status = qvl_side_values(&run->candidate, index, &got, error);
    if (status == QVL_OK)
        status = qvl_side_values(&run->reference, index, &value, error);
    if (status == QVL_OK) {
        struct qvl_expected expected = {.value = value, .bound = bound};
        expect_output(operand, value, bound);
        if (operand->judge == QVL_JUDGE_BOUND) {
            expected.value = run->cond.value;
            expected.bound = run->cond.bound;
        }
        if (operand->judge == QVL_JUDGE_CUSTOM)
            run->op->custom(&run->problem, index, got, value);
        expected.exact = operand->judge == QVL_JUDGE_EXACT || operand->judge == QVL_JUDGE_CUSTOM;
        qvl_compare(comparison, operand, got, &expected);
    }
    free(got);
    free(value);
    free(bound);
    return status;
}

static enum qvl_status run_case(struct run *run, struct qvl_error *error)
{
    struct qvl_comparison comparison = {.result = run->result};
    run->op->setup(&run->problem);
    if (run->problem.status != QVL_OK)
        return qvl_fail(error, run->problem.status,
                        run->problem.status == QVL_USAGE ? "its numbers contradict each other"
                                                         : "no memory for the operands");
    QVL_TRY(make_condition(run, error));
    QVL_TRY(run_reference(run, error));
    if (!run_candidate(run))
        return QVL_OK;
    for (int i = 0; i < run->problem.count; i++)
        if (run->problem.operands[i].judge != QVL_JUDGE_NONE)
            QVL_TRY(judge(run, i, &comparison, error));
    qvl_compare_finish(&comparison);
    return QVL_OK;
}

static enum qvl_status run_op(const struct qvl_case *chosen, const struct qvl_case_context *context,
                              struct qvl_case_result *result, struct qvl_error *error)
{
    struct run run = {.op = ops[chosen->check], .problem = {.chosen = chosen}, .result = result};
    run.reference.backend = context->reference;
    run.candidate.backend = context->candidate;
    run.reference.problem = run.candidate.problem = &run.problem;
    run.reference.widen = run.op->widens && run.op->widens(chosen, context->candidate);
    set_units(&run, &context->candidate->math);
    const enum qvl_status status = run_case(&run, error);
    qvl_side_close(&run.reference);
    qvl_side_close(&run.candidate);
    qvl_problem_free(&run.problem);
    return status;
}

enum qvl_status qvl_case_run(const struct qvl_case *chosen, const struct qvl_case_context *context,
                             struct qvl_case_result *result, struct qvl_error *error)
{
    const struct qvl_probe *probe = qvl_probe_of(chosen->check);
    const int op = qvl_verify_op(chosen->check);
    char line[QVL_CASE_LINE_BYTES];
    *result = (struct qvl_case_result){.status = QVL_CASE_UNSUPPORTED};
    qvl_case_print(chosen, line);
    snprintf(result->repro, sizeof result->repro, "qvl-audit verify --backend %s --case '%s'",
             context->candidate->name, line);
    if (!has_entry(context->candidate, op)) {
        snprintf(result->message, sizeof result->message, "the table has no entry %s", op_names[op]);
        return QVL_OK;
    }
    const enum qvl_status status =
        probe ? probe->run(chosen, context, result, error) : run_op(chosen, context, result, error);
    return status == QVL_OK ? QVL_OK : qvl_fail_in(error, status, line);
}
