/* refuse_ENTRY: a call that a contract forbids must come back with the documented status, leave its outputs
 * as they were and append nothing; the same call without the fault must be accepted.
 *
 * What a `_check` function of qvl/check.h sees is QVL_USAGE, an id outside an embedding table QVL_BAD_INPUT,
 * a cache without room QVL_NO_MEMORY. The fault is planted in the operands, so one table serves every entry:
 * number `call` of a case is its index in the entry's list. */
#include "verify/refusal.h"

#include <stdlib.h>

#include "verify/expectation.h"
#include "verify/probe.h"

static int operand_of(const struct qvl_problem *problem, const char *name)
{
    for (int i = 0; i < problem->count; i++)
        if (!strcmp(problem->operands[i].name, name))
            return i;
    return -1;
}

struct qvl_tensor qvl_refusal_view(const struct qvl_side *side, const char *name)
{
    return side->placed[operand_of(side->problem, name)].view;
}

/* Plant a fault that can be seen in a tensor. */
static void spoil(struct qvl_side *side, const struct qvl_wrong_call *wrong, int index)
{
    struct qvl_tensor *view = &side->placed[index].view;
    const int other = wrong->other ? operand_of(side->problem, wrong->other) : -1;
    switch (wrong->fault) {
    case QVL_FAULT_ROWS: view->shape[0]--; break;
    case QVL_FAULT_WIDTH: view->shape[view->rank - 1]--; break;
    case QVL_FAULT_RANK:
        view->shape[view->rank] = view->stride[view->rank] = 1;
        view->rank++;
        break;
    case QVL_FAULT_TYPE: view->dtype = QVL_U8; break;
    case QVL_FAULT_OTHER_TYPE: view->dtype = view->dtype == QVL_F16 ? QVL_BF16 : QVL_F16; break;
    case QVL_FAULT_NULL: view->data = NULL; break;
    case QVL_FAULT_STRIDE: view->stride[0] = -view->stride[0]; break;
    case QVL_FAULT_OVERLAP: view->stride[0] = 1; break;
    case QVL_FAULT_ALIAS: view->data = side->placed[other].view.data; break;
    case QVL_FAULT_NO_WEIGHT:
        side->backend->weight_destroy(side->backend, side->weights[index]);
        side->weights[index] = NULL;
        break;
    case QVL_FAULT_ARGUMENT: break;
    }
}

struct trial {
    const struct qvl_refusal *refusal;
    struct qvl_problem problem;
    struct qvl_case inner;
};

/* The call of the entry's case, with the fault unless `wrong` is NULL. `side` is open. */
static enum qvl_status attempt(const struct trial *trial, struct qvl_side *side,
                               const struct qvl_wrong_call *wrong, struct qvl_error *error)
{
    struct qvl_tensor kept = {.data = NULL};
    int index = -1;
    enum qvl_status status;
    if (wrong && wrong->operand) {
        index = operand_of(side->problem, wrong->operand);
        kept = side->placed[index].view;
        spoil(side, wrong, index);
    }
    if (wrong && wrong->call)
        status = wrong->call(side, error);
    else
        status = trial->refusal->op->call(side, NULL, error);
    if (index >= 0)
        side->placed[index].view = kept;
    const enum qvl_status synced = side->backend->sync(side->backend, status == QVL_OK ? error : NULL);
    return status == QVL_OK ? synced : status;
}

/* Bytes of a placed operand that differ from before the call. */
static enum qvl_status unwritten(struct qvl_side *side, struct qvl_error *error)
{
    for (int i = 0; i < side->problem->count; i++) {
        const struct qvl_placed *placed = &side->placed[i];
        const struct qvl_operand *operand = &side->problem->operands[i];
        if (operand->role == QVL_ROLE_WEIGHT || placed->bytes == 0)
            continue;
        unsigned char *now = malloc(placed->bytes);
        const struct qvl_tensor bytes = qvl_tensor_1d(placed->memory, QVL_U8, (int64_t)placed->bytes);
        enum qvl_status status = now ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory");
        if (status == QVL_OK && operand->role == QVL_ROLE_HOST)
            memcpy(now, placed->memory, placed->bytes);
        else if (status == QVL_OK)
            status = side->backend->download(side->backend, &bytes, now, error);
        if (status == QVL_OK && memcmp(now, placed->image, placed->bytes) != 0)
            status = qvl_fail(error, QVL_FAILED, "%s was written by a call that failed", operand->name);
        free(now);
        QVL_TRY(status);
    }
    return QVL_OK;
}

