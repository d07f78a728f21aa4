#include <stdlib.h>

#include "verify/compare.h"
#include "verify/evidence.h"
#include "verify/expectation.h"
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

const struct qvl_verify_op *qvl_verify_entry(int op)
{
    return ops[op];
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
    const bool own = probe && probe->numbers[0];
    const char *const *numbers = own ? probe->numbers : ops[qvl_verify_op(check)]->numbers;
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

int64_t qvl_case_bytes(const struct qvl_case *asked)
{
    const struct qvl_probe *probe = qvl_probe_of(asked->check);
    const int64_t bytes = probe && probe->bytes ? probe->bytes(asked) : 0;
    return bytes > INT64_C(64) << 20 ? bytes : 0;
}

/* One run of a case. */
struct run {
    const struct qvl_verify_op *op;
    struct qvl_problem problem;
    struct qvl_expectation expectation;
    struct qvl_side candidate;
    bool placed; /* the candidate's side is open, with other values in it */
    const struct qvl_case_context *context;
    struct qvl_case_result *result;
};

/* Whether the second problem could stand where the first one is. */
static bool same_shapes(const struct qvl_problem *a, const struct qvl_problem *b)
{
    bool same = a->count == b->count;
    for (int i = 0; i < a->count && same; i++) {
        const struct qvl_operand *x = &a->operands[i], *y = &b->operands[i];
        same = x->role == y->role && x->dtype == y->dtype && x->rank == y->rank && x->pad == y->pad &&
               memcmp(x->shape, y->shape, (size_t)x->rank * sizeof *x->shape) == 0;
    }
    return same;
}

/* Make the call once on other values at the addresses of the real ones. A backend that remembers by address
 * (a converted input, a plan, a result) then answers the real call from the past. What becomes of this call
 * does not count. */
static void call_on_others(struct run *run)
{
    struct qvl_case others = *run->problem.chosen;
    struct qvl_problem problem = {.chosen = &others};
    struct qvl_side *side = &run->candidate;
    struct qvl_error ignored;
    others.seed ^= UINT64_C(0x5851f42d4c957f2d);
    if (qvl_problem_set_up(&problem, run->op, &ignored) == QVL_OK && same_shapes(&problem, &run->problem)) {
        side->problem = &problem;
        enum qvl_status status = qvl_side_open(side, &ignored);
        if (status == QVL_OK)
            status = run->op->call(side, NULL, &ignored);
        if (status == QVL_OK)
            status = side->backend->sync(side->backend, &ignored);
        run->placed = status == QVL_OK;
        if (!run->placed) {
            qvl_side_close(side);
            *side = (struct qvl_side){.backend = side->backend};
        }
        side->problem = &run->problem;
    }
    qvl_problem_free(&problem);
}

/* The candidate's call, and that it kept its hands off everything else. A refusal or a fault is its result.
 */
static bool run_candidate(struct run *run)
{
    struct qvl_backend *backend = run->candidate.backend;
    struct qvl_error error = {.message = ""};
    const uint64_t before = qvl_problem_fingerprint(&run->problem);
    call_on_others(run);
    enum qvl_status status = run->placed ? qvl_side_refill(&run->candidate, &run->problem, &error)
                                         : qvl_side_open(&run->candidate, &error);
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

static enum qvl_status judge(struct run *run, int index, struct qvl_comparison *comparison,
                             struct qvl_error *error)
{
    const struct qvl_operand *operand = &run->problem.operands[index];
    double *got = NULL, *value = NULL, *bound = NULL;
    enum qvl_status status = qvl_side_values(&run->candidate, index, &got, error);
    if (status == QVL_OK)
        status = qvl_expectation_of(&run->expectation, index, &value, &bound, error);
    if (status == QVL_OK) {
        if (operand->judge == QVL_JUDGE_CUSTOM)
            run->op->custom(&run->problem, index, got, value);
        const struct qvl_expected expected = {.value = value,
                                              .bound = bound,
                                              .exact = operand->judge == QVL_JUDGE_EXACT ||
                                                       operand->judge == QVL_JUDGE_CUSTOM};
        qvl_compare(comparison, operand, got, &expected);
    }
    free(got);
    free(value);
    free(bound);
    return status;
}

static void tell(const struct run *run, bool begins)
{
    if (run->context->calling)
        run->context->calling(run->context->data, begins);
}

static enum qvl_status judge_case(struct run *run, struct qvl_error *error)
{
    struct qvl_comparison comparison = {.result = run->result};
    tell(run, true);
    const bool answered = run_candidate(run);
    tell(run, false);
    if (!answered)
        return QVL_OK;
    for (int i = 0; i < run->problem.count; i++)
        if (run->problem.operands[i].judge != QVL_JUDGE_NONE)
            QVL_TRY(judge(run, i, &comparison, error));
    qvl_compare_finish(&comparison);
    return QVL_OK;
}

static enum qvl_status run_case(struct run *run, struct qvl_error *error)
{
    const struct qvl_case_result *result = run->result;
    QVL_TRY(qvl_problem_set_up(&run->problem, run->op, error));
    QVL_TRY(qvl_expectation_make(&run->expectation, error));
    QVL_TRY(judge_case(run, error));
    if (!run->context->keep || result->status == QVL_CASE_PASSED || result->status == QVL_CASE_UNSUPPORTED)
        return QVL_OK;
    struct qvl_side *candidate = result->elements > 0 ? &run->candidate : NULL;
    return qvl_evidence_give(&run->expectation, candidate, run->context, result, error);
}

static enum qvl_status run_op(const struct qvl_case *chosen, const struct qvl_case_context *context,
                              struct qvl_case_result *result, struct qvl_error *error)
{
    struct run run = {
        .op = ops[chosen->check], .problem = {.chosen = chosen}, .context = context, .result = result};
    run.expectation = (struct qvl_expectation){.op = run.op,
                                               .problem = &run.problem,
                                               .reference = context->reference,
                                               .candidate = context->candidate};
    run.candidate = (struct qvl_side){.backend = context->candidate, .problem = &run.problem};
    const enum qvl_status status = run_case(&run, error);
    qvl_expectation_clear(&run.expectation);
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
             context->backend ? context->backend : context->candidate->name, line);
    const char *lacking = qvl_backend_lacks(context->candidate, op_names[op]);
    if (lacking) {
        snprintf(result->message, sizeof result->message,
                 strcmp(lacking, op_names[op]) == 0 ? "the table has no entry %s"
                                                    : "the backend has no %s, which %s needs",
                 lacking, op_names[op]);
        return QVL_OK;
    }
    const enum qvl_status status =
        probe ? probe->run(chosen, context, result, error) : run_op(chosen, context, result, error);
    return status == QVL_OK ? QVL_OK : qvl_fail_in(error, status, line);
}

enum qvl_status qvl_case_evidence(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                  const struct qvl_case_result *result, struct qvl_error *error)
{
    if (qvl_probe_of(chosen->check))
        return QVL_OK;
    struct qvl_problem problem = {.chosen = chosen};
    struct qvl_expectation expectation = {.op = ops[chosen->check],
                                          .problem = &problem,
                                          .reference = context->reference,
                                          .candidate = context->reference};
    enum qvl_status status = qvl_problem_set_up(&problem, expectation.op, error);
    if (status == QVL_OK)
        status = qvl_expectation_make(&expectation, error);
    if (status == QVL_OK)
        status = qvl_evidence_give(&expectation, NULL, context, result, error);
    qvl_expectation_clear(&expectation);
    qvl_problem_free(&problem);
    return status;
}
