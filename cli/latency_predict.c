#include "cli/latency_predict.h"

#include <stdlib.h>

#include "bench/calibrate.h"
#include "bench/latency.h"

static const char *const classes[QVL_CALL_CLASSES] = {"products", "attention", "head", "rest"};

static enum qvl_status take_points(const struct qvl_latency_run *run,
                                   const struct qvl_calibration *calibration, struct qvl_error *error)
{
    for (int i = 0; i < calibration->count; i++) {
        const struct qvl_calibration_point *point = &calibration->points[i];
        char name[96];
        snprintf(name, sizeof name, "%s %lld rows behind %lld", run->name, (long long)point->rows,
                 (long long)point->depth);
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
    snprintf(name, sizeof name, "%s %lld", run->name, (long long)point->context);
    struct qvl_record *record = qvl_record_create("prediction", name, QVL_CASE_NONE);
    qvl_record_int(record, "context", point->context, "token", QVL_FROM_SETTING);
    put(record, "prefill", &prefill, &point->prefill);
    if (point->decode.count > 0)
        put(record, "decode", &decode, &point->decode);
    return qvl_report_take(run->report, record, error);
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

/* What is measured of each context: the samples of all rounds. */
struct measured {
    struct qvl_latency_point points[QVL_LATENCY_MAX_CONTEXTS];
    const int64_t *contexts;
    int64_t count, longest;
};

/* Prefills of a context in a round: four where they are short. */
static int prefills(const struct measured *measured, int64_t i)
{
    return 4 * measured->contexts[i] <= measured->longest ? 4 : 1;
}

static enum qvl_status open_measured(const struct qvl_latency_run *run, struct measured *measured,
                                     struct qvl_error *error)
{
    for (int64_t i = 0; i < measured->count; i++)
        measured->longest =
            measured->contexts[i] > measured->longest ? measured->contexts[i] : measured->longest;
    for (int64_t i = 0; i < measured->count; i++) {
        struct qvl_latency_point *point = &measured->points[i];
        point->context = measured->contexts[i];
        point->prefill.values = calloc((size_t)(run->repeats * prefills(measured, i)), sizeof(double));
        point->decode.values = calloc((size_t)(run->repeats * run->decode_steps + 1), sizeof(double));
        if (!point->prefill.values || !point->decode.values)
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for timings");
    }
    return QVL_OK;
}

static void append(struct qvl_samples *all, const struct qvl_samples *some)
{
    for (int64_t i = 0; i < some->count; i++)
        all->values[all->count++] = some->values[i];
}

static enum qvl_status measure_round(const struct qvl_latency_run *run, struct qvl_model *model,
                                     int64_t round, struct measured *measured, struct qvl_error *error)
{
    for (int64_t i = 0; i < measured->count; i++) {
        const struct qvl_latency_options options = {.chunk = run->session.chunk,
                                                    .decode_steps = run->decode_steps,
                                                    .repeats = prefills(measured, i),
                                                    .seed = (uint64_t)(run->seed + round)};
        struct qvl_latency_point point;
        int64_t done;
        QVL_TRY(qvl_latency_measure(model, &measured->contexts[i], 1, &options, &point, &done, error));
        append(&measured->points[i].prefill, &point.prefill);
        append(&measured->points[i].decode, &point.decode);
        qvl_latency_point_free(&point);
    }
    return QVL_OK;
}

/* A round of calibration, one of measuring, and so on; calibration comes first and last. */
static enum qvl_status take_turns(struct qvl_latency_run *run, struct qvl_model *model,
                                  struct qvl_calibrator *calibrator, struct measured *measured,
                                  struct qvl_error *error)
{
    enum qvl_status status = qvl_calibrator_round(calibrator, error);
    qvl_progress_begin(&run->progress, "predict", "round", run->repeats);
    for (int64_t round = 0; round < run->repeats && status == QVL_OK; round++) {
        status = measure_round(run, model, round, measured, error);
        if (status == QVL_OK)
            status = qvl_calibrator_round(calibrator, error);
        qvl_progress_update(&run->progress, round + 1);
    }
    qvl_progress_end(&run->progress);
    return status;
}

static enum qvl_status report_all(struct qvl_latency_run *run, struct qvl_calibrator *calibrator,
                                  struct measured *measured, struct qvl_error *error)
{
    struct qvl_calibration calibration;
    QVL_TRY(qvl_calibrator_finish(calibrator, &calibration, error));
    QVL_TRY(take_points(run, &calibration, error));
    for (int64_t i = 0; i < measured->count; i++) {
        QVL_TRY(qvl_samples_summarise(&measured->points[i].prefill, error));
        if (measured->points[i].decode.count > 0)
            QVL_TRY(qvl_samples_summarise(&measured->points[i].decode, error));
        QVL_TRY(take_prediction(run, &calibration, &measured->points[i], error));
    }
    return QVL_OK;
}

enum qvl_status qvl_latency_predict_report(struct qvl_latency_run *run, const int64_t *contexts,
                                           int64_t count, struct qvl_error *error)
{
    struct qvl_calibration_options options = {.chunk = run->session.chunk, .seed = (uint64_t)run->seed};
    struct qvl_calibrator *calibrator = NULL;
    struct qvl_model *model;
    if (count == 0)
        return QVL_OK;
    choose_depths(contexts, count, options.depths);
    QVL_TRY(qvl_latency_whole(run, &model, error));
    struct measured *measured = calloc(1, sizeof *measured);
    if (!measured)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for timings");
    measured->contexts = contexts;
    measured->count = count;
    enum qvl_status status = open_measured(run, measured, error);
    if (status == QVL_OK)
        status = qvl_calibrator_create(model, run->backend.backend, &options, &calibrator, error);
    if (status == QVL_OK)
        status = take_turns(run, model, calibrator, measured, error);
    if (status == QVL_OK)
        status = report_all(run, calibrator, measured, error);
    qvl_calibrator_destroy(calibrator);
    for (int64_t i = 0; i < count; i++)
        qvl_latency_point_free(&measured->points[i]);
    free(measured);
    return status;
}
