/* verify, the part without a checkpoint: the entries of a backend's op table, case by case. */
#include "verify/verify.h"

#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/progress.h"
#include "cli/verify.h"

static void index_text(const struct qvl_case_result *result, char text[128])
{
    size_t used = (size_t)snprintf(text, 128, "%s", result->operand ? result->operand : "");
    for (int32_t axis = 0; axis < result->rank && used < 100; axis++)
        used += (size_t)snprintf(text + used, 128 - used, "%s%lld%s", axis ? "," : "[",
                                 (long long)result->index[axis], axis + 1 == result->rank ? "]" : "");
}

static struct qvl_record *case_record(const char *line, const char *op, const struct qvl_case_result *result)
{
    char place[128];
    index_text(result, place);
    struct qvl_record *record = qvl_record_create("op_case", line, result->status);
    qvl_record_text(record, "op", op, QVL_FROM_SETTING);
    qvl_record_int(record, "elements", result->elements, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "failures", result->failures, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "margin", result->margin, "1", QVL_FROM_MEASURED);
    qvl_record_real(record, "drift", result->drift, "1", QVL_FROM_MEASURED);
    qvl_record_text(record, "worst", place, QVL_FROM_MEASURED);
    qvl_record_real(record, "expected", result->expected, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "got", result->got, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "tolerance", result->tolerance, NULL, QVL_FROM_MEASURED);
    if (result->message[0])
        qvl_record_text(record, "message", result->message, QVL_FROM_MEASURED);
    if (result->status != QVL_CASE_PASSED)
        qvl_record_text(record, "repro", result->repro, QVL_FROM_SETTING);
    return record;
}

/* What the cases of one op add up to. */
struct op_summary {
    int64_t cases, passed, failed, unsupported;
    double margin, drift;
};

static void add_to_summary(struct op_summary *summary, const struct qvl_case_result *result)
{
    summary->cases++;
    summary->passed += result->status == QVL_CASE_PASSED;
    summary->unsupported += result->status == QVL_CASE_UNSUPPORTED;
    summary->failed += result->status != QVL_CASE_PASSED && result->status != QVL_CASE_UNSUPPORTED;
    if (!(result->margin <= summary->margin))
        summary->margin = result->margin;
    if (!(result->drift <= summary->drift))
        summary->drift = result->drift;
}

static enum qvl_status summary_records(const struct op_summary *summaries, struct qvl_report *report,
                                       struct qvl_error *error)
{
    for (int op = 0; op < qvl_verify_op_count(); op++) {
        const struct op_summary *summary = &summaries[op];
        if (summary->cases == 0)
            continue;
        struct qvl_record *record = qvl_record_create("op", qvl_verify_name(op), QVL_CASE_NONE);
        qvl_record_int(record, "cases", summary->cases, NULL, QVL_FROM_MEASURED);
        qvl_record_int(record, "passed", summary->passed, NULL, QVL_FROM_MEASURED);
        qvl_record_int(record, "failed", summary->failed, NULL, QVL_FROM_MEASURED);
        qvl_record_int(record, "unsupported", summary->unsupported, NULL, QVL_FROM_MEASURED);
        qvl_record_real(record, "worst_margin", summary->margin, "1", QVL_FROM_MEASURED);
        qvl_record_real(record, "worst_drift", summary->drift, "1", QVL_FROM_MEASURED);
        QVL_TRY(qvl_report_take(report, record, error));
    }
    return QVL_OK;
}

static enum qvl_status run_cases(const struct qvl_case *cases, int64_t count,
                                 const struct qvl_case_context *context, struct op_summary *summaries,
                                 struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_progress progress;
    enum qvl_status status = QVL_OK;
    qvl_progress_begin(&progress, "verify", "case", count);
    for (int64_t i = 0; i < count && status == QVL_OK; i++) {
        struct qvl_case_result result;
        char line[QVL_CASE_LINE_BYTES];
        qvl_case_print(&cases[i], line);
        status = qvl_case_run(&cases[i], context, &result, error);
        if (status != QVL_OK) {
            qvl_fail_in(error, status, line);
            break;
        }
        const int op = qvl_verify_op(cases[i].check);
        add_to_summary(&summaries[op], &result);
        status = qvl_report_take(report, case_record(line, qvl_verify_name(op), &result), error);
        qvl_progress_update(&progress, i + 1);
    }
    qvl_progress_end(&progress);
    return status;
}

/* The cases of the options: one by its whole line, or the built-in ones that the filters leave. */
static enum qvl_status choose_cases(const struct qvl_verify_options *options, struct qvl_case **cases,
                                    int64_t *count, struct qvl_error *error)
{
    struct qvl_error ignored;
    struct qvl_case one;
    if (options->text && strchr(options->text, '=') &&
        qvl_case_parse(options->text, &one, &ignored) == QVL_OK) {
        if (options->has_seed)
            one.seed = (uint64_t)options->seed;
        if (options->session.has_dtype)
            one.dtype = options->session.dtype;
        if (!(*cases = malloc(sizeof **cases)))
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for a case");
        **cases = one;
        *count = 1;
        return QVL_OK;
    }
    const struct qvl_case_filter filter = {.op = options->op,
                                           .text = options->text,
                                           .has_dtype = options->session.has_dtype,
                                           .dtype = options->session.dtype,
                                           .has_seed = options->has_seed,
                                           .seed = (uint64_t)options->seed};
    QVL_TRY(qvl_cases(&filter, cases, count, error));
    if (*count > 0)
        return QVL_OK;
    free(*cases);
    *cases = NULL;
    return qvl_fail(error, QVL_USAGE, "no case is left by these options; `verify --list` prints all");
}

static enum qvl_status list_cases(const struct qvl_case *cases, int64_t count, struct qvl_error *error)
{
    for (int64_t i = 0; i < count; i++) {
        char line[QVL_CASE_LINE_BYTES + 1];
        qvl_case_print(&cases[i], line);
        strcat(line, "\n");
        QVL_TRY(qvl_output_print(line, strlen(line), error));
    }
    return QVL_OK;
}

enum qvl_status qvl_verb_verify_ops(const struct qvl_verify_options *options, struct qvl_report *report,
                                    struct qvl_error *error)
{
    const struct qvl_backend_options backend_options = {.threads = options->session.threads};
    struct qvl_opened_backend reference = {0};
    struct qvl_opened_backend candidate = {0};
    struct qvl_case_context context = {.threads = options->session.threads,
                                       .backend = options->session.backend};
    struct qvl_case *cases = NULL;
    int64_t count = 0;
    QVL_TRY(choose_cases(options, &cases, &count, error));
    if (options->list) {
        const enum qvl_status status = list_cases(cases, count, error);
        free(cases);
        return status;
    }
    struct op_summary *summaries = calloc((size_t)qvl_verify_op_count(), sizeof *summaries);
    enum qvl_status status = summaries ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for summaries");
    if (status == QVL_OK)
        status = qvl_backend_open_named("ref", NULL, &reference, error);
    if (status == QVL_OK)
        status = qvl_backend_open_named(options->session.backend, &backend_options, &candidate, error);
    if (status == QVL_OK)
        status = qvl_backend_find(options->session.backend, &context.open, error);
    if (status == QVL_OK) {
        context.reference = reference.backend;
        context.candidate = candidate.backend;
        status = run_cases(cases, count, &context, summaries, report, error);
    }
    if (status == QVL_OK)
        status = summary_records(summaries, report, error);
    qvl_backend_close_named(&candidate);
    qvl_backend_close_named(&reference);
    free(summaries);
    free(cases);
    return status;
}
