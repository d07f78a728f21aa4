/* FLOP and byte counts as records. */
#ifndef QVL_BENCH_FLOPS_RECORDS_H
#define QVL_BENCH_FLOPS_RECORDS_H

#include "bench/flops.h"
#include "qvl/record.h"

struct qvl_flops_request {
    const int64_t *contexts; /* prompt lengths in tokens, visual tokens included */
    int64_t context_count;
    const struct qvl_grid *grids; /* media of each prompt */
    int64_t grid_count;
    int64_t batch;
    enum qvl_dtype storage;
};

/* Append for each context records named "MODEL at CONTEXT":
 *   "flops"   parameters; FLOPs of vision, of the whole prefill, per language token on average, of the last
 * prompt token and in decode; share of attention; sizes of weights and KV cache; bytes moved by a decode step
 *   "prefill_flops", "decode_flops", "prefill_bytes", "decode_bytes"   a field a stage of the language model
 * and, when there are media, records named MODEL:
 *   "vision_flops", "vision_bytes"   visual tokens, and a field a stage of the vision tower and mergers
 * Prefill starts from an empty cache and computes logits for the last token; decode adds one token to each
 * sequence behind `context` cached ones. QVL_USAGE: a context shorter than the visual tokens, and as
 * qvl_flops_count. */
QVL_MUST_USE enum qvl_status qvl_flops_report(const char *model, const struct qvl_model_config *config,
                                              const struct qvl_flops_request *request,
                                              struct qvl_report *report, struct qvl_error *error);

/* Notes that state the conventions, and the "workload" record of the request. */
QVL_MUST_USE enum qvl_status qvl_flops_preamble(const struct qvl_flops_request *request,
                                                struct qvl_report *report, struct qvl_error *error);

/* "8K", "1M", or the plain number when it is no multiple of 1024. */
void qvl_flops_context_label(int64_t context, char label[24]);

#endif
