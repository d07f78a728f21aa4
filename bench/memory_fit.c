#include "bench/memory_fit.h"

#include <math.h>

#define ACTIVATION_BYTES 2 /* bf16 between kernels */
#define LOGIT_BYTES 8      /* float32 logits and their probabilities */

/* Widest moment of a decoder layer for one row: the residual stream and its norm, and the larger of attention
 * (q, k, v, output) and the MLP (gate and up, their product; for experts also the gathered rows and results).
 */
static double layer_row(const struct qvl_deployment *deployment)
{
    const struct qvl_text_config *text = &deployment->config->text;
    const double ways = (double)deployment->ways, hidden = (double)text->hidden;
    const double q = (double)(text->heads * text->head_dim) / ways;
    const double kv = (double)(qvl_deployment_kv_heads(deployment) * text->head_dim);
    const double chosen = (double)text->experts_per_token;
    double mlp = 0;
    for (int64_t layer = 0; layer < text->layers; layer++) {
        const bool routed = text->experts > 0 && text->moe_layer[layer];
        const double width = routed ? 3 * chosen * (double)text->moe_intermediate / ways + 2 * chosen * hidden
                                    : 3 * (double)text->intermediate / ways;
        mlp = fmax(mlp, width);
    }
    return 2 * hidden + fmax(2 * q + 2 * kv, mlp);
}

/* The same of a block of the tower, with the pixels that wait for their embedding. */
static double block_row(const struct qvl_deployment *deployment)
{
    const struct qvl_vision_config *vision = &deployment->config->vision;
    const double ways = (double)deployment->ways, width = (double)vision->hidden;
    const double pixels = (double)(vision->channels * vision->temporal_patch * vision->patch * vision->patch);
    const double mlp = (vision->mlp == QVL_VISION_MLP_SWIGLU ? 3 : 2) * (double)vision->intermediate / ways;
    return pixels + 2 * width + fmax(4 * width / ways, mlp);
}

double qvl_memory_activations(const struct qvl_deployment *deployment, const struct qvl_memory_load *load)
{
    const struct qvl_model_config *config = deployment->config;
    const double merge = (double)(config->vision.merge * config->vision.merge);
    const double batch = (double)deployment->batch;
    double patches = 0;
    for (int64_t i = 0; i < load->grid_count; i++)
        patches += (double)(load->grids[i].t * load->grids[i].h * load->grids[i].w);
    const double rows = fmax(fmin((double)load->context, QVL_PREFILL_PIECE), batch);
    const double features = patches / merge * (double)config->text.hidden *
                            (1 + (double)config->vision.deepstack_count) * ACTIVATION_BYTES;
    const double logits = batch * (double)config->text.vocab * LOGIT_BYTES;
    const double decoder = rows * layer_row(deployment) * ACTIVATION_BYTES;
    const double tower = patches * block_row(deployment) * ACTIVATION_BYTES;
    return features + fmax(decoder + logits, tower);
}

struct qvl_memory qvl_memory_count(const struct qvl_deployment *deployment,
                                   const struct qvl_memory_load *load)
{
    const double capacity = deployment->device.hardware->memory;
    struct qvl_memory memory = {.weights = qvl_deployment_weight_bytes(deployment),
                                .cache = (double)deployment->batch * (double)load->context *
                                         qvl_deployment_cache_bytes(deployment),
                                .activations = qvl_memory_activations(deployment, load),
                                .reserve = QVL_MEMORY_RESERVE_BYTES + QVL_MEMORY_RESERVE_SHARE * capacity,
                                .capacity = capacity};
    memory.total = memory.weights + memory.cache + memory.activations + memory.reserve;
    memory.fits = !(capacity > 0) || memory.total <= capacity;
    return memory;
}

static bool fits_with(struct qvl_deployment deployment, struct qvl_memory_load load, int64_t batch,
                      int64_t context)
{
    deployment.batch = batch;
    load.context = context;
    return qvl_memory_count(&deployment, &load).fits;
}

int64_t qvl_memory_max_batch(const struct qvl_deployment *deployment, const struct qvl_memory_load *load)
{
    int64_t good = 0, bad = (int64_t)1 << 32;
    if (!(deployment->device.hardware->memory > 0))
        return INT64_MAX;
    while (bad - good > 1) {
        const int64_t middle = good + (bad - good) / 2;
        if (fits_with(*deployment, *load, middle, load->context))
            good = middle;
        else
            bad = middle;
    }
    return good;
}

int64_t qvl_memory_max_context(const struct qvl_deployment *deployment, const struct qvl_memory_load *load)
{
    int64_t good = 0, bad = (int64_t)1 << 40;
    if (!(deployment->device.hardware->memory > 0))
        return INT64_MAX;
    while (bad - good > 1) {
        const int64_t middle = good + (bad - good) / 2;
        if (fits_with(*deployment, *load, 1, middle))
            good = middle;
        else
            bad = middle;
    }
    return good;
}

int64_t qvl_memory_least_ways(const struct qvl_deployment *deployment, const struct qvl_memory_load *load)
{
    struct qvl_deployment tried = *deployment;
    for (tried.ways = 1; tried.ways <= QVL_MEMORY_MAX_WAYS; tried.ways *= 2) {
        if (tried.ways > 1 && !(tried.device.hardware->link > 0))
            return 0;
        if (qvl_deployment_check(&tried, NULL) == QVL_OK && qvl_memory_count(&tried, load).fits)
            return tried.ways;
    }
    return 0;
}
