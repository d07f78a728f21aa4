/* Training cost and parameter counts as records. */
#ifndef QVL_BENCH_TRAINING_RECORDS_H
#define QVL_BENCH_TRAINING_RECORDS_H

#include "bench/training.h"
#include "qvl/record.h"

#define QVL_TRAINING_MAX_SHARES 8

struct qvl_training_request {
    int64_t shares[QVL_TRAINING_MAX_SHARES]; /* visual tokens of 100 */
    int64_t share_count;
    const char *device;
    double peak;        /* FLOP/s of the device in bf16 */
    double utilisation; /* of the peak, 0 to 1 */
};

/* For each stage a record "training" named "MODEL S1", then "MODEL all stages": tokens, sequence length,
 * total FLOPs and device hours at each share, and at the first share the parts, the share of attention scores
 * and the ratio to 6 FLOPs for each active parameter of the language model and token. All modelled. */
QVL_MUST_USE enum qvl_status qvl_training_report(const char *model, const struct qvl_model_config *config,
                                                 const struct qvl_training_request *request,
                                                 struct qvl_report *report, struct qvl_error *error);

/* The "workload" record and notes that state every assumption. */
QVL_MUST_USE enum qvl_status qvl_training_preamble(const struct qvl_training_request *request,
                                                   struct qvl_report *report, struct qvl_error *error);

/* A record "parameter_parts" of where the parameters are, and records "parameters" named "MODEL total", ...:
 * ways of counting them and what a token uses of them, each beside the figure in the name (published), which
 * `title` has as "Qwen3-VL-235B-A22B". */
QVL_MUST_USE enum qvl_status qvl_parameters_report(const char *model, const char *title,
                                                   const struct qvl_model_config *config,
                                                   struct qvl_report *report, struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_parameters_preamble(struct qvl_report *report, struct qvl_error *error);

#endif
