#include "cli/stage_records.h"

/* What surrounds the records of one comparison. */
struct context {
    const struct qvl_stage_report *from;
    const struct qvl_prompt *prompt;
    const struct qvl_stage_options *options;
    const struct qvl_model_config *config;
    const char *label, *repro;
};

static struct qvl_record *begin(const struct context *context, const char *kind, const char *part,
                                enum qvl_case_status status)
{
    char name[256];
    snprintf(name, sizeof name, "%s %s", context->label, part);
    return qvl_record_create(kind, name, status);
}

static void end(const struct context *context, struct qvl_record *record)
{
    if (!record || record->status != QVL_CASE_FAILED)
        return;
    qvl_record_text(record, "repro", context->repro, QVL_FROM_SETTING);
    qvl_record_detail(record);
}

/* Whether failures of the free run are failures. In a mixture of experts a rounding may send a token to
 * another expert, after which its values have no honest bound: there the free run only shows where that
 * happened, as long as every stage is right on right inputs and the logits lie within their envelope. */
static bool free_counts(const struct context *context)
{
    const struct qvl_stage_report *from = context->from;
    if (context->config->text.experts == 0 || from->forced.count == 0 || from->forced.failed > 0 ||
        from->envelope.draws == 0)
        return true;
    for (int metric = 0; metric < QVL_ENVELOPE_METRICS; metric++)
        if (from->envelope.metrics[metric].status != QVL_CASE_PASSED)
            return true;
    return false;
}

