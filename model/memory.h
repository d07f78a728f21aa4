/* How much memory a run of the model needs, and whether it is there. */
#ifndef QVL_MODEL_MEMORY_H
#define QVL_MODEL_MEMORY_H

#include "model/config.h"

struct qvl_memory_request {
    enum qvl_dtype weights;  /* type the weights are kept in */
    enum qvl_dtype storage;  /* type of activations and KV cache */
    int64_t context;         /* cache rows of all sequences together */
    int64_t chunk;           /* most rows in one prefill call */
    int64_t patches;         /* vision patches of all images and videos; 0: text only */
    int64_t patches_at_once; /* most that pass the tower together; 0: all */
    int64_t logits;          /* rows of logits made by one call */
};

/* Bytes, with the scratch tensors of the model (model/workspace.h), which all stay between calls. H, D text
 * and vision width, q = heads*d, kv = kv_heads*d, F, Fm MLP widths, E experts, k chosen, w bytes of storage:
 * cache        2 * layers * kv * w a context row
 * activations  (2H + 2q + 2kv + d) w a chunk row, with 2F w if a layer is dense and
 *              (E + k (1 + H + 3 Fm)) w + 4k if a layer is MoE;
 *              (6D + I) w + 4 d_vision + 4 C*T*P*P a patch in the tower;
 *              (1 + deepstack) H w / merge^2 + 4 C*T*P*P a patch of the prompt
 * logits       vocab * (4 + w) a row */
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
