#include "cli/stage_records.h"

static struct qvl_record *make_record(const struct qvl_stage_result *result, const char *label,
                                      const char *repro, enum qvl_dtype storage)
{
    char name[256];
    snprintf(name, sizeof name, "%s %s", label, result->name);
    struct qvl_record *record = qvl_record_create("stage", name, result->status);
    qvl_record_text(record, "stage", result->name, QVL_FROM_SETTING);
    qvl_record_text(record, "dtype", qvl_dtype_name(storage), QVL_FROM_SETTING);
    qvl_record_int(record, "rows", result->rows, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "width", result->width, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "largest", result->largest, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "error", result->error, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "tolerance", result->tolerance, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "margin", result->margin, "1", QVL_FROM_MEASURED);
    qvl_record_int(record, "worst_row", result->row, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "worst_column", result->column, NULL, QVL_FROM_MEASURED);
    if (result->status == QVL_CASE_FAILED)
        qvl_record_text(record, "repro", repro, QVL_FROM_SETTING);
    return record;
}

static void summarise(const struct qvl_stage_result *results, int64_t count,
                      struct qvl_stage_summary *summary)
{
    *summary = (struct qvl_stage_summary){.stages = count};
    for (int64_t i = 0; i < count; i++) {
        const bool failed = results[i].status != QVL_CASE_PASSED;
        if (failed && summary->failed++ == 0)
            snprintf(summary->first_failure, sizeof summary->first_failure, "%s", results[i].name);
        if (i == 0 || results[i].margin > summary->worst_margin) {
            summary->worst_margin = results[i].margin;
            snprintf(summary->worst, sizeof summary->worst, "%s", results[i].name);
        }
    }
}

enum qvl_status qvl_stage_report(const char *folder, const struct qvl_prompt *prompt,
                                 qvl_backend_open_fn *reference, qvl_backend_open_fn *candidate,
                                 const struct qvl_stage_options *options, const char *label,
                                 const char *repro, struct qvl_report *report,
                                 struct qvl_stage_summary *summary, struct qvl_error *error)
{
    struct qvl_stage_result *results = NULL;
    int64_t count = 0;
    QVL_TRY(qvl_verify_stages(folder, prompt, reference, candidate, options, &results, &count, error));
    summarise(results, count, summary);
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < count && status == QVL_OK; i++)
        status = qvl_report_take(report, make_record(&results[i], label, repro, options->storage), error);
    free(results);
    return status;
}
