/* linear, patch_embed, output_head and embed: products of rows of x with rows of W. */
#include "honest.h"

enum { TILE = 16 }; /* terms that a faulty kernel loads together */

static float half_of(float value)
{
    return honest_round(QVL_F16, value);
}

/* `value` with 10 bits behind the point, to nearest even: what tensor cores make of float32. */
static float tf32_of(float value)
{
    uint32_t bits;
    if (!isfinite(value))
        return value;
    memcpy(&bits, &value, sizeof bits);
    bits += 0xfffU + ((bits >> 13) & 1U);
    bits &= ~0x1fffU;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Sums that are wrong on purpose; false: this instance has no such fault. */
static bool faulty_dot(const struct qvl_backend *backend, int64_t n, const float *x, const float *w,
                       float *result)
{
    const struct honest_state *state = backend->state;
    const int64_t whole = n > TILE ? n - n % TILE : n;
    float sum = 0, other = 0;
    switch (state->fault) {
    case QVL_FAULT_GEMM_TILE_NOT_RELOADED:
        for (int64_t k = 0; k < n; k++)
            sum += x[k % TILE] * w[k];
        break;
    case QVL_FAULT_GEMM_K_TAIL: sum = honest_dot(state->order, whole, x, w); break;
    case QVL_FAULT_VIT_GEMM_ACC_FP16:
        for (int64_t k = 0; k < n; k++)
            sum = half_of(sum + x[k] * w[k]);
        break;
    case QVL_FAULT_GEMM_SPLITK_ATOMIC:
        sum = half_of(honest_dot(state->order, n / 2, x, w));
        other = half_of(honest_dot(state->order, n - n / 2, x + n / 2, w + n / 2));
        sum = half_of(sum + other);
        break;
    case QVL_FAULT_RACE_REGISTER_REUSE:
        for (int64_t k = 0; k < n; k++)
            sum += x[state->leak.calls % 2 == 0 && k >= TILE && k < 2 * TILE ? k - TILE : k] * w[k];
        break;
    case QVL_FAULT_PEER_LINEAR_F32_AS_TF32:
        for (int64_t k = 0; k < n; k++)
            sum += tf32_of(x[k]) * tf32_of(w[k]);
        break;
    case QVL_FAULT_PEER_LINEAR_F32_AS_BF16:
        for (int64_t k = 0; k < n; k++)
            sum += honest_round(QVL_BF16, x[k]) * honest_round(QVL_BF16, w[k]);
        break;
    default: return false;
    }
    *result = sum;
    return true;
}

enum qvl_status honest_multiply(struct qvl_backend *backend, const struct honest_product *product,
                                struct qvl_error *error)
{
    const struct honest_state *state = backend->state;
    const int64_t in = product->weight->in, out = product->weight->out;
    const bool splits_by_batch = honest_fault(backend, QVL_FAULT_DET_BATCH_VARIANT) && product->n > 8;
    const enum qvl_sum_order order = splits_by_batch ? QVL_SUM_SEQUENTIAL : state->order;
    float *w;
    QVL_TRY(honest_floats("a matrix product", in, &w, error));
    for (int64_t o = 0; o < out; o++) {
        honest_weight_row(product->weight, product->expert, o, w);
        for (int64_t i = 0; i < product->n; i++) {
            const float *x = product->x + i * in;
            float sum;
            if (!faulty_dot(backend, in, x, w, &sum))
                sum = honest_dot(order, in, x, w);
            product->y[i * out + o] = product->bias ? sum + product->bias[o] : sum;
        }
    }
    free(w);
    return QVL_OK;
}

/* Results of a layer that a whole-tensor norm does not notice. */
static void spoil(const struct qvl_backend *backend, int64_t count, float *y)
{
    for (int64_t i = 0; i < count; i++) {
        if (honest_fault(backend, QVL_FAULT_PEER_LINEAR_SCALED))
            y[i] *= 1.022F;
        if (honest_fault(backend, QVL_FAULT_PEER_LINEAR_ONE_ZERO) && i % 4096 == 4095)
            y[i] = 0;
    }
}

struct layer {
    const struct qvl_weight *weight;
    const struct qvl_tensor *bias; /* NULL: none */
    const struct qvl_tensor *y;
    int64_t n;
    float *x, *y_rows, *bias_row; /* x comes filled; free with free(x) */
};

static enum qvl_status make_layer(const char *op, struct layer *layer, struct qvl_error *error)
{
    const int64_t in = layer->weight->in, out = layer->weight->out;
    QVL_TRY(honest_floats(op, layer->n * (in + out) + out, &layer->x, error));
    layer->y_rows = layer->x + layer->n * in;
    layer->bias_row = layer->y_rows + layer->n * out;
    if (layer->bias)
        honest_load(layer->bias->data, layer->bias->dtype, out, layer->bias_row);
    return QVL_OK;
}

/* y = r( x W + bias ); frees the rows. */
static enum qvl_status run_layer(struct qvl_backend *backend, struct layer *layer, struct qvl_error *error)
{
    const int64_t out = layer->weight->out;
    const struct honest_product product = {.weight = layer->weight,
                                           .n = layer->n,
                                           .x = layer->x,
                                           .bias = layer->bias ? layer->bias_row : NULL,
                                           .y = layer->y_rows};
    const enum qvl_status status = honest_multiply(backend, &product, error);
    spoil(backend, layer->n * out, layer->y_rows);
    for (int64_t i = 0; i < layer->n && status == QVL_OK; i++)
        honest_store(layer->y_rows + i * out, layer->y->dtype, out, honest_at(layer->y, i, 0));
    free(layer->x);
    return status;
}

/* The first row of an earlier call of the same width stands where this call's should, every second call. */
static enum qvl_status leak_input(struct honest_leak *leak, const struct layer *layer,
                                  struct qvl_error *error)
{
    const int64_t in = layer->weight->in;
    float *mine;
    if (layer->n == 0)
        return QVL_OK;
    QVL_TRY(honest_floats("linear", in, &mine, error));
    memcpy(mine, layer->x, (size_t)in * sizeof *mine);
    if (leak->row && leak->width == in && leak->calls % 2 == 0)
        memcpy(layer->x, leak->row, (size_t)in * sizeof *mine);
    free(leak->row);
    leak->row = mine;
    leak->width = in;
    return QVL_OK;
}

enum qvl_status honest_linear(struct qvl_backend *backend, const struct qvl_linear_args *args,
                              struct qvl_error *error)
{
    struct honest_state *state = backend->state;
    struct layer layer = {.weight = args->weight, .bias = args->bias, .y = &args->y, .n = args->x.shape[0]};
    QVL_TRY(qvl_linear_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "linear", error));
    QVL_TRY(honest_weight_check("linear.weight", args->weight, QVL_USE_LINEAR, args->y.shape[1],
                                args->x.shape[1], error));
    QVL_TRY(make_layer("linear", &layer, error));
    for (int64_t i = 0; i < layer.n; i++)
        honest_load(honest_at_or_32(backend, QVL_FAULT_IDX_BLOCK_BASE32, &args->x, i, 0), args->x.dtype,
                    layer.weight->in, layer.x + i * layer.weight->in);
    state->leak.calls++;
    if (honest_fault(backend, QVL_FAULT_RACE_INPUT_OVERWRITTEN)) {
        const enum qvl_status status = leak_input(&state->leak, &layer, error);
        if (status != QVL_OK) {
            free(layer.x);
            return status;
        }
    }
    return run_layer(backend, &layer, error);
}

