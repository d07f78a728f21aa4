#include "bench/sampling.h"

#include <math.h>

#include "model/memory.h"

int64_t qvl_sampling_layer_count(const struct qvl_text_config *text, int kind)
{
    int64_t count = 0;
    for (int64_t l = 0; l < text->layers; l++)
        count += text->moe_layer[l] == (kind == QVL_LAYER_MOE);
    return count;
}

double qvl_sampling_layers(const struct qvl_text_config *whole, const struct qvl_text_config *part,
                           const double *seconds)
{
    double total = 0;
    for (int kind = 0; kind < QVL_LAYER_KINDS; kind++) {
        double sum = 0;
        int64_t count = 0;
        for (int64_t l = 0; l < part->layers; l++)
            if (part->moe_layer[l] == (kind == QVL_LAYER_MOE)) {
                sum += seconds[l];
                count++;
            }
        if (count > 0)
            total += (double)qvl_sampling_layer_count(whole, kind) * sum / (double)count;
    }
    return total;
}

double qvl_sampling_widen(double zero, double part_zero, double part_seconds, int64_t rows, int64_t part)
{
    return zero + (double)rows / (double)part * (part_seconds - part_zero);
}

int64_t qvl_sampling_rows(int64_t rows, int64_t depth)
{
    return depth >= 16 * rows && rows >= 256 ? rows / 4 : rows;
}

/* Least squares with weights 1 / seconds^2 over the first `count` points. */
static void fit_line(const struct qvl_depth_point *points, int64_t count,
                     struct qvl_prefill_estimate *estimate)
{
    double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0;
    for (int64_t i = 0; i < count; i++) {
        const double x = (double)points[i].depth, y = points[i].seconds, weight = 1 / (y * y);
        w += weight;
        wx += weight * x;
        wy += weight * y;
        wxx += weight * x * x;
        wxy += weight * x * y;
    }
    const double spread = w * wxx - wx * wx;
    estimate->slope = count > 1 && spread > 0 ? (w * wxy - wx * wy) / spread : 0;
    estimate->intercept = (wy - estimate->slope * wx) / w;
    estimate->residual = 0;
    for (int64_t i = 0; i < count; i++) {
        const double line = estimate->intercept + estimate->slope * (double)points[i].depth;
        estimate->residual = fmax(estimate->residual, fabs(line - points[i].seconds) / points[i].seconds);
    }
}

/* Add to the weight of each point what a chunk at `depth` takes from it. */
static void interpolate(const struct qvl_depth_point *points, int64_t count, double depth, double share,
                        double *weights)
{
    int64_t right = 1;
    if (count == 1) {
        weights[0] += share;
        return;
    }
    while (right + 1 < count && (double)points[right].depth < depth)
        right++;
    const double from = (double)points[right - 1].depth, to = (double)points[right].depth;
    const double place = (depth - from) / (to - from);
    weights[right - 1] += share * (1 - place);
    weights[right] += share * place;
}

void qvl_sampling_prefill(const struct qvl_depth_point *points, int64_t count, int64_t context, int64_t chunk,
                          struct qvl_prefill_estimate *estimate)
{
    double weights[QVL_SAMPLING_MAX_DEPTHS] = {0};
    double line = 0;
    const int64_t deepest = context > chunk ? context - chunk : 0;
    *estimate = (struct qvl_prefill_estimate){0};
    while (estimate->points < count && points[estimate->points].depth <= deepest)
        estimate->points++;
    fit_line(points, estimate->points > 0 ? estimate->points : count, estimate);
    for (int64_t first = 0; first < context; first += chunk) {
        const int64_t rows = context - first < chunk ? context - first : chunk;
        const double depth = (double)first - (double)(chunk - rows) / 2;
        const double share = (double)rows / (double)chunk;
        interpolate(points, count, depth, share, weights);
        line += share * (estimate->intercept + estimate->slope * depth);
    }
    for (int64_t i = 0; i < count; i++) {
        estimate->seconds += weights[i] * points[i].seconds;
        estimate->repeat_error += fabs(weights[i]) * points[i].error;
    }
    if (estimate->points >= 3)
        estimate->shape_error = fabs(line - estimate->seconds);
    estimate->error = estimate->repeat_error + estimate->shape_error;
}

/* Bytes of weights of a layer that one token reads. */
static int64_t touched_bytes(const struct qvl_text_config *text, int64_t layer, int64_t width)
{
    const int64_t all = qvl_layer_parameters(text, layer);
    const int64_t expert = 3 * text->hidden * text->moe_intermediate;
    return (text->moe_layer[layer] ? all - (text->experts - text->experts_per_token) * expert : all) * width;
}

/* `each` layers of every kind, or all of a kind that has fewer, spread evenly, in order. */
static void choose(const struct qvl_text_config *text, int64_t each, struct qvl_model_part *part)
{
    int64_t seen[QVL_LAYER_KINDS] = {0};
    part->layer_count = 0;
    for (int64_t l = 0; l < text->layers; l++) {
        const int kind = text->moe_layer[l] ? QVL_LAYER_MOE : QVL_LAYER_DENSE;
        const int64_t of = qvl_sampling_layer_count(text, kind), take = each < of ? each : of;
        const int64_t i = seen[kind]++;
        if (i == 0 || i * take / of != (i - 1) * take / of)
            part->layers[part->layer_count++] = l;
    }
}

static void weigh(const struct qvl_model_config *config, const struct qvl_sampling_request *request,
                  struct qvl_sampling_plan *plan)
{
    const struct qvl_text_config *text = &config->text;
    const int64_t width = (int64_t)qvl_dtype_bytes(request->storage);
    struct qvl_model_config part;
    qvl_model_part_config(config, &plan->part, &part);
    const struct qvl_memory_request memory = {.weights = request->storage,
                                              .storage = request->storage,
                                              .context = request->rows,
                                              .chunk = request->chunk,
                                              .logits = 1};
    plan->needed = qvl_memory_estimate(&part, &memory).total;
    plan->fits = request->available < 0 || plan->needed <= request->available;
    plan->working_set = 0;
    for (int64_t i = 0; i < plan->part.layer_count; i++)
        plan->working_set += touched_bytes(text, plan->part.layers[i], width) +
                             2 * text->kv_heads * text->head_dim * request->rows * width;
}

void qvl_sampling_plan(const struct qvl_model_config *config, const struct qvl_sampling_request *request,
                       struct qvl_sampling_plan *plan)
{
    const int64_t deepstack = config->vision.deepstack_count;
    const int64_t blocks = deepstack > 2 ? deepstack : 2;
    const int64_t most = config->text.layers;
    plan->part.vision_blocks = blocks < config->vision.depth ? blocks : config->vision.depth;
    choose(&config->text, request->layers > 0 ? request->layers : 1, &plan->part);
    weigh(config, request, plan);
    for (int64_t each = 2; request->layers == 0 && each <= most; each++) {
        struct qvl_sampling_plan larger = *plan;
        if (plan->working_set >= 2 * request->cache_bytes)
            return;
        choose(&config->text, each, &larger.part);
        weigh(config, request, &larger);
        if (request->available >= 0 && larger.needed > request->available / 2)
            return;
        *plan = larger;
    }
}
