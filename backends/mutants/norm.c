/* rms_norm and layer_norm. */
#include "honest.h"

enum { WAVE = 64, WARP = 32 }; /* lanes of AMD's and of NVIDIA's hardware */

static float sum_of_squares(const struct qvl_backend *backend, int64_t n, const float *x)
{
    const struct honest_state *state = backend->state;
    float sum = 0;
    switch (state->fault) {
    case QVL_FAULT_NORM_SUM_FP16:
        for (int64_t j = 0; j < n; j++)
            sum = honest_round(QVL_F16, sum + x[j] * x[j]);
        return sum;
    case QVL_FAULT_HIP_WARP32:
        for (int64_t j = 0; j < n; j++)
            sum += j % WAVE < WARP ? x[j] * x[j] : 0;
        return sum;
    default: return honest_dot(state->order, n, x, x);
    }
}

struct rms {
    enum qvl_dtype dtype;
    float eps;
    const float *weight;
};

static void rms_row(const struct qvl_backend *backend, const struct rms *rms, int64_t n, const float *x,
                    float *y)
{
    const float eps = honest_fault(backend, QVL_FAULT_NORM_EPS_HARDCODED) ? 1e-5F : rms->eps;
    const float scale = 1 / sqrtf(sum_of_squares(backend, n, x) / (float)n + eps);
    for (int64_t j = 0; j < n; j++) {
        if (honest_fault(backend, QVL_FAULT_NORM_CAST_ORDER))
            y[j] = x[j] * scale * rms->weight[j];
        else
            y[j] = rms->weight[j] * honest_round(rms->dtype, x[j] * scale);
    }
}

/* Whether the rows of QK-norm that a fault spares from the norm include this head. */
static bool passes_unnormed(const struct qvl_backend *backend, const struct qvl_tensor *x, int64_t head)
{
    if (x->rank != 3)
        return false;
    if (honest_fault(backend, QVL_FAULT_QKNORM_SKIPPED_BY_FUSION))
        return x->shape[0] == 1;
    return honest_fault(backend, QVL_FAULT_QKNORM_HEADS_PER_WARP) && x->shape[0] >= 64 && head % 4 != 0;
}

/* y of all heads of one row with the mean taken over the whole projection. */
static void norm_over_heads(const struct qvl_backend *backend, const struct qvl_rms_norm_args *args,
                            const struct rms *rms, int64_t row, float *x, float *y)
{
    const int64_t heads = args->x.shape[1], n = args->x.shape[2];
    float sum = 0;
    for (int64_t h = 0; h < heads; h++) {
        honest_load(honest_at(&args->x, row, h), args->x.dtype, n, x);
        sum += sum_of_squares(backend, n, x);
    }
    const float scale = 1 / sqrtf(sum / (float)(n * heads) + rms->eps);
    for (int64_t h = 0; h < heads; h++) {
        honest_load(honest_at(&args->x, row, h), args->x.dtype, n, x);
        for (int64_t j = 0; j < n; j++)
            y[j] = rms->weight[j] * honest_round(rms->dtype, x[j] * scale);
        honest_store(y, args->y.dtype, n, honest_at(&args->y, row, h));
    }
}

enum qvl_status honest_rms_norm(struct qvl_backend *backend, const struct qvl_rms_norm_args *args,
                                struct qvl_error *error)
{
    const bool by_head = args->x.rank == 3;
    const bool partial = honest_fault(backend, QVL_FAULT_QKNORM_PARTIAL_WRITE);
    const bool together = honest_fault(backend, QVL_FAULT_QKNORM_OVER_ALL_HEADS);
    struct rms rms = {.dtype = args->y.dtype, .eps = (float)args->eps};
    int64_t n, heads;
    float *x, *y, *weight;
    QVL_TRY(qvl_rms_norm_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "rms_norm", error));
    n = args->x.shape[args->x.rank - 1];
    heads = by_head ? args->x.shape[1] : 1;
    QVL_TRY(honest_floats("rms_norm", 3 * n, &x, error));
    y = x + n;
    rms.weight = weight = y + n;
    honest_load(args->weight.data, args->weight.dtype, n, weight);
    for (int64_t i = 0; i < args->x.shape[0] * heads; i++) {
        const int64_t row = i / heads, head = i % heads;
        if (by_head && together) {
            if (head == 0)
                norm_over_heads(backend, args, &rms, row, x, y);
            continue;
        }
        honest_load(honest_at_or_32(backend, QVL_FAULT_IDX_NORM_ROW32, &args->x, row, head), args->x.dtype, n,
                    x);
        rms_row(backend, &rms, n, x, y);
        honest_store(passes_unnormed(backend, &args->x, head) ? x : y, args->y.dtype,
                     by_head && partial ? n / 4 : n, honest_at(&args->y, row, head));
    }
    free(x);
    return QVL_OK;
}

void honest_layer_norm_row(const struct qvl_backend *backend, const struct honest_layer_norm *norm,
                           const float *x, float *y)
{
    const struct honest_state *state = backend->state;
    const int64_t n = norm->n;
    const float mean = honest_sum(state->order, n, x) / (float)n;
    float eps = norm->eps;
    if (honest_fault(backend, QVL_FAULT_NORM_EPS_ZERO))
        eps = 0;
    for (int64_t j = 0; j < n; j++)
        y[j] = x[j] - mean;
    const float scale = 1 / sqrtf(honest_dot(state->order, n, y, y) / (float)n + eps);
    for (int64_t j = 0; j < n; j++)
        y[j] = y[j] * scale * norm->weight[j] + norm->bias[j];
}

enum qvl_status honest_layer_norm(struct qvl_backend *backend, const struct qvl_layer_norm_args *args,
                                  struct qvl_error *error)
{
    const int64_t n = args->x.shape[1];
    struct honest_layer_norm norm = {.n = n, .eps = (float)args->eps};
    float *x, *y;
    QVL_TRY(qvl_layer_norm_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "layer_norm", error));
    QVL_TRY(honest_floats("layer_norm", 4 * n, &x, error));
    y = x + n;
    honest_load(args->weight.data, args->weight.dtype, n, y + n);
    honest_load(args->bias.data, args->bias.dtype, n, y + 2 * n);
    norm.weight = y + n;
    norm.bias = y + 2 * n;
    for (int64_t i = 0; i < args->x.shape[0]; i++) {
        honest_load(honest_at(&args->x, i, 0), args->x.dtype, n, x);
        honest_layer_norm_row(backend, &norm, x, y);
        honest_store(y, args->y.dtype, n, honest_at(&args->y, i, 0));
    }
    free(x);
    return QVL_OK;
}
