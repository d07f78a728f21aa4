/* How much memory a run of the model needs, and whether it is there. */
#ifndef QVL_MODEL_MEMORY_H
#define QVL_MODEL_MEMORY_H

#include "model/config.h"

struct qvl_memory_request {
    enum qvl_dtype weights; /* type the weights are kept in */
    enum qvl_dtype storage; /* type of activations and KV cache */
    int64_t context;        /* cache rows of all sequences together */
    int64_t chunk;          /* most rows in one prefill call */
    int64_t patches;        /* most vision patches in one call; 0: text only */
    int64_t logits;         /* rows of float32 logits held at once */
};

/* Bytes. Activations are the largest set of buffers alive at once in a decoder layer or vision block, plus
 * the DeepStack features and patch rows of the call. */
struct qvl_memory_estimate {
    int64_t weights, cache, activations, logits, total;
};

struct qvl_memory_estimate qvl_memory_estimate(const struct qvl_model_config *config,
                                               const struct qvl_memory_request *request);

/* QVL_NO_MEMORY, with needed and available bytes and the parts of the need, when total > available.
 * available < 0 asks the system (base/memory.h); if the system does not say, the check passes. */
QVL_MUST_USE enum qvl_status qvl_memory_check(const struct qvl_memory_estimate *estimate, int64_t available,
                                              struct qvl_error *error);

#endif
