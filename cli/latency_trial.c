#include "cli/latency_trial.h"

#include "bench/flops.h"
#include "cli/timed_case.h"
#include "cli/timed_shapes.h"
#include "ref/ref.h"

enum { CALLS = 6 };

/* Weights of a case that are made and judged in less than a second. */
#define MOST_WEIGHTS (16 << 20)

struct trial {
    struct qvl_timing timing;
    int64_t cases, passed, unsupported;
    char line[QVL_CASE_LINE_BYTES]; /* the first that did not pass */
    struct qvl_timed_result bad;
};

/* The host's limits bound what runs on the host: the built-in backends. */
static bool on_host(const struct qvl_latency_run *run)
{
    return run->backend.library == NULL;
}

static bool wanted(const struct qvl_case *chosen)
{
    static const char *const vision[] = {"patch_embed", "pos_interp",       "vision_rope_table",
                                         "layer_norm",  "vision_attention", "gelu",
                                         "merger",      "scatter_rows",     "add_rows"};
    const char *op = qvl_verify_name(chosen->check);
    const double bytes = (double)qvl_dtype_bytes(chosen->dtype);
    for (size_t i = 0; i < sizeof vision / sizeof *vision; i++)
        if (strcmp(op, vision[i]) == 0)
            return false;
    if (strcmp(op, "linear") == 0)
        return (double)chosen->numbers[1] * (double)chosen->numbers[2] * bytes <= MOST_WEIGHTS;
    return strcmp(op, "output_head") != 0 && strcmp(op, "embed") != 0 && strcmp(op, "moe_experts") != 0;
}

static void run_case(struct trial *trial, const struct qvl_case *chosen)
{
    struct qvl_timed_case timed = {.chosen = *chosen, .timing = &trial->timing};
    struct qvl_timed_result result;
    double seconds;
    const char *why = qvl_timed_begin(&timed);
    for (int i = 0; i < CALLS && !why; i++)
        why = qvl_timed_iterate(&timed, &seconds);
    qvl_timed_end(&timed, &result);
    qvl_timed_close(&timed);
    trial->cases++;
    trial->passed += result.status == QVL_CASE_PASSED;
    trial->unsupported += result.status == QVL_CASE_UNSUPPORTED;
    if (result.status == QVL_CASE_PASSED || result.status == QVL_CASE_UNSUPPORTED || *trial->line)
        return;
    trial->bad = result;
    qvl_case_print(chosen, trial->line);
}

static enum qvl_status take(const struct trial *trial, struct qvl_latency_run *run, struct qvl_error *error)
{
    const bool good = !*trial->line;
    char repro[512];
    struct qvl_record *record =
        qvl_record_create("trial", run->backend.backend->name, good ? QVL_CASE_NONE : trial->bad.status);
    qvl_record_int(record, "cases", trial->cases, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "passed", trial->passed, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "unsupported", trial->unsupported, NULL, QVL_FROM_MEASURED);
    if (!good) {
        snprintf(repro, sizeof repro, "qvl-bench --backend=%s --case='%s'", run->session.backend,
                 trial->line);
        qvl_record_text(record, "reason", trial->bad.message, QVL_FROM_MEASURED);
        qvl_record_text(record, "repro", repro, QVL_FROM_SETTING);
    }
    QVL_TRY(qvl_report_take(run->report, record, error));
    return good ? QVL_OK
                : qvl_report_omit(run->report, "latency",
                                  "the backend's entries did not pass the trial that comes before timing",
                                  error);
}

static enum qvl_status run_all(struct trial *trial, struct qvl_latency_run *run, struct qvl_error *error)
{
    struct qvl_case cases[QVL_TIMED_SHAPES];
    int count;
    QVL_TRY(qvl_timed_shapes(run->model_name ? run->model_name : "", &run->config, run->storage, cases,
                             &count, error));
    qvl_progress_begin(&run->progress, "trial", "case", count);
    for (int i = 0; i < count; i++) {
        if (wanted(&cases[i]))
            run_case(trial, &cases[i]);
        qvl_progress_update(&run->progress, i + 1);
    }
    qvl_progress_end(&run->progress);
    return take(trial, run, error);
}

enum qvl_status qvl_latency_trial(struct qvl_latency_run *run, struct qvl_limits *limits, bool *trusted,
                                  struct qvl_error *error)
{
    const struct qvl_limits_options host = {.seconds = 0.05, .host = on_host(run)};
    struct trial trial = {.timing = {.candidate = run->backend.backend, .limits = limits}};
    *trusted = false;
    QVL_TRY(qvl_limits_measure(NULL, &host, limits, error));
    QVL_TRY(qvl_ref_open(NULL, &trial.timing.reference, error));
    const enum qvl_status status = run_all(&trial, run, error);
    trial.timing.reference->close(trial.timing.reference);
    *trusted = !*trial.line;
    return status;
}

/* ---- after ---- */

static double value_of(const struct qvl_record *record, const char *name)
{
    const struct qvl_field *field = qvl_record_find(record, name);
    return !field ? 0 : field->type == QVL_FIELD_INT ? (double)field->value.integer : field->value.real;
}

/* Bytes that a decode step behind `context` tokens moves at least. */
static double decode_bytes(const struct qvl_latency_run *run, int64_t context)
{
    const struct qvl_flops_workload workload = {
        .batch = 1, .cached = context, .tokens = 1, .logits = 1, .storage = run->storage};
    struct qvl_flops flops;
    struct qvl_error ignored;
    return qvl_flops_count(&run->config, &workload, &flops, &ignored) == QVL_OK ? qvl_flops_bytes(&flops) : 0;
}

static void gate(const struct qvl_latency_run *run, const struct qvl_limits *limits,
                 struct qvl_record *record)
{
    const struct qvl_roofline roofline =
        qvl_roofline_of_host(limits, run->storage, run->backend.backend->math.tf32);
    const double prefill = value_of(record, "prefill_median"), decode = value_of(record, "decode_median");
    const struct qvl_work prompt = {.flops = value_of(record, "prefill_flop_rate") * prefill};
    const struct qvl_work step = {.bytes = decode_bytes(run, (int64_t)value_of(record, "context"))};
    char reason[256] = "";
    if (prefill > 0) {
        qvl_record_real(record, "prefill_of_peak", prompt.flops / prefill / roofline.flops, "1",
                        QVL_FROM_MEASURED);
        qvl_physics_possible(&roofline, &prompt, prefill, reason, sizeof reason);
    }
    if (decode > 0) {
        qvl_record_real(record, "decode_of_bandwidth", step.bytes / decode / roofline.memory, "1",
                        QVL_FROM_MEASURED);
        if (!*reason)
            qvl_physics_possible(&roofline, &step, decode, reason, sizeof reason);
    }
    if (*reason && record->status == QVL_CASE_PASSED) {
        record->status = QVL_CASE_INVALID;
        qvl_record_text(record, "reason", reason, QVL_FROM_MEASURED);
    }
}

void qvl_latency_gate(const struct qvl_latency_run *run, const struct qvl_limits *limits,
                      struct qvl_report *report)
{
    for (int64_t i = 0; on_host(run) && !run->cpu_clock && i < report->record_count; i++)
        if (strcmp(report->records[i]->kind, "latency") == 0)
            gate(run, limits, report->records[i]);
}
