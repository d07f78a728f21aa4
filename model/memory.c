#include "model/memory.h"

#include "base/memory.h"

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Buffers of one decoder layer for n rows: residual, normed input, q, k, v, attention output, then the MLP.
 */
static int64_t text_elements(const struct qvl_text_config *text, int64_t n)
{
    int64_t q = text->heads * text->head_dim, kv = text->kv_heads * text->head_dim;
    int64_t attention = 2 * q + 2 * kv + text->hidden;
    int64_t dense = 2 * text->intermediate + text->hidden;
    /* router logits, then per chosen expert gate|up, product, output */
    int64_t moe = text->experts + text->experts_per_token * (3 * text->moe_intermediate + text->hidden);
    int64_t mlp = text->experts > 0 ? larger(dense, moe) : dense;
    return n * (2 * text->hidden + text->head_dim + larger(attention, mlp));
}

/* Buffers of one vision block for p patches, and the features that stay until the decoder takes them. */
static int64_t vision_elements(const struct qvl_vision_config *vision, int64_t patches)
{
    int64_t attention = 4 * vision->hidden;
    int64_t mlp = 2 * vision->intermediate;
    int64_t features = (1 + vision->deepstack_count) * vision->out_hidden / (vision->merge * vision->merge);
    return patches * (3 * vision->hidden + larger(attention, mlp) + features);
}

struct qvl_memory_estimate qvl_memory_estimate(const struct qvl_model_config *config,
                                               const struct qvl_memory_request *request)
{
    const struct qvl_text_config *text = &config->text;
    const struct qvl_vision_config *vision = &config->vision;
    const int64_t width = (int64_t)qvl_dtype_bytes(request->storage);
    const int64_t row = vision->channels * vision->temporal_patch * vision->patch * vision->patch;
    struct qvl_memory_estimate estimate;
    estimate.weights = qvl_model_count_parameters(config).total * (int64_t)qvl_dtype_bytes(request->weights);
    estimate.cache = 2 * text->layers * text->kv_heads * text->head_dim * request->context * width;
    /* patch rows are float32 and there once for the caller, the text rows of the visual tokens included */
    estimate.activations =
        (text_elements(text, request->chunk) + vision_elements(vision, request->patches)) * width +
        request->patches * row * 4;
    estimate.logits = request->logits * text->vocab * 4;
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
