/* The arithmetic of latency by sampling: from times of some layers and some prefill chunks to those of a
 * whole model and a whole prompt. No clock and no model in here. */
#ifndef QVL_BENCH_SAMPLING_H
#define QVL_BENCH_SAMPLING_H

#include "model/sample.h"

#define QVL_SAMPLING_MAX_DEPTHS 128

/* Decoder layers come in two kinds, dense and with experts; those of one kind cost the same. */
enum { QVL_LAYER_DENSE, QVL_LAYER_MOE, QVL_LAYER_KINDS };

int64_t qvl_sampling_layer_count(const struct qvl_text_config *text, int kind);

/* Seconds of all layers of `whole` from those of the layers of `part`, seconds[l] for layer l of the part:
 * sum over kinds of count * mean. */
double qvl_sampling_layers(const struct qvl_text_config *whole, const struct qvl_text_config *part,
                           const double *seconds);

/* A chunk of `rows` at a depth from one of `part` rows there: what the depth adds is attention, and that is
 * proportional to the rows. `zero` is the whole chunk at depth 0, `part_zero` the part there. */
double qvl_sampling_widen(double zero, double part_zero, double part_seconds, int64_t rows, int64_t part);

/* Rows to time in place of a chunk of `rows`: a quarter, at depths of sixteen chunks and more, where a whole
 * one is all attention and takes minutes. */
int64_t qvl_sampling_rows(int64_t rows, int64_t depth);

/* The time of one prefill chunk of the whole model behind `depth` tokens. */
struct qvl_depth_point {
    int64_t depth;
    double seconds;
    double error; /* standard error of it */
};

struct qvl_prefill_estimate {
    double seconds;
    double error;            /* repeat_error + shape_error */
    double repeat_error;     /* from those of the points, taken as fully correlated */
    double shape_error;      /* difference to the straight line; 0 with fewer than three points */
    double intercept, slope; /* the line: seconds of a chunk at depth 0, and more for each token */
    double residual;         /* largest |line - point| / point */
    int64_t points;          /* those within the prompt */
};

/* Prefill of `context` tokens in chunks of `chunk` from points at ascending, different depths. The time of a
 * chunk is linear in its depth (the scores of attention; all else is constant): between two points the
 * straight line through them is summed over the chunks. Least squares over all points within the prompt
 * (relative residuals) gives the second opinion. A last chunk of r tokens takes r / chunk of the time of a
 * whole one whose middle lies at the same depth. */
void qvl_sampling_prefill(const struct qvl_depth_point *points, int64_t count, int64_t context, int64_t chunk,
                          struct qvl_prefill_estimate *estimate);

/* Which layers to sample for a cache of `rows` tokens. */
struct qvl_sampling_request {
    enum qvl_dtype storage;
    int64_t rows;        /* of the cache */
    int64_t chunk;       /* rows of one call */
    int64_t layers;      /* of each kind; 0: as many as the cache of the machine demands */
    int64_t cache_bytes; /* last-level cache */
    int64_t available;   /* bytes; < 0: unknown */
};

struct qvl_sampling_plan {
    struct qvl_model_part part;
    int64_t working_set; /* bytes that the layers read in one decode step: twice the cache and more is cold */
    int64_t needed;      /* bytes of memory, of the part; of the smallest part when nothing fits */
    bool fits;
};

/* As few layers of each kind as read twice the last-level cache in a decode step (weights it touches, keys
 * and values), as far as half of the memory holds them, spread over the model; one always. The head does not
 * count: it is read once and need not displace anything (measured, docs/COST.md). */
void qvl_sampling_plan(const struct qvl_model_config *config, const struct qvl_sampling_request *request,
                       struct qvl_sampling_plan *plan);

#endif
