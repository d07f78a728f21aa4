/* Mutants of op table entries: the built-in cases of the entry they are planted in. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "verify/selftest.h"

/* Numbers of a case that say how, not how much. */
static bool is_setting(const char *name)
{
    static const char *const settings[] = {"kv",   "chunk",  "tile", "top", "s0",   "s1",     "s2",
                                           "rep",  "pres",   "temp", "k",   "p",    "pad",    "greedy",
                                           "yarn", "double", "once", "erf", "bias", "inplace"};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (strcmp(settings[i], name) == 0)
            return true;
    return false;
}

/* The product of the sizes of a case, which its time follows. */
static double cost(const struct qvl_case *of)
{
    double product = 1;
    for (int i = 0; i < QVL_CASE_NUMBERS && qvl_verify_number(of->check, i); i++)
        if (!is_setting(qvl_verify_number(of->check, i)) && of->numbers[i] > 1)
            product *= (double)of->numbers[i];
    return product;
}

/* The kernels of mutants are scalar: products of production size are left to the backends that can. */
#define MOST_WORK 2e9

static void leave_out_heavy(struct qvl_selftest_ops *ops)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < ops->count; i++)
        if (cost(&ops->cases[i]) <= MOST_WORK)
            ops->cases[kept++] = ops->cases[i];
    ops->count = kept;
}

static int by_entry_and_cost(const void *left, const void *right)
{
    const struct qvl_case *a = left;
    const struct qvl_case *b = right;
    const int ops = qvl_verify_op(a->check) - qvl_verify_op(b->check);
    const double costs = cost(a) - cost(b);
    char lines[2][QVL_CASE_LINE_BYTES];
    if (ops != 0)
        return ops;
    if (costs != 0)
        return costs < 0 ? -1 : 1;
    qvl_case_print(a, lines[0]); /* qsort may turn equal ones around */
    qvl_case_print(b, lines[1]);
    return strcmp(lines[0], lines[1]);
}

enum qvl_status qvl_selftest_ops_create(struct qvl_selftest_ops *ops, uint64_t seed, struct qvl_error *error)
{
    ops->turn = tmpfile();
    if (!ops->turn)
        return qvl_fail(error, QVL_IO, "selftest: no temporary file: %s", strerror(errno));
    QVL_TRY(qvl_cases(NULL, &ops->cases, &ops->count, error));
    for (int64_t i = 0; seed > 0 && i < ops->count; i++)
        ops->cases[i].seed += seed - 1; /* cases that differ in their seeds alone still do */
    leave_out_heavy(ops);
    qsort(ops->cases, (size_t)ops->count, sizeof *ops->cases, by_entry_and_cost);
    return QVL_OK;
}

void qvl_selftest_ops_free(struct qvl_selftest_ops *ops)
{
    if (ops->turn)
        fclose(ops->turn);
    free(ops->cases);
    ops->turn = NULL;
    ops->cases = NULL;
    ops->count = 0;
}

/* Case number `index` of the mutant's entry, NULL beyond the last. */
static const struct qvl_case *case_of(const struct qvl_selftest_ops *ops,
                                      const struct qvl_selftest_mutant *mutant, int64_t index)
{
    for (int64_t i = 0; i < ops->count; i++)
        if (strcmp(qvl_verify_name(qvl_verify_op(ops->cases[i].check)), mutant->entry) == 0)
            return index < ops->count - i &&
                           qvl_verify_op(ops->cases[i + index].check) == qvl_verify_op(ops->cases[i].check)
                       ? &ops->cases[i + index]
                       : NULL;
    return NULL;
}

bool qvl_selftest_ops_line(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                           char line[QVL_CASE_LINE_BYTES])
{
    const struct qvl_case *chosen = case_of(context, mutant, index);
    if (chosen)
        qvl_case_print(chosen, line);
    return chosen != NULL;
}

static void describe(const struct qvl_case_result *result, struct qvl_selftest_attempt *attempt)
{
    size_t used;
    attempt->status = result->status;
    attempt->nmse = result->elements > 0 && result->nmse > 0 ? result->nmse : NAN; /* 0: no check of values */
    snprintf(attempt->message, sizeof attempt->message, "%.255s", result->message);
    used =
        (size_t)snprintf(attempt->where, sizeof attempt->where, "%s", result->operand ? result->operand : "");
    for (int32_t axis = 0; axis < result->rank && used < 100; axis++)
        used += (size_t)snprintf(attempt->where + used, sizeof attempt->where - used, "[%lld]",
                                 (long long)result->index[axis]);
}

static enum qvl_status run_case(const struct qvl_selftest_ops *ops, const struct qvl_case *chosen,
                                qvl_backend_open_fn *open, struct qvl_case_result *result,
                                struct qvl_error *error)
{
    const struct qvl_backend_options options = {.threads = 1};
    struct qvl_case_context sides = {.open = open, .threads = 1};
    QVL_TRY(ops->reference(NULL, &sides.reference, error));
    enum qvl_status status = open(&options, &sides.candidate, error);
    if (status == QVL_OK) {
        status = qvl_case_run(chosen, &sides, result, error);
        sides.candidate->close(sides.candidate);
    }
    sides.reference->close(sides.reference);
    return status;
}

enum qvl_status qvl_selftest_ops_run(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                                     bool honest, struct qvl_selftest_attempt *attempt,
                                     struct qvl_error *error)
{
    const struct qvl_selftest_ops *ops = context;
    const struct qvl_case *chosen = case_of(ops, mutant, index);
    const bool waits = qvl_case_bytes(chosen) > 0;
    qvl_backend_open_fn *open = ops->honest;
    struct qvl_case_result result;
    if (!honest)
        QVL_TRY(ops->find(mutant->name, &open, error));
    if (waits && lockf(fileno(ops->turn), F_LOCK, 0) != 0)
        return qvl_fail(error, QVL_IO, "selftest: cannot wait for memory: %s", strerror(errno));
    const enum qvl_status status = run_case(ops, chosen, open, &result, error);
    if (waits && lockf(fileno(ops->turn), F_ULOCK, 0) != 0)
        return qvl_fail(error, QVL_IO, "selftest: cannot give memory back: %s", strerror(errno));
    if (status == QVL_OK)
        describe(&result, attempt);
    return status;
}
