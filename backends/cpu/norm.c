/* rms_norm and layer_norm, one row at a time in float32. */
#include "cpu_state.h"

static void rms_norm_row(const struct cpu_simd *simd, const struct qvl_rms_norm_args *args, const char *x,
                         const float *weight, float *values, char *y)
{
    int64_t dim = args->weight.shape[0];
    float factor;
    simd->load(args->x.dtype, x, values, dim);
    factor = (float)(1.0 / sqrt(simd->sum_squares(values, dim) / (double)dim + args->eps));
    simd->multiply(values, factor, dim);
    simd->round(args->x.dtype, values, dim);
    for (int64_t i = 0; i < dim; i++)
        values[i] *= weight[i];
    simd->store(args->y.dtype, values, y, dim);
}

enum qvl_status qvl_cpu_rms_norm(struct qvl_backend *backend, const struct qvl_rms_norm_args *args,
                                 struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t dim = args->weight.shape[0], heads = args->x.rank == 3 ? args->x.shape[1] : 1;
    int64_t n = args->x.shape[0];
    float *buffer;
    QVL_TRY(qvl_rms_norm_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "rms_norm", error));
    CPU_SCRATCH(state, buffer, (state->threads + 1) * dim * 4, error);
    state->simd->load(args->weight.dtype, args->weight.data, buffer, dim);
#pragma omp parallel for collapse(2) num_threads(qvl_cpu_team(state, n *heads *dim)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t head = 0; head < heads; head++) {
            bool three = args->x.rank == 3;
            rms_norm_row(state->simd, args, three ? qvl_cpu_at2(&args->x, i, head) : qvl_cpu_at(&args->x, i),
                         buffer, buffer + (1 + qvl_cpu_thread()) * dim,
                         three ? qvl_cpu_at2(&args->y, i, head) : qvl_cpu_at(&args->y, i));
        }
    return QVL_OK;
}

void qvl_cpu_layer_norm_row(const struct cpu_simd *simd, enum qvl_dtype dtype, const void *x,
                            const float *weight, const float *bias, double eps, int64_t dim, float *values,
                            void *y)
{
    double sum = 0;
    float mean, factor;
    simd->load(dtype, x, values, dim);
    for (int64_t i = 0; i < dim; i++)
        sum += values[i];
    mean = (float)(sum / (double)dim);
    for (int64_t i = 0; i < dim; i++)
        values[i] -= mean;
    factor = (float)(1.0 / sqrt(simd->sum_squares(values, dim) / (double)dim + eps));
    for (int64_t i = 0; i < dim; i++)
        values[i] = values[i] * factor * weight[i] + bias[i];
    simd->store(dtype, values, y, dim);
}

enum qvl_status qvl_cpu_layer_norm(struct qvl_backend *backend, const struct qvl_layer_norm_args *args,
                                   struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t n = args->x.shape[0], dim = args->x.shape[1];
    float *buffer;
    QVL_TRY(qvl_layer_norm_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "layer_norm", error));
    CPU_SCRATCH(state, buffer, (state->threads + 2) * dim * 4, error);
    state->simd->load(args->weight.dtype, args->weight.data, buffer, dim);
    state->simd->load(args->bias.dtype, args->bias.data, buffer + dim, dim);
#pragma omp parallel for num_threads(qvl_cpu_team(state, n *dim)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        qvl_cpu_layer_norm_row(state->simd, args->x.dtype, qvl_cpu_at(&args->x, i), buffer, buffer + dim,
                               args->eps, dim, buffer + (2 + qvl_cpu_thread()) * dim,
                               qvl_cpu_at(&args->y, i));
    return QVL_OK;
}
