#include "model/parameters.h"

#include <stdlib.h>

#include "model/convert.h"

/* Upload a vector or table as a plain tensor in storage type. */
static enum qvl_status upload(const struct qvl_parameters *p, const struct qvl_array *array,
                              struct qvl_tensor *tensor, struct qvl_error *error)
{
    struct qvl_backend *backend = p->backend;
    const size_t count = (size_t)qvl_array_count(array);
    void *data = NULL;
    QVL_TRY(backend->allocate(backend, count * qvl_dtype_bytes(p->storage), &data, error));
    *tensor = qvl_tensor_make(data, p->storage, array->rank, array->shape);
    if (array->dtype == p->storage)
        return backend->upload(backend, tensor, array->data, error);
    float *wide = malloc(count * sizeof(float) + 1);
    void *narrow = malloc(count * qvl_dtype_bytes(p->storage) + 1);
    enum qvl_status status = QVL_OK;
    if (!wide || !narrow) {
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory to convert %zu values", count);
    } else {
        qvl_to_f32(wide, array->data, array->dtype, count);
        qvl_from_f32(narrow, p->storage, wide, count);
        status = backend->upload(backend, tensor, narrow, error);
    }
    free(wide);
    free(narrow);
    return status;
}

static enum qvl_status prepare(const struct qvl_parameters *p, const struct qvl_array *array, unsigned use,
                               bool input_first, const char *name, struct qvl_weight **weight,
                               struct qvl_error *error)
{
    const struct qvl_weight_desc desc = {
        .array = *array, .use = use, .input_first = input_first, .storage = p->storage, .name = name};
    return p->backend->weight_prepare(p->backend, &desc, weight, error);
}

static enum qvl_status load_norm(const struct qvl_parameters *p, const struct qvl_affine *from,
                                 struct qvl_norm_parameters *norm, struct qvl_error *error)
{
    QVL_TRY(upload(p, &from->weight, &norm->weight, error));
    return from->bias.data ? upload(p, &from->bias, &norm->bias, error) : QVL_OK;
}

static enum qvl_status load_rms(const struct qvl_parameters *p, const struct qvl_array *from,
                                struct qvl_norm_parameters *norm, struct qvl_error *error)
{
    return upload(p, from, &norm->weight, error);
}

static enum qvl_status load_linear(const struct qvl_parameters *p, const struct qvl_affine *from,
                                   const char *name, struct qvl_linear_parameters *linear,
                                   struct qvl_error *error)
{
    QVL_TRY(prepare(p, &from->weight, QVL_USE_LINEAR, false, name, &linear->weight, error));
    return from->bias.data ? upload(p, &from->bias, &linear->bias, error) : QVL_OK;
}

static enum qvl_status load_matrix(const struct qvl_parameters *p, const struct qvl_array *from,
                                   const char *name, struct qvl_linear_parameters *linear,
                                   struct qvl_error *error)
{
    return prepare(p, from, QVL_USE_LINEAR, false, name, &linear->weight, error);
}

static enum qvl_status load_block(const struct qvl_parameters *p, const struct qvl_vision_block_weights *from,
                                  struct qvl_vision_block_parameters *block, struct qvl_error *error)
{
    QVL_TRY(load_norm(p, &from->norm1, &block->norm1, error));
    QVL_TRY(load_norm(p, &from->norm2, &block->norm2, error));
    QVL_TRY(load_linear(p, &from->qkv, "attn.qkv", &block->qkv, error));
    QVL_TRY(load_linear(p, &from->proj, "attn.proj", &block->proj, error));
    QVL_TRY(load_linear(p, &from->fc1, "mlp.linear_fc1", &block->fc1, error));
    return load_linear(p, &from->fc2, "mlp.linear_fc2", &block->fc2, error);
}

static enum qvl_status load_merger(const struct qvl_parameters *p, const struct qvl_merger_weights *from,
                                   struct qvl_merger_parameters *merger, struct qvl_error *error)
{
    QVL_TRY(load_norm(p, &from->norm, &merger->norm, error));
    QVL_TRY(load_linear(p, &from->fc1, "merger.linear_fc1", &merger->fc1, error));
    return load_linear(p, &from->fc2, "merger.linear_fc2", &merger->fc2, error);
}

static enum qvl_status load_layer(const struct qvl_parameters *p, const struct qvl_layer_weights *from,
                                  struct qvl_layer_parameters *layer, struct qvl_error *error)
{
    QVL_TRY(load_rms(p, &from->input_norm, &layer->input_norm, error));
    QVL_TRY(load_rms(p, &from->post_attention_norm, &layer->post_norm, error));
    QVL_TRY(load_rms(p, &from->q_norm, &layer->q_norm, error));
    QVL_TRY(load_rms(p, &from->k_norm, &layer->k_norm, error));
    QVL_TRY(load_matrix(p, &from->q_proj, "self_attn.q_proj", &layer->q, error));
    QVL_TRY(load_matrix(p, &from->k_proj, "self_attn.k_proj", &layer->k, error));
    QVL_TRY(load_matrix(p, &from->v_proj, "self_attn.v_proj", &layer->v, error));
    QVL_TRY(load_matrix(p, &from->o_proj, "self_attn.o_proj", &layer->o, error));
    if (!from->moe) {
        QVL_TRY(load_matrix(p, &from->gate_proj, "mlp.gate_proj", &layer->gate, error));
        QVL_TRY(load_matrix(p, &from->up_proj, "mlp.up_proj", &layer->up, error));
        return load_matrix(p, &from->down_proj, "mlp.down_proj", &layer->down, error);
    }
    QVL_TRY(load_matrix(p, &from->router, "mlp.gate", &layer->router, error));
    QVL_TRY(prepare(p, &from->gate_up, QVL_USE_EXPERTS, from->experts_input_first, "mlp.experts.gate_up_proj",
                    &layer->experts_gate_up, error));
    return prepare(p, &from->down, QVL_USE_EXPERTS, from->experts_input_first, "mlp.experts.down_proj",
                   &layer->experts_down, error);
}