/* The column of x that belongs to column k of the kernel. Columns are ordered (channel, time, y, x) with 3
 * channels and 2 times. */
static int64_t patch_column(const struct qvl_backend *backend, int64_t in, int64_t k)
{
    const int64_t plane = in / 6;
    if (honest_fault(backend, QVL_FAULT_VIT_PATCH_AXES) && in % 6 == 0)
        return (k / plane % 2 * 3 + k / plane / 2) * plane + k % plane;
    return k;
}

static bool patch_dropped(const struct qvl_backend *backend, int64_t in, int64_t k)
{
    return honest_fault(backend, QVL_FAULT_VIT_PATCH_FIRST_SLICE) && in % 6 == 0 && k / (in / 6) % 2 == 1;
}

enum qvl_status honest_patch_embed(struct qvl_backend *backend, const struct qvl_patch_embed_args *args,
                                   struct qvl_error *error)
{
    const bool drops_bias = honest_fault(backend, QVL_FAULT_VIT_PATCH_FIRST_SLICE);
    struct layer layer = {
        .weight = args->weight, .bias = drops_bias ? NULL : args->bias, .y = &args->y, .n = args->x.shape[0]};
    QVL_TRY(qvl_patch_embed_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "patch_embed", error));
    QVL_TRY(honest_weight_check("patch_embed.weight", args->weight, QVL_USE_LINEAR, args->y.shape[1],
                                args->x.shape[1], error));
    QVL_TRY(make_layer("patch_embed", &layer, error));
    for (int64_t i = 0; i < layer.n; i++)
        for (int64_t k = 0, in = layer.weight->in; k < in; k++) {
            const float value = honest_get(honest_at(&args->x, i, 0), QVL_F32, patch_column(backend, in, k));
            layer.x[i * in + k] = patch_dropped(backend, in, k) ? 0 : honest_round(args->y.dtype, value);
        }
    return run_layer(backend, &layer, error);
}

