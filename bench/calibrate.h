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

/* One forward call: medians over its repeats. */
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
    int repeats;       /* rounds over all calls; a single row is called four times in each */
    uint64_t seed;
};

QVL_MUST_USE enum qvl_status qvl_calibrate(struct qvl_model *model, struct qvl_backend *backend,
                                           const struct qvl_calibration_options *options,
                                           struct qvl_calibration *calibration, struct qvl_error *error);

/* From the points alone: the lines. QVL_USAGE when the points do not determine them. */
QVL_MUST_USE enum qvl_status qvl_calibration_fit(struct qvl_calibration *calibration,
                                                 struct qvl_error *error);

/* The mean of two calibrations of the same calls, before and after what is to be predicted: a machine that
 * others disturb is not the same twice. QVL_USAGE when they are not of the same calls. */
QVL_MUST_USE enum qvl_status qvl_calibration_join(struct qvl_calibration *calibration,
                                                  const struct qvl_calibration *other,
                                                  struct qvl_error *error);

struct qvl_prediction {
    double seconds;
    double by_class[QVL_CALL_CLASSES];
};

/* A prefill of `tokens` up to its logits; one decode step behind `context` tokens. */
struct qvl_prediction qvl_predict_prefill(const struct qvl_calibration *calibration, int64_t tokens);
struct qvl_prediction qvl_predict_decode(const struct qvl_calibration *calibration, int64_t context);

#endif
