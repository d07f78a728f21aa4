/* A prompt run on a counting backend, beside the formulas, as records. */
#ifndef QVL_BENCH_COUNTING_RECORDS_H
#define QVL_BENCH_COUNTING_RECORDS_H

#include "bench/counting.h"
#include "model/model.h"
#include "qvl/record.h"

struct qvl_counting_request {
    struct qvl_backend *backend; /* the counting one, which `model` was loaded on */
    struct qvl_model *model;
    enum qvl_dtype storage;
    const struct qvl_prompt *prompt;
    int64_t chunk;  /* prompt tokens of one forward call; 0: QVL_DEFAULT_CHUNK */
    int64_t decode; /* tokens to decode behind the prompt, the most probable each; may be 0 */
};

/* Run it and append records of kind "counted_vision" (when there are media), "counted_prefill" and
 * "counted_decode": one a stage, and "matrix products", their sum. Fields: FLOPs and bytes as counted
 * (measured) and by formula (modelled), and their difference; FAILED where they differ. The formula takes the
 * touched experts from the count. QVL_BAD_INPUT when the prompt does not fit the model. */
QVL_MUST_USE enum qvl_status qvl_counting_report(const struct qvl_counting_request *request,
                                                 struct qvl_report *report, struct qvl_error *error);

#endif