static enum qvl_status load_vision(struct qvl_parameters *p, const struct qvl_vision_weights *from,
                                   struct qvl_error *error)
{
    QVL_TRY(load_linear(p, &from->patch_embed, "patch_embed.proj", &p->patch_embed, error));
    QVL_TRY(upload(p, &from->pos_embed, &p->pos_embed, error));
    for (int64_t b = 0; b < p->block_count; b++)
        QVL_TRY(load_block(p, &from->blocks[b], &p->blocks[b], error));
    QVL_TRY(load_merger(p, &from->merger, &p->merger, error));
    for (int64_t j = 0; j < p->deepstack_count; j++)
        QVL_TRY(load_merger(p, &from->deepstack[j], &p->deepstack[j], error));
    return QVL_OK;
}

static enum qvl_status load_text(struct qvl_parameters *p, const struct qvl_weights *from,
                                 struct qvl_error *error)
{
    const unsigned embed_use = QVL_USE_ROWS | (from->head_tied ? QVL_USE_LINEAR : 0U);
    QVL_TRY(prepare(p, &from->embed_tokens, embed_use, false, "embed_tokens", &p->embed, error));
    for (int64_t l = 0; l < p->layer_count; l++)
        QVL_TRY(load_layer(p, &from->layers[l], &p->layers[l], error));
    QVL_TRY(load_rms(p, &from->norm, &p->norm, error));
    if (from->head_tied)
        p->head = p->embed;
    else
        QVL_TRY(prepare(p, &from->head, QVL_USE_LINEAR, false, "lm_head", &p->head, error));
    return QVL_OK;
}

enum qvl_status qvl_parameters_load(struct qvl_backend *backend, const struct qvl_model_config *config,
                                    const struct qvl_weights *weights, enum qvl_dtype storage,
                                    struct qvl_parameters *parameters, struct qvl_error *error)
{
    struct qvl_parameters *p = parameters;
    *p = (struct qvl_parameters){.backend = backend,
                                 .storage = storage,
                                 .block_count = config->vision.depth,
                                 .deepstack_count = config->vision.deepstack_count,
                                 .layer_count = config->text.layers};
    p->blocks = calloc((size_t)p->block_count + 1, sizeof *p->blocks);
    p->deepstack = calloc((size_t)p->deepstack_count + 1, sizeof *p->deepstack);
    p->layers = calloc((size_t)p->layer_count + 1, sizeof *p->layers);
    enum qvl_status status = QVL_OK;
    if (!p->blocks || !p->deepstack || !p->layers)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for the parameter tables");
    if (status == QVL_OK)
        status = load_vision(p, &weights->vision, error);
    if (status == QVL_OK)
        status = load_text(p, weights, error);
    if (status != QVL_OK)
        qvl_parameters_release(p);
    return status;
}

static void release_norm(const struct qvl_parameters *p, struct qvl_norm_parameters *norm)
{
    p->backend->release(p->backend, norm->weight.data);
    p->backend->release(p->backend, norm->bias.data);
}

static void release_linear(const struct qvl_parameters *p, struct qvl_linear_parameters *linear)
{
    p->backend->weight_destroy(p->backend, linear->weight);
    p->backend->release(p->backend, linear->bias.data);
}

static void release_block(const struct qvl_parameters *p, struct qvl_vision_block_parameters *block)
{
    release_norm(p, &block->norm1);
    release_norm(p, &block->norm2);
    release_linear(p, &block->qkv);
    release_linear(p, &block->proj);
    release_linear(p, &block->fc1);
    release_linear(p, &block->fc2);
}

static void release_merger(const struct qvl_parameters *p, struct qvl_merger_parameters *merger)
{
    release_norm(p, &merger->norm);
    release_linear(p, &merger->fc1);
    release_linear(p, &merger->fc2);
}

static void release_layer(const struct qvl_parameters *p, struct qvl_layer_parameters *layer)
{
    struct qvl_norm_parameters *norms[] = {&layer->input_norm, &layer->post_norm, &layer->q_norm,
                                           &layer->k_norm};
    struct qvl_linear_parameters *linears[] = {&layer->q,    &layer->k,  &layer->v,    &layer->o,
                                               &layer->gate, &layer->up, &layer->down, &layer->router};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        release_norm(p, norms[i]);
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        release_linear(p, linears[i]);
    p->backend->weight_destroy(p->backend, layer->experts_gate_up);
    p->backend->weight_destroy(p->backend, layer->experts_down);
}

void qvl_parameters_release(struct qvl_parameters *parameters)
{
    struct qvl_parameters *p = parameters;
    if (!p->backend)
        return;
    release_linear(p, &p->patch_embed);
    p->backend->release(p->backend, p->pos_embed.data);
    for (int64_t b = 0; p->blocks && b < p->block_count; b++)
        release_block(p, &p->blocks[b]);
    release_merger(p, &p->merger);
    for (int64_t j = 0; p->deepstack && j < p->deepstack_count; j++)
        release_merger(p, &p->deepstack[j]);
    for (int64_t l = 0; p->layers && l < p->layer_count; l++)
        release_layer(p, &p->layers[l]);
    release_norm(p, &p->norm);
    if (p->head != p->embed)
        p->backend->weight_destroy(p->backend, p->head);
    p->backend->weight_destroy(p->backend, p->embed);
    free(p->blocks);
    free(p->deepstack);
    free(p->layers);
    memset(p, 0, sizeof *p);
}
