/* merger: layer_norm, linear, gelu ERF, linear in one call, with the same rounding points as its parts. */
#include "cpu_state.h"

/* The grouped and normed rows [n/group, group*D]. Either norm reads and writes the same contiguous memory:
 * rows of D before grouping, or rows of group*D after it. */
static enum qvl_status norm_rows(struct cpu_state *state, const struct qvl_merger_args *args, void *to,
                                 struct qvl_error *error)
{
    int64_t dim = args->norm_weight.shape[0];
    int64_t rows = args->x.shape[0] * args->x.shape[1] / dim;
    int64_t bytes = dim * (int64_t)qvl_dtype_bytes(args->x.dtype);
    float *buffer;
    CPU_SCRATCH(state, buffer, (state->threads + 2) * dim * 4, error);
    state->simd->load(args->norm_weight.dtype, args->norm_weight.data, buffer, dim);
    state->simd->load(args->norm_bias.dtype, args->norm_bias.data, buffer + dim, dim);
#pragma omp parallel for num_threads(qvl_cpu_team(state, rows *dim)) schedule(static)
    for (int64_t i = 0; i < rows; i++)
        qvl_cpu_layer_norm_row(state->simd, args->x.dtype, (const char *)args->x.data + i * bytes, buffer,
                               buffer + dim, args->eps, dim, buffer + (2 + qvl_cpu_thread()) * dim,
                               (char *)to + i * bytes);
    return QVL_OK;
}

enum qvl_status qvl_cpu_merger(struct qvl_backend *backend, const struct qvl_merger_args *args,
                               struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    enum qvl_dtype dtype = args->x.dtype;
    int64_t n = args->y.shape[0], dim = args->group * args->x.shape[1];
    int64_t bytes = n * dim * (int64_t)qvl_dtype_bytes(dtype);
    struct cpu_matrix fc1, fc2;
    struct qvl_tensor grouped, hidden;
    void *data[2];
    QVL_TRY(qvl_merger_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "merger", error));
    QVL_TRY(qvl_cpu_weight_fits(args->fc1, QVL_USE_LINEAR, dim, dim, "merger.fc1", error));
    QVL_TRY(qvl_cpu_weight_fits(args->fc2, QVL_USE_LINEAR, args->y.shape[1], dim, "merger.fc2", error));
    CPU_SCRATCH(state, data[0], bytes, error);
    CPU_SCRATCH(state, data[1], bytes, error);
    grouped = qvl_tensor_2d(data[0], dtype, n, dim);
    hidden = qvl_tensor_2d(data[1], dtype, n, dim);
    fc1 = qvl_cpu_matrix(args->fc1, 0);
    fc2 = qvl_cpu_matrix(args->fc2, 0);
    QVL_TRY(norm_rows(state, args, grouped.data, error));
    QVL_TRY(qvl_cpu_gemm(state, &grouped, &fc1, &args->fc1_bias, &hidden, error));
    qvl_cpu_gelu_rows(state, &hidden, QVL_GELU_ERF, &hidden);
    return qvl_cpu_gemm(state, &hidden, &fc2, &args->fc2_bias, &args->y, error);
}
