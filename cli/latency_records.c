#include "cli/latency_records.h"

#include <math.h>

#include "bench/flops.h"

static double median_of(const struct qvl_samples *samples, int64_t first, int64_t count)
{
    struct qvl_samples part = {.values = samples->values + first, .count = count};
    return qvl_samples_summarise(&part, NULL) == QVL_OK ? part.median : NAN;
}

void qvl_latency_samples(struct qvl_record *record, const char *name, const struct qvl_samples *samples,
                         enum qvl_provenance provenance)
{
    char field[64];
    const int64_t half = samples->count / 2;
    const struct {
        const char *suffix, *unit;
        double value;
    } figures[] = {
        {"median", "s", samples->median},
        {"mad", "s", samples->mad},
        {"p90", "s", samples->p90},
        {"p99", "s", samples->p99},
        {"min", "s", samples->minimum},
        {"noise", "1", 1.4826 * samples->mad / samples->median},
        {"drift", "1",
         half > 0 ? median_of(samples, samples->count - half, half) / median_of(samples, 0, half) : 1}};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        snprintf(field, sizeof field, "%s_%s", name, figures[i].suffix);
        qvl_record_real(record, field, figures[i].value, figures[i].unit, provenance);
        if (i > 0)
            qvl_record_detail(record);
    }
    snprintf(field, sizeof field, "%s_samples", name);
    qvl_record_reals(record, field, samples->values, samples->count, "s", provenance);
    qvl_record_detail(record);
}

double qvl_latency_prefill_flops(const struct qvl_model_config *config, int64_t tokens)
{
    const struct qvl_flops_workload workload = {
        .batch = 1, .tokens = tokens, .logits = 1, .storage = QVL_BF16};
    struct qvl_flops flops;
    struct qvl_error ignored;
    if (qvl_flops_count(config, &workload, &flops, &ignored) != QVL_OK)
        return 0;
    return (double)qvl_flops_sum(&flops, QVL_FLOPS_MATRIX, false);
}

static void fill(struct qvl_record *record, const struct qvl_model *model,
                 const struct qvl_latency_point *point)
{
    const double tokens = (double)point->context;
    const struct qvl_model_config *config = qvl_model_get_config(model);
    qvl_record_int(record, "context", point->context, "token", QVL_FROM_SETTING);
    qvl_record_text(record, "method", "whole", QVL_FROM_SETTING);
    qvl_latency_samples(record, "prefill", &point->prefill, QVL_FROM_MEASURED);
    qvl_record_real(record, "prefill_rate", tokens / point->prefill.median, "token/s", QVL_FROM_MEASURED);
    qvl_record_real(record, "prefill_flop_rate",
                    qvl_latency_prefill_flops(config, point->context) / point->prefill.median, "FLOP/s",
                    QVL_FROM_MEASURED);
    if (point->decode.count) {
        qvl_latency_samples(record, "decode", &point->decode, QVL_FROM_MEASURED);
        qvl_record_real(record, "decode_rate", 1.0 / point->decode.median, "token/s", QVL_FROM_MEASURED);
    }
    qvl_conditions_record(&point->conditions, false, record);
    record->status = point->finite ? QVL_CASE_PASSED : QVL_CASE_INVALID;
    if (!point->finite)
        qvl_record_text(record, "reason", "a timed call returned logits that are not finite or all equal",
                        QVL_FROM_MEASURED);
}

static enum qvl_status skip(const char *prefix, int64_t context, const char *reason,
                            struct qvl_report *report, struct qvl_error *error)
{
    char name[96];
    snprintf(name, sizeof name, "%s %lld", prefix, (long long)context);
    struct qvl_record *record = qvl_record_create("latency", name, QVL_CASE_SKIPPED);
    qvl_record_int(record, "context", context, "token", QVL_FROM_SETTING);
    qvl_record_text(record, "reason", reason, QVL_FROM_MEASURED);
    return qvl_report_take(report, record, error);
}

/* Skip what the model has no positions for; *count contexts remain in `inside`. */
static enum qvl_status skip_beyond(const struct qvl_model *model, const char *prefix, const int64_t *contexts,
                                   int64_t given, const struct qvl_latency_options *options, int64_t *inside,
                                   int64_t *count, struct qvl_report *report, struct qvl_error *error)
{
    char reason[256];
    *count = 0;
    for (int64_t i = 0; i < given; i++) {
        if (qvl_latency_within(model, contexts[i], options)) {
            inside[(*count)++] = contexts[i];
            continue;
        }
        snprintf(reason, sizeof reason,
                 "%lld tokens and %lld decode steps exceed max_position_embeddings %lld; a config.json with "
                 "YaRN (rope_scaling) reaches further, and --sample times what the shapes cost there",
                 (long long)contexts[i], (long long)options->decode_steps,
                 (long long)qvl_model_get_config(model)->text.max_positions);
        QVL_TRY(skip(prefix, contexts[i], reason, report, error));
    }
    return QVL_OK;
}

enum qvl_status qvl_latency_report(struct qvl_model *model, const char *prefix, const int64_t *contexts,
                                   int64_t given, const struct qvl_latency_options *options,
                                   struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_error reason = {0};
    struct qvl_latency_point points[64];
    int64_t inside[64];
    int64_t done = 0;
    int64_t count;
    if (given > 64)
        return qvl_fail(error, QVL_USAGE, "at most 64 contexts at once");
    QVL_TRY(skip_beyond(model, prefix, contexts, given, options, inside, &count, report, error));
    if (count == 0)
        return QVL_OK;
    contexts = inside;
    enum qvl_status measured = qvl_latency_measure(model, contexts, count, options, points, &done, &reason);
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < done; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s %lld", prefix, (long long)points[i].context);
        struct qvl_record *record = qvl_record_create("latency", name, QVL_CASE_NONE);
        fill(record, model, &points[i]);
        qvl_latency_point_free(&points[i]);
        if (status == QVL_OK)
            status = qvl_report_take(report, record, error);
        else
            qvl_record_destroy(record);
    }
    if (status == QVL_OK && measured != QVL_OK && measured != QVL_NO_MEMORY)
        return qvl_fail(error, measured, "%s", reason.message);
    for (int64_t i = done; i < count && status == QVL_OK; i++)
        status = skip(prefix, contexts[i], reason.message, report, error);
    return status;
}
