#include "verify/invariance.h"

#include <stdlib.h>

struct qvl_setting *qvl_setting_add(struct qvl_invariance *invariance, int64_t size, int64_t variant,
                                    const char *format, ...)
{
    struct qvl_setting *setting = &invariance->settings[invariance->count++];
    va_list arguments;
    *setting = (struct qvl_setting){.size = size, .variant = variant};
    va_start(arguments, format);
    vsnprintf(setting->label, sizeof setting->label, format, arguments);
    va_end(arguments);
    return setting;
}

void qvl_setting_add_batches(struct qvl_invariance *invariance)
{
    const int64_t sizes[] = {1, 2, 3, 17, 33};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int64_t lead = 0; lead < sizes[i]; lead++) {
            if (lead == 0)
                qvl_setting_add(invariance, sizes[i], 0, "batch %lld", (long long)sizes[i]);
            else
                qvl_setting_add(invariance, sizes[i], lead, "batch %lld after one of %lld",
                                (long long)sizes[i], (long long)lead);
        }
}

bool qvl_setting_next_batch(const struct qvl_setting *setting, int64_t rows, int64_t *first, int64_t *count)
{
    const bool leads = *first + *count == 0 && setting->variant > 0;
    *first += *count;
    *count = leads ? setting->variant : setting->size;
    if (*count > rows - *first)
        *count = rows - *first;
    return *count > 0;
}

/* One case: the answers of every setting, the judged operands one after the other. */
struct inquiry {
    const struct qvl_invariance *invariance;
    const struct qvl_case_context *context;
    struct qvl_problem problem;
    struct qvl_expectation expectation;
    double *answers[QVL_SETTINGS];
    double *value, *tolerance;
    int64_t elements;
    struct qvl_case_result *result;
};

static int64_t judged_elements(const struct qvl_problem *problem)
{
    int64_t count = 0;
    for (int i = 0; i < problem->count; i++)
        if (problem->operands[i].judge != QVL_JUDGE_NONE)
            count += qvl_operand_count(&problem->operands[i]);
    return count;
}

static enum qvl_status gather(struct qvl_side *side, double *answers, struct qvl_error *error)
{
    const struct qvl_problem *problem = side->problem;
    for (int i = 0; i < problem->count; i++) {
        const size_t count = (size_t)qvl_operand_count(&problem->operands[i]);
        double *values;
        if (problem->operands[i].judge == QVL_JUDGE_NONE)
            continue;
        QVL_TRY(qvl_side_values(side, i, &values, error));
        memcpy(answers, values, count * sizeof *values);
        free(values);
        answers += count;
    }
    return QVL_OK;
}

/* One setting on its backend, with fresh operands. */
static enum qvl_status ask(struct inquiry *inquiry, int index, struct qvl_error *error)
{
    const struct qvl_invariance *invariance = inquiry->invariance;
    const struct qvl_setting *setting = &invariance->settings[index];
    struct qvl_backend *backend = setting->backend ? setting->backend : inquiry->context->candidate;
    struct qvl_side side = {.backend = backend, .problem = &inquiry->problem};
    const uint64_t before = qvl_problem_fingerprint(&inquiry->problem);
    enum qvl_status status = qvl_side_open(&side, error);
    if (status == QVL_OK)
        status = invariance->ask(&side, invariance->op, setting, error);
    if (status == QVL_OK)
        status = backend->sync(backend, error);
    if (status == QVL_OK)
        status = qvl_side_untouched(&side, error);
    if (status == QVL_OK && qvl_problem_fingerprint(&inquiry->problem) != before)
        status = qvl_fail(error, QVL_FAILED, "host memory that the call may only read was written");
    if (status == QVL_OK)
        status = gather(&side, inquiry->answers[index], error);
    qvl_side_close(&side);
    return status;
}

