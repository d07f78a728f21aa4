/* Embedding lookup: y[i] = table[ids[i]]. */
#include "ref/kernels.h"

enum qvl_status qvl_ref_embed(struct qvl_backend *backend, const struct qvl_embed_args *args,
                              struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    double *row;
    QVL_TRY(qvl_embed_check(args, error));
    QVL_TRY(qvl_ref_weight_check("embed.table", args->table, QVL_CHECK_ANY, args->y.shape[1], error));
    for (int64_t i = 0; i < args->y.shape[0]; i++)
        if (args->ids[i] < 0 || args->ids[i] >= args->table->out)
            return qvl_fail(error, QVL_BAD_INPUT,
                            "embed.ids[%lld]: token id %lld, the table has rows 0 to %lld", (long long)i,
                            (long long)args->ids[i], (long long)args->table->out - 1);
    QVL_TRY(qvl_ref_doubles("embed", args->y.shape[1], &row, error));
    for (int64_t i = 0; i < args->y.shape[0]; i++) {
        qvl_ref_weight_row(args->table, 0, args->ids[i], row);
        qvl_round_row(&r, args->y.shape[1], row);
        qvl_ref_store(row, &args->y, i, 0);
    }
    free(row);
    return QVL_OK;
}
