#include "bench/model_time.h"

/* Where a kernel's seconds are counted. */
enum part { PRODUCTS, ATTENTION, EXPERTS, COLLECTIVES, ELEMENTWISE };

struct sum {
    const struct qvl_deployment *deployment;
    struct qvl_model_time *time;
};

static enum qvl_status add(const struct sum *sum, enum part part, double times,
                           const struct qvl_kernel_shape *shape, struct qvl_error *error)
{
    struct qvl_model_time *total = sum->time;
    double *const parts[] = {&total->products, &total->attention, &total->experts, &total->collectives,
                             &total->elementwise};
    struct qvl_kernel_time kernel;
    QVL_TRY(qvl_kernel_time(&sum->deployment->device, shape, &kernel, error));
    total->seconds += times * kernel.seconds;
    total->floor_seconds += times * kernel.floor_seconds;
    /* elementwise traffic is no one's measurement and no reason to distrust the sum */
    if (part != ELEMENTWISE)
        total->by_source[kernel.source] += times * kernel.seconds;
    total->flops += times * kernel.flops;
    total->bytes += times * kernel.bytes;
    *parts[part] += times * kernel.seconds;
    return QVL_OK;
}

static enum qvl_status add_gemm(const struct sum *sum, double times, enum qvl_published_type type, double m,
                                double n, double k, struct qvl_error *error)
{
    return add(sum, PRODUCTS, times, &(struct qvl_kernel_shape){QVL_KERNEL_GEMM, type, {m, n, k}}, error);
}

static enum qvl_status add_stream(const struct sum *sum, double times, double bytes, struct qvl_error *error)
{
    return add(sum, ELEMENTWISE, times,
               &(struct qvl_kernel_shape){QVL_KERNEL_STREAM, QVL_PUBLISHED_BF16, {bytes}}, error);
}

static enum qvl_status add_all_reduce(const struct sum *sum, double times, double elements,
                                      struct qvl_error *error)
{
    const double ways = (double)sum->deployment->ways;
    if (ways < 2)
        return QVL_OK;
    return add(sum, COLLECTIVES, times,
               &(struct qvl_kernel_shape){QVL_KERNEL_ALL_REDUCE, QVL_PUBLISHED_BF16, {ways, elements}},
               error);
}

int64_t qvl_deployment_kv_heads(const struct qvl_deployment *deployment)
{
    const int64_t heads = deployment->config->text.kv_heads / deployment->ways;
    return heads > 0 ? heads : 1;
}

static double kv_heads(const struct qvl_deployment *deployment)
{
    return (double)qvl_deployment_kv_heads(deployment);
}

static int64_t moe_layers(const struct qvl_text_config *text)
{
    int64_t count = 0;
    for (int64_t layer = 0; text->experts > 0 && layer < text->layers; layer++)
        count += text->moe_layer[layer];
    return count;
}

/* Everything of all layers but attention itself, for m rows, `passes` times. */
static enum qvl_status add_layers(const struct sum *sum, double passes, double m, struct qvl_error *error)
{
    const struct qvl_deployment *d = sum->deployment;
    const struct qvl_text_config *text = &d->config->text;
    const double ways = (double)d->ways, layers = passes * (double)text->layers,
                 hidden = (double)text->hidden;
    const double q = (double)(text->heads * text->head_dim) / ways, kv = kv_heads(d) * (double)text->head_dim;
    const double routed = passes * (double)moe_layers(text), dense = layers - routed;
    QVL_TRY(add_stream(sum, passes, 2 * m * hidden, error)); /* embedding */
    QVL_TRY(add_gemm(sum, layers, d->weights, m, q + 2 * kv, hidden, error));
    QVL_TRY(add_gemm(sum, layers, d->weights, m, hidden, q, error));
    QVL_TRY(add_all_reduce(sum, 2 * layers, m * hidden, error));
    QVL_TRY(add_stream(sum, 2 * layers, 8 * m * hidden, error)); /* residual add and norm: two in, two out */
    QVL_TRY(add_stream(sum, layers, 4 * m * (q + 2 * kv), error)); /* QK-norm, rotary, cache append */
    if (dense > 0) {
        const double inner = (double)text->intermediate / ways;
        QVL_TRY(add_gemm(sum, dense, d->weights, m, 2 * inner, hidden, error));
        QVL_TRY(add_stream(sum, dense, 6 * m * inner, error));
        QVL_TRY(add_gemm(sum, dense, d->weights, m, hidden, inner, error));
    }
    if (routed > 0) {
        const struct qvl_kernel_shape experts = {QVL_KERNEL_MOE,
                                                 d->experts,
                                                 {m, hidden, (double)text->moe_intermediate / ways,
                                                  (double)text->experts_per_token, (double)text->experts, 1}};
        QVL_TRY(add_gemm(sum, routed, QVL_PUBLISHED_BF16, m, (double)text->experts, hidden, error));
        QVL_TRY(add(sum, EXPERTS, routed, &experts, error));
    }
    return QVL_OK;
}

