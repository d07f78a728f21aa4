/* Sequences: prompt, positions, visual features and cache of one conversation, and the ragged batch made of
 * several. */
#include <stdlib.h>

#include "model/engine.h"
#include "model/memory.h"

/* Whether what a request needs beside the weights, which are loaded, is there. */
static enum qvl_status check_memory(const struct qvl_model *model, const struct qvl_memory_request *wanted,
                                    struct qvl_error *error)
{
    struct qvl_memory_request request = *wanted;
    request.weights = request.storage = model->options.storage;
    struct qvl_memory_estimate need = qvl_memory_estimate(&model->config, &request);
    need.total -= need.weights;
    need.weights = 0;
    return qvl_memory_check(&need, model->options.available_bytes > 0 ? model->options.available_bytes : -1,
                            error);
}

enum qvl_status qvl_sequence_create(struct qvl_model *model, int64_t capacity, struct qvl_sequence **sequence,
                                    struct qvl_error *error)
{
    const struct qvl_text_config *text = &model->config.text;
    *sequence = NULL;
    if (capacity <= 0)
        return qvl_fail(error, QVL_USAGE, "a sequence needs a capacity of at least one token, not %lld",
                        (long long)capacity);
    const int64_t chunk = capacity < QVL_DEFAULT_CHUNK ? capacity : QVL_DEFAULT_CHUNK;
    QVL_TRY(check_memory(
        model, &(struct qvl_memory_request){.context = capacity, .chunk = chunk, .logits = 1}, error));
    struct qvl_sequence *made = calloc(1, sizeof *made);
    int64_t *ids = malloc(sizeof(int64_t) * (size_t)capacity);
    if (!made || !ids) {
        free(made);
        free(ids);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a sequence of %lld tokens", (long long)capacity);
    }
    made->model = model;
    made->capacity = capacity;
    made->ids = ids;
    const struct qvl_cache_desc desc = {.layers = text->layers,
                                        .kv_heads = text->kv_heads,
                                        .head_dim = text->head_dim,
                                        .capacity = capacity,
                                        .storage = model->options.storage};
    const enum qvl_status status = model->backend->cache_create(model->backend, &desc, &made->cache, error);
    if (status != QVL_OK) {
        qvl_sequence_destroy(made);
        return status;
    }
    *sequence = made;
    return QVL_OK;
}

void qvl_sequence_destroy(struct qvl_sequence *sequence)
{
    if (!sequence)
        return;
    struct qvl_backend *backend = sequence->model->backend;
    backend->cache_destroy(backend, sequence->cache);
    backend->release(backend, sequence->features);
    qvl_positions_free(&sequence->positions);
    free(sequence->ids);
    free(sequence);
}

struct qvl_tensor qvl_sequence_features(const struct qvl_sequence *sequence, int64_t level)
{
    const int64_t tokens = sequence->positions.visual_count;
    const int64_t width = sequence->model->config.text.hidden;
    const enum qvl_dtype storage = sequence->model->options.storage;
    char *data = (char *)sequence->features + (size_t)(level * tokens * width) * qvl_dtype_bytes(storage);
    return qvl_tensor_2d(data, storage, tokens, width);
}

static size_t feature_bytes(const struct qvl_sequence *sequence)
{
    const struct qvl_model *model = sequence->model;
    return (size_t)((1 + model->config.vision.deepstack_count) * sequence->positions.visual_count *
                    model->config.text.hidden) *
           qvl_dtype_bytes(model->options.storage);
}

static enum qvl_status check_tower_memory(const struct qvl_model *model, const struct qvl_prompt *prompt,
                                          struct qvl_error *error)
{
    struct qvl_memory_request request = {.chunk = 1, .context = 1, .patches_at_once = QVL_PATCHES_AT_ONCE};
    for (int64_t i = 0; i < prompt->visual_count; i++) {
        const struct qvl_grid *grid = &prompt->visuals[i].grid;
        request.patches += grid->t * grid->h * grid->w;
        if (grid->h * grid->w > request.patches_at_once)
            request.patches_at_once = grid->h * grid->w;
    }
    return check_memory(model, &request, error);
}

static enum qvl_status encode_visuals(struct qvl_sequence *sequence, const struct qvl_prompt *prompt,
                                      const struct qvl_taps *taps, struct qvl_error *error)
{
    struct qvl_backend *backend = sequence->model->backend;
    const int64_t merge = sequence->model->config.vision.merge;
    int64_t patch = 0;
    if (sequence->positions.visual_count == 0)
        return QVL_OK;
    QVL_TRY(check_tower_memory(sequence->model, prompt, error));
    QVL_TRY(backend->allocate(backend, feature_bytes(sequence), &sequence->features, error));
    for (int64_t i = 0; i < prompt->visual_count; i++) {
        const struct qvl_visual *visual = &prompt->visuals[i];
        if (!visual->rows)
            return qvl_fail(error, QVL_USAGE, "prompt: visual %lld has no patch rows (sizes only)",
                            (long long)i);
        QVL_TRY(qvl_vision_encode(sequence, visual, patch, patch / (merge * merge), taps, error));
        patch += visual->grid.t * visual->grid.h * visual->grid.w;
    }
    return backend->sync(backend, error);
}

