#include "cli/latency_spots.h"

#include "cli/latency_trial.h"

/* Layers whose calls are looked at in a forward call: of the 28 of a 2B model a second's work. */
#define LAYERS 8.0

static void tell(void *context, bool begin)
{
    const struct qvl_latency_run *run = context;
    const double layers = (double)run->config.text.layers;
    const double share = run->whole && layers > LAYERS ? LAYERS / layers : 1; /* sampled: there are few */
    qvl_spot_check_watch(run->spots, begin ? share : 0);
}

enum qvl_status qvl_latency_spots_open(struct qvl_latency_run *run, struct qvl_error *error)
{
    QVL_TRY(
        qvl_spot_check_open(run->backend.backend, run->reference, (uint64_t)run->seed, &run->spots, error));
    run->watch = (struct qvl_latency_watch){.tell = tell, .context = run};
    return QVL_OK;
}

enum qvl_status qvl_latency_spots_report(struct qvl_latency_run *run, struct qvl_error *error)
{
    static const char why[] = "calls like the timed ones, made once more, did not compute what they should";
    if (!run->spots)
        return QVL_OK;
    const struct qvl_spot_result result = qvl_spot_check_result(run->spots);
    const bool good = !*result.message;
    struct qvl_record *record =
        qvl_record_create("spot_check", run->name, good ? QVL_CASE_NONE : QVL_CASE_FAILED);
    qvl_record_int(record, "rows", result.rows, NULL, QVL_FROM_MEASURED);
    if (result.unseen)
        qvl_record_int(record, "calls_not_seen", result.unseen, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "worst_nmse", result.worst, "1", QVL_FROM_MEASURED);
    if (result.worst_entry)
        qvl_record_text(record, "worst_entry", result.worst_entry, QVL_FROM_MEASURED);
    if (!good) {
        qvl_record_text(record, "reason", result.message, QVL_FROM_MEASURED);
        qvl_latency_distrust(run, QVL_CASE_FAILED, why);
    }
    return qvl_report_take(run->report, record, error);
}

void qvl_latency_spots_close(struct qvl_latency_run *run)
{
    qvl_spot_check_close(run->spots);
    run->spots = NULL;
}
