/* linear, patch_embed and output_head: one matrix product each. */
#include "cpu_state.h"

enum qvl_status qvl_cpu_linear(struct qvl_backend *backend, const struct qvl_linear_args *args,
                               struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    struct cpu_matrix weight;
    QVL_TRY(qvl_linear_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "linear", error));
    QVL_TRY(qvl_cpu_weight_fits(args->weight, QVL_USE_LINEAR, args->y.shape[1], args->x.shape[1],
                                "linear.weight", error));
    weight = qvl_cpu_matrix(args->weight, 0);
    return qvl_cpu_gemm(state, &args->x, &weight, args->bias, &args->y, error);
}

/* The pixel rows, rounded to the type of the model as the original casts them. */
static enum qvl_status cast_rows(struct cpu_state *state, const struct qvl_tensor *x, enum qvl_dtype dtype,
                                 struct qvl_tensor *cast, struct qvl_error *error)
{
    int64_t n = x->shape[0], dim = x->shape[1];
    void *data;
    CPU_SCRATCH(state, data, n * dim * (int64_t)qvl_dtype_bytes(dtype), error);
    *cast = qvl_tensor_2d(data, dtype, n, dim);
#pragma omp parallel for num_threads(qvl_cpu_team(state, n *dim)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        state->simd->store(dtype, (const float *)(const void *)qvl_cpu_at(x, i), qvl_cpu_at(cast, i), dim);
    return QVL_OK;
}

enum qvl_status qvl_cpu_patch_embed(struct qvl_backend *backend, const struct qvl_patch_embed_args *args,
                                    struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    struct qvl_tensor x = args->x;
    struct cpu_matrix weight;
    QVL_TRY(qvl_patch_embed_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "patch_embed", error));
    QVL_TRY(qvl_cpu_weight_fits(args->weight, QVL_USE_LINEAR, args->y.shape[1], x.shape[1],
                                "patch_embed.weight", error));
    if (args->y.dtype != QVL_F32)
        QVL_TRY(cast_rows(state, &args->x, args->y.dtype, &x, error));
    weight = qvl_cpu_matrix(args->weight, 0);
    return qvl_cpu_gemm(state, &x, &weight, args->bias, &args->y, error);
}

enum qvl_status qvl_cpu_output_head(struct qvl_backend *backend, const struct qvl_output_head_args *args,
                                    struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    struct qvl_tensor x = args->x;
    struct cpu_matrix weight;
    QVL_TRY(qvl_output_head_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "output_head", error));
    QVL_TRY(qvl_cpu_weight_fits(args->weight, QVL_USE_LINEAR, args->y.shape[1], x.shape[1],
                                "output_head.weight", error));
    if (args->rows) {
        int64_t n = args->y.shape[0], bytes = x.shape[1] * (int64_t)qvl_dtype_bytes(x.dtype);
        void *chosen;
        CPU_SCRATCH(state, chosen, n * bytes, error);
        x = qvl_tensor_2d(chosen, x.dtype, n, x.shape[1]);
        for (int64_t i = 0; i < n; i++)
            memcpy(qvl_cpu_at(&x, i), qvl_cpu_at(&args->x, args->rows[i]), (size_t)bytes);
    }
    weight = qvl_cpu_matrix(args->weight, 0);
    return qvl_cpu_gemm(state, &x, &weight, NULL, &args->y, error);
}