/* Where the contract leaves a choice, any good one is as honest as the other. */
static enum qvl_status allow_choices(const struct inquiry *inquiry, int operand, int64_t first,
                                     struct qvl_error *error)
{
    const struct qvl_problem *problem = &inquiry->problem;
    const size_t count = (size_t)qvl_operand_count(&problem->operands[operand]);
    double *value = malloc((count + 1) * sizeof *value);
    if (!value)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory", problem->operands[operand].name);
    for (size_t i = 0; i < count; i++)
        inquiry->tolerance[(size_t)first + i] = INFINITY;
    for (int s = 0; s < inquiry->invariance->count; s++) {
        const double *got = inquiry->answers[s] + first;
        memcpy(value, inquiry->value + first, count * sizeof *value);
        inquiry->invariance->op->custom(problem, operand, got, value);
        for (size_t i = 0; i < count; i++)
            if (value[i] != got[i])
                inquiry->tolerance[(size_t)first + i] = 0;
    }
    free(value);
    return QVL_OK;
}

/* Value and tolerance of every element, from the reference. */
static enum qvl_status set_tolerances(struct inquiry *inquiry, struct qvl_error *error)
{
    const struct qvl_problem *problem = &inquiry->problem;
    int64_t first = 0;
    for (int i = 0; i < problem->count; i++) {
        const struct qvl_operand *operand = &problem->operands[i];
        const int64_t count = qvl_operand_count(operand);
        const bool exact = operand->judge == QVL_JUDGE_EXACT || !qvl_dtype_is_storage(operand->dtype);
        double *value, *bound;
        if (operand->judge == QVL_JUDGE_NONE)
            continue;
        QVL_TRY(qvl_expectation_of(&inquiry->expectation, i, &value, &bound, error));
        for (int64_t e = 0; e < count; e++) {
            inquiry->value[first + e] = value[e];
            inquiry->tolerance[first + e] = exact ? (isnan(value[e]) ? value[e] : 0)
                                                  : qvl_pair_tolerance(operand->dtype, value[e], bound[e]);
        }
        free(value);
        free(bound);
        if (operand->judge == QVL_JUDGE_CUSTOM)
            QVL_TRY(allow_choices(inquiry, i, first, error));
        first += count;
    }
    return QVL_OK;
}

/* Operand and index of an element of the answers, into the result; its text "y[3][0]". */
static void place_element(const struct inquiry *inquiry, int64_t element, char *text, size_t bytes)
{
    struct qvl_case_result *result = inquiry->result;
    const struct qvl_operand *operand = inquiry->problem.operands;
    while (operand->judge == QVL_JUDGE_NONE || element >= qvl_operand_count(operand)) {
        if (operand->judge != QVL_JUDGE_NONE)
            element -= qvl_operand_count(operand);
        operand++;
    }
    result->operand = operand->name;
    result->rank = operand->rank;
    for (int32_t axis = operand->rank - 1; axis >= 0; axis--) {
        result->index[axis] = element % operand->shape[axis];
        element /= operand->shape[axis];
    }
    size_t used = (size_t)snprintf(text, bytes, "%s", operand->name);
    for (int32_t axis = 0; axis < operand->rank && used < bytes; axis++)
        used += (size_t)snprintf(text + used, bytes - used, "[%lld]", (long long)result->index[axis]);
}

static void report_pair(const struct inquiry *inquiry, const struct qvl_pair *pair, bool violated)
{
    const struct qvl_setting *settings = inquiry->invariance->settings;
    struct qvl_case_result *result = inquiry->result;
    char place[128];
    place_element(inquiry, pair->element, place, sizeof place);
    result->expected = inquiry->answers[pair->first][pair->element];
    result->got = inquiry->answers[pair->second][pair->element];
    result->tolerance = inquiry->tolerance[pair->element];
    snprintf(result->message, sizeof result->message,
             "%s and %s %s: %s is %.9g and %.9g, %.3g apart, honest results at most %.3g",
             settings[pair->first].label, settings[pair->second].label,
             violated ? "differ" : "are the smallest pair that is not bit-identical", place, result->expected,
             result->got, fabs(result->expected - result->got), result->tolerance);
}

