#include "model/sample.h"

#include <stdlib.h>

#include "model/engine.h"
#include "model/weights_random.h"

#define FILL_ROWS 1024

void qvl_model_part_config(const struct qvl_model_config *whole, const struct qvl_model_part *part,
                           struct qvl_model_config *config)
{
    *config = *whole;
    config->text.layers = part->layer_count;
    for (int64_t l = 0; l < part->layer_count; l++)
        config->text.moe_layer[l] = whole->text.moe_layer[part->layers[l]];
    struct qvl_vision_config *vision = &config->vision;
    vision->depth = part->vision_blocks;
    if (vision->deepstack_count > vision->depth)
        vision->deepstack_count = vision->depth;
    for (int64_t j = 0; j < vision->deepstack_count; j++)
        vision->deepstack_blocks[j] = j;
}

/* Append the rows of k and v, [count, kv_heads, head_dim], to every layer. */
static enum qvl_status append(struct qvl_sequence *sequence, struct qvl_tensor k, struct qvl_tensor v,
                              int64_t count, struct qvl_error *error)
{
    struct qvl_backend *backend = sequence->model->backend;
    const struct qvl_segment segment = {.cache = sequence->cache, .first = 0, .count = count};
    k.shape[0] = v.shape[0] = count;
    for (int64_t l = 0; l < sequence->model->config.text.layers; l++) {
        const struct qvl_cache_append_args args = {
            .layer = l, .k = k, .v = v, .segments = &segment, .segment_count = 1};
        QVL_TRY(backend->ops.cache_append(backend, &args, error));
    }
    return backend->sync(backend, error);
}

static enum qvl_status fill_rows(struct qvl_sequence *sequence, int64_t length, uint64_t seed,
                                 struct qvl_tensor k, struct qvl_tensor v, void *host,
                                 struct qvl_error *error)
{
    struct qvl_backend *backend = sequence->model->backend;
    while (sequence->processed < length) {
        const int64_t first = sequence->processed;
        const int64_t count = length - first < FILL_ROWS ? length - first : FILL_ROWS;
        for (int half = 0; half < 2; half++) {
            qvl_random_fill(host, k.dtype, qvl_tensor_count(&k), 1, 0, seed, (uint64_t)(2 * first + half));
            QVL_TRY(backend->upload(backend, half ? &v : &k, host, error));
        }
        QVL_TRY(append(sequence, k, v, count, error));
        memset(sequence->ids + first, 0, sizeof(int64_t) * (size_t)count);
        sequence->processed += count;
    }
    return QVL_OK;
}

enum qvl_status qvl_sequence_fill(struct qvl_sequence *sequence, int64_t length, uint64_t seed,
                                  struct qvl_error *error)
{
    struct qvl_backend *backend = sequence->model->backend;
    const struct qvl_text_config *text = &sequence->model->config.text;
    if (qvl_sequence_pending(sequence) > 0 || length < sequence->processed || length > sequence->capacity)
        return qvl_fail(
            error, QVL_USAGE,
            "a sequence of %lld tokens, %lld pending, with room for %lld cannot be filled to %lld",
            (long long)sequence->processed, (long long)qvl_sequence_pending(sequence),
            (long long)sequence->capacity, (long long)length);
    struct qvl_tensor k =
        qvl_tensor_3d(NULL, sequence->model->options.storage, FILL_ROWS, text->kv_heads, text->head_dim);
    struct qvl_tensor v = k;
    const size_t bytes = (size_t)qvl_tensor_count(&k) * qvl_dtype_bytes(k.dtype);
    void *host = malloc(bytes);
    enum qvl_status status = host
                                 ? backend->allocate(backend, bytes, &k.data, error)
                                 : qvl_fail(error, QVL_NO_MEMORY, "no memory for %d rows of keys", FILL_ROWS);
    if (status == QVL_OK)
        status = backend->allocate(backend, bytes, &v.data, error);
    if (status == QVL_OK)
        status = fill_rows(sequence, length, seed, k, v, host, error);
    backend->release(backend, k.data);
    backend->release(backend, v.data);
    free(host);
    return status;
}
