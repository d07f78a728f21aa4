#include "cli/latency_predict.h"

#include "bench/calibrate.h"
#include "bench/latency.h"

static const char *const classes[QVL_CALL_CLASSES] = {"products", "attention", "head", "rest"};

static enum qvl_status take_points(const struct qvl_latency_run *run,
                                   const struct qvl_calibration *calibration, struct qvl_error *error)
{
    for (int i = 0; i < calibration->count; i++) {
        const struct qvl_calibration_point *point = &calibration->points[i];
        char name[96];
        snprintf(name, sizeof name, "%s %lld rows behind %lld", run->backend.backend->name,
                 (long long)point->rows, (long long)point->depth);
        struct qvl_record *record = qvl_record_create("calibration", name, QVL_CASE_NONE);
        qvl_record_int(record, "rows", point->rows, "token", QVL_FROM_SETTING);
        qvl_record_int(record, "depth", point->depth, "token", QVL_FROM_SETTING);
        for (int class = 0; class < QVL_CALL_CLASSES; class ++)
            qvl_record_real(record, classes[class], point->seconds[class], "s", QVL_FROM_MEASURED);
        qvl_record_real(record, "call", point->total, "s", QVL_FROM_MEASURED);
        QVL_TRY(qvl_report_take(run->report, record, error));
    }
    return QVL_OK;
}

static void put(struct qvl_record *record, const char *what, const struct qvl_prediction *predicted,
                const struct qvl_samples *measured)
{
    char field[48];
    snprintf(field, sizeof field, "%s_predicted", what);
    qvl_record_real(record, field, predicted->seconds, "s", QVL_FROM_MODELLED);
    snprintf(field, sizeof field, "%s_measured", what);
    qvl_record_real(record, field, measured->median, "s", QVL_FROM_MEASURED);
    snprintf(field, sizeof field, "%s_difference", what);
    qvl_record_real(record, field, predicted->seconds / measured->median - 1, "1", QVL_FROM_MEASURED);
    for (int class = 0; class < QVL_CALL_CLASSES; class ++) {
        snprintf(field, sizeof field, "%s_%s", what, classes[class]);
        qvl_record_real(record, field, predicted->by_class[class], "s", QVL_FROM_MODELLED);
        qvl_record_detail(record);
    }
    snprintf(field, sizeof field, "%s_samples", what);
    qvl_record_reals(record, field, measured->values, measured->count, "s", QVL_FROM_MEASURED);
    qvl_record_detail(record);
}

static enum qvl_status take_prediction(const struct qvl_latency_run *run,
                                       const struct qvl_calibration *calibration,
                                       const struct qvl_latency_point *point, struct qvl_error *error)
{
    const struct qvl_prediction prefill = qvl_predict_prefill(calibration, point->context);
    /* the middle of the steps that were timed */
    const struct qvl_prediction decode =
        qvl_predict_decode(calibration, point->context + point->decode.count / 2);
    char name[96];
    snprintf(name, sizeof name, "%s %lld", run->backend.backend->name, (long long)point->context);
    struct qvl_record *record = qvl_record_create("prediction", name, QVL_CASE_NONE);
    qvl_record_int(record, "context", point->context, "token", QVL_FROM_SETTING);
    put(record, "prefill", &prefill, &point->prefill);
    if (point->decode.count > 0)
        put(record, "decode", &decode, &point->decode);
    return qvl_report_take(run->report, record, error);
}

static void show(void *context, int64_t done, int64_t total)
{
    struct qvl_progress *progress = context;
    progress->total = total;
    qvl_progress_update(progress, done);
}

/* Two depths that lie among the contexts and are none of them. */
static void choose_depths(const int64_t *contexts, int64_t count, int64_t depths[2])
{
    int64_t least = contexts[0], most = contexts[0];
    for (int64_t i = 1; i < count; i++) {
        least = contexts[i] < least ? contexts[i] : least;
        most = contexts[i] > most ? contexts[i] : most;
    }
    depths[0] = least + least / 2;
    depths[1] = most - most / 4;
    if (depths[1] <= depths[0])
        depths[1] = 2 * depths[0];
    for (int d = 0; d < 2; d++)
        for (int64_t i = 0; i < count; i++)
            depths[d] += contexts[i] == depths[d];
}

enum qvl_status qvl_latency_predict_report(struct qvl_latency_run *run, const int64_t *contexts,
                                           int64_t count, struct qvl_error *error)
{
    struct qvl_calibration_options options = {
        .chunk = run->session.chunk, .repeats = (int)run->repeats, .seed = (uint64_t)run->seed};
    const struct qvl_latency_options latency = {.chunk = run->session.chunk,
                                                .decode_steps = run->decode_steps,
                                                .repeats = (int)run->repeats,
                                                .seed = (uint64_t)run->seed,
                                                .progress = show,
                                                .context = &run->progress};
    struct qvl_latency_point points[QVL_LATENCY_MAX_CONTEXTS];
    struct qvl_calibration calibration, after;
    struct qvl_model *model;
    int64_t done = 0;
    if (count == 0)
        return QVL_OK;
    choose_depths(contexts, count, options.depths);
    QVL_TRY(qvl_latency_whole(run, &model, error));
    QVL_TRY(qvl_calibrate(model, run->backend.backend, &options, &calibration, error));
    qvl_progress_begin(&run->progress, "measured", "token", 0);
    enum qvl_status status = qvl_latency_measure(model, contexts, count, &latency, points, &done, error);
    qvl_progress_end(&run->progress);
    if (status == QVL_OK)
        status = qvl_calibrate(model, run->backend.backend, &options, &after, error);
    if (status == QVL_OK)
        status = qvl_calibration_join(&calibration, &after, error);
    if (status == QVL_OK)
        status = take_points(run, &calibration, error);
    for (int64_t i = 0; i < done; i++) {
        if (status == QVL_OK)
            status = take_prediction(run, &calibration, &points[i], error);
        qvl_latency_point_free(&points[i]);
    }
    return status;
}