static void conclude(struct inquiry *inquiry)
{
    struct qvl_case_result *result = inquiry->result;
    const struct qvl_answers answers = {.values = (const double *const *)inquiry->answers,
                                        .settings = inquiry->invariance->count,
                                        .elements = inquiry->elements,
                                        .tolerance = inquiry->tolerance};
    struct qvl_pairs found;
    qvl_pairs_search(&answers, &found);
    result->verdict = qvl_pairs_verdict(&found);
    result->elements = inquiry->elements * (inquiry->invariance->count - 1);
    result->margin = found.margin;
    result->status = found.missing || found.violated ? QVL_CASE_FAILED : QVL_CASE_PASSED;
    if (found.missing) {
        char place[128];
        place_element(inquiry, found.missing_element, place, sizeof place);
        result->failures = 1;
        result->margin = INFINITY;
        result->got = NAN;
        result->expected = inquiry->value[found.missing_element];
        snprintf(result->message, sizeof result->message, "%s leaves %s unwritten or NaN, expected %.9g",
                 inquiry->invariance->settings[found.missing_setting].label, place, result->expected);
    } else if (found.violated) {
        result->failures = found.broken.failures;
        report_pair(inquiry, &found.broken, true);
    } else if (found.inexact) {
        report_pair(inquiry, &found.changed, false);
    }
}

/* A call that fails under one setting alone is as much a difference as another number. */
static void report_refusal(const struct inquiry *inquiry, int setting, enum qvl_status status,
                           const struct qvl_error *refused)
{
    const struct qvl_setting *settings = inquiry->invariance->settings;
    struct qvl_case_result *result = inquiry->result;
    char compared[96] = "";
    if (setting > 0) {
        result->verdict = QVL_VERDICT_VIOLATED;
        snprintf(compared, sizeof compared, "%.56s has a result, ", settings[0].label);
    }
    result->status = status == QVL_UNSUPPORTED ? QVL_CASE_UNSUPPORTED : QVL_CASE_FAILED;
    snprintf(result->message, sizeof result->message, "%s%s: %s: %.300s", compared, settings[setting].label,
             qvl_status_name(status), refused->message);
}

static enum qvl_status inquire(struct inquiry *inquiry, struct qvl_error *error)
{
    struct qvl_problem *problem = &inquiry->problem;
    const int count = inquiry->invariance->count;
    QVL_TRY(qvl_problem_set_up(problem, inquiry->invariance->op, error));
    inquiry->elements = judged_elements(problem);
    double *room = calloc((size_t)(inquiry->elements + 1) * (size_t)(count + 2), sizeof *room);
    if (!room)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the answers of %d settings", count);
    inquiry->value = room;
    inquiry->tolerance = room + inquiry->elements;
    for (int s = 0; s < count; s++)
        inquiry->answers[s] = room + (s + 2) * inquiry->elements;
    QVL_TRY(qvl_expectation_make(&inquiry->expectation, error));
    for (int s = 0; s < count; s++) {
        struct qvl_error refused = {.message = ""};
        const enum qvl_status status = ask(inquiry, s, &refused);
        if (status == QVL_OK)
            continue;
        report_refusal(inquiry, s, status, &refused);
        return QVL_OK;
    }
    QVL_TRY(set_tolerances(inquiry, error));
    conclude(inquiry);
    return QVL_OK;
}

enum qvl_status qvl_invariance_judge(const struct qvl_invariance *invariance, const struct qvl_case *chosen,
                                     const struct qvl_case_context *context, struct qvl_case_result *result,
                                     struct qvl_error *error)
{
    struct inquiry inquiry = {
        .invariance = invariance, .context = context, .problem = {.chosen = chosen}, .result = result};
    inquiry.expectation = (struct qvl_expectation){.op = invariance->op,
                                                   .problem = &inquiry.problem,
                                                   .reference = context->reference,
                                                   .candidate = context->candidate};
    const enum qvl_status status = inquire(&inquiry, error);
    qvl_expectation_clear(&inquiry.expectation);
    free(inquiry.value);
    qvl_problem_free(&inquiry.problem);
    return status;
}