/* Last norm, head and sampling of m rows. */
static enum qvl_status add_head(const struct sum *sum, double m, struct qvl_error *error)
{
    const struct qvl_text_config *text = &sum->deployment->config->text;
    const double hidden = (double)text->hidden, vocab = (double)text->vocab / (double)sum->deployment->ways;
    QVL_TRY(add_stream(sum, 1, 4 * m * hidden, error));
    QVL_TRY(add_gemm(sum, 1, QVL_PUBLISHED_BF16, m, vocab, hidden, error));
    return add_stream(sum, 1, 4 * m * (double)text->vocab, error);
}

enum qvl_status qvl_deployment_check(const struct qvl_deployment *deployment, struct qvl_error *error)
{
    const struct qvl_text_config *text = &deployment->config->text;
    const int64_t ways = deployment->ways, vision_heads = deployment->config->vision.heads;
    const int64_t width = text->experts > 0 ? text->moe_intermediate : text->intermediate;
    if (ways < 1 || text->heads % ways != 0 || width % ways != 0 || vision_heads % ways != 0)
        return qvl_fail(error, QVL_UNSUPPORTED,
                        "%lld heads, %lld vision heads and a width of %lld do not divide over %lld devices",
                        (long long)text->heads, (long long)vision_heads, (long long)width, (long long)ways);
    if (text->kv_heads % ways != 0 && ways % text->kv_heads != 0)
        return qvl_fail(error, QVL_UNSUPPORTED,
                        "%lld key and value heads neither divide over %lld devices nor copy evenly",
                        (long long)text->kv_heads, (long long)ways);
    return QVL_OK;
}

enum qvl_status qvl_time_decode(const struct qvl_deployment *deployment, int64_t context,
                                struct qvl_model_time *time, struct qvl_error *error)
{
    const struct sum sum = {deployment, time};
    const struct qvl_text_config *text = &deployment->config->text;
    const double m = (double)deployment->batch;
    *time = (struct qvl_model_time){0};
    QVL_TRY(qvl_deployment_check(deployment, error));
    const int64_t heads = text->heads / deployment->ways;
    const struct qvl_kernel_shape attention = {
        QVL_KERNEL_DECODE,
        deployment->cache,
        {m, (double)heads, kv_heads(deployment), (double)(context + 1), (double)text->head_dim}};
    QVL_TRY(add_layers(&sum, 1, m, error));
    QVL_TRY(add(&sum, ATTENTION, (double)text->layers, &attention, error));
    return add_head(&sum, m, error);
}

enum qvl_status qvl_time_prefill(const struct qvl_deployment *deployment, int64_t cached, int64_t tokens,
                                 struct qvl_model_time *time, struct qvl_error *error)
{
    const struct sum sum = {deployment, time};
    const struct qvl_text_config *text = &deployment->config->text;
    const double batch = (double)deployment->batch;
    *time = (struct qvl_model_time){0};
    QVL_TRY(qvl_deployment_check(deployment, error));
    const int64_t heads = text->heads / deployment->ways;
    const int64_t end = cached + tokens;
    for (int64_t at = cached; at < end; at += QVL_PREFILL_PIECE) {
        const int64_t piece = end - at < QVL_PREFILL_PIECE ? end - at : QVL_PREFILL_PIECE;
        const struct qvl_kernel_shape attention = {
            QVL_KERNEL_PREFILL,
            deployment->cache,
            {batch, (double)heads, kv_heads(deployment), (double)piece, (double)at, (double)text->head_dim}};
        QVL_TRY(add(&sum, ATTENTION, (double)text->layers, &attention, error));
    }
    /* all but attention is the same for every whole piece */
    const int64_t whole = tokens / QVL_PREFILL_PIECE, rest = tokens % QVL_PREFILL_PIECE;
    if (whole > 0)
        QVL_TRY(add_layers(&sum, (double)whole, batch * QVL_PREFILL_PIECE, error));
    if (rest > 0)
        QVL_TRY(add_layers(&sum, 1, batch * (double)rest, error));
    return add_head(&sum, batch, error);
}

