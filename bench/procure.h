/* Records of what a model costs on a device: memory, latency, energy and price by context, the control-rate
 * verdict, and its place on the roofline. Times are modelled (bench/model_time.h), each with its source and
 * the datasheet floor beside it. */
#ifndef QVL_BENCH_PROCURE_H
#define QVL_BENCH_PROCURE_H

#include "bench/control.h"
#include "qvl/record.h"

struct qvl_procure_model {
    const char *name;
    const struct qvl_model_config *config;
    const struct qvl_grid *grids; /* pictures and videos of each prompt */
    int64_t grid_count;
    struct qvl_control_loop loop;
};

struct qvl_procure_device {
    struct qvl_timed_device timed;
    double price; /* of one device for an hour; 0: not given */
};

struct qvl_procure_request {
    const int64_t *contexts; /* tokens, growing */
    int64_t context_count;
    int64_t batch;
    int64_t ways; /* 0: the fewest that hold the model at the context */
    enum qvl_published_type weights, cache;
    const double *rates; /* actions a second */
    int64_t rate_count;
    const char *currency;
};

/* Append, for one model on one device: a "memory" record, a "procure" record a context, a "control" record
 * and "roofline" records of the vision tower, prefill and decode. What the device cannot do is a missing
 * value with the reason, not an error. */
QVL_MUST_USE enum qvl_status qvl_procure_report(const struct qvl_procure_model *model,
                                                const struct qvl_procure_device *device,
                                                const struct qvl_procure_request *request,
                                                struct qvl_report *report, struct qvl_error *error);

/* A "hardware" record of a row of the table, its unverified figures marked. */
struct qvl_record *qvl_hardware_record(const struct qvl_hardware *hardware);

/* Conventions as notes. */
QVL_MUST_USE enum qvl_status qvl_procure_notes(struct qvl_report *report, struct qvl_error *error);

#endif
