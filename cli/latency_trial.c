#include "cli/latency_trial.h"

#include <stdlib.h>

#include "cli/latency_gate.h"
#include "cli/timed_case.h"
#include "cli/timed_shapes.h"
#include "cli/trial_key.h"
#include "reports/read.h"

enum { CALLS = 6, ATTEMPTS = 3 };

/* A case beyond these is left out: the reference would take seconds for each of its outputs. */
#define MOST_WEIGHTS (64 << 20) /* bytes */
#define MOST_FLOPS 3e8

enum { CASES, PASSED, UNSUPPORTED, COUNTS };
static const char *const count_names[COUNTS] = {"cases", "passed", "unsupported"};

struct trial {
    struct qvl_timing timing;
    uint64_t *inputs; /* of the trust */
    int64_t counts[COUNTS];
    char line[QVL_CASE_LINE_BYTES]; /* the first that did not pass */
    struct qvl_timed_result bad;
};

/* The host's limits bound what runs on the host: the built-in backends. */
static bool on_host(const struct qvl_latency_run *run)
{
    return run->backend.library == NULL;
}

static bool is_vision(const char *op)
{
    static const char *const names[] = {"patch_embed", "pos_interp",       "vision_rope_table",
                                        "layer_norm",  "vision_attention", "gelu",
                                        "merger",      "scatter_rows",     "add_rows"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(op, names[i]) == 0)
            return true;
    return false;
}

static bool wanted(const struct qvl_latency_run *run, const struct qvl_case *chosen)
{
    const bool pictures = run->frame_count > 0 || run->file_count > 0;
    if (!pictures && is_vision(qvl_verify_name(chosen->check)))
        return false;
    return qvl_timed_weights(chosen) * (double)qvl_dtype_bytes(chosen->dtype) <= MOST_WEIGHTS &&
           qvl_timed_flops(chosen) <= MOST_FLOPS;
}

static void time_case(struct trial *trial, const struct qvl_case *chosen, struct qvl_timed_result *result)
{
    struct qvl_timed_case timed = {.chosen = *chosen, .timing = &trial->timing, .calls = *trial->inputs};
    double seconds;
    const char *why = qvl_timed_begin(&timed);
    for (int i = 0; i < CALLS && !why; i++)
        why = qvl_timed_iterate(&timed, &seconds);
    qvl_timed_end(&timed, result);
    *trial->inputs = timed.calls;
    qvl_timed_close(&timed);
}

/* A time that cannot be true must be so again: another program's burst during six calls is no lie of the
 * backend. Wrong outputs are wrong at once. */
static void run_case(struct trial *trial, const struct qvl_case *chosen)
{
    struct qvl_timed_result result;
    int attempts = 0;
    do
        time_case(trial, chosen, &result);
    while (result.status == QVL_CASE_INVALID && ++attempts < ATTEMPTS);
    trial->counts[CASES]++;
    trial->counts[PASSED] += result.status == QVL_CASE_PASSED;
    trial->counts[UNSUPPORTED] += result.status == QVL_CASE_UNSUPPORTED;
    if (result.status == QVL_CASE_PASSED || result.status == QVL_CASE_UNSUPPORTED || *trial->line)
        return;
    trial->bad = result;
    qvl_case_print(chosen, trial->line);
}

static const char *const roofline_names[] = {"limit_flops", "limit_memory", "limit_cache"};

