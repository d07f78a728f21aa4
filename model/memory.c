#include "model/memory.h"

#include "base/memory.h"

static int64_t chunk_row_bytes(const struct qvl_text_config *text, int64_t width)
{
    const int64_t q = text->heads * text->head_dim, kv = text->kv_heads * text->head_dim;
    bool dense = false, moe = false;
    for (int64_t layer = 0; layer < text->layers; layer++) {
        moe = moe || text->moe_layer[layer];
        dense = dense || !text->moe_layer[layer];
    }
    int64_t bytes = (2 * text->hidden + 2 * q + 2 * kv + text->head_dim) * width;
    if (dense)
        bytes += 2 * text->intermediate * width;
    if (moe) /* the backend's gate, up and product of each chosen expert included */
        bytes += (text->experts + text->experts_per_token * (1 + text->hidden + 3 * text->moe_intermediate)) *
                     width +
                 text->experts_per_token * 4;
    return bytes;
}

static int64_t patch_row_bytes(const struct qvl_vision_config *vision)
{
    return vision->channels * vision->temporal_patch * vision->patch * vision->patch * 4;
}

static int64_t vision_bytes(const struct qvl_vision_config *vision, const struct qvl_memory_request *request,
                            int64_t width)
{
    const int64_t all = request->patches;
    const int64_t at_once =
        request->patches_at_once > 0 && request->patches_at_once < all ? request->patches_at_once : all;
    const int64_t tower =
        (6 * vision->hidden + vision->intermediate) * width + 4 * vision->head_dim + patch_row_bytes(vision);
    const int64_t tokens = all / (vision->merge * vision->merge);
    return at_once * tower + all * patch_row_bytes(vision) +
           tokens * (1 + vision->deepstack_count) * vision->out_hidden * width;
}

struct qvl_memory_estimate qvl_memory_estimate(const struct qvl_model_config *config,
                                               const struct qvl_memory_request *request)
{
    const struct qvl_text_config *text = &config->text;
    const int64_t width = (int64_t)qvl_dtype_bytes(request->storage);
    struct qvl_memory_estimate estimate;
    estimate.weights = qvl_model_count_parameters(config).total * (int64_t)qvl_dtype_bytes(request->weights);
    estimate.cache = 2 * text->layers * text->kv_heads * text->head_dim * request->context * width;
    estimate.activations =
        request->chunk * chunk_row_bytes(text, width) + vision_bytes(&config->vision, request, width);
    estimate.logits = request->logits * text->vocab * (4 + width);
    estimate.total = estimate.weights + estimate.cache + estimate.activations + estimate.logits;
    return estimate;
}

enum qvl_status qvl_memory_check(const struct qvl_memory_estimate *estimate, int64_t available,
                                 struct qvl_error *error)
{
    if (available < 0)
        available = qvl_memory_available();
    if (available < 0 || estimate->total <= available)
        return QVL_OK;
    return qvl_fail(
        error, QVL_NO_MEMORY,
        "not enough memory: needed %lld bytes (weights %lld, cache %lld, activations %lld, logits "
        "%lld), available %lld; shorten the context, or use a smaller model or a larger machine",
        (long long)estimate->total, (long long)estimate->weights, (long long)estimate->cache,
        (long long)estimate->activations, (long long)estimate->logits, (long long)available);
}
