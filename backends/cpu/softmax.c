/* softmax over the rows of a matrix. */
#include "cpu_state.h"

void qvl_cpu_softmax_row(const struct cpu_simd *simd, float *values, int64_t count)
{
    float largest = simd->scale_max(values, 1.0f, count);
    float sum;
    if (largest == -INFINITY && qvl_cpu_none_is_nan(values, count)) {
        memset(values, 0, (size_t)count * sizeof *values);
        return;
    }
    sum = simd->exp_sum(values, largest, count);
    for (int64_t i = 0; i < count; i++)
        values[i] /= sum;
}

bool qvl_cpu_none_is_nan(const float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (isnan(values[i]))
            return false;
    return true;
}

enum qvl_status qvl_cpu_softmax(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                                struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t n = args->x.shape[0], columns = args->x.shape[1];
    float *work;
    QVL_TRY(qvl_softmax_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "softmax", error));
    CPU_SCRATCH(state, work, state->threads * columns * 4, error);
#pragma omp parallel for num_threads(qvl_cpu_team(state, n *columns)) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float *values = work + qvl_cpu_thread() * columns;
        state->simd->load(args->x.dtype, qvl_cpu_at(&args->x, i), values, columns);
        qvl_cpu_softmax_row(state->simd, values, columns);
        state->simd->store(args->y.dtype, values, qvl_cpu_at(&args->y, i), columns);
    }
    return QVL_OK;
}