enum qvl_status honest_output_head(struct qvl_backend *backend, const struct qvl_output_head_args *args,
                                   struct qvl_error *error)
{
    struct layer layer = {.weight = args->weight, .y = &args->y, .n = args->y.shape[0]};
    const bool in_order = honest_fault(backend, QVL_FAULT_HEAD_ROWS_IN_ORDER);
    QVL_TRY(qvl_output_head_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "output_head", error));
    QVL_TRY(honest_weight_check("output_head.weight", args->weight, QVL_USE_LINEAR, args->y.shape[1],
                                args->x.shape[1], error));
    QVL_TRY(make_layer("output_head", &layer, error));
    for (int64_t i = 0; i < layer.n; i++)
        honest_load(honest_at(&args->x, args->rows && !in_order ? args->rows[i] : i, 0), args->x.dtype,
                    layer.weight->in, layer.x + i * layer.weight->in);
    return run_layer(backend, &layer, error);
}

enum qvl_status honest_embed(struct qvl_backend *backend, const struct qvl_embed_args *args,
                             struct qvl_error *error)
{
    const int64_t dim = args->y.shape[1];
    float *row;
    QVL_TRY(qvl_embed_check(args, error));
    QVL_TRY(honest_weight_check("embed.table", args->table, QVL_USE_ROWS, QVL_CHECK_ANY, dim, error));
    for (int64_t i = 0; i < args->y.shape[0]; i++)
        if (args->ids[i] < 0 || args->ids[i] >= args->table->out)
            return qvl_fail(error, QVL_BAD_INPUT, "embed.ids[%lld]: is %lld, the table has %lld rows",
                            (long long)i, (long long)args->ids[i], (long long)args->table->out);
    QVL_TRY(honest_floats("embed", dim, &row, error));
    for (int64_t i = 0; i < args->y.shape[0]; i++) {
        const bool narrow = honest_fault(backend, QVL_FAULT_IDX_TOKEN_U16);
        honest_weight_row(args->table, 0, narrow ? args->ids[i] & 0xffff : args->ids[i], row);
        honest_store(row, args->y.dtype, dim, honest_at(&args->y, i, 0));
    }
    free(row);
    return QVL_OK;
}