static struct qvl_record *stage_record(const struct context *context, const struct qvl_stage_result *free,
                                       const struct qvl_stage_result *forced)
{
    const bool failed = (free->status == QVL_CASE_FAILED && free_counts(context)) ||
                        (forced && forced->status == QVL_CASE_FAILED);
    struct qvl_record *record =
        begin(context, "stage", free->name, failed ? QVL_CASE_FAILED : QVL_CASE_PASSED);
    qvl_record_text(record, "stage", free->name, QVL_FROM_SETTING);
    qvl_record_text(record, "dtype", qvl_dtype_name(context->options->storage), QVL_FROM_SETTING);
    qvl_record_int(record, "rows", free->rows, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "width", free->width, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "largest", free->largest, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "error", free->error, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "tolerance", free->tolerance, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "margin", free->margin, "1", QVL_FROM_MEASURED);
    qvl_record_int(record, "worst_row", free->row, NULL, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    qvl_record_int(record, "worst_column", free->column, NULL, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    if (forced) {
        qvl_record_real(record, "forced_error", forced->error, NULL, QVL_FROM_MEASURED);
        qvl_record_detail(record);
        qvl_record_real(record, "forced_tolerance", forced->tolerance, NULL, QVL_FROM_MEASURED);
        qvl_record_detail(record);
        qvl_record_real(record, "forced_margin", forced->margin, "1", QVL_FROM_MEASURED);
        qvl_record_int(record, "forced_row", forced->row, NULL, QVL_FROM_MEASURED);
        qvl_record_detail(record);
        qvl_record_int(record, "forced_column", forced->column, NULL, QVL_FROM_MEASURED);
        qvl_record_detail(record);
    }
    end(context, record);
    return record;
}

static void optional(struct qvl_record *record, const char *name, int64_t value)
{
    if (value >= 0)
        qvl_record_int(record, name, value, NULL, QVL_FROM_MEASURED);
}

/* The first stage of one run that failed, and its worst element. */
static struct qvl_record *divergence_record(const struct context *context, const struct qvl_stage_run *run,
                                            const char *mode)
{
    const bool counts = run != &context->from->free || free_counts(context);
    struct qvl_record *record =
        begin(context, "divergence", mode, run->failed && counts ? QVL_CASE_FAILED : QVL_CASE_PASSED);
    qvl_record_text(record, "run", mode, QVL_FROM_SETTING);
    qvl_record_int(record, "stages", run->compared, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "failed", run->failed, NULL, QVL_FROM_MEASURED);
    if (run->failed) {
        const struct qvl_stage_result *first = &run->results[run->first];
        struct qvl_stage_place place;
        qvl_stage_locate(first->name, first->first_token + first->row, first->column, context->prompt,
                         context->config, &place);
        qvl_record_text(record, "stage", first->name, QVL_FROM_MEASURED);
        optional(record, "layer", place.layer);
        optional(record, "token", place.token);
        optional(record, "patch", place.patch);
        optional(record, "visual", place.visual);
        optional(record, "t", place.t);
        optional(record, "h", place.h);
        optional(record, "w", place.w);
        qvl_record_int(record, "channel", place.channel, NULL, QVL_FROM_MEASURED);
        optional(record, "head", place.head);
        optional(record, "lane", place.lane);
        qvl_record_real(record, "expected", first->expected, NULL, QVL_FROM_MEASURED);
        qvl_record_real(record, "got", first->got, NULL, QVL_FROM_MEASURED);
        qvl_record_real(record, "tolerance", first->tolerance, NULL, QVL_FROM_MEASURED);
        qvl_record_int(record, "failures", first->failures, NULL, QVL_FROM_MEASURED);
        qvl_record_int(record, "failed_rows", first->failed_rows, NULL, QVL_FROM_MEASURED);
        qvl_record_int(record, "failed_columns", first->failed_columns, NULL, QVL_FROM_MEASURED);
        if (!counts)
            qvl_record_text(
                record, "message",
                "a token may have gone to another expert: every stage is right on right inputs and the "
                "logits lie within their envelope",
                QVL_FROM_MEASURED);
    }
    end(context, record);
    return record;
}

static struct qvl_record *envelope_record(const struct context *context,
                                          const struct qvl_envelope_result *result)
{
    const struct qvl_envelope *envelope = &context->from->envelope;
    struct qvl_record *record = begin(context, "envelope", result->name, result->status);
    qvl_record_text(record, "dtype", qvl_dtype_name(context->options->storage), QVL_FROM_SETTING);
    qvl_record_int(record, "rows", envelope->rows, "token", QVL_FROM_MEASURED);
    qvl_record_int(record, "draws", envelope->draws, NULL, QVL_FROM_SETTING);
    qvl_record_real(record, "smallest", result->smallest, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "median", result->median, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "largest", result->largest, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "value", result->value, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "scaled", result->scaled, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "limit", result->limit, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "draws_at_least", result->at_least, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "p", result->p, "1", QVL_FROM_MEASURED);
    if (result == &envelope->metrics[QVL_ENVELOPE_FLIPS])
        qvl_record_int(record, "unexplained", envelope->unexplained_flips, NULL, QVL_FROM_MEASURED);
    end(context, record);
    return record;
}

static void summarise(const struct context *context, struct qvl_stage_summary *summary)
{
    const struct qvl_stage_run *free = &context->from->free;
    const struct qvl_stage_run *forced = &context->from->forced;
    *summary = (struct qvl_stage_summary){.stages = free->compared};
    for (int64_t i = 0; i < free->count; i++) {
        const bool failed = (free->results[i].status == QVL_CASE_FAILED && free_counts(context)) ||
                            (i < forced->count && forced->results[i].status == QVL_CASE_FAILED);
        if (free->results[i].status == QVL_CASE_SKIPPED)
            continue;
        if (failed && summary->failed++ == 0)
            snprintf(summary->first_failure, sizeof summary->first_failure, "%s", free->results[i].name);
        if (!summary->worst[0] || free->results[i].margin > summary->worst_margin) {
            summary->worst_margin = free->results[i].margin;
            snprintf(summary->worst, sizeof summary->worst, "%s", free->results[i].name);
        }
    }
    for (int metric = 0; context->from->envelope.draws > 0 && metric < QVL_ENVELOPE_METRICS; metric++)
        if (context->from->envelope.metrics[metric].status != QVL_CASE_PASSED && summary->failed++ == 0)
            snprintf(summary->first_failure, sizeof summary->first_failure, "envelope %s",
                     context->from->envelope.metrics[metric].name);
    qvl_divergence_verdict(context->from, context->prompt, context->config, summary->verdict);
}

static enum qvl_status add_records(const struct context *context, struct qvl_report *report,
                                   struct qvl_error *error)
{
    const struct qvl_stage_run *free = &context->from->free;
    const struct qvl_stage_run *forced = &context->from->forced;
    for (int64_t i = 0; i < free->count; i++) {
        const struct qvl_stage_result *led = i < forced->count ? &forced->results[i] : NULL;
        if (free->results[i].status != QVL_CASE_SKIPPED)
            QVL_TRY(qvl_report_take(report, stage_record(context, &free->results[i], led), error));
    }
    QVL_TRY(qvl_report_take(report, divergence_record(context, free, "free"), error));
    if (forced->count)
        QVL_TRY(qvl_report_take(report, divergence_record(context, forced, "forced"), error));
    for (int metric = 0; context->from->envelope.draws > 0 && metric < QVL_ENVELOPE_METRICS; metric++)
        QVL_TRY(qvl_report_take(report, envelope_record(context, &context->from->envelope.metrics[metric]),
                                error));
    return QVL_OK;
}

enum qvl_status qvl_stage_records(const struct qvl_stage_report *from, const char *folder,
                                  const struct qvl_prompt *prompt, const struct qvl_stage_options *options,
                                  const char *label, const char *repro, struct qvl_report *report,
                                  struct qvl_stage_summary *summary, struct qvl_error *error)
{
    struct qvl_model_config config;
    QVL_TRY(qvl_model_config_read(folder, &config, error));
    const struct context context = {.from = from,
                                    .prompt = prompt,
                                    .options = options,
                                    .config = &config,
                                    .label = label,
                                    .repro = repro};
    summarise(&context, summary);
    return add_records(&context, report, error);
}

enum qvl_status qvl_stage_add_records(const char *folder, const struct qvl_prompt *prompt,
                                      qvl_backend_open_fn *reference, qvl_backend_open_fn *candidate,
                                      const struct qvl_stage_options *options, const char *label,
                                      const char *repro, struct qvl_report *report,
                                      struct qvl_stage_summary *summary, struct qvl_error *error)
{
    struct qvl_stage_report made;
    QVL_TRY(qvl_verify_stages(folder, prompt, reference, candidate, options, &made, error));
    const enum qvl_status status =
        qvl_stage_records(&made, folder, prompt, options, label, repro, report, summary, error);
    qvl_stage_report_free(&made);
    return status;
}