static void fail_case(struct qvl_case_result *result, const struct qvl_wrong_call *wrong, const char *text)
{
    result->status = QVL_CASE_FAILED;
    result->failures = 1;
    snprintf(result->message, sizeof result->message, "%s: %.300s", wrong->what, text);
}

/* The same call without the fault, on operands of its own. False when it is not accepted. */
static bool accepts(const struct trial *trial, struct qvl_backend *backend,
                    const struct qvl_wrong_call *wrong, struct qvl_case_result *result)
{
    struct qvl_side side = {.backend = backend, .problem = &trial->problem};
    struct qvl_error why = {.message = ""};
    enum qvl_status status = qvl_side_open(&side, &why);
    if (status == QVL_OK)
        status = attempt(trial, &side, NULL, &why);
    qvl_side_close(&side);
    if (status == QVL_UNSUPPORTED) {
        result->status = QVL_CASE_UNSUPPORTED;
        snprintf(result->message, sizeof result->message, "%.400s", why.message);
    } else if (status != QVL_OK) {
        char text[400];
        snprintf(text, sizeof text, "without the fault the call was refused too: %s: %.300s",
                 qvl_status_name(status), why.message);
        fail_case(result, wrong, text);
    }
    return status == QVL_OK;
}

static void refuses(const struct trial *trial, struct qvl_backend *backend,
                    const struct qvl_wrong_call *wrong, struct qvl_case_result *result)
{
    struct qvl_side side = {.backend = backend, .problem = &trial->problem};
    struct qvl_error why = {.message = ""}, written = {.message = ""};
    char text[400];
    enum qvl_status status = qvl_side_open(&side, &why);
    const bool open = status == QVL_OK;
    if (open)
        status = attempt(trial, &side, wrong, &why);
    result->status = QVL_CASE_PASSED;
    result->elements = 1;
    if (!open)
        fail_case(result, wrong, why.message);
    else if (status == wrong->expected && unwritten(&side, &written) != QVL_OK)
        fail_case(result, wrong, written.message);
    else if (status == wrong->expected && why.message[0] == '\0')
        fail_case(result, wrong, "was refused without a message");
    else if (status != wrong->expected) {
        if (status == QVL_OK)
            snprintf(text, sizeof text, "was accepted, expected %s", qvl_status_name(wrong->expected));
        else
            snprintf(text, sizeof text, "gave %s (%.200s), expected %s", qvl_status_name(status), why.message,
                     qvl_status_name(wrong->expected));
        fail_case(result, wrong, text);
    }
    qvl_side_close(&side);
}

enum qvl_status qvl_refusal_run(const struct qvl_refusal *refusal, const struct qvl_case *chosen,
                                const struct qvl_case_context *context, struct qvl_case_result *result,
                                struct qvl_error *error)
{
    struct trial trial = {.refusal = refusal};
    const int64_t call = chosen->numbers[0];
    int64_t count = 0;
    while (refusal->calls[count].what)
        count++;
    if (call >= count)
        return qvl_fail(error, QVL_USAGE, "call=%lld: there are %lld, from 0", (long long)call,
                        (long long)count);
    QVL_TRY(qvl_case_parse(refusal->line, &trial.inner, error));
    trial.inner.dtype = chosen->dtype;
    trial.inner.seed = chosen->seed;
    trial.problem.chosen = &trial.inner;
    enum qvl_status status = qvl_problem_set_up(&trial.problem, refusal->op, error);
    if (status == QVL_OK && accepts(&trial, context->candidate, &refusal->calls[call], result))
        refuses(&trial, context->candidate, &refusal->calls[call], result);
    qvl_problem_free(&trial.problem);
    return status;
}
