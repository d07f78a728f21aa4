/* embed and scatter_rows: rows copied from one place to another. */
#include "cpu_state.h"

enum qvl_status qvl_cpu_embed(struct qvl_backend *backend, const struct qvl_embed_args *args,
                              struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    const struct qvl_weight *table = args->table;
    int64_t n = args->y.shape[0], dim = args->y.shape[1], row_bytes;
    float *buffer;
    QVL_TRY(qvl_embed_check(args, error));
    QVL_TRY(qvl_cpu_weight_fits(table, QVL_USE_ROWS, -1, dim, "embed.table", error));
    for (int64_t i = 0; i < n; i++)
        if (args->ids[i] < 0 || args->ids[i] >= table->out)
            return qvl_fail(error, QVL_BAD_INPUT, "embed.ids[%lld]: is %lld, the table has rows 0 to %lld",
                            (long long)i, (long long)args->ids[i], (long long)table->out - 1);
    CPU_SCRATCH(state, buffer, dim * 4, error);
    row_bytes = dim * (int64_t)qvl_dtype_bytes(table->dtype);
    for (int64_t i = 0; i < n; i++) {
        const char *from = (const char *)table->data + args->ids[i] * row_bytes;
        if (args->y.dtype == table->dtype) {
            memcpy(qvl_cpu_at(&args->y, i), from, (size_t)row_bytes);
        } else {
            state->simd->load(table->dtype, from, buffer, dim);
            state->simd->store(args->y.dtype, buffer, qvl_cpu_at(&args->y, i), dim);
        }
    }
    return QVL_OK;
}

enum qvl_status qvl_cpu_scatter_rows(struct qvl_backend *backend, const struct qvl_scatter_rows_args *args,
                                     struct qvl_error *error)
{
    size_t bytes = (size_t)args->y.shape[1] * qvl_dtype_bytes(args->y.dtype);
    qvl_cpu_enter(backend);
    QVL_TRY(qvl_scatter_rows_check(args, error));
    for (int64_t i = 0; i < args->src.shape[0]; i++)
        memcpy(qvl_cpu_at(&args->y, args->rows[i]), qvl_cpu_at(&args->src, i), bytes);
    return QVL_OK;
}