/* One merger: its norm and two products, `rows` patches of `width`. */
static enum qvl_status add_merger(const struct sum *sum, double times, double patches,
                                  struct qvl_error *error)
{
    const struct qvl_vision_config *vision = &sum->deployment->config->vision;
    const double group = (double)(vision->merge * vision->merge), width = group * (double)vision->hidden;
    const double tokens = patches / group, ways = (double)sum->deployment->ways;
    QVL_TRY(add_stream(sum, times, 4 * tokens * width, error));
    QVL_TRY(add_gemm(sum, times, QVL_PUBLISHED_BF16, tokens, width / ways, width, error));
    QVL_TRY(add_stream(sum, times, 4 * tokens * width / ways, error));
    QVL_TRY(
        add_gemm(sum, times, QVL_PUBLISHED_BF16, tokens, (double)vision->out_hidden, width / ways, error));
    return add_all_reduce(sum, times, tokens * (double)vision->out_hidden, error);
}

enum qvl_status qvl_time_vision(const struct qvl_deployment *deployment, const struct qvl_grid *grids,
                                int64_t grid_count, struct qvl_model_time *time, struct qvl_error *error)
{
    const struct sum sum = {deployment, time};
    const struct qvl_vision_config *vision = &deployment->config->vision;
    const double blocks = (double)vision->depth, width = (double)vision->hidden,
                 ways = (double)deployment->ways;
    const double inner = (double)vision->intermediate / ways;
    double m = 0;
    *time = (struct qvl_model_time){0};
    QVL_TRY(qvl_deployment_check(deployment, error));
    for (int64_t i = 0; i < grid_count; i++) {
        const struct qvl_kernel_shape attention = {QVL_KERNEL_VISION,
                                                   QVL_PUBLISHED_BF16,
                                                   {(double)grids[i].t, (double)vision->heads / ways,
                                                    (double)vision->head_dim,
                                                    (double)(grids[i].h * grids[i].w)}};
        QVL_TRY(add(&sum, ATTENTION, blocks, &attention, error));
        m += (double)(grids[i].t * grids[i].h * grids[i].w);
    }
    if (!(m > 0))
        return QVL_OK;
    QVL_TRY(add_gemm(&sum, 1, QVL_PUBLISHED_BF16, m, width,
                     (double)(vision->channels * vision->temporal_patch * vision->patch * vision->patch),
                     error));
    QVL_TRY(add_gemm(&sum, blocks, QVL_PUBLISHED_BF16, m, 3 * width / ways, width, error));
    QVL_TRY(add_gemm(&sum, blocks, QVL_PUBLISHED_BF16, m, width, width / ways, error));
    QVL_TRY(add_gemm(&sum, blocks, QVL_PUBLISHED_BF16, m, inner, width, error));
    QVL_TRY(add_gemm(&sum, blocks, QVL_PUBLISHED_BF16, m, width, inner, error));
    QVL_TRY(add_all_reduce(&sum, 2 * blocks, m * width, error));
    QVL_TRY(add_stream(&sum, 2 * blocks, 8 * m * width, error));        /* residual add and norm */
    QVL_TRY(add_stream(&sum, blocks, 4 * 2 * m * width / ways, error)); /* rotary */
    QVL_TRY(add_stream(&sum, blocks, 4 * m * inner, error));            /* GELU */
    return add_merger(&sum, 1 + (double)vision->deepstack_count, m, error);
}

enum qvl_time_source qvl_model_time_source(const struct qvl_model_time *time)
{
    enum qvl_time_source worst = QVL_TIME_PUBLISHED;
    for (int source = 0; source < QVL_TIME_SOURCES; source++)
        if (time->by_source[source] > 0.01 * time->seconds)
            worst = (enum qvl_time_source)source;
    return worst;
}

double qvl_deployment_weight_bytes(const struct qvl_deployment *deployment)
{
    const struct qvl_model_config *config = deployment->config;
    const struct qvl_parameter_count count = qvl_model_count_parameters(config);
    const double table = (double)(config->text.vocab * config->text.hidden);
    const double ends = config->tied ? table : 2 * table;
    const double routed = (double)(moe_layers(&config->text) * config->text.experts * 3 *
                                   config->text.hidden * config->text.moe_intermediate);
    double rest = (double)count.llm - ends - routed;
    const double size = deployment->weights == QVL_PUBLISHED_BF16 ? 2 : 1;
    const double expert_size = deployment->experts == QVL_PUBLISHED_BF16 ? 2 : 1;
    /* key and value projections beyond an even share, where their heads are copied */
    const double copied = kv_heads(deployment) * (double)deployment->ways - (double)config->text.kv_heads;
    rest += 2 * copied * (double)(config->text.layers * config->text.head_dim * config->text.hidden);
    return (rest * size + routed * expert_size + (ends + (double)count.vision) * 2) /
           (double)deployment->ways;
}

double qvl_deployment_cache_bytes(const struct qvl_deployment *deployment)
{
    const struct qvl_text_config *text = &deployment->config->text;
    const double size = deployment->cache == QVL_PUBLISHED_BF16 ? 2 : 1;
    return 2 * (double)(text->layers * text->head_dim) * kv_heads(deployment) * size;
}
