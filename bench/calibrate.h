/* A machine calibrated on a model's ops, and what follows for contexts that were not measured.
 *
 * Forward calls of a few row counts at two depths, with a clock in the op table: seconds of the matrix
 * products, of the experts, of attention, of everything else, of the head. From these
 *   products and the rest   seconds by rows, straight between the row counts measured
 *   attention of one row    a + b depth
 *   attention of chunks     a rows + b (pairs of query and key)
 * and with them any prefill in chunks and any decode step. No context that is predicted is run. */
#ifndef QVL_BENCH_CALIBRATE_H
#define QVL_BENCH_CALIBRATE_H

#include "model/model.h"

/* What the seconds of a forward call are divided into. */
enum qvl_call_class {
    QVL_CALL_PRODUCTS,  /* linear, moe_experts */
    QVL_CALL_ATTENTION, /* attention */
    QVL_CALL_HEAD,      /* output_head, and all that one row of logits costs behind it */
    QVL_CALL_REST,      /* other entries, and what the model does between them */
    QVL_CALL_CLASSES
};

/* One forward call: medians over the rounds. */
struct qvl_calibration_point {
    int64_t rows, depth;
    double seconds[QVL_CALL_CLASSES];
    double total;
};

#define QVL_CALIBRATION_POINTS 12

struct qvl_calibration {
    struct qvl_calibration_point points[QVL_CALIBRATION_POINTS]; /* ascending in depth, then in rows */
    int count;
    int64_t chunk;
    double step[2];  /* attention of one row: a, b */
    double piece[2]; /* attention of a chunk: a a row, b a pair */
    double head;     /* s a row of logits */
};

struct qvl_calibration_options {
    int64_t chunk;     /* of prefills; 0: QVL_DEFAULT_CHUNK */
    int64_t depths[2]; /* ascending */
    uint64_t seed;
};

/* Calibration in rounds, so that what is to be predicted can be measured between them: a machine that others
 * disturb is not the same twice, and the disturbance shall meet both. Model and backend are borrowed. */
struct qvl_calibrator;
QVL_MUST_USE enum qvl_status qvl_calibrator_create(struct qvl_model *model, struct qvl_backend *backend,
                                                   const struct qvl_calibration_options *options,
                                                   struct qvl_calibrator **calibrator,
                                                   struct qvl_error *error);
void qvl_calibrator_destroy(struct qvl_calibrator *calibrator); /* NULL is accepted */

/* All calls once, those of a single row four times, each point after a call that is not counted. */
QVL_MUST_USE enum qvl_status qvl_calibrator_round(struct qvl_calibrator *calibrator, struct qvl_error *error);

/* The medians of all rounds so far, and the lines. QVL_USAGE without a round. */
QVL_MUST_USE enum qvl_status qvl_calibrator_finish(struct qvl_calibrator *calibrator,
                                                   struct qvl_calibration *calibration,
                                                   struct qvl_error *error);

/* From the points alone: the lines; that of chunks by least squares of relative residuals. QVL_USAGE when the
 * points do not determine them. */
QVL_MUST_USE enum qvl_status qvl_calibration_fit(struct qvl_calibration *calibration,
                                                 struct qvl_error *error);

struct qvl_prediction {
    double seconds;
    double by_class[QVL_CALL_CLASSES];
};

/* A prefill of `tokens` up to its logits; one decode step behind `context` tokens. */
struct qvl_prediction qvl_predict_prefill(const struct qvl_calibration *calibration, int64_t tokens);
struct qvl_prediction qvl_predict_decode(const struct qvl_calibration *calibration, int64_t context);

#endif