/* What every record of a trial has; key and limits stand in it for those who take the trial over. */
static struct qvl_record *describe(const char *name, enum qvl_case_status status,
                                   const int64_t counts[COUNTS], const struct qvl_latency_trust *trust)
{
    const double limits[] = {trust->roofline.flops, trust->roofline.memory, trust->roofline.cache};
    struct qvl_record *record = qvl_record_create("trial", name, status);
    for (int i = 0; i < COUNTS; i++)
        qvl_record_int(record, count_names[i], counts[i], NULL, QVL_FROM_MEASURED);
    for (int i = 0; i < 3; i++) {
        qvl_record_real(record, roofline_names[i], limits[i], i ? "B/s" : "FLOP/s", QVL_FROM_MEASURED);
        qvl_record_detail(record);
    }
    qvl_record_text(record, "key", trust->key, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    return record;
}

static enum qvl_status take(const struct trial *trial, struct qvl_latency_run *run, const char *name,
                            const struct qvl_latency_trust *trust, struct qvl_error *error)
{
    const bool good = !*trial->line;
    char repro[512];
    struct qvl_record *record =
        describe(name, good ? QVL_CASE_NONE : trial->bad.status, trial->counts, trust);
    if (!good) {
        snprintf(repro, sizeof repro, "qvl-bench --backend=%s --case='%s'", run->session.backend,
                 trial->line);
        qvl_record_text(record, "reason", trial->bad.message, QVL_FROM_MEASURED);
        qvl_record_text(record, "repro", repro, QVL_FROM_SETTING);
    }
    return qvl_report_take(run->report, record, error);
}

static enum qvl_status run_all(struct trial *trial, struct qvl_latency_run *run, struct qvl_error *error)
{
    struct qvl_case cases[QVL_TIMED_SHAPES];
    int count;
    QVL_TRY(qvl_timed_shapes(run->model_name ? run->model_name : "", &run->config, run->storage, cases,
                             &count, error));
    qvl_progress_begin(&run->progress, "trial", "case", count);
    for (int i = 0; i < count; i++) {
        if (wanted(run, &cases[i]))
            run_case(trial, &cases[i]);
        qvl_progress_update(&run->progress, i + 1);
    }
    qvl_progress_end(&run->progress);
    return QVL_OK;
}

/* A trial with a record of that name; *bad is the first case that did not pass, its status NONE without one.
 */
static enum qvl_status try_all(struct qvl_latency_run *run, struct qvl_latency_trust *trust, const char *name,
                               enum qvl_case_status *bad, struct qvl_error *error)
{
    struct trial trial = {
        .timing = {.reference = run->reference, .candidate = run->backend.backend, .limits = &trust->limits},
        .inputs = &trust->inputs};
    QVL_TRY(run_all(&trial, run, error));
    *bad = *trial.line ? trial.bad.status : QVL_CASE_NONE;
    return take(&trial, run, name, trust, error);
}

/* ---- one that was run before ---- */

/* Whether a report says of the backend, before, beside or after its timings, that it did not compute. */
static bool speaks_against(const struct qvl_report *report)
{
    for (int64_t i = 0; i < report->record_count; i++)
        if (report->records[i]->status != QVL_CASE_NONE &&
            (strcmp(report->records[i]->kind, "trial") == 0 ||
             strcmp(report->records[i]->kind, "spot_check") == 0))
            return true;
    return false;
}

/* The trial in a report that passed and holds for the key, or NULL. */
static const struct qvl_record *find_trial(const struct qvl_report *report, const char *key)
{
    if (speaks_against(report))
        return NULL;
    for (int64_t i = 0; i < report->record_count; i++) {
        const struct qvl_field *its = qvl_record_find(report->records[i], "key");
        if (strcmp(report->records[i]->kind, "trial") == 0 && its && its->type == QVL_FIELD_TEXT &&
            strcmp(its->value.text, key) == 0)
            return report->records[i];
    }
    return NULL;
}

static enum qvl_status copy_trial(const struct qvl_record *from, const char *created,
                                  struct qvl_latency_run *run, struct qvl_latency_trust *trust,
                                  struct qvl_error *error)
{
    int64_t counts[COUNTS];
    for (int i = 0; i < COUNTS; i++)
        counts[i] = (int64_t)qvl_record_number(from, count_names[i]);
    trust->roofline = (struct qvl_roofline){.flops = qvl_record_number(from, roofline_names[0]),
                                            .memory = qvl_record_number(from, roofline_names[1]),
                                            .cache = qvl_record_number(from, roofline_names[2])};
    struct qvl_record *record = describe(run->name, QVL_CASE_NONE, counts, trust);
    qvl_record_text(record, "passed_at", created, QVL_FROM_MEASURED);
    return qvl_report_take(run->report, record, error);
}

/* A report that does not serve is no error: the trial is run then. */
static enum qvl_status take_over(const char *path, struct qvl_latency_run *run,
                                 struct qvl_latency_trust *trust, struct qvl_error *error)
{
    struct qvl_saved_report *saved = NULL;
    struct qvl_error ignored;
    if (!path || qvl_report_read(path, &saved, &ignored) != QVL_OK)
        return QVL_OK;
    const struct qvl_record *trial = find_trial(&saved->report, trust->key);
    enum qvl_status status = QVL_OK;
    if (trial)
        status = copy_trial(trial, saved->created, run, trust, error);
    trust->taken_over = trial != NULL;
    qvl_saved_report_destroy(saved);
    return status;
}

enum qvl_status qvl_latency_trial(struct qvl_latency_run *run, struct qvl_latency_trust *trust,
                                  struct qvl_error *error)
{
    const struct qvl_limits_options host = {.seconds = 0.05, .host = on_host(run)};
    enum qvl_case_status bad = QVL_CASE_NONE;
    *trust = (struct qvl_latency_trust){0};
    QVL_TRY(qvl_trial_key(run->backend.library ? run->session.backend : NULL, run->report->workload,
                          trust->key, error));
    QVL_TRY(take_over(getenv(QVL_TRIAL_VARIABLE), run, trust, error));
    trust->trusted = trust->taken_over;
    if (trust->taken_over)
        return QVL_OK;
    QVL_TRY(qvl_limits_measure(NULL, &host, &trust->limits, error));
    trust->roofline = qvl_roofline_of_host(&trust->limits, run->storage, run->backend.backend->math.tf32);
    QVL_TRY(try_all(run, trust, run->name, &bad, error));
    trust->trusted = bad == QVL_CASE_NONE;
    return trust->trusted
               ? QVL_OK
               : qvl_report_omit(run->report, "latency",
                                 "the backend's entries did not pass the trial that comes before timing",
                                 error);
}

/* ---- after ---- */

void qvl_latency_distrust(const struct qvl_latency_run *run, enum qvl_case_status status, const char *reason)
{
    for (int64_t i = run->first_record; i < run->report->record_count; i++) {
        struct qvl_record *record = run->report->records[i];
        if (strncmp(record->kind, "latency", strlen("latency")) != 0 ||
            (record->status != QVL_CASE_PASSED && record->status != QVL_CASE_NONE))
            continue;
        record->status = status;
        qvl_record_text(record, "reason", reason, QVL_FROM_MEASURED);
    }
}

enum qvl_status qvl_latency_try_again(struct qvl_latency_run *run, struct qvl_latency_trust *trust,
                                      struct qvl_error *error)
{
    enum qvl_case_status bad = QVL_CASE_NONE;
    char name[96];
    if (trust->taken_over)
        return QVL_OK;
    snprintf(name, sizeof name, "%s, after the timings", run->name);
    QVL_TRY(try_all(run, trust, name, &bad, error));
    if (bad != QVL_CASE_NONE)
        qvl_latency_distrust(run, bad, "the backend did not pass the trial after the timings");
    return QVL_OK;
}

void qvl_latency_judge(const struct qvl_latency_run *run, const struct qvl_latency_trust *trust)
{
    for (int64_t i = run->first_record; i < run->report->record_count; i++) {
        struct qvl_record *record = run->report->records[i];
        if (on_host(run) && !run->cpu_clock)
            qvl_latency_gate(&run->config, run->storage, &trust->roofline, record);
        const struct qvl_field *broken = qvl_record_find(record, "conditions");
        if (run->strict && strcmp(record->kind, "latency") == 0 && record->status == QVL_CASE_PASSED &&
            broken) {
            record->status = QVL_CASE_INVALID;
            qvl_record_text(record, "reason", broken->value.text, QVL_FROM_MEASURED);
        }
    }
}