enum qvl_status qvl_sequence_prompt(struct qvl_sequence *sequence, const struct qvl_prompt *prompt,
                                    const struct qvl_taps *taps, struct qvl_error *error)
{
    const struct qvl_model_config *config = &sequence->model->config;
    if (sequence->processed > 0 || sequence->positions.count > 0)
        return qvl_fail(error, QVL_USAGE, "a prompt goes to an empty sequence");
    if (prompt->count == 0)
        return qvl_fail(error, QVL_BAD_INPUT, "prompt: no tokens; give at least one");
    if (prompt->count > config->text.max_positions)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "prompt: %lld tokens exceed the model's context of %lld (max_position_embeddings)",
                        (long long)prompt->count, (long long)config->text.max_positions);
    if (prompt->count > sequence->capacity)
        return qvl_fail(error, QVL_BAD_INPUT, "prompt: %lld tokens exceed the sequence's capacity of %lld",
                        (long long)prompt->count, (long long)sequence->capacity);
    for (int64_t i = 0; i < prompt->count; i++)
        if (prompt->ids[i] < 0 || prompt->ids[i] >= config->text.vocab)
            return qvl_fail(error, QVL_BAD_INPUT,
                            "prompt: token %lld has id %lld, outside the model's vocabulary of %lld; "
                            "do tokenizer and checkpoint belong together?",
                            (long long)i, (long long)prompt->ids[i], (long long)config->text.vocab);
    QVL_TRY(qvl_positions_build(config, prompt, &sequence->positions, error));
    memcpy(sequence->ids, prompt->ids, sizeof(int64_t) * (size_t)prompt->count);
    const enum qvl_status status = encode_visuals(sequence, prompt, taps, error);
    if (status != QVL_OK) {
        sequence->model->backend->release(sequence->model->backend, sequence->features);
        sequence->features = NULL;
        qvl_positions_free(&sequence->positions);
    }
    return status;
}

int64_t qvl_sequence_length(const struct qvl_sequence *sequence)
{
    return sequence->processed;
}

int64_t qvl_sequence_pending(const struct qvl_sequence *sequence)
{
    const int64_t pending = sequence->positions.count - sequence->processed;
    return pending > 0 ? pending : 0;
}

const struct qvl_positions *qvl_sequence_positions(const struct qvl_sequence *sequence)
{
    return &sequence->positions;
}

enum qvl_status qvl_sequence_truncate(struct qvl_sequence *sequence, int64_t length, struct qvl_error *error)
{
    struct qvl_backend *backend = sequence->model->backend;
    if (length < 0 || length > sequence->processed)
        return qvl_fail(error, QVL_USAGE, "cannot truncate a sequence of %lld tokens to %lld",
                        (long long)sequence->processed, (long long)length);
    QVL_TRY(backend->cache_truncate(backend, sequence->cache, length, error));
    sequence->processed = length;
    return QVL_OK;
}

static enum qvl_status copy_features(const struct qvl_sequence *sequence, struct qvl_sequence *copy,
                                     struct qvl_error *error)
{
    struct qvl_backend *backend = sequence->model->backend;
    const size_t bytes = feature_bytes(sequence);
    if (!sequence->features)
        return QVL_OK;
    void *host = malloc(bytes);
    if (!host)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to copy %zu bytes of visual features", bytes);
    const struct qvl_tensor from = qvl_tensor_1d(sequence->features, QVL_U8, (int64_t)bytes);
    enum qvl_status status = backend->download(backend, &from, host, error);
    if (status == QVL_OK)
        status = backend->allocate(backend, bytes, &copy->features, error);
    if (status == QVL_OK) {
        const struct qvl_tensor to = qvl_tensor_1d(copy->features, QVL_U8, (int64_t)bytes);
        status = backend->upload(backend, &to, host, error);
    }
    free(host);
    return status;
}

static enum qvl_status copy_positions(const struct qvl_positions *from, struct qvl_positions *to,
                                      struct qvl_error *error)
{
    if (!from->ids)
        return QVL_OK;
    *to = *from;
    to->ids = malloc(sizeof(int64_t) * 3 * (size_t)from->count);
    to->visual = malloc(sizeof(int64_t) * (size_t)from->count);
    if (!to->ids || !to->visual)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to copy %lld positions", (long long)from->count);
    memcpy(to->ids, from->ids, sizeof(int64_t) * 3 * (size_t)from->count);
    memcpy(to->visual, from->visual, sizeof(int64_t) * (size_t)from->visual_count);
    return QVL_OK;
}

enum qvl_status qvl_sequence_fork(const struct qvl_sequence *sequence, struct qvl_sequence **copy,
                                  struct qvl_error *error)
{
    struct qvl_backend *backend = sequence->model->backend;
    struct qvl_sequence *made = calloc(1, sizeof *made);
    *copy = NULL;
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a sequence");
    made->model = sequence->model;
    made->capacity = sequence->capacity;
    made->processed = sequence->processed;
    made->ids = malloc(sizeof(int64_t) * (size_t)sequence->capacity);
    enum qvl_status status = QVL_OK;
    if (!made->ids)
        status =
            qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld token ids", (long long)sequence->capacity);
    else
        memcpy(made->ids, sequence->ids, sizeof(int64_t) * (size_t)sequence->capacity);
    if (status == QVL_OK)
        status = backend->cache_fork(backend, sequence->cache, &made->cache, error);
    if (status == QVL_OK)
        status = copy_positions(&sequence->positions, &made->positions, error);
    if (status == QVL_OK)
        status = copy_features(sequence, made, error);
    if (status != QVL_OK) {
        qvl_sequence_destroy(made);
        return status;
    }
    *copy = made;
    return QVL_OK;
}
